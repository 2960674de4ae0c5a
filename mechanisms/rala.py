"""Rank-augmented linear attention (Fan et al., 2025): RALA.

What a head of linear attention gives all tokens has a rank of D at most, and of less where keys weigh alike.
Here keys weigh by how well they answer the mean query, before they are summed, and the output is multiplied
by a projection of the input, which raises the rank once more. Head by head:

    q = ELU(W_q x) + 1,     k = ELU(W_k x) + 1
    w = softmax_m(q̄ · k_m / √D),     q̄ = Σ_n q_n / N
    y_n = R_n q_n (Σ_m w_m R_m k_mᵀ v_m)  /  (q_n · Σ_m w_m k_m + ε),     ε = 1e-6
    out = W_o((y + LePE(v)) ⊙ W_g x)

Nothing bends the gate W_g x. LePE is a depthwise convolution. R rotates pairs of neighbouring channels by the
angles [r · f ; c · f] of a token in row r and column c, with f_i = 10000^(−i / (D/4 − 1)), i = 0 … D/4 - 1,
in every head. What divides is not rotated. The paper has α = N w and means over N, which is the same.

Any map will do. Heads must have a multiple of 4 channels.

MACs for N tokens of C channels, heads of D, LePE of λ × λ: 5NC² for the projections, λ²NC for LePE, NC for
q̄ · k, NC for the denominator, 2NCD for the two products.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, Mechanism, Paper, UnsupportedGeometry
from attnbench.attention import scores
from mechanisms._maps import as_channels_first, as_tokens
from mechanisms._pairs import axial_angles, rotate
from mechanisms._parts import project_in_parts

BASE = 10_000
EPSILON = 1e-6


class RankAugmentedLinearAttention(nn.Module):
    """Linear attention with rotary positions to keys of unlike weight, and a gate."""

    cos: Tensor
    sin: Tensor

    def __init__(self, geometry: Geometry, *, lepe: int) -> None:
        super().__init__()
        if geometry.head_dim % 4:
            raise UnsupportedGeometry(
                f"rala: rows and columns rotate pairs in halves of a head of {geometry.head_dim} channels; "
                "choose --heads so that each has a multiple of 4."
            )
        if lepe < 1 or lepe % 2 == 0:
            raise InvalidSetting(f"rala: lepe is {lepe}; it must be odd and at least 1, to have a centre.")
        self.geometry = geometry
        c = geometry.dim
        self.qkvg = nn.Linear(c, 4 * c)
        self.lepe = nn.Conv2d(c, c, lepe, padding=lepe // 2, groups=c)
        self.proj = nn.Linear(c, c)

        angles = axial_angles(geometry, BASE ** -torch.linspace(0, 1, geometry.head_dim // 4))  # [N, D/2]
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        c = self.geometry.dim
        qk, v, gate = project_in_parts(x, self.qkvg, (2 * c, c, c))
        local = as_tokens(self.lepe(as_channels_first(v, self.geometry)))
        return self.proj(gate.mul_(self.attend_linearly(qk, v, local)))

    def attend_linearly(self, qk: Tensor, v: Tensor, local: Tensor) -> Tensor:
        """y + LePE(v), `[B, N, C]`, of projections `[B, N, 2C]` and of v and LePE(v), each `[B, N, C]`."""
        heads = self.geometry.heads
        # One copy, since the products below would copy queries and keys one by one.
        qk = qk.unflatten(-1, (2, heads, -1)).permute(2, 0, 3, 1, 4).contiguous()
        q, k = F.elu(qk).add_(1)  # each [B, H, N, D]
        weights = scores(q.mean(dim=-2, keepdim=True), k).softmax(dim=-1)  # [B, H, 1, N]
        k = k * weights.mT
        denominator = q @ k.sum(dim=-2).unsqueeze(-1) + EPSILON  # [B, H, N, 1]

        q, k = (rotate(each, self.cos, self.sin) for each in (q, k))
        v, local = (y.unflatten(-1, (heads, -1)).transpose(1, 2) for y in (v, local))
        out = torch.addcdiv(local, q @ (k.mT @ v), denominator)
        return out.transpose(1, 2).flatten(2)


def macs(geometry: Geometry, lepe: int) -> int:
    n, c, d = geometry.tokens, geometry.dim, geometry.head_dim
    return 5 * n * c**2 + lepe**2 * n * c + 2 * n * c + 2 * n * c * d


rala = Mechanism(
    name="rala",
    title="RALA",
    build=RankAugmentedLinearAttention,
    macs=macs,
    settings={"lepe": 5},
    paper=Paper(
        title="Breaking the Low-Rank Dilemma of Linear Attention",
        venue="CVPR",
        year=2025,
        url="https://arxiv.org/abs/2411.07635",
    ),
    family="linear",
)
