"""The weights that come with the package, trained by the recipes in the repository.

`table.json` says of each what it was trained on and what it scores; `load` checks the file's SHA-256 against it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fsrcnn.errors import UsageError, WeightsError
from fsrcnn.weights import Weights, from_bytes

FOLDER = Path(__file__).parent
FAMILIES = ("fsrcnn", "fsrcnn-photo", "fsrcnn-photo-mild", "fsrcnn-photo-strong", "fsrcnn-s", "fsrcnn-x")
"""Weights that belong together, one file per scale; the photo ones learned from degraded pictures (`degradation.RANGES`)."""


@dataclass(frozen=True)
class Bundled:
    """One line of the table.

    Attributes:
        name: what `--model` takes: family name, `-x`, scale, as `fsrcnn-s-x2`; with `.t91` behind, the stage that saw the 91
            images alone.
        family: of `FAMILIES`.
        scale: 2, 3 or 4.
        sha256: of the safetensors file.
        trained_on: the training sets, in words.
        recipe: the script in the repository that made it.
        validation: PSNR in dB on BSDS500-val20, protocol `paper`, which chose the weights.
        scores: set name → protocol name → (PSNR in dB, SSIM), as `fsrcnn evaluate` printed them.
    """

    name: str
    family: str
    scale: int
    sha256: str
    trained_on: str
    recipe: str
    validation: float
    scores: dict[str, dict[str, tuple[float, float]]]


@cache
def table() -> dict[str, Bundled]:
    """All bundled weights by name, in the table's order."""
    text = (FOLDER / "table.json").read_text("utf-8")
    return {name: Bundled(name=name, **row) for name, row in json.loads(text).items()}


def name_of(family: str, scale: int) -> str:
    """The name of a family's final weights at a scale: `("fsrcnn", 2)` → `fsrcnn-x2`."""
    return f"{family}-x{scale}"


def load(name: str) -> Weights:
    """Read bundled weights.

    Raises:
        UsageError: no such name.
        WeightsError: the installed file is not the one that was released.
    """
    if name not in table():
        raise UsageError(f"there is no bundled model {name!r}; there are {', '.join(table())}")
    data = (FOLDER / f"{name}.safetensors").read_bytes()
    if hashlib.sha256(data).hexdigest() != table()[name].sha256:
        raise WeightsError(
            f"the installed file of {name} is damaged (its SHA-256 is not the released one)", "reinstall fsrcnn"
        )
    return from_bytes(data, name)
