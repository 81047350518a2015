"""The boxes of AVIF files (ISO/IEC 14496-12, 23008-12): code points of colours that libvips neither reads nor writes."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence

from fsrcnn.images.colour import CodePoints

BT601 = 6  # the matrix of what libheif encodes with loss


def boxes(
    data: bytes, start: int = 0, end: int | None = None, *, whole: bool = True
) -> Iterator[tuple[bytes, int, int, int]]:
    """Kind, start, start of the content and end of each box in a stretch of bytes.

    Args:
        whole: none that ends beyond the stretch.
    """
    end = len(data) if end is None else min(end, len(data))
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1 and start + 16 <= end:
            (size,) = struct.unpack_from(">Q", data, start + 8)
            head = 16
        size = size or end - start
        if size < head or (whole and start + size > end):
            return
        yield kind, start, start + head, start + size
        start += size


def meta_of(data: bytes) -> tuple[int, int]:
    """Where the box of metadata of a file begins and ends; twice 0 where there is none."""
    return next(((start, end) for kind, start, _, end in boxes(data) if kind == b"meta"), (0, 0))


def frames_of(data: bytes) -> int:
    """How many pictures follow each other in the longest track of a file (its samples, in `stsz`); 0 where there is none."""
    return max(
        (int.from_bytes(data[at + 8 : at + 12], "big") for at in _in_tracks(data, _WAY_TO_SAMPLES, b"stsz")), default=0
    )


def end_of(data: bytes) -> int:
    """Where the last box of a file ends, which is beyond the file where that is cut short; 0 where there is no box."""
    return max((end for *_, end in boxes(data, whole=False)), default=0)


def code_points(meta: bytes) -> CodePoints | None:
    """The colour of the main picture, where its file tells it by code points."""
    layout = _Layout(meta)
    for index in layout.properties_of_primary():
        kind, _, content, end = layout.properties[index - 1]
        if kind == b"colr" and meta[content : content + 4] == b"nclx" and end - content >= 11:
            primaries, transfer, matrix, full = struct.unpack_from(">HHHB", meta, content + 4)
            return (
                CodePoints(primaries, transfer, matrix, bool(full & 0x80)) if max(primaries, transfer) < 256 else None
            )
    return None


def light_levels(meta: bytes) -> tuple[bytes, ...]:
    """The boxes that say how bright HDR is (`clli`, `mdcv`), as they lie there."""
    layout = _Layout(meta)
    found = [layout.properties[index - 1] for index in layout.properties_of_primary()]
    return tuple(meta[start:end] for kind, start, _, end in found if kind in (b"clli", b"mdcv"))


def has_gain_map(meta: bytes) -> bool:
    """Whether a file holds a gain map: a picture derived by one (`tmap`), or Apple's beside the main picture."""
    return b"tmap" in meta or b"urn:com:apple:photo:2020:aux:hdrgainmap" in meta


def with_colour(data: bytes, colour: CodePoints, light: Sequence[bytes] = ()) -> bytes:
    """An AVIF file that tells the colour of its picture and frames by code points; the matrix stays that of the pixels written.

    Args:
        data: the file, as libheif and libavif lay it out: metadata first.
        light: boxes of `light_levels`; none for a file with frames.

    Raises:
        ValueError: boxes in another order; or boxes to put in where frames would move.
    """
    tracks = [at for at in _in_tracks(data, _WAY_TO_COLOUR, b"colr") if data[at : at + 4] == b"nclx"]
    if tracks:
        framed = bytearray(data)
        for content in tracks:
            struct.pack_into(">HH", framed, content + 4, colour.primaries, colour.transfer)
        data = bytes(framed)
    start, end = meta_of(data)
    meta = bytearray(data[start:end])
    layout = _Layout(bytes(meta))
    found = [layout.properties[index - 1] for index in layout.properties_of_primary()]
    written = [content for kind, _, content, _ in found if kind == b"colr" and meta[content : content + 4] == b"nclx"]
    for content in written:
        struct.pack_into(">HH", meta, content + 4, colour.primaries, colour.transfer)
    if tracks and (light or not written):
        raise ValueError("the places of frames are counted from the start of the file")
    box = struct.pack(">I4s4sHHHB", 19, b"colr", b"nclx", colour.primaries, colour.transfer, BT601, 0x80)
    for more in (*light, *([] if written else [box])):
        meta[:] = _Layout(bytes(meta)).with_property(more)
    return data[:start] + bytes(meta) + data[end:]


# From the box of all tracks down: how many bytes lie before the boxes in each.
_WAY_TO_SAMPLES = {b"moov": 0, b"trak": 0, b"mdia": 0, b"minf": 0, b"stbl": 0}
_WAY_TO_COLOUR = {**_WAY_TO_SAMPLES, b"stsd": 8, b"av01": 78}


def _in_tracks(
    data: bytes, way: Mapping[bytes, int], wanted: bytes, start: int = 0, end: int | None = None
) -> Iterator[int]:
    """Where the contents of the boxes of a kind begin that are found that way, also in a file that is cut short."""
    for kind, _, content, stop in boxes(data, start, end, whole=False):
        if kind in way:
            below = {other: head for other, head in way.items() if other != kind}  # none lies in one of its own kind
            yield from _in_tracks(data, below, wanted, content + way[kind], stop)
        elif kind == wanted:
            yield content


class _Layout:
    """Where things lie in a box of metadata.

    Attributes:
        properties: kind, start, start of the content and end of each, in `ipco`.
    """

    def __init__(self, meta: bytes) -> None:
        self.meta = meta
        self.at = {kind: (start, content, end) for kind, start, content, end in boxes(meta, 12)}
        if not {b"iprp", b"pitm", b"iloc"} <= self.at.keys():
            raise ValueError("no properties of pictures")
        _, content, end = self.at[b"iprp"]
        self.at |= {kind: (s, c, e) for kind, s, c, e in boxes(meta, content, end)}
        if not {b"ipco", b"ipma"} <= self.at.keys():
            raise ValueError("no properties of pictures")
        _, content, end = self.at[b"ipco"]
        self.properties = list(boxes(meta, content, end))
        at = self.at[b"pitm"][1]
        (self.primary,) = struct.unpack_from(">I" if meta[at] else ">H", meta, at + 4)

    def associations(self) -> tuple[int, int, int]:
        """Of the main picture: where the number of its properties lies, that number, and the bytes of each."""
        _, at, end = self.at[b"ipma"]
        version, flags = self.meta[at], self.meta[at + 3]
        (entries,) = struct.unpack_from(">I", self.meta, at + 4)
        size, at = (2 if flags & 1 else 1), at + 8
        for _ in range(entries):
            if at >= end:
                break
            (item,) = struct.unpack_from(">I" if version else ">H", self.meta, at)
            at += 4 if version else 2
            if item == self.primary:
                return at, self.meta[at], size
            at += 1 + self.meta[at] * size
        raise ValueError("no properties of the main picture")

    def properties_of_primary(self) -> list[int]:
        """Their numbers, from 1."""
        at, count, size = self.associations()
        mask = 0x7FFF if size == 2 else 0x7F
        raw = [
            int.from_bytes(self.meta[p : p + size], "big") & mask for p in range(at + 1, at + 1 + count * size, size)
        ]
        return [index for index in raw if 1 <= index <= len(self.properties)]

    def with_property(self, box: bytes) -> bytes:
        """The box of metadata with one more property of the main picture."""
        at, count, size = self.associations()
        number = len(self.properties) + 1
        if number > 0x7F or count == 0xFF or self.at[b"ipco"][2] > at:
            raise ValueError("properties in an unusual order")
        moved = len(box) + size
        data = bytearray(self.meta)
        self._move(data, moved)
        data[at] = count + 1
        data[at + 1 + count * size : at + 1 + count * size] = number.to_bytes(size, "big")
        data[self.at[b"ipco"][2] : self.at[b"ipco"][2]] = box
        for kind, more in ((b"ipma", size), (b"ipco", len(box)), (b"iprp", moved)):
            start = self.at[kind][0] + (len(box) if kind == b"ipma" else 0)
            struct.pack_into(">I", data, start, struct.unpack_from(">I", data, start)[0] + more)
        struct.pack_into(">I", data, 0, len(data))
        return bytes(data)

    def _move(self, data: bytearray, by: int) -> None:
        """Add to the places of all items, which lie after the metadata."""
        at = self.at[b"iloc"][1]
        version, sizes, more = data[at], data[at + 4], data[at + 5]
        offset_size, length_size, base_size = sizes >> 4, sizes & 15, more >> 4
        index_size = more & 15 if version else 0
        wide = ">I" if version == 2 else ">H"
        (count,) = struct.unpack_from(wide, data, at + 6)
        at += 6 + struct.calcsize(wide)
        for _ in range(count):
            at += struct.calcsize(wide)
            method = 0
            if version:
                method = data[at + 1] & 15
                at += 2
            at += 2
            base = int.from_bytes(data[at : at + base_size], "big")
            if method == 0 and base:
                data[at : at + base_size] = (base + by).to_bytes(base_size, "big")
            at += base_size
            (extents,) = struct.unpack_from(">H", data, at)
            at += 2
            for _ in range(extents):
                at += index_size
                if method == 0 and not base:
                    place = int.from_bytes(data[at : at + offset_size], "big")
                    data[at : at + offset_size] = (place + by).to_bytes(offset_size, "big")
                at += offset_size + length_size
