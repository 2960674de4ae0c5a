"""Twins' attention, T-MSA (Chu et al., 2021): a layer of local attention, then one of global attention.

Twins' blocks alternate between two layers: LSA, attention inside windows of w × w tokens, and GSA, which is
SRA, attention of all tokens to a map that a convolution of stride r has reduced. This is the pair, one after
the other, without what a network has between them (norms, residuals, a perceptron):

    out = GSA(LSA(x))

It has the parameters and the costs of two layers: half of them are to be held against those of another one.
With `part` it is one of the two, `local` or `global`, as they take turns in the blocks of a model.

A map that windows do not divide is zero-padded at the bottom and right for LSA, where padded tokens take part
like any other, and is cropped before LSA's last projection. GSA's convolution floors, and a map with a side
below r is refused.

MACs for N tokens of C channels, n of them with those of the padding: 3nC² + NC² + 2nw²C for LSA, and for GSA
those of SRA.
"""

from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, Mechanism, Paper
from mechanisms import sra
from mechanisms._maps import as_map, pad, round_up
from mechanisms.window import WindowAttention


class LocallyGroupedAttention(WindowAttention):
    """Attention inside windows, whose padding is cropped before the last projection and not after it."""

    def __init__(self, geometry: Geometry, window: int) -> None:
        super().__init__(geometry, window=window, shift=0)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        heads = self.plain(pad(as_map(x, self.geometry), self.height, self.width))
        return self.proj(heads[:, : self.geometry.height, : self.geometry.width].flatten(1, 2))


class TwinsAttention(nn.Module):
    """Attention inside windows and, on what comes of it, attention to a reduced map."""

    def __init__(self, geometry: Geometry, *, window: int, reduction: int) -> None:
        super().__init__()
        self.near = LocallyGroupedAttention(geometry, window)
        self.far = sra.SpatialReductionAttention(geometry, reduction=reduction)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        return self.far(self.near(x))


def build(geometry: Geometry, window: int, reduction: int, part: str) -> nn.Module:
    """The pair, or the one of its layers that `part` names."""
    if part == "both":
        return TwinsAttention(geometry, window=window, reduction=reduction)
    if part == "local":
        return LocallyGroupedAttention(geometry, window)
    if part == "global":
        return sra.SpatialReductionAttention(geometry, reduction=reduction)
    raise InvalidSetting(f"t-msa: part is {part!r}; it must be both, local or global.")


def macs(geometry: Geometry, window: int, reduction: int, part: str = "both") -> int:
    n, c = geometry.tokens, geometry.dim
    padded = round_up(geometry.height, window) * round_up(geometry.width, window)
    near = 3 * padded * c**2 + n * c**2 + 2 * padded * window**2 * c if part != "global" else 0
    return near + (sra.macs(geometry, reduction) if part != "local" else 0)


t_msa = Mechanism(
    name="t-msa",
    title="T-MSA",
    build=build,
    macs=macs,
    settings={"window": 7, "reduction": 2, "part": "both"},
    paper=Paper(
        title="Twins: Revisiting the Design of Spatial Attention in Vision Transformers",
        venue="NeurIPS",
        year=2021,
        url="https://arxiv.org/abs/2104.13840",
    ),
    family="softmax",
)
