"""What all readers share: layers in order become `Weights`, and a scale is found."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fsrcnn.architecture import SCALES, Architecture
from fsrcnn.arrays import Array
from fsrcnn.errors import UsageError, WeightsError
from fsrcnn.weights import Weights

Note = Callable[[str], None]
"""Called with a sentence about what a file does not say, or says in a way of its own."""


class Layer(NamedTuple):
    """A layer as a file holds it.

    Attributes:
        name: what the file calls it, for messages.
        kernel: (out, in, k, k); the deconvolution's is (in, out, k, k).
        bias: (out,), or None for a layer without one, which has zeros.
        slopes: of the PReLU behind it, (out,) or a single one for all channels; None for the deconvolution.
    """

    name: str
    kernel: Array
    bias: Array | None
    slopes: Array | None = None


def assemble(layers: Sequence[Layer], scale: int, crop: int) -> Weights:
    """Weights from layers in the order of computation, the deconvolution last.

    Args:
        layers: 4 or more; d, s, m and the kernels' sides are read off the shapes.
        scale, crop: as in `Architecture`.

    Raises:
        WeightsError: the layers are those of no FSRCNN.
    """
    count = len(layers) - 1
    if count < 3:
        names = ", ".join(layer.name for layer in layers)
        raise WeightsError(
            f"it has {max(count, 0)} convolutions before the deconvolution ({names}); an FSRCNN has at least 3"
        )
    for name, kernel, *_ in layers:
        if kernel.ndim != 4 or kernel.shape[2] != kernel.shape[3]:
            raise WeightsError(f"the kernel of {name} has shape {kernel.shape}, which is no square convolution")
    first, shrinking, last = layers[0], layers[1], layers[-1]
    for layer, does in ((first, "reads"), (last, "makes")):
        channels = layer.kernel.shape[1]
        if channels != 1:
            raise WeightsError(
                f"its network {does} {channels} channels ({layer.name} {layer.kernel.shape}); an FSRCNN has 1, luma"
            )
    d, s, m = first.kernel.shape[0], shrinking.kernel.shape[0], count - 3
    try:
        architecture = Architecture(d, s, m, first.kernel.shape[2], last.kernel.shape[2], scale, crop)
    except UsageError as error:
        raise WeightsError(f"it makes no FSRCNN: {error.fact}", error.remedy) from error
    shapes = architecture.array_shapes
    arrays = {}
    for stage, (name, kernel, bias, slopes) in zip(architecture.stages, layers, strict=True):
        parts = {"weight": kernel, "bias": np.zeros(stage.channels_out) if bias is None else bias}
        if slopes is not None:
            parts["prelu"] = np.repeat(slopes, stage.channels_out) if slopes.size == 1 else slopes
        for part, array in parts.items():
            ours = f"{stage.name}.{part}"
            if array.shape != shapes[ours]:
                raise WeightsError(
                    f"{name} ({ours}) has shape {array.shape}, an FSRCNN({d}, {s}, {m}) has {shapes[ours]} there"
                )
            with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which `Weights` refuses
                arrays[ours] = np.ascontiguousarray(array, np.float32)
    return Weights(architecture, arrays)


def scale_of(path: Path, given: int | None, stored: int | None = None) -> int:
    """The scale that the file stores, or that the caller gives, or that the file's name says (`x2`, `scale_2`).

    Raises:
        UsageError: nobody says it, the two disagree, or the given one is not 2, 3 or 4.
        WeightsError: the stored one is not 2, 3 or 4.
    """
    if stored is not None:
        if stored not in SCALES:
            raise WeightsError(f"it enlarges by {stored}; scale is 2, 3 or 4")
        if given is not None and given != stored:
            raise UsageError(f"{path} is of ×{stored}, not ×{given}")
        return stored
    if given is not None:
        if given not in SCALES:
            raise UsageError(f"scale is 2, 3 or 4, not {given}")
        return given
    found = set(re.findall(r"(?:x|scale[-_]?)([234])(?![0-9])", path.name.lower()))
    if len(found) != 1:
        raise UsageError(f"{path} does not say its scale", "give {scale=2}, 3 or 4")
    return int(found.pop())
