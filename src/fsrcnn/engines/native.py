"""The fused CPU engine: `native/` (C++) behind its C ABI, called without holding the GIL.

A whole picture is one call: planes in, planes out, threads and strips on the other side. `FSRCNN_ISA` in the environment forces an
instruction set (`avx512vnni`, `avx512`, `avx2`, `neon`, `generic`), for tests and measurements.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from fsrcnn.arrays import Array, Float32
from fsrcnn.color import INVERSES, MATRICES, OFFSET
from fsrcnn.engines import PRECISIONS, Engine
from fsrcnn.errors import Cancelled, FsrcnnError, MissingExtraError, ShortMemoryError, UsageError
from fsrcnn.parallel import Control
from fsrcnn.planes import GREY_GAIN, GREY_OFFSET, Colour, Layout, Planes
from fsrcnn.weights import Weights
from fsrcnn.windows import Taps

# As in native/fsrcnn_engine.h.
ABI = 2
OK, CANCELLED, NO_MEMORY = 0, 1, 2
DTYPES = {np.dtype(np.float32): 0, np.dtype(np.uint8): 1, np.dtype(np.uint16): 2}
STUDIO, FULL, RGB = 0, 1, 2
MOST_THREADS = 2**15  # more than any machine has


class _Network(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int32) for name in ("d", "s", "m", "feature_kernel", "deconvolution_kernel", "scale", "crop", "precision")),
        *((name, ctypes.c_void_p) for name in ("arrays", "integers", "multipliers")),
        *((name, ctypes.c_int64) for name in ("arrays_length", "integers_length", "multipliers_length")),
        ("input_levels", ctypes.c_float),
        ("feature_levels", ctypes.c_int32),
    )  # fmt: skip


class _Plane(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), ("row_stride", ctypes.c_int64), ("column_stride", ctypes.c_int64))


class _Picture(ctypes.Structure):
    _fields_ = (
        ("plane", _Plane * 4),
        ("planes", ctypes.c_int32),
        ("dtype", ctypes.c_int32),
        ("peak", ctypes.c_double),
        ("largest", ctypes.c_double),
    )


class _Taps(ctypes.Structure):
    _fields_ = (
        ("weights", ctypes.c_void_p),
        ("indices", ctypes.c_void_p),
        ("taps", ctypes.c_int32),
        ("length", ctypes.c_int64),
    )


class _Colour(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int32) for name in ("kind", "colours", "alpha", "down", "across")),
        ("full_offset", ctypes.c_float),
        ("full_gain", ctypes.c_float),
        ("to_ycbcr", ctypes.c_float * 9),
        ("to_ycbcr_offset", ctypes.c_float * 3),
        ("to_rgb", ctypes.c_float * 9),
        ("to_rgb_offset", ctypes.c_float * 3),
        ("rows", _Taps),
        ("columns", _Taps),
    )
    arrays: tuple[Array, ...] = ()  # what the taps point to, for as long as this lives


_Watch = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _Control(ctypes.Structure):
    _fields_ = (("done", ctypes.c_int64), ("cancel", ctypes.c_int32), ("watch", _Watch), ("context", ctypes.c_void_p))


@cache
def library() -> ctypes.CDLL:
    """The compiled library.

    Raises:
        MissingExtraError: it was not built, because no C++ compiler was found when the package was installed.
        FsrcnnError: it is another version's, or damaged.
    """
    spec = find_spec("fsrcnn.engines._native")
    if spec is None or spec.origin is None:
        raise MissingExtraError(
            "the native engine was not built: no working C++ compiler (GCC or Clang) was found when fsrcnn was installed",
            "install one (Debian: apt-get install g++), then type, in its folder: pip install --force-reinstall --no-deps .",
        )
    return opened(spec.origin)


def opened(path: str) -> ctypes.CDLL:
    """A file of the compiled library.

    Raises:
        FsrcnnError: as `library`.
    """
    reinstall = "type, in its folder: pip install --force-reinstall --no-deps ."
    try:
        loaded = ctypes.CDLL(path)
    except OSError as error:  # cut short, or of another processor
        raise FsrcnnError(f"the native library cannot be loaded: {error}", reinstall) from error
    abi = loaded.fsrcnn_abi() if hasattr(loaded, "fsrcnn_abi") else 1
    if abi != ABI:
        raise FsrcnnError(f"the native library is of another version (ABI {abi}, this package needs {ABI})", reinstall)
    loaded.fsrcnn_explain.restype = ctypes.c_char_p
    loaded.fsrcnn_explain.argtypes = (ctypes.c_int32,)
    loaded.fsrcnn_instruction_sets.restype = ctypes.c_char_p
    loaded.fsrcnn_create.argtypes = (
        ctypes.c_int32, ctypes.POINTER(_Network), ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p),
    )  # fmt: skip
    loaded.fsrcnn_describe.restype = ctypes.c_char_p
    loaded.fsrcnn_describe.argtypes = (ctypes.c_void_p,)
    loaded.fsrcnn_destroy.restype = None
    loaded.fsrcnn_destroy.argtypes = (ctypes.c_void_p,)
    loaded.fsrcnn_run.argtypes = (
        ctypes.c_void_p, ctypes.POINTER(_Picture), ctypes.POINTER(_Picture), ctypes.c_int64, ctypes.c_int64, ctypes.c_int32,
        ctypes.POINTER(_Colour), ctypes.POINTER(_Control),
    )  # fmt: skip
    return loaded


def available() -> bool:
    """Whether the native engine was built."""
    try:
        library()
    except MissingExtraError:
        return False
    return True


def instruction_sets() -> tuple[str, ...]:
    """What was compiled in and this processor has, best first; `generic` is always the last."""
    return tuple(library().fsrcnn_instruction_sets().decode().split())


def check_status(status: int, what: str) -> None:
    """Raise what a status of the library says, `what` being what it was asked for.

    Raises:
        Cancelled: CANCELLED.
        ShortMemoryError: NO_MEMORY.
        FsrcnnError: any other but OK; this package should not let it come to that.
    """
    if status == OK:
        return
    explained = library().fsrcnn_explain(status).decode()
    if status == CANCELLED:
        raise Cancelled("stopped before it was finished")
    if status == NO_MEMORY:
        raise ShortMemoryError(f"{explained} {what}", "give fewer {threads}")
    raise FsrcnnError(f"the native engine refuses {what}: {explained}")


class NativeEngine(Engine):
    """An FSRCNN on the CPU, strip by strip.

    `exact` sums in float32 and lies within 1e-5 of the numpy engine; `fast` computes in 16-bit whole numbers, the same bytes on every
    processor, as `fixed_point.py` defines them. Same input, same bytes at any number of threads.
    """

    name = "native"
    tile = (256, 480)

    def __init__(self, weights: Weights, precision: str = "exact", instruction_set: str | None = None) -> None:
        """
        Args:
            weights: the network.
            precision: `exact` or `fast`.
            instruction_set: one of `instruction_sets()`; what `FSRCNN_ISA` says or else the best where it is not given.

        Raises:
            MissingExtraError: the engine was not built.
            UsageError: no such precision or instruction set, or a network too wide for `fast`.
            FsrcnnError: the library is another version's.
        """
        offered = instruction_sets()
        instruction_set = instruction_set or os.environ.get("FSRCNN_ISA") or offered[0]
        if instruction_set not in offered:
            raise UsageError(
                f"there is no instruction set {instruction_set!r} here; FSRCNN_ISA is one of {', '.join(offered)}"
            )
        if precision not in PRECISIONS:
            raise UsageError(f"precision is exact or fast, not {precision!r}")
        self.architecture, self.precision = weights.architecture, precision
        network = _Network(precision=int(precision == "fast"))
        for name in ("d", "s", "m", "feature_kernel", "deconvolution_kernel", "scale", "crop"):
            setattr(network, name, getattr(weights.architecture, name))
        if precision == "exact":
            numbers = {
                "arrays": _joined([weights.arrays[name] for name in weights.architecture.array_shapes], np.float32)
            }
        else:
            integers, multipliers, levels = _fixed_point(weights)
            numbers = {"integers": integers, "multipliers": multipliers}
            network.input_levels, network.feature_levels = levels
        for name, array in numbers.items():
            setattr(network, name, array.ctypes.data)
            setattr(network, f"{name}_length", array.size)
        self._library, self._handle = library(), ctypes.c_void_p()
        status = self._library.fsrcnn_create(
            ABI, ctypes.byref(network), instruction_set.encode(), ctypes.byref(self._handle)
        )
        check_status(status, "for the native engine" if status == NO_MEMORY else "the weights")

    def __del__(self) -> None:
        handle, self._handle = getattr(self, "_handle", None), ctypes.c_void_p()
        if handle:
            self._library.fsrcnn_destroy(handle)

    def describe(self) -> str:
        """The instruction set and the kind of numbers."""
        return str(self._library.fsrcnn_describe(self._handle).decode())

    def run(self, lr: Float32) -> Float32:
        """(h, w) luma in [0, 1] to (scale*h, scale*w), not clipped; `fast` takes what lies outside [0, 1] for 0 or 1.

        In the thread that calls, and no other.

        Raises:
            UsageError: no pixels.
        """
        sr = np.empty((lr.shape[0] * self.architecture.scale, lr.shape[1] * self.architecture.scale), np.float32)
        self._call(Planes.luma(np.asarray(lr, np.float32)), Planes.luma(sr), 1, None, None)
        return sr

    def planes(self, lr: Planes, sr: Planes, control: Control | None = None) -> None:
        """As `Engine.planes`, to the same bytes, in one call of the library.

        Raises:
            UsageError, Cancelled: as `Engine.planes`.
            ShortMemoryError: a few MB for each thread are not to be had.
        """
        self.check(lr, sr)
        control = control or Control()
        control.report(0.0)
        raised: list[BaseException] = []
        shared = _Control()
        watcher = _watching(control, shared, lr.size[0] * lr.size[1], raised)
        next(watcher)
        shared.watch = _Watch(watcher.send)
        try:
            colour = _colour(lr.layout, lr.colour, lr.size, self.architecture.scale)
            with _EXIT.watched(shared):
                self._call(lr, sr, control.threads, colour, shared)
        except Cancelled:
            if not raised:
                raise
        finally:
            watcher.close()  # else it, the library's pointer to it and `shared` would hold each other
        if raised:  # perhaps too late to stop the call
            raise raised[0]
        control.report(1.0)

    def _call(self, lr: Planes, sr: Planes, threads: int, colour: _Colour | None, control: _Control | None) -> None:
        height, width = lr.size
        status = self._library.fsrcnn_run(
            self._handle, _picture(lr), _picture(sr), height, width, min(threads, MOST_THREADS),
            None if colour is None else ctypes.byref(colour), None if control is None else ctypes.byref(control),
        )  # fmt: skip
        check_status(
            status, f"to upscale {width}×{height} pixels" if status == NO_MEMORY else f"{width}×{height} pixels"
        )


class _Exit:
    """The end of the interpreter, while daemon threads are in the library.

    Python ends such a thread when it comes back for the GIL, and where it comes back in a callback that unwinds C++, which aborts the
    process. So calls under way are stopped before that, and their threads never return; later calls are not watched.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.calls: list[_Control] = []
        self.begun = False
        atexit.register(self.begin)

    @contextmanager
    def watched(self, shared: _Control) -> Iterator[None]:
        """A call of the library with its control."""
        with self.lock:
            if self.begun:
                shared.watch = _Watch()
            else:
                self.calls.append(shared)
        try:
            yield
        finally:
            with self.lock:
                under_way = any(call is shared for call in self.calls)
                self.calls = [call for call in self.calls if call is not shared]
            if under_way and self.begun and threading.current_thread().daemon:
                threading.Event().wait()  # until Python ends this thread: nobody is left to be told that the call was stopped

    def begin(self) -> None:
        """Stop the calls under way and wait for them; other threads of Python go on meanwhile."""
        with self.lock:
            self.begun = True
            for shared in self.calls:
                shared.cancel = 1
        while self.calls:
            time.sleep(0.005)


_EXIT = _Exit()


def _watching(
    control: Control, shared: _Control, pixels: int, raised: list[BaseException]
) -> Generator[None, object, None]:
    """What the library calls while it works: reports, and stops it by whatever comes of that; Ctrl-C, too.

    A generator, because Python looks for signals when a function is entered, where no `try` of its own can catch what their handlers
    raise (it would be printed and lost: there is no caller but C). A generator is entered at its `yield`, inside of `try`.
    """
    reporting = False
    try:
        while True:
            yield
            reporting = True
            control.report(shared.done / pixels)
            reporting = False
    except BaseException as error:
        if isinstance(error, GeneratorExit) and not reporting:  # the call is over
            raise
        shared.cancel = 1
        raised.append(error)
        yield  # back to the library, which calls no more


def _picture(planes: Planes) -> _Picture:
    picture = _Picture(
        planes=len(planes.arrays),
        dtype=DTYPES[planes.colour.dtype],
        peak=planes.colour.peak,
        largest=planes.colour.largest,
    )
    for number, array in enumerate(planes.arrays):
        picture.plane[number] = _Plane(array.ctypes.data, *array.strides)
    return picture


@lru_cache(maxsize=8)
def _colour(layout: Layout, colour: Colour, size: tuple[int, int], scale: int) -> _Colour:
    """What the library wants to know of a kind of picture: the frames of a film share it."""
    filled = _Colour(
        kind=RGB if layout.is_rgb else STUDIO if colour.range == "limited" else FULL,
        colours=layout.colours, alpha=int(layout.alpha), down=layout.down, across=layout.across,
        full_offset=float(GREY_OFFSET), full_gain=float(GREY_GAIN),
    )  # fmt: skip
    for name, matrix, before, after in (
        ("to_ycbcr", MATRICES[colour.matrix], np.zeros(3), OFFSET),
        ("to_rgb", INVERSES[colour.matrix], OFFSET, np.zeros(3)),
    ):
        getattr(filled, name)[:] = matrix.astype(np.float32).ravel().tolist()
        getattr(filled, f"{name}_offset")[:] = (after - matrix @ before).astype(np.float32).tolist()
    if layout.components > 1:
        taps = Taps(layout, colour, size, (scale * size[0], scale * size[1]))
        # Alpha lies on the full grid, which is chroma's, too, wherever there is alpha.
        for name, along in zip(("rows", "columns"), taps.chroma, strict=True):
            weights = np.ascontiguousarray(along.weights, np.float32)
            indices = np.ascontiguousarray(along.indices, np.int32)
            setattr(filled, name, _Taps(weights.ctypes.data, indices.ctypes.data, weights.shape[1], len(weights)))
            filled.arrays += (weights, indices)
    return filled


def _joined(arrays: list[Array], dtype: npt.DTypeLike) -> Array:
    return np.concatenate([np.asarray(array, dtype).ravel() for array in arrays])


def _fixed_point(weights: Weights) -> tuple[Array, Array, tuple[int, int]]:
    """The whole numbers and multipliers in the order of `fsrcnn_network`, and the levels of input and features."""
    from fsrcnn.fixed_point import FEATURE_LEVELS, INPUT_LEVELS, FixedPoint

    whole = FixedPoint.of(weights)
    integers: list[Array] = []
    multipliers: list[Array] = []
    for stage in (convolution.name for convolution in weights.architecture.convolutions):
        integers += [whole.kernels[stage], whole.biases[stage]]
        multipliers += [whole.positive[stage], whole.negative[stage]]
    integers.append(whole.kernels["deconvolution"])
    multipliers += [whole.phases, np.array([whole.bias])]
    return _joined(integers, np.int32), _joined(multipliers, np.float32), (INPUT_LEVELS, FEATURE_LEVELS)
