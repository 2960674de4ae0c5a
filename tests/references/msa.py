"""softmax(q kᵀ / √D) v, head by head and query by query."""

from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry


def reference(layer: Any, x: Tensor, geometry: Geometry) -> Tensor:
    c, d = geometry.dim, geometry.head_dim
    images = []
    for image in x:
        q, k, v = (image @ layer.qkv.weight.T + layer.qkv.bias).split(c, dim=-1)
        rows = []
        for token in range(geometry.tokens):
            heads = []
            for head in range(geometry.heads):
                channels = slice(head * d, (head + 1) * d)
                logits = k[:, channels] @ q[token, channels] / d**0.5
                heads.append(torch.softmax(logits, dim=0) @ v[:, channels])
            rows.append(torch.cat(heads))
        images.append(torch.stack(rows) @ layer.proj.weight.T + layer.proj.bias)
    return torch.stack(images)
