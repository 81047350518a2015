"""Pictures in and out of files, with what a file carries beside its pixels.

libvips does the work (16 bit, ICC, TIFF, WebP, AVIF, GIF, fast PNG; loaders it holds for untrusted are blocked).
It is the only image library the upscaling path needs; BMP and the frames of animated PNG and AVIF, of which it knows nothing, go
through Pillow. `formats.py` says what each format can hold.

| module | holds |
|---|---|
| `picture.py` | `Picture`: what a file becomes; `Written`: what became of one |
| `reading.py` | `read`: the way of a file, and why it is refused |
| `content.py` | its bytes, read once, from files, pipes, devices and stores |
| `compression.py` | what it says of its losses: a JPEG's quality |
| `structure.py` | what it says of itself: size, frames, whether its end is there |
| `tiff.py` | the directories of a TIFF: pages, copies, masks; several TIFFs in one |
| `bmp.py` | BMP |
| `animation.py` | frames of PNG and AVIF |
| `decoding.py` | pixels by libvips: every one, or an error |
| `writing.py` | `write`, and what is refused before the work |
| `metadata.py` | what a file carries beside its pixels, from format to format |
| `colour.py` | what colours mean where no ICC profile says it |
| `tags.py`, `xmp.py` | TIFF's and EXIF's tags; XMP: edited where they tell size and orientation |
| `containers.py`, `isobmff.py` | what lies beside the pixels in PNG, JPEG, WebP, GIF; in AVIF |
| `vips.py` | libvips: loaded when first needed |
"""

from fsrcnn.images.compression import Compression, pil_compression, quality_of
from fsrcnn.images.content import stream_content
from fsrcnn.images.metadata import pil_info
from fsrcnn.images.picture import Picture, Written, oriented
from fsrcnn.images.reading import MAX_PIXELS, read
from fsrcnn.images.writing import check_fits, write

__all__ = [
    "MAX_PIXELS", "Compression", "Picture", "Written", "check_fits", "oriented", "pil_compression", "pil_info", "quality_of", "read",
    "stream_content", "write",
]  # fmt: skip
