"""FSRCNN: pictures made larger, sharply and fast, by a network of 12,464 weights.

from fsrcnn import Upscaler
upscaler = Upscaler("fsrcnn", scale=2)
large = upscaler(array)         # or a PIL image
upscaler("photo.jpg")           # writes photo_x2.jpg
large = upscaler(data)          # the bytes of a file → those of a larger picture
"""

from __future__ import annotations

from fsrcnn.architecture import Architecture, family
from fsrcnn.errors import Cancelled, FsrcnnError, ImageError, MissingExtraError, UsageError, WeightsError
from fsrcnn.parallel import Control
from fsrcnn.planes import Colour, Planes
from fsrcnn.size import Size
from fsrcnn.upscaler import Upscaler
from fsrcnn.weights import Weights

__all__ = [
    "Architecture",
    "Cancelled",
    "Colour",
    "Control",
    "FsrcnnError",
    "ImageError",
    "MissingExtraError",
    "Planes",
    "Size",
    "Upscaler",
    "UsageError",
    "Weights",
    "WeightsError",
    "family",
]


def __getattr__(name: str) -> str:
    """`__version__`, looked up when asked for: `importlib.metadata` takes as long to import as a small picture to upscale."""
    if name == "__version__":
        from importlib.metadata import version

        return version("fsrcnn")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
