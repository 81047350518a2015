"""The sources of batches: patches cut from pictures on the fly, degraded or not, and sub-images as they were prepared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fsrcnn.arrays import Array
from fsrcnn.degradation import PHOTO, Ranges, check_size
from fsrcnn.errors import UsageError
from fsrcnn.training.batches import Batch, channels_last, generator_of, strengthened
from fsrcnn.training.hdf5_reader import Stored
from fsrcnn.training.pairs import TRAINING_CHAINS, Pair, degraded_pair


class Patches:
    """Patches cut on the fly: every position of every picture equally likely, in one of its 8 orientations."""

    def __init__(
        self, pairs: Sequence[Pair], scale: int, patch: int, batch: int, seed: int = 0, contrast: float = 1.0
    ) -> None:
        """
        Args:
            pairs: pictures, none with an LR side below `patch`.
            scale: of the pairs.
            patch: side of a patch in LR pixels.
            batch: patches per update.
            seed: of the draws.
            contrast: half of the patches get their contrast multiplied by up to this.
        """
        self.pairs, self.scale, self.patch, self.batch, self.seed, self.contrast = (
            pairs,
            scale,
            patch,
            batch,
            seed,
            contrast,
        )
        heights, widths = torch.tensor([pair.lr.shape for pair in pairs]).T
        self.columns = widths - patch + 1  # where a patch can lie in a picture
        positions = (heights - patch + 1) * self.columns
        self.ends = positions.cumsum(0)  # positions are numbered through all pictures; those of a picture end here
        self.starts = self.ends - positions
        self.steps_per_epoch = max(
            1, round(int((heights * widths).sum()) / patch**2 / batch)
        )  # each LR pixel once, on average

    def draw(self, step: int) -> Batch:
        """The batch of update number `step`: a function of (seed, step) alone."""
        count, side, scale = self.batch, self.patch, self.scale
        generator = generator_of(self.seed, step)
        position = (torch.rand(count, generator=generator, dtype=torch.float64) * self.ends[-1]).long()
        picture = torch.searchsorted(self.ends, position, right=True).clamp_(max=len(self.ends) - 1)
        position -= self.starts[picture]
        rows, columns = position // self.columns[picture], position % self.columns[picture]
        turns = torch.randint(0, 2, (3, count), generator=generator)
        lr = np.empty((count, side, side), np.float32)
        hr = np.empty((count, side * scale, side * scale), np.uint8)
        # Slices, one after the other, cost a quarter of a gather by index.
        choices = torch.stack([picture, rows, columns, *turns]).T.tolist()
        for number, (index, row, column, upside_down, mirrored, transposed) in enumerate(choices):
            small, large = self.pair(index, step)
            lr[number] = _window(small, row, column, side, upside_down, mirrored, transposed)
            hr[number] = _window(large, row * scale, column * scale, side * scale, upside_down, mirrored, transposed)
        # (n, i, py, j, px) → (n, i, j, py, px): phases, channels last, in one pass.
        shuffled = hr.reshape(count, side, scale, side, scale).swapaxes(2, 3)
        phases = torch.from_numpy(shuffled.astype(np.float32, order="C").reshape(count, side, side, scale**2))
        phases = phases.div_(255).permute(0, 3, 1, 2)
        patches, phases = strengthened(torch.from_numpy(lr)[:, None], phases, self.contrast, generator)
        return Batch(channels_last(patches), phases, None)

    def pair(self, index: int, step: int) -> Pair:
        """Picture number `index` as update number `step` sees it."""
        return self.pairs[index]


DEGRADED_PIXELS = 76_800  # HR pixels that are degraded per update, at most and on average: a few milliseconds


class DegradedPatches(Patches):
    """Patches whose LR pictures come about by random chains (`degradation.py`).

    Whole pictures are degraded, as cameras do it, and each of N pictures anew every `refresh`·N updates: picture i in updates
    refresh·i, refresh·(i + N), … So the cost of a chain is spread over many patches, the larger pictures are the longer each version
    serves, and a version is a function of (seed, picture, turn), hence a batch one of (seed, step).

    Attributes:
        refresh: updates per picture; 2 for pictures of up to 480×320.
    """

    def __init__(
        self, pairs: Sequence[Pair], scale: int, patch: int, batch: int, seed: int = 0, contrast: float = 1.0,
        ranges: Ranges = PHOTO,
    ) -> None:  # fmt: skip
        """
        Args:
            pairs, scale, patch, batch, seed, contrast: as of `Patches`; of a pair the HR plane alone counts.
            ranges: of the chains.

        Raises:
            ImageError: a picture is too large for the chains.
        """
        for pair in pairs:
            check_size(pair.hr, scale)
        super().__init__(pairs, scale, patch, batch, seed, contrast)
        self.ranges = ranges
        self.refresh = max(2, round(sum(pair.hr.size for pair in pairs) / len(pairs) / DEGRADED_PIXELS))
        self.versions: list[tuple[int, Pair] | None] = [None] * len(pairs)  # one of each picture, and its turn

    def pair(self, index: int, step: int) -> Pair:
        turn = (step // self.refresh - index) // len(self.pairs) + 1  # 0 before its first
        # Several threads draw ahead. An entry is read and replaced whole; whoever finds none, or that of another turn, makes the
        # very version that any other would make. Two threads on both sides of a turn may make one twice, and no more.
        kept = self.versions[index]
        if kept is not None and kept[0] == turn:
            return kept[1]
        pair = degraded_pair(self.pairs[index], self.scale, (TRAINING_CHAINS, self.seed, index, turn), self.ranges)
        self.versions[index] = (turn, pair)
        return pair


def _window(
    plane: Array, row: int, column: int, side: int, upside_down: bool, mirrored: bool, transposed: bool
) -> Array:
    """A square of a plane, as a view, in one of the 8 orientations."""
    window = plane[row : row + side, column : column + side]
    window = window[::-1] if upside_down else window
    window = window[:, ::-1] if mirrored else window
    return window.T if transposed else window


class SubImageBatches:
    """Sub-images as they were prepared: each once in an epoch, in an order drawn anew for each epoch."""

    def __init__(self, stored: Sequence[Stored], scale: int, batch: int, seed: int = 0, contrast: float = 1.0) -> None:
        """
        Args:
            stored: what HDF5 files hold, all of one size.
            scale: of the pairs.
            batch: sub-images per update.
            seed: of the order.
            contrast: half of the sub-images get their contrast multiplied by up to this.

        Raises:
            UsageError: sizes differ between files, or there are fewer sub-images than a batch takes.
        """
        shapes = {(file.lr.shape[1:], file.hr.shape[1:], file.offset) for file in stored}
        if len(shapes) > 1:
            raise UsageError("the HDF5 files hold sub-images of different sizes", "prepare them alike")
        self.lr = torch.from_numpy(_joined([file.lr for file in stored]))
        self.hr = torch.from_numpy(_joined([file.hr for file in stored]))
        self.scale, self.batch, self.seed, self.contrast = scale, batch, seed, contrast
        self.offset = stored[0].offset
        if len(self.lr) < batch:
            raise UsageError(f"there are {len(self.lr)} sub-images, fewer than a batch of {batch}", "lower {batch}")
        self.steps_per_epoch = len(self.lr) // batch
        side, label = self.lr.shape[1], self.hr.shape[1]
        self.border = (self.offset, side * scale - label - self.offset)  # of the label in the sub-image's own HR area
        self.mask: Tensor | None = None
        if label < side * scale:
            self.mask = self._phases(torch.ones(1, label, label))
        self.order: tuple[int, Tensor] = (-1, torch.empty(0))  # of an epoch; threads that draw ahead replace it whole

    def draw(self, step: int) -> Batch:
        """The batch of update number `step`: a function of (seed, step) alone."""
        epoch, number = divmod(step, self.steps_per_epoch)
        order = self.order
        if order[0] != epoch:
            order = self.order = (epoch, torch.randperm(len(self.lr), generator=generator_of(self.seed, epoch)))
        numbers = order[1][number * self.batch : (number + 1) * self.batch]
        hr = self.hr[numbers]
        hr = hr.float() / 255 if hr.dtype == torch.uint8 else hr
        # Epochs take the generators 0, 1, … of the seed, contrasts those from its middle on: 2³⁹ + step.
        generator = generator_of(self.seed, 2**39 + step)
        lr, phases = strengthened(self.lr[numbers][:, None], self._phases(hr), self.contrast, generator)
        return Batch(channels_last(lr), channels_last(phases), self.mask)

    def _phases(self, hr: Tensor) -> Tensor:
        """(n, label, label) labels in their place, as phases."""
        before, after = self.border
        return channels_last(F.pixel_unshuffle(F.pad(hr, (before, after, before, after))[:, None], self.scale))


def _joined(arrays: list[Array]) -> Array:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
