"""The file under an HDF5 file that is written."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any


class Output(io.FileIO):
    """The file under an HDF5 file. The HDF5 library does not survive a failing write (its clean-up writes again, and crashes), so a
    failure is remembered for `check`, and what could not be written is dropped: the file will be deleted anyway."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self.failure: OSError | None = None

    def write(self, data: Any) -> int:
        if self.failure is None:
            try:
                view = memoryview(data)
                while view:  # a disk that is almost full takes a part
                    view = view[super().write(view) :]
            except OSError as error:
                self.failure = error
        if self.failure is not None:
            self.seek(len(data), io.SEEK_CUR)
        return len(data)

    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer) or 0
        memoryview(buffer)[count:] = bytes(len(buffer) - count)  # what a failed write left out
        return len(buffer)

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.failure = self.failure or error
            return size or 0

    def check(self) -> None:
        """
        Raises:
            OSError: a write has failed.
        """
        if self.failure is not None:
            raise self.failure
