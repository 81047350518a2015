"""Average two weights files: `python recipes/average.py FIRST SECOND --strength 0.5 --output RUN`; 0 is the first, 1 the second.

Weights that are there already stay: the same ones are what was asked for, others are refused.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fsrcnn import cli, models, weights
from fsrcnn.errors import UsageError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", help="bundled weights or a weights file")
    parser.add_argument("second", help="one that began with the same weights")
    parser.add_argument("--strength", type=float, required=True)
    parser.add_argument("--output", type=Path, required=True, help="run folder, for best.safetensors")
    arguments = parser.parse_args()
    average = weights.averaged(*map(models.resolve, (arguments.first, arguments.second)), arguments.strength)
    target = arguments.output / "best.safetensors"
    if target.exists():
        if weights.contents(target) != average.to_bytes():
            raise UsageError(f"{target} holds other weights", "remove it, or give another {output}")
        return
    average.save(target)


if __name__ == "__main__":
    cli.run(main)
