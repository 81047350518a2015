"""A picture as training sees it: its luma in 8 bit, and the LR/HR pair that MATLAB's bicubic makes of it (protocol `paper`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fsrcnn import protocol
from fsrcnn.arrays import Float32, Uint8
from fsrcnn.errors import FsrcnnError, ImageError
from fsrcnn.folders import find
from fsrcnn.imresize import imresize
from fsrcnn.metrics import modcrop

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
        ImageError: it cannot be read.
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


@dataclass(frozen=True)
class Folder:
    """A folder of HR pictures (or a single one), and the factors by which each is shrunk (1.0 leaves it as it is)."""

    path: Path
    factors: tuple[float, ...] = (1.0,)

    def pictures(self) -> Sequence[Path]:
        """Its files.

        Raises:
            ImageError: there is no such folder, or no picture in it.
        """
        return [self.path] if self.path.is_file() else find(self.path).pictures


def load_pairs(
    folders: Sequence[Folder],
    scale: int,
    smallest: int = 1,
    warn: Callable[[str], None] = lambda sentence: None,
    leave_out: frozenset[Path] = frozenset(),
) -> list[Pair]:
    """Read the pictures of the folders, shrink each by each factor, and make their LR by MATLAB's bicubic.

    Args:
        folders: where the pictures are.
        scale: of the LR pictures.
        smallest: pictures with a shorter LR side are left out.
        leave_out: pictures that are not used.
        warn: called with a sentence for each file that cannot be read; the others are used.

    Raises:
        ImageError: no picture is left.
    """
    pairs: list[Pair] = []
    for folder in folders:
        for path in folder.pictures():
            if path in leave_out:
                continue
            try:
                full = read_luma(path)
            except FsrcnnError as error:
                warn(error.about(path))
                continue
            sizes = [pair_of(full, scale, factor) for factor in folder.factors]
            pairs += [pair for pair in sizes if min(pair.lr.shape) >= smallest]
    if not pairs:
        names = ", ".join(str(folder.path) for folder in folders)
        raise ImageError(
            f"no picture in {names} has LR sides of at least {smallest} pixels at ×{scale}",
            "give larger pictures or a smaller {patch}",
        )
    return pairs
