"""Files put in place in one step: written beside their name and renamed, so that a kill or a full disk leaves the old one.

What is written first is a part, `.fsrcnn-0f3a….part`, of a name that nobody can know beforehand. Of several writers of one file the
last wins, or the first where nothing may be replaced, and the file is whole. A part is locked for as long as its writer lives; the
next writer in its folder removes those that nobody holds.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from fsrcnn.errors import FsrcnnError

try:
    import fcntl
except ImportError:  # Windows: parts are not locked, and those of dead runs stay
    fcntl = None  # type: ignore[assignment]

PART = re.compile(r"\.fsrcnn-[0-9a-f]{8,16}\.part(\.\w+)?")
DEAD_SECONDS = 10  # a part that nobody holds may be so young that its writer is about to lock it
STREAMS = re.compile(r"/dev/(stdin|stdout|stderr|fd/\d+)|/proc/\w+/fd/\d+")
NO_LINKS = (
    errno.EPERM,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.ENOSYS,
    errno.EMLINK,
)  # of file systems without hard links

_parts: set[Path] = set()  # under way in this process
_swept: set[Path] = set()  # folders that were looked through for parts of dead runs


@contextlib.contextmanager
def beside(
    target: Path,
    error: type[FsrcnnError] = FsrcnnError,
    *,
    replace: bool = True,
    ending: str = "",
    folder: Path | None = None,
) -> Iterator[Path]:
    """A new, empty file beside `target` to write to; put in its place at the end, deleted where something was raised.

    A symbolic link stays one: the file that it leads to is written. An old file's permissions are kept (its owner, too, where that is
    allowed); a new one has those that the system gives.

    Args:
        target: the final name; its folder is made if missing.
        error: what to raise.
        replace: an existing file may be replaced; if not, one that comes to be there until the end is left, too.
        ending: of the part's name, where its writer goes by it.
        folder: to write in until then, on the same file system; the target's own where it is not given.

    Raises:
        FsrcnnError: the folder cannot be made or written to; the target is a folder, a device or a circle of links, or it exists
            and is not to be replaced.
    """
    try:
        final = _final(target, error, replace)
        before = final.stat() if final.exists() else None
        _make_folder(final.parent)
        place = folder or final.parent
        _remove_dead_parts(place)
        part = place / f".fsrcnn-{os.urandom(8).hex()}.part{ending}"
        with _held(part, 0o666 if before is None else 0o600) as descriptor:
            yield part
            if before is not None and descriptor is not None:
                _take_over(before, descriptor)
            if replace:
                part.replace(final)
            elif not _link(part, final):
                raise _exists(target, error)
    except OSError as reason:
        untouched = "; what was there before is untouched" if os.path.lexists(target) else ""
        raise error(f"cannot write {target}: {explained(reason)}{untouched}") from reason


def write(target: Path, data: bytes, error: type[FsrcnnError] = FsrcnnError, *, replace: bool = True) -> None:
    """Write bytes.

    Raises:
        FsrcnnError: as `beside`.
    """
    with beside(target, error, replace=replace) as part:
        part.write_bytes(data)


@contextlib.contextmanager
def folder_beside(target: Path, error: type[FsrcnnError] = FsrcnnError, *, replace: bool = True) -> Iterator[Path]:
    """A new, empty folder beside `target` to fill; put in its place at the end, deleted where something was raised.

    Whoever reads sees the old folder, the new one, or, between two renamings, none. An empty folder is as good as none.

    Args:
        target: the final name; the folder that it lies in is made if missing.
        error: what to raise.
        replace: an existing folder may be replaced, with all that it holds.

    Raises:
        FsrcnnError: nothing can be written there, or the target is a file, or exists and is not to be replaced.
    """
    try:
        final = resolved(target)
        _make_folder(final.parent)
        _remove_dead_parts(final.parent)
        part = final.parent / f".fsrcnn-{os.urandom(8).hex()}.part"
        with _held_folder(part):
            yield part
            if os.path.lexists(final) and not final.is_dir():
                raise error(f"cannot write {target}: it is a file, not a folder")
            if final.is_dir() and any(final.iterdir()):
                if not replace:
                    raise _exists(target, error)
                old = final.parent / f".fsrcnn-{os.urandom(8).hex()}.part"
                with _held_folder(old):
                    final.rename(old)  # onto an empty folder
                    try:
                        part.rename(final)
                    except BaseException:
                        old.rename(final)
                        raise
            else:
                part.rename(final)
    except OSError as reason:
        raise error(f"cannot write {target}: {explained(reason)}") from reason


def remove_parts() -> None:
    """For a process that is about to end: delete what its writers had under way."""
    for part in list(_parts):
        _remove(part)


@contextlib.contextmanager
def marked(folder: Path, error: type[FsrcnnError] = FsrcnnError) -> Iterator[Path]:
    """An empty part in a folder, held until the end: whoever sees it, on whichever machine, sees the folder.

    Raises:
        FsrcnnError: the folder cannot be made or written to.
    """
    mark = folder / f".fsrcnn-{os.urandom(8).hex()}.part"
    try:
        _make_folder(folder)
        with _held(mark, 0o644):
            yield mark
    except OSError as reason:
        raise error(f"cannot write to {folder}: {explained(reason)}") from reason


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """An empty folder of a short name until the end. Where its process is killed, the next one that asks for such a folder removes it.

    Raises:
        OSError: it cannot be made.
    """
    place = Path(tempfile.gettempdir())
    if fcntl is not None:
        _remove_dead(place)
    folder = place / f".fsrcnn-{os.urandom(4).hex()}.part"
    with _held_folder(folder):
        folder.chmod(0o700)  # what lies in it is nobody else's
        yield folder


def sweep(folder: Path) -> None:
    """Remove the parts in a folder that nobody holds; of writers that have just died, too, whose parts it waits to grow old."""
    until = time.monotonic() + 2 * DEAD_SECONDS
    while fcntl is not None and _remove_dead(folder) and time.monotonic() < until:
        time.sleep(0.5)


def resolved(path: Path) -> Path:
    """The absolute path without symbolic links, as far as they lead anywhere.

    Raises:
        OSError: the path is relative, and the current folder was deleted; or no file has such a name.
    """
    try:
        return Path(os.path.realpath(path))  # Path.resolve raises RuntimeError for a circle of links
    except ValueError as error:  # a zero byte, or characters that the file system cannot have
        raise OSError(errno.EINVAL, str(error)) from error


def absolute(path: Path) -> Path:
    """The absolute path as it was typed: its links are not followed."""
    return Path(os.path.abspath(path))  # noqa: PTH100  (pathlib's would keep the dots)


def is_stream(path: Path) -> bool:
    """Whether a path is a device, a pipe or a stream of this process: written to directly, and never replaced."""
    if STREAMS.fullmatch(str(path)):
        return True
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def explained(error: OSError) -> str:
    """Why, in a few words."""
    if isinstance(error, FileNotFoundError) and not _current_folder_exists():
        return "the current folder was deleted"
    if error.errno == errno.EBADF:  # of a standard stream
        return "it is closed"
    return error.strerror or str(error)


def _current_folder_exists() -> bool:
    try:
        os.getcwd()  # noqa: PTH109  (Path.cwd does the same)
    except FileNotFoundError:
        return False
    return True


def _exists(target: Path, error: type[FsrcnnError]) -> FsrcnnError:
    return error(f"{target} exists", "give {overwrite=True} to replace it")


def _final(target: Path, error: type[FsrcnnError], replace: bool) -> Path:
    """Where a target lies, behind all links.

    Raises:
        FsrcnnError: as `beside`.
    """
    final = resolved(target)
    if final.is_symlink():
        raise error(f"cannot write {target}: its symbolic links lead in a circle")
    if final.is_dir() or is_stream(target):
        raise error(f"cannot write {target}: it is a {'folder' if final.is_dir() else 'device'}")
    if not replace and os.path.lexists(target):  # a link to nothing, too, which somebody else may have put there
        raise _exists(target, error)
    return final


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from error


@contextlib.contextmanager
def _held(part: Path, mode: int) -> Iterator[int | None]:
    """A part, made here and by nobody else, and held by its descriptor until it is gone or in place.

    Windows renames no file that is open: there is no descriptor there.
    """
    descriptor: int | None = None
    _parts.add(part)
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        descriptor = os.open(part, flags, mode)
        if fcntl is None:
            os.close(descriptor)
            descriptor = None
        else:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    finally:  # Ctrl-C, too, leaves nothing half-written
        _remove(part)
        if descriptor is not None:
            os.close(descriptor)
        _parts.discard(part)


@contextlib.contextmanager
def _held_folder(part: Path) -> Iterator[None]:
    """The same for a folder."""
    descriptor: int | None = None
    _parts.add(part)
    try:
        part.mkdir()
        if fcntl is not None:
            descriptor = os.open(part, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        _remove(part)
        if descriptor is not None:
            os.close(descriptor)
        _parts.discard(part)


def _remove(part: Path) -> None:
    """Delete a part, file or folder, if it is still there."""
    with contextlib.suppress(OSError):
        if part.is_dir() and not part.is_symlink():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def _take_over(before: os.stat_result, descriptor: int) -> None:
    """The old file's permissions, and its owner for whoever may give files away."""
    with contextlib.suppress(OSError):
        os.fchown(descriptor, before.st_uid, before.st_gid)
    with contextlib.suppress(OSError):  # file systems without permissions
        os.fchmod(descriptor, stat.S_IMODE(before.st_mode) & 0o777)


def _link(part: Path, final: Path) -> bool:
    """Give a part its final name if that is free; whether it was."""
    try:
        os.link(part, final)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        try:  # take the name with an empty file, then replace that
            os.close(os.open(final, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        try:
            part.replace(final)
        except BaseException:
            final.unlink(missing_ok=True)
            raise
    return True


def _remove_dead_parts(folder: Path) -> None:
    """Remove the parts of runs that were killed, once for each folder and process.

    A part in use is locked, on network file systems for other machines, too. (Where locks do not reach them, a part that was not
    written to for `DEAD_SECONDS` may be taken from another machine's writer, who then says that it cannot write.)
    """
    if fcntl is None or folder in _swept:
        return
    _swept.add(folder)
    _remove_dead(folder)


def _remove_dead(folder: Path) -> bool:
    """Whether parts are left that are too young to say."""
    young = False
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if PART.fullmatch(entry.name):
                young |= _remove_if_dead(Path(entry.path))
    return young


def _remove_if_dead(part: Path) -> bool:
    """Whether it is too young to say."""
    if part in _parts:
        return False
    with contextlib.suppress(OSError):  # somebody holds it, or it is not ours
        access = os.O_RDONLY if part.is_dir() else os.O_RDWR
        descriptor = os.open(part, access | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = os.fstat(descriptor)
            ours = (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)) and found.st_uid == os.geteuid()
            if ours and found.st_mtime >= time.time() - DEAD_SECONDS:
                return True
            if ours:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(part)
        finally:
            os.close(descriptor)
    return False
