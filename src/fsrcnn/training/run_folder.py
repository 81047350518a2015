"""The folder of a run: a lock, weights, and a checkpoint that is enough to go on from."""

from __future__ import annotations

import io
import time
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypedDict

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from fsrcnn import files, weights
from fsrcnn.architecture import Architecture
from fsrcnn.errors import FsrcnnError, UsageError, WeightsError
from fsrcnn.integer import IntegerModel
from fsrcnn.training.average import MovingAverage
from fsrcnn.training.contents import Contents
from fsrcnn.training.history import History, HistoryState
from fsrcnn.training.optimizers import Optimizers
from fsrcnn.training.recipe import Recipe
from fsrcnn.training.trainee import Trainee
from fsrcnn.weights import Weights

CHECKPOINT_SECONDS = 300  # at least this often, so that a kill costs minutes
LENGTH = ("steps", "warmup")  # the fields that may change when a run goes on: it may become longer


class Checkpoint(TypedDict):
    """All state of a run, and of its recipe and its data as much as tells whether they are the same."""

    recipe: dict[str, Any]
    contents: dict[str, Any]
    history: HistoryState
    trainee: dict[str, Tensor]
    optimizers: dict[str, Any]
    average: dict[str, Tensor]


class RunFolder:
    """Names the files of a run and writes them. As a context, it holds the folder for this run alone."""

    def __init__(self, path: Path, *, writes: bool = True) -> None:
        """
        Args:
            path: the folder.
            writes: whether this process writes; of several that share a run, one does.
        """
        self.path, self.writes = path, writes
        self.checkpoint = path / "checkpoint.pt"
        self.best = path / "best.safetensors"
        self.last = path / "last.safetensors"
        self.lock = FileLock(path / ".lock", blocking=False)  # the system's: it ends with the process, however it ends
        self.held = -1  # the lock file's number on its file system
        self.saved = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.lock.release()

    def open(self, recipe: Recipe, contents: Contents, resume: bool) -> Checkpoint | None:
        """Lock the folder, which is made if missing; the checkpoint to go on from, or None for a fresh run.

        Raises:
            UsageError: the folder holds a run already, there is none to resume, or it is a run of another recipe or other data.
            FsrcnnError: another run is at work in the folder, it cannot be made or written to, or the checkpoint is damaged.
        """
        if resume and not self._is_begun():
            raise UsageError(
                f"{self.checkpoint} does not exist, so there is no run to go on with",
                "leave {resume} away to start one",
            )
        if self.writes:
            self._take()
        if not resume and self._is_begun():
            raise UsageError(
                f"{self.path} holds a run already", "give {resume=True} to go on with it, or another {run}"
            )
        return self._load(recipe, contents) if resume else None

    def _is_begun(self) -> bool:
        try:
            return self.checkpoint.exists()
        except OSError as error:
            raise FsrcnnError(f"cannot use the run folder {self.path}: {error.strerror}") from error

    def _take(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.lock.acquire()
            self.held = Path(self.lock.lock_file).stat().st_ino
        except Timeout:
            raise FsrcnnError(
                f"another run is at work in {self.path}", "wait until it ends, or give another {run}"
            ) from None
        except OSError as error:
            raise FsrcnnError(f"cannot use the run folder {self.path}: {error.strerror}") from error

    def _check(self) -> None:
        """
        Raises:
            FsrcnnError: the folder is no longer the one that was locked, so that another run may be at work under its name.
        """
        try:
            same = Path(self.lock.lock_file).stat().st_ino == self.held
        except OSError:
            same = False
        if not same:
            raise FsrcnnError(f"the run folder {self.path} was removed in the middle of the run, so training stops")

    def _load(self, recipe: Recipe, contents: Contents) -> Checkpoint:
        try:
            checkpoint: Checkpoint = torch.load(self.checkpoint, weights_only=True, map_location="cpu")
            fields = checkpoint["recipe"]
            architecture = Architecture(**fields.pop("architecture"))
            before = Recipe(architecture, **(fields | {"frozen": tuple(fields["frozen"])}))
            read_before = Contents(**checkpoint["contents"])
            done = checkpoint["history"]["step"]
        except Exception as error:  # whatever a damaged file makes PyTorch raise
            raise FsrcnnError(f"{self.checkpoint} is damaged or of another version", self._anew) from error
        changes = contents.differences(read_before)
        if changes:
            raise UsageError(f"what {self.path} was trained on has changed ({'; '.join(changes)})", self._anew)
        differences = recipe.differences(before, but=LENGTH)
        if differences:
            raise UsageError(
                f"{self.path} is a run of another recipe ({'; '.join(differences)})",
                "start the new one in another {run}",
            )
        if done > recipe.steps:
            raise UsageError(
                f"{self.path} has done {done} updates already, more than the {recipe.steps} asked for",
                f"give {{steps={done}}} or more",
            )
        return checkpoint

    @property
    def _anew(self) -> str:
        """The remedy where a run cannot go on. Whole numbers, which a run with a format saves, are nothing to begin with."""
        anew = "start a new run in another {run}"
        try:
            whole = weights.metadata_of(weights.contents(self.last)).get(weights.KIND_KEY) == weights.INTEGER_KIND
        except WeightsError:
            whole = False
        return anew if whole else f"{anew}; `fsrcnn train` with {{initial={self.last}}} starts it from these weights"

    def save_weights(self, network: Weights | IntegerModel, *, best: bool) -> None:
        """As the last ones, and as the best where they are.

        Raises:
            FsrcnnError: they cannot be written, or the folder was removed.
        """
        self._check()
        if best:
            network.save(self.best)
        network.save(self.last)

    def checkpoint_is_due(self) -> bool:
        return time.monotonic() - self.saved > CHECKPOINT_SECONDS

    def save_checkpoint(
        self, recipe: Recipe, contents: Contents, history: History, trainee: Trainee, optimizers: Optimizers,
        average: MovingAverage,
    ) -> None:  # fmt: skip
        """
        Raises:
            FsrcnnError: it cannot be written, or the folder was removed.
        """
        self._check()
        checkpoint: Checkpoint = {
            "recipe": asdict(recipe), "contents": asdict(contents), "history": history.state(), "trainee": trainee.state_dict(),
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
