"""What a person sees in the terminal: a progress bar on standard error, tables on standard output."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table


@contextmanager
def stoppable() -> Iterator[Callable[[], None]]:
    """Ctrl-C as KeyboardInterrupt, even where it would be lost.

    libvips calls Python back with its log messages, and an exception raised in there goes nowhere but to standard error. So a
    Ctrl-C that falls into such a call is kept, and raised by the function that this yields.
    """
    kept = []

    def handler(number: int, frame: FrameType | None) -> None:
        if frame is not None and frame.f_code.co_name == "_log_handler_callback":
            kept.append(number)
        else:
            signal.default_int_handler(number, frame)

    def check() -> None:
        if kept:
            raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # somebody else's, or ignored, as in the background of a shell
        yield check
        return
    signal.signal(signal.SIGINT, handler)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def bar(label: str) -> Iterator[Callable[[float, str | None], None]]:
    """A progress bar with an ETA; nothing where standard error is no terminal.

    Yields `update(part done 0 … 1, new label or None)`.
    """
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
            if description is None:
                progress.update(task, completed=done)
            else:
                progress.update(task, completed=done, description=description)

        yield update


def print_table(table: Table) -> None:
    """On standard output, never wrapped: a narrow terminal or a pipe gets the whole lines."""
    from rich.console import Console

    console = Console()
    console.width = max(console.width, console.measure(table, options=console.options.update(width=1000)).maximum)
    console.print(table)
