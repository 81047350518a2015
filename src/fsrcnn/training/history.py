"""How far a run has come: updates, loss, validations, time."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TypedDict

import torch
from torch import Tensor

Row = dict[str, float]


@dataclass(frozen=True)
class Progress:
    """What `train` reports: after every few updates (`validation_db` is None until the first validation) and validations.

    Attributes:
        step, steps: updates done, and in all.
        loss: mean training loss since the last validation.
        validation_db: mean PSNR in dB of the newest validation; `bicubic_db`: that of bicubic interpolation.
        best_db: of the best validation so far.
        seconds: of training so far, over all resumed parts.
        validated: whether this report follows a validation.
    """

    step: int
    steps: int
    loss: float
    validation_db: float | None
    bicubic_db: float
    best_db: float | None
    seconds: float
    validated: bool


class HistoryState(TypedDict):
    """A `History` in a checkpoint."""

    step: int
    seconds: float
    best_db: float | None
    rows: list[Row]
    loss_sum: Tensor
    loss_count: int


class History:
    """What a run has done so far.

    Attributes:
        step: updates done.
        rows: a row for each validation: step, loss, validation_db, bicubic_db, rate, seconds.
        best_db: PSNR of the best validation so far.
        loss_sum: of the updates since the last validation, on the device, so that adding to it waits for nothing.
    """

    def __init__(self, steps: int, bicubic_db: float, device: torch.device) -> None:
        self.steps, self.bicubic_db, self.device = steps, bicubic_db, device
        self.step = 0
        self.rows: list[Row] = []
        self.best_db: float | None = None
        self.validation_db: float | None = None
        self.loss_sum, self.loss_count = torch.zeros((), device=device), 0
        self.seconds_before, self.started = 0.0, time.monotonic()

    @property
    def seconds(self) -> float:
        """Of training, over all resumed parts."""
        return self.seconds_before + time.monotonic() - self.started

    def add_update(self, loss: Tensor) -> None:
        self.loss_sum += loss.detach()
        self.loss_count += 1
        self.step += 1

    def loss_is_finite(self) -> bool:
        return math.isfinite(self.loss_sum.item())

    def add_validation(self, psnr: float, rate: float) -> bool:
        """A row for a validation; whether it is the best so far."""
        self.validation_db = psnr
        self.rows.append(
            {
                "step": self.step,
                "loss": float(f"{self.loss_sum.item() / self.loss_count:.6g}"),
                "validation_db": round(psnr, 4),
                "bicubic_db": round(self.bicubic_db, 4),
                "rate": float(f"{rate:.6g}"),
                "seconds": round(self.seconds),
            }
        )
        improved = self.best_db is None or psnr > self.best_db
        if improved:
            self.best_db = psnr
        return improved

    def forget_loss(self) -> None:
        """After a validation, the mean loss begins anew."""
        self.loss_sum, self.loss_count = torch.zeros((), device=self.device), 0

    def progress(self, validated: bool = False) -> Progress:
        mean = self.loss_sum.item() / max(1, self.loss_count)
        return Progress(
            self.step, self.steps, mean, self.validation_db, self.bicubic_db, self.best_db, self.seconds, validated
        )

    def state(self) -> HistoryState:
        """For a checkpoint."""
        return {
            "step": self.step, "seconds": self.seconds, "best_db": self.best_db, "rows": self.rows,
            "loss_sum": self.loss_sum, "loss_count": self.loss_count,
        }  # fmt: skip

    def load_state(self, state: HistoryState) -> None:
        self.step, self.seconds_before, self.best_db, self.rows = (
            state["step"], state["seconds"], state["best_db"], state["rows"],
        )  # fmt: skip
        self.loss_sum, self.loss_count = state["loss_sum"].to(self.device), state["loss_count"]
        self.validation_db = self.rows[-1]["validation_db"] if self.rows else None
