"""What else a film holds: sound, subtitles, attachments, covers, data; what of it a container can hold, and how it gets there."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsrcnn.errors import UsageError
from fsrcnn.video.library import explained, pyav
from fsrcnn.video.source import Source

CONTAINERS = {
    ".mkv": "matroska", ".webm": "webm", ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".avi": "avi", ".ts": "mpegts",
    ".mts": "mpegts", ".m2ts": "mpegts",
}  # fmt: skip
"""Endings of films that are written → FFmpeg's name of the container."""
ATTACHING = ("matroska",)
TEXTS = ("subrip", "srt", "ass", "ssa", "webvtt", "mov_text", "text")  # subtitles of letters: one kind becomes another
TEXT_OF = {"matroska": "ass", "webm": "webvtt", "mp4": "mov_text", "mov": "mov_text"}
"""Container → the kind of text that it holds."""
IN_ORDER = ("avi",)  # holds no times: frames are shown in the order in which they lie there
ALPHA = (
    "alpha_mode"  # says that the film's alpha lies beside its frames (VP8, VP9), where FFmpeg's decoders do not read it
)
# What a container says of itself, and of sizes and lengths that are others now.
OF_THE_FILE = {
    "encoder",
    "software",
    "duration",
    "major_brand",
    "minor_version",
    "compatible_brands",
    "vendor_id",
    "handler_name",
    ALPHA,
}
OF_THE_PACKETS = ("_statistics", "bps", "number_of_")
MIME = {
    "mjpeg": ("image/jpeg", "jpg"),
    "png": ("image/png", "png"),
    "bmp": ("image/bmp", "bmp"),
    "gif": ("image/gif", "gif"),
}


def muxer_options(container: str, source: Source) -> dict[str, str]:
    """What FFmpeg is told for a container: tags of any name in MP4 and MOV, but where MP4 then would not hold a film's covers."""
    covered = any(is_cover(stream) for stream in source.container.streams)
    return {"movflags": "+use_metadata_tags"} if container == "mov" or (container == "mp4" and not covered) else {}


def container_of(output: Path) -> str:
    """The container by a name's ending.

    Raises:
        UsageError: no film is written that way.
    """
    name = CONTAINERS.get(output.suffix.lower())
    if name is None:
        raise UsageError(
            f"{output} is no name of a film; its ending is {', '.join(ending[1:] for ending in CONTAINERS)}"
        )
    return name


def kept(metadata: Mapping[str, str]) -> dict[str, str]:
    """The metadata of a film or a stream, without what is the old file's own."""
    names = {name: name.lower() for name in metadata}
    return {
        name: value for name, value in metadata.items()
        if names[name] not in OF_THE_FILE and not names[name].startswith(OF_THE_PACKETS)
    }  # fmt: skip


@dataclass(frozen=True)
class Companions:
    """The streams beside the picture, and how each goes along.

    Attributes:
        copied: numbers of the streams that are copied packet for packet.
        converted: numbers of subtitles → what kind they become.
        attached: numbers of covers that become attachments.
        notes: what is left out, in words.
    """

    copied: tuple[int, ...]
    converted: dict[int, str]
    attached: tuple[int, ...]
    notes: tuple[str, ...]


def settle(source: Source, container: str) -> Companions:
    """How the streams beside the picture get into a container.

    Raises:
        UsageError: it cannot hold one that nobody would want to lose.
    """
    copied, attached, notes, refused, at_odds = [], [], [], [], []
    converted: dict[int, str] = {}
    if any(name.lower() == ALPHA and value == "1" for name, value in source.video.metadata.items()):
        notes.append("its alpha is left out, which is not decoded")
    for stream in source.container.streams:
        if stream.index == source.video.index:
            continue
        label = f"stream {stream.index} ({described(stream)})"
        if is_cover(stream) and container in ATTACHING:
            attached.append(stream.index)
        elif stream.type == "attachment" and container not in ATTACHING:
            refused.append(label)
        elif stream.type == "data" and stream.metadata.get("timecode"):
            pass  # the timecode is a tag of the picture, too, of which the container makes such a stream
        elif (reason := refusal(stream, container)) is None:
            copied.append(stream.index)
        elif container in TEXT_OF and is_text(stream):
            converted[stream.index] = TEXT_OF[container]
            notes.append(
                f"{label} becomes {TEXT_OF[container]}, the text that {container} holds, without what that cannot say"
            )
        elif stream.type in ("data", "unknown"):
            notes.append(f"{label} is left out, which {container} cannot hold")
        else:
            why = "" if container not in ATTACHING or "does not support" in reason else f": {reason}"
            refused.append(label + why)
            at_odds.append(stream)
    if refused:
        remedy = "give {output} an ending of .mkv, which can"
        if container in ATTACHING or any(refusal(stream, "matroska") is not None for stream in at_odds):
            remedy = _others(source, at_odds)
        raise UsageError(f"{container} cannot hold {' and '.join(refused)} of {source.label}", remedy)
    return Companions(tuple(copied), converted, tuple(attached), tuple(notes))


def _others(source: Source, refused: Sequence[Any]) -> str:
    """As a remedy, the endings of containers that hold what Matroska does not, and the rest but for data."""
    streams = source.container.streams
    wanted = [*refused, *streams.audio, *streams.subtitles, *streams.attachments]
    fitting = [
        ending for ending, name in CONTAINERS.items()
        if name != "mpegts" and all(refusal(each, name) is None for each in wanted)  # TS takes what it cannot give back
    ]  # fmt: skip
    return f"give {{output}} an ending of {' or '.join(fitting)}, which can" if fitting else ""


def described(stream: Any) -> str:
    """A stream in words: `subtitle, subrip, eng`."""
    codec = stream.codec_context.name if stream.codec_context is not None else None
    return ", ".join(part for part in (stream.type, codec, stream.language) if part)


def is_cover(stream: Any) -> bool:
    """Whether a video stream is a single picture beside the film."""
    return stream.type == "video" and bool(stream.disposition & pyav().stream.Disposition.attached_pic)


def is_text(stream: Any) -> bool:
    """Whether a stream is subtitles of letters, not of pictures."""
    return stream.type == "subtitle" and stream.codec_context is not None and stream.codec_context.name in TEXTS


def refusal(stream: Any, container: str) -> str | None:
    """Why a container cannot hold a stream; None if it can. Its own word: a header is written to memory."""
    av = pyav()
    if stream.type == "unknown":
        return "its codec is not known"
    try:
        with av.open(io.BytesIO(), "w", format=container) as trial:
            add_copy(trial, stream)
            trial.start_encoding()
    except (av.FFmpegError, ValueError, RuntimeError) as error:
        return explained(error)
    return None


class Conversion:
    """Subtitles of letters become another kind, packet by packet; times stay."""

    def __init__(self, target: Any, stream: Any, codec: str) -> None:
        """
        Args:
            target: the container that gets them.
            stream: of the film.
            codec: what they become.
        """
        self._decoder = stream.codec_context
        self._decoder.open(strict=False)  # only then it knows its styles
        self.stream = target.add_stream(codec)
        self._encoder = self.stream.codec_context
        self._encoder.subtitle_header = self._decoder.subtitle_header
        self._encoder.time_base = stream.time_base
        tell(self.stream, stream)

    def __call__(self, packet: Any) -> Iterator[Any]:
        """The packet that one of the film becomes; none where that was empty."""
        try:
            shown = self._decoder.decode2(packet)
        except pyav().FFmpegError:  # it is no UTF-8: what is wrong becomes U+FFFD, as for tags
            shown = self._decoder.decode2(pyav().Packet(bytes(packet).decode(errors="replace").encode()))
        if shown is not None and shown.rects:
            text = self._encoder.encode_subtitle(shown)
            text.stream, text.time_base = self.stream, packet.time_base
            text.pts = text.dts = packet.pts
            text.duration = packet.duration
            yield text


class Copy:
    """The packets of a stream, as they are, for the same stream of another container."""

    def __init__(self, target: Any, stream: Any) -> None:
        self.stream = add_copy(target, stream)

    def __call__(self, packet: Any) -> Iterator[Any]:
        packet.stream = self.stream
        yield packet


def add(target: Any, stream: Any, companions: Companions) -> Copy | Conversion | None:
    """The stream of a new container for one of the film's; None where it gets none."""
    if stream.index in companions.converted:
        return Conversion(target, stream, companions.converted[stream.index])
    return Copy(target, stream) if stream.index in companions.copied else None


def add_copy(target: Any, stream: Any) -> Any:
    """A stream of a container for the packets of another one's stream, with all that is said of it."""
    copy = (
        target.add_stream_from_template(stream, opaque=True)
        if stream.codec_context
        else target.add_stream_from_template(stream)
    )
    tell(copy, stream)
    return copy


def tell(new: Any, stream: Any) -> None:
    """To a new stream what is said of the film's."""
    new.time_base = stream.time_base
    new.metadata.update(kept(stream.metadata))
    new.disposition = stream.disposition


def add_cover(target: Any, stream: Any, data: bytes) -> None:
    """A cover as an attachment, as Matroska has it."""
    mime, ending = MIME.get(stream.codec_context.name, ("application/octet-stream", "bin"))
    name = stream.metadata.get("filename") or f"cover.{ending}"
    attachment = target.add_attachment(name, stream.metadata.get("mimetype") or mime, data)
    extra = {name: value for name, value in kept(stream.metadata).items() if name not in ("filename", "mimetype")}
    attachment.metadata.update(extra)


def covers(source: Source, numbers: Sequence[int]) -> dict[int, bytes]:
    """The pictures of the streams with these numbers."""
    found: dict[int, bytes] = {}
    if not numbers:
        return found
    with source.reopened() as container:
        for number in numbers:
            packet = next(container.demux(container.streams[number]), None)
            if packet is not None:
                found[number] = bytes(packet)
            container.seek(0)
    return found
