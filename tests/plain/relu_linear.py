"""ReLU Linear: linear attention of the projections and, in heads beside them, of convolved projections."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.relu_linear import relu_linear


class PlainReluLinear(nn.Module):
    """All of it on maps `[B, channels, H, W]`."""

    def __init__(self, geometry: Geometry, scale: int, eps: float) -> None:
        super().__init__()
        self.geometry = geometry
        self.eps = eps
        c = geometry.dim
        self.qkv = nn.Conv2d(c, 3 * c, 1, bias=False)
        self.around = nn.Conv2d(3 * c, 3 * c, scale, padding=scale // 2, groups=3 * c, bias=False)
        self.mixed = nn.Conv2d(3 * c, 3 * c, 1, groups=3 * geometry.heads, bias=False)
        self.proj = nn.Conv2d(2 * c, c, 1, bias=False)
        self.norm = nn.BatchNorm2d(c)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        image = tokens.mT.unflatten(2, (self.geometry.height, self.geometry.width))
        qkv = self.qkv(image)
        both = torch.cat([qkv, self.mixed(self.around(qkv))], dim=1)  # [B, 6C, H, W]

        # Channels before tokens, as they lie: all products are transposed.
        heads = both.flatten(2).unflatten(1, (2 * self.geometry.heads, -1))  # [B, 2 · heads, 3D, N]
        q, k, v = heads.chunk(3, dim=2)
        q, k, v = F.relu(q), F.relu(k), F.pad(v, (0, 0, 0, 1), value=1.0)
        out = (v @ k.mT) @ q  # [B, 2 · heads, D + 1, N]
        out = out[:, :, :-1] / (out[:, :, -1:] + self.eps)

        image = out.flatten(1, 2).unflatten(2, image.shape[2:])
        return self.norm(self.proj(image)).flatten(2).mT


plain_relu_linear = replace(
    relu_linear, name="plain-relu-linear", title="ReLU Linear, plain", build=PlainReluLinear
)
