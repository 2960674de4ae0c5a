"""Magnitude-aware linear attention (Fan et al., 2025).

Linear attention divides the scores of a query by their sum, and with it the query's length goes: however
strong, a query weighs the keys alike. Here the scores are scaled and shifted instead, by what depends on the
query. With q and k after ELU(x) + 1, and R_i the rotation of token i by its place on the map:

    s_ij = (R_i q_i) · (R_j k_j) / √D,     z_i = q_i · mean_j k_j / √D
    y_i = 1/N Σ_j [s_ij (1 + 1/(z_i + ε)) - z_i] v_j,     ε = 1e-6
    out = proj((y + LePE(v)) ⊙ o)

Without the rotation the weights of a query would sum to 1; they may be negative. Keys and values are summed
once for all queries, Σ_j (R_j k_j) v_jᵀ. LePE is a depthwise convolution of the values, and the gate o a
fourth part of the projection, without activation. R turns neighbouring channels of a head: the first D/4
pairs by the token's row and the last D/4 by its column, times 10000^(-i/(D/4 - 1)) for i = 0 … D/4 - 1.

Any map will do; 4 must divide the channels of a head.

MACs for N tokens of C channels, heads of size D, a LePE of p × p: 5NC² for the projections, p²NC for LePE, NC
for z, 2NCD for the two products.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, Mechanism, Paper, UnsupportedGeometry
from mechanisms._images import few_images_at_a_time
from mechanisms._maps import as_channels_first, as_tokens
from mechanisms._pairs import axial_angles, rotate
from mechanisms._parts import project_in_parts

EPSILON = 1e-6
BASE = 10_000.0  # the slowest rotation takes so many times as long as the fastest


class MagnitudeAwareLinearAttention(nn.Module):
    """Linear attention whose weights are shifted instead of divided, beside a convolution, and gated."""

    cos: Tensor
    sin: Tensor

    def __init__(self, geometry: Geometry, *, lepe: int) -> None:
        super().__init__()
        d, c = geometry.head_dim, geometry.dim
        if d % 4:
            raise UnsupportedGeometry(
                f"mala: heads of {d} channels make no pairs of which half are turned by row and half by "
                "column; choose --dim and --heads so that 4 divides the channels of a head."
            )
        if lepe < 1 or lepe % 2 == 0:
            raise InvalidSetting(f"mala: lepe is {lepe}; it must be an odd number, so that it has a centre.")
        self.geometry = geometry
        self.scale = d**-0.5
        self.qkvo = nn.Linear(c, 4 * c)
        self.lepe = nn.Conv2d(c, c, lepe, padding=lepe // 2, groups=c)
        self.proj = nn.Linear(c, c)
        angles = axial_angles(geometry, frequencies(d // 4))  # [N, D/2]
        self.register_buffer("cos", angles.cos().to(torch.get_default_dtype()), persistent=False)
        self.register_buffer("sin", angles.sin().to(torch.get_default_dtype()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        c = self.geometry.dim
        qk, v, o = project_in_parts(x, self.qkvo, (2 * c, c, c))
        heads = few_images_at_a_time(self.attend_linearly, qk, v)
        local = as_tokens(self.lepe(as_channels_first(v, self.geometry)))
        return self.proj(o.mul_(local.add_(heads)))  # in place: fresh from a projection and a convolution

    def attend_linearly(self, qk: Tensor, v: Tensor) -> Tensor:
        """y, `[B, N, C]`, from queries and keys `[B, N, 2C]` and values `[B, N, C]`."""
        heads = self.geometry.heads
        q, k = F.elu(qk).add_(1).unflatten(-1, (2, heads, -1)).permute(2, 0, 3, 1, 4)  # each [B, H, N, D]
        v = v.unflatten(-1, (heads, -1)).transpose(1, 2)

        z = q @ (self.scale * k.mean(dim=-2, keepdim=True)).mT  # [B, H, N, 1]
        q, k = (rotate(each, self.cos, self.sin) for each in (q, k))
        summary = k.mT @ v * (self.scale / v.shape[-2])  # [B, H, D, D]
        scaled = q @ summary * (1 + 1 / (z + EPSILON))
        y = torch.addcmul(scaled, z, v.mean(dim=-2, keepdim=True), value=-1)
        return y.transpose(1, 2).flatten(2)


def frequencies(count: int) -> Tensor:
    """From 1 down to 1/10000 in equal ratios; a single one is 1."""
    return BASE ** -torch.linspace(0, 1, count, dtype=torch.float64)


def macs(geometry: Geometry, lepe: int) -> int:
    n, c = geometry.tokens, geometry.dim
    return 5 * n * c**2 + lepe**2 * n * c + n * c + 2 * n * c * geometry.head_dim


mala = Mechanism(
    name="mala",
    title="MALA",
    build=MagnitudeAwareLinearAttention,
    macs=macs,
    settings={"lepe": 5},
    paper=Paper(
        title="Rectifying Magnitude Neglect in Linear Attention",
        venue="ICCV",
        year=2025,
        url="https://arxiv.org/abs/2507.00698",
    ),
    family="linear",
)
