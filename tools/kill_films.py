"""Kill `fsrcnn video` at random moments, go on with `--resume`, and compare the film with that of a run that nobody killed.

    python tools/kill_films.py                                                # 200 kills for each encoder and container
    python tools/kill_films.py --count 20 --encoders x264 --containers mkv

A third of the SIGKILLs come at any moment from the start of the process on; a third at any moment once some segments are there; a
third right before any of the operations on files (making, opening, renaming, removing; an audit hook counts them), so that the moments
around the last renaming are met often. A run that goes on is killed again, half of the time. Films are a second long: segments are
of 8 frames here.

After each kill the film's name is free, or holds the whole film. At the end, by the same command with `--resume` and exit code 0, the
decoded frames, their times, the copied packets, the tags and the chapters are those of the other run, and nothing else lies there.
Then disks that get full, at any size: a limit to the size of files, and for root a small file system in memory. The command says so
in one sentence with exit code 1, leaves nothing under the film's name, and goes on once there is room.

Needs Linux, and ffmpeg, which makes the film. Prints counts; exits with 1 where anything was otherwise.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from fsrcnn import cli
from fsrcnn.arguments import whole_number
from fsrcnn.errors import FsrcnnError
from fsrcnn.video.library import pyav

ENCODERS = ("x264", "x265", "svt-av1", "ffv1")
CONTAINERS = ("mkv", "mp4")
NOT_HELD = {("ffv1", "mp4")}
SUBTITLE_CODECS = {"mkv": "srt", "mp4": "mov_text"}
SEGMENT = 8  # frames
LONGEST = 120  # seconds that a run may take
SUBTITLES = "1\n00:00:00,100 --> 00:00:00,900\nSeen\n\n2\n00:00:01,000 --> 00:00:01,700\nHeard\n"
CHAPTERS = """;FFMETADATA1
title=Killed
[CHAPTER]
TIMEBASE=1/1000
START=0
END=900
title=One
[CHAPTER]
TIMEBASE=1/1000
START=900
END=1920
title=Two
"""
CHILD = f"""
import os, signal, sys
from fsrcnn import cli
from fsrcnn.video import upscaling
upscaling.FRAMES = {SEGMENT}
last, noted = int(os.environ.get("LAST_OPERATION", 0)), os.environ.get("NOTED")
count = 0
def watch(event, arguments):
    global count
    if event in ("os.rename", "os.link", "os.remove", "os.rmdir", "os.mkdir") or (event == "open" and arguments[1] not in ("r", "rb")):
        count += 1
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
try:
    cli.main()
finally:
    if noted:
        count, total = -10**9, count
        open(noted, "w").write(str(total))
"""


@dataclass
class Tally:
    """What came of the runs for one encoder and container."""

    kills: int = 0
    films: int = 0
    in_place: int = 0  # kills after which the film was there
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Contents:
    """What lies in a film: decoded frames (time, hash), the other streams' packets, tags and chapters."""

    frames: list[tuple[Fraction, str]]
    packets: list[tuple[int, Fraction, int, str]]
    tags: list[Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="kills for each encoder and container")
    parser.add_argument("--disks", type=int, default=6, help="full disks of each kind for each encoder and container")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--encoders", nargs="+", choices=ENCODERS, default=ENCODERS)
    parser.add_argument("--containers", nargs="+", choices=CONTAINERS, default=CONTAINERS)
    options = parser.parse_args()
    whole_number(options.count, "count")
    whole_number(options.disks, "disks")
    if shutil.which("ffmpeg") is None:
        raise FsrcnnError("the film to upscale is made by ffmpeg, which is not installed")
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for container in options.containers:
            film = make_film(Path(folder) / f"film.{container}")
            for encoder in options.encoders:
                if (encoder, container) in NOT_HELD:
                    continue
                case = Case(film, encoder, container, Path(folder) / f"{encoder}-{container}")
                chance = random.Random(f"{options.seed} {encoder} {container}")
                tally = case.kill(options.count, chance)
                print(
                    f"{encoder:<8} {container} {tally.kills} kills, {tally.in_place} of them with the film in place; "
                    f"{tally.films} films; {len(tally.wrong)} wrong",
                    flush=True,
                )
                full = case.fill_disks(options.disks, chance)
                for sentence in (*tally.wrong, *full):
                    print(f"  {sentence}", flush=True)
                wrong += len(tally.wrong) + len(full)
    return 1 if wrong else 0


def make_film(path: Path) -> Path:
    """48 frames that move, sound, subtitles and chapters."""
    subtitles, chapters = path.parent / "subtitles.srt", path.parent / "chapters.txt"
    subtitles.write_text(SUBTITLES)
    chapters.write_text(CHAPTERS)
    command = [
        "ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25", "-f", "lavfi", "-i", "sine",
        "-i", str(subtitles), "-i", str(chapters), "-map_metadata", "3", "-t", "1.92", "-map", "0", "-map", "1", "-map", "2",
        "-c:v", "libx264", "-g", "12", "-c:a", "aac", "-c:s", SUBTITLE_CODECS[path.suffix[1:]], str(path),
    ]  # fmt: skip
    subprocess.run(command, check=True)
    return path


def contents(path: Path) -> Contents:
    av = pyav()
    with av.open(str(path)) as film:
        frames = [
            (frame.pts * frame.time_base, hashlib.sha256(frame.to_ndarray().tobytes()).hexdigest())
            for frame in film.decode(film.streams.video[0])
        ]
    packets = []
    with av.open(str(path)) as film:
        for packet in film.demux():
            if packet.size and packet.stream.type != "video":
                data = hashlib.sha256(bytes(packet)).hexdigest()
                packets.append((packet.stream.index, packet.pts * packet.time_base, packet.duration, data))
        streams = [(stream.type, dict(stream.metadata), int(stream.disposition)) for stream in film.streams]
        return Contents(frames, packets, [dict(film.metadata), film.chapters(), streams])


class Case:
    """A film to be made by one encoder into one container, and how it is when nobody interferes."""

    def __init__(self, film: Path, encoder: str, container: str, folder: Path) -> None:
        self.film, self.encoder, self.container, self.folder = film, encoder, container, folder
        place, noted = self._place("whole"), folder / "operations"
        started = time.monotonic()
        ended = self._run(place, environment={"NOTED": str(noted)})
        self.seconds = time.monotonic() - started
        if ended.returncode:
            raise SystemExit(f"{encoder}, {container}: {ended.stderr}")
        self.operations = int(noted.read_text())
        self.whole = contents(self._output(place))
        self.bytes = self._output(place).stat().st_size

    def kill(self, count: int, chance: random.Random) -> Tally:
        """Make films, each killed again and again, until there were so many kills."""
        tally = Tally()
        while tally.kills < count:
            place = self._place(str(tally.films))
            tally.films += 1
            said = list(self._kill_once(place, resume=False, chance=chance, tally=tally))
            while tally.kills < count and chance.random() < 0.5:
                said += self._kill_once(place, resume=True, chance=chance, tally=tally)
            said += self._finish(place)
            tally.wrong += [f"film {place.name}: {sentence}" for sentence in said]
            shutil.rmtree(place)
        return tally

    def fill_disks(self, count: int, chance: random.Random) -> list[str]:
        """What is not as it should be when there is no room, in sentences."""
        wrong: list[str] = []
        for _ in range(count):
            limit = int(chance.uniform(0.02, 0.9) * self.bytes)
            place = self._place("limited")
            said = [*self._refused(place, self._run(place, limit=limit)), *self._finish(place)]
            wrong += [f"files of at most {limit} bytes: {sentence}" for sentence in said]
        full, left_out = 0, ""
        for _ in range(count):
            kilobytes = int(chance.uniform(0.1, 1.8) * self.bytes / 1024) + 8
            place = self._place("small")
            with mounted(place, kilobytes) as enlarge:
                if enlarge is None:
                    left_out = " (left out: only root may mount them)"
                    break
                ended = self._run(place)
                if ended.returncode:  # else there was room
                    full += 1
                    said = list(self._refused(place, ended))
                    enlarge()
                    said += self._finish(place)
                    wrong += [f"a disk of {kilobytes} kB: {sentence}" for sentence in said]
        disks = f"{count} limits to the size of files, {full} full file systems{left_out}"
        print(f"{self.encoder:<8} {self.container} {disks}; {len(wrong)} wrong", flush=True)
        return wrong

    def _place(self, name: str) -> Path:
        """An empty folder of that name."""
        place = self.folder / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        return place

    def _output(self, place: Path) -> Path:
        return place / f"out.{self.container}"

    def _segments(self, place: Path) -> int:
        return sum(1 for _ in place.glob(".*/*.segment"))

    def _start(
        self, place: Path, *, resume: bool = False, limit: int | None = None, environment: dict[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """The command; no file may be larger than `limit` bytes."""
        arguments = ["video", str(self.film), "-m", "fsrcnn-s", "-o", self._output(place).name]
        arguments += ["--encoder", self.encoder, "--threads", "1"]
        return subprocess.Popen(
            [sys.executable, "-c", CHILD, *arguments, *(["--resume"] if resume else [])],
            cwd=place,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
            preexec_fn=None if limit is None else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        )

    def _run(
        self, place: Path, *, resume: bool = False, limit: int | None = None, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        process = self._start(place, resume=resume, limit=limit, environment=environment)
        _, said = process.communicate(timeout=LONGEST)
        return subprocess.CompletedProcess(process.args, process.returncode, None, said)

    def _kill_once(self, place: Path, *, resume: bool, chance: random.Random, tally: Tally) -> Iterator[str]:
        """A run that is killed, if it has not ended before; what is not as it should be then."""
        way = chance.choice(("any moment", "after segments", "operation"))
        wanted = self._segments(place) + chance.randint(1, 48 // SEGMENT)
        operation = {"LAST_OPERATION": str(chance.randint(1, self.operations))} if way == "operation" else {}
        process = self._start(place, resume=resume, environment=operation)
        with suppress(subprocess.TimeoutExpired):
            if way == "any moment":
                process.wait(chance.uniform(0, self.seconds * 1.1))
            elif way == "after segments":
                while process.poll() is None and self._segments(place) < wanted:
                    time.sleep(0.0005)
                process.wait(chance.uniform(0, 0.1))
        if way != "operation":
            process.kill()
        _, said = process.communicate(timeout=LONGEST)
        killed = process.returncode == -signal.SIGKILL
        tally.kills += killed
        if self._output(place).exists():
            tally.in_place += killed
            yield from self._differences(place)
        if not killed and process.returncode:
            yield f"ends with {process.returncode} and says {said!r}"

    def _refused(self, place: Path, ended: subprocess.CompletedProcess[str]) -> Iterator[str]:
        """What is not as it should be of a run that had no room."""
        if ended.returncode != 1 or ended.stderr.count("\n") != 1 or not ended.stderr.startswith("fsrcnn: "):
            yield f"ends with {ended.returncode} and says {ended.stderr!r}"
        if self._output(place).exists():
            yield "something is under the film's name"

    def _finish(self, place: Path) -> Iterator[str]:
        """Go on until the end; what is not as it should be then."""
        ended = self._run(place, resume=True)
        if ended.returncode:
            yield f"the last run ends with {ended.returncode} and says {ended.stderr!r}"
        names = sorted(path.name for path in place.iterdir())
        if names != [self._output(place).name]:
            yield f"in the end there are {names}"
        if self._output(place).exists():
            yield from self._differences(place)

    def _differences(self, place: Path) -> Iterator[str]:
        """Between a film and that of the run that nobody killed."""
        try:
            found = contents(self._output(place))
        except (pyav().FFmpegError, IndexError) as error:
            yield f"the film cannot be read: {error}"
            return
        for name in ("frames", "packets", "tags"):
            if getattr(found, name) != getattr(self.whole, name):
                yield f"its {name} differ"


@contextmanager
def mounted(place: Path, kilobytes: int) -> Iterator[Callable[[], object] | None]:
    """A file system of that size in a folder: what makes it larger; None where it cannot be mounted."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "fsrcnn", str(place)]
    if os.geteuid() or shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        yield None
        return
    try:
        yield lambda: subprocess.run(["mount", "-o", "remount,size=64m", str(place)], check=True)
    finally:
        subprocess.run(["umount", str(place)], check=True)


if __name__ == "__main__":
    cli.run(lambda: sys.exit(main()))
