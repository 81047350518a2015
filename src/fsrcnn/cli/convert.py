"""`fsrcnn convert`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from fsrcnn import foreign, pretrained, weights
from fsrcnn.errors import UsageError

OURS = ".safetensors"


def convert(
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="A .mat, .h5, .pth or .safetensors file, or a bundled model.")
    ],
    output: Annotated[
        Path | None,
        typer.Argument(
            help=".safetensors, .h5 (Keras) or .pth (PyTorch port). Default: INPUT's name with .safetensors.", show_default=False
        ),
    ] = None,
    scale: Annotated[
        int | None, typer.Option("--scale", "-s", help="Where neither the file nor its name says it.", show_default=False)
    ] = None,
    crop: Annotated[
        int | None,
        typer.Option(help="HR rows cut before the deconvolution's first, if not as usual for the format.", show_default=False),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")] = False,
) -> None:  # fmt: skip
    """Turn other people's FSRCNN checkpoints into ours, and ours into theirs. No code in a file is ever run."""
    path = Path(source)
    bundled = source in pretrained.table()
    target = output or (Path(f"{source}{OURS}") if bundled else path.with_suffix(OURS))
    if target.exists() and not overwrite:
        raise UsageError(f"{target} exists; give --overwrite or another output")
    if bundled:
        loaded = pretrained.load(source)
    elif path.suffix.lower() == OURS:
        loaded = weights.load(path)
    else:
        loaded = foreign.read(path, scale, crop)
    note = None
    if target.suffix.lower() == OURS:
        loaded.save(target)
    else:
        note = foreign.write(loaded, target)
    a = loaded.architecture
    print(
        f"{target}: FSRCNN({a.d}, {a.s}, {a.m}) ×{a.scale}, kernels {a.feature_kernel}×{a.feature_kernel} and "
        f"{a.deconvolution_kernel}×{a.deconvolution_kernel}, crop {a.crop}, {a.weight_count:,} weights"
    )
    if path.suffix.lower() == ".mat":
        note = (
            f"these weights were trained with replicated borders, here borders are zeros: pixels within {a.halo} LR pixels of the "
            "picture's edge suffer (on whole Set5 pictures 0.3 to 0.9 dB with FSRCNN, 0.2 to 5.2 dB with SRCNN), the others are exact"
        )
    if note:
        print(f"fsrcnn: {note}", file=sys.stderr)
