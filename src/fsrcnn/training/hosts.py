"""Whether all processes of a run are about to do the same: asked once, before the first update."""

from __future__ import annotations

import hashlib
import json
import socket
from dataclasses import asdict, dataclass

import torch

import fsrcnn
from fsrcnn.errors import FsrcnnError
from fsrcnn.training.contents import Contents, digest_of
from fsrcnn.training.place import Processes
from fsrcnn.training.recipe import Recipe
from fsrcnn.weights import Weights


@dataclass(frozen=True)
class Intent:
    """What a process is about to do, in short.

    Attributes:
        host: name of its machine.
        versions: name → version; of PyTorch without the build: `2.13.0`, not `2.13.0+cpu`.
        settings: what else was typed: `device`, `resume`.
        recipe: what to do.
        initial: digest of the weights to start from, or "".
        contents: digest of what was read.
    """

    host: str
    versions: dict[str, str]
    settings: dict[str, str]
    recipe: Recipe
    initial: str
    contents: str

    def differences(self, other: Intent) -> list[str]:
        """A clause for all in which this one differs from another, but for what was read: `name: other → self`."""
        clauses = []
        for mine, others in ((self.versions, other.versions), (self.settings, other.settings)):
            clauses += [f"{name}: {others[name]} → {mine[name]}" for name in mine if mine[name] != others[name]]
        clauses += self.recipe.differences(other.recipe)
        return clauses + (["the weights to start from"] if self.initial != other.initial else [])


def check_agreement(
    processes: Processes, recipe: Recipe, contents: Contents, initial: Weights | None, device: str, resume: bool
) -> None:
    """Compare all processes with number 0. Each sees the same answers, so that all stop, or none.

    Raises:
        FsrcnnError: versions, settings, weights or pictures differ; the sentence says which.
    """
    if processes.count == 1:
        return
    versions = {"fsrcnn": fsrcnn.__version__, "torch": torch.__version__.partition("+")[0]}
    settings = {"device": device.partition(":")[0], "resume": str(resume)}
    start = "" if initial is None else digest_of(*initial.arrays.values())
    read = hashlib.sha256(json.dumps(asdict(contents)).encode()).hexdigest()
    first, *others = processes.gathered(Intent(socket.gethostname(), versions, settings, recipe, start, read))
    for number, other in enumerate(others, 1):
        changes = other.differences(first)
        if changes:
            raise FsrcnnError(
                f"process {number} on {other.host} is about to do something else than number 0 on {first.host} ({'; '.join(changes)})",
                "type the same command on all machines, with the same versions",
            )
    # Names and digests of a million pictures are 100 MB, so they travel only where they differ.
    for number, other in enumerate(others, 1):
        if other.contents != first.contents:
            theirs, ours = (processes.sent(contents, sender) for sender in (number, 0))
            changes = theirs.differences(ours) or ["their order"]
            raise FsrcnnError(
                f"process {number} on {other.host} has read other pictures than number 0 on {first.host} ({'; '.join(changes)})",
                "copy the same ones to all machines",
            )
