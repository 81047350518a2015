"""Frames as one looks at them: HR | bicubic | SR side by side, labelled, and how far from the original the last two are.

A `Comparison` takes the place of an `Enlargement`: the frames that it makes are wider, and all else of a film goes its usual way.
PSNR and SSIM are those of `metrics`, of luma as it lies in the film (limited or full range), before labels are written, with as many
pixels shaved off each side as the factor is, as `evaluate` does it. The peak is the largest sample of the depth: 255, 1023.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fsrcnn import metrics
from fsrcnn.arrays import Array
from fsrcnn.errors import UsageError
from fsrcnn.imresize import imresize
from fsrcnn.parallel import Control, run_all
from fsrcnn.planes import Colour
from fsrcnn.protocol import Score
from fsrcnn.upscaler import Upscaler
from fsrcnn.video import colour, formats, y4m
from fsrcnn.video.enlargement import Enlargement
from fsrcnn.video.labels import Labels
from fsrcnn.video.library import FilmError, Frame
from fsrcnn.video.source import Decoded, Source
from fsrcnn.video.still import samples

PANELS = ("hr", "bicubic", "sr")  # from left to right
WAYS = PANELS[1:]
NAMES = {"hr": "HR", "bicubic": "bicubic", "sr": "SR"}


class Scores(NamedTuple):
    """Of one frame: PSNR in dB (infinite where nothing differs) and SSIM, of each way to enlarge."""

    bicubic_psnr: float
    bicubic_ssim: float
    sr_psnr: float
    sr_ssim: float

    def of(self, way: str) -> Score:
        """Of `bicubic` or `sr`."""
        return Score(*(self[:2] if way == "bicubic" else self[2:]))


class Original:
    """The film that a smaller one was made from: its frames, by the times of the smaller one's.

    Times are counted from the first frame of each film.
    """

    def __init__(self, source: Source, film: Source, enlargement: Enlargement, upscaler: Upscaler) -> None:
        """
        Args:
            source: the original, open.
            film: the smaller one.
            enlargement: of its frames.
            upscaler: of its frames.

        Raises:
            UsageError: the original has another size than the results, or its luma means something else.
        """
        first, (height, width) = source.first, enlargement.size
        if (first.height, first.width) != enlargement.size:
            raise UsageError(
                f"{source.label} has {first.width}×{first.height} pixels, and the result {width}×{height}",
                f"give a {{reference}} of {width}×{height}, or {{width={first.width}}} and {{height={first.height}}}",
            )
        own = formats.nearest(first.format.name, y4m.FORMATS)
        tags = _tags(source, film, enlargement.tags, own)
        siting = source.header.siting
        self._as_it_is = Enlargement(upscaler, enlargement.size, own, tags, siting=siting)
        self._as_results = Enlargement(upscaler, enlargement.size, enlargement.format, tags, siting=siting)
        self._source, self._film, self._depth = source, film, enlargement.format.depth
        self._tolerance = min(source.time_base + film.time_base, 1 / (2 * source.rate))  # containers round times
        self._frames: Iterator[Decoded] | None = None
        self._next: Decoded | None = None

    def at(self, time: Fraction) -> Frame:
        """The frame that is shown so many seconds after the first; asked for with growing times, and for each that there is.

        Raises:
            FilmError: there is none, there is one between this and the one before, or it is broken.
        """
        source, before = self._source, f"{self._source.label} and {self._film.label} have not the same frames"
        if self._frames is None:  # only now it is known where to begin
            if time > self._tolerance:
                source.begin = source.first.pts + math.ceil((time - self._tolerance) / source.time_base)
            self._frames = source.frames()
            self._next = next(self._frames, None)
        found, remedy = self._next, "give a {reference} with the same frames at the same times, or a shorter {duration}"
        own = None if found is None else (found.frame.pts - source.first.pts) * source.time_base
        if found is None or own is None or own > time + self._tolerance:
            raise FilmError(f"{before}: {float(time):.3f} s after its first, the reference has none", remedy)
        if own < time - self._tolerance:
            raise FilmError(f"{before}: {float(own):.3f} s after their first, only the reference has one", remedy)
        if found.counts.damaged:
            raise FilmError(f"{source.label} is broken at about {float(own):.3f} s", "give another {reference}")
        if (found.frame.height, found.frame.width) != self._as_results.size:
            raise FilmError(f"the size of {source.label} changes at {float(own):.3f} s", "give another {reference}")
        self._next = next(self._frames, None)
        return found.frame

    @property
    def goes_on(self) -> bool:
        """Whether it has a frame after the last one asked for."""
        return self._next is not None

    def luma(self, frame: Frame) -> Array:
        """(h, w): a frame's luma in the units of the results: of another depth, as floats that are not rounded."""
        own = self._as_it_is
        plane = samples(own.prepared(frame), 0)
        if own.format.depth == self._depth:
            return plane
        peaks = [Colour(range=own.range, depth=depth).peak for depth in (self._depth, own.format.depth)]
        return plane * (peaks[0] / peaks[1])

    def shown(self, frame: Frame) -> Frame:
        """A frame in the format of the results."""
        return self._as_results.prepared(frame)


class Comparison:
    """Makes of each frame of a film one that holds (HR |) bicubic | SR.

    Where there is an original, the `opaque` of the frames that it makes are their `Scores`.

    Attributes:
        size: (height, width) of the results, all panels together.
        format: of their pixels.
        original: gives the panel HR; None: there are two panels.
        turns: quarter turns, counterclockwise, by which a player turns the film, so that labels stand upright then.
    """

    def __init__(self, enlargement: Enlargement, film: Source, original: Original | None, control: Control) -> None:
        """
        Args:
            enlargement: makes the panel SR.
            film: whose frames will come.
            original: of the size of the results.
            control: as many threads as it has measure.

        Raises:
            UsageError: the frames are too small for SSIM.
            MissingExtraError: Pillow, which draws the labels, is not installed.
        """
        self.format, self.original = enlargement.format, original
        self._enlargement, self._film, self._control = enlargement, film, Control(control.threads)
        height, width = enlargement.size
        # Panels begin where a sample of chroma does: one of odd width repeats its last column.
        self._pitch = width + (width % 2 if self.format.chroma in (420, 422) else 0)
        self._panels = PANELS if original else PANELS[1:]
        self.turns = round(film.first.rotation / 90) % 4
        # Players that turn the film show what lies below as beside.
        self._axis = 0 if self.turns % 2 else 1
        if self.turns % 2:
            self._pitch = height + (height % 2 if self.format.chroma == 420 else 0)
        size = [height, width]
        size[self._axis] = self._pitch * len(self._panels)
        self.size = (size[0], size[1])
        self._shave = math.ceil(max(height / film.first.height, width / film.first.width))
        least = metrics.SSIM_WINDOW + 2 * self._shave
        if original and min(height, width) < least:
            raise UsageError(f"{width}×{height} pixels are too few to measure, which takes {least}×{least}")
        self._labels = Labels(
            (width, height) if self.turns % 2 else (height, width),
            self.format,
            enlargement.range,
            _label("bicubic", Score(99.99, 0.9999) if original else None),
        )

    def __call__(self, frame: Frame) -> Frame:
        """The panels of a frame, side by side; its time and its duration stay.

        Raises:
            FilmError: the original has no frame of this time.
        """
        sr = self._enlargement(frame)
        lr = samples(self._enlargement.prepared(frame), 0)
        panels = {"sr": _planes(sr), "bicubic": _planes(sr)}
        panels["bicubic"][0] = bicubic(lr, self._enlargement.size, self.format.depth)
        scores = None
        if self.original is not None:
            original = self.original.at((frame.pts - self._film.first.pts) * self._film.time_base)
            panels["hr"] = _planes(self.original.shown(original))
            scores = self._measured(self.original.luma(original), panels)
        joined = self._enlargement.canvas(frame, self.size)
        for number, name in enumerate(self._panels if self.turns < 2 else self._panels[::-1]):
            places = []
            for whole, plane in zip(_planes(joined), panels[name], strict=True):
                if self._axis == 0:
                    whole, plane = whole.T, plane.T  # views, in which panels lie side by side
                pitch = whole.shape[1] // len(self._panels)
                place = whole[:, number * pitch : (number + 1) * pitch]
                width = plane.shape[1]
                place[:, :width], place[:, width:] = plane, plane[:, -1:]
                places.append(place[:, :width] if self._axis else place[:, :width].T)
            self._labels.write(places, _label(name, scores.of(name) if scores and name in WAYS else None), self.turns)
        joined.opaque = scores
        return joined

    def _measured(self, hr: Array, panels: Mapping[str, Sequence[Array]]) -> Scores:
        peak = float(2**self.format.depth - 1)
        reference = metrics.shave(hr, self._shave)
        found: dict[str, tuple[float, float]] = {}

        def measure(way: str) -> None:
            picture = metrics.shave(panels[way][0], self._shave)
            found[way] = (metrics.psnr(reference, picture, peak), metrics.ssim(reference, picture, peak))

        run_all(measure, WAYS, self._control)
        return Scores(*(number for way in WAYS for number in found[way]))


@contextmanager
def compared(
    enlargement: Enlargement, film: Source, upscaler: Upscaler, reference: str | Path | None, *, control: Control,
    deinterlace: bool = False,
) -> Iterator[Comparison]:  # fmt: skip
    """A comparison that takes the place of an enlargement; its original is open as long.

    Args:
        enlargement: of the film's frames.
        film: the small one.
        upscaler: of the enlargement.
        reference: the original; None: bicubic and SR alone.
        control: as many threads as it has decode the original and measure.
        deinterlace: the original, too, where it says that it is interlaced.

    Raises:
        UsageError: the original does not fit the results, or these are too small.
        FilmError: the original cannot be read.
        MissingExtraError: Pillow, which draws the labels, is not installed.
    """
    with ExitStack() as opened:
        original = None
        if reference is not None:
            path = Path(reference)
            source = opened.enter_context(Source(path, threads=control.threads, deinterlace=deinterlace))
            if deinterlace and not source.first.interlaced_frame:  # what is whole is measured as it is
                source = opened.enter_context(Source(path, threads=control.threads))
            original = Original(source, film, enlargement, upscaler)
        yield Comparison(enlargement, film, original, control)


def _tags(source: Source, film: Source, results: colour.Tags, format: formats.PixelFormat) -> colour.Tags:
    """Those of an original in a format: R, G, B become luma of the film's own matrix and range.

    Raises:
        UsageError: its luma means something else than that of the film.
    """
    first = source.first
    if formats.described(first.format.name).rgb:
        return replace(results, matrix=colour.matrix_of(results, film.first.height))
    tags = colour.tags_of(first, rgb=False, grey=format.chroma == 0, larger=first.height)
    if (tags.range == colour.FULL) != (results.range == colour.FULL):
        ranges = [("limited", "full")[each.range == colour.FULL] for each in (tags, results)]
        raise UsageError(
            f"{source.label} is of {ranges[0]} range, and {film.label} of {ranges[1]} range",
            "give a {reference} of the same",
        )
    matrices = [colour.MATRICES.get(each.first.colorspace) for each in (source, film)]
    if None not in matrices and matrices[0] != matrices[1]:
        raise UsageError(
            f"the luma of {source.label} is that of {matrices[0]}, and of {film.label} that of {matrices[1]}",
            "give a {reference} of the same",
        )
    return tags


def bicubic(lr: Array, size: tuple[int, int], depth: int) -> Array:
    """(h, w) luma at another size by MATLAB's `imresize`, same dtype: rounded once, halves up, and clipped to the depth."""
    large = imresize(lr.astype(np.float64), output_size=size)
    return np.clip(np.floor(large + 0.5), 0, 2**depth - 1).astype(lr.dtype)


def means(scores: Sequence[Scores]) -> dict[str, Score]:
    """Of each way to enlarge: PSNR of the frames that are `comparable` (of all, if none is), SSIM of all."""
    measured = comparable(scores) or scores
    return {
        way: Score(
            float(np.mean([each.of(way).psnr for each in measured])),
            float(np.mean([each.of(way).ssim for each in scores])),
        )
        for way in WAYS
    }


def comparable(scores: Sequence[Scores]) -> list[Scores]:
    """Those whose PSNRs are finite: a black frame is made exactly, and would make every mean infinite."""
    return [each for each in scores if all(math.isfinite(number) for number in each)]


def said(scores: Sequence[Scores]) -> str:
    """The means in words."""
    found = ", ".join(f"{NAMES[way]} {score.psnr:.2f} dB / {score.ssim:.4f}" for way, score in means(scores).items())
    exact = len(scores) - len(comparable(scores))
    without = (
        f" (PSNR without {exact} that {'is' if exact == 1 else 'are'} made exactly)" if 0 < exact < len(scores) else ""
    )
    return f"PSNR and SSIM of luma, means of {len(scores)} frames{without}: {found}"


def _label(panel: str, score: Score | None) -> str:
    return NAMES[panel] if score is None else f"{NAMES[panel]} {score.psnr:.2f} dB {score.ssim:.4f}"


def _planes(frame: Frame) -> list[Array]:
    return [samples(frame, plane) for plane in range(len(frame.planes))]
