"""A decoded frame to a larger one: luma through the network, the rest by FFmpeg's bicubic scaling.

FFmpeg's `scale` makes the larger frame, so that times, side data and tags come along; then the engine fills its luma, from the
decoder's plane into the encoder's without a copy. Lines are longer than the picture (`line_size`), and the views know it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fsrcnn.arrays import Array
from fsrcnn.parallel import Control
from fsrcnn.planes import Range
from fsrcnn.upscaler import Upscaler
from fsrcnn.video.colour import FULL, RGB, SITINGS, UNSPECIFIED, Tags
from fsrcnn.video.formats import PixelFormat, described
from fsrcnn.video.library import Frame, graph_for
from fsrcnn.video.still import Still, luma

BICUBIC = "flags=bicubic+accurate_rnd+full_chroma_int:param0=0:param1=0.5"  # Keys with a = -0.5, as `imresize` has it
CONVERTED = (1, 4, 5, 6, 7, 9)  # the matrices, by their numbers in H.273, that `scale` takes


def grey(frame: Frame) -> Array:
    """(h, w) uint8: what a frame looks like, roughly: its luma where that lies in a plane."""
    format = described(frame.format.name)
    if not format.planar:
        return np.asarray(frame.to_ndarray(format="gray"))
    return np.asarray(luma(frame, "limited").arrays[0] >> (format.depth - 8), np.uint8)


class Enlargement:
    """Makes the frames of one film larger.

    Attributes:
        size: (height, width) of the results.
        format: of their pixels.
        tags: of their colours.
    """

    def __init__(
        self,
        upscaler: Upscaler,
        size: tuple[int, int],
        format: PixelFormat,
        tags: Tags,
        *,
        siting: str | None = None,
        threads: int | None = None,
    ) -> None:
        """
        Args:
            upscaler: its engine and threads serve all frames.
            size: (height, width) of the results.
            format: of their pixels; frames of another one are converted before they are upscaled.
            tags: of the results.
            siting: where chroma lies, of `SITINGS`, in the film and in the results; at the left where nothing is said.
            threads: of the network; the upscaler's where it is not given.
        """
        self.size, self.format = size, format
        self.tags, self.siting = tags, siting
        self._still = Still(upscaler, Control(threads or upscaler.threads))
        self._graphs: dict[tuple[Any, ...], Any] = {}

    def __call__(self, frame: Frame) -> Frame:
        """A frame of any size to one of `size`; its time and its duration stay."""
        lr = self.prepared(frame)
        sr = self._scaled(lr, self.size, self.format.name)
        if (lr.height, lr.width) == self.size:
            sr.make_writable()  # `scale` gave the frame itself
        sr.pict_type = 0  # the encoder settles that
        self._still.fill(lr, sr, self.range)
        self.tags.put(sr)
        return sr

    @property
    def range(self) -> Range:
        """Of their luma."""
        return "full" if self.tags.range == FULL else "limited"

    def canvas(self, frame: Frame, size: tuple[int, int]) -> Frame:
        """A frame of any (height, width) with time, side data and tags of the results; what it shows is to be replaced."""
        canvas = self._scaled(frame, size, self.format.name)
        canvas.pict_type = 0
        self.tags.put(canvas)
        return canvas

    def prepared(self, frame: Frame) -> Frame:
        """The frame in the format of the results, which the network reads; the frame itself where it has that."""
        name = frame.format.name
        if name == self.format.name or (name.startswith("yuvj") and name.replace("j", "", 1) == self.format.name):
            return frame
        return self._scaled(frame, (frame.height, frame.width), self.format.name)

    def _scaled(self, frame: Frame, size: tuple[int, int], format: str) -> Frame:
        matrix = frame.colorspace
        if matrix not in (RGB, *CONVERTED):  # FFmpeg refuses what it cannot convert, though nothing is to be converted
            frame.colorspace = UNSPECIFIED
        key = (frame.width, frame.height, frame.format.name, frame.color_range, frame.colorspace, size, format)
        if key not in self._graphs:
            self._graphs[key] = self._graph(frame, size, format)
        graph = self._graphs[key]
        time_base = frame.time_base
        graph.vpush(frame)
        frame.colorspace = matrix
        scaled = graph.vpull()
        scaled.pts, scaled.time_base, scaled.duration = frame.pts, time_base, frame.duration
        return scaled

    def _graph(self, frame: Frame, size: tuple[int, int], format: str) -> Any:
        source, target = described(frame.format.name), described(format)
        graph, buffer = graph_for(frame)
        arguments = [f"{size[1]}:{size[0]}", BICUBIC]
        if source.rgb:
            arguments += [f"out_color_matrix={self.tags.matrix}", f"out_range={self.range}"]
        else:
            arguments += [f"in_range={self.range}", f"out_range={self.range}"]
            if frame.colorspace not in (RGB, UNSPECIFIED):
                arguments += [f"in_color_matrix={frame.colorspace}", f"out_color_matrix={frame.colorspace}"]
        # Without these, chroma is taken for centred, and moves half an HR luma pixel.
        across, down = SITINGS[self.siting or "left"]
        for side, layout in (("in", source), ("out", target)):
            if layout.chroma in (420, 422):
                arguments.append(f"{side}_h_chr_pos={across}")
            if layout.chroma == 420:
                arguments.append(f"{side}_v_chr_pos={down}")
        graph.link_nodes(
            buffer, graph.add("scale", ":".join(arguments)), graph.add("format", format), graph.add("buffersink")
        )
        graph.configure()
        return graph
