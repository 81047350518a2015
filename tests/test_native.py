"""The native engine: every instruction set of this processor against the definitions; awkward sizes, networks, arrays, threads."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsrcnn import Upscaler, engines, pretrained
from fsrcnn.architecture import FAMILY_NAMES, Architecture, family
from fsrcnn.arrays import Array, Float32
from fsrcnn.engines import Engine, native
from fsrcnn.engines.numpy import NumpyEngine
from fsrcnn.errors import Cancelled, EngineWarning, FsrcnnError, MissingExtraError, UsageError
from fsrcnn.evaluation import evaluate
from fsrcnn.fixed_point import FEATURE_LEVELS, INPUT_LEVELS, FixedPoint
from fsrcnn.parallel import Control, physical_memory
from fsrcnn.planes import FLOAT, LAYOUTS, SITINGS, Colour, Layout, Planes
from fsrcnn.windows import Source, SuperResolution, fill, tiles_of
from support import STRIDES, blank, noise, random_planes, random_weights, strided

if not native.available():
    pytest.skip("the native engine was not built: no C++ compiler", allow_module_level=True)

SETS = native.instruction_sets()
WIDEST_TILE, TALLEST_TILE, TALLEST_HIDDEN_TILE = (
    1024,
    1088,
    128,
)  # of native/plan.cpp: what is larger is at least two tiles
# Around the widths of vectors, blocks, chunks and tiles, and the heights of row pairs.
SIZES = [
    (1, 1), (1, 2), (2, 1), (3, 3), (1, 65), (67, 1), (4, 5), (7, 9), (15, 16), (17, 31), (32, 33), (5, 63), (65, 64),
    (2, 127), (3, 128), (6, 129), (3, 1030),
]  # fmt: skip


def agree(ours: Float32, expected: Float32, tolerance: float = 1e-5) -> None:
    np.testing.assert_allclose(ours, expected, rtol=0, atol=tolerance * max(1, float(np.abs(expected).max())))


def enlarged(planes: Planes, engine: Engine, depth: int | None = None, threads: int = 2) -> Planes:
    """By the engine's own `planes`."""
    sr = like(planes, engine, depth)
    engine.planes(planes, sr, Control(threads))
    return sr


def by_steps(planes: Planes, engine: Engine, depth: int | None = None) -> Planes:
    """The witness: the same engine's `run` on windows, colour and the rest by NumPy."""
    sr = like(planes, engine, depth)
    fill(SuperResolution(Source(planes), engine), sr, Control(1))
    return sr


def like(planes: Planes, engine: Engine, depth: int | None = None) -> Planes:
    scale, colour = engine.architecture.scale, planes.colour
    of_depth = Colour(colour.matrix, colour.range, depth or colour.depth, colour.siting)
    return blank(planes.layout, of_depth, (scale * planes.size[0], scale * planes.size[1]))


def assert_same(ours: Planes, expected: Planes) -> None:
    for array, other in zip(ours.arrays, expected.arrays, strict=True):
        np.testing.assert_array_equal(array, other)


@pytest.mark.parametrize("instruction_set", SETS)
@pytest.mark.parametrize("name", [row for row in pretrained.table() if not row.endswith(".t91")])
def test_bundled_weights_on_awkward_sizes(name: str, instruction_set: str) -> None:
    weights = pretrained.load(name)
    law, whole = NumpyEngine(weights), FixedPoint.of(weights)
    exact = native.NativeEngine(weights, "exact", instruction_set=instruction_set)
    fast = native.NativeEngine(weights, "fast", instruction_set=instruction_set)
    for height, width in SIZES:
        lr = noise(height, width)
        agree(exact.run(lr), law.run(lr))
        np.testing.assert_array_equal(fast.run(lr), whole.run(lr))


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    scale = draw(st.sampled_from([2, 3, 4]))
    kernel = draw(st.sampled_from([k for k in (3, 5, 7, 9, 11, 13, 21) if k >= scale]))
    return Architecture(
        draw(st.integers(1, 33)), draw(st.integers(1, 17)), draw(st.integers(0, 3)), draw(st.sampled_from([1, 3, 5, 7])),
        kernel, scale, draw(st.integers(0, kernel - scale)),
    )  # fmt: skip


@settings(max_examples=80)
@given(architectures(), st.integers(1, 40), st.integers(1, 150), st.sampled_from(SETS), st.integers(0, 9))
def test_any_network(architecture: Architecture, height: int, width: int, instruction_set: str, seed: int) -> None:
    weights, lr = random_weights(architecture, seed), noise(height, width, seed)
    agree(native.NativeEngine(weights, "exact", instruction_set=instruction_set).run(lr), NumpyEngine(weights).run(lr))
    fast = native.NativeEngine(weights, "fast", instruction_set=instruction_set)
    np.testing.assert_array_equal(fast.run(lr), FixedPoint.of(weights).run(lr))


@settings(max_examples=30)
@given(
    st.sampled_from([family(name, scale) for name in FAMILY_NAMES for scale in (2, 3, 4)]),
    st.integers(1, 130), st.integers(1, 130), st.integers(2, 16), st.sampled_from(["exact", "fast"]),
)  # fmt: skip
def test_same_bytes_at_any_number_of_threads(
    architecture: Architecture, height: int, width: int, threads: int, precision: str
) -> None:
    engine, lr = native.NativeEngine(random_weights(architecture), precision), noise(height, width)
    np.testing.assert_array_equal(engine.luma(lr, Control(threads)), engine.luma(lr, Control(1)))


def test_threads_take_part_and_give_the_same_bytes() -> None:
    """Large enough for many tiles; the test above mostly runs on one."""
    lr = noise(700, 1500)
    assert lr.shape[1] > WIDEST_TILE
    for precision in ("exact", "fast"):
        engine = native.NativeEngine(pretrained.load("fsrcnn-x-x2"), precision)
        expected = engine.run(lr)
        for threads in (1, 2, 3, 16):
            np.testing.assert_array_equal(engine.luma(lr, Control(threads)), expected)


@pytest.mark.parametrize("precision", ["exact", "fast"])
@settings(max_examples=40)
@given(st.sampled_from(FAMILY_NAMES), st.sampled_from([2, 3, 4]), st.integers(1, 90), st.integers(1, 90), st.data())
def test_a_window_with_its_halo_has_the_wholes_very_bits(
    precision: str, name: str, scale: int, height: int, width: int, data: st.DataObject
) -> None:
    engine = native.NativeEngine(random_weights(family(name, scale)), precision)
    lr = noise(height, width)
    top, left = data.draw(st.integers(0, height * scale - 1)), data.draw(st.integers(0, width * scale - 1))
    bottom, right = (data.draw(st.integers(top + 1, height * scale)), data.draw(st.integers(left + 1, width * scale)))
    part = SuperResolution(Source(Planes.luma(lr)), engine).window((top, bottom, left, right))[0]
    np.testing.assert_array_equal(part, engine.run(lr)[top:bottom, left:right])


@pytest.mark.parametrize("instruction_set", SETS)
@pytest.mark.parametrize("slope", [-40.0, -1.0, 0.0, 1.5, 40.0])
def test_extreme_slopes(slope: float, instruction_set: str) -> None:
    weights = random_weights(Architecture(9, 5, 2, 5, 9, 2))
    for name, array in weights.arrays.items():
        if name.endswith(".prelu"):
            array[:] = slope
    lr = noise(20, 37)
    expected = NumpyEngine(weights).run(lr)
    agree(native.NativeEngine(weights, instruction_set=instruction_set).run(lr), expected)
    fast = native.NativeEngine(weights, "fast", instruction_set=instruction_set)
    np.testing.assert_array_equal(fast.run(lr), FixedPoint.of(weights).run(lr))
    agree(fast.run(lr), expected, 0.01)


@pytest.mark.parametrize("instruction_set", SETS)
def test_nan_infinity_and_denormal_pixels(instruction_set: str) -> None:
    weights = pretrained.load("fsrcnn-x-x3")
    lr = noise(40, 70)
    lr[20, 35] = np.nan
    expected = NumpyEngine(weights).run(lr)
    ours = native.NativeEngine(weights, instruction_set=instruction_set).run(lr)
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(expected))  # it goes no further than the receptive field
    assert 0 < np.isnan(ours).sum() < ours.size
    agree(ours[~np.isnan(ours)], expected[~np.isnan(ours)])

    fast = native.NativeEngine(weights, "fast", instruction_set=instruction_set)
    odd = noise(9, 9)
    odd[1:4, 1] = np.nan, np.inf, -np.inf
    clipped = odd.copy()
    clipped[1:4, 1] = 0, 1, 0
    np.testing.assert_array_equal(fast.run(odd), fast.run(clipped))

    tiny = (noise(30, 40) * 1e-40).astype(np.float32)
    agree(native.NativeEngine(weights, instruction_set=instruction_set).run(tiny), NumpyEngine(weights).run(tiny))


# -- planes


@pytest.mark.parametrize("depth", [8, 10, 16])
@pytest.mark.parametrize("precision", ["exact", "fast"])
def test_integers_are_read_clipped_and_rounded(depth: int, precision: str) -> None:
    engine = native.NativeEngine(pretrained.load("fsrcnn-x2"), precision)
    colour = Colour(range="limited", depth=depth)
    peak, largest = np.float32(255 * 2 ** (depth - 8)), 2**depth - 1
    lr = ((noise(33, 70) > 0.5) * largest).astype(colour.dtype)  # drives the network beyond both ends
    unit = engine.run(lr.astype(np.float32) / peak)
    assert unit.min() < 0
    assert unit.max() > largest / peak
    expected = (np.clip(unit, 0, np.float32(largest / peak)) * peak + np.float32(0.5)).astype(colour.dtype)
    np.testing.assert_array_equal(enlarged(Planes((lr,), LAYOUTS["grey"], colour), engine).arrays[0], expected)


@st.composite
def colours(draw: st.DrawFn) -> tuple[Layout, Colour]:
    layout = draw(st.sampled_from(list(LAYOUTS.values())))
    studio = not layout.alpha and layout.name != "rgb"
    return layout, Colour(
        draw(st.sampled_from(["bt601", "bt709", "bt2020"])),
        draw(st.sampled_from(["full", "limited"])) if studio else "full",
        draw(st.sampled_from([*range(8, 17), FLOAT])),
        draw(st.sampled_from(SITINGS)),
    )


ENGINES = [
    native.NativeEngine(random_weights(family(name, scale)), precision, instruction_set)
    for name, scale in (("fsrcnn-x", 2), ("fsrcnn-s", 3), ("fsrcnn-x", 4))
    for precision in ("exact", "fast")
    for instruction_set in SETS
]


@settings(max_examples=300)
@given(
    colours(), st.sampled_from([*range(8, 17), FLOAT]), st.sampled_from(ENGINES), st.integers(1, 60), st.integers(1, 90),
    st.sampled_from([0, 0.02, 0.5, 0.98, 1]), st.sampled_from(STRIDES), st.sampled_from(STRIDES), st.integers(0, 999),
)  # fmt: skip
def test_one_call_has_the_bytes_of_the_separate_steps(
    kind: tuple[Layout, Colour], depth: int, engine: Engine, height: int, width: int, hidden: float,
    lr_strides: str, sr_strides: str, seed: int,
) -> None:  # fmt: skip
    """Any layout, depth (another one in the result), range, matrix, siting, strides; odd sizes; hidden pixels."""
    layout, colour = kind
    lr = random_planes(layout, colour, (height, width), hidden, seed)
    expected = by_steps(lr, engine, depth)
    awkward = Planes(tuple(strided(array, lr_strides) for array in lr.arrays), layout, colour)
    sr = Planes(tuple(strided(array * 0, sr_strides) for array in expected.arrays), layout, expected.colour)
    engine.planes(awkward, sr, Control(2))
    assert_same(sr, expected)


@pytest.mark.parametrize(
    ("name", "scale", "size", "hidden"),
    [
        ("yuv420", 2, (1101, 853), 0),
        ("yuv420", 3, (301, 1111), 0),  # tiles that end amid the luma pixels of a chroma sample
        ("yuv422", 2, (300, 1111), 0),
        ("rgb", 2, (1201, 300), 0),
        ("rgba", 2, (301, 1111), 0.5),
        ("grey+alpha", 3, (500, 500), 0.9),
    ],
)
@pytest.mark.parametrize("precision", ["exact", "fast"])
def test_pictures_of_many_tiles_too(
    name: str, scale: int, size: tuple[int, int], hidden: float, precision: str
) -> None:
    engine = native.NativeEngine(random_weights(family("fsrcnn-x", scale)), precision)
    layout = LAYOUTS[name]
    lr = random_planes(layout, Colour(range="limited" if name.startswith("yuv") else "full"), size, hidden)
    if lr.alpha is not None:  # the middle is visible, an edge is not: tiles with and without hidden pixels
        lr.alpha[100:-100, 100:-100] = 99
        lr.alpha[:, :10] = 0
    step = SuperResolution(Source(lr), engine)
    assert len(list(tiles_of(step.size, step.tile))) > 2
    assert size[0] > (TALLEST_HIDDEN_TILE if hidden else TALLEST_TILE) or size[1] > WIDEST_TILE
    assert_same(enlarged(lr, engine, threads=3), by_steps(lr, engine))


def test_hidden_pixels_are_repainted_and_not_only_copied() -> None:
    """So that the tests above can fail: what lies under alpha 0 matters to nothing, and the pixels beside it do."""
    engine = native.NativeEngine(pretrained.load("fsrcnn-x-x2"))
    lr = random_planes(LAYOUTS["rgba"], Colour(), (40, 50))
    assert lr.alpha is not None
    lr.alpha[10:20, 10:20] = 0
    lr.arrays[0][10:20, 10:20] = 255
    expected = enlarged(lr, engine)
    lr.arrays[0][10:20, 10:20] = 0
    assert_same(enlarged(lr, engine), expected)
    lr.alpha[10:20, 10:20] = 1
    assert (enlarged(lr, engine).arrays[0] != expected.arrays[0]).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_strided_and_misaligned_packed_arrays(dtype: Any, channels: int) -> None:
    engine = native.NativeEngine(random_weights(family("fsrcnn-x", 2)))
    unit = np.random.default_rng(0).random((21, 35, channels)) * 0.9 + 0.1
    pixels = unit.astype(dtype) if dtype == np.float32 else (unit * np.iinfo(dtype).max).astype(dtype)
    expected = np.empty((42, 70, channels), dtype)
    fill(SuperResolution(Source(Planes.of(pixels)), engine), Planes.of(expected), Control(1))
    for strides in STRIDES:
        result = strided(expected * 0, strides)
        engine.planes(Planes.of(strided(pixels, strides)), Planes.of(result), Control(2))
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("name", list(LAYOUTS))
def test_every_sample_is_written_and_none_beside(name: str) -> None:
    engine, layout = native.NativeEngine(random_weights(family("fsrcnn", 3))), LAYOUTS[name]
    for depth in (8, 16, FLOAT):
        colour = Colour(depth=depth)
        for size in [(1, 1), (50, 71), (9, 601)]:
            lr = random_planes(layout, colour, size)
            results = []
            for poison in (0x00, 0xA5):
                whole = [
                    np.empty((array.shape[0] + 2, array.shape[1] + 2), colour.dtype)
                    for array in like(lr, engine).arrays
                ]
                for around in whole:
                    around.view(np.uint8)[...] = poison
                before = [around.copy() for around in whole]
                results.append(Planes(tuple(around[1:-1, 1:-1] for around in whole), layout, colour))
                engine.planes(lr, results[-1], Control(4))
                for around, earlier in zip(whole, before, strict=True):
                    earlier[1:-1, 1:-1] = around[1:-1, 1:-1]
                    assert around.tobytes() == earlier.tobytes()
            assert_same(*results)


def test_a_call_leaves_nothing_for_the_garbage_collector() -> None:
    engine = native.NativeEngine(random_weights(family("fsrcnn-x", 2)))
    frame = random_planes(LAYOUTS["yuv420"], Colour(range="limited"), (48, 64))
    control = Control(2)
    alive = weakref.ref(control)
    gc.disable()
    try:
        engine.planes(frame, like(frame, engine), control)
        del control
        assert alive() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("heavier", "further"),
    [([], slice(0)), ([31, 700, 701, 1500], slice(0)), ([700], slice(32, 1502, 669)), ([], slice(20, -20))],
)
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("instruction_set", SETS)
def test_taps_that_do_not_repeat(
    instruction_set: str, scale: int, heavier: list[int], further: slice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bicubic taps are the same an LR column further but at the borders, and are applied many at once; where they differ by a bit or
    by a place elsewhere, they count as they stand in the table."""
    lr = random_planes(LAYOUTS["yuv444"], Colour(range="limited", depth=FLOAT), (6, 1111))
    filled = native._Colour.from_buffer_copy(native._colour(lr.layout, lr.colour, lr.size, scale))
    tables = native._colour(lr.layout, lr.colour, lr.size, scale).arrays
    row_weights, row_indices, weights, indices = (table.copy() for table in tables)
    weights[heavier, 1] = np.nextafter(weights[heavier, 1], np.float32(2))
    indices[further, 2] += 1
    filled.columns.weights, filled.columns.indices = weights.ctypes.data, indices.ctypes.data
    monkeypatch.setattr(native, "_colour", lambda *_: filled)
    sr = enlarged(lr, native.NativeEngine(random_weights(family("fsrcnn-x", scale)), "fast", instruction_set))
    for before, after in zip(lr.arrays[1:], sr.arrays[1:], strict=True):
        down = np.zeros((len(after), before.shape[1]), np.float32)
        expected = np.zeros_like(after)
        for tap in range(4):
            down = down + before[row_indices[:, tap]] * row_weights[:, tap, None]
        for tap in range(4):
            expected = expected + down[:, indices[:, tap]] * weights[:, tap]
        np.testing.assert_array_equal(after, expected)


def test_frames_of_one_size_share_their_taps() -> None:
    engine = native.NativeEngine(random_weights(family("fsrcnn-x", 2)))
    frame = random_planes(LAYOUTS["yuv420"], Colour(range="limited"), (48, 64))
    enlarged(frame, engine)
    before = native._colour.cache_info()
    enlarged(frame, engine)
    after = native._colour.cache_info()
    assert (after.hits, after.misses) == (before.hits + 1, before.misses)


# -- threads


def test_two_engines_in_six_threads() -> None:
    lr = noise(150, 200)
    pair = [
        native.NativeEngine(pretrained.load(name), p) for name, p in (("fsrcnn-x2", "exact"), ("fsrcnn-x-x3", "fast"))
    ]
    expected = [engine.run(lr) for engine in pair]
    wrong: list[int] = []

    def work(which: int) -> None:
        for _ in range(5):
            if not np.array_equal(pair[which].luma(lr, Control(2)), expected[which]):
                wrong.append(which)

    threads = [threading.Thread(target=work, args=(i % 2,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def in_process(code: str) -> str:
    """What a program prints that has an `engine` (×2), and `lr` and `sr`: 600×400 RGB pixels and what they become."""
    start = """
import os, sys
import numpy as np
from fsrcnn import pretrained
from fsrcnn.engines.native import NativeEngine
from fsrcnn.errors import Cancelled, ShortMemoryError
from fsrcnn.parallel import Control
from fsrcnn.planes import Planes
engine = NativeEngine(pretrained.load("fsrcnn-x2"), "fast")
pixels = np.random.default_rng(0).integers(0, 256, (400, 600, 3)).astype(np.uint8)
result = np.zeros((800, 1200, 3), np.uint8)
lr, sr = Planes.of(pixels), Planes.of(result)
"""
    done = subprocess.run(
        [sys.executable, "-c", start + code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


linux = pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")


@linux
def test_no_thread_is_started_for_each_frame() -> None:
    """Identities of threads, not their number: they would grow if threads came and went."""
    printed = in_process("""
seen, counts = set(), []
for frame in range(30):
    engine.planes(lr, sr, Control(2, lambda done: seen.update(os.listdir("/proc/self/task"))))
    counts.append(len(os.listdir("/proc/self/task")))
engine.planes(lr, sr, Control(5, lambda done: None))
print(len(seen), counts[0], counts[-1], len(os.listdir("/proc/self/task")))
""")
    seen, first, last, after_five = map(int, printed.split())
    assert seen == first == last
    assert after_five == last + 3


@linux
def test_a_child_of_fork_has_threads_of_its_own() -> None:
    printed = in_process("""
import warnings
warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)  # Python 3.12 warns of what this tests
engine.planes(lr, sr, Control(3))
expected = result.copy()
child = os.fork()
result[...] = 0
engine.planes(lr, sr, Control(3))
same = np.array_equal(result, expected)
if child == 0:
    os._exit(0 if same else 1)
print(same, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
""")
    assert printed == "True 0"


@linux
def test_where_no_thread_can_be_started_the_caller_does_the_work() -> None:
    """There is room for the working memory of a strip, but not for the stack of a thread (8 MB)."""
    printed = in_process("""
import resource
engine.run(np.zeros((400, 600), np.float32))  # the memory of a strip
def pages(): return int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limits = resource.getrlimit(resource.RLIMIT_AS)
before, parts = len(os.listdir("/proc/self/task")), []
control = Control(2, parts.append)
resource.setrlimit(resource.RLIMIT_AS, (pages() + 4_000_000, limits[1]))
engine.planes(lr, sr, control)
resource.setrlimit(resource.RLIMIT_AS, limits)
alone, started = result.copy(), len(os.listdir("/proc/self/task")) - before
engine.planes(lr, sr, control)
print(started, np.array_equal(result, alone), len(os.listdir("/proc/self/task")) - before, parts[-1])
""")
    assert printed == "0 True 2 1.0"


@linux
def test_short_memory_is_said() -> None:
    """There is room for what Python makes of a call, but not for the strip, which has some MB: what was free before is taken up."""
    printed = in_process("""
import resource
engine = NativeEngine(pretrained.load("fsrcnn-x2"), "exact")
wide, wider = Planes.luma(np.zeros((64, 40_000), np.float32)), Planes.luma(np.zeros((128, 80_000), np.float32))
pages, taken = int(open("/proc/self/statm").read().split()[0]), []
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 300_000, resource.getrlimit(resource.RLIMIT_AS)[1]))
try:
    while True:
        taken.append(bytearray(500_000))
except MemoryError:
    pass
try:
    engine.planes(wide, wider, Control(1))
except ShortMemoryError as error:
    print(error)
""")
    assert printed == "there is not enough memory to upscale 40000×64 pixels; give fewer threads"


def test_indices_beyond_2_to_the_31() -> None:
    memory = physical_memory()
    if memory is None or memory < 8e9:
        pytest.skip("needs 8 GB of memory")
    engine = native.NativeEngine(random_weights(Architecture(1, 1, 0, 1, 5, 4)))
    row = (noise(1, 40_000) * 255).astype(np.uint8)

    def rows_enlarged(count: int) -> Array:
        return enlarged(Planes.luma(np.broadcast_to(row, (count, 40_000))), engine).arrays[0]

    sr = rows_enlarged(3600)
    assert sr.size > 2**31
    expected = rows_enlarged(5)
    np.testing.assert_array_equal(sr[:8], expected[:8])
    np.testing.assert_array_equal(sr[-8:], expected[-8:])
    np.testing.assert_array_equal(sr[7200:7204], expected[8:12])


# -- watched and stopped


LARGE = Planes.luma(np.full((1500, 1500), 99, np.uint8))  # about a third of a second


def call(control: Control) -> None:
    enlarged_large = Planes.luma(np.zeros((3000, 3000), np.uint8))
    native.NativeEngine(pretrained.load("fsrcnn-x2")).planes(LARGE, enlarged_large, control)


@pytest.mark.parametrize("threads", [1, 2])
def test_progress_goes_up_in_the_thread_that_called(threads: int) -> None:
    parts: list[float] = []
    idents: set[int] = set()

    def progress(part: float) -> None:
        parts.append(part)
        idents.add(threading.get_ident())

    before = threading.active_count()
    call(Control(threads, progress))
    assert parts == sorted(parts)
    assert parts[0] == 0
    assert parts[-1] == 1
    assert len({part for part in parts if 0 < part < 1}) > 0
    assert idents == {threading.get_ident()}
    assert threading.active_count() == before


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
def test_what_progress_raises_stops_the_call(threads: int, error: type[BaseException]) -> None:
    def progress(part: float) -> None:
        if part > 0:
            raise error

    control = Control(threads, progress)
    with pytest.raises(error):
        call(control)
    assert control.done < 1


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("in_thread", [False, True])
def test_cancelled_from_another_thread(threads: int, in_thread: bool) -> None:
    """Whether the call itself runs in the main thread or not."""
    cancelled = threading.Event()

    def stay(part: float) -> None:
        if part > 0:
            cancelled.wait(20)

    control = Control(threads, stay)
    raised: list[BaseException] = []

    def work() -> None:
        try:
            call(control)
        except BaseException as error:
            raised.append(error)

    def cancel() -> None:
        while control.done == 0:
            time.sleep(0.001)
        control.cancel()
        cancelled.set()

    canceller = threading.Thread(target=cancel)
    canceller.start()
    if in_thread:
        worker = threading.Thread(target=work)
        worker.start()
        worker.join()
    else:
        work()
    canceller.join()
    assert [type(error) for error in raised] == [Cancelled]
    assert 0 < control.done < 1


@pytest.mark.parametrize("size", [(8, 8), (1500, 1500)])
def test_cancelled_before_it_starts(size: tuple[int, int]) -> None:
    control = Control(2)
    control.cancel()
    engine = native.NativeEngine(random_weights(family("fsrcnn-x", 2)))
    sr = np.full((2 * size[0], 2 * size[1]), 7, np.uint8)
    with pytest.raises(Cancelled):
        engine.planes(Planes.luma(np.zeros(size, np.uint8)), Planes.luma(sr), control)
    assert (sr == 7).all()


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_is_never_lost(threads: int) -> None:
    """It arrives while the library works, so Python sees it when it is called back: nothing may be printed instead of raised."""
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # ignored, where a shell's background runs the tests
    try:
        for delay in (0.03, 0.08, 0.13):
            timer = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT))
            with pytest.raises(KeyboardInterrupt):  # noqa: PT012
                timer.start()
                while True:
                    call(Control(threads))
            timer.join()
    finally:
        signal.signal(signal.SIGINT, before)


# -- precisions, instruction sets, the library


@pytest.mark.parametrize("name", [row for row in pretrained.table() if not row.endswith(".t91")])
def test_fast_loses_at_most_two_hundredths_of_a_decibel(datasets: Path, name: str) -> None:
    scores: dict[str, list[float]] = {}
    for precision in ("exact", "fast"):
        engine = native.NativeEngine(pretrained.load(name), precision)
        results, failures = evaluate([datasets / "Set5"], engine, threads=2)
        assert failures == []
        scores[precision] = [
            float(np.mean([r.sr.psnr for r in results if r.protocol == p])) for p in ("paper", "files")
        ]
    for exact, fast in zip(scores["exact"], scores["fast"], strict=True):
        assert exact - fast <= 0.02
        assert exact != fast  # it is another arithmetic


def test_too_steep_for_fast() -> None:
    weights = random_weights(Architecture(4, 3, 1, 3, 3, 2))
    weights.arrays["shrinking.prelu"][:] = 1e9
    weights.arrays["shrinking.bias"][:] = 10  # no picture comes near the steep side, but sums could
    with pytest.raises(UsageError, match="too steep for precision fast"):
        engines.create(weights, "native", precision="fast")


def test_too_wide_for_fast() -> None:
    """Rounding alone may add half a unit to each of 1024·23·23 weights of a phase, times features of 13 bits: more than 2^31."""
    with pytest.raises(UsageError, match="too wide for precision fast"):
        engines.create(random_weights(Architecture(1024, 1, 0, 1, 45, 2)), "native", precision="fast")
    engines.create(random_weights(Architecture(1024, 1, 0, 1, 31, 2)), "native", precision="fast")


@pytest.mark.parametrize("name", list(pretrained.table()))
def test_the_sums_of_fast_cannot_overflow(name: str) -> None:
    """Not even with every feature at its limit and of the worst sign."""
    whole = FixedPoint.of(pretrained.load(name))
    reach = INPUT_LEVELS
    for stage in (convolution.name for convolution in whole.architecture.convolutions):
        assert np.abs(whole.kernels[stage]).max() < 2**15
        largest = np.abs(whole.kernels[stage]).sum(axis=(1, 2, 3)) * reach + np.abs(whole.biases[stage])
        assert largest.max() < 2**31
        reach = FEATURE_LEVELS
    scale, kernel = whole.architecture.scale, np.abs(whole.kernels["deconvolution"])
    for y in range(scale):
        for x in range(scale):
            assert kernel[:, :, y::scale, x::scale].sum() * reach < 2**31


def test_the_instruction_set_can_be_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = random_weights(family("fsrcnn-x", 2))
    for instruction_set in SETS:
        monkeypatch.setenv("FSRCNN_ISA", instruction_set)
        assert native.NativeEngine(weights).describe() == f"{instruction_set}, float32"
        assert native.NativeEngine(weights, "fast").describe() == f"{instruction_set}, 16-bit whole numbers"
    monkeypatch.setenv("FSRCNN_ISA", "mmx")
    with pytest.raises(UsageError, match="there is no instruction set 'mmx' here; FSRCNN_ISA is one of"):
        engines.create(weights)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = random_weights(family("fsrcnn-x", 2))
    native.library.cache_clear()
    monkeypatch.setattr(native, "find_spec", lambda name: None)
    try:
        with pytest.warns(EngineWarning, match=r"no working C\+\+ compiler .* going on with the numpy engine"):
            assert engines.create(weights).name == "numpy"
        for name, precision in (("native", "exact"), ("auto", "fast")):
            with pytest.raises(MissingExtraError, match="the native engine was not built"):
                engines.create(weights, name, precision=precision)
    finally:
        native.library.cache_clear()


def test_a_damaged_library_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cut.so").write_bytes(b"\x7fELF and then nothing")
    native.library.cache_clear()
    try:
        with monkeypatch.context() as patch:
            patch.setattr(native, "find_spec", lambda name: SimpleNamespace(origin=str(tmp_path / "cut.so")))
            with pytest.raises(
                FsrcnnError, match=r"^the native library cannot be loaded: .*; type, in its folder: pip install"
            ):
                engines.create(random_weights(family("fsrcnn-x", 2)))
    finally:
        native.library.cache_clear()


def test_a_stale_library_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where any engine would do: it is a broken installation."""
    weights = random_weights(family("fsrcnn-x", 2))
    import _ctypes

    class Other:
        origin = _ctypes.__file__  # a library without a number

    try:
        for name, abi, found in (("_ctypes", native.ABI, 1), ("newer", native.ABI + 1, native.ABI)):
            native.library.cache_clear()
            with monkeypatch.context() as patch:
                patch.setattr(native, "ABI", abi)
                if name == "_ctypes":
                    patch.setattr(native, "find_spec", lambda name: Other)
                for engine in ("auto", "native"):
                    with pytest.raises(FsrcnnError) as caught:
                        engines.create(weights, engine)
                    assert str(caught.value) == (
                        f"the native library is of another version (ABI {found}, this package needs {abi}); "
                        "type, in its folder: pip install --force-reinstall --no-deps ."
                    )
                    assert not isinstance(caught.value, MissingExtraError)
    finally:
        native.library.cache_clear()


def status_of_create(**changes: Any) -> int:
    """Of a network that is right but for the changes."""
    weights = random_weights(Architecture(4, 3, 1, 3, 3, 2))
    numbers = native._joined(list(weights.arrays.values()), np.float32)
    given: dict[str, Any] = {
        "d": 4, "s": 3, "m": 1, "feature_kernel": 3, "deconvolution_kernel": 3, "scale": 2, "crop": 0,
        "arrays": numbers.ctypes.data, "arrays_length": numbers.size, "abi": native.ABI, "instruction_set": b"generic",
    }  # fmt: skip
    given.update(changes)
    abi, instruction_set = given.pop("abi"), given.pop("instruction_set")
    handle, library = ctypes.c_void_p(), native.library()
    status: int = library.fsrcnn_create(
        abi, ctypes.byref(native._Network(**given)), instruction_set, ctypes.byref(handle)
    )
    library.fsrcnn_destroy(handle)
    assert (status == native.OK) == bool(handle)
    return status


@pytest.mark.parametrize(
    ("changes", "explained"),
    [
        ({}, "it is finished"),
        ({"abi": 1}, "compiled for another version"),
        ({"instruction_set": b"mmx"}, "no such instruction set"),
        ({"instruction_set": None}, "a pointer is NULL"),
        ({"arrays": None}, "a pointer is NULL"),
        ({"precision": 2}, "no such precision"),
        ({"scale": 5}, "no network of these numbers"),
        ({"crop": 2}, "no network of these numbers"),
        ({"m": -1}, "no network of these numbers"),
        ({"d": 5}, "lengths do not fit the architecture"),
        ({"arrays_length": 7}, "lengths do not fit the architecture"),
        ({"precision": 1}, "a pointer is NULL"),
    ],
)
def test_statuses_of_create(changes: dict[str, Any], explained: str) -> None:
    assert explained in native.library().fsrcnn_explain(status_of_create(**changes)).decode()


@pytest.mark.parametrize(
    ("changes", "explained"),
    [
        ({}, "it is finished"),
        ({"height": 0}, "1 to 2^30 pixels"),
        ({"threads": 0}, "threads is at least 1"),
        ({"lr.dtype": 3}, "float32, uint8 or uint16"),
        ({"lr.peak": 0.0}, "peak and largest"),
        ({"sr.largest": 256.0}, "peak and largest"),
        ({"sr.planes": 4}, "no such layout"),
        ({"colour.colours": 2}, "no such layout"),
        ({"colour.kind": 3}, "no such layout"),
        ({"colour.across": 2}, "no such layout"),
        ({"height": 4}, "taps do not fit"),
        ({"lr": None}, "a pointer is NULL"),
    ],
)
def test_statuses_of_run(changes: dict[str, Any], explained: str) -> None:
    engine = native.NativeEngine(random_weights(family("fsrcnn-x", 2)))
    lr, colour = random_planes(LAYOUTS["rgb"], Colour(), (5, 7)), Colour()
    sr = like(lr, engine)
    given: dict[str, Any] = {
        "lr": native._picture(lr), "sr": native._picture(sr), "height": 5, "width": 7, "threads": 1,
        "colour": native._Colour.from_buffer_copy(native._colour(lr.layout, colour, lr.size, 2)),
    }  # fmt: skip
    for name, value in changes.items():
        structure, _, field = name.partition(".")
        if field:
            setattr(given[structure], field, value)
        else:
            given[structure] = value
    status = native.library().fsrcnn_run(engine._handle, *given.values(), None)
    assert explained in native.library().fsrcnn_explain(status).decode()
    if status != native.OK:
        assert all((array == 77).all() for array in sr.arrays)
        with pytest.raises(FsrcnnError, match="the native engine refuses it: "):
            native.check_status(status, "it")


def test_each_status_has_words_of_its_own() -> None:
    header = (Path(__file__).parent.parent / "native" / "fsrcnn.h").read_text()
    statuses = header.split("enum fsrcnn_status {")[1].split("}")[0].count("=")
    words = [native.library().fsrcnn_explain(status) for status in range(statuses)]
    assert len(set(words)) == statuses
    assert native.library().fsrcnn_explain(statuses) == b"there is no such status"
    assert f"#define FSRCNN_ABI {native.ABI}\n" in header


def test_fast_is_the_native_engines(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="precision fast is the native engine's; the engine is numpy"):
        engines.create(random_weights(family("fsrcnn-x", 2)), "numpy", precision="fast")
    with pytest.raises(UsageError, match="precision is exact or fast, not 'bf16'"):
        engines.create(random_weights(family("fsrcnn-x", 2)), precision="bf16")


def test_the_command_line_takes_precision_and_instruction_set(tmp_path: Path) -> None:
    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "fsrcnn", *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
        )

    example = str(Path(__file__).parent.parent / "examples" / "astronaut.png")
    pictures = []
    for precision, instruction_set in (("exact", SETS[0]), ("fast", SETS[0]), ("fast", "generic")):
        target = tmp_path / f"{precision}_{instruction_set}.png"
        arguments = ("upscale", example, "-o", str(target), "--precision", precision, "--model", "fsrcnn-x")
        done = run(*arguments, FSRCNN_ISA=instruction_set)
        assert done.returncode == 0, done.stderr
        pictures.append(target.read_bytes())
    assert pictures[1] == pictures[2]
    assert pictures[0] != pictures[1]
    refused = run("upscale", example, "-o", str(tmp_path / "x.png"), FSRCNN_ISA="sse9")
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "there is no instruction set 'sse9' here" in refused.stderr
    assert not (tmp_path / "x.png").exists()


def test_no_pixels() -> None:
    with pytest.raises(UsageError, match="at least one pixel"):
        native.NativeEngine(random_weights(family("fsrcnn-x", 2))).run(np.zeros((0, 5), np.float32))


def test_weights_are_copied() -> None:
    """Nothing of Python's stays referenced: arrays may go or change."""
    weights = random_weights(family("fsrcnn-x", 2))
    engine, lr = native.NativeEngine(weights), noise(9, 9)
    expected = engine.run(lr)
    for array in weights.arrays.values():
        array[:] = 0
    np.testing.assert_array_equal(engine.run(lr), expected)


def test_a_file_of_weights_is_all_it_takes(tmp_path: Path) -> None:
    weights = random_weights(Architecture(7, 3, 1, 3, 5, 2))
    weights.save(tmp_path / "mine.safetensors")
    pixels = (noise(20, 30) * 255).astype(np.uint8)
    by_file = Upscaler(tmp_path / "mine.safetensors", engine="native")(pixels)
    by_numpy = Upscaler(weights, engine="numpy")(pixels)
    assert np.abs(by_file.astype(int) - by_numpy).max() <= 1


@pytest.mark.parametrize("daemon", [True, False])
def test_the_interpreter_may_end_while_a_thread_is_in_the_library(daemon: bool) -> None:
    """A server or a window that is closed in the middle of a picture: exit code 0, nothing on standard error."""
    script = f"""
import threading, time, numpy as np
from fsrcnn import Upscaler
upscaler, picture = Upscaler(scale=2, engine="native", threads=2), np.zeros((1000, 1500, 3), np.uint8)
def work():
    while True:
        upscaler(picture)
        if not {daemon}: return
threading.Thread(target=work, daemon={daemon}).start()
time.sleep(0.08)
"""
    for _ in range(2):
        ended = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60, check=False)
        assert (ended.returncode, ended.stderr) == (0, b"")


def test_progress_that_is_a_closing_generator_ends_the_call() -> None:
    def close(done: float) -> None:
        if 0 < done < 1:
            raise GeneratorExit

    engine, lr = native.NativeEngine(pretrained.load("fsrcnn-x2")), Planes.luma(noise(3000, 1500))
    with pytest.raises(GeneratorExit):
        engine.planes(lr, Planes.luma(np.empty((6000, 3000), np.float32)), Control(1, close))


def test_whole_numbers_do_not_hang_on_the_order_in_which_a_blas_sums() -> None:
    """OpenBLAS has kernels for many processors; elsewhere than on x86 it knows none of these names."""
    program = """
import hashlib
from fsrcnn import pretrained
from fsrcnn.engines.native import _fixed_point
for name in ("fsrcnn-x2", "fsrcnn-s-x3", "fsrcnn-x-x4"):
    integers, multipliers, _ = _fixed_point(pretrained.load(name))
    print(name, hashlib.sha256(integers.tobytes() + multipliers.tobytes()).hexdigest())
"""
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "OPENBLAS_CORETYPE": core}, check=True, capture_output=True, text=True,
        ).stdout
        for core in ("Nehalem", "Sandybridge", "Haswell")
    }  # fmt: skip
    assert len(printed) == 1
