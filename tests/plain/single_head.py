"""Single-Head: one head mixes the first channels of the map; a projection joins them and the others."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.single_head import single_head

from ._pieces import softmax_attention


class PlainSingleHead(nn.Module):
    """out = BN(proj(ReLU([softmax(q kᵀ / √key) v ; x₂]))), with q, k and v from the first channels."""

    def __init__(self, geometry: Geometry, part: float, key: int) -> None:
        super().__init__()
        self.size = (geometry.height, geometry.width)
        c, p = geometry.dim, int(geometry.dim * part)
        self.parts = (p, c - p)
        self.widths = (key, key, p)
        self.norm = nn.GroupNorm(1, p)
        self.qkv = nn.Conv2d(p, 2 * key + p, kernel_size=1, bias=False)
        self.qkv_norm = nn.BatchNorm2d(2 * key + p)
        self.proj = nn.Conv2d(c, c, kernel_size=1, bias=False)
        self.proj_norm = nn.BatchNorm2d(c)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        image = tokens.mT.unflatten(2, self.size)  # [B, C, H, W]
        mixed, others = image.split(self.parts, dim=1)
        qkv = self.qkv_norm(self.qkv(self.norm(mixed)))
        q, k, v = (x.mT for x in qkv.flatten(2).split(self.widths, dim=1))  # each [B, N, channels]
        mixed = softmax_attention(q, k, v).mT.unflatten(2, self.size)
        joined = F.relu(torch.cat([mixed, others], dim=1))
        return self.proj_norm(self.proj(joined)).flatten(2).mT


plain_single_head = replace(
    single_head, name="plain-single-head", title="Single-Head, plain", build=PlainSingleHead
)
