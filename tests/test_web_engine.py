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
from PIL import Image

from browsers import BROWSERS, browsing
from fsrcnn import Size, Upscaler
from fsrcnn.architecture import Architecture
from fsrcnn.arrays import Array
from fsrcnn.engines import native
from fsrcnn.images import Compression
from fsrcnn.integer import IntegerModel
from support import ROOT, random_weights, run_command

DIST = ROOT / "web" / "dist"
MODELS = ("fsrcnn", "fsrcnn-s", "fsrcnn-x", "fsrcnn-photo")
LARGEST_ENGINE = 130_000  # bytes

if not (DIST / "fsrcnn.wasm").exists():
    pytest.skip(
        "web/dist/ is not built: `make web` needs clang-19 for WebAssembly, or ziglang", allow_module_level=True
    )
if not native.available():
    pytest.skip("the native engine was not built: no C++ compiler", allow_module_level=True)


# Networks of one's own: their architectures and seeds.
OWN = {
    "own": (Architecture(10, 6, 2, scale=2), 1),
    "own-odd": (Architecture(7, 3, 0, feature_kernel=7, deconvolution_kernel=5, scale=3, crop=0), 2),
    "own-wide": (Architecture(64, 16, 1, feature_kernel=1, deconvolution_kernel=13, scale=4), 3),
}

JPEG = Compression("JPEG", 60)


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
    weights: str | None = None  # a file in the folder, instead of the model
    compression: Compression | None = None
    grain: int = 1  # pixels of a side that are alike

    @property
    def name(self) -> str:
        after = f"-to-{self.width_after}x{self.height_after}" if self.width_after or self.height_after else ""
        return (
            f"{self.model}-x{self.scale:g}-{self.precision}-{self.dtype}-{self.channels}-{self.width}x{self.height}{after}"
            f"-{self.threads}-{self.hidden:g}"
            + (f"-grain-{self.grain}" if self.grain > 1 else "")
            + (f"-{self.compression.format}-{self.compression.quality}" if self.compression else "")
        )

    @property
    def size(self) -> Size:
        if self.width_after or self.height_after:
            return Size(width=self.width_after, height=self.height_after)
        return Size(factor=self.scale)

    @property
    def on_the_command_line(self) -> bool:
        """Whether Pillow writes such a picture, the command takes it, and it makes sense to be compared again there."""
        small = self.threads > 1 or self.scale == 2.5 or self.channels == 4
        return (
            self.precision == "fast"
            and self.dtype == "uint8"
            and self.channels > 2
            and small
            and not self.width_after
            and not self.compression
        )

    def picture(self) -> Array:
        """Noise that uses the whole range, smooth in places."""
        generator = np.random.default_rng(len(self.name))
        unit = generator.random((self.height, self.width, self.channels))
        unit = unit.repeat(self.grain, 0).repeat(self.grain, 1)[: self.height, : self.width]
        unit[: self.height // 2] = np.round(unit[: self.height // 2])
        if self.channels in (2, 4):
            unit[:, :, -1][generator.random((self.height, self.width)) < self.hidden] = 0
        if self.dtype == "float32":
            return unit.astype(np.float32)
        return (unit * np.iinfo(self.dtype).max).round().astype(self.dtype)

    def asked(self) -> dict[str, Any]:
        size = {key: value for key, value in (("width", self.width_after), ("height", self.height_after)) if value}
        compression = self.compression and self.compression._asdict()
        return {**asdict(self), "name": self.name, "size": size or {"factor": self.scale}, "compression": compression}

    def expected(self) -> Array:
        model = random_weights(*OWN[self.model]) if self.model in OWN else self.model
        upscaler = Upscaler(model, scale=self.scale, engine="native", precision=self.precision)
        pixels = self.picture()
        return upscaler.chosen(pixels, self.size, self.compression)[0](pixels, size=self.size)


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
    *(
        Case(scale=scale, precision="exact", dtype="float32", height=151, threads=threads)
        for scale in (2, 2.5)
        for threads in (1, 3)
    ),
    Case(scale=2.5, channels=4, hidden=0.5, height=150, threads=2),
    Case(scale=5, dtype="uint16", channels=2, hidden=0.5, height=150, threads=3),
    Case(scale=1.3, dtype="uint16", channels=1),
    Case("fsrcnn-x3", scale=2),
    Case("fsrcnn-photo@0.7"),
    *(
        Case(own, scale, precision, weights=f"{own}.safetensors")
        for own, (architecture, _) in OWN.items()
        for scale in (architecture.scale, 1.5)
        for precision in ("fast", "exact")
    ),
    Case(width_after=100),
    Case(width_after=20, height_after=50),
    Case(width_after=15, height_after=9, channels=4, hidden=0.3),
    Case(width_after=34, height_after=21),
    # Two families are chosen, and the first one again: a worker's engines change.
    *(Case("auto", grain=4, compression=compression, height=height) for height in (40, 41) for compression in (None, JPEG)),
    *(Case("auto", scale, grain=4, compression=JPEG, channels=4, hidden=0.3, threads=2, height=60) for scale in (3, 2.5)),
    Case("auto", 4, "exact", "uint16", 1, compression=Compression("WebP")),
    Case("auto", channels=4, threads=3, height=60),
    Case("auto", width_after=34, height_after=21),
]  # fmt: skip
IN_A_BROWSER = [case for number, case in enumerate(CASES) if number % 6 == 0 or case.threads > 1 or case.grain > 1]


def put(folder: Path, cases: list[Case]) -> None:
    """The pictures of cases, and what is asked, into a folder."""
    (folder / "cases.json").write_text(json.dumps([case.asked() for case in cases]))
    for case in cases:
        (folder / f"{case.name}.in").write_bytes(case.picture().tobytes())
    for name, (architecture, seed) in OWN.items():
        random_weights(architecture, seed).save(folder / f"{name}.safetensors")


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
def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("there is no Node here (Debian: apt-get install nodejs)")
    return found


@pytest.fixture(scope="module")
def by_node(node: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with all results of Node."""
    folder = tmp_path_factory.mktemp("node")
    put(folder, CASES)
    subprocess.run([node, ROOT / "tests" / "web_cases.mjs", DIST, folder], check=True, timeout=500)
    return folder


def test_the_engine_is_small() -> None:
    assert (DIST / "fsrcnn.wasm").stat().st_size <= LARGEST_ENGINE


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_node_gives_the_native_bytes(by_node: Path, case: Case) -> None:
    check(by_node, case)


@pytest.mark.parametrize("scale", [2, 2.5])
def test_exact_does_not_hang_on_the_number_of_workers(by_node: Path, scale: float) -> None:
    """The engine sums by pairs of rows, so bands begin with the same pairs."""
    one, three = (
        Case(scale=scale, precision="exact", dtype="float32", height=151, threads=threads) for threads in (1, 3)
    )
    size = f"{round(34 * scale)}x{int(151 * scale + 0.5)}"
    assert (by_node / f"{one.name}.{size}.out").read_bytes() == (by_node / f"{three.name}.{size}.out").read_bytes()


@pytest.mark.parametrize("case", [case for case in CASES if case.on_the_command_line], ids=lambda case: case.name)
def test_node_gives_the_bytes_of_the_command(by_node: Path, case: Case, tmp_path: Path) -> None:
    """Read and written by Pillow, which the command does not use."""
    picture, expected = tmp_path / "in.png", tmp_path / "out.png"
    Image.fromarray(case.picture()).save(picture)
    command = (
        "upscale",
        picture,
        "-o",
        expected,
        "--model",
        case.model,
        "--scale",
        f"{case.scale:g}",
        "--precision",
        "fast",
    )
    assert run_command(*command).returncode == 0
    with Image.open(expected) as opened:
        height, width = opened.height, opened.width
        assert opened.tobytes() == (by_node / f"{case.name}.{width}x{height}.out").read_bytes()


PICTURE = (
    "UpscaleError: a picture is an ImageData, an ImageBitmap, or {data, width, height, channels} with data a Uint8Array, "
    "Uint8ClampedArray, Uint16Array or Float32Array, not "
)
ALONE = " alone does not say its size: give {data, width, height, channels}"
LOAD = "UpscaleError: the options of load are {scale, precision, threads, base}"
UPSCALE = "UpscaleError: the options of upscale are {size, compression, signal, onChoice, onProgress}"
SIZE = "UpscaleError: a size is {factor, width, height, fit}"
FACTOR = "is a number above 1, up to 64 (2, 3, 4, 1.5 …), not"
THREADS = "UpscaleError: threads is a whole number from 1 to 1024, not"
BASE = "UpscaleError: base is an absolute URL, as new URL('./fsrcnn/', import.meta.url), not"
ENDS = {
    "model": "UpscaleError: there is no model 'fsrcnn-z'; there are auto, fsrcnn, fsrcnn-photo, fsrcnn-photo-mild, "
    "fsrcnn-photo-strong, fsrcnn-s, fsrcnn-x, each also with a scale as fsrcnn-x2, fsrcnn-photo@0.7 with a strength of 0 to 1, or "
    "the bytes of a weights file",
    "precision": "UpscaleError: precision is fast or exact, not 'quick'",
    "a long precision": f"UpscaleError: precision is fast or exact, not '{'x' * 80}…'",
    "scale": f"UpscaleError: scale {FACTOR} 1",
    "scale as text": f"UpscaleError: scale {FACTOR} the text '2'",
    "threads": f"{THREADS} 0",
    "a billion threads": f"{THREADS} 1000000000",
    "no options to load": f"{LOAD}, not null",
    "text as options": f"{LOAD}, not 'fast'",
    "a list as options": f"{LOAD}, not [2]",
    "an option that load has not": f"{LOAD}; there is no Scale",
    "a model that is none": "UpscaleError: a model is a name, or a Uint8Array or ArrayBuffer with a weights file's bytes, not a Blob",
    "a relative base": f"{BASE} '/nope/'",
    "a number as base": f"{BASE} 5",
    "a page for a file": "UpscaleError: file://FOLDER/page/fsrcnn.wasm cannot be read",
    "a page for weights": "UpscaleError: fsrcnn-x2 is not in the format safetensors",
    "a page for the table": "UpscaleError: file://FOLDER/page/choice.json cannot be read",
    "base": "UpscaleError: file://FOLDER/fsrcnn.wasm cannot be read",
    "base of auto": "UpscaleError: file://FOLDER/choice.json cannot be read",
    "pickle": "UpscaleError: the weights file is not in the format safetensors",
    "cut": "UpscaleError: the weights file: shrinking.weight does not fit the architecture, or is not float32",
    "bare": "UpscaleError: the weights file holds arrays but says no architecture, so it is none of fsrcnn",
    "architecture": "UpscaleError: the weights file describes no legal architecture",
    "nan": "UpscaleError: the weights file: shrinking.bias holds NaN or infinity",
    "no header": "UpscaleError: the weights file is not in the format safetensors",
    "metadata": "UpscaleError: the weights file is not in the format safetensors",
    "integer": "UpscaleError: the weights file is an integer model, and float weights are needed here; give the weights "
    "that it was made of",
    "offsets": "UpscaleError: the weights file: shrinking.bias does not fit the architecture, or is not float32",
    "simd": "UpscaleError: this browser has no WebAssembly with 128-bit SIMD: take Chrome or Edge from 91, Firefox from 89, or "
    "Safari from 16.4",
    "nothing": f"{PICTURE}undefined",
    "path": f"{PICTURE}'photo.jpg'",
    "null": f"{PICTURE}null",
    "bytes": f"UpscaleError: a Uint8Array{ALONE}",
    "float32 samples alone": f"UpscaleError: a Float32Array{ALONE}",
    "a buffer": f"UpscaleError: an ArrayBuffer{ALONE}",
    "no options to upscale": f"{UPSCALE}, not null",
    "an option that upscale has not": f"{UPSCALE}; there is no factor",
    "an option that choose has not": "UpscaleError: the options of choose are {size, compression}; there is no signal",
    "an option that size has not": f"{SIZE}; there is no siez",
    "an option that compression has not": "UpscaleError: compression is null or {format, quality}; there is no qualty",
    "a big width": "UpscaleError: width is a whole number from 1, not 5n",
    "no size": f"{SIZE}, not null",
    "a size as text": f"{SIZE}, not '2x'",
    "a width as text": "UpscaleError: width is a whole number from 1, not the text '2'",
    "a box as text": "UpscaleError: fit is the [width, height] of a box in whole numbers from 1, not [4, '2']",
    "a width of the picture as text": "UpscaleError: width is a whole number from 1, not the text '2'",
    "signal": "UpscaleError: signal is an AbortSignal, not 'x'",
    "no signal": "UpscaleError: signal is an AbortSignal, not null",
    "a target of events": "UpscaleError: signal is an AbortSignal, not an EventTarget",
    "controller": "UpscaleError: signal is an AbortSignal, not an AbortController",
    "onProgress": "UpscaleError: onProgress is a function, not 'x'",
    "onChoice": "UpscaleError: onChoice is a function, not 5",
    "compression without a format": "UpscaleError: format is the name of a format, as JPEG, not undefined",
    "options that are not given": "nothing went wrong",
    "a signal of another class": "nothing went wrong",
    "float64": f"{PICTURE}{{data: a Float64Array, width: 2, height: 2, channels: 1}}",
    "no pixels": "UpscaleError: height is a whole number from 1, not 0",
    "channels": "UpscaleError: channels is 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGBA), not 5",
    "length": "UpscaleError: 3×2 pixels of 1 channel are 6 samples, not 4",
    "range": "UpscaleError: float32 samples lie in 0 … 1: divide them by their peak first",
    "NaN": "UpscaleError: float32 samples lie in 0 … 1: divide them by their peak first",
    "two sizes": "UpscaleError: a size is a factor, or a width and/or height, or a box to fit into, and only one of these",
    "half a pixel": "UpscaleError: width is a whole number from 1, not 4.5",
    "65 times": "UpscaleError: 2×2 to 130×130 is too much: at most 64 times a side and 8,590 megapixels",
    "8,590 megapixels": "UpscaleError: 2000×2000 to 128000×128000 is too much: at most 64 times a side and 8,590 megapixels",
    "no quality": "UpscaleError: quality is a whole number from 1 to 100, or null, not 0",
    "no format": "UpscaleError: compression is null or {format, quality}, not 'JPEG'",
    "memory": "UpscaleError: a result of 89600×89600 pixels is too large for this tab's memory: give a smaller size",
    "aborted before": "AbortError: This operation was aborted",
    "aborted at once": "AbortError: This operation was aborted",
    "aborted by progress": "Error: enough",
    "aborted by the choice": "Error: enough",
    "aborted while it chooses": "AbortError: This operation was aborted",
    "a choice that fails": "Error: of the page",
    "progress that fails": "Error: of the page",
    "after all that": "nothing went wrong",
    "closed meanwhile": "UpscaleError: this upscaler was closed",
    "closed": "UpscaleError: this upscaler was closed",
}


def test_what_goes_wrong_is_one_sentence(node: str, tmp_path: Path) -> None:
    whole = random_weights(Architecture(10, 6, 2, scale=2))
    data = whole.to_bytes()
    header = json.loads(data[8 : (end := 8 + int.from_bytes(data[:8], "little"))])

    def framed(header: object) -> bytes:
        text = json.dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + data[end:]

    bias = header["shrinking.bias"]
    first, last = bias["data_offsets"]
    whole.arrays["shrinking.bias"][0] = np.nan
    bad = {
        "pickle": b"\x80\x04K\x01.",
        "cut": data[:-100],
        "bare": data.replace(b"fsrcnn.architecture", b"fsrcnn.architexture"),
        "architecture": data.replace(b'\\"scale\\": 2', b'\\"scale\\": 5'),
        "nan": whole.to_bytes(),
        "no header": framed(None),
        "metadata": framed(header | {"__metadata__": "mine"}),
        "integer": IntegerModel.of(random_weights(Architecture(10, 6, 2, scale=2)), "w12a12").to_bytes(),
        "offsets": framed(header | {"shrinking.bias": bias | {"data_offsets": [str(first), last]}}),
    }
    (tmp_path / "page").mkdir()
    shutil.copytree(DIST, tmp_path / "pages")
    for name in ("page/fsrcnn.wasm", "page/choice.json", "pages/models/fsrcnn-x2.safetensors"):
        (tmp_path / name).write_text("<!doctype html>")
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
    command: list[str | Path] = [node, ROOT / "tests" / "web_errors.mjs", DIST, tmp_path]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=200).stdout
    ends = dict(json.loads(line) for line in printed.splitlines())
    assert {name: end.replace(str(tmp_path), "FOLDER") for name, end in ends.items()} == ENDS


def test_what_takes_long_is_done_in_a_worker(node: str, tmp_path: Path) -> None:
    """Where each worker says what it is asked for and does nothing, nothing else does; and a load that failed leaves no worker."""
    dist, alive = tmp_path / "dist", tmp_path / "alive"
    shutil.copytree(DIST, dist)
    (dist / "worker.js").write_text(f"""
        import {{writeFileSync}} from 'node:fs';
        import {{parentPort}} from 'node:worker_threads';
        parentPort.on('message', ({{job}}) => parentPort.postMessage({{error: Object.keys(job).join(' ')}}));
        setTimeout(() => writeFileSync({json.dumps(str(alive))}, ''), 500);
    """)
    program = f"""
        const {{Upscaler}} = await import('{dist}/index.js');
        const said = (error) => console.log(error.message);
        await Upscaler.load('fsrcnn', {{threads: 1}}).catch(said);
        await new Promise((resolve) => setTimeout(resolve, 1000));
        const picture = {{data: new Uint8Array(4), width: 2, height: 2, channels: 1}};
        const up = await Upscaler.load('auto', {{precision: 'exact'}});
        await up.choose(picture).catch(said);
        await up.upscale(picture).catch(said);
        up.close();
        const plain = await Upscaler.load('fsrcnn', {{precision: 'exact'}});
        console.log(await plain.choose(picture));
        await plain.upscale(picture).catch(said);
        plain.close();
    """
    command = [node, "--input-type=module", "--eval", program]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=100).stdout.splitlines()
    assert printed == ["weights", "picture", "picture", "null", "band"]
    assert not alive.exists()


def test_short_memory_is_said(node: str, tmp_path: Path) -> None:
    """A tab whose WebAssembly may have 16 MB: 64 kB a page."""
    program = f"""
        const {{Upscaler}} = await import('{DIST}/index.js');
        const up = await Upscaler.load('fsrcnn', {{threads: 1}});
        const rgba = (side) => ({{data: new Uint8Array(4 * side * side), width: side, height: side, channels: 4}});
        console.log((await up.upscale(rgba(100))).width);
        await up.upscale(rgba(2000)).catch((error) => console.log(error.message));
        console.log((await up.upscale(rgba(100))).width);
    """
    command = [node, "--wasm-max-mem-pages=256", "--input-type=module", "--eval", program]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=100).stdout.splitlines()
    assert printed[0] == printed[2] == "200"
    assert "memory" in printed[1]
    assert printed[1].endswith("take a smaller picture")


@pytest.mark.parametrize("project", ["tsconfig.json", "tsconfig.page.json"])
def test_types(project: str) -> None:
    """TypeScript's compiler finds nothing: in the modules, in a program that uses the package, in the page."""
    compiler = ROOT / "web" / "node_modules" / ".bin" / "tsc"
    if not compiler.exists():
        pytest.skip("TypeScript is not here (cd web && npm ci)")
    if not (ROOT / "src" / "fsrcnn" / "serve" / "page" / "engine" / "index.js").exists():
        pytest.skip("the page's engine is not there (make web)")
    done = subprocess.run(
        [compiler, "--noEmit", "--project", project], cwd=ROOT / "web", capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `npm pack` gives, unpacked."""
    folder = tmp_path_factory.mktemp("package")
    packed = pack(ROOT / "web", folder)
    assert packed.returncode == 0, packed.stderr
    (archive,) = folder.glob("*.tgz")
    assert f"npm install ./{archive.name} " in (ROOT / "web" / "README.md").read_text("utf-8")
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    return folder / "package"


def pack(package: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """`npm pack` of a package into a folder."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm here (Debian: apt-get install npm)")
    command: list[str | Path] = [npm, "pack", "--offline", "--pack-destination", folder, "--cache", folder / "cache"]
    return subprocess.run(command, cwd=package, capture_output=True, text=True, timeout=120, check=False)


def test_the_package_is_whole(package: Path) -> None:
    """The built files, the licence, and nothing of the building."""
    assert sorted(path.name for path in package.iterdir()) == ["LICENSE", "README.md", "dist", "package.json"]
    assert (package / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    for path in DIST.rglob("*"):
        assert path.is_dir() or (package / "dist" / path.relative_to(DIST)).read_bytes() == path.read_bytes()


def test_no_package_without_an_engine(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "web" / "check", tmp_path / "web" / "check")
    for name in ("package.json", "README.md"):
        shutil.copyfile(ROOT / "web" / name, tmp_path / "web" / name)
    packed = pack(tmp_path / "web", tmp_path)
    assert packed.returncode != 0
    assert "there is no engine in dist/: type make web in the repository first" in packed.stderr.splitlines()
    assert not list(tmp_path.rglob("*.tgz"))


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


@pytest.mark.parametrize("browser", BROWSERS)
def test_a_browser_gives_the_native_bytes(browser: str, package: Path, tmp_path: Path) -> None:
    """In a page and in a worker of it, from what `npm pack` gives on a static host. The page reports by itself, without a driver."""
    cases, results, profile = tmp_path / "cases", tmp_path / "results", tmp_path / "profile"
    for folder in (cases, results, profile):
        folder.mkdir()
    put(cases, IN_A_BROWSER)
    with serving(package, cases, results) as (address, said), browsing(browser, address, profile):
        assert said.get(timeout=300).startswith("passed")
    for case in IN_A_BROWSER:
        for where in ("page", "worker"):
            check(results / where, case)
