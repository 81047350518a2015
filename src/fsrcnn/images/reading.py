"""Files, and the bytes of files, as pictures."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fsrcnn.errors import ImageError, UsageError
from fsrcnn.formats import endings_read
from fsrcnn.images.metadata import carried
from fsrcnn.images.picture import Picture, oriented
from fsrcnn.images.vips import first_line, libvips
from fsrcnn.require import require

if TYPE_CHECKING:
    import pyvips

MAX_PIXELS = 2**28  # of one picture as read: 268 megapixels, three times the largest camera sensors
NO_RESOLUTION = (1.0, 1.0)  # what libvips reports, in pixels per mm, where a file says nothing
HEVC_BRANDS = (b"ftypheic", b"ftypheix", b"ftypheim", b"ftypheis")  # what telephones write
_FORMAT_OF_LOADER = {
    "png": "png", "jpeg": "jpg", "webp": "webp", "tiff": "tif", "gif": "gif", "heif": "avif", "bmp": "png",
}  # fmt: skip
_DTYPE = {"uchar": np.uint8, "ushort": np.uint16, "float": np.float32}


def read(
    source: str | Path | bytes,
    *,
    max_pixels: int = MAX_PIXELS,
    page: int | None = None,
    tolerant: bool = False,
    label: str | None = None,
) -> Picture:
    """Decode a picture.

    CMYK becomes sRGB through its profile; palettes and 1-bit pictures become 8-bit ones; CIELAB becomes sRGB.

    Args:
        source: a path, or the bytes of a file.
        max_pixels: pictures with more (all pages together) are refused before they are decoded.
        page: read this page or frame alone, counted from 1; all where it is not given.
        tolerant: take what can be decoded of a damaged picture, and say so in its notes.
        label: what messages call it; its path, or "the data", where it is not given.

    Raises:
        UsageError: a page below 1.
        ImageError: missing, empty, truncated, not a picture, too large, or of a kind that has no meaning here.
    """
    if page is not None and page < 1:
        raise UsageError(f"page counts from 1, not {page}")
    label = label or ("the data" if isinstance(source, bytes) else str(source))
    if isinstance(source, (str, Path)):
        path = Path(source)
        if path.is_dir():
            raise ImageError(f"{label} is a folder, not a picture")
        if not path.exists():
            raise ImageError(f"{label} does not exist")
        if path.is_file() and path.stat().st_size == 0:
            raise ImageError(f"{label} is empty (0 bytes)")
        if os.fsencode(path) != str(path).encode("utf-8", "replace"):  # pyvips takes names that are text alone
            source = path.read_bytes()
    elif not source:
        raise ImageError(f"{label} is empty (0 bytes)")
    vips = libvips()
    try:
        image = _open(source, max_pixels, tolerant, label)
        loader = str(image.get("vips-loader")) if image.get_typeof("vips-loader") else "bmp"
        _check_size(image.width, image.height, max_pixels, label)
        metadata, notes = carried(source, image)
        image = _to_plain(image, label)
        orientation = image.get("orientation") if image.get_typeof("orientation") else 1
        resolution = (image.xres, image.yres) if (image.xres, image.yres) != NO_RESOLUTION else None
        page_height = image.get_page_height()
        shape = (image.height, image.width, image.bands) if image.bands > 1 else (image.height, image.width)
        try:
            memory = image.write_to_memory()
        except (
            vips.Error
        ) as error:  # its header was in order; what libvips says of the rest may be another thread's error
            raise ImageError(f"{label} is truncated or damaged ({first_line(error)})") from error
        pixels = np.frombuffer(memory, _DTYPE[image.format]).reshape(shape)
        if "bits-per-sample" in metadata:  # libvips leaves the lower bits 0, and so white short of 65,535
            pixels = pixels | pixels >> metadata["bits-per-sample"]
    except vips.Error as error:
        if _start(source, label)[4:12] in HEVC_BRANDS:
            raise ImageError(
                f"{label} is HEIC, which this libvips cannot decode", "make it a JPEG, PNG or AVIF first"
            ) from error
        raise ImageError(_reason(label, error)) from error
    if pixels.dtype == np.float32 and not (pixels.min() >= 0 and pixels.max() <= 1):
        raise ImageError(f"{label} holds floating-point values outside 0 … 1", "scale them first")
    format = next((name for prefix, name in _FORMAT_OF_LOADER.items() if loader.startswith(prefix)), "png")
    starts = range(0, pixels.shape[0], page_height)
    pages = tuple(oriented(pixels[start : start + page_height], orientation) for start in starts)
    if page is not None:
        if page > len(pages):
            raise ImageError(f"{label} has {len(pages)} pages or frames, so no page {page}")
        pages = pages[page - 1 : page]
        metadata = {key: value for key, value in metadata.items() if key not in ("delay", "loop")}
    return Picture(pages, format, resolution, metadata, notes)


def _check_size(width: int, height: int, max_pixels: int, label: str) -> None:
    if width * height > max_pixels:
        raise ImageError(
            f"{label} has {width}×{height} = {_counted(width * height)}, more than the limit of {_counted(max_pixels)}",
            f"if you trust the file, raise it with {{max_pixels={width * height}}}",
        )


def _counted(pixels: int) -> str:
    return f"{pixels / 1e6:,.0f} megapixels" if pixels >= 1e6 else f"{pixels:,} pixels"


def _open(source: str | Path | bytes, max_pixels: int, tolerant: bool, label: str) -> pyvips.Image:
    vips = libvips()
    if _start(source, label)[:2] == b"BM":
        return _open_bmp(source, max_pixels, label)
    options: dict[str, Any] = {"access": "sequential", "fail_on": "none" if tolerant else "truncated"}

    def open_with(**extra: Any) -> pyvips.Image:
        if isinstance(source, bytes):
            return vips.Image.new_from_buffer(source, "", **options, **extra)
        return vips.Image.new_from_file(str(source), **options, **extra)

    image = open_with()
    if image.get_typeof("n-pages") and image.get("n-pages") > 1:
        if image.get("vips-loader").startswith("heif"):
            return image  # further pictures of a HEIF file are thumbnails, depth maps, bursts: the primary one counts
        try:
            return open_with(n=-1)
        except vips.Error as error:
            if "page" in str(error):
                raise ImageError(
                    f"{label} has pages of different sizes", "split it into single pictures first"
                ) from error
            raise
    return image


def _start(source: str | Path | bytes, label: str) -> bytes:
    """The first bytes, which tell some formats apart."""
    if isinstance(source, bytes):
        return source[:12]
    try:
        with Path(source).open("rb") as file:
            return file.read(12)
    except OSError as error:
        raise ImageError(f"cannot read {label}: {error.strerror}") from error


def _open_bmp(source: str | Path | bytes, max_pixels: int, label: str) -> pyvips.Image:
    pillow = require("PIL.Image", "BMP files", extra="pillow")
    try:
        with pillow.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=["BMP"]) as picture:
            width, height = picture.size
            _check_size(width, height, max_pixels, label)
            plain = picture.convert("L" if picture.mode in ("1", "L") else "RGBA" if picture.mode == "RGBA" else "RGB")
            image = libvips().Image.new_from_array(np.asarray(plain))
            if "dpi" in picture.info:
                image = image.copy(xres=picture.info["dpi"][0] / 25.4, yres=picture.info["dpi"][1] / 25.4)
            return image
    except (OSError, ValueError, pillow.DecompressionBombError) as error:
        raise ImageError(f"{label} is a broken BMP: {error}") from error


def _to_plain(image: pyvips.Image, label: str) -> pyvips.Image:
    """Grey or RGB, with or without alpha, 8 or 16 bit or float32: what `Picture` holds."""
    space = image.interpretation
    if space == "cmyk":
        image = image.icc_transform("srgb", embedded=True, input_profile="cmyk", pcs="lab", intent="relative")
        image = image.copy()
        image.remove("icc-profile-data")
    elif space in ("lab", "labs", "labq", "lch", "xyz", "yxy", "hsv", "cmc"):
        image = image.colourspace("srgb")
    if image.format not in _DTYPE:
        if image.format == "double":
            image = image.cast("float")
        else:
            raise ImageError(f"{label} holds {image.format} samples; fsrcnn takes 8 or 16 bit and floating point")
    if not 1 <= image.bands <= 4:
        raise ImageError(f"{label} has {image.bands} channels; fsrcnn takes grey or RGB, with or without alpha")
    return image


def _reason(label: str, error: Exception) -> str:
    text = str(error)
    lower = text.lower()
    if "not a known file format" in text or "not in a known format" in text:
        return f"{label} is not a picture that fsrcnn reads ({endings_read()})"
    if any(
        word in lower for word in ("premature", "truncated", "end of", "corrupt", "read error", "not enough", "eof")
    ):
        return f"{label} is truncated or damaged ({first_line(error)})"
    return f"cannot read {label}: {first_line(error)}"
