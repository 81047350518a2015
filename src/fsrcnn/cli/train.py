"""`fsrcnn train` and `fsrcnn transfer`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fsrcnn import weights
from fsrcnn.architecture import FAMILY_NAMES, Architecture, family, name_of
from fsrcnn.cli.terminal import bar
from fsrcnn.errors import UsageError
from fsrcnn.parallel import available_threads

if TYPE_CHECKING:
    from fsrcnn.training.loop import Progress
    from fsrcnn.training.recipe import Recipe

DEFAULT_STEPS = 30_000
COMPILE_FROM = 2000  # updates from which half a minute of compilation pays

Sources = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="SOURCES...",
        help="Folders of pictures, or HDF5 files of `fsrcnn prepare`. FOLDER:1,0.6 also uses the folder's pictures shrunk to 0.6.",
        show_default=False,
    ),
]
TrainFile = Annotated[
    list[Path] | None, typer.Option(metavar="SOURCE", help="The same as SOURCES.", show_default=False)
]
Validation = Annotated[
    Path | None,
    typer.Option(
        "--validation", "--eval-file",
        help="Folder of pictures, or HDF5 file of `prepare --eval`, that chooses the best weights. "
        "Default: every 20th picture of the folders is kept for it.",
        show_default=False,
    ),
]  # fmt: skip
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", "--outputs-dir", metavar="FOLDER", help="Run folder. Default: runs/MODEL-xSCALE.", show_default=False
    ),
]  # fmt: skip
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in the run folder.")]
Epochs = Annotated[
    int | None, typer.Option("--epochs", "--num-epochs", help="Passes over the data.", show_default=False)
]
Steps = Annotated[
    int | None,
    typer.Option(help=f"Updates in all, instead of --epochs. Default: {DEFAULT_STEPS:,}.", show_default=False),
]
BatchSize = Annotated[int, typer.Option(help="Patches per update, over all processes.")]
Patch = Annotated[int, typer.Option(help="Side in LR pixels of the patches cut from folders.")]
Augment = Annotated[
    bool, typer.Option("--augment", help="Use folders without factors of their own also shrunk to 0.9, 0.8, 0.7, 0.6.")
]
LossOption = Annotated[str, typer.Option(help="mse, l1, charbonnier, huber, or log (of each patch's error).")]
LossWidth = Annotated[float, typer.Option(help="Of charbonnier, huber and log, in luma 0 … 1. 0: 0.03, 0.25, 0.02.")]
OptimizerOption = Annotated[str, typer.Option(help="adam, sgd (momentum 0.9), muon or soap (both on the kernels).")]
Rate = Annotated[
    float | None,
    typer.Option("--lr", help="Peak rate. Default: 0.001 (adam), 0.01 (sgd, muon), 0.005 (soap).", show_default=False),
]
ScalarRate = Annotated[
    float, typer.Option("--scalar-lr", help="Adam's rate on biases and slopes beside muon and soap.")
]
LastLayer = Annotated[float, typer.Option(help="Factor on the deconvolution's rate; 0.1 in the paper.")]
ScheduleOption = Annotated[str, typer.Option(help="constant, linear, cosine, or step.")]
Decay = Annotated[float, typer.Option(help="Last part of the run, 0 to 1, in which linear and cosine fall to zero.")]
StepEvery = Annotated[int, typer.Option(help="Updates after which --schedule step lowers the rate.")]
StepFactor = Annotated[float, typer.Option(help="What it multiplies the rate by.")]
Warmup = Annotated[
    int | None,
    typer.Option(
        help="Updates over which the rate rises. Default: 500, a tenth of the run at most.", show_default=False
    ),
]
Clip = Annotated[float | None, typer.Option(help="Largest norm of the gradient.", show_default=False)]
Average = Annotated[float, typer.Option("--ema", help="Decay of the moving average of the weights; 0: none.")]
Expand = Annotated[
    int,
    typer.Option(help="Train each kernel as a product of two matrices of this inner width (0: plainly); saved folded."),
]
Contrast = Annotated[float, typer.Option(help="Strengthen the contrast of half the patches by up to this factor.")]
PrecisionOption = Annotated[str, typer.Option(help="fp32, bf16, or auto: bf16 where the processor computes with it.")]
Seed = Annotated[int, typer.Option(help="Of the first weights and of the order of the data.")]
ValidateEvery = Annotated[
    int | None, typer.Option(help="Updates between validations. Default: an epoch, 5,000 at most.", show_default=False)
]
Workers = Annotated[int, typer.Option("--workers", "--num-workers", help="Threads that prepare batches ahead.")]
Device = Annotated[
    str | None,
    typer.Option(help="cpu, cuda or mps. Default: the first of cuda, mps, cpu that is there.", show_default=False),
]
Threads = Annotated[int | None, typer.Option(help="CPU threads. Default: all.", show_default=False)]
Compile = Annotated[
    bool | None,
    typer.Option(
        "--compile/--no-compile",
        help=f"Let PyTorch compile the step. Default: where there is a compiler and from {COMPILE_FROM:,} updates.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the outcome as JSON on standard output.")]


def train(
    sources: Sources = None,
    train_file: TrainFile = None,
    scale: Annotated[int, typer.Option("--scale", "-s", help="2, 3 or 4.")] = 3,
    validation: Validation = None,
    output: Output = None,
    model: Annotated[
        str, typer.Option("--model", "-m", help=f"{', '.join(FAMILY_NAMES)}, or three numbers d,s,m as 40,10,3.")
    ] = "fsrcnn",
    feature_kernel: Annotated[
        int | None, typer.Option(help="Side of the first kernel, odd.", show_default=False)
    ] = None,
    deconvolution_kernel: Annotated[
        int | None, typer.Option(help="Side of the last kernel, odd.", show_default=False)
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            "--init", "--weights-file", help="Weights file or bundled model to start from.", show_default=False
        ),
    ] = None,
    resume: Resume = False,
    epochs: Epochs = None,
    steps: Steps = None,
    batch_size: BatchSize = 16,
    patch: Patch = 20,
    augment: Augment = False,
    loss: LossOption = "mse",
    loss_width: LossWidth = 0.0,
    optimizer: OptimizerOption = "adam",
    lr: Rate = None,
    scalar_lr: ScalarRate = 1e-3,
    last_layer: LastLayer = 1.0,
    schedule: ScheduleOption = "linear",
    decay: Decay = 0.8,
    step_every: StepEvery = 10_000,
    step_factor: StepFactor = 0.5,
    warmup: Warmup = None,
    clip: Clip = None,
    ema: Average = 0.999,
    expand: Expand = 0,
    contrast: Contrast = 1.0,
    precision: PrecisionOption = "auto",
    seed: Seed = 0,
    validate_every: ValidateEvery = None,
    workers: Workers = 0,
    device: Device = None,
    threads: Threads = None,
    compile: Compile = None,
    as_json: Json = False,
) -> None:
    """Train a network on folders of pictures or on HDF5 files; the best and the last weights work in `fsrcnn upscale` at once.

    On several GPUs or machines: torchrun --nproc-per-node 2 -m fsrcnn train …
    """
    architecture = architecture_of(model, scale, feature_kernel, deconvolution_kernel)
    initial = None if init is None else _weights(init)
    if initial is not None and initial.architecture.scale != scale:
        raise UsageError(
            f"{init} is of ×{initial.architecture.scale}, not ×{scale}; fsrcnn transfer takes weights to another scale"
        )
    if initial is not None and model == "fsrcnn" and feature_kernel is None and deconvolution_kernel is None:
        architecture = initial.architecture  # nobody said another one
    _run(
        locals() | {"frozen": ()}, architecture=architecture, initial=initial,
        default_name=model if model in FAMILY_NAMES else f"fsrcnn-{model.replace(',', '-')}",
    )  # fmt: skip


def transfer(
    start: Annotated[str, typer.Argument(metavar="WEIGHTS", help="Weights file or bundled model of another scale.")],
    sources: Sources = None,
    train_file: TrainFile = None,
    scale: Annotated[int, typer.Option("--scale", "-s", help="2, 3 or 4: the scale to go to.")] = 2,
    validation: Validation = None,
    output: Output = None,
    all_layers: Annotated[
        bool, typer.Option("--all-layers", help="Train all layers, not the deconvolution alone.")
    ] = False,
    resume: Resume = False,
    epochs: Epochs = None,
    steps: Steps = None,
    batch_size: BatchSize = 16,
    patch: Patch = 20,
    augment: Augment = False,
    loss: LossOption = "mse",
    loss_width: LossWidth = 0.0,
    optimizer: OptimizerOption = "adam",
    lr: Rate = None,
    scalar_lr: ScalarRate = 1e-3,
    last_layer: LastLayer = 1.0,
    schedule: ScheduleOption = "linear",
    decay: Decay = 0.8,
    step_every: StepEvery = 10_000,
    step_factor: StepFactor = 0.5,
    warmup: Warmup = None,
    clip: Clip = None,
    ema: Average = 0.999,
    expand: Expand = 0,
    contrast: Contrast = 1.0,
    precision: PrecisionOption = "auto",
    seed: Seed = 0,
    validate_every: ValidateEvery = None,
    workers: Workers = 0,
    device: Device = None,
    threads: Threads = None,
    compile: Compile = None,
    as_json: Json = False,
) -> None:
    """Take trained weights to another scale: all layers but the deconvolution are copied and stay as they are (paper, §3.4)."""
    initial = _weights(start)
    if initial.architecture.scale == scale:
        raise UsageError(
            f"{start} is of ×{scale} already; give --scale {' or '.join(str(s) for s in (2, 3, 4) if s != scale)}"
        )
    architecture = initial.architecture.with_scale(scale)
    for name in FAMILY_NAMES:  # fsrcnn-x has another deconvolution kernel at ×2
        if initial.architecture == family(name, initial.architecture.scale):
            architecture = family(name, scale)
    names = architecture.array_shapes
    frozen = () if all_layers else tuple(name for name in names if not name.startswith("deconvolution"))
    _run(locals(), architecture=architecture, initial=initial, default_name=name_of(architecture))


def architecture_of(
    model: str, scale: int, feature_kernel: int | None, deconvolution_kernel: int | None
) -> Architecture:
    """`fsrcnn-s`, or `40,10,3`, with kernels of one's own.

    Raises:
        UsageError: neither a family name nor three numbers, or numbers that make no network.
    """
    if model in FAMILY_NAMES:
        architecture = family(model, scale)
    elif re.fullmatch(r"\d+,\d+,\d+", model):
        d, s, m = map(int, model.split(","))
        architecture = Architecture(d, s, m, scale=scale)
    else:
        raise UsageError(f"model is {', '.join(FAMILY_NAMES)}, or d,s,m as 40,10,3, not {model!r}")
    changes = {"feature_kernel": feature_kernel, "deconvolution_kernel": deconvolution_kernel}
    given = {name: side for name, side in changes.items() if side is not None}
    return replace(architecture, **given, crop=-1) if given else architecture


def _weights(name: str) -> weights.Weights:
    from fsrcnn import pretrained

    return pretrained.load(name) if name in pretrained.table() else weights.load(name)


def _run(
    options: dict[str, Any], *, architecture: Architecture, initial: weights.Weights | None, default_name: str
) -> None:
    """What both commands do; `options` are their arguments by name."""
    from fsrcnn.training import loop, session

    warnings: list[str] = []

    def warn(sentence: str) -> None:
        warnings.append(sentence)
        print(f"fsrcnn: {sentence}", file=sys.stderr)

    scale = architecture.scale
    output: Path = options["output"] or Path("runs") / f"{default_name}-x{scale}"
    if options["epochs"] is not None and options["steps"] is not None:
        raise UsageError("give either --epochs or --steps")
    threads = options["threads"] or available_threads()
    rank, device = session.join(options["device"], threads)

    def note(sentence: str) -> None:
        if rank == 0:
            print(f"fsrcnn: {sentence}", file=sys.stderr)

    workers = _workers(options["workers"], note)
    recipe = _recipe(options, architecture, session.precision_of(device))
    source, validation, data = session.open_data(
        [*(options["sources"] or []), *(options["train_file"] or [])], options["validation"], recipe,
        augment=options["augment"], warn=warn, note=note,
    )  # fmt: skip
    per_epoch = source.steps_per_epoch
    steps = options["epochs"] * per_epoch if options["epochs"] else options["steps"] or DEFAULT_STEPS
    every = options["validate_every"] or min(per_epoch, 5000, steps)
    warmup = min(500, steps // 10) if options["warmup"] is None else options["warmup"]
    recipe = replace(recipe, steps=steps, validate_every=every, warmup=warmup)
    compile = options["compile"]
    if compile is None:
        compile = steps >= COMPILE_FROM and session.can_compile(device)

    last: list[Progress] = []
    try:
        with bar(f"×{scale}") as update:

            def report(progress: Progress) -> None:
                last[:] = [progress]
                psnr = "" if progress.validation_db is None else _against(progress.validation_db, progress.bicubic_db)
                update(progress.step / progress.steps, f"{progress.step:,} {psnr}")
                if progress.validated and not sys.stderr.isatty():
                    print(_line(progress), file=sys.stderr, flush=True)

            loop.train(
                recipe, source, validation, output, initial=initial, resume=options["resume"], device=device,
                workers=workers, compile=compile, report=report,
                described={"data": data, "initial": options.get("init") or options.get("start"), "device": device, "threads": threads},
            )  # fmt: skip
    except KeyboardInterrupt:
        done = f"after update {last[0].step:,}" if last else "before the first update"
        print(
            f"fsrcnn: stopped {done}; the same command with --resume goes on from {output / 'checkpoint.pt'}",
            file=sys.stderr,
        )
        raise SystemExit(130) from None
    finally:
        session.leave()
    if rank == 0:
        best = output / "best.safetensors"
        outcome = last[0]
        if options["as_json"]:
            print(json.dumps({"best": str(best), **asdict(outcome)}, indent=2))
        elif outcome.best_db is not None:
            print(f"{best}: {_against(outcome.best_db, outcome.bicubic_db)}")
    if warnings:
        raise typer.Exit(1)


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


def _recipe(options: dict[str, Any], architecture: Architecture, best_precision: str) -> Recipe:
    """The recipe, but for `steps` and `validate_every`, which may need the length of an epoch."""
    from fsrcnn.training.recipe import DEFAULT_RATE, OPTIMIZERS, PRECISIONS, Recipe

    for name in ("epochs", "steps", "validate_every", "threads"):
        if options[name] is not None and options[name] < 1:
            raise UsageError(f"--{name.replace('_', '-')} is at least 1, not {options[name]}")
    if options["optimizer"] not in OPTIMIZERS:
        raise UsageError(f"optimizer is {', '.join(OPTIMIZERS)}, not {options['optimizer']!r}")
    precision = options["precision"]
    if precision == "auto":
        precision = best_precision
    elif precision not in PRECISIONS:
        raise UsageError(f"precision is {', '.join(PRECISIONS)} or auto, not {precision!r}")
    rate = options["lr"] if options["lr"] is not None else DEFAULT_RATE[options["optimizer"]]
    names = {
        "batch": "batch_size", "patch": "patch", "loss": "loss", "loss_width": "loss_width", "optimizer": "optimizer",
        "scalar_rate": "scalar_lr", "last_layer": "last_layer", "schedule": "schedule", "decay": "decay", "step_every": "step_every",
        "step_factor": "step_factor", "clip": "clip", "average": "ema", "expand": "expand",
        "contrast": "contrast", "seed": "seed", "frozen": "frozen",
    }  # fmt: skip
    values = {field: options[name] for field, name in names.items()}
    return Recipe(architecture, steps=1, rate=rate, precision=precision, **values)


def _workers(wanted: int, note: Callable[[str], None]) -> int:
    if wanted < 0:
        raise UsageError(f"--workers is at least 0, not {wanted}")
    cores = available_threads()
    if wanted > cores:
        note(f"{wanted} workers on {cores} cores: {cores} are used, which gives the same batches")
    return min(wanted, cores)
