"""The whole command `fsrcnn upscale` on a 1920×1080 photo to 3840×2160, start-up included, and where its time goes.

    python benchmarks/photo_to_4k.py [--runs 5] [--save benchmarks/results/photo_to_4k.json]

The engines run in turn, A B A B …, each as a fresh process; medians, and ratios to the first. `network` and `colour` are
measured inside one process on the same pixels, tiles and threads: the network on the luma alone, and the whole of `upscale` with
pixel repetition in the network's place (RGB → YCbCr, chroma bicubic, YCbCr → RGB).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fsrcnn import Upscaler, images, imresize
from fsrcnn.architecture import Architecture
from fsrcnn.evaluation import LumaPlane
from fsrcnn.upscaler import SuperResolution, run_all, tiles_of
from machine import description

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "astronaut.png"


def photo() -> np.ndarray:
    """The example picture as a 1920×1080 photo."""
    return imresize(images.read(EXAMPLE).pages[0][100:388], output_size=(1080, 1920))


def command(engine: str, source: Path, target: Path) -> dict[str, float]:
    """Seconds of one whole command and of the parts that it reports."""
    arguments = [
        sys.executable,
        "-m",
        "fsrcnn",
        "upscale",
        str(source),
        "-s",
        "2",
        "-o",
        str(target),
        "--overwrite",
        "--json",
    ]
    started = time.perf_counter()
    printed = subprocess.run([*arguments, "--engine", engine], check=True, capture_output=True).stdout
    whole = time.perf_counter() - started
    done = json.loads(printed)["done"][0]
    parts = {"decode": done["read_seconds"], "upscale": done["upscale_seconds"], "encode": done["write_seconds"]}
    return {"whole": whole, "start-up": whole - sum(parts.values()), **parts}


def network_seconds(upscaler: Upscaler, pixels: np.ndarray) -> float:
    """The network alone, tiles and threads as in the command."""
    luma = (pixels[:, :, 0] / 255).astype(np.float32)
    engine = upscaler.engine(2)
    step = SuperResolution(LumaPlane(luma), engine)
    tiles = list(tiles_of(step.size, (engine.tile[0] * 2, engine.tile[1] * 2)))

    def compute(tile: tuple[int, int, int, int]) -> None:
        step.window(*tile)

    started = time.perf_counter()
    run_all(compute, tiles, upscaler.threads if engine.parallel else 1, None)
    return time.perf_counter() - started


class PixelRepetition:
    """An engine that costs next to nothing."""

    name = "repetition"
    parallel = True

    def __init__(self, architecture: Architecture, tile: tuple[int, int]) -> None:
        self.architecture, self.tile = architecture, tile

    def run(self, lr: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return lr.repeat(self.architecture.scale, axis=0).repeat(self.architecture.scale, axis=1)


def colour_seconds(upscaler: Upscaler, pixels: np.ndarray) -> float:
    """All of `upscale` but the network."""
    engine = upscaler.engine(2)
    other = Upscaler("fsrcnn", scale=2, threads=upscaler.threads if engine.parallel else 1)
    other.use(PixelRepetition(engine.architecture, engine.tile))
    started = time.perf_counter()
    other.array(pixels)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    names = ["numpy", *(["torch:cpu"] if find_spec("torch") else [])]
    pixels = photo()
    times: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "photo.png"
        images.write(images.Picture((pixels,), "png"), source)
        for _ in range(arguments.runs):
            for name in names:
                parts = command(name, source, Path(folder) / "photo_4k.png")
                upscaler = Upscaler("fsrcnn", scale=2, engine=name)
                parts["network"] = network_seconds(upscaler, pixels)
                parts["colour"] = colour_seconds(upscaler, pixels)
                times[name].append(parts)
    medians = {
        name: {part: round(statistics.median(run[part] for run in runs), 3) for part in runs[0]}
        for name, runs in times.items()
    }
    result = {**description(), "runs": arguments.runs, "seconds": medians}
    result["ratio"] = {name: round(medians[name]["whole"] / medians[names[0]]["whole"], 2) for name in names}
    text = json.dumps(result, indent=2, ensure_ascii=False)
    print(text)
    if arguments.save:
        arguments.save.write_text(text + "\n")


if __name__ == "__main__":
    main()
