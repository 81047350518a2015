"""What encodes the upscaled frames: the encoders by their names here, and what each of them is told."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from fsrcnn.engines import native
from fsrcnn.errors import MissingExtraError, UsageError
from fsrcnn.video.colour import Hdr, Tags
from fsrcnn.video.formats import PixelFormat
from fsrcnn.video.library import pyav

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
    """

    name: str
    codec: str
    crf: int | None = None
    worst: int = 0
    preset: str | None = None
    presets: tuple[str, ...] = ()
    parameters: str = ""
    options: dict[str, str] = field(default_factory=dict)


ENCODERS = {
    encoder.name: encoder
    for encoder in (
        Encoder("x264", "libx264", 18, 51, "veryfast", SPEEDS, "x264-params"),
        Encoder("x265", "libx265", 20, 51, "veryfast", SPEEDS, "x265-params"),
        Encoder("svt-av1", "libsvtav1", 30, 63, "10", tuple(str(n) for n in range(13, -1, -1)), "svtav1-params"),
        # As many slices at any number of threads, so that the bytes are the same; with checksums.
        Encoder("ffv1", "ffv1", options={"level": "3", "slices": "4", "slicecrc": "1", "g": "1"}),
        Encoder("prores", "prores_ks", options={"vendor": "apl0"}),
    )
}
DEFAULT = "x264"


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

    encoder: str = DEFAULT
    crf: int | None = None
    preset: str | None = None

    def __post_init__(self) -> None:
        offered = available()
        if self.encoder not in offered:
            where = "in the installed PyAV" if self.encoder in ENCODERS else "here"
            raise UsageError(f"there is no encoder {self.encoder!r} {where}; there are {', '.join(offered)}")
        about = ENCODERS[self.encoder]
        if self.crf is not None:
            if about.crf is None:
                raise UsageError(f"has no meaning for {self.encoder}", argument="crf")
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
        return [format.name for format in pyav().Codec(self.about.codec, "w").video_formats or ()]


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
    options = dict(about.options)
    if about.crf is not None:
        options["crf"] = str(about.crf if settings.crf is None else settings.crf)
    if about.presets:
        options["preset"] = settings.preset or about.preset or ""
    parameters = _parameters(about, picture, threads)
    if parameters:
        options[about.parameters] = ":".join(f"{name}={value}" for name, value in parameters.items())
    if about.codec == "prores_ks":
        options["profile"] = "hq" if picture.format.chroma != 444 else "4444"
    context.options = options


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
            os.environ.setdefault("SVT_LOG", "1")  # it has no other way: errors alone, not 20 lines on standard error
            named = {"mastering-display": hdr.decimal(), "content-light": light, "lp": str(min(threads, 6))}
        case _:
            named = {}
    parameters.update({name: value for name, value in named.items() if value is not None})
    return parameters


def keeps_hdr(settings: Settings) -> bool:
    """Whether the encoder can be told the HDR10 data."""
    return bool(settings.about.parameters)
