"""Which film becomes which: settled for many films, and refused if it cannot be, before any work starts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fsrcnn import files, folders
from fsrcnn.errors import ImageError, UsageError
from fsrcnn.folders import Found, kind
from fsrcnn.jobs import SEPARATORS, STANDARD, Existing, Job, Plan, checked
from fsrcnn.places import Place
from fsrcnn.size import Size, mark_of
from fsrcnn.video.library import FilmError
from fsrcnn.video.span import Span
from fsrcnn.video.streams import CONTAINERS, container_of

OTHERS = (
    ".264 .265 .3g2 .3gp .asf .divx .dv .f4v .flv .h264 .h265 .hevc .ivf .m2p .m2v .mjpeg .mjpg .mod .mpeg .mpg .mxf .nut .ogm .ogv "
    ".qt .rm .rmvb .tod .vob .wmv .y4m"
)
READ = frozenset({*CONTAINERS, *OTHERS.split()})
"""Endings of the films that are looked for in folders."""


@dataclass(frozen=True)
class FilmJob(Job):
    """One film to upscale; as `Job`, but both ends are files of this machine."""

    source: Path | None
    target: Path | None


def plan(
    inputs: Sequence[str],
    output: str | None,
    size: Size,
    *,
    span: Span | None = None,
    recursive: bool = False,
    existing: Existing = "refuse",
) -> Plan[FilmJob]:
    """Pair each film with its output.

    Without `output`, `film.mp4` goes to `film_x2.mp4` beside it, and a folder `films` to a folder `films_x2` with the same tree.
    `output` is a folder where it exists as one, ends in a slash, or there are several films.

    Args:
        inputs: paths of films and folders, or `-` for Y4M from standard input.
        output: a path, or `-` for Y4M to standard output.
        size: only names depend on it.
        span: the part of each film; only names depend on it.
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
    mark = f"{mark_of(size)}{part_of(span or Span())}"
    jobs: list[FilmJob] = []
    found: dict[Place, Found] = {}
    for item in inputs:
        path = Path(item)
        if item == STANDARD:
            if output is None or place:
                raise UsageError(
                    "a film from standard input has no name to call its output by", "give a file as {output}"
                )
            jobs.append(FilmJob(None, None if output == STANDARD else Path(output), named=True))
        elif kind(path) == "folder":
            made, found[path] = _of_folder(path, Path(output) if output is not None else None, mark, recursive)
            jobs += made
        elif kind(path) == "absent":
            jobs.append(FilmJob(path, None, error=ImageError(f"{path} does not exist")))
        elif output == STANDARD:
            jobs.append(FilmJob(path, None, named=True))
        elif place and output is not None:
            jobs.append(FilmJob(path, with_ending(Path(output) / path.name)))
        else:
            jobs.append(
                FilmJob(path, _marked(path, mark) if output is None else Path(output), named=output is not None)
            )
    checked_jobs, skipped = checked(jobs, existing)
    return Plan(checked_jobs, skipped, found)


def default_output(path: Path, size: Size, span: Span) -> Path:
    """Where a film goes if nobody says: `film.mp4` → `film_x2.mp4` beside it; a part of it → `film_x2_60-75s.mp4`."""
    return _marked(path, f"{mark_of(size)}{part_of(span)}")


def part_of(span: Span) -> str:
    """A part in a file name: `_60-75s`, `_60-end`; nothing for the whole."""
    if span.whole:
        return ""
    return f"_{float(span.start):g}-end" if span.end is None else f"_{float(span.start):g}-{float(span.end):g}s"


def _marked(path: Path, mark: str) -> Path:
    return with_ending(path.with_name(f"{path.stem}_{mark}{path.suffix}"))


def with_ending(path: Path) -> Path:
    """A name with an ending that is written: others become `.mkv`."""
    return path if path.suffix.lower() in CONTAINERS else path.with_suffix(".mkv")


def _of_folder(folder: Path, root: Path | None, mark: str, recursive: bool) -> tuple[list[FilmJob], Found]:
    """The films of a folder, and how many other files it holds.

    Raises:
        FilmError: it holds no film, or may not be read.
    """
    resolved = files.resolved(folder)
    root = root or resolved.with_name(f"{resolved.name}_{mark}")
    closed: list[OSError] = []
    films: list[Path] = []
    others = 0
    for place, below, names in os.walk(folder, onerror=closed.append):
        below[:] = [name for name in below if not name.startswith(".")] if recursive else []
        paths = [Path(place, name) for name in names if not name.startswith(".")]
        outside = [path for path in paths if not files.resolved(path).is_relative_to(root)]
        films += [path for path in outside if path.suffix.lower() in READ]
        others += sum(path.suffix.lower() not in READ for path in outside)
    jobs = [FilmJob(film, with_ending(root / film.relative_to(folder))) for film in sorted(films)]
    unread = [
        FilmJob(Path(e.filename), None, error=folders.unread(Path(e.filename)))
        for e in closed
        if Path(e.filename) != folder
    ]
    if not jobs:
        raise FilmError(
            f"{folder} holds no films", "" if recursive else "give {recursive=True} to look into its folders"
        )
    return jobs + unread, Found((), others)
