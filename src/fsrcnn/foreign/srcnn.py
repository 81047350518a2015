"""SRCNN (Dong et al. 2014: bicubic upscaling, then three convolutions at HR size) as the FSRCNN that computes the very same.

Every HR pixel scale·i + p of SRCNN's feature maps becomes a channel of LR pixel i: scale² phases p, each with all of a layer's maps.

| SRCNN | FSRCNN |
|---|---|
| bicubic, 9×9 convolution, ReLU | feature extraction: both are linear, so together they are one kernel on LR pixels |
| 1×1 convolution, ReLU | shrinking: the same for each phase, a block-diagonal matrix |
| or 5×5 convolution, ReLU | a mapping layer between identities: two HR pixels away is at most one LR pixel away, so 3×3 |
| 5×5 convolution | deconvolution: what a pixel gathers, its neighbours scatter |

ReLU is a PReLU of slope 0, an identity layer has slope 1. Exact, but for pixels whose neighbourhood leaves the picture: SRCNN
replicates edges at HR, FSRCNN pads with zeros.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fsrcnn.architecture import Architecture
from fsrcnn.arrays import Array, Float64
from fsrcnn.errors import WeightsError
from fsrcnn.imresize import contributions
from fsrcnn.weights import Weights

BICUBIC_REACH = 2  # LR rows to each side of its own that an HR row is interpolated from
LAST_KERNEL = 5
CROP = LAST_KERNEL // 2  # the last kernel reaches two HR rows above the pixel's first one


def as_fsrcnn(kernels: Sequence[Array], biases: Sequence[Array], scale: int) -> Weights:
    """An SRCNN as an FSRCNN of d = scale²·n1 channels.

    Args:
        kernels: (n1, 1, 9, 9), (n2, n1, k, k) with k = 1 or 5, (1, n2, 5, 5).
        biases: (n1,), (n2,), (1,).
        scale: of the bicubic upscaling.

    Raises:
        WeightsError: kernels of other sides, or more maps in the second layer than in the first.
    """
    first, second, third = kernels[0][:, 0], kernels[1], kernels[2][0]
    if second.shape[2] not in (1, 5) or third.shape[1] != LAST_KERNEL:
        raise WeightsError(
            f"an SRCNN of {first.shape[1]}-{second.shape[2]}-{third.shape[1]} is not one of 9-1-5 and 9-5-5"
        )
    n1, n2 = second.shape[1], second.shape[0]
    if n2 > n1:
        raise WeightsError(f"an SRCNN of {n1} and then {n2} feature maps is not one of {n1} and then at most {n1}")
    phases = [(y, x) for y in range(scale) for x in range(scale)]
    d, maps = len(phases) * n1, len(phases) * n2
    feature_bias, map_bias = (np.tile(bias, len(phases)) for bias in biases[:2])

    spread = bicubic_rows(scale, first.shape[1])
    feature = np.stack([np.einsum("ntu,tr,uc->nrc", first, spread[y], spread[x]) for y, x in phases])
    feature = feature.reshape(d, 1, *feature.shape[2:])
    arrays = {"feature_extraction": (feature, feature_bias, np.zeros(d))}

    linear = between_phases(second, phases, scale)
    if second.shape[2] == 1:
        s, m = maps, 0
        arrays["shrinking"] = (linear[:, :, 1:2, 1:2], map_bias, np.zeros(s))
    else:
        s, m = d, 1
        mapping, bias = np.zeros((s, s, 3, 3)), np.zeros(s)
        mapping[:maps], bias[:maps] = linear, map_bias
        arrays["shrinking"] = _identity(s, d)
        arrays["mapping.0"] = (mapping, bias, np.zeros(s))
    arrays["expanding"] = _identity(d, s)

    # A map of phase p gives HR row scale·i + p + 2 - u its kernel row u. The deconvolution's row y is HR row scale·i - 2 + y, so
    # y = p + 4 - u: the kernel turned round, p rows down. The last phase ends in row scale + 3; a kernel's side is odd.
    side = scale + LAST_KERNEL - 1
    side += 1 - side % 2
    stamp = np.zeros((d, 1, side, side))
    for number, (y, x) in enumerate(phases):
        channels = slice(number * n2, (number + 1) * n2)
        stamp[channels, 0, y : y + LAST_KERNEL, x : x + LAST_KERNEL] = third[:, ::-1, ::-1]

    named = {
        f"{stage}.{part}": np.ascontiguousarray(array, np.float32)
        for stage, layer in arrays.items()
        for part, array in zip(("weight", "bias", "prelu"), layer, strict=True)
    }
    named["deconvolution.weight"] = stamp.astype(np.float32)
    named["deconvolution.bias"] = biases[2].astype(np.float32)
    return Weights(Architecture(d, s, m, feature.shape[2], side, scale, CROP), named)


def bicubic_rows(scale: int, side: int) -> Float64:
    """What a convolution of bicubically enlarged rows reads of the LR rows.

    Returns:
        (scale, side, 2·far + 1): for phase p and kernel row t, how much of LR row i - far … i + far is in the HR row that they read.

    Kernel row t of HR row scale·i + p reads HR row scale·i + q, q = p + t - side // 2. That is phase q mod scale of LR row
    i + floor(q / scale), and interpolated from the two LR rows above it to the two below. At ×3, side 9: p = 0, t = 0 gives q = -4,
    phase 2 of LR row i - 2, so LR rows i - 4 … i; far = 4 is the farthest.
    """
    reach, half = BICUBIC_REACH, side // 2
    # imresize's own weights, in the middle of a column that is long enough to have no border near.
    length = 15
    middle = length // 2
    table = contributions(length, length * scale)
    interpolated = np.zeros((scale, 2 * reach + 1))
    for phase in range(scale):
        hr_row = middle * scale + phase
        for lr_row, weight in zip(table.indices[hr_row], table.weights[hr_row], strict=True):
            if weight:
                interpolated[phase, lr_row - middle + reach] += weight
    far = -(-half // scale) + reach
    spread = np.zeros((scale, side, 2 * far + 1))
    for phase in range(scale):
        for row in range(side):
            lr_row, hr_phase = divmod(phase + row - half, scale)
            start = lr_row - reach + far
            spread[phase, row, start : start + 2 * reach + 1] = interpolated[hr_phase]
    return spread


def between_phases(kernel: Array, phases: Sequence[tuple[int, int]], scale: int) -> Float64:
    """A convolution at HR size as one of the LR pixels' phases: (n2, n1, k, k), k ≤ 5, to (scale²·n2, scale²·n1, 3, 3).

    HR pixel scale·i + p reads HR pixel scale·i + p + t, t = -2 … 2, which is phase (p + t) mod scale of LR pixel
    i + floor((p + t) / scale). At ×2: p = 0, t = -1 is phase 1 of LR pixel i - 1.
    """
    n2, n1, side, _ = kernel.shape
    half = side // 2
    blocks = np.zeros((len(phases), n2, len(phases), n1, 3, 3))
    for number, (y, x) in enumerate(phases):
        for row in range(side):
            for column in range(side):
                lr_row, phase_row = divmod(y + row - half, scale)
                lr_column, phase_column = divmod(x + column - half, scale)
                source = phase_row * scale + phase_column
                blocks[number, :, source, :, lr_row + 1, lr_column + 1] = kernel[:, :, row, column]
    return blocks.reshape(len(phases) * n2, len(phases) * n1, 3, 3)


def _identity(channels_out: int, channels_in: int) -> tuple[Float64, Float64, Float64]:
    """Kernel, bias and slopes of a 1×1 layer that hands its channels on."""
    return np.eye(channels_out, channels_in)[:, :, None, None], np.zeros(channels_out), np.ones(channels_out)
