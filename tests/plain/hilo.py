"""HiLo as two branches on the map, each in the usual attention code."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.hilo import hilo


class PlainHiLo(nn.Module):
    def __init__(self, geometry: Geometry, alpha: float, window: int) -> None:
        super().__init__()
        self.height, self.width = geometry.height, geometry.width
        self.window = window
        self.low_heads = geometry.heads if window == 1 else int(geometry.heads * alpha)
        self.high_heads = geometry.heads - self.low_heads
        self.scale = geometry.head_dim**-0.5
        low_dim = self.low_heads * geometry.head_dim
        high_dim = self.high_heads * geometry.head_dim
        if self.low_heads > 0:
            self.pool = nn.AvgPool2d(window, window) if window > 1 else nn.Identity()
            self.l_q = nn.Linear(geometry.dim, low_dim)
            self.l_kv = nn.Linear(geometry.dim, 2 * low_dim)
            self.l_proj = nn.Linear(low_dim, low_dim)
        if self.high_heads > 0:
            self.h_qkv = nn.Linear(geometry.dim, 3 * high_dim)
            self.h_proj = nn.Linear(high_dim, high_dim)

    def hifi(self, x: Tensor) -> Tensor:
        b, h, w, c = x.shape
        s = self.window
        rows, columns = h // s, w // s
        x = x.reshape(b, rows, s, columns, s, c).transpose(2, 3)
        qkv = (
            self.h_qkv(x).reshape(b, rows * columns, s * s, 3, self.high_heads, -1).permute(3, 0, 1, 4, 2, 5)
        )
        q, k, v = qkv[0], qkv[1], qkv[2]
        attention = (q @ k.transpose(-2, -1)) * self.scale
        attention = attention.softmax(dim=-1)
        out = (attention @ v).transpose(2, 3).reshape(b, rows, columns, s, s, -1)
        out = out.transpose(2, 3).reshape(b, h, w, -1)
        projected: Tensor = self.h_proj(out)
        return projected

    def lofi(self, x: Tensor) -> Tensor:
        b, h, w, c = x.shape
        q = self.l_q(x).reshape(b, h * w, self.low_heads, -1).permute(0, 2, 1, 3)
        pooled = self.pool(x.permute(0, 3, 1, 2)).reshape(b, c, -1).permute(0, 2, 1)
        kv = self.l_kv(pooled).reshape(b, -1, 2, self.low_heads, q.shape[-1]).permute(2, 0, 3, 1, 4)
        k, v = kv[0], kv[1]
        attention = (q @ k.transpose(-2, -1)) * self.scale
        attention = attention.softmax(dim=-1)
        out = (attention @ v).transpose(1, 2).reshape(b, h, w, -1)
        projected: Tensor = self.l_proj(out)
        return projected

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        x = x.reshape(b, self.height, self.width, c)
        missing_rows, missing_columns = -self.height % self.window, -self.width % self.window
        if missing_rows or missing_columns:
            x = F.pad(x, (0, 0, 0, missing_columns, 0, missing_rows))
        if self.high_heads == 0:
            out = self.lofi(x)
        elif self.low_heads == 0:
            out = self.hifi(x)
        else:
            out = torch.cat((self.hifi(x), self.lofi(x)), dim=-1)
        if missing_rows or missing_columns:
            out = out[:, : self.height, : self.width, :]
        return out.reshape(b, n, c)


plain_hilo = replace(hilo, name="plain-hilo", title="HiLo, plain", build=PlainHiLo)
