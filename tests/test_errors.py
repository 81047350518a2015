"""An error has a fact and a remedy, and every door spells the remedy in its own words."""

from __future__ import annotations

import ast
import contextvars
import copy
import inspect
import pickle
import re
from pathlib import Path

import pytest
import typer
import typer.main

from fsrcnn.cli.commands import COMMANDS, app
from fsrcnn.cli.options import Command, as_option
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


# Options of other programs.
OTHERS = {
    "cluster/connection.py": "Ray's, for who starts a cluster or joins one",
    "export/rtl/bench.py": "Verilator's, in the head of a test bench",
    "export/rtl/guide.py": "Verilator's and ours, in the README of a core",
    "export/synthesis.py": "nextpnr's",
}


@pytest.mark.parametrize(
    "module",
    [module for module in MODULES if str(module.relative_to(PACKAGE)) not in OTHERS],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
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


def options_of(command: str) -> frozenset[str]:
    """Of a command, or of all commands of a group."""
    found = typer.main.get_command(app).get_command(None, command)  # type: ignore[attr-defined]
    singles = [found.get_command(None, name) for name in found.commands] if hasattr(found, "commands") else [found]
    return frozenset(option for single in singles for parameter in single.params for option in parameter.opts)


def test_a_command_offers_no_option_that_it_does_not_have() -> None:
    """Within a command, as it runs: a remedy that it cannot offer is left out, the fact stays."""
    large = ImageError("a.png is large", "raise the limit with {max_pixels=9}")
    either = UsageError("a.png exists", "give {existing='replace'} to replace or {existing='skip'} to leave")
    said: list[list[str]] = []
    for option in ("max_pixels", "overwrite"):
        single = typer.Typer(add_completion=False)
        parameter = inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=bool)

        def command(**given: bool) -> None:
            said.append([error.sentence(as_option) for error in (large, either)])

        command.__signature__ = inspect.Signature([parameter])  # type: ignore[attr-defined]
        command.__annotations__ = {option: bool}
        single.command("one", cls=Command)(command)
        contextvars.copy_context().run(typer.main.get_command(single).main, [], standalone_mode=False)
    assert said == [
        ["a.png is large; raise the limit with --max-pixels 9", "a.png exists"],
        ["a.png is large", "a.png exists"],
    ]
    assert large.sentence(as_option).endswith("--max-pixels 9")  # where no command runs, every option is known


REMEDIES = [
    (path, name)
    for path in sorted(PACKAGE.rglob("*.py"))
    for node in ast.walk(ast.parse(path.read_text("utf-8")))
    if isinstance(node, ast.Call) and getattr(node.func, "id", "").endswith("Error") and len(node.args) > 1
    for text in ["".join(str(part.value) for part in ast.walk(node.args[1]) if isinstance(part, ast.Constant))]
    for name in re.findall(r"\{(\w+)", text)
]


def test_remedies_name_arguments_that_some_command_has() -> None:
    assert {name for _, name in REMEDIES} > {"output", "overwrite", "format"}
    known = frozenset().union(*(options_of(command) for command in COMMANDS))
    for path, name in REMEDIES:
        option = as_option(name, None)
        assert option is not None
        assert option in known or option == "`fsrcnn prepare --eval`", f"{path.name}: {option}"
    assert "--eval" in options_of("prepare")
