"""Training through the rounding: what it computes is the integer model, what it validates is what it saves, and it learns."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("tensorboard", reason="TensorBoard is not installed; type: pip install 'fsrcnn[train]'")
torch = pytest.importorskip("torch", reason="PyTorch is not installed; type: pip install 'fsrcnn[train]'")

import torch.nn.functional as F  # noqa: E402

from fsrcnn import images, integer, protocol  # noqa: E402
from fsrcnn.architecture import Architecture  # noqa: E402
from fsrcnn.calibration import calibrated, quantised  # noqa: E402
from fsrcnn.engines.integer import IntegerEngine, levels_of  # noqa: E402
from fsrcnn.engines.torch import Network  # noqa: E402
from fsrcnn.errors import UsageError  # noqa: E402
from fsrcnn.integer import FORMATS, WHITE, IntegerModel  # noqa: E402
from fsrcnn.training.history import Progress  # noqa: E402
from fsrcnn.training.loop import train  # noqa: E402
from fsrcnn.training.pairs import Folder, load_pairs  # noqa: E402
from fsrcnn.training.recipe import Recipe  # noqa: E402
from fsrcnn.training.rounding import Rounding  # noqa: E402
from fsrcnn.training.sources import Patches  # noqa: E402
from fsrcnn.weights import Weights  # noqa: E402
from support import random_weights, run_command  # noqa: E402

TINY = Architecture(6, 3, 1, 3, 5, 2)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Smooth waves with edges."""
    root = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:64, :80]
    for number in range(4):
        a, b, c = generator.uniform(0.05, 0.9, 3)
        wave = 0.5 + 0.25 * np.sin(a * x + b * y) + 0.2 * np.sign(np.sin(c * x - a * y))
        pixels = (wave * 255).clip(0, 255).astype(np.uint8)[:, :, None]
        images.write(images.Picture((pixels,), "png"), root / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def learned(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """A network that makes these pictures larger: what is fine-tuned."""
    plan = recipe(steps=120, quantize=None, rate=1e-2, validate_every=60)
    made = run(plan, pictures, tmp_path_factory.mktemp("run"), None)
    assert isinstance(made, Weights)
    return made


def recipe(steps: int = 20, **changes: Any) -> Recipe:
    plain: dict[str, Any] = {
        "batch": 4, "patch": 8, "warmup": 5, "optimizer": "adam", "rate": 1e-3, "validate_every": 10, "average": 0.9,
        "quantize": "w8a8",
    }  # fmt: skip
    return Recipe(TINY, steps, **(plain | changes))


class Killed(BaseException):
    """Stands for a SIGKILL at the moment of a report."""


def run(
    plan: Recipe, pictures: Path, folder: Path, initial: Weights | None, stop_at: int | None = None
) -> Weights | IntegerModel:
    def report(progress: Progress) -> None:
        if progress.step == stop_at:
            raise Killed

    pairs = load_pairs([Folder(pictures)], plan.architecture.scale, plan.patch).pairs
    patches = Patches(pairs, plan.architecture.scale, plan.patch, plan.batch, plan.seed, plan.contrast)
    resume = (folder / "checkpoint.pt").exists()
    return train(plan, patches, pairs, folder, initial=initial, report=report, resume=resume, compile=False)


@given(
    st.sampled_from(sorted(FORMATS)), st.integers(1, 9), st.integers(1, 5), st.integers(0, 2), st.sampled_from([1, 3, 5]),
    st.sampled_from([5, 7, 9]), st.integers(2, 4), st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=12, deadline=None)
def test_it_computes_the_integer_model(
    format: str, d: int, s: int, m: int, feature_kernel: int, deconvolution_kernel: int, scale: int, seed: int
) -> None:
    weights = random_weights(Architecture(d, s, m, feature_kernel, deconvolution_kernel, scale), seed)
    lr = np.random.default_rng(seed).random((14, 11), np.float32)
    found = calibrated(weights, format, [lr])
    rounding = Rounding(Network(weights.architecture), format, found.steps, [lr])
    arrays = {name: torch.from_numpy(array).double() for name, array in found.weights.arrays.items()}
    levels = F.pixel_shuffle(rounding(torch.from_numpy(lr).double()[None, None], arrays), scale)[0, 0].numpy() * WHITE
    assert np.abs(levels - np.rint(levels)).max() < 1e-9
    # Multipliers have 18 bits, and the smallest of a stage fewer that count: features come out a step beside, which is more of 8 bits.
    distance = np.abs(np.rint(levels) - rounding.model(weights).run(levels_of(lr)))
    assert distance.mean() < (4 if format == "w8a8" else 0.6)
    assert rounding.model(weights).to_bytes() == quantised(weights, format, [lr]).to_bytes()


def test_features_by_hand() -> None:
    """Luma 0.5, doubled, is 1.0: of steps of 0.3 that makes 3, hence 0.9, level 918; of steps of 0.005 at most 127, level 648."""
    architecture = Architecture(1, 1, 0, 1, 3, 2, crop=0)
    arrays = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in architecture.array_shapes.items()}
    arrays["feature_extraction.weight"] += 2
    for name in ("shrinking.weight", "expanding.weight"):
        arrays[name] += 1
    arrays["deconvolution.weight"][:, :, :2, :2] = 1
    for step, level in ((0.3, 918), (0.005, 648)):
        steps = {stage.name: np.array([step]) for stage in architecture.convolutions}
        rounding = Rounding(Network(architecture), "w8a8", steps, [])
        phases = rounding(torch.tensor([[[[0.5]]]], dtype=torch.float64), arrays)
        assert (phases.flatten() * WHITE).tolist() == pytest.approx([level] * 4)


def test_gradients_pass_the_rounding_and_stop_at_the_clip() -> None:
    weights = random_weights(TINY)
    lr = torch.from_numpy(np.random.default_rng(0).random((1, 1, 8, 8), np.float32) * 0.5 + 0.25)
    fine = {stage.name: np.full(stage.channels_out, 1e-3) for stage in TINY.convolutions}  # nothing is clipped
    arrays = {name: torch.from_numpy(array).requires_grad_() for name, array in weights.arrays.items()}
    Rounding(Network(TINY), "w16a14", fine, [])(lr, arrays).square().mean().backward()
    exact = Network(TINY).load(weights)
    torch.autograd.backward(exact.phases(lr).clamp(0, 1023 / WHITE).square().mean())
    for name, parameter in exact.arrays().items():
        mine, theirs = arrays[name].grad, parameter.grad
        assert mine is not None
        assert theirs is not None
        assert (mine - theirs).norm() < 0.05 * theirs.norm(), name
    small = {stage: step / 1e6 for stage, step in fine.items()}  # all is clipped
    arrays = {name: torch.from_numpy(array).requires_grad_() for name, array in weights.arrays.items()}
    Rounding(Network(TINY), "w8a8", small, [])(lr, arrays).square().mean().backward()
    clipped = arrays["feature_extraction.weight"].grad
    assert clipped is not None
    assert clipped.abs().max() == 0


@pytest.mark.parametrize(
    "changes",
    [{}, {"quantize": "w8a16", "optimizer": "soap", "expand": 12, "steps": 12, "frozen": ("shrinking.bias",)}],
)
def test_a_killed_run_ends_in_the_very_same_bytes(
    changes: dict[str, Any], pictures: Path, learned: Weights, tmp_path: Path
) -> None:
    plan = recipe(**changes)
    run(plan, pictures, tmp_path / "whole", learned)
    with pytest.raises(Killed):
        run(plan, pictures, tmp_path / "killed", learned, stop_at=10)
    run(plan, pictures, tmp_path / "killed", learned)
    for name in ("best.safetensors", "last.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()


def test_what_is_validated_is_what_is_saved(pictures: Path, learned: Weights, tmp_path: Path) -> None:
    made = run(recipe(steps=40), pictures, tmp_path, learned)
    assert isinstance(made, IntegerModel)
    assert made.format == "w8a8"
    assert (tmp_path / "best.safetensors").read_bytes() == made.to_bytes()
    assert made.to_bytes() == integer.load(tmp_path / "best.safetensors").to_bytes()
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    pairs = load_pairs([Folder(pictures)], 2, 8).pairs

    def psnr(model: IntegerModel) -> float:
        engine = IntegerEngine(model)
        return float(np.mean([protocol.psnr(pair.hr, protocol.round_8bit(engine.luma(pair.lr)), 2) for pair in pairs]))

    assert max(float(row["validation_db"]) for row in rows) == pytest.approx(psnr(made), abs=1e-4)
    assert float(rows[-1]["validation_db"]) == pytest.approx(
        psnr(integer.load(tmp_path / "last.safetensors")), abs=1e-4
    )
    assert psnr(made) > psnr(quantised(learned, "w8a8")) + 0.05  # it learns


def test_frozen_arrays_stay(pictures: Path, learned: Weights, tmp_path: Path) -> None:
    frozen = tuple(name for name in TINY.array_shapes if not name.startswith("deconvolution"))
    plan = recipe(steps=10, frozen=frozen)
    run(plan, pictures, tmp_path, learned)
    checkpoint = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    for name in frozen:
        assert (checkpoint["average"][name].numpy() == learned.arrays[name]).all()


def test_what_makes_no_sense_is_refused(pictures: Path, learned: Weights, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="quantize fine-tunes finished weights, and none are given; give initial ones"):
        run(recipe(), pictures, tmp_path / "run", None)
    with pytest.raises(UsageError, match="quantize fine-tunes the network that is given"):
        run(replace(recipe(), architecture=replace(TINY, m=2)), pictures, tmp_path / "run", learned)
    with pytest.raises(UsageError, match="quantize is w16a14, w12a12, w10a12, w8a16, w8a8, not 'w7a7'"):
        recipe(quantize="w7a7")
    with pytest.raises(
        UsageError, match="bf16 cannot hold the whole numbers of an integer model; give number_format='fp32'"
    ):
        recipe(number_format="bf16")
    assert not (tmp_path / "run").exists()


def test_as_typed(pictures: Path, learned: Weights, tmp_path: Path) -> None:
    learned.save(tmp_path / "learned.safetensors")
    common = ("--scale", "2", "--steps", "4", "--patch", "8", "--batch-size", "2", "--threads", "1", "--device", "cpu")
    start = ("train", pictures, *common, "--init", "learned.safetensors")
    done = run_command(*start, "--validation", pictures, "--quantize", "w8a8", "-o", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert integer.load(tmp_path / "run" / "best.safetensors").format == "w8a8"
    tested = run_command("test", pictures / "0.png", "-m", "run/best.safetensors", "-o", "look", cwd=tmp_path)
    assert tested.returncode == 0, tested.stderr
    scored = run_command("evaluate", pictures, "-m", "run/best.safetensors", cwd=tmp_path)
    assert scored.returncode == 0, scored.stderr
    for arguments, sentence in (
        (
            ("train", pictures, *common, "--quantize", "w8a8"),
            "--quantize fine-tunes finished weights; give them, as: --init fsrcnn-x2",
        ),
        ((*start, "--quantize", "w7a7"), "--quantize is w16a14, w12a12, w10a12, w8a16, w8a8, not 'w7a7'"),
        (
            (*start, "--quantize", "w8a8", "--number-format", "bf16"),
            "bf16 cannot hold the whole numbers of an integer model; give --number-format fp32",
        ),
    ):
        refused = run_command(*arguments, cwd=tmp_path)
        assert refused.returncode == 2
        # Before it, matplotlib may say that it has no home to keep its fonts in.
        assert refused.stderr.decode().splitlines()[-1] == f"fsrcnn: {sentence}"
