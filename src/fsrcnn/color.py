"""Studio-swing luma and chroma: BT.601 as MATLAB's `rgb2ycbcr` and `ycbcr2rgb` define them, BT.709 and BT.2020 of film.

On [0, 1] floats: R = G = B = 0 gives luma 16/255, white gives 235/255; Cb and Cr lie in 16/255 … 240/255 around 128/255.
Super-resolution papers measure PSNR on this luma (not on full-swing JPEG luma, which reads about 1.3 dB lower).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from fsrcnn.arrays import Array
from fsrcnn.errors import UsageError

# MATLAB rgb2ycbcr: rows Y, Cb, Cr; columns R, G, B; then divided by 255 for [0, 1] pictures.
RGB_TO_YCBCR = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]) / 255
OFFSET = np.array([16.0, 128.0, 128.0]) / 255

Matrix = Literal["bt601", "bt709", "bt2020"]


def _matrix(red: float, blue: float) -> Array:
    """Rows Y, Cb, Cr from the weights of red and blue in luma: Y in 219/255, Cb and Cr in 224/255 around their offsets."""
    luma = np.array([red, 1 - red - blue, blue])
    cb = (np.array([0, 0, 1]) - luma) / (2 * (1 - blue))
    cr = (np.array([1, 0, 0]) - luma) / (2 * (1 - red))
    return np.stack([219 * luma, 224 * cb, 224 * cr]) / 255


# BT.709 §3.2 and BT.2020 table 4 (non-constant luminance): the weights of red and blue. MATLAB rounds BT.601's products to three
# decimals (65.481 = 219 · 0.299), and so do we.
MATRICES: dict[Matrix, Array] = {
    "bt601": RGB_TO_YCBCR,
    "bt709": _matrix(0.2126, 0.0722),
    "bt2020": _matrix(0.2627, 0.0593),
}
INVERSES: dict[Matrix, Array] = {name: np.linalg.inv(matrix) for name, matrix in MATRICES.items()}


def rgb_to_ycbcr(rgb: Array, matrix: Matrix = "bt601") -> Array:
    """(h, w, 3) RGB to Y, Cb, Cr of the same dtype (MATLAB `rgb2ycbcr`); planes lie one after the other in memory.

    uint8 and uint16 use their whole range and come back rounded; float32 and float64 lie in [0, 1] and are not rounded.

    Raises:
        UsageError: another shape or dtype.
    """
    return _convert(rgb, MATRICES[matrix], after=OFFSET)


def ycbcr_to_rgb(ycbcr: Array, matrix: Matrix = "bt601") -> Array:
    """(h, w, 3) Y, Cb, Cr to RGB of the same dtype (MATLAB `ycbcr2rgb`).

    Integers come back clipped and rounded; floats are clipped to [0, 1], as MATLAB does.

    Raises:
        UsageError: another shape or dtype.
    """
    rgb = _convert(ycbcr, INVERSES[matrix], before=OFFSET)
    return np.clip(rgb, 0, 1) if rgb.dtype.kind == "f" else rgb


def peak_of(dtype: npt.DTypeLike) -> float:
    """The value that stands for full light: 255 or 65535 for integers, 1 for floats."""
    dtype = np.dtype(dtype)
    return 1.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)


def luma(image: Array) -> Array:
    """The luma plane (h, w) of a picture, same dtype; a grey (h, w) picture is its own luma, as in the papers' scripts."""
    if image.ndim == 2:
        return image
    return np.ascontiguousarray(rgb_to_ycbcr(image)[:, :, 0])


def as_rgb(image: Array) -> Array:
    """(h, w, 3), same dtype: a grey (h, w) picture in three equal channels, an RGB one as it is."""
    return np.dstack([image] * 3) if image.ndim == 2 else image


def _convert(
    image: Array,
    matrix: npt.ArrayLike,
    *,
    before: npt.ArrayLike = (0, 0, 0),
    after: npt.ArrayLike = (0, 0, 0),
) -> Array:
    """matrix @ (pixel - before) + after, plane by plane: the same operations for each pixel, whatever the picture's size."""
    if image.ndim != 3 or image.shape[2] != 3:
        raise UsageError(f"a colour picture has shape (h, w, 3), not {image.shape}")
    if image.dtype not in (np.uint8, np.uint16, np.float32, np.float64):
        raise UsageError(f"colour conversion takes uint8, uint16, float32 or float64, not {image.dtype}")
    dtype = image.dtype if image.dtype.kind == "f" else np.dtype(np.float64)
    peak = peak_of(image.dtype)
    rows = np.asarray(matrix, np.float64)
    offset = ((np.asarray(after) - rows @ np.asarray(before)) * peak).astype(dtype)
    rows = rows.astype(dtype)
    first, second, third = (image[:, :, channel].astype(dtype) for channel in range(3))
    planes = np.empty((3, *image.shape[:2]), image.dtype)
    for plane, row, constant in zip(planes, rows, offset, strict=True):
        value = row[0] * first + row[1] * second + row[2] * third + constant
        if image.dtype.kind == "u":
            value = np.clip(np.floor(value + 0.5), 0, peak)
        plane[...] = value
    return planes.transpose(1, 2, 0)
