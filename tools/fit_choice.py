"""Train what `fsrcnn.choice` foretells with: `python tools/fit_choice.py --datasets FOLDER [--scales 2] [--samples FOLDER]`.

Pictures of the training sets, and sheets of text and drawings, are made small in every case of `degradation.CASES` and by random
chains, as files, and enlarged by each family. A small network learns to say from the features of a small picture what each family
gains over bicubic, and, above all, to lose little where its highest figure chooses: its loss is the regret of a choice drawn by the
softmax of its figures, and a Huber loss of the figures. Where a file tells its compression, the network learns to do without in some
of the updates. Writes `pretrained/choice.json`; to be run again whenever the weights of a family change. Making the samples takes some
ten minutes per scale; `--samples` keeps them for the next time.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn

from fsrcnn import choice, degradation, engines, images, metrics, models, protocol, robustness
from fsrcnn.architecture import SCALES
from fsrcnn.arrays import Array, Uint8
from fsrcnn.color import as_rgb
from fsrcnn.errors import FsrcnnError, ImageError, UsageError
from fsrcnn.estimates import estimates_of
from fsrcnn.folders import find
from fsrcnn.parallel import Control, available_threads, run_all
from fsrcnn.training import sheets

SETS = {"BSDS500-train": 1, "General100": 1, "Xiph50": 3, "T91": 1}
"""Training sets, and how many crops are taken of each picture."""
SHEETS = 30  # of text among the crops
SCREENS = 300  # of text and drawings alone: screens show them more often than their share of the sets
CHAINS = 10  # of each crop, beside the cases
SIDE = 160  # LR pixels of a crop at most: larger pictures would count more than others
FAMILIES = ("fsrcnn", "fsrcnn-photo", "fsrcnn-photo-mild", "fsrcnn-photo-strong")
MEMBERS, HIDDEN, DROPOUT = 4, 32, 0.2
STEPS, BATCH, RATE, DECAY = 4000, 512, 3e-3, 1e-3
TEMPERATURE = 0.15  # dB: families closer than this are drawn about alike
WITHOUT_FILE = 0.15  # of the samples of a batch, whose file is not known
KEPT_ASIDE = 6  # every sixth crop is kept from training by --check


class Samples(NamedTuple):
    """Small pictures, in the order of the crops.

    Attributes:
        crop: (n,) number of the crop that each was made of.
        features: (n, 22) as `choice.features`.
        gains: (n, families) over bicubic in dB.
    """

    crop: Array
    features: Array
    gains: Array


def crops(datasets: Path, scale: int) -> Iterator[Uint8]:
    """(h, w, 3) uint8: a piece of each picture, at a place drawn by its number, with sides that are multiples of the scale."""
    number, side = 0, SIDE * scale
    for name, count in SETS.items():
        for path in find(datasets / name).pictures:
            rgb = as_rgb(protocol.read_8bit(path))
            for again in range(count):
                generator = np.random.default_rng((7, number, again))
                top, left = (int(generator.integers(0, max(1, length - side + 1))) for length in rgb.shape[:2])
                yield metrics.modcrop(rgb[top : top + side, left : left + side], scale)
                number += 1
    generator = np.random.default_rng(11)
    for sheet in range(SHEETS):
        yield metrics.modcrop(text(generator, sheet, side // 2), scale)


def screens(scale: int) -> Iterator[Uint8]:
    """(h, w, 3) uint8: text and drawings, of which the small picture is what a screen shows: coverage of pixels, as of `area`."""
    generator = np.random.default_rng(13)
    for sheet in range(SCREENS):
        make = drawing if sheet % 3 == 2 else text
        yield metrics.modcrop(make(generator, sheet, SIDE * scale), scale)


def drawing(generator: np.random.Generator, number: int, side: int) -> Uint8:
    """(side, side, 3): lines, outlines and filled shapes, antialiased."""
    ink, fine = list(sheets.INKS.values())[number % len(sheets.INKS)], 3
    picture = Image.new("RGB", (fine * side, fine * side), ink.paper)
    pen = ImageDraw.Draw(picture)
    for _ in range(int(generator.integers(8, 40))):
        corners = (fine * generator.uniform(-0.1, 1.1, 4) * side).tolist()
        width, kind = int(fine * generator.uniform(1, 5)), generator.random()
        left, top, right, bottom = min(corners[::2]), min(corners[1::2]), max(corners[::2]), max(corners[1::2])
        if kind < 0.4:
            pen.line(corners, ink.ink, width)
        elif kind < 0.7:
            start, end = generator.uniform(0, 360, 2).tolist()
            pen.arc((left, top, right, bottom), start, end, ink.ink, width)
        elif kind < 0.9:
            pen.rectangle((left, top, right, bottom), outline=ink.ink, width=width)
        else:
            colour = tuple(generator.integers(256, size=3).tolist())
            pen.ellipse((left, top, left + (right - left) / 3, top + (bottom - top) / 3), colour)
    return np.asarray(picture.reduce(fine))


def text(generator: np.random.Generator, number: int, side: int) -> Uint8:
    """(side, side, 3): a sheet of text in three sizes."""
    ink = list(sheets.INKS.values())[number % len(sheets.INKS)]
    face, sizes = str(generator.choice(sheets.FACES)), [int(size) for size in generator.integers(9, 36, 3)]
    return sheets.text_sheet(generator, ink, face, sizes, (side, side)).rgb


def files(rgb: Array, scale: int, number: int) -> list[bytes]:
    """The small pictures that are made of a crop."""
    picture = rgb.astype(np.float32) / np.float32(255)
    made = [case.file(picture, scale, number) for case in degradation.CASES.values()]
    ranges = degradation.REAL
    for chain in range(CHAINS):
        generator = np.random.default_rng((3, number, chain))
        twice = ranges.again if generator.random() < ranges.compress else 0.0
        before = replace(ranges, compress=twice, again=0.0)
        lr = degradation.degraded(picture, scale, generator, before)
        last = int(generator.integers(*ranges.quality, endpoint=True)) if twice else None
        made.append(degradation.encoded(lr, last, webp=generator.random() < ranges.webp))
    return made


def shown(rgb: Array, scale: int) -> list[bytes]:
    """The small pictures that are made of a screen."""
    picture = rgb.astype(np.float32) / np.float32(255)
    on_screen = degradation.rounded(degradation.shrunk(picture, scale, "area"))
    smaller = degradation.rounded(degradation.shrunk(picture, scale, "bicubic"))
    ways = ((None, False), (90, False), (75, False), (50, False), (80, True))
    return [degradation.encoded(lr, quality, webp=webp) for lr in (on_screen, smaller) for quality, webp in ways]


def samples(datasets: Path, families: list[str], scale: int) -> Samples:
    """Of all crops and screens."""
    nets = [engines.create(models.resolve(family, scale), threads=1) for family in families]
    found: dict[int, list[tuple[list[float], list[float]]]] = {}
    of_crops = list(crops(datasets, scale))
    pieces = list(enumerate([*of_crops, *screens(scale)]))
    begun = time.monotonic()

    def work(piece: tuple[int, Uint8]) -> None:
        number, rgb = piece
        hr, rows = protocol.hr_luma(rgb), []
        for file in files(rgb, scale, number) if number < len(of_crops) else shown(rgb, scale):
            picture = images.read(file)
            pixels = picture.pages[0]
            seen = choice.features(estimates_of(pixels), picture.compression)
            rows.append((seen, robustness.gains(hr, pixels, nets)))
        found[number] = rows
        if len(found) % 50 == 0:
            left = (time.monotonic() - begun) * (len(pieces) / len(found) - 1)
            print(f"×{scale}: {len(found)} of {len(pieces)} crops, {left / 60:.0f} min left", file=sys.stderr)

    run_all(work, pieces, Control(available_threads()))
    numbers = np.repeat(range(len(pieces)), [len(found[number]) for number in range(len(pieces))])
    features, gained = zip(*(row for number in sorted(found) for row in found[number]), strict=True)
    return Samples(numbers, np.array(features), np.array(gained))


def keep(path: Path, found: Samples, families: Sequence[str]) -> None:
    """Save samples with the names of the families whose gains they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **found._asdict(), families=np.array(families))


def kept_in(path: Path, families: Sequence[str]) -> Samples:
    """What `keep` saved.

    Raises:
        ImageError: it is no such file.
        UsageError: its gains are those of other families, or other features were measured.
    """
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            found, of = Samples(*(arrays[name] for name in Samples._fields)), arrays["families"].tolist()
    except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise ImageError(f"{path} holds no samples that name their families", "delete it to have them made") from error
    if of != list(families):
        raise UsageError(f"{path} holds samples of {', '.join(of)}, not of {', '.join(families)}", "delete it")
    wanted = len(choice.features(estimates_of(np.zeros((1, 1), np.uint8)), None))
    if found.features.shape[1:] != (wanted,):
        raise UsageError(f"{path} holds samples of other features than the {wanted} that are measured now", "delete it")
    return found


def trained(known: Samples, families: list[str]) -> dict[str, object]:
    """What `choice.json` holds of a scale."""
    torch.set_num_threads(1)
    mean, deviation = known.features.mean(axis=0).round(4), (known.features.std(axis=0) + 1e-6).round(4)
    unknown = known.features.copy()
    unknown[:, -2:] = 0  # as `choice.features` has it of a picture without a file
    seen, without = (
        torch.from_numpy(choice.standardised(features, mean, deviation).astype(np.float32))
        for features in (known.features, unknown)
    )
    gained = torch.from_numpy(known.gains.astype(np.float32))
    members = [member(seen, without, gained, seed) for seed in range(MEMBERS)]
    layers = [
        [np.stack(arrays).astype(float).round(4).tolist() for arrays in zip(*layer, strict=True)]
        for layer in zip(*members, strict=True)
    ]
    return {"families": families, "mean": mean.tolist(), "deviation": deviation.tolist(), "layers": layers}


def member(seen: torch.Tensor, without: torch.Tensor, gained: torch.Tensor, seed: int) -> list[tuple[Array, Array]]:
    """One network: (inputs, outputs) weights and (1, outputs) biases of each layer.

    Args:
        seen: (n, features), standardised.
        without: the same where nothing is known of the file.
        gained: (n, families) in dB.
        seed: of its first weights and of what it sees when.
    """
    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    network = nn.Sequential(
        nn.Linear(seen.shape[1], HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT),
        nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT),
        nn.Linear(HIDDEN, gained.shape[1]),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        drawn = torch.from_numpy(generator.integers(len(seen), size=BATCH))
        hidden = torch.from_numpy(generator.random((BATCH, 1)) < WITHOUT_FILE)
        expected, target = network(torch.where(hidden, without[drawn], seen[drawn])), gained[drawn]
        losses = target.max(dim=1, keepdim=True).values - target
        regret = (torch.softmax(expected / TEMPERATURE, dim=1) * losses).sum(dim=1).mean()
        optimizer.zero_grad()
        loss: torch.Tensor = regret + nn.functional.smooth_l1_loss(expected, target)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    layers = [layer for layer in network if isinstance(layer, nn.Linear)]
    return [(layer.weight.detach().numpy().T, layer.bias.detach().numpy()[None]) for layer in layers]


def regret(table: dict[str, object], known: Samples) -> float:
    """What the choices of a network lose on samples, in dB, on average."""
    network = choice.network_of(table)
    chosen = np.argmax([network.gains(features) for features in known.features], axis=1)
    return float((known.gains.max(axis=1) - known.gains[np.arange(len(chosen)), chosen]).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=Path, required=True, help="the folder that holds the training sets")
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), help="among which is chosen, best first")
    parser.add_argument("--scales", nargs="+", type=int, choices=SCALES, default=list(SCALES))
    parser.add_argument("--samples", type=Path, help="a folder where samples are kept, and taken from where they are")
    parser.add_argument(
        "--check", action="store_true", help="train on five sixths and say the regret on the rest; write nothing"
    )
    parser.add_argument("--save", type=Path, default=choice.TABLE)
    arguments = parser.parse_args()
    try:
        fit(arguments)
    except FsrcnnError as error:
        parser.exit(error.exit_code, f"{parser.prog}: {error}\n")
    except OSError as error:  # of the table, or of the samples
        parser.exit(1, f"{parser.prog}: {error.filename}: {error.strerror}\n")


def fitted_before(path: Path, scales: Sequence[int], families: Sequence[str]) -> dict[str, Any]:
    """What the table holds, of which `scales` will be replaced.

    Raises:
        ImageError: it is none, or has no folder to be written to.
        UsageError: the scales that stay choose among other families.
    """
    if not path.exists():
        if not path.parent.is_dir():
            raise ImageError(f"{path.parent} is not a folder, so the table cannot be written to it")
        return {}
    try:
        table: dict[str, Any] = dict(json.loads(path.read_text("utf-8")))
        others = [scale for scale in table if int(scale) not in scales and table[scale]["families"] != list(families)]
    except (ValueError, TypeError, KeyError) as error:
        raise ImageError(f"{path} is no table of choices", "give another file to save to") from error
    if others:
        raise UsageError(f"{path} chooses among other families at ×{', ×'.join(others)}", "fit all scales together")
    return table


def fit(arguments: argparse.Namespace) -> None:
    """
    Raises:
        FsrcnnError: sets, samples, families or the table cannot be used.
    """
    table = fitted_before(arguments.save, arguments.scales, arguments.families)
    for scale in arguments.scales:
        kept = arguments.samples and arguments.samples / f"x{scale}.npz"
        if kept and kept.exists():
            known = kept_in(kept, arguments.families)
        else:
            known = samples(arguments.datasets, arguments.families, scale)
            if kept:
                keep(kept, known, arguments.families)
        if arguments.check:
            aside = known.crop % KEPT_ASIDE == KEPT_ASIDE - 1
            learned, unseen = (Samples(*(array[part] for array in known)) for part in (~aside, aside))
            fitted = trained(learned, arguments.families)
            print(
                f"×{scale}: regret {regret(fitted, learned):.3f} dB, kept aside {regret(fitted, unseen):.3f} dB",
                flush=True,
            )
            continue
        table[str(scale)] = trained(known, arguments.families)
        print(f"×{scale}: {len(known.crop):,} samples, regret {regret(table[str(scale)], known):.3f} dB", flush=True)
    if not arguments.check:
        lines = ",\n".join(f'"{scale}": {json.dumps(table[scale])}' for scale in sorted(table))
        arguments.save.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
