"""The whole command `fsrcnn upscale` on a 1920×1080 photo to 3840×2160, start-up included, beside an OpenCV script that does the same.

    python benchmarks/photo_to_4k.py [--runs 5] [--save benchmarks/results/photo_to_4k.json]

PNG in, PNG out, fresh processes in turn, A B C A B C …; medians, and what part of the others' time the first takes. Decoding,
upscaling and encoding are what the command reports of itself, start-up is the rest. OpenCV's script needs `--opencv-graph`, the file
FSRCNN_x2.pb that its users download.
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

from engines import GRAPHS, photo
from fsrcnn import cli, images
from machine import check_counts, outcome, save

OPENCV_SCRIPT = Path(__file__).resolve().parent / "opencv_upscale.py"
OURS = {
    "native": ("--model", "fsrcnn", "--engine", "native"),
    "native, fast": ("--model", "fsrcnn", "--engine", "native", "--precision", "fast"),
    "native, model chosen": ("--engine", "native"),
    "numpy": ("--model", "fsrcnn", "--engine", "numpy"),
}


def command(options: tuple[str, ...], source: Path, target: Path) -> dict[str, float]:
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
    printed = subprocess.run([*arguments, *options], check=True, capture_output=True).stdout
    whole = time.perf_counter() - started
    done = json.loads(printed)["done"][0]
    parts = {"decode": done["read_seconds"], "upscale": done["upscale_seconds"], "encode": done["write_seconds"]}
    return {"whole": whole, "start-up": whole - sum(parts.values()), **parts}


def opencv(graph: Path, source: Path, target: Path) -> dict[str, float]:
    started = time.perf_counter()
    subprocess.run([sys.executable, str(OPENCV_SCRIPT), str(graph), str(source), str(target)], check=True)
    return {"whole": time.perf_counter() - started}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--opencv-graph", type=Path, default=GRAPHS / "FSRCNN_x2.pb")
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    check_counts(arguments, "runs")
    ours = {**OURS, **({"torch:cpu": ("--engine", "torch:cpu")} if find_spec("torch") else {})}
    with_opencv = find_spec("cv2") is not None and arguments.opencv_graph.exists()
    if not with_opencv:
        print(
            "left out: OpenCV's script; it needs requirements-bench.txt and --opencv-graph FSRCNN_x2.pb",
            file=sys.stderr,
        )
    times: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "photo.png", Path(folder) / "photo_4k.png"
        images.write(images.Picture((photo(1080, 1920),), "png"), source)
        for _ in range(arguments.runs):
            for name, options in ours.items():
                times.setdefault(name, []).append(command(options, source, target))
            if with_opencv:
                times.setdefault("OpenCV script", []).append(opencv(arguments.opencv_graph, source, target))
    medians = {
        name: {part: round(statistics.median(run[part] for run in runs), 3) for part in runs[0]}
        for name, runs in times.items()
    }
    first = next(iter(medians))
    native_to = {name: round(medians[first]["whole"] / parts["whole"], 3) for name, parts in medians.items()}
    what = f"1920×1080 photo to a 3840×2160 PNG, whole command, {arguments.runs} runs in turn"
    results = {"runs": arguments.runs, "seconds": medians, "native_to": native_to}
    save(outcome(what, results, ["opencv-contrib-python-headless"] if with_opencv else []), arguments.save)


if __name__ == "__main__":
    cli.run(main)
