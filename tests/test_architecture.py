"""Counts against the paper, geometry against what the network really does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsrcnn.architecture import Architecture, family
from fsrcnn.engines.numpy import NumpyEngine
from fsrcnn.errors import UsageError
from support import random_weights


@pytest.mark.parametrize(
    ("name", "scale", "count"),
    [("fsrcnn", 2, 12464), ("fsrcnn", 3, 12464), ("fsrcnn", 4, 12464), ("fsrcnn-s", 3, 3937), ("fsrcnn-x", 2, 3558)],
)
def test_the_papers_counts(name: str, scale: int, count: int) -> None:
    architecture = family(name, scale)
    assert architecture.weight_count == architecture.multiply_adds == count
    assert count == sum(np.prod(s) for n, s in architecture.array_shapes.items() if n.endswith(".weight"))


architectures = st.builds(
    Architecture,
    d=st.integers(1, 6), s=st.integers(1, 4), m=st.integers(0, 3), feature_kernel=st.sampled_from([1, 3, 5, 7]),
    deconvolution_kernel=st.sampled_from([5, 7, 9, 11]), scale=st.sampled_from([2, 3, 4]), crop=st.sampled_from([-1, 0, 1]),
)  # fmt: skip


@settings(max_examples=40)
@given(architectures)
def test_halo_and_receptive_field_are_what_the_network_reaches(architecture: Architecture) -> None:
    """Move one LR pixel in the middle, and see which HR pixels change: each lies within the halo, and the field is exact."""
    weights = random_weights(architecture)
    for name in weights.arrays:  # positive everywhere, so nothing cancels
        weights.arrays[name][...] = np.abs(weights.arrays[name]) + 0.1
    engine, scale = NumpyEngine(weights), architecture.scale
    side = 2 * architecture.halo + 3
    middle = side // 2
    black = np.ones((side, side), np.float32)
    lit = black.copy()
    lit[middle, middle] += 1
    rows = np.flatnonzero((engine.run(lit) != engine.run(black)).any(axis=1))
    reaches = np.abs(rows // scale - middle)
    assert reaches.max() == architecture.halo
    # The HR row that depends on the most LR rows: by translation, count the changed rows of each phase.
    assert max(np.bincount(rows % scale)) == architecture.receptive_field


def test_default_crop_centres_the_kernel() -> None:
    assert [family("fsrcnn", scale).crop for scale in (2, 3, 4)] == [3, 3, 2]
    assert Architecture(scale=2, crop=4).crop == 4  # a common port's, at every scale


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"scale": 5}, "scale is 2, 3 or 4"), ({"d": 0}, "d and s are at least 1"), ({"m": -1}, "m at least 0"),
        ({"feature_kernel": 4}, "odd"), ({"deconvolution_kernel": 3, "scale": 4}, "gaps"), ({"crop": 7, "scale": 3}, "crop is 0 to"),
        ({"d": 10**9}, "at most"), ({"d": 5.0}, "whole number"), ({"m": True}, "whole number"),
    ],
)  # fmt: skip
def test_illegal_ones(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Architecture(**fields)
    with pytest.raises(UsageError, match="there is no 'fsrcnn-y'"):
        family("fsrcnn-y", 2)
