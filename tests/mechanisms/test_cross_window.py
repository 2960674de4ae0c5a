"""Cross-window attention: what a token reaches, what a stripe's border stops, and where the padding goes."""

import pytest
import torch

from attnbench import Geometry, InvalidSetting, UnsupportedGeometry
from mechanisms.cross_window import CrossWindowAttention
from mechanisms.msa import MultiHeadSelfAttention

DIM, HEADS = 48, 6
HALF = DIM // 2
VERTICAL, HORIZONTAL = slice(0, HALF), slice(HALF, DIM)


def crosses(height: int, width: int, stripe: int = 7) -> CrossWindowAttention:
    """A layer whose projection is the identity, so that the output's halves are those of the two branches."""
    layer = CrossWindowAttention(Geometry(DIM, HEADS, height, width), stripe)
    torch.nn.init.eye_(layer.proj.weight)
    return layer


@torch.no_grad()
def reach(layer: CrossWindowAttention, row: int, column: int, half: slice) -> set[tuple[int, int]]:
    """The tokens of which `half` changes when one token changes."""
    x = torch.randn(1, layer.geometry.height, layer.geometry.width, DIM)
    other = x.clone()
    other[:, row, column] += 1
    changed = layer(x.flatten(1, 2)) != layer(other.flatten(1, 2))
    return {(r, c) for r, c in changed.view_as(x)[0, ..., half].any(dim=-1).nonzero().tolist()}


def area(rows: range, columns: range) -> set[tuple[int, int]]:
    return {(row, column) for row in rows for column in columns}


def test_stripes_as_wide_as_the_map_are_softmax_attention_with_lepe() -> None:
    geometry = Geometry(DIM, HEADS, 7, 7)
    layer, msa = CrossWindowAttention(geometry, stripe=7), MultiHeadSelfAttention(geometry)
    msa.load_state_dict(layer.state_dict(), strict=False)
    x = torch.randn(2, 49, DIM)

    v = layer.qkv(x)[..., 2 * DIM :].mT.unflatten(2, (7, 7))
    lepe = torch.cat([layer.lepe[0](v[:, VERTICAL]), layer.lepe[1](v[:, HORIZONTAL])], dim=1)
    expected = msa(x) + lepe.flatten(2).mT @ layer.proj.weight.T

    torch.testing.assert_close(layer(x), expected)


def test_first_half_reaches_along_vertical_stripes() -> None:
    assert reach(crosses(14, 14), 0, 0, VERTICAL) == area(range(14), range(7))


def test_second_half_reaches_along_horizontal_stripes() -> None:
    assert reach(crosses(14, 14), 0, 0, HORIZONTAL) == area(range(7), range(14))


def test_lepe_stops_at_the_border_of_a_vertical_stripe() -> None:
    assert reach(crosses(14, 14), 5, 6, VERTICAL) == area(range(14), range(7))


def test_lepe_stops_at_the_border_of_a_horizontal_stripe() -> None:
    assert reach(crosses(14, 14), 6, 5, HORIZONTAL) == area(range(7), range(14))


def test_columns_are_padded_evenly_with_the_odd_one_at_the_right() -> None:
    assert reach(crosses(2, 11), 0, 0, VERTICAL) == area(range(2), range(6))


def test_rows_are_padded_evenly_with_the_odd_one_at_the_bottom() -> None:
    assert reach(crosses(11, 2), 0, 0, HORIZONTAL) == area(range(6), range(2))


def test_padded_tokens_are_keys_and_values_of_zero() -> None:
    layer = crosses(2, 2)
    torch.nn.init.zeros_(layer.qkv.weight[: 2 * DIM].detach())
    torch.nn.init.zeros_(layer.qkv.bias[: 2 * DIM].detach())
    for parameter in layer.lepe.parameters():
        torch.nn.init.zeros_(parameter)
    x = torch.randn(2, 4, DIM)

    v = layer.qkv(x)[..., 2 * DIM :]
    expected = (v.sum(dim=1, keepdim=True) / 14 + layer.proj.bias).expand(-1, 4, -1)

    torch.testing.assert_close(layer(x), expected)


def test_heads_that_cannot_be_halved_are_refused() -> None:
    with pytest.raises(UnsupportedGeometry, match=r"3 heads .* choose an even number of --heads"):
        CrossWindowAttention(Geometry(48, 3, 14, 14), stripe=7)


def test_a_stripe_holds_a_token() -> None:
    with pytest.raises(InvalidSetting, match="stripe is 0; it must be at least 1"):
        crosses(14, 14, stripe=0)
