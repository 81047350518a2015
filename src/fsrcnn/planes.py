"""A picture as planes with a colour: what an engine takes and fills.

A photo, a film frame and a canvas differ in layout, depth and colour, not in what is done with them: luma goes through the network,
everything else is interpolated. `Planes` says where each sample lies (strided views, so nothing is copied or unpacked), `Colour` what
its numbers mean. Between reading and writing, samples are float32 in units of `Colour.peak`, and luma and chroma are studio swing, as
`color.py` has them: what the network was trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np

from fsrcnn.arrays import Array, Float32
from fsrcnn.color import MATRICES, Matrix, rgb_to_ycbcr, ycbcr_to_rgb
from fsrcnn.errors import UsageError

Window = tuple[int, int, int, int]
"""(top, bottom, left, right): rows top … bottom-1 and columns left … right-1 of the full grid, that of luma."""

Range = Literal["full", "limited"]
Siting = Literal["left", "center", "topleft"]
SITINGS: tuple[Siting, ...] = get_args(Siting)
FLOAT = 32  # the depth of float32 samples
GREY_OFFSET, GREY_GAIN = np.float32(16 / 255), np.float32(219 / 255)  # full-swing luma to studio swing


@dataclass(frozen=True)
class Layout:
    """Which components a picture has, and on which grid.

    Attributes:
        name: `grey`, `grey+alpha`, `rgb`, `rgba`, `yuv444`, `yuv422`, `yuv420`.
        colours: 1, or 3: R, G, B or Y, Cb, Cr.
        alpha: whether a plane of alpha comes last.
        down, across: luma rows and columns for each row and column of chroma.
    """

    name: str
    colours: int
    alpha: bool = False
    down: int = 1
    across: int = 1

    @property
    def is_rgb(self) -> bool:
        """Whether three colours are R, G, B (and not Y, Cb, Cr)."""
        return self.name in ("rgb", "rgba")

    @property
    def components(self) -> int:
        """The number of planes."""
        return self.colours + self.alpha

    def window(self, component: int, window: Window) -> Window:
        """The part of a component's own grid that belongs to a window of the full grid.

        Chroma row j belongs to luma row down·j, so windows that cover luma once cover chroma once, wherever they are cut.
        """
        if not 0 < component < self.colours:
            return window
        top, bottom, left, right = window
        return -(-top // self.down), -(-bottom // self.down), -(-left // self.across), -(-right // self.across)


LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout("grey", 1), Layout("grey+alpha", 1, alpha=True), Layout("rgb", 3), Layout("rgba", 3, alpha=True),
        Layout("yuv444", 3), Layout("yuv422", 3, across=2), Layout("yuv420", 3, down=2, across=2),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Colour:
    """What the numbers in planes mean.

    Attributes:
        matrix: between RGB and Y, Cb, Cr: `bt601` (SD, JPEG, and the papers' luma), `bt709` (HD), `bt2020` (UHD).
        range: `full` (0 is black), or `limited`: black at 16, white at 235, chroma in 16 … 240, times 2^(depth - 8).
        depth: bits, 8 to 16, or 32 for float32, where 1.0 is what 255 is at 8 bit.
        siting: where chroma of a subsampled layout lies: `left` (on the left luma column, midway between two rows: MPEG-2, H.264),
            `center` (amid its luma pixels: JPEG, MPEG-1), `topleft` (on the upper left luma pixel: BT.2020).

    Raises:
        UsageError: a value outside what is said above.
    """

    matrix: Matrix = "bt601"
    range: Range = "full"
    depth: int = 8
    siting: Siting = "left"

    def __post_init__(self) -> None:
        for name, allowed in (("matrix", tuple(MATRICES)), ("range", get_args(Range)), ("siting", SITINGS)):
            if getattr(self, name) not in allowed:
                raise UsageError(f"{name} is {', '.join(allowed)}, not {getattr(self, name)!r}")
        if not isinstance(self.depth, (int, np.integer)) or self.depth not in (*range(8, 17), FLOAT):
            raise UsageError(f"depth is 8 to 16 bits, or {FLOAT} for float32, not {self.depth!r}")

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the samples: uint8 for 8 bits, uint16 for more (in its lower bits), float32."""
        return np.dtype(np.float32 if self.depth == FLOAT else np.uint8 if self.depth == 8 else np.uint16)

    @property
    def largest(self) -> float:
        """The largest sample: 255 at 8 bit, 1023 at 10; 1 for floats of full range, infinity for floats of limited range."""
        if self.depth == FLOAT:
            return 1.0 if self.range == "full" else float("inf")
        return float(2**self.depth - 1)

    @property
    def peak(self) -> float:
        """The sample that stands for 1.0.

        Limited range is defined by shifts, so at 10 bit that is 4·255 = 1020 there, but 1023 for full range.
        """
        if self.depth == FLOAT:
            return 1.0
        return 255.0 * 2 ** (self.depth - 8) if self.range == "limited" else float(2**self.depth - 1)

    def anchor(self, factor: int, axis: int) -> float:
        """Where in the cell of `factor` luma pixels that belong to it a chroma sample's centre lies, 0 … 1; axis 0 is down.

        `left` at 4:2:0: at the centre of the first of two columns, 0.25, and in the middle of two rows, 0.5.
        """
        cosited = self.siting == "topleft" or (self.siting == "left" and axis == 1)
        return 0.5 / factor if cosited else 0.5


def plain(array: Array, label: str) -> Array:
    """An array without what a subclass makes of it: a matrix multiplies otherwise.

    Raises:
        UsageError: no NumPy array, or a masked one.
    """
    if type(array) is np.ndarray:
        return array
    if not isinstance(array, np.ndarray):
        raise UsageError(f"{label} is a NumPy array, not {type(array).__name__}")
    if isinstance(array, np.ma.MaskedArray):
        raise UsageError(
            f"{label} is an array without a mask, which hides samples", "fill it first, with array.filled(0)"
        )
    return array.view(np.ndarray)


DEPTHS = {np.dtype(np.uint8): 8, np.dtype(np.uint16): 16, np.dtype(np.float32): FLOAT}


@dataclass(frozen=True, eq=False)
class Planes:
    """The planes of one picture.

    Attributes:
        arrays: one 2-D array per component, of `colour.dtype`: luma or grey, or R, G, B, or Y, Cb, Cr; then alpha. Views with any
            strides: those of packed RGB, of a decoder's lines with padding, of interleaved chroma.
        layout: one of `LAYOUTS`.
        colour: what the numbers mean.

    Raises:
        UsageError: arrays that do not fit layout and colour.
    """

    arrays: tuple[Array, ...]
    layout: Layout
    colour: Colour

    def __post_init__(self) -> None:
        if not isinstance(self.layout, Layout):
            raise UsageError(f"a layout is LAYOUTS['yuv420'] or another of {', '.join(LAYOUTS)}, not {self.layout!r}")
        if not isinstance(self.colour, Colour):
            raise UsageError(f"a colour is a Colour, as Colour('bt709', 'limited', 10), not {self.colour!r}")
        if not isinstance(self.arrays, (tuple, list)):
            raise UsageError(f"planes are a tuple of NumPy arrays, not {type(self.arrays).__name__}")
        object.__setattr__(self, "arrays", tuple(plain(array, "a plane") for array in self.arrays))
        if len(self.arrays) != self.layout.components:
            raise UsageError(f"{self.layout.name} has {self.layout.components} planes, not {len(self.arrays)}")
        for component, array in enumerate(self.arrays):
            if array.ndim != 2 or 0 in array.shape:
                raise UsageError(f"a plane has shape (h, w) and at least one pixel, not {array.shape}")
            if array.dtype != self.colour.dtype:
                raise UsageError(f"planes of depth {self.colour.depth} are {self.colour.dtype}, not {array.dtype}")
            _, bottom, _, right = self.layout.window(component, (0, self.size[0], 0, self.size[1]))
            if array.shape != (bottom, right):
                raise UsageError(
                    f"plane {component} of {self.size[1]}×{self.size[0]} pixels in {self.layout.name} is "
                    f"{right}×{bottom}, not {array.shape[1]}×{array.shape[0]}"
                )
        if self.layout.alpha and self.colour.range == "limited":
            raise UsageError("pictures with alpha are of full range")
        if self.layout.is_rgb and self.colour.range == "limited":
            raise UsageError("RGB is of full range here")

    @cached_property
    def size(self) -> tuple[int, int]:
        """(height, width) of the full grid."""
        height, width = self.arrays[0].shape
        return height, width

    @property
    def alpha(self) -> Array | None:
        """The plane of alpha, where there is one."""
        return self.arrays[-1] if self.layout.alpha else None

    @classmethod
    def of(cls, pixels: Array) -> Planes:
        """Pixels of a picture: (h, w) or (h, w, 1) grey, 2 grey + alpha, 3 RGB, 4 RGBA; uint8, uint16 or float32, full range, BT.601.

        BT.601 is the luma of the papers, whatever profile a picture carries.
        """
        pixels = plain(pixels, "a picture")
        if pixels.dtype not in DEPTHS:
            raise UsageError(f"a picture is uint8, uint16 or float32, not {pixels.dtype}")
        packed = pixels[:, :, None] if pixels.ndim == 2 else pixels
        names = {1: "grey", 2: "grey+alpha", 3: "rgb", 4: "rgba"}
        if packed.ndim != 3 or packed.shape[2] not in names:
            raise UsageError(f"a picture has shape (h, w) or (h, w, 1 to 4 channels), not {pixels.shape}")
        arrays = tuple(packed[:, :, channel] for channel in range(packed.shape[2]))
        return cls(arrays, LAYOUTS[names[packed.shape[2]]], Colour(depth=DEPTHS[pixels.dtype]))

    @classmethod
    def luma(cls, plane: Array) -> Planes:
        """Studio-swing luma alone: uint8, uint16 (limited range of 8 and 16 bit), or float32, which is never clipped."""
        plane = plain(plane, "luma")
        depth = DEPTHS.get(plane.dtype)
        if depth is None:
            raise UsageError(f"luma is uint8, uint16 or float32, not {plane.dtype}")
        return cls((plane,), LAYOUTS["grey"], Colour(range="limited", depth=depth))

    @classmethod
    def nv12(cls, y: Array, cbcr: Array, colour: Colour) -> Planes:
        """(h, w) luma and (ceil(h/2), ceil(w/2), 2) interleaved chroma, as decoders of graphics cards give them."""
        return cls((y, cbcr[:, :, 0], cbcr[:, :, 1]), LAYOUTS["yuv420"], colour)

    def check_result(self, other: Planes) -> None:
        """Refuse a result of another kind than this picture, or that cannot be filled from it; size and depth may differ.

        Raises:
            UsageError: layout, matrix, range or siting differ, it is read-only, or lies in this picture's own memory.
        """
        pairs = [("layout", self.layout.name, other.layout.name)]
        pairs += [
            (name, getattr(self.colour, name), getattr(other.colour, name)) for name in ("matrix", "range", "siting")
        ]
        for name, ours, theirs in pairs:
            if ours != theirs:
                raise UsageError(f"the {name} of the result is {theirs}, that of the picture {ours}")
        if not all(array.flags.writeable for array in other.arrays):
            raise UsageError("the planes of the result are read-only")
        if any(np.may_share_memory(before, after) for before in self.arrays for after in other.arrays):
            raise UsageError("the result lies in the memory of the picture, which it would overwrite")

    # -- samples ↔ float32

    def unit(self, window: Window) -> list[Float32]:
        """The components in a window, float32, divided by the peak; not yet luma and chroma."""
        peak = np.float32(self.colour.peak)
        return [self._cut(c, window).astype(np.float32) / peak for c in range(self.layout.components)]

    def to_studio(self, unit: Sequence[Float32]) -> list[Float32]:
        """What `unit` gives, as studio-swing luma, then Cb and Cr where there is colour, then alpha.

        Cb and Cr of a picture that is not RGB stay as they are: they are only interpolated, which is the same in any range.
        """
        if self.layout.is_rgb:
            ycbcr = rgb_to_ycbcr(np.stack(unit[:3]).transpose(1, 2, 0), self.colour.matrix)
            return [*ycbcr.transpose(2, 0, 1), *unit[3:]]
        if self.colour.range == "limited":
            return list(unit)
        return [GREY_OFFSET + GREY_GAIN * unit[0], *unit[1:]]

    def write(self, window: Window, studio: Sequence[Float32]) -> None:
        """Fill a window from studio-swing luma, chroma and alpha on their own grids: clipped, and rounded for integers, halves up."""
        unit = list(studio)
        if self.layout.is_rgb:
            unit[:3] = ycbcr_to_rgb(np.stack(studio[:3]).transpose(1, 2, 0), self.colour.matrix).transpose(2, 0, 1)
        elif self.colour.range == "full":
            unit[0] = (studio[0] - GREY_OFFSET) / GREY_GAIN
        colour = self.colour
        for component, values in enumerate(unit):
            target = self._cut(component, window)
            if colour.largest == float("inf"):
                target[...] = values
                continue
            clipped = np.nan_to_num(np.clip(values, 0, np.float32(colour.largest / colour.peak)), copy=False)  # NaN: 0
            if colour.depth == FLOAT:
                target[...] = clipped
            else:  # 16-bit samples keep their last bit in float32: 24 bits of mantissa for 16
                target[...] = (clipped * np.float32(colour.peak) + np.float32(0.5)).astype(colour.dtype)

    def _cut(self, component: int, window: Window) -> Array:
        top, bottom, left, right = self.layout.window(component, window)
        return self.arrays[component][top:bottom, left:right]
