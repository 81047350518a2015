"""What a request may ask for: the options of `fsrcnn upscale`, as fields of a query or a form."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from fsrcnn import batch, formats, models, pretrained
from fsrcnn.arguments import whole_number
from fsrcnn.engines import PRECISIONS
from fsrcnn.errors import UsageError
from fsrcnn.size import Size, wanted_size

LONGEST_NAME = 200  # characters of a picture's name that are kept: file systems take 255 bytes
UNNAMED = "picture"
# Python's float takes 1_0 and the digits of other scripts, too.
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
SWITCHES = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}


def _text(given: str, name: str) -> str:
    return given


def _number(given: str, name: str) -> float:
    if not NUMBER.fullmatch(given):
        raise UsageError(f"is a number, not {given!r}", argument=name)
    return float(given)


def _whole(given: str, name: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", given):
        raise UsageError(f"is a whole number of at least 1, not {given!r}", argument=name)
    return whole_number(int(given), name)


def _switch(given: str, name: str) -> bool:
    if given.lower() not in SWITCHES:
        raise UsageError(f"is true or false, not {given!r}", argument=name)
    return SWITCHES[given.lower()]


def _one_of(*allowed: str) -> Callable[[str, str], str]:
    def chosen(given: str, name: str) -> str:
        if given not in allowed:
            raise UsageError(f"is {' or '.join(allowed)}, not {given!r}", argument=name)
        return given

    return chosen


def _model(given: str, name: str) -> str:
    """Names alone: a path would let a client ask which files this machine has."""
    if models.is_average(given):
        models.by_scale(given)  # raises where the strength is none
        return given
    if given in (models.AUTO, *pretrained.FAMILIES) or given in pretrained.table():
        return given
    raise UsageError(
        f"there is no model {given!r} here; there are {models.AUTO}, {', '.join(pretrained.FAMILIES)}, each also with a scale as "
        "fsrcnn-x2, and fsrcnn-photo@0.7 with a strength of 0 to 1"
    )


@dataclass(frozen=True)
class Field:
    """A field of a request.

    Attributes:
        read: (its text, its name) → value; raises UsageError.
        schema: in JSON Schema.
        help: a sentence.
    """

    read: Callable[[str, str], Any]
    schema: dict[str, Any]
    help: str


WHOLE = {"type": "integer", "minimum": 1}
FIELDS = {
    "scale": Field(
        _number,
        {"type": "number", "exclusiveMinimum": 1, "maximum": 64},
        "Factor: 2, 3, 4, or any number above 1 up to 64. Default: the scale of the model, 2 for auto or a family.",
    ),
    "width": Field(_whole, WHOLE, "Exact width in pixels; the height follows, unless given too."),
    "height": Field(_whole, WHOLE, "Exact height in pixels; the width follows, unless given too."),
    "fit": Field(_text, {"type": "string", "pattern": r"^\d+x\d+$"}, "As large as fits into this box, as 3840x2160."),
    "model": Field(
        _model,
        {"type": "string", "default": models.AUTO},
        "auto: for each picture the family that suits it; or one of /v1/models, or fsrcnn-photo@ with a strength of 0 to 1.",
    ),
    "precision": Field(
        _one_of(*PRECISIONS),
        {"type": "string", "enum": list(PRECISIONS), "default": PRECISIONS[0]},
        "exact, or fast: 16-bit whole numbers.",
    ),
    "format": Field(
        _text, {"type": "string", "enum": list(formats.WRITABLE)}, "What to write. Default: what the picture is."
    ),
    "quality": Field(
        _whole, {"type": "integer", "minimum": 1, "maximum": 100}, "1 to 100, for jpg (92), webp (90) and avif (70)."
    ),
    "lossless": Field(_switch, {"type": "boolean", "default": False}, "Keep every pixel, in webp and avif too."),
    "page": Field(_whole, WHOLE, "Of pictures with several pages or frames, this one alone, counted from 1."),
    "tolerant": Field(_switch, {"type": "boolean", "default": False}, "Take what can be decoded of a damaged picture."),
    "name": Field(
        _text,
        {"type": "string", "maxLength": LONGEST_NAME},
        "What the picture is called, in messages and in the name of the result; of a form, else the file's own name.",
    ),
}


@dataclass(frozen=True)
class Wanted:
    """What a client asks for.

    Attributes:
        model: a name.
        size: None: the scale of the model.
        format: None: the picture's own.
        options: how it is read and written.
        name: of the picture, as the client calls it; None where it does not say.
    """

    model: str = models.AUTO
    precision: str = "exact"
    size: Size | None = None
    format: str | None = None
    options: batch.Options = field(default_factory=batch.Options)
    name: str | None = None


@dataclass(frozen=True)
class Limits:
    """What a server takes at most of one client's picture.

    Attributes:
        bytes: of a body.
        pixels: of a picture, before it is decoded.
        output_pixels: of its result.
    """

    bytes: int
    pixels: int
    output_pixels: int


def wanted(fields: Iterable[tuple[str, str]], limits: Limits) -> Wanted:
    """
    Args:
        fields: (name, text) of query and form; one without text is as not given, but for a switch.

    Raises:
        UsageError: no such field, one that is given twice, or one that is not what it must be.
    """
    given: dict[str, Any] = {}
    for name, text in fields:
        if name not in FIELDS:
            raise UsageError(f"there is no field {name!r}; there are {', '.join(FIELDS)}")
        if name in given:
            raise UsageError("is given twice", argument=name)
        if text or FIELDS[name].read is _switch:
            given[name] = FIELDS[name].read(text, name)
    size = wanted_size(given.get("scale"), given.get("width"), given.get("height"), given.get("fit"))
    options = batch.Options(
        quality=given.get("quality"), lossless=given.get("lossless", False), page=given.get("page"),
        tolerant=given.get("tolerant", False), max_pixels=limits.pixels, max_output_pixels=limits.output_pixels,
    )  # fmt: skip
    format = formats.check_format(given["format"]) if "format" in given else None
    if options.lossless and format is not None:
        formats.check_lossless(format)
    return Wanted(
        given.get("model", models.AUTO), given.get("precision", PRECISIONS[0]), size, format, options, given.get("name")
    )


def as_field(name: str, value: str | None) -> str | None:
    """How a remedy spells an argument here: `format`, "'png'" → `format=png`; None where a request has no such field."""
    name = {"factor": "scale"}.get(name, name)
    if name not in FIELDS:
        return None
    return name if value is None else f"{name}={'true' if value == 'True' else value.strip(chr(39))}"


def base_name(given: str | None) -> str:
    """A picture's name without folders, in whichever way they are written, and without what no file name holds."""
    last = re.split(r"[/\\]", given or "")[-1]
    last = "".join(character for character in last if character.isprintable() and character not in '<>:"|?*').strip(
        " ."
    )
    stem, dot, ending = last.rpartition(".")
    return (f"{stem[: LONGEST_NAME - 20]}.{ending[:10]}" if dot and stem else last[:LONGEST_NAME]) or UNNAMED
