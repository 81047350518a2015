"""Pictures in and out of files, with what a file carries beside its pixels.

libvips does the work (16 bit, ICC, TIFF, WebP, AVIF, GIF, fast PNG; loaders it holds for untrusted are blocked).
It is the only image library the upscaling path needs; BMP, which it cannot read, goes through Pillow. `formats.py` says what each
format can hold.
"""

from __future__ import annotations

import io
import os
import shutil
import stat
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fsrcnn import files
from fsrcnn.arrays import Array
from fsrcnn.color import peak_of
from fsrcnn.errors import ImageError
from fsrcnn.formats import FORMATS, check_fits, check_format, encoder_options, endings_read, format_of
from fsrcnn.require import require

if TYPE_CHECKING:
    import pyvips

FULL = 2**16  # free bytes: a device that has no more was full for what was just written
MAX_PIXELS = 2**28  # of one picture as read: 268 megapixels, three times the largest camera sensors
NO_RESOLUTION = (1.0, 1.0)  # what libvips reports, in pixels per mm, where a file says nothing
SCREEN_RESOLUTION = (72 / 25.4, 72 / 25.4)  # what is written then: it would otherwise write 1 pixel per mm
HEVC_BRANDS = (b"ftypheic", b"ftypheix", b"ftypheim", b"ftypheis")  # what telephones write
_FORMAT_OF_LOADER = {
    "png": "png", "jpeg": "jpg", "webp": "webp", "tiff": "tif", "gif": "gif", "heif": "avif", "bmp": "png",
}  # fmt: skip
_DTYPE = {"uchar": np.uint8, "ushort": np.uint16, "float": np.float32}
# What to carry from the file read to the file written; everything else describes the pixels and is made anew.
_CARRIED = ("icc-profile-data", "exif-data", "xmp-data", "iptc-data", "delay", "loop", "gif-palette", "resolution-unit")


@dataclass(frozen=True, eq=False)
class Picture:
    """Decoded pixels and what the file said about them.

    Attributes:
        pages: one array per page or animation frame, all of one shape: (h, w) grey, (h, w, 2) grey + alpha, (h, w, 3) RGB or
            (h, w, 4) RGBA; uint8, uint16, or float32 in [0, 1]. The EXIF orientation has been applied.
        format: `png`, `jpg`, `webp`, `tif`, `avif` or `gif`: what it is written as where nobody says otherwise.
        resolution: pixels per millimetre, horizontally and vertically; None where the file says nothing.
        metadata: libvips field name → value: ICC profile, EXIF, XMP, IPTC, frame delays, loop count.
    """

    pages: tuple[Array, ...]
    format: str
    resolution: tuple[float, float] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


def read(source: str | Path | bytes, *, max_pixels: int = MAX_PIXELS, label: str | None = None) -> Picture:
    """Decode a picture.

    CMYK becomes sRGB through its profile; palettes and 1-bit pictures become 8-bit ones; CIELAB becomes sRGB.

    Args:
        source: a path, or the bytes of a file.
        max_pixels: pictures with more (all pages together) are refused before they are decoded.
        label: what messages call it; its path, or "the data", where it is not given.

    Raises:
        ImageError: missing, empty, truncated, not a picture, too large, or of a kind that has no meaning here.
    """
    label = label or ("the data" if isinstance(source, bytes) else str(source))
    if isinstance(source, (str, Path)):
        path = Path(source)
        if path.is_dir():
            raise ImageError(f"{label} is a folder, not a picture")
        if not path.exists():
            raise ImageError(f"{label} does not exist")
        if path.is_file() and path.stat().st_size == 0:
            raise ImageError(f"{label} is empty (0 bytes)")
    elif not source:
        raise ImageError(f"{label} is empty (0 bytes)")
    vips = _vips()
    try:
        image = _open(source, max_pixels, label)
        loader = str(image.get("vips-loader")) if image.get_typeof("vips-loader") else "bmp"
        _check_size(image.width, image.height, max_pixels, label)
        image = _to_plain(image, label)
        metadata = {key: image.get(key) for key in image.get_fields() if key in _CARRIED}
        orientation = image.get("orientation") if image.get_typeof("orientation") else 1
        resolution = (image.xres, image.yres) if (image.xres, image.yres) != NO_RESOLUTION else None
        page_height = image.get_page_height()
        shape = (image.height, image.width, image.bands) if image.bands > 1 else (image.height, image.width)
        try:
            memory = image.write_to_memory()
        except (
            vips.Error
        ) as error:  # its header was in order; what libvips says of the rest may be another thread's error
            raise ImageError(f"{label} is truncated or damaged ({_first_line(error)})") from error
        pixels = np.frombuffer(memory, _DTYPE[image.format]).reshape(shape)
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
    return Picture(pages, format, resolution, metadata)


def oriented(pixels: Array, orientation: int) -> Array:
    """The picture upright: EXIF orientation 1 … 8 undone, as a view, so that no second copy is held."""
    if orientation in (2, 5, 7, 4):  # mirrored ones: mirror first, then they are 1, 8, 6, 3
        pixels = pixels[:, ::-1]
        orientation = {2: 1, 5: 8, 7: 6, 4: 3}[orientation]
    return np.rot90(pixels, {1: 0, 3: 2, 6: 3, 8: 1}.get(orientation, 0))


def write(
    picture: Picture,
    target: Path | None,
    *,
    format: str | None = None,
    quality: int | None = None,
    overwrite: bool = False,
) -> bytes | None:
    """Encode a picture, with its metadata, and put it in place in one step.

    A file is written beside its final name and renamed, so a failure leaves neither a half file nor a lost old one.
    A device or pipe (`/dev/stdout`) is written to directly.

    Args:
        picture: what to write; `metadata` goes with it as far as the format can carry it.
        target: a path, or None to get the bytes back.
        format: `png`, `jpg`, `webp`, `tif`, `avif`, `gif`; from the target's ending where it is not given, else the picture's own.
        quality: 1 … 100 for JPEG, WebP and AVIF; 92, 90 and 70 by default.
        overwrite: replace an existing file.

    Raises:
        UsageError: a format or quality that does not exist, or that cannot hold this picture.
        ImageError: the target exists and may not be replaced, or cannot be written.
    """
    format = check_format(format) if format else (format_of(target) if target and target.suffix else picture.format)
    check_fits(picture.pages[0].shape, len(picture.pages), format, str(target or "standard output"))
    options = encoder_options(format, quality, picture.pages)
    vips = _vips()
    image = _assemble(picture, format)
    if target is None:
        try:
            return bytes(image.write_to_buffer(f".{format}", **options))
        except vips.Error as error:
            raise ImageError(f"cannot encode the picture as {format}: {_first_line(error)}") from error
    if target.exists() and not stat.S_ISREG(target.stat().st_mode):
        if target.is_dir():
            raise ImageError(f"cannot write {target}: it is a folder")
        data = write(picture, None, format=format, quality=quality)
        assert data is not None
        try:
            target.write_bytes(data)
        except OSError as error:
            raise ImageError(f"cannot write {target}: {error.strerror}") from error
        return None
    if target.exists() and not overwrite:
        raise ImageError(f"{target} exists", "give {overwrite=True} to replace it")
    with files.beside(target, ImageError) as part:
        try:
            image.write_to_file(f"{part}", **options)
        except vips.Error as error:
            raise ImageError(f"cannot write {target}: {_write_reason(target, error)}") from error
    return None


def _check_size(width: int, height: int, max_pixels: int, label: str) -> None:
    if width * height > max_pixels:
        raise ImageError(
            f"{label} has {width}×{height} = {_counted(width * height)}, more than the limit of {_counted(max_pixels)}",
            f"if you trust the file, raise it with {{max_pixels={width * height}}}",
        )


def _counted(pixels: int) -> str:
    return f"{pixels / 1e6:,.0f} megapixels" if pixels >= 1e6 else f"{pixels:,} pixels"


def _open(source: str | Path | bytes, max_pixels: int, label: str) -> pyvips.Image:
    vips = _vips()
    if _start(source, label)[:2] == b"BM":
        return _open_bmp(source, max_pixels, label)
    options: dict[str, Any] = {"access": "sequential", "fail_on": "truncated"}

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
            return _vips().Image.new_from_array(np.asarray(plain))
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


def _assemble(picture: Picture, format: str) -> pyvips.Image:
    """The pages as one libvips image (stacked vertically, without a copy where there is one page)."""
    vips = _vips()
    deep_enough = _fit_depth(picture.pages, format)
    stacked = np.ascontiguousarray(deep_enough[0] if len(deep_enough) == 1 else np.concatenate(deep_enough))
    height, width = stacked.shape[:2]
    bands = 1 if stacked.ndim == 2 else stacked.shape[2]
    name = {np.dtype(dtype): name for name, dtype in _DTYPE.items()}[stacked.dtype]
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


def _fit_depth(pages: tuple[Array, ...], format: str) -> tuple[Array, ...]:
    """Pages in a depth that the format can hold: their own, or else the deepest whole numbers it has."""
    dtype = pages[0].dtype
    holds = FORMATS[format].dtypes
    if dtype.name in holds:
        return pages
    goal = np.dtype("uint16" if "uint16" in holds else "uint8")
    peak = peak_of(dtype)
    factor = np.float32(peak_of(goal) / peak)
    return tuple((np.clip(page, 0, peak).astype(np.float32) * factor + np.float32(0.5)).astype(goal) for page in pages)


def _reason(label: str, error: Exception) -> str:
    text = str(error)
    lower = text.lower()
    if "not a known file format" in text or "not in a known format" in text:
        return f"{label} is not a picture that fsrcnn reads ({endings_read()})"
    if any(
        word in lower for word in ("premature", "truncated", "end of", "corrupt", "read error", "not enough", "eof")
    ):
        return f"{label} is truncated or damaged ({_first_line(error)})"
    return f"cannot read {label}: {_first_line(error)}"


def _write_reason(target: Path, error: Exception) -> str:
    if not target.parent.is_dir():
        return "its folder does not exist"
    if not os.access(target.parent, os.W_OK):
        return "its folder is read-only"
    if shutil.disk_usage(target.parent).free < FULL:
        return "no space left on the device"
    return _first_line(error)


def _first_line(error: Exception) -> str:
    """The telling line of a libvips error ("unable to call …" says nothing to a user)."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith("unable to")] or lines or ["unknown reason"]
    return telling[0]


@cache
def _vips() -> Any:
    """pyvips, imported at the first picture: it takes longer than the whole rest of `import fsrcnn`."""
    pyvips = require("pyvips", "picture files", extra="binary", of="pyvips")
    pyvips.block_untrusted_set(True)
    pyvips.cache_set_max(0)  # each picture is read once; a cache would only hold memory
    return pyvips
