"""BN(W_o ReLU([softmax(q kᵀ / √key) v ; x₂])), with q, k, v = BN(W x̂₁) of the first p channels x₁ alone.

x̂₁ is x₁ less its mean over tokens and channels of an image, by its deviation. BN takes what it has kept, or
in training the mean and variance of a channel over all tokens of the batch.
"""

from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry


def reference(layer: Any, x: Tensor, geometry: Geometry, part: float, key: int) -> Tensor:
    p = int(geometry.dim * part)
    normal = []
    for image in x[:, :, :p]:
        centred = image - image.mean()
        normal.append(centred / (centred.square().mean() + 1e-5).sqrt() * layer.norm.weight + layer.norm.bias)
    qkv = batch_norm(torch.stack(normal) @ layer.qkv.weight.T, layer.qkv_norm)

    joined = []
    for image, projected in zip(x, qkv, strict=True):
        q, k, v = projected.split([key, key, p], dim=-1)
        y = torch.stack([torch.softmax(k @ query / key**0.5, dim=0) @ v for query in q])
        joined.append(torch.cat([y, image[:, p:]], dim=-1).clamp(min=0))
    return batch_norm(torch.stack(joined) @ layer.proj.weight.T, layer.proj_norm)


def batch_norm(tokens: Tensor, norm: Any) -> Tensor:
    """Channel by channel (x − mean) / √(variance + ε) · weight + bias, `[B, N, C]`."""
    channels = []
    for c in range(tokens.shape[-1]):
        x = tokens[..., c]
        mean, variance = norm.running_mean[c], norm.running_var[c]
        if norm.training:
            mean = x.mean()
            variance = (x - mean).square().mean()
        channels.append((x - mean) / (variance + 1e-5).sqrt() * norm.weight[c] + norm.bias[c])
    return torch.stack(channels, dim=-1)
