"""The directories of a TIFF, which libvips hides: which are pages, whether their pixels lie in the file; and pages put into one file.

Sources: TIFF 6.0 (Adobe, 1992) and its BigTIFF extension.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fsrcnn.images import tags

NEW_SUBFILE, SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 255, 256, 257, 258, 259, 262
ORIENTATION, CHANNELS, SUB_DIRECTORIES, SAMPLE_FORMAT = 274, 277, 330, 339
STRIPS, STRIP_BYTES, TILES, TILE_BYTES = 273, 279, 324, 325
_LOOK = (NEW_SUBFILE, SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION, CHANNELS, SUB_DIRECTORIES,
         tags.EXTRA_SAMPLES, SAMPLE_FORMAT, tags.PROFILE, STRIPS, STRIP_BYTES, TILES, TILE_BYTES, tags.X_RESOLUTION,
         tags.Y_RESOLUTION, tags.RESOLUTION_UNIT)  # fmt: skip
_POINTERS = (SUB_DIRECTORIES, tags.EXIF, tags.GPS)  # values that are offsets of directories: further ones, EXIF, GPS
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
        tags: those that are looked at here.
    """

    index: int
    start: int
    tags: tags.Directory = field(default_factory=dict)

    def numbers(self, tag: int) -> tuple[int, ...]:
        """The values of a tag; nothing where it is not there."""
        return self.tags[tag].numbers if tag in self.tags else ()

    def first(self, tag: int, otherwise: int = 0) -> int:
        return next(iter(self.numbers(tag)), otherwise)

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
                     (WIDTH, HEIGHT, BITS, PHOTOMETRIC, ORIENTATION, CHANNELS, tags.EXTRA_SAMPLES, SAMPLE_FORMAT,
                      tags.PROFILE))  # fmt: skip

    def end(self) -> int:
        """Where the last of its pixels lie in the file, as its tags say; 0 where they do not."""
        ends = [0]
        for offsets, counts in ((STRIPS, STRIP_BYTES), (TILES, TILE_BYTES)):
            ends += map(sum, zip(self.numbers(offsets), self.numbers(counts), strict=False))
        return max(ends)


def directories(data: bytes, most: int) -> tuple[list[Directory], bool]:
    """The pictures of a TIFF in order, as far as they can be read, and whether everything that they name lies in the file.

    Args:
        data: the file.
        most: no more are looked for.
    """
    file = io.BytesIO(data)
    found: list[Directory] = []
    complete = True
    seen = {0}
    try:
        form, at = tags.header(file)
        while at not in seen and len(found) < most:
            seen.add(at)
            entries, following = tags.entries(file, form, at)
            if following is None:
                return found, False
            held: tags.Directory = {}
            for entry in entries:
                if entry.tag in _LOOK and entry.size:
                    value = tags.value(file, form, entry)
                    complete = complete and value is not None
                    if value:
                        held.setdefault(entry.tag, value)
            found.append(Directory(len(found), at, held))
            complete = complete and found[-1].end() <= len(data)
            at = following
    except ValueError:  # beyond the end
        complete = False
    return found, complete


def joined(parts: Sequence[bytes]) -> bytes:
    """One file of several: their pictures one after the other, whatever their sizes and samples.

    libvips writes the pages of a TIFF as one tall picture, so they have one size; here each is written alone, and its directory moved.

    Args:
        parts: TIFFs of one byte order and one layout (all BigTIFF or none).
    """
    whole = io.BytesIO()
    link = 0
    for part in parts:
        base = whole.seek(0, io.SEEK_END)
        base += whole.write(bytes(base % 2))
        whole.write(part)
        form, first = tags.header(io.BytesIO(part))
        if link:
            _put(whole, link, form.offset, first + base)
        link = _move(whole, form, first + base, base)
    return whole.getvalue()


def _move(whole: io.BytesIO, form: tags.Form, at: int, base: int) -> int:
    """Add `base` to every offset in a directory at `at` and in those below it; where the link to the next one lies."""
    entries, _ = tags.entries(whole, form, at)
    for entry in entries:
        if entry.size > form.inline:
            place = entry.at + struct.calcsize(form.entry) - form.inline
            entry = entry._replace(values=entry.values + base)
            _put(whole, place, form.offset, entry.values)
        if entry.tag in _OFFSETS or entry.tag in _POINTERS:
            value = tags.value(whole, form, entry)
            moved = [number + base for number in value.numbers] if value else []
            _put(whole, entry.values, f"{form.order}{len(moved)}{tags.LETTERS[entry.kind]}", *moved)
            if entry.tag in _POINTERS:
                for below in moved:
                    _move(whole, form, below, base)
    return form.link(at, len(entries))


def _put(whole: io.BytesIO, at: int, form: str, *numbers: int) -> None:
    whole.seek(at)
    whole.write(struct.pack(form, *numbers))
