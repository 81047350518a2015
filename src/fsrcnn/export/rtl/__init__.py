"""A chip core: Verilog for an integer model, with its memories, vectors, test bench, and what its integrator reads.

The modules (`fsrcnn_*.v` in this folder) are the same for every network; the top module, `core.py`, wires them with the numbers of a
plan, `plan.py`, and `memories.py` fills them. `IntegerModel.run` says what comes out, to the last bit.
"""

from __future__ import annotations

import hashlib
import json
from itertools import islice
from pathlib import Path
from typing import Any

from fsrcnn import files
from fsrcnn.errors import FsrcnnError, UsageError
from fsrcnn.export import facts
from fsrcnn.export.rtl.bench import bench
from fsrcnn.export.rtl.core import MODULES, top
from fsrcnn.export.rtl.guide import guide, header
from fsrcnn.export.rtl.memories import memories
from fsrcnn.export.rtl.plan import DEPTHS, LARGEST_WIDTH, Plan, plan
from fsrcnn.export.rtl.vectors import vectors
from fsrcnn.integer import IntegerModel
from fsrcnn.weights import Weights

__all__ = ["DEPTHS", "LARGEST_WIDTH", "MANIFEST", "Plan", "plan", "write"]

MANIFEST = "manifest.json"
WIDTH, CYCLES = 960, 8
"""Of a core where nobody says others: 960×540 → 1920×1080 at ×2."""


def write(
    model: IntegerModel,
    folder: Path,
    *,
    width: int = WIDTH,
    cycles: int = CYCLES,
    depth: int = 8,
    name: str = "",
    overwrite: bool = False,
) -> Plan:
    """Generate a core into a folder, which is put in place as a whole.

    Args:
        model: what the core computes.
        folder: where to; it is made.
        width: LR pixels in a row, at most: 1 to 16,384. The height is free.
        cycles: for each LR pixel, 1 to 64.
        depth: bits of luma that goes in and out: 8 or 10.
        name: of the model, for the head of the files.
        overwrite: replace the core that is there.

    Returns:
        How many multipliers each layer has.

    Raises:
        UsageError: a number outside of what is said above, float weights, or the folder exists and is not to be replaced.
        FsrcnnError: it cannot be written, or holds files that are not a core's.
    """
    if isinstance(model, Weights):
        raise UsageError(
            "a chip core computes an integer model, and these are float weights",
            "make one with IntegerModel.of(weights, 'w12a12')",
        )
    drawn = plan(model.architecture, width, cycles, depth)
    check(folder, overwrite)
    written = texts(model, drawn, name)
    with files.folder_beside(folder, replace=overwrite) as part:
        for file, text in written.items():
            (part / file).parent.mkdir(exist_ok=True)
            (part / file).write_text(text, encoding="utf-8", newline="\n")
    return drawn


def check(folder: Path, overwrite: bool) -> None:
    """Refuse a folder that must not be written to.

    Raises:
        UsageError: it holds something and is not to be replaced.
        FsrcnnError: it is a file, or holds what is not a core's.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise FsrcnnError(f"{folder} is a file, and a core is a folder of files", "give another output")
        if not folder.is_dir() or not any(folder.iterdir()):
            return
        if not overwrite:
            raise UsageError(
                f"{folder} exists and is not empty",
                "give {overwrite=True} to replace the core in it, or another output",
            )
        own = _own(folder)
        # As far as the fourth that is not a core's: the folder may be a whole disk.
        others = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not _is_folder(path))
        foreign = list(islice((name for name in others if name not in own), 4))
    except OSError as error:
        raise FsrcnnError(f"cannot look into {folder}: {files.explained(error)}") from error
    if foreign:
        raise FsrcnnError(
            f"{folder} holds files that are not a core's ({', '.join(sorted(foreign[:3]))}{', …' if len(foreign) > 3 else ''})",
            "move them elsewhere, or give another output",
        )


def texts(model: IntegerModel, plan: Plan, name: str = "") -> dict[str, str]:
    """Name of a file → its text: all that `write` writes.

    Args:
        model, plan: of the core.
        name: of the model.
    """
    drawn, said = vectors(model, plan), facts(model, name)
    written = {"fsrcnn_core.v": top(model, plan, header(model, plan, said))}
    for module in MODULES:
        written[f"{module}.v"] = Path(__file__).with_name(f"{module}.v").read_text("utf-8")
    written |= memories(model, plan)
    written["fsrcnn_core_tb.sv"] = bench(model, plan, drawn.frames)
    written |= {f"vectors/{file}": text for file, text in drawn.files.items()}
    written["README.md"] = guide(model, plan, said)
    written[MANIFEST] = json.dumps(manifest(model, plan, said, written), indent=2) + "\n"
    return written


def manifest(model: IntegerModel, plan: Plan, facts: dict[str, str], written: dict[str, str]) -> dict[str, Any]:
    """What a core is, for programs, with the SHA-256 of each file."""
    return {
        **facts,
        "format": model.format,
        "width": plan.width,
        "depth": plan.depth,
        "cycles": plan.cycles,
        "pixels_per_beat": plan.pixels,
        "multipliers": {layer.name: layer.multipliers for layer in plan.layers},
        "sum_bits": {layer.name: model.sum_bits(layer.name) for layer in plan.layers},
        "files": {file: hashlib.sha256(text.encode()).hexdigest() for file, text in sorted(written.items())},
    }


def _is_folder(path: Path) -> bool:
    """A link to a folder is none: it is somebody's."""
    return path.is_dir() and not path.is_symlink()


def _own(folder: Path) -> set[str]:
    """The files of a core that was written there, and the reports on it; nothing where `manifest.json` is of another program."""
    try:
        listed = json.loads((folder / MANIFEST).read_text("utf-8"))
        ours = str(listed["producer"]).startswith("fsrcnn ") and "fsrcnn_core.v" in listed["files"]
        return {MANIFEST, "report.json", "report.md", *listed["files"]} if ours else set()
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return set()
