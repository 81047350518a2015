"""PSNR and SSIM against scikit-image; crops by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import skimage.metrics
from hypothesis import given
from hypothesis import strategies as st

from fsrcnn.errors import UsageError
from fsrcnn.metrics import modcrop, psnr, shave, ssim


@given(st.integers(11, 40), st.integers(11, 40), st.integers(0, 60))
def test_scikit_image_agrees(height: int, width: int, noise: int) -> None:
    generator = np.random.default_rng(height * width)
    x = generator.integers(0, 256, (height, width), dtype=np.uint8)
    y = np.clip(x + generator.normal(0, noise + 1, x.shape), 0, 255).astype(np.uint8)
    assert psnr(x, y) == pytest.approx(skimage.metrics.peak_signal_noise_ratio(x, y), abs=1e-9)
    theirs = skimage.metrics.structural_similarity(
        x, y, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    assert ssim(x, y) == pytest.approx(theirs, abs=1e-9)


def test_by_hand() -> None:
    x = np.zeros((11, 11), np.uint8)
    assert psnr(x, x + 255) == 0
    assert psnr(x, x) == math.inf
    assert psnr(x, x + 1) == pytest.approx(48.1308, abs=1e-4)  # 20 log10 255
    assert psnr(x / 1.0, x + 0.1, peak=1) == pytest.approx(20)
    assert ssim(x, x) == 1
    c1, c2 = 6.5025, 58.5225
    flat = ssim(x, x + 100)  # flat pictures: the structure term is 1, the luminance term remains
    assert flat == pytest.approx(c1 / (100**2 + c1) * c2 / c2)


def test_crops() -> None:
    image = np.arange(7 * 8).reshape(7, 8)
    np.testing.assert_array_equal(modcrop(image, 3), image[:6, :6])
    np.testing.assert_array_equal(modcrop(image, 1), image)
    np.testing.assert_array_equal(shave(image, 2), image[2:5, 2:6])
    np.testing.assert_array_equal(shave(image, 0), image)


def test_refusals() -> None:
    with pytest.raises(UsageError, match="one shape"):
        psnr(np.zeros((3, 3)), np.zeros((3, 4)))
    with pytest.raises(UsageError, match="11 by 11"):
        ssim(np.zeros((10, 30)), np.zeros((10, 30)))
