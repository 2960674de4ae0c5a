"""SS2D: one sequence of tokens for each of four directions, and a recurrence over them, step by step."""

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.ss2d import ss2d


class PlainSs2d(nn.Module):
    """out = proj_out(LayerNorm(Σ_k y_k)), y_k in the order of the map again."""

    def __init__(self, geometry: Geometry, expand: float, state: int) -> None:
        super().__init__()
        self.size = (geometry.height, geometry.width)
        c, e, r = geometry.dim, int(expand * geometry.dim), math.ceil(geometry.dim / 16)
        self.parts = (r, state, state)
        self.proj_in = nn.Linear(c, e, bias=False)
        self.depthwise = nn.Conv2d(e, e, kernel_size=3, padding=1, groups=e, bias=False)
        self.choose = nn.Parameter(torch.empty(4, r + 2 * state, e).uniform_(-(e**-0.5), e**-0.5))
        self.step = nn.Parameter(torch.empty(4, e, r).uniform_(-(r**-0.5), r**-0.5))
        steps = torch.exp(torch.empty(4, e).uniform_(math.log(0.001), math.log(0.1)))
        self.step_bias = nn.Parameter(torch.log(torch.expm1(steps)))
        self.log_rates = nn.Parameter(torch.arange(1, state + 1).log().repeat(4, e, 1))
        self.skip = nn.Parameter(torch.ones(4, e))
        self.norm = nn.LayerNorm(e)
        self.proj_out = nn.Linear(e, c, bias=False)

    def recurrence(self, u: Tensor) -> Tensor:
        """y of sequences `[B, 4, N, E]`, of that shape."""
        chosen = torch.einsum("bkne,kre->bknr", u, self.choose)
        r, b, c = chosen.split(self.parts, dim=-1)  # each [B, 4, N, …]
        raw = torch.einsum("bknr,ker->bkne", r, self.step) + self.step_bias[:, None]
        delta = F.softplus(raw.float() if raw.dtype.itemsize < 4 else raw).unsqueeze(-1)  # [B, 4, N, E, 1]
        kept = torch.exp(-torch.exp(self.log_rates[:, None]) * delta)  # [B, 4, N, E, S]
        added = delta * u.unsqueeze(-1) * b.unsqueeze(-2)
        h = torch.zeros_like(added[:, :, 0])
        states = []
        for kept_now, added_now in zip(kept.unbind(2), added.unbind(2), strict=True):
            h = kept_now * h + added_now
            states.append(h)
        y = (torch.stack(states, dim=2) * c.unsqueeze(-2)).sum(dim=-1)
        return (y + self.skip[:, None] * u).to(u.dtype)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        height, width = self.size
        image = F.silu(self.depthwise(self.proj_in(tokens).mT.unflatten(2, self.size)))  # [B, E, H, W]
        rows, columns = image.flatten(2).mT, image.mT.flatten(2).mT  # each [B, N, E]
        y = self.recurrence(torch.stack([rows, columns, rows.flip(1), columns.flip(1)], dim=1))
        rows, columns = (y[:, :2] + y[:, 2:].flip(2)).unbind(1)
        by_rows = columns.unflatten(1, (width, height)).transpose(1, 2).flatten(1, 2)
        return self.proj_out(self.norm(rows + by_rows))


plain_ss2d = replace(ss2d, name="plain-ss2d", title="SS2D, plain", build=PlainSs2d)
