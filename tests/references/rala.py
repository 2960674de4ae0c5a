"""W_o((y + LePE(v)) ⊙ W_g x), y_n = Σ_m (R_n q_n · α_m R_m k_m) v_m / N / (q_n · Σ_m α_m k_m / N + 1e-6).

α = N softmax_m(q̄ · k_m / √D), with the mean query q̄ of a head. R multiplies each pair of neighbouring
channels of a head, as a complex number, by e^(ia): half of the pairs by rows, the others by columns.
"""

from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references._pieces import depthwise


def reference(layer: Any, x: Tensor, geometry: Geometry, lepe: int) -> Tensor:
    n, c, d = geometry.tokens, geometry.dim, geometry.head_dim
    images = []
    for image in x:
        q, k, v, gate = (image @ layer.qkvg.weight.T + layer.qkvg.bias).split(c, dim=-1)
        q, k = (torch.where(y > 0, y + 1, torch.exp(y.clamp(max=0))) for y in (q, k))  # ELU + 1
        heads = []
        for head in range(geometry.heads):
            channels = slice(head * d, (head + 1) * d)
            queries, keys = q[:, channels], k[:, channels]
            keys = n * torch.softmax(keys @ queries.mean(dim=0) / d**0.5, dim=0)[:, None] * keys
            turned_q, turned_k = rotated(queries, geometry), rotated(keys, geometry)
            rows = []
            for token in range(n):
                weights = turned_k @ turned_q[token] / n
                rows.append(weights @ v[:, channels] / (queries[token] @ keys.mean(dim=0) + 1e-6))
            heads.append(torch.stack(rows))
        grid = v.reshape(geometry.height, geometry.width, c)
        y = torch.cat(heads, dim=1) + depthwise(grid, layer.lepe).flatten(0, 1)
        images.append((y * gate) @ layer.proj.weight.T + layer.proj.bias)
    return torch.stack(images)


def rotated(head: Tensor, geometry: Geometry) -> Tensor:
    """Pairs of neighbours of `[N, D]` turned: the first D/4 pairs by the row, the others by the column."""
    quarter = head.shape[-1] // 4
    frequencies = [10000 ** (-i / max(1, quarter - 1)) for i in range(quarter)]
    out = []
    for token, channels in enumerate(head):
        places = divmod(token, geometry.width)
        angles = [place * frequency for place in places for frequency in frequencies]
        points = torch.view_as_complex(channels.reshape(-1, 2))
        out.append(torch.view_as_real(points * torch.tensor([1j * a for a in angles]).exp()).flatten())
    return torch.stack(out)
