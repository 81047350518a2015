"""Jobs on a Ray cluster of three nodes: the bytes of a single machine, whatever dies meanwhile; and what is refused, in sentences."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest

from fsrcnn import Cancelled, Control, FsrcnnError, ImageError, Size, Upscaler, UsageError, batch, files, images
from fsrcnn.architecture import Architecture
from fsrcnn.cluster import Recipe, TaskSize, connection, handing_out, run_all, worker
from fsrcnn.errors import ClusterWarning
from fsrcnn.images import Picture
from fsrcnn.jobs import Job
from fsrcnn.parallel import available_threads
from fsrcnn.planning import plan
from support import ENVIRONMENT, ROOT, files_below, random_weights

DOUBLE = Size(factor=2)
SMALL = Recipe("fsrcnn-x", "fsrcnn-x", scale=2)
HERE = Path(__file__).parent


@dataclass
class Ray:
    """The cluster: its address, and the process that has it."""

    address: str
    input: IO[str]
    output: IO[str]

    def tell(self, line: str) -> None:
        self.input.write(line + "\n")
        self.input.flush()
        assert self.output.readline() == "done\n"


@pytest.fixture(scope="module")
def ray() -> Iterator[Ray]:
    if find_spec("ray") is None:
        pytest.skip("needs Ray: type .venv/bin/python -m pip install --editable '.[cluster]'")
    patch = pytest.MonkeyPatch()
    # Ray goes by a token in the home; this one, which it reads when it is imported, is ours alone.
    for name, value in {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "5a" * 32, "RAY_USAGE_STATS_ENABLED": "0"}.items():
        patch.setenv(name, value)
    command = [sys.executable, str(HERE / "ray_cluster.py"), "3"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        assert address
        yield Ray(address, process.stdin, process.stdout)
    finally:
        process.stdin.close()
        process.wait(60)
        process.stdout.close()
        patch.undo()


@pytest.fixture(autouse=True)
def _ray_warns() -> Iterator[None]:
    with warnings.catch_warnings():
        # Of Ray's own code: the null device that it opens for its processes, and what it says of its future.
        warnings.filterwarnings("ignore", category=ResourceWarning)
        warnings.filterwarnings("ignore", category=FutureWarning, module="ray")
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="ray")
        yield


def make(path: Path, height: int = 12, width: int = 10, seed: int = 0) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    images.write(Picture((pixels,), "png"), path, overwrite=True)
    return path


def jobs_for(folder: Path, count: int, side: int = 12) -> list[Job]:
    for number in range(count):
        make(folder / f"in/{number % 3}/{number:03}.png", side, side + number % 5, number)
    return plan([str(folder / "in")], str(folder / "out"), DOUBLE, recursive=True).jobs


def truth(jobs: list[Job], folder: Path, model: Any = "fsrcnn-x") -> dict[str, bytes]:
    """What one process makes of the same jobs, by the outputs' names."""
    elsewhere = [replace(job, target=folder / f"truth/{number}.png") for number, job in enumerate(jobs)]
    result = {}
    for job, outcome in zip(jobs, batch.run_all(elsewhere, Upscaler(model, scale=2, threads=1), DOUBLE), strict=True):
        outcome.result()
        assert isinstance(outcome.job.target, Path)
        result[str(job.target)] = outcome.job.target.read_bytes()
    return result


def check_all_done(outcomes: list[batch.Outcome], jobs: list[Job], expected: dict[str, bytes]) -> None:
    """Each job has one outcome, and its output the bytes of a single machine; nothing else lies there."""
    assert Counter(outcome.job.label for outcome in outcomes) == Counter(job.label for job in jobs)
    assert [outcome.error for outcome in outcomes if outcome.error] == []
    for name, data in expected.items():
        assert Path(name).read_bytes() == data, name


def exploding(job: Job, expression: str) -> Job:
    """A job that does something where a worker unpacks it."""

    class Exploding(Job):
        def __reduce__(self) -> Any:
            return eval, (expression,)

    return Exploding(job.source, job.target)


def test_a_cluster_writes_the_bytes_of_one_machine(ray: Ray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = jobs_for(tmp_path, 30)
    expected = truth(jobs, tmp_path)
    monkeypatch.chdir(tmp_path)  # which is not the workers' folder
    relative = plan(["in"], "out", DOUBLE, recursive=True).jobs
    (tmp_path / "in/none.png").write_bytes(b"no picture")
    broken = [Job(Path("in/none.png"), Path("out/none.png")), Job(Path("in/absent.png"), Path("out/absent.png"))]
    known = Job(Path("in/known.png"), None, error=ImageError("in/known.png was known before"))
    parts: list[float] = []
    outcomes = list(
        run_all(
            iter([*relative, *broken, known]), SMALL, DOUBLE, batch.Options(digest=True, parts=Path("out")),
            Control(1, parts.append), address=ray.address, count=33,
        )
    )  # fmt: skip
    failed = {outcome.job.label: str(outcome.error) for outcome in outcomes if outcome.error}
    assert failed.keys() == {"in/none.png", "in/absent.png", "in/known.png"}
    assert failed["in/none.png"].startswith("in/none.png is not a picture")
    assert failed["in/absent.png"] == "in/absent.png does not exist"
    done = [outcome for outcome in outcomes if outcome.done]
    assert {outcome.job.label for outcome in done} == {job.label for job in relative}
    for outcome in done:
        result = outcome.result()
        assert (result.input, result.output) == (str(outcome.job.source), str(outcome.job.target))
        assert result.model == "fsrcnn-x"
        assert Path(result.output).read_bytes() == expected[str(tmp_path / result.output)]
    assert len(files_below(tmp_path / "out")) == 30
    assert parts[-1] == 1
    assert parts == sorted(parts)


def test_weights_of_a_file_travel(ray: Ray, tmp_path: Path) -> None:
    weights = random_weights(Architecture(d=6, s=3, m=1, scale=2), seed=3)
    path = tmp_path / "mine.safetensors"
    path.write_bytes(weights.to_bytes())
    jobs = jobs_for(tmp_path, 2)
    expected = truth(jobs, tmp_path, weights)
    recipe = Recipe(path, "mine.safetensors", scale=2).portable()
    path.unlink()  # no worker sees it
    outcomes = list(run_all(jobs, recipe, DOUBLE, address=ray.address))
    check_all_done(outcomes, jobs, expected)
    assert {outcome.result().model for outcome in outcomes} == {"mine.safetensors"}


def test_names_of_models_go_as_they_are() -> None:
    for name in ("auto", "fsrcnn", "fsrcnn-x-x2", "fsrcnn-photo@0.5"):
        assert Recipe(name, name).portable().model == name
    with pytest.raises(UsageError, match="there is no model 'fsrcnn-y'"):
        Recipe("fsrcnn-y", "").portable()


def test_a_job_that_kills_its_workers_is_an_error_and_the_others_are_done(ray: Ray, tmp_path: Path) -> None:
    jobs = jobs_for(tmp_path, 12)
    expected = truth(jobs, tmp_path)
    poison = exploding(Job(tmp_path / "poison.png", tmp_path / "out/poison.png"), "__import__('os')._exit(1)")
    outcomes = list(run_all([*jobs[:5], poison, *jobs[5:]], SMALL, DOUBLE, address=ray.address))
    (failed,) = (outcome for outcome in outcomes if outcome.error)
    assert failed.job is poison
    assert str(failed.error).startswith(f"{poison.label}: its worker died 3 times, the last time: the worker died")
    assert "threads" in str(failed.error)
    check_all_done([outcome for outcome in outcomes if outcome is not failed], jobs, expected)


def test_what_a_dead_worker_had_written_is_written_again(ray: Ray, tmp_path: Path) -> None:
    (job,) = jobs_for(tmp_path, 1)
    expected = truth([job], tmp_path)
    assert isinstance(job.target, Path)
    job.target.parent.mkdir(parents=True)
    died = tmp_path / "died"

    def once(target: Path, again: str) -> str:
        first = f"open({str(target)!r}, 'xb').close() or open({str(died)!r}, 'x').close() or __import__('os')._exit(1)"
        made = f"Job(Path({str(job.source)!r}), Path({str(target)!r}), again={again})"
        modules = "(Job := __import__('fsrcnn.jobs', fromlist=['Job']).Job, Path := __import__('pathlib').Path)"
        return f"({modules}, {made})[1] if __import__('os').path.exists({str(died)!r}) else ({first})"

    (outcome,) = run_all([exploding(job, once(job.target, "True"))], SMALL, DOUBLE, address=ray.address)
    check_all_done([outcome], [job], expected)
    died.unlink()
    other = job.target.with_name("other.png")
    (outcome,) = run_all(
        [exploding(replace(job, target=other), once(other, "False"))], SMALL, DOUBLE, address=ray.address
    )
    assert "exists" in str(outcome.error)  # so that the first half of this test can fail


def test_what_somebody_else_cancels_is_handed_out_again(
    ray: Ray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A SIGINT to a worker that is not in its pictures yet comes back as a cancelled task."""
    jobs = jobs_for(tmp_path, 4)
    expected, real = truth(jobs, tmp_path), handing_out._Run._hand_out
    cancelled: list[Any] = []

    def hand_out(self: Any) -> Iterator[batch.Outcome]:
        yield from real(self)
        if not cancelled:
            cancelled.append(next(iter(self._out)))
            self._ray.cancel(cancelled[0])

    monkeypatch.setattr(handing_out._Run, "_hand_out", hand_out)
    check_all_done(list(run_all(jobs, SMALL, DOUBLE, address=ray.address)), jobs, expected)
    assert cancelled


def test_a_worker_has_a_thread() -> None:
    for threads in (0, -1):
        with pytest.raises(UsageError, match="threads"):
            list(run_all([], replace(SMALL, threads=threads), DOUBLE, address="local"))


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ray_does_not_take_sigterm_while_it_starts() -> None:
    module = pytest.importorskip("ray")
    before = signal.getsignal(signal.SIGTERM)
    with connection._signals_as_before(module):
        module._private.utils.set_sigterm_handler(lambda number, frame: None)
        assert signal.getsignal(signal.SIGTERM) is before


def test_a_piece_is_handed_out_again_with_leave_to_replace(tmp_path: Path) -> None:
    import pickle

    job = Job(Path("a.png"), Path("b.png"))
    first, second = (handing_out._Piece((job,), again=again) for again in (False, True))
    assert [pickle.loads(piece.packed())[0].again for piece in (first, second)] == [False, True]
    assert pickle.loads(first.packed())[0].source == Path.cwd() / "a.png"


def test_a_node_that_goes_takes_no_job_along(ray: Ray, tmp_path: Path) -> None:
    jobs = jobs_for(tmp_path, 24, side=400)
    expected = truth(jobs, tmp_path)
    outcomes: list[batch.Outcome] = []
    removing = threading.Thread(target=ray.tell, args=("remove",))
    try:
        for outcome in run_all(jobs, SMALL, DOUBLE, batch.Options(parts=tmp_path / "out"), address=ray.address):
            outcomes.append(outcome)
            if len(outcomes) == 3:
                removing.start()
    finally:
        removing.join()
        ray.tell("add")
    check_all_done(outcomes, jobs, expected)
    assert len(files_below(tmp_path / "out")) == 24  # and no part


def test_jobs_are_drawn_as_workers_are_free(ray: Ray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handing_out, "MOST_PICTURES", 2)
    jobs, drawn, received, most = jobs_for(tmp_path, 60), 0, 0, 0

    def drawing() -> Iterator[Job]:
        nonlocal drawn, most
        for job in jobs:
            drawn += 1
            most = max(most, drawn - received)
            yield job

    for _ in run_all(drawing(), SMALL, DOUBLE, address=ray.address):
        received += 1
    assert received == 60
    # Two tasks for each worker and one more, of two pictures each; and those of a task that has come back whole. There are three
    # workers, and the node that another test has removed counts for some seconds.
    assert 7 <= most <= (2 * 4 + 1) * 2 + 2


def test_cancelling_leaves_whole_pictures_and_no_part(ray: Ray, tmp_path: Path) -> None:
    jobs, control = jobs_for(tmp_path, 40, side=300), Control(1)
    expected = truth(jobs, tmp_path)
    outcomes: list[batch.Outcome] = []

    def run() -> None:
        options = batch.Options(parts=tmp_path / "out")
        for outcome in run_all(jobs, SMALL, DOUBLE, options, control, address=ray.address):
            outcomes.append(outcome)
            control.cancel()

    with pytest.raises(Cancelled, match="stopped before all pictures were written"):
        run()
    told = {str(outcome.job.target) for outcome in outcomes if outcome.done}
    written = {str(tmp_path / "out" / name): tmp_path / "out" / name for name in files_below(tmp_path / "out")}
    assert told <= written.keys()  # a worker that is stopped at its very end may not say it any more
    assert 1 <= len(told) <= len(written) < 40
    assert {name: path.read_bytes() for name, path in written.items()} == {name: expected[name] for name in written}


def test_another_version_is_refused(ray: Ray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handing_out, "__version__", "9.9")
    with pytest.raises(FsrcnnError) as raised:
        list(run_all(jobs_for(tmp_path, 1), SMALL, DOUBLE, address=ray.address))
    assert str(raised.value) == (
        f"the worker on {socket.gethostname()} has fsrcnn 0.1.0, and this machine has 9.9; "
        "type there: pip install 'fsrcnn[cluster]==9.9'"
    )
    assert not (tmp_path / "out").exists()


def test_a_cluster_without_room_is_said_and_given_up(ray: Ray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"LOOK_SECONDS": 0.1, "REMARK_SECONDS": 0.2, "ROOM_SECONDS": 4.0}.items():
        monkeypatch.setattr(handing_out, name, seconds)
    with (
        pytest.raises(FsrcnnError, match=r"has the 4 CPUs of a worker \(the largest has 1 CPU\); give threads=1"),
        pytest.warns(ClusterWarning, match="waiting 0 minutes for an autoscaler"),
    ):
        list(run_all(jobs_for(tmp_path, 1), replace(SMALL, threads=4), DOUBLE, address=ray.address))


def test_the_command_on_this_machine_alone(ray: Ray, tmp_path: Path) -> None:
    """Nothing but our own lines is said, and nothing is left: no process, no file."""
    make(tmp_path / "in/a.png")
    make(tmp_path / "in/b.png", seed=1)
    with short_folder() as folder:
        command = [sys.executable, "-m", "fsrcnn", "upscale", "in", "-o", "out", "--cluster", "local", "--json"]
        kept = {name: value for name, value in ENVIRONMENT.items() if not name.startswith("RAY_")}
        run = subprocess.run(
            [*command, "--model", "fsrcnn-x"], cwd=tmp_path, env={**kept, "TMPDIR": str(folder), "HOME": str(tmp_path)},
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert (run.returncode, run.stderr) == (0, "")
        assert len(json.loads(run.stdout)["done"]) == 2
        assert list(folder.iterdir()) == []
        wait_for(lambda: not processes_with(str(folder)))
    assert files_below(tmp_path) == ["in/a.png", "in/b.png", "out/a.png", "out/b.png"]


def test_local_refuses_workers_larger_than_the_machine(ray: Ray, tmp_path: Path) -> None:
    make(tmp_path / "a.png")
    command = [
        sys.executable,
        "-m",
        "fsrcnn",
        "upscale",
        "a.png",
        "-o",
        "out/",
        "--cluster",
        "local",
        "--threads",
        "999",
    ]
    run = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    assert run.returncode == 1
    assert run.stderr.startswith(
        f"fsrcnn: this machine has {available_threads()} CPUs for a worker, not 999; give at most --threads"
    )
    assert len(run.stderr.splitlines()) == 1


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """Sockets have short names."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="f", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def processes_with(text: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if text in line:
                found.append(line)
    return found


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_a_worker_that_cannot_do_it_refuses(tmp_path: Path) -> None:
    """In this process, without Ray: what a task of another machine would send back."""
    make(tmp_path / "a.png")
    job = Job(tmp_path / "a.png", tmp_path / "out.png")
    packed = handing_out._Piece((job,)).packed()
    kit = worker.Kit(replace(SMALL, engine="torch:mps"), DOUBLE, batch.Options())
    refusal = worker.work(kit.packed(), packed).refusal
    assert refusal is not None
    assert str(refusal).startswith(f"the worker on {socket.gethostname()}: ")
    assert not (tmp_path / "out.png").exists()


def test_a_worker_that_does_not_see_the_outputs_folder_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "MARK_SECONDS", 1)
    make(tmp_path / "a.png")
    packed = handing_out._Piece((Job(tmp_path / "a.png", tmp_path / "out/a.png"),)).packed()
    kit = worker.Kit(SMALL, DOUBLE, batch.Options(parts=tmp_path / "out"), tmp_path / "out/.fsrcnn-0.part")
    refusal = worker.work(kit.packed(), packed).refusal
    assert f"does not see the folder {tmp_path / 'out'}; a cluster of several machines needs" in str(refusal)
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/.fsrcnn-0.part").touch()
    result = worker.work(kit.packed(), packed)
    assert result.refusal is None
    assert result.outcomes[0].done is not None


def test_a_source_that_only_this_machine_sees(ray: Ray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = tmp_path / "hidden.png"
    monkeypatch.setattr("os.path.lexists", lambda path: path == hidden or os.access(path, os.F_OK))
    (outcome,) = run_all([Job(hidden, tmp_path / "out.png")], SMALL, DOUBLE, address=ray.address)
    assert str(outcome.error).startswith(
        f"{hidden}: this machine and the worker on {socket.gethostname()} do not see the same file there; "
    )


def test_workers_that_compute_otherwise_are_said_once() -> None:
    here = worker.Build.here(SMALL)
    remarks = handing_out._Remarks(SMALL)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        remarks.compare(here)
        remarks.compare(replace(here, machine="another"))
    with pytest.warns(ClusterWarning, match=r"machines compute with .*generic.* \(far\).*FSRCNN_ISA=avx2"):
        remarks.compare(replace(here, machine="far", numbers="generic"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        remarks.compare(replace(here, machine="farther", numbers="other"))
    with pytest.warns(ClusterWarning, match="libvips 1.0 .*The same version of pyvips-binary"):
        remarks.compare(replace(here, codec="1.0"))
    with pytest.warns(ClusterWarning, match="native engine is not built on bare"):
        remarks.compare(replace(here, machine="bare", engine="numpy", numbers=here.numbers))
    fast = handing_out._Remarks(replace(SMALL, precision="fast"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fast.compare(replace(here, numbers="generic"))  # whole numbers are the same everywhere


def test_the_size_of_tasks_follows_their_seconds() -> None:
    sizes = TaskSize(threads=2)
    assert sizes.pictures == 2
    seen = []
    for _ in range(8):
        sizes.measured(sizes.pictures, 0.2 * sizes.pictures)
        seen.append(sizes.pictures)
    assert seen == [4, 8, 16, 20, 20, 20, 20, 20]  # at most doubled, until they take 4 seconds
    for _ in range(20):
        sizes.measured(sizes.pictures, 0.001 * sizes.pictures)
    assert sizes.pictures == 64
    for _ in range(20):
        sizes.measured(sizes.pictures, 60.0 * sizes.pictures)
    assert sizes.pictures == 1


def test_an_address_that_is_none() -> None:
    for address in ("foo", "", "10.0.0.1", "http://10.0.0.1:80", "10.0.0.1:port"):
        with pytest.raises(UsageError, match=r"a cluster is local, auto, or the address of its head"):
            connection.check_address(address)
    for address in ("local", "auto", "10.0.0.1:6379", "[::1]:6379", "ray://head.example:10001"):
        connection.check_address(address)


@pytest.mark.parametrize("scheme", ["", "ray://"])
@pytest.mark.parametrize("answer", [None, b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"], ids=["silence", "end", "http"])
def test_what_is_no_ray_cluster_is_said_soon(
    ray: Ray, monkeypatch: pytest.MonkeyPatch, scheme: str, answer: bytes | None
) -> None:
    monkeypatch.setattr(connection, "ANSWERS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"{scheme}127.0.0.1:{server.getsockname()[1]}"

        def serve() -> None:
            with server.accept()[0] as client:
                client.recv(100)
                if answer:
                    client.sendall(answer)
                if answer is None:
                    client.recv(100)

        serving = threading.Thread(target=serve)
        serving.start()
        with pytest.raises(FsrcnnError, match=f"no Ray cluster answers at {address}"):
            list(run_all([], SMALL, DOUBLE, address=address))
        serving.join()
    with pytest.raises(FsrcnnError, match=f"no Ray cluster answers at {address}"):  # nobody listens
        list(run_all([], SMALL, DOUBLE, address=address))


def test_what_ray_refuses_is_a_sentence() -> None:
    refusal = connection._refusal
    assert "this machine belongs to no Ray cluster; start one" in str(refusal("auto", ConnectionError("Could not")))
    assert "pip install 'ray[client]'" in str(refusal("ray://a:1", ImportError("grpc")))
    mismatch = RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 2.9\n    Python: 3.10")
    assert str(refusal("a:1", mismatch)).startswith(
        "the Ray cluster at a:1 is of another version: Version mismatch: The"
    )
    alone = RuntimeError("No node info found matching attributes: '' when trying to resolve node to connect to.")
    assert "this machine is none of the Ray cluster at a:1; type the command on one" in str(refusal("a:1", alone))
    assert "cannot start a Ray cluster (local): no space" in str(refusal("local", OSError("no\n space")))


def test_parts_that_nobody_holds_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "DEAD_SECONDS", 1)
    young, old = (tmp_path / f".fsrcnn-{letter * 16}.part" for letter in "ab")
    for part in (young, old):
        part.touch()
    os.utime(old, (0, 0))
    (tmp_path / "photo.png").touch()
    with files.marked(tmp_path) as mark:
        os.utime(mark, (0, 0))
        files.sweep(tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == [mark.name, "photo.png"]
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]


def test_the_files_of_the_documentation() -> None:
    """`cluster.yaml` is what Ray's autoscaler takes; the manifest is YAML with what KubeRay cannot do without; the job is a script."""
    yaml = pytest.importorskip("yaml", reason="needs PyYAML, which comes with Ray")
    jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema, which comes with Ray")
    found = find_spec("ray")
    if found is None or found.origin is None:
        pytest.skip("needs Ray: type .venv/bin/python -m pip install --editable '.[cluster]'")
    text = (ROOT / "docs/cluster.md").read_text("utf-8")
    cluster, job = map(yaml.safe_load, re.findall(r"```yaml\n(.*?)```", text, re.DOTALL))
    schema = Path(found.origin).parent / "autoscaler/ray-schema.json"
    jsonschema.validate(cluster, json.loads(schema.read_text("utf-8")))
    assert cluster["head_node_type"] in cluster["available_node_types"]
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec = job["spec"]["rayClusterSpec"]
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        (container,) = group["template"]["spec"]["containers"]
        assert {"name", "image", "resources"} <= container.keys()
    (script,) = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    run = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True)
    assert (run.returncode, run.stderr) == (0, "")
