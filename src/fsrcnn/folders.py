"""What lies at a path, which pictures lie in a folder, and what lies there that is none."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from fsrcnn.errors import ImageError
from fsrcnn.files import STREAMS
from fsrcnn.formats import LOOKED_FOR, endings_read

Kind = Literal["file", "folder", "device", "absent"]


def kind(path: Path) -> Kind:
    """What lies at a path, links followed: a file, a folder, anything else (`device`: a pipe, a stream of this process), or nothing.

    The methods of `Path` that ask this either raise what the system says or take "may not be seen" for "is not there".

    Raises:
        ImageError: the system does not say: a folder above may not be entered, the name is too long, links lead in a circle.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "absent"
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have, as one with a zero byte
        raise ImageError(f"cannot use {path}: {_reason(error)}") from error
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) and not STREAMS.fullmatch(str(path)) else "device"


@dataclass(frozen=True)
class Found:
    """What a folder holds.

    Attributes:
        pictures: by their endings, sorted.
        others: how many files have another ending.
        closed: folders below it that may not be read.
        links: links to folders below it, which are not followed: they may lead back.
    """

    pictures: tuple[Path, ...]
    others: int = 0
    closed: tuple[Path, ...] = ()
    links: tuple[Path, ...] = ()


def find(folder: Path, *, recursive: bool = False) -> Found:
    """The pictures in a folder; hidden files and folders are left out.

    Raises:
        ImageError: the folder does not exist, may not be read, or holds no picture.
    """
    listing = Listing(folder, recursive=recursive)
    pictures = tuple(sorted(listing))
    return replace(listing.found(), pictures=pictures)


class Listing:
    """The pictures in a folder, as the system lists them: iterated once, and never all of them in memory.

    A folder below is looked into when its name comes, so that only those on the way to it are open.

    Attributes:
        count: pictures so far.
        others: files so far that have another ending.
    """

    def __init__(self, folder: Path, *, recursive: bool = False) -> None:
        self.folder, self.recursive = folder, recursive
        self.count = self.others = 0
        self._closed: list[Path] = []
        self._links: list[Path] = []

    def __iter__(self) -> Iterator[Path]:
        """
        Raises:
            ImageError: at its beginning, the folder does not exist or may not be read; at its end, it held no picture.
        """
        deeper = False
        try:
            entered: list[tuple[str, Any]] = [(str(self.folder), os.scandir(str(self.folder)))]
        except OSError as error:
            reasons = {FileNotFoundError: "does not exist", NotADirectoryError: "is not a folder"}
            raise ImageError(
                f"{self.folder} {reasons.get(type(error), f'cannot be read: {_reason(error)}')}"
            ) from error
        try:
            while entered:
                entry = self._next(entered)
                if entry is None or entry.name.startswith("."):
                    continue
                if _is_folder(entry):
                    deeper = True
                    if self.recursive:
                        self._enter(entry, entered)
                elif _ending(entry.name) in LOOKED_FOR and not _is_device(entry):
                    self.count += 1
                    yield Path(entry.path)
                else:
                    self.others += 1
        finally:
            for _, entries in entered:
                entries.close()
        if not self.count:
            remedy = "give {recursive=True} to look into its folders" if deeper and not self.recursive else ""
            unseen = f", and {min(self._closed)} cannot be read" if self._closed else ""
            raise ImageError(f"{self.folder} holds no pictures ({endings_read()}){unseen}", remedy)

    def found(self) -> Found:
        """What is known so far, without the pictures."""
        return Found((), self.others, tuple(sorted(self._closed)), tuple(sorted(self._links)))

    def _next(self, entered: list[tuple[str, Any]]) -> os.DirEntry[str] | None:
        """The next entry of the folder that was entered last; None where it has no more, or cannot be read on."""
        try:
            found: os.DirEntry[str] | None = next(entered[-1][1], None)
        except OSError:
            self._closed.append(Path(entered[-1][0]))
            found = None
        if found is None:
            entered.pop()[1].close()
        return found

    def _enter(self, entry: os.DirEntry[str], entered: list[tuple[str, Any]]) -> None:
        if entry.is_symlink():
            self._links.append(Path(entry.path))
            return
        try:
            entered.append((entry.path, os.scandir(entry.path)))
        except OSError:
            self._closed.append(Path(entry.path))


def left_out(folder: object, found: Found) -> list[str]:
    """What lies in a folder and is not taken, in sentences for its owner."""
    files = "1 other file" if found.others == 1 else f"{found.others:,} other files"
    sentences = [f"{files} in {folder} left out"] if found.others else []
    return sentences + [f"{link} is a link to a folder, which is not followed" for link in found.links]


def unread(folder: Path) -> ImageError:
    """What is wrong with one of `Found.closed`."""
    return ImageError(f"the folder {folder} cannot be read, so its pictures are missing")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _ending(name: str) -> str:
    """As the suffix of a `Path`, which takes longer to make: `.png` of `a.PNG`."""
    stem, dot, ending = name.rpartition(".")
    return f".{ending.lower()}" if dot and stem and ending else ""


def _is_device(entry: os.DirEntry[str]) -> bool:
    """Whether opening it might wait for ever. What cannot be asked, and a link to nothing, is said when its turn comes."""
    try:
        return not entry.is_file(follow_symlinks=False) and kind(Path(entry.path)) == "device"
    except (ImageError, OSError):
        return False


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
