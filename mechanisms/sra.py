"""Spatial-reduction attention (Wang et al., 2021), the attention of PVT.

Queries come from every token, keys and values from a smaller map: a convolution of kernel and stride r
turns each patch of r × r tokens into one, which is normalised.

    y = LayerNorm(conv(x)),     k = W_k y,     v = W_v y
    out = softmax(q kᵀ / √D) v

With r = 1 there is neither convolution nor norm, and the layer is multi-head self-attention.

The strided convolution floors: where r does not divide the map, its last rows and columns are queries but
take no part in any key, as in the authors' code. A map with a side below r has no patch at all and is
refused.

MACs for N tokens of C channels and M = ⌊H/r⌋⌊W/r⌋ patches: 2NC² for queries and output, M(r²C² + 5C) for
the reduction and its norm, 2MC² for keys and values, 2NMC for the attention.
"""

from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, Mechanism, Paper, UnsupportedGeometry
from attnbench.attention import attend
from mechanisms._maps import as_map
from mechanisms._patches import PatchConvolution


class SpatialReductionAttention(nn.Module):
    """Attention of all tokens to the patches of a map reduced by a strided convolution."""

    def __init__(self, geometry: Geometry, *, reduction: int) -> None:
        super().__init__()
        geometry.require_shared_channels()
        if reduction < 1:
            raise InvalidSetting(f"sra: reduction is {reduction}; it must be at least 1.")
        if min(geometry.height, geometry.width) < reduction:
            raise UnsupportedGeometry(
                f"sra: a map of {geometry.size} holds no patch of {reduction}x{reduction} tokens; "
                f"take a larger map or a smaller reduction (1 reduces nothing)."
            )
        self.geometry = geometry
        self.reduction = reduction
        c = geometry.dim
        self.q = nn.Linear(c, c)
        self.kv = nn.Linear(c, 2 * c)
        if reduction > 1:
            self.reduce = PatchConvolution(c, reduction)
            self.norm = nn.LayerNorm(c)
        self.proj = nn.Linear(c, c)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        heads = self.geometry.heads
        y = x
        if self.reduction > 1:
            y = self.norm(self.reduce(as_map(x, self.geometry)).flatten(1, 2))  # [B, M, C]

        q = self.q(x).unflatten(-1, (heads, -1)).transpose(1, 2)  # [B, H, N, D]
        k, v = self.kv(y).unflatten(-1, (2, heads, -1)).permute(2, 0, 3, 1, 4)  # each [B, H, M, D]
        out = attend(q, k, v)  # [B, H, N, D]
        return self.proj(out.transpose(1, 2).flatten(2))


def macs(geometry: Geometry, reduction: int) -> int:
    n, c = geometry.tokens, geometry.dim
    m = (geometry.height // reduction) * (geometry.width // reduction)
    reduce = m * (reduction**2 * c**2 + 5 * c) if reduction > 1 else 0
    return 2 * n * c**2 + reduce + 2 * m * c**2 + 2 * n * m * c


sra = Mechanism(
    name="sra",
    title="SRA",
    build=SpatialReductionAttention,
    macs=macs,
    settings={"reduction": 2},
    paper=Paper(
        title="Pyramid Vision Transformer: A Versatile Backbone for Dense Prediction without Convolutions",
        venue="ICCV",
        year=2021,
        url="https://arxiv.org/abs/2102.12122",
    ),
    family="softmax",
)
