"""XCA: in each head, channels attend to channels, by the cosine of what they are on all tokens."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.xca import xca

from ._pieces import heads_of, joined


class PlainXca(nn.Module):
    """out = proj((A vᵀ)ᵀ), A = softmax(τ q̂ᵀ k̂) of shape D × D, where q̂ and k̂ have columns of length 1."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.heads = geometry.heads
        self.qkv = nn.Linear(geometry.dim, 3 * geometry.dim)
        self.temperature = nn.Parameter(torch.ones(geometry.heads, 1, 1))  # τ
        self.proj = nn.Linear(geometry.dim, geometry.dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        q, k, v = heads_of(self.qkv(tokens), 3, self.heads)
        cosines = of_unit_length(q).mT @ of_unit_length(k)  # [B, heads, D, D]
        weights = torch.softmax(self.temperature * cosines, dim=-1)
        return self.proj(joined(v @ weights.mT))


def of_unit_length(channels: Tensor) -> Tensor:
    """Each channel divided by its norm over the tokens: `[B, heads, N, D]` to `[B, heads, N, D]`."""
    return channels / torch.linalg.vector_norm(channels, dim=-2, keepdim=True).clamp_min(1e-12)


plain_xca = replace(xca, name="plain-xca", title="XCA, plain", build=PlainXca)
