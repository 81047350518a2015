"""What a film says of its colours: tags of the stream, siting of chroma, and the side data of HDR."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from fsrcnn.color import Matrix
from fsrcnn.video.library import Frame

# ISO/IEC 23091-2 (H.273), as FFmpeg numbers them.
RGB, BT709, UNSPECIFIED, BT470BG, SMPTE170M = 0, 1, 2, 5, 6
LIMITED, FULL = 1, 2  # AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG
# FCC's and SMPTE 240M's weights differ from these by at most 0.01.
MATRICES: dict[int, Matrix] = {
    BT709: "bt709",
    4: "bt601",
    BT470BG: "bt601",
    SMPTE170M: "bt601",
    7: "bt709",
    9: "bt2020",
    10: "bt2020",
}
HD = 720  # rows from which players take an untagged film for BT.709
CENTRED = ("mjpeg", "mpeg1video")  # codecs whose chroma lies amid its luma pixels; elsewhere on the left column


@dataclass(frozen=True)
class Tags:
    """The tags of a stream: numbers of H.273, 2 where nothing is said; `range` 0, 1 (limited) or 2 (full)."""

    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    matrix: int = UNSPECIFIED
    range: int = 0

    def put(self, target: Any) -> None:
        """Onto an encoder's context or a frame."""
        target.color_primaries, target.color_trc = self.primaries, self.transfer
        target.colorspace, target.color_range = self.matrix, self.range


def tags_of(frame: Frame, rgb: bool, grey: bool, larger: int) -> Tags:
    """The tags for the upscaled film.

    Args:
        frame: its first, as decoded.
        rgb: its colours are R, G, B: they become BT.709 of limited range; what says "RGB" would give wrong colours then.
        grey: it has no colours.
        larger: rows of the result.
    """
    if rgb:
        return Tags(frame.color_primaries, frame.color_trc, BT709, LIMITED)
    matrix, range = frame.colorspace, frame.color_range
    if matrix == RGB:
        matrix = UNSPECIFIED
    if range == 0 and frame.format.name.startswith("yuvj"):
        range = FULL
    # A player guesses by the size, and the size changes: what it guessed before is written down.
    tags = Tags(frame.color_primaries, frame.color_trc, matrix, range)
    return replace(tags, matrix=matrix_of(tags, frame.height)) if not grey and frame.height < HD <= larger else tags


def matrix_of(tags: Tags, height: int) -> int:
    """The matrix that tags name; where they name none, the one that players guess for so many rows."""
    if tags.matrix != UNSPECIFIED:
        return tags.matrix
    return BT709 if height >= HD else BT470BG if height == 576 else SMPTE170M


@dataclass(frozen=True)
class Hdr:
    """HDR10: SMPTE ST 2086 and CTA-861.3.

    Attributes:
        primaries: (x, y) of red, green, blue and white.
        luminance: (least, most) of the mastering display in cd/m².
        light: (MaxCLL, MaxFALL) in cd/m².
    """

    primaries: tuple[tuple[Fraction, Fraction], ...] = ()
    luminance: tuple[Fraction, Fraction] | None = None
    light: tuple[int, int] | None = None

    def whole(self) -> str | None:
        """The mastering display as x264 and x265 take it: in 0.00002 and 0.0001 cd/m²."""
        if not self.primaries or self.luminance is None:
            return None
        red, green, blue, white = (f"({round(x * 50000)},{round(y * 50000)})" for x, y in self.primaries)
        least, most = (round(value * 10000) for value in self.luminance)
        return f"G{green}B{blue}R{red}WP{white}L({most},{least})"

    def decimal(self) -> str | None:
        """The mastering display as SVT-AV1 takes it."""
        if not self.primaries or self.luminance is None:
            return None
        red, green, blue, white = (f"({float(x):.5f},{float(y):.5f})" for x, y in self.primaries)
        least, most = (float(value) for value in self.luminance)
        return f"G{green}B{blue}R{red}WP{white}L({most:.4f},{least:.4f})"


def hdr_of(frame: Frame) -> Hdr | None:
    """What the side data of a frame say; None where they say nothing."""
    primaries: tuple[tuple[Fraction, Fraction], ...] = ()
    luminance = light = None
    for data in frame.side_data:
        if data.type.name == "MASTERING_DISPLAY_METADATA":
            # AVMasteringDisplayMetadata: ten AVRational, then whether primaries and luminance are there.
            numbers = struct.unpack_from("=22i", bytes(data))
            values = [Fraction(numbers[i], numbers[i + 1] or 1) for i in range(0, 20, 2)]
            if numbers[20]:
                primaries = tuple((values[i], values[i + 1]) for i in range(0, 8, 2))
            if numbers[21]:
                luminance = (values[8], values[9])
        elif data.type.name == "CONTENT_LIGHT_LEVEL":
            light = struct.unpack_from("=2I", bytes(data))
    if not primaries and luminance is None and light is None:
        return None
    return Hdr(primaries, luminance, light)


def lost_side_data(frame: Frame) -> list[str]:
    """Side data that no encoder here takes, in words."""
    names = {data.type.name for data in frame.side_data}
    said = []
    if names & {"DOVI_RPU_BUFFER", "DOVI_METADATA"}:
        said.append("its Dolby Vision data are left out; what remains is the picture without them")
    if "DYNAMIC_HDR_PLUS" in names:
        said.append("its HDR10+ data are left out; HDR10 remains")
    if "A53_CC" in names:
        said.append("its closed captions, which lie within the frames, are left out")
    return said


def display_matrix(frame: Frame) -> tuple[int, ...] | None:
    """The nine numbers by which a player turns the picture; None where it does not."""
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX":
            return struct.unpack_from("=9i", bytes(data))
    return None
