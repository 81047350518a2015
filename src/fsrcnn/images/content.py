"""The bytes of a picture file, read once: what is looked at before decoding is what is decoded.

Pipes and devices (`<(cat a.png)`, `/dev/stdin`) are read like files, objects of a store whole, and no name means anything to libvips
(`x.png[page=2]`).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from fsrcnn import places
from fsrcnn.errors import ImageError
from fsrcnn.formats import START, endings_read, kind_of
from fsrcnn.parallel import physical_memory
from fsrcnn.places import Remote

PER_PIXEL = 16  # bytes of the largest pixel in a file that is not compressed: four floats
BESIDES = 2**26  # bytes for everything that is no pixel: profiles, previews
CHUNK = 2**20


def content(source: str | Path | Remote | bytes, max_pixels: int, label: str) -> bytes:
    """The bytes of a source that begins like a picture.

    Args:
        source: a path of a file, pipe or device, an object of a store, or bytes.
        max_pixels: what the picture may have; a file is read as far as so many can reach.
        label: what messages call it.

    Raises:
        ImageError: it does not exist, is a folder, may not be read, is empty, is no picture, or is too large.
        MissingExtraError: what the store needs is not installed.
    """
    if isinstance(source, bytes):
        _check_start(source, label)
        return source
    if isinstance(source, Remote):
        try:
            data = places.read(source, _limit(max_pixels))
        except places.TooLargeError as error:
            raise _too_large(max_pixels, label) from error
        _check_start(data, label)
        return data
    try:
        with Path(source).open("rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode):
                _check_length(status.st_size, max_pixels, label)
            return stream_content(file, max_pixels, label)
    except IsADirectoryError as error:
        raise ImageError(f"{label} is a folder, not a picture") from error
    except FileNotFoundError as error:
        raise ImageError(f"{label} does not exist") from error
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise ImageError(f"cannot read {label}: {getattr(error, 'strerror', None) or error}") from error


def stream_content(stream: BinaryIO, max_pixels: int, label: str) -> bytes:
    """What is left of a stream that begins like a picture.

    Args:
        stream: a file, a pipe, standard input.
        max_pixels: what the picture may have; the stream is read as far as so many can reach.
        label: what messages call it.

    Raises:
        ImageError: it is empty, is no picture, or is too large.
        OSError: it cannot be read.
    """
    chunks = [stream.read(START)]
    _check_start(chunks[0], label)
    length = len(chunks[0])
    while chunks[-1]:
        _check_length(length, max_pixels, label)
        chunks.append(stream.read(CHUNK))
        length += len(chunks[-1])
    return b"".join(chunks)


def _check_start(start: bytes, label: str) -> None:
    if not start:
        raise ImageError(f"{label} is empty (0 bytes)")
    if kind_of(start) is None:
        remedy = "if it is a film, type: fsrcnn video" if _film(start) else ""
        raise ImageError(f"{label} is not a picture that fsrcnn reads ({endings_read()})", remedy)


def _film(start: bytes) -> bool:
    """Whether it begins as Matroska, AVI, MP4 and QuickTime, FLV or MPEG do."""
    starts = (b"\x1a\x45\xdf\xa3", b"FLV", b"\0\0\1\xba", b"\0\0\1\xb3")
    boxes = (b"ftyp", b"moov", b"mdat", b"wide", b"free")
    return start.startswith(starts) or start[4:8] in boxes or start[8:12] == b"AVI "


def _check_length(length: int, max_pixels: int, label: str) -> None:
    if length > _limit(max_pixels):
        raise _too_large(max_pixels, label)


def _limit(max_pixels: int) -> int:
    """The bytes that a file of so many pixels may have."""
    return min(PER_PIXEL * max_pixels + BESIDES, (physical_memory() or 2**33) // 2)


def _too_large(max_pixels: int, label: str) -> ImageError:
    fact = f"{label} is larger than {_limit(max_pixels) / 1e9:.1f} GB"
    return ImageError(fact, "if you trust it, raise the limit with {max_pixels}")
