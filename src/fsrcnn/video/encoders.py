"""What encodes the upscaled frames: the encoders by their names here, and what each of them is told."""

from __future__ import annotations

import functools
import io
import os
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Self

from fsrcnn.engines import native
from fsrcnn.errors import MissingExtraError, UsageError
from fsrcnn.video.colour import Hdr, Tags
from fsrcnn.video.formats import PixelFormat, described, nearest
from fsrcnn.video.library import Frame, own_priority, pyav

SPEEDS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo")


@dataclass(frozen=True)
class Encoder:
    """One encoder.

    Attributes:
        name: as `--encoder` has it.
        codec: FFmpeg's name of it.
        crf: the quality it takes where nobody says; None where it has no such setting.
        worst: the largest crf.
        preset: the preset it takes where nobody says; None where it has no such setting.
        presets: all of them, the fastest first.
        parameters: of its private options, the one that takes `name=value:name=value`.
        options: what it is always told.
        even: sides of the picture must be even where its chroma is coarser.
    """

    name: str
    codec: str
    crf: int | None = None
    worst: int = 0
    preset: str | None = None
    presets: tuple[str, ...] = ()
    parameters: str = ""
    options: dict[str, str] = field(default_factory=dict)
    even: bool = False


ENCODERS = {
    encoder.name: encoder
    for encoder in (
        Encoder("x264", "libx264", 18, 51, "veryfast", SPEEDS, "x264-params", even=True),
        Encoder("x265", "libx265", 20, 51, "veryfast", SPEEDS, "x265-params", even=True),
        Encoder("svt-av1", "libsvtav1", 30, 63, "10", tuple(str(n) for n in range(13, -1, -1)), "svtav1-params"),
        Encoder("ffv1", "ffv1", options={"g": "1"}),
        Encoder("prores", "prores_ks", options={"vendor": "apl0"}),
    )
}


def available() -> tuple[str, ...]:
    """The encoders that the installed PyAV has; none where it is not installed."""
    try:
        codecs = pyav().codecs_available
    except MissingExtraError:
        return ()
    return tuple(name for name, encoder in ENCODERS.items() if encoder.codec in codecs)


@dataclass(frozen=True)
class Settings:
    """How a film is encoded, checked.

    Raises:
        UsageError: no such encoder, here or at all, or a crf or preset that it does not have.
    """

    encoder: str
    crf: int | None = None
    preset: str | None = None

    @classmethod
    def of(cls, container: str, encoder: str | None, crf: int | None, preset: str | None) -> Self:
        """Those for a container; where no encoder is given, of the first that it holds.

        Raises:
            UsageError: as above, or the container holds nothing of that encoder.
        """
        offered = fitting(container)
        if encoder is None and not offered:
            raise UsageError(f"there is no encoder here for {container}", "give {output} an ending of .mkv")
        settings = cls(offered[0] if encoder is None else encoder, crf, preset)
        if settings.encoder not in offered:
            others = ", ".join(offered) or "none that is here"
            raise UsageError(
                f"{container} holds no film of {settings.encoder}, but of {others}",
                f"give {{encoder={offered[0]!r}}}, or {{output}} an ending of .mkv"
                if offered
                else "give {output} an ending of .mkv",
            )
        return settings

    def __post_init__(self) -> None:
        offered = available()
        if self.encoder not in offered:
            where = "in the installed PyAV" if self.encoder in ENCODERS else "here"
            raise UsageError(f"there is no encoder {self.encoder!r} {where}; there are {', '.join(offered)}")
        about = ENCODERS[self.encoder]
        if self.crf is not None:
            if about.crf is None:
                raise UsageError(f"has no meaning for {self.encoder}", argument="crf")
            if not isinstance(self.crf, int) or isinstance(self.crf, bool):
                raise UsageError(f"is a whole number, not {self.crf!r}", argument="crf")
            if not 0 <= self.crf <= about.worst:
                raise UsageError(f"is 0 to {about.worst} for {self.encoder}, not {self.crf}", argument="crf")
        if self.preset is not None and self.preset not in about.presets:
            if not about.presets:
                raise UsageError(f"has no meaning for {self.encoder}", argument="preset")
            raise UsageError(
                f"is one of {', '.join(about.presets)} for {self.encoder}, not {self.preset!r}", argument="preset"
            )

    @property
    def about(self) -> Encoder:
        return ENCODERS[self.encoder]

    def formats(self) -> list[str]:
        """The names of the pixel formats that the encoder takes."""
        names = [format.name for format in pyav().Codec(self.about.codec, "w").video_formats or ()]
        return [name for name in names if not name.startswith("yuva") or _opens(self, name)]


@dataclass(frozen=True)
class Picture:
    """What an encoder is told of the frames that it gets.

    Attributes:
        width, height: pixels.
        format: of the pixels.
        time_base: of the frames' times, in seconds.
        rate: frames per second, roughly.
        aspect: of a pixel; None where the film does not say.
        tags: of colour.
        hdr: HDR10 data.
        reordered: whether frames may be stored in another order than they are shown in.
        siting: where chroma lies, of `colour.SITINGS`; None where the film does not say.
    """

    width: int
    height: int
    format: PixelFormat
    time_base: Fraction
    rate: Fraction
    aspect: Fraction | None
    tags: Tags
    hdr: Hdr | None
    reordered: bool = True
    siting: str | None = None


def configure(context: Any, settings: Settings, picture: Picture, threads: int) -> None:
    """Tell an encoder's context, before it is opened, all that it must know."""
    about = settings.about
    context.width, context.height, context.pix_fmt = picture.width, picture.height, picture.format.name
    context.time_base, context.framerate = picture.time_base, picture.rate
    if picture.aspect:
        context.sample_aspect_ratio = picture.aspect
    picture.tags.put(context)
    context.thread_count = threads
    if not picture.reordered:
        context.max_b_frames = 0
    options = {**about.options, "field_order": "progressive"}  # interlaced films are refused, or made whole
    if picture.siting and picture.format.chroma == 420:
        options["chroma_sample_location"] = picture.siting
    if about.crf is not None:
        options["crf"] = str(about.crf if settings.crf is None else settings.crf)
    if about.presets:
        options["preset"] = settings.preset or about.preset or ""
    parameters = _parameters(about, picture, threads)
    if parameters:
        options[about.parameters] = ":".join(f"{name}={value}" for name, value in parameters.items())
    if about.codec == "ffv1":
        options |= _slicing(picture.width, picture.height, picture.format.name)
    if about.codec == "prores_ks":
        options["profile"] = "hq" if picture.format.chroma != 444 else "4444"
        context.codec_tag = (
            "apch" if picture.format.chroma != 444 else "ap4h"
        )  # Matroska has no other place for the profile
    context.options = options


def encoded(video: Any, frame: Frame) -> list[Any]:
    """The packets of a film of one frame."""
    with own_priority():  # which opens it, where nothing has
        packets = [*video.encode(frame), *video.encode(None)]
    for packet in packets:
        packet.dts = packet.pts  # x265 has none that means anything for so few frames
    return packets


@functools.cache
def fitting(container: str) -> tuple[str, ...]:
    """The encoders whose films a container holds. Its own word: a film of one frame is written to memory, and read."""
    return tuple(name for name in available() if _fits(Settings(name), container))


@functools.cache
def _opens(settings: Settings, format: str) -> bool:
    """Whether an encoder really takes a format: x265 says so of alpha, and does where it was built with it."""
    context = pyav().CodecContext.create(settings.about.codec, "w")
    try:
        configure(context, settings, _small(described(format)), 1)
        with own_priority():
            context.open()
    except pyav().FFmpegError:
        return False
    return True


def _small(format: PixelFormat) -> Picture:
    """A picture that every encoder takes."""
    rate = Fraction(25)
    return Picture(64, 64, format, 1 / rate, rate, None, Tags(), None)


def _fits(settings: Settings, container: str) -> bool:
    av = pyav()
    written = io.BytesIO()
    picture = _small(nearest("yuv420p", settings.formats()))
    try:
        with av.open(written, "w", format=container) as target:
            video = target.add_stream(settings.about.codec, rate=picture.rate)
            configure(video.codec_context, settings, picture, 1)
            target.mux(encoded(video, av.VideoFrame(64, 64, picture.format.name)))
        with av.open(io.BytesIO(written.getvalue())) as film:
            return bool(film.streams.video) and next(film.decode(film.streams.video[0]), None) is not None
    except (av.FFmpegError, ValueError):
        return False


@functools.cache
def _slicing(width: int, height: int, format: str) -> dict[str, str]:
    """FFV1 with checksums, in as many slices at any number of threads, so that the bytes are the same.

    Four, or the least number in which the chroma of odd sizes can be cut; where there is none, the older level without slices.
    """
    av = pyav()
    for slices in (4, *range(1, 65)):
        options = {"level": "3", "slicecrc": "1", "slices": str(slices)}
        context = av.CodecContext.create("ffv1", "w")
        context.width, context.height, context.pix_fmt = width, height, format
        context.time_base, context.options = Fraction(1, 25), options
        try:
            with own_priority():
                context.open()
        except av.FFmpegError:
            continue
        return options
    return {"level": "1"}


def _parameters(about: Encoder, picture: Picture, threads: int) -> dict[str, str]:
    """What has no option of FFmpeg's: HDR10 data, threads, silence."""
    parameters: dict[str, str] = {}
    hdr = picture.hdr or Hdr()
    light = None if hdr.light is None else f"{hdr.light[0]},{hdr.light[1]}"
    match about.name:
        case "x264":
            named = {"mastering-display": hdr.whole(), "cll": light}
            if -(-picture.width // 16) % 8 and "avx512" in " ".join(
                native.instruction_sets() if native.available() else ()
            ):
                # There its look ahead reads memory that nobody wrote, where rows of macroblocks are no multiple of eight: two runs
                # would differ. With AVX2 they have the bytes that AVX-512 gives in memory of zeros.
                named["asm"] = "AVX2"
        case "x265":
            named = {"master-display": hdr.whole(), "max-cll": light, "log-level": "none", "pools": str(threads)}
            if picture.hdr is not None:
                named["hdr10"] = named["repeat-headers"] = "1"
        case "svt-av1":
            os.environ.setdefault("SVT_LOG", "0")  # it has no other way: silence, not 20 lines on standard error
            named = {"mastering-display": hdr.decimal(), "content-light": light, "lp": str(min(threads, 6))}
        case _:
            named = {}
    parameters.update({name: value for name, value in named.items() if value is not None})
    return parameters
