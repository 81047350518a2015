"""BMP, which libvips does not read: the header here, the pixels by Pillow, and by NumPy where channels lie in bits of any masks.

Source: Microsoft, "Bitmap Storage" (BITMAPCOREHEADER to BITMAPV5HEADER).
"""

from __future__ import annotations

import io
import struct
from typing import Any, NamedTuple

import numpy as np

from fsrcnn.arrays import Array, Uint8
from fsrcnn.images.structure import DamagedError
from fsrcnn.require import require

CORE, INFO, V4 = 12, 40, 108  # lengths of headers; OS/2's first, Windows' first, the first with a colour space
MASKS, ALPHA_MASKS = 3, 6  # compressions: none, but channels in given bits
EMBEDDED = b"DEBM"  # a profile lies in the file
LARGEST_RATIO = 100_000  # pixels per mm: what is more is no resolution


class Header(NamedTuple):
    """What a BMP says of itself.

    Attributes:
        size: (width, height) in pixels.
        top_down: the first row in the file is the upper one; mostly it is the lowest.
        bits: of a pixel.
        compression: 0 none, 1 and 2 run lengths, 3 and 6 none but masks.
        pixels: where they begin in the file.
        masks: bits of red, green, blue and alpha in a pixel of 16 or 32 bits.
        resolution: pixels per mm, horizontally and vertically; None where it says nothing.
        profile: an ICC profile; empty where there is none.
    """

    size: tuple[int, int]
    top_down: bool
    bits: int
    compression: int
    pixels: int
    masks: tuple[int, int, int, int]
    resolution: tuple[float, float] | None
    profile: bytes


def header_of(data: bytes) -> Header:
    """
    Raises:
        DamagedError: there is no header of a BMP, or it breaks off.
    """
    try:
        pixels, length = struct.unpack_from("<II", data, 10)
        if length == CORE:
            width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
            return Header((width, height), False, bits, 0, pixels, (0, 0, 0, 0), None, b"")
        width, height, _, bits = struct.unpack_from("<iiHH", data, 18)
        compression, _, across, down = struct.unpack_from("<IIii", data, 30) if length >= INFO else (0, 0, 0, 0)
        masks = (0x7C00, 0x3E0, 0x1F, 0) if bits == 16 else (0xFF0000, 0xFF00, 0xFF, 0)
        if compression in (MASKS, ALPHA_MASKS):
            alpha = compression == ALPHA_MASKS or length >= 56
            masks = struct.unpack_from("<4I", data, 54) if alpha else (*struct.unpack_from("<3I", data, 54), 0)
        profile = b""
        if length > V4 and data[70:74] == EMBEDDED:
            start, count = struct.unpack_from("<II", data, 14 + 112)
            profile = data[14 + start : 14 + start + count]
    except struct.error as error:
        raise DamagedError(truncated=True) from error
    known = 0 < across < LARGEST_RATIO * 1000 and 0 < down < LARGEST_RATIO * 1000
    resolution = (across / 1000, down / 1000) if known else None
    if width <= 0 or height == 0:
        raise DamagedError
    return Header((width, abs(height)), height < 0, bits, compression, pixels, masks, resolution, profile)


def pixels_of(data: bytes, header: Header, tolerant: bool) -> Array:
    """Grey (h, w), RGB (h, w, 3) or RGBA (h, w, 4), uint8.

    Raises:
        DamagedError: pixels are missing, or of a kind that neither Pillow nor this module knows.
        MissingExtraError: Pillow is not installed.
    """
    if header.bits in (16, 32) and header.compression in (0, MASKS, ALPHA_MASKS):
        return _masked(data, header, tolerant)
    plugin: Any = require("PIL.BmpImagePlugin", "BMP files", extra="pillow")
    wanted = header.pixels + (header.size[0] * header.bits + 31) // 32 * 4 * header.size[1]
    if header.compression == 0 and len(data) < wanted:
        if not tolerant:
            raise DamagedError(truncated=True)
        data += bytes(wanted - len(data))
    try:
        # Not `Image.open`, which has a limit of its own for the number of pixels.
        with plugin.BmpImageFile(io.BytesIO(data)) as picture:
            return np.asarray(picture.convert("L" if picture.mode in ("1", "L") else "RGB"))
    except (OSError, ValueError, SyntaxError, IndexError, TypeError, struct.error) as error:
        raise DamagedError(truncated=False) from error


def _masked(data: bytes, header: Header, tolerant: bool) -> Uint8:
    (width, height), size = header.size, header.bits // 8
    line = (width * size + 3) // 4 * 4
    samples = data[header.pixels : header.pixels + line * height]
    if len(samples) < line * height:
        if not tolerant:
            raise DamagedError(truncated=True)
        samples += bytes(line * height - len(samples))
    rows = np.frombuffer(samples, np.uint8).reshape(height, line)[:, : width * size]
    words = rows.view(f"<u{size}") if rows.flags.c_contiguous else np.ascontiguousarray(rows).view(f"<u{size}")
    channels = []
    for mask in header.masks if header.masks[3] else header.masks[:3]:
        shift = (mask & -mask).bit_length() - 1 if mask else 0
        peak = max(mask >> shift, 1)
        values = (words & mask) >> shift
        channels.append(values if peak == 255 else (values.astype(np.uint64) * 510 + peak) // (2 * peak))
    if len(channels) == 4 and not channels[3].any():
        channels.pop()  # many programs name a mask of alpha and leave its bits 0
    picture = np.stack([channel.astype(np.uint8) for channel in channels], axis=2)
    return picture if header.top_down else picture[::-1]
