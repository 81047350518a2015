"""What lost nothing loses nothing, and what is asked not to lose anything does not; Pillow reads the pixels back."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fsrcnn import Upscaler
from fsrcnn.architecture import Architecture
from fsrcnn.batch import Options, run_all
from fsrcnn.cli.options import as_option
from fsrcnn.errors import FsrcnnError, UsageError
from fsrcnn.images import Picture, read, write
from fsrcnn.planning import plan
from fsrcnn.size import Size
from support import random_weights, run_command

RGBA = np.random.default_rng(0).integers(0, 256, (24, 32, 4), dtype=np.uint8)
RGBA[:8, :, 3] = 0  # hidden colours are pixels, too
ALWAYS = ("png", "tif")


def webp(pixels: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    frames = (
        [Image.fromarray(pixels), Image.fromarray(pixels[::-1])]
        if options.pop("animated", False)
        else [Image.fromarray(pixels)]
    )
    frames[0].save(buffer, "WEBP", save_all=len(frames) > 1, append_images=frames[1:], **options)
    return buffer.getvalue()


def frames_of(data: bytes | None) -> list[np.ndarray]:
    picture = Image.open(io.BytesIO(data or b""))
    found = []
    for number in range(getattr(picture, "n_frames", 1)):
        picture.seek(number)
        found.append(np.asarray(picture.convert("RGBA")))
    return found


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("format", ["png", "webp", "tif", "avif"])
def test_lossless_where_asked(format: str, channels: int) -> None:
    pixels = np.ascontiguousarray(RGBA[:, :, :channels])
    data = write(Picture((pixels,), "png"), None, format=format, lossless=True).data
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data or b""))), pixels)
    np.testing.assert_array_equal(read(data or b"").pages[0], pixels)
    if format not in ALWAYS:
        lossy = read(write(Picture((pixels,), "png"), None, format=format).data or b"").pages[0]
        assert (lossy != pixels).any()


@pytest.mark.parametrize("animated", [False, True])
@pytest.mark.parametrize("channels", [3, 4])
def test_a_lossless_webp_stays_one(channels: int, animated: bool) -> None:
    pixels = np.ascontiguousarray(RGBA[:, :, :channels])
    source = webp(pixels, lossless=True, exact=True, animated=animated)
    picture = read(source)
    data = write(picture, None).data
    assert (data or b"").count(b"VP8L") == len(picture.pages)
    for frame, page in zip(frames_of(data), picture.pages, strict=True):
        np.testing.assert_array_equal(frame[:, :, :channels], page)
    choices: tuple[dict[str, Any], ...] = ({"quality": 80}, {"format": "avif"} if not animated else {"quality": 50})
    for options in choices:
        lossy = write(picture, None, **options).data or b""
        assert b"VP8L" not in lossy
        assert b"VP8 " in lossy or b"avif" in lossy
    again = write(read(webp(pixels, quality=80, animated=animated)), None).data
    assert b"VP8 " in (again or b"")


def test_one_lossy_frame_makes_an_animation_lossy() -> None:
    y, x = np.mgrid[:64, :64]
    smooth = np.dstack([128 + 90 * np.sin(x / 9 + y / 7), 2 * x + y, 3 * y]).clip(0, 255).astype(np.uint8)
    flat = np.zeros_like(smooth)
    flat[::2] = 255
    buffer = io.BytesIO()
    frames = [Image.fromarray(flat), Image.fromarray(smooth)]
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:], quality=50, allow_mixed=True)
    assert all(kind in buffer.getvalue() for kind in (b"VP8 ", b"VP8L"))
    assert "lossless" not in read(buffer.getvalue()).metadata


def test_a_lossless_avif_stays_one() -> None:
    pixels = np.ascontiguousarray(RGBA[:, :, :3])
    picture = read(write(Picture((pixels,), "avif"), None, lossless=True).data or b"")
    np.testing.assert_array_equal(read(write(picture, None).data or b"").pages[0], pixels)
    assert (read(write(picture, None, quality=50).data or b"").pages[0] != pixels).any()


@pytest.mark.parametrize(
    ("format", "dtype", "sentence"),
    [
        ("jpg", "uint8", "jpg is never lossless; give --format png or --format tif or --format webp or --format avif"),
        ("gif", "uint8", "gif is never lossless; give --format png or --format tif or --format webp or --format avif"),
        ("webp", "uint16", "webp cannot keep every pixel of a picture of 16 bits; give --format png"),
        ("avif", "uint16", "avif cannot keep every pixel of a picture of 16 bits; give --format png"),
        ("png", "float32", "png cannot keep every pixel of a picture of 32 bits; give --format tif"),
    ],
)  # fmt: skip
def test_what_cannot_be_lossless_is_refused(format: str, dtype: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        write(Picture((np.zeros((9, 9, 3), dtype),), "png"), None, format=format, lossless=True)
    assert caught.value.sentence(as_option) == sentence


def extra_channel(pixels: np.ndarray) -> bytes:
    tifffile = pytest.importorskip("tifffile")
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, photometric="rgb", planarconfig="contig", extrasamples=[0])
    return buffer.getvalue()


def deep_cmyk() -> bytes:
    tifffile = pytest.importorskip("tifffile")
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, RGBA.astype(np.uint16) * 257, photometric="separated")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("make", "format", "fact", "remedy"),
    [
        *((lambda: extra_channel(RGBA), format, f"{format} cannot keep a channel that is neither colour nor transparency", ".tif")
          for format in ("png", "webp", "avif")),
        (lambda: write(Picture((RGBA.astype(np.uint16),), "png"), None).data, "webp",
         "webp cannot keep every pixel of a picture of 16 bits", ".png"),
        (lambda: webp(RGBA, lossless=True, animated=True), "avif", "frames of an avif are never lossless", ".png or .webp"),
        (deep_cmyk, "png", "the picture has 16 bits per sample, of which fsrcnn reads 8", ""),
    ],
)  # fmt: skip
def test_what_would_lose_something_is_refused_before_the_work(
    make: Any, format: str, fact: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upscaler = Upscaler(random_weights(Architecture(scale=2, d=8, s=4, m=1)), engine="numpy")
    source, target, size = tmp_path / "in.bin", tmp_path / f"out.{format}", Size(factor=2)
    source.write_bytes(make())
    (job,) = plan([str(source)], str(target), size).jobs
    monkeypatch.setattr(upscaler, "picture", None)  # nothing is upscaled
    (outcome,) = run_all([job], upscaler, size, Options(lossless=True))
    assert outcome.error is not None
    expected = fact + (f"; give another -o that ends in {remedy}" if remedy else "")
    assert outcome.error.sentence(lambda name, _: "-o" if name == "output" else name) == expected
    with pytest.raises(UsageError, match=fact):
        upscaler(source, output=target, lossless=True)
    with pytest.raises(UsageError, match=f"{fact}; give format" if remedy else fact):
        upscaler(source.read_bytes(), format=format, lossless=True)
    assert not target.exists()


def test_lossless_and_a_quality() -> None:
    upscaler = Upscaler(random_weights(Architecture(scale=2, d=8, s=4, m=1)), engine="numpy")
    source = webp(RGBA, lossless=True)
    for call in (
        lambda: Options(quality=90, lossless=True),
        lambda: write(Picture((RGBA,), "webp"), None, quality=90, lossless=True),
        lambda: upscaler(source, quality=90, lossless=True),
    ):
        with pytest.raises(
            UsageError, match="a picture that keeps every pixel has no quality; give either lossless or quality"
        ):
            call()


def test_the_command_and_python_agree(tmp_path: Path) -> None:
    upscaler = Upscaler()
    path = tmp_path / "a.webp"
    path.write_bytes(webp(RGBA[:, :, :3], lossless=True))
    out = run_command("upscale", path, "-o", tmp_path / "b.png")
    assert out.returncode == 0
    expected = np.asarray(Image.open(tmp_path / "b.png"))
    for name, options in (("c.webp", []), ("d.avif", ["--lossless"])):
        done = run_command("upscale", path, "-o", tmp_path / name, *options)
        assert (done.returncode, done.stderr.decode().splitlines()[-1]) == (0, f"{tmp_path / name}  64×48")
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / name).convert("RGB")), expected)
    refused = run_command("upscale", path, "-o", tmp_path / "e.jpg", "--lossless")
    assert b"jpg is never lossless; give another --output that ends in .png or .tif or .webp or .avif" in refused.stderr
    assert refused.returncode == 2
    refused = run_command("upscale", path, tmp_path / "absent.png", "--format", "gif", "--lossless")
    assert b"gif is never lossless; give --format png" in refused.stderr
    assert refused.returncode == 2
    refused = run_command("upscale", path, "--lossless", "--quality", "80")
    assert refused.returncode == 2
    assert b"has no quality; give either --lossless or --quality" in refused.stderr
    with pytest.raises(FsrcnnError, match="jpg is never lossless"):
        upscaler(path, output=tmp_path / "f.jpg", lossless=True)
    assert {p.name for p in tmp_path.iterdir()} == {"a.webp", "b.png", "c.webp", "d.avif"}
