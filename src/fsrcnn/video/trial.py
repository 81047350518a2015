"""What a film would lose: a film of one frame is written to memory, and read again.

The frame has the new size and the data of the film's first; with it go the first packets of all else. So no table of containers and
encoders is needed: what they refuse is refused before any work, and what does not come back is said.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path
from statistics import median_low
from typing import Any

from fsrcnn.errors import UsageError
from fsrcnn.video import mux, streams
from fsrcnn.video.colour import FULL, Tags, header_of
from fsrcnn.video.encoders import Picture, Settings, encoded
from fsrcnn.video.enlargement import Enlargement
from fsrcnn.video.library import Frame, explained, pyav
from fsrcnn.video.source import ENCRYPTED, Source
from fsrcnn.video.span import Span

PACKETS = 2000  # of the film, among which the first ones of its streams are looked for
LATE = Fraction(1, 20)  # seconds by which sound and picture may be apart: no person notices
DOLBY_VISION = "Dolby Vision data"
SIDE_DATA = {
    "DISPLAYMATRIX": "rotation",
    "MASTERING_DISPLAY_METADATA": "HDR10 data",
    "CONTENT_LIGHT_LEVEL": "HDR10 data",
    "DYNAMIC_HDR_PLUS": "HDR10+ data",
    "DYNAMIC_HDR_VIVID": "HDR Vivid data",
    "AMBIENT_VIEWING_ENVIRONMENT": "data of the light it is to be watched in",
    "DOVI_RPU_BUFFER": DOLBY_VISION,
    "DOVI_METADATA": DOLBY_VISION,
    "A53_CC": "closed captions, which lie within the frames",
    "STEREO3D": "arrangement of two eyes' pictures",
    "SPHERICAL": "projection of a view all around",
    "ICC_PROFILE": "ICC profile",
    "S12M_TIMECODE": "timecode within the frames",
    "GOP_TIMECODE": "timecode within the frames",
    "AFD": "hint what part of the frame is to be shown",
}  # fmt: skip
"""Data of a frame → its name. Others are of the encoder's, or of the old one's work."""
TAGS = {"primaries": "color_primaries", "transfer": "color_trc", "matrix": "colorspace"}


def losses(
    source: Source, enlarge: Enlargement, settings: Settings, picture: Picture, companions: streams.Companions,
    container: str, threads: int,
) -> list[str]:  # fmt: skip
    """What of a film is not in the new one, in words; what `companions` already say is left out.

    Raises:
        UsageError: the container or the encoder does not take it, or makes of it what nobody can read.
    """
    av = pyav()
    written = io.BytesIO()
    options = streams.muxer_options(container, source)
    try:
        with source.reopened() as original:
            with av.open(written, "w", format=container, options=options) as target:
                video, copies = mux.begin(
                    target, container, source, original, companions, picture, settings, threads, Span()
                )
                places = {source.video.index: video.index, **{old: copy.stream.index for old, copy in copies.items()}}
                firsts = _first_packets(original, copies)
                if any(packet.has_sidedata(ENCRYPTED) for packet in firsts):
                    raise UsageError(f"sound of {source.label} is encrypted")
                starts = {
                    packet.stream_index: packet.pts * packet.time_base for packet in firsts if packet.pts is not None
                }
                starts[source.video.index] = source.first.pts * source.time_base
                packets = encoded(video, enlarge.canvas(source.first, (picture.height, picture.width)))
                packets += [made for packet in firsts for made in copies[packet.stream_index](packet)]
                for packet in sorted(packets, key=mux.when):
                    target.mux(packet)
            with av.open(io.BytesIO(written.getvalue()), metadata_errors="replace") as result:
                pairs = _paired(source, original, result, places, container)
                frame, now = _read(result, pairs[0][1])
                if frame is None:
                    raise UsageError(f"{container} gives back no frame of {settings.encoder}", "give another {encoder}")
                _check_sync(source, pairs, starts, now, container)
                return [
                    *_of_tags(original, result, pairs, container),
                    *_of_picture(source, picture, frame, pairs[0][1]),
                ]
    except UsageError:
        raise
    except (av.FFmpegError, ValueError) as error:
        raise UsageError(
            f"{container} cannot hold {source.label} with {settings.encoder}: {explained(error)}", _offer(container)
        ) from error


def moved(film: Path, times: Sequence[int], time_base: Fraction, start: Fraction, container: str) -> list[str]:
    """Which frames of a finished film are shown at another time, in words. All of its packets are read for that.

    Args:
        film: the new one.
        times: of all frames of the old one, in units of `time_base` seconds.
        time_base: of the old one.
        start: seconds of the old one that were left out.
        container: of the new one.
    """
    before = [(time - round(start / time_base)) * time_base for time in sorted(times)]
    with pyav().open(str(film.absolute())) as result:
        unit = result.streams.video[0].time_base
        packets = [packet for packet in result.demux(video=0) if packet.size]
        shown = [packet.dts if container in streams.IN_ORDER else packet.pts for packet in packets]
        after = [time * unit for time in sorted(time for time in shown if time is not None)]
    if len(after) != len(before):
        return [f"{container} gives back {len(after)} of its {len(before)} frames"]
    differences = [new - old for new, old in zip(after, before, strict=True)]
    later = median_low(differences)
    later = later if abs(later) > unit else Fraction(0)
    apart = [abs(difference - later) for difference in differences if difference != later]
    said = []
    if later:
        said.append(f"{container} makes it begin {_later(later)}, sound and picture")
    if apart:
        most, step = float(max(apart) * 1000), float(unit * 1000)
        said.append(
            f"{counted(len(apart), 'frame')} shown up to {most:.3g} ms earlier or later, as {container} counts in {step:.3g} ms"
        )
    return said


def _first_packets(original: Any, copies: dict[int, Any]) -> list[Any]:
    """One of each stream that is copied, as far as they are near the film's beginning."""
    found: dict[int, Any] = {}
    if copies:
        av = pyav()
        packets = original.demux([original.streams[number] for number in copies])
        with contextlib.suppress(av.FFmpegError):
            for packet in islice(packets, PACKETS):
                if packet.size:
                    found.setdefault(packet.stream_index, packet)
                if len(found) == len(copies):
                    break
    return list(found.values())


def _read(result: Any, video: Any) -> tuple[Frame | None, dict[int, Fraction]]:
    """The first frame, and when each stream begins, by number."""
    frames: list[Frame] = []
    begins: dict[int, Fraction] = {}
    for packet in result.demux():
        if packet.pts is not None:
            begins.setdefault(packet.stream_index, packet.pts * packet.time_base)
        if packet.stream.index == video.index:  # the packets at the end have no number of their own
            frames += packet.decode()
    return frames[0] if frames else None, begins


def _paired(
    source: Source, original: Any, result: Any, places: dict[int, int], container: str
) -> list[tuple[Any, Any]]:
    """The film's streams and what came back of each, the picture first.

    Raises:
        UsageError: one of them did not, or as something else.
    """
    pairs = []
    for number, place in places.items():
        old, new = original.streams[number], result.streams[place] if place < len(result.streams) else None
        if new is None or new.type != old.type or (new.codec_context is None) > (old.codec_context is None):
            label = f"stream {number} ({streams.described(old)})"
            raise UsageError(f"{container} does not give back {label} of {source.label}", _offer(container))
        pairs.append((old, new))
    return pairs


def _of_tags(original: Any, result: Any, pairs: list[tuple[Any, Any]], container: str) -> list[str]:
    """Chapters, and what is said of the film and its streams."""
    said = []
    lost = _missing(original.metadata, result.metadata)
    if lost:
        said.append(f"{container} cannot hold its tags {', '.join(lost)}")
    chapters = len(original.chapters()) - len(result.chapters())
    if chapters > 0:
        said.append(f"{container} cannot hold its {chapters} chapters")
    for old, new in pairs:
        flags = pyav().stream.Disposition(int(old.disposition) & ~int(new.disposition))
        alone = sum(stream.type == old.type for stream in original.streams) == 1
        lost = [
            *_missing(old.metadata, new.metadata),
            *(str(flag.name) for flag in flags if not (alone and flag.name == "default")),
        ]
        if lost:
            said.append(f"{container} cannot hold {', '.join(lost)} of stream {old.index} ({streams.described(old)})")
    return said


def _missing(old: Any, new: Any) -> list[str]:
    there = {name.lower(): value for name, value in new.items()}
    return [
        name for name, value in streams.kept(old).items()
        if there.get(name.lower()) != value and (name, value) != ("language", "und")
    ]  # fmt: skip


def _check_sync(
    source: Source,
    pairs: list[tuple[Any, Any]],
    starts: dict[int, Fraction],
    now: dict[int, Fraction],
    container: str,
) -> None:
    """
    Raises:
        UsageError: sound would begin at another time, as seen from the picture.
    """
    moves = {
        old.index: now[new.index] - starts[old.index]
        for old, new in pairs if old.type in ("video", "audio") and old.index in starts and new.index in now
    }  # fmt: skip
    # In AVI the first frame is at 0, and the others nevertheless where they belong.
    move = Fraction(0) if container in streams.IN_ORDER else moves[pairs[0][0].index]
    for old, _ in pairs[1:]:
        late = moves.get(old.index, move) - move
        if abs(late) > LATE:
            label = f"stream {old.index} ({streams.described(old)})"
            raise UsageError(f"{container} would let {label} of {source.label} begin {_later(late)}", _offer(container))


def counted(number: int, thing: str) -> str:
    """`1 frame is`, `2 frames are`."""
    return f"{number} {thing} is" if number == 1 else f"{number} {thing}s are"


def _later(time: Fraction) -> str:
    return f"{float(abs(time)):.3f} s {'later' if time > 0 else 'earlier'}"


def _of_picture(source: Source, picture: Picture, frame: Frame, video: Any) -> list[str]:
    """Side data, tags of colour, siting of chroma, shape of pixels."""
    lost = _side_data(source.first, besides=frame)
    if source.header.dolby_vision and not header_of(video).dolby_vision:
        lost[DOLBY_VISION] = None
    names = list(lost)
    unspecified = Tags()
    for name, attribute in TAGS.items():
        wanted = getattr(picture.tags, name)
        if wanted not in (getattr(unspecified, name), getattr(frame, attribute)):
            names.append(f"tag of {name}")
    if picture.tags.range == FULL != frame.color_range:  # a film that says nothing is of limited range
        names.append("tag of full range")
    if picture.format.chroma == 420 and picture.siting not in (None, header_of(video).siting):
        names.append(f"siting of chroma ({picture.siting})")
    if (picture.aspect or 1) != (video.sample_aspect_ratio or 1):
        names.append("shape of pixels")
    return [f"lost: its {name}" for name in names]


def beyond_y4m(source: Source, tags: Tags) -> list[str]:
    """What of the picture Y4M cannot say; it says the range, and of 8 bit the siting of chroma."""
    names = list(_side_data(source.first))
    if source.header.dolby_vision and DOLBY_VISION not in names:
        names.append(DOLBY_VISION)
    unspecified = Tags()
    said = [name for name in TAGS if getattr(tags, name) != getattr(unspecified, name)]
    return [*names, *([f"tags of colour ({', '.join(said)})"] if said else [])]


def _side_data(frame: Frame, besides: Frame | None = None) -> dict[str, None]:
    """Names of the data of a frame, without those that another one has, too; as keys, each once."""
    there = {data.type.name for data in besides.side_data} if besides is not None else set()
    return dict.fromkeys(
        SIDE_DATA[data.type.name] for data in frame.side_data
        if data.type.name in SIDE_DATA and data.type.name not in there
    )  # fmt: skip


def _offer(container: str) -> str:
    return "" if container == "matroska" else "give {output} an ending of .mkv"
