"""HiLo: some heads attend inside windows, the others to the means of windows, with a projection for each."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.hilo import hilo

from ._pieces import cropped, cut, heads_of, joined, laid, padded_map, softmax_attention


class PlainHiLo(nn.Module):
    """out = [heads inside windows ; heads on means] along the channels."""

    def __init__(self, geometry: Geometry, alpha: float, window: int, pooled_queries: bool = False) -> None:
        super().__init__()
        self.geometry = geometry
        self.window = window
        self.pooled_queries = pooled_queries
        self.coarse_heads = int(geometry.heads * alpha) if window > 1 else geometry.heads
        self.fine_heads = geometry.heads - self.coarse_heads
        c = geometry.dim
        coarse, fine = self.coarse_heads * geometry.head_dim, self.fine_heads * geometry.head_dim
        if coarse:
            self.l_q = nn.Linear(c, coarse)
            self.l_kv = nn.Linear(c, 2 * coarse)
            self.l_proj = nn.Linear(coarse, coarse)
        if fine:
            self.h_qkv = nn.Linear(c, 3 * fine)
            self.h_proj = nn.Linear(fine, fine)

    def inside_windows(self, grid: Tensor) -> Tensor:
        """Attention of each window to itself: `[B, H, W, C]` to `[B, H, W, channels]`."""
        s = self.window
        q, k, v = heads_of(self.h_qkv(cut(grid, s, s)), 3, self.fine_heads)  # each [B, M, heads, s², D]
        windows = self.h_proj(joined(softmax_attention(q, k, v)))
        return laid(windows, s, s, grid.shape[2])

    def on_means(self, grid: Tensor) -> Tensor:
        """Attention of all tokens to the mean of each window: `[B, H, W, C]` to `[B, H, W, channels]`."""
        image = grid.movedim(3, 1)
        means = F.avg_pool2d(image, self.window) if self.window > 1 else image
        k, v = heads_of(self.l_kv(means.flatten(2).mT), 2, self.coarse_heads)  # each [B, heads, M, D]
        if self.pooled_queries and self.window > 1:
            (q,) = heads_of(self.l_q(means.flatten(2).mT), 1, self.coarse_heads)
            coarse = self.l_proj(joined(softmax_attention(q, k, v))).mT.unflatten(2, means.shape[2:])
            return F.interpolate(coarse, scale_factor=self.window, mode="bilinear").movedim(1, 3)
        q = self.l_q(grid).unflatten(3, (self.coarse_heads, -1)).flatten(1, 2)  # [B, N, heads, D]
        # Not `softmax_attention`, which scales the queries: keys are fewer here.
        weights = torch.softmax(q.transpose(1, 2) @ (k * self.geometry.head_dim**-0.5).mT, dim=-1)
        return self.l_proj(joined(weights @ v)).unflatten(1, grid.shape[1:3])

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        grid = padded_map(tokens, self.geometry, self.window, self.window)
        parts = [self.inside_windows(grid)] if self.fine_heads else []
        parts += [self.on_means(grid)] if self.coarse_heads else []
        channels = torch.cat(parts, dim=-1) if len(parts) == 2 else parts[0]
        return cropped(channels, self.geometry)


plain_hilo = replace(hilo, name="plain-hilo", title="HiLo, plain", build=PlainHiLo)
