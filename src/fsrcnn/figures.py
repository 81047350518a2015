"""What a person looks at: a network's picture in colour, and pictures side by side with labels above them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fsrcnn.arrays import Array, Uint8
from fsrcnn.color import rgb_to_ycbcr, ycbcr_to_rgb
from fsrcnn.imresize import imresize
from fsrcnn.protocol import round_8bit
from fsrcnn.require import require


def small_chroma(hr: Array, scale: int) -> Array | None:
    """Cb and Cr (h / scale, w / scale, 2) of an 8-bit RGB picture, made small by bicubic interpolation; None of a grey one."""
    if hr.ndim == 2:
        return None
    height, width = hr.shape[:2]
    return imresize(rgb_to_ycbcr(hr / 255.0)[:, :, 1:], output_size=(height // scale, width // scale))


def coloured(plane: Uint8, chroma: Array | None) -> Array:
    """A luma plane (h, w) with small Cb and Cr (…, …, 2) in [0, 1], enlarged by bicubic interpolation, as 8-bit RGB.

    The plane itself without them: a grey picture.
    """
    if chroma is None:
        return plane
    return round_8bit(ycbcr_to_rgb(np.dstack([plane / 255.0, imresize(chroma, output_size=plane.shape)])))


def three_panes(panes: Sequence[Array], labels: Sequence[str]) -> Uint8:
    """Pictures of one size side by side, each with a label above it: (h + label, widths + gaps, 3) uint8.

    Raises:
        MissingExtraError: Pillow, whose built-in font draws the labels, is not installed.
    """
    image, draw, font = pillow()
    height, width = panes[0].shape[:2]
    gap = 8
    size = 16
    face = font.load_default(size)
    widest = max(face.getlength(label) for label in labels)
    cell = max(width, int(widest) + 1)  # a small picture still gets its whole label
    sheet = image.new("RGB", (len(panes) * (cell + gap) + gap, height + size + 3 * gap), "white")
    pen = draw.Draw(sheet)
    for number, (pane, label) in enumerate(zip(panes, labels, strict=True)):
        left = gap + number * (cell + gap)
        pen.text((left, gap), label, fill="black", font=face)
        sheet.paste(image.fromarray(np.ascontiguousarray(pane)).convert("RGB"), (left, size + 2 * gap))
    return np.asarray(sheet, dtype=np.uint8)


def pillow() -> tuple[Any, Any, Any]:
    """Pillow's modules `Image`, `ImageDraw` and `ImageFont`.

    Raises:
        MissingExtraError: it is not installed.
    """
    purpose, extra = "labelled panes", "pillow"
    image = require("PIL.Image", purpose, extra=extra)
    draw = require("PIL.ImageDraw", purpose, extra=extra)
    return image, draw, require("PIL.ImageFont", purpose, extra=extra)
