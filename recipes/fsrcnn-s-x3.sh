#!/bin/sh
# fsrcnn-s-x3: the 91 images from scratch, then all sets, twice, a finish in fp32 on larger patches, and natural contrast.
set -eu
. "$(dirname "$0")/common.sh"

stage fsrcnn-s-x3.t91 train $T91 --scale 3 --model fsrcnn-s --steps 30000 --lr 0.005 --scalar-lr 0.001 --seed 3 $FAST $COMMON
stage fsrcnn-s-x3.main train $ALL --scale 3 --init "$RUNS/fsrcnn-s-x3.t91/best.safetensors" --steps 80000 --lr 0.005 --scalar-lr 0.001 --seed 3 $FAST $COMMON
stage fsrcnn-s-x3.more train $ALL --scale 3 --init "$RUNS/fsrcnn-s-x3.main/best.safetensors" --steps 16000 --lr 0.004 --scalar-lr 0.0008 --seed 3 $FAST $COMMON --validate-every 4000
stage fsrcnn-s-x3.finish train $ALL --scale 3 --init "$RUNS/fsrcnn-s-x3.more/best.safetensors" --steps 5000 --seed 3 $FINISH $COMMON --validate-every 2500
cure fsrcnn-s-x3.natural fsrcnn-s-x3.finish --contrast 1 --share 0.012 --margin 40 --steps 14000 --lr 0.0015 --seed 4
cure fsrcnn-s-x3 fsrcnn-s-x3.natural $NATURAL --steps 44000 --lr 0.004
