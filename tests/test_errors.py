"""An error has a fact and a remedy, and every door spells the remedy in its own words."""

from __future__ import annotations

import ast
import copy
import pickle
import re
from pathlib import Path

import pytest

from fsrcnn.cli.options import as_option
from fsrcnn.errors import FsrcnnError, ImageError, MissingExtraError, UsageError, printable
from support import ROOT


def test_doors() -> None:
    error = ImageError(
        "a.png exists", "give {overwrite=True} to replace it, {existing='skip'} to leave it, or another {output}"
    )
    assert (
        str(error) == "a.png exists; give overwrite=True to replace it, existing='skip' to leave it, or another output"
    )
    assert (
        error.sentence(as_option)
        == "a.png exists; give --overwrite to replace it, --skip-existing to leave it, or another --output"
    )

    def as_field(name: str, value: str | None) -> str:
        return f'"{name}"'

    assert error.sentence(as_field).startswith('a.png exists; give "overwrite" to replace it, "existing"')
    large = ImageError("bomb.png has 900 megapixels", "if you trust the file, raise it with {max_pixels=900000000}")
    assert large.sentence(as_option).endswith("raise it with --max-pixels 900000000")
    assert str(large).endswith("raise it with max_pixels=900000000")


def test_a_fact_alone_and_braces_in_names() -> None:
    assert str(FsrcnnError("no such thing as {scale}")) == "no such thing as {scale}"
    assert FsrcnnError("fact").about("a.png") == "a.png: fact"
    assert FsrcnnError("a.png is gone").about("a.png") == "a.png is gone"
    assert FsrcnnError("it is flat", "give {quality}").about("a.png", as_option) == "a.png: it is flat; give --quality"


@pytest.mark.parametrize("error", [FsrcnnError("fact", "give {format}"), UsageError("fact")])
def test_errors_travel_between_processes(error: FsrcnnError) -> None:
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (type(twin), twin.fact, twin.remedy, str(twin)) == (type(error), error.fact, error.remedy, str(error))


@pytest.mark.parametrize("kind", [FsrcnnError, UsageError, MissingExtraError])
def test_an_error_gets_the_name_of_what_it_is_about(kind: type[FsrcnnError]) -> None:
    error = kind("it is flat", "give {quality}")
    assert (type(error.named("a.png")), error.named("a.png").fact) == (kind, "a.png: it is flat")
    assert error.named("a.png").sentence(as_option) == "a.png: it is flat; give --quality"
    assert error.named("flat") is error


PACKAGE = ROOT / "src/fsrcnn"
MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if "cli" not in path.relative_to(PACKAGE).parts]


def literals(source: str) -> list[str]:
    """All string literals of a module but its docstrings; of f-strings, the parts between braces."""
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]


def options_in(source: str) -> list[str]:
    """The literals that spell an option; `pip install --…` is pip's own."""
    return [text for text in literals(source) if re.search(r"--[a-z]", re.sub(r"pip install [^'\"]*", "", text))]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_command_line_spells_options(module: Path) -> None:
    """A library's remedy names arguments: `{overwrite=True}`. Each door spells them in its own way."""
    assert options_in(module.read_text("utf-8")) == []


def test_options_would_be_found() -> None:
    assert len(MODULES) > 30
    assert options_in("def f():\n    '''as --doc says'''\n    raise ValueError(f'{f}; give --over')") == [
        "; give --over"
    ]
    assert options_in("hint = 'use --eval'") == ["use --eval"]
    assert options_in("hint = 'type: pip install --no-deps .'") == []


def test_what_a_file_calls_itself_cannot_move_the_cursor() -> None:
    """Control characters, turned writing, bytes of no text; and a name of 10,000 characters."""
    error = FsrcnnError("a\x1b[2Jb\n\x9b\u202ec\udce9é×… is wrong", "give {overwrite=True} for \r")
    assert str(error) == r"a\x1b[2Jb\n\x9b\u202ec\udce9é×… is wrong; give overwrite=True for \r"
    assert printable(str(error)) == str(error)
    long = str(FsrcnnError("A" * 10_000 + " is wrong"))
    assert long.endswith("A is wrong")
    assert len(long) < 1000
