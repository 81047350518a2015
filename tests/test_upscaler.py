"""Pictures of every kind in, the same kind out; tiles, alpha, sizes."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

import fsrcnn.upscaler
from fsrcnn import Size, Upscaler, UsageError, WeightsError, images, windows
from fsrcnn.alpha import fill_hidden
from fsrcnn.architecture import family
from fsrcnn.color import rgb_to_ycbcr, ycbcr_to_rgb
from fsrcnn.engines import native
from fsrcnn.engines.native import NativeEngine
from fsrcnn.engines.numpy import NumpyEngine
from fsrcnn.errors import PictureWarning
from fsrcnn.imresize import imresize
from fsrcnn.size import chain
from fsrcnn.windows import tiles_of
from support import random_weights

WEIGHTS = random_weights(family("fsrcnn-x", 2))
GENERATOR = np.random.default_rng(0)


def smooth(*shape: int) -> np.ndarray:
    """A picture in [0, 1] with detail but without white noise."""
    height, width = shape[:2]
    y, x = np.mgrid[:height, :width]
    waves = [0.5 + 0.4 * np.sin(0.3 * x + k) * np.cos(0.2 * y - k) for k in range(int(np.prod(shape[2:])))]
    return np.stack(waves, axis=-1).reshape(shape)


def as_dtype(unit: np.ndarray, dtype: Any) -> np.ndarray:
    return unit.astype(dtype) if dtype == np.float32 else np.round(unit * np.iinfo(dtype).max).astype(dtype)


shapes = st.one_of(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 4)),
)
sizes = st.one_of(
    st.floats(1.01, 5).map(lambda factor: Size(factor=factor)),
    st.integers(1, 90).map(lambda width: Size(width=width)),
    st.tuples(st.integers(1, 90), st.integers(1, 90)).map(lambda box: Size(fit=box)),
    st.tuples(st.integers(1, 90), st.integers(1, 90)).map(lambda pair: Size(width=pair[0], height=pair[1])),
)


@contextmanager
def tiles_of_size(tile: tuple[int, int]) -> Iterator[list[int]]:
    """Every engine in tiles of that many LR pixels; yields a list that gets the number of tiles of each picture."""
    counts: list[int] = []

    def counted(*arguments: Any) -> list[Any]:
        tiles = list(tiles_of(*arguments))
        counts.append(len(tiles))
        return tiles

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NumpyEngine, "tile", tile)
        patch.setattr(NativeEngine, "tile", tile)
        patch.setattr(windows, "BICUBIC_TILE", tile)
        patch.setattr(windows, "tiles_of", counted)
        yield counts


@settings(max_examples=80)
@given(
    st.sampled_from(["numpy", "native"] if native.available() else ["numpy"]),
    shapes,
    st.sampled_from([np.uint8, np.uint16, np.float32]),
    sizes,
    st.integers(1, 3),
    st.tuples(st.integers(3, 20), st.integers(3, 20)),
)
def test_kind_is_kept_and_tiles_and_threads_change_nothing(
    engine: str, shape: tuple[int, ...], dtype: Any, size: Size, threads: int, tile: tuple[int, int]
) -> None:
    pixels = as_dtype(np.random.default_rng(sum(shape)).random(shape), dtype)
    if len(shape) == 3 and shape[2] in (2, 4):
        pixels[shape[0] // 2 :, :, -1] = 0
    try:
        height, width = size.of(shape[0], shape[1])
    except UsageError:
        return  # more than 64 times: refused, tested below
    passes = chain(max(height / shape[0], width / shape[1]), (2,))
    if engine == "native" and (height, width) == (2 * shape[0], 2 * shape[1]):
        return  # one call for the whole picture: tests/test_native.py
    whole = Upscaler(WEIGHTS, engine=engine, threads=1)(pixels, size=size)
    assert whole.dtype == pixels.dtype
    assert whole.shape == (height, width, *shape[2:])
    with tiles_of_size(tile) as counts:
        tiled = Upscaler(WEIGHTS, engine=engine, threads=threads)(pixels, size=size)
    lr_area = height * width / (2 ** len(passes) if passes else 1) ** 2
    assert counts[0] > 1 or lr_area <= 4 * tile[0] * tile[1]
    if engine == "native":  # it owns the order of its sums
        np.testing.assert_array_equal(tiled, whole)
    else:
        allowed = 1e-5 if dtype == np.float32 else 1  # a value at the edge of rounding may fall to either side
        assert np.abs(tiled.astype(np.float64) - whole).max() <= allowed


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_many_tiles_by_hand(channels: int) -> None:
    """40×60 pixels in tiles of 8×8 are 40 tiles at least, whatever the above has drawn."""
    pixels = as_dtype(smooth(40, 60, channels), np.uint8)
    pixels[10:20, 15:40, -1] = 0
    whole = Upscaler(WEIGHTS, engine="numpy")(pixels)
    with tiles_of_size((8, 8)) as counts:
        tiled = Upscaler(WEIGHTS, engine="numpy", threads=2)(pixels)
    assert counts == [40]
    assert np.abs(tiled.astype(int) - whole).max() <= 1


def test_hidden_colours_are_filled_from_as_far_as_the_fill_reaches() -> None:
    """Noise with a hidden half: tiles of 8 pixels must look further than their neighbours (15 pixels; 8 would be 166 levels off)."""
    pixels = np.random.default_rng(0).integers(0, 256, (60, 70, 4), dtype=np.uint8)
    pixels[:, 20:, 3] = 0
    whole = Upscaler(WEIGHTS, engine="numpy")(pixels)
    with tiles_of_size((8, 8)):
        tiled = Upscaler(WEIGHTS, engine="numpy")(pixels)
    assert np.abs(tiled.astype(int) - whole).max() <= 1


def test_the_steps_by_hand() -> None:
    """The same picture put together from the separate, tested functions."""
    rgb = as_dtype(smooth(30, 41, 3), np.uint8)
    ycbcr = rgb_to_ycbcr(rgb / 255.0)
    sr = NumpyEngine(WEIGHTS).run(np.ascontiguousarray(ycbcr[:, :, 0], np.float32))
    chroma = imresize(ycbcr[:, :, 1:], output_size=(60, 82))
    expected = ycbcr_to_rgb(np.dstack([sr, chroma])) * 255
    ours = Upscaler(WEIGHTS).array(rgb)
    assert np.abs(ours - expected).max() <= 0.5 + 1e-3
    ours = Upscaler(WEIGHTS).array(rgb, Size(factor=1.5))
    halfway = np.dstack([sr, chroma])
    expected = ycbcr_to_rgb(imresize(halfway, output_size=(45, 62))) * 255
    assert np.abs(ours - expected).max() <= 0.5 + 1e-3


def test_a_grey_picture_equals_its_rgb_twin() -> None:
    upscaler = Upscaler("fsrcnn-x2")
    grey = as_dtype(smooth(30, 41), np.uint8)
    rgb = upscaler.array(np.repeat(grey[:, :, None], 3, axis=2)).astype(int)
    assert np.abs(rgb - upscaler.array(grey)[:, :, None]).max() <= 1


def test_16_bits_are_16_bits() -> None:
    deep = as_dtype(smooth(20, 21, 3), np.uint16)
    from_deep, from_unit = Upscaler(WEIGHTS).array(deep), Upscaler(WEIGHTS).array((deep / 65535).astype(np.float32))
    assert np.abs(from_deep - from_unit * 65535.0).max() < 1
    assert len(np.unique(from_deep & 255)) > 200  # the low byte is alive


def test_hidden_colours_do_not_bleed_into_the_edge() -> None:
    """A flat red disc: whatever colour lies under alpha 0, the visible result is the same red, and equals the opaque picture's."""
    y, x = np.mgrid[:40, :40]
    disc = (y - 20) ** 2 + (x - 20) ** 2 < 144
    upscaler = Upscaler("fsrcnn-x2")
    results = []
    for hidden in ((0, 0, 0), (255, 255, 255), (0, 255, 0)):
        picture = np.zeros((40, 40, 4), np.uint8)
        picture[..., :3] = hidden
        picture[disc] = (200, 30, 40, 255)
        results.append(upscaler.array(picture))
    red = upscaler.array(np.full((40, 40, 3), (200, 30, 40), np.uint8))[40, 40]
    for result in results:
        visible = result[..., 3] > 0
        assert np.abs(result[visible][:, :3].astype(int) - red).max() <= 3
        np.testing.assert_array_equal(result[visible], results[0][visible])
    alpha = imresize(disc.astype(float), 2)
    assert np.abs(results[0][..., 3] - np.clip(alpha, 0, 1) * 255).max() <= 0.5 + 1e-3


def test_fill_hidden_by_hand() -> None:
    alpha = np.zeros((1, 5), np.float32)
    alpha[0, 0] = 1
    colour = np.array([[[0.25, 9, 9, 9, 9]]], np.float32)
    np.testing.assert_array_equal(fill_hidden(list(colour), alpha)[0], [[0.25] * 5])
    np.testing.assert_array_equal(fill_hidden(list(colour), alpha * 0)[0], colour[0])


def test_pil_images_keep_mode_and_metadata() -> None:
    upscaler = Upscaler(WEIGHTS)
    rgb = Image.fromarray(as_dtype(smooth(12, 14, 3), np.uint8))
    for mode in ("L", "LA", "RGB", "RGBA"):
        result = upscaler(rgb.convert(mode))
        assert (result.mode, result.size) == (mode, (28, 24))
    for mode, becomes in (("1", "L"), ("P", "RGB"), ("CMYK", "RGB"), ("YCbCr", "RGB")):
        assert upscaler(rgb.convert(mode)).mode == becomes
    deep = Image.fromarray(as_dtype(smooth(12, 14), np.uint16))
    assert upscaler(deep).mode == deep.mode == "I;16"
    rgb.info.update(icc_profile=b"profile", dpi=(100, 100))
    assert upscaler(rgb).info == {"icc_profile": b"profile", "dpi": (200, 200)}


@pytest.mark.parametrize(("mode", "colour", "becomes"), [("RGB", (250, 0, 0), "RGBA"), ("L", 7, "LA")])
def test_a_colour_of_a_pil_image_that_stands_for_transparent(mode: str, colour: Any, becomes: str) -> None:
    image = Image.new(mode, (14, 12), colour)
    image.paste(9 if mode != "RGB" else (9, 9, 9), (0, 0, 7, 12))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=colour)
    result = Upscaler(WEIGHTS)(Image.open(buffer))
    assert result.mode == becomes
    alpha = np.asarray(result)[..., -1]
    assert alpha[:, :8].min() > 200
    assert alpha[:, -8:].max() < 55


def test_pil_images_of_whole_numbers_and_unusual_modes() -> None:
    upscaler = Upscaler(WEIGHTS)
    deep = as_dtype(smooth(12, 14), np.uint16)
    expected = upscaler(deep)
    big_endian = Image.frombytes("I;16B", (14, 12), deep.astype(">u2").tobytes())
    for image in (big_endian, Image.fromarray(deep.astype(np.int32))):
        np.testing.assert_array_equal(np.asarray(upscaler(image)), expected)
    with pytest.raises(UsageError, match="lies in 0 … 65,535"):
        upscaler(Image.fromarray(deep.astype(np.int32) * 3))
    big_endian.info["transparency"] = 5
    with pytest.warns(PictureWarning, match="its transparency is left out"):
        upscaler(big_endian)
    straight = Image.fromarray(np.dstack([np.full((12, 14), 200, np.uint8), np.full((12, 14), 128, np.uint8)]), "LA")
    result = np.asarray(upscaler(straight.convert("La")))
    assert np.abs(result.astype(int) - np.asarray(upscaler(straight))).max() <= 2


def test_pil_images_of_other_colours_than_rgb_leave_their_profile() -> None:
    upscaler = Upscaler(WEIGHTS)
    rgb = Image.fromarray(as_dtype(smooth(12, 14, 3), np.uint8))
    lab = ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(rgb, ImageCms.createProfile("sRGB"), lab, outputMode="LAB")
    assert image is not None
    image.info["icc_profile"] = ImageCms.ImageCmsProfile(lab).tobytes()
    assert "icc_profile" not in upscaler(image).info
    for profile in (b"damaged", ImageCms.ImageCmsProfile(lab).tobytes()):
        cmyk = rgb.convert("CMYK")
        cmyk.info["icc_profile"] = profile
        result = upscaler(cmyk)
        assert result.mode == "RGB"
        assert "icc_profile" not in result.info


def test_paths_in_paths_out(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    images.write(images.Picture((as_dtype(smooth(9, 8, 3), np.uint8),), "png", resolution=(4.0, 4.0)), source)
    upscaler = Upscaler(WEIGHTS)
    target = upscaler(source)
    assert target == tmp_path / "a_x2.png"
    picture = images.read(target)
    assert picture.pages[0].shape == (18, 16, 3)
    assert picture.resolution == pytest.approx((8, 8))
    assert upscaler(str(source), output=tmp_path / "b.webp", size=Size(width=20)).name == "b.webp"


@pytest.mark.parametrize(
    ("factor", "scales", "expected"),
    [
        (1, (2, 3, 4), ()), (0.5, (2,), ()), (1.01, (2, 3, 4), (2,)), (2, (2, 3, 4), (2,)), (2.5, (2, 3, 4), (3,)),
        (5, (2, 3, 4), (2, 3)), (7, (2, 3, 4), (2, 4)), (16, (2, 3, 4), (4, 4)), (5, (3,), (3, 3)), (64, (4,), (4, 4, 4)),
    ],
)  # fmt: skip
def test_chain(factor: float, scales: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert chain(factor, scales) == expected
    assert math.prod(expected) >= factor


def test_sizes() -> None:
    assert Size(factor=1.5).of(3, 10) == (5, 15)  # 4.5 is rounded up
    assert Size(width=100).of(30, 50) == (60, 100)
    assert Size(height=60).of(30, 50) == (60, 100)
    assert Size(width=7, height=9).of(30, 50) == (9, 7)
    assert Size(fit=(100, 100)).of(30, 50) == (60, 100)
    assert Size(fit=(10, 10)).of(30, 50) == (6, 10)
    assert Size(fit=(3, 3)).of(1, 500) == (1, 3)


@pytest.mark.parametrize("factor", [0, -2, 1, 0.5, 1e9, math.nan, math.inf])
def test_factors_that_are_none(factor: float) -> None:
    with pytest.raises(UsageError, match="scale is a number above 1, up to 64"):
        Size(factor=factor)
    with pytest.raises(UsageError, match="scale is a number above 1"):
        Upscaler(WEIGHTS, scale=factor)


def test_a_pil_image_of_several_frames_is_one_of_them_and_that_is_said() -> None:
    buffer = io.BytesIO()
    first, second = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    first.save(buffer, "GIF", save_all=True, append_images=[second])
    animation = Image.open(buffer)
    animation.seek(1)
    with pytest.warns(
        PictureWarning, match="the PIL image: frame 2 of 2 is upscaled, the others are left out"
    ) as caught:
        result = Upscaler("fsrcnn-x", scale=2)(animation)
    assert caught[0].filename == __file__
    assert result.convert("RGB").getpixel((8, 8)) == (0, 0, 255)


def test_other_refusals(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give factor, width and/or height, or fit"):
        Size()
    with pytest.raises(UsageError, match="give factor, width and/or height, or fit"):
        Size(factor=2, width=9)
    with pytest.raises(UsageError, match="width is a whole number of at least 1"):
        Size(width=0)
    with pytest.raises(UsageError, match="too much"):
        Size(width=10**9).of(10, 10)
    with pytest.raises(UsageError, match="no model 'fsrcnnn'"):
        Upscaler("fsrcnnn")
    with pytest.raises(WeightsError, match="does not exist"):
        Upscaler(tmp_path / "no.safetensors")
    with pytest.raises(UsageError, match="threads"):
        Upscaler(WEIGHTS, threads=0)
    upscaler: Any = Upscaler(WEIGHTS)
    for pixels, sentence in (
        (np.zeros((4, 4)), "not float64"),
        (np.zeros((4, 4), bool), "not bool"),
        (np.zeros((4, 4, 5), np.uint8), "1 to 4 channels"),
        (np.zeros((0, 4), np.uint8), "at least one pixel"),
        (np.full((4, 4), np.nan, np.float32), "without NaN"),
        (np.full((4, 4), 255, np.float32), r"\[0, 1\]"),
    ):
        with pytest.raises(UsageError, match=sentence):
            upscaler(pixels)
    with pytest.raises(UsageError, match="not list"):
        upscaler([1, 2])


def test_a_result_larger_than_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fsrcnn.upscaler, "physical_memory", lambda: 1000)
    upscaler = Upscaler(WEIGHTS)
    assert upscaler.array(np.zeros((10, 20), np.uint8)).shape == (20, 40)  # 800 bytes
    with pytest.raises(UsageError, match=r"20×24 pixels takes 0\.0 GB"):
        upscaler.array(np.zeros((12, 10), np.uint16))  # 960 bytes


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 50), st.integers(1, 50))
def test_tiles_cover_once(height: int, width: int, tile_height: int, tile_width: int) -> None:
    seen = np.zeros((height, width), int)
    for top, bottom, left, right in tiles_of((height, width), (tile_height, tile_width)):
        seen[top:bottom, left:right] += 1
    assert (seen == 1).all()
