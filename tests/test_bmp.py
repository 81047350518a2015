"""BMP in all its variants, made by hand, with Pillow as the witness where it reads them."""

from __future__ import annotations

import io
import struct

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms

from fsrcnn.errors import ImageError
from fsrcnn.images import read
from support import saved

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
PALETTE = np.random.default_rng(1).integers(0, 256, (256, 3), dtype=np.uint8)


def bmp(
    lines: bytes,
    bits: int,
    *,
    size: tuple[int, int] = (4, 2),
    header: int = 40,
    compression: int = 0,
    masks: tuple[int, ...] = (),
    colours: npt.NDArray[np.uint8] | None = None,
    profile: bytes = b"",
) -> bytes:
    """A BMP of these lines, the lowest first."""
    width, height = size
    packed = struct.pack(f"<{len(masks)}I", *masks)
    table = b"" if colours is None else b"".join(bytes(c[::-1]) + (b"" if header == 12 else b"\0") for c in colours)
    head = (
        struct.pack("<IHHHH", 12, width, height, 1, bits)
        if header == 12
        else struct.pack("<IiiHHIIiiII", header, width, height, 1, bits, compression, len(lines), 11811, 11811, len(table) // 4, 0)
    )  # fmt: skip
    if header > 40:
        head += packed.ljust(16, b"\0") + (b"DEBM" if profile else b"BGRs")
        head = head.ljust(112, b"\0") + struct.pack("<III", header + len(table) + len(lines), len(profile), 0)
        head = head[:header]
    elif masks:
        head += packed
    start = 14 + len(head) + len(table)
    return b"BM" + struct.pack("<IHHI", start + len(lines), 0, 0, start) + head + table + lines + profile


def witness(data: bytes, mode: str = "RGB") -> npt.NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data), formats=["BMP"]).convert(mode))


WORDS = np.random.default_rng(2).integers(0, 2**16, (2, 4), dtype=np.uint16)
LONGS = np.random.default_rng(3).integers(0, 2**32, (2, 4), dtype=np.uint32)


def channel(words: npt.NDArray[np.unsignedinteger], mask: int) -> npt.NDArray[np.uint8]:
    """The bits of a mask as 0 … 255, rounded."""
    shift = (mask & -mask).bit_length() - 1
    peak = mask >> shift
    return np.round(((words.astype(np.int64) & mask) >> shift) / peak * 255).astype(np.uint8)


@pytest.mark.parametrize("header", [40, 108, 124])
@pytest.mark.parametrize(
    "masks",
    [
        (0xF800, 0x07E0, 0x001F),
        (0x0F00, 0x00F0, 0x000F),
        (0x7C00, 0x03E0, 0x001F, 0x8000),
        (0x000000FF, 0x0000FF00, 0x00FF0000),
        (0x3FF00000, 0x000FFC00, 0x000003FF),
        (0xFF000000, 0x00FF0000, 0x0000FF00, 0x000000FF),
    ],
)
def test_channels_in_any_bits(masks: tuple[int, ...], header: int) -> None:
    words = WORDS if max(masks) < 2**16 else LONGS
    compression = 6 if header == 40 and len(masks) == 4 else 3
    data = bmp(words.tobytes(), words.itemsize * 8, header=header, compression=compression, masks=masks)
    expected = np.stack([channel(words[::-1], mask) for mask in masks], axis=2)
    np.testing.assert_array_equal(read(data).pages[0], expected)


def test_a_mask_of_alpha_of_which_no_bit_is_set_is_none() -> None:
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    for words, channels in ((LONGS & 0xFFFFFF, 3), (LONGS, 4)):
        picture = read(bmp(words.astype("<u4").tobytes(), 32, header=108, compression=3, masks=masks)).pages[0]
        assert picture.shape == (2, 4, channels)
        np.testing.assert_array_equal(picture[::-1, :, 0], words >> 16 & 0xFF)


@pytest.mark.parametrize("words", [WORDS, LONGS], ids=["16 bits", "32 bits"])
def test_channels_without_masks_are_where_windows_has_them(words: npt.NDArray[np.unsignedinteger]) -> None:
    masks = (0x7C00, 0x03E0, 0x001F) if words.itemsize == 2 else (0xFF0000, 0xFF00, 0xFF)
    data = bmp(words.tobytes(), words.itemsize * 8)
    expected = np.stack([channel(words[::-1], mask) for mask in masks], axis=2)
    np.testing.assert_array_equal(read(data).pages[0], expected)
    upwards = bmp(words.tobytes(), words.itemsize * 8, size=(4, -2))
    np.testing.assert_array_equal(read(upwards).pages[0], expected[::-1])


@pytest.mark.parametrize("header", [12, 40, 64, 108, 124])
@pytest.mark.parametrize("bits", [1, 4, 8, 24])
def test_headers_and_depths(bits: int, header: int) -> None:
    line = (7 * bits + 31) // 32 * 4
    lines = np.random.default_rng(bits).integers(0, 256, 5 * line, dtype=np.uint8).tobytes()
    data = bmp(lines, bits, size=(7, 5), header=header, colours=PALETTE[: 2**bits] if bits < 24 else None)
    np.testing.assert_array_equal(read(data).pages[0], witness(data))
    with pytest.raises(ImageError, match="is truncated"):
        read(data[:-1])


@pytest.mark.parametrize(
    ("compression", "bits", "codes", "lines"),
    [
        (1, 8, b"\4\7\0\0\0\4\1\2\3\4\0\0\0\1", [[1, 2, 3, 4], [7, 7, 7, 7]]),
        (1, 8, b"\2\7\0\2\1\1\1\5\0\1", [[0, 0, 0, 5], [7, 7, 0, 0]]),
        (2, 4, b"\4\x12\0\0\4\x34\0\1", [[3, 4, 3, 4], [1, 2, 1, 2]]),
    ],
)
def test_run_lengths(compression: int, bits: int, codes: bytes, lines: list[list[int]]) -> None:
    data = bmp(codes, bits, compression=compression, colours=PALETTE[: 2**bits])
    np.testing.assert_array_equal(read(data).pages[0], PALETTE[np.array(lines)])


def test_resolution_and_profile_are_kept() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = read(bmp(bytes(24), 24, header=124, profile=profile))
    assert picture.resolution == (11.811, 11.811)  # 300 dpi
    assert picture.metadata == {"icc-profile-data": profile}
    assert read(saved([RGB], "BMP")).format == "png"
    assert read(bmp(bytes(24), 24, header=12)).resolution is None


def test_refusals() -> None:
    data = saved([RGB], "BMP")
    with pytest.raises(ImageError, match=r"has 7×5 = 35 pixels, more than the limit of 34 pixels; .*max_pixels=35"):
        read(data, max_pixels=34)
    with pytest.raises(ImageError, match="is truncated"):
        read(b"BM not a bitmap")
    with pytest.raises(ImageError, match="is damaged, or of a kind that fsrcnn does not read"):
        read(bmp(saved([RGB], "JPEG"), 0, compression=4))  # a JPEG in a BMP, for printers
    large = bmp(bytes(8), 1, size=(2**14, 2**15), colours=PALETTE[:2])
    with pytest.raises(ImageError, match="537 megapixels, more than the limit of 268 megapixels"):
        read(large)


@pytest.mark.parametrize("format", ["BMP", "PNG", "AVIF"])
def test_pillow_has_no_limit_of_its_own(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved([RGB, RGB[::-1]] if format != "BMP" else [RGB], format)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert read(data).pages[0].shape == RGB.shape
