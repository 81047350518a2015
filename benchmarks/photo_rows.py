"""How the bundled weights do on small pictures as they come about in life: the protocol `photo` of `fsrcnn evaluate`.

    python benchmarks/photo_rows.py --datasets FOLDER [--save benchmarks/results/photo.json]

Decibels above bicubic interpolation, PSNR on the luma, of the final weights of every family at ×2, and at ×3 and ×4 of `fsrcnn` and
those made for photos; of Lanczos interpolation; and of the strengths between `fsrcnn-photo-mild` and `fsrcnn-photo-strong` at ×2.
`bicubic` stands beside them in dB.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fsrcnn import cli, engines, evaluation, models, pretrained, protocol, robustness
from fsrcnn.architecture import SCALES
from fsrcnn.arrays import Uint8
from fsrcnn.degradation import CASES
from fsrcnn.engines import Engine
from fsrcnn.folders import find
from fsrcnn.parallel import Control, run_all
from machine import outcome, save

SETS = ("BSDS500-val20", "Set14")
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)


def families(scale: int) -> list[str]:
    """Those that are measured at a scale."""
    return [name for name in pretrained.FAMILIES if scale == 2 or name == "fsrcnn" or name.startswith("fsrcnn-photo")]


def rows(folder: Path, scale: int, networks: Mapping[str, Engine]) -> dict[str, dict[str, float]]:
    """Case → way → PSNR in dB: of `bicubic`, and above it, of `lanczos` and each network; means over the pictures of a set.

    Each small picture is made once for all networks, and no SSIM is computed, so this takes a fifth of the time of
    `robustness.evaluate`, whose figures these are.
    """
    found: dict[tuple[Path, str], dict[str, float]] = {}

    def work(path: Path) -> None:
        hr = evaluation.modcropped(protocol.read_8bit(path), scale)
        for case in CASES:
            chains = [
                _psnrs(hr, robustness.small(hr, scale, CASES[case], number), scale, networks)
                for number in robustness.numbers_of(path, case)
            ]
            found[path, case] = {way: float(np.mean([chain[way] for chain in chains])) for way in chains[0]}

    pictures: Sequence[Path] = find(folder).pictures
    run_all(work, pictures, Control())
    table = {}
    for case in CASES:
        means = {way: np.mean([found[path, case][way] for path in pictures]) for way in found[pictures[0], case]}
        bicubic = means.pop("bicubic")
        table[case] = {"bicubic": float(bicubic)} | {way: float(psnr - bicubic) for way, psnr in means.items()}
    return table


def _psnrs(hr: Uint8, lr: robustness.SmallPicture, scale: int, networks: Mapping[str, Engine]) -> dict[str, float]:
    original = protocol.hr_luma(hr)
    planes = {"bicubic": protocol.enlarged(lr.luma, scale), "lanczos": robustness.lanczos(lr.luma, scale)}
    for name, engine in networks.items():
        planes[name] = protocol.round_8bit(engine.luma(lr.luma.astype(np.float32), Control(1)))
    return {way: protocol.psnr(original, plane, scale) for way, plane in planes.items()}


def rounded(table: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    return {case: {way: round(psnr, 3) for way, psnr in row.items()} for case, row in table.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=Path, required=True, help="the folder that holds BSDS500-val20 and Set14")
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    results: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for scale in SCALES:
        names = [pretrained.name_of(family, scale) for family in families(scale)]
        networks = {name: engines.create(pretrained.load(name)) for name in names}
        for name in SETS:
            results.setdefault(f"x{scale}", {})[name] = rounded(rows(arguments.datasets / name, scale, networks))
    between = {f"@{strength:g}": f"fsrcnn-photo@{strength:g}" for strength in STRENGTHS}
    networks = {title: engines.create(models.resolve(name, 2)) for title, name in between.items()}
    results["strengths"] = {SETS[0]: rounded(rows(arguments.datasets / SETS[0], 2, networks))}
    save(outcome("luma, protocol photo, dB of bicubic and dB above it", results, ["pillow"]), arguments.save)


if __name__ == "__main__":
    cli.run(main)
