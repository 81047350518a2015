"""What stands still in a film is not computed again, and no pixel is another for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from films import av, luma_of, upscaled_luma
from fsrcnn import Control, Upscaler
from fsrcnn.arrays import Array
from fsrcnn.planes import Planes
from fsrcnn.video.still import Still, luma

UPSCALERS = {
    (name, precision): Upscaler(name, precision=precision, threads=1)
    for name, precision in (("fsrcnn-x2", "fast"), ("fsrcnn-x-x3", "fast"), ("fsrcnn-x-x2", "exact"))
}


def frame_of(array: Array, format: str) -> Any:
    frame = av.VideoFrame(array.shape[1], array.shape[0], format)
    luma(frame, "limited").arrays[0][...] = array
    return frame


@settings(max_examples=25, deadline=None)
@given(
    which=st.sampled_from(sorted(UPSCALERS)),
    format=st.sampled_from([("gray", 8), ("yuv420p10le", 10)]),
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    changes=st.lists(st.tuples(*[st.floats(0, 1)] * 4), min_size=1, max_size=4),
    seed=st.integers(0, 1000),
)
def test_any_change(
    which: tuple[str, str], format: tuple[str, int], size: tuple[int, int], changes: list[tuple[float, ...]], seed: int
) -> None:
    """Rectangles of noise, one after the other, a repeated frame between them: each result is the one of the frame alone."""
    upscaler, (name, depth) = UPSCALERS[which], format
    scale = int(upscaler.scale)
    generator = np.random.default_rng(seed)
    dtype: Any = np.uint8 if depth == 8 else np.uint16

    def noise(shape: tuple[int, ...]) -> Array:
        return generator.integers(16 << (depth - 8), 235 << (depth - 8), shape).astype(dtype)

    still, array = Still(upscaler, Control(1)), noise(size)
    for change in ((1.0, 1.0, 0.0, 0.0), *changes):
        top, left = (int(part * (side - 1)) for part, side in zip(change[:2], size, strict=True))
        bottom, right = (
            start + int(part * (side - start)) for part, start, side in zip(change[2:], (top, left), size, strict=True)
        )
        array[top:bottom, left:right] = noise((bottom - top, right - left))
        larger = av.VideoFrame(size[1] * scale, size[0] * scale, name)
        still.fill(frame_of(array, name), larger, "limited")
        expected = upscaled_luma(upscaler, array, (size[0] * scale, size[1] * scale), depth)
        assert np.array_equal(luma_of(larger), expected)


def test_what_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A square of 8 in 200×300: itself, and twice the network's reach around it; of a repeated frame nothing; of most, all."""
    upscaler = UPSCALERS["fsrcnn-x2", "fast"]
    computed: list[tuple[int, int]] = []
    planes = Upscaler.planes

    def watched(self: Upscaler, lr: Planes, sr: Planes, control: Control | None = None) -> None:
        computed.append(lr.size)
        planes(self, lr, sr, control)

    monkeypatch.setattr(Upscaler, "planes", watched)
    still, array = Still(upscaler, Control(1)), np.full((200, 300), 90, np.uint8)
    for _ in range(2):
        still.fill(frame_of(array, "gray"), av.VideoFrame(600, 400, "gray"), "limited")
    array[50:58, 90:98] = 200
    still.fill(frame_of(array, "gray"), av.VideoFrame(600, 400, "gray"), "limited")
    array[0:2], array[198:] = 100, 100
    still.fill(frame_of(array, "gray"), av.VideoFrame(600, 400, "gray"), "limited")
    side = 8 + 4 * upscaler.engine(2).architecture.halo
    assert computed == [(200, 300), (side, side), (200, 300)]


def test_a_frame_belongs_to_whoever_took_it() -> None:
    """Drawn upon, it does not show in the next one."""
    upscaler = UPSCALERS["fsrcnn-x2", "fast"]
    still, array = Still(upscaler, Control(1)), np.full((20, 30), 90, np.uint8)
    results = []
    for _ in range(2):
        larger = av.VideoFrame(60, 40, "gray")
        lr = frame_of(array, "gray")
        still.fill(lr, larger, "limited")
        results.append(luma_of(larger))
        for frame in (lr, larger):
            luma(frame, "limited").arrays[0][...] = 255
    assert np.array_equal(results[0], results[1])
