"""Exported graphs in the programs that read them: how far each lies from the numpy engine, and which form is the faster one.

    pip install -r requirements-dev.txt -r requirements-clients.txt
    python benchmarks/exports.py [--models fsrcnn …] [--tflite PYTHON] [--rounds 5] [--save benchmarks/results/exports.json]

Clients: ONNX Runtime, OpenVINO (in float32, and as it is without a hint), ncnn (by `pnnx`), TFLite (by `onnx2tf`). The last needs an
environment of its own, since TensorFlow pins another NumPy (`python benchmarks/tflite_peer.py` says what), and `--tflite` with its
interpreter. What is missing is left out, and said so.

Distances are the largest over luma or 8-bit noise of several sizes, 1×1 among them; a client that fails is written down with what it
said. Speed is that of one picture at ×2, median of rounds interleaved, with the native engine beside; at 1920×1080 `fsrcnn` takes some
11 GB for all graphs together.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from fsrcnn import Upscaler, cli, engines, models
from fsrcnn.architecture import FAMILY_NAMES, SCALES
from fsrcnn.engines.numpy import NumpyEngine
from fsrcnn.errors import FsrcnnError, UsageError
from fsrcnn.export import onnx
from fsrcnn.weights import Weights
from machine import check_counts, outcome, save

HERE = Path(__file__).resolve().parent
SIZES = ((1, 1), (1, 7), (24, 31), (97, 131))
PACKAGES = ("onnx", "onnxruntime", "openvino", "pnnx", "ncnn")
TFLITE_PACKAGES = ("onnx2tf", "tensorflow")

Array = npt.NDArray[Any]
Client = Callable[[bytes, Sequence[Array]], list[Array]]
"""A graph and pictures as it takes them, each a batch, to what becomes of them."""


class ClientError(FsrcnnError):
    """A client does not take a graph."""


def in_onnxruntime(graph: bytes, pictures: Sequence[Array]) -> list[Array]:
    """ONNX Runtime, on the CPU."""
    runtime: Any = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return [session.run(None, {"lr": lr})[0] for lr in pictures]


def in_openvino(graph: bytes, pictures: Sequence[Array], hint: str = "f32") -> list[Array]:
    """OpenVINO on the CPU, in a precision; without a hint it takes bfloat16 where the processor has it."""
    core: Any = import_module("openvino").Core()
    options: dict[str, Any] = {"INFERENCE_NUM_THREADS": 1, **({"INFERENCE_PRECISION_HINT": hint} if hint else {})}
    compiled = core.compile_model(core.read_model(graph), "CPU", options)
    return [np.array(compiled({"lr": lr})["sr"]) for lr in pictures]


def in_ncnn(graph: bytes, pictures: Sequence[Array]) -> list[Array]:
    """ncnn in float32, by its converter `pnnx`; one picture at a time, as it knows no batch.

    Raises:
        ClientError: the converter fails, or leaves an operator that ncnn does not know.
    """
    ncnn: Any = import_module("ncnn")
    converter = shutil.which("pnnx", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])))
    assert converter is not None
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "model.onnx").write_bytes(graph)
        shape = "[1,24,31,3]u8" if pictures[0].dtype == np.uint8 else "[1,1,24,31]f32"
        command = [converter, "model.onnx", f"inputshape={shape}", "fp16=0"]
        if subprocess.run(command, check=False, capture_output=True, cwd=folder).returncode:
            raise ClientError("pnnx fails")
        network = ncnn.Net()
        network.opt.num_threads = 1
        network.opt.use_fp16_packed = network.opt.use_fp16_storage = network.opt.use_fp16_arithmetic = False
        parameters = Path(folder) / "model.ncnn.param"
        for line in parameters.read_text("utf-8").splitlines():
            if line.startswith(("ConvTranspose ", "DepthToSpace ", "Tensor.to ")):  # it would crash
                raise ClientError(f"pnnx leaves {line.split()[0]} as it is, which ncnn does not know")
        network.load_param(str(parameters))
        network.load_model(str(Path(folder) / "model.ncnn.bin"))
    found = []
    for lr in pictures:
        rows = []
        for picture in lr:
            extractor = network.create_extractor()
            extractor.input("in0", ncnn.Mat(np.ascontiguousarray(picture)))
            rows.append(np.array(extractor.extract("out0")[1]))
        found.append(np.stack(rows))
    return found


def in_tflite(python: str, graph: bytes, pictures: Sequence[Array]) -> list[Array]:
    """TFLite, by its converter `onnx2tf`, which turns luma into (batch, height, width, 1).

    Raises:
        ClientError: it fails.
    """
    with tempfile.TemporaryDirectory() as name:
        folder, last = Path(name), pictures[0].shape[-1] == 3
        (folder / "model.onnx").write_bytes(graph)
        taken = [lr if last else lr.transpose(0, 2, 3, 1) for lr in pictures]
        np.savez(folder / "lr.npz", *taken)
        command = [python, str(HERE / "tflite_peer.py"), "model.onnx", "lr.npz", "sr.npz"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
        if done.returncode < 0:
            raise ClientError("what onnx2tf makes of it crashes TFLite")
        if done.returncode:
            errors = re.findall(r"^\w*Error: .*", done.stderr, re.MULTILINE)
            raise ClientError(f"onnx2tf or TFLite fails ({errors[-1] if errors else f'exit code {done.returncode}'})")
        with np.load(folder / "sr.npz") as found:
            given = [found[f"arr_{number}"] for number in range(len(pictures))]
    return [sr if last else sr.transpose(0, 3, 1, 2) for sr in given]


def noise(weights: Weights, input: onnx.Input) -> tuple[list[Array], list[Array]]:
    """Pictures of all sizes, as a graph takes them, and what the numpy engine makes of them."""
    generator = np.random.default_rng(0)
    pictures: list[Array]
    if input == "luma":
        engine = NumpyEngine(weights)
        pictures = [generator.random((1, 1, *size), np.float32) for size in SIZES]
        return pictures, [engine.run(lr[0, 0])[None, None] for lr in pictures]
    upscaler = Upscaler(weights, engine="numpy")
    pictures = [generator.integers(0, 256, (1, *size, 3), np.uint8) for size in SIZES]
    return pictures, [upscaler(lr[0])[None] for lr in pictures]


def distance(pictures: list[Array], expected: list[Array], graph: bytes, client: Client) -> float:
    """The largest one over all sizes: of luma, or of levels.

    Raises:
        ClientError: the client does not take the graph, or what comes out is of another size.
    """
    largest = 0.0
    for sr, right in zip(client(graph, pictures), expected, strict=True):
        if sr.shape != right.shape:
            raise ClientError(f"the result has shape {sr.shape}, not {right.shape}")
        largest = max(largest, float(np.abs(sr.astype(np.float64) - right).max()))
    return largest


def clients(tflite: str | None) -> dict[str, Client]:
    """Those that are installed."""
    found: dict[str, Client] = {"ONNX Runtime": in_onnxruntime}
    if find_spec("openvino"):
        found |= {"OpenVINO f32": in_openvino, "OpenVINO, no hint": partial(in_openvino, hint="")}
    if find_spec("pnnx") and find_spec("ncnn"):
        found["ncnn"] = in_ncnn
    if tflite:
        found["TFLite"] = partial(in_tflite, tflite)
    return found


def distances(names: Sequence[str], scales: Sequence[int], found: dict[str, Client]) -> list[dict[str, Any]]:
    """A row for each model, input, form and client: the distance, or what failed."""
    rows = []
    for name in names:
        for scale in scales:
            weights = models.resolve(name, scale)
            for input in get_args(onnx.Input):
                pictures, expected = noise(weights, input)
                for form in get_args(onnx.Form):
                    graph = onnx.model(weights, form=form, input=input).SerializeToString()
                    for client, run in found.items():
                        first = (name, scale) == (names[0], scales[0])
                        if client in ("ncnn", "TFLite") and (input, form) != ("luma", "conv") and not first:
                            continue  # what they make of the other graphs is known by one model
                        row: dict[str, Any] = {
                            "model": f"{name}-x{scale}",
                            "input": input,
                            "form": form,
                            "client": client,
                        }
                        try:
                            row["largest"] = float(f"{distance(pictures, expected, graph, run):.3g}")
                        except ClientError as error:
                            row |= {"largest": None, "fails": error.fact}
                        print(row, file=sys.stderr)
                        rows.append(row)
    return rows


def milliseconds(name: str, height: int, width: int, rounds: int) -> dict[str, float]:
    """Median of one picture at ×2, by runtime and graph."""
    weights = models.resolve(name, 2)
    runs: dict[str, Callable[[], object]] = {}
    generator = np.random.default_rng(0)
    luma = generator.random((1, 1, height, width), np.float32)
    rgb = generator.integers(0, 256, (1, height, width, 3), np.uint8)
    for precision in ("exact", "fast"):
        engine = engines.create(weights, "native", precision=precision)
        runs[f"fsrcnn {precision}, luma"] = partial(engine.run, luma[0, 0])
    runtime: Any = import_module("onnxruntime")
    for input, form in (("luma", "conv"), ("luma", "deconvolution"), ("rgb8", "conv")):
        graph = onnx.model(weights, form=form, input=input).SerializeToString()  # type: ignore[arg-type]
        lr = luma if input == "luma" else rgb
        session = runtime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        runs[f"ONNX Runtime, {input}, {form}"] = partial(session.run, None, {"lr": lr})
        if find_spec("openvino"):
            core: Any = import_module("openvino").Core()
            options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
            compiled = core.compile_model(core.read_model(graph), "CPU", options)
            runs[f"OpenVINO f32, {input}, {form}"] = partial(compiled.create_infer_request().infer, {"lr": lr})
    taken: dict[str, list[float]] = {label: [] for label in runs}
    for number in range(rounds + 1):  # the first is for warming up
        for label, run in runs.items():
            time.sleep(0.1)  # some runtimes' threads spin for a while, and would slow down the next one
            began = time.perf_counter()
            run()
            if number:
                taken[label].append(1000 * (time.perf_counter() - began))
        print(f"{name}: {number}/{rounds}", file=sys.stderr)
    return {label: round(statistics.median(times), 1) for label, times in taken.items()}


def tflite_versions(python: str) -> dict[str, str]:
    """Of the converter and its runtime, in their environment.

    Raises:
        UsageError: they are not there.
    """
    script = f"from importlib.metadata import version\nfor name in {TFLITE_PACKAGES}: print(version(name))"
    try:
        said = subprocess.run([python, "-c", script], check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        names = " and ".join(TFLITE_PACKAGES)
        raise UsageError(f"is an interpreter that has {names}, not {python}", argument="tflite") from error
    return dict(zip(TFLITE_PACKAGES, said.split(), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(FAMILY_NAMES), help="families, or models of ×2")
    parser.add_argument("--scales", nargs="+", type=int, default=list(SCALES))
    parser.add_argument("--tflite", metavar="PYTHON", help="an interpreter that has onnx2tf and tensorflow")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--height", type=int, default=540)
    parser.add_argument("--width", type=int, default=960)
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    check_counts(arguments, "rounds", "height", "width")
    for name in arguments.models:
        for scale in arguments.scales:
            models.resolve(name, scale)
    versions = tflite_versions(arguments.tflite) if arguments.tflite else {}
    missing = [package for package in PACKAGES if find_spec(package) is None]
    if missing or not arguments.tflite:
        absent = [*missing, *([] if arguments.tflite else ["TFLite"])]
        print(f"left out: {', '.join(absent)}; see --help", file=sys.stderr)
    height, width = arguments.height, arguments.width
    results = {
        "milliseconds": {name: milliseconds(name, height, width, arguments.rounds) for name in arguments.models},
        "distances": distances(arguments.models, arguments.scales, clients(arguments.tflite)),
    }
    sizes = ", ".join(f"{columns}×{rows}" for rows, columns in SIZES)
    what = f"noise of {sizes} pixels; speed: {width}×{height} pixels at ×2, {arguments.rounds} rounds interleaved"
    result = outcome(what, results, [package for package in PACKAGES if package not in missing])
    result["versions"] |= versions
    save(result, arguments.save)
    sys.stdout.flush()
    os._exit(0)  # some runtimes crash when Python takes them down beside each other


if __name__ == "__main__":
    cli.run(main)
