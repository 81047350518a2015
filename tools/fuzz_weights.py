"""What `fuzz.py` makes mutants of as `weights`: ours (float and integer), other people's in every format that `convert` reads, and
prepared HDF5 files.

The process that `quarantine.py` reads a file in is forked here instead of started, so that a mutant takes hundredths of a second.
"""

from __future__ import annotations

import collections
import io
import os
import signal
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from fsrcnn import foreign, models, quarantine
from fsrcnn.architecture import Architecture
from fsrcnn.integer import IntegerModel
from fsrcnn.weights import Weights

SECONDS = 15


def files() -> dict[str, bytes]:
    """Name → a good file; small ones, so that accidents hit what is not just a number of a kernel."""
    import h5py
    import safetensors.numpy
    import scipy.io
    import torch

    ours = _weights(Architecture(4, 3, 1, 3, 5, 2))
    pickled, _ = foreign.port.encode(ours)
    state = torch.load(io.BytesIO(pickled), weights_only=True)
    made = {
        "ours.safetensors": ours.to_bytes(),
        "core.safetensors": IntegerModel.of(ours, "w8a8").to_bytes(),
        "others_x2.safetensors": safetensors.numpy.save({name: array.numpy() for name, array in state.items()}),
        "port_x2.pth": pickled,
        "graph_x2.pb": graph(2),
        "keras.h5": foreign.keras.encode(ours)[0],
    }
    around = {"epoch": 3, "params": state, "params_ema": {name: array * 0.5 for name, array in state.items()}}
    for name, zipped in (("wrapped_x2.ckpt", True), ("legacy_x2.pth.tar", False)):
        buffer = io.BytesIO()
        torch.save(around, buffer, _use_new_zipfile_serialization=zipped)
        made[name] = buffer.getvalue()
    generator = np.random.default_rng(0)
    kernels = [(1, 25, 4), (4, 1, 3), (3, 9, 3), (3, 1, 4), (1, 81, 4)]
    cells = collections.defaultdict[str, list[Any]](list)
    for number, shape in enumerate(kernels):
        cells["weights_conv"].append(generator.normal(0, 0.1, shape))
        cells["biases_conv"].append(np.zeros((1 if number == 4 else shape[2], 1)))
        cells["prelu_conv"].append(np.full((1, 1), 0.25))
    for name, compressed in (("authors_x2.mat", False), ("packed_x2.mat", True)):
        buffer = io.BytesIO()
        stored = {part: np.array([*values, None], object)[:-1] for part, values in cells.items()}
        scipy.io.savemat(buffer, stored, do_compression=compressed)
        made[name] = buffer.getvalue()
    lr = generator.integers(0, 256, (9, 6, 6), np.uint8)
    hr = lr.repeat(2, 1).repeat(2, 2)
    for name, datasets in {
        "sub_images.hdf5": {"lr": lr, "hr": hr},
        "caffe.hdf5": {"data": lr[:, None] / 255, "label": hr[:, None] / 255},
        "pictures.hdf5": {"lr/0": lr[0], "hr/0": hr[0], "lr/1": lr[1], "hr/1": hr[1]},
    }.items():
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            for place, values in datasets.items():
                file.create_dataset(place, data=values, compression="gzip")
            file.attrs["scale"], file.attrs["peak"] = 2, 255.0 if "lr" in file else 1.0
        made[name] = buffer.getvalue()
    return made


def read(name: str, data: bytes) -> object:
    """As the commands do: `--model` for ours, `convert` for others', `train` for prepared files."""
    quarantine._process = _forked
    path = _folder() / name
    path.write_bytes(data)
    if name in ("ours.safetensors", "core.safetensors"):
        return models.load(path)
    if path.suffix != ".hdf5":
        return foreign.read(path)
    from fsrcnn.training.hdf5_reader import read_pictures, read_sub_images

    return (read_pictures if name == "pictures.hdf5" else read_sub_images)(path, 2)


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="fsrcnn-fuzz-"))


def _forked(function: str, arguments: Sequence[Any], data: bytes, libraries: Sequence[str]) -> tuple[int, bytes, str]:
    """`quarantine._process`, but in a copy of this process."""
    for library in libraries:
        __import__(library)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)
        code = 1
        try:
            code, result = quarantine.outcome(function, arguments, data, libraries)
            with os.fdopen(writer, "wb") as output:
                output.write(result)
        except BaseException as error:  # what a new process would end with
            Path(_folder() / "raw").write_text(f"{type(error).__name__}: {error}", errors="replace")
            code = 5
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as output:
        result = output.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == 5:
        raise AssertionError((_folder() / "raw").read_text())
    return quarantine.TIMED_OUT if code == -signal.SIGALRM else code, result, ""


def _weights(architecture: Architecture) -> Weights:
    generator = np.random.default_rng(0)
    return Weights(
        architecture,
        {name: generator.normal(0, 0.2, shape).astype(np.float32) for name, shape in architecture.array_shapes.items()},
    )


def graph(scale: int) -> bytes:
    """A graph as OpenCV's, of a network (6, 3, 1)."""
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    generator = np.random.default_rng(0)
    made_of = GraphDef()

    def node(name: str, op: str, *inputs: str) -> Any:
        made = made_of.node.add()
        made.name, made.op = name, op
        made.input.extend(inputs)
        return made

    def constant(name: str, array: Any) -> str:
        tensor = node(name, "Const").attr["value"].tensor
        tensor.dtype = 1
        for side in np.shape(array):
            tensor.tensor_shape.dim.add().size = side
        if np.size(array) == 1:
            tensor.float_val.append(float(array))
        else:
            tensor.tensor_content = np.asarray(array, np.float32).tobytes()
        return name

    def convolution(number: int, x: str, shape: tuple[int, ...]) -> str:
        made = node(f"conv{number}", "Conv2D", x, constant(f"f{number}", generator.normal(0, 0.3, shape)))
        made.attr["padding"].s, made.attr["data_format"].s = b"SAME", b"NHWC"
        made.attr["strides"].list.i.extend((1, 1, 1, 1))
        return f"conv{number}"

    node("x", "Placeholder")
    x = "x"
    for number, shape in enumerate([(5, 5, 1, 6), (1, 1, 6, 3), (3, 3, 3, 3), (1, 1, 3, 6)], 1):
        last = convolution(number, x, shape)
        x = f"sum{number}"
        node(x, "Add", last, constant(f"b{number}", generator.normal(0, 0.1, shape[-1])))
        node(f"abs{number}", "Abs", x)
        node(f"sub{number}", "Sub", x, f"abs{number}")
        node(f"mul{number}", "Mul", constant(f"alpha{number}", generator.random(shape[-1])), f"sub{number}")
        node(f"half{number}", "Mul", f"mul{number}", constant(f"half{number}/y", 0.5))
        node(f"relu{number}", "Relu", x)
        node(f"prelu{number}", "Add", f"relu{number}", f"half{number}")
        x = f"prelu{number}"
    node("shuffle", "DepthToSpace", convolution(5, x, (1, 1, 6, scale * scale))).attr["block_size"].i = scale
    node("y", "BiasAdd", "shuffle", constant("b5", 0.1))
    data: bytes = made_of.SerializeToString()
    return data
