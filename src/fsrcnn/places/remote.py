"""The names of places, without a look at what lies there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from fsrcnn.errors import UsageError

SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
ROOT = re.compile(r"[^/]+://[^/]*")
WEB = ("http", "https")
_LOCAL = ("file", "local")
_CHAIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*::|.*::[A-Za-z][A-Za-z0-9+.-]+://", re.DOTALL)
_SLIP = re.compile(r"(s3a?|gs|gcs|az|abfss?|sftp|https?):/(?!/)", re.IGNORECASE)  # nobody means a folder "s3:"
_PASSWORD = re.compile(r"(?<=://)([^/:@]*):[^/]*@")  # up to the last @ before the path
_ACCESS_POINT = re.compile(r"(arn:[^/]*[:/](?:outpost[:/][^/:]+[:/])?accesspoint[:/][^/]+)/?(.*)", re.DOTALL)


@dataclass(frozen=True, order=True, repr=False)
class Remote:
    """An object, or a folder of objects, by its URL; without the slash at the end of a folder's, but for web addresses.

    As text (`str`), as which it stands in messages and records, it is without its password and the query of a web address, which may
    be one; `url` has all.
    """

    url: str

    def __str__(self) -> str:
        shown = _without_password(self.url)
        return re.sub(r"\?.*", "?…", shown, flags=re.DOTALL) if self.web else shown

    def __repr__(self) -> str:
        return f"Remote({str(self)!r})"

    @property
    def scheme(self) -> str:
        """What fsspec calls the store: `s3`."""
        return self.url.partition("://")[0]

    @property
    def web(self) -> bool:
        """A web address: read, never listed or written."""
        return self.scheme in WEB

    @property
    def root(self) -> str:
        """The part of the URL in front of the first single slash: `s3://bucket`, `sftp://me@host:22`."""
        found = ROOT.match(self.url)
        return found[0] if found else self.url

    @property
    def key(self) -> str:
        """What follows the root: `in/photo.png`; empty for the root itself."""
        return self.url[len(self.root) + 1 :]

    @property
    def name(self) -> str:
        """The last part: `photo.png`; of a web address without its query and its escapes."""
        if not self.web:
            return self.key.rpartition("/")[2]
        from urllib.parse import unquote  # here: few places are web addresses

        last = re.split(r"[?#]", self.key, maxsplit=1)[0].rpartition("/")[2]
        plain = unquote(last)
        return last if "/" in plain or "\0" in plain else plain

    @property
    def suffix(self) -> str:
        """The ending of the name, with its dot: `.png`."""
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> Remote:
        """The folder that it lies in; the root lies in itself."""
        return Remote(self.url[: max(self.url.rfind("/"), len(self.root))])

    def with_name(self, name: str) -> Remote:
        """Another object in the same folder."""
        return self.parent / name

    def with_suffix(self, suffix: str) -> Remote:
        """The same name with another ending."""
        return Remote(self.url[: len(self.url) - len(self.suffix)] + suffix)

    def __truediv__(self, below: str) -> Remote:
        return Remote(f"{self.url}/{below}")

    def below(self, folder: Remote) -> str:
        """Its key below a folder that it lies in, as it is: `s3://b/in/x//y.png` below `s3://b/in` → `x//y.png`.

        It may hold `..`, which means nothing to an object store, but does to a path.
        """
        return self.url[len(folder.url) + 1 :]

    def bucket_and_key(self) -> tuple[str, str]:
        """Of an object store; an access point's name (`arn:…:accesspoint/name`) has a slash of its own."""
        found = _ACCESS_POINT.fullmatch(self.url.partition("://")[2])
        return (found[1], found[2]) if found else (self.root.partition("://")[2], self.key)


Place: TypeAlias = Path | Remote


def place(text: str) -> Place:
    """A path, or a place that fsspec knows, as somebody typed it.

    Raises:
        UsageError: a URL that names no bucket or host, that lacks a slash, or a chain of them.
    """
    found = SCHEME.match(text)
    if (found or "://" in text) and _CHAIN.match(text):
        raise UsageError(f"{_without_password(text)} is a chain of places (::), which fsrcnn does not read")
    if not found:
        slip = _SLIP.match(text)
        if slip is not None:
            raise UsageError(f"an address begins with {slip[1]}://, not {slip[1]}:/", f"type {slip[1]}://NAME/…")
        return Path(text)
    scheme, rest = found[1].lower(), text[found.end() :]
    if scheme in _LOCAL:
        return Path(rest)
    remote = Remote(f"{scheme}://{rest if scheme in WEB else rest.removesuffix('/')}")
    if remote.root.endswith("://"):
        raise UsageError(
            f"{scheme}:// names no {'host' if scheme in WEB else 'bucket or host'}", f"type {scheme}://NAME/…"
        )
    return remote


def _without_password(url: str) -> str:
    return _PASSWORD.sub(r"\1:…@", url)
