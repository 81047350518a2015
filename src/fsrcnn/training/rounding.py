"""Training through the rounding: the forward pass of an `IntegerModel`, with a gradient.

Rounding has no slope to follow, so the gradient passes it as if it were not there (the straight-through estimator: Bengio et al. 2013,
arXiv 1308.3432; Jacob et al. 2018, arXiv 1712.05877), and stops where a number is clipped. What 1 stands for in features and sums
stays as `calibration.py` found it; a channel that wants another step gets larger weights before it and smaller ones behind.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fsrcnn.calibration import Calibration
from fsrcnn.engines.torch import Network
from fsrcnn.integer import (
    FACTOR_BITS,
    LARGEST_LEVEL,
    MULTIPLIER_BITS,
    SUM_BITS,
    WHITE,
    IntegerModel,
    format_of,
)
from fsrcnn.weights import Weights


class Rounding(nn.Module):
    """An integer model as a function of float arrays.

    In float64 it gives what `IntegerModel.run` gives, to the last bit. In float32, as it is trained, sums are right to 24 bits, and a
    few features, whose sums lie at the edge between two whole numbers, differ.
    """

    def __init__(self, network: Network, format: str, calibration: Calibration) -> None:
        """
        Args:
            network: whose architecture is trained.
            format: a name in `integer.FORMATS`.
            calibration: of the weights that training starts from.
        """
        super().__init__()
        self.format = format
        kernel_bits, feature_bits = format_of(format)
        self.limit, self.levels = 2 ** (kernel_bits - 1) - 1, 2 ** (feature_bits - 1)
        self.stages, self.phase_kernel_of = network.stages, network.phase_kernel_of
        for kind, found in (("step", calibration.steps), ("unit", calibration.units)):
            for stage, values in found.items():
                self.register_buffer(_buffer(stage, kind), torch.from_numpy(values).to(torch.float64))

    def forward(self, lr: Tensor, arrays: dict[str, Tensor]) -> Tensor:
        """(n, 1, h, w) luma in [0, 1] to (n, scale², h, w) luma in steps of 1/1020, clipped to what 10 bits hold."""
        x = ((lr.clamp(0, 1) * WHITE) + 0.5).floor()
        step = lr.new_full((1,), 1 / WHITE)
        reach = LARGEST_LEVEL
        for stage in self.stages:
            wanted = self._get(stage, "step", lr)
            sums, unit = self._sums(x, stage, arrays[f"{stage}.weight"], arrays[f"{stage}.bias"], step, reach)
            ratio = 1 / (unit * wanted)
            positive, negative = _multipliers(torch.stack([ratio, ratio * arrays[f"{stage}.prelu"]]))
            x = _through(sums * torch.where(sums < 0, _wide(negative), _wide(positive)), halves_up=True)
            x = x.clamp(-self.levels, self.levels - 1)
            step, reach = wanted, self.levels
        kernel = self.phase_kernel_of(arrays["deconvolution.weight"])
        sums, unit = self._sums(
            x, "deconvolution", kernel, arrays["deconvolution.bias"].expand(len(kernel)), step, reach
        )
        sr = _through(sums * _wide(_multipliers(WHITE / unit)), halves_up=True)
        return sr.clamp(0, LARGEST_LEVEL) / WHITE

    def model(self, weights: Weights) -> IntegerModel:
        """What `forward` computes with these weights.

        Raises:
            UsageError: they no longer fit into the format.
        """
        found: dict[str, dict[str, Tensor]] = {"step": {}, "unit": {}}
        for stage in weights.architecture.stages:
            for kind, buffers in found.items():
                if hasattr(self, _buffer(stage.name, kind)):
                    buffers[stage.name] = getattr(self, _buffer(stage.name, kind))
        steps, units = ({stage: values.cpu().numpy() for stage, values in found[kind].items()} for kind in found)
        return IntegerModel.of(weights, self.format, steps, units)

    def _sums(
        self, x: Tensor, stage: str, weight: Tensor, bias: Tensor, step: Tensor, reach: int
    ) -> tuple[Tensor, Tensor]:
        """Of a stage, in the bits that are multiplied; and in what units they are, as `integer.units_of` says it."""
        kernel = weight * step.view(1, -1, 1, 1)
        with torch.no_grad():
            slack = 0.5 * (reach * kernel[0].numel() + 1) + 2 ** (SUM_BITS - FACTOR_BITS)
            largest = kernel.abs().sum(dim=(1, 2, 3)) * reach + bias.abs()
            unit = self._get(stage, "unit", x).minimum((2 ** (SUM_BITS - 1) - 1 - slack) / largest.clamp(min=1e-30))
        whole = _through(kernel * unit.view(-1, 1, 1, 1)).clamp(-self.limit, self.limit)
        shift = _through(bias * unit)
        with torch.no_grad():
            most = (whole.abs().sum(dim=(1, 2, 3)) * reach + shift.abs()).max()
            before = (_bits(most) - FACTOR_BITS).clamp(min=0)
            cut = 2.0 ** (before + (_bits(most + 2.0**before / 2) - FACTOR_BITS > before))
        sums = F.conv2d(x, whole, shift, padding=weight.shape[-1] // 2)
        return _through(sums / cut, halves_up=True) * cut, unit

    def _get(self, stage: str, kind: str, like: Tensor) -> Tensor:
        return cast(Tensor, getattr(self, _buffer(stage, kind))).to(like.dtype)


def _through(x: Tensor, *, halves_up: bool = False) -> Tensor:
    """Rounded, with the gradient of `x`; x + (rounded - x) is exact."""
    return x + ((x + 0.5).floor() - x if halves_up else x.round() - x).detach()


def _multipliers(real: Tensor) -> Tensor:
    """As they come out of a stage's multipliers of 18 bits, which share a shift."""
    with torch.no_grad():
        after = ((2 ** (MULTIPLIER_BITS - 1) - 1) / real.abs().max().clamp(min=1e-30)).log2().floor()
    nearest: Tensor = _through(real * 2**after) / 2**after
    return nearest


def _bits(magnitude: Tensor) -> Tensor:
    """With sign, of a whole number: 5 has 4."""
    return torch.frexp(magnitude).exponent + 1


def _wide(channels: Tensor) -> Tensor:
    """To multiply (n, channels, h, w) by."""
    return channels.view(1, -1, 1, 1)


def _buffer(stage: str, kind: str) -> str:
    return f"{stage}/{kind}".replace(".", "/")
