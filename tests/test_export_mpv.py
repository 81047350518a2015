"""User shaders: what they say, what they cost, and what the players that people have make of them, beside the numpy engine."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsrcnn import models
from fsrcnn.architecture import FAMILY_NAMES, SCALES, Architecture
from fsrcnn.arrays import Array, Uint8
from fsrcnn.engines.numpy import NumpyEngine
from fsrcnn.errors import FsrcnnError, UsageError
from fsrcnn.export import mpv, user_shader
from fsrcnn.weights import Weights
from players import libplacebo, needs_libplacebo, needs_mpv
from players import mpv as play
from support import random_weights, run_command

LEVEL_8 = 1.3  # of 255: half a level of rounding, and what features of 16-bit floats cost
LEVEL_16 = 0.75  # what ffmpeg's Vulkan gives in 16 bit
LEVEL_NEXT = 0.1
FAMILY = [f"{family}-x{scale}" for family in FAMILY_NAMES for scale in SCALES]
OWN = {
    "no mapping": Architecture(6, 5, 0, feature_kernel=3, deconvolution_kernel=5, scale=2),
    "crop 0": Architecture(9, 4, 1, feature_kernel=1, deconvolution_kernel=7, scale=3, crop=0),
    "crop 4": Architecture(4, 7, 2, feature_kernel=5, deconvolution_kernel=9, scale=4, crop=4),
    "one channel": Architecture(1, 1, 1, feature_kernel=3, deconvolution_kernel=3, scale=2, crop=1),
    "wide": Architecture(10, 18, 1, feature_kernel=3, deconvolution_kernel=3, scale=2),
}


def picture(height: int, width: int, seed: int = 0) -> Uint8:
    """(h, w) luma of studio swing: waves, noise, and edges against all four borders."""
    rows, columns = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(seed).normal(0, 12, (height, width))
    waves = 126 + 55 * np.sin(columns / 2) + 45 * np.cos(rows / 3) + noise
    waves[rows % 11 == 0] += 40
    luma: Uint8 = waves.clip(16, 235).astype(np.uint8)
    return luma


def computed(weights: Weights, luma: Array, peak: float = 255) -> Array:
    """What the law makes of it, as a player can show it: in [0, 1]."""
    return NumpyEngine(weights).run((luma / peak).astype(np.float32)).clip(0, 1)


def written(folder: Path, weights: Weights, **options: object) -> Path:
    path = folder / "shader.glsl"
    path.write_text(mpv.shader(weights, **options))  # type: ignore[arg-type]
    return path


def small(architecture: Architecture) -> Weights:
    """Random weights whose pictures stay within what a player can show."""
    weights = random_weights(architecture)
    arrays = {name: array.copy() for name, array in weights.arrays.items()}
    ones = np.ones((6, 6), np.float32)
    result = NumpyEngine(weights).run(0.5 * ones)
    spread = float(np.abs(result - arrays["deconvolution.bias"]).max())
    arrays["deconvolution.weight"] *= np.float32(0.3 / spread)
    arrays["deconvolution.bias"][:] = 0.5
    return Weights(architecture, arrays)


# ── the text ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_number_reads_as_the_float_that_it_was(value: float) -> None:
    text = mpv.number(np.float32(value))
    assert np.float32(text) == np.float32(value)
    assert re.fullmatch(r"-?(\d*\.\d*(e[-+]?\d+)?|\d+e[-+]?\d+)", text)  # else GLSL takes it for a whole number
    assert len(text) <= len(repr(np.float32(value).item()))


@given(st.integers(1, 200))
def test_groups_hold_all_channels_evenly(channels: int) -> None:
    groups = mpv.groups(channels)
    assert [channel for group in groups for channel in range(group.start, group.stop)] == list(range(channels))
    sizes = [group.stop - group.start for group in groups]
    assert max(sizes) <= 4
    assert max(sizes) - min(sizes) <= 1
    columns, rows = mpv.grid(len(groups))
    assert columns * rows >= len(groups) > (columns - 1) * rows


@pytest.mark.parametrize("form", mpv.FORMS)
@pytest.mark.parametrize("name", FAMILY)
def test_passes_bind_what_was_saved_and_stay_within_the_players_limits(name: str, form: str) -> None:
    weights = models.resolve(name)
    a = weights.architecture
    text = mpv.shader(weights, name=name, form=form)
    passes = user_shader.passes(text)
    groups, phases = -(-a.s // 4), -(-(a.scale**2) // 4)
    assert len(passes) == (a.m + 2 if form == "compute" else groups * (a.m + 1) + phases + 1)
    saved = {"LUMA"}
    for number, made in enumerate(passes):
        assert set(made.binds) <= saved
        assert set(re.findall(r"(\w+)_(?:raw|tex|texOff|pos|map|pt|size)\b", made.body)) - {"LUMA"} <= set(made.binds)
        assert len(made.binds) <= 16
        assert made.hook == "LUMA"
        assert made.when == "OUTPUT.w LUMA.w > OUTPUT.h LUMA.h > *"
        assert (made.compute is not None) == (form == "compute")
        shared = [
            int(length) * {"float": 4, "vec4": 16}[kind]
            for kind, length in re.findall(r"shared (\w+) \w+\[(\d+)\];", made.body)
        ]
        assert sum(shared) <= 16384
        assert bool(shared) == (form == "compute")
        last = number == len(passes) - 1
        assert (made.save == "LUMA") == last
        saved.add(made.save)
        if last:
            assert (made.width, made.height) == (a.scale, a.scale)
        assert made.fetches > 0
    assert "OFFSET" not in text  # pixels lie where they lay
    assert "PARAM" not in text


def test_the_head_says_what_it_is() -> None:
    weights = models.resolve("fsrcnn-x-x2")
    text = mpv.shader(weights, name="fsrcnn-x-x2")
    head = text[: text.index("//!")]
    for said in (
        "fsrcnn-x-x2",
        "scale: 2",
        "weights_sha256: ",
        "passes: 4 (compute)",
        "licence: MIT",
        "glsl-shaders=",
    ):
        assert said in head
    assert "licence: MIT" not in mpv.shader(small(OWN["no mapping"]), name="fsrcnn-x-x2")
    assert all(line.startswith("//") for line in head.splitlines() if line)


def test_a_parameter_stands_where_old_players_stop_reading() -> None:
    weights = models.resolve("fsrcnn-x-x2")
    plain, declared = (mpv.shader(weights, antiring=40, parameter=wanted) for wanted in (False, True))
    passes, _, parameter = declared.partition("//!PARAM antiring\n")
    bodies = [[(made.save, made.body.rstrip()) for made in user_shader.passes(text)] for text in (passes, plain)]
    assert bodies[0] == bodies[1]
    assert parameter.splitlines()[-1] == "40"
    assert "#ifndef antiring\n#define antiring 40\n#endif" in plain


# ── what it costs ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_fetches_are_counted_as_by_hand() -> None:
    text = """
//!HOOK LUMA
//!BIND HOOKED
//!SAVE WIDE
//!WIDTH HOOKED.w 3 *
//!COMPUTE 48 16 16 16
shared float tile[324];
void hook() {
for(int i=thread;i<324;i+=256){ tile[i] = HOOKED_tex(vec2(i)).x; }  // 324 for each 256 pixels
float one = texelFetch(HOOKED_raw, ivec2(0), 0).x;                  // 1 for each pixel
}
//!HOOK LUMA
//!BIND WIDE
//!BIND LUMA
//!WIDTH WIDE.w 3 / 2 *
//!HEIGHT LUMA.h 2 *
#ifndef antiring
#define antiring 0
#endif
vec4 hook() {
#if antiring>0
for(int i=0;i<9;i++) LUMA_texOff(i);
#endif
return WIDE_texOff(0) + LUMA_tex(LUMA_pos); // 2 in each of 4
}
"""
    first, second = user_shader.passes(text)
    assert (first.width, first.height, first.compute) == (3, 1, (48, 16, 16, 16))
    assert first.fetches == 324 / 256 + 1
    assert (second.width, second.height, second.save, second.binds) == (2, 2, "LUMA", ["WIDE", "LUMA"])
    assert second.fetches == 8
    cost = user_shader.cost(text)
    assert (cost.passes, cost.texels) == (2, 7)
    assert cost.fetches_per_frame(100, 10) == round(1000 * (324 / 256 + 9))


@pytest.mark.parametrize("form", mpv.FORMS)
def test_anti_ringing_costs_nine_fetches_a_pixel_where_it_is_on(form: str) -> None:
    weights = models.resolve("fsrcnn-x-x2")
    off, on = (user_shader.cost(mpv.shader(weights, form=form, antiring=percent)) for percent in (0, 1))
    assert on.fetches - off.fetches == (9 if form == "compute" else 4 * 9)  # a thread has one LR pixel, or one HR pixel
    assert on.passes == off.passes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("vec4 hook() {}", "no user shader"),
        ("//!HOOK LUMA\n//!WIDTH NONE.w 2 *\nvec4 hook(){}", "not one of textures before it"),
        ("//!HOOK LUMA\n//!WIDTH 2 *\nvec4 hook(){}", "not one of textures before it"),
        ("//!HOOK LUMA\nvec4 hook(){for(int i=0;i<9;i++) LUMA_tex(i);}", "rounds are not known"),
        ("//!HOOK LUMA\nvec4 f(){return LUMA_tex(0);}\nvec4 hook(){return f();}", "beside hook()"),
        ("//!HOOK LUMA\n#define F LUMA_tex(0)\nvec4 hook(){return F;}", "#define F is not counted"),
    ],
)
def test_what_cannot_be_counted_is_refused(text: str, said: str) -> None:
    with pytest.raises(FsrcnnError, match=re.escape(said)):
        user_shader.cost(text)


# ── the command ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_command_writes_a_file_of_the_models_name(tmp_path: Path) -> None:
    done = run_command("export", "mpv", "fsrcnn-x", "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    said = json.loads(done.stdout)
    text = (tmp_path / "fsrcnn-x-x2.glsl").read_text()
    assert text == mpv.shader(models.resolve("fsrcnn-x-x2"), name="fsrcnn-x-x2")
    assert (said["output"], said["passes"], said["bytes"]) == ("fsrcnn-x-x2.glsl", 4, len(text.encode()))
    assert said["fetches_per_1080p_frame"] == round(user_shader.cost(text).fetches * 1920 * 1080)
    strong = run_command(
        "export", "mpv", "fsrcnn-x", "-o", "strong.glsl", "--antiring", "70", "--parameter", cwd=tmp_path
    )
    assert (strong.returncode, strong.stderr) == (0, b"")
    assert (tmp_path / "strong.glsl").read_text().endswith("//!MAXIMUM 100\n70\n")
    again = run_command("export", "mpv", "fsrcnn-x", cwd=tmp_path)
    assert again.returncode != 0
    assert b"--overwrite" in again.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--form", "vertex"], "--form is compute or fragment, not 'vertex'"),
        (["--antiring", "101"], "--antiring is 0 to 100 percent, not 101"),
        (["-o", "x.txt"], "the output ends in .glsl"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path: Path, options: list[str], said: str) -> None:
    done = run_command("export", "mpv", "fsrcnn-x", *options, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr.decode()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("architecture", "form", "said"),
    [
        (Architecture(8, 68, 0, 1, 3, 2), "fragment", "s is at most 64, not 68"),
        (Architecture(8, 80, 0, 1, 3, 2), "compute", "s is at most 64, not 80"),
        (Architecture(400, 60, 4, 1, 3, 2), "compute", "at most 100,000 weights"),
        (Architecture(4, 4, 0, 51, 3, 2), "compute", "16,384 bytes of shared memory"),
        (Architecture(4, 4, 0, 3, 61, 2), "compute", "16,384 bytes of shared memory"),
    ],
)
def test_a_network_too_wide_is_refused_with_the_limit(architecture: Architecture, form: str, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)) as refused:
        mpv.check(architecture, form)
    if refused.value.remedy:  # what is to be typed does help
        assert refused.value.remedy == "give {form='fragment'}"
        mpv.check(architecture, "fragment")


def test_features_too_large_for_textures_are_refused() -> None:
    weights = small(OWN["no mapping"])
    arrays = {name: array.copy() for name, array in weights.arrays.items()}
    for name, factor in (
        ("feature_extraction.weight", 1e7),
        ("feature_extraction.bias", 1e7),
        ("expanding.weight", 1e-7),
    ):
        arrays[name] *= np.float32(factor)
    with pytest.raises(
        UsageError, match=r"16-bit floats, up to 65,504, and features of this network \(shrinking\) go up to"
    ):
        mpv.shader(Weights(weights.architecture, arrays))


def test_a_network_that_rounding_hurts_is_refused() -> None:
    """Features that are large, and cancel each other out: nothing overflows."""
    weights = small(OWN["no mapping"])
    arrays = {name: array.copy() for name, array in weights.arrays.items()}
    arrays["shrinking.bias"] += np.float32(3000)  # the next layer takes away what this adds
    arrays["shrinking.prelu"][:] = 1
    arrays["expanding.bias"] -= 3000 * arrays["expanding.weight"].sum(axis=(1, 2, 3))
    with pytest.raises(
        UsageError, match=r"would change the luma of this network by [\d.]+ levels of 255 on noise; 1.3 are allowed"
    ):
        mpv.shader(Weights(weights.architecture, arrays))


@pytest.mark.parametrize("name", FAMILY)
def test_rounding_costs_the_family_half_a_level(name: str) -> None:
    largest, levels = mpv.rounding(models.resolve(name))
    assert 0.1 < levels < 0.55  # the luma alone, in steps of 1/8 of a level above 127, is up to 0.06 off
    assert max(largest.values()) < 20


def test_a_name_is_one_line_of_text() -> None:
    weights = small(OWN["no mapping"])
    text = mpv.shader(weights, name="a\n//!HOOK RGB\udcff")
    assert "\n// model: a\\n//!HOOK RGB\\udcff\n" in text
    assert "\n//!HOOK RGB" not in text
    assert text.encode()


# ── ffmpeg ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@needs_libplacebo
@pytest.mark.parametrize("name", FAMILY)
def test_ffmpeg_computes_the_family(tmp_path: Path, name: str) -> None:
    weights, luma = models.resolve(name), picture(23, 35)
    scale = weights.architecture.scale
    got = libplacebo(written(tmp_path, weights), luma, 23 * scale, 35 * scale)
    assert np.abs(got - 255 * computed(weights, luma)).max() < LEVEL_8


@needs_libplacebo
@pytest.mark.parametrize(("form", "scale"), [("compute", 2), ("fragment", 2)])
def test_ffmpeg_computes_both_forms_in_16_bit(tmp_path: Path, form: str, scale: int) -> None:
    weights, luma = models.resolve("fsrcnn-x", scale), picture(17, 33)
    got = libplacebo(written(tmp_path, weights, form=form), luma, 17 * scale, 33 * scale, wanted="yuv444p16le")
    assert np.abs(got / 256 - 255 * computed(weights, luma)).max() < LEVEL_16


@needs_libplacebo
@pytest.mark.parametrize("form", mpv.FORMS)
@pytest.mark.parametrize("case", OWN)
def test_ffmpeg_computes_own_networks(tmp_path: Path, case: str, form: str) -> None:
    weights, luma = small(OWN[case]), picture(19, 17)
    scale = weights.architecture.scale
    want = computed(weights, luma)
    assert want.std() > 0.01
    got = libplacebo(written(tmp_path, weights, form=form), luma, 19 * scale, 17 * scale, wanted="yuv444p16le")
    assert np.abs(got / 256 - 255 * want).max() < LEVEL_16


@needs_libplacebo
@pytest.mark.parametrize(("height", "width"), [(1, 9), (16, 16), (2, 49)])
def test_ffmpeg_computes_awkward_sizes(tmp_path: Path, height: int, width: int) -> None:
    weights, luma = small(OWN["no mapping"]), picture(height, width)
    got = libplacebo(written(tmp_path, weights), luma, 2 * height, 2 * width, wanted="yuv444p16le")
    assert np.abs(got / 256 - 255 * computed(weights, luma)).max() < LEVEL_16


@needs_libplacebo
@pytest.mark.parametrize("form", mpv.FORMS)
def test_ten_bits_are_not_taken_for_sixteen(tmp_path: Path, form: str) -> None:
    weights = small(OWN["no mapping"])
    luma = 4 * picture(15, 21).astype(np.uint16) + np.random.default_rng(1).integers(0, 4, (15, 21), np.uint16)
    got = libplacebo(written(tmp_path, weights, form=form), luma, 30, 42, "yuv444p10le", "yuv444p16le")
    assert np.abs(got / 256 - 255 * computed(weights, luma, 1020)).max() < LEVEL_16


@needs_libplacebo
@pytest.mark.parametrize("form", mpv.FORMS)
def test_an_overshoot_stays_within_ten_bits(tmp_path: Path, form: str) -> None:
    luma = np.random.default_rng(0).integers(16, 236, (13, 21)).astype(np.uint16)
    weights = models.resolve("fsrcnn-x-x2")
    assert NumpyEngine(weights).run((luma / 255).astype(np.float32)).max() > 1.1
    path = written(tmp_path, weights, form=form)
    shown = libplacebo(path, 4 * luma, 26, 42, "yuv444p10le", "yuv444p10le")
    assert shown.max() <= 1023
    assert np.abs(shown / 1020 - computed(weights, luma)).max() <= LEVEL_8 / 255


@needs_libplacebo
def test_off_where_nothing_grows(tmp_path: Path) -> None:
    weights, luma = small(OWN["no mapping"]), picture(20, 24)
    shader = written(tmp_path, weights)
    assert (libplacebo(shader, luma, 20, 24) == luma).all()
    taller = libplacebo(shader, luma, 40, 24).astype(int)
    assert np.abs(taller[::2] - luma).mean() < 25  # interpolated, whatever these weights would make of it
    assert np.abs(taller - 255 * computed(weights, luma)[:, ::2]).mean() > 25


@needs_libplacebo
@pytest.mark.parametrize("form", mpv.FORMS)
def test_anti_ringing_brings_back_between_neighbours(tmp_path: Path, form: str) -> None:
    weights, luma = models.resolve("fsrcnn-x-x2") if form == "compute" else small(OWN["no mapping"]), picture(18, 20)
    want = computed(weights, luma)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(luma / 255, 1, mode="edge"), (3, 3))
    low, high = (np.repeat(np.repeat(ends, 2, 0), 2, 1) for ends in (around.min((2, 3)), around.max((2, 3))))
    clamped = want.clip(low, high)
    assert np.abs(want - clamped).max() > 8 / 255
    for percent in (50, 100):
        got = libplacebo(written(tmp_path, weights, form=form, antiring=percent), luma, 36, 40, wanted="yuv444p16le")
        assert np.abs(got / 256 - 255 * (want + percent / 100 * (clamped - want))).max() < LEVEL_16


# ── mpv ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@needs_mpv
@pytest.mark.parametrize("form", mpv.FORMS)
def test_mpv_gpu_computes_in_8_bit(tmp_path: Path, form: str) -> None:
    weights, luma = models.resolve("fsrcnn-x-x2"), picture(60, 75)
    got, said = play(written(tmp_path, weights, form=form), luma, 120, 150, ["--vo=gpu"])
    assert "rror" not in said
    assert 255 * np.abs(got - shown(weights, luma)).max() < LEVEL_8


@needs_mpv
@pytest.mark.parametrize(("form", "name"), [("compute", "fsrcnn-x-x3"), ("fragment", "fsrcnn-x-x2")])
def test_mpv_gpu_next_computes_in_16_bit(tmp_path: Path, form: str, name: str) -> None:
    weights, luma = models.resolve(name), picture(41, 53)
    scale = weights.architecture.scale
    got, said = play(written(tmp_path, weights, form=form), luma, 41 * scale, 53 * scale, ["--vo=gpu-next"])
    assert "rror" not in said
    assert 255 * np.abs(got - shown(weights, luma)).max() < LEVEL_NEXT


def shown(weights: Weights, luma: Array) -> Array:
    """What the law makes of it, as a window shows it: between black and white."""
    return computed(weights, luma).clip(16 / 255, 235 / 255)
