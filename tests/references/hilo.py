"""Hi-Fi: softmax(q kᵀ / √D) v in each small window. Lo-Fi: the same over the mean tokens of the windows.

With pooled queries the mean tokens are Lo-Fi's queries too, and its output is interpolated between the
centres of the windows.
"""

import itertools
from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references._pieces import attention, pad, side_by_side


def reference(
    layer: Any, x: Tensor, geometry: Geometry, alpha: float, window: int, pooled_queries: bool = False
) -> Tensor:
    low = geometry.heads if window == 1 else int(geometry.heads * alpha)
    high = geometry.heads - low
    images = []
    for image in x:
        padded = pad(image.reshape(geometry.height, geometry.width, -1), window)
        branches = []
        if high:
            branches.append(hifi(layer, padded, high, window))
        if low:
            branches.append(lofi(layer, padded, low, window, pooled_queries))
        out = torch.cat(branches, dim=-1)
        images.append(out[: geometry.height, : geometry.width].flatten(0, 1))
    return torch.stack(images)


def hifi(layer: Any, image: Tensor, heads: int, window: int) -> Tensor:
    qkv = image @ layer.h_qkv.weight.T + layer.h_qkv.bias

    def window_at(top: int, left: int) -> Tensor:
        q, k, v = qkv[top : top + window, left : left + window].flatten(0, 1).chunk(3, dim=-1)
        return attention(q, k, v, heads).reshape(window, window, -1)

    height, width, _ = image.shape
    heads_out = side_by_side(window_at, height, width, window, window)
    out: Tensor = heads_out @ layer.h_proj.weight.T + layer.h_proj.bias
    return out


def lofi(layer: Any, image: Tensor, heads: int, window: int, pooled_queries: bool) -> Tensor:
    height, width, _ = image.shape
    means = torch.stack(
        [
            image[top : top + window, left : left + window].mean(dim=(0, 1))
            for top in range(0, height, window)
            for left in range(0, width, window)
        ]
    )
    asking = means if pooled_queries else image.flatten(0, 1)
    q = asking @ layer.l_q.weight.T + layer.l_q.bias
    k, v = (means @ layer.l_kv.weight.T + layer.l_kv.bias).chunk(2, dim=-1)
    out: Tensor = attention(q, k, v, heads) @ layer.l_proj.weight.T + layer.l_proj.bias
    if pooled_queries:
        return between_centres(out.reshape(height // window, width // window, -1), window)
    return out.reshape(height, width, -1)


def between_centres(coarse: Tensor, window: int) -> Tensor:
    """The map of which `coarse` `[H/s, W/s, C]` has the centres of windows: `[H, W, C]`.

    Each token has the four centres around it, by their nearness; beyond the outermost ones nothing changes.
    """
    rows, columns = (neighbours(length, window) for length in coarse.shape[:2])
    out = torch.zeros(len(rows), len(columns), coarse.shape[2], dtype=coarse.dtype)
    for place in itertools.product(range(len(rows)), range(len(columns))):
        for (r, near_row), (c, near_column) in itertools.product(rows[place[0]], columns[place[1]]):
            out[place] += near_row * near_column * coarse[r, c]
    return out


def neighbours(windows: int, size: int) -> list[list[tuple[int, float]]]:
    """For each place on a side, the windows before and after it and how near their centres are."""
    found = []
    for place in range(windows * size):
        position = min(max((place + 0.5) / size - 0.5, 0), windows - 1)
        before = int(position)
        after = min(before + 1, windows - 1)
        found.append([(before, 1 - (position - before)), (after, position - before)])
    return found
