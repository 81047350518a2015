"""The table of formats, against what the codec does with files."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from fsrcnn import formats
from fsrcnn.cli.options import as_option
from fsrcnn.errors import UsageError
from fsrcnn.formats import FORMATS
from fsrcnn.images import Picture, read, write


def written_and_read(picture: Picture, format: str) -> Picture:
    data = write(picture, None, format=format).data
    assert data is not None
    return read(data)


@pytest.mark.parametrize("format", FORMATS)
def test_the_codec_holds_what_the_table_says(format: str, tmp_path: Path) -> None:
    pages = tuple(np.full((20, 24, 3), value, np.uint8) for value in (10, 200))
    for ending in FORMATS[format].endings:
        write(Picture(pages[:1], "png"), tmp_path / f"a{ending}")
        assert read(tmp_path / f"a{ending}").format == format
        assert formats.format_of(tmp_path / f"A{ending.upper()}") == format
    for dtype, peak in (("uint8", 255), ("uint16", 65535), ("float32", 1)):
        deep = Picture((np.full((20, 24, 3), peak, dtype),), "png")
        assert (written_and_read(deep, format).pages[0].dtype == dtype) == (dtype in FORMATS[format].dtypes)
    if FORMATS[format].paged:
        assert len(written_and_read(Picture(pages, "png"), format).pages) == 2
    largest = FORMATS[format].largest_side
    if largest < 100_000:
        line = np.zeros((1, largest), np.uint8)
        assert written_and_read(Picture((line,), "png"), format).pages[0].shape[1] == largest
        with pytest.raises(UsageError, match=f"{format} holds at most {largest:,} on a side"):
            write(Picture((np.zeros((1, largest + 1), np.uint8),), "png"), None, format=format)


def test_float_pictures_become_the_deepest_whole_numbers() -> None:
    pixels = np.linspace(0, 1, 60, dtype=np.float32).reshape(6, 10)
    for format, peak in (("png", 65535), ("webp", 255)):
        again = written_and_read(Picture((pixels,), "png"), format).pages[0]
        assert again.dtype == (np.uint16 if peak > 255 else np.uint8)
        if format == "png":
            np.testing.assert_array_equal(again, np.floor(pixels.astype(np.float64) * peak + 0.5))


def test_a_tiff_has_64_bit_offsets_only_where_it_needs_them() -> None:
    data = write(Picture((np.zeros((5, 5), np.uint8),), "tif"), None).data
    assert data is not None
    assert data[:4] == b"II*\0"  # 42; a BigTIFF has 43
    huge = np.broadcast_to(np.uint16(0), (40_000, 40_000))  # 3.2 GB of one number
    assert formats.encoder_options("tif", None, (huge,))["bigtiff"]


@pytest.mark.parametrize("format", [name for name, row in FORMATS.items() if row.quality is not None])
def test_quality_counts_where_the_table_has_one(format: str) -> None:
    noise = Picture((np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8),), format)
    sizes = {
        quality: len(write(noise, None, quality=quality).data or b"") for quality in (None, 20, FORMATS[format].quality)
    }
    assert sizes[None] == sizes[FORMATS[format].quality]
    assert sizes[20] < sizes[None]


def test_names_and_endings(tmp_path: Path) -> None:
    assert [formats.check_format(name) for name in ("jpeg", ".JPG", "tiff", "PNG")] == ["jpg", "jpg", "tif", "png"]
    for name in ("xyz", "", "bmp", ".heic"):
        with pytest.raises(UsageError, match=f"png, jpg, webp, tif, avif, gif, not as '{name}'"):
            formats.check_format(name)
    with pytest.raises(UsageError, match="noending has no ending") as caught:
        formats.format_of(tmp_path / "noending")
    assert caught.value.sentence(as_option).endswith("give one of .png, .jpg, .webp, .tif, .avif, .gif, or --format")


def test_remedies_name_what_would_hold_the_picture() -> None:
    with pytest.raises(UsageError) as caught:
        formats.check_fits([(10, 10, 3)] * 3, "png", "a.tif")
    assert caught.value.sentence(as_option) == (
        "a.tif has 3 pages or frames, which png cannot hold; "
        "give --format webp or --format tif or --format gif, or take one: --page 1"
    )
    formats.check_fits([(10, 10, 3)] * 3, "png", "a.gif", animated=True)
    with pytest.raises(
        UsageError, match="pages of different sizes or channels, which webp cannot hold; give format='tif'"
    ):
        formats.check_fits([(10, 10, 3), (10, 10)], "webp", "a.tif")
    with pytest.raises(UsageError) as caught:
        formats.check_fits([(10, 70_000, 3)], "jpg", "a.png")
    assert str(caught.value) == (
        "a.png would have 70000×10 pixels, but jpg holds at most 65,500 on a side; give format='png' or format='tif'"
    )


def test_the_first_bytes_tell_what_a_picture_is_written_as() -> None:
    for format in FORMATS:
        data = write(Picture((np.zeros((8, 8, 3), np.uint8),), format), None).data
        assert data is not None
        assert formats.of_content(data[: formats.START]) == format
    for order in "<>":  # TIFF 6.0, and BigTIFF, whose version is 43
        for version in (42, 43):
            mark = b"II" if order == "<" else b"MM"
            assert formats.of_content(mark + struct.pack(f"{order}H", version) + bytes(60)) == "tif"
    for brands, expected in (  # ISO/IEC 14496-12: size, ftyp, major brand, version, compatible brands
        ([b"avif"], "avif"), ([b"heic", b"mif1"], "avif"), ([b"mif1", b"heic"], "avif"), ([b"xxxx", b"avif"], "avif"),
        ([b"isom", b"mp42"], None),
    ):  # fmt: skip
        box = b"ftyp" + brands[0] + bytes(4) + b"".join(brands[1:])
        assert formats.of_content(struct.pack(">I", len(box) + 4) + box + b"avif") == expected
    assert formats.of_content(b"BM" + bytes(60)) == "png"
    for text in (b"", b"text", b"RIFF\0\0\0\0WAVE", b"\x89PNG", b"<svg>"):
        assert formats.of_content(text) is None


def test_an_ending_stays_where_it_names_the_format() -> None:
    for name, format, expected in (
        ("a.jfif", "jpg", "a.jfif"), ("a.JPE", "jpg", "a.JPE"), ("a.png", "jpg", "a.jpg"), ("a", "tif", "a.tif"),
        ("a.b.bmp", "png", "a.b.png"),
        ("a.apng", "png", "a.png"), ("a.heic", "avif", "a.avif"), ("a.TIFF", "tif", "a.TIFF"),
    ):  # fmt: skip
        assert formats.with_ending(Path(name), format) == Path(expected)
