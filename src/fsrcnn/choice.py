"""Which weights for which picture: those of which most decibels are expected.

For each family, a polynomial of second degree in what the file says of its compression and what `estimates.py` measures foretells the
gain over bicubic interpolation. `tools/fit_choice.py` fitted it on training pictures, made small in all the ways of
`degradation.py`, and a handicap for each family, with which the choices lose least. `benchmarks/auto_regret.py` measures what a choice
loses against the best one. Where two families do the same, the first is taken.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from fsrcnn import pretrained
from fsrcnn.arrays import Array
from fsrcnn.estimates import Estimates, estimates_of
from fsrcnn.images import Compression

TABLE = pretrained.FOLDER / "choice.json"


@dataclass(frozen=True)
class Choice:
    """Of a picture.

    Attributes:
        model: the family.
        expected: family → gain over bicubic interpolation in dB, less the family's handicap.
        compression: what the file said.
        noise: of the luma, standard deviation in 8-bit levels.
    """

    model: str
    expected: Mapping[str, float]
    compression: Compression | None
    noise: float

    @property
    def reason(self) -> str:
        """In words: `JPEG quality about 75, noise 1.2; expected over bicubic: fsrcnn +0.3 dB, fsrcnn-photo +0.9 dB`."""
        quality = self.compression.quality if self.compression else None
        file = "" if self.compression is None else f"{self.compression.format}, "
        if quality is not None:
            file = f"JPEG quality about {quality}, "
        gains = ", ".join(f"{name} {gain:+.1f} dB" for name, gain in self.expected.items())
        return f"{file}noise {self.noise:.1f}; expected over bicubic: {gains}"

    @property
    def measured(self) -> dict[str, Any]:
        """In numbers, for JSON."""
        format, quality = self.compression or (None, None)
        return {"format": format, "quality": quality, "noise": self.noise, "expected": dict(self.expected)}


def choose(pixels: Array, scale: int, compression: Compression | None = None) -> Choice:
    """Choose for a picture.

    Args:
        pixels: as `estimates_of` takes them.
        scale: of the first network that will be run: 2, 3 or 4.
        compression: what its file said; None where nothing is known, as of an array.
    """
    estimates = estimates_of(pixels)
    table = _table()[str(scale)]
    terms = polynomial((np.array(features(estimates, compression)) - table["mean"]) / table["deviation"])
    gains = {name: float(terms @ table["gains"][name]) - table["handicaps"][name] for name in table["gains"]}
    return Choice(
        max(gains, key=lambda name: gains[name]),
        {name: round(gain, 2) for name, gain in gains.items()},
        compression,
        round(estimates.noise, 2),
    )


def features(estimates: Estimates, compression: Compression | None) -> list[float]:
    """What the polynomial is of."""
    quality = compression.quality if compression else None
    return [
        float(np.log2(estimates.noise + 0.3)),
        estimates.blocks,
        estimates.steepness,
        *estimates.correlations,
        *estimates.spectrum,
        0.0 if quality is None else coarseness(quality),
        float(compression is not None and quality is None),
    ]


def coarseness(quality: int) -> float:
    """Of a JPEG quality, by how much libjpeg multiplies its steps: 0 at 100, 0.9 at 95, 3.3 at 50."""
    return float(np.log2(1 + 9 * (50 / quality if quality < 50 else 2 - quality / 50)))


def polynomial(x: Array) -> Array:
    """(…, n) standardised features → (…, 1 + n + n·(n + 1)/2): 1, each, and each product of two."""
    first, second = np.triu_indices(x.shape[-1])
    clipped = x.clip(-3, 3)  # a polynomial says nothing far from what it was fitted on
    return np.concatenate([np.ones((*x.shape[:-1], 1)), clipped, clipped[..., first] * clipped[..., second]], axis=-1)


def families() -> Sequence[str]:
    """Among which is chosen."""
    return tuple(_table()["2"]["gains"])


@cache
def _table() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(TABLE.read_text("utf-8"))
    return loaded
