"""What a person sees in the terminal: a progress bar on standard error, reports and tables on standard output."""

from __future__ import annotations

import contextlib
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fsrcnn.errors import FsrcnnError, printable
from fsrcnn.files import explained
from fsrcnn.folders import Found, left_out

if TYPE_CHECKING:
    from rich.table import Table

Update = Callable[[float, str | None], None]
"""(part done 0 … 1, new label or None)."""
MINUTE = 60.0  # seconds between two lines about the pace, where standard error is no terminal


def report(text: str, done: str = "") -> None:
    """Print on standard output what a command found or did.

    Args:
        text: lines.
        done: what was done all the same where they cannot be printed: "out.h5 is written".

    Raises:
        FsrcnnError: standard output is closed or full.
        BrokenPipeError: its reader has gone.
    """
    _print_pieces((text, "\n"), done)


def _print_pieces(pieces: Iterable[str], done: str) -> None:
    """
    Raises:
        FsrcnnError, BrokenPipeError: as `report`.
    """
    try:
        for piece in pieces:
            sys.stdout.write(piece)
        sys.stdout.flush()
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


class Pace:
    """How many pictures are done, how many a second, and how long the rest will take; without a terminal said once a minute."""

    def __init__(self, total: Callable[[], int | None], clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            total: how many there are; None while nobody knows.
        """
        self._total, self._clock = total, clock
        self._began = self._said = clock()
        self._quiet = sys.stderr.isatty()
        self.done = self.passed = 0

    def step(self, done: int, passed: int = 0) -> None:
        """So many are done by now, and so many were passed over, as they were done before."""
        self.done, self.passed = done, passed
        if not self._quiet and self._clock() - self._said >= MINUTE:
            self._said = self._clock()
            remark(f"fsrcnn: {self.sentence()}")

    @property
    def rate(self) -> float:
        """Pictures per second."""
        return self.done / max(self._clock() - self._began, 1e-9)

    @property
    def part(self) -> float:
        """0 … 1 of all; 0 while nobody knows how many there are."""
        total = self._total()
        return (self.done + self.passed) / total if total else 0.0

    def count(self) -> str:
        """`1,234 of 5,000`."""
        total, so_far = self._total(), self.done + self.passed
        return f"{so_far:,} of {total:,}" if total is not None else f"{so_far:,}"

    def sentence(self) -> str:
        """`1,234 of 5,000 pictures are done, 7.7 a second, about 0:08:09 left`."""
        total = self._total()
        said = f"{self.count()} pictures are done, {self.rate:.1f} a second"
        if total is None or not self.done:
            return said
        seconds = max(0, round((total - self.done - self.passed) / self.rate))
        return f"{said}, about {seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02} left"


class Spool:
    """A list for `print_json`, of any length, in a file that goes with the process."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile("w+", encoding="ascii")  # noqa: SIM115  (open as long as this is)

    def append(self, value: object) -> None:
        json.dump(_as_json(value), self._file, allow_nan=False)
        self._file.write("\n")

    def __iter__(self) -> Iterator[object]:
        self._file.seek(0)
        for line in self._file:
            yield json.loads(line)

    def close(self) -> None:
        """Forget it."""
        self._file.close()


def print_table(table: Table) -> None:
    """On standard output, never wrapped: a narrow terminal or a pipe gets the whole lines."""
    from rich.console import Console

    console = Console(markup=False, emoji=False, highlight=False)  # a file may be called [/b].png, or :cat:.png
    console.width = max(console.width, console.measure(table, options=console.options.update(width=1000)).maximum)
    console.print(table)


def say_left_out(folder: object, found: Found) -> None:
    """On standard error: what lies in a folder and is not taken."""
    for sentence in left_out(folder, found):
        remark(f"fsrcnn: {sentence}")


def print_json(value: object, done: str = "") -> None:
    """A report as JSON, which has no infinity and no NaN (they become null) and no bytes that are no text (`legible`).

    Args:
        value: a dictionary may have a `Spool` for a list.

    Raises:
        FsrcnnError, BrokenPipeError: as `report`, which has `done`, too.
    """
    if isinstance(value, dict) and any(isinstance(item, Spool) for item in value.values()):
        _print_pieces(_pieces(value), done)
    else:
        report(_indented(value), done)


def _pieces(value: dict[str, Any]) -> Iterator[str]:
    """The text of a dictionary, an item of a list at a time; as `_indented` has it as a whole."""
    before = "{"
    for name, item in value.items():
        yield f"{before}\n  {json.dumps(name)}: "
        before = ","
        if not isinstance(item, Spool):
            yield _indented(item).replace("\n", "\n  ")
            continue
        begin = "["
        for element in item:
            yield f"{begin}\n    " + _indented(element).replace("\n", "\n    ")
            begin = ","
        yield "[]" if begin == "[" else "\n  ]"
    yield "\n}\n"


def _indented(value: object) -> str:
    return json.dumps(_as_json(value), indent=2, allow_nan=False)


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
