"""What runs on the machines of a cluster: a few jobs at a time, with an upscaler that its process keeps."""

from __future__ import annotations

import contextlib
import pickle
import socket
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fsrcnn import batch, engines, models, pretrained
from fsrcnn.errors import EngineWarning, FsrcnnError
from fsrcnn.folders import kind
from fsrcnn.images.vips import libvips
from fsrcnn.jobs import Job
from fsrcnn.parallel import Control
from fsrcnn.size import Size
from fsrcnn.upscaler import Upscaler

MARK_SECONDS = 10  # until a folder of a network file system shows on one machine what another has made


@dataclass(frozen=True)
class Recipe:
    """What a worker makes its `Upscaler` of; as `Upscaler` takes it.

    Attributes:
        model: a name, a path (which this machine reads), or the network itself.
        label: what `Done.model` calls it.
        threads: CPUs of each worker; so many pictures go through it at once.
    """

    model: models.ModelName
    label: str
    scale: float | None = None
    engine: str = "auto"
    precision: str = "exact"
    threads: int = 1

    def portable(self) -> Recipe:
        """The same for machines that do not see the files of this one.

        Raises:
            UsageError, WeightsError: there is no such model.
        """
        if isinstance(self.model, models.Network) or self.model == models.AUTO:
            return self
        name, networks = str(self.model), models.by_scale(self.model)
        if name in pretrained.FAMILIES or name in pretrained.table() or models.is_average(name):
            return self
        return replace(self, model=next(iter(networks.values()))())


@dataclass(frozen=True)
class Kit:
    """What all tasks of a run share.

    Attributes:
        mark: a file in the folder of the outputs, which a worker sees if that is everybody's; None where outputs have no folder.
    """

    recipe: Recipe
    size: Size
    options: batch.Options
    mark: Path | None = None

    def packed(self) -> bytes:
        """For the way to a worker, who looks at its version before anything else is unpacked."""
        return pickle.dumps(self)


@dataclass(frozen=True)
class Build:
    """What the bytes of outputs depend on, beside the version of this package.

    Attributes:
        machine: its name.
        engine: `native`, `numpy` …
        numbers: the instruction set and kind of numbers, of the native engine.
        codec: libvips, and the encoders that its package brings.
    """

    machine: str
    engine: str
    numbers: str
    codec: str

    @classmethod
    def here(cls, recipe: Recipe) -> Build:
        """Of this process.

        Raises:
            FsrcnnError: the recipe's engine is not to be had here.
        """
        model = pretrained.FAMILIES[0] if recipe.model == models.AUTO else recipe.model
        network = next(iter(models.by_scale(model).values()))()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EngineWarning)
            engine = engines.create(network, recipe.engine, recipe.precision, recipe.threads)
        describe: Callable[[], str] = getattr(engine, "describe", lambda: "")
        return cls(socket.gethostname(), engine.name, describe(), _codec())


@dataclass(frozen=True)
class Result:
    """What a task sends back.

    Attributes:
        build: of the worker.
        outcomes: by the number of the job in its task; those of a task that was stopped are not all.
        seconds: that they took.
        unseen: jobs whose source does not exist on the worker's machine.
        refusal: why nothing was done, and nothing will be on this machine.
    """

    build: Build
    outcomes: dict[int, batch.Outcome]
    seconds: float
    unseen: frozenset[int] = frozenset()
    refusal: FsrcnnError | None = None


def task() -> Callable[[str, bytes, bytes], Any]:
    """The function that Ray sends to workers: by its code, not by its name, so that any worker can say that it is of another version.

    It returns a `Result`; or (machine, version, why) where it finds another version of this package, or none.
    """

    def fsrcnn_upscale(version: str, kit: bytes, jobs: bytes) -> Any:
        import socket

        found = None
        try:
            import fsrcnn

            found = fsrcnn.__version__
            if found == version:
                from fsrcnn.cluster import worker

                return worker.work(kit, jobs)
        except ImportError as error:
            return socket.gethostname(), found, str(error)
        return socket.gethostname(), found, ""

    return fsrcnn_upscale


def work(kit: bytes, jobs: bytes) -> Result:
    """A task: jobs, packed, with an upscaler that is made once in a process."""
    build, upscaler, packed, refusal = _tools(kit)
    if refusal is None:
        refusal = _unseen_folder(packed.mark, build.machine)
    if upscaler is None or refusal is not None:
        return Result(build, {}, 0.0, refusal=refusal)
    todo: Sequence[Job] = pickle.loads(jobs)
    outcomes: dict[int, batch.Outcome] = {}
    failures: list[BaseException] = []
    control, started = Control(packed.recipe.threads), time.perf_counter()

    def run() -> None:
        try:
            for number, outcome in enumerate(batch.run_all(todo, upscaler, packed.size, packed.options, control)):
                outcomes[number] = outcome
        except BaseException as error:
            failures.append(error)

    # In a thread of its own: Ray stops a task by an exception in the main one, which may come anywhere.
    thread = threading.Thread(target=run, name="fsrcnn task")
    thread.start()
    stopped = False
    while thread.is_alive():
        try:
            thread.join(0.1)
        except KeyboardInterrupt:
            stopped = True
            control.cancel()
        except BaseException:  # this process is to end
            control.cancel()
            raise
    if failures and not stopped:
        raise failures[0]
    unseen = frozenset(number for number, outcome in outcomes.items() if outcome.error and _absent(outcome.job))
    return Result(build, outcomes, time.perf_counter() - started, unseen)


@lru_cache(1)
def _tools(kit: bytes) -> tuple[Build, Upscaler | None, Kit, FsrcnnError | None]:
    packed: Kit = pickle.loads(kit)
    recipe = packed.recipe
    try:
        build = Build.here(recipe)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EngineWarning)  # the driver says it
            upscaler = Upscaler(
                recipe.model,
                scale=recipe.scale, engine=recipe.engine, precision=recipe.precision, threads=recipe.threads,
            )  # fmt: skip
    except FsrcnnError as error:
        machine = socket.gethostname()
        return Build(machine, "", "", ""), None, packed, error.named(f"the worker on {machine}")
    upscaler.label = recipe.label
    return build, upscaler, packed, None


def _codec() -> str:
    """The version of libvips, and that of the package with its encoders where it comes from one."""
    pyvips = libvips()
    number = ".".join(str(pyvips.version(part)) for part in range(3))
    try:
        return f"{number} (pyvips-binary {version('pyvips-binary')})"
    except PackageNotFoundError:
        return number


def _unseen_folder(mark: Path | None, machine: str) -> FsrcnnError | None:
    if mark is None:
        return None
    for _ in range(MARK_SECONDS * 4):
        if mark.exists():
            return None
        time.sleep(0.25)
    return FsrcnnError(
        f"the worker on {machine} does not see the folder {mark.parent}",
        "a cluster of several machines needs a file system that all of them share, or an object store as s3://bucket/out/",
    )


def _absent(job: Job) -> bool:
    with contextlib.suppress(FsrcnnError):
        return isinstance(job.source, Path) and kind(job.source) == "absent"
    return False
