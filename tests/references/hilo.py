"""Hi-Fi: softmax(q kᵀ / √D) v in each small window. Lo-Fi: the same over the mean tokens of the windows."""

from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references._pieces import attention, pad, side_by_side


def reference(layer: Any, x: Tensor, geometry: Geometry, alpha: float, window: int) -> Tensor:
    low = geometry.heads if window == 1 else int(geometry.heads * alpha)
    high = geometry.heads - low
    images = []
    for image in x:
        padded = pad(image.reshape(geometry.height, geometry.width, -1), window)
        branches = []
        if high:
            branches.append(hifi(layer, padded, high, window))
        if low:
            branches.append(lofi(layer, padded, low, window))
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


def lofi(layer: Any, image: Tensor, heads: int, window: int) -> Tensor:
    height, width, _ = image.shape
    means = torch.stack(
        [
            image[top : top + window, left : left + window].mean(dim=(0, 1))
            for top in range(0, height, window)
            for left in range(0, width, window)
        ]
    )
    q = image.flatten(0, 1) @ layer.l_q.weight.T + layer.l_q.bias
    k, v = (means @ layer.l_kv.weight.T + layer.l_kv.bias).chunk(2, dim=-1)
    out: Tensor = attention(q, k, v, heads) @ layer.l_proj.weight.T + layer.l_proj.bias
    return out.reshape(height, width, -1)
