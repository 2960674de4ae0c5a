"""MALA: linear attention with rotary positions, whose scores are scaled and shifted, times a gate."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.mala import mala

from ._pieces import heads_of, joined

EPSILON = 1e-6


class PlainMala(nn.Module):
    """out = proj((q_rot (k_rotᵀ v) scale - z mean(v) + lepe(v)) ⊙ o)."""

    cos: Tensor
    sin: Tensor

    def __init__(self, geometry: Geometry, lepe: int) -> None:
        super().__init__()
        self.geometry = geometry
        c, d = geometry.dim, geometry.head_dim
        self.qkvo = nn.Linear(c, 4 * c)
        self.lepe = nn.Conv2d(c, c, kernel_size=lepe, padding=lepe // 2, groups=c)
        self.proj = nn.Linear(c, c)

        frequencies = 10000.0 ** -torch.linspace(0, 1, d // 4)
        rows, columns = (
            torch.outer(places.flatten(), frequencies)
            for places in torch.meshgrid(
                torch.arange(geometry.height), torch.arange(geometry.width), indexing="ij"
            )
        )
        angles = torch.cat([rows, columns], dim=-1).repeat_interleave(2, dim=-1)  # [N, D]
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def rotated(self, x: Tensor) -> Tensor:
        """Pairs (a, b) of `[B, heads, N, D]` turned: x cos + (-b, a) sin."""
        turned = torch.stack([-x[..., 1::2], x[..., ::2]], dim=-1).flatten(-2)
        return x * self.cos + turned * self.sin

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        geometry = self.geometry
        qkv, gate = self.qkvo(tokens).split((3 * geometry.dim, geometry.dim), dim=-1)
        image = qkv[..., 2 * geometry.dim :].mT.unflatten(2, (geometry.height, geometry.width))
        local = self.lepe(image).flatten(2).mT

        q, k, v = heads_of(qkv, 3, geometry.heads)
        q, k = F.elu(q) + 1, F.elu(k) + 1
        scale = geometry.head_dim**-0.5
        z = q @ k.mean(dim=-2, keepdim=True).mT * scale  # [B, heads, N, 1]
        summary = self.rotated(k).mT @ v * (scale / geometry.tokens)  # [B, heads, D, D]
        out = self.rotated(q) @ summary * (1 + 1 / (z + EPSILON)) - z * v.mean(dim=-2, keepdim=True)
        return self.proj((joined(out) + local) * gate)


plain_mala = replace(mala, name="plain-mala", title="MALA, plain", build=PlainMala)
