"""Neighborhood: MSA with a mask; each token sees a window that slides with it and stays on the map.

It multiplies all queries by all keys: in eager PyTorch that takes a fourth of the time that gathering every
query's own keys does.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.neighborhood import neighborhood

from ._pieces import heads_of, joined, softmax_attention


class PlainNeighborhood(nn.Module):
    mask: Tensor
    index: Tensor

    def __init__(self, geometry: Geometry, kernel: int, dilation: int, bias: bool) -> None:
        super().__init__()
        self.heads = geometry.heads
        self.qkv = nn.Linear(geometry.dim, 3 * geometry.dim)
        self.proj = nn.Linear(geometry.dim, geometry.dim)
        rows = seen_along(geometry.height, kernel, dilation)
        columns = seen_along(geometry.width, kernel, dilation)
        seen = torch.kron(rows.isfinite().long(), columns.isfinite().long()).bool()  # [N, N]
        mask = torch.zeros(seen.shape).masked_fill(~seen, float("-inf"))
        self.register_buffer("mask", mask, persistent=False)
        self.table = None
        if bias:
            side = 2 * kernel - 1
            self.table = nn.Parameter(torch.empty(geometry.heads, side, side))
            nn.init.trunc_normal_(self.table, std=0.02)
            down, right = (steps.nan_to_num().long() + kernel - 1 for steps in (rows, columns))
            index = side * down[:, None, :, None] + right[None, :, None, :]  # [H, W, H, W]
            self.register_buffer("index", index.reshape(seen.shape), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        q, k, v = heads_of(self.qkv(tokens), 3, self.heads)
        bias = self.mask
        if self.table is not None:
            bias = bias + self.table.flatten(1)[:, self.index]
        return self.proj(joined(softmax_attention(q, k, v, bias)))


def seen_along(length: int, kernel: int, dilation: int) -> Tensor:
    """Key − query in steps of the dilation, NaN where the query does not look, along a side: `[L, L]`."""
    kernel = min(kernel, length)
    dilation = min(dilation, length // kernel)
    place = torch.arange(length)
    group, member = place % dilation, place // dilation
    members = (length - group + dilation - 1) // dilation
    first = (member - kernel // 2).clamp(min=0).minimum(members - kernel).unsqueeze(1)
    seen = (group == group.unsqueeze(1)) & (member >= first) & (member < first + kernel)
    return (member - member.unsqueeze(1)).double().masked_fill(~seen, float("nan"))


def macs(geometry: Geometry, kernel: int, dilation: int, bias: bool) -> int:
    return 4 * geometry.tokens * geometry.dim**2 + 2 * geometry.tokens**2 * geometry.dim


plain_neighborhood = replace(
    neighborhood,
    name="plain-neighborhood",
    title="Neighborhood, plain",
    build=PlainNeighborhood,
    macs=macs,
)
