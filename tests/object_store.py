"""A store that speaks S3, on this machine: moto's server, behind a proxy that can answer as badly as a real one on a bad day.

with object_store() as store:
    store.put("in/a.png", data)
    store.faults.append(Fault(503, "SlowDown", method="GET"))
    run_command("upscale", f"s3://{store.bucket}/in/a.png", "-o", f"s3://{store.bucket}/out/", **store.environment)
    assert store.keys() == ["in/a.png", "out/a.png"]
    assert store.requests.count(f"GET /{store.bucket}/in/a.png") == 2
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import logging
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote
from xml.etree import ElementTree

import pytest

_numbers = itertools.count()
SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request"}  # moto believes it
NOWHERE = str(Path(__file__) / "nothing")  # below a file there is none
_OF_A_CONNECTION = ("connection", "transfer-encoding", "content-length", "keep-alive", "expect", "host")


@dataclass
class Fault:
    """What goes wrong with the next request that it fits, once.

    Attributes:
        status: of the answer, in place of the store's; 0: the store's own.
        code: of the error, as S3 names it.
        method: of the request; any where it is empty.
        path: a part of the request's, percent-encoded as it is there.
        after: the store does what it was asked, and only the answer is wrong.
        cut: the connection is closed after so many bytes of the answer's body.
        reset: it is reset, without an answer.
        seconds: to wait before.
    """

    status: int = 0
    code: str = "InternalError"
    method: str = ""
    path: str = ""
    after: bool = False
    cut: int | None = None
    reset: bool = False
    seconds: float = 0

    def fits(self, method: str, path: str) -> bool:
        return method.startswith(self.method) and self.path in path


@dataclass
class Store:
    """A bucket, and what is asked of it.

    Attributes:
        endpoint: the proxy's address.
        faults: to come, in order: each meets the first request that it fits.
        requests: all so far: `GET /bucket/key?query`, as they were sent.
        environment: what a process needs to find it, whatever its user has set up.
    """

    endpoint: str
    bucket: str
    server: str
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_SHARED_CREDENTIALS_FILE": NOWHERE,
            "AWS_CONFIG_FILE": NOWHERE,
            "AWS_EC2_METADATA_DISABLED": "true",
            "FSSPEC_CONFIG_DIR": NOWHERE,
            "NO_PROXY": "127.0.0.1",
        }

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}"

    def put(self, key: str, data: bytes, *, public: bool = False) -> None:
        """Lay an object down, past the proxy; `public` ones may be read without credentials."""
        about = {"x-amz-acl": "public-read"} if public else {}
        status, body = self._ask("PUT", f"/{self.bucket}/{quote(key, safe='')}", data, about)
        assert status == 200, body

    def get(self, key: str) -> bytes:
        status, body = self._ask("GET", f"/{self.bucket}/{quote(key, safe='')}")
        if status != 200:
            raise KeyError(key)
        return body

    def headers(self, key: str) -> dict[str, str]:
        """What the store says of an object, names in lower case."""
        connection = http.client.HTTPConnection(self.server)
        with contextlib.closing(connection):
            connection.request("HEAD", f"/{self.bucket}/{quote(key, safe='')}", headers=SIGNED)
            return {name.lower(): value for name, value in connection.getresponse().getheaders()}

    def keys(self, prefix: str = "") -> list[str]:
        """All keys that begin so, sorted as the store sorts them."""
        found: list[str] = []
        token = ""
        while True:
            query = f"list-type=2&encoding-type=url&prefix={quote(prefix, safe='')}{token}"
            body = ElementTree.fromstring(self._ask("GET", f"/{self.bucket}?{query}")[1])
            names = {element.tag.rpartition("}")[2]: element.text or "" for element in body}
            found += [unquote(key.text or "") for key in body.iterfind("{*}Contents/{*}Key")]
            if names.get("IsTruncated") != "true":
                return found
            token = f"&continuation-token={quote(names['NextContinuationToken'], safe='')}"

    def empty(self) -> None:
        """Take another bucket, with nothing in it, no requests and no faults to come."""
        self.bucket = f"pictures-{os.getpid()}-{next(_numbers)}"
        self.faults.clear()
        self.requests.clear()
        assert self._ask("PUT", f"/{self.bucket}")[0] == 200

    def unfinished_uploads(self) -> int:
        """Uploads of several parts that were begun and neither completed nor aborted."""
        return self._ask("GET", f"/{self.bucket}?uploads")[1].count(b"<Upload>")

    def delete(self, key: str) -> None:
        self._ask("DELETE", f"/{self.bucket}/{quote(key, safe='')}")

    def sent(self, method: str, part: str = "") -> int:
        """How many requests of a method there were, of paths that hold a part."""
        with self.lock:
            return sum(line.startswith(method) and part in line for line in self.requests)

    def fault(self, method: str, path: str) -> Fault | None:
        """Note a request; what is to go wrong with it."""
        with self.lock:
            self.requests.append(f"{method} {path}")
            found = next((fault for fault in self.faults if fault.fits(method, path)), None)
            if found is not None:
                self.faults.remove(found)
            return found

    def _ask(
        self, method: str, path: str, data: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.server)
        with contextlib.closing(connection):
            connection.request(method, path, data, {**SIGNED, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read()


def _handler(store: Store) -> type[BaseHTTPRequestHandler]:
    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            data = self._body()
            fault = store.fault(self.command, self.path) or Fault()
            time.sleep(fault.seconds)
            if fault.reset and not fault.after:
                return self._reset()
            if fault.status and not fault.after:
                return self._refuse(fault)
            connection = http.client.HTTPConnection(store.server)
            with contextlib.closing(connection):
                kept = {name: value for name, value in self.headers.items() if name.lower() not in _OF_A_CONNECTION}
                connection.request(self.command, self.path, data, kept)
                answer = connection.getresponse()
                body = answer.read()
            if fault.reset:
                return self._reset()
            if fault.status:
                return self._refuse(fault)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(body))
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _OF_A_CONNECTION:
                    self.send_header(name, value)
            self.send_header("Content-Length", length or "0")
            self.end_headers()
            if fault.cut is not None:
                self.wfile.write(body[: fault.cut])
                self.close_connection = True
            elif self.command != "HEAD":
                self.wfile.write(body)
            return None

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_any  # noqa: N815

        def _body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            data = b""
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return data

        def _refuse(self, fault: Fault) -> None:
            text = f"<Error><Code>{fault.code}</Code><Message>as asked for</Message></Error>"
            body = b"" if self.command == "HEAD" else text.encode()
            self.send_response(fault.status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _reset(self) -> None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            self.wfile = self.rfile = None  # type: ignore[assignment]

        def finish(self) -> None:
            if self.wfile is not None:
                super().finish()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    return Proxy


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is none of ours."""


@contextlib.contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """A web server in a thread; its address."""
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def object_store() -> Iterator[Store]:
    """A store with one bucket that holds nothing yet; skipped where moto or s3fs is not installed."""
    moto = pytest.importorskip("moto.server", reason="moto is not installed; type: pip install 'moto[server]'")
    pytest.importorskip("s3fs", reason="s3fs is not installed; type: pip install s3fs")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # of each request, a line
    server = moto.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        store = Store("", "", f"{host}:{port}")
        with serving(_handler(store)) as endpoint:
            store.endpoint = endpoint
            store.empty()
            yield store
    finally:
        server.stop()


@pytest.fixture(scope="session")
def _running() -> Iterator[Store]:
    with object_store() as found:
        yield found
        _forget()


@pytest.fixture
def store(_running: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store with an empty bucket, which this process finds, too; its connections are those of the tests before."""
    _running.empty()
    for name, value in _running.environment.items():
        monkeypatch.setenv(name, value)
    return _running


@pytest.fixture
def new_clients() -> Iterator[None]:
    """For a test that changes the environment by which a store is found: nothing connected before is used, or after."""
    _forget()
    yield
    _forget()


def _forget() -> None:
    s3fs = sys.modules.get("s3fs")
    if s3fs is not None:
        s3fs.S3FileSystem.clear_instance_cache()
