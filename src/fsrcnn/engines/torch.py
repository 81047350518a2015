"""The network in PyTorch: for CUDA and MPS, and for training.

Imported only when asked for, so that upscaling needs no PyTorch.

The deconvolution is computed as what it equals: one small convolution per output phase, then a pixel shuffle
(Shi et al. 2016, "Is the deconvolution layer the same as a convolutional layer?"). The parameter stays the paper's
k×k deconvolution kernel; the phase kernels are read out of it, at each call in training, once in the engine.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt

from fsrcnn.architecture import Architecture
from fsrcnn.errors import MissingExtraError, UsageError
from fsrcnn.weights import Weights

try:
    import torch
    import torch.nn.functional as F
    from torch import Tensor, nn
except ImportError as error:
    raise MissingExtraError(
        "the torch engine needs PyTorch, which is not installed; type: pip install 'fsrcnn[torch]'"
    ) from error


class Network(nn.Module):
    """An FSRCNN as a PyTorch module; its parameters bear the names and shapes of `Architecture.array_shapes`.

    Fresh parameters are drawn from PyTorch's global generator: kernels as He et al. 2015 (for PReLU with slope 0.25),
    the deconvolution with σ = 0.001, biases 0, slopes 0.25 (Dong et al. 2016, §4.1, with their remarks on PReLU).
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.stages = [name.removesuffix(".prelu") for name in architecture.array_shapes if name.endswith(".prelu")]
        # nn.Module forbids dots in parameter names; `arrays` gives the dotted ones back.
        for name, shape in architecture.array_shapes.items():
            self.register_parameter(_attribute(name), nn.Parameter(torch.empty(shape)))
        self.register_buffer("phase_taps", _phase_taps(architecture), persistent=False)
        self.reset()

    def reset(self) -> None:
        """Draw fresh parameters."""
        for name, parameter in self.arrays().items():
            if name == "deconvolution.weight":
                nn.init.normal_(parameter, std=1e-3)
            elif name.endswith(".weight"):
                nn.init.kaiming_normal_(parameter, a=0.25)
            else:
                nn.init.constant_(parameter, 0.25 if name.endswith(".prelu") else 0.0)

    def arrays(self) -> dict[str, nn.Parameter]:
        """The parameters by their names in `Architecture.array_shapes`."""
        return {name: cast(nn.Parameter, getattr(self, _attribute(name))) for name in self.architecture.array_shapes}

    def forward(self, lr: Tensor) -> Tensor:
        """(n, 1, h, w) luma in [0, 1] to (n, 1, scale*h, scale*w), not clipped."""
        return F.pixel_shuffle(self.phases(lr), self.architecture.scale)

    def phases(self, lr: Tensor) -> Tensor:
        """(n, 1, h, w) to (n, scale², h, w): channel `scale*py + px` holds HR pixels (scale*i + py, scale*j + px)."""
        arrays = self.arrays()
        return apply_phases(lr, arrays, self.stages, self.phase_kernel_of(arrays["deconvolution.weight"]))

    def phase_kernel_of(self, deconvolution: Tensor) -> Tensor:
        """A (d, 1, k, k) deconvolution kernel as (scale², d, taps, taps) convolution kernels, one per output phase."""
        kernel = deconvolution.flatten(1)
        padded = torch.cat([kernel, kernel.new_zeros(kernel.shape[0], 1)], dim=1)
        taps = cast(Tensor, self.phase_taps)
        return padded[:, taps.flatten()].view(-1, *taps.shape).transpose(0, 1)

    def to_weights(self) -> Weights:
        """The parameters as plain arrays."""
        arrays = {name: p.detach().to("cpu", torch.float32).numpy().copy() for name, p in self.arrays().items()}
        return Weights(self.architecture, arrays)

    @torch.no_grad()
    def load(self, weights: Weights) -> Network:
        """Take over plain arrays; returns self.

        Raises:
            UsageError: they belong to another architecture.
        """
        if weights.architecture != self.architecture:
            raise UsageError(f"the weights are of {weights.architecture}, the network is {self.architecture}")
        for name, parameter in self.arrays().items():
            parameter.copy_(torch.from_numpy(weights.arrays[name]))
        return self


def apply_phases(
    lr: Tensor, arrays: dict[str, nn.Parameter] | dict[str, Tensor], stages: list[str], kernel: Tensor
) -> Tensor:
    """`Network.phases` as a function of its arrays, so that training can put other tensors in their place."""
    x = lr
    for stage in stages:
        weight = arrays[f"{stage}.weight"]
        x = F.conv2d(x, weight, arrays[f"{stage}.bias"], padding=weight.shape[-1] // 2)
        slope = arrays[f"{stage}.prelu"].to(x.dtype).view(1, -1, 1, 1)
        x = torch.where(x > 0, x, slope * x)
    bias = arrays["deconvolution.bias"].expand(kernel.shape[0])
    return F.conv2d(x, kernel, bias, padding=kernel.shape[-1] // 2)


def _attribute(name: str) -> str:
    return name.replace(".", "_")


def _phase_taps(architecture: Architecture) -> Tensor:
    """(scale², taps, taps) flat positions in the deconvolution kernel; k² stands for "no such tap" (a zero).

    HR row scale*j + p gets from LR row j + r the kernel row scale*(-r) + p + crop, where that exists. `r` runs over
    -reach … reach, the same for all phases, so that one convolution serves them.
    """
    side, scale, crop = architecture.deconvolution_kernel, architecture.scale, architecture.crop
    reach = max((side - 1 - crop) // scale, (scale - 1 + crop) // scale)
    taps = 2 * reach + 1
    index = torch.full((scale * scale, taps, taps), side * side)
    for phase_y in range(scale):
        for phase_x in range(scale):
            for r in range(-reach, reach + 1):
                for c in range(-reach, reach + 1):
                    y, x = phase_y + crop - scale * r, phase_x + crop - scale * c
                    if 0 <= y < side and 0 <= x < side:
                        index[phase_y * scale + phase_x, r + reach, c + reach] = y * side + x
    return index


class TorchEngine:
    """`Network` behind the engine protocol, in float32 (no TF32)."""

    parallel = False

    def __init__(self, weights: Weights, device: str | None = None, threads: int = 1) -> None:
        """
        Args:
            weights: the network.
            device: `cuda`, `mps` or `cpu`; the first of them that is there, where none is given.
            threads: CPU threads for PyTorch.

        Raises:
            UsageError: the device is not there.
        """
        available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
        device = device or next(name for name, there in available.items() if there)
        if not available.get(device):
            raise UsageError(f"PyTorch sees no {device} device here; use --engine torch:cpu or numpy")
        torch.set_num_threads(threads)
        self.name = f"torch:{device}"
        self.architecture = weights.architecture
        self.device = torch.device(device)
        # A CPU wants the feature maps in its cache, a GPU enough work at a time (60 MB a feature map).
        self.tile = (96, 128) if device == "cpu" else (384, 512)
        self.network = Network(weights.architecture).load(weights).to(self.device).eval()

    @torch.inference_mode()
    def run(self, lr: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(h, w) luma in [0, 1] to (scale*h, scale*w), not clipped."""
        x = torch.from_numpy(np.ascontiguousarray(lr)).to(self.device)[None, None]
        with torch.backends.cudnn.flags(allow_tf32=False):
            sr = self.network(x.contiguous(memory_format=torch.channels_last))
        return cast(npt.NDArray[np.float32], sr[0, 0].contiguous().cpu().numpy())
