"""What computes the network: one protocol, several engines, chosen by name.

`numpy` is the definition, `torch` is for CUDA and MPS. All of them agree within 1e-5 on [0, 1].
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from fsrcnn.architecture import Architecture
from fsrcnn.errors import UsageError
from fsrcnn.weights import Weights

ENGINE_NAMES = ("auto", "numpy", "torch", "torch:cpu", "torch:cuda", "torch:mps")


class Engine(Protocol):
    """Computes a network on any rectangle of luma.

    Attributes:
        name: what `--engine` calls it.
        architecture: of the weights it holds.
        parallel: whether several threads may call `run` at once and gain by it; an engine with threads of its own says no.
        tile: (height, width) in LR pixels that suits it.
    """

    name: str
    architecture: Architecture
    parallel: bool
    tile: tuple[int, int]

    def run(self, lr: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(h, w) luma in [0, 1] to (scale*h, scale*w), not clipped; pixels outside the rectangle count as zero at each layer."""
        ...


def create(weights: Weights, name: str = "auto", threads: int = 1) -> Engine:
    """An engine for the weights.

    Args:
        weights: the network.
        name: `auto` (the fastest that is installed and needs no PyTorch), `numpy`, or `torch` with an optional device.
        threads: for engines with threads of their own.

    Raises:
        UsageError: no such engine, or no such device on this machine.
        MissingExtraError: it needs a package that is not installed.
    """
    if name in ("auto", "numpy"):
        from fsrcnn.engines.numpy import NumpyEngine

        return NumpyEngine(weights)
    if name in ENGINE_NAMES:
        from fsrcnn.engines.torch import TorchEngine

        return TorchEngine(weights, device=name.partition(":")[2] or None, threads=threads)
    raise UsageError(f"there is no engine {name!r}; there are {', '.join(ENGINE_NAMES)}")
