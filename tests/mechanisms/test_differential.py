"""Differential attention: what is left of it with one map, with equal maps, and its factor λ."""

import math

import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, UnsupportedGeometry
from attnbench.attention import attend
from mechanisms.differential import DifferentialAttention

GEOMETRY = Geometry(dim=24, heads=4, height=5, width=3)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, GEOMETRY.tokens, GEOMETRY.dim, dtype=torch.float64)


def layer_for(lambda_init: float) -> DifferentialAttention:
    """A layer whose λ is λ₀."""
    layer = DifferentialAttention(GEOMETRY, lambda_init=lambda_init).double()
    nn.init.zeros_(layer.lambda_q)
    return layer


def of_the_first_maps(layer: DifferentialAttention, x: Tensor) -> Tensor:
    """Attention with the first map of each pair alone, `[B, N, pairs, 2D]`, its mean square brought to 1."""
    q, k, v = layer.qkv(x).chunk(3, dim=-1)
    q, k = (y.unflatten(-1, (2, 2, 6))[..., 0, :].transpose(1, 2) for y in (q, k))
    heads = attend(q, k, v.unflatten(-1, (2, 12)).transpose(1, 2)).transpose(1, 2)
    return heads / (heads.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt()


def test_with_a_factor_of_zero_it_is_the_softmax_attention_of_the_first_maps_normalised(x: Tensor) -> None:
    layer = layer_for(0)
    torch.testing.assert_close(layer(x), layer.proj(of_the_first_maps(layer, x).flatten(2)))


def test_two_equal_maps_leave_what_one_has_whatever_is_taken(x: Tensor) -> None:
    layer = layer_for(0.6)
    nn.init.zeros_(layer.qkv.bias)
    q_and_k = layer.qkv.weight.data[:48].unflatten(0, (2, 2, 2, 6))  # queries or keys, pairs, maps
    q_and_k[:, :, 1] = q_and_k[:, :, 0]
    layer.qkv.weight.data[48:] *= 1e4  # values beside which the norm's ε is nothing
    expected = layer.proj(0.4 * of_the_first_maps(layer, x).flatten(2))
    torch.testing.assert_close(layer(x), expected)


def test_of_a_value_that_all_tokens_share_the_rest_is_left_and_beyond_one_its_opposite(x: Tensor) -> None:
    layer = layer_for(0.6)
    nn.init.zeros_(layer.qkv.weight)
    nn.init.ones_(layer.lambda_k)
    layer.lambda_q.data[0, 0] = math.log(2.4)  # λ = 2.4 - 1 + 0.6
    value = layer.qkv.bias[48:].unflatten(0, (2, 12))
    normal = -value / (value.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(layer(x), layer.proj(0.4 * normal.flatten()).expand_as(x))


def test_the_factor_begins_near_its_setting_and_moves_with_the_products_of_its_vectors() -> None:
    layer = DifferentialAttention(Geometry(768, 12, 2, 2), lambda_init=0.8)
    assert layer.difference().item() == pytest.approx(0.8, abs=0.5)
    nn.init.ones_(layer.lambda_k)
    nn.init.zeros_(layer.lambda_q)
    layer.lambda_q.data[:, 0] = torch.tensor([math.log(3), math.log(2)])
    assert layer.difference().item() == pytest.approx(3 - 2 + 0.8)


def test_refuses_heads_that_make_no_pairs() -> None:
    with pytest.raises(UnsupportedGeometry, match="differential: 3 heads make no pairs"):
        DifferentialAttention(Geometry(24, 3, 4, 4), lambda_init=0.8)


@pytest.mark.parametrize("value", [-0.1, 1, float("nan")])
def test_refuses_a_share_that_leaves_no_output(value: float) -> None:
    with pytest.raises(InvalidSetting, match=f"lambda_init is {value}; it must be at least 0, and below 1"):
        DifferentialAttention(GEOMETRY, lambda_init=value)
