"""`imresize` against pictures that MATLAB wrote, and its own laws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fsrcnn.arrays import Array
from fsrcnn.errors import UsageError
from fsrcnn.imresize import contributions, imresize, resize_axis


def picture(path: Path) -> Array:
    return np.asarray(Image.open(path))


def test_uint8_is_matlabs_to_the_last_value(references: Path) -> None:
    folder = references / "matlab-imresize"
    ours = imresize(picture(folder / "lena_512x512.png"), output_size=(123, 234))
    assert np.count_nonzero(ours != picture(folder / "lena_123x234_uint8.png")) == 0


def test_double_is_matlabs_to_the_last_value(references: Path) -> None:
    folder = references / "matlab-imresize"
    ours = imresize(picture(folder / "lena_512x512.png") / 255.0, output_size=(123, 234))
    as_8bit = np.floor(np.clip(ours, 0, 1) * 255 + 0.5)
    assert np.count_nonzero(as_8bit != picture(folder / "lena_123x234_double.png")) == 0


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("number", range(1, 6))
def test_set5_lr_is_matlabs_inside_the_border(references: Path, number: int, scale: int) -> None:
    # The border itself is an older MATLAB's, which replicated edges.
    stem = references / "matlab-imresize" / "set5" / f"img_00{number}_SRF_{scale}"
    ours = imresize(picture(stem.with_name(f"{stem.name}_HR.png")), 1 / scale)
    matlabs = picture(stem.with_name(f"{stem.name}_LR.png"))
    assert ours.shape == matlabs.shape
    assert np.count_nonzero(ours[3:-3, 3:-3] != matlabs[3:-3, 3:-3]) == 0


def test_by_hand() -> None:
    # Keys' kernel at 1/4, 3/4, 5/4, 7/4 gives the weights for ×2; a step 0 → 1 in the middle of four pixels.
    near, far, outer, outest = 0.8671875, 0.2265625, -0.0703125, -0.0234375
    ours = imresize(np.array([[0.0, 0.0, 1.0, 1.0]]), output_size=(1, 8))
    rising = [0, outest, outer, far + outest]
    expected = [*rising, *(1 - value for value in reversed(rising))]
    assert near + far + outer + outest == 1
    np.testing.assert_allclose(ours[0], expected, atol=1e-15)


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 60),
    st.integers(1, 60),
    st.sampled_from([np.uint8, np.uint16, np.float32]),
)
def test_flat_stays_flat_and_mirrors_commute(h: int, w: int, out_h: int, out_w: int, dtype: type) -> None:
    flat: Array = np.full((h, w), 1 if dtype is np.float32 else 77, dtype)
    resized = imresize(flat, output_size=(out_h, out_w))
    assert resized.shape == (out_h, out_w)
    assert resized.dtype == dtype
    np.testing.assert_allclose(resized, flat.flat[0], atol=5e-6)
    image = np.random.default_rng(h * w).random((h, w))
    turned = imresize(image[::-1, ::-1], output_size=(out_h, out_w))
    np.testing.assert_allclose(turned[::-1, ::-1], imresize(image, output_size=(out_h, out_w)), atol=1e-12)


@given(st.integers(1, 50), st.integers(1, 80), st.data())
def test_a_window_is_the_wholes_part(length: int, out_length: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, out_length - 1))
    stop = data.draw(st.integers(start + 1, out_length))
    image = np.random.default_rng(length).random((length, 3)).astype(np.float32)
    taps = contributions(length, out_length)
    part, first, last = taps.window(start, stop)
    np.testing.assert_array_equal(resize_axis(image[first:last], 0, part), resize_axis(image, 0, taps)[start:stop])


@pytest.mark.parametrize("scale", [0, -2, float("nan"), float("inf")])
def test_scales_that_are_none(scale: float) -> None:
    with pytest.raises(UsageError, match="positive"):
        imresize(np.zeros((4, 4), np.uint8), scale)


def test_other_bad_arguments() -> None:
    with pytest.raises(UsageError, match="int64"):
        imresize(np.zeros((4, 4), np.int64), 2)
    with pytest.raises(UsageError, match="shape"):
        imresize(np.zeros((0, 4), np.uint8), 2)
    with pytest.raises(UsageError, match="either"):
        imresize(np.zeros((4, 4), np.uint8), 2, output_size=(2, 2))
    with pytest.raises(UsageError, match="at least one"):
        imresize(np.zeros((4, 4), np.uint8), output_size=(0, 2))
