"""Chip cores of many small networks, simulated: to the bit what `IntegerModel.run` says, at whatever speed and on whatever frames."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import cores
import simulators
from cores import Core
from fsrcnn.architecture import Architecture
from fsrcnn.arrays import Array
from fsrcnn.integer import FORMATS, SUM_BITS, IntegerModel
from simulators import INPUT, Stalls, needs_cxxrtl, needs_verilator

CYCLES = (1, 2, 3, 5, 8, 16, 43, 64)
WIDTHS = (1, 2, 3, 4, 7, 16, 17, 33)
CASES = 24


class Case(NamedTuple):
    """A network in a format, and the core that is made of it."""

    architecture: Architecture
    format: str
    depth: int
    cycles: int
    width: int

    def made(self, folder: Path, seed: int) -> Core:
        model = IntegerModel.of(cores.lively(self.architecture, seed), self.format)
        return cores.made(folder, model, self.width, self.cycles, self.depth)


def drawn(number: int) -> Case:
    """A network, always the same for a number; in `CASES` of them each kernel, crop, scale, format, depth and speed comes."""
    generator = np.random.default_rng(number)
    scale = 2 + number % 3
    feature_kernel = (1, 3, 5, 7)[number % 4]
    kernels = [kernel for kernel in (3, 5, 7, 9) if kernel >= scale]
    deconvolution_kernel = 11 if number in (4, 12) else kernels[(number // 3 * 2 + number // 9) % len(kernels)]
    crop = (0, deconvolution_kernel - scale, -1)[number // 3 % 3]
    d, s, m = (int(generator.integers(low, high)) for low, high in ((1, 5), (1, 4), (0, 3)))
    architecture = Architecture(d, s, m, feature_kernel, deconvolution_kernel, scale, crop)
    cycles = CYCLES[(number + number // 8 * 3) % 8]
    return Case(
        architecture,
        list(FORMATS)[number % 5],
        (8, 10)[number // 4 % 2],
        cycles,
        WIDTHS[(number * 3 + number // 8) % 8],
    )


def frames(core: Core, seed: int) -> list[Array]:
    """Frames of all kinds of sizes, the smallest one first and again in between."""
    widest = core.plan.width
    generator = np.random.default_rng(seed)
    sizes = [(1, 1), (1, widest), (5, widest), (1, 1), (6, 1), (2, min(2, widest))]
    sizes += [(int(generator.integers(1, 9)), int(generator.integers(1, widest + 1))) for _ in range(3)]
    return core.noise(*sizes, seed=seed)


def test_the_networks_are_of_all_kinds() -> None:
    cases = [drawn(number) for number in range(CASES)]
    networks = [case.architecture for case in cases]
    assert {a.feature_kernel for a in networks} == {1, 3, 5, 7}
    assert {a.deconvolution_kernel for a in networks} == {3, 5, 7, 9, 11}
    assert {(a.scale, a.crop == 0, a.crop == a.deconvolution_kernel - a.scale) for a in networks} >= {
        (scale, *extreme) for scale in (2, 3, 4) for extreme in ((True, False), (False, True), (False, False))
    }
    assert {a.m for a in networks} == {0, 1, 2}
    assert {case.format for case in cases} == set(FORMATS)
    assert {(case.depth, case.architecture.scale) for case in cases} == {(d, s) for d in (8, 10) for s in (2, 3, 4)}
    assert {case.cycles for case in cases} == set(CYCLES)
    assert {case.width for case in cases} == set(WIDTHS)


@needs_verilator
@pytest.mark.parametrize("number", range(CASES))
def test_by_verilator(number: int, tmp_path: Path) -> None:
    core = drawn(number).made(tmp_path / "core", number)
    sent = frames(core, number)
    smooth = cores.compared(core, sent, seed=number, quick=True)
    for seed, stalls in enumerate((Stalls(0.4, 0.4), Stalls(0, 0.7), Stalls(0.7, 0))):
        cores.compared(core, sent, seed=seed, stalls=stalls, quick=True)
    for part in (0.1, 0.35, 0.6, 0.8):  # a reset in mid-frame, and all of it once more
        cores.compared(core, sent, seed=number, stalls=Stalls(0.1, 0.1), reset_at=int(part * smooth.cycles), quick=True)

    plan = core.plan
    for height, width in ((1, 1), (4, plan.width), (3, (plan.width + 1) // 2)):
        latency, times = cores.times(core, core.noise(*[(height, width)] * 4), quick=True)
        assert latency <= plan.latency(width)
        assert plan.cycles * width * height <= max(times) <= plan.frame_cycles(width, height)


@needs_cxxrtl
@pytest.mark.parametrize("number", [3, 7, 14])
def test_by_cxxrtl(number: int, tmp_path: Path) -> None:
    core = drawn(number).made(tmp_path / "core", number)
    sent = frames(core, number)[:6]
    smooth = cores.compared(core, sent, simulator="cxxrtl", quick=True)
    cores.compared(
        core, sent, simulator="cxxrtl", seed=1, stalls=Stalls(0.3, 0.4), reset_at=smooth.cycles // 2, quick=True
    )


@needs_verilator
@pytest.mark.parametrize("format", FORMATS)
def test_numbers_at_their_bounds(format: str, tmp_path: Path) -> None:
    for seed, architecture in enumerate((Architecture(3, 2, 1, 3, 5, 2), Architecture(2, 3, 1, 5, 3, 3))):
        model = cores.extreme(architecture, format, seed)
        assert all(model.sum_bits(stage.name) == SUM_BITS for stage in architecture.stages)
        core = cores.made(tmp_path / f"{seed}", model, 12, (3, 16)[seed], 10)
        checkers = np.indices((7, 12)).sum(0) % 2 * 1023
        sent = [checkers, 1023 - checkers, np.zeros((4, 9), int), np.full((6, 12), 1023), *core.noise((5, 11))]
        reached: list[int] = []

        def watch(stage: str, features: Array, reached: list[int] = reached) -> None:
            reached += [int(features.min()), int(features.max())]

        for frame in sent:
            model.run(frame, watch)
        limit = 2 ** (model.feature_bits - 1)
        assert (min(reached), max(reached)) == (-limit, limit - 1)  # the clips are at work
        cores.layers_compared(core, sent, seed=seed, stalls=Stalls(0.1, 0.2), quick=True)


@needs_verilator
def test_products_at_their_bounds(tmp_path: Path) -> None:
    core = cores.made(tmp_path / "core", cores.lowest(Architecture(3, 2, 1, 3, 5, 2), "w12a12"), 12, 3, 10)
    checkers = np.indices((7, 12)).sum(0) % 2 * 1023
    cores.layers_compared(core, [checkers, np.full((3, 5), 1023), *core.noise((5, 11))], quick=True)


@needs_verilator
def test_sums_of_few_bits_that_are_cut_off_almost_all(tmp_path: Path) -> None:
    architecture = Architecture(2, 2, 0, 1, 3, 2)
    model = IntegerModel.of(cores.lively(architecture), "w8a8")
    for stage, rule in model.requantising.items():
        model.requantising[stage] = rule._replace(before=model.sum_bits(stage) - 1, after=12)
    model = IntegerModel(architecture, "w8a8", model.kernels, model.biases, model.requantising)
    core = cores.made(tmp_path / "core", model, 5, 4)
    cores.compared(core, core.noise((4, 5), (2, 3)), quick=True)


# What is wrong with a stream: of frame 0, of (3, 5), or what stands before frame 1.
def last_too_early(beats: Array) -> Array:
    beats["last"][6] = 1
    return beats


def last_missing(beats: Array) -> Array:
    beats["last"][9] = 0
    return beats


def last_of_the_frame_missing(beats: Array) -> Array:
    beats["last"][14] = 0
    return beats


def first_in_mid_frame(beats: Array) -> Array:
    beats["user"][7] = 1
    return beats


def pixels_beyond(beats: Array) -> Array:
    more = beats[:5].copy()
    more["user"] = 0
    return np.concatenate([beats, more])


def of_size(width: int, height: int) -> Callable[[Array], Array]:
    def illegal(beats: Array) -> Array:
        beats["width"], beats["height"] = width, height
        return beats

    return illegal


WRONG: dict[
    str, tuple[Callable[[Array], Array], bool]
] = {  # what is done to the first frame, and whether it comes out all the same
    "tlast too early": (last_too_early, True),
    "tlast missing": (last_missing, True),
    "tlast of the frame missing": (last_of_the_frame_missing, True),
    "tuser in mid-frame": (first_in_mid_frame, True),
    "pixels beyond the frame": (pixels_beyond, True),
    "width 0": (of_size(0, 3), False),
    "height 0": (of_size(5, 0), False),
    "too wide": (of_size(10, 3), False),
    "much too wide": (of_size(65535, 3), False),
}


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Core:
    """Of up to 9 columns."""
    model = IntegerModel.of(cores.lively(Architecture(2, 2, 1, 3, 3, 2)), "w12a12")
    return cores.made(tmp_path_factory.mktemp("cores") / "core", model, 9, 4)


def beats(core: Core, frames: list[Array]) -> int:
    return sum(2 * height * -(-2 * width // core.plan.pixels) for height, width in (frame.shape for frame in frames))


def pixels(core: Core, given: Array, frame: Array) -> Array:
    """A frame out of its beats."""
    height, width = frame.shape
    return given["data"].reshape(2 * height, -1)[:, : 2 * width]


@needs_verilator
@pytest.mark.parametrize("mistake", WRONG)
def test_what_is_wrong_is_reported_until_reset(mistake: str, core: Core) -> None:
    spoil, comes_out = WRONG[mistake]
    first, second = core.noise((3, 5), (2, 9))
    right = simulators.beats_of([second])
    sent = np.concatenate([spoil(simulators.beats_of([first])), right])
    out = [first, second] if comes_out else [second]

    def run(**options: Any) -> simulators.Streams:
        return simulators.run(core.folder, sent, core.interface, quick=True, **options)

    ran = run(expected=beats(core, out))
    assert ran.error
    given = ran.given
    for frame in out:  # the frame that follows is right at once
        count = beats(core, [frame])
        np.testing.assert_array_equal(pixels(core, given[:count], frame), core.expected(frame))
        given = given[count:]
    # A reset when all is in: then only the frame that is right.
    again = run(expected=None, reset_at=ran.cycles - 64, after_reset=len(sent) - len(right), patience=500)
    assert not again.error
    assert len(again.given) == beats(core, [second])
    np.testing.assert_array_equal(pixels(core, again.given, second), core.expected(second))


@needs_verilator
def test_what_comes_before_the_first_frame_is_dropped_and_no_error(core: Core) -> None:
    before = np.zeros(7, INPUT)
    before["width"], before["height"], before["data"], before["last"][3] = 9, 3, 200, 1
    (frame,) = core.noise((3, 4))
    sent = np.concatenate([before, simulators.beats_of([frame])])
    ran = simulators.run(core.folder, sent, core.interface, beats(core, [frame]), quick=True, stalls=Stalls(0.3, 0.3))
    assert not ran.error
    np.testing.assert_array_equal(pixels(core, ran.given, frame), core.expected(frame))


@needs_verilator
@pytest.mark.parametrize("height", [300, 65535])
def test_high_frames(core: Core, height: int) -> None:
    frames = core.noise((height, 1), (2, 2))
    cores.compared(core, frames, quick=True)
