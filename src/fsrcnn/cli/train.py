"""`fsrcnn train`."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Annotated

import typer

from fsrcnn import models
from fsrcnn.architecture import FAMILY_NAMES, Architecture, family
from fsrcnn.cli.options import expanded
from fsrcnn.cli.training_options import DataOptions, RecipeOptions, RunOptions
from fsrcnn.cli.training_run import Start, run_training
from fsrcnn.errors import UsageError
from fsrcnn.integer import FORMATS, format_of


@expanded
def train(
    data: DataOptions,
    scale: Annotated[int, typer.Option("--scale", "-s", help="2, 3 or 4.")] = 3,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", show_default=False,
            help=f"{', '.join(FAMILY_NAMES)}, or three numbers d,s,m as 40,10,3. Default: that of --init, or fsrcnn.",
        ),
    ] = None,
    feature_kernel: Annotated[int | None, typer.Option(help="Side of the first kernel, odd.", show_default=False)] = None,
    deconvolution_kernel: Annotated[
        int | None, typer.Option(help="Side of the last kernel, odd.", show_default=False)
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            "--init", "--weights-file", show_default=False,
            help="What to start from: a family (fsrcnn), a bundled model (fsrcnn-x2), an average (fsrcnn-photo@0.7), "
            "or a weights file.",
        ),
    ] = None,
    quantize: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT", show_default=False,
            help=f"Fine-tune --init through the rounding of an integer model: {', '.join(FORMATS)}. The best one is saved, "
            "as `fsrcnn quantize` makes them.",
        ),
    ] = None,
    *,
    recipe: RecipeOptions,
    run: RunOptions,
) -> None:  # fmt: skip
    """Train a network on folders of pictures or on HDF5 files; the best and the last weights work in `fsrcnn upscale` at once.

    On several GPUs or machines: torchrun --nproc-per-node 2 -m fsrcnn train …
    """
    if quantize is not None:
        format_of(quantize, "quantize")
        if init is None:
            raise UsageError("--quantize fine-tunes finished weights", "give them, as: --init fsrcnn-x2")
    initial = None
    if init is not None:
        initial = models.resolve(init, scale, "fsrcnn transfer takes weights to another scale")
    if initial is not None and (model, feature_kernel, deconvolution_kernel) == (None, None, None):
        architecture = initial.architecture
    else:
        architecture = architecture_of(model or "fsrcnn", scale, feature_kernel, deconvolution_kernel)
    run_training(Start(architecture, initial, init, quantize=quantize), data, recipe, run)


def architecture_of(
    model: str, scale: int, feature_kernel: int | None = None, deconvolution_kernel: int | None = None
) -> Architecture:
    """`fsrcnn-s`, or `40,10,3`, with kernels of one's own.

    Raises:
        UsageError: neither a family name nor three numbers, or numbers that make no network.
    """
    if model in FAMILY_NAMES:
        architecture = family(model, scale)
    elif re.fullmatch(r"\d+,\d+,\d+", model):
        d, s, m = map(int, model.split(","))
        architecture = Architecture(d, s, m, scale=scale)
    else:
        raise UsageError(f"model is {', '.join(FAMILY_NAMES)}, or d,s,m as 40,10,3, not {model!r}")
    changes = {"feature_kernel": feature_kernel, "deconvolution_kernel": deconvolution_kernel}
    given = {name: side for name, side in changes.items() if side is not None}
    return replace(architecture, **given, crop=-1) if given else architecture
