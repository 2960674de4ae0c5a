"""Swin V2: cosine attention inside windows, with a position bias that a small network makes.

A shift rolls the input and rolls the output back; what only the roll made neighbours, a mask keeps apart.
"""

import math
from collections import OrderedDict
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.swin_v2 import swin_v2

from ._pieces import cropped, cut, heads_of, joined, laid, padded_map


class PlainSwinV2(nn.Module):
    distances: Tensor
    index: Tensor
    mask: Tensor | None

    def __init__(self, geometry: Geometry, window: int, shift: int) -> None:
        super().__init__()
        c = geometry.dim
        self.geometry = geometry
        self.window = window
        self.shift = shift
        self.qkv = nn.Linear(c, 3 * c, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(c))
        self.v_bias = nn.Parameter(torch.zeros(c))
        self.logit_scale = nn.Parameter(torch.full((geometry.heads, 1, 1), math.log(10)))
        self.position_bias = nn.Sequential(
            OrderedDict(hidden=nn.Linear(2, 512), relu=nn.ReLU(), out=nn.Linear(512, geometry.heads, False))
        )
        self.proj = nn.Linear(c, c)

        steps = torch.arange(1 - window, window)
        steps = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1) * 8 / max(window - 1, 1)
        distances = steps.sign() * torch.log2(steps.abs() + 1) / math.log2(8)  # [2w - 1, 2w - 1, 2]
        self.register_buffer("distances", distances, persistent=False)
        down, right = torch.cartesian_prod(torch.arange(window), torch.arange(window)).unbind(-1)
        down, right = (each[:, None] - each[None, :] + window - 1 for each in (down, right))
        self.register_buffer("index", down * (2 * window - 1) + right, persistent=False)
        self.register_buffer("mask", self.between_strangers() if shift else None, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        grid = padded_map(x, self.geometry, self.window, self.window)
        width = grid.shape[2]
        if self.shift:
            grid = grid.roll((-self.shift, -self.shift), dims=(1, 2))
        out = self.attend_windows(cut(grid, self.window, self.window))
        grid = laid(self.proj(out), self.window, self.window, width)
        if self.shift:
            grid = grid.roll((self.shift, self.shift), dims=(1, 2))
        return cropped(grid, self.geometry)

    def attend_windows(self, windows: Tensor) -> Tensor:
        """Cosine attention of each of `[B, windows, w², C]` to itself."""
        bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        q, k, v = heads_of(F.linear(windows, self.qkv.weight, bias), 3, self.geometry.heads)
        cosines = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT  # [B, windows, heads, w², w²]
        logits = cosines * self.logit_scale.clamp(max=math.log(100)).exp()

        table = 16 * self.position_bias(self.distances).flatten(0, 1).sigmoid()
        logits = logits + table[self.index].movedim(-1, 0)
        if self.mask is not None:
            logits = logits + self.mask
        return joined(logits.softmax(dim=-1) @ v)

    def between_strangers(self) -> Tensor:
        """-100 for tokens of one window from two regions of the rolled map: `[windows, 1, w², w²]`."""
        rows, columns = self.bands(self.geometry.height), self.bands(self.geometry.width)
        pairs = torch.cartesian_prod(rows, columns).view(1, len(rows), len(columns), 2)
        regions = cut(pairs, self.window, self.window).squeeze(0)  # [windows, w², 2]
        strangers = (regions.unsqueeze(1) != regions.unsqueeze(2)).any(dim=-1)
        return torch.zeros(strangers.shape).masked_fill(strangers, -100.0).unsqueeze(1)

    def bands(self, length: int) -> Tensor:
        """Which of three bands each row or column is in: before the last window, in it, or rolled into it."""
        padded = length + -length % self.window
        sizes = torch.tensor([padded - self.window, self.window - self.shift, self.shift])
        return torch.arange(3).repeat_interleave(sizes)


plain_swin_v2 = replace(swin_v2, name="plain-swin-v2", title="Swin V2, plain", build=PlainSwinV2)
