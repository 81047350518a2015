"""The training loop: one function, a checkpoint that is enough to go on from, and weights that are always the plain network.

Read `train` from top to bottom. A run is a pure function of its `Recipe`, its pictures and the machine: each update draws its
batch from (seed, step) alone, and the checkpoint holds all other state, so a run that was killed and resumed ends in the same
bytes as one that was not. Started by PyTorch's `torchrun`, each process takes its share of every batch.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from fsrcnn import files, weights
from fsrcnn.architecture import Architecture
from fsrcnn.engines.torch import Network, apply_phases
from fsrcnn.errors import FsrcnnError, UsageError
from fsrcnn.imresize import imresize
from fsrcnn.training.optimizers import Optimizers
from fsrcnn.training.patches import Batch, Pairs, Source, channels_last
from fsrcnn.training.recipe import Recipe
from fsrcnn.training.record import Record
from fsrcnn.weights import Weights

CHECKPOINT_SECONDS = 300  # at least this often, so that a kill costs minutes
LOSS_CHECK_STEPS = 100  # between looks at whether the loss is still finite


@dataclass(frozen=True)
class Progress:
    """What `train` reports: after every few updates (`validation_db` is None until the first validation) and validations.

    Attributes:
        step, steps: updates done, and in all.
        loss: mean training loss since the last validation.
        validation_db: mean PSNR in dB of the newest validation; `bicubic_db`: that of bicubic interpolation.
        best_db: of the best validation so far.
        seconds: of training so far, over all resumed parts.
        validated: whether this report follows a validation.
    """

    step: int
    steps: int
    loss: float
    validation_db: float | None
    bicubic_db: float
    best_db: float | None
    seconds: float
    validated: bool


def train(
    recipe: Recipe,
    source: Source,
    validation: Pairs,
    run: Path,
    *,
    initial: Weights | None = None,
    resume: bool = False,
    described: dict[str, Any] | None = None,
    device: str | None = None,
    workers: int = 0,
    compile: bool = True,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Weights:
    """Train until `recipe.steps`.

    Args:
        recipe: what to do.
        source: where the batches come from.
        validation: whole pictures; their PSNR chooses `best.safetensors`.
        run: folder, made if missing, for `config.json`, `checkpoint.pt`, `last.safetensors`, `best.safetensors`, `log.csv`,
            `curve.png` and TensorBoard's events.
        initial: weights to start from; at another scale, all but the deconvolution is taken (Dong et al. 2016, §3.4).
        resume: go on from `run/checkpoint.pt`; without it a folder that holds a run is refused.
        described: what else `config.json` should say (data, command).
        device: `cpu`, `cuda` or `mps`.
        workers: threads that draw batches ahead; the batches are the same whatever their number.
        compile: let PyTorch compile the step (needs a C++ compiler on a CPU; two times faster).
        report: called every few updates and after each validation, in the first process only.

    Returns:
        The best weights by validation.

    Raises:
        FsrcnnError: the loss is no longer finite, or the run folder cannot be written to.
        UsageError: the folder holds a run already, there is none to resume, or it is a run of another recipe.
    """
    place = torch.device(device or "cpu")
    world, rank = (dist.get_world_size(), dist.get_rank()) if dist.is_initialized() else (1, 0)
    if recipe.batch % world:
        raise UsageError(f"a batch of {recipe.batch} cannot be shared out evenly to {world} processes")
    saved = _open_run(run, recipe, resume)
    torch.manual_seed(recipe.seed)
    network = Network(recipe.architecture)
    if initial is not None:
        take_over(network, initial)
    model = Trainee(network, recipe, compile=compile).to(place)
    network.to(place)
    optimizers = Optimizers(recipe, model.trained(), compile=compile)
    average = {name: array.detach().clone() for name, array in model.fold().items()}
    step, seconds_before = 0, 0.0
    loss_sum, loss_count = torch.zeros((), device=place), 0
    best: float | None = None
    rows: list[dict[str, float]] = []
    if saved is not None:
        step, seconds_before, best, rows = saved["step"], saved["seconds"], saved["best"], saved["rows"]
        model.load_state_dict(saved["model"])
        optimizers.load_state(saved["optimizers"])
        for name, array in average.items():
            array.copy_(saved["average"][name])
        loss_sum, loss_count = saved["loss_sum"].to(place), saved["loss_count"]

    stepped: nn.Module = model
    if world > 1:
        stepped = nn.parallel.DistributedDataParallel(model)
    bicubic = bicubic_psnr(validation, recipe.architecture.scale)
    first = rank == 0
    record = Record(run, recipe, rows, described or {}) if first else None
    started = checkpointed = time.monotonic()
    validated: float | None = rows[-1]["validation_db"] if rows else None

    def progress(now: bool) -> None:
        seconds = seconds_before + time.monotonic() - started
        mean = loss_sum.item() / max(1, loss_count)
        report(Progress(step, recipe.steps, mean, validated, bicubic, best, seconds, now))

    if step == 0 and first:
        _save_weights(average, recipe.architecture, run / "last.safetensors")
    if step == recipe.steps and first:
        progress(False)  # a finished run, resumed: there is nothing to do but to say so
    for batch in batches(source, step, recipe.steps, workers):
        loss = stepped(*_share(batch, rank, world).to(place))
        for parameter in model.parameters():
            parameter.grad = None
        loss.backward()
        if recipe.clip is not None:
            nn.utils.clip_grad_norm_(list(model.trained().values()), recipe.clip)
        optimizers.step(step)
        with torch.no_grad():
            follow = 1 - min(recipe.average, (step + 1) / (step + 10) if recipe.average else 0.0)
            torch._foreach_lerp_(list(average.values()), [a.detach() for a in model.fold().values()], follow)
        loss_sum += loss.detach()
        loss_count += 1
        step += 1

        validate = step % recipe.validate_every == 0 or step == recipe.steps
        if validate and world > 1:  # each process saw its share of the batches
            dist.all_reduce(loss_sum)
            loss_sum /= world
        due = first and time.monotonic() - checkpointed > CHECKPOINT_SECONDS
        if step % LOSS_CHECK_STEPS == 0 or validate or due:
            if not math.isfinite(loss_sum.item()):
                raise FsrcnnError(
                    f"the loss is no longer finite at step {step}, so training stops; {run / 'checkpoint.pt'} holds the last good"
                    " state, and a lower --lr, --clip 1 or --loss huber helps"
                )
            if first and not validate:
                progress(False)
        if not first or not (validate or due):
            if validate:
                loss_sum, loss_count = torch.zeros((), device=place), 0
            continue
        if validate:
            validated = validation_psnr(validation, average, network)
            row = {
                "step": step,
                "loss": float(f"{loss_sum.item() / loss_count:.6g}"),
                "validation_db": round(validated, 4),
                "bicubic_db": round(bicubic, 4),
                "rate": float(f"{recipe.rate * recipe.rate_at(step - 1):.6g}"),
                "seconds": round(seconds_before + time.monotonic() - started),
            }
            rows.append(row)
            if best is None or validated > best:
                best = validated
                _save_weights(average, recipe.architecture, run / "best.safetensors")
            _save_weights(average, recipe.architecture, run / "last.safetensors")
            progress(True)
            loss_sum, loss_count = torch.zeros((), device=place), 0
        state = {
            "recipe": asdict(recipe), "step": step, "best": best, "rows": rows,
            "seconds": seconds_before + time.monotonic() - started,
            "model": model.state_dict(), "optimizers": optimizers.state(), "average": average,
            "loss_sum": loss_sum, "loss_count": loss_count,
        }  # fmt: skip
        buffer = io.BytesIO()
        torch.save(state, buffer)
        files.write(run / "checkpoint.pt", buffer.getvalue())
        checkpointed = time.monotonic()
        if validate and record is not None:
            record.write(rows)
    if record is not None:
        record.close()
    if world > 1:
        dist.barrier()
    return weights.load(run / "best.safetensors")


class Trainee(nn.Module):
    """The parameters that are trained, and the loss of a batch as a function of them.

    Kernels are held as matrices (the paper's kernel, rows first) or, where `recipe.expand` says so, as two factors of them.
    """

    def __init__(self, network: Network, recipe: Recipe, *, compile: bool) -> None:
        super().__init__()
        self.recipe = recipe
        self.shapes = network.architecture.array_shapes
        self.stages = network.stages
        self.phase_kernel_of = network.phase_kernel_of
        for name, array in network.arrays().items():
            value = array.detach().clone()
            frozen = name in recipe.frozen
            if name.endswith(".weight"):
                value = value.flatten(1)
                if recipe.expand and not frozen:
                    for side, factor in zip(("outer", "inner"), _factors(value, recipe.expand), strict=True):
                        self._register(f"{name}.{side}", factor, frozen)
                    continue
            self._register(name, value, frozen)
        self._loss: Callable[..., Tensor] = torch.compile(self.loss) if compile else self.loss

    def _register(self, name: str, value: Tensor, frozen: bool) -> None:
        self.register_parameter(name.replace(".", "/"), nn.Parameter(value, requires_grad=not frozen))

    def named(self) -> dict[str, Tensor]:
        """The parameters by their dotted names."""
        return {name.replace("/", "."): p for name, p in self.named_parameters()}

    def trained(self) -> dict[str, Tensor]:
        """Those that are not frozen."""
        return {name: p for name, p in self.named().items() if p.requires_grad}

    def fold(self) -> dict[str, Tensor]:
        """The arrays of the plain network."""
        named = self.named()
        arrays = {}
        for name, shape in self.shapes.items():
            if name in named:
                arrays[name] = named[name].view(shape)
            else:
                arrays[name] = (named[f"{name}.outer"] @ named[f"{name}.inner"]).view(shape)
        return arrays

    def forward(self, lr: Tensor, phases: Tensor, mask: Tensor | None) -> Tensor:
        """The mean loss of a batch."""
        return self._loss(lr, phases, mask)

    def loss(self, lr: Tensor, phases: Tensor, mask: Tensor | None) -> Tensor:
        recipe = self.recipe
        arrays = self.fold()
        with torch.autocast(lr.device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
            kernel = self.phase_kernel_of(arrays["deconvolution.weight"])
            sr = apply_phases(lr, arrays, self.stages, kernel)
        error = sr.float() - phases
        if mask is not None:
            error = error * mask
        width = recipe.loss_width
        if recipe.loss == "log":
            squares = error.square().flatten(1)
            each_patch = squares.mean(1) if mask is None else squares.sum(1) / mask.sum()
            return torch.log1p(each_patch / width**2).mean() * width**2
        if recipe.loss == "mse":
            each = error.square()
        elif recipe.loss == "l1":
            each = error.abs()
        elif recipe.loss == "charbonnier":
            each = (error.square() + width**2).sqrt() - width
        else:  # equals the squared error where that is small
            each = 2 * F.huber_loss(error, torch.zeros_like(error), delta=width, reduction="none")
        return each.mean() if mask is None else each.sum() / (mask.sum() * len(lr))


def _factors(matrix: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Two random matrices with inner width `width` whose product is `matrix`.

    Raises:
        UsageError: the width is smaller than both sides, so that the product could not be any matrix.
    """
    rows, columns = matrix.shape
    if width >= columns:
        inner = torch.randn(width, columns) / math.sqrt(width)
        return matrix @ torch.linalg.pinv(inner), inner
    if width >= rows:
        outer = torch.randn(rows, width) / math.sqrt(width)
        return outer, torch.linalg.pinv(outer) @ matrix
    raise UsageError(f"a kernel of {rows}×{columns} needs --expand of at least {min(rows, columns)}, not {width}")


def _share(batch: Batch, rank: int, world: int) -> Batch:
    """This process's part of a batch."""
    if world == 1:
        return batch
    return Batch(channels_last(batch.lr[rank::world]), channels_last(batch.phases[rank::world]), batch.mask)


def batches(source: Source, start: int, stop: int, workers: int) -> Iterator[Batch]:
    """The batches of updates `start` … `stop - 1`, drawn ahead by `workers` threads where there are any."""
    if workers == 0:
        for step in range(start, stop):
            yield source.draw(step)
        return
    with ThreadPoolExecutor(workers) as pool:
        ahead: list[Future[Batch]] = [
            pool.submit(source.draw, step) for step in range(start, min(stop, start + workers))
        ]
        for step in range(start, stop):
            batch = ahead.pop(0).result()
            if step + workers < stop:
                ahead.append(pool.submit(source.draw, step + workers))
            yield batch


@torch.no_grad()
def validation_psnr(pictures: Pairs, arrays: dict[str, Tensor], network: Network) -> float:
    """Mean PSNR in dB over whole pictures, protocol `paper`: rounded to 8 bit, `scale` pixels shaved."""
    scale = network.architecture.scale
    place = next(iter(arrays.values())).device
    kernel = network.phase_kernel_of(arrays["deconvolution.weight"])
    scores = []
    for number in range(len(pictures.layout)):
        lr, hr = pictures.plane(number, scale)
        phases = apply_phases(channels_last(lr[None, None].to(place)), arrays, network.stages, kernel)
        scores.append(_psnr(F.pixel_shuffle(phases, scale)[0, 0].cpu(), hr, scale))
    return sum(scores) / len(scores)


def bicubic_psnr(pictures: Pairs, scale: int) -> float:
    """What bicubic interpolation scores on the same pictures."""
    scores = []
    for number in range(len(pictures.layout)):
        lr, hr = pictures.plane(number, scale)
        large = imresize(lr.cpu().numpy().astype("float64"), output_size=(hr.shape[0], hr.shape[1]))
        scores.append(_psnr(torch.from_numpy(large), hr, scale))
    return sum(scores) / len(scores)


def _psnr(unit: Tensor, hr: Tensor, scale: int) -> float:
    error = ((unit * 255).round().clamp(0, 255) - hr.cpu())[scale:-scale, scale:-scale].square().mean().item()
    return 10 * math.log10(255**2 / error) if error else math.inf


@torch.no_grad()
def take_over(network: Network, initial: Weights) -> None:
    """Start a network from weights; at another scale, from all but their deconvolution (Dong et al. 2016, §3.4: transfer).

    Raises:
        UsageError: more than the scale (and with it the deconvolution's side and crop) differs.
    """
    theirs, ours = initial.architecture, network.architecture
    same = theirs == ours
    for field in ("d", "s", "m", "feature_kernel"):
        if getattr(theirs, field) != getattr(ours, field):
            raise UsageError(
                f"cannot start {ours} from weights of {theirs}: "
                f"{field} is {getattr(theirs, field)} there and {getattr(ours, field)} here"
            )
    if theirs.scale == ours.scale and not same:
        raise UsageError(f"cannot start {ours} from weights of {theirs}: their deconvolutions differ at the same scale")
    for name, parameter in network.arrays().items():
        if same or not name.startswith("deconvolution"):
            parameter.copy_(torch.from_numpy(initial.arrays[name]))


def _save_weights(arrays: dict[str, Tensor], architecture: Architecture, path: Path) -> None:
    Weights(architecture, {name: a.detach().cpu().numpy().copy() for name, a in arrays.items()}).save(path)


def _open_run(run: Path, recipe: Recipe, resume: bool) -> dict[str, Any] | None:
    """The checkpoint to go on from, or None for a fresh run in an empty or new folder."""
    checkpoint = run / "checkpoint.pt"
    if resume and not checkpoint.exists():
        raise UsageError(f"--resume: {checkpoint} does not exist, so there is no run to go on with")
    if not resume and checkpoint.exists():
        raise UsageError(f"{run} holds a run already; add --resume to go on with it, or give another --output")
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FsrcnnError(f"cannot make the run folder {run}: {error.strerror}") from error
    if not resume:
        return None
    try:
        saved: dict[str, Any] = torch.load(checkpoint, weights_only=True, map_location="cpu")
        architecture = Architecture(**saved["recipe"].pop("architecture"))
        fields: dict[str, Any] = {k: tuple(v) if k == "frozen" else v for k, v in saved["recipe"].items()}
        before = Recipe(architecture, **fields)
    except Exception as error:  # whatever a damaged file makes PyTorch raise
        raise FsrcnnError(f"{checkpoint} is damaged or of another version; start a new run") from error
    differences = [line for line in recipe.differences(before) if not line.startswith(("steps:", "warmup:"))]
    if differences:
        raise UsageError(f"--resume: {run} is a run of another recipe ({'; '.join(differences)})")
    if saved["step"] > recipe.steps:
        raise UsageError(
            f"--resume: {run} has done {saved['step']} updates already, more than the {recipe.steps} asked for"
        )
    return saved
