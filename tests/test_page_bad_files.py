"""Files that are no pictures, or pictures that a door does not take: a sentence each, and the queue goes on."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from support import png_bomb, run_command, saved
from tabs import PNG, RGB, Server, Tab, Visits

JPEG = saved([RGB], "JPEG")
WEBP = saved([RGB], "WEBP")
FLIPPED = PNG[:60] + bytes([PNG[60] ^ 0xFF]) + PNG[61:]
TOLERANT = "the command line takes what is left of it with --tolerant"
KIND = "in the browser PNG, JPEG and WebP are taken, and “On this computer” or the command line takes this one, too"
FRAMES = "in the browser a picture has one, and “On this computer” or the command line takes all of them"
BAD: dict[str, tuple[bytes, str]] = {
    "empty.png": (b"", "empty.png is empty (0 bytes)"),
    "text.png": (b"This is no picture.", "text.png is not a picture that this browser engine reads (png, jpg, webp)"),
    "page.svg": (b"<svg/>", "page.svg is not a picture that this browser engine reads (png, jpg, webp)"),
    "cut.png": (PNG[: len(PNG) // 2], f"cut.png is truncated; {TOLERANT}"),
    "cut.jpg": (JPEG[: len(JPEG) // 2], f"cut.jpg is truncated; {TOLERANT}"),
    "cut.webp": (WEBP[: len(WEBP) // 2], f"cut.webp is truncated; {TOLERANT}"),
    "start.png": (PNG[:20], f"start.png is truncated; {TOLERANT}"),
    "flipped.png": (
        FLIPPED,
        "flipped.png is damaged, or of a kind that fsrcnn does not read; the command line takes what can be decoded of it with "
        "--tolerant",
    ),
    "bomb.png": (
        png_bomb(60000, 60000),
        "bomb.png has 60000×60000 = 3,600 megapixels, more than the limit of 268 megapixels; if you trust the file, the "
        "command line takes it with --max-pixels",
    ),
}  # fmt: skip
OF_THE_SERVER: dict[str, tuple[bytes, str]] = {
    "scan.tif": (saved([RGB], "TIFF"), f"scan.tif is a TIFF; {KIND}"),
    "a.gif": (saved([RGB[:, :, 0]], "GIF"), f"a.gif is a GIF; {KIND}"),
    "a.avif": (saved([RGB], "AVIF"), f"a.avif is an AVIF; {KIND}"),
    "a.bmp": (saved([RGB], "BMP"), f"a.bmp is a BMP; {KIND}"),
    "print.jpg": (
        saved([np.concatenate([RGB, RGB[:, :, :1]], 2)], "JPEG", mode="CMYK"),
        "print.jpg is a CMYK JPEG; in the browser grey and RGB are taken, "
        "and “On this computer” or the command line takes this one, too",
    ),
    "frames.png": (saved([RGB, RGB[::-1]], "PNG"), f"frames.png has 2 frames; {FRAMES}"),
    "frames.webp": (saved([RGB, RGB[::-1]], "WEBP"), f"frames.webp has 2 frames; {FRAMES}"),
}  # fmt: skip


def between_good_ones(tab: Tab, bad: dict[str, tuple[bytes, str]]) -> None:
    files = [(name, data) for name, (data, _) in bad.items()]
    tab.add(("good 1.png", PNG))
    tab.add(*files)
    tab.add(("good 2.jpg", JPEG))
    for name in ("good 1.png", *bad, "good 2.jpg"):
        tab.state(name)


def test_in_the_browser_each_has_its_sentence(visit: Visits, server: Server, engine: None) -> None:
    tab = visit(server.address, "browser")
    between_good_ones(tab, {**BAD, **OF_THE_SERVER})
    said = {name: tab.remark(name) for name in (*BAD, *OF_THE_SERVER)}
    assert said == {name: sentence for name, (_, sentence) in {**BAD, **OF_THE_SERVER}.items()}
    tab.done("good 1.png")
    tab.done("good 2.jpg")
    names, _ = zip(tab.save("good 1.png"), tab.save("good 2.jpg"), strict=True)
    assert names == ("good 1_x2.png", "good 2_x2.jpg")


def test_what_the_browser_refuses_is_offered_to_the_server(visit: Visits, server: Server, engine: None) -> None:
    tab = visit(server.address, "browser")
    between_good_ones(tab, OF_THE_SERVER)
    for name in OF_THE_SERVER:
        assert tab.state(name) == "failed"
        tab.row(name).get_by_role("button", name="Compute on this computer").click()
    for name in OF_THE_SERVER:
        tab.done(name)
        assert Image.open(io.BytesIO(tab.save(name)[1])).size == (96, 80)


def test_the_server_says_what_the_command_says(visit: Visits, server: Server, tmp_path: Path) -> None:
    tab = visit(server.address, "server")
    between_good_ones(tab, BAD)
    sentences = {}
    for name, (data, _) in BAD.items():
        (tmp_path / name).write_bytes(data)
        done = run_command("upscale", name, "--precision", "fast", "--max-pixels", str(2**27), cwd=tmp_path)
        assert done.returncode != 0
        sentences[name] = done.stderr.decode().strip().removeprefix("fsrcnn: ").removeprefix("error: ")
    # What to do about it differs: the command's options are not the server's.
    said, wanted = (
        {name: text.partition(";")[0] for name, text in found.items()}
        for found in ({name: tab.remark(name) for name in BAD}, sentences)
    )
    assert said == wanted
    tab.done("good 1.png")
    tab.done("good 2.jpg")


def test_a_file_that_changed_since_it_was_chosen(visit: Visits, server: Server, engine: None, tmp_path: Path) -> None:
    visit.expected.append("ERR_FILE_NOT_FOUND")
    sentences = {
        "browser": "browser.png cannot be read: it was moved, changed or deleted, or may not be read",
        "server": "the file is not there any more; add it again",
    }
    for where, sentence in sentences.items():
        path = tmp_path / f"{where}.png"
        path.write_bytes(PNG)
        tab = visit(server.address, where)
        tab.choose(factor="0")  # so that it is not read at once
        with tab.page.expect_file_chooser() as chooser:
            tab.button("Choose pictures").click()
        chooser.value.set_files(path)
        assert tab.state(path.name) == "failed"
        path.unlink()
        tab.choose(factor="2")
        tab.button(f"Try {path.name} again").click()
        tab.page.wait_for_function("() => !document.querySelector('.remark').textContent.includes('options')")
        assert tab.state(path.name) == "failed"
        assert tab.remark(path.name) == sentence
        tab.add(("good.png", PNG))
        tab.done("good.png")
