"""Reading HDF5 files of sub-images and of whole pictures: those of `prepare`, and those that others wrote by the same conventions.

A file is read twice: first in a process of its own, which hands nothing back (`quarantine.py`): a damaged one can crash libhdf5.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fsrcnn import hdf5, quarantine
from fsrcnn.architecture import SCALES
from fsrcnn.arrays import Array, Float32
from fsrcnn.errors import FsrcnnError, ImageError, UsageError
from fsrcnn.training.layouts import CHUNK_ITEMS, LAYOUTS, Layout
from fsrcnn.training.pairs import Pair
from fsrcnn.training.recipe import DEGRADES, Degrade
from fsrcnn.training.sub_images import SubImages

if TYPE_CHECKING:
    import h5py
else:
    h5py = hdf5.library("train")

LARGEST_PEAK = 65535
READ_ITEMS = 16 * CHUNK_ITEMS  # sub-images that are read and checked at a time


@dataclass(frozen=True, eq=False)
class Stored:
    """What an HDF5 file of sub-images holds.

    Attributes:
        lr: (n, h, w) float32 in [0, 1].
        hr: (n, H, W) uint8, or float32 in [0, 1] where a file holds values between those of 8 bit.
        offset: HR pixels between the start of the sub-image's own HR area and its label.
        degrade: how its LR came about.
    """

    lr: Float32
    hr: Array
    offset: int
    degrade: Degrade


@dataclass(frozen=True, eq=False)
class StoredPictures:
    """What an HDF5 file of whole pictures holds.

    Attributes:
        pairs: LR float32 in [0, 1], HR uint8.
        degrade: how their LR came about.
    """

    pairs: list[Pair]
    degrade: Degrade


def read_sub_images(path: Path, scale: int) -> Stored:
    """Read sub-images in either layout.

    Raises:
        UsageError: the file is of another scale.
        ImageError: not HDF5, damaged, without the datasets, of whole pictures, with NaN, with values in other files, or larger than
            the memory of the machine.
    """
    with _opened(path) as file:
        layout = _layout_of(path, file)
        lr_data, hr_data = (hdf5.member(file, name, ImageError) for name in (layout.lr, layout.hr))
        if isinstance(lr_data, h5py.Group) or isinstance(hr_data, h5py.Group):
            raise ImageError(
                f"{path} holds whole pictures for validation",
                "train on a file of sub-images, as `fsrcnn prepare` writes it unless told otherwise",
            )
        _check_shapes(path, layout, lr_data.shape, hr_data.shape)
        offset = _check_scale(path, file, lr_data.shape[-2:], hr_data.shape[-2:], scale)
        hr_dtype = np.uint8 if hr_data.dtype == np.uint8 else np.float32
        peak = _peak(file, layout)
        _check_memory(lr_data.size * 4 + hr_data.size * np.dtype(hr_dtype).itemsize)
        lr = _read_items(path, layout, lr_data, np.float32, peak)
        hr = _read_items(path, layout, hr_data, hr_dtype, peak)
        return Stored(lr, hr, offset, _degrade_of(file))


def _read_items(path: Path, layout: Layout, data: h5py.Dataset, dtype: npt.DTypeLike, peak: np.float32) -> Array:
    """A whole dataset as (n, h, w): uint8 as it is, float32 divided by the peak.

    Raises:
        ImageError: it holds NaN or infinity.
    """
    planes = np.empty((len(data), *data.shape[-2:]), dtype)
    for start in range(0, len(planes), READ_ITEMS):
        stop = min(len(planes), start + READ_ITEMS)
        items = layout.unpacked(data[start:stop])
        _check_finite(path, data.name.strip("/"), items, start)
        planes[start:stop] = items if planes.dtype == np.uint8 else items / peak
    return planes


def read_pictures(path: Path, scale: int) -> StoredPictures:
    """Read whole pictures, as `prepare(…, whole=True)` writes them.

    Raises:
        UsageError: the file is of another scale.
        ImageError: not HDF5, damaged, without the groups, with NaN, with values in other files, or larger than the machine's memory.
    """
    with _opened(path) as file:
        layout = _layout_of(path, file)
        lr_group, hr_group = (hdf5.member(file, name, ImageError) for name in (layout.lr, layout.hr))
        if not isinstance(lr_group, h5py.Group) or not isinstance(hr_group, h5py.Group):
            raise ImageError(
                f"{path} holds sub-images, and validation needs whole pictures",
                "prepare the file with {whole=True}, or give a folder of pictures",
            )
        peak = _peak(file, layout)
        stored = hdf5.whole_number(file, "scale", ImageError)
        pairs = []
        for key in sorted(lr_group, key=lambda key: (len(key), key)):
            if not hdf5.has(hr_group, key):
                raise ImageError(f"{path} holds {layout.lr}/{key} but no {layout.hr}/{key}")
            lr_data, hr_data = (hdf5.member(group, key, ImageError) for group in (lr_group, hr_group))
            for name, data in ((layout.lr, lr_data), (layout.hr, hr_data)):
                if isinstance(data, h5py.Group) or data.ndim != 2:
                    shape = "a group" if isinstance(data, h5py.Group) else data.shape
                    raise ImageError(f"{path}: {name}/{key} is a picture (h, w), not {shape}")
            if hr_data.shape != (lr_data.shape[0] * scale, lr_data.shape[1] * scale):
                raise UsageError(
                    f"{path} is of ×{stored}, not ×{scale}" if stored is not None and stored != scale else
                    f"{path}: {layout.hr}/{key} is {hr_data.shape[1]}×{hr_data.shape[0]}, not ×{scale} of "
                    f"{lr_data.shape[1]}×{lr_data.shape[0]}"
                )  # fmt: skip
            _check_memory(lr_data.size * 4 + hr_data.size)
            lr, hr = lr_data[()], hr_data[()]
            _check_finite(path, f"{layout.lr}/{key}", lr, 0)
            _check_finite(path, f"{layout.hr}/{key}", hr, 0)
            pairs.append(
                Pair((lr / peak).astype(np.float32), np.rint(hr * (255.0 / peak)).clip(0, 255).astype(np.uint8))
            )
        degrade = _degrade_of(file)
    if not pairs:
        raise ImageError(f"{path} holds no picture")
    return StoredPictures(pairs, degrade)


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """
    Raises:
        ImageError: no such file, or what is read in the body is damaged or missing, with the file's name in front.
    """
    if not path.is_file():
        raise ImageError(f"{path} does not exist" if not path.exists() else f"{path} is not a file")
    try:
        quarantine.call(f"{__name__}:_rehearse", str(path.absolute()), libraries=("h5py",), error=ImageError)
        with h5py.File(path, "r") as file:
            yield file
    except FsrcnnError as error:
        raise error.named(path) from error.__cause__
    except hdf5.DAMAGED as error:
        raise ImageError(f"{path} is not an HDF5 file, or it is truncated or damaged") from error


def _rehearse(_: bytes, name: str) -> bytes:
    """In the process of its own: look at all that is read afterwards, a few sub-images or a picture at a time."""
    path = Path(name)
    try:
        with h5py.File(path, "r") as file:
            layout = _layout_of(path, file)
            for attribute in ("scale", "peak", "label_offset"):
                hdf5.number(file, attribute, ImageError)
            _degrade_of(file)
            for part in (layout.lr, layout.hr):
                data = hdf5.member(file, part, ImageError)
                for item in (
                    [hdf5.member(data, key, ImageError) for key in data] if isinstance(data, h5py.Group) else [data]
                ):
                    if isinstance(item, h5py.Dataset) and item.ndim:
                        for start in range(0, len(item), READ_ITEMS):
                            item[start : start + READ_ITEMS]
    except FsrcnnError:
        raise
    except hdf5.DAMAGED as error:
        raise ImageError(f"{path} is not an HDF5 file, or it is truncated or damaged") from error
    return b""


def _layout_of(path: Path, file: h5py.File) -> Layout:
    for layout in LAYOUTS.values():
        if hdf5.has(file, layout.lr) and hdf5.has(file, layout.hr):
            return layout
    held = ", ".join(file) or "nothing"
    raise ImageError(f"{path} holds {held}, but neither lr and hr nor data and label; fsrcnn prepare makes such files")


def _peak(file: h5py.File, layout: Layout) -> np.float32:
    peak = hdf5.number(file, "peak", ImageError)
    if peak is not None and not 0 < peak <= LARGEST_PEAK:
        raise ImageError(f"its attribute peak is above 0 and at most {LARGEST_PEAK}, not {peak}")
    return np.float32(layout.peak if peak is None else peak)


def _degrade_of(file: h5py.File) -> Degrade:
    """As `prepare` notes it; files of others are taken for clean ones."""
    stored = str(hdf5.attribute(file, "degrade", ImageError))
    return next((degrade for degrade in DEGRADES if degrade == stored), "none")


def _check_memory(size: int) -> None:
    """
    Raises:
        ImageError: so many bytes are more than the machine has, as far as the system says it.
    """
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if size > memory:
        raise ImageError(
            f"its pictures take {size / 2**30:,.0f} GiB, more than the {memory / 2**30:,.0f} GiB of this machine"
        )


def _check_shapes(path: Path, layout: Layout, lr: tuple[int, ...], hr: tuple[int, ...]) -> None:
    dimensions = 1 + len(layout.shape(0, 0))
    if len(lr) != dimensions or len(hr) != dimensions or (layout.transposed and {lr[1], hr[1]} != {1}):
        form = "(N, 1, w, h)" if layout.transposed else "(N, h, w)"
        raise ImageError(f"{path}: {layout.lr} and {layout.hr} are {form}, not {lr} and {hr}")
    if lr[0] != hr[0] or not lr[0]:
        raise ImageError(f"{path} holds {lr[0]} LR and {hr[0]} HR sub-images; it must be as many of both, and some")


def _check_finite(path: Path, name: str, items: Array, start: int) -> None:
    if items.dtype.kind == "f" and not np.isfinite(items).all():
        bad = int(np.argwhere(~np.isfinite(items.reshape(len(items), -1)).all(1))[0, 0])
        raise ImageError(f"{path}: {name} holds NaN or infinity, first in item {start + bad}")


def _check_scale(path: Path, file: h5py.File, lr: tuple[int, ...], hr: tuple[int, ...], scale: int) -> int:
    """The label's offset, if sizes and attributes allow this scale."""
    stored = hdf5.whole_number(file, "scale", ImageError)
    if stored is not None and stored not in SCALES:
        raise ImageError(f"its attribute scale is 2, 3 or 4, not {stored}")
    if stored is not None and stored != scale:
        raise UsageError(
            f"{path} is of ×{stored}, not ×{scale}",
            f"prepare it with {{scale={scale}}}, or train with {{scale={stored}}}",
        )
    # A sub-image of n LR pixels has a label of more than scale·(n - 1) and at most scale·n HR pixels: 10 and 19 are of ×2.
    fitting = [s for s in SCALES if (lr[0] - 1) * s < hr[0] <= lr[0] * s]
    wrong = stored is None and bool(fitting) and scale not in fitting  # a file of others: its sizes must say the scale
    if lr[0] != lr[1] or hr[0] != hr[1] or hr[0] > lr[0] * scale or wrong:
        hint = f"; they fit ×{' or ×'.join(map(str, fitting))}" if fitting else ""
        raise UsageError(
            f"{path}: sub-images of {lr[1]}×{lr[0]} and labels of {hr[1]}×{hr[0]} do not fit ×{scale}{hint}"
        )
    offset = hdf5.whole_number(file, "label_offset", ImageError)
    if offset is None:
        return SubImages(scale, lr[0], hr[0]).offset
    if not 0 <= offset <= lr[0] * scale - hr[0]:
        raise ImageError(f"its attribute label_offset is 0 to {lr[0] * scale - hr[0]}, not {offset}")
    return offset
