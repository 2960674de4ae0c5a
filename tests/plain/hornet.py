"""HorNet's recursive gated convolution as 2-d convolutions on a channels-first map."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.hornet import hornet


class PlainHorNet(nn.Module):
    def __init__(self, geometry: Geometry, order: int) -> None:
        super().__init__()
        self.height, self.width = geometry.height, geometry.width
        dim = geometry.dim
        self.dims = [dim // 2**i for i in range(order)][::-1]
        self.scale = 1 / 3
        self.proj_in = nn.Conv2d(dim, 2 * dim, 1)
        self.depthwise = nn.Conv2d(sum(self.dims), sum(self.dims), 7, padding=3, groups=sum(self.dims))
        self.gates = nn.ModuleList(nn.Conv2d(self.dims[i], self.dims[i + 1], 1) for i in range(order - 1))
        self.proj_out = nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        x = x.transpose(1, 2).reshape(b, c, self.height, self.width)
        p, q = torch.split(self.proj_in(x), [self.dims[0], sum(self.dims)], dim=1)
        q = self.depthwise(q) * self.scale
        qs = torch.split(q, self.dims, dim=1)
        x = p * qs[0]
        for gate, q in zip(self.gates, qs[1:], strict=True):
            x = gate(x) * q
        x = self.proj_out(x)
        return x.reshape(b, c, n).transpose(1, 2)


plain_hornet = replace(hornet, name="plain-hornet", title="HorNet, plain", build=PlainHorNet)
