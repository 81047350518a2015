"""Fixtures: the data beside the repository; a test that needs it is skipped with its reason where it is missing."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

from support import SHARED

hypothesis.settings.register_profile("fsrcnn", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("fsrcnn")


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
