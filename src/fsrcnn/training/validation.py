"""PSNR on whole pictures by the protocol `paper`: the network's, and bicubic interpolation's; always finite."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from fsrcnn import protocol
from fsrcnn.arrays import Uint8
from fsrcnn.engines import Engine
from fsrcnn.engines.torch import Network, apply_phases
from fsrcnn.training.batches import channels_last
from fsrcnn.training.pairs import Pair


@torch.no_grad()
def validation_psnr(pictures: Sequence[Pair], arrays: dict[str, Tensor], network: Network) -> float:
    """Mean PSNR in dB of the plain network with these arrays."""
    scale = network.architecture.scale
    device = next(iter(arrays.values())).device
    kernel = network.phase_kernel_of(arrays["deconvolution.weight"])
    scores = []
    for pair in pictures:
        lr = channels_last(torch.from_numpy(pair.lr)[None, None].to(device))
        sr = F.pixel_shuffle(apply_phases(lr, arrays, network.stages, kernel), scale)[0, 0]
        scores.append(_finite_psnr(pair.hr, protocol.round_8bit(sr.cpu().numpy()), scale))
    return sum(scores) / len(scores)


def engine_psnr(pictures: Sequence[Pair], engine: Engine) -> float:
    """Mean PSNR in dB of what an engine makes."""
    scale = engine.architecture.scale
    scores = [_finite_psnr(pair.hr, protocol.round_8bit(engine.luma(pair.lr)), scale) for pair in pictures]
    return sum(scores) / len(scores)


def bicubic_psnr(pictures: Sequence[Pair], scale: int) -> float:
    """Mean PSNR in dB of bicubic interpolation on the same pictures."""
    scores = [_finite_psnr(pair.hr, protocol.enlarged(pair.lr, scale), scale) for pair in pictures]
    return sum(scores) / len(scores)


def _finite_psnr(hr: Uint8, sr: Uint8, scale: int) -> float:
    """PSNR in dB; a picture made exactly counts as one with a single pixel wrong, by a single level."""
    pixels = (hr.shape[0] - 2 * scale) * (hr.shape[1] - 2 * scale)
    return min(protocol.psnr(hr, sr, scale), 10 * math.log10(255**2 * pixels))
