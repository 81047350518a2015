"""Files in and out, with Pillow as the independent witness for what a file holds."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

from fsrcnn.errors import ImageError, UsageError
from fsrcnn.images import Picture, read, write
from support import png_bomb

GENERATOR = np.random.default_rng(0)
RGB = GENERATOR.integers(0, 256, (24, 33, 3), dtype=np.uint8)


def pillow_bytes(pixels: np.ndarray, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, **options)
    return buffer.getvalue()


def opened(path: Path) -> Image.Image:
    """What Pillow reads; Pillow would keep a file open for its later frames."""
    return Image.open(io.BytesIO(path.read_bytes()))


def through_file(picture: Picture, tmp_path: Path, name: str, **options: Any) -> Path:
    target = tmp_path / name
    write(picture, target, **options)
    return target


@settings(max_examples=50)
@given(
    st.sampled_from([1, 2, 3, 4]),
    st.sampled_from(["uint8", "uint16"]),
    st.sampled_from(["png", "tif"]),
    st.integers(1, 9),
    st.integers(1, 9),
)
def test_lossless_formats_give_the_pixels_back(bands: int, dtype: str, format: str, height: int, width: int) -> None:
    shape = (height, width) if bands == 1 else (height, width, bands)
    pixels = np.random.default_rng(bands).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)
    data = write(Picture((pixels,), format), None).data
    assert data is not None
    again = read(data)
    assert again.format == format
    np.testing.assert_array_equal(again.pages[0], pixels)
    assert again.pages[0].dtype == pixels.dtype


def test_pillow_sees_the_same_pixels(tmp_path: Path) -> None:
    for name in ("a.png", "a.tif"):
        np.testing.assert_array_equal(np.asarray(opened(through_file(Picture((RGB,), "png"), tmp_path, name))), RGB)
    jpeg = np.asarray(opened(through_file(Picture((RGB,), "png"), tmp_path, "a.jpg", quality=100))).astype(int)
    assert np.abs(jpeg - RGB).mean() < 3
    deep = GENERATOR.integers(0, 65536, (5, 7), dtype=np.uint16)
    np.testing.assert_array_equal(np.asarray(opened(through_file(Picture((deep,), "png"), tmp_path, "d.png"))), deep)


def test_float_tiff() -> None:
    pixels = GENERATOR.random((9, 8, 3), np.float32)
    data = write(Picture((pixels,), "tif"), None).data
    assert data is not None
    np.testing.assert_array_equal(read(data).pages[0], pixels)
    data = write(Picture((pixels * 100,), "tif"), None).data
    assert data is not None
    with pytest.raises(ImageError, match="outside 0 … 1"):
        read(data)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Maker"
    path = tmp_path / "o.png"
    Image.fromarray(RGB).save(path, exif=exif)
    upright = ImageOps.exif_transpose(opened(path))
    assert upright is not None
    picture = read(path)
    np.testing.assert_array_equal(picture.pages[0], np.asarray(upright))
    written = opened(through_file(picture, tmp_path, "again.png"))
    assert written.getexif().get(0x0112, 1) == 1
    assert written.getexif()[0x010F] == "Maker"
    np.testing.assert_array_equal(np.asarray(written), np.asarray(upright))


@pytest.mark.parametrize("format", ["png", "jpg", "webp", "tif", "avif"])
def test_metadata_travels(format: str, tmp_path: Path) -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a/></x:xmpmeta>'
    source = tmp_path / f"source.{format}"
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp.decode())
    carried: dict[str, Any] = {"pnginfo": text} if format == "png" else {"xmp": xmp}
    if format == "tif":
        carried = {"tiffinfo": {700: xmp}}
    else:
        carried["exif"] = exif
    Image.fromarray(RGB).save(source, icc_profile=icc, dpi=(300, 300), **carried)
    picture = read(source)
    out = through_file(picture, tmp_path, f"out.{format}")
    written = opened(out)
    assert written.info["icc_profile"] == icc
    if format != "tif":  # libvips neither reads nor writes EXIF in a TIFF
        assert written.getexif()[0x010F] == "Maker"
    assert b"<a/>" in read(out).metadata["xmp-data"]
    if format in ("png", "jpg", "tif"):  # the others have no resolution of their own
        assert picture.resolution == pytest.approx((300 / 25.4, 300 / 25.4), rel=1e-3)
        assert tuple(map(float, written.info["dpi"])) == pytest.approx((300, 300), rel=1e-3)


def test_palettes_and_one_bit_become_8_bit(tmp_path: Path) -> None:
    palette = Image.fromarray(RGB).quantize(16)
    palette.save(tmp_path / "p.png")
    np.testing.assert_array_equal(read(tmp_path / "p.png").pages[0], np.asarray(palette.convert("RGB")))
    palette.save(tmp_path / "t.png", transparency=0)
    np.testing.assert_array_equal(read(tmp_path / "t.png").pages[0][:, :, 3] == 0, np.asarray(palette) == 0)
    mask = Image.fromarray(RGB[:, :, 0] > 127)
    for name in ("b.png", "b.tif"):
        mask.save(tmp_path / name)
        np.testing.assert_array_equal(read(tmp_path / name).pages[0], np.asarray(mask.convert("L")))


def test_cmyk_becomes_srgb(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "c.jpg", quality=100)
    picture = read(tmp_path / "c.jpg")
    assert picture.pages[0].shape == (8, 8, 3)
    assert "icc-profile-data" not in picture.metadata
    red, green, blue = picture.pages[0].reshape(-1, 3).mean(axis=0)
    assert red > 200
    assert green < 80
    assert blue < 80


def test_transparency_becomes_white_in_a_jpeg() -> None:
    clear = np.zeros((16, 16, 4), np.uint8)
    data = write(Picture((clear,), "png"), None, format="jpg").data
    assert data is not None
    assert read(data).pages[0].min() > 250


@pytest.mark.parametrize("format", ["gif", "webp", "tif"])
def test_frames_and_pages(format: str, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (12, 10), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    source = tmp_path / f"three.{format}"
    options: dict[str, Any] = {"duration": 120, "loop": 0} if format != "tif" else {}
    if format == "webp":
        options["lossless"] = True
    frames[0].save(source, save_all=True, append_images=frames[1:], **options)
    picture = read(source)
    assert [page.shape[:2] for page in picture.pages] == [(10, 12)] * 3
    out = opened(through_file(picture, tmp_path, f"out.{format}"))
    assert getattr(out, "n_frames", 1) == 3
    for number, colour in enumerate(((255, 0, 0), (0, 255, 0), (0, 0, 255))):
        out.seek(number)
        assert np.abs(np.asarray(out.convert("RGB")).astype(int) - colour).max() < 12
    if format != "tif":
        assert picture.metadata["delay"] == [120, 120, 120]
    with pytest.raises(UsageError, match="3 pages or frames, which jpg cannot hold"):
        write(picture, tmp_path / "no.jpg")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    png, jpeg = pillow_bytes(np.tile(RGB, (8, 8, 1)), "PNG"), pillow_bytes(np.tile(RGB, (8, 8, 1)), "JPEG")
    cases: dict[str, tuple[bytes, str]] = {
        "empty.png": (b"", "is empty"),
        "cut.png": (png[: len(png) // 2], "is truncated; give tolerant=True"),
        "cut.jpg": (jpeg[: len(jpeg) // 2], "is truncated; give tolerant=True"),
        "text.png": (b"hello, I am text", "is not a picture that fsrcnn reads"),
        "bomb.png": (png_bomb(30_000, 30_000), "900 megapixels, more than the limit of 268.*max_pixels=900000000"),
        "phone.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "is HEIC, which this libvips cannot decode"),
        "vector.svg": (b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', "is not a picture"),
    }
    for name, (data, sentence) in cases.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(ImageError, match=sentence) as caught:
            read(path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
    with pytest.raises(ImageError, match="does not exist"):
        read(tmp_path / "missing.png")
    with pytest.raises(ImageError, match="is a folder"):
        read(tmp_path)
    with pytest.raises(ImageError, match="the data is empty"):
        read(b"")
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((3, 3), np.int32)).save(buffer, "TIFF")
    with pytest.raises(
        ImageError, match="holds signed 32-bit samples; fsrcnn takes whole numbers of 8 or 16 bit from 0 on"
    ):
        read(buffer.getvalue())


@pytest.mark.parametrize(
    ("dtype", "channels", "fact"),
    [
        ("int8", 3, "holds signed 8-bit samples; fsrcnn takes whole numbers of 8 or 16 bit from 0 on, and floating point"),
        ("int16", 3, "holds signed 16-bit samples;"), ("uint32", 3, "holds 32-bit whole-number samples;"),
        ("uint8", 5, "has 5 channels; fsrcnn takes 4 at most: grey or RGB, with alpha or one further channel"),
    ],
)  # fmt: skip
def test_samples_and_channels_that_are_not_taken(dtype: str, channels: int, fact: str) -> None:
    buffer = io.BytesIO()
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(buffer, np.zeros((8, 8, channels), dtype), photometric="rgb", planarconfig="contig")
    with pytest.raises(ImageError, match=f"the data {fact}"):
        read(buffer.getvalue())


def test_failed_writes_leave_nothing(tmp_path: Path) -> None:
    picture = Picture((RGB,), "png")
    old = tmp_path / "old.png"
    old.write_bytes(b"precious")
    with pytest.raises(ImageError, match="exists; give overwrite=True to replace it"):
        write(picture, old)
    assert old.read_bytes() == b"precious"
    write(picture, old, overwrite=True)
    assert read(old).pages[0].shape == RGB.shape
    file = tmp_path / "file"
    file.write_bytes(b"")
    with pytest.raises(ImageError, match="cannot write"):
        write(picture, file / "below.png")
    with pytest.raises(ImageError, match="No space left on device"):
        write(picture, Path("/dev/full"))
    with pytest.raises(UsageError, match="65,500"):
        write(Picture((np.zeros((1, 70_000), np.uint8),), "png"), tmp_path / "wide.jpg")
    with pytest.raises(UsageError, match="1 to 100"):
        write(picture, tmp_path / "q.jpg", quality=101)
    with pytest.raises(UsageError, match=r"not as '\.xyz'"):
        write(picture, tmp_path / "a.xyz")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "old.png"]
