"""Folders are put in place whole or not at all: `files.folder_beside`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fsrcnn import files
from fsrcnn.errors import FsrcnnError, WeightsError

fcntl = pytest.importorskip("fcntl", reason="this system has no locks of files")


def fill(target: Path, text: str, *, replace: bool = True) -> None:
    with files.folder_beside(target, replace=replace) as part:
        (part / "a").write_text(text)
        (part / "b").mkdir()
        (part / "b/c").write_text(text)


def tree(folder: Path) -> dict[str, str]:
    """The relative path of each file below a folder → its text; folders with a slash."""
    return {
        f"{path.relative_to(folder)}{'/' * path.is_dir()}": "" if path.is_dir() else path.read_text()
        for path in folder.rglob("*")
    }


NEW = {"a": "new", "b/": "", "b/c": "new"}


def test_a_new_folder_and_those_above_it(tmp_path: Path) -> None:
    fill(tmp_path / "x/y/core", "new")
    assert tree(tmp_path / "x/y") == {"core/": "", **{f"core/{name}": text for name, text in NEW.items()}}


def test_an_empty_folder_is_taken_and_a_full_one_replaced_when_asked_for(tmp_path: Path) -> None:
    (tmp_path / "core").mkdir()
    fill(tmp_path / "core", "old", replace=False)
    (tmp_path / "core/more").write_text("old")
    with pytest.raises(FsrcnnError, match="core exists; give overwrite=True to replace it"):
        fill(tmp_path / "core", "new", replace=False)
    assert (tmp_path / "core/a").read_text() == "old"
    fill(tmp_path / "core", "new")
    assert tree(tmp_path / "core") == NEW
    assert [path.name for path in tmp_path.iterdir()] == ["core"]


def test_nothing_is_left_where_something_is_raised(tmp_path: Path) -> None:
    fill(tmp_path / "core", "new")

    def fail() -> None:
        with files.folder_beside(tmp_path / "core") as part:
            (part / "half").write_text("half")
            raise ValueError("half-way")

    with pytest.raises(ValueError, match="half-way"):
        fail()
    assert tree(tmp_path) == {"core/": "", **{f"core/{name}": text for name, text in NEW.items()}}


@pytest.mark.parametrize("failing", [1, 2])
def test_the_old_folder_comes_back_where_the_new_one_cannot_be_put(
    failing: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "core", "new")
    rename, calls = Path.rename, []

    def sometimes(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == failing:
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", sometimes)
    with pytest.raises(WeightsError, match=r"cannot write .*core: No space left on device"):
        write_as_weights(tmp_path / "core")
    assert tree(tmp_path) == {"core/": "", **{f"core/{name}": text for name, text in NEW.items()}}


def write_as_weights(target: Path) -> None:
    with files.folder_beside(target, WeightsError) as part:
        (part / "a").write_text("newer")


def test_links_and_files(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    fill(tmp_path / "link", "new")
    assert tree(tmp_path / "real") == NEW
    assert (tmp_path / "link").readlink() == Path("real")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FsrcnnError, match="file: it is a file, not a folder"):
        fill(tmp_path / "file", "new")
    with pytest.raises(FsrcnnError, match=r"file/core: Not a directory"):
        fill(tmp_path / "file/core", "new")
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(FsrcnnError, match=r"cannot write .*circle"):
        fill(tmp_path / "circle", "new")
    with pytest.raises(FsrcnnError, match="cannot write"):
        fill(tmp_path / "zero\0byte", "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["circle", "file", "link", "real"]
    assert (tmp_path / "file").read_text() == "mine"


def test_of_two_writers_the_last_wins(tmp_path: Path) -> None:
    with files.folder_beside(tmp_path / "core") as part:
        (part / "a").write_text("late")
        fill(tmp_path / "core", "early")
    assert tree(tmp_path / "core") == {"a": "late"}

    def keep() -> None:
        with files.folder_beside(tmp_path / "other", replace=False) as part:
            (part / "a").write_text("late")
            fill(tmp_path / "other", "new")

    with pytest.raises(FsrcnnError, match="other exists"):
        keep()
    assert tree(tmp_path / "other") == NEW


WRITER = """
import sys, time
from pathlib import Path
from fsrcnn import files
with files.folder_beside(Path(sys.argv[1])) as part:
    (part / "a").write_text("half")
    (part / "b").mkdir()
    print("ready", flush=True)
    time.sleep(600)
"""


def test_a_killed_writer_leaves_the_old_folder_and_its_part_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "core"
    fill(target, "new")
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(target)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    (part,) = (path for path in tmp_path.iterdir() if path != target)
    assert files.PART.fullmatch(part.name)
    long_ago = time.time() - 3600
    os.utime(part, (long_ago, long_ago))
    files._swept.clear()
    fill(tmp_path / "other", "new")
    assert part.exists()  # its writer lives, and holds it
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    assert tree(target) == NEW
    files._swept.clear()
    os.utime(part, None)
    fill(tmp_path / "other", "new")
    assert part.exists()  # so young that its writer may be about to lock it
    os.utime(part, (long_ago, long_ago))
    files._swept.clear()
    fill(tmp_path / "other", "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["core", "other"]


HOLDER = """
import time
from fsrcnn import files
with files.temporary_folder() as folder:
    (folder / "file").touch()
    print(folder, flush=True)
    time.sleep(600)
"""


def test_a_temporary_folder_goes_with_its_process_or_with_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with files.temporary_folder() as folder:
        (folder / "file").touch()
        assert folder.parent == tmp_path
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not list(tmp_path.iterdir())
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True, env=environment)
    assert holder.stdout is not None
    folder = Path(holder.stdout.readline().strip())
    long_ago = time.time() - 3600
    os.utime(folder, (long_ago, long_ago))
    with files.temporary_folder():
        assert folder.exists()  # it is held
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    with files.temporary_folder() as other:
        assert list(tmp_path.iterdir()) == [other]


def test_a_link_of_a_parts_name_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/a").write_text("mine")
    link = tmp_path / ".fsrcnn-0123456789abcdef.part"
    link.symlink_to("precious")
    os.utime(link, (0, 0), follow_symlinks=False)
    os.utime(tmp_path / "precious", (0, 0))
    files._swept.clear()
    fill(tmp_path / "core", "new")
    assert (tmp_path / "precious/a").read_text() == "mine"
