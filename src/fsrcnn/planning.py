"""Which file becomes which: settled for many pictures, and refused if it cannot be, before any work starts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fsrcnn import files, folders, formats
from fsrcnn.errors import ImageError, UsageError
from fsrcnn.size import Size, mark_of
from fsrcnn.upscaler import default_output

Existing = Literal["refuse", "replace", "skip"]
"""What to do with outputs that exist."""

STANDARD = "-"  # standard input or output


@dataclass(frozen=True)
class Job:
    """One picture to upscale. `source` and `target` are None for standard input and output."""

    source: Path | None
    target: Path | None
    format: str | None = None

    @property
    def label(self) -> str:
        return "standard input" if self.source is None else str(self.source)


@dataclass(frozen=True)
class Plan:
    """What to do, and the sources left out since their output exists (`existing="skip"`)."""

    jobs: list[Job]
    skipped: list[Job]


def plan(
    inputs: Sequence[str],
    output: str | None,
    size: Size,
    *,
    format: str | None = None,
    recursive: bool = False,
    existing: Existing = "refuse",
) -> Plan:
    """Pair each input picture with its output.

    Without `output`, `photo.jpg` goes to `photo_x2.jpg` beside it, and a folder `photos` to a folder `photos_x2` with the same tree.
    `output` is a folder where it exists as one, ends in a slash, or there are several inputs or a folder among them.

    Args:
        inputs: paths of pictures and folders, or `-`.
        output: path or `-`.
        size: wanted size; only names depend on it.
        format: ending of all outputs; else that of the output path, else each input's own.
        recursive: look into the folders of folders.
        existing: `refuse`, `replace` or `skip` outputs that exist.

    Raises:
        ImageError: an input does not exist, or a folder has no pictures.
        UsageError: two outputs are one file, an output is an input, an output exists, or `-` is mixed with other things.
    """
    format = formats.check_format(format) if format else None
    if STANDARD in inputs and len(inputs) > 1:
        raise UsageError("standard input (-) is one picture and cannot be mixed with others")
    several = len(inputs) > 1 or any(Path(item).is_dir() for item in inputs)
    if output == STANDARD and several:
        raise UsageError("standard output (-) holds one picture", "give one input, or a folder as {output}")
    jobs: list[Job] = []
    for item in inputs:
        if item == STANDARD:
            jobs.append(_job_from_stdin(output, format))
            continue
        path = Path(item)
        if not path.exists():
            raise ImageError(f"{path} does not exist")
        if path.is_dir():
            root = (
                Path(output)
                if output
                else files.resolved(path).with_name(f"{files.resolved(path).name}_{mark_of(size)}")
            )
            pictures = [
                picture for picture in folders.find(path, recursive=recursive).pictures if not _inside(picture, root)
            ]
            if not pictures:
                raise ImageError(f"{path} holds no pictures outside of the output folder {root}")
            jobs += [Job(picture, _named(root / picture.relative_to(path), format), format) for picture in pictures]
        elif output == STANDARD:
            jobs.append(Job(path, None, format))
        elif output is None:
            jobs.append(Job(path, default_output(path, size, format or _own_format(path)), format))
        elif several or output.endswith(("/", os.sep)) or Path(output).is_dir():
            jobs.append(Job(path, _named(Path(output) / path.name, format), format))
        else:
            target = Path(output)
            if not files.is_stream(target) and not format:
                formats.format_of(target)
            jobs.append(Job(path, target, format or (_own_format(path) if files.is_stream(target) else None)))
    return _check(jobs, existing)


def _job_from_stdin(output: str | None, format: str | None) -> Job:
    if output is None or output == STANDARD:
        return Job(None, None, format)
    target = Path(output)
    if target.is_dir() or output.endswith(("/", os.sep)):
        raise UsageError(f"standard input has no name to use inside of {output}", "give a file name as {output}")
    if not format and not files.is_stream(target):
        formats.format_of(target)
    return Job(None, target, format)


def _check(jobs: list[Job], existing: Existing) -> Plan:
    sources = {files.resolved(job.source) for job in jobs if job.source is not None}
    taken: dict[Path, Job] = {}
    for job in jobs:
        if job.target is None or files.is_stream(job.target):
            continue
        resolved = files.resolved(job.target)
        if resolved in sources:
            raise UsageError(f"the output {job.target} is also an input", "give another {output}")
        if resolved in taken:
            raise UsageError(
                f"{taken[resolved].label} and {job.label} would both become {job.target}",
                "give them different names or folders",
            )
        taken[resolved] = job
    present = [job for job in taken.values() if job.target is not None and job.target.exists()]
    folder = next((job.target for job in present if job.target is not None and job.target.is_dir()), None)
    if folder:
        raise UsageError(f"the output {folder} is a folder")
    if present and existing == "refuse":
        others = f" and {len(present) - 1} more outputs exist" if len(present) > 1 else " exists"
        remedy = "give {existing='replace'} to replace or {existing='skip'} to leave"
        raise UsageError(f"{present[0].target}{others}", remedy)
    skipped = present if existing == "skip" else []
    return Plan([job for job in jobs if job not in skipped], skipped)


def _named(path: Path, format: str | None) -> Path:
    """The output's name in a folder: the input's own, with the ending of its format where that differs."""
    format = format or _own_format(path)
    try:
        return path if formats.format_of(path) == format else path.with_suffix(f".{format}")
    except UsageError:
        return path.with_suffix(f".{format}")


def _own_format(path: Path) -> str:
    """What a picture is written as if nobody says: its own format where that can be written, else PNG (AVIF for HEIC)."""
    try:
        return formats.format_of(path)
    except UsageError:
        return "avif" if path.suffix.lower() in (".heic", ".heif") else "png"


def _inside(path: Path, folder: Path) -> bool:
    return files.resolved(path).is_relative_to(files.resolved(folder))
