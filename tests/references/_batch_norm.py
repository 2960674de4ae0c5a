"""A batch norm written out."""

from typing import Any

from torch import Tensor


def batch_norm(norm: Any, x: Tensor) -> Tensor:
    """(x − mean) / √(variance + 1e-5) · weight + bias of `[…, C]`, channel by channel.

    Mean and variance are those of all that is given while the layer trains, and the kept ones after that.
    """
    mean, variance = norm.running_mean, norm.running_var
    if norm.training:
        mean = x.flatten(0, -2).mean(dim=0)
        variance = (x - mean).square().flatten(0, -2).mean(dim=0)
    out: Tensor = (x - mean) / (variance + 1e-5).sqrt() * norm.weight + norm.bias
    return out
