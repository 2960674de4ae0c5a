"""SRA as pyramid transformers usually write it; any map with at least one whole block."""

from dataclasses import replace

from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.sra import sra


class PlainSra(nn.Module):
    def __init__(self, geometry: Geometry, reduction: int) -> None:
        super().__init__()
        self.height, self.width = geometry.height, geometry.width
        self.heads = geometry.heads
        self.scale = geometry.head_dim**-0.5
        self.reduction = reduction
        self.q = nn.Linear(geometry.dim, geometry.dim)
        self.kv = nn.Linear(geometry.dim, 2 * geometry.dim)
        if reduction > 1:
            self.reduce = nn.Conv2d(geometry.dim, geometry.dim, reduction, stride=reduction)
            self.norm = nn.LayerNorm(geometry.dim)
        self.proj = nn.Linear(geometry.dim, geometry.dim)

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        q = self.q(x).reshape(b, n, self.heads, c // self.heads).permute(0, 2, 1, 3)
        if self.reduction > 1:
            x = x.permute(0, 2, 1).reshape(b, c, self.height, self.width)
            x = self.reduce(x).reshape(b, c, -1).permute(0, 2, 1)
            x = self.norm(x)
        kv = self.kv(x).reshape(b, -1, 2, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        k, v = kv.unbind(0)
        attention = (q @ k.transpose(-2, -1)) * self.scale
        attention = attention.softmax(dim=-1)
        out = (attention @ v).transpose(1, 2).reshape(b, n, c)
        return self.proj(out)


plain_sra = replace(sra, name="plain-sra", title="SRA, plain", build=PlainSra)
