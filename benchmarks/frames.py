"""Pictures in memory through `Upscaler` and engines, 1920×1080 to 3840×2160: this code beside the code before, in turn.

    python benchmarks/frames.py --before OLD/.venv/bin/python [--rounds 9] [--threads 2] [--save FILE]

Two processes stay alive and take turns, so neither start-up nor the machine's mood counts. 8-bit RGB goes through `Upscaler`, which
both know; 8- and 10-bit 4:2:0 frames and luma go through `engine.planes` and are timed in this code alone. Median milliseconds, and
for what both can do the median of the ratios of neighbouring rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from fsrcnn import cli
from machine import check_counts, outcome, save

WORKER = """
import json, sys, time
import numpy as np
import fsrcnn
from fsrcnn import Upscaler

threads, height, width = int(sys.argv[1]), 1080, 1920
generator = np.random.default_rng(0)

def noise(rows, columns, peak=255, dtype=np.uint8):
    return generator.integers(0, peak + 1, (rows, columns), dtype=dtype)

rgb = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
runs = {}
for model in ("fsrcnn", "fsrcnn-s", "fsrcnn-x"):
    for precision in ("exact", "fast"):
        upscaler = Upscaler(model, scale=2, engine="native", threads=threads, precision=precision)
        runs[f"{model} {precision}, RGB"] = lambda upscaler=upscaler: upscaler(rgb)
        if "Planes" not in getattr(fsrcnn, "__all__", ()):
            continue
        from fsrcnn import Colour, Control, Planes
        from fsrcnn.planes import LAYOUTS
        for name, layout, depth, dtype in (
            ("luma", "grey", 8, np.uint8), ("4:2:0", "yuv420", 8, np.uint8), ("4:2:0, 10 bit", "yuv420", 10, np.uint16),
        ):
            colour = Colour("bt709", "limited", depth)
            made = []
            for factor in (1, 2):
                parts = [(factor * height, factor * width), *[(factor * height // 2, factor * width // 2)] * 2]
                arrays = [noise(*part, 2**depth - 1, dtype) for part in parts[: LAYOUTS[layout].components]]
                made.append(Planes(tuple(arrays), LAYOUTS[layout], colour))
            runs[f"{model} {precision}, {name}"] = (
                lambda engine=upscaler.engine(2), made=made: engine.planes(*made, Control(threads))
            )
for run in runs.values():
    run()
for line in sys.stdin:
    times = {}
    for name, run in runs.items():
        started = time.perf_counter()
        run()
        times[name] = 1000 * (time.perf_counter() - started)
    print(json.dumps(times), flush=True)
"""


class Worker:
    """A process that times all it can do whenever it is asked."""

    def __init__(self, interpreter: str, threads: int) -> None:
        self.process = subprocess.Popen(
            [interpreter, "-c", WORKER, str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def round(self) -> dict[str, float]:
        """Milliseconds of each run."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write("\n")
        stdin.flush()
        times: dict[str, float] = json.loads(stdout.readline())
        return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", help="another interpreter, with the code to compare with")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    check_counts(arguments, "rounds", "threads")
    interpreters = [sys.executable, *([arguments.before] if arguments.before else [])]
    workers = [Worker(interpreter, arguments.threads) for interpreter in interpreters]
    rounds: list[list[dict[str, float]]] = [[] for _ in workers]
    for number in range(arguments.rounds):
        for index in range(len(workers)) if number % 2 else reversed(range(len(workers))):
            rounds[index].append(workers[index].round())
        print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)
    for worker in workers:
        worker.process.communicate()
    results: dict[str, Any] = {}
    for name in rounds[0][0]:
        ours = [times[name] for times in rounds[0]]
        results[name] = {"milliseconds": round(statistics.median(ours), 1)}
        if len(workers) > 1 and name in rounds[1][0]:
            before = [times[name] for times in rounds[1]]
            results[name]["before"] = round(statistics.median(before), 1)
            ratio = statistics.median(now / then for now, then in zip(ours, before, strict=True))
            results[name]["ratio"] = round(ratio, 3)
    what = f"1920×1080 to 3840×2160 in memory, medians of {arguments.rounds} rounds in turn"
    save(outcome(what, results, [], arguments.threads), arguments.save)


if __name__ == "__main__":
    cli.run(main)
