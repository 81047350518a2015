"""State dictionaries of PyTorch, pickled or as safetensors, whatever the class called its layers: known by shapes and order.

The common port calls them `first_part`, `mid_part`, `last_part`, others `feature_extraction`, `conv1`, `deconv`. A kernel has four
axes; a vector of the same module is its bias; a vector of a module of its own holds slopes. The deconvolution is the kernel to one
channel, whose bias is one number. A checkpoint may hold the dictionary beside other things (`epoch`, `optimizer`) at any key.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fsrcnn.arrays import Array
from fsrcnn.errors import FsrcnnError, WeightsError
from fsrcnn.foreign import port
from fsrcnn.foreign.assemble import Layer, Note, assemble, scale_of
from fsrcnn.require import require
from fsrcnn.weights import LARGEST_FILE, Weights

FEWEST_KERNELS = 4  # of an FSRCNN: three convolutions and the deconvolution
DEEPEST = 4  # dictionaries within dictionaries
AVERAGED = re.compile(r"ema|averag|avg|swa|shadow", re.IGNORECASE)
BIAS = re.compile(r"(^|[._])(bias(es)?|b)$", re.IGNORECASE)
ROLE = re.compile(r"(^|[._])(weights?|kernel|w|bias(es)?|b)$", re.IGNORECASE)
ZIP, PICKLE = b"PK\x03\x04", b"\x80"  # how PyTorch's files begin, since 1.6 and before
SAFETENSORS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


def read_pickle(data: bytes, path: Path, scale: int | None, crop: int | None, note: Note) -> Weights:
    """See `foreign.Checkpoint`. Only PyTorch's weights-only unpickler sees the file, which makes tensors and plain containers."""
    torch = require("torch", "PyTorch's files", extra="torch")
    if data.startswith(ZIP):
        try:
            zipfile.ZipFile(io.BytesIO(data)).close()  # its table of contents is at its end
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise WeightsError(f"{path} is a PyTorch file that is truncated or damaged", "get it again") from error
    if not data.startswith((ZIP, PICKLE)):
        raise WeightsError(f"{path} is no PyTorch file: it begins with {data[:16]!r}")
    try:
        stored = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # whatever a damaged or hostile file makes PyTorch raise
        raise WeightsError(
            f"{path} is damaged, or cannot be read without running code from it",
            "save a plain state_dict instead",
        ) from error
    candidates = {
        place: {
            name: _numpy(torch, name, tensor)
            for name, tensor in tensors.items()
            if tensor.dim() or tensor.is_floating_point()  # a counter, as of `torch.optim.swa_utils`
        }
        for place, tensors in _networks(stored, torch.Tensor)
    }
    return _chosen(candidates, True, path, scale, crop, note)


def read_safetensors(data: bytes, path: Path, scale: int | None, crop: int | None, note: Note) -> Weights:
    """See `foreign.Checkpoint`. These files hold their arrays in no order, so that of their names has to do."""
    import safetensors

    try:
        entries: list[tuple[str, Any]] = safetensors.deserialize(data)  # type: ignore[no-untyped-call]
    except Exception as error:  # the library's own, and what its decoding raises
        raise WeightsError(f"{path} is not a safetensors file, or it is damaged") from error
    arrays = {}
    for name, entry in entries:
        kind = SAFETENSORS.get(entry["dtype"])
        if kind is None:
            raise WeightsError(f"{name} holds {entry['dtype']}, not floating-point numbers")
        array = np.frombuffer(entry["data"], kind)
        if entry["dtype"] == "BF16":  # the upper half of a float32
            array = (array.astype(np.uint32) << 16).view(np.float32)
        if array.size:
            arrays[name] = array.reshape(entry["shape"])
    return _chosen(dict(_networks(arrays, np.ndarray)), False, path, scale, crop, note)


def _networks(stored: object, tensor: type) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every dictionary in what was stored, to some depth, that holds kernels enough; split where its names tell of several."""
    level: list[tuple[str, object]] = [("", stored)]
    seen: set[int] = set()  # a pickle may hold one thing many times, or within itself
    for _ in range(DEEPEST):
        below: list[tuple[str, object]] = []
        for place, item in level:
            if not isinstance(item, Mapping) or id(item) in seen:
                continue
            seen.add(id(item))
            named = {name: value for name, value in item.items() if isinstance(name, str)}
            tensors = {name: value for name, value in named.items() if isinstance(value, tensor)}
            if _kernels(tensors) >= FEWEST_KERNELS:
                yield from _split(place, tensors)
            below += [(f"{place}.{name}" if place else name, value) for name, value in named.items()]
        level = below


def _split(place: str, tensors: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """`model.…` and `model_ema.…` of one dictionary are two networks; `first_part.…`, `mid_part.…` are parts of one."""
    groups: dict[str, dict[str, Any]] = {}
    for name, value in tensors.items():
        groups.setdefault(name.partition(".")[0], {})[name] = value
    whole = {name: group for name, group in groups.items() if _kernels(group) >= FEWEST_KERNELS}
    if len(whole) < 2:
        yield place, tensors
    else:
        yield from ((f"{place}.{name}" if place else name, group) for name, group in whole.items())


def _kernels(tensors: Mapping[str, Any]) -> int:
    return sum(len(value.shape) == 4 for value in tensors.values())


def _numpy(torch: Any, name: str, tensor: Any) -> Array:
    """
    Raises:
        WeightsError: it is no plain tensor, or says to be larger than any file may be: a tensor may repeat one number at will.
    """
    if tensor.layout is not torch.strided or tensor.device.type != "cpu" or tensor.is_quantized or tensor.is_nested:
        raise WeightsError(f"{name} is no plain tensor")
    if tensor.numel() * 4 > LARGEST_FILE:
        raise WeightsError(f"{name} has shape {tuple(tensor.shape)}, which is more than {LARGEST_FILE // 2**20} MiB")
    if not tensor.is_floating_point():
        raise WeightsError(f"{name} holds {str(tensor.dtype).removeprefix('torch.')}, not floating-point numbers")
    try:
        array: Array = tensor.detach().to(torch.float32).numpy()
    except RuntimeError as error:  # PyTorch's word for it
        raise MemoryError from error
    return array


def _chosen(
    candidates: Mapping[str, Mapping[str, Array]],
    ordered: bool,
    path: Path,
    scale: int | None,
    crop: int | None,
    note: Note,
) -> Weights:
    """The weights of the one network in a file; of several, of the averaged one.

    Raises:
        WeightsError: there is none, or it cannot be said which.
    """
    if not candidates:
        raise WeightsError(f"it holds no state_dict with the {FEWEST_KERNELS} kernels or more of an FSRCNN")
    legal: dict[str, tuple[Weights, list[str]]] = {}
    refusals: dict[str, FsrcnnError] = {}
    for place, arrays in candidates.items():
        notes: list[str] = []
        try:
            layers = _layers(arrays, ordered, notes.append)
            legal[place] = _network(layers, path, scale, crop, notes.append), notes
        except WeightsError as error:
            refusals[place] = error
    if not legal:
        raise next(iter(refusals.values()))
    averaged = [place for place in legal if AVERAGED.search(place)]
    if len(legal) > 1:
        names = ", ".join(place or "the whole" for place in legal)
        if len(averaged) != 1:
            raise WeightsError(f"it holds {len(legal)} networks ({names})", "save the state_dict of one of them")
        note(f"it holds {len(legal)} networks ({names}); {averaged[0]}, the averaged one, is taken")
    weights, notes = legal[averaged[0] if len(legal) > 1 else next(iter(legal))]
    for sentence in dict.fromkeys(notes):
        note(sentence)
    return weights


def _network(layers: Sequence[Layer], path: Path, scale: int | None, crop: int | None, note: Note) -> Weights:
    last = layers[-1]
    if crop is None:
        side = last.kernel.shape[-1]
        crop = port.CROP if side >= port.LAST_KERNEL else side // 2
        if last.name != "last_part":
            note(
                f"the file does not say how many HR rows its deconvolution cuts: {crop} are assumed, the padding in the common port; "
                "if its class has another padding, convert it with that as the crop"
            )
    stamp, crop = port.without_widening(last.kernel, crop)
    return assemble([*layers[:-1], last._replace(kernel=stamp)], scale_of(path, scale), crop)


def _layers(arrays: Mapping[str, Array], ordered: bool, note: Note) -> list[Layer]:
    """The layers in the order of computation: that of the file if it makes a chain, or what shapes and names say.

    Raises:
        WeightsError: an array that no FSRCNN has, a PReLU too few or too many, or an order that nothing says.
    """
    if ordered and _is_chain(layers := _taken_apart(arrays, note)):
        return layers
    by_name = dict(sorted(arrays.items(), key=lambda item: _natural(item[0])))
    sorted_layers = _by_roles(_taken_apart(by_name, note))
    if _is_chain(sorted_layers) and _names_say_the_order(by_name, sorted_layers):
        return sorted_layers
    if _is_chain_in_some_order(sorted_layers):
        raise WeightsError(
            f"neither the order of its arrays nor their names say how its layers follow each other ({', '.join(by_name)})",
            "save the state_dict in the order of computation with torch.save",
        )
    return sorted_layers


def _taken_apart(arrays: Mapping[str, Array], note: Note) -> list[Layer]:
    """Kernels with their biases, the n-th slopes with the n-th kernel; the deconvolution last, the others as they come."""
    kernels: dict[str, Array] = {}
    biases: dict[str, Array] = {}
    slopes: list[Array] = []
    for name, array in arrays.items():
        if array.ndim == 4 and _module(name) not in kernels:
            kernels[_module(name)] = array
        elif array.ndim > 1:  # or a second kernel of one module
            raise WeightsError(f"{name} {array.shape} is no array of an FSRCNN")
    for name, array in arrays.items():
        if array.ndim < 2 and BIAS.search(name) and _module(name) in kernels:
            biases[_module(name)] = array.reshape(-1)
        elif array.ndim < 2:
            slopes.append(array.reshape(-1))
    to_one = [
        module for module, kernel in kernels.items() if kernel.shape[1] == 1 and (module not in biases or biases[module].size == 1)
    ]  # fmt: skip
    last = (to_one or list(kernels))[-1]
    convolutions = [module for module in kernels if module != last]
    if not to_one and kernels[convolutions[0]].shape[1] == 1:
        raise WeightsError(
            f"none of its kernels makes one channel of many, as a deconvolution does ({', '.join(kernels)})"
        )
    if len(slopes) == 1 and slopes[0].size == 1 and len(convolutions) > 1:
        note(f"its one PReLU is taken to follow each of the {len(convolutions)} convolutions")
        slopes *= len(convolutions)
    if len(slopes) != len(convolutions):
        raise WeightsError(
            f"it has {len(convolutions)} convolutions before the deconvolution and {len(slopes)} PReLUs; an FSRCNN has one behind each"
        )
    layers = [
        Layer(name, kernels[name], biases.get(name), slope) for name, slope in zip(convolutions, slopes, strict=True)
    ]
    return [*layers, Layer(last, kernels[last], biases.get(last))]


def _by_roles(layers: Sequence[Layer]) -> list[Layer]:
    """Feature extraction (of the fewest channels), shrinking (of d), mapping as it comes, expanding (to d), deconvolution."""
    *convolutions, last = layers
    d, first = last.kernel.shape[0], min(layer.kernel.shape[1] for layer in convolutions)

    def role(layer: Layer) -> int:
        channels_out, channels_in = layer.kernel.shape[:2]
        return 0 if channels_in == first else 3 if channels_out == d else 1 if channels_in == d else 2

    return [*sorted(convolutions, key=role), last]


def _is_chain(layers: Sequence[Layer]) -> bool:
    """Whether each layer reads as many channels as the one before makes, and has slopes for them."""
    channels = 1
    for layer in layers[:-1]:
        if layer.kernel.shape[1] != channels or layer.slopes is None or layer.slopes.size not in (1, len(layer.kernel)):
            return False
        channels = layer.kernel.shape[0]
    return bool(layers[-1].kernel.shape[0] == channels)


def _is_chain_in_some_order(layers: Sequence[Layer]) -> bool:
    """Whether they are a chain, if the slopes of one layer may be those of another."""
    *convolutions, last = layers
    slopes = sorted(0 if layer.slopes is None else layer.slopes.size for layer in convolutions)
    alike = slopes == sorted(len(layer.kernel) for layer in convolutions)
    one = np.zeros(1)
    return _is_chain(layers) or (alike and _is_chain([*(layer._replace(slopes=one) for layer in convolutions), last]))


def _names_say_the_order(arrays: Mapping[str, Array], layers: Sequence[Layer]) -> bool:
    """Whether arrays sorted by name belong together as they were paired: each PReLU right behind its convolution, or all of them
    numbered; mapping layers numbered; and one network only that shapes allow."""
    *convolutions, last = layers
    kinds = [array.ndim == 4 for name, array in arrays.items() if not BIAS.search(name) and _module(name) != last.name]
    slopes = [name for name, array in arrays.items() if array.ndim < 2 and not BIAS.search(name)]
    paired = all(kinds[::2]) and not any(kinds[1::2])
    numbered = [
        layer.name
        for layer in (convolutions if len(last.kernel) == len(convolutions[1].kernel) else convolutions[2:-1])
    ]
    one_to_one = last.bias is not None and len(last.kernel) > 1  # else the first kernel may be the last one
    return (paired or _alike(slopes)) and _alike(numbered) and one_to_one


def _alike(names: Sequence[str]) -> bool:
    """Whether names differ in nothing but numbers."""
    return len({re.sub(r"\d+", "#", name) for name in names}) <= 1


def _module(name: str) -> str:
    """`conv1.weight`, `conv1.bias`, `conv1_bias` → `conv1`."""
    return ROLE.sub("", name)


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts `mid_part.10` behind `mid_part.2`."""
    return [(int(part[:18]) if part.isdecimal() else -1, part) for part in re.split(r"([0-9]+)", name)]
