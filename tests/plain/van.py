"""VAN's large-kernel attention as 2-d convolutions on a channels-first map."""

from dataclasses import replace

import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.van import van


class PlainVan(nn.Module):
    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.height, self.width = geometry.height, geometry.width
        dim = geometry.dim
        self.proj_1 = nn.Conv2d(dim, dim, 1)
        self.depthwise = nn.Conv2d(dim, dim, 5, padding=2, groups=dim)
        self.dilated = nn.Conv2d(dim, dim, 7, padding=9, dilation=3, groups=dim)
        self.point = nn.Conv2d(dim, dim, 1)
        self.proj_2 = nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        x = x.transpose(1, 2).reshape(b, c, self.height, self.width)
        shortcut = x
        u = F.gelu(self.proj_1(x))
        attention = self.point(self.dilated(self.depthwise(u)))
        x = self.proj_2(u * attention) + shortcut
        return x.reshape(b, c, n).transpose(1, 2)


plain_van = replace(van, name="plain-van", title="VAN, plain", build=PlainVan)
