"""A film that is opened: which of its streams is the picture, what is refused, and its frames one by one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

from fsrcnn.video.clock import Clock, Falls
from fsrcnn.video.colour import check_dolby_vision, header_of
from fsrcnn.video.damage import Counts
from fsrcnn.video.deinterlacing import deinterlaced
from fsrcnn.video.library import FilmError, Frame, explained, pyav
from fsrcnn.video.span import Span

STILL = ("image2", "png_pipe", "jpeg_pipe", "webp_pipe", "bmp_pipe", "tiff_pipe", "gif", "apng")
"""Formats of pictures, which `fsrcnn upscale` enlarges."""
PLAYLISTS = ("hls", "concat", "dash", "mpjpeg")
PLAYLIST_STARTS = (b"#EXTM3U", b"ffconcat version")  # of a file: so it is never opened, nor what it lists
OPENING: dict[str, Any] = {
    "metadata_errors": "replace",
    "options": {"protocol_whitelist": "file"},
}  # nothing from a network
ENCRYPTED = "encryption_info"  # side data of a packet
MOST_THREADS = 64  # of a decoder: FFmpeg fails with some more, and gains nothing
PIPE = "yuv4mpegpipe"  # the one format that is read from a pipe


class Decoded(NamedTuple):
    """A frame, and what was wrong until it had been decoded."""

    frame: Frame
    counts: Counts


class Source:
    """A film, open for reading; a context manager.

    Attributes:
        label: what to call it.
        video: the stream of the picture: the first that is no cover.
        first: its first frame.
        header: what its header says of the picture.
        time_base: of the frames' times, in seconds.
        rate: frames per second: the mean, where the film says it.
        begin, end: times of the frames that are wanted, in ticks: from `begin` on, before `end`; None: from or to the film's own.
        falls: where the film's clock is set back, as far as it was decoded.
        counts: what was wrong, as far as it was decoded.
    """

    def __init__(
        self,
        source: Path | BinaryIO,
        label: str | None = None,
        threads: int | None = None,
        span: Span | None = None,
        *,
        deinterlace: bool = False,
    ) -> None:
        """
        Args:
            source: the file of a film, or a stream of Y4M.
            label: what to call it; its path where it is not given.
            threads: of the decoder; FFmpeg's own choice where it is not given.
            span: the part that is wanted; all of it where it is not given.
            deinterlace: make a whole frame of each interlaced one; of each at all, where the first does not say that it is.

        Raises:
            FilmError: it is no film, has no picture or no frame, or is one of a kind that is not taken.
            MissingExtraError: PyAV is not installed.
        """
        self.label = label or str(source)
        self._source, self._threads, self._deinterlace = source, threads, deinterlace
        self._timed = True  # its frames say when they are shown
        self._size: tuple[int, int] | None = None  # of its first frame, once that is there
        self._open()
        try:
            self._check()
            self._decoded = self._decode()
            first = next(self._decoded, None)
            if first is None:
                raise FilmError(f"{self.label} holds no frame that can be decoded")
            if first.frame.interlaced_frame and not deinterlace:
                raise FilmError(
                    f"{self.label} is interlaced: each frame holds two moments",
                    "give {deinterlace=True} to make whole frames of them, as many as there are",
                )
            self._first, self.first = first, first.frame
            self.header = header_of(self.video)
            check_dolby_vision(self.label, self.header, self.first)
            self._size = (first.frame.width, first.frame.height)
            span = span or Span()
            self.begin = self._ticks(span.start) if span.start else None
            self.end = None if span.end is None else self._ticks(span.end)
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

    @property
    def beginning(self) -> Fraction:
        """The film's, in seconds on the clock of its frames: sound may begin before the picture."""
        start = self.container.start_time
        return self.first.pts * self.time_base if start is None else Fraction(start, 1_000_000)

    @property
    def upright(self) -> bool:
        """Whether players show rows as rows: it is not turned by 90° to either side."""
        return bool(round(self.first.rotation / 90) % 2 == 0)

    def frames(self, after: int | None = None, *, seek: bool = True) -> Iterator[Decoded]:
        """The wanted frames in the order in which they are shown, each with a time that is larger than the one before; once.

        Args:
            after: only those after the one of this time, which was decoded before; counts begin anew there.
            seek: by the film's index; not where times were moved.

        Raises:
            FilmError: there is no such frame any more.
        """
        wanted = self.begin if after is None else after
        decoded: Iterator[Decoded] = chain((self._first,), self._decoded)
        if wanted is not None and not self.from_pipe:
            decoded = self._near(wanted, seek)
        if self._deinterlace:
            decoded = deinterlaced(decoded, all_of_them=not self.first.interlaced_frame)
        found, before = after is None, Counts()
        for frame, counts in decoded:
            if after is not None and frame.pts <= after:
                found, before = found or frame.pts == after, counts
            elif self.begin is not None and frame.pts < self.begin:
                before = counts
            elif not found:
                break
            elif self.end is not None and frame.pts >= self.end:
                self.counts = counts.minus(before)
                return
            else:
                yield Decoded(frame, counts.minus(before))
        if not found:
            raise FilmError(f"{self.label} has no frame any more at the time where the work was broken off")
        self.counts = self.counts.minus(before)

    def sample(self, places: int) -> list[Frame]:
        """Frames from all over the wanted part, for whoever wants to know what it looks like; at least one.

        Of a pipe, the first. Then the film is at its beginning again.
        """
        found = [self.first]
        length = self.container.duration
        if self.from_pipe or not length:
            return found
        begin = self._ticks(Fraction(0)) if self.begin is None else self.begin
        end = self._ticks(Fraction(length, 1_000_000)) if self.end is None else self.end
        for place in range(places):
            time = begin + (end - begin) * place // places
            with contextlib.suppress(pyav().FFmpegError):
                self.container.seek(time, stream=self.video, backward=True)
                frame = next(self._decode(), None)
                if frame is not None and frame.frame.pts not in [other.pts for other in found]:
                    found.append(frame.frame)
        self._reopen()
        self._first = next(self._decoded)
        return found[1:] if self.begin is not None and len(found) > 1 else found

    def reopened(self) -> Any:
        """The film's container once more, from its beginning (of a pipe, which has one stream, the same); a context manager.

        Raises:
            FilmError: it cannot be read any more.
        """
        av = pyav()
        if not isinstance(self._source, Path):
            return contextlib.nullcontext(self.container)
        try:
            return av.open(str(self._source.absolute()), **OPENING)
        except (av.FFmpegError, OSError) as error:
            raise FilmError(f"{self.label} cannot be read any more: {explained(error)}") from error

    def _ticks(self, seconds: Fraction) -> int:
        """The first tick that is not before so many seconds after the film's beginning."""
        exact = (self.beginning + seconds) / self.time_base
        return -(-exact.numerator // exact.denominator)

    def _near(self, time: int, seek: bool) -> Iterator[Decoded]:
        """Frames from a key frame on that is shown at a time or before it; all where the index does not lead there."""
        if seek and self._timed:
            with contextlib.suppress(pyav().FFmpegError):
                self.container.seek(time, stream=self.video, backward=True)
                self._decoded = self._decode()
                first = next(self._decoded, None)
                # Elsewhere lie frames that lack the ones they were made from.
                if first is not None and first.frame.key_frame and first.frame.pts <= time:
                    return chain((first,), self._decoded)
        self._reopen()
        return self._decoded

    def _reopen(self) -> None:
        self.container.close()
        self._open()
        self._decoded = self._decode()

    def _open(self) -> None:
        av = pyav()
        try:
            if isinstance(self._source, Path):
                if self._source.is_dir():
                    raise FilmError(f"{self.label} is a folder")
                with contextlib.suppress(OSError), self._source.open("rb") as file:  # FFmpeg says what is wrong with it
                    self._check_playlist(file.read(max(map(len, PLAYLIST_STARTS))))
                self.container = av.open(str(self._source.absolute()), **OPENING)
            else:
                self.container = av.open(self._source, format=PIPE)
        except av.FileNotFoundError as error:
            raise FilmError(f"{self.label} does not exist") from error
        except (av.FFmpegError, OSError, ValueError) as error:  # a name may hold a zero byte
            what = (
                "no film that can be read"
                if isinstance(self._source, Path)
                else "no Y4M, the one format read from a pipe"
            )
            raise FilmError(f"{self.label} is {what}: {explained(error)}") from error
        streams = [s for s in self.container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
        self.video: Any = streams[0] if streams else None
        if self.video is not None and self.video.codec_context is not None:
            # Frames of FFV1 one after the other, so that a wrong checksum is of the packet that is being decoded.
            self.video.codec_context.thread_type = "SLICE" if self.video.codec_context.name == "ffv1" else "AUTO"
            if self._threads is not None:
                self.video.codec_context.thread_count = min(self._threads, MOST_THREADS)

    def _check(self) -> None:
        names = self.container.format.name.split(",")
        if set(names) & set(STILL) or (names[0].endswith("_pipe") and names[0] != PIPE):
            raise FilmError(f"{self.label} is a picture, no film", "type: fsrcnn upscale")
        if set(names) & set(PLAYLISTS):
            raise self._playlist()
        if self.video is None:
            raise FilmError(f"{self.label} has no video stream")
        if self.video.codec_context is None:
            raise FilmError(f"{self.label} has a video stream whose codec this FFmpeg does not know")
        self.time_base: Fraction = self.video.time_base
        self.rate: Fraction = _rate(self.video)

    def _check_playlist(self, start: bytes) -> None:
        """
        Raises:
            FilmError: a file that begins so is one.
        """
        if start.startswith(PLAYLIST_STARTS):
            raise self._playlist()

    def _playlist(self) -> FilmError:
        return FilmError(f"{self.label} is a list of other files, no film", "give the film itself")

    def _decode(self) -> Iterator[Decoded]:
        """All frames from here on; `counts` and `falls` begin anew."""
        last: int | None = None
        size = self._size
        step = max(1, round(1 / (self.rate * self.time_base)))
        self.falls, self.counts = Falls(), Counts()
        for frame in self._raw():
            size = size or (frame.width, frame.height)
            wrong = {
                "damaged": int(frame.is_corrupt),
                "interlaced": int(frame.interlaced_frame and not self._deinterlace),
                "resized": int((frame.width, frame.height) != size),
            }
            if frame.pts is None:  # as in a bare stream of H.264: at its rate
                self._timed = False
                frame.pts = 0 if last is None else last + step
            elif last is not None and frame.pts <= last:
                wrong["moved"] = 1
                frame.pts = last + (1 if frame.pts == last else step)
            last = frame.pts
            self._count(**wrong)
            yield Decoded(frame, self.counts)

    def _raw(self) -> Iterator[Frame]:
        av = pyav()
        packets = self.container.demux(self.video)
        clock = Clock(self.falls, 1 / self.rate)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError):  # cut off, in the middle of something
                self._count(damaged=1)
                packet = None
            if packet is None:  # the end: the decoder is asked for what is left
                with contextlib.suppress(av.FFmpegError):
                    for frame in self.video.codec_context.decode(None):
                        frame.time_base = self.time_base  # as it has from a packet
                        yield frame
                return
            if packet.size == 0:  # shows the frame before for longer, as in Theora; or is the sign of the end
                continue
            if packet.has_sidedata(ENCRYPTED):
                raise FilmError(f"{self.label} is encrypted")
            clock.shift(packet)
            self._count(falls=clock.count - self.counts.falls)
            try:
                with self._checksums():
                    frames = packet.decode()
            except av.FFmpegError:
                self._count(damaged=1)
                continue
            yield from frames

    def _count(self, **more: int) -> None:
        self.counts = self.counts.plus(Counts(**more))

    @contextlib.contextmanager
    def _checksums(self) -> Iterator[None]:
        """FFV1 has checksums, and FFmpeg shows a frame with a wrong one as if nothing were wrong, and only logs it."""
        if self.video.codec_context.name != "ffv1":
            yield
            return
        logging = pyav().logging
        level = logging.get_level()
        logging.set_level(logging.ERROR)
        try:
            with logging.Capture(local=False) as messages:
                yield
        finally:
            logging.set_level(level)
        self._count(damaged=any(name == "ffv1" and "CRC" in text for _, name, text in messages))


def _rate(video: Any) -> Fraction:
    """Frames per second: the mean, unless FFmpeg itself guesses far less, as of raw DV, whose mean comes from its clock."""
    mean, guessed = video.average_rate, video.guessed_rate
    if mean and guessed and mean > 2 * guessed:
        return Fraction(guessed)
    return Fraction(mean or guessed or 25)
