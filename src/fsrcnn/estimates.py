"""What pixels say of how a picture came about: noise, blocks of compression, the spectrum that sharpening, aliasing and blur shape.

All is measured on the luma of at most 36 tiles spread over the picture, so a large picture takes no longer than one of 384 × 384. Its
margins, the bars of a film or the paper around a photo, are cut off before, and what nobody sees does not count: they say nothing of
how the picture came about, and one edge between a picture and its margin looks like a sharpened one.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from fsrcnn.arrays import Array, Float32
from fsrcnn.color import luma, peak_of

TILE, MOST_TILES = 64, 6  # pixels of a side; tiles along a side
SAMPLED = 256  # pixels of a row or column that are looked at for margins, at least
MARGIN = 10 / 255  # of rows and columns whose pixels differ by no more, as those of a JPEG's margin do
WINDOW = 16  # of the spectrum, pixels
RINGS = (1, 2, 3, 4.5, 6, 7.5, 12)  # where rings of spatial frequency begin and end, in cycles per window
STEEPEST = 50  # one of so many differences is an edge
BESIDE = 2  # pixels on each side of an edge that are looked at
BORDER = 3  # of a tile, pixels, where no edges are looked for: at least BESIDE; the table was fitted with it
FLOOR = 0.3  # power that rounding to 8 bit leaves: a smaller one means nothing


class Estimates(NamedTuple):
    """Of a picture's luma, in 8-bit levels.

    Attributes:
        noise: standard deviation, by the diagonal Haar coefficients of the flattest blocks; fine texture everywhere counts, too.
        blocks: how much more the picture bends at every eighth pixel than at the next most bent place, log2; 0 without a grid.
        steepness: the fourth moment of differences of neighbours by the square of their second, log2: few strong edges are steep.
        correlations: of a difference of neighbours with those one, two and three pixels further.
        spectrum: the mean power in each of `RINGS`, log2.
        edges: of the steepest differences, the differences one and two pixels beside them, in parts of them: the quartiles,
            and the median of the larger side. Sharpening makes them negative; flat paper around a letter does not dilute them, as
            it does all else here.
    """

    noise: float
    blocks: float
    steepness: float
    correlations: tuple[float, ...]
    spectrum: tuple[float, ...]
    edges: tuple[float, ...]


def estimates_of(pixels: Array) -> Estimates:
    """Measure a picture.

    Args:
        pixels: (h, w), (h, w, 2), (h, w, 3) or (h, w, 4), uint8, uint16, or float32 in [0, 1]; colours under alpha 0 do not count.
    """
    tiles = _tiles(pixels)
    across, down = np.diff(tiles, axis=2), np.diff(tiles, axis=1).transpose(0, 2, 1)
    differences = np.concatenate((across, down))
    squares = differences**2
    noise = _noise(tiles)
    power = float(squares.mean())
    # White noise of variance v adds 2·v to the variance of differences and -v to their covariance at one pixel.
    own = max(power - 2 * noise**2, 0.1 * power) + 1e-3
    correlations = tuple(
        (float((differences[:, :, lag:] * differences[:, :, :-lag]).mean()) + (noise**2 if lag == 1 else 0)) / own
        for lag in (1, 2, 3)
    )
    steepness = float(np.log2((float((squares**2).mean()) + 1e-3) / (power**2 + 1e-3)))
    return Estimates(noise, _blocks(differences), steepness, correlations, _spectrum(tiles), _edges(differences))


def _tiles(pixels: Array) -> Float32:
    """(n, 64, 64) luma in 8-bit levels; tiles begin at multiples of 8, where blocks of a JPEG do.

    Where some are seen whole, there are no others.
    """
    alpha = pixels[:, :, -1] if pixels.ndim == 3 and pixels.shape[2] in (2, 4) else None
    colours = pixels if pixels.ndim == 2 else pixels[:, :, :3] if pixels.shape[2] > 2 else pixels[:, :, 0]
    rows, columns = _inside(colours, alpha)
    colours, alpha = colours[rows, columns], None if alpha is None else alpha[rows, columns]
    short = [(0, max(0, TILE - length)) for length in colours.shape[:2]]
    if any(after for _, after in short):
        colours = np.pad(colours, [*short, (0, 0)][: colours.ndim], mode="symmetric")
        alpha = None if alpha is None else np.pad(alpha, short, mode="symmetric")
    places = [(top, left) for top in _starts(colours.shape[0]) for left in _starts(colours.shape[1])]
    if alpha is not None:
        seen = [place for place in places if alpha[place[0] :, place[1] :][:TILE, :TILE].all()]
        places = seen or places
    cut = _cut(colours, places)
    if alpha is not None and not seen:
        visible = _cut(alpha, places) > 0
        if visible.any():
            cut[~visible] = np.median(cut[visible], axis=0).astype(cut.dtype)
    floats = cut.astype(np.float32) / np.float32(peak_of(cut.dtype))
    levels = 16 + 219 * floats if floats.ndim == 2 else 255 * luma(floats)
    return levels.astype(np.float32).reshape(-1, TILE, TILE)


def _cut(plane: Array, places: list[tuple[int, int]]) -> Array:
    """(n * 64, 64, …): the tiles at these places, one below the other."""
    return np.concatenate([plane[top : top + TILE, left : left + TILE] for top, left in places])


def _inside(colours: Array, alpha: Array | None) -> tuple[slice, slice]:
    """Rows and columns without the margins: without those that are hidden or of one colour, from the borders on.

    They begin at a multiple of 8, as the blocks of a JPEG do. All of a picture that is nothing but margin.
    """
    margin, found = MARGIN * peak_of(colours.dtype), []
    for along in (1, 0):
        lines = colours.swapaxes(0, 1) if along else colours  # along the first axis, which is fast to reduce
        lines = np.ascontiguousarray(lines[:: max(1, len(lines) // SAMPLED)])
        varied = (np.ptp(lines, axis=0).astype(np.float64) > margin).reshape(lines.shape[1], -1).any(axis=1)
        if alpha is not None:
            varied &= alpha.any(axis=along)
        places = np.flatnonzero(varied)
        found.append(slice(int(places[0]) // 8 * 8, int(places[-1]) + 1) if places.size else slice(None))
    return found[0], found[1]


def _starts(length: int) -> list[int]:
    count = min(MOST_TILES, -(-length // TILE))
    return [int(start) // 8 * 8 for start in np.linspace(0, length - TILE, count)]


def _noise(tiles: Float32) -> float:
    """The 15th percentile of the blocks' standard deviations; blocks without any are painted, or clipped, and say nothing."""
    haar = (tiles[:, :-1, :-1] - tiles[:, 1:, :-1] - tiles[:, :-1, 1:] + tiles[:, 1:, 1:]) / 2
    side = haar.shape[1] // 8
    blocks = haar[:, : 8 * side, : 8 * side].reshape(-1, side, 8, side, 8)
    deviations = np.sqrt((blocks**2).mean(axis=(2, 4)))
    deviations = deviations[deviations > 1e-3]
    return float(np.percentile(deviations, 15)) if deviations.size else 0.0


def _blocks(differences: Float32) -> float:
    bends = np.abs(differences[:, :, 1:-1] - (differences[:, :, :-2] + differences[:, :, 2:]) / 2).mean(axis=(0, 1))
    first, second = np.sort(bends[: len(bends) // 8 * 8].reshape(-1, 8).mean(axis=0))[:-3:-1]
    return float(np.log2((first + 1e-2) / (second + 1e-2)))


def _spectrum(tiles: Float32) -> tuple[float, ...]:
    half = np.sqrt(np.hanning(WINDOW + 1)[:WINDOW])
    taper = np.outer(half, half)
    taper = (taper / np.sqrt((taper**2).sum())).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(tiles, (WINDOW, WINDOW), axis=(1, 2))[:, ::WINDOW, ::WINDOW]
    centred = windows - windows.mean(axis=(-2, -1), keepdims=True)
    power = (np.abs(np.fft.rfft2(centred * taper)) ** 2).mean(axis=(0, 1, 2))
    frequency = np.hypot(np.fft.fftfreq(WINDOW, 1 / WINDOW)[:, None], np.arange(WINDOW // 2 + 1))
    rings = [(frequency >= low) & (frequency < high) for low, high in pairwise(RINGS)]
    return tuple(float(np.log2(power[ring].mean() + FLOOR)) for ring in rings)


def _edges(differences: Float32) -> tuple[float, ...]:
    heights = np.abs(differences[:, :, BORDER:-BORDER])
    count = heights.size // STEEPEST
    steepest = max(float(np.partition(heights, -count, axis=None)[-count]), 1e-3)
    tile, row, column = np.nonzero(heights >= steepest)
    if not tile.size:
        return 4 * BESIDE * (0.0,)
    column += BORDER
    edges = differences[tile, row, column]
    found: list[float] = []
    for lag in range(1, BESIDE + 1):
        before, after = ((differences[tile, row, column + step] / edges).clip(-2, 2) for step in (-lag, lag))
        found += map(float, np.quantile(np.concatenate((before, after)), (0.25, 0.5, 0.75)))
        found.append(float(np.median(np.maximum(before, after))))
    return tuple(found)
