"""softmax(R_p q · R_p' k / √D) v, query by query, with a matrix R_p for the place p of each token.

R_p is block-diagonal: a rotation for each pair of channels, by the row in the first half of the pairs and by
the column in the second, slower from pair to pair.
"""

from math import cos, sin
from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references._pieces import attention


def reference(layer: Any, x: Tensor, geometry: Geometry, base: float, qk_norm: bool) -> Tensor:
    images = []
    for image in x:
        q, k, v = (image @ layer.qkv.weight.T + layer.qkv.bias).split(geometry.dim, dim=-1)
        if qk_norm:
            q, k = normal(layer.q_norm, q, geometry.heads), normal(layer.k_norm, k, geometry.heads)
        q, k = turned(q, geometry, base), turned(k, geometry, base)
        images.append(attention(q, k, v, geometry.heads) @ layer.proj.weight.T + layer.proj.bias)
    return torch.stack(images)


def turned(tokens: Tensor, geometry: Geometry, base: float) -> Tensor:
    """Each token `[C]` of `[N, C]` times its matrix, in every head."""
    out = []
    for place, token in enumerate(tokens):
        row, column = divmod(place, geometry.width)
        matrix = rotations(row, column, geometry.head_dim, base)
        out.append(torch.cat([matrix @ head for head in token.split(geometry.head_dim)]))
    return torch.stack(out)


def rotations(row: int, column: int, d: int, base: float) -> Tensor:
    """R_p, `[D, D]`."""
    frequencies = [base ** (-4 * pair / d) for pair in range(d // 4)]
    angles = [row * frequency for frequency in frequencies] + [
        column * frequency for frequency in frequencies
    ]
    blocks = [[[cos(a), -sin(a)], [sin(a), cos(a)]] for a in angles]
    return torch.block_diag(*(torch.tensor(block, dtype=torch.float64) for block in blocks))


def normal(norm: Any, tokens: Tensor, heads: int) -> Tensor:
    """LayerNorm of each head of each token, with a weight and a bias that heads share."""
    out = []
    for head in tokens.chunk(heads, dim=-1):
        centred = head - head.mean(dim=-1, keepdim=True)
        variance = centred.square().mean(dim=-1, keepdim=True)
        out.append(centred / (variance + 1e-6).sqrt() * norm.weight + norm.bias)
    return torch.cat(out, dim=-1)
