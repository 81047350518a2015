"""What a film says of its colours: tags of the stream, siting of chroma, and the side data of HDR."""

from __future__ import annotations

import io
import re
import struct
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from fsrcnn.color import Matrix
from fsrcnn.video.library import FilmError, Frame, pyav

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
SITINGS = {"left": (0, 128), "center": (128, 128), "topleft": (0, 0), "top": (128, 0)}
"""Where chroma lies, as FFmpeg names it → right of and below the first luma pixel, in 1/256 of the distance of two."""
# Elements of a Matroska header: one byte each, 0 where nothing is said, 1 on the first luma pixel, 2 amid two.
CHROMA_ACROSS, CHROMA_DOWN = b"\x55\xb7\x81", b"\x55\xb8\x81"
DOLBY_VISION = re.compile(
    rb"dv[cv]C\x41\xed\x98(.{5})", re.DOTALL
)  # the kind of a mapping, and its data: 24 bytes of record


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
class Header:
    """What the header of a film says of its picture, and PyAV does not show.

    Attributes:
        siting: where chroma lies, of `SITINGS`; None where nothing is said.
        dolby_vision: profile and base layer compatibility of the configuration record; 0 is compatible with nothing.
    """

    siting: str | None = None
    dolby_vision: tuple[int, int] | None = None


def header_of(stream: Any) -> Header:
    """What FFmpeg found out of a video stream: it is asked to write it down as Matroska, whose elements are read."""
    av = pyav()
    written = io.BytesIO()
    try:
        with av.open(written, "w", format="matroska", options={"strict": "-1", "allow_raw_vfw": "1"}) as target:
            copy = target.add_stream_from_template(stream, opaque=True)
            copy.time_base = stream.time_base
            target.start_encoding()
    except (av.FFmpegError, ValueError):
        return Header()
    data = written.getvalue()
    across, down = (_byte_after(data, element) for element in (CHROMA_ACROSS, CHROMA_DOWN))
    siting = {(1, 2): "left", (2, 2): "center", (1, 1): "topleft", (2, 1): "top"}.get((across, down))
    record = DOLBY_VISION.search(data)
    if record is None:
        return Header(siting)
    _, bits, last = struct.unpack(
        ">HHB", record[1]
    )  # version (16 bit), profile (7), level (6), three flags, compatibility (4)
    return Header(siting, (bits >> 9, last >> 4))


def check_dolby_vision(label: str, header: Header, frame: Frame) -> None:
    """Dolby Vision lies in data beside a picture, which no encoder here writes: it must be one that can be watched without.

    Raises:
        FilmError: it cannot; its colours would be wrong.
    """
    if header.dolby_vision is not None:
        alone = header.dolby_vision[1] != 0
    else:  # as in a bare stream: AVDOVIMetadata says where its AVDOVIRpuDataHeader is, whose profile is 0 for profile 5 alone
        found = [bytes(data) for data in frame.side_data if data.type.name == "DOVI_METADATA"]
        alone = not any(data[struct.unpack_from("@N", data)[0] + 4] == 0 for data in found)
    if not alone:
        raise FilmError(
            f"{label} is Dolby Vision of a profile (as 5) whose colours are wrong without data that no encoder here writes",
            "make an HDR10 film of it first",
        )


def _byte_after(data: bytes, element: bytes) -> int:
    return (data.partition(element)[2] or b"\0")[0]


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


def display_matrix(frame: Frame) -> tuple[int, ...] | None:
    """The nine numbers by which a player turns the picture; None where it does not."""
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX":
            return struct.unpack_from("=9i", bytes(data))
    return None
