"""The native engine: every instruction set of this processor against the definitions; awkward sizes, networks, arrays, threads."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fsrcnn.engines.fixed_point import FEATURE_LEVELS, INPUT_LEVELS, FixedPoint, stages_of
from hypothesis import given, settings
from hypothesis import strategies as st

from fsrcnn import Upscaler, engines, pretrained
from fsrcnn.architecture import FAMILY_NAMES, Architecture, family
from fsrcnn.engines import Engine, native
from fsrcnn.engines.numpy import Float32, NumpyEngine
from fsrcnn.errors import EngineWarning, MissingExtraError, UsageError
from fsrcnn.evaluation import LumaPlane, evaluate
from fsrcnn.upscaler import SuperResolution, physical_memory
from support import random_weights

if not native.available():
    pytest.skip("the native engine was not built: no C++ compiler", allow_module_level=True)

SETS = native.instruction_sets()
# Around the widths of vectors, blocks, chunks and tiles, and the heights of row pairs.
SIZES = [
    (1, 1),
    (1, 2),
    (2, 1),
    (3, 3),
    (1, 65),
    (67, 1),
    (4, 5),
    (7, 9),
    (15, 16),
    (17, 31),
    (32, 33),
    (5, 63),
    (65, 64),
]
SIZES += [(2, 127), (3, 128), (6, 129), (3, 1030)]


def luma(height: int, width: int, seed: int = 0) -> Float32:
    return np.random.default_rng(seed).random((height, width), np.float32)


def agree(ours: Float32, expected: Float32, tolerance: float = 1e-5) -> None:
    np.testing.assert_allclose(ours, expected, rtol=0, atol=tolerance * max(1, float(np.abs(expected).max())))


@pytest.mark.parametrize("instruction_set", SETS)
@pytest.mark.parametrize("name", [row for row in pretrained.table() if not row.endswith(".t91")])
def test_bundled_weights_on_awkward_sizes(name: str, instruction_set: str) -> None:
    weights = pretrained.load(name)
    law, whole = NumpyEngine(weights), FixedPoint.of(weights)
    exact = native.NativeEngine(weights, "exact", instruction_set=instruction_set)
    fast = native.NativeEngine(weights, "fast", instruction_set=instruction_set)
    for height, width in SIZES:
        lr = luma(height, width)
        agree(exact.run(lr), law.run(lr))
        np.testing.assert_array_equal(fast.run(lr), whole.run(lr))


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    scale = draw(st.sampled_from([2, 3, 4]))
    kernel = draw(st.sampled_from([k for k in (3, 5, 7, 9, 11, 13, 21) if k >= scale]))
    return Architecture(
        draw(st.integers(1, 33)), draw(st.integers(1, 17)), draw(st.integers(0, 3)), draw(st.sampled_from([1, 3, 5, 7])),
        kernel, scale, draw(st.integers(0, kernel - scale)),
    )  # fmt: skip


@settings(max_examples=80)
@given(architectures(), st.integers(1, 40), st.integers(1, 150), st.sampled_from(SETS), st.integers(0, 9))
def test_any_network(architecture: Architecture, height: int, width: int, instruction_set: str, seed: int) -> None:
    weights, lr = random_weights(architecture, seed), luma(height, width, seed)
    agree(native.NativeEngine(weights, "exact", instruction_set=instruction_set).run(lr), NumpyEngine(weights).run(lr))
    fast = native.NativeEngine(weights, "fast", instruction_set=instruction_set)
    np.testing.assert_array_equal(fast.run(lr), FixedPoint.of(weights).run(lr))


@settings(max_examples=30)
@given(
    st.sampled_from([family(name, scale) for name in FAMILY_NAMES for scale in (2, 3, 4)]),
    st.integers(1, 130), st.integers(1, 130), st.integers(2, 16), st.sampled_from(["exact", "fast"]),
)  # fmt: skip
def test_same_bytes_at_any_number_of_threads(
    architecture: Architecture, height: int, width: int, threads: int, precision: str
) -> None:
    weights, lr = random_weights(architecture), luma(height, width)
    one, many = (native.NativeEngine(weights, precision, count) for count in (1, threads))
    np.testing.assert_array_equal(many.luma(lr), one.luma(lr))


def test_threads_take_part_and_give_the_same_bytes() -> None:
    """Large enough for many tiles; the test above mostly runs on one."""
    weights, lr = pretrained.load("fsrcnn-x-x2"), luma(700, 1500)
    for precision in ("exact", "fast"):
        expected = native.NativeEngine(weights, precision, 1).luma(lr)
        for threads in (2, 3, 16):
            np.testing.assert_array_equal(native.NativeEngine(weights, precision, threads).luma(lr), expected)


@pytest.mark.parametrize("precision", ["exact", "fast"])
@settings(max_examples=40)
@given(st.sampled_from(FAMILY_NAMES), st.sampled_from([2, 3, 4]), st.integers(1, 90), st.integers(1, 90), st.data())
def test_a_window_with_its_halo_has_the_wholes_very_bits(
    precision: str, name: str, scale: int, height: int, width: int, data: st.DataObject
) -> None:
    engine = native.NativeEngine(random_weights(family(name, scale)), precision)
    lr = luma(height, width)
    top, left = data.draw(st.integers(0, height * scale - 1)), data.draw(st.integers(0, width * scale - 1))
    bottom, right = (data.draw(st.integers(top + 1, height * scale)), data.draw(st.integers(left + 1, width * scale)))
    part = SuperResolution(LumaPlane(lr), engine).window(top, bottom, left, right)[0]
    np.testing.assert_array_equal(part, engine.run(lr)[top:bottom, left:right])


@pytest.mark.parametrize("instruction_set", SETS)
@pytest.mark.parametrize("slope", [-40.0, -1.0, 0.0, 1.5, 40.0])
def test_extreme_slopes(slope: float, instruction_set: str) -> None:
    weights = random_weights(Architecture(9, 5, 2, 5, 9, 2))
    for name, array in weights.arrays.items():
        if name.endswith(".prelu"):
            array[:] = slope
    lr = luma(20, 37)
    expected = NumpyEngine(weights).run(lr)
    agree(native.NativeEngine(weights, instruction_set=instruction_set).run(lr), expected)
    fast = native.NativeEngine(weights, "fast", instruction_set=instruction_set)
    np.testing.assert_array_equal(fast.run(lr), FixedPoint.of(weights).run(lr))
    agree(fast.run(lr), expected, 0.01)


@pytest.mark.parametrize("instruction_set", SETS)
def test_nan_infinity_and_denormal_pixels(instruction_set: str) -> None:
    weights = pretrained.load("fsrcnn-x-x3")
    lr = luma(40, 70)
    lr[20, 35] = np.nan
    expected = NumpyEngine(weights).run(lr)
    ours = native.NativeEngine(weights, instruction_set=instruction_set).run(lr)
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(expected))  # it goes no further than the receptive field
    assert 0 < np.isnan(ours).sum() < ours.size
    agree(ours[~np.isnan(ours)], expected[~np.isnan(ours)])

    fast = native.NativeEngine(weights, "fast", instruction_set=instruction_set)
    odd = luma(9, 9)
    odd[1:4, 1] = np.nan, np.inf, -np.inf
    clipped = odd.copy()
    clipped[1:4, 1] = 0, 1, 0
    np.testing.assert_array_equal(fast.run(odd), fast.run(clipped))

    tiny = (luma(30, 40) * 1e-40).astype(np.float32)
    agree(native.NativeEngine(weights, instruction_set=instruction_set).run(tiny), NumpyEngine(weights).run(tiny))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("precision", ["exact", "fast"])
def test_integers_are_read_clipped_and_rounded(dtype: Any, precision: str) -> None:
    engine = native.NativeEngine(pretrained.load("fsrcnn-x2"), precision)
    peak = np.iinfo(dtype).max
    lr = (luma(33, 70) > 0.5).astype(dtype) * dtype(peak)  # drives the network beyond both ends
    unit = engine.run((lr / np.float32(peak)).astype(np.float32))
    assert unit.min() < 0
    assert unit.max() > 1
    expected = (np.clip(unit, 0, 1) * np.float32(peak) + np.float32(0.5)).astype(dtype)
    np.testing.assert_array_equal(engine.luma(lr), expected)


def views(pixels: np.ndarray) -> list[np.ndarray]:
    """The same pixels, laid out in awkward ways: backwards, column by column, with gaps, at an odd address."""
    gaps = np.zeros((pixels.shape[0] * 2, pixels.shape[1] * 3, *pixels.shape[2:]), pixels.dtype)[::2, ::3]
    gaps[...] = pixels
    odd = np.frombuffer(bytearray(pixels.nbytes + 1), np.uint8)[1:].view(pixels.dtype).reshape(pixels.shape)
    odd[...] = pixels
    return [np.ascontiguousarray(pixels[::-1, ::-1])[::-1, ::-1], np.asfortranarray(pixels), gaps, odd]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_strided_and_misaligned_arrays(dtype: Any, channels: int) -> None:
    upscaler = Upscaler(random_weights(family("fsrcnn-x", 2)), threads=2)
    unit = np.random.default_rng(0).random((21, 35, channels)) * 0.9 + 0.1
    pixels = unit.astype(dtype) if dtype == np.float32 else (unit * np.iinfo(dtype).max).astype(dtype)
    expected = upscaler(pixels)
    for view in views(pixels):
        np.testing.assert_array_equal(upscaler(view), expected)
    engine = upscaler.engine(2)
    assert isinstance(engine, native.NativeEngine)
    for view in views(expected):
        view[...] = 7
        step = SuperResolution(LumaPlane(luma(21, 35)), engine)
        engine.picture(pixels, view, step.taps, (16 / 255, 219 / 255))
        np.testing.assert_array_equal(view, expected)


def test_every_pixel_is_written_and_none_beside() -> None:
    engine = native.NativeEngine(random_weights(family("fsrcnn", 3)), threads=4)
    dtypes: list[Any] = [np.uint8, np.uint16, np.float32]
    for dtype in dtypes:
        for height, width in [(1, 1), (50, 70), (9, 600)]:
            lr = (
                luma(height, width)
                if dtype == np.float32
                else (luma(height, width) * np.iinfo(dtype).max).astype(dtype)
            )
            results = []
            for poison in (0x00, 0xA5):
                around = np.empty((3 * height + 2, 3 * width + 2), dtype)
                around.view(np.uint8)[...] = poison
                before = around.copy()
                engine._run(lr, around[1:-1, 1:-1], None, 4, None)
                results.append(around[1:-1, 1:-1].copy())
                around[1:-1, 1:-1] = before[1:-1, 1:-1]
                assert around.tobytes() == before.tobytes()
            np.testing.assert_array_equal(results[0], results[1])


class Steps:
    """The same engine without `picture`, so that colour takes its separate steps."""

    parallel = True

    def __init__(self, engine: Engine) -> None:
        self.name, self.architecture, self.tile, self.run = engine.name, engine.architecture, engine.tile, engine.run


@settings(max_examples=60)
@given(
    st.sampled_from([("fsrcnn-x", 2), ("fsrcnn-s", 3), ("fsrcnn-x", 4)]), st.sampled_from([np.uint8, np.uint16, np.float32]),
    st.integers(1, 60), st.integers(1, 90), st.integers(1, 4), st.sampled_from(["exact", "fast"]), st.booleans(),
)  # fmt: skip
def test_colour_in_one_call_has_the_bytes_of_the_separate_steps(
    model: tuple[str, int], dtype: Any, height: int, width: int, channels: int, precision: str, hidden: bool
) -> None:
    unit = np.random.default_rng(height * width).random((height, width, channels)) * 0.9 + 0.1
    if hidden:
        unit[..., -1] = np.where(unit[..., -1] < 0.3, 0, unit[..., -1])
    pixels = unit.astype(dtype) if dtype == np.float32 else (unit * np.iinfo(dtype).max).astype(dtype)
    weights = random_weights(family(*model))
    fused, stepwise = (Upscaler(weights, threads=2, precision=precision) for _ in range(2))
    stepwise.use(Steps(stepwise.engine(model[1])))
    np.testing.assert_array_equal(fused(pixels), stepwise(pixels))


def test_two_engines_in_two_threads_and_one_engine_in_both() -> None:
    lr = luma(150, 200)
    engines_ = [
        native.NativeEngine(pretrained.load(name), p, 2)
        for name, p in (("fsrcnn-x2", "exact"), ("fsrcnn-x-x3", "fast"))
    ]
    expected = [engine.luma(lr) for engine in engines_]
    wrong: list[int] = []

    def work(which: int) -> None:
        for _ in range(5):
            if not np.array_equal(engines_[which].luma(lr), expected[which]):
                wrong.append(which)

    threads = [threading.Thread(target=work, args=(i % 2,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_indices_beyond_2_to_the_31() -> None:
    memory = physical_memory()
    if memory is None or memory < 8e9:
        pytest.skip("needs 8 GB of memory")
    engine = native.NativeEngine(random_weights(Architecture(1, 1, 0, 1, 5, 4)), threads=2)
    row = (luma(1, 40_000) * 255).astype(np.uint8)
    rows = 3600
    sr = engine.luma(np.broadcast_to(row, (rows, 40_000)))
    assert sr.size > 2**31
    expected = engine.luma(np.broadcast_to(row, (5, 40_000)))
    np.testing.assert_array_equal(sr[:8], expected[:8])
    np.testing.assert_array_equal(sr[-8:], expected[-8:])
    np.testing.assert_array_equal(sr[4 * (rows // 2) : 4 * (rows // 2) + 4], expected[8:12])


@pytest.mark.parametrize("name", [row for row in pretrained.table() if not row.endswith(".t91")])
def test_fast_loses_at_most_two_hundredths_of_a_decibel(datasets: Path, name: str) -> None:
    scores: dict[str, list[float]] = {}
    for precision in ("exact", "fast"):
        engine = native.NativeEngine(pretrained.load(name), precision)
        results, failures = evaluate([datasets / "Set5"], engine, threads=2)
        assert failures == []
        scores[precision] = [
            float(np.mean([r.sr.psnr for r in results if r.protocol == p])) for p in ("paper", "files")
        ]
    for exact, fast in zip(scores["exact"], scores["fast"], strict=True):
        assert exact - fast <= 0.02
        assert exact != fast  # it is another arithmetic


def test_too_wide_or_too_steep_for_fast() -> None:
    weights = random_weights(Architecture(4, 3, 1, 3, 3, 2))
    weights.arrays["shrinking.prelu"][:] = 1e9
    weights.arrays["shrinking.bias"][:] = 10  # no picture comes near the steep side, but sums could
    with pytest.raises(UsageError, match="too steep for precision fast"):
        engines.create(weights, "native", precision="fast")


@pytest.mark.parametrize("name", list(pretrained.table()))
def test_the_sums_of_fast_cannot_overflow(name: str) -> None:
    """Not even with every feature at its limit and of the worst sign."""
    whole = FixedPoint.of(pretrained.load(name))
    reach = INPUT_LEVELS
    for stage in stages_of(whole.architecture):
        assert np.abs(whole.kernels[stage]).max() < 2**15
        largest = np.abs(whole.kernels[stage]).sum(axis=(1, 2, 3)) * reach + np.abs(whole.biases[stage])
        assert largest.max() < 2**31
        reach = FEATURE_LEVELS
    scale, kernel = whole.architecture.scale, np.abs(whole.kernels["deconvolution"])
    for y in range(scale):
        for x in range(scale):
            assert kernel[:, :, y::scale, x::scale].sum() * reach < 2**31


def test_progress_goes_up_and_an_interrupt_in_it_stops_the_work() -> None:
    engine = native.NativeEngine(pretrained.load("fsrcnn-x2"), threads=2)
    lr = luma(1500, 1500)
    parts: list[float] = []
    engine.luma(lr, parts.append)
    assert parts == sorted(parts)
    assert parts[-1] == 1

    def interrupt(part: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.luma(lr, interrupt)
    assert engine.run(luma(5, 5)).shape == (10, 10)


def test_the_instruction_set_can_be_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = random_weights(family("fsrcnn-x", 2))
    for instruction_set in SETS:
        monkeypatch.setenv("FSRCNN_ISA", instruction_set)
        assert native.NativeEngine(weights).describe() == f"{instruction_set}, float32"
        assert native.NativeEngine(weights, "fast").describe() == f"{instruction_set}, 16-bit whole numbers"
    monkeypatch.setenv("FSRCNN_ISA", "mmx")
    with pytest.raises(UsageError, match="there is no instruction set 'mmx' here; FSRCNN_ISA is one of"):
        engines.create(weights)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = random_weights(family("fsrcnn-x", 2))
    native.library.cache_clear()
    monkeypatch.setattr(native, "find_spec", lambda name: None)
    try:
        with pytest.warns(EngineWarning, match=r"no working C\+\+ compiler .* going on with the numpy engine"):
            assert engines.create(weights).name == "numpy"
        for name, precision in (("native", "exact"), ("auto", "fast")):
            with pytest.raises(MissingExtraError, match="the native engine was not built"):
                engines.create(weights, name, precision=precision)
    finally:
        native.library.cache_clear()


def test_fast_is_the_native_engines(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="precision fast is the native engine's; the engine is numpy"):
        engines.create(random_weights(family("fsrcnn-x", 2)), "numpy", precision="fast")
    with pytest.raises(UsageError, match="precision is exact or fast, not 'bf16'"):
        engines.create(random_weights(family("fsrcnn-x", 2)), precision="bf16")


def test_the_command_line_takes_precision_and_instruction_set(tmp_path: Path) -> None:
    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "fsrcnn", *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
        )

    example = str(Path(__file__).parent.parent / "examples" / "astronaut.png")
    pictures = []
    for precision, instruction_set in (("exact", SETS[0]), ("fast", SETS[0]), ("fast", "generic")):
        target = tmp_path / f"{precision}_{instruction_set}.png"
        arguments = ("upscale", example, "-o", str(target), "--precision", precision, "--model", "fsrcnn-x")
        done = run(*arguments, FSRCNN_ISA=instruction_set)
        assert done.returncode == 0, done.stderr
        pictures.append(target.read_bytes())
    assert pictures[1] == pictures[2]
    assert pictures[0] != pictures[1]
    refused = run("upscale", example, "-o", str(tmp_path / "x.png"), FSRCNN_ISA="sse9")
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "there is no instruction set 'sse9' here" in refused.stderr
    assert not (tmp_path / "x.png").exists()


def test_no_pixels() -> None:
    with pytest.raises(UsageError, match="at least one pixel, not 5×0"):
        native.NativeEngine(random_weights(family("fsrcnn-x", 2))).run(np.zeros((0, 5), np.float32))


def test_weights_are_copied() -> None:
    """Nothing of Python's stays referenced: arrays may go or change."""
    weights = random_weights(family("fsrcnn-x", 2))
    engine, lr = native.NativeEngine(weights), luma(9, 9)
    expected = engine.run(lr)
    for array in weights.arrays.values():
        array[:] = 0
    np.testing.assert_array_equal(engine.run(lr), expected)


def test_a_file_of_weights_is_all_it_takes(tmp_path: Path) -> None:
    weights = random_weights(Architecture(7, 3, 1, 3, 5, 2))
    weights.save(tmp_path / "mine.safetensors")
    pixels = (luma(20, 30) * 255).astype(np.uint8)
    by_file = Upscaler(tmp_path / "mine.safetensors", engine="native")(pixels)
    by_numpy = Upscaler(weights, engine="numpy")(pixels)
    assert np.abs(by_file.astype(int) - by_numpy).max() <= 1
