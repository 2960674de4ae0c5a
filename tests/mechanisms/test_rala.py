"""RALA's weights of keys, where its positions cancel, and its gate."""

import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, UnsupportedGeometry
from mechanisms.rala import RankAugmentedLinearAttention

GEOMETRY = Geometry(24, 3, 3, 4)
C = GEOMETRY.dim


def without_lepe(layer: RankAugmentedLinearAttention) -> RankAugmentedLinearAttention:
    for parameter in layer.lepe.parameters():
        nn.init.zeros_(parameter)
    return layer


@pytest.fixture
def layer() -> RankAugmentedLinearAttention:
    return without_lepe(RankAugmentedLinearAttention(GEOMETRY, lepe=3).double())


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, GEOMETRY.tokens, C, dtype=torch.float64)


def gated(layer: RankAugmentedLinearAttention, y: Tensor, x: Tensor) -> Tensor:
    """The layer's output if its attention gives y."""
    return layer.proj(y * layer.qkvg(x)[..., 3 * C :])


def test_a_token_alone_attends_to_itself_alone() -> None:
    layer = without_lepe(RankAugmentedLinearAttention(Geometry(C, 3, 1, 1), lepe=1).double())
    x = torch.randn(2, 1, C, dtype=torch.float64)
    v = layer.qkvg(x)[..., 2 * C : 3 * C]
    torch.testing.assert_close(layer(x), gated(layer, v, x), rtol=1e-5, atol=1e-6)


def test_the_key_that_answers_the_mean_query_best_is_the_only_one_left(
    layer: RankAugmentedLinearAttention, x: Tensor
) -> None:
    nn.init.zeros_(layer.qkvg.weight.data[:C])  # all queries are 1
    layer.qkvg.weight.data[C : 2 * C] = torch.eye(C)
    x[:, 7] = 500.0
    v = layer.qkvg(x)[..., 2 * C : 3 * C]
    torch.testing.assert_close(layer(x)[:, 7], gated(layer, v, x)[:, 7], rtol=1e-5, atol=1e-6)


def test_keys_that_are_alike_weigh_by_their_place_alone(
    layer: RankAugmentedLinearAttention, x: Tensor
) -> None:
    nn.init.zeros_(layer.qkvg.weight.data[: 2 * C])
    nn.init.zeros_(layer.qkvg.bias.data[: 2 * C])
    relative = (layer.cos @ layer.cos.T + layer.sin @ layer.sin.T) / 4 / GEOMETRY.tokens  # [N, N]
    v = layer.qkvg(x)[..., 2 * C : 3 * C]
    torch.testing.assert_close(layer(x), gated(layer, relative @ v, x), rtol=1e-5, atol=1e-6)


def test_heads_that_rows_and_columns_cannot_share_in_pairs_are_refused() -> None:
    with pytest.raises(UnsupportedGeometry, match=r"a head of 6 channels; .* multiple of 4"):
        RankAugmentedLinearAttention(Geometry(24, 4, 4, 4), lepe=5)


def test_a_convolution_without_a_centre_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="rala: lepe is 4; it must be odd and at least 1"):
        RankAugmentedLinearAttention(GEOMETRY, lepe=4)
