"""Places that are no paths of this machine: objects and folders that fsspec knows, as `s3://bucket/in/photo.png`.

`Remote` is to such a place what `pathlib.Path` is to a file: names and their parts, without a look at what lies there. Keys of object
stores are any text, so nothing in them is tidied up: `a//b`, `a/../b` and `a/b` are three objects.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from fsrcnn.errors import ImageError
from fsrcnn.folders import Kind
from fsrcnn.require import require

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


@dataclass(frozen=True, order=True)
class Remote:
    """An object, or a folder of objects, by its URL without a slash at its end."""

    url: str

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """The last part: `photo.png`."""
        return self.url.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """The ending of the name, with its dot: `.png`."""
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> Remote:
        """The folder that it lies in."""
        return Remote(self.url.rpartition("/")[0])

    def with_name(self, name: str) -> Remote:
        """Another object in the same folder."""
        return Remote(f"{self.url.rpartition('/')[0]}/{name}")

    def with_suffix(self, suffix: str) -> Remote:
        """The same name with another ending."""
        return Remote(self.url[: len(self.url) - len(self.suffix)] + suffix)

    def __truediv__(self, below: str) -> Remote:
        return Remote(f"{self.url}/{below}")

    def below(self, folder: Remote) -> str:
        """Its key below a folder that it lies in, as it is: `s3://b/in/x//y.png` below `s3://b/in` → `x//y.png`."""
        return self.url[len(folder.url) + 1 :]


Place: TypeAlias = Path | Remote


def place(text: str) -> Place:
    """A path, or a place that fsspec knows, as somebody typed it."""
    if not URL.match(text):
        return Path(text)
    if text.startswith("file://"):
        return Path(urlsplit(text).path)
    return Remote(text.removesuffix("/"))


def kind(remote: Remote) -> Kind:
    """What lies at a place: as `folders.kind`, without devices.

    Raises:
        ImageError: the store does not say.
        MissingExtraError: what it needs is not installed.
    """
    fs, path = _opened(remote)
    try:
        return "folder" if fs.info(path)["type"] == "directory" else "file"
    except FileNotFoundError:
        return "absent"
    except OSError as error:
        raise ImageError(f"cannot use {remote}: {error}") from error


def walk(folder: Remote, *, recursive: bool) -> Iterator[Remote]:
    """The objects in a folder, and with `recursive` in those below it, as the store lists them; never all of them in memory.

    Raises:
        ImageError: it cannot be listed.
        MissingExtraError: what it needs is not installed.
    """
    fs, path = _opened(folder)
    for root, _, names in fs.walk(path, maxdepth=None if recursive else 1):
        for name in names:
            yield folder / f"{root}/{name}"[len(path) + 1 :]


def read(remote: Remote, limit: int) -> bytes:
    """The bytes of an object.

    Args:
        limit: bytes; a larger one is refused.

    Raises:
        ImageError: it does not exist, cannot be read, or is larger.
        MissingExtraError: what it needs is not installed.
    """
    fs, path = _opened(remote)
    try:
        data: bytes = fs.cat_file(path)
    except FileNotFoundError as error:
        raise ImageError(f"{remote} does not exist") from error
    except OSError as error:
        raise ImageError(f"cannot read {remote}: {error}") from error
    return data


def write(remote: Remote, data: bytes, *, replace: bool) -> None:
    """Put an object in place: whole or not at all.

    Args:
        replace: an existing one may be replaced; if not, one that somebody else puts there meanwhile is left, too.

    Raises:
        ImageError: it exists and is not to be replaced, or cannot be written.
        MissingExtraError: what it needs is not installed.
    """
    fs, path = _opened(remote)
    try:
        if not replace and fs.exists(path):
            raise ImageError(f"{remote} exists", "give {overwrite=True} to replace it")
        fs.pipe_file(path, data)
    except OSError as error:
        raise ImageError(f"cannot write {remote}: {error}") from error


def _opened(remote: Remote) -> tuple[Any, str]:
    """Its file system, and its path there."""
    fsspec = require("fsspec", f"places like {urlsplit(remote.url).scheme}://", extra="remote")
    fs, path = fsspec.core.url_to_fs(remote.url)
    return fs, path
