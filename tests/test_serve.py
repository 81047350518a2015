"""`fsrcnn serve` as its clients see it: a process of its own, asked by Python's HTTP client and by bytes on a socket."""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import numpy as np
import pytest
from PIL import Image

from fsrcnn.engines import native
from support import ENVIRONMENT, ROOT, files_below, heed_interrupts, png_bomb, run_command, saved

for package in ("starlette", "uvicorn", "python_multipart"):
    pytest.importorskip(package)
if os.name == "nt":
    pytest.skip("signals of a server are tested on POSIX", allow_module_level=True)

GENERATOR = np.random.default_rng(0)
PHOTO = np.kron(GENERATOR.integers(0, 256, (5, 7, 3)), np.ones((8, 8, 1))).astype(np.uint8)
JPEG = saved([PHOTO], "JPEG", quality=80)
PNG = saved([PHOTO], "PNG")
SLOW = saved([np.full((1500, 1500), 90, np.uint8)], "PNG")  # at ×8 it takes much longer than any test waits
TOKEN = "a-token-of-the-tests"
Headers = dict[str, str]
END = b"--limit--\r\n"
LIMITED = "multipart/form-data; boundary=limit"


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def sentence(self) -> str:
        assert self.headers["Content-Type"] == "application/problem+json", self
        assert self.json["status"] == self.status
        return str(self.json["detail"])


class Server:
    """A running `fsrcnn serve`."""

    def __init__(self, process: subprocess.Popen[str], port: int, folder: Path, begun: str) -> None:
        """`begun`: what it says then."""
        self.process, self.port, self.folder, self.begun = process, port, folder, begun

    def ask(self, method: str, path: str, body: bytes | None = None, headers: Headers | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def metric(self, name: str) -> float:
        lines = self.ask("GET", "/metrics").body.decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    def wait_until(self, condition: Callable[[], bool]) -> None:
        for _ in range(600):
            if condition():
                return
            time.sleep(0.05)
        pytest.fail("the server did not come to it in 30 seconds")

    @property
    def kept(self) -> list[str]:
        """Folders of jobs."""
        return [path.name for path in self.folder.glob("fsrcnn-serve-*/*") if path.name != "lock"]


@contextmanager
def serving(folder: Path, *arguments: str, before: str = "pass", **environment: str) -> Iterator[Server]:
    """A server in a process of its own, after a line of Python, with `folder` as the system's for temporary files."""
    folder.mkdir(parents=True, exist_ok=True)
    program = f"{before}\nfrom fsrcnn.cli import main\nmain()\n"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "serve", "--port", "0", *arguments], stderr=subprocess.PIPE, text=True,
        env={**ENVIRONMENT, "TMPDIR": str(folder), **environment}, preexec_fn=heed_interrupts,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = re.search(r"serving at http://[^ ]*?:(\d+)/", line)
        assert found, line + process.stderr.read()
        yield Server(process, int(found[1]), folder, line)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stderr.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("temporary"), "--max-bytes", "300000", "--max-pixels", "3000000") as running:
        yield running


def form(fields: Headers, file: bytes | None, name: str = "photo.jpg") -> tuple[bytes, Headers]:
    """A multipart form, written by hand (RFC 7578)."""
    parts = [
        f'--limit\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{text}\r\n'.encode()
        for key, text in fields.items()
    ]
    if file is not None:
        head = f'--limit\r\nContent-Disposition: form-data; name="picture"; filename="{name}"\r\n\r\n'
        parts.append(head.encode() + file + b"\r\n")
    return b"".join(parts) + END, {"Content-Type": LIMITED}


def options_of(fields: Headers) -> list[str]:
    """What the command line calls them."""
    return [
        part for name, text in fields.items() for part in ([f"--{name}"] if text == "true" else [f"--{name}", text])
    ]


# The way of a picture

FAST = "fast" if native.available() else "exact"
SIXTEEN = saved([PHOTO[:, :, 0].astype(np.uint16) * 257], "PNG")
CASES: dict[str, tuple[bytes, str, Headers, str, str]] = {
    "as it is": (JPEG, "photo.jpg", {}, "photo_x2.jpg", "image/jpeg"),
    "scale": (PNG, "a.PNG", {"scale": "3", "model": "fsrcnn"}, "a_x3.PNG", "image/png"),
    "box": (JPEG, "photo.jpg", {"fit": "90x90", "format": "webp", "quality": "60"}, "photo_90x90.webp", "image/webp"),
    "sides": (PNG, "b.png", {"width": "70", "height": "50", "format": "jpg"}, "b_w70h50.jpg", "image/jpeg"),
    "lossless": (PNG, "é ×.png", {"lossless": "true", "format": "webp"}, "é ×_x2.webp", "image/webp"),
    "model": (JPEG, "c.jpg", {"model": "fsrcnn-s-x3", "precision": FAST, "format": "png"}, "c_x3.png", "image/png"),
    "16 bit": (SIXTEEN, "d.png", {"scale": "1.5", "format": "tif"}, "d_x1.5.tif", "image/tiff"),
    "damaged": (JPEG[:-40], "e.jpg", {"tolerant": "true"}, "e_x2.jpg", "image/jpeg"),
}  # fmt: skip


@pytest.fixture(scope="module")
def of_command(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[bytes, list[str]]]:
    """What `fsrcnn upscale` makes of a case, and what it says of it."""

    @functools.cache
    def made(case: str) -> tuple[bytes, list[str]]:
        folder = tmp_path_factory.mktemp("command")
        data, name, fields, *_ = CASES[case]
        (folder / name).write_bytes(data)
        done = run_command("upscale", name, "-o", "out/", *options_of(fields), cwd=folder)
        assert done.returncode == 0, done.stderr
        (written,) = (folder / "out").iterdir()
        return written.read_bytes(), [line for line in done.stderr.decode().splitlines() if line.startswith("fsrcnn:")]

    return made


@pytest.mark.parametrize("way", ["form", "query", "job", "json"])
@pytest.mark.parametrize("case", CASES)
def test_the_bytes_are_those_of_the_command(
    case: str, way: str, server: Server, of_command: Callable[[str], tuple[bytes, list[str]]]
) -> None:
    data, name, fields, result_name, media_type = CASES[case]
    written, said = of_command(case)
    body, headers = form(fields, data, name)
    if way == "query":
        query = "&".join(f"{key}={text}" for key, text in fields.items())
        answer = server.ask("POST", f"/v1/upscale?name={quote(name)}&{query}", data)
    elif way == "form":
        answer = server.ask("POST", "/v1/upscale", body, headers)
    else:
        if way == "job":
            told = server.ask("POST", "/v1/jobs", body, headers)
            assert told.status == 202
            assert told.headers["Location"] == told.json["links"]["self"]
            server.ask("GET", told.json["links"]["events"])  # ends when the job does
        else:
            told = server.ask("POST", "/v1/upscale", body, {**headers, "Accept": "application/json"})
            assert told.status == 200
        state = server.ask("GET", told.json["links"]["self"]).json
        assert (state["state"], state["progress"], state["name"]) == ("done", 1.0, name)
        answer = server.ask("GET", told.json["links"]["result"])
        assert server.ask("DELETE", state["links"]["self"]).status == 204
        assert server.ask("GET", state["links"]["self"]).status == 404
    assert answer.status == 200, answer
    assert answer.body == written
    assert answer.headers["Content-Type"] == media_type
    told_name = re.search(r"filename\*?=(?:utf-8'')?\"?([^\"]+)\"?", answer.headers["Content-Disposition"])
    assert told_name
    assert unquote(told_name[1]) == result_name
    notes = json.loads(answer.headers["Fsrcnn-Report"])["notes"]
    assert [f"fsrcnn: {name}: {note}" for note in notes] == said


def test_two_clients_get_each_his_own(server: Server) -> None:
    pictures = [saved([np.full((30 + number, 40, 3), 10 * number, np.uint8)], "PNG") for number in range(16)]
    answers: dict[int, Answer] = {}

    def ask(number: int) -> None:
        answers[number] = server.ask("POST", "/v1/upscale?model=fsrcnn-x", pictures[number])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, answer in answers.items():
        with Image.open(io.BytesIO(answer.body)) as image:
            assert (image.size, image.getpixel((40, 30))) == ((80, 60 + 2 * number), (10 * number,) * 3)
    assert len(answers) == 16
    server.wait_until(lambda: server.kept == [])


def test_events_tell_of_a_job_until_its_end(server: Server) -> None:
    job = server.ask("POST", "/v1/jobs?name=a.jpg", JPEG).json
    events = server.ask("GET", job["links"]["events"]).body.decode()
    told = [re.fullmatch(r"event: (\w+)\ndata: (.*)", event) for event in events.strip().split("\n\n")]
    assert all(told)
    kinds = [event[1] for event in told if event]
    assert kinds[-1] == "done"
    assert set(kinds[:-1]) <= {"progress"}
    last = json.loads(told[-1][2] if told[-1] else "")
    assert (last["id"], last["state"], last["result"]["output_size"]) == (job["id"], "done", [112, 80])
    server.ask("DELETE", job["links"]["self"])
    failed = server.ask("POST", "/v1/jobs", b"no picture").json
    events = server.ask("GET", failed["links"]["events"]).body.decode()
    assert "event: failed\n" in events
    result = server.ask("GET", failed["links"]["result"])
    assert (result.status, result.sentence[:24]) == (422, "picture is not a picture")
    server.ask("DELETE", failed["links"]["self"])
    assert server.kept == []


def test_heads_are_those_of_the_answers(server: Server) -> None:
    """Of a job under way, too, whose events have no end yet."""
    with contextlib.ExitStack() as stack:
        job = server.ask("POST", "/v1/jobs?scale=8", SLOW).json["links"]
        stack.callback(server.ask, "DELETE", job["self"])
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        stack.callback(connection.close)
        connection.request("HEAD", job["events"])
        head = connection.getresponse()
        assert (head.status, head.headers.get_content_type(), head.read()) == (200, "text/event-stream", b"")
        connection.request("GET", "/healthz")  # on the same connection: that answer has an end
        assert connection.getresponse().status == 200
        assert server.ask("GET", job["self"]).json["state"] in ("waiting", "running")
    job = server.ask("POST", "/v1/jobs", PNG).json["links"]
    server.ask("GET", job["events"])
    asked, whole = (server.ask(method, job["result"]) for method in ("HEAD", "GET"))
    assert (asked.body, asked.headers["Content-Length"]) == (b"", str(len(whole.body)))
    server.ask("DELETE", job["self"])
    server.wait_until(lambda: server.kept == [])


@pytest.mark.parametrize(
    ("asked", "status", "sentence"),
    [
        ("bytes=2-5", 206, ""), ("bytes=999999-", 416, "Range asks for bytes beyond the end of the file; "),
        ("bytes=5-2", 400, "Range is of the kind bytes=0-99"), ("lines=1-2", 400, "Range is of the kind bytes=0-99"),
    ],
)  # fmt: skip
def test_ranges_of_a_result(asked: str, status: int, sentence: str, server: Server) -> None:
    job = server.ask("POST", "/v1/jobs", PNG).json["links"]
    server.ask("GET", job["events"])
    whole = server.ask("GET", job["result"]).body
    part = server.ask("GET", job["result"], headers={"Range": asked})
    assert part.status == status
    if status == 206:
        assert part.body == whole[2:6]
    else:
        assert part.sentence.startswith(sentence)
        assert part.headers["Content-Range"] == (f"bytes */{len(whole)}" if status == 416 else None)
    assert server.ask("HEAD", job["result"], headers={"Range": asked}).status == status
    server.ask("DELETE", job["self"])
    server.wait_until(lambda: server.kept == [])


def test_a_client_may_choose_the_id_of_its_job(server: Server) -> None:
    place = f"/v1/jobs/{'Aa0_-' * 5}"
    put = server.ask("PUT", f"{place}?name=a.png", PNG)
    assert (put.status, put.headers["Location"], put.json["id"]) == (202, place, "Aa0_-" * 5)
    again = server.ask("PUT", place, PNG)
    assert (again.status, again.sentence) == (409, "there is a job of this id; choose another at random")
    assert "event: done\n" in server.ask("GET", f"{place}/events").body.decode()
    assert server.ask("GET", f"{place}/result").status == 200
    server.ask("DELETE", place)
    for id in ("a" * 21, "a" * 65, "%2e%2e%2f" + "a" * 30, "a" * 30 + "%0a"):
        assert server.ask("PUT", f"/v1/jobs/{id}", PNG).status in (400, 404), id
    server.wait_until(lambda: server.kept == [])


def test_a_job_that_is_deleted_while_its_picture_comes_is_not_begun(server: Server) -> None:
    place = f"/v1/jobs/{'b' * 22}"
    with socket.create_connection(("127.0.0.1", server.port), 10) as sender:
        head = f"PUT {place}?scale=8 HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(SLOW)}\r\n\r\n"
        sender.sendall(head.encode() + SLOW[:-1])
        server.wait_until(lambda: server.ask("GET", place).status == 200)
        assert server.ask("GET", place).json["state"] == "uploading"
        assert server.ask("DELETE", place).status == 204
        sender.sendall(SLOW[-1:])
        assert sender.recv(1000).startswith(b"HTTP/1.1 409 ")
    server.wait_until(lambda: server.kept == [])
    assert server.ask("GET", place).status == 404


# What cannot be

LARGE = saved([np.zeros((1700, 1700), np.uint8)], "PNG")
BAD: dict[str, tuple[str, bytes, int, str]] = {
    "no picture": ("?name=a.txt", b"hello", 422, r"a\.txt is not a picture that fsrcnn reads"),
    "empty": ("", b"", 422, r"picture is empty \(0 bytes\)"),
    "truncated": ("?name=a.jpg", JPEG[:-200], 422, r"a\.jpg is truncated; give tolerant=true to take what is left of it"),
    "bomb": ("?name=b.png", png_bomb(50_000, 50_000), 422, "b.png has 50000×50000 = 2,500 megapixels, more than the limit of 3 "),
    "result too large": ("?scale=64", LARGE, 400, "1700×1700 to 108800×108800 is too much"),
    "result beyond the limit": ("?scale=20", LARGE, 400, "would become 1,156,000,000 pixels, more than the limit of 536,"),
    "size twice": ("?scale=2&width=9", JPEG, 400, "only one of these; give scale, width and/or height, or fit"),
    "field twice": ("?scale=2&scale=3", JPEG, 400, "scale is given twice"),
    "no number": ("?scale=two", JPEG, 400, "scale is a number, not 'two'"),
    "not a number": ("?scale=nan", JPEG, 400, "scale is a number, not 'nan'"),
    "not finite": ("?scale=1e999", JPEG, 400, "scale is a number above 1, up to 64"),
    "a number of Python's": ("?scale=1_0", JPEG, 400, "scale is a number, not '1_0'"),
    "a number of other digits": ("?scale=%EF%BC%92", JPEG, 400, "scale is a number, not '２'"),
    "too small": ("?scale=1", JPEG, 400, "scale is a number above 1, up to 64"),
    "no whole number": ("?width=1_0", JPEG, 400, "width is a whole number of at least 1, not '1_0'"),
    "other digits": ("?width=%D9%A1", JPEG, 400, "width is a whole number"),
    "a box of other digits": ("?fit=%D9%A9%D9%A0x%D9%A9%D9%A0", JPEG, 400, "fit is WIDTHxHEIGHT in pixels"),
    "no box": ("?fit=9", JPEG, 400, "fit is WIDTHxHEIGHT in pixels"),
    "no switch": ("?lossless=maybe", JPEG, 400, "lossless is true or false, not 'maybe'"),
    "quality": ("?quality=101", JPEG, 400, "quality is a whole number from 1 to 100, not 101"),
    "quality and lossless": ("?quality=9&lossless", JPEG, 400, "give either lossless or quality"),
    "never lossless": ("?lossless&format=jpg", JPEG, 400, "jpg is never lossless; give format=png or format=tif or"),
    "no format": ("?format=bmp", JPEG, 400, "pictures are written as png, jpg"),
    "no precision": ("?precision=high", JPEG, 400, "precision is exact or fast, not 'high'"),
    "no model": ("?model=none", JPEG, 400, "there is no model 'none' here"),
    "no strength": ("?model=fsrcnn-photo@2", JPEG, 400, "^the strength behind fsrcnn-photo@ is 0 to 1, not 2"),
    "a strength of other digits": ("?model=fsrcnn-photo@%D9%A0", JPEG, 400, "there is no model"),
    "a file as model": ("?model=/etc/passwd", JPEG, 400, "there is no model '/etc/passwd' here"),
    "no page": ("?page=2", JPEG, 422, "picture has one page, so no page 2"),
    "unknown field": ("?skale=2", JPEG, 400, "there is no field 'skale'; there are scale, width"),
    "an address": ("?url=http://example.org/a.jpg", b"", 400, "there is no field 'url'"),
    "frames": ("?format=jpg", saved([PHOTO, PHOTO[::-1]], "GIF"), 400, r"format=webp or .*, or take one: page=1"),
    "too many bytes": ("", PNG + bytes(300_000), 413, "a body has at most 300,000 bytes here"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_pictures_and_fields_are_a_sentence(case: str, server: Server) -> None:
    query, body, status, sentence = BAD[case]
    answer = server.ask("POST", f"/v1/upscale{query}", body)
    assert answer.status == status, answer
    assert re.search(sentence, answer.sentence), answer.sentence
    assert str(server.folder) not in answer.sentence
    assert "--" not in answer.sentence
    assert server.kept == []


def test_a_body_of_unknown_length_is_limited_too(server: Server) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(40):
            yield bytes(10_000)

    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", "/v1/upscale", endless(), {"Transfer-Encoding": "chunked"}, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()
    assert server.kept == []


FORMS: dict[str, tuple[bytes, str, int, str]] = {
    "no boundary": (b"", "multipart/form-data", 400, "names its boundary"),
    "a long boundary": (b"", f"multipart/form-data; boundary={'a' * 300}", 400, "the form cannot be read"),
    "no form": (JPEG, LIMITED, 400, "the form cannot be read"),
    "empty": (b"", LIMITED, 400, "the form breaks off before its end"),
    "cut": (form({}, JPEG)[0][:-8], LIMITED, 400, "the form breaks off before its end"),
    "no file": (form({"scale": "2"}, None)[0], LIMITED, 400, "the form has no file"),
    "two files": (form({}, PNG)[0][: -len(END)] + form({}, PNG)[0], LIMITED, 400, "two files"),
    "a long field": (form({"scale": "2" * 9999}, PNG)[0], LIMITED, 400, "scale has at most 1,000 bytes"),
    "unknown": (form({"skale": "2"}, PNG)[0], LIMITED, 400, "there is no field 'skale'"),
    "twice": (form({"scale": "2"}, None)[0][: -len(END)] + form({"scale": "2"}, PNG)[0], LIMITED, 400, "scale is given twice"),
    "no name": (b"--limit\r\n\r\n2\r\n--limit--\r\n", LIMITED, 400, "no name"),
    "base64": (form({}, PNG)[0].replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n", 1),
               LIMITED, 415, "sent as base64; send it as it is"),
    "many headers": (b"--limit\r\n" + b"a: b\r\n" * 50, LIMITED, 400, "cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("case", FORMS)
def test_bad_forms_are_a_sentence(case: str, server: Server) -> None:
    body, kind, status, sentence = FORMS[case]
    answer = server.ask("POST", "/v1/upscale", body, {"Content-Type": kind})
    assert (answer.status, sentence in answer.sentence) == (status, True), answer
    assert server.kept == []


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd.png", "C:\\windows\\a.png", "/a.png", "..", "", "a\x00\r\n.png", ". .png", "x" * 250 + ".png"],
)
def test_names_of_files_are_names_alone(name: str, server: Server) -> None:
    answer = server.ask("POST", f"/v1/upscale?model=fsrcnn-x&name={quote(name)}", PNG)
    assert answer.status == 200
    told = json.loads(answer.headers["Fsrcnn-Report"])["name"]
    assert re.fullmatch(r"[^/\\\x00-\x1f]{1,200}", told)
    assert told.endswith("_x2.png")
    server.wait_until(lambda: server.kept == [])


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("a%22b.png", 'a"b.png'),
        ("a%0D%0Ab.png", "a\r\nb.png"),
        ("100%25%20.png", "100%25%20.png"),
        ('a\\"b.png', 'a"b.png'),
    ],
)
def test_names_are_those_before_the_form(sent: str, name: str, server: Server) -> None:
    """As browsers escape them in a form, and as they are in a query."""
    body, headers = form({"model": "fsrcnn-x"}, PNG, sent)
    in_form = server.ask("POST", "/v1/upscale", body, headers)
    in_query = server.ask("POST", f"/v1/upscale?model=fsrcnn-x&name={quote(name)}", PNG)
    assert in_form.headers["Content-Disposition"] == in_query.headers["Content-Disposition"]
    server.wait_until(lambda: server.kept == [])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404), ("GET", "/v1/jobs/nobody", 404), ("GET", "/../../etc/passwd", 404),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404), ("GET", "/v1/jobs/..%2f..%2fetc/result", 404), ("DELETE", "/v1/jobs/x", 404),
        ("GET", "/v1/upscale", 405), ("PUT", "/v1/jobs", 405), ("GET", "/page/index.html", 404),
    ],
)  # fmt: skip
def test_what_is_not_there(method: str, path: str, status: int, server: Server) -> None:
    answer = server.ask(method, path)
    assert answer.status == status
    assert answer.sentence


# Who may ask


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "localhost:1"}, 200), ({"Host": "127.0.0.1"}, 200), ({"Host": "[::1]:8420"}, 200), ({"Host": "a.localhost"}, 200),
        ({"Host": "evil.example"}, 421), ({"Host": "127.0.0.1.evil.example"}, 421), ({"Host": "localhost.evil.example"}, 421),
        ({"Host": "127.0.0.1@evil.example"}, 421), ({"Host": ""}, 421), ({"Host": "a b"}, 421), ({"Host": "evil.example:8420"}, 421),
        ({"Host": "localhost:1", "Origin": "http://localhost:1"}, 200), ({"Host": "localhost:1", "Origin": "http://localhost:2"}, 403),
        ({"Origin": "http://evil.example"}, 403), ({"Origin": "null"}, 403), ({"Origin": "http://[bad"}, 403), ({"Origin": ""}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403), ({"Sec-Fetch-Site": "same-site"}, 403), ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
    ],
)  # fmt: skip
def test_host_and_origin(headers: Headers, status: int, server: Server) -> None:
    answer = server.ask("POST", "/v1/upscale?model=fsrcnn-x", PNG, headers)
    assert answer.status == status, answer
    if status != 200:
        assert answer.sentence
        assert server.ask("GET", "/v1/models", headers=headers).status in (200, status)
    assert server.ask("GET", "/", headers={"Sec-Fetch-Site": "cross-site"}).status == 200  # a link to the page


def test_no_page_of_another_site_reads_an_answer(server: Server) -> None:
    for path in ("/", "/docs", "/v1/models", "/nothing"):
        headers = server.ask("GET", path, headers={"Host": "localhost"}).headers
        assert "Access-Control-Allow-Origin" not in headers
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_a_token(tmp_path: Path) -> None:
    with serving(tmp_path, "--host", "0.0.0.0", "--name", "Photos.Example.org", FSRCNN_TOKEN=TOKEN) as server:
        assert server.ask("GET", "/healthz").status == 200
        for headers in (
            {},
            {"Authorization": "Bearer no"},
            {"Authorization": f"Basic {TOKEN}"},
            {"Authorization": f"Bearer {TOKEN}é"},
            {"Cookie": "fsrcnn=x"},
        ):
            for path in ("/", "/metrics", "/v1/models", "/openapi.json", "/v1/models?token=" + TOKEN):
                answer = server.ask("GET", path, headers=headers)
                assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
            assert TOKEN not in answer.sentence
        assert server.ask("POST", "/v1/upscale", PNG).status == 401
        assert (
            server.ask(
                "POST", "/v1/upscale", PNG, {"Authorization": f"Bearer {TOKEN}", "Host": "photos.example.org"}
            ).status
            == 200
        )
        assert server.ask("GET", "/v1/models", headers={"Authorization": f"bearer {TOKEN}"}).status == 200
        assert server.ask("GET", "/?token=no").status == 401
        entered = server.ask("GET", f"/?token={TOKEN}")
        assert (entered.status, entered.headers["Location"]) == (303, "/")
        cookie, *attributes = entered.headers["Set-Cookie"].split("; ")
        assert {"httponly", "samesite=strict"} <= {attribute.lower() for attribute in attributes}
        assert TOKEN not in cookie
        assert server.ask("GET", "/v1/models", headers={"Cookie": cookie}).status == 200
        assert server.ask("GET", "/v1/models", headers={"Cookie": cookie[:-1]}).status == 401


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ([], ""),
        (["--host", "0.0.0.0"], ", for others http://ADDRESS-OF-THIS-MACHINE:PORT/?token=TOKEN"),
        (["--host", "0.0.0.0", "--name", "photos.example.org"], ", for others http://photos.example.org:PORT/?token=TOKEN"),
    ],
)  # fmt: skip
def test_what_others_open_is_said(arguments: list[str], shown: str, tmp_path: Path) -> None:
    with serving(tmp_path, *arguments, FSRCNN_TOKEN=TOKEN) as server:
        end = f":{server.port}/{shown.replace('PORT', str(server.port))}; Ctrl-C ends it\n"
        assert server.begun.endswith(end)
        assert server.begun.count("/") == 3 + 3 * bool(shown)


# What the command refuses


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--host", "0.0.0.0"], 2, "0.0.0.0 can be reached from other machines; give a --token that clients must know"),
        (["--host", "example.org"], 2, "example.org can be reached from other machines; give a --token that clients must know"),
        (["--token", "short"], 2, "--token has at least 16 characters of ASCII without spaces"),
        *(
            (["--name", "a.example.org", "--name", name, "--token", TOKEN], 2,
             f"--name is a host name alone, as photos.example.org, not {name!r}\n")
            for name in ("http://x/", "a.org:443", "*.a.org", "", "a b", "a..b", "-a", "mü.de", "[::1]", "a/b", "a" * 300)
        ),
        (["--name", "localhost", "--name", "photos.example.org"], 2,
         "photos.example.org is a name for other machines; give a --token that clients must know"),
        (["--port", "70000"], 2, "--port is a whole number from 0 to 65,535, not 70000"),
        (["--queue", "-1"], 2, "--queue is a whole number of at least 0, not -1"),
        (["--keep", "nan"], 2, "--keep is a number of seconds of at least 1, not nan"),
        (["--max-bytes", "0"], 2, "--max-bytes is a whole number of at least 1, not 0"),
        (["--engine", "abacus", "--port", "0"], 2, "there is no engine 'abacus'"),
        (["--host", "no host", "--token", TOKEN], 1, "there is no host 'no host'"),
        (["--host", "192.0.2.1", "--token", TOKEN], 1, "cannot listen at port 8420 of 192.0.2.1: Cannot assign requested address"),
    ],
)  # fmt: skip
def test_what_cannot_be_served(arguments: list[str], code: int, sentence: str, tmp_path: Path) -> None:
    done = run_command("serve", *arguments, TMPDIR=str(tmp_path))
    said = done.stderr.decode()
    assert (done.returncode, said.count("\n")) == (code, 1), said
    assert said.startswith(f"fsrcnn: {sentence}"), said
    assert files_below(tmp_path) == []


def test_a_port_in_use_offers_the_next_that_is_free(server: Server, tmp_path: Path) -> None:
    done = run_command("serve", "--port", str(server.port))
    said = done.stderr.decode()
    found = re.fullmatch(
        rf"fsrcnn: port {server.port} of 127\.0\.0\.1 is in use; give --port (\d+), which is free\n", said
    )
    assert found, said
    assert done.returncode == 1
    assert int(found[1]) > server.port
    with socket.create_server(("127.0.0.1", int(found[1]))):
        pass


def test_without_its_packages(tmp_path: Path) -> None:
    (tmp_path / "starlette.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'starlette'\", name='starlette')"
    )
    done = run_command("serve", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert (
        done.stderr.decode()
        == "fsrcnn: HTTP requests need starlette, which is not installed; type: pip install 'fsrcnn[serve]'\n"
    )


def test_open_shows_the_page(tmp_path: Path) -> None:
    with serving(tmp_path / "t", "--open", "--token", TOKEN, BROWSER=f"sh -c 'echo %s > {tmp_path}/shown'") as server:
        server.wait_until(lambda: (tmp_path / "shown").exists() and (tmp_path / "shown").read_text() != "")
        assert (tmp_path / "shown").read_text() == f"http://127.0.0.1:{server.port}/?token={TOKEN}\n"


# Much, slow, gone


def begun(server: Server, path: str = "/v1/upscale?model=fsrcnn-x", length: int = len(PNG)) -> socket.socket:
    """A connection on which a request's body has begun."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    connection.sendall(
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n".encode() + PNG[:20]
    )
    server.wait_until(lambda: server.kept != [])
    return connection


def test_a_full_queue_says_when_to_come_again(tmp_path: Path) -> None:
    with serving(tmp_path, "--threads", "1", "--queue", "0") as server:
        connection = begun(server)
        answer = server.ask("POST", "/v1/upscale", PNG)
        assert (answer.status, answer.sentence) == (503, "1 pictures wait already; try again later")
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        connection.sendall(PNG[20:])
        assert connection.recv(12) == b"HTTP/1.1 200"
        connection.close()
        server.wait_until(lambda: server.kept == [])
        assert server.ask("POST", "/v1/upscale", PNG).status == 200


def test_a_client_that_goes_away_stops_its_work(tmp_path: Path) -> None:
    with serving(tmp_path, "--threads", "1") as server:
        connection = begun(server)  # in the middle of its body
        connection.close()
        server.wait_until(lambda: server.kept == [])
        connection = http.client.HTTPConnection("127.0.0.1", server.port)  # type: ignore[assignment]
        connection.request("POST", "/v1/upscale?scale=8", SLOW)  # type: ignore[attr-defined]
        server.wait_until(lambda: server.metric("fsrcnn_jobs_running") == 1)
        waiting = server.ask("POST", "/v1/jobs", PNG).json["links"]["self"]
        assert server.ask("GET", waiting).json["state"] == "waiting"
        assert server.ask("GET", f"{waiting}/result").status == 409
        connection.close()
        server.wait_until(lambda: server.metric('fsrcnn_jobs_total{state="cancelled"}') == 1)
        server.wait_until(
            lambda: server.metric('fsrcnn_requests_total{status="499"}') == 2
        )  # no answer was made for it
        server.wait_until(lambda: server.ask("GET", waiting).json["state"] == "done")
        assert len(server.kept) == 1


def test_a_job_that_is_deleted_stops(tmp_path: Path) -> None:
    with serving(tmp_path, "--threads", "1") as server:
        running, waiting = (server.ask("POST", "/v1/jobs?scale=8", SLOW).json["links"] for _ in range(2))
        server.wait_until(lambda: server.ask("GET", running["self"]).json["state"] == "running")
        server.wait_until(lambda: server.ask("GET", running["self"]).json["progress"] > 0)
        for links in (waiting, running):
            assert server.ask("DELETE", links["self"]).status == 204
            assert server.ask("GET", links["self"]).status == 404
        server.wait_until(lambda: server.kept == [] and server.metric('fsrcnn_jobs_total{state="cancelled"}') == 2)


def test_results_are_kept_for_a_while(tmp_path: Path) -> None:
    with serving(tmp_path, "--keep", "4") as server:
        links = server.ask("POST", "/v1/jobs", PNG).json["links"]
        server.ask("GET", links["events"])
        assert server.ask("GET", links["result"]).status == 200
        assert len(server.kept) == 1
        server.wait_until(lambda: server.ask("GET", links["self"]).status == 404)
        assert server.kept == []


IMPATIENT = "from fsrcnn.serve import listening, uploads; uploads.STALL = 2; uploads.SLOWEST = 10_000; listening.SLOWEST_HEAD = 2"


@pytest.mark.parametrize("drip", [False, True])
def test_slow_bodies_and_heads_are_given_up(drip: bool, tmp_path: Path) -> None:
    with serving(tmp_path, before=IMPATIENT) as server:
        with begun(server, length=10**6) as body:
            assert not drip or dripped(body, b"x" * 100)
            assert received(body).startswith(b"HTTP/1.1 408")
        assert server.kept == []
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as head:
            head.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
            assert not drip or dripped(head, b"a: b\r\n")
            assert received(head) == b""
        assert server.ask("GET", "/healthz").status == 200


EARLY = {
    "declared": f"Content-Length: {10**7}",
    "chunked": f"Content-Type: {LIMITED}\r\nTransfer-Encoding: chunked",
}


@pytest.mark.parametrize(("version", "connection"), [("1.1", "keep-alive"), ("1.1", "close"), ("1.0", "close")])
@pytest.mark.parametrize(("kind", "status"), [("declared", 413), ("chunked", 400)])
def test_early_answers_reach_who_sends_all_first(
    kind: str, status: int, version: str, connection: str, server: Server
) -> None:
    """The answer is there after the head, or after the first bytes of what is no form."""
    head = f"POST /v1/upscale HTTP/{version}\r\nHost: localhost\r\nConnection: {connection}\r\n{EARLY[kind]}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
        client.sendall(head.encode())
        for _ in range(10**3):
            client.sendall(bytes(10**4) if kind == "declared" else b"2710\r\n" + bytes(10**4) + b"\r\n")
        client.sendall(b"" if kind == "declared" else b"0\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        assert received(client).startswith(f"HTTP/1.1 {status}".encode())


@pytest.mark.parametrize("limit", ["SURPLUS = 0.5", "MOST_SURPLUS = 100_000"])
@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_what_comes_after_an_answer_has_an_end(connection: str, limit: str, tmp_path: Path) -> None:
    before = f"from fsrcnn.serve import listening; listening.{limit}"
    head = f"POST /v1/upscale HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\n{EARLY['declared']}\r\n\r\n"
    with (
        serving(tmp_path, "--max-bytes", "1000", before=before) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=30) as client,
    ):
        client.sendall(head.encode())
        assert client.recv(12) == b"HTTP/1.1 413"
        assert cut_off(client)


def cut_off(client: socket.socket) -> bool:
    """Send for four seconds; whether the server ended it meanwhile."""
    for _ in range(200):
        try:
            client.sendall(bytes(2000))
        except ConnectionError:
            return True
        time.sleep(0.02)
    return False


def test_a_client_that_does_not_read_holds_nothing(tmp_path: Path) -> None:
    """Its result is more than the buffers of the system between the two."""
    before = "from fsrcnn.serve import listening; listening.SLOWEST_ANSWER = 1"
    noise = saved([GENERATOR.integers(0, 256, (700, 700, 3), np.uint8)], "PNG")
    with serving(tmp_path, "--keep", "1", before=before) as server:
        links = server.ask("POST", "/v1/jobs?model=fsrcnn-x&scale=4&format=tif", noise).json["links"]
        server.ask("GET", links["events"])
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", server.port))
            client.sendall(f"GET {links['result']} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            server.wait_until(lambda: server.ask("GET", links["self"]).status == 404)
            assert server.kept == []


def dripped(connection: socket.socket, data: bytes) -> bool:
    """Send little by little, for a minute; whether the server ended it meanwhile."""
    for _ in range(1200):
        if select.select([connection], [], [], 0.05)[0]:
            return True
        with contextlib.suppress(OSError):
            connection.sendall(data)
    return False


def received(connection: socket.socket) -> bytes:
    """What comes until the server closes."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := connection.recv(65_536):
            data += chunk
    return data


def test_connections_are_limited(tmp_path: Path) -> None:
    before = "from fsrcnn.serve import listening; listening.MOST_CONNECTIONS = 4"
    with serving(tmp_path, before=before) as server:
        with contextlib.ExitStack() as stack:
            for _ in range(4):
                stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            server.wait_until(lambda: server.ask("GET", "/healthz").status == 503)
        server.wait_until(lambda: server.ask("GET", "/healthz").status == 200)


def test_a_bug_is_a_sentence_and_a_traceback(tmp_path: Path) -> None:
    before = "from fsrcnn.serve import application; application.asdict = None"
    with serving(tmp_path, before=before) as server:
        answer = server.ask("GET", "/v1/models")
        assert (answer.status, answer.sentence) == (500, "this server failed; its log says how")
        assert server.metric('fsrcnn_requests_total{status="500"}') == 1
        assert server.ask("POST", "/v1/upscale", PNG).status == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.stderr is not None
        assert "TypeError: 'NoneType' object is not callable" in server.process.stderr.read()


def test_memory_stays(tmp_path: Path) -> None:
    picture = saved([np.kron(GENERATOR.integers(0, 256, (40, 60, 3)), np.ones((10, 10, 1))).astype(np.uint8)], "PNG")
    with serving(tmp_path, "--threads", "2") as server:
        sizes = []
        for number in range(60):
            assert server.ask("POST", "/v1/upscale?model=fsrcnn-x&format=jpg", picture).status == 200
            if number >= 20:
                sizes.append(server.metric("process_resident_memory_bytes"))
        assert max(sizes) - sizes[0] < 30e6
        assert server.metric("process_open_fds") < 30


# The end


GATE = """
import pathlib, time
from fsrcnn import images
read = images.read
def waiting(*arguments, **options):
    while not pathlib.Path({gate!r}).exists():
        time.sleep(0.01)
    return read(*arguments, **options)
images.read = waiting
"""


def test_sigterm_finishes_what_runs(tmp_path: Path) -> None:
    """A picture runs until the test opens a gate, another one waits."""
    gate, folder = tmp_path / "gate", tmp_path / "temporary"
    with serving(folder, "--threads", "1", before=GATE.format(gate=str(gate))) as server:
        answers: dict[str, Answer] = {}

        def ask(name: str) -> None:
            answers[name] = server.ask("POST", "/v1/upscale", PNG)

        threads = {name: threading.Thread(target=ask, args=(name,)) for name in ("first", "second")}
        for name, metric in (("first", "fsrcnn_jobs_running"), ("second", "fsrcnn_jobs_waiting")):
            threads[name].start()
            server.wait_until(functools.partial(lambda metric: server.metric(metric) == 1, metric))
        server.process.send_signal(signal.SIGTERM)
        threads["second"].join()
        assert (answers["second"].status, answers["second"].sentence[:24]) == (503, "this server is about to ")
        late = server.ask("POST", "/v1/upscale", PNG)
        assert (late.status, "about to end" in late.sentence, "Retry-After" in late.headers) == (503, True, True)
        assert server.ask("GET", "/healthz").status == 503
        assert "first" not in answers
        gate.touch()
        threads["first"].join()
        with Image.open(io.BytesIO(answers["first"].body)) as image:
            assert image.size == (112, 80)
        assert server.process.wait(30) == 0
        assert not list(folder.iterdir())


def test_uploads_are_broken_off_at_the_end(tmp_path: Path) -> None:
    with serving(tmp_path) as server, begun(server, length=10**6) as body:
        server.process.send_signal(signal.SIGTERM)
        assert dripped(body, b"x" * 2000)
        answer = received(body)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"this server is about to end, and takes no new work" in answer
        assert server.process.wait(30) == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once_and_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    with serving(tmp_path, "--threads", "1") as server:
        running = server.ask("POST", "/v1/jobs?scale=8", SLOW).json["links"]["self"]
        server.wait_until(lambda: server.ask("GET", running).json["state"] == "running")
        server.process.send_signal(number)
        server.wait_until(lambda: server.ask("GET", "/healthz").status == 503)
        time.sleep(1.1)  # two signals of one second are one
        assert len(server.kept) == 1
        server.process.send_signal(number)
        assert server.process.wait(10) == 128 + number
    assert not list(tmp_path.iterdir())


LINGERING = "from fsrcnn.serve import jobs; jobs.LINGER = 1000"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_ends_at_once(number: signal.Signals, tmp_path: Path) -> None:
    with serving(tmp_path, before=LINGERING) as server:
        links = server.ask("POST", "/v1/jobs", PNG).json["links"]
        server.ask("GET", links["events"])
        server.ask("GET", links["result"])
        assert server.ask("POST", "/v1/upscale", JPEG, {"Content-Type": LIMITED}).status == 400
        with socket.create_connection(("127.0.0.1", server.port)):
            server.process.send_signal(number)
            assert server.process.wait(60) == 0
        assert not list(tmp_path.iterdir())
        assert server.process.stderr is not None
        said = server.process.stderr.read().splitlines()
        assert said == ["fsrcnn: ending: what runs is finished first; ask again to end at once"]


def test_a_result_can_be_fetched_before_the_end(tmp_path: Path) -> None:
    with serving(tmp_path, before=LINGERING) as server:
        links = server.ask("POST", "/v1/jobs", PNG).json["links"]
        server.ask("GET", links["events"])
        server.ask("HEAD", links["result"])  # which is not to fetch it
        server.process.send_signal(signal.SIGTERM)
        server.wait_until(lambda: server.ask("GET", "/healthz").status == 503)
        assert server.ask("GET", links["result"]).status == 200
        assert server.process.wait(60) == 0


def test_what_a_killed_server_left_goes_with_the_next(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.ask("POST", "/v1/jobs", PNG)
        server.process.kill()
    assert list(tmp_path.iterdir())
    (tmp_path / "fsrcnn-serve-stranger").mkdir()  # without a lock: not to be touched
    with serving(tmp_path) as first:
        assert len(list(tmp_path.iterdir())) == 2
        with serving(tmp_path) as second:
            assert len(list(tmp_path.iterdir())) == 3  # that of a living one stays
            assert first.ask("POST", "/v1/jobs", PNG).status == second.ask("POST", "/v1/jobs", PNG).status == 202
            assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("fsrcnn-serve-*/*/")} >= {0o700}


@pytest.mark.parametrize("limit", [len(PNG) - 100, len(PNG) + 1000])
def test_a_full_disk(limit: int, tmp_path: Path) -> None:
    """The system lets no file grow beyond a limit: that of the upload, or that of the result."""
    before = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))"
    with serving(tmp_path, before=before, PYTHONDONTWRITEBYTECODE="1") as server:
        picture = saved([GENERATOR.integers(0, 256, (40, 56, 3), np.uint8)], "PNG") if limit < len(PNG) else PNG
        for path in ("/v1/upscale", "/v1/jobs"):
            answer = server.ask("POST", f"{path}?format=tif&scale=4", picture)
            if answer.status == 202:  # the upload was not what was too much
                assert "event: failed\n" in server.ask("GET", answer.json["links"]["events"]).body.decode()
                answer = server.ask("GET", answer.json["links"]["result"])
            assert (answer.status, answer.sentence[:32]) == (507, "the disk of this server is full,")
            assert [Path(path).name for path in files_below(tmp_path)] == ["lock"]


# What is said of it all


def test_the_description_is_that_of_the_routes(server: Server) -> None:
    from fsrcnn.serve import application, options

    api = server.ask("GET", "/openapi.json").json
    assert api["openapi"].startswith("3.1")
    described = {
        (path, method.upper()) for path, methods in api["paths"].items() for method in methods if method != "parameters"
    }
    nothing: Any = None  # nobody asks it for anything
    app: Any = application.application(nothing, nothing, nothing, (), None, "")
    routed = {
        (route.path, method)
        for route in app.app.routes
        for method in getattr(route, "methods", None) or ()
        if method != "HEAD" and route.path != "/"
    }
    assert described == routed
    for path in ("/v1/upscale", "/v1/jobs"):
        post = api["paths"][path]["post"]
        assert [field["name"] for field in post["parameters"]] == list(options.FIELDS)
        assert set(post["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]) == {
            "picture",
            *options.FIELDS,
        }
    text = json.dumps(api)
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', text):
        found = api
        for step in reference.split("/"):
            found = found[step]
    page = server.ask("GET", "/docs").body.decode()
    assert all(path in page for path in api["paths"])
    for text in (page, server.ask("GET", "/").body.decode()):
        assert not re.search(r"(src|href)=['\"]?(https?:)?//", text)
    assert "<script" not in page


def test_the_page_keeps_all_its_files_for_times_without_a_network() -> None:
    from fsrcnn.serve.application import PAGE

    kept = re.search(r"const FILES = \[(.*?)\];", (PAGE / "service_worker.js").read_text("utf-8"), re.DOTALL)
    assert kept is not None
    there = {path.relative_to(PAGE).as_posix() for path in PAGE.rglob("*") if path.is_file()}
    own = {name for name in there if not name.startswith("engine/")} - {"service_worker.js", "index.html"}
    assert set(re.findall("'([^']+)'", kept[1])) == {"./", *own}


def test_models_and_metrics(server: Server) -> None:
    told = server.ask("GET", "/v1/models").json
    assert told["default"] == "auto"
    assert (told["engine"], told["precisions"]) == (
        ("native", ["exact", "fast"]) if native.available() else ("numpy", ["exact"])
    )
    assert {"fsrcnn", "fsrcnn-photo"} <= set(told["families"])
    assert {"fsrcnn-x2", "fsrcnn-s-x3"} <= {row["name"] for row in told["models"]}
    before = server.metric('fsrcnn_jobs_total{state="done"}')
    server.ask("POST", "/v1/upscale?model=fsrcnn-x", PNG)
    answer = server.ask("GET", "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = answer.body.decode().splitlines()
    assert all(re.fullmatch(r'# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[^"]*",?)+\})? [0-9.e+-]+', line) for line in lines), (
        lines
    )
    assert server.metric('fsrcnn_jobs_total{state="done"}') == before + 1
    assert server.metric("fsrcnn_job_seconds_count") == before + 1


def test_the_page_is_served_as_it_lies_there(tmp_path: Path) -> None:
    (tmp_path / "page/engine").mkdir(parents=True)
    (tmp_path / "page/index.html").write_text("<title>the page</title>")
    (tmp_path / "page/engine/fsrcnn.wasm").write_bytes(b"\0asm")
    (tmp_path / "page/main.mjs").write_text("export {}")
    (tmp_path / "secret").write_text("secret")
    before = f"import pathlib; from fsrcnn.serve import application; application.PAGE = pathlib.Path({str(tmp_path / 'page')!r})"
    with serving(tmp_path / "t", before=before) as server:
        assert b"the page" in server.ask("GET", "/").body
        kinds = {path: server.ask("GET", path).headers["Content-Type"] for path in ("/engine/fsrcnn.wasm", "/main.mjs")}
        assert kinds["/engine/fsrcnn.wasm"] == "application/wasm"
        assert kinds["/main.mjs"].startswith("text/javascript")
        assert server.ask("GET", "/v1/models").status == 200
        for path in ("/../secret", "/%2e%2e/secret", "/engine/../../secret", "/..%2fsecret", "//etc/passwd"):
            assert server.ask("GET", path).status == 404, path


COMMANDS = re.findall(r"^```console\n(.*?)^```$", (ROOT / "docs/serve.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("command", "".join(COMMANDS).splitlines())
def test_what_the_page_on_it_types_works(command: str, server: Server, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    (tmp_path / "photo.jpg").write_bytes(JPEG)
    typed = command.replace("localhost:8420", f"127.0.0.1:{server.port}").replace("3840x2160", "384x216")
    done = subprocess.run(["sh", "-c", typed], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr
    written = [path for path in tmp_path.iterdir() if path.name != "photo.jpg"]
    assert (typed.rpartition(" ")[2] in [path.name for path in written]) == ("--output" in typed)
    for path in written:
        with Image.open(path) as image:
            assert max(image.size) > PHOTO.shape[1]
    if not written:
        assert json.loads(done.stdout)
    for job in re.findall(r'"self":"([^"]+)"', done.stdout.decode()):
        server.ask("DELETE", job)


def test_the_page_on_it_names_every_field_and_address(server: Server) -> None:
    from fsrcnn.serve.options import FIELDS

    text = (ROOT / "docs/serve.md").read_text("utf-8")
    assert all(f"`{name}`" in text for name in FIELDS)
    assert all(path.replace("{id}", "ID") in text for path in server.ask("GET", "/openapi.json").json["paths"])
