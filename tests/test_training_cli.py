"""Training as typed: the ports' option names, kills and full disks, several processes, and one sentence for each mistake."""

from __future__ import annotations

import json
import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

pytest.importorskip("tensorboard", reason="TensorBoard is not installed; type: pip install 'fsrcnn[train]'")
torch = pytest.importorskip("torch", reason="PyTorch is not installed; type: pip install 'fsrcnn[train]'")
h5py = pytest.importorskip("h5py", reason="h5py is not installed; type: pip install 'fsrcnn[train]'")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: E402

from fsrcnn import images, models, weights  # noqa: E402
from fsrcnn.architecture import Architecture, family  # noqa: E402
from fsrcnn.cli import main  # noqa: E402
from fsrcnn.cli.terminal import print_json  # noqa: E402
from fsrcnn.degradation import PHOTO  # noqa: E402
from fsrcnn.training.pairs import PREPARED_CHAINS, degraded_pair, pair_of, read_luma  # noqa: E402
from fsrcnn.training.recipe import Recipe  # noqa: E402
from support import ENVIRONMENT, files_below, heed_interrupts, random_weights, run_command  # noqa: E402

QUICK: tuple[object, ...] = (
    "--model",
    "6,3,1",
    "--feature-kernel",
    3,
    "--deconvolution-kernel",
    5,
    "--no-compile",
    "--threads",
    1,
    "--device",
    "cpu",
)
TINY = Architecture(6, 3, 1, 3, 5, 2)


def run(*arguments: object) -> subprocess.CompletedProcess[bytes]:
    return run_command(*map(str, arguments))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:60, :70]
    for number in range(6):
        a, b = generator.uniform(0.05, 0.9, 2)
        pixels = (127 + 90 * np.sin(a * x + b * y)).astype(np.uint8)
        images.write(images.Picture((np.dstack([pixels] * 3),), "png"), root / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def prepared(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("prepared")
    for arguments in (
        ("--images-dir", pictures, "--output-path", root / "train.h5", "--scale", 2, "--with-aug"),
        ("--images_dir", pictures, "--output_path", root / "eval.h5", "--scale", 2, "--eval"),
    ):
        done = run("prepare", *arguments)
        assert done.returncode == 0, done.stderr
    return root


def test_the_commands_that_people_know(pictures: Path, prepared: Path, tmp_path: Path) -> None:
    """Option names of the common PyTorch port, with hyphens and with underscores."""
    values = {
        "train-file": prepared / "train.h5", "eval-file": prepared / "eval.h5", "outputs-dir": tmp_path / "a", "scale": 2,
        "lr": 1e-3, "batch-size": 128, "num-epochs": 2, "num-workers": 2, "seed": 123,
    }  # fmt: skip
    hyphens = [part for name, value in values.items() for part in (f"--{name}", value)]
    done = run("train", *hyphens, *QUICK)
    assert done.returncode == 0, done.stderr
    assert b"best.safetensors" in done.stdout
    assert files_below(tmp_path / "a")[:7] == [
        ".lock",
        "best.safetensors",
        "checkpoint.pt",
        "config.json",
        "curve.png",
        "last.safetensors",
        "log.csv",
    ]
    config = json.loads((tmp_path / "a" / "config.json").read_text())["recipe"]
    assert (config["batch"], config["seed"], config["rate"], config["optimizer"], config["loss"]) == (
        128,
        123,
        1e-3,
        "adam",
        "mse",
    )
    assert config["steps"] == 2 * config["validate_every"]
    values |= {"outputs-dir": tmp_path / "b", "weights-file": tmp_path / "a" / "best.safetensors"}
    underscores = [part for name, value in values.items() for part in (f"--{name.replace('-', '_')}", value)]
    done = run("train", *underscores, *QUICK)
    assert done.returncode == 0, done.stderr
    assert weights.load(tmp_path / "b" / "best.safetensors").architecture == TINY
    done = run(
        "test",
        "--weights_file",
        tmp_path / "b" / "best.safetensors",
        "--image-file",
        pictures / "1.png",
        "--scale",
        2,
        "-o",
        tmp_path / "o",
    )
    assert done.returncode == 0, done.stderr
    assert b"bicubic" in done.stdout
    assert files_below(tmp_path / "o") == ["1_bicubic_x2.png", "1_fsrcnn-6-3-1_x2.png", "1_panes_x2.png"]
    upscaled = run("upscale", pictures / "0.png", "-m", tmp_path / "b" / "last.safetensors", "-o", tmp_path / "up.png")
    assert upscaled.returncode == 0, upscaled.stderr


def test_folders_train_without_hdf5_and_keep_some_pictures_for_validation(pictures: Path, tmp_path: Path) -> None:
    done = run(
        "train", f"{pictures}:1,0.8", "-s", 2, "-o", tmp_path / "r", "--steps", 20, "--patch", 10, *QUICK, "--json"
    )
    assert done.returncode == 0, done.stderr
    assert b"1 of 6 pictures are kept for validation" in done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["best"] == str(tmp_path / "r" / "best.safetensors")
    assert outcome["step"] == 20
    data = json.loads((tmp_path / "r" / "config.json").read_text())["data"]
    assert data["sources"] == {str(pictures): [1.0, 0.8]}
    assert data["validation"] == [str(pictures / "5.png")]  # every 20th, or the last of fewer


def command(pictures: Path, run_folder: Path, *more: object) -> list[str]:
    options = [
        "train",
        pictures,
        "-s",
        2,
        "--validation",
        pictures,
        "-o",
        run_folder,
        "--patch",
        10,
        "--batch-size",
        8,
        "--seed",
        4,
        *QUICK,
        *more,
    ]
    return [sys.executable, "-m", "fsrcnn", *map(str, options)]


def test_sigkill_at_any_moment_and_resume_gives_the_same_bytes(pictures: Path, tmp_path: Path) -> None:
    steps = ("--steps", 400, "--validate-every", 20, "--optimizer", "soap")
    subprocess.run(command(pictures, tmp_path / "whole", *steps), check=True, env=ENVIRONMENT, capture_output=True)
    killed = tmp_path / "killed"
    resume: tuple[str, ...] = ()
    for _ in range(3):
        process = subprocess.Popen(
            command(pictures, killed, *steps, *resume), env=ENVIRONMENT, stderr=subprocess.DEVNULL
        )
        before = (killed / "checkpoint.pt").stat().st_mtime_ns if resume else 0
        while process.poll() is None and (
            not (killed / "checkpoint.pt").exists() or (killed / "checkpoint.pt").stat().st_mtime_ns == before
        ):
            time.sleep(0.01)
        time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        process.wait()
        resume = ("--resume",)
    subprocess.run(command(pictures, killed, *steps, *resume), check=True, env=ENVIRONMENT, capture_output=True)
    for name in ("best.safetensors", "last.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (killed / name).read_bytes()


def test_two_processes_give_the_result_of_one(pictures: Path, tmp_path: Path) -> None:
    steps = (
        "--steps", 30, "--validate-every", 10, "--number-format", "fp32", "--clip", 0.5, "--degrade", "photo", "--workers", 2,
    )  # fmt: skip
    subprocess.run(command(pictures, tmp_path / "one", *steps), check=True, env=ENVIRONMENT, capture_output=True)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    both = subprocess.run(
        [*launcher, "-m", *command(pictures, tmp_path / "two", *steps)[2:]],
        env=ENVIRONMENT,
        capture_output=True,
        check=False,
    )
    assert both.returncode == 0, both.stderr
    alone, shared = (weights.load(tmp_path / name / "last.safetensors").arrays for name in ("one", "two"))
    for name, array in alone.items():
        np.testing.assert_allclose(shared[name], array, atol=2e-6)
    logs = [np.loadtxt(tmp_path / name / "log.csv", delimiter=",", skiprows=1)[:, :3] for name in ("one", "two")]
    np.testing.assert_allclose(logs[0], logs[1], rtol=1e-4)
    uneven = subprocess.run(
        [*launcher, "-m", *command(pictures, tmp_path / "three", "--batch-size", 7)[2:]],
        env=ENVIRONMENT,
        capture_output=True,
        check=False,
    )
    assert b"a batch of 7 cannot be shared out evenly to 2 processes" in uneven.stderr


def test_transfer_keeps_all_but_the_deconvolution(pictures: Path, tmp_path: Path) -> None:
    steps = ("--steps", 20, "--patch", 8, "--no-compile", "--threads", 1, "--device", "cpu")
    assert (
        run(
            "train", pictures, "-s", 3, "-m", "fsrcnn-x", "-o", tmp_path / "x3", "--validation", pictures, *steps
        ).returncode
        == 0
    )
    start = tmp_path / "x3" / "last.safetensors"
    done = run("transfer", start, pictures, "--scale", 2, "--validation", pictures, "-o", tmp_path / "x2", *steps)
    assert done.returncode == 0, done.stderr
    before, after = weights.load(start), weights.load(tmp_path / "x2" / "last.safetensors")
    assert after.architecture == family("fsrcnn-x", 2)
    for name, array in after.arrays.items():
        if not name.startswith("deconvolution"):
            assert array.tobytes() == before.arrays[name].tobytes()
    assert np.abs(after.arrays["deconvolution.weight"]).max() > 0
    same = run("transfer", start, pictures, "--scale", 3)
    assert same.returncode == 2
    assert b"is of \xc3\x973 already; give --scale 2 or --scale 4" in same.stderr


def test_train_and_transfer_take_the_words_of_upscale(pictures: Path, tmp_path: Path) -> None:
    """A family at the scale of the run, bundled weights, and for a transfer a family at another scale."""
    steps = ("--validation", pictures, "--steps", 2, "--patch", 8, "--no-compile", "--threads", 1, "--device", "cpu")
    for scale, name in ((2, "fsrcnn"), (2, "fsrcnn-x2"), (4, "fsrcnn-s")):
        folder = tmp_path / f"{name}-{scale}"
        done = run(
            "train", pictures, "--init", name, "--scale", scale, "--lr", 0, "--scalar-lr", 0, "-o", folder, *steps
        )
        assert done.returncode == 0, done.stderr
        trained = weights.load(folder / "last.safetensors")
        for array, expected in models.resolve(name, scale).arrays.items():
            np.testing.assert_array_equal(trained.arrays[array], expected)
    for goal, origin in ((3, 2), (2, 3)):
        folder = tmp_path / f"transfer-{goal}"
        done = run("transfer", "fsrcnn-x", pictures, "--scale", goal, "-o", folder, *steps)
        assert done.returncode == 0, done.stderr
        assert f"from fsrcnn-x at ×{origin} to ×{goal}" in done.stderr.decode()
        trained = weights.load(folder / "last.safetensors")
        assert trained.architecture == family("fsrcnn-x", goal)
        expected = models.resolve("fsrcnn-x", origin).arrays["shrinking.weight"]
        np.testing.assert_array_equal(trained.arrays["shrinking.weight"], expected)


def test_options_have_the_defaults_of_recipe(pictures: Path, tmp_path: Path) -> None:
    """Nothing typed gives what `Recipe` says, but for the number format, which depends on the processor, and the run's length."""
    done = run("train", pictures, "-s", 2, "-o", tmp_path, "--steps", 20, "--number-format", "fp32", *QUICK)
    assert done.returncode == 0, done.stderr
    typed = json.loads((tmp_path / "config.json").read_text())["recipe"]
    usual = Recipe(TINY, steps=20, warmup=2, validate_every=typed["validate_every"])
    assert typed == json.loads(json.dumps(asdict(usual)))
    assert 1 <= usual.validate_every <= 20


def test_ctrl_c_is_one_sentence(pictures: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(pictures, tmp_path / "r", "--steps", 100_000, "--validate-every", 5),
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    )
    while not (tmp_path / "r" / "checkpoint.pt").exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert "--resume goes on from" in said.splitlines()[-1]
    weights.load(tmp_path / "r" / "last.safetensors")


@pytest.mark.parametrize("outcome", ["pass", "raise RuntimeError from None"])
def test_a_ctrl_c_that_is_lost_in_a_callback_still_stops(outcome: str, pictures: Path, tmp_path: Path) -> None:
    program = f"""if True:
        import os, signal
        from fsrcnn.cli import main
        from fsrcnn.training.record import Record

        def write(self, rows):
            try:
                os.kill(os.getpid(), signal.SIGINT)
                signal.pause()
            except BaseException:
                {outcome}

        Record.write = write
        main()
    """
    arguments = command(pictures, tmp_path / "r", "--steps", 100_000, "--validate-every", 5)[3:]
    stopped = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=ENVIRONMENT, capture_output=True, text=True, preexec_fn=heed_interrupts, check=False,
    )  # fmt: skip
    assert stopped.returncode == 130, stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert "--resume goes on from" in stopped.stderr.splitlines()[-1]


def test_stopped_before_there_is_a_checkpoint(pictures: Path, tmp_path: Path) -> None:
    """Nobody is told to go on from what is not there; the same command begins again."""
    program = """if True:
        import os, signal
        from fsrcnn.cli import main
        from fsrcnn.training import loop

        def train(*arguments, **options):
            os.kill(os.getpid(), signal.SIGINT)
            signal.pause()

        loop.train = train
        main()
    """
    arguments = command(pictures, tmp_path / "r", "--steps", 2)
    stopped = subprocess.run(
        [sys.executable, "-c", program, *arguments[3:]],
        env=ENVIRONMENT, capture_output=True, text=True, preexec_fn=heed_interrupts, check=False,
    )  # fmt: skip
    assert stopped.returncode == 130, stopped.stderr
    assert "before the first update; the same command begins again" in stopped.stderr.splitlines()[-1]
    subprocess.run(arguments, check=True, env=ENVIRONMENT, capture_output=True)


def test_a_disk_that_fills_leaves_the_last_checkpoint(pictures: Path, tmp_path: Path) -> None:
    """A limit on file size stands for the full disk: writing beyond it fails in the middle of the file."""
    folder = tmp_path / "r"
    subprocess.run(command(pictures, folder, "--steps", 10), check=True, env=ENVIRONMENT, capture_output=True)
    good = (folder / "checkpoint.pt").read_bytes()
    limit = len(good) - 1000

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    failed = subprocess.run(
        command(pictures, folder, "--steps", 20, "--resume"),
        env=ENVIRONMENT,
        capture_output=True,
        preexec_fn=small_files,
        check=False,
    )
    assert failed.returncode == 1
    assert b"Traceback" not in failed.stderr
    assert b"checkpoint.pt: File too large; what was there before is untouched" in failed.stderr
    assert (folder / "checkpoint.pt").read_bytes() == good
    assert not list(folder.glob(".*.part"))
    subprocess.run(
        command(pictures, folder, "--steps", 20, "--resume"), check=True, env=ENVIRONMENT, capture_output=True
    )
    prepare = [sys.executable, "-m", "fsrcnn", "prepare", str(pictures), "-o", str(tmp_path / "a.h5"), "--augment"]
    failed = subprocess.run(prepare, env=ENVIRONMENT, capture_output=True, preexec_fn=small_files, check=False)
    assert failed.returncode == 1
    assert failed.stderr.decode().strip() == f"fsrcnn: cannot write {tmp_path / 'a.h5'}: File too large"
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


def typed(
    arguments: tuple[object, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    """The entry point in this process: exit code and standard error."""
    monkeypatch.setattr(sys, "argv", ["fsrcnn", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0), capsys.readouterr().err


def test_mistakes_are_one_sentence(
    pictures: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    x3 = tmp_path / "x3.safetensors"
    random_weights(family("fsrcnn-s", 3)).save(x3)
    with h5py.File(tmp_path / "nan.h5", "w") as file:
        file["lr"], file["hr"] = np.full((40, 10, 10), np.nan, np.float32), np.zeros((40, 20, 20), np.uint8)
    v = ("--validation", pictures)
    for arguments, code, sentence in (
        (("train",), 2, "give folders of pictures or HDF5 files"),
        (("train", tmp_path / "none", *v), 1, "none does not exist"),
        (("train", prepared / "train.h5", "--scale", 3, *v), 2, "is of ×2, not ×3; prepare it with --scale 3"),
        (("train", prepared / "train.h5", "--scale", 2), 2, "give --validation"),
        (("train", prepared / "train.h5", pictures, *v), 2, "either folders or HDF5 files"),
        (("train", tmp_path / "nan.h5", "--scale", 2, *v), 1, "lr holds NaN or infinity, first in item 0"),
        (("train", pictures, "--patch", 200, *v), 1, "smaller --patch"),
        (("train", pictures, "--init", x3, "-s", 2, *v), 2, "is of ×3, not ×2; fsrcnn transfer takes weights"),
        (("train", pictures, "--init", x3, "-s", 3, "-m", "fsrcnn-x", *v), 2, "d is 32 there and 23 here"),
        (("train", pictures, "--model", "56-12-4", *v), 2, "or d,s,m as 40,10,3, not '56-12-4'"),
        (("train", pictures, "--steps", 5, "--epochs", 2, *v), 2, "either --epochs or --steps"),
        (("train", pictures, "--loss", "ssim", *v), 2, "loss is mse, l1"),
        (("train", pictures, "--number-format", "fp16", *v), 2, "number format is fp32, bf16 or auto, not 'fp16'"),
        (("train", pictures, "--expand", 3, "-m", "6,3,1", "-s", 2, *v), 2, "give --expand 6 or more"),
        (("train", pictures, "--init", "nobody", *v), 2, "there is no model 'nobody'"),
        (("train", prepared / "eval.h5", "--scale", 2, *v), 1, "train on a file of sub-images, as `fsrcnn prepare` writes it"),
        (("train", pictures, "-s", 2, "--validation", prepared / "train.h5"), 1, "prepare the file with `fsrcnn prepare --eval`"),
        (("train", prepared / "train.h5", "-s", 2, "--augment", *v), 2, "prepare the files with --augment"),
        (("train", prepared / "train.h5", "-s", 2, "--batch-size", 10**6, *v), 2, "lower --batch-size"),
        (("train", pictures / "0.png", *v[2:]), 2, "cannot both train and validate; give --validation"),
        (("train", pictures, "--device", "cuda:7", *v), 2, "no cuda:7 device here; use --device cpu"),
        (("train", pictures, "--resume", "-o", tmp_path / "new", *v), 2, "no run to go on with"),
        (("train", f"{pictures}:1,2", *v), 2, "factors are above 0 and at most 1"),
        (("train", pictures, "--degrade", "ruin", *v), 2, "degrade is none, photo, photo-mild, photo-strong, not 'ruin'"),
        (("train", prepared / "train.h5", "-s", 2, "--degrade", "photo", *v), 2,
         "holds sub-images of clean pictures, which can no longer be degraded by photo; give folders"),
        (("prepare", pictures, "-o", tmp_path / "a.h5", "--degrade", "ruin"), 2,
         "degrade is none, photo, photo-mild, photo-strong, not 'ruin'"),
        (("prepare", pictures, "-o", tmp_path / "a.h5", "--seed", 3), 2, "there are none; give --degrade photo, too"),
        (("prepare", pictures, "-o", tmp_path / "a.h5", "--degrade", "photo", "--seed", -3), 2, "below 2⁶³, not -3"),
        (("prepare", pictures, "-o", tmp_path / "a.h5", "--degrade", "photo", "--seed", 2**64), 2, f"below 2⁶³, not {2**64}"),
        (("prepare", pictures), 2, "give the file to write with -o"),
        (("prepare", pictures, "-o", prepared / "train.h5"), 2, "exists; give --overwrite or another --output"),
        (("prepare", pictures, "-o", tmp_path / "a.h5", "--eval", "--layout", "data-label"), 2, "use --layout lr-hr"),
        (("prepare", pictures, "-o", tmp_path / "a.h5", "--label", "big"), 2, "label is a number of HR pixels or full"),
        (("prepare", pictures, "-o", tmp_path / "a.h5", "--eval", "--augment"), 2, "takes no --augment"),
        (("prepare", tmp_path / "none", "-o", tmp_path / "a.h5"), 1, "does not exist"),
        (("convert", tmp_path / "none.pth"), 1, "none.pth does not exist"),
        (("convert", x3, tmp_path / "w.onnx"), 2, "not as .onnx"),
        (("test", pictures / "0.png", "-m", "fsrcnn-x2", "-s", 3), 2, "is of ×2, not ×3"),
    ):  # fmt: skip
        ended, said = typed(arguments, monkeypatch, capsys)
        assert ended == code, (arguments, said)
        assert sentence in said, (arguments, said)
        assert "Traceback" not in said


def test_resume_of_another_recipe_is_refused(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(command(pictures, tmp_path / "r", "--steps", 10), check=True, env=ENVIRONMENT, capture_output=True)
    for change, sentence in (
        (("--model", "7,3,1"), "another recipe (d: "), (("--lr", "0.5"), "rate: 0.001 → 0.5"), (("--seed", "9"), "seed: 4 → 9"),
        (("--degrade", "photo"), "degrade: none → photo"),
    ):  # fmt: skip
        arguments = command(pictures, tmp_path / "r", "--steps", 10, "--resume", *change)[3:]
        ended, said = typed(tuple(arguments), monkeypatch, capsys)
        assert ended == 2
        assert sentence in said


@pytest.mark.parametrize("command", ["train", "transfer"])
def test_help_says_the_defaults_that_recipe_has(command: str) -> None:
    """Also those that `Recipe` works out, and writes as -1 until then."""
    printed = " ".join(run(command, "--help").stdout.decode().split())
    for words in (
        "Default: 500, a tenth of the run at most",
        "Default: 0.001 (adam), 0.01 (sgd)",
        "Default: an epoch, 5,000 at most",
    ):
        assert words in printed
    assert "-1" not in printed


PHOTO_0 = ("--degrade", "photo")
Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def fsrcnn(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """The entry point in this process: exit code, standard output and standard error."""

    def typed(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fsrcnn", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return typed


@pytest.fixture
def folder(pictures: Path, tmp_path: Path) -> Path:
    """The pictures in a folder of the test's own."""
    return Path(shutil.copytree(pictures, tmp_path / "folder"))


def short(folder: object, run_folder: object, *more: object) -> list[object]:
    """A run of two updates with a validation."""
    return ["train", folder, "-s", 2, "-o", run_folder, "--patch", 5, "--batch-size", 1, "--steps", 2, *QUICK, *more]


def noisy(seed: int, height: int = 40, width: int = 40) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def save(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    images.write(images.Picture((pixels,), "png"), path, overwrite=True)


def test_a_run_goes_on_with_the_same_pictures_alone(folder: Path, tmp_path: Path, fsrcnn: Typed) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    save(kept / "v.png", noisy(1))
    run_folder = tmp_path / "r"
    assert fsrcnn(*short(f"{folder}:1,0.8", run_folder, "--validation", kept))[0] == 0

    moved = folder.rename(tmp_path / "moved")
    pixels = images.read(moved / "2.png").pages[0]
    Image.fromarray(pixels).save(moved / "2.png", compress_level=0)  # the same picture in other bytes
    (moved / "notes.txt").write_text("no picture")
    again = short(f"{moved}:1,0.8", run_folder, "--validation", kept, "--resume")
    assert fsrcnn(*again)[0] == 0

    remedy = (
        f"start a new run in another --output; `fsrcnn train` with --init {run_folder / 'last.safetensors'} "
        "starts it from these weights"
    )
    code, _, said = fsrcnn(*short(moved, run_folder, "--validation", kept, "--resume"))
    assert (code, said.splitlines()[-1]) == (
        2, f"fsrcnn: what {run_folder} was trained on has changed (factors: 1,0.8 → 1); {remedy}",
    )  # fmt: skip
    pixels = pixels.copy()
    pixels[7, 9] ^= 255
    save(moved / "2.png", pixels)
    (moved / "0.png").unlink()
    save(moved / "8.png", noisy(2))
    save(moved / "9.png", noisy(3))
    save(kept / "v.png", noisy(4))
    code, _, said = fsrcnn(*again)
    assert code == 2
    assert (
        "has changed (training pictures: 2 more (8.png, 9.png), 1 gone (0.png), 1 with other contents (2.png); "
        f"validation pictures: 1 with other contents (v.png)); {remedy}"
    ) in said
    code, _, said = fsrcnn(
        *short(moved, tmp_path / "new", "--validation", kept, "--init", run_folder / "last.safetensors")
    )
    assert code == 0, said


def test_a_run_goes_on_with_the_same_prepared_files_alone(prepared: Path, tmp_path: Path, fsrcnn: Typed) -> None:
    files = {name: tmp_path / f"{name}.h5" for name in ("train", "eval")}
    for name, path in files.items():
        shutil.copy(prepared / f"{name}.h5", path)
    arguments = short(files["train"], tmp_path / "r", "--validation", files["eval"])
    assert fsrcnn(*arguments)[0] == 0
    assert fsrcnn(*arguments, "--resume")[0] == 0
    for changed, dataset in (("train", "hr"), ("eval", "lr/0")):
        with h5py.File(files[changed], "r+") as file:
            file[dataset][0] = 0
        code, _, said = fsrcnn(*arguments, "--resume")
        assert code == 2
        assert f"1 with other contents ({changed}.h5)" in said
        shutil.copy(prepared / f"{changed}.h5", files[changed])
    checkpoint = torch.load(tmp_path / "r" / "checkpoint.pt", weights_only=True)
    del checkpoint["contents"]  # as before it was kept
    torch.save(checkpoint, tmp_path / "r" / "checkpoint.pt")
    code, _, said = fsrcnn(*arguments, "--resume")
    assert code == 1
    assert "checkpoint.pt is damaged or of another version; start a new run in another --output" in said


def test_training_on_degraded_pictures(folder: Path, tmp_path: Path, fsrcnn: Typed) -> None:
    """Validation is on six versions of each picture, the same in all runs; the run remembers what it did."""
    bicubic = []
    for seed in (1, 2):
        run_folder = tmp_path / f"{seed}"
        code, _, said = fsrcnn(*short(folder, run_folder, "--degrade", "photo", "--seed", seed))
        assert code == 0, said
        assert "fsrcnn: validation is on 6 degraded versions of each picture, the same ones in all runs\n" in said
        config = json.loads((run_folder / "config.json").read_text())
        assert config["recipe"]["degrade"] == "photo"
        assert config["data"]["ranges"] == json.loads(json.dumps(asdict(PHOTO)))
        bicubic.append(np.loadtxt(run_folder / "log.csv", delimiter=",", skiprows=1)[3])
    assert bicubic[0] == bicubic[1]
    fsrcnn(*short(folder, tmp_path / "plain"))
    assert bicubic[0] < np.loadtxt(tmp_path / "plain" / "log.csv", delimiter=",", skiprows=1)[3] - 1
    assert "ranges" not in json.loads((tmp_path / "plain" / "config.json").read_text())["data"]
    code, _, said = fsrcnn(*short(folder, tmp_path / "plain", "--resume", "--degrade", "photo"))
    assert code == 2
    assert "another recipe (degrade: none → photo)" in said


def held(path: Path) -> dict[str, npt.NDArray[np.float32]]:
    """All values of an HDF5 file, LR and HR in [0, 1] and as (n, h, w)."""
    found: dict[str, npt.NDArray[np.float32]] = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    if "data" in found:
        return {new: found[old][:, 0].swapaxes(1, 2) for new, old in (("lr", "data"), ("hr", "label"))}
    return {name: (values / np.float32(255)).astype(np.float32) for name, values in found.items()}


@pytest.mark.parametrize("kind", [(), ("--augment",), ("--eval",), ("--layout", "data-label")])
def test_prepared_degraded_pictures(kind: tuple[str, ...], folder: Path, tmp_path: Path, fsrcnn: Typed) -> None:
    (folder / "2b.png").write_bytes(b"no picture")  # which shifts no number
    files = {}
    for name, more in (
        ("clean", ()),
        ("a", (*PHOTO_0,)),
        ("b", (*PHOTO_0,)),
        ("c", ("--degrade", "photo", "--seed", 7)),
    ):
        files[name] = tmp_path / f"{name}.h5"
        code, out, _ = fsrcnn("prepare", folder, "-s", 2, "-o", files[name], *kind, *more)
        assert code == 1  # of 2b.png
        assert (", ×2, degraded\n" in out) == (name != "clean")
    clean, first, again, other = (held(files[name]) for name in files)
    for name, values in clean.items():
        assert np.array_equal(first[name], again[name])
        if name.startswith("hr"):
            assert np.array_equal(first[name], values)
            assert np.array_equal(other[name], values)
        else:
            assert not np.array_equal(first[name], values)
            assert not np.array_equal(other[name], first[name])
            assert 0 <= first[name].min() <= first[name].max() <= 1
    changes = [np.abs(first[name] - clean[name]).ravel() for name in clean if name.startswith("lr")]
    assert np.concatenate(changes).mean() < 0.1  # the same pictures still, each in its place
    with h5py.File(files["c"]) as file:
        assert (file.attrs["degrade"], file.attrs["degrade_seed"]) == ("photo", 7)
        assert json.loads(file.attrs["degrade_ranges"]) == json.loads(json.dumps(asdict(PHOTO)))
    with h5py.File(files["clean"]) as file:
        assert file.attrs["degrade"] == "none"
    if kind == ("--eval",):
        reader = degraded_pair(pair_of(read_luma(folder / "3.png"), 2), 2, (PREPARED_CHAINS, 7, 4, 0))
        np.testing.assert_allclose(other["lr/3"], reader.lr, atol=1e-6)  # 2b.png is number 3, 3.png number 4


def test_what_was_prepared_stays_as_it_is(folder: Path, tmp_path: Path, fsrcnn: Typed) -> None:
    for name, more in (("clean", ()), ("photo", PHOTO_0)):
        assert fsrcnn("prepare", folder, "-s", 2, "-o", tmp_path / f"{name}.h5", *more)[0] == 0
        assert fsrcnn("prepare", folder, "-s", 2, "-o", tmp_path / f"{name}_eval.h5", "--eval", *more)[0] == 0
    bicubic = {}
    for number, (trained, validated, degrade, sentences) in enumerate((
        ("clean", "clean", "none", ()),
        ("clean", "photo", "none", ("photo_eval.h5 holds degraded pictures: validation is on them as they are",)),
        ("photo", "clean", "none", ("photo.h5 holds degraded pictures, which are trained on as they are",)),
        ("photo", "clean", "photo", ("validation is on 6 degraded versions of each picture",)),
        ("photo", "photo", "photo", ("photo_eval.h5 holds degraded pictures: validation is on them as they are",)),
    )):  # fmt: skip
        run_folder = tmp_path / f"{number}"
        files = (tmp_path / f"{trained}.h5", run_folder, "--validation", tmp_path / f"{validated}_eval.h5")
        code, _, said = fsrcnn(*short(*files, "--degrade", degrade))
        assert code == 0, said
        assert said.count("degraded") == len(sentences)
        for sentence in sentences:
            assert sentence in said
        bicubic[number] = np.loadtxt(run_folder / "log.csv", delimiter=",", skiprows=1)[3]
    assert bicubic[0] == bicubic[2] > bicubic[1] + 1
    assert bicubic[1] == bicubic[4] != bicubic[3]


def test_the_same_command_with_resume_and_more_steps_goes_on(folder: Path, tmp_path: Path, fsrcnn: Typed) -> None:
    """As docs/train-your-own.md says; with a schedule that does not hang on the length, to the bytes of the longer run."""
    for run_folder, lengths in (("whole", (6,)), ("longer", (2, 4, 6))):
        for number, steps in enumerate(lengths):
            arguments = short(folder, tmp_path / run_folder, "--steps", steps, "--schedule", "constant", "--warmup", 1)
            code, _, said = fsrcnn(*arguments, *["--resume"] * (number > 0))
            assert code == 0, said
    whole, longer = (weights.load(tmp_path / name / "last.safetensors").arrays for name in ("whole", "longer"))
    for name, array in whole.items():
        assert array.tobytes() == longer[name].tobytes()
    # Nothing else said: the rest of the run follows the schedule of its new length.
    assert fsrcnn(*short(folder, tmp_path / "plain"))[0] == 0
    code, _, said = fsrcnn(*short(folder, tmp_path / "plain", "--steps", 40, "--resume"))
    assert code == 0, said
    rates = np.loadtxt(tmp_path / "plain" / "log.csv", delimiter=",", skiprows=1)[:, 4]
    recipe = Recipe(TINY, steps=40, warmup=4)
    assert rates[-1] == pytest.approx(recipe.rate * recipe.rate_at(39))
    code, _, said = fsrcnn(*short(folder, tmp_path / "plain", "--steps", 3, "--resume"))
    assert code == 2
    assert "has done 40 updates already, more than the 3 asked for; give --steps 40 or more" in said
    assert fsrcnn(*short(folder, tmp_path / "none", "--steps", 0))[::2] == (2, "fsrcnn: --steps is at least 1, not 0\n")


@pytest.mark.parametrize("how", ["train", "transfer"])
def test_two_runs_do_not_share_a_folder(how: str, folder: Path, tmp_path: Path, fsrcnn: Typed) -> None:
    shared = tmp_path / "r"
    first = subprocess.Popen(
        command(folder, shared, "--steps", 100_000, "--validate-every", 5), env=ENVIRONMENT, stderr=subprocess.DEVNULL
    )
    try:
        while not (shared / "checkpoint.pt").exists() and first.poll() is None:
            time.sleep(0.02)
        second = short(folder, shared)
        if how == "transfer":
            random_weights(TINY.with_scale(3)).save(tmp_path / "x3.safetensors")
            second = ["transfer", tmp_path / "x3.safetensors", folder, "-s", 2, "-o", shared, "--patch", 5, *QUICK[-5:]]
        code, _, said = fsrcnn(*second)
        assert (code, said.splitlines()[-1]) == (
            1, f"fsrcnn: another run is at work in {shared}; wait until it ends, or give another --output",
        )  # fmt: skip
        assert first.poll() is None
    finally:
        first.kill()
        first.wait()
    code, _, said = fsrcnn(*second)  # the lock has gone with the process
    assert code == 2
    assert "holds a run already; give --resume to go on with it" in said


def test_a_run_folder_that_cannot_be(folder: Path, tmp_path: Path, fsrcnn: Typed) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("link")
    for name in ("file/r", "link", "n" * 300):
        for resume in (("--resume",), ()):
            code, _, said = fsrcnn(*short(folder, tmp_path / name, *resume))
            assert code in (1, 2)
            assert "Traceback" not in said
        assert said.splitlines()[-1].startswith(f"fsrcnn: cannot use the run folder {tmp_path / name}: ")


def test_flat_pictures_measure_nothing(folder: Path, tmp_path: Path, fsrcnn: Typed) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    save(kept / "blank.png", np.full((40, 40, 3), 128, np.uint8))
    code, _, said = fsrcnn(*short(folder, tmp_path / "none", "--validation", kept))
    assert code == 1
    assert "bicubic interpolation makes all validation pictures exactly: they are flat; give others" in said
    save(kept / "noise.png", noisy(1))
    save(kept / "waves.png", images.read(folder / "0.png").pages[0])
    code, out, said = fsrcnn(*short(folder, tmp_path / "r", "--validation", kept, "--json"))
    assert code == 0, said
    assert "makes 1 of 3 validation pictures exactly: they are flat, measure nothing and are left out" in said
    outcome = json.loads(out, parse_constant=pytest.fail)
    assert outcome["validation_db"] == outcome["best_db"]
    assert np.isfinite(np.loadtxt(tmp_path / "r" / "log.csv", delimiter=",", skiprows=1)).all()
    json.loads((tmp_path / "r" / "config.json").read_text(), parse_constant=pytest.fail)

    measured = [
        "evaluate",
        kept,
        "--model",
        tmp_path / "r" / "last.safetensors",
        "--protocol",
        "paper",
        "--engine",
        "numpy",
    ]
    code, out, said = fsrcnn(*measured, "--json")
    assert code == 0
    assert "fsrcnn: kept ×2 paper: 1 of 3 pictures are made exactly, so not in the mean PSNR" in said
    [group] = json.loads(out, parse_constant=pytest.fail)["means"]
    assert group["sr"]["psnr"] == pytest.approx(outcome["validation_db"], abs=0.01)
    assert group["bicubic"]["psnr"] == pytest.approx(outcome["bicubic_db"], abs=0.001)
    assert group["bicubic"]["ssim"] > 1 / 3  # of all three, of which the flat one has 1
    table = fsrcnn(*measured)[1]
    assert "nan" not in table
    [line] = [line for line in table.splitlines() if "blank" in line]
    assert line.split()[4] == "inf"
    code, out, said = fsrcnn("test", kept / "blank.png", "-o", tmp_path / "look", "--json")
    assert code == 0, said
    assert json.loads(out, parse_constant=pytest.fail)["bicubic"]["psnr"] is None
    # Nothing but a flat picture to train on: no loss, and still a curve.
    code, _, said = fsrcnn(*short(kept / "blank.png", tmp_path / "flat", "--validation", kept))
    assert code == 0, said


def test_pictures_that_are_left_out_are_said(folder: Path, tmp_path: Path, fsrcnn: Typed) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    for number in range(4):
        save(folder / f"small{number}.png", noisy(number, 9, 60))
        save(kept / f"small{number}.png", noisy(number, 4, 60))
    (folder / "Thumbs.db").write_bytes(b"no picture")
    save(kept / "v.png", noisy(9))
    code, _, said = fsrcnn(*short(folder, tmp_path / "r", "--validation", kept))
    assert code == 0, said
    assert (
        f"fsrcnn: {folder}: 4 of 10 pictures have LR sides below 5 pixels at ×2 and are left out "
        "(small0.png, small1.png, small2.png, …)\n"
    ) in said
    assert f"{kept}: 4 of 5 pictures have LR sides below 3 pixels at ×2 and are left out (small0.png, " in said
    assert f"fsrcnn: 1 other file in {folder} left out\n" in said

    assert fsrcnn("prepare", kept, "-s", 2, "--eval", "-o", tmp_path / "kept.h5")[0] == 0
    code, _, said = fsrcnn(*short(folder, tmp_path / "h5", "--validation", tmp_path / "kept.h5"))
    assert code == 0, said
    assert f"{tmp_path / 'kept.h5'}: 4 of 5 pictures have LR sides below 3 pixels at ×2 and are left out" in said
    (kept / "v.png").unlink()
    assert fsrcnn("prepare", kept, "-s", 2, "--eval", "-o", tmp_path / "small.h5")[0] == 0
    for validation in (kept, tmp_path / "small.h5"):
        code, _, said = fsrcnn(*short(folder, tmp_path / "none", "--validation", validation))
        assert code == 1
        assert said.splitlines()[-1].endswith("give larger pictures")
    # A copy shrunk below the patch is no loss to speak of.
    code, _, said = fsrcnn(*short(f"{kept / 'small0.png'}:1,0.5", tmp_path / "s", "--patch", 2, "--validation", folder))
    assert code == 0
    assert "below 2 pixels" not in said


def test_remedies_are_offered_by_the_command_that_has_them(folder: Path, tmp_path: Path, fsrcnn: Typed) -> None:
    """`upscale` has --tolerant; `prepare` and `train` do not. Names of files do nothing to the terminal."""
    (folder / "cut\x1b[2J.png").write_bytes((folder / "0.png").read_bytes()[:1500])
    for code, out, said in (
        fsrcnn("prepare", folder, "-s", 2, "-o", tmp_path / "a\x1b[2J.h5"),
        fsrcnn("prepare", folder, "-s", 2, "-o", tmp_path / "b.h5", "--json"),
        fsrcnn(*short(folder, tmp_path / "r\x1b[2J中", "--validation", folder)),
        fsrcnn("prepare", folder / "cut\x1b[2J.png", "-s", 2, "-o", tmp_path / "c.h5"),
    ):
        assert code == 1, said
        assert "cut\\x1b[2J.png is truncated\n" in said
        assert "tolerant" not in said + out
        assert "\x1b" not in said + out
    assert not (tmp_path / "c.h5").exists()


def test_prepare_replaces_no_picture(folder: Path, tmp_path: Path, fsrcnn: Typed) -> None:
    picture = folder / "0.png"
    before = picture.read_bytes()
    code, _, said = fsrcnn("prepare", folder, "-s", 2, "-o", picture, "--overwrite")
    assert code == 2
    assert f"the output {picture} is also an input; give another --output" in said
    assert picture.read_bytes() == before


def test_a_full_standard_error_stops_no_run(folder: Path, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    arguments = [*command(folder, tmp_path / "r", "--steps", 2), "--validation", str(folder / "0.png")]
    with open("/dev/full", "w") as full:  # noqa: PTH123
        ended = subprocess.run(arguments, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=full, text=True, check=False)
    assert ended.returncode == 0
    assert ended.stdout.startswith(f"{tmp_path / 'r' / 'best.safetensors'}: ")


def test_validation_pictures_that_are_trained_on_are_said(folder: Path, tmp_path: Path, fsrcnn: Typed) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    shutil.copy(folder / "3.png", kept / "other_name.png")
    save(kept / "v.png", noisy(1))
    code, _, said = fsrcnn(*short(folder, tmp_path / "r", "--validation", kept))
    assert code == 0
    assert "fsrcnn: 1 of 2 validation pictures are also trained on (other_name.png)\n" in said
    code, _, said = fsrcnn(
        "train", folder, *short(folder, tmp_path / "twice")[1:]
    )  # the same pictures twice, and held out
    assert code == 0, said
    assert "also trained on" not in said


def awkward(folder: Path) -> list[str]:
    """A damaged picture, an animation and a link to itself among good pictures of awkward names; the names of the bad ones."""
    good = (folder / "0.png").read_bytes()
    (folder / ("n" * 246 + ".png")).write_bytes(good)
    (folder / "cut.png").write_bytes(good[: len(good) // 2])
    (folder / "locked.png").symlink_to("locked.png")
    frames = [Image.fromarray(noisy(number)) for number in range(2)]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    save(folder / "clear.png", np.zeros((40, 40, 4), np.uint8))
    return ["cut.png", "moving.gif", "clear.png"]


def test_one_bad_picture_does_not_end_the_run(folder: Path, tmp_path: Path, fsrcnn: Typed) -> None:
    bad = awkward(folder)
    (folder / "notes.txt").write_text("no picture")
    for arguments in (
        short(folder, tmp_path / "r", "--validation", folder / "0.png"), ["prepare", folder, "-s", 2, "-o", tmp_path / "a.h5"],
    ):  # fmt: skip
        code, _, said = fsrcnn(*arguments)
        assert code == 1
        assert "Traceback" not in said
        for name in bad:
            [sentence] = [line for line in said.splitlines() if name in line]
            assert sentence.startswith("fsrcnn: ")
        assert "moving.gif has 2 pages or frames" in said
        assert "clear.png is transparent everywhere" in said
    weights.load(tmp_path / "r" / "best.safetensors")
    shutil.copy(folder / "cut.png", folder / "z.png")  # the one that would be kept for validation
    assert fsrcnn(*short(folder, tmp_path / "held"))[0] == 1
    weights.load(tmp_path / "held" / "best.safetensors")
    with h5py.File(tmp_path / "a.h5") as file:
        assert list(file.attrs["sources"]) == [*(f"{number}.png" for number in range(6)), "n" * 246 + ".png"]


def test_stray_files_do_not_make_prepare_fail(folder: Path, tmp_path: Path, fsrcnn: Typed) -> None:
    for name in ("Thumbs.db", "notes.txt", ".DS_Store"):
        (folder / name).write_bytes(b"no picture")
    code, out, said = fsrcnn("prepare", folder, "-s", 2, "-o", tmp_path / "a.h5")
    assert code == 0
    assert "from 6 pictures" in out
    assert said == f"fsrcnn: 2 other files in {folder} left out\n"
    code, _, said = fsrcnn("prepare", folder / "notes.txt", "-s", 2, "-o", tmp_path / "b.h5")  # named, it is wanted
    assert code == 1


def test_folders_of_folders(folder: Path, tmp_path: Path, fsrcnn: Typed) -> None:
    tree = tmp_path / "tree"
    for name in ("one", "two/deep"):
        shutil.copytree(folder, tree / name)
    save(tree / "two" / "deep" / "0.png", noisy(1))
    random_weights(TINY.with_scale(3)).save(tmp_path / "x3.safetensors")
    transfer = [
        "transfer",
        tmp_path / "x3.safetensors",
        tree,
        "-s",
        2,
        "-o",
        tmp_path / "t",
        "--patch",
        5,
        "--steps",
        2,
    ]
    commands = (
        short(tree, tmp_path / "r"), short(folder, tmp_path / "v", "--validation", tree), [*transfer, *QUICK[-5:]],
        ["prepare", tree, "-s", 2, "-o", tmp_path / "tree.h5"],
    )  # fmt: skip
    for arguments in commands:
        code, _, said = fsrcnn(*arguments)
        assert code == 1
        assert f"{tree} holds no pictures" in said
        assert said.rstrip().endswith("give --recursive to look into its folders")
        code, _, said = fsrcnn(*arguments, "--recursive")
        assert code == 0, said
    names = [f"{place}/{number}.png" for place in ("one", "two/deep") for number in range(6)]
    with h5py.File(tmp_path / "tree.h5") as file:
        assert list(file.attrs["sources"]) == names
    assert fsrcnn("prepare", tree / "one", tree / "two" / "deep", "-s", 2, "-o", tmp_path / "both.h5")[0] == 0
    with h5py.File(tmp_path / "both.h5") as file:
        assert list(file.attrs["sources"]) == [name.removeprefix("two/") for name in names]
    (tree / "one" / "1.png").unlink()
    code, _, said = fsrcnn(*short(tree, tmp_path / "r"), "--recursive", "--resume")
    assert code == 2
    assert "2 gone (one/1.png, two/deep/5.png)" in said  # another one is kept for validation now


def test_a_name_that_is_no_text(folder: Path, tmp_path: Path) -> None:
    """`lat\xe9in.png` as Latin-1 wrote it."""
    odd = Path(os.fsdecode(os.fsencode(folder) + b"/lat\xe9in.png"))
    shutil.copy(folder / "0.png", odd)
    done = run("prepare", folder, "-s", 2, "-o", tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        names = list(file.attrs["sources"])
    assert names[:6] == [f"{number}.png" for number in range(6)]
    assert names[6:] == (["lat\\udce9in.png"] if done.returncode == 0 else [])
    assert done.returncode == 0 or b"in.png" in done.stderr
    trained = run(*short(folder, tmp_path / "r"))
    assert b"Traceback" not in trained.stderr
    assert trained.returncode == done.returncode, trained.stderr
    weights.load(tmp_path / "r" / "best.safetensors")


@pytest.mark.parametrize("name", [b"lat\xe9in", b"$\\frac$", b"n" * 240])
def test_run_folders_of_awkward_names(name: bytes, folder: Path, tmp_path: Path) -> None:
    run_folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    for resume in ((), ("--resume",)):
        trained = run(*short(folder, run_folder, *resume))
        assert trained.returncode == 0, trained.stderr
    weights.load(run_folder / "best.safetensors")
    events = EventAccumulator(str(run_folder.rename(tmp_path / "plain") / "tensorboard"))
    events.Reload()
    assert [point.step for point in events.Scalars("loss")] == [2]


def test_events_on_a_full_disk_are_one_sentence(folder: Path, tmp_path: Path) -> None:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    started = [
        *command(folder, tmp_path / "r", "--steps", 100_000, "--validate-every", 1),
        "--validation",
        str(folder / "0.png"),
    ]
    ended = subprocess.run(
        started, env=ENVIRONMENT, capture_output=True, text=True, preexec_fn=small_files, check=False
    )  # fmt: skip
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    sentence = ended.stderr.splitlines()[-1]
    assert sentence.startswith(f"fsrcnn: cannot write {tmp_path / 'r' / 'tensorboard' / 'events.out.tfevents.'}")
    assert sentence.endswith(": File too large")


def test_reports_hold_no_infinity(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": [math.inf, (-math.inf, math.nan)], "b": {"c": 1.5, "d": "NaN", "e": None}})
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {
        "a": [None, [None, None]], "b": {"c": 1.5, "d": "NaN", "e": None},
    }  # fmt: skip
