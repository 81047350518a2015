"""What was wrong with a film, counted while it is decoded, and in words."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple


class Counts(NamedTuple):
    """What was wrong up to some frame.

    Attributes:
        damaged: frames or packets that were broken or could not be decoded.
        moved: frames whose time was not after that of the frame before.
        interlaced: frames that hold two moments, and were not deinterlaced.
        falls: how often the film's clock was set back.
        resized: frames of another size than the first.
    """

    damaged: int = 0
    moved: int = 0
    interlaced: int = 0
    falls: int = 0
    resized: int = 0

    def plus(self, other: Counts) -> Counts:
        return Counts(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    def minus(self, other: Counts) -> Counts:
        return Counts(*(mine - theirs for mine, theirs in zip(self, other, strict=True)))

    def damage(self) -> list[str]:
        """What of the film could not be read as it should have been, in words."""
        said = []
        if self.damaged:
            which = (
                "1 of its frames or packets is" if self.damaged == 1 else f"{self.damaged} of its frames or packets are"
            )
            said.append(f"{which} broken, or could not be decoded")
        if self.moved:
            said.append(f"{self.moved} of its frames had no time after that of the frame before; they follow it now")
        if self.interlaced:
            said.append(
                f"{self.interlaced} of its frames are interlaced, though not the first, and were upscaled with both moments in them"
            )
        return said

    def notes(self) -> list[str]:
        """What was set right, in words."""
        said = []
        if self.falls:
            times = "once" if self.falls == 1 else f"{self.falls} times"
            said.append(f"its clock is set back {times}; picture, sound and subtitles go on there together")
        if self.resized:
            said.append(f"{self.resized} frames had another size, and were scaled to that of the first")
        return said


def cut_off(said: Fraction, found: Fraction) -> str:
    """In words, that a film ends before the second that it says."""
    return f"the film is cut off: it says that it ends at {float(said):.1f} s, and ends at {float(found):.1f} s"
