"""Recursive gated convolution gⁿConv (Rao et al., 2022), the mixing layer of HorNet.

Instead of a softmax, tokens meet in products: each of n steps multiplies what is there by another part of a
convolved map, so that the output is a polynomial of degree n + 1 in the input. With widths
c_i = C / 2^(n-1-i), i = 0 … n-1, that double from step to step up to C:

    [p ; q] = proj_in x                      p has c_0 channels, q the sum of all c_i
    [q_0 ; … ; q_(n-1)] = s · depthwise(q)   a 7 × 7 depthwise convolution, s = 1/3
    y = p ⊙ q_0
    y = gate_i(y) ⊙ q_(i+1)                  for i = 0 … n-2, a 1 × 1 convolution from c_i to c_(i+1)
    out = proj_out y

There are no heads, norms or residual, and any map will do. Channels must divide by 2^(n-1).

MACs for N tokens of C channels: 3NC² for the two projections, 7²N(2C - c_0) for the depthwise convolution and
2N(c_0² + … + c_(n-2)²) for the gates.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, Mechanism, Paper, UnsupportedGeometry
from mechanisms._maps import as_channels_first, as_tokens

SCALE = 1 / 3


class RecursiveGatedConvolution(nn.Module):
    """Products of a convolved map with itself, up to degree `order` + 1."""

    def __init__(self, geometry: Geometry, order: int) -> None:
        super().__init__()
        if order < 1:
            raise InvalidSetting(f"hornet: order is {order}; it must be at least 1.")
        if geometry.dim % 2 ** (order - 1):
            raise UnsupportedGeometry(
                f"hornet: order {order} halves the {geometry.dim} channels {order - 1} times; "
                f"choose a --dim that {2 ** (order - 1)} divides, or a lower order."
            )
        self.geometry = geometry
        self.widths = gate_widths(geometry, order)
        self.proj_in = nn.Linear(geometry.dim, 2 * geometry.dim)
        gated = sum(self.widths)
        self.depthwise = nn.Conv2d(gated, gated, kernel_size=7, padding=3, groups=gated)
        self.gates = nn.ModuleList(map(nn.Linear, self.widths, self.widths[1:]))
        self.proj_out = nn.Linear(geometry.dim, geometry.dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        # Two products with parts of one weight: the convolution would copy a slice of a joint output.
        parts = (self.widths[0], sum(self.widths))
        weights, biases = self.proj_in.weight.split(parts), self.proj_in.bias.split(parts)
        x = as_channels_first(x, self.geometry)
        p, q = (pointwise(x, weight, bias) for weight, bias in zip(weights, biases, strict=True))
        first, *others = self.scaled_depthwise(q).split(self.widths, dim=1)

        y = p.mul_(first)
        for gate, other in zip(self.gates, others, strict=True):
            y = pointwise(y, *gate.parameters()).mul_(other)  # in place: the fresh output of a projection
        return as_tokens(pointwise(y, self.proj_out.weight, self.proj_out.bias))

    def scaled_depthwise(self, x: Tensor) -> Tensor:
        """s · depthwise(x): the scale goes into the weights, of which there are fewer than outputs."""
        weight, bias = (SCALE * parameter for parameter in self.depthwise.parameters())
        return F.conv2d(x, weight, bias, padding=self.depthwise.padding, groups=len(weight))


def pointwise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A 1 × 1 convolution of a map `[B, C, H, W]` in channels-last memory, by a weight `[out, C]`.

    On a CPU it stays a convolution, whose kernels are at least as fast as those of the matmul over tokens
    that it is elsewhere.
    """
    if x.device.type == "cpu":
        return F.conv2d(x, weight[:, :, None, None], bias)
    return F.linear(x.permute(0, 2, 3, 1), weight, bias).permute(0, 3, 1, 2)


def gate_widths(geometry: Geometry, order: int) -> list[int]:
    """Channels of each step, narrowest first: C / 2^(n-1), …, C/2, C."""
    return [geometry.dim >> step for step in reversed(range(order))]


def macs(geometry: Geometry, order: int) -> int:
    n, c = geometry.tokens, geometry.dim
    widths = gate_widths(geometry, order)
    return 3 * n * c**2 + 7**2 * n * sum(widths) + sum(2 * n * width**2 for width in widths[:-1])


hornet = Mechanism(
    name="hornet",
    title="HorNet",
    build=RecursiveGatedConvolution,
    macs=macs,
    paper=Paper(
        title="HorNet: Efficient High-Order Spatial Interactions with Recursive Gated Convolutions",
        venue="NeurIPS",
        year=2022,
        url="https://arxiv.org/abs/2207.14284",
    ),
    family="convolution",
    settings={"order": 4},
)
