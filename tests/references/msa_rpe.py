"""softmax(q kᵀ / √D + b) v, where b is what a table has for the rows and columns from key to query."""

from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references._pieces import attention


def reference(layer: Any, x: Tensor, geometry: Geometry) -> Tensor:
    bias = spread(layer.table, geometry)
    images = []
    for image in x:
        q, k, v = (image @ layer.qkv.weight.T + layer.qkv.bias).split(geometry.dim, dim=-1)
        images.append(attention(q, k, v, geometry.heads, bias) @ layer.proj.weight.T + layer.proj.bias)
    return torch.stack(images)


def spread(table: Tensor, geometry: Geometry) -> Tensor:
    """The table's number for each head, query and key, `[heads, N, N]`."""
    height, width = geometry.height, geometry.width
    places = [(row, column) for row in range(height) for column in range(width)]
    queries = []
    for row, column in places:
        entries = [(row - r + height - 1) * (2 * width - 1) + column - c + width - 1 for r, c in places]
        queries.append(table[entries].T)
    return torch.stack(queries, dim=1)
