"""`fsrcnn export onnx`."""

from __future__ import annotations

from fsrcnn import files
from fsrcnn.cli import options
from fsrcnn.cli.export import Model, Output, Scale, order, say_written
from fsrcnn.export import onnx


def export_onnx(
    model: Model,
    scale: Scale = None,
    output: Output = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """An ONNX graph: for ONNX Runtime, OpenVINO, TensorRT, phones' runtimes."""
    done = order(model, scale, output, ".onnx", overwrite)
    files.write(done.target, onnx.model(done.weights, name=done.name).SerializeToString(), replace=overwrite)
    say_written(done, "ONNX", {}, as_json)
