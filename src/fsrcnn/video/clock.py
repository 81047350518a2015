"""Clocks that are set back in the middle of a film, as where recordings were joined: all streams go on together.

The picture's stream says by how much: the k-th time that its decoding times fall back, an offset is noted, and all its later packets
get it. Sound falls back at about the same place in the file, a little earlier or later: each stream of sound counts its own falls
and takes the offset of the same number. Subtitles and data come too seldom to be seen to fall; they go by the picture.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

FALL = Fraction(1, 2)  # seconds; less is disorder, not another clock


@dataclass
class Falls:
    """The offsets in seconds after the first, second, … fall of the picture's clock."""

    offsets: list[Fraction] = field(default_factory=list)

    def after(self, falls: int) -> Fraction:
        """What to add after so many falls; a stream that falls more often than the picture keeps the last."""
        return self.offsets[min(falls, len(self.offsets)) - 1] if falls and self.offsets else Fraction(0)


class Clock:
    """Of one stream: shifts its packets, which come in the order of the file."""

    def __init__(self, falls: Falls, step: Fraction | None = None) -> None:
        """
        Args:
            falls: of the film.
            step: seconds from one frame to the next, for the picture's stream, which notes its falls; None for the others, which go
                by them.
        """
        self.count = 0
        self._falls, self._step = falls, step
        self._last: Fraction | None = None

    def shift(self, packet: Any) -> None:
        """Add to a packet's times what its clock lacks."""
        if packet.dts is not None:  # times at which frames are shown go up and down
            time = packet.dts * packet.time_base
            if self._last is not None and time < self._last - FALL:
                self.count += 1
                if self._step is not None and self.count > len(self._falls.offsets):
                    self._falls.offsets.append(self._falls.after(self.count - 1) + self._last + self._step - time)
            self._last = time
        add(packet, self._falls.after(self.count))


def add(packet: Any, offset: Fraction) -> None:
    """Add seconds to a packet's times, rounded to its ticks."""
    if not offset:
        return
    ticks = round(offset / packet.time_base)
    if packet.pts is not None:
        packet.pts += ticks
    if packet.dts is not None:
        packet.dts += ticks
