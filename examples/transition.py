"""The paper's way from SRCNN to FSRCNN in numbers: `python examples/transition.py` (Dong et al. 2016, table 1, with its PSNR).

Weights and multiply-adds are computed: a convolution or deconvolution uses each of its weights once per pixel of the grid it runs on,
the HR grid in SRCNN, the LR grid behind it.
"""

from __future__ import annotations

from fsrcnn.architecture import Architecture

SCALE = 3


def convolution(side: int, channels_in: int, channels_out: int) -> int:
    """Weights of a layer."""
    return side**2 * channels_in * channels_out


def main() -> None:
    srcnn = convolution(9, 1, 64) + convolution(5, 64, 32) + convolution(5, 32, 1)
    deconvolved = convolution(9, 1, 64) + convolution(5, 64, 32) + convolution(9, 32, 1)
    hourglass = Architecture(64, 12, 4, feature_kernel=9, scale=SCALE)
    fsrcnn = Architecture(56, 12, 4, scale=SCALE)
    steps = (
        ("SRCNN-Ex: bicubic ×3, then 9-5-5 at HR", srcnn, srcnn * SCALE**2, "32.83"),
        ("1. a deconvolution at the end", deconvolved, deconvolved, "32.95"),
        ("2. shrink, map, expand in the middle", hourglass.weight_count, hourglass.multiply_adds, "33.01"),
        ("3. smaller kernels, fewer filters: FSRCNN(56, 12, 4)", fsrcnn.weight_count, fsrcnn.multiply_adds, "33.06"),
    )
    print("| network | weights | multiply-adds per LR pixel | fewer by | Set5 ×3, 91 images (paper) |")
    print("|---|---|---|---|---|")
    for title, weights, multiply_adds, psnr in steps:
        print(f"| {title} | {weights:,} | {multiply_adds:,} | {srcnn * SCALE**2 / multiply_adds:.1f}× | {psnr} dB |")


if __name__ == "__main__":
    main()
