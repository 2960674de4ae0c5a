"""RALA: linear attention to rotated keys, each as heavy as it answers the mean query, and a gate."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.rala import rala

from ._pieces import heads_of, joined


class PlainRala(nn.Module):
    """out = proj((attention + lepe(v)) ⊙ gate)."""

    cos: Tensor
    sin: Tensor

    def __init__(self, geometry: Geometry, lepe: int) -> None:
        super().__init__()
        self.geometry = geometry
        c = geometry.dim
        self.qkvg = nn.Linear(c, 4 * c)
        self.lepe = nn.Conv2d(c, c, lepe, padding=lepe // 2, groups=c)
        self.proj = nn.Linear(c, c)
        angles = angles_of(geometry)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Linear attention of heads, each `[B, heads, N, D]`."""
        n, d = q.shape[-2:]
        q, k = F.elu(q) + 1, F.elu(k) + 1
        alpha = n * torch.softmax(d**-0.5 * q.mean(dim=-2, keepdim=True) @ k.mT, dim=-1)  # [B, heads, 1, N]
        k = k * alpha.mT
        norm = q @ k.mean(dim=-2, keepdim=True).mT + 1e-6  # [B, heads, N, 1]
        return self.rotated(q) @ (self.rotated(k).mT @ (v / n)) / norm

    def rotated(self, head: Tensor) -> Tensor:
        """Each two neighbouring channels turned: `[B, heads, N, D]` to `[B, heads, N, D]`."""
        even, odd = head[..., ::2], head[..., 1::2]
        turned = (even * self.cos - odd * self.sin, even * self.sin + odd * self.cos)
        return torch.stack(turned, dim=-1).flatten(-2)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        q, k, v, gate = self.qkvg(tokens).chunk(4, dim=-1)
        image = v.mT.unflatten(2, (self.geometry.height, self.geometry.width))  # [B, C, H, W]
        attended = self.attention(*(heads_of(y, 1, self.geometry.heads)[0] for y in (q, k, v)))
        return self.proj((joined(attended) + self.lepe(image).flatten(2).mT) * gate)


def angles_of(geometry: Geometry) -> Tensor:
    """Of each token and pair of a head's channels, `[N, D/2]`: its row, then its column, by frequencies."""
    frequencies = 1 / 10000 ** torch.linspace(0, 1, geometry.head_dim // 4)
    rows, columns = torch.meshgrid(torch.arange(geometry.height), torch.arange(geometry.width), indexing="ij")
    return torch.cat([rows[..., None] * frequencies, columns[..., None] * frequencies], dim=-1).flatten(0, 1)


plain_rala = replace(rala, name="plain-rala", title="RALA, plain", build=PlainRala)
