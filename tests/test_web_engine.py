"""The engine in a browser (`web/`, made by `make web`): in Node, Chromium and Firefox against the native engine, byte for byte."""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fsrcnn import Size, Upscaler
from fsrcnn.arrays import Array
from fsrcnn.engines import native
from support import ROOT

DIST = ROOT / "web" / "dist"
MODELS = ("fsrcnn", "fsrcnn-s", "fsrcnn-x", "fsrcnn-photo")
LARGEST_ENGINE = 130_000  # bytes

if not (DIST / "fsrcnn.wasm").exists():
    pytest.skip(
        "web/dist/ is not built: `make web` needs clang-19 for WebAssembly, or ziglang", allow_module_level=True
    )
if not native.available():
    pytest.skip("the native engine was not built: no C++ compiler", allow_module_level=True)


@dataclass(frozen=True)
class Case:
    """A picture of noise and what is asked of the package: fields as of `Upscaler.load` and `upscale` there."""

    model: str = "fsrcnn"
    scale: float = 2
    precision: str = "fast"
    dtype: str = "uint8"
    channels: int = 3
    height: int = 21
    width: int = 34
    threads: int = 1
    hidden: float = 0  # the part of the pixels under alpha 0
    width_after: int | None = None
    height_after: int | None = None

    @property
    def name(self) -> str:
        after = f"-to-{self.width_after}x{self.height_after}" if self.width_after or self.height_after else ""
        return (
            f"{self.model}-x{self.scale:g}-{self.precision}-{self.dtype}-{self.channels}-{self.width}x{self.height}{after}"
            f"-{self.threads}-{self.hidden:g}"
        )

    @property
    def size(self) -> Size:
        if self.width_after or self.height_after:
            return Size(width=self.width_after, height=self.height_after)
        return Size(factor=self.scale)

    def picture(self) -> Array:
        """Noise that uses the whole range, smooth in places."""
        generator = np.random.default_rng(len(self.name))
        unit = generator.random((self.height, self.width, self.channels))
        unit[: self.height // 2] = np.round(unit[: self.height // 2])
        if self.channels in (2, 4):
            unit[:, :, -1][generator.random((self.height, self.width)) < self.hidden] = 0
        if self.dtype == "float32":
            return unit.astype(np.float32)
        return (unit * np.iinfo(self.dtype).max).round().astype(self.dtype)

    def asked(self) -> dict[str, Any]:
        size = {key: value for key, value in (("width", self.width_after), ("height", self.height_after)) if value}
        return {**asdict(self), "name": self.name, "size": size or {"factor": self.scale}}

    def expected(self) -> Array:
        upscaler = Upscaler(self.model, scale=self.scale, engine="native", precision=self.precision)
        return upscaler(self.picture(), size=self.size)


CASES = [
    *(Case(model, scale, precision) for model in MODELS for scale in (2, 3, 4) for precision in ("fast", "exact")),
    *(Case(height=h, width=w) for h, w in ((1, 1), (1, 2), (2, 1), (3, 130), (131, 3), (17, 1031))),
    *(
        Case(precision=precision, dtype=dtype, channels=channels, hidden=0.3)
        for precision in ("fast", "exact")
        for dtype in ("uint8", "uint16", "float32")
        for channels in (1, 2, 3, 4)
    ),
    *(Case(channels=4, hidden=hidden, height=70) for hidden in (0.0, 0.95, 1.0)),
    *(
        Case(model, height=height, width=21, threads=threads, channels=channels, hidden=0.5)
        for model in ("fsrcnn", "fsrcnn-x")
        for height, threads, channels in ((97, 2, 3), (97, 2, 4), (200, 3, 3), (200, 3, 4))
    ),
    *(
        Case(scale=scale, precision=precision, channels=channels, hidden=0.2)
        for scale in (1.5, 2.5, 3.7, 5, 6, 8, 9.3)
        for precision, channels in (("fast", 4), ("exact", 3))
    ),
    Case(scale=2.5, channels=4, hidden=0.5, height=150, threads=2),
    Case(scale=5, dtype="uint16", channels=2, hidden=0.5, height=150, threads=3),
    Case(scale=1.3, dtype="uint16", channels=1),
    Case("fsrcnn-x3", scale=2),
    Case("fsrcnn-photo@0.7"),
    Case(width_after=100),
    Case(width_after=20, height_after=50),
    Case(width_after=15, height_after=9, channels=4, hidden=0.3),
    Case(width_after=34, height_after=21),
]  # fmt: skip
IN_A_BROWSER = [case for number, case in enumerate(CASES) if number % 6 == 0 or case.threads > 1]


def put(folder: Path, cases: list[Case]) -> None:
    """The pictures of cases, and what is asked, into a folder."""
    (folder / "cases.json").write_text(json.dumps([case.asked() for case in cases]))
    for case in cases:
        (folder / f"{case.name}.in").write_bytes(case.picture().tobytes())


def check(folder: Path, case: Case) -> None:
    """Compare a result in a folder with the native engine's."""
    expected = case.expected()
    height, width = expected.shape[:2]
    data = (folder / f"{case.name}.{width}x{height}.out").read_bytes()
    result = np.frombuffer(data, case.dtype).reshape(expected.shape)
    if case.precision == "fast":
        np.testing.assert_array_equal(result, expected)
        return
    # Rounding may take a difference of 1e-5 to the next whole number.
    whole = case.dtype != "float32"
    peak = float(np.iinfo(case.dtype).max) if whole else 1.0
    difference = np.abs(result.astype(np.float64) - expected)
    assert difference.max() <= (np.ceil(1e-5 * peak) if whole else 1e-5)


@pytest.fixture(scope="module")
def by_node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with all results of Node."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no Node here (Debian: apt-get install nodejs)")
    folder = tmp_path_factory.mktemp("node")
    put(folder, CASES)
    subprocess.run([node, ROOT / "tests" / "web_cases.mjs", DIST, folder], check=True, timeout=500)
    return folder


def test_the_engine_is_small() -> None:
    assert (DIST / "fsrcnn.wasm").stat().st_size <= LARGEST_ENGINE


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_node_gives_the_native_bytes(by_node: Path, case: Case) -> None:
    check(by_node, case)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `npm pack` gives, unpacked."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm here (Debian: apt-get install npm)")
    folder = tmp_path_factory.mktemp("package")
    pack = [npm, "pack", "--offline", "--pack-destination", folder, "--cache", folder / "cache"]
    subprocess.run(pack, cwd=ROOT / "web", check=True, capture_output=True, timeout=120)
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    return folder / "package"


TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".html": "text/html"}


@contextmanager
def serving(package: Path, cases: Path, results: Path) -> Iterator[tuple[str, queue.Queue[str]]]:
    """A static host without any headers for threads: its address, and what the page says at its end."""
    said: queue.Queue[str] = queue.Queue()
    folders = {"package": package, "cases": cases, "results": results}

    class Handler(BaseHTTPRequestHandler):
        def _path(self) -> Path:
            first, _, rest = self.path.lstrip("/").partition("/")
            return folders[first] / rest if first in folders else ROOT / "tests" / first

        def do_GET(self) -> None:
            path = self._path()
            found = path.is_file()
            data = path.read_bytes() if found else b""
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", TYPES.get(path.suffix, "application/octet-stream"))
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/results/end":
                said.put(data.decode())
            else:
                path = self._path()
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(data)
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/web_page.html", said
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


BROWSERS = {
    "chromium": ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--user-data-dir={profile}"),
    "firefox-esr": ("--headless", "--no-remote", "--profile", "{profile}"),
}


@pytest.mark.parametrize("browser", BROWSERS)
def test_a_browser_gives_the_native_bytes(browser: str, package: Path, tmp_path: Path) -> None:
    """In a page and in a worker, of what `npm pack` gives, from a static host. The page reports by itself: no driver is needed."""
    program = shutil.which(browser)
    if program is None:
        pytest.skip(f"there is no {browser} here (Debian: apt-get install {browser})")
    cases, results, profile = tmp_path / "cases", tmp_path / "results", tmp_path / "profile"
    for folder in (cases, results, profile):
        folder.mkdir()
    put(cases, IN_A_BROWSER)
    options = [option.format(profile=profile) for option in BROWSERS[browser]]
    with serving(package, cases, results) as (address, said):
        process = subprocess.Popen([program, *options, address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            assert said.get(timeout=300).startswith("passed")
        finally:
            process.terminate()
            process.wait(30)
    for case in IN_A_BROWSER:
        for where in ("page", "worker"):
            check(results / where, case)
