"""A command that is asked to end, or has strange streams and folders: one sentence, the right exit code, nothing half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from fsrcnn import images
from fsrcnn.cli import signals
from support import ENVIRONMENT, ROOT, files_below, heed_interrupts

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals and streams")

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def make(path: Path, height: int = 40, width: int = 30) -> Path:
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    images.write(images.Picture((pixels,), "png"), path)
    return path


def typed(
    folder: Path, *arguments: str, before: str = "pass", shell: str = "", heeding: Callable[[], None] = heed_interrupts,
    environment: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:  # fmt: skip
    """`fsrcnn ARGUMENTS` in a process of its own, after a line of Python, with what a shell makes of its streams."""
    program = f"{before}\nfrom fsrcnn.cli import main\nmain()\n"
    command = [sys.executable, "-c", program, *arguments]
    if shell:
        command = ["sh", "-c", f'exec "$@" {shell}', "sh", *command]
    return subprocess.run(
        command, cwd=folder, env={**ENVIRONMENT, **(environment or {})}, capture_output=True, text=True, preexec_fn=heeding,
         check=False,
    )  # fmt: skip


# A signal when the first part has been made, before anything is in it.
STRUCK = """
import contextlib, os
from fsrcnn import files
held = files._held
@contextlib.contextmanager
def struck(part, mode):
    with held(part, mode) as descriptor:
        os.kill(os.getpid(), {number})
        yield descriptor
files._held = struck
"""
COMMANDS = {
    "upscale": ["upscale", "in", "-o", "out", "--threads", "1"],
    "prepare": ["prepare", "in", "-o", "out/a.h5"],
    "evaluate": ["evaluate", "in", "-s", "2", "--save", "out", "--threads", "2"],
    "test": ["test", "in/0.png", "-o", "out"],
    "convert": ["convert", "fsrcnn-x2", "out/a.safetensors"],
}
NEEDS = {"prepare": "h5py", "evaluate": "PIL", "test": "PIL"}


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_signal_while_writing_leaves_nothing_half_written(name: str, number: signal.Signals, tmp_path: Path) -> None:
    if name in NEEDS and find_spec(NEEDS[name]) is None:
        pytest.skip(f"{NEEDS[name]} is not installed")
    for picture in range(3):
        make(tmp_path / f"in/{picture}.png", 40 + picture)
    done = typed(tmp_path, *COMMANDS[name], before=STRUCK.format(number=int(number)))
    assert done.returncode == 128 + number, done.stderr
    assert done.stderr.count("\n") == (2 if name == "upscale" else 1), (
        done.stderr
    )  # a line for the picture that was under way
    assert "stopped" in done.stderr
    if name == "upscale":
        assert "stopped; 1 of 3 pictures are written, none is half-written" in done.stderr
        assert files_below(tmp_path / "out") == ["0.png"]
        assert images.read(tmp_path / "out/0.png").pages[0].shape == (80, 60, 3)
    elif name != "evaluate":  # a picture of another thread may be finished
        assert not list((tmp_path / "out").iterdir())
    assert not list(tmp_path.rglob(".*"))


def test_a_signal_during_start_up_is_quiet(tmp_path: Path) -> None:
    before = """
import builtins, os, signal, sys
class Finder:
    def find_spec(name, path, target=None):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGTERM)
sys.meta_path.insert(0, Finder)
"""
    done = typed(tmp_path, "models", before=before)
    assert (done.returncode, done.stdout) == (143, "")
    assert done.stderr == "fsrcnn: stopped before it was finished; no file is half-written\n"


def test_signals_that_are_ignored_stay_ignored(tmp_path: Path) -> None:
    """nohup ignores SIGHUP, a shell SIGINT in its background."""

    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    for number in (signal.SIGHUP, signal.SIGINT):
        done = typed(
            tmp_path, "convert", "fsrcnn-x2", f"{number}.safetensors", before=STRUCK.format(number=int(number)),
            heeding=ignore,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert len(files_below(tmp_path)) == 2


def test_a_lost_exception_is_raised_again() -> None:
    """cffi and Python drop what is raised in a callback and in `__del__`."""

    class Dying:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)
            for _ in range(1000):
                pass

    def go_on() -> None:
        Dying()
        signal.sigtimedwait([], 10)  # until SIGALRM
        pytest.fail("it was lost")

    hook = sys.unraisablehook
    alarm, left = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        signals.heed()
        with pytest.raises(signals.Stopped) as stopped:
            go_on()
        assert stopped.value.exit_code == 143
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGALRM, alarm)
        signal.setitimer(signal.ITIMER_REAL, *left)


def test_what_is_raised_again_comes_before_the_end(tmp_path: Path) -> None:
    """Python gives signals their own ways back when it ends: an alarm would end the process then."""
    before = """
import os, signal
from fsrcnn.cli import signals
signals.RETRY = 1
class Dying:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(1000): pass
from fsrcnn import pretrained
def table():
    Dying()
    raise SystemExit(0)
pretrained.table = table
import atexit, time
atexit.register(time.sleep, 1.2)
"""
    done = typed(tmp_path, "models", before=before)
    assert (done.returncode, done.stderr) == (0, "")


def test_instead_of_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "SAME_EVENT", 3600)  # however long the machine stands still between the two
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signals.heed()
    calls: list[str] = []
    with signals.instead(lambda: calls.append("cancel")):
        signals.check()
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)  # a terminal that closes sends it twice
        assert calls == ["cancel"]
        with pytest.raises(signals.Stopped):
            signals.check()


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    program = """if True:
        import signal, time
        from pathlib import Path
        from fsrcnn import files
        from fsrcnn.cli import signals
        signals.heed()
        with signals.instead(), files.beside(Path("a")) as part:
            signal.raise_signal(signal.SIGINT)
            part.write_bytes(b"half")
            time.sleep(signals.SAME_EVENT + 0.1)
            signal.raise_signal(signal.SIGTERM)
            print("still there")
    """
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, preexec_fn=heed_interrupts, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (143, b"", b"")
    assert not list(tmp_path.iterdir())


FULL = "cannot write to standard output: No space left on device"
CLOSED = "cannot write to standard output: it is closed"


@pytest.mark.parametrize("stream", ["> /dev/full", ">&-"])
@pytest.mark.parametrize(
    ("arguments", "more"),
    [
        (["models"], ""), (["models", "--json"], ""), (["--help"], ""), (["upscale", "--help"], ""), (["--version"], ""),
        (["upscale", "a.png", "--json"], "; 1 of 1 pictures are written"), (["upscale", "a.png", "-o", "-"], ""),
        (["convert", "fsrcnn-x2"], "; fsrcnn-x2.safetensors is written"), (["evaluate", "a.png", "-s", "2", "--csv"], ""),
        (["evaluate", "a.png", "-s", "2"], ""),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_standard_output_that_takes_nothing(arguments: list[str], more: str, stream: str, tmp_path: Path) -> None:
    if "full" in stream and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    make(tmp_path / "a.png")
    done = typed(tmp_path, *arguments, shell=stream)
    assert done.returncode == 1, done.stderr
    about = "a.png: " if "-o" in arguments else ""
    assert done.stderr.splitlines()[-1] == f"fsrcnn: {about}{FULL if 'full' in stream else CLOSED}{more}"
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    written = {"upscale": "a_x2.png", "convert": "fsrcnn-x2.safetensors"}.get(arguments[0]) if more else None
    assert files_below(tmp_path) == sorted(["a.png", *([written] if written else [])])


def test_a_reader_that_has_gone_is_no_error_to_speak_of(tmp_path: Path) -> None:
    done = typed(tmp_path, "models", shell="| true")
    assert done.stderr == ""


def test_closed_streams_that_are_not_needed(tmp_path: Path) -> None:
    """No file gets their numbers: what a library prints would go into it."""
    make(tmp_path / "a.png")
    done = typed(tmp_path, "upscale", "a.png", shell="<&- >&- 2>&-")
    assert done.returncode == 0
    assert images.read(tmp_path / "a_x2.png").pages[0].shape == (80, 60, 3)
    numbers = "import os; from fsrcnn import cli; cli._settle_streams(); print(os.open(os.devnull, 0), file=open('number', 'w'))"
    subprocess.run(["sh", "-c", f'"{sys.executable}" -c "{numbers}" <&- >&- 2>&-'], cwd=tmp_path, check=True)
    assert int((tmp_path / "number").read_text()) > 2
    done = typed(tmp_path, "upscale", "-", "-o", "b.png", shell="<&-")
    assert done.returncode == 1
    assert done.stderr == "fsrcnn: cannot read standard input: it is closed\n"
    done = typed(tmp_path, "upscale", "none.png", shell="2>&-")
    assert (done.returncode, done.stdout) == (1, "")  # the message does not go to standard output


def test_streams_of_ascii_and_names_of_other_bytes(tmp_path: Path) -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    done = typed(tmp_path, "models", environment=plain)
    assert done.returncode == 0
    assert "fsrcnn-x2               x2 " in done.stdout
    assert done.stdout.isascii()
    name = os.fsdecode(b"lat\xe9in.safetensors")
    try:
        (tmp_path / name).touch()
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    for environment in (plain, {"PYTHONUTF8": "1"}):
        for more, code in ((["--overwrite"], 0), ([], 2)):  # on standard output, on standard error
            done = typed(tmp_path, "convert", "fsrcnn-x2", name, *more, environment=environment)
            assert done.returncode == code, done.stderr
            assert "lat\\udce9in.safetensors" in done.stdout + done.stderr


@pytest.mark.parametrize(
    "arguments", [["upscale", "a.png"], ["convert", "fsrcnn-x2"], ["evaluate", "."]], ids=lambda a: a[0]
)
def test_a_deleted_current_folder(arguments: list[str], tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = typed(gone, *arguments, before=f"import os; os.rmdir({str(gone)!r})")
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("fsrcnn: ")


def test_long_paths_and_circles_of_links(tmp_path: Path) -> None:
    make(tmp_path / "a.png")
    (tmp_path / "circle.png").symlink_to("circle.png")
    long = "d/" * 3000 + "a.png"
    for arguments, sentence in (
        (["upscale", long], "File name too long"),
        (["upscale", "a.png", "-o", long], "File name too long"),
        (["convert", "fsrcnn-x2", long + ".safetensors"], "File name too long"),
        (["upscale", "circle.png"], "circle.png"),
        (["upscale", "a.png", "-o", "circle.png", "--overwrite"], "symbolic links"),
        (["convert", "fsrcnn-x2", "circle.png/x.safetensors"], "cannot write"),
    ):
        done = typed(tmp_path, *arguments)
        assert done.returncode == 1, (arguments, done.stderr)
        assert sentence in done.stderr
        assert done.stderr.count("\n") == 1
        assert len(done.stderr) < 7000
    assert files_below(tmp_path) == ["a.png"]


@pytest.mark.parametrize(
    ("raised", "sentence"),
    [
        ("PermissionError(13, 'Permission denied', '/there')", "/there: Permission denied"),
        ("MemoryError()", "there is not enough memory"),
        ("UnicodeEncodeError('utf-8', 'a\\udce9', 1, 2, 'surrogates not allowed')", "a name or text cannot be encoded"),
    ],
)
def test_what_no_command_expects_is_one_sentence(raised: str, sentence: str, tmp_path: Path) -> None:
    before = f"from fsrcnn import pretrained\ndef table(): raise {raised}\npretrained.table = table"
    done = typed(tmp_path, "models", before=before)
    assert done.returncode == 1
    assert done.stderr.startswith(f"fsrcnn: {sentence}")
    assert done.stderr.count("\n") == 1


def test_a_bug_keeps_its_traceback(tmp_path: Path) -> None:
    done = typed(
        tmp_path,
        "models",
        before="from fsrcnn import pretrained\ndef table(): raise KeyError('bug')\npretrained.table = table",
    )
    assert done.returncode == 1
    assert "KeyError: 'bug'" in done.stderr


def test_killed_at_random_moments() -> None:
    """A short run of `make kill`."""
    arguments = ["--count", "2", "--commands", "upscale-one", "convert"]
    done = subprocess.run(
        [sys.executable, ROOT / "tools/kill.py", *arguments],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" 2 runs: ") == 6
    assert done.stdout.count("; 0 wrong") == 6
