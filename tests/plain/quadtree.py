"""QuadTree, type B with LePE: on each finer level, cells attend to the children of their parents' best keys.

Maps and tokens are channels first. The four children of one cell, a family, share the keys they look at.
"""

from collections import OrderedDict
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.quadtree import quadtree


class PlainQuadtree(nn.Module):
    def __init__(self, geometry: Geometry, levels: int, keys: int) -> None:
        super().__init__()
        dim = geometry.dim
        self.geometry = geometry
        self.levels = levels
        side = 2 ** (levels - 1)  # of a coarsest cell, in tokens
        rows, columns = -(-geometry.height // side), -(-geometry.width // side)
        self.keys = min(keys, rows * columns)
        self.missing = (0, columns * side - geometry.width, 0, rows * side - geometry.height)

        self.q = nn.Conv2d(dim, dim, 1)
        self.k = nn.Conv2d(dim, dim, 1)
        self.v = nn.Conv2d(dim, dim, 1)
        self.value = nn.ModuleList(coarser_values(dim) for _ in range(levels - 1))
        self.lepe = nn.ModuleList(nn.Conv2d(dim, dim, 3, padding=1, groups=dim) for _ in range(levels))
        self.level_weights = nn.Parameter(torch.randn(levels))
        self.proj = nn.Linear(dim, dim)

        for level in range(1, levels):
            height, width, cell = rows * 2**level, columns * 2**level, side // 2**level
            numbers = torch.arange(height * width).view(1, 1, 1, height, width)
            self.register_buffer(f"children_{level}", families(numbers).view(-1, 4), persistent=False)
            below = torch.arange(height) * cell >= geometry.height
            beyond = torch.arange(width) * cell >= geometry.width
            padding = (below.unsqueeze(1) | beyond).flatten()
            self.register_buffer(f"padding_{level}", padding, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        grid = x.mT.unflatten(2, (self.geometry.height, self.geometry.width))
        if any(self.missing):
            grid = F.pad(grid, self.missing)
        q, k, v = [self.q(grid)], [self.k(grid)], [self.v(grid)]
        for coarser in self.value:
            q.append(F.avg_pool2d(q[-1], 2))
            k.append(F.avg_pool2d(k[-1], 2))
            v.append(coarser(v[-1]))

        weights = self.level_weights.softmax(dim=0)
        seen, best = self.look_everywhere(q.pop(), k.pop(), v[-1])
        out = weights[0] * (seen + self.lepe[0](v.pop()))
        for level in range(1, self.levels):
            seen, best = self.look_closer(level, q.pop(), k.pop(), v[-1], best)
            here = weights[level] * (seen + self.lepe[level](v.pop()))
            out = out.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3) + here
        return self.proj(out[..., : self.geometry.height, : self.geometry.width].flatten(2).mT)

    def look_everywhere(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Attention of a map `[B, C, H, W]` to all its cells, and each cell's best `[B, heads, N, K]`."""
        queries, keys, values = (self.in_heads(each).flatten(3) for each in (q, k, v))  # [B, heads, D, N]
        shares = (queries.mT @ keys * queries.shape[2] ** -0.5).softmax(dim=-1)
        return (values @ shares.mT).reshape(q.shape), shares.topk(self.keys, dim=-1).indices

    def look_closer(self, level: int, q: Tensor, k: Tensor, v: Tensor, best: Tensor) -> tuple[Tensor, Tensor]:
        """As `look_everywhere`, only to the children of those cells that were the parents' best keys."""
        chosen = self.get_buffer(f"children_{level}")[best].flatten(3)  # [B, heads, families, 4K]
        queries = families(self.in_heads(q))
        keys, values = (pick(self.in_heads(each), chosen) for each in (k, v))
        logits = queries @ keys.mT * queries.shape[-1] ** -0.5
        if any(self.missing):
            padding = self.get_buffer(f"padding_{level}")[chosen]
            logits = logits.masked_fill(padding.unsqueeze(3), float("-inf"))
        shares = logits.softmax(dim=-1)
        seen = dispersed(shares @ values, *q.shape[2:]).reshape(q.shape)
        if level + 1 == self.levels:
            return seen, best

        places = shares.topk(self.keys, dim=-1).indices  # [B, heads, families, 4, K]
        best = chosen.unsqueeze(3).expand(-1, -1, -1, 4, -1).gather(4, places)
        return seen, dispersed(best, *q.shape[2:]).flatten(3).mT

    def in_heads(self, grid: Tensor) -> Tensor:
        """A map `[B, C, H, W]` as maps of heads `[B, heads, D, H, W]`."""
        return grid.unflatten(1, (self.geometry.heads, -1))


def coarser_values(dim: int) -> nn.Sequential:
    """The branch that makes a level's values from those of the next finer one."""
    steps: list[tuple[str, nn.Module]] = [
        ("norm_1", nn.GroupNorm(1, dim)),
        ("gelu_1", nn.GELU()),
        ("reduce", nn.Conv2d(dim, dim, 2, stride=2)),
        ("norm_2", nn.GroupNorm(1, dim)),
        ("gelu_2", nn.GELU()),
        ("point", nn.Conv2d(dim, dim, 1)),
    ]
    return nn.Sequential(OrderedDict(steps))


def families(maps: Tensor) -> Tensor:
    """Maps `[B, heads, D, 2h, 2w]` by families of four cells, column by column: `[B, heads, h · w, 4, D]`."""
    halved = maps.unflatten(4, (-1, 2)).unflatten(3, (-1, 2))  # [B, heads, D, h, 2, w, 2]
    return halved.movedim((6, 4, 2), (4, 5, 6)).flatten(4, 5).flatten(2, 3)


def dispersed(members: Tensor, height: int, width: int) -> Tensor:
    """The inverse of `families`: `[B, heads, D, height, width]`."""
    halved = members.unflatten(3, (2, 2)).unflatten(2, (height // 2, width // 2))
    return halved.movedim((4, 5, 6), (6, 4, 2)).flatten(5, 6).flatten(3, 4)


def pick(maps: Tensor, cells: Tensor) -> Tensor:
    """The cells `[B, heads, families, M]`, by number, of maps `[B, heads, D, H, W]`: `[…, M, D]`."""
    everywhere = cells.flatten(2).unsqueeze(-1).expand(-1, -1, -1, maps.shape[2])
    return maps.flatten(3).mT.gather(2, everywhere).unflatten(2, cells.shape[2:])


plain_quadtree = replace(quadtree, name="plain-quadtree", title="QuadTree, plain", build=PlainQuadtree)
