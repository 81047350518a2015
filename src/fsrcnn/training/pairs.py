"""A picture as training sees it: its luma in 8 bit, and the LR/HR pair that MATLAB's bicubic makes of it (protocol `paper`)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fsrcnn import protocol
from fsrcnn.arrays import Float32, Uint8
from fsrcnn.degradation import PHOTO, Ranges, degraded
from fsrcnn.errors import FsrcnnError, ImageError
from fsrcnn.folders import Found, find, left_out, unread
from fsrcnn.imresize import imresize
from fsrcnn.metrics import modcrop
from fsrcnn.training.contents import Digests, digest_of, first_few

PAPER_FACTORS = (1.0, 0.9, 0.8, 0.7, 0.6)  # Dong et al. 2016, §4.1: each picture also shrunk
PAPER_ROTATIONS = (0, 90, 180, 270)  # and turned, ibid.


class Pair(NamedTuple):
    """Two luma planes of one picture.

    Attributes:
        lr: (h, w) float32 in [0, 1] and a little beyond, not rounded.
        hr: (scale*h, scale*w) uint8.
    """

    lr: Float32
    hr: Uint8


def read_luma(path: Path) -> Uint8:
    """The luma plane (h, w) of a picture file in 8 bit, as the protocols measure it.

    Raises:
        ImageError: it cannot be read, has several pages, or is fully transparent.
    """
    return protocol.hr_luma(protocol.read_8bit(path))


def pair_of(full: Uint8, scale: int, factor: float = 1.0, rotation: int = 0) -> Pair:
    """What a luma plane gives, shrunk by `factor`, turned by `rotation` degrees and modcropped.

    A picture smaller than `scale` gives empty planes.
    """
    turned = np.rot90(full if factor == 1 else imresize(full, factor), rotation // 90)
    hr = np.array(modcrop(turned, scale), order="C")  # a copy, so that the pixels it was read from can go
    if not hr.size:
        return Pair(np.zeros((hr.shape[0] // scale, hr.shape[1] // scale), np.float32), hr)
    return Pair(protocol.shrunk(hr, scale).astype(np.float32), hr)


def degraded_pair(pair: Pair, scale: int, seed: Sequence[int], ranges: Ranges = PHOTO) -> Pair:
    """The HR plane with an LR plane that a random chain makes of it (`degradation.degraded`), as if it were a grey photograph.

    Luma 16 … 235 is grey 0 … 255 for the chain, so clipping, noise and compression happen where a photograph has them. Chroma is
    not simulated: the luma of a photograph's 4:2:0 JPEG errs as a grey JPEG does, within 0.12 dB up to quality 85 and 0.5 dB at 95
    (`tests/test_degradation.py` holds it to that), mostly because 8-bit RGB rounds once more.

    Args:
        pair: of which the HR plane alone counts; an empty one stays empty.
        scale: of the pair.
        seed: of the chain: the same numbers give the same plane.
        ranges: of the chain.

    Raises:
        MissingExtraError: Pillow, which compresses, is not installed.
        ImageError: the picture is too large for the chain.
    """
    if not pair.hr.size:
        return pair
    grey = ((pair.hr.astype(np.float32) - 16) / 219).clip(0, 1)
    lr = degraded(grey, scale, np.random.default_rng(seed), ranges)
    return Pair((lr * np.float32(219) + np.float32(16)) / np.float32(255), pair.hr)


# The first number of a seed says what the chain is for, so that no two uses share their chains. 1 and 2 are those of an evaluation.
TRAINING_CHAINS, VALIDATION_CHAINS, PREPARED_CHAINS = 3, 4, 5


@dataclass(frozen=True)
class Folder:
    """A folder of HR pictures (or a single one), and the factors by which each is shrunk (1.0 leaves it as it is).

    Attributes:
        recursive: its folders are looked into, too.
    """

    path: Path
    factors: tuple[float, ...] = (1.0,)
    recursive: bool = False

    def find(self) -> Found:
        """Its pictures.

        Raises:
            ImageError: there is no such folder, or no picture in it.
        """
        single = os.path.isfile(self.path)  # noqa: PTH113  (never raises; `find` says why it cannot be read)
        return Found((self.path,)) if single else find(self.path, recursive=self.recursive)

    def name_of(self, picture: Path) -> str:
        """What a picture is called wherever the folder lies: its path below the folder."""
        return picture.name if picture == self.path else picture.relative_to(self.path).as_posix()


def say_what_is_left(
    path: Path, found: Found, note: Callable[[str], None], warn: Callable[[FsrcnnError], None]
) -> None:
    """A sentence about the files of a folder that are no pictures (a note), and an error for each folder that is closed."""
    for sentence in left_out(path, found):
        note(sentence)
    for folder in found.closed:
        warn(unread(folder))


@dataclass
class Loaded:
    """Pictures as pairs.

    Attributes:
        pairs: in the order of folders, pictures and factors.
        digests: for each folder, of the pictures that gave a pair.
    """

    pairs: list[Pair] = field(default_factory=list)
    digests: list[Digests] = field(default_factory=list)


def load_pairs(
    folders: Sequence[Folder],
    scale: int,
    smallest: int = 1,
    *,
    warn: Callable[[FsrcnnError], None] = lambda error: None,
    note: Callable[[str], None] = lambda sentence: None,
    leave_out: frozenset[Path] = frozenset(),
    remedy: str = "give larger pictures",
) -> Loaded:
    """Read the pictures of the folders, shrink each by each factor, and make their LR by MATLAB's bicubic.

    Args:
        folders: where the pictures are.
        scale: of the LR pictures.
        smallest: pictures with a shorter LR side are left out; of a larger picture the shrunk copies that are too small, quietly.
        warn: called with an error for each file and folder that cannot be read; the others are used.
        note: called with a sentence about other files, and about the pictures that are too small.
        leave_out: pictures that are not used.
        remedy: what to do where no picture is large enough.

    Raises:
        ImageError: no picture is left.
    """
    loaded = Loaded()
    too_small = False
    for folder in folders:
        found = folder.find()
        say_what_is_left(folder.path, found, note, warn)
        digests: Digests = {}
        small = []
        for path in found.pictures:
            if path in leave_out:
                continue
            try:
                full = read_luma(path)
            except FsrcnnError as error:
                warn(error.named(path))
                continue
            sizes = [pair_of(full, scale, factor) for factor in folder.factors]
            large_enough = [pair for pair in sizes if min(pair.lr.shape) >= smallest]
            loaded.pairs += large_enough
            if large_enough:
                digests[folder.name_of(path)] = digest_of(full)
            else:
                small.append(folder.name_of(path))
        loaded.digests.append(digests)
        too_small = too_small or bool(small)
        if small:
            note(
                f"{folder.path}: {len(small)} of {len(found.pictures)} pictures have LR sides below {smallest} pixels at ×{scale} "
                f"and are left out ({first_few(small)})"
            )
    if not loaded.pairs:
        names = ", ".join(str(folder.path) for folder in folders)
        if not too_small:
            raise ImageError(f"no picture in {names} can be used")
        raise ImageError(f"no picture in {names} has LR sides of at least {smallest} pixels at ×{scale}", remedy)
    return loaded
