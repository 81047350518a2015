"""From a name to weights: the same words for every command."""

from __future__ import annotations

from pathlib import Path

import pytest

from fsrcnn import UsageError, WeightsError, models, pretrained
from fsrcnn.architecture import FAMILY_NAMES, SCALES, Architecture, family, name_of
from support import random_weights, run_command


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_a_family_at_each_scale(name: str) -> None:
    assert tuple(models.by_scale(name)) == SCALES
    for scale in SCALES:
        assert models.resolve(name, scale).architecture == family(name, scale)
    assert models.resolve(name).architecture.scale == 2


def test_bundled_weights_files_and_weights(tmp_path: Path) -> None:
    stage = models.resolve("fsrcnn-x3.t91")
    assert stage.arrays.keys() == pretrained.load("fsrcnn-x3.t91").arrays.keys()
    weights = random_weights(Architecture(4, 3, 1, 3, 5, 4))
    weights.save(tmp_path / "mine.safetensors")
    for model in (weights, tmp_path / "mine.safetensors", str(tmp_path / "mine.safetensors")):
        assert models.resolve(model).architecture == models.resolve(model, 4).architecture == weights.architecture
    assert models.resolve(weights) is weights


def test_what_is_no_model_or_of_another_scale(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"there is no model 'esrgan'; there are fsrcnn, fsrcnn-photo, .*fsrcnn-s, .*weights file"
    ):
        models.resolve("esrgan")
    with pytest.raises(WeightsError, match=r"none\.safetensors does not exist"):
        models.resolve(tmp_path / "none.safetensors")
    with pytest.raises(WeightsError, match="is a folder, not a weights file"):
        models.resolve(tmp_path)
    for nothing in ("", None):
        with pytest.raises(UsageError, match="a model is a name, as fsrcnn, or the path of a weights file, not"):
            models.resolve(nothing)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="fsrcnn-x2 is of ×2, not ×3"):
        models.resolve("fsrcnn-x2", 3)
    with pytest.raises(UsageError, match="fsrcnn is of ×2, ×3, ×4, not ×5"):
        models.resolve("fsrcnn", 5)
    with pytest.raises(UsageError, match="the model is of ×4, not ×2"):
        models.resolve(random_weights(Architecture(4, 3, 1, 3, 5, 4)), 2)


@pytest.mark.parametrize(
    "name",
    [
        "fsrcnn@0.5",
        "fsrcnn-photo-mild@0.5",
        "fsrcnn-photo@-0.5",
        "fsrcnn-photo@0.7-x3",
        "fsrcnn-photo-x2@0.7",
        "fsrcnn-photo@",
    ],
)
def test_a_strength_that_no_model_has(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But a file of that name is a model."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        UsageError, match=rf"no model '{name}'; .*, fsrcnn-photo@0\.7 with a strength of 0 to 1, or the path"
    ):
        models.resolve(name)
    random_weights(Architecture(4, 3, 1, 3, 5, 4)).save(tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors").rename(tmp_path / name)
    assert models.resolve(name).architecture == Architecture(4, 3, 1, 3, 5, 4)


@pytest.mark.parametrize("path", ["mine@0.7.safetensors", "folder@home/none.bin"])
def test_a_path_with_an_at_stays_a_path(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match=f"{path} does not exist"):
        models.resolve(path)


def test_members_of_the_family_change_scale_within_it() -> None:
    for name in FAMILY_NAMES:
        for scale in SCALES:
            for other in SCALES:
                assert family(name, scale).with_scale(other) == family(name, other)
    own = Architecture(10, 4, 1, 3, 3, 2).with_scale(4)  # 3×3 cannot cover stride 4
    assert (own.deconvolution_kernel, own.crop, name_of(own)) == (5, 0, "fsrcnn-10-4-1")
    assert Architecture(10, 4, 1, 3, 7, 2, 0).with_scale(3) == Architecture(10, 4, 1, 3, 7, 3)


def test_a_folder_that_is_called_like_a_model_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "fsrcnn").mkdir()
    (tmp_path / "fsrcnn-x2").write_bytes(b"")
    assert run_command("models", cwd=tmp_path).returncode == 0
    assert models.resolve("fsrcnn-x2").architecture == family("fsrcnn", 2)
