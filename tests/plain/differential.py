"""Differential: heads in pairs; a share of the attention of the second is taken from that of the first."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.differential import differential

from ._pieces import joined, softmax_attention

EPSILON = 1e-5


class PlainDifferential(nn.Module):
    """out = proj((1 - λ₀) RMSNorm(attention₁ - λ attention₂)), with values as wide as two heads."""

    def __init__(self, geometry: Geometry, lambda_init: float) -> None:
        super().__init__()
        self.heads = geometry.heads
        self.lambda_init = lambda_init
        d = geometry.head_dim
        self.qkv = nn.Linear(geometry.dim, 3 * geometry.dim)
        self.lambda_q = nn.Parameter(torch.empty(2, d).normal_(std=0.1))
        self.lambda_k = nn.Parameter(torch.empty(2, d).normal_(std=0.1))
        self.norm = nn.Parameter(torch.ones(2 * d))
        self.proj = nn.Linear(geometry.dim, geometry.dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        q, k, v = self.qkv(tokens).chunk(3, dim=-1)
        q, k = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (q, k))
        v = v.unflatten(-1, (self.heads // 2, -1)).transpose(1, 2)
        first = softmax_attention(q[:, 0::2], k[:, 0::2], v)  # [B, heads / 2, N, 2D]
        second = softmax_attention(q[:, 1::2], k[:, 1::2], v)

        exponents = (self.lambda_q * self.lambda_k).sum(dim=-1)
        share = exponents[0].exp() - exponents[1].exp() + self.lambda_init
        normal = F.rms_norm(first - share * second, self.norm.shape, self.norm, eps=EPSILON)
        return self.proj(joined(normal * (1 - self.lambda_init)))


plain_differential = replace(
    differential, name="plain-differential", title="Differential, plain", build=PlainDifferential
)
