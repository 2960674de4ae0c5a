"""Σ_n a_n v_n / Σ_n a_n, a_n = φ(q)·φ(k_n), the weights of all keys written out for one query at a time.

    φ(x) = m^-½ [exp(Ωx̃ − ‖x̃‖²/2 − s) + 1e-4],  x̃ = D^-¼ x

s is the largest entry of Ωx̃: that of the query itself, and for keys that of all keys of the image and head.
It is part of φ, and the gradient runs through it.
"""

from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry


def reference(layer: Any, x: Tensor, geometry: Geometry, features: int) -> Tensor:
    c, d = geometry.dim, geometry.head_dim
    images = []
    for image in x:
        q, k, v = (image @ layer.qkv.weight.T + layer.qkv.bias).split(c, dim=-1)
        heads = []
        for head in range(geometry.heads):
            channels = slice(head * d, (head + 1) * d)
            keys = k[:, channels] / d**0.25
            key_features = phi(layer, keys, (keys @ layer.projection.T).max(), features)  # [N, m]
            rows = []
            for query in q[:, channels] / d**0.25:
                query_features = phi(layer, query, (layer.projection @ query).max(), features)  # [m]
                weights = key_features @ query_features  # [N]
                rows.append(weights @ v[:, channels] / weights.sum())
            heads.append(torch.stack(rows))
        images.append(torch.cat(heads, dim=1) @ layer.proj.weight.T + layer.proj.bias)
    return torch.stack(images)


def phi(layer: Any, x: Tensor, stabiliser: Tensor, m: int) -> Tensor:
    """The m positive features of scaled tokens `[…, D]`."""
    half_square = x.square().sum(dim=-1, keepdim=True) / 2
    return (torch.exp(x @ layer.projection.T - half_square - stabiliser) + 1e-4) / m**0.5
