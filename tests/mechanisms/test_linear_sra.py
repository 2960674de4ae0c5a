"""Linear SRA's pooled map: what it is on maps of its own size, below it, and of a single cell."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from attnbench import Geometry, InvalidSetting
from attnbench.attention import attend
from mechanisms.linear_sra import LinearSpatialReductionAttention


def layer_for(height: int, width: int, *, pool: int) -> LinearSpatialReductionAttention:
    return LinearSpatialReductionAttention(Geometry(24, 3, height, width), pool=pool)


def tokens_for(layer: LinearSpatialReductionAttention) -> Tensor:
    return torch.randn(2, layer.geometry.tokens, layer.geometry.dim)


def bent(layer: LinearSpatialReductionAttention, pooled: Tensor) -> Tensor:
    """What keys and values are projected from, `[B, P, C]`, of pooled tokens."""
    return F.gelu(layer.norm(layer.reduce(pooled)))


def heads_of(tokens: Tensor) -> Tensor:
    return tokens.unflatten(-1, (3, -1)).transpose(1, 2)


def test_on_a_map_of_the_pooled_size_every_token_is_a_key() -> None:
    layer = layer_for(4, 4, pool=4)
    x = tokens_for(layer)
    k, v = layer.kv(bent(layer, x)).chunk(2, dim=-1)
    heads = attend(heads_of(layer.q(x)), heads_of(k), heads_of(v))
    torch.testing.assert_close(layer(x), layer.proj(heads.transpose(1, 2).flatten(2)))


def test_a_pool_of_one_gives_every_token_the_value_of_the_mean() -> None:
    layer = layer_for(5, 7, pool=1)
    x = tokens_for(layer)
    _, v = layer.kv(bent(layer, x.mean(dim=1, keepdim=True))).chunk(2, dim=-1)
    torch.testing.assert_close(layer(x), layer.proj(v).expand_as(x))


def test_a_map_below_the_pooled_size_repeats_its_rows_and_columns_alike() -> None:
    layer, small = layer_for(4, 8, pool=4), layer_for(2, 4, pool=4)
    small.load_state_dict(layer.state_dict())
    x = tokens_for(small)
    twice = x.unflatten(1, (2, 4)).repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)  # [B, 4, 8, C]
    torch.testing.assert_close(
        layer(twice.flatten(1, 2)).unflatten(1, (4, 8))[:, ::2, ::2].flatten(1, 2), small(x)
    )


def test_a_pool_below_one_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="linear-sra: pool is 0; it must be at least 1"):
        layer_for(4, 4, pool=0)
