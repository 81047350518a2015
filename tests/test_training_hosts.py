"""Training on two hosts, which share nothing but the network: killed, resumed, and told apart where they differ."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("tensorboard", reason="TensorBoard is not installed; type: pip install 'fsrcnn[train]'")
torch = pytest.importorskip("torch", reason="PyTorch is not installed; type: pip install 'fsrcnn[train]'")

from fsrcnn import weights  # noqa: E402
from fsrcnn.architecture import Architecture  # noqa: E402
from fsrcnn.errors import FsrcnnError  # noqa: E402
from fsrcnn.training import hosts  # noqa: E402
from fsrcnn.training.contents import Contents  # noqa: E402
from fsrcnn.training.place import Processes, together  # noqa: E402
from fsrcnn.training.recipe import Recipe  # noqa: E402
from support import ENVIRONMENT, files_below, random_weights, run_command  # noqa: E402

NETWORK = ("--model", "6,3,1", "--feature-kernel", "3", "--deconvolution-kernel", "5", "--scale", "2", "--patch", "8")
TRAIN = ("train", "pictures", *NETWORK, "--batch-size", "4", "--validate-every", "20", "--number-format", "fp32",
         "--no-compile", "--threads", "1", "--device", "cpu", "-o", "run")  # fmt: skip
STEPS = "400"
COPIED = ["best.safetensors", "checkpoint.pt", "config.json", "last.safetensors", "log.csv"]
ENDED = "another process of this run has ended or is out of reach, so training stops; the same command with --resume"


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """The working folders of two hosts, with the same pictures."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:60, :70]
    waves = [127 + 90 * np.sin(a * x + b * y) for a, b in generator.uniform(0.05, 0.9, (6, 2))]
    for host in ("a", "b"):
        for name in ("home", "temporary", "pictures"):
            (tmp_path / host / name).mkdir(parents=True)
        for number, wave in enumerate(waves):
            Image.fromarray(wave.astype(np.uint8)).save(tmp_path / host / "pictures" / f"{number}.png")
    return tmp_path / "a", tmp_path / "b"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


PYTHON = (sys.executable, "-m")
TORCHRUN = (*PYTHON, "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1")


def static(host: int, port: int) -> tuple[list[str], dict[str, str]]:
    """A command before `fsrcnn`, and its environment: the host's number is given."""
    return [*TORCHRUN, "--node-rank", str(host), "--master-addr", "127.0.0.1", "--master-port", str(port), "-m"], {}


def elastic(host: int, port: int) -> tuple[list[str], dict[str, str]]:
    """Nobody says which host is number 0."""
    return [*TORCHRUN, "--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port}", "--rdzv-id", "test", "-m"], {}


def bare(host: int, port: int) -> tuple[list[str], dict[str, str]]:
    """What torchrun starts, without it: half as many processes that import PyTorch."""
    place = {"RANK": str(host), "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1"}
    return [*PYTHON], {**place, "MASTER_PORT": str(port)}


@contextmanager
def launched(two: tuple[Path, Path], *words: str, how: Any = static) -> Iterator[list[subprocess.Popen[bytes]]]:
    """`fsrcnn train … WORDS` on each host, as `how` starts it; what they say is in the file `said` there."""
    port = free_port()
    launchers = []
    try:
        for number, folder in enumerate(two):
            start, place = how(number, port)
            command = [*start, "fsrcnn", *TRAIN, *words]
            environment = {**ENVIRONMENT, **place, "HOME": str(folder / "home"), "TMPDIR": str(folder / "temporary")}
            with (folder / "said").open("wb") as said:
                launchers.append(
                    subprocess.Popen(
                        command, cwd=folder, env=environment, stdout=said, stderr=said, start_new_session=True
                    )
                )
        yield launchers
        for launcher in launchers:
            launcher.wait(120)
    finally:
        for launcher in launchers:
            if launcher.poll() is None:
                os.killpg(launcher.pid, signal.SIGKILL)
                launcher.wait()


def ours(folder: Path) -> list[str]:
    """What the package said on a host, without the lines of torchrun."""
    said = (folder / "said").read_text()
    assert "Traceback" not in said.partition("torch/distributed/elastic")[0]
    return [line for line in said.splitlines() if line.startswith("fsrcnn: ")]


def until(condition: Callable[[], bool], launcher: subprocess.Popen[bytes]) -> None:
    """Wait, and not for a process that has ended."""
    while not condition():
        assert launcher.poll() is None, "the run has ended too early"
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform == "win32", reason="it kills by signals")
def test_two_hosts_killed_and_resumed(two: tuple[Path, Path]) -> None:
    """A process dies, then a launcher, then the disk of number 0: the run ends in the bytes of one that nothing befell."""
    a, b = two
    with launched(two, "--steps", STEPS, how=bare) as launchers:
        pass
    assert [launcher.returncode for launcher in launchers] == [0, 0]
    assert "this is process 1 of 2; number 0 reports for all" in (b / "said").read_text()
    assert files_below(b / "run") == sorted([".lock", *COPIED])
    for name in COPIED:
        assert (a / "run" / name).read_bytes() == (b / "run" / name).read_bytes()
    whole = (a / "run").rename(a / "whole")
    (b / "run").rename(b / "whole")

    with launched(two, "--steps", STEPS, how=bare) as launchers:
        until(lambda: (b / "run" / "checkpoint.pt").exists(), launchers[1])
        launchers[1].kill()
    assert [launcher.returncode for launcher in launchers] == [1, -signal.SIGKILL]
    assert ENDED in ours(a)[-1]

    def changes() -> None:
        """Wait until the copy on host b is another one."""
        before = (b / "run" / "checkpoint.pt").stat().st_mtime_ns
        until(lambda: (b / "run" / "checkpoint.pt").stat().st_mtime_ns > before, launchers[1])

    with launched(two, "--steps", STEPS, "--resume") as launchers:
        changes()  # perhaps to what number 0 had
        changes()
        launchers[1].kill()
    assert [launcher.returncode for launcher in launchers] == [1, -signal.SIGKILL]
    assert ENDED in ours(a)[-1]
    waited = time.monotonic() + 60
    while "torchrun, which started this process, has ended, so training stops" not in ours(b)[-1]:
        assert time.monotonic() < waited, "a process lives on without its torchrun"
        time.sleep(0.1)

    (a / "run").rename(a / "lost")
    with launched(two, "--steps", STEPS, "--resume", how=elastic) as launchers:
        pass
    assert [launcher.returncode for launcher in launchers] == [0, 0]
    for name in ("best.safetensors", "last.safetensors"):
        for folder in two:
            assert (folder / "run" / name).read_bytes() == (whole / name).read_bytes(), name
    logs = [[row.split(",")[:5] for row in (run / "log.csv").read_text().splitlines()] for run in (whole, a / "run")]
    assert logs[0] == logs[1]
    assert len(logs[0]) == 1 + int(STEPS) // 20

    alone = run_command(*TRAIN[:-1], "alone", "--steps", STEPS, cwd=a)
    assert alone.returncode == 0, alone.stderr
    expected = weights.load(a / "alone" / "last.safetensors").arrays
    for name, array in weights.load(whole / "last.safetensors").arrays.items():
        np.testing.assert_allclose(array, expected[name], atol=2e-4)


def test_hosts_with_different_pictures_are_told(two: tuple[Path, Path]) -> None:
    picture = two[1] / "pictures" / "3.png"
    Image.fromarray(255 - np.asarray(Image.open(picture))).save(picture)
    with launched(two, "--steps", "10", how=bare) as launchers:
        pass
    assert [launcher.returncode for launcher in launchers] == [1, 1]
    name = socket.gethostname()
    for folder in two:
        assert (
            f"fsrcnn: process 1 on {name} has read other pictures than number 0 on {name} (training pictures: 1 with other "
            "contents (3.png)); copy the same ones to all machines" in ours(folder)
        )
        assert not (folder / "run").exists()


class Overheard(Processes):
    """Number 0 of 2, beside a number 1 that answers as it does, but for what `changes` says."""

    changes: dict[str, Any] = {}  # noqa: RUF012

    def gathered(self, value: Any) -> list[Any]:
        return [value, replace(value, host="other", **self.changes)]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"versions": {"fsrcnn": "0.0.9", "torch": torch.__version__.partition("+")[0]}}, r"fsrcnn: \S+ → 0\.0\.9"),
        ({"settings": {"device": "cuda", "resume": "False"}}, "device: cpu → cuda"),
        ({"settings": {"device": "cpu", "resume": "True"}}, "resume: False → True"),
        ({"recipe": Recipe(Architecture(6, 3, 1, 3, 5, 2), rate=0.5)}, r"rate: 0\.001 → 0\.5"),
        ({"initial": "0f"}, "the weights to start from"),
    ],
)
def test_hosts_about_to_do_different_things_are_told(changes: dict[str, Any], sentence: str) -> None:
    architecture = Architecture(6, 3, 1, 3, 5, 2)
    plan, initial = Recipe(architecture), random_weights(architecture)
    processes = Overheard(0, 2)
    hosts.check_agreement(processes, plan, Contents(), initial, "cpu", False)
    Overheard.changes = changes
    try:
        with pytest.raises(
            FsrcnnError, match=rf"process 1 on other is about to do something else .*\({sentence}\); type"
        ):
            hosts.check_agreement(processes, plan, Contents(), initial, "cpu", False)
    finally:
        Overheard.changes = {}


def test_only_what_the_network_says_is_another_processs_end() -> None:
    with pytest.raises(FsrcnnError, match="another process of this run has ended"), together():
        raise RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:19180")
    with pytest.raises(FsrcnnError, match="another process of this run has ended"), together():
        raise torch.distributed.DistNetworkError("no route")
    with pytest.raises(RuntimeError, match="a bug"), together():
        raise RuntimeError("a bug")
