"""x + proj₂(u ⊙ point(dilated(depthwise(u)))) with u = GELU(proj₁(x)); convolutions tap by tap."""

from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references._pieces import depthwise


def reference(layer: Any, x: Tensor, geometry: Geometry) -> Tensor:
    images = []
    for image in x:
        u = image @ layer.proj_1.weight.T + layer.proj_1.bias
        u = u * (1 + torch.erf(u / 2**0.5)) / 2
        near = depthwise(u.reshape(geometry.height, geometry.width, -1), layer.depthwise)
        far = depthwise(near, layer.dilated, dilation=3).flatten(0, 1)
        gate = far @ layer.point.weight.T + layer.point.bias
        images.append((u * gate) @ layer.proj_2.weight.T + layer.proj_2.bias + image)
    return torch.stack(images)
