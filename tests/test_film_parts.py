"""A part of a film, interlaced films, clocks that are set back, the model that is chosen: each beside what it should be by hand."""

from __future__ import annotations

import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from films import av, film, luma_of, noise_frame, seen, upscaled_luma
from fsrcnn import Size, Upscaler, UsageError, video
from fsrcnn.video.library import FilmError
from fsrcnn.video.span import Span, seconds, span_of


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler("fsrcnn", precision="fast", threads=1)


# -- a part


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("1:02:03.5", Fraction(7447, 2)), ("2:03", 123), ("0:00.04", Fraction(1, 25)), ("75", 75), (".5", Fraction(1, 2)),
        ("1.", 1), (0.1, Fraction(1, 10)), (7, 7), (Fraction(1, 3), Fraction(1, 3)), (np.float64(2.5), Fraction(5, 2)),
    ],
    ids=str,
)  # fmt: skip
def test_times_as_they_are_given(given: Any, found: Fraction) -> None:
    assert seconds(given, "start") == found


@pytest.mark.parametrize(
    "given",
    [
        "",
        "soon",
        "-1",
        "1:2:3:4",
        "1:",
        "1e3",
        "1:02:3,5",
        "9" * 20,
        1e300,
        -0.5,
        float("nan"),
        True,
        None,
        [1],
        Fraction(-1),
    ],
    ids=repr,
)
def test_what_is_no_time(given: Any) -> None:
    with pytest.raises(UsageError, match=r"start is a number of seconds or a time as 1:02:03\.5"):
        seconds(given, "start")


def test_a_span_has_a_length() -> None:
    assert span_of() == Span()
    assert span_of(1, "0:02").end == 3
    with pytest.raises(UsageError, match=r"duration is .*, more than 0"):
        span_of(1, 0)


@pytest.mark.parametrize("ending", [".mkv", ".mp4", ".mov", ".ts"])
def test_a_part_begins_at_its_start(tmp_path: Path, upscaler: Upscaler, ending: str) -> None:
    """Frames at 0, 40, … 960 ms from the film's beginning; those from 290 ms on, for 400 ms, are 320 … 680."""
    times = tuple(range(5000, 6000, 40))
    path = film(tmp_path / f"a{ending}", codec="libx264", size=(32, 32), times=times, options={"g": "6"})
    output = tmp_path / "b.mkv"
    done = video.upscale(path, output, upscaler=upscaler, encoder="ffv1", start="0.29", duration=0.4)
    before, after = seen(path), seen(output)
    wanted = [
        frame
        for frame in before.frames
        if Fraction(29, 100) <= frame.pts * frame.time_base - before.times[0] < Fraction(69, 100)
    ]
    assert (done.frames, len(wanted)) == (10, 10)
    tick = Fraction(1, 1000)  # of Matroska
    for frame, lr in zip(after.frames, wanted, strict=True):
        assert abs(frame.pts * frame.time_base - (lr.pts * lr.time_base - Fraction(29, 100))) <= tick
        assert np.array_equal(luma_of(frame), upscaled_luma(upscaler, luma_of(lr), (64, 64), 8))
    given = list(video.frames(path, upscaler=upscaler, start=0.29, duration=0.4))
    assert [frame.pts * frame.time_base for frame in given] == [frame.pts * frame.time_base for frame in wanted]


def test_what_goes_along_with_a_part(tmp_path: Path, upscaler: Upscaler) -> None:
    """Sound that begins within it, subtitles as long as they are shown in it, chapters cut; all earlier by its start."""
    path = film(tmp_path / "a.mkv", codec="libx264", companions=True)
    video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler, encoder="x264", start=0.12, duration=0.24)
    before, after = seen(path), seen(tmp_path / "b.mkv")
    start, end = Fraction(12, 100), Fraction(36, 100)
    assert after.times == [Fraction(number * 40, 1000) for number in range(6)]
    for number in (1, 2):
        name = f"{number} audio"
        expected = [(time - start, length, data) for time, length, data in before.packets[name] if start <= time < end]
        assert after.packets[name] == expected
        assert 8 <= len(expected) <= 14
    # Shown from 100 to 300 ms and from 350 to 400: from 0 to 180 ms and from 230 to 240.
    assert [(time, length) for time, length, _ in after.packets["3 subtitle"]] == [(0, 180), (Fraction(230, 1000), 10)]
    assert after.chapters == [(0, Fraction(80, 1000), "One"), (Fraction(80, 1000), Fraction(240, 1000), "Two")]


def test_a_part_of_a_long_film_is_found_by_its_index(tmp_path: Path, upscaler: Upscaler) -> None:
    """From a key frame before it; the first frames of the result are those of its start all the same."""
    times = tuple(range(0, 200_000, 1000))
    path = film(tmp_path / "a.mkv", codec="libx264", size=(16, 16), times=times, options={"g": "5"}, companions=True)
    video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler, encoder="ffv1", start="2:01", duration=3)
    before, after = seen(path), seen(tmp_path / "b.mkv")
    assert after.times == [0, 1, 2]
    assert np.array_equal(luma_of(after.frames[0]), upscaled_luma(upscaler, luma_of(before.frames[121]), (32, 32), 8))


def test_a_part_that_is_not_there(tmp_path: Path, upscaler: Upscaler) -> None:
    path = film(tmp_path / "a.mkv")
    with pytest.raises(FilmError, match="has no frame in the part that is wanted; give another start"):
        video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler, start=5)
    assert [item.name for item in tmp_path.iterdir()] == ["a.mkv"]


# -- interlaced


def interlaced(path: Path, pictures: int = 8, *, said: bool = True) -> Path:
    """A bar that moves by two columns in each field; lower rows first where the film says so, else upper ones, as is assumed then."""
    flag = "interlaced=1" if said else "keyint=4"
    with av.open(str(path), "w") as target:
        video = target.add_stream("libx264", rate=25, options={"x264-params": flag, "crf": "1", "g": "4"})
        video.height, video.width, video.pix_fmt = 64, 64, "yuv420p"
        for number in range(pictures):
            frame = av.VideoFrame(64, 64, "yuv420p")
            luma = np.full((64, 64), 60, np.uint8)
            for field in (0, 1):
                luma[field::2, 4 * number + 2 * (field != said) + 8 :][:, :8] = 200
            frame.planes[0].update(luma.tobytes())
            for plane in frame.planes[1:]:
                plane.update(bytes([128]) * plane.buffer_size)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            target.mux(video.encode(frame))
        target.mux(video.encode(None))
    return path


def combing(luma: np.ndarray) -> float:
    """How much rows differ from the mean of both neighbours."""
    rows = luma.astype(float)
    return float(np.abs(rows[1:-1] - (rows[:-2] + rows[2:]) / 2).mean())


@pytest.mark.parametrize("said", [True, False], ids=["said", "unsaid"])
def test_deinterlaced(tmp_path: Path, upscaler: Upscaler, said: bool) -> None:
    """As many frames, at their times; no comb is left, and the moment is that of the first field."""
    path = interlaced(tmp_path / "a.mkv", said=said)
    done = video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler, encoder="ffv1", deinterlace=True)
    before, after = seen(path), seen(tmp_path / "b.mkv")
    assert (after.times, done.damaged, done.frames) == (before.times, (), 8)
    assert not any(frame.interlaced_frame for frame in after.frames)
    for number, frame in enumerate(after.frames[1:-1], 1):
        assert combing(luma_of(before.frames[number])) > 1
        assert combing(luma_of(frame)) < 0.5
        bar = np.flatnonzero(luma_of(frame)[64] > 130)
        assert abs(bar.mean() - (2 * (4 * number + 8 + 3.5) + 0.5)) < 1  # of the first field, upscaled


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the witness is Debian's ffmpeg")
def test_deinterlaced_as_ffmpeg_does(tmp_path: Path, upscaler: Upscaler) -> None:
    path = interlaced(tmp_path / "a.mkv")
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-vf", "bwdif=send_frame", "-f", "rawvideo", "-"]
    raw = np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.uint8)
    video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler, encoder="ffv1", deinterlace=True)
    # Before the first frame there is none, which versions of FFmpeg take differently.
    for frame, planes in list(zip(seen(tmp_path / "b.mkv").frames, raw.reshape(8, -1), strict=True))[1:]:
        expected = upscaled_luma(upscaler, planes[: 64 * 64].reshape(64, 64), (128, 128), 8)
        # By two versions of FFmpeg, whose sums may round otherwise.
        assert np.abs(luma_of(frame).astype(int) - expected).max() <= 3


def test_a_film_that_becomes_interlaced(tmp_path: Path, upscaler: Upscaler) -> None:
    """Which nobody can know beforehand: it is upscaled, and said, and no success."""
    film(tmp_path / "a.ts", codec="libx264", size=(64, 64), times=range(0, 8000, 1000), time_base=Fraction(1, 25000))
    interlaced(tmp_path / "b.ts")
    (tmp_path / "c.ts").write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    done = video.upscale(tmp_path / "c.ts", tmp_path / "d.mkv", upscaler=upscaler, encoder="ffv1")
    assert any("8 of its frames are interlaced, though not the first" in sentence for sentence in done.damaged)


# -- clocks


def test_a_clock_that_is_set_back(tmp_path: Path, upscaler: Upscaler) -> None:
    """A recording after itself: sound and picture go on behind the first part, as far apart as they were."""
    path = tmp_path / "a.ts"
    recording(path)
    (tmp_path / "b.ts").write_bytes(path.read_bytes() * 2)
    done = video.upscale(tmp_path / "b.ts", tmp_path / "c.ts", upscaler=upscaler, encoder="x264")
    one, two = seen(path), seen(tmp_path / "c.ts")
    assert done.notes == ("its clock is set back once; picture, sound and subtitles go on there together",)
    assert done.damaged == ()
    length = two.times[len(one.times)] - one.times[0]
    assert two.times == [*one.times, *(time + length for time in one.times)]
    assert length == 25 * Fraction(1, 25)
    sound, both = one.packets["1 audio"], two.packets["1 audio"]
    assert [packet[2] for packet in both] == [packet[2] for packet in sound] * 2
    moments = [packet[0] for packet in sound]
    for found, expected in zip(
        [packet[0] for packet in both], [*moments, *(time + length for time in moments)], strict=True
    ):
        assert abs(found - expected) <= Fraction(1, 90000)


def recording(path: Path) -> None:
    """A second of picture and sound."""
    generator = np.random.default_rng(0)
    with av.open(str(path), "w") as target:
        picture, sound = target.add_stream("libx264", rate=25), target.add_stream("aac", rate=48000)
        picture.height, picture.width, picture.pix_fmt = 32, 32, "yuv420p"
        packets = []
        for number in range(25):
            frame = noise_frame(generator, "yuv420p", (32, 32))
            frame.pts, frame.time_base = number, Fraction(1, 25)
            packets += picture.encode(frame)
        for block in range(46):
            tone = np.sin(np.arange(block * 1024, (block + 1) * 1024) * 0.05).astype(np.float32)
            samples = av.AudioFrame.from_ndarray(np.tile(tone, (2, 1)), "fltp", "stereo")
            samples.sample_rate, samples.pts, samples.time_base = 48000, block * 1024, Fraction(1, 48000)
            packets += sound.encode(samples)
        for packet in sorted([*packets, *picture.encode(None), *sound.encode(None)], key=lambda p: p.dts * p.time_base):
            target.mux(packet)


# -- auto


@pytest.mark.parametrize("kind", ["clean", "coarse"])
def test_auto_chooses_once_for_the_film(tmp_path: Path, kind: str) -> None:
    """The family that most is expected of, over frames from all of it; and that family's luma."""
    path = film(tmp_path / "a.mkv", size=(96, 128), times=(0, 40, 80))
    if kind == "coarse":  # blocks of an old camera
        path = film(
            tmp_path / "a.avi", codec="mjpeg", format="yuvj420p", size=(96, 128), options={"qmin": "25", "qmax": "31"}
        )
    auto = Upscaler("auto", threads=1)
    done = video.upscale(path, tmp_path / "b.mkv", upscaler=auto, encoder="ffv1")
    frames = seen(path).frames
    expected: dict[str, float] = {}
    for frame in frames[:: max(1, len(frames) // 5)]:
        choice = auto.chosen(luma_of(frame), Size(factor=2))[1]
        assert choice is not None
        for name, gain in choice.expected.items():
            expected[name] = expected.get(name, 0) + gain
    assert done.model == max(expected, key=lambda name: expected[name])
    assert done.reason.startswith("expected over bicubic, by ")
    assert done.frames == len(frames)
    full = kind == "coarse"
    larger = upscaled_luma(Upscaler(done.model, threads=1), luma_of(frames[0]), (192, 256), 8, full=full)
    assert np.array_equal(luma_of(seen(tmp_path / "b.mkv").frames[0]), larger)


def test_frames_are_shown_once_after_a_choice(tmp_path: Path) -> None:
    """Choosing looks all over the film; then it begins at its beginning, or where a part begins."""
    path = film(tmp_path / "a.mkv", codec="libx264", size=(32, 32), options={"g": "3"})
    auto = Upscaler("auto", threads=1)
    assert [frame.pts for frame in video.frames(path, upscaler=auto)] == list(range(0, 400, 40))
    assert [frame.pts for frame in video.frames(path, upscaler=auto, start=0.2)] == list(range(200, 400, 40))
