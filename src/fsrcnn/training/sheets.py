"""Sheets of small text and of tiles, on which some networks put sparks: to count them, and to cure a network of them.

A letter of a screen, light on dark and nine pixels high, is nothing that a photograph holds. A network trained on photographs may
leave the range of luma by thousands of levels there, and set dots where the picture is flat. `sparks` counts those dots;
`sheets_to_learn` are pairs whose HR picture is what the network itself makes, kept near the range of the pixels around it.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from fsrcnn import color, protocol
from fsrcnn.arrays import Float32, Uint8
from fsrcnn.engines import Engine
from fsrcnn.require import require
from fsrcnn.training.pairs import Pair

FACES = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSerif", "DejaVuSerif-Bold",
    "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "cmr10", "cmss10", "cmtt10",
)  # fmt: skip
"""Fonts that matplotlib carries, so that a sheet looks the same whatever a machine has installed."""
SIZES = range(8, 17)  # pixels, of small text on a screen
TILES = ("two greys", "grey tiles", "specks")
LETTERS = string.ascii_letters * 3 + string.digits + ".,;:()[]{}=+-*/'\"!?<>_#@%&" + " " * 12
SHEET = (120, 160)  # LR pixels
REACH = 5  # a side of the window around an LR pixel in which its HR pixels have their range
FLAT, SPARK = 2 / 255, 60 / 255  # of luma
TEXT_SHEETS = 0.7  # of the sheets to learn; the others are tiles


class Sheet(NamedTuple):
    """A picture to enlarge.

    Attributes:
        lr: (h, w) float32 luma in [0, 1].
        marks: letters or tiles on it.
    """

    lr: Float32
    marks: int

    @property
    def rgb(self) -> Uint8:
        """(h, w, 3): its luma as a grey picture of full range."""
        grey = np.rint((255 * self.lr - 16) * (255 / 219)).clip(0, 255).astype(np.uint8)
        return color.as_rgb(grey)


@dataclass(frozen=True)
class Ink:
    """How text looks.

    Attributes:
        ink, paper: RGB in 8 bit.
        smooth: antialiased.
    """

    ink: tuple[int, int, int]
    paper: tuple[int, int, int]
    smooth: bool = True


_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
INKS: Mapping[str, Ink] = {
    "light on dark": Ink((230, 230, 230), (24, 24, 28)),
    "light on dark, not antialiased": Ink((230, 230, 230), (24, 24, 28), smooth=False),
    "white on black": Ink(_WHITE, _BLACK),
    "white on black, not antialiased": Ink(_WHITE, _BLACK, smooth=False),
    "yellow on blue": Ink((255, 255, 0), (0, 0, 255)),
    "yellow on blue, not antialiased": Ink((255, 255, 0), (0, 0, 255), smooth=False),
    "dark on light": Ink((40, 40, 40), (240, 240, 235)),
    "dark on light, not antialiased": Ink((40, 40, 40), (240, 240, 235), smooth=False),
    "black on white": Ink(_BLACK, _WHITE),
    "black on white, not antialiased": Ink(_BLACK, _WHITE, smooth=False),
}  # fmt: skip


@cache
def _font(face: str, size: int) -> Any:
    """A font of matplotlib's.

    Raises:
        MissingExtraError: matplotlib or Pillow is not installed.
    """
    matplotlib = require("matplotlib", "sheets of text", extra="train")
    fonts = require("PIL.ImageFont", "sheets of text", extra="train")
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{face}.ttf"
    return fonts.truetype(str(path), size, layout_engine=fonts.Layout.BASIC)


def word(text: str, ink: Ink, face: str, size: int, shape: tuple[int, int]) -> Float32:
    """(h, w) luma of a text in the middle of its paper.

    Args:
        text: one line.
        ink: its colours.
        face: of `FACES`.
        size: of the font, in pixels.
        shape: (height, width) of the paper.

    Raises:
        MissingExtraError: matplotlib or Pillow is not installed.
    """
    picture, pen = _paper(ink, shape)
    pen.text((shape[1] / 2, shape[0] / 2), text, fill=ink.ink, font=_font(face, size), anchor="mm")
    return _luma(picture)


def text_sheet(
    generator: np.random.Generator, ink: Ink, face: str, sizes: Sequence[int], shape: tuple[int, int] = SHEET
) -> Sheet:
    """Lines of random letters, of each size in turn, until the paper is full.

    Args:
        generator: of letters and places.
        ink: their colours.
        face: of `FACES`.
        sizes: of the font, in pixels.
        shape: (height, width) of the paper.

    Raises:
        MissingExtraError: matplotlib or Pillow is not installed.
    """
    picture, pen = _paper(ink, shape)
    top, lines, marks = int(generator.integers(4)), 0, 0
    while top < shape[0]:
        size = sizes[lines % len(sizes)]
        line = "".join(generator.choice(list(LETTERS), shape[1] // max(2, size // 2)))
        font = _font(face, size)
        pen.text((int(generator.integers(-3, 4)), top), line, fill=ink.ink, font=font)
        shown = len(line) * shape[1] / max(shape[1], pen.textlength(line, font))  # the rest lies beyond the paper
        marks += round(shown * (1 - line.count(" ") / len(line)))
        top += size * 5 // 4 + 1
        lines += 1
    return Sheet(_luma(picture), marks)


def _paper(ink: Ink, shape: tuple[int, int]) -> tuple[Any, Any]:
    images, drawing = (require(f"PIL.{name}", "sheets of text", extra="train") for name in ("Image", "ImageDraw"))
    picture = images.new("RGB", (shape[1], shape[0]), ink.paper)
    pen = drawing.Draw(picture)
    pen.fontmode = "L" if ink.smooth else "1"
    return picture, pen


def _luma(picture: Any) -> Float32:
    rgb = np.asarray(picture, np.float32) / np.float32(255)
    return np.asarray(color.luma(rgb), np.float32)


def tile_sheet(
    generator: np.random.Generator, kind: str, cell: int | None = None, shape: tuple[int, int] = SHEET
) -> Sheet:
    """Square tiles of luma in rows and columns.

    Args:
        generator: of the tiles.
        kind: of `TILES`.
        cell: side of a tile in pixels; None: 1 to 4, at random.
        shape: (height, width) of the sheet.
    """
    side = int(generator.integers(1, 5)) if cell is None else cell
    grid = (-(-shape[0] // side), -(-shape[1] // side))
    first, second = generator.integers(16, 236, 2)
    if kind == "grey tiles":
        tiles = generator.integers(16, 236, grid)
    elif kind == "two greys":
        tiles = np.where(generator.random(grid) < generator.uniform(0.02, 0.98), first, second)
    else:  # specks
        tiles = np.where(generator.random(grid) < generator.uniform(0.005, 0.1), generator.choice([16, 235]), second)
    whole = np.kron(tiles, np.ones((side, side)))[: shape[0], : shape[1]]
    return Sheet((whole / 255).astype(np.float32), int((tiles != np.median(tiles)).sum()))


def sparks(lr: Float32, sr: Float32) -> int:
    """HR pixels more than 60 levels of luma off where the 5×5 LR pixels around them are flat (within 2 levels).

    Args:
        lr: (h, w) luma in [0, 1].
        sr: (scale*h, scale*w), what a network made of it.
    """
    lowest, highest = _range(lr)
    flat = (highest - lowest) <= FLAT + 1e-6
    blocks = sr.reshape(lr.shape[0], sr.shape[0] // lr.shape[0], lr.shape[1], -1).swapaxes(1, 2)[flat]
    return int((np.abs(blocks.clip(0, 1) - lr[flat][:, None, None]) > SPARK).sum())


def overshoot(sr: Float32) -> float:
    """How far luma lies beyond [0, 1] at worst, in 8-bit levels."""
    return max(0.0, 255 * float(max(sr.max() - 1, -sr.min())))


def calmed(lr: Float32, engine: Engine, margin: float) -> Pair:
    """What a network should have made of a picture: its own output, kept near the range of the pixels around.

    Args:
        lr: (h, w) luma in [0, 1].
        engine: the network.
        margin: how far HR pixels may lie beyond the least and the greatest of the 5×5 LR pixels around them.
    """
    scale = engine.architecture.scale
    lowest, highest = (np.kron(bound, np.ones((scale, scale), np.float32)) for bound in _range(lr))
    return Pair(lr, protocol.round_8bit(engine.luma(lr).clip(lowest - margin, highest + margin)))


def sheets_to_learn(engine: Engine, count: int, margin: float, seed: int = 0) -> list[Pair]:
    """Sheets of text in any two greys and of tiles, with what the network should have made of them.

    Args:
        engine: the network, before it learns.
        count: of sheets.
        margin: as `calmed`.
        seed: of the sheets.

    Raises:
        MissingExtraError: matplotlib or Pillow is not installed.
    """
    generator = np.random.default_rng(seed)
    pairs: list[Pair] = []
    while len(pairs) < count:
        if generator.random() >= TEXT_SHEETS:
            lr = tile_sheet(generator, str(generator.choice(TILES))).lr
        else:
            ends = [0, 16, 28, 244, 255]  # black, white and what is near them, as on most screens
            ink, paper = generator.integers(256, size=2) if generator.random() < 0.4 else generator.choice(ends, 2)
            if abs(int(ink) - int(paper)) < 70:
                continue
            kind = Ink((int(ink),) * 3, (int(paper),) * 3, smooth=bool(generator.random() < 0.6))
            size = int(generator.integers(SIZES.start - 1, SIZES.stop + 1))
            lr = text_sheet(generator, kind, str(generator.choice(FACES)), (size,)).lr
        pairs.append(calmed(lr, engine, margin))
    return pairs


def _range(lr: Float32) -> tuple[Float32, Float32]:
    """Least and greatest of the `REACH`×`REACH` pixels around each, borders repeated."""
    return _extreme(lr, np.minimum), _extreme(lr, np.maximum)


def _extreme(plane: Float32, of_two: np.ufunc) -> Float32:
    padded = np.pad(plane, REACH // 2, mode="edge")
    for axis in (0, 1):
        padded = of_two.reduce(sliding_window_view(padded, REACH, axis), axis=-1)
    return padded
