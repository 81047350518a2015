"""What a cluster costs beside one process: pictures of 1 megapixel on 1 and on 2 cores, whole processes in turn.

    python benchmarks/cluster.py [--photos 40] [--rounds 3] [--tiny 2000] [--save FILE]

`fsrcnn upscale` with as many threads as there are cores, and with `--cluster local` and a worker for each core; Ray's own processes
have the same cores. What counts is the time from the first results, one for each core, to the last. A machine that others use, too,
is faster and slower by a third from one run to the next, so the overhead is measured within each run: the time of the cores from
the first results to the last, for each second that its log says pictures took to be read, upscaled and written; on the cluster,
against the process just before it, the median of all rounds. The start is the time to the first result of two tiny pictures. A
folder of `--tiny` pictures says what a picture costs the driver: its own CPU seconds, with a log, from which follows how many
pictures a second a driver could hand out and take back, however many machines do the work.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from folder import make_photos
from fsrcnn import cli, images
from machine import check_counts, outcome, save

HEIGHT, WIDTH = 864, 1152
WORKER = b"ray::fsrcnn upscale"  # what Ray calls a worker's process
WAYS = ("process", "cluster")
# The command, which says at its end what it has used itself.
COMMAND = """
import atexit, json, resource, sys
def say():
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]), file=sys.stderr)
atexit.register(say)
from fsrcnn.cli import main
main()
"""


class Run(NamedTuple):
    """A process.

    Attributes:
        start: seconds to the first result.
        each: seconds for each result after the first ones, one for each core.
        slack: seconds of the cores meanwhile, for each second that pictures took.
        cpu: seconds, of the process itself.
        memory, worker: peaks in MB, of the process itself and of a worker.
    """

    start: float
    each: float
    slack: float
    cpu: float
    memory: float
    worker: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tiny", type=int, default=2000)
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    check_counts(arguments, "photos", "rounds", "tiny")
    with tempfile.TemporaryDirectory() as folder:
        results = measure(Path(folder), arguments)
    what = (
        f"{arguments.photos} photos of {WIDTH}×{HEIGHT} (JPEG and PNG) to {2 * WIDTH}×{2 * HEIGHT}, model fsrcnn, from the first "
        f"results to the last, {arguments.rounds} rounds in turn; {arguments.tiny:,} pictures of 8×8 pixels for the driver"
    )
    save(outcome(what, results, ["ray"]), arguments.save)


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Make the pictures and run everything on them; the results of `outcome`."""
    make_photos(folder / "photos", arguments.photos, HEIGHT, WIDTH, ("jpg", "png"))
    make_tiny(folder / "two", 2)
    make_tiny(folder / "tiny", arguments.tiny)
    all_cores = sorted(os.sched_getaffinity(0))
    counts = [count for count in (1, 2) if count <= len(all_cores)]
    photos: dict[tuple[int, str], list[Run]] = {(count, way): [] for count in counts for way in WAYS}
    starts: dict[str, list[Run]] = {way: [] for way in WAYS}
    drivers = []
    for _ in range(arguments.rounds):
        for (count, way), runs in photos.items():
            os.sched_setaffinity(0, all_cores[:count])  # inherited by all that is measured
            runs.append(run(folder, "photos", way, count))
        for way, runs in starts.items():
            runs.append(run(folder, "two", way, counts[-1]))
        drivers.append(run(folder, "tiny", "cluster", counts[-1]))

    def median(runs: list[Run], what: str) -> float:
        return float(statistics.median(getattr(run, what) for run in runs))

    cores = {}
    for count in counts:
        each = {way: median(photos[count, way], "each") for way in WAYS}
        pairs = zip(*(photos[count, way] for way in WAYS), strict=True)
        ratios = [cluster.slack / process.slack for process, cluster in pairs]
        cores[str(count)] = {
            "seconds_per_picture": {way: round(seconds, 4) for way, seconds in each.items()},
            "overhead_percent": round(100 * (statistics.median(ratios) - 1), 1),
        }
    cpu = (median(drivers, "cpu") - median(starts["cluster"], "cpu")) / (arguments.tiny - 2)
    return {
        "cores": cores,
        "start_seconds": {way: round(median(starts[way], "start"), 2) for way in WAYS},
        "driver": {
            "cpu_milliseconds_per_picture": round(1000 * cpu, 3),
            "pictures_per_second": round(1 / cpu),
            "memory_mb": round(median(drivers, "memory")),
        },
        "worker_memory_mb": round(max(run.worker for runs in photos.values() for run in runs)),
    }


def make_tiny(folder: Path, count: int) -> None:
    folder.mkdir()
    data = images.write(images.Picture((np.full((8, 8, 3), 127, np.uint8),), "png"), None).data
    assert data is not None
    for number in range(count):
        (folder / f"{number:06}.png").write_bytes(data)


def run(folder: Path, pictures: str, way: str, cores: int) -> Run:
    """A command on the pictures of a folder.

    Raises:
        SystemExit: it fails.
    """
    with tempfile.TemporaryDirectory(dir=folder) as output:
        command = [
            sys.executable,
            "-c",
            COMMAND,
            "upscale",
            str(folder / pictures),
            "-o",
            f"{output}/out",
            "-m",
            "fsrcnn",
        ]
        command += ["--log", f"{output}/log.jsonl"]
        command += ["--cluster", "local", "--threads", "1"] if way == "cluster" else ["--threads", str(cores)]
        started, times, worker, line = time.perf_counter(), [], [0.0], ""
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.25):
                worker[0] = max(worker[0], peak_of_workers())

        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        watching = threading.Thread(target=watch)
        if way == "cluster":
            watching.start()
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if line.startswith(output):  # a result, as it is said
                    times.append(time.perf_counter() - started)
            process.wait()
            records = [json.loads(record) for record in (Path(output) / "log.jsonl").read_text().splitlines()]
        finally:
            process.terminate()  # where this one was stopped
            ended.set()
    if process.returncode:
        sys.exit(f"{' '.join(command[3:])}: {line}")
    cpu, memory = json.loads(line)
    took = [sum(record["seconds"].values()) for record in records if "seconds" in record]
    passed, busy = times[-1] - times[cores - 1], sum(took[cores:])
    slack = passed * cores / busy if busy else 1.0
    return Run(times[0], passed / max(1, len(times) - cores), slack, cpu, memory, worker[0])


def peak_of_workers() -> float:
    """The most memory that a worker has had so far, in MB."""
    most = 0.0
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, StopIteration):
            if (path / "cmdline").read_bytes().startswith(WORKER):
                line = next(line for line in (path / "status").read_text().splitlines() if line.startswith("VmHWM:"))
                most = max(most, int(line.split()[1]) / 1024)
    return most


if __name__ == "__main__":
    cli.run(main)
