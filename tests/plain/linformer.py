"""Linformer: attention to `rank` mixtures of all keys and of all values, whose weights are learned."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.linformer import linformer

from ._pieces import heads_of, joined, softmax_attention


class PlainLinformer(nn.Module):
    """out = proj(softmax(q k̄ᵀ / √D) v̄), with k̄ = Eᵀ k and v̄ = Fᵀ v."""

    def __init__(self, geometry: Geometry, rank: int) -> None:
        super().__init__()
        self.heads = geometry.heads
        c = geometry.dim
        self.query = nn.Linear(c, c)
        self.kv = nn.Linear(c, 2 * c)
        self.reduce_k = mixing_weights(geometry.tokens, rank)  # E
        self.reduce_v = mixing_weights(geometry.tokens, rank)  # F
        self.proj = nn.Linear(c, c)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        q = self.query(tokens).unflatten(2, (self.heads, -1)).transpose(1, 2)  # [B, heads, N, D]
        k, v = heads_of(self.kv(tokens), 2, self.heads)
        mixed = softmax_attention(q, mixtures(k, self.reduce_k), mixtures(v, self.reduce_v))
        return self.proj(joined(mixed))


def mixtures(heads: Tensor, weights: Tensor) -> Tensor:
    """The tokens of each head, mixed: `[B, heads, N, D]` by `[N, rank]` to `[B, heads, rank, D]`."""
    return torch.einsum("bhnd,nr->bhrd", heads, weights)


def mixing_weights(n: int, rank: int) -> nn.Parameter:
    """Weights `[N, rank]`, uniform between -rank^-½ and rank^-½."""
    limit = rank**-0.5
    return nn.Parameter(nn.init.uniform_(torch.empty(n, rank), -limit, limit))


plain_linformer = replace(linformer, name="plain-linformer", title="Linformer, plain", build=PlainLinformer)
