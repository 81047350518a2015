"""The command line: parse, call, print. `commands.py` lists the commands; each lives in a file of its own.

This module is the way in and out: what every command, and every script of the repository, makes of signals, of errors, and of
standard streams that are closed or full.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import gc
import io
import os
import sys
import warnings
from collections.abc import Callable
from contextvars import copy_context
from typing import TextIO

from fsrcnn.cli import signals

LONGEST_NAME = 300  # characters of a path in a message
# An error of a file has its name; those of standard output have none.
CANNOT_WRITE = (errno.EBADF, errno.EFBIG, errno.EIO, errno.ENOSPC)


def main() -> None:
    """The entry point `fsrcnn`."""
    run(_typed)


def run(command: Callable[[], object]) -> None:
    """The whole of a process, of `fsrcnn` as of the repository's scripts: an error or a warning of ours is one line on stderr.

    Raises:
        SystemExit: always; an error has its exit code.
    """

    def settled() -> None:
        warnings.showwarning = _show_warning
        _settle_streams()
        command()

    try:
        signals.heed()
        # Python would flush at its end, when it is too late to say anything.
        # In a context of its own, which knows the command's options until its error is said (`options.as_option`).
        status = copy_context().run(_status_of, settled) or _status_of(sys.stdout.flush)
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:  # said already; or what a library has to say of itself, which is nobody's failure
                _drop(stream)
        signals.ignore()
    except signals.Stopped as stopped:  # in the middle of a last word
        status = stopped.exit_code
    sys.exit(status)


def _typed() -> None:
    # NumPy's BLAS would start a thread for each processor and let them spin for a moment, and nothing here uses them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Imports make some 100,000 objects that stay; Python would look through them for garbage a hundred times (8 of 160 ms).
    gc.set_threshold(100_000, 50, 50)
    from fsrcnn.cli.commands import app

    app()


def _status_of(call: Callable[[], object]) -> int:
    """The exit code that a call ends with; what it raises is said."""
    try:
        call()
    except BaseException as error:
        stopped = signals.received()
        if isinstance(error, SystemExit):
            if isinstance(error.code, str):  # which Python itself would print
                _say(error.code)
            return error.code if isinstance(error.code, int) else int(error.code is not None)
        if stopped is not None:  # whatever became of it on its way
            signals.ignore()
            _remove_parts()
            _say("stopped before it was finished; no file is half-written")
            return stopped.exit_code
        return _said(error)
    return 0


def _said(error: BaseException) -> int:
    """Say in a line what is wrong, and return the exit code.

    Raises:
        BaseException: a bug, whose traceback somebody needs.
    """
    from fsrcnn.errors import FsrcnnError
    from fsrcnn.files import explained

    if isinstance(error, FsrcnnError):
        from fsrcnn.cli.options import as_option

        _say(error.sentence(as_option))
        return error.exit_code
    if isinstance(error, BrokenPipeError):  # the reader of our output has gone; nothing is left to say
        return 1
    if isinstance(error, OSError):
        if error.filename is not None:
            _say(f"{_shortened(error.filename)}: {explained(error)}")
        elif error.errno in CANNOT_WRITE:
            _say(f"cannot write to standard output: {explained(error)}")
        else:
            _say(explained(error))
    elif isinstance(error, UnicodeError):
        _say(f"a name or text cannot be encoded: {error}")
    elif isinstance(error, MemoryError):
        _say("there is not enough memory")
    else:
        raise error
    return 1


def _say(sentence: str) -> None:
    with contextlib.suppress(OSError):  # standard error may be closed or full, too
        print(f"fsrcnn: {sentence}", file=sys.stderr, flush=True)


def _shortened(name: str | bytes | int) -> str:
    text = os.fsdecode(name) if isinstance(name, (str, bytes)) else str(name)
    half = LONGEST_NAME // 2
    return text if len(text) <= LONGEST_NAME else f"{text[:half]} … {text[-half:]} ({len(text):,} characters)"


def _drop(stream: TextIO) -> None:
    """Python writes what is left in a stream at its end, which would fail again, with an exit code of its own."""
    with contextlib.suppress(OSError, io.UnsupportedOperation):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
        stream.flush()


def _remove_parts() -> None:
    from fsrcnn.files import remove_parts

    remove_parts()


def _settle_streams() -> None:
    """Closed standard streams stay closed, but no file gets their numbers; what a stream cannot show is written plainly."""
    # A file that got number 1 or 2 would take what libraries print there. A read-only number 1 fails as a closed one does.
    for name, flags, mode in (("stdin", os.O_WRONLY, "r"), ("stdout", os.O_RDONLY, "w"), ("stderr", os.O_WRONLY, "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.open(os.devnull, flags), mode, encoding="utf-8"))  # noqa: PTH123, SIM115
    codecs.register_error("fsrcnn", _plainly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="fsrcnn")


PLAIN = {"×": "x", "…": "...", "–": "-", "→": "->"}


def _plainly(error: UnicodeError) -> tuple[str | bytes, int]:
    """Of text that a stream cannot encode: × as x, bytes of a file's name as \\udce9."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if character in PLAIN:
        return PLAIN[character], error.start + 1
    error.end = error.start + 1
    return codecs.backslashreplace_errors(error)


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None,
    line: str | None = None,
) -> None:  # fmt: skip
    from fsrcnn.errors import ClusterWarning, EngineWarning, PictureWarning

    if issubclass(category, (ClusterWarning, EngineWarning, PictureWarning)):
        _say(str(message))
    else:
        print(warnings.formatwarning(message, category, filename, lineno, line), end="", file=file or sys.stderr)
