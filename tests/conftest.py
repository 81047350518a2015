"""Fixtures: the data beside the repository; a test that needs it is skipped with its reason where it is missing."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import hypothesis
import hypothesis.configuration
import pytest

from fsrcnn.cli import signals
from support import ROOT, SHARED

hypothesis.configuration.set_hypothesis_home_dir(ROOT / ".hypothesis")  # wherever the tests are started
hypothesis.settings.register_profile("fsrcnn", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("fsrcnn")

pytest_plugins = ("tabs", "c_library", "object_store")

LONGEST_TEST = int(os.environ.get("FSRCNN_LONGEST_TEST", "600"))  # seconds: a test that waits for ever has failed


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--reverse", action="store_true", help="run the tests in reverse order: none may need another one")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--reverse"):
        items.reverse()


@pytest.fixture(autouse=True)
def _no_hanging() -> Iterator[None]:
    def give_up(number: int, frame: FrameType | None) -> None:
        pytest.fail(f"this test takes longer than {LONGEST_TEST} seconds")

    if not hasattr(signal, "setitimer"):  # Windows
        yield
        return
    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_TEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    """The entry point, called in this process, sets what its signals do, and leaves them ignored."""
    before = {number: signal.getsignal(number) for number in signals.SIGNALS}
    yield
    signals._first = None
    for number, handler in before.items():
        signal.signal(number, handler)


def _found(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not here; set FSRCNN_SHARED to the folder that holds datasets/ and references/")
    return path


@pytest.fixture(scope="session")
def datasets() -> Path:
    return _found("datasets")


@pytest.fixture(scope="session")
def references() -> Path:
    return _found("references")
