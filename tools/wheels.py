"""The wheels and the source distribution of a release, into dist/, and what proves them.

    python tools/wheels.py [--dist dist] [--roots build/roots] [--only-check]

Built from the unpacked source distribution, so that it is known to be whole:

- manylinux for x86-64, all instruction sets in one file, and for AArch64, both by Zig's Clang for glibc 2.17 with its own C++ library
  inside; `auditwheel` gives the tag;
- the pure wheel, without an engine, for every other machine: the network is computed by NumPy there.

Then, of what lies in dist/:

- the files of each wheel are those of the package, and `twine check` has nothing to say;
- in a fresh environment without a compiler in PATH, pip takes the wheel of this processor, and `fsrcnn upscale --precision fast`
  gives the bytes of this source tree with each instruction set; the pure wheel says that it has no engine, and computes by NumPy;
- the engine of the AArch64 wheel gives these bytes under QEMU (`qemu-aarch64-static`, and a C library for it: g++-aarch64-linux-gnu);
- as root, and with `debootstrap`: in bare roots made in --roots (and left there for the next time), of Debian 12, which has a Python
  for the wheel and no compiler, and of Debian 11, whose Python is too old, so that only the engine is run on its glibc 2.31.

What cannot be run here is said, and what to install for it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import fsrcnn
from fsrcnn import cli, images, pretrained
from fsrcnn.color import luma
from fsrcnn.engines import native
from fsrcnn.errors import FsrcnnError
from fsrcnn.fixed_point import FEATURE_LEVELS, INPUT_LEVELS, FixedPoint
from fsrcnn.parallel import Control
from fsrcnn.planes import Planes

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "astronaut.png"
LIBRARY = "fsrcnn/engines/_native.abi3.so"
PROCESSORS = ("x86_64", "aarch64")
COMPILERS = ("cc", "c++", "gcc", "g++", "clang", "clang++", "cmake", "make", "ninja", "zig")
ARM_LIBRARIES = Path("/usr/aarch64-linux-gnu")  # where Debian's cross compiler has them
# What a fresh environment is asked: the instruction sets of its native engine, none where it has none.
ASKED = """
import json
from fsrcnn.engines import native
print(json.dumps(list(native.instruction_sets()) if native.available() else []))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="where the files of the release lie")
    parser.add_argument("--roots", type=Path, default=ROOT / "build" / "roots", help="where bare roots are made")
    parser.add_argument("--only-check", action="store_true", help="build nothing")
    given = parser.parse_args()
    dist, version = given.dist.resolve(), fsrcnn.__version__
    if not given.only_check:
        build(dist, version)
    wheels = {name: wheel(dist, version, name) for name in (*PROCESSORS, "any")}
    check_contents(wheels)
    run(["twine", "check", "--strict", *map(str, sorted(dist.glob(f"fsrcnn-{version}*")))])
    with tempfile.TemporaryDirectory() as scratch:
        check_installed(wheels, Path(scratch))
        check_engines(wheels, Path(scratch), given.roots.resolve())


def say(line: str) -> None:
    print(line, flush=True)


def run(command: Sequence[str], environment: Mapping[str, str] | None = None, folder: Path = ROOT) -> str:
    """What a command prints. Programs of this environment are found first.

    Raises:
        FsrcnnError: it ended with another code than 0; its last lines are in the message.
    """
    path = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    found = shutil.which(command[0], path=(environment or path)["PATH"])
    if found is None:
        raise FsrcnnError(f"{command[0]} is missing", "type: pip install -r requirements-wheels.txt")
    done = subprocess.run(
        [found, *command[1:]], env={**os.environ, **path} if environment is None else dict(environment), cwd=folder,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        ending = "\n".join(done.stdout.splitlines()[-15:])
        raise FsrcnnError(f"{' '.join(command)} ended with {done.returncode}:\n{ending}")
    return done.stdout


def zig() -> Path:
    """Zig, whose Clang compiles for any glibc.

    Raises:
        FsrcnnError: it is not installed.
    """
    spec = find_spec("ziglang")
    if spec is None or spec.origin is None:
        raise FsrcnnError("ziglang is missing", "type: pip install -r requirements-wheels.txt")
    return Path(spec.origin).with_name("zig")


def wheel(dist: Path, version: str, processor: str) -> Path:
    """The wheel for a processor, or for `any`.

    Raises:
        FsrcnnError: it is not in the folder.
    """
    found = sorted(dist.glob(f"fsrcnn-{version}-py3-none-*{processor}.whl"))
    if len(found) != 1:
        raise FsrcnnError(
            f"{dist} has {len(found)} wheels of fsrcnn {version} for {processor}, not 1", "type: make wheels"
        )
    return found[0]


def build(dist: Path, version: str) -> None:
    """Put a source distribution and three wheels into a folder."""
    dist.mkdir(parents=True, exist_ok=True)
    for old in dist.glob("fsrcnn-*"):
        old.unlink()
    folder = ROOT / "build" / "wheels"
    folder.mkdir(parents=True, exist_ok=True)
    run(["python", "-m", "build", "--sdist", "--no-isolation", "--outdir", str(dist), "."])
    source = folder / f"fsrcnn-{version}"
    shutil.rmtree(source, ignore_errors=True)
    with tarfile.open(dist / f"fsrcnn-{version}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    say(f"fsrcnn-{version}.tar.gz: built")
    for processor in PROCESSORS:
        made = folder / processor
        shutil.rmtree(made, ignore_errors=True)
        defined = {
            "CMAKE_SYSTEM_NAME": "Linux", "CMAKE_SYSTEM_PROCESSOR": processor, "CMAKE_MODULE_LINKER_FLAGS": "-s",
        }  # fmt: skip
        options = [f"-Ccmake.define.{name}={value}" for name, value in defined.items()]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        run(
            ["python", "-m", "build", "--wheel", "--no-isolation", "--outdir", str(made), f"-Cbuild-dir={made}/cmake", *options, "."],
            {**os.environ, "PATH": path, "CXX": f"{zig()} c++ -target {processor}-linux-gnu.2.17"},
            source,
        )  # fmt: skip
        run(["wheel", "tags", "--remove", "--platform-tag", f"linux_{processor}", *map(str, made.glob("*.whl"))])
        built = next(made.glob("*.whl"))
        run(["auditwheel", "repair", "--wheel-dir", str(dist), str(built)])  # gives the tag that its symbols allow
        tagged = wheel(dist, version, processor).name
        if f"manylinux_2_17_{processor}" not in tagged:
            raise FsrcnnError(f"auditwheel allows {tagged} no more than that")
        say(f"{tagged}: built, and tagged by auditwheel")
    run(
        ["python", "-m", "build", "--wheel", "--no-isolation", "--outdir", str(dist), "-Cwheel.cmake=false", "."],
        folder=source,
    )
    say(f"{wheel(dist, version, 'any').name}: built")


def check_contents(wheels: Mapping[str, Path]) -> None:
    """Each wheel has the files of the package, and only the platforms' have an engine.

    Raises:
        FsrcnnError: a file is missing, or is too much.
    """
    files = run(["git", "ls-files", "src/fsrcnn"]).split()
    expected = {name.removeprefix("src/") for name in files}
    page = {f"fsrcnn/serve/page/engine/{name}" for name in ("fsrcnn.wasm", "index.js", "files.json", "bundled.js")}
    for processor, path in wheels.items():
        names = {
            name for name in zipfile.ZipFile(path).namelist() if ".dist-info/" not in name and not name.endswith("/")
        }
        library = {LIBRARY} if processor != "any" else set()
        missing = sorted((expected | page | library) - names)
        if missing:
            remedy = "type: make web" if page & set(missing) else ""
            raise FsrcnnError(f"{path.name} lacks {', '.join(missing[:5])}", remedy)
        surplus = sorted(
            name for name in names - expected - library if not name.startswith("fsrcnn/serve/page/engine/")
        )
        if surplus:
            raise FsrcnnError(f"{path.name} has {', '.join(surplus[:5])}, which git does not know")
        say(f"{path.name}: {len(names)} files, {path.stat().st_size / 1e6:.2f} MB, as they should be")


def enlarged(command: Sequence[str], folder: Path, environment: Mapping[str, str], *options: str) -> bytes:
    """The bytes of the example, enlarged by a command `fsrcnn`."""
    target = folder / "enlarged.png"
    run(
        [*command, "upscale", str(folder / EXAMPLE.name), "--scale", "2", "--overwrite", "-o", str(target), *options],
        environment, folder,
    )  # fmt: skip
    return target.read_bytes()


def check_installed(wheels: Mapping[str, Path], scratch: Path) -> None:
    """pip installs them without a compiler, and they compute as they should.

    Raises:
        FsrcnnError: they do not.
    """
    shutil.copyfile(EXAMPLE, scratch / EXAMPLE.name)
    expected = enlarged([str(Path(sys.executable).parent / "fsrcnn")], scratch, os.environ, "--precision", "fast")
    for name in (platform.machine(), "any"):
        if name not in wheels:
            say(f"no wheel is for {name}: not installed here")
            continue
        folder = scratch / name
        run(["python", "-m", "venv", str(folder)])
        path = str(folder / "bin")
        bare = {
            **{
                key: value for key, value in os.environ.items() if key not in ("CC", "CXX", "PYTHONPATH", "VIRTUAL_ENV")
            },
            "PATH": path,
        }
        found = [compiler for compiler in COMPILERS if shutil.which(compiler, path=path)]
        if found:
            raise FsrcnnError(f"the bare environment has {', '.join(found)}")
        run(["python", "-m", "pip", "install", "--quiet", str(wheels[name])], bare)
        sets = [str(item) for item in json.loads(run(["python", "-c", ASKED], bare, scratch).splitlines()[-1])]
        if name == "any":
            if sets:
                raise FsrcnnError(f"{wheels[name].name} has an engine: {', '.join(sets)}")
            pure = [str(folder / "bin" / "fsrcnn")]
            ours = [str(Path(sys.executable).parent / "fsrcnn")]
            lately = enlarged(pure, scratch, bare)
            if lately != enlarged(ours, scratch, os.environ, "--engine", "numpy"):
                raise FsrcnnError(f"{wheels[name].name}: other bytes than the engine numpy of this tree")
            try:
                enlarged(pure, scratch, bare, "--engine", "native")
            except FsrcnnError as error:
                if "the native engine was not built" not in str(error):
                    raise
            else:
                raise FsrcnnError(f"{wheels[name].name} takes --engine native")
            say(
                f"{wheels[name].name}: installs without a compiler, computes by NumPy, and says that it has no native engine"
            )
            continue
        for instruction_set in sets:
            forced = {**bare, "FSRCNN_ISA": instruction_set}
            fast = ("--engine", "native", "--precision", "fast")
            if enlarged([str(folder / "bin" / "fsrcnn")], scratch, forced, *fast) != expected:
                raise FsrcnnError(f"{wheels[name].name}: other bytes than this tree's, with {instruction_set}")
        say(f"{wheels[name].name}: installs without a compiler, and has this tree's bytes with {', '.join(sets)}")


def check_engines(wheels: Mapping[str, Path], scratch: Path, roots: Path) -> None:
    """The engines where this Python cannot load them: bare roots, another processor.

    Raises:
        FsrcnnError: an engine does not run there, or gives other bytes.
    """
    picture = luma(images.read(EXAMPLE).pages[0])
    weights = pretrained.load("fsrcnn-x-x2")
    sr = np.empty((2 * picture.shape[0], 2 * picture.shape[1]), np.uint8)
    native.NativeEngine(weights, "fast").planes(Planes.luma(picture), Planes.luma(sr), Control(2))
    for processor in PROCESSORS:
        folder = scratch / f"engine-{processor}"
        folder.mkdir()
        with zipfile.ZipFile(wheels[processor]) as archive:
            (folder / "library.so").write_bytes(archive.read(LIBRARY))
        write_network(folder / "network", FixedPoint.of(weights))
        (folder / "lr").write_bytes(picture.tobytes())
        source, include = ROOT / "tools" / "wheel_engine.c", ROOT / "native"
        target = ["-target", f"{processor}-linux-gnu.2.17"]
        run([str(zig()), "cc", *target, "-O2", f"-I{include}", str(source), "-ldl", "-o", str(folder / "program")])
        height, width = picture.shape
        arguments = ["./library.so", "network", "lr", str(width), str(height), "sr"]
        if processor == platform.machine():
            for suite in ("bookworm", "bullseye"):
                root = bare_root(roots, suite)
                if root is None:
                    continue
                inside = root / "fsrcnn"
                shutil.rmtree(inside, ignore_errors=True)
                shutil.copytree(folder, inside)
                command = ["chroot", str(root), "/bin/sh", "-c", f"cd /fsrcnn && ./program {' '.join(arguments)}"]
                sets = run(command, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}).strip()
                if (inside / "sr").read_bytes() != sr.tobytes():
                    raise FsrcnnError(f"the engine of {wheels[processor].name} gives other bytes on Debian {suite}")
                say(f"{wheels[processor].name}: its engine has this tree's bytes on a bare Debian {suite}, with {sets}")
                if suite == "bookworm" and sys.version_info[:2] != (3, 11):
                    say(
                        f"{wheels[processor].name}: not installed on Debian bookworm, whose Python is 3.11, unlike this one"
                    )
                elif suite == "bookworm":
                    check_root(wheels[processor], root, scratch)
        elif shutil.which(f"qemu-{processor}-static") and ARM_LIBRARIES.exists():
            sets = run(
                [f"qemu-{processor}-static", "-L", str(ARM_LIBRARIES), "./program", *arguments], folder=folder
            ).strip()
            if (folder / "sr").read_bytes() != sr.tobytes():
                raise FsrcnnError(f"the engine of {wheels[processor].name} gives other bytes under QEMU")
            say(f"{wheels[processor].name}: its engine has this tree's bytes under QEMU, with {sets}")
        else:
            say(
                f"{wheels[processor].name}: its engine is not run here; type: apt-get install qemu-user-static g++-aarch64-linux-gnu"
            )


def write_network(path: Path, whole: FixedPoint) -> None:
    """A network's whole numbers for wheel_engine.c, in the order of `fsrcnn_network`."""
    architecture = whole.architecture
    integers, multipliers = [], []
    for stage in (convolution.name for convolution in architecture.convolutions):
        integers += [whole.kernels[stage], whole.biases[stage]]
        multipliers += [whole.positive[stage], whole.negative[stage]]
    integers.append(whole.kernels["deconvolution"])
    multipliers += [whole.phases, np.array([whole.bias])]
    integer = np.concatenate([np.asarray(array, np.int32).ravel() for array in integers])
    multiplier = np.concatenate([np.asarray(array, np.float32).ravel() for array in multipliers])
    fields = ("d", "s", "m", "feature_kernel", "deconvolution_kernel", "scale", "crop")
    numbers = [*(getattr(architecture, name) for name in fields), 1, INPUT_LEVELS, FEATURE_LEVELS]
    head = np.array(numbers, np.int32).tobytes() + np.array([integer.size, multiplier.size], np.int64).tobytes()
    path.write_bytes(head + integer.tobytes() + multiplier.tobytes())


def bare_root(roots: Path, suite: str) -> Path | None:
    """A minimal Debian without a compiler; None where it cannot be made, which is said."""
    root = roots / suite
    if os.geteuid() or not shutil.which("debootstrap"):
        say(
            f"Debian {suite}: no bare root without debootstrap and the rights of root; type: apt-get install debootstrap"
        )
        return None
    if not (root / "etc" / "made").exists():
        shutil.rmtree(root, ignore_errors=True)
        root.parent.mkdir(parents=True, exist_ok=True)
        include = ["--include=python3-venv"] if suite == "bookworm" else []
        run(["debootstrap", "--variant=minbase", *include, suite, str(root)])
        (root / "etc" / "made").touch()
    found = [compiler for compiler in COMPILERS if (root / "usr" / "bin" / compiler).exists()]
    if found:
        raise FsrcnnError(f"{root} is not bare: it has {', '.join(found)}")
    return root


def check_root(path: Path, root: Path, scratch: Path) -> None:
    """pip installs a wheel in a bare root, whose results are this tree's.

    Raises:
        FsrcnnError: they are not.
    """
    inside = root / "fsrcnn"
    packages = inside / "packages"
    # Of this Python, which is therefore the root's; pyvips has no wheels, and is packed here.
    run(["python", "-m", "pip", "wheel", "--quiet", "--wheel-dir", str(packages), str(path)])
    shutil.copyfile(EXAMPLE, inside / EXAMPLE.name)
    shutil.rmtree(root / "venv", ignore_errors=True)
    lines = (
        "python3 -m venv /venv",
        f"/venv/bin/pip install --quiet --no-index --find-links /fsrcnn/packages /fsrcnn/packages/{path.name}",
        f"/venv/bin/fsrcnn upscale /fsrcnn/{EXAMPLE.name} --scale 2 --engine native --precision fast -o /fsrcnn/enlarged.png",
    )
    run(
        ["chroot", str(root), "/bin/sh", "-c", " && ".join(lines)],
        {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"},
    )
    expected = enlarged([str(Path(sys.executable).parent / "fsrcnn")], scratch, os.environ, "--precision", "fast")
    if (inside / "enlarged.png").read_bytes() != expected:
        raise FsrcnnError(f"{path.name} gives other bytes in {root}")
    say(f"{path.name}: pip installs it on a bare Debian bookworm, and it has this tree's bytes")


if __name__ == "__main__":
    cli.run(main)
