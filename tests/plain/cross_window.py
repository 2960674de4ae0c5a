"""Cross Window with stripes cut and merged by view, permute and contiguous, as CSWin code usually does it."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.cross_window import cross_window


def map_to_stripes(x: Tensor, rows: int, columns: int) -> Tensor:
    """[B, C, H, W] to [B · stripes, rows · columns, C]."""
    b, c, h, w = x.shape
    x = x.view(b, c, h // rows, rows, w // columns, columns)
    return x.permute(0, 2, 4, 3, 5, 1).contiguous().reshape(-1, rows * columns, c)


def stripes_to_map(x: Tensor, rows: int, columns: int, h: int, w: int) -> Tensor:
    """[B · stripes, rows · columns, C] to [B, H, W, C]."""
    b = x.shape[0] // (h // rows * w // columns)
    x = x.view(b, h // rows, w // columns, rows, columns, -1)
    return x.permute(0, 1, 3, 2, 4, 5).contiguous().view(b, h, w, -1)


class PlainCrossWindow(nn.Module):
    def __init__(self, geometry: Geometry, stripe: int) -> None:
        super().__init__()
        self.height, self.width = geometry.height, geometry.width
        self.stripe = stripe
        self.branch_heads = geometry.heads // 2
        self.scale = geometry.head_dim**-0.5
        half = geometry.dim // 2
        self.qkv = nn.Linear(geometry.dim, 3 * geometry.dim)
        self.lepe = nn.ModuleList(nn.Conv2d(half, half, 3, padding=1, groups=half) for _ in range(2))
        self.proj = nn.Linear(geometry.dim, geometry.dim)

    def to_heads(self, x: Tensor, rows: int, columns: int) -> Tensor:
        x = map_to_stripes(x, rows, columns)
        s, n, c = x.shape
        return x.reshape(s, n, self.branch_heads, c // self.branch_heads).permute(0, 2, 1, 3).contiguous()

    def values_and_lepe(self, v: Tensor, rows: int, columns: int, conv: nn.Module) -> tuple[Tensor, Tensor]:
        b, c, h, w = v.shape
        v = v.view(b, c, h // rows, rows, w // columns, columns)
        v = v.permute(0, 2, 4, 1, 3, 5).contiguous().reshape(-1, c, rows, columns)
        lepe = conv(v)
        d = c // self.branch_heads
        lepe = lepe.reshape(-1, self.branch_heads, d, rows * columns).permute(0, 1, 3, 2).contiguous()
        v = v.reshape(-1, self.branch_heads, d, rows * columns).permute(0, 1, 3, 2).contiguous()
        return v, lepe

    def branch(self, qkv: Tensor, rows: int, columns: int, conv: nn.Module) -> Tensor:
        """Attention of packed q, k, v [3, B, C / 2, H, W] in stripes of rows × columns; [B, H, W, C / 2]."""
        missing_rows, missing_columns = -self.height % rows, -self.width % columns
        top, left = missing_rows // 2, missing_columns // 2
        if missing_rows or missing_columns:
            qkv = F.pad(qkv, (left, missing_columns - left, top, missing_rows - top))
        h, w = qkv.shape[-2:]

        q, k = self.to_heads(qkv[0], rows, columns), self.to_heads(qkv[1], rows, columns)
        v, lepe = self.values_and_lepe(qkv[2], rows, columns, conv)
        attention = (q * self.scale) @ k.transpose(-2, -1)
        attention = attention.softmax(dim=-1)
        out = attention @ v + lepe
        out = out.transpose(1, 2).reshape(-1, rows * columns, self.branch_heads * v.shape[-1])

        out = stripes_to_map(out, rows, columns, h, w)
        if missing_rows or missing_columns:
            out = out[:, top : top + self.height, left : left + self.width, :]
        return out

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        qkv = self.qkv(x).reshape(b, n, 3, c).permute(2, 0, 3, 1)
        qkv = qkv.contiguous().view(3, b, c, self.height, self.width)
        vertical = self.branch(qkv[:, :, : c // 2], self.height, self.stripe, self.lepe[0])
        horizontal = self.branch(qkv[:, :, c // 2 :], self.stripe, self.width, self.lepe[1])
        out: Tensor = self.proj(torch.cat([vertical, horizontal], dim=-1).reshape(b, n, c))
        return out


plain_cross_window = replace(
    cross_window, name="plain-cross-window", title="Cross Window, plain", build=PlainCrossWindow
)
