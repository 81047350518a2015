"""`fsrcnn prepare`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from fsrcnn.cli import signals
from fsrcnn.cli.options import Json, Overwrite, Recursive, as_option
from fsrcnn.cli.terminal import bar, print_json, remark, report
from fsrcnn.errors import FsrcnnError, UsageError, printable
from fsrcnn.files import resolved


def prepare(
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="IMAGES...", help="Pictures and folders of pictures.", show_default=False),
    ] = None,
    images_dir: Annotated[
        list[Path] | None, typer.Option(metavar="FOLDER", help="The same as IMAGES.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", "--output-path", metavar="FILE", help="HDF5 file to write.", show_default=False),
    ] = None,
    scale: Annotated[int, typer.Option("--scale", "-s", help="2, 3 or 4.")] = 3,
    whole: Annotated[bool, typer.Option("--eval", help="Whole pictures, for validation, instead of sub-images.")] = False,
    augment: Annotated[
        bool,
        typer.Option(
            "--augment", "--with-aug",
            help="The paper's 19 more pictures of each: shrunk by 0.9, 0.8, 0.7, 0.6, turned by 90, 180, 270 degrees.",
        ),
    ] = False,
    layout: Annotated[
        str, typer.Option(help="lr-hr (N, h, w), or data-label (N, 1, w, h) as MATLAB writes it for Caffe.")
    ] = "lr-hr",
    sub_image: Annotated[
        int | None,
        typer.Option(help="Side of an LR sub-image. Default: the paper's 10, 7, 6 at ×2, ×3, ×4.", show_default=False),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            metavar="SIDE|full",
            help="Side of the HR label. Default: the paper's 19, 19, 21; full where --sub-image is given.", show_default=False,
        ),
    ] = None,
    degrade: Annotated[
        str,
        typer.Option(
            metavar="none|photo|photo-mild|photo-strong",
            help="photo makes the LR of each picture by random blur, shrinking, noise, sharpening and JPEG; none by MATLAB's bicubic.",
        ),
    ] = "none",
    seed: Annotated[
        int | None, typer.Option(help="Of the random chains of --degrade photo. Default: 0.", show_default=False)
    ] = None,
    stride: Annotated[int | None, typer.Option(help="LR pixels between sub-images. Default: 4.", show_default=False)] = None,
    recursive: Recursive = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Cut pictures into LR/HR sub-images for training: luma by BT.601, modcrop, MATLAB's bicubic or a random chain, HDF5."""
    from fsrcnn.training.hdf5_writer import prepare as write_prepared
    from fsrcnn.training.layouts import LAYOUTS
    from fsrcnn.training.pairs import PAPER_FACTORS, PAPER_ROTATIONS, Folder, say_what_is_left
    from fsrcnn.training.recipe import DEGRADES
    from fsrcnn.training.sub_images import PAPER_SUB_IMAGE, paper_sub_images

    given = [*(inputs or []), *(images_dir or [])]
    if not given:
        raise UsageError("give pictures or folders of pictures, as: fsrcnn prepare T91/ -o train.h5 --scale 3")
    if output is None:
        raise UsageError("give the file to write with -o, as: fsrcnn prepare T91/ -o train.h5 --scale 3")
    if layout not in LAYOUTS:
        raise UsageError(f"layout is {' or '.join(LAYOUTS)}, not {layout!r}")
    if degrade not in DEGRADES:
        raise UsageError(f"degrade is {', '.join(DEGRADES)}, not {degrade!r}")
    if seed is not None and degrade == "none":
        raise UsageError("--seed is that of the random chains, and there are none", "give {degrade='photo'}, too")
    if scale not in PAPER_SUB_IMAGE:
        raise UsageError(f"scale is 2, 3 or 4, not {scale}")
    if whole and (augment or sub_image or label or stride):
        raise UsageError(
            "--eval writes whole pictures as they are; it takes no --augment, --sub-image, --label or --stride"
        )
    if output.exists() and not overwrite:
        raise UsageError(f"{output} exists", "give {overwrite=True} or another {output}")
    cut = paper_sub_images(scale)
    if sub_image is not None:
        cut = replace(cut, size=sub_image, label=sub_image * scale)
    if label is not None:
        cut = replace(cut, label=cut.size * scale if label == "full" else _whole_number(label))
    if stride is not None:
        cut = replace(cut, stride=stride)
    if augment:
        cut = replace(cut, factors=PAPER_FACTORS, rotations=PAPER_ROTATIONS)

    notes: list[str] = []
    failures: list[FsrcnnError] = []
    paths: list[Path] = []
    names: list[str] = []
    for source in given:
        folder = Folder(source, recursive=recursive)
        found = folder.find()
        say_what_is_left(source, found, notes.append, failures.append)
        paths += found.pictures
        names += [
            f"{source.resolve().name}/{folder.name_of(path)}"
            if len(given) > 1 and path != source
            else folder.name_of(path)
            for path in found.pictures
        ]
    if resolved(output) in {resolved(path) for path in paths}:
        raise UsageError(f"the output {output} is also an input", "give another {output}")
    # HDF5 calls back to write, and does not survive an exception there: a signal is heeded between two pictures.
    with bar("") as update, signals.instead():

        def progress(part: float, name: str) -> None:
            signals.check()
            update(part, name)

        done = write_prepared(
            paths, output, cut, names=names, layout=LAYOUTS[layout].name, whole=whole, progress=progress, overwrite=overwrite,
            degrade=degrade, seed=seed or 0,
        )  # fmt: skip
    failures += done.failures
    sentences = [failure.sentence(as_option) for failure in failures]
    if as_json:
        summary = {"output": str(output), "pictures": done.pictures, "items": done.items, "failures": sentences}
        print_json(summary, f"{output} is written")
    else:
        items = (
            "whole pictures" if whole else f"sub-images of {cut.size}×{cut.size} LR, {cut.label}×{cut.label} HR pixels"
        )
        pictures = "one picture" if done.pictures == 1 else f"{done.pictures:,} pictures"
        report(
            f"{printable(str(output))}: {done.items:,} {items}, from {pictures}, ×{scale}{', degraded' if degrade != 'none' else ''}",
            "it is written",
        )
    for sentence in (*notes, *sentences):
        remark(f"fsrcnn: {sentence}")
    if done.failures:
        remark(f"fsrcnn: {len(done.failures)} of {len(paths)} pictures could not be used")
    if failures:
        raise typer.Exit(1)


def _whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"label is a number of HR pixels or full, not {text!r}") from None
