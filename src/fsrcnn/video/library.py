"""PyAV, which brings FFmpeg: loaded when a film is opened, and its errors in our words."""

from __future__ import annotations

from typing import Any

from fsrcnn.errors import FsrcnnError
from fsrcnn.require import require

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


def explained(error: Exception) -> str:
    """What FFmpeg says, without number and path: "Invalid data found when processing input"."""
    return getattr(error, "strerror", None) or str(error)
