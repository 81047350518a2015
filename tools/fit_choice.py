"""Fit what `fsrcnn.choice` foretells: `python tools/fit_choice.py --datasets FOLDER [--families fsrcnn fsrcnn-photo]`.

Pictures of the training sets are made small in every case of `degradation.CASES` and by random chains, as files, and enlarged by
each family. For each family, a polynomial of what the file says and of what is measured is fitted to the gain over bicubic, by ridge
regression. Where a file tells its compression, the pixels alone are a second sample, of less weight. Writes `pretrained/choice.json`;
to be run again whenever the weights of a family change.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fsrcnn import choice, degradation, engines, images, metrics, models, protocol
from fsrcnn.architecture import SCALES
from fsrcnn.arrays import Array
from fsrcnn.color import luma
from fsrcnn.engines import Engine
from fsrcnn.estimates import estimates_of
from fsrcnn.folders import find
from fsrcnn.parallel import Control, available_threads, run_all

SETS = {"BSDS500-train": 4, "General100": 3, "Xiph50": 3, "T91": 6}
"""Training sets, and each how many-th picture is taken."""
CHAINS = 15  # of each picture, as many as there are cases
SIDE = 480  # pixels of a crop from the middle: larger ones of Xiph50 would count more than others
RIDGE = 1e-3  # per sample, of standardised features
FAMILIES = ("fsrcnn", "fsrcnn-photo", "fsrcnn-photo-mild", "fsrcnn-photo-strong")
WITHOUT_FILE = 0.5  # the weight of a picture whose file is not known


class Sample(NamedTuple):
    """One small picture: features, gain of each family over bicubic in dB, weight in the fit."""

    features: list[float]
    gains: list[float]
    weight: float


def gains(hr: Array, lr: Array, nets: list[Engine], scale: int) -> list[float]:
    """PSNR of each network less that of bicubic interpolation, on the luma.

    Args:
        hr: luma, as `protocol.hr_luma` gives it.
        lr: (h, w, 3) uint8.
    """
    plane = luma(lr)
    bicubic = protocol.psnr(hr, protocol.enlarged(plane / 255.0, scale), scale)
    levels = plane.astype(np.float32) / np.float32(255)
    return [protocol.psnr(hr, protocol.round_8bit(net.luma(levels)), scale) - bicubic for net in nets]


def hr_of(path: Path, scale: int) -> Array:
    """(h, w, 3) uint8: the middle of a picture, with sides that are multiples of the scale."""
    rgb = protocol.read_8bit(path)
    rgb = np.dstack([rgb] * 3) if rgb.ndim == 2 else rgb[:, :, :3]
    top, left = (max(0, length - SIDE) // 2 for length in rgb.shape[:2])
    return metrics.modcrop(rgb[top : top + SIDE, left : left + SIDE], scale)


def files(rgb: Array, scale: int, number: int) -> list[bytes]:
    """The small pictures that are made of one."""
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


def samples(paths: list[Path], families: list[str], scale: int) -> list[Sample]:
    """Of all pictures, in their order."""
    nets = [engines.create(models.resolve(family, scale), threads=1) for family in families]
    found: dict[int, list[Sample]] = {}

    def work(number: int) -> None:
        rgb = hr_of(paths[number], scale)
        hr, found[number] = protocol.hr_luma(rgb), []
        for file in files(rgb, scale, number):
            picture = images.read(file)
            pixels = picture.pages[0]
            measured, gained = estimates_of(pixels), gains(hr, pixels, nets, scale)
            found[number].append(Sample(choice.features(measured, picture.compression), gained, 1.0))
            if picture.compression is not None:
                found[number].append(Sample(choice.features(measured, None), gained, WITHOUT_FILE))

    run_all(work, list(range(len(paths))), Control(available_threads()))
    return [sample for number in sorted(found) for sample in found[number]]


def fitted(samples: list[Sample], families: list[str]) -> dict[str, object]:
    """What `choice.json` holds of a scale."""
    features, gained, weight = (np.array(column) for column in zip(*samples, strict=True))
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    terms = choice.polynomial((features - mean) / deviation)
    normal = terms.T @ (weight[:, None] * terms) + RIDGE * len(terms) * np.diag([0.0] + [1.0] * (terms.shape[1] - 1))
    coefficients = np.linalg.solve(normal, terms.T @ (weight[:, None] * gained))
    handicaps = fairest(terms @ coefficients, gained, weight)
    return {
        "mean": mean.round(4).tolist(),
        "deviation": deviation.round(4).tolist(),
        "gains": {family: coefficients[:, column].round(4).tolist() for column, family in enumerate(families)},
        "handicaps": dict(zip(families, handicaps, strict=True)),
    }


def fairest(expected: Array, gained: Array, weight: Array) -> list[float]:
    """What is taken off each family's expected gain so that the choices lose least, in dB; nothing off the first one's.

    A polynomial that is right on average may be wrong alike for the pictures between which a choice is made.
    """
    handicaps = np.zeros(expected.shape[1])

    def loss(tried: Array) -> float:
        of_choice = np.take_along_axis(gained, (expected - tried).argmax(axis=1)[:, None], axis=1)[:, 0]
        return float(np.average(gained.max(axis=1) - of_choice, weights=weight))

    for _ in range(3):  # one family after the other, until nothing changes
        for column in range(1, len(handicaps)):
            tries = [np.where(np.arange(len(handicaps)) == column, step / 20, handicaps) for step in range(-10, 21)]
            handicaps = min(tries, key=loss)
    return [round(float(handicap), 2) for handicap in handicaps]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=Path, required=True, help="the folder that holds the training sets")
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), help="among which is chosen, best first")
    parser.add_argument("--scales", nargs="+", type=int, default=list(SCALES))
    parser.add_argument("--save", type=Path, default=choice.TABLE)
    arguments = parser.parse_args()
    paths = [path for name, step in SETS.items() for path in find(arguments.datasets / name).pictures[::step]]
    table = json.loads(arguments.save.read_text("utf-8")) if arguments.save.exists() else {}
    for scale in arguments.scales:
        table[str(scale)] = fitted(samples(paths, arguments.families, scale), arguments.families)
        print(f"×{scale}: {len(paths)} pictures", flush=True)
    lines = ",\n".join(f'"{scale}": {json.dumps(table[scale])}' for scale in sorted(table))
    arguments.save.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
