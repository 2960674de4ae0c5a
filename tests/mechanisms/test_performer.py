"""Performer's random directions, its limit of many features, and its stabilisers."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting
from mechanisms import performer
from mechanisms.msa import msa
from mechanisms.performer import PerformerAttention, orthogonal_directions

GEOMETRY = Geometry(dim=24, heads=3, height=5, width=4)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, GEOMETRY.tokens, GEOMETRY.dim)


def msa_with_weights_of(layer: PerformerAttention) -> nn.Module:
    twin = msa.build(GEOMETRY)
    twin.load_state_dict({name: value for name, value in layer.state_dict().items() if name != "projection"})
    return twin


def mean_of_values(layer: PerformerAttention, x: Tensor) -> Tensor:
    """What the layer gives if it attends to all tokens alike."""
    _, _, v = layer.qkv(x).chunk(3, dim=-1)
    mean: Tensor = layer.proj(v.mean(dim=1, keepdim=True))
    return mean.expand_as(x)


@pytest.mark.parametrize("features", [5, 8, 16, 21])
def test_directions_are_orthogonal_within_a_block(features: int) -> None:
    directions = orthogonal_directions(features, 8)
    assert directions.shape == (features, 8)
    for block in directions.split(8):
        gram = block @ block.T
        torch.testing.assert_close(gram, gram.diagonal().diag(), rtol=0, atol=1e-5)


def test_blocks_of_directions_are_drawn_one_by_one() -> None:
    first, second = F.normalize(orthogonal_directions(16, 8), dim=-1).split(8)
    assert (first @ second.T).abs().max() < 0.99


def test_directions_have_the_norms_of_gaussian_vectors() -> None:
    squares = orthogonal_directions(8000, 8).square().sum(dim=-1)  # chi-squared: mean 8, variance 16
    assert squares.mean() == pytest.approx(8, rel=0.03)
    assert squares.var() == pytest.approx(16, rel=0.1)


def test_directions_of_one_channel_point_both_ways() -> None:
    signs = orthogonal_directions(1000, 1).sign()  # left to itself, QR returns 1 for every 1 × 1 matrix
    assert abs(signs.mean()) < 0.1


def test_the_seed_decides_the_directions() -> None:
    def draw(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return PerformerAttention(GEOMETRY, features=16).projection

    one, two = draw(1), draw(2)
    assert torch.equal(one, draw(1))
    assert not torch.isclose(one.norm(dim=-1), two.norm(dim=-1)).any()
    assert not torch.isclose(F.normalize(one), F.normalize(two)).all(dim=-1).any()


def test_directions_are_saved_with_the_weights_but_do_not_train() -> None:
    layer = PerformerAttention(GEOMETRY, features=16)
    assert "projection" in layer.state_dict()
    assert "projection" not in dict(layer.named_parameters())


def distance_from_self_attention(x: Tensor, features: int) -> float:
    """Error of the layer, relative to that of attending to all tokens alike."""
    layer = PerformerAttention(GEOMETRY, features=features)
    exact = msa_with_weights_of(layer)(x)
    return float((layer(x) - exact).norm() / (mean_of_values(layer, x) - exact).norm())


@torch.no_grad()
def test_many_features_approach_self_attention(x: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        performer, "EPSILON", 0
    )  # its share grows with the stabiliser, and so with the features
    assert distance_from_self_attention(x, features=2**6) > 0.3
    assert distance_from_self_attention(x, features=2**16) < 0.1


@torch.no_grad()
def test_without_epsilon_the_stabilisers_cancel(x: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(performer, "EPSILON", 0)
    layer = PerformerAttention(GEOMETRY, features=21).double()
    packed = layer.qkv(x.double()).unflatten(-1, (3, GEOMETRY.heads, -1))
    q, k, v = packed.permute(2, 0, 3, 1, 4)

    q, k = (x * GEOMETRY.head_dim**-0.25 for x in (q, k))
    q, k = ((x @ layer.projection.T - x.square().sum(dim=-1, keepdim=True) / 2).exp() for x in (q, k))
    weights = q @ k.mT
    heads = weights / weights.sum(dim=-1, keepdim=True) @ v
    torch.testing.assert_close(layer(x.double()), layer.proj(heads.transpose(1, 2).flatten(2)))


def test_tokens_too_large_for_the_features_attend_to_all_alike(x: Tensor) -> None:
    layer = PerformerAttention(GEOMETRY, features=16)
    x = 1e3 * x  # exp underflows, which leaves ε
    torch.testing.assert_close(layer(x), mean_of_values(layer, x))


def test_a_loud_image_does_not_change_another_image_of_its_batch(x: Tensor) -> None:
    layer = PerformerAttention(GEOMETRY, features=16)
    quiet, loud = x.split(1)
    together = layer(torch.cat([quiet, 8 * loud]))
    torch.testing.assert_close(together, torch.cat([layer(quiet), layer(8 * loud)]))


def test_fewer_than_one_feature_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="performer: features is 0; it must be at least 1"):
        PerformerAttention(GEOMETRY, features=0)
