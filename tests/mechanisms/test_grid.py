"""Grid attention: one token of each cell, whatever lies between, and where that is another layer."""

import pytest
import torch
from torch import nn

from attnbench import Geometry, InvalidSetting
from attnbench.measuring.cost import count
from mechanisms.grid import GridAttention, macs
from mechanisms.msa import MultiHeadSelfAttention
from mechanisms.window import WindowAttention


def layer_for(height: int, width: int, grid: int = 3, *, bias: bool = False) -> GridAttention:
    """A float64 layer under which no bias is zero."""
    layer = GridAttention(Geometry(24, 3, height, width), grid, bias=bias)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.3)
    return layer.double()


def test_a_grid_as_fine_as_the_map_is_softmax_attention() -> None:
    layer, msa = layer_for(3, 3), MultiHeadSelfAttention(Geometry(24, 3, 3, 3)).double()
    msa.load_state_dict(layer.state_dict())
    x = torch.randn(2, 9, 24, dtype=torch.float64)
    torch.testing.assert_close(layer(x), msa(x))


def test_a_grid_of_one_cell_gives_every_token_its_value() -> None:
    layer, x = layer_for(4, 5, grid=1), torch.randn(2, 20, 24, dtype=torch.float64)
    torch.testing.assert_close(layer(x), layer.proj(layer.qkv(x)[..., 48:]))


def test_it_is_window_attention_of_a_map_on_which_groups_are_windows() -> None:
    layer, local = layer_for(6, 12), WindowAttention(Geometry(24, 3, 6, 12), window=3, shift=0).double()
    local.load_state_dict(layer.state_dict())
    tokens = torch.arange(72).view(3, 2, 3, 4).permute(1, 0, 3, 2).flatten()  # cells of 2 × 4 tokens
    x = torch.randn(2, 72, 24, dtype=torch.float64)
    torch.testing.assert_close(layer(x)[:, tokens], local(x[:, tokens]))


def test_a_token_sees_its_like_in_every_cell() -> None:
    layer = layer_for(6, 9, bias=True)
    x = torch.randn(1, 54, 24, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(x)[0, 5].sum(), x)  # row 0, column 5 of cells of 2 × 3 tokens
    seen = gradient[0].any(dim=-1).view(6, 9).nonzero().tolist()
    assert seen == [[row, column] for row in (0, 2, 4) for column in (2, 5, 8)]


@torch.no_grad()
def test_a_bias_belongs_to_query_less_key() -> None:
    layer = layer_for(6, 6, bias=True)
    nn.init.zeros_(layer.qkv.weight[:48])  # all logits are equal but for the bias
    table = layer.get_parameter("table")
    nn.init.constant_(table, -1e4)
    table[0 * 5 + 3] = 0  # the key two cells below the query and one to the left
    x = torch.randn(1, 36, 24, dtype=torch.float64)
    value = layer.proj(layer.qkv(x)[..., 48:])
    torch.testing.assert_close(layer(x)[:, 0 * 6 + 3], value[:, 4 * 6 + 1])


def test_zeros_complete_the_cells_and_take_part_in_groups() -> None:
    ragged, whole = layer_for(5, 4, bias=True), layer_for(6, 6, bias=True)
    whole.load_state_dict(ragged.state_dict())
    x = torch.randn(2, 5, 4, 24, dtype=torch.float64)
    padded = torch.zeros(2, 6, 6, 24, dtype=torch.float64)
    padded[:, :5, :4] = x

    out = whole(padded.flatten(1, 2)).view_as(padded)

    torch.testing.assert_close(ragged(x.flatten(1, 2)).view_as(x), out[:, :5, :4])


@pytest.mark.parametrize(("grid", "bias"), [(1, False), (3, True), (7, True)])
def test_counts_what_the_closed_form_says_with_any_setting(grid: int, bias: bool) -> None:
    layer = layer_for(5, 8, grid, bias=bias).float()
    assert count(layer, layer.geometry).macs == macs(layer.geometry, grid, bias=bias)


def test_a_grid_has_a_cell() -> None:
    with pytest.raises(InvalidSetting, match="grid is 0; it must be at least 1"):
        layer_for(4, 4, grid=0)
