"""MSA with a relative bias: where the bias is nothing, and whose it is."""

import pytest
import torch
from torch import nn

from attnbench import Geometry
from mechanisms.msa import MultiHeadSelfAttention
from mechanisms.msa_rpe import RelativeSelfAttention


def layer_for(height: int, width: int) -> RelativeSelfAttention:
    return RelativeSelfAttention(Geometry(24, 3, height, width)).double()


def test_a_table_of_zeros_makes_it_softmax_attention() -> None:
    layer, msa = layer_for(3, 5), MultiHeadSelfAttention(Geometry(24, 3, 3, 5)).double()
    nn.init.zeros_(layer.table)
    msa.load_state_dict(layer.state_dict(), strict=False)
    x = torch.randn(2, 15, 24, dtype=torch.float64)
    torch.testing.assert_close(layer(x), msa(x))


@torch.no_grad()
def test_a_row_of_the_table_belongs_to_the_keys_that_lie_so_far_before_their_queries() -> None:
    layer = layer_for(3, 4)
    nn.init.constant_(layer.table, 0)
    layer.table[(1 + 2) * 7 + (-2 + 3), 2] = 5  # keys one row above and two columns to the right, head 2
    bias = layer.bias().view(3, 3, 4, 3, 4)
    expected = [[2, row, column, row - 1, column + 2] for row in (1, 2) for column in (0, 1)]
    assert bias.nonzero().tolist() == expected


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 5), (7, 7)])
def test_the_table_has_a_row_for_every_way_two_tokens_can_lie(height: int, width: int) -> None:
    assert layer_for(height, width).table.shape == ((2 * height - 1) * (2 * width - 1), 3)
