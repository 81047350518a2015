"""Pictures in, larger pictures out: luma through the network, chroma and alpha bicubically, tile by tile.

A picture is pulled through a short chain of steps, `Source → Super-resolution (once or more) → Resize`. Each step is asked
for a window of its output and asks the step before it for just the window that this needs, halo included. So memory does not
grow with the picture beyond its own pixels and the result's, and a tile has the very pixels that the whole picture would have.

Where one pass of the native engine is the whole chain, the picture goes through it in a single call, which gives the same bytes.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, overload

import numpy as np
import numpy.typing as npt

from fsrcnn import engines, images, pretrained, weights
from fsrcnn.architecture import FAMILY_NAMES, SCALES
from fsrcnn.color import peak_of, rgb_to_ycbcr, ycbcr_to_rgb
from fsrcnn.engines import Engine, WholePictures
from fsrcnn.errors import UsageError
from fsrcnn.imresize import contributions, resize_axis
from fsrcnn.weights import Weights

if TYPE_CHECKING:
    import PIL.Image

Array = npt.NDArray[Any]
Float32 = npt.NDArray[np.float32]

LARGEST_FACTOR = 64.0
MAX_OUTPUT_PIXELS = 2**33
BICUBIC_TILE = (256, 256)  # where no network runs
GREY_OFFSET, GREY_GAIN = np.float32(16 / 255), np.float32(219 / 255)  # full-swing grey to studio-swing luma


class Step(Protocol):
    """One link of the chain. `size` is its output's (height, width)."""

    size: tuple[int, int]

    def window(self, top: int, bottom: int, left: int, right: int) -> Float32:
        """Planes (channels, bottom - top, right - left), float32: luma; then Cb, Cr of a colour picture; then alpha."""
        ...


class Source:
    """The pixels of a picture as planes in [0, 1]."""

    def __init__(self, pixels: Array) -> None:
        self.pixels = by_channel(pixels)
        self.size = (pixels.shape[0], pixels.shape[1])
        self.alpha = self.pixels.shape[2] in (2, 4)

    def window(self, top: int, bottom: int, left: int, right: int) -> Float32:
        # Hidden colours are replaced from their surroundings, so a picture with alpha is read with a margin.
        reach = sum(FILL_RADII) if self.alpha else 0
        t, b, l, r = grown((top, bottom, left, right), reach, self.size)
        raw = self.pixels[t:b, l:r]
        peak = np.float32(peak_of(raw.dtype))
        unit = raw.transpose(2, 0, 1).astype(np.float32) / peak
        if self.alpha:
            unit[:-1] = fill_hidden(unit[:-1], unit[-1])
            unit = unit[:, top - t : bottom - t, left - l : right - l]
        colours = len(unit) - self.alpha
        if colours == 1:
            unit[0] = GREY_OFFSET + GREY_GAIN * unit[0]
        else:
            unit[:3] = rgb_to_ycbcr(unit[:3].transpose(1, 2, 0)).transpose(2, 0, 1)
        return unit


class SuperResolution:
    """One pass of the network: luma by the engine, the other planes by bicubic interpolation to the same size."""

    def __init__(self, before: Step, engine: Engine) -> None:
        self.before, self.engine = before, engine
        self.scale = engine.architecture.scale
        self.size = (before.size[0] * self.scale, before.size[1] * self.scale)
        self.taps = [contributions(before.size[axis], self.size[axis]) for axis in (0, 1)]

    def window(self, top: int, bottom: int, left: int, right: int) -> Float32:
        scale = self.scale
        core = (top // scale, -(-bottom // scale), left // scale, -(-right // scale))
        t, b, l, r = grown(
            core, max(self.engine.architecture.halo, 2), self.before.size
        )  # 2: reach of the bicubic kernel
        t -= t % 2  # the native engine works on pairs of rows: the same pairs in every window, the same bits
        lr = self.before.window(t, b, l, r)
        sr = np.empty((len(lr), bottom - top, right - left), np.float32)
        sr[0] = self.engine.run(lr[0])[top - scale * t : bottom - scale * t, left - scale * l : right - scale * l]
        if len(lr) > 1:
            sr[1:] = bicubic(lr[1:], (t, l), self.taps, (top, bottom, left, right))
        return sr


class Resize:
    """MATLAB's bicubic on all planes, to an exact size."""

    def __init__(self, before: Step, size: tuple[int, int]) -> None:
        self.before, self.size = before, size
        self.taps = [contributions(before.size[axis], size[axis]) for axis in (0, 1)]

    def window(self, top: int, bottom: int, left: int, right: int) -> Float32:
        _, t, b = self.taps[0].window(top, bottom)
        _, l, r = self.taps[1].window(left, right)
        return bicubic(self.before.window(t, b, l, r), (t, l), self.taps, (top, bottom, left, right))


def bicubic(planes: Float32, origin: tuple[int, int], taps: list[Any], window: tuple[int, int, int, int]) -> Float32:
    """A window of the bicubic resize of planes of which a part, starting at `origin`, is given."""
    for axis, (start, stop) in enumerate((window[:2], window[2:])):
        part, first, last = taps[axis].window(start, stop)
        cut = slice(first - origin[axis], last - origin[axis])
        planes = planes[:, cut] if axis == 0 else planes[:, :, cut]
        planes = np.stack([cast(Float32, resize_axis(plane, axis, part)) for plane in planes])
    return planes


def grown(window: tuple[int, int, int, int], margin: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """A window with a margin on each side, as far as the picture reaches."""
    top, bottom, left, right = window
    return max(top - margin, 0), min(bottom + margin, size[0]), max(left - margin, 0), min(right + margin, size[1])


def by_channel(pixels: Array) -> Array:
    """(h, w) as (h, w, 1), a view; others as they are."""
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def has_hidden(pixels: Array) -> bool:
    """Whether some pixels are fully transparent, so that `fill_hidden` has something to do."""
    return pixels.ndim == 3 and pixels.shape[2] in (2, 4) and not pixels[:, :, -1].all()


FILL_RADII = (1, 2, 4, 8)  # together 15 pixels, about the reach of the largest network of the family


def fill_hidden(colour: Float32, alpha: Float32) -> Float32:
    """Colour planes with fully transparent pixels repainted by the mean of the visible ones nearby.

    What lies under alpha 0 is often black or white rubbish, and the network and the bicubic kernel would pull it into the
    visible edge as a halo. Each pass fills what has a known pixel within its radius; the rest keeps its colour.

    Args:
        colour: (channels, h, w). alpha: (h, w) in [0, 1].
    """
    known = alpha > 0
    if known.all() or not known.any():
        return colour
    for radius in FILL_RADII:
        weight = box_sum(known.astype(np.float32), radius)
        found = ~known & (weight > 0)
        colour = np.stack(
            [np.where(found, box_sum(plane * known, radius) / np.maximum(weight, 1), plane) for plane in colour]
        )
        known = known | found
    return colour


def box_sum(plane: Float32, radius: int) -> Float32:
    """Sums over squares of side 2·radius + 1, zeros outside; added in one fixed order, so tiles agree to the bit."""
    padded = np.pad(plane, radius)
    rows = sum(padded[i : i + plane.shape[0]] for i in range(2 * radius + 1))
    return cast(Float32, sum(cast(Float32, rows)[:, i : i + plane.shape[1]] for i in range(2 * radius + 1)))


@dataclass(frozen=True)
class Size:
    """How large the result shall be: one of a factor, a width and/or a height, or a box to fit into.

    Attributes:
        factor: above 1, up to 64.
        width, height: pixels; where one is missing, the shape is kept.
        fit: (width, height) of a box; the result is the largest of the same shape that fits.

    Raises:
        UsageError: nothing or too much is given, or a number outside the above.
    """

    factor: float | None = None
    width: int | None = None
    height: int | None = None
    fit: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        ways = [self.factor is not None, self.width is not None or self.height is not None, self.fit is not None]
        if sum(ways) != 1:
            raise UsageError("give one of a scale, a width and/or height, or a box to fit into")
        if self.factor is not None and not 1 < self.factor <= LARGEST_FACTOR:
            raise UsageError(
                f"scale is a number above 1, up to {LARGEST_FACTOR:g} (2, 3, 4, 1.5 …), not {self.factor:g}"
            )
        for side in (self.width, self.height, *(self.fit or ())):
            if side is not None and side < 1:
                raise UsageError(f"a width or height is at least 1 pixel, not {side}")

    def of(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the result for a picture of this size.

        Raises:
            UsageError: the result would be larger than 64 times the picture, or than 8,590 megapixels.
        """
        if self.factor is not None:
            wanted = (self.factor * height, self.factor * width)
        elif self.fit is not None:
            factor = min(self.fit[0] / width, self.fit[1] / height)
            wanted = (factor * height, factor * width)
        else:
            wanted = (
                self.height if self.height is not None else height * cast(int, self.width) / width,
                self.width if self.width is not None else width * cast(int, self.height) / height,
            )
        result = (max(1, math.floor(wanted[0] + 0.5)), max(1, math.floor(wanted[1] + 0.5)))
        if max(result[0] / height, result[1] / width) > LARGEST_FACTOR or result[0] * result[1] > MAX_OUTPUT_PIXELS:
            raise UsageError(
                f"{width}×{height} to {result[1]}×{result[0]} is too much: at most {LARGEST_FACTOR:g} times a side and "
                f"{MAX_OUTPUT_PIXELS / 1e6:,.0f} megapixels"
            )
        return result


def chain(factor: float, scales: Iterable[int]) -> tuple[int, ...]:
    """The fewest network passes that reach a factor, the least excess among those, the smaller scale first (it is cheaper).

    `chain(1.5, (2, 3, 4))` is `(2,)`, `chain(5, (2, 3, 4))` is `(2, 3)`, `chain(1, …)` is `()`.
    """
    if factor <= 1:
        return ()
    for passes in itertools.count(1):
        ways = [c for c in itertools.combinations_with_replacement(sorted(scales), passes) if math.prod(c) >= factor]
        if ways:
            return min(ways, key=math.prod)
    raise AssertionError


class Upscaler:
    """Upscales paths, PIL images and NumPy arrays; the kind that goes in comes out.

        upscaler = Upscaler("fsrcnn", scale=2)
        large = upscaler(array)           # uint8, uint16 or float32; (h, w), (h, w, 2), (h, w, 3) or (h, w, 4)
        upscaler("photo.jpg")             # writes photo_x2.jpg and returns its path

    One object may be used from several threads.
    """

    def __init__(
        self,
        model: str | Path | Weights = "fsrcnn",
        *,
        scale: float | None = None,
        engine: str = "auto",
        threads: int | None = None,
        precision: str = "exact",
    ) -> None:
        """
        Args:
            model: a family (`fsrcnn`), bundled weights (`fsrcnn-x2`), the path of a weights file, or `Weights`.
            scale: the factor by which pictures grow where a call says nothing else; above 1, up to 64. Where it is not
                given: the scale of the weights, 2 for a family.
            engine: `auto`, `native`, `numpy`, `torch`, `torch:cuda` …
            threads: of the CPU; all that this process may use where it is not given.
            precision: `exact`, or `fast`: 16-bit whole numbers, at most 0.02 dB from exact on Set5, native engine only.

        Raises:
            UsageError: no such model, engine, precision or scale.
            WeightsError: the file is not a weights file.
        """
        if threads is not None and threads < 1:
            raise UsageError(f"threads is at least 1, not {threads}")
        self.threads = threads or available_threads()
        self.engine_name, self.precision = engine, precision
        self._weights = _load_model(model)
        self._engines: dict[int, Engine] = {}
        default = 2 if 2 in self._weights else min(self._weights)
        self.scale = float(default if scale is None else scale)
        Size(factor=self.scale)
        self.engine(chain(self.scale, self._weights)[0])  # a wrong engine is reported here, not at the first picture

    @property
    def scales(self) -> tuple[int, ...]:
        """The whole scales that the model has weights for."""
        return tuple(sorted(self._weights))

    def engine(self, scale: int) -> Engine:
        """The engine for one whole scale, made when first needed."""
        if scale not in self._engines:
            self._engines[scale] = engines.create(
                self._weights[scale](), self.engine_name, self.threads, self.precision
            )
        return self._engines[scale]

    def use(self, engine: Engine) -> None:
        """Put an engine of your own in the place of the one for its scale."""
        self._engines[engine.architecture.scale] = engine

    @overload
    def __call__(self, image: str | Path, *, size: Size | None = None, output: str | Path | None = None) -> Path: ...
    @overload
    def __call__(self, image: PIL.Image.Image, *, size: Size | None = None) -> PIL.Image.Image: ...
    @overload
    def __call__(self, image: Array, *, size: Size | None = None) -> Array: ...

    def __call__(self, image: Any, *, size: Size | None = None, output: str | Path | None = None) -> Any:
        """Upscale one picture.

        Args:
            image: a path, a PIL image, or an array: (h, w), (h, w, 2) grey + alpha, (h, w, 3) RGB, (h, w, 4) RGBA; uint8, uint16,
                or float32 in [0, 1].
            size: how large; `Size(factor=self.scale)` where it is not given.
            output: for a path: where to write; `NAME_x2.ENDING` beside the picture where it is not given.

        Returns:
            The path written, a PIL image of the same mode, or an array of the same dtype and number of channels.

        Raises:
            UsageError: another kind of thing, shape or dtype.
            ImageError: a file cannot be read or written; an existing one is not replaced.
        """
        size = size or Size(factor=self.scale)
        if isinstance(image, (str, Path)):
            path = Path(image)
            picture = self.picture(images.read(path), size)
            target = Path(output) if output else default_output(path, size, picture.format)
            images.write(picture, target)
            return target
        if isinstance(image, np.ndarray):
            return self.array(image, size)
        if hasattr(image, "getbands"):
            return self._pil(image, size)
        raise UsageError(f"upscaling takes a path, a PIL image or a NumPy array, not {type(image).__name__}")

    def picture(
        self, picture: images.Picture, size: Size, progress: Callable[[float], None] | None = None
    ) -> images.Picture:
        """Upscale decoded pages; metadata goes along, the resolution grows with the picture."""
        count = len(picture.pages)
        pages = []
        for number, page in enumerate(picture.pages):
            part = (lambda done, number=number: progress((number + done) / count)) if progress else None
            pages.append(self.array(page, size, part))
        resolution = picture.resolution
        if resolution:
            (old_height, old_width), (height, width) = picture.pages[0].shape[:2], pages[0].shape[:2]
            resolution = (resolution[0] * width / old_width, resolution[1] * height / old_height)
        return replace(picture, pages=tuple(pages), resolution=resolution)

    def array(self, pixels: Array, size: Size | None = None, progress: Callable[[float], None] | None = None) -> Array:
        """Upscale an array; see `__call__`. `progress` is called with the part done, 0 … 1."""
        check_array(pixels)
        height, width = (size or Size(factor=self.scale)).of(*pixels.shape[:2])
        factor = max(height / pixels.shape[0], width / pixels.shape[1])
        step: Step = Source(pixels)
        last_lr_size, lr_tile = step.size, BICUBIC_TILE
        passes = chain(factor, self._weights)
        for scale in passes:
            last_lr_size, lr_tile = step.size, self.engine(scale).tile
            step = SuperResolution(step, self.engine(scale))
        if step.size != (height, width):
            step = Resize(step, (height, width))
        check_memory((height, width, *pixels.shape[2:]), pixels.dtype)
        result = np.empty((height, width, *pixels.shape[2:]), pixels.dtype)
        if isinstance(step, SuperResolution) and len(passes) == 1 and not has_hidden(pixels):
            engine = self.engine(passes[0])
            if isinstance(engine, WholePictures):
                engine.picture(
                    by_channel(pixels), by_channel(result), step.taps, (float(GREY_OFFSET), float(GREY_GAIN)), progress
                )
                return result
        tile = (max(1, lr_tile[0] * height // last_lr_size[0]), max(1, lr_tile[1] * width // last_lr_size[1]))
        tiles = list(tiles_of((height, width), tile))

        def compute(tile: tuple[int, int, int, int]) -> None:
            top, bottom, left, right = tile
            result[top:bottom, left:right] = to_pixels(step.window(top, bottom, left, right), result.dtype).reshape(
                bottom - top, right - left, *pixels.shape[2:]
            )

        parallel = all(self.engine(scale).parallel for scale in passes)
        run_all(compute, tiles, self.threads if parallel else 1, progress)
        return result

    def _pil(self, image: PIL.Image.Image, size: Size) -> PIL.Image.Image:
        import PIL.Image

        mode = image.mode
        if mode in ("1", "P", "PA", "CMYK", "YCbCr", "HSV", "LAB", "RGBa", "La", "RGBX"):
            transparent = mode in ("PA", "RGBa", "La") or "transparency" in image.info
            plain = image.convert("L" if mode == "1" else "RGBA" if transparent else "RGB")
        elif mode in ("I", "I;16B", "I;16L", "I;16N"):
            plain = image.convert("I;16")
        else:
            plain = image
        result = PIL.Image.fromarray(self.array(np.asarray(plain), size))
        for key in ("icc_profile", "exif", "xmp"):
            if key in image.info and not (key == "icc_profile" and mode == "CMYK"):
                result.info[key] = image.info[key]
        if "dpi" in image.info:
            x, y = image.info["dpi"]
            result.info["dpi"] = (x * result.width / image.width, y * result.height / image.height)
        return result


def _load_model(model: str | Path | Weights) -> Mapping[int, Callable[[], Weights]]:
    """Whole scale → how to get its weights: several scales for a family, one for a file or a named model."""
    if isinstance(model, Weights):
        return {model.architecture.scale: lambda: model}
    name = str(model)
    table = pretrained.table()
    if name in FAMILY_NAMES:
        found = {scale: pretrained.name_of(name, scale) for scale in SCALES if pretrained.name_of(name, scale) in table}
        if found:
            return {scale: (lambda entry=entry: pretrained.load(entry)) for scale, entry in found.items()}  # type: ignore[misc]
    if name in table:
        return {table[name].scale: lambda: pretrained.load(name)}
    path = Path(model)
    if path.exists() or path.suffix or len(path.parts) > 1:
        loaded = weights.load(path)
        return {loaded.architecture.scale: lambda: loaded}
    families = sorted({row.family for row in table.values()})
    raise UsageError(
        f"there is no model {name!r}; there are {', '.join([*families, *table])}, or the path of a weights file"
    )


def mark_of(size: Size) -> str:
    """A size in a file name: `x2`, `x1.5`, `1920x1080` (a box), `w1920`, `h1080`, `w1920h1080`."""
    if size.factor is not None:
        return f"x{size.factor:g}"
    if size.fit is not None:
        return f"{size.fit[0]}x{size.fit[1]}"
    return "".join(f"{letter}{side}" for letter, side in (("w", size.width), ("h", size.height)) if side is not None)


def default_output(path: Path, size: Size, format: str) -> Path:
    """Where a picture goes if nobody says: `photo.jpg` → `photo_x2.jpg` beside it; the ending changes only with the format."""
    try:
        ending = path.suffix if images.format_of(path) == format else f".{format}"
    except UsageError:  # no ending, or one that cannot be written (.heic, .bmp)
        ending = f".{format}"
    return path.with_name(f"{path.stem}_{mark_of(size)}{ending}")


def check_array(pixels: Array) -> None:
    """Refuse arrays that are no picture.

    Raises:
        UsageError: another dtype or shape than `Upscaler` takes, no pixels, or floats that are not finite or not in [0, 1].
    """
    if pixels.dtype not in (np.uint8, np.uint16, np.float32):
        raise UsageError(f"a picture is uint8, uint16, or float32 in [0, 1], not {pixels.dtype}; convert it first")
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and not 1 <= pixels.shape[2] <= 4) or 0 in pixels.shape:
        raise UsageError(
            f"a picture has shape (h, w) or (h, w, 1 to 4 channels) and at least one pixel, not {pixels.shape}"
        )
    if pixels.dtype == np.float32 and not (pixels.min() >= 0 and pixels.max() <= 1):
        raise UsageError("a float32 picture lies in [0, 1] without NaN; divide it by its peak first")


def check_memory(shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
    """Refuse a result that this machine cannot hold: the kernel would kill the process in the middle of it.

    Raises:
        UsageError: the result alone is larger than nine tenths of the machine's memory.
    """
    wanted, there = math.prod(shape) * np.dtype(dtype).itemsize, physical_memory()
    if there is not None and wanted > 0.9 * there:
        raise UsageError(
            f"a result of {shape[1]}×{shape[0]} pixels takes {wanted / 1e9:,.1f} GB, this machine has {there / 1e9:,.1f} GB; "
            "give a smaller size"
        )


def to_pixels(planes: Float32, dtype: npt.DTypeLike) -> Array:
    """Planes as a `Step` gives them to (h, w, channels) pixels: RGB or grey, clipped; rounded for integers."""
    dtype = np.dtype(dtype)
    colours = 1 if len(planes) <= 2 else 3
    unit = np.empty_like(planes)
    if colours == 1:
        unit[0] = (planes[0] - GREY_OFFSET) / GREY_GAIN
    else:
        unit[:3] = ycbcr_to_rgb(planes[:3].transpose(1, 2, 0)).transpose(2, 0, 1)
    unit[colours:] = planes[colours:]
    np.clip(unit, 0, 1, out=unit)
    if dtype == np.float32:
        return unit.transpose(1, 2, 0)
    # 16-bit values keep their last bit in float32: 24 bits of mantissa for 16.
    return (unit * np.float32(peak_of(dtype)) + np.float32(0.5)).astype(dtype).transpose(1, 2, 0)


def tiles_of(size: tuple[int, int], tile: tuple[int, int]) -> Iterator[tuple[int, int, int, int]]:
    """(top, bottom, left, right) of the tiles that cover a picture; thin pictures get longer tiles of the same area."""
    area = tile[0] * tile[1]
    height = min(tile[0], size[0])
    width = min(size[1], max(tile[1], area // height)) if height < tile[0] else min(tile[1], size[1])
    if size[1] < tile[1]:
        height = min(size[0], max(tile[0], area // size[1]))
    for top in range(0, size[0], height):
        for left in range(0, size[1], width):
            yield top, min(top + height, size[0]), left, min(left + width, size[1])


Item = TypeVar("Item")


def run_all(
    work: Callable[[Item], None], items: list[Item], threads: int, progress: Callable[[float], None] | None
) -> None:
    """Do the work for each item in threads; the first exception (Ctrl-C included) drops what has not begun."""
    from threadpoolctl import threadpool_limits

    # Each tile is one thread's; a BLAS with threads of its own would only fight over the cores.
    with threadpool_limits(1, user_api="blas"):
        if threads == 1 or len(items) == 1:
            for done, item in enumerate(items):
                work(item)
                if progress:
                    progress((done + 1) / len(items))
            return
        with ThreadPoolExecutor(min(threads, len(items))) as pool:
            pending = {pool.submit(work, item) for item in items}
            try:
                while pending:
                    finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                    for future in finished:
                        future.result()
                    if progress:
                        progress(1 - len(pending) / len(items))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def physical_memory() -> int | None:
    """Bytes of memory in this machine; None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None


def available_threads() -> int:
    """The CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
