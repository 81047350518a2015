"""What computes the network: one protocol, several engines, chosen by name.

`numpy` is the definition, `native` the fast one on a CPU, `torch` is for CUDA and MPS. All of them agree within 1e-5 on [0, 1].
The native engine has a second precision, `fast`, which `fixed_point.py` defines.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from fsrcnn.architecture import Architecture
from fsrcnn.errors import EngineWarning, MissingExtraError, UsageError
from fsrcnn.imresize import Contributions
from fsrcnn.weights import Weights

ENGINE_NAMES = ("auto", "native", "numpy", "torch", "torch:cpu", "torch:cuda", "torch:mps")
Precision = Literal["exact", "fast"]
PRECISIONS: tuple[Precision, ...] = ("exact", "fast")


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
        """(h, w) luma in [0, 1] to (scale*h, scale*w), not clipped; pixels outside the rectangle count as zero at each layer.

        A rectangle that starts at an even row of a picture and brings its halo along gives the very bits that the picture gives.
        """
        ...


@runtime_checkable
class WholePictures(Protocol):
    """An engine that takes a whole picture from pixels to pixels in one call, with threads of its own."""

    def picture(
        self,
        pixels: npt.NDArray[Any],
        result: npt.NDArray[Any],
        taps: Sequence[Contributions],
        grey: tuple[float, float],
        progress: Callable[[float], None] | None = None,
    ) -> None:
        """Fill `result`, (scale*h, scale*w, channels), from `pixels`, (h, w, channels): grey, grey + alpha, RGB or RGBA.

        Args:
            pixels, result: uint8, uint16 or float32, both the same.
            taps: of the bicubic interpolation of chroma and alpha, down and across.
            grey: offset and gain from full-swing grey to luma.
            progress: called with the part done, 0 … 1.
        """
        ...


def create(weights: Weights, name: str = "auto", threads: int = 1, precision: str = "exact") -> Engine:
    """An engine for the weights.

    Args:
        weights: the network.
        name: `auto` (`native`, or `numpy` where that was not built), `native`, `numpy`, or `torch` with an optional device.
        threads: for engines with threads of their own.
        precision: `exact`, or `fast` (16-bit whole numbers, native engine only).

    Raises:
        UsageError: no such engine or precision, or no such device on this machine.
        MissingExtraError: it needs a package that is not installed, or a compiler that was not there.
    """
    if name not in ENGINE_NAMES:
        raise UsageError(f"there is no engine {name!r}; there are {', '.join(ENGINE_NAMES)}")
    if precision not in PRECISIONS:
        raise UsageError(f"precision is exact or fast, not {precision!r}")
    if precision == "fast" and name not in ("auto", "native"):
        raise UsageError(f"precision fast is the native engine's; the engine is {name}")
    if name in ("auto", "native"):
        from fsrcnn.engines.native import NativeEngine

        try:
            return NativeEngine(weights, precision, threads)
        except MissingExtraError as error:
            if name == "native" or precision == "fast":
                raise
            warnings.warn(f"{error}; going on with the numpy engine", EngineWarning, stacklevel=2)
    if name in ("auto", "numpy"):
        from fsrcnn.engines.numpy import NumpyEngine

        return NumpyEngine(weights)
    from fsrcnn.engines.torch import TorchEngine

    return TorchEngine(weights, device=name.partition(":")[2] or None, threads=threads)
