"""What the page computes equals what `fsrcnn upscale` does: in the browser to the sample, by the server to the byte."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from fsrcnn import pretrained
from fsrcnn.arrays import Array
from support import png_chunk, run_command, saved
from tabs import PNG, RGB, Server, Tab, Visits, by_command, plain

pyvips = pytest.importorskip("pyvips")

GENERATOR = np.random.default_rng(5)
KINDS = {1: 0, 2: 4, 3: 2, 4: 6}  # channels → PNG's colour type
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


GIVEN = (0x010E, 0x8298, 0x0112, 0x9003)


def exif() -> bytes:
    tags = Image.Exif()
    tags[0x010E] = "A picture of a test"
    tags[0x8298] = "Nobody"
    tags[0x0112] = 6  # to be turned
    tags.get_ifd(0x8769)[0x9003] = "2020:02:20 20:20:20"
    return tags.tobytes().removeprefix(b"Exif\0\0")


def png(samples: Array, *chunks: bytes) -> bytes:
    """A PNG of 8 or 16 bits, written by hand, with chunks before its pixels."""
    height, width, channels = samples.shape
    depth = 8 * samples.dtype.itemsize
    rows = samples.astype(samples.dtype.newbyteorder(">")).tobytes()
    length = len(rows) // height
    filtered = b"".join(b"\0" + rows[at : at + length] for at in range(0, len(rows), length))
    header = struct.pack(">IIBBBBB", width, height, depth, KINDS[channels], 0, 0, 0)
    parts = (png_chunk(b"IHDR", header), *chunks, png_chunk(b"IDAT", zlib.compress(filtered)), png_chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def patches(height: int, width: int, channels: int, dtype: Any = np.uint8) -> Array:
    """Noise in places, even colours in others, and an alpha that is 0, whole, and between."""
    peak = int(np.iinfo(dtype).max)
    samples = GENERATOR.integers(0, peak + 1, (height, width, channels))
    samples[: height // 2] = samples[: height // 2] // (peak // 2 + 1) * peak
    if channels in (2, 4):
        samples[:, : width // 3, -1] = 0
        samples[:, width // 2 :, -1] = peak
    return samples.astype(dtype)


PROFILE = png_chunk(b"iCCP", b"a profile\0\0" + zlib.compress(ICC))
PNGS = [
    ("rgb.png", PNG),
    ("rgba.png", png(patches(23, 31, 4))),
    ("grey.png", png(patches(21, 34, 1))),
    ("grey and alpha.png", png(patches(21, 34, 2))),
    ("16 grey.png", png(patches(9, 14, 1, np.uint16))),
    ("16 rgb.png", png(patches(15, 22, 3, np.uint16), PROFILE)),
    ("16 rgba.png", png(patches(13, 17, 4, np.uint16))),
    ("one.png", png(patches(1, 1, 3))),
    ("5×3.png", png(patches(3, 5, 4))),
    ("icc and exif.png", png(patches(12, 20, 3), PROFILE, png_chunk(b"eXIf", exif()))),
]
NOISY = [
    ("noise.png", saved([np.clip(GENERATOR.normal(128, 25, (90, 120, 3)), 0, 255).astype(np.uint8)], "PNG")),
    ("blocks.jpg", saved([RGB], "JPEG", quality=25)),
    ("fine.jpg", saved([RGB], "JPEG", quality=95)),
]


@dataclass(frozen=True)
class Case:
    """Pictures, and options: of the page's form, and of the command line."""

    form: dict[str, Any]
    command: str
    files: list[tuple[str, bytes]] = field(default_factory=lambda: PNGS)
    precision: str = "fast"

    @property
    def arguments(self) -> tuple[str, ...]:
        return (*self.command.split(), "--precision", self.precision)


FEW = [PNGS[0], PNGS[1], PNGS[4]]
SAME_PIXELS = {
    **{f"×{factor}": Case({"factor": factor, "model": "fsrcnn"}, f"--model fsrcnn --scale {factor}") for factor in (2, 3, 4, 1.5)},
    **{model: Case({"model": model}, f"--model {model}", FEW) for model in pretrained.FAMILIES if model != "fsrcnn"},
    "a strength": Case({"model": "strength", "strength": 0.35}, "--model fsrcnn-photo@0.35", FEW),
    "auto": Case({"model": "auto"}, "", [*PNGS, NOISY[0]]),
    "width": Case({"way": "width", "width": 101}, "--width 101", [PNGS[0], PNGS[1]]),
    "height": Case({"way": "height", "height": 97}, "--height 97", [PNGS[0], PNGS[2]]),
    "both": Case({"way": "both", "width": 100, "height": 45}, "--width 100 --height 45", [PNGS[0], PNGS[1]]),
    "fit": Case({"way": "fit", "width": 90, "height": 70}, "--fit 90x70", [PNGS[0], PNGS[2]]),
    "smaller": Case({"way": "width", "width": 30}, "--width 30", [PNGS[0], PNGS[1]]),
    "lossless webp": Case({"format": "webp", "lossless": True, "model": "fsrcnn"}, "--model fsrcnn --format webp --lossless", FEW[:2]),
}  # fmt: skip
OTHERS = {
    "exact": Case({"precision": "exact", "model": "fsrcnn"}, "--model fsrcnn", precision="exact"),
    "jpg": Case({"format": "jpg", "quality": 40}, "--format jpg --quality 40", [PNGS[0], NOISY[2]]),
    "webp": Case({"format": "webp", "quality": 35}, "--format webp --quality 35", [PNGS[0], PNGS[1]]),
    "from jpg": Case({}, "", NOISY[1:]),
    "jpg to png": Case({"format": "png", "model": "fsrcnn"}, "--format png --model fsrcnn", NOISY[1:]),
}
BY_SERVER = {
    **SAME_PIXELS,
    **OTHERS,
    "tif": Case({"format": "tif"}, "--format tif", [*FEW, NOISY[1]]),
    "avif": Case({"format": "avif", "quality": 50}, "--format avif --quality 50", FEW[:2]),
    "lossless avif": Case({"format": "avif", "lossless": True}, "--format avif --lossless", FEW[:1]),
    "gif": Case({"format": "gif"}, "--format gif", FEW[:1]),
    "a page": Case(
        {"page": 2, "format": "png"}, "--page 2 --format png", [("pages.tif", saved([RGB, RGB[::2]], "TIFF"))]
    ),
    "tolerant": Case({"tolerant": True}, "--tolerant", [("half.png", PNG[: len(PNG) // 2])]),
}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case], dict[str, bytes]]:
    """What the command makes of a case."""
    made: dict[int, dict[str, bytes]] = {}

    def of(case: Case) -> dict[str, bytes]:
        if id(case) not in made:
            made[id(case)] = by_command(tmp_path_factory.mktemp("command"), case.files, *case.arguments)
        return made[id(case)]

    return of


def results(tab: Tab, case: Case) -> dict[str, bytes]:
    """What the page makes of it."""
    tab.choose(**case.form)
    tab.add(*case.files)
    for name, _ in case.files:
        tab.done(name)
    return tab.save_all()


@dataclass
class Decoded:
    samples: Array
    interpretation: str
    icc: bytes | None
    tags: dict[int, Any]


def decoded(data: bytes) -> Decoded:
    """By libvips, its tags by Pillow."""
    picture = pyvips.Image.new_from_buffer(data, "")
    icc = picture.get("icc-profile-data") if picture.get_typeof("icc-profile-data") else None
    with Image.open(io.BytesIO(data)) as opened:
        tags = opened.getexif()
        inner = tags.get_ifd(0x8769)
        return Decoded(
            picture.numpy(),
            picture.interpretation,
            icc,
            {tag: value for tag, value in {**tags, **inner}.items() if tag != 0x8769},
        )


@pytest.mark.parametrize("name", SAME_PIXELS)
def test_the_browser_gives_the_pixels_of_the_command(
    visit: Visits, server: Server, engine: None, expected: Callable[[Case], dict[str, bytes]], name: str
) -> None:
    case = SAME_PIXELS[name]
    made = results(visit(server.address, "browser"), case)
    wanted = expected(case)
    assert made.keys() == wanted.keys()
    for file, data in made.items():
        ours, theirs = decoded(data), decoded(wanted[file])
        assert (ours.samples.dtype, ours.samples.shape, ours.interpretation) == (
            theirs.samples.dtype,
            theirs.samples.shape,
            theirs.interpretation,
        )
        np.testing.assert_array_equal(ours.samples, theirs.samples, file)
        assert ours.icc == theirs.icc
        assert {**theirs.tags, **ours.tags} == theirs.tags, (ours.tags, theirs.tags)
        assert [ours.tags.get(tag) for tag in GIVEN] == [theirs.tags.get(tag) for tag in GIVEN]


@pytest.mark.parametrize("name", OTHERS)
def test_the_browser_follows_the_other_options(
    visit: Visits, server: Server, engine: None, expected: Callable[[Case], dict[str, bytes]], name: str
) -> None:
    """Where floating point or codecs of the browser take part, results are alike."""
    case = OTHERS[name]
    made = results(visit(server.address, "browser"), case)
    wanted = expected(case)
    assert made.keys() == wanted.keys()
    for file, data in made.items():
        ours, theirs = decoded(data), decoded(wanted[file])
        assert ours.samples.shape == theirs.samples.shape
        opaque = theirs.samples[..., -1:] > 0 if theirs.samples.ndim > 2 and theirs.samples.shape[2] in (2, 4) else True
        difference = np.abs(ours.samples.astype(float) - theirs.samples) * opaque
        if case.precision == "exact":
            assert difference.max() <= 1
        else:
            assert difference.mean() < 3
            assert 0.6 < len(data) / len(wanted[file]) < 1.7  # as much was lost


@pytest.mark.parametrize("name", BY_SERVER)
def test_the_server_gives_the_bytes_of_the_command(
    visit: Visits, server: Server, expected: Callable[[Case], dict[str, bytes]], name: str
) -> None:
    case = BY_SERVER[name]
    assert results(visit(server.address, "server"), case) == expected(case)


@pytest.mark.parametrize("where", ["browser", "server"])
def test_facts(visit: Visits, server: Server, engine: None, where: str, tmp_path: Path) -> None:
    """What is said of a result is what the command says, and the command that is shown makes the same."""
    tab = visit(server.address, where)
    tab.choose(model="auto", factor="2.5", format="png")
    said = {}
    for name, data in NOISY:
        tab.add((name, data))
        tab.done(name)
        tab.show(name)
        rows = tab.page.locator("#facts dl > div")
        said[name] = {
            plain(row.locator("dt").text_content()): plain(row.locator("dd").text_content()) for row in rows.all()
        }
        said[name]["command"] = plain(tab.page.locator("#facts code").text_content())
        (tmp_path / name).write_bytes(data)
    done = run_command(
        "upscale",
        *(name for name, _ in NOISY),
        "--scale",
        "2.5",
        "--precision",
        "fast",
        "--format",
        "png",
        "--json",
        cwd=tmp_path,
    )
    for told in json.loads(done.stdout)["done"]:
        facts = said[Path(told["input"]).name]
        assert facts["Model"] == f"{told['model']}: {told['reason']}"
        assert (
            facts["command"] == f"fsrcnn upscale {Path(told['input']).name} --scale 2.5 --precision fast --format png"
        )
        assert facts["Engine"].startswith(
            "WebAssembly in this browser" if where == "browser" else "fsrcnn serve at 127.0.0.1"
        )
    assert (
        said["blocks.jpg"]["Size"] == "48 × 40 → 120 × 100 pixels"
        or said["blocks.jpg"]["Size"] == "48 × 40 → 120 × 100"
    )


def test_options_are_kept_and_reset(visit: Visits, server: Server) -> None:
    context = visit.context()
    tab = visit.tab(context, server.address, "server")
    chosen = {
        "model": "strength",
        "strength": "0.35",
        "way": "fit",
        "width": "123",
        "height": "45",
        "format": "webp",
        "precision": "exact",
        "quality": "77",
    }
    tab.choose(**chosen, lossless=False)
    again = visit.tab(context, server.address)
    values = {name: again.page.locator(f"#options [name={name}]").input_value() for name in chosen}
    assert values == chosen
    assert again.page.locator("input[name=where]:checked").input_value() == "server"
    assert (
        plain(again.page.locator("#options-summary").text_content())
        == "≤ 123 × 45 · fsrcnn-photo@0.35 · exact · WebP 77"
    )
    again.choose()
    again.button("Reset").click()
    again.page.wait_for_function("() => document.querySelector('[name=quality]').value === ''")
    third = visit.tab(context, server.address)
    assert third.page.locator("[name=way]").input_value() == "factor"


WRONG: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "factor 1": ("server", {"factor": "1"}, "factor", "A factor is a number above 1, up to 64, as 2 or 1.5."),
    "factor 65": ("browser", {"factor": "65"}, "factor", "A factor is a number above 1, up to 64, as 2 or 1.5."),
    "no factor": ("server", {"factor": ""}, "factor", "A factor is a number above 1, up to 64, as 2 or 1.5."),
    "width 0": ("server", {"way": "width", "width": "0"}, "width", "Pixels are a whole number of at least 1."),
    "half a pixel": ("browser", {"way": "both", "width": "20", "height": "4.5"}, "height", "Pixels are a whole number of at least 1."),
    "no box": ("server", {"way": "fit", "width": ""}, "width", "Pixels are a whole number of at least 1."),
    "quality 0": ("server", {"quality": "0"}, "quality", "A quality is a whole number from 1 to 100, or empty."),
    "quality 101": ("browser", {"quality": "101"}, "quality", "A quality is a whole number from 1 to 100, or empty."),
    "quality 4.5": ("server", {"quality": "4.5"}, "quality", "A quality is a whole number from 1 to 100, or empty."),
    "page 0": ("server", {"page": "0"}, "page", "A page is a whole number of at least 1, or empty."),
    "lossless jpg": (
        "server", {"format": "jpg", "lossless": True}, "lossless",
        "JPEG has no lossless kind; take PNG, WebP, TIFF or AVIF, or leave it off.",
    ),
    "both kinds": (
        "server", {"format": "webp", "lossless": True, "quality": "50"}, "quality",
        "Lossless has no quality: leave one of the two out.",
    ),
    "tif": (
        "browser", {"format": "tif"}, "format",
        "TIFF is written by the server only: choose to compute there, or take PNG, JPEG or WebP.",
    ),
}  # fmt: skip


def test_what_the_server_advises_is_said_in_words_of_the_page(visit: Visits, server: Server) -> None:
    """An option of the server alone is not there while the browser computes, and does not count."""
    tab = visit(server.address, "server")
    tab.add(("half.png", PNG[: len(PNG) // 2]), ("pages.tif", saved([RGB, RGB], "TIFF")))
    assert tab.state("half.png") == "failed"
    assert tab.remark("half.png").endswith("give “Tolerant” to take what is left of it")
    tab.choose(tolerant=True, page=2, format="jpg")
    summary = plain(tab.page.locator("#options-summary").text_content())
    assert summary == "×2 · auto · fast · JPEG · Page 2 · Tolerant"
    tab.page.locator("input[value=browser]").check(force=True)
    assert tab.page.locator("#tolerant").is_hidden()
    assert plain(tab.page.locator("#options-summary").text_content()) == "×2 · auto · fast · JPEG"


@pytest.mark.parametrize("name", WRONG)
def test_wrong_values_are_said_in_place(visit: Visits, server: Server, engine: None, name: str) -> None:
    where, options, field_name, sentence = WRONG[name]
    tab = visit(server.address, where)
    assert tab.page.locator("[aria-invalid=true]").count() == 0
    tab.choose(**options)
    problem = tab.page.locator(f"#{field_name}-problem")
    assert problem.text_content() == sentence
    assert problem.is_visible()
    field_with_it = tab.page.locator(f"#options [name={field_name}]")
    assert field_with_it.get_attribute("aria-invalid") == "true"
    assert f"{field_name}-problem" in str(field_with_it.get_attribute("aria-describedby"))
    tab.add(("a.png", PNG))
    assert tab.state("a.png") == "failed"
    assert sentence in tab.remark("a.png")
    tab.button("Reset").click()
    tab.button("Try a.png again").click()
    tab.done("a.png")
