#!/bin/sh
# fsrcnn-s-x2: the ×3 network of the 91-image stage at the new scale (recipes/fsrcnn-s-x3.sh makes it), then as at ×3, cured of sparks, then natural contrast.
set -eu
. "$(dirname "$0")/common.sh"

stage fsrcnn-s-x2.t91 transfer "$RUNS/fsrcnn-s-x3.t91/best.safetensors" $T91 --scale 2 --all-layers --steps 20000 --lr 0.004 --scalar-lr 0.0008 --seed 2 $FAST $COMMON
stage fsrcnn-s-x2.plain train $ALL --scale 2 --init "$RUNS/fsrcnn-s-x2.t91/best.safetensors" --steps 60000 --lr 0.004 --scalar-lr 0.0008 --seed 2 $FAST $COMMON
stage fsrcnn-s-x2.wide train $ALL --scale 2 --init "$RUNS/fsrcnn-s-x2.plain/best.safetensors" --steps 120000 --lr 0.004 --scalar-lr 0.0008 --seed 5 --loss-width 0.15 $FAST $COMMON
cure fsrcnn-s-x2.cured fsrcnn-s-x2.wide --steps 12000 --lr 0.0015 --loss-width 0.15 --share 0.012 --margin 45
cure fsrcnn-s-x2 fsrcnn-s-x2.cured $NATURAL --steps 38000 --lr 0.004
