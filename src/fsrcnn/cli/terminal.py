"""What a person sees in the terminal: a progress bar on standard error, reports and tables on standard output."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fsrcnn.errors import FsrcnnError, printable
from fsrcnn.files import explained
from fsrcnn.folders import Found, left_out

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


def remark(line: str) -> None:
    """Print on standard error, so that a terminal obeys nothing in it. Where that is full or closed, the work goes on without."""
    with contextlib.suppress(OSError):
        print(printable(line), file=sys.stderr, flush=True)


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
        TextColumn("{task.description}", markup=False, table_column=name),  # a file may be called [/b].png
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

    console = Console(markup=False, emoji=False, highlight=False)  # a file may be called [/b].png, or :cat:.png
    console.width = max(console.width, console.measure(table, options=console.options.update(width=1000)).maximum)
    console.print(table)


def say_left_out(folder: Path, found: Found) -> None:
    """On standard error: what lies in a folder and is not taken."""
    for sentence in left_out(folder, found):
        remark(f"fsrcnn: {sentence}")


def print_json(value: object, done: str = "") -> None:
    """A report as JSON, which has no infinity and no NaN (they become null) and no bytes that are no text (`legible`).

    Raises:
        FsrcnnError, BrokenPipeError: as `report`, which has `done`, too.
    """
    report(json.dumps(_as_json(value), indent=2, allow_nan=False), done)


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _as_json(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    if isinstance(value, str):
        return legible(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def legible(text: str) -> str:
    """Text that any program can read: a byte of a file's name that is no text, as 0xe9, becomes the six characters `\\udce9`."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
