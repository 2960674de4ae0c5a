"""MSA + RPE: MSA with a bias looked up for each pair of tokens by how they lie to each other."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.msa_rpe import msa_rpe

from ._pieces import heads_of, joined, softmax_attention


class PlainMsaRpe(nn.Module):
    index: Tensor

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.heads = geometry.heads
        self.qkv = nn.Linear(geometry.dim, 3 * geometry.dim)
        self.proj = nn.Linear(geometry.dim, geometry.dim)

        height, width = geometry.height, geometry.width
        self.table = nn.Parameter(torch.empty((2 * height - 1) * (2 * width - 1), geometry.heads))
        nn.init.trunc_normal_(self.table, std=0.02)
        places = torch.cartesian_prod(torch.arange(height), torch.arange(width))
        apart = places.unsqueeze(1) - places + torch.tensor([height - 1, width - 1])  # [N, N, 2]
        index = apart[..., 0] * (2 * width - 1) + apart[..., 1]
        self.register_buffer("index", index, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        q, k, v = heads_of(self.qkv(tokens), 3, self.heads)
        bias = self.table[self.index].permute(2, 0, 1)
        return self.proj(joined(softmax_attention(q, k, v, bias)))


plain_msa_rpe = replace(msa_rpe, name="plain-msa-rpe", title="MSA + RPE, plain", build=PlainMsaRpe)
