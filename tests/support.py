"""What several test files use: networks, pictures, and the command as typed."""

from __future__ import annotations

import io
import os
import signal
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from fsrcnn import quarantine
from fsrcnn.architecture import Architecture
from fsrcnn.arrays import Array
from fsrcnn.planes import FLOAT, Colour, Layout, Planes
from fsrcnn.weights import Weights

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("FSRCNN_SHARED", ROOT.parent / "shared"))
ENVIRONMENT = {**os.environ, "COLUMNS": "200"}


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


def noise(height: int, width: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """(h, w) luma in [0, 1) without any structure."""
    return np.random.default_rng(seed).random((height, width), np.float32)


def blank(layout: Layout, colour: Colour, size: tuple[int, int]) -> Planes:
    """Planes that nothing has been written to: each sample is 77."""
    parts = [layout.window(component, (0, size[0], 0, size[1])) for component in range(layout.components)]
    return Planes(tuple(np.full((bottom, right), 77, colour.dtype) for _, bottom, _, right in parts), layout, colour)


def random_planes(layout: Layout, colour: Colour, size: tuple[int, int], hidden: float = 0, seed: int = 0) -> Planes:
    """Noise that uses the whole range of its samples; `hidden` is the part of the pixels under alpha 0."""
    generator = np.random.default_rng(seed)
    planes = blank(layout, colour, size)
    for array in planes.arrays:
        array[...] = (
            generator.random(array.shape) if colour.depth == FLOAT else
            generator.integers(0, int(colour.largest), array.shape, endpoint=True)
        )  # fmt: skip
    if planes.alpha is not None:
        planes.alpha[generator.random(size) < hidden] = 0
    return planes


def strided(array: Array, kind: str) -> Array:
    """The same numbers in an array of its own, laid out in an awkward way."""
    if kind == "backwards":
        return np.ascontiguousarray(array[::-1, ::-1])[::-1, ::-1]
    if kind == "by columns":
        return np.array(array, order="F")
    if kind == "gaps":
        gaps = np.zeros((array.shape[0] * 2, array.shape[1] * 3, *array.shape[2:]), array.dtype)[::2, ::3]
        gaps[...] = array
        return gaps
    if kind == "odd address":
        odd = np.frombuffer(bytearray(array.nbytes + 1), np.uint8)[1:].view(array.dtype).reshape(array.shape)
        odd[...] = array
        return odd
    return array.copy()


STRIDES = ("plain", "backwards", "by columns", "gaps", "odd address")


def run_command(
    *arguments: str | Path, cwd: Path | None = None, stdin: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """`fsrcnn ARGUMENTS` in a process of its own; exit code, standard output and standard error."""
    command = [sys.executable, "-m", "fsrcnn", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, cwd=cwd, input=stdin, env={**ENVIRONMENT, **environment}, check=False
    )


def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `quarantine.call` call in the test's own process, without a limit of memory."""
    monkeypatch.setattr(quarantine, "_limit_memory", lambda: None)
    monkeypatch.setattr(quarantine, "_process", lambda *call: (*quarantine.outcome(*call), ""))


def heed_interrupts() -> None:
    """`preexec_fn` of a program that a test interrupts: one started in the background of a shell has inherited to ignore it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # as `nohup` does of SIGHUP
        signal.signal(number, signal.SIG_DFL)


def files_below(folder: Path) -> list[str]:
    """The relative paths of all files in a tree of folders, sorted."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG, with its length and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_tags(tiff: bytes, change: Callable[[list[bytes]], list[bytes]]) -> bytes:
    """A little-endian TIFF of one page with other entries, of 12 bytes each, in its directory, which moves to the end."""
    (start,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, start)
    tags = change([tiff[at : at + 12] for at in range(start + 2, start + 2 + 12 * count, 12)])
    whole = tiff + bytes(len(tiff) % 2)
    return (
        whole[:4] + struct.pack("<I", len(whole)) + whole[8:] + struct.pack("<H", len(tags)) + b"".join(tags) + bytes(4)
    )


def saved(pages: Sequence[npt.NDArray[Any]], format: str, mode: str | None = None, **options: Any) -> bytes:
    """The file that Pillow makes of a picture, or of several frames or pages."""
    first, *others = (
        Image.fromarray(page) if mode is None else Image.frombytes(mode, page.shape[1::-1], page.tobytes())
        for page in pages
    )
    buffer = io.BytesIO()
    first.save(buffer, format, **({"save_all": True, "append_images": others} if others else {}), **options)
    return buffer.getvalue()


def png_bomb(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that would decode to width × height."""

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(b""))
        + png_chunk(b"IEND", b"")
    )
