"""Jobs to the workers of a cluster, and their outcomes back: each job has one, whatever dies on the way.

Ray schedules tasks; which jobs make a task, how many tasks are out, and what becomes of the jobs of one that is lost is settled here.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import time
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fsrcnn import __version__, batch, files
from fsrcnn.arguments import whole_number
from fsrcnn.cluster.connection import LOCAL, connected, head_answers
from fsrcnn.cluster.worker import Build, Kit, Recipe, Result, task
from fsrcnn.errors import Cancelled, ClusterWarning, FsrcnnError, ImageError
from fsrcnn.jobs import Job
from fsrcnn.parallel import Control, available_threads
from fsrcnn.size import Size, check_size

TASK_SECONDS = 4.0  # that a task is to take: Ray needs some milliseconds for each, and a machine that is lost takes so much work along
MOST_PICTURES = 64  # in a task
AHEAD = 2  # tasks that are out for each worker: one runs, one waits beside it
LOOK_SECONDS = 3.0  # between looks at the machines of the cluster
POLL_SECONDS = 0.2  # between looks at progress and cancelling
REMARK_SECONDS = 5.0  # without a machine that can take a task, until that is said
ROOM_SECONDS = 600.0  # and until it is given up: an autoscaler may take minutes to start one
LOSSES = 20  # machines that a job may lose: they come and go
LOSS_SECONDS = 0.5  # times the machines that it has lost: until a job goes out again
DEATHS = 3  # workers that die of a job alone, until it is the job that is to blame
HEAD_SECONDS = 20.0  # without an answer of the cluster's head, until it is given up
STOP_SECONDS = 10.0  # for workers to leave their pictures


def run_all(
    jobs: Iterable[Job],
    recipe: Recipe,
    size: Size,
    options: batch.Options | None = None,
    control: Control | None = None,
    *,
    address: str,
    count: int | None = None,
) -> Iterator[batch.Outcome]:
    """Run jobs on a cluster, to the bytes of `batch.run_all`; their outcomes as they come, not in the order of the jobs.

        recipe = Recipe("fsrcnn", "fsrcnn", scale=2)
        for outcome in run_all(plan(["photos"], "larger/", size).jobs, recipe, size, address="local"):
            print(outcome.result().output)

    Jobs whose machine or worker dies are handed out again; one that kills its worker `DEATHS` times alone has an error as its outcome.
    Each job has one outcome, but a job that was handed out again may find its output there already, and replaces it. Machines that
    join the cluster meanwhile get work.

    Args:
        jobs: drawn as workers are free, never all at once.
        recipe: of the workers' upscalers, with the CPUs of each worker.
        control: progress, where the number of jobs is known, called in the thread that iterates; cancelling.
        address: `local` (Ray on this machine, for this run), `auto` (the cluster that this machine belongs to), or a cluster's.
        count: of jobs, where it is known and they do not say it themselves.

    Raises:
        MissingExtraError: Ray is not installed.
        UsageError: `address` is none, there is no such model, or `size` is of another kind.
        FsrcnnError: the cluster cannot be joined; it has no machine for such workers; or a worker is of another version, has no such
            engine, or does not see the folder of the outputs.
        Cancelled: through the control, after the outcomes of what had been written, as far as workers could still tell. No output is
            half-written.

    Warns:
        ClusterWarning: workers may compute or write other bytes than each other, or none of them can be had at present.
    """
    check_size(size)
    whole_number(recipe.threads, "threads")
    control, options = control or Control(1), options or batch.Options()
    recipe = recipe.portable()
    if address == LOCAL and recipe.threads > available_threads():
        raise FsrcnnError(
            f"this machine has {available_threads()} CPUs for a worker, not {recipe.threads}",
            f"give at most {{threads={available_threads()}}}",
        )
    if count is None and isinstance(jobs, Sized):
        count = len(jobs)
    folder = None if options.parts is None else files.absolute(options.parts)
    with contextlib.ExitStack() as ending:
        if folder is not None:
            ending.callback(files.sweep, folder)  # of what dead workers left, once the others have gone
        ray = ending.enter_context(connected(address))
        mark = None if folder is None else ending.enter_context(_marked(folder))
        kit = Kit(recipe, size, replace(options, parts=folder), mark)
        run = _Run(ray, address, iter(jobs), kit, control, count)
        try:
            yield from run.outcomes()
        finally:
            run.stop()


class TaskSize:
    """How many pictures make a task, by the seconds that earlier ones took.

    Attributes:
        pictures: of the next task.
    """

    def __init__(self, threads: int) -> None:
        """
        Args:
            threads: of a worker; each gets a picture in the first tasks.
        """
        self.pictures = min(threads, MOST_PICTURES)
        self._seconds: float | None = None  # of a picture

    def measured(self, pictures: int, seconds: float) -> None:
        """A task took so long; the next ones are at most twice as large."""
        took = seconds / pictures
        self._seconds = took if self._seconds is None else 0.7 * self._seconds + 0.3 * took
        wanted = int(TASK_SECONDS / max(self._seconds, 1e-6))
        self.pictures = max(1, min(wanted, 2 * self.pictures, MOST_PICTURES))


@dataclass(frozen=True)
class _Piece:
    """The jobs of a task.

    Attributes:
        again: a worker that died may have written their outputs, which nobody lived to say.
        losses: how many machines were lost that had them.
        deaths: how many workers died of them, since they are one job.
        due: when they may go out, by `time.monotonic`.
    """

    jobs: tuple[Job, ...]
    again: bool = False
    losses: int = 0
    deaths: int = 0
    due: float = 0.0

    def lost(self) -> _Piece:
        """After its machine was lost; where that is so with all of them, a moment later may be better."""
        losses = self.losses + 1
        return replace(self, again=True, losses=losses, due=time.monotonic() + losses * LOSS_SECONDS)

    def packed(self) -> bytes:
        """For the way to a worker, whose current folder is another one."""
        return pickle.dumps([replace(_absolute_job(job), again=job.again or self.again) for job in self.jobs])


class _Run:
    """The tasks of a run."""

    def __init__(
        self, ray: Any, address: str, jobs: Iterator[Job], kit: Kit, control: Control, count: int | None
    ) -> None:
        self._ray, self._address = ray, address
        self._jobs, self._kit, self._control, self._count = jobs, kit, control, count
        recipe = kit.recipe
        self._needs = {"CPU": recipe.threads} | ({"GPU": 1} if recipe.engine == "torch:cuda" else {})
        self._task = ray.remote(task()).options(
            num_cpus=recipe.threads, num_gpus=self._needs.get("GPU", 0), max_retries=0, name="fsrcnn upscale"
        )
        self._packed = ray.put(kit.packed())
        self._sizes = TaskSize(recipe.threads)
        self._again: deque[_Piece] = deque()
        self._out: dict[Any, _Piece] = {}
        self._remarks = _Remarks(recipe)
        self._exhausted, self._finished = False, 0
        self._workers, self._looked, self._roomless, self._headless = 0, -1.0, 0.0, time.monotonic()
        self._head_gone = False

    def outcomes(self) -> Iterator[batch.Outcome]:
        """As `run_all`."""
        while True:
            self._look()
            while len(self._out) <= AHEAD * self._workers and (self._due() is not None or not self._exhausted):
                yield from self._hand_out()
            if self._out:
                yield from self._arrived(POLL_SECONDS)
            elif self._again:
                time.sleep(POLL_SECONDS)
            else:
                return
            try:
                self._control.report(self._finished / self._count if self._count else 0.0)
            except Cancelled:
                self._control.cancel()
            if self._control.cancelled():
                yield from self._stopped()
                raise Cancelled("stopped before all pictures were written")

    def stop(self) -> None:
        """Whatever is out is not wanted any more; workers have left their pictures, or their process is ended."""
        for _ in self._stopped():
            pass

    def _stopped(self) -> Iterator[batch.Outcome]:
        """The outcomes of what had been written."""
        if self._head_gone:
            return
        self._cancel(force=False)
        until = time.monotonic() + STOP_SECONDS
        while self._out and time.monotonic() < until:
            yield from self._arrived(POLL_SECONDS, stopping=True)
        self._cancel(force=True)
        self._out.clear()

    def _cancel(self, *, force: bool) -> None:
        for reference in self._out:
            with contextlib.suppress(self._ray.exceptions.RayError, ConnectionError):  # its machine has gone
                self._ray.cancel(reference, force=force)

    def _due(self) -> _Piece | None:
        """What is to go out again, if it is time."""
        now = time.monotonic()
        return next((piece for piece in self._again if piece.due <= now), None)

    def _hand_out(self) -> Iterator[batch.Outcome]:
        """A task; the jobs that are known to fail need none."""
        piece = self._due()
        if piece is not None:
            self._again.remove(piece)
        else:
            drawn = list(itertools.islice(self._jobs, self._sizes.pictures))
            self._exhausted = len(drawn) < self._sizes.pictures
            for job in drawn:
                if job.error is not None:
                    self._finished += 1
                    yield batch.Outcome(job, error=job.error)
            piece = _Piece(tuple(job for job in drawn if job.error is None))
        if piece.jobs:
            self._out[self._task.remote(__version__, self._packed, piece.packed())] = piece

    def _arrived(self, timeout: float, *, stopping: bool = False) -> Iterator[batch.Outcome]:
        """The outcomes of tasks that have ended, if there is one within some seconds."""
        waiting = list(self._out)
        ready, waiting = self._ray.wait(waiting, timeout=timeout)
        if ready and waiting:
            ready += self._ray.wait(waiting, num_returns=len(waiting), timeout=0)[0]
        for reference in ready:
            piece = self._out.pop(reference)
            try:
                result = self._ray.get(reference)
            except self._ray.exceptions.TaskCancelledError:
                if not stopping:  # somebody else has, as by a SIGINT to the worker
                    self._again.append(piece.lost())
                continue
            except self._ray.exceptions.RayTaskError:  # of our own code: a bug
                if stopping:
                    continue
                raise
            except self._ray.exceptions.RayError as error:
                yield from () if stopping else self._lost(piece, error)
                continue
            if isinstance(result, Result):
                yield from self._taken(piece, result, stopping)
            elif not stopping:
                raise _other_version(*result)

    def _taken(self, piece: _Piece, result: Result, stopping: bool) -> Iterator[batch.Outcome]:
        """
        Raises:
            FsrcnnError: nothing can be done on that machine.
        """
        if result.refusal is not None:
            if stopping:
                return
            raise result.refusal
        if not stopping:
            self._remarks.compare(result.build)
            self._sizes.measured(len(piece.jobs), result.seconds)
            left = tuple(job for number, job in enumerate(piece.jobs) if number not in result.outcomes)
            if left:  # somebody else has stopped the task
                self._again.append(replace(piece, jobs=left).lost())
        for number, job in enumerate(piece.jobs):
            if number in result.outcomes:
                outcome = _as_given(result.outcomes[number], job)
                if number in result.unseen and isinstance(job.source, Path) and os.path.lexists(job.source):
                    outcome = batch.Outcome(job, error=_unseen(job.label, result.build.machine))
                elif outcome.done is not None and self._kit.mark is None and not _seen(job):
                    outcome = batch.Outcome(job, error=_unseen(str(job.target), result.build.machine))
                self._finished += 1
                yield outcome

    def _lost(self, piece: _Piece, error: Exception) -> Iterator[batch.Outcome]:
        """What becomes of the jobs of a task that nobody has finished."""
        errors = self._ray.exceptions
        if isinstance(error, errors.LocalRayletDiedError):
            raise FsrcnnError("Ray on this machine has died", "start the same command again") from error
        died = isinstance(error, (errors.WorkerCrashedError, errors.OutOfMemoryError))
        if not died and piece.losses + 1 < LOSSES:
            self._again.append(piece.lost())
        elif died and len(piece.jobs) > 1:  # one of them, perhaps: each for itself
            self._again.extend(_Piece((job,), True, piece.losses) for job in piece.jobs)
        elif died and piece.deaths + 1 < DEATHS:
            self._again.append(replace(piece, again=True, deaths=piece.deaths + 1))
        else:
            what = f"its worker died {DEATHS} times" if died else f"its machine was lost {LOSSES} times"
            why = (
                "its machine ran out of memory"
                if isinstance(error, errors.OutOfMemoryError)
                else _first_sentence(error)
            )
            remedy = "machines with more memory for each worker, or fewer {threads}, may do it" if died else ""
            for job in piece.jobs:
                self._finished += 1
                yield batch.Outcome(job, error=ImageError(f"{job.label}: {what}, the last time: {why}", remedy))

    def _look(self) -> None:
        """Count the workers that the cluster has room for.

        Raises:
            FsrcnnError: it has none, and nobody adds a machine.
        """
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS and self._looked >= 0:
            return
        if not head_answers(self._ray, self._address):
            if now - self._headless > HEAD_SECONDS:
                self._head_gone = True
                raise FsrcnnError("the head of the Ray cluster has gone", "start it, and then the same command, again")
            self._looked = now
            return
        self._headless = now
        machines = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        self._workers = sum(
            min(int(machine.get(what, 0) // amount) for what, amount in self._needs.items()) for machine in machines
        )
        if self._workers or self._looked < 0:
            self._roomless = now
        self._looked = now
        if self._kit.mark is not None:
            with contextlib.suppress(OSError):
                self._kit.mark.touch()  # where locks do not reach other machines, they go by its age
        if self._workers:
            return
        most = int(max((machine.get("CPU", 0) for machine in machines), default=0))
        needs = " and ".join(f"{amount} {what}{'s' * (amount > 1)}" for what, amount in self._needs.items())
        sentence = (
            f"no machine of the cluster has the {needs} of a worker (the largest has {most} CPU{'s' * (most != 1)})"
        )
        remedy = f"give {{threads={most}}}" if 0 < most < self._needs["CPU"] else "start machines that have them"
        if now - self._roomless > ROOM_SECONDS:
            raise FsrcnnError(sentence, remedy)
        if now - self._roomless > REMARK_SECONDS:
            self._remarks.say(
                "room",
                f"{sentence}; waiting {ROOM_SECONDS / 60:.0f} minutes for an autoscaler, or somebody, to add one",
            )


class _Remarks:
    """What is said of a cluster, each thing once; among it, where workers are built otherwise than each other."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._seen: set[Build] = set()
        self._said: set[str] = set()

    def compare(self, build: Build) -> None:
        """Hear of a worker, and warn where its outputs may have other bytes than those of another, or of this machine."""
        if build in self._seen:
            return
        if not self._seen:
            with contextlib.suppress(FsrcnnError):  # this machine need not be able to
                self._seen.add(Build.here(self._recipe))
        self._seen.add(build)
        exact = self._recipe.precision == "exact" and build.engine != "integer"
        if build.engine == "numpy" and self._recipe.engine == "auto":
            self.say(
                "numpy",
                f"the native engine is not built on {build.machine}, where the numpy engine does the work, far slower",
            )
        numbers = {f"{seen.engine} {seen.numbers}".strip(): seen.machine for seen in self._seen}
        if exact and len(numbers) > 1:
            self.say(
                "numbers",
                f"machines compute with {_listed(numbers)}: a picture may differ by a level in a few pixels from one to the other. "
                "FSRCNN_ISA=avx2 in the environment of all of them, or the precision fast, gives the same bytes everywhere",
            )
        codecs = {seen.codec: seen.machine for seen in self._seen}
        if len(codecs) > 1:
            self.say(
                "codecs",
                f"machines write pictures with libvips {_listed(codecs)}: the same pixels, perhaps in other bytes. "
                "The same version of pyvips-binary on all of them gives the same",
            )

    def say(self, what: str, sentence: str) -> None:
        """Warn of a kind of thing, once."""
        if what not in self._said:
            self._said.add(what)
            warnings.warn(sentence, ClusterWarning, stacklevel=2)


@contextlib.contextmanager
def _marked(folder: Path) -> Iterator[Path]:
    """A mark in the folder of the outputs, which is made if missing, and removed again where nothing has come into it."""
    made = not folder.exists()
    try:
        with files.marked(folder, ImageError) as mark:
            yield mark
    finally:
        if made:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _absolute_job(job: Job) -> Job:
    source, target = (files.absolute(place) if isinstance(place, Path) else place for place in (job.source, job.target))
    return replace(job, source=source, target=target)


def _as_given(outcome: batch.Outcome, job: Job) -> batch.Outcome:
    """An outcome by the names that its job was given."""
    done, error, moved = outcome.done, outcome.error, outcome.moved
    if done is not None:
        done = replace(done, input=job.label, output=done.output if job.target is None else str(job.target))
    if error is not None:
        sent, fact = _absolute_job(job), error.fact
        for absolute, given in ((sent.source, job.source), (sent.target, job.target)):
            fact = fact.replace(str(absolute), str(given))
        error = type(error)(fact, error.remedy, error.argument)
    if moved is not None and job.target is not None:
        moved = job.target.with_name(moved.name)
    return replace(outcome, job=job, done=done, error=error, moved=moved)


def _seen(job: Job) -> bool:
    return not isinstance(job.target, Path) or os.path.lexists(job.target)


def _unseen(name: str, machine: str) -> ImageError:
    return ImageError(
        f"{name}: this machine and the worker on {machine} do not see the same file there",
        "a cluster of several machines needs a file system that all of them share, or an object store as s3://bucket/",
    )


def _other_version(machine: str, found: str | None, why: str) -> FsrcnnError:
    wanted = f"type there: pip install 'fsrcnn[cluster]=={__version__}'"
    if found is None:
        return FsrcnnError(f"fsrcnn cannot be loaded by the worker on {machine} ({why})", wanted)
    if found == __version__:
        return FsrcnnError(f"fsrcnn {found} is damaged on {machine} ({why})", wanted)
    return FsrcnnError(f"the worker on {machine} has fsrcnn {found}, and this machine has {__version__}", wanted)


def _first_sentence(error: Exception) -> str:
    """Of Ray's pages of advice, what happened."""
    said = " ".join(str(error).split()).partition(". ")[0].rstrip(".")
    return said[:1].lower() + said[1:200] or type(error).__name__


def _listed(machines: Mapping[str, str]) -> str:
    return " and ".join(f"{what} ({machine})" for what, machine in sorted(machines.items()))
