"""Which file becomes which: for thousands of pictures settled, and refused if it cannot be, before any work; for millions on the way.

A `Drawing` hands out the jobs of any number of pictures in bounded memory. What is wrong with the first `SETTLED` of them is refused
before the work; what is wrong with a later one (its output is another's, an input, or exists) is that job's error.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from fsrcnn import parallel, places
from fsrcnn.errors import FsrcnnError, UsageError
from fsrcnn.folders import Found, Kind
from fsrcnn.jobs import (
    REMEDY_OF_EXISTING,
    Earlier,
    Existing,
    Job,
    Plan,
    collision,
    conflict,
    kinds_of_targets,
    name_of,
    resolved,
    sifted,
)
from fsrcnn.ledger import Ledger
from fsrcnn.pairing import AnyListing, pairing_of
from fsrcnn.places import Place, Remote, place
from fsrcnn.size import Size

SETTLED = 10_000  # jobs that are settled before the first is begun
BLOCK = 500  # outputs that a store is asked for at a time


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
        self._pairing = pairing_of(inputs, output, size, format, recursive, lossless)
        self._listings: dict[Place, AnyListing] = {}
        self._taken = Ledger()  # resolved targets → labels of the jobs that have them
        self._sources = Ledger()  # inputs that `Pairing.covers` does not know
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
                self._sources.put(name_of(place(item)), item)
            self._first = self._settled([job for _, job in first], streaming=True)

    @property
    def first(self) -> Sequence[Job]:
        """The jobs that are settled, until they are drawn: all where there is one input."""
        return self._first

    @property
    def root(self) -> Place | None:
        """The folder that all outputs go to; None where they lie beside their inputs, or in several."""
        roots = set(self._pairing.roots.values())
        if self._pairing.into is not None:
            return self._pairing.into
        return roots.pop() if len(roots) == 1 and len(self._pairing.inputs) == 1 else None

    def __iter__(self) -> Iterator[Job]:
        yield from self._first
        if self.count is not None:
            return
        self._first = []
        blocks = self._blocks()
        asked = isinstance(self._pairing.into, Remote) and self._existing != "replace"
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
        for number in range(len(self._pairing.inputs)):
            for job in self._pairing.jobs(number, self._listings):
                yield number, job

    def _count(self) -> None:
        count = 0
        for number in range(len(self._pairing.inputs)):
            try:
                for _ in self._pairing.pictures(number):
                    count += 1
                    if self._ended:
                        return
            except FsrcnnError:
                count += 1  # the job that says so
        self._total = count

    def _blocks(self) -> Generator[list[tuple[Job, Kind | FsrcnnError]]]:
        """Jobs that are to be done, with what lies at their targets."""
        length = BLOCK if isinstance(self._pairing.into, Remote) else 1
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
            other = self._taken.claim(name_of(job.target), job.label)
            if other is not None and other != job.label:  # it was listed first, and takes the place of what was done
                return replace(job, error=collision(other, job))
            self.before += 1
            return None
        return replace(job, again=True) if state == "begun" else job

    def _kinds(self, jobs: Sequence[Job]) -> list[Kind | FsrcnnError]:
        return kinds_of_targets(jobs, ask=self._existing != "replace")

    def _settled(self, jobs: list[Job], *, streaming: bool) -> list[Job]:
        """
        Raises:
            UsageError: as `checked`.
        """
        for job in jobs:
            if job.source is not None and job.error is None:
                self._sources.put(name_of(job.source), job.label)
        new = [job for job in map(self._since, jobs) if job is not None]
        is_input = self._is_input if streaming else self._is_source
        checked, skipped = sifted(new, self._kinds(new), self._existing, is_input, self._taken)
        for job in skipped:
            self._left(job)
        return checked

    def _checked(self, job: Job, what: Kind | FsrcnnError) -> Job | None:
        """A job that was listed on the way, with its error; None where it is skipped."""
        if job.error is not None or job.target is None:
            return job
        if isinstance(what, FsrcnnError):
            return replace(job, error=what.named(job.label))
        wrong = conflict(job, what, self._is_input, self._taken)
        if wrong is not None:
            return replace(job, error=wrong)
        if what == "file" and not job.again:
            if self._existing == "refuse":
                return replace(job, error=UsageError(f"{job.target} exists", REMEDY_OF_EXISTING).named(job.label))
            if self._existing == "skip":
                self._left(job)
                return None
        if job.source is not None and _is_link(job.source):
            self._sources.put(name_of(job.source), job.label)
        return job

    def _left(self, job: Job) -> None:
        self.skipped += 1
        self._skip(job)

    def _is_source(self, target: Place, what: Kind) -> bool:
        return self._sources.get(name_of(target)) is not None

    def _is_input(self, target: Place, what: Kind) -> bool:
        """Whether a target is an input, perhaps one that is not listed yet: any picture that lies in a folder among the inputs."""
        if self._is_source(target, what):
            return True
        if not self._pairing.covers(resolved(target)):
            return False
        return (
            places.kind(target, folders=False) if isinstance(target, Remote) and self._existing == "replace" else what
        ) == "file"


def _place_of(listed: tuple[int, Job]) -> tuple[int, bool, str | Place]:
    """The order of jobs that are few: as the inputs were given, each folder's sorted, with what cannot be read at its end."""
    number, job = listed
    return number, job.error is not None, "" if job.source is None else job.source


def _is_link(source: Place) -> bool:
    """Whether a picture of a folder leads to another place, which may be an output."""
    return isinstance(source, Path) and source.is_symlink()
