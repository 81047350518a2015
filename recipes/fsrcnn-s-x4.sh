#!/bin/sh
# fsrcnn-s-x4: the ×3 network of the 91-image stage at the new scale (recipes/fsrcnn-s-x3.sh makes it), then all sets, and natural contrast.
set -eu
. "$(dirname "$0")/common.sh"

stage fsrcnn-s-x4.t91 transfer "$RUNS/fsrcnn-s-x3.t91/best.safetensors" $T91 --scale 4 --all-layers --steps 20000 --lr 0.004 --scalar-lr 0.0008 --seed 4 $FAST $COMMON
stage fsrcnn-s-x4.main train $ALL --scale 4 --init "$RUNS/fsrcnn-s-x4.t91/best.safetensors" --steps 50000 --lr 0.004 --scalar-lr 0.0008 --seed 4 $FAST $COMMON
cure fsrcnn-s-x4 fsrcnn-s-x4.main $NATURAL --steps 41000 --lr 0.004
