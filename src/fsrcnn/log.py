"""What a batch has done, line by line in a file: for programs to read, and for the next run of the same command to go on by.

A log is JSON, an object on each line. The first says what the pictures are made with:

    {"fsrcnn": "0.1.0", "settings": {"model": "fsrcnn", "weights": "9f86…", "size": {"factor": 2}, …}}

Then come, for jobs that are handed out, the pairs of source and target, so that a later run knows which outputs may be its own:

    {"begun": [["/in/a.png", "/out/a.png"], …]}

and for each that has ended, what became of it: `error` in place of the rest where it failed.

    {"source": "/in/a.png", "target": "/out/a.png", "bytes": 48291, "sha256": "5e88…", "seconds": {"read": 0.01, …},
     "model": "fsrcnn", "notes": [], "time": "2026-01-02T03:04:05+00:00"}

Lines are appended and leave the process at once. One that was cut off by the end of its process is removed by the next; any other that
cannot be read is an error, so that nothing is taken for done that is not.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import os
import stat
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

from fsrcnn import __version__, models
from fsrcnn.batch import Options, Outcome
from fsrcnn.errors import FsrcnnError, ImageError, UsageError
from fsrcnn.files import absolute, explained
from fsrcnn.folders import kind
from fsrcnn.jobs import Earlier, Job
from fsrcnn.ledger import Ledger
from fsrcnn.models import ModelName
from fsrcnn.places import Place
from fsrcnn.size import Size

try:
    import fcntl
except ImportError:  # Windows: nobody is kept from a log that is written to
    fcntl = None  # type: ignore[assignment]

BLOCK = 16  # jobs of a line that says what is handed out
DONE, FAILED = "done", "failed"  # in the ledger
ANOTHER = "give another file as {log}"


class Log:
    """The log of a run, held by it alone until it is closed.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        """
        Args:
            path: made if missing.
            settings: of `settings_of`.

        Raises:
            UsageError: it is no log, a line of it is damaged, it was begun with other settings, or another process writes to it.
            FsrcnnError: it cannot be read or written.
        """
        self.path = path
        self._states = Ledger()
        self._lock = threading.Lock()
        self._head = _line({"fsrcnn": __version__, "settings": settings})
        self._file: BinaryIO | None = None
        self._made = False  # by us, and no file before
        self._new = True  # nothing is in it that another run would miss
        try:
            self._file, self._made = _opened(path)
            self._hold()
            self._read(settings)
        except OSError as error:
            self.close()
            raise FsrcnnError(f"cannot use the log {path}: {explained(error)}") from error
        except BaseException:
            self.close()
            raise

    def earlier(self, job: Job) -> Earlier:
        """What earlier runs did with a job; one whose source or target is a stream is another one each time."""
        source, target = _name(job.source), _name(job.target)
        state = self._states.get(_key(source, target))
        if state is None or job.source is None or any(map(_is_stream, (job.source, job.target))):
            return "new"
        return "done" if state == DONE else "begun" if state == _begun(target) else "new"

    def handed_out(self, jobs: Iterable[Job]) -> Iterator[Job]:
        """The same jobs, each noted before it is begun.

        Raises:
            FsrcnnError: the log cannot be written.
        """
        drawn = iter(jobs)
        while block := list(itertools.islice(drawn, BLOCK)):
            pairs = [[_name(job.source), _name(job.target)] for job in block if job.error is None]
            if pairs:
                self._append({"begun": pairs})
            yield from block

    def note(self, outcome: Outcome) -> None:
        """Append what became of a job.

        Raises:
            FsrcnnError: the log cannot be written.
        """
        line: dict[str, Any] = {"source": _name(outcome.job.source), "target": _name(outcome.job.target)}
        try:
            done = outcome.result()
        except FsrcnnError as error:
            line["error"] = error.about(outcome.job.label)
        else:
            seconds = {"read": done.read_seconds, "upscale": done.upscale_seconds, "write": done.write_seconds}
            line |= {
                "bytes": done.bytes, "sha256": done.sha256, "seconds": seconds, "model": done.model, "notes": done.notes,
            }  # fmt: skip
        self._append({**line, "time": datetime.now(UTC).isoformat(timespec="seconds")})

    def close(self) -> None:
        """Let others have it. A new one in which nothing was noted is deleted."""
        self._states.close()
        if self._file is None:
            return
        if self._made and self._new:
            with contextlib.suppress(OSError):  # it stays, empty
                self.path.unlink(missing_ok=True)
        self._file.close()
        self._file = None

    def _hold(self) -> None:
        assert self._file is not None
        if not stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
            raise UsageError(f"{self.path} is no file, which a log is", ANOTHER)
        if fcntl is not None:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(
                    f"another process writes the log {self.path}", f"wait for its end, or {ANOTHER}"
                ) from error
            except OSError:  # a file system without locks
                pass

    def _read(self, settings: dict[str, Any]) -> None:
        """
        Raises:
            UsageError: as the class.
        """
        assert self._file is not None
        whole = 0  # bytes of whole lines
        reader = io.BufferedReader(cast(io.RawIOBase, self._file), 2**20)  # raw, lines would be read a byte at a time
        for number, text in enumerate(reader, 1):
            if not text.endswith(b"\n"):
                if number == 1 and not self._head.startswith(text):
                    raise UsageError(f"{self.path} is no log of this program", ANOTHER)
                break
            if number == 1:
                self._check_head(text, settings)
            else:
                self._take(text, number)
            whole += len(text)
        reader.detach()
        self._new = not whole
        if os.fstat(self._file.fileno()).st_size > whole:
            self._file.truncate(whole)  # what a process wrote last that was killed

    def _check_head(self, text: bytes, settings: dict[str, Any]) -> None:
        head = _parsed(text)
        if not isinstance(head, dict) or not isinstance(head.get("settings"), dict) or "fsrcnn" not in head:
            raise UsageError(f"{self.path} is no log of this program", ANOTHER)
        if head["fsrcnn"] != __version__:
            raise UsageError(f"the log {self.path} was begun by version {head['fsrcnn']} of this program", ANOTHER)
        now, then = _parsed(_line(settings)), head["settings"]
        for name in {**now, **then}:
            if now.get(name) != then.get(name):
                raise UsageError(
                    f"the log {self.path} was begun with {name} {_shown(then.get(name))}, not {_shown(now.get(name))}",
                    ANOTHER,
                )

    def _take(self, text: bytes, number: int) -> None:
        line = _parsed(text)
        try:
            if "begun" in line:
                for source, target in line["begun"]:
                    self._states.put(_key(source, target), _begun(target))
                return
            key = _key(line["source"], line["target"])
            if "error" in line:
                self._states.put(key, FAILED)
            elif isinstance(line["bytes"], int):
                self._states.put(key, DONE)
            else:
                raise ValueError
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise UsageError(
                f"line {number:,} of the log {self.path} is damaged", f"remove it, or {ANOTHER}"
            ) from error

    def _append(self, line: dict[str, Any]) -> None:
        with self._lock:
            if self._file is None:
                return  # a job that is drawn while the run ends
            try:
                if self._new:
                    self._write(self._head)
                    self._new = False
                self._write(_line(line))
            except OSError as error:
                self._file.close()
                self._file = None  # nothing comes behind half a line
                raise FsrcnnError(f"cannot write the log {self.path}: {explained(error)}") from error

    def _write(self, line: bytes) -> None:
        assert self._file is not None
        while line:
            line = line[self._file.write(line) :]


def settings_of(
    model: ModelName, size: Size, options: Options, *, format: str | None, precision: str, engine: str
) -> dict[str, Any]:
    """What settles the bytes of outputs, for a log's first line: the model with the SHA-256 of its weights, the size, the format …"""
    if isinstance(model, str) and model == models.AUTO:
        from fsrcnn import choice  # here, as it takes time to import

        names: Sequence[ModelName] = choice.families()
    else:
        names = [model]
    weights = hashlib.sha256()
    for name in names:
        for _, network in sorted(models.by_scale(name).items()):
            weights.update(network().to_bytes())
    return {
        "model": "weights given as arrays" if isinstance(model, models.Network) else str(model),
        "weights": weights.hexdigest(),
        "size": {name: value for name, value in asdict(size).items() if value is not None},
        "engine": engine, "precision": precision, "format": format, "quality": options.quality, "lossless": options.lossless,
        "page": options.page, "tolerant": options.tolerant,
    }  # fmt: skip


def _opened(path: Path) -> tuple[BinaryIO, bool]:
    """For reading, and for appending whole lines; and whether it was made."""
    flags = (
        os.O_RDWR
        | os.O_APPEND
        | getattr(os, "O_CLOEXEC", 0)
        | getattr(os, "O_NONBLOCK", 0)
        | getattr(os, "O_BINARY", 0)
    )
    try:
        descriptor, made = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666), True
    except FileExistsError:
        descriptor, made = os.open(path, flags), False
    return os.fdopen(descriptor, "r+b", buffering=0), made


def _line(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _shown(value: object) -> str:
    return "none" if value is None else json.dumps(value).strip('"')


def _name(place: Place | None) -> str | None:
    """A place in the log: absolute, without a password; what is left out of a URL is a hash at its end."""
    if place is None:
        return None
    if isinstance(place, Path):
        return str(absolute(place))
    shown = str(place)
    if shown == place.url:
        return shown
    return f"{shown}#{hashlib.blake2b(place.url.encode('utf-8', 'surrogatepass'), digest_size=8).hexdigest()}"


def _is_stream(place: Place | None) -> bool:
    """Whether it is another one each time: a pipe, a device, a stream of this process."""
    try:
        return isinstance(place, Path) and kind(place) == "device"
    except ImageError:  # said where it is used
        return False


def _begun(target: object) -> str:
    """In the ledger, that a job was begun with this target: short, as there may be millions."""
    return hashlib.blake2b(str(target).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _key(source: str | None, target: str | None) -> str:
    """A job by its names; the target's ending is left out, which the source's content may have changed."""
    if not all(name is None or isinstance(name, str) for name in (source, target)):
        raise ValueError
    return f"{source}\0{None if target is None else os.path.splitext(target)[0]}"  # noqa: PTH122  (of a URL, too)
