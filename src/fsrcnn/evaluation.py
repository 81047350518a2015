"""PSNR and SSIM of a network on folders of pictures, by the two protocols of the field.

`paper`: luma of the 8-bit RGB picture, rounded; modcrop; bicubic down in floating point, LR kept in float; network; clip and round
to 8 bit; shave `scale` pixels; PSNR and SSIM. This reproduces published figures (bicubic on Set5: 33.66 / 30.39 / 28.42 dB).
`files`: the same with the LR luma rounded to 8 bit, as it is in any image file. At ×2 this reads about 0.06 dB less, so the two
must not be mixed in one table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from fsrcnn import images, metrics
from fsrcnn.color import luma, peak_of, rgb_to_ycbcr, ycbcr_to_rgb
from fsrcnn.engines import Engine
from fsrcnn.errors import FsrcnnError, ImageError, MissingExtraError
from fsrcnn.imresize import imresize
from fsrcnn.upscaler import SuperResolution, run_all

Array = npt.NDArray[Any]
Uint8 = npt.NDArray[np.uint8]
Protocol = Literal["paper", "files"]
PROTOCOLS: tuple[Protocol, ...] = ("paper", "files")


@dataclass(frozen=True)
class Score:
    """PSNR in dB (infinite for equal pictures) and SSIM (at most 1) of a luma plane against the original's."""

    psnr: float
    ssim: float


@dataclass(frozen=True)
class Result:
    """One picture by one protocol."""

    folder: str
    picture: str
    protocol: Protocol
    bicubic: Score
    sr: Score


@dataclass(frozen=True, eq=False)
class Planes:
    """What a protocol makes of one luma plane: all uint8, all of one size, not yet shaved."""

    hr: Uint8
    bicubic: Uint8
    sr: Uint8


class LumaPlane:
    """A luma plane as the first step of an upscaler's chain."""

    def __init__(self, plane: npt.NDArray[np.float32]) -> None:
        self.plane = plane
        self.size = (plane.shape[0], plane.shape[1])

    def window(self, top: int, bottom: int, left: int, right: int) -> npt.NDArray[np.float32]:
        return self.plane[None, top:bottom, left:right]


def read_8bit(path: Path) -> Uint8:
    """The picture as a paper's script sees it: 8-bit grey (h, w) or RGB (h, w, 3), alpha dropped.

    Raises:
        ImageError: it cannot be read.
    """
    pixels = images.read(path).pages[0]
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        pixels = pixels[:, :, :-1]
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.dtype != np.uint8:
        pixels = round_8bit(pixels / peak_of(pixels.dtype))
    return cast(Uint8, pixels)


def apply_protocol(original: Uint8, engine: Engine, protocol: Protocol) -> Planes:
    """Luma of an 8-bit picture, made small and large again by bicubic interpolation and by the network.

    Raises:
        ImageError: a side is shorter than the scale.
    """
    scale = engine.architecture.scale
    if min(original.shape[:2]) < scale:
        raise ImageError(f"a picture of {original.shape[1]}×{original.shape[0]} has no LR pixel at ×{scale}")
    hr = cast(Uint8, metrics.modcrop(luma(original), scale))
    size = (hr.shape[0] // scale, hr.shape[1] // scale)
    lr = imresize(hr / 255.0, output_size=size)
    if protocol == "files":
        lr = round_8bit(lr) / 255.0
    bicubic = imresize(lr, output_size=(hr.shape[0], hr.shape[1]))
    step = SuperResolution(LumaPlane(lr.astype(np.float32)), engine)
    return Planes(hr, round_8bit(bicubic), round_8bit(step.window(0, hr.shape[0], 0, hr.shape[1])[0]))


def score(hr: Uint8, other: Uint8, scale: int) -> Score:
    """PSNR and SSIM with `scale` pixels shaved off each side.

    Raises:
        FsrcnnError: fewer than 11 pixels are left on a side, which SSIM needs.
    """
    hr, other = (cast(Uint8, metrics.shave(plane, scale)) for plane in (hr, other))
    return Score(metrics.psnr(hr, other), metrics.ssim(hr, other))


def round_8bit(unit: Array) -> Uint8:
    """[0, 1] to 0 … 255: clipped, rounded, halves up as MATLAB's `uint8`."""
    return np.floor(np.clip(unit, 0, 1) * 255.0 + 0.5).astype(np.uint8)


def evaluate(
    folders: Sequence[Path],
    engine: Engine,
    *,
    protocols: Sequence[Protocol] = PROTOCOLS,
    save: Path | None = None,
    threads: int = 1,
    progress: Callable[[float], None] | None = None,
) -> tuple[list[Result], list[str]]:
    """Score an engine on all pictures of the folders.

    Args:
        folders: each a set of HR pictures, or a single picture.
        engine: holds the network and so the scale.
        protocols: which of `paper` and `files`.
        save: a folder for, per picture, `SET/NAME_xS.png` (SR) and `SET/NAME_xS_panes.png` (HR | bicubic | SR, labelled;
            of the first protocol).
        threads: pictures at a time.
        progress: called with the part done, 0 … 1.

    Returns:
        The results, in the order of folders, pictures and protocols, and one sentence for each picture that could not be used.

    Raises:
        ImageError: a folder that does not exist or has no pictures.
        MissingExtraError: `save` is given and Pillow, which draws the labels, is not installed.
    """
    if save is not None:
        _pillow()
    tasks: list[tuple[str, Path]] = []
    for folder in folders:
        paths = [folder] if folder.is_file() else images.find(folder)
        tasks += [(folder.name or folder.resolve().name, path) for path in paths]
    outcomes: dict[int, list[Result] | str] = {}

    def work(number: int) -> None:
        folder, path = tasks[number]
        try:
            outcomes[number] = _evaluate_one(folder, path, engine, protocols, save)
        except FsrcnnError as error:
            outcomes[number] = error.about(path)

    run_all(work, list(range(len(tasks))), threads if engine.parallel else 1, progress)
    ordered = [outcomes[number] for number in range(len(tasks))]
    results = [result for outcome in ordered if not isinstance(outcome, str) for result in outcome]
    return results, [outcome for outcome in ordered if isinstance(outcome, str)]


def _evaluate_one(
    folder: str, path: Path, engine: Engine, protocols: Sequence[Protocol], save: Path | None
) -> list[Result]:
    original = read_8bit(path)
    scale = engine.architecture.scale
    results = []
    for protocol in protocols:
        planes = apply_protocol(original, engine, protocol)
        result = result_of(planes, folder, path.stem, protocol, scale)
        results.append(result)
        if save is not None and protocol == protocols[0]:
            pictures = pictures_of(original, planes, result, scale)
            for pixels, ending in ((pictures.sr, ""), (pictures.panes, "_panes")):
                target = save / folder / f"{path.stem}_x{scale}{ending}.png"
                images.write(images.Picture((pixels,), "png"), target, overwrite=True)
    return results


def result_of(planes: Planes, folder: str, picture: str, protocol: Protocol, scale: int) -> Result:
    """The scores of a picture's planes."""
    return Result(
        folder, picture, protocol, score(planes.hr, planes.bicubic, scale), score(planes.hr, planes.sr, scale)
    )


def mean(scores: Sequence[Score]) -> Score:
    """The mean of the PSNRs in dB and of the SSIMs, as papers average them."""
    return Score(float(np.mean([s.psnr for s in scores])), float(np.mean([s.ssim for s in scores])))


@dataclass(frozen=True, eq=False)
class Pictures:
    """What a person looks at: bicubic's and the network's picture in colour, and HR | bicubic | SR as labelled panes; uint8."""

    bicubic: Array
    sr: Array
    panes: Uint8


def pictures_of(original: Uint8, planes: Planes, result: Result, scale: int) -> Pictures:
    """Colour pictures of a result; Cb and Cr are the original's, made small and large again by bicubic interpolation.

    Raises:
        MissingExtraError: Pillow, which draws the labels, is not installed.
    """
    hr = metrics.modcrop(original, scale)
    bicubic, sr = _coloured(hr, planes.bicubic, scale), _coloured(hr, planes.sr, scale)
    labels = (
        f"{result.picture} x{scale}: HR",
        f"bicubic {result.bicubic.psnr:.2f} dB / {result.bicubic.ssim:.4f}",
        f"SR {result.sr.psnr:.2f} dB / {result.sr.ssim:.4f}",
    )
    return Pictures(bicubic, sr, three_panes((hr, bicubic, sr), labels))


def _coloured(hr: Array, plane: Uint8, scale: int) -> Array:
    """A luma plane with the chroma that bicubic interpolation gives back; the plane itself for a grey picture."""
    if hr.ndim == 2:
        return plane
    ycbcr = rgb_to_ycbcr(hr / 255.0)
    height, width = hr.shape[:2]
    chroma = imresize(
        imresize(ycbcr[:, :, 1:], output_size=(height // scale, width // scale)), output_size=(height, width)
    )
    return round_8bit(ycbcr_to_rgb(np.dstack([plane / 255.0, chroma])))


def three_panes(panes: Sequence[Array], labels: Sequence[str]) -> Uint8:
    """Pictures of one size side by side, each with a label above it: (h + label, widths + gaps, 3) uint8.

    Raises:
        MissingExtraError: Pillow, whose built-in font draws the labels, is not installed.
    """
    image, draw, font = _pillow()
    height, width = panes[0].shape[:2]
    gap = 8
    size = 16
    face = font.load_default(size)
    widest = max(face.getlength(label) for label in labels)
    cell = max(width, int(widest) + 1)  # a small picture still gets its whole label
    sheet = image.new("RGB", (len(panes) * (cell + gap) + gap, height + size + 3 * gap), "white")
    pen = draw.Draw(sheet)
    for number, (pane, label) in enumerate(zip(panes, labels, strict=True)):
        left = gap + number * (cell + gap)
        pen.text((left, gap), label, fill="black", font=face)
        sheet.paste(image.fromarray(np.ascontiguousarray(pane)).convert("RGB"), (left, size + 2 * gap))
    return np.asarray(sheet, dtype=np.uint8)


def _pillow() -> Any:  # three modules of an optional package
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as error:
        raise MissingExtraError(
            "labelled panes need Pillow, which is not installed; type: pip install 'fsrcnn[pillow]'"
        ) from error
    return Image, ImageDraw, ImageFont
