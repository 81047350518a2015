"""libvips: loaded when first needed, once, by one process."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
from collections.abc import Iterator
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
    _silence(pyvips)
    return pyvips


def _silence(pyvips: Any) -> None:
    """Let no Python run where libvips warns.

    pyvips hands warnings to Python's `logging`. Where that collects garbage, a picture may be closed, which may warn again, and GLib
    ends the process when a warning is logged in the middle of another one. Nobody would see them, either. What takes its place is any
    function in C that looks at no argument.
    """
    pyvips._remove_log_handler()
    nothing = ctypes.cast(ctypes.pythonapi.Py_IsInitialized, ctypes.c_void_p).value
    _hear(pyvips, pyvips.ffi.cast("GLogFunc", nothing))


def _hear(pyvips: Any, handler: Any) -> int:
    levels = pyvips.GLogLevelFlags
    kinds = levels.LEVEL_WARNING | levels.LEVEL_CRITICAL | levels.LEVEL_MESSAGE | levels.LEVEL_INFO | levels.LEVEL_DEBUG
    return int(pyvips.glib_lib.g_log_set_handler(b"VIPS", kinds | levels.FLAG_RECURSION, handler, pyvips.ffi.NULL))


@contextlib.contextmanager
def warnings_of_libvips() -> Iterator[set[str]]:
    """What libvips warns of meanwhile. No garbage is collected then (`_silence` says why)."""
    pyvips, heard = libvips(), set[str]()
    collector = logging.Handler(logging.WARNING)
    collector.emit = lambda record: heard.add(record.getMessage())  # type: ignore[method-assign]
    logger, collecting = logging.getLogger("pyvips"), gc.isenabled()
    gc.disable()
    logger.addHandler(collector)
    number = _hear(pyvips, pyvips._log_handler_cb)
    try:
        yield heard
    finally:
        pyvips.glib_lib.g_log_remove_handler(b"VIPS", number)
        logger.removeHandler(collector)
        if collecting:
            gc.enable()
