"""What the npm package in `web/` has beside the compiled engine: its modules, the bundled weights, and what chooses among them.

`make web` compiles `web/dist/fsrcnn.wasm` first. Weights and `choice.json` are the files of the Python package, to the byte.
The page gets a copy of it all.
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
ENGINE = ROOT / "src" / "fsrcnn" / "serve" / "page" / "engine"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dist", type=Path, default=ROOT / "web" / "dist", help="the folder that is filled")
    parser.add_argument("--engine", type=Path, default=ENGINE, help="the folder of the page that becomes its copy")
    given = parser.parse_args()
    fill(given.dist)
    copy(given.dist, given.engine)


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


def copy(dist: Path, engine: Path) -> None:
    """Make a folder the copy of another one, with a list of its files, all of which the page keeps for times without a network."""
    shutil.rmtree(engine, ignore_errors=True)
    shutil.copytree(dist, engine)
    files = sorted(path.relative_to(dist).as_posix() for path in dist.rglob("*") if path.is_file())
    (engine / "files.json").write_text(json.dumps(files), "utf-8")


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
