"""y₀ = p ⊙ q₀, yᵢ₊₁ = gateᵢ(yᵢ) ⊙ qᵢ₊₁, with p and the depthwise-convolved q's from one projection."""

from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references._pieces import depthwise


def reference(layer: Any, x: Tensor, geometry: Geometry, order: int) -> Tensor:
    widths = [geometry.dim // 2**i for i in reversed(range(order))]
    images = []
    for image in x:
        projected = image @ layer.proj_in.weight.T + layer.proj_in.bias
        p, q = projected[:, : widths[0]], projected[:, widths[0] :]
        q = depthwise(q.reshape(geometry.height, geometry.width, -1), layer.depthwise).flatten(0, 1) / 3
        start = 0
        y = p
        for i, width in enumerate(widths):
            if i > 0:
                y = y @ layer.gates[i - 1].weight.T + layer.gates[i - 1].bias
            y = y * q[:, start : start + width]
            start += width
        images.append(y @ layer.proj_out.weight.T + layer.proj_out.bias)
    return torch.stack(images)
