"""Make the picture of docs/from-weights-to-a-core.md: `python examples/core_picture.py docs/core.png`.

A part of the example picture, made two times smaller and larger again: by bicubic interpolation, by FSRCNN-x in floating point, and in
the 12-bit whole numbers of a chip core.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from fsrcnn import Upscaler, images, models
from fsrcnn.calibration import quantised
from fsrcnn.figures import three_panes
from fsrcnn.imresize import imresize
from fsrcnn.metrics import modcrop

SCALE = 2
FORMAT = "w12a12"
PART = np.s_[45:195, 140:300]


def main() -> None:
    hr = modcrop(images.read(Path(__file__).with_name("astronaut.png")).pages[0], SCALE)
    lr = imresize(hr, output_size=(hr.shape[0] // SCALE, hr.shape[1] // SCALE))
    weights = models.resolve("fsrcnn-x", SCALE)
    pictures = {
        f"bicubic x{SCALE}": imresize(lr, output_size=hr.shape[:2]),
        f"fsrcnn-x x{SCALE}": Upscaler(weights)(lr),
        f"chip core, {FORMAT}": Upscaler(quantised(weights, FORMAT))(lr),
    }
    panes = [pixels[PART].repeat(2, axis=0).repeat(2, axis=1) for pixels in pictures.values()]
    images.write(images.Picture((three_panes(panes, list(pictures)),), "png"), Path(sys.argv[1]), overwrite=True)


if __name__ == "__main__":
    main()
