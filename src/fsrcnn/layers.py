"""The layers of an FSRCNN in NumPy, float32: what `engines/numpy.py` strings together, and others check themselves against."""

from __future__ import annotations

from typing import Literal

import numpy as np

from fsrcnn.arrays import Float32

BLOCK = 4096  # columns of a matrix product at a time: they stay in the cache


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
