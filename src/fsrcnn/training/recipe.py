"""What decides the outcome of a training run, but the pictures themselves; the one place where its defaults stand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from fsrcnn.architecture import Architecture
from fsrcnn.errors import UsageError
from fsrcnn.integer import format_of

Loss = Literal["mse", "l1", "charbonnier", "huber", "log"]
Optimizer = Literal["adam", "sgd", "muon", "soap"]
Schedule = Literal["constant", "linear", "cosine", "step"]
NumberFormat = Literal["fp32", "bf16"]
Degrade = Literal["none", "photo", "photo-mild", "photo-strong"]
LOSSES: tuple[Loss, ...] = get_args(Loss)
OPTIMIZERS: tuple[Optimizer, ...] = get_args(Optimizer)
SCHEDULES: tuple[Schedule, ...] = get_args(Schedule)
NUMBER_FORMATS: tuple[NumberFormat, ...] = get_args(NumberFormat)
DEGRADES: tuple[Degrade, ...] = get_args(Degrade)
DEFAULT_WIDTH: dict[Loss, float] = {"charbonnier": 0.03, "huber": 0.25, "log": 0.02}
# A rate of the kernels that works for each optimizer, from trials at ×3 (recipes/README.md).
DEFAULT_RATE: dict[Optimizer, float] = {"adam": 1e-3, "sgd": 1e-2, "muon": 1e-2, "soap": 5e-3}
LONGEST_WARMUP = 500  # updates, where nobody says how many
SEED_LIMIT = 2**24  # `batches.generator_of` gives each seed 2⁴⁰ of PyTorch's 2⁶⁴ generators


@dataclass(frozen=True)
class Recipe:
    """A run, resolved: two runs of the same recipe on the same data and machine end in the same bytes.

    Attributes:
        architecture: the network to train.
        steps: updates in all.
        batch: patches per update, over all processes.
        patch: side of a patch in LR pixels, where patches are cut on the fly.
        loss: `mse` (the paper's, and what PSNR measures), `l1`, `charbonnier` (sqrt(e² + loss_width²)), or `huber` (linear
            beyond loss_width, so that one exploding patch cannot undo a run), or `log`: the mean over patches of
            log(1 + mse / loss_width²), which is what a mean of PSNRs measures, flat below loss_width and calm where a patch explodes.
        loss_width: in [0, 1] luma units, of charbonnier, huber and log; 0: 0.03, 0.25, 0.02.
        optimizer: `adam`, `sgd` (momentum 0.9, the paper's), `muon` or `soap` (these two on the kernels, Adam on the rest).
        rate: learning rate at its peak; -1: one that works for the optimizer (`DEFAULT_RATE`).
        scalar_rate: Adam's, on biases and PReLU slopes, beside muon and soap.
        last_layer: factor on the rates of the deconvolution; 0.1 is the paper's (§4.1).
        schedule: `constant`; `linear` and `cosine` fall to zero over the last part `decay` of the run; `step` multiplies by
            `step_factor` every `step_every` updates.
        warmup: updates over which the rate rises from zero; -1: 500, but no more than a tenth of the run.
        clip: largest norm of the whole gradient; None: never clipped.
        average: decay of the exponential moving average of the weights, which is what is validated and saved; 0: none.
        expand: 0, or the width of linear over-parameterisation: each kernel is trained as a product of two matrices with this
            inner width, and folded before every use (Bhardwaj et al. 2022, "SESR"; Zhang et al. 2021, "ECBSR").
        contrast: half of the patches get their contrast multiplied by up to this, LR and HR alike (1: none do). Trained on
            natural contrast alone, a network may explode on the rare sharp text in a photograph.
        degrade: how LR pictures come about: `none`: by MATLAB's bicubic alone; the others: by random chains of blur, shrinking,
            noise, sharpening and compression (`degradation.RANGES`), each picture by ever new ones.
        number_format: of the features in training, `fp32` or `bf16`; weights and validation are always fp32.
        frozen: arrays that keep their values.
        quantize: a name in `integer.FORMATS`: weights are fine-tuned through the rounding of an integer model, which is what is
            validated and saved; None: float weights are trained.
        seed: of the first weights, of the patches and of the chains, 0 … 2²⁴ - 1.
        validate_every: updates between validations.

    Raises:
        UsageError: a value outside what is said above.
    """

    architecture: Architecture
    steps: int = 30_000
    batch: int = 16
    patch: int = 20
    loss: Loss = "mse"
    loss_width: float = 0.0
    optimizer: Optimizer = "adam"
    rate: float = -1
    scalar_rate: float = 1e-3
    last_layer: float = 1.0
    schedule: Schedule = "linear"
    decay: float = 0.8
    step_every: int = 10_000
    step_factor: float = 0.5
    warmup: int = -1
    clip: float | None = None
    average: float = 0.999
    expand: int = 0
    contrast: float = 1.0
    degrade: Degrade = "none"
    number_format: NumberFormat = "fp32"
    frozen: tuple[str, ...] = ()
    quantize: str | None = None
    seed: int = 0
    validate_every: int = 5000

    def __post_init__(self) -> None:
        for name, allowed in (
            ("loss", LOSSES), ("optimizer", OPTIMIZERS), ("schedule", SCHEDULES), ("number_format", NUMBER_FORMATS),
            ("degrade", DEGRADES),
        ):  # fmt: skip
            if getattr(self, name) not in allowed:
                raise UsageError(f"is {', '.join(allowed)}, not {getattr(self, name)!r}", argument=name)
        if self.quantize is not None:
            format_of(self.quantize, "quantize")
            if self.number_format != "fp32":
                raise UsageError(
                    "bf16 cannot hold the whole numbers of an integer model", "give {number_format='fp32'}"
                )
        if self.rate == -1:
            object.__setattr__(self, "rate", DEFAULT_RATE[self.optimizer])
        if self.warmup == -1:
            object.__setattr__(self, "warmup", min(LONGEST_WARMUP, self.steps // 10))
        for name, least in (("steps", 1), ("batch", 1), ("patch", 1), ("validate_every", 1), ("step_every", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"is at least {least}, not {getattr(self, name)}", argument=name)
        for name in ("warmup", "expand", "seed"):
            if getattr(self, name) < 0:
                raise UsageError(f"is at least 0, not {getattr(self, name)}", argument=name)
        if self.seed >= SEED_LIMIT:
            raise UsageError(f"is below {SEED_LIMIT:,}, not {self.seed}", argument="seed")
        for name in ("rate", "scalar_rate", "last_layer", "step_factor"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UsageError(f"is 0 or more, not {getattr(self, name)}", argument=name)
        if not 0 <= self.loss_width < math.inf:
            raise UsageError(f"is 0 (its default) or more, not {self.loss_width}", argument="loss_width")
        if self.loss_width == 0:
            object.__setattr__(self, "loss_width", DEFAULT_WIDTH.get(self.loss, 0.0))
        if self.clip is not None and not 0 < self.clip < math.inf:
            raise UsageError(f"is above 0, not {self.clip}", argument="clip")
        if not 0 <= self.average < 1:
            raise UsageError(f"is from 0 to below 1, not {self.average}", argument="average")
        if not 0 <= self.decay <= 1:
            raise UsageError(f"is the last part of the run, 0 to 1, not {self.decay}", argument="decay")
        if not 1 <= self.contrast <= 10:
            raise UsageError(f"is 1 to 10, not {self.contrast}", argument="contrast")
        unknown = [name for name in self.frozen if name not in self.architecture.array_shapes]
        if unknown:
            raise UsageError(f"cannot freeze {', '.join(unknown)}: no such array in {self.architecture}")
        if len(self.frozen) == len(self.architecture.array_shapes):
            raise UsageError("all arrays are frozen, so nothing can be trained")

    def rate_at(self, step: int) -> float:
        """The part of the peak rate, 0 … 1, that update number `step` (from 0) uses."""
        rise = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        left = (self.steps - step) / max(1.0, self.decay * self.steps)  # 1 where the decay begins, 0 at the end
        fall = {
            "constant": 1.0,
            "linear": min(1.0, left),
            "cosine": (1 - math.cos(math.pi * min(1.0, left))) / 2,
            "step": self.step_factor ** (step // self.step_every),
        }[self.schedule]
        return min(rise, fall)

    def validates_after(self, step: int) -> bool:
        """Whether a validation follows update number `step`, counted from 1."""
        return step % self.validate_every == 0 or step == self.steps

    def differences(self, other: Recipe, but: Sequence[str] = ()) -> list[str]:
        """`name: other → self` for each field in which the two differ, those of the architecture apart, but for those named."""
        mine, others = ({**vars(recipe), **vars(recipe.architecture)} for recipe in (self, other))
        left_out = (*but, "architecture")
        return [
            f"{name}: {others[name]} → {mine[name]}"
            for name in mine
            if name not in left_out and mine[name] != others[name]
        ]


def usual_validate_every(steps_per_epoch: int) -> int:
    """An epoch, but no more than `Recipe.validate_every`; the same for a longer run, so that a run can become longer."""
    return min(steps_per_epoch, Recipe.validate_every)
