"""The optimizers: PyTorch's Adam, SGD and Muon, and SOAP, behind one small face.

Kernels come as matrices (rows: output channels), biases and PReLU slopes as vectors; Muon and SOAP treat matrices, and leave
the vectors to Adam.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from fsrcnn.training.recipe import Recipe


class Optimizers:
    """What a recipe asks for, on named parameters.

    Args:
        recipe: `optimizer`, `rate`, `scalar_rate` and `last_layer` are used.
        parameters: name → leaf; those of the deconvolution get `last_layer` times the rate.
        compile: let PyTorch compile SOAP's update.
    """

    def __init__(self, recipe: Recipe, parameters: dict[str, Tensor], *, compile: bool = True) -> None:
        self.recipe = recipe
        self.parameters = parameters
        matrices = {name: p for name, p in parameters.items() if p.ndim == 2}
        vectors = {name: p for name, p in parameters.items() if p.ndim != 2}
        last = f"{recipe.architecture.stages[-1].name}."
        self.factor = {name: recipe.last_layer if name.startswith(last) else 1.0 for name in parameters}
        self.torch: list[torch.optim.Optimizer] = []
        self.soap: Soap | None = None
        if recipe.optimizer == "soap":
            self.soap = Soap({name: (p.shape[0], p.shape[1]) for name, p in matrices.items()}, self.factor, compile)
            self.soap.to(next(iter(parameters.values())).device)
        elif recipe.optimizer == "muon":
            groups = self._groups(matrices, recipe.rate)
            if groups:
                self.torch.append(torch.optim.Muon(groups, lr=recipe.rate, weight_decay=0.0))
        elif recipe.optimizer == "sgd":
            self.torch.append(torch.optim.SGD(self._groups(parameters, recipe.rate), lr=recipe.rate, momentum=0.9))
        else:
            groups = self._groups(parameters, recipe.rate)
            self.torch.append(torch.optim.Adam(groups, lr=recipe.rate, betas=(0.9, 0.99), foreach=True))
        if recipe.optimizer in ("soap", "muon") and vectors:
            groups = self._groups(vectors, recipe.scalar_rate)
            self.torch.append(torch.optim.Adam(groups, lr=recipe.scalar_rate, betas=(0.9, 0.99), foreach=True))

    def _groups(self, parameters: dict[str, Tensor], rate: float) -> list[dict[str, Any]]:
        """One group per factor, each remembering its peak rate."""
        factors = sorted({self.factor[name] for name in parameters})
        return [
            {"params": [p for name, p in parameters.items() if self.factor[name] == factor], "peak": rate * factor}
            for factor in factors
        ]

    def step(self, number: int) -> None:
        """Update number `number`, from 0, from the gradients."""
        part = self.recipe.rate_at(number)
        for optimizer in self.torch:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * part
            optimizer.step()
        if self.soap is not None:
            self.soap.step(number, self.parameters, self.recipe.rate * part)

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "torch": [optimizer.state_dict() for optimizer in self.torch],
            "soap": self.soap.state if self.soap is not None else {},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        for optimizer, saved in zip(self.torch, state["torch"], strict=True):
            optimizer.load_state_dict(saved)
        if self.soap is not None:
            self.soap.load_state(state["soap"])


class Soap:
    """Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al. 2024, "SOAP"), on stacks of equally shaped matrices.

    A network of 12,464 weights has kernels of at most 56 × 108, so its full second-order statistics per layer cost next to
    nothing. In trials of 15,000 updates on the validation pictures it was ahead of Muon (recipes/README.md).
    """

    BETA1, BETA2, BETA_STATISTICS, EVERY = 0.95, 0.99, 0.99, 10

    def __init__(
        self, shapes: dict[str, tuple[int, int]], factor: dict[str, float] | None = None, compile: bool = True
    ) -> None:
        self.groups: dict[tuple[int, int], list[str]] = {}
        for name, shape in shapes.items():
            self.groups.setdefault(shape, []).append(name)
        self.state: dict[str, dict[str, Tensor]] = {}
        self.factor: dict[str, Tensor] = {}
        for (rows, columns), names in self.groups.items():
            count = len(names)
            self.factor[names[0]] = torch.tensor([(factor or {}).get(name, 1.0) for name in names]).view(-1, 1, 1)
            self.state[names[0]] = {
                "left": torch.zeros(count, rows, rows),
                "right": torch.zeros(count, columns, columns),
                "left_basis": torch.eye(rows).repeat(count, 1, 1),
                "right_basis": torch.eye(columns).repeat(count, 1, 1),
                "mean": torch.zeros(count, rows, columns),
                "square": torch.zeros(count, rows, columns),
            }
        # One compiled update per shape: many tiny products, where Python would cost more than the arithmetic.
        self._update = torch.compile(_soap_update, dynamic=False) if compile else _soap_update

    def to(self, device: torch.device) -> None:
        self.state = {name: {key: t.to(device) for key, t in group.items()} for name, group in self.state.items()}
        self.factor = {name: t.to(device) for name, t in self.factor.items()}

    def load_state(self, state: dict[str, dict[str, Tensor]]) -> None:
        for name, group in self.state.items():
            for key, tensor in group.items():
                tensor.copy_(state[name][key])

    @torch.no_grad()
    def step(self, number: int, parameters: dict[str, Tensor], rate: float) -> None:
        """Update in place from the gradients; `number` counts from 0."""
        correction = math.sqrt(1 - self.BETA2 ** (number + 1)) / (1 - self.BETA1 ** (number + 1))
        for names in self.groups.values():
            state = self.state[names[0]]
            gradient = torch.stack([parameters[name].grad for name in names])  # type: ignore[misc]
            if number == 0:  # the first gradient only fixes the basis
                state["left"] += gradient @ gradient.mT
                state["right"] += gradient.mT @ gradient
                state["left_basis"].copy_(torch.linalg.eigh(state["left"])[1])
                state["right_basis"].copy_(torch.linalg.eigh(state["right"])[1])
                continue
            rates = self.factor[names[0]] * rate
            scale = torch.full((1,), correction, device=gradient.device)
            update = self._update(gradient, scale, rates, *state.values())
            for name, change in zip(names, update, strict=True):
                parameters[name].sub_(change)
            if number % self.EVERY == 0:  # one step of power iteration keeps the basis close to the eigenbasis
                for side in ("left", "right"):
                    state[f"{side}_basis"].copy_(torch.linalg.qr(state[side] @ state[f"{side}_basis"])[0])


def _soap_update(
    gradient: Tensor,
    correction: Tensor,
    rates: Tensor,
    left: Tensor,
    right: Tensor,
    left_basis: Tensor,
    right_basis: Tensor,
    mean: Tensor,
    square: Tensor,
) -> Tensor:
    mean.lerp_(gradient, 1 - Soap.BETA1)
    turned = left_basis.mT @ gradient @ right_basis
    square.lerp_(turned * turned, 1 - Soap.BETA2)
    # Where the basis has just turned, `square` may be far too small for a direction: without the limit that blows up, rarely.
    step = rates * (correction * (left_basis.mT @ mean @ right_basis) / (square.sqrt() + 1e-15)).clamp(-1, 1)
    left.lerp_(gradient @ gradient.mT, 1 - Soap.BETA_STATISTICS)
    right.lerp_(gradient.mT @ gradient, 1 - Soap.BETA_STATISTICS)
    return left_basis @ step @ right_basis.mT
