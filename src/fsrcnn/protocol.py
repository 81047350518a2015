"""The two protocols by which a network is measured, said once for validation and evaluation.

`paper`: luma of the 8-bit RGB picture, rounded; modcrop; bicubic down in floating point, LR kept in float; network; clip and round
to 8 bit; shave `scale` pixels; PSNR and SSIM. This reproduces published figures (bicubic on Set5: 33.66 / 30.39 / 28.42 dB).
`files`: the same with the LR luma rounded to 8 bit, as it is in any image file. At ×2 this reads about 0.06 dB less, so the two
must not be mixed in one table.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

import numpy as np

from fsrcnn import images, metrics
from fsrcnn.alpha import fill_hidden
from fsrcnn.arrays import Array, Float64, Uint8
from fsrcnn.color import luma, peak_of
from fsrcnn.errors import ImageError
from fsrcnn.imresize import imresize

Protocol = Literal["paper", "files"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)


@dataclass(frozen=True)
class Score:
    """PSNR in dB (infinite for equal pictures) and SSIM (at most 1) of a luma plane against the original's."""

    psnr: float
    ssim: float


def read_8bit(path: Path) -> Uint8:
    """The picture as a paper's script sees it: 8-bit grey (h, w) or RGB (h, w, 3), without alpha.

    Colours under alpha 0 are never seen, and often rubbish, so those near visible ones are repainted as the upscaler does it
    (`alpha.py`), and the others take the mean of the visible ones. All others stay as they are.

    Raises:
        ImageError: it cannot be read, has several pages or frames, or is transparent everywhere.
    """
    pages = images.read(path).pages
    if len(pages) > 1:
        raise ImageError(f"{path} has {len(pages)} pages or frames, where one picture is wanted", "save one as a file")
    pixels = pages[0]
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        pixels = _without_alpha(pixels, path)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.dtype != np.uint8:
        pixels = round_8bit(pixels / peak_of(pixels.dtype))
    return cast(Uint8, pixels)


def _without_alpha(pixels: Array, path: Path) -> Array:
    """(h, w, colours + 1) → (h, w, colours) of the same dtype."""
    colours, alpha = pixels[:, :, :-1], pixels[:, :, -1]
    visible = alpha > 0
    if not visible.any():
        raise ImageError(f"{path} is transparent everywhere, so it has no colours")
    if visible.all():
        return colours
    known = np.where(visible[:, :, None], colours, colours[visible].mean(0)).astype(np.float32)
    filled = np.dstack(fill_hidden([known[:, :, band] for band in range(known.shape[2])], alpha.astype(np.float32)))
    return filled.astype(pixels.dtype) if pixels.dtype.kind == "f" else np.floor(filled + 0.5).astype(pixels.dtype)


def hr_luma(original: Uint8) -> Uint8:
    """The luma (h, w) of an 8-bit grey or RGB picture, rounded to 8 bit: what networks are trained and measured on."""
    return cast(Uint8, luma(original))


def shrunk(hr: Uint8, scale: int, protocol: Protocol = "paper") -> Float64:
    """The LR luma of a modcropped HR plane, (h // scale, w // scale) in [0, 1] and a little beyond.

    Raises:
        ImageError: a side is shorter than the scale.
    """
    size = (hr.shape[0] // scale, hr.shape[1] // scale)
    if 0 in size:
        raise ImageError(f"a picture of {hr.shape[1]}×{hr.shape[0]} has no LR pixel at ×{scale}")
    lr = imresize(hr / 255.0, output_size=size)
    return round_8bit(lr) / 255.0 if protocol == "files" else lr


def enlarged(lr: Array, scale: int) -> Uint8:
    """An LR plane made large again by bicubic interpolation, rounded to 8 bit: what a network is compared with."""
    large = imresize(lr.astype(np.float64), output_size=(lr.shape[0] * scale, lr.shape[1] * scale))
    return round_8bit(large)


def round_8bit(unit: Array) -> Uint8:
    """[0, 1] to 0 … 255: clipped, rounded, halves up as MATLAB's `uint8`."""
    return np.floor(np.clip(unit, 0, 1) * 255.0 + 0.5).astype(np.uint8)


def psnr(hr: Uint8, other: Uint8, scale: int) -> float:
    """PSNR in dB with `scale` pixels shaved off each side; infinite for equal pictures."""
    return metrics.psnr(metrics.shave(hr, scale), metrics.shave(other, scale))


def score(hr: Uint8, other: Uint8, scale: int) -> Score:
    """PSNR and SSIM with `scale` pixels shaved off each side.

    Raises:
        UsageError: fewer than 11 pixels are left on a side, which SSIM needs.
    """
    return Score(psnr(hr, other, scale), metrics.ssim(metrics.shave(hr, scale), metrics.shave(other, scale)))
