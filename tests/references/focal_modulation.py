"""proj_out(q ⊙ mix(Σ_l g_l z_l)), z_l = GELU(conv_l(z_{l−1})), the last z a GELU of the map's mean."""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references._pieces import depthwise


def reference(layer: Any, x: Tensor, geometry: Geometry, levels: int, window: int) -> Tensor:
    c, n = geometry.dim, geometry.tokens
    images = []
    for image in x:
        projected = image @ layer.proj_in.weight.T + layer.proj_in.bias
        q, z, gates = projected[:, :c], projected[:, c : 2 * c], projected[:, 2 * c :]
        total = torch.zeros(n, c)
        for level in range(levels):
            weight = layer.surroundings[level].weight
            assert weight.shape == (c, 1, window + 2 * level, window + 2 * level)
            convolution = SimpleNamespace(weight=weight, bias=torch.zeros(c))
            z = gelu(depthwise(z.reshape(geometry.height, geometry.width, c), convolution).flatten(0, 1))
            total = total + torch.stack([gates[token, level] * z[token] for token in range(n)])
        mean = gelu(z.sum(dim=0) / n)
        total = total + torch.stack([gates[token, levels] * mean for token in range(n)])
        modulated = q * (total @ layer.mix.weight.T + layer.mix.bias)
        images.append(modulated @ layer.proj_out.weight.T + layer.proj_out.bias)
    return torch.stack(images)


def gelu(x: Tensor) -> Tensor:
    return x * (1 + torch.erf(x / 2**0.5)) / 2
