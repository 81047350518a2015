"""How pictures are cut into pairs of sub-images and labels (Dong et al. 2016, §4.1, and the authors' generate_train.m)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fsrcnn.arrays import Float32, Uint8
from fsrcnn.errors import UsageError

PAPER_SUB_IMAGE = {2: 10, 3: 7, 4: 6}  # LR pixels a side (Dong et al. 2016, §4.1)
# HR pixels a side: the centres of n LR pixels span scale·(n - 1) + 1 HR pixels. At ×3: 3·(7 - 1) + 1 = 19.
PAPER_LABEL = {scale: scale * (size - 1) + 1 for scale, size in PAPER_SUB_IMAGE.items()}
PAPER_STRIDE = 4  # LR pixels, in generate_train.m


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
        """HR pixels between the start of the sub-image's own HR area and its label; never outside of that area.

        generate_train.m counts from 1 and has the label of the sub-image at LR row x start at HR row
        scale·(x + ⌊(size - 1)/2⌋) - ⌊(label + scale)/2 - 1⌋. The paper's sizes at ×3, x = 1: 3·(1 + 3) - ⌊22/2 - 1⌋ = 2, the
        second row, so the offset is 1 (at ×2 and ×4 it is 0).
        """
        row = self.scale * (1 + (self.size - 1) // 2) - ((self.label + self.scale) // 2 - 1)
        return min(max(row - 1, 0), self.size * self.scale - self.label)

    def cut(self, lr: Float32, hr: Uint8) -> tuple[Float32, Uint8]:
        """A pair of planes (h, w), (scale·h, scale·w) as (n, size, size) sub-images and (n, label, label) labels, row by row.

        A picture smaller than a sub-image gives none.
        """
        if min(lr.shape) < self.size:
            return np.empty((0, self.size, self.size), np.float32), np.empty((0, self.label, self.label), np.uint8)
        step = self.stride
        windows = np.lib.stride_tricks.sliding_window_view
        small = windows(lr, (self.size, self.size))[::step, ::step]
        large = windows(hr[self.offset :, self.offset :], (self.label, self.label))
        large = large[:: step * self.scale, :: step * self.scale][: small.shape[0], : small.shape[1]]
        return small.reshape(-1, self.size, self.size), large.reshape(-1, self.label, self.label)


def paper_sub_images(scale: int) -> SubImages:
    """The paper's sizes for a scale."""
    return SubImages(scale, PAPER_SUB_IMAGE[scale], PAPER_LABEL[scale])
