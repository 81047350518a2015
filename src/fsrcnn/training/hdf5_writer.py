"""`prepare`: pictures to one HDF5 file of sub-images, or of whole pictures for validation (`layouts.py` says how they lie in it)."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import fsrcnn
from fsrcnn.arrays import Float32, Uint8
from fsrcnn.degradation import RANGES, Ranges
from fsrcnn.errors import FsrcnnError, ImageError, UsageError
from fsrcnn.files import beside
from fsrcnn.require import require
from fsrcnn.training.hdf5_output import Output
from fsrcnn.training.layouts import CHUNK_ITEMS, LAYOUTS, Layout, LayoutName
from fsrcnn.training.pairs import PREPARED_CHAINS, degraded_pair, pair_of, read_luma
from fsrcnn.training.recipe import DEGRADES, Degrade
from fsrcnn.training.sub_images import SubImages

if TYPE_CHECKING:
    import h5py
else:
    h5py = require("h5py", "HDF5 files", extra="train")


@dataclass
class Prepared:
    """What `prepare` did.

    Attributes:
        items: sub-images, or whole pictures, written.
        sources, sha256: name and digest of each picture file used.
        failures: an error per file that could not be used, which names it.
    """

    items: int = 0
    sources: list[str] = field(default_factory=list)
    sha256: list[str] = field(default_factory=list)
    failures: list[FsrcnnError] = field(default_factory=list)

    @property
    def pictures(self) -> int:
        """Pictures used."""
        return len(self.sources)


def prepare(
    paths: Sequence[Path],
    target: Path,
    cut: SubImages,
    *,
    names: Sequence[str] | None = None,
    layout: LayoutName = "lr-hr",
    whole: bool = False,
    degrade: Degrade = "none",
    seed: int = 0,
    overwrite: bool = True,
    progress: Callable[[float, str], None] = lambda part, name: None,
) -> Prepared:
    """Write sub-images (or whole pictures) of pictures to an HDF5 file, picture by picture, so that memory does not grow.

    Args:
        paths: picture files.
        target: the HDF5 file; put in place when it is complete.
        cut: scale, sizes, augmentation; of it only the scale counts where `whole` is set.
        names: what the file calls each picture; its file's name where they are not given.
        layout: `lr-hr` or `data-label`.
        whole: write whole pictures for validation, as groups `lr/0 …`, `hr/0 …`.
        degrade: `none`: LR by MATLAB's bicubic; else each picture, in each size and turn, by a random chain of
            these `degradation.RANGES`.
        seed: of the chains, 0 … 2⁶³ - 1; a chain hangs on it, the number of the picture in `paths`, its size and its turn.
        overwrite: replace an existing file.
        progress: called with the part done, 0 … 1, and the next file's name.

    Raises:
        ImageError: not one picture could be used, or the file cannot be written.
        UsageError: whole pictures in the `data-label` layout, which has one size for all; an unknown `degrade`, a seed
            beyond its range.
        MissingExtraError: chains are wanted, and Pillow is not installed.
    """
    if degrade not in DEGRADES:
        raise UsageError(f"is {', '.join(DEGRADES)}, not {degrade!r}", argument="degrade")
    if not 0 <= seed < 2**63:  # which HDF5 keeps
        raise UsageError(f"is 0 or more and below 2⁶³, not {seed}", argument="seed")
    if whole and layout != "lr-hr":
        raise UsageError(
            "whole pictures differ in size, which the data-label layout cannot hold", "use {layout='lr-hr'}"
        )
    if whole:
        cut = SubImages(cut.scale, 1, 1)  # neither shrunk nor turned
    done = Prepared()
    with (
        beside(target, ImageError, replace=overwrite) as part,
        Output(part) as output,
        h5py.File(output, "w", libver=("v108", "v110")) as file,
    ):
        writer = WholeWriter(file) if whole else CutWriter(file, cut, LAYOUTS[layout])
        for number, (path, name) in enumerate(zip(paths, names or [path.name for path in paths], strict=True)):
            progress(number / len(paths), path.name)
            try:
                digest = _sha256(path)
                items = _append_all(writer, path, cut, RANGES.get(degrade), (PREPARED_CHAINS, seed, number))
            except FsrcnnError as error:
                done.failures.append(error.named(path))
                continue
            output.check()
            done.items += items
            done.sources.append(name.encode(errors="backslashreplace").decode())  # HDF5 takes no name that is not text
            done.sha256.append(digest)
        if not done.items:
            if not done.failures:
                raise ImageError("no picture was given")
            first = done.failures[0]
            raise ImageError(f"none of the {len(paths)} files could be used: {first.fact}", first.remedy)
        _describe(file, done, cut, LAYOUTS[layout], whole)
        file.attrs["degrade"] = degrade
        if degrade != "none":
            file.attrs["degrade_seed"] = seed
            file.attrs["degrade_ranges"] = json.dumps(asdict(RANGES[degrade]))
        file.flush()
        output.check()
    return done


def _sha256(path: Path) -> str:
    """
    Raises:
        ImageError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror}") from error


class Writer(Protocol):
    """Appends pairs of planes to an open file."""

    smallest: str  # what a picture must hold, for a sentence about one that is too small

    def append(self, lr: Float32, hr: Uint8) -> int:
        """Append what (h, w) LR in [0, 1] and its 8-bit HR give; the number of items that this is."""


def _append_all(writer: Writer, path: Path, cut: SubImages, ranges: Ranges | None, chains: tuple[int, ...]) -> int:
    """Append a picture in all its sizes and turns, degraded where there are ranges for chains; the number of items.

    Raises:
        ImageError: it cannot be read, or is too small for a single item.
    """
    full = read_luma(path)
    items = 0
    for version, (factor, rotation) in enumerate(itertools.product(cut.factors, cut.rotations)):
        pair = pair_of(full, cut.scale, factor, rotation)
        items += writer.append(
            *(pair if ranges is None else degraded_pair(pair, cut.scale, (*chains, version), ranges))
        )
    if items == 0:
        size = f"{full.shape[1]}×{full.shape[0]}"
        raise ImageError(f"{path} has {size} pixels, too small for {writer.smallest} at ×{cut.scale}")
    return items


class CutWriter:
    """Sub-images and labels, in two datasets that grow."""

    def __init__(self, file: h5py.File, cut: SubImages, layout: Layout) -> None:
        self.cut, self.layout = cut, layout
        self.smallest = f"a sub-image of {cut.size} LR pixels"
        self.lr = self._dataset(file, layout.lr, cut.size, "f4")
        self.hr = self._dataset(file, layout.hr, cut.label, layout.hr_dtype)

    def _dataset(self, file: h5py.File, name: str, side: int, dtype: Any) -> h5py.Dataset:
        shape = self.layout.shape(side, side)
        return file.create_dataset(name, (0, *shape), dtype, maxshape=(None, *shape), chunks=(CHUNK_ITEMS, *shape))

    def append(self, lr: Float32, hr: Uint8) -> int:
        small, large = self.cut.cut(lr, hr)
        if not len(small):
            return 0
        start = len(self.lr)
        for dataset, items in ((self.lr, self.layout.packed_lr(small)), (self.hr, self.layout.packed_hr(large))):
            dataset.resize(start + len(items), axis=0)
            dataset[start:] = items
        return len(small)


class WholeWriter:
    """Whole pictures, numbered in two groups, in the layout `lr-hr`."""

    smallest = "an LR pixel"

    def __init__(self, file: h5py.File) -> None:
        self.layout = LAYOUTS["lr-hr"]
        self.lr, self.hr = file.create_group(self.layout.lr), file.create_group(self.layout.hr)

    def append(self, lr: Float32, hr: Uint8) -> int:
        if not lr.size:
            return 0
        number = str(len(self.lr))
        self.lr.create_dataset(number, data=self.layout.packed_lr(lr))
        self.hr.create_dataset(number, data=self.layout.packed_hr(hr))
        return 1


def _describe(file: h5py.File, done: Prepared, cut: SubImages, layout: Layout, whole: bool) -> None:
    """The attributes of the file."""
    attributes = file.attrs
    attributes["scale"] = cut.scale
    attributes["layout"] = layout.name
    attributes["peak"] = layout.peak
    attributes["sources"] = done.sources
    attributes["sha256"] = done.sha256
    attributes["fsrcnn"] = fsrcnn.__version__
    if not whole:
        attributes["sub_image"] = cut.size
        attributes["label"] = cut.label
        attributes["label_offset"] = cut.offset
        attributes["stride"] = cut.stride
        attributes["factors"] = cut.factors
        attributes["rotations"] = cut.rotations
