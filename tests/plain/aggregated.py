"""Aggregated: one softmax over the tokens around a token and over a pooled map, from unfolded neighbours."""

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.aggregated import aggregated

from ._pieces import heads_of, joined


class PlainAggregated(nn.Module):
    length: Tensor
    outside: Tensor
    offsets: Tensor
    pairs: Tensor

    def __init__(self, geometry: Geometry, window: int, ratio: int) -> None:
        super().__init__()
        self.geometry = geometry
        self.window = window
        self.size = (geometry.height, geometry.width)
        self.pooled_size = (max(1, geometry.height // ratio), max(1, geometry.width // ratio))
        c, heads, near = geometry.dim, geometry.heads, window**2
        self.q = nn.Linear(c, c)
        self.kv = nn.Linear(c, 2 * c)
        self.reduce = nn.Linear(c, c)
        self.norm = nn.LayerNorm(c)
        self.position = nn.Sequential(nn.Linear(2, 512), nn.ReLU(), nn.Linear(512, heads))
        self.proj = nn.Linear(c, c)

        self.temperature = nn.Parameter(torch.full((heads, 1, 1), math.log(math.exp(1 / 0.24) - 1)))
        self.query_embedding = nn.Parameter(torch.empty(heads, 1, geometry.head_dim))
        self.local_bias = nn.Parameter(torch.empty(heads, 1, near))
        self.learned = nn.Parameter(torch.empty(heads, geometry.head_dim, near))
        self.learned_bias = nn.Parameter(torch.zeros(heads, 1, near))
        for parameter, std in ((self.query_embedding, 0.02), (self.learned, 0.02), (self.local_bias, 4e-4)):
            nn.init.trunc_normal_(parameter, std=std)

        on_map = self.neighbours(torch.ones(1, 1, *self.size)).view(near, -1).mT  # [N, w²]
        self.register_buffer("outside", on_map.log(), persistent=False)  # 0 or -inf
        keys = on_map.sum(dim=1, keepdim=True) + math.prod(self.pooled_size)
        self.register_buffer("length", keys.log(), persistent=False)
        offsets, pairs = self.distinct_offsets()
        self.register_buffer("offsets", offsets, persistent=False)
        self.register_buffer("pairs", pairs, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        heads, near = self.geometry.heads, self.window**2
        (q,) = heads_of(self.q(tokens), 1, heads)
        unit = F.normalize(q, dim=-1)
        scaled = (unit + self.query_embedding) * F.softplus(self.temperature) * self.length

        k, v = self.kv(tokens).chunk(2, dim=-1)
        unit_k = F.normalize(k.unflatten(2, (heads, -1)), dim=-1).flatten(2)
        image = torch.cat([unit_k, v], dim=-1).mT.unflatten(2, self.size)
        around = self.neighbours(image).unflatten(1, (2, heads, -1, near)).movedim(-1, 3)
        near_k, near_v = around.unbind(1)  # each [B, heads, N, D, w²]

        image = F.gelu(self.reduce(tokens)).mT.unflatten(2, self.size)
        pooled = F.adaptive_avg_pool2d(image, self.pooled_size).flatten(2).mT
        pooled_k, pooled_v = heads_of(self.kv(self.norm(pooled)), 2, heads)

        local = (scaled.unsqueeze(-2) @ near_k).squeeze(-2) + self.local_bias + self.outside
        bias = self.position(self.offsets).mT[:, self.pairs]
        coarse = scaled @ F.normalize(pooled_k, dim=-1).mT + bias
        weights = torch.cat([local, coarse], dim=-1).softmax(dim=-1)
        near_weights, pooled_weights = weights.split([near, coarse.shape[-1]], dim=-1)

        near_weights = near_weights + unit @ self.learned + self.learned_bias
        out = (near_weights.unsqueeze(-2) @ near_v.mT).squeeze(-2) + pooled_weights @ pooled_v
        return self.proj(joined(out))

    def neighbours(self, image: Tensor) -> Tensor:
        """The square around each token of a map `[B, C, H, W]`, zeros outside: `[B, C · w², N]`."""
        return F.unfold(image, self.window, padding=self.window // 2)

    def distinct_offsets(self) -> tuple[Tensor, Tensor]:
        """All offsets of tokens from pooled ones, each once, on a logarithmic scale, and where they occur."""
        axes = []
        for length, cells in zip(self.size, self.pooled_size, strict=True):
            starts = [cell * length // cells for cell in range(cells)]
            ends = [math.ceil((cell + 1) * length / cells) for cell in range(cells)]
            twice_centres = torch.tensor(starts) + torch.tensor(ends) - 1
            axes.append(2 * torch.arange(length).unsqueeze(1) - twice_centres)
        down, right = axes
        grid = torch.stack(
            torch.broadcast_tensors(down[:, None, :, None], right[None, :, None, :]), dim=-1
        )  # [H, W, rows, columns, 2]
        offsets, pairs = grid.view(-1, 2).unique(dim=0, return_inverse=True)
        scaled = 4 * offsets / torch.tensor([max(1, length - 1) for length in self.size])
        return scaled.sign() * (scaled.abs() + 1).log2() / 3, pairs.view(self.geometry.tokens, -1)


plain_aggregated = replace(
    aggregated, name="plain-aggregated", title="Aggregated, plain", build=PlainAggregated
)
