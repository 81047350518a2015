"""`fsrcnn serve` under load: many clients at once, each with one picture after the other, beside demos of OpenCV's upscaler.

    python benchmarks/serve.py [--clients 32] [--pictures 2000] [--peer-pictures 200] [--threads 2] [--peers PYTHON] [--save FILE]

Photos of 640×480, JPEG to PNG at ×2. Every answer is compared: ours with what the command `fsrcnn upscale` writes, byte for byte; a
peer's with what it answered a lone client. The peers (`fastapi_upscale.py`) need `--opencv-graph`, the file FSRCNN_x2.pb that OpenCV's
users download, a smaller network than ours, and `--peers`, an interpreter with requirements-bench.txt. Servers and clients share the
`--threads` processors. Latency is from the first byte sent to the last one received; memory is the server's, after a tenth and after
all of the pictures. Exits with 1 where an answer of ours is lost or wrong, or memory grew by 50 MB.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from engines import GRAPHS, photo
from fsrcnn import cli, images
from machine import check_counts, outcome, save

HERE = Path(__file__).resolve().parent
HEIGHT, WIDTH = 480, 640
DIFFERENT = 20  # pictures, which take turns
NOISE = 2.0  # standard deviation in levels, about what a camera adds
MEMORY = 50e6  # bytes by which a server may grow between a tenth of the pictures and all of them
BOUNDARY = "benchmark"


class Load(NamedTuple):
    """What became of it: seconds of each answer, numbers of those that were lost and wrong, bytes of memory, seconds of it all."""

    latencies: list[float]
    lost: int
    wrong: int
    early: int
    late: int
    seconds: float


def make_photos() -> list[bytes]:
    """Photos that differ: other parts of a picture, each with noise of its own."""
    larger = photo(HEIGHT * 10 // 9, WIDTH * 10 // 9)
    generator = np.random.default_rng(0)
    photos = []
    for _ in range(DIFFERENT):
        top, left = (int(generator.integers(0, side // 9)) for side in (HEIGHT, WIDTH))
        noisy = larger[top : top + HEIGHT, left : left + WIDTH] + generator.normal(0, NOISE, (HEIGHT, WIDTH, 3))
        pixels = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
        photos.append(images.write(images.Picture((pixels,), "jpg"), None).data or b"")
    return photos


def ask(port: int, path: str, picture: bytes) -> bytes:
    """The picture that a server answers.

    Raises:
        OSError, HTTPException: it does not.
    """
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="photo.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    body = head.encode() + picture + f"\r\n--{BOUNDARY}--\r\n".encode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    with contextlib.closing(connection):
        connection.request("POST", path, body, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})
        response = connection.getresponse()
        data = response.read()
    if response.status != 200:
        raise http.client.HTTPException(f"{response.status}: {data[:300]!r}")
    return data


def load(
    process: subprocess.Popen[bytes],
    port: int,
    path: str,
    pairs: list[tuple[bytes, bytes]],
    arguments: argparse.Namespace,
    count: int,
) -> Load:
    """So many pictures by so many clients; `pairs` are pictures and what is expected of them."""
    lock, numbers = threading.Lock(), iter(range(count))
    latencies: list[float] = []
    failures = {"lost": 0, "wrong": 0}
    memory: dict[int, int] = {}

    def client() -> None:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            picture, expected = pairs[number % len(pairs)]
            began = time.perf_counter()
            try:
                answer = ask(port, path, picture)
            except (OSError, http.client.HTTPException) as error:
                print(f"{path}: {error}", file=sys.stderr)
                with lock:
                    failures["lost"] += 1
                continue
            with lock:
                latencies.append(time.perf_counter() - began)
                failures["wrong"] += answer != expected
                memory[len(latencies)] = resident(process.pid)

    threads = [threading.Thread(target=client) for _ in range(arguments.clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    done = len(latencies)
    return Load(
        latencies, failures["lost"], failures["wrong"], memory.get(max(1, count // 10), 0), memory.get(done, 0), seconds
    )


def resident(process: int) -> int:
    """Bytes of memory that a process has."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def ours(threads: int) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    command = [sys.executable, "-m", "fsrcnn", "serve", "--port", "0", "--threads", str(threads)]
    with running(subprocess.Popen(command, stderr=subprocess.PIPE)) as process:
        assert process.stderr is not None
        line = process.stderr.readline().decode()
        found = re.search(r"serving at http://[^ ]*:(\d+)/", line)
        if not found:
            sys.exit(line + process.stderr.read().decode())
        yield process, int(found[1])


@contextmanager
def peer(interpreter: str, graph: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [interpreter, "-m", "uvicorn", "fastapi_upscale:app", "--port", str(port), "--log-level", "error"]
    with running(subprocess.Popen(command, cwd=HERE, env={**os.environ, "FSRCNN_GRAPH": str(graph)})) as process:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            if process.poll() is not None:
                sys.exit(f"{' '.join(command)} ended with {process.returncode}")
            time.sleep(0.1)
        yield process, port


@contextmanager
def running(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield process
    finally:
        process.terminate()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def told(found: Load, count: int) -> dict[str, Any]:
    """The results of `outcome`."""
    median, slow, slowest = np.percentile(found.latencies or [0.0], (50, 95, 99))
    return {
        "pictures": count,
        "lost": found.lost,
        "wrong": found.wrong,
        "pictures_per_second": round(len(found.latencies) / found.seconds, 2),
        "latency_seconds": {"p50": round(median, 3), "p95": round(slow, 3), "p99": round(slowest, 3)},
        "memory_mb": {"after_a_tenth": round(found.early / 1e6), "after_all": round(found.late / 1e6)},
    }


def by_command(photos: list[bytes], precision: str, folder: Path) -> list[bytes]:
    """What `fsrcnn upscale` makes of the photos."""
    place = folder / precision
    (place / "in").mkdir(parents=True)
    for number, picture in enumerate(photos):
        (place / f"in/{number}.jpg").write_bytes(picture)
    command = [
        sys.executable,
        "-m",
        "fsrcnn",
        "upscale",
        "in",
        "-o",
        "out/",
        "-m",
        "fsrcnn",
        "--format",
        "png",
        "--precision",
        precision,
    ]
    subprocess.run(command, cwd=place, check=True, capture_output=True)
    return [(place / f"out/{number}.png").read_bytes() for number in range(len(photos))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--peer-pictures", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peers", default=sys.executable, help="an interpreter with FastAPI and OpenCV")
    parser.add_argument("--opencv-graph", type=Path, default=GRAPHS / "FSRCNN_x2.pb")
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    check_counts(arguments, "clients", "pictures", "peer_pictures", "threads")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.threads])  # inherited by all that is measured
    photos = make_photos()
    results: dict[str, Any] = {}
    bad = False
    for precision in ("exact", "fast"):
        with tempfile.TemporaryDirectory() as folder:
            expected = by_command(photos, precision, Path(folder))
        with ours(arguments.threads) as (process, port):
            pairs = list(zip(photos, expected, strict=True))
            path = f"/v1/upscale?model=fsrcnn&format=png&precision={precision}"
            found = load(process, port, path, pairs, arguments, arguments.pictures)
        bad = bad or bool(found.lost or found.wrong) or found.late - found.early > MEMORY
        results[f"fsrcnn serve, {precision}"] = told(found, arguments.pictures)
    has_peers = (
        subprocess.run([arguments.peers, "-c", "import cv2, fastapi, uvicorn"], capture_output=True).returncode == 0
    )
    if has_peers and arguments.opencv_graph.exists():
        for name, path in (("FastAPI demo", "/upscale"), ("as rembg", "/api/upscale")):
            with peer(arguments.peers, arguments.opencv_graph) as (process, port):
                pairs = [(picture, ask(port, path, picture)) for picture in photos]
                found = load(process, port, path, pairs, arguments, arguments.peer_pictures)
            results[name] = told(found, arguments.peer_pictures)
    else:
        print("left out: the demos of OpenCV; see requirements-bench.txt and -h", file=sys.stderr)
    what = f"{arguments.clients} clients, photos of {WIDTH}×{HEIGHT}, JPEG to PNG at ×2, each server alone"
    save(outcome(what, results, ["starlette", "uvicorn"], arguments.threads), arguments.save)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    cli.run(main)
