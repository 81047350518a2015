"""The errors that this package raises on purpose.

Each has a fact (what was given, what is allowed) and mostly a remedy (what to do). A remedy names arguments in braces, and each door
spells them in its own way: "give {overwrite=True} to replace it" asks for `--overwrite` on the command line, for `overwrite=True` in
Python, for a field `overwrite` of a request. The command line prints the sentence and exits with `exit_code`; a caller in Python
catches `FsrcnnError`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Self

Spelling = Callable[[str, str | None], str | None]
"""How a door spells an argument: its name in Python, and its value as Python writes it or None → text; None if it has no such one."""
ARGUMENT = r"\{(\w+)(?:=([^{}]*))?\}"  # in a remedy

LONGEST = 1000  # characters of a fact or a remedy that are shown: a path of a system's longest names, and a sentence around it
CONTROL = "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
"""What a terminal obeys instead of showing it: control characters, marks that turn the direction of writing; and bytes of no text."""


def printable(text: str) -> str:
    """Text in which names of files may stand, as it can be shown: control characters escaped, the middle of a very long one left out.

    `\x1b[2J` (clear the screen) → `\\x1b[2J`. What is printable already stays as it is.
    """
    if len(text) > LONGEST:
        text = f"{text[: LONGEST * 2 // 3]} […] {text[-LONGEST // 4 :]}"
    return re.sub(CONTROL, lambda found: found[0].encode("unicode_escape").decode(), text)


def in_python(name: str, value: str | None) -> str:
    """`overwrite`, "True" → `overwrite=True`."""
    return name if value is None else f"{name}={value}"


class FsrcnnError(Exception):
    """Something the user gave cannot be used (exit code 1: a file, a folder, the data in it).

    Attributes:
        argument: the one that the fact is about, in front of it: `rate`, which is `--lr` on the command line; mostly none.
        fact: what was given and what is allowed.
        remedy: what to do, with arguments as `{name}` or `{name=value}`; empty where the fact says it all.
    """

    exit_code = 1

    def __init__(self, fact: str, remedy: str = "", argument: str | None = None) -> None:
        super().__init__(fact, remedy, argument)
        self.fact, self.remedy, self.argument = fact, remedy, argument

    def __str__(self) -> str:
        return self.sentence()

    def sentence(self, spell: Spelling = in_python) -> str:
        """Fact and remedy as one sentence, the arguments as a door spells them; without a remedy that this door cannot offer."""
        spelt = {found[0]: spell(found[1], found[2]) for found in re.finditer(ARGUMENT, self.remedy)}
        offered = self.remedy and all(spelt.values())
        remedy = re.sub(ARGUMENT, lambda found: spelt[found[0]] or "", self.remedy) if offered else ""
        fact = self.fact if self.argument is None else f"{spell(self.argument, None) or self.argument} {self.fact}"
        return f"{printable(fact)}; {printable(remedy)}" if remedy else printable(fact)

    def about(self, label: object, spell: Spelling = in_python) -> str:
        """The sentence, with what it is about in front where the fact does not name it already."""
        return self.named(label).sentence(spell)

    def named(self, label: object) -> Self:
        """The same error, with what it is about in front of the fact where that does not name it already."""
        if str(label) in self.fact:
            return self
        return type(self)(
            f"{label}: {self.fact if self.argument is None else f'{self.argument} {self.fact}'}", self.remedy
        )


class UsageError(FsrcnnError, ValueError):
    """An argument is outside what is allowed (exit code 2, as for any mistyped option)."""

    exit_code = 2


class ImageError(FsrcnnError):
    """A picture cannot be read, is not one, is too large, or cannot be written."""


SYSTEM_ERRORS = (OSError, UnicodeError, MemoryError)
"""What the system may raise of any single file, where nothing of ours has foreseen it."""


def of_system(label: object, reason: OSError | UnicodeError | MemoryError) -> ImageError:
    """What the system says of a file, as an error that is about this file alone."""
    if isinstance(reason, MemoryError):
        return ImageError(f"{label}: not enough memory")
    said = reason.strerror if isinstance(reason, OSError) else None
    return ImageError(f"cannot use {label}: {said or reason}")


class WeightsError(FsrcnnError):
    """A weights file is not one, misses an array, or holds a misshapen or non-finite one."""


class MissingExtraError(FsrcnnError, ImportError):
    """A feature needs an optional package; the message names the exact `pip install`."""


class ShortMemoryError(FsrcnnError, MemoryError):
    """There is not enough memory for a call; what it was to fill is unfinished."""


class Cancelled(FsrcnnError):  # noqa: N818  (nothing went wrong)
    """A call was stopped through its `Control`; what it was to fill is unfinished."""


class PictureWarning(UserWarning):
    """Something that a picture's file held could not be taken along; the picture itself is right."""


class EngineWarning(UserWarning):
    """The native engine is not built, and a slower one does the work."""


class ClusterWarning(UserWarning):
    """Something about a cluster that whoever runs it wants to know; the pictures are right."""
