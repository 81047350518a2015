"""What colours mean where no ICC profile says it: code points (PNG's cICP, AVIF's nclx), gamma and chromaticities (gAMA, cHRM).

Sources: ITU-T H.273 (code points), PNG third edition (sections 11.3.2.1 to 11.3.2.6), ICC.1:2022 (matrix/TRC profiles).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from fsrcnn.arrays import Array

UNSPECIFIED, SRGB_TRANSFER, PQ, HLG = 2, 13, 16, 18
HDR = {PQ: "PQ", HLG: "HLG"}
_D65 = (0.3127, 0.3290)
# White, red, green, blue: x, y of each (H.273, table 2).
_PRIMARIES = {
    1: (_D65, (0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),  # BT.709, sRGB
    4: ((0.310, 0.316), (0.67, 0.33), (0.21, 0.71), (0.14, 0.08)),  # BT.470 M
    5: (_D65, (0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),  # BT.601, 625 lines
    6: (_D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),  # BT.601, 525 lines
    7: (_D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),  # SMPTE 240M
    9: (_D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),  # BT.2020
    11: ((0.314, 0.351), (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),  # DCI P3
    12: (_D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),  # Display P3
    22: (_D65, (0.630, 0.340), (0.295, 0.605), (0.155, 0.077)),  # EBU 3213
}
# Samples to light: (gamma,), or (gamma, a, b, c, d) of ICC's function 3: (a·v + b)^gamma from d on, c·v below.
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_BT709_CURVE = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
_CURVES: dict[int, tuple[float, ...]] = {
    1: _BT709_CURVE, 4: (2.2,), 5: (2.8,), 6: _BT709_CURVE, 8: (1.0,), SRGB_TRANSFER: _SRGB_CURVE, 14: _BT709_CURVE,
    15: _BT709_CURVE,
}  # fmt: skip
_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_SRGB_GAMMA = 45455  # gAMA of sRGB and of nearly every file that has one: 1/2.2


class CodePoints(NamedTuple):
    """What H.273 calls colour primaries, transfer characteristics and matrix coefficients, and whether 0 is black (full range)."""

    primaries: int
    transfer: int
    matrix: int = 0
    full: bool = True

    @property
    def hdr(self) -> str | None:
        """`PQ` or `HLG`, which no ICC profile of the common kind can say; None for the others."""
        return HDR.get(self.transfer)

    @property
    def plain(self) -> bool:
        """Whether that is sRGB, or nothing: what anybody takes a picture without a profile for."""
        return self.primaries in (1, UNSPECIFIED) and self.transfer in (SRGB_TRANSFER, UNSPECIFIED)

    def profile(self, grey: bool) -> bytes | None:
        """An ICC profile that says the same; None where there is none: HDR, or a code point of no known meaning."""
        corners = _PRIMARIES.get(1 if self.primaries == UNSPECIFIED else self.primaries)
        curve = _CURVES.get(SRGB_TRANSFER if self.transfer == UNSPECIFIED else self.transfer)
        return None if corners is None or curve is None or not self.full else _profile(corners, _curve(*curve), grey)


def profile_of_gamma(gamma: bytes | None, chromaticities: bytes | None, grey: bool) -> bytes | None:
    """An ICC profile of a PNG's gAMA and cHRM; None where they say sRGB.

    Args:
        gamma: the chunk's data: 100,000 times the exponent from light to samples; that of sRGB where it is not given.
        chromaticities: 100,000 times x and y of white, red, green and blue; those of sRGB where they are not given.

    Raises:
        ValueError: they mean nothing: a gamma of 0, colours on a line.
    """
    (exponent,) = struct.unpack(">I", gamma) if gamma else (_SRGB_GAMMA,)
    values = struct.unpack(">8I", chromaticities) if chromaticities else ()
    corners = tuple((x / 1e5, y / 1e5) for x, y in zip(values[::2], values[1::2], strict=True)) or _PRIMARIES[1]
    if not 1_000 <= exponent <= 1_000_000:
        raise ValueError(f"a gamma of {exponent / 1e5:g}")
    as_srgb = abs(exponent - _SRGB_GAMMA) <= 500
    if as_srgb and np.abs(np.subtract(corners, _PRIMARIES[1])).max() < 0.002:
        return None
    return _profile(corners, _curve(*(_SRGB_CURVE if as_srgb and not gamma else (1e5 / exponent,))), grey)


def space_of(profile: bytes) -> bytes | None:
    """The colours that an ICC profile is for (`RGB `, `GRAY`, `CMYK` …); None where it is cut short, or none."""
    whole = (
        len(profile) >= 132 and profile[36:40] == b"acsp" and 132 <= int.from_bytes(profile[:4], "big") <= len(profile)
    )
    return profile[16:20] if whole else None


def fitting_profile(profile: bytes, grey: bool) -> bytes | None:
    """An ICC profile as far as its header says it reaches; None where it is cut short, none, or of other colours than the picture."""
    space = space_of(profile)
    profile = profile[: int.from_bytes(profile[:4], "big")]
    if space == b"GRAY" and not grey:  # in a format that has no grey: the same curve for R, G and B
        for at in range(132, min(132 + 12 * int.from_bytes(profile[128:132], "big"), len(profile) - 11), 12):
            name, start, length = struct.unpack_from(">4sII", profile, at)
            if name == b"kTRC":
                return _profile(_PRIMARIES[1], profile[start : start + length], grey=False)
    return profile if space == (b"GRAY" if grey else b"RGB ") else None


def _to_xyz(corners: tuple[tuple[float, float], ...]) -> tuple[Array, Array]:
    """The matrix from RGB to XYZ under D50 (Bradford), and the adaptation alone."""
    white, *primaries = (np.array([x / y, 1, (1 - x - y) / y]) if y else np.full(3, np.nan) for x, y in corners)
    columns = np.stack(primaries, axis=1)
    if not np.isfinite(columns).all() or not np.isfinite(white).all() or abs(np.linalg.det(columns)) < 1e-6:
        raise ValueError("chromaticities on a line")
    matrix = columns * np.linalg.solve(columns, white)
    cones = (_BRADFORD @ np.array(_D50)) / (_BRADFORD @ white)
    adaptation = np.linalg.solve(_BRADFORD, cones[:, None] * _BRADFORD)
    return adaptation @ matrix, adaptation


def _curve(*numbers: float) -> bytes:
    """A parametric curve (ICC.1, section 10.18): function 0 of a gamma, function 3 of five numbers."""
    return b"para\0\0\0\0" + struct.pack(">HH", 3 if len(numbers) > 1 else 0, 0) + _fixed(*numbers)


def _profile(corners: tuple[tuple[float, float], ...], curve: bytes, grey: bool) -> bytes:
    """A version 4 display profile: matrix and curves, or the curve alone for grey."""
    matrix, adaptation = _to_xyz(corners)
    # A text starts at byte 28 of its tag, after one record of language, country, length and place.
    text = "fsrcnn: from the picture's own colour tags".encode("utf-16-be")
    words = b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(text), 28) + text
    tags = {b"desc": words, b"cprt": words, b"wtpt": b"XYZ \0\0\0\0" + _fixed(*_D50)}
    tags[b"chad"] = b"sf32\0\0\0\0" + _fixed(*adaptation.ravel())
    if grey:
        tags[b"kTRC"] = curve
    else:
        tags |= {bytes([c]) + b"XYZ": b"XYZ \0\0\0\0" + _fixed(*matrix[:, i]) for i, c in enumerate(b"rgb")}
        tags |= {bytes([c]) + b"TRC": curve for c in b"rgb"}
    table, body = struct.pack(">I", len(tags)), b""
    places: dict[bytes, int] = {}
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        if data not in places:
            places[data] = start + len(body)
            body += data + b"\0" * (-len(data) % 4)
        table += name + struct.pack(">II", places[data], len(data))
    head = struct.pack(">I4xI4s4s4s", start + len(body), 0x04400000, b"mntr", b"GRAY" if grey else b"RGB ", b"XYZ ")
    head += struct.pack(">6H4s", 2020, 1, 1, 0, 0, 0, b"acsp") + b"\0" * 28 + _fixed(*_D50)
    return head.ljust(128, b"\0") + table + body


def _fixed(*values: float) -> bytes:
    """s15Fixed16 numbers."""
    return struct.pack(f">{len(values)}i", *(round(float(value) * 65536) for value in values))
