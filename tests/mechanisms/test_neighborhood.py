"""Neighborhood: how many tokens a token sees and which, where that is all of them, and what tiles cost."""

import pytest
import torch
from torch import nn

from attnbench import Geometry, InvalidSetting
from attnbench.measuring.cost import count
from mechanisms.msa import MultiHeadSelfAttention
from mechanisms.neighborhood import NeighborhoodAttention, macs
from tests.references.neighborhood import reference


def layer_for(
    height: int, width: int, kernel: int = 3, dilation: int = 1, *, bias: bool = False
) -> NeighborhoodAttention:
    """A float64 layer under which no bias is zero."""
    geometry = Geometry(24, 3, height, width)
    layer = NeighborhoodAttention(geometry, kernel=kernel, dilation=dilation, bias=bias)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.3)
    return layer.double()


def seen_from(
    layer: NeighborhoodAttention, height: int, width: int, row: int, column: int
) -> set[tuple[int, int]]:
    """The tokens that the output at one place depends on."""
    x = torch.randn(1, height * width, 24, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(x)[0, row * width + column].sum(), x)
    places = gradient[0].any(dim=-1).view(height, width).nonzero()
    return {(r, c) for r, c in places.tolist()}


def area(rows: range, columns: range) -> set[tuple[int, int]]:
    return {(row, column) for row in rows for column in columns}


@pytest.mark.parametrize("size", [(7, 7), (5, 6), (1, 1), (1, 7)], ids=str)
@pytest.mark.parametrize("dilation", [1, 2])
def test_on_a_map_within_its_window_it_is_softmax_attention(size: tuple[int, int], dilation: int) -> None:
    layer = layer_for(*size, kernel=7, dilation=dilation)
    msa = MultiHeadSelfAttention(Geometry(24, 3, *size)).double()
    msa.load_state_dict(layer.state_dict())
    x = torch.randn(2, size[0] * size[1], 24, dtype=torch.float64)
    torch.testing.assert_close(layer(x), msa(x))


@pytest.mark.parametrize(
    ("row", "column", "expected"),
    [
        (3, 4, area(range(2, 5), range(3, 6))),
        (0, 0, area(range(3), range(3))),
        (5, 1, area(range(3, 6), range(3))),
        (2, 7, area(range(1, 4), range(5, 8))),
    ],
)
def test_a_window_slides_with_its_token_and_stays_on_the_map(
    row: int, column: int, expected: set[tuple[int, int]]
) -> None:
    assert seen_from(layer_for(6, 8), 6, 8, row, column) == expected


@pytest.mark.parametrize(
    ("row", "column", "expected"),
    [
        (3, 4, area(range(1, 6, 2), range(2, 7, 2))),
        (1, 8, area(range(1, 6, 2), range(4, 9, 2))),
    ],
)
def test_a_dilated_window_sees_every_other_token(
    row: int, column: int, expected: set[tuple[int, int]]
) -> None:
    assert seen_from(layer_for(7, 9, dilation=2), 7, 9, row, column) == expected


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("size", "kernel", "dilation"),
    [((7, 8), 3, 2), ((6, 14), 3, 4), ((11, 5), 4, 1), ((4, 13), 5, 2), ((9, 3), 1, 3)],
    ids=str,
)
def test_any_window_equals_the_formula(size: tuple[int, int], kernel: int, dilation: int, bias: bool) -> None:
    layer = layer_for(*size, kernel, dilation, bias=bias)
    x = torch.randn(1, size[0] * size[1], 24, dtype=torch.float64)
    torch.testing.assert_close(layer(x), reference(layer, x, Geometry(24, 3, *size), kernel, dilation, bias))


def test_costs_its_windows_and_what_the_boxes_of_tiles_add() -> None:
    geometry = Geometry(768, 12, 14, 14)
    windows = 4 * 196 * 768**2 + 2 * 196 * 49 * 768
    assert windows == 477_173_760
    assert macs(geometry, kernel=7, dilation=1, bias=False) == windows + 2 * 196 * (100 - 49) * 768


@pytest.mark.parametrize("size", [(1, 1), (9, 5), (13, 17)], ids=str)
@pytest.mark.parametrize(("kernel", "dilation", "bias"), [(3, 1, True), (4, 3, False), (7, 2, False)])
def test_counts_what_the_closed_form_says_with_any_setting(
    size: tuple[int, int], kernel: int, dilation: int, bias: bool
) -> None:
    layer, geometry = layer_for(*size, kernel, dilation, bias=bias).float(), Geometry(24, 3, *size)
    assert count(layer, geometry).macs == macs(geometry, kernel=kernel, dilation=dilation, bias=bias)


@pytest.mark.parametrize(("kernel", "dilation", "setting"), [(0, 1, "kernel"), (3, 0, "dilation")])
def test_meaningless_settings_are_refused(kernel: int, dilation: int, setting: str) -> None:
    with pytest.raises(InvalidSetting, match=f"neighborhood: {setting} is 0; it must be at least 1"):
        layer_for(6, 8, kernel, dilation)
