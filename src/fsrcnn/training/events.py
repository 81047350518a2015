"""Metrics for TensorBoard, written by the run itself: TensorBoard's own writer has a thread that dies aloud on a full disk."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from pathlib import Path

from fsrcnn.errors import FsrcnnError, MissingExtraError

try:
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter
except ImportError as error:
    raise MissingExtraError(
        "training records its metrics with tensorboard, which is not installed", "type: pip install 'fsrcnn[train]'"
    ) from error

VERSION = "brain.Event:2"  # of the format, in the first event of a file


class Events:
    """A file of scalars over the updates (TensorFlow's `event.proto`, in records with checksums)."""

    def __init__(self, folder: Path, after: int) -> None:
        """
        Args:
            folder: for a file of this part of the run; made if missing.
            after: updates done before it. Later points in older files are those of a run that was killed, and no longer count.

        Raises:
            FsrcnnError: the file cannot be made.
        """
        self.path = folder / f"events.out.tfevents.{time.time():017.6f}.{socket.gethostname()}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FsrcnnError(f"cannot write {self.path}: {error.strerror}") from error
        self._add(Event(file_version=VERSION))
        if after:
            self._add(Event(step=after + 1, session_log=SessionLog(status=SessionLog.START)))

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """A point of each curve.

        Raises:
            FsrcnnError: the file cannot be written to.
        """
        for name, value in values.items():
            self._add(Event(step=step, summary=Summary(value=[Summary.Value(tag=name, simple_value=value)])))

    def _add(self, event: Event) -> None:
        event.wall_time = time.time()
        try:
            with self.path.open("ab", buffering=0) as file:
                RecordWriter(file).write(event.SerializeToString())
        except OSError as error:
            raise FsrcnnError(f"cannot write {self.path}: {error.strerror}") from error
