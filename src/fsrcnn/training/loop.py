"""The training loop. Read `train` from top to bottom.

A run is a pure function of its `Recipe`, its pictures and the machine: each update draws its batch from (seed, step) alone, and the
checkpoint holds all other state, so a run that was killed and resumed ends in the same bytes as one that was not. Started by
PyTorch's `torchrun`, on one machine or several, each process takes its share of every batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from fsrcnn import integer, weights
from fsrcnn.arrays import Float32
from fsrcnn.calibration import calibrated
from fsrcnn.engines.integer import IntegerEngine
from fsrcnn.engines.torch import Network
from fsrcnn.errors import FsrcnnError, UsageError
from fsrcnn.integer import IntegerModel
from fsrcnn.training.average import MovingAverage
from fsrcnn.training.batches import Source, drawn
from fsrcnn.training.contents import NOTHING, Contents
from fsrcnn.training.history import History, Progress
from fsrcnn.training.hosts import check_agreement
from fsrcnn.training.optimizers import Optimizers
from fsrcnn.training.pairs import Pair
from fsrcnn.training.place import Processes, together
from fsrcnn.training.recipe import Recipe
from fsrcnn.training.record import Record
from fsrcnn.training.rounding import Rounding
from fsrcnn.training.run_folder import RunFolder, restore
from fsrcnn.training.trainee import Trainee, take_over
from fsrcnn.training.validation import bicubic_psnr, engine_psnr, validation_psnr
from fsrcnn.weights import Weights

REPORT_STEPS = 100  # between looks at the loss, each of which waits for the device
CALIBRATION_PIXELS = 25_000  # of the first patches show what features are like, where weights are quantised


def train(
    recipe: Recipe,
    source: Source,
    validation: Sequence[Pair],
    run: Path,
    *,
    initial: Weights | None = None,
    resume: bool = False,
    contents: Contents = NOTHING,
    described: Mapping[str, object] | None = None,
    device: str = "cpu",
    workers: int = 0,
    compile: bool = True,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Weights | IntegerModel:
    """Train until `recipe.steps`.

    Args:
        recipe: what to do.
        source: where the batches come from.
        validation: whole pictures; their PSNR chooses `best.safetensors`.
        run: folder, made if missing, on each machine where they share none, for `config.json`, `checkpoint.pt`,
            `last.safetensors`, `best.safetensors`, `log.csv`; on that of number 0 also for `curve.png` and TensorBoard's events.
        initial: weights to start from; at another scale, all but the deconvolution is taken (Dong et al. 2016, §3.4).
        resume: go on from `run/checkpoint.pt`, up to as many updates or more; without it a folder that holds a run is refused.
        contents: what source and validation were read from; a run is resumed on the same alone.
        described: what else `config.json` should say (data, command).
        device: `cpu`, `cuda` or `mps`.
        workers: threads that draw batches ahead; the batches are the same whatever their number.
        compile: let PyTorch compile the step (needs a C++ compiler on a CPU; two times faster).
        report: called every few updates and after each validation, in the first process only.

    Returns:
        The best weights by validation; where the recipe quantises, the best integer model.

    Raises:
        FsrcnnError: the loss is no longer finite, or the run folder cannot be written to, is another run's at this moment, or was
            removed; or, of several processes, one has ended, or they are about to do different things.
        UsageError: the folder holds a run already, there is none to resume, or it is a run of another recipe or of other data; or
            weights are to be quantised, and none to start from are given, or those of another network.
    """
    processes = Processes.joined()
    if recipe.batch % processes.count:
        raise UsageError(f"a batch of {recipe.batch} cannot be shared out evenly to {processes.count} processes")
    _check_start(recipe, initial)
    with together(), RunFolder(run, processes) as folder:
        check_agreement(processes, recipe, contents, initial, device, resume)
        checkpoint = folder.open(recipe, contents, resume)

        torch.manual_seed(recipe.seed)
        network = Network(recipe.architecture)
        if initial is not None:
            take_over(network, initial)
        target = torch.device(device)
        rounding = _calibrated(network, recipe, source) if recipe.quantize else None
        trainee = Trainee(network, recipe, compile=compile, rounding=rounding).to(target)
        network.to(target)
        optimizers = Optimizers(recipe, trainee.trained(), compile=compile)
        average = MovingAverage(trainee, recipe.average)
        history = History(recipe.steps, bicubic_psnr(validation, recipe.architecture.scale), target)
        if checkpoint is not None:
            restore(checkpoint, history, trainee, optimizers, average)

        record = Record(run, recipe, history.rows, described or {}) if processes.first else None
        if record is not None and history.step == 0:
            folder.save_weights(_shipped(average, recipe, rounding), best=False)
        if record is not None and history.step == recipe.steps:
            report(history.progress())  # a finished run, resumed: there is nothing to do but to say so

        model = processes.in_step(trainee)
        for batch in drawn(source, history.step, recipe.steps, workers):
            processes.check()
            loss = model(*batch.share(processes).to(target))
            trainee.zero_grad()
            loss.backward()
            trainee.clip_gradient()
            optimizers.step(history.step)
            average.follow(trainee, history.step)
            history.add_update(loss)

            validating = recipe.validates_after(history.step)
            saving = validating or (processes.first and folder.checkpoint_is_due())
            reporting = saving or history.step % REPORT_STEPS == 0
            if validating:
                processes.average(history.loss_sum)  # each has seen its share of the batches
            if reporting and not history.loss_is_finite():
                raise FsrcnnError(
                    f"the loss is no longer finite at step {history.step}, so training stops; "
                    f"{folder.checkpoint} holds the last good state",
                    "a lower {rate}, {clip=1} or {loss='huber'} helps",
                )
            if record is not None and validating:
                shipped = _shipped(average, recipe, rounding)
                if isinstance(shipped, IntegerModel):
                    psnr = engine_psnr(validation, IntegerEngine(shipped))
                else:
                    psnr = validation_psnr(validation, average.arrays, network)
                improved = history.add_validation(psnr, recipe.rate * recipe.rate_at(history.step - 1))
                folder.save_weights(shipped, best=improved)
            progress = history.progress(validating) if record is not None and reporting else None
            if validating:
                history.forget_loss()
            if record is not None and saving:
                folder.save_checkpoint(recipe, contents, history, trainee, optimizers, average)
            if record is not None and validating:
                record.write(history.rows)
            if validating:
                folder.copy()
            if progress is not None:
                report(progress)  # last: whoever stops the run here can go on from what was just saved

        if record is not None:
            record.close()
        processes.wait()
        return integer.load(folder.best) if rounding is not None else weights.load(folder.best)


def _check_start(recipe: Recipe, initial: Weights | None) -> None:
    """
    Raises:
        UsageError: there are no finished weights to quantise.
    """
    if recipe.quantize is None:
        return
    if initial is None:
        raise UsageError("fine-tunes finished weights, and none are given; give initial ones", argument="quantize")
    if initial.architecture != recipe.architecture:
        raise UsageError(
            f"fine-tunes the network that is given, {initial.architecture}, not {recipe.architecture}",
            argument="quantize",
        )


@torch.no_grad()
def _calibrated(network: Network, recipe: Recipe, source: Source) -> Rounding:
    """The rounding that suits a network, by what it will be trained on."""
    assert recipe.quantize is not None
    arrays = {name: array.numpy().copy() for name, array in network.arrays().items()}
    lumas: list[Float32] = []
    while sum(luma.size for luma in lumas) < CALIBRATION_PIXELS:
        lumas += [patch[0].numpy() for patch in source.draw(len(lumas) // recipe.batch).lr]
    steps = calibrated(Weights(recipe.architecture, arrays), recipe.quantize, lumas).steps
    return Rounding(network, recipe.quantize, steps, lumas)


def _shipped(average: MovingAverage, recipe: Recipe, rounding: Rounding | None) -> Weights | IntegerModel:
    """What is validated and saved."""
    plain = average.weights(recipe.architecture)
    return plain if rounding is None else rounding.model(plain)
