"""What the usual mistakes cost, in dB on a folder of pictures: `python examples/mistakes.py FOLDER [--scale 2] [--only kernel]`.

    kernel     LR made by Pillow's or OpenCV's bicubic instead of MATLAB's
    range      full-range luma (JPEG's, as `Image.convert("YCbCr")`) instead of BT.601 studio swing
    crop       a deconvolution cropped by 4, as the common port does, with weights that crop otherwise
    rounding   LR rounded to 8 bit; SR not rounded
    shave      borders counted

The network is the same bundled one throughout; each line changes one thing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from fsrcnn import pretrained
from fsrcnn.color import luma
from fsrcnn.engines.numpy import NumpyEngine
from fsrcnn.folders import find
from fsrcnn.imresize import imresize
from fsrcnn.metrics import modcrop, psnr, shave
from fsrcnn.protocol import read_8bit, round_8bit
from fsrcnn.weights import Weights

Plane = npt.NDArray[np.float64]


def matlab(hr: Plane, scale: int) -> Plane:
    return imresize(hr, output_size=(hr.shape[0] // scale, hr.shape[1] // scale))


def pillow(hr: Plane, scale: int) -> Plane:
    """Antialiased like MATLAB's, but with other edges and, in 8 bit, rounded."""
    small = Image.fromarray(round_8bit(hr)).resize(
        (hr.shape[1] // scale, hr.shape[0] // scale), Image.Resampling.BICUBIC
    )
    return np.asarray(small) / 255.0


def unfiltered(hr: Plane, scale: int) -> Plane:
    """OpenCV's INTER_CUBIC: four taps (a = -0.75) around the centre however small the result gets, so detail aliases."""
    for axis in (0, 1):
        hr = np.moveaxis(hr, axis, 0)
        count = hr.shape[0] // scale
        centre = (np.arange(count) + 0.5) * scale - 0.5
        first = np.floor(centre).astype(int) - 1
        total = np.zeros((count, *hr.shape[1:]))
        for tap in range(4):
            x = np.abs(centre - (first + tap))[:, None]
            near = 1.25 * x**3 - 2.25 * x**2 + 1
            far = -0.75 * x**3 + 3.75 * x**2 - 6 * x + 3
            total += np.where(x <= 1, near, far) * hr[(first + tap).clip(0, hr.shape[0] - 1)]
        hr = np.moveaxis(total, 0, axis)
    return hr


def full_range(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.fromarray(rgb).convert("YCbCr"))[:, :, 0] if rgb.ndim == 3 else rgb


@dataclass(frozen=True)
class Way:
    """One way of evaluating; the defaults are right."""

    title: str
    shrink: Callable[[Plane, int], Plane] = matlab
    to_luma: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.uint8]] = luma
    crop: int | None = None
    round_lr: bool = False
    round_sr: bool = True
    shaved: bool = True


WAYS = {
    "right": [Way("as the papers: protocol `paper`")],
    "kernel": [Way("LR by Pillow's bicubic", shrink=pillow), Way("LR by OpenCV's INTER_CUBIC", shrink=unfiltered)],
    "range": [Way("full-range luma", to_luma=full_range)],
    "crop": [Way("deconvolution cropped by 4", crop=4)],
    "rounding": [Way("LR rounded to 8 bit: protocol `files`", round_lr=True), Way("SR not rounded", round_sr=False)],
    "shave": [Way("borders counted", shaved=False)],
}


def score(path: Path, way: Way, weights: Weights) -> float:
    scale = weights.architecture.scale
    if way.crop is not None:
        weights = Weights(replace(weights.architecture, crop=way.crop), weights.arrays)
    hr = modcrop(way.to_luma(read_8bit(path)), scale)
    lr = way.shrink(hr / 255.0, scale)
    lr = round_8bit(lr) / 255.0 if way.round_lr else lr
    sr = NumpyEngine(weights).luma(lr.astype(np.float32))
    result = round_8bit(sr).astype(float) if way.round_sr else sr.clip(0, 1) * 255.0
    border = scale if way.shaved else 0
    return psnr(shave(hr.astype(float), border), shave(result, border))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="high-resolution pictures, as Set5")
    parser.add_argument("--scale", type=int, default=2, choices=(2, 3, 4))
    parser.add_argument("--model", default="fsrcnn")
    parser.add_argument("--only", choices=[name for name in WAYS if name != "right"])
    parser.add_argument("--json", action="store_true", help="for programs: a list of objects")
    arguments = parser.parse_args()
    weights = pretrained.load(pretrained.name_of(arguments.model, arguments.scale))
    rows: list[dict[str, str | float]] = []
    right = None
    for name, ways in WAYS.items():
        for way in ways if name in ("right", arguments.only or name) else []:
            mean = float(np.mean([score(path, way, weights) for path in find(arguments.folder).pictures]))
            right = mean if right is None else right
            rows.append({"only": name, "title": way.title, "psnr": round(mean, 6)})
            if not arguments.json:
                print(f"{name:>8}  {way.title:<40} {mean:6.2f} dB  {mean - right:+.2f}")
    if arguments.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
