"""Colours under full transparency, repainted before anything is enlarged.

What lies under alpha 0 is often black or white rubbish, and the network and the bicubic kernel would pull it into the visible edge
as a halo.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from fsrcnn.arrays import Float32

FILL_RADII = (1, 2, 4, 8)
FILL_REACH = sum(FILL_RADII)  # 15 pixels, about the reach of the largest network of the family


def fill_hidden(colours: Sequence[Float32], alpha: Float32) -> list[Float32]:
    """Colour planes with fully transparent pixels repainted by the mean of the visible ones nearby.

    Each pass fills what has a known pixel within its radius; the rest keeps its colour. A pixel depends on those at most
    `FILL_REACH` away, and sums are taken in one fixed order, so a window with that margin has the very bits of the whole.

    Args:
        colours: planes (h, w). alpha: (h, w), 0 where a colour is hidden.
    """
    known = alpha > 0
    filled = list(colours)
    if known.all() or not known.any():
        return filled
    for radius in FILL_RADII:
        weight = box_sum(known.astype(np.float32), radius)
        found = ~known & (weight > 0)
        filled = [np.where(found, box_sum(plane * known, radius) / np.maximum(weight, 1), plane) for plane in filled]
        known = known | found
    return filled


def box_sum(plane: Float32, radius: int) -> Float32:
    """Sums over squares of side 2·radius + 1, zeros outside: down the columns first, then along the rows, each in order."""
    padded = np.pad(plane, radius)
    rows = sum(padded[i : i + plane.shape[0]] for i in range(2 * radius + 1))
    return cast(Float32, sum(cast(Float32, rows)[:, i : i + plane.shape[1]] for i in range(2 * radius + 1)))
