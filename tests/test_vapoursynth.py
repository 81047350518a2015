"""The VapourSynth plugin, run by VapourSynth, beside the native engine of the Python package.

PyPI's VapourSynth needs Python 3.12 or later: FSRCNN_VAPOURSYNTH names an interpreter that has it (docs/vapoursynth.md).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fsrcnn import pretrained
from fsrcnn.arrays import Array
from fsrcnn.engines import native
from fsrcnn.planes import FLOAT, GREY_GAIN, GREY_OFFSET, LAYOUTS, Colour, Planes
from fsrcnn.windows import Taps
from support import ROOT, blank, random_planes

INTERPRETER = os.environ.get("FSRCNN_VAPOURSYNTH")
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
CLIENT = Path(__file__).with_name("vapoursynth_client.py")
BUILD = ROOT / "build" / "vapoursynth-tests"  # what was compiled stays for the next run

pytestmark = pytest.mark.skipif(
    INTERPRETER is None,
    reason="FSRCNN_VAPOURSYNTH names no interpreter that has VapourSynth; type: python3.12 -m pip install vapoursynth",
)


@pytest.fixture(scope="module")
def plugin() -> Path:
    """The plugin, built with the headers of the interpreter's VapourSynth."""
    assert INTERPRETER is not None
    cmake = shutil.which("cmake", path=PATH)
    if cmake is None or shutil.which("c++", path=PATH) is None:
        pytest.skip("the plugin is built with CMake and a C++ compiler; type: apt-get install cmake g++")
    found = "import vapoursynth; from pathlib import Path; print(Path(vapoursynth.__file__).with_name('include'))"
    include = subprocess.run([INTERPRETER, "-c", found], check=True, capture_output=True, text=True).stdout.strip()
    options = ["-DCMAKE_COMPILE_WARNING_AS_ERROR=ON", f"-DVAPOURSYNTH_INCLUDE={include}"]
    for step in (
        ["-S", str(ROOT / "vapoursynth"), "-B", str(BUILD), *options],
        ["--build", str(BUILD), "--parallel", "2"],
        ["--install", str(BUILD), "--prefix", str(BUILD / "prefix")],
    ):
        done = subprocess.run(
            [cmake, *step], env={**os.environ, "PATH": PATH}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return BUILD / "prefix" / "fsrcnn.so"


@dataclass
class Job:
    """A clip, what is asked of it, and what becomes of it."""

    format: str
    clip: list[Planes]
    arguments: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, int] = field(default_factory=dict)
    changing: bool = False


def outcomes(plugin: Path, folder: Path, jobs: list[Job]) -> list[dict[str, Any]]:
    """What VapourSynth makes of the jobs; frames' samples are in `bytes`."""
    assert INTERPRETER is not None
    written: list[dict[str, Any]] = []
    for number, job in enumerate(jobs):
        result = folder / f"{number}"
        result.mkdir()
        frames = []
        for index, planes in enumerate(job.clip):
            frames.append(str(folder / f"{number}-{index}"))
            Path(frames[-1]).write_bytes(b"".join(array.tobytes() for array in planes.arrays))
        height, width = job.clip[0].size
        written.append({
            "format": job.format, "width": width, "height": height, "frames": frames, "result": str(result),
            "arguments": job.arguments, "properties": job.properties, "changing": job.changing,
        })  # fmt: skip
    (folder / "jobs.json").write_text(json.dumps(written), "utf-8")
    command = [INTERPRETER, str(CLIENT), str(plugin), str(folder / "jobs.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    for number, outcome in enumerate(found):
        outcome["bytes"] = [
            path.read_bytes() for path in sorted((folder / f"{number}").iterdir(), key=lambda path: int(path.name))
        ]
    return found


def larger(lr: Planes, scale: int) -> Planes:
    return blank(lr.layout, lr.colour, (scale * lr.size[0], scale * lr.size[1]))


def planes(layout: str, colour: Colour, size: tuple[int, int], seed: int = 0) -> Planes:
    return random_planes(LAYOUTS[layout], colour, size, seed=seed)


# VapourSynth's format, ours, the properties that say so, scale. Sizes are odd wherever the format allows that.
WHOLE: tuple[tuple[str, str, Colour, dict[str, int], int], ...] = (
    ("GRAY8", "grey", Colour(range="limited"), {}, 2),
    ("GRAY8", "grey", Colour(range="full"), {"_ColorRange": 0}, 3),
    ("GRAY16", "grey", Colour(range="limited", depth=16), {"_Range": 0}, 4),
    ("GRAY16", "grey", Colour(range="full", depth=16), {"_Range": 1}, 2),
    ("YUV420P8", "yuv420", Colour("bt709", "limited", 8, "left"), {"_Matrix": 1}, 2),
    ("YUV420P8", "yuv420", Colour("bt601", "full", 8, "center"), {"_ColorRange": 0, "_ChromaLocation": 1}, 3),
    ("YUV420P10", "yuv420", Colour("bt2020", "limited", 10, "topleft"), {"_ColorRange": 1, "_ChromaLocation": 2}, 2),
    ("YUV422P12", "yuv422", Colour("bt709", "limited", 12, "left"), {"_ChromaLocation": 2}, 2),
    ("YUV422P8", "yuv422", Colour("bt709", "limited", 8, "center"), {"_ChromaLocation": 1}, 4),
    ("YUV444P9", "yuv444", Colour("bt709", "full", 9), {"_Range": 1}, 2),
    ("YUV444P16", "yuv444", Colour("bt709", "limited", 16), {}, 3),
    ("RGB24", "rgb", Colour(), {}, 2),
    ("RGB30", "rgb", Colour(depth=10), {"_Matrix": 0}, 3),
    ("RGB48", "rgb", Colour(depth=16), {"_ColorRange": 0}, 2),
)  # fmt: skip


@pytest.mark.parametrize("family", ["fsrcnn", "fsrcnn-s", "fsrcnn-x"])
def test_whole_numbers_are_those_of_python(plugin: Path, tmp_path: Path, family: str) -> None:
    jobs, expected = [], []
    for number, (name, layout, colour, properties, scale) in enumerate(WHOLE):
        lr = planes(layout, colour, (18, 26) if "42" in name else (17, 23), number)
        for precision in ("exact", "fast"):
            jobs.append(Job(name, [lr], {"model": family, "scale": scale, "precision": precision}, properties))
            sr = larger(lr, scale)
            native.NativeEngine(pretrained.load(f"{family}-x{scale}"), precision).planes(lr, sr)
            expected.append(sr)
    found = outcomes(plugin, tmp_path, jobs)
    for job, sr, outcome in zip(jobs, expected, found, strict=True):
        assert "error" not in outcome, (job.format, outcome)
        assert (outcome["format"].upper(), outcome["size"]) == (job.format, list(sr.size))
        assert outcome["bytes"] == [b"".join(array.tobytes() for array in sr.arrays)], (job.format, job.arguments)
        kept = outcome["frames"][0]["properties"]
        if "_ColorRange" not in kept and "_Range" in kept:  # VapourSynth R80 renames it, and counts the other way round
            kept["_ColorRange"] = 1 - kept["_Range"]
        assert {name: kept.get(name) for name in job.properties} == job.properties


def samples(data: bytes, like: Planes) -> list[Array]:
    """A float frame's planes."""
    found, position = [], 0
    for array in like.arrays:
        found.append(np.frombuffer(data, np.float32, array.size, position).reshape(array.shape))
        position += array.nbytes
    return found


@pytest.mark.parametrize("family", ["fsrcnn", "fsrcnn-s", "fsrcnn-x"])
def test_floats_are_those_of_python_and_are_not_clipped(plugin: Path, tmp_path: Path, family: str) -> None:
    """Luma is the network's to the bit. Python has no chroma around 0: it comes from the taps."""
    jobs = []
    for name, layout in (("GRAYS", "grey"), ("YUV444PS", "yuv444"), ("YUV422PS", "yuv422"), ("YUV420PS", "yuv420")):
        lr = planes(layout, Colour(depth=FLOAT), (18, 26))
        lr.arrays[0][...] = lr.arrays[0] * np.float32(1.6) - np.float32(0.3)
        for chroma in lr.arrays[1:]:
            chroma -= np.float32(0.5)
        jobs.append(Job(name, [lr], {"model": family}, {"_ColorRange": 0} if name == "YUV444PS" else {}))
    rgb = planes("rgb", Colour(depth=FLOAT), (17, 23))
    jobs.append(Job("RGBS", [rgb], {"model": family}))
    found = outcomes(plugin, tmp_path, jobs)
    engine = native.NativeEngine(pretrained.load(f"{family}-x2"))
    for job, outcome in zip(jobs[:-1], found[:-1], strict=True):
        lr = job.clip[0]
        sr = larger(lr, 2)
        luma, *chromas = samples(outcome["bytes"][0], sr)
        expected = (engine.run(GREY_OFFSET + GREY_GAIN * lr.arrays[0]) - GREY_OFFSET) / GREY_GAIN
        np.testing.assert_array_equal(luma, expected)
        assert luma.min() < -0.1
        assert luma.max() > 1.1
        taps = Taps(lr.layout, lr.colour, lr.size, sr.size)
        for number, chroma in enumerate(chromas, 1):
            height, width = lr.size
            exact = taps.resize(number, lr.arrays[number], (0, height, 0, width), (0, sr.size[0], 0, sr.size[1]))
            np.testing.assert_allclose(chroma, exact, rtol=0, atol=1e-6)
    sr = larger(rgb, 2)
    engine.planes(rgb, sr)  # clipped to 0 … 1
    for ours, theirs in zip(samples(found[-1]["bytes"][0], sr), sr.arrays, strict=True):
        np.testing.assert_array_equal(np.clip(ours, 0, 1), theirs)
        assert ours.max() > 1


def test_frames_come_in_order_with_any_number_of_threads(plugin: Path, tmp_path: Path) -> None:
    clip = [planes("yuv420", Colour("bt709", "limited"), (96, 128), seed) for seed in range(12)]
    jobs = [
        Job("YUV420P8", clip, {"model": "fsrcnn-x", "threads": threads} if threads else {"model": "fsrcnn-x"})
        for threads in (None, 1, 3)
    ]
    engine = native.NativeEngine(pretrained.load("fsrcnn-x-x2"))
    expected = []
    for lr in clip:
        sr = larger(lr, 2)
        engine.planes(lr, sr)
        expected.append(b"".join(array.tobytes() for array in sr.arrays))
    for outcome in outcomes(plugin, tmp_path, jobs):
        assert outcome["bytes"] == expected


def test_a_weights_file_brings_its_scale(plugin: Path, tmp_path: Path) -> None:
    lr = planes("grey", Colour(range="limited"), (9, 11))
    own = tmp_path / "own.safetensors"
    shutil.copyfile(pretrained.FOLDER / "fsrcnn-s-x3.safetensors", own)
    sr = larger(lr, 3)
    native.NativeEngine(pretrained.load("fsrcnn-s-x3")).planes(lr, sr)
    right, wrong = outcomes(plugin, tmp_path, [
        Job("GRAY8", [lr], {"model": str(own)}), Job("GRAY8", [lr], {"model": str(own), "scale": 2}),
    ])  # fmt: skip
    assert right["bytes"] == [sr.arrays[0].tobytes()]
    assert wrong["error"] == f"fsrcnn.Upscale: {own} is of scale 3, not 2"


def test_what_cannot_be_is_said_in_a_sentence(plugin: Path, tmp_path: Path) -> None:
    grey = planes("grey", Colour(range="limited"), (8, 8))
    c420 = planes("yuv420", Colour(range="limited"), (8, 8))
    rgb = planes("rgb", Colour(), (8, 8))
    # What is wrong with a format is said before any frame is asked for.
    cases = (
        (Job("GRAYH", [grey]), "half floats are not taken, but the clip is GrayH; give"),
        (Job("GRAY32", [grey]), "a clip has 8 to 16 bits or 32-bit float, but this one is Gray32"),
        (
            Job("YUV411P8", [grey]),
            "a clip is GRAY, RGB, or YUV of 4:4:4, 4:2:2 or 4:2:0, but this one is YUV411P8; give",
        ),
        (Job("GRAY8", [grey], changing=True), "a clip whose size or format changes is not taken; give"),
        (Job("GRAY8", [grey], {"scale": 5}), "scale is 2, 3 or 4, not 5"),
        (Job("GRAY8", [grey], {"precision": "best"}), 'precision is "exact" or "fast", not "best"'),
        (Job("GRAY8", [grey], {"threads": 0}), "threads is 1 to 1024, not 0"),
        (Job("GRAY8", [grey], {"model": "none"}), "there is no model 'none' at scale 2 in"),
        (Job("GRAY8", [grey], {"model": "/none.safetensors"}), "'/none.safetensors' does not exist"),
        (
            Job("GRAY8", [grey], properties={"_FieldBased": 1}),
            "frame 0: the frame is interlaced (_FieldBased); deinterlace",
        ),
        (
            Job("YUV420P8", [c420], properties={"_ChromaLocation": 4}),
            "frame 0: chroma of 4:2:0 lies left, center or top left",
        ),
        (Job("RGB24", [rgb], properties={"_ColorRange": 1}), "frame 0: RGB of limited range is not taken; give"),
    )
    formats = [job for job, _ in cases]
    for (_, sentence), outcome in zip(cases, outcomes(plugin, tmp_path, formats), strict=True):
        assert outcome.get("error", "").startswith(f"fsrcnn.Upscale: {sentence}"), (sentence, outcome)


def test_headers_that_are_not_there_are_asked_for(tmp_path: Path) -> None:
    cmake = shutil.which("cmake", path=PATH)
    if cmake is None or shutil.which("c++", path=PATH) is None:
        pytest.skip("the plugin is built with CMake and a C++ compiler; type: apt-get install cmake g++")
    command = [
        cmake,
        "-S",
        str(ROOT / "vapoursynth"),
        "-B",
        str(tmp_path / "build"),
        f"-DVAPOURSYNTH_INCLUDE={tmp_path}",
    ]
    done = subprocess.run(command, env={**os.environ, "PATH": PATH}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "give -DVAPOURSYNTH_INCLUDE=FOLDER" in " ".join(done.stderr.split())
