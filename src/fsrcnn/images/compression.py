"""What a file says of how much was lost in it: the quality of a JPEG by its tables, or that its format loses at all."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from fsrcnn.arrays import Array
from fsrcnn.images.containers import jpeg_segments

if TYPE_CHECKING:
    import PIL.Image

# ITU-T T.81, table K.1: luminance, row by row. Only its sum over all places counts here, so zigzag or not is the same.
_LUMINANCE = np.array([
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100,
    103, 99,
])  # fmt: skip


class Compression(NamedTuple):
    """Of a lossy file.

    Attributes:
        format: `JPEG`, `WebP`, `AVIF`, `HEIC`.
        quality: of a JPEG, 1 to 100: at which libjpeg's tables are as coarse as these; None where the format does not say.
    """

    format: str
    quality: int | None = None


def compression_of(data: bytes, kind: str, lossless: bool) -> Compression | None:
    """What was lost; None where nothing was, or where the file does not say.

    Args:
        data: the bytes of a file.
        kind: as `kind_of` says it.
        lossless: of WebP and AVIF: this one loses nothing.
    """
    if kind == "jpg":
        table = _luma_table(data)
        return Compression("JPEG", quality_of(table) if table else None)
    name = {"webp": "WebP", "avif": "AVIF", "heic": "HEIC"}.get(kind)
    return None if name is None or lossless else Compression(name)


def pil_compression(image: PIL.Image.Image) -> Compression | None:
    """The same of an opened JPEG; one that was converted or copied has forgotten its file, one of WebP or AVIF whether it lost."""
    if image.format in ("JPEG", "MPO") and (tables := getattr(image, "quantization", None)):
        return Compression("JPEG", quality_of(tables[min(tables)]))
    return None


def quality_of(table: Sequence[int]) -> int:
    """The quality at which libjpeg's luminance table, of the same 64 places, is nearest to this one in its sum."""
    return int(np.abs(_sums() - sum(table)).argmin()) + 1


@cache
def _sums() -> Array:
    """Of libjpeg's luminance tables of quality 1 to 100 (`jpeg_quality_scaling`, baseline: entries are 1 to 255)."""
    percent = np.array([5000 // quality if quality < 50 else 200 - 2 * quality for quality in range(1, 101)])
    tables = ((_LUMINANCE * percent[:, None] + 50) // 100).clip(1, 255)
    return cast(Array, tables.sum(axis=1))


def _luma_table(data: bytes) -> tuple[int, ...] | None:
    """The table that a JPEG's first component is quantised by; None where there is none before the first scan."""
    tables: dict[int, tuple[int, ...]] = {}
    chosen = None
    for marker, _, segment in jpeg_segments(io.BytesIO(data)):
        if marker == 0xDB:
            at = 0
            while at < len(segment):
                wide, number = segment[at] >> 4, segment[at] & 15
                entries = struct.Struct(">64H" if wide else "64B")
                if at + 1 + entries.size > len(segment):
                    break
                tables[number] = entries.unpack_from(segment, at + 1)
                at += 1 + entries.size
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and len(segment) >= 9:
            chosen = segment[8]
    return None if chosen is None else tables.get(chosen)
