"""Options that several commands share: said once, spelled alike everywhere; and how this door spells the remedies of errors."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from typing import Annotated, Any, get_type_hints

import typer
import typer.core

from fsrcnn.engines import ENGINE_NAMES

Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        help="A family (fsrcnn), a bundled model (fsrcnn-x2; see `fsrcnn models`), an average of two (fsrcnn-photo@0.7), or a "
        "weights file.",
    ),
]
Factor = Annotated[
    float | None,
    typer.Option(
        "--scale",
        "-s",
        help="Factor: 2, 3, 4, or any number above 1 up to 64. Default: the scale of the model, 2 for auto or a family.",
        show_default=False,
    ),
]
Width = Annotated[
    int | None, typer.Option(help="Exact width in pixels (the height follows, unless given too).", show_default=False)
]
Height = Annotated[
    int | None, typer.Option(help="Exact height in pixels (the width follows, unless given too).", show_default=False)
]
Fit = Annotated[
    str | None, typer.Option(metavar="WxH", help="As large as fits into this box, as 3840x2160.", show_default=False)
]
EngineName = Annotated[str, typer.Option("--engine", help=f"One of {', '.join(ENGINE_NAMES)}.")]
Precision = Annotated[str, typer.Option(help="exact, or fast (16-bit whole numbers; at most 0.005 dB less on Set5).")]
Threads = Annotated[int | None, typer.Option(help="CPU threads. Default: all.", show_default=False)]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")]
Recursive = Annotated[bool, typer.Option("--recursive", "-r", help="Look into the folders of folders, too.")]
Json = Annotated[bool, typer.Option("--json", help="Print what was done as JSON on standard output.")]

# Arguments whose option has another name, or belongs to another command.
OPTIONS = {
    "rate": "--lr",
    "scalar_rate": "--scalar-lr",
    "batch": "--batch-size",
    "average": "--ema",
    "factor": "--scale",
    "run": "--output",
    "initial": "--init",
    "whole": "`fsrcnn prepare --eval`",
}
FLAGS = {("existing", "'skip'"): "--skip-existing", ("existing", "'replace'"): "--overwrite"}


_running: ContextVar[frozenset[str]] = ContextVar("options of the command that runs")


class Command(typer.core.TyperCommand):
    """A command of which `as_option` knows the options."""

    def invoke(self, ctx: Any) -> Any:
        _running.set(frozenset(option for parameter in self.params for option in parameter.opts))
        return super().invoke(ctx)


def as_option(name: str, value: str | None) -> str | None:
    """How a remedy spells an argument here: `max_pixels`, "900" → `--max-pixels 900`; `overwrite`, "True" → `--overwrite`.

    None where the command that runs has no such option: nobody is told to give what does not exist.
    """
    if value is not None and (name, value) in FLAGS:
        option, value = FLAGS[name, value], None
    else:
        option = OPTIONS.get(name, f"--{name.replace('_', '-')}")
    if option.startswith("--") and option not in _running.get(frozenset({option})):
        return None
    return option if value in (None, "True") else f"{option} {str(value).strip(chr(39))}"


def expanded(command: Callable[..., None]) -> Callable[..., None]:
    """A command for typer of which each parameter that is a dataclass is spelt out: its fields become parameters of the command.

    So several commands share a list of options, and get it as one typed object: of `def train(scale: Scale, run: RunOptions)`, where
    `RunOptions` has the fields `output` and `resume`, typer sees `train(scale, output, resume)`.
    """
    parameters: list[inspect.Parameter] = []
    groups: dict[str, Any] = {}
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        if dataclasses.is_dataclass(parameter.annotation):
            group = groups[parameter.name] = parameter.annotation
            hints = get_type_hints(group, include_extras=True)
            parameters += [
                inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name])
                for field in dataclasses.fields(group)
            ]  # fmt: skip
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(command)
    def called(**arguments: Any) -> None:
        for name, group in groups.items():
            arguments[name] = group(**{field.name: arguments.pop(field.name) for field in dataclasses.fields(group)})
        command(**arguments)

    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return called
