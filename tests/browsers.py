"""Browsers without a driver, for pages that report by themselves what they found."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

BROWSERS = {
    "chromium": ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--user-data-dir={profile}"),
    "firefox-esr": ("--headless", "--no-remote", "--profile", "{profile}"),
}
"""Name of the program, and of Debian's package → what it is started with."""


@contextlib.contextmanager
def browsing(name: str, address: str, folder: Path) -> Iterator[None]:
    """An address, open in a browser of which all that it keeps lies in `folder`; skipped where the browser is not installed."""
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"there is no {name} here (Debian: apt-get install {name})")
    options = [option.format(profile=folder) for option in BROWSERS[name]]
    process = subprocess.Popen(
        [program, *options, address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=at_home(folder)
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def at_home(folder: Path) -> dict[str, str]:
    """An environment in which `folder` is home: Firefox, where it can write nothing at home, starts and opens no page."""
    return {**os.environ, "HOME": str(folder)}
