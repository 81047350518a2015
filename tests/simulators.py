"""A generated chip core, run by programs that share no code, Verilator and CXXRTL of pyosys, and read by three that know Verilog.

`simulate` gives a core frames and returns what it makes of them. One harness (core_harness.cpp) drives either model, stalls both
streams where it is told to, and holds the core to the rules of AXI4-Stream; the places of `tlast`, `tuser` and `tkeep` are looked at
here. A model is built once for each text of a core, for as long as the process lives.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pytest

from fsrcnn.arrays import Array
from fsrcnn.export import toolchain
from fsrcnn.export.toolchain import ToolError

TOP = "fsrcnn_core"
HARNESS = Path(__file__).with_name("core_harness.cpp")
SECONDS = 300  # that a program may take on a busy machine
Simulator = Literal["verilator", "cxxrtl"]

needs_verilator = pytest.mark.skipif(
    not all(map(shutil.which, ("verilator", "g++"))), reason="needs Verilator and g++: apt-get install verilator g++"
)
needs_cxxrtl = pytest.mark.skipif(
    importlib.util.find_spec("pyosys") is None or shutil.which("g++") is None,
    reason="needs pyosys and g++: pip install -r requirements-clients.txt, apt-get install g++",
)
needs_pyosys = pytest.mark.skipif(
    importlib.util.find_spec("pyosys") is None, reason="needs pyosys: pip install -r requirements-clients.txt"
)
needs_iverilog = pytest.mark.skipif(
    shutil.which("iverilog") is None, reason="needs Icarus Verilog: apt-get install iverilog"
)

INPUT = np.dtype([("width", "<u2"), ("height", "<u2"), ("data", "<u2"), ("last", "u1"), ("user", "u1")])
"""A beat that goes in, with the frame's size on the pins beside it."""


class Interface(NamedTuple):
    """What a core's pins are.

    Attributes:
        scale: of its network.
        pixels: HR pixels in a beat that comes out.
        depth: bits of a luma sample, 8 in a byte or 10 in two.
    """

    scale: int
    pixels: int
    depth: int = 8

    @property
    def sample(self) -> np.dtype[Any]:
        """Of either stream."""
        return np.dtype("u1" if self.depth == 8 else "<u2")

    @property
    def output(self) -> np.dtype[Any]:
        """A beat that comes out, as the harness writes it."""
        data = ("data", self.sample, (self.pixels,))
        return np.dtype([("keep", "<u8"), ("cycle", "<u4"), ("last", "u1"), ("user", "u1"), data])


class CoreError(AssertionError):
    """A core breaks a rule, or does not come to an end."""


class Stalls(NamedTuple):
    """How probable it is that a side pauses, in any cycle in which it does not already."""

    before: float = 0.0
    behind: float = 0.0


class Streams(NamedTuple):
    """What went through a core.

    Attributes:
        taken: the cycle in which each input beat was taken, those after the last reset.
        given: the beats that came out, of `Interface.output`, those after the last reset.
        cycles: that were simulated.
        error: the pin of that name, at the end.
        watched: what passed on each stream that was watched: (beats, words) of 32 bits.
    """

    taken: Array
    given: Array
    cycles: int
    error: bool
    watched: dict[str, Array]


class Simulation(NamedTuple):
    """Frames through a core.

    Attributes:
        frames: (scale·h, scale·w) samples each.
        latency: cycles from the first pixel taken to the first that came out.
        lr_cycles: for each frame, cycles an LR pixel took on average, from its first to its last.
        cycles: that were simulated.
        error: the pin of that name, at the end.
    """

    frames: list[Array]
    latency: int
    lr_cycles: list[float]
    cycles: int
    error: bool


def beats_of(frames: Iterable[Array]) -> Array:
    """Frames, (h, w) each, as a source of video sends them: `user` with the first pixel of a frame, `last` with the last of a line."""
    sent = []
    for frame in frames:
        beats = np.zeros(frame.shape, INPUT)
        beats["height"], beats["width"] = frame.shape
        beats["data"] = frame
        beats["last"][:, -1] = beats["user"][0, 0] = 1
        sent.append(beats.ravel())
    return np.concatenate(sent)


def simulate(
    folder: Path,
    frames: Sequence[Array],
    interface: Interface,
    *,
    simulator: Simulator = "verilator",
    seed: int = 0,
    stalls: Stalls = Stalls(),  # noqa: B008  (it is immutable)
    reset_at: int | None = None,
    patience: int = 200_000,
    quick: bool = False,
) -> Simulation:
    """Frames through the core in a folder, back to back.

    Args:
        folder: holds its `*.v` and `*.mem`.
        frames: (h, w) samples each; their sizes may differ.
        interface: of the core.
        simulator: whose model is built and run.
        seed: of the stalls, and of what no reset reaches; a reset takes two cycles, with an odd seed one.
        stalls: of either stream.
        reset_at: the cycle of a reset, after which all frames are sent again.
        patience: cycles after which a core in which nothing moves is given up.
        quick: built quickly, in a fifth of the time, and slow to run: for small frames.

    Raises:
        CoreError: a rule of the streams is broken, beats are missing or superfluous, or a mark is at the wrong place.
    """
    scale, pixels = interface.scale, interface.pixels
    shapes = [(scale * frame.shape[0], scale * frame.shape[1]) for frame in frames]
    counts = [height * -(-width // pixels) for height, width in shapes]
    sent = beats_of(frames)
    ran = run(
        folder, sent, interface, sum(counts), simulator=simulator, seed=seed, stalls=stalls, reset_at=reset_at, patience=patience,
        quick=quick,
    )  # fmt: skip
    found, lr_cycles = [], []
    beats, pixels_sent = 0, 0
    for number, ((height, width), count) in enumerate(zip(shapes, counts, strict=True)):
        lines = ran.given[beats : beats + count].reshape(height, -1)
        check_marks(lines, width, pixels, f"frame {number}")
        found.append(lines["data"].reshape(height, -1)[:, :width])
        area = frames[number].size
        times = ran.taken[pixels_sent : pixels_sent + area].astype(np.int64)
        lr_cycles.append(float(times[-1] - times[0]) / max(1, area - 1))
        beats, pixels_sent = beats + count, pixels_sent + area
    latency = int(ran.given["cycle"][0]) - int(ran.taken[0])
    return Simulation(found, latency, lr_cycles, ran.cycles, ran.error)


def check_marks(lines: Array, width: int, pixels: int, label: str) -> None:
    """`tuser` with the first beat of a frame alone, `tlast` with the last of each line, `tkeep` with the pixels that are in it.

    Raises:
        CoreError: that is not so.
    """
    last, user = np.zeros(lines.shape, np.uint8), np.zeros(lines.shape, np.uint8)
    keep = np.full(lines.shape, 2**pixels - 1, np.uint64)
    last[:, -1] = user[0, 0] = 1
    keep[:, -1] = 2 ** (width - pixels * (lines.shape[1] - 1)) - 1
    for mark, right in (("last", last), ("user", user), ("keep", keep)):
        if (wrong := np.argwhere(lines[mark] != right)).size:
            line, beat = wrong[0]
            raise CoreError(f"{label}, line {line}, beat {beat}: t{mark} is {lines[mark][line, beat]}")


def run(
    folder: Path,
    sent: Array,
    interface: Interface,
    expected: int | None,
    *,
    simulator: Simulator = "verilator",
    seed: int = 0,
    stalls: Stalls = Stalls(),  # noqa: B008
    reset_at: int | None = None,
    after_reset: int = 0,
    patience: int = 200_000,
    quick: bool = False,
    watched: Sequence[str] = (),
) -> Streams:
    """Any beats through a core: wrong ones, too.

    Args:
        folder, interface, simulator, seed, stalls, reset_at, patience, quick: as in `simulate`.
        sent: beats of `INPUT`.
        expected: how many come out; None where that is not known, and nothing is said of it.
        after_reset: the beat from which they are sent again after the reset.
        watched: streams between two layers, by the name of their wire.

    Raises:
        CoreError: a rule of the streams is broken, `expected` beats do not come out, or not as many pixels pass on a stream that is
            watched as were taken.
    """  # fmt: skip
    program = model(folder, interface, simulator, quick=quick, watched=watched)
    with tempfile.TemporaryDirectory() as name:
        beats, result = Path(name, "beats"), Path(name, "result")
        beats.write_bytes(sent.astype(INPUT).tobytes())
        numbers: tuple[float, ...] = (
            seed,
            stalls.before,
            stalls.behind,
            -1 if reset_at is None else reset_at,
            after_reset,
        )
        numbers += (-1 if expected is None else expected, patience)
        command = [str(program), str(beats), str(result), *map(str, numbers)]
        # The current folder is the core's: its model reads the `.mem` files there.
        ran = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=SECONDS, check=False)
        if ran.returncode:
            raise CoreError(f"{simulator}: {ran.stderr.strip() or f'exit code {ran.returncode}'}")
        cycles, error = ran.stdout.split()
        taken = np.fromfile(f"{result}.in", "<u4")
        given = np.fromfile(f"{result}.out", interface.output)
        passed = {}
        for name in watched:
            words = np.fromfile(f"{result}.{name}", "<u4")
            if not taken.size or not words.size or words.size % taken.size:
                raise CoreError(f"{name}: {words.size} words of {taken.size} pixels")
            passed[name] = words.reshape(taken.size, -1)
    return Streams(taken, given, int(cycles), error == "1", passed)


def model(
    folder: Path, interface: Interface, simulator: Simulator, *, quick: bool = False, watched: Sequence[str] = ()
) -> Path:
    """The program that runs a core, built where it is not yet."""
    texts = [path.read_bytes() for path in sources(folder)]
    if simulator == "cxxrtl":  # it has the memories in itself
        texts += [path.read_bytes() for path in sorted(folder.glob("*.mem"))]
    digest = hashlib.sha256(repr((simulator, interface, quick, watched, texts)).encode()).hexdigest()[:16]
    built = _builds() / digest
    program = built / "core"
    if not program.exists():
        built.mkdir(exist_ok=True)
        _build(folder, built, interface, simulator, quick, watched)
    return program


def sources(folder: Path) -> list[Path]:
    """The Verilog of a core, without a test bench."""
    return [path for path in sorted(folder.glob("*.v")) if not path.stem.endswith(("_tb", "testbench"))]


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="fsrcnn-cores-")  # removed when the process ends


def _builds() -> Path:
    return Path(_folder().name)


def _watch(name: str, simulator: Simulator) -> str:
    """The harness' look at a stream: its name, and those of its wires, in which CXXRTL doubles each _."""
    wires = (f"{name}_valid", f"{name}_ready", name)
    return (
        f"WATCH({', '.join((name, *(wire.replace('_', '__') if simulator == 'cxxrtl' else wire for wire in wires)))})"
    )


def _build(
    folder: Path, built: Path, interface: Interface, simulator: Simulator, quick: bool, watched: Sequence[str]
) -> None:
    defines = [f"-DPIXELS={interface.pixels}", f"-DOUT_BYTES={interface.sample.itemsize}"]
    wires = [f"{name}{end}" for name in watched for end in ("", "_valid", "_ready")]
    if watched:
        defines.append(f"-DWATCHED={' '.join(_watch(name, simulator) for name in watched)}")
    if simulator == "verilator":
        shown = built / "shown.vlt"
        lines = ["`verilator_config", *(f'public_flat_rd -module "{TOP}" -var "{wire}"' for wire in wires)]
        shown.write_text("\n".join(lines) + "\n")
        command = [
            "verilator",
            "--cc",
            "-O3",
            "--prefix",
            "Core",
            "--top-module",
            TOP,
            "--Mdir",
            str(built),
            str(shown),
        ]
        # -Wall is `complaints`' business; what no reset reaches begins with noise.
        command += [
            "-Wno-fatal",
            "--x-assign",
            "unique",
            "--x-initial",
            "unique",
            *(path.name for path in sources(folder)),
        ]
        _called(command, folder)
        include = _verilator_include()
        parts = [f'#include "{path.name}"' for path in sorted(built.glob("Core*.cpp"))]
        text, includes = built / "all.cpp", [built, include, include / "vltstd"]
        text.write_text("\n".join([*parts, f'#include "{HARNESS}"', ""]))
        defines += ["-DVERILATOR=1"]
        objects = [str(_verilator_object(name)) for name in ("verilated", "verilated_threads")]
    else:
        names = " ".join(path.name for path in sources(folder))
        commands = [f"read_verilog {names}", f"hierarchy -check -top {TOP}"]
        if watched:
            commands.append(f"expose {' '.join(f'{TOP}/w:{wire}' for wire in wires)}")
        commands.append(f"write_cxxrtl -g0 {built / 'core.cc'}")
        toolchain.yosys(commands, folder, seconds=SECONDS)
        text, includes, objects = HARNESS, [built, _cxxrtl_include()], []
    part = built / "core.part"
    options = ["-std=c++17", "-O0" if quick else "-O2", "-pthread", *defines, *(f"-I{path}" for path in includes)]
    _called(["g++", *options, str(text), *objects, "-o", str(part)], folder)
    part.rename(built / "core")


def _called(command: Sequence[str], folder: Path) -> str:
    """What a program says; it does not fail.

    Raises:
        CoreError: it does.
    """
    ran = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, timeout=SECONDS, check=False, errors="replace"
    )
    if ran.returncode:
        raise CoreError(f"{command[0]}: {(ran.stderr + ran.stdout).strip()[:2000]}")
    return ran.stderr


@functools.cache
def _verilator_include() -> Path:
    root = subprocess.run(["verilator", "-getenv", "VERILATOR_ROOT"], capture_output=True, text=True, check=True).stdout
    return Path(root.strip(), "include")


@functools.cache
def _verilator_object(name: str) -> Path:
    """A file of Verilator's own, compiled once for all models."""
    include, made = _verilator_include(), _builds() / f"{name}.o"
    text = str(include / f"{name}.cpp")
    _called(
        ["g++", "-std=c++17", "-O2", "-c", f"-I{include}", f"-I{include / 'vltstd'}", text, "-o", str(made)], _builds()
    )
    return made


def _cxxrtl_include() -> Path:
    found = importlib.util.find_spec("pyosys")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "share/include/backends/cxxrtl/runtime"


def complaints(folder: Path) -> list[str]:
    """What Verilator, Yosys and Icarus Verilog say against a core, as far as they are installed: nothing, where it is clean.

    Yosys' `check` finds loops, several drivers of a bit and bits that none drives; a latch, or a warning of any kind, is said, too.
    """
    names, said = [path.name for path in sources(folder)], []
    if shutil.which("verilator"):
        said += _complaint(["verilator", "--lint-only", "-Wall", "--top-module", TOP, *names], folder)
    if shutil.which("iverilog"):
        command = ["iverilog", "-g2005", "-Wall", "-Wno-timescale", "-s", TOP, "-o", os.devnull, *names]
        said += _complaint(command, folder)
    if importlib.util.find_spec("pyosys"):
        commands = [
            "logger -werror .",
            f"read_verilog {' '.join(names)}",
            f"hierarchy -check -top {TOP}",
            "proc",
            "check -assert",
            "select -assert-none t:$dlatch t:$adlatch t:$dlatchsr t:$tribuf",
        ]
        try:
            toolchain.yosys(commands, folder, seconds=SECONDS)
        except ToolError as error:
            said.append(error.fact)
    return said


def _complaint(command: Sequence[str], folder: Path) -> list[str]:
    """What a program says, if anything."""
    ran = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, timeout=SECONDS, check=False, errors="replace"
    )
    text = (ran.stdout + ran.stderr).strip()
    return [f"{command[0]}: {text or f'exit code {ran.returncode}'}"] if text or ran.returncode else []
