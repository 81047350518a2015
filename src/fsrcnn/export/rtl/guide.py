"""What a core's integrator reads: the head of the top module, and the README of the folder."""

from __future__ import annotations

from fsrcnn.errors import printable
from fsrcnn.export.rtl.core import sample_bytes
from fsrcnn.export.rtl.memories import file_name
from fsrcnn.export.rtl.plan import Plan
from fsrcnn.integer import IntegerModel


def header(model: IntegerModel, plan: Plan, facts: dict[str, str]) -> str:
    """The comments at the head of `fsrcnn_core.v`."""
    a, rows = plan.architecture, plan.rows_of_latency
    bits, row = sum(bits for _, bits in line_bits(model, plan)), f"{plan.cycles} * w + {plan.gap}"
    lines = [
        # A name of its own may be `verilator lint_off`, which is a command at the beginning of a comment, and nowhere else.
        f"FSRCNN({a.d}, {a.s}, {a.m}) x{a.scale} on luma, {model.format}, with AXI4-Stream: {printable(facts['model'])}.",
        "Dong, Loy, Tang: Accelerating the Super-Resolution Convolutional Neural Network, ECCV 2016.",
        f"Made by {facts['producer']} of the integer model with SHA-256 {facts['weights_sha256']}.",
        "SPDX-License-Identifier: MIT",
        "",
        f"Throughput: a frame of w x h LR pixels at most every ({row}) * (h + {rows - 1}) + {plan.pipeline} cycles.",
        f"Latency: at most ({row}) * {rows} + {plan.pipeline} cycles from the first LR pixel to the first HR pixel.",
        f"Multipliers: {plan.multipliers}. Memory: {bits:,} bits in lines of up to {plan.width} pixels.",
        "",
        "layer                 sums x products  at a time   cycles  multipliers  bits of a sum",
    ]
    for layer in plan.layers:
        lines.append(
            f"{layer.name:<22}{layer.outputs:>4} x {layer.taps:<8}{layer.parallel:>4} x {layer.lanes:<5}{layer.cycles:>7}"
            f"{layer.multipliers:>13}{model.sum_bits(layer.name):>5}"
        )
    return "".join(f"// {line}".rstrip() + "\n" for line in lines) + "\n/* verilator lint_off WIDTH */\n"


def line_bits(model: IntegerModel, plan: Plan) -> list[tuple[str, int]]:
    """The memories that hold lines: name and bits."""
    a, width = plan.architecture, plan.width
    listed = []
    for stage in a.convolutions:
        if stage.kernel > 1:
            bits = plan.depth if stage.name == "feature_extraction" else model.feature_bits
            listed.append((file_name(stage.name), (stage.kernel - 1) * stage.channels_in * bits * width))
    listed.append(("deconvolution", (plan.tiles - 1) * a.scale**2 * model.sum_bits("deconvolution") * width))
    banks = a.scale if plan.pixels > a.scale else 1
    words = 2 ** max(1, (-(-width // banks) - 1).bit_length())  # of half a bank, as fsrcnn_output counts them
    listed.append(("output", 2 * banks * words * a.scale**2 * plan.depth))
    return listed


def guide(model: IntegerModel, plan: Plan, facts: dict[str, str]) -> str:
    """The text of `README.md`."""
    a = plan.architecture
    bits = 8 * sample_bytes(plan.depth)
    beat = "one HR pixel" if plan.pixels == 1 else f"{plan.pixels} HR pixels, the leftmost at the low end"
    rate = 200 / plan.cycles
    memory = "\n".join(f"| {name} | {count:,} |" for name, count in line_bits(model, plan))
    layers = "\n".join(
        f"| {layer.name} | {layer.outputs} × {layer.taps} | {layer.parallel} × {layer.lanes} | {layer.cycles} "
        f"| {layer.lanes * layer.parallel} | {layer.units} | {model.sum_bits(layer.name)} |"
        for layer in plan.layers
    )
    sample = "8 bits" if plan.depth == 8 else "the low 10 bits"
    black, white = (level << plan.depth - 8 for level in (16, 235))
    return _GUIDE.format(
        model=printable(facts["model"]), d=a.d, s=a.s, m=a.m, scale=a.scale, format=model.format, producer=facts["producer"],
        sha=facts["weights_sha256"], width=plan.width, sample=sample, white=white, black=black, bits=bits, beat=beat,
        out_bits=plan.pixels * bits, pixels=plan.pixels, cycles=plan.cycles, rows=plan.rows_of_latency,
        more=plan.rows_of_latency - 1, rate=rate, gap=plan.gap, pipeline=plan.pipeline,
        multipliers=plan.multipliers, layers=layers, memory=memory, total=sum(count for _, count in line_bits(model, plan)),
    )  # fmt: skip


_GUIDE = """\
# A super-resolution core: {model}

FSRCNN({d}, {s}, {m}) ×{scale} on luma, integer model {format}, made by {producer}. A frame of up to {width} pixels in a row
goes in as AXI4-Stream video, the frame of {scale} times its width and height comes out. What comes out is to the last bit what
`fsrcnn upscale --model` computes with the file of whole numbers whose SHA-256 is

    {sha}

It was simulated and can be synthesised with free tools. It has not run on a board: see the last section.

## Files
| | |
|---|---|
| `fsrcnn_core.v` | the top module; its head says throughput, latency, memory, multipliers |
| `fsrcnn_*.v` | a module for each kind of layer and for its parts, Verilog-2005 |
| `*.mem` | weights, biases, multipliers of the layers, read by `$readmemh` from the folder in which the tool runs |
| `fsrcnn_core_tb.sv` | the self-checking test bench |
| `vectors/` | its frames (zero, impulse, ramp, checker, noise, photo), and what each layer makes of them |
| `manifest.json` | all of this for programs, with the SHA-256 of each file |

## Try it
With Verilator 5 (Debian: `apt-get install verilator g++ make`), in this folder, what is built beside it:

    verilator --binary --timing -Wno-fatal --Mdir ../obj_dir --top-module fsrcnn_core_tb *.sv *.v
    ../obj_dir/Vfsrcnn_core_tb

It says `PASSED`, or which pixel of which layer is wrong, and then ends with another exit code than 0. `+stalls=5` lets either side
stand still in 5 of 8 cycles, `+seed=7` draws others.

What it takes in a chip: `pip install 'fsrcnn[rtl]'`, then the same `fsrcnn export rtl` with `--report --overwrite`. Or by Yosys
alone: `yosys -p "read_verilog *.v; synth_xilinx -family xcup -top fsrcnn_core"`.

## Interface
All signals belong to `clk`; `rst` is synchronous, active high, for one cycle or more, at any moment, in mid-frame, too; what is
offered while it is high may be lost.

| signal | |
|---|---|
| `s_axis_tdata` [{bits}] | an LR pixel of luma, {sample}, studio swing (BT.601, BT.709): black is {black}, white {white} |
| `s_axis_tuser` | with the first pixel of a frame; what comes before the first one is dropped |
| `s_axis_tlast` | with the last pixel of a row |
| `width`, `height` [16] | of the frame in LR pixels, read with its first pixel: 1 to {width}, 1 to 65,535; the next may have others |
| `m_axis_tdata` [{out_bits}] | {beat}, {bits} bits each |
| `m_axis_tkeep` [{pixels}] | a bit for each pixel: a row's last beat may be partly filled (of 10 bits, AXI4-Stream wants each twice) |
| `m_axis_tuser`, `m_axis_tlast` | as above, for the HR frame |
| `error` | a row or a frame was not of its size, or `width` or `height` was not legal; stays until reset |

`tready` may fall at any time on either side; nothing is lost. `s_axis_tready` falls while the core computes: it takes a pixel in
{cycles} cycles on average. Below each frame the core shifts in rows of zeros: a camera that cannot wait needs a FIFO or a blanking of
{more} rows.

Luma only: send chroma through a plain interpolator of your own, and delay it by the latency.

## Time
{cycles} cycles for each LR pixel: at 200 MHz {rate:.1f} million LR pixels a second.

Where neither side stands still, a frame of w × h takes at most ({cycles} · w + {gap}) · (h + {more}) + {pipeline} cycles:
{gap} behind each row, {more} rows of zeros below the frame, {pipeline} on the way through the registers. From its first LR pixel to
its first HR pixel it takes at most ({cycles} · w + {gap}) · {rows} + {pipeline} cycles.

## Multipliers
| layer | sums × products | at a time | cycles | products | requantising | bits of a sum |
|---|---|---|---|---|---|---|
{layers}

{multipliers} in all; one is one DSP slice on Xilinx, and 25 × 18 bits of a requantising are two of Lattice's 18 × 18.

## Memory
| lines of | bits |
|---|---|
{memory}

{total:,} bits in all, in memories with one port to write and one to read, both synchronous.

## What a board still has to show
Timing at your clock, after place and route with the vendor's tool; what is around it (a video DMA sends `tuser` and `tlast` as here,
and wants `width` and `height` from a register); the power. Send the frames of `vectors/` first, and compare.
"""
