"""Keras: Conv2D with bias, PReLU with shared axes, …, Conv2DTranspose; padding "same", in whole-model or weights files (`.h5`).

Kernels are (k, k, in, out), the transposed convolution's (k, k, out, in): (3, 2, 0, 1) turns both into ours.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from fsrcnn import hdf5
from fsrcnn.arrays import Array
from fsrcnn.errors import FsrcnnError, UsageError, WeightsError
from fsrcnn.foreign.assemble import Layer, Note, assemble, scale_of
from fsrcnn.weights import LARGEST_FILE, Weights

CENTRED = -1  # "same" crops (k - scale) // 2 as we do where nobody says a crop
VERSION = {"keras_version": b"2.3.1", "backend": b"tensorflow"}


def read(data: bytes, path: Path, scale: int | None, crop: int | None, note: Note) -> Weights:
    """See `foreign.Checkpoint`."""
    h5py = hdf5.library("convert")
    try:
        with h5py.File(h5py.h5f.open_file_image(data)) as file:
            root = hdf5.member(file, "model_weights", WeightsError) if hdf5.has(file, "model_weights") else file
            config = hdf5.attribute(file, "model_config", WeightsError)
            stored = None if config is None else _stride(json.loads(_text(config)))
            layers = [
                (
                    name,
                    [
                        hdf5.values(_array(group, array), LARGEST_FILE, WeightsError)
                        for array in _names(group, "weight_names")
                    ],
                )
                for name in _names(root, "layer_names")
                if isinstance(group := hdf5.member(root, name, WeightsError), h5py.Group)
            ]
    except FsrcnnError:
        raise
    except (*hdf5.DAMAGED, RecursionError) as error:
        raise WeightsError(f"{path} is not a Keras file, or it is damaged") from error
    layers = [(name, arrays) for name, arrays in layers if arrays]
    if not layers:
        raise WeightsError("it holds no layer_names with arrays, as Keras files do (sub-images are for fsrcnn train)")
    return assemble(_in_order(layers), scale_of(path, scale, stored), CENTRED if crop is None else crop)


def _names(group: Any, attribute: str) -> list[str]:
    names = hdf5.attribute(group, attribute, WeightsError)
    return [] if names is None else [_text(name) for name in np.ravel(names)]


def _array(group: Any, name: str) -> Any:
    data = hdf5.member(group, name, WeightsError)
    if not hasattr(data, "shape"):
        raise WeightsError(f"its {name} is no array")
    return data


def _in_order(layers: list[tuple[str, list[Array]]]) -> list[Layer]:
    """Layers with arrays as convolutions, each with the PReLU behind it, and the deconvolution.

    Raises:
        WeightsError: another order, or a layer that is none of these.
    """
    found: list[Layer] = []
    for name, arrays in layers:
        shapes = ", ".join(str(array.shape) for array in arrays)
        if arrays[0].ndim == 4 and len(arrays) in (1, 2):
            if found and found[-1].slopes is None:
                raise WeightsError(f"layer {name} ({shapes}) comes where a PReLU is to follow {found[-1].name}")
            bias = arrays[1].ravel() if len(arrays) == 2 else None
            found.append(Layer(name, arrays[0].transpose(3, 2, 0, 1), bias))
        elif len(arrays) == 1 and found and found[-1].slopes is None:
            count, slopes = found[-1].kernel.shape[0], arrays[0]
            if slopes.size not in (1, count):
                raise WeightsError(
                    f"layer {name} has slopes of shape {slopes.shape}; a PReLU with shared axes has (1, 1, {count})"
                )
            found[-1] = found[-1]._replace(slopes=slopes.ravel())
        else:
            raise WeightsError(f"layer {name} ({shapes}) is neither a convolution followed by a PReLU, nor that PReLU")
    if not found or found[-1].slopes is not None:
        raise WeightsError(f"it ends in {layers[-1][0]}, not in a transposed convolution to one channel")
    return found


def _stride(model: Any) -> int | None:
    """The scale that a model's description says; None where it has no transposed convolution."""
    strides = [
        layer["config"]["strides"][0] for layer in model["config"]["layers"] if layer["class_name"] == "Conv2DTranspose"
    ]
    return int(strides[-1]) if strides else None


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
    with hdf5.library("convert").File(buffer, "w") as file:
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


def _text(value: Any) -> str:
    """HDF5 attributes are bytes or text, by who wrote them."""
    return value.decode() if isinstance(value, bytes) else str(value)
