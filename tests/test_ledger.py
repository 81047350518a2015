"""Names in bounded memory, against a dictionary."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsrcnn import ledger
from fsrcnn.ledger import Ledger

NAMES = st.text("ab/é\udce9", max_size=3)
STEPS = st.lists(
    st.tuples(st.sampled_from(["get", "put", "claim"]), NAMES, st.text("xy\udce9", max_size=2)), max_size=60
)


@pytest.fixture(autouse=True, params=[1, 3, 1000])
def _young(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many names, all go to the file."""
    monkeypatch.setattr(ledger, "YOUNG", request.param)


@given(steps=STEPS)
def test_a_ledger_knows_what_a_dictionary_does(steps: list[tuple[str, str, str]]) -> None:
    known: dict[str, str] = {}
    names = Ledger()
    for what, name, text in steps:
        if what == "put":
            names.put(name, text)
            known[name] = text
            continue
        found = names.claim(name, text) if what == "claim" else names.get(name)
        assert found == known.get(name) or found == known[name].encode("utf-8", "backslashreplace").decode()
        if what == "claim":
            known.setdefault(name, text)
    names.close()
    assert names.get("a") is None


def test_the_file_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever becomes of the process, nothing of it is left."""
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path))
    names = Ledger()
    for number in range(5000):
        names.put(str(number), "x" * 100)
    assert [names.get(str(number)) for number in range(5000)] == ["x" * 100] * 5000
    assert not list(tmp_path.iterdir())
