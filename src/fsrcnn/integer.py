"""The network in whole numbers from end to end: what a chip core computes, to the last bit.

Luma comes in and goes out in 10-bit levels, 1020 for white's 1.0 (an 8-bit sample times 4). In between, in a format as `w12a12`:

    kernels      12 bits with sign, each output channel (each phase of the deconvolution) in a unit of its own
    features     12 bits with sign, each channel in a unit of its own, which the next kernel takes along
    sums         at most 32 bits with sign; `sum_bits` says how many a stage needs, and that none overflows, in any order
    requantising sum >> before   : 25 bits with sign; the bias brings the half that rounds it
                 · multiplier    : 18 bits with sign, one for sums from zero up, one (the PReLU's) for sums below
                 + half, >> after: rounded, then clipped to a feature's 12 bits, or to luma's 0 … 1023

25 × 18 bits are one multiplier of a Xilinx DSP48 slice. `IntegerModel.run` is the definition. Other arithmetic of this
package that has a definition of its own is `fixed_point.py`'s, whose multipliers are floats.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors.numpy

from fsrcnn import files
from fsrcnn.architecture import Architecture
from fsrcnn.arrays import Array, Float64, Int64
from fsrcnn.errors import UsageError, WeightsError
from fsrcnn.fixed_point import convolve, largest_features
from fsrcnn.weights import (
    FORMAT_KEY,
    INTEGER_KIND,
    KIND,
    KIND_KEY,
    METADATA_KEY,
    Weights,
    architecture_of,
    contents,
    in_order,
    opened,
)

WHITE = 1020  # the level of 1.0
LEVEL_BITS = 10
LARGEST_LEVEL = 2**LEVEL_BITS - 1
SUM_BITS = 32  # of the largest sums allowed
FACTOR_BITS = 25  # of a sum before it is multiplied
MULTIPLIER_BITS = 18
STEEPEST = 128  # times the multiplier of most channels of a stage, which so keep 10 of their 17 bits
LARGEST_SHIFT = FACTOR_BITS + MULTIPLIER_BITS - 2  # beyond it, every product is rounded to zero
SHIFTS_KEY = "fsrcnn.shifts"  # in the metadata of a file: stage → [before, after] of its `Requantising`, in JSON


class Format(NamedTuple):
    """How many bits with sign the kernels and the features have."""

    kernel_bits: int
    feature_bits: int


FORMATS = {
    "w16a14": Format(16, 14), "w12a12": Format(12, 12), "w10a12": Format(10, 12), "w8a16": Format(8, 16), "w8a8": Format(8, 8),
}  # fmt: skip


def format_of(name: str, argument: str = "format") -> Format:
    """
    Raises:
        UsageError: no such format; `argument` is where it was given.
    """
    if name not in FORMATS:
        raise UsageError(f"is {', '.join(FORMATS)}, not {name!r}", argument=argument)
    return FORMATS[name]


class Requantising(NamedTuple):
    """From a stage's sums to its whole numbers.

    Attributes:
        before: bits that are cut off a sum.
        positive, negative: (out,): what is multiplied with the rest from zero up and below; equal for the deconvolution.
        after: bits that are rounded off the product.
    """

    before: int
    positive: Int64
    negative: Int64
    after: int


@dataclass(frozen=True, eq=False)
class IntegerModel:
    """A network in whole numbers, checked when made.

    Attributes:
        architecture: what the arrays mean.
        format: a name in `FORMATS`.
        kernels: stage → (out, in, k, k); deconvolution (d, 1, k, k).
        biases: stage → (out,) in units of the sums; deconvolution (scale²,), phase `scale*y + x` being that of HR pixels
            (scale·i + y, scale·j + x).
        requantising: stage → how its sums become features, or luma; (scale²,) multipliers for the deconvolution.

    Raises:
        UsageError: no such format.
        WeightsError: an array is missing, surplus, misshapen or not int64, the deconvolution has two multipliers for a phase, or a
            number is so large that something could overflow.
    """

    architecture: Architecture
    format: str
    kernels: dict[str, Int64]
    biases: dict[str, Int64]
    requantising: dict[str, Requantising]

    def __post_init__(self) -> None:
        format = format_of(self.format)
        a = self.architecture
        names = [stage.name for stage in a.stages]
        for name in (*self.kernels, *self.biases, *self.requantising):
            if name not in names:
                raise WeightsError(f"the integer model holds a stage {name} that {a} does not have")
        for stage in a.stages:
            name, last = stage.name, stage.kind == "deconvolution"
            outputs = a.scale**2 if last else stage.channels_out
            if not (name in self.kernels and name in self.biases and name in self.requantising):
                raise WeightsError(f"the integer model misses the stage {name}")
            rule = self.requantising[name]
            expected = {"kernel": (self.kernels[name], a.array_shapes[f"{name}.weight"])}
            for part, array in ("bias", self.biases[name]), ("positive", rule.positive), ("negative", rule.negative):
                expected[part] = (array, (outputs,))
            for part, (array, shape) in expected.items():
                if array.shape != shape:
                    raise WeightsError(f"{name}.{part} has shape {array.shape}, the architecture says {shape}")
                if array.dtype != np.int64:
                    raise WeightsError(f"{name}.{part} is {array.dtype}, not int64")
            _bounded(f"{name}.kernel", self.kernels[name], format.kernel_bits)
            for part in ("positive", "negative"):
                _bounded(f"{name}.{part}", getattr(rule, part), MULTIPLIER_BITS)
            _bounded(f"{name}.bias", self.biases[name], SUM_BITS)
            needed = self.sum_bits(name)
            if needed > SUM_BITS:
                raise WeightsError(
                    f"the sums of {name} could need {needed} bits, and {SUM_BITS} are the most that a core has"
                )
            if last and (rule.positive != rule.negative).any():
                raise WeightsError(f"{name} has another multiplier for sums below zero, where a phase has one for all")
            if not (_whole(rule.before) and _whole(rule.after)):
                raise WeightsError(
                    f"{name} is shifted by whole numbers of bits, not {rule.before!r} and {rule.after!r}"
                )
            if not 0 <= rule.before < needed or needed - rule.before > FACTOR_BITS:
                raise WeightsError(
                    f"the sums of {name} have {needed} bits, of which {rule.before} are cut off; 1 to {FACTOR_BITS} must be left"
                )
            if not 1 <= rule.after <= LARGEST_SHIFT:
                raise WeightsError(f"{name} rounds {rule.after} bits off; 1 to {LARGEST_SHIFT} are allowed")

    @classmethod
    def of(
        cls,
        weights: Weights,
        format: str,
        steps: dict[str, Float64] | None = None,
        units: dict[str, Float64] | None = None,
    ) -> IntegerModel:
        """Each number of float weights rounded to the nearest whole one; `calibration.quantised` finds better ones.

        Args:
            weights: the network.
            format: a name in `FORMATS`.
            steps: convolution → (out,) what 1 stands for in each of its features; none is clipped on `fixed_point.sheet` by default,
                which drives a network further than pictures do.
            units: stage → (out,) how many units of a sum stand for 1.0, (scale²,) for the deconvolution; as many as fit by default,
                and where these are more.

        Raises:
            UsageError: no such format, or the network's numbers do not fit into it.
        """
        kernel_bits, feature_bits = format_of(format)
        levels = 2 ** (feature_bits - 1)
        if steps is None:
            steps = {stage: largest / (levels - 1) for stage, largest in largest_features(weights).items()}
        architecture, arrays = weights.architecture, weights.arrays
        kernels, biases, requantising = {}, {}, {}
        step = np.array([1 / WHITE])  # what 1 stands for in each channel of a stage's input
        reach, limit = LARGEST_LEVEL, 2 ** (kernel_bits - 1) - 1
        for stage in (convolution.name for convolution in architecture.convolutions):
            kernel = arrays[f"{stage}.weight"].astype(np.float64) * step[None, :, None, None]
            bias = arrays[f"{stage}.bias"].astype(np.float64)
            wished = units[stage] if units else [None] * len(kernel)
            unit = np.array([units_of(*row, kernel_bits, reach) for row in zip(kernel, bias, wished, strict=True)])
            kernels[stage] = np.clip(np.rint(kernel * unit[:, None, None, None]), -limit, limit).astype(np.int64)
            whole = np.rint(bias * unit).astype(np.int64)
            step = steps[stage]
            slope = arrays[f"{stage}.prelu"].astype(np.float64)
            rows = list(kernels[stage])
            biases[stage], requantising[stage] = _requantised(stage, rows, whole, reach, 1 / (unit * step), slope)
            reach = levels
        scale = architecture.scale
        last = arrays["deconvolution.weight"][:, 0].astype(np.float64) * step[:, None, None]
        offset = float(arrays["deconvolution.bias"][0])
        phases = _phases(architecture)
        wished = units["deconvolution"] if units else [None] * len(phases)
        rows = [last[:, y[:, None], x] for y, x in phases]
        unit = np.array(
            [units_of(row, offset, wish, kernel_bits, reach) for row, wish in zip(rows, wished, strict=True)]
        )
        rows = [
            np.clip(np.rint(row * per), -limit, limit).astype(np.int64) for row, per in zip(rows, unit, strict=True)
        ]
        deconvolution = np.empty(last.shape, np.int64)
        for (y, x), row in zip(phases, rows, strict=True):
            deconvolution[:, y[:, None], x] = row
        kernels["deconvolution"] = deconvolution[:, None]
        biases["deconvolution"], requantising["deconvolution"] = _requantised(
            "deconvolution", rows, np.rint(offset * unit).astype(np.int64), reach, WHITE / unit, np.ones(scale**2)
        )
        return cls(architecture, format, kernels, biases, requantising)

    @property
    def kernel_bits(self) -> int:
        """Of each weight, with sign."""
        return FORMATS[self.format].kernel_bits

    @property
    def feature_bits(self) -> int:
        """Of each channel of a feature map, with sign."""
        return FORMATS[self.format].feature_bits

    def reach(self, stage: str) -> int:
        """The largest magnitude of what goes into a stage."""
        return LARGEST_LEVEL if stage == "feature_extraction" else 1 << (self.feature_bits - 1)

    def sum_bits(self, stage: str) -> int:
        """How many bits with sign hold every sum of a stage, and every part of one: Σ|kernel| · reach + |bias| is the largest.

        One weight of 3 and one of -2 of 12-bit features and a bias of 5: 5 · 2048 + 5 = 10,245 < 2^14, so 15 bits.
        """
        kernel = np.abs(self.kernels[stage])
        if stage == "deconvolution":
            totals = [int(kernel[:, 0, y[:, None], x].sum()) for y, x in _phases(self.architecture)]
        else:
            totals = [int(total) for total in kernel.sum(axis=(1, 2, 3))]
        most = max(
            total * self.reach(stage) + abs(int(bias)) for total, bias in zip(totals, self.biases[stage], strict=True)
        )
        return most.bit_length() + 1

    def save(self, path: str | Path, *, overwrite: bool = True) -> None:
        """Write a safetensors file, beside its name first and then renamed, so that a kill leaves no half file.

        The same model gives the same bytes.

        Args:
            path: of the file.
            overwrite: replace an existing one.

        Raises:
            WeightsError: the file cannot be written.
        """
        files.write(Path(path), self.to_bytes(), WeightsError, replace=overwrite)

    def to_bytes(self) -> bytes:
        """The file that `save` writes: arrays as `_stored` names them, the rest in the metadata."""
        arrays = {}
        for name, dtype in _stored(self.architecture, FORMATS[self.format]).items():
            stage, _, part = name.rpartition(".")
            whole = {"kernel": self.kernels, "bias": self.biases}.get(part)
            arrays[name] = (getattr(self.requantising[stage], part) if whole is None else whole[stage]).astype(dtype)
        shifts = {stage: [rule.before, rule.after] for stage, rule in self.requantising.items()}
        metadata = {
            KIND_KEY: INTEGER_KIND, METADATA_KEY: json.dumps(asdict(self.architecture)), FORMAT_KEY: self.format,
            SHIFTS_KEY: json.dumps(shifts, sort_keys=True),
        }  # fmt: skip
        return in_order(safetensors.numpy.save(arrays, metadata))

    def run(self, lr: Int64, watch: Callable[[str, Int64], None] | None = None) -> Int64:
        """(h, w) luma levels 0 … 1023 to (scale*h, scale*w) levels 0 … 1023.

        Args:
            lr: whole numbers.
            watch: is given each convolution's name and features (out, h, w), in the order of computation.
        """
        limit = 2 ** (self.feature_bits - 1)
        x = lr.astype(np.int64)[None]
        for stage in (convolution.name for convolution in self.architecture.convolutions):
            sums = convolve(x, self.kernels[stage]).astype(np.int64) + self.biases[stage][:, None, None]
            x = np.clip(_rounded(sums, self.requantising[stage]), -limit, limit - 1)
            if watch:
                watch(stage, x)
        scale, crop, side = self.architecture.scale, self.architecture.crop, self.architecture.deconvolution_kernel
        height, width = lr.shape
        canvas = np.zeros((scale * (height - 1) + side, scale * (width - 1) + side), np.int64)
        for dy in range(side):
            for dx in range(side):
                stamp = np.tensordot(
                    self.kernels["deconvolution"][:, 0, dy, dx].astype(np.float64), x.astype(np.float64), 1
                )
                canvas[dy : dy + scale * height : scale, dx : dx + scale * width : scale] += stamp.astype(np.int64)
        cropped = canvas[crop : crop + scale * height, crop : crop + scale * width]
        # (h, scale, w, scale) → (scale², h, w): each phase has a multiplier of its own, as each channel of a convolution has.
        phases = cropped.reshape(height, scale, width, scale).transpose(1, 3, 0, 2).reshape(-1, height, width)
        sums = phases + self.biases["deconvolution"][:, None, None]
        levels = np.clip(_rounded(sums, self.requantising["deconvolution"]), 0, LARGEST_LEVEL)
        sr: Int64 = (
            levels.reshape(scale, scale, height, width).transpose(2, 0, 3, 1).reshape(scale * height, scale * width)
        )
        return sr


def load(path: str | Path) -> IntegerModel:
    """Read a file that `IntegerModel.save` wrote; nothing in it is ever executed.

    Raises:
        WeightsError: no such file, not one of an integer model, or one whose numbers were edited: beyond their bits, or so that a sum
            could overflow.
    """
    return from_bytes(contents(path), str(path))


def from_bytes(data: bytes, source: str) -> IntegerModel:
    """`load` for bytes already in memory; `source` names them in error messages.

    Raises:
        WeightsError: as `load`.
    """
    arrays, metadata = opened(data, source)
    kind = metadata.get(KIND_KEY, KIND)
    if kind == KIND and METADATA_KEY in metadata:
        raise WeightsError(f"{source} holds float weights, no integer model", "`fsrcnn quantize` makes one of them")
    if kind != INTEGER_KIND:
        raise WeightsError(f"{source} holds no integer model; `fsrcnn quantize` writes files of them")
    architecture = architecture_of(metadata, source)
    try:
        format = format_of(metadata.get(FORMAT_KEY, ""))
        shifts = _shifts(metadata.get(SHIFTS_KEY, ""), architecture)
        expected = _stored(architecture, format)
        for name in (name for name in arrays if name not in expected):
            raise WeightsError(f"an integer model of {architecture} has no array {name}")
        whole = {name: _read(name, arrays, dtype) for name, dtype in expected.items()}
        names = [stage.name for stage in architecture.stages]
        return IntegerModel(
            architecture,
            metadata[FORMAT_KEY],
            {name: whole[f"{name}.kernel"] for name in names},
            {name: whole[f"{name}.bias"] for name in names},
            {
                name: Requantising(
                    before, whole[f"{name}.positive"], whole.get(f"{name}.negative", whole[f"{name}.positive"]), after
                )
                for name, (before, after) in shifts.items()
            },
        )
    except UsageError as error:
        raise WeightsError(f"{source}: {error}") from None
    except WeightsError as error:
        raise error.named(source) from None


def eight_bit(levels: Int64) -> Int64:
    """10-bit levels as 8-bit ones, 0 … 255: a quarter, halves up."""
    quarter: Int64 = np.minimum((levels + 2) >> 2, 255)
    return quarter


def _rounded(sums: Int64, rule: Requantising) -> Int64:
    """(out, h, w) sums times their channels' multipliers, not yet clipped."""
    factor = sums >> rule.before
    multiplier = np.where(factor < 0, rule.negative[:, None, None], rule.positive[:, None, None])
    rounded: Int64 = (factor * multiplier + (1 << (rule.after - 1))) >> rule.after
    return rounded


def _whole(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)


def _stored(architecture: Architecture, format: Format) -> dict[str, np.dtype[np.signedinteger]]:
    """The arrays of a file, and as what each is stored.

    `STAGE.kernel` in 8 or 16 bits, the fewest that hold the format's; `STAGE.bias`, `STAGE.positive` and `STAGE.negative` in 32. The
    deconvolution has no `negative`: its multipliers are the same for sums below zero.
    """
    stored: dict[str, np.dtype[np.signedinteger]] = {}
    for stage in architecture.stages:
        stored[f"{stage.name}.kernel"] = np.dtype(np.int8 if format.kernel_bits <= 8 else np.int16)
        for part in ("bias", "positive", "negative"):
            if part != "negative" or stage.kind == "convolution":
                stored[f"{stage.name}.{part}"] = np.dtype(np.int32)
    return stored


def _read(name: str, arrays: Mapping[str, Array], dtype: np.dtype[np.signedinteger]) -> Int64:
    if name not in arrays:
        raise WeightsError(f"the integer model misses the array {name}")
    if arrays[name].dtype != dtype:
        raise WeightsError(f"{name} is {arrays[name].dtype}, not {dtype}")
    return arrays[name].astype(np.int64)


def _shifts(text: str, architecture: Architecture) -> dict[str, tuple[int, int]]:
    """Stage → before and after, from the metadata of a file."""
    names = [stage.name for stage in architecture.stages]
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or sorted(found) != sorted(names):
        raise WeightsError(f"{SHIFTS_KEY} is no list of two shifts for each stage of {architecture}")
    for name, pair in found.items():
        if not (isinstance(pair, list) and len(pair) == 2 and all(map(_whole, pair))):
            raise WeightsError(f"{SHIFTS_KEY} of {name} is two whole numbers, not {pair!r}")
    return {name: (found[name][0], found[name][1]) for name in names}


def _phases(architecture: Architecture) -> list[tuple[Int64, Int64]]:
    """For each phase of HR pixels the rows and the columns of the deconvolution's kernel that reach it."""
    scale, side = architecture.scale, architecture.deconvolution_kernel
    taps = [np.arange((phase + architecture.crop) % scale, side, scale) for phase in range(scale)]
    return [(y, x) for y in taps for x in taps]


def units_of(kernel: Float64, bias: float, wished: float | None, kernel_bits: int, reach: int) -> float:
    """How many units of a sum stand for 1.0, for the kernel and the bias that make one output.

    Args:
        kernel: what 1 in each channel of what goes in adds to the output.
        bias: of the output.
        wished: units; as many as the kernel's bits hold without clipping it by default. Fewer, where the sums could overflow.
        kernel_bits: of the format.
        reach: the largest magnitude of what goes in.

    Raises:
        UsageError: the sums could overflow whatever the units.
    """
    # Rounding may add half a unit to the bias and to each weight that is not zero; the bias takes half of what is cut off, too.
    slack = 0.5 * (reach * np.count_nonzero(kernel) + 1) + 2 ** (SUM_BITS - FACTOR_BITS)
    by_sum = (2 ** (SUM_BITS - 1) - 1 - slack) / max(1e-30, float(np.abs(kernel).sum()) * reach + abs(bias))
    if by_sum <= 0:
        raise UsageError(f"this network is too wide for sums of {SUM_BITS} bits", "make d or s smaller")
    by_kernel = (2 ** (kernel_bits - 1) - 1) / max(1e-30, float(np.abs(kernel).max()))
    units: float = min(by_kernel if wished is None else wished, by_sum, 1e30)
    return units


def _requantised(
    stage: str, kernels: Sequence[Int64], bias: Int64, reach: int, ratio: Float64, slope: Float64
) -> tuple[Int64, Requantising]:
    """The bias with its half, and the rule by which the sums of (out,) channels become `ratio` times as large."""
    totals = np.array([int(np.abs(kernel).sum()) for kernel in kernels])
    most = int((totals * reach + np.abs(bias)).max())
    before = max(0, most.bit_length() + 1 - FACTOR_BITS)
    if before and (most + (1 << before - 1)).bit_length() + 1 - FACTOR_BITS > before:
        before += 1
    real = np.stack([ratio, ratio * slope]) * 2.0**before
    # A channel whose sums are all negative, and whose slope is all but zero, has a tiny step, and so a multiplier beyond all others
    # for sums from zero up, which it never has. It must not take the shift that they share: `STEEPEST` times the usual one is enough.
    gentle, steep = np.sort(np.abs(real), axis=0)
    live = np.sort(steep[totals > 0]) if totals.any() else steep
    enough = STEEPEST * live[(len(live) - 1) // 2]
    largest = float(np.where(steep > enough, np.maximum(gentle, enough), steep).max())
    limit = 2 ** (MULTIPLIER_BITS - 1) - 1
    after = min(LARGEST_SHIFT, int(np.floor(np.log2(limit / max(largest, 1e-30)))))
    if after < 1:
        raise UsageError(
            f"the sums of {stage} are too small beside its features for multipliers of {MULTIPLIER_BITS} bits"
        )
    positive, negative = np.rint(np.clip(real * 2.0**after, -limit, limit)).astype(np.int64)
    return bias + (1 << before >> 1), Requantising(before, positive, negative, after)


def _bounded(name: str, array: Int64, bits: int) -> None:
    least, most = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    if array.size and (array.min() < least or array.max() > most):
        raise WeightsError(f"{name} goes beyond {bits} bits with sign: {array.min()} to {array.max()}")
