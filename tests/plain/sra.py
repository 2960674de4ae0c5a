"""SRA: queries from every token, keys and values from a summary of the map, a token for each block."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.sra import sra

from ._pieces import heads_of, joined


class PlainSra(nn.Module):
    """Attention to blocks of `reduction` × `reduction` tokens; tokens of an incomplete block only ask."""

    def __init__(self, geometry: Geometry, reduction: int) -> None:
        super().__init__()
        self.geometry = geometry
        self.reduction = reduction
        c = geometry.dim
        self.q = nn.Linear(c, c)
        self.kv = nn.Linear(c, 2 * c)
        if reduction > 1:
            self.reduce = nn.Conv2d(c, c, kernel_size=reduction, stride=reduction)
            self.norm = nn.LayerNorm(c)
        self.proj = nn.Linear(c, c)

    def summary(self, tokens: Tensor) -> Tensor:
        """One normalised token a block, `[B, M, C]`, of `[B, N, C]`; a block of one token is that token."""
        if self.reduction == 1:
            return tokens
        image = tokens.mT.unflatten(2, (self.geometry.height, self.geometry.width))  # [B, C, H, W]
        return self.norm(self.reduce(image).flatten(2).mT)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        heads = self.geometry.heads
        k, v = heads_of(self.kv(self.summary(tokens)), 2, heads)  # each [B, heads, M, D]
        q = self.q(tokens).unflatten(2, (heads, -1)).transpose(1, 2)  # [B, heads, N, D]
        # Not `softmax_attention`, which scales the queries: keys are fewer here.
        weights = torch.softmax(q @ (k * self.geometry.head_dim**-0.5).mT, dim=-1)
        return self.proj(joined(weights @ v))


plain_sra = replace(sra, name="plain-sra", title="SRA, plain", build=PlainSra)
