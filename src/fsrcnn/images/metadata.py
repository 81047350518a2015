"""What a file carries beside its pixels: read from each format, and made fit for the format that is written.

`Picture.metadata` holds it under libvips' names where libvips has one:

| key | value |
|---|---|
| `icc-profile-data`, `exif-data`, `xmp-data` | bytes; a TIFF's tags of artist, copyright, camera, place … count as EXIF |
| `delay`, `loop`, `resolution-unit` | of animations; of JPEG |
| `iptc` | bytes: IIM records, without the frame that JPEG and TIFF each put around them |
| `code-points` | `colour.CodePoints`: cICP of PNG, nclx of AVIF |
| `png-chunks` | kind and data of each: gAMA, cHRM, sRGB, mDCV, cLLI, and texts, in their order |
| `light-levels` | AVIF's boxes clli and mdcv |
| `comment` | bytes: of JPEG and GIF |
| `lossless` | True: of WebP and AVIF that lose nothing |
| `bits-per-sample` | of the file, where the dtype has others: 10 or 12 of AVIF; 16 of frames, CMYK and CIELAB, which are read in 8 |
| `extra-samples` | how many of the last channels are neither colour nor alpha: of TIFF |
| `pages` | these again, of each page: of a TIFF whose pages carry different things |

What belongs to the old pixels alone (thumbnails, histograms, Photoshop's guides and layers) is not metadata, and goes without a word.
"""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from fsrcnn.errors import ImageError
from fsrcnn.formats import START, Named, instead, kind_of
from fsrcnn.images import containers, tags, xmp
from fsrcnn.images.colour import CodePoints, fitting_profile, profile_of_gamma, space_of

if TYPE_CHECKING:
    import pyvips

ICC, EXIF, XMP = "icc-profile-data", "exif-data", "xmp-data"
Notes = tuple[str, ...]

_OF_LIBVIPS = (ICC, EXIF, XMP, "delay", "loop", "resolution-unit")
_DAMAGED = (ValueError, struct.error, OverflowError, OSError)  # what walking through broken bytes may end in
_OF_HDR = ("png", "avif")  # formats that have code points
_PNG_LIGHT = (b"mDCV", b"cLLI")
_PNG_COLOUR = (b"gAMA", b"cHRM", b"sRGB", *_PNG_LIGHT)
_PNG_TEXT = (b"tEXt", b"zTXt", b"iTXt")
_OF_PIL = ("icc_profile", "exif", "xmp", "gamma", "chromaticity", "srgb", "comment")
_XMP_TEXT, _XMP_MARK = "XML:com.adobe.xmp", b"http://ns.adobe.com/xap/1.0/\0"  # in PNG, in JPEG
NAMES = {ICC: "ICC profile", EXIF: "EXIF", XMP: "XMP", "iptc": "IPTC", "comment": "comment"}
_HELD = {
    "png": {ICC, EXIF, XMP, "comment"}, "jpg": {ICC, EXIF, XMP, "iptc", "comment"}, "webp": {ICC, EXIF, XMP},
    "tif": {ICC, EXIF, XMP, "iptc"}, "avif": {ICC, EXIF, XMP}, "gif": {"comment"},
}  # fmt: skip
_LARGEST_EXIF, _LARGEST_XMP = 65_533 - 2_000, 65_533 - 29  # in a JPEG; libvips adds resolution and size to EXIF


def carried(source: str | Path | bytes, image: pyvips.Image) -> tuple[dict[str, Any], Notes]:
    """What goes along with a picture, and what of it cannot; of a TIFF, with its first page.

    Args:
        source: the file, or its bytes.
        image: what libvips opened of it, before anything was done to its colours.
    """
    metadata = {key: image.get(key) for key in _OF_LIBVIPS if image.get_typeof(key)}
    notes: list[str] = []
    if image.interpretation == "cmyk":
        notes.append("its CMYK colours became sRGB")
    try:
        with _opened(source) as file:
            _READERS.get(kind_of(file.read(START)) or "", _nothing)(file, image, metadata, notes)
    except _DAMAGED:
        notes.append("a part of its metadata is damaged and left out")
    if image.interpretation in ("cmyk", "lab", "labs", "labq", "lch", "xyz", "yxy", "hsv", "cmc"):
        _used_up(metadata, notes)
    return metadata, tuple(notes)


def carried_by_pages(data: bytes, starts: Sequence[int], converted: Sequence[bool]) -> tuple[dict[str, Any], Notes]:
    """What goes along with pages of a TIFF, and what of it cannot.

    Args:
        starts: where the directory of each lies.
        converted: whether the colours of each became sRGB, so that its profile says nothing of them.
    """
    pages: list[dict[str, Any]] = []
    notes: list[str] = []
    for start, without_profile in zip(starts, converted, strict=True):
        metadata: dict[str, Any] = {}
        try:
            _of_directory(io.BytesIO(data), start, metadata, notes)
        except _DAMAGED:
            notes.append("a part of its metadata is damaged and left out")
        if without_profile:
            _used_up(metadata, notes)
        pages.append(metadata)
    # What describes pixels goes with all pages in any case; what describes the picture goes with the first.
    of_all = {key: pages[0][key] for key in (ICC, "extra-samples") if key in pages[0]}
    different = {"pages": tuple(pages)} if any(page != of_all for page in pages[1:]) else {}
    return {**pages[0], **different}, tuple(dict.fromkeys(notes))


def _used_up(metadata: dict[str, Any], notes: list[str]) -> None:
    """The pixels became sRGB, through the profile where it is one of their colours, which neither grey nor RGB is."""
    profile = metadata.pop(ICC, None)
    if profile and space_of(profile) in (None, b"GRAY", b"RGB "):
        notes.append(_misfit("CMYK or CIELAB"))


@contextlib.contextmanager
def _opened(source: str | Path | bytes) -> Iterator[BinaryIO]:
    with io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb") as file:
        yield file


def _all_of(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read()


def _nothing(file: BinaryIO, image: pyvips.Image, metadata: dict[str, Any], notes: list[str]) -> None:
    pass


def _of_png(file: BinaryIO, image: pyvips.Image, metadata: dict[str, Any], notes: list[str]) -> None:
    kept: list[tuple[bytes, bytes]] = []
    for kind, data, late in containers.png_chunks(file, (b"cICP", b"iCCP", b"eXIf", b"pHYs", *_PNG_COLOUR, *_PNG_TEXT)):
        if kind == b"eXIf":
            if late and EXIF not in metadata:  # which libvips passes over
                metadata[EXIF] = b"Exif\0\0" + data.removeprefix(b"Exif\0\0")
        elif kind in _PNG_TEXT:
            kept += [] if data.startswith(_XMP_TEXT.encode() + b"\0") else [(kind, data)]
        elif late:
            notes.append(f"its {kind.decode()} is left out: it follows the pixels")
        elif kind == b"cICP" and len(data) == 4:
            metadata["code-points"] = CodePoints(data[0], data[1], data[2], bool(data[3]))
        elif kind == b"iCCP" and ICC not in metadata:  # libvips passes over what it takes for none
            notes.append(_misfit("grey" if image.bands <= 2 else "RGB"))
        elif kind in _PNG_COLOUR:
            kept.append((kind, data))
    if kept:
        metadata["png-chunks"] = kept


def _of_jpeg(file: BinaryIO, image: pyvips.Image, metadata: dict[str, Any], notes: list[str]) -> None:
    comments, resources, gain_map, further = [], b"", False, 0
    packet = None
    for marker, at, data in list(containers.jpeg_segments(file)):
        if marker == 0xFE:
            comments.append(data.rstrip(b"\0"))
        elif marker == 0xED and data.startswith(b"Photoshop 3.0\0"):
            resources += data.removeprefix(b"Photoshop 3.0\0")
        elif marker == 0xE1 and data.startswith(_XMP_MARK):
            packet = packet or data.removeprefix(_XMP_MARK)
        elif marker == 0xE1 and data.startswith(b"http://ns.adobe.com/xmp/extension/\0"):
            further_xmp = "the extension of its XMP is left out"
            notes += [] if further_xmp in notes else [further_xmp]
        elif marker == 0xE2 and data.startswith(b"urn:iso:std:iso:ts:21496:-1\0"):
            gain_map = True
        elif marker == 0xE2 and data.startswith(b"MPF\0"):
            kinds = list(containers.further_pictures(file, at + 4, data[4:]))
            gain_map, further = gain_map or "gain map" in kinds, kinds.count("picture")
    if comments:
        metadata["comment"] = b"\n".join(comments)
    if iptc := containers.iptc_of_resources(resources):
        metadata["iptc"] = iptc
    metadata.pop(XMP, None)  # of libvips, which takes an extension, or whatever else is called by an address, for it
    attached: tuple[str, ...] = ()
    if packet:
        metadata[XMP], attached = xmp.without_attachments(packet)
    _note_attached(notes, gain_map or "gain map" in attached)
    if "video" in attached:
        notes.append("its video (motion photo) is left out")
    if further:
        notes.append(
            f"{further} more picture{'s' if further > 1 else ''} in its file (MPF) {'are' if further > 1 else 'is'} left out"
        )


def _of_avif(file: BinaryIO, image: pyvips.Image, metadata: dict[str, Any], notes: list[str]) -> None:
    from fsrcnn.images import isobmff  # here, as few pictures are of this kind and each module takes time to import

    data = _all_of(file)
    start, end = isobmff.meta_of(data)
    meta = data[start:end]
    _note_attached(notes, isobmff.has_gain_map(meta))
    if image.get_typeof("bits-per-sample") and image.get("bits-per-sample") > 8:
        metadata["bits-per-sample"] = image.get("bits-per-sample")
    colour = isobmff.code_points(meta) if meta else None
    if colour:
        if colour.matrix == 0:  # RGB as it is, which is how encoders avoid loss
            metadata["lossless"] = True
        if not colour.plain:
            metadata["code-points"] = colour
        if light := isobmff.light_levels(meta):
            metadata["light-levels"] = light


def _of_webp(file: BinaryIO, image: pyvips.Image, metadata: dict[str, Any], notes: list[str]) -> None:
    if containers.webp_is_lossless(file):
        metadata["lossless"] = True


def _of_gif(file: BinaryIO, image: pyvips.Image, metadata: dict[str, Any], notes: list[str]) -> None:
    for label, data in containers.gif_extensions(_all_of(file)):
        if label == 0xFE:
            metadata["comment"] = metadata.get("comment", b"") + data
        elif label == 0xFF and data.startswith((b"XMP Data", b"ICCRGBG1")):
            notes.append(f"its {'XMP' if data.startswith(b'XMP') else 'ICC profile'} is left out")


def _of_tiff(file: BinaryIO, image: pyvips.Image, metadata: dict[str, Any], notes: list[str]) -> None:
    _of_directory(file, None, metadata, notes)


def _of_directory(file: BinaryIO, start: int | None, metadata: dict[str, Any], notes: list[str]) -> None:
    """What a page of a TIFF carries; the first where no place is given."""
    found = tags.read(file, start)
    metadata |= {key: found.main[tag].data for key, tag in ((ICC, tags.PROFILE), (XMP, tags.XMP)) if tag in found.main}
    main = {tag: value for tag, value in found.main.items() if tag in tags.DESCRIPTIVE}
    description = main[tags.DESCRIPTION].data if tags.DESCRIPTION in main else b""
    if tags.is_layout(description):
        del main[tags.DESCRIPTION]
        if not description.startswith(tags.SHAPE):  # which is the old size and nothing else
            notes.append("its description is left out: a program wrote the old size into it")
    if any(tag in found.main for tag in tags.GEOGRAPHIC):
        notes.append("its place on the map (GeoTIFF) is left out: it belongs to the old pixels")
    if any((main, found.exif, found.gps)):
        metadata[EXIF] = tags.block(tags.Tags(main, found.exif, found.gps))
    if iptc := _iptc_of_tiff(found.main):
        metadata["iptc"] = iptc
    extra = found.main.get(tags.EXTRA_SAMPLES)
    if extra and 0 in extra.numbers:
        metadata["extra-samples"] = extra.length


def _iptc_of_tiff(main: tags.Directory) -> bytes:
    if tags.IPTC in main:
        data = main[tags.IPTC].data
        if data[:1] != b"\x1c" and data[3:4] == b"\x1c":  # written as LONGs of another order
            data = b"".join(data[start : start + 4][::-1] for start in range(0, len(data), 4))
        return data.rstrip(b"\0")
    return containers.iptc_of_resources(main[tags.PHOTOSHOP].data) if tags.PHOTOSHOP in main else b""


_READERS: dict[str, Callable[[BinaryIO, Any, dict[str, Any], list[str]], None]] = {
    "png": _of_png, "jpg": _of_jpeg, "avif": _of_avif, "webp": _of_webp, "gif": _of_gif, "tif": _of_tiff, "heic": _of_avif,
}  # fmt: skip


def _note_attached(notes: list[str], gain_map: bool) -> None:
    if gain_map:
        notes.append("its gain map is left out: the picture is what screens without HDR show")


class Fitted(NamedTuple):
    """Metadata made fit for a format.

    Attributes:
        fields: for libvips.
        inserted: bytes to put into its stream of PNG, JPEG, GIF.
        first, each: tags for a TIFF: of its first page, of each page.
        colour, light: for AVIF.
        profile: of a GIF, which holds none: its colours are to become sRGB through it.
        notes: what does not fit.
    """

    fields: dict[str, Any]
    inserted: bytes
    first: tags.Tags
    each: tags.Directory
    colour: CodePoints | None
    light: tuple[bytes, ...]
    profile: bytes | None
    notes: Notes


def check_colours(metadata: dict[str, Any], format: str, *, grey: bool, output: Named | None = None) -> None:
    """
    Args:
        output: the name that somebody gave for the result.

    Raises:
        ImageError: without its metadata the picture would look wrong: HDR in a format that cannot say so.
    """
    points: CodePoints | None = metadata.get("code-points")
    if points is None or not points.hdr or format in _OF_HDR:
        return
    if ICC not in metadata or not fitting_profile(metadata[ICC], grey):
        fact = f"the colours of the picture are HDR ({points.hdr}), which {format} cannot say"
        raise ImageError(fact, instead(_OF_HDR, format, output))


def fitted(metadata: dict[str, Any], format: str, *, grey: bool, width: int, height: int) -> Fitted:
    """Metadata as a format holds them, of an upright picture of this size, that `check_colours` has let pass."""
    notes: list[str] = []
    kept = {key: value for key, value in metadata.items() if key in NAMES}
    chunks = _colour(metadata, kept, format, grey, notes)
    if EXIF in kept:
        _replace(kept, EXIF, lambda block: tags.resized(block, width, height), notes)
    if XMP in kept:
        _replace(kept, XMP, lambda packet: xmp.resized(packet, width, height), notes)
    profile = kept.pop(ICC, None) if ICC not in _HELD[format] else None
    if profile:
        notes.append(
            f"its ICC profile is left out: {format} holds none, so the colours became sRGB"
            if ICC in metadata
            else f"its colours became sRGB: {format} cannot say which they were"
        )
    for key in [key for key in kept if key not in _HELD[format]]:
        value = kept.pop(key)
        if key != EXIF or tags.of_block(value).names():
            notes.append(f"its {NAMES[key]} is left out: {format} holds none")
    if format != "avif" and "light-levels" in metadata:
        notes.append("its light levels (clli, mdcv) are left out: only avif holds them")
    if format != "png" and any(kind in _PNG_LIGHT for kind, _ in metadata.get("png-chunks", ())):
        notes.append("its light levels (mDCV, cLLI) are left out: only png holds them")
    texts = [(kind, data) for kind, data in metadata.get("png-chunks", ()) if kind in _PNG_TEXT]
    fields = {key: kept[key] for key in (ICC, EXIF, XMP) if key in kept}
    fields |= {key: metadata[key] for key in ("delay", "loop", "resolution-unit") if key in metadata}
    inserted, own, pages = b"", tags.Tags(), {}
    if format == "png":
        if "comment" in kept:
            chunks.append(_text_chunk(kept["comment"]))
        inserted = b"".join(containers.png_chunk(*chunk) for chunk in (*chunks, *texts))
    elif texts:
        keywords = (data.partition(b"\0")[0].decode("latin-1") for _, data in texts)
        notes.append(f"its texts ({_listed(keywords)}) are left out: only png holds them")
    if format == "jpg":
        _fit_into_jpeg(fields, notes)
        inserted = containers.jpeg_comment(kept["comment"]) if "comment" in kept else b""
        if "iptc" in kept:
            fields["iptc-data"] = containers.resource(kept["iptc"])
    elif format == "gif" and "comment" in kept:
        inserted = containers.gif_comment_block(kept["comment"])
    elif format == "tif":
        own = tags.of_block(fields.pop(EXIF)) if EXIF in fields else own
        own = tags.Tags({tag: value for tag, value in own.main.items() if tag in tags.DESCRIPTIVE}, own.exif, own.gps)
        if "iptc" in kept:
            own.main[tags.IPTC] = tags.Tag(7, kept["iptc"], "<")
        if extra := metadata.get("extra-samples"):
            pages = {tags.EXTRA_SAMPLES: tags.Tag(3, bytes(2 * extra), "<")}
    colour: CodePoints | None = metadata.get("code-points") if format == "avif" else None
    colour = None if colour is None or colour.plain else colour
    light = metadata.get("light-levels", ()) if format == "avif" and colour else ()
    return Fitted(fields, inserted, own, pages, colour, light, profile, tuple(notes))


def _colour(
    metadata: dict[str, Any], kept: dict[str, Any], format: str, grey: bool, notes: list[str]
) -> list[tuple[bytes, bytes]]:
    """Settle by what the format tells colours: the profile in `kept`, and the chunks of a PNG that are returned."""
    if ICC in kept:
        profile = fitting_profile(kept.pop(ICC), grey)
        if profile:
            kept[ICC] = profile
        else:
            notes.append(_misfit("grey" if grey else "RGB"))
    points: CodePoints | None = metadata.get("code-points")
    chunks = {kind: data for kind, data in metadata.get("png-chunks", ()) if kind in _PNG_COLOUR}
    if format == "png":
        named = [(b"cICP", bytes([points.primaries, points.transfer, 0, points.full]))] if points else []
        return named + [chunk for chunk in chunks.items() if ICC not in kept or chunk[0] in _PNG_LIGHT]
    if points and format != "avif" and ICC not in kept:
        if not points.plain:
            profile = points.profile(grey)
            if profile:
                kept[ICC] = profile
            else:
                notes.append(
                    f"its colour (code points {points.primaries}, {points.transfer}) is left out: {format} cannot say it"
                )
    elif not points and ICC not in kept and b"sRGB" not in chunks:
        try:
            profile = profile_of_gamma(chunks.get(b"gAMA"), chunks.get(b"cHRM"), grey)
        except _DAMAGED:
            notes.append("its gamma and chromaticities mean nothing and are left out")
        else:
            kept |= {ICC: profile} if profile else {}
    return []


def _misfit(colours: str) -> str:
    return f"its ICC profile is left out: it is damaged, or not one of {colours}"


def _replace(kept: dict[str, Any], key: str, change: Callable[[bytes], bytes], notes: list[str]) -> None:
    try:
        kept[key] = change(kept[key])
    except _DAMAGED:
        del kept[key]
        notes.append(f"its {NAMES[key]} is damaged and left out")


def _fit_into_jpeg(fields: dict[str, Any], notes: list[str]) -> None:
    """A JPEG's segment ends at 65,533 bytes: what does not fit is made smaller, else left out."""
    if len(fields.get(EXIF, b"")) > _LARGEST_EXIF:
        own = tags.of_block(fields[EXIF])
        own.exif.pop(tags.MAKER_NOTE, None)
        fields[EXIF] = tags.block(own)
        notes.append("the maker note of its EXIF is left out: jpg holds at most 64 kB of EXIF")
        if len(fields[EXIF]) > _LARGEST_EXIF:
            del fields[EXIF]
            notes[-1] = "its EXIF is left out: jpg holds at most 64 kB of it"
    if len(fields.get(XMP, b"")) > _LARGEST_XMP:
        fields[XMP] = xmp.without_padding(fields[XMP])
        if len(fields[XMP]) > _LARGEST_XMP:
            del fields[XMP]
            notes.append("its XMP is left out: jpg holds at most 64 kB of it")


def missing(wanted: Fitted, found: dict[str, Any]) -> Notes:
    """What was to be written and is not in the file, as `carried` found it there."""
    notes = [
        f"its {NAMES[key]} could not be written"
        for key in (ICC, XMP)
        if key in wanted.fields and found.get(key) != wanted.fields[key]
    ]
    if wanted.colour:
        points = found.get("code-points")
        if points is None or (points.primaries, points.transfer) != (wanted.colour.primaries, wanted.colour.transfer):
            notes.append("its colour (code points) could not be written")
    if EXIF in wanted.fields:
        lost = tags.of_block(wanted.fields[EXIF]).names()
        with contextlib.suppress(*_DAMAGED):
            lost -= tags.of_block(found.get(EXIF, b"")).names()
        if lost:
            notes.append(f"of its EXIF {_listed(tags.name(*which) for which in sorted(lost))} could not be written")
    return tuple(notes)


def pil_info(info: Mapping[Any, Any], size: tuple[int, int]) -> dict[Any, Any]:
    """Of a PIL picture's `info`, what goes along with a larger one of `size`, (width, height): profile, EXIF, XMP, colours, texts."""
    kept = {key: value for key, value in info.items() if key in _OF_PIL or isinstance(value, str)}
    for key, change in (("exif", tags.resized), ("xmp", xmp.resized)):
        if isinstance(kept.get(key), bytes):
            with contextlib.suppress(*_DAMAGED):
                kept[key] = change(kept[key], *size)
    if _XMP_TEXT in kept:  # as Pillow calls it in a PNG
        kept[_XMP_TEXT] = xmp.resized(kept[_XMP_TEXT].encode(), *size).decode()
    return kept


def _text_chunk(comment: bytes) -> tuple[bytes, bytes]:
    """A comment as a PNG has it: UTF-8 where it is that, else Latin-1."""
    try:
        return b"iTXt", b"Comment\0\0\0\0\0" + comment.decode().encode()
    except UnicodeDecodeError:
        return b"tEXt", b"Comment\0" + comment.replace(b"\0", b" ")


def _listed(names: Iterable[str]) -> str:
    """Names for a note: the first five, each cut and without control characters."""
    plain = list(dict.fromkeys("".join(c if c.isprintable() else "?" for c in name[:40]) for name in names))
    return ", ".join(plain[:5]) + (f" and {len(plain) - 5} more" if len(plain) > 5 else "")
