"""Average two weights files: `python recipes/average.py FIRST SECOND --strength 0.5 --output RUN`; 0 is the first, 1 the second."""

from __future__ import annotations

import argparse
from pathlib import Path

from fsrcnn import models, weights
from fsrcnn.errors import FsrcnnError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", help="bundled weights or a weights file")
    parser.add_argument("second", help="one that began with the same weights")
    parser.add_argument("--strength", type=float, required=True)
    parser.add_argument("--output", type=Path, required=True, help="run folder, for best.safetensors")
    arguments = parser.parse_args()
    average = weights.averaged(*map(models.resolve, (arguments.first, arguments.second)), arguments.strength)
    arguments.output.mkdir(parents=True, exist_ok=True)
    average.save(arguments.output / "best.safetensors")


if __name__ == "__main__":
    try:
        main()
    except FsrcnnError as error:
        raise SystemExit(str(error)) from None
