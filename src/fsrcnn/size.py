"""How large a result shall be, and by which passes of a network that is reached."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from fsrcnn.arguments import number, whole_number
from fsrcnn.errors import UsageError

LARGEST_FACTOR = 64.0
MAX_OUTPUT_PIXELS = 2**33


@dataclass(frozen=True)
class Size:
    """How large the result shall be: one of a factor, a width and/or a height, or a box to fit into.

    Attributes:
        factor: above 1, up to 64.
        width, height: pixels; where one is missing, the shape is kept.
        fit: (width, height) of a box; the result is the largest of the same shape that fits.

    Raises:
        UsageError: nothing or too much is given, or a number outside the above.
    """

    factor: float | None = None
    width: int | None = None
    height: int | None = None
    fit: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        ways = [self.factor is not None, self.width is not None or self.height is not None, self.fit is not None]
        if sum(ways) != 1:
            raise UsageError(
                "a size is a factor, or a width and/or height, or a box to fit into, and only one of these",
                "give {factor}, {width} and/or {height}, or {fit}",
            )
        if self.factor is not None:
            allowed = f"a number above 1, up to {LARGEST_FACTOR:g} (2, 3, 4, 1.5 …)"
            if not 1 < number(self.factor, "scale", allowed) <= LARGEST_FACTOR:
                raise UsageError(f"is {allowed}, not {self.factor:g}", argument="scale")
        if self.fit is not None and not (isinstance(self.fit, (tuple, list)) and len(self.fit) == 2):
            raise UsageError(f"is the (width, height) of a box, not {self.fit!r}", argument="fit")
        sides = (("width", self.width), ("height", self.height), *(("fit", side) for side in self.fit or ()))
        for name, side in sides:
            if side is not None:
                whole_number(side, name)

    def of(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the result for a picture of this size.

        Raises:
            UsageError: the result would be larger than 64 times the picture, or than 8,590 megapixels.
        """
        if self.factor is not None:
            wanted = (self.factor * height, self.factor * width)
        elif self.fit is not None:
            factor = min(self.fit[0] / width, self.fit[1] / height)
            wanted = (factor * height, factor * width)
        else:
            wanted = (
                self.height if self.height is not None else height * cast(int, self.width) / width,
                self.width if self.width is not None else width * cast(int, self.height) / height,
            )
        result = (max(1, math.floor(wanted[0] + 0.5)), max(1, math.floor(wanted[1] + 0.5)))
        if max(result[0] / height, result[1] / width) > LARGEST_FACTOR or result[0] * result[1] > MAX_OUTPUT_PIXELS:
            raise UsageError(
                f"{width}×{height} to {result[1]}×{result[0]} is too much: at most {LARGEST_FACTOR:g} times a side and "
                f"{MAX_OUTPUT_PIXELS / 1e6:,.0f} megapixels"
            )
        return result


def check_size(size: object) -> Size:
    """
    Raises:
        UsageError: it is no `Size`.
    """
    if not isinstance(size, Size):
        raise UsageError(f"is a Size, as Size(factor=2), not {size!r}", argument="size")
    return size


def wanted_size(scale: float | None, width: int | None, height: int | None, fit: str | None) -> Size | None:
    """The size that somebody asks for in words, the box as `3840x2160`; None where nothing is asked for.

    Raises:
        UsageError: a box that is not WxH, or more than one way.
    """
    box = None
    if fit is not None:
        match = re.fullmatch(r"([0-9]{1,9})[xX×]([0-9]{1,9})", fit)
        if not match:
            raise UsageError(f"is WIDTHxHEIGHT in pixels, as 3840x2160, not {fit!r}", argument="fit")
        box = (int(match[1]), int(match[2]))
    if scale is None and width is None and height is None and box is None:
        return None
    return Size(factor=scale, width=width, height=height, fit=box)


def mark_of(size: Size) -> str:
    """A size in a file name: `x2`, `x1.5`, `1920x1080` (a box), `w1920`, `h1080`, `w1920h1080`."""
    if size.factor is not None:
        return f"x{size.factor:g}"
    if size.fit is not None:
        return f"{size.fit[0]}x{size.fit[1]}"
    return "".join(f"{letter}{side}" for letter, side in (("w", size.width), ("h", size.height)) if side is not None)


def chain(factor: float, scales: Iterable[int]) -> tuple[int, ...]:
    """The fewest network passes that reach a factor, the least excess among those, the smaller scale first (it is cheaper).

    `chain(1.5, (2, 3, 4))` is `(2,)`, `chain(5, (2, 3, 4))` is `(2, 3)`, `chain(1, …)` is `()`.
    """
    if factor <= 1:
        return ()
    for passes in itertools.count(1):
        ways = [c for c in itertools.combinations_with_replacement(sorted(scales), passes) if math.prod(c) >= factor]
        if ways:
            return min(ways, key=math.prod)
    raise AssertionError
