"""Films: luma as the engine gives it, every time to the tick, all other streams as they were, and work that survives a kill."""

from __future__ import annotations

import io
import json
import os
import platform
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from films import MILLISECONDS, av, film, luma_of, seen, upscaled_luma
from fsrcnn import Control, Size, Upscaler, UsageError, video
from fsrcnn.errors import Cancelled, FsrcnnError
from fsrcnn.imresize import imresize
from fsrcnn.video import source
from fsrcnn.video.colour import header_of
from fsrcnn.video.library import FilmError
from fsrcnn.video.segments import Workplace
from support import heed_interrupts, run_command


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler("fsrcnn", precision="fast", threads=1)


FORMATS = (
    ("yuv420p", 8), ("yuv422p", 8), ("yuv444p", 8), ("yuv420p10le", 10), ("yuv422p10le", 10), ("yuv444p12le", 12), ("gray", 8),
    ("gray10le", 10), ("yuv420p16le", 16), ("yuva420p", 8),
)  # fmt: skip


@pytest.mark.parametrize("size", [(24, 32), (19, 33)], ids=str)
@pytest.mark.parametrize(("format", "depth"), FORMATS, ids=str)
def test_luma_is_what_the_upscaler_makes_of_the_plane(
    tmp_path: Path, upscaler: Upscaler, format: str, depth: int, size: tuple[int, int]
) -> None:
    path = film(tmp_path / "a.mkv", format=format, size=size, times=(0, 40, 80))
    done = video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler, encoder="ffv1")
    before, after = seen(path), seen(tmp_path / "b.mkv")
    assert done.frames == len(after.frames) == 3
    assert {frame.format.name for frame in after.frames} == {format}
    larger = (size[0] * 2, size[1] * 2)
    full = format.startswith("gray") and before.frames[0].color_range == 2
    for lr, sr in zip(before.frames, after.frames, strict=True):
        assert np.array_equal(luma_of(sr), upscaled_luma(upscaler, luma_of(lr), larger, depth, full))


def test_full_range(tmp_path: Path, upscaler: Upscaler) -> None:
    """Black is 0 there; and H.264 calls it yuvj420p."""
    tags = {"color_range": 2}
    path = film(tmp_path / "a.mkv", codec="libx264", tags=tags, times=(0, 40))
    video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler, encoder="ffv1")
    before, after = seen(path).frames[1], seen(tmp_path / "b.mkv").frames[1]
    assert (after.format.name, after.color_range) == ("yuv420p", 2)
    assert np.array_equal(luma_of(after), upscaled_luma(upscaler, luma_of(before), (48, 64), 8, full=True))
    assert not np.array_equal(luma_of(after), upscaled_luma(upscaler, luma_of(before), (48, 64), 8))


def test_key_frames_are_the_encoders_own(tmp_path: Path, upscaler: Upscaler) -> None:
    path = film(tmp_path / "a.mkv", codec="libx264", options={"g": "1"})
    video.upscale(
        path, tmp_path / "b.mkv", upscaler=upscaler, encoder="x264"
    )  # which obeys what a frame says of itself
    assert sum(frame.key_frame for frame in seen(path).frames) == 10
    assert sum(frame.key_frame for frame in seen(tmp_path / "b.mkv").frames) == 1


@pytest.mark.parametrize("wanted", [Size(factor=1.5), Size(factor=3), Size(width=50), Size(factor=5)], ids=str)
def test_any_size(tmp_path: Path, upscaler: Upscaler, wanted: Size) -> None:
    path = film(tmp_path / "a.mkv", times=(0, 40))
    done = video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler, size=wanted, encoder="ffv1")
    before, after = seen(path), seen(tmp_path / "b.mkv")
    larger = wanted.of(24, 32)
    assert done.output_size == larger[::-1]
    assert np.array_equal(luma_of(after.frames[1]), upscaled_luma(upscaler, luma_of(before.frames[1]), larger, 8))


@pytest.mark.parametrize(
    ("format", "wanted", "encoder", "found"),
    [
        ("yuv420p", Size(width=50), "x264", (50, 36)), ("yuv420p", Size(fit=(67, 99)), "x265", (66, 50)),
        ("yuv420p", Size(height=37), "ffv1", (49, 37)), ("yuv422p", Size(width=50), "x264", (50, 37)),
        ("yuv422p", Size(height=37), "x264", (48, 37)), ("yuv444p", Size(fit=(67, 99)), "x264", (67, 50)),
        ("yuv420p", Size(width=50), "svt-av1", (50, 37)),
    ],
    ids=str,
)  # fmt: skip
def test_sides_that_follow_are_even_where_the_encoder_needs_it(
    tmp_path: Path, upscaler: Upscaler, format: str, wanted: Size, encoder: str, found: tuple[int, int]
) -> None:
    """31×23 to 50×37.1; 32×24 to 67×50.25 and 49.3×37. What was given is not changed: an odd height is refused."""
    path = film(tmp_path / "a.mkv", format=format, size=(24, 32) if wanted.width is None else (23, 31), times=(0, 40))
    done = video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler, size=wanted, encoder=encoder)
    assert done.output_size == found
    if (format, encoder) == ("yuv420p", "x264"):
        said = refused(tmp_path, path, upscaler=upscaler, size=Size(height=37), encoder=encoder)
        assert "x264 does not take 50×37 pixels of yuv420p" in said


def test_chroma_stays_where_it_is(tmp_path: Path, upscaler: Upscaler) -> None:
    """A step in the middle of a row: where `imresize` on the grid of chroma at the left has it, within a level."""
    frame = av.VideoFrame(32, 24, "yuv420p")
    steps = np.repeat(np.where(np.arange(frame.planes[1].line_size) < 8, 60, 200)[None], 12, 0).astype(np.uint8)
    for plane in frame.planes:
        plane.update(bytes([100]) * plane.buffer_size)
    frame.planes[1].update(steps.tobytes())
    frame.pts, frame.time_base = 0, MILLISECONDS
    with av.open(str(tmp_path / "a.mkv"), "w") as target:
        stream = target.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    video.upscale(tmp_path / "a.mkv", tmp_path / "b.mkv", upscaler=upscaler, encoder="ffv1")
    plane = seen(tmp_path / "b.mkv").frames[0].planes[1]
    row = np.frombuffer(bytes(plane), np.uint8).reshape(-1, plane.line_size)[10, :32].astype(float)
    # Left siting: sample j lies on luma column 2j, which is column 4j + 1/2 of the result, where sample k lies on column 2k.
    at = np.arange(32) / 2 - 0.125
    source = np.where(np.arange(-4, 24) < 8, 60.0, 200.0)

    def cubic(x: np.ndarray) -> np.ndarray:  # Keys, a = -0.5
        x = np.abs(x)
        return np.where(x <= 1, 1.5 * x**3 - 2.5 * x**2 + 1, np.where(x < 2, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2, 0))

    expected = np.array([(source * cubic(position - np.arange(-4, 24))).sum() for position in at])
    assert np.abs(row - expected)[2:-4].max() <= 1
    centred = imresize(np.where(np.arange(16) < 8, 60.0, 200.0)[None].repeat(4, 0) / 255, output_size=(8, 32))[0] * 255
    assert np.abs(row - centred).max() > 5  # what it would be otherwise


TIMES = {
    "constant": tuple(range(0, 36000, 3600)),
    "variable": (0, 3000, 7000, 9000, 15000, 30000, 31000, 40000, 90000, 90180),
    "later": tuple(range(180000, 200000, 3600)),
}


ENDINGS = (
    *((ending, encoder) for ending in (".mp4", ".mov", ".mkv", ".ts") for encoder in ("x264", "x265")),
    (".mkv", "ffv1"), (".mkv", "svt-av1"), (".mp4", "svt-av1"), (".mov", "prores"),
)  # fmt: skip


@pytest.mark.parametrize(("ending", "encoder"), ENDINGS, ids=str)
@pytest.mark.parametrize("times", TIMES, ids=str)
def test_times_stay_to_the_tick(tmp_path: Path, upscaler: Upscaler, times: str, ending: str, encoder: str) -> None:
    path = film(
        tmp_path / f"a{ending}", codec="libx264", size=(32, 32), times=TIMES[times], time_base=Fraction(1, 90000)
    )
    video.upscale(path, tmp_path / f"b{ending}", upscaler=upscaler, encoder=encoder)
    before, after = seen(path), seen(tmp_path / f"b{ending}")
    assert after.times == before.times
    assert len(after.times) == len(TIMES[times])


def test_avi_shows_frames_as_they_lie(tmp_path: Path, upscaler: Upscaler) -> None:
    path = film(tmp_path / "a.avi", codec="mpeg4", times=tuple(range(10)), time_base=Fraction(1, 25))
    video.upscale(path, tmp_path / "b.avi", upscaler=upscaler, encoder="x264")
    before, after = seen(path), seen(tmp_path / "b.avi")
    assert before.times == [Fraction(number, 25) for number in range(10)]
    # AVI holds no times; of H.264 in it, this FFmpeg believes that a frame is held back (its version 5 does not).
    assert [time - after.times[0] for time in after.times] == before.times
    with av.open(str(tmp_path / "b.avi")) as result:
        assert not result.streams.video[0].codec_context.has_b_frames


def test_a_bare_stream_has_its_rate(tmp_path: Path, upscaler: Upscaler) -> None:
    path = film(tmp_path / "a.h264", codec="libx264", times=range(5), time_base=Fraction(1, 25))
    done = video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler)
    assert seen(tmp_path / "b.mkv").times == [Fraction(number, 25) for number in range(5)]
    assert done.damaged == ()


def test_what_matroska_rounds_is_said(tmp_path: Path, upscaler: Upscaler) -> None:
    path = film(tmp_path / "a.mp4", codec="libx264", times=TIMES["variable"], time_base=Fraction(1, 90000))
    done = video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler)
    assert done.notes == ("6 frames are shown up to 0.444 ms earlier or later, as matroska counts in 1 ms",)


def test_frames_of_another_size_become_as_large_as_the_first(tmp_path: Path, upscaler: Upscaler) -> None:
    parts = [
        film(tmp_path / f"{width}.h264", codec="libx264", size=(24, width), times=range(5), time_base=Fraction(1, 25))
        for width in (32, 48)
    ]
    (tmp_path / "a.h264").write_bytes(b"".join(part.read_bytes() for part in parts))
    done = video.upscale(tmp_path / "a.h264", tmp_path / "b.mkv", upscaler=upscaler)
    assert done.frames == 10
    assert done.notes[-1] == "5 frames had another size, and were scaled to that of the first"
    assert {(frame.width, frame.height) for frame in seen(tmp_path / "b.mkv").frames} == {(64, 48)}


@pytest.mark.parametrize("ending", [".mkv", ".mp4", ".mov"])
def test_all_else_is_the_same(tmp_path: Path, upscaler: Upscaler, ending: str) -> None:
    path = film(tmp_path / f"a{ending}", codec="libx264", companions=True)
    video.upscale(path, tmp_path / f"b{ending}", upscaler=upscaler)
    before, after = seen(path), seen(tmp_path / f"b{ending}")
    sounds = [label for label in before.packets if "video" not in label]
    assert len(sounds) == (3 if ending == ".mkv" else 2)
    for label in sounds:
        assert after.packets[label] == before.packets[label]
    assert after.times == before.times
    assert (
        after.chapters
        == before.chapters
        == [(Fraction(0), Fraction(1, 5), "One"), (Fraction(1, 5), Fraction(2, 5), "Two")]
    )
    tags = {name.lower(): value for name, value in after.metadata.items()}
    assert (tags["title"], tags["comment"]) == ("Noise", "ünï")
    for (kind, old, flags), (kind_now, new, flags_now) in zip(before.streams, after.streams, strict=True):
        assert (kind, flags) == (kind_now, flags_now)
        assert {
            name: value for name, value in old.items() if name in ("language", "title", "filename", "mimetype")
        } == {name: value for name, value in new.items() if name in ("language", "title", "filename", "mimetype")}
    with av.open(str(tmp_path / f"b{ending}")) as result:
        fonts = [bytes(stream.data) for stream in result.streams.attachments]
    assert fonts == ([bytes(range(256))] if ending == ".mkv" else [])


def test_covers_stay_covers(tmp_path: Path, upscaler: Upscaler) -> None:
    picture = av.CodecContext.create("png", "w")
    picture.width, picture.height, picture.pix_fmt, picture.time_base = 8, 8, "rgb24", Fraction(1, 25)
    cover = bytes(picture.encode(av.VideoFrame(8, 8, "rgb24"))[0])
    film(tmp_path / "a.mkv", codec="libx264")
    with av.open(str(tmp_path / "a.mkv")) as source, av.open(str(tmp_path / "c.mkv"), "w") as target:
        target.add_attachment("cover.png", "image/png", cover)
        stream = target.add_stream_from_template(source.streams.video[0], opaque=True)
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    video.upscale(tmp_path / "c.mkv", tmp_path / "d.mkv", upscaler=upscaler)
    with av.open(str(tmp_path / "d.mkv")) as result:
        pictures = [s for s in result.streams if s.disposition & av.stream.Disposition.attached_pic]
        assert len(pictures) == 1
        assert bytes(next(result.demux(pictures[0]))) == cover
        assert [s.width for s in result.streams.video if s not in pictures] == [64]


def test_covers_of_mp4(tmp_path: Path, upscaler: Upscaler) -> None:
    """There they lie beside tags of known names: FFmpeg writes either a cover or tags of any name, and what is lost is said."""
    picture = av.CodecContext.create("png", "w")
    picture.width, picture.height, picture.pix_fmt, picture.time_base = 8, 8, "rgb24", Fraction(1, 25)
    cover = bytes(picture.encode(av.VideoFrame(8, 8, "rgb24"))[0])
    film(tmp_path / "a.mkv", codec="libx264")
    with av.open(str(tmp_path / "a.mkv")) as source, av.open(str(tmp_path / "c.mkv"), "w") as target:
        target.metadata.update({"title": "Noise", "DIRECTOR": "Nobody"})
        target.add_attachment("cover.png", "image/png", cover)
        stream = target.add_stream_from_template(source.streams.video[0], opaque=True)
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    done = video.upscale(tmp_path / "c.mkv", tmp_path / "d.mp4", upscaler=upscaler)
    assert done.notes[0] == "mp4 cannot hold its tags DIRECTOR"
    assert video.upscale(tmp_path / "d.mp4", tmp_path / "e.mp4", upscaler=upscaler).notes == ()
    for name in ("d.mp4", "e.mp4"):
        with av.open(str(tmp_path / name)) as result:
            (found,) = (s for s in result.streams if s.disposition & av.stream.Disposition.attached_pic)
            assert bytes(next(result.demux(found))) == cover
            assert result.metadata["title"] == "Noise"
    said = refused(tmp_path, tmp_path / "e.mp4", "f.mov", upscaler=upscaler)
    assert "mov does not give back stream 1 (video, png) of" in said
    assert said.endswith("give output an ending of .mkv")


def test_a_second_picture_is_copied(tmp_path: Path, upscaler: Upscaler) -> None:
    """As of another camera: the first is the film."""
    paths = [film(tmp_path / f"{seed}.mkv", codec="libx264", seed=seed) for seed in (0, 1)]
    with (
        av.open(str(tmp_path / "both.mkv"), "w") as target,
        av.open(str(paths[0])) as one,
        av.open(str(paths[1])) as two,
    ):
        new = [target.add_stream_from_template(part.streams.video[0], opaque=True) for part in (one, two)]
        packets = [[packet for packet in part.demux(video=0) if packet.size] for part in (one, two)]
        for pair in zip(*packets, strict=True):
            for packet, stream in zip(pair, new, strict=True):
                packet.stream = stream
                target.mux(packet)
    video.upscale(tmp_path / "both.mkv", tmp_path / "c.mkv", upscaler=upscaler)
    before, after = seen(tmp_path / "both.mkv"), seen(tmp_path / "c.mkv")
    assert after.packets["1 video"] == before.packets["1 video"] != before.packets["0 video"]
    assert {frame.width for frame in after.frames} == {64}


@pytest.mark.parametrize(("encoder", "crf", "preset", "tells"), [
    ("x264", None, None, (b"crf=18.0", b"subme=2 ")), ("x264", 31, "medium", (b"crf=31.0", b"subme=7 ")),
    ("x265", 31, "medium", (b"crf=31.0", b"subme=2 ")), ("x265", None, None, (b"crf=20.0", b"subme=1 ")),
], ids=str)  # fmt: skip
def test_quality_and_speed_are_the_encoders(
    tmp_path: Path, upscaler: Upscaler, encoder: str, crf: int | None, preset: str | None, tells: tuple[bytes, ...]
) -> None:
    """They write into the film what they were told."""
    path = film(tmp_path / "a.mkv", size=(32, 32), times=(0, 40))
    video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler, encoder=encoder, crf=crf, preset=preset)
    data = (tmp_path / "b.mkv").read_bytes()
    for told in tells:
        assert told in data


def test_quality_and_speed_of_av1(tmp_path: Path, upscaler: Upscaler) -> None:
    path = film(tmp_path / "a.mkv", size=(32, 32))
    lengths = []
    for crf, preset in ((5, "13"), (60, "13"), (5, "4")):
        output = tmp_path / f"{crf} {preset}.mkv"
        video.upscale(path, output, upscaler=upscaler, encoder="svt-av1", crf=crf, preset=preset)
        lengths.append(output.stat().st_size)
    assert lengths[1] < lengths[0] != lengths[2]


def test_shape_of_pixels_and_rotation(tmp_path: Path, upscaler: Upscaler) -> None:
    quarter = (0, 65536, 0, -65536, 0, 0, 0, 0, 1073741824)
    path = film(tmp_path / "a.mp4", codec="libx264", aspect=Fraction(16, 15), matrix=quarter)
    video.upscale(path, tmp_path / "b.mp4", upscaler=upscaler)
    before, after = seen(path), seen(tmp_path / "b.mp4")
    assert before.frames[0].rotation == after.frames[0].rotation != 0
    with av.open(str(tmp_path / "b.mp4")) as result:
        assert result.streams.video[0].sample_aspect_ratio == Fraction(16, 15)


def test_tags_of_colour(tmp_path: Path, upscaler: Upscaler) -> None:
    tags = {"color_primaries": 9, "color_trc": 18, "colorspace": 9, "color_range": 1}
    path = film(
        tmp_path / "a.mp4", codec="libx265", format="yuv420p10le", tags=tags, options={"x265-params": "log-level=none"}
    )
    for encoder in ("x264", "x265"):
        video.upscale(path, tmp_path / f"{encoder}.mp4", upscaler=upscaler, encoder=encoder)
        frame = seen(tmp_path / f"{encoder}.mp4").frames[0]
        assert {name: getattr(frame, name) for name in tags} == tags
        assert frame.format.name == "yuv420p10le"


def test_untagged_small_films_say_their_matrix_when_they_become_large(tmp_path: Path, upscaler: Upscaler) -> None:
    for rows, larger, matrix in ((576, 1152, 5), (480, 960, 6), (240, 480, 2)):
        path = film(tmp_path / f"{rows}.mkv", size=(rows, 16), times=(0,))
        video.upscale(path, tmp_path / f"{rows}_x2.mkv", upscaler=upscaler, encoder="ffv1")
        frame = seen(tmp_path / f"{rows}_x2.mkv").frames[0]
        assert (frame.height, frame.colorspace) == (larger, matrix)


def test_rgb_becomes_bt709(tmp_path: Path, upscaler: Upscaler) -> None:
    """Plain red: 63, 102, 240 in BT.709 of limited range."""
    frame = av.VideoFrame.from_ndarray(np.full((24, 32, 3), (255, 0, 0), np.uint8), "rgb24").reformat(format="bgr0")
    with av.open(str(tmp_path / "a.mkv"), "w") as target:
        stream = target.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "bgr0"
        target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    video.upscale(tmp_path / "a.mkv", tmp_path / "b.mkv", upscaler=upscaler, encoder="ffv1")
    result = seen(tmp_path / "b.mkv").frames[0]
    assert (result.format.name, result.colorspace, result.color_range) == ("yuv444p", 1, 1)
    assert [
        abs(bytes(plane)[plane.line_size * 20 + 30] - value) <= 1
        for plane, value in zip(result.planes, (63, 102, 240), strict=True)
    ]
    assert [bytes(plane)[plane.line_size * 20 + 30] for plane in result.planes[1:]] == [102, 240]


MASTER = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"


@pytest.mark.parametrize("encoder", ["x264", "x265", "svt-av1"])
def test_hdr10_data(tmp_path: Path, upscaler: Upscaler, encoder: str) -> None:
    parameters = f"log-level=none:hdr10=1:repeat-headers=1:master-display={MASTER}:max-cll=1000,400"
    path = film(
        tmp_path / "a.mkv", codec="libx265", format="yuv420p10le", size=(64, 64), options={"x265-params": parameters}
    )
    video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler, encoder=encoder)
    from fsrcnn.video.colour import hdr_of

    before, after = hdr_of(seen(path).frames[0]), hdr_of(seen(tmp_path / "b.mkv").frames[0])
    assert before is not None
    assert after is not None
    assert before.whole() == MASTER
    assert after.light == (1000, 400)
    for old, new in zip(
        (*before.primaries, before.luminance or ()), (*after.primaries, after.luminance or ()), strict=True
    ):
        assert np.allclose([float(value) for value in old], [float(value) for value in new], rtol=1e-3, atol=2e-5)


def test_the_iterator_gives_the_same_frames(tmp_path: Path, upscaler: Upscaler) -> None:
    path = film(tmp_path / "a.mkv", times=(0, 40, 90))
    video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler, encoder="ffv1")
    written = seen(tmp_path / "b.mkv").frames
    given = list(video.frames(path, upscaler=upscaler))
    assert [frame.pts for frame in given] == [0, 40, 90]
    for one, other in zip(given, written, strict=True):
        assert np.array_equal(one.to_ndarray(), other.to_ndarray())


# -- killed at hour three

CHILD = """
import os, sys
from pathlib import Path
from fsrcnn import Upscaler, video
from fsrcnn.video import upscaling
upscaling.FRAMES = 4
def watch(progress):
    if progress.frames == int(sys.argv[4]):
        os._exit(9)
upscaler = Upscaler("fsrcnn", precision="fast", threads=1)
done = video.upscale(sys.argv[1], sys.argv[2], upscaler=upscaler, encoder=sys.argv[3], resume=True, progress=watch)
print(done.resumed)
"""


def child(path: Path, output: Path, encoder: str, stop: int) -> subprocess.CompletedProcess[str]:
    """Upscale in a process of its own that ends without a word at a frame."""
    command = [sys.executable, "-c", CHILD, str(path), str(output), encoder, str(stop)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("encoder", ["x264", "ffv1"])
def test_a_killed_run_goes_on(tmp_path: Path, encoder: str) -> None:
    """Killed in the first segment, at the end of one, in a later one: the film is the one of an uninterrupted run."""
    path = film(tmp_path / "a.mkv", codec="libx264", times=tuple(range(0, 560, 40)), companions=True)
    assert child(path, tmp_path / "whole.mkv", encoder, -1).stdout == "0\n"
    for stop in (2, 4, 7, 11):
        killed = child(path, tmp_path / "b.mkv", encoder, stop)
        assert (killed.returncode, killed.stderr) == (9, "")
        assert not (tmp_path / "b.mkv").exists()
    finished = child(path, tmp_path / "b.mkv", encoder, -1)
    assert (finished.stdout, finished.stderr) == ("8\n", "")
    whole, resumed = seen(tmp_path / "whole.mkv"), seen(tmp_path / "b.mkv")
    assert resumed.packets == whole.packets
    assert len(resumed.frames) == 14
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mkv", "b.mkv", "whole.mkv"]


@pytest.mark.parametrize("ending", [".mkv", ".mp4", ".ts", ".avi", ".h264"])
def test_going_on_by_an_index_and_without_one(tmp_path: Path, ending: str) -> None:
    """A key frame in each third place: a film is entered near where the work was broken off; a bare stream from its beginning."""
    codec = "mpeg4" if ending == ".avi" else "libx264"
    options = {"g": "3", "x264-params": "open-gop=1:bframes=2:b-adapt=0"} if codec == "libx264" else {"g": "3"}
    path = film(
        tmp_path / f"a{ending}", codec=codec, size=(32, 32), times=range(14), time_base=Fraction(1, 25), options=options
    )
    assert child(path, tmp_path / "whole.mkv", "ffv1", -1).stdout == "0\n"
    assert child(path, tmp_path / "b.mkv", "ffv1", 10).returncode == 9
    finished = child(path, tmp_path / "b.mkv", "ffv1", -1)
    assert (finished.stdout, finished.stderr) == ("8\n", "")
    assert seen(tmp_path / "b.mkv").packets == seen(tmp_path / "whole.mkv").packets


def test_what_is_resumed_is_the_same_work(tmp_path: Path, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fsrcnn.video.upscaling.FRAMES", 4)
    path = film(tmp_path / "a.mkv")
    output = tmp_path / "b.mkv"
    control = Control(1)

    def stop(progress: video.Progress) -> None:
        if progress.frames == 6:
            control.cancel()

    with pytest.raises(Cancelled, match="give resume=True to go on"):
        video.upscale(path, output, upscaler=upscaler, encoder="ffv1", control=control, progress=stop)
    assert not output.exists()
    with pytest.raises(UsageError, match="was begun before, and 1 segments of it are there; give resume=True to go on"):
        video.upscale(path, output, upscaler=upscaler, encoder="ffv1")
    with pytest.raises(UsageError, match="was begun with another encoder: ffv1, not x264"):
        video.upscale(path, output, upscaler=upscaler, encoder="x264", resume=True)
    exact = Upscaler("fsrcnn", precision="exact", threads=1)
    with pytest.raises(UsageError, match="was begun with another model"):
        video.upscale(path, output, upscaler=exact, encoder="ffv1", resume=True)
    segment = tmp_path / ".b.mkv.segments" / "000000.segment"
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)  # a bit that a disk lost: its checksum says so, and it is made again
    done = video.upscale(path, output, upscaler=upscaler, encoder="ffv1", resume=True)
    assert (done.resumed, done.frames) == (0, 10)


def test_a_kill_when_the_film_is_in_place(tmp_path: Path, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only its segments are left: the same command says what was done, and removes them; another film of that name is none of it."""
    path, output = film(tmp_path / "a.mkv"), tmp_path / "b.mkv"
    folder = tmp_path / ".b.mkv.segments"

    def killed(workplace: Workplace) -> None:
        raise SystemExit(9)

    def killed_at_its_end() -> None:
        with monkeypatch.context() as context:
            context.setattr(Workplace, "remove", killed)
            with pytest.raises(SystemExit):
                video.upscale(path, output, upscaler=upscaler, encoder="ffv1", overwrite=True)

    for remaining in (None, "000000.segment"):
        killed_at_its_end()
        assert output.exists()
        assert sorted(item.name for item in folder.iterdir()) == ["000000.segment", "finished", "lock"]
        if remaining:
            (folder / remaining).unlink()
        if remaining is None:
            again = run_command("video", path, "-o", output, "--encoder", "ffv1", "--resume", "--json")
            assert (again.returncode, again.stderr) == (0, b"")
            (said,) = json.loads(again.stdout)["done"]
            assert (said["output"], said["frames"], said["output_size"]) == (str(output), 10, [64, 48])
        else:
            assert video.upscale(path, output, upscaler=upscaler, encoder="ffv1", resume=True).frames == 10
        assert not folder.exists()
    folder.mkdir()  # killed in the very last step
    left = run_command("video", path, "-o", output, "--encoder", "ffv1", "--resume")
    assert not folder.exists()
    assert (left.returncode, left.stderr) == (0, b"fsrcnn: 1 of 1 outputs existed and were left\n")
    killed_at_its_end()
    output.write_bytes(b"another film")
    with pytest.raises(UsageError, match="exists"):
        video.upscale(path, output, upscaler=upscaler, encoder="ffv1", resume=True)
    assert output.read_bytes() == b"another film"


def test_a_kill_while_the_film_is_put_together_leaves_nothing_beside_it(tmp_path: Path, upscaler: Upscaler) -> None:
    path, output = film(tmp_path / "a.mkv"), tmp_path / "b.mkv"
    script = (
        "import os, sys; from fsrcnn import Upscaler, video; from fsrcnn.video import mux\n"
        "mux._fill = lambda *given: os._exit(9)\n"
        "video.upscale(*sys.argv[1:], upscaler=Upscaler('fsrcnn', precision='fast', threads=1), encoder='ffv1')"
    )
    assert subprocess.run([sys.executable, "-c", script, path, output], check=False).returncode == 9
    assert sorted(item.name for item in tmp_path.iterdir()) == [".b.mkv.segments", "a.mkv"]
    assert len(list((tmp_path / ".b.mkv.segments").glob(".fsrcnn-*.part.mkv"))) == 1
    assert video.upscale(path, output, upscaler=upscaler, encoder="ffv1", resume=True).resumed == 10
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.mkv", "b.mkv"]


@pytest.mark.skipif(sys.platform != "linux", reason="glibc fills memory on request")
@pytest.mark.parametrize("width", [96, 100])
def test_x264_writes_the_same_bytes_whatever_lay_in_memory(tmp_path: Path, width: int) -> None:
    """With AVX-512, x264 reads memory that nobody wrote where rows of macroblocks are no multiple of eight; 12 and 13 here."""
    path = tmp_path / "a.mkv"  # of something that moves: in noise there is nothing to look ahead for
    with (
        av.open(f"testsrc2=size={width}x64:rate=25:duration=2", format="lavfi") as source,
        av.open(str(path), "w") as target,
    ):
        stream = target.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, 64, "yuv420p"
        for frame in source.decode(video=0):
            target.mux(stream.encode(frame.reformat(format="yuv420p")))
        target.mux(stream.encode(None))
    hashes = []
    for filling in ("0", "77", "165"):
        output = tmp_path / f"{filling}.mkv"
        done = run_command("video", path, "-o", output, "--model", "fsrcnn", MALLOC_PERTURB_=filling)
        assert done.returncode == 0
        hashes.append(seen(output).packets)
    assert hashes[1:] == hashes[:1] * 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit to a file's size")
def test_a_full_disk(tmp_path: Path) -> None:
    """A limit to the size of files stands for it: one sentence, nothing under the name, and work that goes on."""
    generator = np.random.default_rng(0)
    path, output = film(tmp_path / "a.mkv", size=(64, 64), seed=int(generator.integers(9))), tmp_path / "b.mkv"
    whole = video.upscale(path, tmp_path / "c.mkv", upscaler=Upscaler("fsrcnn", threads=1), encoder="ffv1")
    size = (tmp_path / "c.mkv").stat().st_size
    script = (
        "import resource, sys; from fsrcnn import cli; from fsrcnn.video import upscaling; upscaling.FRAMES = 4\n"
        "limit = int(sys.argv.pop(1)); resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)); cli.main()"
    )
    typed = [
        "video",
        str(path),
        "-o",
        str(output),
        *["--encoder", "ffv1", "--model", "fsrcnn", "--precision", "exact", "--threads", "1", "--resume"],
    ]
    for limit in (size // 10, size * 3 // 4):  # in a segment, and in the film
        full = subprocess.run(
            [sys.executable, "-c", script, str(limit), *typed], capture_output=True, text=True, check=False
        )
        assert full.returncode == 1
        assert full.stderr.startswith("fsrcnn: ")
        assert full.stderr.count("\n") == 1
        assert "File too large" in full.stderr
        assert "--resume to go on" in full.stderr
        assert not output.exists()
    done = run_command(*typed)
    assert done.returncode == 0
    assert seen(output).packets == seen(tmp_path / "c.mkv").packets
    assert whole.frames == len(seen(output).frames)


def test_the_number_of_threads_may_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begun here, finished on a larger machine."""
    monkeypatch.setattr("fsrcnn.video.upscaling.FRAMES", 4)
    path, output = film(tmp_path / "a.mkv"), tmp_path / "b.mkv"
    assert child(path, output, "x264", 6).returncode == 9
    done = video.upscale(path, output, upscaler=Upscaler("fsrcnn", precision="fast", threads=3), resume=True)
    assert (done.resumed, done.frames) == (4, 10)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([0, 3, 1, 2], [-1, 0, 1, 2]),
        ([0, 1, 2], [0, 1, 2]),
        ([10, 40, 20, 30, 80, 60, 50, 70], [-10, 0, 10, 20, 30, 40, 50, 60]),
        ([], []),
    ],
    ids=str,
)
def test_decoding_times(times: list[int], expected: list[int]) -> None:
    from fsrcnn.video.segments import decoding_times

    found = decoding_times(times)
    assert found == expected
    assert all(decoded <= shown for decoded, shown in zip(found, times, strict=True))


# -- what is refused, and damage


def refused(tmp_path: Path, source: Path | str, output: str = "out.mkv", **options: Any) -> str:
    with pytest.raises(FsrcnnError) as error:
        video.upscale(source, tmp_path / output, **options)
    left = {path.name for path in tmp_path.iterdir()}
    assert not {name for name in left if name.startswith(".")}
    return str(error.value)


def test_what_is_no_film(tmp_path: Path, upscaler: Upscaler) -> None:
    (tmp_path / "text.mkv").write_text("no film")
    assert "is no film that can be read: Invalid data found" in refused(tmp_path, tmp_path / "text.mkv")
    assert "does not exist" in refused(tmp_path, tmp_path / "nothing.mkv")
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    assert "is a picture, no film; type: fsrcnn upscale" in refused(tmp_path, tmp_path / "a.png")
    with av.open(str(tmp_path / "sound.mkv"), "w") as target:
        sound = target.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
        frame.sample_rate = 48000
        target.mux(sound.encode(frame))
        target.mux(sound.encode(None))
    assert "has no video stream" in refused(tmp_path, tmp_path / "sound.mkv")


def test_a_container_that_cannot_hold_it(tmp_path: Path, upscaler: Upscaler) -> None:
    path = film(tmp_path / "a.mkv", codec="libx264", companions=True)
    said = refused(tmp_path, path, "out.mp4", upscaler=upscaler)
    assert "mp4 cannot hold stream 4 (attachment)" in said
    assert said.endswith("give output an ending of .mkv, which can")
    assert "is no name of a film; its ending is mkv" in refused(tmp_path, path, "out.png")


def test_other_refusals(tmp_path: Path, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path / "a.mkv", size=(19, 33))
    assert "x264 does not take 99×57 pixels of yuv420p" in refused(
        tmp_path, path, upscaler=upscaler, size=Size(factor=3)
    )
    assert "there is no encoder 'h264' here; there are x264" in refused(tmp_path, path, encoder="h264")
    with monkeypatch.context() as context:
        context.setattr("fsrcnn.video.encoders.available", lambda: ("x264", "ffv1"))
        said = refused(tmp_path, path, encoder="x265")
    assert said == "there is no encoder 'x265' in the installed PyAV; there are x264, ffv1"
    assert "crf has no meaning for ffv1" in refused(tmp_path, path, encoder="ffv1", crf=3)
    assert "crf is 0 to 51 for x264, not 52" in refused(tmp_path, path, crf=52)
    assert "preset is one of ultrafast" in refused(tmp_path, path, preset="quick")
    assert "is also the input" in refused(tmp_path, path, "a.mkv", encoder="ffv1", overwrite=True)
    film(tmp_path / "b.mkv")
    assert "b.mkv exists; give overwrite=True" in refused(tmp_path, path, "b.mkv", encoder="ffv1")


def test_interlaced_films(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", codec="libx264", size=(64, 64), options={"x264-params": "tff=1"})
    assert "is interlaced: each frame holds two moments; give deinterlace=True" in refused(tmp_path, path)


def test_a_film_that_is_cut_off(tmp_path: Path, upscaler: Upscaler) -> None:
    """It is upscaled as far as it goes, and the end is said; the command's exit code is 1."""
    times = tuple(range(0, 4000, 40))
    path = film(tmp_path / "a.mkv", codec="libx264", times=times)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    done = video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler, encoder="ffv1")
    assert 10 < done.frames < 90
    assert "the film is cut off: it says that it ends at 4.0 s, and ends at" in done.damaged[-1]
    command = run_command("video", path, "-o", tmp_path / "c.mkv", "--encoder", "ffv1", "--threads", "1")
    assert command.returncode == 1
    assert b"is cut off" in command.stderr
    assert (tmp_path / "c.mkv").exists()


def test_broken_frames_in_the_middle(tmp_path: Path, upscaler: Upscaler) -> None:
    path = film(tmp_path / "a.mkv", codec="mpeg4", size=(64, 64), times=tuple(range(0, 2000, 40)))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = bytes(400)
    path.write_bytes(data)
    done = video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler)
    assert done.frames == 50
    assert done.damaged == ("1 of its frames or packets is broken, or could not be decoded",)


def test_checksums_of_ffv1(tmp_path: Path, upscaler: Upscaler) -> None:
    """FFmpeg shows such a frame as if nothing were wrong."""
    options = {"level": "3", "slices": "4", "slicecrc": "1"}
    path = film(tmp_path / "a.mkv", options=options)
    with av.open(str(path)) as source:
        packet = [bytes(packet) for packet in source.demux(video=0) if packet.size][4]
    data = bytearray(path.read_bytes())
    data[data.index(packet) + len(packet) // 2] ^= 0x55
    path.write_bytes(data)
    done = video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler, encoder="ffv1")
    assert done.damaged == ("1 of its frames or packets is broken, or could not be decoded",)
    assert done.frames == 10


# -- the command


def test_the_command(tmp_path: Path) -> None:
    film(tmp_path / "a.mkv", companions=True)
    done = run_command("video", "a.mkv", "--model", "fsrcnn", "--threads", "1", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr.decode() == "a_x2.mkv  64×48, 10 frames, by fsrcnn\n"
    again = run_command("video", "a.mkv", cwd=tmp_path)
    assert (again.returncode, again.stderr.decode()) == (
        2, "fsrcnn: a_x2.mkv exists; give --overwrite to replace or --skip-existing to leave\n"
    )  # fmt: skip
    skipped = run_command("video", "a.mkv", "--skip-existing", cwd=tmp_path)
    assert (skipped.returncode, skipped.stderr) == (0, b"fsrcnn: 1 of 1 outputs existed and were left\n")
    report = run_command("video", "a.mkv", "--overwrite", "--json", "--threads", "1", cwd=tmp_path)
    assert b'"output_size": [\n        64,\n        48\n      ]' in report.stdout


def test_a_signal_says_how_to_go_on(tmp_path: Path) -> None:
    """Ctrl-C in the second segment: no film yet, the first segment stays, and --resume makes the film of an uninterrupted run."""
    film(tmp_path / "a.mkv", times=tuple(range(0, 480, 40)), companions=True)
    struck = (
        "import os, signal, sys\n"
        "from fsrcnn import cli\n"
        "from fsrcnn.video import enlargement, upscaling\n"
        "upscaling.FRAMES = 5\n"
        "made, count = enlargement.Enlargement.__call__, []\n"
        "def enlarged(self, frame):\n"
        "    count.append(0)\n"
        "    if len(count) == STOP: os.kill(os.getpid(), signal.SIGINT)\n"
        "    return made(self, frame)\n"
        "enlargement.Enlargement.__call__ = enlarged\n"
        "cli.main()\n"
    )

    def typed(output: str, stop: int, *more: str) -> subprocess.CompletedProcess[str]:
        script = struck.replace("STOP", str(stop))
        command = [sys.executable, "-c", script, "video", "a.mkv", "-o", output, "--threads", "1", *more]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, preexec_fn=heed_interrupts
        )

    stopped = typed("b.mkv", 7)
    assert (stopped.returncode, stopped.stderr) == (
        130, "fsrcnn: a.mkv: stopped before the film was finished; give --resume to go on\n"
    )  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == [".b.mkv.segments", "a.mkv"]
    resumed, whole = typed("b.mkv", -1, "--resume"), typed("c.mkv", -1)
    assert (resumed.returncode, whole.returncode) == (0, 0)
    assert seen(tmp_path / "b.mkv").packets == seen(tmp_path / "c.mkv").packets


def test_folders_and_several_films(tmp_path: Path) -> None:
    (tmp_path / "films" / "more").mkdir(parents=True)
    film(tmp_path / "films" / "a.mkv", times=(0, 40))
    film(tmp_path / "films" / "more" / "b.mkv", times=(0, 40))
    (tmp_path / "films" / "c.mkv").write_bytes(b"none")
    done = run_command("video", "films", "-r", "--threads", "1", "--encoder", "ffv1", cwd=tmp_path)
    assert done.returncode == 1
    assert b"films/c.mkv is no film that can be read" in done.stderr
    assert (tmp_path / "films_x2" / "a.mkv").exists()
    assert (tmp_path / "films_x2" / "more" / "b.mkv").exists()


def test_pipes_of_y4m(tmp_path: Path, upscaler: Upscaler) -> None:
    """Out of one command and into another: twice ×2; the header and the planes are as the format has them."""
    path = film(tmp_path / "a.mkv", times=(0, 40, 80))
    out = run_command("video", path, "-o", "-", "--model", "fsrcnn", "--threads", "1")
    assert out.returncode == 0
    header, _, rest = out.stdout.partition(b"\n")
    assert header == b"YUV4MPEG2 W64 H48 F25:1 Ip A0:0 C420mpeg2 XYSCSS=420MPEG2"
    frames = rest.split(b"FRAME\n")[1:]
    assert [len(frame) for frame in frames] == [64 * 48 * 3 // 2] * 3
    first = upscaled_luma(upscaler, luma_of(seen(path).frames[0]), (48, 64), 8)
    assert frames[0][: 64 * 48] == first.tobytes()
    typed = ("-o", tmp_path / "b.mkv", "--encoder", "ffv1", "--model", "fsrcnn", "--threads", "1")
    into = run_command("video", "-", *typed, stdin=out.stdout)
    assert (into.returncode, into.stderr.decode()) == (0, f"{tmp_path / 'b.mkv'}  128×96, 3 frames, by fsrcnn\n")
    second = upscaled_luma(upscaler, first, (96, 128), 8)
    assert np.array_equal(luma_of(seen(tmp_path / "b.mkv").frames[0]), second)
    wrong = run_command("video", "-", "-o", tmp_path / "c.mkv", stdin=path.read_bytes())
    assert wrong.returncode == 1
    assert b"standard input is no Y4M, the one format read from a pipe" in wrong.stderr


@pytest.mark.parametrize(("siting", "name"), [("left", b"mpeg2"), ("center", b"jpeg"), ("topleft", b"paldv")], ids=str)
def test_what_a_pipe_says_is_heard_at_its_end(tmp_path: Path, upscaler: Upscaler, siting: str, name: bytes) -> None:
    """Full range and the siting of chroma; what it cannot say is said."""
    options = {"chroma_sample_location": siting}
    tags = {"color_primaries": 9, "color_trc": 16, "colorspace": 9, "color_range": 2}
    path = film(tmp_path / "a.mkv", options=options, tags=tags, times=(0, 40), companions=True)
    pipe = io.BytesIO()
    done = video.to_y4m(path, pipe, upscaler=upscaler)
    assert b" C420" + name + b" " in pipe.getvalue()[:100]
    assert set(done.notes) == {f"left out of Y4M: {what}" for what in (
        "audio, aac, deu", "audio, aac, fra", "subtitle, srt, eng", "attachment", "2 chapters",
        "tags of colour (primaries, transfer, matrix)",
    )}  # fmt: skip
    pipe.seek(0)
    video.upscale(pipe, tmp_path / "b.mkv", upscaler=upscaler, encoder="ffv1")
    first = upscaled_luma(upscaler, luma_of(seen(path).frames[1]), (48, 64), 8, full=True)
    frame = seen(tmp_path / "b.mkv").frames[1]
    assert np.array_equal(luma_of(frame), upscaled_luma(upscaler, first, (96, 128), 8, full=True))
    assert frame.color_range == 2
    with av.open(str(tmp_path / "b.mkv")) as result:
        assert header_of(result.streams.video[0]).siting == siting


def test_rotation_is_left_out_of_pipes(tmp_path: Path, upscaler: Upscaler) -> None:
    quarter = (0, 65536, 0, -65536, 0, 0, 0, 0, 1073741824)
    path = film(tmp_path / "a.mp4", codec="libx264", matrix=quarter, times=(0, 40))
    assert video.to_y4m(path, io.BytesIO(), upscaler=upscaler).notes == ("left out of Y4M: rotation",)


PIPED = [sys.executable, "-m", "fsrcnn", "video", "a.mkv", "-o", "-", "--model", "fsrcnn", "--threads", "1"]


def test_a_reader_of_frames_that_has_gone(tmp_path: Path) -> None:
    """As `head`, or an encoder that gave up: it has said why, and we say nothing."""
    film(tmp_path / "a.mkv", size=(96, 128), times=range(0, 1200, 40))
    with subprocess.Popen(PIPED, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(100).startswith(b"YUV4MPEG2 W256 H192")
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_frames_that_find_no_room(tmp_path: Path) -> None:
    film(tmp_path / "a.mkv", size=(96, 128))
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(PIPED, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert done.stderr == b"fsrcnn: a.mkv: cannot write the frames: No space left on device\n"


@pytest.mark.parametrize(
    "option", [("--encoder", "x265"), ("--crf", "3"), ("--preset", "slow"), ("--resume",)], ids=" ".join
)
def test_what_means_nothing_for_a_pipe(tmp_path: Path, option: tuple[str, ...]) -> None:
    film(tmp_path / "a.mkv", times=(0, 40))
    done = run_command("video", "a.mkv", "-o", "-", *option, cwd=tmp_path)
    said = f"fsrcnn: frames go to standard output as Y4M, for which {option[0]} means nothing\n"
    assert (done.returncode, done.stdout, done.stderr.decode()) == (2, b"", said)


@pytest.mark.parametrize(("options", "name", "size"), [
    (("--scale", "3"), "a_x3.mkv", "96×72"), (("--width", "48"), "a_w48.mkv", "48×36"), (("--height", "48"), "a_h48.mkv", "64×48"),
    (("--width", "80", "--height", "48"), "a_w80h48.mkv", "80×48"), (("--fit", "100x48"), "a_100x48.mkv", "64×48"),
    (("--start", "0:00.1", "--duration", ".2", "--precision", "exact", "--engine", "numpy"), "a_x2_0.1-0.3s.mkv", "64×48"),
], ids=lambda value: " ".join(value) if isinstance(value, tuple) else "")  # fmt: skip
def test_options_of_the_command(tmp_path: Path, options: tuple[str, ...], name: str, size: str) -> None:
    film(tmp_path / "a.mkv")
    done = run_command("video", "a.mkv", "--model", "fsrcnn-s", "--threads", "1", *options, cwd=tmp_path)
    count = 5 if "--start" in options else 10  # at 120, 160, … 280 ms
    assert (done.returncode, done.stderr.decode()) == (0, f"{name}  {size}, {count} frames, by fsrcnn-s\n")


def test_what_the_bar_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames per second of this run, though it goes on after 100; the part that is done, and how large it is."""
    from fsrcnn.cli.video import _watch

    shown: list[tuple[float, str | None]] = []
    clock = iter([0.0, 0.5, 2.0, 4.0])
    monkeypatch.setattr("fsrcnn.cli.video.time.perf_counter", lambda: next(clock))
    watch = _watch(lambda part, text: shown.append((part, text)), "2/3 ")
    for progress in (
        video.Progress(101, 200, 10**9),
        video.Progress(104, 200, 2 * 10**9),
        video.Progress(120, None, 0),
    ):
        watch(progress)
    assert shown == [
        (101 / 200, "2/3 2.0 fps 1,000 MB"),
        (104 / 200, "2/3 2.0 fps 2,000 MB"),
        (0.0, "2/3 5.0 fps 0 MB"),
    ]


def test_without_pyav(tmp_path: Path) -> None:
    """`--help` works, and a film is refused with what to install."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "av.py").write_text("raise ModuleNotFoundError('no', name='av')")
    (tmp_path / "a.mkv").write_bytes(b"")
    path = os.pathsep.join([str(hidden), *([os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else [])])
    shown = run_command("video", "--help", PYTHONPATH=path)
    assert shown.returncode == 0
    assert b"as the installed PyAV has them (it is not installed)" in b" ".join(shown.stdout.split())
    refusal = run_command("video", "a.mkv", cwd=tmp_path, PYTHONPATH=path)
    assert refusal.returncode == 1
    assert (
        refusal.stderr.decode()
        == "fsrcnn: films need PyAV, which is not installed; type: pip install 'fsrcnn[video]'\n"
    )


def test_errors_are_of_films() -> None:
    assert issubclass(FilmError, FsrcnnError)


BLOCKS = """
import resource
from pathlib import Path
import numpy as np
from fsrcnn.video.library import give_back_large_blocks
give_back_large_blocks()
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
for round in range(2):
    large = [(np.ones(2**22, np.uint8), np.ones(10**5, np.uint8)) for _ in range(50)]
    small = [part for _, part in large]
    before = resident()
    del large
    print(before - resident() > 45 * 2**22)
"""


@pytest.mark.skipif("glibc" not in platform.libc_ver(), reason="it is another C library")
def test_memory_of_an_encoder_is_returned() -> None:
    """Large blocks, small ones between them that stay: as the frames of encoders lie."""
    run = subprocess.run([sys.executable, "-c", BLOCKS], check=True, capture_output=True, text=True)
    assert run.stdout == "True\nTrue\n"


def test_a_part_has_a_name_of_its_own(tmp_path: Path) -> None:
    """Else `--resume` would take it for the whole film."""
    film(tmp_path / "a.mkv")
    for options, name in (
        (("--duration", "0.2"), "a_x2_0-0.2s.mkv"),
        (("--start", "0.2"), "a_x2_0.2-end.mkv"),
        ((), "a_x2.mkv"),
    ):
        done = run_command("video", "a.mkv", "--model", "fsrcnn-s", "--resume", *options, cwd=tmp_path)
        assert (done.returncode, done.stderr.decode().split()[0]) == (0, name)
        assert (tmp_path / name).exists()


def test_other_files_of_a_folder_are_counted(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    film(tmp_path / "films" / "a.mkv", times=(0, 40))
    film(tmp_path / "films" / "b.nut", times=(0, 40))
    for name in ("cover.jpg", "readme.txt"):
        (tmp_path / "films" / name).write_bytes(b"")
    done = run_command("video", "films", "--model", "fsrcnn-s", "--encoder", "ffv1", cwd=tmp_path)
    assert done.returncode == 0
    assert b"fsrcnn: films: 2 files are no films, by their endings\n" in done.stderr
    assert sorted(path.name for path in (tmp_path / "films_x2").iterdir()) == ["a.mkv", "b.mkv"]


def test_no_model_is_named_where_none_is_run(tmp_path: Path, upscaler: Upscaler) -> None:
    path = film(tmp_path / "a.mkv", times=(0, 40))
    for width in (32, 16):
        size = Size(width=width)
        done = video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler, size=size, encoder="ffv1", overwrite=True)
        assert done.model is None
    before, after = seen(path), seen(tmp_path / "b.mkv")
    assert (after.frames[0].width, len(after.frames)) == (16, len(before.frames))
    video.upscale(path, tmp_path / "c.mkv", upscaler=upscaler, size=Size(width=32), encoder="ffv1")
    for old, new in zip(before.frames, seen(tmp_path / "c.mkv").frames, strict=True):
        assert np.array_equal(luma_of(old), luma_of(new))  # of the same size: itself


@pytest.mark.parametrize("ending", [".mkv", ".mp4", ".avi", ".flv"])
def test_a_film_is_no_picture(tmp_path: Path, ending: str) -> None:
    path = film(tmp_path / f"a{ending}", codec="libx264" if ending != ".avi" else "mpeg4", size=(32, 32), times=(0, 40))
    refused = run_command("upscale", path)
    assert refused.returncode == 1
    assert refused.stderr.decode().endswith("; if it is a film, type: fsrcnn video\n")


def test_an_avi_that_lacks_frames(tmp_path: Path, upscaler: Upscaler) -> None:
    """Of which FFmpeg takes the length from what is there."""
    path = film(tmp_path / "a.avi", codec="mpeg4", size=(64, 64), times=tuple(range(10)), time_base=Fraction(1, 25))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    done = video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler, encoder="ffv1")
    assert any(
        sentence.startswith("the film is cut off: it says that it has 10 frames, and has ") for sentence in done.damaged
    )


def test_an_empty_packet_is_no_end(tmp_path: Path, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch) -> None:
    """Theora writes one where a frame is shown for longer."""
    path = film(tmp_path / "a.mkv")
    demux = source.Source._open

    def opened(self: source.Source) -> None:
        demux(self)
        container = self.container

        class Holed:
            def __getattr__(self, name: str) -> Any:
                return getattr(container, name)

            def demux(self, *streams: Any) -> Any:
                for number, packet in enumerate(container.demux(*streams)):
                    yield av.Packet(0) if number == 3 else packet

        self.container = Holed()

    monkeypatch.setattr(source.Source, "_open", opened)
    assert len(list(video.frames(path, upscaler=upscaler))) == 9


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="this system has no such priorities")
def test_no_encoder_makes_itself_more_urgent_than_all_else(tmp_path: Path, upscaler: Upscaler) -> None:
    """SVT-AV1 does, where it may: for root."""
    found = {os.sched_getscheduler(0)}

    def look(progress: video.Progress) -> None:
        found.update(os.sched_getscheduler(int(thread.name)) for thread in Path("/proc/self/task").iterdir())

    path = film(tmp_path / "a.mkv", size=(64, 64), times=(0, 40, 80))
    video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler, encoder="svt-av1", progress=look)
    found.update(os.sched_getscheduler(int(thread.name)) for thread in Path("/proc/self/task").iterdir())
    assert found == {os.SCHED_OTHER}  # unless the tests were started otherwise


def test_raw_dv_has_the_rate_of_its_frames() -> None:
    stream = SimpleNamespace(average_rate=Fraction(60000), guessed_rate=Fraction(25))
    assert source._rate(stream) == 25
    stream = SimpleNamespace(
        average_rate=Fraction(24), guessed_rate=Fraction(60)
    )  # a mean of frames shown for various times
    assert source._rate(stream) == 24
    assert source._rate(SimpleNamespace(average_rate=None, guessed_rate=None)) == 25


@pytest.mark.parametrize("given", [5, None, ["a.mkv"]])
def test_what_is_no_path(given: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="film is a path or a stream of Y4M"):
        video.upscale(given, tmp_path / "b.mkv")


def test_an_output_that_is_a_link_to_nothing(tmp_path: Path, upscaler: Upscaler) -> None:
    path, link = film(tmp_path / "a.mkv"), tmp_path / "b.mkv"
    link.symlink_to(tmp_path / "elsewhere.mkv")
    with pytest.raises(UsageError, match="exists"):
        video.upscale(path, link, upscaler=upscaler)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.mkv", "b.mkv"]
