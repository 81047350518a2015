"""Hostile files: mutants of good ones, read in child processes with limits on time and memory. `make fuzz` runs 10,000 of each kind.

    python tools/fuzz.py pictures --count 10000 --seed 0

Each mutant is a good file with bytes flipped, cut, repeated, inserted, zeroed, or with numbers in it put to what breaks arithmetic; it
depends on the seed and its number alone, so `--only 4711` runs one again, and `--keep FOLDER` writes those that failed. A reader may
take a mutant or refuse it by an `FsrcnnError` of one printable sentence. Anything else is a failure: another exception, inner words of
a library, a crash, a hang, too much memory. Prints the counts; exits with 1 if anything failed.
"""

from __future__ import annotations

import argparse
import collections
import io
import json
import random
import resource
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fuzz_weights
from fsrcnn import FsrcnnError, Upscaler, cli, images
from fsrcnn.arguments import whole_number

SECONDS = 20  # for one mutant
MEMORY = 4 * 2**30  # bytes of address space for a child
INNER = (
    "vipsj",
    "vipsf",
    "vipsp",
    "vips2",
    "2vips",
    "vips_",
    "vips:",
    "unable to call",
    "traceback",
    "libpng",
    "libtiff",
    "tiffread",
    "spng",
    "gifload",
)
"""Words that no sentence for a user has: functions and messages of libraries."""

Files = Mapping[str, bytes]
"""Name, whose ending counts → a good file."""


class Subject(NamedTuple):
    """Something that reads files.

    Attributes:
        files: makes the good ones.
        read: takes the name of the good file and the bytes of the mutant; raises FsrcnnError to refuse it.
        mutate: a good file and dice → a mutant.
    """

    files: Callable[[], Files]
    read: Callable[[str, bytes], object]
    mutate: Callable[[bytes, random.Random], bytes]


# ── mutants ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def mutant(data: bytes, dice: random.Random) -> bytes:
    """A good file after one to four accidents."""
    result = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        result = dice.choice(ACCIDENTS)(result, dice)
    return bytes(result)


def _place(data: bytearray, dice: random.Random) -> int:
    """Somewhere, half of the time in the first 256 bytes, where headers lie."""
    return dice.randrange(max(1, min(len(data), 256) if dice.random() < 0.5 else len(data)))


def _flip(data: bytearray, dice: random.Random) -> bytearray:
    for _ in range(dice.choice((1, 1, 3, 30))):
        if data:
            data[_place(data, dice)] ^= 1 << dice.randrange(8)
    return data


def _cut(data: bytearray, dice: random.Random) -> bytearray:
    return data[: dice.randrange(len(data) + 1)] if dice.random() < 0.5 else data[: -dice.randrange(1, 17)]


def _remove(data: bytearray, dice: random.Random) -> bytearray:
    start = _place(data, dice)
    return data[:start] + data[start + dice.randrange(1, 65) :]


def _repeat(data: bytearray, dice: random.Random) -> bytearray:
    start, length = _place(data, dice), dice.randrange(1, 257)
    return data[:start] + data[start : start + length] * dice.choice((2, 2, 50)) + data[start:]


def _insert(data: bytearray, dice: random.Random) -> bytearray:
    start = _place(data, dice)
    return data[:start] + dice.randbytes(dice.randrange(1, 65)) + data[start:]


def _zero(data: bytearray, dice: random.Random) -> bytearray:
    start, length = _place(data, dice), dice.randrange(1, 65)
    data[start : start + length] = bytes(len(data[start : start + length]))
    return data


def _number(data: bytearray, dice: random.Random) -> bytearray:
    """A whole number of 1, 2, 4 or 8 bytes, put to a border of its range."""
    size = dice.choice((1, 2, 2, 4, 4, 4, 8))
    value = dice.choice((0, 1, -1, 2 ** (8 * size - 1), 2 ** (8 * size - 1) - 1, dice.randrange(2**16), 2**20))
    start = _place(data, dice)
    data[start : start + size] = (value % 2 ** (8 * size)).to_bytes(size, dice.choice(("little", "big")))
    return data


ACCIDENTS = (_flip, _flip, _cut, _remove, _repeat, _insert, _zero, _number, _number)

# ── subjects ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def _pictures() -> Files:
    """Small pictures of every format, kind of sample, compression and metadata."""
    from PIL import Image, ImageCms, PngImagePlugin

    generator = np.random.default_rng(0)
    smooth = np.add.outer(np.arange(40), np.arange(48))[:, :, None] * np.array([2, 1, 3]) % 256
    rgb = (smooth + generator.integers(0, 9, smooth.shape)).clip(0, 255).astype(np.uint8)
    rgba = np.dstack([rgb, rgb[:, ::-1, 0]])
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    text = PngImagePlugin.PngInfo()
    text.add_text("prompt", "a castle")
    text.add_itxt("XML:com.adobe.xmp", '<x:xmpmeta xmlns:x="adobe:ns:meta/"><a/></x:xmpmeta>')
    plain: dict[str, Any] = {"icc_profile": profile, "exif": exif, "dpi": (300, 300)}
    frames: dict[str, Any] = {
        "save_all": True,
        "append_images": [Image.fromarray(rgb[::-1])],
        "duration": 40,
        "loop": 0,
    }
    palette = Image.fromarray(rgb).quantize(16)
    wanted: list[tuple[str, Image.Image | np.ndarray, dict[str, Any]]] = [
        ("rgb.png", rgb, {**plain, "pnginfo": text}),
        ("rgba.png", rgba, {}),
        ("palette.png", palette, {"transparency": 3}),
        ("deep.png", rgb[:, :, 0].astype(np.uint16) * 257, {}),
        ("bit.png", Image.fromarray(rgb).convert("1"), {}),
        ("frames.png", rgb, frames),
        ("baseline.jpg", rgb, plain),
        ("progressive.jpg", rgb, {"progressive": True, "subsampling": 0}),
        ("grey.jpg", rgb[:, :, 0], {}),
        ("cmyk.jpg", Image.fromarray(rgb).convert("CMYK"), {}),
        ("lossy.webp", rgba, plain | {"quality": 60}),
        ("lossless.webp", rgba, {"lossless": True}),
        ("frames.webp", rgb, frames),
        ("frames.gif", palette, {**frames, "append_images": [Image.fromarray(rgb[::-1]).quantize(16)]}),
        ("one.avif", rgb, {**plain, "quality": 50}),
        ("frames.avif", rgb, frames),
        ("rgb.bmp", rgb, {"dpi": (300, 300)}),
        ("palette.bmp", palette, {}),
        ("pages.tif", rgb, {"save_all": True, "append_images": [Image.fromarray(rgb[:20])]}),
        ("lab.tif", Image.fromarray(rgb).convert("LAB"), {}),
    ]
    compressions = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
    wanted += [(f"{name}.tif", rgb, {"compression": name, "icc_profile": profile}) for name in compressions]
    wanted += [("float.tif", (rgb[:, :, 0] / 255).astype(np.float32), {})]
    made = {}
    for name, pixels, options in wanted:
        buffer = io.BytesIO()
        picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
        ending = name.rpartition(".")[2]
        picture.save(buffer, {"jpg": "JPEG", "tif": "TIFF"}.get(ending, ending.upper()), **options)
        made[name] = buffer.getvalue()
    return made


def _upscale(name: str, data: bytes) -> object:
    """Read and written again, with all that it carries: at most 100,000 pixels, so that one mutant does not take all the time."""
    return _upscaler()(data, max_pixels=100_000)


@cache
def _upscaler() -> Upscaler:
    return Upscaler("fsrcnn-x", scale=2, threads=1)


def _whole(name: str, data: bytes) -> object:
    """A file that was cut off gives the picture of the whole file, or none.

    Raises:
        AssertionError: it gives another one.
    """
    picture = images.read(data)
    expected = _original(name)
    same = len(picture.pages) == len(expected.pages) and all(
        np.array_equal(page, other) for page, other in zip(picture.pages, expected.pages, strict=True)
    )
    assert same, f"{len(data):,} bytes give another picture than the whole file"
    return picture


@cache
def _original(name: str) -> images.Picture:
    return images.read(_pictures()[name])


def shorter(data: bytes, dice: random.Random) -> bytes:
    """A file without its end: one byte to half of it."""
    return data[: -dice.choice((1, 2, dice.randrange(1, 20), dice.randrange(1, max(2, len(data) // 2))))]


SUBJECTS = {
    "pictures": Subject(_pictures, _upscale, mutant),
    "cuts": Subject(_pictures, _whole, shorter),
    "weights": Subject(fuzz_weights.files, fuzz_weights.read, mutant),
}

# ── children ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Case(NamedTuple):
    """A mutant and what became of it: `read`, `refused`, or a failure."""

    number: int
    name: str
    outcome: str
    sentence: str = ""


FINE = ("read", "refused")


def made(subject: Subject, files: Files, seed: int, number: int) -> tuple[str, bytes]:
    """The mutant of a number: the name of the good file, and the bytes."""
    dice = random.Random(f"{seed}:{number}")
    name = dice.choice(sorted(files))
    return name, subject.mutate(files[name], dice)


def attempt(subject: Subject, name: str, data: bytes) -> tuple[str, str]:
    """Outcome and sentence."""
    try:
        subject.read(name, data)
    except FsrcnnError as error:
        sentence = str(error)
        inner = [word for word in INNER if word in sentence.lower()]
        if inner or not sentence.isprintable() or len(sentence) > 1000:
            return "inner words", sentence[:1000]
        return "refused", sentence
    except MemoryError as error:
        return "memory", repr(error)
    except Exception as error:
        return f"raw {type(error).__name__}", str(error)[:1000]
    return "read", ""


def child(subject: Subject, seed: int, numbers: range) -> None:
    """Reads mutants in turn and prints a line of JSON for each."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process, whatever it does
    warnings.simplefilter("ignore")
    files = subject.files()
    for number in numbers:
        name, data = made(subject, files, seed, number)
        signal.alarm(SECONDS)
        print(json.dumps([number, name, *attempt(subject, name, data)]), flush=True)
    signal.alarm(0)


def run(name: str, seed: int, numbers: range, batch: int = 250) -> list[Case]:
    """All mutants of some numbers, in child processes that are replaced when they die."""
    cases: list[Case] = []
    subject = SUBJECTS[name]
    files = subject.files()
    start = numbers.start
    while start < numbers.stop:
        stop = min(start + batch, numbers.stop)
        command = [sys.executable, __file__, name, "--seed", str(seed), "--child", f"{start}:{stop}"]
        process = subprocess.run(command, capture_output=True, check=False)
        lines = [Case(*json.loads(line)) for line in process.stdout.splitlines() if line.startswith(b"[")]
        cases += lines
        start += len(lines)
        if start < stop:  # the child died of the next one
            if not lines and process.returncode > 0:
                sys.exit(process.stderr.decode(errors="replace"))  # of something else: it could not begin
            outcome = "hang" if process.returncode == -signal.SIGALRM else f"crash {process.returncode}"
            last = process.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            cases.append(Case(start, made(subject, files, seed, start)[0], outcome, last))
            start += 1
        _show(len(cases), len(numbers), sum(case.outcome not in FINE for case in cases))
    return cases


def _show(done: int, count: int, failed: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done:,} of {count:,} mutants, {failed} failures", end="\n" if done == count else "", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("subject", nargs="?", choices=[*SUBJECTS, "all"], default="all")
    parser.add_argument("--count", type=int, default=10_000, help="mutants of each subject")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="the number of one mutant")
    parser.add_argument("--keep", type=Path, help="a folder for the mutants that failed")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        start, stop = map(int, arguments.child.split(":"))
        child(SUBJECTS[arguments.subject], arguments.seed, range(start, stop))
        return
    whole_number(arguments.count, "count")
    if arguments.only is not None:
        whole_number(arguments.only, "only", least=0)
    numbers = range(arguments.count) if arguments.only is None else range(arguments.only, arguments.only + 1)
    failed = 0
    for name in SUBJECTS if arguments.subject == "all" else [arguments.subject]:
        cases = run(name, arguments.seed, numbers)
        counts = collections.Counter(case.outcome for case in cases)
        print(f"{name}, seed {arguments.seed}: {len(cases):,} mutants")
        for outcome, count in counts.most_common():
            print(f"  {count:6,} {outcome}")
        failures = [case for case in cases if case.outcome not in FINE]
        for case in failures[:40]:
            print(f"  {case.number} {case.name}: {case.outcome}: {case.sentence[:300]!r}")
        if arguments.keep is not None:
            arguments.keep.mkdir(parents=True, exist_ok=True)
            subject = SUBJECTS[name]
            files = subject.files()
            for case in failures:
                (arguments.keep / f"{case.number}-{case.name}").write_bytes(
                    made(subject, files, arguments.seed, case.number)[1]
                )
        failed += len(failures)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    cli.run(main)
