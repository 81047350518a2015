"""What a user shader of mpv costs, read off its text: passes, sizes of textures, texture fetches. For shaders of any origin.

A shader is blocks of `//!` lines with GLSL behind them (mpv's manual, "glsl-shaders"). Sizes are counted in those of the plane that is
hooked, so a count is per pixel of the film's luma: 75 fetches in a pass that writes a picture twice as wide and as high are 300.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from fsrcnn.errors import FsrcnnError

FETCH = re.compile(r"\b(?:\w+_(?:tex|texOff|gather)|texelFetch|texture|textureLod|textureGather)\s*\(")
LOOP = re.compile(r"for\s*\(\s*int (\w+)\s*=\s*thread\s*;\s*\1\s*<\s*(\d+)\s*;\s*\1\s*\+=\s*(\d+)\s*\)\s*\{")
"""A workgroup's loop over places in shared memory, of which each thread takes its share."""
ROUNDS = r"for\s*\(\s*int (\w+)\s*=\s*(-?\d+)\s*;\s*\w+\s*<=\s*(-?\d+)\s*;\s*\w+\+\+\s*\)\s*"
COUNTED = re.compile(rf"(?:{ROUNDS})+\{{")
"""Loops of known rounds, one in the other."""
HOOKED = ("HOOKED", "LUMA", "NATIVE", "MAIN", "RGB")


@dataclass
class Pass:
    """One pass of a shader.

    Attributes:
        hook: the plane at which it runs.
        binds: the textures that it reads.
        save: the texture that it writes; the hooked plane where it names nmade.
        width, height: of what it writes, in those of the hooked plane when the shader begins.
        compute: width and height of what a workgroup writes, its threads in both directions; None for a fragment shader.
        when: the condition on which it runs, as written.
        body: its GLSL.
    """

    hook: str = ""
    binds: list[str] = field(default_factory=list)
    save: str = ""
    width: float = 1
    height: float = 1
    compute: tuple[int, int, int, int] | None = None
    when: str = ""
    body: str = ""

    @property
    def fetches(self) -> float:
        """Texture fetches per pixel of the hooked plane.

        Those behind a condition count as made, so it is an upper bound; a loop over a tile of shared memory counts its pixels.

        Raises:
            FsrcnnError: GLSL of which that cannot be read off: other loops, macros or functions with fetches in them.
        """
        return _fetches(self)


@dataclass(frozen=True)
class Cost:
    """What a shader costs.

    Attributes:
        passes: how many.
        fetches: texture fetches per pixel of the film's luma, at most.
        texels: written per pixel of the film's luma.
    """

    passes: int
    fetches: float
    texels: float

    def fetches_per_frame(self, width: int, height: int) -> int:
        """Of a film of that size in pixels."""
        return round(self.fetches * width * height)


def cost(text: str) -> Cost:
    """Count a shader.

    Raises:
        FsrcnnError: it is no user shader, or one that cannot be counted.
    """
    found = passes(text)
    return Cost(len(found), sum(made.fetches for made in found), sum(made.width * made.height for made in found))


def passes(text: str) -> list[Pass]:
    """The passes of a shader, in their order.

    Raises:
        FsrcnnError: none, or sizes that are not those of textures before.
    """
    sizes = dict.fromkeys(HOOKED, (1.0, 1.0))
    found = []
    for lines, body in blocks(text):
        if lines[0].startswith(("PARAM", "TEXTURE", "BUFFER")):
            continue
        made = Pass(body=body)
        for line in lines:
            command, _, value = line.partition(" ")
            value = value.strip()
            if command == "HOOK":
                made.hook = made.hook or value
            elif command == "BIND":
                made.binds.append(value)
            elif command == "SAVE":
                made.save = value
            elif command == "WHEN":
                made.when = value
            elif command == "COMPUTE":
                made.compute = workgroup(value)
        made.save = made.save or made.hook
        made.width, made.height = sizes.get(made.hook, (1.0, 1.0))
        for line in lines:
            command, _, value = line.partition(" ")
            if command == "WIDTH":
                made.width = evaluated(value, sizes)
            elif command == "HEIGHT":
                made.height = evaluated(value, sizes)
        sizes[made.save] = made.width, made.height
        if made.save == made.hook:
            sizes["HOOKED"] = sizes[made.save]
        found.append(made)
    if not found:
        raise FsrcnnError("this is no user shader of mpv: it has no pass, which begins with //!HOOK")
    return found


def blocks(text: str) -> Iterator[tuple[list[str], str]]:
    """Of each block its `//!` lines, without that mark, and what stands behind them."""
    lines: list[str] = []
    body: list[str] = []
    for line in text.splitlines():
        if line.startswith("//!"):
            if body and lines:
                yield lines, "\n".join(body)
                lines = []
            body = []
            lines.append(line[3:].strip())
        elif lines:
            body.append(line)
    if lines:
        yield lines, "\n".join(body)


def workgroup(value: str) -> tuple[int, int, int, int]:
    """`32 32 16 16`, or `32 32`: a thread for each texel."""
    numbers = [int(number) for number in value.split()]
    width, height, columns, rows = numbers if len(numbers) == 4 else numbers * 2
    return width, height, columns, rows


def evaluated(expression: str, sizes: dict[str, tuple[float, float]]) -> float:
    """A size in reverse Polish notation, `LUMA.w 2 *`, in that of the hooked plane."""
    stack: list[float] = []
    operations = {"*": lambda a, b: a * b, "/": lambda a, b: a / b, "+": lambda a, b: a + b, "-": lambda a, b: a - b}
    try:
        for word in expression.split():
            if word in operations:
                second, first = stack.pop(), stack.pop()
                stack.append(operations[word](first, second))
            elif "." in word and not word[0].isdigit():
                name, _, side = word.rpartition(".")
                stack.append(sizes[name]["wh".index(side[0])])
            else:
                stack.append(float(word))
        (size,) = stack
    except (IndexError, KeyError, ValueError, ZeroDivisionError) as error:
        raise FsrcnnError(f"the size {expression!r} of a shader's pass is not one of textures before it") from error
    return size


def _fetches(made: Pass) -> float:
    """`Pass.fetches`."""
    code = active(made.body)
    start = re.search(r"\bhook\s*\(", code)
    if start is None or FETCH.search(code[: start.start()]):
        raise FsrcnnError("a pass whose fetches stand in functions or macros beside hook() is not counted")
    code = code[start.end() :]
    area = made.width * made.height
    per_thread = (
        area if made.compute is None else area * made.compute[2] * made.compute[3] / (made.compute[0] * made.compute[1])
    )
    per_group = None if made.compute is None else area / (made.compute[0] * made.compute[1])
    total = 0.0
    while loop := LOOP.search(code) or COUNTED.search(code):
        end = closing(code, loop.end())
        inside = len(FETCH.findall(code[loop.end() : end]))
        if loop.re is COUNTED:
            rounds = [int(last) - int(first) + 1 for _, first, last in re.findall(ROUNDS, loop[0])]
            total += inside * math.prod(rounds) * per_thread
        elif per_group is None:
            raise FsrcnnError("a workgroup's loop in a pass that is no compute shader")
        else:
            total += inside * int(loop[2]) * per_group
        code = code[: loop.start()] + code[end:]
    if FETCH.search(code) and re.search(r"\b(?:for|while)\s*\(", code):
        raise FsrcnnError("a pass with fetches and loops whose rounds are not known is not counted")
    return total + len(FETCH.findall(code)) * per_thread


def active(body: str) -> str:
    """The lines of GLSL that a compiler sees: without comments and without what `#if NAME>0` leaves out.

    Raises:
        FsrcnnError: other conditions, or macros that fetch.
    """
    defined: dict[str, int] = {}
    shown = [True]
    lines = []
    for line in re.sub(r"//[^\n]*|/\*.*?\*/", "", body, flags=re.DOTALL).splitlines():
        words = line.split()
        if not words or not words[0].startswith("#"):
            if all(shown):
                lines.append(line)
        elif words[0] == "#ifndef":
            shown.append(words[1] not in defined)
        elif words[0] == "#define" and len(words) == 3 and words[2].isdigit():
            if all(shown):
                defined[words[1]] = int(words[2])
        elif condition := re.fullmatch(r"#if (\w+)>0", line.strip()):
            shown.append(defined.get(condition[1], 0) > 0)
        elif words[0] == "#endif" and len(shown) > 1:
            shown.pop()
        else:
            raise FsrcnnError(f"a shader with {' '.join(words[:2])} is not counted")
    return "\n".join(lines)


def closing(code: str, start: int) -> int:
    """Behind the brace that closes the block which was opened before `start`."""
    depth = 1
    for place in range(start, len(code)):
        depth += (code[place] == "{") - (code[place] == "}")
        if depth == 0:
            return place + 1
    raise FsrcnnError("a pass of the shader has a brace that is not closed")
