"""u = softmax(g kᵀ / √D + b) v, out = softmax(q gᵀ / √D + b'ᵀ) u + depthwise(v), image by image.

The agents g are means of q over cells from ⌊iH/a⌋ to ⌈(i+1)H/a⌉, columns likewise. b and b' are the value of
a 7 × 7 map, linear in either direction between the centres of its cells and constant beyond the outer ones,
plus that of the token's row and of its column.
"""

import math
from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references._pieces import attention, depthwise


def reference(layer: Any, x: Tensor, geometry: Geometry, agents: int) -> Tensor:
    gathering, reading = bias(layer.gathering, geometry), bias(layer.reading, geometry).mT
    images = []
    for image in x:
        q, k, v = (image @ layer.qkv.weight.T + layer.qkv.bias).split(geometry.dim, dim=-1)
        g = means(q, geometry, agents)
        gathered = attention(g, k, v, geometry.heads, gathering)
        out = attention(q, g, gathered, geometry.heads, reading)
        grid = v.reshape(geometry.height, geometry.width, -1)
        out = out + depthwise(grid, layer.local).flatten(0, 1)
        images.append(out @ layer.proj.weight.T + layer.proj.bias)
    return torch.stack(images)


def means(q: Tensor, geometry: Geometry, agents: int) -> Tensor:
    """The mean query of each cell, row by row: `[A, C]`."""
    grid = q.reshape(geometry.height, geometry.width, -1)
    return torch.stack(
        [
            grid[cell(i, agents, geometry.height), cell(j, agents, geometry.width)].mean(dim=(0, 1))
            for i in range(agents)
            for j in range(agents)
        ]
    )


def cell(index: int, cells: int, length: int) -> slice:
    return slice(index * length // cells, math.ceil((index + 1) * length / cells))


def bias(places: Any, geometry: Geometry) -> Tensor:
    """`[heads, A, N]`."""
    values = []
    for row in range(geometry.height):
        for column in range(geometry.width):
            value = places.rows[:, :, row, 0] + places.columns[:, :, 0, column]
            for i, share_of_row in neighbours(row, geometry.height):
                for j, share_of_column in neighbours(column, geometry.width):
                    value = value + share_of_row * share_of_column * places.coarse[:, :, i, j]
            values.append(value)
    return torch.stack(values, dim=-1)


def neighbours(place: int, length: int) -> list[tuple[int, float]]:
    """The two of seven cells between whose centres a place lies, with their shares."""
    position = min(max((place + 0.5) / length * 7 - 0.5, 0), 6)
    before = min(int(position), 5)
    return [(before, 1 - (position - before)), (before + 1, position - before)]
