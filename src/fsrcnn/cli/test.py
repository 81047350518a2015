"""`fsrcnn test`: one picture made small and large again, as people know it from the ports."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from fsrcnn import images
from fsrcnn.architecture import name_of
from fsrcnn.cli.options import EngineName, Overwrite, Precision, Threads
from fsrcnn.cli.terminal import print_json, report
from fsrcnn.errors import ImageError, UsageError, printable
from fsrcnn.evaluation import compare, pictures_of, result_of
from fsrcnn.models import check_scale
from fsrcnn.protocol import PROTOCOLS, Protocol, read_8bit
from fsrcnn.upscaler import Upscaler


def measure(
    image: Annotated[
        Path | None, typer.Argument(metavar="IMAGE", help="A high-resolution picture.", show_default=False)
    ] = None,
    image_file: Annotated[Path | None, typer.Option(metavar="IMAGE", help="The same as IMAGE.", show_default=False)] = None,
    weights_file: Annotated[
        str, typer.Option("--weights-file", "--model", "-m", help="Weights file, bundled model, or family.")
    ] = "fsrcnn",
    scale: Annotated[int | None, typer.Option("--scale", "-s", help="Default: that of the weights.", show_default=False)] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="Default: beside the picture.", show_default=False)
    ] = None,
    protocol: Annotated[str, typer.Option(help="paper (LR in float) or files (LR rounded to 8 bit).")] = "paper",
    engine: EngineName = "auto",
    precision: Precision = "exact",
    threads: Threads = None,
    overwrite: Overwrite = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON on standard output.")] = False,
) -> None:  # fmt: skip
    """Make a picture small, then large again by bicubic interpolation and by a network; print PSNR and SSIM.

    Writes NAME_bicubic_x2.png, NAME_fsrcnn_x2.png and NAME_panes_x2.png (HR | bicubic | SR).
    """
    if image is not None and image_file is not None:
        raise UsageError("give the picture once, as IMAGE or with --image-file")
    path = image or image_file
    if path is None:
        raise UsageError("give a high-resolution picture, as: fsrcnn test butterfly.png --scale 2")
    if protocol not in PROTOCOLS:
        raise UsageError(f"protocol is {' or '.join(PROTOCOLS)}, not {protocol!r}")
    upscaler = Upscaler(weights_file, engine=engine, threads=threads, precision=precision)
    scale = scale or int(upscaler.scale)
    check_scale(weights_file, upscaler.scales, scale)
    network = upscaler.engine(scale)
    name = name_of(network.architecture)
    folder = output or path.parent
    targets = [folder / f"{path.stem}_{kind}_x{scale}.png" for kind in ("bicubic", name, "panes")]
    existing = [str(target) for target in targets if target.exists()]
    if existing and not overwrite:
        raise UsageError(f"{existing[0]} exists", "give {overwrite=True} or another {output}")

    original = read_8bit(path)
    kind: Protocol = protocol
    try:
        planes = compare(original, network, kind)
    except ImageError as error:
        raise error.named(path) from error
    result = result_of(planes, str(path.parent), path.stem, kind, scale)
    pictures = pictures_of(original, planes, result, scale)
    for target, pixels in zip(targets, (pictures.bicubic, pictures.sr, pictures.panes), strict=True):
        images.write(images.Picture((pixels,), "png"), target, overwrite=overwrite)
    written = ", ".join(map(str, targets))
    if as_json:
        summary = {
            "picture": str(path), "scale": scale, "protocol": protocol,
            "bicubic": asdict(result.bicubic), name: asdict(result.sr), "written": [str(target) for target in targets],
        }  # fmt: skip
        print_json(summary, f"{written} are written")
        return
    lines = [f"{printable(str(path))} ×{scale}, protocol {protocol}: PSNR (dB) / SSIM on the luma"]
    for label, score in (("bicubic", result.bicubic), (name, result.sr)):
        lines.append(f"{label:>10}  {score.psnr:.2f} / {score.ssim:.4f}")
    report(
        "\n".join([*lines, f"written: {', '.join(printable(str(target)) for target in targets)}"]),
        f"{written} are written",
    )
