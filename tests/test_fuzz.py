"""Short runs of `make fuzz`: each mutant is read, or refused by a sentence of ours."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support import ROOT

COUNTS = {"pictures": 400, "cuts": 400, "weights": 150}


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited, and processes are copied, on Linux")
@pytest.mark.parametrize("subject", COUNTS)
def test_mutants_are_read_or_refused(subject: str) -> None:
    for package in ("PIL", "torch", "h5py", "scipy", "tensorboard"):
        pytest.importorskip(package, reason=f"{package} is not installed; type: make .venv/developing")
    count = COUNTS[subject]
    command = [sys.executable, str(ROOT / "tools" / "fuzz.py"), subject, "--count", str(count), "--seed", "7"]
    result = subprocess.run(command, capture_output=True, check=False, timeout=500)
    assert result.returncode == 0, result.stdout.decode() + result.stderr.decode()
    assert f"{subject}, seed 7: {count} mutants".encode() in result.stdout
    assert all(outcome in result.stdout for outcome in (b" refused\n", b" read\n"))
