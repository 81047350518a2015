"""Peak memory of `fsrcnn upscale` on a large picture: what lies above its decoded pixels and the result's?

    python benchmarks/memory.py                    # 100 megapixels, ×2
    python benchmarks/memory.py --megapixels 25

The bar is 200 MB above the two pictures (design: memory does not grow with the picture).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from fsrcnn import images
from machine import description

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "astronaut.png"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megapixels", type=float, default=100)
    parser.add_argument("--scale", default="2")
    parser.add_argument("--format", default="png")
    arguments = parser.parse_args()
    side = round(math.sqrt(arguments.megapixels * 1e6))
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "large.png", Path(folder) / f"larger.{arguments.format}"
        tile = images.read(EXAMPLE).pages[0]
        times = -(-side // tile.shape[0])
        images.write(images.Picture((np.tile(tile, (times, times, 1))[:side, :side],), "png"), source)
        command = [sys.executable, "-m", "fsrcnn", "upscale", str(source), "-s", arguments.scale, "-o", str(target)]
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
            **description(),
            "picture": f"{side}×{side} RGB, 8 bit, PNG → {arguments.format}, ×{factor:g}",
            "decoded_mb": round(pixels_in / 1e6),
            "result_mb": round(pixels_out / 1e6),
            "peak_mb": round(usage.ru_maxrss * 1024 / 1e6),
            "above_both_mb": round((usage.ru_maxrss * 1024 - pixels_in - pixels_out) / 1e6),
            "seconds": round(seconds, 1),
        }
        print(json.dumps(result, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
