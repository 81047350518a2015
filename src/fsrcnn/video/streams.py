"""What else a film holds: sound, subtitles, attachments, covers, data; what of it a container can hold, and how it gets there."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
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
MUXER_OPTIONS = {
    "mp4": {"movflags": "+use_metadata_tags"},  # tags of any name
    "mov": {"movflags": "+use_metadata_tags"},
}
ATTACHING = ("matroska",)
ROUNDING = ("matroska", "webm")  # to milliseconds
IN_ORDER = ("avi",)  # holds no times: frames are shown in the order in which they lie there
# What a container says of itself, and of sizes and lengths that are others now.
OF_THE_FILE = {"encoder", "duration", "major_brand", "minor_version", "compatible_brands", "vendor_id", "handler_name"}
OF_THE_PACKETS = ("_statistics", "bps", "number_of_")
MIME = {
    "mjpeg": ("image/jpeg", "jpg"),
    "png": ("image/png", "png"),
    "bmp": ("image/bmp", "bmp"),
    "gif": ("image/gif", "gif"),
}


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
        attached: numbers of covers that become attachments.
        notes: what is left out, in words.
    """

    copied: tuple[int, ...]
    attached: tuple[int, ...]
    notes: tuple[str, ...]


def settle(source: Source, container: str) -> Companions:
    """How the streams beside the picture get into a container.

    Raises:
        UsageError: it cannot hold one that nobody would want to lose.
    """
    copied, attached, notes = [], [], []
    refused = []
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
        elif stream.type in ("data", "unknown"):
            notes.append(f"{label} is left out, which {container} cannot hold")
        else:
            refused.append(f"{label}: {reason}" if container in ATTACHING else label)
    if refused:
        remedy = "give {output} an ending of .mkv, which can" if container not in ATTACHING else ""
        raise UsageError(f"{container} cannot hold {' and '.join(refused)} of {source.label}", remedy)
    return Companions(tuple(copied), tuple(attached), tuple(notes))


def described(stream: Any) -> str:
    """A stream in words: `subtitle, subrip, eng`."""
    codec = stream.codec_context.name if stream.codec_context is not None else None
    return ", ".join(part for part in (stream.type, codec, stream.language) if part)


def is_cover(stream: Any) -> bool:
    """Whether a video stream is a single picture beside the film."""
    return stream.type == "video" and bool(stream.disposition & pyav().stream.Disposition.attached_pic)


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


def add_copy(target: Any, stream: Any) -> Any:
    """A stream of a container for the packets of another one's stream, with all that is said of it."""
    copy = (
        target.add_stream_from_template(stream, opaque=True)
        if stream.codec_context
        else target.add_stream_from_template(stream)
    )
    copy.time_base = stream.time_base
    copy.metadata.update(kept(stream.metadata))
    copy.disposition = stream.disposition
    return copy


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
