"""DAT: where it samples, what the offsets and the table mean, and where it equals softmax attention."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, UnsupportedGeometry
from attnbench.attention import attend
from mechanisms.dat import DeformableAttention, dat

GEOMETRY = Geometry(48, 6, 7, 14)
ROWS = torch.arange(7.0).repeat_interleave(14)  # the row and the column of every token
COLUMNS = torch.arange(14.0).repeat(7)


def layer_for(geometry: Geometry, **settings: Any) -> DeformableAttention:
    return DeformableAttention(geometry, **{**dat.settings, **settings})


def without_offsets(layer: DeformableAttention) -> DeformableAttention:
    nn.init.zeros_(layer.offset_point.weight)
    return layer


def with_constant_offsets(layer: DeformableAttention, *, y: float, x: float) -> DeformableAttention:
    """Give all tokens these offsets before the tanh, whatever their queries."""
    nn.init.zeros_(layer.offset_norm.weight)
    nn.init.ones_(layer.offset_norm.bias)
    channels = layer.offset_point.in_features * nn.functional.gelu(torch.ones(()))
    layer.offset_point.weight.data = (
        torch.tensor([[y], [x]]).expand(-1, layer.offset_point.in_features) / channels
    )
    return layer


def sampled(layer: DeformableAttention, values: Tensor) -> Tensor:
    """What the layer reads, `[N]`, from a map `[N]` that is the same in all channels."""
    x = values.view(1, -1, 1).expand(-1, -1, layer.geometry.dim)
    return layer.sample(x, layer.places(layer.q(x)))[0, :, 0]


def bilinear(length: int) -> Tensor:
    """The matrix that reads a row of `length` tokens at the centres of their cells with corners aligned."""
    places = (torch.arange(length) + 0.5) / length * (length - 1)
    return (1 - (places[:, None] - torch.arange(length)).abs()).clamp(min=0)


def test_without_offsets_a_ramp_is_read_at_cell_centres_with_corners_aligned() -> None:
    columns = sampled(without_offsets(layer_for(GEOMETRY)), COLUMNS).view(7, 14)

    expected = torch.tensor([0.464, 1.393, 2.321, 12.536]).expand(7, -1)
    torch.testing.assert_close(columns[:, [0, 1, 2, 13]], expected, rtol=0, atol=5e-4)


def test_without_offsets_it_is_softmax_attention_to_the_bilinear_map_with_the_table_as_bias() -> None:
    layer = without_offsets(layer_for(GEOMETRY))
    layer.table.data = torch.arange(13.0).view(13, 1).expand(6, 13, 27)
    x = torch.randn(2, GEOMETRY.tokens, GEOMETRY.dim)

    blurred = torch.kron(bilinear(7), bilinear(14)) @ x
    tokens = (layer.q(x), layer.k(blurred), layer.v(blurred))
    q, k, v = (y.view(2, -1, 6, 8).transpose(1, 2) for y in tokens)
    heads = attend(q, k, v, -ROWS * 6 / 7)  # the query's own row adds the same to all its logits
    torch.testing.assert_close(layer(x), layer.proj(heads.transpose(1, 2).flatten(2)))


def test_no_reach_is_no_offset() -> None:
    layer = layer_for(GEOMETRY, reach=0.0)
    x = torch.randn(2, GEOMETRY.tokens, GEOMETRY.dim)
    expected = layer(x)
    torch.testing.assert_close(without_offsets(layer)(x), expected)


def test_first_offset_moves_along_rows_by_at_most_its_reach_and_reads_zero_outside() -> None:
    layer = with_constant_offsets(layer_for(GEOMETRY), y=100.0, x=0.0)

    places = (torch.arange(7) + 0.5 + 1.0) * 6 / 7  # reach 2 in units of half a cell
    expected = torch.where(places <= 6, places, 6 * (7 - places))
    torch.testing.assert_close(sampled(layer, ROWS).view(7, 14), expected.view(7, 1).expand(-1, 14))


def test_second_offset_moves_along_columns() -> None:
    layer = with_constant_offsets(layer_for(GEOMETRY, reach=4.0), y=0.0, x=-0.5)

    places = (torch.arange(14) + 0.5 - 2.0 * torch.tensor(0.5).tanh()) * 13 / 14
    actual = sampled(layer, COLUMNS + 1).view(7, 14)
    torch.testing.assert_close(actual, (1 + places).expand(7, -1))


def test_a_group_is_sampled_where_its_own_queries_say() -> None:
    layer = layer_for(GEOMETRY)
    q = torch.randn(2, GEOMETRY.tokens, GEOMETRY.dim)
    other = q.clone()
    other[1, :, 16:32] += torch.randn(GEOMETRY.tokens, 16)  # the second of three groups, in the second image

    moved = (layer.places(q) != layer.places(other)).any(dim=(1, 2))
    assert moved.tolist() == [False, False, False, False, True, False]


def test_groups_share_one_offset_network() -> None:
    layer = layer_for(GEOMETRY)
    q = torch.randn(1, GEOMETRY.tokens, 16).repeat(1, 1, 3)
    first, *others = layer.places(q)
    for other in others:
        torch.testing.assert_close(other, first)


def test_a_group_reads_its_own_channels() -> None:
    layer = layer_for(GEOMETRY)
    places = without_offsets(layer).places(torch.zeros(1, GEOMETRY.tokens, GEOMETRY.dim))
    places[1] += 100  # far outside for the second group
    read = layer.sample(torch.ones(1, GEOMETRY.tokens, GEOMETRY.dim), places)
    expected = torch.ones(48)
    expected[16:32] = 0
    torch.testing.assert_close(read, expected.expand_as(read))


@pytest.mark.parametrize(
    ("axis", "size", "position"), [(0, 7, ROWS), (1, 14, COLUMNS)], ids=["rows", "columns"]
)
def test_table_is_read_at_half_the_way_from_sample_to_query(axis: int, size: int, position: Tensor) -> None:
    layer = without_offsets(layer_for(GEOMETRY))
    ramp = torch.arange(2.0 * size - 1)
    layer.table.data = (ramp[:, None] if axis == 0 else ramp).expand(6, 13, 27)
    bias = layer.bias(layer.places(torch.zeros(1, GEOMETRY.tokens, GEOMETRY.dim)))

    expected = (size - 1) * (1 + (position[:, None] - position) / size)
    torch.testing.assert_close(bias, expected.expand(1, 6, -1, -1))


def test_a_head_reads_its_own_table() -> None:
    layer = without_offsets(layer_for(GEOMETRY))
    layer.table.data = torch.arange(6.0).view(6, 1, 1).expand(-1, 13, 27)
    bias = layer.bias(layer.places(torch.zeros(2, GEOMETRY.tokens, GEOMETRY.dim)))
    torch.testing.assert_close(bias, torch.arange(6.0).view(6, 1, 1).expand_as(bias))


def test_one_image_in_sixteen_bits_is_sampled_as_one_of_two() -> None:
    geometry = Geometry(192, 6, 14, 14)  # more than 2¹⁵ elements from the first token to the last
    layer = layer_for(geometry).bfloat16()
    x = torch.randn(1, geometry.tokens, geometry.dim, dtype=torch.bfloat16)
    places = layer.places(layer.q(x))
    both = layer.sample(x.repeat(2, 1, 1), places.repeat(2, 1, 1))
    torch.testing.assert_close(layer.sample(x, places), both[:1], rtol=0, atol=0)


def test_only_what_trains_is_stored() -> None:
    layer = layer_for(GEOMETRY)
    assert layer.state_dict().keys() == dict(layer.named_parameters()).keys()


def test_groups_that_cut_a_head_are_refused() -> None:
    with pytest.raises(UnsupportedGeometry, match="4 groups do not divide 6 heads; choose groups or --heads"):
        layer_for(GEOMETRY, groups=4)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"groups": 0}, "groups is 0; it must be at least 1"),
        ({"kernel": 4}, "kernel is 4; it must be odd"),
        ({"kernel": -1}, "kernel is -1; it must be odd and at least 1"),
        ({"reach": -2.0}, "reach is -2.0; it must be finite and at least 0"),
        ({"reach": float("nan")}, "reach is nan"),
    ],
)
def test_meaningless_settings_are_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSetting, match=message):
        layer_for(GEOMETRY, **setting)
