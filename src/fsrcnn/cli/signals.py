"""Ctrl-C, SIGTERM and SIGHUP: a command stops, removes what it had begun to write, says so, and ends with 128 + the signal's number.

The first signal raises `Stopped` in the main thread, or calls what `instead` was given, where an exception would do harm. A second
one, a second later, ends the process at once.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
SAME_EVENT = 1.0  # seconds: a terminal that closes sends SIGHUP twice
RETRY = 0.02  # seconds until a lost exception is raised again


class Stopped(BaseException):
    """The process was asked to end. Not a KeyboardInterrupt, of which typer would make something else.

    Attributes:
        exit_code: 128 + the signal's number, as shells count.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


_first: tuple[int, float] | None = None  # the signal that was received, and when
_instead: Callable[[], object] | None = None
_retries = 0  # how often an exception was lost


def received() -> Stopped | None:
    """What the process was asked, if it was."""
    return None if _first is None else Stopped(_first[0])


def check() -> None:
    """For a point where it is safe to stop.

    Raises:
        Stopped: a signal was received.
    """
    stopped = received()
    if stopped is not None:
        raise stopped


@contextmanager
def instead(react: Callable[[], object] = lambda: None) -> Iterator[None]:
    """A signal calls `react` and raises nothing: an exception may fall into a callback from C, say, which does not survive it."""
    global _instead
    before, _instead = _instead, react
    try:
        yield
    finally:
        _instead = before


def heed() -> None:
    """From now on. Signals that somebody ignores (nohup, the background of a shell) or handles himself are left to him."""
    for number in SIGNALS:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _handle)
    sys.unraisablehook = _raise_again(sys.unraisablehook)


def ignore() -> None:
    """The command is done, and Python only tidies up: a signal would end it with another exit code, and perhaps a traceback."""
    for number in SIGNALS:
        if signal.getsignal(number) is _handle:
            signal.signal(number, signal.SIG_IGN)
    if _retries:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _handle(number: int, frame: FrameType | None) -> None:
    global _first
    if _first is None:
        _first = (number, time.monotonic())
    elif time.monotonic() - _first[1] < SAME_EVENT:
        return
    else:
        _end(number)
    if _instead is None:
        raise Stopped(number)
    _instead()


def _end(number: int) -> None:
    """Without another look at what the process is doing."""
    files, storage = (sys.modules.get(name) for name in ("fsrcnn.files", "fsrcnn.serve.storage"))
    if files is not None:
        files.remove_parts()
    if storage is not None:
        storage.remove_folders()
    os._exit(128 + number)


def _raise_again(hook: Callable[[Any], object]) -> Callable[[Any], object]:
    """An exception in a callback from C or in `__del__` has no caller, and is lost; ours is raised again a moment later."""

    def unraisable(lost: Any) -> None:
        global _retries
        if not issubclass(lost.exc_type, Stopped):
            hook(lost)
        elif hasattr(signal, "setitimer"):
            _retries += 1
            signal.signal(signal.SIGALRM, lambda number, frame: check() if _instead is None else None)
            signal.setitimer(signal.ITIMER_REAL, RETRY)

    return unraisable
