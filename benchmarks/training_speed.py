"""Samples per second of `train`, all of it, against the plain eager loop and against its own bare step.

    python benchmarks/training_speed.py [--datasets FOLDER] [--device cpu] [--rounds 5] [--save benchmarks/results/training_speed.json]

On one CPU core (or a GPU), the same patches (16 of 20×20 LR pixels, cut from pictures), in turn, A B C A B C …:

    eager   what most ports do: nn.Conv2d, nn.PReLU, nn.ConvTranspose2d, fp32, torch.optim.Adam
    bare    our step alone on one batch in memory: forward, backward, Adam; rewritten deconvolution, channels last, bf16, compiled
    train   `fsrcnn.training.loop.train`: drawing patches, step, moving average, loss bookkeeping
    photo   the same with `--degrade photo`: pictures degraded by random chains

On a CPU the time is that of the processor, so other programs cost little.
Medians of the rounds, ratios, and the resident memory before the first and after the last epoch.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fsrcnn import cli
from fsrcnn.architecture import FAMILY_NAMES, Architecture, family
from fsrcnn.engines.torch import Network
from fsrcnn.errors import UsageError
from fsrcnn.training import place
from fsrcnn.training.history import Progress
from fsrcnn.training.loop import train
from fsrcnn.training.optimizers import Optimizers
from fsrcnn.training.pairs import Folder, Pair, load_pairs
from fsrcnn.training.recipe import Recipe
from fsrcnn.training.sources import DegradedPatches, Patches
from fsrcnn.training.trainee import Trainee
from machine import check_counts, outcome, save

BATCH, PATCH = 16, 20


def eager(architecture: Architecture, patches: Patches, device: torch.device) -> Callable[[int], None]:
    """The plain loop."""
    a = architecture
    layers: list[nn.Module] = [nn.Conv2d(1, a.d, a.feature_kernel, padding=a.feature_kernel // 2), nn.PReLU(a.d)]
    layers += [nn.Conv2d(a.d, a.s, 1), nn.PReLU(a.s)]
    for _ in range(a.m):
        layers += [nn.Conv2d(a.s, a.s, 3, padding=1), nn.PReLU(a.s)]
    layers += [nn.Conv2d(a.s, a.d, 1), nn.PReLU(a.d)]
    k = a.deconvolution_kernel
    before, after = a.crop, k - a.scale - a.crop
    padding = max(before, after)
    layers += [
        nn.ConvTranspose2d(a.d, 1, k, stride=a.scale, padding=padding, output_padding=max(0, 2 * padding + a.scale - k))
    ]
    network = nn.Sequential(*layers).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)

    def step(number: int) -> None:
        lr, phases, _ = patches.draw(number)
        hr = torch.nn.functional.pixel_shuffle(phases, a.scale).contiguous().to(device)
        sr = network(lr.contiguous().to(device))
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(sr[:, :, : hr.shape[2], : hr.shape[3]], hr)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def bare(recipe: Recipe, patches: Patches, device: torch.device) -> Callable[[int], None]:
    """Our step on one batch, and nothing else."""
    trainee = Trainee(Network(recipe.architecture), recipe, compile=True).to(device)
    optimizers = Optimizers(recipe, trainee.trained())
    batch = patches.draw(0).to(device)

    def step(number: int) -> None:
        loss: Tensor = trainee(*batch)
        trainee.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizers.step(number)

    return step


class Clock:
    """Runs `train` and takes the time of its steps from its own reports, start-up and validation left out."""

    def __init__(self, recipe: Recipe, patches: Patches, validation: list[Pair], device: str) -> None:
        self.recipe, self.patches, self.validation, self.device = recipe, patches, validation, device

    def seconds_per_step(self) -> float:
        marks: list[tuple[int, float]] = []
        clock = clock_of(torch.device(self.device))

        def report(progress: Progress) -> None:
            if not progress.validated:
                marks.append((progress.step, clock()))

        with tempfile.TemporaryDirectory() as folder:
            train(self.recipe, self.patches, self.validation, Path(folder), device=self.device, report=report)
        (first, start), (last, stop) = marks[0], marks[-1]
        return (stop - start) / (last - first)


def clock_of(device: torch.device) -> Callable[[], float]:
    """Seconds of the processor, or of the wall where a GPU works."""
    return time.process_time if device.type == "cpu" else time.perf_counter


def timed(step: Callable[[int], None], count: int, device: torch.device, start: int) -> float:
    clock = clock_of(device)
    began = clock()
    for number in range(start, start + count):
        step(number)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return (clock() - began) / count


def resident_megabytes() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


def synthetic() -> list[Pair]:
    """Stands in for a data set: eight noisy gradients."""
    generator = np.random.default_rng(0)
    pairs = []
    for _ in range(8):
        hr = generator.integers(0, 256, (360, 480), dtype=np.uint8)
        pairs.append(Pair(generator.random((120, 160), np.float32), hr))
    return pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=Path, help="folder that holds T91; noise where it is not given")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--scale", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=400, help="updates per round")
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    check_counts(arguments, "rounds", "steps")
    scale, device = arguments.scale, torch.device(place.join(arguments.device, threads=1)[1])
    pairs = load_pairs([Folder(arguments.datasets / "T91")], scale, PATCH).pairs if arguments.datasets else synthetic()
    if not arguments.datasets and scale != 3:
        raise UsageError("without --datasets only --scale 3 is measured")
    results = {}
    for name in FAMILY_NAMES:
        architecture = family(name, scale)
        patches = Patches(pairs, scale, PATCH, BATCH)
        recipe = Recipe(
            architecture, arguments.steps + 100, batch=BATCH, patch=PATCH, number_format="bf16", validate_every=10**9
        )
        steps = {"eager": eager(architecture, patches, device), "bare": bare(recipe, patches, device)}
        clocks = {
            "train": Clock(recipe, patches, pairs[:1], arguments.device),
            "photo": Clock(recipe, DegradedPatches(pairs, scale, PATCH, BATCH), pairs[:1], arguments.device),
        }
        for step in steps.values():
            timed(step, 20, device, 0)
        for clock in clocks.values():
            clock.seconds_per_step()  # warms the compiler's cache, and degrades each picture once
        times: dict[str, list[float]] = {kind: [] for kind in (*steps, *clocks)}
        memory = [resident_megabytes()]
        for number in range(arguments.rounds):
            for kind, step in steps.items():
                times[kind].append(timed(step, arguments.steps, device, 1000 * (number + 1)))
            for kind, clock in clocks.items():
                times[kind].append(clock.seconds_per_step())
            memory.append(resident_megabytes())
        median = {kind: statistics.median(values) for kind, values in times.items()}
        results[name] = {
            "milliseconds": {kind: round(value * 1e3, 2) for kind, value in median.items()},
            "samples_per_second": {kind: round(BATCH / value, 1) for kind, value in median.items()},
            "train_to_eager": round(median["eager"] / median["train"], 2),
            "train_to_bare": round(median["bare"] / median["train"], 3),
            "photo_to_train": round(median["train"] / median["photo"], 3),
            "resident_megabytes": [round(value) for value in memory],
        }
        print(name, json.dumps(results[name]), file=sys.stderr)
    what = f"{BATCH} patches of {PATCH}×{PATCH} LR pixels at ×{scale}, medians of {arguments.rounds} rounds of {arguments.steps}"
    save(outcome(what, results, ["torch"], threads=1, device=arguments.device), arguments.save)


if __name__ == "__main__":
    cli.run(main)
