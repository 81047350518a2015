"""`fsrcnn models`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from fsrcnn import pretrained
from fsrcnn.cli.terminal import print_json, print_table


def models(as_json: Annotated[bool, typer.Option("--json", help="Print the whole table as JSON.")] = False) -> None:
    """List the bundled models: weights, multiply-adds per LR pixel, PSNR on the luma (protocol `paper`)."""
    rows = []
    for entry in pretrained.table().values():
        architecture = pretrained.load(entry.name).architecture
        rows.append((entry, architecture))
    if as_json:
        listed = [
            {
                **asdict(entry),
                "weight_count": architecture.weight_count,
                "multiply_adds": architecture.multiply_adds,
                "architecture": asdict(architecture),
            }
            for entry, architecture in rows
        ]
        print_json(listed)
        return
    from rich.table import Table

    sets = list(dict.fromkeys(name for entry, _ in rows for name in entry.scores))
    table = Table(box=None, pad_edge=False)
    for title in ("model", "scale", "weights", "multiply-adds", *(f"{name} dB" for name in sets)):
        table.add_column(title, justify="left" if title in ("model", "scale") else "right", no_wrap=True)
    table.add_column("trained on")
    for entry, architecture in rows:
        scores = [f"{entry.scores[name]['paper'][0]:.2f}" if name in entry.scores else "" for name in sets]
        table.add_row(
            entry.name,
            f"×{entry.scale}",
            f"{architecture.weight_count:,}",
            f"{architecture.multiply_adds:,}",
            *scores,
            entry.trained_on,
        )
    print_table(table)
