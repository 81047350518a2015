"""Other people's checkpoints: read into `Weights`, and written back for those who leave.

| ending | whose | read | written |
|---|---|---|---|
| `.mat` | the authors' FSRCNN and SRCNN (MATLAB) | yes | no |
| `.h5` | Keras: Conv2D, PReLU with shared axes, Conv2DTranspose "same" | yes | yes |
| `.pth` | the common PyTorch port (`first_part`, `mid_part`, `last_part`; deconvolution padding 4) | yes | yes |

Reading never runs what a file holds: `.pth` goes through PyTorch's weights-only unpickler, of Keras files only arrays and sizes
are taken. Each reader needs the library of its format, and says which where it is missing.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fsrcnn import files
from fsrcnn.architecture import SCALES, Architecture
from fsrcnn.errors import MissingExtraError, UsageError, WeightsError
from fsrcnn.imresize import contributions
from fsrcnn.weights import Weights

Array = npt.NDArray[Any]
WRITABLE = (".h5", ".hdf5", ".pth", ".pt")
PORT_CROP = 4  # the PyTorch port: padding=9 // 2 at every scale
AUTHORS_CROP = {
    2: 4,
    3: 3,
    4: 4,
}  # where the deconvolution's output starts in the authors' geometry (measured: their Set5 figures)
SRCNN_CROP = 2  # half of its last 5×5 kernel


def read(path: Path, scale: int | None = None, crop: int | None = None) -> Weights:
    """Read a foreign checkpoint.

    Args:
        path: its ending says the format.
        scale: 2, 3 or 4; where the file does not say it, it is read off the name (`x2`, `scale2`).
        crop: of the deconvolution, where it is not that of the format's usual source.

    Raises:
        WeightsError: not such a file, or a layer that no FSRCNN has, by its name and shape.
        UsageError: an unknown ending, or a scale that neither the file nor its name tells.
        MissingExtraError: the library for the format is not installed.
    """
    readers: dict[str, Callable[[Path, int | None, int | None], Weights]] = {
        ".mat": _read_mat, ".h5": _read_keras, ".hdf5": _read_keras, ".pth": _read_port, ".pt": _read_port,
    }  # fmt: skip
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UsageError(
            f"{path}: weights are read from {', '.join(readers)}, not from {path.suffix or 'a file without ending'}"
        )
    if not path.is_file():
        raise WeightsError(f"{path} does not exist" if not path.exists() else f"{path} is not a file")
    try:
        return reader(path, scale, crop)
    except UsageError:
        raise
    except WeightsError as error:
        raise WeightsError(error.about(path)) from error


def write(weights: Weights, path: Path) -> str | None:
    """Write a checkpoint for Keras (`.h5`) or the PyTorch port (`.pth`), by the ending.

    Returns:
        What to change in the port's class so that it computes the same, or None where nothing is to change.

    Raises:
        UsageError: another ending, or a crop that Keras cannot express.
        FsrcnnError: the file cannot be written.
    """
    ending = path.suffix.lower()
    if ending in (".h5", ".hdf5"):
        data, change = _keras_bytes(weights), None
    elif ending in (".pth", ".pt"):
        data, change = _port_bytes(weights)
    else:
        raise UsageError(
            f"{path}: weights are written as .safetensors, {', '.join(WRITABLE)}, not as {path.suffix or 'a file without ending'}"
        )
    files.write(path, data)
    return change


# ── assembling ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _assemble(
    names: list[str], convolutions: list[tuple[Array, Array, Array]], last: tuple[Array, Array], scale: int, crop: int
) -> Weights:
    """From layers in order: (kernel (out, in, k, k), bias, slopes) …, and the deconvolution's (kernel (d, 1, k, k), bias).

    `names` are what the file calls them, for messages.
    """
    count = len(convolutions)
    if count < 3:
        raise WeightsError(
            f"it has {count} convolutions before the deconvolution ({', '.join(names)}); an FSRCNN has at least 3"
        )
    first, shrinking = convolutions[0][0], convolutions[1][0]
    for name, kernel in zip(names, [*(layer[0] for layer in convolutions), last[0]], strict=True):
        if kernel.ndim != 4 or kernel.shape[2] != kernel.shape[3]:
            raise WeightsError(f"the kernel of {name} has shape {kernel.shape}, which is no square convolution")
    d, s, m = first.shape[0], shrinking.shape[0], count - 3
    try:
        architecture = Architecture(d, s, m, first.shape[2], last[0].shape[2], scale, crop)
    except UsageError as error:
        raise WeightsError(f"it makes no FSRCNN: {error}") from error
    ours = ["feature_extraction", "shrinking", *(f"mapping.{i}" for i in range(m)), "expanding"]
    arrays: dict[str, Array] = {}
    for name, own, (kernel, bias, slopes) in zip(names, ours, convolutions, strict=False):
        arrays |= {f"{own}.weight": kernel, f"{own}.bias": bias, f"{own}.prelu": slopes}
        for part, array in (("weight", kernel), ("bias", bias), ("prelu", slopes)):
            expected = architecture.array_shapes[f"{own}.{part}"]
            if array.shape != expected:
                raise WeightsError(
                    f"{name} ({own}.{part}) has shape {array.shape}, an FSRCNN({d}, {s}, {m}) has {expected} there"
                )
    arrays |= {"deconvolution.weight": last[0], "deconvolution.bias": last[1]}
    for part, array in (("weight", last[0]), ("bias", last[1])):
        expected = architecture.array_shapes[f"deconvolution.{part}"]
        if array.shape != expected:
            raise WeightsError(
                f"{names[-1]} (deconvolution.{part}) has shape {array.shape}, an FSRCNN({d}, {s}, {m}) has {expected} there"
            )
    return Weights(architecture, {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()})


def _scale_of(path: Path, given: int | None, stored: int | None = None) -> int:
    if stored is not None:
        if given is not None and given != stored:
            raise UsageError(f"{path} is of ×{stored}, not ×{given}")
        return stored
    if given is not None:
        if given not in SCALES:
            raise UsageError(f"scale is 2, 3 or 4, not {given}")
        return given
    found = re.findall(r"(?:x|scale[-_]?)([234])(?![0-9])", path.stem.lower())
    if len(set(found)) != 1:
        raise UsageError(f"{path} does not say its scale; give --scale 2, 3 or 4")
    return int(found[0])


# ── the authors' .mat ─────────────────────────────────────────────────────────────────────────────────────────────────


def _read_mat(path: Path, scale: int | None, crop: int | None) -> Weights:
    try:
        import scipy.io
    except ImportError as error:
        raise MissingExtraError(
            ".mat files need SciPy, which is not installed; type: pip install 'fsrcnn[convert]'"
        ) from error
    try:
        stored = scipy.io.loadmat(path)
    except Exception as error:  # whatever a damaged file makes SciPy raise
        raise WeightsError(f"{path} is not a MATLAB file, or it is damaged") from error
    scale = _scale_of(path, scale)
    if "weights_conv1" in stored:
        return _srcnn(stored, scale)
    missing = [name for name in ("weights_conv", "biases_conv", "prelu_conv") if name not in stored]
    if missing:
        held = ", ".join(name for name in stored if not name.startswith("__")) or "nothing"
        raise WeightsError(f"it holds {held}, but no {', '.join(missing)}, as the authors' FSRCNN files do")
    kernels, biases, slopes = (
        [np.asarray(cell, np.float32) for cell in stored[name].ravel()]
        for name in ("weights_conv", "biases_conv", "prelu_conv")
    )
    names = [f"weights_conv{{{i + 1}}}" for i in range(len(kernels))]
    layers = []
    for name, kernel, bias, slope in zip(names[:-1], kernels[:-1], biases, slopes, strict=False):
        if kernel.ndim != 3:
            raise WeightsError(f"{name} has shape {kernel.shape}, not (in, k², out)")
        # One slope for the whole layer there, one per channel here.
        layers.append((_from_columns(kernel, name), bias.ravel(), np.repeat(slope.ravel()[:1], kernel.shape[2])))
    last = kernels[-1]  # (1, k², d): MATLAB's layout of one output channel
    if last.ndim != 3 or last.shape[0] != 1:
        raise WeightsError(f"{names[-1]} has shape {last.shape}, not (1, k², d)")
    stamp = _from_columns(last, names[-1])
    return _assemble(names, layers, (stamp, biases[-1].ravel()), scale, AUTHORS_CROP[scale] if crop is None else crop)


def _from_columns(kernel: Array, name: str) -> Array:
    """MATLAB's (in, k², out), each k×k plane stored columns first, as (out, in, k, k)."""
    channels_in, taps, channels_out = kernel.shape
    side = round(taps**0.5)
    if side * side != taps:
        raise WeightsError(f"{name} has {taps} taps, which is no square")
    planes = kernel.transpose(2, 0, 1).reshape(channels_out, channels_in, side, side)
    return np.ascontiguousarray(planes.swapaxes(2, 3))


def _srcnn(stored: dict[str, Array], scale: int) -> Weights:
    """SRCNN (bicubic upscaling, then three convolutions at HR size) as the FSRCNN that computes the very same.

    Every HR pixel `scale·i + p` of SRCNN's maps becomes a channel of LR pixel i: bicubic upscaling and the first convolution are
    then one linear map of an LR neighbourhood (feature extraction with 64·scale² channels), the 1×1 layer is block-diagonal
    (shrinking), a 5×5 one reaches one LR pixel far (a 3×3 mapping layer), and the last is a deconvolution. ReLU is a PReLU of
    slope 0. Exact, but for pixels whose neighbourhood leaves the picture: SRCNN replicates edges at HR, FSRCNN pads with zeros.
    """
    missing = [
        name for layer in "123" for name in (f"weights_conv{layer}", f"biases_conv{layer}") if name not in stored
    ]
    if missing:
        raise WeightsError(f"it holds no {', '.join(missing)}, as the authors' SRCNN files do")
    one = np.asarray(stored["weights_conv1"], np.float64)
    two = np.asarray(stored["weights_conv2"], np.float64)
    three = np.asarray(stored["weights_conv3"], np.float64)
    if (
        one.ndim != 2
        or two.ndim != 3
        or three.ndim != 2
        or (two.shape[0], two.shape[2]) != (one.shape[1], three.shape[0])
    ):
        raise WeightsError(
            f"weights_conv1, 2, 3 have shapes {one.shape}, {two.shape}, {three.shape}, which do not fit together as an SRCNN"
        )
    first = _from_columns(one[None].astype(np.float64), "weights_conv1")[:, 0]
    second = _from_columns(two, "weights_conv2")
    third = _from_columns(three[:, :, None].transpose(2, 1, 0), "weights_conv3")[:, 0]
    if second.shape[2] not in (1, 5) or third.shape[1] != 5:
        raise WeightsError(
            f"an SRCNN of {first.shape[1]}-{second.shape[2]}-{third.shape[1]} is not one of 9-1-5 and 9-5-5"
        )
    squares, (n1, n2) = scale * scale, (second.shape[1], second.shape[0])
    phases = [(y, x) for y in range(scale) for x in range(scale)]

    # Bicubic upscaling: HR row scale·i + p is a sum over LR rows i + r; `rows[p][r + reach]` are its weights, far from borders.
    length = 15
    taps = contributions(length, length * scale)
    reach = 2
    rows = np.zeros((scale, 2 * reach + 1))
    for phase in range(scale):
        hr_row = (length // 2) * scale + phase
        for index, weight in zip(taps.indices[hr_row], taps.weights[hr_row], strict=True):
            if weight:
                rows[phase, index - length // 2 + reach] += weight
    half = first.shape[1] // 2
    far = max((half + scale - 1) // scale, -((-half) // scale)) + reach
    side = 2 * far + 1
    # spread[p, t, r]: how much LR row r of the neighbourhood gives to HR row p + t.
    spread = np.zeros((scale, first.shape[1], side))
    for phase in range(scale):
        for tap in range(first.shape[1]):
            hr_offset = phase + tap - half
            start = hr_offset // scale + far - reach
            spread[phase, tap, start : start + 2 * reach + 1] += rows[hr_offset % scale]
    feature = np.stack([np.einsum("ntu,tr,uc->nrc", first, spread[y], spread[x]) for y, x in phases])
    feature = feature.reshape(squares * n1, 1, side, side)
    bias1, bias2 = (np.tile(np.asarray(stored[f"biases_conv{i}"], np.float64).ravel(), squares) for i in (1, 2))

    d, five = squares * n1, second.shape[2] == 5
    s = d if five else squares * n2
    blocks = np.zeros((squares, n2, squares, n1, 3, 3))
    reach2 = second.shape[2] // 2
    for p, (y, x) in enumerate(phases):
        for ty in range(-reach2, reach2 + 1):
            for tx in range(-reach2, reach2 + 1):
                (row, to_y), (column, to_x) = divmod(y + ty, scale), divmod(x + tx, scale)
                blocks[p, :, to_y * scale + to_x, :, row + 1, column + 1] += second[:, :, ty + reach2, tx + reach2]
    linear = blocks.reshape(squares * n2, d, 3, 3)
    arrays = {
        "feature_extraction.weight": feature, "feature_extraction.bias": bias1, "feature_extraction.prelu": np.zeros(d),
    }  # fmt: skip
    if five:
        mapping, bias = np.zeros((s, s, 3, 3)), np.zeros(s)
        mapping[: squares * n2], bias[: squares * n2] = linear, bias2
        arrays |= {
            "shrinking.weight": np.eye(s, d)[:, :, None, None],
            "shrinking.bias": np.zeros(s),
            "shrinking.prelu": np.ones(s),
        }
        arrays |= {"mapping.0.weight": mapping, "mapping.0.bias": bias, "mapping.0.prelu": np.zeros(s)}
    else:
        arrays |= {"shrinking.weight": linear[:, :, 1:2, 1:2], "shrinking.bias": bias2, "shrinking.prelu": np.zeros(s)}
    arrays |= {
        "expanding.weight": np.eye(d, s)[:, :, None, None],
        "expanding.bias": np.zeros(d),
        "expanding.prelu": np.ones(d),
    }
    kernel_side = scale + 4 + (scale + 1) % 2
    stamp = np.zeros((d, 1, kernel_side, kernel_side))
    for p, (y, x) in enumerate(phases):  # SRCNN gathers, a deconvolution scatters: the kernel is turned round
        stamp[p * n2 : (p + 1) * n2, 0, y : y + 5, x : x + 5] = third[:, ::-1, ::-1]
    arrays |= {
        "deconvolution.weight": stamp,
        "deconvolution.bias": np.asarray(stored["biases_conv3"], np.float64).ravel(),
    }
    architecture = Architecture(d, s, 1 if five else 0, side, kernel_side, scale, SRCNN_CROP)
    return Weights(architecture, {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()})


# ── Keras .h5 ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError(
            ".h5 files need h5py, which is not installed; type: pip install 'fsrcnn[convert]'"
        ) from error
    return h5py


def _read_keras(path: Path, scale: int | None, crop: int | None) -> Weights:
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
    stored = None
    if config is not None:
        for layer in json.loads(_text(config))["config"]["layers"]:
            if layer["class_name"] == "Conv2DTranspose":
                stored = int(layer["config"]["strides"][0])
    convolutions: list[tuple[Array, Array, Array]] = []
    kernels: list[str] = []
    last: tuple[Array, Array] | None = None
    open_layer: tuple[Array, Array] | None = None
    for name, arrays in layers:
        shapes = ", ".join(str(array.shape) for array in arrays)
        if last is not None:
            raise WeightsError(f"layer {name} ({shapes}) comes after the deconvolution")
        if len(arrays) == 1 and open_layer is not None:  # PReLU
            slopes = arrays[0]
            if slopes.size != open_layer[1].size:
                raise WeightsError(
                    f"layer {name} has slopes of shape {slopes.shape}; a PReLU with shared axes has (1, 1, {open_layer[1].size})"
                )
            convolutions.append((*open_layer, slopes.ravel()))
            open_layer = None
        elif len(arrays) == 2 and arrays[0].ndim == 4 and open_layer is None:
            kernels.append(name)
            if len(convolutions) >= 3 and arrays[0].shape[2] == 1 and arrays[1].size == 1:  # (k, k, 1, d)
                last = (arrays[0].transpose(3, 2, 0, 1), arrays[1])
            else:  # (k, k, in, out)
                open_layer = (arrays[0].transpose(3, 2, 0, 1), arrays[1])
        else:
            raise WeightsError(
                f"layer {name} ({shapes}) is neither a convolution with bias followed by a PReLU, nor that PReLU"
            )
    if last is None:
        raise WeightsError(f"it ends in {layers[-1][0]}, not in a transposed convolution to one channel")
    scale = _scale_of(path, scale, stored)
    return _assemble(kernels, convolutions, last, scale, -1 if crop is None else crop)  # "same" centres as we do


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _keras_bytes(weights: Weights) -> bytes:
    """A whole-model file (architecture and arrays) as Keras 2 wrote them and Keras 2 and 3 read them."""
    architecture, arrays = weights.architecture, weights.arrays
    if architecture.crop != architecture.with_scale(architecture.scale).crop:
        raise UsageError(
            f'Keras\'s "same" crops {architecture.with_scale(architecture.scale).crop} HR rows at ×{architecture.scale}, '
            f"this network {architecture.crop}; it cannot be written as .h5"
        )
    stages = [name.removesuffix(".prelu") for name in architecture.array_shapes if name.endswith(".prelu")]
    layers: list[dict[str, Any]] = [
        {
            "class_name": "InputLayer",
            "config": {"batch_input_shape": [None, None, None, 1], "dtype": "float32", "name": "lr"},
        }
    ]
    stored: list[tuple[str, dict[str, Array]]] = []

    def convolution(name: str, kind: str, filters: int, side: int, stride: int) -> None:
        config = {
            "name": name, "trainable": True, "dtype": "float32", "filters": filters, "kernel_size": [side, side],
            "strides": [stride, stride], "padding": "same", "data_format": "channels_last", "activation": "linear", "use_bias": True,
        }  # fmt: skip
        layers.append({"class_name": kind, "config": config})

    for stage in stages:
        name = stage.replace(".", "_")
        kernel = arrays[f"{stage}.weight"]
        convolution(name, "Conv2D", kernel.shape[0], kernel.shape[2], 1)
        stored.append((name, {"kernel:0": kernel.transpose(2, 3, 1, 0), "bias:0": arrays[f"{stage}.bias"]}))
        config = {"name": f"{name}_prelu", "trainable": True, "dtype": "float32", "shared_axes": [1, 2]}
        layers.append({"class_name": "PReLU", "config": config})
        stored.append((f"{name}_prelu", {"alpha:0": arrays[f"{stage}.prelu"][None, None]}))
    convolution("deconvolution", "Conv2DTranspose", 1, architecture.deconvolution_kernel, architecture.scale)
    stamp = arrays["deconvolution.weight"].transpose(2, 3, 1, 0)
    stored.append(("deconvolution", {"kernel:0": stamp, "bias:0": arrays["deconvolution.bias"]}))

    buffer = io.BytesIO()
    with _h5py().File(buffer, "w") as file:
        model = {"class_name": "Sequential", "config": {"name": "fsrcnn", "layers": layers}}
        file.attrs["model_config"] = json.dumps(model).encode()
        file.attrs["keras_version"], file.attrs["backend"] = b"2.3.1", b"tensorflow"
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = [name.encode() for name, _ in stored]
        root.attrs["keras_version"], root.attrs["backend"] = b"2.3.1", b"tensorflow"
        for name, parts in stored:
            group = root.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{part}".encode() for part in parts]
            for part, array in parts.items():
                group.create_dataset(f"{name}/{part}", data=np.ascontiguousarray(array))
    return buffer.getvalue()


# ── the PyTorch port's .pth ───────────────────────────────────────────────────────────────────────────────────────────


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError(
            ".pth files need PyTorch, which is not installed; type: pip install 'fsrcnn[torch]'"
        ) from error
    return torch


def _read_port(path: Path, scale: int | None, crop: int | None) -> Weights:
    torch = _torch()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged or hostile file makes PyTorch raise
        raise WeightsError(
            f"{path} cannot be read without running code from it (or it is no PyTorch file); save a plain state_dict instead"
        ) from error
    for key in ("state_dict", "model_state_dict", "model", "params"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError("it holds no state_dict of tensors")
    arrays = {name.removeprefix("module."): value.float().numpy() for name, value in state.items()}
    parts: dict[str, Array] = {}
    modules: list[str] = []
    for name, array in arrays.items():
        match = re.fullmatch(r"((?:first_part|mid_part)\.\d+|last_part)\.(weight|bias)", name)
        if match is None:
            raise WeightsError(
                f"{name} {array.shape} is no array of the port, whose names begin with first_part, mid_part, last_part"
            )
        parts[name] = array
        modules += [match[1]] if match[1] not in modules else []
    if "last_part" not in modules or "first_part.0" not in modules:
        raise WeightsError(
            f"it holds {', '.join(modules)}, but no {'last_part' if 'last_part' not in modules else 'first_part.0'}"
        )
    ordered = sorted(
        (m for m in modules if m != "last_part"), key=lambda m: (m.split(".")[0] != "first_part", int(m.split(".")[1]))
    )
    convolutions, names = [], []
    for module, slopes in zip(ordered[::2], ordered[1::2], strict=False):
        needed = [f"{module}.weight", f"{module}.bias", f"{slopes}.weight"]
        for name in needed:
            if name not in parts:
                raise WeightsError(f"{name} is missing")
        kernel, bias, slope = (parts[name] for name in needed)
        convolutions.append((kernel, bias, np.repeat(slope, len(bias)) if slope.size == 1 else slope))
        names.append(module)
    if "last_part.bias" not in parts or "last_part.weight" not in parts:
        raise WeightsError("last_part.weight and last_part.bias are needed, and one is missing")
    if len(ordered) % 2:
        raise WeightsError(
            f"{ordered[-1]} {parts.get(f'{ordered[-1]}.weight', np.zeros(0)).shape} has no partner: convolution and PReLU alternate"
        )
    stamp, crop = parts["last_part.weight"], PORT_CROP if crop is None else crop
    if stamp.ndim == 4:  # as `write` widens it
        while crop > 0 and stamp.shape[2] > 1 and not stamp[:, :, 0].any() and not stamp[:, :, :, 0].any():
            stamp, crop = stamp[:, :, 1:, 1:], crop - 1
    return _assemble(
        [*names, "last_part"], convolutions, (stamp, parts["last_part.bias"]), _scale_of(path, scale), crop
    )


def _port_bytes(weights: Weights) -> tuple[bytes, str | None]:
    """A state_dict under the port's names, and what to change in its class so that it computes the same.

    The port's deconvolution crops 4 HR rows on both sides. Another crop is exactly a larger kernel with leading rows of zeros,
    which the port's class refuses loudly; a kernel moved within its 9×9 would load, and cost decibels.
    """
    torch = _torch()
    architecture = weights.architecture
    side, scale, crop, first = (
        architecture.deconvolution_kernel,
        architecture.scale,
        architecture.crop,
        architecture.feature_kernel,
    )
    padding = max(PORT_CROP, crop) if side == 9 else max(crop, side - scale - crop)
    leading = padding - crop
    trailing = max(0, 2 * padding + 1 - side - leading)  # PyTorch's output_padding is below the stride
    output_padding = 2 * padding + scale - side - leading - trailing
    arrays = dict(weights.arrays)
    edges = (leading, trailing)
    arrays["deconvolution.weight"] = np.pad(arrays["deconvolution.weight"], ((0, 0), (0, 0), edges, edges))
    full = side + leading + trailing
    changes = []
    if first != 5:
        changes.append(f"first_part's first layer to nn.Conv2d(1, {architecture.d}, {first}, padding={first // 2})")
    if (full, padding, output_padding) != (9, PORT_CROP, scale - 1):
        changes.append(
            f"last_part to nn.ConvTranspose2d({architecture.d}, 1, {full}, stride={scale}, padding={padding}, "
            f"output_padding={output_padding})"
        )
    change = f"in the port's class change {' and '.join(changes)}; then it computes the same" if changes else None
    stages = [name.removesuffix(".prelu") for name in architecture.array_shapes if name.endswith(".prelu")]
    state = {}
    for index, stage in enumerate(stages):
        prefix, number = ("first_part", 0) if index == 0 else ("mid_part", 2 * (index - 1))
        state[f"{prefix}.{number}.weight"] = arrays[f"{stage}.weight"]
        state[f"{prefix}.{number}.bias"] = arrays[f"{stage}.bias"]
        state[f"{prefix}.{number + 1}.weight"] = arrays[f"{stage}.prelu"]
    state["last_part.weight"], state["last_part.bias"] = arrays["deconvolution.weight"], arrays["deconvolution.bias"]
    buffer = io.BytesIO()
    torch.save({name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in state.items()}, buffer)
    return buffer.getvalue(), change
