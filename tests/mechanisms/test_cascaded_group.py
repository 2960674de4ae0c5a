"""Cascaded group attention: heads that read the one before, windows that end, and norms of a batch."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting
from attnbench.measuring.cost import count
from mechanisms.cascaded_group import CascadedGroupAttention, Head, cascaded_group, macs

DIM, HEADS, D = 24, 4, 6


def layer_for(height: int, width: int, **settings: Any) -> CascadedGroupAttention:
    """A layer with its norms as they are after training, and the identity as its last projection."""
    geometry = Geometry(DIM, HEADS, height, width)
    layer = CascadedGroupAttention(geometry, **{**cascaded_group.settings, **settings})
    nn.init.eye_(layer.proj.weight)
    return layer.eval()


@torch.no_grad()
def changed(layer: CascadedGroupAttention, row: int, column: int, channel: int) -> Tensor:
    """Where the output changes with one number of the input: `[H, W, heads]`."""
    x = torch.randn(1, layer.geometry.height, layer.geometry.width, DIM)
    other = x.clone()
    other[:, row, column, channel] += 1
    different = layer(x.flatten(1, 2)) != layer(other.flatten(1, 2))
    return different.view(*x.shape[1:3], HEADS, D).any(dim=-1)


def test_a_head_reads_its_channels_and_the_heads_before() -> None:
    heads = changed(layer_for(7, 7), 3, 3, channel=2 * D).any(dim=0).any(dim=0)
    assert heads.tolist() == [False, False, True, True]


def test_neither_attention_nor_convolution_leaves_the_window() -> None:
    reached = changed(layer_for(14, 14), 6, 6, channel=0).any(dim=-1)
    assert reached[:7, :7].any()
    assert not reached[7:].any()
    assert not reached[:, 7:].any()


def test_values_that_are_all_the_same_come_through_the_softmax_as_they_are() -> None:
    layer = layer_for(7, 7)
    heads = [module for module in layer.modules() if isinstance(module, Head)]
    for index, head in enumerate(heads):
        nn.init.zeros_(head.norm.weight)
        nn.init.constant_(head.norm.bias, index - 1.5)
    expected = torch.tensor([-1.5, -0.5, 0.5, 1.5]).repeat_interleave(D).relu()
    x = torch.randn(2, 49, DIM)
    torch.testing.assert_close(layer(x), expected.expand_as(x), rtol=1e-4, atol=1e-4)  # the norm's ε


def test_the_table_is_read_at_distances() -> None:
    layer = layer_for(3, 3)
    bias = torch.arange(9).index_select(0, layer.steps).view(3, 3, 3, 3)
    assert bias[2, 0, 0, 1] == bias[0, 1, 2, 0] == 2 * 3 + 1


def test_a_window_shrinks_to_the_shorter_side_of_the_map() -> None:
    layer = layer_for(4, 9)
    assert layer.table.shape == (HEADS, 16)
    assert (layer.height, layer.width) == (4, 12)


def test_padding_takes_part_as_tokens_of_zero() -> None:
    ragged, whole = layer_for(7, 9), layer_for(7, 14)
    whole.load_state_dict(ragged.state_dict())
    x = torch.zeros(1, 7, 14, DIM)
    x[:, :, :9] = torch.randn(1, 7, 9, DIM)
    expected = whole(x.flatten(1, 2)).view_as(x)[:, :, :9]
    torch.testing.assert_close(ragged(x[:, :, :9].flatten(1, 2)), expected.flatten(1, 2))


def test_a_fresh_layer_says_something() -> None:
    layer = cascaded_group.build(Geometry(DIM, HEADS, 7, 7), **cascaded_group.settings).eval()
    assert (layer(torch.randn(1, 49, DIM)) != 0).any()


@pytest.mark.parametrize(("window", "key"), [(1, 4), (3, 5)])
def test_costs_what_its_docstring_says(window: int, key: int) -> None:
    geometry = Geometry(DIM, HEADS, 5, 8)
    layer = CascadedGroupAttention(geometry, window=window, key=key)
    assert count(layer, geometry).macs == macs(geometry, window=window, key=key)


@pytest.mark.parametrize("setting", ["window", "key"])
def test_meaningless_settings_are_refused(setting: str) -> None:
    with pytest.raises(InvalidSetting, match=f"cascaded-group: {setting} is 0; it must be at least 1"):
        layer_for(7, 7, **{setting: 0})
