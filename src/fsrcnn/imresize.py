"""Bicubic resizing as MATLAB's `imresize` does it: the degradation every super-resolution paper measures against.

Three properties make it MATLAB's, and each costs tenths of a dB when a port misses it:

* Keys' cubic kernel with a = -0.5, applied separably, the dimension that shrinks most first;
* when shrinking, the kernel is widened by 1 / scale (antialiasing), so every source pixel counts;
* borders are symmetric (`… 2 1 1 2 3 …`), and the weights of each output pixel sum to one.

Integer pictures are clipped and rounded after *each* of the two passes, floating-point pictures never.
Source: MATLAB `imresize` (functions `contributions`, `cubic`), Keys 1981.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fsrcnn.arrays import Array, Float64
from fsrcnn.errors import UsageError

KERNEL_WIDTH = 4.0


class Contributions(NamedTuple):
    """For each output position along one axis: which input positions it sums, and with which weights.

    Attributes:
        weights: (out_length, taps) float64; each row sums to 1.
        indices: (out_length, taps) intp, positions along the input axis.
    """

    weights: Float64
    indices: npt.NDArray[np.intp]

    def window(self, start: int, stop: int) -> tuple[Contributions, int, int]:
        """The part that makes outputs `start … stop-1`, with the input range `first … last-1` it needs.

        The returned indices count from `first`, so they apply to `image[first:last]` alone and give the
        very values that the whole image gives.
        """
        indices = self.indices[start:stop]
        first, last = int(indices.min()), int(indices.max()) + 1
        return Contributions(self.weights[start:stop], indices - first), first, last


def cubic(x: Float64) -> Float64:
    """Keys' cubic convolution kernel, a = -0.5 (MATLAB `imresize>cubic`)."""
    x1 = np.abs(x)
    x2, x3 = x1**2, x1**3
    near = (1.5 * x3 - 2.5 * x2 + 1.0) * (x1 <= 1)
    far = (-0.5 * x3 + 2.5 * x2 - 4.0 * x1 + 2.0) * ((x1 > 1) & (x1 <= 2))
    return near + far


def contributions(in_length: int, out_length: int, scale: float | None = None, anchor: float = 0.5) -> Contributions:
    """Weights and indices of a 1-D bicubic resize (MATLAB `imresize>contributions`).

    Args:
        in_length: input pixels along the axis, at least 1.
        out_length: output pixels along the axis, at least 1.
        scale: the factor; `out_length / in_length` where it is not given. It differs from that where
            the caller asked for a factor and the output size was rounded up.
        anchor: where in its cell a sample's centre lies, 0 … 1. MATLAB's pictures: 0.5, in the middle, so output x (from 1) lies
            at x / scale + 0.5·(1 - 1/scale). Chroma on the first of its two luma columns: 0.25, so at x / scale + 0.75·(1 - 1/scale).
    """
    if scale is None:
        scale = out_length / in_length
    shrink = min(scale, 1.0)  # < 1 widens the kernel: antialiasing
    width = KERNEL_WIDTH / shrink
    u = np.arange(1, out_length + 1) / scale + (1 - anchor) * (1 - 1 / scale)
    left = np.floor(u - width / 2)
    taps = math.ceil(width) + 2
    positions = left[:, None] + np.arange(taps)  # from 1
    return mirrored(shrink * cubic(shrink * (u[:, None] - positions)), positions - 1, in_length)


def mirrored(weights: Float64, positions: Array, in_length: int) -> Contributions:
    """Weights that sum to one at each output, with symmetric borders (`… 2 1 1 2 3 …`); taps that weigh nothing anywhere are left out.

    Args:
        weights: (out_length, taps), of any sum but 0.
        positions: (out_length, taps) whole numbers, from 0; those outside of `0 … in_length-1` lie beyond a border.
        in_length: input pixels along the axis.
    """
    weights = weights / weights.sum(axis=1, keepdims=True)
    mirror = np.concatenate([np.arange(in_length), np.arange(in_length)[::-1]])
    indices = mirror[np.mod(positions.astype(np.int64), 2 * in_length)]
    used = np.any(weights != 0, axis=0)
    return Contributions(np.ascontiguousarray(weights[:, used]), np.ascontiguousarray(indices[:, used]))


def resize_axis(image: Array, axis: int, taps: Contributions) -> Array:
    """One pass along `axis` (0 rows, 1 columns) of an (h, w) or (h, w, channels) picture, dtype kept.

    Integers are clipped and rounded, halves away from zero as MATLAB does; float32 is summed in float32, float64 in float64.
    """
    integer = np.issubdtype(image.dtype, np.integer)
    dtype = np.dtype(np.float64) if integer else image.dtype
    shape = [1] * image.ndim
    shape[axis] = -1
    total = np.zeros((), dtype)
    for weights, indices in zip(taps.weights.T, taps.indices.T, strict=True):
        total = total + np.take(image, indices, axis=axis) * weights.astype(dtype).reshape(shape)
    if integer:
        return np.clip(np.floor(total + 0.5), 0, np.iinfo(image.dtype).max).astype(image.dtype)
    return total


def imresize(image: Array, scale: float | None = None, *, output_size: tuple[int, int] | None = None) -> Array:
    """Resize a picture bicubically, to the digit as MATLAB's `imresize(image, scale)` or `imresize(image, [h w])`.

    Args:
        image: (h, w) or (h, w, channels); uint8, uint16, float32 or float64, any range.
        scale: factor > 0; the output is `ceil(scale * h)` by `ceil(scale * w)`.
        output_size: (height, width) instead of a factor.

    Returns:
        A picture of the same dtype. Integers are clipped and rounded after each pass; floats are not.

    Raises:
        UsageError: no positive factor or size, both given, or a dtype or shape other than the above.
    """
    if image.dtype not in (np.uint8, np.uint16, np.float32, np.float64):
        raise UsageError(f"imresize takes uint8, uint16, float32 or float64, not {image.dtype}")
    if image.ndim not in (2, 3) or 0 in image.shape:
        raise UsageError(f"imresize takes a non-empty (h, w) or (h, w, channels) picture, not shape {image.shape}")
    if (scale is None) == (output_size is None):
        raise UsageError("imresize takes either a scale or an output_size")
    scales: tuple[float, float]
    if output_size is not None:
        if min(output_size) < 1:
            raise UsageError(f"an output size has at least one pixel each way, not {output_size}")
        scales = (output_size[0] / image.shape[0], output_size[1] / image.shape[1])
    else:
        assert scale is not None
        if not (math.isfinite(scale) and scale > 0):
            raise UsageError(f"a scale is a positive number, not {scale}")
        scales = (scale, scale)
        output_size = (math.ceil(scale * image.shape[0]), math.ceil(scale * image.shape[1]))
    for axis in sorted((0, 1), key=lambda axis: scales[axis]):
        taps = contributions(image.shape[axis], output_size[axis], scales[axis])
        image = resize_axis(image, axis, taps)
    return image
