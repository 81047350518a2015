"""The moving average of the weights: what is validated and saved."""

from __future__ import annotations

import torch
from torch import Tensor

from fsrcnn.architecture import Architecture
from fsrcnn.training.trainee import Trainee
from fsrcnn.weights import Weights


class MovingAverage:
    """The plain network's arrays, averaged over the updates: average += (1 - decay)·(weights - average).

    The decay of update t, from 0, is min(decay, (t + 1) / (t + 10)), so that the first weights are soon forgotten: 0.1 at
    t = 0, 0.92 at t = 100, 0.999 from t = 8,990 on. Without a decay the average is the weights themselves.
    """

    def __init__(self, trainee: Trainee, decay: float) -> None:
        self.decay = decay
        self.arrays: dict[str, Tensor] = {name: array.detach().clone() for name, array in trainee.fold().items()}

    @torch.no_grad()
    def follow(self, trainee: Trainee, step: int) -> None:
        """After update number `step`, from 0."""
        decay = min(self.decay, (step + 1) / (step + 10))
        torch._foreach_lerp_(list(self.arrays.values()), list(trainee.fold().values()), 1 - decay)

    def load(self, arrays: dict[str, Tensor]) -> None:
        """Go on from the arrays of a checkpoint."""
        for name, array in self.arrays.items():
            array.copy_(arrays[name])

    def weights(self, architecture: Architecture) -> Weights:
        """As plain arrays."""
        return Weights(architecture, {name: array.cpu().numpy().copy() for name, array in self.arrays.items()})
