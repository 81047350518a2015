"""Tags: the form of TIFF files and, just as well, of EXIF blocks (TIFF 6.0, section 2; BigTIFF; Exif 2.32, section 4.6).

A TIFF file's own tags and an EXIF block's first directory say the same things by the same numbers (artist, copyright, description,
date), and both point to a directory of the camera and one of the place. So a TIFF that is read gives an EXIF block, and an EXIF block
can be laid into a TIFF.
"""

from __future__ import annotations

import contextlib
import io
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Literal, NamedTuple

Order = Literal["<", ">"]

EXIF, GPS, INTEROPERABILITY, MAKER_NOTE = 34665, 34853, 40965, 37500
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT, ORIENTATION = 282, 283, 296, 274
DESCRIPTION, EXTRA_SAMPLES, XMP, IPTC, PHOTOSHOP, PROFILE = 270, 338, 700, 33723, 34377, 34675
# What a TIFF's first directory says of the picture's making; all else there describes how its pixels are stored.
DESCRIPTIVE = {
    269: "DocumentName", DESCRIPTION: "ImageDescription", 271: "Make", 272: "Model", 285: "PageName",
    301: "TransferFunction", 305: "Software", 306: "DateTime", 315: "Artist", 316: "HostComputer", 318: "WhitePoint",
    319: "PrimaryChromaticities", 18246: "Rating", 18249: "RatingPercent", 33432: "Copyright", 40091: "XPTitle",
    40092: "XPComment", 40093: "XPAuthor", 40094: "XPKeywords", 40095: "XPSubject",
}  # fmt: skip
# Of the camera's directory, those that people know; and the place in one word.
_CAMERA = {
    33434: "ExposureTime", 33437: "FNumber", 34850: "ExposureProgram", 34855: "ISOSpeedRatings", 36867: "DateTimeOriginal",
    36868: "DateTimeDigitized", 36880: "OffsetTime", 36881: "OffsetTimeOriginal", 36882: "OffsetTimeDigitized",
    37377: "ShutterSpeedValue", 37378: "ApertureValue", 37379: "BrightnessValue", 37380: "ExposureBiasValue",
    37381: "MaxApertureValue", 37382: "SubjectDistance", 37383: "MeteringMode", 37384: "LightSource", 37385: "Flash",
    37386: "FocalLength", MAKER_NOTE: "the maker note", 37510: "UserComment", 37520: "SubSecTime", 37521: "SubSecTimeOriginal",
    37522: "SubSecTimeDigitized", 41486: "FocalPlaneXResolution", 41487: "FocalPlaneYResolution", 41985: "CustomRendered",
    41986: "ExposureMode", 41987: "WhiteBalance", 41988: "DigitalZoomRatio", 41989: "FocalLengthIn35mmFilm",
    41990: "SceneCaptureType", 42016: "ImageUniqueID", 42032: "CameraOwnerName", 42033: "BodySerialNumber",
    42034: "LensSpecification", 42035: "LensMake", 42036: "LensModel", 42037: "LensSerialNumber",
}  # fmt: skip
GEOGRAPHIC = (33550, 33922, 34264, 34735)  # GeoTIFF: where on earth the pixels of the old size lie
# Descriptions that programs of arrays (tifffile) and of microscopes read back.
SHAPE = b'{"shape"'
_LAYOUTS = (b"ImageJ=", b"<?xml", b"<OME", b"SCANIMAGE")
_WIDTHS, _HEIGHTS = {256, 40962}, {257, 40963}  # ImageWidth and ImageLength; PixelXDimension and PixelYDimension
_MADE_ANEW = {36864, 37121, 40960, 40961}  # versions, components, colour space: libvips writes them into every file
# By kind, how `struct` calls its values; RATIONAL and SRATIONAL are two numbers each.
LETTERS = {
    1: "B", 2: "B", 3: "H", 4: "I", 5: "II", 6: "b", 7: "B", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d", 13: "I", 16: "Q", 17: "q",
    18: "Q",
}  # fmt: skip
_BYTES = {kind: struct.calcsize(f"={letters}") for kind, letters in LETTERS.items()}
_MOST_TAGS = 10_000  # in a directory; more are damage
_MOST_BYTES = 2**26  # of a directory's values together


class Tag(NamedTuple):
    """A value as it lies in a file: its kind (2 is ASCII, 3 SHORT, 4 LONG, 7 UNDEFINED), and its bytes in an order."""

    kind: int
    data: bytes
    order: Order

    @property
    def length(self) -> int:
        """How many values."""
        return len(self.data) // _BYTES[self.kind]

    @property
    def numbers(self) -> tuple[int, ...]:
        """The values of whole numbers; nothing for text, fractions and floating point."""
        letter = LETTERS[self.kind]
        whole = self.kind != 2 and letter in "BHIQbhiq"
        return struct.unpack(f"{self.order}{self.length}{letter}", self.data) if whole else ()

    def ordered(self, order: Order) -> bytes:
        """Its bytes in another order."""
        size = struct.calcsize(f"={LETTERS[self.kind][0]}")  # of bytes to turn round
        if order == self.order or size == 1:
            return self.data
        return b"".join(self.data[start : start + size][::-1] for start in range(0, len(self.data), size))


Directory = dict[int, Tag]


@dataclass(frozen=True)
class Tags:
    """What a first directory, that of the camera (EXIF) and that of the place (GPS) hold, without their pointers."""

    main: Directory = field(default_factory=dict)
    exif: Directory = field(default_factory=dict)
    gps: Directory = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.main or self.exif or self.gps)

    def names(self) -> set[tuple[str, int]]:
        """Which tags there are that are not about size, orientation, versions, or how pixels are stored."""
        camera = self.exif.keys() - _WIDTHS - _HEIGHTS - _MADE_ANEW
        return {
            (place, tag)
            for place, tags in (("main", self.main.keys() & DESCRIPTIVE.keys()), ("exif", camera), ("gps", self.gps))
            for tag in tags
        }


class Form(NamedTuple):
    """The form of a file: TIFF or BigTIFF, in an order of bytes."""

    order: Order
    large: bool

    @property
    def offset(self) -> str:
        return f"{self.order}{'Q' if self.large else 'I'}"

    @property
    def counter(self) -> str:
        return f"{self.order}{'Q' if self.large else 'H'}"

    @property
    def inline(self) -> int:
        """Bytes of a value that lie in its entry."""
        return 8 if self.large else 4

    @property
    def entry(self) -> str:
        return f"{self.order}HH{'Q' if self.large else 'I'}{self.inline}s"

    def link(self, start: int, entries: int) -> int:
        """Where a directory of so many entries ends, and says where the next one begins."""
        return start + struct.calcsize(self.counter) + entries * struct.calcsize(self.entry)


class Entry(NamedTuple):
    """An entry of a directory: where in the file it lies, and where its values; its bytes, tag, kind and number of values."""

    at: int
    values: int
    raw: bytes
    tag: int
    kind: int
    length: int

    @property
    def size(self) -> int:
        """Bytes of its values; 0 for a kind that nobody knows."""
        return _BYTES.get(self.kind, 0) * self.length


def read(file: BinaryIO, start: int | None = None) -> Tags:
    """The tags of a TIFF file, or of an EXIF block without its `Exif\\0\\0`. What points outside of it is passed over.

    Args:
        start: where the directory lies, of a page that is not the first.

    Raises:
        ValueError: damaged.
    """
    form, first = header(file)
    main = _directory(file, form, first if start is None else start)
    inner: dict[int, Directory] = {EXIF: {}, GPS: {}}
    for pointer in inner:
        tag = main.pop(pointer, None)
        if tag and tag.numbers:
            with contextlib.suppress(ValueError):
                inner[pointer] = _directory(file, form, tag.numbers[0])
    inner[EXIF].pop(INTEROPERABILITY, None)
    return Tags(main, inner[EXIF], inner[GPS])


def name(place: str, tag: int) -> str:
    """What people call a tag of `Tags.names`."""
    known = {"main": DESCRIPTIVE, "exif": _CAMERA, "gps": {}}[place]
    return known.get(tag, f"a tag 0x{tag:04x}" if place != "gps" else "the place (GPS)")


def fraction(tag: Tag | None) -> float:
    """A value of RATIONAL; 0 where it is none, or has no value."""
    if tag is None or tag.kind != 5:
        return 0.0
    above, below = struct.unpack_from(f"{tag.order}II", tag.data)
    return above / below if below else 0.0


def orientation(exif: bytes) -> int:
    """How a picture lies, as its EXIF block says: 1 (upright) to 8."""
    with contextlib.suppress(ValueError):
        tag = of_block(exif).main.get(ORIENTATION)
        number = tag.numbers[0] if tag and tag.numbers else 1
        return number if 1 <= number <= 8 else 1
    return 1


def is_layout(description: bytes) -> bool:
    """Whether a program wrote a description to read it back: how the old pixels lie."""
    return description.startswith((SHAPE, *_LAYOUTS))


def of_block(exif: bytes) -> Tags:
    """The tags of an EXIF block.

    Raises:
        ValueError: damaged.
    """
    return read(io.BytesIO(exif.removeprefix(b"Exif\0\0")))


def block(tags: Tags) -> bytes:
    """An EXIF block of tags, which begins with `Exif\\0\\0`, in little endian order."""
    form = Form("<", large=False)
    start = 8
    pointers: Directory = {}
    body = b""
    for pointer, directory in ((EXIF, tags.exif), (GPS, tags.gps)):
        if directory:
            pointers[pointer] = Tag(4, struct.pack("<I", start + len(body)), "<")
            body += _laid_out(directory, {}, form, start + len(body), 0)
    main = _laid_out({**tags.main, **pointers}, {}, form, start + len(body), 0)
    return b"Exif\0\0II*\0" + struct.pack("<I", start + len(body)) + body + main


def resized(exif: bytes, width: int, height: int) -> bytes:
    """An EXIF block of an upright picture of another size: edited in place, so that what points into it (maker notes) stays right.

    Sizes are set where they are said (libvips and Pillow set the orientation); the thumbnail, of the old pixels, is let go.

    Raises:
        ValueError: damaged.
    """
    prefix = exif[:6] if exif.startswith(b"Exif\0\0") else b""
    data = bytearray(exif[len(prefix) :])
    file = io.BytesIO(bytes(data))
    form, first = header(file)
    if form.large:
        raise ValueError("neither TIFF nor EXIF")
    own, _ = entries(file, form, first)
    camera: list[Entry] = []
    pointers = [value(file, form, entry) for entry in own if entry.tag == EXIF]
    if pointers and pointers[0] and pointers[0].numbers:
        with contextlib.suppress(ValueError):
            camera, _ = entries(file, form, pointers[0].numbers[0])
    wanted = {**dict.fromkeys(_WIDTHS, width), **dict.fromkeys(_HEIGHTS, height)}
    for entry in (*own, *camera):
        if entry.tag in wanted and entry.length == 1 and entry.kind in (3, 4):
            size = wanted[entry.tag]
            # A SHORT cannot hold more than 65,535; it becomes a LONG, which fits into the same place.
            if entry.kind == 4 or size > 0xFFFF:
                struct.pack_into(f"{form.order}HHII", data, entry.at, entry.tag, 4, 1, size)
            else:
                struct.pack_into(f"{form.order}HHIHH", data, entry.at, entry.tag, 3, 1, size, 0)
    link = form.link(first, len(own))
    if link + 4 <= len(data):
        struct.pack_into(form.offset, data, link, 0)
    return prefix + bytes(data)


def lay_into(file: BinaryIO, tags: Tags, pages: Mapping[int, Tag]) -> None:
    """Put tags into a TIFF file that is open for reading and writing: new directories at its end take the place of the old.

    Args:
        tags: of the first page.
        pages: of each page.

    Raises:
        ValueError: it is no TIFF.
    """
    form, start = header(file)
    link = 8 if form.large else 4  # where the offset of the next directory is written
    inner: Directory = {}
    kind, size = (16, "Q") if form.large else (4, "I")
    for pointer, directory in ((EXIF, tags.exif), (GPS, tags.gps)):
        if directory:
            at = _end(file)
            file.write(_laid_out(directory, {}, form, at, 0))
            inner[pointer] = Tag(kind, struct.pack(f"{form.order}{size}", at), form.order)
    fresh = {**pages, **tags.main, **inner}
    while start:
        found, following = entries(file, form, start)
        kept = {entry.tag: entry.raw for entry in found}
        at = _end(file)
        file.write(_laid_out(fresh, {t: raw for t, raw in kept.items() if t not in fresh}, form, at, following or 0))
        file.seek(link)
        file.write(struct.pack(form.offset, at))
        link = form.link(at, len(kept.keys() | fresh.keys()))
        start, fresh = following or 0, dict(pages)


def _end(file: BinaryIO) -> int:
    """The end of a file, where a directory may begin: at an even place."""
    at = file.seek(0, io.SEEK_END)
    if at % 2:
        file.write(b"\0")
    return at + at % 2


def header(file: BinaryIO) -> tuple[Form, int]:
    """The form of a file and where its first directory lies.

    Raises:
        ValueError: it is no TIFF.
    """
    file.seek(0)
    head = file.read(16)
    orders: dict[bytes, Order] = {b"II": "<", b"MM": ">"}
    order = orders.get(head[:2])
    if order is None or len(head) < 8:
        raise ValueError("neither TIFF nor EXIF")
    (version,) = struct.unpack(f"{order}H", head[2:4])
    if version not in (42, 43) or (version == 43 and len(head) < 16):
        raise ValueError("neither TIFF nor EXIF")
    form = Form(order, version == 43)
    (first,) = struct.unpack(form.offset, head[8:16] if form.large else head[4:8])
    return form, first


def entries(file: BinaryIO, form: Form, start: int) -> tuple[list[Entry], int | None]:
    """A directory's entries, and where the next directory begins: 0 where there is none, None where the file ends before it says so.

    Raises:
        ValueError: damaged.
    """
    first, size = form.link(start, 0), struct.calcsize(form.entry)
    counter = _stretch(file, start, first - start)
    count = struct.unpack(form.counter, counter)[0] if len(counter) == first - start else _MOST_TAGS + 1
    if count > _MOST_TAGS:
        raise ValueError("a damaged directory of tags")
    whole = _stretch(file, first, count * size)
    if len(whole) < count * size:
        raise ValueError("a directory of tags is cut short")
    tail = file.read(struct.calcsize(form.offset))
    following = struct.unpack(form.offset, tail)[0] if len(tail) == struct.calcsize(form.offset) else None
    found = []
    for place in range(0, len(whole), size):
        raw = whole[place : place + size]
        tag, kind, number, values = struct.unpack(form.entry, raw)
        inside = _BYTES.get(kind, 0) * number <= form.inline
        values = first + place + size - form.inline if inside else struct.unpack(form.offset, values)[0]
        found.append(Entry(first + place, values, raw, tag, kind, number))
    return found, following


def value(file: BinaryIO, form: Form, entry: Entry) -> Tag | None:
    """The values of an entry; None where there are none, or they do not lie in the file."""
    data = _stretch(file, entry.values, entry.size)
    return Tag(entry.kind, data, form.order) if 0 < entry.size == len(data) else None


def _directory(file: BinaryIO, form: Form, start: int) -> Directory:
    directory: Directory = {}
    room = _MOST_BYTES
    for entry in entries(file, form, start)[0]:
        if entry.size > room:
            continue  # damaged
        room -= entry.size
        found = value(file, form, entry)
        if found is None:
            continue
        # Of a tag that is there twice, libtiff takes the first. tifffile puts its description of an array after that of a person.
        held = directory.get(entry.tag)
        if held is None or (entry.tag == DESCRIPTION and is_layout(held.data) and not is_layout(found.data)):
            directory[entry.tag] = found
    return directory


def _stretch(file: BinaryIO, at: int, size: int) -> bytes:
    """A stretch of a file, as far as it is there."""
    if at + size > sys.maxsize:  # no file is as long, and none can be asked
        return b""
    file.seek(at)
    return file.read(size)


def _laid_out(fresh: Mapping[int, Tag], kept: Mapping[int, bytes], form: Form, start: int, following: int) -> bytes:
    """A directory that begins at `start`, and after it the values that do not fit into it; `kept` entries stay as they are."""
    size = struct.calcsize(form.entry)
    after = start + struct.calcsize(form.counter) + size * (len(fresh) + len(kept)) + struct.calcsize(form.offset)
    values = b""
    entries = dict(kept)
    for tag, value in fresh.items():
        data = value.ordered(form.order)
        place = data
        if len(data) > form.inline:
            place = struct.pack(form.offset, after + len(values))
            values += data + b"\0" * (len(data) % 2)
        entries[tag] = struct.pack(form.entry, tag, value.kind, value.length, place)
    body = b"".join(entries[tag] for tag in sorted(entries))
    return struct.pack(form.counter, len(entries)) + body + struct.pack(form.offset, following) + values
