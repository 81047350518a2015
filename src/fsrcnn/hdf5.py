"""Members and attributes of an HDF5 file that lie in the file itself: HDF5 can name any other file of the user, and would read it.

Only hard links are followed, which is what Keras, MATLAB, the common ports and `prepare` write. So no name leads into another file or
into a loop; a dataset whose values lie elsewhere (external storage, a virtual dataset) is refused before a value is read, and so is
one behind a filter that HDF5 would load as a plugin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fsrcnn.arrays import Array
from fsrcnn.errors import FsrcnnError
from fsrcnn.require import require

if TYPE_CHECKING:
    import h5py

FILTERS = {
    1: "gzip",
    2: "shuffle",
    3: "fletcher32",
    4: "szip",
    5: "nbit",
    6: "scaleoffset",
    32000: "lzf",
}  # part of HDF5 and h5py
DAMAGED = (OSError, RuntimeError, LookupError, ValueError, TypeError, ArithmeticError, AttributeError)
"""What h5py raises for a damaged file, as the damage falls."""
LARGEST_ATTRIBUTE = 16 * 2**20  # bytes
LARGEST_CHUNK = 256 * 2**20  # bytes, unpacked


def library(extra: str) -> Any:
    """The module h5py.

    Raises:
        MissingExtraError: it is not installed.
    """
    return require("h5py", "HDF5 files", extra=extra)


def member(group: h5py.Group, name: str, error: type[FsrcnnError]) -> h5py.Group | h5py.Dataset:
    """What a name with slashes leads to, within the file.

    Raises:
        error: nothing, or a link out of the file, or values that lie elsewhere.
    """
    h5py = library("train")
    found: Any = group
    for part in (part for part in name.split("/") if part):
        link = found.get(part, getlink=True) if isinstance(found, h5py.Group) else None
        if link is None:
            raise error(f"it holds no {name}")
        if isinstance(link, h5py.ExternalLink):
            raise error(f"its {name} is a link to another file ({link.filename}), which is not followed")
        if isinstance(link, h5py.SoftLink):
            raise error(f"its {name} is a symbolic link (to {link.path}), which is not followed")
        found = found[part]
    if isinstance(found, h5py.Dataset):
        _check_dataset(found, name, error)
    elif not isinstance(found, h5py.Group):
        raise error(f"its {name} is neither a dataset nor a group")
    return found


def has(group: h5py.Group, name: str) -> bool:
    """Whether a group has a member of that name, wherever it leads."""
    return group.get(name, getlink=True) is not None


def _check_dataset(data: h5py.Dataset, name: str, error: type[FsrcnnError]) -> None:
    if data.is_virtual or data.external:
        raise error(f"the values of its {name} lie in other files, which are not read")
    if data.dtype.kind not in "fiu":
        raise error(f"its {name} holds {data.dtype}, not numbers")
    if data.shape is None or any(side < 0 for side in data.shape):
        raise error(f"its {name} holds nothing")
    properties = data.id.get_create_plist()
    for number in range(properties.get_nfilters()):
        code = properties.get_filter(number)[0]
        if code not in FILTERS:
            raise error(f"its {name} is packed by filter {code}, which is not part of HDF5")
    if data.chunks is not None and int(np.prod(data.chunks, dtype=object)) * data.dtype.itemsize > LARGEST_CHUNK:
        raise error(f"its {name} comes in chunks of {data.chunks}, more than {LARGEST_CHUNK // 2**20} MiB each")


def values(data: h5py.Dataset, largest: int, error: type[FsrcnnError]) -> Array:
    """All values of a dataset of at most `largest` bytes.

    Raises:
        error: it says to be larger.
    """
    if data.size * data.dtype.itemsize > largest:
        raise error(f"its {data.name} has shape {data.shape}, more than {largest // 2**20} MiB")
    return np.asarray(data[()])


def attribute(item: h5py.Group | h5py.Dataset, name: str, error: type[FsrcnnError]) -> Any:
    """An attribute, or None where there is none.

    Raises:
        error: it is larger than any that we know.
    """
    if name not in item.attrs:
        return None
    if item.attrs.get_id(name).get_storage_size() > LARGEST_ATTRIBUTE:
        raise error(f"its attribute {name} has more than {LARGEST_ATTRIBUTE // 2**20} MiB")
    return item.attrs[name]


def whole_number(item: h5py.Group, name: str, error: type[FsrcnnError]) -> int | None:
    """An attribute that is a whole number, or None where there is none.

    Raises:
        error: it is something else.
    """
    value = number(item, name, error)
    if value is not None and value != round(value):
        raise error(f"its attribute {name} is a whole number, not {value}")
    return None if value is None else round(value)


def number(item: h5py.Group, name: str, error: type[FsrcnnError]) -> float | None:
    """An attribute that is a finite number, or None where there is none.

    Raises:
        error: it is something else.
    """
    value = attribute(item, name, error)
    if value is None:
        return None
    array = np.asarray(value)
    if array.dtype.kind not in "fiu" or array.size != 1 or not np.isfinite(array).all():
        raise error(f"its attribute {name} is a number, not {value!r:.100}")
    return float(array.reshape(()))
