"""`fsrcnn export rtl`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fsrcnn import models
from fsrcnn.cli import options
from fsrcnn.cli.convert import OURS
from fsrcnn.cli.terminal import print_json, remark, report
from fsrcnn.errors import printable
from fsrcnn.export import rtl, synthesis


def export_rtl(
    model: Annotated[
        str, typer.Argument(metavar="CORE", show_default=False, help="A file of whole numbers, as `fsrcnn quantize` makes it.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", show_default=False, help="Folder. Default: the file's name without its ending, here."),
    ] = None,
    width: Annotated[
        int, typer.Option(help=f"LR pixels in a row, at most: 1 to {rtl.LARGEST_WIDTH}. The height is free.")
    ] = rtl.WIDTH,
    cycles: Annotated[
        int, typer.Option(help="Cycles for each LR pixel, 1 to 64: fewer are faster, and take more multipliers.")
    ] = rtl.CYCLES,
    depth: Annotated[int, typer.Option(help="Bits of luma that goes in and out: 8 or 10.")] = 8,
    costs: Annotated[
        bool,
        typer.Option(
            "--report",
            help="Synthesise it, too, for UltraScale+, the 7 series and ECP5: what each layer takes, into report.md and report.json. "
            "Takes minutes for each.",
        ),
    ] = False,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:  # fmt: skip
    """A chip core in Verilog, with its memories, vectors and test bench: for FPGAs, by Vivado, Yosys, Verilator."""
    integer = models.integer_model(model)
    stem = Path(model).name.removesuffix(OURS)
    folder = output or Path(stem)
    if costs:
        synthesis.check_tools()
    plan = rtl.write(integer, folder, width=width, cycles=cycles, depth=depth, name=stem, overwrite=overwrite)
    a, written = integer.architecture, f"{folder} is written"
    height = max(1, width * 9 // 16)  # it is free: that of a film, for frames a second
    frame = synthesis.Frame(height, width, plan.frame_cycles(width, height))
    reports = [synthesis.report(folder, target, watch=remark) for target in synthesis.TARGETS] if costs else []
    if costs:
        synthesis.write(folder, reports, frame)
    if as_json:
        listed = {
            "model": stem, "scale": a.scale, "output": str(folder), "format": integer.format, "width": width, "depth": depth,
            "cycles": plan.cycles, "pixels_per_beat": plan.pixels, "multipliers": plan.multipliers,
            "layers": {layer.name: {"multipliers": layer.multipliers, "cycles": layer.cycles} for layer in plan.layers},
            **({"report": synthesis.as_data(reports, frame)} if costs else {}),
        }  # fmt: skip
        print_json(listed, written)
        return
    lines = [
        f"{printable(str(folder))}: FSRCNN({a.d}, {a.s}, {a.m}) ×{a.scale}, {integer.format}, {depth}-bit luma, rows of up to {width} "
        f"LR pixels, {plan.cycles} cycle{'s' if plan.cycles > 1 else ''} for each",
        f"{plan.multipliers} multipliers: {', '.join(f'{layer.name} {layer.multipliers}' for layer in plan.layers)}",
        *(synthesis.in_a_line(found, frame) for found in reports),
    ]
    report("\n".join(lines), written)
