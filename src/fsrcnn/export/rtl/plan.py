"""How many multipliers each layer of a chip core gets: the fewest with which it keeps up.

A layer has `outputs` sums of `taps` products for each LR pixel, and `cycles` cycles for them. With `parallel` outputs by `lanes` taps
in a cycle, it needs ceil(taps / lanes) · ceil(outputs / parallel) cycles. All ways to cut the taps are tried, and the multipliers
that its sums are requantised with count, too. FSRCNN's mapping layers have 108 taps and 12 outputs; in 43 cycles these are 16 lanes
by 2 outputs, 7 · 6 = 42 cycles, 32 multipliers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from fsrcnn.architecture import Architecture
from fsrcnn.errors import UsageError

CYCLES = range(1, 65)
"""Cycles for each LR pixel that may be asked for."""
PAUSE = 2  # of fsrcnn_overlap, behind a row
REGISTERS = 12  # of a layer, beside those that its plan says: operands, products, the requantising's four, two places in the buffer, …


class Layer(NamedTuple):
    """The shared multipliers of one stage.

    Attributes:
        name: of the stage.
        taps, outputs: of its sums, for each LR pixel; the deconvolution's are the k² numbers of a pixel's stamp.
        lanes, tap_steps: products of one sum in a cycle, and how many cycles finish it.
        parallel, output_steps: sums at a time, and how many times that makes all.
        units: multipliers of the requantising.
        steps: cycles in which they take what comes at once: `parallel` sums, or the deconvolution's scale² phases.
    """

    name: str
    taps: int
    outputs: int
    lanes: int
    tap_steps: int
    parallel: int
    output_steps: int
    units: int
    steps: int

    @property
    def multipliers(self) -> int:
        """Those of the products and those of the requantising."""
        return self.lanes * self.parallel + self.units

    @property
    def cycles(self) -> int:
        """For each LR pixel."""
        return self.tap_steps * self.output_steps


@dataclass(frozen=True)
class Plan:
    """The geometry of a core.

    Attributes:
        architecture: of the network.
        width: LR pixels in a row, at most.
        depth: bits of luma that comes in and goes out: 8 or 10.
        asked: cycles for each LR pixel that were asked for.
        layers: in the order of the stages.
    """

    architecture: Architecture
    width: int
    depth: int
    asked: int
    layers: tuple[Layer, ...]

    @property
    def multipliers(self) -> int:
        """Of all layers."""
        return sum(layer.multipliers for layer in self.layers)

    @property
    def pixels(self) -> int:
        """HR pixels in a beat of the output: as many as the output needs to keep up: 1, scale, or scale²."""
        scale = self.architecture.scale
        return next(pixels for pixels in (1, scale, scale**2) if scale**2 <= self.asked * pixels)

    @property
    def cycles(self) -> int:
        """For each LR pixel: those of the slowest layer, or of the output."""
        slowest = max(max(layer.cycles for layer in self.layers), self.layers[-1].steps)
        return max(slowest, -(-(self.architecture.scale**2) // self.pixels))

    @property
    def front(self) -> int:
        """Rows of zeros before the deconvolution's kernel, with which the crop is whole LR pixels."""
        return -self.architecture.crop % self.architecture.scale

    @property
    def beyond(self) -> int:
        """LR rows that the crop cuts."""
        return (self.architecture.crop + self.front) // self.architecture.scale

    @property
    def tiles(self) -> int:
        """LR rows that a stamp lies over."""
        return -(-(self.architecture.deconvolution_kernel + self.front) // self.architecture.scale)

    @property
    def rows_of_latency(self) -> int:
        """Rows that must have come in before the first one goes out: those below a pixel that its luma depends on, and its own."""
        return sum(stage.kernel // 2 for stage in self.architecture.convolutions) + self.beyond + 1

    @property
    def gap(self) -> int:
        """Cycles behind each row of the layer that needs most: for its columns of zeros, and for the pause of `fsrcnn_overlap`."""
        windows = [stage.kernel // 2 for stage in self.architecture.convolutions]
        return max(*windows, self.beyond + PAUSE)

    @property
    def pipeline(self) -> int:
        """Cycles that an LR pixel is on its way through the registers of all layers, at most."""
        inside = [layer.cycles + layer.steps + (layer.lanes - 1).bit_length() + REGISTERS for layer in self.layers]
        return sum(inside) + REGISTERS

    def frame_cycles(self, width: int, height: int) -> int:
        """How many cycles a frame takes at most, where frames follow one another: each layer shifts rows of zeros in below its frame.

        Args:
            width, height: in LR pixels.
        """
        return (self.cycles * width + self.gap) * (height + self.rows_of_latency - 1) + self.pipeline

    def latency(self, width: int) -> int:
        """How many cycles lie at most between a frame's first LR pixel and its first HR pixel.

        Args:
            width: in LR pixels.
        """
        return (self.cycles * width + self.gap) * self.rows_of_latency + self.pipeline


def plan(architecture: Architecture, width: int, cycles: int, depth: int = 8) -> Plan:
    """The geometry with the fewest multipliers.

    Args:
        architecture: of the network.
        width: LR pixels in a row, at most: 1 to 16,384.
        cycles: for each LR pixel, 1 to 64: fewer are faster, and take more multipliers.
        depth: 8 or 10 bits of luma.

    Raises:
        UsageError: a number outside of what is said above.
    """
    if not isinstance(width, int) or not 1 <= width <= LARGEST_WIDTH:
        raise UsageError(f"is 1 to {LARGEST_WIDTH} LR pixels, not {width}", argument="width")
    if not isinstance(cycles, int) or cycles not in CYCLES:
        raise UsageError(f"is {CYCLES[0]} to {CYCLES[-1]} for each LR pixel, not {cycles}", argument="cycles")
    if not isinstance(depth, int) or depth not in DEPTHS:
        raise UsageError(f"is {' or '.join(map(str, DEPTHS))} bits, not {depth}", argument="depth")
    layers = []
    for stage in architecture.stages:
        if stage.kind == "convolution":
            best = _cheapest(stage.name, stage.kernel**2 * stage.channels_in, stage.channels_out, cycles)
        else:
            products = _cheapest(stage.name, stage.channels_in, stage.kernel**2, cycles)
            units = -(-(architecture.scale**2) // cycles)
            best = products._replace(units=units, steps=-(-(architecture.scale**2) // units))
        layers.append(best)
    return Plan(architecture, width, depth, cycles, tuple(layers))


LARGEST_WIDTH = 16_384
DEPTHS = (8, 10)


def _cheapest(name: str, taps: int, outputs: int, cycles: int) -> Layer:
    """Of all ways that need no more than `cycles`: the fewest multipliers; of those the one whose taps are cut least."""
    ways = []
    for wanted in range(1, min(cycles, taps) + 1):
        lanes = -(-taps // wanted)
        tap_steps = -(-taps // lanes)
        parallel = -(-outputs // (cycles // tap_steps))
        output_steps = -(-outputs // parallel)
        units = -(-parallel // tap_steps)
        ways.append(Layer(name, taps, outputs, lanes, tap_steps, parallel, output_steps, units, tap_steps))
    return min(ways, key=lambda way: (way.multipliers, way.tap_steps))
