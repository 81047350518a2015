"""Where a run takes place and what it reads: processes, device, precision, folders and HDF5 files."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist

from fsrcnn import formats
from fsrcnn.errors import UsageError
from fsrcnn.training import hdf5
from fsrcnn.training.pairs import PAPER_FACTORS
from fsrcnn.training.patches import Folder, Pairs, Patches, Source, SubImageBatches, load_pairs
from fsrcnn.training.recipe import Precision, Recipe

HDF5_ENDINGS = (".h5", ".hdf5")
HELD_OUT = 20  # of this many pictures one is kept for validation, where no validation set is given


class Place(NamedTuple):
    """This process among those that `torchrun` started (rank 0 of 1 otherwise), and its device."""

    rank: int
    device: str


def join(device: str | None, threads: int) -> Place:
    """Choose a device and join the other processes, where `torchrun` has started several.

    Args:
        device: `cpu`, `cuda`, `cuda:1` or `mps`; None: the first of cuda, mps, cpu that is there.
        threads: CPU threads of this process.

    Raises:
        UsageError: the device is not there.
    """
    torch.set_num_threads(threads)
    available = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available()), "cpu": 1}
    place = device or next(name for name, there in available.items() if there)
    kind, _, number = place.partition(":")
    index = int(number) if number.isdigit() else 0 if not number else 10**9
    if index >= available.get(kind, 0):
        raise UsageError(f"PyTorch sees no {place} device here; use --device cpu")
    torch.backends.cudnn.deterministic = True  # the same seed gives the same bytes on a GPU, too
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return Place(0, place)
    if place == "cuda":
        place = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(place)
    dist.init_process_group("nccl" if kind == "cuda" else "gloo")
    return Place(dist.get_rank(), place)


def leave() -> None:
    """The end of `join`."""
    if dist.is_initialized():
        dist.destroy_process_group()


def precision_of(device: str) -> Precision:
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


class Data(NamedTuple):
    """What a run reads, and what its `config.json` says of it."""

    source: Source
    validation: Pairs
    described: dict[str, Any]


def open_data(
    given: Sequence[Path],
    chosen: Path | None,
    recipe: Recipe,
    *,
    augment: bool = False,
    warn: Callable[[str], None] = lambda sentence: None,
    note: Callable[[str], None] = lambda sentence: None,
) -> Data:
    """Read training and validation data.

    Args:
        given: folders of pictures (`FOLDER:1,0.6` with factors), or HDF5 files of sub-images.
        chosen: folder of pictures or HDF5 file of whole ones, for validation; None keeps every 20th picture of the folders for it.
        recipe: scale, batch, patch, seed and contrast are used.
        augment: folders without factors of their own are also used shrunk to 0.9, 0.8, 0.7, 0.6.
        warn: called with a sentence for each picture that cannot be read.
        note: called with a sentence about pictures kept for validation.

    Raises:
        UsageError: nothing given, folders and files mixed, another scale, no validation data.
        ImageError: no usable picture, or an HDF5 file that cannot be read.
    """
    if not given:
        raise UsageError("give folders of pictures or HDF5 files, as: fsrcnn train T91/ --scale 3 --validation Set5/")
    scale = recipe.architecture.scale
    files = [path for path in given if path.suffix.lower() in HDF5_ENDINGS]
    if files and len(files) < len(given):
        raise UsageError("give either folders or HDF5 files, not both")
    if files and augment:
        raise UsageError("--augment is for folders; augment HDF5 files with fsrcnn prepare --augment")
    if files and chosen is None:
        raise UsageError("give --validation: a folder of pictures, or a file of fsrcnn prepare --eval")

    folders = [] if files else [_folder(path, PAPER_FACTORS if augment else (1.0,)) for path in given]
    held_out: list[Path] = []
    if chosen is None:
        every = [path for folder in folders for path in formats.find(folder.path)]
        if len(every) < 2:
            raise UsageError("one picture cannot both train and validate; give --validation")
        held_out = every[HELD_OUT // 2 :: HELD_OUT] or every[-1:]
        note(f"{len(held_out)} of {len(every)} pictures are kept for validation")
    source: Source
    if files:
        stored = [hdf5.read_sub_images(path, scale) for path in files]
        source = SubImageBatches(stored, scale, recipe.batch, recipe.seed, recipe.contrast)
    else:
        pairs = load_pairs(folders, scale, recipe.patch, warn, leave_out=frozenset(held_out))
        source = Patches(pairs, scale, recipe.patch, recipe.batch, recipe.seed, recipe.contrast)
    if chosen is not None and chosen.suffix.lower() in HDF5_ENDINGS:
        pictures = Pairs.of(hdf5.read_pictures(chosen, scale))
    else:
        pictures = load_pairs([Folder(path) for path in ([chosen] if chosen else held_out)], scale, 3, warn)
    described = {
        "sources": [str(path) for path in files] or {str(folder.path): list(folder.factors) for folder in folders},
        "validation": str(chosen) if chosen else [str(path) for path in held_out],
    }
    return Data(source, pictures, described)


def _folder(path: Path, default: tuple[float, ...]) -> Folder:
    """`FOLDER:1,0.6` → Folder(FOLDER, (1.0, 0.6))."""
    match = re.fullmatch(r"(.+):([\d.]+(?:,[\d.]+)*)", str(path))
    if match is None or path.exists():
        return Folder(path, default)
    try:
        factors = tuple(map(float, match[2].split(",")))
    except ValueError:
        raise UsageError(f"{match[2]} in {path} is not a list of factors, as 1,0.9,0.8") from None
    if any(not 0 < factor <= 1 for factor in factors):
        raise UsageError(f"factors are above 0 and at most 1, not {match[2]}")
    return Folder(Path(match[1]), factors)
