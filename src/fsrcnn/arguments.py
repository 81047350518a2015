"""Numbers and switches as a caller gives them, refused where they are of another kind."""

from __future__ import annotations

import math
import operator
from typing import Any

from fsrcnn.errors import UsageError


def whole_number(value: Any, name: str, least: int = 1, most: int | None = None) -> int:
    """A whole number, Python's or NumPy's.

    Raises:
        UsageError: something else (1.0 and True, too), or one outside `least` … `most`.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least or (most is not None and number > most):
        allowed = f"of at least {least:,}" if most is None else f"from {least:,} to {most:,}"
        raise UsageError(f"is a whole number {allowed}, not {value!r}", argument=name)
    return number


def number(value: Any, name: str, allowed: str) -> float:
    """A finite number, Python's or NumPy's; `allowed` says the range that the caller checks.

    Raises:
        UsageError: something else (text, True, infinity, NaN).
    """
    try:
        found = math.nan if isinstance(value, (bool, str, bytes)) else float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise UsageError(f"is {allowed}, not {value!r}", argument=name)
    return found


def switch(value: Any, name: str) -> bool:
    """True or False.

    Raises:
        UsageError: something else: "no" would mean yes.
    """
    if value is not True and value is not False:
        raise UsageError(f"is True or False, not {value!r}", argument=name)
    return bool(value)
