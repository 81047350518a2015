"""The two layouts of HDF5 files that exist around FSRCNN, and how pictures lie in them.

`lr-hr`       datasets `lr` (N, h, w) float32 in 0 … 255 and `hr` (N, H, W) uint8, as the common PyTorch port has them; for
              evaluation groups `lr/0 …` and `hr/0 …` of whole pictures.
`data-label`  datasets `data` (N, 1, w, h) and `label` (N, 1, W, H), float32 in [0, 1], as MATLAB's h5write leaves them for Caffe:
              MATLAB stores columns first, so each picture lies transposed.

Attributes of the file: `scale`, `layout`, `degrade` (`none` or `photo`; then also `degrade_seed` and
`degrade_ranges`, JSON), `sub_image` (LR pixels), `label` (HR pixels), `label_offset` (HR pixels between the start
of the sub-image's own HR area and its label), `stride`, `peak` of lr and hr, `factors`, `rotations`, `sources` and `sha256` (one
line per picture), `fsrcnn` (the version). Files of others, without attributes, are read by the conventions above.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from fsrcnn.arrays import Array, Float32, Uint8

LayoutName = Literal["lr-hr", "data-label"]
CHUNK_ITEMS = 256  # sub-images in an HDF5 chunk


@dataclass(frozen=True)
class Layout:
    """How sub-images lie in a file.

    Attributes:
        name: `lr-hr` or `data-label`.
        lr, hr: names of the two datasets.
        peak: the value that stands for full light, in a file that does not say it.
        hr_dtype: of the labels that `prepare` writes.
        transposed: whether pictures lie columns first, behind a channel axis: (N, 1, w, h).
    """

    name: LayoutName
    lr: str
    hr: str
    peak: float
    hr_dtype: npt.DTypeLike
    transposed: bool

    def shape(self, height: int, width: int) -> tuple[int, ...]:
        """Of one picture in the file."""
        return (1, width, height) if self.transposed else (height, width)

    def packed_lr(self, lr: Float32) -> Array:
        """(n, h, w) in [0, 1] as the file holds it."""
        return self._packed(lr * np.float32(self.peak))

    def packed_hr(self, hr: Uint8) -> Array:
        """(n, H, W) in 0 … 255 as the file holds it."""
        return self._packed(hr / np.float32(255) * np.float32(self.peak) if self.hr_dtype == np.float32 else hr)

    def unpacked(self, items: Array) -> Array:
        """What the file holds as (n, h, w), its values as they are."""
        return items[:, 0].swapaxes(1, 2) if self.transposed else items

    def _packed(self, planes: Array) -> Array:
        return planes.swapaxes(1, 2)[:, None] if self.transposed else planes


LAYOUTS: dict[LayoutName, Layout] = {
    "lr-hr": Layout("lr-hr", "lr", "hr", 255.0, np.uint8, transposed=False),
    "data-label": Layout("data-label", "data", "label", 1.0, np.float32, transposed=True),
}
