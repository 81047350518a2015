"""What a run has read, in short: enough to say later whether it is the same, and what has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fsrcnn.arrays import Array

Digests = dict[str, str]
"""Name of a picture below its folder, or of an HDF5 file → `digest_of` what is read of it."""


@dataclass(frozen=True)
class Contents:
    """What a run has read. A folder or a file that has only moved has the same contents.

    Attributes:
        training, validation: one mapping for each folder or file, in their order, which decides the batches.
        factors: by which the pictures of each training folder are shrunk.
    """

    training: Sequence[Digests] = ()
    validation: Sequence[Digests] = ()
    factors: Sequence[Sequence[float]] = ()

    def differences(self, before: Contents) -> list[str]:
        """A clause for each kind of pictures that has changed: `training pictures: 2 more (d.png, e.png), 1 gone (a.png)`."""
        clauses = []
        for kind, old, new in (
            ("training", before.training, self.training), ("validation", before.validation, self.validation),
        ):  # fmt: skip
            changes = _changes(_by_place(old), _by_place(new))
            if changes:
                clauses.append(f"{kind} pictures: {', '.join(changes)}")
        factors = [" and ".join(",".join(f"{f:g}" for f in each) for each in c.factors) for c in (before, self)]
        if factors[0] != factors[1] and len(before.factors) == len(self.factors):
            clauses.append(f"factors: {factors[0]} → {factors[1]}")
        return clauses

    @property
    def in_both(self) -> list[str]:
        """Names of validation pictures that are training pictures, too."""
        trained_on = {digest for part in self.training for digest in part.values()}
        return [name for part in self.validation for name, digest in part.items() if digest in trained_on]


NOTHING = Contents()
"""Of a run that nobody compares."""


def digest_of(*arrays: Array) -> str:
    """SHA-256 over shapes and values: the same for a picture that was encoded anew without loss."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.name}{array.shape}".encode())
        digest.update(array.data if array.flags.c_contiguous else array.tobytes())
    return digest.hexdigest()


def first_few(names: Iterable[str], most: int = 3) -> str:
    """`a.png, b.png, c.png, …`"""
    listed = list(names)
    return ", ".join([*listed[:most], "…"] if len(listed) > most else listed)


def _by_place(parts: Sequence[Digests]) -> dict[tuple[int, str], str]:
    return {(place, name): digest for place, part in enumerate(parts) for name, digest in part.items()}


def _changes(old: dict[tuple[int, str], str], new: dict[tuple[int, str], str]) -> list[str]:
    found = (
        ("more", [key for key in new if key not in old]),
        ("gone", [key for key in old if key not in new]),
        ("with other contents", [key for key in new if key in old and new[key] != old[key]]),
    )
    return [f"{len(keys)} {what} ({first_few(name for _, name in keys)})" for what, keys in found if keys]
