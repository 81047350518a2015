"""Integer models at work on pictures: what the chip core would make of them, to the last bit.

`IntegerModel.run` is the definition. Here the same numbers are computed several times as fast, in float64: each of them, and each sum
on the way, is a whole number below 2^53 or such a one divided by a power of two, which float64 holds exactly. So the order in which a
BLAS takes its sums changes nothing, and a tile with its halo has the pixels of the whole picture.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fsrcnn.arrays import Float32, Float64, Int64
from fsrcnn.engines import Engine
from fsrcnn.fixed_point import convolve
from fsrcnn.integer import LARGEST_LEVEL, WHITE, IntegerModel

# Half a level, and a bit: float32 makes 511.49997 of the 511.5 of a 12-bit sample. Samples of 16 bits are 2^-6 of a level apart.
HALF = np.float32(0.5 + 2**-12)


class _Channel(NamedTuple):
    """How the sums of a channel, divided by 2^before, become its whole numbers; multipliers are divided by 2^after."""

    bias: float
    positive: float
    negative: float


class IntegerEngine(Engine):
    """An integer model on the CPU, for any picture: luma is rounded to 10 bits on its way in."""

    name = "integer"
    tile = (192, 256)  # a channel's plane stays in the cache

    def __init__(self, model: IntegerModel) -> None:
        """
        Args:
            model: the network.
        """
        self.architecture = model.architecture
        self.model = model
        self._kernels: dict[str, Float64] = {}
        self._channels: dict[str, list[_Channel]] = {}
        for stage, rule in model.requantising.items():
            before, after = 2.0**-rule.before, 2.0**-rule.after
            self._kernels[stage] = model.kernels[stage].astype(np.float64) * before
            numbers = (model.biases[stage] * before, rule.positive * after, rule.negative * after)
            self._channels[stage] = [_Channel(*map(float, channel)) for channel in zip(*numbers, strict=True)]

    def run(self, lr: Float32) -> Float32:
        """(h, w) luma in [0, 1], rounded to levels, to (scale*h, scale*w) in 1/1020 from 0 to 1023/1020.

        Planes of limited range with 8 bits get `integer.eight_bit` of the levels, those with 10 bits the levels themselves.
        """
        x = levels_of(lr).astype(np.float64)[None]
        limit = 2.0 ** (self.model.feature_bits - 1)
        for stage in self.architecture.convolutions:
            x = convolve(x, self._kernels[stage.name])
            for plane, channel in zip(x, self._channels[stage.name], strict=True):
                _requantise(plane, channel, -limit, limit - 1)
        scale, crop = self.architecture.scale, self.architecture.crop
        sr = _spread(x, self._kernels["deconvolution"], scale)
        sr = sr[crop : crop + scale * lr.shape[0], crop : crop + scale * lr.shape[1]]
        for phase, channel in enumerate(self._channels["deconvolution"]):
            _requantise(sr[phase // scale :: scale, phase % scale :: scale], channel, 0, LARGEST_LEVEL)
        return (sr / WHITE).astype(np.float32)


def levels_of(luma: Float32) -> Int64:
    """(h, w) luma in [0, 1] as levels 0 … 1023, the nearest, halves up; what lies beyond is clipped, NaN is black.

    Samples of limited range with 8 bits are their quadruple, those with 10 bits themselves.
    """
    inside = np.clip(np.nan_to_num(luma), 0, np.float32(LARGEST_LEVEL / WHITE))
    levels: Int64 = np.floor(inside * np.float32(WHITE) + HALF).astype(np.int64)
    return levels


def _requantise(sums: Float64, channel: _Channel, least: float, most: float) -> None:
    """(h, w) sums of a channel, without their bias, to whole numbers, in place."""
    sums += channel.bias
    np.floor(sums, out=sums)
    sums *= np.where(sums < 0, channel.negative, channel.positive)
    sums += 0.5
    np.floor(sums, out=sums)
    np.clip(sums, least, most, out=sums)


def _spread(x: Float64, kernel: Float64, scale: int) -> Float64:
    """(d, h, w) by a (d, 1, k, k) deconvolution to all HR pixels that it reaches, not yet cropped, without bias."""
    channels, height, width = x.shape
    side = kernel.shape[-1]
    canvas: Float64 = np.zeros((scale * (height - 1) + side, scale * (width - 1) + side))
    features = x.reshape(channels, -1)
    for dy in range(side):
        stamps = (kernel[:, 0, dy].T @ features).reshape(side, height, width)
        for dx in range(side):
            canvas[dy : dy + scale * height : scale, dx : dx + scale * width : scale] += stamps[dx]
    return canvas
