#!/bin/sh
# fsrcnn-x4: the ×3 network of the 91-image stage at the new scale (recipes/fsrcnn-x3.sh makes it), then as at ×3, cured of sparks at the end.
set -eu
. "$(dirname "$0")/common.sh"

stage fsrcnn-x4.t91 transfer "$RUNS/fsrcnn-x3.t91/best.safetensors" $T91 --scale 4 --all-layers --steps 25000 --lr 0.004 --scalar-lr 0.0008 --seed 4 $FAST $COMMON
stage fsrcnn-x4.main train $ALL --scale 4 --init "$RUNS/fsrcnn-x4.t91/best.safetensors" --steps 50000 --lr 0.004 --scalar-lr 0.0008 --seed 4 $FAST $COMMON
stage fsrcnn-x4.plain train $ALL --scale 4 --init "$RUNS/fsrcnn-x4.main/best.safetensors" --steps 6000 --seed 4 $FINISH $COMMON
cure fsrcnn-x4 fsrcnn-x4.plain --share 0.02 --margin 32 --steps 14000 --lr 0.0012
