"""Where a run takes place: its processes, their device, and what that device is good at."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from fsrcnn.errors import FsrcnnError, UsageError
from fsrcnn.training.recipe import NumberFormat

SILENCE = timedelta(minutes=15)
"""How long a process waits for another one. One that dies is noticed at once, by its connection; this is for a machine without power
or network, and has to be longer than a validation, for which all wait."""
Value = TypeVar("Value")


@dataclass(frozen=True)
class Processes:
    """This process among those that `torchrun` started, on one machine or several; number 0 of 1 where there is one alone.

    Number 0 validates, writes and reports for all.

    Attributes:
        rank, count: number of this process, and of all.
        leads: it is the first one of its machine, which has a run folder of its own unless the machines share one.
        launcher: the process that started it.
    """

    rank: int = 0
    count: int = 1
    leads: bool = True
    launcher: int = 0

    @staticmethod
    def joined() -> Processes:
        """Those that `join` has brought together."""
        if not dist.is_initialized():
            return Processes()
        leads = os.environ.get("LOCAL_RANK", "0") == "0"
        return Processes(dist.get_rank(), dist.get_world_size(), leads, os.getppid())

    @property
    def first(self) -> bool:
        return self.rank == 0

    def in_step(self, model: nn.Module) -> nn.Module:
        """The model with gradients that are the mean over all processes."""
        return model if self.count == 1 else nn.parallel.DistributedDataParallel(model)

    def average(self, tensor: Tensor) -> None:
        """Replace a tensor by its mean over all processes."""
        if self.count > 1:
            dist.all_reduce(tensor)
            tensor /= self.count

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            dist.barrier()

    def gathered(self, value: Value) -> list[Value]:
        """What each process gives, in their order."""
        if self.count == 1:
            return [value]
        values: list[Value | None] = [None] * self.count
        dist.all_gather_object(values, value)
        return values  # type: ignore[return-value]  # all are filled now

    def sent(self, value: Value, sender: int = 0) -> Value:
        """What the process of that number gives."""
        if self.count == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=sender)
        return values[0]

    def check(self) -> None:
        """
        Raises:
            FsrcnnError: the launcher has died, so that nobody would end this process, and its run folder would stay taken.
        """
        if self.launcher and os.getppid() != self.launcher:
            raise FsrcnnError("torchrun, which started this process, has ended, so training stops", GO_ON)


GO_ON = "the same command with {resume=True}, on all machines, goes on from the last checkpoint"


@contextmanager
def together() -> Iterator[None]:
    """Work of several processes.

    Raises:
        FsrcnnError: one of the others has ended, or does not answer for `SILENCE`.
    """
    try:
        yield
    except RuntimeError as error:
        # Of its own kinds PyTorch raises some; what gloo raises is known by its words alone.
        if not isinstance(error, dist.DistError) and not any(word in str(error) for word in ("gloo", "NCCL", "c10d")):
            raise
        raise FsrcnnError(
            "another process of this run has ended or is out of reach, so training stops", GO_ON
        ) from error


def join(device: str | None, threads: int) -> tuple[Processes, str]:
    """Choose a device and join the other processes, where `torchrun` has started several.

    Args:
        device: `cpu`, `cuda`, `cuda:1` or `mps`; None: the first of cuda, mps, cpu that this machine has.
        threads: CPU threads of this process.

    Raises:
        UsageError: this machine has no such device.
        FsrcnnError: the other processes are out of reach.
    """
    torch.set_num_threads(threads)
    counts = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available()), "cpu": 1}
    name = device or next(kind for kind, count in counts.items() if count)
    kind, _, number = name.partition(":")
    if not (number.isdigit() or name == kind) or int(number or 0) >= counts.get(kind, 0):
        raise UsageError(f"PyTorch sees no {name} device here", "use {device='cpu'}")
    torch.backends.cudnn.deterministic = True  # the same seed gives the same bytes on a GPU, too
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return Processes(), name
    if name == "cuda":
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(name)
    with together():
        dist.init_process_group("cpu:gloo,cuda:nccl" if kind == "cuda" else "gloo", timeout=SILENCE)
    return Processes.joined(), name


def leave() -> None:
    """The end of `join`."""
    if dist.is_initialized():
        dist.destroy_process_group()


def number_format_of(device: str) -> NumberFormat:
    """bf16 where it is fast: a GPU that has it, or a CPU with AVX-512 BF16 or AMX; else fp32."""
    if device.startswith("cuda"):
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    if device == "cpu":
        try:
            flags = Path("/proc/cpuinfo").read_text()
        except OSError:
            return "fp32"
        return "bf16" if "avx512_bf16" in flags or "amx_bf16" in flags else "fp32"
    return "fp32"


def can_compile(device: str) -> bool:
    """Whether PyTorch can compile here: it needs a C++ compiler for a CPU, Triton for CUDA."""
    if device == "cpu":
        return any(shutil.which(name) for name in (os.environ.get("CXX"), "c++", "g++", "clang++") if name)
    return device.startswith("cuda") and importlib.util.find_spec("triton") is not None
