"""A model as an ONNX graph, for ONNX Runtime, OpenVINO, TensorRT and whatever else reads the format; built without PyTorch.

    luma  lr ─ Conv, PRelu … ─ Conv, DepthToSpace (or ConvTranspose) ─ sr

    rgb8  lr ─ Cast, Transpose ─┬ Conv to luma ─ the same network ───────────────────────┬ Concat ─ Conv to RGB ─ Clip … Cast ─ sr
                                └ Conv to chroma ─ borders ─ bicubic Conv, DepthToSpace ─┘

Operators are those of opset 13 that every runtime has; batch, height and width are free, and no operator computes with them. Both
forms of the last layer hold every legal architecture: the convolution for each phase (`phases.py`) is filled up with zeros until it is
centred, the transposed convolution cuts `Architecture.crop` before and what is left behind, which need not be alike.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from fsrcnn import files
from fsrcnn.architecture import Architecture
from fsrcnn.arrays import Array, Float64
from fsrcnn.color import INVERSES, OFFSET, RGB_TO_YCBCR
from fsrcnn.engines.numpy import NumpyEngine
from fsrcnn.errors import FsrcnnError, MissingExtraError, UsageError
from fsrcnn.export import LARGEST_HALF, facts
from fsrcnn.imresize import contributions
from fsrcnn.phases import phase_kernels
from fsrcnn.planes import Planes
from fsrcnn.require import require
from fsrcnn.weights import Weights, check_float
from fsrcnn.windows import BICUBIC_REACH

OPSET, IR = 13, 8  # of ONNX 1.8 (2020) and 1.10 (2021): runtimes of years ago read them
EXTRA = "onnx"

Form = Literal["conv", "deconvolution"]
Input = Literal["luma", "rgb8"]

SIZES = ((1, 1, 1), (1, 1, 9), (1, 8, 1), (2, 13, 18))
"""(batch, height, width) on which a graph is run before it goes out."""
BOUNDS = {("luma", "float32"): 1e-5, ("luma", "float16"): 0.01, ("rgb8", "float32"): 1.0, ("rgb8", "float16"): 2.0}
"""(input, precision) → how far a graph may be from the numpy engine: luma of 0 … 1 (times its largest value where that is above 1), or
levels of 255."""


class Verification(NamedTuple):
    """How a graph was compared with the numpy engine.

    Attributes:
        runtime: what ran it: `ONNX Runtime 1.31.1`; for half precision the evaluator of the package `onnx`, too.
        largest: the largest difference: of luma in 0 … 1, or of levels for `rgb8`.
        bound: what it may be.
    """

    runtime: str
    largest: float
    bound: float


def model(
    weights: Weights, *, form: Form = "conv", input: Input = "luma", float16: bool = False, name: str = ""
) -> Any:
    """The graph of a network, checked by the package `onnx`, with what `metadata` says inside.

    Args:
        weights: of the network.
        form: of the last layer: `conv` (a convolution for each phase, then depth to space), or `deconvolution`.
        input: `luma`, float32 (batch, 1, height, width) in 0 … 1, or `rgb8`, uint8 (batch, height, width, 3).
        float16: weights and arithmetic in half precision; what goes in and out keeps its type.
        name: of the model, for its metadata: `fsrcnn-x2`.

    Returns:
        An `onnx.ModelProto`. Input `lr`, output `sr`; its axes are called batch, height, width, sr_height and sr_width.

    Raises:
        UsageError: another form or input, a weight is too large for half precision, or no float weights.
        MissingExtraError: the package `onnx` is not installed.
    """
    check_float(weights)
    for argument, given, allowed in (("form", form, get_args(Form)), ("input", input, get_args(Input))):
        if given not in allowed:
            raise UsageError(f"is {' or '.join(allowed)}, not {given!r}", argument=argument)
    onnx = require("onnx", "ONNX graphs", extra=EXTRA)
    graph = Graph(onnx, float16)
    if input == "luma":
        sr = _network(graph, graph.cast("lr", graph.real) if float16 else "lr", weights, form)
        if float16:
            graph.cast(sr, onnx.TensorProto.FLOAT)
        kind = onnx.TensorProto.FLOAT
        shapes: dict[str, list[int | str]] = {
            "lr": ["batch", 1, "height", "width"],
            "sr": ["batch", 1, "sr_height", "sr_width"],
        }
    else:
        _colours(graph, "lr", weights, form)
        kind = onnx.TensorProto.UINT8
        shapes = {"lr": ["batch", "height", "width", 3], "sr": ["batch", "sr_height", "sr_width", 3]}
    graph.nodes[-1].output[0] = "sr"
    inputs, outputs = ([onnx.helper.make_tensor_value_info(end, kind, shape)] for end, shape in shapes.items())
    made = onnx.helper.make_model(
        onnx.helper.make_graph(graph.nodes, "fsrcnn", inputs, outputs, graph.constants),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR,
    )
    said = metadata(weights, form, input, float16, name)
    made.producer_name, _, made.producer_version = said["producer"].partition(" ")
    made.doc_string = f"{said['model']}. {said['lr']} {said['sr']}"
    onnx.helper.set_model_props(made, said)
    onnx.checker.check_model(made, full_check=True)
    return made


def metadata(weights: Weights, form: Form, input: Input, float16: bool, name: str = "") -> dict[str, str]:
    """What a graph's `metadata_props` say: `facts`, how it was made, how to call it; in ASCII, which every reader shows."""
    scale = weights.architecture.scale
    if input == "luma":
        red, green, blue = 255 * RGB_TO_YCBCR[0]
        lr = (
            "lr is float32 (batch, 1, height, width) of any batch, height and width: studio-swing luma of BT.601 divided by 255, "
            f"(16 + {red:.3f} R + {green:.3f} G + {blue:.3f} B) / 255 for R, G, B in 0 to 1, so black is 16/255, white 235/255."
        )
        sr = (
            f"sr is float32 (batch, 1, {scale} * height, {scale} * width), luma of the same kind, not clipped. "
            "Interpolate chroma bicubically."
        )
    else:
        lr = (
            "lr is uint8 (batch, height, width, 3) of any batch, height and width: R, G, B of full range, black is 0, white 255. "
            "Luma and chroma are BT.601 inside."
        )
        sr = f"sr is uint8 (batch, {scale} * height, {scale} * width, 3), R, G, B of the same kind."
    made = {"form": form, "input": input, "precision": "float16" if float16 else "float32"}
    return {**facts(weights, name), **made, "lr": lr, "sr": sr}


def verify(made: Any, weights: Weights) -> Verification:
    """Run a graph in ONNX Runtime on pictures of several sizes, 1×1 among them, and compare it with the numpy engine.

    On a CPU, ONNX Runtime computes half precision in float32 and would see no overflow; the evaluator of the package `onnx` rounds to
    half at every step, and so runs such a graph, too.

    Args:
        made: what `model` gave.
        weights: of which it was made.

    Raises:
        FsrcnnError: it differs by more than `BOUNDS` allow.
        MissingExtraError: ONNX Runtime is not installed.
    """
    runtime = require("onnxruntime", "checks of ONNX graphs", extra=EXTRA)
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = runtime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])
    runs, label = [session.run], f"ONNX Runtime {runtime.__version__}"
    said = {entry.key: entry.value for entry in made.metadata_props}
    bound, largest = BOUNDS[said["input"], said["precision"]], 0.0
    if said["precision"] == "float16":
        runs.append(require("onnx.reference", "checks of ONNX graphs", extra=EXTRA).ReferenceEvaluator(made).run)
        label += ", and rounded to half at every step"
    generator, engine = np.random.default_rng(0), NumpyEngine(weights)
    for size in SIZES:
        with np.errstate(over="ignore", invalid="ignore"):  # of weights that are too large: the difference says it
            if said["input"] == "luma":
                lr: Array = generator.uniform(16 / 255, 235 / 255, (size[0], 1, *size[1:])).astype(np.float32)
                expected: Array = np.stack([engine.run(picture[0])[None] for picture in lr])
            else:
                lr = generator.integers(0, 256, (*size, 3), np.uint8)
                expected = np.stack([_upscaled(engine, picture) for picture in lr])
        for run in runs:
            with np.errstate(over="ignore", invalid="ignore"):  # of half precision, too
                (sr,) = run(None, {"lr": lr})
            with np.errstate(invalid="ignore"):
                difference = np.abs(sr.astype(np.float64) - expected).max()
            if said["input"] == "luma":
                difference /= max(1.0, np.abs(expected).max())
            largest = max(largest, float(difference if np.isfinite(difference) else np.inf))
    if not largest <= bound:
        raise FsrcnnError(
            f"the graph is not written: in {label} it is up to {largest:.3g} from the numpy engine, {bound:.3g} are allowed",
            "half precision does not suit these weights, leave {float16} away"
            if said["precision"] == "float16"
            else "",
        )
    return Verification(label, largest, bound)


def write(
    weights: Weights,
    path: str | Path,
    *,
    form: Form = "conv",
    input: Input = "luma",
    float16: bool = False,
    name: str = "",
    overwrite: bool = True,
) -> Verification | None:
    """Write a graph, after it was verified where ONNX Runtime is installed.

    Args:
        weights, form, input, float16, name: as `model` takes them.
        path: of the file.
        overwrite: replace an existing one.

    Returns:
        How it was verified; None without ONNX Runtime.

    Raises:
        UsageError, MissingExtraError: as `model`.
        FsrcnnError: as `verify`; or the file cannot be written.
    """  # fmt: skip
    made = model(weights, form=form, input=input, float16=float16, name=name)
    try:
        verified = verify(made, weights)
    except MissingExtraError:
        verified = None
    files.write(Path(path), made.SerializeToString(deterministic=True), replace=overwrite)
    return verified


class Graph:
    """Nodes and constants of a graph that is being built, of which each node has one output, named by its number.

    Attributes:
        real, byte: the type of its arithmetic, and that of 8-bit samples.
        nodes, constants: so far.
    """

    def __init__(self, onnx: Any, float16: bool) -> None:
        self._onnx, self._dtype = onnx, np.dtype(np.float16 if float16 else np.float32)
        self.real: int = onnx.TensorProto.FLOAT16 if float16 else onnx.TensorProto.FLOAT
        self.byte: int = onnx.TensorProto.UINT8
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def node(self, operator: str, *inputs: str, label: str = "", **attributes: Any) -> str:
        """Add a node; the name of its output."""
        name = f"{label or operator}.{len(self.nodes)}"
        self.nodes.append(self._onnx.helper.make_node(operator, list(inputs), [name], name, **attributes))
        return name

    def constant(self, name: str, values: Array) -> str:
        """Add a constant, of the graph's own precision unless it is of whole numbers.

        Raises:
            UsageError: a number is too large for it.
        """
        if values.dtype.kind == "f":
            if self._dtype == np.float16 and np.abs(values).max() > LARGEST_HALF:
                raise UsageError(
                    f"{name} goes up to {np.abs(values).max():.6g}, half precision to {LARGEST_HALF:.0f}",
                    "leave {float16} away",
                )
            values = values.astype(self._dtype)
        self.constants.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def cast(self, x: str, kind: int) -> str:
        """Numbers in another type."""
        return self.node("Cast", x, to=kind)

    def convolution(self, x: str, name: str, kernel: Array, bias: Array, **attributes: Any) -> str:
        """(batch, in, h, w) with an (out, in, k, k) kernel."""
        constants = (self.constant(f"{name}.weight", kernel), self.constant(f"{name}.bias", bias))
        return self.node("Conv", x, *constants, label=name, kernel_shape=kernel.shape[2:], **attributes)

    def slice(self, x: str, axis: int, start: int, stop: int) -> str:
        """Rows or columns, from the end where negative."""
        name = f"slice.{len(self.nodes)}"
        ends = (
            self.constant(f"{name}.{end}", np.array([number], np.int64))
            for end, number in (("start", start), ("stop", stop), ("axis", axis))
        )
        return self.node("Slice", x, *ends)


def _network(graph: Graph, x: str, weights: Weights, form: Form) -> str:
    """Luma to luma; the borders of all layers are zeros."""
    a, arrays = weights.architecture, weights.arrays
    for stage in a.convolutions:
        kernel, bias = arrays[f"{stage.name}.weight"], arrays[f"{stage.name}.bias"]
        x = graph.convolution(x, stage.name, kernel, bias, pads=[stage.kernel // 2] * 4)
        slope = graph.constant(f"{stage.name}.prelu", arrays[f"{stage.name}.prelu"].reshape(-1, 1, 1))
        x = graph.node("PRelu", x, slope, label=f"{stage.name}.prelu")
    kernel, bias = arrays["deconvolution.weight"], arrays["deconvolution.bias"]
    if form == "conv":
        phases = phase_kernels(weights)
        pads = [phases.shape[-1] // 2] * 4
        x = graph.convolution(x, "deconvolution", phases, np.repeat(bias, a.scale**2), pads=pads)
        # Of one channel both modes are the same; CRD is the one that ncnn's converter knows.
        return graph.node("DepthToSpace", x, blocksize=a.scale, mode="CRD")
    behind = a.deconvolution_kernel - a.scale - a.crop
    return graph.node(
        "ConvTranspose", x, graph.constant("deconvolution.weight", kernel), graph.constant("deconvolution.bias", bias),
        label="deconvolution", kernel_shape=kernel.shape[2:], strides=[a.scale] * 2, pads=[a.crop, a.crop, behind, behind],
    )  # fmt: skip


def _colours(graph: Graph, x: str, weights: Weights, form: Form) -> str:
    """8-bit RGB to 8-bit RGB, as `Upscaler` enlarges it: luma by the network, chroma bicubically."""
    to_ycbcr, to_rgb = RGB_TO_YCBCR[:, :, None, None] / 255, 255 * INVERSES["bt601"][:, :, None, None]
    rgb = graph.node("Transpose", graph.cast(x, graph.real), perm=[0, 3, 1, 2])
    luma = graph.convolution(rgb, "luma", to_ycbcr[:1], OFFSET[:1])
    # Chroma around zero, not 128/255: that is less to round away in half precision.
    chroma = graph.convolution(rgb, "chroma", to_ycbcr[1:], np.zeros(2))
    parts = (_network(graph, luma, weights, form), _bicubic(graph, chroma, weights.architecture))
    ycbcr = graph.node("Concat", *parts, axis=1)
    # Black is 16/255. A half more, and all is rounded by the floor, halves up as everywhere in this package.
    black = -16 / 255 * to_rgb[:, 0, 0, 0] + 0.5
    rgb = graph.convolution(ycbcr, "rgb", to_rgb, black)
    limits = (graph.constant(f"clip.{end}", np.array(level)) for end, level in (("least", 0.0), ("most", 255.0)))
    levels = graph.cast(graph.node("Floor", graph.node("Clip", rgb, *limits)), graph.byte)
    return graph.node("Transpose", levels, perm=[0, 2, 3, 1])


def _bicubic(graph: Graph, x: str, a: Architecture) -> str:
    """(batch, 2, h, w) to `scale` times the size, as `imresize` does, symmetric borders included.

    The operator `Resize` repeats the last pixel for ever, where the symmetric border is `… 2 1 1 2 …`.
    """
    for axis in (2, 3):
        # x1 x1 … xn xn, then its third and its third last as the next ones: x2 and xn-1, or x1 where there is no other.
        x = graph.node("Concat", graph.slice(x, axis, 0, 1), x, graph.slice(x, axis, -1, 2**31 - 1), axis=axis)
        x = graph.node("Concat", graph.slice(x, axis, 2, 3), x, graph.slice(x, axis, -3, -2), axis=axis)
    rows = _cubic_phases(a.scale)
    phases = np.einsum("py,qx->pqyx", rows, rows).reshape(a.scale**2, 1, rows.shape[1], rows.shape[1])
    # For both channels the phases one after the other: depth to space in its mode CRD. Two groups of one channel each.
    x = graph.convolution(x, "bicubic", np.concatenate([phases, phases]), np.zeros(2 * a.scale**2), group=2)
    return graph.node("DepthToSpace", x, blocksize=a.scale, mode="CRD")


def _cubic_phases(scale: int) -> Float64:
    """(scale, 5): what pixels i-2 … i+2 weigh in each of the `scale` pixels that pixel i becomes."""
    middle, length = BICUBIC_REACH, 2 * BICUBIC_REACH + 1
    taps = contributions(length, scale * length)
    kernels = np.zeros((scale, length))
    for phase in range(scale):
        row = scale * middle + phase
        np.add.at(kernels[phase], taps.indices[row], taps.weights[row])
    return kernels


def _upscaled(engine: NumpyEngine, lr: Array) -> Array:
    """(h, w, 3) RGB by the engine."""
    scale = engine.architecture.scale
    sr = np.empty((scale * lr.shape[0], scale * lr.shape[1], 3), np.uint8)
    engine.planes(Planes.of(lr), Planes.of(sr))
    return sr
