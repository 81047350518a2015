"""FSRCNN: pictures made larger, sharply and fast, by a network of 12,464 weights.

from fsrcnn import Upscaler
upscaler = Upscaler("fsrcnn", scale=2)
large = upscaler(array)         # or a PIL image
upscaler("photo.jpg")           # writes photo_x2.jpg
large = upscaler(data)          # the bytes of a file → those of a larger picture
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fsrcnn.architecture import Architecture, family
    from fsrcnn.errors import Cancelled, FsrcnnError, ImageError, MissingExtraError, UsageError, WeightsError
    from fsrcnn.integer import IntegerModel
    from fsrcnn.parallel import Control
    from fsrcnn.planes import Colour, Planes
    from fsrcnn.size import Size
    from fsrcnn.upscaler import Upscaler
    from fsrcnn.weights import Weights

    __version__: str

__all__ = [
    "Architecture",
    "Cancelled",
    "Colour",
    "Control",
    "FsrcnnError",
    "ImageError",
    "IntegerModel",
    "MissingExtraError",
    "Planes",
    "Size",
    "Upscaler",
    "UsageError",
    "Weights",
    "WeightsError",
    "family",
]

_HOMES = {
    "architecture": ("Architecture", "family"),
    "errors": ("Cancelled", "FsrcnnError", "ImageError", "MissingExtraError", "UsageError", "WeightsError"),
    "integer": ("IntegerModel",),
    "parallel": ("Control",),
    "planes": ("Colour", "Planes"),
    "size": ("Size",),
    "upscaler": ("Upscaler",),
    "weights": ("Weights",),
}


def __getattr__(name: str) -> Any:
    """The public names, imported when first asked for: a command loads what it uses, after it has settled NumPy's threads."""
    if name == "__version__":
        from importlib.metadata import version

        return version("fsrcnn")
    for module, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"fsrcnn.{module}"), name)
            return value
    if not name.startswith("_") and find_spec(f"fsrcnn.{name}"):  # `import fsrcnn; fsrcnn.errors`
        return import_module(f"fsrcnn.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
