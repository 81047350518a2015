"""Objects, whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from fsrcnn.errors import ImageError
from fsrcnn.places.failures import patiently
from fsrcnn.places.remote import Remote
from fsrcnn.places.stores import S3, opened

CHUNK = 2**20
_OF_ADDRESSES = (
    "%/:=&?~#+!$,;'@()*[]"  # what an address may hold: one that is complete stays as it is, signatures and all
)


class TooLargeError(ImageError):
    """An object has more bytes than are wanted."""


class _CutError(ConnectionError):
    """Fewer bytes came than were said."""


def read(remote: Remote, limit: int) -> bytes:
    """The bytes of an object: all of them, or an error.

    Args:
        limit: bytes; no more are fetched.

    Raises:
        TooLargeError: it has more.
        ImageError: it does not exist, or cannot be read.
        MissingExtraError: what it needs is not installed.
    """
    fetch = _fetch_s3 if remote.scheme in S3 else _fetch_web if remote.web else _fetch
    return patiently(remote, "read", lambda _: fetch(remote, limit))


def _fetch_s3(remote: Remote, limit: int) -> bytes:
    """In one request: s3fs would ask for the length in another. botocore compares the checksum that a store sends with an object."""
    fs = opened(remote).fs
    bucket, key = remote.bucket_and_key()
    if not key:
        raise ImageError(f"{remote} is a folder, not a picture")
    answer = fs.call_s3("get_object", Bucket=bucket, Key=key)
    body, length = answer["Body"], int(answer["ContentLength"])
    try:
        _check(remote, length, limit)
        data: bytes = _sync()(fs.loop, body.read)
    finally:
        body.close()
    return _whole(data, length)


def _fetch_web(remote: Remote, limit: int) -> bytes:
    fs = opened(remote).fs
    address = quote(remote.url, safe=_OF_ADDRESSES)
    data: bytes = _sync()(fs.loop, _get, fs, address, remote, limit)
    return data


async def _get(fs: Any, address: str, remote: Remote, limit: int) -> bytes:
    session = await fs.set_session()
    async with session.get(fs.encode_url(address)) as response:
        response.raise_for_status()
        length = (
            response.content_length
        )  # None where it is not said; of what is compressed on the way, its compressed length
        plain = "Content-Encoding" not in response.headers
        _check(remote, length or 0, limit)
        data = bytearray()
        async for chunk in response.content.iter_chunked(CHUNK):
            data += chunk
            _check(remote, len(data), limit)
    return _whole(bytes(data), length if plain else None)


def _fetch(remote: Remote, limit: int) -> bytes:
    fs, path = opened(remote)
    about = fs.info(path)
    if about["type"] == "directory":
        raise ImageError(f"{remote} is a folder, not a picture")
    length = about.get("size")
    _check(remote, length or 0, limit)
    data: bytes = fs.cat_file(path)
    _check(remote, len(data), limit)
    return _whole(data, length)


def _check(remote: Remote, length: int, limit: int) -> None:
    if length > limit:
        raise TooLargeError(f"{remote} is larger than {limit / 1e9:.1f} GB")


def _whole(data: bytes, length: int | None) -> bytes:
    if length is not None and len(data) != length:
        raise _CutError(f"{len(data):,} of {length:,} bytes came")
    return data


def _sync() -> Callable[..., Any]:
    """fsspec's: runs a coroutine on the event loop that all its stores share."""
    from fsspec.asyn import sync

    return sync  # type: ignore[no-any-return]
