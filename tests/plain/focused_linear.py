"""Focused Linear: φ(q) (φ(k)ᵀ v) over φ(q) · mean φ(k), with a convolution of the values added."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.focused_linear import focused_linear

from ._pieces import joined

EPSILON = 1e-6


class PlainFocusedLinear(nn.Module):
    def __init__(self, geometry: Geometry, power: int, kernel: int) -> None:
        super().__init__()
        self.geometry = geometry
        self.power = power
        c, d = geometry.dim, geometry.head_dim
        self.qkv = nn.Linear(c, 3 * c)
        self.position = nn.Parameter(torch.zeros(1, geometry.tokens, c))
        self.scale = nn.Parameter(torch.zeros(1, 1, c))
        self.local = nn.Conv2d(d, d, kernel, padding=kernel // 2, groups=d)
        self.proj = nn.Linear(c, c)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        q, k, v = self.qkv(tokens).chunk(3, dim=-1)
        q, k = self.focused(q), self.focused(k + self.position)
        q, k, v = (x.unflatten(2, (self.geometry.heads, -1)).transpose(1, 2) for x in (q, k, v))

        total = q @ k.mean(dim=-2).unsqueeze(-1) + EPSILON  # [B, heads, N, 1]
        root = self.geometry.tokens**-0.5
        out = q @ ((k * root).mT @ (v * root)) / total

        maps = v.flatten(0, 1).mT.unflatten(2, (self.geometry.height, self.geometry.width))
        local = self.local(maps).flatten(2).mT  # [B · heads, N, D]
        return self.proj(joined(out + local.view_as(out)))

    def focused(self, x: Tensor) -> Tensor:
        """Tokens `[B, N, C]`, positive and sharper, as long as they were."""
        x = (F.relu(x) + EPSILON) / F.softplus(self.scale)
        length = x.norm(dim=-1, keepdim=True)
        x = x**self.power
        return x / x.norm(dim=-1, keepdim=True) * length


plain_focused_linear = replace(
    focused_linear, name="plain-focused-linear", title="Focused Linear, plain", build=PlainFocusedLinear
)
