"""`fsrcnn export onnx`."""

from __future__ import annotations

from typing import Annotated, cast

import typer

from fsrcnn.cli import options
from fsrcnn.cli.export import Model, Output, Scale, order, say_written
from fsrcnn.cli.terminal import remark
from fsrcnn.export import onnx


def export_onnx(
    model: Model,
    scale: Scale = None,
    output: Output = None,
    form: Annotated[
        str,
        typer.Option(
            help="Of the last layer: conv (convolution and depth to space, for most programs) or deconvolution (ConvTranspose)."
        ),
    ] = "conv",
    input: Annotated[
        str,
        typer.Option(
            help="luma (float32, batch × 1 × height × width, studio swing in 0 to 1) or rgb8 (uint8, batch × height × width × 3; "
            "colour is inside)."
        ),
    ] = "luma",
    float16: Annotated[
        bool, typer.Option("--float16", help="Weights and arithmetic in half precision; input and output keep their type.")
    ] = False,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:  # fmt: skip
    """An ONNX graph: for ONNX Runtime, OpenVINO, TensorRT, and what converts from it. Any batch, height and width."""
    done = order(model, scale, output, ".onnx", overwrite)
    verified = onnx.write(
        done.weights,
        done.target,
        form=cast(onnx.Form, form),
        input=cast(onnx.Input, input),
        float16=float16,
        name=done.name,
        overwrite=overwrite,
    )
    precision = "float16" if float16 else "float32"
    if verified is None:
        remark(
            f"fsrcnn: not verified, as ONNX Runtime is not installed or cannot be loaded; type: pip install 'fsrcnn[{onnx.EXTRA}]'"
        )
    else:
        unit = "luma in 0 … 1" if input == "luma" else "levels of 255"
        remark(f"fsrcnn: verified in {verified.runtime}: at most {verified.largest:.2g} from the numpy engine ({unit})")
    details = {
        "opset": onnx.OPSET, "ir_version": onnx.IR, "form": form, "input": input, "precision": precision,
        "verified": None if verified is None else verified._asdict(),
    }  # fmt: skip
    say_written(done, f"ONNX opset {onnx.OPSET}, {input}, {form}, {precision}", details, as_json)
