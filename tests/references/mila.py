"""W_o((y + LePE(u)) ⊙ SiLU(W_g x)), y_n = Σ_m (R_n q_n · R_m k_m) u_m / N / (q_n · Σ_m k_m / N + 1e-6).

u = SiLU(depthwise(W_v x)) is the value of its own queries and keys. R multiplies each pair of neighbouring
channels, as a complex number, by e^(ia): first all pairs of the C channels by rows, then all by columns.
"""

from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references._pieces import depthwise


def reference(layer: Any, x: Tensor, geometry: Geometry) -> Tensor:
    height, width, c, d = geometry.height, geometry.width, geometry.dim, geometry.head_dim
    images = []
    for image in x:
        value = image @ layer.value.weight.T + layer.value.bias
        u = silu(depthwise(value.reshape(height, width, c), layer.depthwise))
        local = depthwise(u, layer.lepe).flatten(0, 1)
        u = u.flatten(0, 1)
        q, k = (elu(u @ layer.qk.weight.T + layer.qk.bias) + 1).split(c, dim=-1)
        turned_q, turned_k = rotated(q, geometry), rotated(k, geometry)
        heads = []
        for head in range(geometry.heads):
            channels = slice(head * d, (head + 1) * d)
            rows = []
            for token in range(geometry.tokens):
                weights = turned_k[:, channels] @ turned_q[token, channels] / geometry.tokens
                divisor = q[token, channels] @ k[:, channels].mean(dim=0) + 1e-6
                rows.append(weights @ u[:, channels] / divisor)
            heads.append(torch.stack(rows))
        y = torch.cat(heads, dim=1) + local
        gated = y * silu(image @ layer.gate.weight.T + layer.gate.bias)
        images.append(gated @ layer.proj.weight.T + layer.proj.bias)
    return torch.stack(images)


def rotated(tokens: Tensor, geometry: Geometry) -> Tensor:
    """Pairs of neighbours of `[N, C]` turned: the first C/4 pairs by the row, the others by the column."""
    quarter = geometry.dim // 4
    out = []
    for token, channels in enumerate(tokens):
        places = divmod(token, geometry.width)
        angles = [place * 10000 ** (-i / quarter) for place in places for i in range(quarter)]
        points = torch.view_as_complex(channels.reshape(-1, 2))
        out.append(torch.view_as_real(points * torch.tensor([1j * a for a in angles]).exp()).flatten())
    return torch.stack(out)


def silu(x: Tensor) -> Tensor:
    return x / (1 + torch.exp(-x))


def elu(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, torch.expm1(x.clamp(max=0)))
