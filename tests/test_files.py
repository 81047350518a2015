"""Files are put in place whole or not at all, by however many writers, with their permissions, through their links."""

from __future__ import annotations

import errno
import os
import re
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fsrcnn import files, images
from fsrcnn.errors import FsrcnnError, ImageError
from fsrcnn.weights import Weights, load
from support import ROOT, files_below, run_command

fcntl = pytest.importorskip("fcntl", reason="this system has neither locks of files nor their permissions")


def touched(path: Path) -> int:
    """The permissions that this system gives to new files, asked of it in another way."""
    subprocess.run(["touch", path], check=True)
    mode = stat.S_IMODE(path.stat().st_mode)
    path.unlink()
    return mode


def test_a_new_file_has_usual_permissions_and_an_old_one_keeps_its_own(tmp_path: Path) -> None:
    files.write(tmp_path / "new", b"1")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == touched(tmp_path / "witness")
    for mode in (0o600, 0o640, 0o444, 0o755):
        target = tmp_path / f"{mode:o}"
        target.write_bytes(b"old")
        target.chmod(mode)
        with files.beside(target) as part:
            assert not stat.S_IMODE(part.stat().st_mode) & 0o077  # nobody else reads a private file meanwhile
            part.write_bytes(b"new")
        assert target.read_bytes() == b"new"
        assert stat.S_IMODE(target.stat().st_mode) == mode
    assert files_below(tmp_path) == sorted(["new", "600", "640", "444", "755"])


def test_links_are_written_through(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("hop")
    (tmp_path / "hop").symlink_to("real/file")
    files.write(tmp_path / "link", b"new")
    assert (tmp_path / "real/file").read_bytes() == b"new"
    assert (tmp_path / "link").readlink() == Path("hop")
    assert (tmp_path / "hop").is_symlink()
    with pytest.raises(FsrcnnError, match="link exists; give overwrite=True to replace it"):
        files.write(tmp_path / "link", b"newer", replace=False)

    (tmp_path / "nowhere").symlink_to("real/to-be")
    with pytest.raises(FsrcnnError, match="nowhere exists"):  # somebody else may have put it there
        files.write(tmp_path / "nowhere", b"1", replace=False)
    assert not (tmp_path / "real/to-be").exists()
    files.write(tmp_path / "nowhere", b"1")
    assert (tmp_path / "real/to-be").read_bytes() == b"1"

    (tmp_path / "circle").symlink_to("back")
    (tmp_path / "back").symlink_to("circle")
    for replace in (True, False):
        with pytest.raises(FsrcnnError, match=r"cannot write .*circle: its symbolic links lead in a circle"):
            files.write(tmp_path / "circle", b"1", replace=replace)


@pytest.mark.parametrize("linking", ["links", "no links"])
def test_what_came_meanwhile_is_not_replaced(linking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **more: Any) -> None:
        raise OSError(errno.EPERM, "as on a FAT file system")

    if linking == "no links":
        monkeypatch.setattr(os, "link", refuse)
    target = tmp_path / "a"
    files.write(target, b"first", replace=False)
    assert target.read_bytes() == b"first"
    assert target.stat().st_nlink == 1
    target.unlink()

    def write_late() -> None:
        with files.beside(target, replace=False) as part:
            part.write_bytes(b"late")
            target.write_bytes(b"theirs")

    with pytest.raises(FsrcnnError, match="a exists; give overwrite=True"):
        write_late()
    assert target.read_bytes() == b"theirs"
    with files.beside(target) as part:
        part.write_bytes(b"late")
    assert target.read_bytes() == b"late"
    assert files_below(tmp_path) == ["a"]


WRITERS = """
import sys, threading, time
from pathlib import Path
from fsrcnn import files
from fsrcnn.errors import FsrcnnError
folder, name, replace, rounds = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "replace", int(sys.argv[4])
won = []
def write(thread):
    data = f"{name}.{thread} ".encode() * 20_000
    for number in range(rounds):
        time.sleep(max(0, start + number * 0.02 - time.time()))
        try:
            files.write(folder / str(number), data, replace=replace)
        except FsrcnnError as error:
            assert "exists" in str(error), error
        else:
            won.append(number)
print("ready", flush=True)
start = float(sys.stdin.readline())
threads = [threading.Thread(target=write, args=(thread,)) for thread in range(2)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(*won)
"""


@pytest.mark.parametrize("replace", ["replace", "keep"])
def test_many_writers_of_one_file(replace: str, tmp_path: Path) -> None:
    """Four processes of two threads each: the file is one writer's, whole; where nothing may be replaced, just one succeeds."""
    rounds = 25
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITERS, str(tmp_path), str(name), replace, str(rounds)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for name in range(4)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    start = time.time() + 0.2
    won: list[int] = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(f"{start}\n")
        process.stdin.flush()
    for process in processes:
        printed, _ = process.communicate()
        assert process.returncode == 0
        won += map(int, printed.split())
    assert files_below(tmp_path) == sorted(map(str, range(rounds)))
    for number in range(rounds):
        text = (tmp_path / str(number)).read_text()
        assert text == text[:4] * 20_000
        assert won.count(number) == (8 if replace == "replace" else 1)


def test_a_planted_name_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even whoever knew the name of a part could not make us write where it points to."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    monkeypatch.setattr(os, "urandom", lambda count: bytes(count))
    planted = tmp_path / f".fsrcnn-{'0' * 16}.part"
    planted.symlink_to(victim)
    with pytest.raises(FsrcnnError, match="cannot write"):
        files.write(tmp_path / "a", b"1")
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "a").exists()
    monkeypatch.undo()
    parts = set()
    for _ in range(3):
        with files.beside(tmp_path / "a") as part:
            parts.add(part.name)
    assert len(parts) == 3


def aged(path: Path, seconds: float = 60) -> Path:
    os.utime(path, (time.time() - seconds, time.time() - seconds), follow_symlinks=False)
    return path


def test_parts_of_dead_runs_are_removed_and_nothing_else(tmp_path: Path) -> None:
    names = {number: f".fsrcnn-{number:016x}.part" for number in range(6)}
    dead, held, young = (tmp_path / names[number] for number in range(3))
    others = [".a.123.part.png", ".fsrcnn-zz.part", f"fsrcnn-{0:016x}.part", f".fsrcnn-{0:016x}.part.png.bak"]
    for path in (dead, held, young, *(tmp_path / name for name in others)):
        path.write_bytes(b"half")
        aged(path)
    aged(young, -3600)  # however long the rest takes here
    (tmp_path / names[3]).mkdir()
    (tmp_path / names[4]).symlink_to("victim")
    (tmp_path / "victim").write_bytes(b"")
    aged(tmp_path / "victim")
    holder = subprocess.Popen(
        [sys.executable, "-c", f"import fcntl, time; file = open({str(held)!r}, 'r+'); fcntl.flock(file, fcntl.LOCK_EX); "
         "print(flush=True); time.sleep(3600)"],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        files.write(tmp_path / "new", b"1")
    finally:
        holder.kill()
        holder.communicate()
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*(names[number] for number in range(1, 5)), *others, "new", "victim"}


def test_a_part_in_use_is_held_until_it_is_in_place(tmp_path: Path) -> None:
    with files.beside(tmp_path / "a") as part:
        part.write_bytes(b"long ago")  # as libvips does, which opens it by its name
        aged(part)
        program = f"from pathlib import Path; from fsrcnn import files; files.write(Path({str(tmp_path / 'b')!r}), b'')"
        subprocess.run([sys.executable, "-c", program], check=True)
        assert part.exists()
    assert files_below(tmp_path) == ["a", "b"]


def test_nothing_is_left_of_what_failed(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_bytes(b"old")
    full = r"cannot write .*a: no room; what was there before is untouched"

    def fail(error: BaseException) -> None:
        with files.beside(target, ImageError) as part:
            part.write_bytes(b"half")
            raise error

    with pytest.raises(ImageError, match=full):
        fail(OSError(errno.ENOSPC, "no room"))
    with pytest.raises(KeyboardInterrupt):
        fail(KeyboardInterrupt())
    assert target.read_bytes() == b"old"
    with files.beside(tmp_path / "b") as part:
        files.remove_parts()  # what a signal that ends the process does
        assert not part.exists()
        part.write_bytes(b"")
    files.remove_parts()
    assert files_below(tmp_path) == ["a", "b"]


def test_without_locks_and_permissions_files_are_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows."""
    monkeypatch.setattr(files, "fcntl", None)
    for data in (b"1", b"2"):
        files.write(tmp_path / "a", data)
    with pytest.raises(FsrcnnError, match="exists"):
        files.write(tmp_path / "a", b"3", replace=False)
    assert (tmp_path / "a").read_bytes() == b"2"
    assert files_below(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("folder", "it is a folder"), ("pipe", "it is a device"), ("file/below", "Not a directory"), ("x" * 300, "File name too long"),
     ("a\0b", "null")],
)  # fmt: skip
def test_places_where_nothing_can_be_written(name: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"1")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FsrcnnError, match=f"cannot write .*{sentence}"):
        files.write(tmp_path / name, b"2")
    assert files_below(tmp_path) == ["file"]


def test_streams_are_told_from_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to("pipe")
    for stream in ("/dev/null", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", tmp_path / "pipe", tmp_path / "link"):
        assert files.is_stream(Path(stream)), stream
    for other in (tmp_path, tmp_path / "file", tmp_path / "none", Path("/dev/shm/none.png"), tmp_path / ("x" * 300)):
        assert not files.is_stream(other), other


def test_a_redirected_standard_output_is_not_replaced(tmp_path: Path) -> None:
    """`-o /dev/stdout > a.png`: a path to a regular file, and still a stream."""
    images.write(images.Picture((np.zeros((4, 4, 3), np.uint8),), "png"), tmp_path / "in.png")
    with (tmp_path / "a.png").open("wb") as stdout:
        before = os.fstat(stdout.fileno()).st_ino
        subprocess.run(
            [sys.executable, "-m", "fsrcnn", "upscale", "in.png", "-o", "/dev/stdout"],
            cwd=tmp_path, stdout=stdout, check=True,
        )  # fmt: skip
    assert (tmp_path / "a.png").stat().st_ino == before
    assert images.read(tmp_path / "a.png").pages[0].shape == (8, 8, 3)


def test_long_legal_names(tmp_path: Path) -> None:
    name = "n" * 236 + ".png"
    images.write(images.Picture((np.zeros((4, 4, 3), np.uint8),), "png"), tmp_path / name)
    done = run_command("upscale", name, "-o", "out/", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert images.read(tmp_path / "out" / name).pages[0].shape == (8, 8, 3)
    weights = "w" * 200 + "." + "x" * 54  # an ending that takes the whole rest
    run = run_command("convert", "fsrcnn-x2", "w" * 228 + ".safetensors", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    converted: Weights = load(tmp_path / ("w" * 228 + ".safetensors"))
    converted.save(tmp_path / weights)
    assert len((tmp_path / weights).name) == 255


def test_all_files_are_written_here() -> None:
    """A writer that goes its own way would leave half files: only these open one themselves."""
    allowed = {
        "export/rtl/__init__.py": "a folder, which is put in place when it is filled",
        "export/synthesis.py": "what tools read, in a folder that goes again",
        "files.py": "the mechanism",
        "images/writing.py": "a device or pipe",
        "serve/jobs.py": "a result in the private folder, which goes where it cannot be written",
        "serve/uploads.py": "an upload in the private folder, which goes where it breaks off",
        "training/events.py": "records with checksums, each appended as it comes",
        "training/hdf5_output.py": "the part of an HDF5 file",
        "video/colour.py": "a header in memory",
        "video/encoders.py": "a film of one frame in memory",
        "video/segments.py": "the part of a segment, and a lock that stays empty",
        "video/trial.py": "a film of one frame in memory",
        "video/y4m.py": "a stream",
    }
    writing = re.compile(
        r"\.write_(bytes|text)\(|open\([^)]*[\"'][wax]b?\+?[\"']|FileIO|\.(savefig|tofile|savez?)\((?!buffer)|save_file\("
    )
    # Into bytes in memory, not into a file; and `Weights.save`, `IntegerModel.save`, which go through files.py.
    harmless = re.compile(
        r"torch\.save\(.*buffer\)|safetensors\.numpy\.save\(|(weights|quantized|network)\.save\(|File\(buffer"
    )
    found = set()
    for path in (ROOT / "src/fsrcnn").rglob("*.py"):
        for line in path.read_text("utf-8").splitlines():
            if writing.search(line) and not harmless.search(line):
                found.add(str(path.relative_to(ROOT / "src/fsrcnn")))
    assert found - {"cli/__init__.py"} == set(allowed)  # standard streams
