"""Whether a network puts its pixels where its scale and crop say: a wrong crop moves the picture, a wrong scale tears it."""

from __future__ import annotations

import numpy as np

from fsrcnn.architecture import SCALES
from fsrcnn.arrays import Float32
from fsrcnn.imresize import imresize
from fsrcnn.layers import convolve, deconvolve, prelu
from fsrcnn.weights import Weights

SIDE = 32  # LR pixels of the smooth picture
BORDER = 10  # LR pixels that are left out: beyond a kernel's reach from the edge
LARGE = 0.03  # root mean square, of luma in [0, 1], above which a network does not enlarge a smooth picture at all
TIMES = 3.0  # that much nearer to bicubic enlargement another geometry has to be


def doubt(weights: Weights) -> str | None:
    """A sentence where another scale or crop than the assumed one makes a network enlarge a smooth picture far better, else None.

    A trained network enlarges it nearly as bicubic interpolation does; one that does so in no geometry is not judged.
    """
    a, arrays = weights.architecture, weights.arrays
    lr = smooth_picture()
    x = lr[None]
    for stage in a.convolutions:
        x = prelu(
            convolve(x, arrays[f"{stage.name}.weight"], arrays[f"{stage.name}.bias"]), arrays[f"{stage.name}.prelu"]
        )
    kernel, bias = arrays["deconvolution.weight"], arrays["deconvolution.bias"]
    errors = {}
    for scale in SCALES:
        hr = imresize(lr.astype(np.float64), output_size=(SIDE * scale, SIDE * scale))
        inside = slice(BORDER * scale, -BORDER * scale)
        for crop in range(a.deconvolution_kernel - scale + 1):
            sr = deconvolve(x, kernel, bias, scale, crop)
            errors[scale, crop] = float(np.sqrt(np.mean((sr[inside, inside] - hr[inside, inside]) ** 2)))
    assumed, best = errors[a.scale, a.crop], min(errors, key=lambda geometry: errors[geometry])
    if errors[best] > LARGE or assumed < TIMES * errors[best]:
        return None
    scale, crop = best
    return (
        f"as ×{a.scale} with crop {a.crop} these weights enlarge a smooth picture with an error of {assumed * 255:.1f} levels, "
        f"as ×{scale} with crop {crop} of {errors[best] * 255:.1f}: those are most likely its own"
    )


def smooth_picture() -> Float32:
    """Waves of 16 and 11 pixels in both directions, in the range that the networks' luma has."""
    y, x = np.mgrid[:SIDE, :SIDE]
    waves = np.sin(2 * np.pi * (x + 0.4 * y) / 16) + np.cos(2 * np.pi * (y - 0.3 * x) / 11)
    picture: Float32 = (0.5 + 0.15 * waves).astype(np.float32)
    return picture
