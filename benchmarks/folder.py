"""A folder of 1920×1080 photos to 3840×2160, JPEG to PNG and JPEG to JPEG: pictures per second of whole processes, in turn.

    python benchmarks/folder.py [--photos 100] [--rounds 3] [--threads 2] [--before OLD/.venv/bin/python] [--save FILE]

Beside `fsrcnn upscale` run: the same by other code of this package, where `--before` gives an interpreter that has it installed (its
files are compared byte for byte); `opencv_upscale.py`, which needs `--opencv-graph`, the file FSRCNN_x2.pb that OpenCV's users
download; and `openvino_upscale.py`, with our weights. The two scripts take `--peer-photos` of the photos, for they are slow. All
processes may use the same `--threads` processors. CPU seconds per picture, divided by the threads, are the least time it could take.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from engines import GRAPHS, onnx_model, photo
from fsrcnn import cli, images, pretrained
from machine import check_counts, outcome, save

HERE = Path(__file__).resolve().parent
HEIGHT, WIDTH = 1080, 1920
NOISE = 2.0  # standard deviation in levels, about what a camera adds
PACKAGES = {"cv2": "opencv-contrib-python-headless", "openvino": "openvino", "onnx": "onnx"}


def make_photos(
    folder: Path, count: int, height: int = HEIGHT, width: int = WIDTH, formats: Sequence[str] = ("jpg",)
) -> None:
    """Photos that differ as photos do: other parts of a picture, mirrored or not, each with noise of its own; the formats in turn."""
    larger = photo(height * 10 // 9, width * 10 // 9)
    generator = np.random.default_rng(0)
    folder.mkdir()
    for number in range(count):
        top, left = (int(generator.integers(0, side // 9)) for side in (height, width))
        part = larger[top : top + height, left : left + width]
        noisy = (part[:, ::-1] if number % 2 else part) + generator.normal(0, NOISE, part.shape)
        pixels = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
        format = formats[number % len(formats)]
        images.write(images.Picture((pixels,), format), folder / f"{number:03}.{format}")


def seconds(command: list[str]) -> tuple[float, float]:
    """Wall-clock and CPU seconds of a process."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    finished = subprocess.run(command, capture_output=True, text=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if finished.returncode:
        sys.exit(f"{' '.join(command)}: {finished.stderr}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def rates(runs: dict[str, list[tuple[float, float]]]) -> dict[str, dict[str, float]]:
    """Of (wall-clock, CPU) seconds per picture of each run: medians, and how many times the others' pictures per second ours are."""
    per_second = {name: 1 / statistics.median(wall for wall, _ in pairs) for name, pairs in runs.items()}
    ours = {name: per_second["fsrcnn, fast" if name.endswith("fast") else "fsrcnn, exact"] for name in runs}
    return {
        "pictures_per_second": {name: round(rate, 3) for name, rate in per_second.items()},
        "cpu_seconds_per_picture": {
            name: round(statistics.median(cpu for _, cpu in pairs), 3) for name, pairs in runs.items()
        },
        "fsrcnn_to": {name: round(ours[name] / rate, 2) for name, rate in per_second.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=100)
    parser.add_argument("--peer-photos", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--before", help="another interpreter, with the code to compare with")
    parser.add_argument("--opencv-graph", type=Path, default=GRAPHS / "FSRCNN_x2.pb")
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    check_counts(arguments, "photos", "peer_photos", "rounds", "threads")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.threads])  # inherited by all that is measured
    with tempfile.TemporaryDirectory() as folder:
        results = measure(Path(folder), arguments)
    what = (
        f"{arguments.photos} photos of {WIDTH}×{HEIGHT} to {2 * WIDTH}×{2 * HEIGHT}, whole processes, "
        f"{arguments.rounds} rounds in turn"
    )
    save(
        outcome(what, results, [PACKAGES[name] for name in PACKAGES if find_spec(name)], arguments.threads),
        arguments.save,
    )


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Make the photos and run everything on them; the results of `outcome`."""
    few = min(arguments.peer_photos, arguments.photos)
    make_photos(folder / "photos", arguments.photos)
    (folder / "few").mkdir()
    for path in sorted((folder / "photos").iterdir())[:few]:
        (folder / "few" / path.name).symlink_to(path)

    interpreters = {"fsrcnn": sys.executable, **({"before": arguments.before} if arguments.before else {})}
    scripts: dict[str, list[str]] = {}
    if find_spec("cv2") and arguments.opencv_graph.exists():
        scripts["OpenCV script"] = [str(HERE / "opencv_upscale.py"), str(arguments.opencv_graph)]
    if find_spec("cv2") and find_spec("openvino") and find_spec("onnx"):
        (folder / "model.onnx").write_bytes(onnx_model(pretrained.load("fsrcnn-x2"), HEIGHT, WIDTH))
        scripts["OpenVINO script"] = [str(HERE / "openvino_upscale.py"), str(folder / "model.onnx")]
    if len(scripts) < 2:
        print("left out: a script of OpenCV or OpenVINO; see requirements-bench.txt and -h", file=sys.stderr)

    runs: dict[str, dict[str, list[tuple[float, float]]]] = {"png": {}, "jpg": {}}
    differing: list[str] = []
    for number in range(arguments.rounds):
        for format, taken in runs.items():
            for name, interpreter in interpreters.items():
                for precision in ("exact", "fast"):
                    target = folder / f"{name}-{precision}-{format}"
                    command = [interpreter, "-m", "fsrcnn", "upscale", str(folder / "photos"), "-o", str(target)]
                    command += ["-m", "fsrcnn", "--format", format, "--precision", precision, "--overwrite", "-s", "2"]
                    wall, cpu = seconds(command)
                    taken.setdefault(f"{name}, {precision}", []).append(
                        (wall / arguments.photos, cpu / arguments.photos)
                    )
            for name, script in scripts.items():
                target = folder / f"{name}-{format}"
                target.mkdir(exist_ok=True)
                wall, cpu = seconds([sys.executable, *script, str(folder / "few"), str(target), f".{format}"])
                taken.setdefault(name, []).append((wall / few, cpu / few))
            print(f"jpg to {format}: round {number + 1} of {arguments.rounds}", file=sys.stderr)
    for path in folder.glob("before-*/*") if arguments.before else ():
        ours = folder / path.parent.name.replace("before", "fsrcnn") / path.name
        if not filecmp.cmp(path, ours, shallow=False):
            differing.append(f"{path.parent.name}/{path.name}")
    results: dict[str, Any] = {f"jpg to {format}": rates(taken) for format, taken in runs.items()}
    return {**results, **({"files_that_differ_from_before": differing} if arguments.before else {})}


if __name__ == "__main__":
    cli.run(main)
