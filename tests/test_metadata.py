"""What a file carries beside its pixels goes along or is named, from every format to every other; Pillow reads what was written."""

from __future__ import annotations

import errno
import io
import os
import resource
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from fsrcnn import Upscaler
from fsrcnn.architecture import Architecture
from fsrcnn.arrays import Array
from fsrcnn.errors import ImageError, PictureWarning
from fsrcnn.formats import FORMATS
from fsrcnn.images import Picture, Written, metadata, read, tags, write
from fsrcnn.images.colour import CodePoints
from fsrcnn.size import Size
from support import random_weights, with_tags

WEIGHTS = random_weights(Architecture(scale=2, d=8, s=4, m=1))
RGB = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
IPTC = b"\x1c\x02\x50\0\2Me\x1c\x02\x78\0\5Hello"  # by-line and caption
XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
 xmlns:t="http://ns.adobe.com/tiff/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:o="urn:o" t:Orientation="6" o:Orientation="6"
 exif:PixelXDimension='32'><exif:PixelYDimension>24</exif:PixelYDimension><t:Make>32</t:Make></rdf:Description></rdf:RDF></x:xmpmeta>"""


def exif_block(orientation: int = 1, maker_note: bytes = b"note") -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist], exif[ExifTags.Base.Copyright] = "Artist of it", "(c) somebody"
    exif[ExifTags.Base.ImageDescription], exif[ExifTags.Base.Orientation] = "What it shows", orientation
    camera, place = exif.get_ifd(ExifTags.IFD.Exif), exif.get_ifd(ExifTags.IFD.GPSInfo)
    camera[ExifTags.Base.ExifImageWidth], camera[ExifTags.Base.ExifImageHeight] = 32, 24
    camera[ExifTags.Base.LensModel], camera[ExifTags.Base.MakerNote] = "A lens", maker_note
    place[ExifTags.GPS.GPSLatitudeRef], place[ExifTags.GPS.GPSLatitude] = "N", (50.0, 1.0, 2.0)
    return exif.tobytes()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def chunks_of(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def png_with(*chunks: tuple[bytes, bytes], pixels: Array = RGB) -> bytes:
    data = saved("png", pixels)
    return data[:33] + b"".join(chunk(*one) for one in chunks) + data[33:]


def saved(format: str, pixels: Array = RGB, **options: Any) -> bytes:
    buffer = io.BytesIO()
    name = {"jpg": "JPEG", "tif": "TIFF"}.get(format, format.upper())
    Image.fromarray(pixels).save(buffer, name, **options)
    return buffer.getvalue()


def opened(data: bytes | None) -> Image.Image:
    picture = Image.open(io.BytesIO(data or b""))
    picture.load()
    return picture


def segments_of(data: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 2
    while data[at + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", data, at + 2)
        found.append((data[at + 1], data[at + 4 : at + 2 + length]))
        at += 2 + length
    return found


def jpeg_with(*segments: tuple[int, bytes], rest: bytes = b"", **options: Any) -> bytes:
    data = saved("jpg", **options)
    return (
        data[:20]
        + b"".join(bytes([255, m]) + struct.pack(">H", len(d) + 2) + d for m, d in segments)
        + data[20:]
        + rest
    )


def full(format: str) -> bytes:
    """A file of a format with all that it can carry, written by Pillow."""
    carried: dict[str, Any] = {"icc_profile": PROFILE, "exif": exif_block(), "xmp": XMP}
    match format:
        case "png":
            texts = PngImagePlugin.PngInfo()
            texts.add_text("prompt", "a cat")
            texts.add_itxt("XML:com.adobe.xmp", XMP.decode())
            return saved("png", icc_profile=PROFILE, exif=exif_block(), pnginfo=texts)
        case "jpg":
            photoshop = (
                b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(IPTC)) + IPTC + b"\0" * (len(IPTC) % 2)
            )
            return jpeg_with((0xED, photoshop), comment=b"said beside", **carried)
        case "tif":
            own = Image.Exif()
            own.load(exif_block())
            own[33723], own[700] = IPTC, XMP
            return saved("tif", icc_profile=PROFILE, exif=own)
        case "gif":
            return saved("gif", comment=b"said beside")
    return saved(format, **carried)


def items(data: bytes | None) -> set[str]:
    """What Pillow finds in a file, by the names that notes use."""
    picture = opened(data)
    exif, info = picture.getexif(), picture.info
    photoshop = info.get("photoshop", {}).get(0x0404) or exif.get(33723)
    found = {
        "ICC profile": info.get("icc_profile") == PROFILE,
        "EXIF": exif.get(ExifTags.Base.Artist) == "Artist of it"
        and exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.LensModel) == "A lens"
        and exif.get_ifd(ExifTags.IFD.GPSInfo).get(ExifTags.GPS.GPSLatitude) == (50.0, 1.0, 2.0),
        "XMP": b"<t:Make>32</t:Make>" in b"".join(
            x.encode() if isinstance(x, str) else x
            for x in (info.get("xmp"), info.get("XML:com.adobe.xmp"), exif.get(700)) if x
        ),
        "IPTC": photoshop == IPTC,
        "texts": info.get("prompt") == "a cat",
        "comment": info.get("comment", info.get("Comment")) in (b"said beside", "said beside"),
    }  # fmt: skip
    return {name for name, there in found.items() if there}


CARRIED = {
    "png": {"ICC profile", "EXIF", "XMP", "texts"}, "jpg": {"ICC profile", "EXIF", "XMP", "IPTC", "comment"},
    "webp": {"ICC profile", "EXIF", "XMP"}, "tif": {"ICC profile", "EXIF", "XMP", "IPTC"},
    "avif": {"ICC profile", "EXIF", "XMP"}, "gif": {"comment"},
}  # fmt: skip


@pytest.mark.parametrize("after", FORMATS)
@pytest.mark.parametrize("before", FORMATS)
def test_nothing_is_lost_silently(before: str, after: str) -> None:
    source = full(before)
    assert items(source) == CARRIED[before]
    picture = read(source)
    assert picture.notes == ()
    written = write(picture, None, format=after)
    kept = items(written.data)
    assert kept == CARRIED[before] & (CARRIED[after] | ({"comment"} if after == "png" else set()))
    lost = CARRIED[before] - kept
    assert len(written.notes) == len(lost)
    assert all(any(f"its {name}" in note for note in written.notes) for name in lost)


@pytest.mark.parametrize("after", FORMATS)
@pytest.mark.parametrize("before", FORMATS)
def test_a_plain_picture_needs_no_word(before: str, after: str) -> None:
    """What an encoder writes into every file is nothing that a person had there."""
    picture = read(write(Picture((RGB,), before), None).data or b"")
    assert picture.notes == write(picture, None, format=after).notes == ()


def test_texts_of_a_png_stay_byte_for_byte() -> None:
    texts = [
        (b"tEXt", b"prompt\0a caf\xe9"), (b"zTXt", b"Long text\0\0" + zlib.compress(b"word " * 999)),
        (b"iTXt", "workflow\0\0\0de\0übersetzt\0Grüße".encode()), (b"tEXt", b"prompt\0again"),
        (b"iTXt", b"Raw\0\1\0\0\0" + zlib.compress(b"x")),
    ]  # fmt: skip
    written = write(read(png_with(*texts)), None)
    assert written.notes == ()
    assert [one for one in chunks_of(written.data or b"") if one[0] in (b"tEXt", b"zTXt", b"iTXt")] == texts
    names = [(b"tEXt", b"\x1b[31m" + b"n" * 70 + b"\0x"), *((b"tEXt", b"key%d\0x" % number) for number in range(7))]
    (note,) = write(read(png_with(*names)), None, format="jpg").notes
    assert (
        note == "its texts (?[31m" + "n" * 35 + ", key0, key1, key2, key3 and 3 more) are left out: only png holds them"
    )


@pytest.mark.parametrize("format", ["png", "jpg", "webp", "tif", "avif"])
def test_exif_and_xmp_follow_the_pixels(format: str) -> None:
    picture = read(jpeg_with(exif=exif_block(orientation=6), xmp=XMP))
    assert picture.pages[0].shape[:2] == (32, 24)
    larger = Picture((np.zeros((96, 72, 3), np.uint8),), format, None, picture.metadata)
    written = write(larger, None)
    assert written.notes == ()
    exif = opened(written.data).getexif()
    assert exif.get(ExifTags.Base.Orientation, 1) == 1
    camera = exif.get_ifd(ExifTags.IFD.Exif)
    assert (camera[ExifTags.Base.ExifImageWidth], camera[ExifTags.Base.ExifImageHeight]) == (72, 96)
    expected = (
        XMP.replace(b't:Orientation="6" o:', b't:Orientation="1" o:')
        .replace(b"'32'", b"'72'")
        .replace(b">24<", b">96<")
    )
    assert read(written.data or b"").metadata["xmp-data"] == expected


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be"])
def test_xmp_in_any_encoding(encoding: str) -> None:
    before = XMP.decode().encode(encoding)
    picture = Picture((RGB,), "webp", None, {"xmp-data": before})
    after = read(write(picture, None).data or b"").metadata["xmp-data"]
    assert after.decode(encoding) == XMP.decode().replace('t:Orientation="6" o:', 't:Orientation="1" o:')


def test_the_thumbnail_of_the_old_pixels_goes() -> None:
    thumbnail = saved("jpg", RGB[:8, :8])
    first = struct.pack("<HHHIHHI", 1, 274, 3, 1, 6, 0, 8 + 18)
    second = struct.pack("<HHHIIHHIII", 2, 513, 4, 1, 8 + 18 + 30, 514, 4, 1, len(thumbnail), 0)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + first + second + thumbnail
    source = jpeg_with((0xE1, exif))
    assert opened(source).getexif().get_ifd(ExifTags.IFD.IFD1)
    for format in ("jpg", "png", "webp", "tif"):
        data = write(read(source), None, format=format).data
        assert not opened(data).getexif().get_ifd(ExifTags.IFD.IFD1)
        assert thumbnail[-40:] not in (data or b"")


@pytest.mark.parametrize("format", [name for name in FORMATS if name != "gif"])
@pytest.mark.parametrize(
    ("key", "value", "kept", "note"),
    [
        ("icc-profile-data", PROFILE + b"\0\0", PROFILE, ""),
        ("icc-profile-data", PROFILE[:-2], None, "its ICC profile is left out: it is damaged, or not one of RGB"),
        ("icc-profile-data", b"profile", None, "its ICC profile is left out: it is damaged, or not one of RGB"),
        ("icc-profile-data", PROFILE.replace(b"RGB ", b"CMYK", 1), None,
         "its ICC profile is left out: it is damaged, or not one of RGB"),
        ("exif-data", b"Exif\0\0nonsense", None, "its EXIF is damaged and left out"),
        ("exif-data", exif_block()[:20], None, "its EXIF is damaged and left out"),
    ],
)  # fmt: skip
def test_damaged_metadata_do_not_stop_a_picture(
    format: str, key: str, value: bytes, kept: bytes | None, note: str
) -> None:
    written = write(Picture((RGB,), format, None, {key: value}), None)
    assert written.notes == ((note,) if note else ())
    again = read(written.data or b"")
    assert again.pages[0].shape == RGB.shape
    if key == "icc-profile-data":
        assert again.metadata.get(key) == kept


@pytest.mark.parametrize("format", [name for name in FORMATS if name != "gif"])
def test_a_profile_that_only_the_encoder_refuses(format: str) -> None:
    """What else the picture has is written; the profile is there, or named."""
    profile = bytearray(PROFILE)
    profile[128:132] = b"\xff\xff\xff\xff"  # so many tags that libpng gives up
    metadata = {"icc-profile-data": bytes(profile), "exif-data": exif_block(), "xmp-data": XMP}
    written = write(Picture((RGB,), format, None, metadata), None)
    assert {"EXIF", "XMP"} <= items(written.data)
    kept = opened(written.data).info.get("icc_profile") == bytes(profile)
    named = [note for note in written.notes if note.startswith("its ICC profile could not be written")]
    assert len(named) == (not kept)
    assert len(written.notes) == len(named)


@pytest.mark.parametrize(
    ("metadata", "kept", "notes"),
    [
        ({"exif-data": exif_block(maker_note=b"m" * 64_000)}, {"EXIF"},
         ("the maker note of its EXIF is left out: jpg holds at most 64 kB of EXIF",)),
        ({"exif-data": tags.block(tags.Tags({270: tags.Tag(2, b"d" * 70_000, "<")}))}, set(),
         ("its EXIF is left out: jpg holds at most 64 kB of it",)),
        ({"xmp-data": XMP + b" " * 70_000 + b'<?xpacket end="w"?>'}, {"XMP"}, ()),
        ({"xmp-data": XMP.replace(b">32<", b">" + b"m" * 70_000 + b"<")}, set(),
         ("its XMP is left out: jpg holds at most 64 kB of it",)),
    ],
)  # fmt: skip
def test_what_is_too_large_for_a_jpeg(metadata: dict[str, Any], kept: set[str], notes: tuple[str, ...]) -> None:
    written = write(Picture((RGB,), "jpg", None, metadata), None)
    assert written.notes == notes
    assert items(written.data) == kept


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [1, 4, 7])
def test_iptc_of_a_tiff_is_whole(order: tags.Order, kind: int) -> None:
    padded = IPTC + b"\0" * (-len(IPTC) % 4)
    if kind == 4 and order == ">":  # LONGs, written by a machine of that order
        padded = b"".join(padded[at : at + 4][::-1] for at in range(0, len(padded), 4))
    file = io.BytesIO(saved("tif"))
    tags.lay_into(file, tags.Tags({33723: tags.Tag(kind, padded, "<")}), {})
    picture = read(file.getvalue())
    assert picture.metadata["iptc"] == IPTC
    for format in ("tif", "jpg"):
        assert items(write(picture, None, format=format).data) == {"IPTC"}


@pytest.mark.parametrize("format", ["png", "jpg", "webp", "avif", "tif"])
def test_no_resolution_and_no_exif_are_made_up(format: str) -> None:
    """Of a file that says neither: none is read, and no EXIF is written; of one that says 72 dpi, the resolution grows."""
    name = {"jpg": "JPEG", "tif": "TIFF"}.get(format, format.upper())
    for dpi in (None, (72, 72)):
        buffer = io.BytesIO()
        Image.fromarray(RGB).save(buffer, name, **({"dpi": dpi} if dpi else {}))
        picture = read(buffer.getvalue())
        told = dpi is not None and format in ("png", "jpg", "tif")  # where Pillow writes it
        assert picture.resolution == (pytest.approx((72 / 25.4, 72 / 25.4), rel=1e-3) if told else None)
        assert "exif" not in Image.open(io.BytesIO(write(picture, None).data or b"")).info


def tifffile_bytes(pixels: Array, **options: Any) -> bytes:
    tifffile = pytest.importorskip("tifffile")
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, metadata=None, **options)
    return buffer.getvalue()


def tiff_pages(data: bytes | None) -> Any:
    return pytest.importorskip("tifffile").TiffFile(io.BytesIO(data or b"")).pages


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_tags_of_a_tiff(byteorder: str, bigtiff: bool) -> None:
    source = tifffile_bytes(
        np.stack([RGB, 255 - RGB]), photometric="rgb", byteorder=byteorder, bigtiff=bigtiff, software="Soft", description="Words",
        extratags=[(315, "s", 0, "Artist of it", True), (33432, "s", 0, "(c) somebody", True), (18246, "H", 1, 4, True),
                   (318, "2I", 2, (3127, 10_000, 3290, 10_000), True)],
    )  # fmt: skip
    picture = read(source)
    assert picture.notes == ()
    written = write(picture, None)
    assert written.notes == ()
    first, second = tiff_pages(written.data)
    values = {tag.code: tag.value for tag in first.tags}
    assert (values[270], values[305], values[315], values[33432]) == ("Words", "Soft", "Artist of it", "(c) somebody")
    assert (values[18246], values[318]) == (4, (3127, 10_000, 3290, 10_000))
    np.testing.assert_array_equal(first.asarray(), RGB)
    np.testing.assert_array_equal(second.asarray(), 255 - RGB)
    assert 315 not in second.tags
    png = opened(write(Picture(picture.pages[:1], "png", None, picture.metadata), None).data).getexif()
    assert (png[270], png[315], png[33432]) == ("Words", "Artist of it", "(c) somebody")


@pytest.mark.parametrize("layout_first", [False, True])
@pytest.mark.parametrize("layout", [b'{"shape": [24, 32, 3]}', b"ImageJ=1.53t"])
def test_a_description_beside_that_of_the_layout(layout: bytes, layout_first: bool) -> None:
    both = [(b"A bridge", 1), (layout, 2)][:: -1 if layout_first else 1]
    source = tifffile_bytes(RGB, photometric="rgb", extratags=[(270, "s", 0, text, True) for text, _ in both])
    picture = read(source)
    assert picture.notes == ()
    written = write(picture, None)
    assert [(tag.code, tag.value) for tag in tiff_pages(written.data)[0].tags if tag.code == 270] == [(270, "A bridge")]
    buffer = io.BytesIO()
    pytest.importorskip("tifffile").imwrite(
        buffer, RGB, photometric="rgb", description="A bridge"
    )  # with its own after it
    assert opened(write(read(buffer.getvalue()), None, format="jpg").data).getexif()[270] == "A bridge"


@pytest.mark.parametrize(
    ("tag", "note"),
    [
        ((270, "s", 0, "ImageJ=1.53t\nimages=1", True), "its description is left out: a program wrote the old size into it"),
        ((33550, "d", 3, (1.0, 1.0, 0.0), True), "its place on the map (GeoTIFF) is left out: it belongs to the old pixels"),
    ],
)  # fmt: skip
def test_tags_that_tell_of_the_old_pixels(tag: tuple[Any, ...], note: str) -> None:
    picture = read(tifffile_bytes(RGB, photometric="rgb", extratags=[tag]))
    assert picture.notes == (note,)
    assert (
        read(tifffile_bytes(RGB, photometric="rgb")).notes == ()
    )  # tifffile's own description is the old size and no more
    (page,) = tiff_pages(write(picture, None).data)
    assert tag[0] not in page.tags


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize(("colours", "extra"), [(3, 1), (1, 1), (1, 2), (1, 3)])
def test_channels_that_are_no_alpha(colours: int, extra: int, dtype: str) -> None:
    generator = np.random.default_rng(colours + extra)
    peak = 1 if dtype == "float32" else np.iinfo(dtype).max
    pixels = (generator.random((20, 24, colours + extra)) * peak).astype(dtype)
    pixels[5:15, 5:15, -1] = 0  # alpha would hide the colours here, and they would be repainted
    photometric = "rgb" if colours == 3 else "minisblack"
    picture = read(tifffile_bytes(pixels, photometric=photometric, planarconfig="contig", extrasamples=[0] * extra))
    assert picture.extra() == extra
    upscaler = Upscaler(WEIGHTS, engine="numpy")
    written = write(upscaler.picture(picture, Size(factor=2)), None)
    assert written.notes == ()
    (page,) = tiff_pages(written.data)
    assert (page.photometric.name, [int(sample) for sample in page.extrasamples]) == (photometric.upper(), [0] * extra)
    colour = pixels[:, :, :3] if colours == 3 else pixels[:, :, 0]
    large = read(written.data or b"").pages[0]
    if dtype != "float32":  # whose predictor needs a further package in tifffile
        np.testing.assert_array_equal(large, page.asarray())
    np.testing.assert_array_equal(large[:, :, :colours].squeeze(), upscaler(colour))
    np.testing.assert_array_equal(large[:, :, -1], upscaler(np.ascontiguousarray(pixels[:, :, -1])))
    other = write(picture, None, format="png")
    assert read(other.data or b"").pages[0].shape == colour.shape
    named = "a channel that is" if extra == 1 else f"{extra} channels that are"
    lost = f"{named} neither colour nor transparency left out: only tif holds it"
    assert other.notes == (lost, *(["its 32 bits became 16: png holds no more"] if dtype == "float32" else []))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_premultiplied_alpha_becomes_straight(dtype: str) -> None:
    peak = {"uint8": 255, "uint16": 65535, "float32": 1}[dtype]
    straight = np.array([[[1.0, 0.4, 0.0, 0.5], [0.2, 0.6, 0.8, 1.0]]] * 4)
    multiplied = straight * np.dstack([straight[..., 3:]] * 3 + [np.ones((4, 2, 1))])
    picture = read(tifffile_bytes((multiplied * peak).astype(dtype), photometric="rgb", extrasamples=[1]))
    assert np.abs(picture.pages[0] / peak - straight).max() < 0.01
    (page,) = tiff_pages(write(picture, None).data)
    assert int(page.extrasamples[0]) == 2


GAIN_MAP_XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
 xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" xmlns:Container="http://ns.google.com/photos/1.0/container/"
 xmlns:Item="http://ns.google.com/photos/1.0/container/item/" xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" MOTION
 hdrgm:Version="1.0" x:Kept="yes"><Container:Directory><rdf:Seq><rdf:li><Container:Item Item:Semantic="GainMap"/></rdf:li></rdf:Seq>
 </Container:Directory></rdf:Description></rdf:RDF></x:xmpmeta>"""
NO_GAIN_MAP = "its gain map is left out: the picture is what screens without HDR show"


def with_second(second: bytes, kind: int = 0, **options: Any) -> bytes:
    """A JPEG with a multi-picture index and a second picture after it."""
    first = jpeg_with(**options)
    length = 4 + 8 + 2 + 24 + 4 + 32 + 4
    index = b"MPF\0II*\0\x08\0\0\0" + struct.pack("<HHHIIHHIII", 2, 0xB001, 4, 1, 2, 0xB002, 7, 32, 38, 0)
    index += struct.pack("<IIIHH", 0x030000, len(first), 0, 0, 0)
    index += struct.pack("<IIIHH", kind, len(second), len(first) + len(index) + 4 - 28, 0, 0)
    assert len(index) <= length
    return first[:20] + b"\xff\xe2" + struct.pack(">H", len(index) + 2) + index + first[20:] + second


@pytest.mark.parametrize(
    ("source", "notes"),
    [
        (jpeg_with(xmp=GAIN_MAP_XMP.replace(b"MOTION", b"")), (NO_GAIN_MAP,)),
        (jpeg_with((0xE2, b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0")), (NO_GAIN_MAP,)),
        (jpeg_with(xmp=GAIN_MAP_XMP.replace(b"MOTION", b'GCamera:MotionPhoto="1"'), rest=b"mp4"),
         (NO_GAIN_MAP, "its video (motion photo) is left out")),
        (with_second(jpeg_with(xmp=b"urn:com:apple:photo:2020:aux:hdrgainmap")), (NO_GAIN_MAP,)),
        (with_second(saved("jpg"), kind=0x020002), ("1 more picture in its file (MPF) is left out",)),
        (with_second(saved("jpg"), kind=0x010001), ()),
    ],
)  # fmt: skip
def test_what_follows_a_jpeg_in_its_file(source: bytes, notes: tuple[str, ...]) -> None:
    picture = read(source)
    assert picture.notes == notes
    data = write(picture, None, format="jpg").data or b""
    assert opened(data).format == "JPEG"
    for stale in (b"hdrgm:Version", b"GainMap", b"MotionPhoto=", b"MPF\0", b"21496"):
        assert stale not in data
    if b"x:Kept" in source:
        assert b'x:Kept="yes"' in data


@pytest.mark.parametrize(
    ("mode", "format", "colours"),
    [
        *(("RGB", format, "RGB") for format in ("PNG", "JPEG", "WEBP", "TIFF", "AVIF")),
        ("L", "PNG", "grey"), ("CMYK", "JPEG", "CMYK or CIELAB"), ("CMYK", "TIFF", "CMYK or CIELAB"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("profile", [b"junk" * 50, PROFILE[:-1]])
def test_a_damaged_profile_is_said_of_every_format(mode: str, format: str, colours: str, profile: bytes) -> None:
    buffer = io.BytesIO()
    Image.fromarray(RGB).convert(mode).save(buffer, format, icc_profile=profile)
    picture = read(buffer.getvalue())
    for target in FORMATS:
        notes = [*picture.notes, *write(picture, None, format=target).notes]
        assert f"its ICC profile is left out: it is damaged, or not one of {colours}" in notes
        assert [note for note in notes if "ICC" in note] == notes[-1:]


@pytest.mark.parametrize("profile", [None, pyvips.Image.profile_load("cmyk")])
def test_cmyk_is_said(profile: bytes | None) -> None:
    cmyk = io.BytesIO()
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(cmyk, "JPEG", icc_profile=profile)
    picture = read(cmyk.getvalue())
    assert picture.notes == ("its CMYK colours became sRGB",)
    assert write(picture, None).notes == ()


def test_what_an_encoder_drops_without_a_word_is_named() -> None:
    exif = Image.Exif()
    exif[18246], exif[ExifTags.Base.Artist] = 4, "Artist of it"  # a rating, which libexif does not know
    written = write(Picture((RGB,), "jpg", None, {"exif-data": exif.tobytes()}), None)
    assert written.notes == ("of its EXIF Rating could not be written",)
    assert opened(written.data).getexif()[ExifTags.Base.Artist] == "Artist of it"


def test_lost_tags_by_the_names_that_people_know() -> None:
    place = {number: tags.Tag(1, b"\2", "<") for number in (0, 2)}
    camera = {number: tags.Tag(7, b"12345678", "<") for number in (0x927C, 42036, 0x9999)}
    block = tags.block(tags.Tags({315: tags.Tag(2, b"me\0", "<")}, camera, place))
    wanted = metadata.fitted({"exif-data": block}, "jpg", grey=False, width=8, height=8)
    assert metadata.missing(wanted, {}) == (
        "of its EXIF the maker note, a tag 0x9999, LensModel, the place (GPS), Artist could not be written",
    )


def test_channels_that_are_no_alpha_on_every_page() -> None:
    picture = Picture(
        (np.dstack([RGB, RGB[:, :, 0]]),) * 3, "tif", None, {"extra-samples": 1, "exif-data": exif_block()}
    )
    pages = tiff_pages(write(picture, None).data)
    assert [[int(sample) for sample in page.extrasamples] for page in pages] == [[0]] * 3


def test_bmp_resolution_and_profile() -> None:
    plain = saved("bmp", dpi=(300, 150))
    pixels = plain[54:]
    head = bytearray(plain[:14] + struct.pack("<I", 124) + plain[18:54] + bytes(84))
    head[2:6], head[10:14] = struct.pack("<I", 138 + len(pixels) + len(PROFILE)), struct.pack("<I", 138)
    head[70:74] = b"DEBM"  # 'MBED', little endian
    head[126:134] = struct.pack("<II", 124 + len(pixels), len(PROFILE))
    for data, profile in ((plain, None), (bytes(head) + pixels + PROFILE, PROFILE)):
        picture = read(data)
        np.testing.assert_array_equal(picture.pages[0], RGB)
        assert picture.resolution == pytest.approx((300 / 25.4, 150 / 25.4), rel=1e-3)
        assert picture.metadata.get("icc-profile-data") == profile
        assert opened(write(picture, None).data).info["dpi"] == pytest.approx((300, 150), rel=1e-3)


def test_frames_keep_their_times() -> None:
    frames = [Image.fromarray(np.roll(RGB, shift, 1)) for shift in (0, 5, 9)]
    source = io.BytesIO()
    frames[0].save(
        source, "GIF", save_all=True, append_images=frames[1:], duration=[50, 120, 200], loop=3, comment=b"said"
    )
    for format in ("gif", "webp"):
        data = write(read(source.getvalue()), None, format=format).data or b""
        picture = read(data)
        assert opened(data).info.get("comment") == (b"said" if format == "gif" else None)
        if format == "gif":  # some programs look for the number of repeats right after the colours
            assert data.index(b"NETSCAPE2.0") < data.index(b"\x21\xfe\x04said")
        assert opened(data).info["loop"] == (3 if format == "gif" else 4)  # GIF counts repeats, WebP how often it plays
        assert picture.metadata["delay"] == [50, 120, 200]
        assert picture.metadata["loop"] == read(source.getvalue()).metadata["loop"]


def test_transparency_that_a_jpeg_cannot_hold_is_said() -> None:
    full = np.dstack([RGB, np.full(RGB.shape[:2], 255, np.uint8)])
    half = full.copy()
    half[0, 0, 3] = 254
    note = "its transparency is left out: jpg holds none, so what was transparent became white"
    assert write(Picture((half,), "png"), None, format="jpg").notes == (note,)
    assert write(Picture((full,), "png"), None, format="jpg").notes == ()


@pytest.mark.parametrize(
    ("tag", "value", "sentence"),
    [
        (262, 6, "YCbCr colour that is not compressed as JPEG"),
        (262, 32803, "a camera's raw data"),
        (262, 32845, "LogLuv colour"),
        (258, 64, "samples of 64 bits"),
        (258, 12, "samples of 12 bits"),
    ],
)
def test_tiffs_whose_samples_would_be_misread(tag: int, value: int, sentence: str) -> None:
    plain = saved("TIFF", RGB[:, :, 0])

    def change(entries: list[bytes]) -> list[bytes]:
        kept = [entry for entry in entries if struct.unpack_from("<H", entry) != (tag,)]
        return sorted(
            [*kept, struct.pack("<HHIHH", tag, 3, 1, value, 0)], key=lambda entry: struct.unpack_from("<H", entry)
        )

    with pytest.raises(ImageError, match=f"holds {sentence}, which fsrcnn does not read"):
        read(with_tags(plain, change))


def test_ycbcr_in_a_tiff() -> None:
    colours = Image.fromarray(RGB).convert("YCbCr")
    buffer = io.BytesIO()
    colours.save(buffer, "TIFF")
    with pytest.raises(ImageError, match="YCbCr"):
        read(buffer.getvalue())
    compressed = io.BytesIO()
    Image.fromarray(RGB).save(compressed, "TIFF", compression="jpeg", quality=100)
    seen = np.asarray(Image.open(compressed).convert("RGB")).astype(int)
    assert np.abs(read(compressed.getvalue()).pages[0] - seen).mean() < 2


def test_floating_point_with_white_as_0() -> None:
    data = tifffile_bytes(RGB[:, :, 0] / np.float32(255), photometric="miniswhite")
    with pytest.raises(ImageError, match="floating-point samples of which 0 is white"):
        read(data)


def test_cmyk_tiffs_leave_their_profile() -> None:
    profile = pyvips.Image.profile_load("cmyk")
    ink = np.dstack([255 - RGB, np.zeros_like(RGB[:, :, 0])])
    picture = read(tifffile_bytes(ink, photometric="separated", iccprofile=bytes(profile)))
    assert picture.notes + write(picture, None).notes == ("its CMYK colours became sRGB",)
    image = Image.frombytes("CMYK", RGB.shape[1::-1], ink.tobytes())
    image.info["icc_profile"] = bytes(profile)
    result = np.asarray(Upscaler(WEIGHTS, engine="numpy")(image)).astype(int)
    through_profile = Upscaler(WEIGHTS, engine="numpy")(picture.pages[0])
    assert np.abs(result - through_profile).mean() < 3  # two colour managers


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_pil_picture_comes_out_upright(orientation: int) -> None:
    upscaler = Upscaler(WEIGHTS, engine="numpy")
    source = opened(jpeg_with(exif=exif_block(orientation), xmp=XMP, comment=b"said beside", dpi=(100, 50)))
    result = upscaler(source)
    upright = read(jpeg_with(exif=exif_block(orientation))).pages[0]
    np.testing.assert_array_equal(np.asarray(result), upscaler(np.ascontiguousarray(upright)))
    exif = result.getexif()
    assert exif.get(ExifTags.Base.Orientation, 1) == 1
    assert exif[ExifTags.Base.Artist] == "Artist of it"
    camera = exif.get_ifd(ExifTags.IFD.Exif)
    assert (camera[ExifTags.Base.ExifImageWidth], camera[ExifTags.Base.ExifImageHeight]) == result.size
    assert result.info["comment"] == b"said beside"
    assert b'o:Orientation="6"' in result.info["xmp"]


def test_a_pil_picture_of_a_png_keeps_its_texts() -> None:
    result = Upscaler(WEIGHTS, engine="numpy")(opened(full("png")))
    assert result.info["prompt"] == "a cat"
    assert "exif:PixelXDimension='64'" in result.info["XML:com.adobe.xmp"]


def test_notes_are_warnings_in_python(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(full("png"))
    upscaler = Upscaler(WEIGHTS, engine="numpy")
    with pytest.warns(PictureWarning, match=r"a\.png: its texts \(prompt\) are left out: only png holds them"):
        upscaler(path, output=tmp_path / "a.jpg")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        upscaler(path)


@pytest.mark.parametrize("format", FORMATS)
def test_damaged_bytes_lose_metadata_and_no_more(format: str) -> None:
    """Whatever a byte becomes, reading ends in a picture or in one sentence."""
    source = bytearray(full(format))
    generator = np.random.default_rng(len(format))
    for _ in range(150):
        damaged = source.copy()
        for at in generator.integers(0, min(len(source), 3000), 3):
            damaged[at] = generator.choice([0, 1, 127, 128, 255])
        try:
            picture = read(bytes(damaged), max_pixels=20_000)
        except ImageError:
            continue
        assert isinstance(write(Picture((RGB,), format, None, picture.metadata), None), Written)


@pytest.mark.parametrize("format", FORMATS)
def test_a_failed_write_gives_the_reason_of_the_system(format: str, tmp_path: Path) -> None:
    target = tmp_path / f"no space here.{format}"
    noise = Picture((np.random.default_rng(1).integers(0, 256, (99, 99, 3), dtype=np.uint8),), format)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # as a full device, but for this process alone
    try:
        with pytest.raises(ImageError) as caught:
            write(noise, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(caught.value) == f"cannot write {target}: {os.strerror(errno.EFBIG)}"
    assert list(tmp_path.iterdir()) == []


def test_code_points_with_a_profile() -> None:
    """A profile is what formats without code points use, even of HDR: whoever made the file gave it as the fallback."""
    metadata = {"icc-profile-data": PROFILE, "code-points": CodePoints(9, 16)}
    assert write(Picture((RGB,), "png", None, metadata), None, format="jpg").notes == ()
