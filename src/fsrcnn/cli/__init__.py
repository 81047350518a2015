"""The command line: parse, call, print. Each command lives in a file of its own."""

from __future__ import annotations

import sys
import warnings
from typing import Annotated, TextIO

import typer

import fsrcnn
from fsrcnn.cli.convert import convert
from fsrcnn.cli.evaluate import evaluate
from fsrcnn.cli.models import models
from fsrcnn.cli.options import as_option
from fsrcnn.cli.prepare import prepare
from fsrcnn.cli.test import measure
from fsrcnn.cli.train import train
from fsrcnn.cli.transfer import transfer
from fsrcnn.cli.upscale import upscale
from fsrcnn.errors import EngineWarning, FsrcnnError

CONTEXT = {
    "help_option_names": ["-h", "--help"],
    "token_normalize_func": lambda name: name.replace("_", "-"),  # --batch_size is --batch-size
}

app = typer.Typer(
    name="fsrcnn",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=CONTEXT,
)
app.command()(upscale)
app.command()(evaluate)
app.command()(models)
app.command()(prepare)
app.command()(train)
app.command()(transfer)
app.command("test")(measure)
app.command()(convert)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fsrcnn {fsrcnn.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Make pictures larger with FSRCNN, a super-resolution network of 12,464 weights."""


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None,
    line: str | None = None,
) -> None:  # fmt: skip
    if issubclass(category, EngineWarning):
        print(f"fsrcnn: {message}", file=sys.stderr)
    else:
        print(warnings.formatwarning(message, category, filename, lineno, line), end="", file=file or sys.stderr)


def main() -> None:
    """The entry point `fsrcnn`: an error or a warning of ours is one line on stderr; an error has its exit code."""
    warnings.showwarning = _show_warning
    try:
        app()
    except FsrcnnError as error:
        print(f"fsrcnn: {error.sentence(as_option)}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone; nothing is left to say
        sys.exit(1)
