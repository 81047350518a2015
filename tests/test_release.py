"""What a release says of itself: one version everywhere, a citation, and source distributions and wheels that are whole."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import fsrcnn
from support import ROOT

VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]


def test_the_version_is_the_same_everywhere() -> None:
    newest = re.search(r"^## (\S+) – (\S+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == VERSION
    assert newest[2] == "unreleased" or re.fullmatch(r"\d{4}-\d{2}-\d{2}", newest[2])
    cited = re.findall(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.MULTILINE)
    assert cited == [VERSION]
    lock = json.loads((ROOT / "web" / "package-lock.json").read_text("utf-8"))
    package = json.loads((ROOT / "web" / "package.json").read_text("utf-8"))
    assert [package["version"], lock["version"], lock["packages"][""]["version"]] == [VERSION] * 3
    assert fsrcnn.__version__ == VERSION, "the installed package is older: type pip install --editable ."


def test_the_citation_names_the_paper() -> None:
    cffconvert = pytest.importorskip(
        "cffconvert", reason="the citation is checked with cffconvert; type: pip install -r requirements-clients.txt"
    )
    text = (ROOT / "CITATION.cff").read_text("utf-8")
    cffconvert.Citation(text).validate()
    assert "10.1007/978-3-319-46475-6_25" in text


def built(arguments: list[str], folder: Path) -> Path:
    """What scikit-build-core makes of this tree, as pip and `build` call it."""
    pytest.importorskip("scikit_build_core", reason="packages are built by scikit-build-core; type: make test")
    program = (
        "import json, sys; from scikit_build_core import build; "
        "print(getattr(build, sys.argv[1])(sys.argv[2], json.loads(sys.argv[3])))"
    )
    made = subprocess.run(
        [sys.executable, "-c", program, arguments[0], str(folder), arguments[1]],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return folder / made.stdout.splitlines()[-1]


def tracked(*folders: str) -> set[str]:
    """The files that git has."""
    if not (ROOT / ".git").exists():
        pytest.skip("what belongs into a package is asked of git: type git clone")
    listed = subprocess.run(
        ["git", "ls-files", "-z", *folders], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return {name for name in listed.split("\0") if name and (ROOT / name).exists()}


def test_a_source_distribution_is_what_git_has(tmp_path: Path) -> None:
    with tarfile.open(built(["build_sdist", "{}"], tmp_path)) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    assert tracked() <= names
    surplus = {name for name in names - tracked() if not name.startswith("src/fsrcnn/serve/page/engine/")}
    untracked = subprocess.run(
        ["git", "ls-files", "-z", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\0")  # fmt: skip
    assert surplus - set(untracked) == {"PKG-INFO"}


def test_a_wheel_without_an_engine_is_whole(tmp_path: Path) -> None:
    wheel = built(["build_wheel", '{"wheel.cmake": "false"}'], tmp_path)
    assert wheel.name == f"fsrcnn-{VERSION}-py3-none-any.whl"
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name and not name.endswith("/")}
    assert {name.removeprefix("src/") for name in tracked("src/fsrcnn")} <= names
    assert {"fsrcnn/py.typed", "fsrcnn/serve/page/index.html", "fsrcnn/pretrained/fsrcnn-x2.safetensors"} <= names
    assert not [name for name in names if name.endswith((".so", ".pyd", ".pyc"))]
    engine = ROOT / "src" / "fsrcnn" / "serve" / "page" / "engine"
    if engine.exists():  # as make web made it
        made = {
            f"fsrcnn/serve/page/engine/{path.relative_to(engine).as_posix()}"
            for path in engine.rglob("*")
            if path.is_file()
        }
        assert made <= names
