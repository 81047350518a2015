"""What lies at a path, and what is found in a folder."""

from __future__ import annotations

import errno
import os
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
