"""VAN: a map of features times a gate, which three convolutions in a row make of the same features."""

from dataclasses import replace

import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.van import van


class PlainVan(nn.Module):
    """out = proj_2(u ⊙ gate(u)) + tokens, where u = GELU(proj_1(tokens))."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.size = (geometry.height, geometry.width)
        c = geometry.dim
        self.proj_1 = nn.Conv2d(c, c, kernel_size=1)
        self.depthwise = nn.Conv2d(c, c, kernel_size=5, padding=2, groups=c)
        self.dilated = nn.Conv2d(c, c, kernel_size=7, padding=9, dilation=3, groups=c)
        self.point = nn.Conv2d(c, c, kernel_size=1)
        self.proj_2 = nn.Conv2d(c, c, kernel_size=1)

    def gate(self, features: Tensor) -> Tensor:
        """The large kernel, taken apart: `[B, C, H, W]` to `[B, C, H, W]`."""
        for convolution in (self.depthwise, self.dilated, self.point):
            features = convolution(features)
        return features

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        image = tokens.mT.unflatten(2, self.size)  # [B, C, H, W]
        features = F.gelu(self.proj_1(image))
        mixed = self.proj_2(self.gate(features) * features)
        return mixed.flatten(2).mT + tokens


plain_van = replace(van, name="plain-van", title="VAN, plain", build=PlainVan)
