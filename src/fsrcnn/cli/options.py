"""Options that several commands share: said once, spelled alike everywhere; and how this door spells the remedies of errors."""

from __future__ import annotations

from typing import Annotated

import typer

from fsrcnn.engines import ENGINE_NAMES

Model = Annotated[
    str,
    typer.Option("--model", "-m", help="A family (fsrcnn), a bundled model (fsrcnn-x2; see `fsrcnn models`), or a weights file."),
]  # fmt: skip
EngineName = Annotated[str, typer.Option("--engine", help=f"One of {', '.join(ENGINE_NAMES)}.")]
Precision = Annotated[str, typer.Option(help="exact, or fast (16-bit whole numbers; at most 0.02 dB less on Set5).")]
Threads = Annotated[int | None, typer.Option(help="CPU threads. Default: all.", show_default=False)]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")]
Json = Annotated[bool, typer.Option("--json", help="Print what was done as JSON on standard output.")]

# Arguments whose option has another name.
OPTIONS = {
    "rate": "--lr",
    "scalar_rate": "--scalar-lr",
    "batch": "--batch-size",
    "average": "--ema",
    "factor": "--scale",
}
FLAGS = {("existing", "'skip'"): "--skip-existing", ("existing", "'replace'"): "--overwrite"}


def as_option(name: str, value: str | None) -> str:
    """How a remedy spells an argument here: `max_pixels`, "900" → `--max-pixels 900`; `overwrite`, "True" → `--overwrite`."""
    if value is not None and (name, value) in FLAGS:
        return FLAGS[name, value]
    option = OPTIONS.get(name, f"--{name.replace('_', '-')}")
    return option if value in (None, "True") else f"{option} {str(value).strip(chr(39))}"
