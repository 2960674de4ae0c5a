"""Focal attention: which tokens are keys, and what is left when a bias switches some of them off."""

from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting
from mechanisms.focal import FocalAttention
from mechanisms.msa import MultiHeadSelfAttention
from mechanisms.window import WindowAttention

OFF = -1e4  # of a bias: e^OFF is 0, and the key is not seen


def focal(geometry: Geometry, window: int = 7, expand: int = 3, focal_window: int = 3) -> FocalAttention:
    return FocalAttention(geometry, window, expand, focal_window)


def switch_off(*biases: Tensor | None) -> None:
    for bias in biases:
        if bias is not None:
            nn.init.constant_(bias, OFF)


@torch.no_grad()
def read_values(layer: FocalAttention) -> None:
    """Make all logits equal before their bias, values and output the tokens themselves."""
    for linear in (layer.qkv, layer.proj):
        linear.weight.zero_()
        linear.bias.zero_()
        linear.weight[-layer.geometry.dim :].fill_diagonal_(1)


def test_a_lone_window_is_softmax_attention_without_the_coarse_keys() -> None:
    geometry = Geometry(48, 6, 5, 5)
    layer, msa = focal(geometry), MultiHeadSelfAttention(geometry)
    msa.load_state_dict(layer.state_dict(), strict=False)
    switch_off(layer.pooled_bias)
    x = torch.randn(2, 25, 48)

    torch.testing.assert_close(layer(x), msa(x))


@pytest.mark.parametrize(("height", "width"), [(14, 14), (9, 16)])
def test_own_keys_alone_are_window_attention(height: int, width: int) -> None:
    geometry = Geometry(48, 6, height, width)
    layer, local = focal(geometry), WindowAttention(geometry, window=7, shift=0)
    local.load_state_dict(layer.state_dict(), strict=False)
    switch_off(layer.ring_bias, layer.pooled_bias)
    x = torch.randn(2, geometry.tokens, 48)

    torch.testing.assert_close(layer(x), local(x))


def test_own_bias_belongs_to_query_less_key() -> None:
    layer = focal(Geometry(48, 6, 7, 7))
    read_values(layer)
    switch_off(layer.own_bias, layer.pooled_bias)
    nn.init.zeros_(
        layer.own_bias[(2 + 6) * 13 + (1 + 6)].detach()
    )  # query two rows below and one column right
    x = torch.randn(2, 7, 7, 48)

    out = layer(x.flatten(1, 2)).view_as(x)

    torch.testing.assert_close(out[:, 2:, 1:], x[:, :-2, :-1])


def test_pooled_bias_belongs_to_query_cell_less_pooled_cell() -> None:
    layer = focal(Geometry(48, 6, 14, 14))
    read_values(layer)
    switch_off(layer.own_bias, layer.ring_bias, layer.pooled_bias)
    entry = (5 - 2 + 2) * 9 + (3 - 1 + 2)  # cell (5, 3) less pooled cell (2, 1)
    nn.init.zeros_(layer.pooled_bias[:, entry].detach())
    x = torch.randn(2, 14, 14, 48)

    out = layer(x.flatten(1, 2)).view_as(x)

    torch.testing.assert_close(out[:, 5, 3], x[:, 7:, :7].mean(dim=(1, 2)))


def ring_tokens(height: int, width: int, query: tuple[int, int]) -> list[tuple[int, int]]:
    """The token that each of the 132 ring slots shows to a query: head h sees slot h alone."""
    layer = focal(Geometry(132, 132, height, width))
    read_values(layer)
    switch_off(layer.own_bias, layer.ring_bias, layer.pooled_bias)
    assert layer.ring_bias is not None
    layer.ring_bias.detach().diagonal(dim1=1, dim2=3).zero_()
    numbers = torch.arange(height * width).float()

    out = layer(numbers.view(1, -1, 1).expand(-1, -1, 132)).unflatten(1, (height, width))
    return [divmod(int(number), width) for number in out[0, query[0], query[1]]]


def test_ring_surrounds_the_window_three_deep_and_holds_twelve_cells_twice() -> None:
    tokens = Counter((row - 7, column - 7) for row, column in ring_tokens(21, 21, query=(9, 9)))

    twice = {(3, far) for far in (-3, -2, -1, 7, 8, 9)} | {(far, 3) for far in (-3, -2, -1, 7, 8, 9)}
    square = {(row, column) for row in range(-3, 10) for column in range(-3, 10)}
    own = {(row, column) for row in range(7) for column in range(7)}
    assert tokens == Counter(square - own) + Counter(twice)


def test_ring_slots_stand_in_the_order_of_the_rolls_and_row_by_row() -> None:
    tokens = [(row - 7, column - 7) for row, column in ring_tokens(21, 21, query=(9, 9))]

    assert tokens[::33] == [(3, 7), (3, -3), (-3, 3), (-3, -3)]
    assert tokens[:4] == [(3, 7), (3, 8), (3, 9), (4, 7)]


def test_ring_continues_on_the_opposite_side_of_the_map() -> None:
    tokens = ring_tokens(14, 21, query=(0, 0))

    assert tokens[::33] == [(3, 7), (3, 18), (11, 3), (11, 18)]


def test_a_lone_window_sees_its_own_mean_and_no_other_coarse_key() -> None:
    layer = focal(Geometry(48, 6, 7, 7))
    read_values(layer)
    switch_off(layer.own_bias)
    x = torch.randn(2, 49, 48)

    torch.testing.assert_close(layer(x), x.mean(dim=1, keepdim=True).expand(-1, 49, -1))


def test_coarse_keys_are_the_window_and_the_neighbours_that_exist() -> None:
    layer = focal(Geometry(48, 6, 21, 14))
    read_values(layer)
    switch_off(layer.own_bias, layer.ring_bias)
    nn.init.zeros_(layer.pooled_bias)
    x = torch.randn(2, 21, 14, 48)

    out = layer(x.flatten(1, 2)).view_as(x)

    torch.testing.assert_close(out[:, 0, 0], x[:, :14].mean(dim=(1, 2)))
    torch.testing.assert_close(out[:, 7, 0], x.mean(dim=(1, 2)))
    torch.testing.assert_close(out[:, 20, 13], x[:, 7:].mean(dim=(1, 2)))


def test_padding_is_pooled_and_seen() -> None:
    layer = focal(Geometry(48, 6, 8, 14))
    read_values(layer)
    switch_off(layer.own_bias, layer.ring_bias)
    nn.init.zeros_(layer.pooled_bias)
    x = torch.randn(2, 112, 48)

    torch.testing.assert_close(layer(x), (x.sum(dim=1, keepdim=True) / 196).expand(-1, 112, -1))


@pytest.mark.parametrize(("height", "width"), [(7, 7), (7, 30), (30, 3), (1, 1)])
def test_a_map_with_a_side_no_longer_than_the_window_has_no_ring(height: int, width: int) -> None:
    layer = focal(Geometry(48, 6, height, width))
    side = min(height, width)

    assert "ring_bias" not in dict(layer.named_parameters())
    assert layer.pool.in_features == side**2
    assert layer.mask.shape == (-(-max(height, width) // side), 1, side**2 + 9)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 0}, "window is 0; it must be at least 1"),
        ({"expand": 8}, "expand is 8; it must lie between 0 and the window, 7"),
        ({"focal_window": 2}, "focal_window is 2; it must be odd"),
    ],
)
def test_settings_without_a_meaning_are_refused(settings: dict[str, int], message: str) -> None:
    with pytest.raises(InvalidSetting, match=message):
        focal(Geometry(48, 6, 14, 14), **settings)
