"""What whole numbers cost: PSNR on Set5 (and other sets; protocol `paper`) of integer models beside that of the float weights.

    python benchmarks/integer_loss.py --datasets FOLDER [--sets Set5 Set14] [--pictures FOLDER] [--tuned FOLDER] [--save FILE]

Each bundled network in each format, as `fsrcnn quantize` makes it; in formats of 8-bit kernels also with `--pictures`; and the core
files of `fsrcnn train --quantize` in the folder `--tuned`: NAME.FORMAT/best.safetensors, as recipes/cores.sh leaves them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fsrcnn import cli, integer, pretrained
from fsrcnn.architecture import FAMILY_NAMES, SCALES
from fsrcnn.calibration import lumas_of, quantised
from fsrcnn.engines import Engine
from fsrcnn.engines.integer import IntegerEngine
from fsrcnn.engines.numpy import NumpyEngine
from fsrcnn.errors import UsageError
from fsrcnn.evaluation import evaluate
from fsrcnn.folders import find
from fsrcnn.integer import FORMATS
from machine import outcome, save


def psnr(engine: Engine, folders: Sequence[Path]) -> dict[str, float]:
    """Set → mean PSNR in dB."""
    results, failures = evaluate(folders, engine, protocols=["paper"])
    if failures:
        raise failures[0]
    return {
        name: round(float(np.mean([result.sr.psnr for result in results if result.folder == name])), 4)
        for name in (folder.name for folder in folders)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=Path, required=True, help="the folder that holds the sets")
    parser.add_argument("--sets", nargs="+", metavar="SET", default=["Set5"])
    parser.add_argument("--pictures", type=Path, help="as of `fsrcnn quantize`; none of those that are measured")
    parser.add_argument("--tuned", type=Path, help="a folder of runs, each named as fsrcnn-x2.w8a8")
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    if arguments.tuned is not None and not arguments.tuned.is_dir():
        raise UsageError(f"is a folder of runs, not {arguments.tuned}", argument="tuned")
    folders = [arguments.datasets / name for name in arguments.sets]
    for folder in (*folders, *([arguments.pictures] if arguments.pictures else [])):
        find(folder)  # refuses what holds no pictures before minutes are spent
    results: dict[str, dict[str, dict[str, float]]] = {}
    for scale in SCALES:
        lumas = None if arguments.pictures is None else lumas_of(arguments.pictures, scale)
        for family in FAMILY_NAMES:
            name = pretrained.name_of(family, scale)
            weights = pretrained.load(name)
            engines: dict[str, Engine] = {"float": NumpyEngine(weights)}
            for format in FORMATS:
                engines[format] = IntegerEngine(quantised(weights, format))
                if lumas is not None and format.startswith("w8"):
                    engines[f"{format}, pictures"] = IntegerEngine(quantised(weights, format, lumas))
                tuned = None if arguments.tuned is None else arguments.tuned / f"{name}.{format}" / "best.safetensors"
                if tuned is not None and tuned.exists():
                    engines[f"{format}, tuned"] = IntegerEngine(integer.load(tuned))
            results[name] = {kind: psnr(engine, folders) for kind, engine in engines.items()}
            print(name, results[name], file=sys.stderr)
    save(outcome(f"PSNR in dB on {', '.join(arguments.sets)}, protocol paper", results), arguments.save)


if __name__ == "__main__":
    cli.run(main)
