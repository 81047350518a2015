"""The common PyTorch port: state dictionaries with `first_part`, `mid_part` and `last_part` (`.pth`).

`first_part` is convolution, PReLU; `mid_part` alternates them; `last_part` is
`nn.ConvTranspose2d(d, 1, 9, stride=scale, padding=4, output_padding=scale - 1)`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fsrcnn.architecture import Architecture
from fsrcnn.arrays import Array
from fsrcnn.errors import WeightsError
from fsrcnn.foreign.assemble import Convolution, assemble, scale_of
from fsrcnn.require import require
from fsrcnn.weights import Weights

FIRST_KERNEL, LAST_KERNEL = 5, 9
CROP = 4  # a ConvTranspose2d crops its `padding`, here 9 // 2 at every scale


def read(path: Path, scale: int | None, crop: int | None) -> Weights:
    """See `foreign.read`."""
    arrays = _state(path)
    modules = _modules(arrays)
    if "last_part" not in modules or "first_part.0" not in modules:
        raise WeightsError(
            f"it holds {', '.join(modules)}, but no {'last_part' if 'last_part' not in modules else 'first_part.0'}"
        )
    ordered = sorted((module for module in modules if module != "last_part"), key=_position)
    convolutions: list[Convolution] = []
    for module, prelu in zip(ordered[::2], ordered[1::2], strict=False):
        needed = (f"{module}.weight", f"{module}.bias", f"{prelu}.weight")
        for name in needed:
            if name not in arrays:
                raise WeightsError(f"{name} is missing")
        kernel, bias, slopes = (arrays[name] for name in needed)
        convolutions.append((kernel, bias, np.repeat(slopes, len(bias)) if slopes.size == 1 else slopes))
    if "last_part.bias" not in arrays or "last_part.weight" not in arrays:
        raise WeightsError("last_part.weight and last_part.bias are needed, and one is missing")
    if len(ordered) % 2:
        shape = arrays.get(f"{ordered[-1]}.weight", np.zeros(0)).shape
        raise WeightsError(f"{ordered[-1]} {shape} has no partner: convolution and PReLU alternate")
    stamp, crop = _without_widening(arrays["last_part.weight"], CROP if crop is None else crop)
    names = [*ordered[::2], "last_part"]
    return assemble(names, convolutions, (stamp, arrays["last_part.bias"]), scale_of(path, scale), crop)


def _state(path: Path) -> dict[str, Array]:
    """The arrays of a state dictionary, also of one inside of a checkpoint.

    Raises:
        WeightsError: it cannot be read without running code from it, or holds something else.
    """
    torch = _torch()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged or hostile file makes PyTorch raise
        raise WeightsError(
            f"{path} cannot be read without running code from it (or it is no PyTorch file)",
            "save a plain state_dict instead",
        ) from error
    for key in ("state_dict", "model_state_dict", "model", "params"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError("it holds no state_dict of tensors")
    return {name.removeprefix("module."): value.float().numpy() for name, value in state.items()}


def _modules(state: Mapping[str, Array]) -> list[str]:
    """The modules that arrays belong to, in the file's order: `first_part.0`, … `last_part`.

    Raises:
        WeightsError: an array that the port does not have.
    """
    modules: dict[str, None] = {}
    for name, array in state.items():
        match = re.fullmatch(r"((?:first_part|mid_part)\.\d+|last_part)\.(weight|bias)", name)
        if match is None:
            raise WeightsError(
                f"{name} {array.shape} is no array of the port, whose names begin with first_part, mid_part, last_part"
            )
        modules[match[1]] = None
    return list(modules)


def _position(module: str) -> tuple[bool, int]:
    """`first_part.0`, `first_part.1`, `mid_part.0`, …"""
    part, _, number = module.partition(".")
    return part != "first_part", int(number)


def _without_widening(stamp: Array, crop: int) -> tuple[Array, int]:
    """A deconvolution kernel without the leading rows and columns of zeros that `encode` gave it, and the crop that is left."""
    if stamp.ndim == 4:
        while crop > 0 and stamp.shape[2] > 1 and not stamp[:, :, 0].any() and not stamp[:, :, :, 0].any():
            stamp, crop = stamp[:, :, 1:, 1:], crop - 1
    return stamp, crop


def encode(weights: Weights) -> tuple[bytes, str | None]:
    """A state dictionary under the port's names, and what to change in the port's class so that it computes the same, if anything."""
    torch = _torch()
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


def _torch() -> Any:
    return require("torch", ".pth files", extra="torch")
