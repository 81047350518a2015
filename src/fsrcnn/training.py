"""From folders of pictures to weights: patches, one loop, checkpoints.

Read `train` from top to bottom. A run is a pure function of its `Recipe`, the pictures and the machine: each step draws
its batch from (seed, step) alone, so a run that was killed and resumed ends in the same weights as one that was not.
Since the learning rate is constant until the last part of the run, a run may also be continued with more `steps`.
"""

from __future__ import annotations

import csv
import io
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fsrcnn import images, weights
from fsrcnn.architecture import Architecture
from fsrcnn.color import luma
from fsrcnn.errors import FsrcnnError, MissingExtraError, UsageError
from fsrcnn.imresize import imresize
from fsrcnn.metrics import modcrop
from fsrcnn.weights import Weights

try:
    import torch
    import torch.nn.functional as F
    from torch import Tensor
except ImportError as error:
    raise MissingExtraError(
        "training needs PyTorch, which is not installed; type: pip install 'fsrcnn[train]'"
    ) from error

from fsrcnn.engines.torch import Network, apply_phases

PAPER_SCALES = (1.0, 0.9, 0.8, 0.7, 0.6)  # Dong et al. 2016, §4.1: each picture also shrunk


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the outcome of a run, but the pictures themselves.

    Attributes:
        architecture: the network to train.
        sources: (step from which it is used, {folder name: factors its pictures are shrunk by}), in ascending order of steps:
            the two-step strategy is two entries. Rotations and mirrorings are drawn per patch.
        steps: updates in all.
        batch, patch: patches per update, and their side in LR pixels.
        rate: of SOAP, on the kernels; `scalar_rate` is Adam's, on biases and PReLU slopes.
        warmup: steps over which both rates rise; `decay`: the last part of the run, 0 … 1, over which they fall to zero.
        average: decay of the exponential moving average of the weights; the average is what is validated and saved.
        seed: of the first weights and of the patches.
        contrast: half of the patches get their contrast multiplied by up to this, LR and HR alike (1: none do). Trained on
            natural contrast alone, a network may explode on the rare sharp text in a photograph.
        huber: error, in [0, 1], beyond which the loss grows linearly, so that one exploding patch cannot undo a run; None: never.
    """

    architecture: Architecture
    sources: tuple[tuple[int, dict[str, tuple[float, ...]]], ...]
    steps: int
    batch: int = 16
    patch: int = 20
    rate: float = 5e-3
    scalar_rate: float = 1e-3
    warmup: int = 1000
    decay: float = 0.8
    average: float = 0.999
    seed: int = 0
    contrast: float = 1.0
    huber: float | None = None


class Pairs(NamedTuple):
    """LR and HR luma of many pictures, end to end in two flat arrays, so that a batch is one gather from each.

    Attributes:
        lr: float32 in [0, 1], not rounded (protocol `paper`).
        hr: uint8.
        layout: (pictures, 4) int64: start in `lr`, start in `hr`, LR height, LR width.
    """

    lr: Tensor
    hr: Tensor
    layout: Tensor


def load_pairs(folders: dict[Path, tuple[float, ...]], scale: int, smallest: int = 1) -> Pairs:
    """Read the pictures of the folders, shrink each by each factor, and make their LR by MATLAB's bicubic.

    Args:
        folders: folder → factors (1.0 keeps the picture as it is).
        scale: of the LR pictures.
        smallest: pictures with a shorter LR side are left out.

    Raises:
        FsrcnnError: no picture is left.
    """
    lr, hr, layout = [], [], []
    lr_start = hr_start = 0
    for folder, factors in folders.items():
        for path in images.find(folder):
            pixels = images.read(path).pages[0]
            full = luma(
                pixels[:, :, :3] if pixels.ndim == 3 and pixels.shape[2] > 2 else pixels.reshape(pixels.shape[:2])
            )
            for factor in factors:
                shrunk = full if factor == 1 else imresize(full, factor)
                high = modcrop(shrunk, scale)
                size = (high.shape[0] // scale, high.shape[1] // scale)
                if min(size) < smallest:
                    continue
                low = imresize(high / 255.0, output_size=size).astype(np.float32)
                lr.append(low.ravel())
                hr.append(high.ravel())
                layout.append((lr_start, hr_start, *size))
                lr_start += low.size
                hr_start += high.size
    if not layout:
        raise FsrcnnError(f"no picture with LR sides of at least {smallest} pixels in {', '.join(map(str, folders))}")
    return Pairs(torch.from_numpy(np.concatenate(lr)), torch.from_numpy(np.concatenate(hr)), torch.tensor(layout))


class Patches:
    """Draws batches of patch pairs: every position of every picture equally likely, in one of its 8 orientations."""

    def __init__(self, pairs: Pairs, scale: int, patch: int, contrast: float = 1.0) -> None:
        self.pairs, self.scale, self.patch, self.contrast = pairs, scale, patch, contrast
        self.columns = pairs.layout[:, 3] - patch + 1
        positions = (pairs.layout[:, 2] - patch + 1) * self.columns
        self.ends = positions.cumsum(0)
        self.starts = self.ends - positions

    def draw(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """(count, 1, patch, patch) LR and (count, scale², patch, patch) HR phases, float32 in [0, 1], channels last."""
        generator = torch.Generator().manual_seed(seed)
        place = (torch.rand(count, generator=generator, dtype=torch.float64) * self.ends[-1]).long()
        which = torch.searchsorted(self.ends, place, right=True).clamp_(max=len(self.ends) - 1)
        place -= self.starts[which]
        row, column = place // self.columns[which], place % self.columns[which]
        turns = torch.randint(0, 2, (3, count), generator=generator).bool()
        lr_start, hr_start, _, width = self.pairs.layout[which].T
        scale = self.scale
        lr = self.pairs.lr[_window(lr_start, row, column, width, self.patch, turns)]
        hr = self.pairs.hr[_window(hr_start, row * scale, column * scale, width * scale, self.patch * scale, turns)]
        phases = F.pixel_unshuffle((hr.float() / 255)[:, None], scale)
        if self.contrast > 1:  # bicubic shrinking is linear, so the pair stays a pair; values may leave [0, 1]
            gain = 1 + (self.contrast - 1) * (2 * torch.rand(count, generator=generator) - 1).clamp(0)[:, None, None]
            mean = lr.mean(dim=(1, 2), keepdim=True)
            lr = mean + gain * (lr - mean)
            phases = mean[:, None] + gain[:, None] * (phases - mean[:, None])
        return lr[:, None].contiguous(memory_format=torch.channels_last), phases.contiguous(
            memory_format=torch.channels_last
        )


def _window(start: Tensor, row: Tensor, column: Tensor, width: Tensor, side: int, turns: Tensor) -> Tensor:
    """(count, side, side) flat indices of square windows, mirrored and transposed as `turns` says."""
    forward = torch.arange(side)
    i = torch.where(turns[0][:, None], side - 1 - forward, forward)[:, :, None].expand(-1, side, side)
    j = torch.where(turns[1][:, None], side - 1 - forward, forward)[:, None, :].expand(-1, side, side)
    transpose = turns[2][:, None, None]
    i, j = torch.where(transpose, i.transpose(1, 2), i), torch.where(transpose, j.transpose(1, 2), j)
    return (start + row * width + column)[:, None, None] + i * width[:, None, None] + j


class Soap:
    """Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al. 2024, "SOAP"), on stacks of equally shaped matrices.

    A network of 12,464 weights has kernels of at most 56 × 108, so its full second-order statistics per layer cost next to
    nothing. In trials of 15,000 updates on the validation pictures it was ahead of Muon (recipes/README.md).
    """

    BETA1, BETA2, BETA_STATISTICS, EVERY = 0.95, 0.99, 0.99, 10

    def __init__(self, shapes: dict[str, tuple[int, ...]], *, compile: bool = True) -> None:
        self.groups: dict[tuple[int, int], list[str]] = {}
        for name, shape in shapes.items():
            self.groups.setdefault((shape[0], math.prod(shape[1:])), []).append(name)
        self.state: dict[str, dict[str, Tensor]] = {}
        for (rows, columns), names in self.groups.items():
            count = len(names)
            self.state[names[0]] = {
                "left": torch.zeros(count, rows, rows),
                "right": torch.zeros(count, columns, columns),
                "left_basis": torch.eye(rows).repeat(count, 1, 1),
                "right_basis": torch.eye(columns).repeat(count, 1, 1),
                "mean": torch.zeros(count, rows, columns),
                "square": torch.zeros(count, rows, columns),
            }
        # One compiled update per shape: many tiny products, where Python would cost more than the arithmetic.
        self._update = torch.compile(_soap_update, dynamic=False) if compile else _soap_update

    @torch.no_grad()
    def step(self, number: int, parameters: dict[str, Tensor], rate: float) -> None:
        """Update in place from the gradients; `number` counts from 0."""
        correction = Tensor([math.sqrt(1 - self.BETA2 ** (number + 1)) / (1 - self.BETA1 ** (number + 1))])
        for (rows, columns), names in self.groups.items():
            state = self.state[names[0]]
            gradient = torch.stack([parameters[name].grad.reshape(rows, columns) for name in names])  # type: ignore[union-attr]
            if number == 0:  # the first gradient only fixes the basis
                state["left"] += gradient @ gradient.mT
                state["right"] += gradient.mT @ gradient
                state["left_basis"].copy_(torch.linalg.eigh(state["left"])[1])
                state["right_basis"].copy_(torch.linalg.eigh(state["right"])[1])
                continue
            update = self._update(gradient, correction, Tensor([rate]), *state.values())
            for name, change in zip(names, update, strict=True):
                parameters[name].sub_(change.view_as(parameters[name]))
            if number % self.EVERY == 0:  # one step of power iteration keeps the basis close to the eigenbasis
                for side in ("left", "right"):
                    state[f"{side}_basis"].copy_(torch.linalg.qr(state[side] @ state[f"{side}_basis"])[0])


def _soap_update(
    gradient: Tensor,
    correction: Tensor,
    rate: Tensor,
    left: Tensor,
    right: Tensor,
    left_basis: Tensor,
    right_basis: Tensor,
    mean: Tensor,
    square: Tensor,
) -> Tensor:
    mean.lerp_(gradient, 1 - Soap.BETA1)
    turned = left_basis.mT @ gradient @ right_basis
    square.lerp_(turned * turned, 1 - Soap.BETA2)
    # Where the basis has just turned, `square` may be far too small for a direction: without the limit that blows up, rarely.
    step = rate * (correction * (left_basis.mT @ mean @ right_basis) / (square.sqrt() + 1e-15)).clamp(-1, 1)
    left.lerp_(gradient @ gradient.mT, 1 - Soap.BETA_STATISTICS)
    right.lerp_(gradient.mT @ gradient, 1 - Soap.BETA_STATISTICS)
    return left_basis @ step @ right_basis.mT


@dataclass
class Progress:
    """What `train` reports after each validation; one row of the log."""

    step: int
    steps: int
    loss_db: float
    validation_db: float
    best_db: float
    seconds: float
    rate: float


def train(
    recipe: Recipe,
    datasets: Path,
    validation: Path,
    run: Path,
    *,
    initial: Weights | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    validate_every: int = 5000,
    compile: bool = True,
) -> Weights:
    """Train until `recipe.steps`, going on from `run/checkpoint.pt` where there is one.

    Args:
        recipe: what to do.
        datasets: the folder that holds the recipe's source folders.
        validation: a folder of whole pictures; their PSNR chooses `best.safetensors`.
        run: where `checkpoint.pt`, `last.safetensors`, `best.safetensors` and `log.csv` go; made if missing.
        initial: weights to start from; at another scale, all but the deconvolution is taken (Dong et al. 2016, §3.4).
        report: called after each validation.
        validate_every: steps between validations, each of which also writes a checkpoint.
        compile: let PyTorch compile the step (needs a C++ compiler; three times faster).

    Returns:
        The best weights by validation.

    Raises:
        FsrcnnError: the loss is no longer finite, no pictures, or a checkpoint of another architecture.
    """
    run.mkdir(parents=True, exist_ok=True)
    architecture, scale = recipe.architecture, recipe.architecture.scale
    torch.manual_seed(recipe.seed)
    network = Network(architecture)
    if initial is not None:
        _take_over(network, initial)
    parameters: dict[str, Tensor] = {name: p.detach().clone().requires_grad_() for name, p in network.arrays().items()}
    kernels = {name: shape for name, shape in architecture.array_shapes.items() if name.endswith(".weight")}
    soap = Soap(kernels, compile=compile)
    adam = torch.optim.Adam(
        [p for name, p in parameters.items() if name not in kernels],
        lr=recipe.scalar_rate,
        betas=(0.9, 0.99),
        foreach=True,
    )
    average = {name: p.detach().clone() for name, p in parameters.items()}
    log: list[dict[str, float]] = []
    step, best, seconds_before = 0, -math.inf, 0.0

    checkpoint = run / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        if saved["architecture"] != repr(architecture):
            raise UsageError(f"{checkpoint} belongs to {saved['architecture']}, the recipe says {architecture}")
        step, best, seconds_before, log = saved["step"], saved["best"], saved["seconds"], saved["log"]
        for name, parameter in parameters.items():
            parameter.data.copy_(saved["parameters"][name])
        average, soap.state = saved["average"], saved["soap"]
        adam.load_state_dict(saved["adam"])

    phase_kernel = network.phase_kernel_of
    stages = network.stages

    def loss_of(lr: Tensor, phases: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            kernel = phase_kernel(parameters["deconvolution.weight"])
            sr = apply_phases(lr, parameters, stages, kernel)
        if recipe.huber is None:
            return F.mse_loss(sr.float(), phases)
        return 2 * F.huber_loss(sr.float(), phases, delta=recipe.huber)  # equals the MSE where errors are small

    compiled_loss = torch.compile(loss_of) if compile else loss_of
    pictures = load_pairs({validation: (1.0,)}, scale)
    patches: Patches | None = None
    loaded_from = -1
    started, loss_sum, loss_count = time.monotonic(), torch.zeros(()), 0
    while step < recipe.steps:
        since, folders = next((s, f) for s, f in reversed(recipe.sources) if s <= step)
        if patches is None or since != loaded_from:
            pairs = load_pairs({datasets / name: factors for name, factors in folders.items()}, scale, recipe.patch)
            patches, loaded_from = Patches(pairs, scale, recipe.patch, recipe.contrast), since
        lr, phases = patches.draw(recipe.batch, recipe.seed * 2**40 + step)
        loss = compiled_loss(lr, phases)
        for parameter in parameters.values():
            parameter.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        rate = min(1.0, (step + 1) / recipe.warmup, (recipe.steps - step) / max(1.0, recipe.decay * recipe.steps))
        adam.param_groups[0]["lr"] = recipe.scalar_rate * rate
        adam.step()
        soap.step(step, parameters, recipe.rate * rate)
        with torch.no_grad():
            follow = 1 - min(recipe.average, (step + 1) / (step + 10))
            torch._foreach_lerp_(list(average.values()), [p.detach() for p in parameters.values()], follow)
        loss_sum += loss.detach()
        loss_count += 1
        step += 1
        if step % validate_every and step < recipe.steps:
            continue

        mean_loss = loss_sum.item() / loss_count
        if not math.isfinite(mean_loss):
            raise FsrcnnError(f"the loss is no longer finite at step {step}; {checkpoint} holds the last good state")
        score = validation_psnr(pictures, average, network)
        seconds = seconds_before + time.monotonic() - started
        log.append(
            {
                "step": step,
                "loss_db": round(-10 * math.log10(mean_loss), 4),
                "validation_db": round(score, 4),
                "seconds": round(seconds),
            }
        )
        averaged = Weights(architecture, {name: a.numpy().copy() for name, a in average.items()})
        if score > best:
            best = score
            averaged.save(run / "best.safetensors")
        averaged.save(run / "last.safetensors")
        state: dict[str, Any] = {
            "architecture": repr(architecture), "step": step, "best": best, "seconds": seconds, "log": log,
            "parameters": {name: p.detach() for name, p in parameters.items()},
            "average": average, "soap": soap.state, "adam": adam.state_dict(),
        }  # fmt: skip
        buffer = io.BytesIO()
        torch.save(state, buffer)
        _replace(checkpoint, buffer.getvalue())
        _replace(run / "log.csv", _as_csv(log))
        report(Progress(step, recipe.steps, log[-1]["loss_db"], score, best, seconds, recipe.rate * rate))
        loss_sum, loss_count = torch.zeros(()), 0
    return weights.load(run / "best.safetensors")


@torch.no_grad()
def validation_psnr(pictures: Pairs, arrays: dict[str, Tensor], network: Network) -> float:
    """Mean PSNR in dB over whole pictures, protocol `paper`: rounded to 8 bit, `scale` pixels shaved."""
    scale = network.architecture.scale
    kernel = network.phase_kernel_of(arrays["deconvolution.weight"])
    scores = []
    for lr_start, hr_start, height, width in pictures.layout.tolist():
        lr = pictures.lr[lr_start : lr_start + height * width].view(1, 1, height, width)
        hr = pictures.hr[hr_start : hr_start + height * width * scale**2].view(height * scale, width * scale)
        phases = apply_phases(lr.contiguous(memory_format=torch.channels_last), arrays, network.stages, kernel)
        sr = (F.pixel_shuffle(phases, scale)[0, 0] * 255).round().clamp(0, 255)
        error = (sr - hr)[scale:-scale, scale:-scale].square().mean().item()
        scores.append(10 * math.log10(255**2 / error))
    return sum(scores) / len(scores)


@torch.no_grad()
def _take_over(network: Network, initial: Weights) -> None:
    if initial.architecture.with_scale(network.architecture.scale) != network.architecture:
        raise UsageError(
            f"cannot start {network.architecture} from {initial.architecture}: more than the scale differs"
        )
    same_scale = initial.architecture == network.architecture
    for name, parameter in network.arrays().items():
        if same_scale or not name.startswith("deconvolution"):
            parameter.copy_(torch.from_numpy(initial.arrays[name]))


def _as_csv(log: list[dict[str, float]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, log[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(log)
    return text.getvalue().encode()


def _replace(path: Path, data: bytes) -> None:
    """Write beside and rename, so that a kill while writing leaves the old file."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_bytes(data)
    part.replace(path)
