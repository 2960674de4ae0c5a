"""Polarity Linear: linear attention whose features keep positive and negative parts apart.

Half of the values are weighed by parts of like sign, half by parts of unlike sign.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.polarity_linear import polarity_linear

from ._pieces import heads_of, joined


class PlainPolarityLinear(nn.Module):
    """out = proj(([like ; unlike] + depthwise(v)) ⊙ gate)."""

    def __init__(self, geometry: Geometry, alpha: float, kernel: int) -> None:
        super().__init__()
        self.geometry = geometry
        self.alpha = alpha
        c, d = geometry.dim, geometry.head_dim
        self.qkvg = nn.Linear(c, 4 * c)
        self.scale = nn.Parameter(torch.zeros(c))
        self.positions = nn.Parameter(torch.zeros(geometry.tokens, c))
        self.power = nn.Parameter(torch.zeros(geometry.heads, 1, d))
        self.depthwise = nn.Conv2d(d, d, kernel, padding=kernel // 2, groups=d)
        self.proj = nn.Linear(c, c)

    def attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Linear attention of heads, each `[B, heads, N, D]`."""
        power = 1 + self.alpha * torch.sigmoid(self.power)
        plus_q, minus_q = F.relu(q) ** power, F.relu(-q) ** power
        keys = torch.cat([F.relu(k) ** power, F.relu(-k) ** power], dim=-1)  # [B, heads, N, 2D]
        first, second = v.chunk(2, dim=-1)
        like = weighted(torch.cat([plus_q, minus_q], dim=-1), keys, first)
        unlike = weighted(torch.cat([minus_q, plus_q], dim=-1), keys, second)
        return torch.cat([like, unlike], dim=-1)

    def convolved(self, v: Tensor) -> Tensor:
        """The heads' values, each head a map of its own under the same filters: `[B, heads, N, D]`."""
        images = v.flatten(0, 1).mT.unflatten(2, (self.geometry.height, self.geometry.width))
        return self.depthwise(images).flatten(2).mT.unflatten(0, v.shape[:2])

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        q, k, v, gate = self.qkvg(tokens).chunk(4, dim=-1)
        scale = F.softplus(self.scale)
        q, k = q / scale, (k + self.positions) / scale
        q, k, v = (heads_of(y, 1, self.geometry.heads)[0] for y in (q, k, v))
        return self.proj(joined(self.attention(q, k, v) + self.convolved(v)) * gate)


def weighted(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Linear attention, `[B, heads, N, E]`, by features `[B, heads, N, 2D]` of values `[B, heads, N, E]`."""
    norm = q @ k.mean(dim=-2, keepdim=True).mT + 1e-6  # [B, heads, N, 1]
    return q @ (k.mT @ (v / v.shape[-2])) / norm


plain_polarity_linear = replace(
    polarity_linear, name="plain-polarity-linear", title="Polarity Linear, plain", build=PlainPolarityLinear
)
