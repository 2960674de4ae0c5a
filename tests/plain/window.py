"""Local and Shifted Window: tokens attend to those of their window, which a shift moves against the map.

A shift rolls the input and rolls the output back; what only the roll made neighbours, a mask keeps apart.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.window import local_window, shifted_window

from ._pieces import cropped, cut, heads_of, joined, laid, padded_map, softmax_attention


class PlainWindow(nn.Module):
    mask: Tensor | None

    def __init__(self, geometry: Geometry, window: int, shift: int, mask: float = -100.0) -> None:
        super().__init__()
        self.geometry = geometry
        self.window = window
        self.shift = shift
        self.qkv = nn.Linear(geometry.dim, 3 * geometry.dim)
        self.proj = nn.Linear(geometry.dim, geometry.dim)
        self.register_buffer("mask", self.between_strangers(mask) if shift else None, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        grid = padded_map(x, self.geometry, self.window, self.window)
        width = grid.shape[2]
        if self.shift:
            grid = grid.roll((-self.shift, -self.shift), dims=(1, 2))
        q, k, v = heads_of(self.qkv(cut(grid, self.window, self.window)), 3, self.geometry.heads)
        out = joined(softmax_attention(q, k, v, self.mask))
        grid = laid(self.proj(out), self.window, self.window, width)
        if self.shift:
            grid = grid.roll((self.shift, self.shift), dims=(1, 2))
        return cropped(grid, self.geometry)

    def between_strangers(self, value: float) -> Tensor:
        """`value` for tokens of one window from two regions of the rolled map: `[windows, 1, w², w²]`."""
        rows, columns = self.bands(self.geometry.height), self.bands(self.geometry.width)
        pairs = torch.cartesian_prod(rows, columns).view(1, len(rows), len(columns), 2)
        regions = cut(pairs, self.window, self.window).squeeze(0)  # [windows, w², 2]
        strangers = (regions.unsqueeze(1) != regions.unsqueeze(2)).any(dim=-1)
        return torch.zeros(strangers.shape).masked_fill(strangers, value).unsqueeze(1)

    def bands(self, length: int) -> Tensor:
        """Which of three bands each row or column is in: before the last window, in it, or rolled into it."""
        padded = length + -length % self.window
        sizes = torch.tensor([padded - self.window, self.window - self.shift, self.shift])
        return torch.arange(3).repeat_interleave(sizes)


plain_local_window = replace(
    local_window, name="plain-local-window", title="Local Window, plain", build=PlainWindow
)
plain_shifted_window = replace(
    shifted_window, name="plain-shifted-window", title="Shifted Window, plain", build=PlainWindow
)
