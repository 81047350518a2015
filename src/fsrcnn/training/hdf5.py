"""Sub-images in HDF5: written by `fsrcnn prepare`, read by `fsrcnn train`, in the two layouts that exist around FSRCNN.

`lr-hr`       datasets `lr` (N, h, w) float32 in 0 … 255 and `hr` (N, H, W) uint8, as the common PyTorch port has them; for
              evaluation groups `lr/0 …` and `hr/0 …` of whole pictures.
`data-label`  datasets `data` (N, 1, w, h) and `label` (N, 1, W, H), float32 in [0, 1], as MATLAB's h5write leaves them for Caffe:
              MATLAB stores columns first, so each picture lies transposed.

Attributes of the file: `scale`, `sub_image` (LR pixels), `label` (HR pixels), `label_offset` (HR pixels between the start of the
sub-image's own HR area and its label), `stride`, `peak` of lr and hr, `factors`, `rotations`, `sources` and `sha256` (one line per
picture), `fsrcnn` (the version). Files of others, without attributes, are read by the conventions above.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

import fsrcnn
from fsrcnn.architecture import SCALES
from fsrcnn.errors import FsrcnnError, ImageError, MissingExtraError, UsageError
from fsrcnn.files import beside
from fsrcnn.training.pairs import Float32, Uint8, pair_of, read_luma

try:
    import h5py
except ImportError as error:
    raise MissingExtraError(
        "HDF5 files need h5py, which is not installed; type: pip install 'fsrcnn[train]'"
    ) from error

Layout = Literal["lr-hr", "data-label"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
PAPER_SUB_IMAGE = {2: 10, 3: 7, 4: 6}  # LR pixels (Dong et al. 2016, §4.1)
PAPER_LABEL = {2: 19, 3: 19, 4: 21}  # HR pixels: scale·(f_sub - 1) + 1, as a deconvolution gives them
PAPER_STRIDE = 4  # LR pixels, in the authors' generate_train.m
CHUNK_ITEMS = 256  # sub-images in an HDF5 chunk, and read or checked at a time

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class SubImages:
    """How pictures are cut.

    Attributes:
        scale: 2, 3 or 4.
        size: side of an LR sub-image.
        label: side of its HR label, from 1 to scale·size.
        stride: LR pixels from one to the next.
        factors: by which each picture is shrunk first.
        rotations: by which it is turned, in degrees.

    Raises:
        UsageError: a number outside what is said above.
    """

    scale: int
    size: int
    label: int
    stride: int = PAPER_STRIDE
    factors: tuple[float, ...] = (1.0,)
    rotations: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        if self.size < 1 or self.stride < 1:
            raise UsageError(f"sub-image and stride are at least 1 LR pixel, not {self.size} and {self.stride}")
        if not 1 <= self.label <= self.size * self.scale:
            raise UsageError(
                f"the label of a {self.size}-pixel sub-image at ×{self.scale} is 1 to {self.size * self.scale}, not {self.label}"
            )
        if any(not 0 < factor <= 1 for factor in self.factors) or not self.factors:
            raise UsageError(f"factors are above 0 and at most 1, not {', '.join(map(str, self.factors))}")

    @property
    def offset(self) -> int:
        """HR pixels before the label, as the authors' generate_train.m places it (0, 1, 0 for their sizes); never outside."""
        place = self.scale * (1 + (self.size - 1) // 2) - ((self.label + self.scale) // 2 - 1) - 1
        return min(max(place, 0), self.size * self.scale - self.label)


def paper_sub_images(scale: int) -> SubImages:
    """The paper's sizes for a scale."""
    return SubImages(scale, PAPER_SUB_IMAGE[scale], PAPER_LABEL[scale])


@dataclass
class Prepared:
    """What `prepare` did: pictures used, sub-images (or whole pictures) written, and a sentence per file left out."""

    pictures: int
    items: int
    failures: list[str]


def prepare(
    paths: Sequence[Path],
    target: Path,
    cut: SubImages,
    *,
    layout: Layout = "lr-hr",
    whole: bool = False,
    progress: Callable[[float, str], None] = lambda part, name: None,
) -> Prepared:
    """Write sub-images (or whole pictures) of pictures to an HDF5 file, picture by picture, so that memory does not grow.

    Args:
        paths: picture files.
        target: the HDF5 file; put in place when it is complete.
        cut: scale, sizes, augmentation; of it only the scale counts where `whole` is set.
        layout: see the top of this file.
        whole: write whole pictures for evaluation, as groups `lr/0 …`, `hr/0 …`.
        progress: called with the part done, 0 … 1, and the next file's name.

    Returns:
        Counts, and one sentence per file that could not be used.

    Raises:
        ImageError: not one picture could be used, or the file cannot be written.
        UsageError: whole pictures in the `data-label` layout, which has one size for all.
    """
    if whole and layout != "lr-hr":
        raise UsageError(
            "whole pictures differ in size, which the data-label layout cannot hold; use --layout lr-hr with --eval"
        )
    done = Prepared(0, 0, [])
    hashes: list[str] = []
    names: list[str] = []
    with (
        beside(target, ImageError) as part,
        _Output(part) as output,
        h5py.File(output, "w", libver=("v108", "v110")) as file,
    ):
        write = _whole_writer(file) if whole else _sub_image_writer(file, cut, layout)
        for number, path in enumerate(paths):
            progress(number / len(paths), path.name)
            try:
                full = read_luma(path)
                items = 0
                for factor in (1.0,) if whole else cut.factors:
                    for rotation in (0,) if whole else cut.rotations:
                        items += write(*pair_of(full, cut.scale, factor, rotation))
                if items == 0:
                    raise ImageError(
                        f"{path} has {full.shape[1]}×{full.shape[0]} pixels, too small for "
                        + ("×" if whole else f"a sub-image of {cut.size} LR pixels at ×")
                        + f"{cut.scale}"
                    )
            except FsrcnnError as error:
                done.failures.append(error.about(path))
                continue
            output.check()
            done.pictures += 1
            done.items += items
            names.append(path.name)
            hashes.append(hashlib.sha256(path.read_bytes()).hexdigest())
        if not done.items:
            raise ImageError(
                f"none of the {len(paths)} files could be used: {done.failures[0] if done.failures else 'none given'}"
            )
        described: dict[str, Any] = {
            "scale": cut.scale, "layout": layout, "peak": 1.0 if layout == "data-label" else 255.0,
            "sources": names, "sha256": hashes, "fsrcnn": fsrcnn.__version__,
        }  # fmt: skip
        if not whole:
            described |= {
                "sub_image": cut.size, "label": cut.label, "label_offset": cut.offset, "stride": cut.stride,
                "factors": cut.factors, "rotations": cut.rotations,
            }  # fmt: skip
        for name, value in described.items():
            file.attrs[name] = value
        file.flush()
        output.check()
    return done


class _Output(io.FileIO):
    """The file under an HDF5 file. The HDF5 library does not survive a failing write (its clean-up writes again, and crashes), so a
    failure is kept for `check`, and what could not be written is dropped: the file will be deleted anyway."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self.failure: OSError | None = None

    def write(self, data: Any) -> int:
        if self.failure is None:
            try:
                view = memoryview(data)
                while view:  # a disk that is almost full takes a part
                    view = view[super().write(view) :]
            except OSError as error:
                self.failure = error
        if self.failure is not None:
            self.seek(len(data), io.SEEK_CUR)
        return len(data)

    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer) or 0
        memoryview(buffer)[count:] = bytes(len(buffer) - count)  # what a failed write left out
        return len(buffer)

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.failure = self.failure or error
            return size or 0

    def check(self) -> None:
        """
        Raises:
            OSError: a write has failed.
        """
        if self.failure is not None:
            raise self.failure


def _sub_image_writer(file: h5py.File, cut: SubImages, layout: Layout) -> Callable[[Float32, Uint8], int]:
    """A function that appends the sub-images of one pair and returns their number."""
    low, high = (layout.split("-")[0], layout.split("-")[1])
    caffe = layout == "data-label"
    channel = (1,) if caffe else ()
    sides = {low: cut.size, high: cut.label}
    dtypes = {low: np.float32, high: np.float32 if caffe else np.uint8}
    for name, side in sides.items():
        shape = (*channel, side, side)
        file.create_dataset(name, (0, *shape), dtypes[name], maxshape=(None, *shape), chunks=(CHUNK_ITEMS, *shape))

    def append(lr: Float32, hr: Uint8) -> int:
        if min(lr.shape) < cut.size:
            return 0
        step, scale, offset = cut.stride, cut.scale, cut.offset
        small = np.lib.stride_tricks.sliding_window_view(lr, (cut.size, cut.size))[::step, ::step]
        rows, columns = small.shape[:2]
        large = np.lib.stride_tricks.sliding_window_view(hr[offset:, offset:], (cut.label, cut.label))
        large = large[:: step * scale, :: step * scale][:rows, :columns]
        small, large = small.reshape(-1, cut.size, cut.size), large.reshape(-1, cut.label, cut.label)
        if caffe:
            written: list[Array] = [small.swapaxes(1, 2)[:, None], (large / np.float32(255)).swapaxes(1, 2)[:, None]]
        else:
            written = [small * np.float32(255), large]
        before = file[low].shape[0]
        for name, items in zip((low, high), written, strict=True):
            file[name].resize(before + len(items), axis=0)
            file[name][before:] = items
        return len(small)

    return append


def _whole_writer(file: h5py.File) -> Callable[[Float32, Uint8], int]:
    groups = file.create_group("lr"), file.create_group("hr")

    def append(lr: Float32, hr: Uint8) -> int:
        if not lr.size:
            return 0
        number = str(len(groups[0]))
        groups[0].create_dataset(number, data=lr * np.float32(255))
        groups[1].create_dataset(number, data=hr)
        return 1

    return append


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
        names = _names(path, file)
        lr_data, hr_data = (file[name] for name in names)
        if isinstance(lr_data, h5py.Group):
            raise ImageError(f"{path} holds whole pictures for evaluation; train on a file made without --eval")
        caffe = names == ("data", "label")
        dimensions = 4 if caffe else 3
        if (
            lr_data.ndim != dimensions
            or hr_data.ndim != dimensions
            or (caffe and {lr_data.shape[1], hr_data.shape[1]} != {1})
        ):
            raise ImageError(
                f"{path}: {names[0]} and {names[1]} are (N, {'1, ' if caffe else ''}h, w), not {lr_data.shape} and {hr_data.shape}"
            )
        if len(lr_data) != len(hr_data) or not len(lr_data):
            raise ImageError(
                f"{path} holds {len(lr_data)} LR and {len(hr_data)} HR sub-images; it must be as many of both, and some"
            )
        offset = _check_scale(path, file, lr_data.shape[-2:], hr_data.shape[-2:], scale)
        peak = _peak(file, caffe)
        lr = np.empty((len(lr_data), *lr_data.shape[-2:]), np.float32)
        whole = hr_data.dtype == np.uint8
        hr: Array = np.empty((len(hr_data), *hr_data.shape[-2:]), np.uint8 if whole else np.float32)
        for start in range(0, len(lr), 16 * CHUNK_ITEMS):
            stop = min(len(lr), start + 16 * CHUNK_ITEMS)
            for data, into, name in ((lr_data, lr, names[0]), (hr_data, hr, names[1])):
                items = data[start:stop]
                if caffe:
                    items = items[:, 0].swapaxes(1, 2)
                _check_finite(path, name, items, start)
                into[start:stop] = items if into.dtype == np.uint8 else items / peak
        return Stored(lr, hr, offset)


def read_pictures(path: Path, scale: int) -> list[tuple[Float32, Uint8]]:
    """Read whole (LR, HR) pictures, as `prepare --eval` writes them: LR float32 in [0, 1], HR uint8.

    Raises:
        UsageError: the file is of another scale.
        ImageError: not HDF5, truncated, without the groups, or with NaN.
    """
    with _opened(path) as file:
        names = _names(path, file)
        groups = [file[name] for name in names]
        if not all(isinstance(group, h5py.Group) for group in groups):
            raise ImageError(
                f"{path} holds sub-images; validation needs whole pictures: prepare --eval, or a folder of pictures"
            )
        peak = _peak(file, names == ("data", "label"))
        pairs = []
        for key in sorted(groups[0], key=lambda key: (len(key), key)):
            if key not in groups[1]:
                raise ImageError(f"{path} holds {names[0]}/{key} but no {names[1]}/{key}")
            lr, hr = groups[0][key][()], groups[1][key][()]
            if lr.ndim != 2 or hr.ndim != 2:
                raise ImageError(f"{path}: {names[0]}/{key} is a picture (h, w), not {lr.shape}")
            _check_finite(path, f"{names[0]}/{key}", lr, 0)
            _check_finite(path, f"{names[1]}/{key}", hr, 0)
            if hr.shape != (lr.shape[0] * scale, lr.shape[1] * scale):
                stored = file.attrs.get("scale")
                raise UsageError(
                    f"{path} is of ×{stored}, not ×{scale}" if stored is not None and int(stored) != scale else
                    f"{path}: {names[1]}/{key} is {hr.shape[1]}×{hr.shape[0]}, not ×{scale} of {lr.shape[1]}×{lr.shape[0]}"
                )  # fmt: skip
            pairs.append(((lr / peak).astype(np.float32), np.rint(hr * (255.0 / peak)).clip(0, 255).astype(np.uint8)))
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


def _names(path: Path, file: h5py.File) -> tuple[str, str]:
    for names in (("lr", "hr"), ("data", "label")):
        if all(name in file for name in names):
            return names
    held = ", ".join(file) or "nothing"
    raise ImageError(f"{path} holds {held}, but neither lr and hr nor data and label; fsrcnn prepare makes such files")


def _peak(file: h5py.File, caffe: bool) -> np.float32:
    return np.float32(file.attrs.get("peak", 1.0 if caffe else 255.0))


def _check_finite(path: Path, name: str, items: Array, start: int) -> None:
    if items.dtype.kind == "f" and not np.isfinite(items).all():
        bad = int(np.argwhere(~np.isfinite(items.reshape(len(items), -1)).all(1))[0, 0])
        raise ImageError(f"{path}: {name} holds NaN or infinity, first in item {start + bad}")


def _check_scale(path: Path, file: h5py.File, lr: tuple[int, ...], hr: tuple[int, ...], scale: int) -> int:
    """The label's offset, if sizes and attributes allow this scale."""
    stored = file.attrs.get("scale")
    if stored is not None and int(stored) != scale:
        raise UsageError(
            f"{path} is of ×{int(stored)}, not ×{scale}; prepare it with --scale {scale}, or train with --scale {int(stored)}"
        )
    fitting = [s for s in SCALES if (lr[0] - 1) * s < hr[0] <= lr[0] * s]
    wrong = stored is None and bool(fitting) and scale not in fitting  # a file of others: its sizes must say the scale
    if lr[0] != lr[1] or hr[0] != hr[1] or hr[0] > lr[0] * scale or wrong:
        hint = f"; they fit ×{' or ×'.join(map(str, fitting))}" if fitting else ""
        raise UsageError(
            f"{path}: sub-images of {lr[1]}×{lr[0]} and labels of {hr[1]}×{hr[0]} do not fit ×{scale}{hint}"
        )
    return int(file.attrs.get("label_offset", SubImages(scale, lr[0], hr[0]).offset))
