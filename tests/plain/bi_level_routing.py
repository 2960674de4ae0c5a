"""Bi-Level Routing: each region of the map chooses regions, to whose tokens its own tokens attend.

Keys and values of the chosen regions are gathered together; a depthwise convolution of the values is added.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.bi_level_routing import bi_level_routing

from ._pieces import cropped, cut, heads_of, joined, laid, padded_map


class PlainBiLevelRouting(nn.Module):
    def __init__(self, geometry: Geometry, regions: int, topk: int, lepe: int) -> None:
        super().__init__()
        c = geometry.dim
        self.geometry = geometry
        self.regions, self.topk = regions, topk
        self.qkv = nn.Linear(c, 3 * c)
        self.lepe = nn.Conv2d(c, c, lepe, padding=lepe // 2, groups=c)
        self.proj = nn.Linear(c, c)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        c, heads = self.geometry.dim, self.geometry.heads
        grid = padded_map(tokens, self.geometry, self.regions, self.regions)
        rows, columns = grid.shape[1] // self.regions, grid.shape[2] // self.regions
        projected = self.qkv(grid)
        queries, pairs = cut(projected, rows, columns).split((c, 2 * c), dim=-1)  # [B, regions, tokens, …]

        (q,) = heads_of(queries, 1, heads)
        k, v = heads_of(self.gathered(pairs, self.chosen(queries, pairs[..., :c])), 2, heads)
        weights = torch.softmax((q * c**-0.5) @ k.mT, dim=-1)  # [B, regions, heads, tokens, keys]
        out = laid(joined(weights @ v), rows, columns, grid.shape[2])

        local = self.lepe(projected[..., 2 * c :].movedim(-1, 1)).movedim(1, -1)
        return cropped(self.proj(out + local), self.geometry)

    def chosen(self, queries: Tensor, keys: Tensor) -> Tensor:
        """The regions that each region chooses by the means of its queries: `[B, regions, topk]`."""
        affinity = queries.detach().mean(dim=2) @ keys.detach().mean(dim=2).mT
        return affinity.topk(self.topk, dim=-1).indices

    def gathered(self, pairs: Tensor, chosen: Tensor) -> Tensor:
        """Keys and values of chosen regions side by side: `[B, regions, topk · tokens, 2C]`."""
        images = torch.arange(len(pairs), device=pairs.device)[:, None, None]
        return pairs[images, chosen].flatten(2, 3)


plain_bi_level_routing = replace(
    bi_level_routing,
    name="plain-bi-level-routing",
    title="Bi-Level Routing, plain",
    build=PlainBiLevelRouting,
)
