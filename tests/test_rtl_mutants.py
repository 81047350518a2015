"""Mistakes in the Verilog of chip cores: each is noticed by simulating small cores."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest

import cores
import simulators
from cores import Core
from fsrcnn.architecture import Architecture
from fsrcnn.export.rtl.core import MODULES
from fsrcnn.integer import IntegerModel
from simulators import Stalls, needs_verilator


class Mutant(NamedTuple):
    """A change of one module.

    Attributes:
        module: of its file's name, behind `fsrcnn_`.
        old, new: what is replaced, all of it, by what.
        core: the name of a small core in `CORES` that must notice it.
    """

    module: str
    old: str
    new: str
    core: str = "usual"


MUTANTS = {
    # Where frames and rows begin and end.
    "zeros above the frame": Mutant("window", "above >= LINES - i;", "above >= LINES - i - 1;"),
    "a window too early": Mutant("window", "out_valid <= shifted == PAD &&", "out_valid <= shifted + 1 >= PAD &&"),
    "zeros to the right": Mutant("window", "entering = padding ?", "entering = 1'b0 ?"),
    "zeros below the frame": Mutant("window", "pixel = below ?", "pixel = 1'b0 ?"),
    "the flag of the last row": Mutant("window", "out_last_row    <= below &&", "out_last_row    <= ending &&"),
    "rows below, one too few": Mutant("window", "ends_row && below && belows == PAD - 1", "ends_row && below", "wide kernel"),
    "the read of the next column": Mutant("window", "lines[advance ? next_column : column]", "lines[column]"),
    "no reset of the row": Mutant("window", "            above     <= {COUNT_BITS{1'b0}};\n", ""),
    "the last column of the input": Mutant("input", ": width == 1;", ": 1'b0;"),
    "the size of the frame before": Mutant("input", "rows    <= height;", "rows    <= rows;"),
    "no reset of the input": Mutant("input", "            running  <= 1'b0;\n", ""),
    "error without a mistake": Mutant("input", "s_axis_tlast != last_column ||", "s_axis_tlast == last_column ||"),
    # Numbers.
    "8 bits count twice": Mutant("convolution", "{1'b0, window[i*8 +: 8], 2'b00}", "{2'b00, window[i*8 +: 8], 1'b0}"),
    "10 bits have a sign": Mutant("convolution", "{1'b0, window[i*10 +: 10]}", "{window[i*10+9], window[i*10 +: 10]}", "10 bits"),
    "no bias": Mutant("products", "addend = first ? bias[output_*SUM_BITS +: SUM_BITS] :", "addend = first ? 0 :"),
    "sums go on": Mutant("products", "addend = first ?", "addend = 1'b0 ?"),
    "the weights of another step": Mutant("products", "kernels[step];", "kernels[step == 0 ? 0 : step - 1];"),
    "a product without its highest bit": Mutant(
        "products", "reg  signed [PRODUCT_BITS-1:0] product;", "reg  signed [PRODUCT_BITS-2:0] product;", "bounds"
    ),
    "no reset of the step": Mutant("products", "            step     <= {STEP_BITS{1'b0}};\n", ""),
    "an addition too narrow": Mutant("sum", "reg  signed [WIDTH-1:0]  total;", "reg  signed [NARROW-3:0]  total;", "10 bits"),
    "the odd term is lost": Mutant("sum", "if (enable) total <= left;", "if (enable) total <= 0;"),
    "a half is not rounded": Mutant("requantise", "rounded    <= product + HALF;", "rounded    <= product;"),
    "rounded down at a half": Mutant("requantise", "product + HALF;", "product + HALF - 1;", "halves"),
    "no least number": Mutant("requantise", "whole < LEAST ? LEAST[OUT_BITS-1:0] :", "1'b0 ? LEAST[OUT_BITS-1:0] :", "bounds"),
    "no largest number": Mutant("requantise", "whole > MOST ? MOST[OUT_BITS-1:0] :", "1'b0 ? MOST[OUT_BITS-1:0] :", "bounds"),
    "the PReLU's sign": Mutant("requantise", "sum[SUM_BITS-1] ? negative : positive", "sum[SUM_BITS-1] ? positive : negative"),
    "no PReLU": Mutant("requantise", "sum[SUM_BITS-1] ? negative : positive", "positive"),
    "a place too far": Mutant("requantise", "valid && placed == PLACE)", "valid && placed + 1 == PLACE)"),
    "no reset of the place": Mutant("requantise", "            place <= {PLACE_BITS{1'b0}};\n", ""),
    # The deconvolution.
    "a group of the stamp": Mutant("deconvolution", "group == i / PARALLEL)", "group == (i + 1) / PARALLEL)"),
    "a stamp too early": Mutant("deconvolution", "group == OUTPUT_STEPS - 1;", "group == 0;", "wide kernel"),
    "no reset of the stamp": Mutant("deconvolution", "if (rst) stamp_valid <= 1'b0;\n        else if", "if"),
    "stamps below the frame": Mutant("overlap", "= needs_stamp ? in_stamp", "= !padding ? in_stamp"),
    "the row above the frame": Mutant("overlap", "waited = across_top ? bias :", "waited = 1'b0 ? bias :"),
    "the column before the row": Mutant("overlap", "addend = starting ? {SUM_BITS{1'b0}} :", "addend = 1'b0 ? 0 :"),
    "no pause behind a row": Mutant("overlap", "pause  <= PAUSE;", "pause  <= 0;", "a column"),
    "a row too early": Mutant("overlap", "comes_out && above == BEYOND;", "comes_out && above + 1 >= BEYOND;"),
    "the mask of rows": Mutant("overlap", "ROW >= 0 && ROW < KERNEL &&", "ROW >= 0 && ROW < KERNEL - 1 &&"),
    "no reset of the first row": Mutant("overlap", "            top      <= 1'b1;\n", ""),
    # Streams.
    "one place": Mutant("buffer", "assign in_ready = !waits;", "assign in_ready = 1'b1;"),
    "what waited is lost": Mutant("buffer", "out_valid <= waits || in_valid;", "out_valid <= in_valid;"),
    "it changes while it waits": Mutant("buffer", "if (!waits) waiting <= in_data;", "waiting <= in_data;"),
    "no reset of the second place": Mutant("buffer", "1'b0;\n            waits     <= 1'b0;\n        end", "1'b0;\n        end"),
    "one half for both": Mutant("output", "writes       <= !writes;", "writes       <= writes;"),
    "a half is full for ever": Mutant("output", "if (done) full[reads] <= 1'b0;", ""),
    "written over": Mutant("output", "assign in_ready = !full[writes];", "assign in_ready = 1'b1;", "10 bits"),
    "all of the beat": Mutant("output", "i < SCALE || i / SCALE <= word_lane;", "1'b1;", "a column"),
    "tuser with each row": Mutant("output", "firsts[reads] && at == 0 && row == 0", "firsts[reads] && at == 0"),
    "8 bits cut": Mutant("output", "level[9:2] + {8'd0, level[1]}", "level[9:2] + 9'd0"),
    "256 is 0": Mutant("output", "rounded[8] ? 8'd255 : rounded[7:0]", "rounded[7:0]", "white"),
    "no reset of the row out": Mutant("output", "            row   <= 2'd0;\n            part", "            part"),
}  # fmt: skip


def halves(model: IntegerModel) -> IntegerModel:
    """With multipliers of 2^(after - 1), every second product is rounded at a half."""
    rules = {}
    for stage, rule in model.requantising.items():
        half = rule.positive * 0 + 1
        rules[stage] = rule._replace(before=max(0, model.sum_bits(stage) - 12), positive=half, negative=half, after=1)
    return IntegerModel(model.architecture, model.format, model.kernels, model.biases, rules)


def small(folder: Path, name: str) -> Core:
    """A core on which mutants are tried, by the name in `Mutant.core`."""
    if name == "usual":  # several taps, groups, units, blocks in a beat
        return cores.made(
            folder, IntegerModel.of(cores.lively(Architecture(3, 2, 1, 3, 5, 2)), "w12a12"), width=7, cycles=3
        )
    if name == "wide kernel":
        return cores.made(
            folder, IntegerModel.of(cores.lively(Architecture(2, 1, 0, 5, 3, 3)), "w8a16"), width=5, cycles=9
        )
    if name == "10 bits":
        return cores.made(
            folder, IntegerModel.of(cores.lively(Architecture(2, 2, 0, 3, 3, 2)), "w16a14"), width=6, cycles=4, depth=10
        )  # fmt: skip
    if name == "a column":  # nothing lies between a row's end and the next one's beginning
        model = IntegerModel.of(cores.lively(Architecture(2, 2, 0, 1, 5, 2, crop=0)), "w12a12")
        return cores.made(folder, model, width=4, cycles=1)
    if name == "white":
        weights = cores.lively(Architecture(2, 2, 0, 1, 3, 2))
        weights.arrays["deconvolution.bias"][...] = 1.0
        return cores.made(folder, IntegerModel.of(weights, "w12a12"), width=4, cycles=4)
    if name == "halves":
        model = halves(IntegerModel.of(cores.lively(Architecture(2, 2, 0, 3, 3, 2)), "w8a8"))
        return cores.made(folder, model, width=6, cycles=4, depth=10)
    assert name == "bounds"
    return cores.made(folder, cores.lowest(Architecture(3, 2, 1, 3, 5, 2), "w12a12"), width=7, cycles=1, depth=10)


def tried(core: Core) -> None:
    """The frames and the stalls of all mutants.

    Raises:
        AssertionError: the core is not right.
    """
    widest = core.plan.width
    sent = core.noise((1, 1), (3, widest), (4, 1), (2, 3), (5, widest - 1), (3, 1), (2, widest))
    options: dict[str, Any] = {"quick": True, "patience": 2000}
    smooth = cores.layers_compared(core, sent, **options)
    for seed, stalls in enumerate((Stalls(0.3, 0.3), Stalls(0, 0.7), Stalls(0.7, 0))):
        cores.layers_compared(core, sent, seed=seed, stalls=stalls, **options)
    for seed in range(12):
        reset_at = int((seed + 0.5) / 13 * smooth.cycles)
        cores.layers_compared(core, sent, seed=seed, stalls=Stalls(0.1, 0.2), reset_at=reset_at, **options)


@needs_verilator
@pytest.mark.parametrize("name", sorted({mutant.core for mutant in MUTANTS.values()}))
def test_without_a_mistake(name: str, tmp_path: Path) -> None:
    tried(small(tmp_path / "core", name))


@needs_verilator
@pytest.mark.parametrize("mistake", MUTANTS)
def test_a_mistake_is_noticed(mistake: str, tmp_path: Path) -> None:
    module, old, new, name = MUTANTS[mistake]
    core = small(tmp_path / "core", name)
    path = core.folder / f"fsrcnn_{module}.v"
    text = path.read_text("utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")
    simulators.model(core.folder, core.interface, "verilator", quick=True)  # it is Verilog, none the less
    with pytest.raises(AssertionError):
        tried(core)


def test_a_mistake_in_every_module() -> None:
    assert {f"fsrcnn_{mutant.module}" for mutant in MUTANTS.values()} == set(MODULES)
