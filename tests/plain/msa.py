"""MSA: every token attends to all tokens, in each head with its share of the channels."""

from dataclasses import replace

from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.msa import msa

from ._pieces import heads_of, joined, softmax_attention


class PlainMsa(nn.Module):
    """out = proj(softmax(q kᵀ / √D) v), with the heads side by side."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.heads = geometry.heads
        self.qkv = nn.Linear(geometry.dim, 3 * geometry.dim)
        self.proj = nn.Linear(geometry.dim, geometry.dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        q, k, v = heads_of(self.qkv(tokens), 3, self.heads)
        return self.proj(joined(softmax_attention(q, k, v)))


plain_msa = replace(msa, name="plain-msa", title="MSA, plain", build=PlainMsa)
