"""The command, as typed: what it writes, what it says, and with which exit code it ends."""

from __future__ import annotations

import csv
import io
import json
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fsrcnn
from fsrcnn import images
from support import ENVIRONMENT, files_below, heed_interrupts, png_bomb
from support import run_command as run


def make(path: Path, height: int = 12, width: int = 10, value: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(value).integers(0, 256, (height, width, 3), dtype=np.uint8)
    images.write(images.Picture((pixels,), "png"), path)
    return path


def size_of(path: Path) -> tuple[int, ...]:
    return images.read(path).pages[0].shape[:2]


def loaded_by(*arguments: str, cwd: Path | None = None) -> set[str]:
    """The names of all modules that are there after a command has run, or after the import of the command line if there is none."""
    program = (
        "import contextlib, sys, fsrcnn.cli.commands\n"
        f"with contextlib.suppress(SystemExit): {arguments} and fsrcnn.cli.commands.app({arguments})\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-c", program]
    return set(subprocess.run(command, check=True, capture_output=True, text=True, cwd=cwd).stderr.split())


def test_help_version_and_import_load_nothing_heavy() -> None:
    heavy = {"torch", "h5py", "matplotlib", "PIL", "pyvips", "scipy", "skimage", "rich"}
    assert not heavy & loaded_by()
    assert not heavy & loaded_by("--help")
    for line in (b"upscale   Upscale pictures.", b"transfer  Take trained weights", b"convert   Turn other people's"):
        assert line in run("--help").stdout
    assert run("--version").stdout == f"fsrcnn {fsrcnn.__version__}\n".encode()
    assert run().returncode == 2
    assert b"Did you mean 'upscale'?" in run("upscal").stderr


def test_upscale_loads_what_it_uses(tmp_path: Path) -> None:
    """Half of the start-up were option checks by pydantic, a progress bar nobody sees, the other commands, the version."""
    make(tmp_path / "a.png")
    loaded = loaded_by("upscale", "a.png", cwd=tmp_path)
    assert size_of(tmp_path / "a_x2.png") == (24, 20)
    unused = {"pydantic", "rich", "torch", "PIL", "importlib.metadata", "importlib.resources", "fsrcnn.evaluation"}
    assert not unused & loaded
    assert {name for name in loaded if name.startswith("fsrcnn.cli.")} == {
        "fsrcnn.cli.commands", "fsrcnn.cli.options", "fsrcnn.cli.signals", "fsrcnn.cli.terminal", "fsrcnn.cli.upscale",
    }  # fmt: skip


def test_models() -> None:
    printed = run("models").stdout.decode()
    assert "fsrcnn-x2" in printed
    assert "12,464" in printed
    listed = json.loads(run("models", "--json").stdout)
    assert [row["name"] for row in listed][:3] == ["fsrcnn-x2", "fsrcnn-x2.t91", "fsrcnn-x3"]
    assert len(listed) == 27
    assert listed[0]["weight_count"] == 12464
    assert set(listed[0]["scores"]) == {"Set5", "Set14", "BSD200"}


def test_one_picture(tmp_path: Path) -> None:
    make(tmp_path / "a.png")
    assert run("upscale", "a.png", cwd=tmp_path).returncode == 0
    assert size_of(tmp_path / "a_x2.png") == (24, 20)
    assert run("upscale", "a.png", "-s", "3", "-o", "deep/er/b.jpg", "--quality", "80", cwd=tmp_path).returncode == 0
    assert size_of(tmp_path / "deep/er/b.jpg") == (36, 30)
    assert images.read(tmp_path / "deep/er/b.jpg").format == "jpg"
    assert run("upscale", "a.png", "--fit", "60x60", "--format", "webp", "-o", "out/", cwd=tmp_path).returncode == 0
    assert size_of(tmp_path / "out/a.webp") == (60, 50)
    assert run("upscale", "a.png", "--width", "25", "--model", "fsrcnn-x4", cwd=tmp_path).returncode == 0
    assert size_of(tmp_path / "a_w25.png") == (30, 25)


def test_a_tree(tmp_path: Path) -> None:
    for name in ("in/a.png", "in/deep/b.png", "in/deep/er/c.png"):
        make(tmp_path / name)
    assert run("upscale", "in", "--recursive", cwd=tmp_path).returncode == 0
    assert files_below(tmp_path / "in_x2") == ["a.png", "deep/b.png", "deep/er/c.png"]
    result = run("upscale", "in", "-r", "-o", "other", "--format", "jpg", "--json", cwd=tmp_path)
    assert files_below(tmp_path / "other") == ["a.jpg", "deep/b.jpg", "deep/er/c.jpg"]
    report = json.loads(result.stdout)
    assert [row["output_size"] for row in report["done"]] == [[20, 24]] * 3
    assert report["failed"] == []
    assert run("upscale", "in", "-o", "flat", cwd=tmp_path).returncode == 0
    assert files_below(tmp_path / "flat") == ["a.png"]


def test_pipes(tmp_path: Path) -> None:
    source = make(tmp_path / "a.png")
    result = run("upscale", "-", stdin=source.read_bytes())
    assert images.read(result.stdout).pages[0].shape == (24, 20, 3)
    result = run("upscale", source, "-o", "-", "--format", "webp")
    assert images.read(result.stdout).format == "webp"
    assert run("upscale", "-", "-o", tmp_path / "b.png", stdin=source.read_bytes()).returncode == 0
    assert size_of(tmp_path / "b.png") == (24, 20)
    assert files_below(tmp_path) == ["a.png", "b.png"]


def test_existing_outputs(tmp_path: Path) -> None:
    make(tmp_path / "in/a.png")
    make(tmp_path / "in/b.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.png").write_bytes(b"precious")
    refused = run("upscale", "in", "-o", "out", cwd=tmp_path)
    assert refused.returncode == 2
    assert b"--overwrite to replace or --skip-existing to leave" in refused.stderr
    assert files_below(tmp_path / "out") == ["a.png"]
    assert run("upscale", "in", "-o", "out", "--skip-existing", cwd=tmp_path).returncode == 0
    assert (tmp_path / "out/a.png").read_bytes() == b"precious"
    assert size_of(tmp_path / "out/b.png") == (24, 20)
    assert run("upscale", "in", "-o", "out", "--overwrite", cwd=tmp_path).returncode == 0
    assert size_of(tmp_path / "out/a.png") == (24, 20)


def test_a_batch_goes_on_past_bad_files(tmp_path: Path) -> None:
    for name in ("a", "c", "e"):
        make(tmp_path / f"in/{name}.png")
    (tmp_path / "in/b.png").write_bytes(b"text")
    (tmp_path / "in/d.png").write_bytes(make(tmp_path / "d.png", 90, 90).read_bytes()[:500])
    result = run("upscale", "in", "-o", "out", cwd=tmp_path)
    assert result.returncode == 1
    assert files_below(tmp_path / "out") == ["a.png", "c.png", "e.png"]
    errors = result.stderr.decode()
    assert "in/b.png is not a picture" in errors
    assert "in/d.png is truncated" in errors
    assert "2 of 5 pictures failed" in errors


ODD = {
    "marked [b]up[/b].png": "marked [b]up[/b].png", "in [a[/b].png": "in [a[/b].png", "new\nline.png": "new\\nline.png",
    "\x1b[31mred.png": "\\x1b[31mred.png", "lat\udce9in.png": "lat\\udce9in.png", ":cat:.png": ":cat:.png",
    "été.png": "été.png", "x.png[page=2].png": "x.png[page=2].png",
}  # fmt: skip
"""Names that some program obeys or cannot write, and how they are shown. A slash is a folder's."""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not allow all of these names")
def test_odd_names(tmp_path: Path) -> None:
    """They are upscaled and scored like any other, wherever their names are shown."""
    picture = make(tmp_path / "a.png", 40, 40).read_bytes()
    for name in ODD:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(picture)
    result = run("upscale", "in", "-r", "--json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout.decode("ascii"))
    legible = [name if "\udce9" not in name else ODD[name] for name in ODD]
    assert sorted(row["output"] for row in report["done"]) == sorted(f"{tmp_path}/in_x2/{name}" for name in legible)
    assert files_below(tmp_path / "in_x2") == files_below(tmp_path / "in")

    arguments = ("evaluate", "in", "-r", "-s", "2", "--protocol", "paper", "--save", "out")
    table = run(*arguments, cwd=tmp_path).stdout.decode()
    for shown in ODD.values():
        assert shown.removesuffix(".png") in table
    assert len(files_below(tmp_path / "out")) == 2 * len(ODD)
    result = run(*arguments, "--csv", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    rows = list(csv.DictReader(io.StringIO(result.stdout.decode())))
    assert sorted(row["picture"] for row in rows) == sorted(name.removesuffix(".png") for name in legible)

    for name in ODD:
        (tmp_path / "in" / name).write_bytes(b"text")
    commands: list[list[str]] = [["upscale", "in", "-r", "-o", "none"], ["evaluate", "in", "-r"]]
    for command in commands:
        result = run(*command, cwd=tmp_path)
        assert result.returncode == 1
        errors = result.stderr.decode()
        assert "Traceback" not in errors
        for shown in ODD.values():
            assert f"in/{shown}" in errors


def test_what_is_left_out_of_a_folder_is_said(tmp_path: Path) -> None:
    for name in ("in/a.png", "in/deep/b.png"):
        make(tmp_path / name, 40, 40)
    for name in ("in/notes.txt", "in/deep/list.csv"):
        (tmp_path / name).write_bytes(b"text")
    (tmp_path / "in/link").symlink_to("deep")
    said = "fsrcnn: 2 other files in in left out\nfsrcnn: in/link is a link to a folder, which is not followed\n"
    for arguments in (("upscale", "in", "-r", "--overwrite"), ("evaluate", "in", "-r", "-s", "2")):
        result = run(*arguments, cwd=tmp_path)
        assert result.returncode == 0
        assert said in result.stderr.decode()
        assert json.loads(run(*arguments, "--json", cwd=tmp_path).stdout)["others"] == 2
    assert b"left out" not in run("upscale", "in/a.png", "-o", "b.png", cwd=tmp_path).stderr


def test_evaluate_offers_what_it_has(tmp_path: Path) -> None:
    """It looks into folders, and has no limit to raise."""
    make(tmp_path / "outer/inner/a.png", 40, 40)
    assert (
        run("evaluate", "outer", cwd=tmp_path).stderr.decode().endswith("; give --recursive to look into its folders\n")
    )
    (tmp_path / "outer/inner/bomb.png").write_bytes(png_bomb(30_000, 30_000))
    result = run("evaluate", "outer", "--recursive", "-s", "2", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.decode().endswith("more than the limit of 268 megapixels\n")
    assert "inner/a " in result.stdout.decode()


BAD: dict[str, tuple[list[str], str, int]] = {
    "missing file": (["missing.png"], "missing.png does not exist", 1),
    "folder without pictures": (["void"], "void holds no pictures", 1),
    "pictures only deeper": (["outer"], "outer holds no pictures", 1),
    "empty file": (["empty.png"], "empty.png is empty", 1),
    "truncated png": (["cut.png"], "cut.png is truncated; give --tolerant", 1),
    "truncated jpeg": (["cut.jpg"], "cut.jpg is truncated; give --tolerant", 1),
    "text": (["text.png"], "text.png is not a picture that fsrcnn reads", 1),
    "bomb": (["bomb.png"], "900 megapixels, more than the limit of 268 megapixels; if you trust the file", 1),
    "full device": (["a.png", "-o", "/dev/full"], "cannot write /dev/full: No space left on device", 1),
    "folder that cannot be": (["a.png", "-o", "text.png/b.png"], "cannot write text.png/b.png", 1),
    "output is the input": (["a.png", "-o", "a.png", "--overwrite"], "is also an input", 2),
    "two inputs, one output": (["a.png", "deep/a.png", "-o", "out/"], "would both become out/a.png", 2),
    "two endings, one output": (
        ["a.png", "a.jpg", "-o", "out/", "--format", "webp"],
        "would both become out/a.webp",
        2,
    ),
    "unknown model": (["a.png", "-m", "esrgan"], "there is no model 'esrgan'; there are fsrcnn", 2),
    "missing model file": (["a.png", "-m", "no.safetensors"], "no.safetensors does not exist", 1),
    "pickled model": (["a.png", "-m", "model.pth"], "a pickle or PyTorch checkpoint, which is never loaded", 1),
    "scale 0": (["a.png", "-s", "0"], "scale is a number above 1, up to 64", 2),
    "scale -2": (["a.png", "-s", "-2"], "scale is a number above 1, up to 64", 2),
    "scale 1e9": (["a.png", "-s", "1e9"], "not 1e+09", 2),
    "scale nan": (["a.png", "-s", "nan"], "not nan", 2),
    "scale two": (["a.png", "-s", "two"], "Invalid value for '--scale'", 2),
    "no size": (["a.png", "-s", "2", "--width", "9"], "give --scale, --width and/or --height, or --fit", 2),
    "a bad box": (["a.png", "--fit", "12"], "--fit is WIDTHxHEIGHT", 2),
    "unknown format": (["a.png", "--format", "xyz"], "not as 'xyz'", 2),
    "unknown ending": (["a.png", "-o", "b.xyz"], "not as '.xyz'", 2),
    "no ending": (["a.png", "-o", "b"], "has no ending that names a format", 2),
    "quality": (["a.png", "--quality", "0"], "--quality is a whole number from 1 to 100, not 0", 2),
    "unknown engine": (["a.png", "--engine", "gpu"], "there is no engine 'gpu'", 2),
    "threads": (["a.png", "--threads", "0"], "--threads is a whole number of at least 1, not 0", 2),
    "both ways": (["a.png", "--overwrite", "--skip-existing"], "either --overwrite or --skip-existing", 2),
    "json and picture": (["a.png", "-o", "-", "--json"], "cannot both go to standard output", 2),
    "ending and format": (
        ["a.png", "-o", "b.jpg", "--format", "gif"],
        "ends in .jpg, but the format asked for is gif",
        2,
    ),
    "several to one name": (["a.png", "a.jpg", "-o", "out.png"], "give a folder as --output: out/", 2),
    "a folder to one name": (["deep", "-o", "out.png"], "give a folder as --output: out/", 2),
    "a file as folder": (
        ["a.png", "a.jpg", "-o", "text.png"],
        "text.png is no folder, and several outputs need one",
        2,
    ),
    "a name too long": (["n" * 300 + ".png"], "File name too long", 1),
    "an output too long": (["a.png", "-o", "n" * 300 + ".png"], "File name too long", 1),
    "many to a pipe": (["a.png", "a.jpg", "-o", "-"], "standard output (-) holds one picture", 2),
    "empty input pipe": (["-"], "standard input is empty", 1),
    "too wide for jpeg": (["wide.png", "-s", "4", "-o", "wide.jpg"], "jpg holds at most 65,500", 1),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str, tmp_path: Path) -> None:
    """Each: one clear sentence, its exit code, nothing half-written, nothing overwritten."""
    jpeg = images.write(
        images.Picture((np.random.default_rng(1).integers(0, 256, (99, 99, 3), dtype=np.uint8),), "jpg"), None
    ).data
    assert jpeg is not None
    make(tmp_path / "a.png")
    make(tmp_path / "deep/a.png")
    make(tmp_path / "outer/inner/a.png")
    make(tmp_path / "wide.png", 1, 20_000)
    (tmp_path / "a.jpg").write_bytes(jpeg)
    (tmp_path / "cut.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (tmp_path / "cut.png").write_bytes(make(tmp_path / "big.png", 99, 99).read_bytes()[:9000])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_bytes(b"some text")
    (tmp_path / "bomb.png").write_bytes(png_bomb(30_000, 30_000))
    (tmp_path / "model.pth").write_bytes(pickle.dumps({"a": 1}))
    (tmp_path / "void").mkdir()
    arguments, sentence, code = BAD[case]
    before = {name: (tmp_path / name).read_bytes() for name in files_below(tmp_path)}
    result = run("upscale", *arguments, cwd=tmp_path)
    errors = result.stderr.decode()
    assert result.returncode == code, errors
    assert sentence in errors
    assert "Traceback" not in errors
    if not errors.startswith("Usage:"):  # typer's own refusals show the usage first
        assert errors.count("\n") == 1
    assert result.stdout == b""
    assert {name: (tmp_path / name).read_bytes() for name in files_below(tmp_path)} == before


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5000)])
def test_odd_shapes_are_fine(height: int, width: int, tmp_path: Path) -> None:
    make(tmp_path / "a.png", height, width)
    assert run("upscale", "a.png", "-s", "3", cwd=tmp_path).returncode == 0
    assert size_of(tmp_path / "a_x3.png") == (3 * height, 3 * width)


def test_ctrl_c_in_the_middle_of_a_batch(tmp_path: Path) -> None:
    for number in range(40):
        make(tmp_path / f"in/{number:02}.png", 200, 300, number)
    command = [sys.executable, "-m", "fsrcnn", "upscale", "in", "-o", "out", "-s", "4"]
    with subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, env=ENVIRONMENT, preexec_fn=heed_interrupts
    ) as process:
        while process.poll() is None and len(list((tmp_path / "out").glob("[0-9]*.png"))) < 2:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        errors = process.stderr.read().decode()
    assert process.returncode == 130, errors
    assert "stopped" in errors
    assert "none is half-written" in errors
    assert "Traceback" not in errors
    written = files_below(tmp_path / "out")
    assert 2 <= len(written) < 40
    assert not [name for name in written if "part" in name]
    assert {size_of(tmp_path / "out" / name) for name in written} == {(800, 1200)}


def test_torch_engine_without_torch_names_the_install(tmp_path: Path) -> None:
    make(tmp_path / "a.png")
    (tmp_path / "blocked/torch").mkdir(parents=True)
    (tmp_path / "blocked/torch/__init__.py").write_text("raise ImportError('no torch here')")
    result = subprocess.run(
        [sys.executable, "-m", "fsrcnn", "upscale", "a.png", "--engine", "torch"],
        capture_output=True, cwd=tmp_path, env={**ENVIRONMENT, "PYTHONPATH": str(tmp_path / "blocked")}, check=False,
    )  # fmt: skip
    assert result.returncode == 1
    assert b"pip install 'fsrcnn[torch]'" in result.stderr
    assert result.stderr.count(b"\n") == 1


def test_evaluate(tmp_path: Path) -> None:
    make(tmp_path / "set/a.png", 40, 50)
    make(tmp_path / "set/b.png", 44, 40, 1)
    table = run("evaluate", "set", "--model", "fsrcnn", cwd=tmp_path).stdout.decode()
    for word in ("bicubic", "paper", "files", "×2", "×3", "×4", "Means"):
        assert word in table
    report: dict[str, Any] = json.loads(
        run("evaluate", "set", "-s", "2", "--json", "--save", "out", cwd=tmp_path).stdout
    )
    assert len(report["pictures"]) == 4
    paper = [p["sr"]["psnr"] for p in report["pictures"] if p["protocol"] == "paper"]
    assert report["means"][0]["sr"]["psnr"] == pytest.approx(np.mean(paper))
    assert "out/set/a_x2_panes.png" in files_below(tmp_path)
    rows = run("evaluate", "set", "-s", "2", "--csv", "--protocol", "files", cwd=tmp_path).stdout.decode().splitlines()
    assert rows[0] == "folder,picture,scale,protocol,bicubic_psnr,bicubic_ssim,sr_psnr,sr_ssim"
    assert len(rows) == 3
    flat = images.Picture((np.full((40, 40), 99, np.uint8),), "png")  # bicubic gives it back exactly: infinite PSNR
    images.write(flat, tmp_path / "flat/a.png")
    report = json.loads(run("evaluate", "flat", "-s", "2", "--json", cwd=tmp_path).stdout, parse_constant=pytest.fail)
    assert report["pictures"][0]["bicubic"] == {"psnr": None, "ssim": 1.0}
    (tmp_path / "set/c.png").write_bytes(b"text")
    result = run("evaluate", "set", "-s", "2", cwd=tmp_path)
    assert result.returncode == 1
    assert b"c.png is not a picture" in result.stderr
    for arguments, sentence in (
        (["none"], "none does not exist"), (["set", "-s", "5"], "fsrcnn is of ×2, ×3, ×4, not ×5"),
        (["set", "--protocol", "mine"], "protocol is paper, files, both or photo"),
        (["set", "--json", "--csv"], "either --json or --csv"),
    ):  # fmt: skip
        refused = run("evaluate", *arguments, cwd=tmp_path)
        assert refused.returncode in (1, 2)
        assert sentence in refused.stderr.decode()
