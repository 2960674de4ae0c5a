"""Cross-covariance attention (Ali et al., 2021), the attention of XCiT.

Channels attend to channels. In each head, with q, k, v of shape D × N, a channel is a vector over the
tokens:

    q̂_i = q_i / max(‖q_i‖, ε),     k̂_j = k_j / max(‖k_j‖, ε),     ε = 1e-12
    A = softmax_j(τ · q̂_i · k̂_j),  D × D
    out = A v

The temperature τ is learned, one a head. Nothing depends on the order of the tokens, and any map will do.

MACs for N tokens of C channels and heads of size D: 4NC² for the projections, 2NCD for the two products.
"""

import torch
from torch import Tensor, nn

from attnbench import Geometry, Mechanism, Paper

EPSILON = 1e-12


class CrossCovarianceAttention(nn.Module):
    """Attention of the channels of a head to each other, by cosine similarity over the tokens."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        geometry.require_shared_channels()
        self.heads = geometry.heads
        self.qkv = nn.Linear(geometry.dim, 3 * geometry.dim)
        self.temperature = nn.Parameter(torch.ones(geometry.heads, 1, 1))  # τ
        self.proj = nn.Linear(geometry.dim, geometry.dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        # Each [B, H, N, D]. One copy, since the two products below would copy q, k and v one by one.
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).contiguous()

        # Not `attend`: the logits are cosines and have no 1/√D. The norms divide the D × D product,
        # q̂_i · k̂_j = q_i · k_j / (‖q_i‖ ‖k_j‖), instead of the N × D queries and keys.
        scale = self.temperature / length(q).mT  # [B, H, D, 1]
        logits = (q.mT @ k) * scale / length(k)  # [B, H, D, D]
        heads = v @ logits.softmax(dim=-1).mT  # (A v)ᵀ, [B, H, N, D]

        return self.proj(heads.transpose(1, 2).flatten(2))


def length(channels: Tensor) -> Tensor:
    """Norms over the tokens, at least ε: `[B, H, N, D]` to `[B, H, 1, D]`.

    Sums of squares, because CPUs take long over vector_norm along any dimension but the last; in float32 at
    least, where squares of float16 numbers fit.
    """
    wide = channels.to(torch.promote_types(channels.dtype, torch.float32))
    return wide.square().sum(dim=-2, keepdim=True).clamp_min(EPSILON**2).sqrt().to(channels.dtype)


def macs(geometry: Geometry) -> int:
    n, c, d = geometry.tokens, geometry.dim, geometry.head_dim
    return 4 * n * c**2 + 2 * n * c * d


xca = Mechanism(
    name="xca",
    title="XCA",
    build=CrossCovarianceAttention,
    macs=macs,
    paper=Paper(
        title="XCiT: Cross-Covariance Image Transformers",
        venue="NeurIPS",
        year=2021,
        url="https://arxiv.org/abs/2106.09681",
    ),
    family="linear",
)
