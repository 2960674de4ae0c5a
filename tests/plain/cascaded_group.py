"""Cascaded Group: heads inside windows, each of which adds the output of the last one to its input."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.cascaded_group import cascaded_group

from ._pieces import cropped, cut, laid, padded_map


class PlainHead(nn.Module):
    """One head, on windows as images `[windows, D, w, w]`."""

    def __init__(self, channels: int, key: int, kernel: int) -> None:
        super().__init__()
        self.sizes = (key, key, channels)
        self.qkv = nn.Conv2d(channels, sum(self.sizes), kernel_size=1, bias=False)
        self.norm = nn.BatchNorm2d(sum(self.sizes))
        self.local = nn.Conv2d(key, key, kernel, padding=kernel // 2, groups=key, bias=False)
        self.local_norm = nn.BatchNorm2d(key)

    def forward(self, images: Tensor, bias: Tensor) -> Tensor:
        q, k, v = self.norm(self.qkv(images)).split(self.sizes, dim=1)
        q = self.local_norm(self.local(q))
        q, k, v = (part.flatten(2) for part in (q, k, v))  # each [windows, channels, w²]
        weights = torch.softmax((q * q.shape[1] ** -0.5).mT @ k + bias, dim=-1)
        return (v @ weights.mT).view_as(images)


class PlainCascadedGroup(nn.Module):
    steps: Tensor

    def __init__(self, geometry: Geometry, window: int, key: int) -> None:
        super().__init__()
        self.geometry = geometry
        self.window = min(window, geometry.height, geometry.width)
        kernels = [7, 5, *[3] * geometry.heads][: geometry.heads]
        self.heads = nn.ModuleList(PlainHead(geometry.head_dim, key, kernel) for kernel in kernels)
        self.table = nn.Parameter(torch.zeros(geometry.heads, self.window**2))
        self.proj = nn.Conv2d(geometry.dim, geometry.dim, kernel_size=1, bias=False)
        self.proj_norm = nn.BatchNorm2d(geometry.dim)

        line = torch.arange(self.window)
        places = torch.cartesian_prod(line, line)
        apart = (places.unsqueeze(1) - places).abs()  # [w², w², 2]
        self.register_buffer("steps", apart[..., 0] * self.window + apart[..., 1], persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        w = self.window
        grid = padded_map(tokens, self.geometry, w, w)
        images = cut(grid, w, w).flatten(0, 1).mT.unflatten(2, (w, w))  # [B · windows, C, w, w]
        biases = self.table[:, self.steps]

        outs: list[Tensor] = []
        for i, share in enumerate(images.chunk(self.geometry.heads, dim=1)):
            outs.append(self.heads[i](share + outs[-1] if i else share, biases[i]))
        images = self.proj_norm(self.proj(F.relu(torch.cat(outs, dim=1))))
        windows = images.flatten(2).mT.unflatten(0, (len(tokens), -1))
        return cropped(laid(windows, w, w, grid.shape[2]), self.geometry)


plain_cascaded_group = replace(
    cascaded_group, name="plain-cascaded-group", title="Cascaded Group, plain", build=PlainCascadedGroup
)
