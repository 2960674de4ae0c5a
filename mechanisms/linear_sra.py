"""Linear spatial-reduction attention (Wang et al., 2022), the attention of PVT v2's "-Li" models.

As SRA, but the map of keys and values has P = p × p tokens, whatever the map of queries: adaptive pooling
makes it, and a projection, a norm and a GELU work on what is left.

    y = GELU(LayerNorm(W_r pool(x))),     k = W_k y,     v = W_v y
    out = softmax(q kᵀ / √D) v

Any map will do. Where p does not divide a side, cell i of the pooled map is the mean of rows ⌊iH/p⌋ to
⌈(i+1)H/p⌉ - 1, so that neighbours may share a row; a side below p repeats its rows, and there are P keys
still. No setting makes it MSA: the GELU stays.

MACs for N tokens of C channels: 2NC² for queries and output, P(C² + 5C) for the reduction and its norm, 2PC²
for keys and values, 2NPC for the attention. Pooling multiplies nothing.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, Mechanism, Paper
from attnbench.attention import attend
from mechanisms._maps import as_channels_first, as_tokens


class LinearSpatialReductionAttention(nn.Module):
    """Attention of all tokens to a pooled map of one size."""

    def __init__(self, geometry: Geometry, *, pool: int) -> None:
        super().__init__()
        geometry.require_shared_channels()
        if pool < 1:
            raise InvalidSetting(f"linear-sra: pool is {pool}; it must be at least 1.")
        self.geometry = geometry
        self.pool = pool
        c = geometry.dim
        self.q = nn.Linear(c, c)
        self.kv = nn.Linear(c, 2 * c)
        self.reduce = nn.Linear(c, c)
        self.norm = nn.LayerNorm(c)
        self.proj = nn.Linear(c, c)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        heads = self.geometry.heads
        pooled = as_tokens(F.adaptive_avg_pool2d(as_channels_first(x, self.geometry), self.pool))
        y = F.gelu(self.norm(self.reduce(pooled)))  # [B, P, C]

        q = self.q(x).unflatten(-1, (heads, -1)).transpose(1, 2)  # [B, H, N, D]
        k, v = self.kv(y).unflatten(-1, (2, heads, -1)).permute(2, 0, 3, 1, 4)  # each [B, H, P, D]
        out = attend(q, k, v)  # [B, H, N, D]
        return self.proj(out.transpose(1, 2).flatten(2))


def macs(geometry: Geometry, pool: int) -> int:
    n, c, p = geometry.tokens, geometry.dim, pool**2
    return 2 * n * c**2 + p * (c**2 + 5 * c) + 2 * p * c**2 + 2 * n * p * c


linear_sra = Mechanism(
    name="linear-sra",
    title="Linear SRA",
    build=LinearSpatialReductionAttention,
    macs=macs,
    settings={"pool": 7},
    paper=Paper(
        title="PVT v2: Improved Baselines with Pyramid Vision Transformer",
        venue="Computational Visual Media",
        year=2022,
        url="https://arxiv.org/abs/2106.13797",
    ),
    family="softmax",
)
