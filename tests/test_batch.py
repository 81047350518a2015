"""Many pictures at once: order, overlap, memory, cancelling; and single files and bytes by `Upscaler`."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from fsrcnn import Cancelled, Control, ImageError, Size, Upscaler, UsageError, batch, images
from fsrcnn.cli.options import as_option
from fsrcnn.images import Picture
from fsrcnn.jobs import Job
from fsrcnn.planning import plan
from support import files_below, run_command

DOUBLE = Size(factor=2)


def make(path: Path, height: int = 12, width: int = 10, seed: int = 0) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    images.write(Picture((pixels,), "png"), path, overwrite=True)
    return path


def jobs_for(folder: Path, count: int, side: int = 8) -> list[Job]:
    for number in range(count):
        make(folder / f"in/{number:02}.png", side, side, number)
    return plan([str(folder / "in")], str(folder / "out"), DOUBLE).jobs


class Watched(Upscaler):
    """An upscaler that says what it is doing: a picture calls `during` while it is under way."""

    def __init__(self, threads: int) -> None:
        super().__init__("fsrcnn-x", scale=2, engine="numpy", threads=threads)
        self.lock = threading.Lock()
        self.under_way: list[int] = []  # bytes of the pictures that are being upscaled, with their results
        self.most: list[list[int]] = []  # `under_way` at each beginning
        self.threads_of: dict[int, int] = {}  # number of rows → threads of its control

    def during(self, picture: Picture, control: Control) -> None:
        pass

    def picture(self, picture: Picture, size: Size, control: Control | None = None) -> Picture:
        assert control is not None
        taken = 5 * picture.pages[0].nbytes
        with self.lock:
            self.under_way.append(taken)
            self.most.append(list(self.under_way))
            self.threads_of[picture.pages[0].shape[0]] = control.threads
        self.during(picture, control)
        result = super().picture(picture, size, control)
        with self.lock:
            self.under_way.remove(taken)
        return result


def test_outcomes_come_in_order_with_the_bytes_that_single_pictures_have(tmp_path: Path) -> None:
    """The first picture takes longest, one is text, one cannot be written; nothing is left out of its place."""
    sides = [90, 8, 30, 8, 9, 60, 8, 8]
    for number, side in enumerate(sides):
        make(tmp_path / f"in/{number}.png", side, side + 1, number)
    (tmp_path / "in/3.png").write_bytes(b"text")
    (tmp_path / "out/6.png").mkdir(parents=True)
    jobs = [Job(tmp_path / f"in/{number}.png", tmp_path / f"out/{number}.png") for number in range(8)]
    upscaler = Upscaler("fsrcnn-s", scale=2, threads=3)
    outcomes = list(batch.run_all(jobs, upscaler, DOUBLE))
    assert [outcome.job for outcome in outcomes] == jobs
    assert [number for number, outcome in enumerate(outcomes) if outcome.error] == [3, 6]
    with pytest.raises(ImageError, match=r"3\.png is not a picture"):
        outcomes[3].result()
    assert outcomes[0].result().output_size == (182, 180)
    for number in (0, 1, 2, 4, 5, 7):
        alone = tmp_path / f"alone/{number}.png"
        upscaler(tmp_path / f"in/{number}.png", output=alone)
        assert (tmp_path / f"out/{number}.png").read_bytes() == alone.read_bytes()
    assert not [name for name in files_below(tmp_path / "out") if "part" in name]


def test_neighbours_are_under_way_together(tmp_path: Path) -> None:
    meeting = threading.Barrier(3)

    class Meeting(Watched):
        def during(self, picture: Picture, control: Control) -> None:
            meeting.wait(timeout=20)  # broken unless three pictures are here at once

    outcomes = list(batch.run_all(jobs_for(tmp_path, 6), Meeting(threads=3), DOUBLE))
    assert [outcome.error for outcome in outcomes] == [None] * 6


def test_memory_is_bounded_by_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six threads, but room for four pictures of 8×8; the one of 40×40 goes alone, with all threads."""
    small, large = 5 * 3 * 8 * 8, 5 * 3 * 40 * 40
    monkeypatch.setattr(batch, "ROOM_PER_THREAD", 4 * small // 6)

    class Slow(Watched):
        def during(self, picture: Picture, control: Control) -> None:
            threading.Event().wait(0.05)  # all that have room come in

    jobs = jobs_for(tmp_path, 20)
    make(tmp_path / "in/10.png", 40, 40)
    upscaler = Slow(threads=6)
    assert all(outcome.done for outcome in batch.run_all(jobs, upscaler, DOUBLE))
    assert [taken for taken in upscaler.most if large in taken] == [[large]]
    assert max(sum(taken) for taken in upscaler.most if large not in taken) == 4 * small
    assert upscaler.threads_of[40] == 6


def test_runs_that_share_a_room_wait_for_each_other(tmp_path: Path) -> None:
    """A picture that fills the room is under way; that of a second run waits, and a third run is stopped while it does."""
    jobs = [Job(make(tmp_path / f"in/{number}.png", 16, 16), tmp_path / f"out/{number}.png") for number in range(3)]
    room, gate, began = batch.Room(1), threading.Event(), threading.Event()
    room.bytes = 5 * 3 * 16 * 16

    class Gated(Watched):
        def during(self, picture: Picture, control: Control) -> None:
            began.set()
            assert control.cancelled() or gate.wait(20)

    upscaler, controls = Gated(1), [Control(1) for _ in jobs]
    outcomes: dict[int, list[batch.Outcome] | Cancelled] = {}

    def run(number: int) -> None:
        try:
            outcomes[number] = list(batch.run_all([jobs[number]], upscaler, DOUBLE, None, controls[number], room))
        except Cancelled as cancelled:
            outcomes[number] = cancelled

    threads = [threading.Thread(target=run, args=(number,)) for number in range(3)]
    threads[0].start()
    assert began.wait(20)
    threads[2].start()
    controls[2].cancel()
    threads[2].join(20)
    assert isinstance(outcomes[2], Cancelled)
    threads[1].start()
    threads[1].join(0.3)
    assert threads[1].is_alive()
    gate.set()
    for thread in threads[:2]:
        thread.join(20)
    assert [len(taken) for taken in upscaler.most] == [1, 1]
    assert files_below(tmp_path / "out") == ["0.png", "1.png"]


def test_results_beyond_a_limit_are_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(make(tmp_path / "a.png", 100, 50), None)
    upscaler = Upscaler("fsrcnn-x", scale=2)
    (fits,) = batch.run_all([job], upscaler, DOUBLE, batch.Options(max_output_pixels=20_000))
    assert fits.result().output_size == (100, 200)
    monkeypatch.setattr(upscaler, "picture", lambda *arguments: pytest.fail("the network was run"))
    (refused,) = batch.run_all([job], upscaler, DOUBLE, batch.Options(max_output_pixels=19_999))
    assert str(refused.error).endswith(
        "a.png would become 20,000 pixels, more than the limit of 19,999 pixels; give a smaller size"
    )
    with pytest.raises(UsageError, match="max_output_pixels is a whole number of at least 1"):
        batch.Options(max_output_pixels=0)


def test_nothing_of_a_finished_picture_stays(tmp_path: Path) -> None:
    """Neither of those that succeeded nor, through a traceback, of those that failed."""
    alive: list[weakref.ref[Picture]] = []
    counts: list[int] = []

    class Counting(Watched):
        def during(self, picture: Picture, control: Control) -> None:
            with self.lock:
                alive.append(weakref.ref(picture))
                counts.append(sum(reference() is not None for reference in alive))

    jobs = jobs_for(tmp_path, 24)
    for job in jobs[::2]:
        assert isinstance(job.target, Path)
        job.target.mkdir(parents=True)  # cannot be written
    outcomes = list(batch.run_all(jobs, Counting(threads=2), DOUBLE))
    assert [outcome.error is None for outcome in outcomes] == [False, True] * 12
    assert max(counts) <= 2


def test_a_single_picture_has_all_threads_and_many_have_one_each(tmp_path: Path) -> None:
    upscaler = Watched(threads=4)
    list(batch.run_all([Job(make(tmp_path / "a.png", 9), tmp_path / "b.png")], upscaler, DOUBLE))
    assert upscaler.threads_of == {9: 4}
    paths = [make(tmp_path / f"{side}.png", side) for side in range(10, 20)]
    list(batch.run_all([Job(path, tmp_path / f"out/{path.name}") for path in paths], upscaler, DOUBLE))
    assert [upscaler.threads_of[side] for side in range(10, 20)] == [1] * 8 + [2, 4]  # the last ones have no successor


def test_progress_is_told_in_the_thread_that_iterates(tmp_path: Path) -> None:
    told: list[float] = []

    def progress(done: float) -> None:
        assert threading.current_thread() is threading.main_thread()
        told.append(done)

    control = Control(2, progress)
    assert len(list(batch.run_all(jobs_for(tmp_path, 5), Watched(2), DOUBLE, control=control))) == 5
    assert told == sorted(told)
    assert told[-1] == 1
    assert len(told) >= 5


def test_cancelling_hands_out_what_is_written_and_leaves_no_part(tmp_path: Path) -> None:
    """The second and fourth picture are written while the first is still under way; then somebody cancels."""
    control = Control(2)
    jobs = jobs_for(tmp_path, 20)

    class Stopping(Watched):
        def during(self, picture: Picture, control_of_picture: Control) -> None:
            if len(self.most) == 5:
                control.cancel()
            if len(self.most) in (1, 5):  # until it is told to stop
                while not control_of_picture.cancelled():
                    threading.Event().wait(0.01)

    outcomes: list[batch.Outcome] = []

    def collect() -> None:
        for outcome in batch.run_all(jobs, Stopping(2), DOUBLE, control=control):
            outcomes.append(outcome)

    with pytest.raises(Cancelled):
        collect()
    written = files_below(tmp_path / "out")
    assert written == [Path(outcome.result().output).name for outcome in outcomes]
    assert 3 <= len(written) <= 4
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fsrcnn-")]


def test_who_stops_asking_stops_the_work(tmp_path: Path) -> None:
    outcomes = batch.run_all(jobs_for(tmp_path, 30, side=40), Watched(2), DOUBLE)
    assert next(outcomes).error is None
    outcomes.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fsrcnn-")]
    assert len(files_below(tmp_path / "out")) < 30


def test_a_bug_is_raised_where_the_outcomes_are_asked_for(tmp_path: Path) -> None:
    class Buggy(Watched):
        def during(self, picture: Picture, control: Control) -> None:
            raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        list(batch.run_all(jobs_for(tmp_path, 9), Buggy(2), DOUBLE))


@pytest.mark.parametrize(
    "raised",
    [
        PermissionError(13, "Permission denied"), OSError("no reason given"), UnicodeEncodeError("utf-8", "\udce9", 0, 1, "no text"),
        MemoryError(),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stage", ["read", "write"])
def test_what_the_system_says_of_a_file_is_its_own_outcome(
    stage: str, raised: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    original = getattr(images, stage)

    def third_fails(*arguments: object, **options: object) -> object:
        calls.append(arguments)
        if len(calls) == 3:
            raise raised
        return original(*arguments, **options)

    jobs = jobs_for(tmp_path, 6)
    monkeypatch.setattr(images, stage, third_fails)
    outcomes = list(batch.run_all(jobs, Watched(1), DOUBLE))
    assert [outcome.error is None for outcome in outcomes] == [True, True, False, True, True, True]
    assert isinstance(outcomes[2].error, ImageError)
    assert str(jobs[2].source) in str(outcomes[2].error)
    assert outcomes[2].error.__traceback__ is None
    assert len(files_below(tmp_path / "out")) == 5


def test_no_jobs_no_outcomes() -> None:
    assert list(batch.run_all([], Watched(2), DOUBLE)) == []


def test_standard_input_and_output_are_bytes_here(tmp_path: Path) -> None:
    data = make(tmp_path / "a.png").read_bytes()
    options = batch.Options(standard_input=data)
    (outcome,) = batch.run_all([Job(None, None, "webp")], Upscaler("fsrcnn-x", scale=2), DOUBLE, options)
    assert outcome.data is not None
    assert images.read(outcome.data).pages[0].shape == (24, 20, 3)
    assert outcome.result().output == "standard output"


def test_each_door_spells_the_remedy_in_its_way(tmp_path: Path) -> None:
    make(tmp_path / "a.png")
    make(tmp_path / "a_x2.png")
    with pytest.raises(UsageError) as refused:
        plan([str(tmp_path / "a.png")], None, DOUBLE)
    assert str(refused.value).endswith(
        "a_x2.png exists; give existing='replace' to replace or existing='skip' to leave"
    )
    assert refused.value.sentence(as_option).endswith("give --overwrite to replace or --skip-existing to leave")
    with pytest.raises(UsageError, match="quality is a whole number from 1 to 100, not 0"):
        batch.Options(quality=0)


NEVER = "jpg is never lossless; give --format png or --format tif or --format webp or --format avif"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--page", "0"], "--page is a whole number of at least 1, not 0"),
        (["--max-pixels", "-5"], "--max-pixels is a whole number of at least 1, not -5"),
        (["--lossless", "--format", "jpg"], NEVER),
        (["--lossless", "-o", "b.gif"], "gif is never lossless; give another --output that ends in .png or .tif or .webp or .avif"),
        (["--lossless", "-o", "b.old", "--format", "jpg"], NEVER),
        (["--lossless", "-o", "folder/", "--format", "jpg"], NEVER),
    ],
)  # fmt: skip
def test_options_are_checked_before_any_picture(options: list[str], sentence: str, tmp_path: Path) -> None:
    make(tmp_path / "a.png")
    done = run_command("upscale", "a.png", *options, cwd=tmp_path)
    assert (done.returncode, done.stderr.decode()) == (2, f"fsrcnn: {sentence}\n")
    assert files_below(tmp_path) == ["a.png"]


@pytest.mark.parametrize("format", ["png", "jpg", "webp", "tif", "avif", "gif"])
def test_bytes_in_bytes_out(format: str) -> None:
    """The same kind comes out, and what the file says of the pixels is the network's result."""
    upscaler = Upscaler("fsrcnn-x", scale=2)
    pixels = np.linspace(0, 255, 3 * 20 * 30).reshape(20, 30, 3).astype(np.uint8)
    data = images.write(Picture((pixels,), format), None).data
    assert data is not None
    larger = images.read(upscaler(data))
    assert larger.format == format
    assert larger.pages[0].shape[:2] == (40, 60)
    expected = upscaler(images.read(data).pages[0])
    difference = np.abs(larger.pages[0][:, :, :3].astype(int) - expected[:, :, :3])
    assert difference.mean() <= (0 if format in ("png", "tif") else 6)
    assert images.read(upscaler(data, format="png")).format == "png"


def test_a_path_is_written_beside_or_where_it_is_told_and_replaced_only_if_told(tmp_path: Path) -> None:
    upscaler, source = Upscaler("fsrcnn-x", scale=2), make(tmp_path / "a.png")
    assert upscaler(source) == tmp_path / "a_x2.png"
    with pytest.raises(ImageError) as refused:
        upscaler(source)
    assert "overwrite=True" in str(refused.value)
    assert "--overwrite" in refused.value.sentence(as_option)
    assert upscaler(source, overwrite=True) == tmp_path / "a_x2.png"
    assert upscaler(str(source), output=tmp_path / "b/c.jpg", quality=40) == tmp_path / "b/c.jpg"
    assert images.read(tmp_path / "b/c.jpg").pages[0].shape == (24, 20, 3)
    upscaler(source, output=tmp_path / "better.jpg", quality=95)
    assert (tmp_path / "better.jpg").stat().st_size > (tmp_path / "b/c.jpg").stat().st_size
    assert upscaler(source, format="webp").name == "a_x2.webp"
    with pytest.raises(ImageError, match="more than the limit"):
        upscaler(source, output=tmp_path / "d.png", max_pixels=100)


def test_arguments_without_a_meaning_are_refused(tmp_path: Path) -> None:
    upscaler, data = Upscaler("fsrcnn-x", scale=2), make(tmp_path / "a.png").read_bytes()
    with pytest.raises(UsageError, match="output has no meaning for the bytes of a file"):
        upscaler(data, output=tmp_path / "b.png")  # type: ignore[call-overload]
    with pytest.raises(UsageError, match="quality has no meaning for an array"):
        upscaler(np.zeros((4, 4), np.uint8), quality=50)  # type: ignore[call-overload]
    with pytest.raises(ImageError, match="is not a picture"):
        upscaler(b"text")


def test_jobs_are_drawn_shortly_before_their_turn(tmp_path: Path) -> None:
    """As many ahead as there are threads; the last pictures have several threads, as in a list."""
    jobs, drawn, ahead = jobs_for(tmp_path, 12), [], []

    def drawing() -> Iterator[Job]:
        for job in jobs:
            drawn.append(job)
            yield job

    class Looking(Watched):
        def during(self, picture: Picture, control: Control) -> None:
            with self.lock:
                ahead.append(len(drawn) - len(self.most))

    upscaler = Looking(threads=2)
    outcomes = list(batch.run_all(drawing(), upscaler, DOUBLE))
    assert [outcome.job for outcome in outcomes] == jobs
    assert [outcome.error for outcome in outcomes] == [None] * 12
    assert max(ahead) <= 4  # two that wait, and one more of each thread
    upscaler = Looking(threads=4)
    sides = [make(tmp_path / f"last/{side}.png", side) for side in range(10, 16)]
    made = (Job(path, tmp_path / f"new/{path.name}") for path in sides)
    assert all(outcome.done for outcome in batch.run_all(made, upscaler, DOUBLE))
    assert [upscaler.threads_of[side] for side in range(10, 16)] == [1] * 4 + [2, 4]


def test_outcomes_that_wait_for_a_slow_one_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "WINDOW", 5)
    most = []

    class Slow(Watched):
        def during(self, picture: Picture, control: Control) -> None:
            if picture.pages[0].shape[0] == 9:  # the first
                until = time.monotonic() + 20
                while len(self.most) < 5 and time.monotonic() < until:
                    time.sleep(0.01)
                time.sleep(0.3)  # a sixth would begin
                most.append(len(self.most))

    jobs = jobs_for(tmp_path, 20)
    make(tmp_path / "in/00.png", 9, 9)
    outcomes = list(batch.run_all(jobs, Slow(threads=3), DOUBLE))
    assert [outcome.error for outcome in outcomes] == [None] * 20
    assert most == [5]


def test_what_goes_wrong_with_drawing_is_raised_where_the_outcomes_are_asked_for(tmp_path: Path) -> None:
    jobs = jobs_for(tmp_path, 6)

    def drawing() -> Iterator[Job]:
        yield from jobs
        raise ImageError("the log is full")

    with pytest.raises(ImageError, match="the log is full"):
        list(batch.run_all(drawing(), Watched(2), DOUBLE))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fsrcnn-")]


def test_bytes_and_hash_are_those_of_the_file(tmp_path: Path) -> None:
    jobs = jobs_for(tmp_path, 2)
    for options in (batch.Options(overwrite=True), batch.Options(overwrite=True, digest=True, parts=tmp_path / "in")):
        for outcome in batch.run_all([*jobs, Job(jobs[0].source, None)], Watched(1), DOUBLE, options):
            done = outcome.result()
            data = outcome.data if outcome.data is not None else Path(done.output).read_bytes()
            assert done.bytes == len(data)
            assert done.sha256 == (sha256(data).hexdigest() if options.digest else None)
