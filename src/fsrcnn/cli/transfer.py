"""`fsrcnn transfer`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

import typer

from fsrcnn import models
from fsrcnn.architecture import SCALES
from fsrcnn.cli.options import expanded
from fsrcnn.cli.terminal import remark
from fsrcnn.cli.training_options import DataOptions, RecipeOptions, RunOptions
from fsrcnn.cli.training_run import Start, run_training
from fsrcnn.errors import UsageError


@expanded
def transfer(
    start: Annotated[
        str,
        typer.Argument(
            metavar="WEIGHTS", show_default=False,
            help="Weights of another scale: a weights file, a bundled model (fsrcnn-x2), an average (fsrcnn-photo@0.7), "
            "or a family (fsrcnn).",
        ),
    ],
    data: DataOptions,
    scale: Annotated[int, typer.Option("--scale", "-s", help="2, 3 or 4: the scale to go to.")] = 2,
    all_layers: Annotated[
        bool, typer.Option("--all-layers", help="Train all layers, not the deconvolution alone.")
    ] = False,
    *,
    recipe: RecipeOptions,
    run: RunOptions,
) -> None:  # fmt: skip
    """Take trained weights to another scale: all layers but the deconvolution are copied and stay as they are (paper, §3.4)."""
    scales = models.by_scale(start)
    begin = starting_scale(start, scales, scale)
    if len(scales) > 1:
        remark(f"fsrcnn: from {start} at ×{begin} to ×{scale}")
    initial = models.float_weights(scales[begin](), start)
    architecture = initial.architecture.with_scale(scale)
    copied = tuple(f"{stage.name}." for stage in architecture.convolutions)
    frozen = () if all_layers else tuple(name for name in architecture.array_shapes if name.startswith(copied))
    run_training(Start(architecture, initial, start, frozen), data, recipe, run)


def starting_scale(name: str, scales: Collection[int], scale: int) -> int:
    """The scale to start from for a way to `scale`: the model's default, or, where that is the goal itself, the nearest other one.

    Raises:
        UsageError: the model has the goal's scale alone.
    """
    others = [other for other in scales if other != scale]
    if not others:
        goals = " or ".join(f"{{scale={goal}}}" for goal in SCALES if goal != scale)
        raise UsageError(f"{name} is of ×{scale} already", f"give {goals}")
    if models.DEFAULT_SCALE in others:
        return models.DEFAULT_SCALE
    return min(others, key=lambda other: abs(other - scale))
