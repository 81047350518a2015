"""Colour told elsewhere than in an ICC profile, and depths: LittleCMS (in Pillow) judges the profiles, bytes are read by hand."""

from __future__ import annotations

import io
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from fsrcnn import Upscaler
from fsrcnn.architecture import Architecture
from fsrcnn.arrays import Array
from fsrcnn.batch import run_all
from fsrcnn.errors import ImageError
from fsrcnn.formats import FORMATS
from fsrcnn.images import Picture, isobmff, read, write
from fsrcnn.images.colour import CodePoints
from fsrcnn.planning import plan
from fsrcnn.size import Size
from support import random_weights

RAMP = np.tile(np.arange(256, dtype=np.uint8), (16, 1))
COLOURS = np.dstack([RAMP, RAMP[:, ::-1], np.roll(RAMP, 99, 1)])
EXACT = ImageCms.Flags.NOOPTIMIZE  # else LittleCMS interpolates between 33 points of a curve
P3_CHUNK = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
SRGB_CHUNK = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
# Colorants of Apple's Display P3 and of sRGB (IEC 61966-2-1) under D50, as their published profiles have them.
P3 = [[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]]
SRGB = [[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]]
PROPHOTO_LIKE = struct.pack(">8I", 34570, 35850, 73470, 26530, 15960, 84040, 3660, 100)  # white is D50: no adaptation


def png(pixels: Array, *chunks: tuple[bytes, bytes]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    data = buffer.getvalue()
    packed = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return data[:33] + b"".join(packed) + data[33:]


def chunks_of(data: bytes) -> dict[bytes, bytes]:
    found, at = {}, 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        found[data[at + 4 : at + 8]] = data[at + 8 : at + 8 + length]
        at += 12 + length
    return found


def written(picture: Picture, format: str, lossless: bool = False) -> tuple[bytes, tuple[str, ...]]:
    done = write(picture, None, format=format, lossless=lossless)
    assert done.data is not None
    return done.data, done.notes


def profile_of(data: bytes) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(Image.open(io.BytesIO(data)).info["icc_profile"]))


def colorants(profile: ImageCms.ImageCmsProfile) -> Array:
    core = profile.profile
    found = (core.red_colorant, core.green_colorant, core.blue_colorant)
    return np.array([colorant[0] for colorant in found if colorant]).T


def in_srgb(data: bytes) -> Array:
    """A picture as a managed viewer shows it."""
    picture = Image.open(io.BytesIO(data))
    target = ImageCms.createProfile("sRGB")
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    shown = ImageCms.profileToProfile(picture, profile_of(data), target, intent, outputMode="RGB", flags=EXACT)
    assert shown is not None
    return np.asarray(shown).astype(float)


def srgb_samples(light: Array) -> Array:
    """Samples of sRGB (0 … 255), by its definition."""
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def nclx_of(data: bytes) -> tuple[int, ...]:
    at = data.index(b"colrnclx") + 8
    return struct.unpack(">HHHB", data[at : at + 7])


@pytest.mark.parametrize("pixels", [RAMP, COLOURS])
@pytest.mark.parametrize("gamma", [100_000, 55_556, 35_000])
def test_gamma_of_a_png(pixels: Array, gamma: int) -> None:
    picture = read(png(pixels, (b"gAMA", struct.pack(">I", gamma))))
    data, notes = written(picture, "png")
    assert notes == ()
    assert chunks_of(data)[b"gAMA"] == struct.pack(">I", gamma)
    assert b"iCCP" not in chunks_of(data)
    data, notes = written(picture, "tif")
    assert notes == ()
    expected = srgb_samples((pixels / 255.0) ** (100_000 / gamma))
    expected = expected if pixels.ndim == 3 else np.dstack([expected] * 3)
    assert np.abs(in_srgb(data) - expected).max() < 1.5
    for format in ("jpg", "webp", "avif"):
        data, notes = written(picture, format)
        assert notes == ()
        assert np.abs(in_srgb(data)[:, 64:] - expected[:, 64:]).mean() < 3


@pytest.mark.parametrize(
    "chunks",
    [
        [(b"gAMA", struct.pack(">I", 45455))], [(b"gAMA", struct.pack(">I", 45455)), (b"cHRM", SRGB_CHUNK)],
        [(b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 100_000))], [(b"cICP", bytes([1, 13, 0, 1]))], [],
    ],
)  # fmt: skip
def test_plain_srgb_needs_no_profile(chunks: list[tuple[bytes, bytes]]) -> None:
    picture = read(png(COLOURS, *chunks))
    data, _ = written(picture, "png")
    assert {kind: chunks_of(data)[kind] for kind, _ in chunks} == dict(chunks)
    for format in ("jpg", "webp", "tif", "avif"):
        data, notes = written(picture, format)
        assert notes == ()
        assert "icc_profile" not in Image.open(io.BytesIO(data)).info


@pytest.mark.parametrize(
    ("chunk", "expected"),
    [((b"cHRM", P3_CHUNK), P3), ((b"cICP", bytes([12, 13, 0, 1])), P3), ((b"cICP", bytes([1, 8, 0, 1])), SRGB)],
)  # fmt: skip
def test_primaries_of_a_png(chunk: tuple[bytes, bytes], expected: list[list[float]]) -> None:
    picture = read(png(COLOURS, chunk))
    data, notes = written(picture, "png")
    assert chunks_of(data)[chunk[0]] == chunk[1]
    for format in ("jpg", "webp", "tif"):
        data, notes = written(picture, format)
        assert notes == ()
        assert np.abs(colorants(profile_of(data)) - expected).max() < 0.0005


def test_a_white_of_d50_is_not_adapted() -> None:
    """Row sums of the matrix are the white; red of these chromaticities and this white, solved by hand: X = 0.7977, Y = 0.2880."""
    data, _ = written(read(png(COLOURS, (b"cHRM", PROPHOTO_LIKE))), "tif")
    matrix = colorants(profile_of(data))
    assert matrix.sum(axis=1) == pytest.approx([0.9642, 1.0, 0.8249], abs=3e-4)
    assert matrix[:2, 0] == pytest.approx([0.7977, 0.2880], abs=1e-3)


@pytest.mark.parametrize(("transfer", "light"), [(1, None), (4, 2.2), (5, 2.8), (8, 1.0), (13, None)])
def test_transfers(transfer: int, light: float | None) -> None:
    data, _ = written(read(png(COLOURS, (b"cICP", bytes([9, transfer, 0, 1])))), "tif")
    profile = CodePoints(1, transfer).profile(grey=True)
    assert profile is not None
    assert np.abs(colorants(profile_of(data)).sum(axis=1) - [0.9642, 1.0, 0.8249]).max() < 3e-4
    samples = RAMP / 255.0
    if transfer == 1:
        value = np.where(samples < 0.081, samples / 4.5, ((samples + 0.099) / 1.099) ** (1 / 0.45))
    elif transfer == 13:
        value = np.where(samples <= 0.04045, samples / 12.92, ((samples + 0.055) / 1.055) ** 2.4)
    else:
        value = samples ** (light or 1)
    shown = ImageCms.profileToProfile(
        Image.fromarray(RAMP),
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        outputMode="RGB",
        flags=EXACT,
    )
    assert np.abs(np.asarray(shown).astype(float)[:, :, 1] - srgb_samples(value)).max() < 1.5


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("points", [(12, 13), (9, 16), (9, 18), (1, 1)])
def test_code_points_of_an_avif(points: tuple[int, int], lossless: bool) -> None:
    picture = read(png(COLOURS, (b"cICP", bytes([*points, 0, 1]))))
    data, notes = written(picture, "avif", lossless=lossless)
    plain, _ = written(Picture((COLOURS,), "png"), "avif", lossless=lossless)
    assert notes == ()
    assert nclx_of(data) == (*points, 0 if lossless else 6, 0x80)
    for one, other in ((Image.open(io.BytesIO(data)), Image.open(io.BytesIO(plain))),):  # a second decoder
        np.testing.assert_array_equal(np.asarray(one.convert("RGB")), np.asarray(other.convert("RGB")))
    again = read(data)
    np.testing.assert_array_equal(again.pages[0], read(plain).pages[0])
    assert again.metadata.get("lossless", False) == lossless
    assert nclx_of(written(again, "avif")[0])[:2] == points
    assert chunks_of(written(again, "png")[0])[b"cICP"] == bytes([*points, 0, 1])


def test_code_points_in_an_avif_of_another_encoder() -> None:
    """libavif counts places from the start of the file, libheif from a base."""
    buffer = io.BytesIO()
    Image.fromarray(np.dstack([COLOURS, RAMP])).save(buffer, "AVIF", exif=Image.Exif(), xmp=b"<a/>")
    source = buffer.getvalue()
    bare = source.replace(b"colrnclx", b"freenclx")  # it has told its colours already
    assert bare != source
    data = isobmff.with_colour(bare, CodePoints(9, 16))
    assert len(data) == len(bare) + 19 + 1
    assert nclx_of(data)[:2] == (9, 16)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), np.asarray(Image.open(io.BytesIO(bare))))
    np.testing.assert_array_equal(read(data).pages[0], read(bare).pages[0])
    assert Image.open(io.BytesIO(data)).info["xmp"] == b"<a/>"


def test_metadata_stay_where_boxes_move() -> None:
    exif = Image.Exif()
    exif[315] = "Artist of it"
    rgba = np.dstack([COLOURS, RAMP])
    picture = Picture(
        (rgba,), "avif", None, {"code-points": CodePoints(9, 16), "exif-data": exif.tobytes(), "xmp-data": b"<a/>"}
    )
    data, notes = written(picture, "avif", lossless=True)
    assert notes == ()
    seen = Image.open(io.BytesIO(data))
    np.testing.assert_array_equal(np.asarray(seen), rgba)
    assert (seen.getexif()[315], seen.info["xmp"]) == ("Artist of it", b"<a/>")


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_stays_hdr_or_is_refused_before_the_work(
    transfer: int, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    light = [(b"mDCV", bytes(range(24))), (b"cLLI", bytes(range(8)))]
    source = png(COLOURS.astype(np.uint8), (b"cICP", bytes([9, transfer, 0, 1])), *light)
    path = tmp_path / "a.png"
    path.write_bytes(source)
    picture = read(source)
    upscaler = Upscaler(random_weights(Architecture(scale=2, d=8, s=4, m=1)), engine="numpy")
    monkeypatch.setattr(upscaler, "picture", None)  # nothing is upscaled
    data, notes = written(picture, "png")
    assert notes == ()
    assert {kind: chunks_of(data)[kind] for kind, _ in light} == dict(light)
    for format in ("jpg", "webp", "tif", "gif"):
        sentence = rf"the colours of the picture are HDR \({name}\), which {format} cannot say; give format='png' or format='avif'"
        with pytest.raises(ImageError, match=sentence):
            write(picture, None, format=format)
        with pytest.raises(ImageError, match=sentence):
            upscaler(source, format=format)
        (job,) = plan([str(path)], str(tmp_path / f"b.{format}"), Size(factor=2)).jobs
        (outcome,) = run_all([job], upscaler, Size(factor=2))
        assert str(outcome.error).endswith(f"which {format} cannot say; give another output that ends in .png or .avif")
    data, notes = written(picture, "avif")
    assert notes == ("its light levels (mDCV, cLLI) are left out: only png holds them",)


def test_light_levels_of_an_avif() -> None:
    levels = struct.pack(">I4sHH", 12, b"clli", 1000, 400)
    data, _ = written(
        Picture((COLOURS,), "avif", None, {"code-points": CodePoints(9, 16), "light-levels": (levels,)}), "avif"
    )
    assert read(data).metadata["light-levels"] == (levels,)
    data, notes = written(read(data), "avif")
    assert data.count(b"clli") == 1
    assert notes == ()
    assert written(read(data), "png")[1] == ("its light levels (clli, mdcv) are left out: only avif holds them",)


@pytest.mark.parametrize(
    ("chunks", "note"),
    [
        ([(b"gAMA", struct.pack(">I", 0))], "its gamma and chromaticities mean nothing and are left out"),
        ([(b"cHRM", struct.pack(">8I", *[33_000] * 8))], "its gamma and chromaticities mean nothing and are left out"),
        ([(b"cHRM", bytes(32))], "its gamma and chromaticities mean nothing and are left out"),
        ([(b"gAMA", b"\1")], "its gamma and chromaticities mean nothing and are left out"),
        ([(b"cICP", bytes([99, 13, 0, 1]))], "its colour (code points 99, 13) is left out: jpg cannot say it"),
        ([(b"cICP", bytes([9, 13, 0, 0]))], "its colour (code points 9, 13) is left out: jpg cannot say it"),
    ],
)  # fmt: skip
def test_colours_that_mean_nothing(chunks: list[tuple[bytes, bytes]], note: str) -> None:
    data, notes = written(read(png(COLOURS, *chunks)), "jpg")
    assert notes == (note,)
    assert "icc_profile" not in Image.open(io.BytesIO(data)).info


@pytest.mark.parametrize("bits", [10, 12])
def test_depth_of_an_avif(bits: int) -> None:
    steps = np.linspace(0, 2**bits - 1, 256).round().astype(np.uint16)
    samples = np.tile(steps, (16, 1))
    deep = np.dstack([samples] * 3)
    full = np.floor(deep * (65535 / (2**bits - 1)) + 0.5).astype(np.uint16)
    data, _ = written(Picture((full,), "avif", None, {"bits-per-sample": bits}), "avif", lossless=True)
    picture = read(data)
    assert picture.metadata["bits-per-sample"] == bits
    assert picture.pages[0].dtype == np.uint16
    assert picture.pages[0].max() == 65535  # white is white in every format
    np.testing.assert_array_equal(picture.pages[0] >> (16 - bits), deep)
    assert np.abs(picture.pages[0].astype(int) - full).max() <= 1
    again, _ = written(picture, "avif")
    assert read(again).metadata["bits-per-sample"] == bits


def test_frames_of_an_avif_tell_their_colour_as_the_picture_does() -> None:
    picture = Picture((COLOURS, COLOURS[::-1]), "png", None, {"code-points": CodePoints(12, 13), "delay": [50, 50]})
    data, notes = written(picture, "avif")
    assert notes == ()
    told = [struct.unpack_from(">HH", data, found.end()) for found in re.finditer(b"nclx", data)]
    assert told == [(12, 13), (12, 13)]  # of the still picture, and of the track, which players follow


def test_light_levels_of_frames_are_left_out() -> None:
    light = struct.pack(">I4sHH", 12, b"clli", 1000, 400)
    metadata = {"code-points": CodePoints(9, 16), "light-levels": (light,), "delay": [50, 50]}
    data, notes = written(Picture((COLOURS, COLOURS[::-1]), "avif", None, metadata), "avif")
    assert notes == ("its light levels (clli, mdcv) are left out: the frames of an avif are written without them",)
    with Image.open(io.BytesIO(data)) as opened:
        opened.seek(1)
        assert np.abs(np.asarray(opened.convert("RGB")).astype(int) - COLOURS[::-1]).mean() < 12
    with pytest.raises(ValueError, match="frames"):
        isobmff.with_colour(data, CodePoints(9, 16), (light,))


@pytest.mark.parametrize("channels", [1, 2])
def test_grey_frames_with_a_profile_are_rgb_where_there_is_no_grey(channels: int) -> None:
    grey = RAMP if channels == 1 else np.dstack([RAMP, RAMP[:, ::-1]])
    profile = CodePoints(1, 8).profile(grey=True)
    picture = Picture((grey, grey[::-1].copy()), "png", None, {"icc-profile-data": profile, "delay": [50, 50]})
    data, _ = written(picture, "avif")
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.mode == ("RGB" if channels == 1 else "RGBA")
        assert opened.info["icc_profile"][16:20] == b"RGB "


@pytest.mark.parametrize(("pixels", "profile"), [(RAMP, CodePoints(12, 13).profile(False)), (COLOURS, b"none")])
def test_a_profile_of_a_png_that_libvips_passes_over_is_said(pixels: Array, profile: bytes) -> None:
    picture = read(png(pixels, (b"iCCP", b"name\0\0" + zlib.compress(profile))))
    kind = "grey" if pixels.ndim == 2 else "RGB"
    assert written(picture, "png")[1] + picture.notes == (
        f"its ICC profile is left out: it is damaged, or not one of {kind}",
    )


def test_sixteen_bits_become_twelve_in_an_avif() -> None:
    deep = np.dstack([np.tile(np.arange(0, 65536, 256, dtype=np.uint16), (16, 1))] * 3)
    data, _ = written(Picture((deep,), "png"), "avif")
    assert read(data).metadata["bits-per-sample"] == 12


@pytest.mark.parametrize(
    ("dtype", "bits", "kept"),
    [
        ("uint8", 8, {}),
        ("uint16", 10, {"jpg": 8, "webp": 8, "gif": 8}),
        ("uint16", 16, {"jpg": 8, "webp": 8, "gif": 8, "avif": 12}),
        ("float32", 32, {"jpg": 8, "webp": 8, "gif": 8, "avif": 12, "png": 16}),
    ],
)
def test_bits_that_a_format_does_not_hold_are_said(dtype: str, bits: int, kept: dict[str, int], tmp_path: Path) -> None:
    pixels = (COLOURS[:, ::64] / 255 * (1 if dtype == "float32" else 2**bits - 1)).astype(dtype)
    if bits == 10:
        picture = read(written(Picture((pixels << 6,), "avif", None, {"bits-per-sample": 10}), "avif")[0])
    else:
        picture = read(written(Picture((pixels,), "tif"), "tif")[0])
    for format in FORMATS:
        _, notes = written(picture, format)
        expected = [f"its {bits} bits became {kept[format]}: {format} holds no more"] if format in kept else []
        assert [note for note in notes if "bits" in note] == expected
        notes = write(picture, tmp_path / f"a.{format}").notes
        assert [note for note in notes if "bits" in note] == expected


def test_a_profile_of_grey_becomes_one_of_rgb_where_there_is_no_grey() -> None:
    grey = read(written(read(png(RAMP, (b"gAMA", struct.pack(">I", 100_000)))), "tif")[0])
    assert grey.metadata["icc-profile-data"][16:20] == b"GRAY"
    data, notes = written(grey, "webp", lossless=True)
    assert notes == ()
    assert np.abs(in_srgb(data) - srgb_samples(np.dstack([RAMP / 255.0] * 3))).max() < 1.5


@pytest.mark.parametrize("pixels", [RAMP, COLOURS])
def test_a_gif_holds_no_profile_and_becomes_srgb(pixels: Array) -> None:
    flat = np.ascontiguousarray(pixels[:, ::64])  # few colours, which a palette holds exactly
    data, notes = written(read(png(flat, (b"gAMA", struct.pack(">I", 100_000)))), "gif")
    assert notes == ("its colours became sRGB: gif cannot say which they were",)
    expected = srgb_samples(flat / 255.0)
    shown = np.asarray(Image.open(io.BytesIO(data)).convert("L" if pixels.ndim == 2 else "RGB"))
    assert np.abs(shown - expected).max() < 4
