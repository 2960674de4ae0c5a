"""softmax(q kᵀ / √D + bias) v over a window's own tokens, the ring around them and pooled windows nearby."""

from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references._pieces import attention, pad, side_by_side


def reference(
    layer: Any, x: Tensor, geometry: Geometry, window: int, expand: int, focal_window: int
) -> Tensor:
    shorter = min(geometry.height, geometry.width)
    if shorter <= window:
        window, expand = shorter, 0
    images = []
    for image in x:
        padded = pad(image.reshape(geometry.height, geometry.width, -1), window)
        out = attend(layer, padded, geometry.heads, window, expand, focal_window)
        cropped = out[: geometry.height, : geometry.width].flatten(0, 1)
        images.append(cropped @ layer.proj.weight.T + layer.proj.bias)
    return torch.stack(images)


def attend(layer: Any, image: Tensor, heads: int, window: int, expand: int, focal_window: int) -> Tensor:
    """The heads' outputs for a map [H, W, C] of whole windows."""
    height, width, c = image.shape
    q, k, v = (image @ layer.qkv.weight.T + layer.qkv.bias).split(c, dim=-1)

    def pooled_at(top: int, left: int) -> Tensor:
        tokens = image[top : top + window, left : left + window].flatten(0, 1)
        token: Tensor = layer.pool.weight[0] @ tokens + layer.pool.bias
        return token.reshape(1, 1, c)

    pooled = side_by_side(pooled_at, height, width, window, window)  # [H / window, W / window, C]
    _, pooled_k, pooled_v = (pooled @ layer.qkv.weight.T + layer.qkv.bias).split(c, dim=-1)

    bias = [own_bias(layer, window)]
    if expand:
        bias.append(layer.ring_bias[0])
    bias.append(pooled_bias(layer, window, focal_window))

    def window_at(top: int, left: int) -> Tensor:
        fine = [
            ((top + i) % height, (left + j) % width) for i, j in square(window) + ring_cells(window, expand)
        ]
        coarse = [
            (top // window + a - focal_window // 2, left // window + b - focal_window // 2)
            for a, b in square(focal_window)
        ]
        inside = [0 <= a < height // window and 0 <= b < width // window for a, b in coarse]
        zero = torch.zeros_like(pooled[0, 0])
        near_k = [pooled_k[cell] if there else zero for cell, there in zip(coarse, inside, strict=True)]
        near_v = [pooled_v[cell] if there else zero for cell, there in zip(coarse, inside, strict=True)]
        mask = torch.tensor([0.0] * len(fine) + [0.0 if there else -100.0 for there in inside]).to(q)
        out = attention(
            q[top : top + window, left : left + window].flatten(0, 1),
            torch.stack([k[cell] for cell in fine] + near_k),
            torch.stack([v[cell] for cell in fine] + near_v),
            heads,
            torch.cat(bias, dim=-1) + mask,
        )
        return out.reshape(window, window, c)

    return side_by_side(window_at, height, width, window, window)


def square(size: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(size) for j in range(size)]


def ring_cells(window: int, expand: int) -> list[tuple[int, int]]:
    """What four rolls by `expand` bring into a window from outside, counted from the window's first cell."""
    rolls = [(-expand, -expand), (-expand, expand), (expand, -expand), (expand, expand)]
    moved = [(i - down, j - right) for down, right in rolls for i, j in square(window)]
    return [(i, j) for i, j in moved if not (0 <= i < window and 0 <= j < window)]


def own_bias(layer: Any, window: int) -> Tensor:
    """[heads, w², w²], by the distance from key to query."""
    side = 2 * window - 1
    cells = square(window)
    index = [[(i - a + window - 1) * side + j - b + window - 1 for a, b in cells] for i, j in cells]
    bias: Tensor = layer.own_bias[torch.tensor(index)]
    return bias.permute(2, 0, 1)


def pooled_bias(layer: Any, window: int, focal_window: int) -> Tensor:
    """[heads, w², f²], by the query's cell in its window and the pooled cell in its neighbourhood."""
    side, last = window + focal_window - 1, focal_window - 1
    near = square(focal_window)
    index = [[(i - a + last) * side + j - b + last for a, b in near] for i, j in square(window)]
    bias: Tensor = layer.pooled_bias[:, torch.tensor(index)]
    return bias
