"""XCA as cross-covariance code is usually written."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.xca import xca


class PlainXca(nn.Module):
    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.heads = geometry.heads
        self.qkv = nn.Linear(geometry.dim, 3 * geometry.dim)
        self.temperature = nn.Parameter(torch.ones(geometry.heads, 1, 1))
        self.proj = nn.Linear(geometry.dim, geometry.dim)

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        qkv = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 4, 1)
        q, k, v = qkv.unbind(0)  # each [B, heads, D, N]
        q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
        attention = (q @ k.transpose(-2, -1)) * self.temperature
        attention = attention.softmax(dim=-1)
        out = (attention @ v).permute(0, 3, 1, 2).reshape(b, n, c)
        return self.proj(out)


plain_xca = replace(xca, name="plain-xca", title="XCA, plain", build=PlainXca)
