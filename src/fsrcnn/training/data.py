"""What a run reads: folders of pictures or HDF5 files to train on, and whole pictures to validate on."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from fsrcnn import protocol
from fsrcnn.degradation import RANGES
from fsrcnn.errors import FsrcnnError, ImageError, UsageError
from fsrcnn.training.batches import Source
from fsrcnn.training.contents import Contents, Digests, digest_of, first_few
from fsrcnn.training.hdf5_reader import read_pictures, read_sub_images
from fsrcnn.training.pairs import (
    PAPER_FACTORS,
    VALIDATION_CHAINS,
    Folder,
    Pair,
    degraded_pair,
    load_pairs,
    read_luma,
)
from fsrcnn.training.recipe import Degrade, Recipe
from fsrcnn.training.sources import DegradedPatches, Patches, SubImageBatches

HDF5_ENDINGS = (".h5", ".hdf5")
HELD_OUT = 20  # of so many pictures one is held out for validation, where no validation set is given
VERSIONS = 6  # of each validation picture, where they are degraded
SMALLEST_VALIDATION = 3  # LR pixels a side: after shaving, something is left to measure


@dataclass(frozen=True)
class Data:
    """What a run reads.

    Attributes:
        source: batches to train on.
        validation: whole pictures.
        contents: what was read, to compare with when the run is resumed.
        described: for `config.json`: `sources` (files, or folders with their factors), `validation`, and the `ranges` of chains.
    """

    source: Source
    validation: list[Pair]
    contents: Contents
    described: dict[str, object]


def open_data(
    sources: Sequence[Path],
    validation: Path | None,
    recipe: Recipe,
    *,
    augment: bool = False,
    recursive: bool = False,
    warn: Callable[[FsrcnnError], None] = lambda error: None,
    note: Callable[[str], None] = lambda sentence: None,
) -> Data:
    """Read training and validation data.

    Args:
        sources: folders of pictures (`FOLDER:1,0.6` with factors), or HDF5 files of sub-images.
        validation: folder of pictures or HDF5 file of whole ones; None holds every 20th picture of the folders out for it.
        recipe: scale, batch, patch, seed, contrast and degrade are used.
        augment: folders without factors of their own are also used shrunk to 0.9, 0.8, 0.7, 0.6.
        recursive: look into the folders of folders, too.
        warn: called with an error for each picture and folder that cannot be read.
        note: called with a sentence about what is held out for validation, what is left out, validation pictures that are also
            trained on, and what is degraded.

    Raises:
        UsageError: nothing given, folders and files mixed, another scale, no validation data, files of clean pictures where the
            recipe has them degraded.
        ImageError: no usable picture, or an HDF5 file that cannot be read.
    """
    if not sources:
        raise UsageError("there is nothing to train on", "give folders of pictures or HDF5 files")
    scale = recipe.architecture.scale
    files = [path for path in sources if _is_hdf5(path)]
    if files and len(files) < len(sources):
        raise UsageError("folders and HDF5 files cannot be mixed", "give either folders or HDF5 files")
    if files and augment:
        raise UsageError(
            "pictures in HDF5 files are not augmented in training", "prepare the files with {augment=True}"
        )
    if files and validation is None:
        raise UsageError(
            "no picture of an HDF5 file can be held out for validation",
            "give {validation}: a folder of pictures, or a file prepared with {whole=True}",
        )
    factors = PAPER_FACTORS if augment else (1.0,)
    folders = [] if files else [_folder(path, factors, recursive) for path in sources]
    held_out = [] if validation is not None else _held_out(folders, scale, note)
    ranges = RANGES.get(recipe.degrade)
    source: Source
    before: Degrade
    if files:
        stored = [read_sub_images(path, scale) for path in files]
        trained_on = [
            {path.name: digest_of(file.lr, file.hr, np.array(file.offset))}
            for path, file in zip(files, stored, strict=True)
        ]
        for path, file in zip(files, stored, strict=True):
            _check_degrade(path, file.degrade, recipe.degrade, note)
        source = SubImageBatches(stored, scale, recipe.batch, recipe.seed, recipe.contrast)
    else:
        loaded = load_pairs(
            folders, scale, recipe.patch, warn=warn, note=note, leave_out=frozenset(held_out),
            remedy="give larger pictures or a smaller {patch}",
        )  # fmt: skip
        trained_on = loaded.digests
        given = (loaded.pairs, scale, recipe.patch, recipe.batch, recipe.seed, recipe.contrast)
        source = Patches(*given) if ranges is None else DegradedPatches(*given, ranges)
    if validation is not None and _is_hdf5(validation):
        pictures, validated_on, before = _stored_pictures(validation, scale, note)
    else:
        paths = held_out if validation is None else [validation]
        whole = [Folder(path, recursive=recursive) for path in paths]
        loaded = load_pairs(whole, scale, SMALLEST_VALIDATION, warn=warn, note=note)
        pictures, validated_on, before = loaded.pairs, loaded.digests, "none"
    contents = Contents(trained_on, validated_on, [folder.factors for folder in folders])
    known = contents.in_both
    if known:
        note(f"{len(known)} of {len(pictures)} validation pictures are also trained on ({first_few(known)})")
    described: dict[str, object] = {
        "sources": [str(path) for path in files] or {str(folder.path): list(folder.factors) for folder in folders},
        "validation": [str(path) for path in held_out] if validation is None else str(validation),
    }
    if ranges is not None and not files:
        described["ranges"] = asdict(ranges)
    pictures = _measurable(pictures, scale, note)
    if before != "none":
        note(f"{validation} holds degraded pictures: validation is on them as they are")
    elif ranges is not None:
        note(f"validation is on {VERSIONS} degraded versions of each picture, the same ones in all runs")
        pictures = [
            degraded_pair(pair, scale, (VALIDATION_CHAINS, number, version), ranges)
            for number, pair in enumerate(pictures)
            for version in range(VERSIONS)
        ]
    return Data(source, pictures, contents, described)


def _check_degrade(path: Path, stored: Degrade, wanted: Degrade, note: Callable[[str], None]) -> None:
    """What a file of sub-images holds stays as it was prepared: there is no whole picture left to degrade.

    Raises:
        UsageError: clean pictures, or others, where degraded ones are wanted.
    """
    if wanted not in ("none", stored):
        holds = "sub-images of clean pictures" if stored == "none" else f"pictures degraded by {stored}"
        raise UsageError(
            f"{path} holds {holds}, which can no longer be degraded by {wanted}",
            f"give folders of pictures, or prepare the file with {{degrade='{wanted}'}}",
        )
    if stored != wanted:
        note(f"{path} holds degraded pictures, which are trained on as they are")


def _stored_pictures(path: Path, scale: int, note: Callable[[str], None]) -> tuple[list[Pair], list[Digests], Degrade]:
    """Whole pictures of an HDF5 file that are large enough, a digest of all, and how their LR came about.

    Raises:
        ImageError: none is large enough.
    """
    stored = read_pictures(path, scale)
    pictures = stored.pairs
    large = [pair for pair in pictures if min(pair.lr.shape) >= SMALLEST_VALIDATION]
    if len(large) < len(pictures):
        small = f"{len(pictures) - len(large)} of {len(pictures)} pictures"
        fact = f"{path}: {small} have LR sides below {SMALLEST_VALIDATION} pixels at ×{scale}"
        if not large:
            raise ImageError(fact, "give larger pictures")
        note(f"{fact} and are left out")
    return large, [{path.name: digest_of(*(plane for pair in pictures for plane in pair))}], stored.degrade


def _measurable(pictures: list[Pair], scale: int, note: Callable[[str], None]) -> list[Pair]:
    """Those that bicubic interpolation does not make exactly: a flat picture says nothing of a network, and its PSNR is infinite.

    Raises:
        ImageError: there are none.
    """
    measurable = [
        pair for pair in pictures if math.isfinite(protocol.psnr(pair.hr, protocol.enlarged(pair.lr, scale), scale))
    ]
    if not measurable:
        raise ImageError("bicubic interpolation makes all validation pictures exactly: they are flat", "give others")
    if len(measurable) < len(pictures):
        flat = f"{len(pictures) - len(measurable)} of {len(pictures)} validation pictures"
        note(f"bicubic interpolation makes {flat} exactly: they are flat, measure nothing and are left out")
    return measurable


def _is_hdf5(path: Path) -> bool:
    return path.suffix.lower() in HDF5_ENDINGS


def _held_out(folders: Sequence[Folder], scale: int, note: Callable[[str], None]) -> list[Path]:
    """Every 20th picture of the folders, from the 11th on; the last of fewer than that. In place of one that cannot be used, the next.

    Raises:
        UsageError: there are no two pictures.
    """
    pictures = [path for folder in folders for path in folder.find().pictures]
    if len(pictures) < 2:
        raise UsageError("one picture cannot both train and validate", "give {validation}")
    places = range(HELD_OUT // 2, len(pictures), HELD_OUT) or (len(pictures) - 1,)
    usable = [next(filter(partial(_validates, scale=scale), pictures[i:] + pictures[:i]), pictures[i]) for i in places]
    held_out = list(dict.fromkeys(usable))
    note(f"{len(held_out)} of {len(pictures)} pictures are kept for validation")
    return held_out


def _validates(path: Path, scale: int) -> bool:
    """Whether a picture can be read and is large enough to validate on."""
    try:
        return bool(min(read_luma(path).shape) // scale >= SMALLEST_VALIDATION)
    except FsrcnnError:
        return False


def _folder(path: Path, default: tuple[float, ...], recursive: bool) -> Folder:
    """`FOLDER:1,0.6` → Folder(FOLDER, (1.0, 0.6))."""
    match = re.fullmatch(r"(.+):([\d.]+(?:,[\d.]+)*)", str(path), re.DOTALL)
    if match is None or os.path.exists(path):  # noqa: PTH110  (never raises)
        return Folder(path, default, recursive)
    try:
        factors = tuple(map(float, match[2].split(",")))
    except ValueError:
        raise UsageError(f"{match[2]} in {path} is not a list of factors, as 1,0.9,0.8") from None
    if any(not 0 < factor <= 1 for factor in factors):
        raise UsageError(f"factors are above 0 and at most 1, not {match[2]}")
    return Folder(Path(match[1]), factors, recursive)
