"""The part of a film that is wanted: from when, and for how long."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from fsrcnn.arguments import number
from fsrcnn.errors import UsageError

CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d{1,2}(?:\.\d*)?)|(\d+(?:\.\d*)?|\.\d+)")
ALLOWED = "a number of seconds or a time as 1:02:03.5"
LONGEST = 10**8  # seconds: three years, whose nanoseconds FFmpeg can count


@dataclass(frozen=True)
class Span:
    """A part of a film, counted from the film's own beginning; in seconds.

    Attributes:
        start: frames before it are left out.
        duration: frames from start + duration on are left out; None: to the end.
    """

    start: Fraction = Fraction(0)
    duration: Fraction | None = None

    @property
    def whole(self) -> bool:
        """Whether nothing is left out."""
        return not self.start and self.duration is None

    @property
    def end(self) -> Fraction | None:
        """In seconds from the film's beginning; None: the film's own."""
        return None if self.duration is None else self.start + self.duration


def span_of(start: Any = None, duration: Any = None) -> Span:
    """What was asked for: seconds as numbers or text, or text as `1:02:03.5`.

    Raises:
        UsageError: it is none of these, negative, or a duration of 0.
    """
    begin = Fraction(0) if start is None else seconds(start, "start")
    length = None if duration is None else seconds(duration, "duration")
    if length == 0:
        raise UsageError(f"is {ALLOWED}, more than 0", argument="duration")
    return Span(begin, length)


def seconds(value: Any, name: str) -> Fraction:
    """A time in seconds, exactly.

    Raises:
        UsageError: it is none, negative, or longer than any film.
    """
    if isinstance(value, str):
        found = CLOCK.fullmatch(value.strip())
        if found is None:
            raise UsageError(f"is {ALLOWED}, not {value!r}", argument=name)
        hours, minutes, rest, plain = found.groups()
        exact = Fraction(plain or rest) + int(minutes or 0) * 60 + int(hours or 0) * 3600
    else:
        exact = value if isinstance(value, Fraction) else Fraction(str(number(value, name, ALLOWED)))  # 0.1 is a tenth
    if not 0 <= exact <= LONGEST:
        most = f", at most {LONGEST:,} s" if exact > 0 else ""
        raise UsageError(f"is {ALLOWED}{most}, not {value!r}", argument=name)
    return exact
