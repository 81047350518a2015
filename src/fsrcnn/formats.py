"""The formats of picture files: by which endings they go, what they hold, how they are encoded.

A new format is a row of `FORMATS`, and what the codec (`images/`) needs to know about its loader.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

import numpy as np

from fsrcnn.arguments import whole_number
from fsrcnn.arrays import Array
from fsrcnn.errors import UsageError


class Named(Protocol):
    """What a format's ending is looked for in: a path, or a place that is none."""

    @property
    def suffix(self) -> str:
        """The ending of the name, with its dot: `.png`."""

    def with_suffix(self, suffix: str, /) -> Self:
        """The same name with another ending."""


AnyName = TypeVar("AnyName", bound=Named)


@dataclass(frozen=True)
class Format:
    """A format that is read and written.

    Attributes:
        name: `png`, `jpg`, …: what options call it, and the ending of new files.
        endings: of file names, with their dot, in lower case; a file that has one keeps it.
        largest_side: in pixels, of the format or of its encoder (65,500 is libjpeg's, 35 fewer than the format has bits for).
        dtypes: of samples.
        paged: whether a file holds several pages.
        animated: whether a file holds frames that are shown one after the other.
        grey: whether it keeps grey apart from RGB.
        quality: 1 … 100 where nobody says it; None where the format loses nothing.
    """

    name: str
    endings: tuple[str, ...]
    largest_side: int
    dtypes: tuple[str, ...] = ("uint8",)
    paged: bool = False
    animated: bool = False
    grey: bool = False
    quality: int | None = None


FORMATS = {
    format.name: format
    for format in (
        Format("png", (".png",), 10_000_000, ("uint8", "uint16"), animated=True, grey=True),
        Format("jpg", (".jpg", ".jpeg", ".jpe", ".jfif"), 65_500, grey=True, quality=92),
        Format("webp", (".webp",), 16_383, paged=True, animated=True, quality=90),
        Format("tif", (".tif", ".tiff"), 10_000_000, ("uint8", "uint16", "float32"), paged=True, grey=True),
        Format("avif", (".avif",), 16_384, ("uint8", "uint16"), animated=True, quality=70),
        Format("gif", (".gif",), 65_535, paged=True, animated=True),
    )
}
WRITABLE = tuple(FORMATS)
DIFFERENT_PAGES = "tif"  # what holds pages of different sizes
AVIF_BITS = 12  # the deepest samples of AVIF
LOSSLESS = ("png", "tif", "webp", "avif")
READABLE = (*(ending for format in FORMATS.values() for ending in format.endings), ".bmp")
# In folders. A libvips with an HEVC decoder reads HEIC as well; an APNG and a DIB are a PNG and a BMP by another name.
LOOKED_FOR = (*READABLE, ".dib", ".apng", ".heic", ".heif", ".hif")
START = 64  # bytes of a file that tell its format
_STARTS = {
    b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpg", b"GIF87a": "gif", b"GIF89a": "gif", b"BM": "bmp",
    b"II*\0": "tif", b"MM\0*": "tif", b"II+\0": "tif", b"MM\0+": "tif",
}  # fmt: skip
_AV1_BRANDS = (b"avif", b"avis")
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1")


def check_format(name: str) -> str:
    """The name of the format that goes by a name or an ending: `jpeg`, `.JPG` → `jpg`.

    Raises:
        UsageError: no format of this name can be written.
    """
    ending = f".{str(name).lower().lstrip('.')}"
    for format in FORMATS.values():
        if ending in format.endings:
            return format.name
    raise UsageError(f"pictures are written as {', '.join(WRITABLE)}, not as {name!r}")


def format_of(path: Named, format: str | None = None) -> str:
    """The format that a path's ending names, or that is asked for beside it: `a.jpg`; `a` and `a.old` with `jpg`.

    Raises:
        UsageError: the two contradict each other; or, where none is asked for, no ending, or one that cannot be written.
    """
    ending = path.suffix.lower()
    if format is None:
        if not ending:
            raise UsageError(
                f"{path} has no ending that names a format", f"give one of .{', .'.join(WRITABLE)}, or {{format}}"
            )
        return check_format(ending)
    format = check_format(format)
    if ending in LOOKED_FOR and ending not in FORMATS[format].endings:
        raise UsageError(
            f"{path} ends in {ending}, but the format asked for is {format}",
            "give another {output} or another {format}",
        )
    return format


def settle(format: str | None, target: Named | None, own: str) -> str:
    """What a picture is written as: the format asked for, else the one that the target's ending names, else its own.

    Raises:
        UsageError: as `format_of`.
    """
    if target is not None and target.suffix:
        return format_of(target, format)
    return own if format is None else check_format(format)


def kind_of(start: bytes) -> str | None:
    """What a file is by its first bytes: `png`, `jpg`, `webp`, `tif`, `gif`, `bmp`, `avif`, `heic` (any other HEIF); None: none.

    Args:
        start: the first `START` bytes, or more.
    """
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "webp"
    if start[4:8] == b"ftyp":
        end = min(int.from_bytes(start[:4], "big"), START)
        brands = [start[at : at + 4] for at in (8, *range(16, end, 4))]
        if any(brand in _AV1_BRANDS for brand in brands):
            return "avif"
        return "heic" if any(brand in _HEIF_BRANDS for brand in brands) else None
    return next((kind for magic, kind in _STARTS.items() if start.startswith(magic)), None)


def of_content(start: bytes) -> str | None:
    """What a picture is written as by its first `START` bytes: its own format, PNG for a BMP, AVIF for HEIC; None for no picture."""
    kind = kind_of(start)
    return {"bmp": "png", "heic": "avif"}.get(kind, kind) if kind else None


def with_ending(path: AnyName, format: str) -> AnyName:
    """A path whose ending names a format: its own where it does (`a.jfif` for jpg), else the format's name in its place."""
    return path if path.suffix.lower() in FORMATS[format].endings else path.with_suffix(f".{format}")


def check_quality(quality: int | None, lossless: bool = False) -> None:
    """
    Raises:
        UsageError: a quality outside 1 … 100, or one of a picture that is to lose nothing.
    """
    if quality is not None:
        whole_number(quality, "quality", 1, 100)
    if quality is not None and lossless:
        raise UsageError("a picture that keeps every pixel has no quality", "give either {lossless} or {quality}")


def instead(names: Sequence[str], format: str, output: Named | None) -> str:
    """For a remedy: one of some formats; by another name of the output where that has settled the one that does not do.

    Args:
        names: of the formats that do.
        format: the one that does not.
        output: the name that somebody gave.
    """
    if output is not None and output.suffix.lower() in FORMATS[format].endings:
        return f"give another {{output}} that ends in {' or '.join(f'.{name}' for name in names)}"
    return f"give {' or '.join(f'{{format={name!r}}}' for name in names)}"


def check_lossless(format: str, output: Named | None = None) -> None:
    """
    Args:
        output: the name that somebody gave.

    Raises:
        UsageError: a format that always loses something.
    """
    if format not in LOSSLESS:
        raise UsageError(f"{format} is never lossless", instead(LOSSLESS, format, output))


def bits_written(format: str, dtype: np.dtype[Any], bits: int, frames: bool = False) -> int:
    """How many bits a format keeps of each sample.

    Args:
        dtype: of the samples.
        bits: how many of theirs mean something.
        frames: they are those of frames of a PNG or AVIF.
    """
    held = FORMATS[format].dtypes
    if dtype == np.uint8 or frames or held == ("uint8",):
        return 8
    if format == "avif":
        return min(bits, AVIF_BITS)
    return 32 if dtype == np.float32 and "float32" in held else 16


def check_fits(
    shapes: Sequence[tuple[int, ...]], format: str, label: str, animated: bool = False, output: Named | None = None
) -> None:
    """Refuse, before the work, what a format cannot hold.

    Args:
        shapes: (height, width, …) of each page or frame.
        format: by its name.
        label: what to call the picture.
        animated: the pages are frames, shown one after the other.
        output: the name that somebody gave for the result.

    Raises:
        UsageError: too long a side, several pages in a format for one, or pages of several sizes in a format for one size.
    """
    about = FORMATS[format]
    height, width = max(shapes, key=lambda shape: max(shape[:2]))[:2]
    if max(height, width) > about.largest_side:
        raise UsageError(
            f"{label} would have {width}×{height} pixels, but {format} holds at most {about.largest_side:,} on a side",
            instead(("png", "tif"), format, output),
        )
    if len(shapes) == 1:
        return
    if not (about.paged or (animated and about.animated)):
        holding = [other.name for other in FORMATS.values() if other.paged or (animated and other.animated)]
        raise UsageError(
            f"{label} has {len(shapes)} pages or frames, which {format} cannot hold",
            f"{instead(holding, format, output)}, or take one: {{page=1}}",
        )
    if len(set(shapes)) > 1 and format != DIFFERENT_PAGES:
        raise UsageError(
            f"{label} has pages of different sizes or channels, which {format} cannot hold",
            f"{instead((DIFFERENT_PAGES,), format, output)}, or take one: {{page=1}}",
        )


def encoder_options(
    format: str, quality: int | None, pages: tuple[Array, ...], lossless: bool = False, bits: int | None = None
) -> dict[str, Any]:
    """What libvips is told when it encodes: its names, its values.

    Args:
        bits: of a sample, how many mean something, where that is not all of its type.

    Raises:
        UsageError: a quality outside 1 … 100, or one beside `lossless`.
    """
    check_quality(quality, lossless)
    quality = quality or FORMATS[format].quality
    match format:
        case "png":
            # Level 1 with the "up" filter: a 4K photo in 0.2 s, 36 % smaller than level 1 without filter and twice as fast.
            return {"compression": 1, "filter": "up"}
        case "jpg":
            return {"Q": quality, "optimize_coding": True, "background": [255]}  # what was transparent becomes white
        case "webp":
            # Lossless, colours under alpha 0 are kept as well (`exact`).
            return {"lossless": True, "exact": True} if lossless else {"Q": quality, "effort": 3}
        case "avif":
            depth = bits_written(format, pages[0].dtype, bits or 16)
            return {"Q": quality, "compression": "av1", "effort": 2, "lossless": lossless, "bitdepth": depth}
        case "tif":
            predictor = "float" if pages[0].dtype == np.float32 else "horizontal"
            large = sum(page.nbytes for page in pages) > 2**31  # beyond the 32-bit offsets of a plain TIFF
            return {"compression": "deflate", "predictor": predictor, "bigtiff": large}
        case _:
            return {}


def endings_read() -> str:
    """For messages: `png, jpg, jpeg, …`."""
    return ", ".join(ending[1:] for ending in READABLE)
