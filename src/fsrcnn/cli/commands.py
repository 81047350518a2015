"""The commands by their names; the file of one is imported when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
import typer.core
import typer.main

CONTEXT = {
    "help_option_names": ["-h", "--help"],
    "token_normalize_func": lambda name: name.replace("_", "-"),  # --batch_size is --batch-size
}
COMMANDS = {
    "upscale": "upscale:upscale",
    "video": "video:video",
    "serve": "serve:serve",
    "evaluate": "evaluate:evaluate",
    "models": "models:models",
    "prepare": "prepare:prepare",
    "train": "train:train",
    "transfer": "transfer:transfer",
    "test": "test:measure",
    "convert": "convert:convert",
    "quantize": "quantize:quantize",
    "export": "export:export",
}
"""Command → the module in this folder and the function in it, or its group of commands, in the order of `fsrcnn --help`."""


class Commands(typer.core.TyperGroup):
    """The commands of a table; one that is not asked for is not imported: half of the start-up of `upscale` otherwise.

    Attributes:
        table: as `COMMANDS`, which a group of commands replaces by its own.
    """

    table = COMMANDS

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        names: Any = dict.fromkeys(self.table)
        self.commands = names  # for lists and for "did you mean"; `get_command` makes what belongs to them

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.table:
            return None
        from fsrcnn.cli.options import Command

        module, _, name = self.table[cmd_name].partition(":")
        command = getattr(import_module(f"fsrcnn.cli.{module}"), name)
        if isinstance(command, typer.Typer):
            return typer.main.get_command(command)
        single = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings=CONTEXT)
        single.command(cmd_name, cls=Command)(command)
        return typer.main.get_command(single)


app = typer.Typer(
    name="fsrcnn",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=CONTEXT,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from fsrcnn import __version__

        typer.echo(f"fsrcnn {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Make pictures larger with FSRCNN, a super-resolution network of 12,464 weights."""
