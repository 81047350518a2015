"""Peak memory of `fsrcnn upscale` on a large picture: what lies above its decoded pixels and the result's?

    python benchmarks/memory.py                    # 100 megapixels, ×2
    python benchmarks/memory.py --megapixels 25

The bar of the whole command is 200 MB above the two pictures (design: memory does not grow with the picture). The native engine by
itself may take 64 MB above them; that is measured in a process that holds both pictures before it calls the engine.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from fsrcnn import cli, images
from fsrcnn.arguments import number
from fsrcnn.errors import UsageError
from machine import outcome, save

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "astronaut.png"


NATIVE_PART = """
import sys, numpy as np
from fsrcnn import engines, pretrained
from fsrcnn.parallel import Control
from fsrcnn.planes import Planes
side = int(sys.argv[1])
engine = engines.create(pretrained.load("fsrcnn-x2"), "native")
pixels = Planes.of(np.full((side, side, 3), 99, np.uint8))
result = Planes.of(np.full((2 * side, 2 * side, 3), 99, np.uint8))
def peak(): return int([line for line in open("/proc/self/status") if line.startswith("VmHWM")][0].split()[1])
before = peak()
engine.planes(pixels, result, Control(int(sys.argv[2])))
print((peak() - before) / 1000)
"""


def native_megabytes(side: int, threads: int) -> float:
    """By how much the engine's call raises the peak of a process that holds both pictures."""
    command = [sys.executable, "-c", NATIVE_PART, str(side), str(threads)]
    return round(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megapixels", type=float, default=100)
    parser.add_argument("--scale", default="2")
    parser.add_argument("--format", default="png")
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    allowed = "a number above 0"
    if not number(arguments.megapixels, "megapixels", allowed) > 0:
        raise UsageError(f"is {allowed}, not {arguments.megapixels:g}", argument="megapixels")
    side = math.ceil(math.sqrt(arguments.megapixels * 1e6))
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "large.png", Path(folder) / f"larger.{arguments.format}"
        tile = images.read(EXAMPLE).pages[0]
        times = -(-side // tile.shape[0])
        images.write(images.Picture((np.tile(tile, (times, times, 1))[:side, :side],), "png"), source)
        command = [sys.executable, "-m", "fsrcnn", "upscale", str(source), "-m", "fsrcnn"]
        command += ["-s", arguments.scale, "-o", str(target)]
        started = time.perf_counter()
        with subprocess.Popen(command) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - started
        if process.returncode:
            raise SystemExit(process.returncode)
        factor = float(arguments.scale)
        pixels_in = side * side * 3
        pixels_out = round(side * factor) ** 2 * 3
        result = {
            "decoded_mb": round(pixels_in / 1e6),
            "result_mb": round(pixels_out / 1e6),
            "peak_mb": round(usage.ru_maxrss * 1024 / 1e6),
            "above_both_mb": round((usage.ru_maxrss * 1024 - pixels_in - pixels_out) / 1e6),
            "native_part_mb": {
                f"{threads} thread{'s' if threads > 1 else ''}": native_megabytes(side, threads)
                for threads in (1, 2, 16)
            },
            "seconds": round(seconds, 1),
        }
        what = f"{side}×{side} RGB, 8 bit, PNG → {arguments.format}, ×{factor:g}"
        save(outcome(what, result), arguments.save)


if __name__ == "__main__":
    cli.run(main)
