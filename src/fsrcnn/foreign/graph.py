"""TensorFlow's frozen graphs of FSRCNN (`.pb`), as OpenCV's dnn_superres downloads them.

A chain of convolutions ("SAME"), each with a bias and a PReLU spelt out in sums and products, the last of them 1×1 to scale² channels,
which `DepthToSpace` lays side by side: a sub-pixel tail, in place of the deconvolution. Nothing of the graph is run: its nodes are
compared with that chain, and its constants are taken.

The file is a protocol buffer, of which a reader needs two kinds of field: numbers, and bytes with a length in front (messages,
texts, arrays). Field numbers are those of tensorflow/core/framework/{graph,node_def,attr_value,tensor,tensor_shape}.proto.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np

from fsrcnn.architecture import SCALES
from fsrcnn.arrays import Array, Float64
from fsrcnn.errors import WeightsError
from fsrcnn.foreign.assemble import Layer, Note, assemble, scale_of
from fsrcnn.weights import LARGEST_FILE, Weights

FLOAT, HALF = 1, 19  # types of numbers, tensorflow/core/framework/types.proto
SUMS = ("Add", "AddV2", "BiasAdd")
PASSED = ("Identity", "Transpose")  # between a layer and the next: of one channel, a transposition moves nothing


def read(data: bytes, path: Path, scale: int | None, crop: int | None, note: Note) -> Weights:
    """See `foreign.Checkpoint`."""
    if crop is not None:
        raise WeightsError("a sub-pixel tail has the crop 0, which its graph says", "leave {crop} away")
    try:
        nodes = {node.name: node for node in _nodes(data)}
    except (ValueError, IndexError, RecursionError) as error:
        raise WeightsError(f"{path} is not a TensorFlow graph, or it is damaged") from error
    if not nodes:
        raise WeightsError(f"{path} is not a TensorFlow graph, or it is damaged")
    layers, tail, stored = _Graph(nodes).layers()
    scale = scale_of(path, scale, stored)
    weights = assemble(of_studio_swing([*layers, tail]), scale, 0)
    side = weights.architecture.deconvolution_kernel
    note(
        f"its sub-pixel tail is kept as a deconvolution of {side}×{side}"
        + (f", {scale}×{scale} and a row and a column of zeros, since a kernel's side is odd" if side != scale else "")
        + "; OpenCV gives it luma of 0 … 255, fsrcnn of 16 … 235, so its first and last layer are adapted"
    )
    return weights


@dataclass
class _Node:
    """A node of the graph, with what we need of its attributes."""

    name: str = ""
    op: str = ""
    inputs: list[str] = field(default_factory=list)
    tensor: Array | None = None  # of a constant
    padding: bytes = b"SAME"
    data_format: bytes = b"NHWC"
    strides: list[int] = field(default_factory=list)
    dilations: list[int] = field(default_factory=list)
    block: int = 0


class _Graph:
    """From the nodes to the layers, from the end of the chain to its beginning."""

    def __init__(self, nodes: dict[str, _Node]) -> None:
        self.nodes = nodes

    def layers(self) -> tuple[list[Layer], Layer, int]:
        """The convolutions in the order of computation, the sub-pixel tail as a deconvolution, and the scale."""
        shuffles = [node for node in self.nodes.values() if node.op == "DepthToSpace"]
        if len(shuffles) != 1:
            raise WeightsError(f"its graph has {len(shuffles)} DepthToSpace, an FSRCNN with a sub-pixel tail has one")
        shuffle = shuffles[0]
        if shuffle.block not in SCALES:
            raise WeightsError(f"{shuffle.name} enlarges by {shuffle.block}; scale is 2, 3 or 4")
        bias = self._bias_behind(shuffle)
        kernel, own_bias, before, name = self._convolution(self._input(shuffle))
        if kernel.shape[0] != shuffle.block**2:
            channels = kernel.shape[0] / shuffle.block**2
            raise WeightsError(f"its network makes {channels:g} channels ({name}); an FSRCNN has 1, luma")
        if own_bias is not None:
            if (own_bias != own_bias[0]).any():
                raise WeightsError(
                    f"{name} has a bias for each of its {len(own_bias)} channels; an FSRCNN has one for all"
                )
            bias = bias + own_bias[:1]
        tail = Layer(name, as_deconvolution(kernel, shuffle.block), bias)
        layers: list[Layer] = []
        while before.op != "Placeholder":
            if len(layers) > len(self.nodes):
                self._refuse(before)  # a loop
            summed, slopes = self._prelu(before)
            kernel, layer_bias, before, name = self._convolution(summed)
            layers.append(Layer(name, kernel, layer_bias, slopes))
        return layers[::-1], tail, shuffle.block

    def _refuse(self, node: _Node) -> NoReturn:
        raise WeightsError(
            f"{node.name} ({node.op}) of its graph is no part of an FSRCNN: convolutions, each with bias and PReLU, and DepthToSpace"
        )

    def _node(self, name: str) -> _Node:
        """What an input leads to, through nodes that change nothing."""
        for _ in range(len(self.nodes)):
            node = self.nodes.get(name.partition(":")[0])
            if node is None:
                raise WeightsError(f"its graph has no node {name}")
            if node.op not in PASSED or not node.inputs:
                return node
            name = node.inputs[0]
        raise WeightsError(f"its graph runs in a circle at {name}")

    def _input(self, node: _Node, number: int = 0) -> _Node:
        if len(node.inputs) <= number:
            self._refuse(node)
        return self._node(node.inputs[number])

    def _constant(self, node: _Node) -> Float64 | None:
        return None if node.op != "Const" or node.tensor is None else node.tensor.astype(np.float64)

    def _bias_behind(self, shuffle: _Node) -> Float64:
        """The one bias that is added behind the tail, or 0."""
        bias = np.zeros(1)
        for node in self.nodes.values():
            if shuffle.name in (name.partition(":")[0] for name in node.inputs):
                added = self._constant(self._input(node, 1)) if node.op in SUMS and len(node.inputs) == 2 else None
                if added is not None and added.size == 1:
                    bias = bias + added.reshape(1)
                elif node.op not in PASSED:
                    self._refuse(node)
        return bias

    def _convolution(self, node: _Node) -> tuple[Array, Float64 | None, _Node, str]:
        """Kernel (out, in, k, k), bias, what it reads, and its name; of a convolution with or without a bias behind it."""
        bias = None
        if node.op in SUMS:
            bias = self._constant(self._input(node, 1))
            if bias is None or bias.ndim > 1:
                self._refuse(node)
            bias = bias.reshape(-1)
            node = self._input(node)
        kernel = self._constant(self._input(node, 1)) if node.op == "Conv2D" else None
        plain = node.padding == b"SAME" and node.data_format == b"NHWC" and {*node.strides, *node.dilations} <= {1}
        if kernel is None or kernel.ndim != 4 or not kernel.size or not plain:
            self._refuse(node)
        return kernel.transpose(3, 2, 0, 1), bias, self._input(node), node.name

    def _prelu(self, node: _Node) -> tuple[_Node, Float64]:
        """What a PReLU reads, and its slopes: Relu(x) + slopes · ½ · (x - |x|), in which x - |x| is twice the negative part."""
        if node.op not in SUMS or len(node.inputs) != 2:
            self._refuse(node)
        sides = [self._input(node, 0), self._input(node, 1)]
        positive = [side for side in sides if side.op == "Relu"]
        if len(positive) != 1:
            self._refuse(node)
        x = self._input(positive[0])
        factor, negative = np.full(1, 2.0), next(side for side in sides if side.op != "Relu")
        while negative.op == "Mul":
            pair = [self._input(negative, 0), self._input(negative, 1)]
            constants = [value for value in map(self._constant, pair) if value is not None and value.ndim <= 1]
            others = [side for side in pair if self._constant(side) is None]
            if (
                len(constants) != 1
                or len(others) != 1
                or 1 not in {constants[0].size, factor.size, factor.size // constants[0].size}
            ):
                self._refuse(negative)
            factor, negative = factor * constants[0].reshape(-1), others[0]
        absolute = self._input(negative, 1) if negative.op == "Sub" else negative
        if negative.op != "Sub" or absolute.op != "Abs" or not self._input(negative) is self._input(absolute) is x:
            self._refuse(negative)
        return x, factor


def of_studio_swing(layers: Sequence[Layer]) -> list[Layer]:
    """A network of luma y in full range as one of luma 16/255 + 219/255·y, which gives the same picture but at the borders' zeros.

    Its first layer is linear, as is its last: the one undoes what the other does again.
    """
    gain, black = 219 / 255, 16 / 255
    first, *between, last = layers
    bias = np.zeros(len(first.kernel)) if first.bias is None else first.bias
    if bias.size == len(first.kernel):
        bias = bias - first.kernel.sum((1, 2, 3)) * (black / gain)
    first = first._replace(kernel=first.kernel / gain, bias=bias)
    last_bias = np.zeros(1) if last.bias is None else last.bias
    return [first, *between, last._replace(kernel=last.kernel * gain, bias=last_bias * gain + black)]


def as_deconvolution(kernel: Array, scale: int) -> Array:
    """A sub-pixel tail as the deconvolution that it equals (Shi et al. 2016, "Is the deconvolution layer the same as …").

    Args:
        kernel: (scale², d, 1, 1): channel scale·py + px makes HR pixels (scale·i + py, scale·j + px).
        scale: of the network.

    Returns:
        (d, 1, scale, scale), of which LR row i adds rows 0 … to HR rows scale·i …, so the crop is 0; with a row and a column of zeros
        behind it where the scale is even, since a kernel's side is odd.

    Raises:
        WeightsError: a kernel of more than 1×1.
    """
    if kernel.shape[2:] != (1, 1):
        raise WeightsError(f"its sub-pixel tail is {kernel.shape[2]}×{kernel.shape[3]}, not 1×1")
    d, zeros = kernel.shape[1], 1 - scale % 2
    stamp = kernel[:, :, 0, 0].T.reshape(d, 1, scale, scale)
    return np.pad(stamp, ((0, 0), (0, 0), (0, zeros), (0, zeros)))


def _nodes(data: bytes) -> Iterator[_Node]:
    for number, content in _fields(data):
        if number == 1:
            yield _node_of(_bytes(content))


def _node_of(data: bytes) -> _Node:
    node = _Node()
    for number, content in _fields(data):
        if number == 1:
            node.name = _bytes(content).decode()
        elif number == 2:
            node.op = _bytes(content).decode()
        elif number == 3:
            node.inputs.append(_bytes(content).decode())
        elif number == 5:
            entry = dict(_fields(_bytes(content)))
            key, value = _bytes(entry.get(1, b"")), dict(_fields(_bytes(entry.get(2, b""))))
            if key == b"value" and 8 in value:
                node.tensor = _tensor(_bytes(value[8]))
            elif key == b"padding":
                node.padding = _bytes(value.get(2, b""))
            elif key == b"data_format":
                node.data_format = _bytes(value.get(2, b""))
            elif key == b"block_size":
                node.block = _number(value.get(3, 0))
            elif key in (b"strides", b"dilations"):
                numbers = [n for f, c in _fields(_bytes(value.get(1, b""))) if f == 3 for n in _numbers(c)]
                setattr(node, key.decode(), numbers)
    return node


def _tensor(data: bytes) -> Array | None:
    """A TensorProto of floating-point numbers; None for one of others.

    Raises:
        ValueError: its shape and its values do not belong together.
    """
    kind, shape, content, floats = 0, list[int](), b"", b""
    for number, value in _fields(data):
        if number == 1:
            kind = _number(value)
        elif number == 2:
            shape = [_number(dict(_fields(_bytes(dim))).get(1, 0)) for f, dim in _fields(_bytes(value)) if f == 2]
        elif number == 4:
            content = _bytes(value)
        elif number == 5:
            floats += _bytes(value)
    if kind not in (FLOAT, HALF):
        return None
    count = 1
    for side in shape:
        count *= side
    if not 0 <= count * 4 <= LARGEST_FILE or len(shape) > 4:
        raise ValueError(f"a tensor of shape {shape}")
    array: Array = np.frombuffer(content or floats, "<f2" if kind == HALF and content else "<f4")
    if array.size == 1 != count:  # one number stands for all
        array = np.repeat(array, count)
    return array.reshape(shape)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message: number, and a whole number or bytes (those of a float as they are).

    Raises:
        ValueError, IndexError: it is none.
    """
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        length = {1: 8, 5: 4}.get(kind, 0)
        if kind == 2:
            length, at = _varint(data, at)
        elif not length:
            raise ValueError(f"a field of kind {kind}")
        if at + length > len(data):
            raise ValueError("a field longer than its message")
        yield key >> 3, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A whole number of 7 bits a byte, the lowest first, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("a number of more than 10 bytes")


def _numbers(content: int | bytes) -> list[int]:
    """A repeated whole number, which is stored one by one or many in one field."""
    if isinstance(content, int):
        return [content]
    numbers, at = [], 0
    while at < len(content):
        number, at = _varint(content, at)
        numbers.append(number)
    return numbers


def _bytes(content: int | bytes) -> bytes:
    if isinstance(content, int):
        raise ValueError("a number where bytes are")
    return content


def _number(content: int | bytes) -> int:
    if not isinstance(content, int):
        raise ValueError("bytes where a number is")
    return content
