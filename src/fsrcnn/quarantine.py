"""Hostile files are read in a process of their own: what crashes, hangs or fills the memory there is a sentence here.

Parsers in C (libhdf5, SciPy's reader of MATLAB files) can be crashed by a single byte, and an exception handler does not help against
that. The child may take `EXTRA_MEMORY` more than its libraries and `SECONDS`; what it hands back are bytes or an `FsrcnnError`.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fsrcnn import errors
from fsrcnn.errors import FsrcnnError

EXTRA_MEMORY = 2 * 2**30  # bytes; kept to on Linux, where a process can limit itself
SECONDS = 300  # on a slow disk, importing PyTorch takes half of a minute
REFUSED, TIMED_OUT = 3, 4  # exit codes: the child prints an error of ours, it was stopped


def call(
    function: str,
    *arguments: Any,
    data: bytes = b"",
    libraries: tuple[str, ...] = (),
    error: type[FsrcnnError] = FsrcnnError,
) -> bytes:
    """Call a function in a process of its own.

    Args:
        function: `package.module:name`; called with `data`, then the arguments; returns bytes.
        arguments: what JSON can hold.
        data: bytes to hand over.
        libraries: packages to import before the memory is limited, since they take address space of their own; one that is missing
            is the function's to name.
        error: what to raise where the child is stopped or crashes.

    Returns:
        What the function returned.

    Raises:
        FsrcnnError: what the function raised, of the same class; or `error`.
    """
    code, result, said = _process(function, arguments, data, libraries)
    if code == 0:
        return result
    if code == REFUSED:
        name, fact, remedy, argument, reason = json.loads(result)
        refusal = error if name is None else getattr(errors, name)
        raise refusal(fact, remedy, argument) from (RuntimeError(reason) if reason else None)
    if code == TIMED_OUT:
        raise error(f"it is damaged or hostile: reading it takes more than {SECONDS} seconds")
    raise error("it is damaged or hostile: reading it crashes the library for its format") from RuntimeError(said)


def _process(function: str, arguments: Sequence[Any], data: bytes, libraries: Sequence[str]) -> tuple[int, bytes, str]:
    """Exit code, what was written, and the last that was said, of a new process."""
    # -P: the current folder may hold a torch.py that came with the file.
    command = [sys.executable, "-P", "-m", __name__, function, json.dumps(arguments), *libraries]
    path = os.pathsep.join(entry for entry in sys.path if entry)
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        child = subprocess.run(command, input=data, capture_output=True, env=environment, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return TIMED_OUT, b"", ""
    except OSError as error:
        raise FsrcnnError(f"cannot start a process to read it in: {error.strerror}") from error
    return child.returncode, child.stdout, child.stderr.decode(errors="replace")[-2000:]


def outcome(function: str, arguments: Sequence[Any], data: bytes, libraries: Sequence[str]) -> tuple[int, bytes]:
    """In the child: exit code, and the result or the refusal (class, fact, remedy, argument, what was said below) as JSON."""
    module, _, name = function.partition(":")
    called = getattr(importlib.import_module(module), name)
    for library in libraries:
        with contextlib.suppress(ImportError, OSError):
            importlib.import_module(library)
    _limit_memory()
    try:
        return 0, called(data, *arguments)
    except FsrcnnError as error:
        said = None if error.__cause__ is None else f"{type(error.__cause__).__name__}: {error.__cause__}"[:2000]
        refusal: tuple[str | None, ...] = (type(error).__name__, error.fact, error.remedy, error.argument, said)
    except MemoryError:
        fact = f"it is damaged or hostile: reading it takes more than {EXTRA_MEMORY // 2**30} GiB of memory"
        refusal = (None, fact, "", None, None)
    return REFUSED, json.dumps(refusal).encode()


def _limit_memory() -> None:
    """To `EXTRA_MEMORY` more than what the process has; on systems other than Linux there is no such limit."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = taken + EXTRA_MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    with os.fdopen(os.dup(1), "wb") as output:
        os.dup2(2, 1)  # what a library prints is no result
        code, result = outcome(sys.argv[1], json.loads(sys.argv[2]), sys.stdin.buffer.read(), sys.argv[3:])
        output.write(result)
    sys.exit(code)
