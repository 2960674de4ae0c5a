"""mLSTM: attention to the tokens before, weighed by what the gates have let in and let fade since."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.mlstm import mlstm

EPSILON = 1e-6


class PlainBlockDiagonal(nn.Module):
    """A matrix of 4 × 4 blocks."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(dim // 4, 4, 4) / 2)
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        blocks = torch.einsum("...gi,goi->...go", x.unflatten(-1, (-1, 4)), self.weight)
        return blocks.flatten(-2) + self.bias


class PlainMatrixLSTM(nn.Module):
    """out = down((norm(y) + skip ⊙ c) ⊙ SiLU(z)), tokens in raster order or in the opposite one."""

    before: Tensor

    def __init__(self, geometry: Geometry, heads: int, expand: int, kernel: int, backward: bool) -> None:
        super().__init__()
        self.size = (geometry.height, geometry.width)
        self.heads = heads
        self.reverse = backward
        inner = expand * geometry.dim
        self.up = nn.Linear(geometry.dim, 2 * inner)
        self.conv = nn.Conv2d(inner, inner, kernel_size=kernel, padding=kernel // 2, groups=inner)
        self.q = PlainBlockDiagonal(inner)
        self.k = PlainBlockDiagonal(inner)
        self.v = PlainBlockDiagonal(inner)
        self.gates = nn.Linear(3 * inner, 2 * heads)
        self.norm = nn.GroupNorm(heads, inner)
        self.skip = nn.Parameter(torch.ones(inner))
        self.down = nn.Linear(inner, geometry.dim)
        before = torch.ones(geometry.tokens, geometry.tokens, dtype=torch.bool).tril()
        self.register_buffer("before", before, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        tokens = tokens.flip(1) if self.reverse else tokens
        memory, gate = self.up(tokens).chunk(2, dim=-1)
        convolved = F.silu(self.conv(memory.mT.unflatten(2, self.size))).flatten(2).mT
        q, k, v = self.q(convolved), self.k(convolved), self.v(memory)
        signals = self.gates(torch.cat([q, k, v], dim=-1)).mT  # [B, 2 · heads, N]

        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (q, k, v))
        y = self.recalled(q, k, v, *signals.chunk(2, dim=1)).transpose(1, 2).flatten(2)
        y = self.norm(y.flatten(0, 1)).view_as(y)
        out = self.down((y + self.skip * convolved) * F.silu(gate))
        return out.flip(1) if self.reverse else out

    def recalled(self, q: Tensor, k: Tensor, v: Tensor, write: Tensor, keep: Tensor) -> Tensor:
        """y, `[B, heads, N, D]` like q, k and v, with gates `[B, heads, N]`."""
        write, keep = (gate.to(torch.promote_types(gate.dtype, torch.float32)) for gate in (write, keep))
        kept = F.logsigmoid(keep).cumsum(dim=-1)
        log = kept.unsqueeze(-1) - kept.unsqueeze(-2) + write.unsqueeze(-2)
        log = log.masked_fill(~self.before, -torch.inf)  # [B, heads, N, N]
        largest = log.amax(dim=-1, keepdim=True)

        weights = q @ k.mT * q.shape[-1] ** -0.5 * (log - largest).exp().to(q.dtype)
        total = weights.sum(dim=-1, keepdim=True).abs()
        return weights @ v / (torch.maximum(total, (-largest).exp().to(q.dtype)) + EPSILON)


plain_mlstm = replace(mlstm, name="plain-mlstm", title="mLSTM, plain", build=PlainMatrixLSTM)
