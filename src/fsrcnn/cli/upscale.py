"""`fsrcnn upscale`."""

from __future__ import annotations

import contextlib
import pickle
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, cast

import typer

from fsrcnn import batch, folders, formats, images
from fsrcnn.cli.options import EngineName, Factor, Fit, Height, Json, Overwrite, Precision, Threads, Width, as_option
from fsrcnn.cli.signals import instead, received
from fsrcnn.cli.terminal import Pace, Spool, bar, print_json, remark, say_left_out
from fsrcnn.errors import Cancelled, FsrcnnError, ImageError, UsageError, printable
from fsrcnn.files import explained, resolved
from fsrcnn.jobs import Earlier, Existing, Job
from fsrcnn.parallel import Control
from fsrcnn.places import Place, place
from fsrcnn.planning import Drawing
from fsrcnn.size import Size, wanted_size
from fsrcnn.upscaler import Upscaler

if TYPE_CHECKING:
    from fsrcnn.log import Log

NAMED = 1000  # failures that are named at the end
Run = Callable[[Iterable[Job], int | None, Control], Iterator[batch.Outcome]]
"""Jobs, their number if it is known, and how they are watched → what becomes of them."""


def upscale(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Pictures, folders of pictures, URLs of either (s3://bucket/in/), or - for standard input.",
            show_default=False,
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="File, folder (made if missing), URL of either, or - for standard output. Default: NAME_x2.ENDING beside the input.",
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
    address: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            metavar="ADDRESS",
            help="Have the workers of a Ray cluster do it: local (started here), auto (that of this machine), or its address. "
            "--threads are then the cores of each worker (default: 1).",
            show_default=False,
        ),
    ] = None,
    log_file: Annotated[
        str | None,
        typer.Option(
            "--log",
            metavar="FILE.jsonl",
            help="Note what becomes of each picture, a line of JSON each. The same command with the same file does what is missing.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Upscale pictures. Bit depth, transparency, colour profile, EXIF and resolution are kept."""
    if overwrite and skip_existing:
        raise UsageError("give either --overwrite or --skip-existing")
    if first_page and page not in (None, 1):
        raise UsageError(f"give either --first-page or --page {page}")
    threads = 1 if threads is None and address is not None else threads
    upscaler = Upscaler(model, scale=scale, engine=engine, threads=threads, precision=precision)
    size = wanted_size(scale, width, height, fit) or Size(factor=upscaler.scale)
    options = batch.Options(
        quality=quality, overwrite=overwrite, lossless=lossless, max_pixels=max_pixels, tolerant=tolerant,
        page=1 if first_page else page, digest=log_file is not None,
    )  # fmt: skip
    existing: Existing = "replace" if overwrite else "skip" if skip_existing else "refuse"
    report = _Report(as_json, verbose)
    with contextlib.ExitStack() as closing:
        closing.callback(report.close)
        log = None
        if log_file is not None:
            from fsrcnn.log import Log, settings_of  # here, as few runs need them

            settings = settings_of(model, size, options, format=format, precision=precision, engine=engine)
            where = place(log_file)
            if not isinstance(where, Path):
                raise UsageError(f"a log is a file of this machine, not {where}", "give a path as {log}")
            log = Log(where, settings)
            closing.callback(log.close)
        drawing = Drawing(
            inputs, output, size, format=format, recursive=recursive, existing=existing, lossless=lossless,
            skip=report.skip, earlier=_never if log is None else log.earlier,
        )  # fmt: skip
        closing.callback(drawing.close)
        _check_streams(drawing, as_json, clustered=address is not None)
        if log is not None and any(
            isinstance(job.target, Path) and resolved(job.target) == resolved(log.path) for job in drawing.first
        ):
            raise UsageError(f"{log.path} is the log and an output", "give another file as --log")
        if any(job.source is None for job in drawing.first):
            options = replace(options, standard_input=_from_stdin(max_pixels))
        if address is None:

            def run(jobs: Iterable[Job], count: int | None, control: Control) -> Iterator[batch.Outcome]:
                return batch.run_all(jobs, upscaler, size, options, control, count=count)

        else:
            from fsrcnn import cluster

            recipe = cluster.Recipe(model, upscaler.label, scale, engine, precision, upscaler.threads)
            options = replace(options, parts=drawing.root if isinstance(drawing.root, Path) else None)

            def run(jobs: Iterable[Job], count: int | None, control: Control) -> Iterator[batch.Outcome]:
                return cluster.run_all(jobs, recipe, size, options, control, address=address, count=count)

        cancelled = _run(drawing, run, upscaler.threads, report, log)
        report.end(drawing, log)
    stopped = received()
    if cancelled and stopped is not None:
        count = f" of {drawing.count:,}" if drawing.count is not None else ""
        remark(f"fsrcnn: stopped; {report.done:,}{count} pictures are written, none is half-written")
        raise SystemExit(stopped.exit_code)
    if report.failed:
        raise typer.Exit(1)


def _run(drawing: Drawing, run: Run, threads: int, report: _Report, log: Log | None) -> bool:
    """Do what is drawn, and say and note what becomes of it; whether it was stopped."""
    pace = Pace(drawing.total)
    with bar(_label(drawing, pace)) as update:

        def progress(done: float) -> None:
            pace.step(report.done + report.failed, drawing.skipped + drawing.before)
            update(done if drawing.count is not None else pace.part, None)

        control = Control(threads, progress)
        try:
            with instead(control.cancel):
                for outcome in _outcomes(drawing, run, control, log):
                    if log is not None:
                        log.note(outcome)
                    report.add(outcome)
                    pace.step(report.done + report.failed, drawing.skipped + drawing.before)
                    update(pace.part, _label(drawing, pace))
        except Cancelled:
            return True
    return False


def _outcomes(drawing: Drawing, run: Run, control: Control, log: Log | None) -> Iterator[batch.Outcome]:
    """What becomes of the jobs; first of all, then of those that are done again as their sources are not what their names say."""
    noted = (lambda jobs: jobs) if log is None else log.handed_out
    with tempfile.TemporaryFile() as file:
        moved = 0
        for outcome in run(noted(drawing), drawing.count, control):
            if outcome.moved is None:
                yield outcome
            else:
                pickle.dump((outcome.job, outcome.moved), cast(BinaryIO, file))
                moved += 1
        if moved:
            file.seek(0)
            pairs: Iterator[tuple[Job, Place]] = (pickle.load(file) for _ in range(moved))  # what was just written
            again = (drawing.moved(job, target) for job, target in pairs)
            yield from run(noted(job for job in again if job is not None), None, control)


def _label(drawing: Drawing, pace: Pace) -> str:
    """What stands before the progress bar."""
    if drawing.count == 1:
        return printable(Path(drawing.first[0].label).name)
    return f"{pace.count()} {pace.rate:.1f}/s"


class _Report:
    """What is said of a batch: of each picture as it ends, of all of them at the end.

    Attributes:
        done, failed: how many pictures.
    """

    def __init__(self, as_json: bool, verbose: bool) -> None:
        self.done = self.failed = 0
        self._verbose = verbose
        self._json = {name: Spool() for name in ("done", "skipped", "failed")} if as_json else None
        self._failures: list[str] = []  # the first ones

    def close(self) -> None:
        """Forget what was kept for programs."""
        for spool in (self._json or {}).values():
            spool.close()

    def skip(self, job: Job) -> None:
        """A job is left out, as its output exists."""
        if self._json is not None:
            self._json["skipped"].append(str(job.target))

    def add(self, outcome: batch.Outcome) -> None:
        """Write the picture for standard output, and say what was written."""
        try:
            done = outcome.result()
            if outcome.data is not None:
                _to_stdout(outcome.data)
        except FsrcnnError as error:
            self.failed += 1
            sentence = error.about(outcome.job.label, as_option)
            if len(self._failures) < NAMED:
                self._failures.append(sentence)
            if self._json is not None:
                self._json["failed"].append(sentence)
            return
        self.done += 1
        if self._verbose:
            said = f"{done.model} ({done.reason})" if done.model and done.reason else done.model or done.reason
            remark(f"fsrcnn: {done.input}: {said}")
        for note in done.notes:
            remark(f"fsrcnn: {done.input}: {note}")
        if self._json is not None:
            self._json["done"].append(asdict(done))
        elif done.output != "standard output":
            remark(f"{done.output}  {done.output_size[0]}×{done.output_size[1]}")

    def end(self, drawing: Drawing, log: Log | None) -> None:
        """Say what was left out and what failed, and print the report for programs."""
        count = self.done + self.failed if drawing.count is None else drawing.count
        for folder, found in drawing.found.items():
            say_left_out(folder, found)
        if log is not None and drawing.before:
            remark(
                f"fsrcnn: {drawing.before:,} of {drawing.before + count:,} pictures were done before, says {log.path}"
            )
        if drawing.skipped:
            remark(f"fsrcnn: {drawing.skipped} of {drawing.skipped + count} outputs existed and were left")
        for sentence in self._failures:
            remark(f"fsrcnn: {sentence}")
        if self.failed > len(self._failures):
            where = f"; {log.path} names them all" if log is not None else ""
            remark(f"fsrcnn: and {self.failed - len(self._failures):,} more{where}")
        if self.failed and count > 1:
            remark(f"fsrcnn: {self.failed} of {count} pictures failed")
        if self._json is not None:
            others = sum(found.others for found in drawing.found.values())
            print_json({**self._json, "others": others}, f"{self.done} of {count} pictures are written")


def _never(job: Job) -> Earlier:
    return "new"


def _check_streams(drawing: Drawing, as_json: bool, clustered: bool) -> None:
    """
    Raises:
        UsageError: the picture goes to a stream that is taken or looked at, or comes from or goes to one that workers do not have.
    """
    jobs = [job for job in drawing.first if job.error is None]
    if clustered and drawing.count == 1 and any(_is_stream(end) for job in jobs for end in (job.source, job.target)):
        raise UsageError("a cluster reads and writes files, no streams and devices", "give -o a file or folder")
    if any(job.target is None for job in jobs):
        if as_json:
            raise UsageError("--json and the picture cannot both go to standard output; give -o a file")
        if sys.stdout.isatty():
            raise UsageError("standard output is a terminal; give -o a file, or pipe the picture somewhere")


def _is_stream(end: Place | None) -> bool:
    return end is None or (isinstance(end, Path) and folders.kind(end) == "device")


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
