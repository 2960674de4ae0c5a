"""XCA's own facts: channels attend to channels, by cosine, whatever the order of the tokens."""

import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.xca import CrossCovarianceAttention

GEOMETRY = Geometry(dim=24, heads=3, height=5, width=4)


@pytest.fixture
def layer() -> CrossCovarianceAttention:
    return CrossCovarianceAttention(GEOMETRY)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, GEOMETRY.tokens, GEOMETRY.dim)


def parts(layer: CrossCovarianceAttention) -> tuple[Tensor, ...]:
    """Weights of queries, keys and values, as views that can be written to."""
    return layer.qkv.weight.data.chunk(3)


def test_a_permutation_of_the_tokens_permutes_the_output(layer: CrossCovarianceAttention, x: Tensor) -> None:
    order = torch.randperm(GEOMETRY.tokens)
    torch.testing.assert_close(layer(x[:, order]), layer(x)[:, order])


def test_the_scale_of_a_query_or_key_channel_does_not_matter(
    layer: CrossCovarianceAttention, x: Tensor
) -> None:
    nn.init.zeros_(layer.qkv.bias)
    before = layer(x)
    w_q, w_k, _ = parts(layer)
    for weight in (w_q, w_k):
        weight *= torch.linspace(0.1, 10, len(weight)).unsqueeze(-1)
    torch.testing.assert_close(layer(x), before)


def test_a_high_temperature_factor_leaves_each_channel_the_key_most_like_its_query(
    layer: CrossCovarianceAttention, x: Tensor
) -> None:
    nn.init.zeros_(layer.qkv.bias)
    nn.init.constant_(layer.temperature, 1e4)
    w_q, w_k, w_v = (weight.unflatten(0, (GEOMETRY.heads, -1)) for weight in parts(layer))
    w_q.copy_(w_k.roll(1, dims=1))  # query i is key i - 1
    torch.testing.assert_close(layer(x), layer.proj(x @ w_v.roll(1, dims=1).flatten(0, 1).T))


def test_each_head_has_its_temperature(layer: CrossCovarianceAttention, x: Tensor) -> None:
    nn.init.eye_(layer.proj.weight)
    before = layer(x)
    layer.temperature.data[1] = 5
    changed = (layer(x) != before).unflatten(-1, (GEOMETRY.heads, -1)).all(dim=(0, 1, 3))
    assert changed.tolist() == [False, True, False]


def test_the_weights_of_a_channel_sum_to_one(layer: CrossCovarianceAttention, x: Tensor) -> None:
    nn.init.zeros_(layer.qkv.bias)
    nn.init.constant_(layer.temperature, 20)
    _, _, w_v = parts(layer)
    w_v.copy_(w_v[:1].expand_as(w_v))  # all channels have the same value, so mixing them changes nothing
    torch.testing.assert_close(layer(x), layer.proj(x @ w_v.T))


def test_a_channel_of_zeros_attends_to_all_channels_alike(layer: CrossCovarianceAttention, x: Tensor) -> None:
    nn.init.zeros_(layer.qkv.bias)
    w_q, _, w_v = parts(layer)
    w_q.zero_()
    means = (x @ w_v.T).unflatten(-1, (GEOMETRY.heads, -1)).mean(dim=-1)
    expected = layer.proj(means.repeat_interleave(GEOMETRY.head_dim, dim=-1))
    torch.testing.assert_close(layer(x), expected)
