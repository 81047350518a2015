"""Picture files of the page in Node: all that needs no browser."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as of_numpy
from PIL import Image

from fsrcnn import images
from fsrcnn.arrays import Array
from fsrcnn.errors import ImageError
from page_files import (
    BAD,
    END,
    FILES,
    KINDS,
    PLAIN,
    PNGS,
    RGB,
    ROW,
    SAMPLES,
    TAKEN_BY_THE_COMMAND,
    Engine,
    check_metadata,
    check_pixels,
    exif_chunk,
    hand_made,
    header,
    of,
    packed,
    palette,
    png_of,
)
from support import ROOT, png_chunk


@pytest.fixture(scope="module")
def node() -> Iterator[Engine]:
    program = shutil.which("node")
    if program is None:
        pytest.skip("there is no Node here (Debian: apt-get install nodejs)")
    command: list[str | Path] = [program, ROOT / "tests" / "page_files.mjs", FILES]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout

        def ask(line: str) -> str:
            assert process.stdin
            assert process.stdout
            process.stdin.write(line + "\n")
            process.stdin.flush()
            return process.stdout.readline()

        yield Engine(ask)
        process.stdin.close()


# ---- PNG: pixels in ----


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (8, 8), (33, 19)])
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("colour", "bits"), KINDS)
def test_png_of_every_kind(node: Engine, colour: int, bits: int, interlaced: bool, size: tuple[int, int]) -> None:
    width, height = size
    colours = 2**bits if colour == 3 else 0
    data = hand_made(
        colour, bits, width, height, interlaced=interlaced, seed=bits, first=width % 5, pieces=1 + width % 7,
        chunks=palette(colours) if colour == 3 else b"",
    )  # fmt: skip
    check_pixels(node, data)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("colour", "bits"), [(colour, bits) for colour, bits in KINDS if colour in (0, 2, 3)])
def test_png_with_a_transparent_colour(node: Engine, colour: int, bits: int, interlaced: bool) -> None:
    if colour == 3:
        chunks = palette(2**bits) + png_chunk(b"tRNS", bytes(range(2 ** (bits - 1))))
    else:  # of the noise, a value of the first pixel
        first = np.random.default_rng(2).integers(0, 2**bits, (9, 11, SAMPLES[colour]))[0, 0]
        chunks = png_chunk(b"tRNS", struct.pack(f">{SAMPLES[colour]}H", *first))
    data = hand_made(colour, bits, 11, 9, seed=2, chunks=chunks, interlaced=interlaced)
    check_pixels(node, data)
    assert (images.read(data).pages[0][..., -1] != (65535 if bits == 16 else 255)).any()


@pytest.mark.parametrize(
    "data",
    [
        PLAIN, PLAIN + b"junk", PLAIN[:-12], PLAIN[:-4],
        of(header(4, 4), png_chunk(b"tEXt", b"a\0b"), png_chunk(b"IDAT", ROW), png_chunk(b"tEXt", b"c\0d"), END),
        of(header(4, 4), png_chunk(b"abCd", b""), png_chunk(b"IDAT", ROW), END),
        of(header(4, 4), png_chunk(b"IDAT", zlib.compress(zlib.decompress(ROW) * 2)), END),  # more than there are pixels
        of(header(4, 4), png_chunk(b"tRNS", b"\0\x0a"), png_chunk(b"IDAT", ROW), END),  # of no colour
        of(header(4, 4), png_chunk(b"acTL", bytes([0, 0, 0, 1, 0, 0, 0, 0])), png_chunk(b"IDAT", ROW), END),
        hand_made(3, 8, 9, 7, chunks=palette(200), colours=256),  # indices beyond the palette
        hand_made(3, 4, 9, 7, chunks=palette(7) + png_chunk(b"tRNS", bytes(9))),  # more than there are colours
        hand_made(6, 8, 9, 7, chunks=png_chunk(b"tRNS", bytes(6))),
    ],
)  # fmt: skip
def test_png_as_they_come(node: Engine, data: bytes) -> None:
    check_pixels(node, data)


ARRAYS = of_numpy.arrays(
    st.sampled_from([np.uint8, np.uint16]),
    st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 4)),
    fill=st.nothing(),
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pixels=ARRAYS, interlaced=st.booleans(), filters=st.sampled_from(["none", "up", "paeth", "all"]))
def test_png_of_libvips_and_back(node: Engine, pixels: Array, interlaced: bool, filters: str) -> None:
    pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    grey = pixels.ndim == 2 or pixels.shape[2] == 2
    space = ("grey16" if grey else "rgb16") if pixels.dtype == np.uint16 else "b-w" if grey else "srgb"
    image = pyvips.Image.new_from_array(pixels).copy(interpretation=space)
    data = image.pngsave_buffer(interlace=interlaced, filter=filters)
    np.testing.assert_array_equal(node.read(data)["pixels"], pixels)
    written, notes = node.write(data, format="png")
    assert notes == ()
    np.testing.assert_array_equal(pyvips.Image.new_from_buffer(written, "", fail_on="error").numpy(), pixels)
    np.testing.assert_array_equal(images.read(written).pages[0], pixels)
    if pixels.dtype == np.uint8:
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(written))), pixels)


def test_a_written_png_is_not_larger_than_that_of_the_command(node: Engine) -> None:
    picture = images.read((ROOT / "examples" / "astronaut.png").read_bytes())
    ours, _ = node.write(None, picture.pages[0], format="png")
    theirs = images.write(replace(picture, metadata={}), None).data or b""
    assert len(ours) < 0.8 * len(theirs)
    with Image.open(io.BytesIO(ours)) as opened:
        opened.verify()


# ---- PNG and others that are refused ----


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_one_sentence(node: Engine, name: str) -> None:
    data, sentence = BAD[name]
    assert node.error(data) == sentence
    if name in TAKEN_BY_THE_COMMAND:
        images.read(data)
    else:
        with pytest.raises(ImageError):
            images.read(data)


# ---- What a file carries, beside what `fsrcnn upscale` writes ----


@pytest.mark.parametrize("format", ["png", "jpg", "webp"])
@pytest.mark.parametrize("name", PNGS)
def test_what_a_png_carries(node: Engine, name: str, format: str) -> None:
    check_metadata(node, PNGS[name], format, **({"lossless": True} if format == "webp" else {}))


@pytest.mark.parametrize("number", range(10))
def test_a_png_is_read_upright(node: Engine, number: int) -> None:
    check_pixels(node, png_of(exif_chunk(number)))


# ---- JPEG and lossless WebP, written ----


@pytest.mark.parametrize("quality", [1, 30, 49, 50, 89, 90, 92, 100])
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (16, 16), (17, 33), (40, 25), (203, 101)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_jpeg_has_the_coded_data_of_the_command(
    node: Engine, channels: int, size: tuple[int, int], quality: int
) -> None:
    width, height = size
    generator = np.random.default_rng(width)
    pixels = generator.integers(0, 256, (height, width, channels), dtype=np.uint8)
    pixels[: height // 2] = pixels[: height // 2] // 8 + 100  # in places with little in it
    pixels = pixels[..., 0] if channels == 1 else pixels
    written, notes = node.write(None, pixels, format="jpg", quality=quality)
    expected = images.write(images.Picture((pixels,), "jpg"), None, quality=quality).data or b""
    assert notes == ()
    tables = b"\xff\xdb"  # the first segment that is about pixels
    assert written[written.index(tables) :] == expected[expected.index(tables) :]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [2, 4])
def test_what_was_transparent_becomes_white_in_a_jpeg(node: Engine, channels: int, dtype: str) -> None:
    pixels = np.random.default_rng(7).integers(0, np.iinfo(dtype).max, (24, 32, channels), dtype, endpoint=True)
    pixels[..., -1] *= np.random.default_rng(8).integers(0, 2, (24, 32), dtype)
    written, notes = node.write(None, pixels, format="jpg")
    expected = images.write(images.Picture((pixels,), "png"), None, format="jpg")
    assert notes == expected.notes
    assert written[written.index(b"\xff\xdb") :] == (expected.data or b"")[(expected.data or b"").index(b"\xff\xdb") :]


@pytest.mark.parametrize(("dtype", "alpha"), [("uint8", 254), ("uint16", 65_534)])
def test_the_least_transparency_is_said(node: Engine, dtype: str, alpha: int) -> None:
    pixels = np.full((3, 5, 4), np.iinfo(dtype).max, dtype)
    pixels[2, 4, 3] = alpha
    _, notes = node.write(None, pixels, format="jpg")
    assert notes == images.write(images.Picture((pixels,), "png"), None, format="jpg").notes
    assert any("transparency" in note for note in notes)


def test_text_that_unpacks_to_more_than_anybody_needs_is_left_out(node: Engine) -> None:
    text = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(2**26 + 1), 1)
    answer = node.read(png_of(png_chunk(b"iTXt", text)))
    assert answer["notes"] == ["a part of its metadata is damaged and left out"]
    assert "xmp" not in answer["metadata"]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pixels=of_numpy.arrays(
        np.uint8, st.tuples(st.integers(1, 80), st.integers(1, 80), st.sampled_from([3, 4])), fill=st.integers(0, 255)
    ),
    repeated=st.integers(1, 40),
)  # fmt: skip
def test_lossless_webp_keeps_every_sample(node: Engine, pixels: Array, repeated: int) -> None:
    pixels = pixels.repeat(repeated, 1)
    written, notes = node.write(None, pixels, format="webp", lossless=True)
    assert notes == ()
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(written))), pixels)
    np.testing.assert_array_equal(images.read(written).pages[0], pixels)


@pytest.mark.parametrize("kind", ["photo", "noise", "skewed", "one colour", "grey alpha", "two colours"])
def test_lossless_webp_of_every_kind(node: Engine, kind: str) -> None:
    generator = np.random.default_rng(9)
    kinds: dict[str, Array] = {
        "photo": images.read((ROOT / "examples" / "astronaut.png").read_bytes()).pages[0],
        "noise": generator.integers(0, 256, (130, 140, 4), dtype=np.uint8),
        # So rare are some that their codes would be longer than a code may be.
        "skewed": np.minimum(generator.geometric(0.4, (300, 400, 3)) * 37 % 256, 255).astype(np.uint8),
        "one colour": np.full((70, 5000, 3), 77, np.uint8),
        "grey alpha": generator.integers(0, 256, (33, 65, 2), dtype=np.uint8),
        "two colours": generator.integers(0, 2, (99, 65, 1), dtype=np.uint8).repeat(4, 2) * 255,
    }
    pixels = kinds[kind]
    written, _ = node.write(None, pixels, format="webp", lossless=True)
    expected = pixels if pixels.shape[2] > 2 else np.dstack([*[pixels[..., :1]] * 3, pixels[..., 1:]])
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(written))), expected)
    if kind == "photo":
        theirs = images.write(images.Picture((pixels,), "webp"), None, lossless=True).data or b""
        assert len(written) < 1.2 * len(theirs)


HDR = {"codePoints": {"primaries": 9, "transfer": 16, "full": True}}
REFUSED = [
    ({"format": "gif"}, RGB,
     "pictures are written as png, jpg, webp in the browser, not as gif; “On this computer” or the command line writes tif, avif and "
     "gif, too"),
    ({"format": "jpg", "quality": 0}, RGB, "quality is a whole number from 1 to 100, not 0"),
    ({"format": "jpg", "quality": 9.5}, RGB, "quality is a whole number from 1 to 100, not 9.5"),
    ({"format": "webp", "quality": 101}, RGB, "quality is a whole number from 1 to 100, not 101"),
    ({"format": "webp", "quality": 90, "lossless": True}, RGB,
     "a picture that keeps every pixel has no quality; give either lossless or quality"),
    ({"format": "jpg", "lossless": True}, RGB, "jpg is never lossless; give png or webp as the format"),
    ({"format": "webp", "lossless": True}, RGB.astype(np.uint16),
     "webp cannot keep every pixel of a picture of 16 bits; give png as the format"),
    ({"format": "jpg"}, np.zeros((1, 65_501), np.uint8),
     "the result would have 65501×1 pixels, but jpg holds at most 65,500 on a side; give png as its format"),
    ({"format": "webp"}, np.zeros((16_384, 1), np.uint8),
     "the result would have 1×16384 pixels, but webp holds at most 16,383 on a side; give png as its format"),
    ({"format": "jpg", "metadata": HDR}, RGB,
     "the colours of the picture are HDR (PQ), which jpg cannot say; give png as the format"),
    ({"format": "webp", "metadata": {"codePoints": {**HDR["codePoints"], "transfer": 18}}}, RGB,
     "the colours of the picture are HDR (HLG), which webp cannot say; give png as the format"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "pixels", "sentence"), REFUSED)
def test_what_a_format_cannot_hold_is_refused(
    node: Engine, options: dict[str, Any], pixels: Array, sentence: str
) -> None:
    assert node(name="the data", pixels=packed(pixels), write=options) == {"error": sentence}


@pytest.mark.parametrize("value", [0, 127, 128, 129, 32_767, 65_407, 65_408, 65_535])
def test_16_bits_become_8_as_the_command_rounds(node: Engine, value: int) -> None:
    pixels = np.full((4, 4, 3), value, np.uint16)
    written, notes = node.write(
        None, pixels, format="webp", lossless=False, metadata={"lossless": True, "format": "webp"}
    )
    expected = images.write(images.Picture((pixels,), "png"), None, format="jpg")
    assert notes == ("its 16 bits became 8: webp holds no more",)
    assert notes[0].replace("webp", "jpg") in expected.notes
    assert np.unique(images.read(written).pages[0]) == images.writing._fit_depth(pixels, "jpg", 16)[0, 0, 0]
