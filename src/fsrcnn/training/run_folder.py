"""The folder of a run: a lock, weights, and a checkpoint that is enough to go on from.

Several machines may share a folder, or have one of their own each: then number 0's is copied to the others at each validation, and a
run goes on from the newest checkpoint that any of them has, whichever machine number 0 is on by then.
"""

from __future__ import annotations

import io
import os
import socket
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
from fsrcnn.training.place import Processes
from fsrcnn.training.recipe import Recipe
from fsrcnn.training.trainee import Trainee
from fsrcnn.weights import Weights

CHECKPOINT_SECONDS = 300  # at least this often, so that a kill costs minutes
COPIED = ("config.json", "log.csv", "best.safetensors", "last.safetensors", "checkpoint.pt")
"""To other machines; the last one, by which a run is known, at last."""
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

    def __init__(self, path: Path, processes: Processes | None = None) -> None:
        """
        Args:
            path: the folder.
            processes: those of the run, of which number 0 writes.
        """
        self.path, self.processes = path, processes or Processes()
        self.holds_copy = False  # whether it is a machine's own, not number 0's
        self.copies = False  # whether there are such folders
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
        processes = self.processes
        done = self._updates_done() if processes.leads else None
        steps = processes.gathered((socket.gethostname(), done))
        begun = [(step, -rank) for rank, (_, step) in enumerate(steps) if step is not None]
        if resume and not begun:
            raise UsageError(
                f"{self.checkpoint} does not exist, so there is no run to go on with",
                "leave {resume} away to start one",
            )
        self._take_all()
        if not resume and begun:
            host = f" on {steps[-begun[0][1]][0]}" if processes.count > 1 else ""
            raise UsageError(
                f"{self.path}{host} holds a run already", "give {resume=True} to go on with it, or another {run}"
            )
        if not resume:
            return None
        self._copy(-max(begun)[1])
        processes.wait()
        return self._load(recipe, contents)

    def _updates_done(self) -> int | None:
        """By the checkpoint in this folder; None without one. What is no checkpoint counts as one, to be refused by `_load`."""
        if not self._is_begun():
            return None
        if self.processes.count == 1:
            return 0  # it will be the newest, whatever it is
        try:
            done: int = torch.load(self.checkpoint, weights_only=True, map_location="cpu")["history"]["step"]
        except Exception as error:  # whatever a damaged file makes PyTorch raise
            raise self._damaged() from error
        return done

    def _is_begun(self) -> bool:
        try:
            return self.checkpoint.exists()
        except OSError as error:
            raise FsrcnnError(f"cannot use the run folder {self.path}: {error.strerror}") from error

    def _take_all(self) -> None:
        """Number 0 takes the folder; so does the first process of each machine that has another one under this name."""
        processes = self.processes
        mark = (
            self.path / f".{processes.sent(os.urandom(8).hex())}"
        )  # looked for where number 0 has made it: is it the same folder?
        if processes.first:
            self._take()
            if processes.count > 1:
                self._mark(mark)
        processes.wait()
        self.holds_copy = processes.leads and not mark.exists() and not processes.first
        if self.holds_copy:
            self._take()
        self.copies = any(processes.gathered(self.holds_copy))
        if processes.first:
            mark.unlink(missing_ok=True)

    def _mark(self, mark: Path) -> None:
        try:
            mark.touch()
        except OSError as error:
            raise FsrcnnError(f"cannot use the run folder {self.path}: {error.strerror}") from error

    def _copy(self, sender: int) -> None:
        """Give the files in one process's folder to all machines that have another one."""
        if not self.copies:
            return
        mine = self.processes.rank == sender
        paths = [self.path / name for name in COPIED]
        sent = self.processes.sent({path.name: path.read_bytes() for path in paths if mine and path.exists()}, sender)
        if not mine and (self.holds_copy or self.processes.first):
            self._check()
            for name, data in sent.items():
                files.write(self.path / name, data)

    def copy(self) -> None:
        """After a validation, in all processes: number 0's files to the other machines.

        Raises:
            FsrcnnError: they cannot be written there, or that folder was removed.
        """
        self._copy(0)

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
            raise self._damaged() from error
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

    def _damaged(self) -> FsrcnnError:
        return FsrcnnError(f"{self.checkpoint} is damaged or of another version", self._anew)

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
