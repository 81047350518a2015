"""The store behind a place: which package speaks to it, with which options, and connected once for each process."""

from __future__ import annotations

import importlib
import logging
from typing import Any, NamedTuple

from fsrcnn.errors import MissingExtraError, UsageError
from fsrcnn.places.remote import Remote
from fsrcnn.require import require

S3 = ("s3", "s3a")
GOOGLE = ("gs", "gcs")
AZURE = ("az", "abfs", "abfss")
FILE_SYSTEMS = ("sftp", "ssh", "smb", "ftp", "hdfs", "webhdfs", "webdav")
"""Trees of folders, where `..` leads upwards and a file is written beside its name and renamed; all others are object stores."""

CONNECTIONS = 32  # to one store, kept open
CONNECT_SECONDS = 10
SILENT_SECONDS = 30  # without a byte

_PACKAGES = {
    **dict.fromkeys(GOOGLE, "gcsfs"),
    **dict.fromkeys(AZURE, "adlfs"),
    "sftp": "paramiko", "ssh": "paramiko", "smb": "smbprotocol", "hdfs": "pyarrow", "webhdfs": "requests", "webdav": "webdav4",
}  # fmt: skip
"""Of each scheme, what must be installed beside the extra `remote`."""
_OF_CHAINS = (
    "async_wrapper", "asyncwrapper", "blockcache", "cached", "data", "dir", "filecache", "generic", "libarchive", "reference",
    "simplecache", "tar", "zip",
)  # fmt: skip


class Store(NamedTuple):
    """An open store, and the place in it.

    Attributes:
        fs: fsspec's file system.
        path: what its methods call the place.
    """

    fs: Any
    path: str


def opened(remote: Remote) -> Store:
    """The store of a place; fsspec keeps its connections, one set for all threads or, of `FILE_SYSTEMS`, one for each.

    Raises:
        UsageError: no such scheme; a path with `..` where that leads upwards.
        MissingExtraError: what it needs is not installed.
        Exception: it cannot be connected to: what its package says.
    """
    scheme, purpose = remote.scheme, f"places like {remote.scheme}://"
    fsspec = require("fsspec", purpose, extra="remote")
    if scheme not in fsspec.available_protocols() or scheme in _OF_CHAINS:
        raise UsageError(
            f"fsrcnn knows no places like {scheme}://",
            "type s3://, gs://, az://, sftp://, http:// or another that fsspec knows",
        )
    if scheme in S3:
        require("s3fs", purpose, extra="remote")
    elif remote.web:
        require("aiohttp", purpose, extra="remote")
    elif scheme in _PACKAGES:
        _require(_PACKAGES[scheme], purpose)
        logging.getLogger(_PACKAGES[scheme]).addHandler(
            logging.NullHandler()
        )  # or else it prints tracebacks of its own
    if scheme in FILE_SYSTEMS and ".." in remote.key.split("/"):
        raise UsageError(f"{remote} goes upwards (..), out of its folder", "type the path without ..")
    if scheme in AZURE and ("?" in remote.key or {".", ".."} & set(remote.key.split("/"))):
        raise UsageError(
            f"{remote} has a name that adlfs does not take as it is (with ?, or a part . or ..)", "give it another"
        )
    options = _options(scheme, fsspec.config.conf)
    try:
        fs, root = fsspec.core.url_to_fs(remote.url if remote.web else remote.root, **options)
    except ImportError as error:  # a scheme of which we know no more than fsspec does
        raise MissingExtraError(f"{purpose} need a package that is not installed: {error}") from error
    if scheme in S3:
        fs.retries = 1  # `failures.patiently` tries again; s3fs and botocore beside it would make hours of it
    return Store(fs, root if remote.web else f"{root.rstrip('/')}/{remote.key}")


def forget(scheme: str) -> None:
    """Let the next `opened` connect anew."""
    fsspec = require("fsspec", f"places like {scheme}://", extra="remote")
    fsspec.get_filesystem_class(scheme).clear_instance_cache()


def _options(scheme: str, configured: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What we tell a store, beside what its user has in the environment and in fsspec's configuration."""
    if scheme in S3:
        ours = {
            "max_pool_connections": CONNECTIONS,
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": SILENT_SECONDS,
            "retries": {"mode": "standard", "total_max_attempts": 1},
        }
        theirs = configured.get(scheme, {}).get("config_kwargs", {})
        return {"config_kwargs": {**ours, **theirs}, "use_listings_cache": False}
    if scheme in (*GOOGLE, *AZURE):
        return {"use_listings_cache": False}
    if scheme in ("http", "https"):
        aiohttp = importlib.import_module("aiohttp")
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS)
        theirs = configured.get(scheme, {}).get("client_kwargs", {})
        return {"client_kwargs": {"timeout": timeout, "trust_env": True, **theirs}, "encoded": True}
    return {}


def _require(package: str, purpose: str) -> None:
    try:
        importlib.import_module(package)
    except Exception as error:  # as in `require`
        absent = isinstance(error, ModuleNotFoundError) and error.name == package
        raise MissingExtraError(
            f"{purpose} need {package}, which {'is not installed' if absent else f'cannot be loaded ({error})'}",
            f"type: pip install {package}",
        ) from error
