"""A picture as training sees it: its luma in 8 bit, and the LR/HR pair that MATLAB's bicubic makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fsrcnn import images
from fsrcnn.color import luma, peak_of
from fsrcnn.imresize import imresize
from fsrcnn.metrics import modcrop

PAPER_FACTORS = (1.0, 0.9, 0.8, 0.7, 0.6)  # Dong et al. 2016, §4.1: each picture also shrunk
PAPER_ROTATIONS = (0, 90, 180, 270)  # and turned, ibid.

Uint8 = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]


def read_luma(path: Path) -> Uint8:
    """BT.601 luma (MATLAB's `rgb2ycbcr`) of a picture, (h, w), rounded to 8 bit; alpha is dropped.

    Raises:
        ImageError: it cannot be read.
    """
    pixels: npt.NDArray[Any] = images.read(path).pages[0]
    if pixels.ndim == 3:
        pixels = pixels[:, :, :3] if pixels.shape[2] > 2 else pixels[:, :, 0]
    plane = luma(pixels)
    if plane.dtype != np.uint8:
        plane = np.floor(plane * (255.0 / peak_of(plane.dtype)) + 0.5)
    return plane.astype(np.uint8)


def pair_of(full: Uint8, scale: int, factor: float = 1.0, rotation: int = 0) -> tuple[Float32, Uint8]:
    """What a luma plane, shrunk by `factor` and turned by `rotation` degrees, gives: (LR, HR).

    HR is modcropped; LR is MATLAB's `imresize(HR, 1/scale)`, float32 in [0, 1], not rounded (protocol `paper`).
    A picture smaller than `scale` gives empty planes.
    """
    high = modcrop(np.rot90(full if factor == 1 else imresize(full, factor), rotation // 90), scale)
    size = (high.shape[0] // scale, high.shape[1] // scale)
    if 0 in size:
        return np.zeros(size, np.float32), np.zeros((size[0] * scale, size[1] * scale), np.uint8)
    return imresize(high / 255.0, output_size=size).astype(np.float32), np.ascontiguousarray(high)
