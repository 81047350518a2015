"""HDF5 files: what `prepare` writes is what the papers' scripts write, what others wrote is read, and bad files are named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

h5py = pytest.importorskip("h5py", reason="h5py is not installed; type: pip install 'fsrcnn[train]'")
torch = pytest.importorskip("torch", reason="PyTorch is not installed; type: pip install 'fsrcnn[train]'")

from fsrcnn import images, quarantine  # noqa: E402
from fsrcnn.errors import FsrcnnError, ImageError, UsageError  # noqa: E402
from fsrcnn.imresize import imresize  # noqa: E402
from fsrcnn.training.hdf5_reader import read_pictures, read_sub_images  # noqa: E402
from fsrcnn.training.hdf5_writer import prepare  # noqa: E402
from fsrcnn.training.pairs import PAPER_FACTORS, PAPER_ROTATIONS, pair_of, read_luma  # noqa: E402
from fsrcnn.training.sources import SubImageBatches  # noqa: E402
from fsrcnn.training.sub_images import SubImages, paper_sub_images  # noqa: E402
from support import in_this_process  # noqa: E402


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    in_this_process(monkeypatch)  # tests/test_quarantine.py uses a process


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    for name, shape in (("a", (61, 47, 3)), ("b", (50, 50)), ("c", (40, 90, 4))):
        pixels = generator.integers(0, 256, shape, dtype=np.uint8)
        images.write(images.Picture((pixels,), "png"), root / f"{name}.png")
    return root


def paths(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.png"))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_sub_images_are_those_of_the_authors_script(scale: int, folder: Path, tmp_path: Path) -> None:
    """Both layouts against generate_train.m spelt out in its own 1-based indices."""
    size, label, stride = {2: (10, 19, 4), 3: (7, 19, 4), 4: (6, 21, 4)}[scale]
    data, labels = [], []
    for path in paths(folder):
        y = read_luma(path)
        hr = y[: y.shape[0] // scale * scale, : y.shape[1] // scale * scale] / 255.0
        lr = imresize(hr, output_size=(hr.shape[0] // scale, hr.shape[1] // scale))
        for x in range(1, lr.shape[0] - size + 2, stride):
            for y1 in range(1, lr.shape[1] - size + 2, stride):
                locx = scale * (x + (size - 1) // 2) - int(np.floor((label + scale) / 2 - 1))
                locy = scale * (y1 + (size - 1) // 2) - int(np.floor((label + scale) / 2 - 1))
                data.append(lr[x - 1 : x - 1 + size, y1 - 1 : y1 - 1 + size])
                labels.append(hr[locx - 1 : locx - 1 + label, locy - 1 : locy - 1 + label])
    cut = paper_sub_images(scale)
    done = prepare(paths(folder), tmp_path / "a.h5", cut)
    assert (done.pictures, done.items, done.failures) == (3, len(data), [])
    prepare(paths(folder), tmp_path / "b.h5", cut, layout="data-label")
    with h5py.File(tmp_path / "a.h5") as a, h5py.File(tmp_path / "b.h5") as b:
        np.testing.assert_allclose(a["lr"][()], np.array(data) * 255, atol=1e-4)
        np.testing.assert_array_equal(a["hr"][()], np.rint(np.array(labels) * 255))
        assert b["data"].shape == (len(data), 1, size, size)
        assert b["label"].shape == (len(data), 1, label, label)
        # MATLAB stores columns first, so h5write's file shows each picture transposed.
        np.testing.assert_allclose(b["data"][:, 0], np.array(data).swapaxes(1, 2), atol=1e-6)
        np.testing.assert_allclose(b["label"][:, 0], np.array(labels).swapaxes(1, 2), atol=1e-6)
        assert list(a.attrs["sources"]) == ["a.png", "b.png", "c.png"]
        assert {len(digest) for digest in a.attrs["sha256"]} == {64}
        assert (a.attrs["scale"], a.attrs["sub_image"], a.attrs["label"], a.attrs["stride"]) == (
            scale,
            size,
            label,
            stride,
        )
    first, second = read_sub_images(tmp_path / "a.h5", scale), read_sub_images(tmp_path / "b.h5", scale)
    assert first.offset == second.offset == {2: 0, 3: 1, 4: 0}[scale]
    np.testing.assert_allclose(first.lr, np.array(data), atol=1e-6)
    np.testing.assert_allclose(second.lr, first.lr, atol=1e-6)
    np.testing.assert_allclose(second.hr * 255, first.hr, atol=1e-4)


def test_augmentation_makes_twenty_of_each(folder: Path, tmp_path: Path) -> None:
    cut = replace(paper_sub_images(2), factors=PAPER_FACTORS, rotations=PAPER_ROTATIONS)
    done = prepare(paths(folder)[1:2], tmp_path / "a.h5", cut)
    sides = [int(np.ceil(50 * factor)) // 2 for factor in PAPER_FACTORS]  # of the LR pictures
    assert done.items == 4 * sum(((side - 10) // 4 + 1) ** 2 for side in sides)
    stored = read_sub_images(tmp_path / "a.h5", 2)
    lr, hr = pair_of(read_luma(paths(folder)[1]), 2, 1.0, 90)
    per_turn = ((25 - 10) // 4 + 1) ** 2
    np.testing.assert_allclose(stored.lr[per_turn], lr[:10, :10], atol=1e-6)
    np.testing.assert_array_equal(stored.hr[per_turn], hr[:19, :19])


def test_batches_put_labels_in_their_place(folder: Path, tmp_path: Path) -> None:
    for label in (21, 19):
        cut = replace(paper_sub_images(3), label=label)
        prepare(paths(folder), tmp_path / f"{label}.h5", cut)
    batches = {
        label: SubImageBatches([read_sub_images(tmp_path / f"{label}.h5", 3)], 3, 8, seed=1) for label in (19, 21)
    }
    for step in (0, 3, batches[19].steps_per_epoch + 2):
        small, whole = batches[19].draw(step), batches[21].draw(step)
        torch.testing.assert_close(small.lr, whole.lr)
        assert whole.mask is None
        assert small.mask is not None
        assert int(small.mask.sum()) == 19 * 19
        torch.testing.assert_close(small.phases, whole.phases * small.mask)


def test_an_epoch_shows_each_sub_image_once(folder: Path, tmp_path: Path) -> None:
    prepare(paths(folder), tmp_path / "a.h5", paper_sub_images(3))
    stored = read_sub_images(tmp_path / "a.h5", 3)
    source = SubImageBatches([stored], 3, batch=len(stored.lr) // 4)
    orders = []
    for epoch in range(2):
        steps = range(epoch * source.steps_per_epoch, (epoch + 1) * source.steps_per_epoch)
        orders.append(torch.cat([source.draw(step).lr for step in steps])[:, 0].numpy())
    for order in orders:
        unique = np.unique(order.reshape(len(order), -1), axis=0)
        assert len(unique) == len(order)
    assert not np.array_equal(orders[0], orders[1])
    with pytest.raises(UsageError, match="fewer than a batch of 100000"):
        SubImageBatches([stored], 3, batch=100_000)


def test_whole_pictures(folder: Path, tmp_path: Path) -> None:
    done = prepare(paths(folder), tmp_path / "e.h5", paper_sub_images(3), whole=True)
    assert done.items == 3
    pictures = read_pictures(tmp_path / "e.h5", 3).pairs
    for path, (lr, hr) in zip(paths(folder), pictures, strict=True):
        expected_lr, expected_hr = pair_of(read_luma(path), 3)
        np.testing.assert_allclose(lr, expected_lr, atol=1e-6)
        np.testing.assert_array_equal(hr, expected_hr)
    with pytest.raises(UsageError, match="is of ×3, not ×2"):
        read_pictures(tmp_path / "e.h5", 2)
    with pytest.raises(ImageError, match="whole pictures for validation; train on a file of sub-images"):
        read_sub_images(tmp_path / "e.h5", 3)
    with pytest.raises(UsageError, match="cannot hold"):
        prepare(paths(folder), tmp_path / "f.h5", paper_sub_images(3), whole=True, layout="data-label")


def test_files_of_others_are_read_by_convention(tmp_path: Path) -> None:
    """The common PyTorch port writes 0 … 255 and no attributes, MATLAB writes 0 … 1."""
    generator = np.random.default_rng(0)
    lr, hr = generator.random((5, 10, 10), np.float32), generator.random((5, 20, 20), np.float32)
    with h5py.File(tmp_path / "port.h5", "w") as file:
        file["lr"], file["hr"] = lr * 255, hr * 255
    with h5py.File(tmp_path / "matlab.h5", "w") as file:
        file["data"], file["label"] = lr.swapaxes(1, 2)[:, None].astype("f8"), hr.swapaxes(1, 2)[:, None]
    for name in ("port.h5", "matlab.h5"):
        stored = read_sub_images(tmp_path / name, 2)
        np.testing.assert_allclose(stored.lr, lr, atol=1e-6)
        np.testing.assert_allclose(stored.hr, hr, atol=1e-6)
        assert stored.offset == 0
    with pytest.raises(UsageError, match="do not fit ×3; they fit ×2"):
        read_sub_images(tmp_path / "port.h5", 3)


def test_bad_files(folder: Path, tmp_path: Path) -> None:
    good = tmp_path / "good.h5"
    prepare(paths(folder), good, paper_sub_images(3))
    with pytest.raises(UsageError, match="is of ×3, not ×2; prepare it with scale=2, or train with scale=3"):
        read_sub_images(good, 2)
    with pytest.raises(ImageError, match="does not exist"):
        read_sub_images(tmp_path / "none.h5", 3)
    (tmp_path / "cut.h5").write_bytes(good.read_bytes()[:3000])
    with pytest.raises(ImageError, match="truncated"):
        read_sub_images(tmp_path / "cut.h5", 3)
    with h5py.File(tmp_path / "keys.h5", "w") as file:
        file["input"] = np.zeros(3)
    with pytest.raises(ImageError, match="holds input, but neither lr and hr nor data and label"):
        read_sub_images(tmp_path / "keys.h5", 3)
    (tmp_path / "nan.h5").write_bytes(good.read_bytes())
    with h5py.File(tmp_path / "nan.h5", "r+") as file:
        file["lr"][17, 3, 2] = np.nan
    with pytest.raises(ImageError, match="lr holds NaN or infinity, first in item 17"):
        read_sub_images(tmp_path / "nan.h5", 3)
    with h5py.File(tmp_path / "odd.h5", "w") as file:
        file["lr"], file["hr"] = np.zeros((4, 7, 7)), np.zeros((3, 21, 21))
    with pytest.raises(ImageError, match="4 LR and 3 HR"):
        read_sub_images(tmp_path / "odd.h5", 3)


def test_stray_files_are_named_and_nothing_half_written_stays(folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(paths(folder)[0].read_bytes()[:100])
    tiny = tmp_path / "tiny.png"
    images.write(images.Picture((np.zeros((5, 5), np.uint8),), "png"), tiny)
    done = prepare([*paths(folder), broken, tiny], tmp_path / "a.h5", paper_sub_images(3))
    assert done.pictures == 3
    assert len(done.failures) == 2
    assert str(broken) in done.failures[0].fact
    assert f"{tiny} has 5×5 pixels, too small for a sub-image of 7 LR pixels at ×3" in done.failures[1].fact
    with pytest.raises(FsrcnnError, match="none of the 2 files could be used") as caught:
        prepare([broken, tiny], tmp_path / "b.h5", paper_sub_images(3))
    assert "{tolerant=True}" in caught.value.remedy  # for a door that has it
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.h5", "broken.png", "tiny.png"]


def test_more_sources_than_an_old_attribute_holds(folder: Path, tmp_path: Path) -> None:
    small = SubImages(2, 4, 8, stride=1000)
    prepare(paths(folder)[1:2] * 6000, tmp_path / "many.h5", small)
    with h5py.File(tmp_path / "many.h5") as file:
        assert len(file.attrs["sources"]) == 6000


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"size": 0}, "at least 1 LR pixel"),
        ({"label": 22}, "is 1 to 21, not 22"),
        ({"stride": 0}, "at least 1"),
        ({"factors": (1.5,)}, "at most 1"),
    ],
)
def test_cuts_that_make_no_sense(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        replace(paper_sub_images(3), **change)  # type: ignore[arg-type]


def stored(path: Path, whole: bool, **attributes: object) -> Path:
    """A legal file of ×2: sub-images, or one whole picture."""
    with h5py.File(path, "w") as file:
        for name, side in (("lr", 6), ("hr", 12)):
            file[f"{name}/0" if whole else name] = np.zeros((side, side) if whole else (4, side, side), np.uint8)
        file.attrs.update(attributes)
    return path


@pytest.mark.parametrize("whole", [False, True], ids=["sub-images", "pictures"])
@pytest.mark.parametrize("name", ["lr", "hr"])
@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("external storage", "lie in other files, which are not read"), ("virtual", "lie in other files, which are not read"),
        ("external link", r"is a link to another file \(.*secret\), which is not followed"), ("loop", "is a symbolic link"),
        ("text", "holds object, not numbers"), ("huge", "more than the .* GiB of this machine|do not fit|not ×2"),
    ],
)  # fmt: skip
def test_nothing_is_read_from_other_files(
    kind: str, sentence: str, name: str, whole: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(10**6))
    path = stored(tmp_path / "a.h5", whole)
    with h5py.File(path, "r+") as file:
        place = f"{name}/0" if whole else name
        shape = file[place].shape
        del file[place]
        if kind == "external storage":
            file.create_dataset(place, shape, "u1", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout(shape, "u1")
            layout[...] = h5py.VirtualSource(str(secret), "x", shape)
            file.create_virtual_dataset(place, layout)
        elif kind == "text":
            file.create_dataset(place, shape, h5py.string_dtype())
        elif kind == "huge":
            for other, factor in (("lr", 1), ("hr", 2)):
                both = f"{other}/0" if whole else other
                if both in file:
                    del file[both]
                big = (2**24 * factor, 2**24 * factor) if whole else (2**44, 6 * factor, 6 * factor)
                file.create_dataset(both, big, "u1", chunks=(1, 2**20) if whole else (1, 6, 6))
        else:
            file[place] = (
                h5py.ExternalLink(str(secret), "/x") if kind == "external link" else h5py.SoftLink(f"/{place}")
            )
    if kind == "huge":  # a rehearsal would read it all
        monkeypatch.setattr(quarantine, "_process", lambda *call: (0, b"", ""))
    with pytest.raises(FsrcnnError, match=sentence) as caught:
        (read_pictures if whole else read_sub_images)(path, 2)
    assert str(caught.value).count(str(path)) == 1


@pytest.mark.parametrize("whole", [False, True], ids=["sub-images", "pictures"])
@pytest.mark.parametrize(
    ("attribute", "value", "sentence"),
    [
        ("scale", "abc", "attribute scale is a number, not 'abc'"), ("scale", 2.5, "scale is a whole number, not 2.5"),
        ("scale", [2, 3], "scale is a number"), ("peak", 0, "peak is above 0 and at most 65535, not 0"),
        ("peak", np.nan, "peak is a number, not"), ("peak", 1e300, "at most 65535"), ("scale", 10**9, "scale is 2, 3 or 4|is of ×"),
        ("label_offset", -1, "label_offset is 0 to 0, not -1"),
    ],
)  # fmt: skip
def test_attributes_of_no_meaning(attribute: str, value: object, sentence: str, whole: bool, tmp_path: Path) -> None:
    path = stored(tmp_path / "a.h5", whole, **{attribute: value})
    if whole and attribute in ("label_offset",):
        return  # not read
    if whole and value == 10**9:
        assert len(read_pictures(path, 2).pairs) == 1
        return
    with pytest.raises(FsrcnnError, match=sentence):
        (read_pictures if whole else read_sub_images)(path, 2)
