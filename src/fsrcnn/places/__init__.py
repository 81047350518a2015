"""Places that are no paths of this machine: objects and folders that fsspec knows, as `s3://bucket/in/photo.png`.

Keys of object stores are any text, so nothing in them is tidied up: `a//b`, `a/../b` and `a/b` are three objects.

| module | holds |
|---|---|
| `remote.py` | `Remote`: what `pathlib.Path` is to a file; `place`: what somebody typed |
| `stores.py` | the store behind a place, connected once: its package, options, connections |
| `failures.py` | what went wrong: tried again where it may pass, else a sentence |
| `listing.py` | `kind`, `kinds`, `walk`: what lies at a place and in a folder |
| `reading.py` | `read` |
| `writing.py` | `write` |
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fsrcnn.places.remote import Place, Remote, place

if TYPE_CHECKING:
    from fsrcnn.places.failures import heeding
    from fsrcnn.places.listing import kind, kinds, walk
    from fsrcnn.places.reading import TooLargeError, read
    from fsrcnn.places.writing import write

__all__ = ["Place", "Remote", "TooLargeError", "heeding", "kind", "kinds", "place", "read", "walk", "write"]

_HOMES = {
    "failures": ("heeding",),
    "listing": ("kind", "kinds", "walk"),
    "reading": ("TooLargeError", "read"),
    "writing": ("write",),
}


def __getattr__(name: str) -> Any:
    """What speaks to stores, imported when first asked for: most commands know paths alone."""
    for module, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"fsrcnn.places.{module}"), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
