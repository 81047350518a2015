"""The trainer: batches hold what they should, a killed run ends like an uninterrupted one, and it learns."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support import files_below, random_weights

pytest.importorskip("tensorboard", reason="TensorBoard is not installed; type: pip install 'fsrcnn[train]'")
torch = pytest.importorskip("torch", reason="PyTorch is not installed; type: pip install 'fsrcnn[train]'")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: E402

from fsrcnn import images, weights  # noqa: E402
from fsrcnn.architecture import Architecture, family  # noqa: E402
from fsrcnn.degradation import RANGES, Ranges  # noqa: E402
from fsrcnn.engines.numpy import NumpyEngine  # noqa: E402
from fsrcnn.engines.torch import Network, TorchEngine  # noqa: E402
from fsrcnn.errors import FsrcnnError, ImageError, UsageError  # noqa: E402
from fsrcnn.evaluation import evaluate  # noqa: E402
from fsrcnn.training import sources  # noqa: E402
from fsrcnn.training.batches import Batch  # noqa: E402
from fsrcnn.training.history import Progress  # noqa: E402
from fsrcnn.training.loop import train  # noqa: E402
from fsrcnn.training.optimizers import Soap  # noqa: E402
from fsrcnn.training.pairs import TRAINING_CHAINS, Folder, Pair, degraded_pair, load_pairs  # noqa: E402
from fsrcnn.training.recipe import DEGRADES, Recipe  # noqa: E402
from fsrcnn.training.sources import DegradedPatches, Patches  # noqa: E402
from fsrcnn.training.trainee import Trainee, take_over  # noqa: E402
from fsrcnn.training.validation import bicubic_psnr, validation_psnr  # noqa: E402

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


def recipe(steps: int = 60, architecture: Architecture = TINY, **changes: Any) -> Recipe:
    plain: dict[str, Any] = {
        "batch": 4, "patch": 8, "warmup": 5, "optimizer": "soap", "rate": 5e-3, "validate_every": 10, "average": 0.99
    }  # fmt: skip
    return Recipe(architecture, steps, **(plain | changes))


def data(plan: Recipe, pictures: Path) -> tuple[Patches, list[Pair]]:
    scale = plan.architecture.scale
    folders = [Folder(pictures / "one", (1.0, 0.8)), Folder(pictures / "two")]
    pairs = load_pairs(folders, scale, plan.patch).pairs
    kind = DegradedPatches if plan.degrade == "photo" else Patches
    patches = kind(pairs, scale, plan.patch, plan.batch, plan.seed, plan.contrast)
    return patches, load_pairs([Folder(pictures / "validation")], scale).pairs


class Killed(BaseException):
    """Stands for a SIGKILL at the moment of a report."""


def run(plan: Recipe, pictures: Path, folder: Path, stop_at: int | None = None, **options: Any) -> weights.Weights:
    def report(progress: Progress) -> None:
        if progress.step == stop_at:
            raise Killed

    resume = (folder / "checkpoint.pt").exists()
    made = train(plan, *data(plan, pictures), folder, report=report, resume=resume, compile=False, **options)
    assert isinstance(made, weights.Weights)
    return made


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimizer": "adam", "loss": "charbonnier", "schedule": "cosine"},
        {"optimizer": "sgd", "rate": 1e-3, "loss": "l1", "clip": 0.1, "last_layer": 0.1},
        {"optimizer": "muon", "rate": 1e-2, "loss": "log", "schedule": "step", "step_every": 20},
        {"expand": 16, "loss": "huber", "contrast": 1.8, "number_format": "bf16"},
        {"degrade": "photo"},
    ],
)
def test_a_killed_run_ends_in_the_very_same_bytes(changes: dict[str, Any], pictures: Path, tmp_path: Path) -> None:
    plan = recipe(**changes)
    run(plan, pictures, tmp_path / "whole")
    for stop_at in (20, 40):
        with pytest.raises(Killed):
            run(plan, pictures, tmp_path / "killed", stop_at)
        assert (
            tmp_path / "killed" / "checkpoint.pt"
        ).exists()  # before anybody hears of the update, and may stop the run
        # As a kill while writing leaves them.
        (tmp_path / "killed" / ".checkpoint.pt.1.part").write_bytes(b"half a checkpoint")
    run(plan, pictures, tmp_path / "killed", workers=2)
    for name in ("best.safetensors", "last.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()
    logs = [
        [line.split(",")[:5] for line in (tmp_path / name / "log.csv").read_text().splitlines()]
        for name in ("whole", "killed")
    ]
    assert logs[0] == logs[1]
    assert logs[0][0] == ["step", "loss", "validation_db", "bicubic_db", "rate"]
    assert [row[0] for row in logs[0][1:]] == ["10", "20", "30", "40", "50", "60"]


@pytest.mark.parametrize(
    "changes", [{}, {"optimizer": "adam", "rate": 3e-3}, {"optimizer": "muon"}, {"expand": 24}, {"loss": "log"}]
)
def test_it_learns(changes: dict[str, Any], pictures: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    plan = recipe(300, validate_every=50, **changes)
    train(plan, *data(plan, pictures), tmp_path, report=seen.append, compile=False)
    validated = [p for p in seen if p.validated]
    assert len(validated) == 6
    first, last = validated[0].validation_db, validated[-1].validation_db
    assert first is not None
    assert last is not None
    assert last > first + 1
    assert validated[-1].best_db == max(p.validation_db or 0 for p in validated)
    # What is saved is the plain network, and scores what was reported, in another engine and by other code.
    engine = NumpyEngine(weights.load(tmp_path / "last.safetensors"))
    assert engine.architecture == TINY
    results, failures = evaluate([pictures / "validation"], engine, protocols=["paper"])
    assert (len(results), failures) == (3, [])
    assert np.mean([result.sr.psnr for result in results]) == pytest.approx(last, abs=0.01)
    assert np.mean([result.bicubic.psnr for result in results]) == pytest.approx(validated[-1].bicubic_db, abs=0.001)
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["recipe"] == json.loads(json.dumps(asdict(plan)))
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [point.step for point in events.Scalars("validation_db")] == [50, 100, 150, 200, 250, 300]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_validation_measures_what_evaluation_measures(scale: int, tmp_path: Path) -> None:
    """On all kinds of pictures: 8 and 16 bit, grey and RGB, with alpha and without, of sides that modcrop cuts."""
    generator = np.random.default_rng(scale)
    y, x = np.mgrid[:46, :59]
    for dtype in (np.uint8, np.uint16):
        for channels in (1, 2, 3, 4):
            waves = [0.5 + 0.4 * np.sin(0.3 * x + 0.2 * y * k) for k in range(1, channels + 1)]
            unit = (np.dstack(waves) + generator.uniform(-0.1, 0.1, (46, 59, channels))).clip(0, 1)
            pixels = (unit * np.iinfo(dtype).max).astype(dtype)
            name = tmp_path / f"{np.dtype(dtype).name}_{channels}.png"
            images.write(images.Picture((pixels if channels > 1 else pixels[:, :, 0],), "png"), name)
    trained = random_weights(Architecture(6, 3, 1, 3, 5, scale))
    network = Network(trained.architecture).load(trained)
    arrays = {name: parameter.detach() for name, parameter in network.arrays().items()}
    results, failures = evaluate([tmp_path], TorchEngine(trained, "cpu", threads=1), protocols=["paper"])
    assert (len(results), failures) == (8, [])
    for result in results:
        [pair] = load_pairs([Folder(tmp_path / f"{result.picture}.png")], scale).pairs
        assert validation_psnr([pair], arrays, network) == pytest.approx(result.sr.psnr, abs=1e-9), result.picture
        assert bicubic_psnr([pair], scale) == pytest.approx(result.bicubic.psnr, abs=1e-9), result.picture


def test_compiled_and_plain_steps_agree(pictures: Path) -> None:
    plan = recipe(expand=16)
    patches, _ = data(plan, pictures)
    torch.manual_seed(1)
    network = Network(TINY)
    losses, gradients = [], []
    for compiled in (False, True):
        torch.manual_seed(2)
        trainee = Trainee(network, plan, compile=compiled)
        loss = trainee(*patches.draw(0))
        loss.backward()
        losses.append(loss.item())
        gradients.append(torch.cat([p.grad.flatten() for p in trainee.trained().values() if p.grad is not None]))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("expand", [0, 4, 16, 200])
def test_factors_multiply_to_the_kernels_they_were_made_of(expand: int) -> None:
    network = Network(Architecture(6, 3, 1, 3, 5, 2)).load(random_weights(TINY))
    if expand == 4:  # narrower than the first kernel, a matrix of 6 × 9
        with pytest.raises(UsageError, match="cannot be every kernel of 6×9; give expand=6 or more"):
            Trainee(network, recipe(expand=expand), compile=False)
        return
    trainee = Trainee(network, recipe(expand=expand), compile=False)
    assert any(name.endswith(".inner") for name in trainee.named()) == (expand > 0)
    for name, array in trainee.fold().items():
        torch.testing.assert_close(array, network.arrays()[name].data, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("loss", "width", "expected"),
    [
        ("mse", 0.0, (0.1**2 + 0.4**2) / 2),
        ("l1", 0.0, 0.25),
        ("charbonnier", 0.1, (math.hypot(0.1, 0.1) + math.hypot(0.4, 0.1)) / 2 - 0.1),
        ("huber", 0.2, (0.1**2 + 2 * 0.2 * (0.4 - 0.1)) / 2),
        ("log", 0.2, 0.2**2 * (math.log(1 + 0.1**2 / 0.2**2) + math.log(1 + 0.4**2 / 0.2**2)) / 2),
    ],
)
def test_losses(loss: str, width: float, expected: float) -> None:
    """Two patches, all of whose pixels err by 0.1 and by 0.4: a network of zeros but for the last bias."""
    arrays = {name: np.zeros(shape, np.float32) for name, shape in TINY.array_shapes.items()}
    arrays["deconvolution.bias"] += np.float32(0.5)
    trainee = Trainee(
        Network(TINY).load(weights.Weights(TINY, arrays)), recipe(loss=loss, loss_width=width), compile=False
    )
    phases = torch.stack([torch.full((4, 8, 8), 0.4), torch.full((4, 8, 8), 0.9)])
    assert trainee(torch.zeros(2, 1, 8, 8), phases, None).item() == pytest.approx(expected, rel=1e-5)
    mask = torch.zeros(1, 4, 8, 8)
    mask[:, :, 2:5] = 1
    spoilt = torch.where(
        mask > 0, phases, torch.full_like(phases, 7.0)
    )  # where the label does not reach, nothing counts
    assert trainee(torch.zeros(2, 1, 8, 8), spoilt, mask).item() == pytest.approx(expected, rel=1e-5)


def test_schedules() -> None:
    plan = recipe(1000, warmup=100, schedule="constant")
    assert plan.rate_at(0) == pytest.approx(0.01)
    assert plan.rate_at(500) == plan.rate_at(999) == 1
    linear = replace(plan, schedule="linear", decay=0.5)
    assert [linear.rate_at(step) for step in (400, 750)] == [1.0, 0.5]
    cosine = replace(linear, schedule="cosine")
    assert [cosine.rate_at(step) for step in (500, 750)] == [1.0, pytest.approx(0.5)]
    assert cosine.rate_at(999) < 1e-4
    steps = replace(plan, schedule="step", step_every=300, step_factor=0.5)
    assert [steps.rate_at(step) for step in (299, 300, 999)] == [1.0, 0.5, 0.125]


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "muon", "soap"])
def test_the_last_layer_has_a_rate_of_its_own_and_frozen_layers_keep_their_bytes(
    optimizer: str, pictures: Path, tmp_path: Path
) -> None:
    """`last_layer=0` leaves the deconvolution as it is; frozen arrays stay, whatever the optimizer."""
    initial = random_weights(TINY)
    still = run(recipe(20, optimizer=optimizer, last_layer=0.0), pictures, tmp_path / "still", initial=initial)
    frozen = tuple(name for name in TINY.array_shapes if not name.startswith("deconvolution"))
    moved = run(
        recipe(20, optimizer=optimizer, frozen=frozen, expand=30), pictures, tmp_path / "moved", initial=initial
    )
    for name, array in initial.arrays.items():
        last = name.startswith("deconvolution")
        assert np.array_equal(still.arrays[name], array) == last
        assert np.array_equal(moved.arrays[name], array) != last


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_batches_are_matching_windows_of_the_pictures(scale: int, pictures: Path) -> None:
    pairs = load_pairs([Folder(pictures / "one")], scale, 6).pairs
    lr, phases, mask = Patches(pairs, scale, 6, batch=64, seed=1).draw(0)
    assert mask is None
    hr = torch.nn.functional.pixel_shuffle(phases, scale)
    assert lr.shape == (64, 1, 6, 6)
    assert hr.shape == (64, 1, 6 * scale, 6 * scale)
    whole_lr, whole_hr = [], []
    for pair in pairs:
        whole_lr.append(pair.lr)
        whole_hr.append(pair.hr / np.float32(255))
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
    pairs = load_pairs([Folder(pictures / "one")], 2, 6).pairs
    lr, phases, _ = Patches(pairs, 2, 6, batch=256, seed=1).draw(0)
    stronger_lr, stronger_phases, _ = Patches(pairs, 2, 6, batch=256, seed=1, contrast=1.8).draw(0)
    mean = lr.mean(dim=(1, 2, 3), keepdim=True)
    gain = (stronger_lr - mean).flatten(1).norm(dim=1) / (lr - mean).flatten(1).norm(dim=1)
    torch.testing.assert_close(stronger_lr, mean + gain[:, None, None, None] * (lr - mean))
    torch.testing.assert_close(
        stronger_phases, mean + gain[:, None, None, None] * (phases - mean), atol=1e-4, rtol=1e-4
    )
    assert 0.35 < (gain < 1.0001).float().mean() < 0.65
    assert 1.6 < gain.max() < 1.8001


def test_degraded_batches_are_functions_of_seed_and_step(pictures: Path) -> None:
    """In any order, and by several threads at once, whose versions of a picture differ while it changes."""
    pairs = load_pairs([Folder(pictures / "one")], 2, 6).pairs
    steps = range(40)
    expected = [DegradedPatches(pairs, 2, 6, 8, seed=1).draw(step) for step in steps]
    source = DegradedPatches(pairs, 2, 6, 8, seed=1)
    with ThreadPoolExecutor(8) as pool:
        for drawn in (list(pool.map(source.draw, steps)), [source.draw(step) for step in reversed(steps)][::-1]):
            for batch, wanted in zip(drawn, expected, strict=True):
                assert torch.equal(batch.lr, wanted.lr)
                assert torch.equal(batch.phases, wanted.phases)
    other = DegradedPatches(pairs, 2, 6, 8, seed=2)
    assert not any(torch.equal(other.draw(step).lr, expected[step].lr) for step in steps)


def test_each_picture_is_degraded_anew_in_its_turn(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 3 pictures number 1 changes in updates 2, 8, 14 …"""
    pairs = load_pairs([Folder(pictures / "one")], 2, 6).pairs
    source = DegradedPatches(pairs, 2, 6, 8, seed=1)
    assert source.refresh == 2
    made: list[Sequence[int]] = []

    def counted(pair: Pair, scale: int, seed: Sequence[int], ranges: Ranges) -> Pair:
        made.append(seed)
        return degraded_pair(pair, scale, seed, ranges)

    monkeypatch.setattr(sources, "degraded_pair", counted)
    turns: list[tuple[int, int]] = []
    for step in range(20):
        for number, pair in enumerate(pairs):
            lr, hr = source.pair(number, step)
            assert hr is pair.hr
            turn = made[-1][3] if number == 1 and made[-1][2] == 1 else None
            if turn is not None and (not turns or turns[-1][1] != turn):
                turns.append((step, turn))
            assert lr.shape == pair.lr.shape
    assert turns == [(0, 0), (2, 1), (8, 2), (14, 3)]
    # The first ones, and one every two updates; that of picture 0 in update 0 is its first.
    assert len(made) == len(set(made)) == 3 + 10 - 1
    assert set(made) == {(TRAINING_CHAINS, 1, number, turn) for _, _, number, turn in made}
    assert len([version for version in source.versions if version is not None]) == 3  # no memory of older ones
    for step in range(20):  # another run with the same source
        source.pair(0, step)
        source.pair(1, step)
    assert len(made) <= 12 + 4 + 4


def test_larger_pictures_serve_longer() -> None:
    """2 updates for 480×320, so 26 for 2000×1000: the cost of an update does not grow with the pictures."""
    for sizes, refresh in (([(320, 480)], 2), ([(1000, 2000)], 26), ([(320, 480), (1000, 2000)], 14), ([(20, 20)], 2)):
        pairs = [Pair(np.zeros((h // 2, w // 2), np.float32), np.zeros((h, w), np.uint8)) for h, w in sizes]
        assert DegradedPatches(pairs, 2, 6, 8).refresh == refresh
    with pytest.raises(ImageError, match="20000×1 pixels is too large to be compressed"):
        DegradedPatches([Pair(np.zeros((1, 20000), np.float32), np.zeros((2, 40000), np.uint8))], 2, 1, 1)


def test_a_degraded_pair_is_a_grey_photograph() -> None:
    """Luma 16 … 235 is black to white: a chain of nothing but a kernel and 8 bit keeps a slope, in steps of 219/255 of a level."""
    hr = np.repeat(np.arange(16, 236, dtype=np.uint8)[None], 2, 0).repeat(2, 1)
    parts: dict[str, Any] = dict.fromkeys(("clean", "blur", "noise", "sharpen", "compress"), 0.0)
    lr, same = degraded_pair(Pair(np.empty(0, np.float32), hr), 2, (1,), Ranges(kernels=(("area", 1.0),), **parts))
    assert same is hr
    np.testing.assert_allclose(lr[0] * 255, np.arange(16, 236), atol=0.5 * 219 / 255 + 1e-4)
    noise = Ranges(**(parts | {"noise": 1.0}), noise_sigma=(200, 200), kernels=(("area", 1.0),))
    lr, _ = degraded_pair(Pair(np.empty(0, np.float32), hr), 2, (1,), noise)
    assert (lr.min() * 255, lr.max() * 255) == pytest.approx((16, 235))  # a sensor's ends
    empty = Pair(np.empty((0, 3), np.float32), np.empty((0, 6), np.uint8))
    assert degraded_pair(empty, 2, (1,)) is empty


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
    plan = recipe()
    with pytest.raises(Killed):
        run(plan, pictures, tmp_path, stop_at=20)
    good = (tmp_path / "checkpoint.pt").read_bytes()

    class Poisoned(Patches):
        def draw(self, step: int) -> Batch:
            batch = super().draw(step)
            return Batch(batch.lr * math.nan, batch.phases, None) if step == 25 else batch

    patches, validation = data(plan, pictures)
    patches.__class__ = Poisoned
    with pytest.raises(FsrcnnError, match=r"no longer finite at step 30, .*checkpoint.pt holds the last good state"):
        train(plan, patches, validation, tmp_path, resume=True, compile=False)
    assert (tmp_path / "checkpoint.pt").read_bytes() == good


def test_starting_from_other_weights() -> None:
    initial = random_weights(TINY.with_scale(3))
    network = Network(TINY)
    take_over(network, initial)
    for name, array in initial.arrays.items():
        assert np.array_equal(network.arrays()[name].detach().numpy(), array) == (not name.startswith("deconvolution"))
    with pytest.raises(UsageError, match="d is 56 there and 6 here"):
        take_over(network, random_weights(family("fsrcnn", 2)))
    with pytest.raises(UsageError, match="deconvolutions differ at the same scale"):
        take_over(network, random_weights(replace(TINY, deconvolution_kernel=7, crop=-1)))


def test_run_folders(pictures: Path, tmp_path: Path) -> None:
    plan = recipe(10)
    with pytest.raises(UsageError, match="does not exist, so there is no run to go on with"):
        train(plan, *data(plan, pictures), tmp_path / "none", resume=True, compile=False)
    run(plan, pictures, tmp_path)
    with pytest.raises(UsageError, match="holds a run already; give resume=True to go on with it, or another run"):
        train(plan, *data(plan, pictures), tmp_path, compile=False)
    for other, sentence in (
        (replace(plan, rate=0.1), r"another recipe \(rate: 0.005 → 0.1\)"),
        (replace(plan, architecture=replace(TINY, d=7)), r"another recipe \(d: 6 → 7\)"),
        (replace(plan, steps=5), "has done 10 updates already, more than the 5 asked for"),
    ):
        with pytest.raises(UsageError, match=sentence):
            train(other, *data(plan, pictures), tmp_path, resume=True, compile=False)
    longer = train(replace(plan, steps=20), *data(plan, pictures), tmp_path, resume=True, compile=False)
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 3
    assert longer.architecture == TINY
    (tmp_path / "checkpoint.pt").write_bytes((tmp_path / "checkpoint.pt").read_bytes()[:5000])
    with pytest.raises(FsrcnnError, match="damaged"):
        run(plan, pictures, tmp_path)


def test_a_run_stops_where_its_folder_is_removed(pictures: Path, tmp_path: Path) -> None:
    """Another run may be at work under its name, as here; nothing is written into that."""
    run_folder = tmp_path / "r"

    def report(progress: Progress) -> None:
        if progress.step == 20:
            run_folder.rename(tmp_path / "gone")
            run_folder.mkdir()
            (run_folder / ".lock").touch()

    plan = recipe()
    with pytest.raises(FsrcnnError, match="r was removed in the middle of the run, so training stops"):
        train(plan, *data(plan, pictures), run_folder, report=report, compile=False)
    assert files_below(run_folder) == [".lock"]
    assert weights.load(tmp_path / "gone" / "last.safetensors").architecture == TINY


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"loss": "ssim"}, "loss is mse, l1"),
        ({"steps": 0}, "steps is at least 1"),
        ({"rate": -0.5}, "rate is 0 or more"),
        ({"clip": 0.0}, "clip is above 0"),
        ({"clip": math.inf}, "clip is above 0"),
        ({"average": 1.0}, "average is from 0"),
        ({"decay": 2.0}, "decay is the last part"),
        ({"contrast": 0.5}, "contrast is 1 to 10"),
        ({"degrade": "ruin"}, "degrade is none, photo, photo-mild, photo-strong, not 'ruin'"),
        ({"seed": -1}, "seed is at least 0"),
        ({"seed": 2**24}, "seed is below 16,777,216"),
        ({"number_format": "fp16"}, "number_format is fp32, bf16, not 'fp16'"),
        ({"loss_width": -1.0}, "loss_width is 0"),
        ({"frozen": ("mapping.7.weight",)}, "cannot freeze mapping.7.weight"),
        ({"frozen": tuple(TINY.array_shapes)}, "nothing can be trained"),
    ],
)
def test_recipes_that_make_no_sense(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        replace(recipe(), **changes)


def test_pictures_that_are_too_small_or_broken(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(FsrcnnError, match="has LR sides of at least 500 pixels at ×2; give larger pictures"):
        load_pairs([Folder(pictures / "one")], 2, 500)
    (tmp_path / "a.png").write_bytes((pictures / "one" / "0.png").read_bytes())
    (tmp_path / "b.png").write_bytes(b"no picture")
    errors: list[FsrcnnError] = []
    pairs = load_pairs([Folder(tmp_path)], 2, warn=errors.append).pairs
    assert len(pairs) == 1
    assert len(errors) == 1
    assert "b.png" in errors[0].fact


def test_an_exact_picture_scores_finitely_and_above_all_others() -> None:
    """A single pixel wrong by one level, in what is measured of 8×8 HR pixels: 10·log10(255²·16)."""
    arrays = {name: torch.zeros(shape) for name, shape in TINY.array_shapes.items()}
    network = Network(TINY)
    pair = Pair(np.full((4, 4), 0.2, np.float32), np.full((8, 8), 51, np.uint8))
    scores = []
    for level in (51, 52, 60):
        arrays["deconvolution.bias"] = torch.full((1,), level / 255)
        scores.append(validation_psnr([pair], arrays, network))
    assert scores[0] == pytest.approx(10 * math.log10(255**2 * 16))
    assert scores[0] > scores[1] > scores[2]
    assert bicubic_psnr([pair], 2) == scores[0]


def test_a_recipe_names_every_range_of_degradation() -> None:
    assert set(DEGRADES) == {"none", *RANGES}
