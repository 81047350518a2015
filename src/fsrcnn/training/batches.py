"""Batches: what they hold, where they come from, and how they are drawn ahead and shared out.

A batch is a pure function of (seed, step): a run that was killed and resumed sees the very batches of one that was not.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from fsrcnn.training.place import Processes


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

    def share(self, processes: Processes) -> Batch:
        """The part of this process: of 4 processes the second takes pairs 1, 5, 9 …"""
        if processes.count == 1:
            return self
        mine = slice(processes.rank, None, processes.count)
        return Batch(channels_last(self.lr[mine]), channels_last(self.phases[mine]), self.mask)


class Source(Protocol):
    """Where batches come from."""

    steps_per_epoch: int

    def draw(self, step: int) -> Batch:
        """The batch of update number `step`, from 0: a function of (seed, step) alone."""


def drawn(source: Source, start: int, stop: int, workers: int) -> Iterator[Batch]:
    """The batches of updates `start` … `stop - 1`, drawn ahead by `workers` threads where there are any."""
    if workers == 0:
        for step in range(start, stop):
            yield source.draw(step)
        return
    with ThreadPoolExecutor(workers) as pool:
        ahead: list[Future[Batch]] = [
            pool.submit(source.draw, step) for step in range(start, min(stop, start + workers))
        ]
        for step in range(start, stop):
            batch = ahead.pop(0).result()
            if step + workers < stop:
                ahead.append(pool.submit(source.draw, step + workers))
            yield batch


def channels_last(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last)


def generator_of(seed: int, number: int) -> torch.Generator:
    """Random numbers of their own for each seed (0 … 2²⁴ - 1) and number (0 … 2⁴⁰ - 1).

    PyTorch's generators are numbered 0 … 2⁶⁴ - 1; this is number 2⁴⁰·seed + number. Seed 3, update 5: 3,298,534,883,333.
    """
    return torch.Generator().manual_seed(seed * 2**40 + number)


def strengthened(lr: Tensor, phases: Tensor, most: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Half of the pairs with their contrast multiplied by 1 … `most` around their mean; values may leave [0, 1].

    gain = 1 + (most - 1)·max(0, 2u - 1), u uniform in [0, 1): at most = 1.5, u = 0.3 leaves a pair as it is, u = 0.9 gives 1.4.
    Bicubic shrinking is linear, so a pair stays a pair.
    """
    if most <= 1:
        return lr, phases
    gain = 1 + (most - 1) * (2 * torch.rand(len(lr), generator=generator) - 1).clamp(0)[:, None, None, None]
    shift = lr.mean(dim=(2, 3), keepdim=True) * (1 - gain)
    return lr * gain + shift, phases * gain + shift
