"""Large packages are imported only where `pyproject.toml` says, by a statement or by name."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

import fsrcnn
from support import ROOT

SOURCE = ROOT / "src"
CONTRACT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"][1]
LARGE = set(CONTRACT["forbidden_modules"])
BY_NAME = ("require", "import_module")


def imported(path: Path) -> set[str]:
    """The packages that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
            if function in BY_NAME:
                names.add(str(node.args[0].value))
    return {name.partition(".")[0] for name in names}


def test_large_packages_are_imported_only_where_the_contract_says() -> None:
    allowed = [tuple(entry.split(" -> ")) for entry in CONTRACT["ignore_imports"]]
    found = set()
    for path in SOURCE.rglob("*.py"):
        module = ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
        for package in imported(path) & LARGE:
            found.add(package)
            matching = [pattern for pattern, name in allowed if name == package and fnmatchcase(module, pattern)]
            assert matching, f"{module} imports {package}"
    assert {"torch", "h5py", "pyvips", "PIL", "typer"} <= found


def test_an_import_by_name_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        'import torch.nn\nfrom PIL import Image\ndef f():\n    require("h5py", "files")\n    importlib.import_module("scipy.io")\n'
    )
    assert imported(path) == {"torch", "PIL", "h5py", "scipy"}


def test_public_names_are_there_when_asked_for() -> None:
    """`import fsrcnn` alone loads nothing of size; each name of `__all__` has one home, and comes out of it."""
    script = (
        "import sys, fsrcnn; assert not {'numpy', 'fsrcnn.upscaler'} & set(sys.modules); fsrcnn.Upscaler; import numpy"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    subprocess.run(
        [sys.executable, "-c", "import fsrcnn; fsrcnn.errors.UsageError; fsrcnn.engines; fsrcnn.pretrained"], check=True
    )
    homes = [name for names in fsrcnn._HOMES.values() for name in names]
    assert sorted(homes) == sorted(fsrcnn.__all__)
    assert all(getattr(fsrcnn, name).__name__ == name for name in fsrcnn.__all__)
    assert set(fsrcnn.__all__) < set(dir(fsrcnn))
    assert fsrcnn.__version__[0].isdigit()
    with pytest.raises(AttributeError, match="no attribute 'imresize_'"):
        fsrcnn.imresize_  # noqa: B018
