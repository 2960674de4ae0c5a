"""softmax(q kᵀ / √D) v + LePE(v) in stripes: vertical for the first half of the channels, then horizontal."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from attnbench import Geometry
from tests.references._pieces import attention, depthwise, side_by_side


def reference(layer: Any, x: Tensor, geometry: Geometry, stripe: int) -> Tensor:
    height, width, half = geometry.height, geometry.width, geometry.dim // 2
    images = []
    for image in x:
        qkv = image @ layer.qkv.weight.T + layer.qkv.bias
        parts = qkv.reshape(height, width, 3, 2, half).unbind(2)
        vertical = branch([part[:, :, 0] for part in parts], layer.lepe[0], height, stripe, geometry)
        horizontal = branch([part[:, :, 1] for part in parts], layer.lepe[1], stripe, width, geometry)
        both = torch.cat([vertical, horizontal], dim=-1).reshape(-1, 2 * half)
        images.append(both @ layer.proj.weight.T + layer.proj.bias)
    return torch.stack(images)


def branch(qkv: list[Tensor], lepe: Any, rows: int, columns: int, geometry: Geometry) -> Tensor:
    """Attention in stripes of rows × columns, from q, k and v as maps [H, W, C/2]."""
    height, width = geometry.height, geometry.width
    missing_rows, missing_columns = -height % rows, -width % columns
    top, left = missing_rows // 2, missing_columns // 2
    border = (0, 0, left, missing_columns - left, top, missing_rows - top)
    qkv = [F.pad(part, border) for part in qkv]

    def stripe_at(top: int, left: int) -> Tensor:
        q, k, v = (part[top : top + rows, left : left + columns] for part in qkv)
        out = attention(q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1), geometry.heads // 2)
        return out.reshape(v.shape) + depthwise(v, lepe)

    out = side_by_side(stripe_at, height + missing_rows, width + missing_columns, rows, columns)
    return out[top : top + height, left : left + width]
