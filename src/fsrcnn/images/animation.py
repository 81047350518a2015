"""Animated PNG and AVIF, of which libvips knows the first frame alone: their frames come and go through Pillow."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fsrcnn.arrays import Array, Uint8
from fsrcnn.errors import ImageError, MissingExtraError
from fsrcnn.images import tags
from fsrcnn.images.picture import oriented
from fsrcnn.images.structure import DamagedError
from fsrcnn.require import require

FORMATS = {"png": "PNG", "avif": "AVIF"}
"""Those that Pillow animates, by its names."""

EXTRA = ("animated PNG and AVIF files", "pillow")
DELAY = 100  # ms, where nobody says


def frames_of(
    data: bytes, format: str, count: int, label: str, tolerant: bool = False
) -> tuple[tuple[Uint8, ...], dict[str, Any]]:
    """All frames, composed as they are seen, and `delay` (ms of each) and `loop` (0: for ever) as libvips has them.

    Args:
        data: the file.
        format: `png` or `avif`.
        count: how many frames it says it has.
        label: what messages call it.
        tolerant: take the frames before one that cannot be decoded.

    Raises:
        DamagedError: a frame cannot be decoded.
        ImageError: Pillow is missing.
    """
    try:
        plugin = require(f"PIL.{FORMATS[format].capitalize()}ImagePlugin", EXTRA[0], extra=EXTRA[1])
    except MissingExtraError as error:
        raise ImageError(
            f"{label} has {count} frames, which only Pillow reads", f"{error.remedy}, or take one: {{page=1}}"
        ) from error
    frames: list[Uint8] = []
    delays: list[int] = []
    loop = 0
    try:
        # Not `Image.open`, which has a limit of its own for the number of pixels.
        opener = plugin.PngImageFile if format == "png" else plugin.AvifImageFile
        with opener(io.BytesIO(data)) as picture:
            loop = int(picture.info.get("loop", 0))
            # Of a PNG whose first picture is no frame, Pillow counts it as one.
            for number in range(1 if picture.info.get("default_image") else 0, picture.n_frames):
                picture.seek(number)
                picture.load()
                transparent = "A" in picture.getbands() or "transparency" in picture.info
                grey = picture.mode in ("1", "L", "LA", "I;16", "I;16B", "I")
                if picture.mode.startswith("I"):
                    pixels = (np.asarray(picture) // 256).astype(np.uint8)
                else:
                    pixels = np.asarray(
                        picture.convert(("LA" if transparent else "L") if grey else "RGBA" if transparent else "RGB")
                    )
                frames.append(oriented(pixels, picture.getexif().get(0x0112, 1)))
                delays.append(round(picture.info.get("duration", DELAY)))
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        IndexError,
        TypeError,
        RuntimeError,
    ) as error:  # RuntimeError: AVIF
        if not (tolerant and frames):
            raise DamagedError from error
    return tuple(frames), {"delay": delays[: len(frames)], "loop": loop}


def encoded(
    pages: Sequence[Array],
    format: str,
    quality: int | None,
    fields: Mapping[str, Any],
    resolution: tuple[float, float] | None,
) -> bytes:
    """Frames as one animated file, with their delays, profile, EXIF and XMP.

    Args:
        pages: frames, in 8 bit.
        format: `png` or `avif`.
        quality: 1 to 100, for AVIF.
        fields: `delay`, `loop`, profile, EXIF and XMP, under libvips' names.
        resolution: pixels per millimetre.

    Raises:
        MissingExtraError: Pillow is not installed.
        ImageError: it cannot be encoded.
    """
    image = require("PIL.Image", EXTRA[0], extra=EXTRA[1])
    first, *others = (image.fromarray(np.ascontiguousarray(page)) for page in pages)
    delays = fields.get("delay") or [DELAY] * len(pages)
    options: dict[str, Any] = {"duration": list(delays)}
    if "icc-profile-data" in fields:
        options["icc_profile"] = fields["icc-profile-data"]
    in_exif = resolution is not None and format == "avif"  # which has no other place for it
    if "exif-data" in fields or in_exif:
        exif = image.Exif()
        if "exif-data" in fields:
            exif.load(fields["exif-data"])
        if resolution:
            x, y = (25.4 * value for value in resolution)
            exif.update({tags.X_RESOLUTION: x, tags.Y_RESOLUTION: y, tags.RESOLUTION_UNIT: 2})
        exif.pop(0x0112, None)  # the frames are upright; and Pillow 13 crashes on an AVIF of others
        options["exif"] = exif.tobytes()
    if format == "avif":
        options |= {"quality": quality, "speed": 8, "xmp": fields.get("xmp-data", b"")}
    else:
        options |= {"loop": fields.get("loop", 0), "compress_level": 1}
        if "xmp-data" in fields:
            texts = require("PIL.PngImagePlugin", EXTRA[0], extra=EXTRA[1]).PngInfo()
            texts.add_itxt("XML:com.adobe.xmp", fields["xmp-data"].decode("utf-8", "replace"))
            options["pnginfo"] = texts
        if resolution:
            options["dpi"] = tuple(25.4 * density for density in resolution)
    buffer = io.BytesIO()
    try:
        first.save(buffer, FORMATS[format], save_all=True, append_images=others, **options)
    except (OSError, ValueError, SyntaxError, RuntimeError) as error:
        raise ImageError(f"cannot encode {len(pages)} frames as {format}: {error}") from error
    return buffer.getvalue()
