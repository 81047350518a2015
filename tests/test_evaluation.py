"""The protocols against published figures and by hand; figures and tables."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fsrcnn import engines, images, pretrained
from fsrcnn.architecture import family
from fsrcnn.arrays import Uint8
from fsrcnn.errors import ImageError, UsageError
from fsrcnn.evaluation import Result, comparable, compare, evaluate, find_sets, mean, means
from fsrcnn.figures import three_panes
from fsrcnn.imresize import imresize
from fsrcnn.metrics import psnr
from fsrcnn.protocol import PROTOCOLS, Score, read_8bit
from support import files_below, random_weights

# Bicubic PSNR on Set5, Set14 and BSD200 as all papers since SRCNN print it; the SSIM of Set5 and Set14 likewise.
BICUBIC = {
    ("Set5", 2): (33.66, 0.9299), ("Set5", 3): (30.39, 0.8682), ("Set5", 4): (28.42, 0.8104),
    ("Set14", 2): (30.23, 0.8687), ("Set14", 3): (27.54, 0.7736), ("Set14", 4): (26.00, 0.7019),
}  # fmt: skip


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_is_the_papers(scale: int, datasets: Path) -> None:
    engine = engines.create(random_weights(family("fsrcnn-x", scale)))
    results, failures = evaluate([datasets / "Set5", datasets / "Set14"], engine, protocols=["paper"], threads=2)
    assert failures == []
    assert [r.folder for r in results] == ["Set5"] * 5 + ["Set14"] * 14
    for folder in ("Set5", "Set14"):
        score = mean([r.bicubic for r in results if r.folder == folder])
        assert (round(score.psnr, 2), round(score.ssim, 4)) == BICUBIC[folder, scale]


@pytest.mark.parametrize("name", list(pretrained.table()))
def test_bundled_weights_score_what_the_table_says(name: str, datasets: Path) -> None:
    results, _ = evaluate([datasets / "Set5"], engines.create(pretrained.load(name)), threads=2)
    for protocol in ("paper", "files"):
        score = mean([r.sr for r in results if r.protocol == protocol])
        psnr, ssim = pretrained.table()[name].scores["Set5"][protocol]
        assert score.psnr == pytest.approx(psnr, abs=2e-3)
        assert score.ssim == pytest.approx(ssim, abs=2e-4)


@pytest.mark.parametrize("name", [name for name in pretrained.table() if not name.endswith(".t91")])
def test_a_grey_picture_may_reach_black_and_white(name: str, datasets: Path) -> None:
    """Luma of colours lies within 16 … 235, and so does what is learned from; weights that only ever saw that lost 0.4 dB here."""
    engine = engines.create(pretrained.load(name))
    grey = read_8bit(datasets / "Set14" / "bridge.png")
    assert (grey.min(), grey.max()) == (0, 255)
    inside = np.floor(16 + grey * (219 / 255) + 0.5).astype(np.uint8)
    whole, within = (compare(picture, engine, "paper") for picture in (grey, inside))
    gains = [psnr(made.hr, made.sr, 1) - psnr(made.hr, made.bicubic, 1) for made in (whole, within)]
    assert gains[0] > gains[1] - 0.1


def test_files_is_paper_with_lr_rounded() -> None:
    original = np.random.default_rng(0).integers(0, 256, (33, 30, 3), dtype=np.uint8)
    engine = engines.create(random_weights(family("fsrcnn-x", 2)))
    paper, files = (compare(original, engine, protocol) for protocol in PROTOCOLS)
    np.testing.assert_array_equal(paper.hr, files.hr)
    assert paper.hr.shape == (32, 30)
    # imresize on uint8 would round between the passes; a file's LR is rounded once.
    lr = np.floor(imresize(paper.hr / 255.0, output_size=(16, 15)) * 255 + 0.5)
    expected = np.floor(np.clip(imresize(np.clip(lr, 0, 255) / 255, output_size=(32, 30)), 0, 1) * 255 + 0.5)
    np.testing.assert_array_equal(files.bicubic, expected)
    assert (paper.bicubic != files.bicubic).any()


def write_picture(path: Path, *shape: int, dtype: type = np.uint8) -> None:
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype=dtype)
    images.write(images.Picture((pixels,), "png"), path)


def test_grey_alpha_and_16_bit_pictures(tmp_path: Path) -> None:
    for name, shape in (("grey", (40, 50)), ("rgba", (41, 52, 4)), ("ga", (40, 50, 2))):
        write_picture(tmp_path / f"{name}.png", *shape)
    write_picture(tmp_path / "deep.png", 40, 50, 3, dtype=np.uint16)
    engine = engines.create(random_weights(family("fsrcnn-x", 3)))
    results, failures = evaluate([tmp_path], engine, save=tmp_path / "out")
    assert failures == []
    assert len(results) == 8
    assert read_8bit(tmp_path / "deep.png").dtype == np.uint8
    saved = sorted(p.name for p in (tmp_path / "out" / tmp_path.name).iterdir())
    assert saved == sorted(f"{n}_x3{tail}.png" for n in ("grey", "rgba", "ga", "deep") for tail in ("", "_panes"))
    assert images.read(tmp_path / "out" / tmp_path.name / "rgba_x3.png").pages[0].shape == (39, 51, 3)
    assert images.read(tmp_path / "out" / tmp_path.name / "grey_x3.png").pages[0].shape == (39, 48)


def test_a_bad_picture_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    write_picture(tmp_path / "good.png", 40, 40, 3)
    write_picture(tmp_path / "tiny.png", 12, 12, 3)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    results, failures = evaluate([tmp_path], engines.create(random_weights(family("fsrcnn-x", 2))))
    assert {r.picture for r in results} == {"good"}
    assert len(failures) == 2
    assert "bad.png" in str(failures[0])
    assert "tiny.png" in str(failures[1])
    assert "a picture of 12×12 is too small to measure at ×2, which takes 16×16" in str(failures[1])
    with pytest.raises(ImageError, match="does not exist"):
        evaluate([tmp_path / "none"], engines.create(random_weights(family("fsrcnn-x", 2))))


@pytest.mark.parametrize(("scale", "least"), [(2, 16), (3, 18), (4, 20)])
def test_the_smallest_picture_that_is_measured(scale: int, least: int) -> None:
    """11 pixels a side, the window of SSIM, are left of it; however small another one is, that is the sentence."""
    engine = engines.create(random_weights(family("fsrcnn-x", scale)), "numpy")
    scores = compare(np.zeros((least, least), np.uint8), engine, "paper")
    assert min(scores.hr.shape) - 2 * scale >= 11
    for side in (1, scale, 2 * scale, least - 1):
        with pytest.raises(
            ImageError, match=rf"of {side}×{side} is too small .* at ×{scale}, which takes {least}×{least}"
        ):
            compare(np.zeros((side, side), np.uint8), engine, "paper")


def test_what_is_saved_replaces_no_picture_that_is_measured(tmp_path: Path) -> None:
    for name in ("a", "a_x2", "b"):
        write_picture(tmp_path / f"set/{name}.png", 40, 40, 3)
    before = (tmp_path / "set/a_x2.png").read_bytes()
    with pytest.raises(UsageError, match=r"the output .*a_x2\.png is also an input; give another save"):
        evaluate([tmp_path / "set"], engine_x2(), save=tmp_path)
    assert (tmp_path / "set/a_x2.png").read_bytes() == before
    assert len(files_below(tmp_path)) == 3
    results, failures = evaluate([tmp_path / "set"], engine_x2(), save=tmp_path / "out", protocols=["paper"])
    assert (len(results), failures) == (3, [])


def engine_x2() -> engines.Engine:
    return engines.create(random_weights(family("fsrcnn-x", 2)), "numpy")


def test_pictures_of_a_tree_keep_apart(tmp_path: Path) -> None:
    """Two that differ in their folder, or in their ending, have two names; so none is written over another."""
    for name in ("set/a.png", "set/deep/a.png", "set/deep/b.png"):
        write_picture(tmp_path / name, 40, 40, 3)
    Image.new("RGB", (40, 40), "red").save(tmp_path / "set/a.jpg")
    names = ["a.jpg", "a.png", "deep/a", "deep/b"]
    results, failures = evaluate(
        [tmp_path / "set"], engine_x2(), protocols=["paper"], recursive=True, save=tmp_path / "out"
    )
    assert failures == []
    assert [result.picture for result in results] == names
    assert files_below(tmp_path / "out/set") == sorted(
        f"{name}_x2{tail}.png" for name in names for tail in ("", "_panes")
    )
    assert [path.name for each in find_sets([tmp_path / "set"]) for path in each.found.pictures] == ["a.jpg", "a.png"]
    (alone,) = find_sets([tmp_path / "set/deep/b.png"], recursive=True)
    assert (alone.name, list(alone.names.values())) == ("b.png", ["b"])


def test_two_sets_of_one_name_are_not_mixed(tmp_path: Path) -> None:
    for name in ("mine/Set5", "theirs/Set5"):
        write_picture(tmp_path / name / "a.png", 40, 40, 3)
    with pytest.raises(
        UsageError, match=r"mine/Set5 and .*theirs/Set5 have the same name; evaluate one after the other"
    ):
        evaluate([tmp_path / "mine/Set5", tmp_path / "theirs/Set5"], engine_x2())


@pytest.mark.parametrize("raised", [PermissionError(13, "Permission denied"), UnicodeError("no text"), MemoryError()])
def test_what_the_system_says_of_a_picture_stays_with_it(
    raised: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        write_picture(tmp_path / f"{name}.png", 40, 40)

    def read(path: Path) -> Uint8:
        if path.stem == "b":
            raise raised
        return read_8bit(path)

    monkeypatch.setattr("fsrcnn.protocol.read_8bit", read)
    results, failures = evaluate([tmp_path], engine_x2(), protocols=["paper"], threads=2)
    assert [result.picture for result in results] == ["a", "c"]
    assert len(failures) == 1
    assert str(tmp_path / "b.png") in str(failures[0])


def test_a_folder_that_may_not_be_read_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.png", "closed/b.png"):
        write_picture(tmp_path / name, 40, 40)
    scandir = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    results, failures = evaluate([tmp_path], engine_x2(), protocols=["paper"], recursive=True)
    assert [result.picture for result in results] == ["a"]
    assert [str(failure) for failure in failures] == [
        f"the folder {tmp_path}/closed cannot be read, so its pictures are missing"
    ]


def test_three_panes_hold_the_pictures_unchanged() -> None:
    panes = [np.full((90, 220, 3), value, np.uint8) for value in (10, 120, 230)]
    sheet = three_panes(panes, ["HR", "bicubic 1.00 dB", "SR 2.00 dB"])
    assert sheet.shape == (90 + 16 + 24, 3 * (220 + 8) + 8, 3)
    for number, pane in enumerate(panes):
        left = 8 + number * 228
        np.testing.assert_array_equal(sheet[32:122, left : left + 220], pane)
    assert (sheet[:28] < 128).any()  # the labels


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("bands", [2, 4])
def test_colours_under_full_transparency_are_not_measured(dtype: type, bands: int, tmp_path: Path) -> None:
    """Noise of whatever kind under alpha 0 gives one luma; colours that are partly seen stay as they are."""
    peak = 1 if dtype is np.float32 else np.iinfo(dtype).max
    generator = np.random.default_rng(0)
    pixels = generator.uniform(0.2, 0.8, (60, 70, bands))
    pixels[..., -1] = generator.choice([0.01, 0.5, 1.0], (60, 70))
    hidden = np.zeros((60, 70), bool)
    hidden[5:50, 10:60] = True
    pixels[hidden, -1] = 0
    seen = []
    for seed in (1, 2):
        pixels[hidden, :-1] = np.random.default_rng(seed).random((hidden.sum(), bands - 1))
        path = tmp_path / f"{seed}.tif"
        images.write(images.Picture(((pixels * peak).astype(dtype),), "tif"), path)
        seen.append(read_8bit(path))
    np.testing.assert_array_equal(seen[0], seen[1])
    colours = (pixels * peak).astype(dtype)[..., :-1] / peak
    expected = np.floor(np.squeeze(colours).astype(np.float64) * 255 + 0.5)
    assert np.abs(seen[0].astype(float) - expected)[~hidden].max() <= (0 if dtype is np.uint8 else 1)
    # As the upscaler paints beside what is seen: the mean of the seen pixels of 3×3; far from it: the mean of all.
    edge = colours[4, 29:32].mean(0) * 255
    assert np.abs(seen[0][5, 30].astype(float) - edge).max() <= 1
    middle = colours[~hidden].mean(0) * 255
    assert np.abs(seen[0][27, 35].astype(float) - middle).max() <= 1


def test_pictures_that_are_none_or_several(tmp_path: Path) -> None:
    images.write(images.Picture((np.full((20, 20, 4), (9, 8, 7, 0), np.uint8),), "png"), tmp_path / "clear.png")
    with pytest.raises(ImageError, match=r"clear\.png is transparent everywhere, so it has no colours"):
        read_8bit(tmp_path / "clear.png")
    for ending in ("gif", "tif", "webp"):
        pages = tuple(np.full((20, 20, 3), level, np.uint8) for level in (10, 200))
        images.write(images.Picture(pages, ending), tmp_path / f"two.{ending}")
        with pytest.raises(
            ImageError, match=f"two.{ending} has 2 pages or frames, where one picture is wanted; save one"
        ):
            read_8bit(tmp_path / f"two.{ending}")


def test_means_leave_out_what_is_made_exactly() -> None:
    """PSNR of the pictures that both differ from; SSIM of all; infinite only where nothing is left."""
    inf = math.inf
    results = [
        Result("f", str(number), "paper", Score(bicubic, ssim), Score(sr, 1.0))
        for number, (bicubic, sr, ssim) in enumerate(
            [(30.0, 32.0, 0.8), (inf, 60.0, 1.0), (50.0, inf, 0.9), (40.0, 44.0, 0.5)]
        )
    ]
    assert means(results) == {"bicubic": Score(35.0, (0.8 + 1.0 + 0.9 + 0.5) / 4), "sr": Score(38.0, 1.0)}
    assert len(comparable(results)) == 2
    assert means(results[1:2]) == {"bicubic": Score(inf, 1.0), "sr": Score(60.0, 1.0)}
