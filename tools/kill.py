"""Kill every command that writes, at random moments, and look at what it leaves.

    python tools/kill.py                                    # 200 times with each of KILL, TERM and INT
    python tools/kill.py --count 20 --commands prepare convert

Half of the signals come at any moment from the start of the process on, half once the command has begun to write. Every other run
replaces old files, the others write new ones. After each: an input has its bytes, an output is absent, old or whole; nothing else lies
there, but a part after KILL, which the next run removes; TERM ends with 143 and INT with 130 (or 0 where the work was done), with
a line about it and without a traceback. Prints counts; exits with 1 where anything was otherwise.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fsrcnn import cli, files, images, weights
from fsrcnn.arguments import whole_number

SIGNALS = {"KILL": signal.SIGKILL, "TERM": signal.SIGTERM, "INT": signal.SIGINT}
LONGEST = 60  # seconds until a signal has ended a command
FATAL = "Fatal Python error: init_"  # what Python says of a Ctrl-C while it starts itself
OLD = b"what was there before"
TINY = (
    *("--model", "6,3,1", "--feature-kernel", "3", "--deconvolution-kernel", "5", "--device", "cpu", "--no-compile"),
    *("--steps", "60", "--validate-every", "10"),
)


@dataclass(frozen=True)
class Command:
    """A command to kill, typed in a folder with the inputs of `make_inputs`.

    Attributes:
        arguments: as typed.
        overwrite: what to type where old files may be replaced; None for a command that has no old files.
        varies: whether outputs differ from run to run (they hold times), so that they are read, not compared.
    """

    arguments: tuple[str, ...]
    overwrite: tuple[str, ...] | None = ("--overwrite",)
    varies: bool = False


COMMANDS = {
    "upscale": Command(("upscale", "photos", "-o", "out", "-s", "6")),
    "upscale-one": Command(("upscale", "photos/0.png", "-o", "out/large.tif", "-s", "8")),
    "prepare": Command(("prepare", "photos", "-o", "out/train.h5", "--augment")),
    "evaluate": Command(("evaluate", "photos", "-s", "2", "--save", "out"), overwrite=()),
    "convert": Command(("convert", "fsrcnn-x2", "out/x2.safetensors")),
    "quantize": Command(("quantize", "fsrcnn-x", "-o", "out/x2.safetensors", "--format", "w10a12")),
    "export-onnx": Command(("export", "onnx", "fsrcnn-x", "-o", "out/x2.onnx", "--input", "rgb8")),
    "export-mpv": Command(("export", "mpv", "fsrcnn", "-o", "out/x2.glsl")),
    "test": Command(("test", "photos/0.png", "-o", "out")),
    "train": Command(("train", "photos", "-s", "2", "-o", "out", *TINY), overwrite=None, varies=True),
    "transfer": Command(
        ("transfer", "fsrcnn-s-x3", "photos", "-s", "2", "-o", "out", "--device", "cpu", *TINY[-5:]), None, varies=True
    ),
}


@dataclass
class Tally:
    """What came of the runs of a command with a signal."""

    runs: int = 0
    ends: collections.Counter[str] = field(default_factory=collections.Counter)
    parts: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Reference:
    """A run that nobody killed: the bytes of its outputs, and when it began to write and ended, in seconds."""

    outputs: dict[str, bytes]
    writes: float
    ends: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="runs of each command with each signal")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", nargs="+", choices=tuple(COMMANDS), default=tuple(COMMANDS))
    options = parser.parse_args()
    whole_number(options.count, "count")
    chance = random.Random(options.seed)
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in options.commands:
            command = COMMANDS[name]
            reference = run_to_the_end(command, Path(folder) / name)
            for signal_name, number in SIGNALS.items():
                tally = Tally()
                for run in range(options.count):
                    place = Path(folder) / f"{name}-{signal_name}-{run}"
                    kill_once(command, number, reference, place, chance, tally, replacing=run % 2 == 1)
                    remove(place)
                wrong += len(tally.wrong)
                ends = ", ".join(f"{end} {count}" for end, count in sorted(tally.ends.items()))
                print(
                    f"{name:<12} {signal_name:<4} {tally.runs} runs: {ends}; {tally.parts} parts left, removed by the next run; "
                    f"{len(tally.wrong)} wrong",
                    flush=True,
                )
                for sentence in tally.wrong:
                    print(f"  {sentence}", flush=True)
    return 1 if wrong else 0


def make_inputs(folder: Path) -> dict[str, bytes]:
    """Six small pictures in `photos/`."""
    generator = np.random.default_rng(0)
    for number in range(6):
        pixels = generator.integers(0, 256, (60 + 10 * number, 90, 3), dtype=np.uint8)
        images.write(images.Picture((pixels,), "png"), folder / f"photos/{number}.png")
    return contents(folder)


def contents(folder: Path) -> dict[str, bytes]:
    """Relative path → bytes of all files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def start(command: Command, folder: Path, *more: str) -> subprocess.Popen[bytes]:
    """The command in a process of its own, which heeds Ctrl-C even if this one does not."""
    return subprocess.Popen(
        [sys.executable, "-m", "fsrcnn", *command.arguments, *more],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=(folder / "stderr").open("wb"),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )


def has_begun(folder: Path, count: int) -> bool:
    """Whether there are more than `count` names in the output folder."""
    with suppress(FileNotFoundError):
        return sum(1 for _ in names(folder / "out")) > count
    return False


def names(folder: Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry.name
            if entry.is_dir():
                yield from names(Path(entry.path))


def run_to_the_end(command: Command, folder: Path) -> Reference:
    make_inputs(folder)
    began = time.monotonic()
    process = start(command, folder)
    writes = 0.0
    while process.poll() is None:
        if not writes and has_begun(folder, 0):
            writes = time.monotonic() - began
        time.sleep(0.001)
    ends = time.monotonic() - began
    if process.returncode:
        raise SystemExit(f"{command.arguments}: {(folder / 'stderr').read_text()}")
    outputs = {path: data for path, data in contents(folder).items() if path.startswith("out/")}
    return Reference(outputs, writes or ends, ends)


def kill_once(
    command: Command, number: int, reference: Reference, folder: Path, chance: random.Random, tally: Tally, *, replacing: bool
) -> None:  # fmt: skip
    """A run that is killed, and what is to be said of it."""
    inputs = make_inputs(folder)
    more: tuple[str, ...] = ()
    old: set[str] = set()
    if replacing and command.overwrite is not None:
        more, old = command.overwrite, set(reference.outputs)
        for path in old:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(OLD)
    before = sum(1 for _ in names(folder / "out")) if old else 0
    process = start(command, folder, *more)
    if chance.random() < 0.5:
        wait(process, chance.uniform(0, reference.ends))
    else:
        while process.poll() is None and not has_begun(folder, before):
            time.sleep(0.0005)
        wait(process, chance.uniform(0, reference.ends - reference.writes))
    process.send_signal(number)
    try:
        code = process.wait(LONGEST)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
        tally.wrong.append(f"{folder.name}: did not end")
    tally.runs += 1
    said = (folder / "stderr").read_text("utf-8", "replace")
    sentences = list(judge(command, number, code, said, reference, folder, inputs, old))
    tally.ends[end_of(number, code, said)] += 1
    parts = [path for path in folder.rglob("*") if files.PART.fullmatch(path.name)]
    if parts and number == signal.SIGKILL:
        tally.parts += len(parts)
        for part in parts:  # as if the next run came later
            os.utime(part, (time.time() - 60, time.time() - 60))
        resume = ("--resume",) if (folder / "out/checkpoint.pt").exists() else command.overwrite or ()
        if start(command, folder, *resume).wait() != 0:
            sentences.append(f"the next run fails: {(folder / 'stderr').read_text()}")
    sentences += [f"{path.name} is left" for path in folder.rglob("*") if files.PART.fullmatch(path.name)]
    tally.wrong += [f"{folder.name}: {sentence} (exit code {code})" for sentence in sentences]


def wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


def end_of(number: int, code: int, said: str) -> str:
    """finished; stopped, and said so; killed, by KILL or before the first line of `main` (Python itself starts)."""
    if code == 0:
        return "finished"
    return (
        "killed"
        if code == -number or FATAL in said
        else "stopped"
        if code == 128 + number and "stopped" in said
        else "other"
    )


def judge(
    command: Command, number: int, code: int, said: str, reference: Reference, folder: Path, inputs: dict[str, bytes],
    old: set[str],
) -> Iterator[str]:  # fmt: skip
    """What is not as it should be, in sentences."""
    if number == signal.SIGKILL:
        right = code in (0, -signal.SIGKILL)
    else:
        starting = (code == -number or FATAL in said) and not any(
            path.startswith("out/") for path in set(contents(folder)) - old
        )
        right = code == 0 or (code == 128 + number and "stopped" in said and "Traceback" not in said) or starting
    if not right:
        yield f"ends with {code} and says {said!r}"
    found = contents(folder)
    for path, data in inputs.items():
        if found.get(path) != data:
            yield f"the input {path} is changed"
    for path, data in found.items():
        if (
            path in inputs
            or path == "stderr"
            or path.startswith("out/tensorboard/")
            or files.PART.fullmatch(Path(path).name)
        ):
            continue
        if path not in reference.outputs:
            yield f"{path} is not a name that the command writes"
        elif not (data == OLD and path in old) and not is_whole(folder / path, reference.outputs[path], command.varies):
            yield f"{path} is not whole"
        elif code == 0 and data == OLD:
            yield f"{path} is old, though the command is done"
    if code == 0 and not all(path in found for path in reference.outputs if not path.startswith("out/tensorboard/")):
        yield "outputs are missing, though the command is done"


def is_whole(path: Path, expected: bytes, varies: bool) -> bool:
    if not varies:
        return path.read_bytes() == expected
    try:
        match path.suffix:
            case ".safetensors":
                weights.load(path)
            case ".png":
                images.read(path)
            case ".json":
                json.loads(path.read_text())
            case ".pt":
                return zipfile.ZipFile(path).testzip() is None
            case ".csv":
                return path.read_text().endswith("\n")
    except Exception:
        return False
    return True


def remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


if __name__ == "__main__":
    cli.run(lambda: sys.exit(main()))
