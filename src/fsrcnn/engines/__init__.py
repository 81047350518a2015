"""What computes the network: one protocol on planes, several engines, chosen by name.

`numpy` is the definition, `native` the fast one on a CPU, `torch` is for CUDA and MPS. All of them agree within 1e-5 on [0, 1].
The native engine has a second precision, `fast`, which `fixed_point.py` defines. `integer` runs integer models, which no other does.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from typing import Literal, get_args

import numpy as np

from fsrcnn.architecture import Architecture
from fsrcnn.arrays import Float32
from fsrcnn.errors import EngineWarning, MissingExtraError, UsageError
from fsrcnn.integer import IntegerModel
from fsrcnn.parallel import Control
from fsrcnn.planes import Planes
from fsrcnn.weights import Weights
from fsrcnn.windows import Source, SuperResolution, fill

ENGINE_NAMES = ("auto", "native", "numpy", "torch", "torch:cpu", "torch:cuda", "torch:mps", "integer")
Precision = Literal["exact", "fast"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


class Engine(ABC):
    """A network at work on pictures; one object may be used from several threads at once.

    A new engine defines `run`, and has pictures of every kind by it; `planes` is there to be replaced by something faster.

    Attributes:
        name: what `--engine` calls it.
        architecture: of the weights it holds.
        tile: (height, width) in LR pixels that suits `run`.
    """

    name: str
    architecture: Architecture
    tile: tuple[int, int]

    @abstractmethod
    def run(self, lr: Float32) -> Float32:
        """(h, w) luma in [0, 1] to (scale*h, scale*w), not clipped; pixels outside the rectangle count as zero at each layer.

        A rectangle that brings its halo along gives what the whole picture gives there: to the bit where an engine owns the order
        of its sums (native, from even rows on), else within the engine's distance from the definition.
        """

    def planes(self, lr: Planes, sr: Planes, control: Control | None = None) -> None:
        """Fill a picture of `scale` times the size: luma by the network, the rest bicubically, each where it lies.

        Args:
            lr: of any layout and colour.
            sr: written to; like `lr` in everything but size and depth. Integers are clipped and rounded; float32 is clipped to
                [0, 1] in full range and left as it is in limited range.
            control: progress, cancelling, threads.

        Raises:
            UsageError: `sr` is not `lr`'s kind or not `scale` times as large.
            Cancelled: through the control; `sr` is unfinished then.
        """
        self.check(lr, sr)
        fill(SuperResolution(Source(lr), self), sr, control or Control())

    def luma(self, lr: Float32, control: Control | None = None) -> Float32:
        """(h, w) studio-swing luma to (scale*h, scale*w), not clipped; as `run`, but tile by tile, so for any size.

        Raises:
            UsageError: no luma.
            Cancelled: through the control.
        """
        picture, scale = Planes.luma(lr), self.architecture.scale
        sr = np.empty((picture.size[0] * scale, picture.size[1] * scale), np.float32)
        self.planes(picture, Planes.luma(sr), control)
        return sr

    def check(self, lr: Planes, sr: Planes) -> None:
        """Refuse a pair of pictures that `planes` cannot take.

        Raises:
            UsageError: as `planes`.
        """
        for planes in (lr, sr):
            if not isinstance(planes, Planes):
                raise UsageError(
                    f"an engine takes Planes, not {type(planes).__name__}", "make them with Planes.of(pixels)"
                )
        scale = self.architecture.scale
        if sr.size != (scale * lr.size[0], scale * lr.size[1]):
            raise UsageError(f"{lr.size[1]}×{lr.size[0]} pixels at ×{scale} do not become {sr.size[1]}×{sr.size[0]}")
        lr.check_result(sr)


def create(
    network: Weights | IntegerModel, name: str = "auto", precision: str = "exact", threads: int | None = None
) -> Engine:
    """An engine for a network.

    Args:
        network: float weights, or an integer model.
        name: of an integer model `auto` or `integer`; of float weights `auto` (`native`, or `numpy` where that was not built),
            `native`, `numpy`, or `torch` with an optional device.
        precision: `exact`, or `fast` (16-bit whole numbers, native engine only).
        threads: of PyTorch, whose threads are the whole process's; the others take theirs from the `Control` of each call.

    Raises:
        UsageError: no such engine or precision, none for this kind of network, or no such device on this machine.
        MissingExtraError: it needs a package that is not installed, or a compiler that was not there.
    """
    if name not in ENGINE_NAMES:
        raise UsageError(f"there is no engine {name!r}; there are {', '.join(ENGINE_NAMES)}")
    if precision not in PRECISIONS:
        raise UsageError(f"precision is {' or '.join(PRECISIONS)}, not {precision!r}")
    if isinstance(network, IntegerModel):
        if name not in ("auto", "integer"):
            raise UsageError(
                f"an integer model ({network.format}) is run by the engine integer alone, not by {name}",
                "give {engine='integer'}, or the float weights that it was made of",
            )
        if precision == "fast":
            raise UsageError(
                f"precision fast is the native engine's, of float weights; an integer model ({network.format}) has one precision",
                "leave {precision} out",
            )
        from fsrcnn.engines.integer import IntegerEngine

        return IntegerEngine(network)
    if name == "integer":
        raise UsageError(
            "the engine integer runs integer models, and the model is of float weights",
            "`fsrcnn quantize MODEL` makes an integer model of them",
        )
    if precision == "fast" and name not in ("auto", "native"):
        raise UsageError(f"precision fast is the native engine's; the engine is {name}")
    if name in ("auto", "native"):
        from fsrcnn.engines.native import NativeEngine

        try:
            return NativeEngine(network, precision)
        except MissingExtraError as error:
            if name == "native" or precision == "fast":
                raise
            warnings.warn(f"{error}; going on with the numpy engine", EngineWarning, stacklevel=2)
    if name in ("auto", "numpy"):
        from fsrcnn.engines.numpy import NumpyEngine

        return NumpyEngine(network)
    from fsrcnn.engines.torch import TorchEngine

    return TorchEngine(network, device=name.partition(":")[2] or None, threads=threads)
