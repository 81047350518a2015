"""Pixels by libvips: every one of a file, or an error.

Whether a file is damaged is decided by whether a call fails and, where libvips does not fail in spite of damage, by whether it has
said anything. It has one buffer of messages for all threads, so one picture is decoded at a time. Its words are not for users.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from fsrcnn.arrays import Array
from fsrcnn.errors import ImageError
from fsrcnn.images.structure import DamagedError
from fsrcnn.images.vips import libvips, warnings_of_libvips

if TYPE_CHECKING:
    import pyvips

# By the loader, not by libvips' guess: `uhdrload` would take an Ultra HDR JPEG for something else than a JPEG.
_LOADERS = {"png": "png", "jpg": "jpeg", "webp": "webp", "tif": "tiff", "gif": "gif", "avif": "heif", "heic": "heif"}
_DTYPE = {"uchar": np.uint8, "ushort": np.uint16, "float": np.float32}
_OTHER_SAMPLES = {
    "char": "signed 8-bit", "short": "signed 16-bit", "int": "signed 32-bit", "uint": "32-bit whole-number", "complex": "complex",
    "dpcomplex": "complex",
}  # fmt: skip
_alone = threading.Lock()


def opened(data: bytes, kind: str, **options: int) -> pyvips.Image:
    """A picture of which the header has been read.

    Args:
        data: the file.
        kind: as `kind_of` says it.
        options: of the loader: `page`, counted from 0, and `n`, how many.

    Raises:
        DamagedError: the header cannot be read.
    """
    with _alone:
        return _opened(data, kind, "none", options)


def decoded(data: bytes, kind: str, label: str, *, tolerant: bool = False, **options: int) -> Array:
    """The pixels: grey (h, w), or (h, w, 2 to 4) grey + alpha, RGB, RGBA; uint8, uint16 or float32. Pages lie one below the other.

    Args:
        data: the file.
        kind: as `kind_of` says it.
        label: what messages call it.
        tolerant: take what can be decoded; the rest is blank.
        options: as `opened` has them.

    Raises:
        DamagedError: a pixel cannot be decoded.
        ImageError: samples or channels have no meaning here.
    """
    with _alone:
        if tolerant:
            return _pixels(_opened(data, kind, "none", options), label)
        try:
            # Only at "warning" libvips fails where a tile of a TIFF cannot be decoded; in others it warns of what is no pixel.
            pixels = _pixels(_opened(data, kind, "warning" if kind == "tif" else "error", options), label)
        except DamagedError:
            if kind != "tif":
                raise
            return _despite_warnings(data, label, options)
        # Of corrupt data in a JPEG there is a warning only, and the picture goes on, grey.
        if kind == "jpg" and b"VipsJpeg" in _said():
            raise DamagedError
        return pixels


def plain(image: pyvips.Image, label: str) -> pyvips.Image:
    """Grey or RGB, with or without alpha, 8 or 16 bit or float32: what `Picture` holds.

    Raises:
        DamagedError: its colours cannot be taken for what it says they are.
        ImageError: it is none of these.
    """
    space = image.interpretation
    try:
        if space == "cmyk":
            image = image.icc_transform("srgb", embedded=True, input_profile="cmyk", pcs="lab", intent="relative")
            image = image.copy()
            image.remove("icc-profile-data")
        elif space in ("lab", "labs", "labq", "lch", "xyz", "yxy", "hsv", "cmc"):
            image = image.colourspace("srgb")
    except libvips().Error as error:
        raise DamagedError from error
    if image.format not in _DTYPE:
        if image.format == "double":
            image = image.cast("float")
        else:
            raise ImageError(
                f"{label} holds {_OTHER_SAMPLES.get(image.format, 'unusual')} samples; "
                "fsrcnn takes whole numbers of 8 or 16 bit from 0 on, and floating point"
            )
    if not 1 <= image.bands <= 4:
        raise ImageError(
            f"{label} has {image.bands} channels; fsrcnn takes 4 at most: grey or RGB, with alpha or one further channel (TIFF)"
        )
    return image


def _pixels(image: pyvips.Image, label: str) -> Array:
    image = plain(image, label)
    shape = (image.height, image.width, image.bands) if image.bands > 1 else (image.height, image.width)
    try:
        pixels = np.frombuffer(image.write_to_memory(), _DTYPE[image.format]).reshape(shape)
    except libvips().Error as error:
        raise DamagedError from error
    if pixels.dtype == np.float32 and not (pixels.min() >= 0 and pixels.max() <= 1):
        raise ImageError(f"{label} holds floating-point values outside 0 … 1", "scale them first")
    return pixels


def _opened(data: bytes, kind: str, fail_on: str, options: dict[str, int]) -> pyvips.Image:
    vips = libvips()
    vips.vips_lib.vips_error_clear()
    try:
        loader = getattr(vips.Image, f"{_LOADERS[kind]}load_buffer")
        image: pyvips.Image = loader(data, access="sequential", fail_on=fail_on, **options)
    except vips.Error as error:
        raise DamagedError from error
    return image


def _said() -> bytes:
    """What libvips has said of errors since a picture was opened."""
    vips = libvips()
    return bytes(vips.ffi.string(vips.vips_lib.vips_error_buffer()))


def _despite_warnings(data: bytes, label: str, options: dict[str, int]) -> Array:
    """A TIFF that libtiff warns of: only of its directory (tags out of order), or of its pixels, too (a line of a fax is short)?

    What is said of the directory is said when it is opened already; whatever more is said while pixels are decoded, is about pixels.
    """
    with warnings_of_libvips() as about_directory:
        _opened(data, "tif", "error", options)
    with warnings_of_libvips() as about_all:
        pixels = _pixels(_opened(data, "tif", "error", options), label)
    if _said() or about_all - about_directory:
        raise DamagedError
    return pixels
