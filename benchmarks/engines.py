"""The network alone, 1920×1080 luma to 3840×2160: our engine beside general runtimes, interleaved in one run.

    python benchmarks/engines.py [--models fsrcnn fsrcnn-s fsrcnn-x] [--threads 1 2] [--rounds 5] [--save FILE]

Every runtime gets the same weights and the same network, its deconvolution rewritten as one small convolution per phase and a
depth-to-space, which suits all of them better than a deconvolution. They read and write float32 planes. Ours reads and writes 8-bit
pixels, clip and rounding included. OpenCV's `dnn_superres` runs the graphs its users download, a smaller FSRCNN, on a BGR picture;
it needs `--opencv-graphs`, the folder with FSRCNN_x2.pb and FSRCNN-small_x2.pb.

The peers come from requirements-bench.txt; one that is missing is left out, and said so. Medians and minima in milliseconds, ratios
of medians. The peak is what this machine's registers can multiply and add, measured by peak.cpp before and after.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fsrcnn import cli, images, pretrained
from fsrcnn.color import luma
from fsrcnn.engines import native
from fsrcnn.engines.torch import Network
from fsrcnn.export import onnx
from fsrcnn.imresize import imresize
from fsrcnn.parallel import Control
from fsrcnn.planes import Planes
from fsrcnn.weights import Weights
from machine import check_counts, outcome, save

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE.parent / "examples" / "astronaut.png"
GRAPHS = HERE.parent.parent / "shared" / "references" / "weights" / "opencv-pb"
OPENCV = {"fsrcnn": "FSRCNN_x2.pb", "fsrcnn-s": "FSRCNN-small_x2.pb"}
PEERS = {"openvino": "openvino", "onnxruntime": "onnxruntime", "cv2": "opencv-contrib-python-headless", "onnx": "onnx"}

Float32 = npt.NDArray[np.float32]
Run = Callable[[], Any]


def photo(height: int, width: int) -> npt.NDArray[np.uint8]:
    """The example picture as a photo of that size, RGB."""
    picture = images.read(EXAMPLE).pages[0]
    top = max(0, (picture.shape[0] - picture.shape[1] * height // width) // 2)
    enlarged: npt.NDArray[np.uint8] = imresize(
        picture[top : top + picture.shape[1] * height // width], output_size=(height, width)
    )
    return enlarged


def onnx_model(weights: Weights, height: int, width: int) -> bytes:
    """The network as an ONNX graph for pictures of one size, which suits some runtimes better."""
    made, scale = onnx.model(weights), weights.architecture.scale
    for value, factor in ((made.graph.input[0], 1), (made.graph.output[0], scale)):
        for axis, length in zip(value.type.tensor_type.shape.dim, (1, 1, factor * height, factor * width), strict=True):
            axis.dim_value = length
    serialized: bytes = made.SerializeToString()
    return serialized


def ours(weights: Weights, plane: npt.NDArray[np.uint8], threads: int) -> dict[str, Run]:
    runs: dict[str, Run] = {}
    best = native.instruction_sets()[0]
    for instruction_set in (best, *(name for name in ("avx2", "generic") if name != best)):
        if instruction_set in native.instruction_sets():
            for precision in ("exact", "fast"):
                engine = native.NativeEngine(weights, precision, instruction_set)
                lr, sr = Planes.luma(plane), Planes.luma(np.empty((2 * plane.shape[0], 2 * plane.shape[1]), np.uint8))
                runs[f"fsrcnn {precision}, {instruction_set}"] = partial(engine.planes, lr, sr, Control(threads))
    return runs


def peers(model: str, weights: Weights, rgb: npt.NDArray[np.uint8], threads: int, graphs: Path) -> dict[str, Run]:
    height, width = rgb.shape[:2]
    lr = luma(rgb)[None, None].astype(np.float32) / 255
    runs: dict[str, Run] = {}
    if find_spec("openvino") and find_spec("onnx"):
        openvino: Any = import_module("openvino")
        core = openvino.Core()
        for name, hint in (("fp32", "f32"), ("bf16", "bf16")):
            options = {
                "INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY",
            }  # fmt: skip
            compiled = core.compile_model(core.read_model(onnx_model(weights, height, width)), "CPU", options)
            runs[f"OpenVINO {name}"] = partial(compiled.create_infer_request().infer, {0: lr})
    if find_spec("onnxruntime") and find_spec("onnx"):
        onnxruntime: Any = import_module("onnxruntime")
        session_options = onnxruntime.SessionOptions()
        session_options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(
            onnx_model(weights, height, width), session_options, providers=["CPUExecutionProvider"]
        )
        runs["ONNX Runtime"] = partial(session.run, None, {"lr": lr})
    if find_spec("torch"):
        import torch

        torch.set_num_threads(threads)
        network = Network(weights.architecture).load(weights).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        compiled_network = torch.compile(network)
        x = torch.from_numpy(lr).contiguous(memory_format=torch.channels_last)

        def run_torch() -> Any:
            with torch.inference_mode():
                return compiled_network(x)  # type: ignore[no-untyped-call]

        runs["PyTorch compiled"] = run_torch
    if find_spec("cv2") and model in OPENCV and (graphs / OPENCV[model]).exists():
        cv2: Any = import_module("cv2")
        cv2.setNumThreads(threads)
        network_cv = cv2.dnn_superres.DnnSuperResImpl_create()
        network_cv.readModel(str(graphs / OPENCV[model]))
        network_cv.setModel("fsrcnn", 2)
        runs["OpenCV dnn_superres"] = partial(network_cv.upsample, np.ascontiguousarray(rgb[:, :, ::-1]))
    return runs


def peak(threads: int) -> dict[str, dict[str, float]]:
    """10^9 multiply-adds a second, with one thread and with several; empty where there is no compiler."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "peak"
        compile = ["c++", "-O2", "-std=c++17", "-march=native", "-pthread", str(HERE / "peak.cpp"), "-o", str(program)]
        try:
            subprocess.run(compile, check=True, capture_output=True)
            printed = subprocess.run([program, str(threads)], check=True, capture_output=True, text=True).stdout
        except (OSError, subprocess.CalledProcessError):
            return {}
    rows = [line.split("\t") for line in printed.splitlines()]
    return {name: {"1 thread": float(single), f"{threads} threads": float(many)} for name, single, many in rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["fsrcnn", "fsrcnn-s", "fsrcnn-x"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--height", type=int, default=1080)
    parser.add_argument("--width", type=int, default=1920)
    parser.add_argument("--opencv-graphs", type=Path, default=GRAPHS)
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    check_counts(arguments, "threads", "rounds", "height", "width")
    missing = [package for module, package in PEERS.items() if find_spec(module) is None]
    if missing:
        print(f"left out: {', '.join(missing)}; type: pip install -r requirements-bench.txt", file=sys.stderr)
    rgb = photo(arguments.height, arguments.width)
    plane = luma(rgb)
    most = max(arguments.threads)
    result: dict[str, Any] = {
        "instruction_sets": native.instruction_sets(),
        "peak_before": peak(most),
        "milliseconds": {},
    }
    for model in arguments.models:
        weights = pretrained.load(f"{model}-x2")
        result["milliseconds"][model] = {}
        for threads in arguments.threads:
            runs = {**ours(weights, plane, threads), **peers(model, weights, rgb, threads, arguments.opencv_graphs)}
            times: dict[str, list[float]] = {name: [] for name in runs}
            for number in range(arguments.rounds + 1):  # the first is for warming up
                for name, run in runs.items():
                    time.sleep(0.1)  # some runtimes' threads spin for a while, and would slow down the next one
                    started = time.perf_counter()
                    run()
                    if number:
                        times[name].append((time.perf_counter() - started) * 1000)
                print(f"{model}, {threads} threads: {number}/{arguments.rounds}", file=sys.stderr)
            result["milliseconds"][model][f"{threads} thread{'s' if threads > 1 else ''}"] = {
                name: {"median": round(statistics.median(taken), 1), "min": round(min(taken), 1)}
                for name, taken in times.items()
            }
    result["peak_after"] = peak(most)
    result["ratios"] = ratios(result, most)
    what = f"{arguments.width}×{arguments.height} luma, ×2, {arguments.rounds} rounds interleaved"
    packages = [name for name in (*PEERS.values(), "torch") if name not in missing]
    save(outcome(what, result, packages, most), arguments.save)
    os._exit(0)  # some runtimes crash when Python takes them down beside each other


def ratios(result: dict[str, Any], most: int) -> dict[str, float]:
    """Our medians to the peers', FSRCNN, most threads; and how much the threads help."""
    if "fsrcnn" not in result["milliseconds"]:
        return {}
    by_threads = result["milliseconds"]["fsrcnn"]
    times = {name: taken["median"] for name, taken in by_threads[f"{most} threads" if most > 1 else "1 thread"].items()}
    best = native.instruction_sets()[0]
    pairs = [
        (f"fsrcnn exact, {best}", "OpenVINO fp32"),
        (f"fsrcnn exact, {best}", "OpenCV dnn_superres"),
        (f"fsrcnn fast, {best}", "OpenVINO bf16"),
        ("fsrcnn exact, avx2", "OpenVINO fp32"),
        ("fsrcnn exact, generic", "ONNX Runtime"),
    ]
    found = {
        f"{engine} / {peer}": round(times[engine] / times[peer], 3)
        for engine, peer in pairs
        if engine in times and peer in times
    }
    if most > 1 and "1 thread" in by_threads:
        for precision in ("exact", "fast"):
            name = f"fsrcnn {precision}, {best}"
            found[f"{name}: 1 thread / {most} threads"] = round(by_threads["1 thread"][name]["median"] / times[name], 2)
    return found


if __name__ == "__main__":
    cli.run(main)
