"""What is trained: the parameters of a network, perhaps as factors of its kernels, and the weights it starts from."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from fsrcnn.engines.torch import Network, apply_phases
from fsrcnn.errors import UsageError
from fsrcnn.training.losses import mean_loss
from fsrcnn.training.recipe import Recipe
from fsrcnn.training.rounding import Rounding
from fsrcnn.weights import Weights


class Trainee(nn.Module):
    """The parameters that are trained, and the loss of a batch as a function of them.

    Kernels lie as matrices (the paper's kernel, rows first) or, where `recipe.expand` says so, as two factors of them.
    """

    def __init__(self, network: Network, recipe: Recipe, *, compile: bool, rounding: Rounding | None = None) -> None:
        """
        Args:
            network: where the parameters start; it is not changed.
            recipe: loss, number format, expand, clip and frozen arrays are used.
            compile: let PyTorch compile the loss.
            rounding: what the loss passes through.

        Raises:
            UsageError: `recipe.expand` is too narrow for a kernel.
        """
        super().__init__()
        self.recipe = recipe
        self.rounding = rounding
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
        return {name.replace("/", "."): parameter for name, parameter in self.named_parameters()}

    def trained(self) -> dict[str, Tensor]:
        """Those that are not frozen."""
        return {name: parameter for name, parameter in self.named().items() if parameter.requires_grad}

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
        """`forward`, never compiled."""
        recipe = self.recipe
        arrays = self.fold()
        if self.rounding is not None:
            return mean_loss(self.rounding(lr, arrays) - phases, mask, recipe.loss, recipe.loss_width)
        with torch.autocast(lr.device.type, torch.bfloat16, enabled=recipe.number_format == "bf16"):
            kernel = self.phase_kernel_of(arrays["deconvolution.weight"])
            sr = apply_phases(lr, arrays, self.stages, kernel)
        return mean_loss(sr.float() - phases, mask, recipe.loss, recipe.loss_width)

    def clip_gradient(self) -> None:
        """Shorten the whole gradient to `recipe.clip`, where that is given."""
        if self.recipe.clip is not None:
            nn.utils.clip_grad_norm_(list(self.trained().values()), self.recipe.clip)


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
    raise UsageError(
        f"a product of inner width {width} cannot be every kernel of {rows}×{columns}",
        f"give {{expand={min(rows, columns)}}} or more",
    )


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
    copied = tuple(f"{stage.name}." for stage in (ours.stages if same else ours.convolutions))
    for name, parameter in network.arrays().items():
        if name.startswith(copied):
            parameter.copy_(torch.from_numpy(initial.arrays[name]))
