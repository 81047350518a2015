"""What a file's own structure says before a pixel is decoded: how large it is, how many frames it has, whether its end is there.

libvips decodes; but it takes an animation of which the end is missing for a shorter one, and knows nothing of frames in a PNG or AVIF.
Sources: PNG 3rd edition (APNG is part of it), ITU-T T.81 (JPEG), the GIF89a specification, ISO/IEC 14496-12 (the boxes of AVIF).
"""

from __future__ import annotations

import io
import re
import zlib
from typing import NamedTuple

from fsrcnn.images.containers import GIF_END, gif_blocks, png_places

_JPEG_MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")  # what ends coded data: neither a stuffed 0xff nor a restart
SEQUENTIAL_SCAN = b"\x00\x3f\x00"  # all coefficients, at once
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class DamagedError(Exception):
    """A file breaks off, or is not as its format wants it; `truncated` says which."""

    def __init__(self, truncated: bool = False) -> None:
        super().__init__()
        self.truncated = truncated


class Structure(NamedTuple):
    """What a file says of itself.

    Attributes:
        size: (width, height) in pixels; None where it was not looked for.
        frames: of an animation that libvips does not know of; else 1.
        complete: everything is there from the first byte to the end that the format marks.
        all_but_end: of a file that is not complete: only the mark of its end is missing.
        intact: no checksum is wrong that a decoder would pass over.
        still_first: the picture that readers without animation see is the first frame.
        kind: where libraries differ in what they decode of a format, what this one is: `12-bit`, `lossless`, `arithmetic`.
        wrong_scans: where a sequential JPEG says nonsense of its scan, which matters to progressive ones only.
    """

    size: tuple[int, int] | None = None
    frames: int = 1
    complete: bool = True
    all_but_end: bool = False
    intact: bool = True
    still_first: bool = True
    kind: str = ""
    wrong_scans: tuple[int, ...] = ()


def structure_of(data: bytes, kind: str) -> Structure:
    """Look through a file.

    Args:
        data: its bytes.
        kind: as `kind_of` says it.
    """
    match kind:
        case "png":
            return _png(data)
        case "jpg":
            return _jpeg(data)
        case "gif":
            return _gif(data)
        case "webp":
            return Structure(complete=int.from_bytes(data[4:8], "little") + 8 <= len(data))
        case "avif" | "heic":
            return _avif(data)
        case _:
            return Structure()


def _png(data: bytes) -> Structure:
    size, frames, controls, still_first, intact, ended = None, 1, 0, True, True, False
    for name, start, end in png_places(io.BytesIO(data)):
        if name == b"IHDR":
            size = (int.from_bytes(data[start : start + 4], "big"), int.from_bytes(data[start + 4 : start + 8], "big"))
        elif name == b"acTL":
            frames = max(1, int.from_bytes(data[start : min(start + 4, end)], "big"))
        elif name == b"fcTL":
            controls += 1
        elif name == b"IDAT" and not controls:
            still_first = False
        if frames > 1 and name in (b"IDAT", b"fcTL", b"fdAT"):
            check = int.from_bytes(data[end : end + 4], "big")
            intact = intact and check == zlib.crc32(memoryview(data)[start:end], zlib.crc32(name))
        ended = name == b"IEND" and end + 4 <= len(data)
    complete = ended and (frames == 1 or controls == frames)
    return Structure(size, frames, complete, intact=intact, still_first=still_first)


def _jpeg(data: bytes) -> Structure:
    size, kind, components, progressive, at = None, "", 0, False, 2
    wrong: list[int] = []
    missing: dict[int, set[int]] = {}  # of each component seen in a scan: coefficients of which bits are still to come
    while found := _JPEG_MARKER.search(data, at):
        marker, at = data[found.end() - 1], found.end()
        if marker == 0xD9:
            return Structure(size, kind=kind, wrong_scans=tuple(wrong))
        length = int.from_bytes(data[at : at + 2], "big")
        segment, at = data[at + 2 : at + length], at + length
        if at > len(data):
            break
        if marker in _JPEG_FRAMES and len(segment) >= 6:
            size = (int.from_bytes(segment[3:5], "big"), int.from_bytes(segment[1:3], "big"))
            components, progressive = segment[5], marker & 3 == 2
            kind = (
                f"{segment[0]}-bit" if segment[0] in (12, 16)
                else "lossless" if marker & 3 == 3
                else "arithmetic" if marker > 0xC8
                else ""
            )  # fmt: skip
        elif marker == 0xDA and len(segment) >= 4 and len(segment) >= 4 + 2 * segment[0]:
            first, last, bits = segment[-3:]
            if not progressive and segment[-3:] != SEQUENTIAL_SCAN:
                wrong.append(at - 3)
            for component in segment[1 : 1 + 2 * segment[0] : 2]:
                left = missing.setdefault(component, set(range(64)))
                if not progressive:
                    left.clear()
                elif bits & 15 == 0:
                    left.difference_update(range(first, last + 1))
    all_scans = 0 < components == len(missing) and not any(missing.values())
    # Arithmetic decoding reads zeros beyond the end and says nothing, so its last scan may be a part.
    all_but_end = all_scans and kind == ""
    return Structure(size, complete=False, all_but_end=all_but_end, kind=kind, wrong_scans=tuple(wrong))


def _gif(data: bytes) -> Structure:
    size = (int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little"))
    return Structure(size, complete=any(kind == GIF_END for kind, *_ in gif_blocks(data)))


def _avif(data: bytes) -> Structure:
    from fsrcnn.images import isobmff  # here, as few pictures are of this kind and each module takes time to import

    return Structure(frames=max(1, isobmff.frames_of(data)), complete=0 < isobmff.end_of(data) <= len(data))
