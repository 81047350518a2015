#!/bin/sh
# Integer models of 8-bit features, fine-tuned through the rounding: sh recipes/cores.sh [FAMILY…], fsrcnn-x and fsrcnn by default, ×2, ×3 and ×4.
# The other formats need no training: docs/chip-core.md says what `fsrcnn quantize` loses.
set -eu
. "$(dirname "$0")/common.sh"

SMALL=1,0.8,0.6
SOURCES="$DATASETS/T91:$SMALL $DATASETS/General100:$SMALL $DATASETS/BSDS500-train:0.8,0.6"
ROUNDED="--validation $DATASETS/BSDS500-val20 --optimizer soap --loss log --threads 1 --compile --patch 20 --batch-size 16 --validate-every 1000 --warmup 100 --seed 6"

for family in ${*:-fsrcnn-x fsrcnn}; do
    case $family in
        fsrcnn) length="--steps 3000 --lr 0.0008 --scalar-lr 0.0002" ;;
        *) length="--steps 8000 --lr 0.002 --scalar-lr 0.0004" ;;
    esac
    for scale in 2 3 4; do
        stage "$family-x$scale.w8a8" train $SOURCES --scale "$scale" --init "$family-x$scale" --quantize w8a8 $length $ROUNDED
    done
done
