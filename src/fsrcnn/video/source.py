"""A film that is opened: which of its streams is the picture, what is refused, and its frames one by one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from fsrcnn.video.library import FilmError, Frame, explained, pyav

STILL = ("image2", "png_pipe", "jpeg_pipe", "webp_pipe", "bmp_pipe", "tiff_pipe", "gif", "apng")
"""Formats of pictures, which `fsrcnn upscale` enlarges."""
PLAYLISTS = ("hls", "concat", "dash", "mpjpeg")
PIPE = "yuv4mpegpipe"  # the one format that is read from a pipe


class Source:
    """A film, open for reading; a context manager.

    Attributes:
        label: what to call it.
        video: the stream of the picture: the first that is no cover.
        first: its first frame.
        time_base: of the frames' times, in seconds.
        rate: frames per second: the mean, where the film says it.
        damaged: how many frames were broken or could not be decoded, so far.
        moved: how many times of frames did not grow, so far.
    """

    def __init__(self, source: Path | BinaryIO, label: str | None = None, threads: int | None = None) -> None:
        """
        Args:
            source: the file of a film, or a stream of Y4M.
            label: what to call it; its path where it is not given.
            threads: of the decoder; FFmpeg's own choice where it is not given.

        Raises:
            FilmError: it is no film, has no picture or no frame, or is one of a kind that is not taken.
            MissingExtraError: PyAV is not installed.
        """
        self.label = label or str(source)
        self._source, self._threads = source, threads
        self.damaged = self.moved = 0
        self._timed = True  # its frames say when they are shown
        self._open()
        try:
            self._check()
            self._decoded = self._decode()
            first = next(self._decoded, None)
            if first is None:
                raise FilmError(f"{self.label} holds no frame that can be decoded")
            if first.interlaced_frame:
                raise FilmError(
                    f"{self.label} is interlaced: each frame holds two moments",
                    "deinterlace it first, as with: ffmpeg -i FILM -vf bwdif -c:v ffv1 -c:a copy DEINTERLACED.mkv",
                )
            self.first = first
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Nothing can be read any more."""
        self.container.close()

    @property
    def from_pipe(self) -> bool:
        """Whether it can be read only once."""
        return not isinstance(self._source, Path)

    def frames(self, after: int | None = None, *, seek: bool = True) -> Iterator[Frame]:
        """The frames in the order in which they are shown, each with a time that is larger than the one before; once.

        Args:
            after: only those after the one of this time, which was decoded before; `damaged` and `moved` count from there.
            seek: by the film's index; not where times were moved.

        Raises:
            FilmError: there is no such frame any more.
        """
        if after is None:
            yield self.first
            yield from self._decoded
            return
        if not (seek and self._timed and self._sought(after)):
            self.container.close()
            self._open()
            self._decoded = self._decode()
            if not any(frame.pts == after for frame in self._decoded):
                raise FilmError(f"{self.label} has no frame any more at the time where the work was broken off")
        self.damaged = self.moved = 0
        yield from self._decoded

    def reopened(self) -> Any:
        """The film's container once more, from its beginning (of a pipe, which has one stream, the same); a context manager.

        Raises:
            FilmError: it cannot be read any more.
        """
        av = pyav()
        if not isinstance(self._source, Path):
            return contextlib.nullcontext(self.container)
        try:
            return av.open(str(self._source.absolute()), metadata_errors="replace")
        except (av.FFmpegError, OSError) as error:
            raise FilmError(f"{self.label} cannot be read any more: {explained(error)}") from error

    def _sought(self, after: int) -> bool:
        """Go by the film's index to the frame of a time; False where that leads elsewhere."""
        av = pyav()
        try:
            self.container.seek(after, stream=self.video, backward=True)
        except av.FFmpegError:
            return False
        self._decoded = self._decode()
        for frame in self._decoded:
            if frame.pts >= after:
                return bool(frame.pts == after)
        return False

    def _open(self) -> None:
        av = pyav()
        try:
            if isinstance(self._source, Path):
                if self._source.is_dir():
                    raise FilmError(f"{self.label} is a folder")
                self.container = av.open(str(self._source.absolute()), metadata_errors="replace")
            else:
                self.container = av.open(self._source, format=PIPE)
        except av.FileNotFoundError as error:
            raise FilmError(f"{self.label} does not exist") from error
        except (av.FFmpegError, OSError) as error:
            what = (
                "no film that can be read"
                if isinstance(self._source, Path)
                else "no Y4M, the one format read from a pipe"
            )
            raise FilmError(f"{self.label} is {what}: {explained(error)}") from error
        streams = [s for s in self.container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
        self.video: Any = streams[0] if streams else None
        if self.video is not None and self.video.codec_context is not None:
            self.video.codec_context.thread_type = "AUTO"
            if self._threads is not None:
                self.video.codec_context.thread_count = self._threads

    def _check(self) -> None:
        names = self.container.format.name.split(",")
        if set(names) & set(STILL) or (names[0].endswith("_pipe") and names[0] != PIPE):
            raise FilmError(f"{self.label} is a picture, no film", "type: fsrcnn upscale")
        if set(names) & set(PLAYLISTS):
            raise FilmError(f"{self.label} is a list of other files, no film")
        if self.video is None:
            raise FilmError(f"{self.label} has no video stream")
        if self.video.codec_context is None:
            raise FilmError(f"{self.label} has a video stream whose codec this FFmpeg does not know")
        self.time_base: Fraction = self.video.time_base
        self.rate: Fraction = self.video.average_rate or self.video.guessed_rate or Fraction(25)

    def _decode(self) -> Iterator[Frame]:
        """All frames from here on."""
        last: int | None = None
        step = max(1, round(1 / (self.rate * self.time_base)))
        for frame in self._raw():
            if frame.is_corrupt:
                self.damaged += 1
            if frame.pts is None:  # as in a bare stream of H.264: at its rate
                self._timed = False
                frame.pts = 0 if last is None else last + step
            elif last is not None and frame.pts <= last:
                self.moved += 1
                frame.pts = last + (1 if frame.pts == last else step)
            last = frame.pts
            yield frame

    def _raw(self) -> Iterator[Frame]:
        av = pyav()
        packets = self.container.demux(self.video)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError):  # cut off, in the middle of something
                self.damaged += 1
                packet = None
            if packet is None:
                with contextlib.suppress(av.FFmpegError):
                    yield from self.video.codec_context.decode(None)
                return
            if packet.size == 0:  # the last one, which asks the decoder for what is left
                with contextlib.suppress(av.FFmpegError):
                    yield from packet.decode()
                return
            try:
                frames = packet.decode()
            except av.FFmpegError:
                self.damaged += 1
                continue
            yield from frames
