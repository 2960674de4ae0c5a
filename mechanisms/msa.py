"""Multi-head self-attention (Dosovitskiy et al., 2021; Vaswani et al., 2017).

Every token attends to every token. For each head of D channels

    out = softmax(q kᵀ / √D) v,

heads are concatenated and projected. There is no position term, so any map will do.

MACs for N tokens of C channels: 4NC² for the projections, 2N²C for the attention.
"""

from torch import Tensor, nn

from attnbench import Geometry, Mechanism, Paper
from attnbench.attention import attend


class MultiHeadSelfAttention(nn.Module):
    """Attention of all tokens to all tokens."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        geometry.require_shared_channels()
        self.heads = geometry.heads
        self.qkv = nn.Linear(geometry.dim, 3 * geometry.dim)
        self.proj = nn.Linear(geometry.dim, geometry.dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each [B, H, N, D]
        heads = attend(q, k, v)  # [B, H, N, D]
        return self.proj(heads.transpose(1, 2).flatten(2))


def macs(geometry: Geometry) -> int:
    n, c = geometry.tokens, geometry.dim
    return 4 * n * c**2 + 2 * n**2 * c


msa = Mechanism(
    name="msa",
    title="MSA",
    build=MultiHeadSelfAttention,
    macs=macs,
    paper=Paper(
        title="An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale",
        venue="ICLR",
        year=2021,
        url="https://arxiv.org/abs/2010.11929",
    ),
    family="softmax",
)
