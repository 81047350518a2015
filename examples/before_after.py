"""Make the README's picture: `python examples/before_after.py docs/before_after.png`.

The example picture is made three times smaller with MATLAB's bicubic, then large again by bicubic interpolation and by FSRCNN; a
part of it is shown, each pixel twice as large.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from fsrcnn import Upscaler, images
from fsrcnn.figures import three_panes
from fsrcnn.imresize import imresize
from fsrcnn.metrics import modcrop

SCALE = 3
PART = np.s_[45:195, 140:300]


def main() -> None:
    hr = modcrop(images.read(Path(__file__).with_name("astronaut.png")).pages[0], SCALE)
    size = (hr.shape[0] // SCALE, hr.shape[1] // SCALE)
    lr = imresize(hr, output_size=size)
    bicubic = imresize(lr, output_size=(hr.shape[0], hr.shape[1]))
    sr = Upscaler("fsrcnn", scale=SCALE)(lr)
    panes = [pixels[PART].repeat(2, axis=0).repeat(2, axis=1) for pixels in (bicubic, sr, hr)]
    sheet = three_panes(panes, [f"bicubic x{SCALE}", f"fsrcnn x{SCALE}", "original"])
    images.write(images.Picture((sheet,), "png"), Path(sys.argv[1]), overwrite=True)


if __name__ == "__main__":
    main()
