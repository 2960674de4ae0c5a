"""RoPE: MSA whose queries and keys are turned, pair by pair of neighbouring channels, as their tokens lie."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.rope import rope

from ._pieces import heads_of, joined, softmax_attention


class PlainRope(nn.Module):
    cos: Tensor
    sin: Tensor

    def __init__(self, geometry: Geometry, base: float, qk_norm: bool) -> None:
        super().__init__()
        self.heads = geometry.heads
        self.qkv = nn.Linear(geometry.dim, 3 * geometry.dim)
        self.q_norm = nn.LayerNorm(geometry.head_dim, eps=1e-6) if qk_norm else nn.Identity()
        self.k_norm = nn.LayerNorm(geometry.head_dim, eps=1e-6) if qk_norm else nn.Identity()
        self.proj = nn.Linear(geometry.dim, geometry.dim)

        frequencies = base ** -torch.linspace(0, 1, geometry.head_dim // 4 + 1)[:-1]
        down = torch.arange(geometry.height).repeat_interleave(geometry.width)
        across = torch.arange(geometry.width).repeat(geometry.height)
        angles = torch.cat([torch.outer(down, frequencies), torch.outer(across, frequencies)], dim=1)
        angles = angles.repeat_interleave(2, dim=1)  # one for each channel of a head
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        q, k, v = heads_of(self.qkv(tokens), 3, self.heads)
        q, k = self.turned(self.q_norm(q)), self.turned(self.k_norm(k))
        return self.proj(joined(softmax_attention(q, k, v)))

    def turned(self, x: Tensor) -> Tensor:
        """Heads `[B, heads, N, D]` times cos, and what a quarter turn makes of them times sin."""
        quarter_turn = torch.stack([-x[..., 1::2], x[..., ::2]], dim=-1).flatten(-2)
        return x * self.cos + quarter_turn * self.sin


plain_rope = replace(rope, name="plain-rope", title="RoPE, plain", build=PlainRope)
