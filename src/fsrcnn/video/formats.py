"""Pixel formats: what a decoder's format holds, and the nearest one that an encoder takes.

FFmpeg's names say it all: `yuv420p10le` is 4:2:0 in planes, 10 bit. The formats that frames are upscaled in are those in planes, of
8 to 16 bit in the machine's (little) order: their first plane is luma, and nothing need be unpacked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from fsrcnn.errors import UsageError
from fsrcnn.video.library import pyav

PLANAR = re.compile(r"(?:yuvj?(a?)(420|422|444)p|(gray))(?:(9|10|12|14|16)le)?")
HELD = {
    "nv12": "yuv420p",
    "nv21": "yuv420p",
    "nv16": "yuv422p",
    "nv24": "yuv444p",
}  # and 8 bit, but for the order in memory


@dataclass(frozen=True)
class PixelFormat:
    """What a pixel format holds.

    Attributes:
        name: FFmpeg's.
        chroma: 0 (grey), 420, 422 or 444.
        depth: bits of a sample.
        alpha: whether there is a plane of it.
        rgb: its colours are R, G, B.
    """

    name: str
    chroma: int
    depth: int
    alpha: bool = False
    rgb: bool = False

    @property
    def planar(self) -> bool:
        """Whether its first plane is luma, one sample after the other."""
        return PLANAR.fullmatch(self.name) is not None


def described(name: str) -> PixelFormat:
    """A format by its name."""
    found = PLANAR.fullmatch(name)
    if found:
        return PixelFormat(name, int(found[2] or 0), int(found[4] or 8), alpha=bool(found[1]))
    format = pyav().VideoFormat(name)
    components = format.components
    colours = [component for component in components if not component.is_alpha]
    alpha = len(colours) < len(components)
    depth = max(component.bits for component in components)
    if format.is_rgb or format.has_palette:
        return PixelFormat(name, 444, max(depth, 8), alpha and not format.has_palette, rgb=True)
    if len(colours) < 3:
        return PixelFormat(name, 0, max(depth, 8), alpha)
    # 4:1:1 and 4:1:0 go into the next finer grid, 4:4:0 into 4:4:4.
    across, down = (format.chroma_width(16), format.chroma_height(16))
    chroma = {(16, 16): 444, (8, 16): 422, (4, 16): 422, (16, 8): 444}.get((across, down), 420)
    return PixelFormat(name, chroma, max(depth, 8), alpha)


def nearest(source: str, offered: Iterable[str]) -> PixelFormat:
    """The format in planes, of those that an encoder takes, that loses least of a film's: chroma first, then depth, then alpha.

    Raises:
        UsageError: none of them can be filled from planes.
    """
    wanted = described(HELD.get(source, source))
    best = [described(name) for name in offered if PLANAR.fullmatch(name) and not name.startswith("yuvj")]
    if not best:
        raise UsageError("this encoder takes no frames in planes of luma and chroma")

    def cost(format: PixelFormat) -> tuple[int, ...]:
        lost = (
            max(wanted.chroma - format.chroma, 0),
            max(wanted.depth - format.depth, 0),
            int(wanted.alpha and not format.alpha),
        )
        return (*lost, abs(format.chroma - wanted.chroma), abs(format.depth - wanted.depth), int(format.alpha))

    return min(best, key=cost)


def losses(source: str, target: PixelFormat) -> list[str]:
    """What a film's frames lose in a format, in words."""
    wanted = described(source)
    said = []
    if wanted.alpha and not target.alpha:
        said.append("its alpha is left out, which the encoder does not take")
    if wanted.depth > target.depth:
        said.append(f"{wanted.depth} bit become {target.depth}, the most that the encoder takes")
    if wanted.chroma > target.chroma:
        said.append(
            f"its colours become 4:{target.chroma // 10 % 10}:{target.chroma % 10}, the finest that the encoder takes"
        )
    return said
