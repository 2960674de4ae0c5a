"""MaSA: softmax attention with a penalty for each step of distance, along rows and then along columns."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.masa import masa

from ._pieces import joined, softmax_attention


class PlainMasa(nn.Module):
    cos: Tensor
    sin: Tensor
    penalties: Tensor
    penalties_in_row: Tensor
    penalties_in_column: Tensor

    def __init__(
        self, geometry: Geometry, decomposed: bool, initial: float, spread: float, lepe: int
    ) -> None:
        super().__init__()
        self.geometry = geometry
        self.decomposed = decomposed
        c = geometry.dim
        self.q = nn.Linear(c, c)
        self.k = nn.Linear(c, c)
        self.v = nn.Linear(c, c)
        self.lepe = nn.Conv2d(c, c, kernel_size=lepe, padding=lepe // 2, groups=c)
        self.proj = nn.Linear(c, c)

        frequencies = (1 / 10_000 ** torch.linspace(0, 1, geometry.head_dim // 2)).repeat_interleave(2)
        angles = torch.arange(geometry.tokens).unsqueeze(1) * frequencies  # [N, D]
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

        exponents = initial + spread * torch.arange(geometry.heads) / geometry.heads
        a_step = torch.log(1 - 2**-exponents).view(-1, 1, 1)
        down, right = steps(geometry.height), steps(geometry.width)
        if decomposed:
            self.register_buffer("penalties_in_row", a_step * right, persistent=False)
            self.register_buffer("penalties_in_column", a_step * down, persistent=False)
        else:
            both = down[:, None, :, None] + right[None, :, None, :]  # [H, W, H, W]
            self.register_buffer("penalties", a_step * both.flatten(2).flatten(0, 1), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        q, k, v = (part(tokens).unflatten(2, (self.geometry.heads, -1)) for part in (self.q, self.k, self.v))
        q, k = (self.turned(x.transpose(1, 2)).transpose(1, 2) for x in (q, k))
        image = v.flatten(2).mT.unflatten(2, (self.geometry.height, self.geometry.width))
        attention = self.by_lines if self.decomposed else self.at_once
        return self.proj(attention(q, k, v) + self.lepe(image).flatten(2).mT)

    def turned(self, x: Tensor) -> Tensor:
        """Each pair of channels of `[B, heads, N, D]`, rotated by its token's angle."""
        quarter_turn = torch.stack((-x[..., 1::2], x[..., 0::2]), dim=-1).flatten(-2)
        return x * self.cos + quarter_turn * self.sin

    def by_lines(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Along rows, then along columns: `[B, N, heads, D]` to `[B, N, C]`."""
        size = (self.geometry.height, self.geometry.width)
        q, k, v = (x.unflatten(1, size).transpose(2, 3) for x in (q, k, v))  # [B, H, heads, W, D]
        u = softmax_attention(q, k, v, self.penalties_in_row)
        q, k, u = (x.transpose(1, 3) for x in (q, k, u))  # [B, W, heads, H, D]
        out = softmax_attention(q, k, u, self.penalties_in_column)
        return joined(out.transpose(1, 3)).flatten(1, 2)

    def at_once(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """To all tokens: `[B, N, heads, D]` to `[B, N, C]`."""
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        return joined(softmax_attention(q, k, v, self.penalties))


def steps(length: int) -> Tensor:
    """How many steps lie between each two places on a side."""
    places = torch.arange(length)
    return (places.unsqueeze(1) - places).abs()


plain_masa = replace(masa, name="plain-masa", title="MaSA, plain", build=PlainMasa)
