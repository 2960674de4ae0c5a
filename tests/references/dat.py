"""Attention to N samples of the input at learned positions, query by query; the conventions of Table IV.

    Δ = reach · tanh(θ(q)) / (H, W),  pos = ref + Δ,  ref = (2(r + ½)/H − 1, 2(c + ½)/W − 1)
    x̂ = x at pos,  bias = table at ½(ref_query − pos_key)
    out = softmax(q k(x̂)ᵀ / √D + bias) v(x̂)

Positions are (y, x). θ moves each group of channels by itself; "at" is bilinear, −1 and 1 are the centres of
the outermost cells, and beyond them lie zeros.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from attnbench import Geometry


def reference(layer: Any, x: Tensor, geometry: Geometry, groups: int, kernel: int, reach: float) -> Tensor:
    n, d, height, width = geometry.tokens, geometry.head_dim, geometry.height, geometry.width
    y_ref = x.new_tensor([2 * (token // width + 0.5) / height - 1 for token in range(n)])
    x_ref = x.new_tensor([2 * (token % width + 0.5) / width - 1 for token in range(n)])
    images = []
    for image in x:
        q = image @ layer.q.weight.T + layer.q.bias
        positions = []
        samples = []
        for group_queries, group_input in zip(
            q.chunk(groups, dim=1), image.chunk(groups, dim=1), strict=True
        ):
            dy, dx = offsets(layer, group_queries.T.reshape(-1, height, width), kernel)  # each [N]
            y_pos = y_ref + reach * torch.tanh(dy) / height
            x_pos = x_ref + reach * torch.tanh(dx) / width
            positions.append((y_pos, x_pos))
            samples.append(bilinear(group_input.T.reshape(-1, height, width), y_pos, x_pos).T)
        sampled = torch.cat(samples, dim=1)  # [N, C]
        k = sampled @ layer.k.weight.T + layer.k.bias
        v = sampled @ layer.v.weight.T + layer.v.bias

        heads = []
        for head in range(geometry.heads):
            channels = slice(head * d, (head + 1) * d)
            y_pos, x_pos = positions[head // (geometry.heads // groups)]
            dy, dx = (y_ref[:, None] - y_pos) / 2, (x_ref[:, None] - x_pos) / 2  # [query, key]
            bias = bilinear(layer.table[head : head + 1], dy.flatten(), dx.flatten()).reshape(n, n)
            rows = []
            for token in range(n):
                logits = k[:, channels] @ q[token, channels] / d**0.5 + bias[token]
                rows.append(torch.softmax(logits, dim=0) @ v[:, channels])
            heads.append(torch.stack(rows))
        images.append(torch.cat(heads, dim=1) @ layer.proj.weight.T + layer.proj.bias)
    return torch.stack(images)


def offsets(layer: Any, q: Tensor, kernel: int) -> Tensor:
    """θ(q): the raw offsets `[2, N]`, y then x, of one group's queries `[c, H, W]`."""
    _, height, width = q.shape
    padded = F.pad(q, (kernel // 2,) * 4)
    moved = layer.offset_depthwise.bias[:, None, None]
    for row in range(kernel):
        for column in range(kernel):
            tap = layer.offset_depthwise.weight[:, 0, row, column, None, None]
            moved = moved + tap * padded[:, row : row + height, column : column + width]

    tokens = moved.reshape(len(q), -1).T  # [N, c]
    centred = tokens - tokens.mean(dim=1, keepdim=True)
    normal = centred / (centred.square().mean(dim=1, keepdim=True) + 1e-5).sqrt()
    normal = normal * layer.offset_norm.weight + layer.offset_norm.bias
    gelu = normal * (1 + torch.erf(normal / 2**0.5)) / 2
    return torch.einsum("oc,nc->on", layer.offset_point.weight, gelu)


def bilinear(image: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """The map `[c, h, w]` at positions y, x `[n]`, as `[c, n]`."""
    _, height, width = image.shape
    row, column = (y + 1) / 2 * (height - 1), (x + 1) / 2 * (width - 1)
    top, left = row.detach().floor(), column.detach().floor()
    total = torch.zeros_like(image[:, 0, :1])
    for r, row_weight in ((top, top + 1 - row), (top + 1, row - top)):
        for c, column_weight in ((left, left + 1 - column), (left + 1, column - left)):
            inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
            cells = image[:, r.long().clamp(0, height - 1), c.long().clamp(0, width - 1)]
            total = total + cells * (row_weight * column_weight * inside)
    return total
