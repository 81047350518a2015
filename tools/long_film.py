"""Ten minutes of film from end to end: does the sound still fit to the picture?

    python tools/long_film.py                                # 600 s, 320×180 to 640×360, some minutes
    python tools/long_film.py --seconds 20 --encoder ffv1

The film is made on the spot: H.264 and PCM in Matroska, frames at 25 per second and, in stretches of 7 s between, at 24000/1001. Right
after the beginning, in the middle and right before the end a frame is white, and a beep begins with it. `fsrcnn video` upscales it.
In the source and in the result the first bright frame of each flash and the first loud sample of each beep are looked for, by
decoding. Prints the times and their offset, in seconds; exits with 1 where a flash, a beep, an offset or the number of frames differs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fsrcnn import cli
from fsrcnn.arguments import whole_number
from fsrcnn.errors import UsageError
from fsrcnn.video.encoders import ENCODERS
from fsrcnn.video.library import pyav

HEIGHT, WIDTH = 180, 320
SAMPLES = 48000  # per second
CLOCK = Fraction(1, 1000)  # of Matroska
STRETCH = 7  # seconds, each second one at 24000/1001 frames per second
STEPS = (Fraction(1, 25), Fraction(1001, 24000))
BEEP = SAMPLES // 5
BRIGHT, LOUD = 200, 8000  # levels of 8 bit and of 16 bit


def frame_times(seconds: int) -> list[Fraction]:
    """When the frames are shown, to the tick of the container."""
    times, now = [], Fraction(0)
    while now < seconds:
        times.append(round(now / CLOCK) * CLOCK)
        now += STEPS[int(now) // STRETCH % 2]
    return times


def make(path: Path, seconds: int) -> list[Fraction]:
    """Write the film; returns the times of its flashes."""
    av = pyav()
    times = frame_times(seconds)
    flashes = {times[number] for number in (12, len(times) // 2, len(times) - 12)}
    generator = np.random.default_rng(0)
    scene = generator.integers(30, 120, (HEIGHT, WIDTH), np.uint8)
    with av.open(str(path), "w") as target:
        video = target.add_stream("libx264", rate=25, options={"preset": "veryfast", "crf": "20"})
        video.height, video.width, video.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        video.time_base = video.codec_context.time_base = CLOCK
        sound = target.add_stream("pcm_s16le", rate=SAMPLES, layout="mono")
        heard = 0
        for number, shown in enumerate(times):
            while heard <= shown * SAMPLES:
                target.mux(sound.encode(block(heard, flashes)))
                heard += SAMPLES // 25
            frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
            planes = [np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size) for plane in frame.planes]
            planes[0][:, :WIDTH] = 235 if shown in flashes else np.roll(scene, number, axis=1)
            planes[1][:] = planes[2][:] = 128
            frame.pts, frame.time_base = round(shown / CLOCK), CLOCK
            target.mux(video.encode(frame))
        target.mux(video.encode(None))
        target.mux(sound.encode(None))
    return sorted(flashes)


def block(start: int, flashes: set[Fraction]) -> Any:
    """A 25th of a second of sound: silence, and beeps of a fifth of a second that begin with the flashes."""
    av = pyav()
    samples: npt.NDArray[np.int16] = np.zeros(SAMPLES // 25, np.int16)
    for flash in flashes:
        place = np.arange(start, start + len(samples)) - round(flash * SAMPLES)
        inside = (place >= 0) & (place < BEEP)
        samples[inside] = np.rint(20000 * np.cos(2 * np.pi * 1000 / SAMPLES * place[inside]))
    frame = av.AudioFrame.from_ndarray(samples[None], "s16", "mono")
    frame.sample_rate, frame.pts, frame.time_base = SAMPLES, start, Fraction(1, SAMPLES)
    return frame


def flashes_of(path: Path) -> tuple[list[Fraction], list[Fraction]]:
    """The times of all frames, and of those that are bright after one that is not."""
    av = pyav()
    times, bright, before = [], [], False
    with av.open(str(path)) as film:
        for frame in film.decode(video=0):
            plane = frame.planes[0]
            mean = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width].mean()
            times.append(frame.pts * frame.time_base)
            if mean > BRIGHT and not before:
                bright.append(times[-1])
            before = mean > BRIGHT
    return times, bright


def beeps_of(path: Path) -> list[Fraction]:
    """When loud samples follow after silence."""
    av = pyav()
    beeps: list[Fraction] = []
    quiet = SAMPLES  # samples since the last loud one
    with av.open(str(path)) as film:
        for frame in film.decode(audio=0):
            samples = frame.to_ndarray()[0]
            last = -1
            for place in np.flatnonzero(np.abs(samples.astype(np.int32)) > LOUD):
                if quiet + place - last > BEEP // 10:
                    beeps.append(frame.pts * frame.time_base + Fraction(int(place), SAMPLES))
                quiet, last = 0, int(place)
            quiet += len(samples) - 1 - last
    return beeps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--encoder", default="x264", choices=tuple(ENCODERS))
    arguments = parser.parse_args()
    if whole_number(arguments.seconds, "seconds") < 4:
        raise UsageError(f"is at least 4, not {arguments.seconds}", argument="seconds")
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder) / "film.mkv", Path(folder) / "large.mkv"
        made = make(source, arguments.seconds)
        started = time.perf_counter()
        command = [sys.executable, "-m", "fsrcnn", "video", str(source), "-m", "fsrcnn", "-o", str(result)]
        command += ["--encoder", arguments.encoder]
        ended = subprocess.run(command, capture_output=True, text=True)
        print(f"{' '.join(command[1:])}: exit code {ended.returncode}, {time.perf_counter() - started:.1f} s")
        if ended.returncode:
            raise SystemExit(ended.stderr)
        wrong = compare(source, result, made)
    if wrong:
        raise SystemExit("; ".join(wrong))


def compare(source: Path, result: Path, made: list[Fraction]) -> list[str]:
    """Print what is found in both films; what differs, in words."""
    found = []
    for path in (source, result):
        times, flashes = flashes_of(path)
        beeps = beeps_of(path)
        found.append((times, flashes, beeps))
        print(f"{path.name}: {len(times)} frames, {float(times[0]):.3f} to {float(times[-1]):.3f} s")
        for flash, beep in zip(flashes, beeps, strict=False):
            print(f"  flash {float(flash):.3f} s, beep {float(beep):.6f} s, offset {float(beep - flash):+.6f} s")
    wrong = [] if found[0][1] == made else ["the source has other flashes than were made"]
    for number, name in enumerate(("times of frames", "flashes", "beeps")):
        if found[0][number] != found[1][number]:
            wrong.append(f"{name} differ")
    if len(found[0][1]) != 3 or len(found[0][2]) != 3:
        wrong.append("there are not three flashes and three beeps")
    return wrong


if __name__ == "__main__":
    cli.run(main)
