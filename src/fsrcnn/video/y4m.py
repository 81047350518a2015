"""Y4M, the uncompressed frames that encoders read from a pipe."""

from __future__ import annotations

from fractions import Fraction
from types import TracebackType
from typing import BinaryIO, Self

from fsrcnn.video.colour import FULL, LIMITED, SITINGS
from fsrcnn.video.formats import PixelFormat
from fsrcnn.video.library import FilmError, Frame, explained, pyav

DEPTHS = ("", "9le", "10le", "12le", "14le", "16le")
FORMATS = tuple(f"{kind}{depth}" for kind in ("yuv420p", "yuv422p", "yuv444p", "gray") for depth in DEPTHS)


class Writer:
    """Writes frames to a stream; a context manager."""

    def __init__(
        self, stream: BinaryIO, size: tuple[int, int], format: PixelFormat, rate: Fraction, aspect: Fraction | None,
        *, range: int = 0, siting: str | None = None,
    ) -> None:  # fmt: skip
        """
        Args:
            stream: need not be seekable.
            size: (height, width) of the frames.
            format: of their pixels, of `FORMATS`.
            rate: frames per second.
            aspect: of a pixel; None where the film does not say.
            range: as in `colour.Tags`.
            siting: where chroma lies, of `colour.SITINGS`; at the left where nothing is said.
        """
        self._stream = _Counted(stream)
        av = pyav()
        options = {"strict": "-1"}  # more than 8 bit, as all readers of today take them
        self._container = av.open(self._stream, "w", format="yuv4mpegpipe", options=options)
        self._video = self._container.add_stream("wrapped_avframe", rate=rate)
        self._video.height, self._video.width = size
        self._video.pix_fmt = format.name
        if aspect:
            self._video.codec_context.sample_aspect_ratio = aspect
        if range in (LIMITED, FULL):
            self._video.codec_context.color_range = range
        if format.chroma == 420:  # Y4M that says nothing is taken for centred
            self._video.codec_context.options = {"chroma_sample_location": siting or next(iter(SITINGS))}
        self._number = 0

    def write(self, frame: Frame) -> int:
        """One frame; returns the bytes written so far.

        Raises:
            FilmError: the stream is closed or full.
            BrokenPipeError: its reader has gone.
        """
        av = pyav()
        frame.pts, frame.time_base = self._number, 1 / self._video.codec_context.framerate
        self._number += 1
        try:
            self._container.mux(self._video.encode(frame))
        except BrokenPipeError:
            raise
        except (av.FFmpegError, OSError) as error:
            raise FilmError(f"cannot write the frames: {explained(error)}") from error
        return self._stream.bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Into a pipe that is closed, or onto a full disk, the rest does not get either: what was said first counts.
        try:
            self._container.close()
        except BrokenPipeError:
            if error is None:
                raise
        except (pyav().FFmpegError, OSError) as reason:
            if error is None:
                raise FilmError(f"cannot write the frames: {explained(reason)}") from reason


class _Counted:
    """A stream that nobody seeks in, and the bytes that went into it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self.bytes = stream, 0

    def write(self, data: bytes) -> int:
        self._stream.write(data)
        self.bytes += len(data)
        return len(data)
