"""Grid attention (Tu et al., 2022): the half of MaxViT's multi-axis attention that sees the whole map.

The map is cut into G × G cells of H/G × W/G tokens. A group has one token of each cell, all at the same place
in their cells, so that its G² tokens are spread over the map. Tokens attend inside groups:

    out = softmax(q kᵀ / √D + bias) v

The bias is a table of relative positions for each head, of the cells of query and key: row
(i_query − i_key + G − 1)(2G − 1) + j_query − j_key + G − 1 for cells (i, j). Without it, a grid as fine as
the map is softmax attention of all tokens.

MACs for N tokens of C channels: 4NC² for the projections, 2NG²C for the attention.

A map that cells do not divide is zero-padded at the bottom and right before it is projected, padded tokens
take part like any other, and the output is cropped after the last projection. N above is then the padded
number of tokens. Every group then has padded tokens, not only those at a border.
"""

import torch
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, Mechanism, Paper
from attnbench.attention import attend
from mechanisms._maps import as_map, pad, round_up
from mechanisms._tables import relative_bias, relative_index


class GridAttention(nn.Module):
    """Attention inside groups of tokens that are spread evenly over the map."""

    index: Tensor

    def __init__(self, geometry: Geometry, grid: int, *, bias: bool) -> None:
        super().__init__()
        geometry.require_shared_channels()
        if grid < 1:
            raise InvalidSetting(f"grid: grid is {grid}; it must be at least 1.")
        self.geometry = geometry
        self.grid = grid
        self.height, self.width = round_up(geometry.height, grid), round_up(geometry.width, grid)
        self.qkv = nn.Linear(geometry.dim, 3 * geometry.dim)
        self.proj = nn.Linear(geometry.dim, geometry.dim)
        self.table = nn.Parameter(0.02 * torch.randn((2 * grid - 1) ** 2, geometry.heads)) if bias else None
        if bias:
            self.register_buffer("index", relative_index(grid), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        x = pad(as_map(x, self.geometry), self.height, self.width)
        qkv = self.qkv(self.groups(x)).unflatten(-1, (3, self.geometry.heads, -1))
        q, k, v = qkv.permute(3, 0, 1, 4, 2, 5)  # each [B, groups, heads, G², D]
        out = self.proj(self.scattered(attend(q, k, v, self.bias())))
        return out[:, : self.geometry.height, : self.geometry.width].flatten(1, 2)

    def groups(self, x: Tensor) -> Tensor:
        """The groups of a map `[B, H, W, C]`, each in the order of its cells: `[B, groups, G², C]`.

        The input is cut, not its projection, which is three times as large.
        """
        x = x.unflatten(2, (self.grid, -1)).unflatten(1, (self.grid, -1))  # [B, G, H/G, G, W/G, C]
        return x.permute(0, 2, 4, 1, 3, 5).flatten(3, 4).flatten(1, 2)

    def scattered(self, heads: Tensor) -> Tensor:
        """The tokens of groups `[B, groups, heads, G², D]` where they belong: a map `[B, H, W, C]`."""
        places = (self.height // self.grid, self.width // self.grid)
        x = heads.unflatten(3, (self.grid, self.grid)).unflatten(1, places)
        return x.permute(0, 4, 1, 5, 2, 3, 6).flatten(5).flatten(3, 4).flatten(1, 2)

    def bias(self) -> Tensor | None:
        """What is added to the logits of every group, `[heads, G², G²]`."""
        return None if self.table is None else relative_bias(self.table, self.index, self.grid**2)


def macs(geometry: Geometry, grid: int, *, bias: bool) -> int:  # noqa: ARG001 - a sum is free
    n, c = round_up(geometry.height, grid) * round_up(geometry.width, grid), geometry.dim
    return 4 * n * c**2 + 2 * n * grid**2 * c


grid = Mechanism(
    name="grid",
    title="Grid",
    build=GridAttention,
    macs=macs,
    settings={"grid": 7, "bias": True},
    paper=Paper(
        title="MaxViT: Multi-Axis Vision Transformer",
        venue="ECCV",
        year=2022,
        url="https://arxiv.org/abs/2204.01697",
    ),
    family="windows",
)
