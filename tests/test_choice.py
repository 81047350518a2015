"""Which weights for which picture: what a file says, what is measured, what is chosen, and that the choice is right."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from fsrcnn import (
    Colour,
    Planes,
    Size,
    Upscaler,
    UsageError,
    choice,
    color,
    degradation,
    engines,
    images,
    metrics,
    models,
    protocol,
    robustness,
)
from fsrcnn.choice import Choice
from fsrcnn.estimates import Estimates, estimates_of
from fsrcnn.images import Compression
from fsrcnn.planes import LAYOUTS
from fsrcnn.training import sheets
from support import SHARED, noise, run_command, saved

FAMILIES = choice.families()


def picture(height: int = 40, width: int = 56, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


# ── what a file says ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "options",
    [{}, {"subsampling": 0}, {"progressive": True}, {"mode": "L"}],
    ids=["4:2:0", "4:4:4", "progressive", "grey"],
)
def test_the_quality_of_a_jpeg_is_the_one_that_it_was_saved_with(options: dict[str, Any]) -> None:
    mode = options.pop("mode", "RGB")
    for quality in (*range(5, 100, 5), 96, 97, 98, 99, 100):
        buffer = io.BytesIO()
        Image.fromarray(picture()).convert(mode).save(buffer, "JPEG", quality=quality, **options)
        options_kept = images.read(buffer.getvalue()).compression
        assert options_kept == Compression("JPEG", quality)


@pytest.mark.parametrize("scale", [0.07, 0.3, 0.9, 2.2])
def test_foreign_tables_have_the_quality_of_the_nearest_of_libjpegs(scale: float) -> None:
    """Tables that grow with the frequency, as a camera's; the witness is the sum of those that Pillow's libjpeg writes."""
    frequency = np.add.outer(np.arange(8), np.arange(8)).ravel()
    table = [int(entry) for entry in (scale * (12 + 8 * frequency)).clip(1, 255)]
    buffer = io.BytesIO()
    Image.fromarray(picture()).save(buffer, "JPEG", qtables=[table, [99] * 64])
    found = images.read(buffer.getvalue()).compression
    assert found is not None
    assert found.quality is not None

    def distance(quality: int) -> int:
        other = io.BytesIO()
        Image.new("L", (8, 8)).save(other, "JPEG", quality=quality)
        return abs(sum(Image.open(other).quantization[0]) - sum(table))  # type: ignore[attr-defined]

    assert distance(found.quality) == min(map(distance, range(1, 101)))


def test_the_table_is_that_of_luma_wherever_it_stands() -> None:
    """A file of which luma takes table 1 and chroma table 0: in the frame header, the two are exchanged."""
    data = bytearray(saved([picture()], "JPEG", quality=60))
    frame = data.index(b"\xff\xc0")
    assert list(data[frame + 12 : frame + 19 : 3]) == [0, 1, 1]
    data[frame + 12], data[frame + 15], data[frame + 18] = 1, 0, 0
    found = images.read(bytes(data)).compression
    chroma = Image.open(io.BytesIO(bytes(data))).quantization[1]  # type: ignore[attr-defined]
    assert found == Compression("JPEG", images.quality_of(chroma))
    assert found.quality != 60


def test_what_other_files_say() -> None:
    assert images.read(saved([picture()], "PNG")).compression is None
    assert images.read(saved([picture()], "TIFF")).compression is None
    assert images.read(saved([picture()], "WEBP")).compression == Compression("WebP")
    assert images.read(saved([picture()], "WEBP", lossless=True)).compression is None
    jpeg = Image.open(io.BytesIO(saved([picture()], "JPEG", quality=70)))
    assert images.pil_compression(jpeg) == Compression("JPEG", 70)
    assert images.pil_compression(jpeg.convert("L")) is None
    several = Image.open(io.BytesIO(saved([picture(), picture()], "MPO", quality=70)))
    assert (several.format, images.pil_compression(several)) == ("MPO", Compression("JPEG", 70))
    assert images.pil_compression(Image.fromarray(picture())) is None


# ── what is measured ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("sigma", [1.5, 4.0, 12.0])
def test_noise_is_measured_beside_edges(sigma: float) -> None:
    """Of luma in studio swing, 219 levels from black to white; the flattest blocks of a sample have a little less than all."""
    grey = np.full((200, 300), 90.0)
    grey[:, ::37] = 200
    grey += np.random.default_rng(0).normal(0, sigma, grey.shape)
    measured = estimates_of(np.rint(grey).clip(0, 255).astype(np.uint8)).noise
    assert 0.75 * sigma * 219 / 255 < measured < 1.05 * sigma * 219 / 255


def test_blocks_are_seen_wherever_their_grid_begins() -> None:
    smooth = np.random.default_rng(0).normal(128, 20, (40, 50))
    blocks = np.kron(smooth, np.ones((8, 8))) + np.random.default_rng(1).normal(0, 3, (320, 400))
    steps = [estimates_of(blocks[top:, top:].clip(0, 255).astype(np.uint8)).blocks for top in (0, 3)]
    assert min(steps) > 0.8  # 1 where all lies in steps: half of one counts beside it
    assert estimates_of((255 * noise(320, 400)).astype(np.uint8)).blocks < 0.1


def test_sharpening_and_blur_bend_the_spectrum() -> None:
    base = degradation.filtered(noise(200, 200), degradation.gaussian(1.2, 1.2, 0))
    sharp = degradation.sharpened(base, 1, 1)
    plain, sharpened = estimates_of(base), estimates_of(sharp)
    gain = np.subtract(sharpened.spectrum, plain.spectrum)
    assert gain[2] > gain[0] + 0.5
    assert sharpened.correlations[1] < plain.correlations[1] - 0.05


def test_what_lies_beside_an_edge_is_measured_in_parts_of_it() -> None:
    """By hand: steps of 120 levels up and down, with 12 beside them the other way, as sharpening leaves."""
    period = np.repeat(
        [50, 38, 158, 146, 158, 38], [7, 1, 1, 7, 1, 1]
    )  # 12 down, 120 up, 12 down; 12 up, 120 down, 12 up
    grey = np.tile(period, (150, 9)).astype(np.uint8)
    for picture in (grey, grey.T):
        edges = np.reshape(estimates_of(picture).edges, (2, 4))
        np.testing.assert_allclose(edges[0], -0.1, atol=1e-4)
        np.testing.assert_allclose(edges[1:], 0, atol=1e-4)
    soft = np.tile(np.repeat([50, 110, 170, 110], [7, 1, 7, 1]), (150, 9)).astype(
        np.uint8
    )  # 60 and 60 up, 60 and 60 down
    low, middle, high, larger = np.reshape(estimates_of(soft).edges, (2, 4))[0]
    assert (round(low, 3), round(high, 3), round(larger, 3)) == (0, 1, 1)
    assert 0 <= middle <= 1


def flat(found: Estimates) -> list[float]:
    return [found.noise, found.blocks, found.steepness, *found.correlations, *found.spectrum, *found.edges]


def test_every_kind_of_array_of_one_picture_measures_alike() -> None:
    rgb = picture(130, 150)
    expected = flat(estimates_of(rgb))
    alpha = np.dstack([rgb, picture(130, 150, 1)[:, :, 0].clip(1)])  # all of it is seen
    for twin in (rgb.astype(np.uint16) * 257, rgb.astype(np.float32) / np.float32(255), alpha):
        np.testing.assert_allclose(flat(estimates_of(twin)), expected, rtol=1e-4, atol=1e-4)
    grey = rgb[:, :, 0]
    for twin in (np.dstack([grey] * 3), np.dstack([grey, alpha[:, :, 3]])):
        # rounding moves a few differences to the steepest ones, or away
        np.testing.assert_allclose(flat(estimates_of(twin)), flat(estimates_of(grey)), rtol=3e-3, atol=3e-3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (64, 64), (65, 7, 3), (900, 70, 4)])
@pytest.mark.parametrize("level", [0, 255])
def test_small_and_flat_pictures_have_measurements_too(shape: tuple[int, ...], level: int) -> None:
    found = estimates_of(np.full(shape, level, np.uint8))
    assert np.isfinite(flat(found)).all()
    assert (found.noise, found.blocks) == (0, 0)
    assert choice.choose(np.full(shape, level, np.uint8), 2).model in FAMILIES


@pytest.mark.parametrize("level", [0, 255])
@pytest.mark.parametrize("around", [((24, 24), (0, 0)), ((40, 8), (72, 16)), ((0, 0), (0, 150))])
def test_margins_do_not_count(level: int, around: tuple[tuple[int, int], tuple[int, int]]) -> None:
    """The bars of a film, the paper around a photo, an empty half; those of a JPEG are not quite of one colour."""
    rgb = picture(136, 152)
    margins = np.pad(rgb, [*around, (0, 0)], constant_values=level)
    assert flat(estimates_of(margins)) == flat(estimates_of(rgb))
    unclean = margins.astype(int) + np.random.default_rng(0).integers(-4, 5, margins.shape)
    unclean[around[0][0] :, around[1][0] :][:136, :152] = rgb
    assert flat(estimates_of(unclean.clip(0, 255).astype(np.uint8))) == flat(estimates_of(rgb))


@pytest.mark.parametrize("hidden", ["noise", "black", "white"])
def test_what_nobody_sees_does_not_count(hidden: str) -> None:
    rgb, alpha = picture(136, 152), np.full((136, 152), 255, np.uint8)
    seen = flat(estimates_of(rgb[:, 40:]))
    alpha[:, :40] = 0
    below = picture(136, 152, 1) if hidden == "noise" else np.full_like(rgb, 0 if hidden == "black" else 255)
    rgb[:, :40] = below[:, :40]
    assert flat(estimates_of(np.dstack([rgb, alpha]))) == seen
    alpha[30:33, 60:63] = 0  # a hole: in the tiles that are seen whole, it is not
    holed = rgb.copy()
    holed[30:33, 60:63] = below[30:33, 60:63]
    assert flat(estimates_of(np.dstack([holed, alpha]))) == flat(estimates_of(np.dstack([rgb, alpha])))
    assert np.isfinite(flat(estimates_of(np.dstack([rgb, 0 * alpha])))).all()


def test_a_large_picture_takes_no_longer_than_a_middling_one(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    convert = color.luma
    monkeypatch.setattr("fsrcnn.estimates.luma", lambda pixels: (seen.append(pixels.size), convert(pixels))[1])  # type: ignore[func-returns-value]
    estimates_of(np.zeros((3000, 4000, 3), np.uint8))
    assert seen == [3 * 384 * 384]


def test_what_the_file_says_counts_beside_the_pixels() -> None:
    pixels = picture(80, 90)
    said = [None, Compression("JPEG", 100), Compression("JPEG", 90), Compression("JPEG", 30), Compression("WebP")]
    *_, coarseness, lossy = np.transpose([choice.features(estimates_of(pixels), compression) for compression in said])
    assert coarseness[0] == coarseness[1] == coarseness[4] == 0 < coarseness[2] < coarseness[3]
    assert lossy.tolist() == [0, 0, 0, 0, 1]


# ── that the choice is right ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_network_is_the_mean_of_its_members() -> None:
    """By hand: features 1 and 0 beyond the mean, the second clipped from 5 deviations to 3; two members of one hidden value each."""
    table = {
        "families": ["first", "second"],
        "mean": [2, 0],
        "deviation": [2, 1],
        "layers": [
            [
                [[[1], [1]], [[-1], [0]]],
                [[[0.5]], [[0.25]]],
            ],  # 0.5 + 3 + 0.5 = 4; -0.5 + 0.25 = -0.25, which ReLU makes 0
            [[[[2, -1]], [[7, 7]]], [[[0, 1]], [[0.5, 0]]]],  # (8, -3); (0.5, 0)
        ],
    }
    assert choice.network_of(table).gains([3, 5]) == [4.25, -1.5]


@pytest.mark.parametrize(("name", "every"), [("BSDS500-val20", 2), ("Set14", 1)])
def test_the_choice_loses_little_against_the_best_family_of_each_picture(name: str, every: int) -> None:
    """Over all cases, and against each family alone: what makes `auto` the default. The network has seen none of these pictures."""
    folder = SHARED / "datasets" / name
    if not folder.is_dir():
        pytest.skip(f"needs {folder}")
    nets = [engines.create(models.resolve(family, 2), threads=1) for family in FAMILIES]
    gains, chosen = [], []
    for path in sorted(folder.iterdir())[::every]:
        rgb = metrics.modcrop(color.as_rgb(protocol.read_8bit(path)), 2)
        hr = protocol.hr_luma(rgb)
        for case in degradation.CASES.values():
            small = images.read(case.file(rgb.astype(np.float32) / 255, 2, robustness.number_of(path)))
            gains.append(robustness.gains(hr, small.pages[0], nets))
            chosen.append(FAMILIES.index(choice.choose(small.pages[0], 2, small.compression).model))
    table = np.array(gains)
    of_choice = table[np.arange(len(table)), chosen]
    assert (table.max(axis=1) - of_choice).mean() <= 0.15
    assert of_choice.mean() > table.mean(axis=0).max() + 0.05


def test_a_sheet_as_a_grey_picture_has_the_luma_of_the_sheet() -> None:
    sheet = sheets.text_sheet(np.random.default_rng(0), sheets.INKS["yellow on blue"], "DejaVuSans", (12, 18), (60, 90))
    assert sheet.rgb.shape == (60, 90, 3)
    assert sheet.rgb.dtype == np.uint8
    assert np.ptp(sheet.rgb, axis=2).max() == 0
    assert sheet.rgb.min() < 60 < 180 < sheet.rgb.max()
    np.testing.assert_allclose(color.luma(sheet.rgb / 255.0), sheet.lr, rtol=0, atol=0.5 * 219 / 255**2 + 1e-6)


@pytest.mark.parametrize("kernel", ["area", "bicubic"])
@pytest.mark.parametrize(
    ("quality", "webp"),
    [(None, False), (90, False), (75, False), (80, True)],
    ids=["PNG", "JPEG 90", "JPEG 75", "WebP 80"],
)
def test_text_of_a_screen_is_not_taken_for_a_sharpened_photo(kernel: str, quality: int | None, webp: bool) -> None:
    """A screen draws a letter as the part of each pixel that it covers, which is `area`; `bicubic` is a screenshot made small."""
    nets = [engines.create(models.resolve(family, 2), threads=1) for family in FAMILIES]
    generator = np.random.default_rng(5)
    losses = []
    for name in ("light on dark", "black on white", "dark on light", "yellow on blue"):
        for face in ("DejaVuSans", "DejaVuSansMono"):
            hr = sheets.text_sheet(generator, sheets.INKS[name], face, (18, 24, 30), (256, 320)).rgb
            lr = degradation.rounded(degradation.shrunk((hr / 255).astype(np.float32), 2, kernel))
            small = images.read(degradation.encoded(lr, quality, webp=webp))
            gains = robustness.gains(protocol.hr_luma(hr), small.pages[0], nets)
            chosen = choice.choose(small.pages[0], 2, small.compression).model
            losses.append(max(gains) - gains[FAMILIES.index(chosen)])
    assert np.mean(losses) < 0.5  # `fsrcnn-photo-strong` would lose 1.5 and more of a PNG
    assert max(losses) < 2


# ── how it is fitted ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def fit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[object, str]:
    """Exit code and standard error of `tools/fit_choice.py`, which takes one step for one network at ×2."""
    fit_choice = pytest.importorskip("fit_choice", reason="needs torch", exc_type=ImportError)
    monkeypatch.setattr(fit_choice, "STEPS", 1)
    monkeypatch.setattr(fit_choice, "MEMBERS", 1)
    monkeypatch.setattr(sys, "argv", ["fit_choice.py", "--scales", "2", *map(str, arguments)])
    try:
        fit_choice.main()
    except SystemExit as stopped:
        return stopped.code, capsys.readouterr().err
    return 0, capsys.readouterr().err


def keep(path: Path, families: tuple[str, ...], count: int) -> None:
    fit_choice = pytest.importorskip("fit_choice", reason="needs torch", exc_type=ImportError)
    generator = np.random.default_rng(0)
    seen, gained = generator.random((9, count)), generator.random((9, len(families)))
    fit_choice.keep(path, fit_choice.Samples(np.arange(9), seen, gained), families)


FEATURES = len(choice.features(estimates_of(np.zeros((1, 1), np.uint8)), None))


@pytest.mark.parametrize(
    ("families", "count", "sentence"),
    [
        (("fsrcnn", "fsrcnn-photo"), FEATURES, ""),
        (("fsrcnn-photo", "fsrcnn"), FEATURES, "samples of fsrcnn-photo, fsrcnn, not of fsrcnn, fsrcnn-photo"),
        (("fsrcnn", "fsrcnn-x"), FEATURES, "samples of fsrcnn, fsrcnn-x, not of"),
        (("fsrcnn", "fsrcnn-photo"), FEATURES - 1, f"of other features than the {FEATURES}"),
    ],
    ids=["their own", "another order", "another family", "other features"],
)
def test_kept_samples_are_fitted_for_their_own_families_alone(
    families: tuple[str, ...], count: int, sentence: str, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    keep(tmp_path / "x2.npz", families, count)
    table = tmp_path / "table.json"
    code, said = fit(
        monkeypatch, capsys,
        "--datasets", tmp_path, "--samples", tmp_path, "--save", table, "--families", "fsrcnn", "fsrcnn-photo",
    )  # fmt: skip
    assert (code, table.exists()) == ((2, False) if sentence else (0, True))
    assert sentence in said
    assert bool(said) == bool(sentence)
    if not sentence:
        assert choice.network_of(json.loads(table.read_text())["2"]).families == families


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"[]"], ids=["empty", "no archive", "text"])
@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--datasets", "none", "--save", "new.json"], 1, "does not exist"),
        (["--datasets", ".", "--save", "none/new.json"], 1, "none is not a folder"),
        (["--datasets", ".", "--save", "text"], 1, "text is no table of choices"),
        (["--datasets", ".", "--save", "list.json"], 1, "list.json is no table of choices"),
        (["--datasets", ".", "--save", "other.json"], 2, "chooses among other families at ×3"),
        (["--datasets", ".", "--save", "new.json", "--samples", "."], 1, "x2.npz holds no samples"),
        (["--datasets", ".", "--save", "new.json", "--families", "fsrcnn", "fsrcnn-z"], 2, "fsrcnn-z"),
        (["--datasets", ".", "--save", "."], 1, "."),
        (["--datasets", ".", "--scales", "5"], 2, "invalid choice: 5"),
    ],
)
def test_what_cannot_be_fitted_is_said_in_a_sentence(
    content: bytes, arguments: list[str], code: int, sentence: str, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x2.npz").write_bytes(content)
    (tmp_path / "text").write_text("PK")
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "other.json").write_text('{"3": {"families": ["fsrcnn"]}}')
    before = sorted(tmp_path.iterdir())
    ended, said = fit(monkeypatch, capsys, *arguments)
    assert (ended, sentence in said) == (code, True), said
    assert sorted(tmp_path.iterdir()) == before


# ── the ways in ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def by_brightness(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, Compression | None]]:
    """The last family for bright pictures, the first for others; what was asked is noted."""
    asked: list[tuple[int, Compression | None]] = []

    def choose(pixels: npt.NDArray[Any], scale: int, compression: Compression | None = None) -> Choice:
        asked.append((scale, compression))
        bright = pixels.mean() > 0.5 * color.peak_of(pixels.dtype)
        return Choice(FAMILIES[-1 if bright else 0], {}, compression, 0.0)

    monkeypatch.setattr(choice, "choose", choose)
    return asked


DARK, BRIGHT = picture() // 3, 255 - picture() // 3


@pytest.mark.parametrize("scale", [2, 3, 4, 1.5, 6])
@pytest.mark.parametrize(
    "make", [lambda rgb: rgb, lambda rgb: rgb.astype(np.float32) / 255, lambda rgb: rgb.astype(np.uint16) * 257]
)
def test_an_array_is_upscaled_by_the_family_chosen(
    scale: float, make: Callable[[npt.NDArray[Any]], npt.NDArray[Any]], by_brightness: list[Any]
) -> None:
    upscaler = Upscaler("auto", scale=scale, threads=1)
    for rgb, family in ((DARK, FAMILIES[0]), (BRIGHT, FAMILIES[-1])):
        pixels = make(rgb)
        assert np.array_equal(upscaler(pixels), Upscaler(family, scale=scale, threads=1)(pixels))
        assert upscaler.chosen(pixels)[0].label == family
    assert {asked for asked, _ in by_brightness} == {{2: 2, 3: 3, 4: 4, 1.5: 2, 6: 2}[scale]}


def test_files_bytes_and_pil_images_hand_on_what_the_file_said(tmp_path: Path, by_brightness: list[Any]) -> None:
    upscaler, alone = Upscaler("auto", threads=1), Upscaler(FAMILIES[-1], threads=1)
    data = saved([BRIGHT], "JPEG", quality=55)
    (tmp_path / "a.jpg").write_bytes(data)
    assert upscaler(data) == alone(data)
    assert upscaler(tmp_path / "a.jpg").read_bytes() == alone(data)
    image = Image.open(io.BytesIO(data))
    assert np.array_equal(np.asarray(upscaler(image)), np.asarray(alone(image)))
    assert by_brightness == 3 * [(2, Compression("JPEG", 55))]


def test_all_frames_have_the_model_of_the_first(by_brightness: list[Any]) -> None:
    data = saved([DARK, BRIGHT], "WEBP", lossless=True, duration=100)
    found = images.read(Upscaler("auto", threads=1)(data, lossless=True))
    expected = images.read(Upscaler(FAMILIES[0], threads=1)(data, lossless=True))
    assert len(by_brightness) == 1
    assert all(np.array_equal(a, b) for a, b in zip(found.pages, expected.pages, strict=True))


@pytest.mark.parametrize("first", ["1", "L"], ids=["1 bit", "two greys of 8 bits"])
def test_a_scan_of_two_levels_does_not_decide_for_the_pages_behind_it(first: str, by_brightness: list[Any]) -> None:
    scan = Image.fromarray(np.where(DARK[:, :, 0] > 70, np.uint8(255), np.uint8(0)), "L").convert(first)
    buffer = io.BytesIO()
    scan.save(buffer, "TIFF", save_all=True, append_images=[Image.fromarray(page) for page in (BRIGHT, DARK)])
    found = images.read(Upscaler("auto", threads=1)(buffer.getvalue()))
    expected = images.read(Upscaler(FAMILIES[-1], threads=1)(buffer.getvalue()))
    assert [page.ndim for page in found.pages] == [2, 3, 3]
    assert all(np.array_equal(a, b) for a, b in zip(found.pages, expected.pages, strict=True))
    assert len(by_brightness) == 1


def test_a_page_that_is_not_enlarged_does_not_decide(by_brightness: list[Any]) -> None:
    data = saved([np.kron(DARK, np.ones((2, 2, 1), np.uint8)), BRIGHT], "TIFF")
    size = Size(fit=(100, 100))  # the first page, of 112×80, shrinks
    upscaler, read = Upscaler("auto", threads=1), images.read(data)
    assert upscaler.enlarged(read, size) == [1]
    assert upscaler.chosen_for(read, size)[0].label == FAMILIES[-1]
    scans = images.Picture(tuple(np.array([[0, 255]], np.uint8).repeat(n, 0) for n in (40, 30)), "tif")
    assert upscaler.chosen_for(scans, size)[0].label == FAMILIES[0]  # two levels everywhere: by the first
    assert [asked for asked, _ in by_brightness] == [2, 3]


@pytest.mark.parametrize("model", ["auto", "fsrcnn", "fsrcnn-x2"])
@pytest.mark.parametrize("size", [("--fit", "90x90"), ("--width", "50"), ("--height", "80")])
def test_where_no_network_is_run_none_is_named(model: str, size: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(saved([picture(80, 90)], "PNG"))
    done = run_command("upscale", "a.png", "-o", "b.png", "-m", model, *size, "--verbose", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    item = json.loads(done.stdout)["done"][0]
    sentence = "no network was run, as the result is no larger than the picture"
    assert (item["model"], item["reason"], item["measured"]) == (None, sentence, None)
    assert done.stderr.decode() == f"fsrcnn: a.png: {sentence}\n"
    array = picture(80, 90)
    assert Upscaler(model, threads=1).chosen(array, Size(width=50))[1] is None
    smaller = Upscaler(model, threads=1)(array, size=Size(width=50))
    assert np.array_equal(smaller, Upscaler("fsrcnn-photo-strong", threads=1)(array, size=Size(width=50)))


def test_a_model_is_named_where_one_page_of_several_is_enlarged(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(saved([picture(80, 90), picture(20, 30)], "TIFF"))
    done = run_command("upscale", "a.tif", "-o", "b.tif", "-m", "fsrcnn", "--fit", "60x60", "--json", cwd=tmp_path)
    item = json.loads(done.stdout)["done"][0]
    assert (item["model"], item["reason"]) == ("fsrcnn", None)


def test_the_command_says_what_it_chose_and_why(tmp_path: Path) -> None:
    (tmp_path / "old.jpg").write_bytes(saved([picture(80, 90)], "JPEG", quality=30))
    (tmp_path / "new.png").write_bytes(saved([picture(80, 90)], "PNG"))
    done = run_command("upscale", "old.jpg", "new.png", "-o", "out", "-m", "auto", "--verbose", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    items = json.loads(done.stdout)["done"]
    for item, start in zip(
        items, ("JPEG quality about 30, noise or fine texture ", "noise or fine texture "), strict=True
    ):
        name = Path(item["input"]).name
        measured = item["measured"]
        assert item["model"] == max(FAMILIES, key=lambda family: measured["expected"][family])
        assert item["reason"].startswith(start)
        assert f"fsrcnn: {name}: {item['model']} ({item['reason']})" in done.stderr.decode()
    assert (items[0]["measured"]["format"], items[0]["measured"]["quality"]) == ("JPEG", 30)
    assert (items[1]["measured"]["format"], items[1]["measured"]["quality"]) == (None, None)
    assert items[0]["measured"]["noise"] > 1

    named = run_command("upscale", "new.png", "-o", "named.png", "-m", "fsrcnn-x2", "--verbose", "--json", cwd=tmp_path)
    item = json.loads(named.stdout)["done"][0]
    assert (item["model"], item["reason"], item["measured"]) == ("fsrcnn-x2", None, None)
    assert "fsrcnn: new.png: fsrcnn-x2\n" in named.stderr.decode()
    quiet = run_command("upscale", "new.png", "-o", "quiet.png", cwd=tmp_path)
    assert b"expected" not in quiet.stderr


def test_the_command_chooses_where_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "old.jpg").write_bytes(saved([picture(80, 90)], "JPEG", quality=30))
    for options in ([], ["-m", "auto"]):
        done = run_command("upscale", "old.jpg", "-o", "large.png", "--overwrite", "--json", *options, cwd=tmp_path)
        item = json.loads(done.stdout)["done"][0]
        assert (
            item["model"] == choice.choose(images.read(tmp_path / "old.jpg").pages[0], 2, Compression("JPEG", 30)).model
        )
        assert item["model"] != "fsrcnn"
        expected = Upscaler(item["model"])(tmp_path / "old.jpg", output=tmp_path / "expected.png", overwrite=True)
        assert (tmp_path / "large.png").read_bytes() == expected.read_bytes()


def test_one_model_is_named_where_no_picture_is_upscaled(tmp_path: Path) -> None:
    upscaler = Upscaler("auto", threads=1)
    lr, sr = (Planes((np.zeros((8 * n, 8 * n), np.uint8),), LAYOUTS["grey"], Colour()) for n in (1, 2))
    with pytest.raises(UsageError, match="auto chooses for a whole picture"):
        upscaler.planes(lr, sr)
    with pytest.raises(UsageError, match="auto chooses for each picture"):
        upscaler.engine(2)
    with pytest.raises(UsageError, match="auto is chosen anew"):
        models.resolve("auto", 2)
    with pytest.raises(UsageError, match="a picture has shape"):
        upscaler.chosen(np.zeros((3, 0), np.uint8), Size(factor=2))
    for each in (upscaler, Upscaler("fsrcnn", threads=1)):
        for wrong in ("JPEG", ("JPEG", 75), 75):
            with pytest.raises(
                UsageError, match="compression is what a picture's file said, a Compression or None, not"
            ):
                each.chosen(np.zeros((3, 3), np.uint8), compression=wrong)  # type: ignore[arg-type]
    (tmp_path / "a.png").write_bytes(saved([picture()], "PNG"))
    done = run_command("evaluate", str(tmp_path), "-m", "auto")
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


def test_auto_costs_nothing_where_it_is_not_asked_for() -> None:
    """The modules that measure and choose are loaded with `auto` alone."""
    script = (
        "import sys, numpy as np; from fsrcnn import Upscaler; Upscaler('fsrcnn')(np.zeros((9, 9), np.uint8)); "
        "assert not {'fsrcnn.choice', 'fsrcnn.estimates'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
