"""`fsrcnn convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fsrcnn import foreign, models, pretrained
from fsrcnn.cli import options
from fsrcnn.cli.terminal import remark, report
from fsrcnn.errors import UsageError, printable
from fsrcnn.files import resolved
from fsrcnn.weights import Weights

OURS = ".safetensors"


def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="A .mat, .h5, .pth, .ckpt, .safetensors or .pb file, or a model: a family, a bundled one, an "
            "average (fsrcnn-photo@0.7), our file.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Argument(
            help=".safetensors, .h5 (Keras) or .pth (PyTorch port). Default: INPUT's name with .safetensors, of a model of several "
            "scales with its scale; of a .safetensors of others with -fsrcnn.safetensors.",
            show_default=False,
        ),
    ] = None,
    scale: Annotated[
        int | None,
        typer.Option(
            "--scale", "-s", show_default=False, help="Of a family or an average, or where neither a file nor its name says it."
        ),
    ] = None,
    crop: Annotated[
        int | None,
        typer.Option(
            help="HR rows cut before the deconvolution's first, if not as usual for the file's kind.", show_default=False
        ),
    ] = None,
    overwrite: options.Overwrite = False,
) -> None:  # fmt: skip
    """Turn other people's FSRCNN checkpoints into ours, and ours into theirs. No code in a file is ever run."""
    path = Path(source)
    notes: list[str] = []
    if foreign.is_foreign(path):
        target = free(output or beside(path), path, overwrite)
        weights = foreign.read(path, scale, crop, notes.append)
    else:
        if crop is not None:
            raise UsageError(f"{source} says its crop itself; --crop is for other people's files")
        weights = models.resolve(source, scale)
        target = free(output or default_output(source, weights), path, overwrite)
    if target.suffix.lower() == OURS:
        weights.save(target, overwrite=overwrite)
    elif (change := foreign.write(weights, target, overwrite=overwrite)) is not None:
        notes.append(change)
    a = weights.architecture
    report(
        f"{printable(str(target))}: FSRCNN({a.d}, {a.s}, {a.m}) ×{a.scale}, kernels {a.feature_kernel}×{a.feature_kernel} and "
        f"{a.deconvolution_kernel}×{a.deconvolution_kernel}, crop {a.crop}, {a.weight_count:,} weights",
        f"{target} is written",
    )
    for note in notes:
        remark(f"fsrcnn: {note}")


def beside(path: Path) -> Path:
    """`net.pth.tar` → `net.safetensors`; `net.safetensors` → `net-fsrcnn.safetensors`: the file that is read stays."""
    if path.suffix.lower() == OURS:
        return path.with_name(f"{path.stem}-fsrcnn{OURS}")
    while path.suffix.lower() in foreign.CHECKPOINTS:
        path = path.with_suffix("")
    return path.with_name(path.name + OURS)


def default_output(source: str, weights: Weights) -> Path:
    """`fsrcnn` at ×3 → `fsrcnn-x3.safetensors`, `fsrcnn-x2.t91` → `fsrcnn-x2.t91.safetensors`, here; so for a file of ours beside it.

    Nothing behind a dot is taken away: in `fsrcnn-photo@0.7`, which at ×3 is `fsrcnn-photo@0.7-x3.safetensors`, it is no ending.
    """
    if source in pretrained.FAMILIES or models.is_average(source):
        return Path(pretrained.name_of(source, weights.architecture.scale) + OURS)
    return Path(source if source.lower().endswith(OURS) else source + OURS)


def free(target: Path, source: Path, overwrite: bool) -> Path:
    """
    Raises:
        UsageError: it is the source, or exists and is not to be replaced.
    """
    if resolved(target) == resolved(source):
        raise UsageError(f"the output {target} is also the input", "give another output")
    if target.exists() and not overwrite:
        raise UsageError(f"{target} exists", "give {overwrite=True} to replace it, or another output")
    return target
