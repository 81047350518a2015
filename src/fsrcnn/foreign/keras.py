"""Keras: Conv2D with bias, PReLU with shared axes, …, Conv2DTranspose; padding "same", in whole-model or weights files (`.h5`).

Kernels are (k, k, in, out), the transposed convolution's (k, k, out, in): (3, 2, 0, 1) turns both into ours.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from fsrcnn.arrays import Array
from fsrcnn.errors import UsageError, WeightsError
from fsrcnn.foreign.assemble import Convolution, Deconvolution, assemble, scale_of
from fsrcnn.require import require
from fsrcnn.weights import Weights

CENTRED = -1  # "same" crops (k - scale) // 2 as we do where nobody says a crop
VERSION = {"keras_version": b"2.3.1", "backend": b"tensorflow"}


def read(path: Path, scale: int | None, crop: int | None) -> Weights:
    """See `foreign.read`."""
    h5py = _h5py()
    try:
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)
            names = [_text(name) for name in root.attrs.get("layer_names", [])]
            config = file.attrs.get("model_config")
            layers = [
                (name, [np.asarray(root[name][_text(array)]) for array in root[name].attrs.get("weight_names", [])])
                for name in names
            ]
    except (OSError, KeyError, AttributeError) as error:
        raise WeightsError(f"{path} is not a Keras file, or it is truncated") from error
    layers = [(name, arrays) for name, arrays in layers if arrays]
    if not layers:
        raise WeightsError("it holds no layer_names with arrays, as Keras files do (sub-images are for fsrcnn train)")
    kernel_names, convolutions, deconvolution = _in_order(layers)
    scale = scale_of(path, scale, None if config is None else _stride(json.loads(_text(config))))
    return assemble(kernel_names, convolutions, deconvolution, scale, CENTRED if crop is None else crop)


def _in_order(layers: list[tuple[str, list[Array]]]) -> tuple[list[str], list[Convolution], Deconvolution]:
    """Layers with arrays as convolutions, each with the PReLU behind it, and the deconvolution.

    Raises:
        WeightsError: another order, or a layer that is none of these.
    """
    names: list[str] = []
    convolutions: list[Convolution] = []
    deconvolution: Deconvolution | None = None
    before_prelu: tuple[Array, Array] | None = None  # a convolution whose slopes are still to come
    for name, arrays in layers:
        shapes = ", ".join(str(array.shape) for array in arrays)
        if deconvolution is not None:
            raise WeightsError(f"layer {name} ({shapes}) comes after the deconvolution")
        if len(arrays) == 1 and before_prelu is not None:
            slopes, count = arrays[0], before_prelu[1].size
            if slopes.size != count:
                raise WeightsError(
                    f"layer {name} has slopes of shape {slopes.shape}; a PReLU with shared axes has (1, 1, {count})"
                )
            convolutions.append((*before_prelu, slopes.ravel()))
            before_prelu = None
        elif len(arrays) == 2 and arrays[0].ndim == 4 and before_prelu is None:
            names.append(name)
            kernel, bias = arrays[0].transpose(3, 2, 0, 1), arrays[1]
            if len(convolutions) >= 3 and kernel.shape[1] == 1 and bias.size == 1:
                deconvolution = (kernel, bias)
            else:
                before_prelu = (kernel, bias)
        else:
            raise WeightsError(
                f"layer {name} ({shapes}) is neither a convolution with bias followed by a PReLU, nor that PReLU"
            )
    if deconvolution is None:
        raise WeightsError(f"it ends in {layers[-1][0]}, not in a transposed convolution to one channel")
    return names, convolutions, deconvolution


def _stride(model: dict[str, Any]) -> int | None:
    """The scale that a model's description says; None where it has no transposed convolution."""
    strides = [
        int(layer["config"]["strides"][0])
        for layer in model["config"]["layers"]
        if layer["class_name"] == "Conv2DTranspose"
    ]
    return strides[-1] if strides else None


def encode(weights: Weights) -> tuple[bytes, str | None]:
    """A whole-model file (architecture and arrays) as Keras 2 wrote them and Keras 2 and 3 read them; nothing is to change.

    Raises:
        UsageError: a crop that "same" does not have.
    """
    architecture, arrays = weights.architecture, weights.arrays
    same_crop = (architecture.deconvolution_kernel - architecture.scale) // 2
    if architecture.crop != same_crop:
        raise UsageError(
            f'Keras\'s "same" crops {same_crop} HR rows at ×{architecture.scale}, '
            f"this network {architecture.crop}; it cannot be written as .h5"
        )
    lr = {"batch_input_shape": [None, None, None, 1], "dtype": "float32", "name": "lr"}
    layers: list[dict[str, Any]] = [{"class_name": "InputLayer", "config": lr}]
    stored: list[tuple[str, dict[str, Array]]] = []
    for stage in architecture.stages:
        name, convolution = stage.name.replace(".", "_"), stage.kind == "convolution"
        stride = 1 if convolution else architecture.scale
        config = {
            "name": name, "trainable": True, "dtype": "float32", "filters": stage.channels_out,
            "kernel_size": [stage.kernel, stage.kernel], "strides": [stride, stride], "padding": "same",
            "data_format": "channels_last", "activation": "linear", "use_bias": True,
        }  # fmt: skip
        layers.append({"class_name": "Conv2D" if convolution else "Conv2DTranspose", "config": config})
        kernel = arrays[f"{stage.name}.weight"].transpose(2, 3, 1, 0)
        stored.append((name, {"kernel:0": kernel, "bias:0": arrays[f"{stage.name}.bias"]}))
        if convolution:
            config = {"name": f"{name}_prelu", "trainable": True, "dtype": "float32", "shared_axes": [1, 2]}
            layers.append({"class_name": "PReLU", "config": config})
            stored.append((f"{name}_prelu", {"alpha:0": arrays[f"{stage.name}.prelu"][None, None]}))

    buffer = io.BytesIO()
    with _h5py().File(buffer, "w") as file:
        model = {"class_name": "Sequential", "config": {"name": "fsrcnn", "layers": layers}}
        file.attrs["model_config"] = json.dumps(model).encode()
        file.attrs.update(VERSION)
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = [name.encode() for name, _ in stored]
        root.attrs.update(VERSION)
        for name, parts in stored:
            group = root.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{part}".encode() for part in parts]
            for part, array in parts.items():
                group.create_dataset(f"{name}/{part}", data=np.ascontiguousarray(array))
    return buffer.getvalue(), None


def _h5py() -> Any:
    return require("h5py", ".h5 files", extra="convert")


def _text(value: Any) -> str:
    """HDF5 attributes are bytes or text, by who wrote them."""
    return value.decode() if isinstance(value, bytes) else str(value)
