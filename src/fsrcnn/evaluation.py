"""PSNR and SSIM of a network on folders of pictures, by the two protocols of the field (`protocol.py`).

The third, `photo`, whose small pictures come about as in life, is in `robustness.py`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar, cast

import numpy as np

from fsrcnn import figures, images, metrics, protocol
from fsrcnn.arrays import Array, Uint8
from fsrcnn.engines import Engine
from fsrcnn.errors import SYSTEM_ERRORS, FsrcnnError, ImageError, UsageError, of_system
from fsrcnn.files import resolved
from fsrcnn.folders import Found, find, kind, unread
from fsrcnn.parallel import Control, run_all
from fsrcnn.protocol import PROTOCOLS, Protocol, Score


@dataclass(frozen=True)
class Result:
    """One picture by one protocol."""

    folder: str
    picture: str
    protocol: Protocol | Literal["photo"]
    bicubic: Score
    sr: Score

    @property
    def scores(self) -> dict[str, Score]:
        """Of each way to enlarge, the network's last."""
        return {"bicubic": self.bicubic, "sr": self.sr}


Measured = TypeVar("Measured", bound=Result)


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a protocol makes of one luma plane: all uint8, all of one size, not yet shaved."""

    hr: Uint8
    bicubic: Uint8
    sr: Uint8


def compare(original: Uint8, engine: Engine, name: Protocol, control: Control | None = None) -> Comparison:
    """Luma of an 8-bit picture, made small and large again by bicubic interpolation and by the network.

    Raises:
        ImageError: too little of the picture is left to measure when its edges are shaved off.
    """
    scale = engine.architecture.scale
    hr = protocol.hr_luma(modcropped(original, scale))
    lr = protocol.shrunk(hr, scale, name)
    sr = engine.luma(lr.astype(np.float32), control)
    return Comparison(hr, protocol.enlarged(lr, scale), protocol.round_8bit(sr))


def modcropped(original: Uint8, scale: int) -> Uint8:
    """The part of a picture that is measured: its sides are multiples of the scale.

    Raises:
        ImageError: too little of the picture is left to measure when its edges are shaved off.
    """
    hr = cast(Uint8, metrics.modcrop(original, scale))
    if min(hr.shape[:2]) < metrics.SSIM_WINDOW + 2 * scale:
        least = -(-metrics.SSIM_WINDOW // scale) * scale + 2 * scale
        raise ImageError(
            f"a picture of {original.shape[1]}×{original.shape[0]} is too small to measure at ×{scale}, which takes {least}×{least}"
        )
    return hr


def evaluate(
    folders: Sequence[Path],
    engine: Engine,
    *,
    protocols: Sequence[Protocol] = PROTOCOLS,
    recursive: bool = False,
    save: Path | None = None,
    threads: int = 1,
    progress: Callable[[float], None] | None = None,
) -> tuple[list[Result], list[FsrcnnError]]:
    """Score an engine on all pictures of the folders.

    Args:
        folders: each a set of HR pictures, or a single picture; no two of one name.
        engine: holds the network and so the scale.
        protocols: which of `paper` and `files`.
        recursive: look into the folders of folders, too.
        save: a folder for, per picture, `SET/NAME_xS.png` (SR) and `SET/NAME_xS_panes.png` (HR | bicubic | SR, labelled;
            of the first protocol).
        threads: pictures at a time.
        progress: called with the part done, 0 … 1.

    Returns:
        The results, in the order of folders, pictures and protocols; and an error for each picture that could not be used, and each
        folder below one that could not be read, which names it.

    Raises:
        ImageError: a folder that does not exist, cannot be read or has no pictures.
        UsageError: two folders of one name, or `save` would replace one of the pictures.
        MissingExtraError: `save` is given and Pillow, which draws the labels, is not installed.
    """

    def work(pictures: PictureSet, path: Path) -> list[Result]:
        return _evaluate_picture(pictures, path, engine, protocols, save)

    sets = find_sets(folders, recursive=recursive)
    if save is not None:
        check_save(sets, save, [f"x{engine.architecture.scale}"])
    return each_picture(sets, work, Control(threads, progress))


def each_picture(
    sets: Sequence[PictureSet], measured: Callable[[PictureSet, Path], list[Measured]], control: Control
) -> tuple[list[Measured], list[FsrcnnError]]:
    """What a function makes of all pictures of the sets, several at a time; see `evaluate`, whose results these are."""
    tasks = [(each, path) for each in sets for path in each.found.pictures]
    outcomes: dict[int, list[Measured] | FsrcnnError] = {}

    def work(number: int) -> None:
        each, path = tasks[number]
        try:
            outcomes[number] = measured(each, path)
        except FsrcnnError as error:
            outcomes[number] = error.named(path)
        except SYSTEM_ERRORS as error:
            outcomes[number] = of_system(path, error)

    run_all(work, list(range(len(tasks))), control)
    ordered = [outcomes[number] for number in range(len(tasks))]
    results = [result for outcome in ordered if not isinstance(outcome, FsrcnnError) for result in outcome]
    failures = [outcome for outcome in ordered if isinstance(outcome, FsrcnnError)]
    return results, failures + [unread(path) for each in sets for path in each.found.closed]


@dataclass(frozen=True)
class PictureSet:
    """Pictures that are scored together.

    Attributes:
        name: of their folder.
        folder: where they lie; the picture itself, of a single one.
        found: they, and what else lies there.
        names: what each is called: `baby`, `deep/baby`; with its ending where another one differs in nothing else.
    """

    name: str
    folder: Path
    found: Found
    names: Mapping[Path, str]


def find_sets(folders: Sequence[Path], *, recursive: bool = False) -> list[PictureSet]:
    """A set for each folder, or for a single picture.

    Raises:
        ImageError: a folder that does not exist, cannot be read or has no pictures.
        UsageError: two of one name, by which results are told apart.
    """
    sets: dict[str, PictureSet] = {}
    for folder in folders:
        alone = kind(folder) == "file"
        found = Found((folder,)) if alone else find(folder, recursive=recursive)
        name = folder.name or folder.resolve().name
        if name in sets:
            raise UsageError(f"{sets[name].folder} and {folder} have the same name", "evaluate one after the other")
        stems = Counter(path.with_suffix("") for path in found.pictures)
        inside = {path: path.relative_to(folder.parent if alone else folder) for path in found.pictures}
        names = {
            path: (below if stems[path.with_suffix("")] > 1 else below.with_suffix("")).as_posix()
            for path, below in inside.items()
        }
        sets[name] = PictureSet(name, folder, found, names)
    return list(sets.values())


def _evaluate_picture(
    pictures: PictureSet, path: Path, engine: Engine, protocols: Sequence[Protocol], save: Path | None
) -> list[Result]:
    original, name = protocol.read_8bit(path), pictures.names[path]
    scale = engine.architecture.scale
    results = []
    for each in protocols:
        comparison = compare(original, engine, each, Control(1))
        result = result_of(comparison, pictures.name, name, each, scale)
        results.append(result)
        if save is not None and each == protocols[0]:
            write_pictures(pictures_of(original, comparison, result, scale), targets(pictures, path, save, f"x{scale}"))
    return results


def targets(pictures: PictureSet, path: Path, save: Path, mark: str) -> tuple[Path, Path]:
    """Where the SR picture and the panes go; `mark` follows the picture's name."""
    stem = f"{pictures.names[path]}_{mark}"
    return save / pictures.name / f"{stem}.png", save / pictures.name / f"{stem}_panes.png"


def check_save(sets: Sequence[PictureSet], save: Path, marks: Sequence[str]) -> None:
    """Look whether pictures can be saved there, before the work.

    Raises:
        UsageError: what is saved would replace a picture that is measured.
        MissingExtraError: Pillow, which draws the labels, is not installed.
    """
    figures.pillow()
    measured = {resolved(path) for each in sets for path in each.found.pictures}
    for each in sets:
        for path in each.found.pictures:
            for target in (target for mark in marks for target in targets(each, path, save, mark)):
                if resolved(target) in measured:
                    raise UsageError(f"the output {target} is also an input", "give another {save}")


def write_pictures(looked_at: Pictures, to: tuple[Path, Path]) -> None:
    """Save the SR picture and the panes."""
    for pixels, target in zip((looked_at.sr, looked_at.panes), to, strict=True):
        images.write(images.Picture((pixels,), "png"), target, overwrite=True)


def result_of(comparison: Comparison, folder: str, picture: str, name: Protocol, scale: int) -> Result:
    """The scores of a picture's comparison."""
    scores = [protocol.score(comparison.hr, plane, scale) for plane in (comparison.bicubic, comparison.sr)]
    return Result(folder, picture, name, *scores)


def mean(scores: Sequence[Score]) -> Score:
    """The mean of the PSNRs in dB and of the SSIMs, as papers average them."""
    return Score(float(np.mean([s.psnr for s in scores])), float(np.mean([s.ssim for s in scores])))


def comparable(results: Sequence[Measured]) -> list[Measured]:
    """Those whose PSNRs are finite: a picture made exactly, as a flat one is, would make every mean infinite."""
    return [result for result in results if all(math.isfinite(score.psnr) for score in result.scores.values())]


def means(results: Sequence[Result]) -> dict[str, Score]:
    """Mean scores of each way to enlarge: PSNR of the `comparable` results (of all, if none is), SSIM of all."""
    measured = comparable(results) or results
    return {
        name: replace(
            mean([result.scores[name] for result in measured]),
            ssim=mean([result.scores[name] for result in results]).ssim,
        )
        for name in results[0].scores
    }


@dataclass(frozen=True, eq=False)
class Pictures:
    """What a person looks at: bicubic's and the network's picture in colour, and HR | bicubic | SR as labelled panes; uint8."""

    bicubic: Array
    sr: Array
    panes: Uint8


def pictures_of(original: Uint8, comparison: Comparison, result: Result, scale: int) -> Pictures:
    """Colour pictures of a result; Cb and Cr are the original's, made small and large again by bicubic interpolation.

    Raises:
        MissingExtraError: Pillow, which draws the labels, is not installed.
    """
    hr = metrics.modcrop(original, scale)
    small = figures.small_chroma(hr, scale)
    bicubic, sr = figures.coloured(comparison.bicubic, small), figures.coloured(comparison.sr, small)
    return Pictures(bicubic, sr, labelled(hr, bicubic, sr, result, f"{result.picture} x{scale}"))


def labelled(hr: Uint8, bicubic: Array, sr: Array, result: Result, title: str) -> Uint8:
    """HR | bicubic | SR with the scores above them.

    Raises:
        MissingExtraError: Pillow, which draws the labels, is not installed.
    """
    labels = (
        f"{title}: HR",
        f"bicubic {result.bicubic.psnr:.2f} dB / {result.bicubic.ssim:.4f}",
        f"SR {result.sr.psnr:.2f} dB / {result.sr.ssim:.4f}",
    )
    return figures.three_panes((hr, bicubic, sr), labels)
