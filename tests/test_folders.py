"""What lies at a path, and what is found in a folder."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fsrcnn.errors import ImageError
from fsrcnn.folders import find, kind

NOBODY = 65534
DENIED = os.strerror(errno.EACCES)


@pytest.fixture
def shut() -> Iterator[Path]:
    """A folder of one's own, in which permissions bind, as they do not bind root: the test is somebody else while it runs."""
    if not hasattr(os, "seteuid"):
        pytest.skip("this system has no user ids")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = os.geteuid() == 0
        if root:
            os.chown(folder, NOBODY, -1)
            os.seteuid(NOBODY)
        try:
            (folder / "probe").mkdir(mode=0)
            if os.access(folder / "probe", os.R_OK, effective_ids=os.access in os.supports_effective_ids):
                pytest.skip("permissions do not bind here")
            (folder / "probe").rmdir()
            yield folder
        finally:
            if root:
                os.seteuid(0)
            for path in (folder, *folder.rglob("*")):
                path.chmod(0o700)


def test_find(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "notes.txt", ".hidden.png", "deep/c.webp", "deep/.git/d.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert [p.name for p in find(tmp_path).pictures] == ["a.JPG", "b.png"]
    assert [p.name for p in find(tmp_path, recursive=True).pictures] == ["a.JPG", "b.png", "c.webp"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match=r"holds no pictures \(png, jpg, .*bmp\)$"):
        find(tmp_path / "empty")
    (tmp_path / "empty/deeper").mkdir()
    with pytest.raises(ImageError, match=r"; give recursive=True to look into its folders$"):
        find(tmp_path / "empty")
    with pytest.raises(ImageError, match=r"bmp\)$"):
        find(tmp_path / "empty", recursive=True)
    with pytest.raises(ImageError, match=r"b.png is not a folder"):
        find(tmp_path / "b.png")
    with pytest.raises(ImageError, match="does not exist"):
        find(tmp_path / "nowhere")


def test_kinds(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "nothing").symlink_to("nowhere")
    (tmp_path / "circle").symlink_to("circle")
    assert [kind(tmp_path / name) for name in ("file", "link", ".", "nothing", "nowhere", "file/below")] == [
        "file", "file", "folder", "absent", "absent", "absent",
    ]  # fmt: skip
    assert kind(Path(os.devnull)) == "device"
    for name, reason in (
        ("circle", os.strerror(errno.ELOOP)), ("n" * 300, os.strerror(errno.ENAMETOOLONG)), ("a\0b", "embedded null"),
        ("\ud800", "surrogates not allowed"),
    ):  # fmt: skip
        with pytest.raises(ImageError, match=f"^cannot use .*: .*{reason}"):
            kind(tmp_path / name)


def test_what_may_not_be_looked_at(shut: Path) -> None:
    (shut / "closed").mkdir()
    (shut / "closed/a.png").write_bytes(b"")
    (shut / "closed").chmod(0)
    with pytest.raises(ImageError, match=f"^cannot use .*a.png: {DENIED}$"):
        kind(shut / "closed/a.png")
    with pytest.raises(ImageError, match=f"^{shut}/closed cannot be read: {DENIED}$"):
        find(shut / "closed")
    with pytest.raises(ImageError, match=rf"holds no pictures \(.*\), and {shut}/closed cannot be read$"):
        find(shut, recursive=True)
    (shut / "b.png").write_bytes(b"")
    found = find(shut, recursive=True)
    assert (found.pictures, found.closed) == ((shut / "b.png",), (shut / "closed",))
    assert find(shut).closed == ()


def test_a_folder_that_shows_names_alone(shut: Path) -> None:
    """It may be listed but not entered: its pictures are found, and what is wrong with each is said when its turn comes."""
    (shut / "listed").mkdir()
    (shut / "listed/a.png").write_bytes(b"")
    (shut / "listed").chmod(0o400)
    assert find(shut / "listed").pictures == (shut / "listed/a.png",)


def test_what_is_no_picture_is_counted(tmp_path: Path) -> None:
    for name in (
        "a.png",
        "b.JFIF",
        "c.jpe",
        "d.apng",
        "e.hif",
        "f.dib",
        "notes.txt",
        "a.png.txt",
        ".hidden",
        "deep/list.csv",
        "deep/g.png",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = find(tmp_path)
    assert [path.name for path in found.pictures] == ["a.png", "b.JFIF", "c.jpe", "d.apng", "e.hif", "f.dib"]
    assert found.others == 2
    assert find(tmp_path, recursive=True).others == 3


def test_links_and_pipes(tmp_path: Path) -> None:
    """A link to a picture is one, a link to nothing was meant to be one; a pipe would be waited for."""
    (tmp_path / "in/deep").mkdir(parents=True)
    (tmp_path / "in/deep/a.png").write_bytes(b"")
    (tmp_path / "in/linked.png").symlink_to("deep/a.png")
    (tmp_path / "in/lost.png").symlink_to("nowhere")
    (tmp_path / "in/circle.png").symlink_to("circle.png")
    (tmp_path / "in/back").symlink_to(tmp_path / "in")
    (tmp_path / "in/deep/folder.png").symlink_to(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "in/pipe.png")
    found = find(tmp_path / "in", recursive=True)
    assert [path.name for path in found.pictures] == ["circle.png", "a.png", "linked.png", "lost.png"]
    assert found.links == (tmp_path / "in/back", tmp_path / "in/deep/folder.png")
    assert found.others == hasattr(os, "mkfifo")
    assert find(tmp_path / "in/back", recursive=True).pictures[0] == tmp_path / "in/back/circle.png"
    assert find(tmp_path / "in").links == ()


GROWTH = """
import os, sys
from fsrcnn import folders, ledger, planning
from fsrcnn.size import Size

class Entry:
    def __init__(self, name): self.name, self.path = name, f"/nowhere/in/{name}"
    def is_dir(self): return False
    def is_file(self, follow_symlinks=True): return True

class Entries:
    def __init__(self): self.number = 0
    def __iter__(self): return self
    def close(self): pass
    def __next__(self):
        self.number += 1
        if self.number > 30_000:
            raise StopIteration
        return Entry(f"{self.number}.jpg" if self.number % 10 else f"{self.number}.txt")

os.scandir = lambda path: Entries()
folders.kind = lambda path: "folder" if path.name in ("in", "nowhere", "") else "absent"
def peak(): return int([line for line in open("/proc/self/status") if line.startswith("VmHWM")][0].split()[1])
ledger.YOUNG, ledger.CACHE = 100, 2**18
peaks = []
drawing = planning.Drawing(["/nowhere/in"], "/nowhere/out", Size(factor=2), settled=1000)
count = 0
for job in drawing:
    assert job.error is None, job.error
    count += 1
    if count in (6_000, 26_000):
        peaks.append(peak())
print(count, drawing.found.popitem()[1].others, *peaks)
"""


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="this system does not say what a process takes at most"
)
def test_memory_does_not_grow_with_the_number_of_pictures() -> None:
    """Four times the names of a folder are listed, settled and checked against each other in the memory of the first quarter."""
    done = subprocess.run([sys.executable, "-c", GROWTH], capture_output=True, text=True, check=True)
    count, others, quarter, whole = map(int, done.stdout.split())
    assert (count, others) == (27_000, 3_000)
    assert whole - quarter < 1000  # kB: the hashes of 20,000 names alone would take twice that
