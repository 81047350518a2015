"""The finished film: the segments' frames and the source's other packets, in one file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from fsrcnn import files
from fsrcnn.errors import Cancelled
from fsrcnn.parallel import Control
from fsrcnn.video import clock, streams
from fsrcnn.video.colour import display_matrix
from fsrcnn.video.encoders import Picture, Settings, configure
from fsrcnn.video.library import FilmError, explained, own_priority, pyav
from fsrcnn.video.segments import Segment, Workplace, decoding_times
from fsrcnn.video.source import Source
from fsrcnn.video.span import Span

SELDOM = ("subtitle", "data", "unknown")  # streams whose packets do not come all the time
LONGEST_SHOWN = 60  # seconds for which a subtitle is shown
FARTHEST_APART = 10  # seconds by which packets of one time may lie apart in a file
HVC1 = ("mp4", "mov")  # where players want HEVC by this name


def write(
    output: Path,
    source: Source,
    workplace: Workplace,
    companions: streams.Companions,
    picture: Picture,
    settings: Settings,
    *,
    span: Span,
    overwrite: bool,
    control: Control,
    about: Callable[[Path, Fraction | None], dict[str, Any]],
) -> None:
    """Write the film, whole or not at all.

    Args:
        about: given the film, which is not in place yet, and the time in seconds at which the last of all packets ends (None: nothing
            says it), what to note of the film for a run that finds it in place.

    Raises:
        FilmError: it cannot be written, or the segments do not belong together.
        Cancelled: through the control.
    """
    av = pyav()
    container = streams.container_of(output)
    with files.beside(
        output, FilmError, replace=overwrite, ending=output.suffix, folder=workplace.folder
    ) as part:  # fmt: skip
        try:
            options = streams.muxer_options(container, source)
            with (
                source.reopened() as original,
                av.open(str(part.absolute()), "w", format=container, options=options) as target,
            ):
                video, copies = begin(
                    target, container, source, original, companions, picture, settings, control.threads, span
                )
                if any(
                    bytes.fromhex(s.header["extradata"]) != (video.codec_context.extradata or b"")
                    for s in workplace.done
                ):
                    raise FilmError(
                        "the segments were made by another version of the encoder",
                        "give {overwrite=True} to begin again",
                    )
                frames = _frames(workplace.done, video, picture.time_base, span)
                end = _fill(target, frames, _copied(original, copies, source, span), control)
        except av.FFmpegError as error:
            raise FilmError(f"cannot write {output}: {explained(error)}", "give {resume=True} to go on") from error
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        workplace.finish(part, about(part, end))


def begin(
    target: Any, container: str, source: Source, original: Any, companions: streams.Companions, picture: Picture,
    settings: Settings, threads: int, span: Span,
) -> tuple[Any, dict[int, Any]]:  # fmt: skip
    """All streams in the order of the source's, and the header; returns that of the picture and, by number, those for copies."""
    covers = streams.covers(source, companions.attached)
    target.metadata.update(streams.kept(original.metadata))
    copies: dict[int, Any] = {}
    video: Any = None
    for stream in original.streams:
        if stream.index == source.video.index:
            video = target.add_stream(settings.about.codec, rate=picture.rate)
            configure(video.codec_context, settings, picture, threads)
            if settings.encoder == "x265" and container in HVC1:
                video.codec_context.codec_tag = "hvc1"
            video.time_base = picture.time_base
            video.metadata.update(streams.kept(stream.metadata))
            if span.start:
                video.metadata.pop("timecode", None)  # of a frame that is not there
            video.disposition = stream.disposition
            matrix = display_matrix(source.first)
            if matrix is not None:
                video.set_display_matrix(matrix)
        elif (copy := streams.add(target, stream, companions)) is not None:
            copies[stream.index] = copy
        elif stream.index in covers:
            streams.add_cover(target, stream, covers[stream.index])
    chapters = _chapters(original, span)
    if chapters:
        target.set_chapters(chapters)
    with own_priority():
        target.start_encoding()
    return video, copies


def _chapters(original: Any, span: Span) -> list[dict[str, Any]]:
    """The chapters of the part that is written."""
    if span.whole:
        return list(original.chapters())
    beginning = Fraction(original.start_time or 0, 1_000_000)
    found = []
    for chapter in original.chapters():
        base = chapter["time_base"]
        first, last = chapter["start"] * base, chapter["end"] * base
        start = max(first, beginning + span.start)
        end = last if span.end is None else min(last, beginning + span.end)
        if start < end:
            ticks = {"start": round((start - span.start) / base), "end": round((end - span.start) / base)}
            found.append({**chapter, **ticks})
    return found


def _fill(target: Any, frames: Iterator[Any], others: Iterator[Any], control: Control) -> Fraction | None:
    """All packets, those to be decoded first in front, so that the container need not hold many back."""
    frame, other = next(frames, None), next(others, None)
    end: Fraction | None = None
    while frame is not None or other is not None:
        if control.cancelled():
            raise Cancelled("stopped before the film was written", "give {resume=True} to go on")
        if frame is not None and (other is None or when(frame) <= when(other)):
            packet, frame = frame, next(frames, None)
        else:
            assert other is not None
            packet, other = other, next(others, None)
        if packet.pts is not None:
            ends = (packet.pts + (packet.duration or 0)) * packet.time_base
            end = ends if end is None else max(end, ends)
        target.mux(packet)
    return end


def when(packet: Any) -> Fraction:
    ticks = packet.dts if packet.dts is not None else packet.pts
    return Fraction(-(10**9)) if ticks is None else ticks * packet.time_base


def _frames(segments: Sequence[Segment], video: Any, time_base: Fraction, span: Span) -> Iterator[Any]:
    av = pyav()
    times = [time for segment in segments for time in segment.times()]
    decoding = iter(decoding_times(times))
    for segment in segments:
        for frame in segment.packets():
            packet = av.Packet(frame.data)
            packet.stream, packet.time_base = video, time_base
            packet.pts, packet.dts, packet.duration = frame.time, next(decoding), frame.duration
            packet.is_keyframe = frame.key
            clock.add(packet, -span.start)
            yield packet


def _copied(original: Any, copies: dict[int, Any], source: Source, span: Span) -> Iterator[Any]:
    """The packets of the streams that are copied, with the offsets that the film's clock needs, of the part that is written."""
    if not copies:  # asked for no streams, FFmpeg would give all
        return
    av = pyav()
    numbers = list(copies)
    if source.falls.offsets:  # the picture says where the clock of the subtitles is set back
        numbers.append(source.video.index)
    clocks = {number: clock.Clock(source.falls) for number in numbers if original.streams[number].type not in SELDOM}
    cut = _Cut(original, span, seek=not source.falls.offsets)
    packets = original.demux([original.streams[number] for number in numbers])
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:  # cut off, as the picture was, which is said there
            return
        if packet is None:
            return
        if packet.size == 0 and packet.pts is None:  # only the sign that a stream has ended
            continue
        if packet.stream_index in clocks:
            clocks[packet.stream_index].shift(packet)
        elif source.falls.offsets:
            clock.add(packet, source.falls.after(clocks[source.video.index].count))
        if cut.after(packet):
            return
        if packet.stream_index in copies and cut.takes(packet):
            yield from copies[packet.stream_index](packet)


class _Cut:
    """Which packets belong to the part that is written, and their times there."""

    def __init__(self, original: Any, span: Span, *, seek: bool) -> None:
        beginning = Fraction(original.start_time or 0, 1_000_000)
        self._span = span
        self._start = beginning + span.start if span.start else None
        self._end = None if span.end is None else beginning + span.end
        if seek and span.start > LONGEST_SHOWN:
            with contextlib.suppress(pyav().FFmpegError):
                original.seek(int((beginning + span.start - LONGEST_SHOWN) * 1_000_000), backward=True)

    def after(self, packet: Any) -> bool:
        """Whether nothing of the part comes any more in the file."""
        return self._end is not None and packet.stream.type not in SELDOM and when(packet) > self._end + FARTHEST_APART

    def takes(self, packet: Any) -> bool:
        """Whether it belongs to the part; what is shown for some time is from where the part begins, until where it ends."""
        if self._span.whole or packet.pts is None:
            return True
        base = packet.time_base
        first = packet.pts * base
        if packet.stream.type == "subtitle" and packet.duration:
            last = first + packet.duration * base
            start = first if self._start is None else max(first, self._start)
            end = last if self._end is None else min(last, self._end)
            if start >= end:
                return False
            packet.duration = round((end - start) / base)
            packet.pts = packet.dts = round((start - self._span.start) / base)
            return True
        if (self._start is not None and first < self._start) or (self._end is not None and first >= self._end):
            return False
        clock.add(packet, -self._span.start)
        return True
