"""The deconvolution as what it equals: one small convolution per output phase, then a pixel shuffle.

Shi et al. 2016, "Is the deconvolution layer the same as a convolutional layer?". HR pixels (scale·i + py, scale·j + px) of one phase
(py, px) are a convolution of the features with every scale-th row and column of the deconvolution's kernel. Engines, exporters and
training read the phase kernels from here; the parameter stays the paper's k×k kernel.
"""

from __future__ import annotations

import numpy as np

from fsrcnn.architecture import Architecture
from fsrcnn.arrays import Array, Float32, Int64
from fsrcnn.weights import Weights


def phase_taps(architecture: Architecture) -> Int64:
    """Where each weight of the phase kernels lies in the flat k·k deconvolution kernel.

    Returns:
        (scale², taps, taps): phase `scale*py + px`, row, column; k² stands for "outside of the kernel", a zero. `taps` is odd and
        the same for all phases; its middle is the HR pixel's own LR pixel.

    HR row scale·j + p takes from LR row j + r the kernel row p + crop - scale·r, where that exists. At ×2 with k = 3, crop = 0:
    phase 0 has rows (2, 0, –) for r = -1, 0, 1, phase 1 has (–, 1, –).
    """
    side, scale, crop = architecture.deconvolution_kernel, architecture.scale, architecture.crop
    reach = max(architecture.deconvolution_reach)
    r = np.arange(-reach, reach + 1)
    rows = np.arange(scale)[:, None] + crop - scale * r  # (phase, tap)
    inside = (rows >= 0) & (rows < side)
    flat = rows[:, None, :, None] * side + rows[None, :, None, :]
    legal = inside[:, None, :, None] & inside[None, :, None, :]
    return np.where(legal, flat, side * side).reshape(scale * scale, len(r), len(r))


def phase_kernels(weights: Weights) -> Float32:
    """(scale², d, taps, taps): for each phase a convolution kernel (out, in, height, width), to be applied with zero padding."""
    kernel = weights.arrays["deconvolution.weight"].reshape(weights.architecture.d, -1)
    padded = np.concatenate([kernel, np.zeros((len(kernel), 1), np.float32)], axis=1)
    return np.ascontiguousarray(padded[:, phase_taps(weights.architecture)].swapaxes(0, 1))


def scattered(kernel: Array, scale: int, row_phase: int, column_phase: int) -> Array:
    """A phase of (channels, k, k) deconvolution kernels as they scatter: a view of every scale-th row and column, in their order.

    These are the weights of HR pixels (scale·i + row_phase, scale·j + column_phase) counted before the crop.
    """
    return kernel[:, row_phase::scale, column_phase::scale]
