"""Print the README's quality table: `python recipes/quality_table.py --datasets FOLDER`.

Our rows come from `table.json`, where `bundle.py` put what `fsrcnn evaluate` measures; the bicubic rows are measured now, by the same
code; the paper's PSNR is that of Dong et al. 2016, table 4.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fsrcnn import pretrained
from fsrcnn.architecture import SCALES, family
from fsrcnn.evaluation import PROTOCOLS, evaluate, mean
from fsrcnn.upscaler import available_threads

SETS = ("Set5", "Set14", "BSD200")
PAPER = {  # PSNR, trained on 91 images + General-100
    "Set5": {2: "37.00", 3: "33.16", 4: "30.71"},
    "Set14": {2: "32.63", 3: "29.43", 4: "27.59"},
    "BSD200": {2: "31.80", 3: "28.60", 4: "26.98"},
}


class NoNetwork:
    """Pixel repetition in the network's place: only the bicubic scores are wanted."""

    name = "none"
    parallel = True
    tile = (256, 256)

    def __init__(self, scale: int) -> None:
        self.architecture = family("fsrcnn", scale)

    def run(self, lr: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        scale = self.architecture.scale
        return lr.repeat(scale, axis=0).repeat(scale, axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=Path, required=True)
    datasets = parser.parse_args().datasets
    bicubic = {}
    for scale in SCALES:
        results, _ = evaluate([datasets / name for name in SETS], NoNetwork(scale), threads=available_threads())
        for name in SETS:
            for protocol in PROTOCOLS:
                score = mean([r.bicubic for r in results if (r.folder, r.protocol) == (name, protocol)])
                bicubic[name, scale, protocol] = f"{score.psnr:.2f} / {score.ssim:.4f}"
    print("| PSNR (dB) / SSIM on the luma | scale | " + " | ".join(SETS) + " |")
    print("|---|---|---|---|---|")
    for protocol in PROTOCOLS:
        for scale in SCALES:
            scores = pretrained.table()[pretrained.name_of("fsrcnn", scale)].scores
            ours = [f"**{scores[name][protocol][0]:.2f}** / {scores[name][protocol][1]:.4f}" for name in SETS]
            print(
                f"| `{protocol}`: bicubic | ×{scale} | "
                + " | ".join(bicubic[name, scale, protocol] for name in SETS)
                + " |"
            )
            if protocol == "paper":
                print(
                    f"| `paper`: FSRCNN as published | ×{scale} | "
                    + " | ".join(PAPER[name][scale] for name in SETS)
                    + " |"
                )
            print(f"| `{protocol}`: this package | ×{scale} | " + " | ".join(ours) + " |")


if __name__ == "__main__":
    main()
