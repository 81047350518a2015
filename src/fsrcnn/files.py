"""Files put in place in one step: written beside their name and renamed, so that a kill or a full disk leaves the old one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from fsrcnn.errors import FsrcnnError


@contextlib.contextmanager
def beside(target: Path, error: type[FsrcnnError] = FsrcnnError) -> Iterator[Path]:
    """A name beside `target` to write to; renamed to `target` at the end, deleted where something was raised.

    Args:
        target: the final name; its folder is made if missing.
        error: what to raise.

    Raises:
        FsrcnnError: the folder cannot be made or written to, or the target is a folder or a device.
    """
    if target.exists() and not target.is_file():
        raise error(f"cannot write {target}: it is a {'folder' if target.is_dir() else 'device'}")
    part = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(target)
    except OSError as reason:
        untouched = "; what was there before is untouched" if target.exists() else ""
        raise error(f"cannot write {target}: {reason.strerror or reason}{untouched}") from reason
    finally:  # Ctrl-C, too, leaves nothing half-written
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def write(target: Path, data: bytes, error: type[FsrcnnError] = FsrcnnError) -> None:
    """Write bytes.

    Raises:
        FsrcnnError: as `beside`.
    """
    with beside(target, error) as part:
        part.write_bytes(data)
