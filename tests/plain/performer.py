"""Performer as FAVOR+ is usually written, with einsum; keys are stabilised for each image and head."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.performer import performer


class PlainPerformer(nn.Module):
    projection: Tensor

    def __init__(self, geometry: Geometry, features: int) -> None:
        super().__init__()
        self.heads = geometry.heads
        self.qkv = nn.Linear(geometry.dim, 3 * geometry.dim)
        self.proj = nn.Linear(geometry.dim, geometry.dim)
        self.register_buffer("projection", orthogonal_features(features, geometry.head_dim))

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        qkv = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        q = self.feature_map(q, stabiliser_dims=(-1,))
        k = self.feature_map(k, stabiliser_dims=(-2, -1))

        inverse = 1 / torch.einsum("bhnm,bhm->bhn", q, k.sum(dim=-2))
        context = torch.einsum("bhnm,bhnd->bhmd", k, v)
        out = torch.einsum("bhnm,bhmd,bhn->bhnd", q, context, inverse)
        return self.proj(out.transpose(1, 2).reshape(b, n, c))

    def feature_map(self, x: Tensor, stabiliser_dims: tuple[int, ...]) -> Tensor:
        x = x * x.shape[-1] ** -0.25
        projected = torch.einsum("bhnd,md->bhnm", x, self.projection)
        half_square = (x**2).sum(dim=-1, keepdim=True) / 2
        stabiliser = projected.amax(dim=stabiliser_dims, keepdim=True)
        return len(self.projection) ** -0.5 * (torch.exp(projected - half_square - stabiliser) + 1e-4)


def orthogonal_features(features: int, d: int) -> Tensor:
    """Rows `[features, D]`: Haar-random orthogonal blocks, rows as long as normal vectors of D numbers."""
    blocks = []
    for _ in range(-(-features // d)):
        q, r = torch.linalg.qr(torch.randn(d, d))
        blocks.append((q * r.diagonal().sign()).T)  # a positive diagonal of R makes Q uniform
    return torch.cat(blocks)[:features] * torch.randn(features, d).norm(dim=1, keepdim=True)


plain_performer = replace(performer, name="plain-performer", title="Performer, plain", build=PlainPerformer)
