"""Pictures of clients: they wait in a bounded queue, are upscaled several at a time by shared engines, and are there to be fetched."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from fsrcnn import batch, formats, jobs, pretrained
from fsrcnn.engines import PRECISIONS
from fsrcnn.errors import Cancelled, FsrcnnError
from fsrcnn.parallel import Control
from fsrcnn.serve.options import Wanted, base_name
from fsrcnn.serve.problems import Problem, of_error, of_storage
from fsrcnn.serve.prometheus import Counts
from fsrcnn.size import Size, mark_of
from fsrcnn.upscaler import Upscaler

State = Literal["uploading", "waiting", "running", "done", "failed", "cancelled"]
ACTIVE: tuple[State, ...] = ("uploading", "waiting", "running")
MEDIA_TYPES = {
    "png": "image/png", "jpg": "image/jpeg", "webp": "image/webp", "tif": "image/tiff", "avif": "image/avif", "gif": "image/gif",
}  # fmt: skip
ID = r"[A-Za-z0-9_-]{22,64}"  # one that nobody guesses
LARGEST_CACHE = 16  # upscalers that are kept: of each model and precision that was asked for last
MOST_KEPT = 1000  # finished jobs, each with its files
LINGER = 10.0  # seconds after the last work for which a server that ends waits for those who fetch
SWEEP = 1.0  # seconds between two looks for what is too old


@dataclass(frozen=True)
class _Upload(jobs.Job):
    """A picture that somebody sent: it lies in a private folder, and messages call it by its client's name."""

    name: str = ""

    @property
    def label(self) -> str:
        return self.name


@dataclass(frozen=True)
class Result:
    """The larger picture: a file, its name for the client, and what was done."""

    path: Path
    name: str
    media_type: str
    done: batch.Done


@dataclass(eq=False)
class Job:
    """A client's picture.

    Attributes:
        id: 128 random bits, or what its client has chosen: whoever knows it may fetch the result.
        folder: of its files.
        name: what the client calls the picture.
        problem: why it failed.
        over: set when nothing more is done for it.
        fetched: somebody has the result, or is getting it.
        held: by how many answers that need its files; they stay as long.
    """

    id: str
    folder: Path
    name: str = ""
    wanted: Wanted = field(default_factory=Wanted)
    control: Control = field(default_factory=lambda: Control(1))
    state: State = "uploading"
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    result: Result | None = None
    problem: Problem | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    fetched: bool = False
    held: int = 0
    finished: float = 0.0  # on the monotonic clock
    removed: bool = False
    future: Future[None] | None = None

    @property
    def upload(self) -> Path:
        return self.folder / "upload"

    @property
    def active(self) -> bool:
        return self.state in ACTIVE

    def as_json(self, keep: float) -> dict[str, Any]:
        """What a client is told; `keep`: seconds for which it is kept after its end."""
        place = f"/v1/jobs/{self.id}"
        told: dict[str, Any] = {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "progress": 1.0 if self.state == "done" else round(self.control.done, 4),
            "created": self.created.isoformat(timespec="seconds"),
            "links": {"self": place, "events": f"{place}/events", "result": f"{place}/result"},
        }
        if not self.active:
            left = timedelta(seconds=self.finished + keep - time.monotonic())
            told["expires"] = (datetime.now(UTC) + left).isoformat(timespec="seconds")
        if self.result is not None:
            told["result"] = report(self.result)
        if self.problem is not None:
            told["problem"] = self.problem.as_json()
        return told


def report(result: Result) -> dict[str, Any]:
    """What was done, as `fsrcnn upscale --json` says it, and what the result is."""
    done = asdict(result.done)
    return {
        "name": result.name,
        "media_type": result.media_type,
        "bytes": result.path.stat().st_size,
        **{name: value for name, value in done.items() if name not in ("input", "output", "sha256")},
    }


class Jobs:
    """All jobs of a server.

    Attributes:
        keep: seconds for which a finished job is kept.
        engine: that computes, by its name.
        precisions: that it has.
        draining: no new work is taken.
    """

    def __init__(self, folder: Path, threads: int, engine: str, queue: int, keep: float, counts: Counts) -> None:
        """
        Args:
            folder: a private one, for all files.
            threads: that work, and so pictures that are upscaled at a time.
            engine: as of `Upscaler`.
            queue: pictures that may wait beside those.
            counts: what is counted of it.

        Raises:
            UsageError: no such engine.
        """
        self.keep, self.draining = keep, False
        self._folder, self._threads, self._engine, self._queue, self._counts = folder, threads, engine, queue, counts
        self._jobs: dict[str, Job] = {}
        self._upscalers: OrderedDict[tuple[str, str], Upscaler] = OrderedDict()
        self._lock = threading.Lock()
        self._room = batch.Room(threads)
        self._pool = ThreadPoolExecutor(threads, "fsrcnn serve")
        self._tasks: set[asyncio.Task[None]] = set()
        self._uploads: set[asyncio.Task[tuple[Wanted, str]]] = set()
        self._seconds = 1.0  # that a picture takes, about
        self._last_work = time.monotonic()
        first = self._upscaler(pretrained.FAMILIES[0], "exact")
        self.engine = first.engine(int(first.scale)).name
        self.precisions = PRECISIONS if self.engine == "native" else PRECISIONS[:1]
        counts.gauge("fsrcnn_jobs_waiting", "Pictures that wait.", lambda: self._count("waiting"))
        counts.gauge("fsrcnn_jobs_running", "Pictures that are upscaled now.", lambda: self._count("running"))
        counts.gauge("fsrcnn_jobs_kept", "Finished jobs that are kept.", lambda: len(self._jobs) - self._count(*ACTIVE))

    def open(self, id: str | None = None) -> Job:
        """A place for a picture that is about to come.

        Args:
            id: that its client has chosen; None: a random one.

        Raises:
            Problem: 400, this can be no id; 409, there is such a job; 503, there is no place; 507, the disk is full.
        """
        self._check_open()
        if id is not None and not re.fullmatch(ID, id):
            raise Problem(400, "the id of a job is 22 to 64 letters, digits, - and _, as random as 128 bits")
        if id in self._jobs:
            raise Problem(409, "there is a job of this id; choose another at random")
        active = self._count(*ACTIVE)
        if active >= self._threads + self._queue:
            wait = min(60, max(1, round(self._seconds * active / self._threads)))
            raise Problem(503, f"{active} pictures wait already; try again later", {"Retry-After": str(wait)})
        if len(self._jobs) - active >= MOST_KEPT:
            raise Problem(
                503, f"{MOST_KEPT:,} results wait to be fetched; DELETE those that nobody needs", {"Retry-After": "60"}
            )
        job = Job(id or secrets.token_urlsafe(16), self._folder / secrets.token_urlsafe(16))
        try:
            job.folder.mkdir(mode=0o700)
        except OSError as error:
            raise of_storage(error) from error
        self._jobs[job.id] = job
        return job

    async def upload(self, job: Job, receiving: Coroutine[Any, Any, tuple[Wanted, str]]) -> None:
        """Its picture comes.

        Raises:
            Problem: 503, the server is about to end; and what `receiving` raises.
        """
        task = asyncio.create_task(receiving)
        self._uploads.add(task)
        try:
            job.wanted, job.name = await task
        except asyncio.CancelledError:
            self._check_open()
            raise
        finally:
            task.cancel()
            self._uploads.discard(task)

    def start(self, job: Job) -> None:
        """Its picture is there: it waits for its turn.

        Raises:
            Problem: 409, it was removed while its picture came; 503, the server is about to end.
        """
        self._check_open()
        if job.removed:
            raise Problem(409, "the job was deleted while its picture came")
        job.state = "waiting"
        job.future = self._pool.submit(self._upscale, job)
        task = asyncio.create_task(self._finish(job, job.future))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def find(self, id: str) -> Job:
        """
        Raises:
            Problem: 404.
        """
        if id not in self._jobs:
            raise Problem(404, "there is no such job; those that are done are kept for a while only")
        return self._jobs[id]

    def remove(self, job: Job) -> None:
        """Stop what is done for it, and delete its files, now or as soon as nobody works on them."""
        self._jobs.pop(job.id, None)
        job.removed = True
        self._cancel(job)
        if job.state == "uploading" or not (job.active or job.held):
            shutil.rmtree(job.folder, ignore_errors=True)

    def release(self, job: Job) -> None:
        """An answer needs its files no longer."""
        job.held -= 1
        if job.removed and not (job.active or job.held):
            shutil.rmtree(job.folder, ignore_errors=True)

    def drain(self) -> None:
        """Take no new work, and give up what comes and what waits; what runs goes on."""
        self.draining = True
        for upload in self._uploads:
            upload.cancel()
        for job in self._jobs.values():
            if job.state == "waiting" and job.future is not None and job.future.cancel():
                job.problem = Problem(503, "this server is about to end, and did not come to this picture")

    def drained(self) -> bool:
        """Nothing is left to do, and whoever waits for a result has had time to fetch it."""
        if not self.draining or self._tasks or self._count(*ACTIVE):
            self._last_work = time.monotonic()
            return False
        unfetched = any(job.state == "done" and not job.fetched for job in self._jobs.values())
        return not unfetched or time.monotonic() - self._last_work > LINGER

    async def sweep(self) -> None:
        """Remove what is too old, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP)
            now = time.monotonic()
            for job in [
                job for job in self._jobs.values() if not (job.active or job.held) and now - job.finished > self.keep
            ]:
                self.remove(job)

    def close(self) -> None:
        """Stop everything, and wait for the threads."""
        for job in list(self._jobs.values()):
            self.remove(job)
        self._pool.shutdown(cancel_futures=True)

    def _check_open(self) -> None:
        if self.draining:
            raise Problem(503, "this server is about to end, and takes no new work", {"Retry-After": "10"})

    def _count(self, *states: State) -> int:
        return sum(job.state in states for job in self._jobs.values())

    def _cancel(self, job: Job) -> None:
        job.control.cancel()
        if job.future is not None:
            job.future.cancel()

    async def _finish(self, job: Job, future: Future[None]) -> None:
        """Wait for a job's end, and note it."""
        state: State = "failed"
        try:
            await asyncio.wrap_future(future)
            state = "done"
        except (Cancelled, asyncio.CancelledError):
            state = "failed" if job.problem else "cancelled"
        except Problem as problem:
            job.problem = problem
        except FsrcnnError as error:
            job.problem = of_error(error, job.name)
        except BaseException:
            job.problem = Problem(500, "this server failed; its log says how")
            raise
        finally:
            if state == "done":
                with contextlib.suppress(OSError):
                    job.upload.unlink()
            else:  # a half-written result would keep a full disk full
                shutil.rmtree(job.folder, ignore_errors=True)
            job.finished, job.state = time.monotonic(), state
            job.over.set()
            self._counts.count("fsrcnn_jobs_total", "Pictures, by what became of them.", state=state)
            if job.removed and not job.held:
                shutil.rmtree(job.folder, ignore_errors=True)

    def _upscale(self, job: Job) -> None:
        """In a thread of the pool.

        Raises:
            FsrcnnError, Problem: why not.
        """
        job.state = "running"
        began = time.perf_counter()
        # All threads for one picture; one for each where several are there, which takes less time for all of them.
        job.control.threads = max(1, self._threads // max(1, self._count("waiting", "running")))
        wanted = job.wanted
        upscaler = self._upscaler(wanted.model, wanted.precision)
        size = wanted.size or Size(factor=upscaler.scale)
        upload = _Upload(job.upload, None, wanted.format, name=job.name)
        (outcome,) = batch.run_all([upload], upscaler, size, wanted.options, job.control, self._room)
        done, data = outcome.result(), outcome.data or b""
        path = job.folder / "result"
        try:
            path.write_bytes(data)
        except OSError as error:
            raise of_storage(error) from error
        format = formats.of_content(data[: formats.START]) or ""
        job.result = Result(path, _result_name(job.name, size, format), MEDIA_TYPES[format], done)
        seconds = time.perf_counter() - began
        self._seconds += 0.1 * (seconds - self._seconds)
        self._counts.observe("fsrcnn_job_seconds", "Seconds that a picture took, from its turn to its file.", seconds)
        self._counts.count("fsrcnn_pixels_total", "Pixels of results.", done.output_size[0] * done.output_size[1])

    def _upscaler(self, model: str, precision: str) -> Upscaler:
        """One for each model and precision, shared by all who ask for it."""
        key = (model, precision)
        with self._lock:
            if key not in self._upscalers:
                self._upscalers[key] = Upscaler(model, engine=self._engine, threads=self._threads, precision=precision)
                if len(self._upscalers) > LARGEST_CACHE:
                    self._upscalers.popitem(last=False)
            self._upscalers.move_to_end(key)
            return self._upscalers[key]


def result_of(job: Job) -> Result:
    """The result of a job.

    Raises:
        Problem: 409, it is not there yet; or why it never will be.
    """
    if job.problem is not None:
        raise job.problem
    if job.result is None or job.state != "done":
        raise Problem(409, f"the job is {job.state}: there is no result")
    return job.result


def _result_name(name: str, size: Size, format: str) -> str:
    """As the command line calls it: `photo.jpg` → `photo_x2.jpg`."""
    path = Path(base_name(name))
    return formats.with_ending(path.with_name(f"{path.stem}_{mark_of(size)}{path.suffix}"), format).name
