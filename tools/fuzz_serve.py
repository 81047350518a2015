"""Hostile requests: `fsrcnn serve` asked in every wrong way, by several clients at a time.

    python tools/fuzz_serve.py --count 10000 --seed 0

A request depends on the seed and its number alone, so `--only 4711` sends one again, and says what it was and what came back. Answered
must be each with a status that says whose fault it is (never 500), or, where it is no HTTP, with a closed connection. At the end
nothing may be left of it all: no file, no descriptor, no memory, and the server still works. Prints the counts; exits with 1 if
anything failed.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import http.client
import os
import random
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

import fuzz
from fsrcnn import cli
from fsrcnn.arguments import whole_number

CLIENTS = 16  # at a time
SECONDS = 60.0  # for an answer
WARM = 2000  # requests after which the memory is that of a server at work
MEMORY = 50e6  # bytes by which it may grow from then on
DESCRIPTORS = 8  # more than at the beginning: connections that are about to be closed
SERVER = """
from fsrcnn.serve import listening, uploads
uploads.STALL, uploads.SLOWEST, listening.SLOWEST_HEAD = 1.0, 4096, 1.0
from fsrcnn.cli import main
main()
"""
HEAD = b"Host: localhost\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
Pieces = list[bytes | float]
"""What is sent, and seconds for which nothing is."""


class Server(NamedTuple):
    process: subprocess.Popen[bytes]
    port: int
    folder: Path
    log: Path

    def metric(self, name: str) -> float:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """A server whose home, current folder and temporary folder lie in `folder`, and which is less patient than usual."""
    for name in ("home", "temporary"):
        (folder / name).mkdir()
    log = folder / "log"
    environment = {
        **os.environ,
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "temporary"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    limits = ["--max-bytes", "400000", "--max-pixels", "200000", "--max-output-pixels", "800000", "--keep", "2"]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, "serve", "--port", "0", *limits],
            stderr=stream,
            env=environment,
            cwd=folder / "home",
        )
    try:
        while not (found := re.search(r"serving at http://[^ ]*:(\d+)/", log.read_text())):
            if process.poll() is not None:
                sys.exit(log.read_text())
            time.sleep(0.05)
        yield Server(process, int(found[1]), folder, log)
    finally:
        process.terminate()
        process.wait()


# ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def pictures() -> list[bytes]:
    return [data for _, data in sorted(fuzz.SUBJECTS["pictures"].files().items())]


def posted(body: bytes, query: str = "", headers: bytes = b"", path: str = "/v1/upscale") -> bytes:
    line = f"POST {path}{query} HTTP/1.1\r\n".encode()
    return line + HEAD + headers + f"Content-Length: {len(body)}\r\n\r\n".encode() + body


def form(dice: random.Random, picture: bytes) -> bytes:
    parts = [b'--limit\r\nContent-Disposition: form-data; name="model"\r\n\r\nfsrcnn-x\r\n']
    name = dice.choice(NAMES)
    parts.append(
        b'--limit\r\nContent-Disposition: form-data; name="picture"; filename="'
        + name
        + b'"\r\n\r\n'
        + picture
        + b"\r\n"
    )
    return b"".join(parts) + b"--limit--\r\n"


NAMES = (
    b"a.png",
    b"../../../../tmp/out.png",
    b"/etc/passwd",
    b"C:\\a\\b.png",
    b"\x00.png",
    b"\xff\xfe",
    b"a" * 4000,
    b"..",
    b"",
    b'a"b',
)
VALUES = (
    "0", "-1", "2", "64", "65", "1e400", "nan", "-inf", "1.0000001", "99999999999999999999", "1_0", "0x10", "", " ", "true",
    "x" * 3000, "3840x2160", "1x1", "999999999x999999999", "../../etc/passwd", "/dev/zero", "fsrcnn",
    "fsrcnn-photo@0.5", "fsrcnn-photo@9",
    "auto", "http://127.0.0.1:1/", "file:///etc/passwd", "%00", "%0d%0aSet-Cookie:a=b", "é", "\u202e", "webp", "gif", "tif", "avif",
    "jpg", "fast",
)  # fmt: skip
FIELDS = (
    "scale",
    "width",
    "height",
    "fit",
    "model",
    "precision",
    "format",
    "quality",
    "lossless",
    "page",
    "tolerant",
    "name",
    "url",
    "token",
)
PATHS = (
    "/..%2f..%2fetc/passwd", "/../../etc/passwd", "//etc/passwd", "/%00", "/%ff%fe", "/v1/jobs/../upscale", "/v1/jobs/%2e%2e/result",
    "/v1//upscale", "/V1/upscale", "/v1/jobs/" + "a" * 5000, "/" + "a/" * 2000, "*", "http://evil.example/v1/models", "/v1/models#a",
    "/?token=a",
    "/docs/..;/metrics", "/v1/jobs/a%0d%0ab", "/page/../listening.py", "/.git/config", "/v1/jobs//events", "evil.example:443", "",
)  # fmt: skip
METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PATCH", "get", "BREW", "A" * 3000)
HOSTS = (
    b"evil.example",
    b"127.0.0.1.evil.example",
    b"",
    b"localhost:99999999",
    b"[::1",
    b"a b",
    b"\xff",
    b"localhost@evil.example",
    b"l" * 5000,
)
ORIGINS = (
    b"http://evil.example",
    b"null",
    b"http://localhost:1",
    b"http://[",
    b"file://",
    b"\xff",
    b"http://localhost.evil.example",
)


def broken_form(dice: random.Random) -> Pieces:
    body = fuzz.mutant(form(dice, dice.choice(pictures())), dice)
    boundary = dice.choice((b"limit", b"limit", b"limit", b"", b"l" * 300, b'"', b"\xff", b"limit; boundary=other"))
    return [posted(body, headers=b"Content-Type: multipart/form-data; boundary=" + boundary + b"\r\n")]


def broken_picture(dice: random.Random) -> Pieces:
    return [
        posted(fuzz.mutant(dice.choice(pictures()), dice), f"?model=fsrcnn-x&tolerant={dice.choice(('true', 'false'))}")
    ]


def bomb(dice: random.Random) -> Pieces:
    side = dice.choice((2**16 - 1, 2**31 - 1, 20_000, 2**20))
    header = struct.pack(">IIBBBBB", side, side, dice.choice((8, 16)), dice.choice((0, 2, 6)), 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(dice.choice((0, 10**7))), 9)), (b"IEND", b""))
    png = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    gif = (
        b"GIF89a"
        + struct.pack("<HHBBB", 65_535, 65_535, 0x80, 0, 0)
        + bytes(6)
        + b","
        + struct.pack("<HHHHB", 0, 0, 65_535, 65_535, 0)
    )
    tiff = (
        b"II*\0"
        + struct.pack("<IH", 8, dice.choice((1, 65_535)))
        + struct.pack("<HHII", 256, 4, 1, 2**31) * 40
        + struct.pack("<I", 8)
    )
    data = dice.choice((b"\x89PNG\r\n\x1a\n" + png, gif + bytes([2, 1, 0, 0, 0x3B]), tiff))
    return [posted(data, dice.choice(("", "?tolerant=1", "?scale=64", "?width=1000000&height=1000000")))]


def wrong_fields(dice: random.Random) -> Pieces:
    chosen = [(dice.choice(FIELDS), dice.choice(VALUES)) for _ in range(dice.randrange(1, 4))]
    query = "&".join(f"{name}={value}" for name, value in chosen).replace(" ", "%20").encode("utf-8", "surrogatepass")
    target = b"POST " + dice.choice((b"/v1/upscale?", b"/v1/jobs?")) + query + b" HTTP/1.1\r\n"
    data = pictures()[dice.randrange(len(pictures()))]
    return [target + HEAD + f"Content-Length: {len(data)}\r\n\r\n".encode() + data]


def wrong_headers(dice: random.Random) -> Pieces:
    junk = dice.choice((
        b"A: " + b"a" * 40_000, b"\r\n".join(b"a%d: b" % number for number in range(3000)), b"A: \x00", b": b", b"A : b",
        b"\tA: b", b"A",
        b"Content-Length: -1", b"Content-Length: 99999999999999999999", b"Content-Length: 5\r\nContent-Length: 6",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: xchunked",
        b"Expect: 100-continue", b"Upgrade: websocket\r\nConnection: Upgrade", b"Range: bytes=0-0,1-1", b"Host: localhost",
        b"Cookie: " + bytes(dice.choices(range(128, 256), k=200)), b"Authorization: Bearer \xff",
        b"Accept: application/json;q=nan, */*;q=x",
        b"Content-Type: multipart/form-data; boundary*=utf-8''a", b"Content-Type: " + b"\xff" * 50,
        b"Content-Type: multipart/form-data; " + b'a="' * 999,
    ))  # fmt: skip
    method = dice.choice((b"GET /v1/models", b"POST /v1/upscale", b"GET /", b"DELETE /v1/jobs/a"))
    return [method + b" HTTP/1.1\r\n" + HEAD + junk + b"\r\n\r\n" + dice.randbytes(dice.randrange(20))]


def forged(dice: random.Random) -> Pieces:
    headers = b"Host: " + (dice.choice(HOSTS) if dice.random() < 0.6 else b"localhost") + b"\r\n"
    if dice.random() < 0.6:
        headers += b"Origin: " + dice.choice(ORIGINS) + b"\r\n"
    if dice.random() < 0.3:
        headers += b"Sec-Fetch-Site: " + dice.choice((b"cross-site", b"same-site", b"\xff")) + b"\r\n"
    data = dice.choice(pictures())
    return [b"POST /v1/upscale HTTP/1.1\r\n" + headers + f"Content-Length: {len(data)}\r\n\r\n".encode() + data]


def strange_path(dice: random.Random) -> Pieces:
    return [
        f"{dice.choice(METHODS)} {dice.choice(PATHS)} HTTP/{dice.choice(('1.1', '1.0', '0.9', '2.0', '1.1 '))}\r\n".encode()
        + HEAD
        + b"\r\n"
    ]


def slow(dice: random.Random) -> Pieces:
    whole = posted(
        form(dice, dice.choice(pictures())), headers=b"Content-Type: multipart/form-data; boundary=limit\r\n"
    )
    cut = dice.randrange(len(whole))
    return [whole[:cut], dice.choice((0.0, 0.3, 2.5)), *([whole[cut:]] if dice.random() < 0.5 else [])]


def chunked(dice: random.Random) -> Pieces:
    data = dice.choice(pictures())
    size = dice.choice(
        (b"%x" % len(data), b"%x" % len(data), b"-1", b"zz", b"ffffffffffffffff", b"0", b"%x;a=b" % len(data))
    )
    end = dice.choice((b"\r\n0\r\n\r\n", b"0\r\n\r\n", b"\r\n0\r\nA: b\r\n\r\n", b"", b"\r\n"))
    return [
        b"POST /v1/upscale?model=fsrcnn-x HTTP/1.1\r\n"
        + HEAD
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + size
        + b"\r\n"
        + data
        + end
    ]


def long_body(dice: random.Random) -> Pieces:
    path = dice.choice(("/v1/upscale", "/v1/jobs", "/v1/models", "/nothing"))
    return [posted(dice.choice(pictures()) + bytes(dice.choice((400_000, 2_000_000))), path=path)]


def several(dice: random.Random) -> Pieces:
    """Pipelined requests, jobs that are never fetched or are deleted at once."""
    requests = [
        posted(dice.choice(pictures()), "?model=fsrcnn-x", path="/v1/jobs") for _ in range(dice.randrange(1, 4))
    ]
    return [b"".join(requests) + b"GET /healthz HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n"]


def no_http(dice: random.Random) -> Pieces:
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + dice.randbytes(200)  # of TLS
    return [dice.choice((dice.randbytes(dice.randrange(1, 3000)), hello, b"\r\n\r\n",
                         b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET\r\n\r\n", b"A" * 70_000, b""))]  # fmt: skip


def good(dice: random.Random) -> Pieces:
    """In between, so that what is wrong meets what is right."""
    return [posted(dice.choice(pictures()), "?model=fsrcnn-x")]


KINDS: tuple[Callable[[random.Random], Pieces], ...] = (
    broken_form, broken_form, broken_picture, broken_picture, bomb, wrong_fields, wrong_headers, forged, strange_path, slow, chunked,
    long_body, several, no_http, good,
)  # fmt: skip


def made(seed: int, number: int) -> tuple[str, Pieces]:
    """The kind of a request, and the request."""
    dice = random.Random(f"{seed} {number}")
    kind = dice.choice(KINDS)
    return kind.__name__, kind(dice)


# ── the run ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Case(NamedTuple):
    number: int
    kind: str
    outcome: str
    answer: bytes

    @property
    def failed(self) -> bool:
        return self.outcome == "silence" or (self.outcome.startswith("5") and self.outcome not in ("503", "507"))


def attempt(server: Server, seed: int, number: int) -> Case:
    """Send a request; what came back. One in ten clients goes away without waiting for it."""
    kind, pieces = made(seed, number)
    hasty = random.Random(number).random() < 0.1
    answer = b""
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS) as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may be answered in the middle
                for piece in pieces:
                    if isinstance(piece, float):
                        time.sleep(piece)
                    else:
                        connection.sendall(piece)
            if hasty:
                return Case(number, kind, "not waited for", b"")
            while b"\r\n\r\n" not in answer and (chunk := connection.recv(65_536)):
                answer = (answer + chunk).removeprefix(CONTINUE)
    except TimeoutError:
        return Case(number, kind, "silence", answer)
    except ConnectionResetError:
        pass
    status = re.match(rb"HTTP/1\.1 (\d{3})", answer)
    return Case(number, kind, status[1].decode() if status else "closed", answer)


def run(server: Server, seed: int, numbers: range) -> list[str]:
    """Send all requests; says what failed."""
    descriptors, counts = server.metric("process_open_fds"), collections.Counter[tuple[str, str]]()
    failures: list[str] = []
    warm = 0.0
    with ThreadPoolExecutor(CLIENTS) as clients:
        for done, case in enumerate(clients.map(lambda number: attempt(server, seed, number), numbers), 1):
            counts[case.kind, case.outcome] += 1
            if case.failed:
                failures.append(f"{case.number} {case.kind}: {case.outcome}: {case.answer[-300:]!r}")
            if done == min(WARM, len(numbers) // 2):
                warm = server.metric("process_resident_memory_bytes")
            if sys.stderr.isatty() and done % 100 == 0:
                print(f"\r{done:,} of {len(numbers):,} requests", end="", file=sys.stderr)
    outcomes: dict[str, list[str]] = {}
    for (kind, outcome), count in sorted(counts.items()):
        outcomes.setdefault(kind, []).append(f"{outcome} {count:,}")
    print("\n".join(f"  {kind}: {', '.join(found)}" for kind, found in outcomes.items()))
    failures += left(server, descriptors, warm)
    return failures


def left(server: Server, descriptors: float, warm: float) -> list[str]:
    """What is left that should not be, once jobs that nobody fetched are too old."""
    for _ in range(600):
        files = [path.name for path in (server.folder / "temporary").glob("*/*") if path.name != "lock"]
        open_now = server.metric("process_open_fds")
        if not files and open_now <= descriptors + DESCRIPTORS and not server.metric("fsrcnn_jobs_kept"):
            break
        time.sleep(0.1)
    strangers = [path for path in (server.folder / "temporary").iterdir() if not path.name.startswith("fsrcnn-serve-")]
    strangers += list((server.folder / "home").iterdir())
    memory = server.metric("process_resident_memory_bytes")
    print(f"  memory {warm / 1e6:,.0f} → {memory / 1e6:,.0f} MB, descriptors {descriptors:.0f} → {open_now:.0f}")
    said = server.log.read_text(errors="replace")
    found = [f"files are left: {files[:5]}"] if files else []
    found += [f"files outside of the folder: {strangers[:5]}"] if strangers else []
    found += [f"descriptors: {descriptors:.0f} → {open_now:.0f}"] if open_now > descriptors + DESCRIPTORS else []
    found += [f"memory: {warm / 1e6:,.0f} → {memory / 1e6:,.0f} MB"] if memory > warm + MEMORY else []
    others = [line for line in said.splitlines() if not line.startswith("fsrcnn: ")]  # a log that strangers could fill
    found += [f"the server says {len(others):,} lines: {others[:40]}"] if others else []
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="the number of one request")
    arguments = parser.parse_args()
    whole_number(arguments.count, "count")
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server:
        if arguments.only is not None:
            print(made(arguments.seed, whole_number(arguments.only, "only", least=0)))
            print(attempt(server, arguments.seed, arguments.only))
            print(server.log.read_text())
            return
        print(f"seed {arguments.seed}: {arguments.count:,} requests")
        failures = run(server, arguments.seed, range(arguments.count))
    for failure in failures[:40]:
        print(f"  {failure}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    cli.run(main)
