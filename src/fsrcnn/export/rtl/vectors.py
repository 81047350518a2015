"""What a chip core is tried on: frames, and what the integer model makes of them, layer by layer."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from fsrcnn import images
from fsrcnn.arrays import Int64
from fsrcnn.export.rtl.memories import file_name, text
from fsrcnn.export.rtl.plan import Plan
from fsrcnn.integer import LARGEST_LEVEL, IntegerModel, eight_bit

PHOTO = Path(__file__).with_name("photo.png")
"""(24, 36) grey, 8 bit: the face in examples/astronaut.png, a picture by NASA, in the public domain."""


class Vectors(NamedTuple):
    """
    Attributes:
        frames: name → (height, width) of luma as it comes in.
        files: name in `vectors/` → text for `$readmemh`: `frames.mem` (height and width of each), `input.mem` and `output.mem` (a
            pixel in a line), and for each stage the features of an LR pixel in a line.
    """

    frames: dict[str, Int64]
    files: dict[str, str]


def frames(plan: Plan) -> dict[str, Int64]:
    """Small frames of luma in `plan.depth` bits, none wider than the core: zero, impulse, ramp, checker, noise, photo."""
    largest = 2**plan.depth - 1
    impulse = np.zeros((9, 11), np.int64)
    impulse[4, 5] = largest
    generator = np.random.default_rng(0)
    drawn = {
        "zero": np.zeros((3, 5), np.int64),
        "impulse": impulse,
        "ramp": np.tile(np.linspace(0, largest, 19).round().astype(np.int64), (4, 1)),
        "checker": np.indices((7, 8)).sum(0) % 2 * largest,
        "noise": generator.integers(0, largest + 1, (13, 17)),
        "photo": images.read(PHOTO).pages[0].reshape(24, 36).astype(np.int64) << (plan.depth - 8),
    }
    return {name: frame[:, : plan.width] for name, frame in drawn.items()}


def vectors(model: IntegerModel, plan: Plan) -> Vectors:
    """The frames of `frames` and what becomes of them."""
    drawn = frames(plan)
    lines: dict[str, list[str]] = {"frames": [], "input": [], "output": []}
    for name, frame in drawn.items():
        height, width = frame.shape
        features: dict[str, Int64] = {}
        levels = model.run(luma_levels(frame, plan.depth), features.__setitem__)
        written = {"frames": ([[width, height]], 16), "input": (frame.reshape(-1, 1), plan.depth)}
        for stage, map_ in features.items():
            written[file_name(stage)] = (map_.reshape(len(map_), -1).T, model.feature_bits)
        written["output"] = (output_samples(levels, plan.depth).reshape(-1, 1), plan.depth)
        for file, (words, bits) in written.items():
            lines.setdefault(file, []).append(f"// {name}: {width}x{height}\n" + text(np.asarray(words), bits))
    return Vectors(drawn, {f"{file}.mem": "".join(parts) for file, parts in lines.items()})


def luma_levels(samples: Int64, depth: int) -> Int64:
    """Samples of 8 or 10 bits as the integer model's levels: 8 bits count four times."""
    return samples << 2 if depth == 8 else samples


def output_samples(levels: Int64, depth: int) -> Int64:
    """Levels 0 … 1023 as what a core of a depth gives."""
    assert levels.max(initial=0) <= LARGEST_LEVEL
    return eight_bit(levels) if depth == 8 else levels
