"""Pictures in, larger pictures out: arrays, PIL images, files and the bytes of files; the kind that goes in comes out.

`Upscaler.planes` is the one way for all of them: a chain of network passes and, for sizes between, a bicubic one (`windows.py`). Where
a single pass is the whole chain, the engine takes the picture in one call.
"""

from __future__ import annotations

import contextlib
import copy
import io
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from fsrcnn import engines, formats, images, models
from fsrcnn.arguments import number, switch, whole_number
from fsrcnn.arrays import Array
from fsrcnn.engines import Engine
from fsrcnn.errors import PictureWarning, UsageError
from fsrcnn.folders import kind
from fsrcnn.integer import LEVEL_BITS
from fsrcnn.models import ModelName
from fsrcnn.parallel import Control, physical_memory
from fsrcnn.places import Place
from fsrcnn.planes import Planes, plain
from fsrcnn.size import Size, chain, check_size, mark_of
from fsrcnn.windows import Resize, Source, Step, SuperResolution, fill

if TYPE_CHECKING:
    import PIL.Image

    from fsrcnn.choice import Choice


class Upscaler:
    """Upscales arrays, PIL images, files and the bytes of files; the kind that goes in comes out.

        upscaler = Upscaler("fsrcnn", scale=2)
        large = upscaler(array)           # uint8, uint16 or float32; (h, w), (h, w, 2), (h, w, 3) or (h, w, 4)
        upscaler("photo.jpg")             # writes photo_x2.jpg and returns its path
        upscaler(data)                    # the bytes of a picture file → those of a larger one

    One object may be used from several threads.

    Attributes:
        label: the model, in words: a name, a path, `auto`.
        integer: whether it is an integer model, whose luma has 10 bits.
    """

    def __init__(
        self,
        model: ModelName = "fsrcnn",
        *,
        scale: float | None = None,
        engine: str = "auto",
        threads: int | None = None,
        precision: str = "exact",
    ) -> None:
        """
        Args:
            model: a family (`fsrcnn`), bundled weights (`fsrcnn-x2`), the path of a weights file, `Weights`, an `IntegerModel`, or
                `auto`: for each picture the family that suits it, by its file and its pixels; `chosen` says which.
            scale: the factor by which pictures grow where a call says nothing else; above 1, up to 64. Where it is not
                given: the scale of the weights, 2 for a family.
            engine: `auto`, `native`, `numpy`, `torch`, `torch:cuda` …; of an integer model `auto` or `integer`.
            threads: of the CPU; all that this process may use where it is not given.
            precision: `exact`, or `fast`: 16-bit whole numbers, at most 0.005 dB from exact on Set5, native engine only.

        Raises:
            UsageError: no such model, engine, precision or scale.
            WeightsError: the file is not a weights file.
        """
        self.threads = Control(threads).threads
        self.engine_name, self.precision = engine, precision
        self._choices: dict[str, Upscaler] | None = None  # of `auto`: those chosen so far, by their families
        chooses = isinstance(model, str) and model == models.AUTO
        if chooses:
            from fsrcnn import choice  # here, as it takes time to import

            model = choice.families()[0]
        self.label = "weights given as arrays" if isinstance(model, models.Network) else str(model)
        self._weights = models.by_scale(model)
        self._engines: dict[int, Engine] = {}
        default = models.default_scale(self._weights)
        self.scale = float(default if scale is None else number(scale, "scale", "a number above 1, up to 64"))
        Size(factor=self.scale)
        # A wrong engine is reported here, not at the first picture.
        self.integer = self.engine(chain(self.scale, self._weights)[0]).name == "integer"
        if chooses:
            first = copy.copy(self)  # with the same engines
            self._choices, self.label = {first.label: first}, models.AUTO

    @property
    def scales(self) -> tuple[int, ...]:
        """The whole scales that the model has weights for."""
        return tuple(sorted(self._weights))

    @property
    def whole_numbers(self) -> bool:
        """Whether its networks count in whole numbers, so that a part of a picture has exactly the pixels of the whole."""
        return self.integer or self.precision == "fast"

    def losses(self, bits: int) -> tuple[str, ...]:
        """What an enlargement loses of a picture whose samples have so many bits, in sentences."""
        if not self.integer or bits <= LEVEL_BITS:
            return ()
        return (f"the integer model computes its luma in {LEVEL_BITS} bits, and its samples have {bits}",)

    def engine(self, scale: int) -> Engine:
        """The engine for one whole scale, made when first needed.

        Raises:
            UsageError: the model is `auto`, which has none before a picture is there.
        """
        if self._choices is not None:
            raise UsageError(
                "auto chooses for each picture that is upscaled; here one model is needed", "give {model='fsrcnn'}"
            )
        if scale not in self._engines:
            self._engines[scale] = engines.create(
                self._weights[scale](), self.engine_name, self.precision, self.threads
            )
        return self._engines[scale]

    @overload
    def __call__(
        self, image: str | Path, *, size: Size | None = None, output: str | Path | None = None, overwrite: bool = False,
        format: str | None = None, quality: int | None = None, lossless: bool = False,
        max_pixels: int = images.MAX_PIXELS, page: int | None = None, tolerant: bool = False,
    ) -> Path: ...  # fmt: skip
    @overload
    def __call__(
        self, image: bytes, *, size: Size | None = None, format: str | None = None, quality: int | None = None,
        lossless: bool = False, max_pixels: int = images.MAX_PIXELS, page: int | None = None, tolerant: bool = False,
    ) -> bytes: ...  # fmt: skip
    @overload
    def __call__(self, image: PIL.Image.Image, *, size: Size | None = None) -> PIL.Image.Image: ...
    @overload
    def __call__(self, image: Array, *, size: Size | None = None) -> Array: ...

    def __call__(
        self,
        image: Any,
        *,
        size: Size | None = None,
        output: str | Path | None = None,
        overwrite: bool = False,
        format: str | None = None,
        quality: int | None = None,
        lossless: bool = False,
        max_pixels: int = images.MAX_PIXELS,
        page: int | None = None,
        tolerant: bool = False,
    ) -> Any:
        """Upscale one picture.

        Args:
            image: a path, the bytes of a picture file, a PIL image (of one with frames, the current one), or an array: (h, w),
                (h, w, 2) grey + alpha, (h, w, 3) RGB, (h, w, 4) RGBA; uint8, uint16, or float32 in [0, 1].
            size: how large; `Size(factor=self.scale)` where it is not given.
            output: for a path: where to write; `NAME_x2.ENDING` beside the picture where it is not given.
            overwrite: for a path: replace the output where it exists.
            format: for a path or bytes: `png`, `jpg`, `webp`, `tif`, `avif`, `gif`; where it is not given, that of `output`'s
                ending, else the picture's own.
            quality: for a path or bytes: 1 to 100, for jpg (92), webp (90) and avif (70).
            lossless: for a path or bytes: keep every pixel, in WebP and AVIF too.
            max_pixels: for a path or bytes: pictures with more are refused before they are decoded.
            page: for a path or bytes: this page or frame alone, counted from 1; all where it is not given.
            tolerant: for a path or bytes: take what can be decoded of a damaged picture.

        Returns:
            The path written, bytes of a file, a PIL image of the same mode, or an array of the same dtype and number of channels.

        Raises:
            UsageError: another kind of thing, shape or dtype, an argument that this kind does not take, or an `output` whose ending
                contradicts `format`.
            ImageError: a file cannot be read or written; an existing one is not replaced.

        Warns:
            PictureWarning: something that the file held could not be taken along, or that the array held could not be kept.
        """
        size = self._wanted(size)
        for name, value in (("overwrite", overwrite), ("lossless", lossless), ("tolerant", tolerant)):
            switch(value, name)
        whole_number(max_pixels, "max_pixels")
        if page is not None:
            whole_number(page, "page")
        if output is not None and not isinstance(output, (str, Path)):
            raise UsageError(f"is a path, not {output!r}", argument="output")
        format = None if format is None else formats.check_format(format)
        given = {
            "output": output is not None, "overwrite": overwrite, "format": format is not None,
            "quality": quality is not None, "lossless": lossless, "max_pixels": max_pixels != images.MAX_PIXELS,
            "page": page is not None, "tolerant": tolerant,
        }  # fmt: skip
        formats.check_quality(quality, lossless)
        if isinstance(image, (str, Path)):
            path = Path(image)
            named = Path(output) if output else None
            check_output(named, format, lossless)
            source = images.read(path, max_pixels=max_pixels, page=page, tolerant=tolerant)
            target = named or default_output(path, size, format or source.format)
            settled = formats.settle(format, target, source.format)
            images.check_fits(
                source, settled, str(path), shapes=result_shapes(source, size), lossless=lossless, output=named
            )
            picture = self.picture(source, size)
            written = images.write(
                picture, target, format=format, quality=quality, lossless=lossless, overwrite=overwrite
            )
            _warn(path, (*picture.notes, *written.notes))
            return target
        if isinstance(image, (bytes, bytearray, memoryview)):
            _refuse("the bytes of a file", given, "output", "overwrite")
            check_output(None, format, lossless)
            source = images.read(bytes(image), max_pixels=max_pixels, page=page, tolerant=tolerant)
            settled = format or source.format
            images.check_fits(source, settled, "the data", shapes=result_shapes(source, size), lossless=lossless)
            picture = self.picture(source, size)
            written = images.write(picture, None, format=format, quality=quality, lossless=lossless)
            _warn("the data", (*picture.notes, *written.notes))
            return written.data
        if isinstance(image, np.ndarray):
            _refuse("an array", given, *given)
            result = self.array(image, size)
            _warn("the array", self._lost(image, size))
            return result
        if hasattr(image, "getbands"):
            _refuse("a PIL image", given, *given)
            return self._pil(image, size)
        raise UsageError(
            f"upscaling takes a path, the bytes of a file, a PIL image or a NumPy array, not {type(image).__name__}"
        )

    def _wanted(self, size: Size | None) -> Size:
        return Size(factor=self.scale) if size is None else check_size(size)

    def chosen(
        self, pixels: Array, size: Size | None = None, compression: images.Compression | None = None
    ) -> tuple[Upscaler, Choice | None]:
        """What upscales a picture, and why: with `auto`, an upscaler of the family chosen; else this one, without a choice.

        Where no network is run, there is nothing to choose either.

        Args:
            pixels: as `__call__` takes them.
            size: how large it will be.
            compression: what its file said: `Picture.compression`.

        Raises:
            UsageError: the array is no picture, or `size` or `compression` is of another kind.
        """
        size = self._wanted(size)
        if not isinstance(compression, images.Compression | None):
            raise UsageError(
                f"is what a picture's file said, a Compression or None, not {compression!r}", argument="compression"
            )
        if self._choices is None:
            return self, None
        from fsrcnn import choice

        check_array(pixels)
        passes = self._passes(pixels.shape[:2], size.of(*pixels.shape[:2]))
        if not passes:
            return next(iter(self._choices.values())), None
        found = choice.choose(pixels, passes[0], compression)
        if found.model not in self._choices:
            self._choices[found.model] = Upscaler(
                found.model, scale=self.scale, engine=self.engine_name, threads=self.threads, precision=self.precision
            )
        return self._choices[found.model], found

    def chosen_for(self, picture: images.Picture, size: Size) -> tuple[Upscaler, Choice | None]:
        """`chosen` by one page of a picture that was read, and by what its file said.

        It is the first page that a network enlarges and that has more than two levels: a scan of 1 bit says nothing of a photo behind
        it. The first one where all have two.
        """
        enlarged = self.enlarged(picture, size) if self._choices is not None else []
        number = next((number for number in enlarged if not _bilevel(picture.pages[number])), (*enlarged, 0)[0])
        page, extra = picture.pages[number], picture.extra(number)
        return self.chosen(page[:, :, : page.shape[2] - extra] if extra else page, size, picture.compression)

    def enlarged(self, picture: images.Picture, size: Size) -> list[int]:
        """The pages of a picture, counted from 0, for which a network is run: not those that keep their size or shrink.

        Raises:
            UsageError: `size` is of another kind.
        """
        check_size(size)
        shapes = [page.shape[:2] for page in picture.pages]
        return [number for number, shape in enumerate(shapes) if self._passes(shape, size.of(*shape))]

    def _passes(self, lr: tuple[int, ...], sr: tuple[int, ...]) -> tuple[int, ...]:
        """The scales of the networks that are run for a picture of (height, width) `lr`, one after the other."""
        return chain(max(sr[0] / lr[0], sr[1] / lr[1]), self._weights)

    def picture(self, picture: images.Picture, size: Size, control: Control | None = None) -> images.Picture:
        """Upscale decoded pages; metadata goes along, the resolution grows with the picture. All pages have one model.

        Raises:
            UsageError: `size` is of another kind.
        """
        check_size(size)
        if self._choices is not None:
            return self.chosen_for(picture, size)[0].picture(picture, size, control)
        control = control or Control(self.threads)
        count = len(picture.pages)
        pages = [
            self._channels(page, picture.extra(number), size, control.part(number, count))
            for number, page in enumerate(picture.pages)
        ]
        lost = self.losses(picture.bits) if self.enlarged(picture, size) else ()
        resolution = picture.resolution
        if resolution:
            (old_height, old_width), (height, width) = picture.pages[0].shape[:2], pages[0].shape[:2]
            resolution = (resolution[0] * width / old_width, resolution[1] * height / old_height)
        return replace(picture, pages=tuple(pages), resolution=resolution, notes=(*picture.notes, *lost))

    def _lost(self, pixels: Array, size: Size) -> tuple[str, ...]:
        """`losses` of an array, where a network is run for it."""
        return self.losses(8 * pixels.itemsize) if self._passes(pixels.shape[:2], size.of(*pixels.shape[:2])) else ()

    def _channels(self, page: Array, extra: int, size: Size, control: Control) -> Array:
        """A page whose last `extra` channels are neither colour nor alpha: each of them is upscaled as a grey picture of its own."""
        if not extra:
            return self.array(page, size, control)
        colours = page.shape[2] - extra
        parts = [page[:, :, :colours], *(page[:, :, channel] for channel in range(colours, page.shape[2]))]
        results = [self.array(part, size, control.part(number, len(parts))) for number, part in enumerate(parts)]
        return np.dstack(results)

    def array(self, pixels: Array, size: Size | None = None, control: Control | None = None) -> Array:
        """Upscale an array; see `__call__`."""
        size = self._wanted(size)
        check_array(pixels)
        if self._choices is not None:
            return self.chosen(pixels, size)[0].array(pixels, size, control)
        height, width = size.of(*pixels.shape[:2])
        shape = (height, width, *pixels.shape[2:])
        check_memory(shape, pixels.dtype)
        result = np.empty(shape, pixels.dtype)
        self.planes(Planes.of(pixels), Planes.of(result), control)
        return result

    def planes(self, lr: Planes, sr: Planes, control: Control | None = None) -> None:
        """Fill `sr`, of any size, from `lr`: pictures of one layout and colour, as `Engine.planes` takes them.

        Raises:
            UsageError: layout or colour differ, or the model is `auto`.
            Cancelled: through the control; `sr` is unfinished then.
        """
        if self._choices is not None:
            raise UsageError(
                "auto chooses for a whole picture; planes may be frames of a film, which would change from one to the next",
                "give {model='fsrcnn'}, or one that `chosen` gave",
            )
        lr.check_result(sr)
        control = control or Control(self.threads)
        step: Step = Source(lr)
        passes = [self.engine(scale) for scale in self._passes(lr.size, sr.size)]
        for engine in passes:
            step = SuperResolution(step, engine)
        if len(passes) == 1 and step.size == sr.size:
            passes[0].planes(lr, sr, control)
            return
        if step.size != sr.size:
            step = Resize(step, sr.size)
        fill(step, sr, control)

    def _pil(self, image: PIL.Image.Image, size: Size) -> PIL.Image.Image:
        import PIL.Image
        import PIL.ImageOps

        frames = getattr(image, "n_frames", 1)
        if frames > 1:
            _warn("the PIL image", (f"frame {image.tell() + 1} of {frames} is upscaled, the others are left out",), 4)
        compression = images.pil_compression(image)
        image = PIL.ImageOps.exif_transpose(image)  # and its EXIF and XMP say so
        pixels = _pixels_of(image)
        check_array(pixels)
        result = PIL.Image.fromarray(self.chosen(pixels, size, compression)[0].array(pixels, size))
        _warn("the PIL image", self._lost(pixels, size), 4)
        result.info.update(images.pil_info(image.info, result.size))
        if image.mode in ("CMYK", "LAB"):
            result.info.pop("icc_profile", None)
        if "dpi" in image.info:
            x, y = image.info["dpi"]
            result.info["dpi"] = (x * result.width / image.width, y * result.height / image.height)
        return result


# What a PIL mode is upscaled as, where that is another; modes of whole numbers above 8 bit (I, I;16, I;16B …) become uint16.
_PIL_MODES = {
    "1": "L", "La": "LA", "P": "RGB", "PA": "RGBA", "RGBa": "RGBA", "RGBX": "RGB", "CMYK": "RGB", "YCbCr": "RGB", "HSV": "RGB",
    "LAB": "RGB",
}  # fmt: skip


def _pixels_of(image: PIL.Image.Image) -> Array:
    """The array of a PIL image, with the alpha that its colour or palette entry of no opacity stands for.

    Raises:
        UsageError: whole numbers beyond 16 bit.
    """
    if image.mode.startswith("I"):
        samples = np.asarray(image)
        if samples.min() < 0 or samples.max() > 0xFFFF:
            raise UsageError(f"a PIL image of mode {image.mode} lies in 0 … 65,535", "scale it first")
        if "transparency" in image.info:
            warnings.warn(
                f"a PIL image of mode {image.mode}: its transparency is left out", PictureWarning, stacklevel=4
            )
        return samples.astype(np.uint16)
    mode = _PIL_MODES.get(image.mode, image.mode)
    if "transparency" in image.info:
        mode = {"L": "LA", "RGB": "RGBA"}.get(mode, mode)
    if image.mode == "CMYK" and "icc_profile" in image.info:
        import PIL.ImageCms

        with contextlib.suppress(PIL.ImageCms.PyCMSError, OSError):  # damaged, or not one of CMYK
            profile = PIL.ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
            srgb = PIL.ImageCms.createProfile("sRGB")
            return np.asarray(PIL.ImageCms.profileToProfile(image, profile, srgb, outputMode="RGB"))
    return np.asarray(image if mode == image.mode else image.convert(mode))


def _bilevel(page: Array) -> bool:
    """Whether every eighth row has no more than two levels."""
    rows = page[::8]
    return bool(((rows == rows.min()) | (rows == rows.max())).all())


def result_shapes(picture: images.Picture, size: Size) -> list[tuple[int, ...]]:
    """(height, width, …) of what each page of a picture becomes.

    Raises:
        UsageError: the result would be too large.
    """
    return [(*size.of(*page.shape[:2]), *page.shape[2:]) for page in picture.pages]


def _warn(label: object, notes: Sequence[str], stacklevel: int = 3) -> None:
    """Say what was lost to the caller of `Upscaler.__call__`; `stacklevel` counts from here to it."""
    for note in notes:
        warnings.warn(f"{label}: {note}", PictureWarning, stacklevel=stacklevel)


def _refuse(kind: str, given: Mapping[str, bool], *names: str) -> None:
    """
    Raises:
        UsageError: one of the arguments is given, which has no meaning for this kind of picture.
    """
    for name in names:
        if given[name]:
            raise UsageError(f"{name} has no meaning for {kind}")


def default_output(path: Path, size: Size, format: str) -> Path:
    """Where a picture goes if nobody says: `photo.jpg` → `photo_x2.jpg` beside it; the ending changes only with the format.

    Raises:
        UsageError: it is a pipe or a device, beside which nothing goes.
        ImageError: the system does not say what lies there.
    """
    if kind(path) == "device":
        raise UsageError(f"{path} is no file, so its result has no name", "give {output}")
    return formats.with_ending(path.with_name(f"{path.stem}_{mark_of(size)}{path.suffix}"), format)


def check_output(target: Place | None, format: str | None, lossless: bool = False) -> None:
    """Refuse a name that does not say what to write, or says another thing than `format`; and either where it is never `lossless`.

    A device needs no ending.

    Raises:
        UsageError: that is so.
        ImageError: the system does not say what lies there.
    """
    device = isinstance(target, Path) and kind(target) == "device"
    if target is not None and (not device or format or target.suffix):
        format = formats.format_of(target, format)
    if lossless and format is not None:
        formats.check_lossless(format, target)


def check_array(pixels: Array) -> None:
    """Refuse arrays that are no picture.

    Raises:
        UsageError: no NumPy array or a masked one, another dtype or shape than `Upscaler` takes, no pixels, or floats that are not
            finite or not in [0, 1].
    """
    pixels = plain(pixels, "a picture")
    if pixels.dtype not in (np.uint8, np.uint16, np.float32):
        raise UsageError(f"a picture is uint8, uint16, or float32 in [0, 1], not {pixels.dtype}", "convert it first")
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and not 1 <= pixels.shape[2] <= 4) or 0 in pixels.shape:
        raise UsageError(
            f"a picture has shape (h, w) or (h, w, 1 to 4 channels) and at least one pixel, not {pixels.shape}"
        )
    if pixels.dtype == np.float32 and not (pixels.min() >= 0 and pixels.max() <= 1):
        raise UsageError("a float32 picture lies in [0, 1] without NaN", "divide it by its peak first")


def check_memory(shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
    """Refuse a result that this machine cannot hold: the kernel would kill the process in the middle of it.

    Raises:
        UsageError: the result alone is larger than nine tenths of the machine's memory.
    """
    wanted, memory = math.prod(shape) * np.dtype(dtype).itemsize, physical_memory()
    if memory is not None and wanted > 0.9 * memory:
        raise UsageError(
            f"a result of {shape[1]}×{shape[0]} pixels takes {wanted / 1e9:,.1f} GB, this machine has {memory / 1e9:,.1f} GB",
            "give a smaller size",
        )
