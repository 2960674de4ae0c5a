"""softmax(q k̄ᵀ / √D) v̄, k̄ = Eᵀk and v̄ = Fᵀv: each of the `rank` keys is one weighted sum over all tokens."""

from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry


def reference(layer: Any, x: Tensor, geometry: Geometry, rank: int) -> Tensor:
    c, d = geometry.dim, geometry.head_dim
    images = []
    for image in x:
        q = image @ layer.query.weight.T + layer.query.bias
        k, v = (image @ layer.kv.weight.T + layer.kv.bias).split(c, dim=-1)
        k = torch.stack([layer.reduce_k[:, slot] @ k for slot in range(rank)])  # [rank, C]
        v = torch.stack([layer.reduce_v[:, slot] @ v for slot in range(rank)])
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
