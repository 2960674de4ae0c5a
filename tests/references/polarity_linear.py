"""W_o(([y₁ ; y₂] + depthwise(v)) ⊙ W_g x), y₁ and y₂ the two halves of a head's values under unlike weights.

    weight of key m for y₁: q⁺ · k⁺_m + q⁻ · k⁻_m,     for y₂: q⁻ · k⁺_m + q⁺ · k⁻_m
    x⁺ = ReLU(x)^p,  x⁻ = ReLU(−x)^p,  p = 1 + α σ(π)

Weights are divided by N, and what they give by the sum of those weights + 1e-6.
"""

from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references._pieces import depthwise


def reference(layer: Any, x: Tensor, geometry: Geometry, alpha: float, kernel: int) -> Tensor:
    n, c, d = geometry.tokens, geometry.dim, geometry.head_dim
    scale = torch.log1p(torch.exp(layer.scale))
    images = []
    for image in x:
        q, k, v, gate = (image @ layer.qkvg.weight.T + layer.qkvg.bias).split(c, dim=-1)
        q, k = q / scale, (k + layer.positions) / scale
        heads = []
        for head in range(geometry.heads):
            channels = slice(head * d, (head + 1) * d)
            power = 1 + alpha / (1 + torch.exp(-layer.power[head, 0]))
            plus_k, minus_k = k[:, channels].clamp(min=0) ** power, (-k[:, channels]).clamp(min=0) ** power
            first, second = v[:, channels].chunk(2, dim=-1)
            rows = []
            for query in q[:, channels]:
                plus, minus = query.clamp(min=0) ** power, (-query).clamp(min=0) ** power
                like = (plus_k @ plus + minus_k @ minus) / n
                unlike = (plus_k @ minus + minus_k @ plus) / n
                y_1, y_2 = like @ first / (like.sum() + 1e-6), unlike @ second / (unlike.sum() + 1e-6)
                rows.append(torch.cat([y_1, y_2]))
            grid = v[:, channels].reshape(geometry.height, geometry.width, d)
            heads.append(torch.stack(rows) + depthwise(grid, layer.depthwise).flatten(0, 1))
        gated = torch.cat(heads, dim=1) * gate
        images.append(gated @ layer.proj.weight.T + layer.proj.bias)
    return torch.stack(images)
