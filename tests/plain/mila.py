"""MILA: linear attention with rotated queries and keys, where Mamba's block has a scan."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.mila import mila

from ._pieces import heads_of, joined


class PlainMila(nn.Module):
    """out = proj((attention(u) + lepe(u)) ⊙ SiLU(gate(tokens))), u = SiLU(depthwise(value(tokens)))."""

    cos: Tensor
    sin: Tensor

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.geometry = geometry
        c = geometry.dim
        self.value = nn.Linear(c, c)
        self.gate = nn.Linear(c, c)
        self.depthwise = nn.Conv2d(c, c, kernel_size=3, padding=1, groups=c)
        self.qk = nn.Linear(c, 2 * c)
        self.lepe = nn.Conv2d(c, c, kernel_size=3, padding=1, groups=c)
        self.proj = nn.Linear(c, c)
        angles = angles_of(geometry)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def attention(self, u: Tensor) -> Tensor:
        """Linear attention of u to itself: `[B, N, C]` to `[B, N, C]`."""
        heads = self.geometry.heads
        q, k = (F.elu(self.qk(u)) + 1).chunk(2, dim=-1)
        turned_q, turned_k = (heads_of(self.rotated(y), 1, heads)[0] for y in (q, k))
        q, k, v = (heads_of(y, 1, heads)[0] for y in (q, k, u))  # each [B, heads, N, D]
        norm = q @ k.mean(dim=-2, keepdim=True).mT + 1e-6  # [B, heads, N, 1]
        return joined(turned_q @ (turned_k.mT @ (v / v.shape[-2])) / norm)

    def rotated(self, tokens: Tensor) -> Tensor:
        """Each two neighbouring channels as a complex number, turned: `[B, N, C]` to `[B, N, C]`."""
        wide = torch.float32 if tokens.dtype.itemsize < 4 else tokens.dtype  # as complex numbers want
        points = torch.view_as_complex(tokens.to(wide).unflatten(-1, (-1, 2)))
        turned = points * torch.complex(self.cos.to(wide), self.sin.to(wide))
        return torch.view_as_real(turned).flatten(-2).to(tokens.dtype)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        size = (self.geometry.height, self.geometry.width)
        image = F.silu(self.depthwise(self.value(tokens).mT.unflatten(2, size)))  # [B, C, H, W]
        y = self.attention(image.flatten(2).mT) + self.lepe(image).flatten(2).mT
        return self.proj(y * F.silu(self.gate(tokens)))


def angles_of(geometry: Geometry) -> Tensor:
    """Of each token and pair of channels, `[N, C/2]`: its row, then its column, times falling frequencies."""
    quarter = geometry.dim // 4
    frequencies = 1 / 10000 ** (torch.arange(quarter) / quarter)
    rows, columns = torch.meshgrid(torch.arange(geometry.height), torch.arange(geometry.width), indexing="ij")
    return torch.cat([rows[..., None] * frequencies, columns[..., None] * frequencies], dim=-1).flatten(0, 1)


plain_mila = replace(mila, name="plain-mila", title="MILA, plain", build=PlainMila)
