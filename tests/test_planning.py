"""Which file becomes which: by every door the same, refused before the work where it cannot be, and one bad file stays alone."""

from __future__ import annotations

import errno
import os
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fsrcnn import ImageError, Size, Upscaler, UsageError, batch, formats, images, places
from fsrcnn.cli.options import as_option
from fsrcnn.images import Picture
from fsrcnn.jobs import Earlier, Job
from fsrcnn.places import Remote
from fsrcnn.planning import Drawing, plan
from support import files_below

DOUBLE = Size(factor=2)
BECOMES = {"png": "png", "jpg": "jpg", "webp": "webp", "tif": "tif", "avif": "avif", "gif": "gif", "bmp": "png"}
"""Content → what it is written as if nobody says."""
PILLOW = {"PNG": "png", "JPEG": "jpg", "MPO": "jpg", "WEBP": "webp", "TIFF": "tif", "AVIF": "avif", "GIF": "gif"}


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler("fsrcnn-x", scale=2, engine="numpy", threads=1)


def encoded(content: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 8, 3), dtype=np.uint8)
    if content == "bmp":
        file = BytesIO()
        Image.fromarray(pixels).save(file, "BMP")
        return file.getvalue()
    data = images.write(Picture((pixels,), content), None).data
    assert data is not None
    return data


def held_by(file: Path | BytesIO) -> str:
    """The format of a file, as Pillow sees it."""
    with Image.open(file) as picture:
        return PILLOW[str(picture.format)]


def make(path: Path, content: str = "png") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(content))
    return path


@pytest.mark.parametrize("content", BECOMES)
@pytest.mark.parametrize("ending", [".PNG", ".jpg", ".jfif", ".webp", ".tiff", ".gif", ".heic", ""])
def test_the_format_follows_the_content_through_every_door(
    content: str, ending: str, tmp_path: Path, upscaler: Upscaler
) -> None:
    source = make(tmp_path / f"in/photo{ending}", content)
    expected = BECOMES[content]
    kept = ending if ending.lower() in formats.FORMATS[expected].endings else f".{expected}"

    (beside,) = plan([str(source)], None, DOUBLE).jobs
    (inside,) = plan([str(source)], f"{tmp_path}/out/", DOUBLE).jobs
    (piped,) = plan([str(source)], "-", DOUBLE).jobs
    (standard,) = plan(["-"], None, DOUBLE).jobs
    jobs = [beside, inside, piped, standard]
    if ending:
        jobs += plan([str(source.parent)], str(tmp_path / "tree"), DOUBLE).jobs
        assert jobs[-1].target == tmp_path / f"tree/photo{kept}"
    assert beside.target == source.with_name(f"photo_x2{kept}")
    assert inside.target == tmp_path / f"out/photo{kept}"

    options = batch.Options(standard_input=source.read_bytes())
    for outcome in batch.run_all(jobs, upscaler, DOUBLE, options):
        outcome.result()
        data = outcome.data
        assert held_by(BytesIO(data) if data else Path(outcome.result().output)) == expected
    assert upscaler(source, overwrite=True) == beside.target
    assert held_by(beside.target) == expected
    assert held_by(BytesIO(upscaler(source.read_bytes()))) == expected


CONTRADICTIONS = [
    ("y.jpg", "gif"), ("w.png", "tif"), ("a.JFIF", "png"), ("a.tiff", "avif"), ("a.bmp", "png"), ("a.heic", "avif"),
    ("deep/a.webp", "jpeg"),
]  # fmt: skip


@pytest.mark.parametrize(("output", "format"), CONTRADICTIONS)
def test_ending_and_format_that_contradict_each_other(
    output: str, format: str, tmp_path: Path, upscaler: Upscaler
) -> None:
    source, target = make(tmp_path / "a.png"), tmp_path / output
    for inputs in ([str(source)], ["-"]):
        with pytest.raises(UsageError) as refused:
            plan(inputs, str(target), DOUBLE, format=format)
        name = formats.check_format(format)
        assert refused.value.sentence(as_option) == (
            f"{target} ends in {target.suffix.lower()}, but the format asked for is {name}; give another --output or another --format"
        )
    with pytest.raises(UsageError, match="but the format asked for is"):
        upscaler("no such picture: refused before it is looked for", output=target, format=format)
    with pytest.raises(UsageError, match="but the format asked for is"):
        images.write(Picture((np.zeros((4, 4), np.uint8),), "png"), target, format=format)
    assert files_below(tmp_path) == ["a.png"]


@pytest.mark.parametrize(
    ("output", "format", "expected"),
    [
        ("plain", "png", "png"), ("plain", "jpeg", "jpg"), ("photo.bak", "webp", "webp"), ("2026.11", "tif", "tif"),
        ("x[1].old", "gif", "gif"), ("a.jpeg", "jpg", "jpg"), ("a.jfif", "jpeg", "jpg"),
        ("a.JPE", None, "jpg"), ("a.tiff", "tif", "tif"),
    ],
)  # fmt: skip
def test_a_name_is_kept_as_it_is_given(
    output: str, format: str | None, expected: str, tmp_path: Path, upscaler: Upscaler
) -> None:
    source = make(tmp_path / "a.png")
    (job,) = plan([str(source)], str(tmp_path / output), DOUBLE, format=format).jobs
    (outcome,) = batch.run_all([job], upscaler, DOUBLE)
    assert outcome.result().output == str(tmp_path / output)
    assert held_by(tmp_path / output) == expected
    assert files_below(tmp_path) == sorted(["a.png", output])
    assert upscaler(source, output=tmp_path / output, format=format, overwrite=True) == tmp_path / output
    assert held_by(tmp_path / output) == expected


def test_a_job_knows_whether_its_output_was_named(tmp_path: Path) -> None:
    source = str(make(tmp_path / "a.png"))
    for item in (source, "-"):
        assert [job.named for job in plan([item], str(tmp_path / "b.png"), DOUBLE).jobs] == [True]
    for output in (None, "-", f"{tmp_path}/folder/"):
        assert [job.named for job in plan([source], output, DOUBLE).jobs] == [False]


def test_names_that_say_no_format(tmp_path: Path, upscaler: Upscaler) -> None:
    source = make(tmp_path / "a.png")
    for name, sentence in (("b", "b has no ending that names a format"), ("b.xyz", "not as '.xyz'")):
        with pytest.raises(UsageError, match=sentence):
            plan([str(source)], str(tmp_path / name), DOUBLE)
        with pytest.raises(UsageError, match=sentence):
            upscaler(source, output=tmp_path / name)
    with pytest.raises(UsageError, match="not as 'xyz'"):
        upscaler(b"refused before it is looked at", format="xyz")
    assert files_below(tmp_path) == ["a.png"]


def test_several_pictures_need_a_folder(tmp_path: Path) -> None:
    one, other = make(tmp_path / "in/a.png"), make(tmp_path / "in/b.png")
    (tmp_path / "folder.png").mkdir()
    file = make(tmp_path / "file")
    for inputs in ([str(one), str(other)], [str(one.parent)]):
        with pytest.raises(UsageError) as refused:
            plan(inputs, str(tmp_path / "out.png"), DOUBLE)
        assert refused.value.sentence(as_option).endswith(
            "out.png is the name of one picture, and there are several; give a folder as --output: out/"
        )
        with pytest.raises(UsageError, match="file is no folder, and several outputs need one"):
            plan(inputs, str(file), DOUBLE)
        for folder in ("folder.png", "new.png/", "holiday.2026"):
            targets = [job.target for job in plan(inputs, f"{tmp_path}/{folder}", DOUBLE).jobs]
            assert targets == [tmp_path / folder / "a.png", tmp_path / folder / "b.png"]
    with pytest.raises(UsageError, match="file is no folder, and its slash asks for one"):
        plan([str(one)], f"{file}/", DOUBLE)


TOO_LONG = os.strerror(errno.ENAMETOOLONG)
LONG = "n" * 252  # with its ending and _x2 more than the 255 bytes that a name may have on Linux's file systems


def test_what_is_wrong_with_one_stays_with_it(tmp_path: Path, upscaler: Upscaler) -> None:
    """Each of the bad ones has its sentence before the work, and the good ones are written."""
    good, last = make(tmp_path / "good.png"), make(tmp_path / "last.jpg", "jpg")
    long = make(tmp_path / f"{LONG[:251]}.png")
    (tmp_path / "circle.png").symlink_to("circle.png")
    (tmp_path / "taken.png").write_bytes(encoded("png"))
    (tmp_path / "taken_x2.png").mkdir()
    (tmp_path / "void").mkdir()
    names = [good.name, "missing.png", f"{LONG}.png", long.name, "circle.png", "good.png/x.png", "taken.png", last.name]
    jobs = plan([str(tmp_path / name) for name in names], None, DOUBLE).jobs
    assert [job.source for job in jobs] == [tmp_path / name for name in names]
    assert [str(job.error or "").replace(str(tmp_path), "") for job in jobs] == [
        "", "/missing.png does not exist", f"cannot use /{LONG}.png: {TOO_LONG}",
        f"/{long.name}: cannot use /{long.stem}_x2.png: {TOO_LONG}",
        f"cannot use /circle.png: {os.strerror(errno.ELOOP)}", "/good.png/x.png does not exist",
        "/taken.png: cannot write /taken_x2.png: it is a folder", "",
    ]  # fmt: skip
    outcomes = list(batch.run_all(jobs, upscaler, DOUBLE))
    assert [outcome.error for outcome in outcomes] == [job.error for job in jobs]
    assert {name for name in files_below(tmp_path) if "_x2" in name} == {"good_x2.png", "last_x2.jpg"}

    into = plan([str(good), str(tmp_path / "void"), str(long)], f"{tmp_path}/deep/er/", DOUBLE, format="webp").jobs
    assert into[1].error is not None
    assert "void holds no pictures" in str(into[1].error)
    assert TOO_LONG in str(into[2].error)  # .webp is a letter more, which only the folder to come would have refused
    (alone,) = plan([str(good)], f"{last}/x.png", DOUBLE).jobs
    assert str(alone.error).endswith("last.jpg is no folder")


def test_an_output_that_cannot_be_asked_for_is_refused(tmp_path: Path, upscaler: Upscaler) -> None:
    source = make(tmp_path / "a.png")
    (tmp_path / "circle").symlink_to("circle")
    for output in (f"{tmp_path}/circle/", f"{tmp_path}/{LONG}long.png"):
        with pytest.raises(ImageError, match="cannot use"):
            plan([str(source)], output, DOUBLE)
        with pytest.raises(ImageError, match="cannot use"):
            upscaler(source, output=output, format="png")


def test_what_is_skipped_is_not_done(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        make(tmp_path / f"in/{name}.png")
    make(tmp_path / "out/b.png")
    (tmp_path / "out/c.png").mkdir()
    planned = plan([str(tmp_path / "in")], str(tmp_path / "out"), DOUBLE, existing="skip")
    assert [job.source and job.source.name for job in planned.jobs] == ["a.png", "c.png"]
    assert [job.source and job.source.name for job in planned.skipped] == ["b.png"]
    with pytest.raises(UsageError, match=r"b\.png exists; give existing='replace'"):
        plan([str(tmp_path / "in")], str(tmp_path / "out"), DOUBLE)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_has_no_name_and_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening one would wait for ever, and take what is in it from whoever reads the picture."""
    pipe, picture = tmp_path / "pipe.png", make(tmp_path / "a.png")
    os.mkfifo(pipe)
    opened, original = [], Path.open

    def watched(path: Path, mode: str) -> object:
        opened.append(path)
        return BytesIO() if path == pipe else original(path, mode)

    monkeypatch.setattr(Path, "open", watched)
    (job,) = plan([str(pipe)], None, DOUBLE).jobs
    assert (job.source, job.target, job.error) == (pipe, None, None)
    (job,) = plan([str(pipe)], str(tmp_path / "b.jpg"), DOUBLE).jobs
    assert job.target == tmp_path / "b.jpg"
    for inputs, output in (
        ([str(pipe)], f"{tmp_path}/out/"),
        ([str(pipe), str(picture)], None),
        (["-"], f"{tmp_path}/out/"),
    ):
        with pytest.raises(UsageError, match="has no name to call its output by"):
            plan(inputs, output, DOUBLE)
    (job,) = plan([str(picture)], str(pipe), DOUBLE).jobs  # to a pipe: written as it comes
    assert (job.target, job.error) == (pipe, None)
    assert pipe not in opened


def test_what_a_folder_holds_beside_its_pictures_is_counted(tmp_path: Path) -> None:
    for name in ("in/a.png", "in/deep/b.jfif", "in/deep/c.jpe"):
        make(tmp_path / name, "png" if name.endswith("png") else "jpg")
    for name in ("in/notes.txt", "in/deep/list.csv", "in/.hidden"):
        (tmp_path / name).write_bytes(b"text")
    planned = plan([str(tmp_path / "in")], None, DOUBLE, recursive=True)
    assert [job.target for job in planned.jobs] == [
        tmp_path / "in_x2" / name for name in ("a.png", "deep/b.jfif", "deep/c.jpe")
    ]
    assert planned.found[tmp_path / "in"].others == 2
    assert plan([str(tmp_path / "in")], None, DOUBLE).found[tmp_path / "in"].others == 1


def test_a_folder_that_may_not_be_read_is_a_job_that_fails(
    tmp_path: Path, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("in/a.png", "in/closed/b.png"):
        make(tmp_path / name)
    scandir = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    jobs = plan([str(tmp_path / "in")], str(tmp_path / "out"), DOUBLE, recursive=True).jobs
    first, closed = batch.run_all(jobs, upscaler, DOUBLE)
    assert first.result().output == str(tmp_path / "out/a.png")
    with pytest.raises(
        ImageError, match=f"^the folder {tmp_path}/in/closed cannot be read, so its pictures are missing$"
    ):
        closed.result()
    make(tmp_path / "a.png")  # an input that may not be read, beside a good one
    jobs = plan([str(tmp_path / "in/closed"), str(tmp_path / "a.png")], f"{tmp_path}/new", DOUBLE).jobs
    assert [str(job.error) for job in jobs] == [f"{tmp_path}/in/closed cannot be read: Permission denied", "None"]


def drawn(inputs: list[Path | str], output: Path | str | None, settled: int = 3, **options: Any) -> Drawing:
    """What `plan` would hold, where more than `settled` jobs are listed on the way."""
    return Drawing(
        [str(item) for item in inputs], None if output is None else str(output), DOUBLE, settled=settled, **options
    )


def test_a_drawing_of_few_is_the_plan_and_of_many_has_the_same_jobs(tmp_path: Path) -> None:
    """In the order of the names, or in that of the system; each with its target, format and errors."""
    for number in range(20):
        make(tmp_path / f"in/{number % 4}/{number:02}.png", "jpg" if number % 3 == 0 else "png")
    (tmp_path / "in/notes.txt").write_bytes(b"text")
    inputs: list[Path | str] = [tmp_path / "in", tmp_path / "missing.png"]
    planned = plan([str(item) for item in inputs], f"{tmp_path}/out", DOUBLE, recursive=True)
    few = drawn(inputs, tmp_path / "out", settled=21, recursive=True)
    assert few.count == 21
    assert [str(job) for job in few] == [str(job) for job in planned.jobs]
    many = drawn(inputs, tmp_path / "out", recursive=True)
    assert many.count is None
    jobs = list(many)
    assert sorted(map(str, jobs)) == sorted(map(str, planned.jobs))
    assert many.found == few.found == planned.found
    assert list(many) == []  # drawn once


def test_many_pictures_are_counted_beside_the_work(tmp_path: Path) -> None:
    """Those in the folder of the outputs, which fills meanwhile, are none."""
    for number in range(9):
        make(tmp_path / f"in/{number}.png")
    make(tmp_path / "in/out/old.png")
    drawing = drawn([tmp_path / "in", tmp_path / "missing.png"], tmp_path / "in/out", recursive=True)
    totals = [drawing.total()]
    assert len(list(drawing)) == 10
    while totals[-1] is None:
        totals.append(drawing.total())
    assert totals[-1] == 10
    assert drawn([tmp_path / "in"], tmp_path / "in/out", settled=9).total() == 9


def test_what_is_wrong_with_a_late_one_is_its_own_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its output is that of another, exists, is an input, or is no name; the first ones would have been refused."""
    for name in ("a", "b", "c", "d"):
        make(tmp_path / f"in/{name}.png")
    make(tmp_path / "more/d.jpg", "png")  # whose output is d.png, too
    make(tmp_path / "more/e.png")
    make(tmp_path / "out/e.png")
    make(tmp_path / f"more/{'f' * 251}.png")
    make(tmp_path / "last/g.png")
    inputs: list[Path | str] = [tmp_path / "in", tmp_path / "more", tmp_path / "last/g.png"]
    drawing = drawn(inputs, tmp_path / "out")
    errors = {job.source: str(job.error).replace(str(tmp_path), "") for job in drawing if job.error is not None}
    assert errors == {
        tmp_path
        / "more/d.jpg": "/in/d.png and /more/d.jpg would both become /out/d.png; give them different names or folders",
        tmp_path
        / "more/e.png": "/more/e.png: /out/e.png exists; give existing='replace' to replace or existing='skip' to leave",
    }
    left: list[Job] = []
    drawing = drawn(inputs, tmp_path / "out", existing="skip", skip=left.append)
    assert [job.source for job in drawing if str(job.error).endswith("exists")] == []
    assert [job.source for job in left] == [tmp_path / "more/e.png"]
    assert drawing.skipped == 1
    assert {job.source for job in drawn(inputs, tmp_path / "out", existing="replace") if job.error} == {
        tmp_path / "more/d.jpg"
    }
    for settled in (7, 8):  # among the first, or all
        with pytest.raises(UsageError, match=r"in/d\.png and .*more/d\.jpg would both become"):
            drawn(inputs, tmp_path / "out", settled=settled)
    (tmp_path / "more/d.jpg").unlink()
    with pytest.raises(UsageError, match=r"e\.png exists"):
        drawn(inputs, tmp_path / "out", settled=7)


def test_a_late_output_that_is_an_input_is_refused_before_it_is_listed(tmp_path: Path) -> None:
    """The inputs of a folder are those that a listing would show, whether it has come to them or not."""
    for name in (
        "first/1.png",
        "first/2.png",
        "first/3.png",
        "a/x.png",
        "a/y.png",
        "a/z.png",
        "b/z.png",
        "b/.hidden/z.png",
        "b/deep/w.png",
        "c/v.png",
    ):
        make(tmp_path / name)
    (tmp_path / "a/linked.png").symlink_to(tmp_path / "c/v.png")
    # a's pictures go to b, where those of the same names would be replaced before they are read.
    drawing = drawn(
        [tmp_path / "first", tmp_path / "a", tmp_path / "b/z.png"], tmp_path / "b", settled=2, existing="replace"
    )
    errors = {job.source: str(job.error) for job in drawing if job.error is not None}
    assert errors == {
        tmp_path / "a/z.png": f"the output {tmp_path}/b/z.png is also an input; give another output",
        tmp_path / "b/z.png": f"the output {tmp_path}/b/z.png is also an input; give another output",
    }
    # What is written beside a folder lies in one that is an input, too.
    (tmp_path / "b_x2").mkdir()
    make(tmp_path / "b_x2/z.png")
    inputs: list[Path | str] = [tmp_path / "first", tmp_path / "b", tmp_path / "b_x2"]
    drawing = drawn(inputs, None, settled=2, existing="replace")
    assert [str(job.error) for job in drawing if job.error] == [
        f"the output {tmp_path}/b_x2/z.png is also an input; give another output"
    ]
    # A link among the inputs leads to where another one's output would go.
    (tmp_path / "links").mkdir()
    (tmp_path / "links/u.png").symlink_to(make(tmp_path / "e_x2/v.png"))
    make(tmp_path / "e/v.png")
    drawing = drawn([tmp_path / "first", tmp_path / "links", tmp_path / "e"], None, settled=2, existing="replace")
    assert [str(job.error) for job in drawing if job.error] == [
        f"the output {tmp_path}/e_x2/v.png is also an input; give another output"
    ]


def test_what_earlier_runs_did_is_left_and_what_they_broke_off_is_made_again(tmp_path: Path) -> None:
    names = [make(tmp_path / f"in/{name}.png").name for name in "abcdef"]
    for name in names:
        make(tmp_path / f"out/{name}")
    make(tmp_path / "in/g.png")

    def earlier(job: Job) -> Earlier:
        assert job.source is not None
        return {"a.png": "done", "e.png": "done", "b.png": "begun", "f.png": "begun"}.get(job.source.name, "new")  # type: ignore[return-value]

    for settled in (2, 10):
        drawing = drawn([tmp_path / "in"], tmp_path / "out", settled=settled, existing="skip", earlier=earlier)
        jobs = {job.source.name: job.again for job in drawing if job.source}
        assert jobs == {"b.png": True, "f.png": True, "g.png": False}
        assert (drawing.before, drawing.skipped) == (2, 2)
    with pytest.raises(UsageError, match=r"[cd]\.png and another output exist"):
        drawn([tmp_path / "in"], tmp_path / "out", settled=10, earlier=earlier)
    # What is done keeps its output: nobody else gets it.
    make(tmp_path / "in/a.jpg", "png")
    with pytest.raises(UsageError, match=r"a\.png and .*a\.jpg would both become"):
        drawn([tmp_path / "in"], tmp_path / "out", settled=10, existing="replace", earlier=earlier)


def test_keys_of_objects_never_leave_the_folder_of_the_outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [
        "a.png",
        "x/../../b.png",
        "../c.png",
        "d//e.png",
        "f/./g.png",
        "nul\0.png",
        "ünï code/h i.png",
        "/root.png",
        "x/y/i.png",
    ]
    folder = Remote("s3://bucket/in")
    monkeypatch.setattr(places, "walk", lambda folder, recursive: (folder / key for key in keys))
    monkeypatch.setattr(places, "kinds", lambda remotes, folders=True: ["absent"] * len(remotes))
    for settled in (2, 100):
        jobs = {job.source: job for job in drawn([f"{folder}/"], tmp_path / "out", settled=settled, recursive=True)}
        written = {key: jobs[folder / key].target for key in keys if jobs[folder / key].error is None}
        assert written == {name: tmp_path / "out" / name for name in ("a.png", "ünï code/h i.png", "x/y/i.png")}
        assert str(jobs[folder / "../c.png"].error).endswith(
            "a file cannot be called as its key, for the part '..' of it"
        )
    # From store to store, keys stay as they are.
    jobs = {job.source: job for job in drawn([f"{folder}/"], "s3://other/out/", recursive=True)}
    assert [jobs[folder / key].target for key in keys] == [Remote("s3://other/out") / key for key in keys]
