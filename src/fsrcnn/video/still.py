"""Luma through the network, frame after frame; what stands still is not computed again.

Black bars, a background behind who speaks, the drawings of an animated film that are shown for two frames: codecs repeat them bit for
bit. Only the rectangle in which luma is another than in the frame before goes through the network, with as much around it as its
result depends on. `fast` counts in whole numbers, as an integer model does, so a part has exactly the pixels that the whole would
have. `exact` may differ in the last bit of a float; there, only a frame that is repeated as a whole is taken from the one before.
"""

from __future__ import annotations

import numpy as np

from fsrcnn.arrays import Array
from fsrcnn.parallel import Control
from fsrcnn.planes import LAYOUTS, Colour, Planes, Range
from fsrcnn.upscaler import Upscaler
from fsrcnn.video.formats import described
from fsrcnn.video.library import Frame

WORTHWHILE = 0.9  # of the pixels; above it, the whole frame is as fast


def luma(frame: Frame, range: Range) -> Planes:
    """The luma of a frame in planes, where it lies: writing to it changes the frame."""
    colour = Colour(range=range, depth=described(frame.format.name).depth)
    return Planes((samples(frame, 0),), LAYOUTS["grey"], colour)


def samples(frame: Frame, plane: int) -> Array:
    """(h, w) uint8 or uint16: a plane of a frame of a planar format, where it lies: writing to it changes the frame."""
    lines = frame.planes[plane]
    dtype = Colour(depth=described(frame.format.name).depth).dtype
    whole: Array = np.frombuffer(lines, dtype).reshape(-1, lines.line_size // dtype.itemsize)
    return whole[: lines.height, : lines.width]


class Still:
    """Fills the luma of the frames of one film, in their order."""

    def __init__(self, upscaler: Upscaler, control: Control) -> None:
        self._upscaler, self._control = upscaler, control
        self._lr: Array | None = None  # of the frame before
        self._sr: Array | None = None  # what was made of it: a copy, as frames belong to whoever took them

    def fill(self, lr: Frame, sr: Frame, range: Range) -> None:
        """The luma of `sr` from that of `lr`, planes of one format.

        Raises:
            Cancelled: through the control.
        """
        small, large = luma(lr, range), luma(sr, range)
        before, made = self._lr, self._sr
        self._lr, self._sr = None, None  # should this one be broken off
        changed = self._changed(before, made, small, large)
        if changed is None:
            self._upscaler.planes(small, large, self._control)
        else:
            assert made is not None
            large.arrays[0][...] = made
            if changed:
                self._refill(small, large, changed)
        self._lr, self._sr = (_kept(small.arrays[0], before), _kept(large.arrays[0], made))

    def _changed(
        self, before: Array | None, made: Array | None, small: Planes, large: Planes
    ) -> tuple[int, int, int, int] | tuple[()] | None:
        """(top, bottom, left, right) in the LR plane of what is to be made again; nothing, if it is the one before; None: all."""
        array = small.arrays[0]
        if (
            before is None or made is None or before.shape != array.shape or before.dtype != array.dtype
            or made.shape != large.size
        ):  # fmt: skip
            return None
        different = before != array
        rows = np.flatnonzero(different.any(axis=1))
        if not len(rows):
            return ()
        scale = self._scale(small, large)
        if scale is None:
            return None
        columns = np.flatnonzero(different[rows[0] : rows[-1] + 1].any(axis=0))
        reach = 2 * self._upscaler.engine(scale).architecture.halo
        height, width = array.shape
        window = (
            max(int(rows[0]) - reach, 0), min(int(rows[-1]) + 1 + reach, height),
            max(int(columns[0]) - reach, 0), min(int(columns[-1]) + 1 + reach, width),
        )  # fmt: skip
        part = (window[1] - window[0]) * (window[3] - window[2]) / (height * width)
        return None if part > WORTHWHILE else window

    def _scale(self, small: Planes, large: Planes) -> int | None:
        """The factor, where one pass of a network in whole numbers is all that is done."""
        for scale in self._upscaler.scales:
            if self._upscaler.whole_numbers and large.size == (small.size[0] * scale, small.size[1] * scale):
                return scale
        return None

    def _refill(self, small: Planes, large: Planes, window: tuple[int, int, int, int]) -> None:
        """Make again what depends on a window of LR luma: all of it but a margin of the network's reach, where that is no border."""
        top, bottom, left, right = window
        height, width = small.size
        scale = large.size[0] // height
        part = np.empty(((bottom - top) * scale, (right - left) * scale), small.colour.dtype)
        self._upscaler.planes(
            Planes((small.arrays[0][top:bottom, left:right],), small.layout, small.colour),
            Planes((part,), large.layout, large.colour), self._control,
        )  # fmt: skip
        halo = self._upscaler.engine(scale).architecture.halo
        t, l = (0 if edge == 0 else halo for edge in (top, left))
        b, r = (0 if edge == end else halo for edge, end in ((bottom, height), (right, width)))
        inside = part[t * scale : part.shape[0] - b * scale, l * scale : part.shape[1] - r * scale]
        large.arrays[0][(top + t) * scale : (bottom - b) * scale, (left + l) * scale : (right - r) * scale] = inside


def _kept(plane: Array, old: Array | None) -> Array:
    """A copy, where the old one lay if it fits."""
    if old is None or old.shape != plane.shape or old.dtype != plane.dtype:
        return plane.copy()
    old[...] = plane
    return old
