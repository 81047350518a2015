"""A picture as its file held it."""

from __future__ import annotations

import builtins
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from fsrcnn.arrays import Array
from fsrcnn.images.compression import Compression


@dataclass(frozen=True, eq=False)
class Picture:
    """Decoded pixels and what the file said about them.

    Attributes:
        pages: one array per page or animation frame: (h, w) grey, (h, w, 2) grey + alpha, (h, w, 3) RGB or (h, w, 4) RGBA;
            uint8, uint16, or float32 in [0, 1]. The EXIF orientation has been applied. Pages of a TIFF may differ in shape and dtype.
            With `extra`, the last channels mean something of their own instead.
        format: `png`, `jpg`, `webp`, `tif`, `avif` or `gif`: what it is written as where nobody says otherwise.
        resolution: pixels per millimetre, horizontally and vertically; None where the file says nothing.
        metadata: what it carries beside its pixels: ICC profile, EXIF, XMP, frame delays …; keys and values in `metadata.py`.
            Where pages of a TIFF carry different things, that of the first one, and under `pages` that of each.
        notes: what of the file could not be taken along, in sentences for its owner: "its gain map is left out".
        compression: how its file lost some of the picture; None where it lost nothing, or does not say.
    """

    pages: tuple[Array, ...]
    format: str
    resolution: tuple[float, float] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    compression: Compression | None = None

    @property
    def animated(self) -> bool:
        """Its pages are frames, shown one after the other."""
        return len(self.pages) > 1 and "delay" in self.metadata

    @property
    def uniform(self) -> bool:
        """All pages have one shape and dtype."""
        return len({(page.shape, page.dtype) for page in self.pages}) == 1

    @property
    def bits(self) -> int:
        """Of a sample, as the file had it: 10 or 12 of an AVIF, more than those of the dtype where not all of them are read."""
        return int(self.metadata.get("bits-per-sample", 8 * self.deepest.itemsize))

    @property
    def deepest(self) -> np.dtype[Any]:
        """The dtype of the page that has most bits."""
        return max((page.dtype for page in self.pages), key=lambda dtype: dtype.itemsize)

    def carried_by(self, page: int) -> dict[str, Any]:
        """The metadata of a page, counted from 0."""
        own: dict[str, Any] = self.metadata["pages"][page] if "pages" in self.metadata else self.metadata
        return own

    def extra(self, page: int = 0) -> int:
        """How many of a page's last channels are neither colour nor alpha: of TIFF files (infrared, masks, heights)."""
        return int(self.carried_by(page).get("extra-samples", 0))


class Written(NamedTuple):
    """What became of a picture.

    Attributes:
        data: the bytes of the file, where no target was given.
        notes: what of the picture could not be written, in sentences for its owner.
        bytes: of the file.
        sha256: of the file, in hexadecimal, where it was asked for.
    """

    data: builtins.bytes | None = None
    notes: tuple[str, ...] = ()
    bytes: int = 0
    sha256: str | None = None


def oriented(pixels: Array, orientation: int) -> Array:
    """The picture upright: EXIF orientation 1 … 8 undone, as a view, so that no second copy is held."""
    if orientation in (2, 5, 7, 4):  # mirrored ones: mirror first, then they are 1, 8, 6, 3
        pixels = pixels[:, ::-1]
        orientation = {2: 1, 5: 8, 7: 6, 4: 3}[orientation]
    return np.rot90(pixels, {1: 0, 3: 2, 6: 3, 8: 1}.get(orientation, 0))
