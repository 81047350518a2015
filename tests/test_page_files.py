"""Picture files of the page (`serve/page/files/`) against libvips, Pillow and `fsrcnn upscale`: in Node what needs no browser, the
rest in Chromium and Firefox."""

from __future__ import annotations

import base64
import codecs
import io
import json
import queue
import shutil
import struct
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as of_numpy
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from fsrcnn import images
from fsrcnn.arrays import Array
from fsrcnn.errors import ImageError
from fsrcnn.images import tags
from support import ROOT, png_bomb, png_chunk, saved

FILES = ROOT / "src" / "fsrcnn" / "serve" / "page" / "files"
SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = png_chunk(b"IEND", b"")
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
IPTC = b"\x1c\x02\x50\0\2Me\x1c\x02\x78\0\5Hello"  # by-line and caption
XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
 xmlns:t="http://ns.adobe.com/tiff/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:o="urn:o" t:Orientation="6" o:Orientation="6"
 exif:PixelXDimension='32'><exif:PixelYDimension>24</exif:PixelYDimension><t:Make>\xe2\x82\xac</t:Make></rdf:Description></rdf:RDF>
</x:xmpmeta>"""


class Engine:
    """What answers questions one after the other: a program that reads lines, or a page that fetches them."""

    def __init__(self, ask: Callable[[str], str]) -> None:
        self._ask = ask

    def __call__(self, **job: Any) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._ask(json.dumps(job)))
        return answer

    def read(self, data: bytes, name: str = "the data") -> dict[str, Any]:
        """What `read` gives, with its pixels as an array."""
        answer = self(file=base64.b64encode(data).decode(), name=name)
        assert "error" not in answer, answer["error"]
        about = answer["pixels"]
        flat = np.frombuffer(base64.b64decode(about["data"]), np.uint16 if about["deep"] else np.uint8)
        shape = (about["height"], about["width"], about["channels"])
        answer["pixels"] = flat.reshape(shape if shape[2] > 1 else shape[:2])
        return answer

    def write(self, source: bytes | None, pixels: Array | None = None, **options: Any) -> tuple[bytes, tuple[str, ...]]:
        """A file, of the pixels and metadata of another or of pixels of its own; and the notes of both."""
        job: dict[str, Any] = {"name": "the data", "write": options}
        if source is not None:
            job["file"] = base64.b64encode(source).decode()
        if pixels is not None:
            job["pixels"] = packed(pixels)
        answer = self(**job)
        assert "error" not in answer, answer["error"]
        return base64.b64decode(answer["file"]), tuple(answer["notes"])

    def error(self, data: bytes, name: str = "the data") -> str:
        """Why a file is not read; empty where it is."""
        return str(self(file=base64.b64encode(data).decode(), name=name).get("error", ""))


def packed(pixels: Array) -> dict[str, Any]:
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    data = base64.b64encode(np.ascontiguousarray(pixels).tobytes()).decode()
    deep = pixels.dtype == np.uint16
    return {"data": data, "width": pixels.shape[1], "height": pixels.shape[0], "channels": channels, "deep": deep}


@pytest.fixture(scope="module")
def node() -> Iterator[Engine]:
    program = shutil.which("node")
    if program is None:
        pytest.skip("there is no Node here (Debian: apt-get install nodejs)")
    command: list[str | Path] = [program, ROOT / "tests" / "page_files.mjs", FILES]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout

        def ask(line: str) -> str:
            assert process.stdin
            assert process.stdout
            process.stdin.write(line + "\n")
            process.stdin.flush()
            return process.stdout.readline()

        yield Engine(ask)
        process.stdin.close()


BROWSERS = {
    "chromium": ("--headless=new", "--no-sandbox", "--no-first-run", "--user-data-dir={profile}"),
    "firefox-esr": ("--headless", "--no-remote", "--profile", "{profile}"),
}


@pytest.fixture(scope="module", params=BROWSERS)
def browser(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A page that fetches its jobs, without a driver; what a static host sends, and nothing else."""
    program = shutil.which(request.param)
    if program is None:
        pytest.skip(f"there is no {request.param} here (Debian: apt-get install {request.param})")
    jobs: queue.Queue[str | None] = queue.Queue()
    answers: queue.Queue[str] = queue.Queue()
    types = {".js": "text/javascript", ".mjs": "text/javascript", ".html": "text/html"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/job":
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
    profile = tmp_path_factory.mktemp("profile")
    options = [option.format(profile=profile) for option in BROWSERS[request.param]]
    address = f"http://127.0.0.1:{server.server_port}/page_files.html"
    process = subprocess.Popen([program, *options, address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield Engine(ask)
    finally:
        jobs.put(None)
        process.terminate()
        process.wait(30)
        server.shutdown()
        thread.join()
        server.server_close()


# ---- PNG: pixels in ----

SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
KINDS = [
    (colour, bits) for colour, depths in {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}.items()
    for bits in depths
]  # fmt: skip
PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def header(width: int, height: int, bits: int = 8, colour: int = 2, interlace: int = 0) -> bytes:
    return png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlace))


def paeth(a: int, b: int, c: int) -> int:
    distances = [abs(b - c), abs(a - c), abs(a + b - 2 * c)]
    return (a, b, c)[distances.index(min(distances))]


def filtered(rows: list[bytes], step: int, first: int) -> bytes:
    """Rows with filters 0 to 4 in turn."""
    result, above = b"", bytes(len(rows[0])) if rows else b""
    for number, row in enumerate(rows):
        kind = (first + number) % 5
        result += bytes([kind])
        for i, value in enumerate(row):
            a, c = (row[i - step], above[i - step]) if i >= step else (0, 0)
            result += bytes([(value - (0, a, above[i], (a + above[i]) // 2, paeth(a, above[i], c))[kind]) & 255])
        above = row
    return result


def hand_made(
    colour: int, bits: int, width: int, height: int, *, interlaced: bool = False, seed: int = 0, pieces: int = 1,
    chunks: bytes = b"", colours: int = 256, first: int = 0,
) -> bytes:  # fmt: skip
    """A PNG of noise, with all filters."""
    generator = np.random.default_rng(seed)
    peak = min(2**bits, colours) if colour == 3 else 2**bits
    samples = generator.integers(0, peak, (height, width, SAMPLES[colour]))
    data = b""
    for x, y, step_x, step_y in PASSES if interlaced else [(0, 0, 1, 1)]:
        rows = []
        for row in samples[y::step_y, x::step_x]:
            digits = "".join(f"{int(value):0{bits}b}" for value in row.ravel())
            if digits:
                digits += "0" * (-len(digits) % 8)
                rows.append(int(digits, 2).to_bytes(len(digits) // 8, "big"))
        if rows:
            data += filtered(rows, max(1, bits * SAMPLES[colour] // 8), first)
    packed_data = zlib.compress(data)
    cut = [len(packed_data) * i // pieces for i in range(pieces + 1)]
    body = b"".join(png_chunk(b"IDAT", packed_data[cut[i] : cut[i + 1]]) for i in range(pieces))
    return SIGNATURE + header(width, height, bits, colour, interlaced) + chunks + body + END


def palette(colours: int = 256) -> bytes:
    return png_chunk(b"PLTE", np.random.default_rng(5).integers(0, 256, 3 * colours, dtype=np.uint8).tobytes())


def check_pixels(engine: Engine, data: bytes) -> None:
    expected = images.read(data).pages[0]
    pixels = engine.read(data)["pixels"]
    assert pixels.dtype == expected.dtype
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (8, 8), (33, 19)])
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("colour", "bits"), KINDS)
def test_png_of_every_kind(node: Engine, colour: int, bits: int, interlaced: bool, size: tuple[int, int]) -> None:
    width, height = size
    colours = 2**bits if colour == 3 else 0
    data = hand_made(
        colour, bits, width, height, interlaced=interlaced, seed=bits, first=width % 5, pieces=1 + width % 7,
        chunks=palette(colours) if colour == 3 else b"",
    )  # fmt: skip
    check_pixels(node, data)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("colour", "bits"), [(colour, bits) for colour, bits in KINDS if colour in (0, 2, 3)])
def test_png_with_a_transparent_colour(node: Engine, colour: int, bits: int, interlaced: bool) -> None:
    if colour == 3:
        chunks = palette(2**bits) + png_chunk(b"tRNS", bytes(range(2 ** (bits - 1))))
    else:  # of the noise, a value of the first pixel
        first = np.random.default_rng(2).integers(0, 2**bits, (9, 11, SAMPLES[colour]))[0, 0]
        chunks = png_chunk(b"tRNS", struct.pack(f">{SAMPLES[colour]}H", *first))
    data = hand_made(colour, bits, 11, 9, seed=2, chunks=chunks, interlaced=interlaced)
    check_pixels(node, data)
    assert (images.read(data).pages[0][..., -1] != (65535 if bits == 16 else 255)).any()


ROW = zlib.compress(b"".join(b"\0" + bytes([10, 20, 30] * 4) for _ in range(4)))
PLAIN = SIGNATURE + header(4, 4) + png_chunk(b"IDAT", ROW) + END
PHYS = png_chunk(b"pHYs", struct.pack(">IIB", 3000, 4000, 1))


def of(*chunks: bytes) -> bytes:
    return SIGNATURE + b"".join(chunks)


@pytest.mark.parametrize(
    "data",
    [
        PLAIN, PLAIN + b"junk", PLAIN[:-12], PLAIN[:-4],
        of(header(4, 4), png_chunk(b"tEXt", b"a\0b"), png_chunk(b"IDAT", ROW), png_chunk(b"tEXt", b"c\0d"), END),
        of(header(4, 4), png_chunk(b"abCd", b""), png_chunk(b"IDAT", ROW), END),
        of(header(4, 4), png_chunk(b"IDAT", zlib.compress(zlib.decompress(ROW) * 2)), END),  # more than there are pixels
        of(header(4, 4), png_chunk(b"tRNS", b"\0\x0a"), png_chunk(b"IDAT", ROW), END),  # of no colour
        of(header(4, 4), png_chunk(b"acTL", bytes([0, 0, 0, 1, 0, 0, 0, 0])), png_chunk(b"IDAT", ROW), END),
        hand_made(3, 8, 9, 7, chunks=palette(200), colours=256),  # indices beyond the palette
        hand_made(3, 4, 9, 7, chunks=palette(7) + png_chunk(b"tRNS", bytes(9))),  # more than there are colours
        hand_made(6, 8, 9, 7, chunks=png_chunk(b"tRNS", bytes(6))),
    ],
)  # fmt: skip
def test_png_as_they_come(node: Engine, data: bytes) -> None:
    check_pixels(node, data)


ARRAYS = of_numpy.arrays(
    st.sampled_from([np.uint8, np.uint16]),
    st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 4)),
    fill=st.nothing(),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pixels=ARRAYS, interlaced=st.booleans(), filters=st.sampled_from(["none", "up", "paeth", "all"]))
def test_png_of_libvips_and_back(node: Engine, pixels: Array, interlaced: bool, filters: str) -> None:
    pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    grey = pixels.ndim == 2 or pixels.shape[2] == 2
    space = ("grey16" if grey else "rgb16") if pixels.dtype == np.uint16 else "b-w" if grey else "srgb"
    image = pyvips.Image.new_from_array(pixels).copy(interpretation=space)
    data = image.pngsave_buffer(interlace=interlaced, filter=filters)
    np.testing.assert_array_equal(node.read(data)["pixels"], pixels)
    written, notes = node.write(data, format="png")
    assert notes == ()
    np.testing.assert_array_equal(pyvips.Image.new_from_buffer(written, "", fail_on="error").numpy(), pixels)
    np.testing.assert_array_equal(images.read(written).pages[0], pixels)
    if pixels.dtype == np.uint8:
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(written))), pixels)


def test_a_written_png_is_not_larger_than_that_of_the_command(node: Engine) -> None:
    picture = images.read((ROOT / "examples" / "astronaut.png").read_bytes())
    ours, _ = node.write(None, picture.pages[0], format="png")
    theirs = images.write(replace(picture, metadata={}), None).data or b""
    assert len(ours) < 0.8 * len(theirs)
    with Image.open(io.BytesIO(ours)) as opened:
        opened.verify()


# ---- PNG and others that are refused ----

DAMAGED = (
    "the data is damaged, or of a kind that fsrcnn does not read; the command line takes what can be decoded of it with "
    "--tolerant"
)
TRUNCATED = "the data is truncated; the command line takes what is left of it with --tolerant"
TAKEN = "in the browser PNG, JPEG and WebP are taken, and “On this computer” or the command line takes this one, too"


def wrong(chunk: bytes) -> bytes:
    """A chunk with a wrong checksum."""
    return chunk[:-1] + bytes([chunk[-1] ^ 1])


IDAT = png_chunk(b"IDAT", ROW)
JPEG = saved([np.random.default_rng(1).integers(0, 256, (24, 32, 3), dtype=np.uint8)], "JPEG", quality=80)
WEBP = saved([np.random.default_rng(1).integers(0, 256, (24, 32, 3), dtype=np.uint8)], "WEBP", lossless=True)
GREY = np.zeros((8, 8), np.uint8)
BAD = {
    "empty": (b"", "the data is empty (0 bytes)"),
    "text": (b"no picture at all\n" * 9, "the data is not a picture that this browser engine reads (png, jpg, webp)"),
    "signature": (SIGNATURE, TRUNCATED),
    "header cut": (PLAIN[:20], TRUNCATED),
    "header wrong": (of(wrong(header(4, 4)), IDAT, END), DAMAGED),
    "no header": (of(png_chunk(b"tEXt", b"a\0b"), header(4, 4), IDAT, END), DAMAGED),
    "two headers": (of(header(4, 4), header(4, 4), IDAT, END), DAMAGED),
    "0 wide": (of(header(0, 4), IDAT, END), DAMAGED),
    "0 high": (of(header(4, 0), IDAT, END), DAMAGED),
    "3 bits": (of(header(4, 4, 3), IDAT, END), DAMAGED),
    "colour type 5": (of(header(4, 4, 8, 5), IDAT, END), DAMAGED),
    "4 bits RGB": (of(header(4, 4, 4), IDAT, END), DAMAGED),
    "interlace 2": (of(header(4, 4, 8, 2, 2), IDAT, END), DAMAGED),
    "method 1": (of(png_chunk(b"IHDR", bytes([0, 0, 0, 4, 0, 0, 0, 4, 8, 2, 1, 0, 0])), IDAT, END), DAMAGED),
    "no data": (of(header(4, 4), END), DAMAGED),
    "no palette": (of(header(4, 4, 8, 3), IDAT, END), DAMAGED),
    "palette of 5 bytes": (of(header(4, 4, 8, 3), png_chunk(b"PLTE", bytes(5)), IDAT, END), DAMAGED),
    "palette wrong": (of(header(4, 4, 8, 3), wrong(palette()), IDAT, END), DAMAGED),
    "critical": (of(header(4, 4), png_chunk(b"ABCD", b""), IDAT, END), DAMAGED),
    "data wrong": (of(header(4, 4), wrong(IDAT), END), DAMAGED),
    "data cut": (of(header(4, 4), IDAT)[:-15], TRUNCATED),
    "data apart": (
        of(header(4, 4), png_chunk(b"IDAT", ROW[:5]), PHYS, png_chunk(b"IDAT", ROW[5:]), END), DAMAGED
    ),
    "too few rows": (of(header(4, 5), IDAT, END), DAMAGED),
    "no zlib": (of(header(4, 4), png_chunk(b"IDAT", b"no zlib at all"), END), DAMAGED),
    "Adler wrong": (of(header(4, 4), png_chunk(b"IDAT", ROW[:-1] + b"\0"), END), DAMAGED),
    "Adler cut": (of(header(4, 4), png_chunk(b"IDAT", ROW[:-4]), END), DAMAGED),
    "filter 5": (of(header(4, 4), png_chunk(b"IDAT", zlib.compress(b"\5" + bytes(12) * 4 + bytes(3))), END), DAMAGED),
    "chunk beyond the end": (of(header(4, 4), b"\x80\0\0\1tEXt", IDAT, END), TRUNCATED),
    "bomb": (
        png_bomb(20_000, 20_000),
        "the data has 20000×20000 = 400 megapixels, more than the limit of 268 megapixels; if you trust the file, the command line "
        "takes it with --max-pixels",
    ),
    "APNG": (
        saved([GREY, GREY + 9], "PNG"),
        "the data has 2 frames; in the browser a picture has one, and “On this computer” or the command line takes all of them",
    ),
    "GIF": (saved([GREY], "GIF"), f"the data is a GIF; {TAKEN}"),
    "TIFF": (saved([GREY], "TIFF"), f"the data is a TIFF; {TAKEN}"),
    "BMP": (saved([GREY], "BMP"), f"the data is a BMP; {TAKEN}"),
    "AVIF": (saved([np.zeros((8, 8, 3), np.uint8)], "AVIF"), f"the data is an AVIF; {TAKEN}"),
    "HEIC": (
        b"\0\0\0\x18ftypheic" + bytes(16),
        "the data is HEIC; in the browser PNG, JPEG and WebP are taken: make it one of these first",
    ),
    "PDF": (b"%PDF-1.7\n" + bytes(90), "the data is not a picture that this browser engine reads (png, jpg, webp)"),
    "JPEG cut": (JPEG[: len(JPEG) // 2], TRUNCATED),
    "JPEG header cut": (JPEG[:100], TRUNCATED),
    "JPEG bomb": (
        JPEG.replace(struct.pack(">HH", 24, 32), struct.pack(">HH", 60_000, 60_000), 1),
        "the data has 60000×60000 = 3,600 megapixels, more than the limit of 268 megapixels; if you trust the file, the command "
        "line takes it with --max-pixels",
    ),
    "CMYK": (
        saved([np.zeros((8, 8, 4), np.uint8)], "JPEG", mode="CMYK"),
        "the data is a CMYK JPEG; in the browser grey and RGB are taken, and “On this computer” or the command line takes this one, "
        "too",
    ),
    "WebP cut": (WEBP[:-30], TRUNCATED),
    "WebP without pictures": (b"RIFF\x0c\0\0\0WEBPICCP\0\0\0\0", DAMAGED),
    "WebP animated": (
        saved([np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 99, np.uint8)], "WEBP"),
        "the data has 2 frames; in the browser a picture has one, and “On this computer” or the command line takes all of them",
    ),
}  # fmt: skip
TAKEN_BY_THE_COMMAND = ("APNG", "GIF", "TIFF", "BMP", "AVIF", "CMYK", "WebP animated")


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_one_sentence(node: Engine, name: str) -> None:
    data, sentence = BAD[name]
    assert node.error(data) == sentence
    if name in TAKEN_BY_THE_COMMAND:
        images.read(data)
    else:
        with pytest.raises(ImageError):
            images.read(data)


# ---- What a file carries, beside what `fsrcnn upscale` writes ----


def exif_block(orientation: int = 6, maker_note: bytes = b"note", **main: Any) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist], exif[ExifTags.Base.Copyright] = "Artist of it", "(c) somebody"
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.ImageWidth] = orientation, 32
    for name, value in main.items():
        exif[ExifTags.Base[name]] = value
    camera, place = exif.get_ifd(ExifTags.IFD.Exif), exif.get_ifd(ExifTags.IFD.GPSInfo)
    camera[ExifTags.Base.ExifImageWidth], camera[ExifTags.Base.ExifImageHeight] = 32, 24
    camera[ExifTags.Base.LensModel], camera[ExifTags.Base.MakerNote] = "A lens", maker_note
    place[ExifTags.GPS.GPSLatitudeRef], place[ExifTags.GPS.GPSLatitude] = "N", (50.0, 1.0, 2.0)
    return exif.tobytes()


RESOLVED = {"XResolution": 300.0, "YResolution": 150.0, "ResolutionUnit": 2}
PNG_LIGHT = png_chunk(b"mDCV", bytes(range(24)))
GREY_PROFILE = images.colour.profile_of_gamma(struct.pack(">I", 100_000), None, grey=True) or b""
RGB = np.random.default_rng(3).integers(0, 256, (24, 32, 3), dtype=np.uint8)
ALPHA = np.random.default_rng(4).integers(0, 256, (24, 32, 4), dtype=np.uint8)


def png_of(*chunks: bytes, pixels: Array = RGB, **options: Any) -> bytes:
    data = saved([pixels], "PNG", **options)
    return data[:33] + b"".join(chunks) + data[33:]


def texts(*pairs: tuple[str, str], compressed: bool = False) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for keyword, text in pairs:
        info.add_itxt(keyword, text, zip=compressed)
    return info


def exif_chunk(*arguments: Any, **options: Any) -> bytes:
    return png_chunk(b"eXIf", exif_block(*arguments, **options).removeprefix(b"Exif\0\0"))


def gamma(value: int) -> bytes:
    return png_chunk(b"gAMA", struct.pack(">I", value))


CHROMATICITIES = png_chunk(b"cHRM", struct.pack(">8I", 31_270, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000))
PNGS = {
    "plain": png_of(),
    "full": png_of(
        icc_profile=PROFILE, exif=exif_block(), pnginfo=texts(("prompt", "a cat"), ("XML:com.adobe.xmp", XMP.decode()))),
    "packed XMP": png_of(pnginfo=texts(("XML:com.adobe.xmp", XMP.decode()), compressed=True)),
    "texts": png_of(png_chunk(b"tEXt", b"one\0a"), png_chunk(b"zTXt", b"two\0\0" + zlib.compress(b"b")),
                    png_chunk(b"tEXt", b"three\0c"),
                    *(png_chunk(b"tEXt", f"more {i}\0d".encode()) for i in range(4))),
    "resolution": png_of(png_chunk(b"pHYs", struct.pack(">IIB", 11_811, 5_906, 1))),
    "resolution, EXIF without one": png_of(exif_chunk(), png_chunk(b"pHYs", struct.pack(">IIB", 11_811, 5_906, 1))),
    "two resolutions": png_of(exif_chunk(**RESOLVED), png_chunk(b"pHYs", struct.pack(">IIB", 1_000, 1_000, 1))),
    "centimetres": png_of(exif_chunk(**RESOLVED | {"ResolutionUnit": 3})),
    "sRGB": png_of(png_chunk(b"sRGB", b"\0"), gamma(45_455)),
    "gamma": png_of(gamma(100_000)),
    "gamma of sRGB": png_of(gamma(45_455)),
    "gamma of 0": png_of(gamma(0)),
    "chromaticities": png_of(gamma(45_455), CHROMATICITIES),
    "colours on a line": png_of(png_chunk(b"cHRM", bytes(32))),
    "grey gamma": png_of(gamma(100_000), pixels=RGB[..., 0]),
    "Display P3": png_of(png_chunk(b"cICP", bytes([12, 13, 0, 1]))),
    "BT.2020": png_of(png_chunk(b"cICP", bytes([9, 14, 0, 1]))),
    "unknown code points": png_of(png_chunk(b"cICP", bytes([77, 13, 0, 1]))),
    "sRGB by code points": png_of(png_chunk(b"cICP", bytes([1, 13, 0, 1])), gamma(100_000)),
    "light levels": png_of(PNG_LIGHT, png_chunk(b"cLLI", bytes(8))),
    "profile and gamma": png_of(gamma(100_000), PNG_LIGHT, icc_profile=PROFILE),
    "grey profile": png_of(pixels=RGB[..., 0], icc_profile=GREY_PROFILE),
    "profile of grey": png_of(icc_profile=GREY_PROFILE),
    "profile of RGB": png_of(pixels=RGB[..., 0], icc_profile=PROFILE),
    "profile cut": png_of(icc_profile=PROFILE[:-2]),
    "profile and more": png_of(icc_profile=PROFILE + b"\0\0\0"),
    "no profile": png_of(png_chunk(b"iCCP", b"x\0\0no zlib")),
    "alpha": png_of(pixels=ALPHA, icc_profile=PROFILE),
    "grey alpha": png_of(pixels=ALPHA[..., 2:]),
    "visible": png_of(pixels=np.dstack([RGB, np.full((24, 32), 255, np.uint8)])),
    "large maker note": png_of(exif_chunk(1, b"m" * 64_000)),
    "large EXIF": png_of(exif_chunk(1, ImageDescription="d" * 70_000)),
    "padded XMP": png_of(pnginfo=texts(("XML:com.adobe.xmp", XMP.decode() + " " * 70_000 + '<?xpacket end="w"?>'))),
    "large XMP": png_of(pnginfo=texts(("XML:com.adobe.xmp", XMP.decode().replace("</x:", "m" * 70_000 + "</x:")))),
    **{f"orientation {number}": png_of(exif_chunk(number)) for number in (0, 2, 3, 4, 5, 7, 8, 9)},
}  # fmt: skip


def enlarged(picture: images.Picture) -> images.Picture:
    """Twice as large, as `Upscaler.picture` does it."""
    resolution = picture.resolution and (2 * picture.resolution[0], 2 * picture.resolution[1])
    return replace(picture, pages=(picture.pages[0].repeat(2, 0).repeat(2, 1),), resolution=resolution)


def exif_of(data: bytes) -> dict[tuple[str, int], bytes]:
    """The tags of a block, in one order."""
    block = images.read(data).metadata.get("exif-data")
    found = tags.of_block(block) if block else tags.Tags()
    parts = {"main": found.main, "exif": found.exif, "gps": found.gps}
    return {(place, tag): value.ordered("<") for place, part in parts.items() for tag, value in part.items()}


def expected_exif(source: bytes, picture: images.Picture, format: str) -> dict[tuple[str, int], bytes]:
    """The tags of a source, as they are to be of a picture."""
    height, width = picture.pages[0].shape[:2]
    expected = exif_of(source)
    sizes = {("main", 256): width, ("exif", 40962): width, ("exif", 40963): height, ("main", 274): 1}
    for which, size in sizes.items():
        if which in expected:
            expected[which] = struct.pack("<I", size)[: len(expected[which])]
    if picture.resolution and (expected or format == "webp"):
        inches = expected.get(("main", 296)) != b"\3\0"
        for tag, density in zip((282, 283), picture.resolution, strict=True):
            value = density * (25.4 if inches else 10)
            expected["main", tag] = (
                struct.pack("<II", round(value * 1000), 1000) if value % 1 else struct.pack("<II", int(value), 1)
            )
        expected["main", 296] = b"\2\0" if inches else b"\3\0"
    return expected


def check_metadata(engine: Engine, source: bytes, format: str, **options: Any) -> None:
    """The same metadata and notes as the command's; but EXIF as in the source, which the command mostly keeps, too."""
    picture = enlarged(images.read(source))
    expected = images.write(picture, None, format=format, **options)
    written, notes = engine.write(source, picture.pages[0], format=format, **options)
    utf_16 = format == "png" and picture.metadata.get("xmp-data", b"").startswith(codecs.BOM_UTF16)
    lost = ("of its EXIF", *(["its XMP could not be written"] if utf_16 else []))  # by libexif and libvips
    assert notes == (*picture.notes, *(note for note in expected.notes if not note.startswith(lost)))
    ours, theirs = (images.read(data).metadata for data in (written, expected.data or b""))
    if utf_16:
        assert ours.pop("xmp-data").decode().startswith("<x:xmpmeta")
        theirs.pop("xmp-data", None)
    for key in ("exif-data", "resolution-unit"):
        ours.pop(key, None)
        theirs.pop(key, None)
    assert ours == theirs
    exif = expected_exif(source, picture, format)
    if any("the maker note of" in note for note in notes):
        del exif["exif", 37500]
    assert exif_of(written) == ({} if any(note.startswith("its EXIF is left out") for note in notes) else exif)
    if format != "webp":  # whose only place for it is EXIF, where libvips does not look
        resolution = images.read(written).resolution
        close = 2e-2 if format == "jpg" else 1e-3
        assert resolution == (picture.resolution and pytest.approx(picture.resolution, rel=close))


@pytest.mark.parametrize("format", ["png", "jpg", "webp"])
@pytest.mark.parametrize("name", PNGS)
def test_what_a_png_carries(node: Engine, name: str, format: str) -> None:
    check_metadata(node, PNGS[name], format, **({"lossless": True} if format == "webp" else {}))


@pytest.mark.parametrize("number", range(10))
def test_a_png_is_read_upright(node: Engine, number: int) -> None:
    check_pixels(node, png_of(exif_chunk(number)))


# ---- JPEG and lossless WebP, written ----


@pytest.mark.parametrize("quality", [1, 30, 49, 50, 89, 90, 92, 100])
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (16, 16), (17, 33), (40, 25), (203, 101)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_jpeg_has_the_coded_data_of_the_command(
    node: Engine, channels: int, size: tuple[int, int], quality: int
) -> None:
    width, height = size
    generator = np.random.default_rng(width)
    pixels = generator.integers(0, 256, (height, width, channels), dtype=np.uint8)
    pixels[: height // 2] = pixels[: height // 2] // 8 + 100  # in places with little in it
    pixels = pixels[..., 0] if channels == 1 else pixels
    written, notes = node.write(None, pixels, format="jpg", quality=quality)
    expected = images.write(images.Picture((pixels,), "jpg"), None, quality=quality).data or b""
    assert notes == ()
    tables = b"\xff\xdb"  # the first segment that is about pixels
    assert written[written.index(tables) :] == expected[expected.index(tables) :]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [2, 4])
def test_what_was_transparent_becomes_white_in_a_jpeg(node: Engine, channels: int, dtype: str) -> None:
    pixels = np.random.default_rng(7).integers(0, np.iinfo(dtype).max, (24, 32, channels), dtype, endpoint=True)
    pixels[..., -1] *= np.random.default_rng(8).integers(0, 2, (24, 32), dtype)
    written, notes = node.write(None, pixels, format="jpg")
    expected = images.write(images.Picture((pixels,), "png"), None, format="jpg")
    assert notes == expected.notes
    assert written[written.index(b"\xff\xdb") :] == (expected.data or b"")[(expected.data or b"").index(b"\xff\xdb") :]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pixels=of_numpy.arrays(
        np.uint8, st.tuples(st.integers(1, 80), st.integers(1, 80), st.sampled_from([3, 4])), fill=st.integers(0, 255)
    ),
    repeated=st.integers(1, 40),
)  # fmt: skip
def test_lossless_webp_keeps_every_sample(node: Engine, pixels: Array, repeated: int) -> None:
    pixels = pixels.repeat(repeated, 1)
    written, notes = node.write(None, pixels, format="webp", lossless=True)
    assert notes == ()
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(written))), pixels)
    np.testing.assert_array_equal(images.read(written).pages[0], pixels)


@pytest.mark.parametrize("kind", ["photo", "noise", "skewed", "one colour", "grey alpha", "two colours"])
def test_lossless_webp_of_every_kind(node: Engine, kind: str) -> None:
    generator = np.random.default_rng(9)
    kinds: dict[str, Array] = {
        "photo": images.read((ROOT / "examples" / "astronaut.png").read_bytes()).pages[0],
        "noise": generator.integers(0, 256, (130, 140, 4), dtype=np.uint8),
        # So rare are some that their codes would be longer than a code may be.
        "skewed": np.minimum(generator.geometric(0.4, (300, 400, 3)) * 37 % 256, 255).astype(np.uint8),
        "one colour": np.full((70, 5000, 3), 77, np.uint8),
        "grey alpha": generator.integers(0, 256, (33, 65, 2), dtype=np.uint8),
        "two colours": generator.integers(0, 2, (99, 65, 1), dtype=np.uint8).repeat(4, 2) * 255,
    }
    pixels = kinds[kind]
    written, _ = node.write(None, pixels, format="webp", lossless=True)
    expected = pixels if pixels.shape[2] > 2 else np.dstack([*[pixels[..., :1]] * 3, pixels[..., 1:]])
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(written))), expected)
    if kind == "photo":
        theirs = images.write(images.Picture((pixels,), "webp"), None, lossless=True).data or b""
        assert len(written) < 1.2 * len(theirs)


HDR = {"codePoints": {"primaries": 9, "transfer": 16, "full": True}}
REFUSED = [
    ({"format": "gif"}, RGB,
     "pictures are written as png, jpg, webp in the browser, not as gif; “On this computer” or the command line writes tif, avif and "
     "gif, too"),
    ({"format": "jpg", "quality": 0}, RGB, "quality is a whole number from 1 to 100, not 0"),
    ({"format": "jpg", "quality": 9.5}, RGB, "quality is a whole number from 1 to 100, not 9.5"),
    ({"format": "webp", "quality": 101}, RGB, "quality is a whole number from 1 to 100, not 101"),
    ({"format": "webp", "quality": 90, "lossless": True}, RGB,
     "a picture that keeps every pixel has no quality; give either lossless or quality"),
    ({"format": "jpg", "lossless": True}, RGB, "jpg is never lossless; give png or webp as the format"),
    ({"format": "webp", "lossless": True}, RGB.astype(np.uint16),
     "webp cannot keep every pixel of a picture of 16 bits; give png as the format"),
    ({"format": "jpg"}, np.zeros((1, 65_501), np.uint8),
     "the result would have 65501×1 pixels, but jpg holds at most 65,500 on a side; give png as its format"),
    ({"format": "webp"}, np.zeros((16_384, 1), np.uint8),
     "the result would have 1×16384 pixels, but webp holds at most 16,383 on a side; give png as its format"),
    ({"format": "jpg", "metadata": HDR}, RGB,
     "the colours of the picture are HDR (PQ), which jpg cannot say; give png as the format"),
    ({"format": "webp", "metadata": {"codePoints": {**HDR["codePoints"], "transfer": 18}}}, RGB,
     "the colours of the picture are HDR (HLG), which webp cannot say; give png as the format"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "pixels", "sentence"), REFUSED)
def test_what_a_format_cannot_hold_is_refused(
    node: Engine, options: dict[str, Any], pixels: Array, sentence: str
) -> None:
    assert node(name="the data", pixels=packed(pixels), write=options) == {"error": sentence}


@pytest.mark.parametrize("value", [0, 127, 128, 129, 32_767, 65_407, 65_408, 65_535])
def test_16_bits_become_8_as_the_command_rounds(node: Engine, value: int) -> None:
    pixels = np.full((4, 4, 3), value, np.uint16)
    written, notes = node.write(
        None, pixels, format="webp", lossless=False, metadata={"lossless": True, "format": "webp"}
    )
    expected = images.write(images.Picture((pixels,), "png"), None, format="jpg")
    assert notes == ("its 16 bits became 8: webp holds no more",)
    assert notes[0].replace("webp", "jpg") in expected.notes
    assert np.unique(images.read(written).pages[0]) == images.writing._fit_depth(pixels, "jpg", 16)[0, 0, 0]


# ---- In browsers: what only they decode and encode ----

SMOOTH = np.asarray(
    Image.fromarray(np.random.default_rng(6).integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize((203, 101))
)


def jpeg_of(*segments: tuple[int, bytes], pixels: Array = RGB, **options: Any) -> bytes:
    data = saved([pixels], "JPEG", **options)
    return data[:20] + b"".join(bytes([255, m]) + struct.pack(">H", len(d) + 2) + d for m, d in segments) + data[20:]


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
    for seed in range(25):
        data = damaged(whole, seed)
        if (sentence := browser.error(data)) in (DAMAGED, TRUNCATED):
            ours.add(seed)
        assert sentence in ("", DAMAGED, TRUNCATED)
        try:
            images.read(data)
        except ImageError:
            theirs.add(seed)
    assert len(theirs) > 5
    assert len(theirs - ours) <= 0.1 * len(theirs)


def test_bytes_after_the_last_row_of_a_jpeg_hurt_nobody(browser: Engine) -> None:
    whole = jpeg_of()
    check_read(browser, whole[:-2] + bytes(3) + whole[-2:])


@pytest.mark.parametrize("name", WEBPS)
def test_a_browser_reads_webp(browser: Engine, name: str) -> None:
    check_read(browser, WEBPS[name])


@pytest.mark.parametrize("format", ["png", "jpg", "webp"])
@pytest.mark.parametrize("name", [name for name in JPEGS if not name.startswith(("quality", "large", "one"))])
def test_what_a_jpeg_carries(browser: Engine, name: str, format: str) -> None:
    check_metadata(browser, JPEGS[name], format)


def test_the_extension_of_xmp_is_left_out(browser: Engine) -> None:
    """libvips takes it for the XMP."""
    main, extension = b"http://ns.adobe.com/xap/1.0/\0" + XMP, b"http://ns.adobe.com/xmp/extension/\0" + bytes(40)
    written, notes = browser.write(jpeg_of((0xE1, extension), (0xE1, main), (0xE1, extension)), format="jpg")
    assert notes == ("the extension of its XMP is left out",)
    assert images.read(written).metadata["xmp-data"] == XMP.replace(b't:Orientation="6"', b't:Orientation="1"')


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


def test_a_browser_does_png_too(browser: Engine) -> None:
    check_pixels(browser, PNGS["full"])
    check_pixels(browser, hand_made(6, 16, 33, 19, interlaced=True))
    for name in ("Adler wrong", "data cut", "bomb", "text", "JPEG cut", "CMYK"):
        data, sentence = BAD[name]
        assert browser.error(data) == sentence
    with_alpha = np.random.default_rng(2).integers(0, 65_536, (400, 500, 4), dtype=np.uint16)
    written, _ = browser.write(None, with_alpha, format="png")
    np.testing.assert_array_equal(images.read(written).pages[0], with_alpha)
