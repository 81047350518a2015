"""LPIPS (Zhang et al. 2018, arXiv 1801.03924): how far apart two pictures look, by its authors' package `lpips`, where that is there.

Its network, AlexNet, is a file of 233 MB that PyTorch downloads once for all programs. Nothing is downloaded from here: where the file
is not there yet, a sentence says so and how it is fetched.
"""

from __future__ import annotations

import importlib.util
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

from fsrcnn.arrays import Array, Uint8
from fsrcnn.color import as_rgb
from fsrcnn.errors import FsrcnnError, UsageError

SMALLEST = 31  # pixels of a side: nothing is left of a smaller one behind AlexNet's second pooling
FETCH = """type: python -c "import lpips; lpips.LPIPS()\""""


class Lpips:
    """The distance of two pictures: 0 for equal ones, about 0.7 for unlike ones; version 0.1, AlexNet."""

    def __init__(self) -> None:
        """
        Raises:
            FsrcnnError: the package cannot be loaded (or is not installed), or AlexNet's weights are not there or damaged.
        """
        try:
            with warnings.catch_warnings(action="ignore"):  # torchvision's, of how lpips calls it
                self._package = import_module("lpips")
                backbone = _backbone()
                if backbone.exists():
                    self._network: Any = self._package.LPIPS(net="alex", verbose=False).requires_grad_(False)
        except Exception as error:  # of three packages, and of whatever their file holds
            reason = str(error).partition("\n")[0]
            raise FsrcnnError(f"LPIPS cannot be measured: {type(error).__name__}: {reason}") from error
        if not backbone.exists():
            raise FsrcnnError(f"LPIPS cannot be measured: AlexNet's weights, {backbone}, are not downloaded yet", FETCH)

    def __call__(self, original: Uint8, picture: Array) -> float | None:
        """
        Args:
            original, picture: (h, w) or (h, w, 3) uint8.

        Returns:
            None where a side is shorter than 31 pixels, which AlexNet needs.

        Raises:
            UsageError: two shapes.
        """
        if original.shape != picture.shape:
            raise UsageError(f"two pictures to compare have one shape, not {original.shape} and {picture.shape}")
        if min(original.shape[:2]) < SMALLEST:
            return None
        tensors = (self._package.im2tensor(as_rgb(each)) for each in (original, picture))
        return float(self._network(*tensors).item())


def installed() -> bool:
    """Whether the package is, which nobody has to have."""
    return importlib.util.find_spec("lpips") is not None


def _backbone() -> Path:
    """Where PyTorch keeps AlexNet's weights."""
    hub, models = import_module("torch.hub"), import_module("torchvision.models")
    url: str = models.AlexNet_Weights.IMAGENET1K_V1.url
    return Path(hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
