"""What an FSRCNN is, in a dozen integers: the model family, its arrays, its costs, its reach.

FSRCNN(d, s, m) (Dong, Loy, Tang 2016, §3.2) is, from the low-resolution luma to the high-resolution one,

    feature extraction  k×k  1 → d      zero padded, PReLU with one slope per channel
    shrinking           1×1  d → s      PReLU
    mapping  (m times)  3×3  s → s      zero padded, PReLU
    expanding           1×1  s → d      PReLU
    deconvolution       k×k  d → 1      stride `scale`

Nothing here computes a picture; the engines do, from an `Architecture` and its arrays.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Literal, NamedTuple

from fsrcnn.errors import UsageError

SCALES = (2, 3, 4)
MAPPING_KERNEL = 3
LARGEST_FIELD = 1024  # guards a hostile file's header, far above any network worth running


class Stage(NamedTuple):
    """One layer.

    Attributes:
        name: in front of its arrays' names: `shrinking` has `shrinking.weight`, `.bias` and, as a convolution, `.prelu`.
        kind: `convolution` (zero padded, size kept, then a PReLU) or `deconvolution` (stride `scale`, no PReLU).
        kernel: side of its kernel.
        channels_in, channels_out: feature maps before and behind it.
    """

    name: str
    kind: Literal["convolution", "deconvolution"]
    kernel: int
    channels_in: int
    channels_out: int


@dataclass(frozen=True)
class Architecture:
    """The numbers that define one network; frozen, hashable, checked when made.

    Attributes:
        d: channels of the feature extraction and the expanding layer.
        s: channels of the mapping layers.
        m: mapping layers, 0 or more.
        feature_kernel: side of the first kernel, odd.
        deconvolution_kernel: side of the last kernel, odd, at least `scale`.
        scale: 2, 3 or 4.
        crop: HR rows (and columns) cut before the first one of the deconvolution's full output: LR row i
            spreads over HR rows `scale*i - crop … scale*i - crop + k - 1`. -1 stands for the default
            `(k - scale) // 2`, which centres the kernel on the LR pixel; some ports cut 4 at every scale.

    Raises:
        UsageError: a number outside what is said above.
    """

    d: int = 56
    s: int = 12
    m: int = 4
    feature_kernel: int = 5
    deconvolution_kernel: int = 9
    scale: int = 3
    crop: int = -1

    def __post_init__(self) -> None:
        for field, value in asdict(self).items():
            if not isinstance(value, int) or isinstance(value, bool):
                raise UsageError(f"{field} is a whole number, not {value!r}")
            if value > LARGEST_FIELD:
                raise UsageError(f"{field} is at most {LARGEST_FIELD}, not {value}")
        if self.scale not in SCALES:
            raise UsageError(f"scale is 2, 3 or 4, not {self.scale}")
        if self.d < 1 or self.s < 1 or self.m < 0:
            raise UsageError(f"d and s are at least 1 and m at least 0, not d={self.d}, s={self.s}, m={self.m}")
        for field in ("feature_kernel", "deconvolution_kernel"):
            side = getattr(self, field)
            if side < 1 or side % 2 == 0:
                raise UsageError(f"{field} is an odd number from 1, not {side}")
        if self.deconvolution_kernel < self.scale:
            raise UsageError(
                f"a {self.deconvolution_kernel}×{self.deconvolution_kernel} deconvolution leaves gaps at stride "
                f"{self.scale}: deconvolution_kernel is at least the scale"
            )
        largest_crop = self.deconvolution_kernel - self.scale
        if self.crop == -1:
            object.__setattr__(self, "crop", largest_crop // 2)
        if not 0 <= self.crop <= largest_crop:
            raise UsageError(f"crop is 0 to deconvolution_kernel - scale = {largest_crop}, not {self.crop}")

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The layers in the order of computation; the last one, and only it, is the deconvolution."""
        mapping = [Stage(f"mapping.{i}", "convolution", MAPPING_KERNEL, self.s, self.s) for i in range(self.m)]
        return (
            Stage("feature_extraction", "convolution", self.feature_kernel, 1, self.d),
            Stage("shrinking", "convolution", 1, self.d, self.s),
            *mapping,
            Stage("expanding", "convolution", 1, self.s, self.d),
            Stage("deconvolution", "deconvolution", self.deconvolution_kernel, self.d, 1),
        )

    @property
    def convolutions(self) -> tuple[Stage, ...]:
        """The stages before the deconvolution."""
        return self.stages[:-1]

    @property
    def array_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every array, in the order of computation.

        Convolution weights are (out, in, height, width); the deconvolution's are (d, 1, height, width), as
        PyTorch's `ConvTranspose2d` has them: `weight[c, 0, y, x]` is what channel c of LR pixel (i, j) adds to
        HR pixel (scale*i - crop + y, scale*j - crop + x).
        """
        shapes: dict[str, tuple[int, ...]] = {}
        for name, kind, side, channels_in, channels_out in self.stages:
            channels = (channels_out, channels_in) if kind == "convolution" else (channels_in, channels_out)
            shapes[f"{name}.weight"] = (*channels, side, side)
            shapes[f"{name}.bias"] = (channels_out,)
            if kind == "convolution":
                shapes[f"{name}.prelu"] = (channels_out,)
        return shapes

    @property
    def weight_count(self) -> int:
        """Kernel weights, without biases and PReLU slopes, as the paper counts them (12,464 for FSRCNN)."""
        return sum(stage.channels_in * stage.channels_out * stage.kernel**2 for stage in self.stages)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds per LR pixel. Every layer, the deconvolution too, uses each weight once per LR pixel
        (Dong et al. 2016, eq. 4), so this equals `weight_count`."""
        return self.weight_count

    @property
    def deconvolution_reach(self) -> tuple[int, int]:
        """How many LR pixels before and after its own an HR pixel's deconvolution reads, over all phases.

        HR row `scale*i + p` takes from LR row `i + r` the kernel row `p + crop - scale*r`, where that exists (0 … k - 1). FSRCNN
        at ×3 (k = 9, crop = 3): p = 0 reads rows 3 - 3r, so r = -1, 0, 1; reach (1, 1).
        """
        side, scale, crop = self.deconvolution_kernel, self.scale, self.crop
        return (side - 1 - crop) // scale, (scale - 1 + crop) // scale

    @property
    def halo(self) -> int:
        """LR pixels on each side of a region that its HR pixels can depend on: what a tile has to bring along.

        The largest of the four sides, so one number serves all.
        """
        before_deconvolution = sum(stage.kernel // 2 for stage in self.convolutions)
        return before_deconvolution + max(self.deconvolution_reach)

    @property
    def receptive_field(self) -> int:
        """Side in LR pixels of the square that one HR pixel can depend on (the widest over the `scale²` phases)."""
        side, crop, scale = self.deconvolution_kernel, self.crop, self.scale
        taps = max(len(range((phase + crop) % scale, side, scale)) for phase in range(scale))
        return taps + sum(stage.kernel - 1 for stage in self.convolutions)

    def with_scale(self, scale: int) -> Architecture:
        """The same network for another scale, its deconvolution centred (Dong et al. 2016, §3.4: transfer).

        A member of the family becomes the family's member at that scale (`fsrcnn-x` has a 3×3 deconvolution at ×2 and a 5×5 one
        elsewhere); a kernel of one's own that is too small for the stride becomes the smallest odd one that covers it.

        Raises:
            UsageError: a scale other than 2, 3 and 4.
        """
        name = name_of(self)
        if name in FAMILY_NAMES:
            return family(name, scale)
        covering = max(self.deconvolution_kernel, scale + 1 - scale % 2)
        return replace(self, scale=scale, deconvolution_kernel=covering, crop=-1)


FAMILY_NAMES = ("fsrcnn", "fsrcnn-s", "fsrcnn-x")


def family(name: str, scale: int) -> Architecture:
    """A member of the model family at a scale.

    Args:
        name: `fsrcnn` (56, 12, 4) and `fsrcnn-s` (32, 5, 1) of the paper, or `fsrcnn-x` (23, 12, 2), the ultra-light one
            with 3×3 first and last kernels (the last is 5×5 at ×3 and ×4, since 3×3 cannot cover those strides).
        scale: 2, 3 or 4.

    Raises:
        UsageError: another name or scale.
    """
    if name == "fsrcnn":
        return Architecture(56, 12, 4, scale=scale)
    if name == "fsrcnn-s":
        return Architecture(32, 5, 1, scale=scale)
    if name == "fsrcnn-x":
        return Architecture(23, 12, 2, feature_kernel=3, deconvolution_kernel=3 if scale == 2 else 5, scale=scale)
    raise UsageError(f"the model family is {', '.join(FAMILY_NAMES)}; there is no {name!r}")


def name_of(architecture: Architecture) -> str:
    """The family name of an architecture, whatever its crop; `fsrcnn-40-10-3` for one with d, s, m of its own."""
    for name in FAMILY_NAMES:
        if replace(architecture, crop=-1) == family(name, architecture.scale):
            return name
    return f"fsrcnn-{architecture.d}-{architecture.s}-{architecture.m}"
