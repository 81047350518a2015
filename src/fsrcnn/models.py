"""From a name to a network: the one way, for `--model`, `--init`, `convert`, `evaluate` and Python alike.

A name is a family (`fsrcnn`: bundled weights at several scales), bundled weights (`fsrcnn-x2`, `fsrcnn-x2.t91`), `fsrcnn-photo@0.7`
(the average of `fsrcnn-photo-mild` and `fsrcnn-photo-strong`, at a strength of 0 … 1), or the path of a weights file. Such a file may
hold an integer model, which runs wherever pictures are made larger; whoever needs float weights asks `resolve`, which refuses it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from fsrcnn import integer, pretrained, weights
from fsrcnn.architecture import SCALES
from fsrcnn.errors import UsageError, WeightsError
from fsrcnn.integer import IntegerModel
from fsrcnn.weights import INTEGER_KIND, KIND_KEY, Weights

Network = Weights | IntegerModel
ModelName = str | Path | Network
DEFAULT_SCALE = 2  # of a family
AUTO = "auto"
"""In place of a model, where a picture is upscaled: the family that suits it, by `choice.py`."""
AVERAGE = re.compile(r"fsrcnn-photo@([0-9]*\.?[0-9]+)")


def by_scale(model: ModelName) -> Mapping[int, Callable[[], Network]]:
    """Whole scale → how to get its network: several scales for a family, one for anything else, smallest scale first.

    Raises:
        UsageError: no such model.
        WeightsError: the file is not a weights file.
    """
    if isinstance(model, Network):
        return {model.architecture.scale: lambda: model}
    if not isinstance(model, (str, Path)) or not str(model):
        raise UsageError(f"a model is a name, as fsrcnn, or the path of a weights file, not {model!r}")
    name = str(model)
    if name == AUTO:
        raise UsageError("auto is chosen anew for each picture that is upscaled; here one model is named, as fsrcnn")
    table = pretrained.table()
    if name in pretrained.FAMILIES:
        members = {scale: pretrained.name_of(name, scale) for scale in SCALES}
        return {scale: _loader(member) for scale, member in members.items() if member in table}
    if name in table:
        return {table[name].scale: _loader(name)}
    if strength := AVERAGE.fullmatch(name):
        return {scale: _average(scale, float(strength[1])) for scale in SCALES}
    path = Path(model)
    # `fsrcnn@0.5` has a suffix, too, and is a name that somebody tried rather than a file that is not there.
    tried = "@" in name and len(path.parts) == 1 and path.suffix != ".safetensors"
    exists = os.path.exists(path)  # noqa: PTH110  (pathlib's raises where a name is too long)
    if exists or ((path.suffix or len(path.parts) > 1) and not tried):
        loaded = load(path)
        return {loaded.architecture.scale: lambda: loaded}
    raise UsageError(
        f"there is no model {name!r}; there are {', '.join(pretrained.FAMILIES)}, each also with a scale as fsrcnn-x2 "
        "(`fsrcnn models` lists them), fsrcnn-photo@0.7 with a strength of 0 to 1, or the path of a weights file"
    )


def load(path: str | Path) -> Network:
    """Read a weights file: float weights, or an integer model, as it says itself.

    Raises:
        WeightsError: the file is neither.
    """
    data = weights.contents(path)
    whole = weights.metadata_of(data).get(KIND_KEY) == INTEGER_KIND
    return integer.from_bytes(data, str(path)) if whole else weights.from_bytes(data, str(path))


def is_integer(model: ModelName) -> bool:
    """Whether a model is an integer one.

    Raises:
        UsageError, WeightsError: as `by_scale`; `auto` is none.
    """
    if isinstance(model, str) and model == AUTO:
        return False
    scales = by_scale(model)
    return len(scales) == 1 and all(isinstance(network(), IntegerModel) for network in scales.values())


def float_weights(network: Network, name: object = "the model") -> Weights:
    """A network of float weights as it is.

    Raises:
        WeightsError: it is an integer model; `name` says which.
    """
    if isinstance(network, IntegerModel):
        raise weights.not_float(str(name), network.format)
    return network


def _loader(name: str) -> Callable[[], Weights]:
    return lambda: pretrained.load(name)


def is_average(name: str) -> bool:
    """Whether it is one as `fsrcnn-photo@0.7`, which has weights at each scale, as a family has."""
    return AVERAGE.fullmatch(name) is not None


def _average(scale: int, strength: float) -> Callable[[], Weights]:
    mild, strong = (pretrained.name_of(f"fsrcnn-photo-{end}", scale) for end in ("mild", "strong"))
    if not strength <= 1:
        raise UsageError(f"the strength behind fsrcnn-photo@ is 0 to 1, not {strength:g}")
    return lambda: weights.averaged(pretrained.load(mild), pretrained.load(strong), strength)


def default_scale(scales: Mapping[int, object]) -> int:
    """The scale of a model where nobody says one: its only one, or 2 of several."""
    return DEFAULT_SCALE if DEFAULT_SCALE in scales else min(scales)


def resolve(model: ModelName, scale: int | None = None, remedy: str = "") -> Weights:
    """The float weights of a model at a scale.

    Args:
        model: a family, bundled weights, the path of a weights file, or `Weights`, which come back as they are.
        scale: 2, 3 or 4; where it is not given, that of the weights, 2 for a family.
        remedy: what helps where the model is of another scale.

    Raises:
        UsageError: no such model, or it has no weights for that scale.
        WeightsError: the file is not a weights file, or holds an integer model.
    """
    scales = by_scale(model)
    wanted = default_scale(scales) if scale is None else scale
    check_scale(model, scales, wanted, remedy)
    return float_weights(scales[wanted](), name_of(model))


def integer_model(path: str) -> IntegerModel:
    """The integer model in a file.

    Raises:
        UsageError: no such model.
        WeightsError: the file is no weights file, or the model has float weights.
    """
    networks = [network() for network in by_scale(path).values()]
    if isinstance(networks[0], IntegerModel):
        return networks[0]
    raise WeightsError(
        f"{path} has float weights, and a chip core computes an integer model",
        f"`fsrcnn quantize {path} -o core.safetensors` makes one",
    )


def name_of(model: ModelName) -> str:
    """What messages call a model."""
    return "the model" if isinstance(model, Network) else str(model)


def check_scale(model: ModelName, scales: Iterable[int], wanted: int, remedy: str = "") -> None:
    """Refuse a scale for which a model has no weights.

    Raises:
        UsageError: that is so.
    """
    scales = tuple(scales)
    if wanted not in scales:
        raise UsageError(f"{name_of(model)} is of ×{', ×'.join(map(str, scales))}, not ×{wanted}", remedy)
