"""Calibration: how an integer model's whole numbers are found, against plain rounding, exhaustive search and arithmetic by hand."""

from __future__ import annotations

import hashlib
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsrcnn import UsageError, calibration, images, pretrained, protocol
from fsrcnn.architecture import Architecture
from fsrcnn.calibration import calibrated, leaves, lumas_of, quantised
from fsrcnn.engines import Engine
from fsrcnn.engines.integer import IntegerEngine
from fsrcnn.engines.numpy import NumpyEngine
from fsrcnn.errors import ImageError
from fsrcnn.evaluation import compare
from fsrcnn.integer import FORMATS, IntegerModel
from fsrcnn.weights import Weights
from support import ENVIRONMENT, ROOT, random_weights, run_command

ASTRONAUT = ROOT / "examples" / "astronaut.png"


def psnr(engine: Engine) -> float:
    made = compare(protocol.read_8bit(ASTRONAUT)[:240, :240], engine, "paper")
    return protocol.psnr(made.hr, made.sr, engine.architecture.scale)


@pytest.mark.parametrize(
    ("format", "least", "gain"),
    [("w12a12", 0.05, 0.0), ("w10a12", 0.05, 0.0), ("w8a16", 0.05, 0.05), ("w8a8", 0.6, 0.5)],
)
def test_the_loss_of_bundled_weights(format: str, least: float, gain: float) -> None:
    weights = pretrained.load("fsrcnn-x-x2")
    exact = psnr(NumpyEngine(weights))
    plain, found = (psnr(IntegerEngine(make(weights, format))) for make in (IntegerModel.of, quantised))
    assert exact - found < least
    assert found - plain > gain


def test_pictures_help_features_of_eight_bits(tmp_path: Path) -> None:
    weights = pretrained.load("fsrcnn-x-x2")
    pixels = images.read(ASTRONAUT).pages[0]
    for number, (top, left) in enumerate(((240, 0), (240, 250), (0, 250))):  # not the corner that is measured
        images.write(images.Picture((pixels[top : top + 240, left : left + 240],), "png"), tmp_path / f"{number}.png")
    lumas = lumas_of(tmp_path, 2)
    assert [luma.shape for luma in lumas] == [(64, 64)] * 3
    assert (
        psnr(IntegerEngine(quantised(weights, "w8a8", lumas))) > psnr(IntegerEngine(quantised(weights, "w8a8"))) + 0.05
    )


@given(
    st.sampled_from(sorted(FORMATS)), st.integers(1, 9), st.integers(2, 5), st.integers(0, 2), st.sampled_from([1, 3, 5]),
    st.sampled_from([5, 7, 9]), st.integers(2, 4), st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=25, deadline=None)
def test_any_network_is_followed_closely(
    format: str, d: int, s: int, m: int, feature_kernel: int, deconvolution_kernel: int, scale: int, seed: int
) -> None:
    weights = random_weights(Architecture(d, s, m, feature_kernel, deconvolution_kernel, scale), seed)
    weights.arrays["shrinking.weight"][0] = weights.arrays["shrinking.bias"][0] = 0  # a dead channel
    lumas = [np.random.default_rng(seed).random((24, 20)) * 0.8 + 0.1]
    found = quantised(weights, format, lumas)
    lr = lumas[0].astype(np.float32)
    exact = np.clip(NumpyEngine(weights).run(lr), 0, 1023 / 1020)
    error = np.sqrt(np.mean((IntegerEngine(found).run(lr) - exact) ** 2))
    assert error < {"w8a8": 0.03, "w8a16": 0.015}.get(format, 0.004)


def test_what_is_found_is_what_is_rounded() -> None:
    """Kernels and biases lie where they are rounded to, so that training, which starts from them, starts from the integer model."""
    found = calibrated(pretrained.load("fsrcnn-x-x3"), "w8a8")
    step = np.array([1 / 1020])
    for stage in found.weights.architecture.convolutions:
        whole = (
            found.weights.arrays[f"{stage.name}.weight"]
            * step[:, None, None]
            * found.units[stage.name][:, None, None, None]
        )
        assert np.abs(whole - np.rint(whole)).max() < 1e-3
        assert np.abs(np.rint(whole)).max() == 127
        step = found.steps[stage.name]


@given(st.integers(0, 99), st.integers(2, 6))
@settings(max_examples=30, deadline=None)
def test_rounding_in_turn_against_exhaustive_search(seed: int, width: int) -> None:
    generator = np.random.default_rng(seed)
    seen = generator.normal(0, 1, (400, 2)) @ generator.normal(0, 1, (2, width)) + generator.normal(
        0, 0.05, (400, width)
    )
    power = np.cov(seen.T, bias=True).reshape(width, width)
    moments = calibration._Moments(np.zeros(width), np.zeros(1), power, np.zeros((1, width)))
    kernel = generator.uniform(-3, 3, (1, width))

    def lost(whole: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
        return float((kernel - whole)[0] @ power @ (kernel - whole)[0])

    best = min(
        lost(np.array([whole], np.float64))
        for whole in itertools.product(*((np.floor(w), np.floor(w) + 1) for w in kernel[0]))
    )
    found = moments.rounded(kernel, 4)
    assert (found == np.rint(found)).all()
    assert np.abs(found).max() <= 4
    assert lost(found) <= lost(np.rint(kernel)) * 1.001 + 1e-9 or lost(found) <= 4 * best + 1e-3


def test_rounding_by_hand() -> None:
    """Two inputs that are always equal, 0.4 of each: zero of the first leaves 0.8 to the second, hence 1; plainly both are zero."""
    equal = np.ones((2, 2))
    moments = calibration._Moments(np.zeros(2), np.zeros(1), equal, np.zeros((1, 2)))
    assert moments.rounded(np.array([[0.4, 0.4]]), 127).tolist() == [[0, 1]]
    assert moments.rounded(np.array([[0.4, 0.4], [200.0, 1.0]]), 127).tolist() == [[0, 1], [127, 73]]


def test_a_kernel_is_fitted_to_what_comes_in() -> None:
    """Features that arrive halved want weights twice as large, but for the part that holds them where they were."""
    generator = np.random.default_rng(0)
    exact = generator.random((1, 40, 40))
    wanted = [3 * exact + 1]
    moments = calibration._Moments.of([exact / 2], wanted, 1)
    assert moments.fitted(np.array([[3.0]])) == pytest.approx((3 * 0.003 + 6) / 1.003)
    assert moments.sums == pytest.approx(3 * exact.mean() + 1)
    assert moments.seen == pytest.approx(exact.mean() / 2)


def test_steps_clip_a_few_and_round_all() -> None:
    even = np.linspace(-1, 1, 4001).reshape(1, 1, -1)
    alone = even.copy()
    alone[..., 0] = 3
    steps = calibration._best_steps([np.concatenate([even, alone, 0 * even])], 8)
    assert steps[0] == pytest.approx(0.9 / 7)  # -8 … 7 reach from -1.03 to 0.9: a little is clipped above
    assert steps[1] < 1.3 / 7  # the one of 3 is
    assert steps[2] > 0


@given(st.integers(2, 4), st.sampled_from([5, 7, 9]), st.integers(0, 9))
@settings(max_examples=20, deadline=None)
def test_phases_are_put_back(scale: int, side: int, seed: int) -> None:
    weights = random_weights(Architecture(3, 2, 0, 3, side, scale), seed)
    phases, bias, inside = calibration._as_convolution(weights.architecture.stages[-1], weights)
    assert (calibration._as_deconvolution(phases, weights) == weights.arrays["deconvolution.weight"]).all()
    assert len(bias) == scale**2
    assert inside.sum() == weights.arrays["deconvolution.weight"].size


def test_leaves_have_the_range_of_luma_and_the_edges_of_pictures() -> None:
    planes = leaves()
    assert [plane.shape for plane in planes] == [(64, 64)] * 4
    assert min(plane.min() for plane in planes) < 0.05
    assert max(plane.max() for plane in planes) > 0.95
    flat = np.concatenate([plane - plane.mean() for plane in planes])
    assert 0.4 < (flat[:, 1:] * flat[:, :-1]).mean() / flat.var() < 0.95  # neighbours are alike, as in pictures


SCRIPT = """
import hashlib
from fsrcnn import pretrained
from fsrcnn.calibration import quantised
print(hashlib.sha256(quantised(pretrained.load("fsrcnn-x-x2"), "w8a8").to_bytes()).hexdigest())
"""


def test_every_processor_finds_the_same_numbers() -> None:
    found = quantised(pretrained.load("fsrcnn-x-x2"), "w8a8").to_bytes()
    other = {
        "OPENBLAS_CORETYPE": "Prescott",
        "OPENBLAS_NUM_THREADS": "1",
    }  # where NumPy has OpenBLAS: the generic kernels
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True, env={**ENVIRONMENT, **other})
    assert done.stdout.decode().strip() == hashlib.sha256(found).hexdigest()


def test_a_network_that_is_too_wide_is_rounded_plainly() -> None:
    weights = random_weights(Architecture(180, 2, 0, 1, 9, 2))  # 180 · 5 · 5 inputs
    assert quantised(weights, "w8a8").to_bytes() == IntegerModel.of(weights, "w8a8").to_bytes()
    with pytest.raises(UsageError, match="has 4,500 inputs, and 4,096 can be calibrated"):
        calibrated(weights, "w8a8")


def test_folders_of_pictures(tmp_path: Path) -> None:
    for number in range(40):
        images.write(images.Picture((np.full((9, 8, 1), number, np.uint8),), "png"), tmp_path / f"{number:02}.png")
    lumas = lumas_of(tmp_path, 3)
    assert [round(float(luma.mean() * 255)) for luma in lumas] == list(range(0, 40, 3))
    assert lumas[0].shape == (3, 2)
    images.write(images.Picture((np.zeros((2, 9, 1), np.uint8),), "png"), tmp_path / "00.png", overwrite=True)
    with pytest.raises(ImageError, match=r"00\.png, of 9×2 pixels, has no LR pixel at ×3"):
        lumas_of(tmp_path, 3)


def test_quantize_with_pictures(tmp_path: Path) -> None:
    done = run_command(
        "quantize",
        "fsrcnn-x-x2",
        "--format",
        "w8a8",
        "--pictures",
        ASTRONAUT.parent,
        "-o",
        tmp_path / "core.safetensors",
    )
    assert done.returncode == 0
    expected = quantised(pretrained.load("fsrcnn-x-x2"), "w8a8", lumas_of(ASTRONAUT.parent, 2))
    assert (tmp_path / "core.safetensors").read_bytes() == expected.to_bytes()
    refused = run_command(
        "quantize", "fsrcnn-x-x2", "--pictures", tmp_path / "none", "-o", tmp_path / "other.safetensors"
    )
    assert (refused.returncode, refused.stderr.decode()) == (1, f"fsrcnn: {tmp_path}/none does not exist\n")
    assert not (tmp_path / "other.safetensors").exists()


@pytest.mark.parametrize("slope", [1e-3, 1e-7])
def test_a_channel_that_is_all_but_dead_takes_nothing_from_the_others(slope: float) -> None:
    """Its step is tiny, and its multiplier from zero up, which no sum of it needs, must not take the stage's shift."""
    bundled = pretrained.load("fsrcnn-x-x2")
    arrays = {name: array.copy() for name, array in bundled.arrays.items()}
    arrays["mapping.0.bias"][0], arrays["mapping.0.prelu"][0] = -30, slope
    arrays["mapping.1.weight"][:, 0] = 0
    weights = Weights(bundled.architecture, arrays)
    for model in (quantised(weights, "w12a12"), IntegerModel.of(weights, "w12a12")):
        assert np.median(np.abs(model.requantising["mapping.0"].positive)) > 400
        lr = leaves()[0].astype(np.float32)
        expected = NumpyEngine(weights).run(lr).clip(0, 1)
        assert np.sqrt(np.mean((IntegerEngine(model).run(lr).clip(0, 1) - expected) ** 2)) < 1 / 255
