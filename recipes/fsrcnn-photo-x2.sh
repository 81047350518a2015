#!/bin/sh
# fsrcnn-photo-mild-x2, fsrcnn-photo-strong-x2, and fsrcnn-photo-x2, which is their average: fsrcnn-x2 goes on, with degraded pictures.
set -eu
. "$(dirname "$0")/common.sh"

MILD=fsrcnn-photo-mild-x2 STRONG=fsrcnn-photo-strong-x2 PHOTO="--steps 5000 --lr 0.0012 --share 0.05 --margin 28"
stage "$MILD.plain" train $ALL --scale 2 --init fsrcnn-x2 --degrade photo-mild --steps 80000 --lr 0.003 --scalar-lr 0.0006 --seed 2 $LARGE $COMMON
stage "$STRONG.plain" train $ALL --scale 2 --init "$RUNS/$MILD.plain/best.safetensors" --degrade photo-strong --steps 20000 --lr 0.002 --scalar-lr 0.0004 --seed 2 $LARGE $COMMON
cure "$MILD" "$MILD.plain" --like fsrcnn-x2 --degrade photo-mild $PHOTO
cure "$STRONG" "$STRONG.plain" --like fsrcnn-x2 --degrade photo-strong $PHOTO
"${PYTHON:-python}" "$(dirname "$0")/average.py" "$RUNS/$MILD/best.safetensors" "$RUNS/$STRONG/best.safetensors" --strength 0.45 --output "$RUNS/fsrcnn-photo-x2"
