"""RMSNorm((A₁ − λ A₂) v) (1 − λ₀), the two maps of a pair subtracted key by key, query by query.

    λ = exp(a₁ · b₁) − exp(a₂ · b₂) + λ₀

Pair i has the query and key heads 2i and 2i + 1, and the channels of both in the values.
"""

from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry


def reference(layer: Any, x: Tensor, geometry: Geometry, lambda_init: float) -> Tensor:
    c, d = geometry.dim, geometry.head_dim
    first, second = (torch.exp(a @ b) for a, b in zip(layer.lambda_q, layer.lambda_k, strict=True))
    factor = first - second + lambda_init
    images = []
    for image in x:
        q, k, v = (image @ layer.qkv.weight.T + layer.qkv.bias).split(c, dim=-1)
        pairs = []
        for start in range(0, c, 2 * d):
            rows = []
            for token in range(geometry.tokens):
                maps = [
                    torch.softmax(k[:, head : head + d] @ q[token, head : head + d] / d**0.5, dim=0)
                    for head in (start, start + d)
                ]
                y = (maps[0] - factor * maps[1]) @ v[:, start : start + 2 * d]
                y = y / ((y @ y) / (2 * d) + 1e-5).sqrt() * layer.norm
                rows.append(y * (1 - lambda_init))
            pairs.append(torch.stack(rows))
        images.append(torch.cat(pairs, dim=1) @ layer.proj.weight.T + layer.proj.bias)
    return torch.stack(images)
