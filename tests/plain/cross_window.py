"""Cross Window: half of the heads attend in stripes as high as the map, half in stripes as broad as it.

Either kind of stripe splits one side of the map only: no windows have to be cut.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.cross_window import cross_window

from ._pieces import joined, softmax_attention

ROWS, COLUMNS = 1, 2  # the dimensions of a map `[B, H, W, …]`


class PlainCrossWindow(nn.Module):
    def __init__(self, geometry: Geometry, stripe: int) -> None:
        super().__init__()
        self.geometry = geometry
        self.stripe = stripe
        half = geometry.dim // 2
        self.qkv = nn.Linear(geometry.dim, 3 * geometry.dim)
        self.lepe = nn.ModuleList(nn.Conv2d(half, half, 3, padding=1, groups=half) for _ in range(2))
        self.proj = nn.Linear(geometry.dim, geometry.dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        sizes = (self.geometry.height, self.geometry.width)
        vertical, horizontal = self.qkv(x).unflatten(1, sizes).unflatten(-1, (3, 2, -1)).unbind(-2)
        halves = (
            self.in_stripes(vertical, COLUMNS, self.lepe[0]),
            self.in_stripes(horizontal, ROWS, self.lepe[1]),
        )
        return self.proj(torch.cat(halves, dim=-1).flatten(1, 2))

    def in_stripes(self, packed: Tensor, side: int, lepe: nn.Module) -> Tensor:
        """Attention in stripes that split a side of `[B, H, W, 3, C/2]`: a map `[B, H, W, C/2]`."""
        length = packed.shape[side]
        missing = -length % self.stripe
        before = missing // 2
        if missing:
            around = (before, missing - before)
            packed = F.pad(packed, (0, 0, 0, 0, *around) if side == COLUMNS else (0, 0, 0, 0, 0, 0, *around))

        stripes = packed.unflatten(side, (-1, self.stripe)).movedim(side, 1)  # [B, stripes, rows, columns, …]
        q, k, v = (self.heads(part) for part in stripes.unbind(-2))
        local = self.local(stripes.select(-2, 2), lepe)
        out = joined(softmax_attention(q, k, v)).view_as(local) + local

        whole = out.movedim(1, side).flatten(side, side + 1)
        return whole.narrow(side, before, length)

    def heads(self, part: Tensor) -> Tensor:
        """Stripes `[B, stripes, rows, columns, C/2]` as heads `[B, stripes, heads, N, D]`."""
        return part.unflatten(-1, (self.geometry.heads // 2, -1)).movedim(-2, 2).flatten(3, 4)

    def local(self, v: Tensor, lepe: nn.Module) -> Tensor:
        """The local encoding of values `[B, stripes, rows, columns, C/2]`, each stripe an image."""
        images = v.flatten(0, 1).movedim(-1, 1)
        return lepe(images).movedim(1, -1).unflatten(0, v.shape[:2])


plain_cross_window = replace(
    cross_window, name="plain-cross-window", title="Cross Window, plain", build=PlainCrossWindow
)
