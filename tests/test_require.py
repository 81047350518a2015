"""A package that is missing is named with the command that installs it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from fsrcnn.errors import MissingExtraError
from fsrcnn.require import require


def test_an_installed_package_comes_back() -> None:
    assert require("math", "sums", extra="train") is math
    assert require("importlib.metadata", "versions", extra="train").version("fsrcnn")


@pytest.mark.parametrize(
    ("package", "source", "reason"),
    [
        ("package_a", None, "which is not installed"),
        ("package_b", "import fsrcnn_nothing", r"which cannot be loaded \(No module named 'fsrcnn_nothing'\)"),
        ("package_c", "raise ImportError('of another Python')", r"which cannot be loaded \(of another Python\)"),
        (
            "package_d",
            "raise OSError('libsome.so: no such file')",
            r"which cannot be loaded \(libsome.so: no such file\)",
        ),
        (
            "package_e",
            "import math; math.nothing",
            r"which cannot be loaded \(module 'math' has no attribute 'nothing'\)",
        ),
    ],
)
def test_a_package_that_is_missing_or_broken(
    package: str, source: str | None, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    if source is not None:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")
        (tmp_path / package / "part.py").write_text(source)
    with pytest.raises(MissingExtraError, match=f"^sums need {package}, {reason}; type: pip install 'fsrcnn.train.'$"):
        require(f"{package}.part", "sums", extra="train")
    with pytest.raises(ImportError, match=r"type: pip install 'other\[binary\]'$"):
        require(f"{package}.part", "sums", extra="binary", of="other")
