"""What is known of millions of names, in bounded memory: the latest thousands in a dictionary, the others in a file that nobody sees.

A name is known by 16 bytes of its BLAKE2: that two of 10⁹ names agree in them happens once in 10²⁰ times.
"""

from __future__ import annotations

import hashlib
import threading
from typing import Any

YOUNG = 50_000  # names that are held in memory until they are sorted into the file
CACHE = 48 * 2**20  # bytes of the file that are held in memory


class Ledger:
    """Names, and a text for each; any thread may ask.

    The file is SQLite's own temporary one: it has no name from the moment on that it is opened (on POSIX), so it goes with the
    process, however that ends. It lies where SQLITE_TMPDIR or TMPDIR says, else in /var/tmp or /tmp, and takes about 40 bytes for
    each name beside its text.
    """

    def __init__(self) -> None:
        self._young: dict[bytes, str] = {}
        self._file: Any = None
        self._lock = threading.Lock()

    def get(self, name: str) -> str | None:
        """The text of a name; None where it is not known."""
        with self._lock:
            return self._get(_key(name))

    def put(self, name: str, text: str) -> None:
        """Note the text of a name, in place of what was known."""
        with self._lock:
            self._put(_key(name), text)

    def claim(self, name: str, text: str) -> str | None:
        """Note the text of a name that is new (None); of one that is known, the text that it has and keeps."""
        key = _key(name)
        with self._lock:
            known = self._get(key)
            if known is None:
                self._put(key, text)
            return known

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._young.clear()
            if self._file is not None:
                self._file.close()
                self._file = None

    def _get(self, key: bytes) -> str | None:
        known = self._young.get(key)
        if known is not None or self._file is None:
            return known
        row = self._file.execute("SELECT text FROM names WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def _put(self, key: bytes, text: str) -> None:
        self._young[key] = text
        if len(self._young) >= YOUNG:
            self._settle()

    def _settle(self) -> None:
        """From the dictionary to the file: in its order, so that each page of it is touched once and not for every name."""
        if self._file is None:
            import sqlite3  # here, as few runs need it

            self._file = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            for setting in (f"cache_size = -{CACHE // 1024}", "journal_mode = OFF", "synchronous = OFF"):
                self._file.execute(f"PRAGMA {setting}")
            self._file.execute("CREATE TABLE names (key BLOB PRIMARY KEY, text TEXT) WITHOUT ROWID")
            self._file.execute("BEGIN")  # never ended: nothing is to outlive this
        young = ((key, _storable(text)) for key, text in sorted(self._young.items()))
        self._file.executemany("INSERT OR REPLACE INTO names VALUES (?, ?)", young)
        self._young.clear()


def _key(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _storable(text: str) -> str:
    """What SQLite takes: bytes of a name that are no text are spelled out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
