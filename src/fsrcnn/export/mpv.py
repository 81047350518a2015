"""A network as a user shader of mpv and libplacebo: one text file, from luma to `scale` times larger luma.

The language is mpv's (its manual, "glsl-shaders"): a pass is a block of `//!` lines and a GLSL function `hook`, its result a texture
of four floats a texel, which players make of 16 bits. What a pass costs is mostly its texture fetches and its being a pass, so stages
are fused:

    features    feature extraction + shrinking: the d features of a pixel never leave its registers
    mapping     m times
    expansion   expanding + deconvolution, as one small convolution per output phase (`phases.py`)

In form `compute` each of these is one pass: a workgroup of 16×16 threads loads its part of the picture with the halo to shared memory
and writes all channels of a pixel, side by side in one texture. Form `fragment` is for players without compute shaders: a pass writes
four channels, so each kind of pass is there once per four of them, and a last one interleaves the phases.

Channels lie in groups of up to four, as even as they go: 5 are 3 + 2, whose matrices have no zeros in them. Borders are the paper's
zeros in every layer: what lies outside of the picture is never fetched.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fsrcnn import pretrained
from fsrcnn.architecture import Architecture, Stage
from fsrcnn.arrays import Float32
from fsrcnn.errors import UsageError
from fsrcnn.export import LARGEST_HALF, facts
from fsrcnn.fixed_point import sheet
from fsrcnn.layers import convolve, deconvolve, prelu
from fsrcnn.phases import phase_kernels
from fsrcnn.weights import Weights, check_float

FORMS = ("compute", "fragment")
SIDE = 16  # of a workgroup; 256 threads, which all but a few phones' chips can run
SHARED_BYTES = 16384  # what Vulkan guarantees of shared memory (maxComputeSharedMemorySize)
TEXEL = 16  # bytes of four floats in shared memory
BINDS = 16  # textures that a pass may bind: SHADER_MAX_BINDS of mpv and of libplacebo
LARGEST_TEXTURE = 16384  # a side, in Direct3D 11 and in the drivers of today's GPUs
WIDEST_PICTURE = 3840  # that a shader must be able to take
MOST_WEIGHTS = (
    100_000  # literals of a shader; lavapipe compiles the 12,464 of fsrcnn in 9 seconds of a processor's time
)
MOST_LEVELS = 1.3  # of 255, that rounding to 16-bit floats may cost; the bundled networks come to half a level
LUMA = "LUMA"
PARAMETER = "antiring"
INSIDE = "all(greaterThanEqual(q,ivec2(0)))&&all(lessThan(q,size))"  # whether the pixel q is of the picture


def shader(
    weights: Weights, *, name: str = "", form: str = "compute", antiring: int = 0, parameter: bool = False
) -> str:
    """The text of a user shader.

    Args:
        weights: of the network.
        name: what the model is called; that of its architecture where it is not given.
        form: `compute`, or `fragment` for players without compute shaders.
        antiring: where the anti-ringing stands, in percent: how far a pixel is brought back between the least and the largest of the
            3×3 LR pixels around it. 0 leaves the network's result as it is.
        parameter: declare it as a parameter that a player sets while it plays. Old versions of libplacebo (4.208) refuse such a
            file; in any file it is a `#define` that a person can change.

    Raises:
        UsageError: no such form, a strength outside 0 … 100, or a network that is too wide, has too large a kernel, or too large
            features, for textures and shared memory; or one that loses too much in textures; or no float weights.
    """
    check_float(weights)
    if form not in FORMS:
        raise UsageError(f"is {' or '.join(FORMS)}, not {form!r}", argument="form")
    if not 0 <= antiring <= 100:
        raise UsageError(f"is 0 to 100 percent, not {antiring}", argument="antiring")
    network = Network.of(weights)
    check(weights.architecture, form)
    check_rounding(weights)
    passes = list(compute_passes(network, antiring) if form == "compute" else fragment_passes(network, antiring))
    head = header(weights, name, form, len(passes), parameter)
    return "\n".join([head, *passes, *([declaration(antiring)] if parameter else [])])


def check(architecture: Architecture, form: str) -> None:
    """Refuse a network that a form cannot hold.

    Raises:
        UsageError: that is so.
    """
    a = architecture
    if a.weight_count > MOST_WEIGHTS:
        raise UsageError(
            f"a shader holds at most {MOST_WEIGHTS:,} weights, since drivers compile each of them as an instruction, and this "
            f"network has {a.weight_count:,}"
        )
    width = len(groups(a.s))
    if form == "fragment" and width > BINDS:
        raise UsageError(
            f"a pass of mpv and libplacebo binds at most {BINDS} textures of 4 channels, so in form fragment s is at most "
            f"{4 * BINDS}, not {a.s}"
        )
    if form == "compute":
        columns, _ = grid(width)
        if columns * WIDEST_PICTURE > LARGEST_TEXTURE:
            raise UsageError(
                f"a texture has at most {LARGEST_TEXTURE:,} texels a side, so for pictures {WIDEST_PICTURE:,} wide s is at most "
                f"{largest_width()}, not {a.s}"
            )
        kernel, reach = a.feature_kernel, a.deconvolution_reach
        need = max((SIDE + kernel - 1) ** 2 * TEXEL // 4, (SIDE + sum(reach)) ** 2 * TEXEL)
        if need > SHARED_BYTES:
            raise UsageError(
                f"a workgroup has {SHARED_BYTES:,} bytes of shared memory, and kernels of {kernel}×{kernel} and "
                f"{a.deconvolution_kernel}×{a.deconvolution_kernel} need {need:,}",
                "give {form='fragment'}",
            )


def check_rounding(weights: Weights) -> None:
    """Refuse a network that textures of 16-bit floats do not hold: whose features leave their range, or lose too much in them.

    Raises:
        UsageError: that is so.
    """
    largest, levels = rounding(weights)
    for stage, feature in largest.items():
        if not feature <= LARGEST_HALF:
            raise UsageError(
                f"textures hold 16-bit floats, up to {LARGEST_HALF:,.0f}, and features of this network ({stage}) go up to "
                f"{feature:.6g}"
            )
    if not levels <= MOST_LEVELS:
        raise UsageError(
            f"textures hold 16-bit floats, and rounding to them would change the luma of this network by {levels:.3g} levels of 255 "
            f"on noise; {MOST_LEVELS} are allowed"
        )


def rounding(weights: Weights) -> tuple[dict[str, float], float]:
    """What textures of 16-bit floats do to a network, on the noise of `fixed_point.sheet`, which drives it further than pictures do.

    Stored are the results of shrinking, of each mapping layer, and the luma. They are rounded to the nearest float here; a driver that
    drops what lies between (Mesa's lavapipe) comes to twice as much.

    Returns:
        Stage → its largest feature; the largest change of luma in levels of 255.
    """
    a, arrays = weights.architecture, weights.arrays
    last, largest = arrays["deconvolution.weight"], {}
    exact = half = sheet().astype(np.float32)[None]
    with np.errstate(over="ignore", invalid="ignore"):
        for stage in a.convolutions:
            weight, bias, slope = (arrays[f"{stage.name}.{part}"] for part in ("weight", "bias", "prelu"))
            exact, half = (prelu(convolve(x, weight, bias), slope) for x in (exact, half))
            if stage in a.convolutions[1:-1]:
                largest[stage.name] = float(np.abs(exact).max())
                half = half.astype(np.float16).astype(np.float32)
        exact, half = (
            np.clip(deconvolve(x, last, arrays["deconvolution.bias"], a.scale, a.crop), 0, 1) for x in (exact, half)
        )
        return largest, float(255 * np.abs(half.astype(np.float16) - exact).max())


def groups(channels: int) -> list[slice]:
    """Channels in groups of at most 4, as even as they go: 5 → 0:3, 3:5. A texture or a `vec` holds one of them."""
    count = -(-channels // 4)
    ends = [round(i * channels / count) for i in range(count + 1)]
    return [slice(start, end) for start, end in pairwise(ends)]


def grid(count: int) -> tuple[int, int]:
    """Columns and rows in which the pictures of `count` groups lie in one texture: 3 → (3, 1), 4 → (2, 2)."""
    rows = math.isqrt(count)
    return -(-count // rows), rows


def largest_width() -> int:
    """The largest s that form `compute` can take."""
    return max(s for s in range(1, 1025) if grid(len(groups(s)))[0] * WIDEST_PICTURE <= LARGEST_TEXTURE)


# ── GLSL ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def number(value: np.float32) -> str:
    """The shortest decimal that is this float32 when it is read: 0.1, -.25, 3e-7."""
    shortest = min(
        np.format_float_positional(value, unique=True, trim="0"),
        np.format_float_scientific(value, unique=True, trim="0", exp_digits=1),
        key=len,
    )
    sign, digits = ("-", shortest[1:]) if shortest.startswith("-") else ("", shortest)
    return sign + (digits.removeprefix("0") if digits.startswith("0.") else digits)


def vector(width: int) -> str:
    """GLSL's type of so many channels."""
    return "float" if width == 1 else f"vec{width}"


def literal(values: Float32) -> str:
    """(n,) → `vec3(1.,2.,3.)`; one number stays one."""
    numbers = ",".join(number(value) for value in values)
    return numbers if len(values) == 1 else f"vec{len(values)}({numbers})"


def product(block: Float32, factor: str) -> str:
    """What a (out, in) block of weights makes of a `vec` of `in` channels: GLSL's matrices are written column by column."""
    channels_out, channels_in = block.shape
    if channels_in == 1:
        return f"{literal(block[:, 0])}*{factor}"
    if channels_out == 1:
        return f"dot({literal(block[0])},{factor})"
    kind = f"mat{channels_in}" if channels_in == channels_out else f"mat{channels_in}x{channels_out}"
    return f"{kind}({','.join(number(value) for value in block.T.ravel())})*{factor}"


def rectified(value: str, slopes: Float32) -> str:
    """PReLU of an expression."""
    return f"max({value},0.)+{literal(slopes)}*min({value},0.)"


def texel(value: str, width: int) -> str:
    """A `vec` as the four channels of a texel."""
    return value if width == 4 else f"vec4({value}{',0.' * (4 - width)})"


SWIZZLES = ("", ".x", ".xy", ".xyz", "")


@dataclass(frozen=True)
class Layer:
    """A convolution's arrays, and its channels in groups.

    Attributes:
        weight: (out, in, k, k).
        bias, slopes: (out,).
        inputs, outputs: the groups of its channels.
    """

    weight: Float32
    bias: Float32
    slopes: Float32
    inputs: list[slice]
    outputs: list[slice]

    @property
    def taps(self) -> list[tuple[int, int]]:
        """(dy, dx) from the pixel to each of the pixels that the kernel covers."""
        reach = self.weight.shape[-1] // 2
        return [(dy, dx) for dy in range(-reach, reach + 1) for dx in range(-reach, reach + 1)]

    def block(self, output: slice, channel: slice, tap: int) -> Float32:
        """(out, in): the weights between two groups at a tap."""
        side = self.weight.shape[-1]
        return self.weight[output, channel, tap // side, tap % side]


@dataclass(frozen=True)
class Network:
    """A network as its passes see it.

    Attributes:
        architecture: of the network.
        extraction, shrinking, mapping, expanding: its convolutions.
        phases: (scale², d, taps, taps), `phases.phase_kernels`.
        phase_groups: of the scale² phases.
        bias: of the deconvolution.
    """

    architecture: Architecture
    extraction: Layer
    shrinking: Layer
    mapping: list[Layer]
    expanding: Layer
    phases: Float32
    phase_groups: list[slice]
    bias: np.float32

    @classmethod
    def of(cls, weights: Weights) -> Network:
        """That of these weights."""
        a, arrays = weights.architecture, weights.arrays

        def layer(stage: Stage) -> Layer:
            weight, bias, slopes = (arrays[f"{stage.name}.{part}"] for part in ("weight", "bias", "prelu"))
            return Layer(weight, bias, slopes, groups(stage.channels_in), groups(stage.channels_out))

        extraction, shrinking, *mapping, expanding = (layer(stage) for stage in a.convolutions)
        bias = arrays["deconvolution.bias"][0]
        return cls(a, extraction, shrinking, mapping, expanding, phase_kernels(weights), groups(a.scale**2), bias)

    @property
    def phase_taps(self) -> list[tuple[int, int]]:
        """(dy, dx) of the LR pixels that reach any phase of the pixel's own."""
        before, after = self.architecture.deconvolution_reach
        return [(dy, dx) for dy in range(-before, after + 1) for dx in range(-before, after + 1)]

    def phase_block(self, phases: slice, channel: slice, dy: int, dx: int) -> Float32:
        """(phases, channels): what a group of expanded channels of the LR pixel (dy, dx) away adds to a group of phases."""
        middle = self.phases.shape[-1] // 2
        return self.phases[phases, channel, middle + dy, middle + dx]


def multiplied(layer: Layer, output: slice, tap: int, factors: Sequence[str]) -> str:
    """The sum of a layer's products for a group of its outputs at a tap, over its groups of inputs."""
    return "+".join(
        product(layer.block(output, channel, tap), factor)
        for channel, factor in zip(layer.inputs, factors, strict=True)
    )


def width_of(group: slice) -> int:
    """Channels in a group."""
    return int(group.stop - group.start)


def features(network: Network, luma: Sequence[str], outputs: Iterable[int]) -> Iterator[str]:
    """Feature extraction and shrinking of one pixel, to `s0`, `s1` …: for the groups `outputs` of the shrunken channels.

    Args:
        network: whose.
        luma: the expression of each tap of the first kernel.
        outputs: indices of groups.
    """
    extraction, shrinking = network.extraction, network.shrinking
    wanted = list(outputs)
    for i in wanted:
        group = shrinking.outputs[i]
        yield f"{vector(width_of(group))} s{i}={literal(shrinking.bias[group])};"
    for j, group in enumerate(extraction.outputs):
        kind = vector(width_of(group))
        yield f"{kind} f{j}={literal(extraction.bias[group])};"
        for tap, value in enumerate(luma):
            yield f"f{j}+={product(extraction.block(group, slice(0, 1), tap), value)};"
        yield f"f{j}={rectified(f'f{j}', extraction.slopes[group])};"
        for i in wanted:
            yield f"s{i}+={product(shrinking.block(shrinking.outputs[i], group, 0), f'f{j}')};"
    for i in wanted:
        yield f"s{i}={rectified(f's{i}', shrinking.slopes[shrinking.outputs[i]])};"


def expand_function(network: Network, index: int) -> str:
    """`e3(s0, s1, …)`: a group of expanded channels of a pixel, from the groups of its mapped ones."""
    layer = network.expanding
    group = layer.outputs[index]
    kind = vector(width_of(group))
    arguments = ",".join(f"{vector(width_of(channel))} s{i}" for i, channel in enumerate(layer.inputs))
    names = [f"s{i}" for i in range(len(layer.inputs))]
    return (
        f"{kind} e{index}({arguments}){{{kind} e={literal(layer.bias[group])}+{multiplied(layer, group, 0, names)};"
        f"return {rectified('e', layer.slopes[group])};}}"
    )


def clamped(scale: int, results: Sequence[str], at: str) -> list[str]:
    """The anti-ringing: lines that bring results back between the extremes of the 3×3 LR pixels around, as far as the parameter says.

    And what keeps them in 0 … 1: libplacebo writes 10 bit into the lower bits of 16, and would let an overshoot exceed 1023.

    Args:
        scale: of the network.
        results: names of float or `vec` variables.
        at: the LR pixel's luma at `ivec2 q`, as an expression.
    """
    return [
        f"#if {PARAMETER}>0",
        "float lo=1e9,hi=-1e9;",
        "for(int y=-1;y<=1;y++)for(int x=-1;x<=1;x++){ivec2 q=clamp(p+ivec2(x,y),ivec2(0),size-1);"
        f"float l={at};lo=min(lo,l);hi=max(hi,l);}}",
        *(f"{result}=mix({result},clamp({result},lo,hi),float({PARAMETER})/100.);" for result in results),
        "#endif",
        *(f"{result}=clamp({result},0.,1.);" for result in results),
    ]


def default_parameter(antiring: int) -> list[str]:
    """Where the anti-ringing stands, unless a player has set the parameter."""
    return [f"#ifndef {PARAMETER}", f"#define {PARAMETER} {antiring}", "#endif"]


def declaration(antiring: int) -> str:
    """The parameter's block. It is the file's last, since `vo=gpu` of mpv does not know parameters, and reads no further."""
    lines = (
        f"//!PARAM {PARAMETER}",
        "//!DESC Anti-ringing in percent",
        "//!TYPE DEFINE",
        "//!MINIMUM 0",
        "//!MAXIMUM 100",
        str(antiring),
    )
    return "\n".join(lines) + "\n"


def block(
    description: str,
    binds: Sequence[str],
    save: str | None,
    factor: tuple[int, int],
    lines: Iterable[str],
    compute: tuple[int, int] | None,
) -> str:
    """One pass.

    Args:
        description: what it computes.
        binds: the textures that it reads.
        save: the texture that it writes; None for the hooked luma.
        factor: width and height of what it writes, in those of the luma.
        lines: GLSL.
        compute: the pixels of its output which a workgroup writes; None for a fragment shader.
    """
    head = [f"//!HOOK {LUMA}", f"//!DESC {description}", *(f"//!BIND {bind}" for bind in binds)]
    head += [f"//!SAVE {save}"] if save else []
    head += [f"//!WIDTH {LUMA}.w {factor[0]} *"] if factor[0] > 1 else []
    head += [f"//!HEIGHT {LUMA}.h {factor[1]} *"] if factor[1] > 1 else []
    head += [f"//!COMPONENTS {4 if save else 1}", f"//!WHEN OUTPUT.w {LUMA}.w > OUTPUT.h {LUMA}.h > *"]
    head += [f"//!COMPUTE {compute[0]} {compute[1]} {SIDE} {SIDE}"] if compute else []
    return "\n".join([*head, *lines, ""])


# ── compute ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def compute_passes(network: Network, antiring: int) -> Iterator[str]:
    """The passes of form `compute`: m + 2."""
    layout = grid(len(network.shrinking.outputs))
    yield block(
        "feature extraction, shrinking", [LUMA], "MAP0", layout, compute_features(network, layout), of_group(layout)
    )
    for i, layer in enumerate(network.mapping):
        lines = compute_mapping(layer, layout, f"MAP{i % 2}")
        yield block(f"mapping {i + 1}", [f"MAP{i % 2}"], f"MAP{(i + 1) % 2}", layout, lines, of_group(layout))
    scale, last = network.architecture.scale, f"MAP{len(network.mapping) % 2}"
    lines = compute_expansion(network, layout, last, antiring)
    yield block("expanding, deconvolution", [LUMA, last], None, (scale, scale), lines, of_group((scale, scale)))


def of_group(layout: tuple[int, int]) -> tuple[int, int]:
    """The part of a texture that one workgroup writes."""
    return SIDE * layout[0], SIDE * layout[1]


def opening(layout: tuple[int, int]) -> list[str]:
    """What each compute pass begins with: the size of the picture, the workgroup's first pixel, the thread's."""
    return [
        "void hook(){",
        f"ivec2 size=imageSize(out_image)/ivec2({layout[0]},{layout[1]});",
        f"ivec2 first=ivec2(gl_WorkGroupID.xy)*{SIDE};",
        "ivec2 p=first+ivec2(gl_LocalInvocationID.xy);",
        "int thread=int(gl_LocalInvocationIndex);",
    ]


def tile_loop(side: int, before: int, lines: Sequence[str]) -> list[str]:
    """A loop of the workgroup over the pixels `q` of its part of the picture with the halo; `i` is their place in shared memory."""
    return [
        f"for(int i=thread;i<{side * side};i+={SIDE * SIDE}){{",
        f"ivec2 q=first+ivec2(i%{side},i/{side})-{before};",
        f"bool inside={INSIDE};",
        *lines,
        "}",
    ]


def fetch(texture: str, layout: tuple[int, int], index: int) -> str:
    """The texel of group `index` of the pixel `q`."""
    column, row = index % layout[0], index // layout[0]
    place = "q" if (column, row) == (0, 0) else f"q+size*ivec2({column},{row})"
    return f"texelFetch({texture}_raw,{place},0)"


def place_of(dy: int, dx: int, side: int) -> str:
    """A pixel's neighbour in shared memory."""
    step = dy * side + dx
    return f"at{step:+d}" if step else "at"


def luma_at(factor: tuple[int, int]) -> str:
    """The luma of the LR pixel `q`, in a compute pass that writes `factor` times as many: `LUMA_map` goes by the output's pixels."""
    width, height = factor
    return f"{LUMA}_tex({LUMA}_map((vec2(q)+.5)*vec2({width},{height})-.5)).x"


def compute_features(network: Network, layout: tuple[int, int]) -> Iterator[str]:
    """Feature extraction and shrinking."""
    reach = network.architecture.feature_kernel // 2
    side = SIDE + 2 * reach
    yield f"shared float tile[{side * side}];"
    yield from opening(layout)
    yield from tile_loop(side, reach, [f"tile[i]=inside?{luma_at(layout)}:0.;"])
    yield from (
        "barrier();",
        f"int at=(int(gl_LocalInvocationID.y)+{reach})*{side}+int(gl_LocalInvocationID.x)+{reach};",
    )
    taps = network.extraction.taps
    for tap, (dy, dx) in enumerate(taps):
        yield f"float l{tap}=tile[{place_of(dy, dx, side)}];"
    yield from features(network, [f"l{tap}" for tap in range(len(taps))], range(len(network.shrinking.outputs)))
    yield from stores(network.shrinking.outputs, layout, "s")
    yield "}"


def stores(outputs: Sequence[slice], layout: tuple[int, int], name: str) -> Iterator[str]:
    """Write the pixel's groups, where there is such a pixel."""
    yield "if(any(greaterThanEqual(p,size)))return;"
    for i, group in enumerate(outputs):
        place = f"p+size*ivec2({i % layout[0]},{i // layout[0]})"
        yield f"imageStore(out_image,{place},{texel(f'{name}{i}', width_of(group))});"


def compute_mapping(layer: Layer, layout: tuple[int, int], source: str) -> Iterator[str]:
    """A mapping layer; its input lies in shared memory in rounds of as many groups as have room."""
    reach = layer.weight.shape[-1] // 2
    side = SIDE + 2 * reach
    together = max(1, SHARED_BYTES // TEXEL // side**2)
    rounds = [range(len(layer.inputs))[start : start + together] for start in range(0, len(layer.inputs), together)]
    for i in range(len(rounds[0])):
        yield f"shared vec4 tile{i}[{side * side}];"
    yield from opening(layout)
    yield f"int at=(int(gl_LocalInvocationID.y)+{reach})*{side}+int(gl_LocalInvocationID.x)+{reach};"
    for i, group in enumerate(layer.outputs):
        yield f"{vector(width_of(group))} a{i}={literal(layer.bias[group])};"
    yield "vec4 t;"
    for members in rounds:
        if members[0]:
            yield "barrier();"
        loads = [f"tile{j % together}[i]=inside?{fetch(source, layout, j)}:vec4(0);" for j in members]
        yield from tile_loop(side, reach, loads)
        yield "barrier();"
        for tap, (dy, dx) in enumerate(layer.taps):
            for j in members:
                channel = layer.inputs[j]
                yield f"t=tile{j % together}[{place_of(dy, dx, side)}];"
                for i, group in enumerate(layer.outputs):
                    yield f"a{i}+={product(layer.block(group, channel, tap), 't' + (SWIZZLES[width_of(channel)]))};"
    for i, group in enumerate(layer.outputs):
        yield f"a{i}={rectified(f'a{i}', layer.slopes[group])};"
    yield from stores(layer.outputs, layout, "a")
    yield "}"


def compute_expansion(network: Network, layout: tuple[int, int], source: str, antiring: int) -> Iterator[str]:
    """Expanding and deconvolution: rounds of groups of the expanded channels, which lie in shared memory only."""
    a, layer = network.architecture, network.expanding
    before, after = a.deconvolution_reach
    side = SIDE + before + after
    held = -(-(side * side) // (SIDE * SIDE))  # pixels of the tile that a thread expands
    together = min(len(layer.outputs), SHARED_BYTES // TEXEL // side**2)
    yield from default_parameter(antiring)
    for i in range(together):
        yield f"shared vec4 tile{i}[{side * side}];"
    for i in range(len(layer.outputs)):
        yield expand_function(network, i)
    yield from opening((a.scale, a.scale))
    yield f"int at=(int(gl_LocalInvocationID.y)+{before})*{side}+int(gl_LocalInvocationID.x)+{before};"
    yield "ivec2 q;"
    for k in range(held):  # the mapped channels of its pixels, which stay in registers over all rounds
        yield f"int i{k}=thread+{k * SIDE * SIDE};"
        yield f"q=first+ivec2(i{k}%{side},i{k}/{side})-{before};"
        yield f"bool inside{k}={INSIDE};"
        if (k + 1) * SIDE * SIDE > side * side:
            yield f"inside{k}=inside{k}&&i{k}<{side * side};"
        for j, channel in enumerate(layer.inputs):
            kind, swizzle = vector(width_of(channel)), SWIZZLES[width_of(channel)]
            yield f"{kind} s{k}_{j}={kind}(0);"
            yield f"if(inside{k})s{k}_{j}={fetch(source, layout, j)}{swizzle};"
    for i, group in enumerate(network.phase_groups):
        width = width_of(group)
        yield f"{vector(width)} o{i}={literal(np.full(width, network.bias))};"
    yield "vec4 t;"
    for start in range(0, len(layer.outputs), together):
        members = range(len(layer.outputs))[start : start + together]
        if start:
            yield "barrier();"
        for k in range(held):
            arguments = ",".join(f"s{k}_{j}" for j in range(len(layer.inputs)))
            if (k + 1) * SIDE * SIDE > side * side:
                yield f"if(i{k}<{side * side}){{"
            for j in members:
                expanded = texel(f"e{j}({arguments})", width_of(layer.outputs[j]))
                yield f"tile{j - start}[i{k}]=inside{k}?{expanded}:vec4(0);"
            if (k + 1) * SIDE * SIDE > side * side:
                yield "}"
        yield "barrier();"
        for dy, dx in network.phase_taps:
            for j in members:
                channel = layer.outputs[j]
                yield f"t=tile{j - start}[{place_of(dy, dx, side)}];"
                yield from added_phases(network, channel, dy, dx, "t" + SWIZZLES[width_of(channel)])
    yield "if(any(greaterThanEqual(p,size)))return;"
    yield from clamped(a.scale, [f"o{i}" for i in range(len(network.phase_groups))], luma_at((a.scale, a.scale)))
    for i, group in enumerate(network.phase_groups):
        for phase in range(group.start, group.stop):
            value = f"o{i}" if width_of(group) == 1 else f"o{i}[{phase - group.start}]"
            yield (
                f"imageStore(out_image,p*{a.scale}+ivec2({phase % a.scale},{phase // a.scale}),vec4({value},0.,0.,1.));"
            )
    yield "}"


def added_phases(network: Network, channel: slice, dy: int, dx: int, factor: str) -> Iterator[str]:
    """What an expanded group adds to `o0`, `o1` …, but for what is all zeros: not every LR pixel reaches every phase."""
    for i, group in enumerate(network.phase_groups):
        weights = network.phase_block(group, channel, dy, dx)
        if weights.any():
            yield f"o{i}+={product(weights, factor)};"


# ── fragment ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def fragment_passes(network: Network, antiring: int) -> Iterator[str]:
    """The passes of form `fragment`: of each layer one for each group of its channels."""
    count, scale = len(network.shrinking.outputs), network.architecture.scale
    for i in range(count):
        lines = fragment_features(network, i)
        yield block(f"feature extraction, shrinking ({i + 1} of {count})", [LUMA], f"MAP0_{i}", (1, 1), lines, None)
    for place, layer in enumerate(network.mapping):
        source, target = f"MAP{place % 2}_", f"MAP{(place + 1) % 2}_"
        for i in range(count):
            lines = fragment_mapping(layer, i, source)
            description = f"mapping {place + 1} ({i + 1} of {count})"
            yield block(description, [f"{source}{j}" for j in range(count)], f"{target}{i}", (1, 1), lines, None)
    source = f"MAP{len(network.mapping) % 2}_"
    parts = len(network.phase_groups)
    for i in range(parts):
        lines = fragment_expansion(network, i, source)
        description = f"expanding, deconvolution ({i + 1} of {parts})"
        yield block(description, [f"{source}{j}" for j in range(count)], f"PHASES{i}", (1, 1), lines, None)
    binds = [LUMA, *(f"PHASES{i}" for i in range(parts))]
    yield block("phases to pixels", binds, None, (scale, scale), fragment_interleaving(network, antiring), None)


def fragment_features(network: Network, index: int) -> Iterator[str]:
    """Feature extraction and shrinking, to one group."""
    yield from ("vec4 hook(){", f"ivec2 size=ivec2({LUMA}_size),q;", f"ivec2 p=ivec2({LUMA}_pos*vec2(size));")
    taps = network.extraction.taps
    for tap, (dy, dx) in enumerate(taps):
        yield f"q=p+ivec2({dx},{dy});"
        yield f"float l{tap}={INSIDE}?{LUMA}_texOff(vec2({dx},{dy})).x:0.;"
    yield from features(network, [f"l{tap}" for tap in range(len(taps))], [index])
    yield f"return {texel(f's{index}', width_of(network.shrinking.outputs[index]))};}}"


def fragment_fetch(inputs: Sequence[slice], source: str) -> Iterator[str]:
    """Fetch the pixel `q` of all groups to `t0`, `t1` …; zeros outside of the picture."""
    yield f"inside={INSIDE};"
    for j, channel in enumerate(inputs):
        swizzle, kind = SWIZZLES[width_of(channel)], vector(width_of(channel))
        yield f"t{j}=inside?texelFetch({source}{j}_raw,q,0){swizzle}:{kind}(0);"


def fragment_opening(inputs: Sequence[slice], source: str) -> Iterator[str]:
    """The size of the picture, the fragment's pixel, variables for `fragment_fetch`."""
    yield "vec4 hook(){"
    yield f"ivec2 size=textureSize({source}0_raw,0);"
    yield f"ivec2 p=ivec2({source}0_pos*vec2(size)),q;bool inside;"
    for j, channel in enumerate(inputs):
        yield f"{vector(width_of(channel))} t{j};"


def fragment_mapping(layer: Layer, index: int, source: str) -> Iterator[str]:
    """A mapping layer, to one group."""
    group = layer.outputs[index]
    yield from fragment_opening(layer.inputs, source)
    yield f"{vector(width_of(group))} a={literal(layer.bias[group])};"
    for tap, (dy, dx) in enumerate(layer.taps):
        yield f"q=p+ivec2({dx},{dy});"
        yield from fragment_fetch(layer.inputs, source)
        yield f"a+={multiplied(layer, group, tap, [f't{j}' for j in range(len(layer.inputs))])};"
    yield f"a={rectified('a', layer.slopes[group])};"
    yield f"return {texel('a', width_of(group))};}}"


def fragment_expansion(network: Network, index: int, source: str) -> Iterator[str]:
    """Expanding and deconvolution, to one group of the phases."""
    layer, group = network.expanding, network.phase_groups[index]
    for i in range(len(layer.outputs)):
        yield expand_function(network, i)
    yield from fragment_opening(layer.inputs, source)
    yield f"{vector(width_of(group))} o={literal(np.full(width_of(group), network.bias))};"
    arguments = ",".join(f"t{j}" for j in range(len(layer.inputs)))
    for dy, dx in network.phase_taps:
        blocks = [network.phase_block(group, channel, dy, dx) for channel in layer.outputs]
        if not any(weights.any() for weights in blocks):
            continue
        yield f"q=p+ivec2({dx},{dy});"
        yield from fragment_fetch(layer.inputs, source)
        total = "+".join(product(weights, f"e{i}({arguments})") for i, weights in enumerate(blocks))
        yield f"if(inside)o+={total};"
    yield f"return {texel('o', width_of(group))};}}"


def fragment_interleaving(network: Network, antiring: int) -> Iterator[str]:
    """The phases, each to its pixels."""
    scale = network.architecture.scale
    yield from default_parameter(antiring)
    yield from ("vec4 hook(){", "ivec2 size=textureSize(PHASES0_raw,0);")
    yield f"ivec2 hr=ivec2(PHASES0_pos*vec2(size)*{scale}.),p=hr/{scale};"
    yield f"int phase=(hr.y%{scale})*{scale}+hr.x%{scale};"
    last = len(network.phase_groups) - 1
    choices = [
        (f"phase<{group.stop}?" if i < last else "") + f"texelFetch(PHASES{i}_raw,p,0)[phase-{group.start}]"
        for i, group in enumerate(network.phase_groups)
    ]
    yield f"float o={':'.join(choices)};"
    at = f"{LUMA}_tex({LUMA}_pos+{LUMA}_pt*(vec2(q)-(vec2(hr)+.5)/{scale}.+.5)).x"
    yield from clamped(scale, ["o"], at)
    yield "return vec4(o,0.,0.,1.);}"


# ── the file's head ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def header(weights: Weights, name: str, form: str, passes: int, parameter: bool) -> str:
    """What the file says of itself, to people."""
    said = facts(weights, name)
    scale = said["scale"]
    if parameter:
        strength = f"glsl-shader-opts={PARAMETER}=50 in mpv, 0 to 100 percent"
    else:
        strength = f"the number behind `#define {PARAMETER}` below, 0 to 100 percent"
    lines = [
        f"{said['model']}: FSRCNN (Dong, Loy, Tang 2016), luma ×{scale}, as a user shader of mpv and libplacebo",
        "",
        *(f"{key}: {value}" for key, value in said.items()),
        f"passes: {passes} ({form})",
        f"licence: {'MIT, as fsrcnn itself' if bundled(weights, name) else 'that of the weights'}",
        "",
        "mpv (vo=gpu-next or vo=gpu), in mpv.conf or as an option:  glsl-shaders=THIS.glsl",
        "ffmpeg, from file to file, on Vulkan:",
        f"  ffmpeg -i FILM -vf libplacebo=w={scale}*iw:h={scale}*ih:custom_shader_path=THIS.glsl -c:v libx264 -crf 16 LARGER.mkv",
        "  (older: -init_hw_device vulkan=vk -filter_hw_device vk before -i, in -vf format=yuv420p,hwupload, before libplacebo",
        "  and :format=yuv420p,hwdownload,format=yuv420p behind the shader)",
        "",
        "Runs where the output is wider and higher than the film, on luma; chroma is scaled by the player.",
        f"Anti-ringing (off at 0): {strength}.",
    ]
    if form == "compute":
        lines.append(
            "Needs compute shaders (Vulkan, Direct3D 11, OpenGL 4.3); form `fragment` of `fsrcnn export mpv` does without."
        )
    if parameter:
        lines.append(
            "The parameter needs a recent libplacebo (not 4.208); vo=gpu of mpv names its line as unknown and goes on."
        )
    return "\n".join(f"// {line}".rstrip() for line in lines) + "\n"


def bundled(weights: Weights, name: str) -> bool:
    """Whether these are the weights of that name which come with fsrcnn."""
    return name in pretrained.table() and pretrained.load(name).to_bytes() == weights.to_bytes()
