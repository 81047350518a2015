"""The folder of a run: weights, and a checkpoint that is enough to go on from."""

from __future__ import annotations

import io
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypedDict

import torch
from torch import Tensor

from fsrcnn import files
from fsrcnn.architecture import Architecture
from fsrcnn.errors import FsrcnnError, UsageError
from fsrcnn.training.average import MovingAverage
from fsrcnn.training.history import History, HistoryState
from fsrcnn.training.optimizers import Optimizers
from fsrcnn.training.recipe import Recipe
from fsrcnn.training.trainee import Trainee
from fsrcnn.weights import Weights

CHECKPOINT_SECONDS = 300  # at least this often, so that a kill costs minutes
LENGTH = ("steps", "warmup")  # the fields that may change when a run goes on: it may become longer


class Checkpoint(TypedDict):
    """All state of a run, but for its recipe and data."""

    recipe: dict[str, Any]
    history: HistoryState
    trainee: dict[str, Tensor]
    optimizers: dict[str, Any]
    average: dict[str, Tensor]


class RunFolder:
    """Names the files of a run and writes them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoint = path / "checkpoint.pt"
        self.best = path / "best.safetensors"
        self.last = path / "last.safetensors"
        self.saved = time.monotonic()

    def open(self, recipe: Recipe, resume: bool) -> Checkpoint | None:
        """The checkpoint to go on from, or None for a fresh run in an empty or new folder.

        Raises:
            UsageError: the folder holds a run already, there is none to resume, or it is a run of another recipe.
            FsrcnnError: the folder cannot be made, or the checkpoint is damaged.
        """
        if resume and not self.checkpoint.exists():
            raise UsageError(
                f"{self.checkpoint} does not exist, so there is no run to go on with",
                "leave {resume} away to start one",
            )
        if not resume and self.checkpoint.exists():
            raise UsageError(
                f"{self.path} holds a run already", "give {resume=True} to go on with it, or another {run}"
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FsrcnnError(f"cannot make the run folder {self.path}: {error.strerror}") from error
        return self._load(recipe) if resume else None

    def _load(self, recipe: Recipe) -> Checkpoint:
        try:
            checkpoint: Checkpoint = torch.load(self.checkpoint, weights_only=True, map_location="cpu")
            fields = checkpoint["recipe"]
            architecture = Architecture(**fields.pop("architecture"))
            before = Recipe(architecture, **(fields | {"frozen": tuple(fields["frozen"])}))
            done = checkpoint["history"]["step"]
        except Exception as error:  # whatever a damaged file makes PyTorch raise
            raise FsrcnnError(
                f"{self.checkpoint} is damaged or of another version", "start a new run in another {run}"
            ) from error
        differences = recipe.differences(before, but=LENGTH)
        if differences:
            raise UsageError(
                f"{self.path} is a run of another recipe ({'; '.join(differences)})",
                "start the new one in another {run}",
            )
        if done > recipe.steps:
            raise UsageError(f"{self.path} has done {done} updates already, more than the {recipe.steps} asked for")
        return checkpoint

    def save_weights(self, weights: Weights, *, best: bool) -> None:
        """As the last ones, and as the best where they are."""
        if best:
            weights.save(self.best)
        weights.save(self.last)

    def checkpoint_is_due(self) -> bool:
        return time.monotonic() - self.saved > CHECKPOINT_SECONDS

    def save_checkpoint(
        self, recipe: Recipe, history: History, trainee: Trainee, optimizers: Optimizers, average: MovingAverage
    ) -> None:
        checkpoint: Checkpoint = {
            "recipe": asdict(recipe), "history": history.state(), "trainee": trainee.state_dict(),
            "optimizers": optimizers.state(), "average": average.arrays,
        }  # fmt: skip
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        files.write(self.checkpoint, buffer.getvalue())
        self.saved = time.monotonic()


def restore(
    checkpoint: Checkpoint, history: History, trainee: Trainee, optimizers: Optimizers, average: MovingAverage
) -> None:
    """Put the state of a checkpoint in place."""
    history.load_state(checkpoint["history"])
    trainee.load_state_dict(checkpoint["trainee"])
    optimizers.load_state(checkpoint["optimizers"])
    average.load(checkpoint["average"])
