"""What the npm package in `web/` has beside the compiled engine: its modules, the bundled weights, and what chooses among them.

`make web` compiles `web/dist/fsrcnn.wasm` first. Weights and `choice.json` are the files of the Python package, to the byte.
"""

from __future__ import annotations

import argparse
import base64
import json
import shutil
from pathlib import Path

import numpy as np

from fsrcnn import choice, pretrained
from fsrcnn.architecture import SCALES
from fsrcnn.fixed_point import sheet

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dist", type=Path, default=ROOT / "web" / "dist", help="the folder that is filled")
    fill(parser.parse_args().dist)


def fill(dist: Path) -> None:
    """Put all but the compiled engine into a folder."""
    models = dist / "models"
    models.mkdir(parents=True, exist_ok=True)
    for source in sorted((ROOT / "web" / "src").iterdir()):
        shutil.copyfile(source, dist / source.name)
    names = [pretrained.name_of(family, scale) for family in pretrained.FAMILIES for scale in SCALES]
    for name in names:
        shutil.copyfile(pretrained.FOLDER / f"{name}.safetensors", models / f"{name}.safetensors")
    shutil.copyfile(choice.TABLE, dist / choice.TABLE.name)
    (dist / "bundled.js").write_text(_bundled(names), "utf-8")


def _bundled(names: list[str]) -> str:
    drawn = sheet()
    bits = base64.b64encode(np.packbits(drawn.astype(bool)).tobytes()).decode()
    return f"""// Written by tools/web.py: the bundled weights, and the sheet of fixed_point.py, a bit for each pixel.
export const MODELS = {json.dumps(names)};
export const SHEET_SIDE = {len(drawn)};
export const SHEET = '{bits}';
"""


if __name__ == "__main__":
    main()
