"""Other people's checkpoints: they convert to the published figures, go back without loss, and what does not fit is named."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from fsrcnn import foreign, pretrained, weights
from fsrcnn.architecture import Architecture, family
from fsrcnn.color import luma
from fsrcnn.engines.numpy import NumpyEngine
from fsrcnn.errors import UsageError, WeightsError
from fsrcnn.imresize import imresize
from fsrcnn.metrics import modcrop, psnr, shave
from fsrcnn.protocol import read_8bit, round_8bit
from fsrcnn.weights import Weights
from support import files_below, random_weights, run_command

scipy_io = pytest.importorskip("scipy.io", reason="SciPy is not installed; type: pip install 'fsrcnn[convert]'")
h5py = pytest.importorskip("h5py", reason="h5py is not installed; type: pip install 'fsrcnn[convert]'")
torch = pytest.importorskip("torch", reason="PyTorch is not installed; type: pip install 'fsrcnn[torch]'")

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
    biases = {f"biases_conv{number}": np.zeros((shape[-1], 1)) for number, shape in enumerate(shapes, 1)}
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


def test_nothing_in_a_pth_is_run(tmp_path: Path) -> None:
    flag = tmp_path / "run"

    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (flag,))  # type: ignore[return-value]

    (tmp_path / "hostile_x2.pth").write_bytes(pickle.dumps({"first_part.0.weight": Hostile()}))
    torch.save({"first_part.0.weight": Hostile()}, tmp_path / "zipped_x2.pth")
    for name in ("hostile_x2.pth", "zipped_x2.pth"):
        with pytest.raises(WeightsError, match="without running code from it"):
            foreign.read(tmp_path / name)
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
        ({"mid_part__2__weight": np.zeros((5, 5, 3))}, r"the kernel of mid_part.2 has shape \(5, 5, 3\)"),
        ({"mid_part__3__weight": None}, "mid_part.3.weight is missing|has no partner"),
        ({"upsample__weight": np.zeros((4, 4))}, r"upsample.weight \(4, 4\) is no array of the port"),
        ({"last_part__weight": None, "last_part__bias": None}, "but no last_part"),
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
    with pytest.raises(UsageError, match=r"weights are read from \.mat"):
        foreign.read(tmp_path / "weights.onnx")
    with pytest.raises(UsageError, match=r"not as \.onnx"):
        foreign.write(random_weights(family("fsrcnn-s", 2)), tmp_path / "weights.onnx")
    for ending, sentence in ((".mat", "not a MATLAB file"), (".h5", "not a Keras file"), (".pth", "cannot be read")):
        bad = tmp_path / f"bad_x2{ending}"
        bad.write_bytes(b"nonsense" * 100)
        with pytest.raises(WeightsError, match=sentence) as caught:
            foreign.read(bad)
        assert str(caught.value).count(str(bad)) == 1
        assert caught.value.__cause__ is not None  # what the library said
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
    ("arguments", "sentence", "code"),
    [
        (["fsrcnn-x2"], "fsrcnn-x2.safetensors exists; give --overwrite to replace it, or another output", 2),
        (["fsrcnn-x2", "a.h5", "-s", "3"], "fsrcnn-x2 is of ×2, not ×3", 2),
        (["fsrcnn-x2", "a.h5", "--crop", "3"], "--crop is for other people's files", 2),
        (["fsrcnn-x2", "a.onnx"], "not as .onnx", 2),
        (["w.pth", "a.h5"], "w.pth does not say its scale; give --scale 2, 3 or 4", 2),
        (["esrgan", "a.h5"], "there is no model 'esrgan'", 2),
        (["none.onnx"], "cannot read the weights none.onnx: No such file", 1),
        (["bad_x2.pth"], "(or it is no PyTorch file); save a plain state_dict instead", 1),
        (["bad_x2.h5"], "bad_x2.h5 is not a Keras file", 1),
    ],
)
def test_what_convert_refuses(arguments: list[str], sentence: str, code: int, tmp_path: Path) -> None:
    (tmp_path / "fsrcnn-x2.safetensors").write_bytes(b"precious")
    foreign.write(random_weights(family("fsrcnn-s", 2)), tmp_path / "w.pth")
    for name in ("bad_x2.pth", "bad_x2.h5"):
        (tmp_path / name).write_bytes(b"nonsense" * 100)
    before = files_below(tmp_path)
    result = run_command("convert", *arguments, cwd=tmp_path)
    assert result.returncode == code
    assert sentence in result.stderr.decode()
    assert result.stderr.count(b"\n") == 1
    assert files_below(tmp_path) == before
    assert (tmp_path / "fsrcnn-x2.safetensors").read_bytes() == b"precious"
