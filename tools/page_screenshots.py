"""Photographs of the page, to be looked at: at three widths, light and dark, empty, with one picture, with a queue of twenty.

    python tools/page_screenshots.py FOLDER [--chromium /usr/bin/chromium]

It starts `fsrcnn serve`, and drives a Chromium by `playwright` (PyPI).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyvips
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
WIDTHS = {320: 640, 768: 1024, 1280: 800}  # and the heights that go with them
SCHEMES = ("light", "dark")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the PNGs are written")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser's program")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made, serving() as address, sync_playwright() as playwright:
        pictures = twenty(Path(made))
        browser = playwright.chromium.launch(executable_path=given.chromium, args=["--no-sandbox"])
        for width, height in WIDTHS.items():
            for scheme in SCHEMES:
                photograph(browser, address, pictures, (width, height), scheme, given.folder)
        browser.close()


@contextmanager
def serving() -> Iterator[str]:
    """The address of a server with the page."""
    command = [sys.executable, "-m", "fsrcnn", "serve", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            yield next(found[0] for line in server.stderr if (found := re.search(r"http://[^\s;]+", line)))
        finally:
            server.terminate()


def twenty(folder: Path) -> list[Path]:
    """Nineteen parts of a picture, and a file that is none."""
    picture = pyvips.Image.new_from_file(str(ROOT / "examples" / "astronaut.png"))
    paths = []
    for number in range(1, 20):
        part = picture.crop(4 * number, 4 * number, picture.width - 80, picture.height - 80 - 3 * number)
        paths.append(folder / f"astronaut {number}{'.jpg' if number % 3 else '.png'}")
        part.write_to_file(str(paths[-1]))
    paths.insert(3, folder / "no picture.png")
    paths[3].write_bytes(b"This is no picture.")
    return paths


def photograph(
    browser: Browser, address: str, pictures: list[Path], size: tuple[int, int], scheme: Any, folder: Path
) -> None:
    """Each state of the page at one size and in one scheme."""
    width, height = size
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = context.new_page()

    def shoot(state: str) -> None:
        page.screenshot(path=folder / f"{state}-{width}-{scheme}.png", full_page=True)
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            print(f"{state} at {width}, {scheme}: {wide} pixels wide, so that it scrolls sideways")

    page.goto(address)
    page.locator("input[name=where]:checked").wait_for(state="attached")
    shoot("empty")
    page.locator("#files").set_input_files(ROOT / "examples" / "astronaut.png")
    page.get_by_role("button", name="Show astronaut.png").and_(page.locator(":enabled")).wait_for()
    page.wait_for_timeout(1000)  # until the bicubic side is there
    shoot("one")
    page.locator("#options summary").click()
    page.locator("#factor").fill("0.5")
    shoot("options")
    page.locator("#factor").fill("2")
    page.locator("#options summary").click()
    page.get_by_role("button", name="4:1").click()
    page.get_by_label("Side by side").check()
    page.wait_for_timeout(500)
    shoot("zoomed")
    page.get_by_label("Side by side").uncheck()
    page.get_by_role("button", name="Fit", exact=True).click()
    page.locator("#files").set_input_files(pictures)
    page.wait_for_timeout(400)
    shoot("busy")
    page.get_by_text("20 of 21 done, 1 failed", exact=True).wait_for()
    page.wait_for_timeout(500)
    shoot("queue")
    context.close()


if __name__ == "__main__":
    main()
