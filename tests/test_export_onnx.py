"""ONNX graphs: run by ONNX Runtime and OpenVINO beside the numpy engine; what the files say of themselves; the command."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import hypothesis.strategies as st
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings

import exports
from fsrcnn import Upscaler, models, weights
from fsrcnn.architecture import FAMILY_NAMES, SCALES, Architecture, family
from fsrcnn.engines.numpy import NumpyEngine
from fsrcnn.errors import FsrcnnError, MissingExtraError, UsageError
from fsrcnn.export import onnx as export
from fsrcnn.phases import phase_kernels
from fsrcnn.weights import Weights
from support import files_below, noise, random_weights, run_command

onnx: Any = pytest.importorskip("onnx", reason="needs onnx: pip install 'fsrcnn[onnx]'")
onnxruntime: Any = pytest.importorskip("onnxruntime", reason="needs ONNX Runtime: pip install 'fsrcnn[onnx]'")

Array = npt.NDArray[Any]
MEMBERS = [(name, scale) for name in FAMILY_NAMES for scale in SCALES]
FORMS: tuple[export.Form, ...] = ("conv", "deconvolution")
SIZES = ((1, 1), (1, 7), (9, 1), (2, 2), (3, 2), (16, 17), (33, 31))
# Networks outside of the family: crops off the centre, kernels of 1 and 11, no mapping layer.
OWN = (
    Architecture(8, 4, 0, 3, 9, 2, crop=0),
    Architecture(8, 4, 1, 5, 9, 2, crop=7),
    Architecture(6, 3, 1, 1, 3, 3, crop=0),
    Architecture(6, 3, 2, 7, 11, 4, crop=6),
    Architecture(1, 1, 1, 3, 5, 4, crop=1),
)


def run_in(client: str, made: Any, *pictures: Array) -> list[Array]:
    """What becomes of pictures in one of the clients of `benchmarks/exports.py`, or the reason why it is skipped."""
    for package in {"in_openvino": ("openvino",), "in_ncnn": ("pnnx", "ncnn")}.get(client, ()):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed; type: pip install -r requirements-clients.txt")
    return cast(list[Array], getattr(exports, client)(made.SerializeToString(), pictures))


def in_onnxruntime(made: Any, lr: Array) -> Array:
    return run_in("in_onnxruntime", made, lr)[0]


def in_openvino(made: Any, *pictures: Array) -> list[Array]:
    return run_in("in_openvino", made, *pictures)


def rounded_to_half(made: Any, lr: Array) -> Array:
    """By the evaluator of the package `onnx`, which keeps half precision between all steps; ONNX Runtime on a CPU does not."""
    return cast(Array, importlib.import_module("onnx.reference").ReferenceEvaluator(made).run(None, {"lr": lr})[0])


def distance(model: Weights, lr: Array, sr: Array) -> float:
    """Of a batch of luma from the numpy engine."""
    engine = NumpyEngine(model)
    expected = np.stack([engine.run(picture[0])[None] for picture in lr])
    assert sr.shape == expected.shape
    assert sr.dtype == np.float32
    return float(np.abs(sr - expected).max())


def levels_apart(model: Weights, lr: Array, sr: Array, often: float = 0.01) -> int:
    """Of a batch of 8-bit pictures from what the upscaler makes of them; no more than a share of the samples may differ at all."""
    upscaler = Upscaler(model, engine="numpy")
    expected = np.stack([upscaler(picture) for picture in lr])
    assert sr.shape == expected.shape
    assert sr.dtype == np.uint8
    assert sr.size < 1000 or (sr != expected).mean() <= often
    return int(np.abs(sr.astype(int) - expected).max())


def rgb_noise(*shape: int, seed: int = 0) -> Array:
    """Colours from corner to corner of the cube: chroma has its full swing, at the borders, too."""
    return np.random.default_rng(seed).choice(np.array([0, 1, 128, 254, 255], np.uint8), (*shape, 3))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "scale"), MEMBERS)
def test_luma_of_the_family(name: str, scale: int, form: export.Form) -> None:
    model = models.resolve(name, scale)
    made = export.model(model, form=form)
    for height, width in (*SIZES, (97, 131)):
        lr = noise(height, width)[None, None]
        assert distance(model, lr, in_onnxruntime(made, lr)) <= 1e-5, (height, width)
    batch = np.stack([noise(12, 9, seed)[None] for seed in range(3)])
    assert distance(model, batch, in_onnxruntime(made, batch)) <= 1e-5
    odd = [noise(height, width)[None, None] for height, width in ((1, 1), (1, 7))]
    for lr, sr in zip([*odd, batch], in_openvino(made, *odd, batch), strict=True):
        assert distance(model, lr, sr) <= 1e-5, lr.shape


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "scale"), MEMBERS)
def test_rgb_of_the_family(name: str, scale: int, form: export.Form) -> None:
    model = models.resolve(name, scale)
    made = export.model(model, form=form, input="rgb8")
    for height, width in SIZES:
        lr = rgb_noise(1, height, width)
        assert levels_apart(model, lr, in_onnxruntime(made, lr)) <= 1, (height, width)
    batch = rgb_noise(3, 7, 10)
    assert levels_apart(model, batch, in_onnxruntime(made, batch)) <= 1
    odd = [rgb_noise(1, 1, 1), rgb_noise(1, 1, 7), batch]
    for lr, sr in zip(odd, in_openvino(made, *odd), strict=True):
        assert levels_apart(model, lr, sr) <= 1, lr.shape


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("architecture", OWN)
def test_networks_of_ones_own(architecture: Architecture, form: export.Form) -> None:
    model = random_weights(architecture)
    luma, rgb = (export.model(model, form=form, input=taken) for taken in ("luma", "rgb8"))
    for height, width in ((1, 1), (1, 5), (6, 1), (13, 18)):
        lr = noise(height, width)[None, None]
        assert distance(model, lr, in_onnxruntime(luma, lr)) <= 1e-5
        assert distance(model, lr, in_openvino(luma, lr)[0]) <= 1e-5
        picture = rgb_noise(1, height, width)
        assert levels_apart(model, picture, in_onnxruntime(rgb, picture)) <= 1


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    scale = draw(st.sampled_from(SCALES))
    kernel = draw(st.sampled_from([side for side in (3, 5, 7, 9, 11, 13) if side >= scale]))
    d, s, m = (draw(st.integers(least, 5)) for least in (1, 1, 0))
    crop = draw(st.integers(-1, kernel - scale))
    return Architecture(d, s, m, draw(st.sampled_from((1, 3, 5, 7))), kernel, scale, crop)


@settings(max_examples=40)
@given(architectures(), st.integers(1, 12), st.integers(1, 12), st.integers(1, 3), st.sampled_from(FORMS))
@example(Architecture(3, 2, 0, 1, 13, 2, crop=11), 1, 1, 2, "deconvolution")
@example(Architecture(3, 2, 0, 1, 13, 4, crop=0), 1, 2, 1, "deconvolution")
def test_any_network_and_size(
    architecture: Architecture, height: int, width: int, batch: int, form: export.Form
) -> None:
    model = random_weights(architecture, seed=height * width)
    lr = np.stack([noise(height, width, seed)[None] for seed in range(batch)])
    assert distance(model, lr, in_onnxruntime(export.model(model, form=form), lr)) <= 1e-5
    pictures = rgb_noise(batch, height, width)
    sr = in_onnxruntime(export.model(model, form=form, input="rgb8"), pictures)
    assert levels_apart(model, pictures, sr) <= 1


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "scale"), MEMBERS)
def test_half_precision(name: str, scale: int, form: export.Form) -> None:
    model = models.resolve(name, scale)
    luma, rgb = (export.model(model, form=form, input=taken, float16=True) for taken in ("luma", "rgb8"))
    lr, pictures = noise(12, 17)[None, None], rgb_noise(2, 9, 11)
    for run in (in_onnxruntime, rounded_to_half):
        assert 1e-5 < distance(model, lr, run(luma, lr)) <= 1 / 255
        assert levels_apart(model, pictures, run(rgb, pictures), often=0.5) <= 2
    for made, taken in ((luma, "luma"), (rgb, "rgb8")):
        assert {tensor.data_type for tensor in made.graph.initializer} <= {
            onnx.TensorProto.FLOAT16, onnx.TensorProto.INT64,
        }  # fmt: skip
        plain = export.model(model, form=form, input=cast(export.Input, taken))
        assert len(made.SerializeToString()) < 0.8 * len(plain.SerializeToString())
        assert made.graph.input == plain.graph.input
        assert made.graph.output == plain.graph.output


@pytest.mark.parametrize(("name", "scale"), [member for member in MEMBERS if member[1] == 2 or member[0] == "fsrcnn-x"])
def test_ncnn(name: str, scale: int) -> None:
    """By its converter `pnnx`, as it is; each network and each scale, as a conversion takes two seconds."""
    model, sizes = models.resolve(name, scale), ((1, 1), (1, 7), (24, 31), (33, 20))
    lr = [noise(height, width)[None, None] for height, width in sizes]
    for picture, sr in zip(lr, run_in("in_ncnn", export.model(model), *lr), strict=True):
        assert distance(model, picture, sr) <= 5e-5, picture.shape


@pytest.mark.parametrize(("form", "taken"), [("deconvolution", "luma"), ("conv", "rgb8")])
def test_what_ncnn_does_not_take_is_said(form: export.Form, taken: export.Input) -> None:
    picture = noise(5, 6)[None, None] if taken == "luma" else rgb_noise(1, 5, 6)
    with pytest.raises(exports.ClientError, match="pnnx"):
        run_in("in_ncnn", export.model(family_weights(), form=form, input=taken), picture)


def test_what_a_graph_says() -> None:
    model = models.resolve("fsrcnn-photo@0.7", 3)
    made = export.model(model, form="deconvolution", input="rgb8", name="mine")
    said = {entry.key: entry.value for entry in made.metadata_props}
    assert said["model"] == "mine"
    assert (said["scale"], said["form"], said["input"], said["precision"]) == ("3", "deconvolution", "rgb8", "float32")
    assert said["architecture"] == "d=56 s=12 m=4 feature_kernel=5 deconvolution_kernel=9 crop=3"
    assert said["weights_sha256"] == hashlib.sha256(model.to_bytes()).hexdigest()
    assert "uint8 (batch, height, width, 3)" in said["lr"]
    assert "3 * height" in said["sr"]
    assert all(text.isascii() for text in said.values())
    assert [(entry.domain, entry.version) for entry in made.opset_import] == [("", 13)]
    assert made.ir_version == 8

    def axes(value: Any) -> list[str | int]:
        return [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]

    assert axes(made.graph.input[0]) == ["batch", "height", "width", 3]
    assert axes(made.graph.output[0]) == ["batch", "sr_height", "sr_width", 3]
    luma = export.model(family_weights())
    assert axes(luma.graph.input[0]) == ["batch", 1, "height", "width"]
    assert {node.op_type for node in luma.graph.node} == {"Conv", "PRelu", "DepthToSpace"}
    said = {entry.key: entry.value for entry in luma.metadata_props}
    assert said["model"] == "fsrcnn-x-x2"
    assert "(16 + 65.481 R + 128.553 G + 24.966 B) / 255" in said["lr"]


def family_weights() -> Weights:
    return random_weights(family("fsrcnn-x", 2))


def test_the_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        export.write(family_weights(), tmp_path / f"{name}.onnx", input="rgb8")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    onnx.checker.check_model(str(tmp_path / "a.onnx"), full_check=True)


def test_a_wrong_graph_does_not_go_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def shifted(model: Weights) -> Any:
        phases = original(model)
        return phases[[1, 0, *range(2, len(phases))]]

    original = phase_kernels
    monkeypatch.setattr(export, "phase_kernels", shifted)
    for taken in ("luma", "rgb8"):
        with pytest.raises(FsrcnnError, match=r"the graph is not written: in ONNX Runtime .* from the numpy engine"):
            export.write(family_weights(), tmp_path / "a.onnx", input=taken)
    assert files_below(tmp_path) == []


def test_weights_beyond_half_precision(tmp_path: Path) -> None:
    arrays = dict(family_weights().arrays)
    large = Weights(family("fsrcnn-x", 2), {**arrays, "shrinking.weight": arrays["shrinking.weight"] * np.float32(1e6)})
    with pytest.raises(
        UsageError, match=r"shrinking\.weight goes up to .*, half precision to 65504; leave float16 away"
    ):
        export.write(large, tmp_path / "a.onnx", float16=True)
    # Weights that fit, and features that do not.
    grown = {
        name: array * np.float32(2e4) if name in ("feature_extraction.weight", "shrinking.weight") else array
        for name, array in arrays.items()
    }
    with pytest.raises(FsrcnnError, match=r"not written: .* inf from .*; half precision does not suit these weights"):
        export.write(Weights(large.architecture, grown), tmp_path / "a.onnx", float16=True)
    assert files_below(tmp_path) == []


def test_arguments_outside_of_what_is_allowed() -> None:
    for argument in ({"form": "resize"}, {"input": "rgb"}):
        with pytest.raises(UsageError, match=r"(form|input) is \w+ or \w+, not 're?"):
            export.model(family_weights(), **cast(Any, argument))


def test_without_the_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert export.write(family_weights(), tmp_path / "a.onnx") is None
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"ONNX graphs need onnx.*; type: pip install 'fsrcnn\[onnx\]'"):
        export.write(family_weights(), tmp_path / "b.onnx")
    assert files_below(tmp_path) == ["a.onnx"]


def test_the_command_without_the_packages(tmp_path: Path) -> None:
    for package, code, sentence in (
        (
            "onnxruntime",
            0,
            "not verified, as ONNX Runtime is not installed or cannot be loaded; type: pip install 'fsrcnn[onnx]'",
        ),
        ("onnx", 1, "ONNX graphs need onnx, which is not installed; type: pip install 'fsrcnn[onnx]'"),
    ):
        hidden = tmp_path / "hidden" / f"{package}.py"
        hidden.parent.mkdir(exist_ok=True)
        hidden.write_text(f"raise ModuleNotFoundError(name={package!r})\n")
        done = run_command(
            "export", "onnx", "fsrcnn-x", "-o", f"{package}.onnx", cwd=tmp_path, PYTHONPATH=str(hidden.parent)
        )
        assert (done.returncode, done.stderr.decode()) == (code, f"fsrcnn: {sentence}\n")
        assert (tmp_path / f"{package}.onnx").exists() == (code == 0)


def test_pytorch_is_not_needed(tmp_path: Path) -> None:
    program = (
        "import sys; from fsrcnn import models; from fsrcnn.export import onnx; "
        "onnx.write(models.resolve('fsrcnn-x'), 'a.onnx', input='rgb8', float16=True); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)
    assert files_below(tmp_path) == ["a.onnx"]


def test_the_command(tmp_path: Path) -> None:
    done = run_command("export", "onnx", "fsrcnn-s", "--scale", "3", "--input", "rgb8", "--json", cwd=tmp_path)
    assert done.returncode == 0
    assert b"verified in ONNX Runtime" in done.stderr
    report = json.loads(done.stdout)
    path = tmp_path / report["output"]
    assert (report["model"], report["scale"], path.name) == ("fsrcnn-s-x3", 3, "fsrcnn-s-x3.onnx")
    assert report["bytes"] == path.stat().st_size
    assert report["verified"]["largest"] <= report["verified"]["bound"] == 1
    made = onnx.load(str(path))
    lr = rgb_noise(1, 5, 4)
    assert levels_apart(models.resolve("fsrcnn-s", 3), lr, in_onnxruntime(made, lr)) <= 1
    # A file of one's own, and an average.
    (tmp_path / "runs").mkdir()
    (tmp_path / "out").mkdir()
    own = random_weights(Architecture(6, 3, 1, 3, 5, 2))
    own.save(tmp_path / "runs/best.safetensors")
    assert run_command("export", "onnx", "runs/best.safetensors", cwd=tmp_path).stdout.startswith(
        b"runs/best.onnx: best, "
    )
    average = run_command(
        "export", "onnx", "fsrcnn-photo@0.7", "-o", "out", "--float16", "--form", "deconvolution", cwd=tmp_path
    )
    assert average.stdout.startswith(b"out/fsrcnn-photo@0.7-x2.onnx: fsrcnn-photo@0.7-x2, ")
    assert files_below(tmp_path) == [
        "fsrcnn-s-x3.onnx", "out/fsrcnn-photo@0.7-x2.onnx", "runs/best.onnx", "runs/best.safetensors",
    ]  # fmt: skip
    exported = onnx.load(str(tmp_path / "runs/best.onnx"))
    luma = noise(6, 5)[None, None]
    assert distance(weights.load(tmp_path / "runs/best.safetensors"), luma, in_onnxruntime(exported, luma)) <= 1e-5


def test_bad_input(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"precious")
    random_weights(Architecture(2, 2, 0, 3, 3, 2)).save(tmp_path / "own.onnx")
    for typed, code, sentence in (
        (("onxx", "fsrcnn"), 2, "there is no target 'onxx'; there are onnx"),
        (("onnx", "fsrcnn", "-o", "a.onnx"), 2, "a.onnx exists; give --overwrite to replace it, or another output"),
        (("onnx", "own.onnx", "-o", "own.onnx", "--overwrite"), 2, "the output own.onnx is also the input"),
        (
            ("onnx", "fsrcnn", "-o", "a.pb"),
            2,
            "the output ends in .onnx, and a.pb does not; give an output as fsrcnn-x2.onnx",
        ),
        (("onnx", "fsrcnn", "-o", "-"), 2, "the output ends in .onnx, and - does not"),
        (("onnx", "fsrcn"), 2, "there is no model 'fsrcn'"),
        (("onnx", "fsrcnn", "-s", "5"), 2, "fsrcnn is of ×2, ×3, ×4, not ×5"),
        (("onnx", "none.safetensors"), 1, "none.safetensors does not exist"),
        (("onnx", "fsrcnn", "--form", "resize"), 2, "--form is conv or deconvolution, not 'resize'"),
        (("onnx", "fsrcnn", "--input", "rgb"), 2, "--input is luma or rgb8, not 'rgb'"),
    ):
        done = run_command("export", *typed, cwd=tmp_path)
        assert done.returncode == code, typed
        assert sentence in done.stderr.decode()
        assert done.stderr.count(b"\n") == 1
    assert (tmp_path / "a.onnx").read_bytes() == b"precious"
    assert files_below(tmp_path) == ["a.onnx", "own.onnx"]
    assert run_command("export", "onnx", "fsrcnn-x", "-o", "a.onnx", "--overwrite", cwd=tmp_path).returncode == 0
    onnx.checker.check_model(str(tmp_path / "a.onnx"))
