"""Linear SRA: queries from every token, keys and values from a pooled map of one size, whatever the map."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.linear_sra import linear_sra

from ._pieces import heads_of, joined


class PlainLinearSra(nn.Module):
    """Attention to `pool` × `pool` means of the map, which are projected, normalised and bent."""

    def __init__(self, geometry: Geometry, pool: int) -> None:
        super().__init__()
        self.geometry = geometry
        c = geometry.dim
        self.q = nn.Linear(c, c)
        self.kv = nn.Linear(c, 2 * c)
        self.pool = nn.AdaptiveAvgPool2d(pool)
        self.reduce = nn.Conv2d(c, c, kernel_size=1)
        self.norm = nn.LayerNorm(c)
        self.proj = nn.Linear(c, c)

    def summary(self, tokens: Tensor) -> Tensor:
        """The tokens that give keys and values: `[B, N, C]` to `[B, P, C]`."""
        image = tokens.mT.unflatten(2, (self.geometry.height, self.geometry.width))  # [B, C, H, W]
        return F.gelu(self.norm(self.reduce(self.pool(image)).flatten(2).mT))

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        heads = self.geometry.heads
        k, v = heads_of(self.kv(self.summary(tokens)), 2, heads)  # each [B, heads, P, D]
        q = self.q(tokens).unflatten(2, (heads, -1)).transpose(1, 2)  # [B, heads, N, D]
        # Not `softmax_attention`, which scales the queries: keys are fewer here.
        weights = torch.softmax(q @ (k * self.geometry.head_dim**-0.5).mT, dim=-1)
        return self.proj(joined(weights @ v))


plain_linear_sra = replace(
    linear_sra, name="plain-linear-sra", title="Linear SRA, plain", build=PlainLinearSra
)
