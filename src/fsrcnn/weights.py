"""Named float32 arrays with their architecture: in memory, and in a safetensors file that is enough on its own."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from fsrcnn import files
from fsrcnn.architecture import Architecture
from fsrcnn.arrays import Array, Float32
from fsrcnn.errors import UsageError, WeightsError

METADATA_KEY = "fsrcnn.architecture"
KIND_KEY = "fsrcnn.kind"  # what `METADATA_KEY` describes; files from before there was a kind are of this one:
KIND = "fsrcnn"
INTEGER_KIND = "fsrcnn-integer"  # of `integer.py`, where such files are read
FORMAT_KEY = "fsrcnn.format"  # of an integer model: w12a12
LARGEST_FILE = 64 * 2**20  # bytes; the paper's network takes 55 kB


@dataclass(frozen=True, eq=False)
class Weights:
    """An architecture and its arrays, checked when made.

    Attributes:
        architecture: what the arrays mean.
        arrays: float32, C-contiguous, under the names and in the shapes of `architecture.array_shapes`.

    Raises:
        WeightsError: an array is missing, surplus, misshapen, not float32, or not finite.
    """

    architecture: Architecture
    arrays: dict[str, Float32]

    def __post_init__(self) -> None:
        expected = self.architecture.array_shapes
        for name in expected:
            if name not in self.arrays:
                raise WeightsError(f"the weights miss the array {name}")
        for name, array in self.arrays.items():
            if name not in expected:
                raise WeightsError(f"the weights hold an array {name} that {self.architecture} does not have")
            if array.shape != expected[name]:
                raise WeightsError(f"{name} has shape {array.shape}, the architecture says {expected[name]}")
            if array.dtype != np.float32:
                raise WeightsError(f"{name} is {array.dtype}, not float32")
            if not np.isfinite(array).all():
                raise WeightsError(f"{name} holds NaN or infinity")

    def save(self, path: str | Path, *, overwrite: bool = True) -> None:
        """Write a safetensors file, beside its name first and then renamed, so that a kill leaves no half file.

        The same weights give the same bytes.

        Args:
            path: of the file.
            overwrite: replace an existing one.

        Raises:
            WeightsError: the file cannot be written.
        """
        files.write(Path(path), self.to_bytes(), WeightsError, replace=overwrite)

    def to_bytes(self) -> bytes:
        """The file that `save` writes."""
        metadata = {KIND_KEY: KIND, METADATA_KEY: json.dumps(asdict(self.architecture))}
        return in_order(safetensors.numpy.save(self.arrays, metadata))


def check_float(weights: object) -> None:
    """Refuse what is no `Weights`, as an integer model is none, before anybody looks for its arrays.

    Raises:
        UsageError: that is so.
    """
    if not isinstance(weights, Weights):
        raise UsageError(f"float weights are needed here, an object of Weights, not of {type(weights).__name__}")


def averaged(first: Weights, second: Weights, strength: float) -> Weights:
    """Between two networks: each number is (1 - strength) · first + strength · second.

    That makes a network of them only where one began with the weights of the other, or both with those of a third, and they have not
    gone far since: between `fsrcnn-photo-mild` and `fsrcnn-photo-strong` PSNR changes smoothly (docs/real-photos.md), between `fsrcnn`
    and either of them it lies far below bicubic interpolation's. (Wortsman et al. 2022, "Model soups", arXiv 2203.05482.)

    Args:
        first, second: of one architecture.
        strength: 0 gives `first`, 1 gives `second`.

    Raises:
        UsageError: a strength outside 0 … 1, two architectures, or no float weights.
    """
    check_float(first)
    check_float(second)
    if not 0 <= strength <= 1:
        raise UsageError(f"is 0 to 1, not {strength}", argument="strength")
    if first.architecture != second.architecture:
        mine, theirs = asdict(first.architecture), asdict(second.architecture)
        different = ", ".join(f"{name} {mine[name]} and {theirs[name]}" for name in mine if mine[name] != theirs[name])
        raise UsageError(f"two networks that differ ({different}) have no average", "give two of one architecture")
    one, other = np.float32(1 - strength), np.float32(strength)
    return Weights(
        first.architecture, {name: one * array + other * second.arrays[name] for name, array in first.arrays.items()}
    )


def load(path: str | Path) -> Weights:
    """Read a safetensors file of this package; nothing in it is ever executed.

    Raises:
        WeightsError: no such file, not safetensors (a pickle, say), no architecture in its metadata, or arrays that
            do not fit the architecture.
    """
    return from_bytes(contents(path), str(path))


def contents(path: str | Path) -> bytes:
    """The bytes of a file of weights, ours or another's: a regular one of at most `LARGEST_FILE` bytes.

    Raises:
        WeightsError: there is none, it cannot be read, it is larger, or a folder, a device or a pipe, which may never end.
    """

    def without_waiting(name: str, flags: int) -> int:  # for someone who writes into a pipe
        return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))

    try:
        if os.path.isdir(path):  # noqa: PTH112  (pathlib's raises for a name that is too long)
            raise WeightsError(f"{path} is a folder, not a weights file")
        with open(path, "rb", opener=without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise WeightsError(f"{path} is a device or a pipe, and weights are read from files")
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        reason = files.explained(error)
        absent = isinstance(error, FileNotFoundError) and reason == error.strerror
        raise WeightsError(
            f"{path} does not exist" if absent else f"cannot read the weights {path}: {reason}"
        ) from error
    except ValueError as error:  # a zero byte
        raise WeightsError(f"{path} is no name of a file") from error
    if len(data) > LARGEST_FILE:
        raise WeightsError(
            f"{path} has more than {LARGEST_FILE:,} bytes, far more than any FSRCNN: it is not a weights file of fsrcnn"
        )
    return data


def metadata_of(data: bytes) -> dict[str, Any]:
    """What a safetensors file says of itself; nothing where it says nothing, or is no such file."""
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        metadata = header.get("__metadata__")
    except (ValueError, AttributeError, RecursionError):
        return {}
    return metadata if isinstance(metadata, dict) else {}


def from_bytes(data: bytes, source: str) -> Weights:
    """`load` for bytes already in memory; `source` names them in error messages.

    Raises:
        WeightsError: as `load`; also where the file says that it holds another kind of network.
    """
    arrays, metadata = opened(data, source)
    kind = metadata.get(KIND_KEY, KIND)
    if kind == INTEGER_KIND:
        raise not_float(source, metadata.get(FORMAT_KEY))
    if kind != KIND:
        raise WeightsError(f"{source} holds a network of kind {kind!r}; this version of fsrcnn knows only {KIND!r}")
    architecture = architecture_of(metadata, source)
    try:
        return Weights(architecture, arrays)
    except WeightsError as error:
        raise error.named(source) from None


def opened(data: bytes, source: str) -> tuple[dict[str, Array], dict[str, Any]]:
    """Arrays and metadata of a safetensors file of whatever kind.

    Raises:
        WeightsError: it is no such file.
    """
    try:
        return safetensors.numpy.load(data), metadata_of(data)
    except Exception as error:  # the library's own, and KeyError, TypeError … for numbers that NumPy does not have
        found = "a pickle or PyTorch checkpoint, which is never loaded" if _looks_pickled(data) else "something else"
        raise WeightsError(
            f"{source} is not a safetensors weights file (it is {found})",
            "`fsrcnn convert` makes one of a .pth, .h5, .mat or .pb",
        ) from error


def architecture_of(metadata: Mapping[str, Any], source: str) -> Architecture:
    """What the metadata of a file say of its network.

    Raises:
        WeightsError: nothing, or nothing that is legal.
    """
    if METADATA_KEY not in metadata:
        raise WeightsError(
            f"{source} holds arrays but no {METADATA_KEY} metadata, so it is not a weights file of fsrcnn",
            "`fsrcnn convert` reads it if it is an FSRCNN of others",
        )
    try:
        return Architecture(**json.loads(metadata[METADATA_KEY]))
    except (TypeError, ValueError, RecursionError) as error:  # UsageError is a ValueError
        raise WeightsError(f"{source} describes no legal architecture: {error}") from error


def not_float(source: str, format: object) -> WeightsError:
    """What is said of an integer model where float weights are needed; `format` is its format's name, as far as it is known."""
    named = f" ({format})" if format else ""
    return WeightsError(
        f"{source} is an integer model{named}, and float weights are needed here",
        "give the weights that it was made of",
    )


def in_order(data: bytes) -> bytes:
    """A safetensors file with its metadata sorted, which the library writes in an order of chance.

    The file is: the header's length in 8 bytes (little endian), the header (JSON, padded by spaces to a multiple of 8), the arrays.
    """
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[start:]


def _looks_pickled(data: bytes) -> bool:
    return data[:1] == b"\x80" or data[:4] == b"PK\x03\x04"
