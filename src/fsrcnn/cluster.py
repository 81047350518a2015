"""Many pictures on many machines: the jobs of `batch.py`, handed to the workers of a Ray cluster."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from fsrcnn import batch, models
from fsrcnn.parallel import Control
from fsrcnn.planning import Job
from fsrcnn.require import require
from fsrcnn.size import Size
from fsrcnn.upscaler import Upscaler


@dataclass(frozen=True)
class Recipe:
    """What a worker makes its `Upscaler` of.

    Attributes:
        model: a name that every worker knows, or the network itself.
        label: what `Done.model` calls it.
        threads: CPUs of each worker.
    """

    model: models.ModelName
    label: str
    scale: float | None = None
    engine: str = "auto"
    precision: str = "exact"
    threads: int = 1


def run_all(
    jobs: Iterable[Job],
    recipe: Recipe,
    size: Size,
    options: batch.Options | None = None,
    control: Control | None = None,
    *,
    address: str,
) -> Iterator[batch.Outcome]:
    """Run jobs on a cluster; their outcomes as they come, not in the order of the jobs.

    Args:
        jobs: drawn as workers are free, never all at once.
        address: `local` (Ray on this machine), `auto` (the cluster that this machine belongs to), or the address of one.

    Raises:
        MissingExtraError: Ray is not installed.
        Cancelled: through the control, after the outcomes of all that had been written.
    """
    ray = require("ray", "clusters", extra="cluster")
    ray.init(None if address == "local" else address, include_dashboard=False, log_to_driver=False)
    task = ray.remote(_run).options(num_cpus=recipe.threads)
    waiting: list[Any] = []
    drawn = iter(jobs)
    while True:
        while len(waiting) < 8 and (some := list(itertools.islice(drawn, 8))):
            waiting.append(task.remote(some, recipe, size, options))
        if not waiting:
            return
        ready, waiting = ray.wait(waiting)
        yield from ray.get(ready[0])


@cache
def _upscaler(recipe: Recipe) -> Upscaler:
    made = Upscaler(
        recipe.model, scale=recipe.scale, engine=recipe.engine, precision=recipe.precision, threads=recipe.threads
    )
    made.label = recipe.label
    return made


def _run(jobs: list[Job], recipe: Recipe, size: Size, options: batch.Options | None) -> list[batch.Outcome]:
    return list(batch.run_all(jobs, _upscaler(recipe), size, options))
