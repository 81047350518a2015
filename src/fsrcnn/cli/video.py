"""`fsrcnn video`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from fsrcnn.cli.options import EngineName, Factor, Fit, Height, Json, Overwrite, Recursive, Threads, Width, as_option
from fsrcnn.cli.preview import show
from fsrcnn.cli.signals import instead, received
from fsrcnn.cli.terminal import Update, bar, print_json, remark
from fsrcnn.errors import SYSTEM_ERRORS, Cancelled, FsrcnnError, UsageError, of_system, printable
from fsrcnn.jobs import Existing
from fsrcnn.parallel import Control
from fsrcnn.size import Size, wanted_size
from fsrcnn.upscaler import Upscaler
from fsrcnn.video import Done, Progress, earlier, to_y4m, upscale, upscaler_for_films
from fsrcnn.video.encoders import ENCODERS, available
from fsrcnn.video.library import pyav
from fsrcnn.video.planning import FilmJob, plan
from fsrcnn.video.span import span_of

OFFERED = ", ".join(available()) or f"{', '.join(ENCODERS)}, as the installed PyAV has them (it is not installed)"
CRF = ", ".join(f"{encoder.name} {encoder.crf} of 0 to {encoder.worst}" for encoder in ENCODERS.values() if encoder.crf)
PRESETS = ", ".join(
    f"{e.name} {e.preset}, from {e.presets[0]} to {e.presets[-1]}" for e in ENCODERS.values() if e.presets
)


def video(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...", help="Films, folders of films, or - for Y4M from standard input.", show_default=False
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="File, folder, or - for Y4M to standard output. Default: NAME_x2.ENDING beside the input.",
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
            help="auto: the one family that suits frames from all over the film; or a family (fsrcnn), a bundled model "
            "(fsrcnn-x2; see `fsrcnn models`), an average of two (fsrcnn-photo@0.7), or a weights file.",
        ),
    ] = "auto",
    engine: EngineName = "auto",
    precision: Annotated[
        str | None,
        typer.Option(
            help="fast (16-bit whole numbers; at most 0.005 dB less), or exact. Default: fast, where the engine has it.",
            show_default=False,
        ),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            help=f"One of {OFFERED}. Default: the first of them that the container holds.", show_default=False
        ),
    ] = None,
    crf: Annotated[
        int | None, typer.Option(help=f"Quality, the smaller the better. Default: {CRF}.", show_default=False)
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help=f"How much time the encoder takes. Default: {PRESETS}.", show_default=False)
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Begin there: seconds or 1:02:03.5, from the film's beginning. The result begins with that moment.",
            show_default=False,
        ),
    ] = None,
    duration: Annotated[
        str | None, typer.Option(metavar="TIME", help="How much of the film. Default: to its end.", show_default=False)
    ] = None,
    deinterlace: Annotated[
        bool,
        typer.Option(
            "--deinterlace", help="Make a whole frame of each interlaced one (bwdif); such films are refused otherwise."
        ),
    ] = False,
    preview: Annotated[
        str | None,
        typer.Option(
            metavar="PICTURE",
            help="Write one frame (that at --start, else the middle one) as a picture: (HR |) bicubic | SR.",
            show_default=False,
        ),
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Write a film of (HR |) bicubic | SR side by side, labelled.")
    ] = False,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="FILM",
            help="For --preview and --compare: the original, which becomes HR; PSNR and SSIM of luma are measured.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on where an earlier run of the same command was broken off; leave outputs that exist."
        ),
    ] = False,
    recursive: Recursive = False,
    overwrite: Overwrite = False,
    skip_existing: Annotated[bool, typer.Option("--skip-existing", help="Leave outputs that exist.")] = False,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Upscale films. Sound, subtitles, chapters, times, colour tags and HDR10 data are kept."""
    if overwrite and skip_existing:
        raise UsageError("give either --overwrite or --skip-existing")
    if overwrite and resume:
        raise UsageError("give either --overwrite or --resume")
    pyav()
    upscaler = upscaler_for_films(model, scale=scale, engine=engine, threads=threads, precision=precision)
    size = wanted_size(scale, width, height, fit) or Size(factor=upscaler.scale)
    if preview is not None:
        given = {
            "--output": output is not None, "--compare": compare, "--encoder": encoder is not None, "--crf": crf is not None,
            "--preset": preset is not None, "--duration": duration is not None, "--resume": resume,
            "--recursive": recursive, "--skip-existing": skip_existing,
        }  # fmt: skip
        show(
            inputs, preview, upscaler, size, given,
            start=start, reference=reference, deinterlace=deinterlace, overwrite=overwrite, as_json=as_json,
        )  # fmt: skip
        return
    if compare and output is None:
        raise UsageError("a comparison has no name of its own; give --output")
    existing: Existing = "replace" if overwrite else "skip" if skip_existing or resume else "refuse"
    planned = plan(inputs, output, size, span=span_of(start, duration), recursive=recursive, existing=existing)
    if reference is not None and len(planned.jobs) + len(planned.skipped) > 1:
        raise UsageError("--reference is the original of one film; give one film")
    to_pipe = any(job.target is None and job.error is None for job in planned.jobs)
    if to_pipe:
        if as_json:
            raise UsageError("--json and the film cannot both go to standard output; give -o a file")
        if sys.stdout.isatty():
            raise UsageError("standard output is a terminal; give -o a file, or pipe the film into an encoder")
        given = {
            "--encoder": encoder is not None, "--crf": crf is not None, "--preset": preset is not None, "--resume": resume,
        }  # fmt: skip
        for option in (name for name, there in given.items() if there):
            raise UsageError(f"frames go to standard output as Y4M, for which {option} means nothing")
    control = Control(upscaler.threads)
    part = {
        "start": start, "duration": duration, "deinterlace": deinterlace, "compare": compare, "reference": reference,
    }  # fmt: skip
    options = {"encoder": encoder, "crf": crf, "preset": preset, "overwrite": overwrite, "resume": resume}
    # In place, but for its segments, when an earlier run was killed.
    done = [found for job in planned.skipped if resume and job.target and (found := earlier(job.target))]
    in_place = len(done)
    failures: list[str] = []
    cancelled = False
    with instead(control.cancel):
        for number, job in enumerate(planned.jobs):
            with bar(printable(Path(job.label).name)) as update:
                watch = _watch(update, f"{number + 1}/{len(planned.jobs)} " if len(planned.jobs) > 1 else "")
                try:
                    done.append(_one(job, upscaler, size, control, watch, part, options))
                except Cancelled as stopped:
                    cancelled = True
                    failures.append(stopped.about(job.label, as_option))
                    break
                except FsrcnnError as error:
                    failures.append(error.about(job.label, as_option))
                except BrokenPipeError:
                    raise
                except SYSTEM_ERRORS as error:
                    failures.append(of_system(job.label, error).sentence(as_option))
    for folder, inside in planned.found.items():
        if inside.others:
            files = "1 file is no film" if inside.others == 1 else f"{inside.others} files are no films"
            remark(f"fsrcnn: {folder}: {files}, by their endings")
    _report(done, failures, len(planned.skipped) - in_place, as_json)
    stopped_by = received()
    if cancelled and stopped_by is not None:
        raise SystemExit(stopped_by.exit_code)
    if failures or any(item.damaged for item in done):
        raise typer.Exit(1)


def _one(
    job: FilmJob,
    upscaler: Upscaler,
    size: Size,
    control: Control,
    watch: Callable[[Progress], None],
    part: dict[str, Any],
    options: dict[str, Any],
) -> Done:
    if job.error is not None:
        raise job.error
    source = sys.stdin.buffer if job.source is None else job.source
    if job.target is None:
        stream = sys.stdout.buffer
        return to_y4m(source, stream, upscaler=upscaler, size=size, control=control, progress=watch, **part)
    return upscale(source, job.target, upscaler=upscaler, size=size, control=control, progress=watch, **part, **options)


def _watch(update: Update, place: str) -> Callable[[Progress], None]:
    """The bar's view of a film: frames per second and size so far; the bar itself adds the ETA."""
    started = time.perf_counter()
    first: list[int] = []

    def watch(progress: Progress) -> None:
        if not first:
            first.append(progress.frames - 1)
        rate = (progress.frames - first[0]) / max(time.perf_counter() - started, 1e-9)
        part = progress.frames / progress.expected if progress.expected else 0.0
        update(min(part, 1.0), f"{place}{rate:.1f} fps {progress.bytes / 1e6:,.0f} MB")

    return watch


def _report(done: list[Done], failures: list[str], skipped: int, as_json: bool) -> None:
    for item in done:
        for note in (*item.notes, *item.damaged):
            remark(f"fsrcnn: {item.input}: {note}")
        if not as_json and item.output != "standard output":
            wide, tall = item.output_size
            frames = "1 frame" if item.frames == 1 else f"{item.frames} frames"
            earlier_run = f" ({item.resumed} by an earlier run)" if item.resumed else ""
            remark(f"{item.output}  {wide}×{tall}, {frames}{earlier_run}, by {item.model or 'bicubic interpolation'}")
    if skipped:
        remark(f"fsrcnn: {skipped} of {skipped + len(done) + len(failures)} outputs existed and were left")
    for sentence in failures:
        remark(f"fsrcnn: {sentence}")
    if as_json:
        print_json({"done": [asdict(item) for item in done], "failed": failures}, f"{len(done)} films are written")
