"""The one shape of a benchmark's result, `benchmarks/results/NAME.json`: what was measured on what, when, and of which code.

    {"what": "1920×1080 luma, ×2, 7 rounds interleaved",
     "machine": {"processor": "AMD EPYC", "threads": 2, …},
     "versions": {"python": "3.11.7", "fsrcnn": "0.1.0", …},
     "date": "2026-11-22", "commit": "7e47fbc",
     "results": …}

`results` is the benchmark's own. Pages quote a result through `tools/tables.py`, and nowhere is its text made otherwise.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fsrcnn.arguments import whole_number
from fsrcnn.parallel import available_threads

RESULTS = Path(__file__).resolve().parent / "results"


def check_counts(arguments: argparse.Namespace, *names: str) -> None:
    """Refuse rounds, threads and the like that are not at least 1.

    Raises:
        UsageError: one of these arguments is smaller.
    """
    for name in names:
        given = getattr(arguments, name)
        for count in given if isinstance(given, list) else [given]:
            whole_number(count, name)


def outcome(
    what: str,
    results: Any,
    packages: Sequence[str] = (),
    threads: int | None = None,
    **machine: Any,
) -> dict[str, Any]:
    """A result in its shape, measured now.

    Args:
        what: the picture, the model, the rounds: all that a figure cannot be read without.
        results: anything that JSON holds.
        packages: installed ones whose versions matter, beside fsrcnn, numpy and libvips.
        threads: that were used; all that this process may use where it is not given.
        machine: more about it: `device="cuda"`.
    """
    numbers = {}
    for name in ("fsrcnn", "numpy", "pyvips-binary", *packages):
        with contextlib.suppress(PackageNotFoundError):  # nor can it have mattered
            numbers[name] = version(name)
    return {
        "what": what,
        "machine": {"processor": processor(), "threads": threads or available_threads(), **machine},
        "versions": {"python": platform.python_version(), **numbers},
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
        "results": results,
    }


def processor() -> str:
    """Its name, as the system gives it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def commit() -> str:
    """Of the code that was measured; `-dirty` behind it where files differ from it, `unknown` outside a clone."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        printed = subprocess.run(command, check=True, capture_output=True, text=True, cwd=RESULTS).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return printed.strip()


def save(result: dict[str, Any], path: Path | None) -> None:
    """Print a result, and write it where a path is given."""
    text = json.dumps(result, indent=2, ensure_ascii=False)
    print(text, flush=True)
    if path is not None:
        path.write_text(text + "\n", encoding="utf-8")


def load(name: str) -> dict[str, Any]:
    """The committed result of that name."""
    loaded: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
    return loaded
