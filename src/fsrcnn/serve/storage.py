"""The private folder of uploads and results: nobody else may look into it, and nothing of it is left after the server.

It is locked for as long as its server lives. One that was killed leaves its folder, which the next server removes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: folders are not locked, and those of killed servers stay
    fcntl = None  # type: ignore[assignment]

PREFIX = "fsrcnn-serve-"
LOCK = "lock"
_folders: set[Path] = set()  # of this process


@contextmanager
def private_folder() -> Iterator[Path]:
    """A new folder below the system's for temporary files (`TMPDIR`), removed at the end.

    Raises:
        OSError: it cannot be made.
    """
    _remove_dead()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))  # of mode 0700
    _folders.add(folder)
    begun = folder / f"{LOCK}.begun"  # nobody takes it for a dead server's before it is locked
    lock = os.open(begun, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        if fcntl is not None:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            begun.rename(folder / LOCK)
        yield folder
    finally:
        if fcntl is None:
            os.close(lock)  # Windows removes no file that is open
        shutil.rmtree(folder, ignore_errors=True)
        _folders.discard(folder)
        if fcntl is not None:
            os.close(lock)


def remove_folders() -> None:
    """For a process that is about to end, whose threads may still write into its folder: under another name they do not find it."""
    for folder in list(_folders):
        with contextlib.suppress(OSError):
            shutil.rmtree(folder.rename(folder.with_name(f"{folder.name}.ended")), ignore_errors=True)


def _remove_dead() -> None:
    """Remove the folders of this user whose servers were killed."""
    if fcntl is None:
        return
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # it is another user's, somebody holds it, or it is just being made
            if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
                continue
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
