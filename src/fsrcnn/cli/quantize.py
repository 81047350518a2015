"""`fsrcnn quantize`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fsrcnn import calibration, models
from fsrcnn.cli.convert import OURS, free
from fsrcnn.cli.export import Model, Scale, default_output
from fsrcnn.cli.options import Json, Overwrite
from fsrcnn.cli.terminal import print_json, report
from fsrcnn.errors import UsageError, printable
from fsrcnn.integer import FORMATS, SUM_BITS, format_of


def quantize(
    model: Model,
    scale: Scale = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", show_default=False,
            help="File, or a folder that exists. Default: the model's name with scale and format, here; beside a weights file.",
        ),
    ] = None,
    format: Annotated[
        str, typer.Option(metavar="NAME", help=f"{', '.join(FORMATS)}: bits of kernels (w) and of features (a).")
    ] = "w12a12",
    pictures: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", show_default=False,
            help="High-resolution pictures like those to be made larger; 8-bit features mostly gain by them. Default: a drawn sheet.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Make an integer model of float weights: what a chip core computes, whole numbers from end to end.

    `upscale`, `video`, `evaluate` and `test` take the file as any other, and compute to the last bit what the core does.
    """
    kernel_bits, feature_bits = format_of(format)
    weights = models.resolve(model, scale)
    default = default_output(model, weights, f".{format}{OURS}")
    target = default if output is None else output / default.name if output.is_dir() else output
    if target.suffix.lower() != OURS:
        raise UsageError(f"the output ends in {OURS}, and {target} does not", f"give an output as {default.name}")
    target = free(target, Path(model), overwrite)
    lumas = None if pictures is None else calibration.lumas_of(pictures, weights.architecture.scale)
    quantized = calibration.quantised(weights, format, lumas)
    quantized.save(target, overwrite=overwrite)
    a, written, size = weights.architecture, f"{target} is written", target.stat().st_size
    name = default.name.removesuffix(f".{format}{OURS}")
    sums = {stage.name: quantized.sum_bits(stage.name) for stage in a.stages}
    if as_json:
        listed = {
            "model": name, "scale": a.scale, "output": str(target), "bytes": size, "format": format, "kernel_bits": kernel_bits,
            "feature_bits": feature_bits, "sum_bits": sums,
        }  # fmt: skip
        print_json(listed, written)
        return
    lines = [
        f"{printable(str(target))}: {printable(name)}, FSRCNN({a.d}, {a.s}, {a.m}) ×{a.scale}, integer model {format}, {size:,} bytes",
        f"bits with sign: kernels {kernel_bits}, features {feature_bits}, sums (of {SUM_BITS} at most)",
        *(f"  {stage:<20}{bits:>3}" for stage, bits in sums.items()),
    ]
    report("\n".join(lines), written)
