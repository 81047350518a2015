#!/bin/sh
# fsrcnn-x2: the ×3 network of the 91-image stage at the new scale (recipes/fsrcnn-x3.sh makes it), then as at ×3, cured of sparks at the end.
set -eu
. "$(dirname "$0")/common.sh"

stage fsrcnn-x2.t91 transfer "$RUNS/fsrcnn-x3.t91/best.safetensors" $T91 --scale 2 --all-layers --steps 30000 --lr 0.004 --scalar-lr 0.0008 --seed 2 $FAST $COMMON
stage fsrcnn-x2.main train $ALL --scale 2 --init "$RUNS/fsrcnn-x2.t91/best.safetensors" --steps 70000 --lr 0.004 --scalar-lr 0.0008 --seed 2 $FAST $COMMON
stage fsrcnn-x2.plain train $ALL --scale 2 --init "$RUNS/fsrcnn-x2.main/best.safetensors" --steps 6000 --seed 2 $FINISH $COMMON
cure fsrcnn-x2 fsrcnn-x2.plain --steps 10000
