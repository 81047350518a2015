"""Pictures in and out of files, with what a file carries beside its pixels.

libvips does the work (16 bit, ICC, TIFF, WebP, AVIF, GIF, fast PNG; loaders it holds for untrusted are blocked).
It is the only image library the upscaling path needs; BMP, which it cannot read, goes through Pillow. `formats.py` says what each
format can hold.

| module | holds |
|---|---|
| `picture.py` | `Picture`: what a file becomes; `Written`: what became of one |
| `reading.py` | `read` |
| `writing.py` | `write` |
| `vips.py` | libvips: loaded when first needed, its errors in our words |
"""

from fsrcnn.images.picture import Picture, Written, oriented
from fsrcnn.images.reading import MAX_PIXELS, read
from fsrcnn.images.writing import write

__all__ = ["MAX_PIXELS", "Picture", "Written", "oriented", "read", "write"]
