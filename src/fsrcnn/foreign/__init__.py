"""Other people's checkpoints: read into `Weights`, and written back for those who leave.

| ending | whose | read | written | module |
|---|---|---|---|---|
| `.mat` | the authors' FSRCNN and SRCNN (MATLAB) | yes | no | `authors.py`, `srcnn.py` |
| `.h5` | Keras: Conv2D, PReLU with shared axes, Conv2DTranspose "same" | yes | yes | `keras.py` |
| `.pth` | the common PyTorch port (`first_part`, `mid_part`, `last_part`; deconvolution padding 4) | yes | yes | `port.py` |

Reading never runs what a file holds: `.pth` goes through PyTorch's weights-only unpickler, of Keras files only arrays and sizes
are taken. Each reader needs the library of its format, and says which where it is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from fsrcnn import files
from fsrcnn.errors import UsageError, WeightsError
from fsrcnn.foreign import authors, keras, port
from fsrcnn.weights import Weights


class Checkpoint(NamedTuple):
    """How a kind of file is read and written.

    Attributes:
        read: path, scale and crop (each None where nobody says it) → weights.
        encode: weights → the bytes of a file, and what to change in the other side's code so that it computes the same, or None
            where nothing is to change; None for a kind that is not written.
    """

    read: Callable[[Path, int | None, int | None], Weights]
    encode: Callable[[Weights], tuple[bytes, str | None]] | None = None


AUTHORS, KERAS, PORT = (
    Checkpoint(authors.read),
    Checkpoint(keras.read, keras.encode),
    Checkpoint(port.read, port.encode),
)
CHECKPOINTS = {".mat": AUTHORS, ".h5": KERAS, ".hdf5": KERAS, ".pth": PORT, ".pt": PORT}
WRITABLE = tuple(ending for ending, checkpoint in CHECKPOINTS.items() if checkpoint.encode is not None)


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
    checkpoint = CHECKPOINTS.get(path.suffix.lower())
    if checkpoint is None:
        raise UsageError(
            f"{path}: weights are read from {', '.join(CHECKPOINTS)}, not from {path.suffix or 'a file without ending'}"
        )
    if not path.is_file():
        raise WeightsError(f"{path} does not exist" if not path.exists() else f"{path} is not a file")
    try:
        return checkpoint.read(path, scale, crop)
    except WeightsError as error:
        raise error.named(path) from error.__cause__


def write(weights: Weights, path: Path, *, overwrite: bool = True) -> str | None:
    """Write a checkpoint for Keras (`.h5`) or the PyTorch port (`.pth`), by the ending; an existing file is replaced or refused.

    Returns:
        What to change in the port's class so that it computes the same, or None where nothing is to change.

    Raises:
        UsageError: another ending, or a crop that Keras cannot express.
        FsrcnnError: the file cannot be written.
    """
    checkpoint = CHECKPOINTS.get(path.suffix.lower())
    if checkpoint is None or checkpoint.encode is None:
        raise UsageError(
            f"{path}: weights are written as .safetensors, {', '.join(WRITABLE)}, not as {path.suffix or 'a file without ending'}"
        )
    data, change = checkpoint.encode(weights)
    files.write(path, data, replace=overwrite)
    return change
