"""A short run of `make fuzz` over weights files: each mutant is read, or refused by a sentence of ours."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support import ROOT


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited, and processes are copied, on Linux")
def test_mutants_of_weights_are_read_or_refused() -> None:
    for package in ("torch", "h5py", "scipy", "tensorboard"):
        pytest.importorskip(package, reason=f"{package} is not installed; type: pip install 'fsrcnn[train,convert]'")
    command = [sys.executable, str(ROOT / "tools" / "fuzz.py"), "weights", "--count", "150", "--seed", "7"]
    result = subprocess.run(command, capture_output=True, check=False, timeout=300)
    assert result.returncode == 0, result.stdout.decode() + result.stderr.decode()
    assert b"weights, seed 7: 150 mutants" in result.stdout
