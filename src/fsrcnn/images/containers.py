"""What lies beside the pixels in PNG, JPEG, WebP and GIF files: chunks, segments and blocks, walked without decoding anything.

libvips carries profiles, EXIF and XMP; what it does not read is read here, and put into the stream that it writes.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from fsrcnn.images import tags

GIF_EXTENSION, GIF_FRAME, GIF_END = 0x21, 0x2C, 0x3B  # what blocks of a GIF begin with
_GAIN_MAPS = (
    b"urn:iso:std:iso:ts:21496:-1",
    b"http://ns.adobe.com/hdr-gain-map/",
    b"urn:com:apple:photo:2020:aux:hdrgainmap",
)
_MOST = 2**26  # bytes of one chunk that are held; larger ones are passed over


def png_places(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Name of a PNG's chunks, as far as they begin in the file, and where the data of each begin and, perhaps beyond it, end."""
    at, kind = 8, b""
    while kind != b"IEND":
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        length, kind = struct.unpack(">I4s", head)
        yield kind, at + 8, at + 8 + length
        at += 12 + length


def png_chunks(file: BinaryIO, kinds: Sequence[bytes]) -> Iterator[tuple[bytes, bytes, bool]]:
    """Name and data of a PNG's chunks of some kinds, in their order, and whether they follow the pixels."""
    late = False
    for kind, start, end in png_places(file):
        late = late or kind == b"IDAT"
        if kind in kinds and end - start <= _MOST:
            file.seek(start)
            yield kind, file.read(end - start), late


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk with its length and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def jpeg_segments(file: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    """Marker, place in the file of the data, and data of a JPEG's segments before its first scan."""
    at = 2
    while True:
        file.seek(at)
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF or head[1] in (0xD9, 0xDA):
            return
        if head[1] in (0xFF, 0x01):  # fill bytes
            at += 1
            continue
        (length,) = struct.unpack(">H", head[2:])
        yield head[1], at + 4, file.read(max(0, length - 2))
        at += 2 + length


def further_pictures(file: BinaryIO, start: int, index: bytes) -> Iterator[str]:
    """What a JPEG's multi-picture index points to beside the picture itself: `gain map`, `thumbnail`, `picture` (CIPA DC-007).

    Args:
        start: where the index lies in the file, which its offsets count from.
        index: its bytes, without `MPF\0`.
    """
    entries = tags.read(io.BytesIO(index)).main.get(0xB002)
    if entries is None:
        return
    for at in range(16, len(entries.data) - 15, 16):
        kind, _, offset = struct.unpack_from(f"{entries.order}III", entries.data, at)
        file.seek(start + offset)
        head = file.read(2**16)
        if any(mark in head for mark in _GAIN_MAPS):
            yield "gain map"
        else:
            yield "thumbnail" if kind & 0xFFFFFF in (0x010001, 0x010002) else "picture"


def jpeg_comment(text: bytes) -> bytes:
    """Segments of a comment, each of at most 65,533 bytes."""
    pieces = [text[start : start + 65_533] for start in range(0, len(text), 65_533)]
    return b"".join(b"\xff\xfe" + struct.pack(">H", len(piece) + 2) + piece for piece in pieces)


def webp_is_lossless(file: BinaryIO) -> bool:
    """Whether all pictures of a WebP file are stored without loss (`VP8L`)."""
    kinds: list[bytes] = []
    at = 12
    while True:
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return bool(kinds) and all(kind == b"VP8L" for kind in kinds)
        kind, length = struct.unpack("<4sI", head)
        if kind == b"ANMF":  # a frame: 16 bytes of its own, then chunks
            inner = file.read(length)
            start = 16
            while start + 8 <= len(inner):
                part, size = struct.unpack_from("<4sI", inner, start)
                kinds += [part] if part in (b"VP8 ", b"VP8L") else []
                start += 8 + size + size % 2
        elif kind in (b"VP8 ", b"VP8L"):
            kinds.append(kind)
        at += 8 + length + length % 2


def gif_blocks(data: bytes) -> Iterator[tuple[int, int, int]]:
    """A GIF's blocks: the byte that each begins with, and where its pieces begin and, perhaps beyond the file, end."""
    at = _after_table(data) or 13
    while at < len(data):
        if data[at] == GIF_EXTENSION and at + 1 < len(data):
            start = at + 2  # after its label
        elif data[at] == GIF_FRAME and at + 10 < len(data):
            start = at + 11 + _table(data[at + 9])
        else:
            if data[at] == GIF_END:
                yield GIF_END, at, at
            return
        end = start
        while end < len(data) and data[end]:
            end += data[end] + 1
        yield data[at], start, end
        at = end + 1


def gif_extensions(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Label (0xFE is a comment, 0xFF an application's) and data of a GIF's extensions before its first frame."""
    for kind, start, end in gif_blocks(data):
        if kind != GIF_EXTENSION:
            return
        pieces = []
        at = start
        while at < min(end, len(data)):
            pieces.append(data[at + 1 : at + 1 + data[at]])
            at += 1 + data[at]
        yield data[start - 1], b"".join(pieces)


def gif_comment_block(text: bytes) -> bytes:
    """A comment extension, in pieces of at most 255 bytes."""
    pieces = [text[start : start + 255] for start in range(0, len(text), 255)]
    return b"\x21\xfe" + b"".join(bytes([len(piece)]) + piece for piece in pieces) + b"\0"


def _after_table(head: bytes) -> int | None:
    """Where a GIF's blocks begin, after its table of colours; None where too little of it is given to tell."""
    return 13 + _table(head[10]) if len(head) >= 13 else None


def _table(packed: int) -> int:
    """Bytes of a table of colours, of which the packed fields of a screen or frame tell."""
    return 3 << (packed & 7) + 1 if packed & 0x80 else 0


def png_with(chunks: bytes, head: bytes, *, without: Sequence[bytes] = ()) -> bytes | None:
    """The beginning of a PNG with chunks after its header, and without others before its pixels; None where more of it is needed."""
    kept = [head[:33], chunks]
    for kind, start, end in png_places(io.BytesIO(head)):
        if kind == b"IDAT":
            return b"".join((*kept, head[start - 8 :]))
        if kind != b"IHDR" and kind not in without:
            kept.append(head[start - 8 : end + 4])
    return None


def jpeg_with(segments: bytes, head: bytes) -> bytes | None:
    """The beginning of a JPEG with segments: after the first one where that is Exif's, else before all; None where more is needed."""
    if len(head) < 12:
        return None
    end = 4 + struct.unpack(">H", head[4:6])[0] if head[3] == 0xE1 and head[6:12] == b"Exif\0\0" else 2
    return head[:end] + segments + head[end:] if len(head) >= end else None


def gif_with(blocks: bytes, head: bytes) -> bytes | None:
    """The beginning of a GIF with blocks after its table of colours, and after the block that says how often it plays."""
    at = _after_table(head)
    if at is None or len(head) < at + 2:
        return None
    at += 19 if head[at : at + 2] == b"\x21\xff" else 0
    return head[:at] + blocks + head[at:] if len(head) >= at else None


def resource(iptc: bytes) -> bytes:
    """IPTC data (IIM) as a JPEG holds them: a Photoshop resource, number 0x0404, with its name."""
    return b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(iptc)) + iptc + b"\0" * (len(iptc) % 2)


def iptc_of_resources(data: bytes) -> bytes:
    """The IPTC data among Photoshop's resources; the others (thumbnail, guides, paths) belong to the old pixels."""
    data, at = data.removeprefix(b"Photoshop 3.0\0"), 0
    while data[at : at + 4] == b"8BIM" and at + 12 <= len(data):
        name = 1 + data[at + 6]
        start = at + 6 + name + name % 2
        if start + 4 > len(data):
            break
        (size,) = struct.unpack_from(">I", data, start)
        if data[at + 4 : at + 6] == b"\x04\x04":
            return data[start + 4 : start + 4 + size]
        at = start + 4 + size + size % 2
    return b""
