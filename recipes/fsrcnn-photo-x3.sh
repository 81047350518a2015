#!/bin/sh
# fsrcnn-photo-mild-x3, fsrcnn-photo-strong-x3, and fsrcnn-photo-x3, which is their average: fsrcnn-x3 goes on, with degraded pictures.
set -eu
. "$(dirname "$0")/common.sh"

MILD=fsrcnn-photo-mild-x3 STRONG=fsrcnn-photo-strong-x3 PHOTO="--steps 5000 --lr 0.0012 --share 0.05 --margin 28"
stage "$MILD.plain" train $ALL --scale 3 --init fsrcnn-x3 --degrade photo-mild --steps 40000 --lr 0.003 --scalar-lr 0.0006 --seed 2 $LARGE $COMMON
stage "$STRONG.plain" train $ALL --scale 3 --init "$RUNS/$MILD.plain/best.safetensors" --degrade photo-strong --steps 12000 --lr 0.002 --scalar-lr 0.0004 --seed 2 $LARGE $COMMON
cure "$MILD" "$MILD.plain" --like fsrcnn-x3 --degrade photo-mild $PHOTO
cure "$STRONG" "$STRONG.plain" --like fsrcnn-x3 --degrade photo-strong $PHOTO
"${PYTHON:-python}" "$(dirname "$0")/average.py" "$RUNS/$MILD/best.safetensors" "$RUNS/$STRONG/best.safetensors" --strength 0.5 --output "$RUNS/fsrcnn-photo-x3"
