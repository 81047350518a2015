"""Memory of `fsrcnn video` over a film: does it grow, and what of it is the encoder's?

    python benchmarks/film_memory.py [--small 5000] [--large 300] [--threads 2] [--save benchmarks/results/film_memory.json]

Films as in film.py: many frames of 160×96, then fewer of 1920×1080, ×2, x264 veryfast; the large one without an encoder, too (Y4M),
and by `film_peer.py` with FFmpeg's Lanczos filter and the same x264. Megabytes of resident memory at each tenth of the time, the peak,
and by how much the second half's highest lies above the first's.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from film import HEIGHT, PEER, WIDTH, make_film, run
from fsrcnn import cli
from machine import check_counts, outcome, save

SMALL = (96, 160)


def over_time(command: list[str]) -> dict[str, Any]:
    """A run's memory, in megabytes."""
    seen: list[float] = []
    usage = run(command, lambda seconds, megabytes: seen.append(megabytes))
    half = len(seen) // 2
    return {
        "seconds": round(usage.wall, 1),
        "tenths_mb": [round(seen[len(seen) * tenth // 10]) for tenth in range(1, 10)],
        "peak_mb": round(usage.peak),
        "second_half_mb": round(max(seen[half:]) - max(seen[:half], default=0.0), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=5000, help="frames of the small film")
    parser.add_argument("--large", type=int, default=300, help="frames of the large film")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    check_counts(arguments, "small", "large", "threads")
    threads = str(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        target = str(Path(folder) / "out.mkv")
        small = str(make_film(Path(folder) / "small.mkv", arguments.small, SMALL))
        large = str(make_film(Path(folder) / "large.mkv", arguments.large))
        options = ["-m", "fsrcnn", "-s", "2", "--threads", threads, "--overwrite"]
        ours = [sys.executable, "-m", "fsrcnn", "video", *options, "-o"]
        peer = [sys.executable, str(PEER), threads, large, target, "lanczos"]
        frames = f"{arguments.large} frames of {WIDTH}×{HEIGHT}"
        commands = {
            f"{arguments.small} frames of {SMALL[1]}×{SMALL[0]}": [*ours, target, small],
            frames: [*ours, target, large],
            f"{frames}, Y4M": [*ours, "-", large],
            f"{frames}, Lanczos, PyAV": peer,
        }
        results = {}
        for name, command in commands.items():
            results[name] = over_time(command)
            print(f"{name}: {results[name]}", file=sys.stderr)
    save(outcome("films ×2, x264 veryfast, resident memory", results, ["av"], arguments.threads), arguments.save)


if __name__ == "__main__":
    cli.run(main)
