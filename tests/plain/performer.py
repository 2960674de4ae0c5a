"""Performer: softmax attention estimated by FAVOR+, whose features of keys are summed over the tokens first.

The largest exponent of a query, and of an image and head's keys, is taken off for safety.
"""

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.performer import performer

from ._pieces import heads_of, joined

EPSILON = 1e-4


class PlainPerformer(nn.Module):
    """out = proj(φ(q) Σ φ(k) vᵀ / φ(q) Σ φ(k)), with the sums over all tokens."""

    projection: Tensor  # Ω

    def __init__(self, geometry: Geometry, features: int) -> None:
        super().__init__()
        self.heads = geometry.heads
        self.qkv = nn.Linear(geometry.dim, 3 * geometry.dim)
        self.proj = nn.Linear(geometry.dim, geometry.dim)
        self.register_buffer("projection", random_directions(features, geometry.head_dim))

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        q, k, v = heads_of(self.qkv(tokens), 3, self.heads)
        queries = positive_features(q, self.projection, together=(-1,))
        keys = positive_features(k, self.projection, together=(-2, -1))

        numerator = queries @ (keys.mT @ v)  # [B, heads, N, D]
        denominator = queries @ keys.sum(dim=-2).unsqueeze(-1)  # [B, heads, N, 1]
        # The quotient; a product with 1 / denominator by einsum is one that attnbench's count knows.
        out = torch.einsum("bhnd,bhn->bhnd", numerator, denominator.squeeze(-1).reciprocal())
        return self.proj(joined(out))


def positive_features(x: Tensor, directions: Tensor, together: tuple[int, ...]) -> Tensor:
    """φ(x), `[B, heads, N, m]`, of `[B, heads, N, D]` along the directions `[m, D]`.

    The exponents of the dimensions `together` share one stabiliser.
    """
    m, d = directions.shape
    x = x / d**0.25
    along = x @ directions.mT
    shift = x.square().sum(dim=-1, keepdim=True) / 2 + along.amax(dim=together, keepdim=True)
    return (torch.exp(along - shift) + EPSILON) / math.sqrt(m)


def random_directions(m: int, d: int) -> Tensor:
    """Ω, `[m, D]`: Haar-random orthogonal matrices below each other, rows as long as normal vectors of D."""
    rotations = [nn.init.orthogonal_(torch.empty(d, d)) for _ in range(math.ceil(m / d))]
    lengths = torch.linalg.vector_norm(torch.randn(m, d), dim=1, keepdim=True)
    return lengths * torch.cat(rotations)[:m]


plain_performer = replace(performer, name="plain-performer", title="Performer, plain", build=PlainPerformer)
