"""softmax(q kᵀ / √C) v over the tokens of those regions that a query's region chose, plus LePE(v).

A region chooses the regions whose mean key has the largest product with its own mean query.
"""

from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references._pieces import depthwise, pad

Cells = list[tuple[int, int]]


def reference(layer: Any, x: Tensor, geometry: Geometry, regions: int, topk: int, lepe: int) -> Tensor:
    images = []
    for image in x:
        padded = pad(image.reshape(geometry.height, geometry.width, -1), regions)
        q, k, v = (padded @ layer.qkv.weight.T + layer.qkv.bias).split(geometry.dim, dim=-1)
        cells = cells_of_regions(padded.shape[0], padded.shape[1], regions)
        mean_queries, mean_keys = (
            [torch.stack([part[cell] for cell in region]).mean(dim=0).detach() for region in cells]
            for part in (q, k)
        )
        out = {}
        for region, mean_query in zip(cells, mean_queries, strict=True):
            affinities = [float(mean_query @ mean_key) for mean_key in mean_keys]
            best = sorted(range(len(cells)), key=lambda each: -affinities[each])[:topk]
            seen = [cell for each in best for cell in cells[each]]
            keys, values = (torch.stack([part[cell] for cell in seen]) for part in (k, v))
            for cell in region:
                out[cell] = attended(q[cell], keys, values, geometry.heads)
        rows = [torch.stack([out[r, c] for c in range(padded.shape[1])]) for r in range(padded.shape[0])]
        total = torch.stack(rows) + depthwise(v, layer.lepe)
        projected = total @ layer.proj.weight.T + layer.proj.bias
        images.append(projected[: geometry.height, : geometry.width].flatten(0, 1))
    return torch.stack(images)


def cells_of_regions(height: int, width: int, regions: int) -> list[Cells]:
    """The tokens of each region, by row and column."""
    tall, broad = height // regions, width // regions
    return [
        [(i * tall + a, j * broad + b) for a in range(tall) for b in range(broad)]
        for i in range(regions)
        for j in range(regions)
    ]


def attended(query: Tensor, keys: Tensor, values: Tensor, heads: int) -> Tensor:
    """One token's output `[C]`."""
    parts = []
    for q, k, v in zip(query.chunk(heads), keys.chunk(heads, dim=1), values.chunk(heads, dim=1), strict=True):
        parts.append(torch.softmax(k @ q / len(query) ** 0.5, dim=0) @ v)
    return torch.cat(parts)
