"""1920×1080 to 3840×2160 on one thread: the engine in Chromium and Node, ONNX Runtime Web, and the native engine with AVX2, in turn.

    make web
    npm install --prefix build/peers onnxruntime-web
    python benchmarks/web_engine.py --ort build/peers/node_modules/onnxruntime-web/dist [--rounds 7] [--save FILE]

All stay alive and are asked one at a time. Ours go from RGB to RGB with the copies to a worker and back, ONNX Runtime Web from luma to
luma. Median milliseconds, and the median of the ratios of neighbouring runs to the native engine's and to ONNX Runtime Web's.
"""

from __future__ import annotations

import argparse
import os
import queue
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from fsrcnn import Upscaler, cli, pretrained
from fsrcnn.errors import FsrcnnError, UsageError
from machine import check_counts, outcome, save

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "web" / "dist"
WIDTH, HEIGHT = 1920, 1080
ORT = "ort.wasm.min.mjs"
PAGE = b'<!doctype html><script type="module" src="/web_engine.mjs"></script>'
TYPES = {".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm"}
CHROMIUM = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run")


class Peer:
    """A program that runs what it is asked for, by a server of its own."""

    def __init__(self, files: dict[str, Path], contents: dict[str, bytes]) -> None:
        """`files`: folders by the first part of a path; `contents`: what else is served."""
        self.asked: queue.Queue[str] = queue.Queue()
        self.answered: queue.Queue[str] = queue.Queue()
        peer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                first, _, rest = self.path.lstrip("/").partition("/")
                path = files.get(first, Path("/nowhere")) / rest if rest else Path(__file__).parent / first
                data = contents.get(self.path) or (path.read_bytes() if path.is_file() else None)
                self.reply(404 if data is None else 200, data or b"", TYPES.get(path.suffix, "text/html"))

            def do_POST(self) -> None:
                peer.answered.put(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self.reply(200, peer.asked.get().encode(), "text/plain")

            def reply(self, status: int, data: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def start(self, command: list[str]) -> list[str]:
        """Start the program; what it can run."""
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self.answered.get(timeout=120).split()

    def milliseconds(self, run: str) -> float:
        self.asked.put(run)
        return float(self.answered.get(timeout=120))

    def end(self) -> None:
        self.asked.put("end")
        self.process.terminate()
        self.process.wait(30)
        self.server.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--ort", type=Path, help="the folder dist of onnxruntime-web; it is left out where this is not given"
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    check_counts(arguments, "rounds")
    if arguments.ort is not None and not (arguments.ort / ORT).is_file():
        raise UsageError(f"is the folder dist of onnxruntime-web, but {arguments.ort} has no {ORT}", argument="ort")
    if not (DIST / "fsrcnn.wasm").exists():
        raise FsrcnnError(f"{DIST} holds no engine", "type make web first")
    node, chromium = shutil.which("node"), shutil.which("chromium")
    if node is None and chromium is None:
        raise FsrcnnError("there is neither Node nor Chromium here", "apt-get install nodejs chromium")
    os.environ["FSRCNN_ISA"] = "avx2"
    rgb = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    native = {precision: Upscaler("fsrcnn", scale=2, threads=1, precision=precision) for precision in ("fast", "exact")}
    with tempfile.TemporaryDirectory() as profile:
        peers: list[tuple[str, Peer, str]] = []
        packages = []
        if chromium is not None:
            files, contents = {"dist": DIST}, {"/": PAGE}
            if arguments.ort is not None:
                if not find_spec("onnx"):
                    raise FsrcnnError("the model of ONNX Runtime is made with the package onnx", "pip install onnx")
                from engines import onnx_model

                files["ort"] = arguments.ort
                contents["/model.onnx"] = onnx_model(pretrained.load("fsrcnn-x2"), HEIGHT, WIDTH)
                packages.append("onnx")
            peer = Peer(files, contents)
            runs = peer.start([chromium, *CHROMIUM, f"--user-data-dir={profile}", peer.address])
            peers += [(f"Chromium, {run}" if run != "ort" else "ONNX Runtime Web", peer, run) for run in runs]
        if node is not None:
            peer = Peer({}, {})
            runs = peer.start([node, str(ROOT / "benchmarks" / "web_engine.mjs"), peer.address, str(DIST)])
            peers += [(f"Node, {run}", peer, run) for run in runs]
        times: dict[str, list[float]] = {}
        for number in range(arguments.rounds):
            for precision, upscaler in native.items():
                began = time.perf_counter()
                upscaler(rgb)
                times.setdefault(f"native AVX2, {precision}", []).append(1000 * (time.perf_counter() - began))
            for name, peer, run in peers if number % 2 else reversed(peers):
                times.setdefault(name, []).append(peer.milliseconds(run))
        for peer in {id(peer): peer for _, peer, _ in peers}.values():
            peer.end()
    results = {
        name: {"milliseconds": round(statistics.median(took), 1)} | ratios(name, times)
        for name, took in sorted(times.items())
    }
    what = f"1920×1080 to 3840×2160, one thread, medians of {arguments.rounds} rounds in turn"
    save(outcome(what, results, packages, 1), arguments.save)


def ratios(name: str, times: dict[str, list[float]]) -> dict[str, float]:
    """Of a run to the native engine's of the same precision, and to ONNX Runtime Web's."""
    found = {}
    for key, other in (
        ("to native AVX2", f"native AVX2, {name.rpartition(' ')[2]}"),
        ("to ONNX Runtime Web", "ONNX Runtime Web"),
    ):
        if other in times and other != name:
            found[key] = round(statistics.median(a / b for a, b in zip(times[name], times[other], strict=True)), 3)
    return found


if __name__ == "__main__":
    cli.run(main)
