"""The top module of a chip core: the paper's layers, one behind the other, with the numbers of a plan."""

from __future__ import annotations

from fsrcnn.export.rtl.memories import file_name
from fsrcnn.export.rtl.plan import Layer, Plan
from fsrcnn.integer import IntegerModel

MODULES = (
    "fsrcnn_input", "fsrcnn_convolution", "fsrcnn_window", "fsrcnn_products", "fsrcnn_sum", "fsrcnn_requantise", "fsrcnn_buffer",
    "fsrcnn_deconvolution", "fsrcnn_overlap", "fsrcnn_output",
)  # fmt: skip
"""Beside the top module: one for each kind of layer and for each of its parts, in files of these names."""


def top(model: IntegerModel, plan: Plan, header: str) -> str:
    """The text of `fsrcnn_core.v`.

    Args:
        model: whose bits the layers have.
        plan: of the same architecture.
        header: comments that go first.
    """
    bits = 8 * sample_bytes(plan.depth)
    beat = "an HR pixel" if plan.pixels == 1 else f"{plan.pixels} HR pixels, the leftmost at the low end"
    parts = [
        header,
        _PORTS.format(input=bits - 1, output=plan.pixels * bits - 1, keep=plan.pixels - 1, beat=beat),
    ]
    parts.append(_stream("luma", plan.depth))
    parts.append(
        _instance(
            "fsrcnn_input", "input_", {"DEPTH": plan.depth, "BITS": bits, "WIDTH": plan.width},
            _same("width", "height", *(f"s_axis_{name}" for name in ("tvalid", "tready", "tdata", "tlast", "tuser")), "error")
            | _outgoing("luma"),
        )
    )  # fmt: skip
    before = "luma"
    for layer in plan.layers:
        name = file_name(layer.name)
        last = layer.name == "deconvolution"
        channels = plan.architecture.scale**2 * 10 if last else layer.outputs * model.feature_bits
        parts.append(_stream(name, channels))
        module = "fsrcnn_deconvolution" if last else "fsrcnn_convolution"
        outgoing = _outgoing(name, "out_block") if last else _outgoing(name)
        parts.append(_instance(module, f"{name}_", _parameters(model, plan, layer), _incoming(before) | outgoing))
        before = name
    parts.append(
        _instance(
            "fsrcnn_output", "output_",
            {"SCALE": plan.architecture.scale, "WIDTH": plan.width, "DEPTH": plan.depth, "BITS": bits, "PIXELS": plan.pixels},
            _incoming(before, "in_block")
            | _same(*(f"m_axis_{name}" for name in ("tvalid", "tready", "tdata", "tkeep", "tlast", "tuser"))),
        )
    )  # fmt: skip
    return "".join(parts) + "endmodule\n"


def sample_bytes(depth: int) -> int:
    """Of a pixel in `tdata`: 1 for 8 bits, 2 for 10."""
    return -(-depth // 8)


def _parameters(model: IntegerModel, plan: Plan, layer: Layer) -> dict[str, int | str]:
    a, name, rule = plan.architecture, file_name(layer.name), model.requantising[layer.name]
    stage = next(stage for stage in a.stages if stage.name == layer.name)
    shared: dict[str, int | str] = {
        "WIDTH": plan.width, "LANES": layer.lanes, "TAP_STEPS": layer.tap_steps, "PARALLEL": layer.parallel,
        "OUTPUT_STEPS": layer.output_steps, "UNITS": layer.units, "KERNEL_BITS": model.kernel_bits,
        "SUM_BITS": model.sum_bits(layer.name), "BEFORE": rule.before, "AFTER": rule.after,
        "KERNELS": f'"{name}_kernels.mem"', "BIASES": f'"{name}_biases.mem"', "MULTIPLIERS": f'"{name}_multipliers.mem"',
    }  # fmt: skip
    geometry: dict[str, int | str]
    if stage.kind == "deconvolution":
        geometry = {
            "KERNEL": stage.kernel, "CHANNELS": stage.channels_in, "SCALE": a.scale, "FRONT": plan.front, "TILES": plan.tiles,
            "BEYOND": plan.beyond, "STEPS": layer.steps, "IN_BITS": model.feature_bits, "NO_BIASES": f'"{name}_zeros.mem"',
        }  # fmt: skip
        return geometry | shared
    first = layer.name == "feature_extraction"
    geometry = {
        "KERNEL": stage.kernel, "CHANNELS_IN": stage.channels_in, "CHANNELS_OUT": stage.channels_out,
        "IN_BITS": plan.depth if first else model.feature_bits, "LUMA": int(first), "OUT_BITS": model.feature_bits,
    }  # fmt: skip
    return geometry | shared


def _stream(name: str, bits: int) -> str:
    return f"\n    wire {name}_valid, {name}_ready, {name}_last_column, {name}_last_row;\n    wire [{bits - 1}:0] {name};\n"


def _same(*ports: str) -> dict[str, str]:
    return {port: port for port in ports}


def _incoming(name: str, data: str = "in_pixel") -> dict[str, str]:
    return {
        "in_valid": f"{name}_valid", "in_ready": f"{name}_ready", data: name,
        "in_last_column": f"{name}_last_column", "in_last_row": f"{name}_last_row",
    }  # fmt: skip


def _outgoing(name: str, data: str = "out_pixel") -> dict[str, str]:
    return {port.replace("in_", "out_", 1): wire for port, wire in _incoming(name, data).items()}


def _instance(module: str, name: str, parameters: dict[str, int | str], ports: dict[str, str]) -> str:
    given = ", ".join(f".{parameter}({value})" for parameter, value in parameters.items())
    wired = ", ".join(f".{port}({wire})" for port, wire in ({"clk": "clk", "rst": "rst"} | ports).items())
    return f"    {module} #(\n{_wrapped(given)}\n    ) {name} (\n{_wrapped(wired)}\n    );\n"


def _wrapped(items: str) -> str:
    lines, line = [], "       "
    for item in items.split(", "):
        if len(line) + len(item) > 118:
            lines.append(line)
            line = "       "
        line += f" {item},"
    return "\n".join([*lines, line]).removesuffix(",")


_PORTS = """\
module fsrcnn_core (
    input  wire        clk,
    input  wire        rst,             // synchronous, active high
    input  wire [15:0] width,           // of a frame, in LR pixels, with its first beat
    input  wire [15:0] height,
    input  wire        s_axis_tvalid,
    output wire        s_axis_tready,
    input  wire [{input}:0]  s_axis_tdata,    // an LR pixel of luma
    input  wire        s_axis_tlast,    // the last pixel of a row
    input  wire        s_axis_tuser,    // the first pixel of a frame
    output wire        m_axis_tvalid,
    input  wire        m_axis_tready,
    output wire [{output}:0]  m_axis_tdata,    // {beat}
    output wire [{keep}:0]  m_axis_tkeep,    // a bit for each of them
    output wire        m_axis_tlast,
    output wire        m_axis_tuser,
    output wire        error            // a row or a frame was not of its size; stays until reset
);
"""
