"""What a film keeps, with FFmpeg's own programs as witnesses: they make the films, and say what the results hold.

PyAV brings its own FFmpeg; these are the system's, of another version.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import struct
import subprocess
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from films import MILLISECONDS, av, film, upscaled_luma
from fsrcnn import Size, Upscaler, video
from fsrcnn.arrays import Array
from fsrcnn.errors import FsrcnnError
from fsrcnn.video import colour, encoders
from fsrcnn.video.formats import described
from support import run_command

PROGRAMS = ("ffmpeg", "ffprobe", "mpv")
SUBTITLES = "1\n00:00:00,100 --> 00:00:00,300\n<i>Seen</i> & <b>x</b>\n\n2\n00:00:00,350 --> 00:00:00,900\nHeard ünd read\nline 2\n"
PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=1")
SOUND = ("-f", "lavfi", "-i", "sine=440:r=48000:d=1")
X264 = ("-c:v", "libx264", "-bf", "2", "-g", "10")


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler("fsrcnn", precision="fast", threads=1)


@pytest.fixture(scope="module", autouse=True)
def programs() -> None:
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed (apt-get install ffmpeg mpv)")


def ffmpeg(*arguments: object) -> bytes:
    command = ["ffmpeg", "-v", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=True, stdin=subprocess.DEVNULL).stdout


def ffprobe(path: Path, *arguments: str) -> dict[str, Any]:
    command = ["ffprobe", "-v", "error", "-of", "json", *arguments, str(path)]
    report: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return report


def frame_times(path: Path) -> list[Fraction]:
    report = ffprobe(path, "-select_streams", "v:0", "-show_frames", "-show_entries", "frame=pts_time")
    return [Fraction(frame["pts_time"]) for frame in report["frames"]]


def packets(path: Path, stream: str) -> list[tuple[str, str, str]]:
    """(time, duration, hash) of each packet of a stream."""
    report = ffprobe(path, "-select_streams", stream, "-show_packets", "-show_data_hash", "sha256")
    return [(p["pts_time"], p.get("duration_time", ""), p["data_hash"]) for p in report["packets"]]


def starts(path: Path) -> dict[str, Fraction]:
    return {s["codec_type"]: Fraction(s["start_time"]) for s in ffprobe(path, "-show_streams")["streams"]}


def warnings(path: Path, *programs: str) -> list[str]:
    """What ffmpeg and mpv say while they play a film; or those that are named."""
    commands: tuple[list[str], ...] = (
        ["ffmpeg", "-v", "warning", "-i", str(path), "-fps_mode", "passthrough", "-f", "null", "-"],
        ["mpv", "--no-config", "--vo=null", "--ao=null", "--untimed", "--msg-level=all=warn", str(path)],
    )
    said = []
    for command in commands:
        if programs and command[0] not in programs:
            continue
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        said += [f"{command[0]} ends with {done.returncode}"] if done.returncode else []
        # mpv plays to a clock, and a busy machine lets it wait.
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip() and "underrun" not in line]
        said += lines
    return said


def planes_of(path: Path, size: tuple[int, int], count: int, number: int = 0) -> Array:
    """(count, h, w) of the planes y, u, v or a of a film, as ffmpeg decodes it."""
    raw = ffmpeg(
        "-i",
        path,
        "-map",
        "0:v:0",
        "-fps_mode",
        "passthrough",
        "-vf",
        f"extractplanes={'yuva'[number]}",
        "-f",
        "rawvideo",
        "-",
    )
    return np.frombuffer(raw, np.uint8).reshape(count, *size)


def refused(tmp_path: Path, source: Path, output: str = "out.mkv", **options: Any) -> str:
    before = sorted(tmp_path.iterdir())
    with pytest.raises(FsrcnnError) as error:
        video.upscale(source, tmp_path / output, **options)
    assert sorted(tmp_path.iterdir()) == before
    return str(error.value)


# -- times


def made(tmp_path: Path, kind: str) -> Path:
    """A film with sound, whose times are of some kind."""
    base, path = tmp_path / "base.mp4", tmp_path / f"a.{kind.partition('.')[2]}"
    ffmpeg(*PICTURE, *SOUND, *X264, "-c:a", "aac", base)
    copy: dict[str, tuple[Any, ...]] = {
        "plain": ("-i", base, "-c", "copy"),
        "late picture": ("-itsoffset", "0.5", "-i", base, "-i", base, "-map", "0:v", "-map", "1:a", "-c", "copy"),
        "late sound": ("-i", base, "-itsoffset", "0.3", "-i", base, "-map", "0:v", "-map", "1:a", "-c", "copy"),
        "trimmed": ("-ss", "0.5", "-i", base, "-c", "copy"),
        "negative": ("-i", base, "-c", "copy", "-movflags", "negative_cts_offsets"),
        "at 5 s": ("-i", base, "-c", "copy", "-output_ts_offset", "5"),
        "fragments": ("-i", base, "-c", "copy", "-movflags", "frag_keyframe+empty_moov"),
        "uneven": (
            "-i", base, "-vf", "select=not(eq(mod(n\\,5)\\,3))", "-fps_mode", "vfr", *X264, "-c:a", "copy",
        ),
    }  # fmt: skip
    ffmpeg(*copy[kind.partition(".")[0]], path)
    return path


KINDS = (
    *(f"plain.{ending}" for ending in ("mp4", "mov", "mkv", "ts")), "late picture.mp4", "late sound.mp4", "trimmed.mp4",
    "trimmed.mkv", "negative.mp4", "at 5 s.mp4", "at 5 s.mkv", "at 5 s.ts", "fragments.mp4", "uneven.mp4", "uneven.mkv",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_times_and_sound_stay(tmp_path: Path, upscaler: Upscaler, kind: str) -> None:
    """Edit lists, frames before 0, frames stored in another order, a late start: times to the tick, and nobody complains."""
    path = made(tmp_path, kind)
    result = tmp_path / f"b{path.suffix}"
    done = video.upscale(path, result, upscaler=upscaler)
    assert (done.damaged, done.notes) == ((), ())
    assert frame_times(result) == frame_times(path)
    assert starts(result) == starts(path)
    sound, before = packets(result, "a:0"), packets(path, "a:0")
    assert [(time, data) for time, _, data in sound] == [(time, data) for time, _, data in before]
    assert len(sound) > 20
    assert warnings(result) == []


def test_luma_is_that_of_the_upscaler(tmp_path: Path, upscaler: Upscaler) -> None:
    """As ffmpeg decodes both films."""
    path = made(tmp_path, "plain.mkv")
    video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler, encoder="ffv1")
    before, after = planes_of(path, (48, 64), 25), planes_of(tmp_path / "b.mkv", (96, 128), 25)
    for lr, sr in zip(before, after, strict=True):
        assert np.array_equal(sr, upscaled_luma(upscaler, lr, (96, 128), 8))


def test_what_a_container_does_to_times_is_said(tmp_path: Path, upscaler: Upscaler) -> None:
    """AAC begins before 0, which Matroska cannot say; AVI can hold back the first frame only."""
    path = made(tmp_path, "plain.mp4")
    done = video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler)
    assert done.notes == ("matroska makes it begin 0.021 s later, sound and picture",)
    assert frame_times(tmp_path / "b.mkv") == [time + Fraction(21, 1000) for time in frame_times(path)]
    late = made(tmp_path, "late picture.mp4")
    assert (
        video.upscale(late, tmp_path / "b.avi", upscaler=upscaler).notes[-1].startswith("1 frame is shown up to 522 ms")
    )
    said = refused(tmp_path, made(tmp_path, "late sound.mp4"), "c.avi", upscaler=upscaler)
    assert "avi would let stream 1 (audio, aac, und) of" in said
    assert said.endswith("begin 0.278 s earlier; give output an ending of .mkv")


# -- subtitles


def with_subtitles(tmp_path: Path, name: str, codec: str, *more: object) -> Path:
    (tmp_path / "text.srt").write_text(SUBTITLES)
    video_codec = ("-c:v", "libvpx-vp9", "-b:v", "90k") if name.endswith("webm") else X264
    ffmpeg(
        *PICTURE, "-i", tmp_path / "text.srt", *video_codec, "-c:s", codec, "-metadata:s:s", "language=eng", *more, tmp_path / name
    )  # fmt: skip
    return tmp_path / name


def text_of(path: Path) -> str:
    return ffmpeg("-i", path, "-map", "0:s:0", "-f", "srt", "-").decode().replace("\r", "")


@pytest.mark.parametrize(
    ("name", "codec", "ending", "becomes"),
    [
        ("a.mkv", "subrip", ".mp4", "mov_text"), ("a.mkv", "ass", ".mp4", "mov_text"), ("a.mkv", "subrip", ".mov", "mov_text"),
        ("a.mkv", "subrip", ".webm", "webvtt"), ("a.mp4", "mov_text", ".mkv", "ass"), ("a.webm", "webvtt", ".mp4", "mov_text"),
    ],
    ids=str,
)  # fmt: skip
def test_subtitles_of_letters_become_what_the_container_holds(
    tmp_path: Path, upscaler: Upscaler, name: str, codec: str, ending: str, becomes: str
) -> None:
    path = with_subtitles(tmp_path, name, codec)
    result = tmp_path / f"b{ending}"
    done = video.upscale(path, result, upscaler=upscaler)
    assert any(f"becomes {becomes}, the text that" in note for note in done.notes)
    (stream,) = ffprobe(result, "-show_streams", "-select_streams", "s")["streams"]
    assert (stream["codec_name"], stream["tags"]["language"]) == (becomes, "eng")
    assert text_of(result) == text_of(path)
    assert "<i>Seen</i> & <b>x</b>" in text_of(result)
    assert warnings(result) == []


def test_subtitles_that_are_no_utf8(tmp_path: Path, upscaler: Upscaler) -> None:
    path = with_subtitles(tmp_path, "a.mkv", "subrip")
    path.write_bytes(path.read_bytes().replace("ünd".encode(), b"\xfc\xfcnd"))  # as old files have it
    video.upscale(path, tmp_path / "b.mp4", upscaler=upscaler)
    assert "Heard \ufffd\ufffdnd read\nline 2" in text_of(tmp_path / "b.mp4")


@pytest.mark.parametrize(("codec", "ending"), [("dvbsub", "mkv"), ("dvdsub", "mkv"), ("dvbsub", "ts")], ids=str)
def test_subtitles_of_pictures(tmp_path: Path, upscaler: Upscaler, codec: str, ending: str) -> None:
    """Copied; into MP4 refused, as their letters are not known."""
    picture = tmp_path / "a.mkv"
    drawn = tmp_path / f"b.{ending}"
    ffmpeg(*PICTURE, *X264, picture)
    subtitle_film(drawn, picture, codec)
    result = tmp_path / f"c.{ending}"
    video.upscale(drawn, result, upscaler=upscaler)
    assert packets(result, "s:0") == packets(drawn, "s:0") != []
    if codec == "dvbsub":
        said = refused(tmp_path, drawn, "d.mp4", upscaler=upscaler)
        assert "mp4 cannot hold stream 1 (subtitle, dvbsub" in said
        assert said.endswith("give output an ending of .mkv, which can")


def subtitle_film(path: Path, picture: Path, codec: str) -> None:
    """A film with packets that stand for subtitles of pictures: nobody here decodes them."""
    with av.open(str(picture)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0], opaque=True)
        subtitle = target.add_mux_stream({"dvbsub": "dvb_subtitle", "dvdsub": "dvd_subtitle"}[codec])
        subtitle.time_base = MILLISECONDS
        for number in range(2):
            packet = av.Packet(bytes((15, 16, 0, 1, 0, 2, number, 0)))  # a segment of DVB, of two bytes
            packet.stream, packet.time_base = subtitle, MILLISECONDS
            packet.pts = packet.dts = 100 + number * 300
            packet.duration = 200
            target.mux(packet)
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                target.mux(packet)


# -- containers


@pytest.mark.parametrize("ending", ["mkv", "webm", "mp4", "mov", "avi", "ts"])
def test_every_encoder_in_every_container(tmp_path: Path, upscaler: Upscaler, ending: str) -> None:
    """It works, and other programs play it; or it is refused before the work, with those that work."""
    path = film(tmp_path / "a.mkv", size=(48, 64), times=range(0, 400, 40))
    takers = {
        "mkv": ["x264", "x265", "svt-av1", "ffv1", "prores"], "webm": ["svt-av1"], "mp4": ["x264", "x265", "svt-av1", "ffv1"],
        "mov": ["x264", "x265", "prores"], "ts": ["x264", "x265"], "avi": ["x264", "svt-av1", "ffv1"],
    }[ending]  # fmt: skip
    for encoder in encoders.available():
        result = tmp_path / f"{encoder}.{ending}"
        if encoder in takers:
            video.upscale(path, result, upscaler=upscaler, encoder=encoder)
            assert ffprobe(result, "-count_frames", "-show_streams")["streams"][0]["nb_read_frames"] == "10"
            # mpv 0.35 does not know the codec "V_FFV1", as FFmpeg has written it into Matroska since its version 6, and warns of
            # ProRes in Matroska by any FFmpeg.
            assert warnings(result, *(("ffmpeg",) if encoder in ("ffv1", "prores") else ())) == []
        else:
            said = refused(tmp_path, path, result.name, upscaler=upscaler, encoder=encoder)
            there = ", ".join(name for name in takers if name in encoders.available())
            assert f"holds no film of {encoder}, but of {there}; give encoder=" in said


def test_the_encoder_of_a_container(tmp_path: Path, upscaler: Upscaler) -> None:
    """VP9 and Opus in WebM: AV1, where nobody says another; x264 is refused with what to give."""
    path = tmp_path / "a.webm"
    ffmpeg(*PICTURE, *SOUND, "-c:v", "libvpx-vp9", "-b:v", "90k", "-c:a", "libopus", path)
    done = video.upscale(path, tmp_path / "b.webm", upscaler=upscaler)
    assert done.notes == ()
    assert [s["codec_name"] for s in ffprobe(tmp_path / "b.webm", "-show_streams")["streams"]] == ["av1", "opus"]
    assert packets(tmp_path / "b.webm", "a:0") == packets(path, "a:0")
    said = refused(tmp_path, path, "c.webm", upscaler=upscaler, encoder="x264")
    assert said == "webm holds no film of x264, but of svt-av1; give encoder='svt-av1', or output an ending of .mkv"
    video.upscale(path, tmp_path / "d.mp4", upscaler=upscaler)
    assert ffprobe(tmp_path / "d.mp4", "-show_streams")["streams"][0]["codec_name"] == "h264"


def rich(tmp_path: Path) -> Path:
    """Two languages, titles, marks, tags, chapters."""
    (tmp_path / "tags.txt").write_text(
        ";FFMETADATA1\ntitle=Noise\nDIRECTOR=Nobody\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=400\ntitle=One\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=400\nEND=1000\ntitle=Two\n"
    )
    path = tmp_path / "rich.mkv"
    ffmpeg(
        *PICTURE, *SOUND, *SOUND, "-i", tmp_path / "tags.txt", "-map", "0", "-map", "1", "-map", "2", "-map_metadata", "3", *X264,
        "-c:a", "aac", "-metadata:s:a:0", "language=deu", "-metadata:s:a:0", "title=Ton", "-metadata:s:a:1", "language=fra",
        "-disposition:a:1", "comment", "-metadata:s:v", "title=Bild", "-aspect", "16:9", path,
    )  # fmt: skip
    return path


@pytest.mark.parametrize(
    ("ending", "lost"),
    [
        ("mkv", ()),
        ("mp4", ("mp4 cannot hold title of stream 0 (video, h264)", "mp4 cannot hold title of stream 1 (audio, aac, deu)")),
        ("ts", ("mpegts cannot hold its tags title, DIRECTOR", "mpegts cannot hold its 2 chapters")),
        ("avi", ("avi cannot hold its tags DIRECTOR", "avi cannot hold its 2 chapters")),
    ],
    ids=str,
)  # fmt: skip
def test_what_a_container_loses_is_said(tmp_path: Path, upscaler: Upscaler, ending: str, lost: tuple[str, ...]) -> None:
    path = rich(tmp_path)
    done = video.upscale(path, tmp_path / f"b.{ending}", upscaler=upscaler)
    for sentence in lost:
        assert any(note.startswith(sentence) for note in done.notes), done.notes
    if ending != "mkv":
        return
    assert done.notes == ()
    own = re.compile(
        "encoder|duration|coded|size|bit_rate|nb_|width|height|extradata|level|id|refs|has_b_frames|profile",
        re.IGNORECASE,
    )

    def said(film: Path) -> Any:
        report = ffprobe(film, "-show_streams", "-show_format", "-show_chapters")
        report["format"].pop("filename")
        return strip(report)

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: strip(item) for name, item in value.items() if not own.match(name)}
        return [strip(item) for item in value] if isinstance(value, list) else value

    assert said(tmp_path / "b.mkv") == said(path)


def test_timecode(tmp_path: Path, upscaler: Upscaler) -> None:
    """MOV and MP4 make their track of it, Matroska a tag; what has no place is said. A part begins at another one."""
    path = tmp_path / "a.mov"
    ffmpeg(*PICTURE, *X264, "-timecode", "01:02:03:04", path)
    for ending in ("mov", "mp4", "mkv", "ts", "avi"):
        result = tmp_path / f"b.{ending}"
        done = video.upscale(path, result, upscaler=upscaler)
        tags = [
            {name.lower(): value for name, value in s.get("tags", {}).items()}
            for s in ffprobe(result, "-show_streams")["streams"]
        ]
        if ending in ("ts", "avi"):
            assert any(note.endswith("cannot hold timecode of stream 0 (video, h264)") for note in done.notes), (
                done.notes
            )
            continue
        assert {s["timecode"] for s in tags if "timecode" in s} == {"01:02:03:04"}
        assert len(tags) == (1 if ending == "mkv" else 2)
    part = video.upscale(path, tmp_path / "c.mov", upscaler=upscaler, start=0.4)
    assert part.notes == ("its timecode is left out, which is that of its beginning",)
    assert len(ffprobe(tmp_path / "c.mov", "-show_streams")["streams"]) == 1


@pytest.mark.parametrize(
    ("encoder", "ending"), [("x264", "mkv"), ("x265", "mp4"), ("ffv1", "mkv"), ("prores", "mov")], ids=str
)
@pytest.mark.parametrize("interlaced", [False, True], ids=["whole", "interlaced"])
def test_whole_frames_are_said_to_be_whole(
    tmp_path: Path, upscaler: Upscaler, encoder: str, ending: str, interlaced: bool
) -> None:
    path = tmp_path / "a.mkv"
    flags = ("-vf", "setfield=tff", "-flags", "+ilme+ildct") if interlaced else ()
    ffmpeg(*PICTURE, "-t", "0.2", *flags, "-c:v", "libx264", path)
    assert (ffprobe(path, "-show_streams")["streams"][0]["field_order"] == "progressive") != interlaced
    video.upscale(path, tmp_path / f"b.{ending}", upscaler=upscaler, encoder=encoder, deinterlace=interlaced)
    assert ffprobe(tmp_path / f"b.{ending}", "-show_streams")["streams"][0]["field_order"] == "progressive"


def test_data_streams(tmp_path: Path, upscaler: Upscaler) -> None:
    """Copied where the container has them, else said."""
    (tmp_path / "data").write_bytes(bytes(range(256)) * 2)
    path = tmp_path / "a.ts"
    ffmpeg(*PICTURE, "-f", "data", "-i", tmp_path / "data", "-map", "0", "-map", "1", *X264, "-c:d", "copy", path)
    video.upscale(path, tmp_path / "b.ts", upscaler=upscaler)
    assert packets(tmp_path / "b.ts", "d:0") == packets(path, "d:0") != []
    done = video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler)
    assert done.notes[0] == "stream 1 (data) is left out, which matroska cannot hold"


# -- colour and side data


@pytest.mark.parametrize("encoder", ["x264", "x265", "svt-av1", "ffv1"])
@pytest.mark.parametrize("siting", ["topleft", "center", "left"])
def test_siting_of_chroma_is_kept(tmp_path: Path, upscaler: Upscaler, siting: str, encoder: str) -> None:
    number = {"left": 0, "center": 1, "topleft": 2}[siting]
    path = tmp_path / "a.mp4"
    ffmpeg(*PICTURE, "-t", "0.2", "-c:v", "libx264", "-x264-params", f"chromaloc={number}", path)
    done = video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler, encoder=encoder)
    assert done.notes == ()
    (stream,) = ffprobe(tmp_path / "b.mkv", "-show_streams")["streams"]
    assert stream["chroma_location"] == siting


@pytest.mark.parametrize(
    ("siting", "across", "down"), [("topleft", 0.0, 0.0), ("center", 0.5, 0.5), ("left", 0.0, 0.5)]
)
def test_chroma_is_where_its_siting_says(
    tmp_path: Path, upscaler: Upscaler, siting: str, across: float, down: float
) -> None:
    """A ramp of Cb across and one of Cr down: in the result they have the values that their places call for, but for rounding."""
    ramps = (np.tile(np.arange(32) * 6 + 20, (24, 1)), np.tile(np.arange(24) * 8 + 20, (32, 1)).T)
    frame = av.VideoFrame(64, 48, "yuv420p")
    frame.planes[0].update(bytes([100]) * frame.planes[0].buffer_size)
    for plane, chroma in zip(frame.planes[1:], ramps, strict=True):
        rows = np.zeros((24, plane.line_size), np.uint8)
        rows[:, :32] = chroma
        plane.update(rows.tobytes())
    frame.pts, frame.time_base = 0, MILLISECONDS
    with av.open(str(tmp_path / "a.mkv"), "w") as target:
        stream = target.add_stream("ffv1", rate=25, options={"chroma_sample_location": siting})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        target.mux([*stream.encode(frame), *stream.encode(None)])
    video.upscale(tmp_path / "a.mkv", tmp_path / "b.mkv", upscaler=upscaler, encoder="ffv1")
    cb, cr = (planes_of(tmp_path / "b.mkv", (48, 64), 1, number)[0].astype(float) for number in (1, 2))
    # Sample k of the result lies on luma column 2k + across of it, which is (2k + across + 1/2) / 2 - 1/2 of the source, whose
    # sample j lies on column 2j + across.
    columns, rows = (((2 * np.arange(n) + at + 0.5) / 2 - 0.5 - at) / 2 for n, at in ((64, across), (48, down)))
    assert np.abs(cb - (columns * 6 + 20))[6:-6, 6:-6].max() <= 0.6
    assert np.abs(cr - (rows * 8 + 20)[:, None])[6:-6, 6:-6].max() <= 0.6


def test_transfer_of_hlg_and_pq(tmp_path: Path, upscaler: Upscaler) -> None:
    for transfer in ("arib-std-b67", "smpte2084"):
        path = tmp_path / f"{transfer}.mp4"
        tags = ("-color_primaries", "bt2020", "-color_trc", transfer, "-colorspace", "bt2020nc", "-color_range", "tv")
        ffmpeg(*PICTURE, "-t", "0.2", "-pix_fmt", "yuv420p10le", "-c:v", "libx264", *tags, path)
        for encoder, ending in (
            ("x264", "mp4"),
            ("x265", "mp4"),
            ("svt-av1", "mkv"),
            ("ffv1", "mkv"),
            ("prores", "mov"),
        ):
            result = tmp_path / f"{encoder}.{ending}"
            done = video.upscale(path, result, upscaler=upscaler, encoder=encoder, overwrite=True)
            (stream,) = ffprobe(result, "-show_streams")["streams"]
            assert [stream[name] for name in ("color_primaries", "color_transfer", "color_space", "color_range")] == [
                "bt2020", transfer, "bt2020nc", "tv",
            ], (encoder, done.notes)  # fmt: skip


def dolby_vision(tmp_path: Path, profile: int, compatibility: int) -> Path:
    """An MP4 with a configuration record of Dolby Vision, put into its description of the picture."""
    path = tmp_path / "hevc.mp4"
    ffmpeg(*PICTURE, "-t", "0.2", "-c:v", "libx265", "-x265-params", "log-level=none", "-tag:v", "hvc1", path)
    data = path.read_bytes()
    record = struct.pack(">HHB", 0x100, profile << 9 | 6 << 3 | 0b101, compatibility << 4).ljust(24, b"\0")
    box = struct.pack(">I4s", 32, b"dvcC" if profile <= 7 else b"dvvC") + record
    places, start = [], 0
    for name, skipped in (
        (b"moov", 8),
        (b"trak", 8),
        (b"mdia", 8),
        (b"minf", 8),
        (b"stbl", 8),
        (b"stsd", 16),
        (b"hvc1", 0),
    ):
        place = data.index(name, start) - 4
        places.append(place)
        start = place + skipped
    end = places[-1] + int.from_bytes(data[places[-1] : places[-1] + 4], "big")
    changed = bytearray(data[:end] + box + data[end:])
    for place in places:
        changed[place : place + 4] = (int.from_bytes(changed[place : place + 4], "big") + len(box)).to_bytes(4, "big")
    path.write_bytes(changed)
    return path


def test_dolby_vision(tmp_path: Path, upscaler: Upscaler) -> None:
    """A picture that cannot be watched without its data is refused; of another, it is said that they are left out."""
    said = refused(tmp_path, path := dolby_vision(tmp_path, 5, 0), upscaler=upscaler)
    for other in (
        lambda: video.to_y4m(path, io.BytesIO(), upscaler=upscaler), lambda: next(video.frames(path, upscaler=upscaler)),
        lambda: video.preview(path, tmp_path / "a.png", upscaler=upscaler),
    ):  # fmt: skip
        with pytest.raises(FsrcnnError, match="is Dolby Vision of a profile"):
            other()
    assert said.endswith(
        "is Dolby Vision of a profile (as 5) whose colours are wrong without data that no encoder here writes; "
        "make an HDR10 film of it first"
    )
    for profile, compatibility in ((8, 1), (8, 4), (7, 6)):
        path = dolby_vision(tmp_path, profile, compatibility)
        assert "dv_profile" in ffprobe(path, "-show_streams")["streams"][0]["side_data_list"][0]
        done = video.upscale(path, tmp_path / "b.mp4", upscaler=upscaler, overwrite=True)
        assert done.notes == ("lost: its Dolby Vision data",)


@pytest.mark.parametrize(("profile", "alone"), [(0, False), (1, True)])
def test_dolby_vision_without_a_header(profile: int, alone: bool) -> None:
    """AVDOVIMetadata begins with where its AVDOVIRpuDataHeader lies: kind (8 bit), format (16), profile (8)."""
    data = struct.pack("@N", 16) + bytes(8) + struct.pack("=BBHB", 2, 0, 18, profile)
    frame = SimpleNamespace(side_data=[Data("DOVI_METADATA", data)])
    if alone:
        colour.check_dolby_vision("a film", colour.Header(), frame)
    else:
        with pytest.raises(FsrcnnError, match="a film is Dolby Vision of a profile"):
            colour.check_dolby_vision("a film", colour.Header(), frame)


class Data(bytes):
    """Side data of a frame."""

    def __new__(cls, kind: str, data: bytes) -> Data:
        made = super().__new__(cls, data)
        made.type = SimpleNamespace(name=kind)
        return made

    type: SimpleNamespace


def with_message(tmp_path: Path, codec: str, payload: bytes) -> Path:
    """A bare stream with a message of the kind "registered by ITU-T T.35" before each frame."""
    path = tmp_path / f"a.{codec}"
    library = {"h264": ("libx264", "-x264-params", "slices=1"), "hevc": ("libx265", "-x265-params", "log-level=none")}[
        codec
    ]
    ffmpeg(*PICTURE, "-t", "0.2", "-pix_fmt", "yuv420p", "-c:v", *library, path)
    escaped = re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\x00\x00\x03", payload)
    message = b"\0\0\1" + (b"\x06" if codec == "h264" else b"\x4e\x01") + bytes((4, len(payload))) + escaped + b"\x80"
    units = re.split(rb"(?=\x00\x00\x01)", path.read_bytes())

    def frame(unit: bytes) -> bool:
        kind = unit[3] if len(unit) > 3 else 0
        return (kind & 31) in (1, 5) if codec == "h264" else len(unit) > 3 and (kind >> 1 & 63) < 32

    path.write_bytes(b"".join(message + unit if frame(unit) else unit for unit in units))
    return path


CAPTIONS = bytes((0xB5, 0, 0x31, *b"GA94", 3, 0xC1, 0xFF, 0xFC, 0x94, 0x20, 0xFF))
# ST 2094-40, of one window: 27 bits of luminance, 3 × 17 of the brightest, 17 of the mean, no percentiles, 10 of bright pixels.
WINDOW = f"{1:08b}{1:02b}{400:027b}0" + f"{1000:017b}" * 3 + f"{500:017b}{0:04b}{10:010b}0" + "00"
HDR10_PLUS = bytes((0xB5, 0, 0x3C, 0, 1, 4)) + int(WINDOW.ljust(-(-len(WINDOW) // 8) * 8, "0"), 2).to_bytes(
    -(-len(WINDOW) // 8), "big"
)


@pytest.mark.parametrize(
    ("codec", "payload", "kind", "name"),
    [
        ("h264", CAPTIONS, "ATSC A53 Part 4 Closed Captions", "closed captions, which lie within the frames"),
        ("hevc", HDR10_PLUS, "HDR Dynamic Metadata SMPTE2094-40 (HDR10+)", "HDR10+ data"),
    ],
    ids=["captions", "HDR10+"],
)
@pytest.mark.parametrize("encoder", ["x264", "x265", "svt-av1", "ffv1"])
def test_data_within_frames_are_kept_or_missed(
    tmp_path: Path, upscaler: Upscaler, encoder: str, codec: str, payload: bytes, kind: str, name: str
) -> None:
    """Whether the result has them is ffprobe's word; that it has them not is said."""

    def there(path: Path) -> bool:
        report = ffprobe(path, "-show_frames", "-select_streams", "v:0")
        return any(
            data["side_data_type"] == kind for frame in report["frames"] for data in frame.get("side_data_list", [])
        )

    path = with_message(tmp_path, codec, payload)
    assert there(path)
    done = video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler, encoder=encoder)
    assert there(tmp_path / "b.mkv") != (f"lost: its {name}" in done.notes)
    assert there(tmp_path / "b.mkv") == ((encoder, codec) in KEPT)


KEPT = {("x264", "h264")}


# -- formats of pixels, and what is refused


@pytest.mark.parametrize(
    ("format", "encoder", "becomes", "said"),
    [
        ("yuva444p", "ffv1", "yuva444p", ""), ("yuva444p", "x264", "yuv444p", "its alpha is left out"),
        ("yuv411p", "x264", "yuv422p", ""), ("yuv410p", "x264", "yuv420p", ""), ("yuv440p", "x264", "yuv444p", ""),
        ("yuv420p12le", "x264", "yuv420p10le", "12 bit become 10"), ("yuv420p12le", "x265", "yuv420p12le", ""),
        ("yuv444p12le", "svt-av1", "yuv420p10le", "its colours become 4:2:0"), ("gray", "x265", "gray", ""),
        ("gbrp", "x264", "yuv444p", ""), ("gbrap", "ffv1", "yuva444p", ""), ("rgb48le", "ffv1", "yuv444p16le", ""),
        ("yuv444p", "prores", "yuv444p10le", ""), ("bgra", "prores", "yuva444p10le", ""),
        ("ya8", "x265", "gray", "its alpha is left out"),
    ],
    ids=str,
)  # fmt: skip
def test_formats_of_pixels(
    tmp_path: Path, upscaler: Upscaler, format: str, encoder: str, becomes: str, said: str
) -> None:
    path = tmp_path / "a.mkv"
    ffmpeg(*PICTURE, "-t", "0.2", "-pix_fmt", format, "-c:v", "ffv1", path)
    done = video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler, encoder=encoder)
    (stream,) = ffprobe(tmp_path / "b.mkv", "-show_streams")["streams"]
    assert stream["pix_fmt"].replace("12le", "10le" if encoder == "prores" else "12le") == becomes
    assert (said in "; ".join(done.notes)) if said else done.notes == ()


def test_packed_formats(tmp_path: Path, upscaler: Upscaler) -> None:
    """NV12, YUYV, RGB, palettes, v210, QuickTime Animation: what they hold is held."""
    cases = (
        ("a.avi", ("-pix_fmt", "yuyv422", "-c:v", "rawvideo"), "yuv422p"),
        ("b.mkv", ("-pix_fmt", "nv12", "-c:v", "rawvideo"), "yuv420p"),
        ("c.avi", ("-pix_fmt", "bgr24", "-c:v", "rawvideo"), "yuv444p"),
        ("d.avi", ("-pix_fmt", "pal8", "-c:v", "rawvideo"), "yuv444p"),
        ("e.mov", ("-c:v", "v210"), "yuv422p10le"), ("f.mov", ("-pix_fmt", "rgb24", "-c:v", "qtrle"), "yuv444p"),
        ("g.mov", ("-pix_fmt", "argb", "-c:v", "qtrle"), "yuva444p"),
    )  # fmt: skip
    for name, arguments, becomes in cases:
        ffmpeg(*PICTURE, "-t", "0.2", *arguments, tmp_path / name)
        done = video.upscale(tmp_path / name, tmp_path / "out.mkv", upscaler=upscaler, encoder="ffv1", overwrite=True)
        assert (ffprobe(tmp_path / "out.mkv", "-show_streams")["streams"][0]["pix_fmt"], done.notes) == (becomes, ()), (
            name
        )


def test_alpha_beside_the_frames_is_missed(tmp_path: Path, upscaler: Upscaler) -> None:
    path = tmp_path / "a.webm"
    ffmpeg(*PICTURE, "-t", "0.2", "-pix_fmt", "yuva420p", "-c:v", "libvpx-vp9", path)
    done = video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler, encoder="ffv1")
    assert done.notes == ("its alpha is left out, which is not decoded",)
    tags = ffprobe(tmp_path / "b.mkv", "-show_streams")["streams"][0].get("tags", {})
    assert "alpha_mode" not in {name.lower() for name in tags}


TOO_ODD = {
    ("x264", (19, 33)), ("x265", (19, 33)), ("x265", (1, 1)), ("x265", (3, 2)), ("svt-av1", (1, 1)),
    ("x264", (16, 16384)),
    ("svt-av1", (16, 16384)),
}  # fmt: skip


@pytest.mark.parametrize(("size", "factor"), [((1, 1), 3), ((19, 33), 3), ((3, 2), 2), ((16, 16384), 2)], ids=str)
def test_sizes(tmp_path: Path, upscaler: Upscaler, size: tuple[int, int], factor: int) -> None:
    """FFV1 takes all of them; where another encoder does not, one sentence says so, and nothing is left."""
    chroma = "yuv444p" if 1 in size else "yuv420p"
    path = film(
        tmp_path / "a.mkv", size=size, format=chroma, times=(0, 40), options={"slices": "1"} if size[1] < 300 else {}
    )
    large = Size(factor=factor)
    for encoder in ("x264", "x265", "svt-av1"):
        if (encoder, size) in TOO_ODD:
            said = refused(tmp_path, path, upscaler=upscaler, size=large, encoder=encoder)
            assert f"{encoder} does not take {size[1] * factor}×{size[0] * factor} pixels of" in said
        else:
            video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler, size=large, encoder=encoder, overwrite=True)
    video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler, size=large, encoder="ffv1", overwrite=True)
    (stream,) = ffprobe(tmp_path / "b.mkv", "-show_streams")["streams"]
    assert (stream["height"], stream["width"]) == (size[0] * factor, size[1] * factor)
    assert warnings(tmp_path / "b.mkv", "ffmpeg") == []


def test_ffv1_has_checksums_at_odd_sizes() -> None:
    """Their chroma cannot be cut into four slices."""
    rate = Fraction(25)
    picture = encoders.Picture(99, 57, described("yuv420p"), 1 / rate, rate, None, colour.Tags(), None)
    context = av.CodecContext.create("ffv1", "w")
    encoders.configure(context, encoders.Settings("ffv1"), picture, 1)
    assert context.options["slicecrc"] == "1"
    assert context.options["slices"] != "4"
    context.open()


def bad(tmp_path: Path, kind: str) -> Path:
    base = tmp_path / "base.mp4"
    ffmpeg(*PICTURE, *SOUND, "-t", "0.4", *X264, "-c:a", "aac", base)
    path = tmp_path / "bad.mp4"
    match kind:
        case "encrypted":
            keys = (
                "-encryption_key",
                "00" * 16,
                "-encryption_kid",
                "11" * 16,
            )
            ffmpeg("-i", base, "-c", "copy", "-encryption_scheme", "cenc-aes-ctr", *keys, path)
        case "unknown codec":
            path.write_bytes(base.read_bytes().replace(b"avc1", b"zzz1"))
        case "no video":
            ffmpeg("-i", base, "-vn", "-c", "copy", path)
        case "cover alone":
            path = path.with_suffix(".m4a")
            ffmpeg("-i", base, *PICTURE, "-map", "0:a", "-map", "1:v", "-c:a", "copy", "-c:v", "png", "-frames:v", "1",
                   "-disposition:v", "attached_pic", path)  # fmt: skip
        case "picture":
            ffmpeg("-i", base, "-frames:v", "1", "-update", "1", tmp_path / "a.png")
            (tmp_path / "a.png").rename(path)
        case "playlist":
            path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.0,\nbase.ts\n#EXT-X-ENDLIST\n")
        case "list of films":
            path.write_text("ffconcat version 1.0\nfile base.mp4\n")
        case "no frame":
            path = path.with_suffix(".mkv")
            ffmpeg("-i", base, "-c", "copy", "-map", "0:v", path)
            path.write_bytes(path.read_bytes().partition(b"\x1f\x43\xb6\x75")[0])  # up to the first cluster
        case "cut off":
            path.write_bytes(base.read_bytes()[:-2000])
        case _:
            path.write_bytes(b"")
    base.unlink()
    return path


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("encrypted", "is encrypted"), ("unknown codec", "has a video stream whose codec this FFmpeg does not know"),
        ("no video", "has no video stream"), ("cover alone", "has no video stream"),
        ("picture", "is a picture, no film; type: fsrcnn upscale"),
        ("playlist", "is a list of other files, no film"), ("list of films", "is a list of other files, no film"),
        ("no frame", "is no film that can be read"), ("cut off", "is no film that can be read"),
        ("empty", "is no film that can be read"),
    ],
    ids=lambda value: str(value).split()[0],
)  # fmt: skip
def test_bad_input(tmp_path: Path, kind: str, said: str) -> None:
    path = bad(tmp_path, kind)
    before = sorted(tmp_path.iterdir())
    done = run_command("video", path, "-o", tmp_path / "out.mkv", "--threads", "1", "--model", "fsrcnn")
    assert done.returncode == 1
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"fsrcnn: {path} {said}")
    assert sorted(tmp_path.iterdir()) == before
