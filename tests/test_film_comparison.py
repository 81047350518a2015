"""Films side by side and frames as pictures: each panel as its way to enlarge makes it, and figures that others compute, too."""

from __future__ import annotations

import io
import json
import math
import shutil
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from films import MILLISECONDS, av, film, luma_of, noise_frame, seen, upscaled_luma
from fsrcnn import Control, Size, Upscaler, UsageError, images, video
from fsrcnn.arrays import Array
from fsrcnn.errors import Cancelled, FsrcnnError
from fsrcnn.imresize import imresize
from fsrcnn.planes import Range
from fsrcnn.video import segments, upscaling
from fsrcnn.video.colour import Tags
from fsrcnn.video.comparison import Scores, means, said
from fsrcnn.video.damage import Counts
from fsrcnn.video.enlargement import Enlargement
from fsrcnn.video.formats import described
from fsrcnn.video.labels import Labels
from fsrcnn.video.library import FilmError
from support import run_command

pytest.importorskip("PIL", reason="labels need Pillow: pip install '.[pillow]'")

LR, HR = (36, 48), (72, 96)
LABELLED = 24  # rows, at most


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler("fsrcnn", precision="fast", threads=1)


def planes_of(frame: Any) -> list[Array]:
    """All planes of a frame, without the padding of their lines."""
    found = []
    for number, plane in enumerate(frame.planes):
        dtype = np.dtype(np.uint8 if frame.format.components[0].bits == 8 else "<u2")
        lines = np.frombuffer(bytes(plane), dtype).reshape(-1, plane.line_size // dtype.itemsize)
        chroma = number in (1, 2) and len(frame.planes) > 1
        height, width = frame.height, frame.width
        if chroma:
            height, width = frame.format.chroma_height(height), frame.format.chroma_width(width)
        found.append(lines[:height, :width])
    return found


def bicubic(luma: Array, size: tuple[int, int], depth: int) -> Array:
    """What MATLAB's `imresize` makes of a plane, rounded at its end."""
    return np.clip(np.floor(imresize(luma.astype(float), output_size=size) + 0.5), 0, 2**depth - 1).astype(luma.dtype)


def pair(
    folder: Path, format: str = "yuv420p", lr: tuple[int, int] = LR, factor: int = 2, **options: Any
) -> tuple[Path, Path]:
    """A film of noise, and one larger by a factor that could be its original."""
    times = options.setdefault("times", (0, 40, 80))
    small = film(folder / "small.mkv", format=format, size=lr, **options)
    smooth = [
        bicubic(luma_of(frame), (lr[0] * factor, lr[1] * factor), described(format).depth)
        for frame in seen(small).frames
    ]
    return small, written(folder / "large.mkv", smooth, format, times)


def written(
    path: Path, lumas: Sequence[Array], format: str = "yuv420p", times: Sequence[int] = (0, 40, 80), **tags: int
) -> Path:
    """A film of these planes and a little noise: alike, and not equal."""
    generator = np.random.default_rng(1)
    with av.open(str(path), "w") as target:
        stream = target.add_stream("ffv1", rate=25)
        stream.height, stream.width = lumas[0].shape
        stream.pix_fmt, stream.time_base, stream.codec_context.time_base = format, MILLISECONDS, MILLISECONDS
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        for luma, time in zip(lumas, times, strict=True):
            frame = noise_frame(generator, format, luma.shape)
            plane = frame.planes[0]
            lines = np.zeros((luma.shape[0], plane.line_size // luma.dtype.itemsize), luma.dtype)
            lines[:, : luma.shape[1]] = np.maximum(luma, 20) - generator.integers(0, 5, luma.shape).astype(luma.dtype)
            plane.update(lines.tobytes())
            frame.pts, frame.time_base = time, MILLISECONDS
            for name, value in tags.items():
                setattr(frame, name, value)
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return path


def by_hand(hr: Array, other: Array, border: int, depth: int) -> tuple[float, float]:
    """PSNR by its definition, SSIM by scikit-image."""
    metrics = pytest.importorskip("skimage.metrics", reason="another's SSIM needs scikit-image")
    x, y = (plane[border:-border, border:-border].astype(float) for plane in (hr, other))
    peak = 2**depth - 1
    psnr = 20 * math.log10(peak) - 10 * math.log10(((x - y) ** 2).mean())
    _, similarity = metrics.structural_similarity(
        x, y, data_range=peak, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, win_size=11, full=True
    )
    return psnr, float(similarity[5:-5, 5:-5].mean())


FORMATS = (
    ("yuv420p", 8, LR), ("yuv420p", 8, (36, 47)), ("yuv422p", 8, (35, 47)), ("yuv444p", 8, (35, 47)), ("gray", 8, (35, 47)),
    ("yuv420p10le", 10, (36, 47)), ("yuv444p12le", 12, LR), ("yuva420p", 8, (36, 47)),
)  # fmt: skip


@pytest.mark.parametrize(("format", "depth", "lr"), FORMATS, ids=str)
def test_each_panel_is_what_its_way_makes(
    tmp_path: Path, upscaler: Upscaler, format: str, depth: int, lr: tuple[int, int]
) -> None:
    small, large = pair(tmp_path, format, lr)
    done = video.upscale(small, tmp_path / "side.mkv", upscaler=upscaler, encoder="ffv1", compare=True, reference=large)
    video.upscale(small, tmp_path / "alone.mkv", upscaler=upscaler, encoder="ffv1")
    side, alone, before, original = (seen(tmp_path / f"{name}.mkv") for name in ("side", "alone", "small", "large"))
    size = (lr[0] * 2, lr[1] * 2)
    pitch = size[1]  # even
    assert done.output_size == (pitch * 3, size[0])
    assert side.times == before.times
    for frame, plain, lr_frame, hr_frame in zip(side.frames, alone.frames, before.frames, original.frames, strict=True):
        assert frame.format.name == format
        luma, sr = luma_of(frame), upscaled_luma(upscaler, luma_of(lr_frame), size, depth)
        for number, expected in enumerate((luma_of(hr_frame), bicubic(luma_of(lr_frame), size, depth), sr)):
            panel = luma[:, number * pitch : number * pitch + size[1]]
            assert np.array_equal(panel[LABELLED:], expected[LABELLED:]), number
            assert not np.array_equal(panel[:LABELLED], expected[:LABELLED])
        for whole, hr_plane, plane in zip(
            planes_of(frame)[1:], planes_of(hr_frame)[1:], planes_of(plain)[1:], strict=True
        ):
            width = plane.shape[1]
            for number, expected in enumerate((hr_plane, plane, plane)):
                panel = whole[:, number * width : (number + 1) * width]
                assert np.array_equal(panel[LABELLED:], expected[LABELLED:])


@pytest.mark.parametrize("wanted", [Size(width=61), Size(factor=3), Size(factor=1.5)], ids=str)
def test_two_panels_of_any_size(tmp_path: Path, upscaler: Upscaler, wanted: Size) -> None:
    """Of an odd width, the second begins where a sample of chroma does."""
    path = film(tmp_path / "a.mkv", size=LR, times=(0, 40))
    done = video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler, size=wanted, encoder="ffv1", compare=True)
    size = wanted.of(*LR)
    pitch = size[1] + size[1] % 2
    assert done.output_size == (2 * pitch, size[0])
    assert done.scores == {}
    for lr, frame in zip(seen(path).frames, seen(tmp_path / "b.mkv").frames, strict=True):
        luma = luma_of(frame)
        for number, expected in enumerate(
            (bicubic(luma_of(lr), size, 8), upscaled_luma(upscaler, luma_of(lr), size, 8))
        ):
            panel = luma[LABELLED:, number * pitch : (number + 1) * pitch]
            assert np.array_equal(panel[:, : size[1]], expected[LABELLED:])
            assert np.array_equal(panel[:, size[1] :], np.repeat(expected[LABELLED:, -1:], pitch - size[1], 1))


@pytest.mark.parametrize(
    ("format", "depth", "factor"), [("yuv420p", 8, 2), ("yuv420p", 8, 3), ("yuv422p10le", 10, 2)], ids=str
)
def test_scores_are_those_that_others_compute(
    tmp_path: Path, upscaler: Upscaler, format: str, depth: int, factor: int
) -> None:
    small, large = pair(tmp_path, format, factor=factor)
    size = (LR[0] * factor, LR[1] * factor)
    done = video.upscale(
        small,
        tmp_path / "b.mkv",
        upscaler=upscaler,
        size=Size(factor=factor),
        compare=True,
        reference=large,
        encoder="ffv1",
    )
    found: dict[str, list[tuple[float, float]]] = {"bicubic": [], "sr": []}
    for lr, hr in zip(seen(small).frames, seen(large).frames, strict=True):
        planes = {
            "bicubic": bicubic(luma_of(lr), size, depth),
            "sr": upscaled_luma(upscaler, luma_of(lr), size, depth),
        }
        for way, plane in planes.items():
            found[way].append(by_hand(luma_of(hr), plane, factor, depth))
    for way, scores in found.items():
        psnr, ssim = np.mean(scores, axis=0)
        assert done.scores[way]["psnr"] == pytest.approx(psnr, abs=1e-9)
        assert done.scores[way]["ssim"] == pytest.approx(ssim, abs=1e-9)
    assert done.scores["bicubic"] != done.scores["sr"]
    bicubic_said = f"bicubic {done.scores['bicubic']['psnr']:.2f} dB / {done.scores['bicubic']['ssim']:.4f}"
    assert done.notes[-1].startswith(f"PSNR and SSIM of luma, means of 3 frames: {bicubic_said}, SR ")


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="another's PSNR needs ffmpeg")
@pytest.mark.parametrize("format", ["yuv420p", "yuv420p10le"])
def test_ffmpeg_measures_the_same(tmp_path: Path, upscaler: Upscaler, format: str) -> None:
    small, large = pair(tmp_path, format)
    done = video.upscale(small, tmp_path / "b.mkv", upscaler=upscaler, compare=True, reference=large, encoder="ffv1")
    video.upscale(small, tmp_path / "sr.mkv", upscaler=upscaler, encoder="ffv1")
    crop = "crop=iw-4:ih-4:2:2:exact=1"
    graph = f"[0]{crop}[a];[1]{crop}[b];[a][b]psnr=stats_file=-"
    command = ["ffmpeg", "-v", "error", "-i", "sr.mkv", "-i", "large.mkv", "-lavfi", graph, "-f", "null", "-"]
    lines = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.splitlines()
    found = [float(part.split(":")[1]) for line in lines for part in line.split() if part.startswith("psnr_y:")]
    assert len(found) == 3
    assert done.scores["sr"]["psnr"] == pytest.approx(np.mean(found), abs=0.006)  # it prints two decimals


def test_each_frame_shows_its_own_scores(tmp_path: Path, upscaler: Upscaler) -> None:
    """The label of a frame differs from that of the next, and that of bicubic from that of SR."""
    small, large = pair(tmp_path, lr=(120, 160))
    video.upscale(small, tmp_path / "b.mkv", upscaler=upscaler, compare=True, reference=large, encoder="ffv1")
    labels = []
    for panel, text_width in ((1, 110), (2, 80)):
        corner = slice(320 * panel, 320 * panel + text_width)
        found = [luma_of(frame)[:10, corner] for frame in seen(tmp_path / "b.mkv").frames]
        assert len({label.tobytes() for label in found}) == 3
        labels += found
    for label in labels:
        assert label[:, :60].min() == 16
        assert label[:, :60].max() > 150
        assert label[:, :60].mean() < 90


def test_an_original_of_more_bits_is_not_rounded(tmp_path: Path, upscaler: Upscaler) -> None:
    small, _ = pair(tmp_path)
    size = HR
    deep = [bicubic(luma_of(frame).astype(np.uint16) * 4, size, 10) + np.uint16(1) for frame in seen(small).frames]
    large = written(tmp_path / "deep.mkv", deep, "yuv420p10le")
    done = video.upscale(small, tmp_path / "b.mkv", upscaler=upscaler, compare=True, reference=large, encoder="ffv1")
    scores = [
        by_hand(luma_of(hr) / 4, bicubic(luma_of(lr), size, 8), 2, 8)
        for lr, hr in zip(seen(small).frames, seen(large).frames, strict=True)
    ]
    assert done.scores["bicubic"]["psnr"] == pytest.approx(np.mean(scores, axis=0)[0], abs=1e-9)
    panel = luma_of(seen(tmp_path / "b.mkv").frames[0])[LABELLED:, : size[1]]
    assert np.abs(panel - luma_of(seen(large).frames[0])[LABELLED:] / 4.0).max() <= 1


def test_an_original_in_rgb_has_the_luma_of_the_film(tmp_path: Path, upscaler: Upscaler) -> None:
    """Of BT.601, which an SD film is of that says nothing; and in the same range."""
    colours = (200, 40, 90)
    large = flat(tmp_path / "large.mkv", "bgr0", HR, (colours[2], colours[1], colours[0], 0))
    luma = 16 + (65.481 * colours[0] + 128.553 * colours[1] + 24.966 * colours[2]) / 255
    small = flat(tmp_path / "small.mkv", "yuv420p", LR, (round(luma) + 1, 128, 128))
    done = video.upscale(small, tmp_path / "b.mkv", upscaler=upscaler, compare=True, reference=large, encoder="ffv1")
    hr = luma_of(seen(tmp_path / "b.mkv").frames[0])[40, 40]
    assert abs(int(hr) - luma) < 1
    assert done.scores["bicubic"]["psnr"] == pytest.approx(20 * math.log10(255 / (round(luma) + 1 - float(hr))))


def flat(path: Path, format: str, size: tuple[int, int], values: Sequence[int], **tags: int) -> Path:
    """A film of two frames that show one colour: a value for each plane, or for each byte of a packed pixel."""
    frame = av.VideoFrame(size[1], size[0], format)
    for number, plane in enumerate(frame.planes):
        one = values if len(frame.planes) == 1 and len(values) > 1 else values[number : number + 1]
        dtype = np.uint8 if frame.format.components[0].bits == 8 else np.dtype("<u2")
        whole = np.tile(np.array(one, dtype), plane.buffer_size // (len(one) * np.dtype(dtype).itemsize))
        plane.update(whole.tobytes())
    with av.open(str(path), "w") as target:
        stream = target.add_stream("ffv1", rate=25)
        stream.height, stream.width = size
        stream.pix_fmt = format
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
            setattr(frame, name, value)
        for number in range(2):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return path


def test_frames_made_exactly_do_not_make_the_mean_infinite(tmp_path: Path, upscaler: Upscaler) -> None:
    scores = [Scores(30.0, 0.9, 34.0, 0.95), Scores(math.inf, 1.0, math.inf, 1.0), Scores(32.0, 0.8, 35.0, 0.85)]
    found = means(scores)
    assert (found["bicubic"].psnr, found["sr"].psnr) == (31.0, 34.5)
    assert found["bicubic"].ssim == pytest.approx(0.9)
    assert "means of 3 frames (PSNR without 1 that is made exactly): bicubic 31.00 dB" in said(scores)
    black = [flat(tmp_path / f"{name}.mkv", "yuv420p", size, (16, 128, 128)) for name, size in (("s", LR), ("l", HR))]
    done = run_command("video", black[0], "-o", tmp_path / "b.mkv", "--compare", "--reference", black[1], "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["done"][0]["scores"]["bicubic"] == {"psnr": None, "ssim": 1.0}
    assert "bicubic inf dB / 1.0000, SR " in done.stderr.decode()


@pytest.mark.parametrize("ending", [".mkv", ".mp4"])
def test_all_else_goes_its_usual_way(tmp_path: Path, upscaler: Upscaler, ending: str) -> None:
    path = film(tmp_path / f"a{ending}", codec="libx264", size=LR, companions=True, times=(0, 30, 90, 140, 150))
    for name, compare in (("plain", False), ("side", True)):
        video.upscale(path, tmp_path / f"{name}{ending}", upscaler=upscaler, compare=compare)
    plain, side = seen(tmp_path / f"plain{ending}"), seen(tmp_path / f"side{ending}")
    assert side.times == plain.times
    assert side.chapters == plain.chapters
    assert side.streams == plain.streams
    sounds = [label for label in plain.packets if "video" not in label]
    assert sounds
    assert all(side.packets[label] == plain.packets[label] for label in sounds)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another size": (
        {"size": (70, 96)}, "has 96×70 pixels, and the result 96×72; give a reference of 96×72, or width=96 and height=70",
    ),
    "an early end": ({"times": (0, 40)}, "0.080 s after its first, the reference has none; give a reference with the same"),
    "a frame missing": ({"times": (0, 80, 120)}, "0.040 s after its first, the reference has none"),
    "a frame more": ({"times": (0, 20, 40, 80)}, "0.020 s after their first, only the reference has one"),
    "another rate": ({"times": (0, 42, 84)}, "0.080 s after its first, the reference has none"),
    "another range": ({"tags": {"color_range": 2}}, "is of full range, and"),
    "another matrix": ({"tags": {"colorspace": 1}}, "is that of bt709, and of"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_references_that_do_not_fit_are_refused(tmp_path: Path, upscaler: Upscaler, case: str) -> None:
    options, sentence = REFUSED[case]
    small = film(tmp_path / "a.mkv", size=LR, times=(0, 40, 80), tags={"colorspace": 6})
    wanted: dict[str, Any] = {"size": HR, "times": (0, 40, 80), **options}
    large = film(tmp_path / "r.mkv", **wanted)
    with pytest.raises(FsrcnnError) as error:
        video.upscale(small, tmp_path / "b.mkv", upscaler=upscaler, compare=True, reference=large, encoder="ffv1")
    assert sentence in str(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mkv", "r.mkv"]


def test_an_original_of_whole_frames_is_not_deinterlaced(tmp_path: Path, upscaler: Upscaler) -> None:
    small, large = pair(tmp_path)
    video.upscale(
        small, tmp_path / "b.mkv", upscaler=upscaler, compare=True, reference=large, encoder="ffv1", deinterlace=True
    )
    for frame, hr in zip(seen(tmp_path / "b.mkv").frames, seen(large).frames, strict=True):
        assert np.array_equal(luma_of(frame)[LABELLED:, : HR[1]], luma_of(hr)[LABELLED:])


def test_times_may_be_rounded_otherwise(tmp_path: Path, upscaler: Upscaler) -> None:
    """24 000 / 1001 frames per second in MP4, exactly, and in Matroska, in milliseconds; from another beginning."""
    exact = [number * 1001 for number in range(8)]
    small = film(tmp_path / "a.mp4", codec="libx264", size=LR, times=exact, time_base=Fraction(1, 24000))
    times = [500 + round(Fraction(ticks * 1000, 24000)) for ticks in exact]
    large = film(tmp_path / "r.mkv", size=HR, times=times)
    done = video.upscale(small, tmp_path / "b.mkv", upscaler=upscaler, compare=True, reference=large)
    assert done.frames == 8
    assert "means of 8 frames" in "; ".join(done.notes)


def test_a_broken_reference_is_refused(tmp_path: Path, upscaler: Upscaler) -> None:
    small, large = pair(tmp_path, times=tuple(range(0, 400, 40)))
    data = bytearray(large.read_bytes())
    for place in range(len(data) // 2, len(data) // 2 + 400):
        data[place] ^= 0x55
    large.write_bytes(data)
    with pytest.raises(FilmError, match=r"is broken at about|have not the same frames"):
        video.upscale(small, tmp_path / "b.mkv", upscaler=upscaler, compare=True, reference=large)
    assert not (tmp_path / "b.mkv").exists()


def test_a_longer_reference_is_said(tmp_path: Path, upscaler: Upscaler) -> None:
    small, _ = pair(tmp_path)
    large = film(tmp_path / "r.mkv", size=HR, times=(0, 40, 80, 120))
    done = video.upscale(small, tmp_path / "b.mkv", upscaler=upscaler, compare=True, reference=large)
    assert done.notes[-1] == "the reference has more frames after the last of the film"
    part = video.upscale(small, tmp_path / "c.mkv", upscaler=upscaler, compare=True, reference=large, duration="0.06")
    assert part.frames == 2
    assert "more frames" not in part.notes[-1]


@pytest.mark.parametrize("later", [0, 500])
def test_a_part_is_compared_with_that_part(tmp_path: Path, upscaler: Upscaler, later: int) -> None:
    """Also where the original begins at another time."""
    small, large = pair(tmp_path, times=tuple(range(0, 400, 40)))
    lumas = [luma_of(frame) for frame in seen(large).frames]
    large = written(tmp_path / "later.mkv", lumas, times=range(later, later + 400, 40))
    whole = video.upscale(small, tmp_path / "b.mkv", upscaler=upscaler, compare=True, reference=large, encoder="ffv1")
    part = video.upscale(
        small,
        tmp_path / "c.mkv",
        upscaler=upscaler,
        compare=True,
        reference=large,
        encoder="ffv1",
        start=0.16,
        duration=0.12,
    )
    assert (whole.frames, part.frames) == (10, 3)
    both = [seen(tmp_path / name).frames for name in ("b.mkv", "c.mkv")]
    for before, after in zip(both[0][4:7], both[1], strict=True):
        assert np.array_equal(luma_of(before), luma_of(after))  # labels, too


def test_work_that_was_broken_off_goes_on(tmp_path: Path, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upscaling, "FRAMES", 3)
    small, large = pair(tmp_path, times=tuple(range(0, 400, 40)))
    options: dict[str, Any] = {"upscaler": upscaler, "compare": True, "reference": large}
    whole = video.upscale(small, tmp_path / "whole.mkv", **options)
    control = Control(1)

    def stop(progress: video.Progress) -> None:
        if progress.frames == 7:
            control.cancel()

    with pytest.raises(Cancelled):
        video.upscale(small, tmp_path / "b.mkv", control=control, progress=stop, **options)
    for changed in ({"reference": None}, {"compare": False, "reference": None}, {"reference": tmp_path / "other.mkv"}):
        film(tmp_path / "other.mkv", size=HR, times=tuple(range(0, 400, 40)), seed=5)
        with pytest.raises(UsageError, match=r"begun with another (comparison|size)"):
            video.upscale(small, tmp_path / "b.mkv", resume=True, **{**options, **changed})
    done = video.upscale(small, tmp_path / "b.mkv", resume=True, **options)
    assert done.resumed == 6
    assert done.scores == whole.scores
    assert done.notes == whole.notes
    packets = [seen(tmp_path / name).packets for name in ("b.mkv", "whole.mkv")]
    assert packets[0] == packets[1]


def test_findings_lie_in_the_segments(tmp_path: Path) -> None:
    with segments.Workplace(tmp_path / "a.mkv", {}, resume=False, replace=False) as place:
        with place.segment(b"") as writer:
            writer.packet(segments.EncodedFrame(3, 4, True, b"data"))
            writer.end(1, 3, Counts(damaged=2), [Scores(30.0, 0.9, math.inf, 1.0)])
        with place.segment(b"") as writer:
            writer.end(0, 0, Counts())
        found = [segments.read(path) for path in sorted(place.folder.glob("*.segment"))]
        assert [(s.findings, s.counts.damaged, [p.data for p in s.packets()]) for s in found if s] == [
            ([[30.0, 0.9, math.inf, 1.0]], 2, [b"data"]), ([], 0, []),
        ]  # fmt: skip
        place.remove()


@pytest.mark.parametrize("matrix", [4, 7, 8, 9, 10, 14])
def test_a_matrix_that_ffmpeg_cannot_convert_is_kept(tmp_path: Path, upscaler: Upscaler, matrix: int) -> None:
    """YCgCo, constant luminance, ICtCp: nothing is to be converted where planes only grow."""
    path = film(tmp_path / "a.mkv", size=LR, times=(0, 40), tags={"colorspace": matrix})
    video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler, encoder="ffv1")
    before, after = seen(path).frames[1], seen(tmp_path / "b.mkv").frames[1]
    assert (before.colorspace, after.colorspace) == (matrix, matrix)
    Enlargement(upscaler, HR, described("yuv420p"), Tags())(before)
    assert before.colorspace == matrix  # whose it is finds it as it was
    assert np.array_equal(luma_of(after), upscaled_luma(upscaler, luma_of(before), HR, 8))


# -- labels


@pytest.mark.parametrize(("format", "range", "black", "white", "neutral"), [
    ("yuv420p", "limited", 16, 235, 128), ("yuv420p", "full", 0, 255, 128), ("yuv422p10le", "limited", 64, 940, 512),
    ("yuv444p12le", "full", 0, 4095, 2048), ("gray", "limited", 16, 235, 0), ("yuva420p", "limited", 16, 235, 128),
])  # fmt: skip
@pytest.mark.parametrize("turns", range(4))
def test_labels_are_white_on_a_dark_box(
    format: str, range: Range, black: int, white: int, neutral: int, turns: int
) -> None:
    about = described(format)
    frame = av.VideoFrame(1202, 900, format)
    down, across = (frame.format.chroma_height(2), frame.format.chroma_width(2))
    chroma_shape = (900 * down // 2, 1202 * across // 2)
    shapes = [(900, 1202), *([chroma_shape] * 2 if about.chroma else []), *([(900, 1202)] if about.alpha else [])]
    dtype = np.uint8 if about.depth == 8 else np.uint16
    planes = [np.full(shape, 77, dtype) for shape in shapes]
    seen_size = (900, 1202) if turns % 2 == 0 else (1202, 900)
    Labels(seen_size, about, range, "SR 35.12 dB 0.9412").write(planes, "SR 35.12 dB 0.9412", turns)
    luma = np.rot90(planes[0], turns)  # as a player turns it
    rows, columns = (np.flatnonzero((luma != 77).any(axis)) for axis in (1, 0))
    box = luma[: rows[-1] + 1, : columns[-1] + 1]
    assert (rows[0], columns[0]) == (0, 0)
    assert 30 <= box.shape[0] <= 60 < 200 <= box.shape[1] <= 500
    assert (box.min(), box.max()) == (black, white)
    assert (box[0] == black).all()  # a margin
    assert 0.5 < (box == black).mean() < 0.95
    if about.chroma:
        for chroma in planes[1:3]:
            turned = np.rot90(chroma, turns)
            height, width = np.array(box.shape) * turned.shape // luma.shape
            assert (turned[:height, :width] == neutral).all()
            assert (turned == neutral).sum() == height * width
    if about.alpha:
        assert (np.rot90(planes[3], turns)[: box.shape[0], : box.shape[1]] == 255).all()


def test_labels_grow_with_the_picture_and_fit_into_it() -> None:
    text = "bicubic 33.12 dB 0.9123"

    def box(height: int, width: int) -> tuple[int, int]:
        plane = np.full((height, width), 77, np.uint8)
        Labels((height, width), described("gray"), "limited", text).write([plane], text)
        return int((plane != 77).any(1).sum()), int((plane != 77).any(0).sum())

    large, small = box(2160, 3840), box(720, 1280)
    assert large[0] == pytest.approx(3 * small[0], abs=4)
    assert small[0] >= 24
    assert box(1080, 200)[1] <= 200
    assert box(1080, 200)[0] < box(1080, 1920)[0]
    assert box(8, 8) == (8, 8)  # too small for any text: cut off, and no error


@pytest.mark.parametrize("quarter", [1, -1])
def test_panels_of_a_film_that_players_turn(tmp_path: Path, upscaler: Upscaler, quarter: int) -> None:
    """They stand side by side as it is shown, bicubic at the left, and their labels are upright; sizes are those that are shown."""
    turned = (0, quarter * 65536, 0, -quarter * 65536, 0, 0, 0, 0, 1 << 30)
    path = film(tmp_path / "a.mp4", codec="libx264", size=(48, 80), matrix=turned, times=(0, 40))
    whole = video.upscale(path, tmp_path / "b.mp4", upscaler=upscaler, compare=True)
    lr, frame = seen(path).frames[0], seen(tmp_path / "b.mp4").frames[0]
    assert (whole.input_size, whole.output_size) == ((48, 80), (192, 160))
    assert abs(frame.rotation) == 90
    shown = np.rot90(luma_of(frame), frame.rotation // 90)
    assert shown.shape == (160, 192)
    expected = [
        bicubic(luma_of(lr), (96, 160), 8), upscaled_luma(upscaler, luma_of(lr), (96, 160), 8)
    ]  # fmt: skip
    for number, plane in enumerate(expected):
        panel = shown[:, number * 96 : number * 96 + 96]
        assert panel[:10, :10].mean() < 90  # dark but for the text
        apart = [np.abs(panel[20:].astype(int) - np.rot90(other, lr.rotation // 90)[20:]).mean() for other in expected]
        assert apart[number] < apart[1 - number]
        assert np.abs(panel[20:].astype(int) - np.rot90(plane, lr.rotation // 90)[20:]).mean() < 8  # x264's loss
    done = video.preview(path, tmp_path / "look.png", upscaler=upscaler, size=Size(width=96))
    picture = images.read(tmp_path / "look.png").pages[0]
    assert picture.shape[:2] == (160, 2 * 96)
    assert picture[:10, :10].mean() < 90
    assert done.output_size == (96, 160)


# -- one frame as a picture


def colours(ycbcr: Sequence[Array], weights: tuple[float, float], depth: int, full: bool) -> Array:
    """R, G, B in 0 … 1 of Y, Cb, Cr, as BT.601 and BT.709 define them by the weights of red and blue."""
    (y, cb, cr), (red, blue) = ycbcr, weights
    scale = 2 ** (depth - 8)
    black, swing, chroma = (0, 2**depth - 1, 2**depth - 1) if full else (16 * scale, 219 * scale, 224 * scale)
    luma, u, v = (y - float(black)) / swing, (cb - 128.0 * scale) / chroma, (cr - 128.0 * scale) / chroma
    r, b = luma + 2 * (1 - red) * v, luma + 2 * (1 - blue) * u
    return np.asarray(np.clip(np.dstack([r, (luma - red * r - blue * b) / (1 - red - blue), b]), 0, 1))


@pytest.mark.parametrize(("format", "tags", "weights"), [
    ("yuv444p", {}, (0.299, 0.114)), ("yuv444p", {"colorspace": 1}, (0.2126, 0.0722)),
    ("yuv444p", {"colorspace": 9}, (0.2627, 0.0593)), ("yuv444p", {"colorspace": 6, "color_range": 2}, (0.299, 0.114)),
    ("yuv444p10le", {"colorspace": 1}, (0.2126, 0.0722)), ("gray", {}, (0.299, 0.114)), ("gray10le", {}, (0.299, 0.114)),
    ("gray", {"color_range": 2}, (0.299, 0.114)),
], ids=str)  # fmt: skip
def test_a_picture_has_the_colours_of_the_film(
    tmp_path: Path, upscaler: Upscaler, format: str, tags: dict[str, int], weights: tuple[float, float]
) -> None:
    path = film(tmp_path / "a.mkv", format=format, size=LR, tags=tags, times=(0, 40))
    video.upscale(path, tmp_path / "b.mkv", upscaler=upscaler, encoder="ffv1")
    done = video.preview(path, tmp_path / "look.png", upscaler=upscaler, start=0.04)
    picture = images.read(tmp_path / "look.png").pages[0]
    depth, full = described(format).depth, tags.get("color_range") == 2
    peak = 255 if depth == 8 else 65535
    assert picture.dtype == (np.uint8 if depth == 8 else np.uint16)
    assert picture.shape == (HR[0], 2 * HR[1], 3)
    assert (done.time, done.output_size, done.scores) == (0.04, HR[::-1], {})
    sr = planes_of(seen(tmp_path / "b.mkv").frames[1])
    chroma = sr[1:] or [np.full(HR, 128 << (depth - 8))] * 2
    lr = luma_of(seen(path).frames[1])
    for number, luma in enumerate((bicubic(lr, HR, depth), sr[0])):
        panel = picture[LABELLED:, number * HR[1] : (number + 1) * HR[1]]
        expected = colours((luma, *chroma), weights, depth, full)[LABELLED:] * peak
        assert np.abs(panel - expected).max() <= 0.5 + peak * 1e-5  # MATLAB rounds the weights to three decimals


def test_a_picture_with_the_original(tmp_path: Path, upscaler: Upscaler) -> None:
    """The frame in the middle where nobody says; scores as of the film."""
    small, large = pair(tmp_path, times=tuple(range(0, 400, 40)))
    done = video.preview(small, tmp_path / "look.png", reference=large, upscaler=upscaler)
    assert done.time == 0.2
    lr, hr = luma_of(seen(small).frames[5]), luma_of(seen(large).frames[5])
    psnr, ssim = by_hand(hr, bicubic(lr, HR, 8), 2, 8)
    assert done.scores["bicubic"] == {"psnr": pytest.approx(psnr), "ssim": pytest.approx(ssim)}
    pages = images.read(tmp_path / "look.png").pages
    assert pages[0].shape == (HR[0], 3 * HR[1], 3)
    there = video.preview(small, tmp_path / "there.png", reference=large, upscaler=upscaler, start="0:00.2")
    assert np.array_equal(images.read(tmp_path / "there.png").pages[0], pages[0])
    assert there.scores == done.scores


@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
def test_the_ending_says_the_format(tmp_path: Path, upscaler: Upscaler, ending: str) -> None:
    path = film(tmp_path / "a.mkv", size=LR, times=(0, 40), format="yuv420p10le")
    video.preview(path, tmp_path / f"look.{ending}", upscaler=upscaler)
    picture = images.read(tmp_path / f"look.{ending}")
    assert (picture.format, picture.pages[0].shape) == (ending, (HR[0], 2 * HR[1], 3))


def test_what_a_player_shows_otherwise_is_said(tmp_path: Path, upscaler: Upscaler) -> None:
    tags = {"color_trc": 16, "colorspace": 9}
    path = film(tmp_path / "a.mp4", codec="libx264", size=LR, times=(0, 40), tags=tags, aspect=Fraction(4, 3))
    assert video.preview(path, tmp_path / "look.png", upscaler=upscaler).notes == (
        "it is HDR (PQ), and its tones are not mapped: the picture looks paler than a player shows it",
        "its pixels are 4:3, and square in the picture",
    )
    tags = {"color_trc": 18, "colorspace": 8}
    path = film(tmp_path / "b.mkv", size=LR, times=(0, 40), tags=tags, format="yuva420p")
    assert video.preview(path, tmp_path / "other.png", upscaler=upscaler).notes == (
        "its matrix, number 8 of H.273, is not known here: its colours are shown as of bt709",
        "it is HDR (HLG), and its tones are not mapped: the picture looks paler than a player shows it",
        "its alpha is left out",
    )


def test_pictures_are_not_overwritten(tmp_path: Path, upscaler: Upscaler) -> None:
    path = film(tmp_path / "a.mkv", size=LR, times=(0, 40))
    (tmp_path / "look.png").write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"exists; give overwrite=True"):
        video.preview(path, tmp_path / "look.png", upscaler=upscaler)
    assert (tmp_path / "look.png").read_bytes() == b"mine"
    video.preview(path, tmp_path / "look.png", upscaler=upscaler, overwrite=True)
    assert images.read(tmp_path / "look.png").format == "png"
    with pytest.raises(FilmError, match="has no frame in the part that is wanted; give another start"):
        video.preview(path, tmp_path / "late.png", upscaler=upscaler, start=5)
    for name in ("look.xyz", "look", "look.mkv"):
        with pytest.raises(UsageError):
            video.preview(path, tmp_path / name, upscaler=upscaler)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mkv", "look.png"]


def test_sound_that_goes_on_has_no_middle_frame(tmp_path: Path, upscaler: Upscaler) -> None:
    path = film(tmp_path / "a.mkv", size=LR, times=(0, 40), companions=True)  # of 0.4 s
    assert video.preview(path, tmp_path / "look.png", upscaler=upscaler).time == 0


# -- in the shell


def test_the_command_writes_a_picture(tmp_path: Path) -> None:
    small, large = pair(tmp_path)
    done = run_command(
        "video", small, "--preview", tmp_path / "look.png", "--reference", large, "--start", "0.04", "--json"
    )
    report = json.loads(done.stdout)
    assert (done.returncode, report["time"], report["output_size"]) == (0, 0.04, [96, 72])
    assert set(report["scores"]) == {"bicubic", "sr"}
    again = run_command(
        "video", small, "--preview", tmp_path / "look.png", "--reference", large, "--start", "0.04", "--overwrite"
    )
    assert (
        f"look.png  panels of 96×72 at 0.040 s, bicubic {report['scores']['bicubic']['psnr']:.2f} dB / "
        in again.stderr.decode()
    )


WRONG = {
    ("--preview", "look.png", "-o", "b.mkv"): "--preview writes one picture, for which --output means nothing",
    ("--preview", "look.png", "--duration", "3"): "for which --duration means nothing",
    ("--preview", "look.png", "--crf", "3"): "for which --crf means nothing",
    ("--preview", "look.png", "--compare"): "for which --compare means nothing",
    ("other.mkv", "--preview", "look.png"): "one film, not of several",
    ("--compare",): "a comparison has no name of its own; give --output",
    ("-o", "b.mkv", "--reference", "r.mkv"): "a reference is for a comparison; give --compare, too",
    ("other.mkv", "-o", "folder", "--compare", "--reference", "r.mkv"): "--reference is the original of one film",
    ("-o", "b.mkv", "--compare", "--reference", "nowhere.mkv"): "nowhere.mkv does not exist",
    ("-o", "r.mkv", "--compare", "--reference", "r.mkv", "--overwrite"): "the output r.mkv is also the reference",
}  # fmt: skip


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    for name, size in (("a.mkv", LR), ("other.mkv", LR), ("r.mkv", HR)):
        film(folder / name, size=size, times=(0, 40))
    return folder


@pytest.mark.parametrize("arguments", list(WRONG), ids=" ".join)
def test_what_makes_no_sense_is_refused(films: Path, arguments: tuple[str, ...]) -> None:
    before = sorted(films.rglob("*"))
    done = run_command("video", "a.mkv", *arguments, cwd=films)
    assert done.returncode in (1, 2)
    assert WRONG[arguments] in done.stderr.decode()
    assert sorted(films.rglob("*")) == before


def test_pictures_too_small_to_measure(tmp_path: Path, upscaler: Upscaler) -> None:
    small = film(tmp_path / "a.mkv", size=(7, 32), times=(0,), format="gray")
    large = film(tmp_path / "r.mkv", size=(14, 64), times=(0,), format="gray")
    with pytest.raises(UsageError, match="64×14 pixels are too few to measure, which takes 15×15"):
        video.upscale(small, tmp_path / "b.mkv", upscaler=upscaler, compare=True, reference=large)
    assert video.upscale(small, tmp_path / "b.mkv", upscaler=upscaler, compare=True, encoder="ffv1").frames == 1


def test_side_by_side_to_a_pipe(tmp_path: Path, upscaler: Upscaler) -> None:
    small, large = pair(tmp_path)
    pipe = io.BytesIO()
    done = video.to_y4m(small, pipe, upscaler=upscaler, compare=True, reference=large)
    whole = video.upscale(small, tmp_path / "b.mkv", upscaler=upscaler, compare=True, reference=large, encoder="ffv1")
    assert (done.scores, done.output_size) == (whole.scores, (3 * HR[1], HR[0]))
    (tmp_path / "b.y4m").write_bytes(pipe.getvalue())
    for piped, frame in zip(seen(tmp_path / "b.y4m").frames, seen(tmp_path / "b.mkv").frames, strict=True):
        assert np.array_equal(luma_of(piped), luma_of(frame))
