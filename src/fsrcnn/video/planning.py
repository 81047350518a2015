"""Which film becomes which: settled for many films, and refused if it cannot be, before any work starts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fsrcnn import files, folders
from fsrcnn.errors import ImageError, UsageError
from fsrcnn.folders import kind
from fsrcnn.planning import SEPARATORS, STANDARD, Existing, Job, Plan, checked
from fsrcnn.size import Size, mark_of
from fsrcnn.video.library import FilmError
from fsrcnn.video.streams import CONTAINERS, container_of

READ = frozenset({*CONTAINERS, ".mpg", ".mpeg", ".vob", ".m2v", ".wmv", ".flv", ".ogv", ".3gp", ".y4m", ".mxf"})
"""Endings of the films that are looked for in folders."""


def plan(
    inputs: Sequence[str], output: str | None, size: Size, *, recursive: bool = False, existing: Existing = "refuse"
) -> Plan:
    """Pair each film with its output.

    Without `output`, `film.mp4` goes to `film_x2.mp4` beside it, and a folder `films` to a folder `films_x2` with the same tree.
    `output` is a folder where it exists as one, ends in a slash, or there are several films.

    Args:
        inputs: paths of films and folders, or `-` for Y4M from standard input.
        output: a path, or `-` for Y4M to standard output.
        size: only names depend on it.
        recursive: look into the folders of folders.
        existing: `refuse`, `replace` or `skip` outputs that exist.

    Raises:
        UsageError: several films have one output, two outputs are one file, an output is an input or exists, or is no name of a film.
        ImageError: the system does not say what lies there.
    """
    if STANDARD in inputs and len(inputs) > 1:
        raise UsageError("standard input (-) is one film and cannot be mixed with others")
    several = len(inputs) > 1 or any(item != STANDARD and kind(Path(item)) == "folder" for item in inputs)
    place = output is not None and output != STANDARD and (
        several or output.endswith(SEPARATORS) or kind(Path(output)) == "folder"
    )  # fmt: skip
    if several and output == STANDARD:
        raise UsageError("standard output (-) holds one film", "give one input, or a folder as {output}")
    if output is not None and output != STANDARD and not place:
        container_of(Path(output))
    if place and output is not None and kind(Path(output)) == "file":
        raise UsageError(f"{output} is no folder, and several outputs need one")
    jobs: list[Job] = []
    for item in inputs:
        path = Path(item)
        if item == STANDARD:
            if output is None or place:
                raise UsageError(
                    "a film from standard input has no name to call its output by", "give a file as {output}"
                )
            jobs.append(Job(None, None if output == STANDARD else Path(output), named=True))
        elif kind(path) == "folder":
            jobs += _of_folder(path, Path(output) if output is not None else None, size, recursive)
        elif kind(path) == "absent":
            jobs.append(Job(path, None, error=ImageError(f"{path} does not exist")))
        elif output == STANDARD:
            jobs.append(Job(path, None, named=True))
        elif place and output is not None:
            jobs.append(Job(path, with_ending(Path(output) / path.name)))
        else:
            jobs.append(
                Job(path, default_output(path, size) if output is None else Path(output), named=output is not None)
            )
    found, skipped = checked(jobs, existing)
    return Plan(found, skipped)


def default_output(path: Path, size: Size) -> Path:
    """Where a film goes if nobody says: `film.mp4` → `film_x2.mp4` beside it."""
    return with_ending(path.with_name(f"{path.stem}_{mark_of(size)}{path.suffix}"))


def with_ending(path: Path) -> Path:
    """A name with an ending that is written: others become `.mkv`."""
    return path if path.suffix.lower() in CONTAINERS else path.with_suffix(".mkv")


def _of_folder(folder: Path, root: Path | None, size: Size, recursive: bool) -> list[Job]:
    """
    Raises:
        FilmError: it holds no film, or may not be read.
    """
    resolved = files.resolved(folder)
    root = root or resolved.with_name(f"{resolved.name}_{mark_of(size)}")
    closed: list[OSError] = []
    films: list[Path] = []
    for place, below, names in os.walk(folder, onerror=closed.append):
        below[:] = [name for name in below if not name.startswith(".")] if recursive else []
        paths = [Path(place, name) for name in names if not name.startswith(".")]
        films += [
            path for path in paths if path.suffix.lower() in READ and not files.resolved(path).is_relative_to(root)
        ]
    jobs = [Job(film, with_ending(root / film.relative_to(folder))) for film in sorted(films)]
    unread = [
        Job(Path(e.filename), None, error=folders.unread(Path(e.filename)))
        for e in closed
        if Path(e.filename) != folder
    ]
    if not jobs:
        raise FilmError(
            f"{folder} holds no films", "" if recursive else "give {recursive=True} to look into its folders"
        )
    return jobs + unread
