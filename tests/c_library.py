"""The C library, built and installed for tests, and called by ctypes as a stranger would call it from C."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fsrcnn.arrays import Array
from fsrcnn.planes import Planes
from support import ROOT

BUILD = ROOT / "build" / "c-tests"  # kept, so that a second run compiles nothing
CMAKE = shutil.which("cmake", path=os.pathsep.join((os.environ.get("PATH", ""), str(Path(sys.executable).parent))))
LAYOUTS = ("grey", "grey+alpha", "rgb", "rgba", "yuv444", "yuv422", "yuv420")
RANGES = ("full", "limited", "free")
MATRICES = ("bt601", "bt709", "bt2020")
SITINGS = ("left", "center", "topleft")
EXACT, FAST = 0, 1


class Error(ctypes.Structure):
    _fields_ = (("status", ctypes.c_int32), ("text", ctypes.c_char * 508))


class Plane(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), ("row_stride", ctypes.c_int64), ("column_stride", ctypes.c_int64))


class Format(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_int32) for name in ("layout", "depth", "range", "matrix", "siting"))


class Image(ctypes.Structure):
    _fields_ = (("format", Format), ("width", ctypes.c_int64), ("height", ctypes.c_int64), ("plane", Plane * 4))
    arrays: tuple[Array, ...] = ()  # what the planes point to, for as long as this lives


class Facts(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int32) for name in ("scale", "d", "s", "m", "feature_kernel", "deconvolution_kernel", "crop", "halo")),
        ("precision", ctypes.c_int32), ("name", ctypes.c_char_p), ("description", ctypes.c_char_p),
    )  # fmt: skip


Watch = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Control(ctypes.Structure):
    _fields_ = (("done", ctypes.c_int64), ("cancel", ctypes.c_int32), ("watch", Watch), ("context", ctypes.c_void_p))


class CError(Exception):
    """What an `fsrcnn_error` says."""

    def __init__(self, error: Error) -> None:
        super().__init__(error.text.decode())
        self.status = error.status


class CLibrary:
    """libfsrcnn, by its header."""

    def __init__(self, path: Path) -> None:
        self.raw = ctypes.CDLL(str(path))
        for name, result, arguments in (
            ("open", ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_int32, ctypes.c_char_p, ctypes.POINTER(Error))),
            ("open_bytes", ctypes.c_void_p, (
                ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int32, ctypes.c_char_p, ctypes.POINTER(Error),
            )),
            ("describe_model", Facts, (ctypes.c_void_p,)),
            ("close", None, (ctypes.c_void_p,)),
            ("planes", ctypes.c_int32, (Format,)),
            ("plane_width", ctypes.c_int64, (Format, ctypes.c_int64, ctypes.c_int32)),
            ("plane_height", ctypes.c_int64, (Format, ctypes.c_int64, ctypes.c_int32)),
            ("bytes", ctypes.c_size_t, (Format, ctypes.c_int64, ctypes.c_int64)),
            ("packed", Image, (Format, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)),
            ("planar", Image, (Format, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)),
            ("upscale", ctypes.c_int32, (
                ctypes.c_void_p, ctypes.POINTER(Image), ctypes.POINTER(Image), ctypes.c_int32, ctypes.POINTER(Control),
                ctypes.POINTER(Error),
            )),
            ("explain", ctypes.c_char_p, (ctypes.c_int32,)),
            ("instruction_sets", ctypes.c_char_p, ()),
        ):  # fmt: skip
            function = getattr(self.raw, f"fsrcnn_{name}")
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)

    def model(self, source: Path | bytes, precision: int = EXACT, instruction_set: bytes | None = None) -> Model:
        """Open a file or bytes.

        Raises:
            CError: it cannot be opened.
        """
        error = Error()
        if isinstance(source, bytes):
            handle = self.raw.fsrcnn_open_bytes(source, len(source), precision, instruction_set, error)
        else:
            handle = self.raw.fsrcnn_open(os.fsencode(source), precision, instruction_set, error)
        assert (handle is None) == (error.status != 0) == (error.text != b"")
        if handle is None:
            raise CError(error)
        return Model(self, handle)


class Model:
    """An `fsrcnn_model`."""

    def __init__(self, library: CLibrary, handle: int) -> None:
        self.library, self.handle = library, handle

    def __del__(self) -> None:
        self.library.raw.fsrcnn_close(self.handle)

    @property
    def facts(self) -> Facts:
        facts: Facts = self.library.raw.fsrcnn_describe_model(self.handle)
        return facts

    def upscale(self, lr: Image, sr: Image, threads: int = 2, control: Control | None = None) -> None:
        """Fill `sr`.

        Raises:
            CError: what the library refuses.
        """
        error = Error()
        status = self.library.raw.fsrcnn_upscale(self.handle, lr, sr, threads, control, error)
        assert status == error.status
        assert (status == 0) == (error.text == b"")
        if status:
            raise CError(error)


def image_of(planes: Planes, free: bool = False) -> Image:
    """Planes of Python as an image of C; `free` takes floats for such of the range that is never clipped."""
    colour = planes.colour
    image = Image(
        Format(
            LAYOUTS.index(planes.layout.name), colour.depth, 2 if free else RANGES.index(colour.range),
            MATRICES.index(colour.matrix), SITINGS.index(colour.siting),
        ),
        planes.size[1], planes.size[0],
    )  # fmt: skip
    for number, array in enumerate(planes.arrays):
        image.plane[number] = Plane(array.ctypes.data, *array.strides)
    image.arrays = planes.arrays
    return image


@pytest.fixture(scope="session")
def c_prefix(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`shared` or `static` → the prefix that the library was installed in."""
    import fcntl

    if CMAKE is None or shutil.which("c++") is None:
        pytest.skip("CMake or a C++ compiler is not installed: apt-get install cmake g++")
    root = tmp_path_factory.mktemp("c")
    prefixes: dict[str, Path] = {}

    def installed(kind: str) -> Path:
        if kind not in prefixes:
            BUILD.mkdir(parents=True, exist_ok=True)
            with BUILD.with_suffix(".lock").open("w") as lock:  # other processes of this run build it, too
                fcntl.flock(lock, fcntl.LOCK_EX)
                switch = f"-DBUILD_SHARED_LIBS={'ON' if kind == 'shared' else 'OFF'}"
                for step in (
                    ["-S", str(ROOT / "native"), "-B", str(BUILD), switch, "-DCMAKE_COMPILE_WARNING_AS_ERROR=ON"],
                    ["--build", str(BUILD), "--parallel"],
                    ["--install", str(BUILD), "--prefix", str(root / kind)],
                ):
                    done = subprocess.run([CMAKE, *step], capture_output=True, text=True, check=False)
                    assert done.returncode == 0, done.stdout + done.stderr
            prefixes[kind] = root / kind
        return prefixes[kind]

    return installed


@pytest.fixture(scope="session")
def c_library(c_prefix: Callable[[str], Path]) -> CLibrary:
    """The shared library, loaded."""
    return CLibrary(c_prefix("shared") / "lib" / "libfsrcnn.so")
