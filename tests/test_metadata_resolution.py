"""How many pixels lie in an inch: read wherever a file says it, grown with the picture, made up in none; Pillow is the witness."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fsrcnn import Upscaler
from fsrcnn.architecture import Architecture
from fsrcnn.formats import FORMATS
from fsrcnn.images import Picture, read, write
from fsrcnn.size import Size
from support import png_chunk, random_weights, saved

UPSCALER = Upscaler(random_weights(Architecture(scale=2, d=8, s=4, m=1)), engine="numpy")
RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
ORIENTATION, X, Y, UNIT, ARTIST = 274, 282, 283, 296, 315  # tags
IN, CM, NONE = 2, 3, 1  # of UNIT


def exif(x: float = 300, y: float = 150, unit: int | None = IN, orientation: int = 1) -> bytes:
    block = Image.Exif()
    block.update({ORIENTATION: orientation, X: x, Y: y, ARTIST: "Somebody", **({UNIT: unit} if unit else {})})
    return block.tobytes()


def png(*chunks: tuple[bytes, bytes], late: tuple[tuple[bytes, bytes], ...] = ()) -> bytes:
    plain = saved([RGB], "PNG")
    before, after = (b"".join(png_chunk(*chunk) for chunk in some) for some in (chunks, late))
    return plain[:33] + before + plain[33:-12] + after + plain[-12:]


def phys(x: int, y: int, unit: int) -> tuple[bytes, bytes]:
    return b"pHYs", struct.pack(">IIB", x, y, unit)


def jfif(unit: int, x: int, y: int) -> bytes:
    plain = saved([RGB], "JPEG")
    return plain[:13] + struct.pack(">BHH", unit, x, y) + plain[18:]


def tiff(x: float, y: float, unit: int | None) -> bytes:
    return saved([RGB], "TIFF", tiffinfo={X: x, Y: y, **({UNIT: unit} if unit else {})})


def dpi_of(data: bytes | None) -> list[tuple[float, float]]:
    """What a file says in all its places."""
    picture = Image.open(io.BytesIO(data or b""))
    picture.load()
    tags = picture.getexif()
    unit = tags.get(UNIT, IN)
    told = (
        [tuple(float(tags[tag]) * (2.54 if unit == CM else 1) for tag in (X, Y))] if X in tags and unit != NONE else []
    )
    if picture.format == "PNG" and "dpi" in picture.info:
        told.append(picture.info["dpi"])
    if picture.info.get("jfif_unit"):
        told.append(
            tuple(value * (2.54 if picture.info["jfif_unit"] == 2 else 1) for value in picture.info["jfif_density"])
        )
    return [(x, y) for x, y in told]


TOLD = {
    "PNG": png(phys(11_811, 5_906, 1)),
    "PNG, by EXIF": png((b"eXIf", exif()[6:]), phys(1_000, 1_000, 1)),
    "PNG, by EXIF that knows none": png((b"eXIf", exif(3, 2, NONE)[6:]), phys(11_811, 5_906, 1)),
    "PNG, by EXIF after its pixels": png(late=((b"eXIf", exif()[6:]),)),
    "JPEG": jfif(1, 300, 150),
    "JPEG, in cm": jfif(2, 118, 59),
    "JPEG, by EXIF": saved([RGB], "JPEG", exif=exif(), dpi=(72, 72)),
    "JPEG, by EXIF in cm": saved([RGB], "JPEG", exif=exif(118, 59, CM)),
    "JPEG, by EXIF without a unit": saved([RGB], "JPEG", exif=exif(unit=None)),
    "WebP": saved([RGB], "WEBP", exif=exif(), lossless=True),
    "AVIF": saved([RGB], "AVIF", exif=exif()),
    "TIFF": tiff(300, 150, IN),
    "TIFF, in cm": tiff(118, 59, CM),
    "TIFF without a unit": tiff(300, 150, None),
    "BMP": saved([RGB], "BMP", dpi=(300, 150)),
}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", TOLD)
def test_the_resolution_grows_with_the_picture(name: str, format: str) -> None:
    picture = read(TOLD[name])
    assert picture.notes == ()
    assert picture.resolution == pytest.approx((300 / 25.4, 150 / 25.4), rel=3e-3)
    written = write(UPSCALER.picture(picture, Size(factor=2)), None, format=format)
    told = dpi_of(written.data)
    if format == "gif":
        assert told == []
        assert "its resolution is left out: gif holds none" in written.notes
    else:
        assert told
        assert written.notes == ()
    for dpi in told:
        assert dpi == pytest.approx((600, 300), rel=4e-3)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", ["PNG", "WebP"])
def test_that_of_frames_grows_too(name: str, format: str) -> None:
    """Those of PNG and AVIF are written by Pillow."""
    picture = read(TOLD[name])
    frames = replace(picture, pages=(RGB, 255 - RGB), metadata={**picture.metadata, "delay": [50, 50], "loop": 0})
    if format == "jpg":
        pytest.skip("a JPEG has no frames")
    told = dpi_of(write(UPSCALER.picture(frames, Size(factor=2)), None, format=format).data)
    assert bool(told) == (format != "gif")
    for dpi in told:
        assert dpi == pytest.approx((600, 300), rel=4e-3)


OBLONG = {
    "PNG": png(phys(3, 2, 0)),
    "JPEG": jfif(0, 3, 2),
    "WebP": saved([RGB], "WEBP", exif=exif(3, 2, NONE), lossless=True),
    "TIFF": tiff(3, 2, NONE),
}


@pytest.mark.parametrize("name", OBLONG)
def test_the_shape_of_pixels_is_no_resolution(name: str) -> None:
    picture = read(OBLONG[name])
    assert picture.resolution is None
    assert picture.notes == ("that its pixels are 0.667 times as wide as high is left out",)


@pytest.mark.parametrize(
    "data", [png(phys(3, 3, 0)), png(phys(0, 3, 1)), jfif(0, 3, 3), jfif(1, 1, 1), jfif(9, 3, 2), tiff(1, 1, NONE)]
)
def test_square_pixels_need_no_word(data: bytes) -> None:
    picture = read(data)
    assert picture.resolution is None
    assert picture.notes == ()


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("metadata", [{}, {"xmp-data": b"<x/>", "comment": b"said"}])
def test_none_is_made_up(format: str, metadata: dict[str, Any]) -> None:
    data = write(Picture((RGB,), format, None, metadata), None).data or b""
    assert dpi_of(data) == []
    assert read(data).resolution is None
    assert b"pHYs" not in data
    if format == "jpg":  # the header comes first, and says that pixels are square
        assert data[2:20] == b"\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
    if format == "tif":  # which has to say something
        assert [Image.open(io.BytesIO(data)).getexif()[tag] for tag in (X, Y, UNIT)] == [1, 1, NONE]


def test_none_is_made_up_of_pages_that_differ() -> None:
    data = write(Picture((RGB, RGB[:3]), "tif", None, {}), None).data or b""
    with Image.open(io.BytesIO(data)) as opened:
        for page in range(2):
            opened.seek(page)
            assert opened.getexif()[UNIT] == NONE


def test_a_resolution_that_a_jpeg_header_cannot_hold_is_its_largest() -> None:
    data = write(Picture((RGB,), "jpg", (1e5, 1e5), {}), None).data
    assert dpi_of(data) == [(65_535, 65_535)]


def test_exif_after_the_pixels_of_a_png_goes_along() -> None:
    """libvips passes over it; Pillow and browsers do not."""
    data = png(late=((b"eXIf", exif(orientation=6)[6:]),))
    picture = read(data)
    np.testing.assert_array_equal(picture.pages[0], np.rot90(RGB, -1))
    assert picture.notes == ()
    written = Image.open(io.BytesIO(write(picture, None).data or b"")).getexif()
    assert (written[ARTIST], written.get(ORIENTATION, 1)) == ("Somebody", 1)


@pytest.mark.parametrize("kind", [b"pHYs", b"cICP", b"gAMA", b"sRGB", b"iCCP"])
def test_other_chunks_after_the_pixels_of_a_png_are_named(kind: bytes) -> None:
    data = {b"pHYs": phys(3_000, 2_000, 1)[1], b"cICP": bytes([9, 16, 0, 1])}.get(kind, bytes(4))
    picture = read(png(late=((kind, data),)))
    assert picture.notes == (f"its {kind.decode()} is left out: it follows the pixels",)
    assert (picture.resolution, picture.metadata) == (None, {})


MAIN, FURTHER = (
    b"http://ns.adobe.com/xap/1.0/\0<main/>",
    b"http://ns.adobe.com/xmp/extension/\0" + bytes(40) + b"<more/>",
)


@pytest.mark.parametrize(
    ("segments", "packet"),
    [
        ((MAIN, FURTHER), b"<main/>"), ((FURTHER, MAIN), b"<main/>"), ((FURTHER,), None),
        ((b"http://example.org/\0<other/>", MAIN), b"<main/>"), ((MAIN, MAIN.replace(b"main", b"next")), b"<main/>"),
    ],
)  # fmt: skip
def test_xmp_of_a_jpeg_is_its_first_packet_and_no_extension(segments: tuple[bytes, ...], packet: bytes | None) -> None:
    plain = saved([RGB], "JPEG")
    inserted = b"".join(b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data for data in segments)
    picture = read(plain[:20] + inserted + plain[20:])
    assert picture.metadata.get("xmp-data") == packet
    assert picture.notes == (("the extension of its XMP is left out",) if FURTHER in segments else ())
