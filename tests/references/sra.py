"""softmax(q kᵀ / √D) v, keys and values from a map whose r×r blocks are each reduced to one token.

    y = LayerNorm(conv_{r×r, stride r}(x)), ⌊H/r⌋ · ⌊W/r⌋ tokens;  y = x where r = 1

Rows and columns beyond the last whole block give no keys; a map without a whole block has none at all, and
so no reference.
"""

from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references._pieces import attention


def reference(layer: Any, x: Tensor, geometry: Geometry, reduction: int) -> Tensor:
    c = geometry.dim
    images = []
    for image in x:
        reduced = image if reduction == 1 else blocks(layer, image, geometry, reduction)
        q = image @ layer.q.weight.T + layer.q.bias
        k, v = (reduced @ layer.kv.weight.T + layer.kv.bias).split(c, dim=-1)
        images.append(attention(q, k, v, geometry.heads) @ layer.proj.weight.T + layer.proj.bias)
    return torch.stack(images)


def blocks(layer: Any, image: Tensor, geometry: Geometry, r: int) -> Tensor:
    """One normalised token for each whole r×r block of `image` `[N, C]`, row-major."""
    grid = image.reshape(geometry.height, geometry.width, geometry.dim)
    tokens = []
    for row in range(0, geometry.height - r + 1, r):
        for column in range(0, geometry.width - r + 1, r):
            block = grid[row : row + r, column : column + r]
            token = torch.einsum("oiyx,yxi->o", layer.reduce.weight, block) + layer.reduce.bias
            centred = token - token.mean()
            normal = centred / (centred.square().mean() + 1e-5).sqrt()
            tokens.append(normal * layer.norm.weight + layer.norm.bias)
    return torch.stack(tokens)
