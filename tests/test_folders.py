"""What is found in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from fsrcnn.errors import ImageError
from fsrcnn.folders import find


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
