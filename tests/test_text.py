"""Small text and tiles, as screens show them: the hardest input there is. No final network puts a spark beside a letter."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from fsrcnn import engines, models, pretrained
from fsrcnn.architecture import SCALES, Architecture, family
from fsrcnn.arrays import Float32
from fsrcnn.engines import native
from fsrcnn.errors import UsageError
from fsrcnn.imresize import imresize
from fsrcnn.metrics import psnr
from fsrcnn.training import sheets
from fsrcnn.training.sheets import FACES, INKS, SIZES, TILES
from support import ROOT, files_below, random_weights

Kinds = Mapping[str, Sequence[Float32]]
# After the 91 images alone some put sparks, as the page says on which they stand (docs/reproduce-the-paper.md).
SPARKING = ("fsrcnn-x2.t91", "fsrcnn-x3.t91", "fsrcnn-x4.t91", "fsrcnn-s-x2.t91", "fsrcnn-s-x4.t91")
CALM = [
    *((name, bundled.scale) for name, bundled in pretrained.table().items() if name not in SPARKING),
    *((f"fsrcnn-photo@{strength}", scale) for strength in (0.2, 0.5, 0.8) for scale in SCALES),
]
SHAPE = (144, 160)  # LR pixels: a line of each size


@pytest.fixture(scope="module")
def kinds() -> Kinds:
    """LR luma of each kind: text in each font and size, tiles of 1 to 4 pixels, and an e alone."""
    pytest.importorskip("matplotlib", reason="matplotlib has the fonts; type: pip install 'fsrcnn[train]'")
    generator = np.random.default_rng(0)
    made = {
        name: [sheets.text_sheet(generator, ink, face, SIZES, SHAPE) for face in FACES] for name, ink in INKS.items()
    }
    made |= {name: [sheets.tile_sheet(generator, name, cell, SHAPE) for cell in (1, 1, 2, 3, 4)] for name in TILES}
    alone = [
        sheets.word("e", ink, face, size, (24, 24)) for ink in INKS.values() for face in FACES for size in (8, 9, 10)
    ]
    return {name: [sheet.lr for sheet in group] for name, group in made.items()} | {"an e alone": alone}


def kinds_with_sparks(engine: engines.Engine, kinds: Kinds) -> dict[str, int]:
    counts = {name: sum(sheets.sparks(lr, engine.luma(lr)) for lr in group) for name, group in kinds.items()}
    return {name: count for name, count in counts.items() if count}


@pytest.mark.parametrize("precision", engines.PRECISIONS)
@pytest.mark.parametrize(("name", "scale"), CALM)
def test_no_spark_beside_text(name: str, scale: int, precision: str, kinds: Kinds) -> None:
    if precision == "fast" and not native.available():
        pytest.skip("the native engine was not built: no C++ compiler")
    assert kinds_with_sparks(engines.create(models.resolve(name, scale), precision=precision), kinds) == {}


@pytest.mark.parametrize("name", SPARKING)
def test_those_that_are_said_to_put_sparks_do(name: str, kinds: Kinds) -> None:
    """On light text that is not antialiased: the claim of the page, and that the test above would notice."""
    found = kinds_with_sparks(engines.create(pretrained.load(name)), kinds)
    assert set(found) & {f"{look}, not antialiased" for look in ("light on dark", "white on black", "yellow on blue")}


@pytest.mark.parametrize("name", list(pretrained.table()))
@pytest.mark.parametrize("seed", [0, 1])
def test_bundled_weights_do_not_explode_on_text(name: str, seed: int) -> None:
    """Letters made small like a photograph: some weights of ours that scored well on Set5 came out at 1600 times white there."""
    generator = np.random.default_rng(seed)
    sheet = Image.new("L", (360, 360), 20)
    pen = ImageDraw.Draw(sheet)
    for top in range(0, 360, 18):
        line = "".join(chr(code) for code in generator.integers(33, 127, 60))
        pen.text((0, top), line, fill=230, font=ImageFont.load_default(int(generator.integers(12, 24))))
    engine = engines.create(pretrained.load(name))
    scale = engine.architecture.scale
    for hr in (np.asarray(sheet) / 255, 1 - np.asarray(sheet) / 255):
        lr = imresize(hr, output_size=(360 // scale, 360 // scale)).astype(np.float32)
        sr = engine.run(lr)
        assert -0.5 < sr.min() < sr.max() < 1.5
        bicubic = imresize(lr, output_size=(360, 360))
        gain = psnr(hr, sr.clip(0, 1), 1) - psnr(hr, bicubic.clip(0, 1), 1)
        # At ×4 the letters are hardly there any more, and weights for photos give up what a letter gains: they stay near bicubic.
        assert gain > (-0.7 if "-strong" in name else -0.2 if "-photo" in name else 0.1 if scale == 4 else 0.3)


@pytest.mark.parametrize("scale", [2, 3])
def test_a_spark_is_far_off_where_all_around_is_flat(scale: int) -> None:
    lr = np.full((12, 14), 0.5, np.float32)
    lr[:, :6] = 0.25  # an edge: its 5×5 windows reach columns 4 to 7
    sr = np.kron(lr, np.ones((scale, scale), np.float32))
    assert sheets.sparks(lr, sr) == 0
    for row, column, off, count in (
        (11, 13, 0.3, 1), (11, 13, -0.3, 1), (0, 8, 0.3, 1), (0, 3, 0.3, 1), (0, 4, 0.3, 0), (0, 7, 0.3, 0), (5, 9, 0.22, 0),
        (5, 9, 0.25, 1),
    ):  # fmt: skip
        spoiled = sr.copy()
        spoiled[row * scale + scale - 1, column * scale] += off
        assert sheets.sparks(lr, spoiled) == count, (row, column, off)
    lr[:, :6] = 0.99
    assert sheets.sparks(lr, np.full_like(sr, 0.99)) == 6 * 12 * scale**2  # right of the edge, all is wrong
    black = np.zeros((6, 6), np.float32)
    assert sheets.sparks(black, np.full((12, 12), -5, np.float32)) == 0  # nobody sees that black is blacker


def test_overshoot_is_what_leaves_the_range() -> None:
    assert sheets.overshoot(np.array([[0.0, 1.0]], np.float32)) == 0
    assert sheets.overshoot(np.array([[-1.0, 1.5]], np.float32)) == 255
    assert sheets.overshoot(np.array([[-0.2, 3.0]], np.float32)) == 510


def test_what_a_network_should_have_made(kinds: Kinds) -> None:
    """By hand, pixel by pixel: its own output, at most a margin beyond the range of the 5×5 LR pixels around."""
    engine = engines.create(random_weights(family("fsrcnn-x", 3)))
    lr = kinds["yellow on blue"][0][:20, :30]
    hr = sheets.calmed(lr, engine, 0.02).hr
    sr = engine.luma(lr)
    inside = 0
    for row, column in np.ndindex(hr.shape):
        y, x = row // 3, column // 3
        around = lr[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
        kept = min(max(sr[row, column], around.min() - 0.02), around.max() + 0.02)
        assert abs(int(hr[row, column]) - 255 * kept) < 0.51
        inside += kept == sr[row, column]
    assert 0 < inside < hr.size


def test_sheets_to_learn_are_text_and_tiles_of_all_kinds(kinds: Kinds) -> None:
    engine = engines.create(random_weights(family("fsrcnn-x", 2)))
    first, again, others = (sheets.sheets_to_learn(engine, 12, 0.1, seed) for seed in (1, 1, 2))
    assert all((a.lr == b.lr).all() and (a.hr == b.hr).all() for a, b in zip(first, again, strict=True))
    assert any((a.lr != b.lr).any() for a, b in zip(first, others, strict=True))
    assert all(pair.lr.min() >= 16 / 255 - 1e-6 and pair.lr.max() <= 235 / 255 + 1e-6 for pair in first)
    assert all(pair.hr.shape == (240, 320) for pair in first)
    assert {len(np.unique(pair.lr)) > 2 for pair in first} == {False, True}


def test_text_shows_as_many_letters_as_are_counted() -> None:
    """Ten letters of DejaVu Sans Mono at 10 pixels are 60 pixels wide; of what is drawn, what lies on the paper is counted."""
    pytest.importorskip("matplotlib", reason="matplotlib has the fonts; type: pip install 'fsrcnn[train]'")
    sheet = sheets.text_sheet(np.random.default_rng(0), INKS["white on black"], "DejaVuSansMono", (10,), (130, 600))
    lines, columns = 10, 100
    spaces = sheets.LETTERS.count(" ") / len(sheets.LETTERS)
    assert sheet.marks == pytest.approx(lines * columns * (1 - spaces), rel=0.06)


def cure() -> ModuleType:
    """`recipes/cure.py` as a module."""
    for package in ("torch", "tensorboard", "matplotlib"):
        pytest.importorskip(package, reason=f"{package} is not installed; type: pip install 'fsrcnn[train]'")
    spec = importlib.util.spec_from_file_location("cure", ROOT / "recipes" / "cure.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_sheets_replace_some_patches() -> None:
    """Batches of ones, sheets of zeros: the zeros are the share, the same for an update whenever it is drawn."""
    with_sheets = cure().WithSheets
    import torch

    from fsrcnn.training.batches import Batch

    class Level:
        def __init__(self, level: float) -> None:
            self.level, self.steps_per_epoch = level, 7

        def draw(self, step: int) -> Batch:
            return Batch(torch.full((8, 1, 5, 5), self.level), torch.full((8, 4, 5, 5), self.level), None)

    assert with_sheets(Level(1.0), Level(0.0), 0.0, 1).steps_per_epoch == 7
    for share in (0.0, 0.25, 1.0):
        mixed = with_sheets(Level(1.0), Level(0.0), share, seed=1)
        batches = [mixed.draw(step) for step in range(200)]
        kept = torch.cat([batch.lr.mean(dim=(1, 2, 3)) for batch in batches])
        assert set(kept.tolist()) <= {0.0, 1.0}
        assert float(kept.mean()) == pytest.approx(1 - share, abs=0.04 if share == 0.25 else 0)
        assert all((batch.lr[:, 0, 0, 0] == batch.phases[:, 3, 2, 2]).all() for batch in batches)
        assert (mixed.draw(5).lr == batches[5].lr).all()


def test_a_cure_goes_on_with_its_own_sheets_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = cure()
    monkeypatch.setattr(module, "SHEETS", 3)
    for folder in (*module.PICTURES, module.VALIDATION):
        path = tmp_path / folder.partition(":")[0]
        path.mkdir()
        Image.effect_noise((120, 110), 60).save(path / "noise.png")
    random_weights(Architecture(6, 3, 1, 3, 5, 2)).save(tmp_path / "net.safetensors")

    def run(*arguments: object) -> None:
        fixed = ("--model", tmp_path / "net.safetensors", "--datasets", tmp_path, "--output", tmp_path / "run")
        monkeypatch.setattr(sys, "argv", ["cure.py", *map(str, (*fixed, *arguments))])
        module.main()

    run("--steps", 1)
    assert "update 1/1" in capsys.readouterr().out
    run("--steps", 1)
    assert "update" not in capsys.readouterr().out  # it is finished
    run("--steps", 2)
    assert "update 2/2" in capsys.readouterr().out
    assert {"best.safetensors", "log.csv"} <= set(files_below(tmp_path / "run"))
    for changed in (("--margin", 16), ("--share", 0.1)):
        with pytest.raises(UsageError, match=r"training pictures: 1 with other contents \(sheets\)"):
            run("--steps", 2, *changed)
