"""Train the bundled `fsrcnn` weights: `python recipes/train_fsrcnn.py --scale 3 --datasets FOLDER`.

FOLDER holds T91, General100, BSDS500-train, Xiph50 and BSDS500-val20 (pictures, one folder per set). The run folder keeps a
checkpoint every 5,000 steps: the same command goes on where a killed one stopped. ×2 starts from scratch, and so does ×3; ×4
starts from the ×3 weights of this recipe.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from fsrcnn import weights
from fsrcnn.architecture import family
from fsrcnn.training import PAPER_SCALES, Progress, Recipe, train

FIRST: dict[str, tuple[float, ...]] = {"T91": PAPER_SCALES}
# BSDS500 pictures are JPEGs: shrunk, their blocks are gone. Xiph50 is large; two sizes of it are enough.
SECOND: dict[str, tuple[float, ...]] = {
    "T91": PAPER_SCALES,
    "General100": PAPER_SCALES,
    "Xiph50": (1.0, 0.6),
    "BSDS500-train": (0.8, 0.6),
}
# Updates, rate and contrast of the finish; ×3 lost more on the validation pictures by a long one, so its is gentle.
FINISH = {2: (40_000, 1e-3, 1.8), 3: (9_000, 3e-4, 1.3), 4: (20_000, 1e-3, 1.8)}
STEPS = {2: 300_000, 3: 130_000, 4: 110_000}


def recipe(scale: int) -> Recipe:
    sources = ((0, FIRST), (10_000, SECOND)) if scale != 4 else ((0, SECOND),)  # ×4 starts from ×3's weights
    return Recipe(family("fsrcnn", scale), sources, STEPS[scale], seed=scale)


def finish(scale: int) -> Recipe:
    """A second run from the weights of the first, at a low rate and with stronger contrasts, so that nothing explodes."""
    steps, rate, contrast = FINISH[scale]
    return Recipe(
        family("fsrcnn", scale), ((0, SECOND),), steps, rate=rate, scalar_rate=rate / 5, warmup=500, decay=1.0,
        seed=10 + scale, contrast=contrast, huber=0.25,
    )  # fmt: skip


def report(progress: Progress) -> None:
    remaining = progress.seconds / progress.step * (progress.steps - progress.step)
    print(
        f"step {progress.step:,}/{progress.steps:,}  loss {progress.loss_db:.3f} dB  validation {progress.validation_db:.3f} dB"
        f"  best {progress.best_db:.3f}  {progress.seconds / 60:.0f} min, {remaining / 60:.0f} min left",
        file=sys.stderr, flush=True,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=int, choices=(2, 3, 4), required=True)
    parser.add_argument("--datasets", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the run folders")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    scale, validation = arguments.scale, arguments.datasets / "BSDS500-val20"
    run = arguments.runs / f"fsrcnn-x{scale}"
    initial = weights.load(arguments.runs / "fsrcnn-x3-base" / "best.safetensors") if scale == 4 else None
    base = run.with_name(f"{run.name}-base")
    first = train(recipe(scale), arguments.datasets, validation, base, initial=initial, report=report)
    # A short finish is validated more often, so that "best" has something to choose from.
    every = 3000 if FINISH[scale][0] < 10_000 else 5000
    train(finish(scale), arguments.datasets, validation, run, initial=first, report=report, validate_every=every)


if __name__ == "__main__":
    main()
