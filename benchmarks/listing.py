"""A folder of a million pictures, and as many objects in a store: seconds until the first job is drawn, and memory at most.

    python benchmarks/listing.py                        # 1,000,000 each
    python benchmarks/listing.py --pictures 100000 --save FILE

Jobs are drawn as `fsrcnn upscale` draws them, in a process of its own, and not done. The files are empty, and are made in a temporary
folder, which needs as many inodes. The store is this script: it answers lists of 1,000 keys at a time as S3 does, from none that it
holds, so what it costs is asking and reading; the outputs are not asked for (as with --overwrite), which would be a request for each.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fsrcnn import cli
from machine import check_counts, outcome, save

PAGE = 1000  # keys of an answer
DRAWING = """
import sys, time
from fsrcnn.planning import Drawing
from fsrcnn.size import Size
def peak(): return int([line for line in open("/proc/self/status") if line.startswith("VmHWM")][0].split()[1]) / 1000
began = time.perf_counter()
drawing = Drawing([sys.argv[1]], sys.argv[2], Size(factor=2), existing=sys.argv[3])
first, count = None, 0
for job in drawing:
    assert job.error is None, job.error
    if first is None:
        first, early = time.perf_counter() - began, peak()
    count += 1
print(count, first, time.perf_counter() - began, early, peak())
"""


def drawn(source: str, target: str, existing: str, **environment: str) -> dict[str, Any]:
    """What it takes to draw all jobs."""
    command = [sys.executable, "-c", DRAWING, source, target, existing]
    printed = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
    ).stdout
    count, first, whole, early, peak = map(float, printed.split())
    return {
        "jobs": int(count), "seconds_to_the_first": round(first, 2), "seconds_to_the_last": round(whole, 1),
        "memory_mb_at_the_first": round(early), "memory_mb_at_most": round(peak),
    }  # fmt: skip


def make_files(folder: Path, count: int) -> None:
    folder.mkdir()
    for number in range(count):
        os.close(os.open(folder / f"{number:07}.jpg", os.O_CREAT | os.O_WRONLY))


@contextlib.contextmanager
def store(count: int) -> Iterator[str]:
    """The address of a store whose one bucket has so many keys under `in/`."""

    class Listing(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            begin = int(query.get("continuation-token", ["0"])[0])
            end = min(begin + PAGE, count)
            keys = "".join(
                f"<Contents><Key>in/{number:07}.jpg</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
                f"<ETag>&quot;{number:032x}&quot;</ETag><Size>500000</Size><StorageClass>STANDARD</StorageClass></Contents>"
                for number in range(begin, end)
            )
            more = (
                f"<IsTruncated>true</IsTruncated><NextContinuationToken>{end}</NextContinuationToken>"
                if end < count
                else ("<IsTruncated>false</IsTruncated>")
            )
            body = (
                '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
                f"<Name>bucket</Name><Prefix>in/</Prefix><KeyCount>{end - begin}</KeyCount><MaxKeys>{PAGE}</MaxKeys>{more}{keys}"
                "</ListBucketResult>"
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Listing)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1_000_000)
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    check_counts(arguments, "pictures")
    results: dict[str, dict[str, Any]] = {}
    with store(arguments.pictures) as address:
        print("listing objects", file=sys.stderr)
        keys = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "AWS_DEFAULT_REGION": "us-east-1"}
        results["store"] = drawn(
            "s3://bucket/in/", "s3://bucket/out/", "replace", AWS_ENDPOINT_URL=address, NO_PROXY="127.0.0.1", **keys
        )
    with tempfile.TemporaryDirectory() as folder:
        print("making files", file=sys.stderr)
        began = time.perf_counter()
        make_files(Path(folder) / "in", arguments.pictures)
        print(f"listing them, after {time.perf_counter() - began:.0f} s", file=sys.stderr)
        results["folder"] = drawn(f"{folder}/in", f"{folder}/out", "refuse")
        print(json.dumps(results), file=sys.stderr)
    what = f"{arguments.pictures:,} pictures in one folder, and as many keys of a store, drawn as jobs and not done"
    save(outcome(what, results, ["s3fs", "botocore"]), arguments.save)


if __name__ == "__main__":
    cli.run(main)
