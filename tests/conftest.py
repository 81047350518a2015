"""Fixtures: the data beside the repository (skipped with its reason where it is missing), and small networks."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from fsrcnn.architecture import Architecture
from fsrcnn.weights import Weights

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("FSRCNN_SHARED", ROOT.parent / "shared"))

hypothesis.settings.register_profile("fsrcnn", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("fsrcnn")


def heed_interrupts() -> None:
    """`preexec_fn` of a program that a test interrupts: one started in the background of a shell has inherited to ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _there(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not here; set FSRCNN_SHARED to the folder that holds datasets/ and references/")
    return path


@pytest.fixture(scope="session")
def datasets() -> Path:
    return _there("datasets")


@pytest.fixture(scope="session")
def references() -> Path:
    return _there("references")


def random_weights(architecture: Architecture, seed: int = 0) -> Weights:
    """Weights of a plausible size, so that features neither vanish nor explode; slopes from -0.5 to 1.5."""
    generator = np.random.default_rng(seed)
    arrays = {}
    for name, shape in architecture.array_shapes.items():
        if name.endswith(".prelu"):
            array = generator.uniform(-0.5, 1.5, shape)
        elif name.endswith(".bias"):
            array = generator.normal(0, 0.05, shape)
        else:
            inputs = shape[0] * 9 if name.startswith("deconvolution") else int(np.prod(shape[1:]))
            array = generator.normal(0, 1 / np.sqrt(inputs), shape)
        arrays[name] = array.astype(np.float32)
    return Weights(architecture, arrays)
