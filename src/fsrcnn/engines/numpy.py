"""The network in NumPy: the definition that every other engine is checked against.

Read `NumpyEngine.run` from top to bottom and you have read FSRCNN (Dong, Loy, Tang 2016, §3.2).
Tiles with their halo give what the whole picture gives, but for the last bits: the sums are a BLAS's, and in which order it takes them
depends on its processor and on where in a matrix a pixel's column lies. The distance stays below `TILE_BOUND` of the largest value.
"""

from __future__ import annotations

from fsrcnn.arrays import Float32
from fsrcnn.engines import Engine
from fsrcnn.layers import convolve, deconvolve, prelu
from fsrcnn.weights import Weights

TILE_BOUND = (
    2e-6  # largest distance of a tile from the whole, relative to the largest luma: some 20 units in the last place
)


class NumpyEngine(Engine):
    """An FSRCNN on the CPU, in float32, without any dependency but NumPy."""

    name = "numpy"
    tile = (96, 128)  # feature maps of 4 MB stay in the cache

    def __init__(self, weights: Weights) -> None:
        self.architecture = weights.architecture
        self.arrays = weights.arrays

    def run(self, lr: Float32) -> Float32:
        """(h, w) luma in [0, 1] to (scale*h, scale*w), not clipped; memory grows with the picture, so give it tiles."""
        arrays = self.arrays
        x = lr[None]
        for stage in self.architecture.convolutions:
            x = convolve(x, arrays[f"{stage.name}.weight"], arrays[f"{stage.name}.bias"])
            x = prelu(x, arrays[f"{stage.name}.prelu"])
        scale, crop = self.architecture.scale, self.architecture.crop
        return deconvolve(x, arrays["deconvolution.weight"], arrays["deconvolution.bias"], scale, crop)
