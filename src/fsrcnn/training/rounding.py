"""Training through the rounding: the features of an integer model, with a gradient.

Rounding has no slope to follow, so the gradient passes it as if it were not there (the straight-through estimator: Bengio et al. 2013,
arXiv 1308.3432; Jacob et al. 2018, arXiv 1712.05877), and stops where a number is clipped. What 1 stands for in a feature stays as
`calibration.py` found it; a channel that wants another step gets larger weights before it and smaller ones behind.

Kernels are trained as they are, and rounded by `calibration.py` where the network is validated and saved: there the weights of a
kernel make up for each other, which costs less than to round each of them at every update (recipes/README.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fsrcnn.arrays import Array, Float64
from fsrcnn.calibration import calibrated
from fsrcnn.engines.integer import HALF
from fsrcnn.engines.torch import Network
from fsrcnn.integer import LARGEST_LEVEL, WHITE, IntegerModel, format_of
from fsrcnn.weights import Weights


class Rounding(nn.Module):
    """A network as a function of its arrays, its features rounded and clipped as those of an integer model are.

    Kernels and multipliers are not rounded here, so that features of the integer model come out a step beside in places.
    """

    def __init__(self, network: Network, format: str, steps: dict[str, Float64], lumas: Sequence[Array]) -> None:
        """
        Args:
            network: whose architecture is trained.
            format: a name in `integer.FORMATS`.
            steps: convolution → (out,) what 1 stands for in each of its features.
            lumas: (h, w) LR luma of pictures, on which kernels are rounded.
        """
        super().__init__()
        self.format, self.lumas = format, lumas
        self.levels = 2 ** (format_of(format).feature_bits - 1)
        self.stages, self.phase_kernel_of = network.stages, network.phase_kernel_of
        for stage in self.stages:
            self.register_buffer(_buffer(stage), torch.from_numpy(steps[stage]))

    def forward(self, lr: Tensor, arrays: dict[str, Tensor]) -> Tensor:
        """(n, 1, h, w) luma in [0, 1] to (n, scale², h, w) luma in steps of 1/1020, clipped to what 10 bits hold."""
        x = (lr.float().clamp(0, LARGEST_LEVEL / WHITE) * WHITE + float(HALF)).floor().to(
            lr.dtype
        ) / WHITE  # as `levels_of`
        for stage in self.stages:
            weight, step = arrays[f"{stage}.weight"], self._step(stage).to(lr.dtype).view(1, -1, 1, 1)
            sums = F.conv2d(x, weight, arrays[f"{stage}.bias"], padding=weight.shape[-1] // 2)
            features = torch.where(sums < 0, sums * arrays[f"{stage}.prelu"].view(1, -1, 1, 1), sums)
            x = _rounded(features / step).clamp(-self.levels, self.levels - 1) * step
        kernel = self.phase_kernel_of(arrays["deconvolution.weight"])
        bias = arrays["deconvolution.bias"].expand(len(kernel))
        sr = F.conv2d(x, kernel, bias, padding=kernel.shape[-1] // 2)
        return _rounded(sr * WHITE).clamp(0, LARGEST_LEVEL) / WHITE

    def model(self, weights: Weights) -> IntegerModel:
        """The integer model of these weights.

        Raises:
            UsageError: they no longer fit into the format.
        """
        steps = {stage: self._step(stage).cpu().numpy() for stage in self.stages}
        found = calibrated(weights, self.format, self.lumas, steps)
        return IntegerModel.of(found.weights, self.format, found.steps, found.units)

    def _step(self, stage: str) -> Tensor:
        return cast(Tensor, getattr(self, _buffer(stage)))


def _rounded(x: Tensor) -> Tensor:
    """To whole numbers, halves up, with the gradient of `x`; x + (whole - x) is exact."""
    return x + ((x + 0.5).floor() - x).detach()


def _buffer(stage: str) -> str:
    return f"step/{stage}".replace(".", "/")
