"""Aggregated attention: what its weights sum to, what stands outside the softmax, and where tokens are."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting
from attnbench.measuring.cost import count
from mechanisms.aggregated import AggregatedAttention, aggregated, macs

DIM, HEADS = 24, 3
CENTRE, RIGHT = 4, 5  # places in the square around a token


def layer_for(height: int, width: int, **settings: Any) -> AggregatedAttention:
    geometry = Geometry(DIM, HEADS, height, width)
    return AggregatedAttention(geometry, **{**aggregated.settings, **settings})


def tokens_for(layer: AggregatedAttention) -> Tensor:
    return torch.randn(2, layer.geometry.tokens, DIM)


def test_inside_the_softmax_weights_sum_to_one_for_every_token() -> None:
    layer = layer_for(5, 4)
    nn.init.zeros_(layer.learned)
    nn.init.zeros_(layer.kv.weight[DIM:].detach())  # all values are their bias, pooled ones too
    x = tokens_for(layer)
    torch.testing.assert_close(layer(x), layer.proj(layer.kv.bias[DIM:]).expand_as(x))


@pytest.mark.parametrize(("place", "step"), [(CENTRE, 0), (RIGHT, 1)], ids=["centre", "right"])
def test_a_number_for_a_neighbour_outside_the_softmax_adds_its_value(place: int, step: int) -> None:
    layer = layer_for(3, 4)
    x = tokens_for(layer)
    before = layer(x)
    layer.learned_bias.data[:, :, place] = 1
    v = layer.kv(x)[..., DIM:].unflatten(1, (3, 4))
    added = torch.zeros_like(v)
    added[:, :, : 4 - step] = v[:, :, step:]
    torch.testing.assert_close(layer(x) - before, added.flatten(1, 2) @ layer.proj.weight.T)


def test_a_strong_bias_makes_every_token_see_its_right_neighbour_alone() -> None:
    layer = layer_for(3, 4)
    nn.init.zeros_(layer.learned)
    layer.local_bias.data[:, :, RIGHT] = 100
    x = tokens_for(layer)
    v = layer.kv(x)[..., DIM:].unflatten(1, (3, 4))
    actual = layer(x).unflatten(1, (3, 4))[:, :, :3]
    torch.testing.assert_close(actual, layer.proj(v[:, :, 1:]))


def test_the_length_of_queries_and_keys_does_not_matter() -> None:
    layer = layer_for(4, 4)
    x = tokens_for(layer)
    before = layer(x)
    for parameter in (*layer.q.parameters(), *(p[:DIM] for p in layer.kv.parameters())):
        parameter.detach().mul_(7)
    torch.testing.assert_close(layer(x), before)


def test_a_token_has_its_neighbours_on_the_map_and_the_pooled_tokens_as_keys() -> None:
    keys = layer_for(6, 7).keys_seen.view(6, 7)
    assert keys[[0, 0, 3], [0, 3, 3]].tolist() == [4 + 9, 6 + 9, 9 + 9]


def test_offsets_are_logarithms_of_steps_from_the_centre_of_a_cell() -> None:
    layer = layer_for(14, 7)
    offsets = layer.offsets[layer.offset_of_pair].view(14, 7, 7, 3, 2)
    row = -math.log2(1 + 8 * 12.5 / 13) / 3  # row 0 from rows 12 and 13
    column = math.log2(1 + 8 * 5 / 6) / 3  # column 6 from columns 0, 1 and 2
    torch.testing.assert_close(offsets[0, 6, 6, 0], torch.tensor([row, column]))
    assert len(layer.offsets) == 26 * 11


@pytest.mark.parametrize(("window", "ratio"), [(1, 1), (5, 3), (3, 100)])
def test_costs_what_its_docstring_says(window: int, ratio: int) -> None:
    geometry = Geometry(DIM, HEADS, 5, 8)
    layer = AggregatedAttention(geometry, window=window, ratio=ratio)
    assert count(layer, geometry).macs == macs(geometry, window=window, ratio=ratio)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"window": 4}, "window is 4; it must be odd"),
        ({"window": -1}, "window is -1; it must be odd and at least 1"),
        ({"ratio": 0}, "ratio is 0; it must be at least 1"),
    ],
)
def test_meaningless_settings_are_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSetting, match=message):
        layer_for(4, 4, **setting)
