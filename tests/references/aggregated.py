"""softmax over a token's neighbours and the pooled tokens, and a linear term of neighbours outside of it.

Token by token, all heads at once: queries are [heads, D], keys and values [keys, heads, D].

    s = (q̂ + e) · softplus(τ) · log n,     logits s · k̂ + b of neighbours, s · k̂' + f(Δ) of pooled tokens
    out = Σ (a + q̂ · l + c) v + Σ a' v'

n is the number of keys that the token has. Δ, from the centre of the pooled token's cell, is 8 Δ / (L − 1) on
an axis of length L, and f takes sign(Δ) log₂(|Δ| + 1) / 3. Pooled tokens are LayerNorm of means of GELU(W x)
over cells from ⌊iL/P⌋ to ⌈(i + 1)L/P⌉.
"""

import math
from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry


def reference(layer: Any, x: Tensor, geometry: Geometry, window: int, ratio: int) -> Tensor:
    c, heads, d = geometry.dim, geometry.heads, geometry.head_dim
    rows, columns = cells(geometry.height, ratio), cells(geometry.width, ratio)
    far_bias = perceptron(layer.position, offsets(geometry, rows, columns))  # [N, P, heads]
    images = []
    for image in x:
        q = linear(layer.q, image).reshape(-1, heads, d)
        k, v = linear(layer.kv, image).reshape(-1, 2, heads, d).unbind(1)
        grid = gelu(linear(layer.reduce, image)).reshape(geometry.height, geometry.width, c)
        means = [grid[a:b, e:f].mean(dim=(0, 1)) for a, b in rows for e, f in columns]
        pooled = linear(layer.kv, normal(layer.norm, torch.stack(means)))
        pooled_k, pooled_v = pooled.reshape(-1, 2, heads, d).unbind(1)

        tokens = []
        for token in range(geometry.tokens):
            places, neighbours = around(token, geometry, window)
            keys = len(neighbours) + len(means)
            direction = unit(q[token])
            scale = torch.log(1 + torch.exp(layer.temperature[:, 0])) * math.log(keys)
            s = (direction + layer.query_embedding[:, 0]) * scale  # [heads, D]
            near = (unit(k[neighbours]) * s).sum(dim=-1) + layer.local_bias[:, 0, places].T
            far = (unit(pooled_k) * s).sum(dim=-1) + far_bias[token]
            a = torch.softmax(torch.cat([near, far]), dim=0)  # [keys, heads]
            extra = (direction.unsqueeze(-1) * layer.learned[:, :, places]).sum(dim=1)
            extra = extra + layer.learned_bias[:, 0, places]  # [heads, neighbours]
            near_weights = (a[: len(neighbours)] + extra.T).unsqueeze(-1)
            far_weights = a[len(neighbours) :].unsqueeze(-1)
            out = (near_weights * v[neighbours]).sum(dim=0) + (far_weights * pooled_v).sum(dim=0)
            tokens.append(out.flatten())
        images.append(linear(layer.proj, torch.stack(tokens)))
    return torch.stack(images)


def around(token: int, geometry: Geometry, window: int) -> tuple[list[int], list[int]]:
    """The places of the square around a token that lie on the map, and the tokens there."""
    row, column = divmod(token, geometry.width)
    places, tokens = [], []
    for place in range(window**2):
        r = row + place // window - window // 2
        c = column + place % window - window // 2
        if 0 <= r < geometry.height and 0 <= c < geometry.width:
            places.append(place)
            tokens.append(r * geometry.width + c)
    return places, tokens


def cells(length: int, ratio: int) -> list[tuple[int, int]]:
    """The first place of each cell on a side, and the one after its last."""
    count = max(1, length // ratio)
    return [(i * length // count, math.ceil((i + 1) * length / count)) for i in range(count)]


def offsets(geometry: Geometry, rows: list[tuple[int, int]], columns: list[tuple[int, int]]) -> Tensor:
    """Where each token is from each pooled token, as the perceptron takes it: `[N, P, 2]`."""
    pairs = [
        [
            (scaled(row - (a + b - 1) / 2, geometry.height), scaled(column - (e + f - 1) / 2, geometry.width))
            for a, b in rows
            for e, f in columns
        ]
        for row in range(geometry.height)
        for column in range(geometry.width)
    ]
    return torch.tensor(pairs)


def scaled(offset: float, length: int) -> float:
    offset = 8 * offset / max(1, length - 1)
    return math.copysign(math.log2(abs(offset) + 1) / 3, offset)


def perceptron(layers: Any, x: Tensor) -> Tensor:
    return linear(layers[2], linear(layers[0], x).clamp(min=0))


def linear(layer: Any, x: Tensor) -> Tensor:
    out: Tensor = x @ layer.weight.T + layer.bias
    return out


def gelu(x: Tensor) -> Tensor:
    return x * (1 + torch.erf(x / 2**0.5)) / 2


def normal(norm: Any, x: Tensor) -> Tensor:
    """A layer norm of the rows of x."""
    centred = x - x.mean(dim=-1, keepdim=True)
    variance = centred.square().mean(dim=-1, keepdim=True)
    out: Tensor = centred / (variance + 1e-5).sqrt() * norm.weight + norm.bias
    return out


def unit(x: Tensor) -> Tensor:
    """x / max(‖x‖, 1e-12)."""
    return x / x.square().sum(dim=-1, keepdim=True).sqrt().clamp(min=1e-12)
