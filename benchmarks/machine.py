"""What a figure was measured on."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

from fsrcnn.parallel import available_threads


def description() -> dict[str, str | int]:
    """Processor, threads and the versions that matter."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    packages = {name: version(name) for name in ("fsrcnn", "numpy", "pyvips-binary")}
    return {"processor": model, "threads": available_threads(), "python": platform.python_version(), **packages}
