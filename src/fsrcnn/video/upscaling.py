"""A film from its file to a larger one: what is done in which order."""

from __future__ import annotations

import itertools
import os
import time
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fsrcnn import files, models
from fsrcnn.engines import native
from fsrcnn.errors import Cancelled, UsageError
from fsrcnn.models import ModelName
from fsrcnn.parallel import Control, ahead
from fsrcnn.planes import Planes
from fsrcnn.size import Size, chain
from fsrcnn.upscaler import Upscaler
from fsrcnn.video import colour, formats, mux, streams, trial, y4m
from fsrcnn.video.comparison import Comparison, Scores, compared, means, said
from fsrcnn.video.damage import Counts, cut_off
from fsrcnn.video.encoders import Picture, Settings, configure
from fsrcnn.video.enlargement import Enlargement, grey
from fsrcnn.video.library import FilmError, Frame, explained, give_back_large_blocks, own_priority, pyav
from fsrcnn.video.planning import default_output
from fsrcnn.video.segments import FRAMES, EncodedFrame, Workplace, finished, identity
from fsrcnn.video.source import Decoded, Source
from fsrcnn.video.span import Span, span_of

CUT_OFF = Fraction(1, 4)  # seconds that a film may end before its container says so
SAMPLES = 5  # frames by which `auto` chooses
FLAT = 2.0  # levels of standard deviation; frames with less, as black ones, say nothing to it
WAITING = 1  # frames between two of decoding, upscaling and encoding
Time = float | str | Fraction | None
"""Seconds, or text as `1:02:03.5`."""


@dataclass(frozen=True)
class Progress:
    """How far a film is: frames done (those of an earlier run included), how many there will be (None: nothing says), bytes so far."""

    frames: int
    expected: int | None
    bytes: int


@dataclass(frozen=True)
class Done:
    """A finished film, for `--json`: `seconds` of this run, `resumed` frames of earlier ones.

    Attributes:
        input_size, output_size: (width, height) in pixels, as players show the film, which may turn it.
        model: which upscaled it; with `auto`, the family that was chosen; None where the film is made no larger, without a network.
        reason: why that one; empty where it was given.
        scores: of a comparison with an original: PSNR in dB and SSIM of luma, means of the frames, of `bicubic` and `sr`.
        damaged: what of it could not be read, in words; empty where all could.
        notes: what could not be taken along, in words.
    """

    input: str
    output: str
    input_size: tuple[int, int]
    output_size: tuple[int, int]
    frames: int
    resumed: int
    seconds: float
    model: str | None
    reason: str
    damaged: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    scores: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Done:
        """What was written as JSON."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in record.items()
        }
        return cls(**values)


def upscale(
    film: str | Path | BinaryIO,
    output: str | Path | None = None,
    *,
    upscaler: Upscaler | None = None,
    size: Size | None = None,
    encoder: str | None = None,
    crf: int | None = None,
    preset: str | None = None,
    start: Time = None,
    duration: Time = None,
    deinterlace: bool = False,
    compare: bool = False,
    reference: str | Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    control: Control | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Done:
    """Write a larger film, with all else that it holds.

    Args:
        film: a path, or a stream of Y4M.
        output: `NAME_x2.ENDING` beside the film where it is not given.
        upscaler: `upscaler_for_films()` where it is not given.
        size: how large, as players show the film, which may turn it; `Size(factor=upscaler.scale)` where it is not given.
        encoder: `x264`, `x265`, `svt-av1`, `ffv1` (lossless), `prores`; those that the installed PyAV has. The first that the
            container holds where it is not given: `svt-av1` in WebM, else `x264`.
        crf: the quality, smaller is better; the encoder's own scale.
        preset: how much time the encoder takes.
        start: where to begin: seconds from the film's beginning, or text as `1:02:03.5`. The result begins there: its times are less.
        duration: how much of the film, as `start`.
        deinterlace: make a whole frame of each interlaced one (FFmpeg's `bwdif`); such a film is refused otherwise.
        compare: write bicubic | SR side by side, labelled, instead of the upscaled picture.
        reference: of a comparison, the original, as large as the result and with the same frames: HR | bicubic | SR, with the PSNR
            and SSIM of each frame.
        overwrite: replace the output where it exists, and begin again where it was begun.
        resume: go on where an earlier run of the same was broken off.
        control: threads and cancelling, else the upscaler's threads.
        progress: called after each frame.

    Raises:
        UsageError: an argument, or a container that cannot hold what the film holds.
        FilmError: the film cannot be read, or the output cannot be written.
        MissingExtraError: PyAV is not installed, or Pillow, which draws a comparison's labels.
        Cancelled: through the control; `resume=True` goes on then.
    """
    started = time.perf_counter()
    _check_comparison(compare, reference)
    span = span_of(start, duration)
    upscaler = upscaler or upscaler_for_films()
    size = size or Size(factor=upscaler.scale)
    control = control or Control(upscaler.threads)
    path = Path(film) if isinstance(film, (str, Path)) else None
    if compare and output is None:
        raise UsageError("a comparison has no name of its own", "give {output}")
    if path is None and (output is None or resume):
        raise UsageError("a film from a pipe has no name and cannot be resumed", "give {output}")
    target = default_output(path, size, span) if output is None and path is not None else Path(str(output))
    container = streams.container_of(target)
    settings = Settings.of(container, encoder, crf, preset)
    if resume and (found := earlier(target)):
        return found
    _check_target(target, path, reference, overwrite)
    with opened(film, control.threads, span, deinterlace) as source, ExitStack() as used:
        size = stored(size, source)
        upscaler, reason = chosen(upscaler, source, size)
        companions = streams.settle(source, container)
        format = formats.nearest(source.first.format.name, settings.formats())
        size = with_even_sides(size, source.first, format) if settings.about.even else size
        enlargement = enlargement_of(source, upscaler, size, format, control.threads)
        enlarge: Enlargement | Comparison = enlargement
        if compare:
            comparison = compared(enlargement, source, upscaler, reference, control=control, deinterlace=deinterlace)
            enlarge = used.enter_context(comparison)
        tall, wide = enlarge.size
        picture = _picture(source, enlargement, enlarge.size, container)
        check_encoder(settings, picture, control.threads)
        notes = [
            *companions.notes,
            *formats.losses(source.first.format.name, format),
            *lost(upscaler, source, enlargement),
            *trial.losses(source, enlargement, settings, picture, companions, container, control.threads),
        ]
        if span.start and "timecode" in source.video.metadata:
            notes.append("its timecode is left out, which is that of its beginning")
        about = {
            **_identity(path, span, deinterlace, compare, reference), "model": fingerprint(upscaler), "size": [wide, tall],
            "encoder": settings.encoder, "crf": settings.crf, "preset": settings.preset, "container": container,
            "version": f"{version('fsrcnn')}, PyAV {pyav().__version__}",
        }  # fmt: skip
        with Workplace(target, about, resume=resume, replace=overwrite) as workplace:
            resumed = sum(segment.frames for segment in workplace.done)
            _encode(source, enlarge, settings, picture, container, workplace, span, control, progress)
            counts = Counts()
            for segment in workplace.done:
                counts = counts.plus(segment.counts)
            scores = [Scores(*found) for segment in workplace.done for found in segment.findings]
            notes += _measured(scores, enlarge, span)

            times = [time for segment in workplace.done for time in segment.times()]

            def done(end: Fraction | None) -> Done:
                return Done(
                    source.label, str(target), shown(source, source.first), shown(source, picture), len(times), resumed,
                    round(time.perf_counter() - started, 3), network(upscaler, source, enlargement.size), reason,
                    (*counts.damage(), *_cut_off(source, span, end, times)), (*notes, *counts.notes()), _means(scores),
                )  # fmt: skip

            written: list[Done] = []

            def record(written_to: Path, end: Fraction | None) -> dict[str, Any]:
                notes.extend(trial.moved(written_to, times, source.time_base, span.start, container))
                written.append(done(end))
                return asdict(written[0])

            mux.write(
                target, source, workplace, companions, picture, settings, span=span, overwrite=overwrite, control=control,
                about=record,
            )  # fmt: skip
            workplace.remove()
    return written[0]


def stored(size: Size, source: Source) -> Size:
    """A size for the frames as they are stored, where it is meant for the film as players show it: turned, as of a phone."""
    if not source.upright:
        return replace(size, width=size.height, height=size.width, fit=None if size.fit is None else size.fit[::-1])
    return size


def shown(source: Source, frame: Frame | Picture) -> tuple[int, int]:
    """(width, height) of a film's frame as players show it."""
    return (frame.width, frame.height) if source.upright else (frame.height, frame.width)


def network(upscaler: Upscaler, source: Source, size: tuple[int, int]) -> str | None:
    """The model's name; None where frames are made no larger, for which none is run."""
    factor = max(size[0] / source.first.height, size[1] / source.first.width)
    return upscaler.label if chain(factor, upscaler.scales) else None


def lost(upscaler: Upscaler, source: Source, enlargement: Enlargement) -> tuple[str, ...]:
    """What the network loses of a film's luma, in sentences."""
    return upscaler.losses(enlargement.format.depth) if network(upscaler, source, enlargement.size) else ()


def upscaler_for_films(
    model: ModelName = models.AUTO, *, scale: float | None = None, engine: str = "auto", threads: int | None = None,
    precision: str | None = None,
) -> Upscaler:  # fmt: skip
    """An `Upscaler` that is `fast` where engine and model have that precision and nobody wants another."""
    if precision is None:
        native_runs = engine in ("auto", "native") and not models.is_integer(model) and native.available()
        precision = "fast" if native_runs else "exact"
    return Upscaler(model, scale=scale, engine=engine, threads=threads, precision=precision)


def earlier(output: Path) -> Done | None:
    """The report on a film that is in place though its segments still are, as after a kill right then; they are removed.

    Raises:
        FilmError: another run is making it.
    """
    record = finished(output)
    return None if record is None else Done.of(record)


def frames(
    film: str | Path | BinaryIO, *, upscaler: Upscaler | None = None, size: Size | None = None,
    start: Time = None, duration: Time = None, deinterlace: bool = False,
) -> Iterator[Frame]:  # fmt: skip
    """The frames of a film, upscaled: `av.VideoFrame` in planes of luma and chroma, with the film's times (`frame.pts`, `frame.time`).

    Args: as of `upscale`; here times are the film's own, also after `start`.

    Raises:
        UsageError: an argument.
        FilmError: the film cannot be read.
        MissingExtraError: PyAV is not installed.
    """
    span = span_of(start, duration)
    upscaler = upscaler or upscaler_for_films()
    size = size or Size(factor=upscaler.scale)
    with opened(film, upscaler.threads, span, deinterlace) as source:
        upscaler, _ = chosen(upscaler, source, size)
        format = formats.nearest(source.first.format.name, y4m.FORMATS)
        with closing(_enlarged(source, enlargement_of(source, upscaler, size, format, upscaler.threads))) as enlarged:
            for _, frame in enlarged:
                yield frame


def to_y4m(
    film: str | Path | BinaryIO, stream: BinaryIO, *, upscaler: Upscaler | None = None, size: Size | None = None,
    start: Time = None, duration: Time = None, deinterlace: bool = False, compare: bool = False,
    reference: str | Path | None = None, control: Control | None = None, progress: Callable[[Progress], None] = lambda progress: None,
) -> Done:  # fmt: skip
    """Write the upscaled picture alone as Y4M, for another encoder: no sound, and frames at a constant rate.

    Args: as of `upscale`.

    Raises:
        UsageError: an argument.
        FilmError: the film cannot be read, or the stream cannot be written.
        Cancelled: through the control.
    """
    started = time.perf_counter()
    _check_comparison(compare, reference)
    span = span_of(start, duration)
    upscaler = upscaler or upscaler_for_films()
    size = size or Size(factor=upscaler.scale)
    control = control or Control(upscaler.threads)
    with opened(film, control.threads, span, deinterlace) as source, ExitStack() as used:
        upscaler, reason = chosen(upscaler, source, size)
        format = formats.nearest(source.first.format.name, y4m.FORMATS)
        enlargement = enlargement_of(source, upscaler, size, format, control.threads)
        enlarge: Enlargement | Comparison = enlargement
        if compare:
            comparison = compared(enlargement, source, upscaler, reference, control=control, deinterlace=deinterlace)
            enlarge = used.enter_context(comparison)
        expected = expected_frames(source, span)
        count, uneven, written = 0, 0, 0
        before: int | None = None
        scores: list[Scores] = []
        with (
            y4m.Writer(
                stream,
                enlarge.size,
                format,
                source.rate,
                source.video.sample_aspect_ratio,
                range=enlargement.tags.range,
                siting=enlargement.siting,
            ) as writer,  # fmt: skip
            closing(_enlarged(source, enlarge)) as enlarged,
        ):
            for _, frame in enlarged:
                if control.cancelled():
                    raise Cancelled("stopped before the film was at its end")
                if before is not None:
                    uneven += abs((frame.pts - before) * source.time_base * source.rate - 1) > Fraction(1, 2)
                before = frame.pts
                if frame.opaque is not None:
                    scores.append(frame.opaque)
                written = writer.write(frame)
                count += 1
                progress(Progress(count, expected, written))
        if not count:
            raise nothing(source)
        others = [streams.described(s) for s in source.container.streams if s.index != source.video.index]
        others += trial.beyond_y4m(source, enlargement.tags)
        chapters = len(source.container.chapters())
        others += [f"{chapters} chapters"] if chapters else []
        notes = [
            *(f"left out of Y4M: {name}" for name in others), *formats.losses(source.first.format.name, format),
            *lost(upscaler, source, enlargement), *source.counts.notes(), *_measured(scores, enlarge, span),
        ]  # fmt: skip
        if uneven:
            frames = "1 frame is" if uneven == 1 else f"{uneven} frames are"
            notes.append(f"{frames} shown for another time than the rest, which Y4M cannot say")
        height, width = source.first.height, source.first.width
        (tall, wide) = enlarge.size
        return Done(
            source.label, "standard output", (width, height), (wide, tall), count, 0, round(time.perf_counter() - started, 3),
            network(upscaler, source, enlargement.size), reason, tuple(source.counts.damage()), tuple(notes),
            _means(scores),
        )  # fmt: skip


def chosen(upscaler: Upscaler, source: Source, size: Size) -> tuple[Upscaler, str]:
    """With `auto`, an upscaler of the one family that suits frames from all over the film; else the one given. And why, in words."""
    if upscaler.label != models.AUTO:
        return upscaler, ""
    sums: dict[str, float] = {}
    sample = [plane for plane in map(grey, source.sample(SAMPLES)) if plane.std() >= FLAT]
    for plane in sample:
        _, choice = upscaler.chosen(plane, size)
        for family, gain in choice.expected.items() if choice is not None else ():
            sums[family] = sums.get(family, 0.0) + gain / len(sample)
    if not sums:  # nothing to see, or no network is run
        return upscaler.chosen(grey(source.first), size)[0], ""
    family = max(sums, key=lambda name: sums[name])
    gains = ", ".join(f"{name} {gain:+.1f} dB" for name, gain in sums.items())
    found = Upscaler(
        family,
        scale=upscaler.scale,
        engine=upscaler.engine_name,
        threads=upscaler.threads,
        precision=upscaler.precision,
    )
    return found, f"expected over bicubic, by {len(sample)} frames: {gains}"


def expected_frames(source: Source, span: Span) -> int | None:
    """How many frames the wanted part of a film has, by what it says or by its length."""
    length = source.container.duration
    if source.video.frames and (span.whole or not length):
        return int(source.video.frames)
    if not length:
        return None if span.duration is None else round(span.duration * source.rate)
    left = max(Fraction(length, 1_000_000) - span.start, Fraction(0))
    return round((left if span.duration is None else min(left, span.duration)) * source.rate)


def with_even_sides(size: Size, first: Frame, format: formats.PixelFormat) -> Size:
    """A size whose sides that nobody gave, but follow from a box or from the other side, are even where chroma needs it."""
    if size.factor is not None:
        return size
    tall, wide = size.of(first.height, first.width)
    if format.chroma == 420 and size.height is None and tall > 1:
        tall -= tall % 2
    if format.chroma in (420, 422) and size.width is None and wide > 1:
        wide -= wide % 2
    return Size(width=wide, height=tall)


def _picture(source: Source, enlargement: Enlargement, size: tuple[int, int], container: str) -> Picture:
    """What the encoder gets to know of frames of a (height, width)."""
    tall, wide = size
    return Picture(
        wide, tall, enlargement.format, source.time_base, source.rate, source.video.sample_aspect_ratio, enlargement.tags,
        colour.hdr_of(source.first), container not in streams.IN_ORDER, source.header.siting,
    )  # fmt: skip


def _identity(
    path: Path | None, span: Span, deinterlace: bool, compare: bool, reference: str | Path | None
) -> dict[str, Any]:
    """What of which films is upscaled, for a run that goes on with it."""
    return {
        "film": "a pipe" if path is None else identity(path),
        "part": [str(span.start), None if span.duration is None else str(span.duration)],
        "deinterlacing": deinterlace, "comparison": [compare, None if reference is None else identity(Path(reference))],
    }  # fmt: skip


def check_encoder(settings: Settings, picture: Picture, threads: int) -> None:
    """Let the encoder look at what it will get, before any work.

    Raises:
        UsageError: it does not take that.
    """
    av = pyav()
    try:
        context = av.CodecContext.create(settings.about.codec, "w")
        configure(context, settings, picture, threads)
        with own_priority():
            context.open()
    except (av.FFmpegError, ValueError) as error:
        what = f"{picture.width}×{picture.height} pixels of {picture.format.name}"
        odd = (picture.format.chroma in (420, 422) and picture.width % 2) or (
            picture.format.chroma == 420 and picture.height % 2
        )
        remedy = "give an even {width} and {height}, or {encoder='ffv1'}" if odd else "give another {encoder}"
        raise UsageError(f"{settings.encoder} does not take {what}: {explained(error)}", remedy) from error


def fingerprint(upscaler: Upscaler) -> str:
    """A number for what an upscaler makes of pictures: model, weights, precision and engine are in it."""
    lr = np.random.default_rng(0).integers(0, 256, (24, 24), np.uint8)
    sums = []
    for scale in upscaler.scales:
        sr = np.zeros((24 * scale, 24 * scale), np.uint8)
        upscaler.planes(Planes.luma(lr), Planes.luma(sr))
        sums.append(f"{zlib.crc32(sr.tobytes()):08x}")
    return f"{upscaler.label} {upscaler.precision} {'-'.join(sums)}"


def opened(film: str | Path | BinaryIO, threads: int, span: Span, deinterlace: bool) -> Source:
    """A film by its path, or a stream of Y4M; as `Source`.

    Raises:
        UsageError: it is something else.
        FilmError: as `Source`.
    """
    if not isinstance(film, (str, Path)) and not hasattr(film, "read"):
        raise UsageError(f"is a path or a stream of Y4M, not {film!r}", argument="film")
    if isinstance(film, (str, Path)):
        return Source(Path(film), None, threads, span, deinterlace=deinterlace)
    return Source(film, "standard input", threads, span, deinterlace=deinterlace)


def enlargement_of(
    source: Source, upscaler: Upscaler, size: Size, format: formats.PixelFormat, threads: int
) -> Enlargement:
    """What makes a film's frames larger, in a format, with the tags that it has."""
    first = source.first
    tall, wide = size.of(first.height, first.width)
    tags = colour.tags_of(first, formats.described(first.format.name).rgb, format.chroma == 0, tall)
    return Enlargement(upscaler, (tall, wide), format, tags, siting=source.header.siting, threads=threads)


def _enlarged(
    source: Source, enlarge: Callable[[Frame], Frame], after: int | None = None, *, seek: bool = True
) -> Generator[tuple[Decoded, Frame]]:
    """The wanted frames as they were decoded, and upscaled; each of the two has a thread, which waits for who takes them."""

    def made() -> Iterator[tuple[Decoded, Frame]]:
        with closing(ahead(source.frames(after, seek=seek), WAITING)) as decoded:
            for item in decoded:
                yield item, enlarge(item.frame)

    return ahead(made(), WAITING)


def nothing(source: Source) -> FilmError:
    """That no frame is wanted."""
    return FilmError(f"{source.label} has no frame in the part that is wanted", "give another {start}")


def _measured(scores: Sequence[Scores], enlarge: Enlargement | Comparison, span: Span) -> list[str]:
    """What a comparison with an original found, in words."""
    if not scores or not isinstance(enlarge, Comparison) or enlarge.original is None:
        return []
    more = enlarge.original.goes_on and span.duration is None
    return [said(scores), *(["the reference has more frames after the last of the film"] if more else [])]


def _means(scores: Sequence[Scores]) -> dict[str, Any]:
    return {way: asdict(score) for way, score in means(scores).items()} if scores else {}


def _check_comparison(compare: bool, reference: str | Path | None) -> None:
    """
    Raises:
        UsageError: a reference with nothing to compare.
    """
    if reference is not None and not compare:
        raise UsageError("a reference is for a comparison", "give {compare=True}, too")


def _check_target(target: Path, source: Path | None, reference: str | Path | None, overwrite: bool) -> None:
    """
    Raises:
        UsageError: the output exists, or is the film itself, or its reference.
    """
    for path, what in ((source, "input"), (reference, "reference")):
        if path is not None and files.resolved(Path(path)) == files.resolved(target):
            raise UsageError(f"the output {target} is also the {what}", "give another {output}")
    if os.path.lexists(target) and not overwrite:  # a link to nothing, too, which is not replaced at the end, either
        raise UsageError(f"{target} exists", "give {overwrite=True} to replace it")


def _encode(
    source: Source, enlarge: Enlargement | Comparison, settings: Settings, picture: Picture, container: str, workplace: Workplace,
    span: Span, control: Control, progress: Callable[[Progress], None],
) -> None:  # fmt: skip
    """Make the segments that are not there yet."""
    give_back_large_blocks()
    done = workplace.done
    count = sum(segment.frames for segment in done)
    bytes = sum(segment.path.stat().st_size for segment in done)
    expected = expected_frames(source, span)
    seek = not any(segment.counts.moved or segment.counts.falls for segment in done)
    with closing(_enlarged(source, enlarge, done[-1].last if done else None, seek=seek)) as enlarged:
        before = Counts()
        following = next(enlarged, None)
        if following is None and not done:
            raise nothing(source)
        while following is not None:
            encoder = _Encoding(settings, picture, container, control.threads)
            with workplace.segment(encoder.extradata) as writer:
                number, last = 0, 0
                findings: list[Scores] = []
                while following is not None and number < FRAMES:
                    if control.cancelled():
                        raise Cancelled("stopped before the film was finished", "give {resume=True} to go on")
                    (decoded, frame), following = following, None
                    if frame.opaque is not None:
                        findings.append(frame.opaque)
                    for packet in encoder(frame):
                        writer.packet(packet)
                        bytes += len(packet.data)
                    number, last, counts = number + 1, frame.pts, decoded.counts
                    progress(Progress(count + number, expected, bytes))
                    del frame, decoded  # two large ones less while the next are made
                    following = next(enlarged, None)
                for packet in encoder(None):
                    writer.packet(packet)
                    bytes += len(packet.data)
                if following is None:
                    counts = source.counts  # and what was wrong behind the last frame
                writer.end(number, last, counts.minus(before), findings)
            count, before = count + number, counts


class _Encoding:
    """A fresh encoder, for one segment."""

    def __init__(self, settings: Settings, picture: Picture, container: str, threads: int) -> None:
        av = pyav()
        self._context = av.CodecContext.create(settings.about.codec, "w")
        configure(self._context, settings, picture, threads)
        if av.format.ContainerFormat(container, "w").flags & av.format.Flags.global_header.value:
            self._context.flags |= av.codec.context.Flags.global_header
        with own_priority():
            self._context.open()
        self._durations: dict[int, int] = {}
        self.extradata = bytes(self._context.extradata or b"")

    def __call__(self, frame: Frame | None) -> Iterator[EncodedFrame]:
        """What the encoder gives for a frame, perhaps of earlier ones; None: there are no more."""
        if frame is not None:
            assert frame.pts is not None
            self._durations[frame.pts] = frame.duration or 0
        packets: Any = self._context.encode(frame)
        for packet in packets:
            yield EncodedFrame(packet.pts, self._durations.pop(packet.pts, 0), packet.is_keyframe, bytes(packet))


def _cut_off(source: Source, span: Span, end: Fraction | None, times: Sequence[int]) -> list[str]:
    """In words, that the film ends before the time that its container says, or after fewer frames than that."""
    if "avi" in source.container.format.name.split(",") and span.whole and len(times) < source.video.frames:
        return [f"the film is cut off: it says that it has {source.video.frames} frames, and has {len(times)}"]
    length = source.container.duration
    if end is None or not length:
        return []
    whole = Fraction(length, 1_000_000)  # at least: some containers count from 0, not from the film's start
    if span.end is not None and span.end < whole:
        return []
    wanted = whole - span.start
    shown = sorted(times)  # the last frame may be shown for as long as another one
    longest = max((after - before for before, after in itertools.pairwise(shown)), default=0) * source.time_base
    return [cut_off(wanted, end)] if end < wanted - max(CUT_OFF, longest) else []
