"""What a chip core is made of: its plan, its memories, its texts and its folder; the command. What it computes is in test_rtl_*.py."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given, settings

import cores
import simulators
from fsrcnn import pretrained
from fsrcnn.architecture import SCALES, Architecture, family
from fsrcnn.errors import FsrcnnError, UsageError
from fsrcnn.export import rtl
from fsrcnn.export.rtl.core import MODULES
from fsrcnn.export.rtl.memories import memories, text
from fsrcnn.export.rtl.plan import Layer
from fsrcnn.integer import IntegerModel, Requantising
from simulators import needs_iverilog, needs_pyosys, needs_verilator
from support import files_below, random_weights, run_command

SMALL = Architecture(2, 1, 1, 3, 3, 2)


def small(format: str = "w12a12") -> IntegerModel:
    return IntegerModel.of(random_weights(SMALL), format)


# The plan.


def test_a_plan_by_hand() -> None:
    """FSRCNN ×4 in 43 cycles. Mapping: 108 taps, 12 outputs; 16 · 7 >= 108 and 2 · 6 >= 12, 7 · 6 = 42."""
    plan = rtl.plan(family("fsrcnn", 4), 320, 43)
    assert plan.layers[2] == Layer("mapping.0", 108, 12, 16, 7, 2, 6, 1, 7)
    assert plan.layers[-1] == Layer("deconvolution", 56, 81, 4, 14, 27, 3, 1, 16)
    # 5·7 + 8·2 + 4·(16·2) + 4·4 + 4·27 products; 2 + 1 + 4·1 + 2 + 1 in the requantising
    assert plan.multipliers == 35 + 16 + 128 + 16 + 108 + 10
    assert (plan.cycles, plan.pixels) == (42, 1)
    # crop 2: (k - 4) // 2 = 2, 2 rows of zeros before it make 4, one LR row; 9 + 2 rows lie over 3
    assert (plan.front, plan.beyond, plan.tiles) == (2, 1, 3)
    # 5×5 and four 3×3 have 2 + 4 rows below, and 1 is cut
    assert plan.rows_of_latency == 2 + 4 + 1 + 1
    assert plan.gap == 3  # the crop's column and the pause of 2 are more than the 5×5's 2


@pytest.mark.parametrize(
    ("scale", "cycles", "pixels"), [(2, 1, 4), (2, 2, 2), (2, 3, 2), (2, 4, 1), (3, 1, 9), (3, 2, 9), (3, 3, 3), (3, 9, 1),
                                    (4, 3, 16), (4, 4, 4), (4, 15, 4), (4, 16, 1), (4, 64, 1)],
)  # fmt: skip
def test_pixels_in_a_beat(scale: int, cycles: int, pixels: int) -> None:
    assert rtl.plan(family("fsrcnn-x", scale), 64, cycles).pixels == pixels


NETWORKS = st.builds(
    lambda d, s, m, first, last, scale, crop: Architecture(
        d, s, m, first, max(last, scale + 1 - scale % 2), scale, crop % (max(last, scale + 1 - scale % 2) - scale + 1)
    ),
    st.integers(1, 70), st.integers(1, 20), st.integers(0, 3), st.sampled_from((1, 3, 5, 7)), st.sampled_from((3, 5, 7, 9)),
    st.sampled_from(SCALES), st.integers(0, 6),
)  # fmt: skip


@given(NETWORKS, st.integers(1, 64), st.sampled_from((8, 10)))
@example(family("fsrcnn", 2), 64, 8)
@settings(max_examples=60)
def test_a_plan_keeps_up_with_the_fewest_multipliers(architecture: Architecture, cycles: int, depth: int) -> None:
    plan = rtl.plan(architecture, 100, cycles, depth)
    assert plan.cycles <= cycles
    assert [layer.name for layer in plan.layers] == [stage.name for stage in architecture.stages]
    for layer, stage in zip(plan.layers, architecture.stages, strict=True):
        last = stage.kind == "deconvolution"
        products = stage.channels_in * stage.channels_out * stage.kernel**2
        assert layer.taps * layer.outputs == products
        assert layer.cycles <= plan.cycles
        assert (layer.tap_steps - 1) * layer.lanes < layer.taps <= layer.tap_steps * layer.lanes
        assert (layer.output_steps - 1) * layer.parallel < layer.outputs <= layer.output_steps * layer.parallel
        assert layer.units * layer.steps >= (architecture.scale**2 if last else layer.parallel)
        assert layer.steps <= (cycles if last else layer.tap_steps)
        assert layer.lanes * layer.parallel * layer.cycles >= products
        # No other way has fewer: a witness that goes through all numbers of lanes and outputs at a time.
        lanes = np.arange(1, layer.taps + 1)[:, None]
        parallel = np.arange(1, layer.outputs + 1)[None]
        steps = -(-layer.taps // lanes)
        count = lanes * parallel + (0 if last else -(-parallel // steps))
        count[steps * -(-layer.outputs // parallel) > cycles] = 10**9
        assert layer.multipliers - (layer.units if last else 0) == count.min()
    if cycles < 64:
        assert rtl.plan(architecture, 100, cycles + 1, depth).multipliers <= plan.multipliers


# The memories.


def test_a_word_by_hand() -> None:
    """-1 and 3 of 12 bits: fff at the low end."""
    assert text(np.array([[-1, 3], [-2048, 0]]), 12) == "003fff\n000800\n"
    assert text(np.array([[1], [-1]]), 5) == "01\n1f\n"


def test_memories_by_hand() -> None:
    """One channel everywhere; the 3×3 kernel has 1 … 9, row by row, its window comes column by column."""
    a = Architecture(1, 1, 0, 3, 3, 2, crop=0)
    nine = np.arange(1, 10).reshape(1, 1, 3, 3)
    single = np.full((1, 1, 1, 1), -2)
    plain = Requantising(0, np.array([5]), np.array([-1]), 3)
    kernels = {"feature_extraction": nine, "shrinking": single, "expanding": single, "deconvolution": nine}
    biases = {"feature_extraction": np.array([-1]), "shrinking": np.array([4]), "expanding": np.array([0])}
    biases["deconvolution"] = np.array([1, 2, 3, 4])
    rules = dict.fromkeys(kernels, plain)
    rules["deconvolution"] = Requantising(0, np.array([6, 7, 8, 9]), np.array([6, 7, 8, 9]), 3)
    model = IntegerModel(a, "w8a8", kernels, biases, rules)
    found = memories(model, rtl.plan(a, 8, 3))
    # Three lanes, three cycles: 1, 4, 7 are the left column from the top, the first at the low end.
    assert found["feature_extraction_kernels.mem"] == "070401\n080502\n090603\n"
    assert model.sum_bits("feature_extraction") == 17  # 45 · 1023 + 1 < 2^16
    assert found["feature_extraction_biases.mem"] == "1ffff\n"
    # 18 bits each, for sums below zero first: 5 · 2^18 + (2^18 - 1)
    assert found["feature_extraction_multipliers.mem"].splitlines()[0] == f"{5 * 2**18 + 2**18 - 1:09x}"
    assert found["shrinking_kernels.mem"] == "fe\n"
    # Of the deconvolution in three cycles: the stamp's nine places, row by row, three at a time.
    assert found["deconvolution_kernels.mem"] == "030201\n060504\n090807\n"
    bits = model.sum_bits("deconvolution")
    assert bits == 13  # 1 + 3 + 7 + 9 = 20; 20 · 128 + 1 < 2^12
    assert found["deconvolution_zeros.mem"] == "0000000000\n" * 3
    assert found["deconvolution_biases.mem"] == f"{1 + (2 << 13) + (3 << 26) + (4 << 39):013x}\n"


# The texts.

COUNTED = ("producer", "weights_sha256", "width", "depth", "cycles", "multipliers", "sum_bits", "files")


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    small().save(tmp_path / "core.safetensors")
    for folder, seed in (("a", "1"), ("b", "2")):
        arguments = ("export", "rtl", "core.safetensors", "-o", folder, "--width", "20")
        assert run_command(*arguments, cwd=tmp_path, PYTHONHASHSEED=seed).returncode == 0
    names = files_below(tmp_path / "a")
    assert names == files_below(tmp_path / "b")
    assert {f"{module}.v" for module in (*MODULES, "fsrcnn_core")} <= set(names)
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    manifest = json.loads((tmp_path / "a/manifest.json").read_text("utf-8"))
    assert set(COUNTED) <= set(manifest)
    assert sorted([*manifest["files"], "manifest.json"]) == names
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((tmp_path / "a" / name).read_bytes()).hexdigest() == digest
    assert manifest["weights_sha256"] == hashlib.sha256((tmp_path / "core.safetensors").read_bytes()).hexdigest()
    plan = rtl.plan(SMALL, 20, 8)
    assert sum(manifest["multipliers"].values()) == plan.multipliers
    assert (manifest["width"], manifest["depth"], manifest["cycles"]) == (20, 8, plan.cycles)


@needs_verilator
@needs_pyosys
@needs_iverilog
@pytest.mark.parametrize(
    ("architecture", "format", "width", "cycles", "depth"),
    [
        (SMALL, "w12a12", 1, 1, 8),
        (Architecture(3, 2, 0, 1, 5, 3, crop=2), "w8a8", 17, 5, 10),
        (Architecture(5, 3, 2, 7, 9, 4, crop=0), "w16a14", 960, 64, 8),
        (family("fsrcnn-x", 2), "w10a12", 960, 24, 10),
        (family("fsrcnn-s", 3), "w8a16", 16384, 43, 8),
    ],
)
def test_no_complaints(
    architecture: Architecture, format: str, width: int, cycles: int, depth: int, tmp_path: Path
) -> None:
    core = cores.made(
        tmp_path / "core", IntegerModel.of(random_weights(architecture), format), width, cycles, depth
    )  # fmt: skip
    assert simulators.complaints(core.folder) == []


def test_what_the_head_says(tmp_path: Path) -> None:
    core = cores.made(tmp_path / "core", small(), 40, 4)
    plan, head = core.plan, (tmp_path / "core/fsrcnn_core.v").read_text("utf-8")
    expression = next(line for line in head.splitlines() if "Throughput" in line).split("every ")[1].split(" cycles")[0]
    latency = next(line for line in head.splitlines() if "Latency" in line).split("at most ")[1].split(" cycles")[0]
    for width, height in ((1, 1), (40, 9), (13, 300)):
        numbers: dict[str, Any] = {"w": width, "h": height}
        assert eval(expression, {}, numbers) == plan.frame_cycles(width, height)
        assert eval(latency, {}, numbers) == plan.latency(width)
    assert f"Multipliers: {plan.multipliers}." in head


# The folder.


def test_a_core_is_replaced_when_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "deep/core"
    rtl.write(small(), folder, width=8)
    before = {name: (folder / name).read_bytes() for name in files_below(folder)}
    with pytest.raises(UsageError, match="exists and is not empty; give overwrite=True to replace the core in it"):
        rtl.write(small("w8a8"), folder, width=8)
    assert {name: (folder / name).read_bytes() for name in files_below(folder)} == before
    (folder / "report.json").write_text("{}")  # of `--report`, of the core that goes
    (folder / "report.md").write_text("")
    rtl.write(small("w8a8"), folder, width=8, overwrite=True)
    assert sorted(before) == files_below(folder)
    assert (folder / "fsrcnn_core.v").read_bytes() != before["fsrcnn_core.v"]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["core"]


@pytest.mark.parametrize("foreign", ["notes.txt", "vectors/mine.mem", "link", "obj_dir/Vcore"])
@pytest.mark.parametrize("core", [True, False])
def test_foreign_files_stay(foreign: str, core: bool, tmp_path: Path) -> None:
    folder = tmp_path / "core"
    if core:
        rtl.write(small(), folder, width=8)
    path = folder / foreign
    path.parent.mkdir(parents=True, exist_ok=True)
    if foreign == "link":
        path.symlink_to(tmp_path)
    else:
        path.write_text("mine")
    before = files_below(folder)
    with pytest.raises(FsrcnnError, match=rf"holds files that are not a core's \({foreign}\); move them elsewhere"):
        rtl.write(small(), folder, width=8, overwrite=True)
    assert files_below(folder) == before
    assert os.path.lexists(path)


def test_a_damaged_manifest_owns_nothing(tmp_path: Path) -> None:
    for number, damaged in enumerate(("{", "[]", '{"files": 3}', '{"files": [[1]]}', "")):
        folder = tmp_path / str(number)
        rtl.write(small(), folder, width=8)
        (folder / "manifest.json").write_text(damaged)
        with pytest.raises(FsrcnnError, match="holds files that are not a core's"):
            rtl.write(small(), folder, width=8, overwrite=True)
    rtl.write(small(), tmp_path / "empty", width=8)


def test_an_empty_folder_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "core").mkdir()
    rtl.write(small(), tmp_path / "core", width=8)
    assert (tmp_path / "core/fsrcnn_core.v").exists()


# Bad input.


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"width": 0}, "width is 1 to 16384 LR pixels, not 0"),
        ({"width": 16385}, "width is 1 to 16384 LR pixels, not 16385"),
        ({"width": 9.5}, "width is 1 to 16384 LR pixels, not 9.5"),
        ({"cycles": 0}, "cycles is 1 to 64 for each LR pixel, not 0"),
        ({"cycles": 65}, "cycles is 1 to 64 for each LR pixel, not 65"),
        ({"cycles": 8.0}, "cycles is 1 to 64 for each LR pixel, not 8.0"),
        ({"depth": 9}, "depth is 8 or 10 bits, not 9"),
    ],
)
def test_bad_arguments_in_python(arguments: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        rtl.write(small(), tmp_path / "core", **arguments)
    assert str(caught.value) == said
    assert not list(tmp_path.iterdir())


def test_float_weights_in_python(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"float weights; make one with IntegerModel.of\(weights, 'w12a12'\)"):
        rtl.write(random_weights(SMALL), tmp_path / "core")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def edited(path: Path) -> None:
    """A core's file whose largest weights were set to the format's bound: its sums could overflow."""
    model = IntegerModel.of(pretrained.load("fsrcnn-x2"), "w16a14")
    data = model.to_bytes()
    kernel = model.kernels["shrinking"].astype(np.int16).tobytes()
    assert data.count(kernel) == 1
    path.write_bytes(data.replace(kernel, np.full(len(kernel) // 2, 32767, np.int16).tobytes()))


INPUTS = ("core.safetensors", "edited.safetensors", "float.safetensors", "notes.txt")
BAD: dict[str, tuple[tuple[str, ...], int, str]] = {
    "float weights": (("float.safetensors",), 1, "float.safetensors has float weights, and a chip core computes an integer model"),
    "a family": (("fsrcnn",), 1, "fsrcnn has float weights, and a chip core computes an integer model"),
    "no such file": (("nowhere.safetensors",), 1, "nowhere.safetensors does not exist"),
    "no weights file": (("notes.txt",), 1, "notes.txt"),
    "edited numbers": (("edited.safetensors",), 1, "the sums of shrinking could need 35 bits, and 32 are the most that a core has"),
    "width 0": (("core.safetensors", "--width", "0"), 2, "--width is 1 to 16384 LR pixels, not 0"),
    "too wide": (("core.safetensors", "--width", "20000"), 2, "--width is 1 to 16384 LR pixels, not 20000"),
    "no width": (("core.safetensors", "--width", "wide"), 2, "width"),
    "cycles 0": (("core.safetensors", "--cycles", "0"), 2, "--cycles is 1 to 64 for each LR pixel, not 0"),
    "too many cycles": (("core.safetensors", "--cycles", "65"), 2, "--cycles is 1 to 64 for each LR pixel, not 65"),
    "depth": (("core.safetensors", "--depth", "12"), 2, "--depth is 8 or 10 bits, not 12"),
    "a file": (("core.safetensors", "-o", "notes.txt"), 1, "notes.txt is a file, and a core is a folder of files; give another"),
    "below a file": (("core.safetensors", "-o", "notes.txt/core"), 1, "notes.txt/core"),
    "below a file, replacing": (("core.safetensors", "-o", "notes.txt/core", "--overwrite"), 1, "notes.txt/core"),
    "unwritable": (("core.safetensors", "-o", "/proc/core"), 1, "cannot write /proc/core: "),
    "foreign files": (("core.safetensors", "-o", "full"), 2, "full exists and is not empty; give --overwrite to replace the core"),
    "foreign files, replacing": (("core.safetensors", "-o", "full", "--overwrite"), 1, "full holds files that are not a core's (a, b"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("json_too", [False, True])
def test_bad_input(case: str, json_too: bool, tmp_path: Path) -> None:
    if json_too and case not in ("float weights", "edited numbers", "cycles 0", "a file"):
        pytest.skip("as without --json")
    arguments, code, said = BAD[case]
    small().save(tmp_path / "core.safetensors")
    random_weights(SMALL).save(tmp_path / "float.safetensors")
    edited(tmp_path / "edited.safetensors")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "full").mkdir()
    for name in "abcd":
        (tmp_path / "full" / name).write_text(name)
    before = files_below(tmp_path)
    if "-o" not in arguments:
        arguments += ("-o", "out")
    ran = run_command("export", "rtl", *arguments, *["--json"] * json_too, cwd=tmp_path)
    message = ran.stderr.decode()
    assert ran.returncode == code, message
    assert said in message
    assert "Traceback" not in message
    assert ran.stdout == b""
    if "Usage" not in message:
        assert message.count("\n") == 1
    assert files_below(tmp_path) == before
    assert {path.name for path in tmp_path.iterdir()} == {*INPUTS, "full"}


def test_the_command(tmp_path: Path) -> None:
    small("w8a16").save(tmp_path / "a core.safetensors")
    ran = run_command(
        "export", "rtl", "a core.safetensors", "--width", "30", "--cycles", "3", "--depth", "10", cwd=tmp_path
    )
    assert ran.returncode == 0
    plan = rtl.plan(SMALL, 30, 3, 10)
    said = ran.stdout.decode()
    assert "a core: FSRCNN(2, 1, 1) ×2, w8a16, 10-bit luma, rows of up to 30 LR pixels, 3 cycles for each" in said
    assert f"{plan.multipliers} multipliers: feature_extraction {plan.layers[0].multipliers}, " in said
    head = (tmp_path / "a core/fsrcnn_core.v").read_text("utf-8")
    assert head.startswith("// FSRCNN(2, 1, 1) x2 on luma, w8a16, with AXI4-Stream: a core.\n")


def test_json(tmp_path: Path) -> None:
    small().save(tmp_path / "core.safetensors")
    ran = run_command("export", "rtl", "core.safetensors", "-o", "out", "--width", "30", "--json", cwd=tmp_path)
    assert ran.returncode == 0
    plan = rtl.plan(SMALL, 30, 8)
    found = json.loads(ran.stdout)
    assert found == {
        "model": "core", "scale": 2, "output": "out", "format": "w12a12", "width": 30, "depth": 8, "cycles": plan.cycles,
        "pixels_per_beat": 1, "multipliers": plan.multipliers,
        "layers": {layer.name: {"multipliers": layer.multipliers, "cycles": layer.cycles} for layer in plan.layers},
    }  # fmt: skip
