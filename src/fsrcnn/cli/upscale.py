"""`fsrcnn upscale`."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from fsrcnn import batch, formats, images
from fsrcnn.cli.terminal import bar, stoppable
from fsrcnn.engines import ENGINE_NAMES
from fsrcnn.errors import FsrcnnError, UsageError
from fsrcnn.size import Size
from fsrcnn.upscaler import Upscaler


def upscale(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...", help="Pictures, folders of pictures, or - for standard input.", show_default=False
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="File, folder (made if missing), or - for standard output. Default: NAME_x2.ENDING beside the input.",
            show_default=False,
        ),
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option(
            "--scale",
            "-s",
            help="Factor: 2, 3, 4, or any number above 1 up to 64. Default: the scale of the model, 2 for a family.",
            show_default=False,
        ),
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(help="Exact width in pixels (the height follows, unless given too).", show_default=False),
    ] = None,
    height: Annotated[
        int | None,
        typer.Option(help="Exact height in pixels (the width follows, unless given too).", show_default=False),
    ] = None,
    fit: Annotated[
        str | None,
        typer.Option(metavar="WxH", help="As large as fits into this box, as 3840x2160.", show_default=False),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            help="A family (fsrcnn), a bundled model (fsrcnn-x2; see `fsrcnn models`), or a weights file.",
        ),
    ] = "fsrcnn",
    engine: Annotated[str, typer.Option(help=f"One of {', '.join(ENGINE_NAMES)}.")] = "auto",
    precision: Annotated[
        str, typer.Option(help="exact, or fast (16-bit whole numbers; at most 0.02 dB less on Set5).")
    ] = "exact",
    format: Annotated[
        str | None,
        typer.Option(
            help=f"Format to write: {', '.join(formats.WRITABLE)}. Default: the output's ending, or the input's format.",
            show_default=False,
        ),
    ] = None,
    quality: Annotated[
        int | None, typer.Option(help="1 to 100, for jpg (92), webp (90) and avif (70).", show_default=False)
    ] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Look into the folders of folders, too; the tree is kept.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = False,
    skip_existing: Annotated[bool, typer.Option("--skip-existing", help="Leave outputs that exist.")] = False,
    threads: Annotated[int | None, typer.Option(help="CPU threads. Default: all.", show_default=False)] = None,
    max_pixels: Annotated[
        int, typer.Option(help="Refuse pictures with more pixels than this before decoding them.")
    ] = images.MAX_PIXELS,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON on standard output.")] = False,
) -> None:
    """Upscale pictures. Bit depth, transparency, colour profile, EXIF and resolution are kept."""
    if overwrite and skip_existing:
        raise UsageError("give either --overwrite or --skip-existing")
    upscaler = Upscaler(model, scale=scale, engine=engine, threads=threads, precision=precision)
    size = wanted_size(scale, width, height, fit) or Size(factor=upscaler.scale)
    existing = "replace" if overwrite else "skip" if skip_existing else "refuse"
    plan = batch.plan(inputs, output, size, format=format, recursive=recursive, existing=existing)
    if as_json and any(job.target is None for job in plan.jobs):
        raise UsageError("--json and the picture cannot both go to standard output; give -o a file")
    if quality is not None and not 1 <= quality <= 100:
        raise UsageError(f"quality is 1 to 100, not {quality}")
    if any(job.target is None for job in plan.jobs) and sys.stdout.isatty():
        raise UsageError("standard output is a terminal; give -o a file, or pipe the picture somewhere")

    done: list[batch.Done] = []
    failures: list[str] = []
    count = len(plan.jobs)
    try:
        with stoppable() as check_stopped, bar("") as update:
            for number, job in enumerate(plan.jobs):
                check_stopped()
                update(number / count, f"{number + 1}/{count} {Path(job.label).name}")
                try:
                    done.append(
                        batch.run(
                            job, upscaler, size, quality=quality, overwrite=overwrite, max_pixels=max_pixels,
                            progress=lambda part, number=number: update((number + part) / count, None),  # type: ignore[misc]
                        )
                    )  # fmt: skip
                except FsrcnnError as error:
                    failures.append(error.about(job.label))
    except KeyboardInterrupt:
        print(f"fsrcnn: stopped; {len(done)} of {count} pictures are written, none is half-written", file=sys.stderr)
        raise SystemExit(130) from None
    finally:
        if as_json:
            print(
                json.dumps(
                    {
                        "done": [asdict(item) for item in done],
                        "skipped": [str(job.target) for job in plan.skipped],
                        "failed": failures,
                    },
                    indent=2,
                )
            )
    for item in done:
        if not as_json and item.output != "standard output":
            print(f"{item.output}  {item.output_size[0]}×{item.output_size[1]}", file=sys.stderr)
    if plan.skipped:
        print(
            f"fsrcnn: {len(plan.skipped)} of {len(plan.skipped) + count} outputs existed and were left", file=sys.stderr
        )
    for sentence in failures:
        print(f"fsrcnn: {sentence}", file=sys.stderr)
    if failures and count > 1:
        print(f"fsrcnn: {len(failures)} of {count} pictures failed", file=sys.stderr)
    if failures:
        raise typer.Exit(1)


def wanted_size(scale: float | None, width: int | None, height: int | None, fit: str | None) -> Size | None:
    """The size that the options ask for; None where they ask for none.

    Raises:
        UsageError: a box that is not WxH, or more than one way.
    """
    box = None
    if fit is not None:
        match = re.fullmatch(r"(\d{1,9})[xX×](\d{1,9})", fit)
        if not match:
            raise UsageError(f"--fit is WIDTHxHEIGHT in pixels, as 3840x2160, not {fit!r}")
        box = (int(match[1]), int(match[2]))
    if scale is None and width is None and height is None and box is None:
        return None
    return Size(factor=scale, width=width, height=height, fit=box)
