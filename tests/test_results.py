"""The committed results of benchmarks all have one shape, and the pages quote them as they are."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from support import ROOT

RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.json"))
TABLES = ROOT / "tools" / "tables.py"


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_a_result_says_what_where_when_and_of_which_code(path: Path) -> None:
    result = json.loads(path.read_text("utf-8"))
    assert list(result) == ["what", "machine", "versions", "date", "commit", "results"]
    assert result["what"]
    assert result["machine"]["processor"]
    assert result["machine"]["threads"] >= 1
    assert {"python", "fsrcnn", "numpy", "pyvips-binary"} <= set(result["versions"])
    assert date.fromisoformat(result["date"]) >= date(2026, 11, 1)
    assert re.fullmatch(r"[0-9a-f]{7,40}", result["commit"]), (
        "measure a clean checkout, so that the commit says what ran"
    )
    assert result["results"]


def test_a_script_makes_that_shape(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from machine import outcome, save; "
        "save(outcome('nothing', [1], ['torch'], 3, device='none'), Path(sys.argv[1]))"
    )
    saved = tmp_path / "result.json"
    command = [sys.executable, "-c", program, str(saved)]
    printed = subprocess.run(command, check=True, capture_output=True, cwd=ROOT / "benchmarks").stdout
    result = json.loads(saved.read_text("utf-8"))
    assert json.loads(printed) == result
    assert list(result) == ["what", "machine", "versions", "date", "commit", "results"]
    assert result["machine"]["threads"] == 3
    assert result["machine"]["device"] == "none"
    assert "torch" in result["versions"]


def test_the_pages_quote_the_results() -> None:
    done = subprocess.run([sys.executable, TABLES, "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_figure_changed_by_hand_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TABLES.parent))
    import tables

    for page in tables.TABLES:
        text = (ROOT / page).read_text("utf-8")
        for name in tables.TABLES[page]:
            end = text.index(f"<!-- {name}: end -->", text.index(f"<!-- {name}: begin -->"))
            figure = max(place for place in range(end) if text[place].isdigit())
            edited = text[:figure] + str((int(text[figure]) + 1) % 10) + text[figure + 1 :]
            renewed, differing = tables.renewed(page, edited)
            assert (renewed, differing) == (text, [name])
