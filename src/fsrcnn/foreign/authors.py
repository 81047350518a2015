"""The authors' MATLAB files: FSRCNN as `weights_conv{1 … n}`, SRCNN as `weights_conv1, 2, 3`.

Their kernels are (in, k², out), each k×k plane column by column.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fsrcnn.arrays import Array, Float64
from fsrcnn.errors import WeightsError
from fsrcnn.foreign import srcnn
from fsrcnn.foreign.assemble import Layer, Note, assemble, scale_of
from fsrcnn.require import require
from fsrcnn.weights import Weights

# Scale → crop. The middle row of a 9×9 kernel, 4, falls on HR row scale·i + 4 - crop: at ×2 and ×4 on the first HR row of LR pixel i,
# at ×3 on the middle one (3·i + 1). The authors' script would have 4 at ×3, too; but with 3 their file has the 33.16 dB on Set5 that
# they published, with 4 it has 26.30.
CROPS = {2: 4, 3: 3, 4: 4}


def read(data: bytes, path: Path, scale: int | None, crop: int | None, note: Note) -> Weights:
    """See `foreign.Checkpoint`. Their networks replicate borders and have one slope for all channels of a layer."""
    matlab = require("scipy.io", ".mat files", extra="convert")
    try:
        stored = matlab.loadmat(io.BytesIO(data))
    except Exception as error:  # whatever a damaged file makes SciPy raise
        raise WeightsError(f"{path} is not a MATLAB file, or it is damaged") from error
    scale = scale_of(path, scale)
    crop = CROPS[scale] if crop is None else crop
    weights = _srcnn(stored, scale) if "weights_conv1" in stored else _fsrcnn(stored, scale, crop)
    note(
        "these weights were trained with replicated borders, here borders are zeros: pixels within "
        f"{weights.architecture.halo} LR pixels of the picture's edge suffer (on whole Set5 pictures 0.3 to 0.9 dB with FSRCNN, "
        "0.2 to 5.2 dB with SRCNN), the others are exact"
    )
    return weights


def _fsrcnn(stored: Mapping[str, Array], scale: int, crop: int) -> Weights:
    """Cells of kernels, of biases and of slopes, a layer in each; the last is the deconvolution."""
    parts = ("weights_conv", "biases_conv", "prelu_conv")
    missing = [name for name in parts if name not in stored]
    if missing:
        held = ", ".join(name for name in stored if not name.startswith("__")) or "nothing"
        raise WeightsError(f"it holds {held}, but no {', '.join(missing)}, as the authors' FSRCNN files do")
    kernels, biases, slopes = (
        [_numbers(cell, f"{name}{{{number}}}") for number, cell in enumerate(np.ravel(stored[name]), 1)]
        for name in parts
    )
    if not kernels or len(biases) != len(kernels) or len(slopes) < len(kernels) - 1:
        raise WeightsError(
            f"it holds {len(kernels)} kernels, {len(biases)} biases and {len(slopes)} slopes, which do not belong together"
        )
    layers = []
    for number, (kernel, bias, slope) in enumerate(zip(kernels[:-1], biases, slopes, strict=False), 1):
        name = f"weights_conv{{{number}}}"
        if kernel.ndim != 3:
            raise WeightsError(f"{name} has shape {kernel.shape}, not (in, k², out)")
        layers.append(Layer(name, _square(kernel, name), bias.ravel(), slope.ravel()[:1]))
    name = f"weights_conv{{{len(kernels)}}}"
    last = kernels[-1]  # (1, k², d): what a convolution from d channels to 1 would be the other way round
    if last.ndim != 3 or last.shape[0] != 1:
        raise WeightsError(f"{name} has shape {last.shape}, not (1, k², d)")
    layers.append(Layer(name, _square(last, name), biases[-1].ravel()))
    return assemble(layers, scale, crop)


def _numbers(cell: Array, name: str) -> Float64:
    """
    Raises:
        WeightsError: they are not real numbers.
    """
    if not isinstance(cell, np.ndarray) or cell.dtype.kind not in "fiu":
        raise WeightsError(f"{name} holds no real numbers")
    return cell.astype(np.float64)


def _square(kernel: Array, name: str) -> Array:
    """(in, k², out), columns first, as (out, in, k, k)."""
    channels_in, taps, channels_out = kernel.shape
    side = round(taps**0.5)
    if side * side != taps:
        raise WeightsError(f"{name} has {taps} taps, which is no square")
    planes = kernel.transpose(2, 0, 1).reshape(channels_out, channels_in, side, side)
    return np.ascontiguousarray(planes.swapaxes(2, 3))


def _srcnn(stored: Mapping[str, Array], scale: int) -> Weights:
    """The three layers (k², n1), (n1, k², n2), (n2, k²) of an SRCNN."""
    missing = [
        name for number in "123" for name in (f"weights_conv{number}", f"biases_conv{number}") if name not in stored
    ]
    if missing:
        raise WeightsError(f"it holds no {', '.join(missing)}, as the authors' SRCNN files do")
    first, second, third = (_numbers(stored[f"weights_conv{number}"], f"weights_conv{number}") for number in "123")
    if (
        (first.ndim, second.ndim, third.ndim) != (2, 3, 2)
        or second.shape[0] != first.shape[1]
        or second.shape[2] != third.shape[0]
    ):
        raise WeightsError(
            f"weights_conv1, 2, 3 have shapes {first.shape}, {second.shape}, {third.shape}, which do not fit together as an SRCNN"
        )
    kernels = (
        _square(first[None], "weights_conv1"),
        _square(second, "weights_conv2"),
        _square(third[:, :, None], "weights_conv3"),
    )
    biases = [_numbers(stored[f"biases_conv{number}"], f"biases_conv{number}").ravel() for number in "123"]
    for number, (kernel, bias) in enumerate(zip(kernels, biases, strict=True), 1):
        if bias.shape != kernel.shape[:1]:
            raise WeightsError(
                f"biases_conv{number} has {len(bias)} values, weights_conv{number} {len(kernel)} kernels"
            )
    return srcnn.as_fsrcnn(kernels, biases, scale)
