"""A sheet to look at: crops made small as it happens in life, and large again by each model.

    python tools/looking.py looking.png --datasets FOLDER                # the sheet
    python tools/looking.py looking.png --models fsrcnn my.safetensors   # without --datasets: the pictures that are here
    python tools/looking.py docs/real_photo.png --readme                 # the README's picture

A row is a crop in one of the cases of `fsrcnn.degradation`, as a file (a screenshot as it is): nearest, bicubic, each model, the
original. Behind `auto` stands which family it chose, by the file and its pixels.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fsrcnn import Size, Upscaler, cli, images
from fsrcnn.arrays import Array, Uint8
from fsrcnn.color import as_rgb
from fsrcnn.degradation import CASES
from fsrcnn.errors import UsageError
from fsrcnn.figures import three_panes
from fsrcnn.imresize import imresize
from fsrcnn.metrics import modcrop

ASTRONAUT = "astronaut"  # NASA's, in the public domain
SCREENSHOT, LINE_ART = "screenshot", "line art"  # drawn here
AS_IT_IS = "as it is"  # the picture is the small one
ZOOM = 2  # each pixel of a crop
MODELS, README_MODELS = ("fsrcnn", "fsrcnn-photo", "auto"), ("fsrcnn", "fsrcnn-photo")


@dataclass(frozen=True)
class Row:
    """What is shown side by side.

    Attributes:
        subject: in words.
        picture: drawn here, or a file below --datasets.
        case: of `CASES`, or `AS_IT_IS`.
        box: top, left, height and width in HR pixels.
    """

    subject: str
    picture: str
    case: str
    box: tuple[int, int, int, int]


ROWS = (
    Row("face", ASTRONAUT, "sharpened, JPEG 85", (50, 150, 120, 150)),
    Row("face", ASTRONAUT, "JPEG 50", (50, 150, 120, 150)),
    Row("face", "Set14/foreman.png", "real", (80, 80, 120, 150)),
    Row("face", ASTRONAUT, "clean", (50, 150, 120, 150)),
    Row("foliage", "BSDS500-val20/147091.jpg", "sharpened, JPEG 85", (80, 170, 120, 150)),
    Row("fur", "BSDS500-val20/108005.jpg", "JPEG 75", (80, 170, 120, 150)),
    Row("sky", "BSDS500-val20/126007.jpg", "noise 8", (60, 190, 120, 150)),
    Row("print", "Set14/ppt3.png", "clean", (240, 20, 120, 150)),
    Row("print", "Set14/ppt3.png", "JPEG 30", (240, 20, 120, 150)),
    Row("comic", "Set14/comic.png", "INTER_CUBIC", (90, 70, 120, 150)),
    Row("screen", SCREENSHOT, AS_IT_IS, (0, 0, 120, 150)),
    Row("lines", LINE_ART, "clean", (0, 0, 120, 150)),
    Row("lines", LINE_ART, "JPEG 50", (0, 0, 120, 150)),
)
README_ROW = Row("", ASTRONAUT, "sharpened, JPEG 85", (40, 150, 150, 170))


def read(name: str, datasets: Path | None) -> Uint8 | None:
    """A picture in 8 bit; None where it lies in the data sets and nobody said where those are."""
    if name == SCREENSHOT:
        return screenshot()
    if name == LINE_ART:
        return line_art()
    if name == ASTRONAUT:
        path = Path(__file__).resolve().parent.parent / "examples" / "astronaut.png"
    elif datasets is None:
        return None
    else:
        path = datasets / name
    return np.asarray(images.read(path).pages[0], np.uint8)


def screenshot() -> Uint8:
    """Half a terminal, half a page: letters of 8 to 12 pixels."""
    picture = Image.new("RGB", (144, 120), (24, 24, 28))
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, 60, 144, 120), fill=(250, 250, 250))
    for top, size, ink, line in (
        (2, 8, (230, 230, 230), "these were seen here"), (12, 9, (120, 220, 120), "$ make test"),
        (23, 10, (230, 230, 230), "error: 3 of 412 files"), (36, 12, (255, 210, 90), "Save as…  [Cancel]"),
        (64, 8, (20, 20, 20), "these were seen here"), (75, 10, (20, 60, 200), "a link, underlined"),
        (90, 12, (20, 20, 20), "Heading of a page"),
    ):  # fmt: skip
        pen.text((3, top), line, fill=ink, font=ImageFont.load_default(size))
    pen.line((3, 87, 90, 87), fill=(20, 60, 200))
    return np.asarray(picture)


def line_art() -> Uint8:
    """Circles, a fan of rays and hatching, drawn four times as large and averaged."""
    fine = 4
    picture = Image.new("L", (156 * fine, 120 * fine), 255)
    pen = ImageDraw.Draw(picture)
    for radius in range(6, 54, 6):
        pen.ellipse([fine * (c + s * radius) for s in (-1, 1) for c in (56, 58)], outline=0, width=fine)
    for number in range(12):
        pen.line((150 * fine, 4 * fine, (90 + 5 * number) * fine, 70 * fine), fill=0, width=fine)
    for left in range(60, 150, 4):
        pen.line((left * fine, 118 * fine, (left + 30) * fine, 84 * fine), fill=90, width=fine // 2)
    return as_rgb(np.asarray(picture.resize((156, 120), Image.Resampling.BOX)))


def panes(row: Row, picture: Uint8, scale: int, models: Sequence[str]) -> dict[str, Array]:
    """Title → the crop, by nearest, bicubic, each model, and the original where there is one."""
    if row.case == AS_IT_IS:
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "PNG")
        file, shown = buffer.getvalue(), {}
    else:
        hr = np.asarray(modcrop(picture, scale))
        file, shown = CASES[row.case].file(hr / np.float32(255), scale), {"original": hr}
    small = images.read(file)
    lr = small.pages[0]
    size = (scale * lr.shape[0], scale * lr.shape[1])
    enlarged = {"nearest": repeated(lr, scale), "bicubic": imresize(lr, output_size=size)}
    enlarged |= dict(enlarged_by(model, small, scale) for model in models)
    top, left, height, width = row.box
    return {title: whole[top : top + height, left : left + width] for title, whole in (enlarged | shown).items()}


def enlarged_by(model: str, small: images.Picture, scale: int) -> tuple[str, Array]:
    """(title, the larger picture)."""
    upscaler, choice = Upscaler(model, scale=scale).chosen_for(small, Size(factor=scale))
    title = Path(model).name if choice is None else f"{model}: {choice.model}"
    return title, upscaler.array(small.pages[0])


def repeated(pixels: Array, times: int) -> Array:
    return pixels.repeat(times, axis=0).repeat(times, axis=1)


def sheet(datasets: Path | None, scale: int, models: Sequence[str]) -> Uint8:
    """All rows, one below the other."""
    strips = []
    for row in ROWS:
        picture = read(row.picture, datasets)
        if picture is None:
            continue
        shown = panes(row, picture, scale, models)
        labels = [f"{row.subject} · {row.case}", *list(shown)[1:]]  # the first pane shows for itself that it is nearest
        strips.append(three_panes([repeated(pane, ZOOM) for pane in shown.values()], labels))
    width = max(strip.shape[1] for strip in strips)
    around = [((0, 0), (0, width - strip.shape[1]), (0, 0)) for strip in strips]
    return np.vstack([np.pad(strip, pad, constant_values=255) for strip, pad in zip(strips, around, strict=True)])


def readme_picture(models: Sequence[str], scale: int) -> Uint8:
    """Bicubic and each model, of a photo that was sharpened and compressed."""
    picture = read(README_ROW.picture, None)
    assert picture is not None
    shown = panes(README_ROW, picture, scale, models)
    titles = [title for title in shown if title not in ("nearest", "original")]
    return three_panes([repeated(shown[title], ZOOM) for title in titles], [f"{title} x{scale}" for title in titles])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("output", type=Path, help="a PNG; an existing one is replaced")
    parser.add_argument("--datasets", type=Path, help="the folder that holds Set14 and BSDS500-val20, for the sheet")
    parser.add_argument("--models", nargs="+", help=f"names or weights files; {', '.join(MODELS)}")
    parser.add_argument("--scale", type=int, choices=(2, 3, 4), default=2)
    parser.add_argument("--readme", action="store_true", help="make the README's picture instead")
    arguments = parser.parse_args()
    if arguments.output.suffix.lower() not in ("", ".png"):
        raise UsageError(f"the output is a PNG, not {arguments.output}", "give a name that ends in .png")
    models = arguments.models or (README_MODELS if arguments.readme else MODELS)
    shown = (
        readme_picture(models, arguments.scale)
        if arguments.readme
        else sheet(arguments.datasets, arguments.scale, models)
    )
    images.write(images.Picture((shown,), "png"), arguments.output, overwrite=True)


if __name__ == "__main__":
    cli.run(main)
