"""Reading HDF5 files of sub-images and of whole pictures: those of `prepare`, and those that others wrote by the same conventions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fsrcnn.architecture import SCALES
from fsrcnn.arrays import Array, Float32
from fsrcnn.errors import ImageError, UsageError
from fsrcnn.require import require
from fsrcnn.training.layouts import CHUNK_ITEMS, LAYOUTS, Layout
from fsrcnn.training.pairs import Pair
from fsrcnn.training.sub_images import SubImages

if TYPE_CHECKING:
    import h5py
else:
    h5py = require("h5py", "HDF5 files", extra="train")

READ_ITEMS = 16 * CHUNK_ITEMS  # sub-images that are read and checked at a time


@dataclass(frozen=True, eq=False)
class Stored:
    """What an HDF5 file of sub-images holds.

    Attributes:
        lr: (n, h, w) float32 in [0, 1].
        hr: (n, H, W) uint8, or float32 in [0, 1] where a file holds values between those of 8 bit.
        offset: HR pixels between the start of the sub-image's own HR area and its label.
    """

    lr: Float32
    hr: Array
    offset: int


def read_sub_images(path: Path, scale: int) -> Stored:
    """Read sub-images in either layout.

    Raises:
        UsageError: the file is of another scale.
        ImageError: not HDF5, truncated, without the datasets, of whole pictures, or with NaN.
    """
    with _opened(path) as file:
        layout = _layout_of(path, file)
        lr_data, hr_data = file[layout.lr], file[layout.hr]
        if isinstance(lr_data, h5py.Group) or isinstance(hr_data, h5py.Group):
            raise ImageError(
                f"{path} holds whole pictures for validation", "train on a file that is prepared without {whole}"
            )
        _check_shapes(path, layout, lr_data.shape, hr_data.shape)
        offset = _check_scale(path, file, lr_data.shape[-2:], hr_data.shape[-2:], scale)
        hr_dtype = np.uint8 if hr_data.dtype == np.uint8 else np.float32
        peak = _peak(file, layout)
        lr = _read_items(path, layout, lr_data, np.float32, peak)
        return Stored(lr, _read_items(path, layout, hr_data, hr_dtype, peak), offset)


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


def read_pictures(path: Path, scale: int) -> list[Pair]:
    """Read whole (LR, HR) pictures, as `prepare(…, whole=True)` writes them: LR float32 in [0, 1], HR uint8.

    Raises:
        UsageError: the file is of another scale.
        ImageError: not HDF5, truncated, without the groups, or with NaN.
    """
    with _opened(path) as file:
        layout = _layout_of(path, file)
        lr_group, hr_group = file[layout.lr], file[layout.hr]
        if not isinstance(lr_group, h5py.Group) or not isinstance(hr_group, h5py.Group):
            raise ImageError(
                f"{path} holds sub-images, and validation needs whole pictures",
                "prepare the file with {whole=True}, or give a folder of pictures",
            )
        peak = _peak(file, layout)
        pairs = []
        for key in sorted(lr_group, key=lambda key: (len(key), key)):
            if key not in hr_group:
                raise ImageError(f"{path} holds {layout.lr}/{key} but no {layout.hr}/{key}")
            lr, hr = lr_group[key][()], hr_group[key][()]
            if lr.ndim != 2 or hr.ndim != 2:
                raise ImageError(f"{path}: {layout.lr}/{key} is a picture (h, w), not {lr.shape}")
            _check_finite(path, f"{layout.lr}/{key}", lr, 0)
            _check_finite(path, f"{layout.hr}/{key}", hr, 0)
            if hr.shape != (lr.shape[0] * scale, lr.shape[1] * scale):
                stored = file.attrs.get("scale")
                raise UsageError(
                    f"{path} is of ×{stored}, not ×{scale}" if stored is not None and int(stored) != scale else
                    f"{path}: {layout.hr}/{key} is {hr.shape[1]}×{hr.shape[0]}, not ×{scale} of {lr.shape[1]}×{lr.shape[0]}"
                )  # fmt: skip
            pairs.append(
                Pair((lr / peak).astype(np.float32), np.rint(hr * (255.0 / peak)).clip(0, 255).astype(np.uint8))
            )
    if not pairs:
        raise ImageError(f"{path} holds no picture")
    return pairs


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    if not path.is_file():
        raise ImageError(f"{path} does not exist" if not path.exists() else f"{path} is not a file")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except OSError as error:
        raise ImageError(f"{path} is not an HDF5 file, or it is truncated") from error


def _layout_of(path: Path, file: h5py.File) -> Layout:
    for layout in LAYOUTS.values():
        if layout.lr in file and layout.hr in file:
            return layout
    held = ", ".join(file) or "nothing"
    raise ImageError(f"{path} holds {held}, but neither lr and hr nor data and label; fsrcnn prepare makes such files")


def _peak(file: h5py.File, layout: Layout) -> np.float32:
    return np.float32(file.attrs.get("peak", layout.peak))


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
    stored = file.attrs.get("scale")
    if stored is not None and int(stored) != scale:
        raise UsageError(
            f"{path} is of ×{int(stored)}, not ×{scale}",
            f"prepare it with {{scale={scale}}}, or train with {{scale={int(stored)}}}",
        )
    # A sub-image of n LR pixels has a label of more than scale·(n - 1) and at most scale·n HR pixels: 10 and 19 are of ×2.
    fitting = [s for s in SCALES if (lr[0] - 1) * s < hr[0] <= lr[0] * s]
    wrong = stored is None and bool(fitting) and scale not in fitting  # a file of others: its sizes must say the scale
    if lr[0] != lr[1] or hr[0] != hr[1] or hr[0] > lr[0] * scale or wrong:
        hint = f"; they fit ×{' or ×'.join(map(str, fitting))}" if fitting else ""
        raise UsageError(
            f"{path}: sub-images of {lr[1]}×{lr[0]} and labels of {hr[1]}×{hr[0]} do not fit ×{scale}{hint}"
        )
    return int(file.attrs.get("label_offset", SubImages(scale, lr[0], hr[0]).offset))
