"""What a person sees in the terminal: a progress bar on standard error, tables on standard output; and what Ctrl-C does."""

from __future__ import annotations

import json
import math
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from fsrcnn.errors import printable
from fsrcnn.folders import Found
from fsrcnn.parallel import Control

if TYPE_CHECKING:
    from rich.table import Table

Update = Callable[[float, str | None], None]
"""(part done 0 … 1, new label or None)."""


@contextmanager
def interruptible(control: Control) -> Iterator[None]:
    """Ctrl-C cancels the control, and raises nothing: an exception falls anywhere, into a callback from C, say, where it is lost."""

    def handler(number: int, frame: FrameType | None) -> None:
        control.cancel()

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # somebody else's, or ignored, as in the background of a shell
        yield
        return
    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


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
    if found.others:
        files = "1 other file" if found.others == 1 else f"{found.others:,} other files"
        print(printable(f"fsrcnn: {files} in {folder} left out"), file=sys.stderr)
    for link in found.links:
        print(printable(f"fsrcnn: {link} is a link to a folder, which is not followed"), file=sys.stderr)


def print_json(report: object) -> None:
    """A report on standard output. JSON has no infinity and no NaN, which become null, and no bytes that are no text (`legible`)."""
    print(json.dumps(_as_json(report), indent=2, allow_nan=False))


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
