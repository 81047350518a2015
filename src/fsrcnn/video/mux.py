"""The finished film: the segments' frames and the source's other packets, in one file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from fsrcnn import files
from fsrcnn.errors import Cancelled
from fsrcnn.parallel import Control
from fsrcnn.video import streams
from fsrcnn.video.colour import display_matrix
from fsrcnn.video.encoders import Picture, Settings, configure
from fsrcnn.video.library import FilmError, explained, pyav
from fsrcnn.video.segments import Segment, decoding_times
from fsrcnn.video.source import Source

HVC1 = ("mp4", "mov")  # where players want HEVC by this name


def write(
    output: Path,
    source: Source,
    segments: Sequence[Segment],
    companions: streams.Companions,
    picture: Picture,
    settings: Settings,
    threads: int,
    *,
    overwrite: bool,
    control: Control,
) -> Fraction | None:
    """Write the film, whole or not at all.

    Returns:
        The time in seconds at which the last of all packets ends; None where nothing says it.

    Raises:
        FilmError: it cannot be written, or the segments do not belong together.
        Cancelled: through the control.
    """
    av = pyav()
    container = streams.container_of(output)
    with files.beside(output, FilmError, replace=overwrite, ending=output.suffix) as part:
        try:
            options = streams.MUXER_OPTIONS.get(container, {})
            with (
                source.reopened() as original,
                av.open(str(part.absolute()), "w", format=container, options=options) as target,
            ):
                video, copies = _begin(target, container, source, original, companions, picture, settings, threads)
                if any(
                    bytes.fromhex(s.header["extradata"]) != (video.codec_context.extradata or b"") for s in segments
                ):
                    raise FilmError(
                        "the segments were made by another version of the encoder",
                        "give {overwrite=True} to begin again",
                    )
                end = _fill(target, video, copies, segments, original, picture.time_base, control)
        except av.FFmpegError as error:
            raise FilmError(f"cannot write {output}: {explained(error)}") from error
        with part.open("rb+") as file:
            os.fsync(file.fileno())
    return end


def _begin(
    target: Any, container: str, source: Source, original: Any, companions: streams.Companions, picture: Picture,
    settings: Settings, threads: int,
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
            video.disposition = stream.disposition
            matrix = display_matrix(source.first)
            if matrix is not None:
                video.set_display_matrix(matrix)
        elif stream.index in companions.copied:
            copies[stream.index] = streams.add_copy(target, stream)
        elif stream.index in covers:
            streams.add_cover(target, stream, covers[stream.index])
    chapters = original.chapters()
    if chapters:
        target.set_chapters(chapters)
    target.start_encoding()
    return video, copies


def _fill(
    target: Any, video: Any, copies: dict[int, Any], segments: Sequence[Segment], original: Any, time_base: Fraction,
    control: Control,
) -> Fraction | None:  # fmt: skip
    """All packets, those to be decoded first in front, so that the container need not hold many back."""
    frames, others = _frames(segments, video, time_base), _copied(original, copies)
    frame, other = next(frames, None), next(others, None)
    end: Fraction | None = None
    while frame is not None or other is not None:
        if control.cancelled():
            raise Cancelled("stopped before the film was written")
        if frame is not None and (other is None or _when(frame) <= _when(other)):
            packet, frame = frame, next(frames, None)
        else:
            assert other is not None
            packet, other = other, next(others, None)
        if packet.pts is not None:
            ends = (packet.pts + (packet.duration or 0)) * packet.time_base
            end = ends if end is None else max(end, ends)
        target.mux(packet)
    return end


def _when(packet: Any) -> Fraction:
    ticks = packet.dts if packet.dts is not None else packet.pts
    return Fraction(-(10**9)) if ticks is None else ticks * packet.time_base


def _frames(segments: Sequence[Segment], video: Any, time_base: Fraction) -> Iterator[Any]:
    av = pyav()
    times = [time for segment in segments for time in segment.times()]
    decoding = iter(decoding_times(times))
    for segment in segments:
        for frame in segment.packets():
            packet = av.Packet(frame.data)
            packet.stream, packet.time_base = video, time_base
            packet.pts, packet.dts, packet.duration = frame.time, next(decoding), frame.duration
            packet.is_keyframe = frame.key
            yield packet


def _copied(original: Any, copies: dict[int, Any]) -> Iterator[Any]:
    if not copies:  # asked for no streams, FFmpeg would give all
        return
    av = pyav()
    packets = original.demux([original.streams[number] for number in copies])
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:  # cut off, as the picture was, which is said there
            return
        if packet is None:
            return
        if packet.size == 0 and packet.pts is None:  # only the sign that a stream has ended
            continue
        packet.stream = copies[packet.stream_index]
        yield packet
