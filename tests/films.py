"""Films for tests, made by PyAV: a second long, some dozen pixels wide."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fsrcnn.arrays import Array
from fsrcnn.planes import LAYOUTS, Colour, Planes
from fsrcnn.upscaler import Upscaler

av = pytest.importorskip("av", reason="films need PyAV: pip install '.[video]'")

MILLISECONDS = Fraction(1, 1000)
SUBTITLES = "1\n00:00:00,100 --> 00:00:00,300\nSeen\n\n2\n00:00:00,350 --> 00:00:00,400\nHeard ünd read\n"


def film(
    path: Path,
    *,
    codec: str = "ffv1",
    format: str = "yuv420p",
    size: tuple[int, int] = (24, 32),
    times: Sequence[int] = range(0, 400, 40),
    time_base: Fraction = MILLISECONDS,
    options: dict[str, str] | None = None,
    companions: bool = False,
    container: dict[str, str] | None = None,
    tags: dict[str, int] | None = None,
    aspect: Fraction | None = None,
    matrix: Sequence[int] | None = None,
    seed: int = 0,
) -> Path:
    """A film of noise that moves, (height, width) large; with `companions`, as `accompany` has them."""
    generator = np.random.default_rng(seed)
    with av.open(str(path), "w", options=container or {}) as target:
        video = target.add_stream(codec, rate=25, options=options or {})
        video.height, video.width = size
        video.pix_fmt = format
        video.time_base = video.codec_context.time_base = time_base
        for name, value in (tags or {}).items():
            setattr(video.codec_context, name, value)
        if aspect:
            video.codec_context.sample_aspect_ratio = aspect
        if matrix:
            video.set_display_matrix(matrix)
        streams = accompany(target, path) if companions else ()
        for packet in sorted((p for stream in streams for p in stream), key=lambda p: p.dts * p.time_base):
            target.mux(packet)
        for time in times:
            frame = noise_frame(generator, format, size)
            frame.pts, frame.time_base = time, time_base
            for name, value in (tags or {}).items():
                setattr(frame, name, value)
            target.mux(video.encode(frame))
        target.mux(video.encode(None))
    return path


def noise_frame(generator: np.random.Generator, format: str, size: tuple[int, int]) -> Any:
    frame = av.VideoFrame(size[1], size[0], format)
    bits = frame.format.components[0].bits
    for plane in frame.planes:
        if bits > 8:
            data = generator.integers(16 << (bits - 8), 235 << (bits - 8), plane.buffer_size // 2).astype("<u2")
        else:
            data = generator.integers(16, 235, plane.buffer_size).astype(np.uint8)
        plane.update(data.tobytes())
    return frame


def accompany(target: Any, path: Path) -> list[list[Any]]:
    """Sound of two languages, chapters and tags; in Matroska a subtitle and a font."""
    target.metadata.update({"title": "Noise", "comment": "ünï", "encoder": "of the source"})
    packets = []
    for number, (language, title) in enumerate((("deu", "Ton"), ("fra", "Son"))):
        sound = target.add_stream("aac", rate=48000)
        sound.metadata.update({"language": language, "title": title})
        if number:
            sound.disposition = av.stream.Disposition.comment
        encoded = []
        for block in range(20):
            samples = np.sin(np.arange(block * 1024, (block + 1) * 1024) * (0.05 + 0.01 * number))
            frame = av.AudioFrame.from_ndarray(np.tile(samples.astype(np.float32), (2, 1)), "fltp", "stereo")
            frame.sample_rate, frame.pts, frame.time_base = 48000, block * 1024, Fraction(1, 48000)
            encoded += sound.encode(frame)
        encoded += sound.encode(None)
        packets.append(encoded)
    if path.suffix == ".mkv":
        with av.open(io.BytesIO(SUBTITLES.encode()), format="srt") as text:
            stream = text.streams.subtitles[0]
            subtitle = target.add_stream_from_template(stream)
            subtitle.metadata["language"] = "eng"
            lines = [packet for packet in text.demux(stream) if packet.size]
        for packet in lines:
            packet.stream = subtitle
        packets.append(lines)
        target.add_attachment("font.ttf", "font/ttf", bytes(range(256)))
    chapters = [(0, 200, "One"), (200, 400, "Two")]
    target.set_chapters(
        [
            {"id": n, "start": a, "end": b, "time_base": MILLISECONDS, "metadata": {"title": t}}
            for n, (a, b, t) in enumerate(chapters)
        ]
    )
    return packets


@dataclass(frozen=True)
class Seen:
    """What lies in a film: of each stream its type and codec, and its packets as (time, duration, hash of the data)."""

    frames: list[Any]
    packets: dict[str, list[tuple[Fraction, int, str]]]
    metadata: dict[str, str]
    chapters: list[tuple[Fraction, Fraction, str]]
    streams: list[tuple[str, dict[str, str], int]]

    @property
    def times(self) -> list[Fraction]:
        return [frame.pts * frame.time_base for frame in self.frames]


def seen(path: Path) -> Seen:
    with av.open(str(path)) as source:
        frames = list(source.decode(source.streams.video[0]))
    packets: dict[str, list[tuple[Fraction, int, str]]] = {}
    with av.open(str(path)) as source:
        for packet in source.demux():
            if packet.size:
                label = f"{packet.stream.index} {packet.stream.type}"
                data = hashlib.sha256(bytes(packet)).hexdigest()
                packets.setdefault(label, []).append((packet.pts * packet.time_base, packet.duration, data))
        chapters = [
            (c["start"] * c["time_base"], c["end"] * c["time_base"], c["metadata"]["title"]) for c in source.chapters()
        ]
        streams = [(s.type, dict(s.metadata), int(s.disposition)) for s in source.streams]
        return Seen(frames, packets, dict(source.metadata), chapters, streams)


def luma_of(frame: Any) -> Array:
    """(h, w) luma of a frame, row by row out of its padded lines."""
    bits = frame.format.components[0].bits
    plane = frame.planes[0]
    lines = np.frombuffer(bytes(plane), np.uint8 if bits == 8 else "<u2").reshape(
        -1, plane.line_size // (1 + (bits > 8))
    )
    return lines[: frame.height, : frame.width].astype(np.uint8 if bits == 8 else np.uint16)


def upscaled_luma(upscaler: Upscaler, luma: Array, size: tuple[int, int], depth: int, full: bool = False) -> Array:
    """What the upscaler makes of a plane on its own."""
    colour = Colour(range="full" if full else "limited", depth=depth)
    result = np.zeros(size, luma.dtype)
    upscaler.planes(Planes((luma,), LAYOUTS["grey"], colour), Planes((result,), LAYOUTS["grey"], colour))
    return result
