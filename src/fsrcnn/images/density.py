"""How many pixels lie in a millimetre or, where a file says no more, how their sides are to each other.

EXIF and TIFF say it by three tags (TIFF 6.0, section 8), PNG by pHYs, JPEG by its JFIF header (JFIF 1.02).
"""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Mapping
from typing import NamedTuple

from fsrcnn.images import containers, tags

_PER_MM = {"in": 25.4, "cm": 10.0, "m": 1000.0}
_JFIF_UNITS = ("", "in", "cm")
_LARGEST_IN_JFIF = 0xFFFF


class Density(NamedTuple):
    """Pixels in a unit, horizontally and vertically; without a unit, only the one for the other means something."""

    x: float
    y: float
    unit: str

    @property
    def resolution(self) -> tuple[float, float] | None:
        """Pixels per millimetre."""
        per_mm = _PER_MM.get(self.unit)
        return (self.x / per_mm, self.y / per_mm) if per_mm else None

    @property
    def notes(self) -> tuple[str, ...]:
        """That the shape of pixels, which is said without a unit, is not taken along."""
        if self.unit or self.x == self.y:
            return ()
        return (f"that its pixels are {self.y / self.x:.3g} times as wide as high is left out",)


def of_tags(main: Mapping[int, tags.Tag]) -> Density | None:
    """What a first directory says."""
    x, y = (tags.fraction(main.get(tag)) for tag in (tags.X_RESOLUTION, tags.Y_RESOLUTION))
    unit = main.get(tags.RESOLUTION_UNIT)
    number = next(iter(unit.numbers), 0) if unit else 2
    return Density(x, y, {2: "in", 3: "cm"}.get(number, "")) if x and y else None


def density_of(data: bytes, kind: str, exif: bytes = b"") -> Density | None:
    """What a file says: its EXIF, where that tells a resolution; else what its format has for it.

    Args:
        data: a PNG, JPEG, WebP, GIF, AVIF, HEIC.
        kind: as `kind_of` says it.
        exif: what it carries.
    """
    found: list[Density | None] = []
    with contextlib.suppress(ValueError, struct.error):
        found.append(of_tags(tags.of_block(exif).main))
    found.append({"png": _of_png, "jpg": _of_jpeg}.get(kind, lambda _: None)(data))
    told = [density for density in found if density]
    return next((density for density in told if density.unit), next(iter(told), None))


def _of_png(data: bytes) -> Density | None:
    file = io.BytesIO(data)
    for kind, start, end in containers.png_places(file):
        if kind == b"IDAT":
            break
        if kind == b"pHYs" and end - start == 9 and end <= len(data):
            x, y, unit = struct.unpack_from(">IIB", data, start)
            return Density(x, y, "m" if unit == 1 else "") if x and y else None
    return None


def _of_jpeg(data: bytes) -> Density | None:
    for marker, _, segment in containers.jpeg_segments(io.BytesIO(data)):
        if marker == 0xE0 and segment[:5] == b"JFIF\0" and len(segment) >= 12:
            unit, x, y = struct.unpack_from(">BHH", segment, 7)
            plain = not x or not y or unit >= len(_JFIF_UNITS) or x == y == 1
            return None if plain else Density(x, y, _JFIF_UNITS[unit])
    return None


def jfif(resolution: tuple[float, float] | None, unit: str) -> bytes:
    """The header of a JPEG: the resolution, in pixels per millimetre, in the unit `in` or `cm`; without one, square pixels."""
    number = _JFIF_UNITS.index(unit) if resolution else 0
    x, y = (min(_LARGEST_IN_JFIF, round(value * _PER_MM[unit])) for value in resolution) if resolution else (1, 1)
    return b"\xff\xe0\0\x10JFIF\0\x01\x01" + struct.pack(">BHHBB", number, x, y, 0, 0)


def undefined() -> tags.Directory:
    """Tags of a TIFF whose resolution nobody knows: it has to have some."""
    one = tags.Tag(5, struct.pack("<II", 1, 1), "<")
    return {
        tags.X_RESOLUTION: one,
        tags.Y_RESOLUTION: one,
        tags.RESOLUTION_UNIT: tags.Tag(3, struct.pack("<H", 1), "<"),
    }
