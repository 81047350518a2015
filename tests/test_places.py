"""Places: names, listing, reading and writing, against a server that speaks S3 and misbehaves, an SFTP server and a web server."""

from __future__ import annotations

import gc
import hashlib
import io
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from fsrcnn import formats, images, places
from fsrcnn.errors import Cancelled, ImageError, MissingExtraError, UsageError
from fsrcnn.places import Remote, failures, stores, writing
from object_store import Fault, Store, serving
from sftp_server import sftp_server
from support import saved

PICTURE = saved([np.arange(48, dtype=np.uint8).reshape(4, 4, 3)], "PNG")
AWKWARD = (
    "in/a b.png", "in/x/../y.png", "in//d.png", "in/./e.png", "in/\u00e9.png", "in/e\u0301.png", "in/?q=1#f[0]*.png", "in/%41%2F.png",
    "in/a+b&c=d.png", "in/back\\slash.png", "in/x?versionId=3", "in/~'\"<&>.png", "in/名前/写真.png", "in/no ending",
)  # fmt: skip
NAMES = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Cn", "Co", "Zl", "Zp"), exclude_characters="\ufeff"),
    min_size=1,
    max_size=20,
)  # moto has no keys with control characters


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "FIRST_WAIT", 0.001)


def below(found: Store, key: str) -> Remote:
    return Remote(f"s3://{found.bucket}/{key}")


# Names.


@given(st.lists(NAMES.filter(lambda name: "/" not in name and name not in (".", "..")), min_size=1, max_size=4))
def test_the_parts_of_a_name_are_those_of_a_posix_path(parts: list[str]) -> None:
    remote, path = Remote("s3://bucket"), PurePosixPath("bucket")
    for part in parts:
        remote, path = remote / part, path / part
    assert remote.url == f"s3://{path}"
    assert (remote.name, remote.suffix, remote.parent.url) == (path.name, path.suffix, f"s3://{path.parent}")
    assert remote.with_suffix(".jpg").url == f"s3://{path.with_suffix('.jpg')}"
    assert remote.with_name("b.png").url == f"s3://{path.with_name('b.png')}"
    assert formats.with_ending(remote, "png").suffix in (".png", ".PNG")


@given(st.text(max_size=30))
def test_a_key_is_kept_as_it_is(key: str) -> None:
    folder = Remote("s3://bucket/in")
    assert (folder / key).below(folder) == key
    assert (folder / key).bucket_and_key() == ("bucket", f"in/{key}")


def test_the_root_lies_in_itself() -> None:
    assert Remote("s3://b").parent == Remote("s3://b")
    assert Remote("s3://b/x").parent == Remote("s3://b")
    assert (Remote("s3://b").name, Remote("s3://b").key) == ("", "")


def test_access_points_have_a_slash_in_their_name() -> None:
    name = "arn:aws:s3:eu-west-1:123456789012:accesspoint/photos"
    assert Remote(f"s3://{name}/in/a.png").bucket_and_key() == (name, "in/a.png")


def test_what_somebody_types() -> None:
    assert places.place("photos/a.png") == Path("photos/a.png")
    assert places.place("C:/photos") == Path("C:/photos")
    assert places.place("file:///home/a b.png") == Path("/home/a b.png")
    assert places.place("S3://Bucket/In/") == Remote("s3://Bucket/In")
    assert places.place("s3://b/in//") == Remote("s3://b/in/")  # of which the last slash belongs to a key
    assert places.place("https://h/in/") == Remote("https://h/in/")
    assert places.place("s3://b/a::b.png") == Remote("s3://b/a::b.png")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("s3://", "s3:// names no bucket or host"),
        ("s3:///key", "s3:// names no bucket or host"),
        ("https://", "names no host"),
        ("s3:/b/key", "an address begins with s3://, not s3:/"),
        ("zip://a.png::s3://b/x.zip", "is a chain of places"),
        ("simplecache::s3://b/x.png", "is a chain of places"),
        ("simplecache::sftp://me:secret@h/x.png", r"simplecache::sftp://me:…@h/x.png is a chain"),
    ],
)
def test_what_is_no_place(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        places.place(text)


def test_passwords_and_queries_are_not_shown() -> None:
    remote = Remote("sftp://me:se@cret@host/a@b:c.png")
    assert str(remote) == "sftp://me:…@host/a@b:c.png"
    assert "cret" not in repr(remote)
    address = Remote("https://h/in/a%20b.png?X-Amz-Signature=secret#part")
    assert (str(address), address.name, address.suffix) == ("https://h/in/a%20b.png?…", "a b.png", ".png")
    assert Remote("https://h/..%2F..%2Fetc.png").name == "..%2F..%2Fetc.png"  # never a path


def test_stores_that_are_none() -> None:
    for scheme in ("nowhere", "zip", "simplecache"):
        with pytest.raises(UsageError, match=f"fsrcnn knows no places like {scheme}://; type s3://"):
            places.read(Remote(f"{scheme}://x/a.png"), 9)


@pytest.mark.parametrize(
    ("url", "package", "remedy"),
    [
        ("s3://b/x", "fsspec", r"pip install 'fsrcnn\[remote\]'"),
        ("s3://b/x", "s3fs", r"pip install 'fsrcnn\[remote\]'"),
        ("https://h/x", "aiohttp", r"pip install 'fsrcnn\[remote\]'"),
        ("gs://b/x", "gcsfs", "pip install gcsfs"),
        ("az://b/x", "adlfs", "pip install adlfs"),
        ("sftp://h/x", "paramiko", "pip install paramiko"),
    ],
)
def test_a_missing_package_is_named(url: str, package: str, remedy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    calls: list[Callable[[], object]] = [
        lambda: places.kind(Remote(url)), lambda: places.read(Remote(url), 9), lambda: places.kinds([Remote(url)] * 2),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(MissingExtraError, match=f"need {package}, which .*{remedy}"):
            call()


# Keys.


def test_awkward_keys_are_read_listed_and_written_as_they_are(store: Store) -> None:
    for number, key in enumerate(AWKWARD):
        store.put(key, b"%d" % number)
    folder = places.place(f"s3://{store.bucket}/in/")
    assert isinstance(folder, Remote)
    found = list(places.walk(folder, recursive=True))
    assert sorted(remote.key for remote in found) == sorted(AWKWARD)
    assert [remote.key for remote in found] == store.keys("in/")
    for remote in found:
        data = places.read(remote, 9)
        assert data == b"%d" % AWKWARD.index(remote.key)
        places.write(Remote(f"s3://{store.bucket}/out") / remote.below(folder), data, replace=False)
        assert store.get(f"out/{remote.below(folder)}") == data
    assert [key.removeprefix("out/") for key in store.keys("out/")] == [
        key.removeprefix("in/") for key in store.keys("in/")
    ]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(NAMES, min_size=1, max_size=3).map("/".join).filter(lambda key: key[-1] != "/"), st.binary(max_size=20))
@example("/a//b", b"")
@example("..", b"")
@example("a/../..", b"x")
def test_any_key_goes_there_and_back(store: Store, key: str, data: bytes) -> None:
    folder = below(store, f"any-{hashlib.md5(repr((key, data)).encode()).hexdigest()}")
    places.write(folder / key, data, replace=True)
    assert store.get((folder / key).key) == data
    assert places.read(folder / key, 20) == data
    assert places.kinds([folder / key, folder, folder / f"{key}-"]) == ["file", "folder", "absent"]
    hidden = any(part.startswith(".") and part not in (".", "..") for part in key.split("/"))
    assert list(places.walk(folder, recursive=True)) == ([] if hidden else [folder / key])


def test_a_newline_is_sent_as_one(store: Store) -> None:
    with pytest.raises(ImageError):  # moto knows no such keys
        places.read(below(store, "a\nb.png"), 9)
    assert store.requests == [f"GET /{store.bucket}/a%0Ab.png"]


def test_hidden_names_and_markers_of_folders_are_left_out(store: Store) -> None:
    for key in (
        "in/.a.png",
        "in/.b/c.png",
        "in/d/",
        "in/",
        "in/d/e.png",
        "in/f.png",
        "in.png",
        "inner/g.png",
        "in/..h.png",
    ):
        store.put(key, b"x")
    folder = below(store, "in")
    assert [remote.below(folder) for remote in places.walk(folder, recursive=True)] == ["d/e.png", "f.png"]
    assert [remote.below(folder) for remote in places.walk(folder, recursive=False)] == ["f.png"]
    everything = places.walk(Remote(f"s3://{store.bucket}"), recursive=True)
    assert [remote.key for remote in everything] == ["in.png", "in/d/e.png", "in/f.png", "inner/g.png"]


def test_kinds_say_what_lies_there_in_order(store: Store) -> None:
    store.put("in/a.png", b"x")
    asked = [below(store, key) for key in ("in", "in/a.png", "in/a", "nowhere")] * 20
    assert places.kinds(asked) == ["folder", "file", "absent", "absent"] * 20
    assert [places.kind(remote) for remote in asked[:4]] == ["folder", "file", "absent", "absent"]
    assert places.kind(Remote(f"s3://{store.bucket}")) == "folder"
    assert places.kinds([]) == []
    store.requests.clear()
    assert places.kinds(asked[:4], folders=False) == ["absent", "file", "absent", "absent"]
    assert len(store.requests) == 4
    known, unknown = places.kinds([asked[1], Remote("s3://no-such-bucket/a.png")])
    assert known == "file"
    assert isinstance(unknown, ImageError)
    assert "there is no bucket no-such-bucket" in str(unknown)


# Listing in pages.


class Listing(BaseHTTPRequestHandler):
    """S3's `ListObjectsV2` of as many objects as its bucket's name says, all in one folder."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        bucket, _, query = self.path[1:].partition("?")
        count = int(bucket.partition("-")[2])
        start = int(query.partition("continuation-token=")[2].partition("&")[0] or 0)
        end = min(start + 1000, count)
        entries = "".join(
            f"<Contents><Key>in/{number:08}.png</Key><Size>9</Size><ETag>{number:032}</ETag></Contents>"
            for number in range(start, end)
        )
        more = (
            f"<IsTruncated>true</IsTruncated><NextContinuationToken>{end}</NextContinuationToken>"
            if end < count
            else ""
        )
        body = f"<ListBucketResult>{more}{entries}</ListBucketResult>".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def test_memory_does_not_grow_with_the_number_of_objects(
    new_clients: None, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def peak(count: int) -> int:
        gc.collect()
        tracemalloc.start()
        try:
            walked = sum(1 for _ in places.walk(Remote(f"s3://many-{count}/in"), recursive=True))
            assert walked == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    with serving(Listing) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        peak(1000)  # loads what is loaded once
        few, many = peak(2000), peak(12000)
    assert many < few + 1_000_000  # 10,000 names and what is known of them would be several times as much


# Failures that pass.

PASSING = [
    Fault(503, "SlowDown"), Fault(503, "ServiceUnavailable"), Fault(500), Fault(502), Fault(504), Fault(429, "TooManyRequests"),
    Fault(reset=True), Fault(400, "RequestTimeout"),
]  # fmt: skip


def name_of(fault: Fault) -> str:
    return f"{'after-' if fault.after else ''}{fault.status or ('reset' if fault.reset else 'cut')}-{fault.code}"


@pytest.mark.parametrize("fault", [*PASSING, Fault(cut=10), Fault(cut=0)], ids=name_of)
def test_what_passes_is_read_again(store: Store, fault: Fault) -> None:
    store.put("a.png", PICTURE)
    store.faults += [Fault(**vars(fault)) for _ in range(3)]
    assert places.read(below(store, "a.png"), 10**6) == PICTURE
    assert store.sent("GET", "a.png") == 4


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("fault", PASSING, ids=name_of)
def test_what_passes_is_written_again(store: Store, fault: Fault, replace: bool, after: bool) -> None:
    """`after`: the store has put it there, and only its answer was lost: with a condition, the second try is told that it exists."""
    if replace:
        store.put("a.png", b"old")
    store.faults += [Fault(**{**vars(fault), "after": after, "method": "PUT"}) for _ in range(2)]
    places.write(below(store, "a.png"), PICTURE, replace=replace)
    assert store.get("a.png") == PICTURE
    # The condition of a second try fails, and shows that the first one did its work, unless that was hidden, too.
    assert store.sent("PUT") == 3
    assert store.keys() == ["a.png"]


@pytest.mark.parametrize("fault", [*PASSING, Fault(cut=10)], ids=name_of)
def test_what_passes_is_listed_and_asked_again(store: Store, fault: Fault) -> None:
    store.put("in/a.png", b"x")
    store.faults += [Fault(**vars(fault)) for _ in range(2)]
    assert [remote.key for remote in places.walk(below(store, "in"), recursive=True)] == ["in/a.png"]
    assert store.sent("GET") == 3
    if fault.cut is None and fault.status != 400:  # of which an answer without a body does not say that it passes
        store.faults += [Fault(**vars(fault)) for _ in range(2)]
        assert places.kinds([below(store, "in/a.png"), below(store, "in/b.png")]) == ["file", "absent"]


def test_an_object_that_somebody_else_has_put_there_meanwhile_is_left(store: Store) -> None:
    store.put("a.png", b"theirs")
    store.faults += [Fault(500, method="PUT")]
    with pytest.raises(ImageError, match=r"a.png exists; give overwrite=True to replace it"):
        places.write(below(store, "a.png"), b"ours!!", replace=False)
    assert store.get("a.png") == b"theirs"
    with pytest.raises(ImageError, match="exists"):  # the same bytes, and nothing of ours was sent before
        places.write(below(store, "a.png"), b"theirs", replace=False)


def test_a_store_without_conditions_is_asked_before(store: Store) -> None:
    store.faults += [Fault(501, "NotImplemented", method="PUT")]
    places.write(below(store, "a.png"), b"1", replace=False)
    assert store.get("a.png") == b"1"
    store.faults += [Fault(501, "NotImplemented", method="PUT")]
    with pytest.raises(ImageError, match="exists"):
        places.write(below(store, "a.png"), b"2", replace=False)
    assert store.get("a.png") == b"1"


def test_tries_come_to_an_end(store: Store) -> None:
    store.faults += [Fault(503, "SlowDown") for _ in range(50)]
    with pytest.raises(
        ImageError, match=r"cannot read s3://.*/a.png: the store answers 503 SlowDown \(after 6 tries\)"
    ):
        places.read(below(store, "a.png"), 9)
    assert store.sent("GET") == failures.TRIES  # neither s3fs nor botocore has tries of its own beside ours
    store.requests.clear()
    with pytest.raises(ImageError, match="after 6 tries"):
        places.write(below(store, "a.png"), b"x", replace=True)
    assert store.sent("PUT") == failures.TRIES


def test_no_try_begins_when_patience_has_ended(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "PATIENCE", 0.0)
    store.faults += [Fault(503, "SlowDown") for _ in range(9)]
    with pytest.raises(ImageError, match=r"the store answers 503 SlowDown$"):
        places.read(below(store, "a.png"), 9)
    assert store.sent("GET") == 1


def test_all_waits_together_are_bounded() -> None:
    longest = sum(0.5 * 2**number for number in range(failures.TRIES - 1))
    assert longest < failures.PATIENCE <= 60


def test_a_wait_ends_when_the_work_is_stopped(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "FIRST_WAIT", 3600.0)
    monkeypatch.setattr(failures, "PATIENCE", 10**6)
    store.faults += [Fault(503, "SlowDown") for _ in range(9)]
    with pytest.raises(Cancelled), places.heeding(lambda: store.sent("GET") > 0):
        places.read(below(store, "a.png"), 9)
    assert store.sent("GET") == 1


def test_nothing_answers(new_clients: None, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(ImageError, match=r"nothing answers there \(after 6 tries\); is AWS_ENDPOINT_URL right\?"):
        places.read(below(store, "a.png"), 9)


# Failures that last.


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (
            Fault(403, "AccessDenied"),
            r"it is not allowed with these credentials \(AccessDenied\); set AWS_ACCESS_KEY_ID",
        ),
        (Fault(403, "InvalidAccessKeyId"), r"the credentials are wrong \(InvalidAccessKeyId\); set AWS_ACCESS_KEY_ID"),
        (
            Fault(403, "SignatureDoesNotMatch"),
            r"the credentials are wrong \(SignatureDoesNotMatch\); set AWS_ACCESS_KEY_ID",
        ),
        (Fault(400, "ExpiredToken"), "its credentials have expired; renew AWS_SESSION_TOKEN"),
        (Fault(403, "RequestTimeTooSkewed"), "the clock of this machine is wrong"),
        (Fault(403, "InvalidObjectState"), "it lies in an archive .Glacier.; restore it first"),
        (Fault(404, "NoSuchBucket"), "there is no bucket pictures-"),
        (Fault(400, "InvalidBucketName"), "no bucket can have the name"),
        (Fault(405, "MethodNotAllowed"), "the store answers 405 MethodNotAllowed"),
    ],
    ids=lambda value: value.code if isinstance(value, Fault) else None,
)
def test_what_lasts_is_said_at_once(store: Store, fault: Fault, sentence: str) -> None:
    remote = below(store, "a.png")
    calls: dict[str, Callable[[], object]] = {
        "read": lambda: places.read(remote, 9),
        "write": lambda: places.write(remote, b"x", replace=True),
        "list": lambda: list(places.walk(below(store, "in"), recursive=True)),
    }
    for doing, call in calls.items():
        store.faults.append(Fault(**vars(fault)))
        store.requests.clear()
        with pytest.raises(ImageError, match=f"cannot {doing} {remote.parent}/.*: {sentence}") as caught:
            call()
        assert len(store.requests) == 1
        assert "\n" not in str(caught.value)
        assert not store.faults


def test_an_object_that_is_not_there(store: Store) -> None:
    with pytest.raises(ImageError, match=r"^s3://.*/a.png does not exist$"):
        places.read(below(store, "a.png"), 9)
    assert store.sent("GET") == 1


def test_a_forbidden_look_is_said(store: Store) -> None:
    store.faults += [Fault(403, "AccessDenied", method="HEAD")]
    with pytest.raises(ImageError, match=r"cannot use .* it is not allowed with these credentials; set"):
        places.kind(below(store, "a.png"))


def test_a_look_has_no_reason_so_a_list_is_asked_for_it(store: Store) -> None:
    store.faults += [Fault(403, method="HEAD"), Fault(403, "InvalidAccessKeyId", method="GET")]
    with pytest.raises(ImageError, match=r"the credentials are wrong \(InvalidAccessKeyId\)"):
        places.kind(below(store, "a.png"))


def test_without_credentials(new_clients: None, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(
        ImageError, match=r"there are no credentials for it; set AWS_ACCESS_KEY_ID .* FSSPEC_S3_ANON=true"
    ):
        places.read(below(store, "a.png"), 9)
    assert not store.requests


def test_a_profile_that_does_not_exist(new_clients: None, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ImageError, match=r"profile \(nobody\) could not be found"):
        places.read(below(store, "a.png"), 9)


def test_public_buckets_are_read_without_credentials(
    new_clients: None, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec.config

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    configured: dict[str, dict[str, object]] = {}
    fsspec.config.set_conf_env(configured, {"FSSPEC_S3_ANON": "true"})
    monkeypatch.setattr(fsspec.config, "conf", configured)
    store.put("open.png", b"x", public=True)
    store.put("shut.png", b"x")
    assert places.read(below(store, "open.png"), 9) == b"x"
    with pytest.raises(ImageError, match="not allowed"):
        places.read(below(store, "shut.png"), 9)


def test_what_its_user_has_configured_goes_before_ours(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec.config

    monkeypatch.setitem(
        fsspec.config.conf, "s3", {"config_kwargs": {"read_timeout": 7, "s3": {"addressing_style": "path"}}}
    )
    told = stores._options("s3", fsspec.config.conf)["config_kwargs"]
    assert (told["read_timeout"], told["s3"], told["max_pool_connections"]) == (7, {"addressing_style": "path"}, 32)


# Reading and writing.


def test_what_is_too_large_is_not_fetched(store: Store) -> None:
    store.put("a.png", bytes(10_000))
    with pytest.raises(places.TooLargeError, match="is larger than"):
        places.read(below(store, "a.png"), 9_999)
    assert places.read(below(store, "a.png"), 10_000) == bytes(10_000)


def test_an_upload_is_one_request(store: Store) -> None:
    """s3fs would make several of 100 MB, which a killed process leaves in the bucket, unseen and paid for."""
    data = bytes(110_000_000)
    places.write(below(store, "a.tif"), data, replace=False)
    assert store.requests == [f"PUT /{store.bucket}/a.tif"]
    assert store.unfinished_uploads() == 0
    assert store.headers("a.tif")["content-length"] == str(len(data))


def test_what_one_request_cannot_hold_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "LARGEST_PUT", 9)
    with pytest.raises(ImageError, match=r"more than 5\.4, the most of one request"):
        places.write(below(store, "a.tif"), bytes(10), replace=True)
    assert not store.requests


def test_several_threads_share_the_connections(store: Store) -> None:
    for number in range(30):
        store.put(f"{number}.png", b"%d" % number)
    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(lambda number: places.read(below(store, f"{number}.png"), 9), range(30)))
    assert found == [b"%d" % number for number in range(30)]


def test_a_process_ends_without_a_word(store: Store) -> None:
    store.put("a.png", PICTURE)
    script = (
        "from fsrcnn import places; from threading import Thread\n"
        f"remote = places.Remote({below(store, 'a.png').url!r})\n"
        "threads = [Thread(target=places.read, args=(remote, 10**6)) for _ in range(4)]\n"
        "[thread.start() for thread in threads]; [thread.join() for thread in threads]\n"
        "print(len(places.read(remote, 10**6)), len(list(places.walk(remote.parent, recursive=True))))"
    )
    environment = {**os.environ, **store.environment}
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(command, capture_output=True, check=True, env=environment)
    assert done.stdout.split() == [b"%d" % len(PICTURE), b"1"]
    assert done.stderr == b""


# Pictures.


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif", "a.gif"])
def test_a_picture_there_is_the_picture_here(store: Store, tmp_path: Path, name: str) -> None:
    picture = images.read(PICTURE)
    local = images.write(picture, tmp_path / name, digest=True)
    remote = images.write(picture, below(store, name), digest=True)
    alone = images.write(picture, None, format=name.partition(".")[2], digest=True)
    data = (tmp_path / name).read_bytes()
    assert store.get(name) == data == alone.data
    expected = (len(data), hashlib.sha256(data).hexdigest())
    assert (local.bytes, local.sha256) == (remote.bytes, remote.sha256) == (alone.bytes, alone.sha256) == expected
    assert local.notes == remote.notes
    assert (local.data, remote.data) == (None, None)
    assert images.write(picture, None, format="png").sha256 is None
    with Image.open(io.BytesIO(data)) as opened:
        assert store.headers(name)["content-type"] == opened.get_format_mimetype()
    again = images.read(below(store, name))
    assert np.array_equal(again.pages[0], images.read(tmp_path / name).pages[0])
    with pytest.raises(ImageError, match="exists; give overwrite=True"):
        images.write(picture, below(store, name))
    images.write(picture, below(store, name), overwrite=True)
    assert store.keys() == [name]


def test_what_is_no_picture_is_refused_as_a_file_is(store: Store, tmp_path: Path) -> None:
    for name, data in (("empty.png", b""), ("text.png", b"no picture at all"), ("half.png", PICTURE[:-20])):
        store.put(name, data)
        (tmp_path / name).write_bytes(data)
        said = []
        for source in (below(store, name), tmp_path / name):
            with pytest.raises(ImageError) as caught:
                images.read(source)
            said.append(str(caught.value).replace(str(source), "it"))
        assert said[0] == said[1]


def test_the_limit_of_pixels_is_one_of_bytes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fsrcnn.images.content.BESIDES", 0)
    store.put("a.png", PICTURE)
    with pytest.raises(
        ImageError, match=r"a.png is larger than 0.0 GB; if you trust it, raise the limit with max_pixels$"
    ):
        images.read(below(store, "a.png"), max_pixels=1)


def test_a_target_whose_ending_is_no_format(store: Store) -> None:
    with pytest.raises(UsageError, match="pictures are written as"):
        images.write(images.read(PICTURE), below(store, "a.doc"))


# The web.


class Web(BaseHTTPRequestHandler):
    """Good and bad web servers; each path is asked for by one test."""

    times: ClassVar[dict[str, int]] = {}

    def do_GET(self) -> None:
        self.times[self.path] = self.times.get(self.path, 0) + 1
        first = self.times[self.path] == 1
        match self.path.partition("?")[0]:
            case "/moved.png":
                self._answer(302, b"", Location="/a.png")
            case "/busy.png" | "/cut.png" if first:
                if self.path == "/busy.png":
                    return self._answer(503, b"later")
                self._answer(200, PICTURE, length=len(PICTURE) + 7)
            case "/unsaid.png":
                self._answer(200, PICTURE, length=None)
            case "/endless.png":
                self.send_response(200)
                self.end_headers()
                try:
                    while True:
                        self.wfile.write(bytes(10_000))
                except OSError:
                    return None
            case "/refused.png":
                self._answer(403, b"no")
            case "/absent.png":
                self._answer(404, b"no")
            case _:
                self._answer(200, PICTURE)
        return None

    def _answer(self, status: int, body: bytes, length: int | None = -1, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(len(body) if length < 0 else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    pytest.importorskip("aiohttp", reason="aiohttp is not installed; type: pip install aiohttp")
    with serving(Web) as address:
        yield address


@pytest.mark.parametrize(
    "path", ["a.png", "moved.png", "busy.png", "cut.png", "unsaid.png", "a%20b.png?token=%2Fsecret", "é [1].png"]
)
def test_pictures_of_the_web(web: str, path: str) -> None:
    assert places.read(Remote(f"{web}/{path}"), 10**6) == PICTURE
    assert places.kind(Remote(f"{web}/{path}")) == "file"


def test_addresses_are_sent_as_they_are_where_they_are_complete(web: str) -> None:
    places.read(Remote(f"{web}/sent%20%41%2f.png?X=%2F%20+&y=a%3Db"), 10**6)
    places.read(Remote(f"{web}/sent ü.png"), 10**6)
    assert {path for path in Web.times if path.startswith("/sent")} == {
        "/sent%20%41%2f.png?X=%2F%20+&y=a%3Db",
        "/sent%20%C3%BC.png",
    }


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("absent.png", "absent.png does not exist"),
        ("refused.png?token=secret", r"cannot read .*refused.png\?…: the server refuses it \(403\)"),
        ("endless.png", "endless.png is larger than"),
    ],
)
def test_what_the_web_does_not_give(web: str, path: str, sentence: str) -> None:
    with pytest.raises(ImageError, match=sentence) as caught:
        places.read(Remote(f"{web}/{path}"), 10**5)
    assert "secret" not in str(caught.value)
    assert Web.times[f"/{path}"] == 1


def test_the_web_is_neither_listed_nor_written(web: str) -> None:
    folder = Remote(f"{web}/in/")
    assert places.kind(folder) == "folder"
    with pytest.raises(ImageError, match="the web lists no folders"):
        list(places.walk(folder, recursive=True))
    with pytest.raises(ImageError, match="the web is read only"):
        places.write(Remote(f"{web}/a.png"), b"", replace=True)


def test_a_web_server_that_is_not_there() -> None:
    pytest.importorskip("aiohttp", reason="aiohttp is not installed; type: pip install aiohttp")
    for address in ("http://127.0.0.1:1/a.png", "http://host.invalid/a.png"):
        with pytest.raises(ImageError, match=r"nothing answers there \(after 6 tries\)$"):
            places.read(Remote(address), 9)


# File systems, and stores that are known to fsspec alone.


@pytest.fixture
def files_there(tmp_path: Path) -> Iterator[Remote]:
    with sftp_server(tmp_path) as address:
        yield Remote(address)
    import fsspec

    fsspec.get_filesystem_class("sftp").clear_instance_cache()


def test_pictures_over_sftp(files_there: Remote, tmp_path: Path) -> None:
    folder = tmp_path / "in" / "sub"
    (folder / ".hidden").mkdir(parents=True)
    names = ("in/a b.png", "in/sub/é?#%41.png", "in/a\nb.png")
    for name in (*names, "in/.no.png", "in/sub/.hidden/no.png"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "in/link.png").symlink_to("a b.png")
    (tmp_path / "in/folder").symlink_to("sub")
    (tmp_path / "in/nothing.png").symlink_to("nowhere")
    top = files_there / "in"
    assert sorted(remote.key for remote in places.walk(top, recursive=True)) == sorted(
        (*names, "in/link.png", "in/nothing.png")
    )
    assert sorted(remote.key for remote in places.walk(top, recursive=False)) == sorted(
        (names[0], names[2], "in/link.png", "in/nothing.png")
    )
    for name in names:
        assert places.read(files_there / name, 99) == name.encode()
    assert places.kinds([top, top / "a b.png", top / "nowhere"]) == ["folder", "file", "absent"]
    with pytest.raises(places.TooLargeError):
        places.read(files_there / names[0], 3)
    with pytest.raises(ImageError, match="is a folder, not a picture"):
        places.read(top, 9)
    with pytest.raises(ImageError, match=r"nowhere does not exist"):
        places.read(top / "nowhere", 9)


def test_files_over_sftp_are_written_whole(
    files_there: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = files_there / "out/deep/a b.png"
    places.write(target, b"1", replace=False)
    with pytest.raises(ImageError, match="exists; give overwrite=True"):
        places.write(target, b"2", replace=False)
    places.write(target, b"3", replace=True)
    assert (tmp_path / target.key).read_bytes() == b"3"
    import fsspec

    system = fsspec.get_filesystem_class("sftp")
    monkeypatch.setattr(system, "mv", lambda *arguments: (_ for _ in ()).throw(OSError("the disk is full")))
    with pytest.raises(ImageError, match=r"cannot write .*: the disk is full"):
        places.write(target, b"4", replace=True)
    assert [path.name for path in (tmp_path / "out/deep").iterdir()] == ["a b.png"]
    assert (tmp_path / target.key).read_bytes() == b"3"
    with pytest.raises(ImageError, match="what it is to lie in does not exist, or is no folder"):
        places.write(target / "below.png", b"", replace=True)


def test_a_file_that_comes_to_be_there_meanwhile_is_left(
    files_there: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec

    system = fsspec.get_filesystem_class("sftp")
    upload = system.pipe_file

    def upload_slowly(*arguments: object) -> None:
        upload(*arguments)
        (tmp_path / "a.png").write_bytes(b"theirs")

    monkeypatch.setattr(system, "pipe_file", upload_slowly)
    with pytest.raises(ImageError, match="exists; give overwrite=True"):
        places.write(files_there / "a.png", b"ours", replace=False)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"theirs"


def test_parts_of_dead_runs_are_removed(files_there: Remote, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    names = (".fsrcnn-aaaaaaaaaaaaaaaa.part", ".fsrcnn-bbbbbbbbbbbbbbbb.part", ".fsrcnn-cccccccccccccccc.partial")
    dead, young, other = (tmp_path / "out" / name for name in names)
    for path in (dead, young, other):
        path.write_bytes(b"x")
    long_ago = time.time() - 2 * writing.DEAD_SECONDS
    os.utime(dead, (long_ago, long_ago))
    os.utime(other, (long_ago, long_ago))
    places.write(files_there / "out/a.png", b"1", replace=False)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([young.name, other.name, "a.png"])


def test_a_connection_that_breaks_is_opened_again(files_there: Remote, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    assert places.read(files_there / "a.png", 9) == b"x"
    stores.opened(files_there).fs.client.close()
    assert places.read(files_there / "a.png", 9) == b"x"


def test_what_would_leave_its_folder_is_refused(files_there: Remote) -> None:
    for call in (
        lambda: places.read(files_there / "a/../../b.png", 9),
        lambda: places.write(files_there / "../b.png", b"", replace=True),
    ):
        with pytest.raises(UsageError, match="goes upwards"):
            call()


def test_a_wrong_password(files_there: Remote) -> None:
    wrong = Remote(files_there.url.replace("secret", "wrong")) / "a.png"
    with pytest.raises(
        ImageError, match=r"cannot read sftp://me:…@.*: the credentials are wrong; name the user"
    ) as caught:
        places.read(wrong, 9)
    assert "wrong@" not in str(caught.value)
    with pytest.raises(ImageError, match=r"cannot list sftp://me:…@.*: the credentials are wrong; name the user"):
        list(places.walk(wrong.parent, recursive=True))


def test_other_stores_of_fsspec() -> None:
    pytest.importorskip("fsspec", reason="fsspec is not installed; type: pip install fsspec")
    folder = Remote(f"memory://in-{os.getpid()}")
    places.write(folder / "x/a b.png", b"1", replace=False)
    with pytest.raises(ImageError, match="exists"):
        places.write(folder / "x/a b.png", b"2", replace=False)
    assert places.read(folder / "x/a b.png", 9) == b"1"
    assert list(places.walk(folder, recursive=True)) == [folder / "x/a b.png"]
    assert list(places.walk(folder, recursive=False)) == []
    assert places.kinds([folder, folder / "x/a b.png", folder / "y"]) == ["folder", "file", "absent"]
