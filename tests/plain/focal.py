"""Focal attention: a window's keys are its own tokens, the ring around it, and the pooled windows near it.

The ring is read from windows enlarged by its depth on all sides, which continue beyond the map's borders on
the other side. Own tokens, ring and pooled tokens are concatenated, keys and values together.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.focal import focal

from ._pieces import cropped, cut, heads_of, joined, laid, padded_map, softmax_attention


class PlainFocal(nn.Module):
    mask: Tensor
    own_steps: Tensor
    pooled_steps: Tensor
    ring_rows: Tensor
    ring_columns: Tensor
    ring_cells: Tensor

    def __init__(self, geometry: Geometry, window: int, expand: int, focal_window: int) -> None:
        super().__init__()
        shortest = min(geometry.height, geometry.width)
        if shortest <= window:
            window, expand = shortest, 0
        self.geometry = geometry
        self.window, self.expand, self.focal_window = window, expand, focal_window
        self.rows, self.columns = -(-geometry.height // window), -(-geometry.width // window)  # of windows

        self.qkv = nn.Linear(geometry.dim, 3 * geometry.dim)
        self.proj = nn.Linear(geometry.dim, geometry.dim)
        self.pool = nn.Linear(window**2, 1)
        nn.init.constant_(self.pool.weight, 1 / window**2)
        nn.init.zeros_(self.pool.bias)

        self.own_bias = nn.Parameter(torch.zeros((2 * window - 1) ** 2, geometry.heads))
        self.pooled_bias = nn.Parameter(torch.empty(geometry.heads, (window + focal_window - 1) ** 2))
        nn.init.trunc_normal_(self.pooled_bias, std=0.02)
        self.register_buffer("own_steps", self.steps(window), persistent=False)
        self.register_buffer("pooled_steps", self.steps(focal_window), persistent=False)

        fine = window**2
        if expand:
            cells = self.cells_of_ring()
            fine += len(cells)
            self.ring_bias = nn.Parameter(torch.empty(1, geometry.heads, window**2, len(cells)))
            nn.init.trunc_normal_(self.ring_bias, std=0.02)
            self.register_buffer("ring_cells", cells, persistent=False)
            self.register_buffer("ring_rows", self.enlarged(self.rows), persistent=False)
            self.register_buffer("ring_columns", self.enlarged(self.columns), persistent=False)

        exists = self.neighbours(torch.ones(1, self.rows, self.columns, 1)).squeeze(0).mT  # [windows, 1, f²]
        mask = F.pad(-100 * (1 - exists), (fine, 0)).unsqueeze(1)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        grid = padded_map(x, self.geometry, self.window, self.window)
        projected = self.qkv(grid)
        own, own_pairs = self.apart(cut(projected, self.window, self.window))
        pooled = self.pool(cut(grid, self.window, self.window).mT).squeeze(-1)  # [B, windows, C]
        _, pooled_pairs = self.apart(self.qkv(pooled).unflatten(1, (self.rows, self.columns)))

        pairs = [own_pairs, self.neighbours(pooled_pairs)]
        if self.expand:
            pairs.insert(1, self.ring(self.apart(projected)[1]))
        (q,) = heads_of(own, 1, self.geometry.heads)
        k, v = heads_of(torch.cat(pairs, dim=2), 2, self.geometry.heads)
        out = joined(softmax_attention(q, k, v, self.bias()))
        return cropped(self.proj(laid(out, self.window, self.window, grid.shape[2])), self.geometry)

    def apart(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        """Projections `[..., 3C]` as queries `[..., C]` and pairs of key and value `[..., 2C]`."""
        queries, pairs = projected.split((self.geometry.dim, 2 * self.geometry.dim), dim=-1)
        return queries, pairs

    def ring(self, grid: Tensor) -> Tensor:
        """The ring of each window of a map `[B, H, W, C]`: `[B, windows, slots, C]`."""
        side = self.window + 2 * self.expand
        enlarged = cut(grid.index_select(1, self.ring_rows).index_select(2, self.ring_columns), side, side)
        return enlarged.index_select(2, self.ring_cells)

    def neighbours(self, grid: Tensor) -> Tensor:
        """The f × f cells around each cell of a map `[B, H, W, C]`, zeros beyond it: `[B, H · W, f², C]`."""
        f, margin = self.focal_window, self.focal_window // 2
        squares = F.pad(grid, (0, 0, margin, margin, margin, margin)).unfold(1, f, 1).unfold(2, f, 1)
        return squares.movedim(3, -1).flatten(3, 4).flatten(1, 2)

    def bias(self) -> Tensor:
        """What is added to the logits: `[windows, heads, w², keys]`."""
        side, heads = self.window + self.focal_window - 1, self.geometry.heads
        own = self.own_bias.unflatten(0, (2 * self.window - 1, -1))
        own = own[self.own_steps[:, None, :, None], self.own_steps[None, :, None, :]]  # [w, w, w, w, heads]
        pooled = self.pooled_bias.unflatten(1, (side, side))
        pooled = pooled[:, self.pooled_steps[:, None, :, None], self.pooled_steps[None, :, None, :]]

        tables = [own.flatten(2, 3).flatten(0, 1).movedim(-1, 0), pooled.reshape(heads, self.window**2, -1)]
        if self.expand:
            tables.insert(1, self.ring_bias.squeeze(0))
        return torch.cat(tables, dim=-1) + self.mask

    def steps(self, keys: int) -> Tensor:
        """How far each of `window` queries in a line is behind each of `keys` keys, from 0: `[w, keys]`."""
        return torch.arange(self.window).unsqueeze(1) - torch.arange(keys) + keys - 1

    def enlarged(self, windows: int) -> Tensor:
        """The rows, or columns, of all enlarged windows, one window after the other."""
        around = torch.arange(-self.expand, self.window + self.expand)
        starts = self.window * torch.arange(windows).unsqueeze(1)
        return ((starts + around) % (self.window * windows)).flatten()

    def cells_of_ring(self) -> Tensor:
        """The cells of the enlarged window that the ring's slots hold.

        They are those of four windows, displaced by the ring's depth down or up and right or left, that are
        not the window's own.
        """
        side = self.window + 2 * self.expand
        cells = torch.arange(side**2).view(side, side)
        near, middle, far = (slice(start, start + self.window) for start in (0, self.expand, 2 * self.expand))
        displaced = [cells[down, right].flatten() for down in (far, near) for right in (far, near)]
        own = cells[middle, middle].flatten()
        return torch.cat([some[torch.isin(some, own, invert=True)] for some in displaced])


plain_focal = replace(focal, name="plain-focal", title="Focal, plain", build=PlainFocal)
