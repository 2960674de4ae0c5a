"""MSA as the usual ViT code writes it."""

from dataclasses import replace

from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.msa import msa


class PlainMsa(nn.Module):
    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.heads = geometry.heads
        self.scale = geometry.head_dim**-0.5
        self.qkv = nn.Linear(geometry.dim, 3 * geometry.dim)
        self.proj = nn.Linear(geometry.dim, geometry.dim)

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        qkv = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        attention = (q @ k.transpose(-2, -1)) * self.scale
        attention = attention.softmax(dim=-1)
        out = (attention @ v).transpose(1, 2).reshape(b, n, c)
        return self.proj(out)


plain_msa = replace(msa, name="plain-msa", title="MSA, plain", build=PlainMsa)
