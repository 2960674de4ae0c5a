"""Large-kernel attention (Guo et al., 2022), the mixing layer of VAN.

A convolution wide enough to see far is taken apart into a 5 × 5 depthwise one, a 7 × 7 depthwise one of
dilation 3 and a 1 × 1 one. What comes out is no weight of a softmax but a gate, one number per token and
channel:

    u = GELU(proj_1 x)
    a = point(dilated(depthwise(u)))
    out = proj_2(u ⊙ a) + x

The residual belongs to the layer. There are no heads, and any map will do: a token sees the 23 × 23 tokens
around it.

MACs for N tokens of C channels: 3NC² for the three 1 × 1 convolutions, (5² + 7²)NC for the depthwise ones.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry, Mechanism, Paper
from mechanisms._maps import as_channels_first, as_tokens


class DilatedConvolution(nn.Conv2d):
    """A convolution of dilation d whose output has its input's size.

    Tokens that are d apart see only one another: the map falls into d × d smaller ones, each under the same
    convolution without dilation, with as many multiply-adds in all. CPUs have fast kernels for those alone.
    Smaller maps of one size go through it together.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, H, W]` to `[B, C, H, W]`."""
        # torch 2.13's compiler writes out of bounds for the views of `every`.
        if torch.compiler.is_compiling():
            return super().forward(x)
        # cuDNN likes planes: 0.32 ms with both copies, 1.04 in channels-last memory (H200, torch 2.11).
        if x.device.type != "cpu":
            return super().forward(x.contiguous())
        step, padding = self.dilation[0], self.kernel_size[0] // 2
        x = x.permute(0, 2, 3, 1)
        out = torch.empty_like(x)
        for rows in equal_phases(x.shape[1], step):
            for columns in equal_phases(x.shape[2], step):
                parts = every(step, x, rows, columns)
                maps = parts.flatten(0, 2).permute(0, 3, 1, 2)
                maps = F.conv2d(maps, self.weight, self.bias, padding=padding, groups=self.groups)
                parts = maps.permute(0, 2, 3, 1).unflatten(0, parts.shape[:3])
                every(step, out, rows, columns).copy_(parts)
        return out.permute(0, 3, 1, 2)


def equal_phases(length: int, step: int) -> list[range]:
    """The places on a side from which equally many steps can be taken, together; most steps first."""
    longer = length % step or step
    return [range(longer), range(longer, step)] if longer < step < length else [range(longer)]


def every(step: int, x: Tensor, rows: range, columns: range) -> Tensor:
    """View each `step`-th token of a map `[B, H, W, C]` from each of `rows` and `columns` on.

    Returns `[B, rows, columns, H', W', C]`.
    """
    x = x[:, rows.start :, columns.start :].unfold(1, len(rows), step).unfold(2, len(columns), step)
    return x.permute(0, 4, 5, 1, 2, 3)


class LargeKernelAttention(nn.Module):
    """A gate from a large convolution in three parts, with the residual inside."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.geometry = geometry
        c = geometry.dim
        self.proj_1 = nn.Linear(c, c)
        self.depthwise = nn.Conv2d(c, c, kernel_size=5, padding=2, groups=c)
        self.dilated = DilatedConvolution(c, c, kernel_size=7, padding=9, dilation=3, groups=c)
        self.point = nn.Linear(c, c)
        self.proj_2 = nn.Linear(c, c)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        u = F.gelu(self.proj_1(x))
        a = self.point(as_tokens(self.dilated(self.depthwise(as_channels_first(u, self.geometry)))))
        return self.proj_2(a.mul_(u)).add_(x)  # in place: each is the fresh output of a projection


def macs(geometry: Geometry) -> int:
    n, c = geometry.tokens, geometry.dim
    return 3 * n * c**2 + (5**2 + 7**2) * n * c


van = Mechanism(
    name="van",
    title="VAN",
    build=LargeKernelAttention,
    macs=macs,
    paper=Paper(
        title="Visual Attention Network",
        venue="Computational Visual Media",
        year=2023,
        url="https://arxiv.org/abs/2202.09741",
    ),
    family="convolution",
)
