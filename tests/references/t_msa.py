"""Attention in the windows of the padded map, cropped and projected, and of its tokens to a reduced map."""

from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references import sra
from tests.references._pieces import pad
from tests.references.window import attend_in_windows


def reference(layer: Any, x: Tensor, geometry: Geometry, window: int, reduction: int, part: str) -> Tensor:
    if part == "local":
        return local(layer, x, geometry, window)
    if part == "global":
        return sra.reference(layer, x, geometry, reduction)
    return sra.reference(layer.far, local(layer.near, x, geometry, window), geometry, reduction)


def local(layer: Any, x: Tensor, geometry: Geometry, window: int) -> Tensor:
    images = []
    for image in x:
        padded = pad(image.reshape(geometry.height, geometry.width, -1), window)
        qkv = padded @ layer.qkv.weight.T + layer.qkv.bias
        heads = attend_in_windows(qkv, geometry.heads, window, shift=0, masked=0)
        tokens = heads[: geometry.height, : geometry.width].flatten(0, 1)
        images.append(tokens @ layer.proj.weight.T + layer.proj.bias)
    return torch.stack(images)
