"""The protocol `photo`: how a network does on small pictures as they come about in life, beside bicubic interpolation and Lanczos.

Each picture is made small in each of the fixed ways of `degradation.CASES`, which work on 8-bit RGB (or grey) and give 8-bit pictures,
as a file holds them. The luma of those, neither rounded nor clipped any further (`fsrcnn upscale` sees the same), is made large
again; PSNR and SSIM are those of the other protocols: against the original's luma, rounded to 8 bit, modcropped, shaved.

Noise and random chains are seeded by the picture's name, so a picture scores the same alone and among others.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fsrcnn import evaluation, figures, protocol
from fsrcnn.arrays import Array, Uint8
from fsrcnn.color import luma, rgb_to_ycbcr
from fsrcnn.degradation import CASES, Case
from fsrcnn.engines import Engine
from fsrcnn.errors import FsrcnnError, UsageError
from fsrcnn.evaluation import Comparison, Pictures, PictureSet, Result
from fsrcnn.parallel import Control
from fsrcnn.protocol import Score
from fsrcnn.require import require

CHAINS = {"real": 3}
"""Of a case of random chains, how many are made of each picture: with one, a row would hang on luck. Its score is their mean."""
Distance = Callable[[Uint8, Uint8], float | None]
"""(original, picture), 8-bit RGB or grey → how far apart they look, as `perceptual.Lpips`; None where it cannot be said."""


@dataclass(frozen=True)
class CaseResult(Result):
    """One picture, made small in one way.

    Attributes:
        case: of `degradation.CASES`.
        lanczos: the score of Lanczos interpolation.
        lpips: distances by the names of `scores`; None where nobody measured them, or the picture is too small for it.
    """

    case: str
    lanczos: Score
    lpips: Mapping[str, float] | None = None

    @property
    def scores(self) -> dict[str, Score]:
        return {"bicubic": self.bicubic, "lanczos": self.lanczos, "sr": self.sr}


@dataclass(frozen=True, eq=False)
class SmallPicture:
    """A picture that was made small.

    Attributes:
        luma: (h, w) float32 in [0, 1].
        chroma: Cb and Cr (h, w, 2) float32 in [0, 1]; None of a grey picture.
    """

    luma: Array
    chroma: Array | None


@dataclass(frozen=True, eq=False)
class CaseComparison(Comparison):
    """What a case makes of one luma plane.

    Attributes:
        lanczos: as `bicubic` and `sr`.
        chroma: the small picture's.
    """

    lanczos: Uint8
    chroma: Array | None

    def coloured(self) -> dict[str, Array]:
        """The pictures made large by the names of `CaseResult.scores`, 8-bit: each luma with chroma by bicubic, as `upscale` does."""
        planes = {"bicubic": self.bicubic, "lanczos": self.lanczos, "sr": self.sr}
        return {name: figures.coloured(plane, self.chroma) for name, plane in planes.items()}


def small(hr: Uint8, scale: int, case: Case, number: int) -> SmallPicture:
    """A modcropped 8-bit picture made small.

    Args:
        hr: (h, w) or (h, w, 3), sides multiples of `scale`.
        scale: 2, 3 or 4.
        case: the way.
        number: of the picture (`number_of`), which seeds noise and random chains.

    Raises:
        ImageError: the small picture has a side above `degradation.LARGEST_SIDE`.
        MissingExtraError: Pillow, which compresses, is not installed.
    """
    lr = case.of(hr / np.float32(255), scale, number)
    return SmallPicture(luma(lr), None if lr.ndim == 2 else rgb_to_ycbcr(lr)[:, :, 1:])


def number_of(path: Path) -> int:
    """The number that seeds a picture's noise: of its name without the ending, whatever lies beside it."""
    return zlib.crc32(path.stem.encode(errors="surrogateescape"))


def numbers_of(path: Path, case: str) -> range:
    """As many as the case makes small pictures of this one."""
    first = number_of(path)
    return range(first, first + CHAINS.get(case, 1))


def gains(original: Uint8, lr: Array, networks: Sequence[Engine]) -> list[float]:
    """PSNR in dB of each network above that of bicubic interpolation, on the luma.

    Args:
        original: (h, w) luma, as `protocol.hr_luma` gives it.
        lr: (h / scale, w / scale, 3) uint8, or grey (h / scale, w / scale).
        networks: of one scale.
    """
    plane, scale = luma(lr / np.float32(255)), networks[0].architecture.scale
    bicubic = protocol.psnr(original, protocol.enlarged(plane, scale), scale)
    enlarged = (protocol.round_8bit(network.luma(plane.astype(np.float32), Control(1))) for network in networks)
    return [protocol.psnr(original, sr, scale) - bicubic for sr in enlarged]


def lanczos(lr: Array, scale: int) -> Uint8:
    """An LR plane made large again by Lanczos interpolation (a = 3; Pillow's, in floating point), rounded to 8 bit.

    Raises:
        MissingExtraError: Pillow is not installed.
    """
    image = require("PIL.Image", "Lanczos pictures", extra="pillow")
    size = (lr.shape[1] * scale, lr.shape[0] * scale)
    large = image.fromarray(lr.astype(np.float32)).resize(size, image.Resampling.LANCZOS)
    return protocol.round_8bit(np.asarray(large))


def compare(
    original: Uint8, engine: Engine, case: Case, number: int = 0, control: Control | None = None
) -> CaseComparison:
    """Luma of an 8-bit picture, made small by a case and large again by bicubic and Lanczos interpolation and by the network.

    Raises:
        ImageError: too little of the picture is left to measure when its edges are shaved off, or it is too large to be compressed.
        MissingExtraError: Pillow, which compresses, is not installed.
    """
    scale = engine.architecture.scale
    hr = evaluation.modcropped(original, scale)
    lr = small(hr, scale, case, number)
    sr = protocol.round_8bit(engine.luma(lr.luma.astype(np.float32), control))
    return CaseComparison(
        protocol.hr_luma(hr), protocol.enlarged(lr.luma, scale), sr, lanczos(lr.luma, scale), lr.chroma
    )


def evaluate(
    folders: Sequence[Path],
    engine: Engine,
    *,
    cases: Sequence[str] = tuple(CASES),
    distance: Distance | None = None,
    recursive: bool = False,
    save: Path | None = None,
    threads: int = 1,
    progress: Callable[[float], None] | None = None,
) -> tuple[list[CaseResult], list[FsrcnnError]]:
    """Score an engine on all pictures of the folders, made small in all ways; as `evaluation.evaluate`, but for:

    Args:
        cases: names of `degradation.CASES`.
        distance: measures LPIPS, on colours: the network's luma with chroma by bicubic interpolation.
        save: a folder for, per picture and case, `SET/NAME_xS_CASE.png` (SR) and `SET/NAME_xS_CASE_panes.png`
            (HR | bicubic | SR, labelled); of random chains the first.

    Returns:
        The results, in the order of folders, pictures and cases; and an error for each picture that could not be used, and each
        folder below one that could not be read, which names it.

    Raises:
        ImageError: a folder that does not exist, cannot be read or has no pictures.
        UsageError: no case, or one that is not there; two folders of one name; or `save` would replace one of the pictures.
        MissingExtraError: Pillow, which compresses, is not installed.
    """
    _check_cases(cases)
    require("PIL.Image", "JPEGs of the protocol photo", extra="pillow")
    scale = engine.architecture.scale
    sets = evaluation.find_sets(folders, recursive=recursive)
    if save is not None:
        evaluation.check_save(sets, save, [_mark(scale, case) for case in cases])

    def work(pictures: PictureSet, path: Path) -> list[CaseResult]:
        original = protocol.read_8bit(path)
        return [_evaluate_case(pictures, path, original, engine, case, distance, save) for case in cases]

    return evaluation.each_picture(sets, work, Control(threads, progress))


def _check_cases(cases: Sequence[str]) -> None:
    names = tuple(CASES)  # a tuple, as what is given need not be hashable
    if not cases or not all(case in names for case in cases):
        raise UsageError(f"is a list of at least one of {', '.join(map(repr, names))}, not {cases!r}", argument="cases")


def _mark(scale: int, case: str) -> str:
    """What follows a picture's name in that of a saved one: `x2_sharpened-JPEG-85`."""
    return f"x{scale}_{re.sub(r'[^0-9A-Za-z.]+', '-', case)}"


def _evaluate_case(
    pictures: PictureSet,
    path: Path,
    original: Uint8,
    engine: Engine,
    case: str,
    distance: Distance | None,
    save: Path | None,
) -> CaseResult:
    scale, name = engine.architecture.scale, pictures.names[path]
    hr = evaluation.modcropped(original, scale)
    chains: list[CaseResult] = []
    for number in numbers_of(path, case):
        comparison = compare(original, engine, CASES[case], number, Control(1))
        planes = (comparison.bicubic, comparison.sr, comparison.lanczos)
        bicubic, sr, by_lanczos = (protocol.score(comparison.hr, plane, scale) for plane in planes)
        first = save is not None and not chains
        colours = comparison.coloured() if first or distance is not None else {}
        lpips = None if distance is None else _distances(hr, colours, distance)
        result = CaseResult(pictures.name, name, "photo", bicubic, sr, case, by_lanczos, lpips)
        if save is not None and first:
            panes = evaluation.labelled(hr, colours["bicubic"], colours["sr"], result, f"{name} x{scale} {case}")
            evaluation.write_pictures(
                Pictures(colours["bicubic"], colours["sr"], panes),
                evaluation.targets(pictures, path, save, _mark(scale, case)),
            )
        chains.append(result)
    averages = {way: evaluation.mean([chain.scores[way] for chain in chains]) for way in chains[0].scores}
    return CaseResult(pictures.name, name, "photo", case=case, lpips=mean_lpips(chains), **averages)


def _distances(hr: Uint8, colours: Mapping[str, Array], distance: Distance) -> dict[str, float] | None:
    """Of each way to enlarge; None where one cannot be said."""
    found = {name: distance(hr, picture) for name, picture in colours.items()}
    known = {name: value for name, value in found.items() if value is not None}
    return known if len(known) == len(found) else None


def mean_lpips(results: Sequence[CaseResult]) -> dict[str, float] | None:
    """The mean distance of each way to enlarge, of the results that have one; None where none has."""
    measured = [result.lpips for result in results if result.lpips is not None]
    if not measured:
        return None
    return {name: float(np.mean([each[name] for each in measured])) for name in measured[0]}
