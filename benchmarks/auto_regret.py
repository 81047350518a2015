"""What `--model auto` loses: for each case of small pictures, how many dB the family chosen lies under the best one for each picture.

    python benchmarks/auto_regret.py --datasets FOLDER [--save benchmarks/results/auto.json]

The small pictures are files: the very JPEG or WebP where a case ends in one, else a PNG. Each row is a mean over a set's pictures:
gain over bicubic on the luma of each family and of what was chosen, the loss of the choice (`regret`), how often it fell on which.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from fsrcnn import choice, degradation, engines, images, metrics, models, protocol, robustness
from fsrcnn.folders import find
from fsrcnn.parallel import Control, available_threads, run_all
from machine import outcome, save

SETS = ("BSDS500-val20", "Set14")


def rows(folder: Path, scale: int) -> dict[str, Any]:
    """Case → means over a folder's pictures."""
    families = choice.families()
    nets = [engines.create(models.resolve(family, scale), threads=1) for family in families]
    paths = find(folder).pictures
    gains = np.zeros((len(degradation.CASES), len(paths), len(nets)))
    chosen = np.zeros(gains.shape[:2], int)

    def work(number: int) -> None:
        rgb = protocol.read_8bit(paths[number])
        rgb = metrics.modcrop(np.dstack([rgb] * 3) if rgb.ndim == 2 else rgb, scale)
        hr = protocol.hr_luma(rgb)
        for row, case in enumerate(degradation.CASES.values()):
            picture = images.read(case.file(rgb.astype(np.float32) / np.float32(255), scale, number))
            gains[row, number] = robustness.gains(hr, picture.pages[0], nets)
            found = choice.choose(picture.pages[0], scale, picture.compression)
            chosen[row, number] = families.index(found.model)

    run_all(work, list(range(len(paths))), Control(available_threads()))
    of_choice = np.take_along_axis(gains, chosen[:, :, None], axis=2)[:, :, 0]
    regret = gains.max(axis=2) - of_choice
    return {
        name: {
            **{family: round(float(gains[row, :, column].mean()), 3) for column, family in enumerate(families)},
            "auto": round(float(of_choice[row].mean()), 3),
            "regret": round(float(regret[row].mean()), 3),
            "chosen": {family: int((chosen[row] == column).sum()) for column, family in enumerate(families)},
        }
        for row, name in enumerate(degradation.CASES)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=Path, required=True, help="the folder that holds BSDS500-val20 and Set14")
    parser.add_argument("--scales", nargs="+", type=int, default=[2])
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
    main()
