"""What a run leaves for people: its configuration, its metrics as CSV and for TensorBoard, and a curve."""

from __future__ import annotations

import csv
import io
import json
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import fsrcnn
from fsrcnn import files
from fsrcnn.errors import MissingExtraError, printable
from fsrcnn.training.events import Events
from fsrcnn.training.history import Row
from fsrcnn.training.recipe import Recipe

try:
    import matplotlib
    import torch
    from matplotlib.figure import Figure
except ImportError as error:
    raise MissingExtraError(
        "training draws its curves with matplotlib, which is not installed", "type: pip install 'fsrcnn[train]'"
    ) from error

CURVE_SECONDS = 30  # drawing takes a moment, so not after each of many short epochs


class Record:
    """Writes into a run folder; `rows` are the validations so far (`History.rows`)."""

    def __init__(self, run: Path, recipe: Recipe, rows: list[Row], described: Mapping[str, object]) -> None:
        self.run = run
        followed = (run / "tensorboard").exists()  # not where number 0 was on another machine so far
        self.written = len(rows) if followed else 0
        self.drawn = -float(CURVE_SECONDS)
        self.rows = rows
        versions = {"fsrcnn": fsrcnn.__version__, "torch": torch.__version__}
        configuration = (
            json.dumps({**versions, **described, "recipe": asdict(recipe)}, indent=2, allow_nan=False) + "\n"
        )
        files.write(run / "config.json", configuration.encode())
        self.events = Events(run / "tensorboard", after=int(rows[-1]["step"]) if rows and followed else 0)

    def write(self, rows: list[Row]) -> None:
        """After a validation."""
        self.rows = rows
        for row in rows[self.written :]:
            points = {name: value for name, value in row.items() if name not in ("step", "seconds")}
            self.events.add(int(row["step"]), points)
        self.written = len(rows)
        files.write(self.run / "log.csv", as_csv(rows))
        if time.monotonic() - self.drawn > CURVE_SECONDS:
            self._draw()

    def close(self) -> None:
        if self.rows:
            self._draw()

    def _draw(self) -> None:
        files.write(self.run / "curve.png", curve(self.rows, self.run.name))
        self.drawn = time.monotonic()


def as_csv(rows: list[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def curve(rows: list[Row], title: str, format: str = "png") -> bytes:
    """Validation PSNR (dB, left) with bicubic's, and training loss (right, logarithmic) over the updates."""
    steps = [row["step"] / 1000 for row in rows]
    validation = [row["validation_db"] for row in rows]
    with matplotlib.rc_context({"svg.hashsalt": title}):  # the same log gives the same bytes
        figure = Figure(figsize=(7, 3.5), layout="constrained")
        axis = figure.subplots()
        bicubic = rows[-1]["bicubic_db"]
        best = max(validation)
        axis.plot(steps, validation, color="#1b6ca8", marker="." if len(rows) < 40 else "", label="validation")
        ordered = sorted(validation)
        low = ordered[len(ordered) // 10]
        axis.set_ylim(low - max(0.05, (best - low) * 0.2), best + max(0.03, (best - low) * 0.1))
        axis.set(xlabel="thousand updates", ylabel="PSNR, dB")
        name = printable(title)  # of a folder, which need be no text, nor mean a formula by "$"
        axis.set_title(f"{name}: best {best:.3f} dB, {best - bicubic:+.2f} against bicubic", parse_math=False)
        axis.grid(alpha=0.3)
        losses = axis.twinx()
        losses.plot(steps, [row["loss"] for row in rows], color="#b0b0b0", zorder=0, label="training loss (right)")
        losses.set_yscale("log")
        losses.set_ylabel("training loss")
        axis.set_zorder(1)
        axis.patch.set_visible(False)
        axis.legend(handles=[*axis.lines, *losses.lines], loc="lower right")
        buffer = io.BytesIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph")  # of a name in letters that the font lacks: boxes stand for them
            figure.savefig(buffer, format=format, dpi=120, metadata={"Date": None} if format == "svg" else None)
    return buffer.getvalue()
