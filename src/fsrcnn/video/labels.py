"""Text within a frame: white on a dark box, in the frame's own luma and chroma.

Pillow draws it with the font that it brings along, so that a machine without fonts shows the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fsrcnn.arrays import Array
from fsrcnn.figures import pillow
from fsrcnn.planes import Range
from fsrcnn.video.formats import PixelFormat

PART = 30  # of the picture's height is the height of the text: 24 pixels at 720, 72 at 2160
LEAST = 8  # pixels; smaller text cannot be read


class Labels:
    """Writes into the upper left corners of pictures of one size."""

    def __init__(self, size: tuple[int, int], format: PixelFormat, range: Range, longest: str) -> None:
        """
        Args:
            size: (height, width) of a picture.
            format, range: of its planes.
            longest: the longest text that is to come; where the width can be had at a size that can be read, it fits.

        Raises:
            MissingExtraError: Pillow is not installed.
        """
        self._image, self._draw, font = pillow()
        self._format, self._range = format, range
        height, width = size
        wanted = max(height / PART, LEAST)
        fits = wanted * (width - 2 * _margin(wanted)) / font.load_default(wanted).getlength(longest)
        self._size = max(LEAST, min(wanted, fits))
        self._face: Any = font.load_default(self._size)

    def write(self, planes: Sequence[Array], text: str, turns: int = 0) -> None:
        """Write into a picture.

        Args:
            planes: of luma, of chroma on its own grid, of alpha: views, as many as the format has.
            text: one line.
            turns: quarter turns, counterclockwise, by which a player will turn the picture: the text stands upright then.
        """
        mask = self._mask(text)
        turned = [np.rot90(plane, turns) for plane in planes]
        luma, height, width = turned[0], *mask.shape
        scale = 1 << (self._format.depth - 8)
        largest = 256 * scale - 1
        black, white = (0, largest) if self._range == "full" else (16 * scale, 235 * scale)
        corner = luma[:height, :width]
        corner[...] = np.round(black + (white - black) * mask[: corner.shape[0], : corner.shape[1]])
        colours = 2 if self._format.chroma else 0
        for chroma in turned[1 : 1 + colours]:
            down, across = (-(-whole // part) for whole, part in zip(luma.shape, chroma.shape, strict=True))
            chroma[: -(-height // down), : -(-width // across)] = 128 * scale
        for alpha in turned[1 + colours :]:
            alpha[:height, :width] = largest

    def _mask(self, text: str) -> Array:
        """(h, w) float64 with how much of each pixel of the box is text, 0 … 1; its sides are even, as chroma is."""
        margin = _margin(self._size)
        _, top, _, bottom = self._face.getbbox("Sg")  # as high for any text
        height, width = (2 * math.ceil((side + 2 * margin) / 2) for side in (bottom - top, self._face.getlength(text)))
        picture = self._image.new("L", (width, height))
        self._draw.Draw(picture).text((margin, margin - top), text, fill=255, font=self._face)
        return np.asarray(picture) / 255


def _margin(size: float) -> int:
    """Around text of a size."""
    return max(2, round(size / 4))
