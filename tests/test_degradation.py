"""How pictures come about: each part of the chain against another program or a formula, and the chain as a function of its seed."""

from __future__ import annotations

import io
import math
import re
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fsrcnn import protocol
from fsrcnn.color import luma
from fsrcnn.degradation import (
    CASES,
    KERNELS,
    LARGEST_SIDE,
    PHOTO,
    RANGES,
    REAL,
    Ranges,
    compressed,
    degraded,
    filtered,
    gaussian,
    noisy,
    rounded,
    sharpened,
    shrunk,
)
from fsrcnn.errors import ImageError, MissingExtraError, UsageError
from fsrcnn.imresize import imresize

Plane = npt.NDArray[np.float32]
NOTHING = Ranges(
    clean=0, blur=0, kernels=(("area", 1.0),), noise=0, sharpen=0, sharpen_first=0, compress=0, webp=0, full_chroma=0, again=0
)  # fmt: skip


def picture(height: int = 48, width: int = 60, channels: int = 0, seed: int = 0) -> Plane:
    """Waves with an edge and some grain, in [0, 1]; grey or of so many channels."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    planes = [
        0.5 + 0.25 * np.sin(0.2 * x + 0.13 * y * k) + 0.2 * (x > y) + 0.05 * generator.standard_normal((height, width))
        for k in range(1, max(1, channels) + 1)
    ]
    stacked = np.dstack(planes) if channels else planes[0]
    return stacked.clip(0, 1).astype(np.float32)


# ── shrinking ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=40)
@given(st.sampled_from((2, 3, 4)), st.integers(1, 15), st.integers(1, 15))
def test_bicubic_is_matlabs(scale: int, height: int, width: int) -> None:
    hr = picture(height * scale, width * scale)
    expected = imresize(hr.astype(np.float64), output_size=(height, width))
    np.testing.assert_allclose(shrunk(hr, scale), expected, atol=2e-6)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("channels", [0, 3])
def test_area_is_the_mean_of_a_block(scale: int, channels: int) -> None:
    hr = picture(channels=channels)
    blocks = hr.reshape(48 // scale, scale, 60 // scale, scale, -1).mean((1, 3))
    np.testing.assert_allclose(shrunk(hr, scale, "area"), blocks if channels else blocks[:, :, 0], atol=1e-6)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("bicubic", Image.Resampling.BICUBIC), ("bilinear", Image.Resampling.BILINEAR), ("lanczos", Image.Resampling.LANCZOS),
        ("area", Image.Resampling.BOX),
    ],
)  # fmt: skip
def test_widened_kernels_are_pillows(name: str, theirs: Image.Resampling, scale: int) -> None:
    """Inside: at borders Pillow leaves out what lies beyond, where we mirror."""
    hr = picture()
    inside = (slice(4, -4), slice(4, -4))
    expected = np.asarray(Image.fromarray(hr).resize((60 // scale, 48 // scale), theirs))
    np.testing.assert_allclose(shrunk(hr, scale, name)[inside], expected[inside], atol=2e-6)


@pytest.mark.parametrize(
    ("name", "taps"), [("cubic", (-0.09375, 0.59375, 0.59375, -0.09375)), ("linear", (0.0, 0.5, 0.5, 0.0))]
)
def test_opencvs_kernels_at_2(name: str, taps: tuple[float, ...]) -> None:
    """INTER_CUBIC (a = -0.75) and INTER_LINEAR, which are not widened: pixels 2i-1 … 2i+2, mirrored at the borders."""
    hr = picture().astype(np.float64)
    for axis in (0, 1):
        padded = np.pad(hr, [(1, 1) if a == axis else (0, 0) for a in (0, 1)], mode="symmetric")
        length = hr.shape[axis]
        hr = np.sum(
            [
                tap * np.take(padded, range(shift, shift + length, 2), axis)
                for shift, tap in enumerate(taps)
                if shift + length <= padded.shape[axis] + 1
            ],
            axis=0,
        )
    np.testing.assert_allclose(shrunk(picture(), 2, name), hr, atol=2e-6)


@pytest.mark.parametrize(("scale", "first"), [(2, 0), (3, 1), (4, 1)])
def test_nearest_takes_the_pixel_in_the_middle(scale: int, first: int) -> None:
    np.testing.assert_array_equal(shrunk(picture(), scale, "nearest"), picture()[first::scale, first::scale])
    np.testing.assert_array_equal(shrunk(picture(), 3, "cubic"), picture()[1::3, 1::3])  # on a pixel, not beside it


def test_a_kernel_that_is_not_there() -> None:
    with pytest.raises(UsageError, match=r"a kernel is bicubic, area, .*, not 'mitchell'"):
        shrunk(picture(), 2, "mitchell")


# ── filters ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("height", "width"), [(48, 60), (7, 1), (1, 2), (31, 29)])
@pytest.mark.parametrize("channels", [0, 3])
def test_filters_are_scipys(height: int, width: int, channels: int) -> None:
    ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy is not installed; type: pip install 'fsrcnn[convert]'")
    hr, kernel = picture(height, width, channels), gaussian(1.7, 0.6, 0.5)
    planes = [hr] if channels == 0 else list(np.moveaxis(hr, 2, 0))
    expected = [ndimage.convolve(plane.astype(np.float64), kernel, mode="reflect") for plane in planes]
    np.testing.assert_allclose(filtered(hr, kernel), np.dstack(expected).reshape(hr.shape), atol=2e-6)
    round_one = [ndimage.gaussian_filter(plane.astype(np.float64), 0.8, radius=3, mode="reflect") for plane in planes]
    np.testing.assert_allclose(filtered(hr, gaussian(0.8, 0.8, 0.3)), np.dstack(round_one).reshape(hr.shape), atol=2e-6)


@pytest.mark.parametrize(("along", "across", "angle"), [(2.0, 2.0, 0.0), (2.5, 1.0, 0.0), (2.5, 1.0, 0.7), (1, 3, 2.0)])
def test_gaussians_have_their_moments(along: float, across: float, angle: float) -> None:
    """The covariance of a turned Gaussian: R·diag(σ₁², σ₂²)·Rᵀ; cut at three standard deviations it loses 3 %."""
    kernel = gaussian(along, across, angle).astype(np.float64)
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    radius = kernel.shape[0] // 2
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    measured = np.array([[(kernel * a * b).sum() for b in (x, y)] for a in (x, y)])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    np.testing.assert_allclose(measured, turn @ np.diag([along**2, across**2]) @ turn.T, rtol=0.04, atol=0.15)


@pytest.mark.parametrize(("sigma", "amount"), [(1.0, 1.0), (0.5, 0.6), (1.4, 1.4)])
def test_an_unsharp_mask_is_its_formula(sigma: float, amount: float) -> None:
    ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy is not installed; type: pip install 'fsrcnn[convert]'")
    hr = picture()
    blurred = ndimage.gaussian_filter(hr.astype(np.float64), sigma, radius=int(np.ceil(3 * sigma)), mode="reflect")
    np.testing.assert_allclose(sharpened(hr, sigma, amount), (hr + amount * (hr - blurred)).clip(0, 1), atol=3e-6)


# ── noise and compression ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("poisson", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("grey", [0.4, 0.8])
def test_noise_has_its_variance_in_linear_light(poisson: float, grey: float) -> None:
    sigma, light = 4 / 255, grey**2.2
    noise = noisy(np.full((400, 400), grey, np.float32), sigma, poisson, np.random.default_rng(0)).astype(float) ** 2.2
    assert noise.std() == pytest.approx(sigma * np.sqrt(poisson * light + 1 - poisson), rel=0.01)
    assert noise.mean() == pytest.approx(light, abs=1e-4)


@pytest.mark.parametrize("channels", [0, 3])
@pytest.mark.parametrize("quality", [30, 75, 95])
def test_files_are_pillows(channels: int, quality: int) -> None:
    lr = rounded(picture(channels=channels))
    image = Image.fromarray(np.rint(lr * 255).astype(np.uint8))
    kinds: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
        ({}, "JPEG", {}), ({"webp": True}, "WEBP", {"method": 0}), ({"full_chroma": True}, "JPEG", {"subsampling": "4:4:4"}),
    ]  # fmt: skip
    for ours, format, theirs in kinds:
        buffer = io.BytesIO()
        image.save(
            buffer,
            format,
            quality=quality,
            **(
                {"subsampling": "4:2:0"}
                if format == "JPEG" and channels and not theirs
                else theirs
                if channels or format == "WEBP"
                else {}
            ),
        )
        expected = np.asarray(Image.open(buffer).convert(image.mode))
        np.testing.assert_array_equal(np.rint(compressed(lr, quality, **ours) * 255), expected)


@pytest.mark.parametrize("shift", [(0, 0), (3, 0), (0, 5), (7, 2)])
def test_blocks_begin_where_they_are_told(shift: tuple[int, int]) -> None:
    """At the lowest quality each block of a slope is flat, so values change between blocks alone."""
    y, x = np.mgrid[:40, :48]
    slope = (0.2 + 0.012 * x + 0.001 * y).astype(np.float32)
    blocks = compressed(slope, 1, shift=shift)
    assert blocks.shape == slope.shape
    for axis, plane in ((1, slope), (0, slope.T.copy())):
        blocky = compressed(plane, 1, shift=shift)
        steps = np.flatnonzero(np.abs(np.diff(blocky, axis=axis)).max(1 - axis) > 1e-6) + 1
        assert len(steps)
        assert set((steps + shift[axis]) % 8) == {0}


def test_luma_hardly_depends_on_how_chroma_is_kept(datasets: Path) -> None:
    """What lets training degrade luma alone: a 4:2:0 JPEG's luma is as far from the original's as that of a grey JPEG is."""
    differences: dict[int, list[float]] = {35: [], 75: [], 85: [], 95: []}
    for path in sorted((datasets / "BSDS500-val20").iterdir())[:5]:
        rgb = rounded(shrunk(protocol.read_8bit(path).astype(np.float32) / 255, 2))
        before = luma(np.rint(rgb * 255).astype(np.uint8)).astype(float)
        for quality, found in differences.items():
            colour = luma(np.rint(compressed(rgb, quality) * 255).astype(np.uint8))
            grey = compressed(((before - 16) / 219).astype(np.float32), quality) * 219 + 16
            found.append(10 * np.log10(np.square(grey - before).mean() / np.square(colour - before).mean()))
    for quality, found in differences.items():
        assert len(found) == 5
        assert np.abs(found).max() < (0.12 if quality < 90 else 0.5), (quality, found)


# ── the chain ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=150)
@given(st.sampled_from((2, 3, 4)), st.integers(1, 14), st.integers(1, 14), st.booleans(), st.integers(0, 2**32))
def test_any_size_gives_a_small_picture(scale: int, height: int, width: int, colour: bool, seed: int) -> None:
    hr = picture(height * scale, width * scale, 3 if colour else 0)
    before = hr.copy()
    lr = degraded(hr, scale, np.random.default_rng(seed), replace(PHOTO, clean=0))
    assert lr.dtype == np.float32
    assert lr.shape == (height, width, *hr.shape[2:])
    np.testing.assert_allclose(lr * 255, np.rint(lr * 255), atol=1e-4)
    assert 0 <= lr.min() <= lr.max() <= 1
    np.testing.assert_array_equal(hr, before)


def test_a_seed_gives_its_picture() -> None:
    hr = picture()
    first, again = ([degraded(hr, 2, np.random.default_rng(seed)) for seed in range(60)] for _ in range(2))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len({lr.tobytes() for lr in first}) > 30  # chains are seldom alike


def test_clean_chains_are_bicubic_and_half_of_them_rounded() -> None:
    hr = picture()
    plain = shrunk(hr, 3)
    lrs = [degraded(hr, 3, np.random.default_rng(seed), replace(PHOTO, clean=1)) for seed in range(200)]
    exact = sum(np.array_equal(lr, plain) for lr in lrs)
    assert exact + sum(np.array_equal(lr, rounded(plain)) for lr in lrs) == 200
    assert 70 < exact < 130


def test_a_chain_of_nothing_is_its_kernel() -> None:
    hr = picture()
    for kernel in KERNELS:
        lr = degraded(hr, 2, np.random.default_rng(0), replace(NOTHING, kernels=((kernel, 1.0),)))
        np.testing.assert_array_equal(lr, rounded(shrunk(hr, 2, kernel)))


@pytest.mark.parametrize("name", [*RANGES, "real"])
def test_kernels_are_drawn_as_often_as_they_are_said_to_be(name: str) -> None:
    """Among them bicubic, area, bilinear, Lanczos and unfiltered cubic, in what is learned from as in what is measured on."""
    hr, scale, count = picture(24, 24), 4, 3000  # at ×2 bilinear is area, at ×3 it is nearest
    kernels = RANGES.get(name, REAL).kernels
    lr_of = {rounded(shrunk(hr, scale, kernel)).tobytes(): kernel for kernel in KERNELS}
    chain, generator = replace(NOTHING, kernels=kernels), np.random.default_rng(0)
    drawn = Counter(lr_of[degraded(hr, scale, generator, chain).tobytes()] for _ in range(count))
    assert {"bicubic", "area", "bilinear", "lanczos", "cubic"} <= set(drawn)
    assert set(drawn) == set(dict(kernels))
    for kernel, odds in kernels:
        deviation = math.sqrt(count * odds * (1 - odds))
        assert drawn[kernel] == pytest.approx(count * odds / sum(dict(kernels).values()), abs=4 * deviation), kernel


def test_each_part_is_in_the_chain() -> None:
    hr = picture()
    small = shrunk(hr, 2, "area").clip(0, 1)
    generator = np.random.default_rng
    lr = degraded(hr, 2, generator(1), replace(NOTHING, sharpen=1, sharpen_sigma=(1, 1), sharpen_amount=(1.2, 1.2)))
    np.testing.assert_array_equal(lr, rounded(sharpened(small, 1, 1.2)))
    shifts = [(top, left) for top in range(8) for left in range(8)]
    jpeg = degraded(hr, 2, generator(1), replace(NOTHING, compress=1, quality=(50, 50)))
    assert any(np.array_equal(jpeg, compressed(rounded(small), 50, shift=shift)) for shift in shifts)
    webp = degraded(hr, 2, generator(1), replace(NOTHING, compress=1, quality=(50, 50), webp=1))
    assert any(np.array_equal(webp, compressed(rounded(small), 50, webp=True, shift=shift)) for shift in shifts)
    twice = degraded(hr, 2, generator(1), replace(NOTHING, compress=1, quality=(50, 50), again=1))
    assert not any(np.array_equal(twice, compressed(rounded(small), 50, shift=shift)) for shift in shifts)
    # σ along and across 1 LR pixel = 2 HR pixels: no angle matters.
    blurred = degraded(hr, 2, generator(1), replace(NOTHING, blur=1, blur_sigma=(1, 1)))
    expected = rounded(shrunk(filtered(hr, gaussian(2, 2, 0)), 2, "area"))
    np.testing.assert_allclose(blurred, expected, atol=1.1 / 255)
    assert (np.abs(blurred - expected) > 1e-3).mean() < 0.01
    flat = np.full((400, 400), 0.8, np.float32)
    for level in (2.0, 8.0):
        grain = degraded(flat, 2, generator(1), replace(NOTHING, noise=1, noise_sigma=(level, level)))
        linear = grain.astype(float) ** 2.2 * 255
        assert level * np.sqrt(0.8**2.2) * 0.95 < linear.std() < level * 1.05


def test_sharpening_comes_before_or_after_the_noise() -> None:
    """Sharpened noise is stronger noise."""
    flat = np.full((200, 200), 0.6, np.float32)
    both = replace(NOTHING, noise=1, sharpen=1, noise_sigma=(4, 4), sharpen_sigma=(1, 1), sharpen_amount=(1, 1))
    after, before = (
        degraded(flat, 2, np.random.default_rng(3), replace(both, sharpen_first=first)).std() for first in (0, 1)
    )
    assert after > 1.3 * before


NO_RANGES: dict[str, tuple[str, list[Any]]] = {
    "noise_sigma": (
        "a tuple of two numbers above 0, the smaller one first",
        [(0, 3), (2, 1), (1, float("nan")), (1, float("inf")), (1, 2, 3), ("1", "2"), [1, 2], 3, None],
    ),
    "quality": (
        "a tuple of two whole numbers, 1 to 100, the smaller one first",
        [(50, 101), (0, 50), (60, 50), (50.5, 60), (50.0, 60.0), (True, 60), [50, 60], 50],
    ),
    "kernels": (
        r"a tuple of pairs: a kernel \(bicubic, .*\) and how probable it is, .*",
        [
            (), (("area", -1.0), ("cubic", 2.0)), (("area", 0.0),), (("area", float("nan")),), (("area", "1"),),
            (("mitchell", 1.0),), [("area", 1.0)], (["area", 1.0],), (([], 1.0),), (("area",),), "area", None,
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"blur": 1.5}, "blur is a probability, 0 to 1, not 1.5"),
        ({"again": -0.1}, "again is a probability"),
        ({"noise": float("nan")}, "noise is a probability, 0 to 1, not nan"),
        ({"noise": "x"}, "noise is a probability, 0 to 1, not 'x'"),
        ({"webp": (0.1, 0.2)}, r"webp is a probability, 0 to 1, not \(0.1, 0.2\)"),
        *(
            ({name: value}, f"{name} is {allowed}, not {re.escape(repr(value))}$")
            for name, (allowed, values) in NO_RANGES.items()
            for value in values
        ),
    ],
)
def test_ranges_that_make_no_sense(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Ranges(**change)


LARGE = picture(12, 24)
NO_HR: dict[str, tuple[Any, str]] = {
    "four channels": (np.zeros((12, 24, 4), np.float32), r"shape \(h, w\) or \(h, w, 3\), not float32 of shape \(12, 24, 4\)"),
    "one channel": (LARGE[:, :, None], r"shape \(h, w\) or \(h, w, 3\), not float32 of shape \(12, 24, 1\)"),
    "a row": (LARGE[0], r"not float32 of shape \(24,\)"),
    "a list": (LARGE.tolist(), "an HR picture is an array of floats of shape .*, not list"),
    "bytes": (np.zeros((12, 24), np.uint8), "an HR picture is an array of floats of shape .*, not uint8 of shape"),
    "one pixel": (LARGE[:1, :1], "multiples of the scale, 2, not 1×1"),
    "no pixel": (LARGE[:0], "multiples of the scale, 2, not 24×0"),
    "no column": (LARGE[:, :0], "multiples of the scale, 2, not 0×12"),
    "odd height": (LARGE[:11], "multiples of the scale, 2, not 24×11"),
    "odd width": (LARGE[:, :23], "multiples of the scale, 2, not 23×12"),
    "NaN": (np.where(LARGE.max() <= LARGE, np.float32(np.nan), LARGE), r"lie in \[0, 1\] without NaN"),
    "infinity": (np.where(LARGE.max() <= LARGE, np.float32(np.inf), LARGE), r"lie in \[0, 1\] .* to inf; divide"),
    "0 to 255": (LARGE * 255, r"lie in \[0, 1\] without NaN, not from .*; divide it by its peak first"),
    "below 0": (LARGE - 2, r"lie in \[0, 1\] without NaN, not from -"),
}  # fmt: skip


@pytest.mark.parametrize("kind", NO_HR)
@pytest.mark.parametrize("compress", [0, 1])
def test_what_is_no_hr_picture_is_refused(kind: str, compress: int) -> None:
    """Whatever the chain: as training and the cases of an evaluation take it."""
    hr, sentence = NO_HR[kind]
    with pytest.raises(UsageError, match=sentence):
        degraded(hr, 2, np.random.default_rng(0), replace(NOTHING, compress=compress))
    case = CASES["JPEG 75" if compress else "clean"]
    for make in (case.of, case.file):
        with pytest.raises(UsageError, match=sentence):
            make(hr, 2)


@pytest.mark.parametrize("scale", [1, 5, 2.0, True, "2"])
def test_another_scale_is_refused(scale: Any) -> None:
    with pytest.raises(UsageError, match="scale is a whole number from 2 to 4, not"):
        degraded(picture(60, 60), scale, np.random.default_rng(0))


def test_what_floats_err_by_is_an_hr_picture() -> None:
    for hr in (np.full((4, 6), 1 + 1e-6, np.float32), np.full((4, 6, 3), -1e-6), np.ones((4, 6), np.float16)):
        assert degraded(hr, 2, np.random.default_rng(0), NOTHING).shape == (2, 3, *hr.shape[2:])


def test_what_no_file_could_hold_is_refused_before_the_work() -> None:
    wide = np.zeros((2, 2 * (LARGEST_SIDE + 1)), np.float32)
    with pytest.raises(ImageError, match="a picture of 16377×1 pixels is too large to be compressed"):
        degraded(wide, 2, np.random.default_rng(0), replace(PHOTO, clean=1))
    widest = degraded(wide[:, :-2], 2, np.random.default_rng(0), replace(PHOTO, clean=0, compress=1, webp=1, again=1))
    assert widest.shape == (1, LARGEST_SIDE)


def test_without_pillow_no_chain_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(MissingExtraError, match=r"degraded pictures need Pillow.*pip install 'fsrcnn\[pillow\]'"):
        degraded(picture(), 2, np.random.default_rng(0), replace(PHOTO, clean=1))


# ── the cases ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", CASES)
def test_a_case_is_always_the_same(name: str) -> None:
    hr = picture(96, 120)
    lr, again, other = (CASES[name].of(hr, 2, number) for number in (0, 0, 1))
    np.testing.assert_array_equal(lr, again)
    np.testing.assert_allclose(lr * 255, np.rint(lr * 255), atol=1e-4)
    assert np.array_equal(lr, other) == (not name.startswith(("noise", "real")))


def test_cases_are_what_they_are_called() -> None:
    hr = picture(96, 120)
    small = rounded(np.asarray(imresize(hr, 0.5), np.float32))
    np.testing.assert_allclose(CASES["clean"].of(hr, 2), small, atol=1.1 / 255)
    image = Image.fromarray(np.rint(CASES["clean"].of(hr, 2) * 255).astype(np.uint8))
    for name, format, options in (
        ("JPEG 50", "JPEG", {"quality": 50}),
        ("WebP 75", "WEBP", {"quality": 75, "method": 0}),
    ):
        buffer = io.BytesIO()
        image.save(buffer, format, **options)
        np.testing.assert_array_equal(np.rint(CASES[name].of(hr, 2) * 255), np.asarray(Image.open(buffer).convert("L")))
    flat = np.full((400, 400), 0.5, np.float32)
    for level in (3, 8):
        assert CASES[f"noise {level}"].of(flat, 2).std() * 255 == pytest.approx(level, rel=0.02)
