"""Differential attention (Ye et al., 2025), the attention of the Differential Transformer.

What two softmax maps have in common is noise, so one is taken from the other. Queries and keys have h heads
of D channels, in pairs of neighbours; values have h/2 heads of 2D, one a pair. With maps A and A' of a pair

    y = A v - λ A' v,     A = softmax(q kᵀ / √D),     A' = softmax(q' k'ᵀ / √D)
    λ = exp(a · b) - exp(a' · b') + λ₀
    out = (1 - λ₀) RMSNorm(y),     over the 2D channels of a pair

a, b, a', b' are learned vectors of D numbers that all pairs share, as they share the norm's weights. The
authors let λ₀ grow with the depth l of a layer, 0.8 - 0.6 exp(-0.3 l); the default is what it tends to. Their
projections have no biases, these have. There is no position term, and any map will do; the number of heads
must be even.

Two products with v, in place of one with the difference of the maps, leave the softmax to any kernel.

MACs for N tokens of C channels: 4NC² for the projections, N²C for both maps, 2N²C for their products with v.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, Mechanism, Paper, UnsupportedGeometry
from attnbench.attention import attend

EPSILON = 1e-5


class DifferentialAttention(nn.Module):
    """The difference of two attentions that share their values, normalised."""

    def __init__(self, geometry: Geometry, *, lambda_init: float) -> None:
        super().__init__()
        d = geometry.head_dim
        if geometry.heads % 2:
            raise UnsupportedGeometry(
                f"differential: {geometry.heads} heads make no pairs, in each of which one map is taken from "
                "the other; choose an even number of --heads."
            )
        if not 0 <= lambda_init < 1:
            raise InvalidSetting(
                f"differential: lambda_init is {lambda_init}; it must be at least 0, and below 1, where the "
                "output would vanish."
            )
        self.pairs = geometry.heads // 2
        self.lambda_init = lambda_init
        self.qkv = nn.Linear(geometry.dim, 3 * geometry.dim)
        self.lambda_q = nn.Parameter(0.1 * torch.randn(2, d))  # a and a'
        self.lambda_k = nn.Parameter(0.1 * torch.randn(2, d))  # b and b'
        self.norm = nn.Parameter(torch.ones(2 * d))
        self.proj = nn.Linear(geometry.dim, geometry.dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        c = x.shape[-1]
        qk, v = self.qkv(x).split((2 * c, c), dim=-1)
        qk = qk.unflatten(-1, (2, self.pairs, 2, -1)).permute(4, 2, 0, 3, 1, 5).contiguous()
        v = v.unflatten(-1, (self.pairs, -1)).transpose(1, 2).contiguous()  # once, not for each product
        kept, taken = (attend(q, k, v) for q, k in qk)  # each [B, H/2, N, 2D], of q and k [B, H/2, N, D]

        y = torch.addcmul(kept, taken, -self.difference())
        y = F.rms_norm(y, self.norm.shape, (1 - self.lambda_init) * self.norm, EPSILON)
        return self.proj(y.transpose(1, 2).flatten(2))

    def difference(self) -> Tensor:
        """λ, one number."""
        first, second = (self.lambda_q * self.lambda_k).sum(dim=-1).exp().unbind()
        return first - second + self.lambda_init


def macs(geometry: Geometry, lambda_init: float) -> int:  # noqa: ARG001 - a number that costs nothing
    n, c = geometry.tokens, geometry.dim
    return 4 * n * c**2 + 3 * n**2 * c


differential = Mechanism(
    name="differential",
    title="Differential",
    build=DifferentialAttention,
    macs=macs,
    settings={"lambda_init": 0.8},
    paper=Paper(
        title="Differential Transformer",
        venue="ICLR",
        year=2025,
        url="https://arxiv.org/abs/2410.05258",
    ),
    family="softmax",
)
