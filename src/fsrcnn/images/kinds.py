"""What a file is, by its first bytes: a name says nothing of what it holds."""

from __future__ import annotations

START = 64  # bytes by which each kind is known

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tif"),
    (b"MM\0*", "tif"),
    (b"II+\0", "tif"),  # BigTIFF
    (b"MM\0+", "tif"),
    (b"BM", "bmp"),
)
_HEVC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")  # what telephones write


def kind_of(start: bytes) -> str | None:
    """`png`, `jpg`, `gif`, `tif`, `bmp`, `webp`, `avif`, `heic` (HEIF with any other codec than AV1), or None.

    Args:
        start: the first `START` bytes of a file, or more.
    """
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "webp"
    if start[4:8] == b"ftyp":
        end = int.from_bytes(start[:4], "big")
        brands = [start[8:12], *(start[at : at + 4] for at in range(16, min(end, START), 4))]
        if b"avif" in brands or b"avis" in brands:
            return "avif"
        return "heic" if brands[0] in (*_HEVC, b"mif1", b"msf1") or any(brand in _HEVC for brand in brands) else None
    return next((kind for signature, kind in _SIGNATURES if start.startswith(signature)), None)
