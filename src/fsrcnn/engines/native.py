"""The fused CPU engine: `native/` (C++) behind its C ABI, called without holding the GIL.

A whole picture is one call: pixels in, pixels out, threads and strips on the other side. `FSRCNN_ISA` in the environment forces an
instruction set (`avx512vnni`, `avx512`, `avx2`, `neon`, `generic`), for tests and measurements.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from fsrcnn.color import INVERSES, OFFSET, RGB_TO_YCBCR
from fsrcnn.engines import PRECISIONS, Engine
from fsrcnn.errors import FsrcnnError, MissingExtraError, UsageError
from fsrcnn.imresize import Contributions, contributions
from fsrcnn.parallel import Control
from fsrcnn.planes import GREY_GAIN, GREY_OFFSET, Planes
from fsrcnn.weights import Weights

Array = npt.NDArray[Any]
Float32 = npt.NDArray[np.float32]
DTYPES = {np.dtype(np.float32): 0, np.dtype(np.uint8): 1, np.dtype(np.uint16): 2}
QUIET_WORK = 3e9  # multiply-adds: about a tenth of a second, below which nobody waits for progress


class _Network(ctypes.Structure):
    _fields_ = (
        *(
            (name, ctypes.c_int32)
            for name in ("d", "s", "m", "feature_kernel", "deconvolution_kernel", "scale", "crop")
        ),
        ("precision", ctypes.c_int32),
        ("arrays", ctypes.c_void_p),
        ("integers", ctypes.c_void_p),
        ("multipliers", ctypes.c_void_p),
        ("input_levels", ctypes.c_float),
        ("feature_levels", ctypes.c_int32),
    )


class _Pixels(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("row_stride", "column_stride", "channel_stride")),
        ("dtype", ctypes.c_int32),
        ("channels", ctypes.c_int32),
    )


class _Taps(ctypes.Structure):
    _fields_ = (("weights", ctypes.c_void_p), ("indices", ctypes.c_void_p), ("taps", ctypes.c_int32))


class _Colour(ctypes.Structure):
    _fields_ = (
        ("to_ycbcr", ctypes.c_float * 9),
        ("to_ycbcr_offset", ctypes.c_float * 3),
        ("to_rgb", ctypes.c_float * 9),
        ("to_rgb_offset", ctypes.c_float * 3),
        ("grey_offset", ctypes.c_float),
        ("grey_gain", ctypes.c_float),
        ("rows", _Taps),
        ("columns", _Taps),
    )


class _Control(ctypes.Structure):
    _fields_ = (("done", ctypes.c_int64), ("cancel", ctypes.c_int32))


@cache
def library() -> ctypes.CDLL:
    """The compiled library.

    Raises:
        MissingExtraError: it was not built, because no C++ compiler was found when the package was installed.
    """
    spec = find_spec("fsrcnn.engines._native")
    if spec is None or spec.origin is None:
        raise MissingExtraError(
            "the native engine was not built: no working C++ compiler (GCC or Clang) was found when fsrcnn was installed; "
            "install one (Debian: apt-get install g++), then type, in its folder: pip install --force-reinstall --no-deps ."
        )
    loaded = ctypes.CDLL(spec.origin)
    loaded.fsrcnn_instruction_sets.restype = ctypes.c_char_p
    loaded.fsrcnn_create.restype = ctypes.c_void_p
    loaded.fsrcnn_create.argtypes = (ctypes.POINTER(_Network), ctypes.c_char_p)
    loaded.fsrcnn_describe.restype = ctypes.c_char_p
    loaded.fsrcnn_describe.argtypes = (ctypes.c_void_p,)
    loaded.fsrcnn_destroy.restype = None
    loaded.fsrcnn_destroy.argtypes = (ctypes.c_void_p,)
    loaded.fsrcnn_run.argtypes = (
        ctypes.c_void_p,
        *(ctypes.POINTER(_Pixels),) * 2,
        *(ctypes.c_int64,) * 2,
        ctypes.c_int,
        ctypes.POINTER(_Colour),
        ctypes.POINTER(_Control),
    )
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
        """
        there = instruction_sets()
        instruction_set = instruction_set or os.environ.get("FSRCNN_ISA") or there[0]
        if instruction_set not in there:
            raise UsageError(
                f"there is no instruction set {instruction_set!r} here; FSRCNN_ISA is one of {', '.join(there)}"
            )
        if precision not in PRECISIONS:
            raise UsageError(f"precision is exact or fast, not {precision!r}")
        self.architecture, self.precision = weights.architecture, precision
        network = _Network(precision=int(precision == "fast"))
        for name in ("d", "s", "m", "feature_kernel", "deconvolution_kernel", "scale", "crop"):
            setattr(network, name, getattr(weights.architecture, name))
        if precision == "exact":
            arrays = _joined([weights.arrays[name] for name in weights.architecture.array_shapes], np.float32)
            network.arrays = arrays.ctypes.data
        else:
            integers, multipliers = _fixed_point(weights)
            network.integers, network.multipliers = integers.ctypes.data, multipliers.ctypes.data
            from fsrcnn.fixed_point import FEATURE_LEVELS, INPUT_LEVELS

            network.input_levels, network.feature_levels = INPUT_LEVELS, FEATURE_LEVELS
        self._handle = library().fsrcnn_create(ctypes.byref(network), instruction_set.encode())
        if not self._handle:
            raise FsrcnnError("there is not enough memory for the native engine")

    def __del__(self) -> None:
        handle, self._handle = getattr(self, "_handle", None), None
        if handle:
            library().fsrcnn_destroy(handle)

    def describe(self) -> str:
        """The instruction set and the kind of numbers."""
        return str(library().fsrcnn_describe(self._handle).decode())

    def run(self, lr: Float32) -> Float32:
        """(h, w) luma in [0, 1] to (scale*h, scale*w), not clipped; `fast` takes what lies outside [0, 1] for 0 or 1."""
        sr = np.empty((lr.shape[0] * self.architecture.scale, lr.shape[1] * self.architecture.scale), np.float32)
        self._run(np.asarray(lr, np.float32), sr, None, 1, None)
        return sr

    def planes(self, lr: Planes, sr: Planes, control: Control | None = None) -> None:
        self.check(lr, sr)
        control = control or Control()
        packed = [_packed(planes) for planes in (lr, sr)]
        hidden = lr.alpha is not None and not lr.alpha.all()
        if (
            any(p is None for p in packed)
            or hidden
            or lr.colour.depth != sr.colour.depth
            or lr.layout.name.startswith("yuv")
        ):
            super().planes(lr, sr, control)
        elif lr.colour.range == "limited":
            self._run(packed[0][:, :, 0], packed[1][:, :, 0], None, control.threads, control.report)
        else:
            taps = [contributions(lr.size[axis], sr.size[axis]) for axis in (0, 1)]
            grey = (float(GREY_OFFSET), float(GREY_GAIN))
            self.picture(packed[0], packed[1], taps, grey, control.report, control.threads)

    def picture(
        self,
        pixels: Array,
        result: Array,
        taps: Sequence[Contributions],
        grey: tuple[float, float],
        progress: Callable[[float], None] | None = None,
        threads: int = 1,
    ) -> None:
        """A whole picture in one pass over its rows; see `WholePictures`."""
        colour = _Colour(grey_offset=grey[0], grey_gain=grey[1])
        for name, matrix, before, after in (
            ("to_ycbcr", RGB_TO_YCBCR, np.zeros(3), OFFSET),
            ("to_rgb", INVERSES["bt601"], OFFSET, np.zeros(3)),
        ):
            getattr(colour, name)[:] = matrix.astype(np.float32).ravel().tolist()
            getattr(colour, f"{name}_offset")[:] = (after - matrix @ before).astype(np.float32).tolist()
        kept = []
        for name, along in zip(("rows", "columns"), taps, strict=True):
            weights = np.ascontiguousarray(along.weights, np.float32)
            indices = np.ascontiguousarray(along.indices, np.int32)
            kept += [weights, indices]
            setattr(colour, name, _Taps(weights.ctypes.data, indices.ctypes.data, weights.shape[1]))
        self._run(pixels, result, colour, threads, progress)

    def _run(
        self,
        lr: Array,
        sr: Array,
        colour: _Colour | None,
        threads: int,
        progress: Callable[[float], None] | None,
    ) -> None:
        height, width = lr.shape[:2]
        if height == 0 or width == 0:
            raise UsageError(f"a picture has at least one pixel, not {width}×{height}")
        control = _Control()
        status = []

        def call() -> None:
            status.append(
                library().fsrcnn_run(
                    self._handle,
                    _pixels(lr),
                    _pixels(sr),
                    height,
                    width,
                    threads,
                    None if colour is None else ctypes.byref(colour),
                    ctypes.byref(control),
                )
            )

        work = height * width * self.architecture.multiply_adds
        if work < QUIET_WORK or threading.current_thread() is not threading.main_thread():
            call()
        else:
            # Python handles Ctrl-C in its main thread, and only while that runs Python.
            worker = threading.Thread(target=call, name="fsrcnn native")
            worker.start()
            try:
                while worker.is_alive():
                    worker.join(0.05)
                    if progress:
                        progress(min(1.0, control.done / (height * width)))
            except BaseException:
                control.cancel = 1
                worker.join()
                raise
        if status != [0]:
            raise FsrcnnError(f"there is not enough memory to upscale {width}×{height} pixels; give fewer threads")
        if progress:
            progress(1.0)


def _packed(planes: Planes) -> Any:
    base = planes.arrays[0].base if len(planes.arrays) > 1 else planes.arrays[0][:, :, None]
    if planes.colour.depth not in (8, 16, 32) or base is None or base.ndim != 3 or base.shape[2] != len(planes.arrays):
        return None
    return base


def _pixels(array: Array) -> _Pixels:
    row, column = array.strides[:2]
    channel, channels = (array.strides[2], array.shape[2]) if array.ndim == 3 else (0, 1)
    return _Pixels(array.ctypes.data, row, column, channel, DTYPES[array.dtype], channels)


def _joined(arrays: list[Array], dtype: npt.DTypeLike) -> Array:
    return np.concatenate([np.asarray(array, dtype).ravel() for array in arrays])


def _fixed_point(weights: Weights) -> tuple[Array, Array]:
    """The whole numbers and multipliers in the order of `fsrcnn_network`."""
    from fsrcnn.fixed_point import FixedPoint

    whole = FixedPoint.of(weights)
    integers: list[Array] = []
    multipliers: list[Array] = []
    for stage in (convolution.name for convolution in weights.architecture.convolutions):
        integers += [whole.kernels[stage], whole.biases[stage]]
        multipliers += [whole.positive[stage], whole.negative[stage]]
    integers.append(whole.kernels["deconvolution"])
    multipliers += [whole.phases, np.array([whole.bias])]
    return _joined(integers, np.int32), _joined(multipliers, np.float32)
