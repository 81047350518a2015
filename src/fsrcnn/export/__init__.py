"""A model as what other programs run: a module for each target, from `Weights` to the bytes or the text of a file.

Whatever is written names the model and the SHA-256 of its weights (`facts`), so that a file found years later tells where it is from.
"""

from __future__ import annotations

import hashlib

import numpy as np

import fsrcnn
from fsrcnn.architecture import name_of
from fsrcnn.errors import printable
from fsrcnn.integer import IntegerModel
from fsrcnn.weights import Weights

LARGEST_HALF = float(np.finfo(np.float16).max)
"""What a 16-bit float can hold: 65,504."""


def facts(weights: Weights | IntegerModel, name: str = "") -> dict[str, str]:
    """What every exported file says of itself, in the order in which it is said.

    Args:
        weights: the model: float weights, or whole numbers.
        name: what it is called: `fsrcnn-x2`; that of its architecture, with the scale, where it is not given. It may be a file's, and
            files may have names with line breaks, or that are no text: what cannot be shown is escaped.

    Returns:
        model; scale; architecture, as `d=56 s=12 m=4 feature_kernel=5 deconvolution_kernel=9 crop=3`; weights_sha256, that of the file
        which `fsrcnn convert MODEL weights.safetensors` writes, or `fsrcnn quantize` for whole numbers; producer, with its version.
    """
    a = weights.architecture
    numbers = ("d", "s", "m", "feature_kernel", "deconvolution_kernel", "crop")
    return {
        "model": printable(name) or f"{name_of(a)}-x{a.scale}",
        "scale": str(a.scale),
        "architecture": " ".join(f"{number}={getattr(a, number)}" for number in numbers),
        "weights_sha256": hashlib.sha256(weights.to_bytes()).hexdigest(),
        "producer": f"fsrcnn {fsrcnn.__version__}",
    }
