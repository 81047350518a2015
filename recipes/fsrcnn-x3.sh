#!/bin/sh
# fsrcnn-x3: the 91 images from scratch, then all sets, then twice a finish in fp32 on larger patches, then cured of sparks.
set -eu
. "$(dirname "$0")/common.sh"

stage fsrcnn-x3.t91 train $T91 --scale 3 --model fsrcnn --steps 40000 --lr 0.005 --scalar-lr 0.001 --seed 3 $FAST $COMMON
stage fsrcnn-x3.main train $ALL --scale 3 --init "$RUNS/fsrcnn-x3.t91/best.safetensors" --steps 60000 --lr 0.004 --scalar-lr 0.0008 --seed 3 $FAST $COMMON
stage fsrcnn-x3.finish train $ALL --scale 3 --init "$RUNS/fsrcnn-x3.main/best.safetensors" --steps 6000 --seed 3 $FINISH $COMMON
stage fsrcnn-x3.more train $ALL --scale 3 --init "$RUNS/fsrcnn-x3.finish/best.safetensors" --steps 32000 --lr 0.003 --scalar-lr 0.0006 --seed 3 $FAST $COMMON
stage fsrcnn-x3.plain train $ALL --scale 3 --init "$RUNS/fsrcnn-x3.more/best.safetensors" --steps 4000 --seed 3 $FINISH $COMMON --lr 0.001 --scalar-lr 0.0002 --validate-every 1000
cure fsrcnn-x3 fsrcnn-x3.plain --share 0.02 --margin 32 --steps 14000 --lr 0.0012
