"""`fsrcnn export TARGET MODEL`: the targets, and what their commands share. The command of a target lives in `export_TARGET.py`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from fsrcnn import models, pretrained
from fsrcnn.cli.commands import CONTEXT, Commands
from fsrcnn.cli.convert import OURS, free
from fsrcnn.cli.terminal import print_json, report
from fsrcnn.errors import UsageError, printable
from fsrcnn.weights import Weights

TARGETS = {
    "onnx": "export_onnx:export_onnx",
    "mpv": "export_mpv:export_mpv",
    "rtl": "export_rtl:export_rtl",
}
"""Target → the module in this folder and the function in it, in the order of `fsrcnn export --help`."""

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        show_default=False,
        help="A family (fsrcnn), a bundled model (fsrcnn-x2), an average (fsrcnn-photo@0.7), or a weights file.",
    ),
]
Scale = Annotated[
    int | None, typer.Option("--scale", "-s", show_default=False, help="2, 3 or 4: of a family or an average. Default: 2.")
]  # fmt: skip
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        show_default=False,
        help="File, or a folder that exists. Default: the model's name with its scale, here; beside a weights file.",
    ),
]


class Targets(Commands):
    """The commands of `TARGETS`."""

    table = TARGETS

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """
        Raises:
            UsageError: no such target.
        """
        name, *_ = args
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            raise UsageError(f"there is no target {name!r}; there are {', '.join(TARGETS)}")
        return super().resolve_command(ctx, args)


export = typer.Typer(
    cls=Targets,
    subcommand_metavar="TARGET [ARGS]...",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings=CONTEXT,
)


@export.callback()
def _root() -> None:
    """Write a model as what other programs run."""


class Order(NamedTuple):
    """What is to be exported, and where to.

    Attributes:
        name: of the model, with its scale.
        weights: of the model.
        target: the file.
    """

    name: str
    weights: Weights
    target: Path


def order(model: str, scale: int | None, output: Path | None, ending: str, overwrite: bool) -> Order:
    """Settle a command's model and file before anything is computed.

    Args:
        model, scale, output, overwrite: as given.
        ending: of the target's files: `.onnx`.

    Raises:
        UsageError: no such model, or not of that scale; the output has another ending, is the model's own file, or exists and is not
            to be replaced.
        WeightsError: the file is not a weights file.
    """
    weights = models.resolve(model, scale)
    default = default_output(model, weights, ending)
    target = default if output is None else output / default.name if output.is_dir() else output
    if target.suffix.lower() != ending:
        raise UsageError(f"the output ends in {ending}, and {target} does not", f"give an output as {default.name}")
    return Order(default.name.removesuffix(ending), weights, free(target, Path(model), overwrite))


def default_output(model: str, weights: Weights, ending: str) -> Path:
    """`fsrcnn` at ×3 → `fsrcnn-x3.onnx`, `fsrcnn-x2.t91` → `fsrcnn-x2.t91.onnx`, here; `runs/best.safetensors` → `runs/best.onnx`."""
    if model in pretrained.FAMILIES or models.is_average(model):
        return Path(pretrained.name_of(model, weights.architecture.scale) + ending)
    path = Path(model)
    return path.with_name((path.stem if path.suffix.lower() == OURS else path.name) + ending)


def say_written(done: Order, described: str, details: Mapping[str, object], as_json: bool) -> None:
    """Say on standard output what was written.

    Args:
        done: the order.
        described: what it is, for people: "ONNX, opset 13".
        details: what it is, for programs, behind model, scale, output and bytes.
        as_json: for programs.
    """
    a, written = done.weights.architecture, f"{done.target} is written"
    size = done.target.stat().st_size
    if as_json:
        listed = {"model": done.name, "scale": a.scale, "output": str(done.target), "bytes": size, **details}
        print_json(listed, written)
        return
    report(
        f"{printable(str(done.target))}: {printable(done.name)}, FSRCNN({a.d}, {a.s}, {a.m}) ×{a.scale}, {described}, {size:,} bytes",
        written,
    )
