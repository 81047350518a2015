"""XMP (ISO 16684-1) follows the pixels: the few values that tell their size and orientation are set, the rest stays byte for byte."""

from __future__ import annotations

import codecs
import re

_TIFF, _EXIF = "http://ns.adobe.com/tiff/1.0/", "http://ns.adobe.com/exif/1.0/"
_GAIN_MAPS = ("http://ns.adobe.com/hdr-gain-map/1.0/", "http://ns.apple.com/HDRGainMap/1.0/")
_CAMERA = "http://ns.google.com/photos/1.0/camera/"
_CONTAINER = "http://ns.google.com/photos/1.0/container/"
_ENCODINGS = {
    b"<\0": "utf-16-le",
    b"\0<": "utf-16-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


def resized(xmp: bytes, width: int, height: int) -> bytes:
    """XMP of an upright picture of another size: `tiff:Orientation`, `tiff:ImageWidth`, `exif:PixelXDimension` and their like."""
    text, encoding = _decoded(xmp)
    wanted = {
        (_TIFF, "Orientation"): 1, (_TIFF, "ImageWidth"): width, (_TIFF, "ImageLength"): height,
        (_EXIF, "PixelXDimension"): width, (_EXIF, "PixelYDimension"): height,
    }  # fmt: skip
    for (space, name), value in wanted.items():
        for prefix in _prefixes(text, space):
            text = re.sub(rf"""(\s{prefix}:{name}\s*=\s*(["']))[^"'<]*(?=\2)""", rf"\g<1>{value}", text)
            text = re.sub(rf"(<{prefix}:{name}(?:\s[^<>]*)?>)[^<]*(?=</)", rf"\g<1>{value}", text)
    return text.encode(encoding, "surrogateescape")


def without_padding(xmp: bytes) -> bytes:
    """XMP without the blanks that packets keep free for editors."""
    body, mark, end = xmp.rpartition(b"<?xpacket end")
    return body.rstrip() + b"\n" + mark + end.rstrip() if mark else xmp.rstrip()


def without_attachments(xmp: bytes) -> tuple[bytes, tuple[str, ...]]:
    """XMP of the still picture alone, and what else it spoke of: `gain map`, `video`.

    What followed the picture in its file (Ultra HDR, motion photos) is not written, so nobody may be sent to look for it.
    """
    text, encoding = _decoded(xmp)
    found: list[str] = []
    gain_map = [prefix for space in _GAIN_MAPS for prefix in _prefixes(text, space)]
    motion = [prefix for prefix in _prefixes(text, _CAMERA) if re.search(rf"{prefix}:(MotionPhoto|MicroVideo)\b", text)]
    if gain_map or re.search(r"Semantic\s*(=\s*[\"']|>)\s*GainMap", text):
        found.append("gain map")
    if motion:
        found.append("video")
    if not found:
        return xmp, ()
    names = [rf"{prefix}:\w+" for prefix in gain_map] + [
        rf"{prefix}:(?:MotionPhoto|MicroVideo)\w*" for prefix in motion
    ]
    names += [rf"{prefix}:Directory" for prefix in _prefixes(text, _CONTAINER)]
    for name in names:
        text = re.sub(rf"<({name})(\s[^<>]*)?(/>|>.*?</\1\s*>)", "", text, flags=re.DOTALL)
        text = re.sub(rf"""\s{name}\s*=\s*("[^"<]*"|'[^'<]*')""", "", text)
    return text.encode(encoding, "surrogateescape"), tuple(found)


def _decoded(xmp: bytes) -> tuple[str, str]:
    encoding = _ENCODINGS.get(xmp[:2], "utf-8")
    return xmp.decode(encoding, "surrogateescape"), encoding


def _prefixes(text: str, space: str) -> list[str]:
    """The names by which a packet calls a namespace, as patterns."""
    return sorted(
        {re.escape(name) for name in re.findall(rf"""xmlns:([\w.-]+)\s*=\s*["']{re.escape(space)}["']""", text)}
    )
