"""A job: a picture that becomes another, and what forbids it: its output is another's, an input, a folder, or exists."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, Literal, TypeVar

from fsrcnn import files, folders, formats, places
from fsrcnn.errors import FsrcnnError, ImageError, UsageError
from fsrcnn.folders import Found, Kind
from fsrcnn.ledger import Ledger
from fsrcnn.places import Place, Remote

Existing = Literal["refuse", "replace", "skip"]
"""What to do with outputs that exist."""
Earlier = Literal["new", "begun", "done"]
"""What an earlier run of the same command did with a job."""

STANDARD = "-"  # standard input or output
SEPARATORS = ("/", os.sep)
REMEDY_OF_EXISTING = "give {existing='replace'} to replace or {existing='skip'} to leave"


@dataclass(frozen=True)
class Job:
    """One picture to upscale.

    Attributes:
        source: None for standard input.
        target: None for standard output.
        format: what is asked for beside the target's ending.
        named: the target goes by the name that was given, not by one made of the source's.
        error: why it cannot be done, where that is known before the work; `batch.run_all` hands it out in the job's place.
        guessed: the target's ending is that of the source's name, as nobody has looked into the source yet.
        again: a run that was broken off may have written the target, which may be replaced for that.
    """

    source: Place | None
    target: Place | None
    format: str | None = None
    error: FsrcnnError | None = None
    named: bool = False
    guessed: bool = False
    again: bool = False

    @property
    def label(self) -> str:
        return "standard input" if self.source is None else str(self.source)


AnyJob = TypeVar("AnyJob", bound=Job)


@dataclass(frozen=True)
class Plan(Generic[AnyJob]):
    """What to do.

    Attributes:
        jobs: one for each picture; and one, with its error, for each input and each folder below one that cannot be read.
        skipped: those left out since their output exists (`existing="skip"`).
        found: what each folder among the inputs holds beside its pictures.
    """

    jobs: list[AnyJob]
    skipped: list[AnyJob]
    found: dict[Place, Found] = field(default_factory=dict)


def checked(jobs: list[AnyJob], existing: Existing) -> tuple[list[AnyJob], list[AnyJob]]:
    """The jobs to do, with an error where the target's name cannot be used, and those to skip.

    Raises:
        UsageError: a target is also a source, that of two jobs, or exists and is to be refused.
    """
    sources = {name_of(job.source) for job in jobs if job.source is not None and job.error is None}
    kinds = kinds_of_targets(jobs, ask=existing != "replace")
    return sifted(jobs, kinds, existing, lambda target, what: name_of(target) in sources, Ledger())


def sifted(
    jobs: Sequence[AnyJob],
    kinds: Sequence[Kind | FsrcnnError],
    existing: Existing,
    is_input: Callable[[Place, Kind], bool],
    taken: Ledger,
) -> tuple[list[AnyJob], list[AnyJob]]:
    """As `checked`.

    Args:
        kinds: what lies at each job's target.
        is_input: whether a target, with what lies there, is an input, too.
        taken: the targets of earlier jobs, to which these are added.

    Raises:
        UsageError: as `checked`.
    """
    present: list[AnyJob] = []
    checked: list[AnyJob] = []
    for job, what in zip(jobs, kinds, strict=True):
        if isinstance(what, FsrcnnError):
            checked.append(replace(job, error=what.named(job.label)))
            continue
        wrong = conflict(job, what, is_input, taken)
        if wrong is not None:
            raise wrong
        if what == "file" and job.target is not None and not job.again:
            present.append(job)
            if existing == "skip":
                continue
        checked.append(job)
    if present and existing == "refuse":
        more = len(present) - 1
        fact = "exists" if not more else f"and {'another output' if more == 1 else f'{more:,} others'} exist"
        raise UsageError(f"{present[0].target} {fact}", REMEDY_OF_EXISTING)
    return checked, present if existing == "skip" else []


def conflict(job: Job, what: Kind, is_input: Callable[[Place, Kind], bool], taken: Ledger) -> UsageError | None:
    """Why a job's target cannot be its own, if it cannot."""
    if job.target is None or what == "device":
        return None
    if is_input(job.target, what):
        return UsageError(f"the output {job.target} is also an input", "give another {output}")
    other = taken.claim(name_of(job.target), job.label)
    return None if other is None else collision(other, job)


def collision(other: str, job: Job) -> UsageError:
    """That a job has the target of another one, by that one's label."""
    return UsageError(f"{other} and {job.label} would both become {job.target}", "give them different names or folders")


def kinds_of_targets(jobs: Sequence[Job], *, ask: bool) -> list[Kind | FsrcnnError]:
    """What lies at the target of each job, or why it cannot be used.

    Args:
        ask: the stores, too, whether they have it; else their objects are taken for absent.
    """
    remote = [job.target for job in jobs if isinstance(job.target, Remote)] if ask else []
    asked = iter(places.kinds(remote, folders=False) if remote else [])
    kinds: list[Kind | FsrcnnError] = []
    for job in jobs:
        if isinstance(job.target, Remote):
            kinds.append(next(asked) if ask else "absent")
        else:
            try:
                kinds.append("device" if job.target is None else _looked_at(job.target))
            except ImageError as error:
                kinds.append(error)
    return kinds


def _looked_at(target: Path) -> Kind:
    """What lies where an output is to go.

    Raises:
        ImageError: no file can be put there by that name.
    """
    what = folders.kind(target)
    if what == "folder":
        raise ImageError(f"cannot write {target}: it is a folder")
    if what == "absent":
        folder = target.parent
        while folders.kind(folder) == "absent" and folder != folder.parent:
            folder = folder.parent
        if folders.kind(folder) != "folder":
            raise ImageError(f"cannot write {target}: {folder} is no folder")
        folders.kind(folder / target.name)  # raises where the name is too long, of which a missing folder knows nothing
    return what


def settled_target(job: Job, format: str) -> Place | None:
    """The target of a job whose ending was guessed, once it is known what its picture is written as."""
    return formats.with_ending(job.target, format) if job.guessed and job.target is not None else job.target


def resolved(item: Place) -> Place:
    """A path without links and dots; of a URL, which has none that mean something, itself."""
    return item if isinstance(item, Remote) else files.resolved(item)


def name_of(item: Place) -> str:
    """What two places have in common that are one."""
    return str(resolved(item))
