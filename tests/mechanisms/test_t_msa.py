"""T-MSA: the two layers that it is made of, and what they say of a map or a setting."""

import pytest
import torch

from attnbench import Geometry, InvalidSetting, UnsupportedGeometry
from attnbench.measuring.cost import count
from mechanisms.msa import MultiHeadSelfAttention
from mechanisms.sra import SpatialReductionAttention
from mechanisms.t_msa import TwinsAttention, build, macs
from mechanisms.window import WindowAttention


@pytest.mark.parametrize("size", [(14, 14), (5, 9)], ids=str)
def test_is_local_window_and_then_sra(size: tuple[int, int]) -> None:
    geometry = Geometry(24, 4, *size)
    layer = TwinsAttention(geometry, window=7, reduction=2)
    near, far = WindowAttention(geometry, 7, shift=0), SpatialReductionAttention(geometry, reduction=2)
    near.load_state_dict(layer.near.state_dict())
    far.load_state_dict(layer.far.state_dict())
    x = torch.randn(2, geometry.tokens, geometry.dim)
    torch.testing.assert_close(layer(x), far(near(x)))


def test_is_self_attention_twice_where_a_window_is_the_map_and_nothing_is_reduced() -> None:
    geometry = Geometry(24, 4, 4, 4)
    layer = TwinsAttention(geometry, window=4, reduction=1)
    first, second = MultiHeadSelfAttention(geometry), MultiHeadSelfAttention(geometry)
    first.load_state_dict(layer.near.state_dict())
    far = layer.far
    second.qkv.weight.data = torch.cat([far.q.weight, far.kv.weight])
    second.qkv.bias.data = torch.cat([far.q.bias, far.kv.bias])
    second.proj = far.proj
    x = torch.randn(2, geometry.tokens, geometry.dim)
    torch.testing.assert_close(layer(x), second(first(x)))


def test_padded_tokens_are_cropped_before_the_projection() -> None:
    geometry = Geometry(24, 4, 5, 9)
    layer = TwinsAttention(geometry, window=7, reduction=2)
    n, padded, c = 45, 7 * 14, 24
    assert count(layer.near, geometry).macs == 3 * padded * c**2 + 2 * padded * 49 * c + n * c**2
    assert count(layer, geometry).macs == macs(geometry, window=7, reduction=2)


def test_refuses_a_map_that_leaves_no_keys() -> None:
    with pytest.raises(UnsupportedGeometry, match="a map of 1x4 holds no patch of 2x2 tokens"):
        TwinsAttention(Geometry(24, 4, 1, 4), window=7, reduction=2)


def test_refuses_a_window_without_tokens() -> None:
    with pytest.raises(InvalidSetting, match="window is 0; it must be at least 1"):
        TwinsAttention(Geometry(24, 4, 4, 4), window=0, reduction=2)


@pytest.mark.parametrize(("part", "name"), [("local", "near"), ("global", "far")])
def test_each_half_of_the_pair_may_stand_alone(part: str, name: str) -> None:
    geometry = Geometry(24, 4, 5, 9)
    in_pair = TwinsAttention(geometry, window=7, reduction=2).get_submodule(name)
    alone = build(geometry, window=7, reduction=2, part=part)
    alone.load_state_dict(in_pair.state_dict())
    x = torch.randn(2, geometry.tokens, geometry.dim)
    torch.testing.assert_close(alone(x), in_pair(x))
    assert count(alone, geometry).macs == macs(geometry, window=7, reduction=2, part=part)


def test_refuses_a_part_that_it_does_not_have() -> None:
    with pytest.raises(InvalidSetting, match="part is 'far'; it must be both, local or global"):
        build(Geometry(24, 4, 4, 4), window=2, reduction=2, part="far")
