"""Tabs of a real Chromium with the page in them: fixtures of the files `test_page_*.py`.

The page comes from `fsrcnn serve` in a process of its own, or from a plain host of files under a path. A tab complains of what a
person would not see: errors on its console, exceptions nobody caught, what the Content-Security-Policy refused. No test may leave a
complaint.
"""

from __future__ import annotations

import base64
import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

import fsrcnn
from fsrcnn.arrays import Array
from support import ENVIRONMENT, heed_interrupts, run_command, saved

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, CDPSession, ConsoleMessage, FilePayload, Locator, Page

PAGE = Path(fsrcnn.__file__).parent / "serve" / "page"
ENGINE = PAGE / "engine" / "fsrcnn.wasm"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
LONGEST = 30_000  # milliseconds to wait for anything

RGB = np.kron(np.random.default_rng(0).integers(0, 256, (5, 6, 3)), np.ones((8, 8, 1))).astype(np.uint8)
PNG = saved([RGB], "PNG")
FLAT = saved([np.full((1500, 1500), 90, np.uint8)], "PNG")
"""A small file that takes longer than any test waits at ×8."""


# Where the page comes from.


@dataclass
class Server:
    """A running `fsrcnn serve`."""

    process: subprocess.Popen[str]
    address: str
    port: int

    def end(self) -> None:
        """At once, as by a failure of power."""
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def serving(folder: Path, *arguments: str, port: int = 0) -> Iterator[Server]:
    """`fsrcnn serve`, with `folder` as the system's for temporary files."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fsrcnn", "serve", "--port", str(port), *arguments], stderr=subprocess.PIPE, text=True,
        env={**ENVIRONMENT, "TMPDIR": str(folder)}, preexec_fn=heed_interrupts if os.name == "posix" else None,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
        assert found, line + process.stderr.read()
        yield Server(process, found[0], int(found[1]))
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@dataclass
class Host:
    """A host of files without anything that computes: what was asked of it, as `GET /path`, and how to make it go away."""

    address: str
    asked: list[str]
    end: Callable[[], None]


@contextlib.contextmanager
def hosting(folder: Path, path: str = "/tools/fsrcnn/") -> Iterator[Host]:
    """The page, as it lies in the package, under a path of a plain host."""
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def translate_path(self, given: str) -> str:
            within = given.split("?")[0].removeprefix(path)
            return super().translate_path(f"/{within}") if given.startswith(path) else str(folder / "nothing")

        def parse_request(self) -> bool:
            understood = super().parse_request()
            asked.append(f"{self.command} {self.path}")
            return understood

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    # A system may call them otherwise.
    Handler.extensions_map = {**Handler.extensions_map, ".js": "text/javascript", ".wasm": "application/wasm"}
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(PAGE)))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()

    def end() -> None:
        server.shutdown()
        thread.join()
        server.server_close()

    host = Host(f"http://127.0.0.1:{server.server_port}{path}", asked, end)
    try:
        yield host
    finally:
        if thread.is_alive():
            end()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    for package in ("starlette", "uvicorn", "python_multipart"):
        pytest.importorskip(package)
    with serving(tmp_path_factory.mktemp("temporary")) as running:
        yield running


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    if not ENGINE.exists():
        pytest.skip("the page has no engine of its own: `make web` builds it")
    with hosting(tmp_path_factory.mktemp("nothing")) as running:
        yield running


@pytest.fixture
def engine() -> None:
    """The page can compute in the browser."""
    if not ENGINE.exists():
        pytest.skip("the page has no engine of its own: `make web` builds it")


# The browser.


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="tests of the page need playwright (requirements-dev.txt)"
    )
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here (Debian: apt-get install chromium)")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visits:
    """What people open in a browser. Each has a profile of its own but for the tabs of one context."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self.complaints: list[str] = []
        self.expected: list[str] = []
        """Patterns of complaints that a test provokes."""

    def context(self, **options: Any) -> BrowserContext:
        context = self._browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        context.set_default_timeout(LONGEST)
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.add_init_script(
            """addEventListener('securitypolicyviolation', ({violatedDirective, blockedURI}) =>
                 console.error(`CSP: ${violatedDirective} ${blockedURI}`));"""
        )
        self._contexts.append(context)
        return context

    def __call__(self, address: str, where: str | None = None, **options: Any) -> Tab:
        """A tab with the page.

        Args:
            where: `browser` or `server`, where it computes; None: as the page has it at first.
            options: of the browser's context.
        """
        return self.tab(self.context(**options), address, where)

    def tab(self, context: BrowserContext, address: str, where: str | None = None) -> Tab:
        tab = Tab(context.new_page())
        tab.open(address)
        if where:
            tab.compute(where)
        return tab

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.text} {message.location['url']}")

    def close(self) -> None:
        for context in self._contexts:
            context.close()
        unexpected = [
            text for text in self.complaints if not any(re.search(pattern, text) for pattern in self.expected)
        ]
        assert unexpected == []


NO_SERVER = r"404 .*/v1/models$"
"""The question whether a host of files has a server: the browser reports its answer by itself."""


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visits]:
    visits = Visits(chromium)
    visits.expected.append(NO_SERVER)
    yield visits
    visits.close()


class Tab:
    """The page as a person has it before them."""

    def __init__(self, page: Page) -> None:
        self.page = page
        page.on(
            "filechooser", lambda chooser: None
        )  # Playwright begins to catch them now, and not as late as one opens

    @property
    def cdp(self) -> CDPSession:
        """For what Playwright has no words: touches, drags of files."""
        return self.page.context.new_cdp_session(self.page)

    def open(self, address: str) -> None:
        self.page.goto(address)
        self.page.wait_for_function("() => document.querySelector('input[name=where]:checked:enabled')")

    def compute(self, where: str) -> None:
        self.page.locator("#where label", has=self.page.locator(f"[value={where}]")).click()
        assert self.page.locator("input[name=where]:checked").get_attribute("value") == where

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def until(self, condition: str, given: Any = None) -> None:
        """Wait until an asynchronous function of the page gives true, which `wait_for_function` takes its promise for."""
        for _ in range(LONGEST // 100):
            if self.page.evaluate(condition, given):
                return
            self.page.wait_for_timeout(100)
        pytest.fail(f"it never came to {condition}")

    # Options.

    def choose(self, **options: Any) -> None:
        """Fill in the form: fields by their names."""
        if self.page.locator("#options").get_attribute("open") is None:
            self.page.locator("#options summary").click()
        for name, value in options.items():
            field = self.page.locator(f"#options [name={name}]")
            kind = field.evaluate("(field) => field.type")
            if kind == "checkbox":
                field.set_checked(value)
            elif kind == "select-one":
                field.select_option(value)
            else:
                field.fill(str(value))

    # Pictures.

    def add(self, *pictures: tuple[str, bytes]) -> None:
        """Choose files as the button for it has them chosen."""
        count = len(self.names()) + len(pictures)
        with self.page.expect_file_chooser() as chooser:
            self.page.locator("#choose-files").click()
        chooser.value.set_files([payload(*picture) for picture in pictures])
        self.listed(count)

    def add_folder(self, folder: Path, count: int) -> None:
        """Choose a folder with so many pictures."""
        count += len(self.names())
        with self.page.expect_file_chooser() as chooser:
            self.button("Choose a folder").click()
        chooser.value.set_files(folder)
        self.listed(count)

    def listed(self, count: int) -> None:
        """Wait for so many pictures in the queue."""
        self.page.wait_for_function("(count) => document.querySelectorAll('#items li').length === count", arg=count)

    def row(self, name: str) -> Locator:
        return self.page.locator("#items > li", has=self.page.get_by_role("button", name=f"Show {name}", exact=True))

    def names(self) -> list[str]:
        """Of the lines of the queue, in their order."""
        return self.page.locator("#items .name").all_text_contents()

    def state(self, name: str, *wanted: str) -> str:
        """What became of a picture, when it has come to one of these states."""
        row = self.row(name)
        chosen = ", ".join(f"[data-state={state}]" for state in wanted or ("done", "failed", "cancelled"))
        row.and_(self.page.locator(chosen)).wait_for(state="attached")
        return str(row.get_attribute("data-state"))

    def remark(self, name: str) -> str:
        """What its line says about a picture."""
        return plain(self.row(name).locator(".remark").text_content())

    def done(self, name: str) -> None:
        """Wait until a picture is done."""
        assert self.state(name) == "done", self.remark(name)

    def save(self, name: str) -> tuple[str, bytes]:
        """Save the result of a picture: the file's name and what it holds."""
        return self.downloaded(self.button(f"Save {name}"))

    def save_all(self) -> dict[str, bytes]:
        """Save all results as a zip: the files' names and what they hold."""
        name, data = self.downloaded(self.button("Save all as zip"))
        assert name == "pictures.zip"
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert archive.testzip() is None
            return {entry: archive.read(entry) for entry in archive.namelist()}

    def downloaded(self, button: Locator) -> tuple[str, bytes]:
        with self.page.expect_download() as download:
            button.click()
        return download.value.suggested_filename, Path(download.value.path()).read_bytes()

    def told(self, text: str) -> None:
        """Wait until the page says something."""
        self.page.locator("#news", has_text=re.compile(f"^{re.escape(text)}$")).wait_for()

    # The viewer.

    def show(self, name: str) -> None:
        self.page.get_by_role("button", name=f"Show {name}", exact=True).click()
        self.page.locator("#stage[data-empty=false]").wait_for()

    def canvas(self) -> Array:
        """What the viewer has drawn: (h, w, 4), in pixels of the screen."""
        drawn = self.page.evaluate(
            "() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve(canvas.toDataURL()))))"
        )
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(drawn.partition(",")[2]))))


def payload(name: str, data: bytes) -> FilePayload:
    """A file for a chooser; a browser knows its type by its name or its content, as of one from a disk."""
    return {"name": name, "mimeType": "", "buffer": data}


def plain(text: str | None) -> str:
    """A text without spaces at which no line is broken."""
    return (text or "").replace("\xa0", " ")


def by_command(folder: Path, files: Sequence[tuple[str, bytes]], *options: str) -> dict[str, bytes]:
    """What `fsrcnn upscale` makes of pictures beside them: the files' names and what they hold."""
    before = {name for name, _ in files}
    for name, data in files:
        (folder / name).write_bytes(data)
    done = run_command("upscale", *(name if name[0] != "-" else f"./{name}" for name in before), *options, cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in before}
