"""Σ_j w_j v_j, the weights of all keys written out for one query at a time.

    w_j = [s_j (1 + 1/(z + 1e-6)) − z] / N,  s_j = (R q) · (R_j k_j) / √D,  z = mean_j q · k_j / √D

with q and k after ELU + 1; z has them as they are. R turns pair i of a head's first half by row · f_i, and
pair i of its second half by column · f_i, where f_i = 10000^(−i/(D/4 − 1)).
"""

import math
from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references._pieces import depthwise


def reference(layer: Any, x: Tensor, geometry: Geometry, lepe: int) -> Tensor:
    c, d, n = geometry.dim, geometry.head_dim, geometry.tokens
    turns = [turn(*divmod(token, geometry.width), d) for token in range(n)]
    images = []
    for image in x:
        q, k, v, o = (image @ layer.qkvo.weight.T + layer.qkvo.bias).split(c, dim=-1)
        q, k = positive(q), positive(k)
        heads = []
        for start in range(0, c, d):
            channels = slice(start, start + d)
            turned = torch.stack([turns[token] @ k[token, channels] for token in range(n)])
            rows = []
            for token in range(n):
                query = q[token, channels]
                z = (k[:, channels] @ query).mean() / d**0.5
                scores = turned @ (turns[token] @ query) / d**0.5
                weights = (scores * (1 + 1 / (z + 1e-6)) - z) / n
                rows.append(weights @ v[:, channels])
            heads.append(torch.stack(rows))
        local = depthwise(v.reshape(geometry.height, geometry.width, c), layer.lepe).flatten(0, 1)
        gated = (torch.cat(heads, dim=1) + local) * o
        images.append(gated @ layer.proj.weight.T + layer.proj.bias)
    return torch.stack(images)


def positive(x: Tensor) -> Tensor:
    """ELU(x) + 1: e^x below zero, x + 1 above."""
    return torch.where(x > 0, x + 1, torch.exp(x.clamp(max=0)))


def turn(row: int, column: int, d: int) -> Tensor:
    """R of a place: a `[D, D]` matrix that turns each pair of neighbouring channels in its plane."""
    quarter = d // 4
    matrix = torch.zeros(d, d)
    for pair in range(d // 2):
        side, i = divmod(pair, quarter)
        angle = (row, column)[side] * 10000 ** -(i / max(quarter - 1, 1))
        a, b = 2 * pair, 2 * pair + 1
        matrix[a, a] = matrix[b, b] = math.cos(angle)
        matrix[a, b], matrix[b, a] = -math.sin(angle), math.sin(angle)
    return matrix
