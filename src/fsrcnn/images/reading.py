"""Files, and the bytes of files, as pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fsrcnn.arrays import Array
from fsrcnn.errors import ImageError, UsageError
from fsrcnn.formats import kind_of
from fsrcnn.images import tags
from fsrcnn.images.compression import compression_of
from fsrcnn.images.content import content
from fsrcnn.images.decoding import decoded, opened, plain
from fsrcnn.images.density import Density, density_of, of_tags
from fsrcnn.images.metadata import EXIF, Notes, carried, carried_by_pages
from fsrcnn.images.picture import Picture, oriented
from fsrcnn.images.structure import SEQUENTIAL_SCAN, DamagedError, structure_of
from fsrcnn.places import Remote

# What few files need (`animation`, `bmp`, `tiff`) is imported where it is used: each module takes about a millisecond.
if TYPE_CHECKING:
    import pyvips

    from fsrcnn.images import tiff

MAX_PIXELS = 2**28  # of one picture as read: 268 megapixels, three times the largest camera sensors
MAX_PAGES = 10_000  # of one file: at 25 frames a second, more than six minutes
END_OF_JPEG = b"\xff\xd9"
TOLERANT = "give {tolerant=True}"
FORMAT_OF_KIND = {"heic": "avif"}
_OF_ANIMATIONS = ("delay", "loop")


def read(
    source: str | Path | Remote | bytes,
    *,
    max_pixels: int = MAX_PIXELS,
    page: int | None = None,
    tolerant: bool = False,
    label: str | None = None,
) -> Picture:
    """Decode a picture: all of it, or an error.

    CMYK becomes sRGB through its profile; palettes and 1-bit pictures become 8-bit ones; CIELAB becomes sRGB. Reduced copies and
    masks in a TIFF are no pages. A JPEG that lacks nothing but its end marker is whole.

    Args:
        source: a path, also of a pipe or device; an object of a store; or the bytes of a file.
        max_pixels: pictures with more (all pages together) are refused before they are decoded.
        page: read this page or frame alone, counted from 1; all where it is not given.
        tolerant: take what can be decoded of a damaged picture, and say so in its notes.
        label: what messages call it; its path, or "the data", where it is not given.

    Raises:
        UsageError: a page below 1.
        ImageError: missing, empty, truncated, damaged, not a picture, too large, or of a kind that has no meaning here.
        MissingExtraError: what the store of the source needs is not installed.
    """
    if page is not None and page < 1:
        raise UsageError(f"page counts from 1, not {page}")
    label = label or ("the data" if isinstance(source, bytes) else str(source))
    data = content(source, max_pixels, label)
    file = _File(data, kind_of(data) or "", max_pixels, page, label)
    try:
        return _with_compression(_read(file, tolerant=False), file)
    except DamagedError as error:
        refusal, truncated = _refusal(file, error.truncated), error.truncated
        if not tolerant or not refusal.remedy.startswith(TOLERANT):
            raise refusal from error
    try:
        picture = _read(file, tolerant=True)
    except DamagedError as error:
        raise ImageError(f"{label} is damaged, and nothing of it can be decoded") from error
    note = f"it is {'truncated' if truncated else 'damaged'}: what could be decoded is taken, the rest is blank"
    return _with_compression(replace(picture, notes=(note, *picture.notes)), file)


def _with_compression(picture: Picture, file: _File) -> Picture:
    return replace(picture, compression=compression_of(file.data, file.kind, "lossless" in picture.metadata))


class _File(NamedTuple):
    """What is read, and the arguments of `read`."""

    data: bytes
    kind: str
    max_pixels: int
    page: int | None
    label: str

    def wanted(self, count: int) -> range:
        """Which of so many pages, counted from 0."""
        if self.page is None:
            if count > MAX_PAGES:
                raise ImageError(
                    f"{self.label} has more than {MAX_PAGES:,} pages or frames, the most that are read at once",
                    "take one: {page=1}",
                )
            return range(count)
        if self.page > count:
            pages = "one page" if count == 1 else f"{count} pages or frames"
            raise ImageError(f"{self.label} has {pages}, so no page {self.page}")
        return range(self.page - 1, self.page)

    def check_size(self, width: int, height: int, pages: int = 1) -> None:
        """
        Raises:
            DamagedError: it says that it has no pixels.
            ImageError: it has more than are allowed.
        """
        pixels = width * height * pages
        if width < 1 or height < 1:
            raise DamagedError
        if pixels > self.max_pixels:
            times = f"{pages} × " if pages > 1 else ""
            raise ImageError(
                f"{self.label} has {times}{width}×{height} = {_counted(pixels)}, more than the limit of {_counted(self.max_pixels)}",
                f"if you trust the file, raise it with {{max_pixels={pixels}}}",
            )


def _counted(pixels: int) -> str:
    return f"{pixels / 1e6:,.0f} megapixels" if pixels >= 1e6 else f"{pixels:,} pixels"


def _read(file: _File, tolerant: bool) -> Picture:
    """
    Raises:
        DamagedError: it breaks off, or cannot be decoded.
        ImageError: it is whole and still cannot be taken.
    """
    if file.kind == "bmp":
        return _read_bmp(file, tolerant)
    if file.kind == "tif":
        return _read_tiff(file, tolerant)
    return _read_frames(file, tolerant)


def _read_bmp(file: _File, tolerant: bool) -> Picture:
    from fsrcnn.images import bmp

    header = bmp.header_of(file.data)
    file.wanted(1)
    file.check_size(*header.size)
    metadata = {"icc-profile-data": header.profile} if header.profile else {}
    return Picture((bmp.pixels_of(file.data, header, tolerant),), "png", header.resolution, metadata)


def _read_tiff(file: _File, tolerant: bool) -> Picture:
    from fsrcnn.images import tiff

    found, complete = tiff.directories(file.data, MAX_PAGES + (file.page or 1))
    if not found or not (complete or tolerant):
        raise DamagedError(truncated=not complete)
    pages = [directory for directory in found if directory.is_page]
    notes = []
    if not pages:
        if any(tiff.SUB_DIRECTORIES in directory.tags for directory in found):
            raise ImageError(
                f"{file.label} holds a preview only; its picture is a camera's raw data, which fsrcnn does not read",
                "develop it first",
            )
        pages = found
    elif len(pages) < len(found):
        notes.append(f"its reduced copies and masks ({len(found) - len(pages)}) are left out")
    chosen = [pages[number] for number in file.wanted(len(pages))]
    for directory in chosen:
        file.check_size(*directory.size)
        if kind := directory.unread:
            raise ImageError(
                f"{file.label} holds {kind}, which fsrcnn does not read", "make it RGB of 8 or 16 bits first"
            )
    file.check_size(sum(width * height for width, height in (directory.size for directory in chosen)), 1)
    head = opened(file.data, "tif", page=chosen[0].index)
    plain(head, file.label)  # refuses what is none
    arrays: list[Array] = []
    for run in _runs(chosen):
        pixels = decoded(
            file.data, "tif", file.label, tolerant=tolerant, page=run[0].index, n=len(run)
        )  # one tall picture
        arrays += [oriented(page, run[0].first(tiff.ORIENTATION, 1)) for page in _cut(pixels, len(run))]
    in_srgb = [directory.first(tiff.PHOTOMETRIC) in (tiff.SEPARATED, tiff.CIELAB) for directory in chosen]
    if any(directory.first(tiff.PHOTOMETRIC) == tiff.SEPARATED for directory in chosen):
        notes.append("its CMYK colours became sRGB")
    metadata, lost = carried_by_pages(file.data, [directory.start for directory in chosen], in_srgb)
    bits = max(directory.first(tiff.BITS, 1) for directory in chosen)
    if bits > 8 * max(page.itemsize for page in arrays):
        metadata["bits-per-sample"] = bits
    resolution, shape = _resolution(of_tags(chosen[0].tags))
    return Picture(tuple(arrays), "tif", resolution, metadata, (*notes, *lost, *shape))


def _resolution(density: Density | None) -> tuple[tuple[float, float] | None, Notes]:
    return (density.resolution, density.notes) if density else (None, ())


def _runs(directories: list[tiff.Directory]) -> Iterator[list[tiff.Directory]]:
    """Directories that follow each other and are alike, together."""
    run: list[tiff.Directory] = []
    for directory in directories:
        if run and (directory.index != run[-1].index + 1 or directory.alike != run[0].alike):
            yield run
            run = []
        run.append(directory)
    yield run


def _read_frames(file: _File, tolerant: bool) -> Picture:
    """PNG, JPEG, WebP, GIF, AVIF, HEIC."""
    data, kind, label, notes = file.data, file.kind, file.label, []
    structure = structure_of(data, kind)
    if structure.size:
        file.check_size(*structure.size)
    if structure.all_but_end:
        data = data.rstrip(END_OF_JPEG[:1]) + END_OF_JPEG
        if not tolerant:  # where more was damaged, it is said elsewhere
            notes.append("its end marker is missing; every pixel is there")
    elif not (structure.complete or tolerant or (kind == "png" and structure.frames == 1)):
        raise DamagedError(truncated=True)
    if not (structure.intact or tolerant):
        raise DamagedError
    if structure.wrong_scans:
        data = _with_sequential_scans(data, structure.wrong_scans)
    try:
        head = opened(data, kind)
        plain(head, label)  # refuses what is none
        file.check_size(head.width, head.height)
        stills = head.get("n-pages") if head.get_typeof("n-pages") else 1
        metadata, lost = carried(data, head)
        notes += lost
        animated = structure.frames > 1 and not (file.page == 1 and structure.still_first)
        wanted = file.wanted(max(stills, structure.frames))
        file.check_size(head.width, head.height, len(wanted))
        if animated:
            from fsrcnn.images import animation

            frames, timing = animation.frames_of(data, kind, structure.frames, label, tolerant)
            if head.format != "uchar":
                timing["bits-per-sample"] = head.get("bits-per-sample") if head.get_typeof("bits-per-sample") else 16
            if file.page is not None:
                frames = frames[wanted.start : wanted.stop]
            return _picture(data, list(frames), kind, metadata | timing, notes)
        if kind == "png" and not head.get_typeof("orientation"):
            orientation = tags.orientation(metadata.get(EXIF, b""))  # of EXIF after the pixels
        else:
            orientation = head.get("orientation") if head.get_typeof("orientation") else 1
        arrays: list[Array] = []
        if kind in ("gif", "webp"):
            tall = decoded(data, kind, label, tolerant=tolerant, page=wanted.start, n=len(wanted))
            arrays = _cut(tall, len(wanted))
        elif stills > 1:  # what a HEIF file lists beside its main picture: no thumbnails, depth maps, auxiliaries
            for number in wanted:
                file.check_size(*_size(opened(data, kind, page=number)))
                arrays.append(decoded(data, kind, label, tolerant=tolerant, page=number))
        else:
            arrays = [decoded(data, kind, label, tolerant=tolerant)]
    except DamagedError as error:
        raise DamagedError(truncated=not structure.complete) from error
    pages = [oriented(page, orientation) for page in arrays]
    return _picture(data, pages, FORMAT_OF_KIND.get(kind, kind), metadata, notes)


def _with_sequential_scans(data: bytes, places: tuple[int, ...]) -> bytes:
    """A JPEG as libjpeg wants it; some cameras write it otherwise, and libjpeg would warn of it as of damage."""
    right = bytearray(data)
    for place in places:
        right[place : place + len(SEQUENTIAL_SCAN)] = SEQUENTIAL_SCAN
    return bytes(right)


def _size(image: pyvips.Image) -> tuple[int, int]:
    return image.width, image.height


def _cut(tall: Array, pages: int) -> list[Array]:
    """Pages of one height that lie one below the other."""
    height = tall.shape[0] // pages
    return [tall[start : start + height] for start in range(0, pages * height, height)]


def _picture(data: bytes, pages: list[Array], format: str, metadata: dict[str, Any], notes: list[str]) -> Picture:
    bits = metadata.get("bits-per-sample")
    if bits:  # libvips leaves the lower bits 0, and so white short of 65,535
        pages = [page | page >> bits if page.dtype == np.uint16 else page for page in pages]
    if len(pages) == 1:
        metadata = {key: value for key, value in metadata.items() if key not in _OF_ANIMATIONS}
    resolution, shape = _resolution(density_of(data, kind_of(data) or "", metadata.get(EXIF, b"")))
    return Picture(tuple(pages), format, resolution, metadata, (*notes, *shape))


def _refusal(file: _File, truncated: bool) -> ImageError:
    """Why a file is not read, in one of few sentences."""
    label = file.label
    if truncated:
        return ImageError(f"{label} is truncated", f"{TOLERANT} to take what is left of it")
    if file.kind == "heic":
        return ImageError(f"{label} is HEIC, which this libvips cannot decode", "make it a JPEG, PNG or AVIF first")
    if file.kind == "jpg" and (kind := structure_of(file.data, "jpg").kind):
        return ImageError(f"{label} is a {kind} JPEG, which this libvips cannot decode", "make it a PNG first")
    if file.kind == "tif":
        from fsrcnn.images import tiff

        for directory in tiff.directories(file.data, 1)[0]:
            if directory.first(tiff.COMPRESSION, 1) not in tiff.EVERYWHERE:
                return ImageError(
                    f"{label} is a TIFF in {directory.compression} compression, which this libvips cannot decode",
                    "compress it by another method, as deflate",
                )
    return ImageError(
        f"{label} is damaged, or of a kind that fsrcnn does not read", f"{TOLERANT} to take what can be decoded of it"
    )
