"""What a person sees in the terminal: a progress bar on standard error, reports and tables on standard output."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fsrcnn.errors import FsrcnnError
from fsrcnn.files import explained

if TYPE_CHECKING:
    from rich.table import Table

Update = Callable[[float, str | None], None]
"""(part done 0 … 1, new label or None)."""


def report(text: str, done: str = "") -> None:
    """Print on standard output what a command found or did.

    Args:
        text: lines.
        done: what was done all the same where they cannot be printed: "out.h5 is written".

    Raises:
        FsrcnnError: standard output is closed or full.
        BrokenPipeError: its reader has gone.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        sentence = f"cannot write to standard output: {explained(error)}"
        raise FsrcnnError(f"{sentence}; {done}" if done else sentence) from error


@contextmanager
def bar(label: str) -> Iterator[Update]:
    """A progress bar with an ETA; nothing where standard error is no terminal."""
    if not sys.stderr.isatty():
        yield lambda done, description: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column

    console = Console(stderr=True)
    name = Column(max_width=28, no_wrap=True, overflow="ellipsis")  # a long file name leaves room for the bar
    columns = (
        TextColumn("{task.description}", table_column=name),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(label, total=1.0)

        def update(done: float, description: str | None = None) -> None:
            progress.update(task, completed=done, description=description)  # rich takes None for "as it is"

        yield update


def print_table(table: Table) -> None:
    """On standard output, never wrapped: a narrow terminal or a pipe gets the whole lines."""
    from rich.console import Console

    console = Console()
    console.width = max(console.width, console.measure(table, options=console.options.update(width=1000)).maximum)
    console.print(table)
