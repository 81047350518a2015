"""Bodies of requests, streamed to disk: a form with one file (multipart/form-data, RFC 7578), or the bytes of a picture alone."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from fsrcnn.errors import UsageError
from fsrcnn.serve.options import FIELDS, Limits, Wanted, base_name, wanted
from fsrcnn.serve.problems import Problem, of_storage

STALL = 20.0  # seconds without a byte after which a client is given up
SLOWEST = 1024  # bytes per second that a body must reach on the whole, after the first `STALL` seconds
LONGEST_TEXT = 1000  # bytes of a field, and of its name
FORM = b"multipart/form-data"
# What it has to say of a form is said to its sender, who could fill the log otherwise.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


async def receive(request: Request, path: Path, limits: Limits) -> tuple[Wanted, str]:
    """Store the picture of a request at `path`; what is asked for, in query and form, and what the picture is called.

    Raises:
        Problem: 400 and 415 for a body that is none, 408 for a slow one, 413 for a long one, 507 for a full disk.
        UsageError: in a field.
        ClientDisconnect: the client went away.
    """
    declared = request.headers.get("content-length", "0")
    if int(declared) > limits.bytes:  # h11 has seen to it that it is a number
        raise _too_long(limits)
    kind, parameters = parse_options_header(request.headers.get("content-type", ""))
    query = request.query_params.multi_items()
    wanted(query, limits)  # said before the body comes
    try:
        with path.open("xb") as file:
            body: _Raw | _Form = _Form(file, parameters.get(b"boundary")) if kind == FORM else _Raw(file)
            await _stream(request, body, limits)
            body.finish()
    except OSError as error:
        raise of_storage(error) from error
    found = wanted([*query, *body.fields], limits)
    return found, base_name(found.name or body.file_name)


async def _stream(request: Request, body: _Raw | _Form, limits: Limits) -> None:
    began, length = time.monotonic(), 0
    chunks = request.stream()
    while True:
        try:
            chunk = await asyncio.wait_for(anext(chunks, None), STALL)
        except TimeoutError:
            raise _too_slow() from None
        if chunk is None:
            return
        length += len(chunk)
        if length > limits.bytes:
            raise _too_long(limits)
        late = time.monotonic() - began - STALL
        if late > 0 and length < late * SLOWEST:
            raise _too_slow()
        if chunk:
            await run_in_threadpool(body.write, chunk)


def _too_long(limits: Limits) -> Problem:
    return Problem(413, f"a body has at most {limits.bytes:,} bytes here")


def _too_slow() -> Problem:
    return Problem(408, "the body came too slowly", {"Connection": "close"})


class _Raw:
    """A body that is the file."""

    file_name: str | None = None

    def __init__(self, file: BinaryIO) -> None:
        self.fields: list[tuple[str, str]] = []
        self.write = file.write

    def finish(self) -> None:
        """Nothing is left to do: an empty body is an empty file, which the codec refuses."""


class _Form:
    """A form that comes in pieces.

    Attributes:
        fields: (name, text) of those without a file.
        file_name: of the one with a file.
    """

    def __init__(self, file: BinaryIO, boundary: bytes | None) -> None:
        if not boundary:
            raise Problem(400, "a form (multipart/form-data) names its boundary, and this one has none")
        self.fields: list[tuple[str, str]] = []
        self.file_name: str | None = None
        self._file = file
        self._header: dict[bytes, bytes] = {}
        self._key, self._value, self._text = b"", b"", b""
        self._name = ""
        self._in_file, self._ended = False, False
        try:
            self._parser = MultipartParser(boundary, {
                "on_part_begin": self._begin, "on_header_field": self._header_field, "on_header_value": self._header_value,
                "on_header_end": self._header_end, "on_headers_finished": self._headers_finished, "on_part_data": self._data,
                "on_part_end": self._end_part, "on_end": self._end,
            })  # fmt: skip
        except FormParserError as error:
            raise Problem(400, f"the form cannot be read: {error}") from None

    def write(self, chunk: bytes) -> None:
        """
        Raises:
            Problem: it is no form, or has two files.
            OSError: the file cannot be written.
        """
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise Problem(400, f"the form cannot be read: {error}") from None

    def finish(self) -> None:
        """
        Raises:
            Problem: it breaks off, or has no file.
        """
        if not self._ended:
            raise Problem(400, "the form breaks off before its end")
        if self.file_name is None:
            raise Problem(400, "the form has no file; a part with a filename holds the picture")

    def _begin(self) -> None:
        self._header, self._text = {}, b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._key += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._header[self._key.lower()] = self._value
        self._key = self._value = b""

    def _headers_finished(self) -> None:
        disposition, parameters = parse_options_header(self._header.get(b"content-disposition"))
        if disposition != b"form-data" or b"name" not in parameters:
            raise Problem(400, "a part of the form has no name")
        encoding = self._header.get(b"content-transfer-encoding", b"binary").strip().lower()
        if encoding not in (b"binary", b"8bit", b"7bit"):  # RFC 7578, 4.7: senders do not use it
            raise Problem(415, f"a part of the form is sent as {encoding.decode('latin-1')}; send it as it is")
        self._name = _decoded(parameters[b"name"])
        self._in_file = b"filename" in parameters
        if self._in_file:
            if self.file_name is not None:
                raise Problem(400, "the form has two files; send one picture with each request")
            self.file_name = _unescaped(_decoded(parameters[b"filename"]))
        elif self._name not in FIELDS:
            raise UsageError(f"there is no field {self._name!r}; there are {', '.join(FIELDS)}")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._file.write(memoryview(data)[start:end])
            return
        if len(self._text) + end - start > LONGEST_TEXT:
            raise UsageError(f"has at most {LONGEST_TEXT:,} bytes", argument=self._name)
        self._text += data[start:end]

    def _end_part(self) -> None:
        if not self._in_file:
            if any(name == self._name for name, _ in self.fields):
                raise UsageError("is given twice", argument=self._name)
            self.fields.append((self._name, _decoded(self._text)))

    def _end(self) -> None:
        self._ended = True


def _unescaped(name: str) -> str:
    """Without what browsers write for the three characters that would end a name (HTML, multipart/form-data encoding algorithm)."""
    return name.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "replace")
