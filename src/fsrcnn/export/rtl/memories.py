"""The whole numbers of an integer model as the memories of a chip core: text for `$readmemh`, a word in a line.

A word is one large number in hexadecimal; what comes first in it stands at its low end, which is the right end of the line.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fsrcnn.arrays import Int64
from fsrcnn.export.rtl.plan import Layer, Plan
from fsrcnn.integer import MULTIPLIER_BITS, IntegerModel


def memories(model: IntegerModel, plan: Plan) -> dict[str, str]:
    """Name of a file → its text, for all layers of a core."""
    texts = {}
    for layer in plan.layers:
        name, bits = file_name(layer.name), model.sum_bits(layer.name)
        kernel_bits = model.kernel_bits
        texts[f"{name}_kernels.mem"] = text(_kernel_words(model, layer), kernel_bits)
        if layer.name == "deconvolution":
            texts[f"{name}_zeros.mem"] = text(np.zeros((layer.output_steps, layer.parallel), np.int64), bits)
            texts[f"{name}_biases.mem"] = text(model.biases[layer.name][None], bits)
        else:
            texts[f"{name}_biases.mem"] = text(_groups(model.biases[layer.name], layer), bits)
        texts[f"{name}_multipliers.mem"] = text(_multiplier_words(model, layer), MULTIPLIER_BITS)
    return texts


def file_name(stage: str) -> str:
    """`mapping.0` → `mapping_0`: what Verilog and file systems take for a name."""
    return stage.replace(".", "_")


def text(words: Int64, bits: int) -> str:
    """(count, numbers) whole numbers as words of `bits` bits each.

    -1 and 3 of 12 bits become 003fff.
    """
    return "".join(f"{_packed(map(int, word), bits):0{-(-words.shape[1] * bits // 4)}x}\n" for word in words)


def _kernel_words(model: IntegerModel, layer: Layer) -> Int64:
    """(cycles, parallel · lanes): the weights of the shared multipliers in each cycle, zeros where there is nothing to multiply."""
    kernel = model.kernels[layer.name]
    if layer.name == "deconvolution":  # (d, 1, k, k): an output for each place of the stamp, row by row
        matrix = kernel[:, 0].reshape(layer.taps, layer.outputs).T
    else:  # taps in the window's order: column by column, in it from the top, in a pixel channel by channel
        matrix = kernel.transpose(0, 3, 2, 1).reshape(layer.outputs, layer.taps)
    filled = np.zeros((layer.output_steps * layer.parallel, layer.tap_steps * layer.lanes), np.int64)
    filled[: layer.outputs, : layer.taps] = matrix
    cut = filled.reshape(layer.output_steps, layer.parallel, layer.tap_steps, layer.lanes)
    return cut.transpose(0, 2, 1, 3).reshape(layer.cycles, -1)


def _groups(values: Int64, layer: Layer) -> Int64:
    """(outputs,) to (output_steps, parallel), zeros behind the last."""
    filled = np.zeros(layer.output_steps * layer.parallel, np.int64)
    filled[: len(values)] = values
    return filled.reshape(layer.output_steps, layer.parallel)


def _multiplier_words(model: IntegerModel, layer: Layer) -> Int64:
    """(groups · steps, units · 2): in each cycle the multipliers below and from zero up of the sums that are shifted through."""
    rule = model.requantising[layer.name]
    outputs = len(rule.positive)
    parallel = outputs if layer.name == "deconvolution" else layer.parallel
    groups = -(-outputs // parallel)
    words = np.zeros((groups, layer.steps * layer.units, 2), np.int64)
    for output in range(outputs):
        group, place = divmod(output, parallel)
        words[group, place] = rule.negative[output], rule.positive[output]
    return words.reshape(groups * layer.steps, -1)


def _packed(numbers: Iterable[int], bits: int) -> int:
    """Numbers side by side in one, the first at the low end: 1, -1 of 4 bits is 0xf1."""
    return sum((number & (1 << bits) - 1) << place * bits for place, number in enumerate(numbers))
