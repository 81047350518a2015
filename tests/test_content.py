"""Where bytes come from: files of any name, pipes, devices."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from fsrcnn import Size
from fsrcnn.errors import ImageError, UsageError
from fsrcnn.images import content, read
from fsrcnn.upscaler import default_output
from support import ENVIRONMENT, run_command, saved

RGB = np.random.default_rng(0).integers(0, 256, (24, 33, 3), dtype=np.uint8)
DATA = saved([RGB], "PNG")


@pytest.mark.parametrize("name", ["a[1].png", "x.png[page=2]", "-.png", "a b%d.png", "ü×.png", "noending", "png.jpg"])
def test_a_name_means_nothing(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(DATA)
    picture = read(tmp_path / name)
    np.testing.assert_array_equal(picture.pages[0], RGB)
    assert picture.format == "png"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def feed() -> None:
        with pipe.open("wb", buffering=0) as file:
            for start in range(0, len(DATA), 100):  # in pieces, slowly
                file.write(DATA[start : start + 100])
                time.sleep(0.001)

    thread = threading.Thread(target=feed)
    thread.start()
    np.testing.assert_array_equal(read(pipe).pages[0], RGB)
    thread.join()


@pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="no /dev/stdin here")
def test_standard_input_by_its_name(tmp_path: Path) -> None:
    result = run_command("upscale", "/dev/stdin", "-o", tmp_path / "out.png", stdin=DATA)
    assert result.returncode == 0, result.stderr
    assert read(tmp_path / "out.png").pages[0].shape == (48, 66, 3)


def test_nothing_goes_beside_a_device() -> None:
    with pytest.raises(UsageError, match="/dev/null is no file, so its result has no name; give output"):
        default_output(Path("/dev/null"), Size(factor=2), "png")


def test_standard_input_has_a_limit(tmp_path: Path) -> None:
    arguments = ("upscale", "-", "-o", tmp_path / "out.png", "--max-pixels", "1000")
    result = run_command(*arguments, stdin=DATA + bytes(content.PER_PIXEL * 1000 + content.BESIDES))
    assert result.returncode == 1
    assert b"standard input is larger than 0.1 GB; if you trust it, raise the limit with --max-pixels" in result.stderr
    result = run_command(*arguments, stdin=b"hello")
    assert b"standard input is not a picture that fsrcnn reads" in result.stderr
    assert b"standard input is empty" in run_command(*arguments).stderr


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_process_substitution(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(DATA)
    command = f"'{sys.executable}' -m fsrcnn upscale <(cat a.png) -o out.png"
    result = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr
    assert read(tmp_path / "out.png").pages[0].shape == (48, 66, 3)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no /dev/zero here")
def test_what_never_ends_ends(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="/dev/zero is not a picture that fsrcnn reads"):
        read(Path("/dev/zero"))
    if not hasattr(os, "mkfifo"):
        return
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def feed() -> None:
        with contextlib.suppress(BrokenPipeError), pipe.open("wb", buffering=0) as file:
            file.write(DATA)
            while True:
                file.write(bytes(2**20))

    thread = threading.Thread(target=feed)
    thread.start()
    with pytest.raises(
        ImageError, match=r"pipe is larger than 0\.1 GB; if you trust it, raise the limit with max_pixels"
    ):
        read(pipe, max_pixels=1000)
    thread.join()


def test_a_file_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse.png"
    with path.open("wb") as file:
        file.write(DATA)
        file.truncate(content.PER_PIXEL * 1000 + content.BESIDES + 1)
    with pytest.raises(ImageError, match=r"sparse\.png is larger than 0\.1 GB"):
        read(path, max_pixels=1000)
    np.testing.assert_array_equal(read(path, max_pixels=1001).pages[0], RGB)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    cases = {
        tmp_path: "is a folder, not a picture",
        tmp_path / "missing.png": "missing.png does not exist",
        tmp_path / "loop": "cannot read .*loop: Too many levels of symbolic links",
        tmp_path / ("x" * 300): "cannot read .*xxx: File name too long",
        Path("a\0b.png"): r"cannot read a\\x00b\.png: embedded null byte",
    }
    for path, sentence in cases.items():
        with pytest.raises(ImageError, match=sentence):
            read(path)
