"""W_out LayerNorm(Σ_k y_k): four recurrences over the tokens, each in an order of its own, token by token.

[r ; b ; c] = W_k u,  Δ = log(1 + exp(W'_k r + β_k)),  u = SiLU(depthwise(W_in x))
h ← exp(−e^λ Δ) h + Δ b u,  y = c · h + d u
"""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references._pieces import depthwise


def reference(layer: Any, x: Tensor, geometry: Geometry, expand: float, state: int) -> Tensor:
    height, width = geometry.height, geometry.width
    e = int(expand * geometry.dim)
    convolution = SimpleNamespace(weight=layer.depthwise.weight, bias=x.new_zeros(e))
    by_rows = list(range(geometry.tokens))
    by_columns = [row * width + column for column in range(width) for row in range(height)]
    orders = [by_rows, by_columns, by_rows[::-1], by_columns[::-1]]
    images = []
    for image in x:
        convolved = depthwise((image @ layer.proj_in.weight.T).reshape(height, width, e), convolution)
        u = (convolved / (1 + torch.exp(-convolved))).flatten(0, 1)
        y = torch.stack([recurrence(layer, k, u, order, state) for k, order in enumerate(orders)]).sum(dim=0)
        centred = y - y.mean(dim=-1, keepdim=True)
        normal = centred / (centred.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt()
        images.append((normal * layer.norm.weight + layer.norm.bias) @ layer.proj_out.weight.T)
    return torch.stack(images)


def recurrence(layer: Any, k: int, u: Tensor, order: list[int], state: int) -> Tensor:
    """y of direction k, `[N, E]`, of u, `[N, E]`, whose tokens are visited in this order."""
    h = u.new_zeros(u.shape[-1], state)
    out = [u[0]] * len(order)
    for token in order:
        chosen = layer.choose[k] @ u[token]
        r, b, c = chosen[: -2 * state], chosen[-2 * state : -state], chosen[-state:]
        delta = torch.log1p(torch.exp(layer.step[k] @ r + layer.step_bias[k]))[:, None]  # [E, 1]
        h = torch.exp(-torch.exp(layer.log_rates[k]) * delta) * h + delta * b * u[token][:, None]
        out[token] = h @ c + layer.skip[k] * u[token]
    return torch.stack(out)
