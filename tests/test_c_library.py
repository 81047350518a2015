"""The C library: the very bytes of the Python package for every format; files that are wrong, refused by a sentence; and the installed
tree, used from C, C++ and Rust as its page says."""

from __future__ import annotations

import ctypes
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import c_library as c
from c_library import EXACT, FAST, CError, CLibrary, Control, Image, Plane, Watch, image_of
from fsrcnn import Upscaler, pretrained, weights
from fsrcnn.architecture import FAMILY_NAMES, Architecture, family, name_of
from fsrcnn.arrays import Array
from fsrcnn.color import MATRICES
from fsrcnn.engines import native
from fsrcnn.errors import UsageError, WeightsError
from fsrcnn.planes import FLOAT, GREY_GAIN, GREY_OFFSET, LAYOUTS, SITINGS, Colour, Layout, Planes
from fsrcnn.windows import Taps
from fuzz import mutant
from support import ENVIRONMENT, ROOT, STRIDES, blank, noise, random_planes, random_weights, strided

if sys.platform != "linux":
    pytest.skip("names of libraries and tools are those of Linux here", allow_module_level=True)
if not native.available():
    pytest.skip("the native engine was not built: no C++ compiler", allow_module_level=True)

EXAMPLES = ROOT / "examples" / "c-library"
STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")
PRECISIONS = {"exact": EXACT, "fast": FAST}
with_library = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def kinds(draw: st.DrawFn) -> tuple[Layout, Colour]:
    layout = draw(st.sampled_from(list(LAYOUTS.values())))
    limited = not layout.is_rgb and not layout.alpha and draw(st.booleans())
    depth = draw(st.sampled_from([*range(8, 17), FLOAT]))
    matrix = draw(st.sampled_from(list(MATRICES)))
    return layout, Colour(matrix, "limited" if limited else "full", depth, draw(st.sampled_from(SITINGS)))


def larger(planes: Planes, scale: int, depth: int | None = None) -> Planes:
    """The planes of a result that nothing has been written to."""
    colour = replace(planes.colour, depth=depth or planes.colour.depth)
    return blank(planes.layout, colour, (scale * planes.size[0], scale * planes.size[1]))


def assert_bytes_of_python(model: c.Model, engine: native.NativeEngine, lr: Planes, depth: int | None = None) -> None:
    scale = engine.architecture.scale
    ours, expected = larger(lr, scale, depth), larger(lr, scale, depth)
    model.upscale(image_of(lr), image_of(ours))
    engine.planes(lr, expected)
    for array, other in zip(ours.arrays, expected.arrays, strict=True):
        np.testing.assert_array_equal(array, other)


# ── pixels ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", [row for row in pretrained.table() if not row.endswith(".t91")])
def test_bundled_weights_on_photos_and_frames(c_library: CLibrary, name: str, precision: str) -> None:
    found = pretrained.load(name)
    model = c_library.model(found.to_bytes(), PRECISIONS[precision])
    engine = native.NativeEngine(found, precision)
    for number, (layout, colour) in enumerate(
        [("rgb", Colour()), ("rgba", Colour(depth=16)), ("yuv420", Colour("bt709", "limited", 10)), ("grey", Colour(depth=FLOAT))]
    ):  # fmt: skip
        assert_bytes_of_python(model, engine, random_planes(LAYOUTS[layout], colour, (21 + number, 37), hidden=0.3))


@with_library
@given(
    kinds(), st.sampled_from(FAMILY_NAMES), st.sampled_from([2, 3, 4]), st.sampled_from(list(PRECISIONS)), st.integers(1, 40),
    st.integers(1, 60), st.sampled_from([None, 8, 9, 10, 16, FLOAT]), st.integers(0, 9),
)  # fmt: skip
def test_any_format_and_size(
    c_library: CLibrary, kind: tuple[Layout, Colour], name: str, scale: int, precision: str, height: int, width: int,
    depth: int | None, seed: int,
) -> None:  # fmt: skip
    found = random_weights(family(name, scale), seed)
    model = c_library.model(found.to_bytes(), PRECISIONS[precision])
    planes = random_planes(*kind, (height, width), hidden=0.3, seed=seed)
    assert_bytes_of_python(model, native.NativeEngine(found, precision), planes, depth)


@with_library
@given(
    st.integers(1, 33), st.integers(1, 17), st.integers(0, 3), st.sampled_from([1, 3, 5, 7]), st.sampled_from([5, 7, 9, 13, 21]),
    st.sampled_from([2, 3, 4]), st.data(), st.integers(0, 9),
)  # fmt: skip
def test_any_network(
    c_library: CLibrary, d: int, s: int, m: int, first: int, last: int, scale: int, data: st.DataObject, seed: int
) -> None:
    """Its facts, and the whole numbers of `fast`, from which float32 luma comes out the same to the bit."""
    architecture = Architecture(d, s, m, first, last, scale, data.draw(st.integers(0, last - scale)))
    found = random_weights(architecture, seed)
    for precision, number in PRECISIONS.items():
        model = c_library.model(found.to_bytes(), number)
        engine = native.NativeEngine(found, precision)
        assert_bytes_of_python(model, engine, Planes.luma(noise(17, 23, seed)))
        facts = model.facts
        for field in ("d", "s", "m", "feature_kernel", "deconvolution_kernel", "scale", "crop", "halo"):
            assert getattr(facts, field) == getattr(architecture, field)
        assert (facts.precision, facts.name.decode(), facts.description.decode()) == (
            number, name_of(architecture), engine.describe(),
        )  # fmt: skip


@pytest.mark.parametrize("layout", ["grey", "yuv420", "yuv444"])
def test_floats_of_free_range_are_never_clipped(c_library: CLibrary, layout: str) -> None:
    """Chroma around 0, luma beyond white: Python has no such range, so luma is the network's alone and chroma `Taps`'."""
    found = pretrained.load("fsrcnn-x-x2")
    model, engine = c_library.model(found.to_bytes()), native.NativeEngine(found)
    lr = random_planes(LAYOUTS[layout], Colour(depth=FLOAT), (17, 23))
    lr.arrays[0][...] = lr.arrays[0] * np.float32(1.6) - np.float32(0.3)
    for chroma in lr.arrays[1:]:
        chroma -= np.float32(0.5)
    sr = larger(lr, 2)
    model.upscale(image_of(lr, free=True), image_of(sr, free=True))
    luma = (engine.run(GREY_OFFSET + GREY_GAIN * lr.arrays[0]) - GREY_OFFSET) / GREY_GAIN
    np.testing.assert_array_equal(sr.arrays[0], luma)
    assert luma.min() < -0.1
    assert luma.max() > 1.1
    taps = Taps(lr.layout, lr.colour, lr.size, sr.size)
    for number, chroma in enumerate(lr.arrays[1:], 1):
        expected = taps.resize(number, chroma, (0, *lr.size[:1], 0, lr.size[1]), (0, sr.size[0], 0, sr.size[1]))
        np.testing.assert_allclose(sr.arrays[number], expected, rtol=0, atol=1e-6)
        assert expected.min() < -0.4


@pytest.mark.parametrize("kind", STRIDES)
@pytest.mark.parametrize("depth", [8, 10, FLOAT])
def test_samples_may_lie_anywhere(c_library: CLibrary, kind: str, depth: int) -> None:
    found = pretrained.load("fsrcnn-x-x2")
    model, engine = c_library.model(found.to_bytes()), native.NativeEngine(found)
    planes = random_planes(LAYOUTS["yuv420"], Colour("bt709", "limited", depth), (13, 18))
    expected, ours = larger(planes, 2), larger(planes, 2)
    engine.planes(planes, expected)
    awkward = replace(ours, arrays=tuple(strided(array, kind) for array in ours.arrays))
    model.upscale(
        image_of(replace(planes, arrays=tuple(strided(array, kind) for array in planes.arrays))), image_of(awkward)
    )
    for array, other in zip(awkward.arrays, expected.arrays, strict=True):
        np.testing.assert_array_equal(array, other)


def test_packed_and_planar_blocks(c_library: CLibrary) -> None:
    raw = c_library.raw
    rgb, yuv = c.Format(2, 16, 0, 0, 0), c.Format(6, 10, 1, 1, 0)
    block = np.zeros(raw.fsrcnn_bytes(rgb, 7, 5), np.uint8)
    assert block.size == 7 * 5 * 3 * 2
    image = raw.fsrcnn_packed(rgb, 7, 5, block.ctypes.data)
    assert [(plane.data, plane.row_stride, plane.column_stride) for plane in image.plane[:3]] == [
        (block.ctypes.data + 2 * channel, 42, 6) for channel in range(3)
    ]
    block = np.zeros(raw.fsrcnn_bytes(yuv, 7, 5), np.uint8)
    assert block.size == 2 * (7 * 5 + 2 * 4 * 3)
    image = raw.fsrcnn_planar(yuv, 7, 5, block.ctypes.data)
    assert [(p.data - block.ctypes.data, p.row_stride, p.column_stride) for p in image.plane[:3]] == [
        (0, 14, 2),
        (70, 8, 2),
        (94, 8, 2),
    ]
    assert [raw.fsrcnn_plane_width(yuv, 7, plane) for plane in range(-1, 4)] == [0, 7, 4, 4, 0]
    assert [raw.fsrcnn_plane_height(yuv, 5, plane) for plane in range(-1, 4)] == [0, 5, 3, 3, 0]
    assert [raw.fsrcnn_planes(c.Format(layout, 8)) for layout in range(-1, 8)] == [0, 1, 2, 3, 4, 3, 3, 3, 0]
    assert raw.fsrcnn_packed(yuv, 7, 5, block.ctypes.data).plane[0].data is None  # 4:2:0 has no pixels side by side
    for width, height in ((0, 5), (7, -1), (2**33, 1), (2**32, 2**32)):
        assert raw.fsrcnn_bytes(rgb, width, height) == 0


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"layout": 7}, "the result: a layout is FSRCNN_GRAY to FSRCNN_YUV420 (0 to 6), not 7"),
        ({"depth": 17}, "the result: depth is 8 to 16 bits, or 32 for float, not 17"),
        ({"depth": 0}, "the result: depth is 8 to 16 bits, or 32 for float, not 0"),
        ({"range": 3}, "the result: a range is FSRCNN_FULL_RANGE to FSRCNN_FREE_RANGE (0 to 2), not 3"),
        ({"range": 2}, "the result: FSRCNN_FREE_RANGE is for float (depth 32), not for 8 bits"),
        ({"range": 1, "layout": 2}, "the result: RGB and pictures with alpha are not of limited range"),
        ({"matrix": -1}, "the result: a matrix is FSRCNN_BT601 to FSRCNN_BT2020 (0 to 2), not -1"),
        ({"siting": 3}, "the result: a siting is FSRCNN_LEFT to FSRCNN_TOP_LEFT (0 to 2), not 3"),
        ({"layout": 4}, "the layout of the result is yuv444, that of the picture yuv420"),
        ({"range": 0}, "the range of the result is full, that of the picture limited"),
        ({"matrix": 1}, "the matrix of the result is BT.709, that of the picture BT.601"),
        ({"siting": 1}, "the siting of the result is center, that of the picture left"),
        ({"width": 21}, "10×6 pixels at ×2 become 20×12, not 21×12"),
        ({"height": 0}, "10×6 pixels at ×2 become 20×12, not 20×0"),
    ],
)
def test_images_that_do_not_fit(c_library: CLibrary, changes: Mapping[str, int], words: str) -> None:
    model = c_library.model(pretrained.load("fsrcnn-x-x2").to_bytes())
    lr = random_planes(LAYOUTS["yuv420"], Colour(range="limited"), (6, 10))
    sr = larger(lr, 2)
    image = image_of(sr)
    for name, value in changes.items():
        setattr(image if hasattr(image, name) else image.format, name, value)
    with pytest.raises(CError) as caught:
        model.upscale(image_of(lr), image)
    assert str(caught.value) == words
    assert all((array == 77).all() for array in sr.arrays)


def test_a_result_in_the_pictures_memory(c_library: CLibrary) -> None:
    model = c_library.model(pretrained.load("fsrcnn-x-x2").to_bytes())
    block = np.zeros(5000, np.uint8)
    grey = c.Format(0, 8)
    lr = c_library.raw.fsrcnn_packed(grey, 20, 20, block.ctypes.data + 1600)
    model.upscale(lr, c_library.raw.fsrcnn_packed(grey, 40, 40, block.ctypes.data))
    with pytest.raises(CError, match="the result lies in the memory of the picture, which it would overwrite"):
        model.upscale(lr, c_library.raw.fsrcnn_packed(grey, 40, 40, block.ctypes.data + 1))


def test_more_memory_than_any_machine_has(c_library: CLibrary) -> None:
    """Bicubic taps for 2^30 columns; the planes are never touched."""
    resource = pytest.importorskip("resource")
    model = c_library.model(pretrained.load("fsrcnn-x-x2").to_bytes())
    rgb, one = c.Format(2, 8), np.zeros(8, np.uint8)
    lr = Image(rgb, 2**30, 1, (Plane * 4)(*[Plane(one.ctypes.data + i, 1, -1) for i in range(3)]))
    sr = Image(rgb, 2**31, 2, (Plane * 4)(*[Plane(one.ctypes.data + 3 + i, 1, 1) for i in range(3)]))
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2**35, before[1]))
    try:
        with pytest.raises(CError, match="there is not enough memory") as caught:
            model.upscale(lr, sr)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert caught.value.status == 2


def test_files_that_are_none(c_library: CLibrary, tmp_path: Path) -> None:
    def refusal(path: Path) -> str:
        with pytest.raises(CError) as caught:
            c_library.model(path)
        return str(caught.value)

    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "model.pth").write_bytes(b"PK\x03\x04" + bytes(90))
    (tmp_path / "others").write_bytes(pretrained.load("fsrcnn-x-x2").to_bytes().replace(b"fsrcnn.arch", b"others.arch"))
    with (tmp_path / "large").open("wb") as file:
        file.truncate(64 * 2**20 + 1)
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "absent") == f"'{tmp_path}/absent' does not exist"
    assert refusal(tmp_path) == f"'{tmp_path}' is a folder, not a weights file"
    assert refusal(tmp_path / "pipe") == f"'{tmp_path}/pipe' is a device or a pipe, and weights are read from files"
    assert "is not a safetensors weights file, or its header is damaged" in refusal(tmp_path / "empty")
    assert "(it is a pickle or PyTorch checkpoint, which is never loaded)" in refusal(tmp_path / "model.pth")
    assert "has more than 64 MiB" in refusal(tmp_path / "large")
    assert "holds arrays but no fsrcnn.architecture metadata" in refusal(tmp_path / "others")
    long = refusal(tmp_path / ("ü" * 120) / ("ü" * 120))  # cut in the middle of a letter, were it cut anywhere
    assert "…' does not exist" in long
    strange = tmp_path / os.fsdecode(
        b"a\xffb\xed\xa0\x80c\xe2\x82\xacd\xf0\x9f\x98\x80\xc0\xaf\n"
    )  # € and a face are letters
    assert refusal(strange) == f"'{tmp_path}/a?b???c€d😀???' does not exist"


def test_a_file_is_all_it_takes(c_library: CLibrary, tmp_path: Path) -> None:
    found = random_weights(Architecture(7, 3, 1, 3, 5, 2))
    found.save(tmp_path / "größer.safetensors")
    assert_bytes_of_python(
        c_library.model(tmp_path / "größer.safetensors"), native.NativeEngine(found), Planes.luma(noise(9, 9))
    )


def test_mutants_are_taken_as_python_takes_them_or_refused(c_library: CLibrary) -> None:
    """Nothing is opened that Python refuses; what both open computes the same; C is stricter where a header says too much."""
    found = random_weights(Architecture(3, 2, 1, 3, 3, 2))
    dice, opened, stricter = random.Random(0), 0, 0
    good = found.to_bytes()
    for _ in range(4000):
        data = mutant(good, dice)
        try:
            theirs = weights.from_bytes(data, "it")
        except WeightsError:
            with pytest.raises(CError) as caught:
                c_library.model(data)
            assert caught.value.status == 16
            assert str(caught.value).isprintable()
            continue
        try:
            model = c_library.model(data)
        except CError as error:
            assert "header is damaged" in str(error)  # noqa: PT017  (a part of the cases)
            stricter += 1
            continue
        opened += 1
        assert_bytes_of_python(model, native.NativeEngine(theirs), Planes.luma(noise(3, 4)))
    assert opened > 50
    assert stricter < opened / 10


@pytest.mark.parametrize("slope", [0.0, 1.5, 40.0, 1e6])
def test_slopes_too_steep_for_fast(c_library: CLibrary, slope: float) -> None:
    found = random_weights(Architecture(9, 5, 2, 5, 9, 2))
    for name, array in found.arrays.items():
        if name.endswith(".prelu"):
            array[:] = slope
    try:
        engine = native.NativeEngine(found, "fast")
    except UsageError as error:
        with pytest.raises(CError, match=re.escape(str(error).split(";")[0].split(":")[0])) as caught:
            c_library.model(found.to_bytes(), FAST)
        assert caught.value.status == 17
    else:
        assert_bytes_of_python(c_library.model(found.to_bytes(), FAST), engine, Planes.luma(noise(9, 9)))


def test_networks_too_wide_for_fast(c_library: CLibrary) -> None:
    found = random_weights(Architecture(1024, 1, 0, 1, 47, 2))
    with pytest.raises(UsageError, match="this network is too wide for precision fast"):
        native.NativeEngine(found, "fast")
    with pytest.raises(CError, match="this network is too wide for precision fast"):
        c_library.model(found.to_bytes(), FAST)


def test_precision_and_instruction_sets(c_library: CLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    found = pretrained.load("fsrcnn-x-x2")
    data, offered = found.to_bytes(), native.instruction_sets()
    monkeypatch.delenv("FSRCNN_ISA", raising=False)
    assert tuple(c_library.raw.fsrcnn_instruction_sets().decode().split()) == offered
    assert c_library.model(data).facts.description.decode().startswith(offered[0])
    for instruction_set in offered:
        model = c_library.model(data, FAST, instruction_set.encode())
        assert model.facts.description.decode() == f"{instruction_set}, 16-bit whole numbers"
        engine = native.NativeEngine(found, "fast")
        assert_bytes_of_python(model, engine, random_planes(LAYOUTS["rgb"], Colour(), (9, 40)))
    monkeypatch.setenv("FSRCNN_ISA", "generic")
    assert c_library.model(data).facts.description == b"generic, float32"
    assert c_library.model(data, EXACT, offered[0].encode()).facts.description.decode().startswith(offered[0])
    monkeypatch.setenv("FSRCNN_ISA", "sse9")
    with pytest.raises(CError, match=r"there is no instruction set 'sse9' here; there are .*generic for FSRCNN_ISA"):
        c_library.model(data)
    with pytest.raises(CError, match=r"there is no instruction set 'mmx' here; there are .*generic$"):
        c_library.model(data, EXACT, b"mmx")
    with pytest.raises(CError, match=re.escape("precision is FSRCNN_EXACT (0) or FSRCNN_FAST (1), not 2")):
        c_library.model(data, 2)


def test_progress_and_cancelling(c_library: CLibrary) -> None:
    model = c_library.model(pretrained.load("fsrcnn-x2").to_bytes())
    lr = random_planes(LAYOUTS["grey"], Colour(), (2500, 900))
    sr, seen = larger(lr, 2), []

    def look(address: int) -> None:
        control = Control.from_address(address)
        seen.append(control.done)
        control.cancel = int(len(seen) == 2)

    control = Control(watch=Watch(look))
    with pytest.raises(CError, match="upscaling 900×2500 pixels: it was stopped before it was finished") as caught:
        model.upscale(image_of(lr), image_of(sr), 1, control)
    assert caught.value.status == 1
    assert len(seen) == 2
    assert 0 < control.done < 900 * 2500


# ── the installed tree ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


Environment = Mapping[str, str]


def run(
    *command: str | Path, stdin: bytes = b"", place: Environment | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        list(map(str, command)),
        capture_output=True,
        input=stdin,
        env={**ENVIRONMENT, **(place or {})},
        check=False,
        timeout=300,
    )


def succeed(*command: str | Path, stdin: bytes = b"", place: Environment | None = None) -> bytes:
    """Its standard output."""
    done = run(*command, stdin=stdin, place=place)
    assert done.returncode == 0, done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
    return done.stdout


def cmake() -> str:
    assert c.CMAKE is not None  # else `c_prefix` has skipped the test
    return c.CMAKE


def flags_of(prefix: Path) -> list[str]:
    if shutil.which("pkg-config") is None:
        pytest.skip("pkg-config is not installed: apt-get install pkg-config")
    path = str(prefix / "lib" / "pkgconfig")
    weights_folder = (
        succeed("pkg-config", "--variable=weightsdir", "fsrcnn", place={"PKG_CONFIG_PATH": path}).decode().strip()
    )
    assert weights.load(Path(weights_folder) / "fsrcnn-x2.safetensors").architecture == family("fsrcnn", 2)
    return succeed("pkg-config", "--cflags", "--libs", "fsrcnn", place={"PKG_CONFIG_PATH": path}).decode().split()


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "fsrcnn-x2.safetensors"
    pretrained.load("fsrcnn-x2").save(path)
    return path


def test_what_is_installed(c_prefix: Callable[[str], Path]) -> None:
    shared, static = c_prefix("shared"), c_prefix("static")
    expected = {
        "include/fsrcnn.h", "include/fsrcnn_engine.h", "lib/pkgconfig/fsrcnn.pc", "lib/cmake/fsrcnn/fsrcnnConfig.cmake",
        "lib/cmake/fsrcnn/fsrcnnConfigVersion.cmake", "lib/cmake/fsrcnn/fsrcnnTargets.cmake",
        "lib/cmake/fsrcnn/fsrcnnTargets-release.cmake",
    }  # fmt: skip

    expected |= {f"share/fsrcnn/{name}.safetensors" for name in pretrained.table() if not name.endswith(".t91")}

    def files(prefix: Path) -> set[str]:
        return {str(path.relative_to(prefix)) for path in prefix.rglob("*") if not path.is_dir()}

    libraries = files(shared) - expected
    assert {name.removeprefix("lib/libfsrcnn.so") for name in libraries} == {
        "",
        f".{native.ABI}",
        f".{native.ABI}.{version()}",
    }
    assert files(static) == expected | {"lib/libfsrcnn.a"}
    assert files(shared) >= expected
    assert str(shared).encode() not in (shared / "lib/pkgconfig/fsrcnn.pc").read_bytes()  # it may be moved


def version() -> str:
    found = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert found
    return found[1]


def test_only_its_own_names_are_exported(c_prefix: Callable[[str], Path]) -> None:
    if shutil.which("nm") is None:
        pytest.skip("nm is not installed: apt-get install binutils")
    table = succeed("nm", "-D", "--defined-only", c_prefix("shared") / "lib" / "libfsrcnn.so").decode()
    names = {line.split()[-1].partition("@")[0] for line in table.splitlines()}
    headers = "".join((ROOT / "native" / name).read_text() for name in ("fsrcnn.h", "fsrcnn_engine.h"))
    assert names == set(re.findall(r"^FSRCNN_API .*?\b(fsrcnn_\w+)\(", headers, re.MULTILINE))


def test_the_abi_is_one_number(c_prefix: Callable[[str], Path], c_library: CLibrary) -> None:
    assert c_library.raw.fsrcnn_abi() == native.ABI
    dynamic = succeed("readelf", "-d", c_prefix("shared") / "lib" / "libfsrcnn.so").decode()
    assert f"[libfsrcnn.so.{native.ABI}]" in dynamic
    assert f"const ABI: i32 = {native.ABI};" in (EXAMPLES / "upscale_pgm.rs").read_text()
    header = (ROOT / "native" / "fsrcnn.h").read_text()
    statuses = header.split("enum fsrcnn_status {")[1].split("}")[0].count("=")
    assert len({c_library.raw.fsrcnn_explain(status) for status in range(statuses + 1)}) == statuses + 1


@pytest.mark.parametrize("header", ["fsrcnn.h", "fsrcnn_engine.h"])
def test_headers_alone_are_clean(c_prefix: Callable[[str], Path], header: str, tmp_path: Path) -> None:
    """Each as the first thing that a file includes."""
    include = c_prefix("shared") / "include"
    for name, compiler in (("a.c", ("cc", "-std=c99")), ("a.cpp", ("c++", "-std=c++17"))):
        (tmp_path / name).write_text(f"#include <{header}>\n")
        succeed(
            *compiler,
            *STRICT,
            "-Wstrict-prototypes" if name == "a.c" else "-Wextra",
            "-I",
            include,
            "-fsyntax-only",
            tmp_path / name,
        )


def pnm(pixels: Array) -> bytes:
    height, width = pixels.shape[:2]
    kind, most = ("P5" if pixels.ndim == 2 else "P6"), np.iinfo(pixels.dtype).max
    return (
        f"{kind}\n# a remark\n{width} {height}\n{most}\n".encode()
        + pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()
    )


def of_pnm(data: bytes) -> Array:
    kind, size, most, samples = data.split(b"\n", 3)
    width, height = map(int, size.split())
    dtype = np.dtype(np.uint8 if most == b"255" else ">u2")
    return (
        np.frombuffer(samples, dtype)
        .reshape((height, width) if kind == b"P5" else (height, width, 3))
        .astype(dtype.newbyteorder("="))
    )


def pictures() -> list[Array]:
    generator = np.random.default_rng(1)
    return [
        generator.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
        for dtype in (np.uint8, np.uint16)
        for shape in ((31, 45), (17, 29, 3))
    ]


def check_pnm(program: Path, bundled: Path, folder: Path, place: Environment | None = None) -> None:
    """The example in C makes of pictures what the Python package makes of them."""
    upscaler = Upscaler(bundled, engine="native")
    for pixels in pictures():
        (folder / "in.pnm").write_bytes(pnm(pixels))
        succeed(program, bundled, folder / "in.pnm", folder / "out.pnm", place=place)
        np.testing.assert_array_equal(of_pnm((folder / "out.pnm").read_bytes()), upscaler(pixels))
    for arguments, words in (
        ((folder / "absent", folder / "in.pnm"), f"weights: '{folder}/absent' does not exist"),
        ((bundled, bundled), "it is neither a binary PGM (P5) nor PPM (P6)"),
    ):
        refused = run(program, *arguments, folder / "other.pnm", place=place)
        assert refused.returncode == 1
        assert words in refused.stderr.decode()
        assert not (folder / "other.pnm").exists()


def check_y4m(program: Path, bundled: Path, place: Environment | None = None) -> None:
    """The example in C++ makes of a film's frames what the engine makes of them."""
    engine = native.NativeEngine(weights.load(bundled))
    for name, layout, colour in (
        ("420jpeg", "yuv420", Colour("bt709", "limited", siting="center")),
        ("422", "yuv422", Colour("bt709", "limited")),
        ("420p10 XCOLORRANGE=FULL", "yuv420", Colour("bt709", "full", 10)),
        ("mono", "grey", Colour("bt709", "limited")),
    ):
        film = f"YUV4MPEG2 W27 H15 F25:1 Ip C{name}\n".encode()
        expected = film.replace(b"W27 H15", b"W54 H30")
        for seed in range(2):
            lr = random_planes(LAYOUTS[layout], colour, (15, 27), seed=seed)
            sr = larger(lr, 2)
            engine.planes(lr, sr)
            film += b"FRAME\n" + b"".join(array.tobytes() for array in lr.arrays)
            expected += b"FRAME\n" + b"".join(array.tobytes() for array in sr.arrays)
        assert succeed(program, bundled, stdin=film, place=place) == expected
    for wrong, words in (
        (b"RIFF", "this is no YUV4MPEG2"),
        (b"YUV4MPEG2 W9 H9 C411\n", "there is no colour space 411 here"),
        (b"YUV4MPEG2 W9 H9 It\n", "the film is interlaced"),
        (b"YUV4MPEG2 C420\n", "the header says no size"),
        (film[:-1], "the film is cut short"),
    ):
        refused = run(program, bundled, stdin=wrong, place=place)
        assert refused.returncode == 1
        assert words in refused.stderr.decode()


@pytest.mark.parametrize("kind", ["shared", "static"])
def test_examples_by_pkg_config(c_prefix: Callable[[str], Path], bundled: Path, kind: str, tmp_path: Path) -> None:
    prefix = c_prefix(kind)
    flags = flags_of(prefix)
    succeed("cc", "-std=c99", *STRICT, EXAMPLES / "upscale_pnm.c", "-o", tmp_path / "upscale_pnm", *flags)
    succeed("c++", "-std=c++17", *STRICT, EXAMPLES / "upscale_y4m.cpp", "-o", tmp_path / "upscale_y4m", *flags)
    place = {"LD_LIBRARY_PATH": str(prefix / "lib") if kind == "shared" else ""}
    check_pnm(tmp_path / "upscale_pnm", bundled, tmp_path, place)
    check_y4m(tmp_path / "upscale_y4m", bundled, place)


@pytest.mark.parametrize("only_c", [False, True])
@pytest.mark.parametrize("kind", ["shared", "static"])
def test_examples_by_find_package(
    c_prefix: Callable[[str], Path], bundled: Path, kind: str, only_c: bool, tmp_path: Path
) -> None:
    """CMake puts the place of a shared library into the programs it builds."""
    flags = " ".join(STRICT)
    succeed(
        cmake(), "-S", EXAMPLES, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={c_prefix(kind)}", f"-DONLY_C={only_c}",
        f"-DCMAKE_C_FLAGS={flags}", f"-DCMAKE_CXX_FLAGS={flags}",
    )  # fmt: skip
    succeed(cmake(), "--build", tmp_path / "build")
    check_pnm(tmp_path / "build" / "upscale_pnm", bundled, tmp_path)
    if not only_c:
        check_y4m(tmp_path / "build" / "upscale_y4m", bundled)


def test_another_version_is_not_found(c_prefix: Callable[[str], Path], tmp_path: Path) -> None:
    project = (EXAMPLES / "CMakeLists.txt").read_text().replace("find_package(fsrcnn 0.1 ", "find_package(fsrcnn 9.1 ")
    (tmp_path / "CMakeLists.txt").write_text(project)
    refused = run(
        "cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={c_prefix('shared')}", "-DONLY_C=ON"
    )
    assert refused.returncode != 0
    assert f"version: {version()}" in refused.stderr.decode()


def test_the_example_in_rust(c_prefix: Callable[[str], Path], bundled: Path, tmp_path: Path) -> None:
    if shutil.which("rustc") is None:
        pytest.skip("rustc is not installed: apt-get install rustc")
    libraries = c_prefix("shared") / "lib"
    program = tmp_path / "upscale_pgm"
    succeed(
        "rustc",
        "--edition",
        "2021",
        "-D",
        "warnings",
        "-L",
        f"native={libraries}",
        EXAMPLES / "upscale_pgm.rs",
        "-o",
        program,
    )
    pixels = pictures()[0]
    (tmp_path / "in.pgm").write_bytes(pnm(pixels))
    done = run(program, bundled, tmp_path / "in.pgm", tmp_path / "out.pgm", place={"LD_LIBRARY_PATH": str(libraries)})
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr.decode().endswith("100 %\n")
    expected = Upscaler(bundled, engine="native", precision="fast")(pixels)
    np.testing.assert_array_equal(of_pnm((tmp_path / "out.pgm").read_bytes()), expected)
    refused = run(
        program,
        tmp_path / "absent",
        tmp_path / "in.pgm",
        tmp_path / "no.pgm",
        place={"LD_LIBRARY_PATH": str(libraries)},
    )
    assert (refused.returncode, refused.stderr.decode()) == (1, f"upscale_pgm: '{tmp_path}/absent' does not exist\n")


def test_a_c_program_in_ten_lines(c_prefix: Callable[[str], Path], bundled: Path, tmp_path: Path) -> None:
    """The one at the head of `fsrcnn.h`."""
    header = (ROOT / "native" / "fsrcnn.h").read_text().split("#ifndef")[0]
    lines = [line.removeprefix(" *").strip() for line in header.splitlines() if line.startswith(" *     ")]
    assert len(lines) <= 10
    (tmp_path / "a.c").write_text(
        "#include <fsrcnn.h>\n#include <stdio.h>\n#include <stdlib.h>\nint main(void) {\n"
        "static unsigned char pixels[5 * 7 * 3];\nconst int width = 7, height = 5;\nsize_t i;\n"
        "for (i = 0; i < sizeof pixels; i++) pixels[i] = (unsigned char)(97 * i);\n"
        + "\n".join(lines[:-1])
        + "\nfwrite(sr.plane[0].data, 1, 4 * sizeof pixels, stdout);\nfree(sr.plane[0].data);\n"
        + lines[-1]
        + "\nreturn 0;\n}\n"
    )
    prefix = c_prefix("shared")
    succeed("cc", "-std=c99", *STRICT, tmp_path / "a.c", "-o", tmp_path / "a", *flags_of(prefix))
    place = {**ENVIRONMENT, "LD_LIBRARY_PATH": str(prefix / "lib")}
    done = subprocess.run([tmp_path / "a"], cwd=bundled.parent, env=place, capture_output=True, check=True)
    pixels = (97 * np.arange(105) % 256).astype(np.uint8).reshape(5, 7, 3)
    expected = Upscaler(bundled, engine="native")(pixels)
    np.testing.assert_array_equal(np.frombuffer(done.stdout, np.uint8).reshape(expected.shape), expected)


PAGE = (ROOT / "docs" / "c-library.md").read_text("utf-8")


def test_the_commands_of_the_page(c_prefix: Callable[[str], Path], tmp_path: Path) -> None:
    """As they stand, in a folder with the examples and two pictures."""
    for program in ("pkg-config", "rustc"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: apt-get install pkg-config rustc")
    prefix = c_prefix("shared")
    (tmp_path / "examples").symlink_to(EXAMPLES.parent)
    color, grey = pictures()[1], pictures()[0]
    (tmp_path / "photo.ppm").write_bytes(pnm(color))
    (tmp_path / "photo.pgm").write_bytes(pnm(grey))
    commands = "".join(re.findall(r"^```console\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)).splitlines()
    made, *others = commands
    assert made == "make c-library PREFIX=$HOME/.local"  # what `c_prefix` has done
    place = {"PKG_CONFIG_PATH": str(prefix / "lib" / "pkgconfig"), "LD_LIBRARY_PATH": str(prefix / "lib")}
    script = "\n".join(["set -eu", *others])
    done = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, env={**ENVIRONMENT, **place}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    for pixels, name, precision in ((color, "larger.ppm", "exact"), (grey, "larger.pgm", "fast")):
        expected = Upscaler("fsrcnn-x2", engine="native", precision=precision)(pixels)
        np.testing.assert_array_equal(of_pnm((tmp_path / name).read_bytes()), expected)
    assert (tmp_path / "upscale_y4m").exists()


def test_what_the_page_shows(c_library: CLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program is the header's, the errors are the library's."""
    (program,) = re.findall(r"^```c\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    header = (ROOT / "native" / "fsrcnn.h").read_text()
    assert program.splitlines() == [
        line.removeprefix(" *     ") for line in header.splitlines() if line.startswith(" *     ")
    ]
    (errors,) = re.findall(r"^```text\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    Path("model.pth").write_bytes(b"PK\x03\x04")
    shown = []
    for name in ("fsrcnn-x9.safetensors", "model.pth"):
        with pytest.raises(CError) as caught:
            c_library.model(Path(name))
        shown.append(str(caught.value))
    assert errors.splitlines()[:2] == shown
    assert f"`FSRCNN_ABI`, now {native.ABI}," in PAGE


def test_structs_are_as_ctypes_has_them(c_prefix: Callable[[str], Path], tmp_path: Path) -> None:
    """What this file tells ctypes, and the page tells callers in other languages, is what a compiler makes of the header."""
    types = {
        "error": c.Error,
        "plane": c.Plane,
        "format": c.Format,
        "image": c.Image,
        "facts": c.Facts,
        "control": c.Control,
    }
    text = "#include <fsrcnn.h>\n#include <stdio.h>\nint main(void) {\n"
    for name in types:
        text += f'printf("%u ", (unsigned)sizeof(fsrcnn_{name}));\n'
    (tmp_path / "a.c").write_text(text + "return 0;\n}\n")
    succeed("cc", "-std=c99", "-I", c_prefix("shared") / "include", tmp_path / "a.c", "-o", tmp_path / "a")
    assert succeed(tmp_path / "a").split() == [str(ctypes.sizeof(kind)).encode() for kind in types.values()]
