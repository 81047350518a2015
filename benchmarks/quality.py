"""What the tables of quality need beside the scores of the bundled weights, which tools/bundle.py puts into `table.json`.

    python benchmarks/quality.py --datasets FOLDER [--save benchmarks/results/quality.json]

`bicubic`: PSNR in dB and SSIM of bicubic interpolation on Set5, Set14 and BSD200, by both protocols. `mistakes`: what
`examples/mistakes.py` prints for Set5 at ×2.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from fsrcnn import cli, metrics, protocol
from fsrcnn.architecture import SCALES
from fsrcnn.evaluation import mean
from fsrcnn.folders import find
from fsrcnn.parallel import Control, run_all
from fsrcnn.protocol import PROTOCOLS, Protocol, Score
from machine import outcome, save

SETS = ("Set5", "Set14", "BSD200")
MISTAKES = Path(__file__).resolve().parent.parent / "examples" / "mistakes.py"


def bicubic(folder: Path, scale: int, name: Protocol) -> list[float]:
    """[PSNR, SSIM], means over the pictures of a set, rounded as they are quoted."""
    scores: dict[Path, Score] = {}

    def work(path: Path) -> None:
        hr = metrics.modcrop(protocol.hr_luma(protocol.read_8bit(path)), scale)
        scores[path] = protocol.score(hr, protocol.enlarged(protocol.shrunk(hr, scale, name), scale), scale)

    run_all(work, find(folder).pictures, Control())
    average = mean(list(scores.values()))
    return [round(average.psnr, 3), round(average.ssim, 4)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=Path, required=True, help="the folder that holds Set5, Set14 and BSD200")
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    datasets: Path = arguments.datasets
    rows = {
        protocol: {f"x{scale}": {name: bicubic(datasets / name, scale, protocol) for name in SETS} for scale in SCALES}
        for protocol in PROTOCOLS
    }
    command = [sys.executable, str(MISTAKES), str(datasets / "Set5"), "--json"]
    mistakes = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    save(
        outcome("luma, protocols paper and files", {"bicubic": rows, "mistakes": mistakes}, ["pillow"]), arguments.save
    )


if __name__ == "__main__":
    cli.run(main)
