"""Damaged files: every pixel, or one sentence; and what is no damage."""

from __future__ import annotations

import io
import re
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from fsrcnn.errors import FsrcnnError, ImageError
from fsrcnn.images import Picture, read
from support import png_chunk, saved, with_tags

SMALL = np.clip(np.cumsum(np.random.default_rng(1).integers(-9, 10, (20, 24, 3)), axis=0) + 128, 0, 255).astype(
    np.uint8
)
BIT = SMALL[:, :, 0] > 128
ALPHA = np.dstack([SMALL, SMALL[:, :, 0]])
DEEP = SMALL.astype(np.uint16)[:, :, 0] * 257
INNER_WORDS = re.compile(r"Vips|vips2|unable to|libpng|tiff2|VipsJpeg|load_buffer|\n")


def moving(format: str, **options: Any) -> bytes:
    return saved([np.roll(SMALL, shift, axis=0) for shift in (0, 3, 6)], format, duration=100, **options)


def tiled() -> bytes:
    tifffile = pytest.importorskip("tifffile", reason="it makes tiles and separate planes")
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, SMALL, photometric="rgb", tile=(16, 16), compression="zlib")
    return buffer.getvalue()


def separate_planes(**options: Any) -> bytes:
    tifffile = pytest.importorskip("tifffile", reason="it makes tiles and separate planes")
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.ascontiguousarray(SMALL.transpose(2, 0, 1)), photometric="rgb", **options)
    return buffer.getvalue()


WHOLE: dict[str, Callable[[], bytes]] = {
    "png": lambda: saved([SMALL], "PNG"),
    "png of 16 bits": lambda: saved([DEEP], "PNG"),
    "png, animated": lambda: moving("PNG"),
    "jpeg": lambda: saved([SMALL], "JPEG", quality=90),
    "jpeg without subsampling": lambda: saved([SMALL], "JPEG", subsampling=0),
    "grey jpeg": lambda: saved([SMALL[:, :, 0]], "JPEG"),
    "progressive jpeg": lambda: saved([SMALL], "JPEG", progressive=True),
    "jpeg with restarts": lambda: saved([SMALL], "JPEG", restart_marker_blocks=1),
    "webp": lambda: saved([SMALL], "WEBP"),
    "lossless webp": lambda: saved([ALPHA], "WEBP", lossless=True),
    "webp, animated": lambda: moving("WEBP"),
    "gif": lambda: saved([SMALL], "GIF"),
    "gif, animated": lambda: moving("GIF"),
    "avif": lambda: saved([ALPHA], "AVIF"),
    "avif, animated": lambda: moving("AVIF"),
    "bmp": lambda: saved([SMALL], "BMP"),
    "tiff": lambda: saved([SMALL], "TIFF"),
    "tiff, deflate": lambda: saved([SMALL], "TIFF", compression="tiff_deflate"),
    "tiff, lzw": lambda: saved([SMALL], "TIFF", compression="tiff_lzw"),
    "tiff, packbits": lambda: saved([SMALL], "TIFF", compression="packbits"),
    "tiff, jpeg": lambda: saved([SMALL], "TIFF", compression="jpeg"),
    "tiff, fax 3": lambda: saved([BIT], "TIFF", compression="group3"),
    "tiff, fax 4": lambda: saved([BIT], "TIFF", compression="group4"),
    "tiff of pages": lambda: saved([SMALL, SMALL[::-1]], "TIFF"),
    "tiff, tiles": tiled,
    "tiff, planes": lambda: separate_planes(compression="zlib", byteorder=">"),
    "big tiff": lambda: separate_planes(bigtiff=True),
}


def same(one: Picture, other: Picture) -> bool:
    return len(one.pages) == len(other.pages) and all(map(np.array_equal, one.pages, other.pages))


@pytest.mark.parametrize("name", WHOLE)
def test_a_file_cut_short_is_read_whole_or_refused(name: str) -> None:
    """Every cut of the last 40 bytes, and every eleventh one beyond."""
    data = WHOLE[name]()
    picture = read(data)
    sentences: list[str] = []
    for cut in (*range(1, 40), *range(40, len(data), 11)):
        try:
            left = read(data[:-cut])
        except ImageError as error:
            sentences.append(str(error))
        else:
            assert same(left, picture), f"{cut} bytes cut from {name}"
    assert len(sentences) > len(data) / 13 - 4
    assert "is truncated; give tolerant=True" in sentences[3] or name == "tiff, jpeg"  # whose tables lie last
    assert not [sentence for sentence in sentences if INNER_WORDS.search(sentence.replace("this libvips", ""))]


@pytest.mark.parametrize("cut", [1, 2])
@pytest.mark.parametrize("name", ["jpeg", "grey jpeg", "progressive jpeg", "jpeg with restarts"])
def test_a_jpeg_without_its_end_marker_is_whole(name: str, cut: int) -> None:
    data = WHOLE[name]()
    picture = read(data[:-cut])
    assert same(picture, read(data))
    assert picture.notes == ("its end marker is missing; every pixel is there",)
    with pytest.raises(ImageError, match="the data is truncated; give tolerant=True"):
        read(data[: -cut - 3])


LARGE = np.random.default_rng(2).integers(0, 256, (200, 240, 3), dtype=np.uint8)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "BMP", "TIFF"])
def test_tolerant_takes_what_is_left_and_says_so(format: str) -> None:
    if format == "TIFF":
        tifffile = pytest.importorskip("tifffile", reason="it writes the directory first")
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, LARGE, photometric="rgb", compression="zlib", rowsperstrip=16)
        data = buffer.getvalue()
    else:
        data = saved([LARGE], format)
    picture = read(data)
    assert read(data, tolerant=True).notes == picture.notes == ()
    left = read(data[: -len(data) // 6], tolerant=True)
    assert left.pages[0].shape[:2] == picture.pages[0].shape[:2]
    assert left.notes == ("it is truncated: what could be decoded is taken, the rest is blank",)
    top, end = (slice(0, 100), slice(-9, None)) if format != "BMP" else (slice(-100, None), slice(0, 9))  # upwards
    before, after = picture.pages[0], left.pages[0][:, :, :3]  # what is missing of a GIF is transparent
    np.testing.assert_array_equal(after[top], before[top])
    assert not np.array_equal(after[end], before[end])


def test_tolerant_takes_the_frames_that_are_left() -> None:
    for name in ("gif, animated", "png, animated"):
        data = WHOLE[name]()
        picture, left = read(data), read(data[: -len(data) // 6], tolerant=True)
        np.testing.assert_array_equal(left.pages[0], picture.pages[0])
        assert left.notes[0].startswith("it is truncated")


def test_tolerant_does_not_make_a_picture_of_nothing() -> None:
    for name in ("webp", "avif", "tiff, lzw"):
        data = WHOLE[name]()
        with pytest.raises(ImageError, match="damaged, and nothing of it can be decoded"):
            read(data[: len(data) // 2], tolerant=True)


@pytest.mark.parametrize(
    ("name", "place", "flip"),
    [
        ("png", 100, 4),
        ("png", -13, 1),  # the checksum of the chunk itself
        ("png, animated", 900, 4),  # in the first frame
        ("png, animated", 1200, 4),  # in the second
        ("tiff, deflate", 300, 4),
        ("tiff, tiles", 900, 4),
        ("tiff, fax 3", 8, 1),  # a line of the wrong length, of which libtiff only warns
    ],
)
def test_bytes_that_a_decoder_finds_wrong(name: str, place: int, flip: int) -> None:
    data = bytearray(WHOLE[name]())
    data[place] ^= flip
    with pytest.raises(ImageError, match="is damaged, or of a kind that fsrcnn does not read; give tolerant=True"):
        read(bytes(data))
    assert read(bytes(data), tolerant=True).notes[0].startswith("it is damaged")


def test_wrong_bytes_of_a_jpeg_that_libjpeg_warns_of() -> None:
    """A marker amid coded data: libjpeg goes on, grey from there, whichever line it is in, also the last."""
    for name in ("jpeg", "jpeg without subsampling", "grey jpeg"):
        data = WHOLE[name]()
        for place in (len(data) - 60, len(data) - 12):
            with pytest.raises(ImageError, match="is damaged"):
                read(data[:place] + b"\xff\xd9" + data[place:])


@pytest.mark.parametrize("compression", ["zstd", "lzma", "webp"])
def test_tiffs_in_codecs_that_are_not_there_are_refused(compression: str) -> None:
    """Or read, where libvips has them."""
    try:
        data = saved([SMALL], "TIFF", compression=compression)
    except OSError:
        pytest.skip(f"this Pillow writes no {compression}")
    try:
        pixels = read(data, tolerant=True).pages[0]
    except ImageError as error:
        sentence = str(error)
        with pytest.raises(ImageError, match=re.escape(sentence)):
            read(data)
        there = ""
    else:
        np.testing.assert_allclose(pixels, SMALL, atol=60)
        sentence, there = "", compression
    names = {"zstd": "Zstandard", "lzma": "LZMA", "webp": "WebP"}
    assert there or f"is a TIFF in {names[compression]} compression, which this libvips cannot decode" in sentence


def test_what_is_no_damage_passes() -> None:
    """Tags out of order, tags that nobody knows, bytes after the end, text with a wrong checksum, EXIF that is none."""
    tiff, tiles, png, jpeg = (WHOLE[name]() for name in ("tiff", "tiff, tiles", "png", "jpeg"))
    harmless = {
        "tags out of order": (with_tags(tiff, lambda tags: [*tags[1:], tags[0]]), tiff),
        "tags of tiles out of order": (with_tags(tiles, lambda tags: [*tags[1:], tags[0]]), tiles),
        "an unknown tag": (with_tags(tiff, lambda tags: [*tags, struct.pack("<HHII", 65001, 3, 1, 7)]), tiff),
        "bytes after a PNG": (png + b"more", png),
        "bytes after a JPEG": (jpeg + b"more", jpeg),
        "text with a wrong checksum": (png[:33] + png_chunk(b"tEXt", b"a\0b")[:-1] + b"!" + png[33:], png),
        "EXIF that is none": (jpeg[:2] + b"\xff\xe1\0\x10Exif\0\0garbage!" + jpeg[2:], jpeg),
        "a scan with nonsense for progressive ones": (jpeg.replace(b"\0\x3f\0", b"\0\0\0", 1), jpeg),
        "zeros before the end": (jpeg[:-2] + bytes(4) + jpeg[-2:], jpeg),
    }
    for name, (data, whole) in harmless.items():
        assert data != whole, name
        picture = read(data)
        assert same(picture, read(whole)), name
        assert picture.notes == (), name
    with pytest.raises(ImageError, match="is damaged"):  # tags out of order hide nothing
        read(with_tags(tiles[:300] + bytes(8) + tiles[308:], lambda tags: [*tags[1:], tags[0]]))


def test_one_picture_is_not_blamed_for_another() -> None:
    """libvips has one buffer of messages: many threads read good and broken pictures at once."""
    good = [WHOLE[name]() for name in ("jpeg", "tiff, tiles", "png", "avif")]
    bad = [data[: len(data) * 3 // 4] for data in good]
    bad.append(good[0][: len(good[0]) - 12] + b"\xff\xd9")
    expected = [read(data) for data in good]
    wrong: list[str] = []

    def work(seed: int) -> None:
        order = np.random.default_rng(seed).integers(0, len(good) + len(bad), 40)
        for number in order:
            try:
                picture = read(good[number] if number < len(good) else bad[number - len(good)])
                if number >= len(good) or not same(picture, expected[number]):
                    wrong.append(f"{number} was read")
            except FsrcnnError as error:
                if number < len(good):
                    wrong.append(f"{number}: {error}")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_refusals_say_what_a_file_is() -> None:
    jpeg = WHOLE["jpeg"]()
    frame = jpeg.index(b"\xff\xc0")
    lab = saved([SMALL], "TIFF", mode="LAB")
    cases = {
        "is a lossless JPEG, which": jpeg[: frame + 1] + b"\xc3" + jpeg[frame + 2 :],
        "is a 12-bit JPEG, which": jpeg[: frame + 4] + b"\x0c" + jpeg[frame + 5 :],
        "holds CIELAB colour in 8 bit, which": lab,
        "holds a preview only; its picture is a camera's raw data": with_tags(
            WHOLE["tiff"](),
            lambda tags: [struct.pack("<HHII", 254, 4, 1, 1), *tags, struct.pack("<HHII", 330, 4, 1, 8)],
        ),
    }
    for sentence, data in cases.items():
        with pytest.raises(ImageError, match=sentence):
            read(data)


def test_sizes_are_known_before_anything_is_decoded() -> None:
    """Also those that libvips would refuse in its own words."""
    png, tiff, gif, bmp = (WHOLE[name]() for name in ("png", "tiff", "gif", "bmp"))
    huge = struct.pack(">IIBBBBB", 2**30, 2**30, 8, 2, 0, 0, 0)
    cases = [
        png[:8] + png_chunk(b"IHDR", huge) + png_chunk(b"IDAT", zlib.compress(b"")) + png_chunk(b"IEND", b""),
        with_tags(tiff, lambda tags: [struct.pack("<HHII", 256, 4, 1, 2**27 + 24), *tags[1:]]),
        gif[:6] + b"\xff\xff\xff\xff" + gif[10:],
        bmp[:18] + struct.pack("<ii", 2**20, 2**20) + bmp[26:],
    ]
    for data in cases:
        with pytest.raises(ImageError, match="more than the limit of 268 megapixels; if you trust"):
            read(data)


def test_avif_is_there() -> None:
    """The tests above lean on a Pillow that writes AVIF."""
    assert features.check("avif"), "Pillow without AVIF"
    assert Image.open(io.BytesIO(WHOLE["avif"]())).format == "AVIF"


def test_boxes_in_boxes_have_an_end() -> None:
    nested = b""
    for _ in range(3000):
        nested = struct.pack(">I4s", 8 + len(nested), b"mdia") + nested
    for kind in (b"trak", b"moov"):
        nested = struct.pack(">I4s", 8 + len(nested), kind) + nested
    with pytest.raises(ImageError, match="is damaged, or of a kind"):
        read(struct.pack(">I4s4sI4s", 20, b"ftyp", b"avis", 0, b"avis") + nested)


@pytest.mark.parametrize("at", [8, 24])  # the place of the first directory; the number of the values in its first entry
def test_places_beyond_all_files(at: int) -> None:
    entry = struct.pack("<HHQQ", 256, 4, 1, 2**40)
    data = bytearray(b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 1) + entry + bytes(8))
    assert data[24:28] == struct.pack("<HH", 256, 4)
    struct.pack_into("<Q", data, at if at == 8 else at + 4, 2**64 - 1)
    with pytest.raises(ImageError, match="the data is truncated"):
        read(bytes(data))


def test_no_python_runs_where_libvips_warns(tmp_path: Path) -> None:
    """A warning in the middle of another one, as when garbage is collected while it is logged, would end the process."""
    (tmp_path / "a.png").write_bytes(saved([LARGE], "PNG")[:-2000])
    program = """if True:
        import logging, pathlib, sys
        logging.basicConfig(level=logging.WARNING)
        from fsrcnn import images
        print(images.read(pathlib.Path("a.png"), tolerant=True).notes)
    """
    run = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "truncated" in run.stdout
    assert run.stderr == ""
