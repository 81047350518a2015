"""The network in whole numbers of 16 bits: what precision `fast` means, to the last bit.

Feature maps are whole numbers of at most 14 bits and a sign, kernels of at most 15 bits and a sign, sums of 32 bits that can not
overflow. So the sums are exact, in whatever order and by whatever algorithm a processor takes them, and every instruction set gives
the same bytes. `FixedPoint.run` is the definition; the native engine computes the same, much faster.

How large features become is found by running the network once on a sheet of black and white noise, which drives it further than
pictures do. What still lies beyond is clipped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fsrcnn.architecture import Architecture
from fsrcnn.arrays import Float32, Float64, Int64
from fsrcnn.errors import UsageError
from fsrcnn.layers import BLOCK
from fsrcnn.phases import scattered
from fsrcnn.weights import Weights

INPUT_LEVELS = 32640  # 128 · 255: 8-bit pixels are exact
FEATURE_LEVELS = 8191  # times 3 it still fits in 16 bits: the native engine evaluates two rows of features at 2 and ½
LARGEST_BRANCH = 5  # kernel rows that it takes at a time, as in native/packer.cpp
HEADROOM = 1.25  # features may be larger by this than on the sheet; it costs log2(1.25) = 0.3 of 13 bits
LARGEST_16 = 2**15 - 1
LARGEST_32 = 2**31 - 1


@dataclass(frozen=True, eq=False)
class FixedPoint:
    """A network in whole numbers.

    Attributes:
        architecture: as of the weights.
        kernels: stage → (out, in, k, k); deconvolution (d, 1, k, k); at most 16 bits with sign.
        biases: stage → (out,), in units of the stage's sums; none for the deconvolution.
        positive, negative: stage → (out,) float32: a sum above or below zero times this is the feature, before it is rounded.
        phases: (scale, scale) float32: a sum of HR row phase i and column phase j, counted before the crop, times this
            is luma without its bias.
        bias: of the deconvolution.
    """

    architecture: Architecture
    kernels: dict[str, Int64]
    biases: dict[str, Int64]
    positive: dict[str, Float32]
    negative: dict[str, Float32]
    phases: Float32
    bias: float

    @classmethod
    def of(cls, weights: Weights) -> FixedPoint:
        """The whole numbers that come nearest to float weights.

        Raises:
            UsageError: the network is too wide for sums of 32 bits.
        """
        architecture, arrays = weights.architecture, weights.arrays
        largest = largest_features(weights)
        kernels, biases, positive, negative = {}, {}, {}, {}
        step = np.array([1 / INPUT_LEVELS])  # what 1 stands for in each input channel
        reach = INPUT_LEVELS
        for stage in (convolution.name for convolution in architecture.convolutions):
            kernel = arrays[f"{stage}.weight"].astype(np.float64) * step[None, :, None, None]
            bias = arrays[f"{stage}.bias"].astype(np.float64)
            units = np.array([_units(k, b, stage, reach) for k, b in zip(kernel, bias, strict=True)])
            kernels[stage] = np.rint(kernel * units[:, None, None, None]).astype(np.int64)
            biases[stage] = np.rint(bias * units).astype(np.int64)
            most = np.abs(kernels[stage]).sum(axis=(1, 2, 3)) * reach + np.abs(biases[stage])
            step = HEADROOM * largest[stage] / FEATURE_LEVELS
            positive[stage] = (1 / (units * step)).astype(np.float32)
            negative[stage] = (arrays[f"{stage}.prelu"] / (units * step)).astype(np.float32)
            slopes = np.maximum(np.abs(positive[stage]), np.abs(negative[stage]))
            if (most * slopes >= LARGEST_32).any():  # rounding to 32 bits, before the clip to FEATURE_LEVELS
                raise UsageError(f"the slopes of {stage} are too steep for precision fast", "use {precision='exact'}")
            reach = FEATURE_LEVELS
        last: Float64 = arrays["deconvolution.weight"][:, 0].astype(np.float64) * step[:, None, None]
        scale = architecture.scale
        phases = np.empty((scale, scale), np.float32)
        whole = np.empty(last.shape, np.int64)
        for y in range(scale):
            for x in range(scale):
                phase = scattered(last, scale, y, x)
                unit = _phase_units(phase)
                scattered(whole, scale, y, x)[...] = np.rint(phase * unit)
                phases[y, x] = 1 / unit
        kernels["deconvolution"] = whole[:, None]
        return cls(architecture, kernels, biases, positive, negative, phases, float(arrays["deconvolution.bias"][0]))

    def run(self, lr: Float32) -> Float32:
        """(h, w) luma, clipped to [0, 1], to (scale*h, scale*w), not clipped."""
        levels = np.float32(INPUT_LEVELS)
        x = np.floor(np.clip(lr, 0, 1) * levels + np.float32(0.5)).astype(np.int64)[None]
        for stage in (convolution.name for convolution in self.architecture.convolutions):
            total = convolve(x, self.kernels[stage]).astype(np.int64) + self.biases[stage][:, None, None]
            assert np.abs(total).max() <= LARGEST_32
            multiplier = np.where(total < 0, self.negative[stage][:, None, None], self.positive[stage][:, None, None])
            x = np.rint(np.clip(total.astype(np.float32) * multiplier, -FEATURE_LEVELS, FEATURE_LEVELS)).astype(
                np.int64
            )
        scale, crop, side = self.architecture.scale, self.architecture.crop, self.architecture.deconvolution_kernel
        height, width = lr.shape
        canvas = np.zeros((scale * (height - 1) + side + scale, scale * (width - 1) + side + scale), np.int64)
        for dy in range(side):
            for dx in range(side):
                stamp = np.tensordot(self.kernels["deconvolution"][:, 0, dy, dx], x, 1)
                canvas[dy : dy + scale * height : scale, dx : dx + scale * width : scale] += stamp
        rows, columns = np.arange(crop, crop + scale * height), np.arange(crop, crop + scale * width)
        multiplier = self.phases[rows % scale][:, columns % scale]
        sr: Float32 = canvas[rows][:, columns].astype(np.float32) * multiplier + np.float32(self.bias)
        return sr


def sheet() -> Float64:
    """(128, 128) of black and white, 0 and 1: fine noise of three densities, and coarse noise."""
    generator = np.random.default_rng(0)
    fine = [generator.random((64, 64)) < density for density in (0.5, 0.2, 0.8)]
    coarse = np.kron(generator.random((16, 16)) < 0.5, np.ones((4, 4)))
    drawn: Float64 = np.block([[fine[0], fine[1]], [fine[2], coarse]]).astype(np.float64)
    return drawn


def largest_features(weights: Weights) -> dict[str, Float64]:
    """Stage → largest magnitude of each channel on the sheet."""
    x = sheet()[None]
    largest = {}
    for stage in (convolution.name for convolution in weights.architecture.convolutions):
        kernel, bias, slope = (
            weights.arrays[f"{stage}.{part}"].astype(np.float64) for part in ("weight", "bias", "prelu")
        )
        x = convolve(x, kernel) + bias[:, None, None]
        x = np.where(x < 0, x * slope[:, None, None], x)
        # A BLAS sums in an order of its own. In float64 that is about the last bits, which float32 leaves out.
        found = np.abs(x).max(axis=(1, 2)).astype(np.float32).astype(np.float64)
        largest[stage] = np.where(found > 0, found, 1)  # a dead channel: any unit will do
    return largest


def _units(kernel: Float64, bias: float, stage: str, reach: int) -> float:
    """How many units of a sum stand for 1.0, for one channel's (in, k, k) kernel: as many as fit.

    The mapping stages' sums come doubled out of Winograd's algorithm, with kernels that are sums of their rows.
    """
    if stage.startswith("mapping"):
        top, middle, bottom = kernel[:, 0], kernel[:, 1], kernel[:, 2]
        stored, largest = [2 * top, top + middle + bottom, top - middle + bottom, 2 * bottom], LARGEST_32 // 2
    else:
        stored, largest = [kernel], LARGEST_32
    by_kernel = (LARGEST_16 - 2) / max(1e-30, *(float(np.abs(part).max()) for part in stored))
    # Rounding may add half a unit to each weight and to the bias.
    by_sum = (largest - 1 - 0.5 * reach * kernel.size) / max(float(np.abs(kernel).sum()) * reach + abs(bias), 1e-30)
    return _positive(min(by_kernel, by_sum))


def _phase_units(kernel: Float64) -> float:
    """The same for one phase of the deconvolution: (d, rows, columns) of its kernel.

    The native engine multiplies two rows of features by up to five kernel rows as polynomials, evaluated at 0, 1, -1, 2 and ½; see
    `interpolate` in native/deconvolution.h. Twice each coefficient it finds, and twice the sum of the first and last unknown
    one, must fit into 32 bits, and the sum of all.
    """
    rows = kernel.shape[1]
    parts = -(-rows // LARGEST_BRANCH)
    limits = []
    for part in range(parts):
        branch = kernel[:, rows * part // parts : rows * (part + 1) // parts]
        count = branch.shape[1]
        for value in (1.0, -1.0, 2.0):
            for powers in (value ** np.arange(count), value ** np.arange(count)[::-1]):
                stored = float(np.abs(np.tensordot(branch, powers, (1, 0))).max())
                limits.append((LARGEST_16 - np.abs(powers).sum()) / max(stored, 1e-30))
        per_row = np.abs(branch).sum(axis=(0, 2)) * FEATURE_LEVELS
        slack = 2 * 0.5 * FEATURE_LEVELS * branch[:, 0].size  # each weight is rounded by half a unit at most
        coefficient = per_row + np.append(per_row[1:], 0)  # h1 … : two rows of features meet two kernel rows
        found = max(
            float(coefficient.max()), float(coefficient[0] + coefficient[-2]) if count == LARGEST_BRANCH else 0.0
        )
        limits.append((LARGEST_32 / 2 - 2 * slack) / max(found, 1e-30))
    total = float(np.abs(kernel).sum()) * FEATURE_LEVELS
    limits.append((LARGEST_32 - 0.5 * FEATURE_LEVELS * kernel.size) / max(total, 1e-30))
    return _positive(min(limits))


def _positive(units: float) -> float:
    if units <= 0:
        raise UsageError(
            "this network is too wide for precision fast (16-bit features, 32-bit sums)", "use {precision='exact'}"
        )
    return min(units, 1e30)


def convolve(x: Int64 | Float64, kernel: Int64 | Float64) -> Float64:
    """(in, h, w) with (out, in, k, k) to (out, h, w), zero padded. Whole numbers come out exact: their sums stay below 2^31."""
    side, (height, width) = kernel.shape[-1], x.shape[1:]
    padded = np.pad(x, ((0, 0), (side // 2, side // 2), (side // 2, side // 2))).astype(np.float64)
    matrix = kernel.reshape(len(kernel), -1).astype(np.float64)
    total: Float64 = np.empty((len(kernel), height, width))
    rows = max(1, BLOCK // width)
    for top in range(0, height, rows):
        band = total[:, top : top + rows]
        shifted = [
            padded[:, top + y : top + y + band.shape[1], left : left + width]
            for y in range(side)
            for left in range(side)
        ]
        band[...] = (matrix @ np.stack(shifted, axis=1).reshape(matrix.shape[1], -1)).reshape(band.shape)
    return total
