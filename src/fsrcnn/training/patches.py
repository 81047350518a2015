"""From pictures to batches: LR and HR luma in flat arrays, and patches drawn from them.

A batch is a pure function of (seed, step): a run that was killed and resumed sees the very batches of one that was not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from fsrcnn import formats
from fsrcnn.errors import FsrcnnError, ImageError, UsageError
from fsrcnn.training.hdf5 import Stored
from fsrcnn.training.pairs import pair_of, read_luma


class Batch(NamedTuple):
    """Patch pairs, channels last.

    Attributes:
        lr: (n, 1, h, w) float32 luma in [0, 1].
        phases: (n, scale², h, w) float32: channel `scale*py + px` holds HR pixels (scale*i + py, scale*j + px).
        mask: (1, scale², h, w), 1 where the label reaches and 0 elsewhere; None where it reaches everywhere.
    """

    lr: Tensor
    phases: Tensor
    mask: Tensor | None

    def to(self, device: torch.device) -> Batch:
        """The batch on a device."""
        if device.type == "cpu":
            return self
        mask = None if self.mask is None else self.mask.to(device, non_blocking=True)
        return Batch(self.lr.to(device, non_blocking=True), self.phases.to(device, non_blocking=True), mask)


class Source(Protocol):
    """Where batches come from."""

    steps_per_epoch: int

    def draw(self, step: int) -> Batch:
        """The batch of update number `step`."""


class Pairs(NamedTuple):
    """LR and HR luma of many pictures, end to end in two flat arrays.

    Attributes:
        lr: float32 in [0, 1], not rounded (protocol `paper`).
        hr: uint8.
        layout: (pictures, 4) int64: start in `lr`, start in `hr`, LR height, LR width.
    """

    lr: Tensor
    hr: Tensor
    layout: Tensor

    @staticmethod
    def of(planes: Sequence[tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]]) -> Pairs:
        """Pack (LR, HR) planes."""
        lr_starts = np.cumsum([0, *(lr.size for lr, _ in planes)])
        hr_starts = np.cumsum([0, *(hr.size for _, hr in planes)])
        layout = [(lr_starts[i], hr_starts[i], *lr.shape) for i, (lr, _) in enumerate(planes)]
        return Pairs(
            torch.from_numpy(np.concatenate([lr.ravel() for lr, _ in planes])),
            torch.from_numpy(np.concatenate([hr.ravel() for _, hr in planes])),
            torch.tensor(np.array(layout, np.int64)),
        )

    def plane(self, number: int, scale: int) -> tuple[Tensor, Tensor]:
        """(h, w) LR and (scale*h, scale*w) HR of one picture."""
        lr_start, hr_start, height, width = self.layout[number].tolist()
        lr = self.lr[lr_start : lr_start + height * width].view(height, width)
        hr = self.hr[hr_start : hr_start + height * width * scale**2].view(height * scale, width * scale)
        return lr, hr


@dataclass(frozen=True)
class Folder:
    """A folder of HR pictures (or a single one), and the factors by which each is shrunk (1.0 keeps it as it is)."""

    path: Path
    factors: tuple[float, ...] = (1.0,)


def load_pairs(
    folders: Sequence[Folder],
    scale: int,
    smallest: int = 1,
    warn: Callable[[str], None] = lambda sentence: None,
    leave_out: frozenset[Path] = frozenset(),
) -> Pairs:
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
    planes = []
    for folder in folders:
        for path in [folder.path] if folder.path.is_file() else formats.find(folder.path):
            if path in leave_out:
                continue
            try:
                full = read_luma(path)
            except FsrcnnError as error:
                warn(error.about(path))
                continue
            pairs = [pair_of(full, scale, factor) for factor in folder.factors]
            planes += [pair for pair in pairs if min(pair[0].shape) >= smallest]
    if not planes:
        names = ", ".join(str(folder.path) for folder in folders)
        raise ImageError(
            f"no picture in {names} has LR sides of at least {smallest} pixels at ×{scale}; give larger pictures or a smaller --patch"
        )
    return Pairs.of(planes)


class Patches:
    """Patches cut on the fly: every position of every picture equally likely, in one of its 8 orientations."""

    def __init__(self, pairs: Pairs, scale: int, patch: int, batch: int, seed: int = 0, contrast: float = 1.0) -> None:
        self.scale, self.patch, self.batch, self.seed, self.contrast = scale, patch, batch, seed, contrast
        self.planes = [tuple(t.numpy() for t in pairs.plane(number, scale)) for number in range(len(pairs.layout))]
        layout = pairs.layout
        self.columns = layout[:, 3] - patch + 1
        positions = (layout[:, 2] - patch + 1) * self.columns
        self.ends = positions.cumsum(0)
        self.starts = self.ends - positions
        area = int((layout[:, 2] * layout[:, 3]).sum())
        self.steps_per_epoch = max(1, round(area / patch**2 / batch))  # each LR pixel once, on average

    def draw(self, step: int) -> Batch:
        """The batch of update number `step`: a function of (seed, step) alone."""
        count, side, scale = self.batch, self.patch, self.scale
        generator = torch.Generator().manual_seed(self.seed * 2**40 + step)
        place = (torch.rand(count, generator=generator, dtype=torch.float64) * self.ends[-1]).long()
        which = torch.searchsorted(self.ends, place, right=True).clamp_(max=len(self.ends) - 1)
        place -= self.starts[which]
        rows, columns = place // self.columns[which], place % self.columns[which]
        turns = torch.randint(0, 2, (3, count), generator=generator)
        lr = np.empty((count, side, side), np.float32)
        hr = np.empty((count, side * scale, side * scale), np.uint8)
        # Slices, one by one, cost a quarter of a gather by index.
        choices = torch.stack([which, rows, columns, *turns]).T.tolist()
        for number, (picture, row, column, upside_down, mirrored, transposed) in enumerate(choices):
            small, large = self.planes[picture]
            lr[number] = _window(small, row, column, side, upside_down, mirrored, transposed)
            hr[number] = _window(large, row * scale, column * scale, side * scale, upside_down, mirrored, transposed)
        # (n, i, py, j, px) → (n, i, j, py, px): phases, channels last, in one pass.
        shuffled = hr.reshape(count, side, scale, side, scale).swapaxes(2, 3)
        phases = torch.from_numpy(shuffled.astype(np.float32, order="C").reshape(count, side, side, scale**2))
        phases = phases.div_(255).permute(0, 3, 1, 2)
        patches, phases = strengthened(torch.from_numpy(lr)[:, None], phases, self.contrast, generator)
        return Batch(channels_last(patches), phases, None)


def _window(plane: Any, row: int, column: int, side: int, upside_down: int, mirrored: int, transposed: int) -> Any:
    """A square of a plane, as a view, in one of the 8 orientations."""
    window = plane[row : row + side, column : column + side]
    window = window[::-1] if upside_down else window
    window = window[:, ::-1] if mirrored else window
    return window.T if transposed else window


def strengthened(lr: Tensor, phases: Tensor, most: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Half of the pairs with their contrast multiplied by 1 … `most` around their mean; values may leave [0, 1].

    Bicubic shrinking is linear, so a pair stays a pair.
    """
    if most <= 1:
        return lr, phases
    gain = 1 + (most - 1) * (2 * torch.rand(len(lr), generator=generator) - 1).clamp(0)[:, None, None, None]
    shift = lr.mean(dim=(2, 3), keepdim=True) * (1 - gain)
    return lr * gain + shift, phases * gain + shift


def channels_last(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last)


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
        shapes = {(one.lr.shape[1:], one.hr.shape[1:], one.offset) for one in stored}
        if len(shapes) > 1:
            raise UsageError("the HDF5 files hold sub-images of different sizes; prepare them alike")
        self.lr = torch.from_numpy(_joined([one.lr for one in stored]))
        self.hr = torch.from_numpy(_joined([one.hr for one in stored]))
        self.scale, self.batch, self.seed, self.contrast = scale, batch, seed, contrast
        self.offset = stored[0].offset
        if len(self.lr) < batch:
            raise UsageError(f"there are {len(self.lr)} sub-images, fewer than a batch of {batch}; lower --batch-size")
        self.steps_per_epoch = len(self.lr) // batch
        side, label = self.lr.shape[1], self.hr.shape[1]
        self.border = (self.offset, side * scale - label - self.offset)  # of the label in the sub-image's own HR area
        self.mask: Tensor | None = None
        if label < side * scale:
            self.mask = self._phases(torch.ones(1, label, label))
        self.order: tuple[int, Tensor] = (-1, torch.empty(0))

    def draw(self, step: int) -> Batch:
        """The batch of update number `step`: a function of (seed, step) alone."""
        epoch, place = divmod(step, self.steps_per_epoch)
        order = self.order
        if order[0] != epoch:
            generator = torch.Generator().manual_seed(self.seed * 2**40 + epoch)
            order = self.order = (epoch, torch.randperm(len(self.lr), generator=generator))
        which = order[1][place * self.batch : (place + 1) * self.batch]
        hr = self.hr[which]
        hr = hr.float() / 255 if hr.dtype == torch.uint8 else hr
        generator = torch.Generator().manual_seed(self.seed * 2**40 + 2**39 + step)
        lr, phases = strengthened(self.lr[which][:, None], self._phases(hr), self.contrast, generator)
        return Batch(channels_last(lr), channels_last(phases), self.mask)

    def _phases(self, hr: Tensor) -> Tensor:
        """(n, label, label) labels in their place, as phases."""
        before, after = self.border
        return channels_last(F.pixel_unshuffle(F.pad(hr, (before, after, before, after))[:, None], self.scale))


def _joined(arrays: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
