"""The simulators of tests, by a small core that repeats pixels: right ones pass, each broken rule is noticed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import simulators
from fsrcnn.arrays import Array
from simulators import (
    CoreError,
    Interface,
    Simulator,
    Stalls,
    needs_cxxrtl,
    needs_iverilog,
    needs_pyosys,
    needs_verilator,
)

CORE = Path(__file__).with_name("repeat_core.v")
INTERFACE = Interface(scale=2, pixels=4)
EITHER = pytest.mark.parametrize(
    "simulator", [pytest.param("verilator", marks=needs_verilator), pytest.param("cxxrtl", marks=needs_cxxrtl)]
)
# What is changed in the core → what is said of it, with stalled streams.
MISTAKES = {
    "valid falls": ("if (m_axis_tready) m_axis_tvalid", "m_axis_tvalid", "tvalid fell before m_axis_tready had come"),
    "data changes": ("sending && free", "sending", "a beat changed while it waited"),
    "last at the wrong beat": ("m_axis_tlast <= last", "m_axis_tlast <= 1'b0", "line 0, beat 2: tlast is 0"),
    "user with each line": ("begins && !second", "column == 0 && !second", r"line 2, beat 0: tuser is 1"),
    "keep is full": ("4'b0011", "4'b1111", r"line 0, beat 2: tkeep is 15"),
    "a line too few": ("if (second) begin", "if (1'b1) begin", "nothing has moved for long"),
    "a line too many": ("second <= !second", "second <= second", "more beats than expected"),
    "no reset of valid": ("{m_axis_tvalid, error,", "{error,", "m_axis_tvalid is high in reset"),
}


def frames(*sizes: tuple[int, int]) -> list[Array]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, size, np.uint8) for size in sizes]


def twice(frame: Array) -> Array:
    return frame.repeat(2, axis=0).repeat(2, axis=1)


def changed(folder: Path, old: str, new: str) -> Path:
    """The core with a mistake in it."""
    text = CORE.read_text("utf-8")
    assert old in text
    (folder / f"{simulators.TOP}.v").write_text(text.replace(old, new), encoding="utf-8")
    return folder


@pytest.fixture
def core(tmp_path: Path) -> Path:
    return changed(tmp_path, "", "")


@EITHER
@pytest.mark.parametrize("stalls", [Stalls(), Stalls(0.3), Stalls(0, 0.3), Stalls(0.2, 0.2)], ids=str)
@pytest.mark.parametrize("reset_at", [None, 0, 41])
def test_frames_of_several_sizes(core: Path, simulator: Simulator, stalls: Stalls, reset_at: int | None) -> None:
    given = frames((3, 5), (4, 8), (1, 1), (2, 33), (3, 1))
    ran = simulators.simulate(core, given, INTERFACE, simulator=simulator, seed=5, stalls=stalls, reset_at=reset_at)
    for sr, lr in zip(ran.frames, given, strict=True):
        np.testing.assert_array_equal(sr, twice(lr))
    assert not ran.error
    assert ran.latency >= 5  # the first line has five pixels


@needs_verilator
@needs_cxxrtl
def test_simulators_agree_to_the_cycle(core: Path) -> None:
    sent = simulators.beats_of(frames((4, 7), (2, 2)))
    verilator, cxxrtl = (
        simulators.run(core, sent, INTERFACE, 36, simulator=simulator, seed=2, stalls=Stalls(0.3, 0.4))
        for simulator in ("verilator", "cxxrtl")
    )
    np.testing.assert_array_equal(verilator.taken, cxxrtl.taken)
    kept = verilator.given["keep"][:, None] >> np.arange(INTERFACE.pixels, dtype=np.uint64) & 1 == 1
    np.testing.assert_array_equal(verilator.given["data"][kept], cxxrtl.given["data"][kept])
    for name in ("keep", "cycle", "last", "user"):
        np.testing.assert_array_equal(verilator.given[name], cxxrtl.given[name])
    assert verilator.cycles == cxxrtl.cycles


@EITHER
def test_stalls_are_those_of_the_seed(core: Path, simulator: Simulator) -> None:
    given = frames((8, 8))
    cycles = [
        simulators.simulate(core, given, INTERFACE, simulator=simulator, seed=seed, stalls=Stalls(0.3, 0.3)).cycles
        for seed in (1, 1, 2)
    ]
    assert cycles[0] == cycles[1] != cycles[2]


@needs_verilator
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_noticed(mistake: str, tmp_path: Path) -> None:
    old, new, said = MISTAKES[mistake]
    folder = changed(tmp_path, old, new)
    with pytest.raises(CoreError, match=said):
        simulators.simulate(
            folder, frames((3, 5), (2, 4)), INTERFACE, stalls=Stalls(0.2, 0.4), reset_at=60, patience=1000
        )


@EITHER
@pytest.mark.parametrize("mark", ["last", "user"])
def test_a_line_of_the_wrong_length_is_an_error(core: Path, simulator: Simulator, mark: str) -> None:
    sent = simulators.beats_of(frames((2, 6)))
    assert not simulators.run(core, sent, INTERFACE, None, simulator=simulator, patience=200).error
    sent[mark][3] = 1
    assert simulators.run(core, sent, INTERFACE, None, simulator=simulator, patience=200).error


@needs_verilator
@needs_pyosys
@needs_iverilog
def test_a_clean_core_has_no_complaints(core: Path) -> None:
    assert simulators.complaints(core) == []


@pytest.mark.parametrize(
    ("old", "new", "tools"),
    [
        pytest.param("reg  [15:0] columns", "reg [14:0] columns", ["verilator"], id="a narrow register"),
        pytest.param("wire        begins", "wire begins = free; wire", ["verilator", "iverilog", "Yosys"], id="a word twice"),
        pytest.param("assign s_axis_tready = !sending;", "assign s_axis_tready = !sending; assign s_axis_tready = 1;",
                     ["Yosys"], id="two drivers"),
        pytest.param("    always @", "    reg held; always @* if (rst) held = error; always @", ["verilator", "Yosys"], id="a latch"),
        pytest.param("column == 0 && row == 0", "columm == 0 && row == 0", ["verilator", "iverilog", "Yosys"], id="a slip"),
    ],
)  # fmt: skip
@needs_verilator
@needs_pyosys
@needs_iverilog
def test_complaints(tmp_path: Path, old: str, new: str, tools: list[str]) -> None:
    found = simulators.complaints(changed(tmp_path, old, new))
    assert [said.split(":")[0].split()[0] for said in found] == tools
