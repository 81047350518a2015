"""What `fsrcnn train` and `fsrcnn transfer` do: a run, with its progress on standard error and its outcome on standard output."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from fsrcnn import files
from fsrcnn.architecture import Architecture, name_of
from fsrcnn.cli import signals
from fsrcnn.cli.options import as_option
from fsrcnn.cli.terminal import bar, print_json, remark, report
from fsrcnn.cli.training_options import COMPILE_FROM, DataOptions, RecipeOptions, RunOptions
from fsrcnn.errors import FsrcnnError, UsageError, printable
from fsrcnn.parallel import available_threads
from fsrcnn.weights import Weights

if TYPE_CHECKING:
    from fsrcnn.training.history import Progress


@dataclass(frozen=True)
class Start:
    """What a run begins with.

    Attributes:
        architecture: the network to train.
        initial: weights to start from, and the name they were given under.
        frozen: arrays that keep their values.
        quantize: the format in whose whole numbers it is fine-tuned.
    """

    architecture: Architecture
    initial: Weights | None = None
    name: str | None = None
    frozen: tuple[str, ...] = ()
    quantize: str | None = None


def run_training(start: Start, data: DataOptions, options: RecipeOptions, run: RunOptions) -> None:
    """Train, with progress on standard error and the outcome on standard output.

    Raises:
        FsrcnnError: whatever is wrong with options, data or device.
        SystemExit: a signal (130 for Ctrl-C); pictures that could not be read (1), after the run.
    """
    from fsrcnn.training import loop, place
    from fsrcnn.training.data import open_data

    options.check()
    run.check()
    if not data.given:
        raise UsageError("give folders of pictures or HDF5 files, as: fsrcnn train T91/ --scale 3 --validation Set5/")
    threads = run.threads or available_threads()
    processes, device = place.join(run.device, threads)
    warnings: list[FsrcnnError] = []

    def note(sentence: str) -> None:
        if processes.first:
            remark(f"fsrcnn: {sentence}")

    def warn(error: FsrcnnError) -> None:
        warnings.append(error)
        note(error.sentence(as_option))

    if processes.leads and not processes.first:
        remark(f"fsrcnn: this is process {processes.rank} of {processes.count}; number 0 reports for all")
    workers = _workers(run.workers, note)
    usual_format = "fp32" if start.quantize else place.number_format_of(device)
    recipe = options.recipe(start.architecture, start.frozen, usual_format, start.quantize)
    opened = open_data(
        data.given, data.validation, recipe, augment=data.augment, recursive=data.recursive, warn=warn, note=note
    )
    recipe = options.with_length(recipe, opened.source.steps_per_epoch)
    compile = run.compile
    if compile is None:
        compile = recipe.steps >= COMPILE_FROM and place.can_compile(device)
    scale = start.architecture.scale
    output = run.output or Path("runs") / f"{name_of(start.architecture)}-x{scale}"

    last: Progress | None = None
    try:
        with bar(f"×{scale}") as update:

            def follow(progress: Progress) -> None:
                nonlocal last
                last = progress
                signals.check()
                psnr = "" if progress.validation_db is None else _against(progress.validation_db, progress.bicubic_db)
                update(progress.step / progress.steps, f"{progress.step:,} {psnr}")
                if progress.validated and not sys.stderr.isatty():
                    remark(_line(progress))

            loop.train(
                recipe, opened.source, opened.validation, output, initial=start.initial, resume=run.resume, device=device,
                workers=workers, compile=compile, report=follow, contents=opened.contents,
                described={"data": opened.described, "initial": start.name, "device": device, "threads": threads},
            )  # fmt: skip
    except BaseException:
        stopped = signals.received()  # of which PyTorch may have made another exception
        if stopped is None:
            raise
        files.remove_parts()
        done, checkpoint = (
            f"after update {last.step:,}" if last else "before the first update",
            output / "checkpoint.pt",
        )
        kept = (
            f"with --resume goes on from {checkpoint}"
            if checkpoint.exists()
            else "begins again: there is no checkpoint yet"
        )
        remark(f"fsrcnn: stopped {done}; the same command {kept}")
        raise SystemExit(stopped.exit_code) from None
    finally:
        place.leave()
    if last is not None:
        _print_outcome(last, output / "best.safetensors", run.as_json)
    if warnings:
        raise typer.Exit(1)


def _workers(wanted: int, note: Callable[[str], None]) -> int:
    cores = available_threads()
    if wanted > cores:
        note(f"{wanted} workers on {cores} cores: {cores} are used, which gives the same batches")
    return min(wanted, cores)


def _print_outcome(outcome: Progress, best: Path, as_json: bool) -> None:
    if as_json:
        print_json({"best": str(best), **asdict(outcome)}, f"{best} is written")
    elif outcome.best_db is not None:
        report(f"{printable(str(best))}: {_against(outcome.best_db, outcome.bicubic_db)}", "it is written")


def _against(psnr: float, bicubic: float) -> str:
    return f"{psnr:.2f} dB ({psnr - bicubic:+.2f})"


def _line(progress: Progress) -> str:
    assert progress.validation_db is not None
    left = progress.seconds / progress.step * (progress.steps - progress.step)
    return (
        f"update {progress.step:,}/{progress.steps:,}  loss {progress.loss:.4g}  validation {progress.validation_db:.3f} dB "
        f"({progress.validation_db - progress.bicubic_db:+.3f} against bicubic)  best {progress.best_db:.3f}  "
        f"{progress.seconds / 60:.1f} min, {left / 60:.1f} min left"
    )
