"""What all readers share: layers in order become `Weights`, and a scale is found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fsrcnn.architecture import SCALES, Architecture
from fsrcnn.arrays import Array
from fsrcnn.errors import UsageError, WeightsError
from fsrcnn.weights import Weights

Convolution = tuple[Array, Array, Array]
"""Kernel (out, in, k, k), bias (out,), slopes (out,)."""

Deconvolution = tuple[Array, Array]
"""Kernel (d, 1, k, k), bias (1,)."""


def assemble(
    names: Sequence[str], convolutions: Sequence[Convolution], deconvolution: Deconvolution, scale: int, crop: int
) -> Weights:
    """Weights from layers in the order of computation.

    Args:
        names: what the file calls the layers, the deconvolution last; for messages.
        convolutions: those before the deconvolution, 3 or more.
        deconvolution: the last layer.
        scale, crop: as in `Architecture`; d, s, m and the kernels' sides are read off the shapes.

    Raises:
        WeightsError: the layers are those of no FSRCNN.
    """
    count = len(convolutions)
    if count < 3:
        raise WeightsError(
            f"it has {count} convolutions before the deconvolution ({', '.join(names)}); an FSRCNN has at least 3"
        )
    layers = [*convolutions, deconvolution]
    for name, (kernel, *_) in zip(names, layers, strict=True):
        if kernel.ndim != 4 or kernel.shape[2] != kernel.shape[3]:
            raise WeightsError(f"the kernel of {name} has shape {kernel.shape}, which is no square convolution")
    first, shrinking, last = convolutions[0][0], convolutions[1][0], deconvolution[0]
    d, s, m = first.shape[0], shrinking.shape[0], count - 3
    try:
        architecture = Architecture(d, s, m, first.shape[2], last.shape[2], scale, crop)
    except UsageError as error:
        raise WeightsError(f"it makes no FSRCNN: {error.fact}", error.remedy) from error
    shapes = architecture.array_shapes
    arrays = {}
    for name, stage, layer in zip(names, architecture.stages, layers, strict=True):
        for part, array in zip(("weight", "bias", "prelu"), layer, strict=False):  # the deconvolution has no PReLU
            ours = f"{stage.name}.{part}"
            if array.shape != shapes[ours]:
                raise WeightsError(
                    f"{name} ({ours}) has shape {array.shape}, an FSRCNN({d}, {s}, {m}) has {shapes[ours]} there"
                )
            arrays[ours] = np.ascontiguousarray(array, np.float32)
    return Weights(architecture, arrays)


def scale_of(path: Path, given: int | None, stored: int | None = None) -> int:
    """The scale that the file stores, or that the caller gives, or that the file's name says (`x2`, `scale_2`).

    Raises:
        UsageError: nobody says it, the two disagree, or it is not 2, 3 or 4.
    """
    if stored is not None:
        if given is not None and given != stored:
            raise UsageError(f"{path} is of ×{stored}, not ×{given}")
        return stored
    if given is not None:
        if given not in SCALES:
            raise UsageError(f"scale is 2, 3 or 4, not {given}")
        return given
    found = set(re.findall(r"(?:x|scale[-_]?)([234])(?![0-9])", path.stem.lower()))
    if len(found) != 1:
        raise UsageError(f"{path} does not say its scale", "give {scale=2}, 3 or 4")
    return int(found.pop())
