"""A process of its own: results and refusals come back, and a crash, a hang and a flood of memory are sentences."""

from __future__ import annotations

import ctypes
import sys
import time
from pathlib import Path

import pytest

from fsrcnn import foreign, quarantine
from fsrcnn.architecture import family
from fsrcnn.errors import FsrcnnError, UsageError, WeightsError
from support import random_weights


def echo(data: bytes, number: int) -> bytes:
    print("what a library prints is no result")
    return data * number


def refuse(data: bytes) -> bytes:
    raise UsageError("is wrong", "give {scale=2}", "size") from ValueError("deep down")


def crash(data: bytes) -> bytes:
    ctypes.string_at(0)
    return b""


def hang(data: bytes) -> bytes:
    time.sleep(60)
    return b""


def flood(data: bytes) -> bytes:
    return bytes(quarantine.EXTRA_MEMORY + 2**20)


def stumble(data: bytes) -> bytes:
    raise KeyError("what nobody expected")


def test_results_and_refusals_come_back() -> None:
    assert quarantine.call(f"{__name__}:echo", 3, data=b"\0\n\xff") == b"\0\n\xff" * 3
    with pytest.raises(UsageError, match=r"^size is wrong; give scale=2$") as caught:
        quarantine.call(f"{__name__}:refuse")
    assert str(caught.value.__cause__) == "ValueError: deep down"


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        ("crash", "it is damaged or hostile: reading it crashes the library for its format"),
        ("stumble", "it is damaged or hostile: reading it crashes the library for its format"),
        ("hang", "it is damaged or hostile: reading it takes more than 1 seconds"),
        ("flood", "it is damaged or hostile: reading it takes more than 2 GiB of memory"),
    ],
)
def test_what_goes_wrong_is_a_sentence(function: str, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if function == "flood" and sys.platform != "linux":
        pytest.skip("memory is limited on Linux")
    if function == "hang":
        monkeypatch.setattr(quarantine, "SECONDS", 1)
    with pytest.raises(WeightsError) as caught:
        quarantine.call(f"{__name__}:{function}", error=WeightsError)
    assert str(caught.value) == sentence
    assert type(caught.value) is not FsrcnnError


def test_a_package_beside_the_file_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A download folder may hold a file and, beside it, a torch.py."""
    pytest.importorskip("torch", reason="PyTorch is not installed; type: pip install 'fsrcnn[torch]'")
    foreign.write(random_weights(family("fsrcnn-s", 2)), tmp_path / "w_x2.pth")
    for name in ("torch.py", "numpy.py", "json.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'run')!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")  # as `python -m` and a prompt have it
    assert foreign.read(Path("w_x2.pth")).architecture == family("fsrcnn-s", 2)
    assert not (tmp_path / "run").exists()
