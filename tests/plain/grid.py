"""Grid: tokens attend to those at the same place in other cells of the map, with a table of positions."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.grid import grid

from ._pieces import cropped, heads_of, joined, padded_map, softmax_attention


class PlainGrid(nn.Module):
    index: Tensor

    def __init__(self, geometry: Geometry, grid: int, bias: bool) -> None:
        super().__init__()
        self.geometry = geometry
        self.grid = grid
        self.qkv = nn.Linear(geometry.dim, 3 * geometry.dim)
        self.proj = nn.Linear(geometry.dim, geometry.dim)
        self.table = None
        if bias:
            self.table = nn.Parameter(0.02 * torch.randn((2 * grid - 1) ** 2, geometry.heads))
            down, right = torch.cartesian_prod(torch.arange(grid), torch.arange(grid)).unbind(-1)
            down, right = (each[:, None] - each[None, :] + grid - 1 for each in (down, right))
            self.register_buffer("index", down * (2 * grid - 1) + right, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        image = padded_map(tokens, self.geometry, self.grid, self.grid)
        b, height, width, c = image.shape
        cells = image.view(b, self.grid, height // self.grid, self.grid, width // self.grid, c)
        groups = cells.permute(0, 2, 4, 1, 3, 5).reshape(b, -1, self.grid**2, c)

        q, k, v = heads_of(self.qkv(groups), 3, self.geometry.heads)
        bias = None if self.table is None else self.table[self.index].movedim(-1, 0)
        groups = self.proj(joined(softmax_attention(q, k, v, bias)))

        cells = groups.view(b, height // self.grid, width // self.grid, self.grid, self.grid, c)
        return cropped(cells.permute(0, 3, 1, 4, 2, 5).reshape(image.shape), self.geometry)


plain_grid = replace(grid, name="plain-grid", title="Grid, plain", build=PlainGrid)
