"""DAT: every token looks somewhere else, where its query says; what is seen there gives keys and values.

All maps are channels first and all places are (x, y) in [-1, 1], as grid_sample takes them.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.dat import dat


class PlainDat(nn.Module):
    def __init__(self, geometry: Geometry, groups: int, kernel: int, reach: float) -> None:
        super().__init__()
        self.geometry = geometry
        self.groups, self.reach = groups, reach
        self.q = nn.Conv2d(geometry.dim, geometry.dim, 1)
        self.k = nn.Conv2d(geometry.dim, geometry.dim, 1)
        self.v = nn.Conv2d(geometry.dim, geometry.dim, 1)
        self.proj = nn.Conv2d(geometry.dim, geometry.dim, 1)

        of_group = geometry.dim // groups
        self.offset_depthwise = nn.Conv2d(of_group, of_group, kernel, padding=kernel // 2, groups=of_group)
        self.offset_norm = nn.LayerNorm(of_group)
        self.offset_point = nn.Conv2d(of_group, 2, 1, bias=False)
        relative = (2 * geometry.height - 1, 2 * geometry.width - 1)
        self.table = nn.Parameter(torch.empty(geometry.heads, *relative))
        nn.init.trunc_normal_(self.table, std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        grid = x.mT.unflatten(2, (self.geometry.height, self.geometry.width))  # [B, C, H, W]
        queries = self.q(grid)
        centres = self.centres(x)
        places = centres + self.offsets(self.by_group(queries))  # [B · groups, N, 2]
        seen = F.grid_sample(self.by_group(grid), places.view(-1, *grid.shape[2:], 2), align_corners=True)
        seen = seen.reshape(grid.shape)

        q, k, v = (self.in_heads(each) for each in (queries, self.k(seen), self.v(seen)))
        logits = (q * q.shape[2] ** -0.5).mT @ k + self.bias(centres, places)
        out = v @ logits.softmax(dim=-1).mT  # [B, heads, D, N]
        return self.proj(out.reshape(grid.shape)).flatten(2).mT

    def by_group(self, grid: Tensor) -> Tensor:
        """The groups of a map `[B, C, H, W]` as maps of their own: `[B · groups, C / groups, H, W]`."""
        return grid.unflatten(1, (self.groups, -1)).flatten(0, 1)

    def in_heads(self, grid: Tensor) -> Tensor:
        """A map `[B, C, H, W]` as heads `[B, heads, D, N]`."""
        return grid.flatten(2).unflatten(1, (self.geometry.heads, -1))

    def centres(self, like: Tensor) -> Tensor:
        """The centres of the tokens' cells: `[N, 2]`."""
        across, down = (
            torch.arange(1 - cells, cells, 2, dtype=like.dtype, device=like.device) / cells
            for cells in (self.geometry.width, self.geometry.height)
        )
        return torch.stack((across.repeat(len(down)), down.repeat_interleave(len(across))), dim=-1)

    def offsets(self, queries: Tensor) -> Tensor:
        """How far from its centre each query `[B · groups, C / groups, H, W]` looks: `[B · groups, N, 2]`."""
        local = self.offset_norm(self.offset_depthwise(queries).movedim(1, -1))
        down, across = self.offset_point(F.gelu(local).movedim(-1, 1)).tanh().flatten(2).unbind(1)
        height, width = self.geometry.height, self.geometry.width
        return torch.stack((across * (self.reach / width), down * (self.reach / height)), dim=-1)

    def bias(self, centres: Tensor, places: Tensor) -> Tensor:
        """The table, read at half the way from each place to each query's centre: `[B, heads, N, N]`."""
        ways = (centres / 2).unsqueeze(1) - (places / 2).unsqueeze(1)  # [B · groups, N, N, 2]
        images = len(places) // self.groups
        tables = torch.cat([self.table] * images).unflatten(0, (len(places), -1))
        return F.grid_sample(tables, ways, align_corners=True).unflatten(0, (images, -1)).flatten(1, 2)


plain_dat = replace(dat, name="plain-dat", title="DAT, plain", build=PlainDat)
