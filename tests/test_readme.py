"""What README and docs tell people to type works: their blocks of shell and Python run as they stand, in a folder made for them.

Only the length of a training is cut down: `--steps 10000` becomes `--steps 4`, `--epochs 40` one epoch, and where neither is typed,
`--steps 4` is added. Lines that install something, or are CI's own steps, are not run; `LEFT_OUT` names each of them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from fsrcnn import images, pretrained
from support import ROOT, SHARED

PAGES = {
    page: re.findall(r"^```(sh|python)\n(.*?)^```$", (ROOT / page).read_text("utf-8"), re.DOTALL | re.MULTILINE)
    for page in ("README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
}
NEEDS = {
    "README.md": ("onnx", "onnxruntime"),
    "docs/film.md": ("av", "PIL"),
    "docs/exports.md": ("onnx", "onnxruntime"),
}
LEFT_OUT = {
    "README.md": ["make demo", "make test", "pip install '.[train]'"],
    "docs/train-your-own.md": ["pip install '.[train]'"],
}
# Files that a page's commands leave behind, some of which they promise in their remarks.
WRITTEN = {
    "README.md": [
        "photo_x2.jpg", "larger.webp", "holiday_3840x2160/beach/sea.jpg", "out.png", "t91.h5", "runs/fsrcnn-x3/best.safetensors",
        "runs/fsrcnn-x2/best.safetensors", "runs/x2/best.safetensors", "butterfly_panes_x2.png", "fsrcnn-x2.onnx", "fsrcnn-x-x2.glsl",
        "core/fsrcnn_core.v",
    ],
    "docs/chip-core.md": ["core.safetensors", "core/manifest.json"],
    "docs/film.md": [
        "film_x2.mkv", "larger.mkv", "films_x2/more/second.mkv", "long.mkv", "part.mkv", "old_x2.mkv", "chosen.mkv", "film.y4m",
        "again.mkv", "look.png", "side.mkv",
    ],
    "docs/exports.md": ["fsrcnn-x2.onnx", "colour.onnx", "fsrcnn-photo@0.7-x3.onnx", "fsrcnn-x-x4.onnx"],
    "docs/from-weights-to-a-core.md": ["core/README.md", "by_core.png"],
    "docs/mistakes.md": [],
    "docs/mpv.md": ["fsrcnn-x-x2.glsl", "fsrcnn-x3.glsl", "mine.glsl", "fragment.glsl", "soft.glsl", "slider.glsl"],
    "docs/real-photos.md": ["rows.json", "looks/Set5/0_x2_JPEG-75.png", "looks/Set5/0_x2_real_panes.png"],
    "docs/reproduce-the-paper.md": ["both_x3.h5", "runs/x3/curve.png", "runs/x2/best.safetensors"],
    "docs/train-your-own.md": ["runs/fsrcnn-x2/curve.png", "new_x2.png", "look/one_panes_x2.png", "mine.pth"],
}  # fmt: skip
PICTURES = {
    "photo.jpg": (90, 160), "holiday/sea.png": (90, 160), "holiday/beach/sea.jpg": (90, 160), "in.png": (32, 48),
    "butterfly.png": (64, 64), "new.png": (40, 40), "kept_aside/one.png": (64, 64),
    **{f"{folder}/{number}.png": (76, 84)
       for folder in ("my_pictures", "T91", "General100", "val", "BSDS500-val20", "Set5", "Set14", "BSD200") for number in range(2)},
}  # fmt: skip
MATLAB = "FSRCNN_x3.mat"
PYTHON_NAMES = """
import numpy, pathlib, PIL.Image
data = pathlib.Path("in.png").read_bytes()
array = numpy.random.default_rng(0).random((24, 32, 3), numpy.float32)
y, cbcr = numpy.full((18, 22), 200, numpy.uint8), numpy.full((9, 11, 2), 90, numpy.uint8)
larger_y, larger_cbcr = numpy.empty((36, 44), numpy.uint8), numpy.empty((18, 22, 2), numpy.uint8)
pil_image = PIL.Image.open("in.png")
"""
PYTHON_RESULTS = {
    "README.md": """
assert (large.shape, large.dtype) == ((48, 64, 3), numpy.float32)
assert (image.size, image.mode) == ((2 * pil_image.width, 2 * pil_image.height), pil_image.mode)
assert str(path) == "photo_x2.jpg" and path.exists()
pathlib.Path("bytes.png").write_bytes(data)
assert PIL.Image.open("bytes.png").size == image.size
assert (larger_cbcr == 90).all() and (larger_y > 150).all() and control.done == 1
""",
    "docs/exports.md": """
from fsrcnn import Upscaler
assert larger.shape == (1, 2 * pil_image.height, 2 * pil_image.width, 3) and checked.largest <= 1
assert abs(larger[0].astype(int) - Upscaler("fsrcnn", engine="numpy")(numpy.asarray(pil_image))).max() <= 1
""",
    "docs/real-photos.md": """
assert [(result.picture, result.case) for result in results] == [(name, case) for name in "01" for case in ("JPEG 75", "real")]
assert failures == []
""",
    "docs/train-your-own.md": """
assert (lr.shape, lr.dtype) == ((60, 80, 3), numpy.float32)
""",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with everything that the pages' commands read."""
    astronaut = images.read(ROOT / "examples" / "astronaut.png").pages[0]
    for number, (name, (height, width)) in enumerate(PICTURES.items()):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        top, left = 13 * number % 300, 29 * number % 300
        images.write(
            images.Picture((np.ascontiguousarray(astronaut[top : top + height, left : left + width]),), "png"), path
        )
    pretrained.load("fsrcnn-s-x2").save(tmp_path / "mine.safetensors")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    if find_spec("av") is not None:
        from films import film

        for name in ("film.mkv", "old.mkv", "films/first.mkv", "films/more/second.mkv"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            film(tmp_path / name, codec="libx264", size=(64, 64), times=(0, 40, 1000, 1040, 2000), companions=True)
        film(tmp_path / "original.mkv", size=(128, 128), times=(0, 40, 1000, 1040, 2000))
    return tmp_path


def commands(page: str) -> list[str]:
    """The lines of the shell blocks that are commands."""
    text = "".join(block for language, block in PAGES[page] if language == "sh")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def bare(command: str) -> str:
    """Without its remark."""
    return re.sub(r" +#.*", "", command)


def shortened(command: str) -> str:
    """The command with less training."""
    command = re.sub(r"--steps \d+", "--steps 4", re.sub(r"--epochs \d+", "--epochs 1", command))
    if re.match(r"fsrcnn (train|transfer) ", command) and not re.search(r"--(steps|epochs) ", command):
        command = re.sub(r" *(#|$)", r" --steps 4 \1", command, count=1)
    return command


def environment() -> dict[str, str]:
    """That of a person who has activated the environment which the tests run in."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}


@pytest.mark.parametrize("page", WRITTEN)
def test_shell_blocks_run(page: str, folder: Path) -> None:
    missing = [name for name in NEEDS.get(page, ()) if find_spec(name) is None]
    if missing:
        pytest.skip(f"{page} needs {' and '.join(missing)}, not installed here")
    matlab = SHARED / "references" / "weights" / "official-mat" / MATLAB
    if matlab.exists():
        shutil.copyfile(matlab, folder / MATLAB)
    missing = []
    for command in commands(page):
        if bare(command) in LEFT_OUT.get(page, []):
            continue
        if MATLAB in command and not matlab.exists():
            missing.append(command)
            continue
        done = subprocess.run(
            ["sh", "-c", shortened(command)],
            cwd=folder,
            env=environment(),
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr.decode()}"
        assert b"Warning" not in done.stderr, f"{command}\n{done.stderr.decode()}"
    for name in WRITTEN[page]:
        assert (folder / name).exists(), name
    if missing:
        pytest.skip(f"all ran but for: {missing[0]} ({matlab} is not here)")


@pytest.mark.parametrize("page", [page for page, blocks in PAGES.items() if "python" in dict(blocks)])
def test_python_blocks_run(page: str, folder: Path) -> None:
    blocks = [block for language, block in PAGES[page] if language == "python"]  # later ones go on from earlier ones
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join([PYTHON_NAMES, *blocks, PYTHON_RESULTS[page]])],
        cwd=folder,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()


def test_every_page_with_commands_is_run_and_every_line_left_out_stands_in_it() -> None:
    assert {page for page in PAGES if commands(page)} == set(WRITTEN)
    for page, left_out in LEFT_OUT.items():
        assert [bare(command) for command in commands(page) if bare(command) in left_out] == left_out


def test_only_the_length_of_a_training_is_cut_down() -> None:
    assert shortened("fsrcnn train a/ --steps 10000 --scale 2 # b") == "fsrcnn train a/ --steps 4 --scale 2 # b"
    assert shortened("fsrcnn train a.h5 --epochs 40 -o b") == "fsrcnn train a.h5 --epochs 1 -o b"
    assert shortened("fsrcnn transfer a b/ --scale 2 # c") == "fsrcnn transfer a b/ --scale 2 --steps 4 # c"
    assert shortened("fsrcnn transfer a b/") == "fsrcnn transfer a b/ --steps 4 "
    for command in (
        command for page in PAGES for command in commands(page) if not re.match(r"fsrcnn (train|transfer) ", command)
    ):
        assert shortened(command) == command


LINKING = [*PAGES, "CONTRIBUTING.md", "CHANGELOG.md", "recipes/README.md", "examples/README.md"]


@pytest.mark.parametrize("page", LINKING)
def test_links_lead_to_files(page: str) -> None:
    path = ROOT / page
    for link in re.findall(r"\]\(([^)#]+)", path.read_text("utf-8")):
        if not link.startswith("https://"):
            assert (path.parent / link).exists(), link
