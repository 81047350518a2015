"""Arguments and arrays of another kind than is meant: refused in a sentence, by every engine alike; children of fork are told."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from fsrcnn import Colour, Control, Planes, Size, Upscaler, UsageError, batch, engines, images, planning
from fsrcnn.architecture import family
from fsrcnn.engines import native
from fsrcnn.planes import LAYOUTS
from support import ROOT, noise, random_weights

WEIGHTS = random_weights(family("fsrcnn-s", 2))
ENGINES = ["numpy", "native", "torch:cpu"]
PIXELS = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
NO_WHOLE_NUMBERS = (1.5, 8.0, math.nan, "9", None, True, [2], 0, -1)


def encoded() -> bytes:
    """The bytes of a PNG."""
    data = images.write(images.Picture((PIXELS,), "png"), None).data
    assert data is not None
    return data


def upscaler_of(engine: str) -> Upscaler:
    if engine == "native" and not native.available():
        pytest.skip("the native engine was not built")
    if engine.startswith("torch") and find_spec("torch") is None:
        pytest.skip("PyTorch is not installed")
    return Upscaler(WEIGHTS, engine=engine)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (name, value)
        for name in ("threads", "width", "height", "fit", "depth", "quality", "page", "max_pixels")
        for value in NO_WHOLE_NUMBERS
        if value is not None or name in ("fit", "depth", "max_pixels")  # None is the default of the others
    ],
)
def test_no_whole_number(name: str, value: Any) -> None:
    data = encoded()
    upscaler = Upscaler(WEIGHTS, engine="numpy")
    with pytest.raises(UsageError) as refused:  # noqa: PT012
        match name:
            case "threads":
                Control(value)
            case "width" | "height":
                Size(**{name: value})
            case "fit":
                Size(fit=(4, value) if value is not None else (4,))  # type: ignore[arg-type]
            case "depth":
                Colour(depth=value)
            case _:
                upscaler(data, **{name: value})
    assert str(refused.value).startswith((f"{name} is a whole number", "depth is 8 to 16", "fit is"))


def test_whole_numbers_of_numpy_are_taken() -> None:
    eight = np.int64(8)
    assert Control(eight).threads == 8  # type: ignore[arg-type]
    assert Size(width=eight, height=eight).of(4, 4) == (8, 8)  # type: ignore[arg-type]
    assert Colour(depth=eight).dtype == np.uint8  # type: ignore[arg-type]
    assert Size(fit=[8, 9]).of(4, 4) == (8, 8)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value", ["abc", "2", math.nan, math.inf, True, [2], b"2", 10**400], ids=lambda v: repr(v)[:20]
)
def test_no_factor(value: Any) -> None:
    for call in (lambda: Size(factor=value), lambda: Upscaler(WEIGHTS, scale=value)):
        with pytest.raises(UsageError, match="scale is a number above 1, up to 64"):
            call()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"size": 2}, r"size is a Size, as Size\(factor=2\), not 2"),
        ({"size": 0}, "size is a Size"),
        ({"overwrite": "no"}, "overwrite is True or False, not 'no'"),
        ({"lossless": 1}, "lossless is True or False"),
        ({"tolerant": None}, "tolerant is True or False"),
        ({"output": 5}, "output is a path, not 5"),
        ({"format": 5}, "not as 5"),
    ],
)  # fmt: skip
def test_other_arguments_of_a_call(arguments: dict[str, Any], sentence: str) -> None:
    data = encoded()
    with pytest.raises(UsageError, match=sentence):
        Upscaler(WEIGHTS, engine="numpy")(data, **arguments)


@pytest.mark.parametrize("model", [None, 5, b"fsrcnn", "", ["fsrcnn"]])
def test_no_model(model: Any) -> None:
    with pytest.raises(UsageError, match="a model is a name, as fsrcnn"):
        Upscaler(model)


@pytest.mark.parametrize("size", [2, 0, "2", (8, 9)])
@pytest.mark.parametrize("model", [WEIGHTS, "auto"], ids=["weights", "auto"])
def test_no_size(model: Any, size: Any) -> None:
    """At every door that takes one."""
    upscaler = Upscaler(model)
    picture = images.Picture((PIXELS,), "png")
    for call in (
        lambda: upscaler.array(PIXELS, size),
        lambda: upscaler.chosen(PIXELS, size),
        lambda: upscaler.chosen_for(picture, size),
        lambda: upscaler.enlarged(picture, size),
        lambda: upscaler.picture(picture, size),
        lambda: planning.plan(["here.png"], None, size),
        lambda: list(batch.run_all([], upscaler, size)),
    ):
        with pytest.raises(UsageError, match=r"^size is a Size, as Size\(factor=2\), not "):
            call()


@pytest.mark.parametrize("fit", [3, (3,), (1, 2, 3), "3x4"])
def test_no_box(fit: Any) -> None:
    with pytest.raises(UsageError, match=r"fit is the \(width, height\) of a box"):
        Size(fit=fit)


@pytest.mark.parametrize("engine", ENGINES)
def test_masked_arrays_are_refused_by_every_door(engine: str) -> None:
    upscaler = upscaler_of(engine)
    masked = np.ma.masked_greater(noise(6, 5), 0.5)
    plane = noise(12, 10)
    calls = {
        "a picture": lambda: upscaler(masked),
        "a picture of planes": lambda: Planes.of(masked),
        "a plane": lambda: Planes((masked,), LAYOUTS["grey"], Colour(depth=32)),
        "a result": lambda: Planes((np.ma.masked_array(plane),), LAYOUTS["grey"], Colour(depth=32)),
        "luma": lambda: upscaler.engine(2).luma(masked),
    }
    for call in calls.values():
        with pytest.raises(UsageError, match=r"an array without a mask, which hides samples; fill it first"):
            call()  # type: ignore[no-untyped-call]


class Subclass(np.ndarray):
    """As libraries of units and of pictures have them."""


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "kind", ["matrix", "subclass", "memmap", "read-only", "strides", "negative strides", "Fortran", "one value"]
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_other_arrays_give_what_a_plain_copy_gives(kind: str, dtype: Any, engine: str, tmp_path: Any) -> None:
    upscaler = upscaler_of(engine)
    grey = (noise(9, 7) * (1 if dtype == np.float32 else 200)).astype(dtype)
    array: np.ndarray[Any, Any]
    match kind:
        case "matrix":
            array = grey.view(np.matrix)
        case "subclass":
            array = grey.view(Subclass)
        case "memmap":
            array = np.memmap(tmp_path / "a", dtype, "w+", shape=grey.shape)
            array[:] = grey
        case "read-only":
            array = grey.copy()
            array.flags.writeable = False
        case "strides":
            array = np.repeat(np.repeat(grey, 2, 0), 3, 1)[::2, ::3]
        case "negative strides":
            array = np.ascontiguousarray(grey[::-1, ::-1])[::-1, ::-1]
        case "Fortran":
            array = np.asfortranarray(grey)
        case _:
            array = np.broadcast_to(grey[0, 0], grey.shape)
    before = np.array(array, copy=True, subok=False)
    result = upscaler(array)
    assert type(result) is np.ndarray
    np.testing.assert_array_equal(result, upscaler(before))
    np.testing.assert_array_equal(np.asarray(array), before)


@pytest.mark.parametrize(
    "array",
    [PIXELS.astype(object), PIXELS.astype(np.uint16).astype(">u2" if sys.byteorder == "little" else "<u2"), PIXELS.astype(bool),
     PIXELS.astype(np.float16), PIXELS.astype(np.int64), np.zeros((0, 5), np.uint8), np.zeros((5, 0, 3), np.uint8), np.uint8(3),
     np.zeros((3, 3, 0), np.uint8), np.array(3, np.uint8), np.zeros((2, 3), "u1,u1"), np.array(["a"])],
    ids=lambda array: f"{array.dtype}{array.shape}",
)  # fmt: skip
def test_arrays_that_are_no_picture(array: Any) -> None:
    with pytest.raises(UsageError, match=r"a picture (is uint8|has shape)|upscaling takes"):
        Upscaler(WEIGHTS, engine="numpy")(array)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((None, LAYOUTS["grey"], Colour()), "planes are a tuple of NumPy arrays, not NoneType"),
        ((([[1]],), LAYOUTS["grey"], Colour()), "a plane is a NumPy array, not list"),
        (((PIXELS[..., 0],), LAYOUTS["grey"], "bt601"), "a colour is a Colour"),
        (((PIXELS[..., 0],), "grey", Colour()), "a layout is LAYOUTS"),
    ],
)
def test_no_planes(arguments: Any, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Planes(*arguments)
    with pytest.raises(UsageError, match="luma is a NumPy array, not list"):
        engines.create(WEIGHTS, "numpy").luma([[0.5]])  # type: ignore[arg-type]


FORK = """
import os, signal, sys, warnings
import numpy as np
sys.path.insert(0, {tests!r})
from test_arguments import PIXELS, WEIGHTS
from fsrcnn import FsrcnnError, Upscaler, images
warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)
kind = {kind!r}
data = images.write(images.Picture((np.tile(PIXELS, (30, 30, 1)),), "png"), None).data if kind == "files" else None
upscaler = Upscaler(WEIGHTS, engine=kind if data is None else "auto", threads=2)
picture = np.tile(PIXELS, (30, 30, 1))
def work():
    return upscaler(picture) if data is None else upscaler(data)
expected = work()
child = os.fork()
if child == 0:
    signal.alarm(30)  # a child that waits for ever
    try:
        print("same" if np.array_equal(work(), expected) else "different", flush=True)
    except FsrcnnError as error:
        print(error, flush=True)
    if data is not None:  # arrays go on
        print(upscaler(picture).shape == (540, 420, 3), flush=True)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize(
    ("kind", "printed"),
    [
        ("files", ["libvips was used before this process was forked, and its threads are not here; "
                   "start processes with multiprocessing.get_context('spawn'), or before the first use", "True", "0"]),
        ("numpy", ["same", "0"]),
        ("native", ["same", "0"]),
        ("torch:cpu", ["PyTorch was used before this process was forked, and its threads are not here; "
                       "start processes with multiprocessing.get_context('spawn'), or before the first use", "0"]),
    ],
)  # fmt: skip
def test_a_child_of_fork(kind: str, printed: list[str]) -> None:
    if kind != "files":
        upscaler_of(kind)
    program = FORK.format(kind=kind, tests=str(ROOT / "tests"))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.splitlines() == printed, done.stderr
