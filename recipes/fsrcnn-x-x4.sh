#!/bin/sh
# fsrcnn-x-x4: the ×3 network of the 91-image stage at the new scale (recipes/fsrcnn-x-x3.sh makes it), then as at ×3.
set -eu
. "$(dirname "$0")/common.sh"

stage fsrcnn-x-x4.t91 transfer "$RUNS/fsrcnn-x-x3.t91/best.safetensors" $T91 --scale 4 --all-layers --steps 20000 --lr 0.004 --scalar-lr 0.0008 --seed 4 $FAST $COMMON
stage fsrcnn-x-x4 train $ALL --scale 4 --init "$RUNS/fsrcnn-x-x4.t91/best.safetensors" --steps 45000 --lr 0.004 --scalar-lr 0.0008 --seed 4 $FAST $COMMON
