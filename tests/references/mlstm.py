"""down((GroupNorm(y) + skip ⊙ c) ⊙ SiLU(z)), the weights of the tokens before written out, a token at a time.

W_s = q_t · k_s / √D · exp(L_s − μ),  L_s = Σ_{s < r ≤ t} log σ(f_r) + i_s,  μ = max_s L_s,  s ≤ t
y_t = Σ_s W_s v_s / (max(|Σ_s W_s|, e^{−μ}) + 1e-6)
"""

from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references._pieces import depthwise


def reference(
    layer: Any, x: Tensor, geometry: Geometry, heads: int, expand: int, kernel: int, backward: bool
) -> Tensor:
    e = expand * geometry.dim
    assert layer.conv.weight.shape == (e, 1, kernel, kernel)
    images = []
    for image in x:
        ordered = image.flip(0) if backward else image
        m, z = (ordered @ layer.up.weight.T + layer.up.bias).split(e, dim=-1)
        c = silu(depthwise(m.reshape(geometry.height, geometry.width, e), layer.conv).flatten(0, 1))
        q, k, v = by_blocks(layer.q, c), by_blocks(layer.k, c), by_blocks(layer.v, m)
        gates = torch.cat([q, k, v], dim=-1) @ layer.gates.weight.T + layer.gates.bias  # [N, 2 · heads]
        y = torch.cat([head(layer, q, k, v, gates, number, heads) for number in range(heads)], dim=-1)
        out = ((y + layer.skip * c) * silu(z)) @ layer.down.weight.T + layer.down.bias
        images.append(out.flip(0) if backward else out)
    return torch.stack(images)


def head(layer: Any, q: Tensor, k: Tensor, v: Tensor, gates: Tensor, number: int, heads: int) -> Tensor:
    """What a head remembers, normalised over its D channels: `[N, D]`."""
    d = q.shape[-1] // heads
    channels = slice(number * d, (number + 1) * d)
    q, k, v = q[:, channels], k[:, channels], v[:, channels]
    write, keep = gates[:, number], torch.log(torch.sigmoid(gates[:, heads + number]))
    log = torch.empty(0)  # L, of all tokens so far
    rows = []
    for t in range(len(q)):
        log = torch.cat([log + keep[t], write[t : t + 1]])
        largest = log.max()
        weights = k[: t + 1] @ q[t] / d**0.5 * torch.exp(log - largest)
        y = weights @ v[: t + 1] / (torch.maximum(weights.sum().abs(), torch.exp(-largest)) + 1e-6)
        centred = y - y.mean()
        normal = centred / (centred.square().mean() + 1e-5).sqrt()
        rows.append(normal * layer.norm.weight[channels] + layer.norm.bias[channels])
    return torch.stack(rows)


def by_blocks(projection: Any, x: Tensor) -> Tensor:
    """Each 4 neighbouring channels by a matrix of their own."""
    parts = [x[:, 4 * i : 4 * i + 4] @ block.T for i, block in enumerate(projection.weight)]
    return torch.cat(parts, dim=-1) + projection.bias


def silu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(x)
