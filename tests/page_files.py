"""Picture files with all that they can hold or be spoilt by; and what holds the page's `files/` against `fsrcnn upscale`."""

from __future__ import annotations

import base64
import codecs
import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from fsrcnn import images
from fsrcnn.arrays import Array
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

    def __init__(self, ask: Callable[[str], str], fake: str | None = None) -> None:
        self._ask, self._fake = ask, fake

    def __call__(self, **job: Any) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._ask(json.dumps(job | ({"fake": self._fake} if self._fake else {}))))
        return answer

    def faked(self, fake: str) -> Engine:
        """The same with one ability of a browser in another way; their names are in page_files.mjs."""
        return Engine(self._ask, fake)

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


ROW = zlib.compress(b"".join(b"\0" + bytes([10, 20, 30] * 4) for _ in range(4)))
PLAIN = SIGNATURE + header(4, 4) + png_chunk(b"IDAT", ROW) + END
PHYS = png_chunk(b"pHYs", struct.pack(">IIB", 3000, 4000, 1))


def of(*chunks: bytes) -> bytes:
    return SIGNATURE + b"".join(chunks)


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
OTHER_CANVAS = bytearray(saved([np.zeros((8, 8, 3), np.uint8)], "WEBP", lossless=True, xmp=XMP))
OTHER_CANVAS[24] += 1  # the width less one, of VP8X
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
    "WebP of two sizes": (bytes(OTHER_CANVAS), DAMAGED),
    "WebP animated": (
        saved([np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 99, np.uint8)], "WEBP"),
        "the data has 2 frames; in the browser a picture has one, and “On this computer” or the command line takes all of them",
    ),
}  # fmt: skip
TAKEN_BY_THE_COMMAND = ("APNG", "GIF", "TIFF", "BMP", "AVIF", "CMYK", "WebP animated")


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


RESOLVED: dict[str, Any] = {"XResolution": 300.0, "YResolution": 150.0, "ResolutionUnit": 2}
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
    "EXIF without a unit": png_of(exif_chunk(XResolution=300.0, YResolution=150.0)),
    "EXIF that knows no resolution": png_of(
        exif_chunk(**RESOLVED | {"ResolutionUnit": 1}), png_chunk(b"pHYs", struct.pack(">IIB", 11_811, 5_906, 1))),
    "oblong pixels": png_of(png_chunk(b"pHYs", struct.pack(">IIB", 3, 2, 0))),
    "square pixels": png_of(png_chunk(b"pHYs", struct.pack(">IIB", 3, 3, 0))),
    "no pixels": png_of(png_chunk(b"pHYs", struct.pack(">IIB", 0, 3, 1))),
    "EXIF after the pixels": png_of()[:-12] + exif_chunk(6, **RESOLVED) + END,
    "others after the pixels": (
        png_of()[:-12] + png_chunk(b"pHYs", struct.pack(">IIB", 3_000, 2_000, 1)) + png_chunk(b"cICP", bytes([9, 16, 0, 1])) + END),
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
        inches = expected.get(("main", 296)) != b"\3\0" and picture.metadata.get("resolution-unit") != "cm"
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
    close = 2e-2 if format == "jpg" else 1e-3
    assert images.read(written).resolution == (picture.resolution and pytest.approx(picture.resolution, rel=close))
    assert [mark in written for mark in (b"pHYs", b"JFIF")] == [
        format == "png" and picture.resolution is not None,
        format == "jpg",
    ]
