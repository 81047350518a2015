"""Pictures as files, or as the bytes of files."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fsrcnn import files
from fsrcnn.arrays import Array
from fsrcnn.color import peak_of
from fsrcnn.errors import ImageError, UsageError
from fsrcnn.formats import FORMATS, check_fits, encoder_options, settle
from fsrcnn.images import animation, tiff
from fsrcnn.images.picture import Picture, Written
from fsrcnn.images.vips import first_line, libvips

if TYPE_CHECKING:
    import pyvips

FULL = 2**16  # free bytes: a device that has no more was full for what was just written
SCREEN_RESOLUTION = (72 / 25.4, 72 / 25.4)  # what is written where nobody says: libvips would write 1 pixel per mm
_SAVERS = {
    "png": "pngsave", "jpg": "jpegsave", "webp": "webpsave", "tif": "tiffsave", "avif": "heifsave", "gif": "gifsave",
}  # fmt: skip
_SAMPLES = {np.dtype(np.uint8): "uchar", np.dtype(np.uint16): "ushort", np.dtype(np.float32): "float"}


def write(
    picture: Picture,
    target: Path | None,
    *,
    format: str | None = None,
    quality: int | None = None,
    lossless: bool = False,
    overwrite: bool = False,
) -> Written:
    """Encode a picture, with its metadata, and put it in place in one step.

    A file is written beside its final name and renamed, so a failure leaves neither a half file nor a lost old one.
    A device or pipe (`/dev/stdout`) is written to directly.

    Args:
        picture: what to write; `metadata` goes with it as far as the format can carry it.
        target: a path, or None to get the bytes back.
        format: `png`, `jpg`, `webp`, `tif`, `avif`, `gif`; from the target's ending where it is not given, else the picture's own.
        quality: 1 … 100 for JPEG, WebP and AVIF; 92, 90 and 70 by default.
        lossless: keep every pixel: of WebP and AVIF, which mostly do not; the others that do not are refused.
        overwrite: replace an existing file.

    Returns:
        The bytes where there is no target, and what could not be written.

    Raises:
        UsageError: a format or quality that does not exist, or that cannot hold this picture; a format that the target's ending
            contradicts.
        ImageError: the target exists and may not be replaced, or cannot be written.
    """
    format = settle(format, target, picture.format)
    check_fits([page.shape for page in picture.pages], format, str(target or "standard output"), picture.animated)
    options = encoder_options(format, quality, picture.pages, lossless)
    vips = libvips()
    by_pages = _by_pages(picture, format, quality, lossless)
    if by_pages is not None:
        lost = format == "avif" and picture.metadata.get("loop", 0) != 0
        notes = ("how often it loops is left out: Pillow does not write it into an AVIF",) if lost else ()
        return replace(_put(by_pages, target, overwrite), notes=notes)
    image = _assemble(picture, format)
    if target is None:
        try:
            return Written(bytes(image.write_to_buffer(f".{format}", **options)))
        except vips.Error as error:
            raise ImageError(f"cannot encode the picture as {format}: {first_line(error)}") from error
    if files.is_stream(target):
        written = write(picture, None, format=format, quality=quality, lossless=lossless)
        try:
            target.write_bytes(written.data or b"")
        except OSError as error:
            raise ImageError(f"cannot write {target}: {error.strerror}") from error
        return Written(notes=written.notes)
    with files.beside(target, ImageError, replace=overwrite, ending=f".{format}") as part:
        try:
            getattr(image, _SAVERS[format])(os.fsencode(part), **options)  # by its format, whatever the name ends in
        except vips.Error as error:
            raise ImageError(f"cannot write {target}: {_write_reason(target, error)}") from error
    return Written()


def _by_pages(picture: Picture, format: str, quality: int | None, lossless: bool) -> bytes | None:
    """The file, where libvips cannot make it of one tall picture (frames of a PNG or AVIF, pages of different sizes); else None."""
    if len(picture.pages) == 1:
        return None
    if format in animation.FORMATS:
        if lossless and format == "avif":
            raise UsageError("frames of an avif are never lossless", "give {format='png'} or {format='webp'}")
        pages = [_fit_depth(page, ("uint8",)) for page in picture.pages]
        return animation.encoded(picture, pages, format, quality or FORMATS[format].quality)
    if picture.uniform:
        return None
    large = sum(page.nbytes for page in picture.pages) > 2**31
    parts = []
    for page in picture.pages:
        options = encoder_options(format, quality, (page,), lossless) | {"bigtiff": large}
        try:
            parts.append(
                bytes(_assemble(replace(picture, pages=(page,)), format).write_to_buffer(f".{format}", **options))
            )
        except libvips().Error as error:
            raise ImageError(f"cannot encode the picture as {format}: {first_line(error)}") from error
    return tiff.joined(parts)


def _put(data: bytes, target: Path | None, overwrite: bool) -> Written:
    """Bytes where `write` puts a file."""
    if target is None:
        return Written(data)
    if files.is_stream(target):
        try:
            target.write_bytes(data)
        except OSError as error:
            raise ImageError(f"cannot write {target}: {error.strerror}") from error
        return Written()
    files.write(target, data, ImageError, replace=overwrite)
    return Written()


def _assemble(picture: Picture, format: str) -> pyvips.Image:
    """The pages as one libvips image (stacked vertically, without a copy where there is one page)."""
    vips = libvips()
    deep_enough = [_fit_depth(page, FORMATS[format].dtypes) for page in picture.pages]
    stacked = np.ascontiguousarray(deep_enough[0] if len(deep_enough) == 1 else np.concatenate(deep_enough))
    height, width = stacked.shape[:2]
    bands = 1 if stacked.ndim == 2 else stacked.shape[2]
    name = _SAMPLES[stacked.dtype]
    grey = bands <= 2
    interpretation = {
        "uchar": "b-w" if grey else "srgb",
        "ushort": "grey16" if grey else "rgb16",
        "float": "b-w" if grey else "srgb",
    }[name]
    image = vips.Image.new_from_memory(stacked.data, width, height, bands, name)
    image = image.copy(interpretation=interpretation)
    for key, value in picture.metadata.items():
        if isinstance(value, bytes):
            image.set_type(vips.GValue.blob_type, key, value)
        elif isinstance(value, str):
            image.set_type(vips.GValue.gstr_type, key, value)
        elif isinstance(value, list):
            image.set_type(vips.GValue.array_int_type, key, value)
        else:
            image.set_type(vips.GValue.gint_type, key, int(value))
    # Setting EXIF sets orientation and resolution from it; ours come after.
    if "exif-data" in picture.metadata:
        image.set_type(vips.GValue.gint_type, "orientation", 1)
    xres, yres = picture.resolution or SCREEN_RESOLUTION
    image = image.copy(xres=xres, yres=yres)
    if len(deep_enough) > 1:
        image.set_type(vips.GValue.gint_type, "page-height", height // len(deep_enough))
    return image


def _fit_depth(page: Array, holds: tuple[str, ...]) -> Array:
    """A page in a depth that is held: its own, or else the deepest whole numbers there are."""
    if page.dtype.name in holds:
        return page
    goal = np.dtype("uint16" if "uint16" in holds else "uint8")
    peak = peak_of(page.dtype)
    factor = np.float32(peak_of(goal) / peak)
    return (np.clip(page, 0, peak).astype(np.float32) * factor + np.float32(0.5)).astype(goal)


def _write_reason(target: Path, error: Exception) -> str:
    if not target.parent.is_dir():
        return "its folder does not exist"
    if not os.access(target.parent, os.W_OK):
        return "its folder is read-only"
    if shutil.disk_usage(target.parent).free < FULL:
        return "no space left on the device"
    return first_line(error)
