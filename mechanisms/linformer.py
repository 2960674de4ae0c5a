"""Linformer: attention of linear complexity (Wang et al., 2020).

Attention is close to low-rank, so keys and values are mixed along the tokens, from N of them to a fixed
number: `rank`, the k of the paper.

    k̄ = Eᵀ k,     v̄ = Fᵀ v,     E, F of shape N × rank
    out = softmax(q k̄ᵀ / √D) v̄

E and F are learned, shared by all heads, and not shared with each other. They fix the number of tokens: the
paper has one length, and here they are built for N = H · W of the geometry. A rank above N makes the
sequence longer, and the layer dearer than full attention.

MACs for N tokens of C channels: 4NC² for the projections, 2N·rank·C for E and F, 2N·rank·C for the
attention.
"""

import torch
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, Mechanism, Paper
from attnbench.attention import attend


class LinformerAttention(nn.Module):
    """Attention of all tokens to `rank` learned mixtures of the tokens."""

    def __init__(self, geometry: Geometry, *, rank: int) -> None:
        super().__init__()
        geometry.require_shared_channels()
        if rank < 1:
            raise InvalidSetting(f"linformer: rank is {rank}; it must be at least 1.")
        self.heads = geometry.heads
        c = geometry.dim
        self.query = nn.Linear(c, c)
        self.kv = nn.Linear(c, 2 * c)
        self.reduce_k = nn.Parameter(torch.empty(geometry.tokens, rank))  # E
        self.reduce_v = nn.Parameter(torch.empty(geometry.tokens, rank))  # F
        for parameter in (self.reduce_k, self.reduce_v):
            nn.init.uniform_(parameter, -(rank**-0.5), rank**-0.5)
        self.proj = nn.Linear(c, c)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        q = self.query(x)
        k, v = self.kv(x).chunk(2, dim=-1)
        k, v = mix(self.reduce_k, k), mix(self.reduce_v, v)  # each [B, rank, C]

        q, k, v = (y.unflatten(-1, (self.heads, -1)).transpose(1, 2) for y in (q, k, v))
        heads = attend(q, k, v)  # [B, H, N, D]
        return self.proj(heads.transpose(1, 2).flatten(2))


def mix(weights: Tensor, tokens: Tensor) -> Tensor:
    """weightsᵀ · tokens for every image: `[N, rank]` and `[B, N, C]` to `[B, rank, C]`.

    bmm reads `tokens` where they are; matmul, when gradients are recorded, copies them to fold the batch into
    one product.
    """
    return torch.bmm(weights.mT.expand(tokens.shape[0], -1, -1), tokens)


def macs(geometry: Geometry, rank: int) -> int:
    n, c = geometry.tokens, geometry.dim
    return 4 * n * c**2 + 4 * n * rank * c


linformer = Mechanism(
    name="linformer",
    title="Linformer",
    build=LinformerAttention,
    macs=macs,
    settings={"rank": 256},
    paper=Paper(
        title="Linformer: Self-Attention with Linear Complexity",
        venue="arXiv",
        year=2020,
        url="https://arxiv.org/abs/2006.04768",
    ),
    family="linear",
)
