"""`fsrcnn video FILM --preview PICTURE`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from fsrcnn.cli.terminal import print_json, remark
from fsrcnn.errors import UsageError
from fsrcnn.jobs import STANDARD
from fsrcnn.size import Size
from fsrcnn.upscaler import Upscaler
from fsrcnn.video import preview
from fsrcnn.video.comparison import NAMES


def show(
    inputs: Sequence[str], picture: str, upscaler: Upscaler, size: Size, given: Mapping[str, bool], *,
    start: str | None, reference: str | None, deinterlace: bool, overwrite: bool, as_json: bool,
) -> None:  # fmt: skip
    """Write the picture and say so.

    Args:
        inputs: one film.
        given: options that mean something for a film alone, and whether they are there.

    Raises:
        UsageError: one of these is, or several films.
        FsrcnnError: as `preview`.
    """
    for option, there in given.items():
        if there:
            raise UsageError(f"--preview writes one picture, for which {option} means nothing")
    if len(inputs) > 1:
        raise UsageError("--preview shows a frame of one film, not of several")
    film = sys.stdin.buffer if inputs[0] == STANDARD else Path(inputs[0])
    done = preview(
        film, picture, start=start, reference=reference, upscaler=upscaler, size=size, deinterlace=deinterlace, overwrite=overwrite
    )  # fmt: skip
    for note in done.notes:
        remark(f"fsrcnn: {done.input}: {note}")
    if as_json:
        print_json(asdict(done), f"{done.output} is written")
        return
    scores = "".join(
        f", {NAMES[way]} {score['psnr']:.2f} dB / {score['ssim']:.4f}" for way, score in done.scores.items()
    )
    wide, tall = done.output_size
    remark(f"{done.output}  panels of {wide}×{tall} at {done.time:.3f} s{scores}")
