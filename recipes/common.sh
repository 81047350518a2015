# Sourced by the recipes. DATASETS: the folder that holds T91, General100, Xiph50, BSDS500-train and BSDS500-val20. RUNS: where run folders go.
: "${DATASETS:?say where the pictures are: DATASETS=../shared/datasets sh recipes/fsrcnn-x3.sh}"
RUNS="${RUNS:-runs}"
FSRCNN="${FSRCNN:-fsrcnn}"
PAPER=1,0.9,0.8,0.7,0.6 # the paper's shrunk copies; the quarter turns (and mirrorings) are drawn per patch
T91="$DATASETS/T91:$PAPER"
# BSDS500 pictures are JPEGs: shrunk, their blocks are gone. Xiph50 is large; two sizes of it are enough.
ALL="$T91 $DATASETS/General100:$PAPER $DATASETS/Xiph50:1,0.6 $DATASETS/BSDS500-train:0.8,0.6"
COMMON="--validation $DATASETS/BSDS500-val20 --optimizer soap --loss log --contrast 1.5 --threads 1 --compile"
FAST="--patch 20 --batch-size 16 --number-format bf16 --validate-every 5000 --warmup 500"
LARGE="--patch 40 --batch-size 8 --number-format bf16 --validate-every 5000 --warmup 500"
FINISH="--patch 40 --batch-size 8 --number-format fp32 --validate-every 2000 --warmup 200 --lr 0.0015 --scalar-lr 0.0003"

# On natural contrast and large batches, the range held by sheets of text. DEVICE=cuda: minutes in place of a night.
NATURAL="--contrast 1 --batch-size 64 --share 0.02 --margin 40 --device ${DEVICE:-cpu}"

# stage RUN COMMAND…: runs one stage, goes on with it where it was killed, leaves it alone where it is finished.
stage() {
    folder="$RUNS/$1"
    shift
    resume=
    [ -e "$folder/checkpoint.pt" ] && resume=--resume
    # shellcheck disable=SC2086  # the variables above are lists of options
    $FSRCNN "$@" --output "$folder" $resume
}

# cure RUN FROM OPTIONS…: cures the network of the run FROM of the sparks it puts beside small text; goes on as `stage` does.
cure() {
    folder="$RUNS/$1" from="$RUNS/$2/best.safetensors"
    shift 2
    "${PYTHON:-python}" "$(dirname "$0")/cure.py" --model "$from" --datasets "$DATASETS" --output "$folder" "$@"
}

# photo SCALE MILD STRONG STRENGTH: fsrcnn goes on with degraded pictures, MILD updates of hardly ever sharpened ones, from there STRONG updates of
# sharpened ones; both are cured, on sheets as fsrcnn enlarges them, and fsrcnn-photo is their average at that strength.
photo() {
    mild="fsrcnn-photo-mild-x$1" strong="fsrcnn-photo-strong-x$1"
    stage "$mild.plain" train $ALL --scale "$1" --init "fsrcnn-x$1" --degrade photo-mild --steps "$2" --lr 0.003 --scalar-lr 0.0006 --seed 2 $LARGE $COMMON
    stage "$strong.plain" train $ALL --scale "$1" --init "$RUNS/$mild.plain/best.safetensors" --degrade photo-strong --steps "$3" --lr 0.002 --scalar-lr 0.0004 --seed 2 $LARGE $COMMON
    sheets="--like fsrcnn-x$1 --steps 5000 --lr 0.0012 --share 0.05 --margin 28"
    cure "$mild" "$mild.plain" --degrade photo-mild $sheets
    cure "$strong" "$strong.plain" --degrade photo-strong $sheets
    "${PYTHON:-python}" "$(dirname "$0")/average.py" "$RUNS/$mild/best.safetensors" "$RUNS/$strong/best.safetensors" --strength "$4" --output "$RUNS/fsrcnn-photo-x$1"
}
