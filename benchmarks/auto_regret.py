"""What `--model auto` loses: for each case of small pictures, how many dB the family chosen lies under the best one for each picture.

    python benchmarks/auto_regret.py --datasets FOLDER [--save benchmarks/results/auto.json]

The small pictures are files: the very JPEG or WebP where a case ends in one, else a PNG. Each row is a mean over a set's pictures:
gain over bicubic on the luma of each family and of what was chosen, the loss of the choice (`regret`), how often it fell on which.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fsrcnn import choice, cli, degradation, engines, images, metrics, models, protocol, robustness
from fsrcnn.architecture import SCALES
from fsrcnn.color import as_rgb
from fsrcnn.folders import find
from fsrcnn.parallel import Control, available_threads, run_all
from machine import outcome, save

SETS = ("BSDS500-val20", "Set14")


def rows(folder: Path, scale: int) -> dict[str, Any]:
    """Case → means over a folder's pictures; of random chains, as many of each picture as `robustness.evaluate` makes."""
    families = choice.families()
    nets = [engines.create(models.resolve(family, scale), threads=1) for family in families]
    found: dict[tuple[str, Path], list[tuple[list[float], int]]] = {}  # gains of the families, which was chosen

    def work(path: Path) -> None:
        rgb = metrics.modcrop(as_rgb(protocol.read_8bit(path)), scale)
        hr = protocol.hr_luma(rgb)
        for name, case in degradation.CASES.items():
            found[name, path] = []
            for number in robustness.numbers_of(path, name):
                picture = images.read(case.file(rgb.astype(np.float32) / np.float32(255), scale, number))
                chosen = choice.choose(picture.pages[0], scale, picture.compression).model
                gains = robustness.gains(hr, picture.pages[0], nets)
                found[name, path].append((gains, families.index(chosen)))

    paths = find(folder).pictures
    run_all(work, paths, Control(available_threads()))
    return {name: row([made for path in paths for made in found[name, path]]) for name in degradation.CASES}


def row(made: Sequence[tuple[list[float], int]]) -> dict[str, Any]:
    """Means over small pictures, given the gains of all families and the number of the chosen one."""
    families, gains = choice.families(), np.array([gained for gained, _ in made])
    chosen = np.array([family for _, family in made])
    of_choice = gains[np.arange(len(made)), chosen]
    return {
        **{family: round(float(gains[:, column].mean()), 3) for column, family in enumerate(families)},
        "auto": round(float(of_choice.mean()), 3),
        "regret": round(float((gains.max(axis=1) - of_choice).mean()), 3),
        "chosen": {family: int((chosen == column).sum()) for column, family in enumerate(families)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=Path, required=True, help="the folder that holds BSDS500-val20 and Set14")
    parser.add_argument("--scales", nargs="+", type=int, choices=SCALES, default=[2])
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    results: dict[str, Any] = {}
    for scale in arguments.scales:
        for name in SETS:
            found = rows(arguments.datasets / name, scale)
            mean = float(np.mean([row["regret"] for row in found.values()]))
            results.setdefault(f"x{scale}", {})[name] = {"rows": found, "mean regret": round(mean, 3)}
            print(
                f"×{scale} {name}: {mean:.3f} dB",
                *(f"  {k}: {json.dumps(v)}" for k, v in found.items()),
                sep="\n",
                file=sys.stderr,
            )
    save(outcome("gain over bicubic in dB on the luma, small pictures as files", results, ["pillow"]), arguments.save)


if __name__ == "__main__":
    cli.run(main)
