"""What a run leaves for people: its configuration, its metrics as CSV and for TensorBoard, and a curve."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import fsrcnn
from fsrcnn import files
from fsrcnn.errors import MissingExtraError
from fsrcnn.training.history import Row
from fsrcnn.training.recipe import Recipe

try:
    import matplotlib
    import torch
    from matplotlib.figure import Figure
    from torch.utils.tensorboard import SummaryWriter
except ImportError as error:
    raise MissingExtraError(
        "training records its curves with matplotlib and tensorboard, which are not installed",
        "type: pip install 'fsrcnn[train]'",
    ) from error

CURVE_SECONDS = 30  # drawing takes a moment, so not after each of many short epochs


class Record:
    """Writes into a run folder; `rows` are the validations so far (`History.rows`)."""

    def __init__(self, run: Path, recipe: Recipe, rows: list[Row], described: Mapping[str, object]) -> None:
        self.run = run
        self.written = len(rows)
        self.drawn = -float(CURVE_SECONDS)
        self.rows = rows
        versions = {"fsrcnn": fsrcnn.__version__, "torch": torch.__version__}
        configuration = (
            json.dumps({**versions, **described, "recipe": asdict(recipe)}, indent=2, allow_nan=False) + "\n"
        )
        files.write(run / "config.json", configuration.encode())
        # A run that was killed may have left later points in its events than its checkpoint knows of.
        last = int(rows[-1]["step"]) if rows else 0
        self.events = SummaryWriter(str(run / "tensorboard"), purge_step=last + 1 if last else None)

    def write(self, rows: list[Row]) -> None:
        """After a validation."""
        self.rows = rows
        for row in rows[self.written :]:
            for name, value in row.items():
                if name not in ("step", "seconds"):
                    self.events.add_scalar(name, value, int(row["step"]))
        self.written = len(rows)
        self.events.flush()
        files.write(self.run / "log.csv", as_csv(rows))
        if time.monotonic() - self.drawn > CURVE_SECONDS:
            self._draw()

    def close(self) -> None:
        if self.rows:
            self._draw()
        self.events.close()

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
        axis.set_title(f"{title}: best {best:.3f} dB, {best - bicubic:+.2f} against bicubic")
        axis.grid(alpha=0.3)
        losses = axis.twinx()
        losses.plot(steps, [row["loss"] for row in rows], color="#b0b0b0", zorder=0, label="training loss (right)")
        losses.set_yscale("log")
        losses.set_ylabel("training loss")
        axis.set_zorder(1)
        axis.patch.set_visible(False)
        axis.legend(handles=[*axis.lines, *losses.lines], loc="lower right")
        buffer = io.BytesIO()
        figure.savefig(buffer, format=format, dpi=120, metadata={"Date": None} if format == "svg" else None)
    return buffer.getvalue()
