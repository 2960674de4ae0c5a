"""DAT as deformable attention is usually written: channels first, 1×1 convolutions, grid_sample, einsum.

Reference points and offset ranges are made anew in every forward pass, as in the code of the paper.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.dat import dat


class PlainDat(nn.Module):
    def __init__(self, geometry: Geometry, groups: int, kernel: int, reach: float) -> None:
        super().__init__()
        self.height, self.width = geometry.height, geometry.width
        self.heads, self.groups, self.reach = geometry.heads, groups, reach
        self.scale = geometry.head_dim**-0.5
        self.q = nn.Conv2d(geometry.dim, geometry.dim, 1)
        self.k = nn.Conv2d(geometry.dim, geometry.dim, 1)
        self.v = nn.Conv2d(geometry.dim, geometry.dim, 1)
        self.proj = nn.Conv2d(geometry.dim, geometry.dim, 1)

        c = geometry.dim // groups
        self.offset_depthwise = nn.Conv2d(c, c, kernel, padding=kernel // 2, groups=c)
        self.offset_norm = nn.LayerNorm(c)
        self.offset_point = nn.Conv2d(c, 2, 1, bias=False)
        self.table = nn.Parameter(torch.empty(self.heads, 2 * self.height - 1, 2 * self.width - 1))
        nn.init.trunc_normal_(self.table, std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        x = x.transpose(1, 2).reshape(b, c, self.height, self.width)
        q = self.q(x)

        reference = self.reference_points(x)  # [H, W, 2], (y, x)
        position = reference + self.offsets(q)  # [B · groups, H, W, 2]
        sampled = F.grid_sample(
            x.reshape(b * self.groups, c // self.groups, self.height, self.width),
            position.flip(-1),
            mode="bilinear",
            align_corners=True,
        )
        sampled = sampled.reshape(b, c, self.height, self.width)

        q = q.reshape(b * self.heads, c // self.heads, n)
        k = self.k(sampled).reshape(b * self.heads, c // self.heads, n)
        v = self.v(sampled).reshape(b * self.heads, c // self.heads, n)
        attention = torch.einsum("bdm,bdn->bmn", q, k) * self.scale
        attention = attention + self.bias(reference, position).reshape(b * self.heads, n, n)
        attention = attention.softmax(dim=2)
        out = torch.einsum("bmn,bdn->bdm", attention, v).reshape(b, c, self.height, self.width)
        return self.proj(out).flatten(2).transpose(1, 2)

    def reference_points(self, x: Tensor) -> Tensor:
        rows = torch.arange(self.height, dtype=x.dtype, device=x.device) + 0.5
        columns = torch.arange(self.width, dtype=x.dtype, device=x.device) + 0.5
        y, x = torch.meshgrid(rows / self.height * 2 - 1, columns / self.width * 2 - 1, indexing="ij")
        return torch.stack((y, x), dim=-1)

    def offsets(self, q: Tensor) -> Tensor:
        """Offsets `[B · groups, H, W, 2]` of the queries `[B, C, H, W]`."""
        q = q.reshape(-1, q.shape[1] // self.groups, self.height, self.width)
        hidden = self.offset_depthwise(q).permute(0, 2, 3, 1)
        hidden = F.gelu(self.offset_norm(hidden).permute(0, 3, 1, 2))
        ranges = torch.tensor([1 / self.height, 1 / self.width], dtype=q.dtype, device=q.device)
        offset = self.offset_point(hidden).tanh() * ranges.reshape(1, 2, 1, 1) * self.reach
        return offset.permute(0, 2, 3, 1)

    def bias(self, reference: Tensor, position: Tensor) -> Tensor:
        """The table at half of each query's distance from each sample, `[B · groups, h / groups, N, N]`."""
        distance = (reference.reshape(1, -1, 1, 2) - position.reshape(len(position), 1, -1, 2)) * 0.5
        table = self.table.reshape(self.groups, self.heads // self.groups, *self.table.shape[1:])
        table = table.repeat(len(position) // self.groups, 1, 1, 1)
        return F.grid_sample(table, distance.flip(-1), mode="bilinear", align_corners=True)


plain_dat = replace(dat, name="plain-dat", title="DAT, plain", build=PlainDat)
