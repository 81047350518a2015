#!/bin/sh
# fsrcnn-x-x3: the 91 images from scratch, then all sets.
set -eu
. "$(dirname "$0")/common.sh"

stage fsrcnn-x-x3.t91 train $T91 --scale 3 --model fsrcnn-x --steps 30000 --lr 0.005 --scalar-lr 0.001 --seed 3 $FAST $COMMON
stage fsrcnn-x-x3 train $ALL --scale 3 --init "$RUNS/fsrcnn-x-x3.t91/best.safetensors" --steps 80000 --lr 0.005 --scalar-lr 0.001 --seed 3 $FAST $COMMON
