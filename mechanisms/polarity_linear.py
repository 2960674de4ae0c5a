"""Polarity-aware linear attention (Meng et al., 2025), the attention of PolaFormer.

Linear attention whose features are not negative loses what queries and keys of unlike sign have to say. Here
positive and negative parts are kept apart, raised to learned powers, and meet in two ways, each for one half
of a head's values:

    q = W_q x / softplus(s),     k = (W_k x + P) / softplus(s)
    x⁺ = ReLU(x)^p,     x⁻ = ReLU(−x)^p,     p = 1 + α σ(π)
    y₁ = w(q, k) v₁    with w = [q⁺ ; q⁻] · [k⁺ ; k⁻],  like signs
    y₂ = w'(q, k) v₂   with w' = [q⁻ ; q⁺] · [k⁺ ; k⁻],  unlike signs
    out = W_o(([y₁ ; y₂] + depthwise(v)) ⊙ W_g x)

where w v stands for (Σ_m w_m v_m / N) / (Σ_m w_m / N + ε), ε = 1e-6. The scale s, one number a channel, the
positions P, one a token and channel, and π, one a head and channel, start at zero, and so powers at 1 + α/2.
Nothing bends the gate W_g x. The depthwise convolution has a filter for each of a head's D channels, which
the heads share. P fixes the number of tokens: it is built for N = H · W, of any map. Heads must have an even
number of channels.

`forward` makes one product of both ways. To swap the halves of a query is to swap those of what it is
multiplied with, a sum over keys and values; the denominators are two columns more of it.

MACs for N tokens of C channels, heads of D, kernel κ: 5NC² for the projections, 2NCD for the sums, 2NCD for
the product with them, 4NC for the denominators, κ²NC for the convolution.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, Mechanism, Paper, UnsupportedGeometry
from mechanisms._maps import as_channels_first, as_tokens
from mechanisms._means import mean_product
from mechanisms._parts import project_in_parts

EPSILON = 1e-6


class PolarityLinearAttention(nn.Module):
    """Linear attention by like signs for half of the values, by unlike signs for the other half."""

    def __init__(self, geometry: Geometry, *, alpha: float, kernel: int) -> None:
        super().__init__()
        _check(geometry, alpha, kernel)
        self.geometry = geometry
        self.alpha = alpha
        c, d = geometry.dim, geometry.head_dim
        self.qkvg = nn.Linear(c, 4 * c)
        self.scale = nn.Parameter(torch.zeros(c))  # s
        self.positions = nn.Parameter(torch.zeros(geometry.tokens, c))  # P
        self.power = nn.Parameter(torch.zeros(geometry.heads, 1, d))  # π
        self.depthwise = nn.Conv2d(d, d, kernel, padding=kernel // 2, groups=d)
        self.proj = nn.Linear(c, c)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        c = self.geometry.dim
        qk, v, gate = project_in_parts(x, self.qkvg, (2 * c, c, c))
        return self.proj(gate.mul_(self.attend_linearly(qk, v, self.convolved(v))))

    def convolved(self, v: Tensor) -> Tensor:
        """depthwise(v), `[B, N, C]`, with the filters repeated for every head."""
        weight, bias = (torch.cat([p] * self.geometry.heads) for p in self.depthwise.parameters())
        image = as_channels_first(v, self.geometry)
        return as_tokens(F.conv2d(image, weight, bias, padding=self.depthwise.padding, groups=len(weight)))

    def attend_linearly(self, qk: Tensor, v: Tensor, local: Tensor) -> Tensor:
        """[y₁ ; y₂] + `local`, `[B, N, C]`, of projections `[B, N, 2C]` and values `[B, N, C]`."""
        heads, d = self.geometry.heads, self.geometry.head_dim
        q, k = qk.unflatten(-1, (2, heads, d)).permute(2, 0, 3, 1, 4).contiguous()  # each [B, H, N, D]
        inverse = 1 / F.softplus(self.scale).view(heads, 1, d)
        positions = self.positions.unflatten(-1, (heads, d)).transpose(0, 1)  # [H, N, D]
        q, k = self.polar(q * inverse), self.polar((k + positions) * inverse)  # each [B, H, N, 2D]

        v = v.unflatten(-1, (heads, d)).transpose(1, 2)
        like, unlike = mean_product(k, v).chunk(2, dim=-1)  # each [B, H, 2D, D/2]
        mean = k.mean(dim=-2).unsqueeze(-1)  # [B, H, 2D, 1]
        out = q @ torch.cat([like, swapped(unlike), mean, swapped(mean)], dim=-1)
        numerators = out[..., :d].unflatten(-1, (2, -1))  # [B, H, N, 2, D/2]
        denominators = out[..., d:].unsqueeze(-1) + EPSILON

        local = local.unflatten(-1, (heads, 2, -1)).transpose(1, 2)
        return torch.addcdiv(local, numerators, denominators).transpose(1, 2).flatten(2)

    def polar(self, x: Tensor) -> Tensor:
        """[x⁺ ; x⁻] of heads: `[B, H, N, D]` to `[B, H, N, 2D]`. One power makes both, of which one is 0."""
        powers = x.abs().pow(1 + self.alpha * self.power.sigmoid()).copysign(x)
        return torch.cat([powers, -powers], dim=-1).relu_()


def swapped(features: Tensor) -> Tensor:
    """Rows of positive and of negative features, `[B, H, 2D, E]`, in each other's place."""
    return features.roll(features.shape[-2] // 2, dims=-2)


def _check(geometry: Geometry, alpha: float, kernel: int) -> None:
    if geometry.head_dim % 2:
        raise UnsupportedGeometry(
            f"polarity-linear: values of {geometry.head_dim} channels have no halves; "
            "choose --heads so that each has an even number of channels."
        )
    if not 0 <= alpha < float("inf"):
        raise InvalidSetting(
            f"polarity-linear: alpha is {alpha}; it must be finite and at least 0, which leaves powers of 1."
        )
    if kernel < 1 or kernel % 2 == 0:
        raise InvalidSetting(
            f"polarity-linear: kernel is {kernel}; it must be odd and at least 1, to have a centre."
        )


def macs(geometry: Geometry, alpha: float, kernel: int) -> int:  # noqa: ARG001 - powers are free
    n, c, d = geometry.tokens, geometry.dim, geometry.head_dim
    return 5 * n * c**2 + 4 * n * c * d + 4 * n * c + kernel**2 * n * c


polarity_linear = Mechanism(
    name="polarity-linear",
    title="Polarity Linear",
    build=PolarityLinearAttention,
    macs=macs,
    settings={"alpha": 4.0, "kernel": 5},
    paper=Paper(
        title="PolaFormer: Polarity-aware Linear Attention for Vision Transformers",
        venue="ICLR",
        year=2025,
        url="https://arxiv.org/abs/2501.15061",
    ),
    family="linear",
)
