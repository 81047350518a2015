"""FSRCNN: pictures made larger, sharply and fast, by a network of 12,464 weights.

from fsrcnn import Upscaler
upscaler = Upscaler("fsrcnn", scale=2)
large = upscaler(array)         # or a PIL image
upscaler("photo.jpg")           # writes photo_x2.jpg
"""

from __future__ import annotations

from importlib.metadata import version

from fsrcnn.architecture import Architecture, family
from fsrcnn.errors import FsrcnnError, ImageError, MissingExtraError, UsageError, WeightsError
from fsrcnn.imresize import imresize
from fsrcnn.upscaler import Size, Upscaler
from fsrcnn.weights import Weights

__version__ = version("fsrcnn")
__all__ = [
    "Architecture",
    "FsrcnnError",
    "ImageError",
    "MissingExtraError",
    "Size",
    "Upscaler",
    "UsageError",
    "Weights",
    "WeightsError",
    "family",
    "imresize",
]
