"""Other people's checkpoints: they convert to the published figures, go back without loss, and what does not fit is named."""

from __future__ import annotations

import io
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

import fuzz_weights
from fsrcnn import engines, foreign, pretrained, weights
from fsrcnn.architecture import Architecture, family
from fsrcnn.color import luma
from fsrcnn.engines.numpy import NumpyEngine
from fsrcnn.errors import FsrcnnError, UsageError, WeightsError
from fsrcnn.imresize import imresize
from fsrcnn.metrics import modcrop, psnr, shave
from fsrcnn.protocol import read_8bit, round_8bit
from fsrcnn.weights import Weights
from support import files_below, in_this_process, random_weights, run_command

scipy_io = pytest.importorskip("scipy.io", reason="SciPy is not installed; type: pip install 'fsrcnn[convert]'")
scipy_signal = pytest.importorskip("scipy.signal", reason="SciPy is not installed; type: pip install 'fsrcnn[convert]'")
h5py = pytest.importorskip("h5py", reason="h5py is not installed; type: pip install 'fsrcnn[convert]'")
torch = pytest.importorskip("torch", reason="PyTorch is not installed; type: pip install 'fsrcnn[torch]'")


@pytest.fixture(autouse=True)
def _in_this_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting PyTorch takes seconds; tests/test_quarantine.py, the command's tests and those with `own_process` use a process."""
    if "own_process" not in request.fixturenames:
        in_this_process(monkeypatch)


@pytest.fixture
def own_process() -> None:
    pass


# Set5, protocol `paper`: measured by running the files in their own frameworks and geometry (shared/README.md). The authors'
# networks replicate borders, the others pad with zeros as we do.
PUBLISHED = [
    ("official-mat/FSRCNN_x2.mat", 37.00, True), ("official-mat/FSRCNN_x3.mat", 33.16, True),
    ("official-mat/FSRCNN_x4.mat", 30.70, True), ("official-mat/FSRCNN-s_x2.mat", 36.57, True),
    ("official-mat/FSRCNN-s_x3.mat", 32.60, True), ("official-mat/FSRCNN-s_x4.mat", 30.11, True),
    ("official-mat/SRCNN_91x2.mat", 36.34, True), ("official-mat/SRCNN_91x3.mat", 32.39, True),
    ("official-mat/SRCNN_91x4.mat", 30.08, True), ("official-mat/SRCNN_INx2.mat", 36.66, True),
    ("keras-h5/FSRCNN_checkpoint_scale2.h5", 36.98, False), ("keras-h5/FSRCNN_checkpoint_scale3.h5", 33.04, False),
    ("keras-h5/FSRCNN_checkpoint_scale4.h5", 30.69, False),
    ("keras-h5/FSRCNN_checkpoint_scale2_General100.h5", 37.05, False),
    ("keras-h5/FSRCNN_checkpoint_scale3_General100.h5", 33.07, False),
    ("keras-h5/FSRCNN_checkpoint_scale4_General100.h5", 30.69, False),
    ("yjn870-pth/fsrcnn_x2.pth", 37.11, False), ("yjn870-pth/fsrcnn_x3.pth", 32.58, False), ("yjn870-pth/fsrcnn_x4.pth", 30.50, False),
]  # fmt: skip


@pytest.mark.parametrize(("file", "published", "replicated"), PUBLISHED)
def test_published_psnr_on_set5(
    file: str, published: float, replicated: bool, datasets: Path, references: Path
) -> None:
    engine = NumpyEngine(foreign.read(references / "weights" / file))
    scale, border = engine.architecture.scale, 8 if replicated else 0
    scores = []
    for picture in sorted((datasets / "Set5").glob("*.png")):
        hr = modcrop(luma(read_8bit(picture)), scale)
        lr = imresize(hr / 255.0, output_size=(hr.shape[0] // scale, hr.shape[1] // scale)).astype(np.float32)
        lr = np.pad(lr, border, mode="edge")
        sr = engine.luma(lr)
        edge = border * scale
        sr = sr[edge : sr.shape[0] - edge, edge : sr.shape[1] - edge]
        scores.append(psnr(shave(hr, scale), shave(round_8bit(sr), scale)))
    assert len(scores) == 5
    assert np.mean(scores) == pytest.approx(published, abs=0.02)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("middle", [1, 5])
def test_an_srcnn_is_an_fsrcnn(scale: int, middle: int, tmp_path: Path) -> None:
    """A small random SRCNN, run as it is defined (bicubic, three convolutions at HR size), against its conversion."""
    generator = np.random.default_rng(scale)
    first, second, third = (
        generator.normal(0, 0.1, shape) for shape in ((4, 1, 9, 9), (3, 4, middle, middle), (1, 3, 5, 5))
    )
    biases = [generator.normal(0, 0.1, n) for n in (4, 3, 1)]

    def columns(kernel: np.ndarray) -> np.ndarray:  # (out, in, k, k) → (in, k², out), columns first
        return kernel.swapaxes(2, 3).reshape(kernel.shape[0], kernel.shape[1], -1).transpose(1, 2, 0)

    path = tmp_path / f"srcnn_x{scale}.mat"
    scipy_io.savemat(
        path,
        {
            "weights_conv1": columns(first)[0], "weights_conv2": columns(second), "weights_conv3": columns(third)[:, :, 0],
            **{f"biases_conv{i + 1}": bias[:, None] for i, bias in enumerate(biases)},
        },
    )  # fmt: skip
    lr = generator.random((24, 21))
    x = torch.from_numpy(imresize(lr, output_size=(24 * scale, 21 * scale)))[None, None]
    for index, (kernel, bias) in enumerate(zip((first, second, third), biases, strict=True)):
        x = torch.nn.functional.conv2d(
            x, torch.from_numpy(kernel), torch.from_numpy(bias), padding=kernel.shape[-1] // 2
        )
        x = x.relu() if index < 2 else x
    sr = NumpyEngine(foreign.read(path)).run(lr.astype(np.float32))
    inside = slice(8 * scale, -8 * scale)
    np.testing.assert_allclose(sr[inside, inside], x[0, 0, inside, inside].numpy(), atol=2e-6)


@pytest.mark.parametrize(
    ("shapes", "sentence"),
    [
        (((81, 4), (4, 1, 6), (6, 25)), "of 4 and then 6 feature maps"),
        (((81, 4), (4, 9, 3), (3, 25)), "an SRCNN of 9-3-5 is not one of 9-1-5 and 9-5-5"),
        (((81, 4), (5, 1, 3), (3, 25)), "do not fit together as an SRCNN"),
        (((80, 4), (4, 1, 3), (3, 25)), "weights_conv1 has 80 taps, which is no square"),
    ],
)
def test_other_srcnns(shapes: tuple[tuple[int, ...], ...], sentence: str, tmp_path: Path) -> None:
    arrays = {f"weights_conv{number}": np.zeros(shape) for number, shape in enumerate(shapes, 1)}
    biases = {f"biases_conv{number}": np.zeros((n, 1)) for number, n in enumerate((shapes[0][-1], shapes[1][-1], 1), 1)}
    scipy_io.savemat(tmp_path / "srcnn_x2.mat", arrays | biases)
    with pytest.raises(WeightsError, match=sentence):
        foreign.read(tmp_path / "srcnn_x2.mat")


@pytest.mark.parametrize("name", ["fsrcnn", "fsrcnn-s", "fsrcnn-x"])
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("ending", [".h5", ".pth"])
def test_there_and_back(name: str, scale: int, ending: str, tmp_path: Path) -> None:
    before = random_weights(family(name, scale))
    path = tmp_path / f"w_x{scale}{ending}"
    foreign.write(before, path)
    # fsrcnn-x's small deconvolution is not the port's, so its crop has to be said.
    crop = None if ending == ".h5" or name != "fsrcnn-x" else _port_padding(before.architecture)
    after = foreign.read(path, crop=crop)
    assert after.architecture == before.architecture
    for array in before.arrays:
        np.testing.assert_array_equal(after.arrays[array], before.arrays[array])


def _port_padding(architecture: Architecture) -> int:
    side, scale, crop = architecture.deconvolution_kernel, architecture.scale, architecture.crop
    return max(crop, side - scale - crop)


@pytest.mark.parametrize(
    "a",
    [
        *(family(name, scale) for name in ("fsrcnn", "fsrcnn-x") for scale in (2, 3, 4)),
        *(Architecture(8, 4, 1, 3, 9, scale, crop) for scale in (2, 3, 4) for crop in (0, 1, 5)),
        Architecture(8, 4, 1, 5, 7, 4, 3),
    ],
    ids=lambda a: f"{a.d}-x{a.scale}-crop{a.crop}",
)
def test_the_pytorch_class_computes_the_same_after_the_printed_change(a: Architecture, tmp_path: Path) -> None:
    """The port's class, spelt out with what `write` says to change."""
    ours = random_weights(a)
    change = foreign.write(ours, tmp_path / "w.pth")
    state = torch.load(tmp_path / "w.pth", weights_only=True)
    assert change is not None
    nn = torch.nn
    last = eval(change.split("last_part to ")[1].split(";")[0], {"nn": nn})
    assert ("first_part's first layer" in change) == (a.feature_kernel == 3)
    layers = [nn.Conv2d(1, a.d, a.feature_kernel, padding=a.feature_kernel // 2), nn.PReLU(a.d)]
    middle = [nn.Conv2d(a.d, a.s, 1), nn.PReLU(a.s)]
    for _ in range(a.m):
        middle += [nn.Conv2d(a.s, a.s, 3, padding=1), nn.PReLU(a.s)]
    middle += [nn.Conv2d(a.s, a.d, 1), nn.PReLU(a.d)]
    port = nn.ModuleDict({"first_part": nn.Sequential(*layers), "mid_part": nn.Sequential(*middle), "last_part": last})
    port.load_state_dict(state)
    lr = np.random.default_rng(0).random((19, 14), np.float32)
    with torch.no_grad():
        sr = port["last_part"](port["mid_part"](port["first_part"](torch.from_numpy(lr)[None, None])))[0, 0].numpy()
    np.testing.assert_allclose(sr, NumpyEngine(ours).run(lr), atol=1e-5)


def test_the_port_s_own_geometry_goes_back_unchanged(tmp_path: Path) -> None:
    weights = random_weights(replace(family("fsrcnn", 3), crop=4))
    assert foreign.write(weights, tmp_path / "x3.pth") is None
    assert torch.load(tmp_path / "x3.pth", weights_only=True)["last_part.weight"].shape == (56, 1, 9, 9)
    with pytest.raises(UsageError, match='"same" crops 3 HR rows at ×3, this network 4'):
        foreign.write(weights, tmp_path / "x3.h5")


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_keras_computes_the_same(scale: int, tmp_path: Path) -> None:
    """Keras itself (its PyTorch backend, in a process of its own) loads what `write` wrote."""
    if find_spec("keras") is None:
        pytest.skip("Keras is not installed; type: pip install keras")
    ours = random_weights(family("fsrcnn-x", scale))
    foreign.write(ours, tmp_path / "w.h5")
    lr = np.random.default_rng(0).random((9, 14), np.float32)
    np.save(tmp_path / "lr.npy", lr)
    script = (
        "import keras, numpy as np\n"
        "model = keras.models.load_model('w.h5', compile=False)\n"
        "np.save('sr.npy', np.asarray(model.predict(np.load('lr.npy')[None, :, :, None], verbose=0)))"
    )
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path, env=environment, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "sr.npy")[0, :, :, 0], NumpyEngine(ours).run(lr), atol=1e-5)


class Hostile:
    """Pickled, it touches a file when it is unpickled."""

    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return (Path.touch, (self.flag,))


@pytest.mark.parametrize("ending", foreign.CHECKPOINTS)
@pytest.mark.parametrize("zipped", [True, False, None], ids=["zip", "legacy", "bare pickle"])
def test_nothing_in_a_file_is_run(ending: str, zipped: bool | None, tmp_path: Path) -> None:
    flag, path = tmp_path / "run", tmp_path / f"hostile_x2{ending}"
    content = {"first_part.0.weight": Hostile(flag)}
    if zipped is None:
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match=r"without running code from it|damaged"):
        foreign.read(path)
    assert not flag.exists()


def changed(path: Path, **changes: np.ndarray | None) -> Path:
    """The port's file of FSRCNN-s ×2 with arrays replaced or (None) left out; `__` stands for a dot."""
    foreign.write(random_weights(family("fsrcnn-s", 2)), path)
    state = torch.load(path, weights_only=True)
    for name, array in changes.items():
        state.pop(name.replace("__", "."), None)
        if array is not None:
            state[name.replace("__", ".")] = torch.from_numpy(array)
    torch.save(state, path)
    return path


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"mid_part__2__weight": np.zeros((5, 4, 3, 3))},
            r"mid_part.2 \(mapping.0.weight\) has shape \(5, 4, 3, 3\), .* \(5, 5, 3, 3\)",
        ),
        ({"mid_part__2__weight": np.zeros((5, 5, 3))}, r"mid_part.2.weight \(5, 5, 3\) is no array of an FSRCNN"),
        (
            {"mid_part__3__weight": None},
            "4 convolutions before the deconvolution and 3 PReLUs; an FSRCNN has one behind each",
        ),
        ({"upsample__weight": np.zeros((4, 4))}, r"upsample.weight \(4, 4\) is no array of an FSRCNN"),
        ({"last_part__weight": None, "last_part__bias": None}, "none of its kernels makes one channel of many"),
        (
            {"first_part__0__weight": np.zeros((32, 3, 5, 5))},
            r"its network reads 3 channels \(first_part.0 .*an FSRCNN has 1, luma",
        ),
        (
            {"last_part__weight": np.zeros((32, 3, 9, 9)), "last_part__bias": np.zeros(3)},
            r"none of its kernels makes one channel of many",
        ),
        ({"first_part__0__bias": np.full(32, np.nan)}, "feature_extraction.bias holds NaN"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, np.ndarray | None], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=sentence) as caught:
        foreign.read(changed(tmp_path / "w_x2.pth", **changes))
    assert str(caught.value).startswith(f"{tmp_path / 'w_x2.pth'}: ")


def test_other_files(tmp_path: Path) -> None:
    foreign.write(random_weights(family("fsrcnn-s", 2)), tmp_path / "weights.pth")
    with pytest.raises(UsageError, match="does not say its scale; give scale=2, 3 or 4"):
        foreign.read(tmp_path / "weights.pth")
    assert foreign.read(tmp_path / "weights.pth", scale=2).architecture == family("fsrcnn-s", 2)
    (tmp_path / "cut_x2.pth").write_bytes((tmp_path / "weights.pth").read_bytes()[:-100])
    with pytest.raises(WeightsError, match="is a PyTorch file that is truncated or damaged"):
        foreign.read(tmp_path / "cut_x2.pth")
    with pytest.raises(UsageError, match=r"weights are read from \.mat"):
        foreign.read(tmp_path / "weights.onnx")
    with pytest.raises(UsageError, match=r"not as \.onnx"):
        foreign.write(random_weights(family("fsrcnn-s", 2)), tmp_path / "weights.onnx")
    for ending, sentence in (
        (".mat", "not a MATLAB file"), (".h5", "not a Keras file"), (".pth", "no PyTorch file: it begins with"),
        (".pb", "not a TensorFlow graph"), (".safetensors", "not a safetensors file"),
    ):  # fmt: skip
        bad = tmp_path / f"bad_x2{ending}"
        bad.write_bytes(b"nonsense" * 100)
        with pytest.raises(WeightsError, match=sentence) as caught:
            foreign.read(bad)
        assert str(caught.value).count(str(bad)) == 1
        assert (caught.value.__cause__ is None) == (ending == ".pth")  # what the library said, where one has seen it
    scipy_io.savemat(tmp_path / "other_x2.mat", {"picture": np.zeros((4, 4))})
    with pytest.raises(WeightsError, match="it holds picture, but no weights_conv"):
        foreign.read(tmp_path / "other_x2.mat")
    with h5py.File(tmp_path / "sub_images_x2.h5", "w") as file:
        file["lr"] = np.zeros((3, 10, 10))
    with pytest.raises(WeightsError, match="no layer_names"):
        foreign.read(tmp_path / "sub_images_x2.h5")
    foreign.write(random_weights(family("fsrcnn-s", 2)), tmp_path / "keras.h5")
    with pytest.raises(UsageError, match="is of ×2, not ×3"):
        foreign.read(tmp_path / "keras.h5", scale=3)
    assert isinstance(foreign.read(tmp_path / "keras.h5"), Weights)


def converted(*arguments: str | Path, cwd: Path) -> str:
    """What `fsrcnn convert ARGUMENTS` prints where it succeeds."""
    result = run_command("convert", *arguments, cwd=cwd)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout.decode()


def test_convert_takes_the_words_that_upscale_takes(tmp_path: Path) -> None:
    assert "FSRCNN(56, 12, 4) ×2" in converted("fsrcnn-x2", cwd=tmp_path)
    converted("fsrcnn", "--scale", "3", "out.pth", cwd=tmp_path)
    converted("fsrcnn-s", "-s", "4", cwd=tmp_path)
    converted("fsrcnn-x-x3.t91", cwd=tmp_path)
    converted("./fsrcnn-x2.safetensors", "keras.h5", cwd=tmp_path)
    converted("keras.h5", cwd=tmp_path)
    assert files_below(tmp_path) == [
        "fsrcnn-s-x4.safetensors", "fsrcnn-x-x3.t91.safetensors", "fsrcnn-x2.safetensors", "keras.h5",
        "keras.safetensors", "out.pth",
    ]  # fmt: skip
    for name, file in (
        ("fsrcnn-x2", "fsrcnn-x2"), ("fsrcnn-x2", "keras"), ("fsrcnn-s-x4", "fsrcnn-s-x4"),
        ("fsrcnn-x-x3.t91", "fsrcnn-x-x3.t91"),
    ):  # fmt: skip
        ours, after = pretrained.load(name), weights.load(tmp_path / f"{file}.safetensors")
        assert after.architecture == ours.architecture
        for array in ours.arrays:
            np.testing.assert_array_equal(after.arrays[array], ours.arrays[array])
    assert foreign.read(tmp_path / "out.pth", scale=3).architecture == family("fsrcnn", 3)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["fsrcnn-photo@0.7"], "fsrcnn-photo@0.7-x2.safetensors"),
        (["fsrcnn-photo@.25", "-s", "3"], "fsrcnn-photo@.25-x3.safetensors"),
        (["fsrcnn", "-s", "3"], "fsrcnn-x3.safetensors"),
        (["fsrcnn-x2.t91"], "fsrcnn-x2.t91.safetensors"),
        (["deep/net-1.2"], "deep/net-1.2.safetensors"),
    ],
)
def test_nothing_of_a_models_name_is_lost(arguments: list[str], name: str, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    ours = tmp_path / "deep/ours.safetensors"
    pretrained.load("fsrcnn-x2").save(ours)
    ours.rename(tmp_path / "deep/net-1.2")
    before = files_below(tmp_path)
    result = run_command("convert", *arguments, cwd=tmp_path)
    assert result.returncode == 0, result.stderr.decode()
    assert set(files_below(tmp_path)) - set(before) == {name}


@pytest.mark.parametrize(
    ("arguments", "sentence", "code"),
    [
        (["fsrcnn-x2"], "fsrcnn-x2.safetensors exists; give --overwrite to replace it, or another output", 2),
        (["fsrcnn-x2", "a.h5", "-s", "3"], "fsrcnn-x2 is of ×2, not ×3", 2),
        (["fsrcnn-x2", "a.h5", "--crop", "3"], "--crop is for other people's files", 2),
        (["fsrcnn-x2", "a.onnx"], "not as .onnx", 2),
        (["w.pth", "a.h5"], "w.pth does not say its scale; give --scale 2, 3 or 4", 2),
        (["esrgan", "a.h5"], "there is no model 'esrgan'", 2),
        (["a\x1b[2J.pth"], "a\\x1b[2J.pth does not exist", 1),
        (["none.safetensors"], "none.safetensors does not exist", 1),
        (["none.onnx"], "none.onnx does not exist", 1),
        (["bad_x2.pth"], "bad_x2.pth is no PyTorch file: it begins with", 1),
        (["bad_x2.h5"], "bad_x2.h5 is not a Keras file", 1),
        (
            ["w.pth", "link.pth", "-s", "2", "--overwrite"],
            "the output link.pth is also the input; give another output",
            2,
        ),
        (["ours.safetensors", "--overwrite"], "the output ours.safetensors is also the input; give another output", 2),
    ],
)
def test_what_convert_refuses(arguments: list[str], sentence: str, code: int, tmp_path: Path) -> None:
    (tmp_path / "fsrcnn-x2.safetensors").write_bytes(b"precious")
    foreign.write(random_weights(family("fsrcnn-s", 2)), tmp_path / "w.pth")
    (tmp_path / "link.pth").symlink_to("w.pth")
    pretrained.load("fsrcnn-x2").save(tmp_path / "ours.safetensors")
    for name in ("bad_x2.pth", "bad_x2.h5"):
        (tmp_path / name).write_bytes(b"nonsense" * 100)
    before = {name: (tmp_path / name).read_bytes() for name in files_below(tmp_path)}
    result = run_command("convert", *arguments, cwd=tmp_path)
    assert result.returncode == code
    assert sentence in result.stderr.decode()
    assert result.stderr.count(b"\n") == 1
    assert {name: (tmp_path / name).read_bytes() for name in files_below(tmp_path)} == before


def state_of(weights: Weights) -> dict[str, Any]:
    """A state dictionary under the port's names, in the order of computation."""
    return dict(torch.load(io.BytesIO(foreign.port.encode(weights)[0]), weights_only=True))


SMALL = Architecture(6, 4, 2, 5, 9, 2, 4)  # the port's geometry
PLAIN = ("feature_extraction", "shrink", "map.0", "map.1", "expand", "deconv")


def renamed(weights: Weights, names: Sequence[str]) -> dict[str, Any]:
    """The port's arrays under other names of its layers: `NAME.0` a convolution, `NAME.1` its PReLU."""
    state = {}
    for stage, name in zip(weights.architecture.stages, names, strict=True):
        last = stage.kind == "deconvolution"
        kernel = name if last else f"{name}.0"
        state[f"{kernel}.weight"] = torch.from_numpy(weights.arrays[f"{stage.name}.weight"])
        state[f"{kernel}.bias"] = torch.from_numpy(weights.arrays[f"{stage.name}.bias"])
        if not last:
            state[f"{name}.1.weight"] = torch.from_numpy(weights.arrays[f"{stage.name}.prelu"])
    return state


def same(after: Weights, before: Weights) -> None:
    assert after.architecture == before.architecture
    for name, array in before.arrays.items():
        np.testing.assert_array_equal(after.arrays[name], array)


@pytest.mark.parametrize("ending", [".pth", ".pt", ".pth.tar", ".tar", ".ckpt", ".safetensors"])
@pytest.mark.parametrize(
    "names", [PLAIN, tuple(f"model.module.body.{n}" for n in range(8, 14)), None], ids=["words", "numbers", "port"]
)
def test_names_do_not_count(names: tuple[str, ...] | None, ending: str, tmp_path: Path) -> None:
    """Kernels by their shapes, in the file's order; safetensors have none, so there that of names and shapes."""
    ours = random_weights(SMALL)
    state = state_of(ours) if names is None else renamed(ours, names)
    path = tmp_path / f"net_x2{ending}"
    if ending == ".safetensors":
        safetensors.numpy.save_file({name: array.numpy() for name, array in state.items()}, path)
    else:
        torch.save({"epoch": 7, "state_dict": state, "optimizer": {"state": {}, "lr": 0.1}}, path)
    notes: list[str] = []
    same(foreign.read(path, note=notes.append), ours)
    assert ["4 are assumed, the padding in the common port" in note for note in notes] == (
        [] if names is None else [True]
    )


@pytest.mark.parametrize("key", ["state_dict", "net", "generator", "params", "model", "anything", "a/b"])
def test_a_state_dict_is_found_at_any_key(key: str, tmp_path: Path) -> None:
    ours = random_weights(SMALL)
    inner: dict[str, Any] = {key: state_of(ours), "iteration": 9, "losses": [0.5], "n_averaged": torch.tensor(3)}
    torch.save({"outer": inner} if key == "net" else inner, tmp_path / "w_x2.pth")
    same(foreign.read(tmp_path / "w_x2.pth"), ours)


@pytest.mark.parametrize("flat", [True, False], ids=["prefixes", "keys"])
def test_of_several_networks_the_averaged_one(flat: bool, tmp_path: Path) -> None:
    plain, averaged = random_weights(SMALL), random_weights(SMALL, seed=1)

    def saved(*names: str) -> Path:
        networks = dict(zip(names, (state_of(plain), state_of(averaged)), strict=True))
        flattened = {f"{name}.{key}": value for name, state in networks.items() for key, value in state.items()}
        torch.save({"state_dict": flattened} if flat else networks, tmp_path / "w_x2.pth")
        return tmp_path / "w_x2.pth"

    notes: list[str] = []
    same(foreign.read(saved("params", "params_ema"), note=notes.append), averaged)
    place = "state_dict." if flat else ""
    assert (
        notes[0]
        == f"it holds 2 networks ({place}params, {place}params_ema); {place}params_ema, the averaged one, is taken"
    )
    with pytest.raises(WeightsError, match=r"it holds 2 networks \(.*one, .*two\); save the state_dict of one of them"):
        foreign.read(saved("one", "two"))


def test_one_slope_and_no_bias(tmp_path: Path) -> None:
    ours = random_weights(SMALL)
    state = state_of(ours)
    del state["mid_part.0.bias"], state["last_part.bias"]
    state["mid_part.1.weight"] = torch.tensor([0.25])
    torch.save(state, tmp_path / "w_x2.pth")
    after = foreign.read(tmp_path / "w_x2.pth")
    assert after.arrays["shrinking.prelu"].tolist() == [0.25] * 4
    assert after.arrays["shrinking.bias"].tolist() == [0] * 4
    assert after.arrays["deconvolution.bias"].tolist() == [0]
    shared = {name: value for name, value in state.items() if value.ndim == 4 or name.endswith("bias")}
    torch.save({**shared, "act.weight": torch.tensor([0.5])}, tmp_path / "shared_x2.pth")
    notes: list[str] = []
    after = foreign.read(tmp_path / "shared_x2.pth", note=notes.append)
    assert all((after.arrays[f"{stage.name}.prelu"] == 0.5).all() for stage in SMALL.convolutions)
    assert "its one PReLU is taken to follow each of the 5 convolutions" in notes


def test_safetensors_of_others(tmp_path: Path) -> None:
    """Half and brain floats are read; names that say no order are refused instead of guessed at."""
    ours, path = random_weights(SMALL), tmp_path / "w_x2.safetensors"
    halves = {name: array.to(torch.bfloat16) for name, array in state_of(ours).items()}
    data = pytest.importorskip("safetensors.torch").save(halves)
    path.write_bytes(data)
    np.testing.assert_array_equal(
        foreign.read(path).arrays["shrinking.weight"], halves["mid_part.0.weight"].float().numpy()
    )
    state = renamed(ours, PLAIN)
    loose = {re.sub(r"^(.*)\.1\.weight$", r"act_\1.weight", name): array.numpy() for name, array in state.items()}
    safetensors.numpy.save_file(loose, path)
    with pytest.raises(WeightsError, match="neither the order of its arrays nor their names say how its layers follow"):
        foreign.read(path)
    slopes = (name for name, _ in loose.items() if name.startswith("act_"))
    shuffled = {
        f"s{'dbeca'[number]}": loose.pop(name) for number, name in enumerate(list(slopes))
    }  # not those of their layers
    safetensors.numpy.save_file({**loose, **shuffled}, path)
    with pytest.raises(WeightsError, match="neither the order of its arrays nor their names say how its layers follow"):
        foreign.read(path)
    safetensors.numpy.save_file({name: array.numpy().astype(np.int32) for name, array in state.items()}, path)
    with pytest.raises(WeightsError, match="holds I32, not floating-point numbers"):
        foreign.read(path)
    safetensors.numpy.save_file({name: array.numpy() for name, array in state.items()}, path)
    before = path.read_bytes()
    assert "crop 4" in converted(path.name, "ours.safetensors", cwd=tmp_path)
    for more in ([], ["--overwrite"]):  # by its default name, too, which is not the file's own
        assert converted(path.name, *more, cwd=tmp_path).startswith("w_x2-fsrcnn.safetensors: FSRCNN(6, 4, 2) ×2")
    refused = run_command("convert", path.name, cwd=tmp_path)
    assert b"w_x2-fsrcnn.safetensors exists; give --overwrite to replace it" in refused.stderr
    assert path.read_bytes() == before
    assert weights.load(tmp_path / "ours.safetensors").architecture == SMALL


@pytest.mark.parametrize(("scale", "crop"), [(2, 1), (3, None)])
def test_a_wrong_geometry_is_noticed(scale: int, crop: int | None, tmp_path: Path) -> None:
    """`fsrcnn-x2` has crop 3; as another one it would move the picture, as ×3 tear it."""
    foreign.write(pretrained.load("fsrcnn-x2"), tmp_path / "w.h5")
    state = {"net": renamed(pretrained.load("fsrcnn-x2"), [f"layer{n}" for n in range(8)])}
    torch.save(state, tmp_path / "w.pth")
    notes: list[str] = []
    foreign.read(tmp_path / "w.pth", 2, 3, note=notes.append)
    assert notes == []
    foreign.read(tmp_path / "w.pth", scale, crop, note=notes.append)
    assert re.fullmatch(r"as ×\d with crop \d these weights .* as ×2 with crop 3 of .* most likely its own", notes[-1])


GRAPHS = [
    ("FSRCNN_x2", 34.82), ("FSRCNN_x3", 30.57), ("FSRCNN_x4", 28.39),
    ("FSRCNN-small_x2", 34.46), ("FSRCNN-small_x3", 30.21), ("FSRCNN-small_x4", 28.19),
]  # fmt: skip


@pytest.mark.parametrize(("name", "published"), GRAPHS)
def test_opencvs_graphs(name: str, published: float, datasets: Path, references: Path) -> None:
    """Set5, protocol `files`: what shared/README.md says of OpenCV itself, which pads with zeros as we do."""
    engine = NumpyEngine(foreign.read(references / "weights" / "opencv-pb" / f"{name}.pb"))
    scale, scores = engine.architecture.scale, []
    for picture in sorted((datasets / "Set5").glob("*.png")):
        pixels = modcrop(read_8bit(picture), scale)
        lr = imresize(pixels.astype(np.float64), output_size=(pixels.shape[0] // scale, pixels.shape[1] // scale))
        sr = engine.luma((luma(np.rint(lr.clip(0, 255)).astype(np.uint8)) / 255.0).astype(np.float32))
        scores.append(psnr(shave(luma(pixels), scale), shave(round_8bit(sr), scale)))
    assert len(scores) == 5
    assert np.mean(scores) == pytest.approx(published, abs=0.02)


def evaluated(data: bytes, y: np.ndarray) -> np.ndarray:
    """A graph as TensorFlow would compute it, node by node, in float64: read by its own protocol classes, convolved by SciPy."""
    graph_pb2 = pytest.importorskip("tensorboard.compat.proto.graph_pb2", reason="tensorboard is not installed")
    graph = graph_pb2.GraphDef.FromString(data)
    done: dict[str, np.ndarray] = {}
    for node in graph.node:
        x = [done[name] for name in node.input]
        match node.op:
            case "Const":
                tensor = node.attr["value"].tensor
                shape = [side.size for side in tensor.tensor_shape.dim]
                kind = np.int32 if tensor.dtype == 3 else np.float32
                values = (
                    np.frombuffer(tensor.tensor_content, kind) if tensor.tensor_content else np.array(tensor.float_val)
                )
                value = values.reshape(shape)
            case "Placeholder":
                value = y[:, :, None].astype(np.float64)
            case "Conv2D":
                kernel = x[1].astype(np.float64)
                planes = [
                    sum(
                        scipy_signal.correlate2d(x[0][:, :, c], kernel[:, :, c, o], "same")
                        for c in range(kernel.shape[2])
                    )
                    for o in range(kernel.shape[3])
                ]
                value = np.stack(planes, -1)
            case "DepthToSpace":
                s = node.attr["block_size"].i
                h, w, _ = x[0].shape
                value = x[0].reshape(h, w, s, s).transpose(0, 2, 1, 3).reshape(h * s, w * s, 1)
            case "Transpose":
                value = x[0]
            case op:
                operation = {"Add": np.add, "BiasAdd": np.add, "Sub": np.subtract, "Mul": np.multiply, "Abs": np.abs}
                value = np.maximum(x[0], 0) if op == "Relu" else operation[op](*x)
        done[node.name] = value
    return done[graph.node[-1].name][:, :, 0]


@pytest.mark.parametrize("name", [name for name, _ in GRAPHS])
@pytest.mark.parametrize("engine", ["numpy", "native", "torch:cpu"])
def test_a_graph_computes_the_same(name: str, engine: str, references: Path) -> None:
    """OpenCV's luma has full range, ours is of studio swing, before and after; so zeros at the border are another grey."""
    path = references / "weights" / "opencv-pb" / f"{name}.pb"
    converted = foreign.read(path)
    y = np.random.default_rng(0).random((24, 21))
    expected = evaluated(path.read_bytes(), y) * 219 / 255 + 16 / 255
    try:
        ours = engines.create(converted, engine).luma((y * 219 / 255 + 16 / 255).astype(np.float32))
    except FsrcnnError as error:
        if engine != "native":
            raise
        pytest.skip(str(error))
    inside = slice(8 * converted.architecture.scale, -8 * converted.architecture.scale)
    np.testing.assert_allclose(ours[inside, inside], expected[inside, inside], atol=2e-5)


def synthetic() -> Any:
    graph_pb2 = pytest.importorskip("tensorboard.compat.proto.graph_pb2", reason="tensorboard is not installed")
    return graph_pb2.GraphDef.FromString(fuzz_weights.graph(2))


@pytest.mark.parametrize(
    ("node", "change", "sentence"),
    [
        ("conv3", lambda node: node.attr["strides"].list.i.__setitem__(1, 2), r"conv3 \(Conv2D\) of its graph is no part"),
        ("conv2", lambda node: setattr(node.attr["padding"], "s", b"VALID"), r"conv2 \(Conv2D\)"),
        ("relu2", lambda node: setattr(node, "op", "Tanh"), r"prelu2 \(Add\)"),
        ("relu2", lambda node: node.input.__setitem__(0, "sum1"), r"sub2 \(Sub\)"),
        ("sub2", lambda node: node.input.__setitem__(0, "sum1"), r"sub2 \(Sub\)"),
        ("shuffle", lambda node: setattr(node.attr["block_size"], "i", 5), "shuffle enlarges by 5"),
        ("shuffle", lambda node: setattr(node, "op", "Identity"), "its graph has 0 DepthToSpace"),
        ("conv1", lambda node: node.input.__setitem__(0, "prelu4"), "Conv2D|prelu|in a circle|no part"),
        ("f1", lambda node: node.attr["value"].tensor.tensor_shape.dim.__getitem__(0).__setattr__("size", 2**40), "or it is damaged"),
        ("conv4", lambda node: node.input.__setitem__(1, "nothing"), "its graph has no node nothing"),
    ],
)  # fmt: skip
def test_other_graphs(node: str, change: Callable[[Any], None], sentence: str, tmp_path: Path) -> None:
    graph = synthetic()
    path = tmp_path / "net_x2.pb"
    path.write_bytes(graph.SerializeToString())
    assert foreign.read(path).architecture == Architecture(6, 3, 1, 5, 3, 2, 0)
    change(next(candidate for candidate in graph.node if candidate.name == node))
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(WeightsError, match=sentence):
        foreign.read(path)


@pytest.mark.parametrize("ending", [".h5", ".pb"])
def test_three_channels_are_counted(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"rgb_x2{ending}"
    if ending == ".pb":
        graph = synthetic()
        first = next(node for node in graph.node if node.name == "f1").attr["value"].tensor
        first.tensor_shape.dim[2].size, first.tensor_content = 3, first.tensor_content * 3
        path.write_bytes(graph.SerializeToString())
    else:
        foreign.write(random_weights(family("fsrcnn-s", 2)), path)
        with h5py.File(path, "r+") as file:
            group = file["model_weights/feature_extraction/feature_extraction"]
            del group["kernel:0"]
            group["kernel:0"] = np.zeros((5, 5, 3, 32), np.float32)
    with pytest.raises(WeightsError, match=r"its network reads 3 channels \(.*\); an FSRCNN has 1, luma"):
        foreign.read(path)


def test_a_tensor_larger_than_its_file(own_process: None, tmp_path: Path) -> None:
    """One number that stands for a million million; and a pickle, and a description of a model, of 100,000 brackets."""
    state = state_of(random_weights(SMALL))
    state["mid_part.0.weight"] = torch.zeros(1).as_strided((2**20, 2**20, 1, 1), (0, 0, 1, 1))
    torch.save(state, tmp_path / "w_x2.pth")
    with pytest.raises(
        WeightsError, match=r"mid_part.0.weight has shape \(1048576, 1048576, 1, 1\), which is more than 64 MiB"
    ):
        foreign.read(tmp_path / "w_x2.pth")
    (tmp_path / "deep_x2.pth").write_bytes(b"\x80\x02" + b"](" * 100_000 + b"e" * 100_000 + b".")
    with pytest.raises(WeightsError, match="is damaged, or cannot be read"):
        foreign.read(tmp_path / "deep_x2.pth")
    foreign.write(random_weights(family("fsrcnn-s", 2)), tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5", "r+", libver="latest") as file:
        del file.attrs["model_config"]
        file.attrs["model_config"] = "[" * 60_000
    with pytest.raises(WeightsError, match="not a Keras file, or it is damaged"):
        foreign.read(tmp_path / "w.h5")


def outside(file: Any, name: str, kind: str, secret: Path) -> None:
    """Put something that leads out of an HDF5 file in the place of a dataset."""
    data = file[name][()]
    del file[name]
    if kind == "external storage":
        file.create_dataset(name, data.shape, data.dtype, external=[(str(secret), 0, h5py.h5f.UNLIMITED)])
    elif kind == "external link":
        file[name] = h5py.ExternalLink(str(secret), "/x")
    elif kind == "loop":
        file[name] = h5py.SoftLink(f"/{name}")
    else:
        layout = h5py.VirtualLayout(data.shape, data.dtype)
        layout[...] = h5py.VirtualSource(str(secret), "x", data.shape)
        file.create_virtual_dataset(name, layout)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("external storage", "kernel:0 lie in other files"), ("virtual", "kernel:0 lie in other files"),
        ("external link", r"is a link to another file \(.*secret\)"), ("loop", "is a symbolic link"),
    ],
)  # fmt: skip
def test_nothing_is_read_from_other_files(kind: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    (tmp_path / "secret").write_bytes(bytes(10**6))
    foreign.write(random_weights(family("fsrcnn-s", 2)), path)
    with h5py.File(path, "r+") as file:
        outside(file, "model_weights/shrinking/shrinking/kernel:0", kind, tmp_path / "secret")
    with pytest.raises(WeightsError, match=sentence):
        foreign.read(path)


@pytest.mark.parametrize("ending", foreign.CHECKPOINTS)
def test_devices_pipes_and_folders(ending: str, tmp_path: Path) -> None:
    """None of them may hang, or fill the memory."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no pipes in folders")
    path = tmp_path / f"w_x2{ending}"
    path.symlink_to("/dev/zero")
    with pytest.raises(WeightsError, match="is a device or a pipe"):
        foreign.read(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(WeightsError, match="is a device or a pipe"):
        foreign.read(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(WeightsError, match="is a folder"):
        foreign.read(path)
    path.rmdir()
    with path.open("wb") as file:
        file.truncate(weights.LARGEST_FILE + 1)
    with pytest.raises(WeightsError, match="has more than 67,108,864 bytes"):
        foreign.read(path)


def test_names_in_a_file_do_not_reach_the_terminal_as_they_are(tmp_path: Path) -> None:
    state: dict[str, Any] = {**state_of(random_weights(SMALL)), "\x1b[2J" + "A" * 10_000: torch.zeros(3, 3)}
    torch.save(state, tmp_path / "w_x2.pth")
    result = run_command("convert", "w_x2.pth", cwd=tmp_path)
    assert result.returncode == 1
    assert b"\\x1b[2JAAA" in result.stderr
    assert b"\x1b" not in result.stderr
    assert len(result.stderr) < 1200
