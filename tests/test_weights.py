"""Weights files: what goes in comes out, and what is none is refused with one sentence."""

from __future__ import annotations

import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from fsrcnn import models, pretrained, weights
from fsrcnn.architecture import FAMILY_NAMES, SCALES, Architecture, family
from fsrcnn.errors import FsrcnnError, UsageError, WeightsError
from fsrcnn.weights import KIND, KIND_KEY, METADATA_KEY, Weights
from support import random_weights


@pytest.mark.parametrize(
    "architecture",
    [
        *(family(name, 3) for name in FAMILY_NAMES),
        Architecture(1, 1, 0, 1, 3, 2, 0),
        Architecture(7, 3, 2, 3, 11, 4, 5),
    ],
)
def test_round_trip(architecture: Architecture, tmp_path: Path) -> None:
    saved = random_weights(architecture)
    saved.save(tmp_path / "w.safetensors")
    loaded = weights.load(tmp_path / "w.safetensors")
    assert loaded.architecture == architecture
    for name, array in saved.arrays.items():
        np.testing.assert_array_equal(loaded.arrays[name], array)
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_the_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    """The safetensors library alone writes two lines of metadata in either order, so eight files would differ."""
    files = set()
    for number in range(8):
        random_weights(family("fsrcnn-x", 2)).save(tmp_path / f"{number}.safetensors")
        files.add((tmp_path / f"{number}.safetensors").read_bytes())
    assert len(files) == 1


def test_the_file_says_its_architecture_to_any_reader(tmp_path: Path) -> None:
    random_weights(family("fsrcnn", 4)).save(tmp_path / "w.safetensors")
    with safetensors.safe_open(tmp_path / "w.safetensors", "np") as file:
        assert file.metadata()["fsrcnn.kind"] == "fsrcnn"
        fields = json.loads(file.metadata()[METADATA_KEY])
        assert fields == {
            "d": 56, "s": 12, "m": 4, "feature_kernel": 5, "deconvolution_kernel": 9, "scale": 4, "crop": 2,
        }  # fmt: skip
        assert file.get_slice("mapping.3.weight").get_shape() == [12, 12, 3, 3]


def test_a_file_without_a_kind_is_of_the_first_kind() -> None:
    """All that were written before there was one, the bundled ones of the first stage among them."""
    for name in [name for name in pretrained.table() if name.endswith(".t91")]:
        path = Path(pretrained.__file__).parent / f"{name}.safetensors"
        with safetensors.safe_open(path, "np") as file:
            assert KIND_KEY not in file.metadata()
        assert weights.load(path).architecture == pretrained.load(name).architecture


def test_another_kind_is_refused_before_its_arrays_are_looked_at(tmp_path: Path) -> None:
    arrays = {"conv.weight": np.zeros((3, 3), np.float32)}
    for metadata in ({KIND_KEY: "espcn"}, {KIND_KEY: "espcn", METADATA_KEY: '{"layers": 9}'}):
        path = _file(tmp_path, safetensors.numpy.save(arrays, metadata))
        with pytest.raises(WeightsError) as caught:
            weights.load(path)
        assert str(caught.value) == (
            f"{path} holds a network of kind 'espcn'; this version of fsrcnn knows only {KIND!r}"
        )


def _file(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "other.safetensors"
    path.write_bytes(data)
    return path


def _header(content: object) -> bytes:
    text = (content if isinstance(content, str) else json.dumps(content)).encode()
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    "content", ["[" * 100_000, [1], {"__metadata__": None}, {"__metadata__": [1]}], ids=lambda c: str(c)[:20]
)
def test_a_file_that_says_nothing_of_itself(content: object) -> None:
    assert weights.metadata_of(_header(content)) == {}


@pytest.mark.parametrize("kind", ["device", "pipe", "folder"])
def test_only_files_are_read(kind: str, tmp_path: Path) -> None:
    """`/dev/zero` has no end, a pipe may have no writer."""
    path = tmp_path / "w.safetensors"
    if kind == "folder":
        path.mkdir()
    elif not hasattr(os, "mkfifo"):
        pytest.skip("this system has no pipes in folders")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(WeightsError, match="is a folder" if kind == "folder" else "is a device or a pipe"):
        models.resolve(path)


@pytest.mark.parametrize("name", ["x" * 5000, "a/" * 3000, "zero\0byte.safetensors"])
def test_names_that_no_file_has(name: str) -> None:
    with pytest.raises(FsrcnnError):
        models.resolve(name)


def test_files_that_are_no_weights(tmp_path: Path) -> None:
    arrays = dict(random_weights(family("fsrcnn-x", 2)).arrays)
    legal = {
        METADATA_KEY: json.dumps(
            {"d": 23, "s": 12, "m": 2, "feature_kernel": 3, "deconvolution_kernel": 3, "scale": 2, "crop": 0}
        )
    }
    good = safetensors.numpy.save(arrays, legal)

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "ran",))  # type: ignore[return-value]

    cases = {
        pickle.dumps(Bomb()): "a pickle",
        b"PK\x03\x04rest of a zip": "a pickle or PyTorch checkpoint",
        b"": "not a safetensors",
        b"just text, and quite some of it": "not a safetensors",
        good[:-5]: "not a safetensors",
        (2**62).to_bytes(8, "little") + b"{}": "not a safetensors",
        safetensors.numpy.save(arrays): "no fsrcnn.architecture metadata",
        safetensors.numpy.save(arrays, {METADATA_KEY: "{"}): "no legal architecture",
        safetensors.numpy.save(arrays, {METADATA_KEY: "[1]"}): "no legal architecture",
        safetensors.numpy.save(arrays, {METADATA_KEY: '{"scale": 9}'}): "scale is 2, 3 or 4",
        safetensors.numpy.save(arrays, {METADATA_KEY: '{"layers": 9}'}): "no legal architecture",
        safetensors.numpy.save(arrays, {METADATA_KEY: "[" * 100_000}): "no legal architecture",
        safetensors.numpy.save(arrays, {METADATA_KEY: '{"m": -1' + "0" * 4000 + "}"}): r"\[…\]",
        _header({"__metadata__": None}): "not a safetensors|no fsrcnn.architecture metadata",
        _header(
            {"__metadata__": {}, "x": {"dtype": "BF16", "shape": [0], "data_offsets": [0, 0]}}
        ): "not a safetensors|no fsrcnn",
        _header("[" * 100_000): "not a safetensors",
        _header({"x": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 0]}}): "not a safetensors",
    }
    for data, sentence in cases.items():
        with pytest.raises(WeightsError, match=sentence):
            weights.load(_file(tmp_path, data))
    assert not (tmp_path / "ran").exists()
    with pytest.raises(WeightsError, match="does not exist"):
        weights.load(tmp_path / "missing.safetensors")
    big = tmp_path / "big.safetensors"
    with big.open("wb") as file:
        file.truncate(weights.LARGEST_FILE + 1)
    with pytest.raises(WeightsError, match="far more than any FSRCNN"):
        weights.load(big)


def test_arrays_that_do_not_fit() -> None:
    good = random_weights(family("fsrcnn-s", 2))

    def changed(name: str, array: np.ndarray | None) -> dict[str, np.ndarray]:
        arrays = {**good.arrays, name: array}
        return {key: value for key, value in arrays.items() if value is not None}

    nan = good.arrays["shrinking.bias"].copy()
    nan[2] = np.nan
    cases = [
        ("expanding.bias", None, "miss the array expanding.bias"),
        ("mapping.1.bias", np.zeros(5, np.float32), "mapping.1.bias that"),
        ("mapping.0.weight", np.zeros((5, 5, 5, 5), np.float32), r"mapping.0.weight has shape \(5, 5, 5, 5\)"),
        ("shrinking.bias", nan, "shrinking.bias holds NaN"),
        ("shrinking.bias", np.zeros(5), "float64"),
    ]
    for name, array, sentence in cases:
        with pytest.raises(WeightsError, match=sentence):
            Weights(good.architecture, changed(name, array))
    with pytest.raises(WeightsError):
        Weights(replace(good.architecture, m=2), good.arrays)


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.safetensors"
    random_weights(family("fsrcnn-x", 2)).save(path)
    before = path.read_bytes()

    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(WeightsError, match="No space left"):
        random_weights(family("fsrcnn-x", 2), seed=1).save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_every_bundled_model_loads_and_is_what_its_name_says() -> None:
    names = {pretrained.name_of(name, scale) for name in pretrained.FAMILIES for scale in SCALES}
    first_stages = {f"{name}.t91" for name in names if "-photo" not in name}
    assert set(pretrained.table()) == names | first_stages
    for name, entry in pretrained.table().items():
        loaded = pretrained.load(name)
        assert name.removesuffix(".t91") == pretrained.name_of(entry.family, entry.scale)
        assert (entry.trained_on == "T91") == name.endswith(".t91")
        assert loaded.architecture == family(entry.family.partition("-photo")[0], entry.scale)


def test_a_damaged_installation_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = pretrained.table()["fsrcnn-x2"]
    monkeypatch.setitem(pretrained.table(), "fsrcnn-x2", replace(entry, sha256="0" * 64))
    with pytest.raises(WeightsError, match="damaged"):
        pretrained.load("fsrcnn-x2")
    with pytest.raises(UsageError, match="fsrcnn-x3"):
        pretrained.load("fsrcnn-x9")


def test_an_average_lies_between_two() -> None:
    first, second = (random_weights(family("fsrcnn-x", 2), seed) for seed in (1, 2))
    between = weights.averaged(first, second, 0.25)
    for name, array in between.arrays.items():
        np.testing.assert_allclose(array, 0.75 * first.arrays[name] + 0.25 * second.arrays[name], rtol=1e-6)
    for strength, end in ((0.0, first), (1.0, second)):
        for name, array in weights.averaged(first, second, strength).arrays.items():
            np.testing.assert_array_equal(array, end.arrays[name])
    for strength in (-0.1, 1.01, float("nan")):
        with pytest.raises(UsageError, match=r"strength is 0 to 1, not"):
            weights.averaged(first, second, strength)
    with pytest.raises(UsageError, match=r"deconvolution_kernel 3 and 5, scale 2 and 3, crop 0 and 1"):
        weights.averaged(first, random_weights(family("fsrcnn-x", 3)), 0.5)


@pytest.mark.parametrize("scale", SCALES)
def test_a_strength_of_the_photo_weights(scale: int) -> None:
    mild, strong = (pretrained.load(f"fsrcnn-photo-{end}-x{scale}") for end in ("mild", "strong"))
    for name, array in models.resolve("fsrcnn-photo@0.3", scale).arrays.items():
        np.testing.assert_allclose(array, 0.7 * mild.arrays[name] + 0.3 * strong.arrays[name], rtol=1e-4, atol=1e-7)
    assert models.by_scale("fsrcnn-photo@1").keys() == set(SCALES)
    with pytest.raises(UsageError, match=r"the strength behind fsrcnn-photo@ is 0 to 1, not 1\.5"):
        models.resolve("fsrcnn-photo@1.5", scale)
    with pytest.raises(UsageError, match=r"there is no model 'fsrcnn-photo@much'"):
        models.resolve("fsrcnn-photo@much", scale)
