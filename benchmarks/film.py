"""A film of 1920×1080 to 3840×2160: the network in it, the whole command, and the same job by others' means, interleaved in one run.

    python benchmarks/film.py [--frames 60] [--rounds 3] [--threads 1 2] [--vapoursynth PYTHON] [--save benchmarks/results/film.json]

The film is made on the spot: H.264, CRF 18, a camera that moves over a mosaic of the example picture, with grain. First, frame by
frame, on decoded frames: the network alone (luma to luma), and all that is done with a frame between decoder and encoder. Then whole
processes, start-up included, x264 veryfast CRF 18: `fsrcnn video`; ffmpeg's Lanczos filter, in ffmpeg and in PyAV (with the x264 that
ours has); `film_peer.py` with OpenVINO, VapourSynth and OpenCV. All may use the same `--threads` processors. CPU seconds and the peak
of resident memory are those of the process, which has no children; "fsrcnn, Y4M" is without an encoder.

OpenVINO and OpenCV come from requirements-bench.txt, OpenCV's FSRCNN_x2.pb from `--opencv-graph`. VapourSynth needs Python 3.12 or
later, so an environment of its own (`pip install vapoursynth vapoursynth-mlrt-ov vapoursynth-bestsource av numpy`), and
`--vapoursynth` with its interpreter; `--plugin` adds ours. What is missing is left out, and said so. Linux.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from engines import EXAMPLE, GRAPHS, onnx_model
from fsrcnn import Control, Upscaler, UsageError, cli, images, pretrained
from fsrcnn.planes import LAYOUTS, Colour, Planes
from fsrcnn.video.colour import Tags
from fsrcnn.video.enlargement import Enlargement
from fsrcnn.video.formats import described
from fsrcnn.video.library import pyav
from machine import check_counts, outcome, save

HEIGHT, WIDTH, RATE = 1080, 1920, 24
GRAIN = 3.0  # standard deviation in levels, about that of film
TRIED = 6  # frames of which each is timed once a round
PEER = Path(__file__).resolve().parent / "film_peer.py"
PACKAGES = {"openvino": "openvino", "onnx": "onnx", "cv2": "opencv-contrib-python-headless"}
PRECISIONS = ("fast", "exact")
HINTS = {"bf16": "fast", "f32": "exact"}  # of OpenVINO, and what of ours stands beside it


class Usage(NamedTuple):
    """What a process took: seconds, and megabytes of resident memory at most."""

    wall: float
    cpu: float
    peak: float


def make_film(path: Path, count: int, size: tuple[int, int] = (HEIGHT, WIDTH)) -> Path:
    """A film of (height, width) as the docstring of this module has it."""
    av = pyav()
    height, width = size
    picture = images.read(EXAMPLE).pages[0]
    room = [(0, max(0, side * 5 // 4 - length)) for side, length in zip(size, picture.shape, strict=False)]
    mosaic = np.pad(picture, (*room, (0, 0)), "symmetric")
    generator = np.random.default_rng(0)
    down, right = (side - length for side, length in zip(mosaic.shape, size, strict=False))
    with av.open(str(path), "w") as target:
        video = target.add_stream("libx264", rate=RATE, options={"crf": "18"})
        video.height, video.width, video.pix_fmt = height, width, "yuv420p"
        for number in range(count):
            top = int(down * (1 - np.cos(number / 50)) / 2)
            left = int(right * (1 - np.cos(number / 70)) / 2)
            grain = GRAIN * generator.standard_normal((height, width, 1), np.float32)
            pixels = np.clip(np.rint(mosaic[top : top + height, left : left + width] + grain), 0, 255)
            target.mux(video.encode(av.VideoFrame.from_ndarray(pixels.astype(np.uint8), "rgb24")))
        target.mux(video.encode(None))
    return path


def run(command: list[str], seen: Callable[[float, float], object] = lambda seconds, megabytes: None) -> Usage:
    """Run a command to its end; `seen` is told again and again how many megabytes are resident.

    Raises:
        SystemExit: it fails; with what it says.
    """
    with tempfile.TemporaryFile("w+") as said:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
        peak = 0.0
        while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
            resident = memory(process.pid)
            peak = max(peak, resident.get("VmHWM", 0))
            seen(time.perf_counter() - started, resident.get("VmRSS", 0))
            time.sleep(0.02)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(ended[1])
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"{' '.join(command)}: {said.read()}")
    return Usage(wall, ended[2].ru_utime + ended[2].ru_stime, peak)


def memory(process: int) -> dict[str, float]:
    """Megabytes of a process, `VmRSS` now and `VmHWM` at most so far; empty once it has ended."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return {
        name: int(line.split()[1]) * 1024 / 1e6 for line in lines if (name := line.split(":")[0]) in ("VmRSS", "VmHWM")
    }


def of_frames(film: Path, models: list[str], threads: int, rounds: int) -> dict[str, Any]:
    """Milliseconds a frame of each model: the network alone, and all between decoder and encoder; decoding is not in it."""
    av = pyav()
    with av.open(str(film)) as source:
        decoded = source.decode(video=0)
        frames = [frame for frame, _ in zip(decoded, range(TRIED), strict=False)]
    result: npt.NDArray[np.uint8] = np.zeros((2 * HEIGHT, 2 * WIDTH), np.uint8)
    lumas = [luma(frame) for frame in frames]
    control = Control(threads)
    found: dict[str, Any] = {}
    for model in models:
        for precision in PRECISIONS:
            upscaler = Upscaler(model, scale=2, threads=threads, precision=precision)
            size, format = (2 * HEIGHT, 2 * WIDTH), described(frames[0].format.name)
            enlarge = Enlargement(upscaler, size, format, Tags(), threads=threads)
            taken: dict[str, list[float]] = {"network": [], "frame": []}
            for number in range(rounds + 1):  # the first is for warming up
                for frame, plane in zip(frames, lumas, strict=True):
                    started = time.perf_counter()
                    upscaler.planes(plane, Planes((result,), LAYOUTS["grey"], plane.colour), control)
                    between = time.perf_counter()
                    enlarge(frame)
                    ended = time.perf_counter()
                    if number:
                        taken["network"].append(1000 * (between - started))
                        taken["frame"].append(1000 * (ended - between))
            medians = {name: statistics.median(times) for name, times in taken.items()}
            found[f"{model}, {precision}"] = {
                **{name: round(median, 1) for name, median in medians.items()},
                "frame / network": round(medians["frame"] / medians["network"], 3),
            }
            print(f"{threads} threads: {model}, {precision}: {found[f'{model}, {precision}']}", file=sys.stderr)
    return found


def luma(frame: Any) -> Planes:
    """Of a decoded frame, row by row without what lies behind the rows."""
    lines = np.frombuffer(frame.planes[0], np.uint8).reshape(-1, frame.planes[0].line_size)
    return Planes((lines[: frame.height, : frame.width],), LAYOUTS["grey"], Colour(range="limited"))


def jobs(folder: Path, threads: int, arguments: argparse.Namespace) -> Iterator[tuple[str, list[str]]]:
    """What is run for whole films: its name, and the command."""
    film, target = str(folder / "film.mkv"), str(folder / "out.mkv")
    ours = [sys.executable, "-m", "fsrcnn", "video", film, "-s", "2", "--threads", str(threads), "--overwrite"]
    for model in arguments.models:
        for precision in PRECISIONS:
            yield f"fsrcnn video, {model} {precision}", [*ours, "-o", target, "-m", model, "--precision", precision]
    yield f"fsrcnn video, {arguments.models[0]} fast, Y4M", [*ours, "-o", "-", "-m", arguments.models[0]]
    peer = [str(PEER), str(threads), film, target]
    yield "Lanczos, PyAV", [sys.executable, *peer, "lanczos"]
    if shutil.which("ffmpeg"):
        few = ["-threads", str(threads)]
        yield "Lanczos, ffmpeg", [
            "ffmpeg", "-v", "error", "-nostdin", "-y", "-filter_threads", str(threads), *few, "-i", film,
            "-vf", "scale=2*iw:2*ih:flags=lanczos", "-c:v", "libx264", "-preset", "veryfast", "-crf", "18", *few, target,
        ]  # fmt: skip
    for model in arguments.models:
        network = folder / f"{model}.onnx"
        for hint in HINTS if network.exists() else ():
            if find_spec("openvino"):
                yield f"OpenVINO {hint}, {model}", [sys.executable, *peer, "openvino", str(network), hint]
            if arguments.vapoursynth:
                yield f"VapourSynth {hint}, {model}", [arguments.vapoursynth, *peer, "vapoursynth", str(network), hint]
        for precision in PRECISIONS if arguments.plugin else ():
            plugin = ["plugin", str(arguments.plugin.resolve()), model, precision]
            yield f"VapourSynth, our plugin, {model} {precision}", [arguments.vapoursynth, *peer, *plugin]
    if find_spec("cv2") and arguments.opencv_graph.exists():
        yield "OpenCV dnn_superres", [sys.executable, *peer, "opencv", str(arguments.opencv_graph)]


def of_films(usages: dict[str, list[Usage]], frames: int) -> dict[str, dict[str, float]]:
    """Medians of each job."""
    found = {}
    for name, taken in usages.items():
        wall, cpu, peak = (statistics.median(values) for values in zip(*taken, strict=True))
        found[name] = {
            "seconds": round(wall, 2),
            "cpu_seconds_per_frame": round(cpu / frames, 3),
            "frames_per_second": round(frames / wall, 2),
            "peak_mb": round(peak),
        }
    return found


def ratios(films: dict[str, dict[str, float]], models: list[str]) -> dict[str, dict[str, float]]:
    """Ours to the others', of the wall clock and of CPU seconds."""
    found = {}
    for model in models:
        for hint, precision in HINTS.items():
            ours = f"fsrcnn video, {model} {precision}"
            peers = ["Lanczos, PyAV", "Lanczos, ffmpeg", f"OpenVINO {hint}, {model}", f"VapourSynth {hint}, {model}"]
            for peer in [*peers, *(["OpenCV dnn_superres"] if model == "fsrcnn" else [])]:
                if peer in films:
                    found[f"{ours} / {peer}"] = {
                        name: round(films[ours][name] / films[peer][name], 3)
                        for name in ("seconds", "cpu_seconds_per_frame")
                    }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["fsrcnn", "fsrcnn-s", "fsrcnn-x"])
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--opencv-graph", type=Path, default=GRAPHS / "FSRCNN_x2.pb")
    parser.add_argument("--vapoursynth", help="an interpreter that has VapourSynth")
    parser.add_argument("--plugin", type=Path, help="our plugin for it, fsrcnn.so (docs/vapoursynth.md)")
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    check_counts(arguments, "frames", "rounds", "threads")
    if arguments.plugin and not (arguments.vapoursynth and arguments.plugin.is_file()):
        raise UsageError("is fsrcnn.so, and needs --vapoursynth", argument="plugin")
    for model in arguments.models:
        Upscaler(model, scale=2)  # there is such a model
    others = versions(arguments.vapoursynth)
    missing = [package for module, package in PACKAGES.items() if find_spec(module) is None]
    missing += ["ffmpeg"] * (shutil.which("ffmpeg") is None) + ["FSRCNN_x2.pb"] * (not arguments.opencv_graph.exists())
    missing += ["VapourSynth"] * (arguments.vapoursynth is None)
    if missing:
        print(f"left out: {', '.join(missing)}; see --help", file=sys.stderr)
    processors = sorted(os.sched_getaffinity(0))
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        film = make_film(Path(folder) / "film.mkv", arguments.frames)
        for model in arguments.models:
            weights = pretrained.load(f"{model}-x2")
            if find_spec("onnx"):
                (Path(folder) / f"{model}.onnx").write_bytes(onnx_model(weights, HEIGHT, WIDTH))
        for threads in arguments.threads:
            os.sched_setaffinity(0, processors[:threads])  # inherited by all that is measured
            frames = of_frames(film, arguments.models, threads, arguments.rounds)
            usages: dict[str, list[Usage]] = {}
            for number in range(arguments.rounds):
                for name, command in jobs(Path(folder), threads, arguments):
                    usages.setdefault(name, []).append(run(command))
                    print(f"{threads} threads, round {number + 1}: {name}: {usages[name][-1]}", file=sys.stderr)
            films = of_films(usages, arguments.frames)
            results[f"{threads} thread{'s' if threads > 1 else ''}"] = {
                "milliseconds": frames, "films": films, "ratios": ratios(films, arguments.models),
            }  # fmt: skip
    what = f"{arguments.frames} frames of {WIDTH}×{HEIGHT} to {2 * WIDTH}×{2 * HEIGHT}, {arguments.rounds} rounds interleaved"
    packages = ["av", *(name for name in PACKAGES.values() if name not in missing)]
    result = outcome(what, results, packages, max(arguments.threads))
    result["versions"] |= others
    save(result, arguments.save)


def versions(vapoursynth: str | None) -> dict[str, str]:
    """Of what is no package of this environment: ffmpeg, and VapourSynth and its plugin in theirs.

    Raises:
        UsageError: VapourSynth is not there.
    """
    found = {}
    if shutil.which("ffmpeg"):
        said = subprocess.run(["ffmpeg", "-version"], check=True, capture_output=True, text=True).stdout
        found["ffmpeg"] = said.split()[2]
    if vapoursynth:
        names = ("vapoursynth", "vapoursynth-mlrt-ov")
        script = f"from importlib.metadata import version\nfor name in {names}: print(version(name))"
        try:
            said = subprocess.run([vapoursynth, "-c", script], check=True, capture_output=True, text=True).stdout
        except (OSError, subprocess.CalledProcessError) as error:
            raise UsageError(
                f"is an interpreter that has {' and '.join(names)}, not {vapoursynth}", argument="vapoursynth"
            ) from error
        found |= dict(zip(names, said.split(), strict=True))
    return found


if __name__ == "__main__":
    cli.run(main)
