"""The protocol photo: small pictures as in life, Lanczos, LPIPS, and the bars that the bundled weights have to clear."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fsrcnn import engines, images, perceptual, pretrained, robustness
from fsrcnn.architecture import family
from fsrcnn.arrays import Array, Uint8
from fsrcnn.degradation import CASES
from fsrcnn.errors import FsrcnnError, ImageError, MissingExtraError, UsageError
from fsrcnn.imresize import imresize
from fsrcnn.robustness import evaluate, lanczos, number_of, numbers_of, small
from support import ROOT, files_below, random_weights, run_command

# dB above bicubic that the photo models at ×2 have to reach, 0 in every other case; and what clean pictures may cost beside `fsrcnn`.
# No one network reaches all: what it gains on JPEGs that were not sharpened it loses on those that were (docs/real-photos.md). Nearest
# pixels lie half a pixel beside their place, which none can know.
BARS: dict[str, dict[str, float]] = {
    "fsrcnn-photo": {"JPEG 75": 0.55, "JPEG 50": 0.4, "sharpened, JPEG 85": 0.3, "nearest": -0.2},
    "fsrcnn-photo-mild": {
        "JPEG 75": 0.7, "JPEG 50": 0.4, "INTER_CUBIC": -0.3, "nearest": -0.8, "sharpened": -1.4, "sharpened, JPEG 85": -1.2,
    },
    "fsrcnn-photo-strong": {"sharpened": 1.3, "sharpened, JPEG 85": 1.3, "area": -0.1, "INTER_CUBIC": -0.4},
}  # fmt: skip
CLEAN_LOSS = 1.5


@pytest.mark.parametrize("name", ["BSDS500-val20", "Set14"])
def test_bundled_weights_for_photos_clear_the_bars(name: str, datasets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import photo_rows

    networks = {each: engines.create(pretrained.load(f"{each}-x2")) for each in ("fsrcnn", *BARS)}
    rows = photo_rows.rows(datasets / name, 2, networks)
    assert list(rows) == list(CASES)
    below = {
        (model, case): round(row[model], 3)
        for model, bars in BARS.items()
        for case, row in rows.items()
        if row[model] < bars.get(case, 0)
    }
    assert below == {}
    assert rows["clean"]["fsrcnn"] - rows["clean"]["fsrcnn-photo"] <= CLEAN_LOSS


def engine_x2() -> engines.Engine:
    return engines.create(random_weights(family("fsrcnn-x", 2)), "numpy")


def picture(*shape: int) -> Uint8:
    """Waves and an edge with some noise."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    waves = 120 + 60 * np.sin(x / 3) * np.cos(y / 4) + 50 * (x > y)
    colours = waves if len(shape) == 2 else np.dstack([waves, waves[::-1], np.roll(waves, 5, 1)])
    noise = np.random.default_rng(0).normal(0, 4, shape)
    return (colours + noise).clip(0, 255).astype(np.uint8)


def write_picture(path: Path, *shape: int) -> None:
    images.write(images.Picture((picture(*shape),), "png"), path)


def luma_of(rgb: Array) -> Array:
    """MATLAB's, of 8-bit RGB, in [0, 1]."""
    return np.asarray(16 + rgb @ np.array([65.481, 128.553, 24.966]) / 255) / 255


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_lanczos_is_the_windowed_sinc(scale: int) -> None:
    """Inside, summed by hand; Pillow's for bytes differs by rounding alone."""
    plane = picture(20, 26)
    found = lanczos(plane / np.float32(255), scale)
    byte = np.asarray(Image.fromarray(plane).resize((26 * scale, 20 * scale), Image.Resampling.LANCZOS))
    assert np.abs(found.astype(int) - byte).max() <= 1

    def taps(length: int) -> Array:
        centres = (np.arange(length * scale) + 0.5) / scale - 0.5
        x = centres[:, None] - np.arange(length)
        weights = np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)
        return np.asarray(weights / weights.sum(1, keepdims=True))

    expected = (taps(20) @ plane @ taps(26).T).clip(0, 255)
    inside = slice(3 * scale, -3 * scale)
    assert np.abs(found - expected)[inside, inside].max() < 0.51


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_small_picture_is_an_8_bit_file_of_rgb(scale: int) -> None:
    hr = picture(12 * scale, 14 * scale, 3)
    lr = np.floor(imresize(hr / 255.0, output_size=(12, 14)).clip(0, 1) * 255 + 0.5).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(lr).save(buffer, "JPEG", quality=75, subsampling="4:2:0")
    decoded = np.asarray(Image.open(buffer))
    for case, expected in (("clean", lr), ("JPEG 75", decoded)):
        found = small(hr, scale, CASES[case], 0)
        np.testing.assert_allclose(found.luma, luma_of(expected), atol=1e-6)
        assert found.chroma is not None
        assert found.chroma.shape == (12, 14, 2)


@pytest.mark.parametrize("shape", [(41, 50), (40, 51, 3)])
def test_each_case_is_measured(shape: tuple[int, ...], tmp_path: Path) -> None:
    write_picture(tmp_path / "set/a.png", *shape)
    engine = engine_x2()
    results, failures = evaluate([tmp_path / "set"], engine, save=tmp_path / "out")
    assert failures == []
    assert [result.case for result in results] == list(CASES)
    assert {(result.folder, result.picture, result.protocol) for result in results} == {("set", "a", "photo")}
    assert len({result.bicubic.psnr for result in results}) == len(CASES)
    hr = picture(*shape)[:40, :50]
    jpeg = next(result for result in results if result.case == "JPEG 75")
    lr = small(hr, 2, CASES["JPEG 75"], 0).luma
    luma = hr if hr.ndim == 2 else np.floor(luma_of(hr) * 255 + 0.5)
    large = {
        "bicubic": imresize(lr.astype(np.float64), output_size=(40, 50)),
        "lanczos": lanczos(lr, 2) / 255,
        "sr": engine.luma(lr.astype(np.float32)),
    }
    for way, plane in large.items():
        rounded = np.floor(plane.clip(0, 1) * 255 + 0.5)
        mse = np.mean((rounded - luma)[2:-2, 2:-2] ** 2)
        assert jpeg.scores[way].psnr == pytest.approx(10 * np.log10(255**2 / mse), abs=0.02)
    assert len(files_below(tmp_path / "out/set")) == 2 * len(CASES)
    saved = images.read(tmp_path / "out/set/a_x2_sharpened-JPEG-85.png").pages[0]
    assert saved.shape == hr.shape
    assert (tmp_path / "out/set/a_x2_real_panes.png").exists()


def test_noise_belongs_to_a_picture_and_not_to_its_neighbours(tmp_path: Path) -> None:
    for name in ("set/a.png", "set/b.png", "alone/b.png"):
        write_picture(tmp_path / name, 40, 40, 3)
    cases = ["noise 8", "real"]
    results, _ = evaluate([tmp_path / "set", tmp_path / "alone"], engine_x2(), cases=cases, threads=2)
    a, b, alone = results[:2], results[2:4], results[4:]
    assert [result.scores for result in b] == [result.scores for result in alone]
    for one, other in zip(a, b, strict=True):
        assert one.bicubic.psnr != other.bicubic.psnr


def test_a_row_of_random_chains_is_a_mean(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_picture(path, 40, 40, 3)
    (result,), _ = evaluate([path], engine_x2(), cases=["real"])
    numbers = numbers_of(path, "real")
    assert (len(numbers), numbers[0], len(numbers_of(path, "JPEG 75"))) == (3, number_of(path), 1)
    chains = [robustness.compare(picture(40, 40, 3), engine_x2(), CASES["real"], number) for number in numbers]
    for way in ("bicubic", "lanczos", "sr"):
        errors = [np.mean((getattr(c, way).astype(float) - c.hr)[2:-2, 2:-2] ** 2) for c in chains]
        assert len(set(errors)) == 3
        assert result.scores[way].psnr == pytest.approx(np.mean(10 * np.log10(255**2 / np.array(errors))))


def test_a_picture_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    write_picture(tmp_path / "good.png", 40, 40, 3)
    write_picture(tmp_path / "tiny.png", 12, 12, 3)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    results, failures = evaluate([tmp_path], engine_x2(), cases=["clean"])
    assert [result.picture for result in results] == ["good"]
    assert "bad.png" in str(failures[0])
    assert "tiny.png: a picture of 12×12 is too small to measure at ×2" in str(failures[1])
    with pytest.raises(ImageError, match=r"a picture of 16377×10 pixels is too large .* at most 16,376 pixels"):
        small(np.zeros((20, 32754), np.uint8), 2, CASES["WebP 75"], 0)
    small(np.zeros((20, 32752), np.uint8), 2, CASES["WebP 75"], 0)


@pytest.mark.parametrize("cases", [["JPEG 80"], ["clean", "jpeg 75"], "clean", [], [["clean"]], [75]])
def test_a_case_that_is_not_there(cases: Any, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"cases is a list of at least one of 'clean', 'JPEG 90', .*'real', not "
    ) as caught:
        evaluate([tmp_path], engine_x2(), cases=cases)
    assert str(caught.value).endswith(repr(cases))


def test_what_is_saved_replaces_no_picture_that_is_measured(tmp_path: Path) -> None:
    for name in ("a", "a_x2_JPEG-30"):
        write_picture(tmp_path / f"set/{name}.png", 40, 40)
    with pytest.raises(UsageError, match=r"the output .*a_x2_JPEG-30\.png is also an input; give another save"):
        evaluate([tmp_path / "set"], engine_x2(), save=tmp_path)
    assert len(files_below(tmp_path)) == 2


def test_without_pillow_it_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_picture(tmp_path / "a.png", 40, 40)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(MissingExtraError, match=r"JPEGs of the protocol photo need Pillow"):
        evaluate([tmp_path], engine_x2())


def test_distances_are_of_colours(tmp_path: Path) -> None:
    """Each way's luma, chroma by bicubic: a distance sees 8-bit RGB of the original's size. What it cannot say is None."""
    write_picture(tmp_path / "a.png", 40, 46, 3)
    seen: list[Array] = []

    def distance(original: Uint8, other: Array) -> float:
        np.testing.assert_array_equal(original, picture(40, 46, 3))
        seen.append(other)
        return float(len(seen))

    (result,), _ = evaluate([tmp_path], engine_x2(), cases=["clean"], distance=distance)
    assert result.lpips == {"bicubic": 1.0, "lanczos": 2.0, "sr": 3.0}
    assert {(each.shape, str(each.dtype)) for each in seen} == {((40, 46, 3), "uint8")}
    lr = np.floor(imresize(picture(40, 46, 3) / 255.0, output_size=(20, 23)).clip(0, 1) * 255 + 0.5) / 255
    bicubic = imresize(lr, output_size=(40, 46)).clip(0, 1) * 255
    assert np.abs(seen[0] - bicubic).max() < 2  # luma is rounded between
    (real,), _ = evaluate([tmp_path], engine_x2(), cases=["real"], distance=distance)
    assert real.lpips == {"bicubic": 7.0, "lanczos": 8.0, "sr": 9.0}  # of 4 to 12
    (none,), _ = evaluate([tmp_path], engine_x2(), cases=["clean"], distance=lambda original, other: None)
    assert none.lpips is None
    assert robustness.mean_lpips([result, none, real]) == {"bicubic": 4.0, "lanczos": 5.0, "sr": 6.0}


STUBS = {
    "lpips.py": """
import numpy
im2tensor = lambda rgb: rgb.astype(float)
class Network:
    def requires_grad_(self, wanted): return self
    def __call__(self, one, other):
        assert one.shape[2] == other.shape[2] == 3
        return numpy.abs(one - other).mean() / 255
def LPIPS(net, verbose):
    import torch.hub
    assert net == "alex" and not verbose
    if open(torch.hub.get_dir() + "/checkpoints/alexnet.pth").read() != "weights": raise RuntimeError("no weights\\nat all")
    return Network()
""",
    "torch/__init__.py": "",
    "torch/hub.py": "import os\nget_dir = lambda: os.environ['HUB']\n",
    "torchvision/__init__.py": "",
    "torchvision/models.py": """
class AlexNet_Weights:
    class IMAGENET1K_V1:
        url = "https://there/models/alexnet.pth"
""",
}  # fmt: skip


@pytest.fixture
def lpips_environment(tmp_path: Path) -> dict[str, str]:
    """Of a process in which LPIPS is installed, as far as it is used."""
    for name, text in STUBS.items():
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return {"PYTHONPATH": str(tmp_path / "site"), "HUB": str(tmp_path / "hub")}


def evaluated(folder: Path, *arguments: str, **environment: str) -> tuple[str, str]:
    """Standard output and error of `fsrcnn evaluate set --protocol photo -s 2`."""
    command = ["evaluate", "set", "--protocol", "photo", "-s", "2", "-m", "fsrcnn-s"]
    done = run_command(*command, *arguments, cwd=folder, stdin=b"", **environment)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode(), done.stderr.decode()


def test_lpips_is_measured_where_it_can_be(tmp_path: Path, lpips_environment: dict[str, str]) -> None:
    write_picture(tmp_path / "set/a.png", 40, 50, 3)
    write_picture(tmp_path / "set/small.png", 34, 50)  # 31 pixels are needed, and are there
    write_picture(tmp_path / "set/tiny.png", 30, 50)
    output, said = evaluated(tmp_path, "--json", **lpips_environment)
    hub = tmp_path / "hub/checkpoints/alexnet.pth"
    assert said == (
        f"fsrcnn: LPIPS cannot be measured: AlexNet's weights, {hub}, are not downloaded yet; "
        'type: python -c "import lpips; lpips.LPIPS()"\n'
    )
    assert {mean["lpips"] for mean in json.loads(output)["means"]} == {None}
    hub.parent.mkdir(parents=True)
    hub.write_text("rubbish")
    assert evaluated(tmp_path, "--csv", **lpips_environment)[1] == (
        "fsrcnn: LPIPS cannot be measured: RuntimeError: no weights\n"
    )
    hub.write_text("weights")
    output, said = evaluated(tmp_path, "--json", **lpips_environment)
    report = json.loads(output)
    assert said == ""
    assert all(0 < value < 0.2 for mean in report["means"] for value in mean["lpips"].values())
    assert {row["picture"] for row in report["pictures"] if row["lpips"] is None} == {"tiny"}
    assert "LPIPS lanczos" in evaluated(tmp_path, **lpips_environment)[0]


def test_the_command_prints_a_row_for_each_case(tmp_path: Path) -> None:
    if perceptual.installed():
        pytest.skip("lpips is installed")
    write_picture(tmp_path / "set/deep/a.png", 40, 50, 3)
    write_picture(tmp_path / "set/b.png", 40, 50)
    table, said = evaluated(tmp_path, "--recursive")
    assert said == ""
    lines = [line for line in table.splitlines() if line.startswith("set  ")]
    assert lines[0].split() == ["set", "pictures", "scale", "case", "bicubic", "lanczos", "fsrcnn-s", "gain"]
    for line, case in zip(lines[1:], CASES, strict=True):
        assert case in line
    report: dict[str, Any] = json.loads(evaluated(tmp_path, "--recursive", "--json")[0])
    assert [mean["case"] for mean in report["means"]] == list(CASES)
    assert {row["protocol"] for row in report["pictures"]} == {"photo"}
    assert {row["picture"] for row in report["pictures"]} == {"b", "deep/a"}
    for mean in report["means"]:
        of = [row for row in report["pictures"] if row["case"] == mean["case"]]
        assert mean["lpips"] is None
        for way in ("bicubic", "lanczos", "sr"):
            assert mean[way]["psnr"] == pytest.approx(np.mean([row[way]["psnr"] for row in of]))
    rows = evaluated(tmp_path, "--csv")[0].splitlines()
    assert rows[0] == (
        "folder,picture,scale,protocol,case,bicubic_psnr,bicubic_ssim,lanczos_psnr,lanczos_ssim,sr_psnr,sr_ssim,"
        "bicubic_lpips,lanczos_lpips,sr_lpips"
    )
    assert len(rows) == 1 + len(CASES)
    assert {row.count(",") for row in rows if '"' not in row} == {13}


def test_an_lpips_that_is_not_installed_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(FsrcnnError, match="LPIPS cannot be measured: ModuleNotFoundError: "):
        perceptual.Lpips()
