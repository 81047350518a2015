"""Cure a network of the sparks it puts beside small text: `python recipes/cure.py --model fsrcnn-x2 --datasets FOLDER --output RUN`.

The network goes on learning from the pictures of the recipes, and one patch in twenty-odd is cut from a sheet of text or tiles
(`fsrcnn.training.sheets`), whose HR picture is what the network made before, kept near the range of the pixels around: it unlearns the
sparks and nothing else. The same command goes on with a run that was killed, and leaves a finished one alone.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from fsrcnn import cli, engines, models
from fsrcnn.arguments import number, whole_number
from fsrcnn.cli.terminal import remark
from fsrcnn.errors import FsrcnnError, UsageError
from fsrcnn.training import loop, place
from fsrcnn.training.batches import Batch, Source, generator_of
from fsrcnn.training.contents import digest_of
from fsrcnn.training.data import open_data
from fsrcnn.training.history import Progress
from fsrcnn.training.recipe import DEGRADES, Recipe
from fsrcnn.training.sheets import sheets_to_learn
from fsrcnn.training.sources import Patches

# As in common.sh; `FOLDER:factors` as `fsrcnn train` takes it.
PICTURES = ("T91:1,0.9,0.8,0.7,0.6", "General100:1,0.9,0.8,0.7,0.6", "Xiph50:1,0.6", "BSDS500-train:0.8,0.6")
VALIDATION = "BSDS500-val20"
SHEETS = 150


class WithSheets:
    """Batches of a source, in which some patches are replaced by patches of sheets."""

    def __init__(self, source: Source, sheets: Source, share: float, seed: int) -> None:
        """
        Args:
            source: of patches without a mask.
            sheets: of batches and patches of the same size.
            share: of the patches that are replaced, on average.
            seed: of the choice.
        """
        self.source, self.sheets, self.share, self.seed = source, sheets, share, seed
        self.steps_per_epoch = source.steps_per_epoch

    def draw(self, step: int) -> Batch:
        """The batch of update number `step`: a function of (seed, step) alone."""
        batch, sheets = self.source.draw(step), self.sheets.draw(step)
        chosen = torch.rand(len(batch.lr), generator=generator_of(self.seed, step)) < self.share
        batch.lr[chosen], batch.phases[chosen] = sheets.lr[chosen], sheets.phases[chosen]
        return batch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, help="what to cure: bundled weights, as fsrcnn-x2, or a weights file")
    parser.add_argument("--datasets", type=Path, required=True, help="holds the folders of pictures of the recipes")
    parser.add_argument("--output", type=Path, required=True, help="run folder")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--lr", type=float, default=0.0006, help="of the kernels; biases and slopes take a fifth")
    parser.add_argument("--loss-width", type=float, default=0, help="of the log loss; 0: its usual 0.02")
    parser.add_argument(
        "--contrast", type=float, default=1.5, help="half of the patches get up to this times theirs; 1: none do"
    )
    parser.add_argument("--patch", type=int, default=40, help="side of a patch in LR pixels")
    parser.add_argument("--batch-size", type=int, default=8, help="patches per update")
    parser.add_argument(
        "--degrade", choices=DEGRADES, default="none", help="how the pictures of the recipes come about"
    )
    parser.add_argument(
        "--like", help="the model whose output is learned on the sheets; without it, the cured one's own"
    )
    parser.add_argument("--share", type=float, default=0.04, help="of patches that are cut from sheets")
    parser.add_argument("--margin", type=float, default=30, help="levels that luma may lie beyond the pixels around")
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()

    whole_number(arguments.threads, "threads")
    for name, most in (("share", 1), ("margin", 255)):
        allowed = f"a number from 0 to {most}"
        if not 0 <= number(getattr(arguments, name), name, allowed) <= most:
            raise UsageError(f"is {allowed}, not {getattr(arguments, name):g}", argument=name)
    initial = models.resolve(arguments.model)
    scale = initial.architecture.scale
    liked = initial if arguments.like is None else models.resolve(arguments.like, scale)
    recipe = Recipe(
        initial.architecture, steps=arguments.steps, patch=arguments.patch, batch=arguments.batch_size, loss="log",
        loss_width=arguments.loss_width, optimizer="soap", rate=arguments.lr, scalar_rate=arguments.lr / 5,
        contrast=arguments.contrast, degrade=arguments.degrade, warmup=min(200, arguments.steps // 10), validate_every=2000,
        seed=arguments.seed,
    )  # fmt: skip
    _, device = place.join(arguments.device, arguments.threads)
    folders = [arguments.datasets / name for name in PICTURES]
    unread: list[FsrcnnError] = []
    data = open_data(folders, arguments.datasets / VALIDATION, recipe, warn=unread.append, note=remark)
    for error in unread:
        remark(str(error))
    margin = arguments.margin / 255
    sheets = sheets_to_learn(engines.create(liked), SHEETS, margin, recipe.seed)
    source = WithSheets(
        data.source,
        Patches(sheets, scale, recipe.patch, recipe.batch, recipe.seed + 1, recipe.contrast),
        arguments.share,
        recipe.seed + 2,
    )
    # What is learned from sheets is part of what the run has read: it goes on with the same alone.
    known = [array for weights in (initial, liked) for _, array in sorted(weights.arrays.items())]
    learned = digest_of(np.array([arguments.share, margin]), *(sheet.lr for sheet in sheets), *known)
    contents = replace(data.contents, training=[*data.contents.training, {"sheets": learned}])

    def report(progress: Progress) -> None:
        if progress.validated:
            print(
                f"update {progress.step:,}/{progress.steps:,}  validation {progress.validation_db:.3f} dB", flush=True
            )

    loop.train(
        recipe, source, data.validation, arguments.output, initial=initial, device=device, contents=contents, report=report,
        resume=(arguments.output / "checkpoint.pt").exists(), compile=place.can_compile(device) and recipe.steps >= 2000,
        described={"data": data.described, "initial": arguments.model, "sheets": SHEETS, "share": arguments.share,
                   "margin": arguments.margin, "like": arguments.like, "device": device, "threads": arguments.threads},
    )  # fmt: skip
    if unread:
        raise SystemExit(1)


if __name__ == "__main__":
    cli.run(main)
