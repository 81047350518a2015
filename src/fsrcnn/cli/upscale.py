"""`fsrcnn upscale`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from fsrcnn import batch, formats, images, planning
from fsrcnn.cli.options import EngineName, Factor, Fit, Height, Json, Overwrite, Precision, Threads, Width, as_option
from fsrcnn.cli.signals import instead, received
from fsrcnn.cli.terminal import bar, print_json, remark, say_left_out
from fsrcnn.errors import Cancelled, FsrcnnError, ImageError, UsageError, printable
from fsrcnn.files import explained
from fsrcnn.parallel import Control
from fsrcnn.planning import Existing, Job, Plan
from fsrcnn.size import Size, wanted_size
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
    scale: Factor = None,
    width: Width = None,
    height: Height = None,
    fit: Fit = None,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            help="auto: for each picture the family that suits it; or a family (fsrcnn), a bundled model (fsrcnn-x2; see `fsrcnn "
            "models`), an average of two (fsrcnn-photo@0.7), or a weights file.",
        ),
    ] = "auto",
    engine: EngineName = "auto",
    precision: Precision = "exact",
    format: Annotated[
        str | None,
        typer.Option(
            help=f"Format to write: {', '.join(formats.WRITABLE)}. Default: the output's ending, or what the input holds. "
            "With it, the output may have no ending, or one that names no format.",
            show_default=False,
        ),
    ] = None,
    quality: Annotated[
        int | None, typer.Option(help="1 to 100, for jpg (92), webp (90) and avif (70).", show_default=False)
    ] = None,
    lossless: Annotated[bool, typer.Option("--lossless", help="Keep every pixel, in webp and avif too.")] = False,
    recursive: Annotated[
        bool,
        typer.Option(
            "--recursive",
            "-r",
            help="Look into the folders of folders, too; the tree is kept. Links to folders are not followed.",
        ),
    ] = False,
    overwrite: Overwrite = False,
    skip_existing: Annotated[bool, typer.Option("--skip-existing", help="Leave outputs that exist.")] = False,
    threads: Threads = None,
    max_pixels: Annotated[
        int, typer.Option(help="Refuse pictures with more pixels than this before decoding them.")
    ] = images.MAX_PIXELS,
    page: Annotated[
        int | None,
        typer.Option(help="Of pictures with several pages or frames, this one alone, from 1.", show_default=False),
    ] = None,
    first_page: Annotated[bool, typer.Option("--first-page", help="The same as --page 1.")] = False,
    tolerant: Annotated[bool, typer.Option("--tolerant", help="Take what can be decoded of damaged pictures.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say of each picture which model upscaled it, and why.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Upscale pictures. Bit depth, transparency, colour profile, EXIF and resolution are kept."""
    if overwrite and skip_existing:
        raise UsageError("give either --overwrite or --skip-existing")
    if first_page and page not in (None, 1):
        raise UsageError(f"give either --first-page or --page {page}")
    upscaler = Upscaler(model, scale=scale, engine=engine, threads=threads, precision=precision)
    size = wanted_size(scale, width, height, fit) or Size(factor=upscaler.scale)
    options = batch.Options(
        quality=quality, overwrite=overwrite, lossless=lossless, max_pixels=max_pixels, tolerant=tolerant,
        page=1 if first_page else page,
    )  # fmt: skip
    existing: Existing = "replace" if overwrite else "skip" if skip_existing else "refuse"
    plan = planning.plan(inputs, output, size, format=format, recursive=recursive, existing=existing, lossless=lossless)
    if any(job.target is None for job in plan.jobs if job.error is None):
        if as_json:
            raise UsageError("--json and the picture cannot both go to standard output; give -o a file")
        if sys.stdout.isatty():
            raise UsageError("standard output is a terminal; give -o a file, or pipe the picture somewhere")
    if any(job.source is None for job in plan.jobs):
        options = replace(options, standard_input=_from_stdin(max_pixels))

    outcomes: list[batch.Outcome] = []
    count, cancelled = len(plan.jobs), False
    with bar(_label(plan.jobs, 0)) as update:
        control = Control(upscaler.threads, lambda done: update(done, None))
        try:
            with instead(control.cancel):
                for outcome in batch.run_all(plan.jobs, upscaler, size, options, control):
                    outcomes.append(outcome)
                    update(len(outcomes) / count, _label(plan.jobs, len(outcomes)))
        except Cancelled:
            cancelled = True
    failures = _report(plan, outcomes, as_json, verbose)
    stopped = received()
    if cancelled and stopped is not None:
        written = len(outcomes) - failures
        remark(f"fsrcnn: stopped; {written} of {count} pictures are written, none is half-written")
        raise SystemExit(stopped.exit_code)
    if failures:
        raise typer.Exit(1)


def _label(jobs: Sequence[Job], number: int) -> str:
    """What the progress bar calls a job, counted from 1; nothing after the last one."""
    return printable(f"{number + 1}/{len(jobs)} {Path(jobs[number].label).name}") if number < len(jobs) else ""


def _report(plan: Plan, outcomes: Sequence[batch.Outcome], as_json: bool, verbose: bool) -> int:
    """Write the picture for standard output, say what was written, left and not done; returns the number of failures."""
    count = len(plan.jobs)
    done: list[batch.Done] = []
    failures: list[str] = []
    for outcome in outcomes:
        try:
            done.append(outcome.result())
            if outcome.data is not None:
                _to_stdout(outcome.data)
        except FsrcnnError as error:
            failures.append(error.about(outcome.job.label, as_option))
    for item in done:
        if verbose:
            said = f"{item.model} ({item.reason})" if item.model and item.reason else item.model or item.reason
            remark(f"fsrcnn: {item.input}: {said}")
        for note in item.notes:
            remark(f"fsrcnn: {item.input}: {note}")
        if not as_json and item.output != "standard output":
            remark(f"{item.output}  {item.output_size[0]}×{item.output_size[1]}")
    for folder, found in plan.found.items():
        say_left_out(folder, found)
    if plan.skipped:
        remark(f"fsrcnn: {len(plan.skipped)} of {len(plan.skipped) + count} outputs existed and were left")
    for sentence in failures:
        remark(f"fsrcnn: {sentence}")
    if failures and count > 1:
        remark(f"fsrcnn: {len(failures)} of {count} pictures failed")
    if as_json:
        skipped = [str(job.target) for job in plan.skipped]
        others = sum(found.others for found in plan.found.values())
        summary = {"done": [asdict(item) for item in done], "skipped": skipped, "failed": failures, "others": others}
        print_json(summary, f"{len(done)} of {count} pictures are written")
    return len(failures)


def _from_stdin(max_pixels: int) -> bytes:
    try:
        return images.stream_content(sys.stdin.buffer, max_pixels, "standard input")
    except OSError as error:
        raise ImageError(f"cannot read standard input: {explained(error)}") from error


def _to_stdout(data: bytes) -> None:
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        raise ImageError(f"cannot write to standard output: {explained(error)}") from error
