"""`fsrcnn export mpv`."""

from __future__ import annotations

from typing import Annotated

import typer

from fsrcnn import files
from fsrcnn.cli import options
from fsrcnn.cli.export import Model, Output, Scale, order, say_written
from fsrcnn.export import mpv, user_shader

Form = Annotated[
    str, typer.Option(help="compute (fewer passes and fetches), or fragment: for players without compute shaders.")
]
Antiring = Annotated[
    int,
    typer.Option(
        metavar="PERCENT", help="How far a pixel is brought back between the extremes of the LR pixels around it."
    ),
]
Parameter = Annotated[
    bool,
    typer.Option(
        "--parameter",
        help="Let players set the anti-ringing while they play; old libplacebo (4.208) refuses such a file.",
    ),
]
FULL_HD = (1920, 1080)


def export_mpv(
    model: Model,
    scale: Scale = None,
    output: Output = None,
    form: Form = "compute",
    antiring: Antiring = 0,
    parameter: Parameter = False,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """A user shader of luma: for mpv, and for ffmpeg's libplacebo."""
    done = order(model, scale, output, ".glsl", overwrite)
    text = mpv.shader(done.weights, name=done.name, form=form, antiring=antiring, parameter=parameter)
    cost = user_shader.cost(text)
    files.write(done.target, text.encode(), replace=overwrite)
    details = {
        "form": form,
        "antiring": antiring,
        "parameter": parameter,
        "passes": cost.passes,
        "fetches_per_pixel": round(cost.fetches, 2),
        "fetches_per_1080p_frame": cost.fetches_per_frame(*FULL_HD),
    }
    say_written(done, f"{cost.passes} {form} passes, {cost.fetches:.1f} texture fetches per pixel", details, as_json)
