"""Neighbourhood attention (Hassani et al., 2023), also dilated (Hassani and Shi, 2022): NAT and DiNAT.

Every token attends to the k × k tokens around it. The window slides with the token and stops at the borders,
where tokens look off-centre: each has exactly k² keys, and nothing is padded. Along a side of length L with
dilation δ, position p is member i = p div δ of the group g = p mod δ, which has L_g members, g, g + δ, …; its
keys are

    members s … s + k − 1 of its group,     s = min(max(i − ⌊k/2⌋, 0), L_g − k)

and a token's keys are all pairs of a row key and a column key:

    out = softmax(q kᵀ / √D [+ bias]) v

The bias is a table of relative positions for each head, of key − query in members. A side that δk exceeds has
a smaller dilation, ⌊L/k⌋, and one that k exceeds is seen as a whole: on a map of at most k × k tokens the
layer is softmax attention.

`forward` cuts the map into tiles of about k × k queries and gives each the smallest box of keys that holds
all their windows, with -∞ where a query does not look. Gathering every query's own keys would copy all keys
k² times, for products of one row; a tile multiplies more than its windows hold, but in matmuls that are worth
their name, with memory that grows with the map and not with its square.

MACs for N tokens of C channels: 4NC² for the projections, 2C for each pair of a tile's query and a key of its
box. On 14 × 14 tokens with k = 7 these are 4 tiles of 49 queries and 100 keys, 30.1 M instead of the 2Nk²C =
14.8 M that the windows hold; on large maps, where a box has (2k − 1)² keys, 3.4 times as many.
"""

import math

import torch
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, Mechanism, Paper
from attnbench.attention import attend
from mechanisms._images import few_images_at_a_time


class Side:
    """A side of the map in tiles: consecutive members of one group, and the box of keys that they need.

    All tiles have as many queries and as many keys. Where a group ends before its last tile does, its last
    member asks again; where it ends before a box does, nobody looks there.
    """

    def __init__(self, length: int, kernel: int, dilation: int) -> None:
        self.kernel = min(kernel, length)
        self.dilation = min(dilation, length // self.kernel)
        groups = [len(range(group, length, self.dilation)) for group in range(self.dilation)]
        longest = groups[0]
        self.queries = math.ceil(longest / math.ceil(longest / self.kernel))  # of a tile
        self.tiles = [
            (group, first, members)
            for group, members in enumerate(groups)
            for first in range(0, members, self.queries)
        ]
        self.keys = max(self._box(first, members) for _, first, members in self.tiles)

    def _box(self, first: int, members: int) -> int:
        """How many keys the tile needs whose queries begin with the `first` of a group's members."""
        last = min(first + self.queries, members) - 1
        start, end = (min(max(i - self.kernel // 2, 0), members - self.kernel) for i in (first, last))
        return end + self.kernel - start

    def cut(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What each tile asks for and sees.

        Positions of queries `[tiles, queries]` and of keys `[tiles, keys]`; key − query in members of their
        group, and whether the key lies outside the query's window, both `[tiles, queries, keys]`.
        """
        group, first, members = torch.tensor(self.tiles).unsqueeze(-1).unbind(1)  # each [tiles, 1]
        asking = (first + torch.arange(self.queries)).minimum(members - 1)
        start = (asking - self.kernel // 2).clamp_min(0).minimum(members - self.kernel)
        seen = start[:, :1] + torch.arange(self.keys)

        queries, keys = (group + self.dilation * each for each in (asking, seen.minimum(members - 1)))
        asking, start, seen = asking.unsqueeze(-1), start.unsqueeze(-1), seen.unsqueeze(1)
        return queries, keys, seen - asking, (seen < start) | (seen >= start + self.kernel)


class NeighborhoodAttention(nn.Module):
    """Attention of every token to as many tokens around it."""

    queries: Tensor
    keys: Tensor
    places: Tensor
    mask: Tensor
    index: Tensor

    def __init__(self, geometry: Geometry, *, kernel: int, dilation: int, bias: bool) -> None:
        super().__init__()
        geometry.require_shared_channels()
        _check(kernel, dilation)
        self.heads = geometry.heads
        self.qkv = nn.Linear(geometry.dim, 3 * geometry.dim)
        self.proj = nn.Linear(geometry.dim, geometry.dim)
        side = 2 * kernel - 1  # of the table
        self.table = _normal(geometry.heads, side, side) if bias else None

        sides = (Side(length, kernel, dilation).cut() for length in (geometry.height, geometry.width))
        (rows, row_keys, down, above_or_below), (columns, column_keys, right, left_or_right) = sides
        queries = _crossings(geometry.width * rows, columns).flatten()
        keys = _crossings(geometry.width * row_keys, column_keys).flatten()
        order = queries.argsort(stable=True)
        places = order[torch.searchsorted(queries[order], torch.arange(geometry.tokens))]
        mask = torch.where(_crossings(above_or_below, left_or_right), -torch.inf, 0.0)
        self.register_buffer("queries", queries, persistent=False)  # the token at each place in the tiles
        self.register_buffer("keys", keys, persistent=False)  # the token at each place in the boxes
        self.register_buffer("places", places, persistent=False)  # the place of each token in the tiles
        self.register_buffer("mask", mask, persistent=False)  # [tiles, queries, keys]
        if bias:
            down, right = (steps.clamp(1 - kernel, kernel - 1) + kernel - 1 for steps in (down, right))
            index = _crossings(side * down, right).flatten()
            self.register_buffer("index", index, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        return self.proj(few_images_at_a_time(self.attend_windows, self.qkv(x)))

    def attend_windows(self, qkv: Tensor) -> Tensor:
        """Attention of projected tokens `[B, N, 3C]` in their windows: `[B, N, C]`."""
        parts = qkv.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # [3, B, heads, N, D]
        tiles, queries, keys = self.mask.shape
        q = parts[:1].index_select(3, self.queries).unflatten(3, (tiles, queries))[0]
        k, v = parts[1:].index_select(3, self.keys).unflatten(3, (tiles, keys))

        tokens = self.attend_tiles(q, k, v).flatten(2, 3).transpose(1, 2)  # [B, places, heads, D]
        # Gathered along dimension 1, torch would first make its input contiguous: a second copy.
        return tokens.unsqueeze(0).index_select(2, self.places).squeeze(0).flatten(2)

    def attend_tiles(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attention of the queries of each tile to those keys of its box that they see.

        All are `[B, heads, tiles, …, D]`. Tiles are what `attend` has as its heads, so that the mask
        broadcasts over images and heads without a copy; where each head has a bias, both are one dimension.
        """
        if self.table is None:
            return attend(q, k, v, self.mask)
        bias = self.table.flatten(1).index_select(1, self.index).unflatten(1, self.mask.shape) + self.mask
        heads = attend(q.flatten(1, 2), k.flatten(1, 2), v.flatten(1, 2), bias.flatten(0, 1))
        return heads.view_as(q)


def _crossings(rows: Tensor, columns: Tensor) -> Tensor:
    """What belongs to rows plus what belongs to columns (or for truth), at every crossing of two of them.

    `[a, b, …]` and `[c, d, …]` make `[a · c, b · d, …]`.
    """
    for axis in range(rows.dim()):
        rows, columns = rows.unsqueeze(2 * axis + 1), columns.unsqueeze(2 * axis)
    crossings = rows + columns  # [a, c, b, d, …]
    for axis in range(crossings.dim() // 2):
        crossings = crossings.flatten(axis, axis + 1)
    return crossings


def _normal(*shape: int) -> nn.Parameter:
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(shape), std=0.02))


def _check(kernel: int, dilation: int) -> None:
    for name, value in (("kernel", kernel), ("dilation", dilation)):
        if value < 1:
            raise InvalidSetting(f"neighborhood: {name} is {value}; it must be at least 1.")


def macs(geometry: Geometry, *, kernel: int, dilation: int, bias: bool) -> int:  # noqa: ARG001 - a sum is free
    n, c = geometry.tokens, geometry.dim
    rows, columns = (Side(length, kernel, dilation) for length in (geometry.height, geometry.width))
    pairs = math.prod(len(side.tiles) * side.queries * side.keys for side in (rows, columns))
    return 4 * n * c**2 + 2 * pairs * c


neighborhood = Mechanism(
    name="neighborhood",
    title="Neighborhood",
    build=NeighborhoodAttention,
    macs=macs,
    settings={"kernel": 7, "dilation": 1, "bias": False},
    paper=Paper(
        title="Neighborhood Attention Transformer",
        venue="CVPR",
        year=2023,
        url="https://arxiv.org/abs/2204.07143",
    ),
    family="windows",
)
