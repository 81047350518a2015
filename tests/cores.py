"""Chip cores for tests: made, simulated, and compared with `IntegerModel.run`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import simulators
from fsrcnn.architecture import Architecture
from fsrcnn.arrays import Array, Int64
from fsrcnn.engines.numpy import NumpyEngine
from fsrcnn.export import rtl
from fsrcnn.export.rtl.memories import file_name
from fsrcnn.export.rtl.vectors import luma_levels, output_samples
from fsrcnn.integer import FACTOR_BITS, LARGEST_LEVEL, MULTIPLIER_BITS, SUM_BITS, IntegerModel, Requantising, format_of
from fsrcnn.weights import Weights
from simulators import Interface, Simulation, Streams
from support import noise, random_weights


def lively(architecture: Architecture, seed: int = 0) -> Weights:
    """Random weights whose luma is seldom clipped: of noise its mean is grey."""
    weights = random_weights(architecture, seed)
    kernel, bias = weights.arrays["deconvolution.weight"], weights.arrays["deconvolution.bias"]
    sr = NumpyEngine(weights).run(noise(16, 16)) - bias
    kernel *= 0.25 / sr.std()
    bias[...] = 0.5 - 0.25 * sr.mean() / sr.std()
    return weights


class Core(NamedTuple):
    """A generated core, and what it is of."""

    folder: Path
    model: IntegerModel
    plan: rtl.Plan

    @property
    def interface(self) -> Interface:
        """Of its streams."""
        return Interface(self.plan.architecture.scale, self.plan.pixels, self.plan.depth)

    def expected(self, frame: Int64) -> Int64:
        """What the definition makes of a frame of the core's samples."""
        return output_samples(self.model.run(luma_levels(frame, self.plan.depth)), self.plan.depth)

    def noise(self, *sizes: tuple[int, int], seed: int = 0) -> list[Int64]:
        """Frames of (height, width) that use the whole range of their samples."""
        generator = np.random.default_rng(seed)
        return [generator.integers(0, 2**self.plan.depth, size) for size in sizes]


def made(folder: Path, model: IntegerModel, width: int, cycles: int, depth: int = 8) -> Core:
    """The core of a model."""
    return Core(folder, model, rtl.write(model, folder, width=width, cycles=cycles, depth=depth))


def compared(core: Core, frames: Sequence[Int64], **options: Any) -> Simulation:
    """Frames through a core, as `simulators.simulate`: each sample is the definition's, and nothing is reported.

    Raises:
        AssertionError: that is not so.
    """
    ran = simulators.simulate(core.folder, frames, core.interface, **options)
    for number, (frame, found) in enumerate(zip(frames, ran.frames, strict=True)):
        height, width = frame.shape
        np.testing.assert_array_equal(found, core.expected(frame), f"frame {number}, {width}x{height}")
    assert not ran.error
    return ran


def features(words: Array, bits: int) -> Int64:
    """(pixels, words) of 32 bits of a stream to (channels, pixels) numbers of so many bits with sign."""
    channels = words.shape[1] * 32 // bits
    single = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")[:, : channels * bits]
    numbers = single.reshape(-1, channels, bits).astype(np.int64) @ (1 << np.arange(bits))
    signed: Int64 = (numbers - (numbers >> bits - 1 << bits)).T
    return signed


def layers_compared(core: Core, frames: Sequence[Int64], **options: Any) -> Streams:
    """Every layer of a core, and what comes out, as `simulators.run`.

    Raises:
        AssertionError: something is not what the definition says.
    """
    a, model = core.plan.architecture, core.model
    wires = tuple(file_name(stage.name) for stage in a.convolutions)
    sent = simulators.beats_of(frames)
    shapes = [(a.scale * frame.shape[0], a.scale * frame.shape[1]) for frame in frames]
    beats = [height * -(-width // core.plan.pixels) for height, width in shapes]
    ran = simulators.run(core.folder, sent, core.interface, sum(beats), watched=wires, **options)
    found = {name: features(words, model.feature_bits) for name, words in ran.watched.items()}
    pixel = beat = 0
    for frame, shape, count in zip(frames, shapes, beats, strict=True):
        expected: dict[str, Int64] = {}
        model.run(luma_levels(frame, core.plan.depth), expected.__setitem__)
        for stage, map_ in expected.items():
            channels = len(map_)
            layer = found[file_name(stage)][:channels, pixel : pixel + frame.size]
            np.testing.assert_array_equal(layer, map_.reshape(channels, -1), stage)
        lines = ran.given[beat : beat + count].reshape(shape[0], -1)
        simulators.check_marks(lines, shape[1], core.plan.pixels, f"a frame of {frame.shape}")
        np.testing.assert_array_equal(lines["data"].reshape(shape[0], -1)[:, : shape[1]], core.expected(frame))
        pixel, beat = pixel + frame.size, beat + count
    assert not ran.error
    return ran


def times(core: Core, frames: Sequence[Int64], **options: Any) -> tuple[int, list[int]]:
    """Cycles that frames take, back to back, where neither side stands still.

    Returns:
        From the first LR pixel to the first HR pixel, and from each frame's last HR pixel to the next one's.
    """
    scale = core.plan.architecture.scale
    sent = simulators.beats_of(frames)
    beats = [scale * height * -(-scale * width // core.plan.pixels) for height, width in (f.shape for f in frames)]
    ran = simulators.run(core.folder, sent, core.interface, sum(beats), **options)
    ends = ran.given["cycle"][np.cumsum(beats) - 1].astype(int)
    return int(ran.given["cycle"][0]) - int(ran.taken[0]), [int(taken) for taken in np.diff(ends)]


def extreme(architecture: Architecture, format: str, seed: int = 0) -> IntegerModel:
    """A model whose weights are the largest that its format has.

    Of each output as many weights are at a bound, and as many others 0, as its sum has bits for. The bias of every second output
    leaves its sum no room. Multipliers, of either sign, are at their bounds or small, some 0; so features
    are mostly at their bounds, too.
    """
    generator = np.random.default_rng(seed)
    bits, features = format_of(format)
    least, most = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    largest = 2 ** (SUM_BITS - 1) - 1
    kernels: dict[str, Int64] = {}
    biases: dict[str, Int64] = {}
    rules: dict[str, Requantising] = {}
    for stage in architecture.stages:
        reach = LARGEST_LEVEL if stage.name == "feature_extraction" else 2 ** (features - 1)
        kernel = generator.choice([least, most], architecture.array_shapes[f"{stage.name}.weight"])
        last = stage.kind == "deconvolution"
        scale = architecture.scale
        if last:  # views of the weights that each phase of HR pixels is summed of
            starts = [(phase + architecture.crop) % scale for phase in range(scale)]
            outputs = [kernel[:, 0, y::scale, x::scale] for y in starts for x in starts]
        else:
            outputs = list(kernel)
        bias = np.zeros(len(outputs), np.int64)
        for number, output in enumerate(outputs):
            if number % 3 == 0:  # all of one sign: with inputs at their bound, the sum is at its own
                output[...] = generator.choice([least, most])
            while (total := int(np.abs(output).sum())) * reach > largest:
                taken = np.argwhere(output)
                output[tuple(generator.choice(taken))] = 0
            if number % 2 == 0:
                bias[number] = (largest - total * reach) * (1 if output.sum() >= 0 else -1)
        bound = 2 ** (MULTIPLIER_BITS - 1)
        positive, negative = generator.choice([-bound, bound - 1, bound // 2, 3000, -500, 0], (2, len(outputs)))
        positive[-1], negative[-1] = bound - 1, -bound
        if last:
            positive = negative = generator.choice([bound - 1, bound // 3, -bound], len(outputs))
        kernels[stage.name], biases[stage.name] = kernel, bias
        rules[stage.name] = Requantising(SUM_BITS - FACTOR_BITS, positive, negative, 27 if last else 36 - features)
    return IntegerModel(architecture, format, kernels, biases, rules)


def lowest(architecture: Architecture, format: str) -> IntegerModel:
    """A model whose weights are all the least number, as are all features but those of the last channel: no product is larger."""
    least = -(2 ** (format_of(format).kernel_bits - 1))
    kernels = {
        stage.name: np.full(architecture.array_shapes[f"{stage.name}.weight"], least) for stage in architecture.stages
    }
    bound = 2 ** (MULTIPLIER_BITS - 1)
    biases: dict[str, Int64] = {}
    rules: dict[str, Requantising] = {}
    for stage in architecture.stages:
        last = stage.kind == "deconvolution"
        outputs = architecture.scale**2 if last else stage.channels_out
        negative = np.full(outputs, bound - 1)
        negative[-1] = -bound
        positive = negative if last else -1 - negative
        biases[stage.name] = np.zeros(outputs, np.int64)
        rules[stage.name] = Requantising(SUM_BITS - FACTOR_BITS, positive, negative, 28 if last else 16)
    return IntegerModel(architecture, format, kernels, biases, rules)
