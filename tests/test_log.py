"""The log of a batch: what is in it, and what a later run makes of it, whole, torn, damaged or another's."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fsrcnn import FsrcnnError, Size, UsageError, __version__, batch, images, planning, pretrained
from fsrcnn.cli.options import as_option
from fsrcnn.images import Picture
from fsrcnn.jobs import Job
from fsrcnn.log import Log, settings_of
from fsrcnn.places import Remote
from support import ENVIRONMENT, files_below
from support import run_command as run

SETTINGS = {"model": "fsrcnn", "size": {"factor": 2}}
HEAD = json.dumps({"fsrcnn": __version__, "settings": SETTINGS}, separators=(",", ":")).encode() + b"\n"


def make(path: Path, seed: int = 0, height: int = 12, width: int = 10) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    images.write(Picture((pixels,), "png"), path)
    return path


def job_of(name: str) -> Job:
    return Job(Path(f"/in/{name}.png"), Path(f"/out/{name}.png"))


def done(name: str) -> bytes:
    return json.dumps({"source": f"/in/{name}.png", "target": f"/out/{name}.png", "bytes": 7}).encode() + b"\n"


def earlier(path: Path, job: Job) -> str:
    """What a log says of a job."""
    with closing(Log(path, SETTINGS)) as log:
        return log.earlier(job)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_the_command_notes_what_it_does(tmp_path: Path) -> None:
    """A head, what is handed out, and a line for each outcome: as another program reads it."""
    for number in range(20):
        make(tmp_path / f"in/{number:02}.png", number)
    (tmp_path / "in/07.png").write_bytes(b"text")
    result = run("upscale", "in", "-o", "out", "-m", "fsrcnn-x", "--log", "run.jsonl", cwd=tmp_path)
    assert result.returncode == 1
    head, *lines = lines_of(tmp_path / "run.jsonl")
    assert head["fsrcnn"] == __version__
    weights = sha256(b"".join(pretrained.load(f"fsrcnn-x-x{scale}").to_bytes() for scale in (2, 3, 4))).hexdigest()
    assert head["settings"] == {
        "model": "fsrcnn-x", "weights": weights, "size": {"factor": 2.0}, "engine": "auto", "precision": "exact", "format": None,
        "quality": None, "lossless": False, "page": None, "tolerant": False,
    }  # fmt: skip
    begun = [tuple(pair) for line in lines if "begun" in line for pair in line["begun"]]
    pairs = [(f"{tmp_path}/in/{number:02}.png", f"{tmp_path}/out/{number:02}.png") for number in range(20)]
    assert begun == pairs
    outcomes = [line for line in lines if "begun" not in line]
    assert [(line["source"], line["target"]) for line in outcomes] == pairs
    for number, line in enumerate(outcomes):
        assert lines.index(line) > min(
            at for at, other in enumerate(lines) if list(pairs[number]) in other.get("begun", [])
        )
        if number == 7:
            assert line["error"].endswith(
                "07.png is not a picture that fsrcnn reads (" + line["error"].partition("(")[2]
            )
            assert "bytes" not in line
            continue
        data = Path(line["target"]).read_bytes()
        assert (line["bytes"], line["sha256"], line["model"], line["notes"]) == (
            len(data),
            sha256(data).hexdigest(),
            "fsrcnn-x",
            [],
        )
        assert set(line["seconds"]) == {"read", "upscale", "write"}
        assert line["time"].endswith("+00:00")


def test_the_same_command_does_what_is_missing(tmp_path: Path) -> None:
    """What failed is tried again, what is new is done, what was done is not looked at, not even whether its output is there."""
    for number in range(4):
        make(tmp_path / f"in/{number}.png", number)
    good = (tmp_path / "in/2.png").read_bytes()
    (tmp_path / "in/2.png").write_bytes(b"text")
    command = ("upscale", "in", "-o", "out", "--log", "run.jsonl")
    assert run(*command, cwd=tmp_path).returncode == 1
    (tmp_path / "in/2.png").write_bytes(good)
    make(tmp_path / "in/4.png", 4)
    (tmp_path / "out/0.png").unlink()
    (tmp_path / "out/1.png").write_bytes(b"changed by somebody")
    result = run(*command, "--json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stderr.decode() == "fsrcnn: 3 of 5 pictures were done before, says run.jsonl\n"
    assert [Path(row["output"]).name for row in json.loads(result.stdout)["done"]] == ["2.png", "4.png"]
    assert files_below(tmp_path / "out") == ["1.png", "2.png", "3.png", "4.png"]
    assert (tmp_path / "out/1.png").read_bytes() == b"changed by somebody"
    again = run(*command, cwd=tmp_path)
    assert (again.returncode, again.stderr) == (0, b"fsrcnn: 5 of 5 pictures were done before, says run.jsonl\n")
    assert run("upscale", "in", "-o", "out", cwd=tmp_path).returncode == 2  # without the log, they exist


def test_a_stream_is_another_picture_each_time(tmp_path: Path) -> None:
    first, second = (make(tmp_path / f"{number}.png", number).read_bytes() for number in range(2))
    for source in ("-", "/dev/stdin"):
        command = ("upscale", source, "-o", "out.png", "--overwrite", "--log", f"{len(source)}.jsonl")
        outputs = []
        for content in (first, second):
            result = run(*command, cwd=tmp_path, stdin=content)
            assert result.returncode == 0, result.stderr
            outputs.append((tmp_path / "out.png").read_bytes())
        assert outputs[0] != outputs[1]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
def test_what_went_into_a_stream_goes_there_again(tmp_path: Path) -> None:
    make(tmp_path / "a.png")
    wanted = run("upscale", "a.png", "-o", "-", cwd=tmp_path).stdout
    os.mkfifo(tmp_path / "pipe")
    for _ in range(2):
        for target in ("-", "/dev/stdout"):
            result = run("upscale", "a.png", "-o", target, "--log", f"{len(target)}.jsonl", cwd=tmp_path)
            assert (result.returncode, result.stdout) == (0, wanted), result.stderr
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit((tmp_path / "pipe").read_bytes)
            assert run("upscale", "a.png", "-o", "pipe", "--log", "pipe.jsonl", cwd=tmp_path).returncode == 0
            assert coming.result(10) == wanted


def test_a_log_lies_on_this_machine(tmp_path: Path) -> None:
    make(tmp_path / "a.png")
    result = run("upscale", "a.png", "--log", "s3://bucket/run.jsonl", cwd=tmp_path)
    assert result.returncode == 2
    assert b"a log is a file of this machine, not s3://bucket/run.jsonl" in result.stderr
    assert files_below(tmp_path) == ["a.png"]


def test_what_takes_the_place_of_what_was_done_is_said(tmp_path: Path) -> None:
    """Beyond the first ones, which are settled together: one of the two is named, whichever comes first."""
    other, source, target = (tmp_path / f"{name}/a.png" for name in ("other", "in", "out"))
    first = [tmp_path / "in" / name for name in ("b.png", "c.png")]
    for number, path in enumerate((*first, other, source)):
        make(path, number)
    drawing = planning.Drawing(
        [*map(str, (*first, other, source))], str(target.parent), Size(factor=2),
        existing="replace", settled=1, earlier=lambda job: "done" if job.source == source else "new",
    )  # fmt: skip
    with closing(drawing):
        failed = [job for job in drawing if job.error is not None]
    assert [job.source for job in failed] == [source]
    assert "would both become" in str(failed[0].error)


def test_what_was_begun_is_made_again_and_nothing_else_replaced(tmp_path: Path) -> None:
    """An output that a killed run may have put in place before it could note that; never one of somebody else."""
    for name in "abc":
        make(tmp_path / f"in/{name}.png", ord(name))
    for name in "ab":
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / f"out/{name}.png").write_bytes(b"old")
    settings = settings_of("fsrcnn-x", Size(factor=2.0), batch.Options(), format=None, precision="exact", engine="auto")
    log = Log(tmp_path / "run.jsonl", settings)
    list(
        log.handed_out(
            [Job(tmp_path / "in/a.png", tmp_path / "out/a.png"), Job(tmp_path / "in/b.png", tmp_path / "out/b.jpg")]
        )
    )
    log.close()
    command = ("upscale", "in", "-o", "out", "-m", "fsrcnn-x", "--log", "run.jsonl")
    refused = run(*command, cwd=tmp_path)
    assert refused.returncode == 2
    assert (
        refused.stderr.decode() == "fsrcnn: out/b.png exists; give --overwrite to replace or --skip-existing to leave\n"
    )
    (tmp_path / "out/b.png").unlink()
    assert run(*command, cwd=tmp_path).returncode == 0
    for name in "abc":
        assert images.read(tmp_path / f"out/{name}.png").pages[0].shape == (24, 20, 3)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_a_run_that_is_killed_and_started_again_makes_what_one_run_makes(tmp_path: Path) -> None:
    for number in range(30):
        make(tmp_path / f"in/{number % 3}/{number:02}.png", number, 240, 300)
    arguments = ("upscale", "in", "-r", "-m", "fsrcnn", "--format", "webp", "--threads", "2")
    assert run(*arguments, "-o", "once", cwd=tmp_path).returncode == 0
    command = [sys.executable, "-m", "fsrcnn", *arguments, "-o", "out", "--log", "run.jsonl"]
    for count in (5, 15):
        with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL, env=ENVIRONMENT) as process:
            while process.poll() is None and len(list((tmp_path / "out").rglob("[0-9]*.webp"))) < count:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
    result = run(*arguments, "-o", "out", "--log", "run.jsonl", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    outcomes = [line for line in lines_of(tmp_path / "run.jsonl") if "source" in line]
    assert len({line["source"] for line in outcomes}) == len(outcomes) == 30
    for line in outcomes:
        name = Path(line["target"]).relative_to(tmp_path / "out")
        data = (tmp_path / "out" / name).read_bytes()
        assert data == (tmp_path / "once" / name).read_bytes()
        assert sha256(data).hexdigest() == line["sha256"]
    assert [name for name in files_below(tmp_path / "out") if ".part" not in name] == files_below(tmp_path / "once")


@pytest.mark.parametrize("torn", [b"", b'{"sour', done("c")[:-1], b"\0" * 50])
def test_a_line_that_was_torn_off_is_removed(torn: bytes, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(HEAD + b'{"begun":[["/in/a.png","/out/a.png"],["/in/b.png","/out/b.png"]]}\n' + done("a") + torn)
    log = Log(path, SETTINGS)
    assert [log.earlier(job_of(name)) for name in "abc"] == ["done", "begun", "new"]
    log.note(batch.Outcome(job_of("b"), error=FsrcnnError("no")))
    log.close()
    *_, first, last = lines_of(path)
    assert (first["bytes"], last["error"]) == (7, "/in/b.png: no")
    assert earlier(path, job_of("b")) == "new"


@pytest.mark.parametrize("length", [1, 10, len(HEAD) - 1])
def test_a_head_that_was_torn_off_is_written_anew(length: int, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(HEAD[:length])
    log = Log(path, SETTINGS)
    list(log.handed_out([job_of("a")]))
    log.close()
    assert path.read_bytes() == HEAD + b'{"begun":[["/in/a.png","/out/a.png"]]}\n'


PNG = b"\x89PNG\r\n\x1a\n" + bytes(99)
REFUSED = {
    "a picture": (PNG, "is no log of this program; give another file as --log"),
    "a text": (b"hello\n", "is no log of this program"),
    "no line": (b"hello", "is no log of this program"),
    "another's JSON": (b'{"a": 1}\n', "is no log of this program"),
    "a list": (b"[]\n", "is no log of this program"),
    "damaged": (HEAD + b'{"sou\n' + done("a"), "line 2 of the log run.jsonl is damaged; remove it, or give another"),
    "no source": (HEAD + done("a") + b'{"target":"/out/a.png","bytes":1}\n', "line 3 of the log run.jsonl is damaged"),
    "no pair": (HEAD + b'{"begun":[["/in/a.png"]]}\n', "line 2 of the log run.jsonl is damaged"),
    "no text": (HEAD + b'{"begun":[[1,2]]}\n', "line 2 of the log run.jsonl is damaged"),
    "no number": (HEAD + done("a").replace(b"7", b"null"), "line 2 of the log run.jsonl is damaged"),
    "a number": (HEAD + b"7\n", "line 2 of the log run.jsonl is damaged"),
    "another scale": (HEAD.replace(b'"factor":2', b'"factor":3'), 'was begun with size {"factor": 3}, not {"factor": 2.0}'),
    "another model": (HEAD.replace(b'"fsrcnn",', b'"auto",'), "was begun with model auto, not fsrcnn"),
    "another version": (HEAD.replace(__version__.encode(), b"9.9"), "was begun by version 9.9 of this program"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_log_of_this_command_is_refused_and_left(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, sentence = REFUSED[case]
    monkeypatch.chdir(tmp_path)
    Path("run.jsonl").write_bytes(data)
    with pytest.raises(UsageError) as refused:
        Log(Path("run.jsonl"), {**SETTINGS, "size": {"factor": 2.0}})
    assert sentence in refused.value.sentence(as_option)
    assert Path("run.jsonl").read_bytes() == data
    if case == "damaged":
        make(tmp_path / "a.png")
        result = run("upscale", "a.png", "--log", "run.jsonl", cwd=tmp_path)
        assert result.returncode == 2
        assert result.stderr.count(b"\n") == 1
        assert files_below(tmp_path) == ["a.png", "run.jsonl"]


def test_each_setting_that_changes_bytes_is_in_the_head(tmp_path: Path) -> None:
    make(tmp_path / "a.png")
    assert run("upscale", "a.png", "-o", "b.webp", "--log", "run.jsonl", cwd=tmp_path).returncode == 0
    for option, said in (
        (["--quality", "80"], "was begun with quality none, not 80"),
        (["--lossless"], "was begun with lossless false, not true"),
        (["--page", "1"], "page none, not 1"),
        (["--tolerant"], "tolerant false, not true"),
        (["-m", "fsrcnn-x"], "model auto, not fsrcnn-x"),
        (["--width", "20"], 'size {"factor": 2.0}, not {"width": 20}'),
        (["--precision", "fast"], "precision exact, not fast"),
        (["--engine", "numpy"], "engine auto, not numpy"),
        (["--format", "webp"], "format none, not webp"),
    ):
        result = run("upscale", "a.png", "-o", "b.webp", "--log", "run.jsonl", *option, cwd=tmp_path)
        assert result.returncode == 2
        assert said in result.stderr.decode()


def hold(path: Path, held: Any, release: Any) -> None:
    log = Log(path, SETTINGS)
    held.set()
    release.wait(30)
    log.close()


@pytest.mark.skipif(os.name == "nt", reason="logs are not locked on Windows")
def test_a_log_is_no_output(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    for name in ("b.png", "./b.png"):
        result = run("upscale", "a.png", "-o", name, "--overwrite", "--log", "b.png", cwd=tmp_path)
        assert (result.returncode, result.stderr.decode()) == (
            2,
            "fsrcnn: b.png is the log and an output; give another file as --log\n",
        )
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_two_processes_do_not_share_a_log(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    process = context.Process(target=hold, args=(tmp_path / "run.jsonl", held, release))
    process.start()
    try:
        assert held.wait(30)
        with pytest.raises(
            UsageError, match=r"another process writes the log .*run\.jsonl; wait for its end, or give another"
        ):
            Log(tmp_path / "run.jsonl", SETTINGS)
    finally:
        release.set()
        process.join()
    assert process.exitcode == 0


def test_a_log_of_nothing_is_none(tmp_path: Path) -> None:
    """Where a run is refused before its first picture, no new file stays."""
    make(tmp_path / "a.png")
    make(tmp_path / "a_x2.png")
    assert run("upscale", "a.png", "--log", "run.jsonl", cwd=tmp_path).returncode == 2
    assert files_below(tmp_path) == ["a.png", "a_x2.png"]
    for place, sentence in (("none/run.jsonl", "cannot use the log none/run.jsonl: "), (".", "cannot use the log .: ")):
        result = run("upscale", "a.png", "--overwrite", "--log", place, cwd=tmp_path)
        assert result.returncode == 1
        assert sentence in result.stderr.decode()
    (tmp_path / "empty").touch()
    make(tmp_path / "b.png")
    assert run("upscale", "b.png", "-o", "text", "--log", "empty", cwd=tmp_path).returncode == 2
    assert (tmp_path / "empty").exists()  # it was there before
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        result = run("upscale", "a.png", "--overwrite", "--log", "pipe", cwd=tmp_path)
        assert result.returncode == 2
        assert b"pipe is no file, which a log is" in result.stderr
        assert (tmp_path / "pipe").is_fifo()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_log_that_cannot_be_written_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(tmp_path / "run.jsonl", SETTINGS)
    assert log._file is not None
    os.dup2(os.open("/dev/full", os.O_RDWR), log._file.fileno())
    with pytest.raises(FsrcnnError, match=r"cannot write the log .*run\.jsonl: No space left on device"):
        list(log.handed_out([job_of("a")]))


def test_addresses_keep_their_secrets(tmp_path: Path) -> None:
    """Their queries are not written; two that differ in them alone are two."""
    path = tmp_path / "run.jsonl"
    jobs = [Job(Remote(f"https://host/a.png?key={number}"), Path(f"/out/{number}.png")) for number in range(2)]
    log = Log(path, SETTINGS)
    list(log.handed_out(jobs[:1]))
    log.close()
    assert b"key=" not in path.read_bytes()
    assert earlier(path, jobs[0]) == "begun"
    lines = path.read_bytes().replace(b"/out/0.png", b"/out/1.png")
    path.write_bytes(lines)
    assert earlier(path, jobs[1]) == "new"
