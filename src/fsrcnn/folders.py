"""What lies at a path, which pictures lie in a folder, and what lies there that is none."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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
    pictures: list[Path] = []
    links: list[Path] = []
    others, deeper = 0, False
    closed: list[OSError] = []
    for root, folders, names in os.walk(folder, onerror=closed.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        deeper = deeper or bool(folders)
        paths = [Path(root, name) for name in names if not name.startswith(".")]
        found = [path for path in paths if path.suffix.lower() in LOOKED_FOR and not _is_device(path)]
        pictures += found
        others += len(paths) - len(found)
        if not recursive:
            break
        links += [path for path in (Path(root, name) for name in folders) if path.is_symlink()]
    top = next((error for error in closed if Path(error.filename) == folder), None)
    if top is not None:
        reasons = {FileNotFoundError: "does not exist", NotADirectoryError: "is not a folder"}
        raise ImageError(f"{folder} {reasons.get(type(top), f'cannot be read: {_reason(top)}')}")
    shut = tuple(sorted(Path(error.filename) for error in closed))
    if not pictures:
        remedy = "give {recursive=True} to look into its folders" if deeper and not recursive else ""
        unseen = f", and {shut[0]} cannot be read" if shut else ""
        raise ImageError(f"{folder} holds no pictures ({endings_read()}){unseen}", remedy)
    return Found(tuple(sorted(pictures)), others, shut, tuple(sorted(links)))


def left_out(folder: Path, found: Found) -> list[str]:
    """What lies in a folder and is not taken, in sentences for its owner."""
    files = "1 other file" if found.others == 1 else f"{found.others:,} other files"
    sentences = [f"{files} in {folder} left out"] if found.others else []
    return sentences + [f"{link} is a link to a folder, which is not followed" for link in found.links]


def unread(folder: Path) -> ImageError:
    """What is wrong with one of `Found.closed`."""
    return ImageError(f"the folder {folder} cannot be read, so its pictures are missing")


def _is_device(path: Path) -> bool:
    """Whether opening it might wait for ever. What cannot be asked, and a link to nothing, is said when its turn comes."""
    try:
        return kind(path) == "device"
    except ImageError:
        return False


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
