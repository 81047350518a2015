"""User shaders of mpv beside each other: PSNR, passes, texture fetches; in ffmpeg's libplacebo on a software driver.

    python benchmarks/shaders.py --datasets FOLDER [--shader NAME=PATH …] [--save benchmarks/results/shaders.json]

×2: 8-bit LR luma by MATLAB's bicubic (protocol `files`), 8-bit results, Set5 and Set14. Ours are exported here; form `fragment`, the
same network in more passes, is counted and not run. Others come by `--shader`. `bicubic` is libplacebo's `catmull_rom`. `levels` is
the largest distance from our engine over all these pictures, of 255. `fetches` and `texels` are per pixel of the film's luma, as
`fsrcnn.export.user_shader` counts them. How long they take is `shader_speed.py`'s to say, on a GPU.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fsrcnn import cli, engines, metrics, models, protocol
from fsrcnn.architecture import FAMILY_NAMES
from fsrcnn.arrays import Array, Uint8
from fsrcnn.errors import FsrcnnError, UsageError
from fsrcnn.export import mpv, user_shader
from fsrcnn.folders import find
from machine import outcome, save

SETS = ("Set5", "Set14")
SCALE = 2
SOFTWARE = "lvp_icd*.json"


class Client:
    """ffmpeg's libplacebo on one Vulkan device.

    Attributes:
        version: what ffmpeg says of itself: "5.1.9-0+deb12u1".
    """

    def __init__(self, folder: Path, gpu: bool = False) -> None:
        """
        Args:
            folder: for what the driver compiles.
            gpu: the machine's first Vulkan device, in place of the software driver.

        Raises:
            FsrcnnError: there is no ffmpeg, or no software driver.
        """
        try:
            said = subprocess.run(["ffmpeg", "-version"], check=True, capture_output=True, text=True).stdout
        except (OSError, subprocess.CalledProcessError) as error:
            raise FsrcnnError("ffmpeg is not installed", "type: apt-get install ffmpeg mesa-vulkan-drivers") from error
        self.version = said.split()[2]
        found = re.match(r"\D*(\d+)", self.version)
        self.uploads = found is not None and int(found[1]) < 7  # 5.1 must, 7.1 need not
        self.environment = {**os.environ, "MESA_SHADER_CACHE_DIR": str(folder)}
        if not gpu:
            drivers = sorted(Path("/usr/share/vulkan/icd.d").glob(SOFTWARE))
            if not drivers:
                raise FsrcnnError(
                    "Mesa's software Vulkan is not installed", "type: apt-get install mesa-vulkan-drivers"
                )
            self.environment |= {"VK_ICD_FILENAMES": str(drivers[0]), "VK_DRIVER_FILES": str(drivers[0])}

    def run(self, shader: Path | None, luma: Uint8) -> Uint8:
        """A frame, twice as large.

        Raises:
            FsrcnnError: ffmpeg refuses.
        """
        height, width = (SCALE * side for side in luma.shape)
        chosen = "upscaler=catmull_rom" if shader is None else f"custom_shader_path={shader}"
        enlarged = f"libplacebo=w={width}:h={height}:{chosen}:dithering=none:format=yuv444p"
        chain = f"format=yuv444p,hwupload,{enlarged},hwdownload,format=yuv444p" if self.uploads else enlarged
        command = [
            *("ffmpeg", "-v", "error", "-init_hw_device", "vulkan=vk:0", "-filter_hw_device", "vk"),
            *("-f", "rawvideo", "-pix_fmt", "yuv444p", "-s", f"{luma.shape[1]}x{luma.shape[0]}", "-i", "-"),
            *("-vf", chain, "-f", "rawvideo", "-pix_fmt", "yuv444p", "-"),
        ]  # fmt: skip
        given = luma.tobytes() + bytes([128]) * (2 * luma.size)
        ran = subprocess.run(command, input=given, capture_output=True, env=self.environment, check=False)
        if ran.returncode or len(ran.stdout) != 3 * height * width:
            raise FsrcnnError(
                f"ffmpeg with {shader or 'catmull_rom'} fails: {ran.stderr.decode(errors='replace').strip()}"
            )
        return np.frombuffer(ran.stdout, np.uint8)[: height * width].reshape(height, width)


def given_shaders(words: Sequence[str]) -> dict[str, Path]:
    """NAME=PATH of `--shader`.

    Raises:
        UsageError: one is no such thing, or its file is not there.
    """
    shaders = {}
    for word in words:
        name, equals, path = word.partition("=")
        if not (name and equals and path):
            raise UsageError(f"is NAME=PATH, not {word!r}", argument="shader")
        if not Path(path).is_file():
            raise UsageError(f"{path} does not exist")
        shaders[name] = Path(path).resolve()
    return shaders


def costs(shader: Path) -> dict[str, float]:
    """What is counted of a shader."""
    text = shader.read_text("utf-8")
    cost = user_shader.cost(text)
    return {
        "passes": cost.passes,
        "fetches": round(cost.fetches, 2),
        "texels": cost.texels,
        "bytes": len(text.encode()),
    }


def pictures(datasets: Path) -> dict[str, list[tuple[Array, Uint8]]]:
    """Of each set the (HR, LR) luma."""
    sets: dict[str, list[tuple[Array, Uint8]]] = {}
    for name in SETS:
        for path in find(datasets / name).pictures:
            hr = metrics.modcrop(protocol.hr_luma(protocol.read_8bit(path)), SCALE)
            lr = np.rint(255 * protocol.shrunk(hr, SCALE, "files")).astype(np.uint8)
            sets.setdefault(name, []).append((hr, lr))
    return sets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=Path, required=True, help="the folder that holds Set5 and Set14")
    parser.add_argument("--shader", action="append", default=[], metavar="NAME=PATH", help="another ×2 shader of luma")
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    others = given_shaders(arguments.shader)
    sets = pictures(arguments.datasets)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        client = Client(folder)
        shaders: dict[str, Path | None] = {"bicubic": None}
        references: dict[str, Any] = {}
        counted: dict[str, dict[str, float]] = {}
        for family in reversed(FAMILY_NAMES):
            weights = models.resolve(family, SCALE)
            for form in mpv.FORMS:
                key = f"{family}-x{SCALE} {form}"
                path = folder / f"{family}-{form}.glsl"
                path.write_text(mpv.shader(weights, form=form))
                if form == "fragment":
                    counted[key] = costs(path)
                    continue
                shaders[key] = path
                references[key] = engines.create(weights)
        shaders |= others

        rows: dict[str, dict[str, Any]] = {}
        for key, shader in shaders.items():
            row = rows[key] = {"psnr": {}}
            if shader is not None:
                row |= costs(shader)
            distances = []
            for set_name, members in sets.items():
                scores = []
                for hr, lr in members:
                    sr = client.run(shader, lr)
                    scores.append(protocol.score(hr, sr, SCALE).psnr)
                    if key in references:
                        want = references[key].run((lr / 255).astype(np.float32)).clip(0, 1)
                        distances.append(float(np.abs(sr - 255 * want).max()))
                row["psnr"][set_name] = round(statistics.mean(scores), 3)
            if distances:
                row["levels"] = round(max(distances), 3)
        what = f"×{SCALE}, 8 bit, ffmpeg {client.version} libplacebo on Mesa's lavapipe (software)"
        save(outcome(what, rows | counted), arguments.save)


if __name__ == "__main__":
    cli.run(main)
