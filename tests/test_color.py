"""Colour conversion against the BT.601 primaries and scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.color

from fsrcnn.color import luma, rgb_to_ycbcr, ycbcr_to_rgb
from fsrcnn.errors import UsageError

# BT.601 studio swing of the primaries, as printed in the standard's colour-bar tables and by MATLAB's rgb2ycbcr.
PRIMARIES = {
    (0, 0, 0): (16, 128, 128), (255, 255, 255): (235, 128, 128), (255, 0, 0): (81, 90, 240),
    (0, 255, 0): (145, 54, 34), (0, 0, 255): (41, 240, 110), (255, 255, 0): (210, 16, 146),
}  # fmt: skip


@pytest.mark.parametrize("rgb", PRIMARIES)
def test_primaries(rgb: tuple[int, int, int]) -> None:
    pixel = np.array([[rgb]], np.uint8)
    assert tuple(rgb_to_ycbcr(pixel)[0, 0]) == PRIMARIES[rgb]
    assert luma(pixel)[0, 0] == PRIMARIES[rgb][0]


def test_scikit_image_agrees() -> None:
    rgb = np.random.default_rng(0).random((40, 50, 3))
    np.testing.assert_allclose(rgb_to_ycbcr(rgb) * 255, skimage.color.rgb2ycbcr(rgb), atol=1e-10)
    as_8bit = np.round(rgb * 255).astype(np.uint8)
    expected = np.floor(skimage.color.rgb2ycbcr(as_8bit) + 0.5)
    np.testing.assert_array_equal(rgb_to_ycbcr(as_8bit), expected)


def test_there_and_back() -> None:
    rgb = np.random.default_rng(1).random((40, 50, 3))
    np.testing.assert_allclose(ycbcr_to_rgb(rgb_to_ycbcr(rgb)), rgb, atol=1e-12)
    deep = (rgb * 65535).astype(np.uint16)
    assert np.abs(ycbcr_to_rgb(rgb_to_ycbcr(deep)).astype(int) - deep).max() <= 2
    single = rgb.astype(np.float32)
    assert rgb_to_ycbcr(single).dtype == np.float32
    np.testing.assert_allclose(ycbcr_to_rgb(rgb_to_ycbcr(single)), single, atol=1e-6)


def test_a_grey_picture_is_its_own_luma() -> None:
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert luma(grey) is grey


def test_refusals() -> None:
    with pytest.raises(UsageError, match=r"\(2, 3\)"):
        rgb_to_ycbcr(np.zeros((2, 3), np.uint8))
    with pytest.raises(UsageError, match="int32"):
        rgb_to_ycbcr(np.zeros((2, 3, 3), np.int32))
