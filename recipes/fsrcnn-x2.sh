#!/bin/sh
# fsrcnn-x2: the ×3 network of the 91-image stage at the new scale (recipes/fsrcnn-x3.sh makes it), then as at ×3, cured of sparks, then natural contrast.
set -eu
. "$(dirname "$0")/common.sh"

stage fsrcnn-x2.t91 transfer "$RUNS/fsrcnn-x3.t91/best.safetensors" $T91 --scale 2 --all-layers --steps 30000 --lr 0.004 --scalar-lr 0.0008 --seed 2 $FAST $COMMON
stage fsrcnn-x2.main train $ALL --scale 2 --init "$RUNS/fsrcnn-x2.t91/best.safetensors" --steps 70000 --lr 0.004 --scalar-lr 0.0008 --seed 2 $FAST $COMMON
stage fsrcnn-x2.plain train $ALL --scale 2 --init "$RUNS/fsrcnn-x2.main/best.safetensors" --steps 6000 --seed 2 $FINISH $COMMON
cure fsrcnn-x2.cured fsrcnn-x2.plain --steps 10000
cure fsrcnn-x2.natural fsrcnn-x2.cured --contrast 1 --share 0.012 --margin 40 --steps 12000 --lr 0.0015
cure fsrcnn-x2.natural2 fsrcnn-x2.natural --contrast 1 --share 0.012 --margin 40 --steps 22000 --lr 0.002 --seed 3
cure fsrcnn-x2 fsrcnn-x2.natural2 $NATURAL --steps 17000 --lr 0.003
