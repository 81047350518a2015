"""Places that are no paths of this machine: objects and folders that fsspec knows, as `s3://bucket/in/photo.png`.

Keys of object stores are any text, so nothing in them is tidied up: `a//b`, `a/../b` and `a/b` are three objects.

| module | holds |
|---|---|
| `remote.py` | `Remote`: what `pathlib.Path` is to a file; `place`: what somebody typed |
| `stores.py` | the store behind a place, connected once: its package, options, connections |
| `failures.py` | what went wrong: tried again where it may pass, else a sentence |
| `listing.py` | `kind`, `kinds`, `walk`: what lies at a place and in a folder |
| `reading.py` | `read` |
| `writing.py` | `write` |
"""

from fsrcnn.places.failures import heeding
from fsrcnn.places.listing import kind, kinds, walk
from fsrcnn.places.reading import TooLargeError, read
from fsrcnn.places.remote import Place, Remote, place
from fsrcnn.places.writing import write

__all__ = ["Place", "Remote", "TooLargeError", "heeding", "kind", "kinds", "place", "read", "walk", "write"]
