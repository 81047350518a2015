"""Pictures as files, or as the bytes of files."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

import numpy as np

from fsrcnn import files, formats, places
from fsrcnn.arrays import Array
from fsrcnn.color import peak_of
from fsrcnn.errors import ImageError, UsageError
from fsrcnn.formats import DIFFERENT_PAGES, FORMATS, Named, bits_written, encoder_options, settle
from fsrcnn.images import containers, density, metadata, tags
from fsrcnn.images.metadata import Fitted, Notes
from fsrcnn.images.picture import Picture, Written
from fsrcnn.images.vips import libvips
from fsrcnn.places import Remote

if TYPE_CHECKING:
    import pyvips

# What libvips writes into EXIF, which has to say some, where nobody does; its own would be 1 pixel per mm.
SCREEN_RESOLUTION = (72 / 25.4, 72 / 25.4)
_WITH: dict[str, Callable[[bytes, bytes], bytes | None]] = {
    "png": containers.png_with, "jpg": containers.jpeg_with, "gif": containers.gif_with,
}  # fmt: skip
# What to leave out where an encoder refuses a picture: nothing, what mostly is the reason, all that can be.
_ATTEMPTS = ((), (metadata.ICC,), (metadata.ICC, metadata.EXIF, metadata.XMP))
_RESOLUTION_IN_EXIF = ("webp", "avif")  # which have no other place for it
_SAMPLES = {np.dtype(np.uint8): "uchar", np.dtype(np.uint16): "ushort", np.dtype(np.float32): "float"}


def write(
    picture: Picture,
    target: Path | Remote | None,
    *,
    format: str | None = None,
    quality: int | None = None,
    lossless: bool = False,
    overwrite: bool = False,
    digest: bool = False,
    parts: Path | None = None,
) -> Written:
    """Encode a picture, with its metadata, and put it in place in one step.

    A file is written beside its final name and renamed, so a failure leaves neither a half file nor a lost old one; so is an object
    of a store, which goes there whole. A device or pipe (`/dev/stdout`) is written to directly.

    Args:
        picture: what to write; `metadata` goes with it as far as the format can carry it.
        target: a path, an object of a store, or None to get the bytes back.
        format: `png`, `jpg`, `webp`, `tif`, `avif`, `gif`; from the target's ending where it is not given, else the picture's own.
        quality: 1 … 100 for JPEG, WebP and AVIF; 92, 90 and 70 by default.
        lossless: keep every pixel: of WebP and AVIF, which mostly do not; the others that do not are refused. A picture that
            comes from a lossless WebP or AVIF stays lossless in its format where no quality is given.
        overwrite: replace an existing file.
        digest: give the SHA-256 of what was written.
        parts: the folder in which a file is written before it is put in place; the target's own where it is not given.

    Returns:
        The bytes where there is no target, how many they are, and what could not be written.

    Raises:
        UsageError: a format or quality that does not exist, or that cannot hold this picture; a format that the target's ending
            contradicts.
        ImageError: the target exists and may not be replaced, or cannot be written; or the picture would look wrong: HDR in a
            format that cannot say so.
        MissingExtraError: what the store of the target needs is not installed.
    """
    format = settle(format, target, picture.format)
    check_fits(picture, format, str(target or "standard output"), lossless=lossless, output=target)
    framed = _are_frames(picture, format)
    lossless = lossless or (quality is None and format == picture.format and picture.metadata.get("lossless", False))
    options = encoder_options(format, quality, picture.pages, lossless, picture.metadata.get("bits-per-sample"))
    each_alone = format == DIFFERENT_PAGES and (not picture.uniform or "pages" in picture.metadata)
    encode = _encode_frames if framed else _encode_different if each_alone else _encode
    if target is None or isinstance(target, Remote) or files.is_stream(target):
        buffer = io.BytesIO()
        notes = encode(picture, buffer, None, format, options) + _lost_bits(picture, format)
        data = buffer.getvalue()
        if isinstance(target, Remote):
            places.write(target, data, replace=overwrite)
        elif target is not None:
            try:
                target.write_bytes(data)
            except OSError as error:
                raise ImageError(f"cannot write {target}: {error.strerror}") from error
        sha256 = hashlib.sha256(data).hexdigest() if digest else None
        return Written(data if target is None else None, notes, len(data), sha256)
    with files.beside(target, ImageError, replace=overwrite, folder=parts) as part, part.open("r+b") as file:
        notes = encode(picture, file, part, format, options)
        length = file.seek(0, io.SEEK_END)
        sha256 = None
        if digest:
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Written(None, notes + _lost_bits(picture, format), length, sha256)


def check_fits(
    picture: Picture,
    format: str,
    label: str,
    *,
    shapes: Sequence[tuple[int, ...]] | None = None,
    lossless: bool = False,
    output: Named | None = None,
) -> None:
    """Refuse, before the work, what a format cannot hold or, if it is to be `lossless`, not all of.

    Args:
        format: by its name.
        label: what to call the picture.
        shapes: of what each page or frame is to become; those of the picture where they are not given.
        output: the name that somebody gave for the result.

    Raises:
        UsageError: sides, pages or, with `lossless`, channels or bits that it does not hold.
        ImageError: HDR in a format that cannot say so: it would look wrong.
    """
    shapes = [page.shape for page in picture.pages] if shapes is None else shapes
    formats.check_fits(shapes, format, label, picture.animated, output)
    grey = _colours(picture) <= 2 and FORMATS[format].grey
    metadata.check_colours(picture.metadata, format, grey=grey, output=output)
    if not lossless:
        return
    formats.check_lossless(format, output)
    if format != "tif" and any(picture.extra(page) for page in range(len(picture.pages))):
        fact = f"{format} cannot keep a channel that is neither colour nor transparency"
        raise UsageError(fact, formats.instead(("tif",), format, output))
    frames = _are_frames(picture, format)
    if frames and format == "avif":
        raise UsageError("frames of an avif are never lossless", formats.instead(("png", "webp"), format, output))
    dtype = picture.deepest
    if picture.bits > 8 * dtype.itemsize:
        raise UsageError(f"the picture has {picture.bits} bits per sample, of which fsrcnn reads {8 * dtype.itemsize}")
    if picture.bits > bits_written(format, dtype, picture.bits, frames):
        remedy = formats.instead(("tif" if dtype == np.float32 else "png",), format, output)
        raise UsageError(f"{format} cannot keep every pixel of a picture of {picture.bits} bits", remedy)


def _are_frames(picture: Picture, format: str) -> bool:
    """Whether it becomes frames of a PNG or AVIF, which libvips does not write."""
    return len(picture.pages) > 1 and FORMATS[format].animated and not FORMATS[format].paged


def _lost_bits(picture: Picture, format: str) -> Notes:
    """That the picture had more bits per sample than are written, where it had."""
    dtype, frames = picture.deepest, _are_frames(picture, format)
    written = bits_written(format, dtype, picture.bits, frames)
    if picture.bits <= written:
        return ()
    reason = (
        "frames have no more" if frames else "fsrcnn reads no more of it" if written == 8 * dtype.itemsize
        else f"{format} holds no more"
    )  # fmt: skip
    return (f"its {picture.bits} bits became {written}: {reason}",)


def _encode(picture: Picture, file: BinaryIO, path: Path | None, format: str, options: dict[str, Any]) -> Notes:
    """Encode a picture into a file that is empty, and say what of it could not be written.

    Args:
        path: of the file, where it is one.

    Raises:
        OSError: from writing to the file.
        ImageError: the encoder cannot do it.
    """
    pages, grey, notes = _channels(picture, format)
    height, width = pages[0].shape[:2]
    grey_there = grey and FORMATS[format].grey
    fitted = metadata.fitted(picture.metadata, format, grey=grey_there, width=width, height=height)
    bits = options.get("bitdepth", 16)
    for left_out in _ATTEMPTS:
        named = [
            metadata.NAMES[key] for key in left_out if key in fitted.fields or (key == metadata.ICC and fitted.profile)
        ]
        if left_out and not named:
            continue
        fields = {key: value for key, value in fitted.fields.items() if key not in left_out}
        attempt = fitted._replace(fields=fields, profile=None if left_out else fitted.profile)
        try:
            _stream(
                _assemble(pages, attempt, picture.resolution, format, grey, bits),
                file,
                format,
                options,
                attempt,
                picture.resolution,
            )
            notes += fitted.notes
            if picture.resolution and format == "gif":
                notes += ("its resolution is left out: gif holds none",)
            if named:
                notes = (*notes, f"its {' and '.join(named)} could not be written: the encoder refuses it")
            return notes + _missing(attempt, file, path)
        except libvips().Error:
            file.seek(0)
            file.truncate()
    raise ImageError(f"the picture cannot be encoded as {format}")


def _encode_frames(picture: Picture, file: BinaryIO, path: Path | None, format: str, options: dict[str, Any]) -> Notes:
    """`_encode` for frames of a PNG or AVIF, of which libvips writes the first alone."""
    pages, grey, notes = _channels(picture, format)
    height, width = pages[0].shape[:2]
    fitted = metadata.fitted(picture.metadata, format, grey=grey and FORMATS[format].grey, width=width, height=height)
    notes += fitted.notes
    if format == "avif" and picture.metadata.get("loop", 0) != 0:
        notes += ("how often it loops is left out: Pillow does not write it into an AVIF",)
    frames = [_fit_depth(page, "gif", 16) for page in pages]  # in 8 bit, as a GIF's
    if grey and not FORMATS[format].grey:  # as the profile, which is one of RGB there
        frames = [np.dstack([frame[..., :1]] * 3 + [frame[..., 1:]]) for frame in map(np.atleast_3d, frames)]
    from fsrcnn.images import animation  # here, as few pictures are of this kind and each module takes time to import

    data = animation.encoded(frames, format, options.get("Q"), fitted.fields, picture.resolution)
    if fitted.inserted:
        data = containers.png_with(fitted.inserted, data) or data
    if fitted.light:
        notes += ("its light levels (clli, mdcv) are left out: the frames of an avif are written without them",)
    if fitted.colour:
        from fsrcnn.images import isobmff

        try:
            data = isobmff.with_colour(data, fitted.colour)
        except ValueError:
            notes += ("its colour (code points) could not be written",)
    file.write(data)
    return notes


def _encode_different(
    picture: Picture, file: BinaryIO, path: Path | None, format: str, options: dict[str, Any]
) -> Notes:
    """`_encode` for pages of different sizes, samples or metadata: each is a TIFF of its own, and they are joined."""
    large = sum(page.nbytes for page in picture.pages) > 2**31
    of_the_first = (metadata.EXIF, metadata.XMP, "iptc")  # where pages carry nothing of their own
    parts: list[bytes] = []
    notes: Notes = ()
    for number, page in enumerate(picture.pages):
        carried = picture.carried_by(number)
        if parts and "pages" not in picture.metadata:
            carried = {key: value for key, value in carried.items() if key not in of_the_first}
        single = replace(picture, pages=(page,), metadata=carried)
        buffer = io.BytesIO()
        said = _encode(single, buffer, None, format, encoder_options(format, None, (page,)) | {"bigtiff": large})
        notes += tuple(note for note in said if note not in notes)
        parts.append(buffer.getvalue())
    from fsrcnn.images import tiff  # here, as `animation` is

    file.write(tiff.joined(parts))
    return notes


def _missing(fitted: Fitted, file: BinaryIO, path: Path | None) -> Notes:
    """What was to be written and is not there: encoders drop some metadata without a word."""
    if not fitted.fields.keys() & {metadata.ICC, metadata.EXIF, metadata.XMP} and not fitted.colour:
        return ()
    file.seek(0)
    vips = libvips()
    source = path or cast(io.BytesIO, file).getvalue()
    opened = vips.Source.new_from_descriptor(file.fileno()) if path else vips.Source.new_from_memory(source)
    return metadata.missing(fitted, metadata.carried(source, vips.Image.new_from_source(opened, ""))[0])


def _stream(
    image: pyvips.Image,
    file: BinaryIO,
    format: str,
    options: dict[str, Any],
    fitted: Fitted,
    resolution: tuple[float, float] | None,
) -> None:
    """Let libvips encode into a file, put in what it does not write, and take out a resolution that it made up.

    The bytes pass through our hands, so what the system says of a write that fails is what the user reads. libvips keeps its
    reasons in a buffer that all threads share.

    Raises:
        OSError: from writing to the file.
        pyvips.Error: from encoding.
    """
    if metadata.EXIF not in fitted.fields and format != "tif" and not (resolution and format in _RESOLUTION_IN_EXIF):
        keep = libvips().enums.ForeignKeep
        options = {**options, "keep": keep.ALL & ~keep.EXIF}  # libvips would make one up
    if format == "avif":
        data = bytes(image.write_to_buffer(".avif", **options))
        if fitted.colour:
            from fsrcnn.images import isobmff  # here, as `animation` is

            with contextlib.suppress(ValueError):  # `_missing` says so
                data = isobmff.with_colour(data, fitted.colour, fitted.light)
        file.write(data)
        return
    sink = _Sink(file, _edit(format, fitted, resolution))
    target = libvips().TargetCustom()
    target.on_write(sink.write)
    target.on_read(sink.read)
    target.on_seek(sink.seek)
    try:
        image.write_to_target(target, f".{format}", **options)
    except libvips().Error:
        if sink.failure:
            raise sink.failure from None
        raise
    if sink.failure:
        raise sink.failure
    each = fitted.each
    if format == "tif" and not resolution:
        each = {**each, **density.undefined()}
    if fitted.first or each:
        tags.lay_into(file, fitted.first, each)


def _edit(
    format: str, fitted: Fitted, resolution: tuple[float, float] | None
) -> Callable[[bytes], bytes | None] | None:
    """What becomes of the beginning of a file that libvips writes; it gives None where it is given too little of it."""
    inserted = fitted.inserted
    if format == "png" and not resolution:
        return lambda head: containers.png_with(inserted, head, without=(b"pHYs",))
    if format == "jpg" and metadata.EXIF not in fitted.fields:  # then libvips writes no header, and so no resolution
        inserted = density.jfif(resolution, fitted.fields.get("resolution-unit", "in")) + inserted
    return partial(_WITH[format], inserted) if inserted and format in _WITH else None


Result = TypeVar("Result")


class _Sink:
    """A file that libvips writes to, whose beginning passes through `edit`.

    Attributes:
        failure: what a call from libvips raised: it cannot pass through C.
    """

    def __init__(self, file: BinaryIO, edit: Callable[[bytes], bytes | None] | None) -> None:
        self._file, self._edit = file, edit
        self._head = b""
        self.failure: BaseException | None = None

    def write(self, data: Any) -> int:
        def write_all() -> int:
            self._file.write(self._edited(bytes(data)) if self._edit else data)
            return len(data)

        return self._safely(write_all, -1)

    def read(self, size: int) -> bytes:
        return self._safely(lambda: self._file.read(size), b"")

    def seek(self, offset: int, whence: int) -> int:
        return self._safely(lambda: self._file.seek(offset, whence), -1)

    def _safely(self, call: Callable[[], Result], failed: Result) -> Result:
        try:
            return call()
        except BaseException as error:  # Ctrl-C, too
            self.failure = error
            return failed

    def _edited(self, data: bytes) -> bytes:
        self._head += data
        edited = self._edit(self._head) if self._edit else self._head
        if edited is not None:
            self._head, self._edit = b"", None
        return edited or b""


def _channels(picture: Picture, format: str) -> tuple[tuple[Array, ...], bool, Notes]:
    """The pages with the channels that a format holds, whether they are grey, and what is left out."""
    bands = 1 if picture.pages[0].ndim == 2 else picture.pages[0].shape[2]
    extras = [picture.extra(number) for number in range(len(picture.pages))]
    if format == "tif":
        return picture.pages, _colours(picture) <= 2, ()
    notes: Notes = ()
    pages = picture.pages
    if any(extras):
        pages = tuple(page[:, :, : bands - extra] if extra else page for page, extra in zip(pages, extras, strict=True))
        named = "a channel that is" if max(extras) == 1 else f"{max(extras)} channels that are"
        notes += (f"{named} neither colour nor transparency left out: only tif holds it",)
    if len({page.shape for page in pages}) > 1:
        raise ImageError(f"the pages have different channels, which {format} cannot hold", "give {format='tif'}")
    if format == "jpg" and _colours(picture) in (2, 4) and (pages[0][:, :, -1] < peak_of(pages[0].dtype)).any():
        notes += ("its transparency is left out: jpg holds none, so what was transparent became white",)
    if "pages" in picture.metadata:
        profiles = {carried.get(metadata.ICC) for carried in picture.metadata["pages"]}
        notes += (
            "its pages have different colour profiles, and that of the first one is written to all"
            if len(profiles) > 1
            else "what its pages after the first one carry is left out: only tif holds it",
        )
    return pages, _colours(picture) <= 2, notes


def _colours(picture: Picture) -> int:
    """Channels of the first page that are colour or alpha."""
    first = picture.pages[0]
    return (1 if first.ndim == 2 else first.shape[2]) - picture.extra(0)


def _assemble(
    pages: tuple[Array, ...],
    fitted: Fitted,
    resolution: tuple[float, float] | None,
    format: str,
    grey: bool,
    bits: int,
) -> pyvips.Image:
    """The pages as one libvips image (stacked vertically, without a copy where there is one page)."""
    vips = libvips()
    deep_enough = [_fit_depth(page, format, bits) for page in pages]
    stacked = np.ascontiguousarray(deep_enough[0] if len(deep_enough) == 1 else np.concatenate(deep_enough))
    height, width = stacked.shape[:2]
    bands = 1 if stacked.ndim == 2 else stacked.shape[2]
    name = _SAMPLES[stacked.dtype]
    interpretation = {
        "uchar": "b-w" if grey else "srgb",
        "ushort": "grey16" if grey else "rgb16",
        "float": "b-w" if grey else "srgb",
    }[name]
    image = vips.Image.new_from_memory(stacked.data, width, height, bands, name)
    image = image.copy(interpretation=interpretation)
    for key, value in fitted.fields.items():
        if isinstance(value, bytes):
            image.set_type(vips.GValue.blob_type, key, value)
        elif isinstance(value, str):
            image.set_type(vips.GValue.gstr_type, key, value)
        elif isinstance(value, list):
            image.set_type(vips.GValue.array_int_type, key, value)
        else:
            image.set_type(vips.GValue.gint_type, key, int(value))
    # Setting EXIF sets orientation and resolution from it; ours come after.
    if metadata.EXIF in fitted.fields:
        image.set_type(vips.GValue.gint_type, "orientation", 1)
    xres, yres = resolution or SCREEN_RESOLUTION
    image = image.copy(xres=xres, yres=yres)
    if fitted.profile:
        image = image.colourspace("srgb").copy()
        image.set_type(vips.GValue.blob_type, metadata.ICC, fitted.profile)
        image = image.icc_transform("srgb", embedded=True, intent="relative")
    if len(deep_enough) > 1:
        image.set_type(vips.GValue.gint_type, "page-height", height // len(deep_enough))
    return image


def _fit_depth(page: Array, format: str, bits: int) -> Array:
    """A page in a depth that the format can hold: its own, or else the deepest whole numbers it has.

    Of samples of less than 16 `bits`, libvips takes the upper ones, so they are rounded to these.
    """
    dtype = page.dtype
    holds = FORMATS[format].dtypes
    if dtype.name in holds and bits == 16:
        return page
    goal = np.dtype("uint16" if "uint16" in holds and dtype != np.uint8 else "uint8")
    if goal == dtype == np.uint8:
        return page
    peak = peak_of(dtype)
    top = 2**bits - 1 if goal == np.uint16 else peak_of(goal)
    factor = np.float32(top / peak)
    scaled = (np.clip(page, 0, peak).astype(np.float32) * factor + np.float32(0.5)).astype(goal)
    return scaled << (16 - bits) if goal == np.uint16 and bits < 16 else scaled
