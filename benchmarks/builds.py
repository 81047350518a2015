"""Several builds of the native engine beside each other, as compilers make them: 1920×1080 luma to 3840×2160, interleaved in one run.

    python benchmarks/builds.py gcc=build/…/_native.abi3.so zig=unpacked/fsrcnn/engines/_native.abi3.so [--save FILE]

Every instruction set that this processor has (or `--instruction-sets`), in both precisions. Says, too, whether `fast` gives the same
bytes in all builds. Medians and minima in milliseconds, and ratios of minima to those of the first build.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from engines import photo
from fsrcnn import cli, pretrained
from fsrcnn.color import luma
from fsrcnn.engines import native
from fsrcnn.errors import UsageError
from fsrcnn.parallel import Control
from fsrcnn.planes import Planes
from machine import check_counts, outcome, save


def builds(given: list[str]) -> dict[str, Path]:
    """What is typed, NAME=LIBRARY, as paths by names.

    Raises:
        UsageError: no such pair, or no such file.
    """
    found = {}
    for pair in given:
        name, _, path = pair.partition("=")
        if not path:
            raise UsageError(f"a build is given as NAME=LIBRARY, as gcc=_native.abi3.so, not {pair!r}")
        if not Path(path).is_file():
            raise UsageError(f"{path} is no file")
        found[name] = Path(path)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "builds", nargs="+", metavar="NAME=LIBRARY", help="the first is what the others are compared with"
    )
    parser.add_argument("--models", nargs="+", default=["fsrcnn", "fsrcnn-s", "fsrcnn-x"])
    parser.add_argument(
        "--instruction-sets", nargs="+", choices=native.instruction_sets(), default=native.instruction_sets()
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--height", type=int, default=1080)
    parser.add_argument("--width", type=int, default=1920)
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    check_counts(arguments, "threads", "rounds", "height", "width")
    libraries = {name: native.opened(str(path)) for name, path in builds(arguments.builds).items()}
    plane = luma(photo(arguments.height, arguments.width))
    lr, sr = Planes.luma(plane), Planes.luma(np.empty((2 * plane.shape[0], 2 * plane.shape[1]), np.uint8))
    result: dict[str, Any] = {"milliseconds": {}, "ratios": {}, "fast_same_bytes": True}
    first = next(iter(libraries))
    for model in arguments.models:
        weights = pretrained.load(f"{model}-x2")
        for instruction_set in arguments.instruction_sets:
            for precision in ("exact", "fast"):
                case = f"{model} {precision}, {instruction_set}"
                engines = {}
                for name, library in libraries.items():
                    with patch.object(native, "library", lambda library=library: library):
                        engines[name] = native.NativeEngine(weights, precision, instruction_set)
                times: dict[str, list[float]] = {name: [] for name in engines}
                seen: set[bytes] = set()
                for number in range(arguments.rounds + 1):  # the first is for warming up
                    for name, engine in engines.items():
                        started = time.perf_counter()
                        engine.planes(lr, sr, Control(arguments.threads))
                        if number:
                            times[name].append((time.perf_counter() - started) * 1000)
                        else:
                            seen.add(sr.arrays[0].tobytes())
                if precision == "fast" and len(seen) > 1:
                    result["fast_same_bytes"] = False
                result["milliseconds"][case] = {
                    name: {"median": round(statistics.median(taken), 1), "min": round(min(taken), 1)}
                    for name, taken in times.items()
                }
                result["ratios"][case] = {name: round(min(times[name]) / min(times[first]), 3) for name in times}
                print(case, result["ratios"][case], file=sys.stderr)
    what = f"{arguments.width}×{arguments.height} luma, ×2, {arguments.rounds} rounds interleaved"
    save(outcome(what, result, threads=arguments.threads), arguments.save)


if __name__ == "__main__":
    cli.run(main)
