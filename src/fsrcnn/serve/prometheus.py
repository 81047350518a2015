"""Counts of a server, as Prometheus reads them (text format 0.0.4)."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)  # seconds


class Counts:
    """Numbers by their names and labels; from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._help: dict[str, str] = {}
        self._counts: dict[str, dict[str, float]] = {}
        self._gauges: dict[str, Callable[[], float]] = {}
        self._histograms: dict[str, list[float]] = {}
        started = time.time()
        self.gauge("process_start_time_seconds", "When the server was started, in seconds since 1970.", lambda: started)
        if Path("/proc/self/statm").exists():
            self.gauge("process_resident_memory_bytes", "Memory in use.", _resident)
            self.gauge("process_open_fds", "Open file descriptors.", lambda: len(os.listdir("/proc/self/fd")))  # noqa: PTH208

    def count(self, name: str, help: str, amount: float = 1, **labels: str | int) -> None:
        """Add to a number that only grows. Labels are words of ours, never a client's."""
        key = ",".join(f'{label}="{value}"' for label, value in labels.items())
        with self._lock:
            self._help[name] = help
            row = self._counts.setdefault(name, {})
            row[key] = row.get(key, 0) + amount

    def gauge(self, name: str, help: str, value: Callable[[], float]) -> None:
        """A number that is asked for when it is read."""
        self._help[name], self._gauges[name] = help, value

    def observe(self, name: str, help: str, seconds: float) -> None:
        """Add to a histogram of seconds."""
        with self._lock:
            self._help[name] = help
            row = self._histograms.setdefault(name, [0.0] * (len(BUCKETS) + 2))  # buckets, all, sum
            for number, most in enumerate(BUCKETS):
                row[number] += seconds <= most
            row[-2] += 1
            row[-1] += seconds

    def text(self) -> str:
        """All of it."""
        lines: list[str] = []

        def head(name: str, kind: str) -> None:
            lines.extend((f"# HELP {name} {self._help[name]}", f"# TYPE {name} {kind}"))

        for name, value in self._gauges.items():
            head(name, "gauge")
            lines.append(f"{name} {value():g}" if name.startswith("fsrcnn") else f"{name} {value():.0f}")
        with self._lock:
            for name, row in self._counts.items():
                head(name, "counter")
                lines.extend(
                    f"{name}{{{key}}} {count:.0f}" if key else f"{name} {count:.0f}" for key, count in row.items()
                )
            for name, values in self._histograms.items():
                head(name, "histogram")
                lines.extend(f'{name}_bucket{{le="{most:g}"}} {values[n]:.0f}' for n, most in enumerate(BUCKETS))
                lines.append(f'{name}_bucket{{le="+Inf"}} {values[-2]:.0f}')
                lines.extend((f"{name}_sum {values[-1]:.6f}", f"{name}_count {values[-2]:.0f}"))
        return "\n".join(lines) + "\n"


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
