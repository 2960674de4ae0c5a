"""softmax(q kᵀ / √D + log γ |Δcolumn|) v along each row, then the same with |Δrow| along each column.

All at once where it is not decomposed. γ of head j is 1 − 2^−(initial + spread j/h). Channels 2i and 2i + 1
of q and k are turned by t · 10000^(−i/(D/2 − 1)) at token t, before everything.
"""

import math
from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references._pieces import attention, depthwise


def reference(
    layer: Any,
    x: Tensor,
    geometry: Geometry,
    decomposed: bool,
    initial: float,
    spread: float,
    lepe: int,
) -> Tensor:
    height, width, heads = geometry.height, geometry.width, geometry.heads
    decays = [math.log(1 - 2.0 ** -(initial + spread * head / heads)) for head in range(heads)]
    images = []
    for image in x:
        q, k, v = (image @ part.weight.T + part.bias for part in (layer.q, layer.k, layer.v))
        q, k = turned(q, geometry), turned(k, geometry)
        grid = v.reshape(height, width, -1)
        if decomposed:
            q, k = q.reshape(grid.shape), k.reshape(grid.shape)
            bias = penalties(decays, [(0, column) for column in range(width)])
            u = torch.stack([attention(q[r], k[r], grid[r], heads, bias) for r in range(height)])
            bias = penalties(decays, [(row, 0) for row in range(height)])
            columns = [attention(q[:, c], k[:, c], u[:, c], heads, bias) for c in range(width)]
            out = torch.stack(columns, dim=1).flatten(0, 1)
        else:
            bias = penalties(decays, [(row, column) for row in range(height) for column in range(width)])
            out = attention(q, k, v, heads, bias)
        out = out + depthwise(grid, layer.lepe).flatten(0, 1)
        images.append(out @ layer.proj.weight.T + layer.proj.bias)
    return torch.stack(images)


def turned(x: Tensor, geometry: Geometry) -> Tensor:
    """Tokens `[N, C]` with each pair of channels rotated."""
    planes = geometry.head_dim // 2
    channels = []
    for plane in range(geometry.dim // 2):
        frequency = 10_000 ** (-(plane % planes) / max(1, planes - 1))
        cos = torch.tensor([math.cos(token * frequency) for token in range(geometry.tokens)])
        sin = torch.tensor([math.sin(token * frequency) for token in range(geometry.tokens)])
        a, b = x[:, 2 * plane], x[:, 2 * plane + 1]
        channels += [a * cos - b * sin, a * sin + b * cos]
    return torch.stack(channels, dim=1)


def penalties(decays: list[float], places: list[tuple[int, int]]) -> Tensor:
    """What each head adds to the logits between places (row, column): `[heads, N, N]`."""
    distances = [[abs(a[0] - b[0]) + abs(a[1] - b[1]) for b in places] for a in places]
    return torch.tensor([[[decay * d for d in row] for row in distances] for decay in decays])
