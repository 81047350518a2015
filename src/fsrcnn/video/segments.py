"""Work that survives a kill: the encoded frames in segments, each a file of our own.

A segment holds what a fresh encoder made of some hundred frames. It is written beside its name, flushed to the disk and renamed, so
one that is there is whole; its checksum says so. A run that resumes counts those that are there and goes on after the last. So an
interrupted run and an uninterrupted one write the same bytes: both are the same segments.

    magic · uint32 length of the header · header (JSON) · packets · findings · trailer · uint32 CRC-32 of all before it
    packet: int64 time, int64 duration, uint8 key frame, uint32 length, data; after the last one a length of 2^32 - 1
    findings (JSON)
    trailer: int64 frames, int64 time of the last one shown, five uint32: what was wrong with them (`damage.Counts`), uint32 length of
    the findings

Times are in units of the film's own time base: a container would round them. Decoding times are not kept; `decoding_times` makes them.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from fsrcnn import files
from fsrcnn.errors import UsageError
from fsrcnn.video.damage import Counts
from fsrcnn.video.library import FilmError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

MAGIC = b"FSRCNN segment 1\n"
PACKET = struct.Struct("<qqBI")
TRAILER = struct.Struct("<qq6I")
LENGTH = struct.Struct("<I")
END = 2**32 - 1
FINISHED = "finished"  # a file that says which film was made of the segments
IDENTIFYING = 2**20  # bytes at each end of a film by which it is known again
FRAMES = 240  # of a segment: at most 10 s of a film are done again; x264 sets a key frame every 250 anyway


@dataclass(frozen=True)
class EncodedFrame:
    """A packet of an encoder: `time` and `duration` in units of the film's time base."""

    time: int
    duration: int
    key: bool
    data: bytes


@dataclass(frozen=True)
class Segment:
    """A segment that is whole.

    Attributes:
        path: its file.
        header: what it was made with and from, as `Workplace` was given it, and `extradata` in hexadecimal.
        frames: how many.
        last: the time of the last one shown.
        counts: what was wrong with them.
        findings: what was measured of them, frame by frame; empty where nothing was.
    """

    path: Path
    header: dict[str, Any]
    frames: int
    last: int
    counts: Counts
    findings: list[Any]

    def packets(self) -> Iterator[EncodedFrame]:
        """In the order of the encoder."""
        with self.path.open("rb") as file:
            _header(file)
            while True:
                time, duration, key, length = PACKET.unpack(file.read(PACKET.size))
                if length == END:
                    return
                yield EncodedFrame(time, duration, bool(key), file.read(length))

    def times(self) -> list[int]:
        """Those of all packets, in the order of the encoder; the data are not read."""
        times: list[int] = []
        with self.path.open("rb") as file:
            _header(file)
            while True:
                time, _, _, length = PACKET.unpack(file.read(PACKET.size))
                if length == END:
                    return times
                times.append(time)
                file.seek(length, io.SEEK_CUR)


class SegmentWriter:
    """Writes one segment, packet by packet."""

    def __init__(self, file: BinaryIO, header: dict[str, Any]) -> None:
        self._file, self._crc = file, 0
        text = json.dumps(header, sort_keys=True).encode()
        self._write(MAGIC + LENGTH.pack(len(text)) + text)

    def packet(self, frame: EncodedFrame) -> None:
        self._write(PACKET.pack(frame.time, frame.duration, frame.key, len(frame.data)))
        self._write(frame.data)

    def end(self, frames: int, last: int, counts: Counts, findings: Sequence[Any] = ()) -> None:
        """After the last packet; then the file is on the disk."""
        text = json.dumps(findings).encode()
        self._write(PACKET.pack(0, 0, 0, END) + text + TRAILER.pack(frames, last, *counts, len(text)))
        self._file.write(LENGTH.pack(self._crc))
        self._file.flush()
        os.fsync(self._file.fileno())

    def _write(self, data: bytes) -> None:
        self._crc = zlib.crc32(data, self._crc)
        self._file.write(data)


class Workplace:
    """The folder beside a film that is being made, with its segments: `.NAME.segments`; a context manager that holds it.

    Attributes:
        folder: where it is.
        done: the segments that are whole, in their order.
    """

    def __init__(self, output: Path, about: dict[str, Any], *, resume: bool, replace: bool) -> None:
        """
        Args:
            output: the film that is being made.
            about: all that the frames depend on; segments of anything else are not taken.
            resume: go on after the segments that are there.
            replace: begin again where there are some.

        Raises:
            UsageError: there are segments, and neither is asked for; or those to go on with were made otherwise.
            FilmError: the folder cannot be made, or another run works in it.
        """
        self.folder = folder_of(output)
        self._about = about
        self.done: list[Segment] = []
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self.folder, output)
        except OSError as error:
            raise FilmError(f"cannot write {self.folder}: {files.explained(error)}") from error
        try:
            self._settle(output, resume, replace)
        except BaseException:
            self.close()
            raise

    def _settle(self, output: Path, resume: bool, replace: bool) -> None:
        for path in self.folder.iterdir():
            # Of killed runs, and of a film that is no more: nobody else works here.
            if path.name == FINISHED or files.PART.fullmatch(path.name):
                path.unlink()
        paths = sorted(self.folder.glob("*.segment"))
        if not resume:
            if paths and not replace:
                raise UsageError(
                    f"{output} was begun before, and {len(paths)} segments of it are there",
                    "give {resume=True} to go on, or {overwrite=True} to begin again",
                )
            for path in paths:
                path.unlink()
            return
        for number, path in enumerate(paths):
            segment = read(path) if path.name == _name(number) else None
            if segment is None:  # a gap, or a damaged one: from there on all is made again
                for left in paths[number:]:
                    left.unlink()
                return
            if any(segment.header.get(name) != value for name, value in self._about.items()):
                changed = next(name for name, value in self._about.items() if segment.header.get(name) != value)
                raise UsageError(
                    f"{output} was begun with another {changed}: {segment.header.get(changed)}, not {self._about[changed]}",
                    "give what was given before, or {overwrite=True} to begin again",
                )
            self.done.append(segment)

    def __enter__(self) -> Workplace:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def close(self) -> None:
        """Another run may use the folder; what is done stays."""
        if not any(self.folder.glob("*.segment")):
            self.remove()
        self._lock.close()

    @contextlib.contextmanager
    def segment(self, extradata: bytes) -> Iterator[SegmentWriter]:
        """Write the next segment: whole at the end, or not there."""
        path = self.folder / _name(len(self.done))
        try:
            with files.beside(path, FilmError) as part, part.open("wb") as file:
                yield SegmentWriter(file, {**self._about, "extradata": extradata.hex()})
        except FilmError as error:
            if isinstance(error.__cause__, OSError):  # a full disk, most often
                raise FilmError(error.fact, "once that is mended, give {resume=True} to go on") from error
            raise
        _flush_folder(self.folder)
        segment = read(path)
        if segment is None:
            raise FilmError(f"what was written to {path} cannot be read again")
        self.done.append(segment)

    def finish(self, film: Path, about: dict[str, Any]) -> None:
        """Note, right before it is put in place, that the film is whole; a run that is killed then is known to have been done."""
        record = {"film": identity(film), "about": about}
        files.write(self.folder / FINISHED, json.dumps(record).encode(), FilmError)

    def remove(self) -> None:
        """The film is there: nothing of this is needed any more."""
        _remove(self.folder)


def finished(output: Path) -> dict[str, Any] | None:
    """What was noted of a film that is in place while the folder of its segments still is; removes the folder.

    Returns:
        What `Workplace.finish` was given; None where the output is something else.

    Raises:
        FilmError: another run works there.
    """
    folder = folder_of(output)
    with contextlib.suppress(OSError):  # a kill in the very last step left it empty
        folder.rmdir()
    try:
        record = json.loads((folder / FINISHED).read_bytes())
        if record["film"] != identity(output):
            return None
        lock = _locked(folder, output)
    except (OSError, ValueError):
        return None
    with lock:
        _remove(folder)
    about = record["about"]
    assert isinstance(about, dict)
    return about


def folder_of(output: Path) -> Path:
    """The folder of a film's segments: beside it, where a symbolic link leads."""
    place = files.resolved(output)
    return place.with_name(f".{place.name}.segments")


def identity(film: Path) -> str:
    """A film by its length and the bytes at both of its ends.

    Raises:
        OSError: it cannot be read.
    """
    with film.open("rb") as file:
        length = file.seek(0, 2)
        file.seek(0)
        start = file.read(IDENTIFYING)
        file.seek(max(0, length - IDENTIFYING))
        return f"{length} {zlib.crc32(start):08x} {zlib.crc32(file.read()):08x}"


def _locked(folder: Path, output: Path) -> BinaryIO:
    """
    Raises:
        FilmError: another run works there.
        OSError: it cannot be written.
    """
    lock = (folder / "lock").open("wb")
    if fcntl is not None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.close()
            raise FilmError(f"another run is making {output}") from error
    return lock


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):
        # What says that the film is whole goes last: until then, whoever comes after a kill removes the rest.
        for path in sorted(folder.iterdir(), key=lambda path: path.name == FINISHED):
            if path.suffix == ".segment" or path.name in ("lock", FINISHED) or files.PART.fullmatch(path.name):
                path.unlink(missing_ok=True)
        folder.rmdir()


def read(path: Path) -> Segment | None:
    """A segment; None where it is damaged or of another version."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            crc, left = 0, size - LENGTH.size
            while left > 0:
                block = file.read(min(left, 2**20))
                if not block:
                    return None
                crc, left = zlib.crc32(block, crc), left - len(block)
            if file.read(LENGTH.size) != LENGTH.pack(crc):
                return None
            file.seek(size - LENGTH.size - TRAILER.size)
            frames, last, *counts, length = TRAILER.unpack(file.read(TRAILER.size))
            file.seek(size - LENGTH.size - TRAILER.size - length)
            findings = json.loads(file.read(length))
            file.seek(0)
            header = _header(file)
    except (OSError, ValueError, struct.error):
        return None
    return Segment(path, header, frames, last, Counts(*counts), findings)


def decoding_times(times: Sequence[int]) -> list[int]:
    """When each packet is to be decoded, from when its frame is shown: growing, and never after it is shown.

    Packets are decoded in the order given. With D frames of delay, packet k is decoded when the (k - D)th frame is shown; the first D
    before the first frame, spaced as the first frames are. For 0, 3, 1, 2 (D = 1): -1, 0, 1, 2.
    """
    shown = sorted(times)
    delay = 0
    places = {time: place for place, time in enumerate(shown)}
    for number, time in enumerate(times):
        delay = max(delay, number - places[time])
    if not shown or not delay:
        return list(shown)
    reach = shown[min(delay, len(shown) - 1)] - shown[0]
    before = [shown[0] + (shown[number] - shown[0]) - reach for number in range(min(delay, len(shown)))]
    return [*before, *shown[: len(shown) - len(before)]]


def _name(number: int) -> str:
    return f"{number:06}.segment"


def _header(file: BinaryIO) -> dict[str, Any]:
    """
    Raises:
        ValueError, struct.error: it is none.
    """
    if file.read(len(MAGIC)) != MAGIC:
        raise ValueError("no segment")
    (length,) = LENGTH.unpack(file.read(LENGTH.size))
    header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise ValueError("no header")
    return header


def _flush_folder(folder: Path) -> None:
    """A new name lasts when its folder is on the disk, too."""
    with contextlib.suppress(OSError):  # Windows opens no folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
