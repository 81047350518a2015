"""Which pictures lie in a folder, and what lies there that is none."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from fsrcnn.errors import ImageError
from fsrcnn.formats import LOOKED_FOR, endings_read


@dataclass(frozen=True)
class Found:
    """What a folder holds.

    Attributes:
        pictures: by their endings, sorted.
        others: how many files have another ending.
        closed: folders below it that may not be read.
    """

    pictures: tuple[Path, ...]
    others: int = 0
    closed: tuple[Path, ...] = ()


def find(folder: Path, *, recursive: bool = False) -> Found:
    """The pictures in a folder; hidden files and folders are left out.

    Raises:
        ImageError: the folder does not exist, may not be read, or holds no picture.
    """
    pictures: list[Path] = []
    others, deeper = 0, False
    closed: list[OSError] = []
    for root, folders, names in os.walk(folder, onerror=closed.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        deeper = deeper or bool(folders)
        paths = [Path(root, name) for name in names if not name.startswith(".")]
        found = [path for path in paths if path.suffix.lower() in LOOKED_FOR and path.is_file()]
        pictures += found
        others += len(paths) - len(found)
        if not recursive:
            break
    top = next((error for error in closed if Path(error.filename) == folder), None)
    if top is not None:
        reasons = {FileNotFoundError: "does not exist", NotADirectoryError: "is not a folder"}
        reason = reasons.get(type(top), f"cannot be read: {top.strerror}")
        raise ImageError(f"{folder} {reason}")
    if not pictures:
        remedy = "give {recursive=True} to look into its folders" if deeper and not recursive else ""
        raise ImageError(f"{folder} holds no pictures ({endings_read()})", remedy)
    return Found(tuple(sorted(pictures)), others, tuple(Path(error.filename) for error in closed))
