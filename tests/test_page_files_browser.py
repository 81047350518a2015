"""Picture files of the page in Chromium and Firefox: what only they decode and encode."""

from __future__ import annotations

import base64
import queue
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from PIL import Image

from browsers import BROWSERS, browsing
from fsrcnn import images
from fsrcnn.arrays import Array
from fsrcnn.errors import ImageError
from page_files import (
    ALPHA,
    BAD,
    DAMAGED,
    FILES,
    GREY_PROFILE,
    IPTC,
    PNGS,
    PROFILE,
    RESOLVED,
    RGB,
    TRUNCATED,
    XMP,
    Engine,
    check_metadata,
    check_pixels,
    exif_block,
    hand_made,
    packed,
)
from support import ROOT, saved


@pytest.fixture(scope="module", params=BROWSERS)
def browser(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A page that fetches its jobs, without a driver; what a static host sends, and nothing else."""
    jobs: queue.Queue[str | None] = queue.Queue()
    answers: queue.Queue[str] = queue.Queue()
    opened = threading.Event()
    types = {".js": "text/javascript", ".mjs": "text/javascript", ".html": "text/html"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/job":
                opened.set()
                job = jobs.get()
                self._send(200 if job else 404, (job or "").encode(), "application/json")
                return
            path = FILES.parent / self.path[1:] if self.path.startswith("/files/") else ROOT / "tests" / self.path[1:]
            found = path.is_file()
            self._send(200 if found else 404, path.read_bytes() if found else b"", types.get(path.suffix, "text/plain"))

        def do_POST(self) -> None:
            answers.put(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self._send(204, b"", "text/plain")

        def _send(self, status: int, data: bytes, type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", type)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    def ask(line: str) -> str:
        jobs.put(line)
        return answers.get(timeout=120)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}/page_files.html"
    try:
        with browsing(request.param, address, tmp_path_factory.mktemp("profile")):
            assert opened.wait(120), f"{request.param} does not open the page"
            yield Engine(ask)
    finally:
        jobs.put(None)
        server.shutdown()
        thread.join()
        server.server_close()


SMOOTH = np.asarray(
    Image.fromarray(np.random.default_rng(6).integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize((203, 101))
)


def jpeg_of(*segments: tuple[int, bytes], pixels: Array = RGB, **options: Any) -> bytes:
    data = saved([pixels], "JPEG", **options)
    return data[:20] + b"".join(bytes([255, m]) + struct.pack(">H", len(d) + 2) + d for m, d in segments) + data[20:]


MAIN, FURTHER = b"http://ns.adobe.com/xap/1.0/\0" + XMP, b"http://ns.adobe.com/xmp/extension/\0" + bytes(40)
PHOTOSHOP = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(IPTC)) + IPTC + b"\0" * (len(IPTC) % 2)
LONG_PROFILE = bytearray(PROFILE + bytes(100_000))
LONG_PROFILE[:4] = struct.pack(">I", len(LONG_PROFILE))
JPEGS = {
    **{f"quality {quality} {name}": jpeg_of(pixels=SMOOTH, quality=quality, subsampling=number)
       for quality in (30, 75, 95) for number, name in enumerate(("4:4:4", "4:2:2", "4:2:0"))},
    "noise": jpeg_of(pixels=np.random.default_rng(1).integers(0, 256, (65, 77, 3), dtype=np.uint8), quality=90),
    "progressive": jpeg_of(pixels=SMOOTH, progressive=True),
    "grey": jpeg_of(pixels=RGB[..., 0]),
    "RGB": jpeg_of(pixels=SMOOTH, keep_rgb=True),
    "large": jpeg_of(pixels=np.tile(SMOOTH, (22, 11, 1))),  # of more than one strip
    "one pixel": jpeg_of(pixels=RGB[:1, :1]),
    "full": jpeg_of((0xED, PHOTOSHOP), icc_profile=PROFILE, exif=exif_block(), xmp=XMP, comment=b"said beside", dpi=(300, 150)),
    "UTF-16": jpeg_of(xmp=XMP.decode().encode("utf-16")),
    **{f"extension of XMP {where}": jpeg_of(*segments) for where, segments in {
        "after it": ((0xE1, MAIN), (0xE1, FURTHER)), "before it": ((0xE1, FURTHER), (0xE1, MAIN)), "alone": ((0xE1, FURTHER),),
    }.items()},
    "two XMP, two EXIF": jpeg_of((0xE1, MAIN), (0xE1, MAIN.replace(b"urn:o", b"urn:p")), (0xE1, exif_block(3)), exif=exif_block(6)),
    "oblong pixels": jpeg_of()[:13] + struct.pack(">BHH", 0, 3, 2) + jpeg_of()[18:],
    "centimetres": jpeg_of()[:13] + struct.pack(">BHH", 2, 118, 59) + jpeg_of()[18:],
    "two comments": jpeg_of((0xFE, b"one\0"), (0xFE, b"tw\xff")),
    "resolution": jpeg_of(dpi=(300, 150)),
    "long profile": jpeg_of(icc_profile=bytes(LONG_PROFILE)),
    "profile of grey": jpeg_of(icc_profile=GREY_PROFILE),
    "no end": jpeg_of()[:-2],
    "gain map": jpeg_of((0xE2, b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0")),
    "motion": jpeg_of(xmp=b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><d xmlns:G="http://ns.google.com/photos/1.0/camera/" '
                          b'G:MotionPhoto="1" xmlns:h="http://ns.adobe.com/hdr-gain-map/1.0/" h:Version="1.0" '
                          b'x:Kept="yes"/></x:xmpmeta>')
              + b"mp4",
    **{f"orientation {number}": jpeg_of(exif=exif_block(number)) for number in range(10)},
}  # fmt: skip
WEBPS = {
    "lossy": saved([SMOOTH], "WEBP", quality=80),
    "lossy alpha": saved([ALPHA], "WEBP", quality=80),
    "lossless": saved([RGB], "WEBP", lossless=True),
    "lossless alpha": saved([ALPHA], "WEBP", lossless=True, exact=True),
    "hidden colours": saved([ALPHA * np.array([1, 1, 1, 0], np.uint8)], "WEBP", lossless=True, exact=True),
    "full": saved([RGB], "WEBP", icc_profile=PROFILE, exif=exif_block(), xmp=XMP),
    "full resolution": saved([RGB], "WEBP", exif=exif_block(**RESOLVED)),
    "full alpha": saved([ALPHA], "WEBP", icc_profile=PROFILE, exif=exif_block(8), xmp=XMP, lossless=True, exact=True),
    "one frame": saved([RGB], "WEBP", save_all=True, append_images=[]),
}  # fmt: skip


LESS_EXACT = "colours under low transparency are less exact: this browser reads them multiplied by it"


def check_read(engine: Engine, data: bytes) -> None:
    """The pixels, compression and notes of the command."""
    expected = images.read(data)
    found = engine.read(data)
    pixels, page = found["pixels"], expected.pages[0]
    if LESS_EXACT in found["notes"]:  # where there is no WebGL
        found["notes"].remove(LESS_EXACT)
        assert page.shape[2] == 4
        np.testing.assert_array_equal(pixels[..., 3], page[..., 3])
        pixels, page = pixels[page[..., 3] == 255], page[page[..., 3] == 255]
    np.testing.assert_array_equal(pixels, page)
    assert found["format"] == expected.format
    assert found["compression"] == (expected.compression and expected.compression._asdict())
    assert tuple(found["notes"]) == expected.notes


@pytest.mark.parametrize("name", JPEGS)
def test_a_browser_reads_jpeg(browser: Engine, name: str) -> None:
    check_read(browser, JPEGS[name])


def damaged(data: bytes, seed: int) -> bytes:
    """A JPEG with some other bytes in its coded data, or without some of them."""
    generator = np.random.default_rng(seed)
    changed = bytearray(data)
    start = data.index(b"\xff\xda") + 20
    for at in generator.integers(start, len(data) - 2, 6):
        changed[at] = generator.integers(0, 256)
    if seed % 2:
        del changed[len(data) - 60 : len(data) - 30]
    return bytes(changed)


SCANNED: dict[str, dict[str, Any]] = {
    "sequential": {}, "progressive": {"progressive": True}, "restarts": {"restart_marker_blocks": 5}, "4:2:0": {"subsampling": 2},
    "progressive restarts": {"progressive": True, "restart_marker_rows": 1},
}  # fmt: skip


@pytest.mark.parametrize("name", SCANNED)
def test_damage_of_a_jpeg_is_found_as_libjpeg_finds_it(browser: Engine, name: str) -> None:
    """Browsers go on, and say nothing. Of damage that lets libjpeg read on, it notices less than is refused here."""
    whole = jpeg_of(pixels=SMOOTH[:60, :90], **SCANNED[name])
    check_read(browser, whole)
    theirs, ours = set(), set()
    for seed in range(12):
        data = damaged(whole, seed)
        if (sentence := browser.error(data)) in (DAMAGED, TRUNCATED):
            ours.add(seed)
        assert sentence in ("", DAMAGED, TRUNCATED)
        try:
            images.read(data)
        except ImageError:
            theirs.add(seed)
    assert len(theirs) > 2
    assert len(theirs - ours) <= 0.1 * len(theirs)


def test_bytes_after_the_last_row_of_a_jpeg_hurt_nobody(browser: Engine) -> None:
    whole = jpeg_of()
    check_read(browser, whole[:-2] + bytes(3) + whole[-2:])


@pytest.mark.parametrize("name", WEBPS)
def test_a_browser_reads_webp(browser: Engine, name: str) -> None:
    check_read(browser, WEBPS[name])


@pytest.mark.parametrize("format", ["png", "jpg", "webp"])
@pytest.mark.parametrize(
    "name", [name for name in JPEGS if not name.startswith(("quality", "large", "one", "orientation"))]
)
def test_what_a_jpeg_carries(browser: Engine, name: str, format: str) -> None:
    check_metadata(browser, JPEGS[name], format)


@pytest.mark.parametrize("format", ["png", "jpg", "webp"])
@pytest.mark.parametrize("name", [name for name in WEBPS if name.startswith("full") and "alpha" not in name])
def test_what_a_webp_carries(browser: Engine, name: str, format: str) -> None:
    check_metadata(browser, WEBPS[name], format)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_browser_writes_lossy_webp(browser: Engine, channels: int) -> None:
    """As close to the picture as libvips' of the same quality; alpha and the colours under it are straight."""
    colour = np.dstack(
        [SMOOTH, np.linspace(1, 255, SMOOTH.shape[0] * SMOOTH.shape[1]).reshape(SMOOTH.shape[:2]).astype(np.uint8)]
    )
    pixels = {1: colour[..., 0], 2: colour[..., 2:], 3: colour[..., :3], 4: colour}[channels]
    written, notes = browser.write(None, pixels, format="webp", quality=90)
    assert notes == ()
    expected = images.write(images.Picture((pixels,), "webp"), None, quality=90).data or b""
    reference = images.read(images.write(images.Picture((pixels,), "webp"), None, lossless=True).data or b"").pages[0]
    ours, theirs = (np.abs(images.read(data).pages[0].astype(int) - reference) for data in (written, expected))
    assert ours.mean() < 1.5 * theirs.mean() + 0.2
    if channels % 2 == 0:
        assert ours[..., -1].max() == 0
    assert b"VP8L" not in written[:40]


@pytest.mark.parametrize("delay", [None, 0, 2])
@pytest.mark.parametrize("write", [None, {"format": "png"}])
def test_work_that_nobody_wants_any_more_ends(browser: Engine, write: dict[str, str] | None, delay: int | None) -> None:
    """Before it begins (None) no worker starts; meanwhile (after milliseconds) it ends at once."""
    job: dict[str, Any] = {"name": "the data", "abort": {"delay": delay, "task": "write" if write else "read"}}
    if write:
        job |= {"pixels": packed(np.zeros((600, 800, 4), np.uint8)), "write": write}
    else:
        large = images.Picture((np.zeros((1500, 2000), np.uint8),), "png")
        job["file"] = base64.b64encode(images.write(large, None).data or b"").decode()
    workers = int(delay is not None)
    assert browser(**job) == {"error": "AbortError: nobody wants it", "started": workers, "ended": workers}


@pytest.mark.parametrize("data", [JPEGS["noise"], JPEGS["grey"], WEBPS["lossless"]])
def test_a_browser_that_alters_what_is_read_is_refused(browser: Engine, data: bytes) -> None:
    assert browser.faked("noise").error(data) == (
        "this browser alters what a page reads of pictures (a guard against fingerprints); allow it for this page, or take "
        "“On this computer” or the command line"
    )


@pytest.mark.parametrize("fake", ["no WebGL", "WebGL noise"])
def test_transparency_without_an_exact_way_is_said(browser: Engine, fake: str) -> None:
    data = WEBPS["lossless alpha"]
    found = browser.faked(fake).read(data)
    assert found["notes"] == [LESS_EXACT]
    pixels, page = found["pixels"].astype(int), images.read(data).pages[0].astype(int)
    np.testing.assert_array_equal(pixels[..., 3], page[..., 3])
    opaque = page[..., 3] > 128
    assert np.abs(pixels - page)[opaque].max() <= 1
    check_read(browser.faked(fake), WEBPS["lossless"])


@pytest.mark.parametrize(
    ("fake", "sentence"),
    [
        ("png for WebP",
         "this browser writes no webp; give png or jpg as the format, or take “On this computer” or the command line"),
        ("lossless for WebP",
         "this browser cannot encode 203×101 pixels as webp; give png as the format, or take “On this computer” or the command line"),
    ],
)  # fmt: skip
def test_a_browser_that_writes_no_webp_is_told(browser: Engine, fake: str, sentence: str) -> None:
    answer = browser.faked(fake)(name="the data", pixels=packed(SMOOTH), write={"format": "webp", "quality": 90})
    assert answer == {"error": sentence}
    lossless, _ = browser.faked(fake).write(None, SMOOTH, format="webp", lossless=True)
    np.testing.assert_array_equal(images.read(lossless).pages[0], SMOOTH)


def test_a_browser_does_png_too(browser: Engine) -> None:
    check_pixels(browser, PNGS["full"])
    check_pixels(browser, hand_made(6, 16, 33, 19, interlaced=True))
    for name in ("Adler wrong", "data cut", "bomb", "text", "JPEG cut", "CMYK", "WebP of two sizes"):
        data, sentence = BAD[name]
        assert browser.error(data) == sentence
    with_alpha = np.random.default_rng(2).integers(0, 65_536, (400, 500, 4), dtype=np.uint16)
    written, _ = browser.write(None, with_alpha, format="png")
    np.testing.assert_array_equal(images.read(written).pages[0], with_alpha)
