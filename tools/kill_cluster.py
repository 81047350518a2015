"""Kill the machines, workers and driver of a cluster at random moments, and compare what it wrote with a run that nobody disturbed.

    python tools/kill_cluster.py                     # 2,000 pictures, 20 nodes and workers, 5 drivers; folders
    python tools/kill_cluster.py --store             # from and to a store that speaks S3 (moto[server]), on this machine

The cluster is Ray's own for tests: three nodes of 1 CPU, of which the head is spared. Pictures are small, of many kinds. Chance says
which node or worker dies, and at how many pictures. A node is followed by a new one, a driver by the same command.

Prints a result as JSON, and exits with 1 where an output is missing, has other bytes than in the undisturbed run or than its line of
the log says, or where anything else is left: a part, a temporary object, an upload, a process.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import logging
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fsrcnn import cli, images
from fsrcnn.arguments import whole_number
from fsrcnn.errors import FsrcnnError
from fsrcnn.images import Picture
from fsrcnn.require import require

NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
NODES = 3
LAST = 0.9  # of the pictures: the last death comes before
MOMENT = 1.5  # seconds, at most, from a death to the next: outcomes come in bursts, those of a task
BUSY = "ray::fsrcnn upscale"  # what Ray calls a worker's process
BUCKET = "archive"
FOLDERS = (".", "prints", "prints/1889, spring", "Fotos/Übergrößen")
STORE = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=20, help="of nodes and workers")
    parser.add_argument("--drivers", type=int, default=5, help="that are killed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", action="store_true", help="read from and write to a store in place of folders")
    options = parser.parse_args()
    whole_number(options.pictures, "pictures")
    for name in ("kills", "drivers"):
        whole_number(getattr(options, name), name, least=0)
    # Ray's processes know each other by this word, and send no statistics.
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as ending:
        place = Path(folder)
        make_pictures(place / "in", options.pictures, options.seed)
        started = time.monotonic()
        upscale(place, str(place / "in"), str(place / "truth"))
        alone = time.monotonic() - started
        source, target = str(place / "in"), str(place / "out")
        outputs: Callable[[], dict[str, str]] = lambda: hashes(place / "out")  # noqa: E731
        if options.store:
            store = ending.enter_context(Store())
            store.fill(place / "in")
            source, target, outputs = f"s3://{BUCKET}/in/", f"s3://{BUCKET}/out/", store.hashes
        result = disturbed(place, source, target, options)
        wrong = differences(hashes(place / "truth"), outputs(), logged(place / "run.jsonl"))
        if options.store:
            wrong += store.unfinished()
        wrong += [f"a process is left: {line}" for line in result.pop("left")]
        if sum(result["killed"].values()) < options.kills + options.drivers:
            wrong.append("the work was done before all deaths had come; give more pictures")
    what = {
        "pictures": options.pictures, "seed": options.seed, "places": "store" if options.store else "folders",
        "undisturbed_seconds": round(alone, 1),
    }  # fmt: skip
    print(json.dumps({**what, **result, "wrong": wrong}, indent=2, ensure_ascii=False))
    return 1 if wrong else 0


def make_pictures(folder: Path, count: int, seed: int) -> None:
    """Small pictures of many kinds: grey, colour, alpha, 8 and 16 bit, PNG, JPEG, WebP, TIFF; some with another's ending."""
    generator = np.random.default_rng(seed)
    for number in range(count):
        height, width = generator.integers(8, 300, 2)
        format, channels, dtype = (
            ("png", 3, "uint8"), ("png", 4, "uint8"), ("png", 3, "uint16"), ("png", 0, "uint16"), ("png", 0, "uint8"),
            ("png", 2, "uint8"), ("jpg", 3, "uint8"), ("jpg", 0, "uint8"), ("webp", 3, "uint8"), ("tif", 3, "uint16"),
        )[number % 10]  # fmt: skip
        shape = (height, width, channels) if channels else (height, width)
        levels = np.cumsum(generator.normal(0, 8, shape), axis=1) + generator.uniform(60, 200)
        pixels = (np.clip(levels, 0, 255) * (257 if dtype == "uint16" else 1)).astype(dtype)
        ending = "png" if number % 97 == 6 else format  # 6, 103 …: a JPEG, or whatever its turn is, that is called .png
        name = (f"{number:05}", f"sheet {number}", f"Tafel №{number}")[number % 3]
        path = folder / FOLDERS[number % len(FOLDERS)] / f"{name}.{format}"
        path.parent.mkdir(parents=True, exist_ok=True)
        images.write(Picture((pixels,), format), path)
        path.rename(path.with_suffix(f".{ending}"))


def command(source: str, target: str, *more: str) -> list[str]:
    return [sys.executable, "-m", "fsrcnn", "upscale", source, "-o", target, "--recursive", *more]


def upscale(folder: Path, source: str, target: str) -> None:
    """The undisturbed run.

    Raises:
        FsrcnnError: it fails.
    """
    run = subprocess.run(command(source, target), cwd=folder, capture_output=True, text=True)
    if run.returncode:
        raise FsrcnnError(f"a run on this machine alone failed: {run.stderr[-1000:]}")


def disturbed(folder: Path, source: str, target: str, options: argparse.Namespace) -> dict[str, Any]:
    """The run of a cluster in which nodes, workers and drivers die; what happened, and the processes that are left."""
    require("ray", "clusters", extra="cluster")
    from ray.cluster_utils import Cluster

    logging.getLogger("ray").setLevel(logging.CRITICAL)
    chance = random.Random(options.seed)
    deaths = [chance.choice(("node", "worker")) for _ in range(options.kills)] + ["driver"] * options.drivers
    due = sorted((chance.randrange(1, max(2, int(LAST * options.pictures))), death) for death in deaths)
    happened: Counter[str] = Counter()
    log = folder / "run.jsonl"
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    nodes = [cluster.add_node(**NODE) for _ in range(NODES - 1)]
    typed = command(source, target, "--cluster", cluster.address, "--log", str(log))
    started = soonest = time.monotonic()
    try:
        driver = subprocess.Popen(typed, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while driver.poll() is None:
            time.sleep(0.05)
            if not due or done_in(log) < due[0][0] or time.monotonic() < soonest:
                continue
            death, soonest = due[0][1], time.monotonic() + chance.uniform(0, MOMENT)
            if death == "worker":
                busy = [number for number, line in children() if line.startswith(BUSY)]
                if not busy:
                    continue
                with contextlib.suppress(ProcessLookupError):
                    os.kill(chance.choice(busy), signal.SIGKILL)
            elif death == "node":
                cluster.remove_node(nodes.pop(chance.randrange(len(nodes))), allow_graceful=False)
                nodes.append(cluster.add_node(**NODE))
            else:
                driver.kill()
                driver.communicate()
                driver = subprocess.Popen(
                    typed, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
                )
            happened[death] += 1
            print(
                f"{time.monotonic() - started:6.1f} s, {done_in(log):,} pictures: a {death} dies",
                file=sys.stderr,
                flush=True,
            )
            due.pop(0)
        said = driver.communicate()[1]
        seconds = time.monotonic() - started
        if driver.returncode:
            raise FsrcnnError(f"the last driver ended with {driver.returncode}: {said[-2000:]}")
    finally:
        cluster.shutdown()
    lines = [line for line in map(json.loads, log.read_text("utf-8").splitlines()) if "source" in line]
    finished = Counter(line["target"] for line in lines if "error" not in line)
    return {
        "killed": dict(happened), "seconds": round(seconds, 1), "lines_of_the_log": len(lines),
        "done_twice_by_the_log": sum(count - 1 for count in finished.values()),
        "errors_on_the_way": sum("error" in line for line in lines), "left": left_after(10),
    }  # fmt: skip


def done_in(log: Path) -> int:
    """How many pictures are done, says the log."""
    return log.read_bytes().count(b'"sha256"') if log.exists() else 0


def children() -> list[tuple[int, str]]:
    """Each process that descends from this one, with its command line."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            text = path.read_text(errors="replace")
            parents[int(text.split(" ", 1)[0])] = int(text.rpartition(")")[2].split()[1])
    found = []
    for number in parents:
        ancestor = number
        while ancestor in parents and ancestor != os.getpid():
            ancestor = parents[ancestor]
        if ancestor == os.getpid() and number != os.getpid():
            with contextlib.suppress(OSError):
                line = (
                    Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                )
                found.append((number, line))
    return found


def left_after(seconds: float) -> list[str]:
    """The processes of Ray and of drivers that are left after some seconds, below this one or whose parent has died."""
    until = time.monotonic() + seconds
    while True:
        token = os.environ["RAY_AUTH_TOKEN"].encode()
        left = []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                line = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if (
                    int(path.name) != os.getpid()
                    and token in (path / "environ").read_bytes()
                    and "moto" not in line
                    and line
                ):
                    left.append(line[:200])
        if not left or time.monotonic() > until:
            return left
        time.sleep(0.2)


def hashes(folder: Path) -> dict[str, str]:
    """Each file below a folder, with its SHA-256."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def logged(log: Path) -> dict[str, str]:
    """The end of each target's name below `out/`, with the SHA-256 that the log gives last."""
    result = {}
    for line in map(json.loads, log.read_text("utf-8").splitlines()):
        if "sha256" in line:
            result[line["target"].partition("/out/")[2]] = line["sha256"]
    return result


def differences(truth: dict[str, str], outputs: dict[str, str], log: dict[str, str]) -> list[str]:
    """What is wrong with the outputs, in sentences."""
    wrong = [f"{name} is missing" for name in truth.keys() - outputs.keys()]
    wrong += [f"{name} is left" for name in outputs.keys() - truth.keys()]
    wrong += [f"{name} has other bytes" for name in truth.keys() & outputs.keys() if truth[name] != outputs[name]]
    wrong += [f"{name} is not what the log says" for name in truth if truth[name] != log.get(name)]
    return sorted(wrong)


class Store:
    """A store that speaks S3, of moto, in a process of its own; this process's environment leads to it."""

    def __enter__(self) -> Store:
        require("moto", "stores on this machine", extra="server", of="moto")
        fsspec = require("fsspec", "stores", extra="remote")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        os.environ |= {**STORE, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        self._server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        self._fs = fsspec.filesystem("s3", use_listings_cache=False)
        self._fs.mkdir(BUCKET)
        return self

    def __exit__(self, *raised: object) -> None:
        self._server.kill()
        self._server.wait()

    def fill(self, folder: Path) -> None:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self._fs.pipe_file(f"{BUCKET}/in/{path.relative_to(folder).as_posix()}", path.read_bytes())

    def hashes(self) -> dict[str, str]:
        """Each object below `out/`, with its SHA-256."""
        names: Iterator[str] = iter(self._fs.find(f"{BUCKET}/out"))
        return {
            name.removeprefix(f"{BUCKET}/out/"): hashlib.sha256(self._fs.cat_file(name)).hexdigest() for name in names
        }

    def unfinished(self) -> list[str]:
        """Whatever lies neither below `in/` nor below `out/`, and uploads that were begun and not ended."""
        others = [name for name in self._fs.find(BUCKET) if not name.startswith((f"{BUCKET}/in/", f"{BUCKET}/out/"))]
        uploads = self._fs.call_s3("list_multipart_uploads", Bucket=BUCKET).get("Uploads", [])
        return [f"{name} is left" for name in others] + [f"an upload to {upload['Key']} is left" for upload in uploads]


if __name__ == "__main__":
    cli.run(lambda: sys.exit(main()))
