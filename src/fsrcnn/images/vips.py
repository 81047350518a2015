"""libvips: loaded when first needed, once, by one process."""

from __future__ import annotations

from functools import cache
from typing import Any

from fsrcnn.parallel import Owner
from fsrcnn.require import require

_OWNER = Owner("libvips")


def libvips() -> Any:
    """pyvips, imported at the first picture: it takes longer than the whole rest of `import fsrcnn`.

    Raises:
        FsrcnnError: this process was forked from one that had used it.
    """
    _OWNER.check()
    return _loaded()


@cache
def _loaded() -> Any:
    pyvips = require("pyvips", "picture files", extra="binary", of="pyvips")
    pyvips.block_untrusted_set(True)
    pyvips.cache_set_max(0)  # each picture is read once; a cache would only hold memory
    return pyvips
