"""Where the native engine's time goes: milliseconds per stage of the network, beside what the processor's arithmetic allows.

    python benchmarks/stages.py [--model fsrcnn-x2] [--rounds 5] [--save benchmarks/results/stages.json]

1920×1080 luma, one thread. Builds the engine once more, with clocks in it, in build/stages (CMake and a C++ compiler are needed). Two
floors for each stage: the paper's multiply-adds, and the products that are really taken (Winograd, Toom-Cook), at the measured peak.
"""

from __future__ import annotations

import argparse
import ctypes
import statistics
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from engines import peak, photo
from fsrcnn import cli, pretrained
from fsrcnn.architecture import Architecture
from fsrcnn.color import luma
from fsrcnn.engines import native
from fsrcnn.parallel import Control
from fsrcnn.planes import Planes
from machine import check_counts, outcome, save

ROOT = Path(__file__).resolve().parent.parent
STAGES = ("feature extraction", "shrinking", "mapping", "expanding", "deconvolution", "pixels")


def multiply_adds(a: Architecture) -> dict[str, tuple[float, float]]:
    """Stage → (multiply-adds per LR pixel as the paper counts them, products really taken)."""
    rows = [len(range(phase, a.deconvolution_kernel, a.scale)) for phase in range(a.scale)]
    direct = a.d * a.deconvolution_kernel**2
    mapping = 9 * a.m * a.s**2
    return {
        "feature extraction": (a.d * a.feature_kernel**2,) * 2,
        "shrinking": (a.d * a.s,) * 2,
        "mapping": (mapping, mapping * 4 / 6),
        "expanding": (a.d * a.s,) * 2,
        # Two rows of features times n kernel rows: n + 1 products instead of 2n.
        "deconvolution": (direct, a.d * a.deconvolution_kernel * sum(n + 1 for n in rows) / 2),
        "pixels": (0, 0),
    }


def timed_library() -> ctypes.CDLL:
    """The engine with clocks in it, put in the place of the installed one."""
    folder = ROOT / "build" / "stages"
    for arguments in (
        ["-S", ROOT / "native", "-B", folder, "-DFSRCNN_STAGES=ON"],
        ["--build", folder, "--target", "_native"],
    ):
        subprocess.run(["cmake", *map(str, arguments)], check=True, capture_output=True)

    def found(name: str) -> Any:
        return SimpleNamespace(origin=str(folder / "_native.abi3.so"))

    native.library.cache_clear()
    vars(native)["find_spec"] = found
    return native.library()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="fsrcnn-x2")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    check_counts(arguments, "rounds")
    clocks = (ctypes.c_double * len(STAGES)).in_dll(timed_library(), "fsrcnn_stage_time")
    plane = luma(photo(1080, 1920))
    weights = pretrained.load(arguments.model)
    scale = weights.architecture.scale
    lr, sr = Planes.luma(plane), Planes.luma(np.empty((scale * 1080, scale * 1920), np.uint8))
    best = native.instruction_sets()[0]
    rates = peak(1)
    result: dict[str, Any] = {"peak": rates}
    for precision, kind in (("exact", "float32, AVX-512"), ("fast", "16-bit pairs, VNNI")):
        rate = rates.get(kind, rates.get("float32, AVX2", {})).get("1 thread")
        engine = native.NativeEngine(weights, precision)
        engine.planes(lr, sr, Control(1))
        stages, whole = [], []
        for _ in range(arguments.rounds):
            before, started = list(clocks), time.perf_counter()
            engine.planes(lr, sr, Control(1))
            whole.append((time.perf_counter() - started) * 1000)
            stages.append([(after - earlier) * 1000 for after, earlier in zip(clocks, before, strict=True)])
        counts = multiply_adds(weights.architecture)
        pixels = plane.size
        result[precision] = {"whole": round(statistics.median(whole), 1), "stages": {}}
        for number, stage in enumerate(STAGES):
            paper, taken = counts[stage]
            floors = [round(count * pixels / rate / 1e6, 1) if rate else None for count in (paper, taken)]
            measured = round(statistics.median(times[number] for times in stages), 1)
            result[precision]["stages"][stage] = {
                "floor": floors[0],
                "floor_of_products": floors[1],
                "measured": measured,
            }
    save(outcome(f"{arguments.model}, 1920×1080, 1 thread, {best}", result, threads=1), arguments.save)


if __name__ == "__main__":
    cli.run(main)
