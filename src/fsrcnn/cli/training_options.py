"""The options that `fsrcnn train` and `fsrcnn transfer` share: data, recipe, run. Defaults of a recipe are those of `Recipe`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, cast

import typer

from fsrcnn.architecture import Architecture
from fsrcnn.cli.options import Json, Recursive, Threads
from fsrcnn.errors import UsageError
from fsrcnn.parallel import Control
from fsrcnn.training.recipe import (
    DEFAULT_RATE,
    DEFAULT_WIDTH,
    DEGRADES,
    LONGEST_WARMUP,
    LOSSES,
    NUMBER_FORMATS,
    OPTIMIZERS,
    SCHEDULES,
    Degrade,
    Loss,
    NumberFormat,
    Optimizer,
    Recipe,
    Schedule,
    usual_validate_every,
)

COMPILE_FROM = 2000  # updates from which half a minute of compilation pays


def _of_each(defaults: dict[Loss, float] | dict[Optimizer, float]) -> str:
    """`0.001 (adam), 0.01 (sgd)`"""
    return ", ".join(f"{value:g} ({name})" for name, value in defaults.items())


@dataclass(frozen=True)
class DataOptions:
    """What a run reads."""

    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="SOURCES...",
            help="Folders of pictures, or HDF5 files of `fsrcnn prepare`. FOLDER:1,0.6 also uses the folder's pictures shrunk to 0.6.",
            show_default=False,
        ),
    ] = None
    train_file: Annotated[
        list[Path] | None, typer.Option(metavar="SOURCE", help="The same as SOURCES.", show_default=False)
    ] = None
    validation: Annotated[
        Path | None,
        typer.Option(
            "--validation", "--eval-file",
            help="Folder of pictures, or HDF5 file of `prepare --eval`, that chooses the best weights. "
            "Default: every 20th picture of the folders is kept for it.",
            show_default=False,
        ),
    ] = None  # fmt: skip
    augment: Annotated[
        bool, typer.Option("--augment", help="Use folders without factors of their own also shrunk to 0.9, 0.8, 0.7, 0.6.")
    ] = False  # fmt: skip
    recursive: Recursive = False

    @property
    def given(self) -> list[Path]:
        """All sources."""
        return [*(self.sources or []), *(self.train_file or [])]


@dataclass(frozen=True)
class RecipeOptions:
    """What a run does; the fields are those of `Recipe`, whose defaults they have."""

    epochs: Annotated[
        int | None, typer.Option("--epochs", "--num-epochs", help="Passes over the data.", show_default=False)
    ] = None
    steps: Annotated[
        int | None,
        typer.Option(help=f"Updates in all, instead of --epochs. Default: {Recipe.steps:,}.", show_default=False),
    ] = None
    batch: Annotated[int, typer.Option("--batch-size", help="Patches per update, over all processes.")] = Recipe.batch
    patch: Annotated[int, typer.Option(help="Side in LR pixels of the patches cut from folders.")] = Recipe.patch
    loss: Annotated[str, typer.Option(help=f"One of {', '.join(LOSSES)} (of each patch's error).")] = Recipe.loss
    loss_width: Annotated[
        float, typer.Option(help=f"Where the loss bends, in luma 0 … 1. 0: {_of_each(DEFAULT_WIDTH)}.")
    ] = Recipe.loss_width
    optimizer: Annotated[
        str, typer.Option(help=f"One of {', '.join(OPTIMIZERS)} (the last two on the kernels, adam on the rest).")
    ] = Recipe.optimizer
    rate: Annotated[
        float | None, typer.Option("--lr", help=f"Peak rate. Default: {_of_each(DEFAULT_RATE)}.", show_default=False)
    ] = None
    scalar_rate: Annotated[
        float, typer.Option("--scalar-lr", help="Adam's rate on biases and slopes beside muon and soap.")
    ] = Recipe.scalar_rate
    last_layer: Annotated[float, typer.Option(help="Factor on the deconvolution's rate; 0.1 in the paper.")] = (
        Recipe.last_layer
    )
    schedule: Annotated[str, typer.Option(help=f"One of {', '.join(SCHEDULES)}.")] = Recipe.schedule
    decay: Annotated[
        float, typer.Option(help="Last part of the run, 0 to 1, in which linear and cosine fall to zero.")
    ] = Recipe.decay
    step_every: Annotated[int, typer.Option(help="Updates after which --schedule step lowers the rate.")] = (
        Recipe.step_every
    )
    step_factor: Annotated[float, typer.Option(help="What it multiplies the rate by.")] = Recipe.step_factor
    warmup: Annotated[
        int | None,
        typer.Option(
            help=f"Updates over which the rate rises. Default: {LONGEST_WARMUP:,}, a tenth of the run at most.", show_default=False
        ),
    ] = None  # fmt: skip
    clip: Annotated[float | None, typer.Option(help="Largest norm of the gradient.", show_default=False)] = Recipe.clip
    average: Annotated[float, typer.Option("--ema", help="Decay of the moving average of the weights; 0: none.")] = (
        Recipe.average
    )
    expand: Annotated[
        int,
        typer.Option(
            help="Train each kernel as a product of two matrices of this inner width (0: plainly); saved folded."
        ),
    ] = Recipe.expand
    contrast: Annotated[
        float, typer.Option(help="Strengthen the contrast of half the patches by up to this factor.")
    ] = Recipe.contrast
    degrade: Annotated[
        str,
        typer.Option(
            help=f"{', '.join(DEGRADES)}: photo makes LR pictures by random blur, shrinking, noise, sharpening and JPEG, "
            "those of validation, too (mild: hardly ever sharpened, strong: every second one); none by MATLAB's bicubic."
        ),
    ] = Recipe.degrade
    number_format: Annotated[
        str, typer.Option(help=f"{', '.join(NUMBER_FORMATS)}, or auto: bf16 where the processor computes with it.")
    ] = "auto"
    seed: Annotated[int, typer.Option(help="Of the first weights, of the order of the data and of --degrade.")] = (
        Recipe.seed
    )
    validate_every: Annotated[
        int | None,
        typer.Option(
            help=f"Updates between validations. Default: an epoch, {Recipe.validate_every:,} at most.", show_default=False
        ),
    ] = None  # fmt: skip

    def check(self) -> None:
        """What can be said before the device is known.

        Raises:
            UsageError: both epochs and steps, a length below 1, or no such number format.
        """
        if self.epochs is not None and self.steps is not None:
            raise UsageError("give either --epochs or --steps")
        for option, value in (
            ("--epochs", self.epochs), ("--steps", self.steps), ("--validate-every", self.validate_every),
        ):  # fmt: skip
            if value is not None and value < 1:
                raise UsageError(f"{option} is at least 1, not {value}")
        for option, number in (("--lr", self.rate), ("--warmup", self.warmup)):
            if number is not None and number < 0:
                raise UsageError(f"{option} is 0 or more, not {number}")
        if self.number_format not in (*NUMBER_FORMATS, "auto"):
            raise UsageError(f"number format is {', '.join(NUMBER_FORMATS)} or auto, not {self.number_format!r}")

    def recipe(
        self,
        architecture: Architecture,
        frozen: tuple[str, ...],
        usual_format: NumberFormat,
        quantize: str | None = None,
    ) -> Recipe:
        """The recipe, but for its length, which may need that of an epoch.

        Args:
            architecture: the network to train.
            frozen: arrays that keep their values.
            usual_format: what `auto` means on this device.
            quantize: a format to fine-tune in.

        Raises:
            UsageError: as `Recipe`, which knows what words and numbers are allowed.
        """
        optimizer = cast(Optimizer, self.optimizer)
        return Recipe(
            architecture,
            batch=self.batch,
            patch=self.patch,
            loss=cast(Loss, self.loss),
            loss_width=self.loss_width,
            optimizer=optimizer,
            rate=Recipe.rate if self.rate is None else self.rate,
            scalar_rate=self.scalar_rate,
            last_layer=self.last_layer,
            schedule=cast(Schedule, self.schedule),
            decay=self.decay,
            step_every=self.step_every,
            step_factor=self.step_factor,
            clip=self.clip,
            average=self.average,
            expand=self.expand,
            contrast=self.contrast,
            degrade=cast(Degrade, self.degrade),
            number_format=usual_format if self.number_format == "auto" else cast(NumberFormat, self.number_format),
            frozen=frozen,
            quantize=quantize,
            seed=self.seed,
        )

    def with_length(self, recipe: Recipe, steps_per_epoch: int) -> Recipe:
        """The recipe with its number of updates, and what depends on it."""
        steps = self.epochs * steps_per_epoch if self.epochs else self.steps or Recipe.steps
        return replace(
            recipe,
            steps=steps,
            warmup=Recipe.warmup if self.warmup is None else self.warmup,
            validate_every=self.validate_every or usual_validate_every(steps_per_epoch),
        )


@dataclass(frozen=True)
class RunOptions:
    """Where a run takes place, and what it leaves."""

    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", "--outputs-dir", metavar="FOLDER", help="Run folder. Default: runs/MODEL-xSCALE.", show_default=False
        ),
    ] = None  # fmt: skip
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the run folder.")] = False
    workers: Annotated[int, typer.Option("--workers", "--num-workers", help="Threads that prepare batches ahead.")] = 0
    device: Annotated[
        str | None,
        typer.Option(
            help="cpu, cuda or mps. Default: the first of cuda, mps, cpu that this machine has.", show_default=False
        ),
    ] = None
    threads: Threads = None
    compile: Annotated[
        bool | None,
        typer.Option(
            "--compile/--no-compile",
            help=f"Let PyTorch compile the step. Default: where there is a compiler and from {COMPILE_FROM:,} updates.",
            show_default=False,
        ),
    ] = None
    as_json: Json = False

    def check(self) -> None:
        """
        Raises:
            UsageError: a number of threads or workers that cannot be.
        """
        Control(self.threads)  # refuses what is no number of threads
        if self.workers < 0:
            raise UsageError(f"--workers is at least 0, not {self.workers}")
