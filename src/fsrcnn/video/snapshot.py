"""One frame of a film as a picture to look at: (HR |) bicubic | SR, labelled."""

from __future__ import annotations

import math
import os
import time
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fsrcnn import images
from fsrcnn.arrays import Array
from fsrcnn.color import Matrix, ycbcr_to_rgb
from fsrcnn.errors import UsageError
from fsrcnn.parallel import Control
from fsrcnn.planes import Colour, Range
from fsrcnn.size import Size
from fsrcnn.upscaler import Upscaler, check_output
from fsrcnn.video import colour, formats, y4m
from fsrcnn.video.comparison import compared, means
from fsrcnn.video.library import Frame
from fsrcnn.video.source import Decoded, Source
from fsrcnn.video.span import span_of
from fsrcnn.video.still import samples
from fsrcnn.video.upscaling import (
    Time,
    chosen,
    enlargement_of,
    lost,
    network,
    nothing,
    opened,
    shown,
    stored,
    upscaler_for_films,
)

HDR = {16: "PQ", 18: "HLG"}  # transfers of H.273
FORMATS = tuple(name for name in y4m.FORMATS if name.startswith(("yuv444p", "gray")))


@dataclass(frozen=True)
class Preview:
    """A picture of a frame, for `--json`: sizes (width, height) in pixels, `time` in seconds from the film's beginning.

    Attributes:
        output_size: of the result; the picture holds two or three of it.
        model: which upscaled it; with `auto`, the family that was chosen.
        reason: why that one; empty where it was given.
        notes: what the picture does not show as a player would, in words.
        scores: where an original is given: PSNR in dB and SSIM of luma, of `bicubic` and `sr`.
    """

    input: str
    output: str
    input_size: tuple[int, int]
    output_size: tuple[int, int]
    time: float
    seconds: float
    model: str | None
    reason: str
    notes: tuple[str, ...] = ()
    scores: dict[str, Any] = field(default_factory=dict)


def preview(
    film: str | Path | BinaryIO, output: str | Path, *, start: Time = None, reference: str | Path | None = None,
    upscaler: Upscaler | None = None, size: Size | None = None, deinterlace: bool = False, overwrite: bool = False,
) -> Preview:  # fmt: skip
    """Write one frame as a picture: bicubic | SR side by side, or HR | bicubic | SR with PSNR and SSIM.

    Args:
        film: a path, or a stream of Y4M.
        output: a picture; its ending says of which format. Of films of more than 8 bit, it has 16 where the format can.
        start: the first frame at this time or after it: seconds from the film's beginning, or text as `1:02:03.5`; where it is not
            given, in the middle of the film, of a stream the first.
        reference: the original, as large as the result.
        upscaler: `upscaler_for_films()` where it is not given.
        size: how large; `Size(factor=upscaler.scale)` where it is not given.
        deinterlace: make a whole frame of an interlaced one.
        overwrite: replace the output where it exists.

    Raises:
        UsageError: an argument, or a reference that does not fit.
        FilmError: a film cannot be read, or has no frame there.
        ImageError: the picture cannot be written.
        MissingExtraError: PyAV or Pillow is not installed.
    """
    started = time.perf_counter()
    target = Path(output)
    check_output(target, None)
    if os.path.lexists(target) and not overwrite:
        raise UsageError(f"{target} exists", "give {overwrite=True} to replace it")
    upscaler = upscaler or upscaler_for_films()
    size = size or Size(factor=upscaler.scale)
    with opened(film, upscaler.threads, span_of(start), deinterlace) as source:
        size = stored(size, source)
        upscaler, reason = chosen(upscaler, source, size)
        format = formats.nearest(source.first.format.name, FORMATS)
        enlargement = enlargement_of(source, upscaler, size, format, upscaler.threads)
        control = Control(upscaler.threads)
        with compared(enlargement, source, upscaler, reference, control=control, deinterlace=deinterlace) as comparison:
            decoded = _wanted(source, start)
            joined = comparison(decoded.frame)
            scores = [] if joined.opaque is None else [joined.opaque]
            number = colour.matrix_of(enlargement.tags, source.first.height)
            matrix = colour.MATRICES.get(number, "bt709")
            pixels = np.rot90(rgb(joined, matrix, enlargement.range), comparison.turns)
        written = images.write(images.Picture((np.ascontiguousarray(pixels),), "png"), target, overwrite=overwrite)
        notes: list[str] = []
        if number not in colour.MATRICES:
            notes.append(
                f"its matrix, number {number} of H.273, is not known here: its colours are shown as of {matrix}"
            )
        notes += [*lost(upscaler, source, enlargement), *_unlike(source, decoded), *written.notes]
        height, width = enlargement.size
        moment = decoded.frame.pts * source.time_base - source.beginning
    return Preview(
        source.label, str(target), shown(source, source.first), (width, height) if source.upright else (height, width),
        round(float(moment), 3), round(time.perf_counter() - started, 3), network(upscaler, source, enlargement.size), reason,
        tuple(notes),
        {way: asdict(score) for way, score in means(scores).items()} if scores else {},
    )  # fmt: skip


def rgb(frame: Frame, matrix: Matrix, range: Range) -> Array:
    """A 4:4:4 or grey frame as (h, w, 3) R, G, B of full range: uint8, or uint16 for more than 8 bit."""
    depth = formats.described(frame.format.name).depth
    peak = np.float32(Colour(range=range, depth=depth).peak)
    luma, *chroma = (samples(frame, plane).astype(np.float32) for plane, _ in enumerate(frame.planes))
    if range == "full":  # `color` knows the other range
        luma = 16 / 255 + luma / peak * (219 / 255)
        chroma = [128 / 255 + (plane - 2 ** (depth - 1)) / peak * (224 / 255) for plane in chroma]
    else:
        luma, chroma = luma / peak, [plane / peak for plane in chroma]
    neutral = [np.full_like(luma, 128 / 255)] * 2
    full = 255 if depth == 8 else 65535
    colours: Array = ycbcr_to_rgb(np.dstack([luma, *(chroma or neutral)]), matrix)
    rounded: Array = np.floor(colours * np.float32(full) + np.float32(0.5))
    return rounded.astype(np.uint8) if depth == 8 else rounded.astype(np.uint16)


def _wanted(source: Source, start: Time) -> Decoded:
    """
    Raises:
        FilmError: the film ends before.
    """
    length = source.container.duration
    if start is None and length and not source.from_pipe:
        source.begin = math.floor((source.beginning + Fraction(length, 2_000_000)) / source.time_base)
    found = next(source.frames(), None)
    if found is None and start is None:  # its sound is twice as long as its picture
        source.begin = None
        found = next(source.frames(), None)
    if found is None:
        raise nothing(source)
    return found


def _unlike(source: Source, decoded: Decoded) -> list[str]:
    """What a player shows otherwise, in words."""
    first, said = source.first, []
    if first.color_trc in HDR:
        said.append(
            f"it is HDR ({HDR[first.color_trc]}), and its tones are not mapped: the picture looks paler than a player shows it"
        )
    aspect = source.video.sample_aspect_ratio
    if aspect and aspect != 1:
        said.append(f"its pixels are {aspect.numerator}:{aspect.denominator}, and square in the picture")
    if formats.described(first.format.name).alpha:
        said.append("its alpha is left out")
    if decoded.counts.damaged:
        said.append("the film is broken there, or in front of it")
    return said
