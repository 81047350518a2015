"""`fsrcnn evaluate`."""

from __future__ import annotations

import csv
import math
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from fsrcnn.cli.options import EngineName, Model, Precision, Recursive, Threads, as_option
from fsrcnn.cli.terminal import bar, legible, print_json, print_table, remark, say_left_out
from fsrcnn.errors import UsageError, printable
from fsrcnn.evaluation import Result, comparable, find_sets
from fsrcnn.evaluation import evaluate as score_folders
from fsrcnn.evaluation import means as mean_scores
from fsrcnn.models import check_scale
from fsrcnn.protocol import PROTOCOLS, Protocol, Score
from fsrcnn.upscaler import Upscaler


@dataclass(frozen=True)
class Scaled:
    """A result with the scale it belongs to."""

    scale: int
    result: Result


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
    protocol: Annotated[str, typer.Option(help="paper (LR in float), files (LR rounded to 8 bit), or both.")] = "both",
    recursive: Recursive = False,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write for each picture the SR picture and HR | bicubic | SR as three labelled panes.",
            show_default=False,
        ),
    ] = None,
    engine: EngineName = "auto",
    precision: Precision = "exact",
    threads: Threads = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all results as JSON on standard output.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print all results as CSV on standard output.")] = False,
) -> None:
    """Measure PSNR (dB) and SSIM on the luma, against bicubic, by the protocols `paper` and `files`."""
    if as_json and as_csv:
        raise UsageError("give either --json or --csv")
    if protocol not in (*PROTOCOLS, "both"):
        raise UsageError(f"protocol is {', '.join(PROTOCOLS)} or both, not {protocol!r}")
    protocols: list[Protocol] = [name for name in PROTOCOLS if protocol in (name, "both")]
    upscaler = Upscaler(model, engine=engine, threads=threads, precision=precision)
    if scale is not None:
        check_scale(model, upscaler.scales, scale)
    scales = [scale] if scale is not None else list(upscaler.scales)

    found = find_sets(folders, recursive=recursive)
    rows: list[Scaled] = []
    failures: list[str] = []
    with bar("") as update:
        for number, factor in enumerate(scales):
            update(number / len(scales), f"×{factor}")
            results, bad = score_folders(
                folders, upscaler.engine(factor), protocols=protocols, recursive=recursive, save=save, threads=upscaler.threads,
                progress=lambda part, number=number: update((number + part) / len(scales), None),  # type: ignore[misc]
            )  # fmt: skip
            rows += [Scaled(factor, result) for result in results]
            failures += [error.sentence(as_option) for error in bad]
    if as_json:
        others = sum(pictures.found.others for pictures in found)
        print_json({**_as_json(model, rows, list(dict.fromkeys(failures))), "others": others})
    elif as_csv:
        _print_csv(rows)
    else:
        _print_table(model, rows)
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


def _groups(rows: list[Scaled]) -> dict[tuple[str, int, Protocol], list[Result]]:
    """Results by folder, scale and protocol, in the order in which they came."""
    groups: dict[tuple[str, int, Protocol], list[Result]] = {}
    for row in rows:
        groups.setdefault((row.result.folder, row.scale, row.result.protocol), []).append(row.result)
    return groups


def _as_json(model: str, rows: list[Scaled], failures: list[str]) -> dict[str, object]:
    means, pictures = [], []
    for (folder, scale, protocol), results in _groups(rows).items():
        bicubic, sr = (asdict(score) for score in mean_scores(results))
        group = {"folder": folder, "scale": scale, "protocol": protocol, "pictures": len(results)}
        means.append({**group, "bicubic": bicubic, "sr": sr})
    for row in rows:
        result = row.result
        name = {"folder": result.folder, "picture": result.picture, "scale": row.scale, "protocol": result.protocol}
        pictures.append({**name, "bicubic": asdict(result.bicubic), "sr": asdict(result.sr)})
    return {"model": model, "means": means, "pictures": pictures, "failed": failures}


def _print_csv(rows: list[Scaled]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["folder", "picture", "scale", "protocol", "bicubic_psnr", "bicubic_ssim", "sr_psnr", "sr_ssim"])
    for row in rows:
        r = row.result
        numbers = [f"{r.bicubic.psnr:.4f}", f"{r.bicubic.ssim:.6f}", f"{r.sr.psnr:.4f}", f"{r.sr.ssim:.6f}"]
        writer.writerow([legible(r.folder), legible(r.picture), row.scale, r.protocol, *numbers])


def _print_table(model: str, rows: list[Scaled]) -> None:
    from rich.table import Table

    pictures = Table(box=None, pad_edge=False)
    means = Table(box=None, pad_edge=False)
    for table, second in ((pictures, "picture"), (means, "pictures")):
        for title in ("set", second, "scale", "protocol", "bicubic", model, "gain"):
            table.add_column(title, justify="right" if title in ("bicubic", model, "gain") else "left", no_wrap=True)
    for (folder, scale, protocol), results in _groups(rows).items():
        for r in results:
            pictures.add_row(printable(folder), printable(r.picture), f"×{scale}", protocol, *_cells(r.bicubic, r.sr))
        means.add_row(printable(folder), str(len(results)), f"×{scale}", protocol, *_cells(*mean_scores(results)))
    print_table(pictures)
    print("\nMeans: PSNR in dB / SSIM, on the luma, clipped, rounded, shaved")
    print_table(means)


def _cells(bicubic: Score, sr: Score) -> tuple[str, str, str]:
    gain = sr.psnr - bicubic.psnr
    return (
        f"{bicubic.psnr:.2f} / {bicubic.ssim:.4f}",
        f"{sr.psnr:.2f} / {sr.ssim:.4f}",
        f"{gain:+.2f}" if math.isfinite(gain) else "–",
    )
