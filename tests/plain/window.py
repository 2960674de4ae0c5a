"""Local and Shifted Window as Swin code usually has them: pad, roll, partition, attend, reverse, roll, crop.

The shift's mask is built once, at construction.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.window import local_window, shifted_window


def window_partition(x: Tensor, window: int) -> Tensor:
    """[B, H, W, C] to [B · windows, window², C]."""
    b, h, w, c = x.shape
    x = x.view(b, h // window, window, w // window, window, c)
    return x.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, window * window, c)


def window_reverse(windows: Tensor, window: int, h: int, w: int) -> Tensor:
    """[B · windows, window², C] to [B, H, W, C]."""
    b = windows.shape[0] // (h // window * w // window)
    x = windows.view(b, h // window, w // window, window, window, -1)
    return x.permute(0, 1, 3, 2, 4, 5).contiguous().view(b, h, w, -1)


class PlainWindow(nn.Module):
    mask: Tensor | None

    def __init__(self, geometry: Geometry, window: int, shift: int, mask: float = -100.0) -> None:
        super().__init__()
        self.height, self.width = geometry.height, geometry.width
        self.missing_rows, self.missing_columns = -geometry.height % window, -geometry.width % window
        self.window = window
        self.shift = shift
        self.heads = geometry.heads
        self.scale = geometry.head_dim**-0.5
        self.qkv = nn.Linear(geometry.dim, 3 * geometry.dim)
        self.proj = nn.Linear(geometry.dim, geometry.dim)
        self.register_buffer("mask", self.build_mask(mask) if shift > 0 else None, persistent=False)

    def build_mask(self, masked: float) -> Tensor:
        labels = torch.zeros(1, self.height + self.missing_rows, self.width + self.missing_columns, 1)
        parts = (slice(0, -self.window), slice(-self.window, -self.shift), slice(-self.shift, None))
        label = 0
        for rows in parts:
            for columns in parts:
                labels[:, rows, columns, :] = label
                label += 1
        windows = window_partition(labels, self.window).squeeze(-1)
        difference = windows.unsqueeze(1) - windows.unsqueeze(2)
        return difference.masked_fill(difference != 0, masked).masked_fill(difference == 0, 0.0)

    def attend(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        qkv = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        attention = (q * self.scale) @ k.transpose(-2, -1)
        if self.mask is not None:
            windows = self.mask.shape[0]
            attention = attention.view(-1, windows, self.heads, n, n) + self.mask.unsqueeze(1).unsqueeze(0)
            attention = attention.view(-1, self.heads, n, n)
        attention = attention.softmax(dim=-1)
        out = (attention @ v).transpose(1, 2).reshape(b, n, c)
        projected: Tensor = self.proj(out)
        return projected

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        x = x.view(b, self.height, self.width, c)
        if self.missing_rows or self.missing_columns:
            x = F.pad(x, (0, 0, 0, self.missing_columns, 0, self.missing_rows))
        h, w = x.shape[1:3]
        if self.shift > 0:
            x = torch.roll(x, shifts=(-self.shift, -self.shift), dims=(1, 2))
        x = self.attend(window_partition(x, self.window))
        x = window_reverse(x, self.window, h, w)
        if self.shift > 0:
            x = torch.roll(x, shifts=(self.shift, self.shift), dims=(1, 2))
        if self.missing_rows or self.missing_columns:
            x = x[:, : self.height, : self.width, :].contiguous()
        return x.view(b, n, c)


plain_local_window = replace(
    local_window, name="plain-local-window", title="Local Window, plain", build=PlainWindow
)
plain_shifted_window = replace(
    shifted_window, name="plain-shifted-window", title="Shifted Window, plain", build=PlainWindow
)
