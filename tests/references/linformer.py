"""softmax(q k̄ᵀ / √D) v̄, k̄ = Eᵀk and v̄ = Fᵀv: each of the `rank` keys is one weighted sum over all tokens."""

from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references._pieces import attention


def reference(layer: Any, x: Tensor, geometry: Geometry, rank: int) -> Tensor:
    c = geometry.dim
    images = []
    for image in x:
        q = image @ layer.query.weight.T + layer.query.bias
        k, v = (image @ layer.kv.weight.T + layer.kv.bias).split(c, dim=-1)
        k = torch.stack([layer.reduce_k[:, slot] @ k for slot in range(rank)])  # [rank, C]
        v = torch.stack([layer.reduce_v[:, slot] @ v for slot in range(rank)])
        images.append(attention(q, k, v, geometry.heads) @ layer.proj.weight.T + layer.proj.bias)
    return torch.stack(images)
