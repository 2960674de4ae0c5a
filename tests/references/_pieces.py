"""Parts of formulas that several references share, each written out for one image."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def attention(q: Tensor, k: Tensor, v: Tensor, heads: int, bias: Tensor | None = None) -> Tensor:
    """softmax(q kᵀ / √D + bias) v, query by query and head by head.

    q is [N, heads · D], k and v are [M, heads · D], bias is [heads, N, M].
    """
    d = q.shape[-1] // heads
    rows = []
    for token in range(q.shape[0]):
        row = []
        for head in range(heads):
            channels = slice(head * d, (head + 1) * d)
            logits = k[:, channels] @ q[token, channels] / d**0.5
            if bias is not None:
                logits = logits + bias[head, token]
            row.append(torch.softmax(logits, dim=0) @ v[:, channels])
        rows.append(torch.cat(row))
    return torch.stack(rows)


def depthwise(image: Tensor, convolution: Any, dilation: int = 1) -> Tensor:
    """b + Σ_ij w_ij ⊙ image[r + dilation · (i − ⌊K/2⌋), c + dilation · (j − ⌊K/2⌋)], tap by tap.

    `image` is [H, W, C] and reads as zero outside.
    """
    height, width, _ = image.shape
    size = convolution.weight.shape[-1]
    reach = dilation * (size // 2)
    padded = F.pad(image, (0, 0, reach, reach, reach, reach))

    out: Tensor = convolution.bias.expand(height, width, -1)
    for i in range(size):
        for j in range(size):
            top, left = dilation * i, dilation * j
            out = out + convolution.weight[:, 0, i, j] * padded[top : top + height, left : left + width]
    return out


def pad(image: Tensor, multiple: int) -> Tensor:
    """Zeros at the bottom and the right of an image [H, W, C], up to multiples of `multiple`."""
    height, width, _ = image.shape
    return F.pad(image, (0, 0, 0, -width % multiple, 0, -height % multiple))


def side_by_side(
    window_at: Callable[[int, int], Tensor], height: int, width: int, rows: int, columns: int
) -> Tensor:
    """The map [height, width, C] of the windows [rows, columns, C] whose first cells are (top, left)."""
    return torch.cat(
        [
            torch.cat([window_at(top, left) for left in range(0, width, columns)], dim=1)
            for top in range(0, height, rows)
        ]
    )
