"""The trainer: batches hold what they should, a killed run ends like an uninterrupted one, and it learns."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conftest import random_weights

torch = pytest.importorskip("torch", reason="PyTorch is not installed; type: pip install 'fsrcnn[train]'")

from fsrcnn import images, weights  # noqa: E402
from fsrcnn.architecture import Architecture, family  # noqa: E402
from fsrcnn.engines.numpy import NumpyEngine  # noqa: E402
from fsrcnn.errors import FsrcnnError, UsageError  # noqa: E402
from fsrcnn.imresize import imresize  # noqa: E402
from fsrcnn.training.loop import Progress, Trainee, bicubic_psnr, take_over, train  # noqa: E402
from fsrcnn.training.optimizers import Soap  # noqa: E402
from fsrcnn.training.patches import Folder, Pairs, Patches, load_pairs  # noqa: E402
from fsrcnn.training.recipe import Recipe  # noqa: E402

TINY = Architecture(6, 3, 1, 3, 5, 2)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders `one`, `two` and `validation` with a few smooth pictures of waves."""
    root = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:64, :80]
    for folder in ("one", "two", "validation"):
        (root / folder).mkdir()
        for number in range(3):
            a, b, c = generator.uniform(0.05, 0.9, 3)
            wave = 0.5 + 0.25 * np.sin(a * x + b * y) + 0.2 * np.sign(np.sin(c * x - a * y))
            pixels = np.repeat((wave * 255).clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2)
            images.write(images.Picture((pixels,), "png"), root / folder / f"{number}.png")
    return root


def recipe(steps: int = 60, architecture: Architecture = TINY) -> Recipe:
    sources: tuple[tuple[int, dict[str, tuple[float, ...]]], ...] = (
        (0, {"one": (1.0,)}),
        (20, {"one": (1.0, 0.8), "two": (1.0,)}),
    )
    return Recipe(architecture, sources, steps, batch=4, patch=8, warmup=5)


def run(plan: Recipe, pictures: Path, folder: Path, stop_at: int | None = None) -> weights.Weights:
    class Killed(BaseException):
        pass

    def report(progress: Progress) -> None:
        if progress.step == stop_at:
            raise Killed

    try:
        return train(plan, pictures, pictures / "validation", folder, report=report, validate_every=10, compile=False)
    except Killed:
        return weights.load(folder / "last.safetensors")


def test_a_killed_run_ends_in_the_very_same_weights(pictures: Path, tmp_path: Path) -> None:
    whole = run(recipe(), pictures, tmp_path / "whole")
    for stop_at in (10, 30):
        run(recipe(), pictures, tmp_path / "killed", stop_at)
    (tmp_path / "killed" / ".checkpoint.pt.1.part").write_bytes(
        b"half a checkpoint"
    )  # as a kill while writing leaves it
    killed = run(recipe(), pictures, tmp_path / "killed")
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(killed.arrays[name], array)
    log = (tmp_path / "whole" / "log.csv").read_text().splitlines()
    assert log[0] == "step,loss_db,validation_db,seconds"
    assert [line.split(",")[0] for line in log[1:]] == ["10", "20", "30", "40", "50", "60"]


def test_it_learns(pictures: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    train(
        recipe(300), pictures, pictures / "validation", tmp_path, report=seen.append, validate_every=50, compile=False
    )
    assert seen[-1].validation_db > seen[0].validation_db + 1
    assert seen[-1].best_db == max(p.validation_db for p in seen)
    # What is saved scores what was reported, in another engine.
    engine = NumpyEngine(weights.load(tmp_path / "last.safetensors"))
    scores = []
    for path in images.find(pictures / "validation"):
        hr = images.read(path).pages[0][:, :, 0] / 255 * 219 / 255 + 16 / 255
        hr = np.floor(hr * 255 + 0.5)
        sr = engine.run(imresize(hr / 255, output_size=(32, 40)).astype(np.float32))
        error = (np.clip(np.round(sr * 255), 0, 255) - hr)[2:-2, 2:-2]
        scores.append(10 * math.log10(255**2 / np.mean(error**2)))
    assert np.mean(scores) == pytest.approx(seen[-1].validation_db, abs=0.01)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_batches_are_matching_windows_of_the_pictures(scale: int, pictures: Path) -> None:
    pairs = load_pairs({pictures / "one": (1.0,)}, scale, smallest=6)
    lr, phases = Patches(pairs, scale, 6).draw(64, seed=1)
    hr = torch.nn.functional.pixel_shuffle(phases, scale)
    assert lr.shape == (64, 1, 6, 6)
    assert hr.shape == (64, 1, 6 * scale, 6 * scale)
    whole_lr, whole_hr = [], []
    for lr_start, hr_start, height, width in pairs.layout.tolist():
        whole_lr.append(pairs.lr[lr_start : lr_start + height * width].view(height, width).numpy())
        size = height * width * scale**2
        whole_hr.append(
            pairs.hr[hr_start : hr_start + size].view(height * scale, width * scale).numpy() / np.float32(255)
        )
    turns = set()
    for small, large in zip(lr[:, 0].numpy(), hr[:, 0].numpy(), strict=True):
        found = [
            (turn, flip)
            for low, high in zip(whole_lr, whole_hr, strict=True)
            for turn in range(4)
            for flip in (False, True)
            for row, column in _places(_turned(low, turn, flip), small)
            if np.array_equal(
                _turned(high, turn, flip)[row * scale : (row + 6) * scale, column * scale : (column + 6) * scale], large
            )
        ]
        assert found
        turns.update(found)
    assert len(turns) == 8


def test_contrast_changes_lr_and_hr_alike(pictures: Path) -> None:
    pairs = load_pairs({pictures / "one": (1.0,)}, 2, smallest=6)
    lr, phases = Patches(pairs, 2, 6).draw(256, seed=1)
    stronger_lr, stronger_phases = Patches(pairs, 2, 6, contrast=1.8).draw(256, seed=1)
    mean = lr.mean(dim=(1, 2, 3), keepdim=True)
    gain = (stronger_lr - mean).flatten(1).norm(dim=1) / (lr - mean).flatten(1).norm(dim=1)
    torch.testing.assert_close(stronger_lr, mean + gain[:, None, None, None] * (lr - mean))
    torch.testing.assert_close(
        stronger_phases, mean + gain[:, None, None, None] * (phases - mean), atol=1e-4, rtol=1e-4
    )
    assert 0.35 < (gain < 1.0001).float().mean() < 0.65
    assert 1.6 < gain.max() < 1.8001


def _turned(image: np.ndarray, turn: int, flip: bool) -> np.ndarray:
    turned = np.rot90(image, turn)
    return turned[:, ::-1] if flip else turned


def _places(image: np.ndarray, patch: np.ndarray) -> list[tuple[int, int]]:
    windows = np.lib.stride_tricks.sliding_window_view(image, patch.shape)
    return [(int(r), int(c)) for r, c in np.argwhere((windows == patch).all(axis=(2, 3)))]


def test_soap_preconditions() -> None:
    """On a badly scaled least-squares problem, SOAP gets further than Adam in the same steps."""
    generator = torch.Generator().manual_seed(0)
    inputs = (
        torch.randn(256, 6, generator=generator)
        @ torch.diag(torch.logspace(0, -2, 6))
        @ torch.randn(6, 6, generator=generator)
    )
    goal = torch.randn(4, 6, generator=generator)
    losses = {}
    for name in ("soap", "adam"):
        kernel = torch.zeros(4, 6, requires_grad=True)
        soap, adam = Soap({"kernel": (4, 6)}, compile=False), torch.optim.Adam([kernel], lr=0.03)
        for step in range(400):
            kernel.grad = None
            loss = ((kernel - goal) @ inputs.T).square().mean()
            loss.backward()
            if name == "soap":
                soap.step(step, {"kernel": kernel}, 0.03)
            else:
                adam.step()
        losses[name] = loss.item()
    assert losses["soap"] < losses["adam"] / 3


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_state(pictures: Path, tmp_path: Path) -> None:
    run(recipe(), pictures, tmp_path, stop_at=20)
    good = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(FsrcnnError, match=r"no longer finite at step 30; .*checkpoint.pt holds the last good state"):
        run(replace(recipe(), rate=math.nan), pictures, tmp_path)
    assert (tmp_path / "checkpoint.pt").read_bytes() == good


def test_starting_from_other_weights(pictures: Path, tmp_path: Path) -> None:
    initial = random_weights(TINY.with_scale(3))
    plan = replace(recipe(1), rate=0.0, scalar_rate=0.0, average=0.0)
    started = train(plan, pictures, pictures / "validation", tmp_path, initial=initial, compile=False)
    for name, array in initial.arrays.items():
        assert np.array_equal(started.arrays[name], array) == (not name.startswith("deconvolution"))
    with pytest.raises(UsageError, match="more than the scale differs"):
        train(plan, pictures, pictures / "validation", tmp_path / "b", initial=random_weights(family("fsrcnn", 2)))
    with pytest.raises(UsageError, match="belongs to"):
        train(recipe(1, family("fsrcnn-x", 2)), pictures, pictures / "validation", tmp_path, compile=False)
    with pytest.raises(FsrcnnError, match="no picture with LR sides of at least 500"):
        train(replace(plan, patch=500), pictures, pictures / "validation", tmp_path / "c")
