"""A film from its file to a larger one: what is done in which order."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fsrcnn import files
from fsrcnn.errors import Cancelled, UsageError
from fsrcnn.parallel import Control
from fsrcnn.planes import Planes
from fsrcnn.size import Size
from fsrcnn.upscaler import Upscaler
from fsrcnn.video import colour, formats, mux, streams, y4m
from fsrcnn.video.encoders import DEFAULT, Picture, Settings, configure, keeps_hdr
from fsrcnn.video.enlargement import Enlargement
from fsrcnn.video.library import Frame, explained, pyav
from fsrcnn.video.planning import default_output
from fsrcnn.video.segments import FRAMES, EncodedFrame, Workplace
from fsrcnn.video.source import Source

CUT_OFF = Fraction(1)  # seconds that a film may end before its container says so
IDENTIFYING = 2**20  # bytes at each end of a film by which it is known again


@dataclass(frozen=True)
class Progress:
    """How far a film is: frames done (those of an earlier run included), how many there will be (None: nothing says), bytes so far."""

    frames: int
    expected: int | None
    bytes: int


@dataclass(frozen=True)
class Done:
    """A finished film, for `--json`: sizes in pixels, `seconds` of this run, `resumed` frames of earlier ones.

    Attributes:
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
    damaged: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def upscale(
    film: str | Path | BinaryIO,
    output: str | Path | None = None,
    *,
    upscaler: Upscaler | None = None,
    size: Size | None = None,
    encoder: str = DEFAULT,
    crf: int | None = None,
    preset: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    control: Control | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Done:
    """Write a larger film, with all else that it holds.

    Args:
        film: a path, or a stream of Y4M.
        output: `NAME_x2.ENDING` beside the film where it is not given.
        upscaler: `Upscaler("fsrcnn", precision="fast")` where it is not given.
        size: how large; `Size(factor=upscaler.scale)` where it is not given.
        encoder: `x264`, `x265`, `svt-av1`, `ffv1` (lossless), `prores`; those that the installed PyAV has.
        crf: the quality, smaller is better; the encoder's own scale.
        preset: how much time the encoder takes.
        overwrite: replace the output where it exists, and begin again where it was begun.
        resume: go on where an earlier run of the same was broken off.
        control: threads and cancelling, else the upscaler's threads.
        progress: called after each frame.

    Raises:
        UsageError: an argument, or a container that cannot hold what the film holds.
        FilmError: the film cannot be read, or the output cannot be written.
        MissingExtraError: PyAV is not installed.
        Cancelled: through the control; `resume=True` goes on then.
    """
    started = time.perf_counter()
    settings = Settings(encoder, crf, preset)
    upscaler = upscaler or Upscaler("fsrcnn", precision="fast")
    size = size or Size(factor=upscaler.scale)
    control = control or Control(upscaler.threads)
    path = Path(film) if isinstance(film, (str, Path)) else None
    with Source(path or film, None if path else "standard input", control.threads) as source:  # type: ignore[arg-type]
        if source.from_pipe and (output is None or resume):
            raise UsageError("a film from a pipe has no name and cannot be resumed", "give {output}")
        target = default_output(path, size) if output is None and path is not None else Path(str(output))
        container = streams.container_of(target)
        _check_target(target, path, overwrite)
        companions = streams.settle(source, container)
        height, width = source.first.height, source.first.width
        tall, wide = size.of(height, width)
        format = formats.nearest(source.first.format.name, settings.formats())
        tags = colour.tags_of(source.first, formats.described(source.first.format.name).rgb, format.chroma == 0, tall)
        hdr = colour.hdr_of(source.first)
        aspect = source.video.sample_aspect_ratio
        reordered = container not in streams.IN_ORDER
        picture = Picture(wide, tall, format, source.time_base, source.rate, aspect, tags, hdr, reordered)
        check_encoder(settings, picture, control.threads)
        notes = [
            *companions.notes,
            *formats.losses(source.first.format.name, format),
            *colour.lost_side_data(source.first),
        ]
        if container in streams.ROUNDING and (source.time_base * 1000).denominator != 1:
            notes.append(f"its times, in units of {source.time_base} s, are rounded to 1 ms, the unit of {container}")
        if hdr is not None and not keeps_hdr(settings):
            notes.append(f"its HDR10 data are left out, which {settings.encoder} does not take")
        centred = source.video.codec_context.name in colour.CENTRED
        enlargement = Enlargement(upscaler, (tall, wide), format, tags, centred=centred, threads=control.threads)
        about = {
            "film": "a pipe" if path is None else identity(path),
            "model": fingerprint(upscaler), "size": [wide, tall], "encoder": settings.encoder,
            "crf": settings.crf, "preset": settings.preset, "threads": control.threads,
            "container": container, "version": f"{version('fsrcnn')}, PyAV {pyav().__version__}",
        }  # fmt: skip
        with Workplace(target, about, resume=resume, replace=overwrite) as workplace:
            resumed = sum(segment.frames for segment in workplace.done)
            changed = _encode(source, enlargement, settings, picture, container, workplace, control, progress)
            segments = workplace.done
            if changed:
                notes.append(f"{changed} frames had another size, and were scaled to that of the first")
            end = mux.write(
                target, source, segments, companions, picture, settings, control.threads, overwrite=overwrite, control=control
            )  # fmt: skip
            workplace.remove()
        damaged = _damage(source, sum(s.damaged for s in segments), sum(s.moved for s in segments), end)
        frames_done = sum(segment.frames for segment in segments)
    seconds = round(time.perf_counter() - started, 3)
    return Done(
        source.label, str(target), (width, height), (wide, tall), frames_done, resumed, seconds, damaged, tuple(notes)
    )


def frames(
    film: str | Path | BinaryIO, *, upscaler: Upscaler | None = None, size: Size | None = None
) -> Iterator[Frame]:
    """The frames of a film, upscaled: `av.VideoFrame` in planes of luma and chroma, with the film's times (`frame.pts`, `frame.time`).

    Raises:
        FilmError: the film cannot be read.
        MissingExtraError: PyAV is not installed.
    """
    upscaler = upscaler or Upscaler("fsrcnn", precision="fast")
    size = size or Size(factor=upscaler.scale)
    path = Path(film) if isinstance(film, (str, Path)) else film
    with Source(path, None if isinstance(path, Path) else "standard input", upscaler.threads) as source:
        enlarge = _enlargement(source, upscaler, size, formats.nearest(source.first.format.name, y4m.FORMATS))
        for frame in source.frames():
            yield enlarge(frame)


def to_y4m(
    film: str | Path | BinaryIO, stream: BinaryIO, *, upscaler: Upscaler | None = None, size: Size | None = None,
    control: Control | None = None, progress: Callable[[Progress], None] = lambda progress: None,
) -> Done:  # fmt: skip
    """Write the upscaled picture alone as Y4M, for another encoder: no sound, and frames at a constant rate.

    Raises:
        FilmError: the film cannot be read, or the stream cannot be written.
        Cancelled: through the control.
    """
    started = time.perf_counter()
    upscaler = upscaler or Upscaler("fsrcnn", precision="fast")
    size = size or Size(factor=upscaler.scale)
    control = control or Control(upscaler.threads)
    path = Path(film) if isinstance(film, (str, Path)) else film
    with Source(path, None if isinstance(path, Path) else "standard input", control.threads) as source:
        format = formats.nearest(source.first.format.name, y4m.FORMATS)
        enlarge = _enlargement(source, upscaler, size, format)
        expected = expected_frames(source)
        count, uneven, written = 0, 0, 0
        before: tuple[int, int] | None = None
        with y4m.Writer(stream, enlarge.size, format, source.rate, source.video.sample_aspect_ratio) as writer:
            for frame in source.frames():
                if control.cancelled():
                    raise Cancelled("stopped before the film was at its end")
                if before is not None:
                    uneven += abs((frame.pts - before[0]) * source.time_base * source.rate - 1) > Fraction(1, 2)
                before = (frame.pts, count)
                written = writer.write(enlarge(frame))
                count += 1
                progress(Progress(count, expected, written))
        others = [streams.described(s) for s in source.container.streams if s.index != source.video.index]
        notes = [f"left out of Y4M: {name}" for name in others] + formats.losses(source.first.format.name, format)
        if uneven:
            notes.append(f"{uneven} frames are shown for another time than the rest, which Y4M cannot say")
        damaged = _damage(source, source.damaged, source.moved, None)
        height, width = source.first.height, source.first.width
    seconds = round(time.perf_counter() - started, 3)
    (tall, wide) = enlarge.size
    return Done(
        source.label, "standard output", (width, height), (wide, tall), count, 0, seconds, damaged, tuple(notes)
    )


def expected_frames(source: Source) -> int | None:
    """How many frames a film says it has, or has by its length."""
    if source.video.frames:
        return int(source.video.frames)
    length = source.container.duration
    return round(Fraction(length, 1_000_000) * source.rate) if length else None


def check_encoder(settings: Settings, picture: Picture, threads: int) -> None:
    """Let the encoder look at what it will get, before any work.

    Raises:
        UsageError: it does not take that.
    """
    av = pyav()
    try:
        context = av.CodecContext.create(settings.about.codec, "w")
        configure(context, settings, picture, threads)
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


def identity(film: Path) -> str:
    """A film by its length and the bytes at both of its ends."""
    with film.open("rb") as file:
        length = file.seek(0, 2)
        file.seek(0)
        start = file.read(IDENTIFYING)
        file.seek(max(0, length - IDENTIFYING))
        return f"{length} {zlib.crc32(start):08x} {zlib.crc32(file.read()):08x}"


def _enlargement(source: Source, upscaler: Upscaler, size: Size, format: formats.PixelFormat) -> Enlargement:
    first = source.first
    tall, wide = size.of(first.height, first.width)
    tags = colour.tags_of(first, formats.described(first.format.name).rgb, format.chroma == 0, tall)
    centred = source.video.codec_context.name in colour.CENTRED
    return Enlargement(upscaler, (tall, wide), format, tags, centred=centred)


def _check_target(target: Path, source: Path | None, overwrite: bool) -> None:
    """
    Raises:
        UsageError: the output exists, or is the film itself.
    """
    if source is not None and files.resolved(source) == files.resolved(target):
        raise UsageError(f"the output {target} is also the input", "give another {output}")
    if target.exists() and not overwrite:
        raise UsageError(f"{target} exists", "give {overwrite=True} to replace it")


def _encode(
    source: Source, enlarge: Enlargement, settings: Settings, picture: Picture, container: str, workplace: Workplace,
    control: Control, progress: Callable[[Progress], None],
) -> int:  # fmt: skip
    """Make the segments that are not there yet; returns how many frames had another size than the first."""
    done = workplace.done
    count = sum(segment.frames for segment in done)
    bytes = sum(segment.path.stat().st_size for segment in done)
    expected, changed = expected_frames(source), 0
    after = done[-1].last if done else None
    counted = (0, 0)
    rest = source.frames(after, seek=not any(segment.moved for segment in done))
    for first in rest:
        encoder = _Encoding(settings, picture, container, control.threads)
        with workplace.segment(encoder.extradata) as writer:
            number, last = 0, 0
            for frame in chain((first,), rest):
                if control.cancelled():
                    raise Cancelled("stopped before the film was finished", "give {resume=True} to go on")
                changed += (frame.width, frame.height) != (source.first.width, source.first.height)
                for packet in encoder(enlarge(frame)):
                    writer.packet(packet)
                    bytes += len(packet.data)
                number, last = number + 1, frame.pts
                progress(Progress(count + number, expected, bytes))
                if number == FRAMES:
                    break
            for packet in encoder(None):
                writer.packet(packet)
                bytes += len(packet.data)
            writer.end(number, last, source.damaged - counted[0], source.moved - counted[1])
        counted = (source.damaged, source.moved)
        count += number
    return changed


class _Encoding:
    """A fresh encoder, for one segment."""

    def __init__(self, settings: Settings, picture: Picture, container: str, threads: int) -> None:
        av = pyav()
        self._context = av.CodecContext.create(settings.about.codec, "w")
        configure(self._context, settings, picture, threads)
        if av.format.ContainerFormat(container, "w").flags & av.format.Flags.global_header.value:
            self._context.flags |= av.codec.context.Flags.global_header
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


def _damage(source: Source, damaged: int, moved: int, end: Fraction | None) -> tuple[str, ...]:
    """What of a film could not be read, in words."""
    said = []
    if damaged:
        said.append(
            f"{damaged} of its frames or packets {'is' if damaged == 1 else 'are'} broken, or could not be decoded"
        )
    if moved:
        said.append(f"{moved} of its frames had no time after that of the frame before; they follow it now")
    length = source.container.duration
    if end is not None and length:
        wanted = Fraction(length + (source.container.start_time or 0), 1_000_000)
        if end < wanted - CUT_OFF:
            said.append(
                f"the film is cut off: it says that it ends at {float(wanted):.1f} s, and ends at {float(end):.1f} s"
            )
    return tuple(said)
