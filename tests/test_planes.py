"""Planes of every layout through the base class: what the numbers mean, and where chroma lies."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsrcnn import Cancelled, Colour, Control, Planes, Upscaler, UsageError, pretrained
from fsrcnn.architecture import Architecture, family
from fsrcnn.color import INVERSES, MATRICES, OFFSET, rgb_to_ycbcr, ycbcr_to_rgb
from fsrcnn.engines.numpy import NumpyEngine
from fsrcnn.imresize import imresize
from fsrcnn.planes import LAYOUTS, SITINGS
from fsrcnn.windows import Source, SuperResolution
from support import noise, random_weights

ENGINE = NumpyEngine(pretrained.load("fsrcnn-x-x2"))


def yuv(layout: str, colour: Colour, height: int, width: int, seed: int = 0) -> Planes:
    """Noise over the whole range of the samples."""
    generator = np.random.default_rng(seed)
    planes = []
    for component in range(LAYOUTS[layout].components):
        _, bottom, _, right = LAYOUTS[layout].window(component, (0, height, 0, width))
        unit = generator.random((bottom, right), np.float32)
        planes.append(unit if colour.depth == 32 else np.round(unit * colour.largest).astype(colour.dtype))
    return Planes(tuple(planes), LAYOUTS[layout], colour)


def like(lr: Planes, factor: int, colour: Colour | None = None) -> Planes:
    """Planes to fill, of `factor` times the size."""
    height, width = (factor * side for side in lr.size)
    colour = colour or lr.colour
    shapes = [lr.layout.window(c, (0, height, 0, width)) for c in range(lr.layout.components)]
    return Planes(tuple(np.empty((b, r), colour.dtype) for _, b, _, r in shapes), lr.layout, colour)


def enlarged(lr: Planes, engine: NumpyEngine = ENGINE) -> Planes:
    sr = like(lr, engine.architecture.scale)
    engine.planes(lr, sr, Control(1))
    return sr


# -- what the numbers mean


def test_peaks_and_largest_samples_by_hand() -> None:
    expected = {("full", 8): (255, 255), ("limited", 8): (255, 255), ("full", 10): (1023, 1023), ("limited", 10): (1020, 1023),
                ("limited", 12): (4080, 4095), ("full", 16): (65535, 65535)}  # fmt: skip
    for (extent, depth), (peak, largest) in expected.items():
        colour = Colour(range=extent, depth=depth)  # type: ignore[arg-type]
        assert (colour.peak, colour.largest) == (peak, largest)


@pytest.mark.parametrize(
    ("matrix", "luma"), [("bt601", (0.299, 0.587, 0.114)), ("bt709", (0.2126, 0.7152, 0.0722)), ("bt2020", (0.2627, 0.678, 0.0593))]
)  # fmt: skip
def test_matrices_are_the_standards(matrix: Any, luma: tuple[float, float, float]) -> None:
    """White, black, the primaries' luma, and the ends of chroma: 16 … 235 and 16 … 240 of 255."""
    np.testing.assert_allclose(MATRICES[matrix][0] * 255 / 219, luma, atol=1e-5)
    for rgb, ycbcr in (((0, 0, 0), (16, 128, 128)), ((1, 1, 1), (235, 128, 128))):
        np.testing.assert_allclose((MATRICES[matrix] @ np.array(rgb) + OFFSET) * 255, ycbcr, atol=1e-3)
    assert (MATRICES[matrix] @ (0, 0, 1) + OFFSET)[1] * 255 == pytest.approx(240, abs=1e-3)
    assert (MATRICES[matrix] @ (1, 0, 0) + OFFSET)[2] * 255 == pytest.approx(240, abs=1e-3)
    np.testing.assert_allclose(INVERSES[matrix] @ MATRICES[matrix], np.eye(3), atol=1e-12)
    picture = np.random.default_rng(0).random((4, 5, 3))
    np.testing.assert_allclose(ycbcr_to_rgb(rgb_to_ycbcr(picture, matrix), matrix), picture, atol=1e-9)


@pytest.mark.parametrize("depth", [8, 10, 12, 16])
def test_limited_luma_goes_straight_through(depth: int) -> None:
    """A limited sample of any depth, divided by 255·2^(depth - 8), is the luma that the network knows; its last bit counts."""
    lr = yuv("yuv420", Colour("bt709", "limited", depth), 20, 30)
    unit = (lr.arrays[0] / np.float64(255 * 2 ** (depth - 8))).astype(np.float32)
    expected = np.floor(ENGINE.run(unit) * (255.0 * 2 ** (depth - 8)) + 0.5).clip(0, 2**depth - 1)
    ours = enlarged(lr).arrays[0].astype(float)
    # Rounding to either side where float32 is near a half.
    assert np.abs(ours - expected).max() <= 1
    assert (ours != expected).mean() < 1e-2
    if depth > 8:
        assert len(np.unique(ours.astype(int) & 3)) == 4


def test_full_range_luma_is_brought_to_studio_swing() -> None:
    lr = yuv("yuv444", Colour("bt709", "full", 8), 20, 30)
    unit = (16 + 219 * (lr.arrays[0] / 255.0)) / 255
    expected = np.floor(((ENGINE.run(unit.astype(np.float32)) * 255.0 - 16) / 219).clip(0, 1) * 255 + 0.5)
    assert np.abs(enlarged(lr).arrays[0].astype(float) - expected).max() <= 1


def test_depth_may_grow() -> None:
    """8 bit in, 10 bit out: four times the numbers, within rounding."""
    lr = yuv("yuv420", Colour("bt709", "limited", 8), 12, 14)
    deep = like(lr, 2, Colour("bt709", "limited", 10))
    ENGINE.planes(lr, deep, Control(1))
    for eight, ten in zip(enlarged(lr).arrays, deep.arrays, strict=True):
        inner = (eight > 0) & (eight < 255)
        assert np.abs(eight.astype(int) * 4 - ten.astype(int))[inner].max() <= 2


def test_floats_are_clipped_in_full_range_only() -> None:
    limited = noise(12, 12) * 2 - 0.5
    assert enlarged(Planes.luma(limited)).arrays[0].max() > 1.05
    # Not to the bit: a BLAS may add in another order where it works on another number of threads.
    np.testing.assert_allclose(enlarged(Planes.luma(limited)).arrays[0], ENGINE.run(limited), rtol=0, atol=1e-5)
    full = enlarged(Planes.of(np.clip(limited, 0, 1))).arrays[0]
    assert (full.min(), full.max()) == (0, 1)


@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_nan_is_black_where_samples_are_clipped_and_stays_elsewhere() -> None:
    """By every engine alike; `Upscaler` refuses such pictures before."""
    pixels = noise(20, 24)
    pixels[9, 9] = np.nan
    for engine in (ENGINE, Upscaler("fsrcnn-x", scale=2).engine(2)):
        full, limited = (make(np.empty((40, 48), np.float32)) for make in (Planes.of, Planes.luma))
        engine.planes(Planes.of(pixels), full, Control(1))
        engine.planes(Planes.luma(pixels), limited, Control(1))
        unknown = np.isnan(limited.arrays[0])
        assert 0 < unknown.sum() < unknown.size
        assert not full.arrays[0][unknown].any()
        assert not np.isnan(full.arrays[0]).any()


# -- where chroma lies


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("siting", SITINGS)
@pytest.mark.parametrize("layout", ["yuv444", "yuv422", "yuv420"])
def test_a_ramp_of_chroma_stays_where_it_was(layout: str, siting: Any, scale: int) -> None:
    """Chroma that grows linearly with its place in the picture still does, at the places where the larger picture's samples lie.

    Worked out from the definitions: luma pixel x lies at x + 0.5, chroma sample j of factor 2 at 2j + 0.5 (on its first luma pixel)
    or 2j + 1 (amid two); a pixel of the larger picture at (X + 0.5) / scale.
    """
    engine = NumpyEngine(random_weights(family("fsrcnn-x", scale)))
    height, width = 37, 41
    shape = LAYOUTS[layout]
    cosited = {0: siting == "topleft", 1: siting in ("left", "topleft")}

    def places(axis: int, count: int) -> np.ndarray:
        factor = (shape.down, shape.across)[axis]
        if factor == 1:
            return np.arange(count) + 0.5
        return 2 * np.arange(count) + (0.5 if cosited[axis] else 1.0)

    def ramp(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return (0.1 + 0.011 * rows[:, None] + 0.007 * columns[None, :]).astype(np.float32)

    _, rows, _, columns = shape.window(1, (0, height, 0, width))
    cb = ramp(places(0, rows), places(1, columns))
    colour = Colour("bt709", "limited", 32, siting)
    lr = Planes((noise(height, width), cb, 1 - cb), shape, colour)
    _, hr_rows, _, hr_columns = shape.window(1, (0, scale * height, 0, scale * width))
    expected = ramp(places(0, hr_rows) / scale, places(1, hr_columns) / scale)
    result = enlarged(lr, engine)
    edge = 3 * scale  # where the symmetric border bends the ramp
    inner = np.s_[edge:-edge, edge:-edge]
    np.testing.assert_allclose(result.arrays[1][inner], expected[inner], atol=2e-6)
    np.testing.assert_allclose(result.arrays[2][inner], (1 - expected)[inner], atol=2e-6)


def test_444_is_matlabs_bicubic() -> None:
    lr = yuv("yuv444", Colour("bt709", "limited", 32), 15, 22)
    result = enlarged(lr)
    for before, after in zip(lr.arrays[1:], result.arrays[1:], strict=True):
        np.testing.assert_allclose(after, imresize(before.astype(np.float64), 2), atol=1e-6)


def test_nv12_is_420_with_other_strides() -> None:
    colour = Colour("bt709", "limited", 8)
    lr = yuv("yuv420", colour, 21, 33)
    lines = np.zeros((21, 64), np.uint8)  # a decoder's lines are longer than the picture is wide
    lines[:, :33] = lr.arrays[0]
    interleaved = np.ascontiguousarray(np.dstack(lr.arrays[1:]))
    out_y, out_c = np.empty((42, 66), np.uint8), np.empty((21, 33, 2), np.uint8)
    ENGINE.planes(Planes.nv12(lines[:, :33], interleaved, colour), Planes.nv12(out_y, out_c, colour), Control(1))
    expected = enlarged(lr)
    np.testing.assert_array_equal(out_y, expected.arrays[0])
    np.testing.assert_array_equal(np.moveaxis(out_c, 2, 0), np.stack(expected.arrays[1:]))


@settings(max_examples=60)
@given(
    st.sampled_from(["yuv444", "yuv422", "yuv420"]), st.sampled_from(SITINGS), st.integers(1, 40), st.integers(1, 40),
    st.sampled_from([2, 3, 4]), st.data(),
)  # fmt: skip
def test_windows_of_subsampled_planes_are_parts_of_the_whole(
    layout: str, siting: Any, height: int, width: int, scale: int, data: st.DataObject
) -> None:
    lr = yuv(layout, Colour("bt709", "limited", 32, siting), height, width)
    step = SuperResolution(Source(lr), NumpyEngine(random_weights(Architecture(3, 2, 1, 3, 5, scale))))
    height, width = step.size
    whole = step.window((0, height, 0, width))
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    bottom, right = data.draw(st.integers(top + 1, height)), data.draw(st.integers(left + 1, width))
    part = step.window((top, bottom, left, right))
    for component, (plane, cut) in enumerate(zip(whole, part, strict=True)):
        t, b, l, r = lr.layout.window(component, (top, bottom, left, right))
        np.testing.assert_allclose(cut, plane[t:b, l:r], atol=1e-5)


@settings(max_examples=40)
@given(
    st.sampled_from(["yuv422", "yuv420"]), st.sampled_from(SITINGS), st.integers(2, 40), st.integers(2, 40),
    st.integers(2, 90), st.integers(2, 90), st.sampled_from([(256, 256), (7, 9)]),
)  # fmt: skip
def test_any_size_of_subsampled_planes(
    layout: str, siting: Any, height: int, width: int, new_height: int, new_width: int, tile: tuple[int, int]
) -> None:
    """Sizes between, through network and bicubic: a flat frame stays flat, whatever the tiles, and every sample is written."""
    colour = Colour("bt709", "limited", 10, siting)
    shape = LAYOUTS[layout]
    sides = [shape.window(c, (0, height, 0, width)) for c in range(3)]
    lr = Planes(tuple(np.full((b, r), 100 * c + 400, np.uint16) for c, (_, b, _, r) in enumerate(sides)), shape, colour)
    new_sides = [shape.window(c, (0, new_height, 0, new_width)) for c in range(3)]
    sr = Planes(tuple(np.full((b, r), 7, np.uint16) for _, b, _, r in new_sides), shape, colour)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NumpyEngine, "tile", tile)
        Upscaler("fsrcnn-x", engine="numpy", threads=2).planes(lr, sr)
    assert (sr.arrays[1] == 500).all()
    assert (sr.arrays[2] == 600).all()
    assert (sr.arrays[0] != 7).all()


# -- what is refused


def test_planes_that_fit_nothing() -> None:
    colour = Colour("bt709", "limited", 8)
    eight = np.zeros((4, 6), np.uint8)
    for arrays, layout, sentence in (
        ((eight,), "yuv420", "yuv420 has 3 planes, not 1"),
        ((eight, eight, eight), "yuv420", "plane 1 of 6×4 pixels in yuv420 is 3×2, not 6×4"),
        ((eight.astype(np.uint16),), "grey", "planes of depth 8 are uint8, not uint16"),
        ((eight[:0],), "grey", "at least one pixel"),
        ((eight, eight, eight), "rgb", "RGB is of full range"),
        ((eight, eight), "grey+alpha", "pictures with alpha are of full range"),
    ):
        with pytest.raises(UsageError, match=sentence):
            Planes(arrays, LAYOUTS[layout], colour)
    for changes, sentence in (
        ({"matrix": "bt470"}, "matrix is bt601, bt709, bt2020"),
        ({"depth": 7}, "depth is 8 to 16 bits"),
        ({"range": "tv"}, "range is full, limited"),
        ({"siting": "top"}, "siting is left, center, topleft"),
    ):
        with pytest.raises(UsageError, match=sentence):
            Colour(**changes)


def test_pairs_that_do_not_belong_together() -> None:
    lr = yuv("yuv420", Colour("bt709", "limited", 8), 8, 10)
    for sr, sentence in (
        (like(lr, 3), "10×8 pixels at ×2 do not become 30×24"),
        (like(lr, 2, Colour("bt601", "limited", 8)), "the matrix of the result is bt601, that of the picture bt709"),
        (like(lr, 2, Colour("bt709", "full", 8)), "the range of the result is full"),
        (like(lr, 2, Colour("bt709", "limited", 8, "center")), "the siting of the result is center"),
        (like(yuv("yuv422", lr.colour, 8, 10), 2), "the layout of the result is yuv422, that of the picture yuv420"),
    ):
        with pytest.raises(UsageError, match=sentence):
            ENGINE.planes(lr, sr)


def test_results_that_cannot_be_filled() -> None:
    """Read-only memory stays as it was, and a picture is not overwritten while it is read."""
    lr = Planes.of(np.zeros((4, 6, 3), np.uint8))
    data = bytes(8 * 12 * 3)
    fixed = Planes.of(np.frombuffer(data, np.uint8).reshape(8, 12, 3))
    memory = np.zeros((12, 12, 3), np.uint8)
    upscaler = Upscaler("fsrcnn-x", scale=2)
    for fill in (ENGINE.planes, upscaler.engine(2).planes, upscaler.planes):
        with pytest.raises(UsageError, match="the planes of the result are read-only"):
            fill(lr, fixed)
        with pytest.raises(UsageError, match="the result lies in the memory of the picture"):
            fill(Planes.of(memory[:4, :6]), Planes.of(memory[:8]))
    assert data == bytes(8 * 12 * 3)


# -- control


def test_progress_goes_up_to_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NumpyEngine, "tile", (8, 8))
    for threads in (1, 3):
        parts: list[float] = []
        control = Control(threads, parts.append)
        ENGINE.planes(Planes.luma(noise(30, 40)), Planes.luma(np.empty((60, 80), np.float32)), control)
        assert len(parts) > (5 if threads == 1 else 0)  # tiles of several threads that end together are one report
        assert parts == sorted(parts)
        assert parts[-1] == control.done == 1


def test_a_call_is_cancelled_from_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that has nothing to do with the call looks on, and stops it; the caller is not the main thread either."""
    monkeypatch.setattr(NumpyEngine, "tile", (8, 8))
    begun, outcome = threading.Event(), []
    control = Control(2, lambda done: begun.set())

    def call() -> None:
        try:
            ENGINE.planes(Planes.luma(noise(900, 900)), Planes.luma(np.empty((1800, 1800), np.float32)), control)
        except Cancelled as reason:
            outcome.append(reason)

    caller = threading.Thread(target=call)
    caller.start()
    assert begun.wait(30)
    control.cancel()
    caller.join(30)
    assert len(outcome) == 1
    assert 0 < control.done < 1


def test_what_progress_raises_ends_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NumpyEngine, "tile", (8, 8))

    def interrupt(done: float) -> None:
        raise KeyboardInterrupt

    for threads in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            ENGINE.planes(
                Planes.luma(noise(64, 64)), Planes.luma(np.empty((128, 128), np.float32)), Control(threads, interrupt)
            )


def test_parts_of_a_control() -> None:
    seen: list[float] = []
    control = Control(1, seen.append)
    control.part(0, 4).report(0.5)
    control.part(3, 4).report(1)
    assert seen == [0.125, 1]
    control.cancel()
    assert control.part(0, 2).cancelled()
    with pytest.raises(Cancelled):
        control.part(0, 2).report(0)


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "2"])
def test_threads_are_whole_numbers_from_one(threads: Any) -> None:
    with pytest.raises(UsageError, match="threads is a whole number of at least 1"):
        Control(threads)
