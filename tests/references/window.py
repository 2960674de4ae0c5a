"""softmax(q kᵀ / √D + mask) v in each window of the padded map, which is rolled by −shift and rolled back."""

from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references._pieces import attention, pad, side_by_side


def reference(
    layer: Any, x: Tensor, geometry: Geometry, window: int, shift: int, mask: float = -100.0
) -> Tensor:
    images = []
    for image in x:
        padded = pad(image.reshape(geometry.height, geometry.width, -1), window)
        height, width, c = padded.shape
        rolled = [
            padded[(row + shift) % height, (column + shift) % width]
            for row in range(height)
            for column in range(width)
        ]
        qkv = torch.stack(rolled) @ layer.qkv.weight.T + layer.qkv.bias
        out = attend_in_windows(qkv.reshape(height, width, 3 * c), geometry.heads, window, shift, mask)
        out = out @ layer.proj.weight.T + layer.proj.bias
        cropped = [
            out[(row - shift) % height, (column - shift) % width]
            for row in range(geometry.height)
            for column in range(geometry.width)
        ]
        images.append(torch.stack(cropped))
    return torch.stack(images)


def attend_in_windows(qkv: Tensor, heads: int, window: int, shift: int, masked: float) -> Tensor:
    """Attention of a map [H, W, 3C] in windows; tokens from opposite borders are masked from each other."""
    height, width, _ = qkv.shape

    def window_at(top: int, left: int) -> Tensor:
        cells = [(top + i, left + j) for i in range(window) for j in range(window)]
        labels = [
            (region(row, height, window, shift), region(column, width, window, shift))
            for row, column in cells
        ]
        mask = torch.tensor([[0.0 if a == b else masked for b in labels] for a in labels], dtype=qkv.dtype)
        q, k, v = qkv[top : top + window, left : left + window].flatten(0, 1).chunk(3, dim=-1)
        return attention(q, k, v, heads, mask.expand(heads, -1, -1)).reshape(window, window, -1)

    return side_by_side(window_at, height, width, window, window)


def region(position: int, length: int, window: int, shift: int) -> int:
    """The part of a rolled axis, 0, 1 or 2, that holds `position`: it is cut at −window and at −shift."""
    return sum(position >= start for start in (length - window, length - shift))
