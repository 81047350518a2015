"""The losses: what a batch's errors count."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fsrcnn.training.recipe import Loss


def mean_loss(error: Tensor, mask: Tensor | None, loss: Loss, width: float) -> Tensor:
    """The mean loss of a batch; `Recipe` says what each kind is.

    Args:
        error: (n, scale², h, w), in luma [0, 1].
        mask: (1, scale², h, w), 1 where the label reaches and 0 elsewhere; None where it reaches everywhere.
        loss: the kind.
        width: where charbonnier, huber and log bend.
    """
    if mask is not None:
        error = error * mask
    if loss == "log":
        squares = error.square().flatten(1)
        mse = squares.mean(1) if mask is None else squares.sum(1) / mask.sum()  # of each patch
        return torch.log1p(mse / width**2).mean() * width**2
    if loss == "mse":
        values = error.square()
    elif loss == "l1":
        values = error.abs()
    elif loss == "charbonnier":
        values = (error.square() + width**2).sqrt() - width
    else:  # huber; doubled, it equals the squared error where that is small
        values = 2 * F.huber_loss(error, torch.zeros_like(error), delta=width, reduction="none")
    return values.mean() if mask is None else values.sum() / (mask.sum() * len(error))
