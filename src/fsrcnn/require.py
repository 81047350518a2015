"""Optional packages: imported where a feature needs them, and named with the exact `pip install` where they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from fsrcnn.errors import MissingExtraError

NAMES = {"av": "PyAV", "PIL": "Pillow", "pyvips": "libvips", "scipy": "SciPy", "torch": "PyTorch"}
"""What people call a package whose module has another name."""


def require(module: str, purpose: str, *, extra: str, of: str = "fsrcnn") -> Any:
    """Import a package, or say what needs it and how to get it.

    Args:
        module: as in `import`: `h5py`, `scipy.io`.
        purpose: what needs it, in the plural: `HDF5 files`.
        extra: the extra that brings it, as in `pip install 'fsrcnn[train]'`.
        of: whose extra that is.

    Returns:
        The module.

    Raises:
        MissingExtraError: it is not installed, or a library that it loads is not.
    """
    try:
        return importlib.import_module(module)
    except Exception as error:  # a package that is damaged, or of another version than it expects, raises anything
        top = module.partition(".")[0]
        absent = isinstance(error, ModuleNotFoundError) and error.name is not None and error.name.split(".")[0] == top
        raise MissingExtraError(
            f"{purpose} need {NAMES.get(top, top)}, which {'is not installed' if absent else f'cannot be loaded ({error})'}",
            f"type: pip install '{of}[{extra}]'",
        ) from error
