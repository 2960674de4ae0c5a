"""Σ_j a_j v_j / (Σ_j a_j + ε N), a_j = φ(q)·φ(k_j), all weights of one query at a time; then depthwise(v).

    φ(x) = s^p ‖s‖ / ‖s^p‖,  s = (max(x, 0) + ε) / log(1 + exp(scale)),  ε = 1e-6

with the norms over all channels of a token.
"""

from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references._pieces import depthwise


def reference(layer: Any, x: Tensor, geometry: Geometry, power: int, kernel: int) -> Tensor:
    n, c, d = geometry.tokens, geometry.dim, geometry.head_dim
    softplus = torch.log(1 + torch.exp(layer.scale.reshape(c)))
    images = []
    for image in x:
        q, k, v = (image @ layer.qkv.weight.T + layer.qkv.bias).split(c, dim=-1)
        q = torch.stack([phi(row, softplus, power) for row in q])
        k = torch.stack([phi(row, softplus, power) for row in k + layer.position.reshape(n, c)])
        heads = []
        for head in range(geometry.heads):
            channels = slice(head * d, (head + 1) * d)
            rows = []
            for token in range(n):
                weights = k[:, channels] @ q[token, channels]  # [N]
                rows.append(weights @ v[:, channels] / (weights.sum() + 1e-6 * n))
            grid = v[:, channels].reshape(geometry.height, geometry.width, d)
            heads.append(torch.stack(rows) + depthwise(grid, layer.local).flatten(0, 1))
        images.append(torch.cat(heads, dim=1) @ layer.proj.weight.T + layer.proj.bias)
    return torch.stack(images)


def phi(token: Tensor, softplus: Tensor, power: int) -> Tensor:
    positive = (token.clamp(min=0) + 1e-6) / softplus
    sharp = positive**power
    return sharp * ((positive @ positive) / (sharp @ sharp)).sqrt()
