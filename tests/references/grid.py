"""softmax(q kᵀ / √D + bias) v in groups of tokens, one from each of grid × grid cells of the padded map."""

from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references._pieces import attention, pad


def reference(layer: Any, x: Tensor, geometry: Geometry, grid: int, bias: bool) -> Tensor:
    table = table_bias(layer.table, grid) if bias else None
    cells = [(i, j) for i in range(grid) for j in range(grid)]
    images = []
    for image in x:
        padded = pad(image.reshape(geometry.height, geometry.width, -1), grid)
        height, width = padded.shape[0] // grid, padded.shape[1] // grid  # of a cell
        q, k, v = (padded @ layer.qkv.weight.T + layer.qkv.bias).split(geometry.dim, dim=-1)
        out: dict[tuple[int, int], Tensor] = {}
        for a in range(height):
            for b in range(width):
                group = [(i * height + a, j * width + b) for i, j in cells]
                queries, keys, values = (torch.stack([part[place] for place in group]) for part in (q, k, v))
                gathered = attention(queries, keys, values, geometry.heads, table)
                out.update(zip(group, gathered, strict=True))
        real = [out[row, column] for row in range(geometry.height) for column in range(geometry.width)]
        images.append(torch.stack(real) @ layer.proj.weight.T + layer.proj.bias)
    return torch.stack(images)


def table_bias(table: Tensor, grid: int) -> Tensor:
    """The table's number for each head, query's cell and key's cell, `[heads, G², G²]`."""
    cells = [(i, j) for i in range(grid) for j in range(grid)]
    rows = []
    for i, j in cells:
        entries = [(i - a + grid - 1) * (2 * grid - 1) + j - b + grid - 1 for a, b in cells]
        rows.append(table[entries].T)
    return torch.stack(rows, dim=1)
