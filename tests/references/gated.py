"""σ(g) ⊙ softmax(q kᵀ / √D) v, head by head and query by query; a gate is a row of numbers, or one number."""

from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references._pieces import attention


def reference(layer: Any, x: Tensor, geometry: Geometry, gate: str) -> Tensor:
    c, d = geometry.dim, geometry.head_dim
    images = []
    for image in x:
        projected = image @ layer.qkv_gate.weight.T + layer.qkv_gate.bias
        q, k, v, gates = projected.split((c, c, c, projected.shape[-1] - 3 * c), dim=-1)
        opening = 1 / (1 + torch.exp(-gates))
        heads = []
        for head, gathered in enumerate(attention(q, k, v, geometry.heads).split(d, dim=-1)):
            of_head = slice(head * d, (head + 1) * d) if gate == "element" else slice(head, head + 1)
            heads.append(opening[:, of_head] * gathered)
        images.append(torch.cat(heads, dim=-1) @ layer.proj.weight.T + layer.proj.bias)
    return torch.stack(images)
