"""The repository's scripts: a mistake is one sentence and an exit code, as of `fsrcnn`, and nothing is written."""

from __future__ import annotations

import importlib
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from fsrcnn import choice, cli, pretrained, weights
from fsrcnn.arrays import Array
from fsrcnn.images import Compression
from support import ROOT, files_below

NO_MODEL = "there is no model 'none'; "
AVERAGE = "recipes/average.py fsrcnn-x-x2 fsrcnn-x-x2 --strength 0.5 --output"
CURE = "recipes/cure.py --datasets {empty} --output {out} --model fsrcnn-x2"
# What is typed, in a folder with an empty folder and a file → exit code, and how the sentence begins.
MISTAKES = (
    ("tools/sparks.py none", 2, NO_MODEL),
    ("tools/sparks.py fsrcnn-x-x2 --sheets 0", 2, "--sheets is a whole number of at least 1, not 0"),
    ("tools/looking.py {out} --models none", 2, NO_MODEL),
    ("tools/looking.py {out} --datasets {empty} --models fsrcnn-x", 1, "{empty}/Set14/foreman.png does not exist"),
    ("tools/looking.py {empty} --models fsrcnn-x --readme", 1, "cannot write {empty}: it is a folder"),
    ("tools/bundle.py {out} --datasets {empty}", 2, "a run folder is named as its model, as fsrcnn-x3 or fsrcnn-x3.t91, not 'out'"),
    ("tools/bundle.py {out}/fsrcnn-x2.more --datasets {empty}", 2, "a run folder is named as its model"),
    ("tools/bundle.py {out}/fsrcnn-x2 --datasets {empty}", 1, "{out}/fsrcnn-x2/best.safetensors does not exist"),
    ("tools/bundle.py {run}/fsrcnn-x2 --datasets {empty}", 2, "{run}/fsrcnn-x2/best.safetensors is of ×3, not ×2"),
    ("tools/bundle.py {run}/fsrcnn-x-x3 --datasets {empty}", 1, "{empty}/Set5 does not exist"),
    ("tools/looking.py out.jpg --models fsrcnn-x --readme", 2, "the output is a PNG, not out.jpg; give a name that ends in .png"),
    ("tools/fuzz.py pictures --only -5", 2, "--only is a whole number of at least 0, not -5"),
    ("tools/fuzz.py pictures --count 0", 2, "--count is a whole number of at least 1, not 0"),
    ("tools/fuzz_serve.py --count 0", 2, "--count is a whole number of at least 1, not 0"),
    ("benchmarks/serve.py --clients 0", 2, "--clients is a whole number of at least 1, not 0"),
    ("tools/kill.py --count -1", 2, "--count is a whole number of at least 1, not -1"),
    (f"{CURE} --threads 0", 2, "--threads is a whole number of at least 1, not 0"),
    (f"{CURE} --share 3", 2, "--share is a number from 0 to 1, not 3"),
    (f"{CURE} --share nan", 2, "--share is a number from 0 to 1, not nan"),
    (f"{CURE} --margin -1", 2, "--margin is a number from 0 to 255, not -1"),
    (f"{CURE} --contrast 0.5", 2, "--contrast is 1 to 10, not 0.5"),
    (f"{CURE} --lr nan", 2, "--lr is 0 or more, not nan"),
    (f"{CURE} --like fsrcnn-x3", 2, "fsrcnn-x3 is of ×3, not ×2"),
    (f"{CURE} --like none", 2, NO_MODEL),
    (CURE, 1, "{empty}/T91 does not exist"),
    (f"{AVERAGE} {{file}}", 1, "cannot write {file}/best.safetensors: Not a directory"),
    (f"{AVERAGE} {{run}}/fsrcnn-x2", 2, "{run}/fsrcnn-x2/best.safetensors holds other weights; remove it, or give another --output"),
    (AVERAGE.replace("x-x2 --s", "x-x3 --s") + " {out}", 2, "two networks that differ (deconvolution_kernel"),
    (AVERAGE.replace("0.5", "2") + " {out}", 2, "--strength is 0 to 1, not 2.0"),
    ("benchmarks/quality.py --datasets {empty}", 1, "{empty}/Set5 does not exist"),
    ("benchmarks/precision.py --datasets {empty}", 1, "{empty}/Set5 does not exist"),
    ("benchmarks/integer_loss.py --datasets {empty}", 1, "{empty}/Set5 does not exist"),
    ("benchmarks/integer_loss.py --datasets {empty} --tuned {file}", 2, "--tuned is a folder of runs, not {file}"),
    ("benchmarks/photo_rows.py --datasets {empty}", 1, "{empty}/BSDS500-val20 does not exist"),
    ("benchmarks/auto_regret.py --datasets {empty}", 1, "{empty}/BSDS500-val20 does not exist"),
    ("benchmarks/training_speed.py --datasets {empty}", 1, "{empty}/T91 does not exist"),
    ("benchmarks/training_speed.py --scale 2", 2, "without --datasets only --scale 3 is measured"),
    ("benchmarks/training_speed.py --device abacus", 2, "PyTorch sees no abacus device here; use --device cpu"),
    ("benchmarks/training_speed.py --steps 0", 2, "--steps is a whole number of at least 1, not 0"),
    ("benchmarks/engines.py --threads 1 0", 2, "--threads is a whole number of at least 1, not 0"),
    ("benchmarks/engines.py --width 0", 2, "--width is a whole number of at least 1, not 0"),
    ("tools/kill_cluster.py --pictures 0", 2, "--pictures is a whole number of at least 1, not 0"),
    ("tools/kill_cluster.py --kills -1", 2, "--kills is a whole number of at least 0, not -1"),
    ("benchmarks/cluster.py --photos 0", 2, "--photos is a whole number of at least 1, not 0"),
    ("benchmarks/folder.py --photos 0", 2, "--photos is a whole number of at least 1, not 0"),
    ("benchmarks/listing.py --pictures 0", 2, "--pictures is a whole number of at least 1, not 0"),
    ("benchmarks/exports.py --rounds 0", 2, "--rounds is a whole number of at least 1, not 0"),
    ("benchmarks/exports.py --models none", 2, NO_MODEL),
    ("benchmarks/exports.py --tflite {empty}", 2, "--tflite is an interpreter that has onnx2tf and tensorflow, not {empty}"),
    ("benchmarks/rtl.py --seconds 0", 2, "--seconds is a whole number of at least 1, not 0"),
    ("benchmarks/rtl.py --only none", 2, "--only is one of fsrcnn-x, fsrcnn-s, fsrcnn"),
    ("benchmarks/rtl.py --targets ice40", 2, "--targets are of xcup, xc7, ecp5, not 'ice40'"),
    ("benchmarks/rtl.py --format w4a4", 2, "--format is w16a14, w12a12, w10a12, w8a16, w8a8, not 'w4a4'"),
    ("benchmarks/frames.py --rounds 0", 2, "--rounds is a whole number of at least 1, not 0"),
    ("benchmarks/photo_to_4k.py --runs 0", 2, "--runs is a whole number of at least 1, not 0"),
    ("benchmarks/stages.py --rounds 0", 2, "--rounds is a whole number of at least 1, not 0"),
    ("benchmarks/web_engine.py --rounds 0", 2, "--rounds is a whole number of at least 1, not 0"),
    ("benchmarks/web_engine.py --ort {empty}", 2, "--ort is the folder dist of onnxruntime-web, but {empty} has no ort.wasm.min.mjs"),
    ("benchmarks/memory.py --megapixels nan", 2, "--megapixels is a number above 0, not nan"),
    ("benchmarks/memory.py --megapixels 0", 2, "--megapixels is a number above 0, not 0"),
    ("benchmarks/film.py --frames 0", 2, "--frames is a whole number of at least 1, not 0"),
    ("benchmarks/film.py --threads 2 0", 2, "--threads is a whole number of at least 1, not 0"),
    ("benchmarks/film.py --models fsrcnn none", 2, NO_MODEL),
    ("benchmarks/film.py --vapoursynth {empty}", 2, "--vapoursynth is an interpreter that has vapoursynth and"),
    ("benchmarks/film.py --plugin {empty}", 2, "--plugin is fsrcnn.so, and needs --vapoursynth"),
    ("benchmarks/film_memory.py --small 0", 2, "--small is a whole number of at least 1, not 0"),
    ("benchmarks/film_memory.py --large -1", 2, "--large is a whole number of at least 1, not -1"),
    ("benchmarks/shaders.py --datasets {empty}", 1, "{empty}/Set5 does not exist"),
    ("benchmarks/shader_speed.py --rounds 0", 2, "--rounds is a whole number of at least 1, not 0"),
    ("benchmarks/shader_speed.py --shader x", 2, "--shader is NAME=PATH, not 'x'"),
    ("benchmarks/shaders.py --datasets {empty} --shader x", 2, "--shader is NAME=PATH, not 'x'"),
    ("benchmarks/shaders.py --datasets {empty} --shader x={out}", 2, "{out} does not exist"),
    ("tools/kill_films.py --count 0", 2, "--count is a whole number of at least 1, not 0"),
    ("tools/kill_films.py --disks 0", 2, "--disks is a whole number of at least 1, not 0"),
    ("tools/long_film.py --seconds 0", 2, "--seconds is a whole number of at least 1, not 0"),
    ("tools/wheels.py --only-check --dist {empty}", 1, "{empty} has 0 wheels of fsrcnn "),
    ("benchmarks/archive.py --rounds 0", 2, "--rounds is a whole number of at least 1, not 0"),
    ("benchmarks/archive.py --pictures 0", 2, "--pictures is a whole number of at least 1, not 0"),
    ("benchmarks/archive.py --pictures 9 --machines 0", 2, "--machines is a whole number of at least 1, not 0"),
    ("benchmarks/archive.py --pictures 9 --megapixels nan", 2, "--megapixels is a number above 0, not nan"),
    ("benchmarks/archive.py --pictures 9 --page-seconds 0", 2, "--page-seconds is a number above 0, not 0"),
    ("benchmarks/archive.py --pictures 9 --way x", 2, "--way is one of jpg to jpg, fast; jpg to jpg, exact; "),
    ("benchmarks/builds.py one.so", 2, "a build is given as NAME=LIBRARY, as gcc=_native.abi3.so, not 'one.so'"),
    ("benchmarks/builds.py gcc={empty}/none.so", 2, "{empty}/none.so is no file"),
    ("benchmarks/builds.py gcc={file} --rounds 0", 2, "--rounds is a whole number of at least 1, not 0"),
    ("tools/long_film.py --seconds 3", 2, "--seconds is at least 4, not 3"),
)  # fmt: skip
NEEDED = {"tools/bundle.py": ("matplotlib", "torch"), "recipes/cure.py": ("torch", "tensorboard", "matplotlib"),
          "benchmarks/precision.py": ("torch",), "benchmarks/training_speed.py": ("torch", "tensorboard")}  # fmt: skip


def typed(words: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """`python WORDS` in this process; the exit code."""
    script = ROOT / words[0]
    monkeypatch.syspath_prepend(str(script.parent))
    monkeypatch.setattr(sys, "argv", [str(script), *words[1:]])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script), run_name="__main__")
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize(("command", "code", "sentence"), MISTAKES, ids=[command for command, _, _ in MISTAKES])
def test_a_mistake_is_one_sentence(
    command: str, code: int, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    for package in NEEDED.get(command.split()[0], ()):
        pytest.importorskip(package, reason=f"{package} is not installed; type: pip install 'fsrcnn[train]'")
    places = {name: tmp_path / name for name in ("empty", "file", "run", "out")}
    places["empty"].mkdir()
    places["file"].touch()
    for name in ("fsrcnn-x2", "fsrcnn-x-x3"):
        pretrained.load("fsrcnn-x-x3").save(places["run"] / name / "best.safetensors")
    before = files_below(tmp_path)
    code_found = typed([word.format(**places) for word in command.split()], monkeypatch)
    printed = capsys.readouterr()
    assert code_found == code, printed.err
    assert printed.err.startswith(f"fsrcnn: {sentence.format(**places)}")
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert files_below(tmp_path) == before


@pytest.mark.parametrize(
    ("status", "code", "said"), [("a.md: rows differ", 1, "fsrcnn: a.md: rows differ\n"), (3, 3, ""), (None, 0, "")]
)
def test_how_a_script_ends(status: str | int | None, code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As Python has it: a text is said, and is a failure."""
    with pytest.raises(SystemExit) as ended:
        cli.run(lambda: sys.exit(status))
    assert ended.value.code == code
    assert capsys.readouterr().err == said


def test_sound_and_picture_of_a_long_film(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("av", reason="films need PyAV: pip install '.[video]'")
    assert typed(["tools/long_film.py", "--seconds", "4", "--encoder", "ffv1"], monkeypatch) == 0
    assert capsys.readouterr().out.count("offset +0.000000 s") == 6


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="its film is made by ffmpeg, which is not installed")
@pytest.mark.skipif(sys.platform != "linux", reason="it limits the size of files")
def test_films_killed_and_resumed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("av", reason="films need PyAV: pip install '.[video]'")
    options = ["--count", "2", "--disks", "1", "--encoders", "ffv1", "--containers", "mkv"]
    assert typed(["tools/kill_films.py", *options], monkeypatch) == 0
    assert capsys.readouterr().out.count("; 0 wrong\n") == 2


def test_an_average_that_is_there_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [
        *["recipes/average.py", "fsrcnn-x-x2", "fsrcnn-x-x2.t91", "--output"],
        str(tmp_path / "run"),
        "--strength",
    ]
    average = tmp_path / "run" / "best.safetensors"
    assert typed([*command, "0.25"], monkeypatch) == 0
    written = (average.stat().st_ino, average.read_bytes())
    assert typed([*command, "0.25"], monkeypatch) == 0
    assert typed([*command, "0.3"], monkeypatch) == 2
    assert (average.stat().st_ino, average.read_bytes()) == written


@pytest.mark.parametrize(
    ("case", "format", "quality"), [("JPEG 50", "JPEG", 50), ("WebP 75", "WebP", None), ("clean", None, None)]
)
def test_what_is_looked_at_is_a_file(
    case: str, format: str | None, quality: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auto` is told of the compression; the panes have the size of the original."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    looking = importlib.import_module("looking")
    seen: list[Compression | None] = []
    choose = choice.choose

    def noticed(pixels: Array, scale: int, compression: Compression | None = None) -> choice.Choice:
        seen.append(compression)
        return choose(pixels, scale, compression)

    monkeypatch.setattr(choice, "choose", noticed)
    picture = looking.read(looking.ASTRONAUT, None)[:180, 100:301]
    shown = looking.panes(looking.Row("face", looking.ASTRONAUT, case, (40, 20, 90, 80)), picture, 2, ["auto"])
    assert [(found and found.format, found and found.quality) for found in seen] == [(format, quality)]
    (auto,) = (title for title in shown if title.startswith("auto: "))
    assert auto.removeprefix("auto: ") in pretrained.FAMILIES
    assert list(shown) == ["nearest", "bicubic", auto, "original"]
    assert {pane.shape for pane in shown.values()} == {(90, 80, 3)}
    assert (shown["original"] == picture[40:130, 20:100]).all()


# ── the recipes ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

RECIPES = sorted((ROOT / "recipes").glob("fsrcnn*.sh"))
NOTE = """#!/bin/sh
printf '%s\\n' "$@" '' >> "$NOTED"
"""


def commands_of(recipe: Path, folder: Path) -> list[list[str]]:
    """The commands that a recipe types, none of which is run: `train …`, `…/cure.py …`; pictures and runs lie below a folder."""
    noted, note = folder / "noted", folder / "note"
    note.write_text(NOTE)
    note.chmod(0o755)
    places = {"DATASETS": str(folder / "pictures"), "RUNS": str(folder / "runs")}
    environment = {**os.environ, **places, "FSRCNN": str(note), "PYTHON": str(note), "NOTED": str(noted)}
    noted.unlink(missing_ok=True)
    subprocess.run(["sh", str(recipe)], check=True, env=environment)
    return [command.splitlines() for command in noted.read_text().split("\n\n")[:-1]]


def run_of(command: list[str]) -> str:
    """The name of the run that a command makes."""
    return Path(command[command.index("--output") + 1]).name


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_runs(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From its first command to its last, an update each, on tiny pictures: out come the models that are said to be its own."""
    for package in NEEDED["recipes/cure.py"]:
        pytest.importorskip(package, reason=f"{package} is not installed; type: pip install 'fsrcnn[train]'")
    from fsrcnn.training import sheets

    few = sheets.sheets_to_learn
    monkeypatch.setattr(sheets, "sheets_to_learn", lambda engine, count, *others: few(engine, 2, *others))
    monkeypatch.chdir(tmp_path)
    for name in ("T91", "General100", "Xiph50", "BSDS500-train", "BSDS500-val20"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        Image.effect_noise((288, 272), 60).save(tmp_path / "pictures" / name / "noise.png")
    commands = commands_of(recipe, tmp_path)
    runs = [run_of(command) for command in commands]
    before = f"{recipe.stem.rpartition('-x')[0]}-x3.t91"  # by another recipe, where not by this one
    if before in pretrained.table() and before not in runs:
        pretrained.load(before).save(tmp_path / "runs" / before / "best.safetensors")
    for command in commands:
        words = [*command, "--steps", "1", "--batch-size", "2"]
        if Path(command[0]).name == "average.py":
            code = typed(command, monkeypatch)
        elif Path(command[0]).name == "cure.py":
            code = typed(words, monkeypatch)
        else:
            monkeypatch.setattr(sys, "argv", ["fsrcnn", *words, "--no-compile"])
            with pytest.raises(SystemExit) as ended:
                cli.main()
            code = int(ended.value.code or 0)
        assert code == 0, command
    own = [row for row in pretrained.table().values() if row.recipe == f"recipes/{recipe.name}"]
    assert own
    for row in own:
        made = weights.load(tmp_path / "runs" / row.name / "best.safetensors")
        assert made.architecture == pretrained.load(row.name).architecture
    # What is begun goes on: nothing is trained anew.
    for first, again in zip(commands, commands_of(recipe, tmp_path), strict=True):
        assert again == ([*first, "--resume"] if first[0] in ("train", "transfer") else first)


def test_each_log_is_of_a_stage_of_a_recipe(tmp_path: Path) -> None:
    stages = {run_of(command) for recipe in RECIPES for command in commands_of(recipe, tmp_path)}
    assert {path.stem for path in (ROOT / "recipes" / "runs").glob("*.csv")} <= stages
