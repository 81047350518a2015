"""Integer models: the definition against arithmetic by hand and in plain Python, their files, and each door that takes them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

import fsrcnn
from fsrcnn import (
    Control,
    Planes,
    UsageError,
    WeightsError,
    engines,
    foreign,
    images,
    integer,
    models,
    pretrained,
    weights,
)
from fsrcnn.architecture import SCALES, Architecture, family
from fsrcnn.arrays import Array, Int64
from fsrcnn.calibration import quantised
from fsrcnn.engines.integer import IntegerEngine, levels_of
from fsrcnn.engines.numpy import NumpyEngine
from fsrcnn.errors import PictureWarning
from fsrcnn.export import mpv, onnx
from fsrcnn.imresize import imresize
from fsrcnn.integer import FORMATS, IntegerModel, Requantising, eight_bit
from fsrcnn.metrics import psnr, shave
from fsrcnn.planes import LAYOUTS, Colour
from fsrcnn.protocol import round_8bit
from support import files_below, random_weights, run_command

Numbers = list[list[int]]


def whole(*numbers: object) -> Int64:
    return np.array(numbers, np.int64)


# ── models ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def by_hand() -> IntegerModel:
    """One channel everywhere, without mapping; ×2 with a 3×3 deconvolution that begins at its pixel."""
    return IntegerModel(
        Architecture(1, 1, 0, 1, 3, 2, 0),
        "w12a12",
        {
            "feature_extraction": whole([[[2]]]),
            "shrinking": whole([[[-3]]]),
            "expanding": whole([[[1]]]),
            "deconvolution": whole([[[-1, -2, -3], [-4, -5, -6], [-7, -8, -9]]]),
        },
        {
            "feature_extraction": whole(4),
            "shrinking": whole(0),
            "expanding": whole(1),
            "deconvolution": whole(0, 1, -8, 3),
        },
        {
            "feature_extraction": Requantising(1, whole(3), whole(-1), 1),
            "shrinking": Requantising(0, whole(1), whole(2), 1),
            "expanding": Requantising(0, whole(2), whole(1), 2),
            "deconvolution": Requantising(1, whole(2, 1, 2, -1), whole(2, 1, 2, -1), 1),
        },
    )


def unchanged() -> IntegerModel:
    """Each level four times, at ×2."""
    one = Requantising(0, whole(2), whole(2), 1)
    convolutions = ("feature_extraction", "shrinking", "expanding")
    kernels = dict.fromkeys(convolutions, whole([[[1]]]))
    biases, rules = dict.fromkeys(convolutions, whole(0)), dict.fromkeys(convolutions, one)
    four = np.full(4, 2, np.int64)
    return IntegerModel(
        Architecture(1, 1, 0, 1, 3, 2, 0),
        "w12a12",
        {**kernels, "deconvolution": whole([[[1, 1, 0], [1, 1, 0], [0, 0, 0]]])},
        {**biases, "deconvolution": np.zeros(4, np.int64)},
        {**rules, "deconvolution": Requantising(0, four, four, 1)},
    )


def any_model(architecture: Architecture, format: str, seed: int, large: bool = False) -> IntegerModel:
    """Numbers of any size that their bits allow (`large`: the very ends), which no weights are behind."""
    generator = np.random.default_rng(seed)

    def drawn(bits: int, shape: tuple[int, ...]) -> Int64:
        least, most = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        if large:
            return generator.choice(np.array([least, most], np.int64), shape)
        return generator.integers(least, most, shape, np.int64, endpoint=True)

    kernels, biases, rules = {}, {}, {}
    for stage in architecture.stages:
        shape = architecture.array_shapes[f"{stage.name}.weight"]
        last = stage.kind == "deconvolution"
        outputs = architecture.scale**2 if last else stage.channels_out
        reach = 1023 if stage.name == "feature_extraction" else 2 ** (FORMATS[format].feature_bits - 1)
        # As many bits as leave a sum of all products, and a bias, in 32.
        inputs = int(np.prod(shape[:1] + shape[2:] if last else shape[1:]))
        bits = min(FORMATS[format].kernel_bits, (2**30 // (inputs * reach)).bit_length())
        kernels[stage.name], biases[stage.name] = drawn(bits, shape), drawn(30, (outputs,))
        positive, negative = drawn(18, (outputs,)), drawn(18, (outputs,))
        after = int(generator.integers(1, 42))
        rules[stage.name] = Requantising(7, positive, positive if last else negative, after)
    return IntegerModel(architecture, format, kernels, biases, rules)


def in_plain_python(model: IntegerModel, lr: Numbers) -> Numbers:
    """`IntegerModel.run` without NumPy, in whole numbers of any length; each sum is looked at, each part of it, and each product."""
    a, height, width = model.architecture, len(lr), len(lr[0])

    def requantised(stage: str, output: int, products: list[int], least: int, most: int) -> int:
        rule, bias = model.requantising[stage], model.biases[stage].tolist()[output]
        bound = 2 ** (model.sum_bits(stage) - 1)
        total = bias
        for product in products:
            total += product
            assert -bound <= total < bound
        assert sum(map(abs, products)) + abs(bias) < bound, "in whatever order"
        assert bound <= 2**31
        factor = total // 2**rule.before
        assert -(2**24) <= factor < 2**24
        multiplier = (rule.negative if factor < 0 else rule.positive).tolist()[output]
        rounded: int = (factor * multiplier + 2 ** (rule.after - 1)) // 2**rule.after
        return min(most, max(least, rounded))

    x = [lr]
    limit = 2 ** (FORMATS[model.format].feature_bits - 1)
    for stage in a.convolutions:
        kernel, reach = model.kernels[stage.name].tolist(), stage.kernel // 2
        features = [[[0] * width for _ in range(height)] for _ in range(stage.channels_out)]
        for output in range(stage.channels_out):
            for i in range(height):
                for j in range(width):
                    products = [
                        kernel[output][channel][dy][dx] * x[channel][i + dy - reach][j + dx - reach]
                        for channel in range(stage.channels_in)
                        for dy in range(stage.kernel)
                        for dx in range(stage.kernel)
                        if 0 <= i + dy - reach < height and 0 <= j + dx - reach < width
                    ]
                    features[output][i][j] = requantised(stage.name, output, products, -limit, limit - 1)
        x = features
    kernel, side = model.kernels["deconvolution"].tolist(), a.deconvolution_kernel
    sr = [[0] * (a.scale * width) for _ in range(a.scale * height)]
    for row in range(a.scale * height):
        for column in range(a.scale * width):
            products = [
                kernel[channel][0][row + a.crop - a.scale * i][column + a.crop - a.scale * j] * x[channel][i][j]
                for channel in range(a.d)
                for i in range(height)
                for j in range(width)
                if 0 <= row + a.crop - a.scale * i < side and 0 <= column + a.crop - a.scale * j < side
            ]
            phase = a.scale * (row % a.scale) + column % a.scale
            sr[row][column] = requantised("deconvolution", phase, products, 0, 1023)
    return sr


# ── the definition ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_two_pixels_by_hand() -> None:
    """Levels 10 and 1023.

    feature extraction  2·10+4 = 24, halved 12, ·3 = 36, +1, halved 18     2·1023+4 = 2050, 1025, 3075+1, 1538
    shrinking           -54, ·2 = -108, +1, halved down -54                -4614, -9228+1, -4614, clipped to -2048
    expanding           -54+1 = -53, ·1, +2, quartered down -13            -2047, +2, -512
    deconvolution       row 0: 13, 26, 39+512, 1024     row 1: 52, 65, 78+2048, 2560
    with the biases     13, 27, 551, 1025               44, 68, 2118, 2563
    halved              6, 13, 275, 512                 22, 34, 1059, 1281
    ·2, ·1 | ·2, ·-1    12, 13, 550, 512                44, -34, 2118, -1281
    +1, halved, clipped 6, 7, 275, 256                  22, 0, 1023, 0
    """
    model, watched = by_hand(), dict[str, Int64]()
    sr = model.run(whole([10, 1023]), watched.__setitem__)
    assert {stage: x.ravel().tolist() for stage, x in watched.items()} == {
        "feature_extraction": [18, 1538],
        "shrinking": [-54, -2048],
        "expanding": [-13, -512],
    }
    assert sr.tolist() == [[6, 7, 275, 256], [22, 0, 1023, 0]]
    # 2·1023 + 4 = 2050 < 2^12; 3·2048 = 6144 < 2^13; 2049 < 2^12; phase 3 has one weight, phase 0 has 20·2048 + 0 = 40960 < 2^16.
    assert [model.sum_bits(stage.name) for stage in model.architecture.stages] == [13, 14, 13, 17]


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    scale = draw(st.sampled_from(SCALES))
    side = draw(st.sampled_from([side for side in (3, 5, 7, 9) if side >= scale]))
    return Architecture(
        draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(0, 2)), draw(st.sampled_from((1, 3, 5))), side,
        scale, draw(st.integers(0, side - scale)),
    )  # fmt: skip


@settings(max_examples=40)
@given(
    architectures(),
    st.sampled_from(tuple(FORMATS)),
    st.integers(0, 2**16),
    st.integers(1, 5),
    st.integers(1, 5),
    st.data(),
)
def test_plain_python_agrees(
    architecture: Architecture, format: str, seed: int, height: int, width: int, data: st.DataObject
) -> None:
    kind = data.draw(st.sampled_from(("of weights", "any", "largest")))
    if kind == "of weights":
        model = IntegerModel.of(random_weights(architecture, seed), format)
    else:
        model = any_model(architecture, format, seed, large=kind == "largest")
    lr = np.random.default_rng(seed).integers(0, 1024, (height, width), np.int64)
    expected = in_plain_python(model, lr.tolist())
    assert model.run(lr).tolist() == expected
    assert levels_of(IntegerEngine(model).run((lr / 1020).astype(np.float32))).tolist() == expected


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("kind", ["of weights", "any", "largest"])
def test_the_worst_input_stays_within_the_bits(format: str, kind: str) -> None:
    """Each input at the end of its range that drives a sum furthest up, or down: it reaches the last of its bits or the one before."""
    architecture = Architecture(5, 4, 1, 3, 5, 2)
    model = (
        IntegerModel.of(random_weights(architecture), format)
        if kind == "of weights"
        else any_model(architecture, format, 3, large=kind == "largest")
    )
    features = 2 ** (FORMATS[format].feature_bits - 1)
    for stage in architecture.stages:
        least, most = (0, 1023) if stage.name == "feature_extraction" else (-features, features - 1)
        kernel, biases = model.kernels[stage.name], model.biases[stage.name].tolist()
        if stage.kind == "deconvolution":
            crop, scale = architecture.crop, architecture.scale
            outputs = [
                kernel[:, 0, (y + crop) % scale :: scale, (x + crop) % scale :: scale]
                for y in range(scale)
                for x in range(scale)
            ]
        else:
            outputs = list(kernel)
        extremes = []
        for output, bias in zip(outputs, biases, strict=True):
            taps = [int(tap) for tap in output.ravel()]
            extremes.append(bias + sum(tap * (most if tap > 0 else least) for tap in taps))
            extremes.append(bias + sum(tap * (least if tap > 0 else most) for tap in taps))
        bound = 2 ** (model.sum_bits(stage.name) - 1)
        assert -bound <= min(extremes) <= max(extremes) < bound
        if least < 0:
            assert max(map(abs, extremes)) >= bound // 4, "no bits are wasted"


def test_the_largest_sums_that_are_allowed() -> None:
    """One more in the bias, and the model is refused."""
    model = unchanged()
    biases = dict(model.biases)
    biases["shrinking"] = whole(2**31 - 1 - 2048)
    rules = {**model.requantising, "shrinking": Requantising(7, whole(2), whole(2), 1)}
    largest = replace(model, biases=biases, requantising=rules)
    assert largest.sum_bits("shrinking") == 32
    lr = whole([0, 1023])
    assert largest.run(lr).tolist() == in_plain_python(largest, lr.tolist())
    biases["shrinking"] = biases["shrinking"] + 1
    with pytest.raises(
        WeightsError, match="the sums of shrinking could need 33 bits, and 32 are the most that a core has"
    ):
        replace(model, biases=biases, requantising=rules)


# ── the engine ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_level_comes_through_planes_of_each_depth() -> None:
    """10 bits are the levels themselves, 8 bits `eight_bit` of them (ties up), 16 bits their 64-fold."""
    engine, levels = IntegerEngine(unchanged()), np.arange(1024).reshape(32, 32)
    lr = Planes((levels.astype(np.uint16),), LAYOUTS["grey"], Colour(range="limited", depth=10))
    large = levels.repeat(2, 0).repeat(2, 1)
    assert np.array_equal(engine.model.run(levels), large)
    for depth, expected in ((10, large), (8, np.minimum((large + 2) // 4, 255)), (16, np.minimum(large * 64, 65535))):
        colour = Colour(range="limited", depth=depth)
        sr = Planes((np.zeros((64, 64), colour.dtype),), LAYOUTS["grey"], colour)
        engine.planes(lr, sr)
        assert np.array_equal(sr.arrays[0], expected), depth
    assert np.array_equal(eight_bit(large), np.minimum((large + 2) // 4, 255))
    luma = engine.luma((levels / 1020).astype(np.float32))
    assert np.array_equal(round_8bit(luma), eight_bit(large)), "what is scored"
    assert np.array_equal(levels_of(luma), large), "what a second pass is given"


def test_eight_bits_are_a_quarter_of_their_levels() -> None:
    engine, samples = IntegerEngine(unchanged()), np.arange(256, dtype=np.uint8).reshape(16, 16)
    sr = np.zeros((32, 32), np.uint8)
    engine.planes(Planes.luma(samples), Planes.luma(sr))
    assert np.array_equal(sr, samples.repeat(2, 0).repeat(2, 1))
    assert np.array_equal(levels_of(samples.astype(np.float32) / np.float32(255)), samples.astype(int) * 4)
    ten = np.arange(1024)
    assert np.array_equal(levels_of((ten / np.float32(1020)).astype(np.float32)), ten)
    for depth in (12, 16):
        step = 2 ** (depth - 10)
        deep = np.arange(1023 * step + 1)
        assert np.array_equal(
            levels_of(deep.astype(np.float32) / np.float32(1020 * step)), (deep + step // 2) // step
        ), depth
    beyond = np.array([[-1, np.nan, 1.5, np.inf]], np.float32)
    assert levels_of(beyond).tolist() == [[0, 0, 1023, 1023]]


@settings(max_examples=25)
@given(
    architectures(),
    st.sampled_from(tuple(FORMATS)),
    st.integers(1, 30),
    st.integers(1, 30),
    st.integers(1, 9),
    st.integers(1, 9),
)
def test_tiles_are_the_whole(
    architecture: Architecture, format: str, height: int, width: int, tall: int, wide: int
) -> None:
    model = IntegerModel.of(random_weights(architecture, height), format)
    engine = IntegerEngine(model)
    engine.tile = (tall, wide)
    lr = np.random.default_rng(width).integers(0, 1024, (height, width))
    colour = Colour(range="limited", depth=10)
    scale = architecture.scale
    sr = Planes((np.zeros((scale * height, scale * width), np.uint16),), LAYOUTS["grey"], colour)
    engine.planes(Planes((lr.astype(np.uint16),), LAYOUTS["grey"], colour), sr, Control(2))
    assert np.array_equal(sr.arrays[0], model.run(lr))


@pytest.mark.parametrize("name", ["fsrcnn-x2", "fsrcnn-x3", "fsrcnn-s-x4", "fsrcnn-x-x2"])
def test_bundled_weights_and_threads(name: str) -> None:
    """Colour, alpha and any number of threads: the same bytes."""
    model = IntegerModel.of(pretrained.load(name), "w12a12")
    engine, scale = IntegerEngine(model), model.architecture.scale
    lr = np.random.default_rng(0).integers(0, 256, (50, 70), np.uint8)
    assert np.array_equal(
        levels_of(engine.run(lr.astype(np.float32) / np.float32(255))), model.run(lr.astype(np.int64) * 4)
    )
    pixels = np.random.default_rng(1).integers(0, 256, (50, 70, 4), np.uint8)
    results = []
    for threads in (1, 2, 5):
        upscaler = fsrcnn.Upscaler(model, threads=threads)
        upscaler.engine(scale).tile = (16, 24)
        results.append(upscaler(pixels))
    assert all(np.array_equal(result, results[0]) for result in results)


def test_progress_and_cancelling() -> None:
    engine, seen = IntegerEngine(unchanged()), list[float]()
    engine.tile = (4, 4)
    lr = np.zeros((16, 16), np.float32)
    engine.luma(lr, Control(1, seen.append))
    assert seen == sorted(seen)
    assert len(seen) == 16
    control = Control(2)
    control.cancel()
    with pytest.raises(fsrcnn.Cancelled):
        engine.luma(lr, control)


def test_engines_for_each_kind_of_network() -> None:
    model, floats = unchanged(), random_weights(family("fsrcnn-x", 2))
    for name in ("auto", "integer"):
        assert engines.create(model, name).name == "integer"
    for name in set(engines.ENGINE_NAMES) - {"auto", "integer"}:
        with pytest.raises(
            UsageError, match=rf"\(w12a12\) is run by the engine integer alone, not by {name}; give engine='integer'"
        ):
            engines.create(model, name)
    with pytest.raises(UsageError, match="precision fast is the native engine's, of float weights"):
        engines.create(model, precision="fast")
    with pytest.raises(
        UsageError, match="runs integer models, and the model is of float weights; `fsrcnn quantize MODEL` makes"
    ):
        fsrcnn.Upscaler(floats, engine="integer")
    upscaler = fsrcnn.Upscaler(model)
    assert (upscaler.label, upscaler.scales, upscaler.integer) == ("weights given as arrays", (2,), True)
    assert not fsrcnn.Upscaler(floats).integer


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("format", FORMATS)
def test_round_trip(format: str, tmp_path: Path) -> None:
    saved = any_model(Architecture(4, 3, 2, 3, 5, 3, 1), format, 1)
    path = tmp_path / "core.safetensors"
    saved.save(path)
    for loaded in (
        integer.load(path),
        models.load(path),
        models.by_scale(path)[3](),
        integer.from_bytes(saved.to_bytes(), "it"),
    ):
        assert isinstance(loaded, IntegerModel)
        assert (loaded.architecture, loaded.format) == (saved.architecture, format)
        for stage in saved.kernels:
            np.testing.assert_array_equal(loaded.kernels[stage], saved.kernels[stage], strict=True)
            np.testing.assert_array_equal(loaded.biases[stage], saved.biases[stage], strict=True)
            ours, theirs = saved.requantising[stage], loaded.requantising[stage]
            assert (ours.before, ours.after) == (theirs.before, theirs.after)
            np.testing.assert_array_equal(theirs.positive, ours.positive, strict=True)
            np.testing.assert_array_equal(theirs.negative, ours.negative, strict=True)
    assert models.is_integer(path)
    assert files_below(tmp_path) == ["core.safetensors"]
    with pytest.raises(WeightsError, match=r"core\.safetensors exists; give overwrite=True to replace it"):
        saved.save(path, overwrite=False)


def test_the_same_model_gives_the_same_bytes() -> None:
    """The safetensors library alone writes lines of metadata in any order."""
    model = any_model(family("fsrcnn-x", 2), "w8a8", 0)
    assert len({model.to_bytes() for _ in range(8)}) == 1


def test_the_file_says_what_it_holds_to_any_reader(tmp_path: Path) -> None:
    for format, bits in (("w8a16", 8), ("w10a12", 16)):
        IntegerModel.of(pretrained.load("fsrcnn-x-x2"), format).save(tmp_path / "core.safetensors")
        with safetensors.safe_open(tmp_path / "core.safetensors", "np") as file:
            metadata, names = file.metadata(), set(file.keys())
            assert metadata["fsrcnn.kind"] == "fsrcnn-integer"
            assert metadata["fsrcnn.format"] == format
            assert json.loads(metadata["fsrcnn.architecture"])["d"] == 23
            assert {tuple(map(type, pair)) for pair in json.loads(metadata["fsrcnn.shifts"]).values()} == {(int, int)}
            assert file.get_slice("mapping.1.kernel").get_dtype() == f"I{bits}"
            assert file.get_slice("mapping.1.kernel").get_shape() == [12, 12, 3, 3]
            assert file.get_slice("expanding.negative").get_dtype() == "I32"
            assert "deconvolution.positive" in names
            assert "deconvolution.negative" not in names


def edited(change: Callable[[dict[str, Array], dict[str, Any]], object]) -> bytes:
    """The file of a small model after a change of its arrays and metadata."""
    data = IntegerModel.of(random_weights(Architecture(4, 3, 1, 3, 5, 2)), "w8a8").to_bytes()
    arrays, metadata = dict(safetensors.numpy.load(data)), weights.metadata_of(data)
    change(arrays, metadata)
    return safetensors.numpy.save(arrays, metadata)


def put(
    name: str, value: int | float, dtype: str | None = None
) -> Callable[[dict[str, Array], dict[str, Any]], object]:
    def change(arrays: dict[str, Array], metadata: dict[str, Any]) -> None:
        array = arrays[name].astype(dtype or arrays[name].dtype)
        array.flat[0] = value
        arrays[name] = array

    return change


def say(key: str, value: str) -> Callable[[dict[str, Array], dict[str, Any]], object]:
    return lambda arrays, metadata: metadata.__setitem__(key, value)


def shift(stage: str, *shifts: object) -> Callable[[dict[str, Array], dict[str, Any]], object]:
    def change(arrays: dict[str, Array], metadata: dict[str, Any]) -> None:
        found = json.loads(metadata["fsrcnn.shifts"])
        found[stage] = list(shifts)
        metadata["fsrcnn.shifts"] = json.dumps(found)

    return change


def one_bit_too_many(arrays: dict[str, Array], metadata: dict[str, Any]) -> None:
    put("shrinking.bias", 2**30)(arrays, metadata)
    shift("shrinking", 6, 4)(arrays, metadata)


EDITED = {
    "multiplier": (put("shrinking.positive", 2**17), r"shrinking\.positive goes beyond 18 bits with sign"),
    "negative multiplier": (put("mapping.0.negative", -(2**17) - 1), r"mapping\.0\.negative goes beyond 18 bits"),
    "bias": (put("expanding.bias", 2**31 - 1), "the sums of expanding could need 33 bits, and 32 are the most"),
    "factor": (one_bit_too_many, "the sums of shrinking have 32 bits, of which 6 are cut off; 1 to 25 must be left"),
    "kernel of floats": (put("shrinking.kernel", 0.5, "float32"), r"shrinking\.kernel is float32, not int8"),
    "wide kernel": (put("shrinking.kernel", 127, "int16"), r"shrinking\.kernel is int16, not int8"),
    "unsigned": (put("shrinking.bias", 1, "uint32"), r"shrinking\.bias is uint32, not int32"),
    "missing": (lambda arrays, metadata: arrays.pop("mapping.0.bias"), r"misses the array mapping\.0\.bias"),
    "surplus": (
        lambda arrays, metadata: arrays.update(more=np.zeros(1, np.int32)), r"an integer model of .* has no array more"
    ),
    "misshapen": (
        lambda arrays, metadata: arrays.update({"shrinking.bias": np.zeros(4, np.int32)}), r"shrinking\.bias has shape \(4,\)"
    ),
    "second multiplier": (
        lambda arrays, metadata: arrays.update({"deconvolution.negative": np.zeros(4, np.int32)}), r"no array deconvolution\.neg"
    ),
    "other format": (say("fsrcnn.format", "w12a12"), r"\.kernel is int8, not int16"),
    "no such format": (say("fsrcnn.format", "w9a9"), "format is w16a14, w12a12, w10a12, w8a16, w8a8, not 'w9a9'"),
    "no format": (lambda arrays, metadata: metadata.pop("fsrcnn.format"), "format is w16a14"),
    "rubbish for shifts": (say("fsrcnn.shifts", "{"), "no list of two shifts for each stage"),
    "deep shifts": (say("fsrcnn.shifts", "[" * 100_000), "no list of two shifts for each stage"),
    "a list for shifts": (say("fsrcnn.shifts", "[1, 2]"), "no list of two shifts for each stage"),
    "no shifts": (lambda arrays, metadata: metadata.pop("fsrcnn.shifts"), "no list of two shifts for each stage"),
    "shifts of another stage": (shift("mapping.7", 0, 4), "no list of two shifts for each stage"),
    "one shift": (shift("shrinking", 4), r"fsrcnn\.shifts of shrinking is two whole numbers, not \[4\]"),
    "shift of a float": (shift("shrinking", 0, 4.0), r"fsrcnn\.shifts of shrinking is two whole numbers, not \[0, 4\.0\]"),
    "shift of true": (shift("shrinking", True, 4), r"fsrcnn\.shifts of shrinking is two whole numbers, not \[True, 4\]"),
    "negative shift": (shift("shrinking", -1, 4), "of which -1 are cut off"),
    "shift of more than all": (shift("shrinking", 31, 4), "of which 31 are cut off"),
    "shift of all": (shift("shrinking", 32, 4), "of which 32 are cut off"),
    "no rounding": (shift("shrinking", 3, 0), "shrinking rounds 0 bits off; 1 to 41 are allowed"),
    "rounding of all": (shift("shrinking", 3, 42), "shrinking rounds 42 bits off; 1 to 41 are allowed"),
    "huge shift": (shift("shrinking", 3, 10**4000), r"\[…\]"),
    "rubbish for an architecture": (say("fsrcnn.architecture", "[1]"), "describes no legal architecture"),
    "no architecture": (lambda arrays, metadata: metadata.pop("fsrcnn.architecture"), r"no fsrcnn\.architecture metadata"),
    "another architecture": (
        say("fsrcnn.architecture", '{"d": 4, "s": 3, "m": 0}'), r"no list of two shifts for each stage of .*m=0"
    ),
    "no kind": (lambda arrays, metadata: metadata.pop("fsrcnn.kind"), "holds float weights, no integer model; `fsrcnn quantize`"),
    "another kind": (say("fsrcnn.kind", "espcn"), "holds no integer model; `fsrcnn quantize` writes files of them"),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITED)
def test_edited_files_are_refused(name: str, tmp_path: Path) -> None:
    change, sentence = EDITED[name]
    path = tmp_path / "core.safetensors"
    path.write_bytes(edited(change))
    with pytest.raises(WeightsError) as caught:
        integer.load(path)
    assert re.search(sentence, str(caught.value)), str(caught.value)
    assert str(caught.value).count(str(path)) == 1
    assert "\n" not in str(caught.value)


def test_a_large_kernel_is_within_bits_that_its_type_does_not_have() -> None:
    """12 bits are stored in 16."""
    data = IntegerModel.of(random_weights(Architecture(4, 3, 1, 3, 5, 2)), "w12a12").to_bytes()
    arrays, metadata = dict(safetensors.numpy.load(data)), weights.metadata_of(data)
    arrays["shrinking.kernel"] = arrays["shrinking.kernel"].copy()
    arrays["shrinking.kernel"].flat[3] = -2049
    with pytest.raises(WeightsError, match=r"^a core: shrinking\.kernel goes beyond 12 bits with sign: -2049 to "):
        integer.from_bytes(safetensors.numpy.save(arrays, metadata), "a core")


def test_files_of_something_else(tmp_path: Path) -> None:
    random_weights(family("fsrcnn-x", 2)).save(tmp_path / "w.safetensors")
    with pytest.raises(
        WeightsError, match=r"w\.safetensors holds float weights, no integer model; `fsrcnn quantize` makes one"
    ):
        integer.load(tmp_path / "w.safetensors")
    (tmp_path / "text").write_text("text")
    with pytest.raises(WeightsError, match="text is not a safetensors weights file"):
        integer.load(tmp_path / "text")
    with pytest.raises(WeightsError, match="does not exist"):
        integer.load(tmp_path / "none")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kernels": {}}, "misses the stage feature_extraction"),
        ({"biases": {**unchanged().biases, "mapping.0": whole(0)}}, r"holds a stage mapping\.0 that .* does not have"),
        ({"biases": {**unchanged().biases, "shrinking": np.zeros(1)}}, r"shrinking\.bias is float64, not int64"),
        (
            {"requantising": {**unchanged().requantising, "shrinking": Requantising(0, whole(2), whole(2), 1.5)}},  # type: ignore[arg-type]
            "shrinking is shifted by whole numbers of bits, not 0 and 1.5",
        ),
        (
            {
                "requantising": {
                    **unchanged().requantising,
                    "deconvolution": Requantising(0, whole(2, 2, 2, 2), whole(2, 2, 1, 2), 1),
                }
            },
            "deconvolution has another multiplier for sums below zero",
        ),
    ],
)
def test_models_that_are_none(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(WeightsError, match=sentence):
        replace(unchanged(), **changes)


# ── the command ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of an integer model of `fsrcnn-x` at ×2."""
    path = tmp_path_factory.mktemp("core") / "core.safetensors"
    IntegerModel.of(pretrained.load("fsrcnn-x-x2"), "w12a12").save(path)
    return path


def refused(done: subprocess.CompletedProcess[bytes], code: int, sentence: str) -> None:
    """One sentence on standard error, and nothing else anywhere."""
    said = done.stderr.decode()
    assert (done.returncode, done.stdout) == (code, b""), said
    assert re.fullmatch(f"fsrcnn: .*{sentence}.*\n", said), said


def test_quantize(tmp_path: Path) -> None:
    done = run_command("quantize", "fsrcnn-x", cwd=tmp_path)
    path = tmp_path / "fsrcnn-x-x2.w12a12.safetensors"
    made = integer.load(path)
    assert path.read_bytes() == quantised(pretrained.load("fsrcnn-x-x2"), "w12a12").to_bytes()
    assert (made.architecture, made.format) == (family("fsrcnn-x", 2), "w12a12")
    lr = picture().astype(np.int64) * 4
    expected = NumpyEngine(pretrained.load("fsrcnn-x-x2")).run((lr / 1020).astype(np.float32)) * 1020
    assert np.abs(made.run(lr) - expected.clip(0, 1023)).mean() < 2, "levels from the float weights"
    first, second, *stages = done.stdout.decode().splitlines()
    assert first == (
        f"fsrcnn-x-x2.w12a12.safetensors: fsrcnn-x-x2, FSRCNN(23, 12, 2) ×2, integer model w12a12, {path.stat().st_size:,} bytes"
    )
    assert second == "bits with sign: kernels 12, features 12, sums (of 32 at most)"
    names = [stage.name for stage in made.architecture.stages]
    assert [line.split() for line in stages] == [[name, str(made.sum_bits(name))] for name in names]
    refused(run_command("quantize", "fsrcnn-x", cwd=tmp_path), 2, "safetensors exists; give --overwrite to replace it")
    assert run_command("quantize", "fsrcnn-x", "--overwrite", cwd=tmp_path).returncode == 0


def test_quantize_a_file_in_another_format_for_programs(tmp_path: Path) -> None:
    ours = random_weights(Architecture(4, 3, 1, 3, 5, 4))
    ours.save(tmp_path / "runs/best.safetensors")
    (tmp_path / "cores").mkdir()
    for more, written in (((), "runs/best.w8a16.safetensors"), (("-o", "cores"), "cores/best.w8a16.safetensors")):
        done = run_command("quantize", "runs/best.safetensors", "--format", "w8a16", "--json", *more, cwd=tmp_path)
        expected = made = quantised(ours, "w8a16")
        assert (tmp_path / written).read_bytes() == expected.to_bytes()
        assert json.loads(done.stdout) == {
            "model": "best", "scale": 4, "output": written,
            "bytes": (tmp_path / written).stat().st_size, "format": "w8a16", "kernel_bits": 8, "feature_bits": 16,
            "sum_bits": {stage.name: made.sum_bits(stage.name) for stage in ours.architecture.stages},
        }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("fsrcnn", "--format", "w9a9"), 2, "--format is w16a14, w12a12, w10a12, w8a16, w8a8, not 'w9a9'"),
        (
            ("fsrcnn", "-o", "core.bin"),
            2,
            r"the output ends in \.safetensors, and core\.bin does not; give an output as fsrcnn-x2\.w12",
        ),
        (("fsrcnn-x2", "-s", "3"), 2, "fsrcnn-x2 is of ×2, not ×3"),
        (("none.safetensors",), 1, r"none\.safetensors does not exist"),
        (("auto",), 2, "auto is chosen anew for each picture"),
    ],
)
def test_quantize_refuses(arguments: tuple[str, ...], code: int, sentence: str, tmp_path: Path) -> None:
    refused(run_command("quantize", *arguments, cwd=tmp_path), code, sentence)
    assert files_below(tmp_path) == []


@pytest.mark.parametrize(
    "command",
    [
        ("quantize",),
        ("convert",),
        ("export", "onnx"),
        ("export", "mpv"),
    ],
    ids=" ".join,
)
def test_whoever_needs_float_weights_refuses(command: tuple[str, ...], core: Path, tmp_path: Path) -> None:
    if command == ("export", "onnx"):
        pytest.importorskip("onnxruntime", reason="ONNX is not installed; type: pip install 'fsrcnn[onnx]'")
    fact, remedy = (
        r"core\.safetensors is an integer model \(w12a12\), and float weights are needed here",
        "that it was made of",
    )
    refused(run_command(*command, core, cwd=tmp_path), 1, f"{fact}; give the weights {remedy}")
    assert files_below(tmp_path) == []


def test_whoever_needs_float_weights_refuses_in_python(tmp_path: Path) -> None:
    model: Any = unchanged()
    needed: list[Callable[[], object]] = [
        lambda: weights.averaged(model, model, 0.5),
        lambda: weights.averaged(pretrained.load("fsrcnn-x2"), model, 0.5),
        lambda: mpv.shader(model),
        lambda: onnx.model(model),
        lambda: foreign.write(model, tmp_path / "a.pth"),
    ]
    for call in needed:
        with pytest.raises(
            UsageError, match=r"^float weights are needed here, an object of Weights, not of IntegerModel$"
        ):
            call()
    with pytest.raises(
        WeightsError, match=r"^the model is an integer model \(w12a12\), and float weights are needed here; give the"
    ):
        models.resolve(model)


def test_training_does_not_start_from_it(core: Path, tmp_path: Path) -> None:
    for package in ("torch", "h5py", "matplotlib", "tensorboard"):
        pytest.importorskip(package, reason=f"{package} is not installed; type: pip install 'fsrcnn[train]'")
    for number in range(2):
        write(tmp_path / f"photos/{number}.png", np.zeros((40, 40), np.uint8))
    sentence = r"core\.safetensors is an integer model \(w12a12\), and float weights are needed here"
    start = ("train", "photos", "-s", "2", "--init", core, "-o", "out")
    refused(run_command(*start, cwd=tmp_path), 1, sentence)
    refused(run_command("transfer", core, "photos", "-s", "3", "-o", "out", cwd=tmp_path), 1, sentence)
    assert not (tmp_path / "out").exists()


# ── the doors ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def write(path: Path, pixels: Array) -> Path:
    images.write(images.Picture((pixels if pixels.ndim == 3 else pixels[:, :, None],), "png"), path)
    return path


def picture(height: int = 40, width: int = 50, channels: int = 0) -> Array:
    """Something with edges and noise."""
    shape = (height, width, channels) if channels else (height, width)
    rows, columns = np.indices((height, width))
    drawn = 60 + 3 * columns + 80 * ((rows // 7 + columns // 9) % 2)
    noisy = (drawn if not channels else drawn[:, :, None]) + np.random.default_rng(5).integers(0, 20, shape)
    return noisy.clip(0, 255).astype(np.uint8)


def test_upscale(core: Path, tmp_path: Path) -> None:
    """A grey picture: its luma in 10 bits through the definition, and back to full range."""
    grey = picture().astype(float)
    write(tmp_path / "a.png", picture())
    done = run_command("upscale", "a.png", "--model", core, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)["done"][0]
    assert (report["model"], report["notes"]) == (str(core), [])
    sr = images.read(tmp_path / "a_x2.png").pages[0].reshape(80, 100)
    levels = integer.load(core).run(np.floor((16 + 219 * grey / 255) * 4 + 0.5).astype(np.int64))
    exact = ((levels / 4 - 16) * 255 / 219).clip(0, 255)
    assert np.abs(sr - exact).max() <= 0.5 + 1e-4


def test_upscale_says_which_bits_are_lost(core: Path, tmp_path: Path) -> None:
    write(tmp_path / "deep.png", picture().astype(np.uint16) * 257)
    done = run_command("upscale", "deep.png", "-m", core, cwd=tmp_path)
    said = "the integer model computes its luma in 10 bits, and its samples have 16"
    assert done.stderr.decode().splitlines() == [f"fsrcnn: deep.png: {said}", "deep_x2.png  100×80"]
    listed = run_command("upscale", "deep.png", "-m", core, "--overwrite", "--json", cwd=tmp_path)
    assert json.loads(listed.stdout)["done"][0]["notes"] == [said]
    smaller = run_command("upscale", "deep.png", "-m", core, "--width", "40", "-o", "s.png", "--json", cwd=tmp_path)
    assert json.loads(smaller.stdout)["done"][0]["notes"] == [], "no network is run"
    upscaler = fsrcnn.Upscaler(core)
    with pytest.warns(PictureWarning, match=f"the array: {said}"):
        upscaler(picture().astype(np.uint16))
    with pytest.warns(PictureWarning, match=f"the data: {said}"):
        upscaler((tmp_path / "deep.png").read_bytes())
    with pytest.warns(PictureWarning, match=rf"deep\.png: {said}"):
        upscaler(tmp_path / "deep.png", output=tmp_path / "again.png")
    upscaler(picture())
    fsrcnn.Upscaler("fsrcnn-x")(picture().astype(np.uint16))


def test_other_engines_and_precisions_are_refused(core: Path, tmp_path: Path) -> None:
    write(tmp_path / "a.png", picture())
    for command in (
        ("upscale", "a.png", "--model", core),
        ("evaluate", "a.png", "--model", core),
        ("test", "a.png", "--model", core),
    ):
        sentence = r"an integer model \(w12a12\) is run by the engine integer alone, not by numpy; give --engine integer, or the float"
        refused(run_command(*command, "--engine", "numpy", cwd=tmp_path), 2, sentence)
        refused(run_command(*command, "--precision", "fast", cwd=tmp_path), 2, "one precision; leave --precision out")
    wrong = run_command("upscale", "a.png", "--engine", "integer", cwd=tmp_path)
    refused(wrong, 2, "the model is of float weights; `fsrcnn quantize MODEL` makes an integer model of them")
    assert files_below(tmp_path) == ["a.png"]


def test_evaluate_and_test(core: Path, tmp_path: Path) -> None:
    """Scores of the definition's own pixels, by the protocol `files`, which takes grey pictures for luma."""
    pytest.importorskip(
        "PIL", reason="Pillow, which draws labels, is not installed; type: pip install 'fsrcnn[pillow]'"
    )
    hr = picture(60, 70)
    write(tmp_path / "set/a.png", hr)
    rows = json.loads(run_command("evaluate", "set", "--model", core, "--json", cwd=tmp_path).stdout)["pictures"]
    lr = np.floor(imresize(hr / 255, output_size=(30, 35)).clip(0, 1) * 255 + 0.5).astype(np.int64)
    sr = eight_bit(integer.load(core).run(lr * 4)).astype(np.uint8)
    expected = psnr(shave(hr, 2), shave(sr, 2))
    found = {row["protocol"]: row["sr"]["psnr"] for row in rows}
    assert found["files"] == pytest.approx(expected, abs=1e-9)
    tested = run_command(
        "test", "set/a.png", "--model", core, "--json", "--protocol", "files", "-o", "out", cwd=tmp_path
    )
    assert json.loads(tested.stdout)["fsrcnn-x"]["psnr"] == found["files"]
    assert len(files_below(tmp_path / "out")) == 3


def test_video(core: Path, tmp_path: Path) -> None:
    """Luma of limited range, 8 and 10 bits, is the definition's to the bit, where a frame changes in part, too."""
    pytest.importorskip("av", reason="films need PyAV: pip install 'fsrcnn[video]'")
    from films import film, luma_of, seen

    model = integer.load(core)
    for format, depth in (("yuv420p", 8), ("yuv420p10le", 10), ("yuv444p12le", 12)):
        path = film(tmp_path / f"{depth}.mkv", format=format, times=(0, 40))
        done = run_command(
            "video", path, "-o", f"large{depth}.mkv", "-m", core, "--encoder", "ffv1", "--json", cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        notes = json.loads(done.stdout)["done"][0]["notes"]
        assert [note for note in notes if "integer model" in note] == (
            ["the integer model computes its luma in 10 bits, and its samples have 12"] if depth == 12 else []
        )
        for before, after in zip(seen(path).frames, seen(tmp_path / f"large{depth}.mkv").frames, strict=True):
            lr, sr = luma_of(before).astype(np.int64), luma_of(after)
            levels = model.run({8: lr * 4, 10: lr, 12: (lr + 2) // 4}[depth])
            assert np.array_equal(sr, {8: eight_bit(levels), 10: levels, 12: levels * 4}[depth])


def test_serve(core: Path, tmp_path: Path) -> None:
    """Its clients name bundled models, which are of float weights."""
    for package in ("starlette", "uvicorn", "python_multipart"):
        pytest.importorskip(package, reason=f"{package} is not installed; type: pip install 'fsrcnn[serve]'")
    refused(
        run_command("serve", "--engine", "integer", "--port", "0", cwd=tmp_path),
        2,
        "the engine integer runs integer models",
    )
    from fsrcnn.serve.options import Limits, wanted

    with pytest.raises(UsageError, match=r"there is no model '.*core\.safetensors' here"):
        wanted([("model", str(core))], Limits(1, 1, 1))
