"""Pictures pulled window by window through a short chain of steps: `Source → Super-resolution (once or more) → Resize`.

Each step is asked for a window of its output and asks the step before it for just the window that this needs, halo included. So
memory does not grow with the picture beyond its own pixels and the result's, and a tile has the pixels that the whole would have.

Between steps, planes are float32: studio-swing luma, then chroma on its own grid, then alpha; nothing is rounded or clipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, cast

import numpy as np

from fsrcnn.alpha import FILL_REACH, fill_hidden
from fsrcnn.architecture import Architecture
from fsrcnn.arrays import Float32
from fsrcnn.imresize import Contributions, contributions, resize_axis
from fsrcnn.parallel import Control, run_all
from fsrcnn.planes import Colour, Layout, Planes, Window

Extent = tuple[int, int]

BICUBIC_TILE = (256, 256)  # where no network runs
BICUBIC_REACH = 2  # samples to each side that a bicubic enlargement reads


class LumaNetwork(Protocol):
    """What a super-resolution step needs of an engine: the network on any rectangle of luma."""

    architecture: Architecture
    tile: Extent

    def run(self, lr: Float32) -> Float32:
        """(h, w) to (scale*h, scale*w), zeros outside the rectangle at each layer, not clipped."""
        ...


class Step(Protocol):
    """One link of the chain.

    Attributes:
        size: (height, width) of its output.
        tile: (height, width) of output windows that suit it.
        layout, colour: of the picture: which components, and where chroma lies.
    """

    size: Extent
    tile: Extent
    layout: Layout
    colour: Colour

    def window(self, window: Window) -> list[Float32]:
        """The components in a window of the output."""
        ...


class Source:
    """The pixels of a picture."""

    def __init__(self, planes: Planes) -> None:
        self.planes = planes
        self.size, self.tile = planes.size, BICUBIC_TILE
        self.layout, self.colour = planes.layout, planes.colour

    def window(self, window: Window) -> list[Float32]:
        if not self.layout.alpha:
            return self.planes.to_studio(self.planes.unit(window))
        # Hidden colours are replaced from their surroundings, so a picture with alpha is read with a margin.
        top, bottom, left, right = window
        t, b, l, r = grown(window, FILL_REACH, self.size)
        unit = self.planes.unit((t, b, l, r))
        unit[:-1] = fill_hidden(unit[:-1], unit[-1])
        return self.planes.to_studio([plane[top - t : bottom - t, left - l : right - l] for plane in unit])


class Taps:
    """The bicubic interpolation of every component from one size to another.

    Chroma of a subsampled layout lies on a grid of its own and grows by the factor of the full grid: 4:2:0 of 853 columns has 427 of
    chroma, at ×2 they become 853 of 1706, twice as dense as before, not 853/427 times.
    """

    def __init__(self, layout: Layout, colour: Colour, before: Extent, after: Extent) -> None:
        self.layout = layout
        self.full = tuple(contributions(before[axis], after[axis]) for axis in (0, 1))
        self.chroma = self.full
        if (layout.down, layout.across) != (1, 1):
            self.chroma = tuple(
                contributions(
                    -(-before[axis] // factor), -(-after[axis] // factor), after[axis] / before[axis],
                    colour.anchor(factor, axis) if factor > 1 else 0.5,
                )
                for axis, factor in enumerate((layout.down, layout.across))
            )  # fmt: skip

    def of(self, component: int) -> tuple[Contributions, ...]:
        """Down and across, for a component."""
        return self.chroma if 0 < component < self.layout.colours else self.full

    def needed(self, window: Window) -> Window:
        """The window of the full grid before that all components of a window after can be made from."""
        sides: list[int] = []
        for axis, (start, stop, factor) in enumerate(
            ((*window[:2], self.layout.down), (*window[2:], self.layout.across))
        ):
            _, first, last = self.full[axis].window(start, stop)
            chroma_start, chroma_stop = -(-start // factor), -(-stop // factor)
            if chroma_start < chroma_stop:
                _, low, high = self.chroma[axis].window(chroma_start, chroma_stop)
                first, last = min(first, low * factor), max(last, (high - 1) * factor + 1)
            sides += (first, last)
        return sides[0], sides[1], sides[2], sides[3]

    def resize(self, component: int, plane: Float32, origin: Window, window: Window) -> Float32:
        """A component's part of a window after, from the part of it in the window `origin` before."""
        t, _, l, _ = self.layout.window(component, origin)
        top, bottom, left, right = self.layout.window(component, window)
        if top == bottom or left == right:  # a window of one odd row or column has no chroma
            return np.empty((bottom - top, right - left), np.float32)
        for axis, (start, stop, offset) in enumerate(((top, bottom, t), (left, right, l))):
            part, first, last = self.of(component)[axis].window(start, stop)
            cut = slice(first - offset, last - offset)
            plane = cast(Float32, resize_axis(plane[cut] if axis == 0 else plane[:, cut], axis, part))
        return plane


class SuperResolution:
    """One pass of the network: luma by the engine, the other components by bicubic interpolation to the same size."""

    def __init__(self, before: Step, engine: LumaNetwork) -> None:
        self.before, self.engine = before, engine
        self.scale = engine.architecture.scale
        self.size = (before.size[0] * self.scale, before.size[1] * self.scale)
        self.tile = (engine.tile[0] * self.scale, engine.tile[1] * self.scale)
        self.layout, self.colour = before.layout, before.colour
        self.taps = Taps(before.layout, before.colour, before.size, self.size)

    def window(self, window: Window) -> list[Float32]:
        scale = self.scale
        top, bottom, left, right = window
        core = (top // scale, -(-bottom // scale), left // scale, -(-right // scale))
        # Chroma samples lie up to `factor` luma pixels apart, and up to half of that beside where they belong.
        reach = BICUBIC_REACH if self.layout.across == 1 else (BICUBIC_REACH + 1) * self.layout.across + 1
        t, b, l, r = grown(core, max(self.engine.architecture.halo, reach), self.before.size)
        t -= t % 2  # the native engine works on pairs of rows: the same pairs in every window, the same bits
        lr = self.before.window((t, b, l, r))
        sr = self.engine.run(lr[0])[top - scale * t : bottom - scale * t, left - scale * l : right - scale * l]
        others = [self.taps.resize(c, plane, (t, b, l, r), window) for c, plane in enumerate(lr[1:], 1)]
        return [sr, *others]


class Resize:
    """MATLAB's bicubic on all components, to an exact size."""

    def __init__(self, before: Step, size: Extent) -> None:
        self.before, self.size = before, size
        self.tile = (
            max(1, before.tile[0] * size[0] // before.size[0]),
            max(1, before.tile[1] * size[1] // before.size[1]),
        )
        self.layout, self.colour = before.layout, before.colour
        self.taps = Taps(before.layout, before.colour, before.size, size)

    def window(self, window: Window) -> list[Float32]:
        needed = self.taps.needed(window)
        planes = self.before.window(needed)
        return [self.taps.resize(c, plane, needed, window) for c, plane in enumerate(planes)]


def fill(step: Step, sr: Planes, control: Control) -> None:
    """Fill a picture with a step's output, tile by tile, in the control's threads.

    Raises:
        Cancelled: through the control.
    """

    def work(window: Window) -> None:
        sr.write(window, step.window(window))

    run_all(work, list(tiles_of(step.size, step.tile)), control)


def grown(window: Window, margin: int, size: Extent) -> Window:
    """A window with a margin on each side, as far as the picture reaches."""
    top, bottom, left, right = window
    return max(top - margin, 0), min(bottom + margin, size[0]), max(left - margin, 0), min(right + margin, size[1])


def tiles_of(size: Extent, tile: Extent) -> Iterator[Window]:
    """The tiles that cover a picture; thin pictures get longer tiles of the same area."""
    area = tile[0] * tile[1]
    height = min(tile[0], size[0])
    width = min(size[1], max(tile[1], area // height)) if height < tile[0] else min(tile[1], size[1])
    if size[1] < tile[1]:
        height = min(size[0], max(tile[0], area // size[1]))
    for top in range(0, size[0], height):
        for left in range(0, size[1], width):
            yield top, min(top + height, size[0]), left, min(left + width, size[1])
