"""What `fsrcnn upscale` writes, as hashes: run it before and after a change that must not change a pixel, and compare.

    python tools/pixel_hashes.py > before.txt      # in a checkout of the old code, with its environment
    python tools/pixel_hashes.py > after.txt
    diff before.txt after.txt

Every bundled model, every engine and precision that is here; pictures of each depth and number of channels, with and without fully
transparent pixels, of odd and thin shapes and of several tiles; whole factors, factors between, several passes, exact sizes. One line
a case: the arguments, and the SHA-256 of the result's bytes. The hashes of `exact` hold for one processor and one NumPy.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from fsrcnn import Size, Upscaler, cli, pretrained

Array = npt.NDArray[Any]
SHAPES = ((1, 1), (2, 3), (37, 1), (1, 53), (45, 67), (300, 520))
DTYPES = (np.uint8, np.uint16, np.float32)


def picture(height: int, width: int, channels: int, dtype: Any, hidden: bool) -> Array:
    """Waves with noise, the same on every machine: made of whole numbers."""
    generator = np.random.default_rng([height, width, channels])
    rows, columns = np.mgrid[:height, :width]
    levels = (
        generator.integers(0, 20_000, (height, width, channels)) + (rows * 911 + columns * 577)[:, :, None] % 45_000
    )
    if channels in (2, 4):
        levels[..., -1] = np.where((rows // 7 + columns // 5) % 3 == 0, 0 if hidden else 9_000, levels[..., -1] + 1_000)
    if dtype == np.float32:
        return np.asarray(levels / np.float32(66_000), np.float32)
    return np.asarray(levels >> 8 if dtype == np.uint8 else levels, dtype)


def pictures(shapes: tuple[tuple[int, int], ...]) -> Iterator[tuple[str, Array]]:
    for height, width in shapes:
        for dtype in DTYPES:
            for channels in (1, 2, 3, 4):
                for hidden in (False, True) if channels in (2, 4) else (False,):
                    name = f"{width}x{height}x{channels} {np.dtype(dtype)}{' hidden' if hidden else ''}"
                    yield name, picture(height, width, channels, dtype, hidden)


def digest(pixels: Array) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def cases(quick: bool) -> Iterator[tuple[str, str]]:
    """(what, hash) of each case."""
    engines = [("native", "exact"), ("native", "fast"), ("numpy", "exact")]
    engines += [("torch:cpu", "exact")] if find_spec("torch") else []
    for engine, precision in engines:
        for model in pretrained.table():
            upscaler = Upscaler(model, engine=engine, precision=precision, threads=2)
            for name, pixels in pictures(SHAPES[4:5] if quick or engine != "native" else SHAPES[:5]):
                yield f"{engine} {precision} {model} {name}", digest(upscaler(pixels))
        upscaler = Upscaler("fsrcnn", engine=engine, precision=precision, threads=2)
        sizes = (
            Size(factor=1.5),
            Size(factor=3),
            Size(factor=4),
            Size(factor=6),
            Size(width=50, height=101),
            Size(width=20),
        )
        for size in sizes:
            for name, pixels in pictures(SHAPES[4:5]):
                yield f"{engine} {precision} fsrcnn {size} {name}", digest(upscaler(pixels, size=size))
        upscaler = Upscaler("fsrcnn-x", engine=engine, precision=precision, threads=2)
        for size in (Size(factor=2), Size(factor=2.5)):
            for name, pixels in pictures(SHAPES[5:]):
                yield f"{engine} {precision} fsrcnn-x {size} {name}", digest(upscaler(pixels, size=size))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one shape per model")
    everything = hashlib.sha256()
    count = 0
    for what, value in cases(parser.parse_args().quick):
        print(f"{value[:32]}  {what}", flush=True)
        everything.update(value.encode())
        count += 1
    print(f"{everything.hexdigest()[:32]}  all {count} cases", file=sys.stderr)


if __name__ == "__main__":
    cli.run(main)
