"""The engines against each other, the definition against SciPy, and tiles against the whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from fsrcnn import engines
from fsrcnn.architecture import FAMILY_NAMES, Architecture, family
from fsrcnn.arrays import Float32
from fsrcnn.engines import Engine
from fsrcnn.engines.numpy import TILE_BOUND, NumpyEngine
from fsrcnn.errors import UsageError
from fsrcnn.layers import BLOCK, convolve, deconvolve
from fsrcnn.phases import phase_kernels
from fsrcnn.planes import Planes
from fsrcnn.weights import Weights
from fsrcnn.windows import Source, SuperResolution
from support import noise as luma
from support import random_weights

SIZES = [(1, 1), (1, 2), (2, 1), (3, 3), (1, 65), (67, 1), (15, 16), (17, 31), (32, 33), (65, 67)]


def by_scipy(weights: Weights, lr: Float32) -> Any:
    """The network once more, in float64, from SciPy's correlation and convolution: written from the paper, not from the engine."""
    a, arrays = weights.architecture, weights.arrays
    features = [lr.astype(np.float64)]
    for stage in [
        "feature_extraction",
        "shrinking",
        *(f"mapping.{i}" for i in range(a.m)),
        "expanding",
    ]:  # the paper's, by hand
        summed = [
            sum(scipy.signal.correlate2d(x, k, "same") for x, k in zip(features, kernels, strict=True)) + bias
            for kernels, bias in zip(arrays[f"{stage}.weight"].astype(np.float64), arrays[f"{stage}.bias"], strict=True)
        ]
        features = [np.where(x > 0, x, slope * x) for x, slope in zip(summed, arrays[f"{stage}.prelu"], strict=True)]
    height, width = lr.shape
    canvas: Any = 0.0
    for x, kernel in zip(features, arrays["deconvolution.weight"][:, 0].astype(np.float64), strict=True):
        spread = np.zeros((a.scale * (height - 1) + 1, a.scale * (width - 1) + 1))
        spread[:: a.scale, :: a.scale] = x
        canvas = canvas + scipy.signal.convolve2d(spread, kernel, "full")
    cut = canvas[a.crop : a.crop + a.scale * height, a.crop : a.crop + a.scale * width]
    return cut + arrays["deconvolution.bias"][0]


ARCHITECTURES = [family(name, scale) for name in FAMILY_NAMES for scale in (2, 3, 4)]
ARCHITECTURES += [Architecture(4, 3, 0, 1, 3, 3), Architecture(5, 2, 1, 7, 11, 2, 0), Architecture(3, 4, 2, 3, 9, 4, 4)]


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=str)
def test_numpy_is_the_papers_network(architecture: Architecture) -> None:
    weights = random_weights(architecture)
    for height, width in [(1, 1), (5, 4), (12, 17)]:
        lr = luma(height, width)
        expected = by_scipy(weights, lr)
        ours = NumpyEngine(weights).run(lr)
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, expected, atol=3e-6 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=str)
def test_torch_agrees(architecture: Architecture) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed; type: pip install 'fsrcnn[torch]'")
    weights = random_weights(architecture)
    numpy, torch = NumpyEngine(weights), engines.create(weights, "torch:cpu")
    for height, width in SIZES:
        lr = luma(height, width)
        expected = numpy.run(lr)
        np.testing.assert_allclose(torch.run(lr), expected, atol=1e-5 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("name", ["fsrcnn-x2", "fsrcnn-x3", "fsrcnn-x4"])
def test_engines_agree_with_trained_weights(name: str) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed; type: pip install 'fsrcnn[torch]'")
    from fsrcnn import pretrained

    weights = pretrained.load(name)
    numpy, torch = NumpyEngine(weights), engines.create(weights, "torch:cpu")
    for height, width in SIZES:
        lr = luma(height, width)
        expected = numpy.run(lr)
        np.testing.assert_allclose(torch.run(lr), expected, atol=1e-5 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=str)
def test_phase_kernels_are_the_deconvolution(architecture: Architecture) -> None:
    """A convolution per phase and a shuffle of the pixels give what the stamps give."""
    weights, scale = random_weights(architecture), architecture.scale
    features = np.random.default_rng(0).random((architecture.d, 9, 11), np.float32)
    zeros = np.zeros(scale * scale, np.float32)
    phases = convolve(features, phase_kernels(weights), zeros).reshape(scale, scale, 9, 11)
    shuffled = phases.transpose(2, 0, 3, 1).reshape(scale * 9, scale * 11)
    arrays = weights.arrays
    expected = deconvolve(features, arrays["deconvolution.weight"], np.zeros(1, np.float32), scale, architecture.crop)
    np.testing.assert_allclose(shuffled, expected, atol=1e-5)
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; type: pip install 'fsrcnn[torch]'")
    from fsrcnn.engines.torch import Network

    trained = Network(architecture).phase_kernel_of(torch.from_numpy(arrays["deconvolution.weight"]))
    np.testing.assert_array_equal(trained.detach().numpy(), phase_kernels(weights))


def part(engine: Engine, lr: Float32, window: tuple[int, int, int, int]) -> Float32:
    return SuperResolution(Source(Planes.luma(lr)), engine).window(window)[0]


def agree(ours: Float32, expected: Float32) -> None:
    """As near as a BLAS allows, whose order of sums hangs on the processor and on where a column lies."""
    np.testing.assert_allclose(ours, expected, rtol=0, atol=TILE_BOUND * max(1, float(np.abs(expected).max())))


@settings(max_examples=60)
@given(st.sampled_from(ARCHITECTURES), st.integers(1, 70), st.integers(1, 70), st.data())
def test_a_tile_with_its_halo_is_the_whole_within_the_bound(
    architecture: Architecture, height: int, width: int, data: st.DataObject
) -> None:
    engine, scale = NumpyEngine(random_weights(architecture)), architecture.scale
    lr = luma(height, width)
    top = data.draw(st.integers(0, height * scale - 1))
    left = data.draw(st.integers(0, width * scale - 1))
    bottom = data.draw(st.integers(top + 1, height * scale))
    right = data.draw(st.integers(left + 1, width * scale))
    whole = engine.run(lr)
    agree(part(engine, lr, (top, bottom, left, right)), whole[top:bottom, left:right])


def test_tiles_of_more_than_one_block_too() -> None:
    engine = NumpyEngine(random_weights(family("fsrcnn", 2)))
    lr = luma(100, 130)
    assert lr.size > 2 * BLOCK
    agree(part(engine, lr, (77, 150, 31, 260)), engine.run(lr)[77:150, 31:260])


def test_a_halo_one_smaller_would_not_do() -> None:
    """So that the test above can fail: the outermost pixel of the halo matters."""
    architecture = family("fsrcnn", 2)
    engine = NumpyEngine(random_weights(architecture))
    lr, halo = luma(60, 60), architecture.halo
    cut = engine.run(lr[30 - halo + 1 :])[2 * (halo - 1) :]
    whole = engine.run(lr)[60:]
    assert np.abs(cut - whole).max() > 100 * TILE_BOUND * np.abs(whole).max()


def test_unknown_engines_and_devices() -> None:
    weights = random_weights(family("fsrcnn-x", 2))
    with pytest.raises(UsageError, match="there is no engine 'gpu'"):
        engines.create(weights, "gpu")
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="no cuda device"):
            engines.create(weights, "torch:cuda")
