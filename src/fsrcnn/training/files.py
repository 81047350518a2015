"""Files of a run folder, each put in place in one step."""

from __future__ import annotations

import io
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

import fsrcnn
from fsrcnn.errors import FsrcnnError
from fsrcnn.training.recipe import Recipe


def write_beside(path: Path, data: bytes) -> None:
    """Write beside the final name and rename, so that a kill or a full disk leaves the old file.

    Raises:
        FsrcnnError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise FsrcnnError(f"cannot write {path}: {error.strerror}; what was there before is untouched") from error


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """All that a run needs to go on.

    Raises:
        FsrcnnError: it cannot be written.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_beside(path, buffer.getvalue())


def config_text(recipe: Recipe, described: dict[str, Any]) -> str:
    """The resolved configuration as JSON."""
    versions = {"fsrcnn": fsrcnn.__version__, "torch": torch.__version__}
    return json.dumps({**versions, **described, "recipe": asdict(recipe)}, indent=2) + "\n"
