"""Objects put in place: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any

from fsrcnn import formats
from fsrcnn.errors import ImageError
from fsrcnn.files import PART
from fsrcnn.places.failures import code_of, patiently
from fsrcnn.places.reading import TooLargeError, read
from fsrcnn.places.remote import Remote
from fsrcnn.places.stores import AZURE, FILE_SYSTEMS, GOOGLE, S3, opened

LARGEST_PUT = 5 * 2**30  # bytes of one request to S3; more would be several, which a killed process leaves unfinished
DEAD_SECONDS = 3600  # a part so old has no writer any more

_swept: set[str] = set()  # folders that were looked through for parts of dead runs


def write(remote: Remote, data: bytes, *, replace: bool) -> None:
    """Put an object in place: whole or not at all.

    Args:
        replace: an existing one may be replaced; if not, one that somebody else puts there meanwhile is left, too, by stores that
            can be told so (S3, Google's, Azure's, SFTP); of others, one that is there before.

    Raises:
        ImageError: it exists and is not to be replaced, or cannot be written.
        MissingExtraError: what it needs is not installed.
    """
    if remote.web:
        raise ImageError(f"cannot write {remote}: the web is read only", "give another {output}")
    if not remote.name:
        raise ImageError(f"cannot write {remote}: it names no object")
    put = _put_s3 if remote.scheme in S3 else _put_file if remote.scheme in FILE_SYSTEMS else _put

    def attempt(number: int) -> None:
        try:
            put(remote, data, replace)
        except FileExistsError as error:
            # After an unclear answer (a 500, a cut connection) the object may be the one that we have put there ourselves.
            if number == 0 or not _holds(remote, data):
                raise ImageError(f"{remote} exists", "give {overwrite=True} to replace it") from error

    patiently(remote, "write", attempt)


def _holds(remote: Remote, data: bytes) -> bool:
    try:
        return read(remote, len(data)) == data
    except TooLargeError:
        return False


def _put_s3(remote: Remote, data: bytes, replace: bool) -> None:
    """In one request. botocore sends a checksum with it, so what arrives damaged is refused, and sent again."""
    if len(data) > LARGEST_PUT:
        raise ImageError(
            f"cannot write {remote}: it would have {len(data) / 1e9:.1f} GB, more than 5.4, the most of one request"
        )
    fs = opened(remote).fs
    bucket, key = remote.bucket_and_key()
    about = {"Bucket": bucket, "Key": key, "ContentType": _content_type(data)}
    if replace:
        fs.call_s3("put_object", Body=data, **about)
        return
    try:
        fs.call_s3("put_object", Body=data, IfNoneMatch="*", **about)
    except Exception as error:
        status, code = code_of(error)
        if status == 412 or code == "PreconditionFailed":
            raise FileExistsError(str(remote)) from error
        if status != 501:
            raise
        _refuse_existing(fs, opened(remote).path)  # a store that does not know conditions
        fs.call_s3("put_object", Body=data, **about)


def _put(remote: Remote, data: bytes, replace: bool) -> None:
    fs, path = opened(remote)
    options: dict[str, Any] = {}
    if remote.scheme in GOOGLE:
        options["content_type"] = _content_type(data)
    elif remote.scheme in AZURE:
        from azure.storage.blob import ContentSettings

        options["content_settings"] = ContentSettings(content_type=_content_type(data))
    if not replace:
        if remote.scheme in (*GOOGLE, *AZURE):
            options["mode"] = "create"
        else:
            _refuse_existing(fs, path)
    fs.pipe_file(path, data, **options)


def _put_file(remote: Remote, data: bytes, replace: bool) -> None:
    """Beside its name, and renamed."""
    fs, path = opened(remote)
    folder = path.rpartition("/")[0]
    if not replace:
        _refuse_existing(fs, path)
    fs.makedirs(folder, exist_ok=True)
    _remove_dead_parts(remote, fs, folder)
    part = f"{folder}/.fsrcnn-{os.urandom(8).hex()}.part"
    try:
        fs.pipe_file(part, data)
        if not replace and remote.scheme in ("sftp", "ssh"):
            try:
                fs.ftp.rename(part, path)  # which leaves what has come to be there
            except OSError:
                _refuse_existing(fs, path)
                raise
        else:
            fs.mv(part, path)
    except BaseException:  # Ctrl-C, too, leaves nothing half-written
        with contextlib.suppress(Exception):
            fs.rm_file(part)
        raise


def _refuse_existing(fs: Any, path: str) -> None:
    if fs.exists(path):
        raise FileExistsError(path)


def _remove_dead_parts(remote: Remote, fs: Any, folder: str) -> None:
    """Remove the parts of runs that were killed, once for each folder and process. A part that is still written to is young."""
    name = f"{remote.root}/{folder}"
    if name in _swept:
        return
    _swept.add(name)
    with contextlib.suppress(Exception):  # the next run does it
        for entry in fs.ls(folder, detail=True):
            changed = entry.get("mtime") or entry.get("modified") or entry.get("last_write_time")
            seconds = changed.timestamp() if hasattr(changed, "timestamp") else changed
            if (
                PART.fullmatch(str(entry["name"]).rpartition("/")[2])
                and seconds
                and seconds < time.time() - DEAD_SECONDS
            ):
                fs.rm_file(entry["name"])


def _content_type(data: bytes) -> str:
    """What browsers are told."""
    name = formats.kind_of(data[: formats.START])
    return f"image/{ {'jpg': 'jpeg', 'tif': 'tiff'}.get(name, name) }" if name else "application/octet-stream"
