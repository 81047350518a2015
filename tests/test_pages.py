"""Frames and pages: none goes missing, in whichever format, and pages may differ."""

from __future__ import annotations

import io
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms

from fsrcnn import Size, Upscaler, images
from fsrcnn.arrays import Array
from fsrcnn.errors import ImageError, PictureWarning, UsageError
from fsrcnn.images import Picture, read, reading, write
from fsrcnn.images.colour import CodePoints
from fsrcnn.protocol import read_8bit
from support import png_chunk, run_command, saved, with_tags

GENERATOR = np.random.default_rng(0)
FRAMES = [np.kron(GENERATOR.integers(0, 256, (3, 4, 3)), np.ones((8, 8, 1))).astype(np.uint8) for _ in range(3)]
DELAYS = [50, 100, 250]
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def animation(format: str, **options: Any) -> bytes:
    return saved(FRAMES, format, duration=DELAYS, **options)


def bytes_of(picture: Picture, format: str, **options: Any) -> bytes:
    data = write(picture, None, format=format, **options).data
    assert data is not None
    return data


def pillow_frames(data: bytes) -> tuple[list[npt.NDArray[np.uint8]], list[int]]:
    """What Pillow sees: frames as RGB, and the delay of each in ms."""
    with Image.open(io.BytesIO(data)) as picture:
        frames, delays = [], []
        for number in range(getattr(picture, "n_frames", 1)):
            picture.seek(number)
            frames.append(np.asarray(picture.convert("RGB")))
            delays.append(round(picture.info.get("duration", 0)))
    return frames, delays


def check_near(pages: Any, frames: Any, tolerance: int) -> None:
    assert len(pages) == len(frames)
    for page, frame in zip(pages, frames, strict=True):
        assert np.abs(page[:, :, :3].astype(int) - frame).mean() <= tolerance


@pytest.mark.parametrize("source", ["PNG", "AVIF", "WEBP", "GIF"])
@pytest.mark.parametrize("target", ["png", "avif", "webp", "gif"])
def test_animations_keep_their_frames_delays_and_loops(source: str, target: str) -> None:
    options = {} if source == "AVIF" else {"loop": 4}
    picture = read(animation(source, **options))
    check_near(picture.pages, FRAMES, 16)
    assert picture.metadata["delay"] == DELAYS
    written = write(picture, None, format=target)
    assert [note.startswith("how often it loops") for note in written.notes] == [True] * (
        target == "avif" != source.lower()
    )
    data = written.data
    assert data is not None
    frames, delays = pillow_frames(data)
    check_near(frames, FRAMES, 16)
    assert delays == DELAYS or target == "webp"  # of which Pillow says no delays before it has decoded
    again = read(data)
    assert again.format == target
    assert again.metadata["delay"] == DELAYS
    if source != "AVIF" and target != "avif":
        assert again.metadata["loop"] == picture.metadata["loop"]
    if (source, target) == ("PNG", "png"):
        for one, other in zip(frames, FRAMES, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("format", ["PNG", "AVIF"])
def test_what_an_animation_carries(format: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    if format == "PNG":
        exif[0x0112] = 3  # Pillow crashes when it writes an AVIF of turned frames
    data = animation(format, exif=exif.tobytes(), icc_profile=PROFILE)
    picture = read(data)
    upright = [frame[::-1, ::-1] for frame in FRAMES] if format == "PNG" else FRAMES
    check_near(picture.pages, upright, 12)
    with Image.open(io.BytesIO(bytes_of(picture, format.lower()))) as written:
        assert written.info["icc_profile"] == PROFILE
        assert written.getexif()[0x010F] == "Maker"
        assert written.getexif().get(0x0112, 1) == 1


def test_a_still_picture_before_the_frames_is_none_of_them() -> None:
    first = Image.new("RGB", (32, 24), (255, 0, 255))
    buffer = io.BytesIO()
    others = [Image.fromarray(frame) for frame in FRAMES]
    first.save(buffer, "PNG", save_all=True, append_images=others, default_image=True, duration=DELAYS)
    check_near(read(buffer.getvalue()).pages, FRAMES, 0)
    check_near(read(buffer.getvalue(), page=1).pages, FRAMES[:1], 0)


def test_transparent_grey_and_palette_frames() -> None:
    clear = [np.dstack([frame, frame[:, :, 0]]) for frame in FRAMES]
    for one, other in zip(read(saved(clear, "PNG", duration=9)).pages, clear, strict=True):
        np.testing.assert_array_equal(one, other)
    grey = [frame[:, :, 0] for frame in FRAMES]
    for one, other in zip(read(saved(grey, "PNG", duration=9)).pages, grey, strict=True):
        np.testing.assert_array_equal(one, other)


def deep_animation(frames: Sequence[npt.NDArray[np.uint16]]) -> bytes:
    """An animated PNG of 16 bits, which Pillow does not write: of the coded data of single ones."""
    height, width = frames[0].shape
    first, *others = (saved([frame], "PNG") for frame in frames)
    coded = [png[png.index(b"IDAT") + 4 : png.index(b"IEND") - 8] for png in (first, *others)]

    def control(number: int) -> bytes:
        return png_chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, width, height, 0, 0, 9, 1000, 0, 0))

    chunks = [png_chunk(b"acTL", struct.pack(">II", len(frames), 0)), control(0), png_chunk(b"IDAT", coded[0])]
    for number, data in enumerate(coded[1:]):
        chunks += [control(2 * number + 1), png_chunk(b"fdAT", struct.pack(">I", 2 * number + 2) + data)]
    return first[:33] + b"".join(chunks) + png_chunk(b"IEND", b"")


def test_frames_of_16_bits_become_8_and_it_is_said() -> None:
    grey = [frame[:, :, 0] for frame in FRAMES]
    data = deep_animation([frame.astype(np.uint16) * 257 for frame in grey])
    deep = read(data)
    assert read(data, page=1).pages[0].dtype == np.uint16
    for format, reason in (("png", "frames have no more"), ("webp", "fsrcnn reads no more of it")):
        assert write(deep, None, format=format).notes[-1] == f"its 16 bits became 8: {reason}"
    with pytest.raises(UsageError, match="the picture has 16 bits per sample, of which fsrcnn reads 8"):
        write(deep, None, format="png", lossless=True)
    for one, other in zip(deep.pages, grey, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("format", ["PNG", "AVIF", "WEBP", "GIF", "TIFF"])
def test_one_page_alone(format: str, tmp_path: Path) -> None:
    data = animation(format) if format != "TIFF" else saved(FRAMES, "TIFF")
    for page in (1, 2, 3):
        picture = read(data, page=page)
        check_near(picture.pages, FRAMES[page - 1 : page], 12)
        assert not {"delay", "loop"} & set(picture.metadata)
    with pytest.raises(ImageError, match="has 3 pages or frames, so no page 4"):
        read(data, page=4)
    with pytest.raises(ImageError, match="has one page, so no page 2"):
        read(saved(FRAMES[:1], format), page=2)
    path = tmp_path / f"moving.{format.lower()}"
    path.write_bytes(data)
    result = run_command("upscale", path, "-o", tmp_path / "still.jpg", "-s", "2")
    assert result.returncode == 1
    assert b"has 3 pages or frames, which jpg cannot hold; give another --output that ends in ." in result.stderr
    assert b"or take one: --page 1" in result.stderr
    assert b"--format" not in result.stderr
    assert not (tmp_path / "still.jpg").exists()
    with pytest.raises(UsageError, match="has 3 pages or frames, which jpg cannot hold"):
        Upscaler("fsrcnn-s")(path, output=tmp_path / "still.jpg")
    result = run_command("upscale", path, "-o", tmp_path / "still.jpg", "-s", "2", "--first-page")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("format", ["PNG", "AVIF"])
def test_without_pillow_frames_are_counted(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = animation(format)
    monkeypatch.setitem(sys.modules, f"PIL.{format.capitalize()}ImagePlugin", None)
    with pytest.raises(ImageError, match=r"the data has 3 frames, which only Pillow reads; type: pip install .*page=1"):
        read(data)
    check_near(read(data, page=1).pages, FRAMES[:1], 12)


def test_upscaled_frames_are_an_animation_again(tmp_path: Path) -> None:
    for format in ("png", "avif"):
        path = tmp_path / f"moving.{format}"
        path.write_bytes(animation(format.upper()))
        out = Upscaler("fsrcnn-s")(path, size=Size(factor=2))
        frames, delays = pillow_frames(out.read_bytes())
        assert [frame.shape for frame in frames] == [(48, 64, 3)] * 3
        assert delays == DELAYS


def box(name: bytes, *parts: bytes) -> bytes:
    return struct.pack(">I", 8 + sum(map(len, parts))) + name + b"".join(parts)


def boxes(data: bytes) -> dict[bytes, bytes]:
    """The contents of the boxes that follow each other in an ISO file."""
    found, at = {}, 0
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        found[data[at + 4 : at + 8]] = data[at + 8 : at + length]
        at += length
    return found


def album(frames: Sequence[npt.NDArray[np.uint8]]) -> bytes:
    """An AVIF of several still pictures of one size, made of those of single ones (ISO/IEC 14496-12, 23008-12)."""
    files = [boxes(saved([frame], "AVIF")) for frame in frames]
    coded, count = [file[b"mdat"] for file in files], len(frames)
    meta = boxes(files[0][b"meta"][4:])
    properties = boxes(meta[b"iprp"])
    of_one = properties[b"ipma"][10:]  # which properties a picture has: the same for all
    head = box(b"ftyp", files[0][b"ftyp"])

    def described(start: int) -> bytes:
        places = [start + sum(map(len, coded[:number])) for number in range(count)]
        located = [struct.pack(">HHHII", n + 1, 0, 1, places[n], len(coded[n])) for n in range(count)]
        named = [box(b"infe", struct.pack(">IHH", 2 << 24, n + 1, 0), b"av01\0") for n in range(count)]
        given = [struct.pack(">H", n + 1) + of_one for n in range(count)]
        return box(
            b"meta",
            bytes(4),
            box(b"hdlr", meta[b"hdlr"]),
            box(b"pitm", struct.pack(">IH", 0, 1)),
            box(b"iloc", struct.pack(">IBBH", 0, 0x44, 0, count), *located),
            box(b"iinf", struct.pack(">IH", 0, count), *named),
            box(b"iprp", box(b"ipco", properties[b"ipco"]), box(b"ipma", struct.pack(">II", 0, count), *given)),
        )

    return head + described(len(head) + len(described(0)) + 8) + box(b"mdat", *coded)


def test_still_pictures_of_one_avif_are_pages(tmp_path: Path) -> None:
    path = tmp_path / "album.avif"
    path.write_bytes(album(FRAMES))
    check_near(read(path).pages, FRAMES, 16)
    check_near(read(path, page=2).pages, FRAMES[1:2], 16)
    with pytest.raises(UsageError, match=r"has 3 pages or frames, which avif cannot hold; .*page=1"):
        Upscaler("fsrcnn-s")(path)
    assert not list(tmp_path.glob("*_x2*"))


# Pages of a TIFF


DIFFERENT: tuple[Array, ...] = (
    GENERATOR.integers(0, 256, (20, 24, 3), dtype=np.uint8),
    GENERATOR.integers(0, 65536, (9, 31), dtype=np.uint16),
    GENERATOR.random((5, 6, 4), np.float32),
    GENERATOR.integers(0, 256, (20, 24, 3), dtype=np.uint8),
)


def test_different_pages_go_into_one_tiff_and_out_of_it() -> None:
    tifffile = pytest.importorskip("tifffile", reason="it is the witness for what the file holds")
    data = bytes_of(Picture(DIFFERENT, "tif", (5.0, 6.0)), "tif")
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        for page, expected in zip(tiff.pages, DIFFERENT, strict=True):
            assert (page.shape, page.dtype) == (expected.shape, expected.dtype)
            if expected.dtype != np.float32:  # of which tifffile alone cannot undo the predictor
                np.testing.assert_array_equal(page.asarray(), expected)
            assert page.tags["XResolution"].value[0] / page.tags["XResolution"].value[1] == pytest.approx(
                127
            )  # per inch
    picture = read(data)
    for one, other in zip(picture.pages, DIFFERENT, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    np.testing.assert_array_equal(read(data, page=3).pages[0], DIFFERENT[2])


def test_joined_tiffs_are_what_pillow_reads() -> None:
    pages = DIFFERENT[:2]
    data = bytes_of(Picture(pages, "tif"), "tif")
    with Image.open(io.BytesIO(data)) as picture:
        for number, page in enumerate(pages):
            picture.seek(number)
            np.testing.assert_array_equal(np.asarray(picture), page)


def test_different_pages_are_upscaled_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "pages.tif"
    write(Picture(DIFFERENT, "tif"), path)
    result = run_command("upscale", path, "-s", "2", "-m", "fsrcnn-s", "-o", tmp_path / "larger.tif")
    assert result.returncode == 0, result.stderr
    upscaler = Upscaler("fsrcnn-s")
    for page, before in zip(read(tmp_path / "larger.tif").pages, DIFFERENT, strict=True):
        np.testing.assert_array_equal(page, upscaler.array(before, Size(factor=2)))
    for format in ("webp", "gif"):
        with pytest.raises(UsageError, match=f"pages of different sizes or channels, which {format} cannot hold"):
            upscaler(path, output=tmp_path / f"no.{format}")


def two_pages(kind: int, value: int) -> bytes:
    """A TIFF of a picture and a smaller one, the second with a tag that says what it is."""
    copy = with_tags(
        saved([FRAMES[1][::2, ::2]], "TIFF"), lambda tags: sorted([*tags, struct.pack("<HHII", kind, 4, 1, value)])
    )
    return images.tiff.joined([saved([FRAMES[0]], "TIFF"), copy])


@pytest.mark.parametrize(("kind", "value"), [(254, 1), (254, 4), (254, 5), (255, 2)])
def test_reduced_copies_and_masks_are_no_pages(kind: int, value: int) -> None:
    picture = read(two_pages(kind, value))
    check_near(picture.pages, FRAMES[:1], 0)
    assert picture.notes == ("its reduced copies and masks (1) are left out",)
    with pytest.raises(ImageError, match="has one page, so no page 2"):
        read(two_pages(kind, value), page=2)


def test_pages_that_say_that_they_are_pages() -> None:
    picture = read(two_pages(254, 2))
    assert [page.shape for page in picture.pages] == [(24, 32, 3), (12, 16, 3)]
    assert picture.notes == ()


def test_each_page_has_its_own_orientation() -> None:
    turned = with_tags(saved([FRAMES[1]], "TIFF"), lambda tags: sorted([*tags, struct.pack("<HHIHH", 274, 3, 1, 6, 0)]))
    picture = read(images.tiff.joined([saved([FRAMES[0]], "TIFF"), turned]))
    check_near(picture.pages, [FRAMES[0], np.rot90(FRAMES[1], 3)], 0)


def tiff_of(*pages: tuple[Array, dict[str, Any]]) -> bytes:
    tifffile = pytest.importorskip("tifffile")
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for pixels, options in pages:
            kind = "rgb" if pixels.ndim == 3 else "minisblack"
            writer.write(pixels, **{"photometric": kind, "metadata": None, "software": False, **options})
    return buffer.getvalue()


def artist(name: str) -> dict[str, Any]:
    return {"extratags": [(315, 2, 0, name, True)]}


P3, LINEAR_GREY = (CodePoints(*points).profile(grey) for points, grey in (((12, 13), False), ((1, 8), True)))
FOUR = np.dstack([FRAMES[0], FRAMES[1][:, :, 0]])
INFRARED, ALPHA = {"extrasamples": ["unspecified"]}, {"extrasamples": ["unassalpha"]}


@pytest.mark.parametrize(
    ("second", "size"),
    [
        (artist("second") | {"iccprofile": PROFILE}, (24, 32)),
        (artist("second") | {"iccprofile": PROFILE}, (10, 32)),
        (artist("second"), (24, 32)),
        (artist("first") | {"iccprofile": P3}, (24, 32)),
    ],
)
def test_each_page_carries_what_is_its_own(second: dict[str, Any], size: tuple[int, int]) -> None:
    pages = [np.ascontiguousarray(frame[: size[0], : size[1]]) for frame in FRAMES[1:]]
    source = tiff_of((FRAMES[0], artist("first") | {"iccprofile": P3}), (pages[0], second), (pages[1], {}))
    written = bytes_of(read(source), "tif")
    with pytest.importorskip("tifffile").TiffFile(io.BytesIO(written)) as file:
        tags = [{tag: page.tags[tag].value for tag in (315, 34675) if tag in page.tags} for page in file.pages]
        check_near([page.asarray() for page in pillow_pages(written)], [FRAMES[0], *pages], 0)
    expected = {315: second["extratags"][0][3]} | ({34675: second["iccprofile"]} if "iccprofile" in second else {})
    assert tags == [{315: "first", 34675: P3}, expected, {}]


def pillow_pages(data: bytes) -> list[Any]:
    return list(pytest.importorskip("tifffile").TiffFile(io.BytesIO(data)).pages)


def test_grey_and_colour_in_profiles_of_their_own() -> None:
    source = tiff_of((FRAMES[0][:, :, 0], {"iccprofile": LINEAR_GREY}), (FRAMES[0], {"iccprofile": P3}))
    pages = pillow_pages(bytes_of(read(source), "tif"))
    assert [page.tags[34675].value for page in pages] == [LINEAR_GREY, P3]
    with pytest.warns(PictureWarning, match="its pages have different colour profiles, and that of the first"):
        Upscaler("fsrcnn-x", scale=2)(tiff_of((FRAMES[0], {}), (FRAMES[1], {"iccprofile": P3})), format="webp")


@pytest.mark.parametrize("number", [None, 1, 2])
def test_a_fourth_channel_is_alpha_or_not_on_each_page(number: int | None) -> None:
    source = tiff_of((FOUR, INFRARED), (FOUR, ALPHA), (FRAMES[0][:, :, 0], {}))
    large = Upscaler("fsrcnn-x", scale=2)(source, page=number)
    pages = pillow_pages(large)
    wanted = [(0,), (2,), ()]
    assert [tuple(page.extrasamples) for page in pages] == (wanted if number is None else [wanted[number - 1]])
    grey = Upscaler("fsrcnn-x", scale=2)(np.ascontiguousarray(FOUR[:, :, 3]))
    with_alpha = Upscaler("fsrcnn-x", scale=2)(FOUR)
    if number != 2:
        np.testing.assert_array_equal(pages[0].asarray()[:, :, 3], grey)
    if number != 1:
        np.testing.assert_array_equal(pages[-1 if number else 1].asarray(), with_alpha)


def test_channels_that_only_a_tiff_holds_apart() -> None:
    with pytest.raises(ImageError, match="the pages have different channels, which webp cannot hold"):
        bytes_of(read(tiff_of((FOUR, INFRARED), (FOUR, ALPHA))), "webp")


def test_directories_that_go_in_a_circle() -> None:
    data = bytearray(saved(FRAMES[:2], "TIFF"))
    whole = read(bytes(data))
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    (second,) = struct.unpack_from("<I", data, first + 2 + 12 * count)
    (count,) = struct.unpack_from("<H", data, second)
    struct.pack_into("<I", data, second + 2 + 12 * count, first)
    assert len(read(bytes(data)).pages) == len(whole.pages) == 2


# Limits


@pytest.mark.parametrize("format", ["PNG", "AVIF", "WEBP", "GIF", "TIFF"])
def test_all_pages_count(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = animation(format) if format != "TIFF" else saved(FRAMES, "TIFF")
    pixels = 3 * 24 * 32
    assert len(read(data, max_pixels=pixels).pages) == 3
    with pytest.raises(ImageError, match=r"2,304 pixels, more than the limit of 2,303 pixels; .*max_pixels=2304"):
        read(data, max_pixels=pixels - 1)
    read(data, max_pixels=pixels - 1, page=2)
    monkeypatch.setattr(reading, "MAX_PAGES", 2)
    with pytest.raises(
        ImageError, match="more than 2 pages or frames, the most that are read at once; take one: page=1"
    ):
        read(data)
    assert len(read(data, page=2).pages) == 1


def test_a_side_too_long_for_the_format_is_known_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upscaler = Upscaler("fsrcnn-s")
    monkeypatch.setattr(upscaler, "picture", lambda *arguments: pytest.fail("the network was run"))
    data = saved([np.zeros((1, 40_000, 3), np.uint8)], "PNG")
    (tmp_path / "wide.png").write_bytes(data)
    with pytest.raises(UsageError, match="80000×2 pixels, but jpg holds at most 65,500"):
        upscaler(tmp_path / "wide.png", output=tmp_path / "wide.jpg")
    with pytest.raises(UsageError, match="the data would have 80000×2 pixels, but jpg holds at most 65,500"):
        upscaler(data, format="jpg")
    result = run_command("upscale", tmp_path / "wide.png", "-o", tmp_path / "wide.jpg")
    assert result.returncode == 1
    assert b"jpg holds at most 65,500" in result.stderr


# Those who need one picture


@pytest.mark.parametrize("format", ["PNG", "GIF", "TIFF"])
def test_nobody_learns_from_the_first_frame_alone(format: str, tmp_path: Path) -> None:
    path = tmp_path / f"moving.{format.lower()}"
    path.write_bytes(animation(format) if format != "TIFF" else saved(FRAMES, "TIFF"))
    with pytest.raises(ImageError, match="has 3 pages or frames, where one picture is wanted"):
        read_8bit(path)
    commands: list[list[str | Path]] = [["evaluate", tmp_path, "-s", "2"], ["test", path]]
    for command in commands:
        result = run_command(*command)
        assert result.returncode != 0
        assert b"has 3 pages or frames" in result.stderr, result.stderr


def test_notes_reach_whoever_asked(tmp_path: Path) -> None:
    data = saved(FRAMES[:1], "JPEG")[:-2]
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.warns(PictureWarning, match=r"a\.jpg: its end marker is missing; every pixel is there"):
        Upscaler("fsrcnn-s")(tmp_path / "a.jpg")
    with pytest.warns(PictureWarning, match="the data: its end marker is missing"):
        Upscaler("fsrcnn-s")(data)
    result = run_command("upscale", tmp_path / "a.jpg", "-o", tmp_path / "b.png")
    assert result.returncode == 0
    assert b"a.jpg: its end marker is missing; every pixel is there" in result.stderr


def test_a_png_of_one_frame_is_a_picture() -> None:
    """An acTL of one frame, as some tools write it."""
    png = saved(FRAMES[:1], "PNG")
    data = png[:33] + png_chunk(b"acTL", struct.pack(">II", 1, 0)) + png[33:]
    check_near(read(data).pages, FRAMES[:1], 0)


@pytest.mark.parametrize("format", ["webp", "gif"])
@pytest.mark.parametrize("order", [1, -1])
def test_pages_of_different_depths_become_frames(format: str, order: int) -> None:
    flat = [np.full((16, 16, 3), level, np.uint8) for level in (200, 120, 40)][::order]
    pages: tuple[Array, ...] = (flat[0], flat[1].astype(np.uint16) * 257, flat[2].astype(np.float32) / 255)
    flat, pages = flat[::order], pages[::order]
    written = write(Picture(pages, "tif"), None, format=format)
    assert written.notes == (f"its 32 bits became 8: {format} holds no more",)
    check_near(read(written.data or b"").pages, flat, 2)
    with pytest.raises(UsageError, match=r"cannot keep every pixel of a picture of 32 bits|gif is never lossless"):
        write(Picture(pages, "tif"), None, format=format, lossless=True)
    kept = write(Picture(pages, "tif"), None)
    assert kept.notes == ()
    assert [page.dtype for page in read(kept.data or b"").pages] == [page.dtype for page in pages]
