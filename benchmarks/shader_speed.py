"""How long user shaders of mpv take for a frame, in ffmpeg's libplacebo on a GPU.

    python benchmarks/shader_speed.py [--shader NAME=PATH …] [--software] [--rounds 5] [--save benchmarks/results/shader_speed.json]

A grey frame of 1920×1080 in 4:2:0, 8 bit, to 3840×2160, by the machine's first Vulkan device: ours in both forms, others by
`--shader`; `bicubic` is libplacebo's `catmull_rom`. A time is that of one more frame (many frames less few), its making and its upload
within, and `bicubic` says how much that is; results stay on the device. The median of interleaved rounds. `--software` takes Mesa's
lavapipe and a smaller frame: that tells much arithmetic from little, and says nothing of a GPU.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fsrcnn import cli, models
from fsrcnn.architecture import FAMILY_NAMES
from fsrcnn.errors import FsrcnnError
from fsrcnn.export import mpv
from machine import check_counts, outcome, save
from shaders import SCALE, Client, given_shaders

FRAMES = {False: (1920, 1080, 50, 450), True: (480, 270, 2, 10)}
"""By a software driver → width and height of a frame, few frames, many."""
SELECTED = re.compile(r"Device \d+ selected: (.+?) \(\w+\)")


def seconds(client: Client, shader: Path | None, software: bool) -> float:
    """Of one more frame."""
    width, height, few, many = FRAMES[software]
    times = []
    for frames in (few, many):
        start = time.perf_counter()
        ran(client, shader, width, height, frames)
        times.append(time.perf_counter() - start)
    return (times[1] - times[0]) / (many - few)


def ran(client: Client, shader: Path | None, width: int, height: int, frames: int) -> str:
    """Enlarge frames and drop them; what ffmpeg says.

    Raises:
        FsrcnnError: it refuses.
    """
    chosen = "upscaler=catmull_rom" if shader is None else f"custom_shader_path={shader}"
    enlarged = f"libplacebo=w={SCALE * width}:h={SCALE * height}:{chosen}:dithering=none:format=yuv420p"
    command = [
        *("ffmpeg", "-v", "verbose", "-init_hw_device", "vulkan=vk:0", "-filter_hw_device", "vk"),
        *("-f", "lavfi", "-i", f"color=gray:s={width}x{height}:r=100", "-frames:v", str(frames)),
        *("-vf", f"format=yuv420p{',hwupload' if client.uploads else ''},{enlarged}", "-f", "null", "-"),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, env=client.environment, check=False)
    if done.returncode:
        raise FsrcnnError(f"ffmpeg with {shader or 'catmull_rom'} fails: {done.stderr.strip().splitlines()[-1]}")
    return done.stderr


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shader", action="append", default=[], metavar="NAME=PATH", help="another ×2 shader of luma")
    parser.add_argument("--software", action="store_true", help="by Mesa's lavapipe")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    check_counts(arguments, "rounds")
    others = given_shaders(arguments.shader)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        client = Client(folder, gpu=not arguments.software)
        shaders: dict[str, Path | None] = {"bicubic": None}
        for family in reversed(FAMILY_NAMES):
            weights = models.resolve(family, SCALE)
            for form in mpv.FORMS:
                path = shaders[f"{family}-x{SCALE} {form}"] = folder / f"{family}-{form}.glsl"
                path.write_text(mpv.shader(weights, form=form))
        shaders |= others
        found = SELECTED.search(ran(client, None, 64, 64, 1))
        for shader in shaders.values():  # compiles it; drivers keep the result
            ran(client, shader, *FRAMES[arguments.software][:3])
        times: dict[str, list[float]] = {key: [] for key in shaders}
        for _ in range(arguments.rounds):
            for key, shader in shaders.items():
                times[key].append(seconds(client, shader, arguments.software))
                print(f"{key}: {1000 * times[key][-1]:.2f} ms", file=sys.stderr, flush=True)
    width, height, *_ = FRAMES[arguments.software]
    what = (
        f"one more frame of {width}×{height} to ×{SCALE}, 4:2:0, 8 bit, ffmpeg {client.version} libplacebo, {arguments.rounds} rounds "
        "interleaved: median, least and largest"
    )
    rows = {
        key: {
            field: round(1000 * statistic(measured), 3)
            for field, statistic in (("frame_ms", statistics.median), ("least_ms", min), ("largest_ms", max))
        }
        for key, measured in times.items()
    }
    save(outcome(what, rows, device=found[1] if found else "unknown"), arguments.save)


if __name__ == "__main__":
    cli.run(main)
