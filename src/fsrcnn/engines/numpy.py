"""The network in NumPy: the definition that every other engine is checked against.

Read `NumpyEngine.run` from top to bottom and you have read FSRCNN (Dong, Loy, Tang 2016, §3.2).
Each pixel is computed by the same operations in the same order wherever it lies in whichever tile, so tiles with
their halo give the very bits that the whole picture gives. (Matrix products always run on `BLOCK` columns: a BLAS
may sum in another order for another shape.)
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from fsrcnn.weights import Weights

Float32 = npt.NDArray[np.float32]

BLOCK = 4096


class NumpyEngine:
    """An FSRCNN on the CPU, in float32, without any dependency but NumPy."""

    name = "numpy"
    parallel = True
    tile = (96, 128)  # feature maps of 4 MB stay in the cache

    def __init__(self, weights: Weights) -> None:
        self.architecture = weights.architecture
        self.arrays = weights.arrays

    def run(self, lr: Float32) -> Float32:
        """(h, w) luma in [0, 1] to (scale*h, scale*w), not clipped; memory grows with the picture, so give it tiles."""
        arrays = self.arrays
        mapping = [f"mapping.{i}" for i in range(self.architecture.m)]
        x = lr[None]
        for stage in ["feature_extraction", "shrinking", *mapping, "expanding"]:
            x = convolve(x, arrays[f"{stage}.weight"], arrays[f"{stage}.bias"])
            x = prelu(x, arrays[f"{stage}.prelu"])
        scale, crop = self.architecture.scale, self.architecture.crop
        return deconvolve(x, arrays["deconvolution.weight"], arrays["deconvolution.bias"], scale, crop)


def convolve(x: Float32, weight: Float32, bias: Float32, border: Literal["constant", "edge"] = "constant") -> Float32:
    """(in, h, w) with a (out, in, k, k) kernel to (out, h, w), size kept.

    Borders are zero padded, or replicated where `border` is "edge" (as the authors' MATLAB code does).
    """
    channels_out, _, side, _ = weight.shape
    _, height, width = x.shape
    matrix, reach = weight.reshape(channels_out, -1), side // 2
    padded = np.pad(x, ((0, 0), (reach, reach), (reach, reach)), mode=border) if reach else x
    result = np.empty((channels_out, height, width), np.float32)
    rows = max(1, BLOCK // width)  # a few rows at a time: their columns stay in the cache
    for top in range(0, height, rows):
        band = result[:, top : top + rows]
        columns = np.stack(
            [
                padded[:, top + dy : top + dy + band.shape[1], dx : dx + width]
                for dy in range(side)
                for dx in range(side)
            ],
            axis=1,
        )
        band[...] = _product(matrix, columns.reshape(matrix.shape[1], -1)).reshape(band.shape)
    result += bias[:, None, None]
    return result


def prelu(x: Float32, slope: Float32) -> Float32:
    """max(x, 0) + slope * min(x, 0), one slope per channel of (channels, h, w); overwrites x."""
    negative = np.minimum(x, 0)
    negative *= slope[:, None, None]
    negative += np.maximum(x, 0, out=x)
    return negative


def deconvolve(x: Float32, weight: Float32, bias: Float32, scale: int, crop: int) -> Float32:
    """(d, h, w) with a (d, 1, k, k) kernel to (scale*h, scale*w): each LR pixel adds its k×k stamp to the HR canvas."""
    channels, height, width = x.shape
    side = weight.shape[-1]
    canvas = np.zeros((scale * (height - 1) + side, scale * (width - 1) + side), np.float32)
    features = x.reshape(channels, -1)
    for dy in range(side):  # row by row of the stamps, always in this order
        stamps = _product(weight[:, 0, dy].T, features).reshape(side, height, width)
        for dx in range(side):
            canvas[dy : dy + scale * height : scale, dx : dx + scale * width : scale] += stamps[dx]
    cropped: Float32 = canvas[crop : crop + scale * height, crop : crop + scale * width] + bias[0]
    return cropped


def _product(matrix: Float32, columns: Float32) -> Float32:
    """matrix @ columns, BLOCK columns at a time, the last block filled up with zeros."""
    count = columns.shape[1]
    result = np.empty((matrix.shape[0], count), np.float32)
    matrix = np.ascontiguousarray(matrix)
    for start in range(0, count, BLOCK):
        block = columns[:, start : start + BLOCK]
        filled = block.shape[1]
        if filled < BLOCK:
            block = np.pad(block, ((0, 0), (0, BLOCK - filled)))
        result[:, start : start + filled] = (matrix @ block)[:, :filled]
    return result
