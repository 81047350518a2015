"""PSNR and SSIM as super-resolution papers report them, with the two crops that go before them."""

from __future__ import annotations

import math

import numpy as np

from fsrcnn.arrays import Array, Float64
from fsrcnn.errors import UsageError

SSIM_WINDOW, SSIM_SIGMA = 11, 1.5
SSIM_BAND = 32  # rows at a time


def modcrop(image: Array, scale: int) -> Array:
    """The picture without the last rows and columns that keep its sides from being multiples of `scale`.

    (MATLAB `modcrop` of the SRCNN and FSRCNN scripts: cropped at the bottom and the right.) A view, not a copy.
    """
    height, width = (side - side % scale for side in image.shape[:2])
    return image[:height, :width]


def shave(image: Array, border: int) -> Array:
    """The picture without `border` pixels on each side (MATLAB `shave` of the SRCNN scripts). A view, not a copy."""
    height, width = image.shape[:2]
    return image[border : height - border, border : width - border]


def psnr(reference: Array, image: Array, peak: float = 255.0) -> float:
    """Peak signal-to-noise ratio in dB of two pictures of one shape; infinite where they are equal.

    Args:
        reference, image: any shape, values in 0 … `peak`.
        peak: 255 for 8 bit, 1 for [0, 1].
    """
    _same_shape(reference, image)
    difference = reference.astype(np.float64) - image.astype(np.float64)
    error = float(np.mean(difference**2))
    return math.inf if error == 0 else 10 * math.log10(peak**2 / error)


def ssim(reference: Array, image: Array, peak: float = 255.0) -> float:
    """Structural similarity of two (h, w) pictures, at least 11 by 11 (Wang et al. 2004, MATLAB `ssim_index`).

    Gaussian window 11×11 with σ = 1.5, K1 = 0.01, K2 = 0.03, the mean over the positions where the window lies inside.

    Raises:
        UsageError: shapes differ, or a side is shorter than the window.
    """
    _same_shape(reference, image)
    if reference.ndim != 2 or min(reference.shape) < SSIM_WINDOW:
        raise UsageError(f"SSIM takes (h, w) pictures of at least 11 by 11 pixels, not shape {reference.shape}")
    height, width = (side - SSIM_WINDOW + 1 for side in reference.shape)
    similarity = np.empty((height, width))
    for top in range(0, height, SSIM_BAND):  # what is computed for a few rows stays in the processor's cache
        rows = slice(top, top + SSIM_BAND + SSIM_WINDOW - 1)
        similarity[top : top + SSIM_BAND] = _similarity(reference[rows], image[rows], peak)
    return float(np.mean(similarity))


def _similarity(reference: Array, image: Array, peak: float) -> Float64:
    """At each position where the window lies inside: (h - 10, w - 10)."""
    x, y = reference.astype(np.float64), image.astype(np.float64)
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    mean_x, mean_y = _gaussian(x), _gaussian(y)
    variance_x = _gaussian(x * x) - mean_x**2
    variance_y = _gaussian(y * y) - mean_y**2
    covariance = _gaussian(x * y) - mean_x * mean_y
    numerator = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    denominator = (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    return np.asarray(numerator / denominator)


def _gaussian(image: Float64) -> Float64:
    """The Gaussian window as two 1-D passes, "valid" positions only."""
    offset = np.arange(SSIM_WINDOW) - SSIM_WINDOW // 2
    weights = np.exp(-(offset**2) / (2 * SSIM_SIGMA**2))
    weights /= weights.sum()
    height, width = (side - SSIM_WINDOW + 1 for side in image.shape)
    rows = np.zeros((height, image.shape[1]))
    result = np.zeros((height, width))
    for i, weight in enumerate(weights):
        rows += weight * image[i : i + height]
    for i, weight in enumerate(weights):
        result += weight * rows[:, i : i + width]
    return result


def _same_shape(reference: Array, image: Array) -> None:
    if reference.shape != image.shape:
        raise UsageError(f"two pictures to compare have one shape, not {reference.shape} and {image.shape}")
