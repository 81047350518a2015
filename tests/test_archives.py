"""Archives in an object store, by the command: the same rules as for folders, and what only objects can do."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fsrcnn import Size, Upscaler, batch, images
from fsrcnn.images import Picture
from fsrcnn.jobs import Job
from fsrcnn.places import Remote
from fsrcnn.planning import Drawing, plan
from object_store import Fault, Store
from support import ENVIRONMENT, files_below
from support import run_command as run


def encoded(seed: int = 0, format: str = "png", height: int = 12, width: int = 10) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    data = images.write(Picture((pixels,), format), None).data
    assert data is not None
    return data


def larger(data: bytes) -> bytes:
    """What one picture becomes, without any of this."""
    return Upscaler("fsrcnn-x", scale=2)(data)


def typed(store: Store, *arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    return run("upscale", "-m", "fsrcnn-x", *arguments, cwd=cwd, stdin=b"", **store.environment)


TREE = ["a.png", "deep/b c.jpg", "deep/er/ünï+%20code#?.webp", "d//e.png", "up/../f.png", "../g.png"]


def put_tree(store: Store) -> dict[str, bytes]:
    """Pictures under `in/`: key below that → content."""
    contents = {
        key: encoded(number, {"jpg": "jpg", "webp": "webp"}.get(key.rpartition(".")[2], "png"))
        for number, key in enumerate(TREE)
    }
    for key, data in contents.items():
        store.put(f"in/{key}", data)
    for key in ("in/notes.txt", "in/.hidden.png", "in/.git/x.png", "in/folder/", "inside.png"):
        store.put(key, b"text")
    return contents


def test_a_tree_from_store_to_store(store: Store, tmp_path: Path) -> None:
    """Keys are kept as they are, and what lies beside the pictures is said."""
    contents = put_tree(store)
    url = f"s3://{store.bucket}"
    result = typed(store, f"{url}/in/", "-o", f"{url}/out/", "--recursive", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert store.keys("out/") == sorted(f"out/{key}" for key in TREE)
    assert {key: store.get(f"out/{key}") for key in TREE} == {key: larger(data) for key, data in contents.items()}
    assert result.stderr.decode().count("20×24") == len(TREE)
    assert f"fsrcnn: 1 other file in {url}/in left out\n" in result.stderr.decode()
    assert store.unfinished_uploads() == 0
    assert files_below(tmp_path) == []

    flat = typed(store, f"{url}/in", cwd=tmp_path)  # without --recursive and a name
    assert flat.returncode == 0, flat.stderr
    assert store.keys("in_x2/") == ["in_x2/a.png"]


def test_from_a_store_to_a_folder_and_back(store: Store, tmp_path: Path) -> None:
    """A key that is no name of a file, or leads out of the folder, is refused alone; never is there a file beside it."""
    contents = put_tree(store)
    url = f"s3://{store.bucket}"
    result = typed(store, f"{url}/in", "-o", "work/out", "-r", cwd=tmp_path)
    assert result.returncode == 1
    good = TREE[:3]
    assert files_below(tmp_path) == sorted(f"work/out/{key}" for key in good)
    for key, part in (("d//e.png", "''"), ("up/../f.png", "'..'"), ("../g.png", "'..'")):
        assert (
            f"fsrcnn: {url}/in/{key}: a file cannot be called as its key, for the part {part} of it\n"
            in result.stderr.decode()
        )
    assert b"3 of 6 pictures failed" in result.stderr
    for key in good:
        assert (tmp_path / "work/out" / key).read_bytes() == larger(contents[key])
    back = typed(store, "work/out", "-o", f"{url}/back/", "-r", "--json", cwd=tmp_path)
    assert back.returncode == 0, back.stderr
    assert store.keys("back/") == sorted(f"back/{key}" for key in good)
    done = json.loads(back.stdout)["done"]
    assert [row["output"] for row in done] == [f"{url}/back/{key}" for key in good]
    assert [row["bytes"] for row in done] == [len(store.get(f"back/{key}")) for key in good]


def test_existing_objects(store: Store, tmp_path: Path) -> None:
    url = f"s3://{store.bucket}"
    for name in ("a", "b", "c"):
        store.put(f"in/{name}.png", encoded(ord(name)))
    store.put("out/b.png", b"precious")
    refused = typed(store, f"{url}/in", "-o", f"{url}/out", cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.decode() == (
        f"fsrcnn: {url}/out/b.png exists; give --overwrite to replace or --skip-existing to leave\n"
    )
    assert store.keys("out/") == ["out/b.png"]
    skipped = typed(store, f"{url}/in", "-o", f"{url}/out", "--skip-existing", "--json", cwd=tmp_path)
    assert skipped.returncode == 0
    assert json.loads(skipped.stdout)["skipped"] == [f"{url}/out/b.png"]
    assert b"fsrcnn: 1 of 3 outputs existed and were left\n" in skipped.stderr
    assert store.get("out/b.png") == b"precious"
    assert typed(store, f"{url}/in", "-o", f"{url}/out", "--overwrite", cwd=tmp_path).returncode == 0
    assert store.get("out/b.png") == larger(encoded(ord("b")))
    assert typed(store, f"{url}/in/a.png", "-o", f"{url}/in/a.png", "--overwrite", cwd=tmp_path).returncode == 2
    assert store.get("in/a.png") == encoded(ord("a"))


def test_collisions_are_refused_before_the_work(store: Store, tmp_path: Path) -> None:
    url = f"s3://{store.bucket}"
    store.put("in/a.png", encoded())
    store.put("in/a.jpg", encoded(1, "jpg"))
    result = typed(store, f"{url}/in/", "-o", f"{url}/out/", "--format", "webp", cwd=tmp_path)
    assert result.returncode == 2
    assert f"{url}/in/a.jpg and {url}/in/a.png would both become {url}/out/a.webp" in result.stderr.decode()
    assert store.keys("out/") == []


def test_an_object_that_is_not_what_its_name_says(store: Store, tmp_path: Path) -> None:
    """Its output has the ending of its content, unless that is another's, or exists."""
    url = f"s3://{store.bucket}"
    for name in ("lie", "taken", "old"):
        store.put(f"in/{name}.png", encoded(1, "jpg"))
    store.put("in/taken.jpg", encoded(2, "jpg"))
    store.put("in/good.png", encoded(3))
    store.put("out/old.jpg", b"precious")
    result = typed(store, f"{url}/in", "-o", f"{url}/out", cwd=tmp_path)
    assert result.returncode == 1
    assert store.keys("out/") == ["out/good.png", "out/lie.jpg", "out/old.jpg", "out/taken.jpg"]
    assert store.get("out/lie.jpg") == larger(encoded(1, "jpg"))
    assert store.get("out/taken.jpg") == larger(encoded(2, "jpg"))
    assert store.get("out/old.jpg") == b"precious"
    said = result.stderr.decode()
    assert f"{url}/in/taken.jpg and {url}/in/taken.png would both become {url}/out/taken.jpg" in said
    assert f"{url}/in/old.png: {url}/out/old.jpg exists; give --overwrite" in said
    assert "2 of 5 pictures failed" in said
    skipped = typed(
        store, f"{url}/in/old.png", f"{url}/in/lie.png", "-o", f"{url}/out/", "--skip-existing", "--json", cwd=tmp_path
    )
    assert skipped.returncode == 0, skipped.stderr
    assert json.loads(skipped.stdout)["skipped"] == [f"{url}/out/old.jpg", f"{url}/out/lie.jpg"]
    assert b"fsrcnn: 2 of 2 outputs existed and were left\n" in skipped.stderr
    alone = typed(store, f"{url}/in/lie.png", "-o", "-", cwd=tmp_path)
    assert alone.stdout == larger(encoded(1, "jpg"))


def test_a_bad_object_among_good_ones(store: Store, tmp_path: Path) -> None:
    url = f"s3://{store.bucket}"
    for number in range(5):
        store.put(f"in/{number}.png", encoded(number))
    store.put("in/2.png", encoded(2)[:100])
    store.put("in/3.png", b"text")
    store.faults += [Fault(404, "NoSuchKey", method="GET", path="/in/4.png")] * 9  # deleted since it was listed
    result = typed(store, f"{url}/in", f"{url}/in/none.png", f"{url}/none/", "-o", f"{url}/out", cwd=tmp_path)
    assert result.returncode == 1
    assert store.keys("out/") == ["out/0.png", "out/1.png"]
    said = result.stderr.decode()
    for sentence in (
        f"{url}/in/2.png is truncated", f"{url}/in/3.png is not a picture", f"{url}/in/4.png does not exist",
        f"{url}/in/none.png does not exist", f"{url}/none holds no pictures", "5 of 7 pictures failed",
    ):  # fmt: skip
        assert sentence in said


def test_a_store_on_a_bad_day(store: Store, tmp_path: Path) -> None:
    """Throttled, failing, cut off in the middle: what passes by itself is not seen in what is written."""
    url = f"s3://{store.bucket}"
    for number in range(6):
        store.put(f"in/{number}.png", encoded(number))
    store.faults += [
        Fault(503, "SlowDown", method="GET", path="/in/0.png"), Fault(500, method="PUT", path="/out/1.png"),
        Fault(cut=50, method="GET", path="/in/2.png"), Fault(reset=True, method="PUT", path="/out/3.png"),
        Fault(500, method="PUT", path="/out/4.png", after=True),
    ]  # fmt: skip
    result = typed(store, f"{url}/in", "-o", f"{url}/out", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert not store.faults
    assert {key: store.get(key) for key in store.keys("out/")} == {
        f"out/{number}.png": larger(encoded(number)) for number in range(6)
    }


def test_a_run_that_is_killed_goes_on_by_its_log(store: Store, tmp_path: Path) -> None:
    """Twice, in the middle; then every output is there once, with the bytes of a single run, and no upload left open."""
    url = f"s3://{store.bucket}"
    for number in range(24):
        store.put(f"in/{number % 2}/{number:02}.png", encoded(number, height=90, width=120))
    command = [
        sys.executable,
        "-m",
        "fsrcnn",
        "upscale",
        f"{url}/in",
        "-r",
        "-m",
        "fsrcnn-x",
        "-o",
        f"{url}/out",
        "--log",
        "run.jsonl",
    ]
    log = tmp_path / "run.jsonl"

    def noted() -> int:
        return log.read_bytes().count(b'"sha256"') if log.exists() else 0

    for count in (4, 12):
        with subprocess.Popen(
            command, cwd=tmp_path, stderr=subprocess.DEVNULL, env={**ENVIRONMENT, **store.environment}
        ) as process:
            while process.poll() is None and noted() < count:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
    requests = -1
    while requests != len(store.requests):  # what was under way
        requests = len(store.requests)
        time.sleep(0.5)
    store.requests.clear()
    result = run(*command[3:], cwd=tmp_path, stdin=b"", **store.environment)
    assert result.returncode == 0, result.stderr
    before = int(
        result.stderr.decode().partition(" pictures were done before")[0].rpartition("fsrcnn: ")[2].partition(" ")[0]
    )
    assert before >= 12
    assert store.sent("GET", "/in/") == 24 - before  # neither read again …
    assert store.sent("HEAD", "/out/") == 24 - before  # … nor asked for
    written = {key: store.get(key) for key in store.keys("out/")}
    assert written == {
        f"out/{number % 2}/{number:02}.png": larger(encoded(number, height=90, width=120)) for number in range(24)
    }
    lines = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    hashes = {line["target"]: line["sha256"] for line in lines if "sha256" in line}
    assert hashes == {f"{url}/{key}": sha256(data).hexdigest() for key, data in written.items()}
    assert store.unfinished_uploads() == 0


def test_thousands_are_asked_for_in_blocks_while_others_are_computed(store: Store) -> None:
    """Beyond what is settled at once: what exists is left or refused alone."""
    for number in range(40):
        store.put(f"in/{number:02}.png", encoded(number))
    for number in (3, 17, 30):
        store.put(f"out/{number:02}.png", b"precious")
    url = f"s3://{store.bucket}"
    arguments = ([f"{url}/in/"], f"{url}/out/", Size(factor=2))
    refused = [job for job in Drawing(*arguments, settled=2) if job.error is not None]
    assert [job.source for job in refused] == [Remote(f"{url}/in/{number:02}.png") for number in (3, 17, 30)]
    assert str(refused[0].error).startswith(f"{url}/in/03.png: {url}/out/03.png exists; give existing='replace'")
    drawing = Drawing(*arguments, existing="skip", settled=2)
    outcomes = list(batch.run_all(drawing, Upscaler("fsrcnn-x", scale=2, threads=2), Size(factor=2)))
    assert drawing.skipped == 3
    assert [outcome.error for outcome in outcomes] == [None] * 37
    assert [outcome.result().output for outcome in outcomes] == [
        f"{url}/out/{number:02}.png" for number in range(40) if number not in (3, 17, 30)
    ]
    assert store.get("out/03.png") == b"precious"


def test_fetching_and_storing_take_no_turn_of_those_who_compute(store: Store) -> None:
    """Two threads, and a store that lets everybody wait: all but the first are fetched while others are."""
    for number in range(12):
        store.put(f"in/{number:02}.png", encoded(number))
        store.faults.append(Fault(seconds=2 if number < 2 else 0.3, method="GET", path=f"/in/{number:02}.png"))
        store.faults.append(Fault(seconds=0.3, method="PUT", path=f"/out/{number:02}.png"))
    waiting: list[int] = []
    url = f"s3://{store.bucket}"
    jobs = plan([f"{url}/in/"], f"{url}/out/", Size(factor=2)).jobs

    class Watching(Upscaler):
        def picture(self, *arguments: Any, **options: Any) -> Picture:
            waiting.append(store.sent("GET", "/in/"))
            return super().picture(*arguments, **options)

    outcomes = list(batch.run_all(jobs, Watching("fsrcnn-x", scale=2, threads=2), Size(factor=2)))
    assert [outcome.error for outcome in outcomes] == [None] * 12
    assert waiting[0] >= 2 * batch.AHEAD - 1  # requests that were sent before the first picture was computed
    done = [outcome.result() for outcome in outcomes]
    assert min(item.write_seconds for item in done) >= 0.3


def test_a_plan_of_objects(store: Store) -> None:
    """By Python: a plan holds them all, and what is not what its name says comes back to be settled."""
    url = f"s3://{store.bucket}"
    store.put("in/a.png", encoded())
    store.put("in/lie.png", encoded(1, "jpg"))
    jobs = plan([f"{url}/in/"], f"{url}/out/", Size(factor=2)).jobs
    assert [(job.source, job.target) for job in jobs] == [
        (Remote(f"{url}/in/{name}"), Remote(f"{url}/out/{name}")) for name in ("a.png", "lie.png")
    ]
    first, second = batch.run_all(jobs, Upscaler("fsrcnn-x", scale=2), Size(factor=2))
    assert first.result().output == f"{url}/out/a.png"
    assert second.moved == Remote(f"{url}/out/lie.jpg")
    assert store.keys("out/") == ["out/a.png"]
    named = Job(Remote(f"{url}/in/lie.png"), Remote(f"{url}/out/named.webp"), named=True)
    (outcome,) = batch.run_all([named], Upscaler("fsrcnn-x", scale=2), Size(factor=2))
    assert images.read(Remote(outcome.result().output)).format == "webp"


BAD: dict[str, tuple[list[str], str, int]] = {
    "nothing is there": (["s3://BUCKET/none.png"], "s3://BUCKET/none.png does not exist", 1),
    "an empty folder": (["s3://BUCKET/none/"], "s3://BUCKET/none holds no pictures", 1),
    "a bucket beside itself": (["s3://BUCKET"], "there is no place beside s3://BUCKET; give --output", 2),
    "no such bucket": (["s3://no-such-bucket-here/a.png", "-o", "b.png"], "there is no bucket no-such-bucket-here", 1),
    "the web is not written": (["a.png", "-o", "https://host/b.png"], "the web is read only", 2),
    "beside the web": (["https://host/a.png"], "there is no place beside https://host/a.png", 2),
    "several to one name": (["a.png", "s3://BUCKET/a.png", "-o", "s3://BUCKET/b.png"], "is the name of one picture", 2),
    "ending and format": (["a.png", "-o", "s3://BUCKET/b.jpg", "--format", "gif"], "but the format asked for is gif", 2),
    "no ending": (["a.png", "-o", "s3://BUCKET/b"], "has no ending that names a format", 2),
    "another scheme": (["nowhere://host/a.png"], "fsrcnn knows no places like nowhere://", 2),
    "no host": (["s3:///a.png"], "s3:// names no bucket or host", 2),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_places(case: str, store: Store, tmp_path: Path) -> None:
    """Each: one clear sentence, its exit code, nothing written."""
    arguments, sentence, code = BAD[case]
    (tmp_path / "a.png").write_bytes(encoded())
    store.put("a.png", encoded())
    result = typed(store, *(argument.replace("BUCKET", store.bucket) for argument in arguments), cwd=tmp_path)
    errors = result.stderr.decode()
    assert result.returncode == code, errors
    assert sentence.replace("BUCKET", store.bucket) in errors
    assert errors.count("\n") == 1
    assert (files_below(tmp_path), store.keys()) == (["a.png"], ["a.png"])
