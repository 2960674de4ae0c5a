"""softmax(e^s cos(q, k) + bias + mask) v in each window of the padded map, rolled by −shift and back.

The bias of a head is 16 σ of a network's answer to the logarithmic distance of query and key.
"""

import math
from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references._pieces import pad, side_by_side
from tests.references.window import region


def reference(layer: Any, x: Tensor, geometry: Geometry, window: int, shift: int) -> Tensor:
    bias = position_bias(layer.position_bias, window)
    images = []
    for image in x:
        padded = pad(image.reshape(geometry.height, geometry.width, -1), window)
        out = attend_in_windows(layer, padded.roll((-shift, -shift), (0, 1)), bias, window, shift)
        out = (out @ layer.proj.weight.T + layer.proj.bias).roll((shift, shift), (0, 1))
        images.append(out[: geometry.height, : geometry.width].flatten(0, 1))
    return torch.stack(images)


def attend_in_windows(layer: Any, image: Tensor, bias: Tensor, window: int, shift: int) -> Tensor:
    """The heads' outputs for a map [H, W, C] of whole windows."""
    height, width, c = image.shape
    q, k, v = (image @ layer.qkv.weight.T).split(c, dim=-1)
    q, v = q + layer.q_bias, v + layer.v_bias

    def window_at(top: int, left: int) -> Tensor:
        cells = [(top + i, left + j) for i in range(window) for j in range(window)]
        labels = [
            (region(row, height, window, shift), region(column, width, window, shift))
            for row, column in cells
        ]
        mask = torch.tensor([[0.0 if a == b else -100.0 for b in labels] for a in labels], dtype=image.dtype)
        own = (slice(top, top + window), slice(left, left + window))
        heads = []
        parts = zip(*(part[own].flatten(0, 1).chunk(len(bias), dim=-1) for part in (q, k, v)), strict=True)
        for head, (queries, keys, values) in enumerate(parts):
            scale = torch.exp(layer.logit_scale.flatten()[head].clamp(max=math.log(100)))
            unit_keys = torch.stack([unit(key) for key in keys])
            logits = [scale * (unit_keys @ unit(query)) for query in queries]
            logits = [row + bias[head, i] + mask[i] for i, row in enumerate(logits)]
            heads.append(torch.stack([torch.softmax(row, dim=0) @ values for row in logits]))
        return torch.cat(heads, dim=-1).reshape(window, window, c)

    return side_by_side(window_at, height, width, window, window)


def unit(x: Tensor) -> Tensor:
    """x / max(‖x‖₂, 1e-12)."""
    return x / (x @ x).clamp(min=1e-24).sqrt()


def position_bias(network: Any, window: int) -> Tensor:
    """16 σ(network(t(δ))) for the distance of each query to each key, `[heads, w², w²]`."""
    answers = {
        (down, right): answer(network, [t(down, window), t(right, window)])
        for down in range(1 - window, window)
        for right in range(1 - window, window)
    }
    cells = [(i, j) for i in range(window) for j in range(window)]
    rows = [torch.stack([answers[i - a, j - b] for a, b in cells], dim=-1) for i, j in cells]
    return torch.stack(rows, dim=1)


def t(delta: int, window: int) -> float:
    far = 8 * abs(delta) / max(window - 1, 1)
    return math.copysign(math.log2(1 + far) / 3, delta)


def answer(network: Any, distance: list[float]) -> Tensor:
    """One number for each head."""
    given = torch.tensor(distance, dtype=network.hidden.weight.dtype)
    hidden = (network.hidden.weight @ given + network.hidden.bias).clamp(min=0)
    return 16 / (1 + torch.exp(-(network.out.weight @ hidden)))
