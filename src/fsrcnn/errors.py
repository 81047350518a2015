"""The errors that this package raises on purpose.

Each message is one sentence for the person who typed the command: what was given, what is allowed,
what to do. The command line prints it and exits with `exit_code`; a caller in Python catches
`FsrcnnError`.
"""


class FsrcnnError(Exception):
    """Something the user gave cannot be used (exit code 1: a file, a folder, the data in it)."""

    exit_code = 1

    def about(self, label: object) -> str:
        """The sentence, with what it is about in front where it does not name it already."""
        return str(self) if str(label) in str(self) else f"{label}: {self}"


class UsageError(FsrcnnError, ValueError):
    """An argument is outside what is allowed (exit code 2, as for any mistyped option)."""

    exit_code = 2


class ImageError(FsrcnnError):
    """A picture cannot be read, is not one, is too large, or cannot be written."""


class WeightsError(FsrcnnError):
    """A weights file is not one, misses an array, or holds a misshapen or non-finite one."""


class MissingExtraError(FsrcnnError, ImportError):
    """A feature needs an optional package; the message names the exact `pip install`."""


class EngineWarning(UserWarning):
    """The native engine is not there, and a slower one does the work."""
