"""Other people's checkpoints: read into `Weights`, and written back for those who leave.

| ending | whose | read | written | module |
|---|---|---|---|---|
| `.mat` | the authors' FSRCNN and SRCNN (MATLAB) | yes | no | `authors.py`, `srcnn.py` |
| `.h5` | Keras: Conv2D, PReLU with shared axes, Conv2DTranspose "same" | yes | yes | `keras.py` |
| `.pth`, `.pt` | PyTorch: state dictionaries of any names, in checkpoints | yes | as the common port | `state_dict.py`, `port.py` |
| `.tar` (`.pth.tar`), `.ckpt` | the same | yes | no | `state_dict.py` |
| `.safetensors` | the same, without our metadata | yes | no | `state_dict.py` |
| `.pb` | OpenCV's FSRCNN: TensorFlow's frozen graphs | yes | no | `graph.py` |

Reading never runs what a file holds: `.pth` goes through PyTorch's weights-only unpickler, of Keras files and graphs only arrays and
sizes are taken. It happens in a process of its own (`quarantine.py`), since damaged files crash libhdf5 and SciPy. Each reader needs
the library of its format, and says which where it is missing. `geometry.py` looks whether scale and crop are those of the weights.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from fsrcnn import files, quarantine, weights
from fsrcnn.errors import UsageError, WeightsError
from fsrcnn.foreign import authors, geometry, graph, keras, port, state_dict
from fsrcnn.foreign.assemble import Note
from fsrcnn.weights import METADATA_KEY, Weights, check_float


class Checkpoint(NamedTuple):
    """How a kind of file is read and written.

    Attributes:
        read: the file's bytes, its path (for messages, and for a scale in its name), scale and crop (each None where nobody says it),
            and what to call with remarks → weights.
        libraries: what `read` imports.
        encode: weights → the bytes of a file, and what to change in the other side's code so that it computes the same, or None
            where nothing is to change; None for a kind that is not written.
    """

    read: Callable[[bytes, Path, int | None, int | None, Note], Weights]
    libraries: tuple[str, ...] = ()
    encode: Callable[[Weights], tuple[bytes, str | None]] | None = None


KERAS = Checkpoint(keras.read, ("h5py",), keras.encode)
TORCH = Checkpoint(state_dict.read_pickle, ("torch",))
CHECKPOINTS = {
    ".mat": Checkpoint(authors.read, ("scipy.io",)),
    ".h5": KERAS,
    ".hdf5": KERAS,
    ".pth": TORCH._replace(encode=port.encode),
    ".pt": TORCH._replace(encode=port.encode),
    ".tar": TORCH,
    ".ckpt": TORCH,
    ".pb": Checkpoint(graph.read),
    ".safetensors": Checkpoint(state_dict.read_safetensors),
}
WRITABLE = tuple(ending for ending, checkpoint in CHECKPOINTS.items() if checkpoint.encode is not None)


def is_foreign(path: Path) -> bool:
    """Whether a file is for `read`, by its ending; a `.safetensors` only if its metadata are not ours.

    Raises:
        WeightsError: a `.safetensors` that cannot be read.
    """
    if path.suffix.lower() != ".safetensors":
        return path.suffix.lower() in CHECKPOINTS
    return METADATA_KEY not in weights.metadata_of(weights.contents(path))


def read(path: Path, scale: int | None = None, crop: int | None = None, note: Note = lambda sentence: None) -> Weights:
    """Read a foreign checkpoint.

    Args:
        path: its ending says the format.
        scale: 2, 3 or 4; where the file does not say it, it is read off the name (`x2`, `scale2`).
        crop: of the deconvolution, where it is not that of the format's usual source.
        note: called with a sentence about each thing that the file leaves open, and what was taken for it.

    Raises:
        WeightsError: not such a file, or a layer that no FSRCNN has, by its name and shape.
        UsageError: an unknown ending, or a scale that neither the file nor its name tells.
        MissingExtraError: the library for the format is not installed.
    """
    ending = path.suffix.lower()
    if ending not in CHECKPOINTS:
        raise UsageError(
            f"{path}: weights are read from {', '.join(CHECKPOINTS)}, not from {path.suffix or 'a file without ending'}"
        )
    data = weights.contents(path)
    libraries = CHECKPOINTS[ending].libraries
    try:
        result = quarantine.call(
            f"{__name__}:_read", str(path), scale, crop, data=data, libraries=libraries, error=WeightsError
        )
    except WeightsError as error:
        raise error.named(path) from error.__cause__
    head, _, converted = result.partition(b"\n")
    for sentence in json.loads(head):
        note(sentence)
    return weights.from_bytes(converted, str(path))


def _read(data: bytes, name: str, scale: int | None, crop: int | None) -> bytes:
    """In the process of its own: remarks as a line of JSON, and behind it a weights file of ours."""
    path, notes = Path(name), list[str]()
    converted = CHECKPOINTS[path.suffix.lower()].read(data, path, scale, crop, notes.append)
    doubt = geometry.doubt(converted)
    if doubt is not None:
        notes.append(doubt)
    return json.dumps(notes).encode() + b"\n" + converted.to_bytes()


def write(weights: Weights, path: Path, *, overwrite: bool = True) -> str | None:
    """Write a checkpoint for Keras (`.h5`) or the PyTorch port (`.pth`), by the ending; an existing file is replaced or refused.

    Returns:
        What to change in the port's class so that it computes the same, or None where nothing is to change.

    Raises:
        UsageError: another ending, a crop that Keras cannot express, or no float weights.
        FsrcnnError: the file cannot be written.
    """
    check_float(weights)
    checkpoint = CHECKPOINTS.get(path.suffix.lower())
    if checkpoint is None or checkpoint.encode is None:
        raise UsageError(
            f"{path}: weights are written as .safetensors, {', '.join(WRITABLE)}, not as {path.suffix or 'a file without ending'}"
        )
    data, change = checkpoint.encode(weights)
    files.write(path, data, replace=overwrite)
    return change
