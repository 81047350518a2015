"""The directories of a TIFF, which libvips hides: which are pages, whether their pixels lie in the file; and pages put into one file.

Sources: TIFF 6.0 (Adobe, 1992) and its BigTIFF extension.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_CODES = {1: "B", 2: "B", 3: "H", 4: "I", 5: "II", 6: "b", 7: "B", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d", 13: "I",
          16: "Q", 17: "q", 18: "Q"}  # fmt: skip
_BYTES = {kind: struct.calcsize(f"={code}") for kind, code in _CODES.items()}
NEW_SUBFILE, SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 255, 256, 257, 258, 259, 262
ORIENTATION, CHANNELS, SUB_DIRECTORIES, EXTRA, SAMPLE_FORMAT, PROFILE = 274, 277, 330, 338, 339, 34675
STRIPS, STRIP_BYTES, TILES, TILE_BYTES = 273, 279, 324, 325
_LOOK = (NEW_SUBFILE, SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION, CHANNELS, SUB_DIRECTORIES, EXTRA,
         SAMPLE_FORMAT, PROFILE, STRIPS, STRIP_BYTES, TILES, TILE_BYTES)  # fmt: skip
_POINTERS = (SUB_DIRECTORIES, 34665, 34853)  # values that are offsets of directories: further ones, EXIF, GPS
_OFFSETS = (STRIPS, TILES)
REDUCED, MASK = 1, 4  # bits of NewSubfileType
SEPARATED, YCBCR, CIELAB = 5, 6, 8  # values of PhotometricInterpretation: CMYK and others
FLOAT = 3  # a value of SampleFormat
JPEG = (6, 7)  # compressions, whose decoder makes YCbCr RGB
UNREAD = {
    9: "ICCLab colour", 10: "ITULab colour", 32803: "a camera's raw data", 32844: "LogL samples", 32845: "LogLuv colour",
    34892: "a camera's raw data",
}  # fmt: skip
"""Values of PhotometricInterpretation whose samples libvips would take for grey or RGB."""

COMPRESSIONS = {
    2: "CCITT", 3: "CCITT", 4: "CCITT", 5: "LZW", 6: "old JPEG", 7: "JPEG", 8: "Deflate", 32773: "PackBits", 32946: "Deflate",
    33003: "JPEG 2000", 33005: "JPEG 2000", 34712: "JPEG 2000", 34887: "LERC", 34925: "LZMA", 50000: "Zstandard", 50001: "WebP",
    50002: "JPEG XL", 52546: "JPEG XL",
}  # fmt: skip
EVERYWHERE = (1, 2, 3, 4, 5, 7, 8, 32773, 32946)  # what every libtiff decodes


@dataclass(frozen=True)
class Directory:
    """One picture of a TIFF.

    Attributes:
        index: its place in the chain, from 0: libvips' `page`.
        start: where it lies in the file.
        tags: the values of those that are looked at here.
    """

    index: int
    start: int
    tags: dict[int, tuple[Any, ...]] = field(default_factory=dict)

    def first(self, tag: int, otherwise: int = 0) -> int:
        value = self.tags.get(tag, (otherwise,))[0]
        return value if isinstance(value, int) else otherwise

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.first(WIDTH), self.first(HEIGHT)

    @property
    def is_page(self) -> bool:
        """A picture of its own: neither a reduced copy of another one nor a mask for it."""
        return not self.first(NEW_SUBFILE) & (REDUCED | MASK) and self.first(SUBFILE) != 2

    @property
    def compression(self) -> str:
        number = self.first(COMPRESSION, 1)
        return COMPRESSIONS.get(number, f"number {number}")

    @property
    def unread(self) -> str:
        """Colours or samples that are not read, and would be misread; empty where there are none."""
        photometric, bits = self.first(PHOTOMETRIC), self.first(BITS, 1)
        if photometric == CIELAB and bits == 8:
            return "CIELAB colour in 8 bit"
        if photometric == YCBCR and self.first(COMPRESSION, 1) not in JPEG:
            return "YCbCr colour that is not compressed as JPEG"
        if photometric == 0 and self.first(SAMPLE_FORMAT, 1) == FLOAT:
            return "floating-point samples of which 0 is white"
        known = (8, 16, 32) if self.first(CHANNELS, 1) > 1 else (1, 2, 4, 8, 16, 32)
        return UNREAD.get(photometric, "" if bits in known else f"samples of {bits} bits")

    @property
    def alike(self) -> tuple[Any, ...]:
        """Pages with the same can be read and written as one tall picture."""
        return tuple(self.tags.get(tag) for tag in
                     (WIDTH, HEIGHT, BITS, PHOTOMETRIC, ORIENTATION, CHANNELS, EXTRA, SAMPLE_FORMAT, PROFILE))  # fmt: skip

    def end(self) -> int:
        """Where the last of its pixels lie in the file, as its tags say; 0 where they do not."""
        ends = [0]
        for offsets, counts in ((STRIPS, STRIP_BYTES), (TILES, TILE_BYTES)):
            ends += map(sum, zip(self.tags.get(offsets, ()), self.tags.get(counts, ()), strict=False))
        return max(ends)


def directories(data: bytes, most: int) -> tuple[list[Directory], bool]:
    """The pictures of a TIFF in order, as far as they can be read, and whether everything that they name lies in the file.

    Args:
        data: the file.
        most: no more are looked for.
    """
    layout = _Layout.of(data)
    found: list[Directory] = []
    complete = True
    seen = {0}
    try:
        at = layout.first()
        while at not in seen and len(found) < most:
            seen.add(at)
            entries, after = layout.entries(at)
            tags = {}
            for tag, kind, count, where in entries:
                if tag in _LOOK and kind in _CODES:
                    if where + count * _BYTES[kind] > len(data):
                        complete = False
                    elif count:
                        tags[tag] = layout.values(kind, count, where)
            found.append(Directory(len(found), at, tags))
            complete = complete and found[-1].end() <= len(data)
            at = after
    except struct.error:  # beyond the end
        complete = False
    return found, complete


def joined(parts: Sequence[bytes]) -> bytes:
    """One file of several: their pictures one after the other, whatever their sizes and samples.

    libvips writes the pages of a TIFF as one tall picture, so they have one size; here each is written alone, and its directory moved.

    Args:
        parts: TIFFs of one byte order and one layout (all BigTIFF or none).
    """
    whole = bytearray(parts[0])
    layout = _Layout.of(parts[0])
    link = _move(whole, layout, layout.first(), 0)
    for part in parts[1:]:
        base = len(whole) + len(whole) % 2
        whole += bytes(base - len(whole)) + part
        first = layout.of(part).first()
        struct.pack_into(layout.order + layout.offset, whole, link, first + base)
        link = _move(whole, layout, first + base, base)
    return bytes(whole)


def _move(whole: bytearray, layout: _Layout, at: int, base: int) -> int:
    """Add `base` to every offset in a directory at `at` and in those below it; where the link to the next one lies."""
    entries = _Layout(whole, layout.order, layout.big)
    count_size = 8 if layout.big else 2
    (count,) = struct.unpack_from(layout.order + ("Q" if layout.big else "H"), whole, at)
    for place in range(at + count_size, at + count_size + count * layout.entry, layout.entry):
        tag, kind, number, where = entries.one(place)
        size = number * _BYTES.get(kind, 1)
        inside = layout.entry - (12 if layout.big else 8)
        if size > inside:
            where += base
            struct.pack_into(layout.order + layout.offset, whole, place + layout.entry - inside, where)
        if tag in _OFFSETS or tag in _POINTERS:
            form = f"{layout.order}{number}{_CODES[kind]}"
            moved = [value + base for value in struct.unpack_from(form, whole, where)]
            struct.pack_into(form, whole, where, *moved)
            if tag in _POINTERS:
                for below in moved:
                    _move(whole, layout, below, base)
    return int(at + count_size + count * layout.entry)


@dataclass(frozen=True)
class _Layout:
    """How numbers lie in a TIFF: byte order; offsets of 4 bytes, or of 8 in a BigTIFF."""

    data: bytes | bytearray
    order: str
    big: bool

    @classmethod
    def of(cls, data: bytes) -> _Layout:
        order = "<" if data[:2] == b"II" else ">"
        return cls(data, order, 43 in data[2:4])

    @property
    def offset(self) -> str:
        return "Q" if self.big else "I"

    @property
    def entry(self) -> int:
        """Bytes of an entry."""
        return 20 if self.big else 12

    def first(self) -> int:
        """Where the first directory is."""
        return int(struct.unpack_from(self.order + self.offset, self.data, 8 if self.big else 4)[0])

    def one(self, place: int) -> tuple[int, int, int, int]:
        """Tag, type, number of values, and where they are, of the entry at a place."""
        tag, kind, count, value = struct.unpack_from(f"{self.order}HH{self.offset * 2}", self.data, place)
        inside = 8 if self.big else 4
        return tag, kind, count, value if count * _BYTES.get(kind, 1) > inside else place + self.entry - inside

    def entries(self, at: int) -> tuple[list[tuple[int, int, int, int]], int]:
        """The entries of the directory at `at`, and where the next directory is (0: nowhere)."""
        (count,) = struct.unpack_from(self.order + ("Q" if self.big else "H"), self.data, at)
        start = at + (8 if self.big else 2)
        if start + count * self.entry > len(self.data):
            raise struct.error
        found = [self.one(place) for place in range(start, start + count * self.entry, self.entry)]
        (after,) = struct.unpack_from(self.order + self.offset, self.data, start + count * self.entry)
        return found, after

    def values(self, kind: int, count: int, where: int) -> tuple[Any, ...]:
        if kind in (1, 2, 7):
            return (bytes(self.data[where : where + count]),) if count > 4 else tuple(self.data[where : where + count])
        code = _CODES[kind]
        return struct.unpack_from(
            f"{self.order}{code * count if len(code) > 1 else f'{count}{code}'}", self.data, where
        )
