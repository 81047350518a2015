"""How the whole numbers of an `IntegerModel` are found: stage after stage, as near to the float network as can be.

1. What 1 stands for in a feature (`steps`): the value of least squared error, between clipping the few largest and rounding all.
2. A kernel is fitted anew to what really comes in, features that were rounded and clipped before: linear regression of the float
   network's sums on them, which also moves the bias.
3. It is rounded a weight at a time, and the weights that follow make up for what was lost (Frantar et al. 2022, "GPTQ", arXiv
   2210.17323; Hassibi and Stork 1993, "Optimal brain surgeon"): least error of the sums, not of the weights.

All that needs pictures, as small as a network sees them. Without any it takes a sheet of leaves that lie one upon another (Lee,
Mumford, Huang 2001, "Occlusion models for natural images"), whose edges and sizes are as in nature; own pictures help formats of
8-bit features. The second moments of what comes in are whole numbers, and exact: every processor finds the same kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fsrcnn import protocol
from fsrcnn.architecture import Stage
from fsrcnn.arrays import Array, Bool, Float32, Float64
from fsrcnn.engines.integer import levels_of
from fsrcnn.errors import ImageError, UsageError
from fsrcnn.fixed_point import convolve
from fsrcnn.folders import find
from fsrcnn.integer import LARGEST_LEVEL, WHITE, IntegerModel, format_of, units_of
from fsrcnn.metrics import modcrop
from fsrcnn.phases import phase_kernels, phase_taps
from fsrcnn.weights import Weights

SHEETS, SIDE = 4, 64  # of leaves: LR planes, and pixels a side
SMALLEST_LEAF = 8  # radius in quarters of an LR pixel
TEXTURE = 0.1  # of white: even noise on the leaves, from end to end
PARTS = np.arange(20, 4, -1) / 20  # of a channel's largest magnitude that are tried as the last one not clipped
RIDGE = 0.003  # of the mean power of what comes in: how strongly a fitted kernel is held to the one given
DAMPING = 0.01  # the same where what rounding lost is made up for (GPTQ's)
MOST_PICTURES = 16
WIDEST = 4096  # inputs of a kernel, channels times pixels: what depends on their square takes seconds, and 130 MB


class Calibration(NamedTuple):
    """What `IntegerModel.of` makes its whole numbers of.

    Attributes:
        weights: the network, its kernels and biases moved to where they are rounded to.
        steps: convolution → (out,) what 1 stands for in each of its features.
        units: stage → (out,) how many units of a sum stand for 1.0; deconvolution (scale²,).
    """

    weights: Weights
    steps: dict[str, Float64]
    units: dict[str, Float64]


def quantised(weights: Weights, format: str, lumas: Sequence[Array] | None = None) -> IntegerModel:
    """The integer model that comes nearest to float weights.

    Args:
        weights: the network.
        format: a name in `integer.FORMATS`.
        lumas: (h, w) LR luma in [0, 1] of pictures as the network will see them (`lumas_of` reads a folder); a drawn sheet where
            none are given. A network with kernels of more than 4,096 inputs is too wide for all this, and rounded plainly.

    Raises:
        UsageError: no such format, or the network's numbers do not fit into it.
    """
    if _widest(weights) > WIDEST:
        return IntegerModel.of(weights, format)
    found = calibrated(weights, format, lumas)
    return IntegerModel.of(found.weights, format, found.steps, found.units)


def calibrated(
    weights: Weights, format: str, lumas: Sequence[Array] | None = None, steps: dict[str, Float64] | None = None
) -> Calibration:
    """What `quantised` makes its model of; where `steps` are given, with these.

    Raises:
        UsageError: no such format, the network's numbers do not fit into it, or a kernel has more than 4,096 inputs.
    """
    kernel_bits, feature_bits = format_of(format)
    if _widest(weights) > WIDEST:
        raise UsageError(f"a kernel of this network has {_widest(weights):,} inputs, and {WIDEST:,} can be calibrated")
    levels = 2 ** (feature_bits - 1)
    arrays = dict(weights.arrays)
    steps, units = dict(steps or {}), {}
    given = leaves() if lumas is None else lumas
    whole = [levels_of(luma.astype(np.float32))[None].astype(np.float64) for luma in given]
    exact = [plane / WHITE for plane in whole]  # the float network's features, beside the whole ones
    step, reach = np.array([1 / WHITE]), LARGEST_LEVEL
    for stage in weights.architecture.stages:
        kernel, bias, inside = _as_convolution(stage, weights)
        wanted = [convolve(plane, kernel) + bias[:, None, None] for plane in exact]
        moments = _Moments.of(whole, wanted, kernel.shape[-1])
        given = (kernel * step[:, None, None]).reshape(len(kernel), -1)
        found, units[stage.name] = np.zeros_like(given), np.empty(len(kernel))
        for columns in np.unique(inside, axis=0):  # the phases of a deconvolution reach different pixels
            rows = (inside == columns).all(axis=1)
            part = moments.part(rows, columns)
            fitted = part.fitted(given[np.ix_(rows, columns)])
            unit = np.array([units_of(k, b, None, kernel_bits, reach) for k, b in zip(fitted, bias[rows], strict=True)])
            found[np.ix_(rows, columns)] = (
                part.rounded(fitted * unit[:, None], 2 ** (kernel_bits - 1) - 1) / unit[:, None]
            )
            units[stage.name][rows] = unit
        bias = moments.sums - found @ moments.seen
        found = found.reshape(kernel.shape)
        if stage.kind == "deconvolution":
            arrays["deconvolution.weight"] = _as_deconvolution(found / step[:, None, None], weights)
            arrays["deconvolution.bias"] = np.array([bias.mean()], np.float32)
            break
        arrays[f"{stage.name}.weight"] = (found / step[:, None, None]).astype(np.float32)
        arrays[f"{stage.name}.bias"] = bias.astype(np.float32)
        slope = arrays[f"{stage.name}.prelu"].astype(np.float64)
        exact = [_prelu(plane, slope) for plane in wanted]
        features = [_prelu(convolve(plane, found) + bias[:, None, None], slope) for plane in whole]
        if stage.name not in steps:
            steps[stage.name] = _best_steps(features, levels)
        step = steps[stage.name]
        whole = [_whole(plane, step, levels) for plane in features]
        reach = levels
    return Calibration(Weights(weights.architecture, arrays), steps, units)


def lumas_of(folder: Path, scale: int) -> list[Float64]:
    """The middle, up to 64×64 LR pixels, of up to 16 pictures spread over a folder, shrunk as the protocol `paper` does it.

    Raises:
        ImageError: the folder holds no picture, or one of them cannot be read or is smaller than an LR pixel.
    """
    pictures = find(folder).pictures
    middles = []
    for path in pictures[:: -(-len(pictures) // MOST_PICTURES)]:
        hr = protocol.hr_luma(protocol.read_8bit(path))
        if min(hr.shape) < scale:
            raise ImageError(f"{path}, of {hr.shape[1]}×{hr.shape[0]} pixels, has no LR pixel at ×{scale}")
        lr = protocol.shrunk(modcrop(hr, scale), scale)
        top, left = (max(0, (length - SIDE) // 2) for length in lr.shape)
        middles.append(lr[top : top + SIDE, left : left + SIDE])
    return middles


def leaves() -> list[Float64]:
    """(64, 64) planes of discs, each where those before it leave room; a disc's radius is r or more with probability (2 / r)²."""
    generator = np.random.default_rng(0)
    fine = 4 * SIDE
    centres = np.arange(fine)
    planes = []
    for _ in range(SHEETS):
        drawn, bare = np.zeros((fine, fine)), np.ones((fine, fine), np.bool_)
        while bare.any():
            radius = SMALLEST_LEAF / np.sqrt(generator.random() + (SMALLEST_LEAF / fine) ** 2)
            row, column = generator.random(2) * (fine + 2 * radius) - radius
            leaf = bare & ((centres[:, None] - row) ** 2 + (centres - column) ** 2 < radius**2)
            drawn[leaf] = generator.random()
            bare &= ~leaf
        shrunk = drawn.reshape(SIDE, 4, SIDE, 4).mean(axis=(1, 3))
        planes.append(np.clip(shrunk + TEXTURE * (generator.random((SIDE, SIDE)) - 0.5), 0, 1))
    return planes


class _Moments(NamedTuple):
    """What a stage saw, and what it should have made of it: means over all pixels.

    Attributes:
        seen: (in·k²,) whole numbers below a kernel.
        sums: (out,) the float network's.
        power: (in·k², in·k²) covariance of what was seen.
        shared: (out, in·k²) covariance of both.
    """

    seen: Float64
    sums: Float64
    power: Float64
    shared: Float64

    @classmethod
    def of(cls, whole: Sequence[Float64], wanted: Sequence[Float64], side: int) -> _Moments:
        """Planes (in, h, w) and (out, h, w)."""
        width, outputs = len(whole[0]) * side**2, len(wanted[0])
        seen, sums = np.zeros(width), np.zeros(outputs)
        power, shared = np.zeros((width, width)), np.zeros((outputs, width))
        for plane, goal in zip(whole, wanted, strict=True):
            below, flat = _columns(plane, side), goal.reshape(outputs, -1)
            seen += below.sum(axis=1)
            sums += flat.sum(axis=1)
            power += (
                below @ below.T
            )  # at most 2^30 a product, whole, so that the order of the additions does not matter
            shared += flat @ below.T
        pixels = sum(plane[0].size for plane in whole)
        seen, sums = seen / pixels, sums / pixels
        return cls(seen, sums, power / pixels - np.outer(seen, seen), shared / pixels - np.outer(sums, seen))

    def part(self, rows: Bool, columns: Bool) -> _Moments:
        """Of some outputs, which see some inputs."""
        return _Moments(
            self.seen[columns],
            self.sums[rows],
            self.power[np.ix_(columns, columns)],
            self.shared[np.ix_(rows, columns)],
        )

    def fitted(self, given: Float64) -> Float64:
        """(out, in·k²) kernels that make the wanted sums of what was seen, of least squared error; not far from those given."""
        error = self.shared - given @ self.power
        moved: Float64 = given + np.linalg.solve(self._held(RIDGE), error.T).T
        return moved

    def rounded(self, kernels: Float64, limit: int) -> Float64:
        """(out, in·k²) kernels in whole numbers of at most `limit`.

        The inputs of most power come first. What is lost on one is made up for by those behind it: with U the upper triangle of which
        U'·U is the inverse of `power`, an error e of weight j moves weight k > j by -e · U[j, k] / U[j, j].
        """
        order = np.argsort(-np.diag(self.power), kind="stable")
        inverse = np.linalg.inv(self._held(DAMPING)[np.ix_(order, order)])
        upper = np.linalg.cholesky(inverse).T
        left = kernels[:, order]
        whole = np.empty_like(left)
        for j in range(len(order)):
            whole[:, order[j]] = np.clip(np.rint(left[:, j]), -limit, limit)
            lost = (left[:, j] - whole[:, order[j]]) / upper[j, j]
            left[:, j + 1 :] -= lost[:, None] * upper[j, j + 1 :]
        return whole

    def _held(self, part: float) -> Float64:
        """The power with a part of its mean on the diagonal, which makes it invertible where some input never changes."""
        diagonal = np.diag(self.power)
        held: Float64 = self.power + np.diag(np.full(len(diagonal), part * diagonal.mean() + 1e-9))
        return held


def _widest(weights: Weights) -> int:
    """How many weights one output of a stage has, zeros around a phase's included."""
    taps = phase_taps(weights.architecture).shape[-1]
    sides = {
        stage.name: taps if stage.kind == "deconvolution" else stage.kernel for stage in weights.architecture.stages
    }
    return max(stage.channels_in * sides[stage.name] ** 2 for stage in weights.architecture.stages)


def _as_convolution(stage: Stage, weights: Weights) -> tuple[Float64, Float64, Bool]:
    """A stage's (out, in, k, k) kernels, (out,) biases, and (out, in·k²) which weights are its own, not zeros around a phase's."""
    architecture = weights.architecture
    bias = weights.arrays[f"{stage.name}.bias"].astype(np.float64)
    if stage.kind == "convolution":
        kernel = weights.arrays[f"{stage.name}.weight"].astype(np.float64)
        return kernel, bias, np.ones((len(kernel), kernel[0].size), np.bool_)
    kernel = phase_kernels(weights).astype(np.float64)
    inside = phase_taps(architecture)[:, None] < architecture.deconvolution_kernel**2
    return kernel, np.repeat(bias, len(kernel)), np.broadcast_to(inside, kernel.shape).reshape(len(kernel), -1)


def _as_deconvolution(phases: Float64, weights: Weights) -> Float32:
    """(scale², d, taps, taps) phase kernels as the deconvolution's (d, 1, k, k)."""
    architecture = weights.architecture
    side = architecture.deconvolution_kernel
    flat = np.zeros((architecture.d, side * side + 1), np.float32)
    flat[:, phase_taps(architecture)] = phases.swapaxes(0, 1)
    return np.ascontiguousarray(flat[:, :-1]).reshape(-1, 1, side, side)


def _columns(plane: Float64, side: int) -> Float64:
    """(in, h, w) to (in·k², h·w): what a kernel has below it at each pixel, zeros around the plane."""
    reach = side // 2
    padded = np.pad(plane, ((0, 0), (reach, reach), (reach, reach)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))  # (in, h, w, k, k)
    below: Float64 = windows.transpose(0, 3, 4, 1, 2).reshape(len(plane) * side**2, -1)
    return below


def _prelu(sums: Float64, slope: Float64) -> Float64:
    """(channels, h, w)"""
    features: Float64 = np.where(sums < 0, sums * slope[:, None, None], sums)
    return features


def _best_steps(features: Sequence[Float64], levels: int) -> Float64:
    """(channels,) steps of least squared error, for (channels, h, w) planes in whole numbers from -levels to levels - 1."""
    flat = np.concatenate([plane.reshape(len(plane), -1) for plane in features], axis=1)
    largest = np.abs(flat).max(axis=1).astype(np.float32).astype(np.float64)  # without the last bits, a BLAS's
    largest[largest == 0] = 1  # a dead channel: any step will do
    best: Float64 = np.empty_like(largest)
    least = np.full(len(flat), np.inf)
    for part in PARTS:
        step = part * largest / (levels - 1)
        error = ((_whole(flat, step, levels) * step[:, None] - flat) ** 2).mean(axis=1)
        better = error < least
        best[better], least[better] = step[better], error[better]
    return best


def _whole(features: Float64, step: Float64, levels: int) -> Float64:
    """(channels, …) rounded to their channels' steps and clipped, as `IntegerModel.run` does it."""
    in_steps = features / step.reshape(-1, *(1,) * (features.ndim - 1))
    rounded: Float64 = np.clip(np.floor(in_steps + 0.5), -levels, levels - 1)
    return rounded
