"""Count the sparks that networks put beside small text and on tiles: `python tools/sparks.py [MODEL …] [--precision fast] [--json]`.

A spark is an HR pixel more than 60 levels of luma off where the 5×5 LR pixels around it are flat. Printed for each model and kind of
sheet: sparks per 10,000 letters (or tiles), and how far luma leaves 0 … 255 at worst. The sheets are those of `tests/test_text.py`,
with other letters; `--sheets` makes more of them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from fsrcnn import cli, engines, models, pretrained
from fsrcnn.arguments import whole_number
from fsrcnn.training.sheets import FACES, INKS, SIZES, TILES, Sheet, overshoot, sparks, text_sheet, tile_sheet

Outcome = dict[str, tuple[float, float]]
"""Kind of sheet → sparks per 10,000 letters or tiles, worst overshoot in levels."""
SHAPE = (144, 160)  # LR pixels: a line of each size


def kinds(count: int) -> Mapping[str, Sequence[Sheet]]:
    """`count` sheets of text in each font and look, and as many of each kind of tiles."""
    makers: dict[str, list[Callable[[np.random.Generator], Sheet]]] = {
        name: [partial(text_sheet, ink=ink, face=face, sizes=SIZES, shape=SHAPE) for face in FACES]
        for name, ink in INKS.items()
    }
    makers |= {name: [partial(tile_sheet, kind=name, shape=SHAPE)] * len(FACES) for name in TILES}
    return {
        name: [
            make(np.random.default_rng((number, face))) for number in range(count) for face, make in enumerate(makes)
        ]
        for name, makes in makers.items()
    }


def measured(engine: engines.Engine, sheets: Mapping[str, Sequence[Sheet]]) -> Outcome:
    outcome = {}
    for name, group in sheets.items():
        enlarged = [(sheet.lr, engine.luma(sheet.lr)) for sheet in group]
        found, marks = sum(sparks(lr, sr) for lr, sr in enlarged), sum(sheet.marks for sheet in group)
        outcome[name] = (round(10_000 * found / marks, 1), round(max(overshoot(sr) for _, sr in enlarged), 1))
    return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", default=list(pretrained.table()), help="names or files; all bundled ones")
    parser.add_argument("--precision", choices=engines.PRECISIONS, default="exact")
    parser.add_argument("--sheets", type=int, default=2, help="of each font and look")
    parser.add_argument("--json", action="store_true", help="one object instead of a table")
    arguments = parser.parse_args()
    whole_number(arguments.sheets, "sheets")
    networks = {name: engines.create(models.resolve(name), precision=arguments.precision) for name in arguments.models}
    sheets = kinds(arguments.sheets)
    outcomes = {}
    for name, engine in networks.items():
        outcomes[name] = measured(engine, sheets)
        if not arguments.json:
            print(f"{name} ({arguments.precision})")
            for kind, (density, beyond) in outcomes[name].items():
                print(f"    {kind:34}{density:10,.1f} sparks{beyond:10,.0f} levels beyond", flush=True)
    if arguments.json:
        print(json.dumps(outcomes, indent=1))


if __name__ == "__main__":
    cli.run(main)
