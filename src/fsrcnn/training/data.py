"""What a run reads: folders of pictures or HDF5 files to train on, and whole pictures to validate on."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fsrcnn.errors import UsageError
from fsrcnn.training.batches import Source
from fsrcnn.training.hdf5_reader import read_pictures, read_sub_images
from fsrcnn.training.pairs import PAPER_FACTORS, Folder, Pair, load_pairs
from fsrcnn.training.recipe import Recipe
from fsrcnn.training.sources import Patches, SubImageBatches

HDF5_ENDINGS = (".h5", ".hdf5")
HELD_OUT = 20  # of so many pictures one is held out for validation, where no validation set is given
SMALLEST_VALIDATION = 3  # LR pixels a side: after shaving, something is left to measure


@dataclass(frozen=True)
class Data:
    """What a run reads.

    Attributes:
        source: batches to train on.
        validation: whole pictures.
        described: for `config.json`: `sources` (files, or folders with their factors) and `validation`.
    """

    source: Source
    validation: list[Pair]
    described: dict[str, object]


def open_data(
    sources: Sequence[Path],
    validation: Path | None,
    recipe: Recipe,
    *,
    augment: bool = False,
    warn: Callable[[str], None] = lambda sentence: None,
    note: Callable[[str], None] = lambda sentence: None,
) -> Data:
    """Read training and validation data.

    Args:
        sources: folders of pictures (`FOLDER:1,0.6` with factors), or HDF5 files of sub-images.
        validation: folder of pictures or HDF5 file of whole ones; None holds every 20th picture of the folders out for it.
        recipe: scale, batch, patch, seed and contrast are used.
        augment: folders without factors of their own are also used shrunk to 0.9, 0.8, 0.7, 0.6.
        warn: called with a sentence for each picture that cannot be read.
        note: called with a sentence about pictures held out for validation.

    Raises:
        UsageError: nothing given, folders and files mixed, another scale, no validation data.
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
    folders = [] if files else [_folder(path, PAPER_FACTORS if augment else (1.0,)) for path in sources]
    held_out = [] if validation is not None else _held_out(folders, note)
    source: Source
    if files:
        stored = [read_sub_images(path, scale) for path in files]
        source = SubImageBatches(stored, scale, recipe.batch, recipe.seed, recipe.contrast)
    else:
        pairs = load_pairs(folders, scale, recipe.patch, warn, leave_out=frozenset(held_out))
        source = Patches(pairs, scale, recipe.patch, recipe.batch, recipe.seed, recipe.contrast)
    if validation is not None and _is_hdf5(validation):
        pictures = read_pictures(validation, scale)
    else:
        paths = held_out if validation is None else [validation]
        pictures = load_pairs([Folder(path) for path in paths], scale, SMALLEST_VALIDATION, warn)
    described: dict[str, object] = {
        "sources": [str(path) for path in files] or {str(folder.path): list(folder.factors) for folder in folders},
        "validation": [str(path) for path in held_out] if validation is None else str(validation),
    }
    return Data(source, pictures, described)


def _is_hdf5(path: Path) -> bool:
    return path.suffix.lower() in HDF5_ENDINGS


def _held_out(folders: Sequence[Folder], note: Callable[[str], None]) -> list[Path]:
    """Every 20th picture of the folders, from the 11th on; the last of fewer than that."""
    pictures = [path for folder in folders for path in folder.pictures()]
    if len(pictures) < 2:
        raise UsageError("one picture cannot both train and validate", "give {validation}")
    held_out = pictures[HELD_OUT // 2 :: HELD_OUT] or pictures[-1:]
    note(f"{len(held_out)} of {len(pictures)} pictures are kept for validation")
    return held_out


def _folder(path: Path, default: tuple[float, ...]) -> Folder:
    """`FOLDER:1,0.6` → Folder(FOLDER, (1.0, 0.6))."""
    match = re.fullmatch(r"(.+):([\d.]+(?:,[\d.]+)*)", str(path))
    if match is None or path.exists():
        return Folder(path, default)
    try:
        factors = tuple(map(float, match[2].split(",")))
    except ValueError:
        raise UsageError(f"{match[2]} in {path} is not a list of factors, as 1,0.9,0.8") from None
    if any(not 0 < factor <= 1 for factor in factors):
        raise UsageError(f"factors are above 0 and at most 1, not {match[2]}")
    return Folder(Path(match[1]), factors)
