"""Products of keys and values that are means over the tokens, as linear attention takes them."""

import torch
from torch import Tensor


def mean_product(k: Tensor, v: Tensor) -> Tensor:
    """kᵀ v / N of keys `[B, H, N, D]` and values `[B, H, N, E]`: `[B, H, D, E]`.

    The division is part of the product: sums over the tokens of a large map would leave float16's range.
    """
    scale = 1 / k.shape[-2]
    product = torch.baddbmm(k.new_empty(()), k.flatten(0, 1).mT, v.flatten(0, 1), beta=0, alpha=scale)
    return product.unflatten(0, k.shape[:2])
