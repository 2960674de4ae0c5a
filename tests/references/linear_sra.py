"""softmax(q kᵀ / √D) v, keys and values from a map of p × p means: y = GELU(LayerNorm(W mean)).

Mean (i, j) is that of rows ⌊iH/p⌋ … ⌈(i+1)H/p⌉ − 1 and of the columns alike.
"""

from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references._pieces import attention


def reference(layer: Any, x: Tensor, geometry: Geometry, pool: int) -> Tensor:
    c = geometry.dim
    images = []
    for image in x:
        y = reduced(layer, image.reshape(geometry.height, geometry.width, c), pool)
        q = image @ layer.q.weight.T + layer.q.bias
        k, v = (y @ layer.kv.weight.T + layer.kv.bias).split(c, dim=-1)
        images.append(attention(q, k, v, geometry.heads) @ layer.proj.weight.T + layer.proj.bias)
    return torch.stack(images)


def reduced(layer: Any, grid: Tensor, pool: int) -> Tensor:
    """The p · p tokens that are keys and values, row-major."""
    height, width, _ = grid.shape
    tokens = []
    for rows in cells(height, pool):
        for columns in cells(width, pool):
            mean = grid[rows, columns].mean(dim=(0, 1))
            token = layer.reduce.weight @ mean + layer.reduce.bias
            centred = token - token.mean()
            normal = centred / (centred.square().mean() + 1e-5).sqrt() * layer.norm.weight + layer.norm.bias
            tokens.append(normal * (1 + torch.erf(normal / 2**0.5)) / 2)
    return torch.stack(tokens)


def cells(length: int, pool: int) -> list[slice]:
    """Where each of `pool` cells begins and ends on a side."""
    return [slice(i * length // pool, -(-(i + 1) * length // pool)) for i in range(pool)]
