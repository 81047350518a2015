"""Which weights for which picture: those of which most decibels are expected.

A small network (`pretrained/choice.json`) foretells the gain over bicubic interpolation of each family from what the file says of its
compression and what `estimates.py` measures. `tools/fit_choice.py` trained it on training pictures, made small in all the ways of
`degradation.py`, to lose least by its choices. `benchmarks/auto_regret.py` measures what a choice loses against the best one. Where
two families do the same, the first is taken.
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
        expected: family → gain over bicubic interpolation in dB.
        compression: what the file said.
        noise: of the luma, standard deviation in 8-bit levels, fine texture counted in.
    """

    model: str
    expected: Mapping[str, float]
    compression: Compression | None
    noise: float

    @property
    def reason(self) -> str:
        """In words: `JPEG quality about 75, noise or fine texture 1.2; expected over bicubic: fsrcnn +0.3 dB, …`."""
        quality = self.compression.quality if self.compression else None
        file = "" if self.compression is None else f"{self.compression.format}, "
        if quality is not None:
            file = f"JPEG quality about {quality}, "
        rounded = {name: round(gain, 1) + 0 for name, gain in self.expected.items()}  # + 0: -0.0 becomes 0.0
        gains = ", ".join(f"{name} {gain:+.1f} dB" for name, gain in rounded.items())
        return f"{file}noise or fine texture {self.noise:.1f}; expected over bicubic: {gains}"

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
    estimates, network = estimates_of(pixels), _networks()[scale]
    gains = dict(zip(network.families, network.gains(features(estimates, compression)), strict=True))
    return Choice(
        max(gains, key=lambda name: gains[name]),
        {name: round(gain, 2) for name, gain in gains.items()},
        compression,
        round(estimates.noise, 2),
    )


def features(estimates: Estimates, compression: Compression | None) -> list[float]:
    """What the network sees."""
    quality = compression.quality if compression else None
    return [
        float(np.log2(estimates.noise + 0.3)),
        estimates.blocks,
        estimates.steepness,
        *estimates.correlations,
        *estimates.spectrum,
        *estimates.edges,
        0.0 if quality is None else coarseness(quality),
        float(compression is not None and quality is None),
    ]


def coarseness(quality: int) -> float:
    """Of a JPEG quality, by how much libjpeg multiplies its steps: 0 at 100, 0.9 at 95, 3.3 at 50."""
    return float(np.log2(1 + 9 * (50 / quality if quality < 50 else 2 - quality / 50)))


@dataclass(frozen=True)
class Network:
    """Foretells gains from features: standardised, then layers with ReLU between them; the mean of some that were trained alike.

    Attributes:
        families: among which is chosen, in the order of what the last layer gives.
        mean, deviation: of each feature.
        layers: (members, inputs, outputs) weights and (members, 1, outputs) biases of each.
    """

    families: tuple[str, ...]
    mean: Array
    deviation: Array
    layers: tuple[tuple[Array, Array], ...]

    def gains(self, features: Sequence[float]) -> list[float]:
        """Of each family over bicubic interpolation, in dB."""
        values = standardised(np.array(features), self.mean, self.deviation)[None]
        for number, (weights, biases) in enumerate(self.layers):
            values = (values if number == 0 else values.clip(0)) @ weights + biases
        return [float(value) for value in values.mean(axis=(0, 1))]


def standardised(features: Array, mean: Array, deviation: Array) -> Array:
    """Clipped to 3 deviations: a network says nothing far from what it learned from."""
    return ((features - mean) / deviation).clip(-3, 3)


def families() -> tuple[str, ...]:
    """Among which is chosen."""
    return _networks()[2].families


def network_of(table: Mapping[str, Any]) -> Network:
    """From what `choice.json` holds of a scale."""
    layers = tuple((np.array(weights), np.array(biases)) for weights, biases in table["layers"])
    return Network(tuple(table["families"]), np.array(table["mean"]), np.array(table["deviation"]), layers)


@cache
def _networks() -> dict[int, Network]:
    return {int(scale): network_of(table) for scale, table in json.loads(TABLE.read_text("utf-8")).items()}
