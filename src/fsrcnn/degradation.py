"""How a small picture comes about in life: a random chain of blur, shrinking, noise, sharpening and compression.

MATLAB's bicubic, which papers shrink by, is one of the ways, and the rarest: a lens blurs, a sensor's noise is part light and part
electronics, a camera's software sharpens, and what people have is a JPEG. A network trained on bicubic alone takes the halos of
sharpening and the edges of blocks for detail and strengthens them; trained on the chain, it learns which is which.

`degraded` is the chain that training draws from, `CASES` the fixed list that `fsrcnn evaluate --protocol photo` measures on.

The chain is a lighter one of two: BSRGAN (Zhang et al. 2021, arXiv 2103.14006: anisotropic blur, several kernels of shrinking, JPEG)
and Real-ESRGAN (Wang et al. 2021, arXiv 2107.10833: Poisson noise, compression twice, sharpening). Their ranges are for restoring
ruins; these are for pictures that somebody wants larger.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, cast

import numpy as np

from fsrcnn.arguments import number, whole_number
from fsrcnn.arrays import Array, Float32, Uint8
from fsrcnn.errors import ImageError, UsageError
from fsrcnn.imresize import Contributions, mirrored, resize_axis
from fsrcnn.require import require

LARGEST_SIDE = 16_376  # LR pixels: WebP ends at 16,383, and the blocks may begin 7 pixels above and left of a picture
TOLERANCE = 1e-3  # beyond [0, 1]: what sums of floats err by, and less than half of an 8-bit level


# ── shrinking ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _cubic(a: float) -> Callable[[Array], Array]:
    """Keys' kernel (1981)."""

    def kernel(x: Array) -> Array:
        x = np.abs(x)
        near = ((a + 2) * x - (a + 3)) * x * x + 1
        far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
        return np.where(x <= 1, near, np.where(x < 2, far, 0.0))

    return kernel


def _linear(x: Array) -> Array:
    return cast(Array, np.maximum(0.0, 1 - np.abs(x)))


def _box(x: Array) -> Array:
    return np.where(np.abs(x) < 0.5, 1.0, 0.0)  # no sample lies at 0.5: centres are whole where the factor is odd


def _lanczos(x: Array) -> Array:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


def _first(x: Array) -> Array:
    """The nearest sample, of two equally near ones the first."""
    return np.where((x >= 0) & (x < 1), 1.0, 0.0)


@dataclass(frozen=True)
class Kernel:
    """Of a shrinking.

    Attributes:
        weight: of a sample at a distance in LR pixels where `widened`, else in HR pixels.
        width: beyond half of which the weight is 0.
        widened: by the factor of shrinking, so that every HR pixel counts (antialiasing).
    """

    weight: Callable[[Array], Array]
    width: float
    widened: bool = True


KERNELS: Mapping[str, Kernel] = {
    "bicubic": Kernel(_cubic(-0.5), 4),  # MATLAB's
    "area": Kernel(_box, 1),
    "bilinear": Kernel(_linear, 2),
    "lanczos": Kernel(_lanczos, 6),
    "cubic": Kernel(_cubic(-0.75), 4, widened=False),  # OpenCV's INTER_CUBIC
    "linear": Kernel(_linear, 2, widened=False),
    "nearest": Kernel(_first, 2, widened=False),
}


def shrunk(picture: Array, scale: int, name: str = "bicubic") -> Float32:
    """Smaller by a whole factor, centres aligned, borders mirrored; a little beyond [0, 1] where a kernel has negative weights.

    Args:
        picture: (h, w) or (h, w, channels) float32.
        scale: whole.
        name: of `KERNELS`.

    Returns:
        (h // scale, w // scale, …) float32.

    Raises:
        UsageError: no such kernel.
    """
    if name not in KERNELS:
        raise UsageError(f"a kernel is {', '.join(KERNELS)}, not {name!r}")
    for axis in (0, 1):
        picture = resize_axis(picture, axis, _contributions(picture.shape[axis], scale, KERNELS[name]))
    return picture.astype(np.float32)


def _contributions(in_length: int, scale: int, kernel: Kernel) -> Contributions:
    """Weights and indices of shrinking one axis, as `imresize.contributions` gives them for MATLAB's kernel."""
    stretch = float(scale) if kernel.widened else 1.0
    centres = (np.arange(in_length // scale) + 0.5) * scale - 0.5
    reach = math.ceil(kernel.width * stretch / 2)
    positions = np.floor(centres)[:, None] + np.arange(-reach, reach + 2)
    return mirrored(kernel.weight((centres[:, None] - positions) / stretch), positions, in_length)


# ── the random chain ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Ranges:
    """Of a random chain: how probable each part is, and how strong.

    Attributes:
        clean: chains that are MATLAB's bicubic and nothing else; half of them rounded to 8 bit.
        blur, blur_sigma: probability; standard deviations along both axes of a turned Gaussian, in LR pixels. Half of them are round.
        kernels: how probable each of `KERNELS` is.
        noise, noise_sigma: probability; standard deviation at white in 8-bit levels of linear light, of which a random part is
            Poisson's (its variance grows with the light).
        sharpen, sharpen_sigma, sharpen_amount: probability; of an unsharp mask: its Gaussian in LR pixels, and how often the
            difference is added.
        sharpen_first: chains in which sharpening comes before the noise.
        compress, quality: probability; JPEG's or WebP's quality.
        webp: of compressions.
        full_chroma: JPEGs that keep the chroma of every pixel (4:4:4); the others halve it both ways (4:2:0).
        again: compressed pictures that are compressed twice, at another place of the blocks.

    Raises:
        UsageError: a probability outside 0 … 1, a range that is no tuple of two numbers, falls or does not begin above 0, a quality
            that is no whole number from 1 to 100, a kernel that is not there, or kernels none of which is probable.
    """

    clean: float = 0.06
    blur: float = 0.12
    blur_sigma: tuple[float, float] = (0.2, 0.5)
    kernels: tuple[tuple[str, float], ...] = (
        ("bicubic", 0.62), ("bilinear", 0.04), ("area", 0.05), ("lanczos", 0.05), ("cubic", 0.1), ("nearest", 0.14),
    )  # fmt: skip
    noise: float = 0.12
    noise_sigma: tuple[float, float] = (0.5, 9.0)
    sharpen: float = 0.12
    sharpen_sigma: tuple[float, float] = (0.6, 1.4)
    sharpen_amount: tuple[float, float] = (0.7, 1.4)
    sharpen_first: float = 0.3
    compress: float = 0.82
    quality: tuple[int, int] = (38, 93)
    webp: float = 0.12
    full_chroma: float = 0.25
    again: float = 0.08

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "kernels":
                _check_kernels(value)
            elif isinstance(field.default, tuple):
                _check_range(value, field.name)
            elif not 0 <= number(value, field.name, _PROBABILITY) <= 1:
                raise UsageError(f"is {_PROBABILITY}, not {value}", argument=field.name)


_PROBABILITY = "a probability, 0 to 1"


def _check_range(value: object, name: str) -> None:
    whole = name == "quality"
    allowed = f"a tuple of two {'whole numbers, 1 to 100' if whole else 'numbers above 0'}, the smaller one first"
    wrong = UsageError(f"is {allowed}, not {value!r}", argument=name)
    if not isinstance(value, tuple) or len(value) != 2:
        raise wrong
    try:
        low, high = (whole_number(end, name, 1, 100) if whole else number(end, name, allowed) for end in value)
    except UsageError:
        raise wrong from None  # names both ends
    if not 0 < low <= high:
        raise wrong


def _check_kernels(value: object) -> None:
    allowed = (
        f"a tuple of pairs: a kernel ({', '.join(KERNELS)}) and how probable it is, which one is above 0 and none below"
    )
    wrong = UsageError(f"is {allowed}, not {value!r}", argument="kernels")
    pairs = value if isinstance(value, tuple) else ()
    if not all(isinstance(pair, tuple) and len(pair) == 2 and pair[0] in tuple(KERNELS) for pair in pairs):
        raise wrong
    try:
        odds = [number(odd, "kernels", allowed) for _, odd in pairs]
    except UsageError:
        raise wrong from None
    if not odds or min(odds) < 0 or sum(odds) <= 0:
        raise wrong


PHOTO = Ranges()
RANGES: Mapping[str, Ranges] = {
    "photo": PHOTO,
    # Compressed and noisy, but hardly ever sharpened: what a network gains where it need not fear halos.
    "photo-mild": Ranges(
        clean=0.08, sharpen=0.02, sharpen_sigma=(0.5, 1.4), sharpen_amount=(0.6, 1.4), compress=0.9,
        kernels=(("bicubic", 0.74), ("bilinear", 0.04), ("area", 0.06), ("lanczos", 0.05), ("cubic", 0.07), ("nearest", 0.04)),
    ),
    # Every second picture sharpened, many of them shrunk without a filter: what a phone or a web page makes.
    "photo-strong": Ranges(
        clean=0.04, blur=0.15, sharpen=0.5, sharpen_amount=(0.5, 1.4), noise=0.2, compress=0.7, quality=(35, 93), webp=0.15, again=0.1,
        kernels=(("bicubic", 0.51), ("bilinear", 0.05), ("area", 0.06), ("lanczos", 0.06), ("cubic", 0.2), ("nearest", 0.12)),
    ),
}  # fmt: skip
"""By the names that `--degrade` takes."""
REAL = Ranges(
    clean=0.12, blur=0.2, blur_sigma=(0.2, 0.55), noise=0.25, sharpen=0.3, sharpen_sigma=(0.5, 1.4), sharpen_amount=(0.6, 1.4),
    compress=0.75, quality=(35, 95), webp=0.2, again=0.12,
    kernels=(("bicubic", 0.55), ("area", 0.12), ("bilinear", 0.05), ("lanczos", 0.08), ("cubic", 0.12), ("nearest", 0.08)),
)  # fmt: skip
"""Of the case `real`: everything in it about as often as in an album. Never changed, so that its figures compare."""


def degraded(hr: Array, scale: int, generator: np.random.Generator, ranges: Ranges = PHOTO) -> Float32:
    """A small picture from a large one, by a random chain.

    Args:
        hr: (h, w) grey or (h, w, 3) RGB, floats in [0, 1] (up to `TOLERANCE`), sides multiples of `scale`.
        scale: 2, 3 or 4.
        generator: of the chain: the same state gives the same picture, by the same versions of NumPy and Pillow.
        ranges: how probable and how strong each part is.

    Returns:
        (h / scale, w / scale, …) float32 in [0, 1], in steps of 1/255; a clean one that is not rounded may lie a little beyond.

    Raises:
        MissingExtraError: Pillow, which compresses, is not installed, whether or not this chain compresses.
        ImageError: the small picture has a side above `LARGEST_SIDE`.
        UsageError: no such HR picture, or another scale.
    """
    _pillow()
    check_hr(hr, scale)
    picture = np.asarray(hr, np.float32)
    if generator.random() < ranges.clean:
        lr = shrunk(picture, scale, "bicubic")
        return lr if generator.random() < 0.5 else rounded(lr)
    if generator.random() < ranges.blur:
        sigmas = scale * generator.uniform(*ranges.blur_sigma, 2)
        if generator.random() < 0.5:
            sigmas[1] = sigmas[0]
        picture = filtered(picture, gaussian(sigmas[0], sigmas[1], generator.uniform(0, math.pi)))
    names, odds = zip(*ranges.kernels, strict=True)
    lr = shrunk(picture, scale, str(generator.choice(names, p=np.divide(odds, sum(odds))))).clip(0, 1)
    steps: list[Callable[[Float32], Float32]] = []
    if generator.random() < ranges.noise:
        level, part = _log_uniform(generator, *ranges.noise_sigma), generator.random()
        steps.append(lambda lr: noisy(lr, level / 255, part, generator))
    if generator.random() < ranges.sharpen:
        sigma, amount = generator.uniform(*ranges.sharpen_sigma), generator.uniform(*ranges.sharpen_amount)
        steps.append(lambda lr: sharpened(lr, sigma, amount))
    if generator.random() < ranges.sharpen_first:
        steps.reverse()
    for step in steps:
        lr = step(lr)
    lr = rounded(lr)
    if generator.random() < ranges.compress:
        for _ in range(2 if generator.random() < ranges.again else 1):
            quality = int(generator.integers(ranges.quality[0], ranges.quality[1], endpoint=True))
            webp, full_chroma = generator.random() < ranges.webp, generator.random() < ranges.full_chroma
            shift = (int(generator.integers(8)), int(generator.integers(8)))
            lr = compressed(lr, quality, webp=webp, full_chroma=full_chroma, shift=shift)
    return lr


def check_hr(hr: Array, scale: int) -> None:
    """Refuse what `degraded` and the cases do not take; microseconds, as training asks it of every picture.

    Raises:
        ImageError: no file of the chain could hold the small picture.
        UsageError: no array of floats, another shape, sides that are no multiples of the scale, or values that are not finite or not
            in [0, 1]; another scale.
    """
    whole_number(scale, "scale", 2, 4)
    if not isinstance(hr, np.ndarray) or hr.dtype.kind != "f" or not (hr.ndim == 2 or hr.shape[2:] == (3,)):
        given = f"{hr.dtype} of shape {hr.shape}" if isinstance(hr, np.ndarray) else type(hr).__name__
        raise UsageError(f"an HR picture is an array of floats of shape (h, w) or (h, w, 3), not {given}")
    height, width = hr.shape[:2]
    if not height or not width or height % scale or width % scale:
        raise UsageError(f"the sides of an HR picture are multiples of the scale, {scale}, not {width}×{height}")
    check_size(hr, scale)
    low, high = hr.min(), hr.max()
    if not (low >= -TOLERANCE and high <= 1 + TOLERANCE):  # NaN is neither
        raise UsageError(
            f"the values of an HR picture lie in [0, 1] without NaN, not from {low:g} to {high:g}",
            "divide it by its peak first",
        )


def check_size(hr: Array, scale: int) -> None:
    """
    Raises:
        ImageError: no file of the chain could hold the small picture.
    """
    height, width = hr.shape[0] // scale, hr.shape[1] // scale
    if max(height, width) > LARGEST_SIDE:
        raise ImageError(
            f"a picture of {width}×{height} pixels is too large to be compressed; a side has at most {LARGEST_SIDE:,} pixels",
            "cut it into smaller ones",
        )


def _log_uniform(generator: np.random.Generator, low: float, high: float) -> float:
    return float(low * (high / low) ** generator.random())


def rounded(picture: Array) -> Float32:
    """To 8 bit: [0, 1] in steps of 1/255, halves up."""
    return cast(Float32, (_bytes(picture) / np.float32(255)).astype(np.float32))


def _bytes(picture: Array) -> Uint8:
    return cast(Uint8, np.floor(picture.clip(0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8))


# ── the cases of an evaluation ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Case:
    """One way from a large picture to a small one, always the same.

    Attributes:
        name: as it stands in a table.
        make: (HR picture in [0, 1], scale, number of the picture) → LR picture in [0, 1], not yet rounded.
        quality, webp: of the file that it is compressed to afterwards; no quality where it is not.
    """

    name: str
    make: Callable[[Array, int, int], Float32]
    quality: int | None = None
    webp: bool = False

    def of(self, hr: Array, scale: int, number: int = 0) -> Float32:
        """The LR picture of picture number `number`, in 8-bit steps; noise and the mixed chains differ from number to number.

        Raises:
            ImageError, UsageError: as `check_hr`.
            MissingExtraError: Pillow, which compresses, is not installed.
        """
        lr = self._lr(hr, scale, number)
        return lr if self.quality is None else compressed(lr, self.quality, webp=self.webp)

    def file(self, hr: Array, scale: int, number: int = 0) -> bytes:
        """The LR picture as a file: a JPEG or WebP where the case ends in one, else a PNG.

        Raises:
            ImageError, UsageError: as `check_hr`.
            MissingExtraError: Pillow, which writes it, is not installed.
        """
        return encoded(self._lr(hr, scale, number), self.quality, webp=self.webp)

    def _lr(self, hr: Array, scale: int, number: int) -> Float32:
        check_hr(hr, scale)
        return rounded(self.make(np.asarray(hr, np.float32), scale, number))


def _small(kernel: str = "bicubic", then: Callable[[Float32], Float32] | None = None) -> Callable[..., Float32]:
    def make(hr: Array, scale: int, number: int) -> Float32:
        lr = rounded(shrunk(hr, scale, kernel))
        return lr if then is None else then(lr)

    return make


def _with_noise(sigma: float) -> Callable[..., Float32]:
    def make(hr: Array, scale: int, number: int) -> Float32:
        lr = shrunk(hr, scale, "bicubic")
        noise = np.random.default_rng((1, number)).standard_normal(lr.shape, np.float32)
        return lr + noise * np.float32(sigma / 255)

    return make


def _blurred(hr: Array, scale: int, number: int) -> Float32:
    return shrunk(filtered(hr, gaussian(0.8, 0.8, 0)), scale, "bicubic")


def _real(hr: Array, scale: int, number: int) -> Float32:
    return degraded(hr, scale, np.random.default_rng((2, number)), REAL)


def _unsharp(lr: Float32) -> Float32:
    return sharpened(lr, 1, 1)


CASES: Mapping[str, Case] = {
    case.name: case
    for case in (
        Case("clean", _small()),
        Case("JPEG 90", _small(), 90),
        Case("JPEG 75", _small(), 75),
        Case("JPEG 50", _small(), 50),
        Case("JPEG 30", _small(), 30),
        Case("WebP 75", _small(), 75, webp=True),
        Case("noise 3", _with_noise(3)),
        Case("noise 8", _with_noise(8)),
        Case("blur 0.8", _blurred),
        Case("area", _small("area")),
        Case("INTER_CUBIC", _small("cubic")),
        Case("nearest", _small("nearest")),
        Case("sharpened", _small(then=_unsharp)),
        Case("sharpened, JPEG 85", _small(then=_unsharp), 85),
        Case("real", _real),
    )
}  # fmt: skip


# ── filters ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def gaussian(sigma: float, across: float, angle: float) -> Float32:
    """(k, k) Gaussian with two standard deviations in pixels, turned by an angle in radians; sums to 1."""
    radius = max(1, math.ceil(3 * max(sigma, across)))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    u, v = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    kernel = np.exp(-0.5 * ((u / sigma) ** 2 + (v / across) ** 2))
    return cast(Float32, (kernel / kernel.sum()).astype(np.float32))


def filtered(picture: Array, kernel: Array) -> Float32:
    """Convolved with a small symmetric kernel, borders mirrored; by the Fourier transform, as fast for wide kernels."""
    radius = kernel.shape[0] // 2
    height, width = picture.shape[:2]
    around = [(radius, radius)] * 2 + [(0, 0)] * (picture.ndim - 2)
    padded = np.pad(picture, around, mode="symmetric")
    shape = (_smooth(padded.shape[0]), _smooth(padded.shape[1]))
    spectrum = np.fft.rfft2(padded, shape, axes=(0, 1))
    response = np.fft.rfft2(kernel, shape)
    spectrum *= response if picture.ndim == 2 else response[:, :, None]
    result = np.fft.irfft2(spectrum, shape, axes=(0, 1))
    return np.ascontiguousarray(result[2 * radius : 2 * radius + height, 2 * radius : 2 * radius + width], np.float32)


def _smooth(length: int) -> int:
    """The next length without a prime factor above 5: transforms of it are fast."""
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 1


def sharpened(picture: Array, sigma: float, amount: float) -> Float32:
    """An unsharp mask: the difference to a Gaussian blur of `sigma` pixels, added `amount` times; clipped to [0, 1]."""
    blurred = filtered(picture, gaussian(sigma, sigma, 0))
    return cast(Float32, (picture + np.float32(amount) * (picture - blurred)).clip(0, 1))


# ── noise and compression ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def noisy(picture: Array, sigma: float, poisson: float, generator: np.random.Generator) -> Float32:
    """Sensor noise: in linear light its variance is sigma²·(poisson·light + 1 - poisson), a sensor's shot and read noise.

    `sigma` is at white. Gamma 2.2 makes 1/2.2 of it there, and more in the shade: of 8 levels 3.6 at white, with poisson = 1
    2.2 times that at a tenth of the light.
    """
    light = picture.clip(0, 1) ** np.float32(2.2)
    deviation = np.float32(sigma) * np.sqrt(np.float32(poisson) * light + np.float32(1 - poisson))
    light += deviation * generator.standard_normal(picture.shape, np.float32)
    return cast(Float32, light.clip(0, 1) ** np.float32(1 / 2.2))


def compressed(
    picture: Array, quality: int, *, webp: bool = False, full_chroma: bool = False, shift: tuple[int, int] = (0, 0)
) -> Float32:
    """Through a JPEG or WebP file.

    Args:
        picture: (h, w) or (h, w, 3) float32 in [0, 1].
        quality: 1 … 100.
        webp: WebP, whose chroma is halved always.
        full_chroma: JPEG 4:4:4 in place of 4:2:0.
        shift: how many pixels the blocks begin above and left of the picture, as after a crop.

    Raises:
        MissingExtraError: Pillow is not installed.
    """
    image_module = _pillow()
    top, left = shift
    padded = np.pad(picture, [(top, 0), (left, 0), (0, 0)][: picture.ndim], mode="edge")
    image = image_module.open(io.BytesIO(encoded(padded, quality, webp=webp, full_chroma=full_chroma)))
    pixels = np.asarray(image.convert("L" if picture.ndim == 2 else "RGB"), np.float32)
    return (pixels / np.float32(255))[top:, left:]


def encoded(picture: Array, quality: int | None, *, webp: bool = False, full_chroma: bool = False) -> bytes:
    """The JPEG or WebP file of a picture, as `compressed` takes it; a PNG where no quality is given.

    Raises:
        MissingExtraError: Pillow is not installed.
    """
    image_module = _pillow()
    buffer = io.BytesIO()
    image = image_module.fromarray(_bytes(picture))
    if quality is None:
        image.save(buffer, "PNG")
    elif webp:
        image.save(buffer, "WEBP", quality=quality, method=0)
    else:
        chroma = {} if picture.ndim == 2 else {"subsampling": 0 if full_chroma else 2}
        image.save(buffer, "JPEG", quality=quality, **chroma)
    return buffer.getvalue()


def _pillow() -> Any:
    return require("PIL.Image", "degraded pictures", extra="pillow")
