"""The common PyTorch port: state dictionaries with `first_part`, `mid_part` and `last_part` (`.pth`); `state_dict.py` reads them.

`first_part` is convolution, PReLU; `mid_part` alternates them; `last_part` is
`nn.ConvTranspose2d(d, 1, 9, stride=scale, padding=4, output_padding=scale - 1)`.
"""

from __future__ import annotations

import io

import numpy as np

from fsrcnn.architecture import Architecture
from fsrcnn.arrays import Array
from fsrcnn.require import require
from fsrcnn.weights import Weights

FIRST_KERNEL, LAST_KERNEL = 5, 9
CROP = 4  # a ConvTranspose2d crops its `padding`, here 9 // 2 at every scale


def without_widening(stamp: Array, crop: int) -> tuple[Array, int]:
    """A deconvolution kernel without the leading rows and columns of zeros that `encode` gave it, and the crop that is left."""
    if stamp.ndim == 4:
        while crop > 0 and stamp.shape[2] > 1 and not stamp[:, :, 0].any() and not stamp[:, :, :, 0].any():
            stamp, crop = stamp[:, :, 1:, 1:], crop - 1
    return stamp, crop


def encode(weights: Weights) -> tuple[bytes, str | None]:
    """A state dictionary under the port's names, and what to change in the port's class so that it computes the same, if anything."""
    torch = require("torch", ".pth files", extra="torch")
    architecture, arrays = weights.architecture, weights.arrays
    leading, trailing, padding, output_padding = widening(architecture)
    side = leading + architecture.deconvolution_kernel + trailing
    changes = []
    if architecture.feature_kernel != FIRST_KERNEL:
        first = architecture.feature_kernel
        changes.append(f"first_part's first layer to nn.Conv2d(1, {architecture.d}, {first}, padding={first // 2})")
    if (side, padding, output_padding) != (LAST_KERNEL, CROP, architecture.scale - 1):
        changes.append(
            f"last_part to nn.ConvTranspose2d({architecture.d}, 1, {side}, stride={architecture.scale}, padding={padding}, "
            f"output_padding={output_padding})"
        )
    change = f"in the port's class change {' and '.join(changes)}; then it computes the same" if changes else None
    state = {}
    for number, stage in enumerate(architecture.convolutions):
        part, place = ("first_part", 0) if number == 0 else ("mid_part", 2 * (number - 1))
        state[f"{part}.{place}.weight"] = arrays[f"{stage.name}.weight"]
        state[f"{part}.{place}.bias"] = arrays[f"{stage.name}.bias"]
        state[f"{part}.{place + 1}.weight"] = arrays[f"{stage.name}.prelu"]
    edges = (leading, trailing)
    state["last_part.weight"] = np.pad(arrays["deconvolution.weight"], ((0, 0), (0, 0), edges, edges))
    state["last_part.bias"] = arrays["deconvolution.bias"]
    buffer = io.BytesIO()
    torch.save({name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in state.items()}, buffer)
    return buffer.getvalue(), change


def widening(architecture: Architecture) -> tuple[int, int, int, int]:
    """How a ConvTranspose2d has our crop.

    Returns:
        Rows and columns of zeros before and behind the kernel, `padding`, `output_padding`.

    PyTorch makes (h - 1)·scale - 2·padding + k + output_padding rows of h, so scale·h of them ask for
    output_padding = 2·padding + scale - k, which has to lie in 0 … scale - 1; and it crops `padding` rows. A smaller crop is exactly a
    kernel with leading zeros: crop = padding - leading. (A kernel moved within its 9×9 would load into the port's class, and cost
    decibels; a larger one is refused loudly.) FSRCNN at ×4 has k = 9, crop 2: the port's padding 4, so 2 leading zeros, none behind,
    k = 11 and output_padding 8 + 4 - 11 = 1.
    """
    side, scale, crop = architecture.deconvolution_kernel, architecture.scale, architecture.crop
    padding = max(crop, side - scale - crop, CROP if side == LAST_KERNEL else 0)
    leading = padding - crop
    trailing = max(0, 2 * padding + 1 - side - leading)
    return leading, trailing, padding, 2 * padding + scale - side - leading - trailing
