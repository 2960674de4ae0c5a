"""Σ_j a_j v_j / (Σ_j a_j + eps), a_j = max(q, 0)·max(k_j, 0), all weights of one query at a time.

First with q, k, v = W x, then with what a depthwise convolution and a matrix for each of them make of those.
A head's q, k and v lie side by side. A batch norm ends it.
"""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references._batch_norm import batch_norm
from tests.references._pieces import depthwise


def reference(layer: Any, x: Tensor, geometry: Geometry, scale: int, eps: float) -> Tensor:
    c, d = geometry.dim, geometry.head_dim
    images = []
    for image in x:
        packed = image @ layer.qkv.weight.reshape(3 * c, c).T
        convolution = SimpleNamespace(weight=layer.around.weight, bias=torch.zeros(3 * c))
        around = depthwise(packed.reshape(geometry.height, geometry.width, -1), convolution)
        groups = around.flatten(0, 1).split(d, dim=-1)  # 3 · heads of [N, D]
        weights = layer.mixed.weight.reshape(3 * c, d).split(d)
        mixed = torch.cat([group @ weight.T for group, weight in zip(groups, weights, strict=True)], dim=-1)

        heads = []
        for tokens in (packed, mixed):
            for head in range(geometry.heads):
                q, k, v = tokens[:, head * 3 * d : (head + 1) * 3 * d].split(d, dim=-1)
                rows = []
                for query in q:
                    weights_of_query = k.clamp(min=0) @ query.clamp(min=0)  # [N]
                    rows.append(weights_of_query @ v / (weights_of_query.sum() + eps))
                heads.append(torch.stack(rows))
        images.append(torch.cat(heads, dim=-1) @ layer.proj.weight.reshape(c, 2 * c).T)
    return batch_norm(layer.norm, torch.stack(images))
