"""What an archive of pictures takes: machines, hours, bytes, requests and money, and which limit binds first.

    python benchmarks/archive.py --save benchmarks/results/archive.json      # measures what a picture costs, and models 10⁶ and 10⁹
    python benchmarks/archive.py --remodel --save benchmarks/results/archive.json
    python benchmarks/archive.py --pictures 1000000 --megapixels 12 --cores 512      # your own numbers, from the saved measurement

Measured, on one core: CPU seconds, bytes in and out and the peak memory of a process that reads a photo of 1 megapixel, upscales it ×2
with the model `fsrcnn`, and writes it. Taken from `cluster.json` and `listing.json`, where these are: how many pictures a driver can
hand out per second, what a picture costs more on a cluster, and what listing a million keys costs beside the store's own time;
`--remodel` computes the model anew from the saved measurement, when one of these has changed. All else is assumed, and named below;
each assumption is an option, too.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from engines import photo
from fsrcnn import cli, images
from fsrcnn.arguments import number, whole_number
from fsrcnn.errors import UsageError
from machine import RESULTS, check_counts, load, outcome, save

HEIGHT, WIDTH = 866, 1155  # 1.0002 megapixels, 4:3
NOISE = 2.0  # standard deviation in levels, about what a camera adds
FORMATS = ("jpg", "png")
PRECISIONS = ("fast", "exact")
MACHINE_CORES = 16
SIZES = ((10**6, 1), (10**6, 64), (10**6, 1024), (10**9, 1), (10**9, 64), (10**9, 1024))
"""Pictures, and machines of `MACHINE_CORES` cores."""

WORKER = """
import json, sys, time
from pathlib import Path
from fsrcnn import Size, Upscaler
source, target, precision, pictures = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
upscaler, size = Upscaler("fsrcnn", scale=2, threads=1, precision=precision), Size(factor=2)
taken = []
for _ in range(pictures + 1):  # the first one loads libraries and weights
    started = time.process_time()
    upscaler(source, size=size, output=target, overwrite=True)
    taken.append(time.process_time() - started)
print(json.dumps({"seconds": taken[1:], "bytes_out": target.stat().st_size,
                  "peak_mb": int([line for line in open("/proc/self/status") if line.startswith("VmHWM")][0].split()[1]) * 1.024e-3}))
"""


@dataclass(frozen=True)
class Cost:
    """What a megapixel of a picture costs, measured.

    Attributes:
        cpu_seconds: of one core.
        bytes_in, bytes_out: of its file and of the result's.
    """

    cpu_seconds: float
    bytes_in: float
    bytes_out: float

    def of(self, megapixels: float) -> Cost:
        """What a whole picture costs: all three grow with its pixels."""
        return Cost(self.cpu_seconds * megapixels, self.bytes_in * megapixels, self.bytes_out * megapixels)


@dataclass(frozen=True)
class Assumed:
    """What nobody measured here. Put in your own.

    Attributes:
        page_keys: keys in a page of a listing (S3's ListObjectsV2: at most 1,000).
        page_seconds: a page takes, one after the other; 0.05 to 0.1 is usual.
        gets: GET requests for a picture, in the prefix of the sources.
        heads: HEAD requests for it, in that of the results: whether its target exists; 0 with --overwrite.
        puts: PUT requests for it, in that of the results.
        prefix_gets, prefix_puts: requests per second of a prefix as S3 publishes them: 5,500 GET or HEAD, 3,500 PUT or DELETE.
        network_gbit: of a machine, per second, in each direction.
        log_bytes: of a picture in the log: its line, and its names when it is handed out.
        core_hour: price of a core for an hour.
        thousand_gets, thousand_puts: price of 1,000 requests; a page of a listing costs what a PUT costs.
        gigabyte_month: price of keeping 10⁹ bytes for a month.
        driver_rate: pictures per second that a driver hands out; 0: not known, so no limit.
    """

    page_keys: int = 1000
    page_seconds: float = 0.1
    gets: int = 1
    heads: int = 1
    puts: int = 1
    prefix_gets: float = 5500
    prefix_puts: float = 3500
    network_gbit: float = 10
    log_bytes: int = 500
    core_hour: float = 0.04
    thousand_gets: float = 0.0004
    thousand_puts: float = 0.005
    gigabyte_month: float = 0.023
    driver_rate: float = 0


def compute_rate(cost: Cost, cores: int) -> float:
    """Pictures per second that the cores can do. 0.5 s each on 16 cores: 32."""
    return cores / cost.cpu_seconds


def limits(cost: Cost, machines: int, assumed: Assumed) -> dict[str, float]:
    """Pictures per second that each thing but the cores lets through, with one driver, one prefix of sources and one of results.

    The network carries both directions at once, so the larger one counts. 10 Gbit/s and 1 MB: 1,250 pictures per second and machine.
    """
    largest = max(cost.bytes_in, cost.bytes_out)
    found = {
        "listing": assumed.page_keys / assumed.page_seconds,
        "reading from a prefix": assumed.prefix_gets / max(assumed.gets, assumed.heads),
        "writing to a prefix": assumed.prefix_puts / assumed.puts,
        "network": machines * assumed.network_gbit * 1e9 / 8 / largest,
    }
    return found | ({"driver": assumed.driver_rate} if assumed.driver_rate else {})


def pages(pictures: int, assumed: Assumed) -> int:
    """Requests that list so many keys once. 2,001 keys: 3."""
    return math.ceil(pictures / assumed.page_keys)


def drivers_needed(cost: Cost, cores: int, assumed: Assumed) -> int:
    """Drivers, each with a prefix of its own, until the cores are what binds."""
    per_driver = min(rate for name, rate in limits(cost, 1, assumed).items() if name != "network")
    return math.ceil(compute_rate(cost, cores) / per_driver)


def modelled(cost: Cost, pictures: int, machines: int, cores: int, assumed: Assumed) -> dict[str, Any]:
    """A run with one driver and one prefix, and how many of these would let all cores work.

    Args:
        cost: of a picture.
        pictures: in the archive.
        machines: that share the work.
        cores: of all machines.
        assumed: all else.
    """
    rates = {"cores": compute_rate(cost, cores), **limits(cost, machines, assumed)}
    binding = min(rates, key=lambda name: rates[name])
    several = min(rates["cores"], rates["network"])  # with drivers and prefixes enough
    listed = 2 * pages(pictures, assumed)  # to draw the jobs, and to count them
    hours = pictures / rates[binding] / 3600
    requests = {"get": pictures * (assumed.gets + assumed.heads), "put": pictures * assumed.puts, "list": listed}
    price = (
        requests["get"] * assumed.thousand_gets + (requests["put"] + requests["list"]) * assumed.thousand_puts
    ) / 1000
    return {
        "pictures": pictures, "machines": machines, "cores": cores,
        "binds_first": binding, "pictures_per_second": rates[binding], "hours": hours, "machine_hours": hours * machines,
        "drivers": drivers_needed(cost, cores, assumed),
        "hours_with_drivers": pictures / several / 3600,
        "bytes_in": pictures * cost.bytes_in, "bytes_out": pictures * cost.bytes_out, "log_bytes": pictures * assumed.log_bytes,
        "listing_seconds": pages(pictures, assumed) * assumed.page_seconds,
        "requests": requests,
        "price_of_cores": pictures / several / 3600 * cores * assumed.core_hour,
        "price_of_requests": price,
        "price_of_a_month": pictures * cost.bytes_out / 1e9 * assumed.gigabyte_month,
    }  # fmt: skip


def binding_cores(cost: Cost, assumed: Assumed) -> dict[str, dict[str, float]]:
    """For each limit its pictures per second, and the cores from which on it binds; the network's are those of one machine."""
    return {
        name: {"pictures_per_second": rate, "cores": rate * cost.cpu_seconds}
        for name, rate in limits(cost, 1, assumed).items()
    }


def measured_elsewhere() -> dict[str, float]:
    """From `cluster.json` and `listing.json`, as far as these are there; what is not is left out."""
    found = {}
    for name, path, label in (
        ("cluster", ("driver", "pictures_per_second"), "driver_rate"),
        ("cluster", ("cores", "1", "overhead_percent"), "overhead_percent"),
        ("listing", ("store", "jobs"), "listed"),
        ("listing", ("store", "seconds_to_the_last"), "listing_seconds"),
        ("listing", ("store", "memory_mb_at_most"), "listing_peak_mb"),
    ):
        value: Any = load(name)["results"] if (RESULTS / f"{name}.json").exists() else None
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, (int, float)):
            found[label] = float(value)
    return found


def measure(folder: Path, rounds: int, pictures: int) -> dict[str, Any]:
    """A megapixel's cost for each way: `jpg to png, fast` → its `Cost`, and the worker's peak memory."""
    pixels = photo(HEIGHT, WIDTH) + np.random.default_rng(0).normal(0, NOISE, (HEIGHT, WIDTH, 3))
    picture = images.Picture((np.clip(np.rint(pixels), 0, 255).astype(np.uint8),), "png")
    for format in FORMATS:
        images.write(picture, folder / f"photo.{format}", format=format)
    runs: dict[str, list[dict[str, Any]]] = {}
    for number_of_round in range(rounds):
        for source in FORMATS:
            for target in FORMATS:
                for precision in PRECISIONS:
                    command = [sys.executable, "-c", WORKER, str(folder / f"photo.{source}")]
                    command += [str(folder / f"larger.{target}"), precision, str(pictures)]
                    done = subprocess.run(command, capture_output=True, text=True, check=True)
                    runs.setdefault(f"{source} to {target}, {precision}", []).append(json.loads(done.stdout))
        print(f"round {number_of_round + 1} of {rounds}", file=sys.stderr)
    megapixels = HEIGHT * WIDTH / 1e6
    return {
        name: {
            "cpu_seconds": round(statistics.median(s for run in taken for s in run["seconds"]) / megapixels, 4),
            "bytes_in": round((folder / f"photo.{name[:3]}").stat().st_size / megapixels),
            "bytes_out": round(taken[0]["bytes_out"] / megapixels),
            "peak_mb": round(max(run["peak_mb"] for run in taken)),
        }
        for name, taken in runs.items()
    }


def cost_of(way: dict[str, float], elsewhere: dict[str, float]) -> Cost:
    """With what the cluster takes beside, where that is measured. 0.5 s and 4 %: 0.52 s."""
    overhead = max(0.0, elsewhere.get("overhead_percent", 0.0)) / 100
    return Cost(way["cpu_seconds"] * (1 + overhead), way["bytes_in"], way["bytes_out"])


def model(ways: dict[str, Any], elsewhere: dict[str, float], assumed: Assumed) -> dict[str, Any]:
    """The results of `outcome`."""
    cost = cost_of(ways["jpg to jpg, fast"], elsewhere)
    return {
        "ways": ways, "elsewhere": elsewhere, "assumed": asdict(assumed), "limits": binding_cores(cost, assumed),
        "model": [modelled(cost, count, machines, machines * MACHINE_CORES, assumed) for count, machines in SIZES],
    }  # fmt: skip


def positive(arguments: argparse.Namespace, name: str) -> None:
    """
    Raises:
        UsageError: that argument is not above 0.
    """
    value, allowed = getattr(arguments, name), "a number above 0"
    if value is not None and not number(value, name, allowed) > 0:
        raise UsageError(f"is {allowed}, not {value:g}", argument=name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="of the measurement")
    parser.add_argument("--repeats", type=int, default=5, help="pictures in each process of a round")
    parser.add_argument("--remodel", action="store_true", help="nothing is measured; the saved measurement is taken")
    parser.add_argument("--pictures", type=int, help="in your archive: nothing is measured, and the answer is printed")
    parser.add_argument("--megapixels", type=float, default=1.0, help="of each of them")
    parser.add_argument("--cores", type=int, default=MACHINE_CORES, help="of all machines")
    parser.add_argument("--machines", type=int, help=f"default: of {MACHINE_CORES} cores each")
    parser.add_argument("--way", default="jpg to jpg, fast", help="FORMAT to FORMAT, PRECISION")
    for field in fields(Assumed):
        if field.name != "driver_rate":
            kind = (
                int
                if isinstance(field.default, int) and field.name in ("page_keys", "gets", "heads", "puts", "log_bytes")
                else float
            )
            parser.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=field.default)
    parser.add_argument("--driver-rate", type=float, help="default: as cluster.json has it, else no limit")
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    check_counts(arguments, "rounds", "repeats", "cores")
    for name in ("megapixels", "driver_rate", *(field.name for field in fields(Assumed) if field.name != "heads")):
        positive(arguments, name)
    whole_number(arguments.heads, "heads", least=0)
    elsewhere = measured_elsewhere()
    given = {field.name: getattr(arguments, field.name) for field in fields(Assumed) if field.name != "driver_rate"}
    assumed = Assumed(**given, driver_rate=arguments.driver_rate or elsewhere.get("driver_rate", 0))
    if arguments.remodel:
        result = load("archive")
        save({**result, "results": model(result["results"]["ways"], elsewhere, assumed)}, arguments.save)
        return
    if arguments.pictures is None:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])  # inherited by all that is measured
        with tempfile.TemporaryDirectory() as folder:
            ways = measure(Path(folder), arguments.rounds, arguments.repeats)
        what = (
            f"a photo of {WIDTH}×{HEIGHT}, ×2, model fsrcnn, on one core; CPU seconds and bytes for each megapixel of the source, "
            f"medians of {arguments.rounds} rounds of {arguments.repeats} in turn"
        )
        save(outcome(what, model(ways, elsewhere, assumed), threads=1), arguments.save)
        return
    check_counts(arguments, "pictures", *(["machines"] if arguments.machines is not None else []))
    ways = load("archive")["results"]["ways"]
    if arguments.way not in ways:
        raise UsageError(f"is one of {'; '.join(ways)}, not {arguments.way!r}", argument="way")
    machines = arguments.machines or math.ceil(arguments.cores / MACHINE_CORES)
    cost = cost_of(ways[arguments.way], elsewhere).of(arguments.megapixels)
    print(json.dumps(modelled(cost, arguments.pictures, machines, arguments.cores, assumed), indent=2))


if __name__ == "__main__":
    cli.run(main)
