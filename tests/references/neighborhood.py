"""softmax(q kᵀ / √D + bias) v over each token's own keys: those rows times those columns that are nearest.

Along a side a token of position p sees members of its group p, p ± dilation, p ± 2 · dilation, …: as many on
either side, or the first or the last of the group where that ends too early.
"""

from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references._pieces import attention


def reference(layer: Any, x: Tensor, geometry: Geometry, kernel: int, dilation: int, bias: bool) -> Tensor:
    images = []
    for image in x:
        q, k, v = (image @ layer.qkv.weight.T + layer.qkv.bias).split(geometry.dim, dim=-1)
        out = []
        for token in range(geometry.tokens):
            row, column = divmod(token, geometry.width)
            seen = [
                (r * geometry.width + c, down, right)
                for r, down in line(row, geometry.height, kernel, dilation)
                for c, right in line(column, geometry.width, kernel, dilation)
            ]
            keys = [key for key, _, _ in seen]
            offset = None
            if bias:
                entries = [layer.table[:, down + kernel - 1, right + kernel - 1] for _, down, right in seen]
                offset = torch.stack(entries, dim=-1).unsqueeze(1)  # [heads, 1, keys]
            out.append(attention(q[token : token + 1], k[keys], v[keys], geometry.heads, offset))
        images.append(torch.cat(out) @ layer.proj.weight.T + layer.proj.bias)
    return torch.stack(images)


def line(position: int, length: int, kernel: int, dilation: int) -> list[tuple[int, int]]:
    """The positions that are seen along one side, and how many members of the group each is further on."""
    if length < kernel:
        kernel = length
    if length < kernel * dilation:
        dilation = length // kernel
    group = list(range(position % dilation, length, dilation))
    own = group.index(position)
    first = min(max(own - kernel // 2, 0), len(group) - kernel)
    return [(group[member], member - own) for member in range(first, first + kernel)]
