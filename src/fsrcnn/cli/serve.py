"""`fsrcnn serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from fsrcnn.arguments import number, whole_number
from fsrcnn.cli.options import EngineName, Threads
from fsrcnn.cli.signals import instead
from fsrcnn.cli.terminal import remark
from fsrcnn.errors import UsageError
from fsrcnn.parallel import Control
from fsrcnn.require import require

PORT = 8420
PACKAGES = ("starlette", "uvicorn", "python_multipart")


def serve(
    port: Annotated[int, typer.Option(help="Port to listen at; 0: any that is free.")] = PORT,
    host: Annotated[
        str, typer.Option(help="Address to listen at. Any that others can reach, as 0.0.0.0, needs a token.")
    ] = "127.0.0.1",
    open: Annotated[bool, typer.Option("--open", help="Show the page in the browser.")] = False,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="FSRCNN_TOKEN",
            help="What clients must give (Authorization: Bearer TOKEN). In the environment, other users of the machine do "
            "not see it.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A host name by which clients call this server, as photos.example.org; may be given several times, and needs a "
            "token. Addresses and localhost always are such names.",
            show_default=False,
        ),
    ] = None,
    threads: Threads = None,
    engine: EngineName = "auto",
    queue: Annotated[int, typer.Option(help="Pictures that may wait; the next ones are answered 503.")] = 64,
    keep: Annotated[float, typer.Option(help="Seconds for which results of jobs are kept.")] = 600.0,
    max_bytes: Annotated[int, typer.Option(help="Refuse uploads with more bytes than this.")] = 2**28,
    max_pixels: Annotated[
        int, typer.Option(help="Refuse pictures with more pixels than this before decoding them.")
    ] = 2**27,
    max_output_pixels: Annotated[int, typer.Option(help="Refuse results with more pixels than this.")] = 2**29,
) -> None:
    """Upscale pictures for a browser and for other programs, over HTTP. Nothing is kept after its end."""
    for package in PACKAGES:
        require(package, "HTTP requests", extra="serve")
    from fsrcnn.serve.listening import Settings
    from fsrcnn.serve.listening import serve as listen
    from fsrcnn.serve.options import Limits

    if not number(keep, "keep", "a number of seconds of at least 1") >= 1:
        raise UsageError(f"is a number of seconds of at least 1, not {keep:g}", argument="keep")
    limits = Limits(
        whole_number(max_bytes, "max_bytes"),
        whole_number(max_pixels, "max_pixels"),
        whole_number(max_output_pixels, "max_output_pixels"),
    )
    settings = Settings(
        host, whole_number(port, "port", 0, 65_535), token, tuple(name or ()), Control(threads).threads, engine,
        whole_number(queue, "queue", 0), keep, limits,
    )  # fmt: skip
    listen(settings, lambda said: remark(f"fsrcnn: {said}"), instead, open)
