"""Which file becomes which: settled for many pictures, and refused if it cannot be, before any work starts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from fsrcnn import files, folders, formats
from fsrcnn.errors import ImageError, UsageError
from fsrcnn.folders import Found, kind
from fsrcnn.size import Size, check_size, mark_of
from fsrcnn.upscaler import check_output, default_output

Existing = Literal["refuse", "replace", "skip"]
"""What to do with outputs that exist."""

STANDARD = "-"  # standard input or output
SEPARATORS = ("/", os.sep)


@dataclass(frozen=True)
class Job:
    """One picture to upscale.

    Attributes:
        source: None for standard input.
        target: None for standard output.
        format: what is asked for beside the target's ending.
        named: the target goes by the name that was given, not by one made of the source's.
        error: why it cannot be done, where that is known before the work; `batch.run_all` hands it out in the job's place.
    """

    source: Path | None
    target: Path | None
    format: str | None = None
    error: ImageError | None = None
    named: bool = False

    @property
    def label(self) -> str:
        return "standard input" if self.source is None else str(self.source)


@dataclass(frozen=True)
class Plan:
    """What to do.

    Attributes:
        jobs: one for each picture; and one, with its error, for each input and each folder below one that cannot be read.
        skipped: those left out since their output exists (`existing="skip"`).
        found: what each folder among the inputs holds, with the files that are no pictures.
    """

    jobs: list[Job]
    skipped: list[Job]
    found: dict[Path, Found] = field(default_factory=dict)


def plan(
    inputs: Sequence[str],
    output: str | None,
    size: Size,
    *,
    format: str | None = None,
    recursive: bool = False,
    existing: Existing = "refuse",
    lossless: bool = False,
) -> Plan:
    """Pair each input picture with its output.

    Without `output`, `photo.jpg` goes to `photo_x2.jpg` beside it, and a folder `photos` to a folder `photos_x2` with the same tree.
    `output` is a folder where it exists as one, ends in a slash, or there are several inputs or a folder among them. The ending of a
    name changes where it does not name the format: a `photo.png` that holds a JPEG becomes `photo_x2.jpg`.

    An input that cannot be used, and an output whose name cannot be, is a job with an error: the others go on.

    Args:
        inputs: paths of pictures and folders, or `-`.
        output: path or `-`.
        size: wanted size; only names depend on it.
        format: of all outputs; else that of the output's ending, else each input's own, by its content.
        recursive: look into the folders of folders.
        existing: `refuse`, `replace` or `skip` outputs that exist.
        lossless: every pixel is to be kept.

    Raises:
        ImageError: the system does not say what lies at `output`.
        UsageError: `output` and `format` contradict each other, or name a format that is never `lossless`; two outputs are one
            file, an output is an input or exists; several pictures have one output; `-` is mixed with other things; `size` is none.
    """
    check_size(size)
    format = None if format is None else formats.check_format(format)
    if STANDARD in inputs and len(inputs) > 1:
        raise UsageError("standard input (-) is one picture and cannot be mixed with others")
    several = len(inputs) > 1 or any(_is_folder(item) for item in inputs)
    if output == STANDARD and several:
        raise UsageError("standard output (-) holds one picture", "give one input, or a folder as {output}")
    into = name = None
    if output is not None and output != STANDARD:
        if _is_place(output, several):
            into = Path(output)
        else:
            name = Path(output)
    check_output(name, format, lossless)
    jobs: list[Job] = []
    found: dict[Path, Found] = {}
    for item in inputs:
        path = Path(item)
        try:
            what = "device" if item == STANDARD else kind(path)
            if what == "absent":
                raise ImageError(f"{path} does not exist")
            if what == "folder":
                root = into or files.resolved(path).with_name(f"{files.resolved(path).name}_{mark_of(size)}")
                found[path] = folders.find(path, recursive=recursive)
                jobs += _jobs_of_folder(path, found[path], root, format)
            elif what == "device":
                job = Job(None if item == STANDARD else path, name, format, named=name is not None)
                if several or into is not None:
                    raise UsageError(
                        f"{job.label} has no name to call its output by", "give it alone, with a file name as {output}"
                    )
                jobs.append(job)  # to standard output where nobody says
            elif into is not None:
                jobs.append(Job(path, _named(into / path.name, path, format), format))
            elif output is None:
                jobs.append(Job(path, default_output(path, size, format or _own_format(path)), format))
            else:
                jobs.append(Job(path, name, format, named=name is not None))
        except ImageError as error:
            jobs.append(Job(path, None, error=error.named(path)))
    jobs, skipped = checked(jobs, existing)
    return Plan(jobs, skipped, found)


def _is_place(output: str, several: bool) -> bool:
    """Whether the output is a folder to write into, not the name of the one result.

    Raises:
        UsageError: it must be a folder and is none.
        ImageError: the system does not say what lies there.
    """
    path = Path(output)
    what, slashed = kind(path), output.endswith(SEPARATORS)
    if not (several or slashed or what == "folder"):
        return False
    if what in ("file", "device"):
        raise UsageError(f"{path} is no folder, and {'several outputs need' if several else 'its slash asks for'} one")
    if what == "absent" and not slashed and path.suffix.lower() in formats.LOOKED_FOR:
        raise UsageError(
            f"{path} is the name of one picture, and there are several", f"give a folder as {{output}}: {path.stem}/"
        )
    return True


def _jobs_of_folder(folder: Path, found: Found, root: Path, format: str | None) -> list[Job]:
    """
    Raises:
        ImageError: all pictures lie in the output folder `root`.
    """
    pictures = [picture for picture in found.pictures if not _inside(picture, root)]
    if not pictures:
        raise ImageError(f"{folder} holds no pictures outside of the output folder {root}")
    jobs = [Job(picture, _named(root / picture.relative_to(folder), picture, format), format) for picture in pictures]
    return jobs + [Job(path, None, error=folders.unread(path)) for path in found.closed]


def checked(jobs: list[Job], existing: Existing) -> tuple[list[Job], list[Job]]:
    """The jobs to do, with an error where the target's name cannot be used, and those to skip.

    Raises:
        UsageError: a target is also a source, that of two jobs, or exists and is to be refused.
    """
    sources = {files.resolved(job.source) for job in jobs if job.source is not None and job.error is None}
    taken: dict[Path, Job] = {}
    present: dict[Path, Job] = {}
    checked: list[Job] = []
    for job in jobs:
        try:
            what = _looked_at(job.target) if job.target is not None else "device"
        except ImageError as error:
            checked.append(replace(job, error=error.named(job.label)))
            continue
        checked.append(job)
        if job.target is None or what == "device":
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
        if what == "file":
            present[job.target] = job
    if present and existing == "refuse":
        others = f" and {len(present) - 1} more outputs exist" if len(present) > 1 else " exists"
        remedy = "give {existing='replace'} to replace or {existing='skip'} to leave"
        raise UsageError(f"{next(iter(present))}{others}", remedy)
    if existing != "skip":
        return checked, []
    return [job for job in checked if job.target not in present], list(present.values())


def _looked_at(target: Path) -> folders.Kind:
    """What lies where an output is to go.

    Raises:
        ImageError: no file can be put there by that name.
    """
    what = kind(target)
    if what == "folder":
        raise ImageError(f"cannot write {target}: it is a folder")
    if what == "absent":
        folder = target.parent
        while kind(folder) == "absent" and folder != folder.parent:
            folder = folder.parent
        if kind(folder) != "folder":
            raise ImageError(f"cannot write {target}: {folder} is no folder")
        kind(folder / target.name)  # raises where the name is too long, of which a missing folder knows nothing
    return what


def _named(path: Path, source: Path, format: str | None) -> Path:
    """An output's name in a folder: the input's own, with the ending of its format where that differs."""
    return formats.with_ending(path, format or _own_format(source))


def _own_format(path: Path) -> str:
    """What a picture is written as if nobody says, by its content; by its ending where that cannot be read, which is said later."""
    try:
        with path.open("rb") as file:
            format = formats.of_content(file.read(formats.START))
    except OSError:
        format = None
    named = (row.name for row in formats.FORMATS.values() if path.suffix.lower() in row.endings)
    return format or next(named, "png")


def _is_folder(item: str) -> bool:
    """Whether an input is a folder; one that cannot be asked is said when its turn comes."""
    try:
        return item != STANDARD and kind(Path(item)) == "folder"
    except ImageError:
        return False


def _inside(path: Path, folder: Path) -> bool:
    return files.resolved(path).is_relative_to(files.resolved(folder))
