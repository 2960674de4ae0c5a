"""softmax(q kᵀ / √D) v, head by head and query by query."""

from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references._pieces import attention


def reference(layer: Any, x: Tensor, geometry: Geometry) -> Tensor:
    c = geometry.dim
    images = []
    for image in x:
        q, k, v = (image @ layer.qkv.weight.T + layer.qkv.bias).split(c, dim=-1)
        images.append(attention(q, k, v, geometry.heads) @ layer.proj.weight.T + layer.proj.bias)
    return torch.stack(images)
