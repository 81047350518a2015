"""A model as an ONNX graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from fsrcnn.export import facts
from fsrcnn.phases import phase_kernels
from fsrcnn.require import require
from fsrcnn.weights import Weights

OPSET = 13
IR = 8


def model(weights: Weights, *, name: str = "") -> Any:
    """The graph of a network."""
    onnx = require("onnx", "ONNX graphs", extra="onnx")
    helper, real = onnx.helper, onnx.TensorProto.FLOAT
    scale = weights.architecture.scale
    constants, nodes, x = [], [], "lr"

    def constant(name: str, values: Any) -> str:
        constants.append(onnx.numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))
        return name

    def convolution(x: str, stage: str, kernel: Any, bias: Any) -> str:
        inputs = [x, constant(f"{stage}.weight", kernel), constant(f"{stage}.bias", bias)]
        nodes.append(helper.make_node("Conv", inputs, [f"{stage}.sum"], pads=[kernel.shape[-1] // 2] * 4))
        return f"{stage}.sum"

    for stage in (layer.name for layer in weights.architecture.convolutions):
        x = convolution(x, stage, weights.arrays[f"{stage}.weight"], weights.arrays[f"{stage}.bias"])
        slope = constant(f"{stage}.prelu", weights.arrays[f"{stage}.prelu"].reshape(-1, 1, 1))
        nodes.append(helper.make_node("PRelu", [x, slope], [f"{stage}.out"]))
        x = f"{stage}.out"
    x = convolution(
        x, "deconvolution", phase_kernels(weights), np.repeat(weights.arrays["deconvolution.bias"], scale * scale)
    )
    nodes.append(helper.make_node("DepthToSpace", [x], ["sr"], blocksize=scale, mode="CRD"))
    inputs = [helper.make_tensor_value_info("lr", real, ["batch", 1, "height", "width"])]
    outputs = [helper.make_tensor_value_info("sr", real, ["batch", 1, f"{scale}*height", f"{scale}*width"])]
    graph = helper.make_graph(nodes, "fsrcnn", inputs, outputs, constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    helper.set_model_props(made, facts(weights, name))
    onnx.checker.check_model(made, full_check=True)
    return made
