"""What the precisions cost: PSNR on Set5 (protocol `paper`) of the native engine's `exact` and `fast`, and of bfloat16.

    python benchmarks/precision.py --datasets FOLDER [--save benchmarks/results/precision.json]

bfloat16 is computed here as a runtime does it: kernels and features rounded to bfloat16, sums in float32.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from fsrcnn import cli, pretrained
from fsrcnn.architecture import FAMILY_NAMES, SCALES
from fsrcnn.engines import Engine
from fsrcnn.engines.native import NativeEngine
from fsrcnn.evaluation import evaluate
from fsrcnn.parallel import available_threads
from fsrcnn.weights import Weights
from machine import outcome, save


class Bfloat16Engine(Engine):
    """The network with everything but its sums in bfloat16."""

    name, tile = "bfloat16", (512, 512)

    def __init__(self, weights: Weights) -> None:
        self.architecture = weights.architecture
        self.arrays = {name: torch.from_numpy(array) for name, array in weights.arrays.items()}
        self.stages = [stage.name for stage in weights.architecture.convolutions]

    def run(self, lr: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        def rounded(x: torch.Tensor) -> torch.Tensor:
            return x.to(torch.bfloat16).to(torch.float32)

        x = rounded(torch.from_numpy(np.ascontiguousarray(lr)))[None, None]
        for stage in self.stages:
            kernel = rounded(self.arrays[f"{stage}.weight"])
            x = F.conv2d(x, kernel, self.arrays[f"{stage}.bias"], padding=kernel.shape[-1] // 2)
            x = rounded(F.prelu(x, self.arrays[f"{stage}.prelu"]))
        x = F.conv_transpose2d(x, rounded(self.arrays["deconvolution.weight"]), stride=self.architecture.scale)
        crop, scale = self.architecture.crop, self.architecture.scale
        cut = x[0, 0, crop : crop + scale * lr.shape[0], crop : crop + scale * lr.shape[1]]
        result: npt.NDArray[np.float32] = (cut + self.arrays["deconvolution.bias"]).numpy()
        return result


def psnr(engine: Engine, folder: Path) -> float:
    results, failures = evaluate([folder], engine, protocols=["paper"], threads=available_threads())
    if failures:
        raise failures[0]
    return float(np.mean([result.sr.psnr for result in results]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=Path, required=True, help="the folder that holds Set5")
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    results: dict[str, Any] = {}
    for stage in ("", ".t91"):
        for family in FAMILY_NAMES:
            for scale in SCALES:
                name = f"{family}-x{scale}{stage}"
                weights = pretrained.load(name)
                engines: list[Engine] = [NativeEngine(weights), NativeEngine(weights, "fast"), Bfloat16Engine(weights)]
                exact, fast, bfloat16 = (psnr(engine, arguments.datasets / "Set5") for engine in engines)
                results[name] = {"exact": exact, "fast": fast, "bfloat16": bfloat16}
                print(name, results[name], file=sys.stderr)
    save(outcome("PSNR in dB on Set5, protocol paper", results, ["torch"]), arguments.save)


if __name__ == "__main__":
    cli.run(main)
