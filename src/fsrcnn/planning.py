"""Which file becomes which: for thousands of pictures settled, and refused if it cannot be, before any work; for millions on the way.

A `Drawing` hands out the jobs of any number of pictures in bounded memory. What is wrong with the first `SETTLED` of them is refused
before the work; what is wrong with a later one (its output is another's, an input, or exists) is that job's error.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, Literal, TypeAlias, TypeVar

from fsrcnn import files, folders, formats, parallel, places
from fsrcnn.errors import FsrcnnError, ImageError, UsageError
from fsrcnn.folders import Found, Kind
from fsrcnn.ledger import Ledger
from fsrcnn.places import Place, Remote, place
from fsrcnn.size import Size, check_size, mark_of
from fsrcnn.upscaler import check_output, default_output

Existing = Literal["refuse", "replace", "skip"]
"""What to do with outputs that exist."""
Earlier = Literal["new", "begun", "done"]
"""What an earlier run of the same command did with a job."""

STANDARD = "-"  # standard input or output
SEPARATORS = ("/", os.sep)
SETTLED = 10_000  # jobs that are settled before the first is begun
BLOCK = 500  # outputs that a store is asked for at a time
HEIF = (".heic", ".heif", ".hif")


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


def plan(
    inputs: Sequence[str],
    output: str | None,
    size: Size,
    *,
    format: str | None = None,
    recursive: bool = False,
    existing: Existing = "refuse",
    lossless: bool = False,
) -> Plan[Job]:
    """Pair each input picture with its output.

    Without `output`, `photo.jpg` goes to `photo_x2.jpg` beside it, and a folder `photos` to a folder `photos_x2` with the same tree.
    `output` is a folder where it exists as one, ends in a slash, or there are several inputs or a folder among them. The ending of a
    name changes where it does not name the format: a `photo.png` that holds a JPEG becomes `photo_x2.jpg`.

    An input that cannot be used, and an output whose name cannot be, is a job with an error: the others go on.

    Args:
        inputs: paths of pictures and folders, URLs of either (`s3://bucket/in/`, `https://host/a.png`), or `-`.
        output: path, URL, or `-`.
        size: wanted size; only names depend on it.
        format: of all outputs; else that of the output's ending, else each input's own, by its content (of a URL by its name).
        recursive: look into the folders of folders.
        existing: `refuse`, `replace` or `skip` outputs that exist.
        lossless: every pixel is to be kept.

    Raises:
        ImageError: the system does not say what lies at `output`.
        UsageError: `output` and `format` contradict each other, or name a format that is never `lossless`; two outputs are one
            file, an output is an input or exists; several pictures have one output; `-` is mixed with other things; `size` is none.
        MissingExtraError: what a URL needs is not installed.
    """
    skipped: list[Job] = []
    drawing = Drawing(
        inputs, output, size,
        format=format, recursive=recursive, existing=existing, lossless=lossless, settled=None, skip=skipped.append,
    )  # fmt: skip
    return Plan(list(drawing), skipped, drawing.found)


class Drawing:
    """The jobs of any number of pictures, drawn once, by one thread at a time.

    Attributes:
        count: of jobs where it is known, as there are at most `settled`; None where they are listed on the way.
        skipped: outputs so far that exist and are left (`existing="skip"`).
        before: jobs so far that an earlier run has done.
    """

    def __init__(
        self,
        inputs: Sequence[str],
        output: str | None,
        size: Size,
        *,
        format: str | None = None,
        recursive: bool = False,
        existing: Existing = "refuse",
        lossless: bool = False,
        settled: int | None = SETTLED,
        skip: Callable[[Job], object] = lambda job: None,
        earlier: Callable[[Job], Earlier] = lambda job: "new",
    ) -> None:
        """
        Args:
            settled: up to so many jobs all is settled here, before the first is handed out; None: however many there are.
            skip: told each job that is left since its output exists.
            earlier: what an earlier run did with a job: one that is done is left out, the output of one that was begun replaced.

        And raises what `plan` does, of which it has the other arguments.
        """
        self.skipped = self.before = 0
        self._existing, self._skip, self._earlier = existing, skip, earlier
        self._request = _request(inputs, output, size, format, recursive, lossless)
        self._listings: dict[Place, AnyListing] = {}
        self._taken = Ledger()  # resolved targets → labels of the jobs that have them
        self._sources = Ledger()  # inputs that `_Request.covers` does not know
        self._total: int | None = None
        self._counting: threading.Thread | None = None
        self._ended = False
        self._raw = self._listed()
        first = list(itertools.islice(self._raw, settled and settled + 1))
        self.count: int | None = None
        if settled is None or len(first) <= settled:
            first.sort(key=_place_of)
            self._first = self._settled([job for _, job in first], streaming=False)
            self.count = len(self._first)
        else:
            for item in inputs:
                self._sources.put(_key(place(item)), item)
            self._first = self._settled([job for _, job in first], streaming=True)

    @property
    def first(self) -> Sequence[Job]:
        """The jobs that are settled, until they are drawn: all where there is one input."""
        return self._first

    @property
    def root(self) -> Place | None:
        """The folder that all outputs go to; None where they lie beside their inputs, or in several."""
        roots = set(self._request.roots.values())
        if self._request.into is not None:
            return self._request.into
        return roots.pop() if len(roots) == 1 and len(self._request.inputs) == 1 else None

    def __iter__(self) -> Iterator[Job]:
        yield from self._first
        if self.count is not None:
            return
        self._first = []
        blocks = self._blocks()
        asked = isinstance(self._request.into, Remote) and self._existing != "replace"
        ahead = parallel.ahead(blocks, 2) if asked else blocks
        try:
            for block in ahead:
                for job, what in block:
                    checked = self._checked(job, what)
                    if checked is not None:
                        yield checked
        finally:
            ahead.close()

    @property
    def found(self) -> dict[Place, Found]:
        """What each folder among the inputs holds beside its pictures, as far as it was listed."""
        return {folder: listing.found() for folder, listing in self._listings.items()}

    def moved(self, job: Job, target: Place) -> Job | None:
        """A job whose source does not hold what its name says, with the target that the content asks for.

        Returns:
            The job, with an error where that target cannot be; None where it is skipped.
        """
        job = replace(job, target=target, guessed=False)
        job = replace(job, again=self._earlier(job) == "begun")
        (what,) = self._kinds([job])
        checked = self._checked(job, what)
        if checked is None and self.count is not None:
            self.count -= 1
        return checked

    def total(self) -> int | None:
        """How many pictures there are, with those skipped and those done before; None until a second listing has counted them."""
        if self.count is not None:
            return self.count + self.skipped + self.before
        if self._counting is None:
            self._counting = threading.Thread(target=self._count, name="fsrcnn counts", daemon=True)
            self._counting.start()
        return self._total

    def close(self) -> None:
        """Stop counting, and forget the names."""
        self._ended = True
        self._taken.close()
        self._sources.close()

    def _listed(self) -> Iterator[tuple[int, Job]]:
        """Each job, with the number of its input."""
        for number in range(len(self._request.inputs)):
            for job in self._request.jobs(number, self._listings):
                yield number, job

    def _count(self) -> None:
        count = 0
        for number in range(len(self._request.inputs)):
            try:
                for _ in self._request.pictures(number):
                    count += 1
                    if self._ended:
                        return
            except FsrcnnError:
                count += 1  # the job that says so
        self._total = count

    def _blocks(self) -> Generator[list[tuple[Job, Kind | FsrcnnError]]]:
        """Jobs that are to be done, with what lies at their targets."""
        length = BLOCK if isinstance(self._request.into, Remote) else 1
        jobs = (self._since(job) for _, job in self._raw)
        new = (job for job in jobs if job is not None)
        while block := list(itertools.islice(new, length)):
            yield list(zip(block, self._kinds(block), strict=True))

    def _since(self, job: Job) -> Job | None:
        """A job that an earlier run has not done."""
        if job.error is not None or job.target is None:
            return job
        state = self._earlier(job)
        if state == "done":
            other = self._taken.claim(_key(job.target), job.label)
            if other is not None and other != job.label:  # it was listed first, and takes the place of what was done
                return replace(job, error=_collision(other, job))
            self.before += 1
            return None
        return replace(job, again=True) if state == "begun" else job

    def _kinds(self, jobs: Sequence[Job]) -> list[Kind | FsrcnnError]:
        return _kinds(jobs, ask=self._existing != "replace")

    def _settled(self, jobs: list[Job], *, streaming: bool) -> list[Job]:
        """
        Raises:
            UsageError: as `checked`.
        """
        for job in jobs:
            if job.source is not None and job.error is None:
                self._sources.put(_key(job.source), job.label)
        new = [job for job in map(self._since, jobs) if job is not None]
        is_input = self._is_input if streaming else self._is_source
        checked, skipped = _checked(new, self._kinds(new), self._existing, is_input, self._taken)
        for job in skipped:
            self._left(job)
        return checked

    def _checked(self, job: Job, what: Kind | FsrcnnError) -> Job | None:
        """A job that was listed on the way, with its error; None where it is skipped."""
        if job.error is not None or job.target is None:
            return job
        if isinstance(what, FsrcnnError):
            return replace(job, error=what.named(job.label))
        wrong = _conflict(job, what, self._is_input, self._taken)
        if wrong is not None:
            return replace(job, error=wrong)
        if what == "file" and not job.again:
            if self._existing == "refuse":
                return replace(job, error=UsageError(f"{job.target} exists", REMEDY_OF_EXISTING).named(job.label))
            if self._existing == "skip":
                self._left(job)
                return None
        if job.source is not None and self._request.leads_elsewhere(job.source):
            self._sources.put(_key(job.source), job.label)
        return job

    def _left(self, job: Job) -> None:
        self.skipped += 1
        self._skip(job)

    def _is_source(self, target: Place, what: Kind) -> bool:
        return self._sources.get(_key(target)) is not None

    def _is_input(self, target: Place, what: Kind) -> bool:
        """Whether a target is an input, perhaps one that is not listed yet: any picture that lies in a folder among the inputs."""
        if self._is_source(target, what):
            return True
        if not self._request.covers(_resolved(target)):
            return False
        return (
            places.kind(target, folders=False) if isinstance(target, Remote) and self._existing == "replace" else what
        ) == "file"


def checked(jobs: list[AnyJob], existing: Existing) -> tuple[list[AnyJob], list[AnyJob]]:
    """The jobs to do, with an error where the target's name cannot be used, and those to skip.

    Raises:
        UsageError: a target is also a source, that of two jobs, or exists and is to be refused.
    """
    sources = {_key(job.source) for job in jobs if job.source is not None and job.error is None}
    kinds = _kinds(jobs, ask=existing != "replace")
    return _checked(jobs, kinds, existing, lambda target, what: _key(target) in sources, Ledger())


REMEDY_OF_EXISTING = "give {existing='replace'} to replace or {existing='skip'} to leave"


def _checked(
    jobs: Sequence[AnyJob],
    kinds: Sequence[Kind | FsrcnnError],
    existing: Existing,
    is_input: Callable[[Place, Kind], bool],
    taken: Ledger,
) -> tuple[list[AnyJob], list[AnyJob]]:
    """
    Raises:
        UsageError: as `checked`.
    """
    present: list[AnyJob] = []
    checked: list[AnyJob] = []
    for job, what in zip(jobs, kinds, strict=True):
        if isinstance(what, FsrcnnError):
            checked.append(replace(job, error=what.named(job.label)))
            continue
        wrong = _conflict(job, what, is_input, taken)
        if wrong is not None:
            raise wrong
        if what == "file" and job.target is not None and not job.again:
            present.append(job)
            if existing == "skip":
                continue
        checked.append(job)
    if present and existing == "refuse":
        others = f" and {len(present) - 1} more outputs exist" if len(present) > 1 else " exists"
        raise UsageError(f"{present[0].target}{others}", REMEDY_OF_EXISTING)
    return checked, present if existing == "skip" else []


def _conflict(job: Job, what: Kind, is_input: Callable[[Place, Kind], bool], taken: Ledger) -> UsageError | None:
    """Why a job's target cannot be its own, if it cannot."""
    if job.target is None or what == "device":
        return None
    if is_input(job.target, what):
        return UsageError(f"the output {job.target} is also an input", "give another {output}")
    other = taken.claim(_key(job.target), job.label)
    if other is None:
        return None
    return _collision(other, job)


def _collision(other: str, job: Job) -> UsageError:
    return UsageError(f"{other} and {job.label} would both become {job.target}", "give them different names or folders")


def _kinds(jobs: Sequence[Job], *, ask: bool) -> list[Kind | FsrcnnError]:
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


@dataclass(frozen=True)
class _Request:
    """What somebody asked for, before any picture is looked for.

    Attributes:
        into: the folder that all outputs go to.
        name: that of the one output.
        several: whether there may be several outputs.
        kinds: what lies at each input, or why that is not known.
        roots: of each folder among the inputs, resolved, where its outputs go.
    """

    inputs: tuple[str, ...]
    kinds: tuple[Kind | FsrcnnError, ...]
    into: Place | None
    name: Place | None
    size: Size
    format: str | None
    recursive: bool
    several: bool
    to_pipe: bool
    roots: dict[Place, Place] = field(default_factory=dict)

    def jobs(self, number: int, listings: dict[Place, AnyListing]) -> Iterator[Job]:
        """The jobs of one input."""
        item, what = self.inputs[number], self.kinds[number]
        source = place(item)
        try:
            if isinstance(what, FsrcnnError):
                raise what
            if what == "absent":
                raise ImageError(f"{source} does not exist")
            if what == "folder":
                listings[source] = listing = self._listing(source)
                yield from self._of_folder(source, listing)
            elif what == "device":
                job = Job(None if item == STANDARD else source, self.name, self.format, named=self.name is not None)
                if self.several or self.into is not None:
                    raise UsageError(
                        f"{job.label} has no name to call its output by", "give it alone, with a file name as {output}"
                    )
                yield job  # to standard output where nobody says
            elif self.into is not None:
                yield self._job(source, self.into, (source.name,))
            elif self.name is None and not self.to_pipe:
                own = self.format or _own_format(source)
                yield Job(source, self._beside(source, own), self.format, guessed=self._guessed(source))
            else:
                yield Job(source, self.name, self.format, named=self.name is not None)
        except ImageError as error:
            yield Job(source, None, error=error.named(source))

    def pictures(self, number: int) -> Iterator[Place]:
        """The pictures of one input, to be counted.

        Raises:
            ImageError: a folder cannot be read, or holds none.
        """
        source = place(self.inputs[number])
        if self.kinds[number] != "folder":
            yield source
            return
        root = self.root(source)
        for picture in self._listing(source):
            if not _lies_in(picture, root):
                yield picture

    def covers(self, target: Place) -> bool:
        """Whether a resolved target would be listed as a picture of a folder among the inputs."""
        if target.suffix.lower() not in formats.LOOKED_FOR or not self.roots:
            return False
        folder, hidden, depth = target.parent, target.name.startswith("."), 0
        while not hidden:
            root = self.roots.get(folder)
            if root is not None and (self.recursive or not depth) and not _lies_in(target, root):
                return True
            if folder == folder.parent:
                break
            hidden, folder, depth = folder.name.startswith("."), folder.parent, depth + 1
        return False

    def leads_elsewhere(self, source: Place) -> bool:
        """Whether a picture of a folder is a link to another place."""
        return isinstance(source, Path) and source.is_symlink()

    def root(self, folder: Place) -> Place:
        """Where the pictures of a folder go.

        Raises:
            UsageError: a bucket has no place beside it.
        """
        if self.into is not None:
            return self.into
        if isinstance(folder, Remote) and not folder.key:
            raise UsageError(f"there is no place beside {folder}", "give {output}")
        resolved = _resolved(folder)
        return resolved.with_name(f"{resolved.name}_{mark_of(self.size)}")

    def _listing(self, folder: Place) -> AnyListing:
        if isinstance(folder, Remote):
            return _Objects(folder, self.recursive)
        return folders.Listing(folder, recursive=self.recursive)

    def _of_folder(self, folder: Place, listing: AnyListing) -> Iterator[Job]:
        """
        Raises:
            ImageError: the folder cannot be listed, holds no pictures, or has all of them in the folder of its outputs.
        """
        root = self.root(folder)
        resolved, outside = _resolved(root), 0
        for picture in listing:
            if not _lies_in(_resolved(picture), resolved):
                outside += 1
                yield self._job(picture, root, _parts(picture, folder))
        if not outside:
            raise ImageError(f"{folder} holds no pictures outside of the output folder {root}")
        for closed in listing.found().closed:
            yield Job(closed, None, error=folders.unread(closed))

    def _job(self, source: Place, root: Place, parts: tuple[str, ...]) -> Job:
        """The job of a picture whose output goes into a folder, by the name that these parts make."""
        try:
            target = _below(root, parts)
        except ImageError as error:
            return Job(source, None, error=error.named(source))
        return Job(
            source,
            formats.with_ending(target, self.format or _own_format(source)),
            self.format,
            guessed=self._guessed(source),
        )

    def _beside(self, source: Place, format: str) -> Place:
        """
        Raises:
            UsageError: nothing is written to the web.
        """
        if isinstance(source, Path):
            return default_output(source, self.size, format)
        if source.web:
            raise UsageError(f"there is no place beside {source}: the web is read only", "give {output}")
        stem = source.name.removesuffix(source.suffix)
        return formats.with_ending(source.with_name(f"{stem}_{mark_of(self.size)}{source.suffix}"), format)

    def _guessed(self, source: Place) -> bool:
        return self.format is None and isinstance(source, Remote)


class _Objects:
    """As `folders.Listing`, of a place that fsspec knows."""

    def __init__(self, folder: Remote, recursive: bool) -> None:
        self.folder, self.recursive = folder, recursive
        self.count = self.others = 0

    def __iter__(self) -> Iterator[Remote]:
        """
        Raises:
            ImageError: it cannot be listed, or, at its end, it held no picture.
        """
        for remote in places.walk(self.folder, recursive=self.recursive):
            if remote.suffix.lower() in formats.LOOKED_FOR:
                self.count += 1
                yield remote
            else:
                self.others += 1
        if not self.count:
            remedy = "" if self.recursive else "give {recursive=True} to look into its folders"
            raise ImageError(f"{self.folder} holds no pictures ({formats.endings_read()})", remedy)

    def found(self) -> Found:
        """What is known so far, without the pictures."""
        return Found((), self.others)


AnyListing: TypeAlias = folders.Listing | _Objects


def _request(
    inputs: Sequence[str], output: str | None, size: Size, format: str | None, recursive: bool, lossless: bool
) -> _Request:
    """
    Raises:
        ImageError, UsageError: as `plan`, of what is known before any picture is looked for.
    """
    check_size(size)
    format = None if format is None else formats.check_format(format)
    if STANDARD in inputs and len(inputs) > 1:
        raise UsageError("standard input (-) is one picture and cannot be mixed with others")
    kinds = _kinds_of(inputs)
    several = len(inputs) > 1 or "folder" in kinds
    if output == STANDARD and several:
        raise UsageError("standard output (-) holds one picture", "give one input, or a folder as {output}")
    into = name = None
    if output is not None and output != STANDARD:
        if isinstance(where := place(output), Remote) and where.web:
            raise UsageError(f"cannot write {where}: the web is read only", "give another {output}")
        if _is_place(output, several):
            into = place(output)
        else:
            name = place(output)
    check_output(name, format, lossless)
    request = _Request(tuple(inputs), kinds, into, name, size, format, recursive, several, to_pipe=output == STANDARD)
    for item, what in zip(inputs, kinds, strict=True):
        if what == "folder":
            request.roots[_resolved(place(item))] = _resolved(request.root(place(item)))
    return request


def _is_place(output: str, several: bool) -> bool:
    """Whether the output is a folder to write into, not the name of the one result.

    Raises:
        UsageError: it must be a folder and is none.
        ImageError: the system does not say what lies there.
    """
    path, slashed = place(output), output.endswith(SEPARATORS)
    if isinstance(path, Remote):
        # A store may have an object and a folder of the same name, and has a folder as soon as something is put there.
        what: Kind = "folder" if slashed else "absent" if several else places.kind(path)
    else:
        what = folders.kind(path)
    if not (several or slashed or what == "folder"):
        return False
    if what in ("file", "device"):
        raise UsageError(f"{path} is no folder, and {'several outputs need' if several else 'its slash asks for'} one")
    if what == "absent" and not slashed and path.suffix.lower() in formats.LOOKED_FOR:
        stem = path.name.removesuffix(path.suffix)
        raise UsageError(
            f"{path} is the name of one picture, and there are several", f"give a folder as {{output}}: {stem}/"
        )
    return True


def _place_of(listed: tuple[int, Job]) -> tuple[int, bool, str | Place]:
    """The order of jobs that are few: as the inputs were given, each folder's sorted, with what cannot be read at its end."""
    number, job = listed
    return number, job.error is not None, "" if job.source is None else job.source


def _kinds_of(inputs: Sequence[str]) -> tuple[Kind | FsrcnnError, ...]:
    """What lies at each input; of one that cannot be asked, why, which is said when its turn comes."""
    remote = [where for item in inputs if isinstance(where := place(item), Remote) and not item.endswith("/")]
    asked = iter(places.kinds(remote) if remote else [])
    kinds: list[Kind | FsrcnnError] = []
    for item in inputs:
        where = place(item)
        if isinstance(where, Remote):
            kinds.append("folder" if item.endswith("/") else next(asked))
            continue
        try:
            kinds.append("device" if item == STANDARD else folders.kind(where))
        except ImageError as error:
            kinds.append(error)
    return tuple(kinds)


def _parts(picture: Place, folder: Place) -> tuple[str, ...]:
    """The names on the way from a folder to a picture in it."""
    if isinstance(picture, Remote):
        assert isinstance(folder, Remote)
        return tuple(picture.below(folder).split("/"))
    return picture.relative_to(str(folder)).parts


def _below(root: Place, parts: tuple[str, ...]) -> Place:
    """
    Raises:
        ImageError: a part of a key is no name of a file, or a file's name no text: never a file outside of the folder.
    """
    if isinstance(root, Remote):
        key = "/".join(parts)
        if key != key.encode("utf-8", "replace").decode():
            raise ImageError("its name is no text, which the key of an object is")
        return root / key
    for part in parts:
        wrong = part in ("", ".", "..") or "\0" in part or os.sep in part or bool(os.altsep and os.altsep in part)
        if wrong or (os.name == "nt" and any(character in part for character in '<>:"|?*')):
            raise ImageError(f"a file cannot be called as its key, for the part {part!r} of it")
    return root.joinpath(*parts)


def settled_target(job: Job, format: str) -> Place | None:
    """The target of a job whose ending was guessed, once it is known what its picture is written as."""
    return formats.with_ending(job.target, format) if job.guessed and job.target is not None else job.target


def _own_format(source: Place) -> str:
    """What a picture is written as if nobody says, by its content; by its ending where that is not or cannot be read."""
    format = None
    if isinstance(source, Path):
        try:
            with source.open("rb") as file:
                format = formats.of_content(file.read(formats.START))
        except OSError:
            format = None
    ending = source.suffix.lower()
    if isinstance(source, Remote) and ending in HEIF:
        return "avif"
    named = (row.name for row in formats.FORMATS.values() if ending in row.endings)
    return format or next(named, "png")


def _resolved(item: Place) -> Place:
    return item if isinstance(item, Remote) else files.resolved(item)


def _key(item: Place) -> str:
    return str(_resolved(item))


def _lies_in(picture: Place, root: Place) -> bool:
    """Whether one name begins with the other."""
    if isinstance(picture, Remote) or isinstance(root, Remote):
        return isinstance(picture, Remote) and isinstance(root, Remote) and picture.url.startswith(f"{root.url}/")
    return picture.is_relative_to(root)
