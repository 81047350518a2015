"""Chip cores of the bundled networks, simulated: every layer and every pixel is what `IntegerModel.run` says; whole pictures, too."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cores
from cores import Core
from fsrcnn import images, pretrained
from fsrcnn.architecture import Architecture
from fsrcnn.arrays import Int64
from fsrcnn.export.rtl.bench import PASSED
from fsrcnn.integer import IntegerModel
from simulators import Stalls, needs_cxxrtl, needs_verilator
from support import ENVIRONMENT, ROOT, run_command

ASTRONAUT = ROOT / "examples/astronaut.png"
NETWORKS = [  # and the format, cycles and depth of their cores
    ("fsrcnn-x2", "w12a12", 48, 8), ("fsrcnn-x3", "w12a12", 64, 10), ("fsrcnn-x4", "w12a12", 43, 8),
    ("fsrcnn-s-x2", "w12a12", 8, 10), ("fsrcnn-s-x3", "w12a12", 32, 8), ("fsrcnn-s-x4", "w12a12", 17, 8),
    ("fsrcnn-x-x2", "w12a12", 6, 8), ("fsrcnn-x-x3", "w12a12", 24, 10), ("fsrcnn-x-x4", "w12a12", 64, 8),
    ("fsrcnn-s-x3", "w8a8", 32, 8), ("fsrcnn-x-x2", "w16a14", 24, 10), ("fsrcnn-x-x4", "w8a16", 64, 8),
]  # fmt: skip
WIDTH = 40


def astronaut(height: int, width: int, depth: int) -> Int64:
    """The face, grey, in samples of a core."""
    picture = images.read(ASTRONAUT).pages[0].astype(np.int64)
    top, left = 60, 130
    crop: Int64 = picture[top : top + height, left : left + width].mean(axis=2).round().astype(np.int64)
    return crop << (depth - 8)


def bundled(folder: Path, name: str, format: str, cycles: int, depth: int) -> Core:
    return cores.made(folder, IntegerModel.of(pretrained.load(name), format), WIDTH, cycles, depth)


@needs_verilator
@pytest.mark.parametrize(("name", "format", "cycles", "depth"), NETWORKS)
def test_every_layer_by_verilator(name: str, format: str, cycles: int, depth: int, tmp_path: Path) -> None:
    core = bundled(tmp_path / "core", name, format, cycles, depth)
    frames = [*core.noise((1, 1), (1, WIDTH), (9, 1)), astronaut(14, 18, depth), astronaut(5, WIDTH, depth)]
    cores.layers_compared(core, frames, stalls=Stalls(0.2, 0.3), quick=True)


@needs_cxxrtl
@pytest.mark.parametrize(("name", "cycles"), [("fsrcnn-x-x2", 24), ("fsrcnn-s-x3", 64)])
def test_every_layer_by_cxxrtl(name: str, cycles: int, tmp_path: Path) -> None:
    core = bundled(tmp_path / "core", name, "w12a12", cycles, 8)
    frames = [*core.noise((1, 1), (1, 12), (9, 1)), astronaut(6, 10, 8)]
    cores.layers_compared(core, frames, simulator="cxxrtl", stalls=Stalls(0.05, 0.1), quick=True)


@needs_verilator
@pytest.mark.parametrize(("name", "cycles", "height"), [("fsrcnn-x-x2", 6, 12), ("fsrcnn-s-x4", 17, 9)])
def test_time(name: str, cycles: int, height: int, tmp_path: Path) -> None:
    core = bundled(tmp_path / "core", name, "w12a12", cycles, 8)
    for width in (1, 7, WIDTH):
        latency, frames = cores.times(core, core.noise(*[(height, width)] * 4), quick=True)
        assert latency <= core.plan.latency(width)
        assert max(frames) <= core.plan.frame_cycles(width, height)
        # and not said to be much slower than it is
        assert core.plan.cycles * width * height <= min(frames)


def run_bench(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The test bench of a core, built once and run there."""
    program = folder / "obj_dir/Vfsrcnn_core_tb"
    if not program.exists():
        names = [path.name for path in sorted([*folder.glob("*.sv"), *folder.glob("*.v")])]
        command = ["verilator", "--binary", "--timing", "-Wno-fatal", "--top-module", "fsrcnn_core_tb", *names]
        built = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
        assert built.returncode == 0, built.stderr
    return subprocess.run([program, *options], cwd=folder, capture_output=True, text=True, timeout=300, check=False)


@needs_verilator
@pytest.mark.parametrize("network", ["fsrcnn-x-x2", "a small one"])
def test_the_test_bench(network: str, tmp_path: Path) -> None:
    folder = tmp_path / "core"
    if network == "a small one":
        model = IntegerModel.of(cores.lively(Architecture(2, 2, 1, 3, 5, 3, crop=2)), "w8a16")
        cores.made(folder, model, 11, 5, 10)
    else:
        bundled(folder, network, "w12a12", 24, 8)
    for options in ([], ["+stalls=0"], ["+stalls=6", "+seed=7"]):
        ran = run_bench(folder, *options)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert f"{PASSED}: 6 frames" in ran.stdout
    changed = [path for path in folder.rglob("*.mem") if "zeros" not in path.name and "frames" not in path.name]
    assert len(changed) >= 15
    for path in changed:  # a digit in each file
        text = path.read_text()
        lines = text.splitlines(keepends=True)
        vectors = path.parent.name == "vectors"
        line = next(n for n in range(len(lines) // 2 if vectors else 0, len(lines)) if not lines[n].startswith("//"))
        # One that counts in what goes out: of the first bias, of the first unit's multiplier from zero up, of the first number.
        place = -2 - (4 if "biases" in path.name else 8 if "multipliers" in path.name else 0)
        digit = f"{int(lines[line][place], 16) ^ 4:x}"
        lines[line] = lines[line][:place] + digit + lines[line][place + 1 :]
        path.write_text("".join(lines))
        ran = run_bench(folder, "+stalls=0")
        path.write_text(text)
        assert ran.returncode != 0, path.name
        assert PASSED not in ran.stdout, path.name
    assert run_bench(folder).returncode == 0


IN_THIS_PROCESS = """
import sys
import numpy as np
import simulators
from pathlib import Path
from fsrcnn import cli
from fsrcnn.engines.integer import IntegerEngine, levels_of
from fsrcnn.integer import WHITE

folder, interface = Path(sys.argv.pop(1)), simulators.Interface(2, int(sys.argv.pop(1)), 10)
simulators.model(folder, interface, "verilator")

def simulated(engine, lr):
    (sr,) = simulators.simulate(folder, [levels_of(lr)], interface).frames
    print("simulated", lr.shape, file=sys.stderr)
    return (sr / WHITE).astype(np.float32)

IntegerEngine.run = simulated
cli.main()
"""


@needs_verilator
@pytest.mark.parametrize("picture", ["butterfly", "astronaut"])
def test_a_picture(picture: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    if picture == "butterfly":
        shutil.copy(request.getfixturevalue("datasets") / "Set5/butterfly.png", tmp_path / "lr.png")
    else:
        Image.open(ASTRONAUT).crop((100, 40, 220, 130)).save(tmp_path / "lr.png")
    model = IntegerModel.of(pretrained.load("fsrcnn-x-x2"), "w12a12")
    model.save(tmp_path / "core.safetensors")
    core = cores.made(tmp_path / "core", model, 300, 24, 10)
    arguments = ("upscale", "lr.png", "--model", "core.safetensors", "-o")
    assert run_command(*arguments, "expected.png", cwd=tmp_path).returncode == 0
    # The same command, whose engine asks the simulated core: each tile is a frame.
    ran = subprocess.run(
        [sys.executable, "-c", IN_THIS_PROCESS, str(core.folder), str(core.plan.pixels), *arguments, "found.png"],
        cwd=tmp_path, capture_output=True, text=True, env={**ENVIRONMENT, "PYTHONPATH": str(ROOT / "tests")}, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "simulated (" in ran.stderr
    assert (tmp_path / "found.png").read_bytes() == (tmp_path / "expected.png").read_bytes()
