"""What `export rtl` may replace, and what the name of a model does in Verilog."""

from __future__ import annotations

from pathlib import Path

import pytest

from fsrcnn import models
from fsrcnn.errors import FsrcnnError, UsageError
from fsrcnn.export import rtl
from fsrcnn.integer import IntegerModel


@pytest.fixture(scope="module")
def core() -> IntegerModel:
    return IntegerModel.of(models.resolve("fsrcnn-s", 2), "w12a12")


def test_a_manifest_of_another_program_is_no_core(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"files": ["mine.js"], "name": "an extension"}')
    (tmp_path / "mine.js").write_text("mine")
    with pytest.raises(FsrcnnError, match="files that are not a core's"):
        rtl.check(tmp_path, True)


def test_a_link_in_a_core_is_somebodys(core: IntegerModel, tmp_path: Path) -> None:
    folder, other = tmp_path / "core", tmp_path / "other"
    other.mkdir()
    rtl.write(core, folder, width=1, cycles=64)
    rtl.check(folder, True)
    (folder / "link").symlink_to(other)
    with pytest.raises(FsrcnnError, match=r"not a core.s.*link"):
        rtl.check(folder, True)


def test_a_large_folder_is_not_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(Path, "rglob", lambda *_: pytest.fail("looked through"))
    with pytest.raises(UsageError, match="exists and is not empty"):
        rtl.check(tmp_path, False)


def test_a_name_is_no_command_of_a_tool(core: IntegerModel) -> None:
    text = rtl.texts(core, rtl.plan(core.architecture, 1, 64), "verilator lint_off")["fsrcnn_core.v"]
    assert "// verilator" not in text
