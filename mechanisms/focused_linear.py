"""Focused linear attention (Han et al., 2023), the attention of FLatten.

Keys and values are summed once for all queries, as in any linear attention, and the feature map φ sharpens
what a ReLU alone would leave flat: it turns a token towards its largest channels and keeps its length.

    s = (ReLU(x) + ε) / softplus(scale),     φ(x) = s^p · ‖s‖ / ‖s^p‖,     ε = 1e-6
    out = φ(q) · Σ_j φ(k_j)ᵀ v_j / N  /  (φ(q) · Σ_j φ(k_j) / N + ε)  +  depthwise(v)

p is `power`. The norms are over all C channels of a token; products are taken head by head after that. A
learned position is added to k first, one number for each token and channel, so that a layer is for its map;
any map will do. The depthwise convolution, `kernel` × `kernel`, has weights for the D channels of a head, and
all heads share them.

In 16 bits everything but the projections and the convolution is computed in float32: powers and sums over the
tokens leave the range of float16.

MACs for N tokens of C channels and heads of size D: 4NC² for the projections, 2NCD for keys with values and
queries with their sums, NC for the denominator, kernel² · NC for the convolution.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, Mechanism, Paper
from mechanisms._images import few_images_at_a_time
from mechanisms._maps import as_channels_first, as_tokens

EPSILON = 1e-6


class FocusedLinearAttention(nn.Module):
    """Linear attention with a feature map that sharpens, and a convolution of the values."""

    def __init__(self, geometry: Geometry, *, power: int, kernel: int) -> None:
        super().__init__()
        geometry.require_shared_channels()
        if power < 1:
            raise InvalidSetting(f"focused-linear: power is {power}; it must be at least 1.")
        if kernel < 1 or kernel % 2 == 0:
            raise InvalidSetting(
                f"focused-linear: kernel is {kernel}; it must be odd and at least 1, to have a centre."
            )
        self.geometry = geometry
        self.power = power
        c, d = geometry.dim, geometry.head_dim
        self.qkv = nn.Linear(c, 3 * c)
        self.position = nn.Parameter(torch.zeros(geometry.tokens, c))
        self.scale = nn.Parameter(torch.zeros(c))
        self.local = nn.Conv2d(d, d, kernel, padding=kernel // 2, groups=d)
        self.proj = nn.Linear(c, c)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        return self.proj(few_images_at_a_time(self.attend_linearly, self.qkv(x)))

    def attend_linearly(self, qkv: Tensor) -> Tensor:
        """out before `proj`, `[B, N, C]`, from projections `[B, N, 3C]`."""
        out = self.local_values(qkv.chunk(3, dim=-1)[2])
        q, k, v = qkv.to(torch.promote_types(qkv.dtype, torch.float32)).chunk(3, dim=-1)
        q, k, v = map(self.in_heads, (self.focus(q), self.focus(k + self.position), v))

        sums = torch.cat([k.mT @ v, k.sum(dim=-2).unsqueeze(-1)], dim=-1)  # [B, heads, D, D + 1]
        heads = q @ (sums / self.geometry.tokens)
        numerator, denominator = heads[..., :-1], heads[..., -1:]
        self.in_heads(out).addcdiv_(numerator, denominator + EPSILON)  # fresh from a convolution
        return out

    def focus(self, x: Tensor) -> Tensor:
        """φ of tokens `[B, N, C]`."""
        x = (x.relu() + EPSILON) * F.softplus(self.scale).reciprocal()
        y = x.pow(self.power)
        return y * (_length(x) / _length(y))

    def local_values(self, v: Tensor) -> Tensor:
        """The convolution of all heads at once: tokens `[B, N, C]` to tokens `[B, N, C]`.

        Repeating the weights that heads share spares a copy of the values, head by head.
        """
        weight, bias = (torch.cat([p] * self.geometry.heads) for p in self.local.parameters())
        image = as_channels_first(v, self.geometry)
        return as_tokens(F.conv2d(image, weight, bias, padding=self.local.padding, groups=len(weight)))

    def in_heads(self, tokens: Tensor) -> Tensor:
        """View tokens `[B, N, C]` as `[B, heads, N, D]`."""
        return tokens.unflatten(-1, (self.geometry.heads, -1)).transpose(1, 2)


def _length(tokens: Tensor) -> Tensor:
    return torch.linalg.vector_norm(tokens, dim=-1, keepdim=True)


def macs(geometry: Geometry, *, power: int, kernel: int) -> int:  # noqa: ARG001 - powers are free
    n, c = geometry.tokens, geometry.dim
    return 4 * n * c**2 + 2 * n * c * geometry.head_dim + n * c + kernel**2 * n * c


focused_linear = Mechanism(
    name="focused-linear",
    title="Focused Linear",
    build=FocusedLinearAttention,
    macs=macs,
    settings={"power": 3, "kernel": 5},
    paper=Paper(
        title="FLatten Transformer: Vision Transformer using Focused Linear Attention",
        venue="ICCV",
        year=2023,
        url="https://arxiv.org/abs/2308.00442",
    ),
    family="linear",
)
