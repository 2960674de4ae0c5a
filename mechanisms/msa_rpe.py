"""MSA with a relative position bias, over the whole map: the attention of LITv1 (Pan et al., 2022).

Every token attends to every token, and each head adds to its logits what a table has for how many rows and
columns the key lies before the query:

    out = softmax(q kᵀ / √D + bias) v,     bias(query, key) = table[r_q − r_k + H − 1, c_q − c_k + W − 1]

The table has (2H − 1)(2W − 1) rows, row-major, of one number for each head, so that a layer is built for its
map. A table of zeros makes it MSA.

MACs for N tokens of C channels are MSA's, 4NC² + 2N²C: reading a table is free.
"""

import torch
from torch import Tensor, nn

from attnbench import Geometry, Mechanism, Paper
from attnbench.attention import attend
from mechanisms import msa


class RelativeSelfAttention(msa.MultiHeadSelfAttention):
    """Attention of all tokens to all tokens, with a bias by how they lie to each other."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry)
        self.relative = (2 * geometry.height - 1, 2 * geometry.width - 1)
        self.size = (geometry.height, geometry.width)
        rows, columns = self.relative
        self.table = nn.Parameter(0.02 * torch.randn(rows * columns, geometry.heads))

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each [B, H, N, D]
        heads = attend(q, k, v, self.bias())  # [B, H, N, D]
        return self.proj(heads.transpose(1, 2).flatten(2))

    def bias(self) -> Tensor:
        """The table spread over queries and keys, `[heads, N, N]`.

        A query's keys are a window of the table, in reverse: one copy, and no index of N² numbers.
        """
        height, width = self.size
        table = self.table.mT.unflatten(1, self.relative)
        windows = table.unfold(1, height, 1).unfold(2, width, 1)  # [heads, H, W, H, W]
        return windows.flip(3, 4).flatten(3).flatten(1, 2)


msa_rpe = Mechanism(
    name="msa-rpe",
    title="MSA + RPE",
    build=RelativeSelfAttention,
    macs=msa.macs,
    paper=Paper(
        title="Less is More: Pay Less Attention in Vision Transformers",
        venue="AAAI",
        year=2022,
        url="https://arxiv.org/abs/2105.14217",
    ),
    family="softmax",
)
