"""Mamba-inspired linear attention (Han et al., 2024): MILA, the mixing layer of an MLLA block.

Linear attention in the place of Mamba's scan, inside Mamba's block: a depthwise convolution before it, a gate
after it, and rotary positions instead of the scan's order. The input of the attention is its own value.

    u = SiLU(depthwise(W_v x)),     g = SiLU(W_g x)
    q = ELU(W_q u) + 1,     k = ELU(W_k u) + 1
    y_n = R_n q_n (Σ_m R_m k_mᵀ u_m / N)  /  (q_n · Σ_m k_m / N + ε),     ε = 1e-6, head by head
    out = W_o((y + LePE(u)) ⊙ g)

LePE is a depthwise convolution; both convolutions are 3 × 3. R rotates pairs of neighbouring channels by the
angles [r · f ; c · f] of a token in row r and column c, with f_i = 10000^(−i / (C/4)), i = 0 … C/4 - 1. They
run over all C channels, not over those of a head, so that half of the heads see rows only and half columns
only. What divides is not rotated: the weights of a token do not sum to 1, and may be negative.

Any map will do. Channels must divide by 4, and heads hold whole pairs. Norms, residuals and convolutions
around the layer belong to the block.

MACs for N tokens of C channels, heads of D: 5NC² for the projections, 2 · 9NC for the convolutions, NC for
the denominator, 2NCD for the two products.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry, Mechanism, Paper, UnsupportedGeometry
from mechanisms._maps import as_channels_first, as_tokens
from mechanisms._means import mean_product
from mechanisms._pairs import axial_angles, rotate

BASE = 10_000
EPSILON = 1e-6


class MambaInspiredLinearAttention(nn.Module):
    """Linear attention with rotary positions, between a convolution and a gate."""

    cos: Tensor
    sin: Tensor

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        _check(geometry)
        self.geometry = geometry
        c = geometry.dim
        self.value = nn.Linear(c, c)
        self.gate = nn.Linear(c, c)
        self.depthwise = nn.Conv2d(c, c, kernel_size=3, padding=1, groups=c)
        self.qk = nn.Linear(c, 2 * c)
        self.lepe = nn.Conv2d(c, c, kernel_size=3, padding=1, groups=c)
        self.proj = nn.Linear(c, c)

        angles = axial_angles(geometry, BASE ** -(torch.arange(c // 4) / (c // 4)))  # [N, C/2]
        angles = angles.unflatten(-1, (geometry.heads, -1)).transpose(0, 1).contiguous()  # [H, N, D/2]
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        # Two products, not a joint one: the convolution would copy a slice of its output.
        u = F.silu(as_tokens(self.depthwise(as_channels_first(self.value(x), self.geometry))))
        local = as_tokens(self.lepe(as_channels_first(u, self.geometry)))
        y = self.attend_linearly(self.qk(u), u, local)
        return self.proj(F.silu(self.gate(x)).mul_(y))

    def attend_linearly(self, qk: Tensor, u: Tensor, local: Tensor) -> Tensor:
        """y + LePE(u), `[B, N, C]`, of projections `[B, N, 2C]` and of u and LePE(u), each `[B, N, C]`."""
        heads = self.geometry.heads
        # One copy, since the products below would copy queries and keys one by one.
        qk = qk.unflatten(-1, (2, heads, -1)).permute(2, 0, 3, 1, 4).contiguous()
        phi = F.elu(qk).add_(1)
        q, k = phi  # each [B, H, N, D]
        denominator = q @ k.mean(dim=-2).unsqueeze(-1) + EPSILON  # [B, H, N, 1]

        q, k = rotate(phi, self.cos, self.sin)
        v, local = (y.unflatten(-1, (heads, -1)).transpose(1, 2) for y in (u, local))
        out = torch.addcdiv(local, q @ mean_product(k, v), denominator)
        return out.transpose(1, 2).flatten(2)


def _check(geometry: Geometry) -> None:
    if geometry.dim % 4:
        raise UnsupportedGeometry(
            f"mila: rows and columns rotate pairs in halves of {geometry.dim} channels; "
            "choose a --dim that 4 divides."
        )
    if geometry.head_dim % 2:
        raise UnsupportedGeometry(
            f"mila: heads of {geometry.head_dim} channels would part a pair that is rotated; "
            "choose --heads so that each has an even number of channels."
        )


def macs(geometry: Geometry) -> int:
    n, c, d = geometry.tokens, geometry.dim, geometry.head_dim
    return 5 * n * c**2 + 2 * 9 * n * c + n * c + 2 * n * c * d


mila = Mechanism(
    name="mila",
    title="MILA",
    build=MambaInspiredLinearAttention,
    macs=macs,
    paper=Paper(
        title="Demystify Mamba in Vision: A Linear Attention Perspective",
        venue="NeurIPS",
        year=2024,
        url="https://arxiv.org/abs/2405.16605",
    ),
    family="linear",
)
