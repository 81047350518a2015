"""The network in PyTorch: for CUDA and MPS, and for training.

Imported only when asked for, so that upscaling needs no PyTorch.

The deconvolution is computed as one small convolution per output phase, then a pixel shuffle (see `phases.py`). The parameter
stays the paper's k×k deconvolution kernel; the phase kernels are read out of it at each call, since training changes it.
"""

from __future__ import annotations

import threading
from typing import cast

import numpy as np

from fsrcnn.architecture import Architecture
from fsrcnn.arrays import Float32
from fsrcnn.engines import Engine
from fsrcnn.errors import MissingExtraError, UsageError
from fsrcnn.parallel import Owner, available_threads
from fsrcnn.phases import phase_taps
from fsrcnn.weights import Weights

try:
    import torch
    import torch.nn.functional as F
    from torch import Tensor, nn
except ImportError as error:
    raise MissingExtraError(
        "the torch engine needs PyTorch, which is not installed", "type: pip install 'fsrcnn[torch]'"
    ) from error


class Network(nn.Module):
    """An FSRCNN as a PyTorch module; its parameters bear the names and shapes of `Architecture.array_shapes`.

    Fresh parameters are drawn from PyTorch's global generator: kernels as He et al. 2015 (for PReLU with slope 0.25),
    the deconvolution with σ = 0.001, biases 0, slopes 0.25 (Dong et al. 2016, §4.1, with their remarks on PReLU).
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.stages = [stage.name for stage in architecture.convolutions]
        # nn.Module forbids dots in parameter names; `arrays` gives the dotted ones back.
        for name, shape in architecture.array_shapes.items():
            self.register_parameter(_attribute(name), nn.Parameter(torch.empty(shape)))
        self.register_buffer("phase_taps", torch.from_numpy(phase_taps(architecture)), persistent=False)
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


_OWNER = Owner("PyTorch")


class TorchEngine(Engine):
    """`Network` behind the engine protocol, in float32 (no TF32)."""

    def __init__(self, weights: Weights, device: str | None = None, threads: int | None = None) -> None:
        """
        Args:
            weights: the network.
            device: `cuda`, `mps` or `cpu`; the first of them that is there, where none is given.
            threads: CPU threads of PyTorch, for the whole process; all where it is not given.

        Raises:
            UsageError: the device is not there.
        """
        available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
        device = device or next(name for name, present in available.items() if present)
        if not available.get(device):
            raise UsageError(f"PyTorch sees no {device} device here", "use {engine='torch:cpu'} or {engine='numpy'}")
        torch.set_num_threads(threads or available_threads())
        self.name = f"torch:{device}"
        self.architecture = weights.architecture
        self.device = torch.device(device)
        # A CPU wants the feature maps in its cache, a GPU enough work at a time (60 MB a feature map).
        self.tile = (96, 128) if device == "cpu" else (384, 512)
        self.network = Network(weights.architecture).load(weights).to(self.device).eval()
        self._busy = threading.Lock()  # PyTorch has threads of its own: one rectangle at a time uses them all

    @torch.inference_mode()
    def run(self, lr: Float32) -> Float32:
        """(h, w) luma in [0, 1] to (scale*h, scale*w), not clipped.

        Raises:
            FsrcnnError: this process was forked from one that had used PyTorch.
        """
        _OWNER.check()
        x = torch.from_numpy(np.ascontiguousarray(lr)).to(self.device)[None, None]
        with self._busy, torch.backends.cudnn.flags(allow_tf32=False):
            sr = self.network(x.contiguous(memory_format=torch.channels_last))
        return cast(Float32, sr[0, 0].contiguous().cpu().numpy())
