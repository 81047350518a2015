"""Y4M, the uncompressed frames that encoders read from a pipe."""

from __future__ import annotations

from fractions import Fraction
from typing import BinaryIO, Self

from fsrcnn.video.formats import PixelFormat
from fsrcnn.video.library import FilmError, Frame, explained, pyav

DEPTHS = ("", "9le", "10le", "12le", "14le", "16le")
FORMATS = tuple(f"{kind}{depth}" for kind in ("yuv420p", "yuv422p", "yuv444p", "gray") for depth in DEPTHS)


class Writer:
    """Writes frames to a stream; a context manager."""

    def __init__(
        self, stream: BinaryIO, size: tuple[int, int], format: PixelFormat, rate: Fraction, aspect: Fraction | None
    ) -> None:
        self._stream = _Counted(stream)
        av = pyav()
        options = {"strict": "-1"}  # more than 8 bit, as all readers of today take them
        self._container = av.open(self._stream, "w", format="yuv4mpegpipe", options=options)
        self._video = self._container.add_stream("wrapped_avframe", rate=rate)
        self._video.height, self._video.width = size
        self._video.pix_fmt = format.name
        if aspect:
            self._video.sample_aspect_ratio = aspect
        self._number = 0

    def write(self, frame: Frame) -> int:
        """One frame; returns the bytes written so far.

        Raises:
            FilmError: the stream is closed or full.
        """
        av = pyav()
        frame.pts, frame.time_base = self._number, 1 / self._video.codec_context.framerate
        self._number += 1
        try:
            self._container.mux(self._video.encode(frame))
        except (av.FFmpegError, OSError) as error:
            raise FilmError(f"cannot write the frames: {explained(error)}") from error
        return self._stream.bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> None:
        try:
            self._container.close()
        except (pyav().FFmpegError, OSError) as error:
            if kind is None:  # else that is what stopped the work, and FFmpeg meets it again
                raise FilmError(f"cannot write the frames: {explained(error)}") from error


class _Counted:
    """A stream that nobody seeks in, and the bytes that went into it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self.bytes = stream, 0

    def write(self, data: bytes) -> int:
        self._stream.write(data)
        self.bytes += len(data)
        return len(data)
