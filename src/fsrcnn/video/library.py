"""PyAV, which brings FFmpeg: loaded when a film is opened, and its errors in our words."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fsrcnn.errors import FsrcnnError
from fsrcnn.require import require

M_MMAP_THRESHOLD = -3  # of malloc.h
LARGE = 2**20  # bytes

Frame = Any
"""`av.VideoFrame`, which is not there where PyAV is not installed, and whose annotations are wrong here and there."""


class FilmError(FsrcnnError):
    """A film cannot be read, is not one, or cannot be written."""


def pyav() -> Any:
    """The module `av`.

    Raises:
        MissingExtraError: it is not installed.
    """
    return require("av", "films", extra="video")


def graph_for(frame: Frame) -> tuple[Any, Any]:
    """A graph of FFmpeg's filters, and its beginning, which takes frames of the kind of one: size, pixel format, matrix and range."""
    graph = pyav().filter.Graph()
    known = {
        "video_size": f"{frame.width}x{frame.height}", "pix_fmt": frame.format.name, "time_base": "1/1000000",
        "colorspace": frame.colorspace, "range": frame.color_range,
    }  # fmt: skip
    buffer = graph.add("buffer", ":".join(f"{name}={value}" for name, value in known.items()))
    return graph, buffer


def explained(error: Exception) -> str:
    """What FFmpeg says, without number and path: "Invalid data found when processing input"."""
    return getattr(error, "strerror", None) or str(error)


def give_back_large_blocks() -> None:
    """Let the C library return memory to the system as soon as a large block is freed; where it is glibc, for this process.

    By itself it moves the size from which blocks lie apart up to 32 MB once one of them was freed. Then the frames of an encoder
    lie on the heap, those of the next one beside the holes that they leave, and memory grows with each segment of a film.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library, or another system
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE)


@contextlib.contextmanager
def own_priority() -> Iterator[None]:
    """Around the opening of encoders: all threads of this process have the scheduling that the calling one had before.

    SVT-AV1, opened by root, gives itself and its caller the highest real-time priority; then anything that waits by spinning, as a
    BLAS does, stops the whole machine.
    """
    if not hasattr(os, "sched_setscheduler"):  # other systems, on which it does not do that
        yield
        return
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            for thread in Path("/proc/self/task").iterdir():
                with contextlib.suppress(OSError):  # it has ended
                    if os.sched_getscheduler(int(thread.name)) != policy:
                        os.sched_setscheduler(int(thread.name), policy, priority)
