"""Coarse attention to all keys, finer attention to the children of each query's K best keys; query by query.

    coarsest level:  a = softmax(q kᵀ / √D) over all keys,  m = a v,  keep the K largest a
    finer levels:    the same over the 4K children of the keys that the query's parent kept
    out = proj Σ_l softmax(level_weights)_l · upsample(m_l + LePE_l(v_l))

All of it runs on the map zero-padded at the bottom and right to a multiple of 2^(levels−1), and is cropped at
the end. A key that holds no token of the map takes no part in a softmax. The layer's level weights and LePEs
begin with the coarsest level; its value branches, and all lists below, with the finest.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from attnbench import Geometry

Cell = tuple[int, int]


def reference(layer: Any, x: Tensor, geometry: Geometry, levels: int, keys: int) -> Tensor:
    height, width, multiple = geometry.height, geometry.width, 2 ** (levels - 1)
    real = torch.ones(height, width, dtype=torch.bool)
    real = F.pad(real, (0, -width % multiple, 0, -height % multiple))
    reals = [real]
    for _ in range(levels - 1):
        reals.append(torch.stack(quarters(reals[-1])).any(dim=0))
    images = []
    for image in x:
        grid = image.reshape(height, width, -1)
        grid = F.pad(grid, (0, 0, 0, -width % multiple, 0, -height % multiple))
        queries, pooled_keys, values = (
            [linear(projection, grid)] for projection in (layer.q, layer.k, layer.v)
        )
        for branch in layer.value:
            queries.append(torch.stack(quarters(queries[-1])).mean(dim=0))
            pooled_keys.append(torch.stack(quarters(pooled_keys[-1])).mean(dim=0))
            values.append(reduced(branch, values[-1]))

        kept = min(keys, int(reals[-1].sum()))
        heads = [
            messages(geometry.head_dim, head, queries, pooled_keys, values, reals, kept)
            for head in range(geometry.heads)
        ]
        weights = torch.softmax(layer.level_weights, dim=0)
        merged = []
        for level in range(levels):
            coarseness = levels - 1 - level  # the place of this level in lists that begin with the coarsest
            message = torch.cat([head[level] for head in heads], dim=-1)
            message = message + depthwise(layer.lepe[coarseness], values[level])
            message = message.repeat_interleave(2**level, dim=0).repeat_interleave(2**level, dim=1)
            merged.append(weights[coarseness] * message)
        out = linear(layer.proj, torch.stack(merged).sum(dim=0))
        images.append(out[:height, :width].reshape(geometry.tokens, -1))
    return torch.stack(images)


def messages(
    d: int,
    head: int,
    queries: list[Tensor],
    keys: list[Tensor],
    values: list[Tensor],
    reals: list[Tensor],
    kept: int,
) -> list[Tensor]:
    """One head's messages `[h, w, D]`, level by level."""
    channels = slice(head * d, (head + 1) * d)
    best: dict[Cell, list[Cell]] = {}
    out = []
    for level in reversed(range(len(queries))):
        q, k, v = (maps[level][..., channels] for maps in (queries, keys, values))
        height, width, _ = q.shape
        everything = [(r, c) for r in range(height) for c in range(width)]
        best_of_parents, best = best, {}
        rows = []
        for r, c in everything:
            seen = everything if not best_of_parents else children(best_of_parents[r // 2, c // 2])
            seen = [cell for cell in seen if reals[level][cell]]
            index = torch.tensor(seen).unbind(dim=1)
            a = torch.softmax(k[index] @ q[r, c] / d**0.5, dim=0)
            rows.append(a @ v[index])
            if level:
                best[r, c] = [seen[position] for position in a.detach().topk(kept).indices.tolist()]
        out.append(torch.stack(rows).reshape(height, width, d))
    return out[::-1]


def children(cells: list[Cell]) -> list[Cell]:
    return [(2 * r + i, 2 * c + j) for r, c in cells for i in range(2) for j in range(2)]


def quarters(grid: Tensor) -> list[Tensor]:
    """The first, second, third and fourth cells of all 2×2 blocks of a map `[h, w, …]`."""
    return [grid[i::2, j::2] for i in range(2) for j in range(2)]


def reduced(branch: Any, v: Tensor) -> Tensor:
    """The values of the next coarser level: norm, GELU, 2×2 convolution, norm, GELU, projection."""
    v = gelu(normal(branch.norm_1, v))
    taps = branch.reduce.weight.flatten(2).unbind(dim=-1)  # four [C, C], row-major
    products = [cells @ tap.T for cells, tap in zip(quarters(v), taps, strict=True)]
    v = torch.stack(products).sum(dim=0) + branch.reduce.bias
    return linear(branch.point, gelu(normal(branch.norm_2, v)))


def normal(norm: Any, v: Tensor) -> Tensor:
    """GroupNorm with one group: over all channels and positions of the image."""
    centred = v - v.mean()
    out: Tensor = centred / (centred.square().mean() + 1e-5).sqrt() * norm.weight + norm.bias
    return out


def gelu(v: Tensor) -> Tensor:
    return v * (1 + torch.erf(v / 2**0.5)) / 2


def linear(layer: Any, v: Tensor) -> Tensor:
    out: Tensor = v @ layer.weight.T + layer.bias
    return out


def depthwise(convolution: Any, v: Tensor) -> Tensor:
    """A 3×3 depthwise convolution of a map `[h, w, C]`, zeros around it."""
    height, width, _ = v.shape
    padded = F.pad(v, (0, 0, 1, 1, 1, 1))
    out: Tensor = convolution.bias
    for row in range(3):
        for column in range(3):
            tap = convolution.weight[:, 0, row, column]
            out = out + tap * padded[row : row + height, column : column + width]
    return out
