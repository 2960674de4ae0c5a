"""softmax(τ · q̂ k̂ᵀ) v between the channels of a head, row by row; q̂, k̂ are of length 1 over the tokens."""

from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry


def reference(layer: Any, x: Tensor, geometry: Geometry) -> Tensor:
    c, d = geometry.dim, geometry.head_dim
    images = []
    for image in x:
        q, k, v = (image @ layer.qkv.weight.T + layer.qkv.bias).split(c, dim=-1)  # each [N, C]
        heads = []
        for head in range(geometry.heads):
            channels = slice(head * d, (head + 1) * d)
            unit_keys = torch.stack([unit(k[:, channel]) for channel in range(c)[channels]])  # [D, N]
            rows = []
            for channel in range(c)[channels]:
                logits = layer.temperature[head, 0, 0] * (unit_keys @ unit(q[:, channel]))
                rows.append(v[:, channels] @ torch.softmax(logits, dim=0))
            heads.append(torch.stack(rows, dim=1))  # [N, D]
        images.append(torch.cat(heads, dim=1) @ layer.proj.weight.T + layer.proj.bias)
    return torch.stack(images)


def unit(row: Tensor) -> Tensor:
    """x / max(‖x‖₂, 1e-12)."""
    return row / (row @ row).sqrt().clamp(min=1e-12)
