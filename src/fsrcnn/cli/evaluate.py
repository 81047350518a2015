"""`fsrcnn evaluate`."""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from fsrcnn import perceptual, robustness
from fsrcnn.cli.options import EngineName, Model, Precision, Recursive, Threads, as_option
from fsrcnn.cli.terminal import bar, legible, print_json, print_table, remark, say_left_out
from fsrcnn.errors import FsrcnnError, UsageError, printable
from fsrcnn.evaluation import Result, comparable, find_sets
from fsrcnn.evaluation import evaluate as score_folders
from fsrcnn.evaluation import means as mean_scores
from fsrcnn.models import check_scale
from fsrcnn.protocol import PROTOCOLS, Protocol, Score
from fsrcnn.robustness import CaseResult
from fsrcnn.upscaler import Upscaler

WAYS, PHOTO_WAYS = ("bicubic", "sr"), ("bicubic", "lanczos", "sr")  # to enlarge


@dataclass(frozen=True)
class Scaled:
    """A result with the scale it belongs to."""

    scale: int
    result: Result

    @property
    def way(self) -> str:
        """How the small picture came about: the protocol, or a case of `photo`."""
        return self.result.case if isinstance(self.result, CaseResult) else self.result.protocol


def evaluate(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER...", help="Folders of high-resolution pictures, as Set5 and Set14.", show_default=False
        ),
    ],
    model: Model = "fsrcnn",
    scale: Annotated[
        int | None,
        typer.Option("--scale", "-s", help="2, 3 or 4. Default: all that the model has.", show_default=False),
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            help="paper (LR in float), files (LR rounded to 8 bit), both, or photo (LR blurred, noisy, sharpened, compressed)."
        ),
    ] = "both",
    recursive: Recursive = False,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write for each picture (and case of photo) the SR picture and HR | bicubic | SR as three labelled panes.",
            show_default=False,
        ),
    ] = None,
    engine: EngineName = "auto",
    precision: Precision = "exact",
    threads: Threads = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all results as JSON on standard output.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print all results as CSV on standard output.")] = False,
) -> None:
    """Measure PSNR (dB) and SSIM on the luma, against bicubic, by the protocols `paper` and `files`.

    `photo` makes each picture small in 15 ways (JPEG, WebP, noise, blur, sharpening, …), and measures Lanczos, too; and LPIPS, where
    the package `lpips` is installed.
    """
    if as_json and as_csv:
        raise UsageError("give either --json or --csv")
    if protocol not in (*PROTOCOLS, "both", "photo"):
        raise UsageError(f"protocol is {', '.join(PROTOCOLS)}, both or photo, not {protocol!r}")
    protocols: list[Protocol] = [name for name in PROTOCOLS if protocol in (name, "both")]
    upscaler = Upscaler(model, engine=engine, threads=threads, precision=precision)
    if scale is not None:
        check_scale(model, upscaler.scales, scale)
    scales = [scale] if scale is not None else list(upscaler.scales)

    found = find_sets(folders, recursive=recursive)
    distance = _distance() if protocol == "photo" else None
    rows: list[Scaled] = []
    failures: list[str] = []
    with bar("") as update:
        for number, factor in enumerate(scales):
            update(number / len(scales), f"×{factor}")
            results: Sequence[Result]
            network, threads = upscaler.engine(factor), upscaler.threads

            def progress(part: float, number: int = number) -> None:
                update((number + part) / len(scales), None)

            if protocol == "photo":
                results, bad = robustness.evaluate(
                    folders,
                    network,
                    distance=distance,
                    recursive=recursive,
                    save=save,
                    threads=threads,
                    progress=progress,
                )
            else:
                results, bad = score_folders(
                    folders,
                    network,
                    protocols=protocols,
                    recursive=recursive,
                    save=save,
                    threads=threads,
                    progress=progress,
                )
            rows += [Scaled(factor, result) for result in results]
            failures += [error.sentence(as_option) for error in bad]
    if as_json:
        others = sum(pictures.found.others for pictures in found)
        print_json({**_as_json(model, rows, list(dict.fromkeys(failures))), "others": others})
    elif as_csv:
        _print_csv(rows, protocol == "photo")
    else:
        _print_table(model, rows, protocol == "photo")
    for pictures in found:
        say_left_out(pictures.folder, pictures.found)
    for (folder, factor, kind), results in _groups(rows).items():
        exact = len(results) - len(comparable(results))
        if exact:
            of = f"{exact} of {len(results)} pictures are made exactly, so not in the mean PSNR"
            remark(f"fsrcnn: {folder} ×{factor} {kind}: {of}")
    for sentence in dict.fromkeys(failures):
        remark(f"fsrcnn: {sentence}")
    if failures:
        raise typer.Exit(1)


def _distance() -> robustness.Distance | None:
    """LPIPS where its package is installed; where that does not work, it is said, and the rest goes on."""
    if not perceptual.installed():
        return None
    try:
        return perceptual.Lpips()
    except FsrcnnError as error:
        remark(f"fsrcnn: {error.sentence(as_option)}")
        return None


def _groups(rows: list[Scaled]) -> dict[tuple[str, int, str], list[Result]]:
    """Results by folder, scale and way, in the order in which they first came."""
    groups: dict[tuple[str, int, str], list[Result]] = {}
    for row in rows:
        groups.setdefault((row.result.folder, row.scale, row.way), []).append(row.result)
    return groups


def _lpips(results: Sequence[Result]) -> dict[str, float] | None:
    return robustness.mean_lpips([result for result in results if isinstance(result, CaseResult)])


def _as_json(model: str, rows: list[Scaled], failures: list[str]) -> dict[str, object]:
    means: list[dict[str, object]] = []
    pictures: list[dict[str, object]] = []
    for (folder, scale, _), results in _groups(rows).items():
        scores = mean_scores(results)
        means.append(
            {"folder": folder, "scale": scale, **_way(results), "pictures": len(results), **_scores(scores, results)}
        )
    for row in rows:
        result = row.result
        name = {"folder": result.folder, "picture": result.picture, "scale": row.scale, **_way([result])}
        pictures.append({**name, **_scores(result.scores, [result])})
    return {"model": model, "means": means, "pictures": pictures, "failed": failures}


def _way(results: Sequence[Result]) -> dict[str, str]:
    """Protocol and case of results that have the same."""
    first = results[0]
    return {"protocol": first.protocol} | ({"case": first.case} if isinstance(first, CaseResult) else {})


def _scores(scores: dict[str, Score], results: Sequence[Result]) -> dict[str, object]:
    """What JSON says of one picture, or of the means of several."""
    found: dict[str, object] = {name: asdict(score) for name, score in scores.items()}
    return found | ({"lpips": _lpips(results)} if isinstance(results[0], CaseResult) else {})


def _print_csv(rows: list[Scaled], photo: bool) -> None:
    """One shape for a protocol, whatever was measured: cells of what was not stay empty."""
    ways = PHOTO_WAYS if photo else WAYS
    writer = csv.writer(sys.stdout, lineterminator="\n")
    head = ["folder", "picture", "scale", "protocol", *(["case"] if photo else [])]
    columns = [f"{way}_{figure}" for way in ways for figure in ("psnr", "ssim")]
    writer.writerow([*head, *columns, *(f"{way}_lpips" for way in ways if photo)])
    for row in rows:
        result = row.result
        numbers = [text for score in result.scores.values() for text in (f"{score.psnr:.4f}", f"{score.ssim:.6f}")]
        lpips = _lpips([result]) or {}
        distances = [f"{lpips[way]:.6f}" if way in lpips else "" for way in ways if photo]
        name = [legible(result.folder), legible(result.picture), row.scale]
        writer.writerow([*name, *_way([result]).values(), *numbers, *distances])


def _print_table(model: str, rows: list[Scaled], photo: bool) -> None:
    """Each picture and the means; of the protocol photo, with its 15 rows for a picture, the means alone."""
    from rich.table import Table

    pictures = Table(box=None, pad_edge=False)
    means = Table(box=None, pad_edge=False)
    groups = _groups(rows)
    lpips = {group: _lpips(results) for group, results in groups.items()}
    perceived = any(lpips.values())
    ways = [model if way == "sr" else way for way in (PHOTO_WAYS if photo else WAYS)]
    for table, second in ((pictures, "picture"), (means, "pictures")):
        for title in ("set", second, "scale", "case" if photo else "protocol"):
            table.add_column(title, no_wrap=True)
        for title in (*ways, "gain", *(f"LPIPS {way}" for way in ways if perceived)):
            table.add_column(title, justify="right", no_wrap=True)
    for group, results in groups.items():
        folder, scale, way = group
        for r in results:
            pictures.add_row(printable(folder), printable(r.picture), f"×{scale}", way, *_cells(r.scores))
        cells = _cells(mean_scores(results))
        if perceived:
            cells += [f"{distance:.4f}" for distance in (lpips[group] or {}).values()]
        means.add_row(printable(folder), str(len(results)), f"×{scale}", way, *cells)
    if not photo:
        print_table(pictures)
        print()
    print("Means: PSNR in dB / SSIM, on the luma, clipped, rounded, shaved")
    print_table(means)


def _cells(scores: dict[str, Score]) -> list[str]:
    gain = scores["sr"].psnr - scores["bicubic"].psnr
    return [
        *(f"{score.psnr:.2f} / {score.ssim:.4f}" for score in scores.values()),
        f"{gain:+.2f}" if math.isfinite(gain) else "–",
    ]
