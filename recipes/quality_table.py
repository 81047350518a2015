"""Print the quality tables of README and docs: `python recipes/quality_table.py --datasets FOLDER [--full]`.

Our rows come from `table.json`, where `bundle.py` put what `fsrcnn evaluate` measures; the bicubic rows are measured now, by the same
code; the published PSNR is that of Dong et al. 2016, tables 3 (91 images) and 4 (91 images + General-100).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fsrcnn import engines, pretrained
from fsrcnn.architecture import FAMILY_NAMES, SCALES
from fsrcnn.evaluation import PROTOCOLS, Protocol, evaluate, mean
from fsrcnn.parallel import available_threads

SETS = ("Set5", "Set14", "BSD200")
PUBLISHED = {  # family, trained on, scale → PSNR of the sets
    ("fsrcnn", ".t91", 2): (36.94, 32.54, 31.73), ("fsrcnn", "", 2): (37.00, 32.63, 31.80),
    ("fsrcnn", ".t91", 3): (33.06, 29.37, 28.55), ("fsrcnn", "", 3): (33.16, 29.43, 28.60),
    ("fsrcnn", ".t91", 4): (30.55, 27.50, 26.92), ("fsrcnn", "", 4): (30.71, 27.59, 26.98),
    ("fsrcnn-s", ".t91", 2): (36.53, 32.22, 31.44), ("fsrcnn-s", "", 2): (36.58, 32.28, 31.48),
    ("fsrcnn-s", ".t91", 3): (32.55, 29.08, 28.32), ("fsrcnn-s", "", 3): (32.61, 29.13, 28.33),
    ("fsrcnn-s", ".t91", 4): (30.04, 27.12, 26.73), ("fsrcnn-s", "", 4): (30.11, 27.19, 26.75),
}  # fmt: skip
DATA = {".t91": "91 images", "": "91 images, then more"}


def row(title: str, scale: int, cells: list[str]) -> str:
    return f"| {title} | ×{scale} | " + " | ".join(cells) + " |"


def table(protocol: Protocol, datasets: Path, stages: tuple[str, ...]) -> None:
    print(f"| `{protocol}` | scale | " + " | ".join(SETS) + " |\n|---|---|---|---|---|")
    for scale in SCALES:
        smallest = engines.create(
            pretrained.load(pretrained.name_of("fsrcnn-x", scale))
        )  # the bicubic scores are what is wanted
        results, _ = evaluate(
            [datasets / name for name in SETS], smallest, protocols=[protocol], threads=available_threads()
        )
        scores = [mean([r.bicubic for r in results if r.folder == name]) for name in SETS]
        print(row("bicubic", scale, [f"{score.psnr:.2f} / {score.ssim:.4f}" for score in scores]))
        for stage in stages:
            for family in reversed(FAMILY_NAMES):
                published = PUBLISHED.get((family, stage, scale))
                if published and protocol == "paper":
                    print(row(f"{family} as published, {DATA[stage]}", scale, [f"{psnr:.2f}" for psnr in published]))
                ours = pretrained.table()[pretrained.name_of(family, scale) + stage].scores
                cells = [f"**{ours[name][protocol][0]:.2f}** / {ours[name][protocol][1]:.4f}" for name in SETS]
                print(row(f"`{family}-x{scale}{stage}`", scale, cells))
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=Path, required=True)
    parser.add_argument("--full", action="store_true", help="both protocols and both stages")
    arguments = parser.parse_args()
    for protocol in PROTOCOLS if arguments.full else PROTOCOLS[:1]:
        table(protocol, arguments.datasets, (".t91", "") if arguments.full else ("",))


if __name__ == "__main__":
    main()
